"""Cgroups, processes and what the runtimes say, joined into pods of containers.

The kernel decides what runs; a runtime lends the name. A container that only a runtime knows (a stopped one) is shown
too, without numbers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from topcon.model.sample import ContainerInfo, ContainerKey, PodKind, Source, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.sample import ContainerId, FoundContainer, NetnsKey, ProcessSample, Sample

COMPOSE_PROJECT = "com.docker.compose.project"


@dataclass(frozen=True, slots=True)
class Member:
    """A container and where it was found."""

    key: ContainerKey
    info: ContainerInfo
    found: FoundContainer | None
    process: ProcessSample | None
    outer: ContainerKey | None
    """The container that it is nested in."""

    @property
    def netns(self) -> NetnsKey | None:
        """Its network namespace, where it has a process to tell."""
        return self.process.netns if self.process else None


@dataclass(frozen=True, slots=True)
class Group:
    """A pod: containers that belong together, by name."""

    kind: PodKind
    id: str
    name: str
    members: tuple[Member, ...]


def short_id(container: str) -> str:
    """The twelve digits that people know a container by."""
    return container[:12]


def join(sample: Sample) -> tuple[Group, ...]:
    """Give each container of a sample its name and its pod; the order depends on names and keys alone."""
    members = _members(sample)
    pods = _pods(members, sample.host.netns)
    groups = [
        Group(kind, pod_id, name, tuple(sorted(of_pod, key=_by_name))) for (kind, pod_id, name), of_pod in pods.items()
    ]
    return tuple(sorted(groups, key=lambda group: (group.name, group.kind, group.id)))


def _by_name(member: Member) -> tuple[str, str]:
    return member.info.name, member.key


def _members(sample: Sample) -> list[Member]:
    infos = {info.id: info for info in sample.containers}
    silent = {runtime.name for runtime in sample.runtimes if runtime.silent_s > SILENT_AFTER_S or not runtime.up}
    keys: dict[str, ContainerKey] = {}
    seen: set[ContainerKey] = set()
    members = []
    # Sorted, so that a container comes after the one it is nested in.
    for path in sorted(sample.found):
        found = sample.found[path]
        info = infos.pop(found.id, None)
        runtime = found.runtime or (info.runtime if info else None)
        if runtime is None:
            key = ContainerKey(f"none:{sample.cgroups[path].inode if path in sample.cgroups else found.id}")
        else:
            key = ContainerKey(f"{runtime}:{found.id}")
        keys[path] = key
        if key in seen:
            # A second cgroup of the same container, such as Kubernetes in Docker makes inside the first.
            continue
        seen.add(key)
        state = _kernel_state(sample, found, info)
        members.append(
            Member(
                key=key,
                info=_named(found, runtime, info, state),
                found=found,
                process=sample.processes.get(path),
                outer=keys.get(found.outer) if found.outer else None,
            )
        )
    for info in sorted(infos.values(), key=lambda info: (info.runtime, info.id)):
        state = State.UNKNOWN if info.state.is_live and info.runtime in silent else info.state
        shown = info if state is info.state else replace(info, state=state)
        members.append(Member(ContainerKey(f"{info.runtime}:{info.id}"), shown, None, None, None))
    return members


def _named(found: FoundContainer, runtime: str | None, info: ContainerInfo | None, state: State) -> ContainerInfo:
    if info is None:
        return ContainerInfo(
            id=found.id, runtime=runtime or "none", name=short_id(found.id), source=Source.CGROUP, state=state
        )
    if info.state is state and info.runtime == runtime:
        return info
    return replace(info, state=state, runtime=runtime or info.runtime)


def _kernel_state(sample: Sample, found: FoundContainer, info: ContainerInfo | None) -> State:
    cgroup = sample.cgroups.get(found.path)
    events = cgroup.events if cgroup else None
    said = info.state if info else State.UNKNOWN
    has_processes = events.populated if events and events.populated is not None else found.path in sample.processes
    if not has_processes:
        return said
    frozen = events.frozen if events else None
    if frozen is None:
        frozen = said is State.PAUSED
    return State.PAUSED if frozen else State.RUNNING


_PodKey = tuple[PodKind, str, str]


def _pods(members: Iterable[Member], host_netns: NetnsKey | None) -> Mapping[_PodKey, list[Member]]:
    """Find the pod of each: Compose projects, then shared network namespaces, then singles; the nested go along."""
    members = list(members)
    top = [member for member in members if member.outer is None]
    pod_of: dict[ContainerKey, _PodKey] = {}
    for member in top:
        project = member.info.labels.get(COMPOSE_PROJECT)
        if project:
            pod_of[member.key] = (PodKind.COMPOSE, project, project)
    for sharing in _network_groups(top, host_netns):
        pod = next((pod_of[member.key] for member in sharing if member.key in pod_of), None)
        if pod is None:
            owner = network_owner(sharing)
            pod = (PodKind.NAMESPACE, owner.key, owner.info.name)
        for member in sharing:
            pod_of.setdefault(member.key, pod)
    pods: dict[_PodKey, list[Member]] = defaultdict(list)
    outermost: dict[ContainerKey, Member] = {}
    for member in members:
        home = outermost[member.outer] if member.outer is not None else member
        outermost[member.key] = home
        pods[pod_of.get(home.key, (PodKind.SINGLE, home.key, home.info.name))].append(member)
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
