"""The files of one container: what is mounted and how full that is, what its processes hold open.

Kernel documents: proc_pid_mountinfo(5), statvfs(3), proc_pid_fd(5)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.disk import room_of
from topcon.kernel.files import Access
from topcon.kernel.mount import parse_mountinfo
from topcon.kernel.openfiles import pids_of, read_descriptors, read_open_files
from topcon.kernel.written import in_force, kind_of, name_of, outside_of
from topcon.model.files import Deleted, FilesSeen, MountKind, MountUse
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from topcon.kernel.mount import Mount
    from topcon.kernel.usage import DiskWalker
    from topcon.kernel.written import Outside
    from topcon.model.disk import DiskUse
    from topcon.model.files import OpenFiles
    from topcon.model.snapshot import ContainerNode

MOST_PROCESSES = 2000
"""So many are looked at; the others are counted."""

_TO_LOOK = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW


class FilesReader:
    """Looks at the files of a container when somebody asks."""

    def __init__(self, proc_root: str, hierarchies: Sequence[str], walker: DiskWalker) -> None:
        """Read below ``proc_root``; ``walker`` walks through what the container writes, meanwhile."""
        self._proc_root = proc_root
        self._hierarchies = hierarchies
        self._walker = walker

    def walk(self, nodes: Iterable[ContainerNode]) -> DiskUse:
        """Say what is known of these containers, and have it read on."""
        return self._walker.look(nodes)

    def read(self, node: ContainerNode) -> FilesSeen:
        """Look at a container; of one without processes that is no more than what walks bring."""
        disk = self._walker.look((node,), node.key)
        if node.process is None:
            return FilesSeen(disk=disk, problems=disk.problems)
        access, problems = Access(), list(disk.problems)
        mounts: tuple[MountUse, ...] = ()
        of_kernel = 0
        try:
            mounts, of_kernel = self._mounts(node.process.pid, access)
            processes, unseen, deleted = self._open_files(node, access)
        except ParseError as error:
            problems.append(Problem("files", str(error)))
            processes, unseen, deleted = (), 0, ()
        if access.refused:
            problems.append(Problem("files", f"permission denied at {access.refused}", "sudo topcon"))
        return FilesSeen(mounts, of_kernel, processes, unseen, deleted, disk, tuple(problems))

    def _mounts(self, pid: int, access: Access) -> tuple[tuple[MountUse, ...], int]:
        path, host = f"{self._proc_root}/{pid}/mountinfo", f"{self._proc_root}/1/mountinfo"
        mounts = in_force(parse_mountinfo(access.read(path) or b"", path))
        outside = outside_of(parse_mountinfo(access.read(host) or b"", host))
        kinds = [(mount, kind) for mount in mounts if (kind := kind_of(mount)) is not None]
        return tuple(self._use(pid, mount, kind, outside, access) for mount, kind in kinds), len(mounts) - len(kinds)

    def _use(self, pid: int, mount: Mount, kind: MountKind, outside: Outside, access: Access) -> MountUse:
        room = None if kind is MountKind.NETWORK else self._room(pid, mount, access)
        use = MountUse(
            mount.point,
            kind,
            name_of(mount, kind, outside),
            mount.fstype,
            mount.is_read_only,
            any(peer.startswith("shared:") for peer in mount.peers),
        )
        if room is None:
            return use
        return use._replace(
            size_bytes=room.f_blocks * room.f_frsize,
            used_bytes=(room.f_blocks - room.f_bfree) * room.f_frsize,
            available_bytes=room.f_bavail * room.f_frsize,
            inodes=room.f_files,
            inodes_free=room.f_ffree,
        )

    def _room(self, pid: int, mount: Mount, access: Access) -> os.statvfs_result | None:
        """Ask a mount how full its file system is; the container may have put something else in its place."""
        return room_of(f"{self._proc_root}/{pid}/root{mount.point}", _TO_LOOK, mount.id, access)

    def _open_files(
        self, node: ContainerNode, access: Access
    ) -> tuple[tuple[OpenFiles, ...], int, tuple[Deleted, ...]]:
        """Look at its processes, the fullest first, and at the files without a name that they hold, each once."""
        pids = pids_of(self._hierarchies, node, access)
        processes: list[OpenFiles] = []
        deleted: dict[object, Deleted] = {}
        for pid in pids[:MOST_PROCESSES]:
            descriptors = read_descriptors(self._proc_root, pid, access)
            if descriptors is None:
                continue
            found = read_open_files(self._proc_root, pid, descriptors.held, access)
            if found is not None:
                processes.append(found)
            for each in descriptors.nameless:
                deleted.setdefault((each.device, each.inode), Deleted(each.path, each.used_bytes, pid))
        processes.sort(key=lambda each: (-(each.share or 0), -each.descriptors, each.pid))
        by_size = sorted(deleted.values(), key=lambda each: -each.used_bytes)
        return tuple(processes), len(pids) - len(processes), tuple(by_size)
