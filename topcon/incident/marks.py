"""Events as marks on a line of time: of what lies close together the worst is drawn, and all of it is told."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.event import Kind
from topcon.model.snapshot import Severity
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from topcon.incident.fold import Subject
    from topcon.incident.tracks import Steps
    from topcon.model.event import Event


class Mark(StrEnum):
    """The shape of a mark, the worst first."""

    OOM = "oom"
    EXIT = "exit"
    START = "start"
    OTHER = "other"


MARKS: Mapping[Kind, Mark] = {
    Kind.OOM: Mark.OOM,
    Kind.EXIT: Mark.EXIT,
    Kind.START: Mark.START,
    **dict.fromkeys(
        (
            *(Kind.HEALTH, Kind.PAUSE, Kind.UNPAUSE, Kind.SIGNAL, Kind.REPLACE, Kind.IMAGE, Kind.LIMIT),
            *(Kind.DOWN, Kind.UP, Kind.ACTION, Kind.FAILED),
        ),
        Mark.OTHER,
    ),
}
"""Of the rest there is no mark: findings have a length, and what is created, removed or run in it is in the list."""
SHAPES: Mapping[Mark, str] = {
    Mark.OOM: "M-4.6-3L-3-4.6 0-1.6 3-4.6 4.6-3 1.6 0 4.6 3 3 4.6 0 1.6-3 4.6-4.6 3-1.6 0z",
    Mark.EXIT: "M-3.6-3.6h7.2v7.2h-7.2z",
    Mark.START: "M-4.4 3.8L0-4.4 4.4 3.8z",
    Mark.OTHER: "M0-4.4L4.4 0 0 4.4-4.4 0z",
}
"""What they look like, around their middle."""
NAMES: Mapping[Mark, str] = {
    Mark.OOM: "killed for memory",
    Mark.EXIT: "exit",
    Mark.START: "start",
    Mark.OTHER: "other event",
}
_ORDER = {mark: at for at, mark in enumerate(Mark)}
MOST_TOLD = 4
"""Of so many events the words are told with a mark; of more it is said how many there are."""


class Placed(NamedTuple):
    """A mark in its place."""

    mark: Mark
    share: float
    """Where it is, from 0 to 1."""
    is_bad: bool
    """Whether it is of something that should not have happened."""
    events: tuple[Event, ...]


def placed(events: Iterable[Event], steps: Steps, apart: float) -> list[Placed]:
    """Return the marks of events, no two of them nearer to each other than the share ``apart`` of the line."""
    marked = sorted((each for each in events if each.kind in MARKS), key=lambda each: each.wall_ns)
    groups: list[list[Event]] = []
    begin = 0.0
    for event in marked:
        share = steps.share_of(event.wall_ns)
        if not groups or share - begin >= apart:
            groups.append([])
            begin = share
        groups[-1].append(event)
    return [_placed(group, steps) for group in groups]


def _placed(events: Sequence[Event], steps: Steps) -> Placed:
    first = min(events, key=lambda each: (_ORDER[MARKS[each.kind]], not _is_bad(each), each.wall_ns))
    return Placed(MARKS[first.kind], steps.share_of(first.wall_ns), _is_bad(first), tuple(events))


def _is_bad(event: Event) -> bool:
    return event.severity is not None and event.severity > Severity.INFO


def of_subjects(events: Iterable[Event], subjects: Sequence[Subject]) -> tuple[list[list[Event]], list[Event]]:
    """Return the events of each container, and those of all others."""
    by_keys = {key: at for at, subject in enumerate(subjects) for key in subject.keys}
    # Recorded events have their names escaped.
    by_names = {(printable(subject.name), printable(subject.pod)): at for at, subject in enumerate(subjects)}
    of_each: list[list[Event]] = [[] for _ in subjects]
    others: list[Event] = []
    for event in events:
        at = by_keys.get(event.target)
        if at is None:
            # One that came and went between two moments was never seen.
            at = by_names.get((printable(event.name), printable(event.pod)))
        (others if at is None else of_each[at]).append(event)
    return of_each, others
