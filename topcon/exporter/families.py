"""The metric families: a table. ``container_*`` and ``machine_*`` have cAdvisor's names, labels and units.

cAdvisor: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
What has no source on this host is left out: a false 0 is worse than no series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topcon.model.sample import CgroupSample, CpuStat, InterfaceStat, IoStat, MemoryStat
    from topcon.model.snapshot import ContainerNode, Snapshot

COUNTER, GAUGE = "counter", "gauge"

SKIPPED_INTERFACES = ("lo", "veth", "docker", "nerdctl")
"""The beginnings of the names of interfaces that cAdvisor leaves out."""

ALLOWED_LABELS = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.project.working_dir",
    "com.docker.swarm.node.id",
    "com.docker.swarm.service.name",
    "com.docker.swarm.task.name",
    "com.docker.stack.namespace",
    "org.label-schema.group",
)
"""The container labels that become ``container_label_*``: those that well-known dashboards ask for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a ``container_*`` sample is of: a cgroup, and the container if it is one's."""

    snapshot: Snapshot
    cgroup: CgroupSample
    container: ContainerNode | None
    labels: tuple[str, ...]
    """Values for the names that `label_names` gives."""

    @property
    def is_root(self) -> bool:
        """Whether it is the whole host."""
        return self.cgroup.path == "/"


Value = tuple[tuple[str, ...], float]
"""Values of a family's own labels, and the sample's value."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family of cgroups and containers."""

    name: str
    type: str
    help: str
    values: Callable[[Subject], Iterable[Value]]
    labels: tuple[str, ...] = ()
    """Its own labels, beside those of the subject."""


def label_names(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the labels of every ``container_*`` sample in the Docker mode: allowed ones that no container has, not."""
    used = {name for container in snapshot.containers.values() for name in container.info.labels}
    return ("id", "image", "name", *(_label_name(name) for name in ALLOWED_LABELS if name in used))


def _label_name(name: str) -> str:
    return "container_label_" + "".join(letter if letter.isalnum() else "_" for letter in name)


def subjects(snapshot: Snapshot) -> Iterator[Subject]:
    """Yield all cgroups of a snapshot, by path."""
    used = {name for container in snapshot.containers.values() for name in container.info.labels}
    allowed = [name for name in ALLOWED_LABELS if name in used]
    containers = {container.cgroup.path: container for container in snapshot.containers.values() if container.cgroup}
    for path, cgroup in sorted(snapshot.sample.cgroups.items()):
        container = containers.get(path)
        info = container.info if container else None
        values = (
            (info.image or "") if info else "",
            info.name if info else "",
            *((info.labels.get(name, "") if info else "") for name in allowed),
        )
        labels = (_file_name(path), *(printable(value) for value in values))
        yield Subject(snapshot, cgroup, container, labels)


def _file_name(name: str) -> str:
    """Escape the name of a cgroup or an interface so that no two become one: after a slash, which they cannot hold."""
    if printable(name) == name:
        return name
    return "".join(each if printable(each) == each else f"//{printable(each)}" for each in name)


def _one(value: float | None) -> tuple[Value, ...]:
    return () if value is None else (((), value),)


def _cpu(
    getter: Callable[[CpuStat], int | None], *, needs_quota: bool, scale: float
) -> Callable[[Subject], tuple[Value, ...]]:
    def values(subject: Subject) -> tuple[Value, ...]:
        cpu, limit = subject.cgroup.cpu, subject.cgroup.cpu_max
        if cpu is None or (needs_quota and (limit is None or limit.quota_usec is None)):
            return ()
        value = getter(cpu)
        return () if value is None else _one(value * scale)

    return values


def _cpu_usage(subject: Subject) -> tuple[Value, ...]:
    cpu = subject.cgroup.cpu
    return ((("total",), cpu.usage_usec / 1e6),) if cpu is not None and cpu.usage_usec else ()


def _memory(getter: Callable[[Subject, MemoryStat], int | None]) -> Callable[[Subject], tuple[Value, ...]]:
    def values(subject: Subject) -> tuple[Value, ...]:
        return _one(getter(subject, subject.cgroup.memory)) if subject.cgroup.memory else ()

    return values


def _working_set(subject: Subject, memory: MemoryStat) -> int | None:
    """The root cgroup of version 2 has no ``memory.current``: its pages are counted instead."""
    if memory.current is None and subject.is_root and None not in (memory.anon, memory.file, memory.inactive_file):
        return max((memory.anon or 0) + (memory.file or 0) - (memory.inactive_file or 0), 0)
    return memory.working_set


def _swap(subject: Subject, memory: MemoryStat) -> int | None:
    return subject.snapshot.sample.host.swap_used_bytes if subject.is_root else memory.swap_current


def _network(field: str) -> Callable[[Subject], Iterator[Value]]:
    def values(subject: Subject) -> Iterator[Value]:
        for name, stat in _interfaces(subject).items():
            if not name.startswith(SKIPPED_INTERFACES):
                yield (_file_name(name),), getattr(stat, field)

    return values


def _interfaces(subject: Subject) -> Mapping[str, InterfaceStat]:
    """The network namespace of a subject that owns one: so each is counted once."""
    sample = subject.snapshot.sample
    if subject.is_root:
        netns = sample.host.netns
    elif subject.container is not None and subject.container.is_network_owner:
        netns = subject.container.netns
    else:
        netns = None
    return sample.networks.get(netns, {}) if netns is not None else {}


def _io(field: str) -> Callable[[Subject], Iterator[Value]]:
    def values(subject: Subject) -> Iterator[Value]:
        names = subject.snapshot.sample.host.devices
        by_name: dict[str, int] = {}
        devices: Mapping[tuple[int, int], IoStat] = subject.cgroup.io or {}
        for device, stat in devices.items():
            name = f"/dev/{names[device]}" if device in names else ""
            by_name[name] = by_name.get(name, 0) + getattr(stat, field)
        for name, value in by_name.items():
            yield (name,), value

    return values


def _last_seen(subject: Subject) -> tuple[Value, ...]:
    return _one(subject.snapshot.sample.wall_ns // 10**9)


def _start_time(subject: Subject) -> tuple[Value, ...]:
    sample = subject.snapshot.sample
    if subject.is_root:
        return _one(int(sample.wall_ns / 1e9 - sample.host.uptime_s))
    started_ns = subject.container.started_ns if subject.container else None
    return () if started_ns is None else _one(started_ns // 10**9)


_INTERFACE, _DEVICE = ("interface",), ("device",)

CONTAINER_FAMILIES = (
    Family("container_cpu_usage_seconds_total", COUNTER, "CPU time used, seconds.", _cpu_usage, ("cpu",)),
    Family(
        "container_cpu_cfs_periods_total",
        COUNTER,
        "Periods of the CPU limit in which it wanted to run.",
        _cpu(lambda cpu: cpu.nr_periods, needs_quota=True, scale=1),
    ),
    Family(
        "container_cpu_cfs_throttled_periods_total",
        COUNTER,
        "Periods of the CPU limit in which it was throttled.",
        _cpu(lambda cpu: cpu.nr_throttled, needs_quota=True, scale=1),
    ),
    Family(
        "container_memory_working_set_bytes",
        GAUGE,
        "Memory charged to it, less the inactive page cache, bytes.",
        _memory(_working_set),
    ),
    Family("container_memory_rss", GAUGE, "Anonymous memory, bytes.", _memory(lambda _, memory: memory.anon)),
    Family("container_memory_cache", GAUGE, "Page cache, bytes.", _memory(lambda _, memory: memory.file)),
    Family("container_memory_swap", GAUGE, "Swap used, bytes.", _memory(_swap)),
    Family("container_network_receive_bytes_total", COUNTER, "Bytes received.", _network("rx_bytes"), _INTERFACE),
    Family("container_network_receive_packets_total", COUNTER, "Packets received.", _network("rx_packets"), _INTERFACE),
    Family(
        "container_network_receive_packets_dropped_total",
        COUNTER,
        "Packets dropped while receiving.",
        _network("rx_drop"),
        _INTERFACE,
    ),
    Family("container_network_transmit_bytes_total", COUNTER, "Bytes sent.", _network("tx_bytes"), _INTERFACE),
    Family("container_network_transmit_packets_total", COUNTER, "Packets sent.", _network("tx_packets"), _INTERFACE),
    Family(
        "container_network_transmit_packets_dropped_total",
        COUNTER,
        "Packets dropped while sending.",
        _network("tx_drop"),
        _INTERFACE,
    ),
    Family("container_fs_reads_total", COUNTER, "Reads from a block device.", _io("rios"), _DEVICE),
    Family("container_fs_writes_total", COUNTER, "Writes to a block device.", _io("wios"), _DEVICE),
    Family("container_fs_reads_bytes_total", COUNTER, "Bytes read from a block device.", _io("rbytes"), _DEVICE),
    Family("container_fs_writes_bytes_total", COUNTER, "Bytes written to a block device.", _io("wbytes"), _DEVICE),
    Family("container_last_seen", GAUGE, "When it was last seen, seconds since 1970.", _last_seen),
    Family("container_start_time_seconds", GAUGE, "When it was started, seconds since 1970.", _start_time),
)


@dataclass(frozen=True, slots=True)
class Own:
    """A family of the machine, or of topcon itself."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Callable[[Snapshot, Self], Iterable[Value]]


@dataclass(frozen=True, slots=True)
class Self:
    """What topcon knows of itself at a scrape."""

    version: str
    python_version: str
    tick_s: float
    age_s: float
    """Seconds since the snapshot was taken."""


def _machine_labels(snapshot: Snapshot) -> tuple[str, ...]:
    machine = snapshot.sample.host.machine
    return machine.boot_id, machine.machine_id, machine.system_uuid


def _sources(snapshot: Snapshot, _: Self) -> Iterator[Value]:
    """Yield the kernel's sources and each runtime; two of a name are told apart by their sockets."""
    broken = {problem.source for problem in snapshot.sample.problems}
    for name in ("cgroup", "processes"):
        yield (name,), float(name not in broken)
    runtimes = snapshot.sample.runtimes
    for runtime in runtimes:
        is_only = sum(other.name == runtime.name for other in runtimes) == 1
        yield (runtime.name if is_only else f"{runtime.name}:{runtime.socket}",), float(runtime.up)


_MACHINE = ("boot_id", "machine_id", "system_uuid")

OWN_FAMILIES = (
    Own(
        "machine_cpu_cores",
        "Logical CPUs that are online.",
        _MACHINE,
        lambda snapshot, _: ((_machine_labels(snapshot), snapshot.sample.host.cpus),),
    ),
    Own(
        "machine_memory_bytes",
        "Memory of the machine, bytes.",
        _MACHINE,
        lambda snapshot, _: ((_machine_labels(snapshot), snapshot.sample.host.memory_total_bytes),),
    ),
    Own("topcon_source_up", "Whether a source could be read: 1, or 0.", ("source",), _sources),
    Own(
        "topcon_tick_duration_seconds",
        "How long the last reading of all sources took, seconds.",
        (),
        lambda _, own: _one(own.tick_s),
    ),
    Own(
        "topcon_snapshot_age_seconds",
        "How old the values are, seconds.",
        (),
        lambda _, own: _one(own.age_s),
    ),
    Own(
        "topcon_build_info",
        "The version of topcon, and of Python under it.",
        ("version", "python_version"),
        lambda _, own: (((own.version, own.python_version), 1.0),),
    ),
)
