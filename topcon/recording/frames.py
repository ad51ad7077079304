"""What can be gone through: a recording, or what memory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.model.event import Event
    from topcon.model.sample import Sample


class Frames(Protocol):
    """Samples by their places in time. One thread at a time may ask."""

    @property
    def times(self) -> Sequence[int]:
        """When each sample was taken, nanoseconds since 1970, ascending."""

    @property
    def interval_s(self) -> float | None:
        """Seconds from a sample to the next, mostly."""

    @property
    def is_written(self) -> bool:
        """Whether somebody writes it now."""

    def refresh(self) -> bool:
        """Look for new samples; return whether there are any."""

    def index_at(self, wall_ns: int) -> int:
        """Return which sample was the last at a time."""

    def sample(self, at: int) -> Sample:
        """Return a sample by its place in the times, or raise `RecordingUnreadable`."""

    def events(
        self, since_ns: int | None = None, until_ns: int | None = None, *, most: int | None = None
    ) -> tuple[Event, ...]:
        """Return what has happened, from one time to another; the newest of it where it would be more than ``most``."""

    def close(self) -> None:
        """Read no more."""
