"""Processes, their namespaces and the networks they see (proc(5), namespaces(7))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.model.sample import NAMESPACE_KINDS, InterfaceStat, Namespaces, NetnsKey, NsInode, ProcessSample

if TYPE_CHECKING:
    from collections.abc import Iterable

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
TCP_ESTABLISHED = b"01"
CANDIDATES = 64
"""How many of a container's processes are looked at to find its first one."""


class ProcessStat(NamedTuple):
    """``/proc/PID/stat``, or that of a thread, as far as it is used. A tuple, since one is made for each thread."""

    comm: str
    state: str
    """The kernel's letter."""
    ppid: int
    threads: int
    """Of the process."""
    start_ticks: int
    """Clock ticks after boot."""


@dataclass(frozen=True, slots=True)
class SignalMasks:
    """What a process does with signals: one bit each, the lowest is signal 1."""

    caught: int
    ignored: int
    blocked: int = 0

    def handles(self, number: int) -> bool:
        """Whether the process has a handler for the signal, or blocks it, as those do that wait for it.

        systemd reads its signals from a descriptor (signalfd(2)), tini waits for them (sigtimedwait(2)).
        """
        return bool((self.caught | self.blocked) >> (number - 1) & 1)

    def ignores(self, number: int) -> bool:
        """Whether the process ignores the signal."""
        return bool(self.ignored >> (number - 1) & 1)


def parse_stat(raw: bytes, path: str) -> ProcessStat:
    """Parse ``/proc/PID/stat``. The command is in brackets and may itself hold brackets and blanks."""
    before, _, after = raw.rpartition(b")")
    words = after.split(None, 20)
    try:
        comm = before.split(b"(", 1)[1].decode(errors="replace")
        return ProcessStat(comm, words[0].decode("ascii"), int(words[1]), int(words[17]), int(words[19]))
    except (IndexError, ValueError):
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_ns_pids(status: bytes) -> tuple[int, ...]:
    """Return the ``NSpid`` line of ``/proc/PID/status``; empty if there is none."""
    return tuple([int(word) for word in status_field(status, b"NSpid") if word.isdigit()])


def parse_signal_masks(status: bytes) -> SignalMasks | None:
    """Return ``SigCgt``, ``SigIgn`` and ``SigBlk`` of ``/proc/PID/status``."""
    caught, ignored = status_field(status, b"SigCgt"), status_field(status, b"SigIgn")
    blocked = status_field(status, b"SigBlk") or [b"0"]
    try:
        return SignalMasks(int(caught[0], 16), int(ignored[0], 16), int(blocked[0], 16))
    except (IndexError, ValueError):
        return None


def status_field(status: bytes, name: bytes) -> list[bytes]:
    """Return the words of a line of ``/proc/PID/status``; empty if there is none."""
    # Not line by line: one is read for each container, and most lines are of no use.
    status = b"\n" + status
    key = b"\n%b:" % name
    begin = status.find(key)
    if begin < 0:
        return []
    begin += len(key)
    end = status.find(b"\n", begin)
    return status[begin : end if end >= 0 else None].split()


def parse_net_dev(raw: bytes, path: str) -> dict[str, InterfaceStat]:
    """Parse ``/proc/PID/net/dev``: interface to counters, the loopback included."""
    interfaces = {}
    for line in raw.splitlines()[2:]:
        # An interface's name may hold a colon (an alias), its counters may not.
        name, _, counters = line.rpartition(b":")
        words = counters.split()
        try:
            receive, transmit = map(int, words[:4]), map(int, words[8:12])
            interfaces[name.strip().decode(errors="replace")] = InterfaceStat(*receive, *transmit)
        except (TypeError, ValueError):
            raise ParseError(path, line.decode(errors="replace")) from None
    return interfaces


def count_established(raw: bytes) -> int:
    """Count the established connections in ``/proc/PID/net/tcp`` or ``tcp6``."""
    return sum(
        1 for line in raw.splitlines()[1:] if len(words := line.split()) > _STATE and words[_STATE] == TCP_ESTABLISHED
    )


_STATE = 3


class ProcFs:
    """The processes of a host."""

    def __init__(self, root: str, access: Access) -> None:
        """Read below ``root``, usually ``/proc``; what is refused is noted in ``access``."""
        self.root = root
        self._access = access

    def sample(self, pid: int, boot_ns: int) -> ProcessSample | None:
        """Read one process; None if it has ended. ``boot_ns`` is when the host was started, since 1970."""
        directory = f"{self.root}/{pid}"
        raw, status = self._access.read(f"{directory}/stat"), self._access.read(f"{directory}/status")
        if raw is None or status is None:
            return None
        stat = parse_stat(raw, f"{directory}/stat")
        return ProcessSample(
            pid=pid,
            start_ticks=stat.start_ticks,
            comm=stat.comm,
            started_ns=boot_ns + stat.start_ticks * TICK_NS,
            ns_pids=parse_ns_pids(status),
            namespaces=self.namespaces(pid),
            netns=self.netns(pid),
        )

    def namespaces(self, pid: int | str) -> Namespaces:
        """Read the namespaces of a process, or of ``self``; None for each that the reader may not see."""
        directory = f"{self.root}/{pid}/ns/"
        inodes = []
        for kind in NAMESPACE_KINDS:
            link = self._access.link(directory + kind)
            # The link reads net:[4026531840].
            number = link[len(kind) + 2 : -1] if link else ""
            inodes.append(NsInode(int(number)) if number.isdigit() else None)
        return Namespaces(*inodes)

    def netns(self, pid: int | str) -> NetnsKey | None:
        """Tell one network namespace from another; None if the process has ended.

        The inode of ``net/dev`` differs by namespace, as the namespace's own does, but everyone may look at it.
        """
        path = f"{self.root}/{pid}/net/dev"
        try:
            return NetnsKey(os.stat(path).st_ino)  # noqa: PTH116  hot path
        except OSError as error:
            self._access.note(error, path)
            return None

    def interfaces(self, pid: int) -> dict[str, InterfaceStat] | None:
        """Read the counters of the network that a process sees; None if it has ended.

        The file is never kept open: that would keep the network namespace alive after its container.
        """
        raw = self.net_dev(pid)
        return parse_net_dev(raw, f"{self.root}/{pid}/net/dev") if raw else None

    def net_dev(self, pid: int) -> bytes | None:
        """Read the text that `parse_net_dev` takes; None if the process has ended."""
        return self._access.read(f"{self.root}/{pid}/net/dev")

    def first_of(self, pids: Iterable[int], boot_ns: int) -> ProcessSample | None:
        """Of a container's processes, find the one it was started with: pid 1 inside, or else the oldest."""
        oldest: ProcessSample | None = None
        for pid in list(pids)[:CANDIDATES]:
            process = self.sample(pid, boot_ns)
            if process is None:
                continue
            if process.is_init:
                return process
            if oldest is None or process.start_ticks < oldest.start_ticks:
                oldest = process
        return oldest

    def is_running(self, process: ProcessSample) -> bool:
        """Whether that very process, not another under its pid, is there."""
        raw = self._access.read(f"{self.root}/{process.pid}/stat")
        return raw is not None and parse_stat(raw, "stat").start_ticks == process.start_ticks

    def parent(self, pid: int) -> int | None:
        """Return a process's parent; None if it has ended, 0 if it has none here."""
        raw = self._access.read(f"{self.root}/{pid}/stat")
        return parse_stat(raw, f"{self.root}/{pid}/stat").ppid if raw else None

    def environment(self, pid: int) -> dict[str, str]:
        """Read the environment that a process was started with; empty where that is not allowed."""
        raw = Access().read(f"{self.root}/{pid}/environ") or b""
        pairs = (entry.partition(b"=") for entry in raw.split(b"\0"))
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs if name}

    def signal_masks(self, pid: int) -> SignalMasks | None:
        """Read which signals a process catches and ignores; None if it has ended."""
        status = self._access.read(f"{self.root}/{pid}/status")
        return parse_signal_masks(status) if status else None

    def established(self, pid: int) -> int | None:
        """Count the established TCP connections in a process's network namespace; None if it has ended.

        Costs about 1 ms whatever the answer, so it is asked for, never sampled.
        """
        tables = [self._access.read(f"{self.root}/{pid}/net/{name}") for name in ("tcp", "tcp6")]
        if tables[0] is None:
            return None
        return sum(count_established(table) for table in tables if table)
