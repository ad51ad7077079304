"""What each network namespace sends and receives (proc(5), rtnetlink(7), veth(4)).

A container's network is mostly one end of a veth pair whose other end is the host's. What the one end has sent, the
other has received, and the kernel tells what all of the host's links count in one dump: so the namespaces of containers
are opened now and then only, for what the ends count each for itself, and to see that nothing else has come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.kernel.links import Links
from topcon.kernel.process import ProcFs, parse_net_dev
from topcon.model.sample import InterfaceStat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.kernel.links import Counters, Link
    from topcon.model.sample import NetnsKey

REFRESH_S = 9.0
"""What is not read each time is read this often: with a tick a second, nothing is older than 10 s."""
VETH = "veth"
LOOPBACK = "lo"
FIRST_PID = 1
NAMES_S = 60.0
"""How often the host's links are asked for their names anew, where those are shown: nothing tells of a new name."""
FEW_LINKS = 16
"""Up to so many are asked for one by one; a dump of a thousand takes longer than a hundred questions."""
_GOLDEN = 0.6180339887498949


def own_links(processes: ProcFs) -> Links | None:
    """Ask the kernel about links if it is our own host that is read, and its network is ours; None otherwise.

    None, too, where we may not ask.
    """
    ours = ProcFs("/proc", Access()).netns("self")
    if ours is None or ours != processes.netns(FIRST_PID):
        return None
    try:
        return Links()
    except OSError:
        return None


class _Namespace:
    """A network namespace: who is asked for it, what it counted last, and when it is read again."""

    __slots__ = (
        "counters",
        "due_ns",
        "expected",
        "interfaces",
        "is_odd",
        "link",
        "pid",
        "read_with",
        "seen_ns",
        "slot",
        "text",
    )

    def __init__(self, netns: NetnsKey, pid: int, now_ns: int) -> None:
        self.pid = pid
        self.seen_ns = now_ns
        self.due_ns = now_ns
        self.slot = netns * _GOLDEN % 1.0
        """Its place in each period of refreshing: those that came together are not due together again."""
        self.text: bytes | None = None
        self.interfaces: Mapping[str, InterfaceStat] | None = None
        """All but the loopback, by name; None while they cannot be read."""
        self.link: int | None = None
        """The host's end of the only interface; None while there is none to be relied upon."""
        self.counters: Counters | None = None
        """What that end counted last."""
        self.read_with: Counters | None = None
        """What it counted when the namespace was read last."""
        self.expected: InterfaceStat | None = None
        """What the next counters of that end may not fall short of."""
        self.is_odd = False
        """Whether the ends of its pair were seen to count differently."""

    @property
    def only(self) -> tuple[str, InterfaceStat] | None:
        """The name of the only interface, and what it counts."""
        return next(iter(self.interfaces.items())) if self.interfaces and len(self.interfaces) == 1 else None

    def part(self) -> None:
        """Rely upon the host's end no more."""
        self.link = self.counters = self.expected = self.text = None
        self.due_ns = 0

    def forget(self) -> bool:
        """Tell nothing until it can be read again; return whether there was something to tell."""
        before, self.interfaces = self.interfaces, None
        self.part()
        return before is not None


class Networks:
    """The network namespaces of a host. Nothing is kept open: that would keep them alive after their containers."""

    def __init__(self, processes: ProcFs, links: Links | None, refresh_s: float = REFRESH_S) -> None:
        """Read through a process of each namespace, and as far as ``links`` tell of it, from the host's ends.

        ``links`` are None where they are not those of the host that the processes are of. What is not read each time is
        read every ``refresh_s`` at least.
        """
        self._processes = processes
        self._links = links
        self._refresh_ns = max(int(refresh_s * 1e9), 1)
        self._host_netns: NetnsKey | None = None
        self._pids: Mapping[NetnsKey, int] | None = None
        self._namespaces: dict[NetnsKey, _Namespace] = {}
        self._paired: list[_Namespace] = []
        self._counters: Mapping[int, Counters] = {}
        self._known: dict[int, Link] = {}
        self._may_pair = False
        self._is_changed = False
        self._is_moved = False
        self._has_expected = False
        self._names_due_ns = 0
        self._host: dict[int, tuple[Counters, InterfaceStat]] = {}
        self._host_interfaces: dict[str, InterfaceStat] = {}
        self._networks: dict[NetnsKey, Mapping[str, InterfaceStat]] = {}

    def read(
        self, host_netns: NetnsKey | None, pids: Mapping[NetnsKey, int], now_ns: int
    ) -> tuple[Mapping[NetnsKey, Mapping[str, InterfaceStat]], ParseError | None]:
        """Return what the interfaces of each namespace count, the loopback left out, and the first file not understood.

        The very same mapping as the last time if nothing has changed, and the same of a namespace that has not.
        ``pids`` name a process in each namespace, and are the same object for as long as they are the same. The host's
        own, ``host_netns``, is read if it is not None. ``now_ns`` is on the monotonic clock.
        """
        is_new = pids is not self._pids or host_netns != self._host_netns
        if is_new:
            self._settle(host_netns, pids, now_ns)
        has_counted, malformed = self._ask(self._count, now_ns)
        has_changed = is_new or has_counted
        for namespace in self._namespaces.values():
            if now_ns >= namespace.due_ns:
                try:
                    has_changed |= self._look(namespace, now_ns)
                except ParseError as error:
                    malformed = malformed or error
                    has_changed |= namespace.forget()
        if self._may_pair:
            has_failed, error_of_links = self._ask(self._pair, now_ns)
            has_changed |= has_failed
            malformed = malformed or error_of_links
        if has_changed:
            self._networks = {
                netns: namespace.interfaces
                for netns, namespace in self._namespaces.items()
                if namespace.interfaces is not None
            }
            if self._links is not None and host_netns is not None:
                self._networks[host_netns] = self._host_interfaces
        return self._networks, malformed

    def close(self) -> None:
        """Let go of the kernel."""
        if self._links is not None:
            self._links.close()
            self._links = None

    def _settle(self, host_netns: NetnsKey | None, pids: Mapping[NetnsKey, int], now_ns: int) -> None:
        """Follow the namespaces that there are; what another process is asked for may be another one."""
        self._host_netns, self._pids = host_netns, pids
        if host_netns is not None and self._links is None:
            pids = {**pids, host_netns: FIRST_PID}
        known = self._namespaces
        self._namespaces = {
            netns: before
            if (before := known.get(netns)) is not None and before.pid == pid
            else _Namespace(netns, pid, now_ns)
            for netns, pid in pids.items()
        }
        self._find_paired()
        self._may_pair = True

    def _find_paired(self) -> None:
        self._paired = [namespace for namespace in self._namespaces.values() if namespace.link is not None]

    def _ask(self, step: Callable[[Links, int], bool], now_ns: int) -> tuple[bool, ParseError | None]:
        """Take a step that needs the kernel's answers; do without them from then on if it does not give them."""
        if self._links is None:
            return False, None
        try:
            return step(self._links, now_ns), None
        except (OSError, ParseError) as error:
            self.close()
            for namespace in self._paired:
                namespace.part()
            self._settle(self._host_netns, self._pids or {}, now_ns)
            return True, error if isinstance(error, ParseError) else None

    def _count(self, links: Links, now_ns: int) -> bool:
        """Take what the host's links count now; return whether that changes what there is to tell."""
        if not self._namespaces and self._host_netns is None:
            return False
        before, self._counters = self._counters, links.counters()
        is_naming = self._host_netns is not None and now_ns >= self._names_due_ns
        if is_naming:
            self._names_due_ns = now_ns + int(NAMES_S * 1e9)
            self._known = links.all()
        if self._counters is before and not self._has_expected and not is_naming:
            return False
        if self._counters.keys() != before.keys():
            self._may_pair = self._is_changed = True
            if self._host_netns is not None:
                self._learn(links)
        self._has_expected = False
        has_changed = False
        for namespace in self._paired:
            if namespace.expected is not None or self._counters.get(namespace.link or 0) is not namespace.counters:
                has_changed |= self._take(namespace)
        if self._host_netns is not None:
            has_changed |= self._take_hosts()
        return has_changed

    def _take(self, namespace: _Namespace) -> bool:
        """Take over what the host's end of a namespace counts; return whether that is something else now."""
        counters = self._counters.get(namespace.link or 0)
        if counters is None or not namespace.interfaces:
            namespace.part()
            return False
        ((name, before),) = namespace.interfaces.items()
        stat = _from_other_end(counters, before)
        expected, namespace.expected = namespace.expected, None
        if expected is not None and not _has_reached(stat, expected):
            self._distrust(namespace)
            return False
        namespace.counters = counters
        if stat == before:
            return False
        namespace.interfaces = {name: stat}
        return True

    def _take_hosts(self) -> bool:
        """Take over what the host's own links count; return whether that is something else now."""
        before, self._host = self._host, {}
        for index, counters in self._counters.items():
            last = before.get(index)
            self._host[index] = (
                last if last is not None and last[0] is counters else (counters, _from_own_end(counters))
            )
        interfaces = {
            link.name: stat
            for index, (_, stat) in self._host.items()
            if (link := self._known.get(index)) is not None and link.name != LOOPBACK
        }
        if interfaces == self._host_interfaces:
            return False
        self._host_interfaces = interfaces
        return True

    def _learn(self, links: Links) -> None:
        """Look at the links that are new, and at those whose other end may have been moved out of the host since."""
        self._is_changed = False
        known = {index: link for index, link in self._known.items() if index in self._counters}
        unknown = [
            index
            for index in self._counters
            if (link := known.get(index)) is None or (link.kind == VETH and link.peer_nsid is None)
        ]
        if len(unknown) > FEW_LINKS:
            self._known = links.all()
            return
        for index in unknown:
            if (link := links.of(index)) is not None:
                known[index] = link
        self._known = known

    def _look(self, namespace: _Namespace, now_ns: int) -> bool:
        """Read a namespace through its process; return whether it counts something else now."""
        text = self._processes.net_dev(namespace.pid)
        if not text:
            return namespace.forget()
        if text == namespace.text and namespace.counters is namespace.read_with:
            self._schedule(namespace, now_ns)
            return False
        path = f"{self._processes.root}/{namespace.pid}/net/dev"
        interfaces = {name: stat for name, stat in parse_net_dev(text, path).items() if name != LOOPBACK}
        namespace.text, namespace.read_with = text, namespace.counters
        before = namespace.interfaces
        if namespace.link is not None:
            interfaces = self._compare(namespace, interfaces)
        if before is None or interfaces.keys() != before.keys():
            self._may_pair = True
        is_same = interfaces == before
        if not is_same:
            namespace.interfaces = interfaces
        self._schedule(namespace, now_ns)
        return not is_same

    def _compare(self, namespace: _Namespace, interfaces: dict[str, InterfaceStat]) -> dict[str, InterfaceStat]:
        """Hold what a namespace counts itself against what the host's end counts; return what to tell of it.

        Its own counters are read after the host's, and before the next of the host's: so they lie between the two.
        """
        if interfaces.keys() != (namespace.interfaces or {}).keys():
            # An interface was renamed, has come, or was moved on; then the host's end leads elsewhere now.
            namespace.part()
            self._is_moved = True
            return interfaces
        ((name, stat),) = interfaces.items()
        told = _from_other_end(namespace.counters or (), stat)
        if not _has_reached(stat, told):
            self._distrust(namespace)
            return interfaces
        self._expect(namespace, None if stat == told else stat)
        return {name: told}

    def _expect(self, namespace: _Namespace, stat: InterfaceStat | None) -> None:
        namespace.expected = stat
        self._has_expected = self._has_expected or stat is not None

    def _distrust(self, namespace: _Namespace) -> None:
        namespace.part()
        namespace.is_odd = True

    def _schedule(self, namespace: _Namespace, now_ns: int) -> None:
        """Say when a namespace is read again, if not each time; one that is new is looked at more often."""
        if namespace.link is not None or namespace.interfaces == {}:
            until_slot_ns = self._refresh_ns - (now_ns - int(namespace.slot * self._refresh_ns)) % self._refresh_ns
            namespace.due_ns = now_ns + min(now_ns - namespace.seen_ns, until_slot_ns)

    def _pair(self, links: Links, now_ns: int) -> bool:
        """Find the host's ends of those namespaces that have no other; what there is to tell stays the same."""
        single = {
            netns: namespace
            for netns, namespace in self._namespaces.items()
            if namespace.link is None
            and namespace.interfaces is not None
            and len(namespace.interfaces) <= 1
            and not namespace.is_odd
        }
        # What is looked at but once, or ends at once, is not worth it.
        ripe = {netns: namespace for netns, namespace in single.items() if namespace.seen_ns < now_ns}
        self._may_pair = len(ripe) < len(single)
        if not ripe and not self._paired:
            return False
        if self._is_moved:
            self._is_moved = False
            self._known = links.all()
        elif self._is_changed:
            self._learn(links)
        ends: dict[int, list[int]] = {}
        for index, link in self._known.items():
            if link.kind == VETH and link.peer_nsid is not None:
                ends.setdefault(link.peer_nsid, []).append(index)
        ends_of = {index: indexes for indexes in ends.values() for index in indexes}
        taken = set()
        for namespace in self._paired:
            if namespace.link is not None and len(ends_of.get(namespace.link, ())) != 1:
                namespace.part()
            taken.add(namespace.link)
        if not taken.issuperset(ends_of):
            for netns, namespace in ripe.items():
                self._find_end(links, netns, namespace, ends, now_ns)
        self._find_paired()
        return False

    def _find_end(
        self, links: Links, netns: NetnsKey, namespace: _Namespace, ends: Mapping[int, list[int]], now_ns: int
    ) -> None:
        """Pair a namespace that has one interface with the only end that the host has of it."""
        nsid = links.namespace_id(namespace.pid)
        indexes = ends.get(nsid, []) if nsid is not None else []
        only = namespace.only
        if indexes and namespace.interfaces == {}:
            # It had none when it was read last.
            namespace.due_ns = 0
        counters = self._counters.get(indexes[0]) if len(indexes) == 1 else None
        if counters is None or only is None or self._processes.netns(namespace.pid) != netns:
            return
        _, stat = only
        told = _from_other_end(counters, stat)
        if not _has_reached(stat, told):
            namespace.is_odd = True
            return
        namespace.link, namespace.counters = indexes[0], counters
        self._expect(namespace, None if stat == told else stat)
        self._schedule(namespace, now_ns)


def _from_other_end(counters: Counters, before: InterfaceStat) -> InterfaceStat:
    """Say what one end of a pair counts by what the other does, but for what each counts by itself."""
    rx_packets, tx_packets, rx_bytes, tx_bytes, *_ = counters
    # By their order: this is done at each tick for each network that is in use.
    return InterfaceStat(
        tx_bytes, tx_packets, before.rx_errs, before.rx_drop, rx_bytes, rx_packets, before.tx_errs, before.tx_drop
    )


def _from_own_end(counters: Counters) -> InterfaceStat:
    """Say what a link counts as ``net/dev`` does."""
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, rx_missed = counters
    return InterfaceStat(
        rx_bytes=rx_bytes,
        rx_packets=rx_packets,
        rx_errs=rx_errors,
        rx_drop=rx_dropped + rx_missed,
        tx_bytes=tx_bytes,
        tx_packets=tx_packets,
        tx_errs=tx_errors,
        tx_drop=tx_dropped,
    )


def _has_reached(later: InterfaceStat, earlier: InterfaceStat) -> bool:
    """Whether nothing that passes through both ends is less than it was."""
    return (
        later.rx_bytes >= earlier.rx_bytes
        and later.rx_packets >= earlier.rx_packets
        and later.tx_bytes >= earlier.tx_bytes
        and later.tx_packets >= earlier.tx_packets
    )
