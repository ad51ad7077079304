"""What a sample means beside the one before it: a frozen tree of pods and containers with rates.

``derive`` is pure: the same samples in the same order give the same snapshots, live or replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from operator import is_
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from topcon.model.history import NO_HISTORY, History
from topcon.model.join import Group, Member, join, network_owner
from topcon.model.rates import increase, per_second, share
from topcon.model.sample import (
    NAMESPACE_KINDS,
    InterfaceStat,
    PodKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.pods import Workload
    from topcon.model.sample import (
        CgroupSample,
        ContainerInfo,
        ContainerKey,
        CpuStat,
        HostSample,
        NetnsKey,
        Pressure,
        PressureStat,
        ProcessSample,
        Sample,
    )

STARTS_WINDOW_NS = 300 * 10**9
GONE_FOR_NS = 600 * 10**9
"""How long what ended is remembered after its runtime has forgotten it."""
MOST_GONE = 1000
SAME_START_NS = 10**9
"""Two reports of a start that are closer than this are one start, told by the kernel and by the runtime."""


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

    @property
    def cpu_limit_share(self) -> float | None:
        """Cores used of the cores allowed."""
        return _ratio(self.cpu_cores, self.cpu_limit_cores)

    @property
    def memory_limit_share(self) -> float | None:
        """Working set of the bytes allowed."""
        return _ratio(self.memory_bytes, self.memory_limit_bytes)


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

    @property
    def name(self) -> str:
        """Its name, as the runtime has it: foreign text."""
        return self.info.name

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
    gone: tuple[Gone, ...] = ()
    """Containers that were removed in the last ten minutes, the newest last."""
    oom_kills: Mapping[Place, int] = field(default_factory=lambda: MappingProxyType({}))
    """Processes killed for memory in all containers that were in a place, as long as it is not empty for long."""
    groups: tuple[Group, ...] = ()
    """What the pods were made of; for the next snapshot."""
    is_still: bool = False
    """Whether nothing had changed in any of them since the snapshot before, and nothing does by itself."""


def derive(previous: Snapshot | None, sample: Sample) -> Snapshot:
    """Build the tree of a sample, with rates against the snapshot before it.

    A counter that went back, or a cgroup that is another one under the same path, gives None for its rates. What has
    not changed is the very same object as before: a host of idle containers costs little more than a look at each.
    """
    elapsed_s = (sample.monotonic_ns - previous.sample.monotonic_ns) / 1e9 if previous else None
    if elapsed_s is not None and elapsed_s <= 0:
        previous, elapsed_s = None, None
    groups = join(sample, previous.sample, previous.groups) if previous else join(sample)
    step = _Step(
        previous,
        sample,
        elapsed_s or 0.0,
        tick=previous.tick + 1 if previous else 0,
        gone_before={gone.container.key: gone for gone in previous.gone} if previous else {},
        is_same_tree=previous is not None and groups is previous.groups,
        is_same_host=previous is not None
        and (sample.host.namespaces, sample.host.netns)
        == (previous.sample.host.namespaces, previous.sample.host.netns),
    )
    if previous is None or not step.is_same_tree:
        pods = _pods(step, groups)
    elif _nothing_has_changed(step, previous):
        pods = previous.pods
    else:
        pods = tuple(
            _pod(step, group, [each.is_network_owner for each in before.containers], before)
            for group, before in zip(groups, previous.pods, strict=True)
        )
    if previous is not None and len(pods) == len(previous.pods) and all(map(is_, pods, previous.pods)):
        pods, containers = previous.pods, previous.containers
    else:
        containers = {container.key: container for pod in pods for container in pod.containers}
    gone = _gone(step, containers)
    return Snapshot(
        sample=sample,
        tick=step.tick,
        interval_s=elapsed_s,
        host=_host(step),
        pods=pods,
        containers=containers,
        gone=gone,
        oom_kills=_oom_kills(step, pods, gone),
        groups=groups,
        is_still=all(pod.is_still for pod in pods)
        and all(each.is_still and not each.starts_ns for each in containers.values()),
    )


def place_of(container: ContainerNode, pod: PodNode) -> Place:
    """Tell where a container is, whichever it is."""
    pod_name = "" if pod.kind is PodKind.SINGLE else pod.name
    return Place(container.info.runtime, pod.namespace, pod_name, container.name)


@dataclass(frozen=True, slots=True)
class _Step:
    """From one sample to the next."""

    previous: Snapshot | None
    sample: Sample
    elapsed_s: float
    tick: int
    gone_before: Mapping[ContainerKey, Gone]
    is_same_tree: bool
    """Whether the same containers are there, as the same, in the same pods."""
    is_same_host: bool
    """Whether the host's namespaces are known as they were before."""

    def seconds_of(self, cgroup: CgroupSample) -> float:
        """The time over which a cgroup's counters have grown, but for ``cpu.stat``, which is read every time."""
        return self.elapsed_s if cgroup.since_ns is None else (self.sample.monotonic_ns - cgroup.since_ns) / 1e9

    def networks_of(self, netns: NetnsKey | None) -> tuple[_Interfaces, _Interfaces]:
        """What a network namespace counts now, and what it counted a sample ago; none of the host's."""
        if netns is None or netns == self.sample.host.netns:
            return None, None
        before = self.previous.sample.networks.get(netns) if self.previous else None
        return self.sample.networks.get(netns), before

    def cgroup_before(self, cgroup: CgroupSample) -> CgroupSample | None:
        """The same cgroup a sample ago; None if it is a new one, even under an old path."""
        before = self.previous.sample.cgroups.get(cgroup.path) if self.previous else None
        return before if before is not None and before.inode == cgroup.inode else None

    def node_before(self, key: ContainerKey) -> ContainerNode | None:
        return self.previous.containers.get(key) if self.previous else None

    def last_of(self, key: ContainerKey) -> ContainerNode | None:
        """The container a sample ago, or as it was before it was gone for a while."""
        gone = self.gone_before.get(key)
        return gone.container if gone else self.node_before(key)


def _network_owners(groups: Iterable[Group], host_netns: NetnsKey | None) -> frozenset[ContainerKey]:
    sharing: dict[NetnsKey, list[Member]] = {}
    for group in groups:
        for member in group.members:
            if member.netns is not None and member.netns != host_netns:
                sharing.setdefault(member.netns, []).append(member)
    return frozenset(network_owner(members).key for members in sharing.values())


def _nothing_has_changed(step: _Step, previous: Snapshot) -> bool:
    """Whether all was still, and all that was read is what was read before."""
    sample, before = step.sample, previous.sample
    return (
        previous.is_still
        and step.is_same_host
        and sample.cgroups is before.cgroups
        and sample.networks is before.networks
    )


def _pods(step: _Step, groups: Iterable[Group]) -> tuple[PodNode, ...]:
    owners = _network_owners(groups, step.sample.host.netns)
    before = {pod.key: pod for pod in step.previous.pods} if step.previous else {}
    return tuple(
        _pod(step, group, [member.key in owners for member in group.members], before.get(_pod_key(group)))
        for group in groups
    )


def _pod_key(group: Group) -> str:
    return f"{group.info.kind}:{group.info.id}"


def _pod(step: _Step, group: Group, are_owners: Iterable[bool], before: PodNode | None) -> PodNode:
    """Build a pod; the same as before if nothing in it has changed."""
    containers = tuple(
        _container(step, member, is_network_owner=is_owner)
        for member, is_owner in zip(group.members, are_owners, strict=True)
    )
    info, found = group.info, group.found
    cgroup = step.sample.cgroups.get(found.path) if found else None
    is_still = cgroup is None or step.cgroup_before(cgroup) == cgroup
    starts = [container.started_ns for container in containers if container.started_ns is not None]
    pod = PodNode(
        key=_pod_key(group),
        kind=info.kind,
        name=info.name,
        containers=containers,
        usage=containers[0].usage,
        started_ns=min(starts, default=None),
        namespace=info.namespace,
        uid=info.id if info.kind is PodKind.KUBERNETES else None,
        qos=found.qos if found else None,
        workload=group.workload,
        cgroup=cgroup,
        outer=group.outer,
        is_still=is_still,
    )
    if before is not None and before.is_still and pod._replace(usage=before.usage) == before:
        return before
    if len(containers) > 1:
        pod = pod._replace(usage=_total(containers, before, step.tick))
    if cgroup is not None:
        pod = pod._replace(usage=_of_pod(pod.usage, _cgroup_usage(step, cgroup, before)))
    return pod


def _of_pod(total: Usage, own: Usage) -> Usage:
    """Take what the pod's own cgroup counts; it has no network, and limits and throttling may be its containers'."""
    known = {name: value for name, value in own._asdict().items() if value is not None}
    if total.throttled_share is not None and own.throttled_share is not None:
        known["throttled_share"] = max(total.throttled_share, own.throttled_share)
    return total._replace(**known)


def _container(step: _Step, member: Member, *, is_network_owner: bool) -> ContainerNode:
    """Build a container; the same as before if nothing of it has changed."""
    before = step.node_before(member.key)
    cgroup = step.sample.cgroups.get(member.path) if member.path else None
    network, network_before = step.networks_of(member.netns)
    if (
        before is not None
        and before.is_still
        and before.cgroup == cgroup
        and network == network_before
        and before.process == member.process
        and before.info == member.info
        and before.is_network_owner == is_network_owner
        and before.outer == member.outer
        and (not before.starts_ns or before.starts_ns[0] > step.sample.wall_ns - STARTS_WINDOW_NS)
        and step.is_same_host
    ):
        return before
    started_ns = member.info.started_ns
    if started_ns is None and member.process is not None:
        started_ns = member.process.started_ns
    return ContainerNode(
        key=member.key,
        info=member.info,
        usage=_usage(step, network, network_before, cgroup, before),
        cgroup=cgroup,
        process=member.process,
        outer=member.outer,
        is_network_owner=is_network_owner,
        shared_with_host=_shared_with_host(step.sample.host, member.process),
        started_ns=started_ns,
        starts_ns=_starts(step.sample.wall_ns, started_ns, before),
        oom_seen_ns=_oom_seen(step.sample.monotonic_ns, cgroup, before),
        oom_kills=max(_kills_of(cgroup) or 0, _kills_before(cgroup, started_ns, step.last_of(member.key))),
        is_still=before is not None and before.cgroup == cgroup and network == network_before,
    )


def _usage(
    step: _Step,
    network: _Interfaces,
    network_before: _Interfaces,
    cgroup: CgroupSample | None,
    before: ContainerNode | None,
) -> Usage:
    own = _cgroup_usage(step, cgroup, before) if cgroup is not None else Usage()
    if network is None:
        return own
    now, old = _outward(network), None if network_before is None else _outward(network_before)
    return own._replace(
        rx_bytes=sum(stat.rx_bytes for stat in now.values()),
        tx_bytes=sum(stat.tx_bytes for stat in now.values()),
        rx_bytes_per_second=_rate_of_all(now, old, "rx_bytes", step.elapsed_s),
        tx_bytes_per_second=_rate_of_all(now, old, "tx_bytes", step.elapsed_s),
    )


def _cgroup_usage(step: _Step, cgroup: CgroupSample, before: ContainerNode | PodNode | None) -> Usage:
    old = step.cgroup_before(cgroup)
    seconds = step.seconds_of(cgroup)
    cpu, memory, pids = cgroup.cpu, cgroup.memory, cgroup.pids
    old_io = old.io if old else None
    cores = _cores(cpu, old.cpu if old else None, step.elapsed_s)
    limit_cores = cgroup.cpu_max.cores if cgroup.cpu_max else None
    is_same = before is not None and before.cgroup is not None and before.cgroup.inode == cgroup.inode
    past = before.usage.cpu_history if before is not None and is_same else NO_HISTORY
    return Usage(
        cpu_cores=cores,
        cpu_limit_cores=limit_cores,
        throttled_share=_throttled(cpu, old.cpu if old else None) if limit_cores is not None else None,
        memory_bytes=memory.working_set if memory else None,
        memory_limit_bytes=memory.max if memory else None,
        pressure=_pressure(cgroup.pressure, old.pressure if old else None, seconds),
        read_bytes_per_second=_rate_of_all(cgroup.io, old_io, "rbytes", seconds),
        write_bytes_per_second=_rate_of_all(cgroup.io, old_io, "wbytes", seconds),
        pids=pids.current if pids else None,
        pids_limit=pids.max if pids else None,
        cpu_history=past.grown(step.tick, cores),
    )


def _cores(cpu: CpuStat | None, old: CpuStat | None, elapsed_s: float) -> float | None:
    rate = per_second(cpu.usage_usec, old.usage_usec, elapsed_s) if cpu and old else None
    return None if rate is None else rate / 1e6


def _throttled(cpu: CpuStat | None, old: CpuStat | None) -> float | None:
    if cpu is None or old is None:
        return None
    return share(increase(cpu.nr_throttled, old.nr_throttled), increase(cpu.nr_periods, old.nr_periods))


def _rate_of_all(
    now: Mapping[_Key, object] | None, old: Mapping[_Key, object] | None, name: str, elapsed_s: float
) -> float | None:
    """Add up one counter of many devices: a new one counts from 0, one that went back makes the sum unknown."""
    if now is None or old is None or elapsed_s <= 0:
        return None
    total = 0
    for key, stat in now.items():
        grown = increase(getattr(stat, name), getattr(old[key], name) if key in old else 0)
        if grown is None:
            return None
        total += grown
    return total / elapsed_s


_Interfaces = Mapping[str, InterfaceStat] | None


def _outward(interfaces: Mapping[str, InterfaceStat]) -> Mapping[str, InterfaceStat]:
    """Leave the loopback out."""
    return {name: stat for name, stat in interfaces.items() if name != "lo"}


def _pressure(now: PressureStat | None, old: PressureStat | None, elapsed_s: float) -> PressureShares | None:
    if now is None:
        return None
    return PressureShares(
        cpu=_stalled(now.cpu, old.cpu if old else None, elapsed_s),
        memory=_stalled(now.memory, old.memory if old else None, elapsed_s),
        io=_stalled(now.io, old.io if old else None, elapsed_s),
    )


def _stalled(now: Pressure | None, old: Pressure | None, elapsed_s: float) -> PressureShare | None:
    if now is None or old is None:
        return None
    some = per_second(now.some_usec, old.some_usec, elapsed_s)
    full = per_second(now.full_usec, old.full_usec, elapsed_s)
    return PressureShare(_of_a_second(some), _of_a_second(full))


def _of_a_second(usec_per_second: float | None) -> float | None:
    return None if usec_per_second is None else min(usec_per_second / 1e6, 1.0)


def _shared_with_host(host: HostSample, process: ProcessSample | None) -> tuple[str, ...]:
    """The namespaces it has in common with process 1; for a reader who may not look, those that show otherwise."""
    if process is None:
        return ()
    shows_otherwise = {
        "net": process.netns is not None and process.netns == host.netns,
        "pid": len(process.ns_pids) == 1,
    }

    def is_shared(kind: str) -> bool:
        own, hosts = getattr(process.namespaces, kind), getattr(host.namespaces, kind)
        return shows_otherwise.get(kind, False) if None in (own, hosts) else own == hosts

    return tuple(kind for kind in NAMESPACE_KINDS if is_shared(kind))


def _starts(wall_ns: int, started_ns: int | None, before: ContainerNode | None) -> tuple[int, ...]:
    known = before.starts_ns if before else ()
    if started_ns is not None:
        if known and abs(started_ns - known[-1]) < SAME_START_NS:
            known = (*known[:-1], started_ns)
        elif not known or started_ns > known[-1]:
            known = (*known, started_ns)
    return tuple(start for start in known if start > wall_ns - STARTS_WINDOW_NS)


def _oom_seen(monotonic_ns: int, cgroup: CgroupSample | None, before: ContainerNode | None) -> int | None:
    if before is None:
        return None
    kills = _kills_of(cgroup)
    old = _kills_of(before.cgroup) if _is_same_cgroup(cgroup, before.cgroup) else 0
    return monotonic_ns if increase(kills, old) else before.oom_seen_ns


def _kills_before(cgroup: CgroupSample | None, started_ns: int | None, before: ContainerNode | None) -> int:
    """Return how many OOM kills were known of already, in the run that a container is in."""
    if before is None:
        return 0
    if cgroup is not None and before.cgroup is not None:
        return before.oom_kills if cgroup.inode == before.cgroup.inode else 0
    return before.oom_kills if _is_same_run(started_ns, before) else 0


def _kills_of(cgroup: CgroupSample | None) -> int | None:
    return cgroup.memory.oom_kill if cgroup and cgroup.memory else None


def _is_same_cgroup(now: CgroupSample | None, before: CgroupSample | None) -> bool:
    return now is not None and before is not None and now.inode == before.inode


def _is_same_run(started_ns: int | None, before: ContainerNode) -> bool:
    """Whether a container was not started in between; a start that is not known is none."""
    if started_ns is None or before.started_ns is None:
        return True
    return abs(started_ns - before.started_ns) < SAME_START_NS


def _gone(step: _Step, containers: Mapping[ContainerKey, ContainerNode]) -> tuple[Gone, ...]:
    if step.previous is None:
        return ()
    now_ns = step.sample.monotonic_ns
    if containers is step.previous.containers and not step.previous.gone:
        return ()
    still = [
        gone
        for gone in step.previous.gone
        if now_ns - gone.since_ns <= GONE_FOR_NS and gone.container.key not in containers
    ]
    if step.previous.containers.keys() <= containers.keys():
        # Mostly nothing has changed: the same object then.
        return step.previous.gone if len(still) == len(step.previous.gone) else tuple(still)
    still += [
        Gone(container._replace(cgroup=None, process=None), pod, now_ns)
        for pod in step.previous.pods
        for container in pod.containers
        if container.key not in containers
    ]
    return tuple(still[-MOST_GONE:])


def _oom_kills(step: _Step, pods: tuple[PodNode, ...], gone: tuple[Gone, ...]) -> Mapping[Place, int]:
    """Add up the kills of all that have been in a place: a new container counts from 0 again, this does not."""
    previous = step.previous
    if previous is not None and gone is previous.gone and step.is_same_tree:
        return _more_oom_kills(previous, pods)
    before = previous.oom_kills if previous else {}
    counts = {place: before.get(place, 0) for place in (place_of(each.container, each.pod) for each in gone)}
    renamed: list[tuple[ContainerKey, Place]] = []
    for pod in pods:
        for container in pod.containers:
            place, was = place_of(container, pod), step.last_of(container.key)
            if place not in counts:
                counts[place] = before.get(place, 0)
            counts[place] += _counted_kills(container, was)
            if was is not None and was.info.source is not container.info.source:
                renamed.append((container.key, place))
    # They have got their names only now, or have lost them.
    was_at = _places_before(step) if renamed else {}
    for key, place in renamed:
        nameless = was_at[key]
        counts[place] += before.get(nameless, 0) if nameless != place else 0
    return counts


def _more_oom_kills(previous: Snapshot, pods: Iterable[PodNode]) -> Mapping[Place, int]:
    """Add the kills of those that have changed; all are in the places where they were."""
    counts: Mapping[Place, int] = previous.oom_kills
    for pod, old in zip(pods, previous.pods, strict=True):
        if pod is old:
            continue
        for container, was in zip(pod.containers, old.containers, strict=True):
            if container is not was and (count := _counted_kills(container, was)):
                place = place_of(container, pod)
                counts = {**counts, place: counts[place] + count}
    return counts


def _places_before(step: _Step) -> dict[ContainerKey, Place]:
    pods = step.previous.pods if step.previous else ()
    places = {container.key: place_of(container, pod) for pod in pods for container in pod.containers}
    return places | {key: place_of(gone.container, gone.pod) for key, gone in step.gone_before.items()}


def _counted_kills(container: ContainerNode, before: ContainerNode | None) -> int:
    """Count the kills since the last sample: the kernel's, or else the one that the runtime tells of.

    The cgroup of a container whose first process was killed is gone before it can be read: its runtime knows of that.
    """
    info = container.info
    seen = container.oom_kills - _kills_before(container.cgroup, container.started_ns, before)
    # Runtimes repeat it until the next end, some even while it runs again.
    was_told = before is not None and before.info.oom_killed and before.info.finished_ns == info.finished_ns
    if seen or not info.oom_killed or was_told or container.oom_kills:
        return seen
    if before is not None and info.state.is_live:
        # It can only be about the run before: of this one the kernel tells.
        return int(not before.oom_kills and not _is_same_run(container.started_ns, before))
    return 1


def _host(step: _Step) -> HostNode:
    sample = step.sample.host
    before = step.previous.host if step.previous else None
    old = before.sample if before else None
    cores = None
    if old is not None and step.elapsed_s > 0 and sample.cpu_busy_s >= old.cpu_busy_s:
        cores = (sample.cpu_busy_s - old.cpu_busy_s) / step.elapsed_s
    pressure = _pressure(sample.pressure, old.pressure if old else None, step.elapsed_s)

    def some(line: PressureShare | None) -> float | None:
        return line.some if line else None

    def grown(name: str, value: float | None) -> History:
        return (getattr(before, name) if before else NO_HISTORY).grown(step.tick, value)

    return HostNode(
        sample=sample,
        cpu_cores=cores,
        pressure=pressure,
        cpu_history=grown("cpu_history", _ratio(cores, sample.cpus)),
        memory_history=grown("memory_history", _ratio(sample.memory_used_bytes, sample.memory_total_bytes)),
        cpu_pressure_history=grown("cpu_pressure_history", some(pressure.cpu) if pressure else None),
        memory_pressure_history=grown("memory_pressure_history", some(pressure.memory) if pressure else None),
        io_pressure_history=grown("io_pressure_history", some(pressure.io) if pressure else None),
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _total(containers: tuple[ContainerNode, ...], before: PodNode | None, tick: int) -> Usage:
    """A pod's usage: sums, but each network namespace once, and the worst of throttling and pressure.

    A nested container's counters are in its outer one's already.
    """
    keys = {container.key for container in containers}
    all_usages = [container.usage for container in containers]
    usages = [container.usage for container in containers if container.outer not in keys]
    networks = [container.usage for container in containers if container.is_network_owner]
    cores = _sum(usage.cpu_cores for usage in usages)
    return Usage(
        cpu_cores=cores,
        cpu_limit_cores=_sum_if_all(usage.cpu_limit_cores for usage in usages),
        throttled_share=_max(usage.throttled_share for usage in all_usages),
        memory_bytes=_sum(usage.memory_bytes for usage in usages),
        memory_limit_bytes=_sum_if_all(usage.memory_limit_bytes for usage in usages),
        pressure=_worst_pressure([usage.pressure for usage in all_usages if usage.pressure]),
        rx_bytes=_sum(usage.rx_bytes for usage in networks),
        tx_bytes=_sum(usage.tx_bytes for usage in networks),
        rx_bytes_per_second=_sum(usage.rx_bytes_per_second for usage in networks),
        tx_bytes_per_second=_sum(usage.tx_bytes_per_second for usage in networks),
        read_bytes_per_second=_sum(usage.read_bytes_per_second for usage in usages),
        write_bytes_per_second=_sum(usage.write_bytes_per_second for usage in usages),
        pids=_sum(usage.pids for usage in usages),
        cpu_history=(before.usage.cpu_history if before else NO_HISTORY).grown(tick, cores),
    )


def _worst_pressure(pressures: list[PressureShares]) -> PressureShares | None:
    if not pressures:
        return None

    def worst(name: str) -> PressureShare | None:
        lines: list[PressureShare] = [line for each in pressures if (line := getattr(each, name)) is not None]
        return PressureShare(_max(line.some for line in lines), _max(line.full for line in lines)) if lines else None

    return PressureShares(worst("cpu"), worst("memory"), worst("io"))


_Key = TypeVar("_Key")
_Number = TypeVar("_Number", int, float)


def _sum(values: Iterable[_Number | None]) -> _Number | None:
    """Of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


def _sum_if_all(values: Iterable[_Number | None]) -> _Number | None:
    """None as soon as one has none: the whole is then without a limit."""
    values = list(values)
    return None if None in values else _sum(values)


def _max(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
