"""A shell in a container, as those see it who lend it their terminal."""

from __future__ import annotations

from typing import NamedTuple, Protocol

SHELLS: tuple[tuple[str, ...], ...] = (("bash",), ("ash",), ("sh",), ("/bin/busybox", "sh"))
"""What is looked for in a container, the best first."""


def no_shell(pid: int | None) -> str:
    """Say that none of them is there, and where to look instead; ``pid`` is that of the container's first process."""
    return f"it has no bash, ash, sh or busybox; its files: /proc/{'PID' if pid is None else pid}/root"


class Size(NamedTuple):
    """Of a terminal."""

    columns: int
    rows: int


class Session(Protocol):
    """A program in a container, on a terminal of its own there."""

    fd: int
    """What is written to it is typed, what is read from it is shown; its end is the end of the program."""
    early: bytes
    """What the program had written when it was opened."""

    def resize(self, size: Size) -> None:
        """Let the program's terminal have another size, as far as that can be done now."""
        ...

    def status(self) -> int | None:
        """Return the exit status of a program that has ended; None where it cannot be had soon."""
        ...

    def close(self) -> None:
        """Let go of the program, which may go on without us."""
        ...


class Opened(NamedTuple):
    """A shell that waits for what is typed."""

    session: Session
    shell: str
    """What was found, such as ``bash``."""
    through: str
    """Who has opened it: a runtime, or the kernel."""
    note: str | None = None
    """In what it is less confined than the container."""
