"""The links of our own network namespace, and what they count (rtnetlink(7), veth(4)).

Raw messages, since the counters are read every tick: a dump of all takes 1 us a link, through pyroute2 43.
"""

from __future__ import annotations

import os
import socket
import struct
from operator import is_
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Counters = tuple[int, ...]
"""The packets received and sent, then the bytes, the errors and the drops so; last what was missed on receipt.

Of ``struct rtnl_link_stats64``, as seen from the host. ``/proc/net/dev`` adds the missed ones to the dropped ones.
"""

DUMP = 0x300
"""A flag of requests: all are asked for, not one."""

_HEADER = struct.Struct("IHHII")
_ATTRIBUTE = struct.Struct("HH")
_INT = struct.Struct("i")
_COUNTERS = struct.Struct("8Q56xQ")
_REQUEST = 0x1
_ERROR, _DONE = 2, 3
_GETLINK, _GETNSID, _NEWSTATS, _GETSTATS = 18, 90, 92, 94
_LINK_BODY = struct.Struct("BxHiII")
_STATS_BODY = struct.Struct("BBHiI")
_NSID_BODY = struct.Struct("Bxxx")
_WORD_ATTRIBUTE = struct.Struct("HHI")
_STATS_MESSAGE = struct.Struct("IH14xi4x2xH8Q56xQ")
"""A whole answer with counters, as far as they are used: length, kind, the link's index, the attribute, its values."""
_VALUES = slice(4, None)
_INDEX_AT = 4
"""Where the index of a link is, both in the body of a link and in that of its counters."""
_LINK_64 = 1
"""``IFLA_STATS_LINK_64``, as a filter and as an attribute."""
_IFLA_EXT_MASK, _SKIP_STATS = 29, 8
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_LINK_NETNSID = 3, 18, 37
_IFLA_INFO_KIND = 1
_NETNSA_NSID, _NETNSA_PID = 1, 2
_KIND_MASK = 0x3FFF
_RECEIVE_BYTES = 1 << 18
"""The kernel hands a dump out in parts of up to 32 KiB; a link with hundreds of virtual functions takes more."""
_TIMEOUT_S = 1.0
_WHERE = "rtnetlink"


class Link(NamedTuple):
    """A link of our own network namespace."""

    name: str
    kind: str | None
    """What it is, if it is virtual: ``veth``, ``bridge``."""
    peer_nsid: int | None
    """The id that our network namespace has for that of its other end; None if that is in ours, or there is none."""


class _Part(NamedTuple):
    """A part of a dump of counters, as the kernel handed it out."""

    data: bytes
    counters: dict[int, Counters]
    is_last: bool


class Links:
    """Asks the kernel about the links of our own network namespace. No privilege is needed."""

    def __init__(self) -> None:
        """Open a socket.

        Raises:
            OSError: there is no rtnetlink here.
        """
        self._socket = opened(socket.NETLINK_ROUTE)
        self._parts: list[_Part] = []
        self._counters: dict[int, Counters] = {}

    def counters(self) -> Mapping[int, Counters]:
        """Return what each link counts, by its index, in one dump.

        The very same mapping as the last time if nothing has changed, and the same counters of a link that has not.

        Raises:
            OSError: the kernel does not answer so; nothing more can be asked.
            ParseError: an answer is not in its documented form; nothing more can be asked.
        """
        self._send(_GETSTATS, _STATS_BODY.pack(0, 0, 0, 0, _LINK_64), DUMP)
        before = self._parts
        parts: list[_Part] = []
        is_last = False
        while not is_last:
            data = self._socket.recv(_RECEIVE_BYTES)
            at = len(parts)
            is_same = at < len(before) and before[at].data == data
            part = before[at] if is_same else parse_counters(data, self._counters)
            parts.append(part)
            is_last = part.is_last
        if len(parts) != len(before) or not all(map(is_, parts, before)):
            self._parts, self._counters = parts, {}
            for part in parts:
                self._counters.update(part.counters)
        return self._counters

    def all(self) -> dict[int, Link]:
        """Return all links by their index. The kernel gives an id to each namespace that one leads to.

        Raises:
            OSError: the kernel does not answer so; nothing more can be asked.
            ParseError: an answer is not in its documented form; nothing more can be asked.
        """
        return dict(self._ask_links(0, DUMP))

    def of(self, index: int) -> Link | None:
        """Return one link; None if there is none of that index.

        Raises:
            OSError: the kernel does not answer so; nothing more can be asked.
            ParseError: an answer is not in its documented form; nothing more can be asked.
        """
        try:
            return dict(self._ask_links(index, 0)).get(index)
        except OSError as error:
            if error.errno in _NO_LINK:
                return None
            raise

    def namespace_id(self, pid: int) -> int | None:
        """Return the id that our network namespace has for that of a process; None if it has none, or if that is gone.

        Raises:
            OSError: the kernel does not answer so; nothing more can be asked.
            ParseError: an answer is not in its documented form; nothing more can be asked.
        """
        body = _NSID_BODY.pack(0) + _WORD_ATTRIBUTE.pack(_WORD_ATTRIBUTE.size, _NETNSA_PID, pid)
        try:
            ids = [
                number_at(data, at, end)
                for data, start, stop in self._ask(_GETNSID, body, 0)
                for kind, at, end in attributes(data, start + _NSID_BODY.size, stop)
                if kind == _NETNSA_NSID
            ]
        except ProcessLookupError:
            return None
        return ids[0] if ids and ids[0] >= 0 else None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _ask_links(self, index: int, flags: int) -> Iterator[tuple[int, Link]]:
        body = _LINK_BODY.pack(0, 0, index, 0, 0)
        body += _WORD_ATTRIBUTE.pack(_WORD_ATTRIBUTE.size, _IFLA_EXT_MASK, _SKIP_STATS)
        for data, start, end in self._ask(_GETLINK, body, flags):
            yield parse_link(data, start, end)

    def _send(self, kind: int, body: bytes, flags: int) -> None:
        send(self._socket, kind, body, flags)

    def _ask(self, kind: int, body: bytes, flags: int) -> Iterator[tuple[bytes, int, int]]:
        self._send(kind, body, flags)
        yield from answers(self._socket, flags)


_NO_LINK = frozenset({6, 19})
"""ENXIO and ENODEV."""


def opened(protocol: int) -> socket.socket:
    """Open a socket to the kernel in the network namespace of this thread.

    Raises:
        OSError: the kernel does not speak this protocol.
    """
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        # Nobody but the kernel can answer then.
        kernel.connect((0, 0))
    except OSError:
        kernel.close()
        raise
    kernel.settimeout(_TIMEOUT_S)
    return kernel


def send(kernel: socket.socket, kind: int, body: bytes, flags: int) -> None:
    """Send a request.

    Raises:
        OSError: the kernel does not take it.
    """
    # Always the same sequence number: what has not changed is answered in the very same bytes.
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)


def answers(kernel: socket.socket, flags: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield what each reply to a request of these flags is in, and where its body begins and ends.

    Raises:
        OSError: the kernel refuses.
        ParseError: an answer is not in its documented form.
    """
    is_last = False
    while not is_last:
        data = kernel.recv(_RECEIVE_BYTES)
        for start, end in bodies(data):
            if start is None:
                is_last = True
            else:
                yield data, start, end
        is_last = is_last or not flags


def ask(kernel: socket.socket, kind: int, body: bytes, flags: int = DUMP) -> Iterator[tuple[bytes, int, int]]:
    """Ask the kernel; yield what each reply is in, and where its body begins and ends.

    Raises:
        OSError: the kernel refuses.
        ParseError: an answer is not in its documented form.
    """
    send(kernel, kind, body, flags)
    yield from answers(kernel, flags)


def bodies(data: bytes, at: int = 0) -> Iterator[tuple[int | None, int]]:
    """Yield where the body of each message of a datagram begins and ends; None and 0 for the message that ends a dump.

    The first message is ``at`` that place.

    Raises:
        OSError: the kernel refuses.
        ParseError: there is something else in the datagram.
    """
    size = len(data)
    while at < size:
        start = at + _HEADER.size
        if start > size:
            raise malformed(data, at)
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        end = at + length
        if length < _HEADER.size or end > size:
            raise malformed(data, at)
        if kind in {_ERROR, _DONE}:
            # A dump that is done tells an error too; on old kernels it has no body.
            number = -number_at(data, start, end) if end - start >= _INT.size else 0
            if number > 0:
                raise OSError(number, os.strerror(number))
            yield None, 0
        else:
            yield start, end
        at += (length + 3) & ~3


def attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the kind of each attribute, and where its value begins and ends.

    Raises:
        ParseError: one does not fit in where it is.
    """
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > end:
            raise malformed(data, at)
        yield kind & _KIND_MASK, at + _ATTRIBUTE.size, at + length
        at += (length + 3) & ~3


def parse_counters(data: bytes, known: Mapping[int, Counters]) -> _Part:
    """Take a part of a dump of counters apart; those that are as they are ``known`` are the same objects.

    Raises:
        OSError: the kernel refuses.
        ParseError: the part is not in its documented form.
    """
    found: dict[int, Counters] = {}
    at, size = 0, len(data)
    while size - at >= _STATS_MESSAGE.size:
        length, kind, index, attribute, *_ = message = _STATS_MESSAGE.unpack_from(data, at)
        if kind != _NEWSTATS or attribute != _LINK_64 or not _STATS_MESSAGE.size <= length <= size - at:
            break
        now: Counters = message[_VALUES]
        before = known.get(index)
        found[index] = before if before is not None and before == now else now
        at += (length + 3) & ~3
    # Other messages, and counters behind other attributes: some machines pad them.
    is_last = False
    for start, end in bodies(data, at):
        if start is None:
            is_last = True
        elif (counters := _counters(data, start, end)) is not None:
            found[_INT.unpack_from(data, start + _INDEX_AT)[0]] = counters
    return _Part(data, found, is_last)


def _counters(data: bytes, start: int, end: int) -> Counters | None:
    if end - start < _STATS_BODY.size:
        raise malformed(data, start)
    for kind, at, stop in attributes(data, start + _STATS_BODY.size, end):
        if kind == _LINK_64:
            if stop - at < _COUNTERS.size:
                raise malformed(data, at)
            return _COUNTERS.unpack_from(data, at)
    return None


def parse_link(data: bytes, start: int, end: int) -> tuple[int, Link]:
    """Take the body of a link's message apart: its index, and what it is.

    Raises:
        ParseError: it is not in its documented form.
    """
    if end - start < _LINK_BODY.size:
        raise malformed(data, start)
    name, link_kind, nsid = "", None, None
    for kind, at, stop in attributes(data, start + _LINK_BODY.size, end):
        if kind == _IFLA_IFNAME:
            name = _text(data, at, stop)
        elif kind == _IFLA_LINKINFO:
            for inner, inner_at, inner_stop in attributes(data, at, stop):
                if inner == _IFLA_INFO_KIND:
                    link_kind = _text(data, inner_at, inner_stop)
        elif kind == _IFLA_LINK_NETNSID:
            nsid = number_at(data, at, stop)
    return _INT.unpack_from(data, start + _INDEX_AT)[0], Link(name, link_kind, nsid)


def _text(data: bytes, at: int, end: int) -> str:
    return data[at:end].rstrip(b"\0").decode(errors="replace")


def number_at(data: bytes, at: int, end: int) -> int:
    """Return the number in an attribute.

    Raises:
        ParseError: it is cut short.
    """
    if end - at < _INT.size:
        raise malformed(data, at)
    number: int = _INT.unpack_from(data, at)[0]
    return number


def malformed(data: bytes, at: int) -> ParseError:
    """Show what could not be taken apart."""
    return ParseError(_WHERE, data[at : at + 32].hex())
