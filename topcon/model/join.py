"""Cgroups, processes and what the runtimes say, joined into pods of containers.

The kernel decides what runs; a runtime lends the name. A container that only a runtime knows (a stopped one) is shown
too, without numbers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.pods import pod_of_labels, workload_of
from topcon.model.sample import (
    SANDBOXES,
    SERVICES,
    SILENT_AFTER_S,
    ContainerId,
    ContainerInfo,
    ContainerKey,
    PodInfo,
    PodKind,
    Role,
    Source,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.pods import Workload
    from topcon.model.sample import (
        CgroupPath,
        CgroupSample,
        FoundContainer,
        FoundPod,
        Isolated,
        NetnsKey,
        ProcessSample,
        RuntimeSample,
        Sample,
    )


class Member(NamedTuple):
    """A container and where it was found."""

    key: ContainerKey
    info: ContainerInfo
    found: FoundContainer | None = None
    process: ProcessSample | None = None
    outer: ContainerKey | None = None
    """The container that it is nested in."""
    path: CgroupPath | None = None
    """The cgroup that counts what it uses, and nothing else."""
    said_pod: PodInfo | None = None
    """The pod that its runtime or its labels name."""

    @property
    def netns(self) -> NetnsKey | None:
        """Its network namespace, where it has a process to tell."""
        return self.process.netns if self.process else None


@dataclass(frozen=True, slots=True)
class Group:
    """A pod: containers that belong together, by name."""

    info: PodInfo
    members: tuple[Member, ...]
    found: FoundPod | None = None
    """Its own cgroup."""
    workload: Workload | None = None
    outer: ContainerKey | None = None
    """The container that it is nested in."""


def short_id(container: str) -> str:
    """The twelve digits that people know a container by."""
    return container[:12]


def join(sample: Sample, before: Sample | None = None, groups: tuple[Group, ...] = ()) -> tuple[Group, ...]:
    """Give each container of a sample its name and its pod; the order depends on names and keys alone.

    ``groups`` are those of the sample ``before``: the very same are returned if nothing has changed that they tell.
    """
    if before is not None and is_joined_alike(sample, before):
        return groups
    members = _members(sample)
    # A sandbox that is not shown still names its pod.
    sandboxes = [_said_pod(info) for info in sample.containers if info.role is Role.SANDBOX]
    said = _said_of_pods([*sandboxes, *(member.said_pod for member in members)])
    joined = [
        _group(sample, said.get(pod, _unnamed(*pod)), of_pod) for pod, of_pod in _pods(members, sample, said).items()
    ]
    return tuple(sorted(joined, key=lambda group: (group.info.name, group.info.kind, group.info.id)))


def is_joined_alike(sample: Sample, before: Sample) -> bool:
    """Whether two samples say the same of who is there, as what, and whether it runs."""
    now, old = sample.cgroups, before.cgroups
    return (
        sample.found is before.found
        and sample.containers is before.containers
        and sample.processes is before.processes
        and sample.isolated is before.isolated
        and (sample.host.name, sample.host.netns) == (before.host.name, before.host.netns)
        and _silent(sample) == _silent(before)
        and (now is old or all(_looks_alike(now.get(path), old.get(path)) for path in sample.found))
    )


def _looks_alike(now: CgroupSample | None, old: CgroupSample | None) -> bool:
    if now is None or old is None:
        return now is old
    return now is old or (now.inode == old.inode and (now.events is old.events or now.events == old.events))


def _silent(sample: Sample) -> frozenset[tuple[str, str, str]]:
    """The runtimes that do not answer: what they said of states may not hold any more."""
    return frozenset(
        (runtime.name, runtime.socket, runtime.runtime)
        for runtime in sample.runtimes
        if runtime.silent_s > SILENT_AFTER_S or not runtime.up
    )


def _group(sample: Sample, info: PodInfo, members: list[Member]) -> Group:
    first = members[0]
    is_own = first.found is not None and first.found.pod is not None and _pod_key(first) == (info.kind, info.id)
    found = first.found.pod if is_own and first.found else None
    return Group(
        info=info,
        members=tuple(sorted(members, key=lambda member: (member.info.name, member.key))),
        found=found,
        workload=workload_of(info, first.info.labels, sample.host.name),
        outer=first.outer if found is not None and found.outer is not None else None,
    )


def _members(sample: Sample) -> list[Member]:
    infos = {info.id: info for info in sample.containers}
    silent = [runtime for runtime in sample.runtimes if runtime.silent_s > SILENT_AFTER_S or not runtime.up]
    # So that a container comes after the one it is nested in.
    paths = sorted(sample.found)
    owners = _owners_of_ids(sample.found, paths)
    keys: dict[str, ContainerKey] = {}
    around: dict[str, frozenset[ContainerKey]] = {}
    seen: set[ContainerKey] = set()
    members = []
    for path in paths:
        found = sample.found[path]
        info = infos.pop(found.id, None) if owners[found.id] == path else None
        if found.is_candidate and info is None:
            continue
        runtime = found.runtime or (info.runtime if info else None)
        inode = sample.cgroups[path].inode if path in sample.cgroups else None
        key = ContainerKey(f"none:{inode or found.id}" if runtime is None else f"{runtime}:{found.id}")
        outer = keys.get(found.outer) if found.outer else None
        around[path] = (around[found.outer] | {outer}) if found.outer and outer else frozenset()
        if key in around[path] or (key in seen and outer is None and _is_digits(found.id)):
            # A second cgroup of the same container, such as Kubernetes in Docker makes inside the first.
            keys[path] = key
            continue
        if key in seen:
            # Some ids, such as LXC's names, are told apart by where they are; others only pretend to be one, and must
            # not be taken for it by a runtime that is told to stop it.
            found = replace(found, id=ContainerId(f"{found.id}@{inode or path}"))
            key = ContainerKey(f"{runtime or 'none'}:{found.id}")
        keys[path] = key
        seen.add(key)
        state = _kernel_state(sample, found, info, silent)
        members.append(
            Member(
                key=key,
                info=_named(found, runtime, info, state),
                found=found,
                process=sample.processes.get(path),
                outer=outer,
                path=path,
                said_pod=_said_pod(info),
            )
        )
    for info in sorted(infos.values(), key=lambda info: (info.runtime, info.id)):
        if info.role is Role.SANDBOX:
            # It lends its pod the name; without processes there is nothing of it to be seen.
            continue
        state = _said_state(info, silent)
        shown = info if state is info.state else replace(info, state=state)
        members.append(Member(ContainerKey(f"{info.runtime}:{info.id}"), shown, said_pod=_said_pod(info)))
    return [*members, *map(_isolated, sample.isolated)]


def _owners_of_ids(
    found: Mapping[CgroupPath, FoundContainer], paths: Iterable[CgroupPath]
) -> dict[ContainerId, CgroupPath]:
    """Say which of the cgroups that carry an id is the one a runtime means: one that is nested the least.

    A container can make cgroups inside itself, and give them any name. Of some that are nested alike it is the first of
    the ``paths``.
    """

    def depth(path: CgroupPath) -> int:
        outer = found[path].outer
        return 1 + depth(outer) if outer is not None and outer in found else 0

    owners: dict[ContainerId, CgroupPath] = {}
    for path in sorted(paths, key=depth):
        owners.setdefault(found[path].id, path)
    return owners


def _isolated(each: Isolated) -> Member:
    """A container that no runtime knows; what is folded away is one pod."""
    info = ContainerInfo(
        id=ContainerId(each.id),
        runtime="none",
        name=each.name,
        source=Source.NAMESPACE,
        state=State.RUNNING,
        command=each.command,
        pod=PodInfo(PodKind.NAMESPACE, each.fold, FOLDED[each.fold]) if each.fold else None,
    )
    path = each.cgroup if each.is_alone else None
    return Member(ContainerKey(f"none:{each.id}"), info, process=each.process, path=path, said_pod=info.pod)


FOLDED = {SERVICES: "isolated services", SANDBOXES: "sandboxed programs"}
"""The pods of what would flood the tree: id to name."""


def _named(found: FoundContainer, runtime: str | None, info: ContainerInfo | None, state: State) -> ContainerInfo:
    if info is None:
        return ContainerInfo(
            id=found.id, runtime=runtime or "none", name=_own_name(found), source=Source.CGROUP, state=state
        )
    if info.state is state and info.runtime == runtime:
        return info
    return replace(info, state=state, runtime=runtime or info.runtime)


def _own_name(found: FoundContainer) -> str:
    """Shorten an id of digits; one that a person chose is a name. Nomad's is ``ALLOC.TASK``."""
    if found.runtime == NOMAD:
        return found.id.partition(".")[2] or found.id
    return short_id(found.id) if _is_digits(found.id.partition("@")[0]) else found.id


def _is_digits(text: str) -> bool:
    return len(text) >= _LEAST_DIGITS and set(text) <= _DIGITS


NOMAD = "nomad"
_LEAST_DIGITS = 32
_DIGITS = frozenset("0123456789abcdef")


def _said_state(info: ContainerInfo | None, silent: Iterable[RuntimeSample]) -> State:
    """What a runtime says; that something lives is not believed of one that is silent."""
    if info is None or (info.state.is_live and any(runtime.runs(info) for runtime in silent)):
        return State.UNKNOWN
    return info.state


def _kernel_state(
    sample: Sample, found: FoundContainer, info: ContainerInfo | None, silent: Iterable[RuntimeSample]
) -> State:
    cgroup = sample.cgroups.get(found.path)
    events = cgroup.events if cgroup else None
    has_processes = events.populated if events and events.populated is not None else found.path in sample.processes
    if not has_processes:
        return _said_state(info, silent)
    frozen = events.frozen if events else None
    if frozen is None:
        frozen = info is not None and info.state is State.PAUSED
    return State.PAUSED if frozen else State.RUNNING


PodKey = tuple[PodKind, str]
"""Kind and id."""


def _said_pod(info: ContainerInfo | None) -> PodInfo | None:
    return (info.pod or pod_of_labels(info.labels)) if info else None


def _said_of_pods(pods: Iterable[PodInfo | None]) -> dict[PodKey, PodInfo]:
    """What is said of each pod, the most telling if it is said more than once: its sandbox knows its labels."""
    said: dict[PodKey, PodInfo] = {}
    for pod in pods:
        if pod is not None and ((pod.kind, pod.id) not in said or (pod.labels and not said[pod.kind, pod.id].labels)):
            said[pod.kind, pod.id] = pod
    return said


def _unnamed(kind: PodKind, pod_id: str) -> PodInfo:
    # Of a uid in groups of digits the first one tells enough.
    return PodInfo(kind, pod_id, short_id(pod_id.partition("-")[0]))


def _pod_key(member: Member) -> PodKey | None:
    """The pod of a container, as its cgroup, its runtime or its labels tell."""
    if member.found is not None and member.found.pod is not None:
        return member.found.pod.kind, member.found.pod.id
    if member.info.runtime == NOMAD:
        return PodKind.NOMAD, member.info.id.partition(".")[0]
    return (member.said_pod.kind, member.said_pod.id) if member.said_pod else None


def _pods(members: Iterable[Member], sample: Sample, said: dict[PodKey, PodInfo]) -> Mapping[PodKey, list[Member]]:
    """Find the pod of each: told, then shared network namespaces, then singles; the nested go along.

    Pods that are made here, of what they share or of one container, are added to ``said``.
    """
    members = list(members)
    top = [member for member in members if member.outer is None]
    pod_of = {member.key: pod for member in top if (pod := _pod_key(member)) is not None}
    for sharing in _network_groups(top, sample.host.netns):
        pod = next((pod_of[member.key] for member in sharing if member.key in pod_of), None)
        if pod is None:
            owner = network_owner(sharing)
            pod = (PodKind.NAMESPACE, owner.key)
            said[pod] = PodInfo(*pod, name=owner.info.name)
        for member in sharing:
            pod_of.setdefault(member.key, pod)
    pods: dict[PodKey, list[Member]] = defaultdict(list)
    outermost: dict[ContainerKey, Member] = {}
    for member in members:
        home = outermost.get(member.outer, member) if member.outer is not None else member
        outermost[member.key] = home
        # A pod with a cgroup of its own stays one inside a container, as a node of Kubernetes in Docker has them.
        nested = _pod_key(member) if member.outer is not None and member.found and member.found.pod else None
        single = (PodKind.SINGLE, home.key)
        pod = nested or pod_of.get(home.key, single)
        if pod == single:
            said[pod] = PodInfo(*pod, name=home.info.name)
        pods[pod].append(member)
    return pods


def _network_groups(members: Iterable[Member], host_netns: NetnsKey | None) -> list[list[Member]]:
    """The sets of two or more that share a network namespace, live or by what they were told to join."""
    by_netns: dict[NetnsKey, list[Member]] = defaultdict(list)
    by_id: dict[ContainerId, list[Member]] = {}
    rest = []
    for member in members:
        if member.netns is None:
            rest.append(member)
        elif member.netns != host_netns:
            by_netns[member.netns].append(member)
            by_id[member.info.id] = by_netns[member.netns]
    for member in rest:
        by_id.setdefault(member.info.id, [member])
    for member in rest:
        told = member.info.joins_network_of
        if told is not None and told in by_id and by_id[told] is not by_id[member.info.id]:
            home = by_id[told]
            moved = by_id[member.info.id]
            home.extend(moved)
            for other in moved:
                by_id[other.info.id] = home
    groups = {id(group): group for group in by_id.values()}
    return [group for group in groups.values() if len(group) > 1]


def network_owner(sharing: Iterable[Member]) -> Member:
    """Of those that share a network namespace, the one that made it: told to join nobody, and started first."""
    return min(
        sharing,
        key=lambda member: (
            member.info.joins_network_of is not None,
            member.process.start_ticks if member.process else float("inf"),
            member.key,
        ),
    )
