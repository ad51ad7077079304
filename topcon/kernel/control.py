"""What the kernel itself can do to a container: signal its first process, kill, freeze and thaw its cgroup.

pidfd_open(2), pidfd_send_signal(2); https://docs.kernel.org/admin-guide/cgroup-v2.html (``cgroup.kill``,
``cgroup.freeze``) and https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html

Nothing is done to another process or cgroup than the one that was seen: a process is its pid and start, a cgroup its
path and inode. All functions raise `ActionFailed` with the reason where something is not done.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.errors import ActionFailed
from topcon.kernel.files import ABSENT, REFUSED, read_small
from topcon.kernel.process import parse_stat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.kernel.mount import Hierarchies
    from topcon.model.sample import CgroupPath, ProcessSample

SETTLE_S = 5.0
"""How long all tasks may take to freeze or to thaw."""
KILL_S = 10.0
"""How long processes may take to end after SIGKILL."""
LOOK_S = 0.01
"""Between two looks at a cgroup that changes."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A container's cgroup as it was seen."""

    hierarchies: Hierarchies
    path: CgroupPath
    inode: int

    @property
    def directories(self) -> tuple[str, ...]:
        """Where it may be, in the order in which the inode was looked for."""
        return tuple(f"{directory}{self.path}" for directory in self.hierarchies.walked)


@dataclass(frozen=True, slots=True)
class _Freezer:
    """The file that freezes a cgroup, and the lines by which a file tells that it is done."""

    name: str
    orders: tuple[bytes, bytes]
    """To thaw, to freeze."""
    told_by: str
    lines: tuple[bytes, bytes]
    """Thawed, frozen."""


_V2 = _Freezer("cgroup.freeze", (b"0", b"1"), "cgroup.events", (b"frozen 0", b"frozen 1"))
_V1 = _Freezer("freezer.state", (b"THAWED", b"FROZEN"), "freezer.state", (b"THAWED", b"FROZEN"))


def may_signal(proc_root: str, process: ProcessSample) -> bool:
    """Whether we may signal a process, cheaply: it is looked at again when it is signalled."""
    try:
        # Below another root there may be another pid namespace's processes, of which we cannot signal any.
        if os.readlink(f"{proc_root}/self") != str(os.getpid()):  # noqa: PTH115  a string is wanted
            return False
        os.kill(process.pid, 0)
    except OSError:
        return False
    return process.pid > 1


def may_kill(cgroup: Cgroup) -> bool:
    """Whether we may kill a cgroup at once."""
    return cgroup.path != "/" and any(_is_writable(f"{each}/cgroup.kill") for each in cgroup.directories)


def may_freeze(cgroup: Cgroup) -> bool:
    """Whether we may freeze and thaw a cgroup."""
    directory, freezer = _freezer(cgroup)
    return cgroup.path != "/" and _is_writable(f"{directory}/{freezer.name}")


def _is_writable(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def send_signal(proc_root: str, process: ProcessSample, number: int) -> None:
    """Signal a process."""
    with _opened(proc_root, process) as pidfd, _explained(f"process {process.pid}"):
        signal.pidfd_send_signal(pidfd, number)


def stop(proc_root: str, process: ProcessSample, cgroup: Cgroup, number: int, grace_s: float) -> None:
    """Signal the first process, thaw what is frozen, and kill what is left after the grace period."""
    _check_is_there(cgroup)
    with _opened(proc_root, process) as pidfd:
        with _explained(f"process {process.pid}"):
            signal.pidfd_send_signal(pidfd, number)
        until_s = time.monotonic() + grace_s
        if is_frozen(cgroup):
            # Not before the signal is there, so that it is the first thing that is seen.
            thaw(cgroup)
        wait_for_end(pidfd, grace_s)
    while pids := _pids(cgroup):
        if time.monotonic() >= until_s:
            _kill(cgroup, pids)
            return
        time.sleep(LOOK_S)


def wait_for_end(pidfd: int, timeout_s: float) -> bool:
    """Wait for a process to end; return whether it has."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def kill(cgroup: Cgroup) -> None:
    """Kill all processes of a cgroup and of those below, and wait for their end."""
    _check_is_there(cgroup)
    _kill(cgroup, _pids(cgroup))


def freeze(cgroup: Cgroup) -> None:
    """Freeze all processes of a cgroup; those that cannot all be frozen are left as they were."""
    _check_is_there(cgroup)
    if not _turn(cgroup, to_frozen=True):
        _turn(cgroup, to_frozen=False)
        message = f"a process of it cannot be frozen, not within {SETTLE_S:g} s: all are thawed again"
        raise ActionFailed(message)


def thaw(cgroup: Cgroup) -> None:
    """Let the processes of a frozen cgroup run again."""
    _check_is_there(cgroup)
    if not _turn(cgroup, to_frozen=False):
        message = f"it is still frozen after {SETTLE_S:g} s: thaw the cgroup above it"
        raise ActionFailed(message)


def is_frozen(cgroup: Cgroup) -> bool:
    """Whether a cgroup is frozen, or about to be; told by the same file as `CgroupEvents.frozen`."""
    directory, freezer = _freezer(cgroup)
    raw = read_small(f"{directory}/{freezer.told_by}")
    return raw is not None and freezer.lines[False] not in raw.splitlines()


def _freezer(cgroup: Cgroup) -> tuple[str, _Freezer]:
    """Return the directory and the files that freeze a cgroup: of version 1 wherever its freezer is mounted."""
    v1 = cgroup.hierarchies.v1.get("freezer")
    return (f"{cgroup.hierarchies.v2 or ''}{cgroup.path}", _V2) if v1 is None else (f"{v1}{cgroup.path}", _V1)


def _turn(cgroup: Cgroup, *, to_frozen: bool) -> bool:
    """Freeze or thaw, and wait for all tasks to be so; return whether they are."""
    directory, freezer = _freezer(cgroup)
    until_s = time.monotonic() + SETTLE_S
    while True:
        # Written again each time: version 1 forgets those that were made while it froze.
        _write(f"{directory}/{freezer.name}", freezer.orders[to_frozen])
        if freezer.lines[to_frozen] in (read_small(f"{directory}/{freezer.told_by}") or b"").splitlines():
            return True
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_S)


def _kill(cgroup: Cgroup, pids: set[int]) -> None:
    is_killed = _kill_at_once(cgroup)
    _kill_each(cgroup, pids, may_be_refused=is_killed)
    if _freezer(cgroup)[1] is _V1 and is_frozen(cgroup):
        # What version 1 has frozen does not see the signal.
        thaw(cgroup)
    until_s = time.monotonic() + KILL_S
    while pids := _pids(cgroup):
        if time.monotonic() >= until_s:
            message = f"{len(pids)} of its processes have not ended {KILL_S:g} s after SIGKILL"
            raise ActionFailed(message)
        _kill_each(cgroup, pids, may_be_refused=is_killed)
        time.sleep(LOOK_S)


def _kill_at_once(cgroup: Cgroup) -> bool:
    """Write ``cgroup.kill``, which misses no fork; False where there is none, or not for us."""
    for directory in cgroup.directories:
        # Through the directory's descriptor, so that it is no other that has taken the path meanwhile.
        with _directory(directory) as fd:
            if fd is None or os.fstat(fd).st_ino != cgroup.inode:
                continue
            try:
                file = os.open("cgroup.kill", os.O_WRONLY | os.O_CLOEXEC, dir_fd=fd)
            except OSError:
                continue
            try:
                os.write(file, b"1")
            except OSError:
                continue
            finally:
                os.close(file)
            return True
    return False


@contextmanager
def _directory(path: str) -> Iterator[int | None]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _kill_each(cgroup: Cgroup, pids: set[int], *, may_be_refused: bool) -> None:
    pidfds = {pid: pidfd for pid in pids if (pidfd := _pidfd(pid)) is not None}
    try:
        # A pid that is still the cgroup's belongs to the process that was opened, or to none that lives.
        for pid in pidfds.keys() & _pids(cgroup):
            try:
                signal.pidfd_send_signal(pidfds[pid], signal.SIGKILL)
            except PermissionError:
                if not may_be_refused:
                    message = f"permission denied at process {pid}: root may"
                    raise ActionFailed(message) from None
            except ProcessLookupError:
                continue
    finally:
        for pidfd in pidfds.values():
            os.close(pidfd)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        # Threads of a threaded cgroup are listed too, and have no pidfd of their own.
        if error.errno in {errno.ESRCH, errno.EINVAL, errno.ENOENT}:
            return None
        raise ActionFailed(error.strerror) from error


def _pids(cgroup: Cgroup) -> set[int]:
    """Return the processes of a cgroup and of those below; none if it has gone, even if another has its path."""
    if not _is_there(cgroup):
        return set()
    return {
        int(pid)
        for directory in cgroup.directories
        for below, _, _ in os.walk(directory)
        for pid in (read_small(f"{below}/cgroup.procs") or b"").split()
        if pid != b"0"
    }


def _is_there(cgroup: Cgroup) -> bool:
    for directory in cgroup.directories:
        try:
            return os.stat(directory).st_ino == cgroup.inode  # noqa: PTH116  as where the inode was read
        except FileNotFoundError:
            continue
    return False


GONE = "not done: it has ended since you looked; look again"


def _check_is_there(cgroup: Cgroup) -> None:
    if cgroup.path == "/":
        message = "not done: the root cgroup is no container's"
        raise ActionFailed(message)
    if not _is_there(cgroup):
        raise ActionFailed(GONE)


@contextmanager
def _opened(proc_root: str, process: ProcessSample) -> Iterator[int]:
    """Hold the process that was seen, and no other, by a descriptor."""
    with _explained(f"process {process.pid}"):
        pidfd = os.pidfd_open(process.pid)
    try:
        _check_is_same(proc_root, process, pidfd)
        yield pidfd
    finally:
        os.close(pidfd)


def _check_is_same(proc_root: str, process: ProcessSample, pidfd: int) -> None:
    path = f"{proc_root}/{process.pid}/stat"
    raw = read_small(path)
    if raw is None or parse_stat(raw, path).start_ticks != process.start_ticks:
        raise ActionFailed(GONE)
    # The descriptor's pid as PROC_ROOT has it: another one if that shows another pid namespace.
    shown = (read_small(f"{proc_root}/self/fdinfo/{pidfd}") or b"").splitlines()
    if b"Pid:\t-1" in shown:
        raise ActionFailed(GONE)
    if f"Pid:\t{process.pid}".encode() not in shown:
        message = f"not done: process {process.pid} of {proc_root} is not in topcon's own pid namespace"
        raise ActionFailed(message)


def _write(path: str, content: bytes) -> None:
    with _explained(path):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the kernel's refusal into a reason."""
    try:
        yield
    except OSError as error:
        if error.errno in ABSENT:
            raise ActionFailed(GONE) from error
        reason = "permission denied" if error.errno in REFUSED else os.strerror(error.errno or 0).lower()
        remedy = ": root may" if error.errno in REFUSED else ""
        message = f"{reason} at {what}{remedy}"
        raise ActionFailed(message) from error
