"""Who is asked when somebody looks inside a container, put together when the first one is asked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.config import Config
    from topcon.kernel.mounted import FilesReader
    from topcon.kernel.privileges import PrivilegeReader
    from topcon.kernel.processes import ProcessReader
    from topcon.kernel.security import SecurityReader
    from topcon.kernel.sockets import SocketReader
    from topcon.model.about import About
    from topcon.model.inside import Inside
    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import ContainerId, Problem
    from topcon.model.security import Security
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.model.who import Answers
    from topcon.runtimes.watch import RuntimeWatches
    from topcon.tails import Tails

T = TypeVar("T")


def build_inside(config: Config, runtimes: RuntimeWatches) -> Inside:
    """Say who is asked when somebody looks inside a container."""
    from topcon.model.inside import Inside
    from topcon.ui.detail import OUTPUT_LINES

    processes = late(lambda: _build_processes(config))
    sockets = late(lambda: _build_sockets(config, processes()))
    security = late(lambda: _build_security(config))
    privileges = late(lambda: _build_privileges(config))
    files = late(lambda: _build_files(config))
    return Inside(
        tail=lambda container: runtimes.tail(container, OUTPUT_LINES),
        inspect=lambda container: _inspect(runtimes, container),
        security=lambda container: _security(security().read(container), runtimes, container),
        privileges=lambda snapshot: privileges().read(snapshot),
        about=lambda container: _about(runtimes, container),
        processes=lambda containers: processes().read(containers),
        network=lambda container: sockets().read(container),
        who=build_who(config),
        follow=build_follow(config, runtimes),
        disk=lambda containers: files().walk(containers),
        files=lambda container: files().read(container),
        sizes=runtimes.sizes,
    )


def _inspect(runtimes: RuntimeWatches, container: ContainerNode) -> Mapping[str, Any] | Problem:
    """Return what the runtime says of a container, or else what topcon knows, and why no more."""
    from topcon.model.known import known
    from topcon.model.sample import Problem

    said = runtimes.inspect(container.info.id)
    if isinstance(said, Problem):
        remedy = f" ({said.remedy})" if said.remedy else ""
        return known(container, f"{said.source}: {said.message}{remedy}; this is what topcon knows itself")
    if said is None:
        return known(container, "no runtime that answers tells of it; this is what topcon knows itself")
    return said


def _build_security(config: Config) -> SecurityReader:
    from topcon.kernel.security import SecurityReader

    return SecurityReader(config.roots[0])


def _build_privileges(config: Config) -> PrivilegeReader:
    from topcon.kernel.mount import read_hierarchies
    from topcon.kernel.privileges import PrivilegeReader

    proc_root, _, cgroup_root = config.roots
    return PrivilegeReader(proc_root, read_hierarchies(proc_root, cgroup_root).v2, config.host_root)


def _security(
    read: Security | Problem | None, runtimes: RuntimeWatches, container: ContainerNode
) -> Security | Problem | None:
    """Add what the kernel does not tell and the runtime does: the devices, where a program guards them."""
    from topcon.model.security import Security, told_devices

    if not isinstance(read, Security) or read.devices is not None:
        return read
    return read._replace(devices=told_devices(runtimes.inspect(container.info.id)))


def _about(runtimes: RuntimeWatches, container: ContainerId) -> About | Problem | None:
    from topcon.model.sample import Problem
    from topcon.runtimes.about import to_about

    found = runtimes.inspect(container)
    return found if found is None or isinstance(found, Problem) else to_about(found)


def build_follow(config: Config, runtimes: RuntimeWatches) -> Callable[[ContainerNode, Wanted], Feed | Problem]:
    """Return what follows the output of a container: from its runtime, or from the file where that is kept."""

    def follow(container: ContainerNode, wanted: Wanted) -> Feed | Problem:
        from topcon.errors import ParseError, SourceUnavailable
        from topcon.model.sample import Problem
        from topcon.runtimes.logfiles import SOURCE, open_log

        failure: Problem | None = None
        try:
            feed = runtimes.follow(container.info.id, wanted)
        except (SourceUnavailable, ParseError) as error:
            feed, failure = None, Problem(SOURCE, str(error), error.remedy)
        if feed is not None:
            return feed
        pid = container.process.pid if container.process else None
        found = open_log(container.info, pid, wanted, config.host_root, config.roots[0])
        return failure if isinstance(found, Problem) and failure is not None and not found.remedy else found

    return follow


def build_tails(config: Config, runtimes: RuntimeWatches) -> Tails:
    """Return what reads the last lines of containers that end."""
    from topcon.tails import Tails

    return Tails(build_follow(config, runtimes))


def build_who(config: Config) -> Callable[[str, Snapshot], Answers]:
    """Return what says which container something belongs to, on the host as a snapshot has it."""

    def who(text: str, snapshot: Snapshot) -> Answers:
        from topcon.kernel.mount import read_hierarchies
        from topcon.kernel.who import WhoReader
        from topcon.who import answered

        proc_root, _, cgroup_root = config.roots
        reader = WhoReader(proc_root, read_hierarchies(proc_root, cgroup_root), config.host_root)
        return answered(text, snapshot, reader.look)

    return who


def late(build: Callable[[], T]) -> Callable[[], T]:
    """Return what builds something when it is asked for first, and then has it."""
    return lru_cache(maxsize=1)(build)


def _build_files(config: Config) -> FilesReader:
    from topcon.kernel.mount import read_hierarchies
    from topcon.kernel.mounted import FilesReader
    from topcon.kernel.usage import DiskWalker

    proc_root, _, cgroup_root = config.roots
    hierarchies = read_hierarchies(proc_root, cgroup_root).walked
    return FilesReader(proc_root, hierarchies, DiskWalker(proc_root, config.host_root, hierarchies))


def _build_processes(config: Config) -> ProcessReader:
    from topcon.kernel.mount import read_hierarchies
    from topcon.kernel.processes import ProcessReader

    proc_root, _, cgroup_root = config.roots
    return ProcessReader(proc_root, read_hierarchies(proc_root, cgroup_root))


def _build_sockets(config: Config, processes: ProcessReader) -> SocketReader:
    from topcon.kernel.sockets import SocketReader

    return SocketReader(config.roots[0], processes.pids)
