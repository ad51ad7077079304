"""What all parts of the page know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.incident.charts import Bar, Frame, axis_text, bridged_steps
from topcon.incident.marks import of_subjects
from topcon.incident.markup import safe, safe_name, swatch, tone
from topcon.incident.ranking import worst
from topcon.incident.times import Times
from topcon.incident.words import held_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import tzinfo

    from topcon.incident.charts import Chart, Series
    from topcon.incident.fold import Case, Incident
    from topcon.incident.ranking import Ranked
    from topcon.model.event import Event
    from topcon.model.sample import ContainerKey


@dataclass(frozen=True, slots=True)
class View:
    """A span as the page shows it."""

    incident: Incident
    events: tuple[Event, ...]
    """In the order of time."""
    times: Times
    frame: Frame
    worst: tuple[Ranked, ...]
    """The containers that have a part of their own."""
    anchors: Mapping[ContainerKey, str]
    """Where those parts are, by the first key of each container."""
    events_of: tuple[tuple[Event, ...], ...]
    """Those of each of the containers."""
    other_events: tuple[Event, ...]

    def who(self, case: Case) -> str:
        """Name what a case is about, with a link where the page tells more of it."""
        name = f"<strong>{safe_name(case.name)}</strong>"
        anchor = self.anchors.get(case.subject.origin) if case.subject is not None else None
        return f'<a href="#{anchor}">{name}</a>' if anchor else name

    def time(self, wall_ns: int, text: str) -> str:
        """Write a time that programs can read too."""
        return f'<time datetime="{safe(self.times.iso(wall_ns))}">{safe(text)}</time>'

    def held(self, case: Case) -> str:
        """Say when something held, and for how long."""
        return held_text(case, self.times, self.incident)

    def bars(self, case: Case) -> Iterator[Bar]:
        """Return the times within the span in which something held."""
        steps, span = self.incident.steps, self.incident.span
        text = f"{case.finding.code}, {self.held(case)}"
        for each in case.spans:
            if each.end_ns >= span.begin_ns:
                yield Bar(steps.share_of(each.begin_ns), steps.share_of(each.end_ns), tone(case.severity), text)

    def peak(self, series: Series, chart: Chart) -> str:
        """Say what the greatest value of a line was, and when, if it is the only one."""
        text = f"peak {axis_text(chart.scale.to_text(series.points.highest))}"
        if len(chart.series) > 1:
            return text
        steps = self.incident.steps
        at_ns = steps.begin_ns + series.points.peak_step * steps.step_ns
        return f"{text} at {self.times.about(min(at_ns, self.incident.span.end_ns), steps.step_ns)}"

    def keys(self, chart: Chart) -> str:
        """Say what the lines of a chart are, with their greatest values, and what the limit was at the end."""
        keys = []
        for each in chart.drawn:
            its_swatch = f"{swatch(each.tone)}{safe(each.name)} " if each.name else ""
            keys.append(f"<span>{its_swatch}{safe(self.peak(each, chart))}</span>")
        if chart.last_limit is not None:
            limit = axis_text(chart.scale.to_text(chart.last_limit))
            keys.append(f"<span>{swatch('limit')}limit {safe(limit)}</span>")
        keys += [f"<span>{safe(each.name)} 0</span>" for each in chart.level if each.name]
        return f'<span class="key">{" ".join(keys)}</span>'

    def label(self, chart: Chart, of: str) -> str:
        """Say what is to be seen in a chart."""
        peaks = [f"{each.name} {self.peak(each, chart)}".strip() for each in chart.drawn]
        return f"{chart.title} of {of}, {chart.scale.unit}: {', '.join(peaks)}"


def view_of(incident: Incident, events: Iterable[Event], tz: tzinfo | None) -> View:
    """Choose what is shown."""
    times = Times(tz, incident.span)
    within = (each for each in events if incident.span.begin_ns <= each.wall_ns <= incident.span.end_ns)
    in_order = tuple(sorted(within, key=lambda event: event.wall_ns))
    ranked = worst(incident)
    of_each, others = of_subjects(in_order, [each.subject for each in ranked])
    return View(
        incident=incident,
        events=in_order,
        times=times,
        frame=Frame(incident.steps, times, incident.gaps, bridged_steps(incident.steps, incident.gaps)),
        worst=ranked,
        anchors={each.subject.origin: f"c{at}" for at, each in enumerate(ranked, start=1)},
        events_of=tuple(map(tuple, of_each)),
        other_events=tuple(others),
    )
