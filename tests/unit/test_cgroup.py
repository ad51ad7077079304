"""Cgroups: each field of each version with its unit, what is missing or malformed, and who keeps which descriptor."""

from __future__ import annotations

import errno
import math
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from descriptors import open_below
from fakes import DETAIL, HYBRID_MOUNTS, SECOND_NS, V1_MOUNTS, V2_MOUNTS, FakeHost

from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.cgroup_files import HUGETLB, MEMORY_NUMA, PAGE_BYTES
from topcon.kernel.files import RETRY_AFTER, Access
from topcon.kernel.mount import read_hierarchies
from topcon.model.sample import (
    CgroupDetail,
    CgroupEvents,
    CgroupPath,
    CgroupSample,
    CpuMax,
    CpuStat,
    HugetlbStat,
    IoStat,
    MemoryStat,
    PidsStat,
    Pressure,
    PressureStat,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "c" * 64
WEB = CgroupPath(f"/docker/{ID}")
TICK_USEC = 1_000_000 // os.sysconf("SC_CLK_TCK")
UNLIMITED = "9223372036854771712\n"


def pressure_text(total: int) -> str:
    return (
        f"some avg10=1.50 avg60=2.25 avg300=0.75 total={total}\n"
        f"full avg10=0.50 avg60=0.25 avg300=0.00 total={total // 2}\n"
    )


def pressure_of(total: int) -> Pressure:
    return Pressure(total, total // 2)


V2_CORE = {
    "cpu.stat": "usage_usec 900\nuser_usec 600\nsystem_usec 300\nnice_usec 0\n",
    "cpu.pressure": pressure_text(100),
    "memory.pressure": pressure_text(200),
    "io.pressure": pressure_text(300),
    "cgroup.events": "populated 1\nfrozen 0\n",
    "cgroup.procs": "101\n102\n",
}
"""What each cgroup of version 2 has, whatever controllers are enabled."""

V2_FILES = V2_CORE | {
    "cpu.stat": "usage_usec 900\nuser_usec 600\nsystem_usec 300\nnr_periods 12\nnr_throttled 4\nthrottled_usec 77\n"
    "nr_bursts 2\nburst_usec 55\n",
    "cpu.max": "50000 100000\n",
    "memory.current": "1000\n",
    "memory.max": "2000\n",
    "memory.high": "1800\n",
    "memory.peak": "1500\n",
    "memory.swap.current": "30\n",
    "memory.stat": "anon 400\nfile 500\nkernel 10\ninactive_anon 7\ninactive_file 200\nactive_file 201\n"
    "file_mapped 202\nfile_dirty 203\nfile_writeback 204\nshmem 205\nunevictable 206\nslab_reclaimable 207\n"
    "pgfault 208\npgmajfault 209\npgscan 210\npgsteal 211\nworkingset_refault_anon 213\nworkingset_refault_file 212\n",
    "memory.events": "low 0\nhigh 6\nmax 5\noom 2\noom_kill 3\noom_group_kill 7\n",
    "memory.events.local": "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=3 dios=4\n8:16 \n",
    "pids.current": "6\n",
    "pids.max": "64\n",
}

V1_FILES = {
    "cpu": {
        "cpu.cfs_quota_us": "25000\n",
        "cpu.cfs_period_us": "100000\n",
        "cpu.stat": "nr_periods 12\nnr_throttled 4\nthrottled_time 77999\nnr_bursts 2\nburst_time 55999\n",
    },
    "cpuacct": {"cpuacct.usage": "900999\n", "cpuacct.stat": "user 6\nsystem 3\n"},
    "memory": {
        "memory.usage_in_bytes": "1000\n",
        "memory.limit_in_bytes": "2000\n",
        "memory.max_usage_in_bytes": "1500\n",
        "memory.stat": "rss 2\nswap 3\ntotal_cache 500\ntotal_rss 400\ntotal_swap 30\ntotal_inactive_file 200\n"
        "total_active_file 201\ntotal_mapped_file 202\ntotal_dirty 203\ntotal_writeback 204\ntotal_shmem 205\n"
        "total_unevictable 206\ntotal_pgfault 208\ntotal_pgmajfault 209\ntotal_workingset_refault_anon 213\n"
        "total_workingset_refault_file 212\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    },
    "freezer": {"freezer.state": "THAWED\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
        "blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
    },
    "pids": {"pids.current": "6\n", "pids.max": "64\n"},
}

MEMORY = MemoryStat(
    current=1000,
    max=2000,
    peak=1500,
    swap_current=30,
    anon=400,
    file=500,
    inactive_file=200,
    oom_kill=3,
    oom_kill_local=1,
    events_high=6,
    events_max=5,
    oom_group_kill=7,
    high=1800,
    active_file=201,
    file_mapped=202,
    file_dirty=203,
    file_writeback=204,
    shmem=205,
    unevictable=206,
    kernel=10,
    slab_reclaimable=207,
    pgfault=208,
    pgmajfault=209,
    pgscan=210,
    pgsteal=211,
    workingset_refault_file=212,
    workingset_refault_anon=213,
)
MEMORY_STAT_FIELDS = (
    *("anon", "file", "inactive_file", "active_file", "file_mapped", "file_dirty", "file_writeback", "shmem"),
    *("unevictable", "kernel", "slab_reclaimable", "pgfault", "pgmajfault", "pgscan", "pgsteal"),
    *("workingset_refault_file", "workingset_refault_anon"),
)
PRESSURES = PressureStat(cpu=pressure_of(100), memory=pressure_of(200), io=pressure_of(300))


def cgroups_of(host: FakeHost, budget: int = 0, detail: frozenset[str] | None = None) -> tuple[CgroupFs, Access]:
    access = Access(budget)
    hierarchies = read_hierarchies(host.proc_root, host.cgroup_root)
    return CgroupFs(hierarchies, access, detail, sys_root=host.sys_root, refresh_s=0.0), access


def read(cgroups: CgroupFs, path: CgroupPath = WEB, inode: int = 7) -> CgroupSample:
    """Read one cgroup, which must be well-formed."""
    samples, malformed = cgroups.read({path: inode}, 0)
    assert malformed is None
    return samples[path]


def hybrid_host(tmp_path: Path, mounts: str = HYBRID_MOUNTS) -> FakeHost:
    """A host of version 1, where a container's cgroup is in version 2's hierarchy too, if that is mounted."""
    host = FakeHost(tmp_path / "host", mounts)
    for hierarchy, files in V1_FILES.items():
        host.cgroup(WEB, files, hierarchy)
    if "cgroup2" in mounts:
        host.cgroup(WEB, V2_CORE | {"cpu.stat": "usage_usec 901\nuser_usec 601\nsystem_usec 301\n"}, "unified")
    return host


# Version 2.


def test_each_section_of_version_2(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES)

    assert read(cgroups_of(host)[0]) == CgroupSample(
        path=WEB,
        inode=7,
        cpu=CpuStat(900, 600, 300, nr_periods=12, nr_throttled=4, throttled_usec=77, nr_bursts=2, burst_usec=55),
        cpu_max=CpuMax(50000, 100000),
        memory=MEMORY,
        io={(8, 0): IoStat(rbytes=10, wbytes=20, rios=1, wios=2, dbytes=3, dios=4)},
        pids=PidsStat(6, 64),
        pressure=PRESSURES,
        events=CgroupEvents(populated=True, frozen=False),
    )


def test_what_is_without_a_limit(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES | {"cpu.max": "max 100000\n", "memory.max": "max\n", "pids.max": "max\n"})
    sample = read(cgroups_of(host)[0])

    assert sample.cpu_max == CpuMax(None, 100000)
    assert sample.memory is not None
    assert sample.memory.max is None
    assert sample.pids == PidsStat(6, None)


def test_without_controllers_there_is_what_each_cgroup_has(host: FakeHost) -> None:
    host.cgroup(WEB, V2_CORE)

    assert read(cgroups_of(host)[0]) == CgroupSample(
        path=WEB,
        inode=7,
        cpu=CpuStat(900, 600, 300),
        pressure=PRESSURES,
        events=CgroupEvents(populated=True, frozen=False),
    )


def test_the_root_has_no_current_memory_and_no_limits(host: FakeHost) -> None:
    sample = read(cgroups_of(host)[0], CgroupPath("/"))

    assert sample.cpu == CpuStat(5000000, 3000000, 2000000)
    assert sample.memory == MemoryStat(
        current=None, anon=1000, file=2000, inactive_file=500, active_file=0, kernel=4096
    )
    assert (sample.cpu_max, sample.io, sample.pids, sample.pressure, sample.events) == (None,) * 5


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("memory.peak", {"peak": None}),
        ("memory.swap.current", {"swap_current": None}),
        ("memory.high", {"high": None}),
        ("memory.events.local", {"oom_kill_local": None}),
        ("memory.events", dict.fromkeys(("oom_kill", "events_high", "events_max", "oom_group_kill"))),
        ("memory.stat", dict.fromkeys(MEMORY_STAT_FIELDS)),
    ],
)
def test_a_file_that_older_kernels_do_not_have_costs_only_what_is_in_it(
    host: FakeHost, gone: str, expected: dict[str, None]
) -> None:
    host.cgroup(WEB, {name: text for name, text in V2_FILES.items() if name != gone})
    memory = read(cgroups_of(host)[0]).memory

    assert memory is not None
    assert memory == MEMORY._replace(**expected)


def test_keys_that_older_kernels_do_not_have(host: FakeHost) -> None:
    lines = V2_FILES["memory.stat"].splitlines(keepends=True)
    older = "".join(line for line in lines if not line.startswith(("kernel ", "workingset_")))
    host.cgroup(WEB, V2_FILES | {"memory.stat": older, "memory.events": "low 0\nhigh 6\nmax 5\noom 2\noom_kill 3\n"})

    assert read(cgroups_of(host)[0]).memory == MEMORY._replace(
        kernel=None, workingset_refault_file=None, workingset_refault_anon=None, oom_group_kill=None
    )


def test_a_count_of_tasks_without_a_limit_file_is_a_count_still(host: FakeHost) -> None:
    host.cgroup(WEB, {"pids.current": "6\n"})
    assert read(cgroups_of(host)[0]).pids == PidsStat(6, None)

    host.cgroup("/other", {"pids.max": "6\n"})
    assert read(cgroups_of(host)[0], CgroupPath("/other")).pids is None


def test_pressure_that_is_only_partly_there(host: FakeHost) -> None:
    host.cgroup(WEB, {"memory.pressure": pressure_text(200)})

    assert read(cgroups_of(host)[0]).pressure == PressureStat(None, pressure_of(200), None)


def test_a_frozen_and_an_empty_cgroup(host: FakeHost) -> None:
    host.cgroup(WEB, {"cgroup.events": "populated 0\nfrozen 1\n"})
    assert read(cgroups_of(host)[0]).events == CgroupEvents(populated=False, frozen=True)

    host.cgroup("/old", {"cgroup.events": "populated 1\n"})
    assert read(cgroups_of(host)[0], CgroupPath("/old")).events == CgroupEvents(populated=True, frozen=None)


def test_a_cgroup_that_is_gone_has_no_sections(host: FakeHost) -> None:
    assert read(cgroups_of(host)[0], CgroupPath("/gone")) == CgroupSample(CgroupPath("/gone"), 7)


# Hybrid and version 1.


V1_MEMORY = MemoryStat(
    current=1000,
    max=2000,
    peak=1500,
    swap_current=30,
    anon=400,
    file=500,
    inactive_file=200,
    oom_kill=3,
    oom_kill_local=3,
    active_file=201,
    file_mapped=202,
    file_dirty=203,
    file_writeback=204,
    shmem=205,
    unevictable=206,
    pgfault=208,
    pgmajfault=209,
    workingset_refault_file=212,
    workingset_refault_anon=213,
)


def test_each_section_of_a_hybrid_host(tmp_path: Path) -> None:
    assert read(cgroups_of(hybrid_host(tmp_path))[0]) == CgroupSample(
        path=WEB,
        inode=7,
        # Usage of version 2; version 1 counts the throttled time in nanoseconds.
        cpu=CpuStat(901, 601, 301, nr_periods=12, nr_throttled=4, throttled_usec=77, nr_bursts=2, burst_usec=55),
        cpu_max=CpuMax(25000, 100000),
        memory=V1_MEMORY,
        io={(8, 0): IoStat(rbytes=10, wbytes=20, rios=1, wios=2)},
        pids=PidsStat(6, 64),
        pressure=PRESSURES,
        events=CgroupEvents(populated=True, frozen=False),
    )


def test_each_section_of_a_host_of_version_1(tmp_path: Path) -> None:
    assert read(cgroups_of(hybrid_host(tmp_path, V1_MOUNTS))[0]) == CgroupSample(
        path=WEB,
        inode=7,
        cpu=CpuStat(900, 6 * TICK_USEC, 3 * TICK_USEC, 12, 4, 77, nr_bursts=2, burst_usec=55),
        cpu_max=CpuMax(25000, 100000),
        memory=V1_MEMORY,
        io={(8, 0): IoStat(rbytes=10, wbytes=20, rios=1, wios=2)},
        pids=PidsStat(6, 64),
        pressure=None,
        events=CgroupEvents(populated=None, frozen=False),
    )


def test_a_hybrid_host_whose_runtime_leaves_version_2_out(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host", HYBRID_MOUNTS)
    for hierarchy, files in V1_FILES.items():
        host.cgroup(WEB, files, hierarchy)
    sample = read(cgroups_of(host)[0])

    assert sample.cpu == CpuStat(900, 6 * TICK_USEC, 3 * TICK_USEC, 12, 4, 77, 2, 55)
    assert sample.pressure is None
    assert sample.events == CgroupEvents(populated=None, frozen=False)


def test_what_is_without_a_limit_on_version_1(tmp_path: Path) -> None:
    host = hybrid_host(tmp_path, V1_MOUNTS)
    host.cgroup(WEB, {"cpu.cfs_quota_us": "-1\n"}, "cpu")
    host.cgroup(WEB, {"memory.limit_in_bytes": UNLIMITED}, "memory")
    host.cgroup(WEB, {"pids.max": "max\n"}, "pids")
    sample = read(cgroups_of(host)[0])

    assert sample.cpu_max == CpuMax(None, 100000)
    assert sample.memory is not None
    assert sample.memory.max is None
    assert sample.pids == PidsStat(6, None)


@pytest.mark.parametrize(("state", "is_frozen"), [("FROZEN\n", True), ("FREEZING\n", False), ("THAWED\n", False)])
def test_the_freezer_of_version_1(tmp_path: Path, state: str, *, is_frozen: bool) -> None:
    host = hybrid_host(tmp_path)
    host.cgroup(WEB, {"freezer.state": state}, "freezer")

    assert read(cgroups_of(host)[0]).events == CgroupEvents(populated=True, frozen=is_frozen)


@pytest.mark.parametrize(
    ("hierarchy", "lost"),
    [
        ("memory", {"memory": None}),
        ("blkio", {"io": None}),
        ("pids", {"pids": None}),
        ("freezer", {"events": CgroupEvents(populated=True, frozen=None)}),
        ("cpuacct", {}),
        ("cpu", {"cpu": CpuStat(901, 601, 301), "cpu_max": None}),
    ],
)
def test_a_controller_that_a_hybrid_host_has_but_the_container_is_not_in(
    tmp_path: Path, hierarchy: str, lost: dict[str, object]
) -> None:
    whole = read(cgroups_of(hybrid_host(tmp_path / "whole"))[0])
    host = hybrid_host(tmp_path / "part")
    for name in V1_FILES[hierarchy]:
        (host.root / f"sys/fs/cgroup/{hierarchy}{WEB}/{name}").unlink()
    sample = read(cgroups_of(host)[0])

    for field in ("cpu", "cpu_max", "memory", "io", "pids", "pressure", "events"):
        assert getattr(sample, field) == (lost[field] if field in lost else getattr(whole, field)), field


def test_a_controller_that_version_2_has_is_read_there(tmp_path: Path) -> None:
    mounts = "".join(line for line in HYBRID_MOUNTS.splitlines(keepends=True) if "/memory" not in line)
    host = hybrid_host(tmp_path, mounts)
    host.cgroup(WEB, {"memory.current": "4096\n", "memory.max": "max\n"}, "unified")
    sample = read(cgroups_of(host)[0])

    assert sample.memory == MemoryStat(current=4096)
    assert sample.pids == PidsStat(6, 64)


@pytest.mark.parametrize(
    ("gone", "field", "value"),
    [
        ("blkio/blkio.throttle.io_serviced_recursive", "io", {(8, 0): IoStat(10, 20, 0, 0)}),
        ("blkio/blkio.throttle.io_service_bytes_recursive", "io", None),
        ("cpu/cpu.cfs_quota_us", "cpu_max", None),
        ("cpu/cpu.cfs_period_us", "cpu_max", None),
    ],
)
def test_half_of_a_section_of_version_1(tmp_path: Path, gone: str, field: str, value: object) -> None:
    host = hybrid_host(tmp_path)
    hierarchy, name = gone.split("/")
    (host.root / f"sys/fs/cgroup/{hierarchy}{WEB}/{name}").unlink()

    assert getattr(read(cgroups_of(host)[0]), field) == value


def test_kernels_before_4_13_do_not_count_kills_on_version_1(tmp_path: Path) -> None:
    host = hybrid_host(tmp_path, V1_MOUNTS)
    host.cgroup(WEB, {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}, "memory")
    memory = read(cgroups_of(host)[0]).memory

    assert memory is not None
    assert (memory.oom_kill, memory.oom_kill_local) == (None, None)


# The detail.


DETAIL_FILES = DETAIL | {
    "cpu.weight": "101\n",
    "cpu.stat.local": "throttled_usec 102\n",
    "memory.min": "103\n",
    "memory.low": "104\n",
    "memory.swap.max": "105\n",
    "memory.swap.events": "high 9\nmax 106\nfail 107\n",
    "memory.numa_stat": "anon N0=300 N1=100\nfile N0=0 N1=500\n",
    "pids.events": "max 108\n",
    "irq.pressure": "full avg10=0.00 avg60=0.00 avg300=0.00 total=109\n",
    "cgroup.stat": "nr_descendants 9\nnr_dying_descendants 110\nnr_dying_subsys_memory 9\n",
    "hugetlb.2MB.rsvd.current": "4194304\n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.events": "max 111\n",
    "hugetlb.1GB.current": "1073741824\n",
    "hugetlb.1GB.events": "max 0\n",
}
V1_DETAIL_FILES = {
    "cpu": {"cpu.shares": "201\n", "cpu.stat.local": "throttled_time 202999\n"},
    "memory": {
        "memory.soft_limit_in_bytes": "203\n",
        "memory.failcnt": "204\n",
        "memory.kmem.usage_in_bytes": "205\n",
        "memory.numa_stat": "total=9 N0=9\nfile=9 N0=9\nanon=9 N0=9\nunevictable=0 N0=0\n"
        "hierarchical_total=6 N0=6\nhierarchical_file=1 N0=1\nhierarchical_anon=2 N0=2\n"
        "hierarchical_unevictable=3 N0=3\n",
    },
    "pids": {"pids.events": "max 206\n"},
    HUGETLB: {
        "hugetlb.2MB.usage_in_bytes": "2097152\n",
        "hugetlb.2MB.rsvd.usage_in_bytes": "4194304\n",
        "hugetlb.2MB.failcnt": "207\n",
    },
}
PLAIN: frozenset[str] = frozenset()
OPTIONS = frozenset({HUGETLB, MEMORY_NUMA})
CORE_DETAIL = CgroupDetail(
    cpu_weight=101,
    throttled_local_usec=102,
    memory_min=103,
    memory_low=104,
    memory_swap_max=105,
    swap_events_max=106,
    swap_events_fail=107,
    pids_events_max=108,
    irq_full_usec=109,
    dying_descendants=110,
)


def huge_pages(host: FakeHost, *sizes_kib: int) -> None:
    for size in sizes_kib:
        host.write(f"sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages", "0\n")


def files_tried(monkeypatch: pytest.MonkeyPatch, host: FakeHost, cgroups: CgroupFs) -> list[str]:
    """Read one cgroup, and return the files that were opened for it, or would have been if they were there."""
    tried = []
    really = os.open

    def watched_open(path: str, flags: int) -> int:
        tried.append(path.removeprefix(f"{host.cgroup_root}/"))
        return really(path, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", watched_open)
        read(cgroups)
    return sorted(tried)


def test_the_detail_of_version_2(host: FakeHost) -> None:
    huge_pages(host, 2048, 1048576)
    host.cgroup(WEB, V2_FILES | DETAIL_FILES)

    assert read(cgroups_of(host, detail=PLAIN)[0]).detail == CORE_DETAIL
    assert read(cgroups_of(host, detail=OPTIONS)[0]).detail == replace(
        CORE_DETAIL,
        hugetlb={"2MB": HugetlbStat(4194304, 111), "1GB": HugetlbStat(1073741824, 0)},
        numa_bytes={"anon": {0: 300, 1: 100}, "file": {0: 0, 1: 500}},
    )


def test_the_detail_of_a_hybrid_host(tmp_path: Path) -> None:
    host = hybrid_host(tmp_path, HYBRID_MOUNTS)
    for hierarchy, files in V1_DETAIL_FILES.items():
        host.cgroup(WEB, files, hierarchy)
    # A controller that version 1 has is not there in version 2: its file in the latter is an empty one at best.
    host.cgroup(WEB, {name: DETAIL_FILES[name] for name in ("irq.pressure", "cgroup.stat")}, "unified")
    host.cgroup(WEB, {"cpu.stat.local": ""}, "unified")
    detail = read(cgroups_of(host, detail=frozenset({MEMORY_NUMA}))[0]).detail

    assert detail == CgroupDetail(
        cpu_shares=201,
        throttled_local_usec=202,
        memory_low=203,
        pids_events_max=206,
        irq_full_usec=109,
        dying_descendants=110,
        numa_bytes={"file": {0: PAGE_BYTES}, "anon": {0: 2 * PAGE_BYTES}, "unevictable": {0: 3 * PAGE_BYTES}},
    )


def test_what_the_memory_of_version_1_has_in_further_files_is_of_the_detail(tmp_path: Path) -> None:
    host = hybrid_host(tmp_path)
    host.cgroup(WEB, V1_DETAIL_FILES["memory"], "memory")

    assert read(cgroups_of(host)[0]).memory == V1_MEMORY
    assert read(cgroups_of(host, detail=PLAIN)[0]).memory == V1_MEMORY._replace(events_max=204, kernel=205)


def test_old_kernels_tell_the_nodes_of_the_cgroup_alone(tmp_path: Path) -> None:
    host = hybrid_host(tmp_path)
    host.cgroup(WEB, {"memory.numa_stat": "total=3 N0=1 N1=2\nfile=3 N0=1 N1=2\n"}, "memory")
    detail = read(cgroups_of(host, detail=frozenset({MEMORY_NUMA}))[0]).detail

    assert detail is not None
    assert detail.numa_bytes == {"file": {0: PAGE_BYTES, 1: 2 * PAGE_BYTES}}


@pytest.mark.parametrize("is_reserved", [True, False])
def test_the_huge_pages_of_version_1(tmp_path: Path, *, is_reserved: bool) -> None:
    host = hybrid_host(tmp_path)
    huge_pages(host, 2048)
    files = V1_DETAIL_FILES[HUGETLB]
    host.cgroup(WEB, {name: text for name, text in files.items() if is_reserved or "rsvd" not in name}, HUGETLB)
    hierarchies = read_hierarchies(host.proc_root, host.cgroup_root)
    hierarchies = replace(hierarchies, v1={**hierarchies.v1, HUGETLB: f"{host.cgroup_root}/{HUGETLB}"})
    cgroups = CgroupFs(hierarchies, Access(), OPTIONS, sys_root=host.sys_root, refresh_s=0.0)
    detail = read(cgroups).detail

    assert detail is not None
    assert detail.hugetlb == {"2MB": HugetlbStat(4194304 if is_reserved else 2097152, 207)}


@pytest.mark.parametrize(
    ("size_kib", "name"), [(64, "64KB"), (2048, "2MB"), (32768, "32MB"), (1048576, "1GB"), (16777216, "16GB")]
)
def test_sizes_of_huge_pages_are_named_as_the_files_are(host: FakeHost, size_kib: int, name: str) -> None:
    huge_pages(host, size_kib)
    host.cgroup(WEB, {f"hugetlb.{name}.current": "5\n"})
    detail = read(cgroups_of(host, detail=OPTIONS)[0]).detail

    assert detail is not None
    assert detail.hugetlb == {name: HugetlbStat(5, None)}


def test_limits_that_are_not_set(host: FakeHost, tmp_path: Path) -> None:
    host.cgroup(WEB, DETAIL_FILES | dict.fromkeys(("memory.min", "memory.low", "memory.swap.max"), "max\n"))
    detail = read(cgroups_of(host, detail=PLAIN)[0]).detail
    assert detail is not None
    assert (detail.memory_min, detail.memory_low, detail.memory_swap_max) == (math.inf,) * 3

    old = hybrid_host(tmp_path / "old")
    old.cgroup(WEB, {"memory.soft_limit_in_bytes": UNLIMITED}, "memory")
    detail = read(cgroups_of(old, detail=PLAIN)[0]).detail
    assert detail is not None
    assert detail.memory_low == 0


DETAIL_FIELDS = {
    "cpu.weight": ("cpu_weight",),
    "cpu.stat.local": ("throttled_local_usec",),
    "memory.min": ("memory_min",),
    "memory.low": ("memory_low",),
    "memory.swap.max": ("memory_swap_max",),
    "memory.swap.events": ("swap_events_max", "swap_events_fail"),
    "pids.events": ("pids_events_max",),
    "irq.pressure": ("irq_full_usec",),
    "cgroup.stat": ("dying_descendants",),
}


@pytest.mark.parametrize("gone", DETAIL_FIELDS)
def test_a_file_of_the_detail_that_is_not_there_costs_what_is_in_it(host: FakeHost, gone: str) -> None:
    host.cgroup(WEB, {name: text for name, text in DETAIL_FILES.items() if name != gone})

    assert read(cgroups_of(host, detail=PLAIN)[0]).detail == replace(CORE_DETAIL, **dict.fromkeys(DETAIL_FIELDS[gone]))


@pytest.mark.parametrize("name", ["cpu.stat.local", "irq.pressure"])
def test_an_empty_file_of_the_detail_tells_nothing(host: FakeHost, name: str) -> None:
    host.cgroup(WEB, DETAIL_FILES | {name: ""})

    assert read(cgroups_of(host, detail=PLAIN)[0]).detail == replace(CORE_DETAIL, **dict.fromkeys(DETAIL_FIELDS[name]))


def test_without_any_of_its_files_there_is_no_detail(host: FakeHost) -> None:
    huge_pages(host, 2048)
    host.cgroup(WEB, V2_FILES)

    assert read(cgroups_of(host, detail=OPTIONS)[0]) == read(cgroups_of(host)[0])


def test_a_host_without_huge_pages_has_none_in_the_detail(host: FakeHost) -> None:
    host.cgroup(WEB, DETAIL_FILES)
    detail = read(cgroups_of(host, detail=OPTIONS)[0]).detail

    assert detail is not None
    assert detail.hugetlb is None


@pytest.mark.parametrize("name", [*DETAIL_FIELDS, "memory.numa_stat", "hugetlb.2MB.current", "hugetlb.2MB.events"])
def test_a_malformed_file_of_the_detail_costs_the_detail_alone(host: FakeHost, name: str) -> None:
    huge_pages(host, 2048)
    host.cgroup(WEB, V2_FILES | DETAIL_FILES)
    cgroups, _ = cgroups_of(host, detail=OPTIONS)
    before = read(cgroups)
    host.cgroup(WEB, {name: "one two three\n"})

    samples, malformed = cgroups.read({WEB: 7}, 0)

    assert malformed is not None
    assert malformed.path == f"{host.cgroup_root}{WEB}/{name}"
    assert samples[WEB] == before._replace(detail=None, since_ns=0)

    host.cgroup(WEB, {name: DETAIL_FILES[name]})
    assert read(cgroups) == before._replace(since_ns=0)


def test_the_detail_is_kept_while_nothing_changes(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES | DETAIL_FILES)
    cgroups, access = cgroups_of(host, 1000, PLAIN)
    before = read(cgroups)
    assert read(cgroups) is before
    host.cgroup(WEB, {"pids.events": "max 109\n"})

    after = read(cgroups)

    assert after == before._replace(detail=replace(CORE_DETAIL, pids_events_max=109), since_ns=0)
    assert after.memory is before.memory
    cgroups.close()
    assert access.left == 1000


@pytest.mark.parametrize(
    ("detail", "further"),
    [
        (None, ()),
        (PLAIN, tuple(DETAIL_FIELDS)),
        (frozenset({MEMORY_NUMA}), (*DETAIL_FIELDS, "memory.numa_stat")),
        (
            frozenset({HUGETLB}),
            (*DETAIL_FIELDS, *(f"hugetlb.2MB.{name}" for name in ("rsvd.current", "current", "events"))),
        ),
    ],
)
def test_no_file_is_opened_that_was_not_asked_for(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, detail: frozenset[str] | None, further: tuple[str, ...]
) -> None:
    huge_pages(host, 2048)
    host.cgroup(WEB, V2_FILES | DETAIL_FILES)
    cgroups, _ = cgroups_of(host, detail=detail)

    names = [name for name in (*V2_FILES, *further) if name != "cgroup.procs"]
    assert files_tried(monkeypatch, host, cgroups) == sorted(f"docker/{ID}/{name}" for name in names)


def test_no_file_of_version_1_is_opened_that_was_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hybrid_host(tmp_path, V1_MOUNTS)
    plain, detailed = cgroups_of(host)[0], cgroups_of(host, detail=PLAIN)[0]

    def names(files: dict[str, dict[str, str]]) -> set[str]:
        return {f"{each}/docker/{ID}/{name}" for each in files for name in files[each]}

    before = files_tried(monkeypatch, host, plain)
    assert before == sorted(names(V1_FILES))
    # Those of huge pages and nodes have not been asked for.
    further = names({name: V1_DETAIL_FILES[name] for name in ("cpu", "memory", "pids")})
    further.remove(f"memory/docker/{ID}/memory.numa_stat")
    assert files_tried(monkeypatch, host, detailed) == sorted({*before, *further})


# What changes.


@pytest.mark.parametrize("budget", [0, 1000])
def test_unchanged_files_give_the_same_sample(host: FakeHost, budget: int) -> None:
    host.cgroup(WEB, V2_FILES)
    cgroups, _ = cgroups_of(host, budget)

    assert read(cgroups) is read(cgroups)


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n", "cpu"),
        ("cpu.max", "60000 100000\n", "cpu_max"),
        ("memory.current", "1001\n", "memory"),
        ("io.stat", "8:0 rbytes=11 wbytes=20 rios=2 wios=2 dbytes=0 dios=0\n", "io"),
        ("pids.current", "7\n", "pids"),
        ("io.pressure", pressure_text(400), "pressure"),
        ("cgroup.events", "populated 0\nfrozen 0\n", "events"),
    ],
)
def test_a_changed_file_changes_its_section_alone(host: FakeHost, name: str, text: str, field: str) -> None:
    host.cgroup(WEB, V2_FILES)
    cgroups, _ = cgroups_of(host, 1000)
    before = read(cgroups)
    host.cgroup(WEB, {name: text})

    after = read(cgroups)

    assert getattr(after, field) != getattr(before, field)
    others = {"cpu", "cpu_max", "memory", "io", "pids", "pressure", "events"} - {field}
    assert all(getattr(after, other) is getattr(before, other) for other in others)


def test_a_cgroup_that_ends_loses_all_its_sections(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.cgroup(WEB, V2_FILES)
    cgroups, access = cgroups_of(host, 1000)
    read(cgroups)

    def gone(fd: int, size: int, offset: int) -> bytes:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), fd, size, offset)

    monkeypatch.setattr(os, "pread", gone)

    assert read(cgroups) == CgroupSample(WEB, 7, since_ns=0)
    assert access.left == 1000


def test_a_controller_that_is_switched_on_is_noticed_after_a_while(host: FakeHost) -> None:
    host.cgroup(WEB, V2_CORE)
    cgroups, _ = cgroups_of(host)
    assert read(cgroups).memory is None
    host.cgroup(WEB, V2_FILES)
    for _ in range(RETRY_AFTER):
        read(cgroups)

    assert read(cgroups).memory == MEMORY


# What is malformed.


MALFORMED = [
    ("cpu.stat", "usage_usec\n", "cpu"),
    ("cpu.max", "50000\n", "cpu_max"),
    ("memory.current", "many\n", "memory"),
    ("memory.max", "-\n", "memory"),
    ("memory.high", "-\n", "memory"),
    ("memory.peak", "\n", "memory"),
    ("memory.swap.current", "1 2\n", "memory"),
    ("memory.stat", "anon x\nfile 1\ninactive_file 1\n", "memory"),
    ("memory.events", "oom_kill\n", "memory"),
    ("memory.events.local", "oom_kill no\n", "memory"),
    ("io.stat", "sda rbytes=1 wbytes=1 rios=1 wios=1\n", "io"),
    ("pids.current", "\n", "pids"),
    ("pids.max", "none\n", "pids"),
    ("cpu.pressure", "some 1\n", "pressure"),
    ("memory.pressure", "?\n", "pressure"),
    ("io.pressure", "some avg10=0.00\n", "pressure"),
    ("cgroup.events", "populated yes\n", "events"),
]


@pytest.mark.parametrize(("name", "text", "field"), MALFORMED, ids=[name for name, _, _ in MALFORMED])
def test_a_malformed_file_loses_its_section_only_and_is_told(host: FakeHost, name: str, text: str, field: str) -> None:
    host.cgroup("/well", V2_FILES)
    host.cgroup(WEB, V2_FILES | {name: text})
    cgroups, _ = cgroups_of(host)
    wanted = {WEB: 7, CgroupPath("/well"): 8}

    for _ in range(2):
        samples, malformed = cgroups.read(wanted, 0)

        assert malformed is not None
        assert malformed.path == f"{host.cgroup_root}{WEB}/{name}"
        for each in ("cpu", "cpu_max", "memory", "io", "pids", "pressure", "events"):
            well = getattr(samples[CgroupPath("/well")], each)
            assert getattr(samples[WEB], each) == (None if each == field else well), each


@pytest.mark.parametrize(("name", "text", "field"), MALFORMED, ids=[name for name, _, _ in MALFORMED])
def test_a_section_comes_back_with_its_form(host: FakeHost, name: str, text: str, field: str) -> None:
    host.cgroup(WEB, V2_FILES)
    cgroups, _ = cgroups_of(host)
    before = read(cgroups)
    host.cgroup(WEB, {name: text})
    samples, _ = cgroups.read({WEB: 7}, 0)
    assert getattr(samples[WEB], field) is None

    # Byte for byte what was there before.
    host.cgroup(WEB, {name: V2_FILES[name]})

    assert read(cgroups) == before._replace(since_ns=0)


def test_of_several_malformed_files_one_is_told(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES | {"cpu.stat": "?\n", "pids.max": "?\n"})
    host.cgroup("/other", V2_FILES | {"io.stat": "?\n"})
    samples, malformed = cgroups_of(host)[0].read({WEB: 7, CgroupPath("/other"): 8}, 0)

    assert malformed is not None
    assert malformed.path.startswith(f"{host.cgroup_root}{WEB}/")
    assert (samples[WEB].cpu, samples[WEB].pids) == (None, None)
    assert samples[CgroupPath("/other")].io is None


# Whose readers are kept.


def test_a_cgroup_that_comes_back_under_its_path_gets_a_new_reader(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES)
    cgroups, access = cgroups_of(host, 1000)
    first = read(cgroups, inode=7)
    open_before = len(open_below(host.cgroup_root))
    # The old files go on being readable through the old descriptors, as they would not in a cgroup.
    directory = host.root / f"sys/fs/cgroup{WEB}"
    directory.rename(directory.with_name("old"))
    host.cgroup(WEB, V2_FILES | {"cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"})

    second = read(cgroups, inode=8)

    assert (first.inode, second.inode) == (7, 8)
    assert second.cpu == CpuStat(5, 3, 2)
    opened = open_below(host.cgroup_root)
    assert len(opened) == open_before == 1000 - access.left
    assert not any("/old/" in path for path in opened)


def test_a_cgroup_that_is_not_wanted_any_more_gives_its_descriptors_back(host: FakeHost) -> None:
    host.cgroup(WEB, V2_FILES)
    host.cgroup("/other", V2_FILES)
    cgroups, access = cgroups_of(host, 1000)
    cgroups.read({WEB: 7, CgroupPath("/other"): 8}, 0)
    assert len(open_below(host.cgroup_root + WEB)) == len(V2_FILES) - len({"cgroup.procs"})

    samples, _ = cgroups.read({CgroupPath("/other"): 8}, 0)

    assert list(samples) == ["/other"]
    assert open_below(host.cgroup_root + WEB) == []
    assert len(open_below(host.cgroup_root)) == 1000 - access.left > 0


@pytest.mark.parametrize("mounts", [V2_MOUNTS, HYBRID_MOUNTS, V1_MOUNTS], ids=["version 2", "both", "version 1"])
def test_closing_gives_all_descriptors_back(tmp_path: Path, mounts: str) -> None:
    host = FakeHost(tmp_path / "host", mounts)
    if mounts == V2_MOUNTS:
        host.cgroup(WEB, V2_FILES)
    else:
        host = hybrid_host(tmp_path, mounts)
    cgroups, access = cgroups_of(host, 1000)
    read(cgroups)
    assert len(open_below(host.cgroup_root)) == 1000 - access.left > 0

    cgroups.close()

    assert open_below(host.cgroup_root) == []
    assert access.left == 1000


def test_no_more_descriptors_are_kept_than_the_budget_allows(host: FakeHost) -> None:
    for name in ("a", "b", "c"):
        host.cgroup(f"/{name}", V2_FILES)
    cgroups, access = cgroups_of(host, 10)
    samples, _ = cgroups.read({CgroupPath(f"/{name}"): 7 for name in ("a", "b", "c")}, 0)

    assert all(sample.memory == MEMORY for sample in samples.values())
    # Each its share.
    assert len(open_below(host.cgroup_root)) == 9
    assert access.left == 1


def test_what_is_read_most_often_is_kept_open_first_and_given_up_last(host: FakeHost) -> None:
    paths = [CgroupPath(f"/{name}") for name in "abcdef"]
    for path in paths:
        host.cgroup(path, V2_FILES)
    cgroups, access = cgroups_of(host, 12)
    cgroups.read({paths[0]: 7}, 0)
    assert len(open_below(host.cgroup_root)) == 12

    cgroups.read(dict.fromkeys(paths, 7), 0)

    assert sorted({Path(file).name for file in open_below(host.cgroup_root)}) == ["cpu.stat", "memory.current"]
    assert access.left == 0

    cgroups.read({paths[0]: 7}, 0)
    assert len(open_below(host.cgroup_root)) == 12


# What is read when.


@pytest.fixture
def preads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that are read, in order."""
    names: list[str] = []
    pread = os.pread

    def noted(fd: int, size: int, offset: int) -> bytes:
        names.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        return pread(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", noted)
        yield names


class Ticking:
    """One cgroup, read once a second."""

    def __init__(self, host: FakeHost, preads: list[str], detail: frozenset[str] | None = None) -> None:
        hierarchies = read_hierarchies(host.proc_root, host.cgroup_root)
        self.cgroups = CgroupFs(hierarchies, Access(1000), detail, sys_root=host.sys_root)
        self.now_ns = 0
        self._preads = preads

    def tick(self, path: CgroupPath = WEB) -> tuple[CgroupSample, set[str]]:
        """Return the sample, and the names of the files that were read."""
        self._preads.clear()
        self.now_ns += SECOND_NS
        samples, _ = self.cgroups.read({path: 7}, self.now_ns)
        return samples[path], set(self._preads)


HOT = {"cpu.stat", "memory.current"}
COLD = {"cpu.max", "memory.max", "memory.high", "pids.max"}
ALL = V2_FILES.keys() - {"cgroup.procs"}


def test_of_a_cgroup_that_does_nothing_two_files_are_read(host: FakeHost, preads: list[str]) -> None:
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    first, read_first = ticking.tick()
    assert read_first == ALL
    ticking.tick()

    reads = [ticking.tick() for _ in range(60)]

    assert all(sample is first for sample, _ in reads)
    assert [names for _, names in reads if names == HOT]
    # Every tenth tick, all of them.
    assert all(names in (HOT, ALL) for _, names in reads)
    assert sum(names != HOT for _, names in reads) in range(6, 8)


def test_nothing_is_older_than_ten_seconds(host: FakeHost, preads: list[str]) -> None:
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    ticking.tick()
    for number in range(20):
        host.cgroup(WEB, {"pids.max": f"{1000 + number}\n"})

        limits = [sample.pids.max for sample, _ in (ticking.tick() for _ in range(10)) if sample.pids]

        assert limits[-1] == 1000 + number


OF_MEMORY = {"memory.peak", "memory.swap.current", "memory.stat", "memory.events", "memory.events.local"}


@pytest.mark.parametrize(
    ("name", "told", "names"),
    [
        pytest.param("cpu.stat", "pids.current", ALL - COLD - OF_MEMORY, id="it has run"),
        pytest.param("memory.current", "memory.peak", HOT | OF_MEMORY, id="it has taken or given back memory"),
    ],
)
def test_what_a_file_tells_of_is_read_at_once_and_once_more(
    host: FakeHost, preads: list[str], name: str, told: str, names: set[str]
) -> None:
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    while ticking.tick()[1] != ALL or ticking.now_ns == SECOND_NS:
        pass
    ticking.tick()
    host.cgroup(WEB, {name: V2_FILES[name].replace("1", "2"), told: "77\n"})

    (sample, read), (_, read_once_more), (_, read_then) = (ticking.tick() for _ in range(3))

    assert (read, read_once_more, read_then) == (names, names, HOT)
    assert sample.pids is not None
    assert sample.memory is not None
    assert 77 in (sample.pids.current, sample.memory.peak)


def tree(host: FakeHost, *paths: str) -> dict[CgroupPath, int]:
    for path in paths:
        host.cgroup(path, V2_FILES)
    return {CgroupPath(path): inode_of(host, path[1:]) for path in paths}


def hot_reads(preads: list[str]) -> int:
    return sum(name in HOT for name in preads)


def test_below_a_cgroup_that_does_nothing_nothing_is_looked_at(host: FakeHost, preads: list[str]) -> None:
    wanted = tree(host, "/pod", "/pod/a", "/pod/a/deep", "/pod/b", "/other")
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000), refresh_s=1000)
    for second in range(3):
        cgroups.read(wanted, second)
    preads.clear()

    cgroups.read(wanted, 3)
    assert hot_reads(preads) == 2 * len(HOT)
    # What is counted below is counted above.
    for path in ("/pod", "/pod/a"):
        host.cgroup(path, {"cpu.stat": V2_FILES["cpu.stat"].replace("1", "3")})
    samples, _ = cgroups.read(wanted, 4)

    assert [
        path for path, sample in samples.items() if sample.cpu and sample.cpu != samples[CgroupPath("/other")].cpu
    ] == [
        "/pod",
        "/pod/a",
    ]


def test_what_its_limit_counts_after_all_has_come_to_rest_is_seen(host: FakeHost) -> None:
    """Of the periods of a limit the cgroup above knows nothing, and the last ends when nothing runs any more."""
    wanted = tree(host, "/pod", "/pod/a")
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000), refresh_s=1000)
    for second in range(3):
        cgroups.read(wanted, second)
    ran = V2_FILES["cpu.stat"].replace("usage_usec 900", "usage_usec 950")
    for path in wanted:
        host.cgroup(path, {"cpu.stat": ran})
    cgroups.read(wanted, 3)

    for second, periods in enumerate((13, 14), start=4):
        host.cgroup("/pod/a", {"cpu.stat": ran.replace("nr_periods 12", f"nr_periods {periods}")})
        cpu = cgroups.read(wanted, second)[0][CgroupPath("/pod/a")].cpu

        assert cpu is not None
        assert cpu.nr_periods == periods


def test_what_many_are_in_is_asked_for_them(host: FakeHost, preads: list[str]) -> None:
    tree(host, "/docker")
    wanted = tree(host, *(f"/docker/{number}" for number in range(20)))
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000), refresh_s=1000)
    cgroups.find(0)
    samples = [cgroups.read(wanted, second)[0] for second in range(3)]
    preads.clear()

    assert cgroups.read(wanted, 3)[0] is samples[-1]
    assert samples[-1].keys() == wanted.keys()
    assert hot_reads(preads) == 2 * len(HOT)
    # It alone is read each time.
    assert preads.count("pids.current") == 1


def test_of_those_in_one_that_is_still_no_more_is_read_now_and_then_than_it_does_not_count(
    host: FakeHost, preads: list[str]
) -> None:
    tree(host, "/docker")
    wanted = tree(host, *(f"/docker/{number}" for number in range(20)))
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000))
    cgroups.find(0)

    def reads(seconds: range) -> Counter[str]:
        preads.clear()
        for second in seconds:
            cgroups.read(wanted, second * SECOND_NS)
        return Counter(preads)

    reads(range(20))
    still = reads(range(20, 29))
    assert still["pids.max"] == still["cgroup.events"] == 9 + 20
    assert still["pids.current"] == still["io.stat"] == 9
    # Somebody is waiting for a disk: who it is has to be looked for.
    host.cgroup("/docker", {"io.pressure": pressure_text(5000)})
    host.cgroup("/docker/7", {"io.pressure": pressure_text(4000)})
    stirred = reads(range(29, 38))
    samples, _ = cgroups.read(wanted, 38 * SECOND_NS)

    assert stirred["pids.current"] >= 9 + 20
    pressure = samples[CgroupPath("/docker/7")].pressure
    assert pressure is not None
    assert pressure.io == pressure_of(4000)
    assert reads(range(39, 48))["pids.current"] == 9


def test_a_cgroup_above_that_counts_in_another_hierarchy_is_not_asked(tmp_path: Path) -> None:
    """Old runtimes leave version 2 out: there the slice above has seen none of what the container does."""
    host = hybrid_host(tmp_path)
    paths = (CgroupPath("/system.slice"), CgroupPath("/system.slice/web.scope"))
    for path in paths:
        for hierarchy, name in (("cpuacct", "cpuacct.usage"), ("memory", "memory.usage_in_bytes")):
            host.cgroup(path, {name: "1000000\n"}, hierarchy)
    host.cgroup(paths[0], {"cpu.stat": "usage_usec 7\n"}, "unified")
    wanted = dict.fromkeys(paths, 7)
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000), refresh_s=1000)
    for second in range(3):
        cgroups.read(wanted, second)

    host.cgroup(paths[1], {"cpuacct.usage": "2000000\n"}, "cpuacct")
    samples, _ = cgroups.read(wanted, 3)

    assert samples[paths[1]].cpu == CpuStat(2000, None, None)


@pytest.mark.parametrize(("text", "is_seen"), [("0\n", True), ("1\n", False)])
def test_memory_of_version_1_is_looked_at_where_the_cgroup_above_leaves_it_out(
    tmp_path: Path, text: str, *, is_seen: bool
) -> None:
    host = hybrid_host(tmp_path)
    host.cgroup("/", {"memory.use_hierarchy": text}, "memory")
    paths = (CgroupPath("/pod"), CgroupPath("/pod/web"))
    for path in paths:
        host.cgroup(path, {"memory.usage_in_bytes": "1000\n"}, "memory")
    wanted = dict.fromkeys(paths, 7)
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000), refresh_s=1000)
    for second in range(3):
        cgroups.read(wanted, second)

    host.cgroup(paths[1], {"memory.usage_in_bytes": "2000\n"}, "memory")
    memory = cgroups.read(wanted, 3)[0][paths[1]].memory

    assert memory is not None
    assert (memory.current == 2000) is is_seen


def test_at_a_glance_no_more_is_read_than_is_shown_first(host: FakeHost, preads: list[str]) -> None:
    wanted = tree(host, "/docker/web")
    cgroups = CgroupFs(read_hierarchies(host.proc_root, host.cgroup_root), Access(1000))

    samples, _ = cgroups.read(wanted, 0, is_glance=True)
    (sample,) = samples.values()
    assert set(preads) == HOT | {"memory.stat", "cgroup.events"}
    assert sample.cpu is not None
    assert sample.memory is not None
    assert sample.memory.working_set is not None
    assert sample.pids is None
    preads.clear()

    (sample,) = cgroups.read(wanted, SECOND_NS)[0].values()
    assert set(preads) == ALL
    assert sample.pids is not None


def test_a_cgroup_that_waits_without_running_is_followed(host: FakeHost, preads: list[str]) -> None:
    """A writer that hangs on its disk uses no CPU from then on; how long it waits is counted all the same."""
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    for _ in range(3):
        ticking.tick()
    host.cgroup(WEB, {"cpu.stat": V2_FILES["cpu.stat"].replace("1", "2")})
    ticking.tick()
    for second in range(1, 20):
        host.cgroup(WEB, {"io.pressure": pressure_text(300 + second)})

        sample, _ = ticking.tick()

        assert sample.pressure is not None
        assert sample.pressure.io == pressure_of(300 + second)
        assert sample.since_ns == ticking.now_ns - SECOND_NS


def test_averages_of_pressure_that_fade_away_wake_nobody(host: FakeHost, preads: list[str]) -> None:
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    before, _ = ticking.tick()
    ticking.tick()
    for fading in range(9, 0, -1):
        host.cgroup(WEB, {"cpu.pressure": pressure_text(100).replace("avg10=1.50", f"avg10=0.{fading}0")})
        after, _ = ticking.tick()
        assert after is before


def test_since_when_a_sample_counts(host: FakeHost, preads: list[str]) -> None:
    host.cgroup(WEB, V2_FILES)
    ticking = Ticking(host, preads)
    first, _ = ticking.tick()
    assert first.since_ns is None
    read_at = [second for second in range(2, 20) if ticking.tick()[1] != HOT]
    host.cgroup(WEB, {"memory.current": "1\n"})
    with_memory, _ = ticking.tick()
    host.cgroup(WEB, {"cpu.stat": V2_FILES["cpu.stat"].replace("1", "2")})

    sample, _ = ticking.tick()

    # What has taken memory alone was not looked at for anything else.
    assert with_memory.since_ns is None
    assert sample.since_ns == read_at[-1] * SECOND_NS


def test_those_that_came_together_are_not_read_together(host: FakeHost, preads: list[str]) -> None:
    paths = [CgroupPath(f"/c{at}") for at in range(200)]
    for path in paths:
        host.cgroup(path, {"cpu.stat": V2_FILES["cpu.stat"], "pids.current": "1\n"})
    cgroups, _ = cgroups_of(host, 1000)
    cgroups = CgroupFs(cgroups.hierarchies, Access(1000))
    wanted = {path: inode_of(host, path[1:]) for path in paths}
    counts = []
    for second in range(40):
        preads.clear()
        cgroups.read(wanted, second * SECOND_NS)
        counts.append(preads.count("pids.current"))

    assert counts[0] == counts[1] == 200
    assert max(counts[2:]) <= 40
    assert sum(counts[20:29]) == 200


# The walk.


def inode_of(host: FakeHost, path: str) -> int:
    return (host.root / "sys/fs/cgroup" / path).stat().st_ino


def test_all_cgroups_are_found_with_their_inodes(host: FakeHost) -> None:
    paths = ("system.slice/docker.service", f"docker/{ID}/init.scope", f"docker/{ID}/docker/{'d' * 64}")
    for path in paths:
        host.cgroup(path, V2_CORE)

    found = cgroups_of(host)[0].find(0)

    expected = {"", *paths} | {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}
    assert found == {f"/{path}": inode_of(host, path) for path in expected}


def test_links_are_not_followed(host: FakeHost) -> None:
    host.cgroup("/a/b", V2_CORE)
    (host.root / "sys/fs/cgroup/a/loop").symlink_to(host.root / "sys/fs/cgroup", target_is_directory=True)
    (host.root / "sys/fs/cgroup/away").symlink_to("/", target_is_directory=True)

    assert set(cgroups_of(host)[0].find(0)) == {"/", "/a", "/a/b"}


def test_on_a_hybrid_host_cgroups_of_either_hierarchy_are_found(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host", HYBRID_MOUNTS)
    host.cgroup("/both", {}, "unified")
    host.cgroup("/new", {}, "unified")
    for path in ("/both", "/old"):
        host.cgroup(path, {}, "memory")

    found = cgroups_of(host)[0].find(0)

    assert found == {
        "/": inode_of(host, "unified"),
        "/both": inode_of(host, "unified/both"),
        "/new": inode_of(host, "unified/new"),
        "/old": inode_of(host, "memory/old"),
    }


def test_a_host_without_cgroups_has_none(host: FakeHost) -> None:
    host.write("proc/self/mountinfo", "")
    cgroups, _ = cgroups_of(host)

    assert cgroups.find(0) == {}
    assert cgroups.read({}, 0) == ({}, None)


def test_a_mount_that_went_has_none(host: FakeHost) -> None:
    cgroups, access = cgroups_of(host)
    (host.root / "sys/fs/cgroup").rename(host.root / "elsewhere")

    assert cgroups.find(0) == {}
    assert access.refused is None


@pytest.mark.parametrize(("number", "refused"), [(errno.ENOENT, False), (errno.EACCES, True)])
def test_a_cgroup_that_ends_or_is_refused_during_the_walk(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, number: int, *, refused: bool
) -> None:
    host.cgroup("/a/below", V2_CORE)
    host.cgroup("/b/below", V2_CORE)
    directory = f"{host.cgroup_root}/a"
    scandir = os.scandir

    def failing_scandir(path: str) -> object:
        if path == directory:
            raise OSError(number, os.strerror(number), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing_scandir)
    cgroups, access = cgroups_of(host)

    assert set(cgroups.find(0)) == {"/", "/a", "/b", "/b/below"}
    assert access.refused == (directory if refused else None)


@contextmanager
def nested(directory: str, depth: int) -> Iterator[None]:
    """Nest directories below one; pytest could not clear away a tree so deep."""
    level = os.open(directory, os.O_RDONLY)
    made = 0
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=level)
            made += 1
            level = exchanged(level, "d")
        yield
    finally:
        for _ in range(made):
            level = exchanged(level, "..")
            os.rmdir("d", dir_fd=level)
        os.close(level)


def exchanged(fd: int, name: str) -> int:
    other = os.open(name, os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    return other


# Whoever owns a cgroup may nest others in it without end, and must not end topcon with it.


def test_cgroups_are_found_however_deep_they_are_nested(host: FakeHost) -> None:
    with nested(host.cgroup_root, 1200):
        assert len(cgroups_of(host)[0].find(0)) == 1200 + len({"/"})


def test_cgroups_whose_path_is_too_long_to_be_asked_for_are_left_out(host: FakeHost) -> None:
    host.cgroup("/other", V2_CORE)
    with nested(host.cgroup_root, 2100):
        assert {"/", "/other", "/d", "/d/d"} < set(cgroups_of(host)[0].find(0))


# The processes.


@pytest.mark.parametrize(
    ("text", "pids"),
    [
        ("101\n102\n", [101, 102]),
        ("", []),
        # Processes of another pid namespace.
        ("0\n0\n103\n", [103]),
        ("".join(f"{pid}\n" for pid in range(1, 10001)), list(range(1, 10001))),
    ],
    ids=["two", "none", "foreign", "many"],
)
def test_the_processes_of_a_cgroup(host: FakeHost, text: str, pids: list[int]) -> None:
    host.cgroup(WEB, {"cgroup.procs": text})

    assert cgroups_of(host)[0].processes(WEB) == pids


def test_the_processes_of_the_root_and_of_no_cgroup(host: FakeHost) -> None:
    host.cgroup("/", {"cgroup.procs": "1\n2\n"})
    cgroups, _ = cgroups_of(host)

    assert cgroups.processes(CgroupPath("/")) == [1, 2]
    assert cgroups.processes(CgroupPath("/gone")) == []


def test_processes_that_only_version_1_knows_are_found_there(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host", HYBRID_MOUNTS)
    host.cgroup(WEB, {"cgroup.procs": "7\n"}, "memory")
    cgroups, _ = cgroups_of(host)
    assert cgroups.processes(WEB) == [7]

    host.cgroup(WEB, {"cgroup.procs": "8\n"}, "unified")
    assert cgroups.processes(WEB) == [8]


def test_a_refused_list_of_processes_is_noted(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.cgroup(WEB, V2_CORE)
    cgroups, access = cgroups_of(host)

    def refuse(path: str, flags: int) -> int:
        raise OSError(errno.EACCES, f"flags {flags}", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert cgroups.processes(WEB) == []

    assert access.refused == f"{host.cgroup_root}{WEB}/cgroup.procs"
