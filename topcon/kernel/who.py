"""What is read to tell which container something belongs to; only when somebody asks.

Kernel documents: proc(5), proc_pid_net(5), https://docs.kernel.org/networking/proc_net_tcp.html, fib_trie
(https://docs.kernel.org/networking/fib_trie.html), rtnetlink(7), proc_pid_mountinfo(5)
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.files import READ_BYTES, Access
from topcon.kernel.isolated import COMMAND_BYTES, in_order, parse_process_cgroups
from topcon.kernel.mount import is_below, parse_mountinfo, unescape
from topcon.kernel.network import own_links
from topcon.kernel.process import ProcFs, parse_net_dev, parse_ns_pids, parse_stat, status_field
from topcon.kernel.protocols import rows_of
from topcon.model.sample import CgroupPath, Problem
from topcon.model.who import Clues, Endpoint, Kind, SeenAddress, SeenLink, SeenMount, SeenProcess, SeenSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topcon.kernel.links import Links
    from topcon.kernel.mount import Hierarchies, Mount
    from topcon.model.sample import NetnsKey
    from topcon.model.who import Question, Where

LISTENING = {"tcp": 10, "udp": 7}
"""The states of sockets that wait for anybody: the kernel's ``TCP_LISTEN``, and ``TCP_CLOSE`` of UDP."""
ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  nothing is bound here
_LOCAL, _REMOTE, _STATE, _INODE = 1, 2, 3, 9
_WORD = 8
"""Hexadecimal digits of 32 bits."""
_SOCKET = "socket:["
_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6", "udplite", "udplite6")}


class RawSocket(NamedTuple):
    """A row of ``net/tcp`` and its like."""

    local: Endpoint
    remote: Endpoint
    state: int
    inode: int
    """0 for one that is nobody's any more."""


def parse_socket(row: bytes, path: str) -> RawSocket:
    """Parse a row; addresses are words of 32 bits, written as the machine's numbers.

    ::

        0: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1060 1 ...
    """
    words = row.split(None, _INODE + 1)
    try:
        return RawSocket(
            _endpoint(words[_LOCAL]), _endpoint(words[_REMOTE]), int(words[_STATE], 16), int(words[_INODE])
        )
    except (IndexError, ValueError, OverflowError):
        raise ParseError(path, row.decode(errors="replace")) from None


def _endpoint(text: bytes) -> Endpoint:
    digits, _, port = text.decode("ascii").partition(":")
    parts = [int(digits[at : at + _WORD], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), _WORD)]
    raw = b"".join(parts)
    if len(digits) == _WORD:
        return Endpoint(str(IPv4Address(raw)), int(port, 16))
    # Raises a ValueError if it is too short or too long.
    address = IPv6Address(raw)
    return Endpoint(str(address.ipv4_mapped or address), int(port, 16))


def local_addresses(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield the addresses of version 4 in ``net/fib_trie``, some of them twice.

    ::

        |-- 127.0.0.1
           /32 host LOCAL
    """
    leaf = b""
    for line in lines:
        words = line.split()
        if words[:1] == [b"|--"] and len(words) > 1:
            leaf = words[1]
        elif words == [b"/32", b"host", b"LOCAL"]:
            yield leaf.decode(errors="replace")


class Interface6(NamedTuple):
    """A row of ``net/if_inet6``."""

    address: str
    ifindex: int
    name: str


def parse_if_inet6(raw: bytes, path: str) -> list[Interface6]:
    """Parse ``net/if_inet6``: address, index, prefix, scope, flags, name.

    ::

        fe8000000000000000fc00fffe000001 04 40 20 80     eth0
    """
    rows = []
    for line in raw.splitlines():
        try:
            address, index, _, _, _, name = line.decode(errors="replace").split()
            rows.append(Interface6(str(IPv6Address(bytes.fromhex(address))), int(index, 16), name))
        except ValueError:
            raise ParseError(path, line.decode(errors="replace")) from None
    return rows


def parse_indexes(igmp: bytes, multicast: bytes) -> dict[str, int]:
    """Take the indexes of interfaces from ``net/igmp`` and ``net/dev_mcast``: few files of /proc tell them.

    ::

        2       eth0      :     1      V3
        4    eth0            1     0     333300000001
    """
    found: dict[str, int] = {}
    for line in (*igmp.splitlines(), *multicast.splitlines()):
        words = line.split()
        # The groups of an interface stand below it, indented.
        if len(words) > 1 and words[0].isdigit() and not line[:1].isspace():
            found.setdefault(words[1].decode(errors="replace"), int(words[0]))
    return found


def parse_leader(status: bytes) -> int | None:
    """Return ``Tgid`` of ``/proc/PID/status``: of a thread, the process that it is of."""
    words = status_field(status, b"Tgid")
    return int(words[0]) if len(words) == 1 and words[0].isdigit() else None


class Overlay(NamedTuple):
    """The directories that an overlay is made of."""

    upper: str | None
    lowers: tuple[str, ...]


def overlay_of(mount: Mount) -> Overlay | None:
    """Take the options of an overlay apart; None for other file systems.

    ::

        500 499 0:60 / / rw - overlay overlay rw,lowerdir=/o/2/fs:/o/1/fs,upperdir=/o/3/fs,workdir=/o/3/work
    """
    if mount.fstype != "overlay":
        return None
    upper: str | None = None
    lowers: list[str] = []
    for option in mount.options:
        name, _, value = option.partition("=")
        if name == "upperdir":
            upper = unescape(value)
        elif name == "lowerdir":
            # A colon in a name has a backslash before it, which mountinfo escapes; two colons come before data layers.
            lowers += [unescape(each) for each in value.replace(r"\134:", r"\072").split(":") if each]
        elif name in {"lowerdir+", "datadir+"}:
            lowers.append(unescape(value))
    return Overlay(upper, tuple(lowers))


class WhoReader:
    """Reads what may tell whose something is. It keeps nothing open."""

    def __init__(
        self,
        proc_root: str,
        hierarchies: Hierarchies,
        host_root: str = "",
        links: Callable[[ProcFs], Links | None] = own_links,
    ) -> None:
        """Look below these roots; ``links`` opens what tells of the interfaces of our own network namespace."""
        self._root = proc_root
        self._host_root = host_root
        self._directories = tuple(
            dict.fromkeys(([hierarchies.v2] if hierarchies.v2 else []) + list(hierarchies.v1.values()))
        )
        self._links = links
        self._access = Access()
        # Where a namespace may not be looked at, the cgroup mostly says enough: that is not worth a word.
        self._processes = ProcFs(proc_root, Access())
        self._malformed: list[ParseError] = []

    def look(self, question: Question, where: Where) -> Clues:
        """Read what there is to tell about a question; what is not understood, or refused, is a problem of it."""
        self._access.refused, self._malformed = None, []
        return self._look_for(question, where)._replace(problems=self._problems())

    def _look_for(self, question: Question, where: Where) -> Clues:
        match question.kind:
            case Kind.PID | Kind.OOM:
                processes = self._of_pid(question.number, is_outside=question.kind is Kind.OOM)
                clues = Clues(processes=tuple(processes))
            case Kind.PORT | Kind.ADDRESS:
                addresses = self._addresses(question, where) if question.kind is Kind.ADDRESS else ()
                clues = Clues(addresses=addresses, sockets=self._sockets(question, where))
            case Kind.INTERFACE:
                clues = Clues(links=tuple(self._interfaces(question, where)))
            case Kind.CGROUP:
                clues = Clues(cgroups=tuple(self._cgroups(question)))
            case Kind.PATH:
                mounts = tuple(self._mounts(question.text, where))
                clues = Clues(mounts=mounts, namespace=self._namespace(question.text))
            case _:
                clues = Clues()
        return clues

    def _problems(self) -> tuple[Problem, ...]:
        problems = [Problem("who", str(error)) for error in self._malformed[:1]]
        if self._access.refused is not None:
            problems.append(
                Problem("who", f"permission denied at {self._access.refused}: not all was seen", "sudo topcon who")
            )
        return tuple(problems)

    def _guarded(self, read: Callable[[], Iterable[object]], path: str) -> None:
        """Read a file piece by piece; one that is not there, refused or not understood costs what it would tell."""
        try:
            for _ in read():
                pass
        except OSError as error:
            self._access.note(error, path)
        except ParseError as error:
            self._malformed.append(error)

    # Processes

    def _pids(self) -> list[int]:
        return sorted(int(name) for name in os.listdir(self._root) if name.isdigit())  # noqa: PTH208  strings are wanted

    def _of_pid(self, number: int | None, *, is_outside: bool) -> Iterator[SeenProcess]:
        """Yield the process that has this pid here, then, unless it ``is_outside``, those that have it inside."""
        outside = self._process(number) if number is not None else None
        if outside is not None:
            yield outside
        if number is None or is_outside:
            return
        wanted = b"\t%d" % number
        for pid in self._pids():
            status = self._access.read(f"{self._root}/{pid}/status")
            if status is None or wanted not in status or number not in parse_ns_pids(status)[1:]:
                continue
            process = self._process(pid)
            if process is not None and process != outside:
                yield process

    def _process(self, pid: int) -> SeenProcess | None:
        """Look at a process, or at a thread; None if there is none."""
        directory = f"{self._root}/{pid}"
        stat, status = self._access.read(f"{directory}/stat"), self._access.read(f"{directory}/status")
        if not stat or not status:
            return None
        leader = parse_leader(status) or pid
        words = (self._access.read(f"{directory}/cmdline") or b"")[:COMMAND_BYTES]
        try:
            comm = parse_stat(stat, f"{directory}/stat").comm
            by_name = parse_process_cgroups(self._access.read(f"{directory}/cgroup") or b"", f"{directory}/cgroup")
        except ParseError as error:
            self._malformed.append(error)
            return None
        return SeenProcess(
            pid=leader,
            comm=comm,
            thread=None if leader == pid else pid,
            ns_pids=parse_ns_pids(status),
            words=tuple(words.decode(errors="replace").split("\0")),
            cgroups=in_order(by_name),
            namespaces=self._processes.namespaces(pid),
        )

    # Sockets and addresses

    def _networks(self, where: Where) -> Iterator[tuple[NetnsKey, str]]:
        """Yield the namespaces that are still there, each with the directory that tells of it."""
        for netns, pid in where.networks.items():
            # The process may have ended, and its pid be another's.
            if self._processes.netns(pid) == netns:
                yield netns, f"{self._root}/{pid}/net"

    def _lines(self, path: str) -> Iterator[bytes]:
        """Read a file that may be too long to be held whole, without its first line."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield from rows_of(iter(lambda: os.read(fd, READ_BYTES), b""))
        finally:
            os.close(fd)

    def _sockets(self, question: Question, where: Where) -> tuple[SeenSocket, ...]:
        if question.number is None:
            return ()
        found: list[tuple[SeenSocket, int]] = []
        for netns, directory in self._networks(where):
            for protocol in (question.protocol,) if question.protocol else _TABLES:
                for name in _TABLES[protocol]:
                    path = f"{directory}/{name}"
                    self._guarded(lambda: self._table(path, question, netns, protocol, found), path)  # noqa: B023  called at once
        holders = self._holders({inode: socket.netns for socket, inode in found if inode})
        processes = {pid: self._process(pid) for pid in {pids[0] for pids in holders.values()}}
        return tuple(
            replace(socket, process=processes[pids[0]], others=len(pids) - 1)
            if (pids := holders.get(inode))
            else socket
            for socket, inode in found
        )

    def _table(
        self, path: str, question: Question, netns: NetnsKey, protocol: str, found: list[tuple[SeenSocket, int]]
    ) -> Iterator[None]:
        """Add the sockets of a table that a question is about."""
        port = question.number or 0
        # One in a hundred thousand is parsed, not all.
        written = b":%04X " % port
        for row in self._lines(path):
            if written not in row:
                continue
            raw = parse_socket(row, path)
            is_listening = raw.state == LISTENING[protocol]
            if question.kind is Kind.PORT:
                is_meant = is_listening and raw.local.port == port
            else:
                at = Endpoint(question.text, port)
                is_meant = at in {raw.local, raw.remote} or (
                    is_listening and raw.local.port == port and raw.local.address in ANYWHERE
                )
            if is_meant:
                found.append((SeenSocket(netns, protocol, raw.local, raw.remote, is_listening), raw.inode))
                yield

    def _holders(self, wanted: Mapping[int, NetnsKey]) -> dict[int, list[int]]:
        """Find the processes that have these sockets open: inode to pids, the oldest first.

        Those that live in the sockets' namespaces are looked at; to look at all takes seconds on a busy host.
        """
        holders: dict[int, list[int]] = {}
        networks = set(wanted.values())
        if not networks:
            return holders
        files = Access()
        for pid in self._pids():
            if self._processes.netns(pid) not in networks:
                continue
            directory = f"{self._root}/{pid}/fd"
            try:
                names = os.listdir(directory)  # noqa: PTH208  strings are wanted
            except OSError as error:
                files.note(error, directory)
                continue
            inodes = {socket_inode(files.link(f"{directory}/{name}")) for name in names}
            for inode in inodes & wanted.keys():
                holders.setdefault(inode, []).append(pid)
        if wanted.keys() - holders.keys():
            # What was found needs no excuse.
            self._access.refused = self._access.refused or files.refused
        return {inode: self._by_age(pids) for inode, pids in holders.items()}

    def _by_age(self, pids: list[int]) -> list[int]:
        if len(pids) == 1:
            return pids
        ages = {}
        for pid in pids:
            raw = self._access.read(f"{self._root}/{pid}/stat")
            ages[pid] = parse_stat(raw, f"{self._root}/{pid}/stat").start_ticks if raw else sys.maxsize
        return sorted(pids, key=lambda pid: (ages[pid], pid))

    def _addresses(self, question: Question, where: Where) -> tuple[SeenAddress, ...]:
        """Say which namespaces have an address."""
        found: list[SeenAddress] = []
        for netns, directory in self._networks(where):
            if ":" in question.text:
                found += [
                    SeenAddress(netns, each.name) for each in self._inet6(directory) if each.address == question.text
                ]
                continue
            path = f"{directory}/fib_trie"
            hits: list[str] = []

            def look(path: str = path, hits: list[str] = hits) -> Iterator[None]:
                for address in local_addresses(self._lines(path)):
                    if address == question.text:
                        hits.append(address)
                        return
                    yield

            self._guarded(look, path)
            found += [SeenAddress(netns, None) for _ in hits]
        return tuple(dict.fromkeys(found))

    def _inet6(self, directory: str) -> list[Interface6]:
        path = f"{directory}/if_inet6"
        try:
            return parse_if_inet6(self._access.read(path) or b"", path)
        except ParseError as error:
            self._malformed.append(error)
            return []

    # Interfaces

    def _interfaces(self, question: Question, where: Where) -> Iterator[SeenLink]:
        """Yield the interfaces of a name or index, the host's first."""
        told = self._told(where)
        for netns, directory in self._networks(where):
            links = told if told and told[0].netns == netns else self._seen(netns, directory)
            for link in links:
                if _is_meant(link, question, is_told=links is told):
                    yield link

    def _told(self, where: Where) -> list[SeenLink]:
        """Return what the kernel tells of the host's interfaces; none where our own are not the host's."""
        host = next(iter(where.networks), None)
        links = self._links(self._processes) if host is not None else None
        if links is None or host is None:
            return []
        try:
            known = links.all()
            ids: dict[int | None, NetnsKey] = {}
            if any(link.peer_nsid is not None for link in known.values()):
                ids = {links.namespace_id(pid): netns for netns, pid in where.networks.items()}
                ids.pop(None, None)
            return [
                SeenLink(host, link.name, index, link.kind, link.peer_nsid is not None, ids.get(link.peer_nsid))
                for index, link in known.items()
            ]
        except OSError:
            # Then a process tells what it sees.
            return []
        except ParseError as error:
            self._malformed.append(error)
            return []
        finally:
            links.close()

    def _seen(self, netns: NetnsKey, directory: str) -> list[SeenLink]:
        """Return the interfaces of a namespace, as a process in it sees them."""
        path = f"{directory}/dev"
        try:
            names = list(parse_net_dev(self._access.read(path) or b"", path))
        except ParseError as error:
            self._malformed.append(error)
            return []
        indexes = {each.name: each.ifindex for each in self._inet6(directory)}
        indexes |= parse_indexes(*(self._access.read(f"{directory}/{name}") or b"" for name in ("igmp", "dev_mcast")))
        return [SeenLink(netns, name, indexes.get(name)) for name in names]

    # Cgroups

    def _cgroups(self, question: Question) -> Iterator[CgroupPath]:
        """Yield the cgroups that a question names: by their id, their path, or the last word of that."""
        path, number = question.text, question.number
        if number is not None:
            yield from self._walk(lambda entry: entry.inode() == number)
        elif "/" not in path:
            yield from self._walk(lambda entry: entry.name == path)
        # It is False for whatever cannot be a path.
        elif any(os.path.isdir(f"{top}{path}") for top in self._directories):  # noqa: PTH112  Path would raise
            yield CgroupPath(path)

    def _walk(self, is_meant: Callable[[os.DirEntry[str]], bool]) -> Iterator[CgroupPath]:
        """Yield the cgroups that are meant, of the first hierarchy that has any; their numbers differ by hierarchy."""
        for top in self._directories:
            found = False
            left = [""]
            while left:
                here = left.pop()
                try:
                    with os.scandir(f"{top}{here}") as entries:
                        below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
                except OSError as error:
                    self._access.note(error, f"{top}{here}")
                    continue
                for entry in below:
                    path = f"{here}/{entry.name}"
                    left.append(path)
                    if is_meant(entry):
                        found = True
                        yield CgroupPath(path)
            if found:
                return

    # Files

    def _namespace(self, path: str) -> int | None:
        """Return the inode of the namespace that a file is mounted from, as in ``/run/netns``; None for other files."""
        try:
            stat = os.stat(f"{self._host_root}{path}")  # noqa: PTH116  a path may be anything
            kernels = os.stat(f"{self._root}/self/ns/net")  # noqa: PTH116  the same
        except (OSError, ValueError):
            return None
        return stat.st_ino if stat.st_dev == kernels.st_dev else None

    def _mounts(self, path: str, where: Where) -> Iterator[SeenMount]:
        """Yield the containers whose file system a path is a part of."""
        device = self._device_at(path)
        real = self._real(path)
        known: dict[str, str] = {}
        for pid in where.firsts:
            roots = [mount for mount in self._mountinfo(pid) if mount.point == "/"]
            # A later line is mounted over an earlier one.
            overlay = overlay_of(roots[-1]) if roots else None
            if overlay is None:
                continue
            upper = overlay.upper
            if upper is not None and (is_below(path, upper) or is_below(real, upper)):
                yield SeenMount(pid, f"in its writable layer, {upper}")
            elif device is not None and roots[-1].device == device:
                yield SeenMount(pid, "in its root file system")
            elif upper is not None and is_below(path, str(PurePosixPath(upper).parent)):
                yield SeenMount(pid, f"beside its writable layer, {upper}")
            else:
                for lower in overlay.lowers:
                    if lower not in known:
                        known[lower] = self._real(lower)
                    if is_below(real, known[lower]) or is_below(path, str(PurePosixPath(known[lower]).parent)):
                        yield SeenMount(pid, "in a layer of its image", is_shared=True)
                        break

    def _mountinfo(self, pid: int) -> list[Mount]:
        path = f"{self._root}/{pid}/mountinfo"
        try:
            return parse_mountinfo(self._access.read(path) or b"", path)
        except ParseError as error:
            self._malformed.append(error)
            return []

    def _device_at(self, path: str) -> tuple[int, int] | None:
        """Return the device of the overlay that the host has mounted around a path; None if there is none."""
        around = [mount for mount in self._mountinfo(1) if is_below(path, mount.point)]
        nearest = max(enumerate(around), key=lambda pair: (len(pair[1].point), pair[0]), default=None)
        return nearest[1].device if nearest is not None and nearest[1].fstype == "overlay" else None

    def _real(self, path: str) -> str:
        """Resolve symbolic links, as Docker has them for short names of layers."""
        try:
            return os.path.realpath(f"{self._host_root}{path}").removeprefix(self._host_root)
        except (OSError, ValueError):
            return path


def _is_meant(link: SeenLink, question: Question, *, is_told: bool) -> bool:
    """Whether a question is about an interface; ``is_told`` of one of which it is known where it leads."""
    if question.peer is None:
        return link.name == question.text or (question.number is not None and link.ifindex == question.number)
    # ``eth0@if7`` is either end of a pair: this name leads into another namespace, or the host's 7 leads to it.
    if is_told:
        return link.is_end and (link.name == question.text or link.ifindex == question.peer)
    return link.name == question.text


def socket_inode(link: str | None) -> int:
    """Return the socket that a link in ``/proc/PID/fd`` leads to; 0 for what is none."""
    if link is None or not link.startswith(_SOCKET):
        return 0
    digits = link[len(_SOCKET) : -1]
    return int(digits) if digits.isdigit() else 0
