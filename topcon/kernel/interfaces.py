"""The interfaces and addresses of a network namespace, as whoever lives in it sees them.

Kernel documents: rtnetlink(7), veth(4), setns(2)
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from topcon.kernel.links import ask, attributes, malformed, number_at, opened
from topcon.model.sample import InterfaceStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

STATES = ("unknown", "not-present", "down", "lower-layer-down", "testing", "dormant", "up")
"""``IF_OPER_*``, by number (RFC 2863)."""

_CLONE_NEWNET = 0x40000000
_GETLINK, _GETADDR = 18, 22
_LINK_BODY = struct.Struct("BxHiII")
_ADDRESS_BODY = struct.Struct("BBBBI")
_STATS = struct.Struct("8Q56xQ")
"""``struct rtnl_link_stats64``: packets, bytes, errors, drops, each received and sent; what was missed on receipt."""
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, _IFLA_OPERSTATE = 1, 3, 4, 5, 10, 16
_IFLA_LINKINFO, _IFLA_STATS64, _IFLA_LINK_NETNSID = 18, 23, 37
_IFLA_INFO_KIND = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IS_UP = 0x1
_MAPPED = b"\0" * 10 + b"\xff\xff"
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 16}


class LinkSample(NamedTuple):
    """A link, as rtnetlink tells of it."""

    number: int
    """Its index, which the kernel counts up in each namespace."""
    name: str
    kind: str | None
    """What it is, if it is virtual: ``veth``, ``bridge``."""
    state: str | None
    mtu: int | None
    mac: str | None
    stat: InterfaceStat | None
    link: int | None
    """The index of its other end, or of what it lies upon, in its own namespace or in that of ``link_nsid``."""
    link_nsid: int | None
    master: int | None
    """The index of the bridge that it is plugged into."""


def in_network(path: str, ask: Callable[[], T]) -> T | None:
    """Ask something on a thread that has entered the network namespace at ``path``, and that ends with the answer.

    Each thread has namespaces of its own: all others stay where they are. None if we may not enter, or if it has gone.
    """
    answers: list[T] = []
    bugs: list[BaseException] = []

    def visit() -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            if ctypes.CDLL(None).setns(fd, _CLONE_NEWNET) != 0:
                return
        finally:
            os.close(fd)
        try:
            answers.append(ask())
        except BaseException as bug:  # noqa: BLE001  raised again by whoever asked
            bugs.append(bug)

    thread = threading.Thread(target=visit, name="topcon-setns", daemon=True)
    thread.start()
    thread.join()
    if bugs:
        raise bugs[0]
    return answers[0] if answers else None


@contextmanager
def netlink(protocol: int) -> Iterator[socket.socket]:
    """Open a socket to the kernel in the network namespace of this thread.

    Raises:
        OSError: the kernel does not speak this protocol.
    """
    with opened(protocol) as kernel:
        yield kernel


def links(kernel: socket.socket) -> list[LinkSample]:
    """Return all links of the namespace that a socket was opened in.

    Raises:
        OSError: the kernel refuses.
        ParseError: an answer is not in its documented form.
    """
    body = _LINK_BODY.pack(0, 0, 0, 0, 0)
    return [parse_link(data, start, end) for data, start, end in ask(kernel, _GETLINK, body)]


def link_of(kernel: socket.socket, index: int) -> LinkSample | None:
    """Return one link; None if there is none of that index.

    Raises:
        ParseError: the answer is not in its documented form.
    """
    try:
        answers = ask(kernel, _GETLINK, _LINK_BODY.pack(0, 0, index, 0, 0), 0)
        return next((parse_link(data, start, end) for data, start, end in answers), None)
    except OSError:
        return None


def addresses(kernel: socket.socket) -> list[tuple[int, str]]:
    """Return all addresses of the namespace that a socket was opened in, each after the index of its link.

    Raises:
        OSError: the kernel refuses.
        ParseError: an answer is not in its documented form.
    """
    body = _ADDRESS_BODY.pack(0, 0, 0, 0, 0)
    found = (parse_address(data, start, end) for data, start, end in ask(kernel, _GETADDR, body))
    return [each for each in found if each is not None]


def parse_link(data: bytes, start: int, end: int) -> LinkSample:
    """Take the body of a link's message apart.

    Raises:
        ParseError: it is not in its documented form.
    """
    if end - start < _LINK_BODY.size:
        raise malformed(data, start)
    _, _, index, flags, _ = _LINK_BODY.unpack_from(data, start)
    found = {kind: (at, stop) for kind, at, stop in attributes(data, start + _LINK_BODY.size, end)}

    def number(kind: int) -> int | None:
        return number_at(data, *found[kind]) if kind in found else None

    def raw(kind: int) -> bytes:
        at, stop = found.get(kind, (0, 0))
        return data[at:stop]

    link_kind = None
    for kind, at, stop in attributes(data, *found.get(_IFLA_LINKINFO, (0, 0))):
        if kind == _IFLA_INFO_KIND:
            link_kind = _text(data[at:stop])
    state = raw(_IFLA_OPERSTATE)[:1]
    word = STATES[state[0]] if state and state[0] < len(STATES) else None
    if word in {None, "unknown"}:
        # The loopback, and what tells of no carrier.
        word = "up" if flags & _IS_UP else "down"
    return LinkSample(
        number=index,
        name=_text(raw(_IFLA_IFNAME)),
        kind=link_kind,
        state=word,
        mtu=number(_IFLA_MTU),
        mac=raw(_IFLA_ADDRESS).hex(":") or None,
        stat=_stat(raw(_IFLA_STATS64)),
        link=number(_IFLA_LINK),
        link_nsid=number(_IFLA_LINK_NETNSID),
        master=number(_IFLA_MASTER),
    )


def _stat(raw: bytes) -> InterfaceStat | None:
    if len(raw) < _STATS.size:
        return None
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errs, tx_errs, rx_drop, tx_drop, rx_missed = _STATS.unpack_from(raw)
    # As /proc/net/dev counts.
    return InterfaceStat(rx_bytes, rx_packets, rx_errs, rx_drop + rx_missed, tx_bytes, tx_packets, tx_errs, tx_drop)


def parse_address(data: bytes, start: int, end: int) -> tuple[int, str] | None:
    """Take the body of an address's message apart: the index of its link, and ``172.17.0.2/16``.

    None for an address of another kind.

    Raises:
        ParseError: it is not in its documented form.
    """
    if end - start < _ADDRESS_BODY.size:
        raise malformed(data, start)
    family, length, _, _, index = _ADDRESS_BODY.unpack_from(data, start)
    size = _FAMILIES.get(family)
    found = {kind: data[at:stop] for kind, at, stop in attributes(data, start + _ADDRESS_BODY.size, end)}
    # The local one is that of this end; of version 6 there is one kind alone.
    raw = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b""))
    return None if size is None or len(raw) != size else (index, f"{to_address(raw)}/{length}")


def to_address(raw: bytes) -> str:
    """Write an address of 4 or 16 bytes; one of version 4 that is written as one of version 6 as what it is."""
    if len(raw) == _FAMILIES[socket.AF_INET]:
        return socket.inet_ntop(socket.AF_INET, raw)
    if raw.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, raw[len(_MAPPED) :])
    return socket.inet_ntop(socket.AF_INET6, raw)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")
