"""What is read to tell whose something is: from text as the kernel writes it, on a host made of files."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import all_open
from fakes import HYBRID_MOUNTS, FakeHost
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.kernel.links import Link
from topcon.kernel.mount import parse_mountinfo, read_hierarchies
from topcon.kernel.process import ProcFs
from topcon.kernel.who import (
    Interface6,
    Overlay,
    RawSocket,
    WhoReader,
    local_addresses,
    overlay_of,
    parse_if_inet6,
    parse_indexes,
    parse_leader,
    parse_socket,
)
from topcon.model.sample import CgroupPath
from topcon.model.who import Clues, Endpoint, Kind, Question, SeenAddress, SeenLink, SeenMount, Where

if TYPE_CHECKING:
    from topcon.model.sample import NetnsKey

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the texts are those of a little-endian machine")

TITLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "{n:4}: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
ANY, ANY6, NONE = "00000000", "0" * 32, "00000000:0000"
TEN_5, TEN_9 = "0500000A", "0900000A"
"""10.0.0.5 and 10.0.0.9."""
LISTEN, ESTABLISHED, TIME_WAIT, UNCONNECTED = "0A", "01", "06", "07"
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.5
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
Local:
        |-- 10.0.0.5
           /32 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
"""
IF_INET6 = """\
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""
IGMP = """\
Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
4\teth0      :     1      V3
"""
DEV_MCAST = "2    ifb0            1     0     333300000001\n4    eth0            1     0     01005e000001\n"
WEB, DB = 101, 102
LOOKS = 10


def row(local: str, remote: str = NONE, state: str = LISTEN, inode: int = 1060, n: int = 0) -> str:
    return ROW.format(n=n, local=local, remote=remote, state=state, inode=inode)


def test_a_socket_is_parsed() -> None:
    text = row("0100007F:0FA0", f"{TEN_5}:C001", ESTABLISHED, 42).encode()

    assert parse_socket(text, "tcp") == RawSocket(Endpoint("127.0.0.1", 4000), Endpoint("10.0.0.5", 49153), 1, 42)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (ANY6, "::"),
        ("000080FE00000000FF00FC00010000FE", "fe80::fc:ff:fe00:1"),
        ("0000000000000000FFFF00000500000A", "10.0.0.5"),
    ],
)
def test_an_address_of_version_6_is_parsed(written: str, address: str) -> None:
    assert parse_socket(row(f"{written}:0050").encode(), "tcp6").local == Endpoint(address, 80)


@pytest.mark.parametrize(
    "text", ["", "0:", row("0500000A"), row("05:0050"), row(f"{TEN_5}:0050", inode=1).replace("0A", "zz")]
)
def test_another_row_is_told(text: str) -> None:
    with pytest.raises(ParseError, match="tcp"):
        parse_socket(text.encode(), "tcp")


@given(st.binary())
def test_any_bytes_are_parsed_or_told(raw: bytes) -> None:
    for parse in (parse_socket, parse_if_inet6):
        with suppress(ParseError):
            parse(raw, "path")
    assert all(isinstance(each, str) for each in local_addresses(raw.split(b"\n")))
    assert all(index >= 0 for index in parse_indexes(raw, raw).values())
    leader = parse_leader(raw)
    assert leader is None or leader >= 0


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_each_address_of_version_6_is_read_as_it_was_written(address: Any, port: int) -> None:
    words = [address.packed[at : at + 4][::-1].hex().upper() for at in range(0, 16, 4)]

    parsed = parse_socket(row(f"{''.join(words)}:{port:04X}").encode(), "tcp6").local

    assert parsed.port == port
    assert ip_address(parsed.address) == (address.ipv4_mapped or address)


def test_the_addresses_of_a_namespace_are_its_local_leaves() -> None:
    assert list(local_addresses(FIB_TRIE.encode().split(b"\n"))) == ["10.0.0.5", "10.0.0.5", "127.0.0.1"]
    assert parse_if_inet6(IF_INET6.encode(), "if_inet6") == [
        Interface6("fe80::fc:ff:fe00:1", 4, "eth0"),
        Interface6("::1", 1, "lo"),
    ]


def test_indexes_of_interfaces_are_gathered() -> None:
    assert parse_indexes(IGMP.encode(), DEV_MCAST.encode()) == {"lo": 1, "eth0": 4, "ifb0": 2}


@pytest.mark.parametrize(
    ("options", "overlay"),
    [
        ("rw,lowerdir=/o/2/fs:/o/1/fs,upperdir=/o/3/fs,workdir=/o/3/work", Overlay("/o/3/fs", ("/o/2/fs", "/o/1/fs"))),
        (r"rw,lowerdir=/o/a\134:b:/o/c\040d", Overlay(None, ("/o/a:b", "/o/c d"))),
        ("rw,lowerdir+=/o/1,datadir+=/o/2", Overlay(None, ("/o/1", "/o/2"))),
        ("ro", Overlay(None, ())),
    ],
)
def test_an_overlay_is_taken_apart(options: str, overlay: Overlay) -> None:
    (mount,) = parse_mountinfo(f"500 499 0:60 / / rw - overlay overlay {options}\n".encode(), "mountinfo")

    found = overlay_of(mount)

    assert found is not None
    assert (found.upper, sorted(found.lowers)) == (overlay.upper, sorted(overlay.lowers))


def test_another_file_system_is_no_overlay() -> None:
    (mount,) = parse_mountinfo(b"500 499 8:1 / / rw - ext4 /dev/sda1 rw,upperdir=/no\n", "mountinfo")

    assert overlay_of(mount) is None


class Machine:
    """A host with two containers, each with a network of its own, and with files that tell of them."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        for name, pid in (("web", WEB), ("db", DB)):
            host.container(f"/docker/{name}", pid, comm=name)
            self.cgroup(pid, f"/docker/{name}")
        self.cgroup(1, "/init.scope")
        self.links: Links | None = None

    def cgroup(self, pid: int, path: str) -> None:
        self.host.write(f"proc/{pid}/cgroup", f"0::{path}\n")

    def process(self, pid: int, of: int, path: str = "/docker/web", **options: Any) -> None:
        """Add a process to the namespaces of another."""
        self.host.process(pid, **options)
        self.cgroup(pid, path)
        dev = self.host.root / f"proc/{pid}/net/dev"
        dev.unlink()
        dev.symlink_to((self.host.root / f"proc/{of}/net/dev").resolve())

    def net(self, pid: int, **files: str) -> None:
        for name, text in files.items():
            self.host.write(f"proc/{pid}/net/{name}", text)

    def opens(self, pid: int, *inodes: int) -> None:
        """Let a process have sockets open, and a file."""
        directory = self.host.root / f"proc/{pid}/fd"
        directory.mkdir(exist_ok=True)
        (directory / "0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, start=1):
            (directory / str(number)).symlink_to(f"socket:[{inode}]")

    def netns(self, pid: int) -> NetnsKey:
        netns = ProcFs(self.host.proc_root, Access()).netns(pid)
        assert netns is not None
        return netns

    def where(self) -> Where:
        return Where({self.netns(pid): pid for pid in (1, WEB, DB)}, (WEB, DB))

    def look(self, kind: Kind, text: str = "", number: int | None = None, protocol: str | None = None) -> Clues:
        return self.ask(Question(kind, text, number, protocol))

    def ask(self, question: Question) -> Clues:
        hierarchies = read_hierarchies(self.host.proc_root, self.host.cgroup_root)
        opened: Any = self.links
        reader = WhoReader(self.host.proc_root, hierarchies, str(self.host.root), links=lambda _: opened)
        return reader.look(question, self.where())


class Links:
    """Tells of links without a kernel."""

    def __init__(self, links: dict[int, Link], ids: dict[int, int], error: Exception | None = None) -> None:
        self._links, self._ids, self._error = links, ids, error
        self.is_closed = False

    def all(self) -> dict[int, Link]:
        if self._error is not None:
            raise self._error
        return self._links

    def namespace_id(self, pid: int) -> int | None:
        return self._ids.get(pid)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(FakeHost(tmp_path))


def test_a_pid_is_looked_up_outside_and_inside(machine: Machine) -> None:
    machine.process(101_000, WEB, ns_pids=(101_000, 101), comm="worker")
    machine.host.write(f"proc/{WEB}/cmdline", "web\0--port\0")

    outside, inside = machine.look(Kind.PID, number=WEB).processes

    assert (outside.pid, outside.comm, outside.ns_pids, outside.cgroups) == (WEB, "web", (WEB, 1), ("/docker/web",))
    assert outside.words[:2] == ("web", "--port")
    assert outside.namespaces.pid is not None
    assert (inside.pid, inside.comm, inside.ns_pids) == (101_000, "worker", (101_000, 101))


def test_the_first_process_of_each_container_is_1_inside(machine: Machine) -> None:
    assert [each.pid for each in machine.look(Kind.PID, number=1).processes] == [1, WEB, DB]


def test_of_a_killed_process_no_namesake_inside_is_looked_for(machine: Machine) -> None:
    assert [each.pid for each in machine.look(Kind.OOM, number=1).processes] == [1]


def test_a_thread_is_told_with_its_process(machine: Machine) -> None:
    machine.process(4250, WEB)
    machine.host.write("proc/4250/status", "Name:\tx\nTgid:\t101\nPid:\t4250\nNSpid:\t4250\t9\n")

    (process,) = machine.look(Kind.PID, number=4250).processes

    assert (process.pid, process.thread, process.ns_pids) == (WEB, 4250, (4250, 9))


def test_of_its_cgroups_one_that_is_not_the_root_comes_first(machine: Machine) -> None:
    machine.host.write(f"proc/{WEB}/cgroup", "4:memory:/docker/web\n1:name=systemd:/\n0::/\n")

    assert machine.look(Kind.PID, number=WEB).processes[0].cgroups == ("/docker/web", "/")


def test_who_listens_is_found_through_its_open_files_the_oldest_first(machine: Machine) -> None:
    machine.net(WEB, tcp=TITLE + row(f"{ANY}:1F90", inode=7) + row(f"{ANY}:1F91", inode=8, n=1))
    machine.net(WEB, tcp6=TITLE + row(f"{ANY6}:1F90", inode=9))
    machine.process(90, WEB, start_ticks=9_000_000)
    machine.process(95, WEB, start_ticks=6_000_000, comm="nginx")
    machine.opens(90, 7, 8)
    machine.opens(95, 7, 9)

    first, second = machine.look(Kind.PORT, number=8080).sockets

    assert (first.netns, first.protocol, first.local) == (machine.netns(WEB), "tcp", Endpoint("0.0.0.0", 8080))
    assert first.is_listening
    assert first.process is not None
    assert (first.process.pid, first.process.comm, first.others) == (95, "nginx", 1)
    assert (second.local.address, second.others) == ("::", 0)


def test_only_the_protocol_that_is_asked_for_is_read_and_only_who_waits_counts(machine: Machine) -> None:
    machine.net(
        DB,
        tcp=TITLE + row(f"{TEN_5}:0035", f"{TEN_9}:C001", ESTABLISHED) + row(f"{TEN_5}:C001", f"{TEN_9}:0035", n=1),
        udp=TITLE + row(f"{ANY}:0035", state=UNCONNECTED) + row(f"{TEN_5}:0035", f"{TEN_9}:C001", ESTABLISHED, n=1),
    )

    assert [each.protocol for each in machine.look(Kind.PORT, number=53).sockets] == ["udp"]
    assert machine.look(Kind.PORT, number=53, protocol="tcp").sockets == ()


def test_an_address_with_a_port_is_looked_for_at_both_ends(machine: Machine) -> None:
    machine.net(
        DB,
        fib_trie=FIB_TRIE,
        tcp=TITLE + row(f"{ANY}:1538") + row(f"{TEN_5}:1538", f"{TEN_9}:C001", ESTABLISHED, n=1) + row("07000000:1538"),
    )
    machine.net(WEB, tcp=TITLE + row(f"{TEN_9}:C001", f"{TEN_5}:1538", TIME_WAIT, inode=0) + row(f"{TEN_9}:1538", n=1))

    clues = machine.look(Kind.ADDRESS, "10.0.0.5", 5432)

    assert clues.addresses == (SeenAddress(machine.netns(DB), None),)
    assert [(each.netns, each.local.port, each.is_listening) for each in clues.sockets] == [
        (machine.netns(WEB), 49153, False),
        (machine.netns(DB), 5432, True),
        (machine.netns(DB), 5432, False),
    ]


def test_an_address_of_version_6_is_told_with_its_interface(machine: Machine) -> None:
    machine.net(WEB, if_inet6=IF_INET6)

    clues = machine.look(Kind.ADDRESS, "fe80::fc:ff:fe00:1")

    assert clues == Clues(addresses=(SeenAddress(machine.netns(WEB), "eth0"),))


def test_a_namespace_whose_process_is_another_by_now_is_left_alone(machine: Machine) -> None:
    machine.net(WEB, fib_trie=FIB_TRIE)
    where = machine.where()
    dev = machine.host.root / f"proc/{WEB}/net/dev"
    dev.unlink()
    dev.write_text("")
    hierarchies = read_hierarchies(machine.host.proc_root, machine.host.cgroup_root)
    reader = WhoReader(machine.host.proc_root, hierarchies, links=lambda _: None)

    assert reader.look(Question(Kind.ADDRESS, "10.0.0.5"), where).addresses == ()


def test_a_table_that_is_not_understood_costs_itself_and_is_told(machine: Machine) -> None:
    machine.net(WEB, tcp=TITLE + "what :1F90 is this\n", tcp6=TITLE + row(f"{ANY6}:1F90"))

    clues = machine.look(Kind.PORT, number=8080)

    assert len(clues.sockets) == 1
    assert "cannot understand" in clues.problems[0].message


def test_the_hosts_links_are_told_by_the_kernel_with_where_they_lead(machine: Machine) -> None:
    links = machine.links = Links(
        {
            1: Link("lo", None, None),
            3: Link("docker0", "bridge", None),
            7: Link("veth1", "veth", 5),
            8: Link("veth2", "veth", 6),
        },
        {DB: 5},
    )
    host = machine.netns(1)

    assert machine.look(Kind.INTERFACE, "veth1").links == (SeenLink(host, "veth1", 7, "veth", True, machine.netns(DB)),)
    assert machine.look(Kind.INTERFACE, "if8", 8).links == (SeenLink(host, "veth2", 8, "veth", True, None),)
    assert machine.look(Kind.INTERFACE, "docker0").links == (SeenLink(host, "docker0", 3, "bridge"),)
    assert links.is_closed


def test_the_other_end_of_a_pair_is_followed_to_where_it_leads(machine: Machine) -> None:
    machine.links = Links(
        {2: Link("dummy0", "dummy", None), 4: Link("eth0", None, None), 7: Link("veth1", "veth", 5)}, {DB: 5}
    )

    def look(text: str, peer: int) -> list[tuple[NetnsKey, str]]:
        clues = machine.ask(Question(Kind.INTERFACE, text, peer=peer))
        return [(link.netns, link.name) for link in clues.links]

    assert look("veth1", 2) == [(machine.netns(1), "veth1")]
    assert look("eth0", 7) == [(machine.netns(1), "veth1"), *((machine.netns(pid), "eth0") for pid in (WEB, DB))]


def test_that_files_may_not_be_looked_at_is_told_where_it_matters(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.net(WEB, tcp=TITLE + row(f"{ANY}:1F90", inode=7) + row(f"{ANY}:1F91", inode=8, n=1))
    machine.process(95, WEB)
    machine.opens(95, 7)
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith(f"/{WEB}/fd"):
            raise PermissionError(errno.EACCES, "refused", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)

    assert machine.look(Kind.PORT, number=8080).problems == ()
    (problem,) = machine.look(Kind.PORT, number=8081).problems
    assert f"/{WEB}/fd" in problem.message
    assert problem.remedy == "sudo topcon who"


def test_interfaces_inside_are_seen_through_a_process(machine: Machine) -> None:
    machine.net(WEB, if_inet6=IF_INET6)
    machine.net(DB, igmp=IGMP, dev_mcast=DEV_MCAST)

    links = machine.look(Kind.INTERFACE, "if4", 4).links

    assert links == tuple(SeenLink(machine.netns(pid), "eth0", 4) for pid in (WEB, DB))


def test_a_kernel_that_tells_of_no_links_is_done_without(machine: Machine) -> None:
    links = machine.links = Links({}, {}, PermissionError())

    assert [each.netns for each in machine.look(Kind.INTERFACE, "lo").links] == [
        machine.netns(pid) for pid in (1, WEB, DB)
    ]
    assert links.is_closed


def test_a_cgroup_is_found_by_its_id_its_path_and_its_unit(machine: Machine) -> None:
    machine.host.cgroup("/system.slice/a.service/deep", {})
    inode = (machine.host.root / "sys/fs/cgroup/docker/db").stat().st_ino

    assert machine.look(Kind.CGROUP, number=inode).cgroups == ("/docker/db",)
    assert machine.look(Kind.CGROUP, "/docker/web").cgroups == ("/docker/web",)
    assert machine.look(Kind.CGROUP, "a.service").cgroups == ("/system.slice/a.service",)
    assert machine.look(Kind.CGROUP, "/docker/web/cpu.stat").cgroups == ()
    assert machine.look(Kind.CGROUP, "/docker/\0").cgroups == ()
    assert machine.look(Kind.CGROUP, "/\udcff\ud800").cgroups == ()


def test_a_cgroup_of_version_1_is_found_too(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, mounts=HYBRID_MOUNTS)
    machine = Machine(host)
    host.cgroup("/lxc/a", {}, "memory")
    host.cgroup("/lxc/a", {}, "pids")
    inode = (tmp_path / "sys/fs/cgroup/pids/lxc/a").stat().st_ino

    assert machine.look(Kind.CGROUP, number=inode).cgroups == (CgroupPath("/lxc/a"),)
    assert machine.look(Kind.CGROUP, "/lxc/a").cgroups == ("/lxc/a",)


MOUNTINFO = (
    "500 499 0:{device} / / rw - overlay overlay rw,lowerdir={lower},upperdir=/o/{name}/diff,workdir=/o/{name}/work\n"
)


@pytest.fixture
def layered(machine: Machine) -> Machine:
    """Both containers have an overlay, over a layer that they share."""
    for device, (pid, name) in enumerate(((WEB, "web"), (DB, "db")), start=60):
        machine.host.write(
            f"proc/{pid}/mountinfo", MOUNTINFO.format(device=device, name=name, lower="/o/l/ABC:/o/base/diff")
        )
    (machine.host.root / "o/l").mkdir(parents=True)
    (machine.host.root / "o/short/diff").mkdir(parents=True)
    (machine.host.root / "o/l/ABC").symlink_to("../short/diff")
    machine.host.write(
        "proc/1/mountinfo", "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n90 30 0:61 / /run/db/rootfs rw - overlay overlay rw\n"
    )
    return machine


@pytest.mark.parametrize(
    ("path", "mounts"),
    [
        ("/o/web/diff/etc/passwd", [SeenMount(WEB, "in its writable layer, /o/web/diff")]),
        ("/o/web/merged", [SeenMount(WEB, "beside its writable layer, /o/web/diff")]),
        ("/run/db/rootfs/etc", [SeenMount(DB, "in its root file system")]),
        ("/o/base/diff/etc", [SeenMount(pid, "in a layer of its image", is_shared=True) for pid in (WEB, DB)]),
        ("/o/short/diff", [SeenMount(pid, "in a layer of its image", is_shared=True) for pid in (WEB, DB)]),
        ("/o/l/ABC/etc", [SeenMount(pid, "in a layer of its image", is_shared=True) for pid in (WEB, DB)]),
        ("/o/website/diff", []),
        ("/o", []),
        ("/", []),
        ("/o/\0", []),
    ],
)
def test_a_path_is_looked_for_in_the_layers_of_all(layered: Machine, path: str, mounts: list[SeenMount]) -> None:
    clues = layered.look(Kind.PATH, path)

    assert list(clues.mounts) == mounts
    assert clues.namespace is None


def test_what_needs_no_reading_is_not_read(machine: Machine) -> None:
    assert machine.look(Kind.CONTAINER, "web") == Clues()
    assert machine.look(Kind.NAMESPACE, "net", 4026531840) == Clues()


@pytest.mark.parametrize(
    "question",
    [
        Question(Kind.PID, number=1),
        Question(Kind.PORT, number=1),
        Question(Kind.ADDRESS, "127.0.0.1", 1),
        Question(Kind.INTERFACE, "lo", 1),
        Question(Kind.CGROUP, number=1),
        Question(Kind.CGROUP, "nobody.service"),
        Question(Kind.PATH, "/proc/self/ns/net"),
    ],
    ids=lambda question: f"{question.kind}-{question.text}",
)
def test_this_machine_is_read_as_often_as_one_likes_and_nothing_is_left_open(question: Question) -> None:
    netns = ProcFs("/proc", Access()).netns("self")
    assert netns is not None
    where = Where({netns: os.getpid()}, (os.getpid(),))
    reader = WhoReader("/proc", read_hierarchies("/proc", "/sys/fs/cgroup"))
    first = reader.look(question, where)
    before = all_open()

    for _ in range(LOOKS):
        reader.look(question, where)

    assert (all_open() - before).total() < LOOKS
    assert not any("cannot understand" in problem.message for problem in first.problems)


def test_a_file_of_a_namespace_is_told_by_its_inode() -> None:
    reader = WhoReader("/proc", read_hierarchies("/proc", "/sys/fs/cgroup"))

    clues = reader.look(Question(Kind.PATH, "/proc/self/ns/net"), Where({}, ()))

    assert clues.namespace == Path("/proc/self/ns/net").stat().st_ino
