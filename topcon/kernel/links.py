"""The host's ends of containers' networks, and what they count (rtnetlink(7), veth(4)).

Raw messages, since this is read every tick: a dump of all counters takes 0.8 us a link, pyroute2's 43.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct("IHHII")
_ATTRIBUTE = struct.Struct("HH")
_INT = struct.Struct("i")
_COUNTERS = struct.Struct("8Q")
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_GETLINK, _GETNSID, _GETSTATS = 18, 90, 94
_LINK_BODY = struct.Struct("BxHiII")
_STATS_BODY = struct.Struct("BBHiI")
_LINK_64 = 1
"""``IFLA_STATS_LINK_64``, as a filter and as an attribute."""
_IFLA_EXT_MASK, _SKIP_STATS = 29, 8
_IFLA_LINK_NETNSID = 37
_NETNSA_NSID, _NETNSA_PID = 1, 2
_RECEIVE_BYTES = 1 << 20
_TIMEOUT_S = 1.0


class Counters(NamedTuple):
    """What a link counts, as seen from the host (``struct rtnl_link_stats64``, its first eight)."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


class Links:
    """Asks the kernel about the links of our own network namespace. No privilege is needed."""

    def __init__(self) -> None:
        """Open a socket.

        Raises:
            OSError: there is no rtnetlink here.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(_TIMEOUT_S)
        self._sequence = 0

    def counters(self) -> dict[int, tuple[int, ...]]:
        """Return what each link counts, in the order of `Counters`, by its index.

        Raises:
            OSError: the kernel does not answer so.
        """
        found: dict[int, tuple[int, ...]] = {}
        for data, start, end in self._dump(_GETSTATS, _STATS_BODY.pack(0, 0, 0, 0, _LINK_64)):
            for kind, at in _attributes(data, start + _STATS_BODY.size, end):
                if kind == _LINK_64:
                    # The index follows the family and two bytes of padding.
                    found[_INT.unpack_from(data, start + 4)[0]] = _COUNTERS.unpack_from(data, at)
        return found

    def host_ends(self) -> dict[int, list[int]]:
        """Return the links whose other end is in another network namespace: the id that we have for it to indexes.

        Raises:
            OSError: the kernel does not answer so.
        """
        body = _LINK_BODY.pack(0, 0, 0, 0, 0) + struct.pack("HHI", 8, _IFLA_EXT_MASK, _SKIP_STATS)
        found: dict[int, list[int]] = {}
        for data, start, end in self._dump(_GETLINK, body):
            for kind, at in _attributes(data, start + _LINK_BODY.size, end):
                if kind == _IFLA_LINK_NETNSID:
                    found.setdefault(_INT.unpack_from(data, at)[0], []).append(_INT.unpack_from(data, start + 4)[0])
        return found

    def namespace_id(self, pid: int) -> int | None:
        """Return the id that our network namespace has for that of a process; None if it has none, or if that is gone.

        Raises:
            OSError: the kernel does not answer so.
        """
        body = struct.pack("Bxxx", 0) + struct.pack("HHI", 8, _NETNSA_PID, pid)
        try:
            replies = [
                _INT.unpack_from(data, at)[0]
                for data, start, end in self._ask(_GETNSID, body, 0)
                for kind, at in _attributes(data, start + 4, end)
                if kind == _NETNSA_NSID
            ]
        except ProcessLookupError:
            return None
        return replies[0] if replies and replies[0] >= 0 else None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _dump(self, kind: int, body: bytes) -> Iterator[tuple[bytes, int, int]]:
        return self._ask(kind, body, _DUMP)

    def _ask(self, kind: int, body: bytes, flags: int) -> Iterator[tuple[bytes, int, int]]:
        """Send a request; yield what each reply is in, and where its body begins and ends."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            data = self._socket.recv(_RECEIVE_BYTES)
            at = 0
            while at < len(data):
                length, reply, _, sequence, _ = _HEADER.unpack_from(data, at)
                end, start = at + length, at + _HEADER.size
                at += (length + 3) & ~3
                if sequence != self._sequence:
                    # Of a request that was given up.
                    continue
                if reply in {_ERROR, _DONE}:
                    number = -_INT.unpack_from(data, start)[0] if length > _HEADER.size else 0
                    if number > 0:
                        raise OSError(number, os.strerror(number))
                    return
                yield data, start, end
                if not flags:
                    return


def _attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the kind of each attribute, and where its value begins."""
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, at + _ATTRIBUTE.size
        at += (length + 3) & ~3
