"""How far a container is kept from its host: what is read, what is dangerous, how it is written."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeHost
from hypothesis import given
from hypothesis import strategies as st
from samples import node_of, pod_of, process_of, text_of, tree_of

from topcon.kernel.mount import parse_mountinfo
from topcon.kernel.privileges import PrivilegeReader
from topcon.kernel.security import EVERY, SecurityReader, host_mounts
from topcon.model.sample import Problem, Source
from topcon.model.security import (
    CAPABILITIES,
    DEFAULT_CAPABILITIES,
    Danger,
    HostMount,
    IdRange,
    Leak,
    Privileges,
    Security,
    beyond_default,
    capability_names,
    dangers,
    told_devices,
)
from topcon.model.snapshot import Severity
from topcon.rows import ViewState
from topcon.ui.namespaces import namespace_lines
from topcon.ui.spans import width_of
from topcon.ui.tabs.security import NO_PROCESS, danger_lines, security_entries
from topcon.ui.tabs.seen import Seen

if TYPE_CHECKING:
    from pathlib import Path

    from topcon.model.snapshot import ContainerNode

DEFAULT = sum(1 << bit for bit, name in enumerate(CAPABILITIES) if name in DEFAULT_CAPABILITIES)
USUAL = Security(
    uid=0,
    gid=0,
    effective=DEFAULT,
    bounding=DEFAULT,
    every=EVERY,
    has_own_users=False,
    seccomp=2,
    has_no_new_privs=False,
    label="docker-default (enforce)",
    is_root_read_only=False,
    devices=("c 1:3 rwm",),
)
HOST_MOUNTS = b"""\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:6 / /dev rw - devtmpfs udev rw
25 22 0:23 / /run rw - tmpfs tmpfs rw
26 22 0:7 / /sys rw - sysfs sysfs rw
27 22 0:50 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw
"""
CONTAINER_MOUNTS = b"""\
500 400 0:50 / / ro - overlay overlay rw
501 500 0:61 / /proc rw - proc proc rw
502 501 0:5 /sys /proc/sys ro - proc proc rw
503 500 0:62 / /dev rw - tmpfs tmpfs rw
504 503 0:6 /null /dev/null rw - devtmpfs udev rw
505 501 0:6 /null /proc/kcore rw - devtmpfs udev rw
506 500 0:7 / /sys ro - sysfs sysfs rw
507 500 8:1 /var/lib/docker/containers/abc/hosts /etc/hosts rw - ext4 /dev/sda1 rw
508 500 0:23 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw
509 500 8:1 /etc /host/etc ro - ext4 /dev/sda1 rw
510 500 8:1 /var/lib/docker/volumes/data/_data /data rw - ext4 /dev/sda1 rw
511 500 0:5 / /host/proc rw - proc proc rw
512 500 8:1 /srv/my\\040files /srv rw - ext4 /dev/sda1 rw
"""


def bit(*names: str) -> int:
    return sum(1 << CAPABILITIES.index(name) for name in names)


def found(security: Security, **options: Any) -> list[tuple[Severity, str]]:
    return [(each.severity, each.what) for each in dangers(security, node_of("web", **options))]


def test_a_usual_container_has_nothing_dangerous() -> None:
    assert found(USUAL) == []
    assert beyond_default(DEFAULT) == []
    assert len(DEFAULT_CAPABILITIES) == 14
    assert DEFAULT == 0xA80425FB


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bounding": EVERY, "seccomp": 0, "label": "unconfined"}, [(Severity.CRITICAL, "privileged")]),
        (
            {"bounding": DEFAULT | bit("SYS_ADMIN", "NET_ADMIN", "IPC_LOCK")},
            [(Severity.CRITICAL, "SYS_ADMIN"), (Severity.WARNING, "NET_ADMIN"), (Severity.WARNING, "IPC_LOCK")],
        ),
        ({"bounding": EVERY, "has_own_users": True}, []),
        ({"seccomp": 0}, [(Severity.WARNING, "seccomp off")]),
        ({"label": "unconfined"}, [(Severity.WARNING, "unconfined")]),
        ({"label": None, "seccomp": None}, []),
    ],
)
def test_what_is_beyond_the_default_is_dangerous(changes: dict[str, Any], expected: list[tuple[Severity, str]]) -> None:
    assert found(USUAL._replace(**changes)) == expected


@pytest.mark.parametrize(
    ("source", "is_read_only", "expected"),
    [
        ("/run/docker.sock", True, Severity.CRITICAL),
        ("/run/k3s/containerd/containerd.sock", False, Severity.CRITICAL),
        ("/run", False, Severity.CRITICAL),
        ("/", False, Severity.CRITICAL),
        ("/", True, Severity.WARNING),
        ("/etc", True, Severity.WARNING),
        ("/var", False, Severity.CRITICAL),
        ("/etc/localtime", True, None),
        ("/home/me/src", False, None),
        ("/var/lib/docker/volumes/data/_data", False, None),
        ("/procession", False, None),
    ],
)
def test_mounts_of_the_host(source: str, is_read_only: bool, expected: Severity | None) -> None:
    seen = dangers(USUAL._replace(mounts=(HostMount(source, "/x", is_read_only),)), node_of("web"))

    assert [each.severity for each in seen] == ([expected] if expected else [])


def test_sharing_with_the_host_is_dangerous_in_what_is_called_a_container() -> None:
    node = node_of("web", shared_with_host=("net", "pid", "user"))
    agent = node._replace(info=replace(node.info, source=Source.NAMESPACE))

    assert [each.what for each in dangers(USUAL, node)] == ["the host's pid", "the host's net"]
    assert dangers(USUAL._replace(seccomp=0), agent) == ()


def test_mounts_are_seen_from_the_host() -> None:
    outside: dict[Any, list[Any]] = {}
    for mount in parse_mountinfo(HOST_MOUNTS, "host"):
        outside.setdefault(mount.device, []).append(mount)

    assert list(host_mounts(parse_mountinfo(CONTAINER_MOUNTS, "own"), outside)) == [
        HostMount("/run/docker.sock", "/var/run/docker.sock", is_read_only=False),
        HostMount("/etc", "/host/etc", is_read_only=True),
        HostMount("/var/lib/docker/volumes/data/_data", "/data", is_read_only=False),
        HostMount("/proc", "/host/proc", is_read_only=False),
        HostMount("/srv/my files", "/srv", is_read_only=False),
    ]


class Boxed:
    """A host with a container's process in it."""

    def __init__(self, folder: Path, status: str = "") -> None:
        self.host = FakeHost(folder)
        self.host.process(50, ns_pids=(50, 1))
        self.host.write(
            "proc/50/status", status or f"Uid:\t0\t0\t0\t0\nCapBnd:\t{DEFAULT:016x}\nCapEff:\t0\nSeccomp:\t2\n"
        )
        self.host.write("proc/50/mountinfo", CONTAINER_MOUNTS.decode())
        self.host.write("proc/1/mountinfo", HOST_MOUNTS.decode())
        self.host.write("proc/50/uid_map", "0 100000 65536\n")
        self.host.write("proc/50/attr/current", "docker-default (enforce)\n")
        self.host.write("proc/50/cgroup", "4:devices:/docker/ab\n")
        self.host.write("proc/1/status", f"CapBnd:\t{EVERY:016x}\n")
        self.node = node_of("web", process=process_of("web", pid=50))


def test_all_of_it_is_read(tmp_path: Path) -> None:
    boxed = Boxed(tmp_path)

    security = SecurityReader(boxed.host.proc_root).read(boxed.node)

    assert isinstance(security, Security)
    assert (security.bounding, security.effective, security.every) == (DEFAULT, 0, EVERY)
    assert (security.seccomp, security.label) == (2, "docker-default (enforce)")
    assert security.has_own_users
    assert security.root_outside == 100_000
    assert security.is_root_read_only is True
    assert len(security.mounts) == 5
    assert security.devices is None


def test_what_has_ended_or_never_ran_says_nothing(tmp_path: Path) -> None:
    reader = SecurityReader(FakeHost(tmp_path).proc_root)

    assert reader.read(node_of("web", process=None)) is None
    assert reader.read(node_of("web", process=process_of("web", pid=77))) is None


def test_what_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bytes:
        raise PermissionError(path)

    boxed = Boxed(tmp_path)
    monkeypatch.setattr("topcon.kernel.security.read_small", refuse)

    found_out = SecurityReader(boxed.host.proc_root).read(boxed.node)

    assert isinstance(found_out, Problem)
    assert found_out.remedy


@pytest.mark.parametrize("pid", [1, 50])
def test_what_is_not_understood_is_a_problem(tmp_path: Path, pid: int) -> None:
    boxed = Boxed(tmp_path)
    boxed.host.write(f"proc/{pid}/mountinfo", "no mount\n")

    found_out = SecurityReader(boxed.host.proc_root).read(boxed.node)

    assert isinstance(found_out, Problem)
    assert f"proc/{pid}/mountinfo" in found_out.message


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"HostConfig": {"Privileged": True}}, ("a *:* rwm",)),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/fuse", "CgroupPermissions": "rw"}, 3]}}, ("/dev/fuse rw",)),
        ({"HostConfig": {"Devices": None}}, ()),
        ({"topcon": "nobody says"}, None),
        (None, None),
        (Problem("docker", "no answer"), None),
    ],
)
def test_devices_that_a_runtime_tells_of(said: object, expected: tuple[str, ...] | None) -> None:
    assert told_devices(said) == expected


@given(st.integers(0, 2**64 - 1))
def test_every_capability_has_a_name(mask: int) -> None:
    assert len(capability_names(mask)) == mask.bit_count()


def written(security: object, node: ContainerNode | None = None, width: int = 80) -> list[str]:
    node = node or node_of("web")
    entries = security_entries(Seen(tree_of(pod_of(node)), node, width, 20, security))
    assert all(width_of(entry.spans) <= width for entry in entries)
    return [text_of(entry.spans) for entry in entries]


def test_the_tab_of_a_usual_container() -> None:
    text = "\n".join(written(USUAL))

    assert "nothing of it is beyond what runtimes give by default" in text
    assert "root on the host too" in text
    assert "14: CHOWN DAC_OVERRIDE" in text
    assert "a filter of system calls" in text
    assert "docker-default (enforce)" in text
    assert "can be written" in text
    assert "c 1:3 rwm" in text


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_tab_of_a_privileged_one(width: int) -> None:
    security = USUAL._replace(
        bounding=EVERY,
        effective=EVERY,
        seccomp=0,
        devices=("a *:* rwm",),
        mounts=(HostMount("/run/docker.sock", "/var/run/docker.sock", is_read_only=False),),
    )
    lines = written(security, width=width)

    assert lines[0].startswith(" ■ privileged")
    assert any("all 41" in line for line in lines)
    assert any("/run/docker.sock" in line for line in lines)


def test_users_of_its_own_are_said() -> None:
    security = USUAL._replace(has_own_users=True, uid=100_000, uid_map=(IdRange(0, 100_000, 65_536),))

    text = "\n".join(written(security))

    assert "user 100000 on the host, who has no rights there" in text
    assert "0 to 65535 are 100000 to 165535" in text


def test_before_an_answer_and_without_one() -> None:
    assert written(NO_PROCESS) == [" no process of it runs"]
    assert written(None) == [" looking …"]


@given(st.text(max_size=60), st.text(max_size=200), st.integers(10, 100))
def test_a_danger_has_room_in_any_width(what: str, means: str, width: int) -> None:
    for line in danger_lines([Danger(Severity.WARNING, what, means)], width):
        assert width_of(line) <= width


def view_of(privileges: Privileges, node: ContainerNode) -> list[str]:
    snapshot = tree_of(pod_of(node))
    return [text_of(line) for line in namespace_lines(snapshot, ViewState(), 100, privileges).lines]


def test_the_view_of_namespaces_marks_what_is_less_isolated_and_what_is_left() -> None:
    node = node_of("web", process=process_of("web"))
    found_out = (Danger(Severity.CRITICAL, "privileged", "..."), Danger(Severity.WARNING, "seccomp off", "..."))
    leaks = (Leak("/run/netns/old: a network without a process", "nsenter --net=/run/netns/old ip address"),)

    lines = view_of(Privileges({node.key: found_out}, leaks, left_out=3), node)

    assert lines[0].startswith("■")
    assert " Less isolated than others" in lines
    assert " ■ web" in lines
    assert "     privileged, seccomp off" in lines
    assert "   3 containers have not been looked at yet" in lines
    assert " ▲ /run/netns/old: a network without a process" in lines


class Clock:
    """Moves on when it is looked at."""

    def __init__(self, step_s: float) -> None:
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def test_all_containers_are_looked_at_in_turn(tmp_path: Path) -> None:
    boxed = Boxed(tmp_path)
    for pid in (51, 52):
        boxed.host.process(pid)
        for name in ("status", "mountinfo"):
            boxed.host.write(f"proc/{pid}/{name}", (tmp_path / f"proc/50/{name}").read_text())
    nodes = [node_of(f"c{pid}", process=process_of(f"c{pid}", pid=pid)) for pid in (50, 51, 52)]
    snapshot = tree_of(*map(pod_of, nodes))
    # Time for two of them.
    reader = PrivilegeReader(boxed.host.proc_root, None, clock=Clock(0.1))

    first, second = reader.read(snapshot), reader.read(snapshot)

    assert (len(first.dangers), first.left_out) == (2, 1)
    assert (len(second.dangers), second.left_out) == (3, 0)
    assert second.dangers[nodes[0].key][0].what == "/run/docker.sock"
    assert reader.read(tree_of()).dangers == {}


@pytest.mark.parametrize("pid", [1, 50])
def test_what_is_not_understood_is_a_problem_of_all_of_it(tmp_path: Path, pid: int) -> None:
    boxed = Boxed(tmp_path)
    boxed.host.write(f"proc/{pid}/mountinfo", "no mount\n")

    (problem,) = PrivilegeReader(boxed.host.proc_root, None).read(tree_of(pod_of(boxed.node))).problems

    assert f"proc/{pid}/mountinfo" in problem.message


def test_what_is_left_is_told_once_it_was_there_twice(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("cgroup/cgroup.stat", "nr_descendants 5\nnr_dying_descendants 400\n")
    host.write("run/docker/netns/1-abc", "")
    reader = PrivilegeReader(host.proc_root, str(tmp_path / "cgroup"), str(tmp_path))
    # In a tree of files the namespaces are links to nothing.
    namespace = tmp_path / "proc/self/ns/net"
    namespace.parent.mkdir(parents=True, exist_ok=True)
    namespace.unlink(missing_ok=True)
    namespace.symlink_to(os.devnull)

    assert reader.read(tree_of()).leaks == ()
    leaks = [leak.what for leak in reader.read(tree_of()).leaks]

    assert leaks == [
        "/run/docker/netns/1-abc: left of a network that has gone",
        "cgroups of what has ended are still held by memory that it used",
    ]


def test_a_few_cgroups_that_are_about_to_go_are_nothing(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("cgroup/cgroup.stat", "nr_dying_descendants 3\n")
    reader = PrivilegeReader(host.proc_root, str(tmp_path / "cgroup"), str(tmp_path))

    assert [reader.read(tree_of()).leaks for _ in range(2)] == [(), ()]
