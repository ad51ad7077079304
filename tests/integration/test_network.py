"""Veth pairs of our own: what is told of a network is what it counts itself, and little is read to tell it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import GATEWAY, IMAGE
from tests.integration.machine import skip_without, until
from topcon.kernel.files import Access
from topcon.kernel.links import Links
from topcon.kernel.network import Networks, own_links
from topcon.kernel.process import ProcFs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.integration.conftest import Dockerd
    from topcon.model.sample import InterfaceStat, NetnsKey

COUNT = 20
SETTLE_TICKS = 25
SECOND_NS = 1_000_000_000
FRAME = b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + b"x" * 100
"""To everybody, from nobody, of a protocol for experiments: the network takes it and has nobody to give it to."""

Told = dict[str, "InterfaceStat"]


class CountedLinks(Links):
    """The host's links, and how often the kernel was asked about them."""

    asked = 0

    def _send(self, kind: int, body: bytes, flags: int) -> None:
        self.asked += 1
        super()._send(kind, body, flags)


class CountedProcFs(ProcFs):
    """Processes, and how often one's network was read."""

    opened = 0

    def net_dev(self, pid: int) -> bytes | None:
        self.opened += 1
        return super().net_dev(pid)


@dataclass
class Pairs:
    """Processes in networks of their own, each with one end of a pair; the other is the host's."""

    names: list[str]
    pids: list[int]
    processes: CountedProcFs

    def __post_init__(self) -> None:
        self.links = CountedLinks()
        self.networks = Networks(self.processes, self.links)
        self.keys: Mapping[NetnsKey, int] = {
            key: pid for pid in self.pids if (key := self.processes.netns(pid)) is not None
        }
        self.now_s = 1000

    def tick(self, seconds: int = 1) -> Mapping[NetnsKey, Mapping[str, InterfaceStat]]:
        self.now_s += seconds
        self.links.asked = self.processes.opened = 0
        told, malformed = self.networks.read(None, self.keys, self.now_s * SECOND_NS)
        assert malformed is None
        return told

    def settle(self) -> None:
        for _ in range(SETTLE_TICKS):
            self.tick()

    def net_dev(self, pid: int) -> Told:
        return {name: stat for name, stat in (self.processes.interfaces(pid) or {}).items() if name != "lo"}

    def send(self, times: int) -> None:
        """Send frames from the host's ends, more on each than on the one before."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            for index, name in enumerate(self.names):
                for _ in range(times + index):
                    raw.sendto(FRAME, (name, 0))

    def answer(self, pid: int, times: int) -> None:
        """Send frames from within."""
        code = f"import socket as s\nr = s.socket(s.AF_PACKET, s.SOCK_RAW)\nfor _ in range({times}):\n"
        code += f"    r.sendto({FRAME!r}, ('eth0', 0))\n"
        run("nsenter", f"--target={pid}", "--net", "python3", "-c", code)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def passed(told: Mapping[str, InterfaceStat]) -> dict[str, tuple[int, ...]]:
    """What has passed through both ends of a pair."""
    return {name: (each.rx_bytes, each.rx_packets, each.tx_bytes, each.tx_packets) for name, each in told.items()}


@contextmanager
def asleep(count: int) -> Iterator[list[int]]:
    """Start processes in networks of their own."""
    started = [subprocess.Popen(["unshare", "--net", "sleep", "1000"]) for _ in range(count)]
    own = os.stat("/proc/self/net/dev").st_ino  # noqa: PTH116  as topcon does
    processes = ProcFs("/proc", Access())
    try:
        for each in started:
            until(lambda each=each: processes.netns(each.pid) not in {None, own}, "a process has a network of its own")
        yield [each.pid for each in started]
    finally:
        for each in started:
            each.send_signal(signal.SIGKILL)
            each.wait()


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    skip_without("ip", "unshare", "nsenter")
    processes = CountedProcFs("/proc", Access())
    links = own_links(processes)
    if links is None:
        pytest.skip("the network that we are in is not the host's")
    links.close()
    with asleep(COUNT) as pids:
        names = [f"tct{pid}" for pid in pids]
        try:
            for name, pid in zip(names, pids, strict=True):
                run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
                # Without addresses nothing is sent that the test does not send.
                run("ip", "link", "set", name, "addrgenmode", "none", "up")
                inside = ("nsenter", f"--target={pid}", "--net", "ip", "link", "set", "eth0")
                run(*inside, "addrgenmode", "none", "up")
            made = Pairs(names, pids, processes)
            yield made
            made.networks.close()
        finally:
            for name in names:
                subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)


def test_what_is_told_is_what_each_network_counts(pairs: Pairs) -> None:
    pairs.settle()
    pairs.send(50)
    pairs.answer(pairs.pids[0], 7)
    told = pairs.tick()
    read = {key: pairs.net_dev(pid) for key, pid in pairs.keys.items()}

    assert told.keys() == read.keys()
    assert {key: passed(each) for key, each in told.items()} == {key: passed(each) for key, each in read.items()}
    assert [told[key]["eth0"].rx_packets for key in pairs.keys] == [50 + index for index in range(COUNT)]
    assert told[next(iter(pairs.keys))]["eth0"].tx_packets == 7


def test_what_is_dropped_within_is_told_within_ten_seconds(pairs: Pairs) -> None:
    pairs.settle()
    pairs.send(5)
    for _ in range(10):
        told = pairs.tick()

    assert told == {key: pairs.net_dev(pid) for key, pid in pairs.keys.items()}
    assert all(each["eth0"].rx_drop for each in told.values())


def test_an_idle_tick_is_one_dump_and_opens_nothing(pairs: Pairs) -> None:
    pairs.settle()
    told = pairs.tick()
    # No time passes, so nothing is due.
    again = pairs.tick(0)

    assert pairs.links.asked == 1
    assert pairs.processes.opened == 0
    # Others' networks may come and go on this machine, these are still.
    assert all(again[key] is told[key] for key in pairs.keys)


def test_a_busy_tick_is_one_dump_and_opens_nothing(pairs: Pairs) -> None:
    pairs.settle()
    pairs.tick()
    pairs.send(1)
    told = pairs.tick(0)

    assert pairs.links.asked == 1
    assert pairs.processes.opened == 0
    assert all(each["eth0"].rx_packets for each in told.values())


def test_an_end_that_is_down_takes_nothing_on_either_side(pairs: Pairs) -> None:
    pairs.settle()
    run("nsenter", f"--target={pairs.pids[0]}", "--net", "ip", "link", "set", "eth0", "down")
    pairs.send(20)
    told = pairs.tick()
    key = next(iter(pairs.keys))

    assert passed(told[key]) == passed(pairs.net_dev(pairs.pids[0])) == {"eth0": (0, 0, 0, 0)}


def test_networks_that_go_are_told_no_more(pairs: Pairs) -> None:
    pairs.settle()
    gone, *rest = pairs.keys
    os.kill(pairs.keys[gone], signal.SIGKILL)
    until(lambda: pairs.processes.netns(pairs.keys[gone]) is None, "the process is gone")
    until(lambda: gone not in pairs.tick(), "the network is gone")

    assert pairs.tick().keys() == set(rest)


def test_an_interface_that_comes_later_is_told_within_two_ticks(pairs: Pairs) -> None:
    run("ip", "link", "delete", pairs.names[0])
    pairs.settle()
    key, pid = next(iter(pairs.keys.items()))
    before = pairs.tick()
    run("ip", "link", "add", pairs.names[0], "type", "veth", "peer", "name", "eth7", "netns", str(pid))
    pairs.tick()
    after = pairs.tick()

    assert before[key] == {}
    assert after[key].keys() == {"eth7"}


def test_containers_of_docker_are_told_by_the_hosts_ends(dockerd: Dockerd) -> None:
    asks = ["sh", "-c", f"while :; do wget -q -O /dev/null http://{GATEWAY}:9/; sleep 0.1; done"]
    containers = []
    try:
        for index in range(3):
            made = dockerd.api.create_container(IMAGE, asks, name=f"wired-{index}")["Id"]
            containers.append(made)
            dockerd.api.start(made)
        pids = [dockerd.api.inspect_container(each)["State"]["Pid"] for each in containers]
        pairs = Pairs([], pids, CountedProcFs("/proc", Access()))
        pairs.settle()
        until(lambda: all(min(passed(each)["eth0"]) > 0 for each in pairs.tick().values()), "all have asked")
        earlier = {key: pairs.net_dev(pid) for key, pid in pairs.keys.items()}
        told = pairs.tick(0)
        opened = pairs.processes.opened
        later = {key: pairs.net_dev(pid) for key, pid in pairs.keys.items()}
        pairs.networks.close()
    finally:
        for each in containers:
            dockerd.api.remove_container(each, force=True)

    assert len(told) == len(containers)
    assert opened == 0
    # They are never still, so what is told lies between what was read before and after it.
    for key in told:
        three = [passed(each[key])["eth0"] for each in (earlier, told, later)]
        assert all(first <= second <= third for first, second, third in zip(*three, strict=True))
