"""The first process of a container is looked for when something has changed, and among what is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples import cgroup_of

from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.firsts import FirstProcesses
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.process import ProcFs
from topcon.model.sample import CgroupPath, CgroupSample, ContainerId, FoundContainer, PidsStat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes import FakeHost

WEB = CgroupPath("/docker/web")
BOOT_NS = 10**18


class Looking:
    """Asks for the first processes of a host, and notes which cgroups' lists of processes are read."""

    def __init__(self, host: FakeHost) -> None:
        cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access())
        self.looked: list[CgroupPath] = []

        def pids_of(path: CgroupPath) -> list[int]:
            self.looked.append(path)
            return cgroups.processes(path)

        self._firsts = FirstProcesses(ProcFs(host.proc_root, Access()), pids_of)

    def at(
        self, inodes: Mapping[CgroupPath, int], cgroups: Mapping[CgroupPath, CgroupSample], *containers: CgroupPath
    ) -> dict[CgroupPath, int]:
        """Return the pids, by cgroup."""
        self.looked.clear()
        found = {path: FoundContainer(path, "docker", ContainerId(path), None) for path in containers or (WEB,)}
        processes, malformed = self._firsts.find(found, inodes, cgroups, BOOT_NS)
        assert malformed is None
        return {path: process.pid for path, process in processes.items()}


@pytest.fixture
def looking(host: FakeHost) -> Looking:
    host.container(WEB, 100)
    return Looking(host)


def test_while_nothing_changes_nothing_is_read(looking: Looking) -> None:
    inodes, cgroups = {WEB: 7}, {WEB: cgroup_of(WEB)}

    assert looking.at(inodes, cgroups) == {WEB: 100}
    assert looking.looked == [WEB]
    assert looking.at(inodes, cgroups) == {WEB: 100}
    assert looking.at(inodes, {WEB: cgroups[WEB]}) == {WEB: 100}
    assert looking.looked == []


def test_a_process_that_has_ended_gives_way_to_the_next(looking: Looking, host: FakeHost) -> None:
    inodes = {WEB: 7}
    looking.at(inodes, {WEB: cgroup_of(WEB)})
    (host.root / "proc/100/stat").unlink()
    host.process(101)
    host.write(f"sys/fs/cgroup{WEB}/cgroup.procs", "101\n")

    assert looking.at(inodes, {WEB: cgroup_of(WEB)._replace(pids=PidsStat(2, None))}) == {WEB: 101}


def test_a_cgroup_without_a_process_is_looked_at_again_when_it_has_changed(looking: Looking, host: FakeHost) -> None:
    host.write(f"sys/fs/cgroup{WEB}/cgroup.procs", "")
    inodes, empty = {WEB: 7}, {WEB: cgroup_of(WEB, pids=0)}

    assert looking.at(inodes, empty) == {}
    host.write(f"sys/fs/cgroup{WEB}/cgroup.procs", "100\n")
    assert looking.at(inodes, empty) == {}
    assert looking.at(inodes, {WEB: cgroup_of(WEB, pids=1)}) == {WEB: 100}


def test_another_cgroup_under_the_path_is_looked_at_anew(looking: Looking, host: FakeHost) -> None:
    cgroup = cgroup_of(WEB)
    looking.at({WEB: 7}, {WEB: cgroup})
    host.process(102)
    host.write(f"sys/fs/cgroup{WEB}/cgroup.procs", "102\n")

    assert looking.at({WEB: 8}, {WEB: cgroup}) == {WEB: 102}


def test_a_cgroup_that_is_not_read_any_more_has_none(looking: Looking) -> None:
    looking.at({WEB: 7}, {WEB: cgroup_of(WEB)})

    assert looking.at({WEB: 7}, {}) == {}


def test_what_is_below_a_container_is_its_own_but_for_containers_nested_in_it(host: FakeHost) -> None:
    names = ("nested", "nested/inner", "nested-not", "own", "own/deeper")
    nested, beside = CgroupPath(f"{WEB}/nested"), CgroupPath(f"{WEB}er")
    paths = [WEB, beside, *(CgroupPath(f"{WEB}/{name}") for name in names)]
    for path in paths:
        host.cgroup(path, {"cgroup.procs": ""})
    looking = Looking(host)

    looking.at(dict.fromkeys(paths, 7), {WEB: cgroup_of(WEB)}, WEB, nested)

    assert looking.looked == [WEB, f"{WEB}/nested-not", f"{WEB}/own", f"{WEB}/own/deeper"]


def test_a_process_that_is_not_understood_is_told_and_looked_for_again(looking: Looking, host: FakeHost) -> None:
    text = (host.root / "proc/100/stat").read_text()
    host.write("proc/100/stat", "nothing that a kernel writes\n")
    inodes, cgroups = {WEB: 7}, {WEB: cgroup_of(WEB)}
    found = {WEB: FoundContainer(WEB, "docker", ContainerId(WEB), None)}

    processes, malformed = looking._firsts.find(found, inodes, cgroups, BOOT_NS)
    assert not processes
    assert malformed is not None
    host.write("proc/100/stat", text)

    assert looking.at(inodes, cgroups) == {WEB: 100}
