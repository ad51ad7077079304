"""Finding cgroups: once by a walk, then by what the kernel tells, with a walk as the net."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import SECOND_NS

from topcon.kernel import discovery
from topcon.kernel.discovery import WALK_S, CgroupTree
from topcon.kernel.files import Access
from topcon.kernel.inotify import IGNORED, OVERFLOW, Event, Inotify

if TYPE_CHECKING:
    from collections.abc import Iterator


class Finding:
    """A tree of directories, looked at ten times a second."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots
        self.tree = CgroupTree([str(root) for root in roots], Access())
        self.now_ns = 0

    def find(self) -> dict[str, int]:
        self.now_ns += SECOND_NS // 10
        return dict(self.tree.find(self.now_ns))

    def object(self) -> object:
        self.now_ns += SECOND_NS // 10
        return self.tree.find(self.now_ns)

    def truth(self) -> dict[str, int]:
        """What there is: path to inode."""
        found: dict[str, int] = {}
        for root in reversed(self.roots):
            for directory, _, _ in os.walk(root):
                found["/" + os.path.relpath(directory, root).removeprefix(".")] = Path(directory).stat().st_ino
        return found

    def watches(self) -> int:
        """How many the kernel has for us."""
        count = 0
        for entry in Path("/proc/self/fdinfo").iterdir():
            try:
                count += entry.read_text().count("inotify wd:")
            except OSError:
                continue
        return count


@pytest.fixture
def finding(tmp_path: Path) -> Iterator[Finding]:
    root = tmp_path / "cgroup"
    for path in ("docker/one", "docker/two", "system.slice/cron.service"):
        (root / path).mkdir(parents=True)
    finding = Finding(root)
    yield finding
    finding.tree.close()


@pytest.fixture
def settled(finding: Finding) -> Finding:
    finding.find()
    finding.find()
    return finding


def test_what_is_there_is_found_at_once_and_watched_from_the_second_look_on(finding: Finding) -> None:
    before = finding.watches()

    assert finding.find() == finding.truth()
    assert finding.watches() == before
    assert finding.find() == finding.truth()
    assert finding.watches() == before + len(finding.truth())


def test_while_nothing_comes_or_goes_nothing_is_looked_at(settled: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settled.object()
    monkeypatch.setattr(os, "stat", pytest.fail)
    monkeypatch.setattr(os, "scandir", pytest.fail)

    assert all(settled.object() is before for _ in range(100))


def test_a_full_look_that_finds_the_same_gives_the_same_object(settled: Finding) -> None:
    before = settled.object()
    settled.now_ns += int(WALK_S * 1e9)

    assert settled.object() is before


def test_what_comes_is_found_with_all_that_is_in_it(settled: Finding) -> None:
    (settled.roots[0] / "docker/three/init.scope/deeper").mkdir(parents=True)

    assert settled.find() == settled.truth()
    (settled.roots[0] / "docker/three/init.scope/deeper/still").mkdir()
    assert settled.find() == settled.truth()


def test_what_goes_is_gone(settled: Finding) -> None:
    watches = settled.watches()
    shutil.rmtree(settled.roots[0] / "docker")

    assert settled.find() == settled.truth()
    assert settled.watches() == watches - 3


def test_another_under_an_old_path_has_its_own_inode(settled: Finding) -> None:
    path = settled.roots[0] / "docker/one"
    path.rename(settled.roots[0] / "docker/moved")
    path.mkdir()

    assert settled.find() == settled.truth()


def test_one_that_came_and_went_unseen_was_never_there(settled: Finding) -> None:
    before = settled.object()
    (settled.roots[0] / "docker/short").mkdir()
    (settled.roots[0] / "docker/short").rmdir()

    assert settled.object() is before


def test_files_are_no_cgroups(settled: Finding) -> None:
    before = settled.object()
    (settled.roots[0] / "docker/cpu.stat").write_text("")

    assert settled.object() is before


def test_of_two_hierarchies_each_is_watched(tmp_path: Path) -> None:
    for path in ("v2/docker/one", "memory/docker/one", "memory/docker/old"):
        (tmp_path / path).mkdir(parents=True)
    finding = Finding(tmp_path / "v2", tmp_path / "memory")
    finding.find()
    finding.find()
    (tmp_path / "memory/docker/new").mkdir()
    (tmp_path / "v2/docker/one").rmdir()

    assert finding.find() == finding.truth()
    assert "/docker/one" in finding.truth()
    finding.tree.close()


def test_whatever_happens_it_is_followed(settled: Finding) -> None:
    """Two hundred changes at random, of which some are seen together."""
    choose = random.Random(5)
    root = settled.roots[0]
    for _ in range(200):
        directories = [path for path in root.rglob("*") if path.is_dir()]
        match choose.randrange(4):
            case 0 if directories:
                shutil.rmtree(choose.choice(directories))
            case 1 if directories:
                choose.choice(directories).rename(root / f"moved-{choose.random()}")
            case _:
                (choose.choice([root, *directories]) / f"new-{choose.random()}/below").mkdir(parents=True)
        if choose.random() < 0.5:
            assert settled.find() == settled.truth()


def test_two_thousand_that_came_and_went_leave_no_watch_behind(settled: Finding) -> None:
    watches = settled.watches()
    for index in range(2000):
        path = settled.roots[0] / f"docker/{index}"
        path.mkdir()
        if index % 3 == 0:
            settled.find()
        path.rmdir()
        if index % 5 == 0:
            settled.find()
    settled.find()

    assert settled.watches() == watches


@pytest.mark.parametrize("mask", [OVERFLOW, IGNORED])
def test_after_a_loss_all_is_looked_at(settled: Finding, monkeypatch: pytest.MonkeyPatch, mask: int) -> None:
    hierarchy = settled.tree._hierarchies[0]
    watch = next(iter(hierarchy._watched))
    monkeypatch.setattr(Inotify, "read", lambda _: [Event(watch, mask, "")])
    (settled.roots[0] / "docker/unseen").mkdir()

    assert settled.find() == settled.truth()


def test_what_was_not_told_is_found_after_a_while(settled: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inotify, "read", lambda _: [])
    (settled.roots[0] / "docker/unseen").mkdir()
    assert settled.find() != settled.truth()
    settled.now_ns += int(WALK_S * 1e9)

    assert settled.find() == settled.truth()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_with_too_many_watches_all_is_walked_through_each_time(
    finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finding.watches()
    monkeypatch.setattr(Inotify, "add", full)
    for name in ("three", "four", "five"):
        assert finding.find() == finding.truth()
        (finding.roots[0] / f"docker/{name}").mkdir()

    assert finding.find() == finding.truth()
    assert finding.watches() == before


def test_watches_that_run_out_later_are_given_up(settled: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inotify, "add", full)
    (settled.roots[0] / "docker/three").mkdir()

    assert settled.find() == settled.truth()
    (settled.roots[0] / "docker/four").mkdir()
    assert settled.find() == settled.truth()


def test_with_too_many_instances_all_is_walked_through_each_time(
    finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "Inotify", full)
    for name in ("three", "four"):
        assert finding.find() == finding.truth()
        (finding.roots[0] / f"docker/{name}").mkdir()

    assert finding.find() == finding.truth()


def test_a_hierarchy_that_is_not_there_has_none(tmp_path: Path) -> None:
    finding = Finding(tmp_path / "none")

    assert [finding.find() for _ in range(3)] == [{}, {}, {}]
    finding.tree.close()


def test_closing_gives_all_watches_back(settled: Finding) -> None:
    before = settled.watches()
    settled.tree.close()

    assert settled.watches() == before - len(settled.truth())
