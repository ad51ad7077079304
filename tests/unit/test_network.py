"""The networks of containers: how little has to be read of them, and that what is told is what they count."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from topcon.errors import ParseError
from topcon.kernel import network
from topcon.kernel.files import Access
from topcon.kernel.links import Link
from topcon.kernel.network import FEW_LINKS, NAMES_S, Networks, own_links
from topcon.kernel.process import ProcFs
from topcon.model.sample import InterfaceStat, NetnsKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes import FakeHost

    from topcon.kernel.links import Counters

SECOND_NS = 1_000_000_000
TITLES = "Inter-|   Receive\n face |bytes\n"
LOOPBACK = "    lo: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n"
HOST_LINK = 2
TICKS_OF_A_REFRESH = 10


def line(name: str, stat: InterfaceStat) -> str:
    rx, tx = stat[:4], stat[4:]
    return f"{name}: {' '.join(map(str, rx))} 0 0 0 0 {' '.join(map(str, tx))} 0 0 0 0\n"


def seen_from_outside(stat: InterfaceStat) -> Counters:
    """What the other end of a pair counts; it drops and fails on its own."""
    return (stat.tx_packets, stat.rx_packets, stat.tx_bytes, stat.rx_bytes, 91, 92, 93, 94, 0)


def stat_of(rx: int, tx: int, drops: int = 0) -> InterfaceStat:
    return InterfaceStat(rx * 100, rx, 0, drops, tx * 100, tx, 0, drops)


class FakeLinks:
    """The host's links: what they count, where they lead, and how often the kernel was asked."""

    def __init__(self) -> None:
        self.links: dict[int, Link] = {1: Link("lo", None, None), HOST_LINK: Link("ens3", None, None)}
        self.counted: dict[int, Counters] = {1: (9,) * 9, HOST_LINK: (1, 2, 3, 4, 5, 6, 7, 8, 9)}
        self.nsids: dict[int, int] = {}
        self.asked: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.is_closed = False
        self._told: Mapping[int, Counters] = {}

    def _ask(self, what: str) -> None:
        assert not self.is_closed
        self.asked.append(what)
        if what in self.failing:
            raise self.failing[what]

    def counters(self) -> Mapping[int, Counters]:
        self._ask("counters")
        if self._told != self.counted:
            self._told = {
                index: before if (before := self._told.get(index)) == counters else counters
                for index, counters in self.counted.items()
            }
        return self._told

    def all(self) -> dict[int, Link]:
        self._ask("all")
        return dict(self.links)

    def of(self, index: int) -> Link | None:
        self._ask("of")
        return self.links.get(index)

    def namespace_id(self, pid: int) -> int | None:
        self._ask("namespace_id")
        return self.nsids.get(pid)

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Wires:
    """A host, its links and the networks of its containers, read once a second."""

    host: FakeHost
    links: FakeLinks | None = field(default_factory=FakeLinks)
    has_host: bool = False
    now_s: float = 1000.0
    inside: dict[int, dict[str, InterfaceStat]] = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.access = Access()
        self.processes = ProcFs(self.host.proc_root, self.access)
        really = self.processes.net_dev

        def net_dev(pid: int) -> bytes | None:
            self.opened.append(pid)
            return really(pid)

        self.processes.net_dev = net_dev  # type: ignore[method-assign]
        self.networks = Networks(self.processes, self.links)  # type: ignore[arg-type]
        self.pids: Mapping[NetnsKey, int] = {}

    def key(self, pid: int) -> NetnsKey:
        netns = self.processes.netns(pid)
        assert netns is not None
        return netns

    def process(self, pid: int, **interfaces: InterfaceStat) -> NetnsKey:
        """Start a process with a network of its own."""
        self.host.process(pid, netns=5_000_000_000 + pid)
        self.count(pid, **interfaces)
        self.pids = {**self.pids, self.key(pid): pid}
        return self.key(pid)

    def count(self, pid: int, **interfaces: InterfaceStat) -> None:
        """Set what a network counts, on the host's end too if there is one."""
        self.inside[pid] = interfaces
        text = TITLES + LOOPBACK + "".join(line(name, stat) for name, stat in interfaces.items())
        (self.host.root / f"proc/{pid}/net/dev").write_text(text)
        if self.links is not None and pid in self.links.counted:
            self.links.counted[pid] = seen_from_outside(interfaces["eth0"])

    def wire(self, pid: int, stat: InterfaceStat, kind: str = "veth") -> NetnsKey:
        """Start a process whose network has one interface; the host's end of it has the process's number."""
        netns = self.process(pid, eth0=stat)
        assert self.links is not None
        self.links.links[pid] = Link(f"veth{pid}", kind, pid)
        self.links.nsids[pid] = pid
        self.links.counted[pid] = seen_from_outside(stat)
        return netns

    def tick(self) -> Mapping[NetnsKey, Mapping[str, InterfaceStat]]:
        told, malformed = self.read()
        assert malformed is None
        return told

    def read(self) -> tuple[Mapping[NetnsKey, Mapping[str, InterfaceStat]], ParseError | None]:
        self.now_s += 1
        self.opened.clear()
        if self.links is not None:
            self.links.asked.clear()
        host_netns = self.key(1) if self.has_host else None
        return self.networks.read(host_netns, self.pids, int(self.now_s * SECOND_NS))

    def settle(self, seconds: int = 20) -> None:
        for _ in range(seconds):
            self.tick()


@pytest.fixture
def wires(host: FakeHost) -> Wires:
    return Wires(host)


def test_a_container_is_told_by_the_hosts_end_of_its_network(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(3, 5, drops=1))
    first = wires.tick()
    wires.settle()
    # Its turn to be read itself comes every so often, at a time that its inode says: it has just been.
    while 100 not in wires.opened:
        wires.tick()
    wires.count(100, eth0=stat_of(7, 8, drops=1))
    told, opened = wires.tick(), list(wires.opened)

    assert first == {netns: {"eth0": stat_of(3, 5, drops=1)}}
    assert told == {netns: {"eth0": stat_of(7, 8, drops=1)}}
    assert opened == []


def test_an_idle_tick_is_one_question_and_the_same_objects(wires: Wires) -> None:
    for pid in range(100, 120):
        wires.wire(pid, stat_of(pid, pid))
    wires.settle()
    before = wires.tick()
    opened = 0
    for _ in range(TICKS_OF_A_REFRESH):
        assert wires.tick() is before
        assert wires.links is not None
        assert wires.links.asked == ["counters"]
        assert len(wires.opened) < 10
        opened += len(wires.opened)

    assert 20 <= opened <= 24


def test_only_what_has_changed_is_another_object(wires: Wires) -> None:
    still, busy = wires.wire(100, stat_of(1, 1)), wires.wire(101, stat_of(2, 2))
    wires.settle()
    before = wires.tick()
    wires.count(101, eth0=stat_of(3, 2))
    after = wires.tick()

    assert after is not before
    assert after[still] is before[still]
    assert after[busy] == {"eth0": stat_of(3, 2)}


def test_what_each_end_counts_for_itself_is_never_older_than_ten_seconds(wires: Wires) -> None:
    keys = [wires.wire(pid, stat_of(1, 1)) for pid in range(100, 120)]
    wires.settle()
    for pid in range(100, 120):
        wires.count(pid, eth0=stat_of(1, 1, drops=9))
    told = [wires.tick() for _ in range(TICKS_OF_A_REFRESH)]

    assert all(told[-1][key]["eth0"].rx_drop == 9 for key in keys)
    assert all(told[-1][key]["eth0"].tx_drop == 9 for key in keys)
    assert not all(told[1][key]["eth0"].rx_drop == 9 for key in keys)


def test_a_network_without_interfaces_is_empty_and_left_alone(wires: Wires) -> None:
    netns = wires.process(100)
    wires.settle()
    before = wires.tick()
    opened = 0
    for _ in range(9):
        assert wires.tick() is before
        opened += len(wires.opened)

    assert before == {netns: {}}
    assert opened == 1


def test_a_new_network_is_looked_at_more_often_than_an_old_one(wires: Wires) -> None:
    keys = [wires.process(pid) for pid in range(100, 120)]
    wires.tick()
    for pid in range(100, 120):
        wires.count(pid, macvlan0=stat_of(1, 1))

    assert wires.tick() == {key: {"macvlan0": stat_of(1, 1)} for key in keys}


def test_a_network_that_gets_an_interface_is_read_each_time_from_then_on(wires: Wires) -> None:
    netns = wires.process(100)
    wires.settle()
    wires.count(100, macvlan0=stat_of(1, 1))
    wires.settle(TICKS_OF_A_REFRESH)
    wires.count(100, macvlan0=stat_of(2, 2))

    assert wires.tick() == {netns: {"macvlan0": stat_of(2, 2)}}


@pytest.mark.parametrize("kind", ["macvlan", "netkit", "ipvlan"])
def test_what_is_no_veth_is_read_each_time(wires: Wires, kind: str) -> None:
    netns = wires.wire(100, stat_of(1, 1), kind)
    wires.settle()
    before = wires.tick()
    same = wires.tick()
    wires.count(100, eth0=stat_of(2, 2))

    assert same is before
    assert wires.tick() == {netns: {"eth0": stat_of(2, 2)}}
    assert wires.opened == [100]


def test_several_interfaces_are_read_each_time(wires: Wires) -> None:
    wires.wire(100, stat_of(1, 1))
    wires.count(100, eth0=stat_of(1, 1), eth1=stat_of(2, 2))
    wires.settle()

    assert [set(each) for each in wires.tick().values()] == [{"eth0", "eth1"}]
    assert wires.opened == [100]


def test_a_second_pair_ends_the_first(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(1, 1))
    wires.settle()
    assert wires.links is not None
    wires.count(100, eth0=stat_of(1, 1), eth1=stat_of(2, 2))
    wires.links.links[101] = Link("vethx", "veth", 100)
    wires.links.counted[101] = seen_from_outside(stat_of(2, 2))
    wires.tick()

    assert wires.tick() == {netns: {"eth0": stat_of(1, 1), "eth1": stat_of(2, 2)}}


def test_ends_that_do_not_agree_are_not_relied_upon(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(5, 5))
    wires.settle()
    assert wires.links is not None
    wires.links.counted[100] = seen_from_outside(stat_of(9, 9))
    wires.settle(TICKS_OF_A_REFRESH)
    told = wires.tick()
    # Not even when others come, and all are looked at once more.
    wires.wire(101, stat_of(1, 1))
    wires.settle(3)
    wires.tick()

    assert told == {netns: {"eth0": stat_of(5, 5)}}
    assert 100 in wires.opened


def test_an_end_that_falls_behind_is_not_relied_upon(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(5, 5))
    wires.settle()
    assert wires.links is not None
    behind = wires.links.counted[100]
    wires.count(100, eth0=stat_of(6, 6))
    wires.links.counted[100] = behind
    wires.settle(TICKS_OF_A_REFRESH + 1)

    assert wires.tick() == {netns: {"eth0": stat_of(6, 6)}}
    assert wires.opened == [100]


def test_ends_that_never_agreed_are_not_paired(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(5, 5))
    assert wires.links is not None
    wires.links.counted[100] = seen_from_outside(stat_of(9, 9))
    wires.settle()

    assert wires.tick() == {netns: {"eth0": stat_of(5, 5)}}
    assert wires.opened == [100]


def test_what_passes_between_the_two_readings_is_no_disagreement(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(5, 5))
    assert wires.links is not None
    for number in range(6, 40):
        # The host's links are read first.
        outside = wires.links.counted[100]
        wires.count(100, eth0=stat_of(number, number))
        inside, wires.links.counted[100] = wires.links.counted[100], outside
        wires.tick()
        wires.links.counted[100] = inside
    wires.opened.clear()
    told = wires.tick()

    assert told == {netns: {"eth0": stat_of(39, 39)}}
    assert wires.networks._namespaces[netns].link == 100


def test_a_network_that_is_wired_later_is_found_at_once(wires: Wires) -> None:
    netns = wires.process(100)
    assert wires.links is not None
    wires.links.nsids[100] = 100
    wires.settle()
    wires.links.links[100] = Link("veth100", "veth", 100)
    wires.links.counted[100] = seen_from_outside(stat_of(0, 0))
    wires.count(100, eth0=stat_of(4, 4))
    wires.tick()
    told = wires.tick()
    wires.tick()
    wires.tick()

    assert told == {netns: {"eth0": stat_of(4, 4)}}
    assert wires.networks._namespaces[netns].link == 100


def test_a_pair_whose_one_end_is_moved_into_the_container_is_found(wires: Wires) -> None:
    netns = wires.process(100)
    assert wires.links is not None
    counted = wires.links.counted
    wires.links.nsids[100] = 100
    wires.links.links |= {50: Link("veth50", "veth", None), 51: Link("veth51", "veth", None)}
    counted |= {50: seen_from_outside(stat_of(0, 0)), 51: seen_from_outside(stat_of(0, 0))}
    wires.settle()
    del wires.links.links[51], counted[51]
    wires.links.links[50] = Link("veth50", "veth", 100)
    wires.count(100, eth0=stat_of(0, 0))
    wires.settle(3)

    assert wires.tick() == {netns: {"eth0": stat_of(0, 0)}}
    assert wires.networks._namespaces[netns].link == 50


def test_an_interface_that_is_moved_on_is_found_where_it_is(wires: Wires) -> None:
    left, reached = wires.wire(100, stat_of(3, 3)), wires.process(101)
    wires.settle()
    assert wires.links is not None
    (wires.host.root / "proc/100/net/dev").write_text(TITLES + LOOPBACK)
    wires.count(101, eth0=stat_of(3, 3))
    wires.links.links[100] = Link("veth100", "veth", 101)
    wires.links.nsids[101] = 101
    wires.settle(2 * TICKS_OF_A_REFRESH)

    assert wires.tick() == {left: {}, reached: {"eth0": stat_of(3, 3)}}
    assert wires.networks._namespaces[reached].link == 100


def test_an_end_that_is_gone_leaves_the_network_to_be_read(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(3, 3))
    wires.settle()
    assert wires.links is not None
    del wires.links.counted[100], wires.links.links[100]
    (wires.host.root / "proc/100/net/dev").write_text(TITLES + LOOPBACK)

    assert wires.tick() == {netns: {}}


def test_a_container_that_is_gone_is_no_error_and_told_no_more(wires: Wires) -> None:
    stays, goes = wires.wire(100, stat_of(1, 1)), wires.process(101, eth0=stat_of(2, 2), eth1=stat_of(3, 3))
    wires.settle()
    (wires.host.root / "proc/101/net/dev").unlink()
    first = wires.tick()
    wires.pids = {stays: 100}
    second = wires.tick()

    assert goes not in first
    assert first == second == {stays: {"eth0": stat_of(1, 1)}}
    assert wires.access.refused is None


def test_another_process_of_a_network_is_asked_when_the_first_has_ended(wires: Wires) -> None:
    netns = wires.process(100, eth0=stat_of(1, 1), eth1=stat_of(2, 2))
    before = wires.tick()
    wires.host.process(101, netns=5_000_000_100)
    wires.pids = {netns: 101}
    after = wires.tick()

    assert wires.opened == [101]
    assert after == before


def test_a_number_that_another_process_has_by_now_is_not_paired(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    netns = wires.wire(100, stat_of(1, 1))
    monkeypatch.setattr(wires.processes, "netns", lambda _: NetnsKey(1))
    wires.settle()
    wires.tick()

    assert wires.networks._namespaces[netns].link is None
    assert wires.opened == [100]


def test_nothing_is_asked_where_there_is_nothing_to_tell(wires: Wires) -> None:
    assert wires.tick() == {}
    assert wires.tick() == {}
    assert wires.links is not None
    assert wires.links.asked == []


def test_at_first_the_kernel_is_not_asked_where_links_lead(wires: Wires) -> None:
    wires.wire(100, stat_of(1, 1))
    wires.tick()

    assert wires.links is not None
    assert wires.links.asked == ["counters"]


def test_few_new_links_are_asked_for_one_by_one_many_at_once(wires: Wires) -> None:
    wires.wire(100, stat_of(1, 1))
    wires.settle()
    assert wires.links is not None
    wires.wire(101, stat_of(1, 1))
    wires.tick()
    few = list(wires.links.asked)
    for pid in range(200, 201 + FEW_LINKS):
        wires.wire(pid, stat_of(1, 1))
    wires.tick()
    many = list(wires.links.asked)

    assert few.count("of") == 1
    assert "all" not in few
    assert many.count("all") == 1
    assert "of" not in many


def test_a_link_that_is_gone_before_it_can_be_asked_for_is_passed_over(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(1, 1))
    wires.settle()
    assert wires.links is not None
    wires.links.counted[77] = (0,) * 9
    wires.tick()

    assert wires.links.asked.count("of") == 1
    assert wires.tick() == {netns: {"eth0": stat_of(1, 1)}}


def test_the_hosts_own_links_are_told_as_net_dev_does(host: FakeHost) -> None:
    wires = Wires(host, has_host=True)
    wires.wire(100, stat_of(1, 1))
    first = wires.tick()[wires.key(1)]
    opened = list(wires.opened)
    same = wires.tick()[wires.key(1)]
    assert wires.links is not None
    wires.links.counted[HOST_LINK] = (10, 20, 30, 40, 50, 60, 70, 80, 90)
    wires.links.counted[1] = (99,) * 9
    busy = wires.tick()[wires.key(1)]
    wires.links.counted[1] = (100,) * 9
    still = wires.tick()[wires.key(1)]

    assert first["ens3"] == InterfaceStat(
        rx_bytes=3, rx_packets=1, rx_errs=5, rx_drop=7 + 9, tx_bytes=4, tx_packets=2, tx_errs=6, tx_drop=8
    )
    assert first.keys() == {"ens3", "veth100"}
    assert opened == [100]
    assert same is first
    assert busy["ens3"].rx_drop == 160
    assert busy["veth100"] is first["veth100"]
    assert still is busy


def test_new_names_of_the_hosts_links_are_seen_within_a_minute(host: FakeHost) -> None:
    wires = Wires(host, has_host=True)
    wires.tick()
    assert wires.links is not None
    wires.links.links[HOST_LINK] = Link("wan0", None, None)
    wires.now_s += NAMES_S

    assert wires.tick()[wires.key(1)].keys() == {"wan0"}


FAILURES = {
    "refused": (OSError(errno.EPERM, "no"), False),
    "unsupported": (OSError(errno.EOPNOTSUPP, "no"), False),
    "late": (TimeoutError(), False),
    "malformed": (ParseError("rtnetlink", "00"), True),
}


@pytest.mark.parametrize("what", [("counters",), ("all", "of"), ("namespace_id",)])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("has_host", [True, False])
def test_without_the_kernels_answers_all_is_read(
    host: FakeHost, what: tuple[str, ...], failure: str, has_host: bool
) -> None:
    wires = Wires(host, has_host=has_host)
    netns = wires.wire(100, stat_of(1, 1))
    assert wires.links is not None
    error, is_told = FAILURES[failure]
    wires.links.failing = dict.fromkeys(what, error)
    told = [wires.read()[1] for _ in range(3)]
    wires.count(100, eth0=stat_of(2, 2))
    after = wires.tick()

    assert [each for each in told if each] == ([error] if is_told else [])
    assert wires.links.is_closed
    assert after[netns] == {"eth0": stat_of(2, 2)}
    assert set(wires.opened) == ({1, 100} if has_host else {100})
    assert (wires.key(1) in after) == has_host


def test_an_answer_that_fails_later_costs_no_tick(wires: Wires) -> None:
    netns = wires.wire(100, stat_of(1, 1))
    wires.settle()
    assert wires.links is not None
    wires.links.failing["counters"] = OSError(errno.ENOBUFS, "no")
    wires.count(100, eth0=stat_of(2, 2))

    assert wires.tick() == {netns: {"eth0": stat_of(2, 2)}}


@pytest.mark.parametrize("is_wired", [True, False])
def test_a_text_in_another_form_costs_its_network_alone(wires: Wires, *, is_wired: bool) -> None:
    good = wires.wire(100, stat_of(1, 1))
    bad = wires.wire(101, stat_of(2, 2)) if is_wired else wires.process(101, eth0=stat_of(2, 2), eth1=stat_of(2, 2))
    wires.settle()
    path = wires.host.root / "proc/101/net/dev"
    text = path.read_text()
    path.write_text(TITLES + "eth0: what\n")
    told = [wires.read() for _ in range(TICKS_OF_A_REFRESH)]
    path.write_text(text)
    mended = wires.tick()

    networks, error = told[-1]
    assert networks == {good: {"eth0": stat_of(1, 1)}}
    assert str(path) in str(error)
    assert mended.keys() == {good, bad}


def test_a_host_that_is_not_ours_is_read_each_time(host: FakeHost) -> None:
    wires = Wires(host, links=None, has_host=True)
    netns = wires.process(100, eth0=stat_of(1, 1))
    first, same = wires.tick(), wires.tick()
    wires.count(100, eth0=stat_of(2, 2))
    after = wires.tick()

    assert same is first
    assert sorted(wires.opened) == [1, 100]
    assert after[netns] == {"eth0": stat_of(2, 2)}
    assert after[wires.key(1)] is first[wires.key(1)]
    assert first[wires.key(1)].keys() == {"eth0"}


def test_closing_lets_go_of_the_kernel(wires: Wires) -> None:
    wires.networks.close()
    wires.networks.close()

    assert wires.links is not None
    assert wires.links.is_closed


def test_with_no_time_between_all_is_read_each_time(host: FakeHost) -> None:
    wires = Wires(host)
    wires.networks = Networks(wires.processes, wires.links, refresh_s=0.0)  # type: ignore[arg-type]
    wires.wire(100, stat_of(1, 1))
    wires.settle()
    wires.tick()

    assert wires.opened == [100]


class OwnProc:
    """``/proc`` as it is for us: the number of our own network, and of the host's."""

    def __init__(self, numbers: Mapping[int | str, int | None]) -> None:
        self._numbers = numbers

    def netns(self, pid: int | str) -> int | None:
        return self._numbers[pid]


@pytest.mark.parametrize(("ours", "hosts", "is_asked"), [(7, 7, True), (7, 8, False), (None, None, False)])
def test_links_are_those_of_the_host_only_if_its_network_is_ours(
    monkeypatch: pytest.MonkeyPatch, ours: int | None, hosts: int | None, is_asked: bool
) -> None:
    proc: Any = OwnProc(MappingProxyType({"self": ours, 1: hosts}))
    monkeypatch.setattr(network, "ProcFs", lambda *_: proc)
    monkeypatch.setattr(network, "Links", FakeLinks)

    assert isinstance(own_links(proc), FakeLinks) == is_asked


def test_where_links_may_not_be_asked_for_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> FakeLinks:
        raise OSError(errno.EAFNOSUPPORT, "no")

    proc: Any = OwnProc({"self": 7, 1: 7})
    monkeypatch.setattr(network, "ProcFs", lambda *_: proc)
    monkeypatch.setattr(network, "Links", refuse)

    assert own_links(proc) is None


def test_a_host_in_files_is_not_ours(host: FakeHost) -> None:
    assert own_links(ProcFs(host.proc_root, Access())) is None
