"""What has happened: what a runtime tells, and the list that is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.snapshot import Severity

MOST_EVENTS = 10_000
"""How many are kept; the oldest are forgotten."""

MOST_TOLD = 1000
"""How much of what is told waits for the next sample; the oldest is lost."""


class Kind(StrEnum):
    """What happened, in a word."""

    CREATE = "created"
    START = "started"
    EXIT = "exited"
    OOM = "oom"
    HEALTH = "health"
    PAUSE = "paused"
    UNPAUSE = "unpaused"
    REMOVE = "removed"
    RENAME = "renamed"
    SIGNAL = "signal"
    """A runtime was asked to send one."""
    EXEC = "exec"
    """Somebody has begun to run something in it; what health checks run is left out."""
    PULL = "pulled"
    REPLACE = "replaced"
    """A new container has the place of another."""
    IMAGE = "image"
    """The same, of another image."""
    LIMIT = "limit"
    """What it may use at the most is another."""
    FINDING = "finding"
    OVER = "over"
    """A finding is no more."""
    DOWN = "silent"
    """A runtime does not answer."""
    UP = "answers"
    ACTION = "action"
    """Somebody did it by topcon."""
    FAILED = "failed"
    """Somebody wanted to do it by topcon."""


class Told(NamedTuple):
    """What a runtime, or topcon itself, tells that has happened."""

    wall_ns: int
    kind: Kind
    target: str
    """The key of the container, or ``runtime:NAME``."""
    name: str
    """What the target is called: foreign text."""
    exit_code: int | None = None
    detail: str = ""
    """What the kind leaves open: the signal, the health, the image, the command, the old name. Foreign text."""


class Event(NamedTuple):
    """A line of the list."""

    wall_ns: int
    """When it happened, as far as that is known, else when it was seen."""
    monotonic_ns: int
    """When topcon learned of it."""
    kind: Kind
    target: str
    """The key of the container or pod, or ``runtime:NAME``."""
    name: str
    """What that is called: foreign text."""
    text: str
    """The event in words, with foreign text in it."""
    severity: Severity | None = None
    """How bad; None for what is only worth knowing."""
    pod: str = ""
    """The title of the pod that the container is in; empty for one by itself. Foreign text."""
    number: int = 0
    """Which one it is of all since topcon was started."""
    exit_code: int | None = None
    """What a container ended with."""


class Fact(NamedTuple):
    """What was learned from one side: when the other tells it too, it is not told again."""

    kind: Kind
    target: str
    wall_ns: int
    is_told: bool
    """Whether by a runtime, and not by what has changed."""
    learned_ns: int
    """On the monotonic clock."""


class Standing(NamedTuple):
    """A finding that has been told."""

    severity: Severity
    """The worst that it has been."""
    name: str
    pod: str
    begun_ns: int
    """On the monotonic clock, as the next."""
    missed_ns: int | None = None
    """Since when it does not hold; None while it does."""
    missed_wall_ns: int = 0


@dataclass(frozen=True, slots=True)
class Events:
    """What has happened since topcon was started, the newest last."""

    since_ns: int = 0
    """When that was, nanoseconds since 1970."""
    entries: tuple[Event, ...] = ()
    forgotten: int = 0
    """How many older ones were there."""
    facts: tuple[Fact, ...] = ()
    """What was learned lately; for the next snapshot."""
    standing: Mapping[tuple[str, str], Standing] = field(default_factory=lambda: MappingProxyType({}))
    """By code and target; for the next snapshot."""

    @property
    def count(self) -> int:
        """How many there have been."""
        return self.forgotten + len(self.entries)


NO_EVENTS = Events()
