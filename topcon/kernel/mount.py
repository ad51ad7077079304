"""What is mounted (proc_pid_mountinfo(5)): the cgroup hierarchies among it, and so which version the host runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import Access, read_small
from topcon.model.sample import CgroupMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.sample import Device

CGROUP_ROOT = "/sys/fs/cgroup"
V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids", "freezer")
"""The controllers of version 1 that topcon reads."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    device: Device
    """Of its files; the major number is 0 where the file system makes numbers of its own up, as btrfs does."""
    root: str
    """The directory of the file system that is its root: ``/`` unless only a part is mounted."""
    point: str
    fstype: str
    source: str
    options: frozenset[str]
    """The super block's options, as they are written; for cgroup v1 they name the controllers."""
    id: int = field(default=0, compare=False)
    """Its number, as ``/proc/PID/fdinfo`` has it too; used again after it is gone."""
    flags: frozenset[str] = field(default=frozenset(), compare=False)
    """The mount's own options, such as ``ro``."""
    peers: tuple[str, ...] = field(default=(), compare=False)
    """How mounts below it spread: ``shared:1``, ``master:1``; empty where it is private."""

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written through it."""
        return "ro" in self.flags or "ro" in self.options


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The mounted cgroup hierarchies, as directories that can be read from here."""

    v2: str | None
    v1: Mapping[str, str]
    """Controller to directory; a controller that version 2 has is not in it."""
    is_partial: bool
    """Whether only a subtree is visible, as from within a container."""

    @property
    def mode(self) -> CgroupMode | None:
        """Which version the host runs; None if no hierarchy is mounted."""
        if self.v2 is not None:
            return CgroupMode.HYBRID if self.v1 else CgroupMode.V2
        return CgroupMode.V1 if self.v1 else None

    @property
    def walked(self) -> tuple[str, ...]:
        """The hierarchies to look for cgroups in: version 2, and one of version 1's.

        A runtime makes a container's directory in all that it uses, but old ones leave version 2's out.
        """
        v1 = next((self.v1[name] for name in ("memory", "pids", "cpuacct", "cpu", "blkio") if name in self.v1), None)
        return tuple(directory for directory in (self.v2, v1) if directory is not None)


def parse_mountinfo(raw: bytes, path: str) -> list[Mount]:
    r"""Parse mountinfo; octal escapes such as ``\040`` are resolved.

    ::

        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
    """
    mounts = []
    # Only the kernel's own line ends: names can hold what Python takes for others.
    for line in raw.decode(errors="surrogateescape").removesuffix("\n").split("\n") if raw else ():
        before, _, after = line.partition(" - ")
        try:
            number, _, numbers, root, point, flags, *peers = before.split(" ")
            major, minor = map(int, numbers.split(":"))
            mount_id = int(number)
            fstype, source, options = after.split(" ", 2)
        except ValueError:
            raise ParseError(path, line) from None
        mounts.append(
            Mount(
                device=(major, minor),
                root=unescape(root),
                point=unescape(point),
                fstype=fstype,
                source=unescape(source),
                options=frozenset(options.split(",")),
                id=mount_id,
                flags=frozenset(flags.split(",")),
                peers=tuple(peers),
            )
        )
    return mounts


def unescape(text: str) -> str:
    r"""Resolve the octal escapes of mountinfo, such as ``\040``; each is a byte."""
    raw = text.encode(errors="surrogateescape")
    raw = re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), raw)
    return raw.decode(errors="surrogateescape")


def read_hierarchies(proc_root: str, cgroup_root: str) -> Hierarchies:
    """Find the hierarchies in ``PROC_ROOT/self/mountinfo``.

    Mounts at or below ``cgroup_root`` are taken as they stand. Where there are none, mountinfo is another mount
    namespace's (the host's, seen from a container): its ``/sys/fs/cgroup`` is then read at ``cgroup_root``.

    Raises:
        ParseError: mountinfo is not in the documented form.
    """
    path = f"{proc_root}/self/mountinfo"
    mounts = [mount for mount in parse_mountinfo(read_small(path) or b"", path) if mount.fstype in _FSTYPES]
    here = [(mount, mount.point) for mount in mounts if is_below(mount.point, cgroup_root)]
    if not here:
        here = [
            (mount, cgroup_root + mount.point.removeprefix(CGROUP_ROOT))
            for mount in mounts
            if is_below(mount.point, CGROUP_ROOT)
        ]
    if not here and cgroup_root == CGROUP_ROOT:
        here = [(mount, mount.point) for mount in mounts]
    v2 = next(((mount, point) for mount, point in here if mount.fstype == "cgroup2"), None)
    v1 = {
        name: (mount, point)
        for mount, point in reversed(here)
        if mount.fstype == "cgroup"
        for name in V1_CONTROLLERS
        if name in mount.options
    }
    return Hierarchies(
        v2=v2[1] if v2 else None,
        v1={name: v1[name][1] for name in V1_CONTROLLERS if name in v1},
        is_partial=any(mount.root != "/" for mount, _ in [*v1.values(), *([v2] if v2 else [])])
        # Below a cgroup namespace the mount's root looks like the root, but only the real one has no type.
        or (v2 is not None and Access().read(f"{v2[1]}/cgroup.type") is not None),
    )


_FSTYPES = frozenset({"cgroup", "cgroup2"})


def seen_from(mount: Mount, outside: Iterable[Mount]) -> str | None:
    """Return where the root of a mount is to be seen among other mounts; None if it is in none of them.

    Of several the one that shows the least more.
    """
    around = [each for each in outside if each.device == mount.device and is_below(mount.root, each.root)]
    best = max(around, key=lambda each: len(each.root), default=None)
    if best is None:
        return None
    return (best.point.rstrip("/") + mount.root[len(best.root.rstrip("/")) :]).rstrip("/") or "/"


def is_below(point: str, directory: str) -> bool:
    """Whether a path is a directory or in it."""
    return point == directory or point.startswith(directory.rstrip("/") + "/")
