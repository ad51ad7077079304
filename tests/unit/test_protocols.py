"""What network namespaces count of TCP and UDP, from text as the kernel writes it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel.protocols import (
    ROWS_A_TURN,
    Protocols,
    count_tcp,
    count_udp,
    parse_counters,
    parse_sockstat,
    rows_of,
)
from topcon.model.sample import NetnsKey, ProtocolStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SNMP = b"""\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn RetransSegs
Tcp: 1 200 120000 -1 17
Udp: InDatagrams NoPorts
Udp: 5 0
"""
NETSTAT = b"""\
TcpExt: SyncookiesSent ListenOverflows
TcpExt: 0 3
IpExt: InNoRoutes
IpExt: 0
"""
SOCKSTAT = b"""\
sockets: used 235
TCP: inuse 9 orphan 0 tw 2 alloc 11 mem 1
UDP: inuse 3 mem 1
"""
TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0FA0 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:0FA0 0100007F:C002 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   3: 0100007F:C003 0100007F:0FA0 06 00000000:00000000 03:00001768 00000000     0        0 0 3 0
"""
UDP = b"""\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  362: 00000000:0044 00000000:0000 07 00000000:00000100 00:00000000 00000000     0        0 7 2 00000000c 5
  363: 0100007F:0045 0100007F:0035 01 00000010:000000FF 00:00000000 00000000     0        0 8 2 00000000d 2
"""


class Net:
    """A ``/proc`` in which processes see networks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.breaths = 0

    def write(self, pid: int, **files: bytes) -> NetnsKey:
        directory = self.root / f"{pid}/net"
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in ({"dev": b""} | files).items():
            (directory / name).write_bytes(content)
        return NetnsKey((directory / "dev").stat().st_ino)

    def protocols(self, *groups: str) -> Protocols:
        return Protocols(str(self.root), frozenset(groups), self._breathe)

    def _breathe(self) -> None:
        self.breaths += 1


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path)


def lines(table: bytes) -> Iterator[bytes]:
    return iter(table.splitlines()[1:])


def test_counters_are_parsed_under_the_kernels_names() -> None:
    tcp = {"RtoAlgorithm": 1, "RtoMin": 200, "RtoMax": 120000, "MaxConn": -1, "RetransSegs": 17}

    assert parse_counters(SNMP, "snmp", b"Tcp") == tcp
    assert parse_counters(NETSTAT, "netstat", b"TcpExt") == {"SyncookiesSent": 0, "ListenOverflows": 3}
    assert parse_counters(b"", "netstat", b"TcpExt") == {}
    assert parse_sockstat(SOCKSTAT, "sockstat") == {"inuse": 9, "orphan": 0, "tw": 2, "alloc": 11, "mem": 1}
    assert parse_sockstat(b"sockets: used 1\n", "sockstat") == {}


@pytest.mark.parametrize(
    "raw", [b"Tcp: A B\n", b"Tcp: A B\nTcp: 1\n", b"Tcp: A\nTcp: x\n", b"Tcp: A\nTcp: 1\nTcp: 2\n"]
)
def test_counters_that_do_not_fit_their_names_are_not_understood(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_counters(raw, "snmp", b"Tcp")


@pytest.mark.parametrize("raw", [b"TCP: inuse\n", b"TCP: inuse x\n", b"TCP: \xff 1\n"])
def test_a_sockstat_in_another_form_is_not_understood(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_sockstat(raw, "sockstat")


def test_sockets_are_counted_by_state() -> None:
    assert count_tcp(lines(TCP), "tcp") == {10: 1, 1: 2, 6: 1}


def test_udp_queues_and_drops_are_added_up() -> None:
    assert count_udp(lines(UDP), "udp") == {"listen": 1, "dropped": 7, "rxqueued": 0x1FF, "txqueued": 0x10}


@pytest.mark.parametrize("row", [b"", b"0: a b", b"0: a b xx 00:00", b"0: a b 07 0000 1 2 3 4 5 6 7 8"])
@pytest.mark.parametrize("count", [count_tcp, count_udp])
def test_a_row_in_another_form_is_not_understood(count: Callable[[Iterator[bytes], str], object], row: bytes) -> None:
    if count is count_tcp and row.endswith(b"8"):
        assert count(iter([row]), "tcp") == {7: 1}
        return
    with pytest.raises(ParseError):
        count(iter([row]), "table")


@given(st.binary(), st.sampled_from([b"", b"Tcp: A\nTcp: ", b"TCP: inuse ", b"   0: a b 07 1:2 c d "]))
def test_any_bytes_parse_or_raise_a_parse_error(raw: bytes, before: bytes) -> None:
    for parse in (
        lambda: parse_counters(before + raw, "file", b"Tcp"),
        lambda: parse_sockstat(before + raw, "file"),
        lambda: count_tcp(rows_of(iter([b"titles\n", before, raw])), "file"),
        lambda: count_udp(rows_of(iter([b"titles\n", before, raw])), "file"),
    ):
        with suppress(ParseError):
            parse()


@given(st.lists(st.binary().map(lambda raw: raw.replace(b"\n", b"")), min_size=1), st.data())
def test_rows_are_whole_however_the_table_is_handed_out(rows: list[bytes], data: st.DataObject) -> None:
    table = b"\n".join(rows) + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(table)))))
    pieces = [table[a:b] for a, b in zip([0, *cuts], [*cuts, len(table)], strict=True)]

    assert list(rows_of(iter(pieces))) == rows[1:]


def test_a_table_may_end_without_a_line_end() -> None:
    assert list(rows_of(iter([b"titles\none\ntw", b"o"]))) == [b"one", b"two"]
    assert list(rows_of(iter([b"titles"]))) == []


@pytest.mark.parametrize("groups", [(), ("advtcp",)])
def test_a_network_is_read_without_its_tables(net: Net, groups: tuple[str, ...]) -> None:
    netns = net.write(100, snmp=SNMP, netstat=NETSTAT, sockstat=SOCKSTAT, tcp=TCP, udp=UDP)

    stats, malformed = net.protocols(*groups).read({netns: 100})

    tcp = parse_counters(SNMP, "snmp", b"Tcp") | {"SyncookiesSent": 0, "ListenOverflows": 3}
    assert stats == {netns: ProtocolStat(tcp, parse_sockstat(SOCKSTAT, "sockstat"))}
    assert malformed == []


def test_tables_are_counted_when_they_are_asked_for(net: Net) -> None:
    netns = net.write(100, snmp=SNMP, tcp=TCP, tcp6=TCP, udp=UDP)

    (stat,) = net.protocols("tcp", "udp").read({netns: 100})[0].values()

    assert stat.tcp_states == {"tcp": {10: 1, 1: 2, 6: 1}, "tcp6": {10: 1, 1: 2, 6: 1}}
    assert stat.udp is not None
    assert stat.udp.keys() == {"udp"}
    assert stat.tcp_sockets == {}


def test_a_long_table_is_counted_whole_and_lets_others_have_their_turn(net: Net) -> None:
    row = TCP.splitlines(keepends=True)[2]
    netns = net.write(100, snmp=SNMP, tcp=TCP.splitlines(keepends=True)[0] + row * (2 * ROWS_A_TURN))

    (stat,) = net.protocols("tcp").read({netns: 100})[0].values()

    assert stat.tcp_states == {"tcp": {1: 2 * ROWS_A_TURN}}
    assert net.breaths == 3


def test_a_process_that_is_another_by_now_says_nothing(net: Net) -> None:
    netns = net.write(100, snmp=SNMP)

    assert net.protocols().read({NetnsKey(netns + 1): 100, netns: 999}) == ({}, [])


def test_a_process_that_ends_meanwhile_says_nothing(net: Net) -> None:
    netns = net.write(100)

    assert net.protocols().read({netns: 100}) == ({}, [])


def test_what_is_not_understood_costs_its_own_network_alone(net: Net) -> None:
    broken = net.write(100, snmp=SNMP, tcp=b"titles\nwhat\n")
    whole = net.write(200, snmp=SNMP, tcp=TCP)

    stats, malformed = net.protocols("tcp").read({broken: 100, whole: 200})

    assert list(stats) == [whole]
    assert [error.path for error in malformed] == [f"{net.root}/100/net/tcp"]
