"""The families of cAdvisor, under its names, types, units and labels, from their sources in cgroup version 2.

cAdvisor: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
What has no source on this host is left out: a false 0 is worse than no series.
"""

from __future__ import annotations

import math
import os
from operator import itemgetter
from typing import TYPE_CHECKING

from topcon.exporter.families import COUNTER, GAUGE, Family, field, itself, seconds, table
from topcon.exporter.labels import path_text
from topcon.exporter.page import failed, parts, surveyed, whole
from topcon.model.sample import Health, IoStat
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.exporter.families import Number
    from topcon.exporter.page import Page, Row, Subject
    from topcon.model.sample import (
        CgroupDetail,
        CgroupSample,
        CpuStat,
        DiskStat,
        InterfaceStat,
        MemoryStat,
        Pressure,
        PressureStat,
        ProtocolStat,
        TaskStat,
    )
    from topcon.model.snapshot import ContainerNode

TASK_STATES = {
    "sleeping": "SI",
    "running": "R",
    "stopped": "Tt",
    "uninterruptible": "D",
}
"""cAdvisor's states to the kernel's letters. Its ``iowaiting`` is none that the kernel tells."""

TCP_STATES = (
    "established",
    "synsent",
    "synrecv",
    "finwait1",
    "finwait2",
    "timewait",
    "close",
    "closewait",
    "lastack",
    "listen",
    "closing",
)
"""In the order of the kernel's numbers, from 1 (include/net/tcp_states.h)."""

NUMA_TYPES = ("anon", "file", "unevictable")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


# Rows: what the values of a family are taken from.


def _cpu_total(page: Page) -> list[Row[CpuStat]]:
    # While it is 0, cAdvisor leaves it out too.
    return [
        (subject.labels.with_(("cpu", "total")), subject.cgroup.cpu)
        for subject in page.subjects
        if subject.cgroup.cpu is not None and subject.cgroup.cpu.usage_usec
    ]


def _cpu_with_quota(page: Page) -> list[Row[CpuStat]]:
    return [
        (subject.labels.text, cgroup.cpu)
        for subject in page.subjects
        if (cgroup := subject.cgroup).cpu and cgroup.cpu_max and cgroup.cpu_max.quota_usec is not None
    ]


def _faults(page: Page) -> list[Row[int]]:
    """Name each count twice, as cAdvisor does: version 2 counts hierarchically only."""
    return [
        (subject.labels.with_(("failure_type", kind), ("scope", scope)), count)
        for subject in page.subjects
        if (memory := subject.cgroup.memory)
        for kind, count in (("pgfault", memory.pgfault), ("pgmajfault", memory.pgmajfault))
        if count is not None
        for scope in ("container", "hierarchy")
    ]


def _memory_usage(page: Page) -> list[Row[int | None]]:
    """The root cgroup of version 2 has no ``memory.current``: its pages are counted instead."""
    return [
        (subject.labels.text, _root_usage(memory) if subject.is_root else memory.current)
        for subject in page.subjects
        if (memory := subject.cgroup.memory)
    ]


def _working_set(page: Page) -> list[Row[int | None]]:
    return [
        (subject.labels.text, root_working_set(memory) if subject.is_root else memory.working_set)
        for subject in page.subjects
        if (memory := subject.cgroup.memory)
    ]


def _root_usage(memory: MemoryStat) -> int | None:
    return _sum(memory.anon, memory.file) if memory.current is None else memory.current


def root_working_set(memory: MemoryStat) -> int | None:
    """Return the working set of the whole host."""
    used = _root_usage(memory)
    return None if used is None or memory.inactive_file is None else max(used - memory.inactive_file, 0)


def _sum(*parts: int | None) -> int | None:
    return None if None in parts else sum(part or 0 for part in parts)


def _swap(page: Page) -> list[Row[int | None]]:
    used = page.snapshot.sample.host.swap_used_bytes
    return [
        (subject.labels.text, used if subject.is_root else memory.swap_current)
        for subject in page.subjects
        if (memory := subject.cgroup.memory)
    ]


def _hugetlb(name: str) -> Callable[[Page], list[Row[int | None]]]:
    def rows(page: Page) -> list[Row[int | None]]:
        return [
            (subject.labels.with_(("pagesize", size)), getattr(stat, name))
            for subject in page.subjects
            if subject.cgroup.detail and subject.cgroup.detail.hugetlb
            for size, stat in subject.cgroup.detail.hugetlb.items()
        ]

    return rows


def _numa(page: Page) -> list[Row[float]]:
    """Pages, as version 1 counted them."""
    return [
        (subject.labels.with_(("node", str(node)), ("scope", scope), ("type", kind)), count / PAGE_BYTES)
        for subject in page.subjects
        if subject.cgroup.detail and subject.cgroup.detail.numa_bytes
        for kind in NUMA_TYPES
        for node, count in subject.cgroup.detail.numa_bytes.get(kind, {}).items()
        for scope in ("container", "hierarchy")
    ]


def _io(page: Page) -> list[Row[IoStat]]:
    """By the names of devices; those without one are added up."""
    return [
        (subject.labels.with_(("device", name)), stat)
        for subject in page.subjects
        for name, stat in _by_name(page, subject.cgroup)
    ]


def _by_name(page: Page, cgroup: CgroupSample) -> Iterator[tuple[str, IoStat]]:
    nameless: list[IoStat] = []
    for device, stat in (cgroup.io or {}).items():
        name = page.device_name(device)
        if name:
            yield name, stat
        else:
            nameless.append(stat)
    if nameless:
        yield "", _added(nameless)


def _added(stats: list[IoStat]) -> IoStat:
    return stats[0] if len(stats) == 1 else IoStat._make(_sum(*column) for column in zip(*stats, strict=True))


def _device_usage(page: Page) -> list[Row[int]]:
    return [
        (
            subject.labels.with_(
                ("device", page.device_name(device)),
                ("major", str(device[0])),
                ("minor", str(device[1])),
                ("operation", operation),
            ),
            count,
        )
        for subject in page.subjects
        for device, stat in (subject.cgroup.io or {}).items()
        for operation, count in (("Read", stat.rbytes), ("Write", stat.wbytes))
    ]


def _disks(page: Page) -> list[Row[DiskStat]]:
    """The whole device, on the host's row alone."""
    return [
        (subject.labels.with_(("device", f"/dev/{name}")), stat)
        for subject in page.subjects
        if subject.is_root
        for name, stat in page.snapshot.sample.host.disks.items()
    ]


def _file_systems(page: Page) -> list[Row[tuple[int, int, int, int]]]:
    """Bytes used, bytes in all, inodes, inodes that are free: of the host's file systems, and of containers' layers."""
    survey = page.survey
    rows = []
    for subject in page.subjects:
        if subject.is_root:
            rows += [
                (
                    subject.labels.with_(("device", path_text(device))),
                    (stat.used_bytes, stat.size_bytes, stat.inodes, stat.inodes_free),
                )
                for device, stat in survey.filesystems.items()
            ]
        elif layer := survey.layers.get(subject.cgroup.path):
            counts = (layer.used_bytes, layer.limit_bytes, layer.inodes, layer.inodes_free)
            rows.append((subject.labels.with_(("device", path_text(layer.device))), counts))
    return rows


def _networks(page: Page) -> list[Row[InterfaceStat]]:
    return [
        (subject.labels.with_(("interface", path_text(name))), stat)
        for subject in page.subjects
        for name, stat in page.interfaces(subject).items()
    ]


def _tcp_states(table_name: str) -> Callable[[Page], list[Row[int]]]:
    def rows(page: Page) -> list[Row[int]]:
        return [
            (subject.labels.with_(("tcp_state", state)), counts.get(number, 0))
            for subject in page.subjects
            if (protocol := _protocol(page, subject)) and protocol.tcp_states is not None
            if (counts := protocol.tcp_states.get(table_name)) is not None
            for number, state in enumerate(TCP_STATES, start=1)
        ]

    return rows


def _udp_states(table_name: str) -> Callable[[Page], list[Row[int]]]:
    def rows(page: Page) -> list[Row[int]]:
        return [
            (subject.labels.with_(("udp_state", state)), count)
            for subject in page.subjects
            if (protocol := _protocol(page, subject)) and protocol.udp is not None
            for state, count in protocol.udp.get(table_name, {}).items()
        ]

    return rows


def _advanced_tcp(page: Page) -> list[Row[int]]:
    return [
        (subject.labels.with_(("tcp_state", key.lower())), count)
        for subject in page.subjects
        if (protocol := _protocol(page, subject))
        for key, count in protocol.tcp.items()
    ]


def _protocol(page: Page, subject: Subject) -> ProtocolStat | None:
    netns = page.netns(subject)
    return page.survey.protocols.get(netns) if netns is not None else None


def _tasks(page: Page) -> list[Row[TaskStat]]:
    return [(labels.text, tasks) for labels, tasks in surveyed(page, page.subjects)]


def _task_states(page: Page) -> list[Row[int]]:
    return [
        (labels.with_(("state", state)), sum(tasks.states.get(letter, 0) for letter in letters))
        for labels, tasks in surveyed(page, page.subjects)
        for state, letters in TASK_STATES.items()
    ]


def _open_files_limits(page: Page) -> list[Row[int | None]]:
    return [
        (labels.with_(("ulimit", "max_open_files")), tasks.open_files_limit)
        for labels, tasks in surveyed(page, page.subjects)
    ]


def _last_seen(page: Page) -> list[Row[int]]:
    now = page.snapshot.sample.wall_ns // 10**9
    return [(subject.labels.text, now) for subject in page.subjects]


def _start_times(page: Page) -> list[Row[int]]:
    sample = page.snapshot.sample
    rows = []
    for subject in page.subjects:
        of = subject.container or subject.pod
        if subject.is_root:
            rows.append((subject.labels.text, int(sample.wall_ns / 1e9 - sample.host.uptime_s)))
        elif of is not None and of.started_ns is not None:
            rows.append((subject.labels.text, of.started_ns // 10**9))
    return rows


def _containers(page: Page) -> list[Row[ContainerNode]]:
    return [(subject.labels.text, subject.container) for subject in page.subjects if subject.container]


def _created(container: ContainerNode) -> int | None:
    created_ns = container.info.created_ns
    return None if created_ns is None else created_ns // 10**9


def healthy(container: ContainerNode) -> int | None:
    """As cAdvisor has it; one without a health check has no sample, where cAdvisor has -1."""
    health = container.info.health
    return None if health is None else int(health is Health.HEALTHY)


def _shares(detail: CgroupDetail) -> int | None:
    """Version 1's shares, or the shares that runtimes make of a weight, by the formula that gives 1024 for 100.

    The formula: https://github.com/opencontainers/cgroups (ConvertCPUSharesToCgroupV2Value), solved for shares.
    """
    if detail.cpu_shares is not None or not detail.cpu_weight:
        return detail.cpu_shares
    power = (-125 + math.sqrt(125**2 + 4 * 612 * (math.log10(detail.cpu_weight) + 7 / 34))) / 2
    return round(2**power)


def _memory_limit(page: Page) -> list[Row[int]]:
    total = page.snapshot.sample.host.memory_total_bytes
    return [
        (subject.labels.text, total if subject.is_root else memory.max or 0)
        for subject in page.subjects
        if (memory := subject.cgroup.memory)
    ]


def _swap_limit(page: Page) -> list[Row[Number | None]]:
    total = page.snapshot.sample.host.swap_total_bytes
    return [
        (subject.labels.text, total if subject.is_root else _or_zero(subject.cgroup.detail.memory_swap_max))
        for subject in page.subjects
        if subject.cgroup.detail
    ]


def _reservation(detail: CgroupDetail) -> float | None:
    """Docker writes what it calls so to ``memory.low``, Kubernetes to ``memory.min``."""
    known = [_or_zero(limit) or 0 for limit in (detail.memory_min, detail.memory_low) if limit is not None]
    return max(known, default=None)


def _or_zero(limit: float | None) -> float | None:
    """No limit is 0 in cAdvisor's words."""
    return 0 if limit == math.inf else limit


def _machine(page: Page) -> list[Row[Page]]:
    return [(page.machine.text, page)]


def _of_machine(name: str) -> Callable[[Page], Number | None]:
    return field(f"snapshot.sample.host.{name}")


def _of_topology(name: str) -> Callable[[Page], Number | None]:
    def value(page: Page) -> Number | None:
        topology = page.snapshot.sample.host.topology
        return getattr(topology, name) if topology else None

    return value


def _dimms(index: int) -> Callable[[Page], list[Row[int]]]:
    def rows(page: Page) -> list[Row[int]]:
        topology = page.snapshot.sample.host.topology
        dimms = topology.dimms if topology else {}
        return [(page.machine.with_(("type", printable(kind))), dimm[index]) for kind, dimm in dimms.items()]

    return rows


def _caches(page: Page) -> list[Row[int]]:
    """Added up where groups of a node's cores have one each."""
    topology = page.snapshot.sample.host.topology
    sizes: dict[str, int] = {}
    for cache in topology.caches if topology else ():
        text = page.machine.with_(
            ("core_id", "" if cache.core is None else str(cache.core)),
            ("level", str(cache.level)),
            ("node_id", str(cache.node)),
            ("type", printable(cache.kind)),
        )
        sizes[text] = sizes.get(text, 0) + cache.size_bytes
    return list(sizes.items())


def _of_nodes(name: str, *labels: str) -> Callable[[Page], list[Row[int]]]:
    """Rows of a mapping of the topology: from a number or several, each a label, to a number."""

    def rows(page: Page) -> list[Row[int]]:
        topology = page.snapshot.sample.host.topology
        counts = getattr(topology, name) if topology else {}
        return [
            (
                page.machine.with_(
                    *(
                        (label, str(part))
                        for label, part in zip(labels, key if len(labels) > 1 else (key,), strict=True)
                    )
                ),
                count,
            )
            for key, count in counts.items()
        ]

    return rows


def _version(page: Page) -> list[Row[int]]:
    host = page.snapshot.sample.host
    labels = page.labels(
        ("cadvisorRevision", ""),
        ("cadvisorVersion", f"topcon {page.vitals.version}"),
        ("dockerVersion", ""),
        ("kernelVersion", printable(host.kernel)),
        ("osVersion", printable(host.os_name)),
    )
    return [(labels.text, 1)]


def _pressure(name: str, line: str) -> Callable[[PressureStat], Number | None]:
    def value(pressure: PressureStat) -> Number | None:
        stalled: Pressure | None = getattr(pressure, name)
        usec = None if stalled is None else getattr(stalled, f"{line}_usec")
        return None if usec is None else usec / 1e6

    return value


def _milli(name: str) -> Callable[[TaskStat], float]:
    """Thousandths of a task, as cAdvisor writes them."""
    return lambda tasks: getattr(tasks, name) * 1000


# Tables: what dashboards ask for comes first, so that a page that is cut short still has it.

_CPU = parts(field("cpu"))
_CPU_MAX = parts(field("cpu_max"))
_MEMORY = parts(field("memory"))
_PRESSURE = parts(field("pressure"))
_PIDS = parts(field("pids"))
_DETAIL = parts(field("detail"))

FAMILIES: tuple[Family, ...] = (
    *table(
        "cpu",
        _cpu_total,
        (COUNTER, "container_cpu_usage_seconds_total", "CPU time used, seconds.", seconds("usage_usec")),
    ),
    *table(
        "cpu",
        _cpu_with_quota,
        (
            COUNTER,
            "container_cpu_cfs_periods_total",
            "Periods of the CPU limit in which it wanted to run.",
            field("nr_periods"),
        ),
        (
            COUNTER,
            "container_cpu_cfs_throttled_periods_total",
            "Periods of the CPU limit in which it was throttled.",
            field("nr_throttled"),
        ),
    ),
    *table(
        "memory",
        _working_set,
        (
            GAUGE,
            "container_memory_working_set_bytes",
            "Memory charged to it, less the inactive page cache, bytes.",
            itself,
        ),
    ),
    *table(
        "memory",
        _memory_usage,
        (GAUGE, "container_memory_usage_bytes", "Memory charged to it, page cache included, bytes.", itself),
    ),
    *table(
        "memory",
        _MEMORY,
        (GAUGE, "container_memory_rss", "Anonymous memory, bytes.", field("anon")),
        (GAUGE, "container_memory_cache", "Page cache, bytes.", field("file")),
    ),
    *table("memory", _swap, (GAUGE, "container_memory_swap", "Swap used, bytes.", itself)),
    *table(
        "network",
        _networks,
        (COUNTER, "container_network_receive_bytes_total", "Bytes received.", field("rx_bytes")),
        (COUNTER, "container_network_receive_packets_total", "Packets received.", field("rx_packets")),
        (COUNTER, "container_network_receive_errors_total", "Errors while receiving.", field("rx_errs")),
        (
            COUNTER,
            "container_network_receive_packets_dropped_total",
            "Packets dropped while receiving.",
            field("rx_drop"),
        ),
        (COUNTER, "container_network_transmit_bytes_total", "Bytes sent.", field("tx_bytes")),
        (COUNTER, "container_network_transmit_packets_total", "Packets sent.", field("tx_packets")),
        (COUNTER, "container_network_transmit_errors_total", "Errors while sending.", field("tx_errs")),
        (
            COUNTER,
            "container_network_transmit_packets_dropped_total",
            "Packets dropped while sending.",
            field("tx_drop"),
        ),
    ),
    *table(
        "diskIO",
        _io,
        (COUNTER, "container_fs_reads_total", "Reads from a block device.", field("rios")),
        (COUNTER, "container_fs_writes_total", "Writes to a block device.", field("wios")),
        (COUNTER, "container_fs_reads_bytes_total", "Bytes read from a block device.", field("rbytes")),
        (COUNTER, "container_fs_writes_bytes_total", "Bytes written to a block device.", field("wbytes")),
    ),
    *table("spec", _last_seen, (GAUGE, "container_last_seen", "When it was last seen, seconds since 1970.", itself)),
    *table(
        "spec",
        _start_times,
        (GAUGE, "container_start_time_seconds", "When it was started, seconds since 1970.", itself),
    ),
    *table(
        "machine",
        _machine,
        (GAUGE, "machine_cpu_cores", "Logical CPUs that are online.", _of_machine("cpus")),
        (GAUGE, "machine_memory_bytes", "Memory of the machine, bytes.", _of_machine("memory_total_bytes")),
    ),
    *table(
        "cpu",
        _CPU,
        (COUNTER, "container_cpu_user_seconds_total", "CPU time used in user mode, seconds.", seconds("user_usec")),
        (
            COUNTER,
            "container_cpu_system_seconds_total",
            "CPU time used in the kernel, seconds.",
            seconds("system_usec"),
        ),
    ),
    *table(
        "cpu",
        _cpu_with_quota,
        (
            COUNTER,
            "container_cpu_cfs_throttled_seconds_total",
            "Time throttled by the CPU limit, seconds.",
            seconds("throttled_usec"),
        ),
        (
            COUNTER,
            "container_cpu_cfs_burst_periods_total",
            "Periods of the CPU limit in which it used what it had saved up.",
            field("nr_bursts"),
        ),
        (
            COUNTER,
            "container_cpu_cfs_burst_seconds_total",
            "CPU time above the limit, out of what it had saved up, seconds.",
            seconds("burst_usec"),
        ),
    ),
    *table(
        "memory",
        _MEMORY,
        (GAUGE, "container_memory_max_usage_bytes", "The most memory that was ever charged, bytes.", field("peak")),
        (GAUGE, "container_memory_mapped_file", "Page cache that is mapped, bytes.", field("file_mapped")),
        (GAUGE, "container_memory_kernel_usage", "Memory of the kernel charged to it, bytes.", field("kernel")),
        (COUNTER, "container_memory_failcnt", "Times it was about to go above its memory limit.", field("events_max")),
        (
            GAUGE,
            "container_memory_total_active_file_bytes",
            "Page cache lately used, bytes.",
            field("active_file"),
        ),
        (
            GAUGE,
            "container_memory_total_inactive_file_bytes",
            "Page cache not lately used, bytes.",
            field("inactive_file"),
        ),
        (
            COUNTER,
            "container_memory_events_high_total",
            "Times it was made to reclaim, being above memory.high.",
            field("events_high"),
        ),
        (
            COUNTER,
            "container_memory_events_max_total",
            "Times it was about to go above memory.max.",
            field("events_max"),
        ),
        (GAUGE, "container_memory_file_dirty_bytes", "Page cache not yet written back, bytes.", field("file_dirty")),
        (
            GAUGE,
            "container_memory_file_writeback_bytes",
            "Page cache being written back, bytes.",
            field("file_writeback"),
        ),
        (COUNTER, "container_memory_pgscan_total", "Pages looked at to be reclaimed.", field("pgscan")),
        (COUNTER, "container_memory_pgsteal_total", "Pages reclaimed.", field("pgsteal")),
        (
            COUNTER,
            "container_memory_workingset_refault_file_total",
            "Pages of files read again soon after they were reclaimed.",
            field("workingset_refault_file"),
        ),
        (
            COUNTER,
            "container_memory_workingset_refault_anon_total",
            "Anonymous pages swapped in soon after they were reclaimed.",
            field("workingset_refault_anon"),
        ),
    ),
    *table(
        "oom_event",
        _MEMORY,
        (
            COUNTER,
            "container_oom_events_total",
            "Processes killed for memory in the cgroup itself.",
            field("oom_kill_local"),
        ),
    ),
    *table(
        "memory",
        _faults,
        (COUNTER, "container_memory_failures_total", "Page faults; failures in name only.", itself),
    ),
    *table(
        "pressure",
        _PRESSURE,
        *(
            (
                COUNTER,
                f"container_pressure_{name}_{word}_seconds_total",
                f"Time in which {who} waited for {what}, seconds.",
                _pressure(name, line),
            )
            for name, what in (("cpu", "a CPU"), ("memory", "memory"), ("io", "a disk"))
            for line, word, who in (("some", "waiting", "some task"), ("full", "stalled", "all tasks"))
        ),
    ),
    *table(
        "diskIO",
        _device_usage,
        (COUNTER, "container_blkio_device_usage_total", "Bytes moved from and to a block device.", itself),
    ),
    *table(
        "diskIO",
        _io,
        *(
            (
                COUNTER,
                f"container_fs_io_cost_{word}_seconds_total",
                f"Time of a block device {what}, seconds (iocost).",
                seconds(f"cost_{word}_usec"),
            )
            for word, what in (
                ("usage", "charged to it"),
                ("wait", "that it waited for"),
                ("indebt", "in which it was in debt"),
                ("indelay", "in which it was held back for its debt"),
            )
        ),
    ),
    *table(
        "diskIO",
        _disks,
        (COUNTER, "container_fs_sector_reads_total", "Sectors of 512 bytes read.", field("sectors_read")),
        (COUNTER, "container_fs_sector_writes_total", "Sectors of 512 bytes written.", field("sectors_written")),
        (COUNTER, "container_fs_reads_merged_total", "Reads that were merged with another.", field("reads_merged")),
        (COUNTER, "container_fs_writes_merged_total", "Writes that were merged with another.", field("writes_merged")),
        (COUNTER, "container_fs_read_seconds_total", "Time that reads took, seconds.", seconds("read_ms", 1e3)),
        (COUNTER, "container_fs_write_seconds_total", "Time that writes took, seconds.", seconds("write_ms", 1e3)),
        (GAUGE, "container_fs_io_current", "Reads and writes under way.", field("in_flight")),
        (
            COUNTER,
            "container_fs_io_time_seconds_total",
            "Time in which something was under way, seconds.",
            seconds("io_ms", 1e3),
        ),
        (
            COUNTER,
            "container_fs_io_time_weighted_seconds_total",
            "The same, times what was under way, seconds.",
            seconds("weighted_io_ms", 1e3),
        ),
    ),
    *table(
        "disk",
        _file_systems,
        (GAUGE, "container_fs_usage_bytes", "Bytes used: of the file system, or by its own layer.", itemgetter(0)),
        (GAUGE, "container_fs_limit_bytes", "Size of the file system, bytes.", itemgetter(1)),
        (GAUGE, "container_fs_inodes_total", "Inodes of the file system.", itemgetter(2)),
        (GAUGE, "container_fs_inodes_free", "Inodes of the file system that are free.", itemgetter(3)),
    ),
    *table(
        "cpuLoad",
        _tasks,
        (
            GAUGE,
            "container_cpu_load_average_10s",
            "Runnable threads, smoothed over 10 s, in thousandths.",
            _milli("runnable"),
        ),
        (
            GAUGE,
            "container_cpu_load_d_average_10s",
            "Threads in uninterruptible sleep, smoothed over 10 s, in thousandths.",
            _milli("uninterruptible"),
        ),
    ),
    *table("cpuLoad", _task_states, (GAUGE, "container_tasks_state", "Threads by state.", itself)),
    *table(
        "process",
        _tasks,
        (GAUGE, "container_processes", "Processes in the cgroup itself.", field("processes")),
        (GAUGE, "container_file_descriptors", "Open descriptors of its processes.", field("open_files")),
        (GAUGE, "container_sockets", "Open sockets of its processes.", field("sockets")),
    ),
    *table(
        "process",
        _PIDS,
        (GAUGE, "container_threads", "Tasks, those of cgroups below included.", field("current")),
        (GAUGE, "container_threads_max", "Limit of tasks; 0 for none.", lambda pids: pids.max or 0),
    ),
    *table(
        "process",
        _open_files_limits,
        (GAUGE, "container_ulimits_soft", "Soft limit of its first process.", itself),
    ),
    *table(
        "spec",
        _containers,
        (GAUGE, "container_creation_time_seconds", "When it was created, seconds since 1970.", _created),
        (GAUGE, "container_health_state", "1 for healthy, 0 for starting and unhealthy.", healthy),
    ),
    *table(
        "spec",
        _CPU_MAX,
        (GAUGE, "container_spec_cpu_period", "Period of the CPU limit, microseconds.", field("period_usec")),
        (GAUGE, "container_spec_cpu_quota", "CPU time in each period, microseconds.", field("quota_usec")),
    ),
    *table("spec", _DETAIL, (GAUGE, "container_spec_cpu_shares", "Its weight, 1024 for a usual one.", _shares)),
    *table(
        "spec",
        _memory_limit,
        (GAUGE, "container_spec_memory_limit_bytes", "Limit of memory, bytes; 0 for none.", itself),
    ),
    *table(
        "spec",
        _swap_limit,
        (GAUGE, "container_spec_memory_swap_limit_bytes", "Limit of swap, bytes; 0 for none.", itself),
    ),
    *table(
        "spec",
        _DETAIL,
        (
            GAUGE,
            "container_spec_memory_reservation_limit_bytes",
            "Memory that is kept for it, bytes.",
            _reservation,
        ),
    ),
    *table(
        "spec",
        _version,
        (GAUGE, "cadvisor_version_info", "Versions of the kernel, of the system and of this program.", itself),
    ),
    *table(
        "spec",
        whole,
        (GAUGE, "container_scrape_error", "1 if the last reading of the cgroups failed.", failed("cgroup")),
    ),
    *table(
        "machine",
        whole,
        (GAUGE, "machine_scrape_error", "1 if the last reading of the machine failed.", failed("host")),
    ),
    *table(
        "machine",
        _machine,
        (GAUGE, "machine_swap_bytes", "Swap of the machine, bytes.", _of_machine("swap_total_bytes")),
        (GAUGE, "machine_cpu_physical_cores", "Cores.", _of_topology("physical_cores")),
        (GAUGE, "machine_cpu_sockets", "Sockets with a CPU.", _of_topology("sockets")),
    ),
    *table("machine", _dimms(0), (GAUGE, "machine_dimm_count", "Memory modules by kind.", itself)),
    *table("machine", _dimms(1), (GAUGE, "machine_dimm_capacity_bytes", "Their bytes by kind.", itself)),
    # From here on: only where asked for.
    *table(
        "sched",
        _tasks,
        (COUNTER, "container_cpu_schedstat_run_seconds_total", "Time its threads ran, seconds.", field("run_s")),
        (
            COUNTER,
            "container_cpu_schedstat_runqueue_seconds_total",
            "Time its threads waited for a CPU, seconds.",
            field("run_delay_s"),
        ),
        (
            COUNTER,
            "container_cpu_schedstat_run_periods_total",
            "Times its threads were put on a CPU.",
            field("run_periods"),
        ),
    ),
    *table("memory_numa", _numa, (GAUGE, "container_memory_numa_pages", "Pages by node.", itself)),
    *table(
        "hugetlb",
        _hugetlb("current"),
        (GAUGE, "container_hugetlb_usage_bytes", "Huge pages in use or reserved, bytes.", itself),
    ),
    *table(
        "hugetlb",
        _hugetlb("events_max"),
        (COUNTER, "container_hugetlb_failcnt", "Times its limit refused a huge page.", itself),
    ),
    *(
        family
        for group, of_version in (("tcp", _tcp_states), ("udp", _udp_states))
        for version in ("", "6")
        for family in table(
            group,
            of_version(f"{group}{version}"),
            (
                GAUGE,
                f"container_network_{group}{version}_usage_total",
                f"{group.upper()} sockets of version {version or '4'} by state.",
                itself,
            ),
        )
    ),
    *table(
        "advtcp",
        _advanced_tcp,
        (GAUGE, "container_network_advance_tcp_stats_total", "What the kernel counts of TCP, by its keys.", itself),
    ),
    *table("cpu_topology", _caches, (GAUGE, "machine_cpu_cache_capacity_bytes", "Caches of the CPUs, bytes.", itself)),
    *(
        family
        for name, help_, rows in (
            (
                "machine_thread_siblings_count",
                "Threads of a core.",
                _of_nodes("threads", "node_id", "core_id", "thread_id"),
            ),
            (
                "machine_node_memory_capacity_bytes",
                "Memory of a node, bytes.",
                _of_nodes("node_memory_bytes", "node_id"),
            ),
            (
                "machine_node_hugepages_count",
                "Huge pages of a node.",
                _of_nodes("node_hugepages", "node_id", "page_size"),
            ),
            ("machine_node_distance", "How far nodes are.", _of_nodes("node_distances", "node_id", "target_node_id")),
        )
        for family in table("cpu_topology", rows, (GAUGE, name, help_, itself))
    ),
)
