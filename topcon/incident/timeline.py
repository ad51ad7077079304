"""The part of the page that shows the whole span: the host, and below it a line of time for each container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.incident.charts import (
    Chart,
    Series,
    axis_svg,
    axis_text,
    known_parts,
    lane_svg,
    strip_svg,
)
from topcon.incident.containers import BYTES, CORES, pressure_chart
from topcon.incident.marks import NAMES, SHAPES, placed
from topcon.incident.markup import safe, safe_name, tone
from topcon.incident.times import length_text
from topcon.incident.tracks import Kind
from topcon.incident.words import counted
from topcon.model.snapshot import Severity
from topcon.text import to_bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.incident.marks import Mark
    from topcon.incident.ranking import Ranked
    from topcon.incident.view import View
    from topcon.model.event import Event

MARKS_APART = 0.024
"""The share of the line that marks are apart at least."""
_AXIS_ROW = '<div class="corner"></div>\n<div class="axis-row">{}</div>\n'
_GAP_SAMPLE = '<svg width="18" height="10" aria-hidden="true"><rect class="gap" width="18" height="10"/></svg>'


def timeline(view: View) -> Iterator[str]:
    """Write the part."""
    steps = view.incident.steps
    below = f", then {counted(len(view.worst), 'container', 'containers')}" if view.worst else ""
    yield (
        '<section aria-labelledby="timeline">\n<h2 id="timeline">Timeline</h2>\n'
        f'<p class="note">The host{below}. A point stands for {length_text(steps.step_ns / 1e9)}: the line is the '
        'mean, the band around it goes from the least to the greatest.</p>\n<div class="timeline">\n'
    )
    yield from _host(view)
    axis = _AXIS_ROW.format(axis_svg(view.frame))
    yield axis
    for ranked, events in zip(view.worst, view.events_of, strict=True):
        subject = ranked.subject
        link = f'<a href="#{view.anchors[subject.origin]}">{safe_name(subject.name)}</a>'
        yield f'<div class="name">{link}</div>\n<div>{_lane(view, ranked, events)}</div>\n'
    others = placed(view.other_events, steps, MARKS_APART)
    if others:
        yield f'<div class="name dim">all others</div>\n<div>{lane_svg((), (), others, view.frame)}</div>\n'
    if view.worst or others:
        yield axis
    yield f"</div>\n{_legend(view)}</section>\n"


def _host(view: View) -> Iterator[str]:
    host, track, steps = view.incident.host, view.incident.host_track, view.incident.steps
    bad = [event for event in view.events if event.severity is Severity.CRITICAL]
    marks = placed(bad, steps, MARKS_APART)
    memory = axis_text(to_bytes_text(host.memory_total_bytes))
    for title, whole, chart in (
        (
            "Host CPU",
            f"cores, of {host.cpus}",
            Chart("CPU", CORES, (Series("", track.points(Kind.CPU, steps), "one"),)),
        ),
        (
            "Host memory",
            f"bytes, of {memory}",
            Chart("Memory", BYTES, (Series("", track.points(Kind.MEMORY, steps), "one"),)),
        ),
        ("Host pressure", "% of the time", pressure_chart(track, view.frame)),
    ):
        if chart.drawn:
            yield (
                f'<div class="name of-host"><strong>{title}</strong><span class="dim">{safe(whole)}</span>'
                f"{view.keys(chart)}</div>\n"
                f"<div>{strip_svg(chart, view.frame, marks, view.label(chart, 'the host'))}</div>\n"
            )


def _lane(view: View, ranked: Ranked, events: Sequence[Event]) -> str:
    track, steps = ranked.subject.track, view.incident.steps
    cpu, memory = track.points(Kind.CPU, steps), track.points(Kind.MEMORY, steps)
    alive = known_parts(memory if cpu.is_empty else cpu, view.frame)
    # The worst is drawn last, above the others.
    bars = [bar for case in reversed(ranked.cases) if case.severity > Severity.INFO for bar in view.bars(case)]
    return lane_svg(bars, alive, placed(events, steps, MARKS_APART), view.frame)


def shapes() -> str:
    """Define what marks look like; they are drawn by reference."""
    defined = "".join(f'<path id="{mark.value}" d="{way}"/>' for mark, way in SHAPES.items())
    return f'<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{defined}</defs></svg>\n'


def _legend(view: View) -> str:
    items = [f"<span>{_bar_sample(each)}{tone(each)}</span>" for each in (Severity.CRITICAL, Severity.WARNING)]
    items += [f"<span>{_mark_sample(mark)}{name}</span>" for mark, name in NAMES.items()]
    if view.incident.gaps:
        items.append(f"<span>{_GAP_SAMPLE}nothing was recorded</span>")
    return f'<p class="legend">{"".join(items)}</p>\n'


def _mark_sample(mark: Mark) -> str:
    use = f'<use class="mark {mark.value}" href="#{mark.value}" x="6" y="6"/>'
    return f'<svg width="12" height="12" aria-hidden="true">{use}</svg>'


def _bar_sample(severity: Severity) -> str:
    return (
        '<svg width="18" height="10" aria-hidden="true">'
        f'<rect class="bar {tone(severity)}" y="1" width="18" height="8"/></svg>'
    )
