from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES, SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import HOST_NETNS, host_of

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.kernel.isolated import FULL_S, SCAN_S, IsolatedScan, parse_process_cgroups, read_hostnames
from topcon.kernel.process import ProcFs
from topcon.model.sample import SANDBOXES, SERVICES, NetnsKey, NsInode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakes import FakeHost

    from topcon.model.sample import HostSample, Isolated

SERVICE = "/system.slice/timed.service"
SCOPE = "/user.slice/user-0.slice/session-1.scope"
CONTAINER = "/docker/abc"
APP = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.kde.konsole-77.scope"


class Machine:
    """A host of files with a scan of it, and a clock that moves when it is told to."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.seconds = 0.0
        self.members: dict[str, list[int]] = {}
        self.containers = {CONTAINER}
        self.hostnames: dict[int, str] = {}
        self.host_sample: HostSample = host_of(netns=self._host_netns())
        self.put(1, "/init.scope")
        self.scan = IsolatedScan(
            ProcFs(host.proc_root, Access()),
            lambda path: self.members.get(path, []),
            clock_ns=lambda: int(self.seconds * SECOND_NS),
            hostnames=self._hostnames,
        )

    def _host_netns(self) -> NetnsKey | None:
        return ProcFs(self.host.proc_root, Access()).netns(1)

    def _hostnames(self, namespaces: Sequence[tuple[str, NsInode]]) -> list[str | None]:
        return [self.hostnames.get(inode) for _, inode in namespaces]

    def put(self, pid: int, cgroup: str, command: str = "", pid_for_children: int | None = None) -> None:
        """Write what a process has besides what the fake host knows."""
        self.host.write(f"proc/{pid}/cgroup", f"0::{cgroup}\n")
        self.host.write(f"proc/{pid}/cmdline", command.replace(" ", "\0") + "\0" * bool(command))
        if pid_for_children is not None:
            (self.host.root / f"proc/{pid}/ns/pid_for_children").symlink_to(f"pid:[{pid_for_children}]")
        for pids in self.members.values():
            if pid in pids:
                pids.remove(pid)
        self.members.setdefault(cgroup, []).append(pid)

    def run(self, pid: int, cgroup: str = SCOPE, command: str = "sleep 1000", **options: Any) -> None:
        """Start a process; ``own`` are the namespaces that are not the host's."""
        own = options.pop("own", {})
        for_children = options.pop("pid_for_children", None)
        chain = (pid, 1) if "pid" in own else (pid,)
        given: dict[str, Any] = {"namespaces": HOST_NAMESPACES | own, "ns_pids": chain, "start_ticks": 1000 + pid}
        self.host.process(pid, **(given | options))
        self.put(pid, cgroup, command, for_children)

    def end(self, pid: int) -> None:
        (self.host.root / f"proc/{pid}").rename(self.host.root / f"ended-{pid}")
        for pids in self.members.values():
            if pid in pids:
                pids.remove(pid)

    def refuse(self, pid: int) -> None:
        """Keep the reader from the links of a process; see the fixture that goes with it."""
        for link in (self.host.root / f"proc/{pid}/ns").iterdir():
            link.unlink()
            link.symlink_to("refused")

    def look(self, after_s: float = SCAN_S) -> tuple[Isolated, ...]:
        self.seconds += after_s
        return self.scan.look(self.host_sample, lambda path: path in self.containers, START_WALL_NS)

    def found(self, after_s: float = SCAN_S) -> dict[str, int]:
        """Name to first pid."""
        return {each.name: each.process.pid for each in self.look(after_s)}


@pytest.fixture
def machine(host: FakeHost) -> Machine:
    return Machine(host)


@pytest.fixture
def links_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The links that are read, in order; one that says ``refused`` is."""
    read: list[str] = []
    readlink = os.readlink

    def noting(path: str) -> str:
        read.append(path)
        link = readlink(path)
        if link == "refused":
            raise PermissionError(13, "Permission denied", path)
        return link

    monkeypatch.setattr("topcon.kernel.isolated.os.readlink", noting)
    return read


def only(found: tuple[Isolated, ...]) -> Isolated:
    (isolated,) = found
    return isolated


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"0::/user.slice/session-1.scope\n", {"": "/user.slice/session-1.scope"}),
        (
            b"9:name=systemd:/a\n8:pids:/\n2:cpu,cpuacct:/b\n0::/\n",
            {"name=systemd": "/a", "pids": "/", "cpu": "/b", "cpuacct": "/b", "": "/"},
        ),
        (b"0::/gone (deleted)\n", {"": "/gone"}),
        (b"0::/with:colon and blank\n", {"": "/with:colon and blank"}),
        (b"0::/line\xe2\x80\xa8end\n", {"": "/line\u2028end"}),
        (b"", {}),
    ],
)
def test_the_cgroups_of_a_process(raw: bytes, expected: dict[str, str]) -> None:
    assert parse_process_cgroups(raw, "cgroup") == expected


@given(st.binary())
def test_anything_parses_or_raises(raw: bytes) -> None:
    try:
        cgroups = parse_process_cgroups(raw, "cgroup")
    except ParseError:
        return
    assert all(isinstance(path, str) for path in cgroups.values())


def test_what_lives_in_the_hosts_namespaces_is_nothing(machine: Machine) -> None:
    machine.run(50)

    assert machine.look() == ()


def test_a_process_in_a_pid_namespace_of_its_own(machine: Machine) -> None:
    machine.run(50, own={"pid": 501, "net": 502, "mnt": 503})

    isolated = only(machine.look())

    assert (isolated.id, isolated.process.pid, isolated.cgroup) == ("501", 50, SCOPE)
    assert (isolated.name, isolated.command, isolated.fold) == ("sleep", "sleep 1000", None)


@pytest.mark.parametrize("kind", ["pid", "net", "user", "mnt"])
def test_one_namespace_is_enough(machine: Machine, kind: str) -> None:
    machine.run(50, own={kind: 501})

    assert only(machine.look()).id == "501"


@pytest.mark.parametrize("kind", ["uts", "ipc", "cgroup", "time"])
def test_other_kinds_of_namespaces_make_no_container(machine: Machine, kind: str) -> None:
    machine.run(50, own={kind: 501})

    assert machine.look() == ()


def test_containers_are_somebody_elses(machine: Machine) -> None:
    machine.run(50, CONTAINER, own={"pid": 501})

    assert machine.look() == ()


def test_a_visitor_in_a_containers_namespaces_is_no_container(machine: Machine) -> None:
    machine.run(50, CONTAINER, own={"pid": 501, "net": 502})
    machine.run(51, SCOPE, "tcpdump", own={"net": 502})

    assert machine.look() == ()


def test_a_cgroup_that_turns_out_to_be_a_containers(machine: Machine) -> None:
    machine.run(50, "/weak/sign", own={"pid": 501})
    assert len(machine.look()) == 1

    machine.containers.add("/weak/sign")

    assert machine.look() == ()


def test_what_shares_the_most_telling_namespace_is_one(machine: Machine) -> None:
    machine.run(50, own={"pid": 501, "net": 502})
    machine.run(51, own={"pid": 501, "net": 502}, ns_pids=(51, 2), ppid=50)

    isolated = only(machine.look())

    assert isolated.process.pid == 50
    assert isolated.is_alone


def test_the_one_that_waits_outside_the_pid_namespace_belongs_to_it(machine: Machine) -> None:
    machine.run(49, command="unshare", own={"net": 502, "mnt": 503})
    machine.run(50, own={"pid": 501, "net": 502, "mnt": 503}, ppid=49)

    isolated = only(machine.look())

    assert (isolated.id, isolated.process.pid, isolated.is_alone) == ("501", 50, True)


def test_two_in_one_network_stay_two(machine: Machine) -> None:
    machine.run(48, command="bash", own={"net": 502})
    machine.run(49, command="one", own={"pid": 501, "net": 502})
    machine.run(50, command="two", own={"pid": 504, "net": 502})

    assert machine.found() == {"bash": 48, "one": 49, "two": 50}


def test_groups_join_through_groups(machine: Machine) -> None:
    machine.run(48, own={"mnt": 503})
    machine.run(49, own={"user": 504, "mnt": 503})
    machine.run(50, own={"pid": 501, "user": 504})

    isolated = only(machine.look())

    assert (isolated.id, isolated.is_alone) == ("501", True)


def test_it_is_not_alone_with_a_process_of_the_host(machine: Machine) -> None:
    machine.run(49, command="bash")
    machine.run(50, own={"pid": 501}, ppid=49)

    assert not only(machine.look()).is_alone


def test_the_parent_that_made_only_the_pid_namespace_is_no_stranger(machine: Machine) -> None:
    machine.run(49, command="unshare", pid_for_children=501)
    machine.run(50, own={"pid": 501}, ppid=49)

    assert only(machine.look()).is_alone


def test_in_the_root_cgroup_nothing_is_alone(machine: Machine) -> None:
    machine.run(50, "/", own={"pid": 501})

    assert not only(machine.look()).is_alone


def test_a_process_that_came_after_the_scan_does_not_count_yet(machine: Machine) -> None:
    machine.run(50, own={"pid": 501})
    machine.members[SCOPE].append(99)

    assert only(machine.look()).is_alone


def test_its_hostname_is_its_name(machine: Machine) -> None:
    machine.hostnames = {505: "adrift"}
    machine.run(50, own={"pid": 501, "uts": 505})

    assert only(machine.look()).name == "adrift"


def test_the_hosts_own_hostname_is_no_name(machine: Machine) -> None:
    machine.hostnames = {505: machine.host_sample.name}
    machine.run(50, own={"pid": 501, "uts": 505})

    assert only(machine.look()).name == "sleep"


@pytest.mark.parametrize(
    ("command", "comm", "expected"),
    [
        ("/usr/bin/python3 -m this", "python3", "python3"),
        ("nginx: master process", "nginx", "nginx"),
        ("", "sleep", "sleep"),
        (" ", "sleep", "sleep"),
        ("/", "odd", "odd"),
    ],
)
def test_its_command_is_its_name(machine: Machine, command: str, comm: str, expected: str) -> None:
    machine.run(50, command=command, comm=comm, own={"pid": 501})

    assert only(machine.look()).name == expected


@pytest.mark.parametrize("kind", ["mnt", "user", "net"])
def test_a_service_with_something_private_is_folded(machine: Machine, kind: str) -> None:
    machine.run(50, SERVICE, own={kind: 501})

    isolated = only(machine.look())

    assert (isolated.name, isolated.fold, isolated.is_alone) == ("timed.service", SERVICES, True)


def test_a_service_that_delegates_is_still_one(machine: Machine) -> None:
    machine.run(50, f"{SERVICE}/worker", own={"mnt": 501})

    assert only(machine.look()).fold == SERVICES


def test_a_service_with_pids_of_its_own_has_a_row(machine: Machine) -> None:
    machine.run(50, SERVICE, own={"pid": 501})

    isolated = only(machine.look())

    assert (isolated.name, isolated.fold) == ("timed.service", None)


def test_what_was_started_from_within_a_service_is_not_that_service(machine: Machine) -> None:
    machine.run(49, SERVICE, "bash")
    machine.run(50, SERVICE, own={"mnt": 501}, ppid=49)

    isolated = only(machine.look())

    assert (isolated.name, isolated.fold) == ("sleep", None)


def test_nor_is_it_when_its_parent_has_ended(machine: Machine) -> None:
    machine.run(49, SERVICE, "sshd")
    machine.run(50, SERVICE, own={"mnt": 501}, ppid=1)

    isolated = only(machine.look())

    assert (isolated.name, isolated.fold) == ("sleep", None)


def test_a_service_stays_folded_with_an_isolated_child(machine: Machine) -> None:
    machine.run(49, SERVICE, "timed", own={"mnt": 502})
    machine.run(50, SERVICE, "job", own={"pid": 501, "mnt": 503}, ppid=49)

    assert {each.name: each.fold for each in machine.look()} == {"timed.service": SERVICES, "job": None}


@pytest.mark.parametrize(
    ("command", "comm"),
    [
        ("/usr/lib/chromium/chromium --type=zygote --headless", "chromium"),
        ("/opt/Some App/app --type=renderer", "app"),
        ("/usr/lib/firefox/firefox -contentproc -childID 1", "Isolated Web Co"),
        ("bwrap --unshare-all sh", "bwrap"),
    ],
)
def test_the_sandboxes_of_browsers_and_desktops_are_folded(machine: Machine, command: str, comm: str) -> None:
    machine.run(50, command=command, comm=comm, own={"pid": 501, "net": 502, "user": 503})

    assert only(machine.look()).fold == SANDBOXES


def test_in_a_desktop_application_one_pid_namespace_has_a_row_and_several_are_folded(machine: Machine) -> None:
    machine.run(50, APP, own={"pid": 501})
    assert only(machine.look()).fold is None

    machine.run(51, APP, own={"pid": 502})

    assert [each.fold for each in machine.look()] == [SANDBOXES, SANDBOXES]


def test_kernel_threads_and_zombies_are_left_out(machine: Machine) -> None:
    machine.run(26, own={"mnt": 501})
    machine.run(27, own={"mnt": 502})
    for pid, state, flags in ((26, "S", 0x00200040), (27, "Z", 0)):
        stat = machine.host.root / f"proc/{pid}/stat"
        words = stat.read_text().split()
        words[2], words[8] = state, str(flags)
        stat.write_text(" ".join(words))

    assert machine.look() == ()


def test_topcon_and_its_children_are_left_out(machine: Machine) -> None:
    (machine.host.root / "proc/self/mountinfo").unlink()
    (machine.host.root / "proc/self").rmdir()
    (machine.host.root / "proc/self").symlink_to("60")
    machine.run(60, command="topcon", own={"mnt": 501})
    machine.run(61, command="sh", ppid=60)
    machine.run(62, command="nsenter", own={"pid": 502}, ppid=61)
    machine.run(63, own={"pid": 503})

    assert machine.found() == {"sleep": 63}


def test_what_is_outside_our_own_cgroup_namespace_cannot_be_told_from_a_container(machine: Machine) -> None:
    machine.run(50, "/../other", own={"pid": 501})

    assert machine.look() == ()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("9:name=systemd:/a/b.service\n8:pids:/a/b.service\n0::/a/b.service\n", "/a/b.service"),
        ("9:name=systemd:/\n8:pids:/\n4:memory:/limited\n0::/\n", "/limited"),
        ("9:name=systemd:/session\n8:pids:/other\n", "/session"),
        ("8:pids:/\n", "/"),
    ],
)
def test_where_it_is_on_version_1(machine: Machine, lines: str, expected: str) -> None:
    machine.run(50, own={"pid": 501})
    machine.host.write("proc/50/cgroup", lines)

    assert only(machine.look()).cgroup == expected


def test_a_container_of_version_1_is_known_by_any_of_its_cgroups(machine: Machine) -> None:
    machine.run(50, own={"pid": 501})
    machine.host.write("proc/50/cgroup", f"9:name=systemd:/\n4:memory:{CONTAINER}\n0::/elsewhere\n")

    assert machine.look() == ()


def test_known_processes_are_not_looked_at_again(machine: Machine, links_read: list[str]) -> None:
    machine.run(50, own={"pid": 501})
    machine.run(51)
    machine.look()
    links_read.clear()

    found = machine.look()

    assert [path for path in links_read if "/ns/" in path] == []
    assert len(found) == 1


def test_between_scans_nothing_is_read(machine: Machine, links_read: list[str]) -> None:
    found = machine.look()
    links_read.clear()
    machine.run(50, own={"pid": 501})

    assert machine.look(after_s=SCAN_S / 2) is found
    assert links_read == []


def test_the_same_objects_come_back(machine: Machine) -> None:
    machine.run(50, own={"pid": 501})
    found = machine.look()

    assert machine.look() is found
    assert machine.look(after_s=FULL_S) is found

    machine.run(51, APP, own={"pid": 502})
    assert machine.look()[0] is found[0]


def test_new_ones_appear_and_ended_ones_go(machine: Machine) -> None:
    assert machine.look() == ()

    machine.run(50, own={"pid": 501})
    assert machine.found() == {"sleep": 50}

    machine.end(50)
    assert machine.look() == ()


def test_one_that_unshares_right_after_its_start_is_seen_at_the_next_scan(machine: Machine) -> None:
    machine.look()
    machine.run(50)
    assert machine.look() == ()

    machine.run(50, own={"mnt": 501})

    assert machine.found() == {"sleep": 50}


def test_one_that_unshares_late_is_seen_at_the_next_full_look(machine: Machine) -> None:
    machine.run(50)
    machine.look()
    machine.run(50, own={"mnt": 501})

    assert machine.look() == ()
    assert machine.found(after_s=FULL_S) == {"sleep": 50}


def test_one_that_is_moved_into_a_container_late_is_seen_at_the_next_full_look(machine: Machine) -> None:
    machine.run(50, own={"pid": 501})
    assert machine.found() == {"sleep": 50}
    machine.put(50, CONTAINER)

    assert machine.found(after_s=FULL_S) == {}


def test_a_pid_that_one_of_our_children_is_given_later(machine: Machine) -> None:
    (machine.host.root / "proc/self/mountinfo").unlink()
    (machine.host.root / "proc/self").rmdir()
    (machine.host.root / "proc/self").symlink_to("60")
    machine.run(60, command="topcon")
    machine.run(61, own={"pid": 502})
    assert machine.found() == {"sleep": 61}

    machine.run(61, own={"pid": 502}, ppid=60, start_ticks=2000)

    assert machine.found(after_s=FULL_S) == {}


def test_a_full_look_reads_the_command_again(machine: Machine) -> None:
    machine.run(50, command="sh -c x", own={"pid": 501})
    machine.look()
    machine.put(50, SCOPE, "nginx")

    assert machine.found() == {"sh": 50}
    assert machine.found(after_s=FULL_S) == {"nginx": 50}


def test_the_very_young_may_still_become_a_containers(machine: Machine) -> None:
    ticks = int(machine.host_sample.uptime_s * os.sysconf("SC_CLK_TCK")) - 1
    machine.run(50, own={"pid": 501}, start_ticks=ticks)

    assert machine.look() == ()


def test_without_privilege_the_network_and_the_pids_tell(machine: Machine, links_read: list[str]) -> None:
    machine.run(50, own={"net": 502})
    machine.run(51, command="init", own={"pid": 501})
    machine.run(52, own={"pid": 501}, ns_pids=(52, 7), ppid=51)
    machine.run(53, own={"mnt": 503})
    for pid in (50, 51, 52, 53):
        machine.refuse(pid)

    found = machine.look()

    assert [(each.name, each.process.pid) for each in found] == [("sleep", 50), ("init", 51)]
    assert found[0].id == str(found[0].process.netns)
    assert found[1].id == "51-1051"
    assert links_read


def test_without_privilege_an_unknown_host_network_tells_nothing(machine: Machine, links_read: list[str]) -> None:
    machine.host_sample = host_of(netns=None)
    machine.run(50, own={"net": 502})
    machine.refuse(50)

    assert machine.look() == ()
    assert links_read


def test_where_the_hosts_namespaces_are_unknown_nothing_is_other_than_them(machine: Machine) -> None:
    machine.host_sample = host_of(namespaces=type(machine.host_sample.namespaces)(), netns=HOST_NETNS)
    machine.run(50, own={"pid": 501})

    assert machine.look() == ()


def test_reading_hostnames_leaves_this_process_where_it_is() -> None:
    link = Path("/proc/self/ns/uts")
    before, threads = (os.uname().nodename, link.readlink()), {*threading.enumerate()}
    inode = NsInode(link.stat().st_ino)

    names = read_hostnames([(str(link), inode), ("/proc/self/ns/gone", inode)])

    assert names in ([before[0], None], [None, None])
    assert (os.uname().nodename, link.readlink()) == before
    assert not {*threading.enumerate()} - threads


def test_a_namespace_that_is_another_by_now_has_no_hostname() -> None:
    assert read_hostnames([("/proc/self/ns/uts", NsInode(1))]) == [None]
