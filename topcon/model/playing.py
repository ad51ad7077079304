"""How far a recording has been played: what the time bar shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topcon.model.event import Event
    from topcon.model.snapshot import Severity

SPEEDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Those that keys go through."""
LEAST_SPEED, GREATEST_SPEED = 0.1, 60.0
NS_PER_S = 10**9


class Mark(NamedTuple):
    """Something that has happened."""

    wall_ns: int
    severity: Severity | None = None
    """How bad; None for what is only worth knowing."""


@dataclass(frozen=True, slots=True)
class Playing:
    """Where one is in a recording, and how one goes on."""

    at_ns: int
    """The moment that is shown; nanoseconds since 1970, as the next two."""
    first_ns: int
    last_ns: int
    speed: float = 1.0
    """Seconds of the recording in a second."""
    is_paused: bool = False
    is_live: bool = False
    """Whether the end is shown as it grows."""
    is_written: bool = False
    """Whether it grows."""
    marks: tuple[Mark, ...] = ()
    """In the order of time."""
    name: str = ""
    """What the recording is called where that is to be said; empty for what topcon itself remembers."""
    problem: str | None = None
    """Why it does not go on as asked."""
    carried_out: int = 0
    """How many commands have been."""

    @property
    def is_at_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.at_ns >= self.last_ns


def marks_of(events: tuple[Event, ...]) -> tuple[Mark, ...]:
    """Return where the time bar has marks."""
    return tuple(Mark(each.wall_ns, each.severity) for each in events)


def next_speed(speed: float, step: int) -> float:
    """Return the speed that is a step faster, or slower where that is below 0; the same at either end."""
    if step > 0:
        return next((each for each in SPEEDS if each > speed), SPEEDS[-1])
    return next((each for each in reversed(SPEEDS) if each < speed), min(speed, SPEEDS[0]))


def parse_speed(text: str) -> float:
    """Take what a person writes for a speed: ``10``, ``10x``, ``0.5``.

    Raises:
        ValueError: what was expected.
    """
    try:
        speed = float(text.strip().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not LEAST_SPEED <= speed <= GREATEST_SPEED:
        message = f"{text!r}: expected a speed from {LEAST_SPEED:g} to {GREATEST_SPEED:g}, such as 1, 10x or 60"
        raise ValueError(message)
    return speed
