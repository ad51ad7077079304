"""Sockets and interfaces as the kernel tells them: messages and tables taken apart, owners and other ends found."""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES, FakeHost
from hypothesis import given
from hypothesis import strategies as st
from samples import node_of, process_of

from topcon.errors import ParseError
from topcon.kernel import interfaces
from topcon.kernel import sockets as module
from topcon.kernel.files import Access
from topcon.kernel.interfaces import LinkSample, parse_address, parse_link, to_address
from topcon.kernel.process import ProcFs
from topcon.kernel.sockets import Found, SocketReader, parse_answer, parse_row, sifted
from topcon.model.sample import InterfaceStat, Problem
from topcon.model.sockets import Network, Owner, Socket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.model.snapshot import ContainerNode

TITLES = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
NETNS = 4026540001
ROW = (
    "   0: {local} {remote} {state:02X} 00000003:00000005 00:00000000 00000000  1000        0 {inode} 1 0"
    " 100 0 0 10 0\n"
)
HEAD = struct.Struct("BBBB")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def tcp_info(rtt_us: int, retransmits: int, size: int = 104) -> bytes:
    raw = bytearray(240)
    struct.pack_into("I", raw, 68, rtt_us)
    struct.pack_into("I", raw, 100, retransmits)
    return bytes(raw[:size])


def answer(
    family: int = socket.AF_INET,
    state: int = 1,
    ends: tuple[tuple[str, int], tuple[str, int]] = (("10.0.0.2", 443), ("10.0.0.3", 50000)),
    queues: tuple[int, int] = (5, 7),
    inode: int = 99,
    attributes: bytes = b"",
) -> bytes:
    (local, local_port), (remote, remote_port) = ends
    addresses = b"".join(socket.inet_pton(family, each).ljust(16, b"\0") for each in (local, remote))
    return (
        struct.pack("BBBB", family, state, 0, 0)
        + struct.pack("!HH", local_port, remote_port)
        + addresses
        + struct.pack("=III", 0, 1, 2)
        + struct.pack("=IIIII", 0, *queues, 1000, inode)
        + attributes
    )


def parsed(raw: bytes, protocol: str = "tcp") -> Socket:
    return parse_answer(b"head" + raw, 4, 4 + len(raw), protocol)


def test_an_answer_is_taken_apart() -> None:
    raw = answer(attributes=attribute(1, b"x" * 8) + attribute(2, tcp_info(1500, 3)))

    assert parsed(raw) == Socket(
        "tcp", "10.0.0.2", 443, "10.0.0.3", 50000, "established", 5, 7, 99, retransmits=3, rtt_s=0.0015
    )


@pytest.mark.parametrize(
    ("address", "text"), [("fe80::1", "fe80::1"), ("::ffff:10.1.2.3", "10.1.2.3"), ("::", "::"), ("::1", "::1")]
)
def test_one_of_version_4_is_written_so_also_where_a_socket_takes_both(address: str, text: str) -> None:
    raw = answer(socket.AF_INET6, ends=((address, 80), (address, 1)))

    assert (parsed(raw).local, parsed(raw).remote) == (text, text)
    assert to_address(socket.inet_pton(socket.AF_INET6, address)) == text


def test_what_listens_has_waiting_ones_and_measures_nothing() -> None:
    raw = answer(state=10, queues=(2, 128), attributes=attribute(2, tcp_info(1500, 3)))

    found = parsed(raw)
    assert (found.state, found.receive_queue, found.send_queue) == ("listening", 2, 128)
    assert (found.retransmits, found.rtt_s) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "rtt_s"),
    [(b"", None), (attribute(2, tcp_info(1500, 3, size=100)), None), (attribute(2, tcp_info(0, 0)), None)],
    ids=["not asked", "an old kernel", "not measured yet"],
)
def test_what_is_not_told_is_not_known(attributes: bytes, rtt_s: float | None) -> None:
    assert parsed(answer(attributes=attributes)).rtt_s == rtt_s


@pytest.mark.parametrize(
    ("protocol", "state", "word"), [("udp", 7, "listening"), ("udp", 1, "established"), ("tcp", 99, "99")]
)
def test_states_have_the_words_of_their_protocol(protocol: str, state: int, word: str) -> None:
    assert parsed(answer(state=state), protocol).state == word


@given(st.binary(max_size=200))
def test_any_message_parses_or_raises_a_parse_error(raw: bytes) -> None:
    for parse in (lambda: parsed(raw), lambda: parse_link(raw, 0, len(raw)), lambda: parse_address(raw, 0, len(raw))):
        try:
            parse()
        except ParseError as error:
            assert error.path in {"sock_diag", "rtnetlink"}  # noqa: PT017  most are meant to raise it


def row(**options: Any) -> bytes:
    given: dict[str, Any] = {"local": "0200000A:01BB", "remote": "0300000A:C350", "state": 1, "inode": 99}
    return ROW.format(**(given | options)).encode()


def test_a_row_says_the_same_as_an_answer_as_far_as_it_goes() -> None:
    assert parse_row(row(), "tcp", "tcp") == parsed(answer(queues=(5, 3)))._replace(retransmits=None, rtt_s=None)


@given(st.binary())
def test_any_row_parses_or_raises_a_parse_error(raw: bytes) -> None:
    try:
        parse_row(raw, "tcp", "tcp")
    except ParseError as error:
        assert error.path == "tcp"  # noqa: PT017  most rows are meant to raise it


def link(**attributes: bytes) -> bytes:
    numbers = {"mac": 1, "name": 3, "mtu": 4, "link": 5, "master": 10, "state": 16, "info": 18, "stats": 23, "nsid": 37}
    return struct.pack("BxHiII", 0, 1, 7, 1, 0) + b"".join(
        attribute(numbers[name], value) for name, value in attributes.items()
    )


def test_a_link_is_taken_apart() -> None:
    stats = struct.pack("24Q", 1, 2, 3, 4, 5, 6, 7, 8, *[0] * 7, 10, *[0] * 8)
    raw = link(
        name=b"eth0\0",
        mac=bytes.fromhex("0242ac110002"),
        mtu=struct.pack("I", 1500),
        link=struct.pack("i", 12),
        nsid=struct.pack("i", 0),
        master=struct.pack("i", 3),
        state=b"\x06",
        info=attribute(1, b"veth\0"),
        stats=stats,
    )

    assert parse_link(raw, 0, len(raw)) == LinkSample(
        number=7,
        name="eth0",
        kind="veth",
        state="up",
        mtu=1500,
        mac="02:42:ac:11:00:02",
        stat=InterfaceStat(3, 1, 5, 17, 4, 2, 6, 8),
        link=12,
        link_nsid=0,
        master=3,
    )


@pytest.mark.parametrize(("flags", "state", "word"), [(1, 0, "up"), (0, 0, "down"), (1, 2, "down"), (1, 99, "up")])
def test_what_tells_of_no_carrier_is_up_when_it_is_switched_on(flags: int, state: int, word: str) -> None:
    raw = struct.pack("BxHiII", 0, 1, 7, flags, 0) + attribute(16, bytes([state]))

    assert parse_link(raw, 0, len(raw)).state == word


@pytest.mark.parametrize(
    ("family", "attributes", "text"),
    [
        (2, attribute(1, b"\x0a\0\0\x01") + attribute(2, b"\x0a\0\0\x02"), (7, "10.0.0.2/16")),
        (10, attribute(1, socket.inet_pton(socket.AF_INET6, "fd00::2")), (7, "fd00::2/16")),
        (2, b"", None),
        (99, attribute(1, b"\x0a\0\0\x01"), None),
    ],
    ids=["of this end", "version 6", "none", "another kind"],
)
def test_an_address_is_taken_apart(family: int, attributes: bytes, text: tuple[int, str] | None) -> None:
    raw = struct.pack("BBBBI", family, 16, 0, 0, 7) + attributes

    assert parse_address(raw, 0, len(raw)) == text


def connection(number: int, state: str = "established", protocol: str = "tcp") -> Socket:
    return Socket(protocol, "10.0.0.2", 443, "10.0.0.3", number, state, 0, 0, number)


def test_all_are_counted_and_the_established_ones_are_kept_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 4)
    every = [connection(number, "time-wait") for number in range(1, 6)]
    every += [connection(number) for number in range(11, 14)]
    every += [connection(21, "listening"), connection(22, protocol="udp")]

    parsed: list[int] = []

    def parse(each: Socket) -> Socket:
        parsed.append(each.inode)
        return each

    kept = sifted([Found(each.protocol, each.state, each.inode, partial(parse, each)) for each in every])

    assert [each.inode for each in kept.connections] == [11, 12, 13, 22]
    assert [each.inode for each in kept.listening] == [21]
    assert kept.left_out == 5
    assert 5 not in parsed
    assert kept.states == {"time-wait": 5, "established": 3, "listening": 1}


@pytest.fixture
def web(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> ContainerNode:
    """A container with a network of its own on a host where nobody may enter it."""
    monkeypatch.setattr(module, "in_network", lambda *_: None)
    monkeypatch.setattr(module, "own_links", lambda _: None)
    host.process(100, comm="nginx", netns=NETNS)
    host.write("proc/100/comm", "nginx\n")
    return node_of("web", process=process_of("web", pid=100, netns=netns_of(host, 100)))


def netns_of(host: FakeHost, pid: int) -> Any:
    return ProcFs(host.proc_root, Access()).netns(pid)


def hold(host: FakeHost, pid: int, *inodes: int) -> None:
    directory = host.root / f"proc/{pid}/fd"
    directory.mkdir(exist_ok=True)
    (directory / "0").symlink_to("/dev/null")
    for at, inode in enumerate(inodes, start=1):
        (directory / str(at)).symlink_to(f"socket:[{inode}]")


def tables(host: FakeHost, pid: int, **rows: list[bytes]) -> None:
    for name, lines in rows.items():
        host.write(f"proc/{pid}/net/{name}", TITLES + b"".join(lines).decode())


def read(host: FakeHost, container: ContainerNode, pids: list[int] | None = None) -> Network:
    found = SocketReader(host.proc_root, lambda _: pids or []).read(container)
    assert isinstance(found, Network)
    return found


def test_without_the_right_to_enter_files_tell_most(host: FakeHost, web: ContainerNode) -> None:
    listening = row(local="00000000:0050", remote="00000000:0000", state=10, inode=5)
    tables(host, 100, tcp=[listening, row(inode=6)], udp=[row(state=7, remote="00000000:0000", inode=7)])
    hold(host, 100, 5, 6)

    found = read(host, web)

    assert not found.is_hosts
    assert [(each.protocol, each.local_port, each.owner) for each in found.listening] == [
        ("tcp", 80, Owner(100, "nginx")),
        ("udp", 443, None),
    ]
    assert [(each.remote, each.owner, each.retransmits) for each in found.connections] == [
        ("10.0.0.3", Owner(100, "nginx"), None)
    ]
    assert found.states == {"listening": 1, "established": 1}
    assert found.lacks is not None
    assert "only root" in found.lacks
    assert [each.name for each in found.interfaces] == ["lo", "eth0"]


def test_all_who_live_in_a_network_can_hold_its_sockets(host: FakeHost, web: ContainerNode) -> None:
    tables(host, 100, tcp=[row(inode=6)])
    host.process(101, netns=NETNS)
    host.write("proc/101/comm", "side\n")
    host.process(102, netns=NETNS + 1)
    hold(host, 101, 6)
    hold(host, 102, 6)

    assert [each.owner for each in read(host, web).connections] == [Owner(101, "side")]


def test_on_the_hosts_network_only_the_containers_own_sockets_are_told(host: FakeHost, web: ContainerNode) -> None:
    host.process(103, netns=HOST_NAMESPACES["net"])
    host.write("proc/103/comm", "agent\n")
    tables(host, 103, tcp=[row(inode=6), row(inode=7)])
    hold(host, 103, 7)
    on_host = web._replace(process=process_of("agent", pid=103, netns=netns_of(host, 103)))

    found = read(host, on_host, [103])

    assert found.is_hosts
    assert [each.inode for each in found.connections] == [7]
    assert found.states == {"established": 1}
    assert found.interfaces == ()


def test_the_other_end_is_named_by_the_only_network_that_has_its_address(host: FakeHost, web: ContainerNode) -> None:
    tables(host, 100, tcp=[row(inode=6), row(remote="0400000A:0050", inode=7), row(remote="0500000A:0050", inode=8)])
    trie = "  |-- {address}\n     /32 host LOCAL\n"
    for pid, addresses in ((201, ["10.0.0.3", "127.0.0.1"]), (202, ["10.0.0.4"]), (203, ["10.0.0.4"])):
        host.process(pid, netns=NETNS + pid)
        host.write(f"proc/{pid}/net/fib_trie", "".join(trie.format(address=each) for each in addresses))

    assert [each.other_netns for each in read(host, web).connections] == [netns_of(host, 201), None, None]


def test_the_other_end_in_the_same_network_is_a_process(host: FakeHost, web: ContainerNode) -> None:
    there, back = (
        {"local": "0100007F:1538", "remote": "0100007F:C350"},
        {"local": "0100007F:C350", "remote": "0100007F:1538"},
    )
    tables(host, 100, tcp=[row(**there, inode=6), row(**back, inode=7)])
    host.process(101, netns=NETNS)
    host.write("proc/101/comm", "db\n")
    hold(host, 100, 7)
    hold(host, 101, 6)

    first, second = read(host, web).connections

    assert (first.owner, first.other_owner) == (Owner(101, "db"), Owner(100, "nginx"))
    assert (second.owner, second.other_owner) == (Owner(100, "nginx"), Owner(101, "db"))
    assert first.other_netns == second.other_netns == netns_of(host, 100)


def test_rates_are_measured_between_two_looks(
    host: FakeHost, web: ContainerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10**9]
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: now[0])
    reader = SocketReader(host.proc_root, lambda _: [])

    def rates() -> list[tuple[str, float | None, float | None]]:
        found = reader.read(web)
        assert isinstance(found, Network)
        return [(each.name, each.rx_bytes_per_second, each.tx_bytes_per_second) for each in found.interfaces]

    assert rates() == [("lo", None, None), ("eth0", None, None)]
    now[0] += 2 * 10**9
    host.network(NETNS, 5000, 3000)
    assert rates() == [("lo", 0.0, 0.0), ("eth0", 2000.0, 500.0)]
    now[0] += module.FORGOTTEN_NS + 1
    assert rates() == [("lo", None, None), ("eth0", None, None)]


def test_descriptors_are_looked_at_only_so_far(
    host: FakeHost, web: ContainerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DESCRIPTORS", 2)
    tables(host, 100, tcp=[row(inode=6), row(inode=9)])
    hold(host, 100, 6, 7, 8, 9)

    found = read(host, web)

    assert sum(each.owner is not None for each in found.connections) <= 1
    assert found.lacks is not None


def test_whoever_held_them_is_asked_first(host: FakeHost, web: ContainerNode, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(host, 100, tcp=[row(inode=6)])
    for pid in range(101, 110):
        host.process(pid, netns=NETNS)
        host.write(f"proc/{pid}/comm", "x\n")
        hold(host, pid, *([6] if pid == 109 else []))
    reader = SocketReader(host.proc_root, lambda _: [])
    reader.read(web)
    looked: list[str] = []
    really: Callable[[str], list[str]] = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: looked.append(str(path)) or really(path))

    found = reader.read(web)

    assert isinstance(found, Network)
    assert [each.owner for each in found.connections] == [Owner(109, "x")]
    assert [path for path in looked if path.endswith("/fd")] == [f"{host.proc_root}/109/fd"]


def test_where_one_may_not_see_who_holds_what_that_is_said(
    host: FakeHost, web: ContainerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables(host, 100, tcp=[row(inode=6)])
    hold(host, 100, 6)
    really: Callable[[str], list[str]] = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/fd"):
            raise PermissionError(errno.EACCES, "no", path)
        return really(path)

    monkeypatch.setattr(os, "listdir", refuse)

    found = read(host, web)
    assert found.connections[0].owner is None
    assert found.lacks is not None


def test_a_container_without_a_process_has_no_network(host: FakeHost) -> None:
    found = SocketReader(host.proc_root, lambda _: []).read(node_of("done"))

    assert isinstance(found, Problem)


def test_another_process_under_its_pid_is_not_taken_for_it(host: FakeHost, web: ContainerNode) -> None:
    (host.root / "proc/100/net/dev").unlink()
    assert isinstance(SocketReader(host.proc_root, lambda _: []).read(web), Problem)

    host.process(100, netns=NETNS + 5)
    assert isinstance(SocketReader(host.proc_root, lambda _: []).read(web), Problem)


def test_nobody_enters_what_is_not_there(tmp_path: Path) -> None:
    asked: list[int] = []

    assert interfaces.in_network(str(tmp_path / "none"), lambda: asked.append(1)) is None
    (tmp_path / "file").touch()
    assert interfaces.in_network(str(tmp_path / "file"), lambda: asked.append(1)) is None
    assert not asked


def test_a_table_that_is_not_understood_is_a_problem_of_this_tab_alone(host: FakeHost, web: ContainerNode) -> None:
    tables(host, 100, tcp=[b"nonsense\n"])

    found = SocketReader(host.proc_root, lambda _: []).read(web)

    assert isinstance(found, Problem)
    assert "net/tcp" in found.message
