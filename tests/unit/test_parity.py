"""cAdvisor's families, one by one: names, types, labels, which cgroups have them, and values by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from pages import (
    APP,
    KUBEPODS,
    POD,
    ROOT,
    SANDBOX,
    SERVICE,
    SIDE,
    START_S,
    SYSTEM,
    WEB,
    by,
    by_one,
    full_cgroup,
    full_sample,
    full_snapshot,
    page_of,
    series_of,
    types_of,
    web_box,
)
from samples import container_id, sample_of, snapshot_after

from topcon.exporter import cadvisor
from topcon.exporter.options import GROUPS, OPT_IN_GROUPS, LabelMode
from topcon.exporter.page import KUBERNETES_CONTAINER
from topcon.model.derive import derive
from topcon.model.sample import (
    CgroupDetail,
    CgroupSample,
    CpuCache,
    CpuMax,
    CpuStat,
    IoStat,
    MachineTopology,
    MemoryStat,
    PressureStat,
    ProtocolStat,
    Survey,
    TaskStat,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.snapshot import Snapshot

GAUGE, COUNTER = "gauge", "counter"
PLACES = {
    "host": (ROOT,),
    "slice": (SYSTEM, KUBEPODS),
    "service": (SERVICE,),
    "pod": (POD,),
    "sandbox": (SANDBOX,),
    "container": (APP, SIDE),
    "docker": (WEB,),
}
EVERY = tuple(PLACES)
NOT_HOST = EVERY[1:]
LIMITED = ("pod", "container", "docker")
NETWORK = ("host", "sandbox", "docker")
"""Who owns a network namespace."""
STARTED = ("host", "pod", "sandbox", "container", "docker")
LAYERS = ("host", "container", "docker")
KNOWN = ("sandbox", "container", "docker")
HOST = ("host",)

Values = float | dict[str | tuple[str, ...], float]
"""Of a family without labels of its own the value; else the values by those labels, in the order of their names."""


@dataclass(frozen=True)
class Expected:
    """What a family of ``container_*`` must be."""

    type: str
    group: str
    rows: tuple[str, ...]
    value: Values
    labels: tuple[str, ...] = ()
    at: Mapping[str, Values] = field(default_factory=dict)
    """What differs in a place."""


DEVICE = ("device",)
SDA = "/dev/sda"
NODE_SCOPE_TYPE = ("node", "scope", "type")
PAGES_OF = (1 << 20) / os.sysconf("SC_PAGE_SIZE")


def io(kind: str, value: float) -> Expected:
    return Expected(kind, "diskIO", EVERY, {SDA: value}, DEVICE)


def disk(kind: str, value: float) -> Expected:
    return Expected(kind, "diskIO", HOST, {SDA: value}, DEVICE)


def network(value: float) -> Expected:
    return Expected(COUNTER, "network", NETWORK, {"eth0": value}, ("interface",))


def memory(kind: str, value: float, rows: tuple[str, ...] = EVERY) -> Expected:
    return Expected(kind, "memory", rows, value)


def pressure(value: float) -> Expected:
    return Expected(COUNTER, "pressure", EVERY, value)


TCP_STATES = "established synsent synrecv finwait1 finwait2 timewait close closewait lastack listen closing".split()  # noqa: SIM905  as the reference writes them

CONTAINERS: dict[str, Expected] = {
    # CPU
    "container_cpu_usage_seconds_total": Expected(COUNTER, "cpu", EVERY, {"total": 12.5}, ("cpu",)),
    "container_cpu_user_seconds_total": Expected(COUNTER, "cpu", EVERY, 8),
    "container_cpu_system_seconds_total": Expected(COUNTER, "cpu", EVERY, 4.5),
    "container_cpu_cfs_periods_total": Expected(COUNTER, "cpu", LIMITED, 40),
    "container_cpu_cfs_throttled_periods_total": Expected(COUNTER, "cpu", LIMITED, 10),
    "container_cpu_cfs_throttled_seconds_total": Expected(COUNTER, "cpu", LIMITED, 2.25),
    "container_cpu_cfs_burst_periods_total": Expected(COUNTER, "cpu", LIMITED, 3),
    "container_cpu_cfs_burst_seconds_total": Expected(COUNTER, "cpu", LIMITED, 0.75),
    "container_cpu_load_average_10s": Expected(GAUGE, "cpuLoad", EVERY, 1250),
    "container_cpu_load_d_average_10s": Expected(GAUGE, "cpuLoad", EVERY, 500),
    "container_tasks_state": Expected(
        GAUGE, "cpuLoad", EVERY, {"running": 1, "sleeping": 6, "stopped": 2, "uninterruptible": 5}, ("state",)
    ),
    "container_cpu_schedstat_run_seconds_total": Expected(COUNTER, "sched", EVERY, 6.5),
    "container_cpu_schedstat_runqueue_seconds_total": Expected(COUNTER, "sched", EVERY, 0.75),
    "container_cpu_schedstat_run_periods_total": Expected(COUNTER, "sched", EVERY, 21),
    # Memory
    "container_memory_usage_bytes": Expected(GAUGE, "memory", EVERY, 1000, at={"host": 900}),
    "container_memory_working_set_bytes": Expected(GAUGE, "memory", EVERY, 880, at={"host": 780}),
    "container_memory_rss": memory(GAUGE, 600),
    "container_memory_cache": memory(GAUGE, 300),
    "container_memory_swap": Expected(GAUGE, "memory", EVERY, 64, at={"host": 1 << 20}),
    "container_memory_max_usage_bytes": memory(GAUGE, 1500, NOT_HOST),
    "container_memory_mapped_file": memory(GAUGE, 90),
    "container_memory_kernel_usage": memory(GAUGE, 80),
    "container_memory_failcnt": memory(COUNTER, 8, NOT_HOST),
    "container_memory_total_active_file_bytes": memory(GAUGE, 110),
    "container_memory_total_inactive_file_bytes": memory(GAUGE, 120),
    "container_memory_failures_total": Expected(
        COUNTER,
        "memory",
        EVERY,
        {
            ("pgfault", "container"): 9000,
            ("pgfault", "hierarchy"): 9000,
            ("pgmajfault", "container"): 17,
            ("pgmajfault", "hierarchy"): 17,
        },
        ("failure_type", "scope"),
    ),
    "container_memory_events_high_total": memory(COUNTER, 7, NOT_HOST),
    "container_memory_events_max_total": memory(COUNTER, 8, NOT_HOST),
    "container_memory_file_dirty_bytes": memory(GAUGE, 20),
    "container_memory_file_writeback_bytes": memory(GAUGE, 10),
    "container_memory_pgscan_total": memory(COUNTER, 31),
    "container_memory_pgsteal_total": memory(COUNTER, 29),
    "container_memory_workingset_refault_file_total": memory(COUNTER, 13),
    "container_memory_workingset_refault_anon_total": memory(COUNTER, 11),
    "container_memory_numa_pages": Expected(
        GAUGE,
        "memory_numa",
        NOT_HOST,
        {
            ("0", scope, kind): pages
            for scope in ("container", "hierarchy")
            for kind, pages in (("anon", PAGES_OF), ("file", PAGES_OF / 2), ("unevictable", 0))
        },
        NODE_SCOPE_TYPE,
    ),
    # Killed for memory, pressure, huge pages
    "container_oom_events_total": Expected(COUNTER, "oom_event", NOT_HOST, 2),
    "container_pressure_cpu_waiting_seconds_total": pressure(1.5),
    "container_pressure_cpu_stalled_seconds_total": pressure(0.25),
    "container_pressure_memory_waiting_seconds_total": pressure(2.5),
    "container_pressure_memory_stalled_seconds_total": pressure(1.25),
    "container_pressure_io_waiting_seconds_total": pressure(3.5),
    "container_pressure_io_stalled_seconds_total": pressure(2.25),
    "container_hugetlb_usage_bytes": Expected(GAUGE, "hugetlb", NOT_HOST, {"2MB": 2 << 20}, ("pagesize",)),
    "container_hugetlb_failcnt": Expected(COUNTER, "hugetlb", NOT_HOST, {"2MB": 3}, ("pagesize",)),
    # Disks and file systems
    "container_fs_reads_bytes_total": io(COUNTER, 4096),
    "container_fs_writes_bytes_total": io(COUNTER, 8192),
    "container_fs_reads_total": io(COUNTER, 5),
    "container_fs_writes_total": io(COUNTER, 6),
    "container_blkio_device_usage_total": Expected(
        COUNTER,
        "diskIO",
        EVERY,
        {(SDA, "8", "0", "Read"): 4096, (SDA, "8", "0", "Write"): 8192},
        ("device", "major", "minor", "operation"),
    ),
    "container_fs_io_cost_usage_seconds_total": io(COUNTER, 1),
    "container_fs_io_cost_wait_seconds_total": io(COUNTER, 2),
    "container_fs_io_cost_indebt_seconds_total": io(COUNTER, 3),
    "container_fs_io_cost_indelay_seconds_total": io(COUNTER, 4),
    "container_fs_reads_merged_total": disk(COUNTER, 2),
    "container_fs_sector_reads_total": disk(COUNTER, 3),
    "container_fs_read_seconds_total": disk(COUNTER, 4),
    "container_fs_writes_merged_total": disk(COUNTER, 6),
    "container_fs_sector_writes_total": disk(COUNTER, 7),
    "container_fs_write_seconds_total": disk(COUNTER, 8),
    "container_fs_io_current": disk(GAUGE, 9),
    "container_fs_io_time_seconds_total": disk(COUNTER, 10),
    "container_fs_io_time_weighted_seconds_total": disk(COUNTER, 11),
    "container_fs_usage_bytes": Expected(
        GAUGE, "disk", LAYERS, {"/dev/sda1": 700}, DEVICE, at={"host": {"/dev/sda1": 6000}}
    ),
    "container_fs_limit_bytes": Expected(GAUGE, "disk", LAYERS, {"/dev/sda1": 10_000}, DEVICE),
    "container_fs_inodes_total": Expected(GAUGE, "disk", LAYERS, {"/dev/sda1": 500}, DEVICE),
    "container_fs_inodes_free": Expected(GAUGE, "disk", LAYERS, {"/dev/sda1": 400}, DEVICE),
    # Network
    "container_network_receive_bytes_total": network(1001),
    "container_network_receive_packets_total": network(1002),
    "container_network_receive_errors_total": network(1003),
    "container_network_receive_packets_dropped_total": network(1004),
    "container_network_transmit_bytes_total": network(2001),
    "container_network_transmit_packets_total": network(2002),
    "container_network_transmit_errors_total": network(2003),
    "container_network_transmit_packets_dropped_total": network(2004),
    "container_network_tcp_usage_total": Expected(
        GAUGE, "tcp", NETWORK, dict.fromkeys(TCP_STATES, 0) | {"established": 4, "listen": 2}, ("tcp_state",)
    ),
    "container_network_tcp6_usage_total": Expected(
        GAUGE, "tcp", NETWORK, dict.fromkeys(TCP_STATES, 0) | {"closewait": 1}, ("tcp_state",)
    ),
    "container_network_udp_usage_total": Expected(
        GAUGE, "udp", NETWORK, {"listen": 1, "dropped": 2, "rxqueued": 3, "txqueued": 4}, ("udp_state",)
    ),
    "container_network_udp6_usage_total": Expected(
        GAUGE, "udp", NETWORK, {"listen": 5, "dropped": 6, "rxqueued": 7, "txqueued": 8}, ("udp_state",)
    ),
    "container_network_advance_tcp_stats_total": Expected(
        GAUGE,
        "advtcp",
        NETWORK,
        {"currestab": 2, "outsegs": 40, "retranssegs": 3, "listenoverflows": 1},
        ("tcp_state",),
    ),
    # Processes
    "container_processes": Expected(GAUGE, "process", EVERY, 3),
    "container_threads": Expected(GAUGE, "process", NOT_HOST, 4),
    "container_threads_max": Expected(GAUGE, "process", NOT_HOST, 100, at={"service": 0}),
    "container_file_descriptors": Expected(GAUGE, "process", EVERY, 12),
    "container_sockets": Expected(GAUGE, "process", EVERY, 3),
    "container_ulimits_soft": Expected(GAUGE, "process", EVERY, {"max_open_files": 1024}, ("ulimit",)),
    # What it is, and how long
    "container_last_seen": Expected(GAUGE, "spec", EVERY, START_S),
    "container_start_time_seconds": Expected(
        GAUGE, "spec", STARTED, START_S - 100, at={"host": START_S - 1000, "docker": START_S - 50}
    ),
    "container_creation_time_seconds": Expected(GAUGE, "spec", KNOWN, START_S - 200),
    "container_health_state": Expected(GAUGE, "spec", ("docker",), 1),
    "container_spec_cpu_period": Expected(GAUGE, "spec", NOT_HOST, 100_000),
    "container_spec_cpu_quota": Expected(GAUGE, "spec", LIMITED, 50_000),
    "container_spec_cpu_shares": Expected(GAUGE, "spec", NOT_HOST, 1024),
    "container_spec_memory_limit_bytes": Expected(GAUGE, "spec", EVERY, 2000, at={"host": 8 << 30, "service": 0}),
    "container_spec_memory_swap_limit_bytes": Expected(GAUGE, "spec", EVERY, 4096, at={"host": 1 << 30, "service": 0}),
    "container_spec_memory_reservation_limit_bytes": Expected(GAUGE, "spec", NOT_HOST, 200),
}
"""All of cAdvisor's that are served of cgroups."""

MACHINE: dict[str, tuple[str, dict[tuple[tuple[str, str], ...], float]]] = {
    "machine_cpu_cores": ("machine", {(): 4}),
    "machine_memory_bytes": ("machine", {(): 8 << 30}),
    "machine_swap_bytes": ("machine", {(): 1 << 30}),
    "machine_cpu_physical_cores": ("machine", {(): 2}),
    "machine_cpu_sockets": ("machine", {(): 1}),
    "machine_dimm_count": ("machine", {(("type", "DDR4"),): 2}),
    "machine_dimm_capacity_bytes": ("machine", {(("type", "DDR4"),): 64}),
    "machine_cpu_cache_capacity_bytes": (
        "cpu_topology",
        {
            (("core_id", "0"), ("level", "1"), ("node_id", "0"), ("type", "Data")): 32768,
            (("core_id", ""), ("level", "3"), ("node_id", "0"), ("type", "Unified")): 1 << 20,
        },
    ),
    "machine_thread_siblings_count": (
        "cpu_topology",
        {(("core_id", "0"), ("node_id", "0"), ("thread_id", thread)): 2 for thread in "01"},
    ),
    "machine_node_memory_capacity_bytes": ("cpu_topology", {(("node_id", "0"),): 8 << 30}),
    "machine_node_hugepages_count": ("cpu_topology", {(("node_id", "0"), ("page_size", "2048")): 4}),
    "machine_node_distance": ("cpu_topology", {(("node_id", "0"), ("target_node_id", "0")): 10}),
}
"""All of cAdvisor's that are served of the machine: all gauges."""

ALONE = {
    "container_scrape_error": ("spec", {}, 0),
    "machine_scrape_error": ("machine", {}, 0),
    "cadvisor_version_info": ("spec", None, 1),
}
"""Those without any of those labels."""

ABSENT = {
    "container_hugetlb_max_usage_bytes",
    "container_memory_migrate",
    "container_referenced_bytes",
    "container_memory_bandwidth_bytes",
    "container_memory_bandwidth_local_bytes",
    "container_llc_occupancy_bytes",
    "container_perf_events_total",
    "container_perf_events_scaling_ratio",
    "container_perf_uncore_events_total",
    "container_perf_uncore_events_scaling_ratio",
    "machine_nvm_capacity",
    "machine_nvm_avg_power_budget_watts",
    "machine_cpu_books",
    "machine_cpu_drawers",
}
"""cAdvisor's without a source in version 2, or that cost more than they tell."""

MODES = (LabelMode.DOCKER, LabelMode.KUBELET)
BASE = {
    LabelMode.DOCKER: {"id", "image", "name"},
    LabelMode.KUBELET: {"container", "id", "image", "name", "namespace", "pod"},
}
GROUP_OF = (
    {name: expected.group for name, expected in CONTAINERS.items()}
    | {name: group for name, (group, _) in MACHINE.items()}
    | {name: group for name, (group, _, _) in ALONE.items()}
)


@pytest.fixture(scope="module")
def pages() -> dict[LabelMode, str]:
    """Return the page with all groups in each mode."""
    snapshot = full_snapshot()
    return {mode: page_of(snapshot, labels=mode, groups=OPT_IN_GROUPS) for mode in MODES}


@pytest.fixture(scope="module")
def series(pages: dict[LabelMode, str]) -> dict[LabelMode, Any]:
    return {mode: series_of(page) for mode, page in pages.items()}


def is_cadvisors(name: str) -> bool:
    return name.startswith(("container_", "machine_", "cadvisor_"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_family_of_cgroups_is_cadvisors(name: str, mode: LabelMode, pages: Any, series: Any) -> None:
    expected = CONTAINERS[name]
    found = series[mode][name]

    assert types_of(pages[mode])[name] == expected.type
    assert {frozenset(dict(labels)) for labels in found} == {frozenset(BASE[mode] | set(expected.labels))}
    wanted = {}
    for place in expected.rows:
        values = expected.at.get(place, expected.value)
        for path in PLACES[place]:
            for own, value in values.items() if isinstance(values, dict) else [((), values)]:
                wanted[str(path), *((own,) if isinstance(own, str) else own)] = value
    assert by(found, "id", *expected.labels) == wanted


@pytest.mark.parametrize("name", MACHINE)
def test_a_family_of_the_machine_is_cadvisors(name: str, pages: Any, series: Any) -> None:
    ids = {("machine_id", "mid"), ("system_uuid", "uuid"), ("boot_id", "bid")}
    expected = {frozenset(ids | set(own)): value for own, value in MACHINE[name][1].items()}

    assert types_of(pages[LabelMode.DOCKER])[name] == GAUGE
    assert series[LabelMode.DOCKER][name] == expected


@pytest.mark.parametrize("name", ALONE)
def test_a_family_without_a_subject_is_cadvisors(name: str, pages: Any, series: Any) -> None:
    _, labels, value = ALONE[name]
    ((found_labels, found),) = series[LabelMode.DOCKER][name].items()

    assert types_of(pages[LabelMode.DOCKER])[name] == GAUGE
    assert found == value
    assert labels is None or dict(found_labels) == labels


def test_the_version_is_told_under_cadvisors_names(series: Any) -> None:
    (labels,) = series[LabelMode.DOCKER]["cadvisor_version_info"]

    assert set(dict(labels)) == {"cadvisorRevision", "cadvisorVersion", "dockerVersion", "kernelVersion", "osVersion"}
    assert dict(labels)["kernelVersion"] == "6.12.0-test"
    assert dict(labels)["osVersion"] == "Debian GNU/Linux 12"
    assert dict(labels)["cadvisorVersion"].startswith("topcon ")


@pytest.mark.parametrize("mode", MODES)
def test_no_other_family_has_one_of_cadvisors_names(mode: LabelMode, series: Any) -> None:
    assert {name for name in series[mode] if is_cadvisors(name)} == GROUP_OF.keys()
    assert not ABSENT & GROUP_OF.keys()


def test_usage_is_of_all_cpus_together(series: Any) -> None:
    found = series[LabelMode.DOCKER]["container_cpu_usage_seconds_total"]

    assert {dict(labels)["cpu"] for labels in found} == {"total"}


# Groups


@pytest.mark.parametrize("group", sorted(OPT_IN_GROUPS))
def test_what_is_dear_is_served_only_where_it_is_asked_for(group: str) -> None:
    snapshot = full_snapshot()
    usual, more = (set(types_of(page_of(snapshot, groups=groups))) for groups in (frozenset(), frozenset({group})))

    assert more - usual == {name for name, its_group in GROUP_OF.items() if its_group == group} != set()


def test_without_a_choice_no_opt_in_family_is_there() -> None:
    served = set(types_of(page_of(full_snapshot())))

    assert {name for name in served if is_cadvisors(name)} == {
        name for name, group in GROUP_OF.items() if group not in OPT_IN_GROUPS
    }


def test_each_family_is_in_its_group() -> None:
    assert {family.name: family.group for family in cadvisor.FAMILIES} == GROUP_OF
    assert set(GROUP_OF.values()) | {"topcon"} == GROUPS


# Labels


def labels_at(snapshot: Snapshot, path: str, **options: Any) -> dict[str, str]:
    found = series_of(page_of(snapshot, **options))["container_last_seen"]
    (labels,) = [dict(labels) for labels in found if ("id", path) in labels]
    return labels


@pytest.mark.parametrize(
    ("path", "image", "name", "container", "pod", "namespace"),
    [
        (ROOT, "", "", "", "", ""),
        (SYSTEM, "", "", "", "", ""),
        (SERVICE, "", "", "", "", ""),
        (POD, "", "", "", "shop-0", "prod"),
        (SANDBOX, "sandbox:1", container_id("sandbox"), "", "shop-0", "prod"),
        (APP, "app:1", container_id("app"), "app", "shop-0", "prod"),
        (WEB, "nginx:1.27", "web", "", "", ""),
    ],
)
def test_kubelets_labels(path: str, image: str, name: str, container: str, pod: str, namespace: str) -> None:
    assert labels_at(full_snapshot(), path, labels=LabelMode.KUBELET) == {
        "id": path,
        "image": image,
        "name": name,
        "container": container,
        "pod": pod,
        "namespace": namespace,
    }


@pytest.mark.parametrize(
    ("path", "image", "name"), [(ROOT, "", ""), (POD, "", ""), (APP, "app:1", "app"), (WEB, "nginx:1.27", "web")]
)
def test_dockers_labels(path: str, image: str, name: str) -> None:
    expected = {"id": path, "image": image, "name": name}

    assert labels_at(full_snapshot(), path, labels=LabelMode.DOCKER) == expected


def test_kubelets_labels_are_taken_where_there_is_a_pod_of_kubernetes_and_nowhere_else() -> None:
    without_kubernetes = snapshot_after(sample_of(web_box()))

    assert labels_at(full_snapshot(), WEB).keys() == BASE[LabelMode.KUBELET]
    assert labels_at(without_kubernetes, WEB).keys() == BASE[LabelMode.DOCKER]


def test_a_container_is_named_as_in_its_pods_specification() -> None:
    sample = full_sample()
    containers = tuple(
        replace(info, name="k8s_app_shop-0", labels={KUBERNETES_CONTAINER: "app"}) if info.name == "app" else info
        for info in sample.containers
    )

    assert labels_at(derive(None, replace(sample, containers=containers)), APP)["container"] == "app"


@pytest.mark.parametrize("mode", MODES)
def test_containers_alone_are_served_with_their_pods_and_the_host(mode: LabelMode) -> None:
    found = series_of(page_of(full_snapshot(), labels=mode, containers_only=True, groups=OPT_IN_GROUPS))
    ids = {dict(labels)["id"] for name in CONTAINERS for labels in found[name]}

    assert ids == {ROOT, POD, SANDBOX, APP, SIDE, WEB}


# What is not known


def unread(**sections: Any) -> Snapshot:
    """Return the same host, of whose cgroups only this much can be read."""
    sample = full_sample()
    host = replace(sample.host, disks={}, topology=None)
    cgroups = {path: CgroupSample(path, 1, **sections) for path in sample.cgroups}
    containers = tuple(replace(info, created_ns=None, health=None, started_ns=None) for info in sample.containers)
    bare = replace(sample, cgroups=cgroups, host=host, survey=None, networks={}, processes={}, containers=containers)
    return derive(None, bare)


ALWAYS = {
    "container_last_seen",
    "container_start_time_seconds",
    "machine_cpu_cores",
    "machine_memory_bytes",
    "machine_swap_bytes",
    *ALONE,
}
"""What takes nothing but the host's totals; of starts, the host's."""


@pytest.mark.parametrize("name", sorted(GROUP_OF))
def test_what_has_no_source_has_no_sample(name: str) -> None:
    found = series_of(page_of(unread(), groups=OPT_IN_GROUPS))

    assert (name in found) == (name in ALWAYS)


HALF_READ: dict[str, Any] = {
    "cpu": CpuStat(0, None, None),
    "cpu_max": CpuMax(None, 100_000),
    "memory": MemoryStat(None),
    "io": {(8, 0): IoStat(0, 0, 0, 0)},
    "pressure": PressureStat(None, None, None),
    "detail": CgroupDetail(),
}
TOLD_ANYWAY = ALWAYS | {
    # No limit is 0 in cAdvisor's words, and the host's is what it has.
    "container_spec_memory_limit_bytes",
    "container_spec_memory_swap_limit_bytes",
    "container_memory_swap",
    "container_spec_cpu_period",
    # These fields are never unknown where there is a line.
    "container_fs_reads_total",
    "container_fs_writes_total",
    "container_fs_reads_bytes_total",
    "container_fs_writes_bytes_total",
    "container_blkio_device_usage_total",
    "container_processes",
    "container_tasks_state",
    "container_cpu_load_average_10s",
    "container_cpu_load_d_average_10s",
}


@pytest.mark.parametrize("name", sorted(GROUP_OF))
def test_a_field_that_is_not_known_has_no_sample(name: str) -> None:
    snapshot = unread(**HALF_READ)
    sample = snapshot.sample
    tasks = TaskStat(1, {}, 0, None, None, None, 0.0, 0.0)
    protocols = dict.fromkeys(full_sample().networks, ProtocolStat({}, {}))
    survey = Survey(0, 1.0, dict.fromkeys(sample.cgroups, tasks), protocols=protocols)
    host = replace(sample.host, topology=MachineTopology())
    found = series_of(page_of(derive(None, replace(sample, survey=survey, host=host)), groups=OPT_IN_GROUPS))

    assert (name in found) == (name in TOLD_ANYWAY)
    assert all(value >= 0 for value in found.get(name, {}).values())


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (CgroupDetail(cpu_weight=100), 1024),
        (CgroupDetail(cpu_weight=1), 2),
        (CgroupDetail(cpu_weight=10_000), 262_144),
        (CgroupDetail(cpu_shares=512), 512),
        (CgroupDetail(cpu_shares=512, cpu_weight=100), 512),
        (CgroupDetail(cpu_weight=0), None),
        (CgroupDetail(), None),
    ],
)
def test_shares_are_those_that_the_runtime_was_given(detail: CgroupDetail, expected: float | None) -> None:
    box = replace(web_box(), cgroup=full_cgroup(WEB, detail=detail))
    found = series_of(page_of(snapshot_after(sample_of(box)))).get("container_spec_cpu_shares", {})

    assert list(found.values()) == ([] if expected is None else [expected])


def test_caches_that_groups_of_a_nodes_cores_have_are_added_up() -> None:
    caches = tuple(CpuCache(node, None, "Unified", 3, 1 << 20) for node in (0, 0, 1))
    host = replace(full_sample().host, topology=MachineTopology(caches=caches))
    found = series_of(page_of(full_snapshot(host=host), groups=OPT_IN_GROUPS))["machine_cpu_cache_capacity_bytes"]

    assert by_one(found, "node_id") == {"0": 2 << 20, "1": 1 << 20}


@pytest.mark.parametrize(
    ("usage_usec", "expected"), [((1_000_000, 2_000_000), [3]), ((1_000_000, None), []), ((None, None), [])]
)
def test_devices_without_a_name_are_added_up_as_far_as_they_are_known(
    usage_usec: tuple[int | None, ...], expected: list[float]
) -> None:
    io = {(9, at): IoStat(1, 2, 3, 4, cost_usage_usec=usec) for at, usec in enumerate(usage_usec)}
    found = series_of(page_of(snapshot_after(sample_of(replace(web_box(), cgroup=full_cgroup(WEB, io=io))))))

    assert by_one(found["container_fs_writes_bytes_total"], "device") == {"": 4}
    assert list(found.get("container_fs_io_cost_usage_seconds_total", {}).values()) == expected
    assert by(found["container_blkio_device_usage_total"], "major", "minor", "operation") == {
        ("9", minor, operation): count for minor in "01" for operation, count in (("Read", 1), ("Write", 2))
    }
