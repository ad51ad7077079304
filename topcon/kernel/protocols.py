"""What network namespaces count of TCP and UDP.

Kernel documents: https://docs.kernel.org/networking/snmp_counter.html and proc_pid_net(5)
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from topcon.errors import ParseError
from topcon.kernel.files import READ_BYTES, Access
from topcon.kernel.process import ProcFs
from topcon.model.sample import ProtocolStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.model.sample import NetnsKey

T = TypeVar("T")

TCP_GROUP, UDP_GROUP = "tcp", "udp"
"""The groups of `ProtocolStat` that are read only when asked for: their tables have a row a socket."""
UDP_LISTENS = 7
"""The state of an UDP socket that is bound and not connected: the kernel's ``TCP_CLOSE``."""
ROWS_A_TURN = 500
"""After so many sockets others are let have their turn."""

_STATE, _QUEUES, _DROPS = 3, 4, 12


def parse_counters(raw: bytes, path: str, protocol: bytes) -> dict[str, int]:
    """Parse one protocol out of ``net/snmp`` or ``net/netstat``; empty if it is not there.

    ::

        Tcp: RtoAlgorithm RtoMin
        Tcp: 1 200
    """
    lines = [line.split()[1:] for line in raw.split(b"\n") if line.startswith(protocol + b":")]
    try:
        names, values = lines or ([], [])
        return {name.decode("ascii"): int(value) for name, value in zip(names, values, strict=True)}
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_sockstat(raw: bytes, path: str) -> dict[str, int]:
    """Parse the ``TCP:`` line of ``net/sockstat``; empty if it is not there.

    ::

        TCP: inuse 9 orphan 0 tw 0 alloc 11 mem 1
    """
    words = next((line.split()[1:] for line in raw.split(b"\n") if line.startswith(b"TCP:")), [])
    try:
        pairs = zip(words[::2], words[1::2], strict=True)
        return {name.decode("ascii"): int(value) for name, value in pairs}
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def count_tcp(rows: Iterator[bytes], path: str) -> dict[int, int]:
    """Count the rows of ``net/tcp`` by the number of their state, 1 to 11 and what later kernels add."""
    states: Counter[bytes] = Counter()
    for row in rows:
        try:
            states[row.split(None, _STATE + 1)[_STATE]] += 1
        except IndexError:
            raise ParseError(path, row.decode(errors="replace")) from None
    numbers: Counter[int] = Counter()
    for state, number in states.items():
        try:
            numbers[int(state, 16)] += number
        except ValueError:
            raise ParseError(path, state.decode(errors="replace")) from None
    return dict(numbers)


def count_udp(rows: Iterator[bytes], path: str) -> dict[str, int]:
    """Count the rows of ``net/udp``: sockets that listen, packets dropped, bytes in the two queues."""
    totals = {"listen": 0, "dropped": 0, "rxqueued": 0, "txqueued": 0}
    for row in rows:
        words = row.split()
        try:
            transmit, receive = words[_QUEUES].split(b":")
            totals["listen"] += int(words[_STATE], 16) == UDP_LISTENS
            totals["dropped"] += int(words[_DROPS])
            totals["rxqueued"] += int(receive, 16)
            totals["txqueued"] += int(transmit, 16)
        except (IndexError, ValueError):
            raise ParseError(path, row.decode(errors="replace")) from None
    return totals


def rows_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return the lines of a table, its titles left out, one by one: it may be too long to be held whole."""
    rest = b""
    is_title = True
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not is_title:
                yield line
            is_title = False
    if rest and not is_title:
        yield rest


class Protocols:
    """Reads what network namespaces count, each through a process that lives in it."""

    def __init__(self, root: str, groups: frozenset[str], breathe: Callable[[], object]) -> None:
        """Read below ``root``, usually ``/proc``, with what of ``groups`` there is to read here.

        ``breathe`` is called now and then, to let other threads have their turn.
        """
        self._root = root
        self._groups = groups
        self._breathe = breathe
        self._access = Access()
        self._processes = ProcFs(root, self._access)

    def read(self, pids: Mapping[NetnsKey, int]) -> tuple[dict[NetnsKey, ProtocolStat], list[ParseError]]:
        """Read the namespaces, given as a process in each; return what was not understood too."""
        stats = {}
        malformed = []
        for netns, pid in pids.items():
            self._breathe()
            # The process may have ended, and its pid be another's.
            if self._processes.netns(pid) != netns:
                continue
            try:
                stat = self._stat(f"{self._root}/{pid}/net")
            except ParseError as error:
                malformed.append(error)
            else:
                if stat is not None:
                    stats[netns] = stat
        return stats, malformed

    def _stat(self, directory: str) -> ProtocolStat | None:
        paths = [f"{directory}/{name}" for name in ("snmp", "netstat", "sockstat")]
        snmp, netstat, sockstat = (self._access.read(path) for path in paths)
        if snmp is None:
            return None
        return ProtocolStat(
            tcp=parse_counters(snmp, paths[0], b"Tcp") | parse_counters(netstat or b"", paths[1], b"TcpExt"),
            tcp_sockets=parse_sockstat(sockstat or b"", paths[2]),
            tcp_states=self._tables(directory, ("tcp", "tcp6"), count_tcp) if TCP_GROUP in self._groups else None,
            udp=self._tables(directory, ("udp", "udp6"), count_udp) if UDP_GROUP in self._groups else None,
        )

    def _tables(
        self, directory: str, names: tuple[str, ...], count: Callable[[Iterator[bytes], str], T]
    ) -> dict[str, T]:
        """Count the tables that there are: a kernel without version 6 has half of them."""
        counts = {}
        for name in names:
            path = f"{directory}/{name}"
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                self._access.note(error, path)
                continue
            try:
                counts[name] = count(self._rows(fd), path)
            finally:
                os.close(fd)
        return counts

    def _rows(self, fd: int) -> Iterator[bytes]:
        for number, row in enumerate(rows_of(iter(lambda: os.read(fd, READ_BYTES), b"")), start=1):
            if number % ROWS_A_TURN == 0:
                self._breathe()
            yield row
