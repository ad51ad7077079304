"""What a sample means beside the one before it: a frozen tree of pods and containers with rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.course import NO_COURSE, NO_TIMES, Course, Times
from topcon.model.event import NO_EVENTS, Events
from topcon.model.history import NO_HISTORY, History
from topcon.model.rates import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.join import Group
    from topcon.model.pods import Workload
    from topcon.model.sample import (
        CgroupPath,
        CgroupSample,
        ContainerInfo,
        ContainerKey,
        HostSample,
        NetnsKey,
        PodKind,
        ProcessSample,
        Sample,
    )


class Severity(IntEnum):
    """How bad a finding is; a greater one is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or worth knowing."""

    code: str
    severity: Severity
    target: str
    """The key of the container, pod or runtime."""
    summary: str
    advice: str
    """What can be done."""
    evidence: str = ""
    """Numbers and limits, and who else has to do with it; empty where the summary says it all."""
    means: str = ""
    """What it comes to, in a sentence."""
    since_ns: int | None = field(default=None, compare=False)
    """Since when it has held without a break, on the monotonic clock, as far as it was seen."""
    limited_by: CgroupPath | None = None
    """The cgroup above the container whose limit it is; None for its own."""


class PressureShare(NamedTuple):
    """Shares of the last interval, from 0 to 1, in which some or all tasks were stalled."""

    some: float | None
    full: float | None


class PressureShares(NamedTuple):
    """The pressures of a cgroup, a pod or the host over the last interval."""

    cpu: PressureShare | None = None
    memory: PressureShare | None = None
    io: PressureShare | None = None

    @property
    def worst_some(self) -> float | None:
        """The greatest share in which some task waited for something; None where the kernel does not say."""
        known = [line.some for line in (self.cpu, self.memory, self.io) if line and line.some is not None]
        return max(known, default=None)


class Usage(NamedTuple):
    """What a container or a pod uses: levels now, and rates over the last interval."""

    cpu_cores: float | None = None
    cpu_limit_cores: float | None = None
    throttled_share: float | None = None
    """Of the periods in which it wanted to run; None without a limit."""
    memory_bytes: int | None = None
    """Its working set."""
    memory_limit_bytes: int | None = None
    pressure: PressureShares | None = None
    rx_bytes: int | None = None
    """Counters of its network namespace without the loopback; None on the host's network."""
    tx_bytes: int | None = None
    rx_bytes_per_second: float | None = None
    tx_bytes_per_second: float | None = None
    read_bytes_per_second: float | None = None
    write_bytes_per_second: float | None = None
    pids: int | None = None
    pids_limit: int | None = None
    cpu_history: History = NO_HISTORY
    """Cores in each of the last intervals."""
    anon_bytes: int | None = None
    """Of the memory: what no file holds."""
    file_bytes: int | None = None
    """The page cache, of which the working set has only what was used lately."""
    course: Course = NO_COURSE
    """All of it over the last hour; it outlives a restart."""

    @property
    def cpu_limit_share(self) -> float | None:
        """Cores used of the cores allowed."""
        return ratio(self.cpu_cores, self.cpu_limit_cores)

    @property
    def memory_limit_share(self) -> float | None:
        """Working set of the bytes allowed."""
        return ratio(self.memory_bytes, self.memory_limit_bytes)


class ContainerNode(NamedTuple):
    """A container in the tree."""

    key: ContainerKey
    info: ContainerInfo
    usage: Usage
    cgroup: CgroupSample | None = None
    process: ProcessSample | None = None
    outer: ContainerKey | None = None
    """The container that it is nested in."""
    is_network_owner: bool = False
    """Whether the counters of its network namespace are shown as its own; one container of each namespace."""
    shared_with_host: tuple[str, ...] = ()
    started_ns: int | None = None
    starts_ns: tuple[int, ...] = ()
    """Its starts within the last five minutes, the newest last."""
    oom_seen_ns: int | None = None
    """When, on the monotonic clock, its count of OOM kills was last seen to grow."""
    oom_kills: int = 0
    """Processes in it that the kernel is known to have killed for memory since it was last started."""
    is_still: bool = False
    """Whether nothing had changed since the sample before, so that all its rates are 0."""
    gone_ns: int | None = None
    """When it was first missed, nanoseconds since 1970; None for what is there."""

    @property
    def name(self) -> str:
        """Its name, as the runtime has it: foreign text."""
        return self.info.name

    @property
    def is_gone(self) -> bool:
        """Whether it was removed, so that this is its tombstone."""
        return self.gone_ns is not None

    @property
    def netns(self) -> NetnsKey | None:
        """Its network namespace."""
        return self.process.netns if self.process else None


class PodNode(NamedTuple):
    """Containers that belong together; a container by itself is a pod of kind single."""

    key: str
    kind: PodKind
    name: str
    """Foreign text."""
    containers: tuple[ContainerNode, ...]
    usage: Usage
    started_ns: int | None = None
    """When its first container was started."""
    namespace: str | None = None
    """Kubernetes' namespace."""
    uid: str | None = None
    """Kubernetes' uid."""
    qos: str | None = None
    workload: Workload | None = None
    cgroup: CgroupSample | None = None
    """Its own cgroup, where it has one: the usage is then read there."""
    outer: ContainerKey | None = None
    """The container that it is nested in."""
    is_still: bool = False
    """Whether nothing had changed in its own cgroup since the sample before."""

    @property
    def is_gone(self) -> bool:
        """Whether it is a pod of tombstones."""
        return bool(self.containers) and all(each.is_gone for each in self.containers)

    @property
    def title(self) -> str:
        """Its name with the namespace that tells it from others."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def shared_volumes(self) -> Mapping[str, tuple[ContainerKey, ...]]:
        """The sources of the volumes that more than one of its containers sees, and who."""
        seen: dict[str, dict[ContainerKey, None]] = {}
        for container in self.containers:
            for volume in container.info.volumes:
                seen.setdefault(volume.source, {})[container.key] = None
        return {source: tuple(keys) for source, keys in seen.items() if len(keys) > 1}


@dataclass(frozen=True, slots=True)
class Gone:
    """A container that was there, and is not any more."""

    container: ContainerNode
    """As it was last seen, without its cgroup and process."""
    pod: PodNode
    """The pod that it was in."""
    since_ns: int
    """When it was first missed, on the monotonic clock."""
    tombstone: ContainerNode | None = None
    """What is shown of it: how it ended, and what it used before; None for what nobody would look for."""


class Place(NamedTuple):
    """What stays of a container when it is replaced: a new one of the same name in the same pod takes its place."""

    runtime: str
    namespace: str | None
    pod: str
    """Empty for a container by itself."""
    name: str


@dataclass(frozen=True, slots=True)
class HostNode:
    """The host's totals with their rates."""

    sample: HostSample
    cpu_cores: float | None
    pressure: PressureShares | None
    cpu_history: History = NO_HISTORY
    """Share of all CPUs in each of the last intervals."""
    memory_history: History = NO_HISTORY
    """Share of the memory."""
    cpu_pressure_history: History = NO_HISTORY
    memory_pressure_history: History = NO_HISTORY
    io_pressure_history: History = NO_HISTORY


class Cost(NamedTuple):
    """What topcon costs, over the last ten seconds or so. Shares are of one core."""

    cpu_share: float | None
    daemons_share: float | None
    """What the runtimes' daemons use to answer it."""
    rss_bytes: int | None
    interval_s: float
    """At which it samples now."""
    is_slowed: bool
    """Whether that is slower than was asked for, to stay within the budget."""


class PodPlaces(NamedTuple):
    """In which pods, by their place among all, something is counted."""

    of_cgroups: Mapping[CgroupPath, int]
    of_networks: Mapping[NetnsKey, tuple[int, ...]]


NOWHERE = PodPlaces({}, {})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tree at one moment."""

    sample: Sample
    tick: int
    """How many snapshots came before it."""
    interval_s: float | None
    """Seconds since the sample that the rates are measured from; None in the first snapshot."""
    host: HostNode
    pods: tuple[PodNode, ...]
    containers: Mapping[ContainerKey, ContainerNode]
    findings: tuple[Finding, ...] = ()
    events: Events = NO_EVENTS
    """What has happened since topcon was started; the very same object if nothing has."""
    gone: tuple[Gone, ...] = ()
    """Containers that were removed in the last ten minutes, the newest last."""
    tombs: tuple[PodNode, ...] = ()
    """Their tombstones, in the pods that they were in, the newest first: such a pod may be there itself too."""
    oom_kills: Mapping[Place, int] = field(default_factory=lambda: MappingProxyType({}))
    """Processes killed for memory in all containers that were in a place, as long as it is not empty for long."""
    groups: tuple[Group, ...] = ()
    """What the pods were made of; for the next snapshot."""
    places: PodPlaces = NOWHERE
    """Which of the pods has what; for the next snapshot."""
    restless: frozenset[int] = frozenset()
    """Which of the pods had changed since the snapshot before."""
    oldest_start_ns: int | None = None
    """The first of all starts that its containers remember."""
    cost: Cost | None = None
    """What topcon itself costs; None for a host that was captured or recorded."""
    replicas: tuple[tuple[ContainerKey, ...], ...] = ()
    """Those that do the same, three of them at least."""
    times: Times = NO_TIMES
    """When the last ticks were."""
