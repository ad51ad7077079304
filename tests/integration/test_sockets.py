"""The networks of real containers against what ip and ss say within them."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.descriptors import all_open
from tests.integration.conftest import BRIDGE, until
from tests.integration.inside import HIERARCHIES, node_inside
from tests.integration.machine import skip_without
from topcon.kernel import sockets as module
from topcon.kernel.processes import ProcessReader
from topcon.kernel.sockets import SocketReader
from topcon.model.sockets import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd
    from topcon.model.snapshot import ContainerNode
    from topcon.model.sockets import Socket

SHORT = {"ESTAB": "established", "LISTEN": "listening", "TIME-WAIT": "time-wait", "UNCONN": "listening"}


def read(container: ContainerNode) -> Network:
    found = SocketReader("/proc", ProcessReader("/proc", HIERARCHIES).pids).read(container)
    assert isinstance(found, Network)
    return found


def within(container: ContainerNode, *command: str) -> str:
    assert container.process is not None
    entered = ["nsenter", "-t", str(container.process.pid), "-n", *command]
    return subprocess.run(entered, check=True, capture_output=True, text=True).stdout


def told_by_ss(container: ContainerNode) -> set[tuple[str, str, str, str]]:
    """Protocol, state, and both ends of each socket."""
    rows = [line.split() for line in within(container, "ss", "-tunaH").splitlines()]
    return {(row[0], SHORT.get(row[1], row[1].lower()), _plain(row[4]), _plain(row[5])) for row in rows}


def _plain(end: str) -> str:
    address, _, port = end.rpartition(":")
    address = address.partition("%")[0].strip("[]").removeprefix("::ffff:")
    address = {"*": "::"}.get(address, address)
    return f"{address} {'0' if port == '*' else port}"


def _told(each: Socket) -> tuple[str, str, str, str]:
    return (
        each.protocol,
        each.state,
        f"{each.local} {each.local_port}",
        f"{each.remote} {each.remote_port}",
    )


@pytest.fixture
def pair(dockerd: Dockerd, names: Callable[[str], str]) -> tuple[ContainerNode, ContainerNode]:
    """A server, and a client that is connected to it."""
    skip_without("ss", "nsenter")
    server, client = names("server"), names("client")
    dockerd.run(server, ["httpd", "-f", "-p", "80"])
    address = dockerd.api.inspect_container(server)["NetworkSettings"]["IPAddress"]
    dockerd.run(client, ["sh", "-c", f"sleep 1000 | until nc {address} 80; do sleep 0.1; done"])
    nodes = node_inside(dockerd, server), node_inside(dockerd, client)
    until(lambda: "ESTAB" in within(nodes[0], "ss", "-tnaH"), "the client is connected")
    return nodes


def test_sockets_are_those_that_ss_shows(pair: tuple[ContainerNode, ContainerNode]) -> None:
    for container in pair:
        found = read(container)
        assert {_told(each) for each in (*found.listening, *found.connections)} == told_by_ss(container)
        rows = [line.split()[0] for line in within(container, "ss", "-tanH").splitlines()]
        assert found.states == {SHORT[word]: rows.count(word) for word in set(rows)}
        assert found.lacks is None
        assert not found.is_hosts


def test_both_ends_of_a_connection_are_named(pair: tuple[ContainerNode, ContainerNode]) -> None:
    server, client = pair
    (at_server,) = read(server).connections
    (at_client,) = read(client).connections

    assert at_server.owner is not None
    assert at_client.owner is not None
    assert (at_server.owner.comm, at_client.owner.comm) == ("httpd", "nc")
    assert (at_server.other_netns, at_client.other_netns) == (client.netns, server.netns)
    listening = {each.local_port: each.owner.comm for each in read(server).listening if each.owner}
    assert listening[80] == "httpd"


def test_delays_and_retransmits_are_the_kernels(pair: tuple[ContainerNode, ContainerNode]) -> None:
    _, client = pair
    for _ in range(20):
        before, found, after = within(client, "ss", "-tinH"), read(client), within(client, "ss", "-tinH")
        (each,) = found.connections
        words = before.split()
        retrans = next((word for word in words if word.startswith("retrans:")), "retrans:0/0")
        if f"retrans:{retrans.partition(':')[2]}" in after or "retrans:" not in after:
            break
    rtt_ms = [
        float(word[4:].partition("/")[0])
        for text in (before, after)
        for word in text.split()
        if word.startswith("rtt:")
    ]

    assert each.retransmits == int(retrans.partition("/")[2])
    assert each.rtt_s is not None
    # It is smoothed over what goes on meanwhile.
    assert min(rtt_ms) / 3 <= each.rtt_s * 1000 <= max(rtt_ms) * 3


def test_interfaces_are_those_that_ip_shows(pair: tuple[ContainerNode, ContainerNode]) -> None:
    server, _ = pair
    told: dict[str, Any] = {each["ifname"]: each for each in json.loads(within(server, "ip", "-j", "-s", "addr"))}

    found = {each.name: each for each in read(server).interfaces}

    assert found.keys() == told.keys()
    for name, each in found.items():
        assert (each.mtu, each.mac) == (told[name]["mtu"], told[name]["address"])
        assert set(each.addresses) == {f"{own['local']}/{own['prefixlen']}" for own in told[name]["addr_info"]}
        assert each.state == ("up" if name == "lo" else told[name]["operstate"].lower())
        after = json.loads(within(server, "ip", "-j", "-s", "link", "show", name))[0]["stats64"]
        before = told[name]["stats64"]
        for way, count in (("rx", each.stat.rx_bytes), ("tx", each.stat.tx_bytes)):
            assert before[way]["bytes"] <= count <= after[way]["bytes"]
    eth0 = found["eth0"]
    assert eth0.bridge == BRIDGE
    master = Path(f"/sys/class/net/{eth0.peer}/master").resolve().name
    assert master == BRIDGE


def test_on_the_hosts_network_only_its_own_sockets_are_shown(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    skip_without("ss", "nsenter")
    name = names("agent")
    dockerd.run(name, ["httpd", "-f", "-p", "127.0.0.1:48181"], network_mode="host")
    container = node_inside(dockerd, name)
    until(lambda: read(container).listening, "it listens")

    found = read(container)

    assert found.is_hosts
    assert found.interfaces == ()
    assert [(each.local, each.local_port) for each in found.listening] == [("127.0.0.1", 48181)]
    assert found.connections == ()
    assert found.states == {"listening": 1}


def test_without_the_right_to_enter_the_same_sockets_are_shown(
    pair: tuple[ContainerNode, ContainerNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "in_network", lambda *_: None)
    server, _ = pair

    found = read(server)

    assert {_told(each) for each in (*found.listening, *found.connections)} == told_by_ss(server)
    assert found.lacks is not None


def test_a_hundred_looks_leave_nothing_behind(pair: tuple[ContainerNode, ContainerNode]) -> None:
    server, _ = pair
    reader = SocketReader("/proc", ProcessReader("/proc", HIERARCHIES).pids)
    reader.read(server)
    threads, descriptors = threading.active_count(), all_open()

    for _ in range(100):
        reader.read(server)

    assert threading.active_count() < threads + 100
    assert (all_open() - descriptors).total() < 100
