"""What containers write, as it comes: values, and what a source of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from topcon.model.sample import LogLine


class Wanted(NamedTuple):
    """Where to begin; what is written from then on comes in any case."""

    lines: int | None = None
    """With the last lines, so many; None for as many as there are."""
    since_ns: int | None = None
    """With what was written since then, nanoseconds since 1970; None for any time."""


class Batch(NamedTuple):
    """What has come since the last one."""

    lines: tuple[LogLine, ...] = ()
    passed: int = 0
    """How many lines before these came too fast, and were left out."""


class LastLines(NamedTuple):
    """What a container wrote last, before it ended, was started again, or was removed."""

    lines: tuple[LogLine, ...]
    where: str
    """Who told it: a runtime's name, or a file's path; empty where nobody could."""
    read_ns: int
    """When it was read, nanoseconds since 1970."""
    started_again_ns: int | None = None
    """When it was started again, after these lines; None where it was not."""
    reason: str = ""
    """Why there is none of it; foreign text may be in it."""


class Feed(Protocol):
    """What one container writes, followed. One thread reads it and closes it; any thread may stop it."""

    where: str
    """Who tells it: a runtime's name, or a file's path."""

    def read(self) -> Batch | None:
        """Wait for what comes next, a second or so at the most: an empty batch; None at the end.

        Raises:
            SourceUnavailable: what tells it has gone.
            ParseError: it is in no known form.
        """
        ...

    def stop(self) -> None:
        """Let a call of `read` that waits return soon, and all that follow return None."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
