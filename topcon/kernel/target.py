"""What the survey is to look at. By itself, since the sampler says so, and mostly there is no survey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.model.sample import ROOT, CgroupPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topcon.model.sample import FoundContainer, HostSample, Isolated, NetnsKey, ProcessSample


@dataclass(frozen=True, slots=True)
class Target:
    """A cgroup that is served, and what belongs to it."""

    path: CgroupPath
    cgroups: tuple[CgroupPath, ...]
    """Itself, then those inside it that are not served; empty if only its network is asked for."""
    pid: int | None = None
    """Its first process."""
    netns: NetnsKey | None = None
    """The network namespace of that process."""
    is_container: bool = False
    is_nested: bool = False
    """Whether it is inside another container."""


def targets_of(
    host: HostSample,
    inodes: Mapping[CgroupPath, int],
    wanted: Mapping[CgroupPath, int],
    found: Mapping[CgroupPath, FoundContainer],
    processes: Mapping[CgroupPath, ProcessSample],
    isolated: Iterable[Isolated],
    is_of_container: Callable[[CgroupPath], bool],
) -> Iterator[Target]:
    """Share all cgroups out among those that are served: each belongs to the nearest that it is in."""
    owners: dict[CgroupPath, CgroupPath] = {}
    inside: dict[CgroupPath, list[CgroupPath]] = {path: [path] for path in wanted}
    # What is above a cgroup comes before it.
    for path in sorted(inodes):
        if path in wanted:
            owners[path] = path
            continue
        owner = owners.get(CgroupPath(path.rpartition("/")[0] or "/"))
        if owner is not None:
            owners[path] = owner
            inside[owner].append(path)
    firsts = {each.cgroup: each.process for each in isolated if each.is_alone} | dict(processes)
    for path, cgroups in inside.items():
        container = found.get(path)
        process = firsts.get(path)
        is_container = path in firsts and (container is None or is_of_container(path))
        yield Target(
            path=path,
            cgroups=tuple(cgroups),
            pid=1 if path == ROOT else process.pid if process else None,
            netns=host.netns if path == ROOT else process.netns if process else None,
            is_container=is_container,
            is_nested=container is not None and container.outer is not None,
        )
    for each in isolated:
        if not each.is_alone:
            yield Target(each.cgroup, (), each.process.pid, each.process.netns)
