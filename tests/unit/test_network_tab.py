"""The tab of networks: what its lines say, how they fit, and whom they name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import HOST_NETNS, HOSTILE_NAMES, netns_of, node_of, pod_of, process_of, text_of, tree_of, unsafe

from topcon.model.sample import InterfaceStat, NetnsKey, Problem
from topcon.model.sockets import Interface, Network, Owner, Socket
from topcon.text import cell_width
from topcon.ui.spans import Tone
from topcon.ui.tabs.network import network_entries
from topcon.ui.tabs.seen import Seen

if TYPE_CHECKING:
    from topcon.ui.spans import Span

WEB = node_of("web", process=process_of("web"))
DB = node_of("db", process=process_of("db"))


def connection(**options: Any) -> Socket:
    given: dict[str, Any] = {
        "protocol": "tcp",
        "local": "172.17.0.2",
        "local_port": 43210,
        "remote": "172.17.0.3",
        "remote_port": 5432,
        "state": "established",
        "receive_queue": 0,
        "send_queue": 0,
        "inode": 7,
        "retransmits": 0,
        "rtt_s": 0.00025,
        "owner": Owner(100, "nginx"),
    }
    return Socket(**(given | options))


def listener(port: int, **options: Any) -> Socket:
    ends = {"local": "0.0.0.0", "local_port": port, "remote": "0.0.0.0", "remote_port": 0}
    return connection(**(ends | {"state": "listening", "retransmits": None, "rtt_s": None} | options))


def network(**options: Any) -> Network:
    given: dict[str, Any] = {
        "is_hosts": False,
        "interfaces": (),
        "listening": (),
        "connections": (),
        "left_out": 0,
        "states": {},
    }
    return Network(**(given | options))


ETH0 = Interface(
    "eth0",
    InterfaceStat(5 << 20, 10, 0, 0, 3 << 10, 10, 0, 0),
    "up",
    1500,
    "02:42:ac:11:00:02",
    ("172.17.0.2/16",),
    "veth12ab",
    "docker0",
    1536.0,
    0.0,
)
ALL = network(
    interfaces=(ETH0,),
    listening=(listener(80), listener(53, protocol="udp", local="127.0.0.1", owner=None)),
    connections=(connection(other_netns=netns_of("db")), connection(local_port=80, state="time-wait", owner=None)),
    states={"time-wait": 1, "established": 1, "listening": 1, "new-state": 2},
)


def entries(found: object, width: int = 79) -> list[list[Span]]:
    snapshot = tree_of(pod_of(WEB), pod_of(DB))
    return [list(entry.spans) for entry in network_entries(Seen(snapshot, WEB, width, 24, found))]


def lines(found: object, width: int = 79) -> list[str]:
    return [text_of(spans).rstrip() for spans in entries(found, width)]


def line(found: object, start: str, width: int = 79) -> str:
    return next(each for each in lines(found, width) if each.strip().startswith(start))


def test_all_there_is_to_see_of_a_network() -> None:
    assert lines(ALL) == [
        " Interfaces  received ↓ and sent ↑ a second, and in all",
        "  eth0 up  172.17.0.2/16  host: veth12ab on docker0  mtu 1500  02:42:ac:11:00:…",
        "       ↓ 1.50k/s (5.00M)  ↑     0/s (3.00k)  no errors, no drops",
        "",
        " Listening",
        "  udp  127.0.0.1:53  -",
        "  tcp  *:80          100 nginx",
        "",
        " TCP",
        "  1 established  1 listening  1 time-wait  2 new-state",
        "",
        " Connections",
        "  STATE    LOCAL  REMOTE           RECV  SEND RETR    RTT PROCESS → OTHER",
        "  estab    :43210 172.17.0.3:5432     0     0    0 0.25ms nginx → db",
        "  time-w   :80    172.17.0.3:5432     0     0    0 0.25ms -",
    ]


@pytest.mark.parametrize("width", [39, 59, 79, 99, 119, 159])
def test_lines_fit(width: int) -> None:
    long = connection(local="fd00::" + "1" * 4, remote="2001:db8:1111:2222:3333:4444:5555:6666", receive_queue=1 << 40)
    found = replace(ALL, connections=(*ALL.connections, long))

    assert all(cell_width(each) <= width for each in lines(found, width))


def test_where_there_is_room_addresses_are_whole() -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    found = network(connections=(connection(local=address, remote=address),))

    assert line(found, "estab", 159).count(f"[{address}]") == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"owner": None}, "0.25ms -"),
        ({"other_netns": netns_of("web")}, "nginx → web"),
        ({"other_netns": HOST_NETNS}, "nginx → host"),
        ({"other_netns": NetnsKey(1)}, "0.25ms nginx"),
        ({"other_owner": Owner(5, "db"), "other_netns": netns_of("web")}, "nginx → db"),
        ({"rtt_s": None, "retransmits": None}, "   -      - nginx"),
        ({"rtt_s": 0.0123}, "  12ms nginx"),
        ({"rtt_s": 2.5}, "  2.5s nginx"),
    ],
)
def test_the_ends_are_named_as_far_as_they_are_known(options: dict[str, Any], text: str) -> None:
    assert line(network(connections=(connection(**options),)), "estab").endswith(text)


def test_connected_ones_of_udp_are_told_from_those_of_tcp() -> None:
    assert line(network(connections=(connection(protocol="udp"),)), "udp").split()[1] == ":43210"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"receive_queue": 3, "send_queue": 128}, "3 waiting of 128"),
        ({"receive_queue": 3, "send_queue": 0}, "3 waiting"),
        ({"receive_queue": 0, "send_queue": 128}, "100 nginx"),
        ({"receive_queue": 3, "protocol": "udp"}, "100 nginx"),
    ],
)
def test_connections_that_wait_to_be_accepted_are_told(options: dict[str, Any], text: str) -> None:
    found = network(listening=(listener(80, **options),))

    assert lines(found)[1].endswith(text)


def test_a_full_queue_of_connections_is_a_warning() -> None:
    found = network(listening=(listener(80, receive_queue=128, send_queue=128),))

    assert Tone.WARN in {span.tone for spans in entries(found) for span in spans}


def test_what_is_lost_is_a_warning_and_said_by_its_kind() -> None:
    lossy = ETH0._replace(stat=InterfaceStat(0, 0, 1, 0, 0, 0, 0, 4))

    text = "\n".join(lines(network(interfaces=(lossy,))))
    assert "errors ↓1  drops ↑4" in text
    assert "no errors" not in text


def test_what_may_not_be_asked_is_not_made_up() -> None:
    bare = Interface("eth0", ETH0.stat)

    first, second = lines(network(interfaces=(bare,)))[1:3]
    assert first.split() == ["eth0"]
    assert second.split()[:3] == ["↓", "-", "(5.00M)"]


def test_on_the_hosts_network_that_is_said() -> None:
    found = network(is_hosts=True, lacks="who holds it is not known")

    assert "host's network" in lines(found)[0]
    assert "who holds it is not known" in lines(found)[1]


def test_connections_come_in_an_order_of_their_own() -> None:
    found = network(
        connections=tuple(
            connection(local_port=port, state=state)
            for port, state in ((3, "time-wait"), (9, "established"), (2, "established"), (1, "odd"))
        )
    )

    below = lines(found)[lines(found).index(" Connections") + 2 :]
    assert [each.split()[1].rpartition(":")[2] for each in below] == ["2", "9", "3", "1"]


def test_what_is_only_counted_is_said() -> None:
    assert "12345 more" in lines(network(connections=(connection(),), left_out=12345))[-1]


@pytest.mark.parametrize(("found", "text"), [(None, "looking"), (Problem("network", "it has ended"), "it has ended")])
def test_where_there_is_no_answer_that_is_said(found: object, text: str) -> None:
    assert text in "\n".join(lines(found))


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_nothing_that_a_container_calls_itself_moves_the_cursor(name: str) -> None:
    owner = Owner(1, name)
    found = network(
        interfaces=(ETH0._replace(name=name, peer=name, bridge=name),),
        listening=(listener(80, owner=owner),),
        connections=(connection(owner=owner, other_owner=owner),),
    )

    for each in lines(found):
        assert not unsafe(each)
        assert cell_width(each) <= 79
