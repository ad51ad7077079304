"""What processes hold open, and files among it that have no name any more.

Kernel documents: proc_pid_fd(5), proc_pid_limits(5), cgroups(7)
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from topcon.kernel.disk import BLOCK_BYTES
from topcon.kernel.files import Access, with_those_below
from topcon.kernel.tasks import MOST_DESCRIPTORS, parse_open_files_limit
from topcon.model.files import OpenFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.model.sample import Device
    from topcon.model.snapshot import ContainerNode

_GONE = " (deleted)"
_OF_MEMORY = ("/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage", "/[aio]")
"""What has such a name was never on a disk."""


class Nameless(NamedTuple):
    """A file that is held open, and has no name any more."""

    device: Device
    inode: int
    path: str
    """Its last name, as the process saw it."""
    used_bytes: int


class Descriptors(NamedTuple):
    """What a process holds open."""

    held: int
    nameless: list[Nameless]
    is_whole: bool
    """Whether each of them was looked at."""


def last_name(link: str) -> str | None:
    """Return the last name of a file on a disk, of where ``/proc/PID/fd/N`` points; None if it may have one still.

    A file may be called so, too: only its inode tells.
    """
    if not link.startswith("/") or not link.endswith(_GONE) or link.startswith(_OF_MEMORY):
        return None
    return link.removesuffix(_GONE)


def read_descriptors(proc_root: str, pid: int, access: Access) -> Descriptors | None:
    """Look at what a process holds open; None if it has ended, or may not be looked at."""
    directory = f"{proc_root}/{pid}/fd"
    try:
        names = os.listdir(directory)  # noqa: PTH208  names are wanted
    except OSError as error:
        access.note(error, directory)
        return None
    nameless = []
    for name in names[:MOST_DESCRIPTORS]:
        path = f"{directory}/{name}"
        last = last_name(access.link(path) or "")
        found = _nameless(path, last) if last is not None else None
        if found is not None:
            nameless.append(found)
    return Descriptors(len(names), nameless, len(names) <= MOST_DESCRIPTORS)


def _nameless(path: str, last: str) -> Nameless | None:
    try:
        status = os.stat(path)  # noqa: PTH116  as elsewhere in /proc
    except OSError:
        # Closed meanwhile.
        return None
    if status.st_nlink or not stat.S_ISREG(status.st_mode):
        return None
    device = os.major(status.st_dev), os.minor(status.st_dev)
    return Nameless(device, status.st_ino, last, status.st_blocks * BLOCK_BYTES)


def read_open_files(proc_root: str, pid: int, count: int, access: Access) -> OpenFiles | None:
    """Set what a process holds open against what it may; None if it has ended."""
    comm, path = access.read(f"{proc_root}/{pid}/comm"), f"{proc_root}/{pid}/limits"
    limits = access.read(path)
    if comm is None or limits is None:
        return None
    name = comm.decode(errors="replace").removesuffix("\n")
    return OpenFiles(pid, name, count, parse_open_files_limit(limits, path))


def pids_of(hierarchies: Sequence[str], node: ContainerNode, access: Access) -> list[int]:
    """Return the processes of a container: those in its cgroup and below it, or else its first one."""
    if node.cgroup is None:
        return [node.process.pid] if node.process else []
    found: set[int] = set()
    for directory in hierarchies:
        for cgroup in with_those_below(f"{directory}{node.cgroup.path}"):
            raw = access.read(f"{cgroup}/cgroup.procs") or b""
            found.update(pid for pid in map(int, raw.split()) if pid > 0)
        if found:
            break
    return sorted(found)
