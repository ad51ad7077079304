"""Who keeps which descriptor where there are too few for all files of all cgroups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.mount import read_hierarchies
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from fakes import FakeHost

HOT = {"cpu.stat": "usage_usec 900\nuser_usec 600\nsystem_usec 300\n", "memory.current": "1000\n"}
WARM = {"memory.peak": "2000\n", "memory.swap.current": "0\n", "pids.current": "2\n", "cgroup.events": "populated 1\n"}
COLD = {"memory.max": "max\n", "pids.max": "max\n"}
FILES = HOT | WARM | COLD
WEB, DB = CgroupPath("/web"), CgroupPath("/db")
FILES_OF_VERSION_2 = 17
"""How many files of a cgroup are read, whether they are there or not."""


class Held:
    """What is kept open of the cgroups of a host."""

    def __init__(self, host: FakeHost, budget: int) -> None:
        for path in (WEB, DB):
            host.cgroup(path, FILES)
        self.access = Access(budget)
        hierarchies = read_hierarchies(host.proc_root, host.cgroup_root)
        self.cgroups = CgroupFs(hierarchies, self.access, sys_root=host.sys_root, refresh_s=0.0)
        self._root = host.cgroup_root

    def of(self, path: CgroupPath) -> list[str]:
        """Names of files, and a dot for the directory."""
        directory = Path(self._root + path)
        links = [Path(os.path.realpath(fd)) for fd in Path("/proc/self/fd").iterdir()]
        return sorted("." if link == directory else link.name for link in links if directory in {link, link.parent})

    def read(self, *paths: CgroupPath) -> None:
        samples, _ = self.cgroups.read(dict.fromkeys(paths, 7), 0)
        for path in paths:
            memory = samples[path].memory
            assert memory is not None
            assert (memory.current, memory.peak) == (1000, 2000)


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (0, []),
        (1, ["cpu.stat"]),
        (2, ["cpu.stat", "memory.current"]),
        (3, [".", "cpu.stat", "memory.current"]),
        (FILES_OF_VERSION_2, sorted(FILES)),
        (1000, sorted(FILES)),
    ],
)
def test_hot_files_come_first_then_the_directory_then_the_other_files(
    host: FakeHost, budget: int, kept: list[str]
) -> None:
    held = Held(host, budget)

    for _ in range(2):
        held.read(WEB)

    assert held.of(WEB) == kept
    assert held.access.left == budget - len(kept)


def test_a_directory_is_not_kept_for_one_file(host: FakeHost) -> None:
    held = Held(host, FILES_OF_VERSION_2 - 1)
    held.read(WEB)
    assert "." not in held.of(WEB)

    held = Held(host, FILES_OF_VERSION_2 - 2)
    held.read(WEB)
    assert "." in held.of(WEB)


def test_shares_shrink_and_grow_with_the_number_of_cgroups(host: FakeHost) -> None:
    held = Held(host, FILES_OF_VERSION_2)
    held.read(WEB)
    assert held.of(WEB) == sorted(FILES)

    held.read(WEB, DB)
    for path in (WEB, DB):
        assert set(held.of(path)) >= {".", *HOT}
        assert len(held.of(path)) <= FILES_OF_VERSION_2 // 2
    assert held.access.left == FILES_OF_VERSION_2 - len([*held.of(WEB), *held.of(DB)]) >= 0

    held.read(WEB)
    assert held.of(DB) == []
    assert held.of(WEB) == sorted(FILES)

    held.cgroups.close()
    assert held.of(WEB) == []
    assert held.access.left == FILES_OF_VERSION_2


def test_nothing_is_opened_again_while_there_are_descriptors_for_all(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(host, 1000)
    held.read(WEB)
    present = set(FILES)
    really_open = os.open
    again = []

    def noted(path: str, *arguments: int, **options: int) -> int:
        again.append(path)
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", noted)
    for _ in range(3):
        held.read(WEB)

    assert [path for path in again if Path(path).name in present] == []
