"""The part of the page that shows the worst containers, each with its charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.incident.charts import Chart, Scale, Series, chart_svg, shares, tens, twos
from topcon.incident.marks import placed
from topcon.incident.markup import facts, mark, safe, safe_name, safe_text
from topcon.incident.tracks import Kind
from topcon.incident.words import counted, exit_text, finding_text, listed, state_text
from topcon.model.snapshot import Severity
from topcon.text import to_bytes_text, to_cores_text, to_percent_text, to_rate_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from topcon.incident.charts import Frame
    from topcon.incident.fold import Subject
    from topcon.incident.marks import Placed
    from topcon.incident.ranking import Ranked
    from topcon.incident.tracks import Points, Track
    from topcon.incident.view import View
    from topcon.model.event import Event

MARKS_APART = 0.03
"""The share of a chart that marks are apart at least."""
SHORT_ID = 12

SMALL_CORES = 0.1
"""Below that a third digit is written: it is what half of an upper edge has."""


def cores_text(cores: float | None) -> str:
    """Write CPUs, to the thousandth where there are few."""
    return f"{cores:.3f}" if cores is not None and cores < SMALL_CORES else to_cores_text(cores)


CORES = Scale("cores", cores_text, tens, 0.01)
SHARE = Scale("% of the time", to_percent_text, shares, 0.04)
PERIODS = Scale("% of periods", to_percent_text, shares, 0.04)
BYTES = Scale("bytes", to_bytes_text, twos, 1 << 20)
RATE = Scale("bytes a second", to_rate_text, twos, 1 << 10)

FINDINGS_OF: Mapping[str, tuple[str, ...]] = {
    "CPU": ("cpu-starved", "cpu-throttled"),
    "Throttled": ("cpu-throttled",),
    "Memory": ("memory-near-limit", "memory-high", "oom-killed", "swapping", "no-memory-limit"),
    "Pressure": ("cpu-starved", "memory-stalled", "io-stalled"),
    "Network": ("dropped-packets",),
    "Disk": ("io-stalled",),
}
"""Which findings are drawn below which chart."""


def containers(view: View) -> Iterator[str]:
    """Write the part; nothing where there are no containers."""
    if not view.worst:
        return
    left = len(view.incident.subjects) - len(view.worst)
    order = "Those with findings first, the worst on top, then those that used the most."
    more = f" {counted(left, 'other is', 'others are')} left out." if left > 0 else ""
    yield (
        '<section aria-labelledby="containers">\n<h2 id="containers">Containers</h2>\n'
        f'<p class="note">{order}{more}</p>\n'
    )
    for ranked, events in zip(view.worst, view.events_of, strict=True):
        yield from _container(view, ranked, events)
    yield "</section>\n"


def _container(view: View, ranked: Ranked, events: Sequence[Event]) -> Iterator[str]:
    subject = ranked.subject
    wrong = [case for case in ranked.cases if case.severity > Severity.INFO]
    its_mark = mark(wrong[0].severity) if wrong else ""
    pod = f'<span class="dim">{safe_name(subject.pod)}</span>' if subject.pod else ""
    anchor = view.anchors[subject.origin]
    yield (
        f'<article class="container" aria-labelledby="{anchor}">\n<div class="head"><h3 id="{anchor}">{its_mark}'
        f"{safe_name(subject.name)}</h3>{pod}"
        f'<span class="state">{safe(state_text(subject, view.times))}</span></div>\n{facts(_facts(subject))}'
    )
    if wrong:
        items = "".join(
            f"<li>{mark(case.severity)}{safe_text(finding_text(case))}, "
            f'<span class="dim">{safe(view.held(case))}</span></li>\n'
            for case in wrong
        )
        yield f'<ul class="wrong">\n{items}</ul>\n'
    yield from _charts(view, ranked, events)
    yield "</article>\n"


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    info = subject.info
    if info.image:
        yield "Image", safe_name(info.image)
    yield "Runtime", safe_name(info.runtime)
    yield "Id", f"<code>{safe_name(info.id[:SHORT_ID])}</code>"
    if info.exit_code is not None:
        yield "Exit code", safe(exit_text(info.exit_code))
    if info.health is not None:
        yield "Health", safe(info.health)
    if info.restarts is not None:
        yield "Restarts", f"{info.restarts:,}"
    if len(subject.keys) > 1:
        yield "Replaced", counted(len(subject.keys) - 1, "time", "times")
    if subject.oom_kills:
        yield "Killed for memory", counted(subject.oom_kills, "process", "processes")


def _charts(view: View, ranked: Ranked, events: Sequence[Event]) -> Iterator[str]:
    marks = placed(events, view.incident.steps, MARKS_APART)
    known = [chart for chart in charts_of(ranked.subject.track, view.frame) if chart.is_known]
    # What has done nothing is said in a word.
    level = [chart.title.lower() for chart in known if not chart.drawn]
    figures = "".join(_figure(view, chart, ranked, marks) for chart in known if chart.drawn)
    if figures:
        yield f'<div class="charts">\n{figures}</div>\n'
    if level:
        yield f'<p class="quiet">0 all the time: {safe(listed(level))}.</p>\n'
    if not known:
        yield '<p class="quiet">It was not seen to run.</p>\n'


def _figure(view: View, chart: Chart, ranked: Ranked, marks: Sequence[Placed]) -> str:
    codes = FINDINGS_OF[chart.title]
    bars = [
        bar
        for case in reversed(ranked.cases)
        if case.finding.code in codes and case.severity > Severity.INFO
        for bar in view.bars(case)
    ]
    label = view.label(chart, ranked.subject.name)
    return (
        f'<figure><figcaption><span class="title">{chart.title}</span> <span class="dim">{chart.scale.unit}</span>'
        f"{view.keys(chart)}</figcaption>{chart_svg(chart, view.frame, marks, bars, label)}</figure>\n"
    )


def charts_of(track: Track, frame: Frame) -> tuple[Chart, ...]:
    """Return all that can be drawn of a container."""

    def points(kind: Kind) -> Points:
        return track.points(kind, frame.steps)

    return (
        Chart("CPU", CORES, (Series("", points(Kind.CPU), "one"),), points(Kind.CPU_LIMIT)),
        Chart("Throttled", PERIODS, (Series("", points(Kind.THROTTLED), "two"),)),
        Chart("Memory", BYTES, (Series("", points(Kind.MEMORY), "one"),), points(Kind.MEMORY_LIMIT)),
        pressure_chart(track, frame),
        Chart("Network", RATE, (Series("received", points(Kind.RX), "one"), Series("sent", points(Kind.TX), "two"))),
        Chart("Disk", RATE, (Series("read", points(Kind.READ), "one"), Series("written", points(Kind.WRITE), "two"))),
    )


def pressure_chart(track: Track, frame: Frame) -> Chart:
    """Return the three pressures of a container or of the host."""
    series = tuple(
        Series(name, track.points(kind, frame.steps), tone)
        for name, kind, tone in (
            ("CPU", Kind.CPU_PRESSURE, "one"),
            ("memory", Kind.MEMORY_PRESSURE, "two"),
            ("I/O", Kind.IO_PRESSURE, "three"),
        )
    )
    return Chart("Pressure", SHARE, series)
