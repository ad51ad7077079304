"""From one sample to the next snapshot.

``derive`` is pure: the same samples in the same order give the same snapshots, live or replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, TypeVar, cast

from topcon.model.cost import daemons_cpu_s, own_cpu_s, smoothed
from topcon.model.course import NO_COURSE, NO_TIMES
from topcon.model.history import NO_HISTORY
from topcon.model.join import Group, Member, is_joined_alike, join, network_owner
from topcon.model.rates import increase, per_second, ratio, share
from topcon.model.replicas import replicas_of
from topcon.model.sample import NAMESPACE_KINDS, InterfaceStat, PodKind
from topcon.model.snapshot import (
    NOWHERE,
    ContainerNode,
    Cost,
    Gone,
    HostNode,
    Place,
    PodNode,
    PodPlaces,
    PressureShare,
    PressureShares,
    Snapshot,
    Usage,
)
from topcon.model.tombstones import NO_END, TOLD_FOR_NS, buried, ends_of, in_pods, retold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from topcon.model.course import Course
    from topcon.model.history import History
    from topcon.model.sample import (
        CgroupPath,
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


NOT_STALLED = PressureShare(0.0, 0.0)
_NO_PRESSURES = PressureShares()
_NetworkUse = tuple[int | None, int | None, float | None, float | None]
"""Bytes received and sent, and the same a second."""
_NO_NETWORK: _NetworkUse = (None, None, None, None)


def derive(previous: Snapshot | None, sample: Sample) -> Snapshot:
    """Build the tree of a sample, with rates against the snapshot before it.

    A counter that went back, or a cgroup that is another one under the same path, gives None for its rates. What has
    not changed is the very same object as before: a host of idle containers costs little more than a look at each.
    """
    elapsed_s = (sample.monotonic_ns - previous.sample.monotonic_ns) / 1e9 if previous else None
    if elapsed_s is not None and elapsed_s <= 0:
        previous, elapsed_s = None, None
    groups = join(sample, previous.sample, previous.groups) if previous and previous.groups else join(sample)
    places = previous.places if previous is not None and groups is previous.groups else _places_of(groups)
    # What has only begun has no pods yet, though it may know who belongs together.
    is_same_tree = previous is not None and groups is previous.groups and len(previous.pods) == len(groups)
    step = _step(previous, sample, elapsed_s, is_same_tree=is_same_tree)
    if previous is None or not step.is_same_tree:
        pods = _pods(step, groups)
        anew: Iterable[int] = range(len(pods))
    else:
        anew = _changed(step, previous)
        pods = _pods_anew(step, previous, anew)
    containers = _containers(previous, pods, anew, is_same_tree=step.is_same_tree)
    gone = _gone(step, containers)
    return Snapshot(
        sample=sample,
        tick=step.tick,
        interval_s=elapsed_s,
        host=_host(step),
        pods=pods,
        containers=containers,
        gone=gone,
        tombs=previous.tombs if previous is not None and gone is previous.gone else in_pods(gone, _tombs_of(previous)),
        oom_kills=_oom_kills(step, pods, gone),
        groups=groups,
        places=places,
        restless=frozenset(at for at in anew if _is_restless(pods[at])),
        oldest_start_ns=previous.oldest_start_ns
        if previous is not None and containers is previous.containers
        else min((each.starts_ns[0] for each in containers.values() if each.starts_ns), default=None),
        cost=_cost(step),
        replicas=previous.replicas if previous is not None and step.is_same_tree else replicas_of(pods),
        times=(previous.times if previous is not None else NO_TIMES).grown(sample.monotonic_ns),
    )


def begun(sample: Sample, like: Snapshot | None = None) -> Snapshot:
    """Return what the snapshot of the next sample is derived from so that it has rates, and is the first that is seen.

    Nothing is in it but the host: to build what nobody sees takes as long as to build what is seen. Where the same
    containers are there as in another snapshot, be that of another time, it is known who belongs together.
    """
    step = _step(None, sample, None, is_same_tree=False)
    known = like if like is not None and is_joined_alike(sample, like.sample) else None
    return Snapshot(
        sample,
        0,
        None,
        _host(step),
        pods=(),
        containers={},
        groups=known.groups if known else (),
        places=known.places if known else NOWHERE,
        cost=_cost(step),
        times=NO_TIMES.grown(sample.monotonic_ns),
    )


def _step(previous: Snapshot | None, sample: Sample, elapsed_s: float | None, *, is_same_tree: bool) -> _Step:
    before = previous.sample if previous else None
    return _Step(
        previous,
        sample,
        elapsed_s or 0.0,
        tick=previous.tick + 1 if previous else 0,
        containers_before=previous.containers if previous else {},
        cgroups_before=before.cgroups if before else {},
        networks_before=before.networks if before else {},
        gone_before={gone.container.key: gone for gone in previous.gone} if previous else {},
        is_same_tree=is_same_tree,
        is_same_host=before is not None
        and (sample.host.namespaces, sample.host.netns) == (before.host.namespaces, before.host.netns),
    )


def _cost(step: _Step) -> Cost | None:
    own = step.sample.own
    if own is None:
        return None
    cpu_s = daemons_s = old = None
    if step.previous is not None:
        before, old = step.previous.sample, step.previous.cost
        cpu_s, daemons_s = own_cpu_s(before, step.sample), daemons_cpu_s(before, step.sample)

    def share_of_core(spent_s: float | None, before: float | None) -> float | None:
        return smoothed(None if spent_s is None else spent_s / step.elapsed_s, before, step.elapsed_s)

    return Cost(
        cpu_share=share_of_core(cpu_s, old.cpu_share if old else None),
        daemons_share=share_of_core(daemons_s, old.daemons_share if old else None),
        rss_bytes=own.rss_bytes,
        interval_s=own.interval_s,
        is_slowed=own.interval_s > own.asked_interval_s,
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
    containers_before: Mapping[ContainerKey, ContainerNode]
    cgroups_before: Mapping[CgroupPath, CgroupSample]
    networks_before: Mapping[NetnsKey, Mapping[str, InterfaceStat]]
    gone_before: Mapping[ContainerKey, Gone]
    is_same_tree: bool
    """Whether the same containers are there, as the same, in the same pods."""
    is_same_host: bool
    """Whether the host's namespaces are known as they were before."""

    def seconds_of(self, cgroup: CgroupSample) -> float:
        """The time over which a cgroup's counters have grown, but for ``cpu.stat``, which is read every time.

        Where samples in between were left out, it was read in those too, which does not count.
        """
        if cgroup.since_ns is None or self.previous is None:
            return self.elapsed_s
        since_ns = min(cgroup.since_ns, self.previous.sample.monotonic_ns)
        return (self.sample.monotonic_ns - since_ns) / 1e9

    def networks_of(self, netns: NetnsKey | None) -> tuple[_Interfaces, _Interfaces]:
        """What a network namespace counts now, and what it counted a sample ago; none of the host's."""
        if netns is None or netns == self.sample.host.netns:
            return None, None
        return self.sample.networks.get(netns), self.networks_before.get(netns)

    def cgroup_before(self, cgroup: CgroupSample) -> CgroupSample | None:
        """The same cgroup a sample ago; None if it is a new one, even under an old path."""
        before = self.cgroups_before.get(cgroup.path)
        return before if before is not None and before.inode == cgroup.inode else None

    def last_of(self, key: ContainerKey) -> ContainerNode | None:
        """The container a sample ago, or as it was before it was gone for a while."""
        gone = self.gone_before.get(key)
        return gone.container if gone else self.containers_before.get(key)


def _network_owners(groups: Iterable[Group], host_netns: NetnsKey | None) -> frozenset[ContainerKey]:
    sharing: dict[NetnsKey, list[Member]] = {}
    for group in groups:
        for member in group.members:
            if member.netns is not None and member.netns != host_netns:
                sharing.setdefault(member.netns, []).append(member)
    return frozenset(network_owner(members).key for members in sharing.values())


def _places_of(groups: Iterable[Group]) -> PodPlaces:
    of_cgroups: dict[CgroupPath, int] = {}
    of_networks: dict[NetnsKey, dict[int, None]] = {}
    for at, group in enumerate(groups):
        if group.found is not None:
            of_cgroups[group.found.path] = at
        for member in group.members:
            if member.path is not None:
                of_cgroups[member.path] = at
            if member.netns is not None:
                of_networks.setdefault(member.netns, {})[at] = None
    return PodPlaces(of_cgroups, {netns: tuple(places) for netns, places in of_networks.items()})


def _changed(step: _Step, previous: Snapshot) -> Iterable[int]:
    """Tell which of the pods, the same as before, have to be built anew."""
    if not step.is_same_host:
        return range(len(previous.pods))
    changed = set(previous.restless)
    since_ns = step.sample.wall_ns - STARTS_WINDOW_NS
    if previous.oldest_start_ns is not None and previous.oldest_start_ns <= since_ns:
        changed.update(at for at, pod in enumerate(previous.pods) if any(each.starts_ns for each in pod.containers))
    of_cgroups, of_networks = previous.places
    for path in _other_keys(step.sample.cgroups, previous.sample.cgroups):
        if path in of_cgroups:
            changed.add(of_cgroups[path])
    for netns in _other_keys(step.sample.networks, previous.sample.networks):
        changed.update(of_networks.get(netns, ()))
    return changed


def _other_keys(now: Mapping[_Key, object], old: Mapping[_Key, object]) -> list[_Key]:
    """Return the keys under which two mappings do not have the very same object."""
    if now is old:
        return []
    get = old.get
    others = [key for key, value in now.items() if get(key) is not value]
    return others if now.keys() == old.keys() else [*others, *(old.keys() - now.keys())]


def _pods_anew(step: _Step, previous: Snapshot, places: Iterable[int]) -> tuple[PodNode, ...]:
    """Build some of the pods anew; the very same tuple if that makes no difference."""
    pods = list(previous.pods)
    has_changed = False
    for at in places:
        before = pods[at]
        owners = [each.is_network_owner for each in before.containers]
        pod = _pod(step, previous.groups[at], owners, before)
        if pod is not before:
            pods[at] = pod
            has_changed = True
    return tuple(pods) if has_changed else previous.pods


def _containers(
    previous: Snapshot | None, pods: tuple[PodNode, ...], anew: Iterable[int], *, is_same_tree: bool
) -> Mapping[ContainerKey, ContainerNode]:
    """Return the containers of all pods, of which some are new; the very same mapping as before if none is."""
    if previous is None or not is_same_tree:
        return {container.key: container for pod in pods for container in pod.containers}
    if pods is previous.pods:
        return previous.containers
    return {**previous.containers, **{each.key: each for at in anew for each in pods[at].containers}}


def _is_restless(pod: PodNode) -> bool:
    """Whether a pod has changed since the sample before: if not, its rates are 0 and remain so."""
    return not (pod.is_still and all(each.is_still for each in pod.containers))


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
        [
            _container(step, member, is_network_owner=is_owner)
            for member, is_owner in zip(group.members, are_owners, strict=True)
        ]
    )
    info, found = group.info, group.found
    cgroup = step.sample.cgroups.get(found.path) if found else None
    old = None if cgroup is None else step.cgroup_before(cgroup)
    is_still = _is_same(old, cgroup)
    if before is not None and step.is_same_tree:
        is_same = len(containers) == len(before.containers) and all(map(is_, containers, before.containers))
        if is_same and is_still and before.is_still:
            return before
    pod = PodNode(
        _pod_key(group),
        info.kind,
        info.name,
        containers,
        _pod_usage(step, containers, cgroup, old, before),
        min([each.started_ns for each in containers if each.started_ns is not None], default=None),
        info.namespace,
        info.id if info.kind is PodKind.KUBERNETES else None,
        found.qos if found else None,
        group.workload,
        cgroup,
        group.outer,
        is_still,
    )
    if before is not None and before.is_still and not step.is_same_tree and pod._replace(usage=before.usage) == before:
        return before
    return pod


def _pod_usage(
    step: _Step,
    containers: tuple[ContainerNode, ...],
    cgroup: CgroupSample | None,
    old: CgroupSample | None,
    before: PodNode | None,
) -> Usage:
    """What a pod uses: what its containers do, or what its own cgroup counts; ``old`` is that a sample ago."""
    is_single = len(containers) == 1
    if is_single and cgroup is None:
        return containers[0].usage
    past = before.usage if before is not None else Usage()
    usage = containers[0].usage if is_single else total(containers)
    if not is_single:
        usage = usage._replace(cpu_history=past.cpu_history.grown(step.tick, usage.cpu_cores))
    if cgroup is not None:
        usage = _of_pod(usage, _cgroup_usage(step, cgroup, old, before))
    return _remembered(usage, past.course, step.tick)


def _of_pod(total: Usage, own: Usage) -> Usage:
    """Take what the pod's own cgroup counts; it has no network, and limits and throttling may be its containers'."""
    known = {name: value for name, value in own._asdict().items() if value is not None}
    if total.throttled_share is not None and own.throttled_share is not None:
        known["throttled_share"] = max(total.throttled_share, own.throttled_share)
    return total._replace(**known)


def _container(step: _Step, member: Member, *, is_network_owner: bool) -> ContainerNode:
    """Build a container; the same as before if nothing of it has changed."""
    key, info, _, process, outer, path, _ = member
    before = step.containers_before.get(key)
    cgroup = step.sample.cgroups.get(path) if path else None
    network, network_before = step.networks_of(process.netns if process else None)
    is_same_process = before is not None and _is_same_process(before.process, process)
    started_ns = _started_ns(info, process, before, is_same_process=is_same_process)
    starts_ns = _starts(step.sample.wall_ns, started_ns, before, is_same_process=is_same_process)
    is_still = before is not None and _is_same(before.cgroup, cgroup) and _is_same(network_before, network)
    if before is not None and is_still and before.is_still and step.is_same_host:
        now = (info, process, outer, is_network_owner, starts_ns)
        if now == (before.info, before.process, before.outer, before.is_network_owner, before.starts_ns):
            return before
    return ContainerNode(
        key,
        info,
        _usage(step, network, network_before, cgroup, before),
        cgroup,
        process,
        outer,
        is_network_owner,
        before.shared_with_host
        if before is not None and step.is_same_host and before.process is process
        else _shared_with_host(step.sample.host, process),
        started_ns,
        starts_ns,
        *_oom(step, key, cgroup, started_ns, before),
        is_still,
    )


def _is_same(one: object, other: object) -> bool:
    """Compare by value only what is not the very same object: most things are, and the values are deep."""
    return one is other or one == other


def _usage(
    step: _Step,
    network: _Interfaces,
    network_before: _Interfaces,
    cgroup: CgroupSample | None,
    before: ContainerNode | None,
) -> Usage:
    sent = _network_use(network, network_before, step.elapsed_s)
    if cgroup is not None:
        usage = _cgroup_usage(step, cgroup, step.cgroup_before(cgroup), before, sent)
    else:
        usage = Usage(rx_bytes=sent[0], tx_bytes=sent[1], rx_bytes_per_second=sent[2], tx_bytes_per_second=sent[3])
    return _remembered(usage, before.usage.course if before is not None else NO_COURSE, step.tick)


def _remembered(usage: Usage, past: Course, tick: int) -> Usage:
    """Let what is used go on from what was; the course is the last of its fields, which is quicker than by name."""
    return Usage(*usage[:-1], past.grown(tick, _course_values(usage)))


def _network_use(network: _Interfaces, network_before: _Interfaces, elapsed_s: float) -> _NetworkUse:
    """Add up what the interfaces have counted, but for the loopback."""
    if network is None:
        return _NO_NETWORK
    rx_bytes = tx_bytes = 0
    for name, stat in network.items():
        if name != "lo":
            rx_bytes += stat.rx_bytes
            tx_bytes += stat.tx_bytes
    now, old = network, network_before
    if network_before is not network:
        now, old = _outward(network), None if network_before is None else _outward(network_before)
    rates = [_rate_of_all(now, old, name, elapsed_s) for name in ("rx_bytes", "tx_bytes")]
    return rx_bytes, tx_bytes, rates[0], rates[1]


def _course_values(usage: Usage) -> tuple[float | None, ...]:
    """Return what is remembered of it, in the order of `course.Kind`."""
    cpu, memory, io = usage.pressure or _NO_PRESSURES
    return (
        usage.cpu_cores,
        usage.throttled_share,
        usage.memory_bytes,
        usage.anon_bytes,
        usage.file_bytes,
        usage.read_bytes_per_second,
        usage.write_bytes_per_second,
        usage.rx_bytes_per_second,
        usage.tx_bytes_per_second,
        cpu and cpu.some,
        memory and memory.some,
        io and io.some,
    )


def _cgroup_usage(
    step: _Step,
    cgroup: CgroupSample,
    old: CgroupSample | None,
    before: ContainerNode | PodNode | None,
    sent: _NetworkUse = _NO_NETWORK,
) -> Usage:
    """What a cgroup uses; ``old`` is the same cgroup a sample ago, and ``before`` who had it then."""
    seconds = step.seconds_of(cgroup)
    cpu, memory, pids = cgroup.cpu, cgroup.memory, cgroup.pids
    old_cpu, old_io, old_pressure = (old.cpu, old.io, old.pressure) if old is not None else (None, None, None)
    cores = cores_of(cpu, old_cpu, step.elapsed_s)
    limit_cores = cgroup.cpu_max.cores if cgroup.cpu_max is not None else None
    is_same = before is not None and before.cgroup is not None and before.cgroup.inode == cgroup.inode
    past = before.usage.cpu_history if before is not None and is_same else NO_HISTORY
    return Usage(
        cores,
        limit_cores,
        throttled_of(cpu, old_cpu) if limit_cores is not None else None,
        memory.working_set if memory is not None else None,
        memory.max if memory is not None else None,
        _pressure(cgroup.pressure, old_pressure, seconds),
        *sent,
        _rate_of_all(cgroup.io, old_io, "rbytes", seconds),
        _rate_of_all(cgroup.io, old_io, "wbytes", seconds),
        pids.current if pids is not None else None,
        pids.max if pids is not None else None,
        past.grown(step.tick, cores),
        memory.anon if memory is not None else None,
        memory.file if memory is not None else None,
    )


def cores_of(cpu: CpuStat | None, old: CpuStat | None, elapsed_s: float) -> float | None:
    """How many CPUs were used from one reading to the next."""
    rate = per_second(cpu.usage_usec, old.usage_usec, elapsed_s) if cpu and old else None
    return None if rate is None else rate / 1e6


def throttled_of(cpu: CpuStat | None, old: CpuStat | None) -> float | None:
    """In which share of the periods from one reading to the next a limit held back."""
    if cpu is None or old is None:
        return None
    return share(increase(cpu.nr_throttled, old.nr_throttled), increase(cpu.nr_periods, old.nr_periods))


def _rate_of_all(
    now: Mapping[_Key, object] | None, old: Mapping[_Key, object] | None, name: str, elapsed_s: float
) -> float | None:
    """Add up one counter of many devices: a new one counts from 0, one that went back makes the sum unknown."""
    if now is None or old is None or elapsed_s <= 0:
        return None
    if now is old:
        return 0.0
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
    cpu, memory, io = (None, None, None) if old is None else old
    return PressureShares(
        _stalled(now.cpu, cpu, elapsed_s), _stalled(now.memory, memory, elapsed_s), _stalled(now.io, io, elapsed_s)
    )


def _stalled(now: Pressure | None, old: Pressure | None, elapsed_s: float) -> PressureShare | None:
    if now is None or old is None:
        return None
    if now is old and elapsed_s > 0:
        return NOT_STALLED if now.full_usec is not None else PressureShare(0.0, None)
    return PressureShare(
        _of_the_time(now.some_usec, old.some_usec, elapsed_s), _of_the_time(now.full_usec, old.full_usec, elapsed_s)
    )


def _of_the_time(usec: int | None, old_usec: int | None, elapsed_s: float) -> float | None:
    """The share of the time that a counter of microseconds has grown by, 1 at the most."""
    grown = increase(usec, old_usec)
    return None if grown is None or elapsed_s <= 0 else min(grown / elapsed_s / 1e6, 1.0)


_namespaces_of = attrgetter(*NAMESPACE_KINDS)


def _shared_with_host(host: HostSample, process: ProcessSample | None) -> tuple[str, ...]:
    """The namespaces it has in common with process 1; for a reader who may not look, those that show otherwise."""
    if process is None:
        return ()
    own_ones, hosts_ones = _namespaces_of(process.namespaces), _namespaces_of(host.namespaces)
    shared: list[str] = []
    for kind, own, hosts in zip(NAMESPACE_KINDS, own_ones, hosts_ones, strict=True):
        if own is not None and hosts is not None:
            is_shared = own == hosts
        elif kind == "net":
            is_shared = process.netns is not None and process.netns == host.netns
        else:
            is_shared = kind == "pid" and len(process.ns_pids) == 1
        if is_shared:
            shared.append(kind)
    return tuple(shared)


def _started_ns(
    info: ContainerInfo, process: ProcessSample | None, before: ContainerNode | None, *, is_same_process: bool
) -> int | None:
    """Return when a container was started: as its runtime says, or else as the kernel does.

    A runtime that lists it anew may not tell again; and of a new life it may tell only after the kernel shows it.
    """
    told_ns = info.started_ns
    known_ns = before.started_ns if before is not None and is_same_process else None
    if told_ns is None:
        return process.started_ns if process is not None and known_ns is None else known_ns
    if before is None or told_ns != before.info.started_ns:
        return told_ns
    if process is None or known_ns is not None:
        return before.started_ns
    lives_anew = process.is_init and (before.process is not None or before.cgroup is None)
    return process.started_ns if lives_anew and process.started_ns - told_ns >= SAME_START_NS else told_ns


def has_started_again(before: ContainerNode, now: ContainerNode) -> bool:
    """Whether a container was started from one snapshot to the next.

    Runtimes, their files and the kernel tell of one start at other times, on a slow host by many seconds: what has the
    same first process has not been started.
    """
    if before.started_ns is None or now.started_ns is None or _is_same_process(before.process, now.process):
        return False
    if _began_after(before.process, now.process):
        return True
    return now.started_ns - before.started_ns >= SAME_START_NS


def _began_after(before: ProcessSample | None, now: ProcessSample | None) -> bool:
    """Whether a container has got another pid 1: its runtime may have told of that before the kernel was looked at."""
    if before is None or now is None or not (before.is_init and now.is_init):
        return False
    return now.started_ns - before.started_ns >= SAME_START_NS


def _is_same_process(before: ProcessSample | None, now: ProcessSample | None) -> bool:
    return before is not None and now is not None and before.identity == now.identity


def _starts(
    wall_ns: int, started_ns: int | None, before: ContainerNode | None, *, is_same_process: bool
) -> tuple[int, ...]:
    known = before.starts_ns if before else ()
    if before is not None and not known and (is_same_process or started_ns == before.started_ns):
        return ()
    since_ns = wall_ns - STARTS_WINDOW_NS
    if before is None and (started_ns is None or started_ns <= since_ns):
        return ()
    if started_ns is not None:
        if known and (is_same_process or abs(started_ns - known[-1]) < SAME_START_NS):
            known = (*known[:-1], started_ns)
        elif not known or started_ns > known[-1]:
            known = (*known, started_ns)
    return tuple(start for start in known if start > since_ns)


def _oom(
    step: _Step, key: ContainerKey, cgroup: CgroupSample | None, started_ns: int | None, before: ContainerNode | None
) -> tuple[int | None, int]:
    """Return when its count of OOM kills was last seen to grow, and how many are known in this run."""
    kills = _kills_of(cgroup)
    if before is None:
        is_seen = cgroup is not None and increase(kills, _kills_of(step.cgroup_before(cgroup)))
        known = max(kills or 0, _kills_before(cgroup, started_ns, step.last_of(key)))
        return step.sample.monotonic_ns if is_seen else None, known
    is_same = cgroup is not None and before.cgroup is not None and cgroup.inode == before.cgroup.inode
    old = _kills_of(before.cgroup) if is_same else 0
    if is_same and kills == old:
        return before.oom_seen_ns, before.oom_kills
    seen_ns = step.sample.monotonic_ns if increase(kills, old) else before.oom_seen_ns
    return seen_ns, max(kills or 0, _kills_before(cgroup, started_ns, before))


def _kills_before(cgroup: CgroupSample | None, started_ns: int | None, before: ContainerNode | None) -> int:
    """Return how many OOM kills were known of already, in the run that a container is in."""
    if before is None:
        return 0
    if cgroup is not None and before.cgroup is not None:
        return before.oom_kills if cgroup.inode == before.cgroup.inode else 0
    return before.oom_kills if _is_same_run(started_ns, before) else 0


def _kills_of(cgroup: CgroupSample | None) -> int | None:
    return cgroup.memory.oom_kill if cgroup and cgroup.memory else None


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
    if step.sample.events and still:
        late = frozenset(gone.container.key for gone in still if now_ns - gone.since_ns <= TOLD_FOR_NS)
        ends = ends_of(step.sample.events, (), late, now_ns)
        still = [retold(gone, ends.get(gone.container.key, NO_END)) for gone in still] if ends else still
    if step.previous.containers.keys() <= containers.keys():
        # Mostly nothing has changed: the same object then.
        is_same = len(still) == len(step.previous.gone) and all(map(is_, still, step.previous.gone))
        return step.previous.gone if is_same else tuple(still)
    return (*still, *_missed(step, containers))[-MOST_GONE:]


def _missed(step: _Step, containers: Mapping[ContainerKey, ContainerNode]) -> Iterable[Gone]:
    """Remember what was there a sample ago and is not any more."""
    previous = step.previous
    if previous is None:
        return
    missed = [(node, pod) for pod in previous.pods for node in pod.containers if node.key not in containers]
    now_ns, wall_ns = step.sample.monotonic_ns, step.sample.wall_ns
    keys = frozenset(node.key for node, _ in missed)
    ends = ends_of(step.sample.events, reversed(previous.events.entries), keys, now_ns)
    there = {_identity(node) for node in containers.values()} - {None}
    for node, pod in missed:
        if _identity(node) in there:
            # More or less is known of it, and it is called otherwise now.
            yield Gone(node._replace(cgroup=None, process=None), pod, now_ns)
        else:
            yield buried(node, pod, step.tick, (now_ns, wall_ns), ends.get(node.key, NO_END))


def _identity(node: ContainerNode) -> tuple[str, int] | None:
    return (node.cgroup.path, node.cgroup.inode) if node.cgroup is not None else None


def _tombs_of(previous: Snapshot | None) -> tuple[PodNode, ...]:
    return previous.tombs if previous is not None else ()


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
            counts[place] += counted_kills(container, was)
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
            if container is not was and (count := counted_kills(container, was)):
                place = place_of(container, pod)
                counts = {**counts, place: counts[place] + count}
    return counts


def _places_before(step: _Step) -> dict[ContainerKey, Place]:
    pods = step.previous.pods if step.previous else ()
    places = {container.key: place_of(container, pod) for pod in pods for container in pod.containers}
    return places | {key: place_of(gone.container, gone.pod) for key, gone in step.gone_before.items()}


def counted_kills(container: ContainerNode, before: ContainerNode | None) -> int:
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
        cpu_history=grown("cpu_history", ratio(cores, sample.cpus)),
        memory_history=grown("memory_history", ratio(sample.memory_used_bytes, sample.memory_total_bytes)),
        cpu_pressure_history=grown("cpu_pressure_history", some(pressure.cpu) if pressure else None),
        memory_pressure_history=grown("memory_pressure_history", some(pressure.memory) if pressure else None),
        io_pressure_history=grown("io_pressure_history", some(pressure.io) if pressure else None),
    )


def total(containers: Iterable[ContainerNode]) -> Usage:
    """What containers use together: sums, but each network namespace once, and the worst of throttling and pressure.

    A nested container's counters are in its outer one's already. There is no history yet.
    """
    containers = tuple(containers)
    keys = {container.key for container in containers}
    outermost = [container for container in containers if container.outer not in keys]
    owners = [container for container in containers if container.is_network_owner]
    all_of = _columns(containers)
    # Mostly nothing is nested, and each has a network of its own.
    of, of_networks = (all_of if len(some) == len(containers) else _columns(some) for some in (outermost, owners))
    return Usage(
        cpu_cores=_sum(of["cpu_cores"]),
        cpu_limit_cores=_sum_if_all(of["cpu_limit_cores"]),
        throttled_share=_max(all_of["throttled_share"]),
        memory_bytes=_sum(of["memory_bytes"]),
        memory_limit_bytes=_sum_if_all(of["memory_limit_bytes"]),
        pressure=_worst_pressure(_known(all_of["pressure"])),
        rx_bytes=_sum(of_networks["rx_bytes"]),
        tx_bytes=_sum(of_networks["tx_bytes"]),
        rx_bytes_per_second=_sum(of_networks["rx_bytes_per_second"]),
        tx_bytes_per_second=_sum(of_networks["tx_bytes_per_second"]),
        read_bytes_per_second=_sum(of["read_bytes_per_second"]),
        write_bytes_per_second=_sum(of["write_bytes_per_second"]),
        pids=_sum(of["pids"]),
        anon_bytes=_sum(of["anon_bytes"]),
        file_bytes=_sum(of["file_bytes"]),
    )


def _columns(containers: Sequence[ContainerNode]) -> Mapping[str, Sequence[Any]]:
    """Put what containers use side by side, by its name."""
    usages = [container.usage for container in containers]
    return dict(zip(Usage._fields, zip(*usages, strict=True), strict=True)) if usages else _NO_COLUMNS


_NO_COLUMNS: Mapping[str, Sequence[Any]] = dict.fromkeys(Usage._fields, ())


def _worst_pressure(pressures: Sequence[PressureShares]) -> PressureShares | None:
    return PressureShares(*map(_worst_stall, zip(*pressures, strict=True))) if pressures else None


def _worst_stall(lines: Sequence[PressureShare | None]) -> PressureShare | None:
    known = _known(lines)
    return PressureShare(*map(_max, zip(*known, strict=True))) if known else None


_Key = TypeVar("_Key")
_Number = TypeVar("_Number", int, float)
_Value = TypeVar("_Value")


def _sum(values: Sequence[_Number | None]) -> _Number | None:
    """Of what is known; None if nothing is."""
    known = _known(values)
    return sum(known[1:], known[0]) if known else None


def _sum_if_all(values: Sequence[_Number | None]) -> _Number | None:
    """None as soon as one has none: the whole is then without a limit."""
    return None if None in values else _sum(values)


def _max(values: Sequence[float | None]) -> float | None:
    return max(_known(values), default=None)


def _known(values: Sequence[_Value | None]) -> Sequence[_Value]:
    # Mostly all is known, and that is seen at once.
    if None in values:
        return [value for value in values if value is not None]
    return cast("Sequence[_Value]", values)
