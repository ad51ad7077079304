"""Which cgroup hierarchies there are, as mountinfo tells it, from the host and from within containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import HYBRID_MOUNTS, V1_MOUNTS, V2_MOUNTS, FakeHost

from topcon.errors import ParseError
from topcon.kernel.mount import Hierarchies, read_hierarchies

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "/sys/fs/cgroup"
ID = "f" * 64


def read(tmp_path: Path, mounts: str, cgroup_root: str = ROOT) -> Hierarchies:
    """Read a mountinfo alone: none of its mounts is there."""
    path = tmp_path / "proc/self/mountinfo"
    path.parent.mkdir(parents=True)
    path.write_text(mounts)
    return read_hierarchies(str(tmp_path / "proc"), cgroup_root)


V1_DIRECTORIES = {name: f"{ROOT}/{name}" for name in ("cpu", "cpuacct", "memory", "blkio", "pids", "freezer")}


@pytest.mark.parametrize(
    ("mounts", "mode", "v2", "v1", "walked"),
    [
        pytest.param(V2_MOUNTS, "v2", ROOT, {}, (ROOT,), id="version 2"),
        pytest.param(
            HYBRID_MOUNTS,
            "hybrid",
            f"{ROOT}/unified",
            V1_DIRECTORIES,
            (f"{ROOT}/unified", f"{ROOT}/memory"),
            id="both",
        ),
        pytest.param(V1_MOUNTS, "v1", None, V1_DIRECTORIES, (f"{ROOT}/memory",), id="version 1"),
        pytest.param("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", None, None, {}, (), id="an empty directory"),
        pytest.param("", None, None, {}, (), id="nothing"),
    ],
)
def test_what_the_host_mounts(
    tmp_path: Path, mounts: str, mode: str | None, v2: str | None, v1: dict[str, str], walked: tuple[str, ...]
) -> None:
    hierarchies = read(tmp_path, mounts)

    assert hierarchies.mode == mode
    assert hierarchies.v2 == v2
    assert hierarchies.v1 == v1
    assert hierarchies.walked == walked
    assert not hierarchies.is_partial


def test_a_host_without_mountinfo_has_no_cgroups(tmp_path: Path) -> None:
    assert read_hierarchies(str(tmp_path), ROOT).mode is None


def test_a_malformed_mountinfo_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"proc/self/mountinfo: cannot understand 'cgroup2'"):
        read(tmp_path, f"{V2_MOUNTS}cgroup2\n")


def test_controllers_mounted_together_share_a_directory(tmp_path: Path) -> None:
    mounts = f"32 31 0:29 / {ROOT}/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"

    assert read(tmp_path, mounts).v1 == dict.fromkeys(("cpu", "cpuacct"), f"{ROOT}/cpu,cpuacct")


def test_systemds_own_hierarchy_and_controllers_topcon_does_not_read_are_left_out(tmp_path: Path) -> None:
    mounts = f"""\
25 31 0:22 / {ROOT}/unified rw - cgroup2 cgroup2 rw,nsdelegate
34 31 0:31 / {ROOT}/cpuset rw - cgroup cgroup rw,cpuset
40 31 0:37 / {ROOT}/systemd rw - cgroup cgroup rw,xattr,name=systemd
"""
    hierarchies = read(tmp_path, mounts)

    assert hierarchies.v1 == {}
    assert hierarchies.mode == "v2"


@pytest.mark.parametrize(
    ("mounted", "walked"),
    [
        (("blkio", "cpu", "cpuacct", "pids", "memory", "freezer"), "memory"),
        (("freezer", "cpu", "cpuacct", "pids", "blkio"), "pids"),
        (("freezer", "blkio", "cpu", "cpuacct"), "cpuacct"),
        (("blkio", "cpu"), "cpu"),
        (("freezer", "blkio"), "blkio"),
    ],
)
def test_of_version_1_one_hierarchy_is_walked(tmp_path: Path, mounted: tuple[str, ...], walked: str) -> None:
    mounts = "".join(f"32 31 0:29 / {ROOT}/{name} rw - cgroup cgroup rw,{name}\n" for name in mounted)

    assert read(tmp_path, mounts).walked == (f"{ROOT}/{walked}",)


def test_of_two_mounts_of_a_hierarchy_the_first_is_read(tmp_path: Path) -> None:
    mounts = f"""\
25 31 0:22 / {ROOT} rw - cgroup2 cgroup2 rw
26 31 0:22 / {ROOT}/again rw - cgroup2 cgroup2 rw
32 31 0:29 / {ROOT}/one rw - cgroup cgroup rw,memory
33 31 0:29 / {ROOT}/two rw - cgroup cgroup rw,memory
"""
    hierarchies = read(tmp_path, mounts)

    assert (hierarchies.v2, hierarchies.v1) == (ROOT, {"memory": f"{ROOT}/one"})


def test_a_mount_elsewhere_is_found_if_nobody_said_where(tmp_path: Path) -> None:
    mounts = "25 31 0:22 / /mnt/cgroup2 rw - cgroup2 none rw\n"

    assert read(tmp_path, mounts).v2 == "/mnt/cgroup2"


def test_a_mount_elsewhere_is_not_taken_if_somebody_said_where(tmp_path: Path) -> None:
    mounts = "25 31 0:22 / /mnt/cgroup2 rw - cgroup2 none rw\n"

    assert read(tmp_path, mounts, "/mnt/cgroup").mode is None


# From within a container.


OWN_PART = f"700 690 0:22 /docker/{ID} /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n"
HOSTS = "710 690 0:22 / /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize("mounts", [OWN_PART + HOSTS, HOSTS + OWN_PART])
def test_the_hosts_mount_is_taken_as_it_stands(tmp_path: Path, mounts: str) -> None:
    hierarchies = read(tmp_path, mounts, "/host/sys/fs/cgroup")

    assert hierarchies.v2 == "/host/sys/fs/cgroup"
    assert not hierarchies.is_partial


@pytest.mark.parametrize(
    ("mounts", "v2", "memory"),
    [
        pytest.param(V2_MOUNTS, "/host/cgroup", None, id="version 2"),
        pytest.param(HYBRID_MOUNTS, "/host/cgroup/unified", "/host/cgroup/memory", id="both"),
    ],
)
def test_the_hosts_own_mountinfo_is_read_at_the_root_that_was_given(
    tmp_path: Path, mounts: str, v2: str, memory: str | None
) -> None:
    hierarchies = read(tmp_path, mounts, "/host/cgroup")

    assert hierarchies.v2 == v2
    assert hierarchies.v1.get("memory") == memory


def test_what_only_begins_with_the_same_letters_is_not_below(tmp_path: Path) -> None:
    mounts = "25 31 0:22 / /sys/fs/cgroup2 rw - cgroup2 none rw\n32 31 0:29 / /sys/fs/cgroup rw - cgroup none rw,pids\n"
    hierarchies = read(tmp_path, mounts)

    assert hierarchies.v2 is None
    assert hierarchies.v1 == {"pids": ROOT}


@pytest.mark.parametrize("cgroup_root", ["/sys/fs/cgroup/", "/", "/sys"])
def test_a_root_may_be_above_the_mounts_or_end_in_a_slash(tmp_path: Path, cgroup_root: str) -> None:
    v2 = read(tmp_path, V2_MOUNTS, cgroup_root).v2

    assert v2 is not None
    assert v2.rstrip("/") == ROOT


@pytest.mark.parametrize(
    "mounts",
    [
        pytest.param(OWN_PART, id="a subtree of version 2"),
        pytest.param(f"700 690 0:22 /../.. {ROOT} ro - cgroup2 cgroup rw\n", id="from another namespace"),
        pytest.param(
            V2_MOUNTS.replace(ROOT, f"{ROOT}/unified")
            + f"35 31 0:32 /docker/{ID} {ROOT}/memory ro - cgroup cgroup rw,memory\n",
            id="a subtree of version 1",
        ),
    ],
)
def test_a_subtree_is_only_a_part(tmp_path: Path, mounts: str) -> None:
    assert read(tmp_path, mounts).is_partial


def test_a_subtree_that_is_not_read_does_not_count(tmp_path: Path) -> None:
    assert not read(tmp_path, HOSTS + OWN_PART, "/host").is_partial


def test_a_cgroup_namespace_of_ones_own_is_only_a_part(host: FakeHost) -> None:
    # There the kernel calls the subtree's top "/", but only a cgroup below the real root has these files.
    host.cgroup("/", {"cgroup.type": "domain\n", "cgroup.events": "populated 1\nfrozen 0\n"})

    assert read_hierarchies(host.proc_root, host.cgroup_root).is_partial


@pytest.mark.parametrize("mounts", [V2_MOUNTS, HYBRID_MOUNTS, V1_MOUNTS], ids=["version 2", "both", "version 1"])
def test_the_hierarchies_of_a_fixture_are_its_directories(tmp_path: Path, mounts: str) -> None:
    host = FakeHost(tmp_path / "host", mounts)
    hierarchies = read_hierarchies(host.proc_root, host.cgroup_root)

    assert hierarchies.walked
    assert all(directory.startswith(host.cgroup_root) for directory in (*hierarchies.walked, *hierarchies.v1.values()))
    assert not hierarchies.is_partial
