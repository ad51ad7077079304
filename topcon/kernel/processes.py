"""The processes of a container, read when somebody looks.

Kernel documents: proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5), proc_pid_uid_map(5), cgroups(7)
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.files import Access, with_those_below
from topcon.kernel.isolated import COMMAND_BYTES, TELLING
from topcon.kernel.process import TICK_NS, parse_ns_pids, status_field
from topcon.model.processes import Members, Process, ProcessTable
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from topcon.kernel.mount import Hierarchies
    from topcon.model.sample import CgroupSample
    from topcon.model.snapshot import ContainerNode

MOST_PROCESSES = 10_000
"""So many are looked at; the others are counted."""
MOST_CONTAINERS = 100
"""A group can have more; the processes of so many are looked at."""
MOST_USERS_BYTES = 1 << 18
"""Of a container's ``/etc/passwd``; it can make its own as long as it likes."""
FORGOTTEN_S = 15.0
"""After so long without a look there is nothing to measure a rate from."""
LOOKS_A_ROUND = 5
"""What does not show in ``stat`` is read again every so many looks, of each process in its turn."""
TICKS_PER_SECOND = 1_000_000_000 // TICK_NS

_WORDS = 22
_USERS = ("etc", "passwd")
_TO_FIND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Stat(NamedTuple):
    """``/proc/PID/stat``, as far as a process is shown by it."""

    comm: str
    state: str
    ppid: int
    cpu_ticks: int
    """User and system time of its threads, the ended ones too."""
    threads: int
    start_ticks: int


class Status(NamedTuple):
    """``/proc/PID/status``, so far."""

    ns_pid: int | None
    uid: int | None
    """Whom it acts as: the effective one, as the reader has it."""
    rss_bytes: int
    """0 where it has no memory: it has ended, or is a part of the kernel."""


class UidRange(NamedTuple):
    """A line of ``uid_map``."""

    inside: int
    outside: int
    length: int


def parse_stat(raw: bytes, path: str) -> Stat:
    """Parse ``/proc/PID/stat``. The command is in brackets and may itself hold brackets and blanks."""
    before, _, after = raw.rpartition(b")")
    words = after.split(None, _WORDS)
    try:
        return Stat(
            comm=before.split(b"(", 1)[1].decode(errors="replace"),
            state=words[0].decode("ascii"),
            ppid=int(words[1]),
            cpu_ticks=int(words[11]) + int(words[12]),
            threads=int(words[17]),
            start_ticks=int(words[19]),
        )
    except (IndexError, ValueError):
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_status(raw: bytes, path: str) -> Status:
    """Parse ``/proc/PID/status``.

    ::

        Uid:    1000    1000    1000    1000
        NSpid:  4711    7
        VmRSS:      1052 kB
    """
    # A name may hold a line's end only as an escape, so no process can write a line of its own.
    uids, pids = status_field(raw, b"Uid"), parse_ns_pids(raw)
    try:
        rss_bytes = int(status_field(raw, b"VmRSS")[0]) * 1024 if b"\nVmRSS:" in raw else 0
        return Status(pids[-1] if pids else None, int(uids[1]) if uids else None, rss_bytes)
    except (IndexError, ValueError):
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_command(raw: bytes) -> str | None:
    """Parse ``/proc/PID/cmdline``: words that end in a NUL each; None if there are none."""
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace") or None


def parse_uid_map(raw: bytes, path: str) -> tuple[UidRange, ...]:
    """Parse ``/proc/PID/uid_map``: the first user inside, the first outside, and how many, a line each."""
    try:
        return tuple(UidRange(*map(int, line.split())) for line in raw.splitlines())
    except (TypeError, ValueError):
        raise ParseError(path, raw.decode(errors="replace")) from None


def to_inside(uid: int, ranges: Sequence[UidRange]) -> int | None:
    """Return what a user is inside; None where it is nobody there."""
    return next((uid - each.outside + each.inside for each in ranges if 0 <= uid - each.outside < each.length), None)


def parse_users(raw: bytes) -> dict[int, str]:
    """Parse ``/etc/passwd`` (passwd(5)): number to name, the first name of a number. What is no such line is passed by.

    ::

        postgres:x:70:70::/var/lib/postgresql:/bin/sh
    """
    users: dict[int, str] = {}
    for line in raw.split(b"\n"):
        words = line.split(b":", 3)
        if len(words) > 3 and words[0] and words[2].isdigit() and len(words[2]) <= 10:  # noqa: PLR2004  32 bits
            users.setdefault(int(words[2]), words[0].decode(errors="replace"))
    return users


def read_users(root: str, pid: int) -> Mapping[int, str]:
    """Read the names that a container has for its users; empty where they cannot be read safely.

    No link is followed, since it could lead out of the container, and nothing but a plain file is opened: to open a
    device can do something.
    """
    directory = _opened(f"{root}/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in _USERS:
        with _closing(directory) as fd:
            if fd is None:
                return {}
            directory = _opened(name, _TO_FIND, fd)
    with _closing(directory) as found:
        if found is None or not stat.S_ISREG(os.fstat(found).st_mode):
            return {}
        # The very file that was looked at, by its descriptor: what bears its name now may be another.
        with _closing(_opened(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)) as file:
            return parse_users(os.read(file, MOST_USERS_BYTES)) if file is not None else {}


def _opened(path: str, flags: int, directory: int | None = None) -> int | None:
    try:
        return os.open(path, flags, dir_fd=directory)
    except OSError:
        return None


@contextmanager
def _closing(fd: int | None) -> Iterator[int | None]:
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


class _Users(NamedTuple):
    """Who is who in a container."""

    ranges: tuple[UidRange, ...] | None
    """None where it may not be read."""
    names: Mapping[int, str]

    def name(self, uid: int | None) -> str | None:
        if uid is None:
            return None
        inside = to_inside(uid, self.ranges) if self.ranges is not None else None
        return self.names.get(inside, str(uid)) if inside is not None else str(uid)


@dataclass(slots=True)
class _Seen:
    """What is kept of a process from one look to the next."""

    raw: bytes
    """Its ``stat``."""
    cpu_ticks: int
    at_ns: int
    uid: int | None
    process: Process


class ProcessReader:
    """Looks at the processes of containers; what it has seen the last time is what rates are measured from."""

    def __init__(self, root: str, hierarchies: Hierarchies) -> None:
        """Read below ``root``, usually ``/proc``, what is in the cgroups of ``hierarchies``."""
        self._root = root
        self._hierarchies = hierarchies
        self._access = Access()
        self._seen: Mapping[int, _Seen] = {}
        self._look = 0

    def read(self, containers: Sequence[ContainerNode]) -> ProcessTable | Problem:
        """Look at the processes of containers, each once."""
        try:
            return self._read(containers)
        except ParseError as error:
            return Problem("processes", str(error))

    def _read(self, containers: Sequence[ContainerNode]) -> ProcessTable | Problem:
        self._look += 1
        now_ticks = self._now_ticks()
        before, seen = self._seen, dict[int, _Seen]()
        members = []
        left_out = listed = 0
        for container in containers[:MOST_CONTAINERS]:
            pids = [pid for pid in self.pids(container) if pid not in seen]
            listed += len(pids)
            kept = pids[: max(MOST_PROCESSES - len(seen), 0)]
            left_out += len(pids) - len(kept)
            users = self._users(container, kept)
            found = [each for pid in kept if (each := self._process(pid, before.get(pid), users)) is not None]
            seen |= {each.process.pid: each for each in found}
            members.append(Members(container.key, tuple(each.process for each in found)))
        # One assignment: a look that takes long may still be under way when the next one begins.
        self._seen = seen
        if listed > left_out and not seen and self._is_hidden():
            return Problem("processes", "this host hides the processes of others (hidepid)", "sudo topcon")
        more = max(len(containers) - MOST_CONTAINERS, 0)
        return ProcessTable(tuple(members), now_ticks, TICKS_PER_SECOND, left_out, more)

    def _is_hidden(self) -> bool:
        """Whether not even the first process of the host can be seen."""
        return self._access.read(f"{self._root}/1/stat") is None

    def _now_ticks(self) -> float:
        path = f"{self._root}/uptime"
        raw = self._access.read(path) or b""
        try:
            return float(raw.split()[0]) * TICKS_PER_SECOND
        except (IndexError, ValueError):
            raise ParseError(path, raw.decode(errors="replace")) from None

    def pids(self, container: ContainerNode) -> list[int]:
        """Return the processes of a container, in the order of their numbers."""
        if container.cgroup is not None:
            return sorted(self._in_cgroup(container.cgroup))
        return sorted(self._in_namespace(container)) if container.process is not None else []

    def _in_cgroup(self, cgroup: CgroupSample) -> set[int]:
        """Return the processes of a cgroup and of those below; none if another has its path by now."""
        pids: set[int] = set()
        is_first = True
        for top in self._hierarchies.walked:
            directory = f"{top}{cgroup.path}"
            try:
                inode = os.stat(directory).st_ino  # noqa: PTH116  as where the inode was read
            except OSError as error:
                self._access.note(error, directory)
                continue
            # Its inode is that of the first place it is in.
            if is_first and inode != cgroup.inode:
                return set()
            is_first = False
            for each in with_those_below(directory):
                pids.update(map(int, (self._access.read(f"{each}/cgroup.procs") or b"").split()))
        # Those that are not in our own pid namespace are listed as 0.
        return pids - {0}

    def _in_namespace(self, container: ContainerNode) -> Iterator[int]:
        """Find the processes in the namespace that makes it a container: it has no cgroup of its own."""
        first = container.process
        own = next(
            (
                (kind, f"{kind}:[{inode}]")
                for kind in TELLING
                if first is not None
                and (inode := getattr(first.namespaces, kind)) is not None
                and container.info.id == str(inode)
            ),
            None,
        )
        if own is None:
            yield from [first.pid] if first is not None else ()
            return
        kind, link = own
        for name in os.listdir(self._root):  # noqa: PTH208  hot path
            if name.isdigit() and self._access.link(f"{self._root}/{name}/ns/{kind}") == link:
                yield int(name)

    def _users(self, container: ContainerNode, pids: Sequence[int]) -> _Users:
        """Read who is who, through the container's first process."""
        pid = container.process.pid if container.process is not None else next(iter(pids), None)
        if pid is None:
            return _Users(None, {})
        path = f"{self._root}/{pid}/uid_map"
        raw = self._access.read(path)
        return _Users(parse_uid_map(raw, path) if raw else None, read_users(self._root, pid))

    def _process(self, pid: int, before: _Seen | None, users: _Users) -> _Seen | None:
        """Look at a process; what has not run since the last time is not read again but in its turn."""
        path = f"{self._root}/{pid}/stat"
        raw = self._access.read(path)
        if not raw:
            return None
        now_ns = time.monotonic_ns()
        if before is not None and raw == before.raw and (pid + self._look) % LOOKS_A_ROUND:
            cores = None if self._is_forgotten(before, now_ns) else 0.0
            process = before.process._replace(cpu_cores=cores, user=users.name(before.uid))
            return _Seen(raw, before.cpu_ticks, now_ns, before.uid, process)
        told = parse_stat(raw, path)
        if before is not None and before.process.start_ticks != told.start_ticks:
            before = None
        status = self._access.read(f"{self._root}/{pid}/status")
        if status is None:
            return None
        ns_pid, uid, rss_bytes = parse_status(status, f"{self._root}/{pid}/status")
        is_known = before is not None and before.process.comm == told.comm and (pid + self._look) % LOOKS_A_ROUND
        process = Process(
            pid=pid,
            start_ticks=told.start_ticks,
            ppid=told.ppid,
            comm=told.comm,
            state=told.state,
            threads=told.threads,
            cpu_cores=self._cores(before, told.cpu_ticks, now_ns),
            rss_bytes=rss_bytes,
            ns_pid=ns_pid,
            user=users.name(uid),
            command=before.process.command if before is not None and is_known else self._command(pid),
        )
        return _Seen(raw, told.cpu_ticks, now_ns, uid, process)

    def _cores(self, before: _Seen | None, cpu_ticks: int, now_ns: int) -> float | None:
        if before is None or self._is_forgotten(before, now_ns) or cpu_ticks < before.cpu_ticks:
            return None
        elapsed_ns = now_ns - before.at_ns
        return (cpu_ticks - before.cpu_ticks) * TICK_NS / elapsed_ns if elapsed_ns > 0 else None

    @staticmethod
    def _is_forgotten(before: _Seen, now_ns: int) -> bool:
        return now_ns - before.at_ns > FORGOTTEN_S * 1e9

    def _command(self, pid: int) -> str | None:
        path = f"{self._root}/{pid}/cmdline"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return parse_command(os.read(fd, COMMAND_BYTES))
            finally:
                os.close(fd)
        except OSError as error:
            self._access.note(error, path)
            return None
