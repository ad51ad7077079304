"""The tasks of cgroups: counted by state, their time remembered when they end."""

from __future__ import annotations

import errno
import math
import os
import resource
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel import tasks as module
from topcon.kernel.process import parse_stat
from topcon.kernel.target import Target
from topcon.kernel.tasks import (
    MOST_DESCRIPTORS,
    PIECE,
    TaskCounts,
    parse_open_files_limit,
    parse_schedstat,
)
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.sample import TaskStat

WEB, INNER, ROOT = CgroupPath("/docker/web"), CgroupPath("/docker/web/init"), CgroupPath("/")
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             31000                31000                processes
Max open files            {soft:<20} 1048576              files
"""


@dataclass
class Proc:
    """A ``/proc`` of files, and the cgroups that its processes are in."""

    root: Path
    pids: dict[str, list[int]] = field(default_factory=dict)
    breaths: int = 0

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def task(
        self,
        pid: int,
        tid: int | None = None,
        *,
        state: str = "S",
        threads: int = 1,
        ppid: int = 1,
        start: int = 100,
        ran: tuple[int, int, int] | None = (0, 0, 0),
        cgroup: str | None = None,
    ) -> None:
        """Write a process, or with ``tid`` one of its threads; with ``cgroup`` as what the process itself says."""
        fields = ["0"] * 49
        fields[0], fields[1], fields[17], fields[19] = state, str(ppid), str(threads), str(start)
        directory = str(pid) if tid is None else f"{pid}/task/{tid}"
        self.write(f"{directory}/stat", f"{tid or pid} (a (b) c) {' '.join(fields)}\n")
        if ran:
            self.write(f"{directory}/schedstat", " ".join(map(str, ran)) + "\n")
        if cgroup:
            self.write(f"{pid}/cgroup", f"0::{cgroup}\n")

    def opens(self, pid: int, *targets: str) -> None:
        directory = self.root / f"{pid}/fd"
        directory.mkdir(parents=True)
        for number, target in enumerate(targets):
            (directory / str(number)).symlink_to(target)

    def counts(self) -> TaskCounts:
        return TaskCounts(str(self.root), lambda path: self.pids.get(path, []), self._breathe)

    def _breathe(self) -> None:
        self.breaths += 1


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


def target(path: CgroupPath = WEB, *inside: CgroupPath, pid: int | None = None) -> Target:
    return Target(path, (path, *inside), pid)


def read(counts: TaskCounts, *targets: Target, now_s: float = 0.0) -> dict[CgroupPath, TaskStat]:
    stats, malformed = counts.read(targets or (target(),), now_s)
    assert malformed == []
    return stats


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"42 (sh) R 7 " + b"0 " * 15 + b"3 0 555 0\n", ("R", 7, 3, 555)),
        (b"42 (a) S (b) D 1) Z 7 " + b"0 " * 15 + b"1 0 9\n", ("Z", 7, 1, 9)),
    ],
)
def test_a_task_is_parsed_whatever_its_name(raw: bytes, expected: tuple[object, ...]) -> None:
    assert parse_stat(raw, "stat")[1:] == expected


@pytest.mark.parametrize("parse", [parse_stat, parse_schedstat, parse_open_files_limit])
@given(
    raw=st.binary()
    | st.binary().map(lambda raw: b"1 (x) " + raw)
    | st.binary().map(lambda raw: b"Max open files " + raw)
)
def test_any_bytes_parse_or_raise_a_parse_error(parse: Callable[[bytes, str], object], raw: bytes) -> None:
    with suppress(ParseError):
        parse(raw, "file")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (LIMITS.format(soft=1024).encode(), 1024),
        (LIMITS.format(soft="unlimited").encode(), None),
        (b"Limit  Soft Limit\n", None),
        (b"Max open files   \n", None),
    ],
)
def test_the_soft_limit_of_open_files_is_read(raw: bytes, expected: int | None) -> None:
    assert parse_open_files_limit(raw, "limits") == expected


def test_threads_are_counted_by_state_and_their_time_is_added_up(proc: Proc) -> None:
    proc.pids = {WEB: [10, 20]}
    proc.task(10, state="S", ran=(2_000_000_000, 500_000_000, 7))
    proc.task(20, threads=2, ran=None)
    proc.task(20, 20, state="R", ran=(1_000_000_000, 0, 1))
    proc.task(20, 21, state="D", ran=(500_000_000, 0, 2))

    stat = read(proc.counts())[WEB]

    assert (stat.processes, stat.states, stat.zombies) == (2, {"S": 1, "R": 1, "D": 1}, 0)
    assert (stat.run_s, stat.run_delay_s, stat.run_periods) == (3.5, 0.5, 10)


def test_what_ended_threads_had_stays_counted(proc: Proc) -> None:
    proc.pids = {WEB: [10, 20]}
    proc.task(10, ran=(1_000_000_000, 0, 1))
    proc.task(20, ran=(2_000_000_000, 0, 1))
    counts = proc.counts()
    read(counts)
    proc.pids = {WEB: [10]}
    read(counts)
    proc.task(10, ran=(1_500_000_000, 0, 2))

    assert read(counts)[WEB].run_s == 3.5


def test_a_thread_that_comes_back_under_an_id_is_another(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10, ran=(1_000_000_000, 0, 1), start=100)
    counts = proc.counts()
    read(counts)
    proc.task(10, ran=(250_000_000, 0, 1), start=200)

    assert read(counts)[WEB].run_s == 1.25


def test_a_cgroup_that_is_gone_is_forgotten(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10, ran=(1_000_000_000, 0, 1))
    counts = proc.counts()
    read(counts)
    assert read(counts, target(ROOT))[ROOT].run_s == 0.0
    proc.task(10, ran=(2_000_000, 0, 1), start=300)

    assert read(counts)[WEB].run_s == 0.002


def test_without_schedstats_the_time_is_unknown(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10, ran=None)

    stat = read(proc.counts())[WEB]

    assert (stat.run_s, stat.run_delay_s, stat.run_periods) == (None, None, None)


def test_what_is_inside_a_container_is_its_own_but_counts_no_processes(proc: Proc) -> None:
    proc.pids = {WEB: [10], INNER: [20]}
    proc.task(10)
    proc.task(20, state="R")

    stat = read(proc.counts(), target(WEB, INNER))[WEB]

    assert (stat.processes, stat.states) == (1, {"S": 1, "R": 1})


def test_what_is_in_another_cgroup_too_is_not_the_roots(proc: Proc) -> None:
    proc.pids = {ROOT: [1, 10], WEB: [10]}
    proc.task(1)
    proc.task(10)

    stats = read(proc.counts(), target(ROOT), target(WEB))

    assert [(stats[path].processes, stats[path].states) for path in (ROOT, WEB)] == [(1, {"S": 1})] * 2


def test_processes_that_end_meanwhile_are_left_out(proc: Proc) -> None:
    proc.pids = {WEB: [10, 11, 12, 99]}
    proc.task(10)
    proc.task(11, threads=2)
    proc.task(12, threads=2)
    (proc.root / "12/task/13").mkdir(parents=True)

    stat = read(proc.counts())[WEB]

    assert (stat.processes, stat.states, stat.open_files) == (4, {"S": 1}, 0)


@pytest.mark.parametrize(
    ("cgroup", "ppid", "expected"),
    [
        (WEB, 1, {WEB: 1, ROOT: 0}),
        (INNER, 1, {WEB: 1, ROOT: 0}),
        ("/", 10, {WEB: 1, ROOT: 0}),
        ("/", 1, {WEB: 0, ROOT: 1}),
        ("/", 999, {WEB: 0, ROOT: 0}),
        (None, 10, {WEB: 1, ROOT: 0}),
    ],
)
def test_a_zombie_that_no_cgroup_lists_is_counted_where_it_was_or_else_with_its_parent(
    proc: Proc, cgroup: str | None, ppid: int, expected: dict[CgroupPath, int]
) -> None:
    proc.pids = {ROOT: [1], WEB: [10]}
    proc.task(1)
    proc.task(10)
    proc.task(66, state="Z", ppid=ppid, cgroup=cgroup)

    stats = read(proc.counts(), target(ROOT), target(WEB, INNER))

    assert {path: stat.zombies for path, stat in stats.items()} == expected
    assert {path: stat.states.get("Z", 0) for path, stat in stats.items()} == expected


def test_a_zombie_that_its_cgroup_lists_is_counted_once(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10, state="Z", cgroup=WEB)

    stat = read(proc.counts())[WEB]

    assert (stat.zombies, stat.states) == (1, {"Z": 1})


def test_neither_an_ended_leader_nor_a_stranger_is_a_zombie(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10, state="Z", threads=2)
    proc.task(10, 10, state="Z")
    proc.task(10, 11, state="S")
    proc.task(20, state="S", ppid=10, cgroup=WEB)
    proc.task(30, state="Z", threads=2, ppid=10, cgroup=WEB)
    (proc.root / "40").mkdir()
    proc.write("uptime", "1 1\n")

    assert read(proc.counts())[WEB].zombies == 0


def test_descriptors_and_sockets_are_counted_over_all_processes(proc: Proc) -> None:
    proc.pids = {WEB: [10, 20]}
    for pid in (10, 20):
        proc.task(pid)
    proc.opens(10, "/dev/null", "socket:[1]", "socket:[2]")
    proc.opens(20, "pipe:[3]", "socket:[4]", "anon_inode:[eventpoll]", "/srv/socket:[5]")

    stat = read(proc.counts())[WEB]

    assert (stat.open_files, stat.sockets) == (7, 3)


def test_what_many_descriptors_are_is_not_looked_at(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.pids = {WEB: [10, 20]}
    for pid in (10, 20):
        proc.task(pid)
    proc.opens(20, "socket:[1]")
    real = os.listdir
    many = [str(number) for number in range(MOST_DESCRIPTORS + 1)]
    monkeypatch.setattr(module.os, "listdir", lambda path: many if str(path).endswith("/10/fd") else real(path))

    stat = read(proc.counts())[WEB]

    assert (stat.open_files, stat.sockets) == (MOST_DESCRIPTORS + 2, None)


def test_a_descriptor_that_is_closed_meanwhile_is_no_socket(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10)
    monkeypatch.setattr(module.os, "listdir", lambda path: ["3"] if str(path).endswith("/10/fd") else ["10"])

    assert read(proc.counts())[WEB].sockets == 0


def test_where_descriptors_are_refused_none_are_told_and_the_rest_stays(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.pids = {WEB: [10, 20]}
    for pid in (10, 20):
        proc.task(pid)
        proc.opens(pid, "socket:[1]")
    real, asked = os.listdir, []

    def refusing(path: str) -> list[str]:
        asked.append(path)
        if path.endswith("/fd"):
            raise PermissionError(errno.EACCES, "refused", path)
        return real(path)

    monkeypatch.setattr(module.os, "listdir", refusing)

    stat = read(proc.counts())[WEB]

    assert (stat.open_files, stat.sockets, stat.states) == (None, None, {"S": 2})
    assert len([path for path in asked if path.endswith("/fd")]) == 1


@pytest.mark.parametrize(("pid", "expected"), [(20, 2000), (None, 1000)])
def test_the_limit_is_that_of_the_first_process(proc: Proc, pid: int | None, expected: int) -> None:
    proc.pids = {WEB: [10, 20]}
    for each in (10, 20):
        proc.task(each)
        proc.write(f"{each}/limits", LIMITS.format(soft=each * 100))

    assert read(proc.counts(), target(pid=pid))[WEB].open_files_limit == expected


def test_threads_that_run_or_wait_for_a_disk_are_smoothed(proc: Proc) -> None:
    proc.pids = {WEB: [10, 20]}
    proc.task(10, state="R")
    proc.task(20, state="D")
    counts = proc.counts()
    first = read(counts, now_s=100.0)[WEB]
    proc.task(10, state="S")
    proc.task(20, state="R")
    second = read(counts, now_s=110.0)[WEB]

    assert (first.runnable, first.uninterruptible) == (1.0, 1.0)
    assert second.runnable == pytest.approx(1.0)
    assert second.uninterruptible == pytest.approx(math.exp(-1))
    assert read(counts, now_s=1e6)[WEB].uninterruptible == pytest.approx(0.0)


@pytest.mark.parametrize("file", ["stat", "schedstat", "limits"])
def test_what_is_not_understood_costs_its_own_cgroup_alone(proc: Proc, file: str) -> None:
    proc.pids = {WEB: [10], ROOT: [20]}
    proc.task(10)
    proc.task(20)
    proc.write(f"10/{file}", "Max open files what\n")

    stats, malformed = proc.counts().read([target(WEB), target(ROOT)], 0.0)

    assert list(stats) == [ROOT]
    assert [error.path for error in malformed] == [str(proc.root / f"10/{file}")]


def test_a_zombie_that_is_not_understood_costs_no_cgroup(proc: Proc) -> None:
    proc.pids = {WEB: [10]}
    proc.task(10)
    proc.task(66, state="Z", ppid=10)
    proc.write("66/cgroup", "what\n")

    stats, malformed = proc.counts().read([target()], 0.0)

    assert [*stats] == [WEB]
    assert len(malformed) == 1


def test_what_has_no_cgroup_has_no_tasks(proc: Proc) -> None:
    assert read(proc.counts(), Target(WEB, (), 10)) == {}


def test_others_are_let_have_their_turn(proc: Proc) -> None:
    pids = range(100, 100 + 2 * PIECE)
    proc.pids = {WEB: [*pids]}
    for pid in pids:
        proc.task(pid, ran=None)

    read(proc.counts())

    assert proc.breaths == 2


# This very process.


def _ran_ns() -> int:
    """Sum up what the living threads of this process ran."""
    files = Path("/proc/self/task").glob("*/schedstat")
    return sum(parse_schedstat(file.read_bytes(), "schedstat")[0] for file in files)


@pytest.fixture
def myself() -> TaskCounts:
    return TaskCounts("/proc", lambda _: [os.getpid()], lambda: None)


def test_this_process_ran_as_long_as_the_kernel_says(myself: TaskCounts) -> None:
    before = _ran_ns()
    stat = read(myself)[WEB]
    after = _ran_ns()

    assert stat.run_s is not None
    assert before <= round(stat.run_s * 1e9) <= after


def test_what_a_thread_of_this_process_ran_stays_when_it_ended(myself: TaskCounts) -> None:
    spent, ended = threading.Event(), threading.Event()

    def spend() -> None:
        while time.thread_time() < 0.05:
            pass
        spent.set()
        ended.wait()

    thread = threading.Thread(target=spend)
    thread.start()
    spent.wait()
    with_it = read(myself)[WEB]
    ended.set()
    thread.join()
    # The thread is gone for Python a moment before it is for the kernel.
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        time.sleep(0.001)
    living_ns = _ran_ns()
    without = read(myself)[WEB]

    assert with_it.run_s is not None
    assert without.run_s is not None
    assert without.run_s >= with_it.run_s
    assert without.run_s >= living_ns / 1e9 + 0.05


def test_what_this_process_holds_open_is_counted(myself: TaskCounts) -> None:
    before = read(myself)[WEB]
    with socket.socket(), Path("/dev/null").open("rb"):
        after = read(myself)[WEB]

    assert before.open_files is not None
    assert after.open_files == before.open_files + 2
    assert before.sockets is not None
    assert after.sockets == before.sockets + 1
    assert after.open_files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
