"""What processes hold open: the tests' own process tells it of itself."""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING

import pytest
from samples import cgroup_of, node_of, process_of

from topcon.kernel import openfiles as module
from topcon.kernel.files import Access
from topcon.kernel.openfiles import last_name, pids_of, read_descriptors, read_open_files
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
OWN = os.getpid()


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("/var/log/x (deleted)", "/var/log/x"),
        ("/var/log/x", None),
        ("/memfd:doublemapper (deleted)", None),
        ("/SYSV00000000 (deleted)", None),
        ("/dev/zero (deleted)", None),
        ("socket:[123]", None),
        ("pipe:[1] (deleted)", None),
        ("", None),
        ("/odd (deleted) (deleted)", "/odd (deleted)"),
    ],
)
def test_names_of_deleted_files(link: str, name: str | None) -> None:
    assert last_name(link) == name


def test_a_deleted_file_is_found_with_what_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with path.open("wb") as file:
        file.write(b"x" * 300_000)
        file.flush()
        os.fsync(file.fileno())
        status = path.stat()
        path.unlink()

        found = read_descriptors("/proc", OWN, Access())

    assert found is not None
    (nameless,) = [each for each in found.nameless if each.path == str(path)]
    assert nameless.used_bytes == status.st_blocks * 512
    assert (nameless.inode, os.makedev(*nameless.device)) == (status.st_ino, status.st_dev)


def test_a_file_that_only_is_called_so_or_has_another_name_is_not_deleted(tmp_path: Path) -> None:
    named, linked = tmp_path / "x (deleted)", tmp_path / "linked"
    linked.write_bytes(b"x")
    other = tmp_path / "other"
    other.hardlink_to(linked)
    with named.open("wb"), linked.open("rb"):
        linked.unlink()

        found = read_descriptors("/proc", OWN, Access())

    assert found is not None
    assert [each.path for each in found.nameless if str(tmp_path) in each.path] == []


def test_descriptors_are_counted_against_their_limit(tmp_path: Path) -> None:
    before = read_descriptors("/proc", OWN, Access())
    with (tmp_path / "a").open("wb"), (tmp_path / "b").open("wb"):
        after = read_descriptors("/proc", OWN, Access())
    assert before is not None
    assert after is not None
    assert after.held == before.held + 2

    opened = read_open_files("/proc", OWN, after.held, Access())
    assert opened is not None
    assert (opened.pid, opened.descriptors) == (OWN, after.held)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert opened.limit == (None if soft == resource.RLIM_INFINITY else soft)
    assert opened.share is None or 0 < opened.share <= 1


def test_of_very_many_no_more_than_so_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DESCRIPTORS", 1)

    found = read_descriptors("/proc", OWN, Access())

    assert found is not None
    assert not found.is_whole
    assert found.held > 1


def test_one_that_has_ended_holds_nothing(tmp_path: Path) -> None:
    assert read_descriptors(str(tmp_path), 1, Access()) is None
    assert read_open_files(str(tmp_path), 1, 0, Access()) is None


def test_processes_of_a_container_are_those_in_its_cgroup_and_below(tmp_path: Path) -> None:
    for cgroup, pids in (("c", "10\n12\n"), ("c/inner/more", "11\n"), ("other", "13\n")):
        (tmp_path / cgroup).mkdir(parents=True)
        (tmp_path / cgroup / "cgroup.procs").write_text(pids)
    node = node_of("web", cgroup=cgroup_of(CgroupPath("/c")))

    assert pids_of((str(tmp_path / "nowhere"), str(tmp_path)), node, Access()) == [10, 11, 12]


def test_without_a_cgroup_it_is_the_first_process() -> None:
    assert pids_of((), node_of("web", process=process_of("web", pid=7)), Access()) == [7]
    assert pids_of((), node_of("web"), Access()) == []
