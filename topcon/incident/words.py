"""What the page says in sentences."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from topcon.incident.fold import LEAST_GAP_NS
from topcon.incident.ranking import in_order
from topcon.incident.times import length_text
from topcon.model.event import Kind
from topcon.model.sample import State
from topcon.model.snapshot import Severity
from topcon.signals import exit_meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from topcon.incident.fold import Case, Incident, Subject
    from topcon.incident.times import Times
    from topcon.model.event import Event

MOST_NAMED = 4
"""So many containers the summary names."""
THE_START, THE_END = "the start", "the end"
"""Of the span."""
SEVERITY_NAMES: Mapping[Severity, tuple[str, str]] = {
    Severity.CRITICAL: ("critical finding", "critical findings"),
    Severity.WARNING: ("warning", "warnings"),
}
_COUNTED: Mapping[Kind, tuple[str, str]] = {
    Kind.OOM: ("kill for memory", "kills for memory"),
    Kind.EXIT: ("exit", "exits"),
    Kind.START: ("start", "starts"),
    Kind.IMAGE: ("changed image", "changed images"),
    Kind.LIMIT: ("changed limit", "changed limits"),
    Kind.ACTION: ("action made in topcon", "actions made in topcon"),
}
"""The kinds of events that the summary counts."""


class Summary(NamedTuple):
    """What was wrong, in short."""

    severity: Severity | None
    """The worst; None where nothing was wrong."""
    lead: str
    worst: tuple[Case, ...]
    """The worst of each container, the worst first."""
    more: str
    """How many are not named; empty for none."""
    happened: str
    """What has happened; empty for nothing."""


def summary(incident: Incident, events: Sequence[Event]) -> Summary:
    """Say what was wrong, the worst first, and what happened."""
    wrong = [case for case in in_order(incident.cases) if case.severity > Severity.INFO]
    homes: dict[str, Case] = {}
    for case in wrong:
        homes.setdefault(case.subject.origin if case.subject is not None else case.finding.target, case)
    worst = tuple(homes.values())
    containers = counted(len(incident.subjects), "container", "containers")
    if wrong:
        counts = Counter(case.severity for case in wrong)
        told = [counted(counts[severity], *names) for severity, names in SEVERITY_NAMES.items() if counts[severity]]
        about = sum(case.subject is not None for case in worst)
        lead = f"{listed(told)}, in {about} of {containers}."
    else:
        lead = f"Nothing was found to be wrong in {containers}."
    left = len(worst) - MOST_NAMED
    return Summary(
        severity=wrong[0].severity if wrong else None,
        lead=lead,
        worst=worst[:MOST_NAMED],
        more=f"and {left} more, in the table of findings" if left > 0 else "",
        happened=_happened(events),
    )


def _happened(events: Iterable[Event]) -> str:
    counts = Counter(event.kind for event in events)
    told = [counted(counts[kind], *names) for kind, names in _COUNTED.items() if counts[kind]]
    return f"In that time: {listed(told)}." if told else ""


def held_text(case: Case, times: Times, incident: Incident) -> str:
    """Say when something held, and for how long: ``from 03:12:40 to 03:14:10, 1 min 30 s``."""
    since = since_text(case, times, incident)
    if since == THE_START and case.holds and len(case.spans) == 1:
        return "all the time"
    often = "" if len(case.spans) == 1 else f", {len(case.spans)} times"
    held = f"{length_text(case.held_s)}{' in all' if often else ''}"
    return f"from {since} to {until_text(case, times)}{often}, {held}"


def finding_text(case: Case) -> str:
    """Say what was found, but for how long before it was: the page has the time itself."""
    return _MOMENT.sub("", case.finding.summary)


_MOMENT = re.compile(r" (?:just now|\d+ s ago)$", re.ASCII)


def since_text(case: Case, times: Times, incident: Incident) -> str:
    """Say since when it held: of what was there at first that is mostly not known."""
    before_ns = incident.span.begin_ns - case.begin_ns
    return THE_START if 0 <= before_ns <= LEAST_GAP_NS else times.short(case.begin_ns)


def until_text(case: Case, times: Times) -> str:
    """Say until when it held."""
    return THE_END if case.holds else times.short(case.end_ns)


def state_text(subject: Subject, times: Times) -> str:
    """Say what a container was doing when it was last seen, and since when."""
    info = subject.info
    if not subject.is_there:
        return f"gone since {times.short(subject.last_seen_ns)}"
    if info.state.is_over:
        ended = f" {times.short(info.finished_ns)}" if info.finished_ns is not None else ""
        return f"{info.state}{ended}"
    if info.state is State.RUNNING and subject.started_ns is not None:
        return f"running since {times.short(subject.started_ns)}"
    return str(info.state)


def exit_text(code: int) -> str:
    """Write an exit code, with what it stands for."""
    meaning = exit_meaning(code)
    return f"{code} ({meaning})" if meaning else str(code)


def counted(count: int, one: str, many: str) -> str:
    """Write how many there are of something."""
    return f"{count:,} {one if count == 1 else many}"


def listed(parts: Sequence[str]) -> str:
    """Put parts into a sentence: ``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part) if parts else ""
