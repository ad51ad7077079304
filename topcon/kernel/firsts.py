"""The first process of each container: whose namespaces it lives in, and whose children all others are."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.kernel.process import ProcFs
    from topcon.model.sample import CgroupPath, CgroupSample, FoundContainer, ProcessSample


class _First(NamedTuple):
    """What was found in a cgroup."""

    inode: int
    process: ProcessSample | None


class FirstProcesses:
    """Finds the first process of each container, and keeps it for as long as it runs."""

    def __init__(self, processes: ProcFs, pids_of: Callable[[CgroupPath], list[int]]) -> None:
        """Look at ``processes``; ``pids_of`` says which are in a cgroup, its descendants' left out."""
        self._processes = processes
        self._pids_of = pids_of
        self._found: Mapping[CgroupPath, FoundContainer] = {}
        self._inodes: Mapping[CgroupPath, int] = {}
        self._cgroups: Mapping[CgroupPath, CgroupSample] = {}
        self._sorted: tuple[Mapping[CgroupPath, int], Sequence[CgroupPath]] = {}, ()
        self._firsts: dict[CgroupPath, _First] = {}
        self._malformed: ParseError | None = None
        self._processes_of: Mapping[CgroupPath, ProcessSample] = {}

    def find(
        self,
        found: Mapping[CgroupPath, FoundContainer],
        inodes: Mapping[CgroupPath, int],
        cgroups: Mapping[CgroupPath, CgroupSample],
        boot_ns: int,
    ) -> tuple[Mapping[CgroupPath, ProcessSample], ParseError | None]:
        """Return the first process of each cgroup that a container was found in, and the first file not understood.

        Only what has changed is looked at: no process begins or ends while its cgroup does nothing at all. The same
        mapping as the last time if all are the same. ``boot_ns`` is when the host was started, since 1970.
        """
        old, self._cgroups = self._cgroups, cgroups
        are_same = inodes is self._inodes and not self._malformed
        if are_same and cgroups is old:
            return self._processes_of, None
        if not are_same:
            self._firsts = {path: first for path, first in self._firsts.items() if first.inode == inodes.get(path)}
        self._found, self._inodes, self._malformed = found, inodes, None
        for path in found:
            cgroup, before = cgroups.get(path), old.get(path)
            if cgroup is before and are_same:
                continue
            first = self._firsts.pop(path, None)
            if cgroup is not None:
                try:
                    if first is None or first.process is None or self._may_have_ended(first.process, cgroup, before):
                        first = _First(inodes[path], self._look(path, boot_ns))
                    self._firsts[path] = first
                except ParseError as error:
                    self._malformed = self._malformed or error
        processes = {path: first.process for path in found if (first := self._firsts.get(path)) and first.process}
        if processes != self._processes_of:
            self._processes_of = processes
        return self._processes_of, self._malformed

    def _may_have_ended(self, process: ProcessSample, cgroup: CgroupSample, before: CgroupSample | None) -> bool:
        """Look only where the number of tasks has changed: a first process does not end without that."""
        tasks, events = (before.pids, before.events) if before is not None else (None, None)
        if tasks is not None and tasks is cgroup.pids and events is cgroup.events:
            return False
        return not self._processes.is_running(process)

    def _look(self, path: CgroupPath, boot_ns: int) -> ProcessSample | None:
        """Look in the container's cgroup, then in those below: a systemd or crun inside moves its processes there."""
        pids = self._pids_of(path) or next((pids for each in self._below(path) if (pids := self._pids_of(each))), [])
        return self._processes.first_of(pids, boot_ns) if pids else None

    def _below(self, path: CgroupPath) -> Iterator[CgroupPath]:
        """List the cgroups inside a container, in the order of their paths; those of one nested in it are its own."""
        if self._sorted[0] is not self._inodes:
            self._sorted = self._inodes, sorted(self._inodes)
        paths, below = self._sorted[1], f"{path}/"
        nested: tuple[str, ...] = ()
        for at in range(bisect_left(paths, below), len(paths)):
            each = paths[at]
            if not each.startswith(below):
                return
            if each in self._found:
                nested = (*nested, f"{each}/")
            elif not each.startswith(nested):
                yield each
