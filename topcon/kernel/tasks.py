"""The processes and threads of cgroups: what they do, how long they ran, what they hold open.

Kernel documents: proc_pid_stat(5), proc_pid_fd(5), proc_pid_limits(5), https://docs.kernel.org/scheduler/sched-stats.html
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import REFUSED, Access
from topcon.kernel.isolated import parse_process_cgroups
from topcon.kernel.process import parse_stat
from topcon.model.sample import ROOT, TaskStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from topcon.kernel.process import ProcessStat
    from topcon.kernel.target import Target
    from topcon.model.sample import CgroupPath

SMOOTHED_S = 10.0
"""How long back the smoothed numbers of threads look."""
MOST_DESCRIPTORS = 4096
"""Of a process that holds more open, nobody looks what each is."""
PIECE = 200
"""After so many threads others are let have their turn."""

_READ_BYTES = 4096
_RUNNABLE, _UNINTERRUPTIBLE, _ZOMBIE = "R", "D", "Z"


def parse_schedstat(raw: bytes, path: str) -> tuple[int, int, int]:
    """Parse ``schedstat``: nanoseconds on a CPU, nanoseconds waited for one, times on one."""
    try:
        run_ns, delay_ns, periods = map(int, raw.split())
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None
    return run_ns, delay_ns, periods


def parse_open_files_limit(raw: bytes, path: str) -> int | None:
    """Return the soft limit of open files in ``/proc/PID/limits``; None for no limit, or no such line.

    ::

        Max open files            1024                 1048576              files
    """
    _, found, rest = raw.partition(b"Max open files ")
    soft = rest.split(None, 1)[0] if found and rest.strip() else b"unlimited"
    try:
        return None if soft == b"unlimited" else int(soft)
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


@dataclass(slots=True)
class _Memory:
    """What is kept of a cgroup from one count to the next."""

    threads: dict[int, tuple[int, tuple[int, int, int]]] = field(default_factory=dict)
    """Living ones by their id: start time, and what they last had."""
    ended: tuple[int, int, int] = (0, 0, 0)
    """What those had that are no more."""
    runnable: float = 0.0
    uninterruptible: float = 0.0
    counted_s: float | None = None


@dataclass(slots=True)
class _Count:
    """What is counted of a cgroup in one go."""

    processes: int = 0
    states: Counter[str] = field(default_factory=Counter)
    zombies: int = 0
    threads: dict[int, tuple[int, tuple[int, int, int]]] = field(default_factory=dict)
    open_files: int | None = 0
    sockets: int | None = 0
    open_files_limit: int | None = None


class TaskCounts:
    """Counts the tasks of cgroups, and remembers of each cgroup what its ended threads had.

    A thread that began and ended between two counts is never seen, and its time is lost; so is what others ran between
    the last count and their end.
    """

    def __init__(self, root: str, pids_of: Callable[[CgroupPath], list[int]], breathe: Callable[[], object]) -> None:
        """Read below ``root``, usually ``/proc``; ``pids_of`` says which processes are in a cgroup itself.

        ``breathe`` is called now and then, to let other threads have their turn.
        """
        self._root = root
        self._pids_of = pids_of
        self._breathe = breathe
        # What is refused is unknown; that it is, the sampler tells.
        self._access = Access()
        self._memories: dict[CgroupPath, _Memory] = {}
        self._has_schedstat = False
        self._looked_at = 0

    def read(self, targets: Iterable[Target], now_s: float) -> tuple[dict[CgroupPath, TaskStat], list[ParseError]]:
        """Count the tasks of the targets, and return what was not understood; ``now_s`` is on a monotonic clock."""
        counts: dict[CgroupPath, _Count] = {}
        homes: dict[int, CgroupPath] = {}
        malformed = []
        # On version 1 and hybrid hosts the root of a hierarchy may list what is in a cgroup of another one: it is asked
        # last, and has the rest.
        targets = sorted((target for target in targets if target.cgroups), key=lambda target: target.path == ROOT)
        self._memories = {target.path: self._memories.get(target.path) or _Memory() for target in targets}
        for target in targets:
            try:
                counts[target.path] = self._count(target, homes)
            except ParseError as error:
                malformed.append(error)
        try:
            self._count_zombies({cgroup: target.path for target in targets for cgroup in target.cgroups}, homes, counts)
        except ParseError as error:
            malformed.append(error)
        return {path: self._stat(self._memories[path], count, now_s) for path, count in counts.items()}, malformed

    def _count(self, target: Target, homes: dict[int, CgroupPath]) -> _Count:
        count = _Count()
        pids = [pid for pid in self._pids_of(target.cgroups[0]) if pid not in homes]
        count.processes = len(pids)
        pids += [pid for cgroup in target.cgroups[1:] for pid in self._pids_of(cgroup) if pid not in homes]
        for pid in pids:
            homes[pid] = target.path
            self._look_at(pid, count)
        if first := target.pid or next(iter(pids), None):
            path = f"{self._root}/{first}/limits"
            raw = self._access.read(path)
            count.open_files_limit = parse_open_files_limit(raw, path) if raw else None
        return count

    def _look_at(self, pid: int, count: _Count) -> None:
        directory = f"{self._root}/{pid}"
        process = self._line(directory)
        if process is None:
            return
        if process.threads <= 1:
            self._add(pid, process, directory, count)
            if process.state == _ZOMBIE:
                count.zombies += 1
                return
        else:
            self._add_threads(directory, count)
        self._add_descriptors(f"{directory}/fd", count)

    def _add_threads(self, directory: str, count: _Count) -> None:
        for name in self._names(f"{directory}/task") or ():
            thread = f"{directory}/task/{name}"
            line = self._line(thread)
            if line is not None:
                self._add(int(name), line, thread, count)

    def _add(self, tid: int, line: ProcessStat, directory: str, count: _Count) -> None:
        self._looked_at += 1
        if self._looked_at % PIECE == 0:
            self._breathe()
        count.states[line.state] += 1
        path = f"{directory}/schedstat"
        raw = self._read(path)
        if raw:
            self._has_schedstat = True
            count.threads[tid] = line.start_ticks, parse_schedstat(raw, path)

    def _add_descriptors(self, directory: str, count: _Count) -> None:
        if count.open_files is None:
            # Once refused, the sum is not known, whatever the others hold.
            return
        names = self._names(directory)
        if names is None:
            count.open_files = count.sockets = None
            return
        count.open_files += len(names)
        if len(names) > MOST_DESCRIPTORS:
            count.sockets = None
        if count.sockets is not None:
            count.sockets += sum(self._is_socket(f"{directory}/{name}") for name in names)

    def _is_socket(self, path: str) -> bool:
        try:
            return os.readlink(path).startswith("socket:[")  # noqa: PTH115  hot path
        except OSError as error:
            self._access.note(error, path)
            return False

    def _count_zombies(
        self, owners: dict[CgroupPath, CgroupPath], homes: dict[int, CgroupPath], counts: dict[CgroupPath, _Count]
    ) -> None:
        """Count the processes that the kernel lists in no cgroup any more, since they have ended.

        One belongs where it was; where the kernel has forgotten that, as version 1 does, to its parent's cgroup.
        """
        for name in self._names(self._root) or ():
            if not name.isdigit() or int(name) in homes:
                continue
            line = self._line(f"{self._root}/{name}")
            if line is None or line.state != _ZOMBIE or line.threads > 1:
                continue
            path = f"{self._root}/{name}/cgroup"
            cgroups = parse_process_cgroups(self._access.read(path) or b"", path).values()
            own = next((owners[cgroup] for cgroup in cgroups if cgroup != ROOT and cgroup in owners), None)
            home = own or homes.get(line.ppid)
            count = counts.get(home) if home else None
            if count is not None:
                count.zombies += 1
                count.states[_ZOMBIE] += 1

    def _stat(self, memory: _Memory, count: _Count, now_s: float) -> TaskStat:
        for tid, (start_ticks, had) in memory.threads.items():
            lives = count.threads.get(tid)
            if lives is None or lives[0] != start_ticks:
                memory.ended = _sum((memory.ended, had))
        memory.threads = count.threads
        kept = 0.0 if memory.counted_s is None else math.exp(-max(now_s - memory.counted_s, 0.0) / SMOOTHED_S)
        memory.counted_s = now_s
        memory.runnable = memory.runnable * kept + count.states[_RUNNABLE] * (1 - kept)
        memory.uninterruptible = memory.uninterruptible * kept + count.states[_UNINTERRUPTIBLE] * (1 - kept)
        run_ns, delay_ns, periods = _sum((memory.ended, *(had for _, had in memory.threads.values())))
        has_schedstat = self._has_schedstat
        return TaskStat(
            processes=count.processes,
            states=dict(+count.states),
            zombies=count.zombies,
            run_s=run_ns / 1e9 if has_schedstat else None,
            run_delay_s=delay_ns / 1e9 if has_schedstat else None,
            run_periods=periods if has_schedstat else None,
            runnable=memory.runnable,
            uninterruptible=memory.uninterruptible,
            open_files=count.open_files,
            sockets=count.sockets,
            open_files_limit=count.open_files_limit,
        )

    def _line(self, directory: str) -> ProcessStat | None:
        path = f"{directory}/stat"
        raw = self._read(path)
        return parse_stat(raw, path) if raw else None

    def _read(self, path: str) -> bytes | None:
        """Read a file of one line in one read, without looking for its end: the hot path."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.read(fd, _READ_BYTES)
            finally:
                os.close(fd)
        except OSError as error:
            self._access.note(error, path)
            return None

    def _names(self, directory: str) -> list[str] | None:
        """List a directory; empty if it is gone, None if that is refused."""
        try:
            return os.listdir(directory)  # noqa: PTH208  hot path
        except OSError as error:
            self._access.note(error, directory)
            return None if error.errno in REFUSED else []


def _sum(amounts: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    run_ns, delay_ns, periods = (sum(column) for column in zip(*amounts, strict=True))
    return run_ns, delay_ns, periods
