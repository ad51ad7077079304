"""Which containers the page tells of: those with whom something was wrong, the worst first, then who used the most."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.incident.tracks import Kind
from topcon.model.snapshot import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.incident.fold import Case, Incident, Subject
    from topcon.incident.tracks import Steps

MOST_WORST = 12
_PRESSURES = (Kind.CPU_PRESSURE, Kind.MEMORY_PRESSURE, Kind.IO_PRESSURE)


class Ranked(NamedTuple):
    """A container of the page."""

    subject: Subject
    cases: tuple[Case, ...]
    """What was found about it, worst first."""


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Sort cases: the worst first, of those the ones that held longest."""
    return sorted(cases, key=lambda case: (-case.severity, -case.held_s, case.begin_ns, case.finding.code, case.name))


def worst(incident: Incident, most: int = MOST_WORST) -> tuple[Ranked, ...]:
    """Return the containers that are worth looking at, in order; what has done nothing is none of them."""
    of_subjects: dict[str, list[Case]] = {}
    for case in in_order(incident.cases):
        if case.subject is not None:
            of_subjects.setdefault(case.subject.origin, []).append(case)
    ranked = []
    for subject in incident.subjects:
        cases = of_subjects.get(subject.origin, [])
        wrong = [case for case in cases if case.severity > Severity.INFO]
        severity = max((case.severity for case in wrong), default=0)
        held_s = sum(case.held_s for case in wrong if case.severity == severity)
        used = use(subject, incident)
        if used > 0 or wrong:
            ranked.append(((-severity, -held_s, -used, subject.name), Ranked(subject, tuple(cases))))
    ranked.sort(key=lambda each: each[0])
    return tuple(each for _, each in ranked[:most])


def use(subject: Subject, incident: Incident) -> float:
    """Return the greatest of its shares: of the host's CPUs, of its memory, of the time in which some of it waited."""
    steps, host = incident.steps, incident.host
    shares = [
        _average(subject, Kind.CPU, steps) / max(host.cpus, 1),
        _average(subject, Kind.MEMORY, steps) / max(host.memory_total_bytes, 1),
        *(_average(subject, kind, steps) for kind in _PRESSURES),
    ]
    return max(shares)


def _average(subject: Subject, kind: Kind, steps: Steps) -> float:
    return subject.track.points(kind, steps).average or 0.0
