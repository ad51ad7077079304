"""The page: one HTML file that needs nothing else, on a screen or on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon import __version__
from topcon.errors import UsageError
from topcon.incident.charts import axis_text
from topcon.incident.containers import containers
from topcon.incident.fold import fold
from topcon.incident.lists import events as events_part
from topcon.incident.lists import findings
from topcon.incident.markup import facts, mark, safe, safe_name, safe_text, tone
from topcon.incident.style import STYLE
from topcon.incident.timeline import shapes, timeline
from topcon.incident.times import length_text
from topcon.incident.view import view_of
from topcon.incident.words import counted, finding_text, summary
from topcon.text import to_bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from typing import TextIO

    from topcon.incident.view import View
    from topcon.model.event import Event
    from topcon.model.snapshot import Snapshot

MOST_GAPS_TOLD = 8
MOST_PROBLEMS = 12
_NO_REQUESTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing, but for its own style, and an icon of no bytes that no browser asks a server for."""

_WORDS = (
    "Memory is the working set; throttled is the share of the periods in which a container wanted to run and was held "
    "back; pressure is the share of the time in which some of its tasks waited."
)


def write_report(
    snapshots: Iterator[Snapshot],
    events: Iterable[Event],
    out: TextIO,
    *,
    title: str | None = None,
    tz: tzinfo | None = None,
) -> None:
    """Write the page of a span: ``snapshots`` in the order of time, and what happened meanwhile.

    ``title`` stands above it all instead of the host's name; times are in ``tz``, or else in the machine's own time
    zone. What is written is plain ASCII, so that it stays whole wherever it is sent. ``events`` are read after all
    snapshots.

    Raises:
        UsageError: There is no snapshot.
    """
    incident = fold(snapshots)
    if incident is None:
        msg = "nothing was recorded in that time"
        raise UsageError(msg)
    view = view_of(incident, events, tz)
    out.writelines(part.encode("ascii", "xmlcharrefreplace").decode("ascii") for part in _parts(view, title))


def _parts(view: View, title: str | None) -> Iterator[str]:
    name = safe_name(title or view.incident.host.name)
    begin = safe(view.times.full(view.incident.span.begin_ns))
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NO_REQUESTS}">\n'
        f'<meta name="generator" content="topcon {__version__}">\n<link rel="icon" href="data:,">\n'
        f"<title>Incident report: {safe_text(title or view.incident.host.name)}, {begin}</title>\n"
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n{shapes()}"
        f'<header>\n<p class="eyebrow">Incident report</p>\n<h1>{name}</h1>\n{facts(_facts(view, title))}'
        f"{_summary(view)}</header>\n<main>\n"
    )
    yield from timeline(view)
    yield from findings(view)
    yield from containers(view)
    yield from events_part(view)
    yield f"</main>\n{_foot(view)}</body>\n</html>\n"


def _facts(view: View, title: str | None) -> Iterator[tuple[str, str]]:
    incident, times = view.incident, view.times
    host, span = incident.host, incident.span
    if title:
        yield "Host", safe_name(host.name)
    yield "From", view.time(span.begin_ns, times.full(span.begin_ns))
    yield "To", view.time(span.end_ns, times.full(span.end_ns))
    yield "Time zone", safe(times.zone)
    yield "Length", safe(length_text(span.seconds))
    yield "Containers", f"{len(incident.subjects):,}"
    yield "CPUs", str(host.cpus)
    yield "Memory", safe(axis_text(to_bytes_text(host.memory_total_bytes)))
    if host.os_name:
        yield "System", safe_name(host.os_name)
    yield "Kernel", safe_name(host.kernel)


def _summary(view: View) -> str:
    told = summary(view.incident, view.events)
    kind = "good" if told.severity is None else tone(told.severity)
    items = [
        f"<li>{mark(case.severity)}{view.who(case)} {safe_text(finding_text(case))}, "
        f'<span class="dim">{safe(view.held(case))}</span></li>\n'
        for case in told.worst
    ]
    if told.more:
        items.append(f'<li class="dim"><span class="mark"></span>{safe(told.more)}</li>\n')
    listing = f"<ol>\n{''.join(items)}</ol>\n" if items else ""
    happened = f'<p class="dim">{safe(told.happened)}</p>\n' if told.happened else ""
    return f'<div class="summary {kind}">\n<p class="lead">{safe(told.lead)}</p>\n{listing}{happened}</div>\n'


def _foot(view: View) -> str:
    incident = view.incident
    samples = counted(incident.moments, "sample", "samples")
    parts = [f"<p>Written by topcon {__version__} from {samples}. {_WORDS}</p>\n"]
    if incident.gaps:
        told = [f"{view.times.short(gap.begin_ns)} to {view.times.short(gap.end_ns)}" for gap in incident.gaps]
        more = f" and {len(told) - MOST_GAPS_TOLD} more times" if len(told) > MOST_GAPS_TOLD else ""
        parts.append(f"<p>Nothing was recorded from {safe(', '.join(told[:MOST_GAPS_TOLD]))}{more}.</p>\n")
    parts += [
        f"<p>What could not be read: {safe_text(f'{problem.source}: {problem.message}')}.</p>\n"
        for problem in incident.problems[:MOST_PROBLEMS]
    ]
    return f"<footer>\n{''.join(parts)}</footer>\n"
