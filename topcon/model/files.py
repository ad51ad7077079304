"""The files of one container, as far as they were asked for: what is mounted, what is open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topcon.model.disk import DiskUse
    from topcon.model.sample import Problem


class MountKind(StrEnum):
    """What a mount is for."""

    OVERLAY = "overlay"
    """Its root: layers of its image, and its own above them."""
    VOLUME = "volume"
    """A directory that its runtime keeps for it."""
    BIND = "bind"
    """A directory or file of the host's."""
    TMPFS = "tmpfs"
    DISK = "disk"
    """A file system by itself."""
    NETWORK = "network"
    """One that another machine keeps. It is not asked: that could take for ever."""


class MountUse(NamedTuple):
    """A mount that is not the kernel's own. Foreign text: escape it before showing it."""

    point: str
    """Where the container sees it."""
    kind: MountKind
    source: str
    """The volume's name, the directory on the host, or what the file system is on."""
    fstype: str
    is_read_only: bool = False
    is_shared: bool = False
    """Whether what is mounted below it spreads to the host, or from there."""
    size_bytes: int | None = None
    """Of the file system; None where it was not asked, as all that follow."""
    used_bytes: int | None = None
    available_bytes: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None

    @property
    def used_share(self) -> float | None:
        """Used, of what can be used by those who are not root."""
        if self.used_bytes is None or self.available_bytes is None:
            return None
        usable = self.used_bytes + self.available_bytes
        return self.used_bytes / usable if usable else None

    @property
    def inodes_share(self) -> float | None:
        """Inodes used, of all; None where there is no number of them."""
        if not self.inodes or self.inodes_free is None:
            return None
        return (self.inodes - self.inodes_free) / self.inodes


class OpenFiles(NamedTuple):
    """What a process holds open."""

    pid: int
    comm: str
    """Foreign text."""
    descriptors: int
    limit: int | None
    """Soft, ``RLIMIT_NOFILE``; None for no limit."""

    @property
    def share(self) -> float | None:
        """Descriptors of those allowed."""
        return self.descriptors / self.limit if self.limit else None


class Deleted(NamedTuple):
    """A file that has no name any more, and is held open."""

    path: str
    """Its last name: foreign text."""
    used_bytes: int
    pid: int
    """Of the first process that was found to hold it."""


@dataclass(frozen=True, slots=True)
class FilesSeen:
    """What was answered."""

    mounts: tuple[MountUse, ...] = ()
    of_kernel: int = 0
    """Mounts of the kernel's own: ``/proc``, ``/sys``, devices, and what hides parts of them."""
    processes: tuple[OpenFiles, ...] = ()
    """The highest share of the limit first."""
    unseen: int = 0
    """Processes that were left out, or may not be looked at."""
    deleted: tuple[Deleted, ...] = ()
    """The biggest first; each once."""
    disk: DiskUse | None = None
    """What walks have brought."""
    problems: tuple[Problem, ...] = ()


class LayerSizes(NamedTuple):
    """What a runtime says of a container's size, when it is asked to count."""

    layer_bytes: int | None
    """The lengths of the files that it has written, holes counted."""
    whole_bytes: int | None
    """The same with its image."""

    @property
    def image_bytes(self) -> int | None:
        """The image alone."""
        return None if self.whole_bytes is None else self.whole_bytes - (self.layer_bytes or 0)
