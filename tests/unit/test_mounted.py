"""The files of one container: here of the tests' own process, of which the kernel says the same to all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from samples import node_of, process_of

from topcon.kernel import mounted as module
from topcon.kernel.mounted import FilesReader
from topcon.model.disk import DiskUse
from topcon.model.files import MountKind
from topcon.model.sample import Problem, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.kernel.usage import DiskWalker
    from topcon.model.files import FilesSeen
    from topcon.model.snapshot import ContainerNode

OWN = node_of("own", process=process_of("own", pid=os.getpid()))
USE = DiskUse(rounds=7)


class Walker:
    """Is asked, and knows something."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], str | None]] = []

    def look(self, nodes: Iterable[ContainerNode], alone: str | None = None) -> DiskUse:
        self.asked.append(([node.key for node in nodes], alone))
        return USE


@pytest.fixture
def walker() -> Walker:
    return Walker()


def read(walker: Walker, node: ContainerNode = OWN, proc_root: str = "/proc") -> FilesSeen:
    reader: DiskWalker = walker  # type: ignore[assignment]  # as far as it is asked
    return FilesReader(proc_root, (), reader).read(node)


def test_each_mount_is_as_full_as_it_says_itself(walker: Walker) -> None:
    seen = read(walker)
    points = {line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}

    assert len(seen.mounts) + seen.of_kernel == len(points)
    root = next(mount for mount in seen.mounts if mount.point == "/")
    room = os.statvfs("/")
    assert root.size_bytes == room.f_blocks * room.f_frsize
    assert root.inodes == room.f_files
    assert root.used_share is not None
    assert 0 <= root.used_share <= 1


def test_its_processes_are_set_against_their_limits(walker: Walker, tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with path.open("wb") as file:
        file.write(b"x" * 100_000)
        file.flush()
        path.unlink()
        seen = read(walker)

    (process,) = seen.processes
    assert process.pid == os.getpid()
    assert process.descriptors > 3
    assert [each.pid for each in seen.deleted if each.path == str(path)] == [os.getpid()]


def test_the_walker_is_asked_for_this_one_alone(walker: Walker) -> None:
    assert read(walker).disk is USE
    assert walker.asked == [([OWN.key], OWN.key)]


@pytest.mark.parametrize("node", [node_of("done", state=State.EXITED), node_of("gone", process=process_of("gone"))])
def test_one_without_processes_has_what_was_walked(walker: Walker, node: ContainerNode, tmp_path: Path) -> None:
    seen = read(walker, node, str(tmp_path))

    assert (seen.mounts, seen.processes, seen.deleted, seen.problems) == ((), (), (), ())
    assert seen.disk is USE


def test_what_is_not_understood_or_refused_is_said(walker: Walker, tmp_path: Path) -> None:
    node = node_of("web", process=process_of("web", pid=7))
    (tmp_path / "7").mkdir()
    (tmp_path / "7/mountinfo").write_text("nonsense\n")

    (problem,) = read(walker, node, str(tmp_path)).problems

    assert "nonsense" in problem.message


def test_what_is_refused_has_its_remedy(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "refused", path, flags)

    monkeypatch.setattr(module.os, "open", refuse)

    assert (
        Problem("files", f"permission denied at /proc/{os.getpid()}/mountinfo", "sudo topcon") in read(walker).problems
    )


def test_networks_are_not_asked(walker: Walker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_of("web", process=process_of("web", pid=7))
    (tmp_path / "7/root/nfs").mkdir(parents=True)
    (tmp_path / "7/mountinfo").write_text("1 0 0:9 / /nfs rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(module.os, "fstatvfs", pytest.fail)

    (mount,) = read(walker, node, str(tmp_path)).mounts

    assert (mount.kind, mount.size_bytes) == (MountKind.NETWORK, None)
