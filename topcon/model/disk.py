"""Who holds how much of the host's disks, as far as that was read. Bytes are those on the disk, not those of a name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topcon.model.sample import ContainerKey, Problem

MEMORY = "memory"
"""The device of what is kept in memory."""


class HoldKind(StrEnum):
    """What of a container's takes room."""

    LAYER = "layer"
    """What it has written into its own layer of its root."""
    LOG = "log"
    """What it has said, as its runtime keeps it, with the files before the present one."""
    VOLUME = "volume"
    """A directory of the host that it writes to."""
    TMPFS = "tmpfs"
    """Files in memory, ``/dev/shm`` for one."""
    DELETED = "deleted"
    """Files without a name that its processes hold open."""


class BigFile(NamedTuple):
    """One of the biggest files that a walk has come to."""

    path: str
    """From the directory on, or as the kernel tells it: foreign text."""
    used_bytes: int


class Hold(NamedTuple):
    """Something that takes room because of a container."""

    container: ContainerKey
    kind: HoldKind
    where: str
    """The directory or file, on the host, or, for volumes and what is in memory, as the container sees it."""
    device: str | None = None
    """The file system that it is on, ``/dev/sda1`` for one, or `MEMORY`; None where nobody knows."""
    used_bytes: int | None = None
    """None where it may not be read, or has not been looked at yet."""
    is_whole: bool = True
    """Whether that is all of it: not so while a walk through it is under way, or where a part was refused."""
    used_inodes: int | None = None
    limit_bytes: int | None = None
    """What it may grow to; None where only the file system sets an end."""
    growth_bytes_per_s: float | None = None
    """Between the last two times that all of it was read; None before the second."""
    others: tuple[ContainerKey, ...] = ()
    """Further containers that hold the very same."""
    biggest: tuple[BigFile, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.container} {self.kind} {self.where}"


class HostFilesystem(NamedTuple):
    """A file system of the host (statvfs(3))."""

    device: str
    point: str
    """Where it is mounted."""
    fstype: str
    size_bytes: int
    used_bytes: int
    available_bytes: int
    """To those who are not root."""
    inodes: int
    """0 where the file system sets no number."""
    inodes_free: int

    @property
    def used_share(self) -> float | None:
        """Used, of what can be used by those who are not root: what ``df`` calls ``Use%``."""
        usable = self.used_bytes + self.available_bytes
        return self.used_bytes / usable if usable else None

    @property
    def inodes_share(self) -> float | None:
        """Inodes used, of all; None where there is no number of them."""
        return (self.inodes - self.inodes_free) / self.inodes if self.inodes else None


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What is known so far."""

    holds: tuple[Hold, ...] = ()
    filesystems: tuple[HostFilesystem, ...] = ()
    problems: tuple[Problem, ...] = ()
    rounds: int = 0
    """How often all of it was read from end to end."""
    entries: int = 0
    """Files and directories that were looked at in this round."""
    walking: str | None = None
    """What is being walked through now."""
    deferred: int = 0
    """How many directories wait for that."""


NOTHING_KNOWN = DiskUse()
