"""The processes of containers, as they are when somebody looks. Names and commands are foreign text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topcon.model.sample import ContainerKey

ENDED = frozenset("ZX")
"""The states of what has ended, and was not waited for yet."""


class Process(NamedTuple):
    """A process. The very same values for as long as it does nothing."""

    pid: int
    start_ticks: int
    """Clock ticks after boot: with the pid it is the process's identity."""
    ppid: int
    comm: str
    state: str
    """The kernel's letter."""
    threads: int
    cpu_cores: float | None
    """CPUs used since it was last looked at, its threads together; None when it is looked at for the first time."""
    rss_bytes: int
    """Memory of its own and shared with others (``VmRSS``), as ``ps`` has it."""
    ns_pid: int | None = None
    """Its pid in the innermost pid namespace that it is in; None where the kernel does not say."""
    user: str | None = None
    """Whom it acts as: the name that the container itself has for it, or else the host's number."""
    command: str | None = None
    """Its command line; None where it has none: it has ended, or is a part of the kernel."""

    @property
    def key(self) -> str:
        """What tells it from all others on this host since boot."""
        return f"{self.pid}.{self.start_ticks}"


class Members(NamedTuple):
    """The processes of one container."""

    container: ContainerKey
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ProcessTable:
    """What there was to see in one look. Compared by identity: what is made of it is made once."""

    members: tuple[Members, ...]
    """In the order that was asked for."""
    now_ticks: float
    """Clock ticks after boot, when it was looked."""
    ticks_per_second: int
    left_out: int = 0
    """Processes that were not looked at: there are too many."""
    containers_left_out: int = 0

    def age_s(self, process: Process) -> float:
        """Return how long ago a process was started."""
        return max(self.now_ticks - process.start_ticks, 0.0) / self.ticks_per_second
