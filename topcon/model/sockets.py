"""A network namespace as somebody who lives in it sees it: interfaces, sockets, and who holds which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import InterfaceStat, NetnsKey

TCP, UDP = "tcp", "udp"
ESTABLISHED, LISTENING = "established", "listening"
TCP_STATES: Mapping[int, str] = {
    1: ESTABLISHED,
    2: "syn-sent",
    3: "syn-received",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "closed",
    8: "close-wait",
    9: "last-ack",
    10: LISTENING,
    11: "closing",
    12: "syn-received",
}
"""By the kernel's number; 12 is that of a connection that is being made (``TCP_NEW_SYN_RECV``)."""
UDP_STATES: Mapping[int, str] = {1: ESTABLISHED, 7: LISTENING}
"""One that is not connected takes from all."""


class Interface(NamedTuple):
    """A link of the namespace."""

    name: str
    """As whoever made it wanted: foreign text."""
    stat: InterfaceStat
    state: str | None = None
    """``up``, ``down``, or another of the kernel's words (RFC 2863); None where it may not be asked."""
    mtu: int | None = None
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    """With the length of their prefix, where that is known: ``172.17.0.2/16``."""
    peer: str | None = None
    """The other end of a veth pair, if that is on the host."""
    bridge: str | None = None
    """What that end is plugged into."""
    rx_bytes_per_second: float | None = None
    """Since it was looked at the last time; None the first time."""
    tx_bytes_per_second: float | None = None


class Owner(NamedTuple):
    """A process that holds a socket; others may hold it too."""

    pid: int
    comm: str


class Socket(NamedTuple):
    """A TCP or UDP socket."""

    protocol: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    """0 where there is no other end."""
    state: str
    receive_queue: int
    """Bytes that nobody has read yet; of one that listens, connections that wait to be accepted."""
    send_queue: int
    """Bytes that were not acknowledged yet; of one that listens, how many may wait, where that is told."""
    inode: int
    """0 where no process holds it any more."""
    retransmits: int | None = None
    """Segments that were sent again since it was opened; None where the kernel was not asked by sock_diag."""
    rtt_s: float | None = None
    """How long an answer takes, smoothed; None as well."""
    owner: Owner | None = None
    other_owner: Owner | None = None
    """Who holds the other end, in the same namespace."""
    other_netns: NetnsKey | None = None
    """The namespace that has the other end's address, if it is the only one of this host that does."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What there was to see in one look. Compared by identity: what is made of it is made once."""

    is_hosts: bool
    """Whether it is the host's own: then the sockets are the container's alone, and the interfaces are left out."""
    interfaces: tuple[Interface, ...]
    listening: tuple[Socket, ...]
    connections: tuple[Socket, ...]
    """The established ones first."""
    left_out: int
    """Connections that are not among them: there are too many."""
    states: Mapping[str, int]
    """How many TCP sockets are in each state, all of them counted."""
    lacks: str | None = None
    """What is not known here, in words; None where all is."""
