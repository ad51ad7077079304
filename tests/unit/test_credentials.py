"""What a process may do, and what is to be known before one goes where it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import process_of

from topcon.errors import ActionFailed
from topcon.kernel import enter as module
from topcon.kernel.credentials import parse_environment, parse_id_map, parse_worn, to_inside
from topcon.kernel.enter import cgroup_directories, enter, profile_order
from topcon.kernel.mount import parse_mountinfo
from topcon.model.security import IdRange
from topcon.model.shell import SHELLS, Size

if TYPE_CHECKING:
    from pathlib import Path

STATUS = b"""\
Name:\tredis
Uid:\t999\t998\t999\t999
Gid:\t999\t997\t999\t999
Groups:\t27 100
CapInh:\t0000000000000000
CapPrm:\t00000000a80425fb
CapEff:\t0000000000000400
CapBnd:\t00000000a80425fb
CapAmb:\t0000000000000400
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t1
"""
MOUNTS = b"""\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:32 /inner /mnt/part rw - cgroup cgroup rw,pids
36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_a_status_of_a_service() -> None:
    worn = parse_worn(STATUS)

    assert (worn.uid, worn.gid, worn.groups) == (998, 997, (27, 100))
    assert (worn.effective, worn.ambient, worn.bounding) == (0x400, 0x400, 0xA80425FB)
    assert (worn.has_no_new_privs, worn.seccomp) == (True, 2)


def test_what_an_old_kernel_does_not_tell_is_unknown() -> None:
    worn = parse_worn(b"Uid:\t0\t0\t0\t0\n")

    assert worn.seccomp is None
    assert worn.has_no_new_privs is None


@given(st.binary(max_size=300))
def test_any_bytes_are_some_status_and_some_map(data: bytes) -> None:
    parse_worn(data)
    parse_worn(b"Uid:" + data)
    parse_environment(data)
    for each in parse_id_map(data):
        assert min(each) >= 0


@pytest.mark.parametrize(("outside", "inside"), [(100_000, 0), (100_999, 999), (65_534, 65_534), (1000, 1), (0, 0)])
def test_users_have_other_numbers_inside(outside: int, inside: int) -> None:
    ranges = parse_id_map(b"         0     100000       1000\n         1       1000          1\nno line\n")

    assert ranges == (IdRange(0, 100_000, 1000), IdRange(1, 1000, 1))
    assert to_inside(outside, ranges) == inside


def test_an_environment() -> None:
    assert parse_environment(b"PATH=/bin\0A=b=c\0no\0=x\0") == {b"PATH": b"/bin", b"A": b"b=c"}


def test_a_shell_is_counted_in_all_hierarchies_of_its_container() -> None:
    cgroup = (
        b"4:devices:/docker/ab\n3:cpu,cpuacct:/docker/ab\n2:pids:/docker/ab\n1:name=systemd:/docker/ab\n0::/\nodd\n"
    )

    assert list(cgroup_directories(cgroup, parse_mountinfo(MOUNTS, "mountinfo"))) == [
        "/sys/fs/cgroup/devices/docker/ab",
        "/sys/fs/cgroup/cpu,cpuacct/docker/ab",
        "/sys/fs/cgroup/systemd/docker/ab",
        "/sys/fs/cgroup/unified",
    ]


@pytest.mark.parametrize(
    ("label", "order"),
    [
        ("docker-default (enforce)\n", b"exec docker-default"),
        ("my profile (complain)", b"exec my profile"),
        ("system_u:system_r:container_t:s0:c1,c2\0", b"system_u:system_r:container_t:s0:c1,c2"),
        ("unconfined\n", None),
        ("kernel", None),
        ("", None),
    ],
)
def test_a_shell_wears_the_profile_of_its_container(label: str, order: bytes | None) -> None:
    assert profile_order(label) == order


def test_nobody_goes_in_by_the_processes_of_another_host(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("1234567")

    with pytest.raises(ActionFailed, match="not in topcon's own pid namespace"):
        enter(str(tmp_path), process_of("web"), SHELLS, Size(80, 24), ())


def test_only_root_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)

    with pytest.raises(ActionFailed, match="sudo"):
        enter("/proc", process_of("web"), SHELLS, Size(80, 24), ())


def test_who_is_sent_in_tells_why_it_went_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    # Another process than that which was seen has our pid: its start is another.
    process = process_of("web", pid=os.getpid(), start_ticks=1)

    with pytest.raises(ActionFailed, match="it has ended since you looked"):
        enter("/proc", process, SHELLS, Size(80, 24), ())
