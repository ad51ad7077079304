"""A host of which everything is known, and pages of metrics read back by the library's own parser."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fakes import SECOND_NS, START_WALL_NS
from prometheus_client.parser import text_string_to_metric_families
from samples import HOST_NETNS, SDA, Box, container_id, docker_runtime, host_of, info_of, process_of, sample_of

from topcon.exporter.exposition import to_page
from topcon.exporter.options import ExportOptions
from topcon.exporter.page import Vitals
from topcon.model.derive import derive
from topcon.model.sample import (
    CgroupDetail,
    CgroupEvents,
    CgroupPath,
    CgroupSample,
    CpuCache,
    CpuMax,
    CpuStat,
    DiskStat,
    FilesystemStat,
    FoundContainer,
    FoundPod,
    Health,
    HugetlbStat,
    InterfaceStat,
    IoStat,
    LayerStat,
    MachineIds,
    MachineTopology,
    MemoryStat,
    NetnsKey,
    PidsStat,
    PodInfo,
    PodKind,
    Pressure,
    PressureStat,
    ProtocolStat,
    Role,
    RuntimeSample,
    Survey,
    TaskStat,
)

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot

NOW = Vitals(0.25, 1.5)
START_S = START_WALL_NS // SECOND_NS

ROOT = CgroupPath("/")
SYSTEM = CgroupPath("/system.slice")
KUBEPODS = CgroupPath("/kubepods.slice")
SERVICE = CgroupPath("/system.slice/cron.service")
POD_UID = "8d3e2f10-77aa-4c55-9d21-0b4f8a6c1e01"
POD = CgroupPath(f"/kubepods.slice/kubepods-pod{POD_UID.replace('-', '_')}.slice")
WEB = CgroupPath(f"/system.slice/docker-{container_id('web')}.scope")

POD_NETNS, WEB_NETNS = NetnsKey(4026533001), NetnsKey(4026533002)

Labels = frozenset[tuple[str, str]]

CADVISORS_OWN = frozenset(
    {
        "cadvisor_version_info",
        "container_cpu_load_d_average_10s",
        "container_fs_inodes_total",
        "container_hugetlb_failcnt",
        "container_memory_failcnt",
        "container_network_advance_tcp_stats_total",
        "container_network_tcp6_usage_total",
        "container_network_tcp_usage_total",
        "container_network_udp6_usage_total",
        "container_network_udp_usage_total",
        "machine_dimm_count",
        "machine_node_hugepages_count",
        "machine_thread_siblings_count",
    }
)
"""cAdvisor's names that break the conventions; dashboards ask for them as they are."""


def pod_path(name: str) -> CgroupPath:
    """Return the cgroup of a container of the pod."""
    return CgroupPath(f"{POD}/cri-containerd-{container_id(name)}.scope")


SANDBOX, APP, SIDE = pod_path("sandbox"), pod_path("app"), pod_path("side")


def _pressure(some_usec: int, full_usec: int) -> Pressure:
    return Pressure(some_usec, full_usec)


FULL_MEMORY = MemoryStat(
    current=1000,
    max=2000,
    peak=1500,
    swap_current=64,
    anon=600,
    file=300,
    inactive_file=120,
    oom_kill=5,
    oom_kill_local=2,
    events_high=7,
    events_max=8,
    oom_group_kill=1,
    active_file=110,
    file_mapped=90,
    file_dirty=20,
    file_writeback=10,
    shmem=70,
    unevictable=30,
    kernel=80,
    slab_reclaimable=25,
    pgfault=9000,
    pgmajfault=17,
    pgscan=31,
    pgsteal=29,
    workingset_refault_file=13,
    workingset_refault_anon=11,
)
ROOT_MEMORY = FULL_MEMORY._replace(
    **dict.fromkeys(
        (
            "current",
            "max",
            "peak",
            "swap_current",
            "oom_kill",
            "oom_kill_local",
            "events_high",
            "events_max",
            "oom_group_kill",
        )
    ),
)
"""The root cgroup has ``memory.stat`` alone."""
FULL_DETAIL = CgroupDetail(
    cpu_weight=100,
    throttled_local_usec=1_250_000,
    memory_min=100,
    memory_low=200,
    memory_swap_max=4096,
    swap_events_max=3,
    swap_events_fail=1,
    pids_events_max=6,
    irq_full_usec=500_000,
    dying_descendants=2,
    hugetlb={"2MB": HugetlbStat(2 << 20, 3)},
    numa_bytes={"anon": {0: 1 << 20}, "file": {0: 1 << 19}, "unevictable": {0: 0}, "kernel_stack": {0: 1}},
)
FULL_TASKS = TaskStat(
    processes=3,
    states={"R": 1, "S": 2, "I": 4, "T": 1, "t": 1, "D": 5, "Z": 9},
    zombies=9,
    run_s=6.5,
    run_delay_s=0.75,
    run_periods=21,
    runnable=1.25,
    uninterruptible=0.5,
    open_files=12,
    sockets=3,
    open_files_limit=1024,
)
FULL_PROTOCOL = ProtocolStat(
    tcp={"CurrEstab": 2, "OutSegs": 40, "RetransSegs": 3, "ListenOverflows": 1},
    tcp_sockets={"inuse": 6, "orphan": 1, "tw": 2, "alloc": 9},
    tcp_states={"tcp": {1: 4, 10: 2}, "tcp6": {8: 1}},
    udp={
        "udp": {"listen": 1, "dropped": 2, "rxqueued": 3, "txqueued": 4},
        "udp6": {"listen": 5, "dropped": 6, "rxqueued": 7, "txqueued": 8},
    },
)
INTERFACES = {
    "eth0": InterfaceStat(1001, 1002, 1003, 1004, 2001, 2002, 2003, 2004),
    "lo": InterfaceStat(1, 1, 1, 1, 1, 1, 1, 1),
    "veth1a": InterfaceStat(1, 1, 1, 1, 1, 1, 1, 1),
}
FULL_HOST: dict[str, Any] = {
    "cpus": 4,
    "uptime_s": 1000.0,
    "cpu_busy_s": 77.5,
    "memory_total_bytes": 8 << 30,
    "swap_total_bytes": 1 << 30,
    "swap_used_bytes": 1 << 20,
    "os_name": "Debian GNU/Linux 12",
    "machine": MachineIds("mid", "uuid", "bid"),
    "devices": {SDA: "sda"},
    "disks": {"sda": DiskStat(1, 2, 3, 4000, 5, 6, 7, 8000, 9, 10_000, 11_000)},
    "topology": MachineTopology(
        physical_cores=2,
        sockets=1,
        dimms={"DDR4": (2, 64)},
        caches=(CpuCache(0, 0, "Data", 1, 32768), CpuCache(0, None, "Unified", 3, 1 << 20)),
        threads={(0, 0, 0): 2, (0, 0, 1): 2},
        node_memory_bytes={0: 8 << 30},
        node_hugepages={(0, 2048): 4},
        node_distances={(0, 0): 10},
    ),
}


def full_cgroup(path: CgroupPath, inode: int = 77, **sections: Any) -> CgroupSample:
    """Return a cgroup of which all is known."""
    given: dict[str, Any] = {
        "cpu": CpuStat(12_500_000, 8_000_000, 4_500_000, 40, 10, 2_250_000, 3, 750_000),
        "cpu_max": CpuMax(50_000, 100_000),
        "memory": FULL_MEMORY,
        "io": {SDA: IoStat(4096, 8192, 5, 6, 512, 1, 1_000_000, 2_000_000, 3_000_000, 4_000_000)},
        "pids": PidsStat(4, 100),
        "pressure": PressureStat(
            _pressure(1_500_000, 250_000), _pressure(2_500_000, 1_250_000), _pressure(3_500_000, 2_250_000)
        ),
        "events": CgroupEvents(populated=True, frozen=False),
        "detail": FULL_DETAIL,
    }
    return CgroupSample(path, inode, **(given | sections))


def pod_box(name: str, role: Role = Role.WORKLOAD, *, start_ticks: int = 5000, **info: Any) -> Box:
    """Return a container of the pod, as containerd lists it."""
    path = pod_path(name)
    found_pod = FoundPod(POD, PodKind.KUBERNETES, POD_UID, "burstable")
    given: dict[str, Any] = {
        "runtime": "containerd",
        "image": f"{name}:1",
        "role": role,
        "created_ns": START_WALL_NS - 200 * SECOND_NS,
        "started_ns": START_WALL_NS - 100 * SECOND_NS,
        "pod": PodInfo(PodKind.KUBERNETES, POD_UID, "shop-0", "prod"),
        "labels": {} if role is Role.SANDBOX else {"io.kubernetes.container.name": name},
    }
    limit = CpuMax(None, 100_000) if role is Role.SANDBOX else CpuMax(50_000, 100_000)
    return Box(
        info=info_of(name, **(given | info)),
        found=FoundContainer(path, "containerd", container_id(name), pod=found_pod),
        cgroup=full_cgroup(path, cpu_max=limit),
        process=process_of(name, netns=POD_NETNS, start_ticks=start_ticks),
    )


def web_box(name: str = "web", **info: Any) -> Box:
    """Return a container of Docker's by itself."""
    given: dict[str, Any] = {
        "image": "nginx:1.27",
        "health": Health.HEALTHY,
        "created_ns": START_WALL_NS - 200 * SECOND_NS,
        "started_ns": START_WALL_NS - 50 * SECOND_NS,
    }
    path = CgroupPath(f"/system.slice/docker-{container_id(name)}.scope")
    return Box(
        info=info_of(name, **(given | info)),
        found=FoundContainer(path, "docker", container_id(name)),
        cgroup=full_cgroup(path),
        process=process_of(name, netns=WEB_NETNS),
    )


KUBERNETES = (pod_box("sandbox", Role.SANDBOX, start_ticks=4000), pod_box("app"), pod_box("side"))
AROUND = (
    Box(cgroup=full_cgroup(ROOT, cpu_max=None, memory=ROOT_MEMORY, pids=None, detail=CgroupDetail())),
    Box(cgroup=full_cgroup(SYSTEM, cpu_max=CpuMax(None, 100_000))),
    Box(cgroup=full_cgroup(KUBEPODS, cpu_max=CpuMax(None, 100_000))),
    Box(
        cgroup=full_cgroup(
            SERVICE,
            cpu_max=CpuMax(None, 100_000),
            memory=FULL_MEMORY._replace(max=None),
            pids=PidsStat(4, None),
            detail=replace(FULL_DETAIL, memory_swap_max=math.inf),
        )
    ),
    Box(cgroup=full_cgroup(POD)),
)
"""The host, two slices, a service without limits, and the cgroup of a pod."""


def full_survey(paths: tuple[CgroupPath, ...]) -> Survey:
    """Return what the survey finds where all can be read."""
    return Survey(
        monotonic_ns=0,
        duration_s=1.0,
        tasks=dict.fromkeys(paths, FULL_TASKS),
        layers=dict.fromkeys((APP, SIDE, WEB), LayerStat("/dev/sda1", 700, 7, 10_000, 500, 400)),
        filesystems={"/dev/sda1": FilesystemStat(10_000, 6_000, 500, 400)},
        protocols=dict.fromkeys((HOST_NETNS, POD_NETNS, WEB_NETNS), FULL_PROTOCOL),
    )


def full_sample(seconds: float = 0.0, **others: Any) -> Sample:
    """Return a host with all kinds of cgroups, of which all is known."""
    boxes = (*AROUND, *KUBERNETES, web_box())
    paths = tuple(box.cgroup.path for box in boxes if box.cgroup)
    given: dict[str, Any] = {
        "host": host_of(**FULL_HOST),
        "networks": dict.fromkeys((HOST_NETNS, POD_NETNS, WEB_NETNS), INTERFACES),
        "survey": full_survey(paths),
        "runtimes": (docker_runtime(), RuntimeSample("containerd", "/run/containerd.sock", up=True, is_listed=True)),
    }
    return sample_of(*boxes, seconds=seconds, **(given | others))


def full_snapshot(**others: Any) -> Snapshot:
    """Return the snapshot of that host."""
    return derive(None, full_sample(**others))


def page_of(snapshot: Snapshot, vitals: Vitals = NOW, **options: Any) -> str:
    """Return a page with these choices."""
    return to_page(snapshot, vitals, ExportOptions(**options)).decode()


def types_of(page: str) -> dict[str, str]:
    """Return the announced families with their types; each is announced once."""
    announced = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    assert len(announced) == len(dict(announced))
    return dict(announced)


def helps_of(page: str) -> dict[str, str]:
    """Return what is said of each family."""
    return dict(re.findall(r"^# HELP (\S+) (.*)$", page, re.MULTILINE))


def series_of(page: str) -> dict[str, dict[Labels, float]]:
    """Return all series by the name that stands in the page; none is there twice, and none has a timestamp."""
    series: dict[str, dict[Labels, float]] = {}
    announced = types_of(page)
    lines = sum(not line.startswith("#") for line in page.splitlines())
    for metric in text_string_to_metric_families(page):
        for sample in metric.samples:
            labels = frozenset(sample.labels.items())
            # The parser gives each counter the ending that it should have.
            name = sample.name if sample.name in announced else sample.name.removesuffix("_total")
            family = series.setdefault(name, {})
            assert labels not in family, f"{name}{sorted(labels)} comes twice"
            assert sample.timestamp is None
            family[labels] = sample.value
    assert sum(map(len, series.values())) == lines
    return series


def by(series: dict[Labels, float], *names: str) -> dict[tuple[str, ...], float]:
    """Return the values of series by some of their labels, which tell them apart."""
    rows = [(tuple(dict(labels).get(name, "") for name in names), value) for labels, value in series.items()]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def by_one(series: dict[Labels, float], name: str) -> dict[str, float]:
    """Return the values of series by one of their labels, which tells them apart."""
    return {key: value for (key,), value in by(series, name).items()}
