"""The sockets and interfaces of a container, read when somebody looks.

Kernel documents: sock_diag(7), rtnetlink(7), setns(2), tcp(7) (``struct tcp_info``), proc_pid_net(5), proc_pid_fd(5)

Raw messages, since there can be a hundred thousand connections, of which all are counted: through pyroute2 one takes
50 us. Nothing is kept open: that would keep the network alive after its container.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.files import REFUSED, Access
from topcon.kernel.interfaces import LinkSample, addresses, in_network, link_of, links, netlink, to_address
from topcon.kernel.links import ask, attributes
from topcon.kernel.network import FIRST_PID, VETH, own_links
from topcon.kernel.process import ProcFs, parse_net_dev
from topcon.kernel.protocols import rows_of
from topcon.kernel.who import local_addresses, parse_if_inet6, parse_socket, socket_inode
from topcon.model.rates import per_second
from topcon.model.sample import Problem
from topcon.model.sockets import (
    ESTABLISHED,
    LISTENING,
    TCP,
    TCP_STATES,
    UDP,
    UDP_STATES,
    Interface,
    Network,
    Owner,
    Socket,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from topcon.model.sample import InterfaceStat, NetnsKey
    from topcon.model.snapshot import ContainerNode

MOST_CONNECTIONS = 1000
"""So many are told of one by one; the others are counted."""
MOST_LISTENING = 1000
MOST_DESCRIPTORS = 100_000
"""So many are looked at, at most, to find out who holds the sockets."""
HOMES_S = 30.0
"""How long it is taken for granted which addresses a namespace has."""
FORGOTTEN_NS = 15_000_000_000
"""After so long without a look there is nothing to measure a rate from."""

_SOCK_DIAG, _BY_FAMILY = 4, 20
_ALL_STATES = (1 << 13) - 1
_INFO = 2
"""``INET_DIAG_INFO``, as a wish and as an attribute."""
_REQUEST = struct.Struct("BBBxI48x")
"""``struct inet_diag_req_v2``: family, protocol, wishes, states; of all addresses."""
_ANSWER = struct.Struct("=BBBx2s2s16s16sI8xIIIII")
"""``struct inet_diag_msg``: family, state, timer, ports, addresses, interface, timeout, two queues, user, inode."""
_U32 = struct.Struct("I")
_RTT_AT, _RETRANS_AT = 68, 100
"""Of ``tcpi_rtt``, in microseconds, and ``tcpi_total_retrans``."""
_PROTOCOLS = {TCP: socket.IPPROTO_TCP, UDP: socket.IPPROTO_UDP}
_STATES = {TCP: TCP_STATES, UDP: UDP_STATES}
_TABLES = ((TCP, "tcp"), (TCP, "tcp6"), (UDP, "udp"), (UDP, "udp6"))
_QUEUES = 4
_LOOPBACK = "lo"


def parse_answer(data: bytes, start: int, end: int, protocol: str) -> Socket:
    """Take an answer of sock_diag apart.

    Raises:
        ParseError: it is not in its documented form.
    """
    if end - start < _ANSWER.size:
        raise _malformed(data, start)
    family, state, _, local_port, remote_port, local, remote, _, _, receive, send, _, inode = _ANSWER.unpack_from(
        data, start
    )
    size = {socket.AF_INET: 4, socket.AF_INET6: 16}.get(family)
    if size is None:
        raise _malformed(data, start)
    retransmits, rtt_s = None, None
    for kind, at, stop in attributes(data, start + _ANSWER.size, end):
        # Older kernels tell less.
        if kind == _INFO and stop - at >= _RETRANS_AT + _U32.size:
            rtt_s = _U32.unpack_from(data, at + _RTT_AT)[0] / 1e6
            retransmits = _U32.unpack_from(data, at + _RETRANS_AT)[0]
    word = _STATES[protocol].get(state, str(state))
    # What listens measures nothing.
    is_measured = rtt_s and word != LISTENING
    return Socket(
        protocol=protocol,
        local=to_address(local[:size]),
        local_port=int.from_bytes(local_port, "big"),
        remote=to_address(remote[:size]),
        remote_port=int.from_bytes(remote_port, "big"),
        state=word,
        receive_queue=receive,
        send_queue=send,
        inode=inode,
        retransmits=retransmits if word != LISTENING else None,
        rtt_s=rtt_s if is_measured else None,
    )


def parse_row(row: bytes, path: str, protocol: str) -> Socket:
    """Parse a row of ``net/tcp`` and its like, as far as these tell.

    Raises:
        ParseError: it is not in its documented form.
    """
    told = parse_socket(row, path)
    try:
        send, receive = (int(number, 16) for number in row.split(None, _QUEUES + 1)[_QUEUES].split(b":"))
    except (IndexError, ValueError):
        raise ParseError(path, row.decode(errors="replace")) from None
    return Socket(
        protocol=protocol,
        local=told.local.address,
        local_port=told.local.port,
        remote=told.remote.address,
        remote_port=told.remote.port,
        state=_STATES[protocol].get(told.state, str(told.state)),
        receive_queue=receive,
        send_queue=send,
        inode=told.inode,
    )


def _malformed(data: bytes, at: int) -> ParseError:
    return ParseError("sock_diag", data[at : at + 32].hex())


class Found(NamedTuple):
    """A socket, as far as it is needed to count it."""

    protocol: str
    state: str
    inode: int
    parse: Callable[[], Socket]
    """Takes all of it apart: most are only counted."""


class Kept(NamedTuple):
    """The sockets that are told of one by one, and all of them counted."""

    listening: list[Socket]
    connections: list[Socket]
    left_out: int
    states: Mapping[str, int]


def sifted(sockets: Iterable[Found]) -> Kept:
    """Keep those that are told of: the established ones before those that only linger on; count all."""
    states: Counter[str] = Counter()
    listening: list[Socket] = []
    established: list[Socket] = []
    others: list[Socket] = []
    count = 0
    for each in sockets:
        if each.protocol == TCP:
            states[each.state] += 1
        if each.state == LISTENING:
            kept, most = listening, MOST_LISTENING
        else:
            count += 1
            kept, most = (established if each.state == ESTABLISHED else others), MOST_CONNECTIONS
        if len(kept) < most:
            kept.append(each.parse())
    connections = [*established, *others][:MOST_CONNECTIONS]
    return Kept(listening, connections, count - len(connections), dict(states))


class _Inside(NamedTuple):
    """What a network namespace tells of itself."""

    links: list[LinkSample]
    addresses: list[tuple[int, str]]
    sockets: Kept


class SocketReader:
    """Looks at the network of a container; what it has seen the last time is what rates are measured from."""

    def __init__(self, root: str, pids_of: Callable[[ContainerNode], list[int]]) -> None:
        """Read below ``root``, usually ``/proc``; ``pids_of`` says which processes are a container's."""
        self._root = root
        self._pids_of = pids_of
        self._access = Access()
        self._processes = ProcFs(root, self._access)
        self._before: Mapping[tuple[NetnsKey, str], tuple[InterfaceStat, int]] = {}
        self._homes: Mapping[NetnsKey, tuple[AbstractSet[str], float]] = {}
        self._last_owners: tuple[int, ...] = ()

    def read(self, container: ContainerNode) -> Network | Problem:
        """Look at the network that a container lives in."""
        try:
            return self._read(container)
        except ParseError as error:
            return Problem("network", str(error))

    def _read(self, container: ContainerNode) -> Network | Problem:
        first = container.process
        if first is None:
            return Problem("network", "it has no process, and so no network")
        netns = self._processes.netns(first.pid)
        if netns is None or (first.netns is not None and netns != first.netns):
            return Problem("network", "its first process has ended; look again in a second")
        is_hosts = netns == self._processes.netns(FIRST_PID)
        owners: Mapping[int, Owner] | None = None
        if is_hosts:
            pids = self._pids_of(container)
            owners, lacks = self._owners(pids, None)
        inside = self._ask_inside(first.pid, netns, owners)
        told = None if inside is not None else "retransmits and delays are not known here: only root may ask"
        kept = inside.sockets if inside is not None else sifted(self._of_tables(first.pid, owners))
        residents, everyone = self._residents(netns)
        if owners is None:
            wanted = {each.inode for each in (*kept.listening, *kept.connections) if each.inode}
            owners, lacks = self._owners(residents or self._pids_of(container), wanted)
        homes = self._addresses(everyone)
        name = _namer(kept, netns, owners, homes)
        return Network(
            is_hosts=is_hosts,
            interfaces=() if is_hosts else tuple(self._interfaces(first.pid, netns, inside)),
            listening=tuple(map(name, kept.listening)),
            connections=tuple(map(name, kept.connections)),
            left_out=kept.left_out,
            states=kept.states,
            lacks=told or lacks,
        )

    def _ask_inside(self, pid: int, netns: NetnsKey, owners: Mapping[int, Owner] | None) -> _Inside | None:
        """Ask the kernel from within the namespace; None where we may not enter it, or it does not answer so."""

        def look() -> _Inside | None:
            # The process may have ended, and its pid be another's: it is looked at where we are now.
            if ProcFs("/proc", Access()).netns("thread-self") != netns:
                return None
            try:
                with netlink(socket.NETLINK_ROUTE) as kernel:
                    told = links(kernel), addresses(kernel)
                return _Inside(*told, sifted(_only_of(_all_sockets(), owners)))
            except OSError:
                return None

        return in_network(f"{self._root}/{pid}/ns/net", look)

    def _of_tables(self, pid: int, owners: Mapping[int, Owner] | None) -> Iterator[Found]:
        """Read the sockets in files that everyone may read."""

        def rows() -> Iterator[Found]:
            for protocol, name in _TABLES:
                path = f"{self._root}/{pid}/net/{name}"
                raw = self._access.read(path)
                for row in rows_of(iter((raw or b"",))):
                    each = parse_row(row, path, protocol)
                    yield Found(protocol, each.state, each.inode, partial(_itself, each))

        return _only_of(rows(), owners)

    def _residents(self, netns: NetnsKey) -> tuple[list[int], Mapping[NetnsKey, int]]:
        """Return the processes that live in a namespace, and one process of each other."""
        inside: list[int] = []
        firsts: dict[NetnsKey, int] = {}
        for name in os.listdir(self._root):  # noqa: PTH208  hot path
            if not name.isdigit():
                continue
            own = self._processes.netns(name)
            if own == netns:
                inside.append(int(name))
            elif own is not None:
                firsts.setdefault(own, int(name))
        return inside, firsts

    def _owners(self, pids: Sequence[int], wanted: AbstractSet[int] | None) -> tuple[Mapping[int, Owner], str | None]:
        """Find out which process holds which socket, or all sockets where None are wanted.

        Says what is lacking. Whoever held one the last time is asked first: mostly that is all.
        """
        known = set(self._last_owners)
        owners: dict[int, Owner] = {}
        left = MOST_DESCRIPTORS
        refused = False
        for pid in sorted(pids, key=lambda pid: (pid not in known, pid)):
            if left <= 0 or (wanted is not None and wanted <= owners.keys()):
                break
            directory = f"{self._root}/{pid}/fd"
            try:
                names = os.listdir(directory)[:left]  # noqa: PTH208  hot path
            except OSError as error:
                self._access.note(error, directory)
                refused = refused or error.errno in REFUSED
                continue
            left -= len(names)
            found = {socket_inode(self._access.link(f"{directory}/{name}")) for name in names} - {0}
            if new := {inode for inode in found if inode not in owners}:
                owner = Owner(pid, self._comm(pid))
                owners |= dict.fromkeys(new if wanted is None else new & wanted, owner)
        self._last_owners = tuple({owner.pid for owner in owners.values()})
        if refused:
            return owners, "who holds a socket is not known of all: only root may look"
        return owners, None if left > 0 else f"who holds a socket was looked for in {MOST_DESCRIPTORS} open files"

    def _comm(self, pid: int) -> str:
        raw = self._access.read(f"{self._root}/{pid}/comm") or b"?"
        return raw.removesuffix(b"\n").decode(errors="replace")

    def _addresses(self, firsts: Mapping[NetnsKey, int]) -> Mapping[str, NetnsKey]:
        """Return which namespace has which address, as far as it is one alone."""
        now_s = time.monotonic()
        before = self._homes
        homes: dict[NetnsKey, tuple[AbstractSet[str], float]] = {}
        for netns, pid in firsts.items():
            known = before.get(netns)
            fresh = known is not None and now_s - known[1] < HOMES_S
            homes[netns] = known if known is not None and fresh else (self._own_addresses(pid), now_s)
        self._homes = homes
        found: dict[str, NetnsKey] = {}
        several: set[str] = set()
        for netns, (own, _) in homes.items():
            several |= own & found.keys()
            found |= dict.fromkeys(own, netns)
        return {address: netns for address, netns in found.items() if address not in several}

    def _own_addresses(self, pid: int) -> AbstractSet[str]:
        directory = f"{self._root}/{pid}/net"
        trie = self._access.read(f"{directory}/fib_trie") or b""
        inet6 = self._access.read(f"{directory}/if_inet6") or b""
        rows = parse_if_inet6(inet6, f"{directory}/if_inet6")
        return {*local_addresses(trie.split(b"\n")), *(row.address for row in rows)}

    def _interfaces(self, pid: int, netns: NetnsKey, inside: _Inside | None) -> list[Interface]:
        """Tell of the interfaces, with what they have counted since the last look."""
        told = self._from_within(pid, inside) if inside is not None else self._from_files(pid)
        now_ns = time.monotonic_ns()
        before, self._before = self._before, {(netns, each.name): (each.stat, now_ns) for each in told}
        return [_rated(each, before.get((netns, each.name)), now_ns) for each in told]

    def _from_files(self, pid: int) -> list[Interface]:
        path = f"{self._root}/{pid}/net/dev"
        raw = self._processes.net_dev(pid)
        own = sorted(self._own_addresses(pid) - {"127.0.0.1", "::1"})
        stats = parse_net_dev(raw, path) if raw else {}
        # Which interface has which address does not stand there, unless there is one alone.
        real = [name for name in stats if name != _LOOPBACK]
        return [Interface(name, stat, addresses=tuple(own) if real == [name] else ()) for name, stat in stats.items()]

    def _from_within(self, pid: int, inside: _Inside) -> list[Interface]:
        with_peers = [link for link in inside.links if link.kind == VETH and link.link is not None]
        peers = self._peers(pid, with_peers) if with_peers else {}
        found = []
        for link in inside.links:
            if link.stat is None:
                continue
            peer, bridge = peers.get(link.number, (None, None))
            own = tuple(address for index, address in inside.addresses if index == link.number)
            found.append(Interface(link.name, link.stat, link.state, link.mtu, link.mac, own, peer, bridge))
        return found

    def _peers(self, pid: int, ends: Iterable[LinkSample]) -> Mapping[int, tuple[str, str | None]]:
        """Find the host's ends of veth pairs, and the bridges that these are plugged into: by the index inside."""
        host = own_links(self._processes)
        if host is None:
            return {}
        peers = {}
        try:
            nsid = host.namespace_id(pid)
            with netlink(socket.NETLINK_ROUTE) as kernel:
                for end in ends:
                    peer = link_of(kernel, end.link or 0)
                    # Indexes are used in each namespace: it is the other end only if it says so itself.
                    if nsid is None or peer is None or (peer.link, peer.link_nsid) != (end.number, nsid):
                        continue
                    bridge = link_of(kernel, peer.master) if peer.master else None
                    peers[end.number] = peer.name, bridge.name if bridge is not None else None
        except OSError:
            return {}
        finally:
            host.close()
        return peers


def _itself(each: Socket) -> Socket:
    return each


def _all_sockets() -> Iterator[Found]:
    """Ask for all sockets of the namespace that this thread is in.

    Raises:
        OSError: the kernel has no sock_diag.
        ParseError: an answer is not in its documented form.
    """
    with netlink(_SOCK_DIAG) as kernel:
        for protocol, ip_protocol in _PROTOCOLS.items():
            wish = 1 << (_INFO - 1) if protocol == TCP else 0
            words = _STATES[protocol]
            for family in (socket.AF_INET, socket.AF_INET6):
                request = _REQUEST.pack(family, ip_protocol, wish, _ALL_STATES)
                for data, start, end in ask(kernel, _BY_FAMILY, request):
                    if end - start < _ANSWER.size:
                        raise _malformed(data, start)
                    number = data[start + 1]
                    yield Found(
                        protocol,
                        words.get(number) or str(number),
                        _U32.unpack_from(data, start + _ANSWER.size - _U32.size)[0],
                        partial(parse_answer, data, start, end, protocol),
                    )


def _only_of(sockets: Iterable[Found], owners: Mapping[int, Owner] | None) -> Iterator[Found]:
    """Leave out what none of these holds, where they are known."""
    return (each for each in sockets if owners is None or each.inode in owners)


def _namer(
    kept: Kept, netns: NetnsKey, owners: Mapping[int, Owner], homes: Mapping[str, NetnsKey]
) -> Callable[[Socket], Socket]:
    """Return what says who holds a socket, and who holds its other end."""
    by_ends = {
        (each.protocol, each.local, each.local_port, each.remote, each.remote_port): each.inode
        for each in kept.connections
    }

    def name(each: Socket) -> Socket:
        owner = owners.get(each.inode)
        if not each.remote_port:
            return each._replace(owner=owner)
        turned = by_ends.get((each.protocol, each.remote, each.remote_port, each.local, each.local_port))
        other = owners.get(turned) if turned is not None else None
        is_here = turned is not None
        return each._replace(owner=owner, other_owner=other, other_netns=netns if is_here else homes.get(each.remote))

    return name


def _rated(interface: Interface, before: tuple[InterfaceStat, int] | None, now_ns: int) -> Interface:
    if before is None or now_ns - before[1] > FORGOTTEN_NS:
        return interface
    stat, before_ns = before
    elapsed_s = (now_ns - before_ns) / 1e9
    return interface._replace(
        rx_bytes_per_second=per_second(interface.stat.rx_bytes, stat.rx_bytes, elapsed_s),
        tx_bytes_per_second=per_second(interface.stat.tx_bytes, stat.tx_bytes, elapsed_s),
    )
