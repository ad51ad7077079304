"""Reads all sources once a tick and derives the snapshot of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.findings import assess
from topcon.kernel.target import targets_of
from topcon.model.sample import ROOT, CgroupPath, Problem, Sample, SourceSample
from topcon.model.snapshot import derive
from topcon.runtimes.paths import Place, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping

    from topcon.kernel.cgroup import CgroupFs
    from topcon.kernel.files import Access
    from topcon.kernel.host import HostReader
    from topcon.kernel.isolated import IsolatedScan
    from topcon.kernel.process import ProcFs
    from topcon.kernel.survey import SurveyThread
    from topcon.kernel.target import Target
    from topcon.model.sample import (
        CgroupSample,
        ContainerId,
        ContainerInfo,
        FoundContainer,
        FoundPod,
        HostSample,
        InterfaceStat,
        Isolated,
        NetnsKey,
        ProcessSample,
        RuntimeSample,
    )
    from topcon.model.snapshot import Snapshot
    from topcon.runtimes.bundle import Bundles
    from topcon.runtimes.watch import RuntimeWatches


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks: for people, and for rates. Nanoseconds."""

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a sampler reads."""

    host: HostReader
    cgroups: CgroupFs
    processes: ProcFs
    isolated: IsolatedScan
    runtimes: RuntimeWatches
    bundles: Bundles
    cgroup_access: Access
    process_access: Access
    survey: SurveyThread | None = None
    """For the endpoint alone."""


class _Readings:
    """How reading each of the kernel's sources goes: how long it takes, and how often it fails."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._spent_ns: Counter[str] = Counter()
        self._failed: set[str] = set()
        self._errors: Counter[str] = Counter()
        self._succeeded_ns: dict[str, int] = {}
        self._refused: set[str] = set()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure a part of reading a source."""
        begun_ns = self._monotonic_ns()
        yield
        self._spent_ns[name] += self._monotonic_ns() - begun_ns

    def fail(self, name: str) -> None:
        """Note that a source could not be read this time, or not all of it."""
        self._failed.add(name)

    def refuse(self, name: str) -> None:
        """Note that a source is refused us in part: it was not when this is said first, and is from then on."""
        if name not in self._refused:
            self._refused.add(name)
            self._failed.add(name)

    def end(self, wall_ns: int) -> tuple[SourceSample, ...]:
        """Return how the sources were read this time, and begin anew."""
        self._errors.update(self._failed)
        self._succeeded_ns |= dict.fromkeys(self._spent_ns.keys() - self._failed, wall_ns)
        samples = tuple(
            SourceSample(name, spent_ns / 1e9, self._errors[name], self._succeeded_ns.get(name))
            for name, spent_ns in self._spent_ns.items()
        )
        self._spent_ns.clear()
        self._failed.clear()
        return samples


class Sampler:
    """Turns the sources into snapshots, one a tick. One thread uses it."""

    def __init__(
        self,
        sources: Sources,
        *,
        has_system_cgroups: bool = False,
        problems: tuple[Problem, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        """Sample the containers, and with ``has_system_cgroups`` the slices and services around them too.

        ``problems`` are those known beforehand; each sample repeats them.
        """
        self.newest: Snapshot | None = None
        """The snapshot of the last tick. Immutable, so any thread may read it."""
        self.tick_s = 0.0
        """How long the last tick took, seconds."""
        self._sources = sources
        self._has_system_cgroups = has_system_cgroups
        self._known_problems = problems
        self._clock = clock or Clock()
        self._boot_ns: int | None = None
        self._places: dict[CgroupPath, Place] = {}
        self._firsts: dict[CgroupPath, tuple[int, ProcessSample]] = {}
        self._inodes: Mapping[CgroupPath, int] = {}
        self._found: Mapping[CgroupPath, FoundContainer] = {}
        self._pods: Mapping[CgroupPath, FoundPod] = {}
        self._wanted_for: tuple[Mapping[CgroupPath, int], tuple[Isolated, ...], Mapping[CgroupPath, int]] = {}, (), {}
        self._processes: Mapping[CgroupPath, ProcessSample] = {}
        self._processes_malformed: ParseError | None = None
        self._nameless: Mapping[CgroupPath, tuple[FoundContainer, ProcessSample]] = {}
        self._told: tuple[tuple[ContainerInfo, ...], ...] = ()
        self._known: tuple[object, ...] = ()
        self._by_id: Mapping[ContainerId, ContainerInfo] = {}
        self._bundled: tuple[ContainerInfo, ...] = ()
        self._containers: tuple[ContainerInfo, ...] = ()
        self._named: KeysView[ContainerId] = {}.keys()
        self._cgroups: Mapping[CgroupPath, CgroupSample] = {}
        self._readings = _Readings(self._clock.monotonic_ns)
        self._seen: tuple[object, ...] = ()
        self._targets: tuple[Target, ...] = ()

    def tick(self) -> Snapshot:
        """Read everything once, and derive the snapshot.

        Raises:
            ParseError: the host's own totals are not in their documented form.
        """
        begun_ns = self._clock.monotonic_ns()
        sample = self._sample(begun_ns)
        snapshot = derive(self.newest, sample)
        self.newest = replace(snapshot, findings=assess(snapshot, self.newest))
        self.tick_s = (self._clock.monotonic_ns() - begun_ns) / 1e9
        return self.newest

    def close(self) -> None:
        """Give all descriptors back and let go of the runtimes."""
        self._sources.runtimes.stop()
        if self._sources.survey:
            self._sources.survey.stop()
        self._sources.cgroups.close()

    def _sample(self, monotonic_ns: int) -> Sample:
        sources, readings = self._sources, self._readings
        wall_ns = self._clock.wall_ns()
        with readings.of("host"):
            host = sources.host.read()
        if self._boot_ns is None:
            self._boot_ns = wall_ns - int(host.uptime_s * 1e9)
        with readings.of("cgroup"):
            inodes = sources.cgroups.find(monotonic_ns)
        if inodes is not self._inodes:
            self._place(inodes)
        found, pods = self._found, self._pods
        with readings.of("isolated"):
            isolated, isolated_malformed = self._look_for_isolated(host)
        wanted = self._wanted(inodes, isolated)
        with readings.of("cgroup"):
            cgroups, malformed = sources.cgroups.read(wanted, monotonic_ns)
        with readings.of("processes"):
            processes, processes_malformed = self._first_processes(found, inodes, cgroups)
        runtimes, runtime_problems = self._look_at_runtimes(found)
        containers = self._name(found, processes)
        # One that has been confirmed only now is a container.
        isolated = tuple(each for each in isolated if not self._is_of_container(each.cgroup))
        self._cgroups = cgroups
        with readings.of("network"):
            networks, networks_malformed = self._networks(
                host, [*processes.values(), *(each.process for each in isolated)]
            )
        finished = None
        if sources.survey:
            sources.survey.aim(self._aim(host, inodes, wanted, found, processes, isolated))
            finished = sources.survey.newest
        problems = self._problems(
            {
                "host": sources.host.malformed,
                "cgroup": malformed,
                "processes": processes_malformed,
                "isolated": isolated_malformed,
                "network": networks_malformed,
                **({finished.source.name: finished.malformed} if finished else {}),
            }
        )
        return Sample(
            wall_ns=wall_ns,
            monotonic_ns=monotonic_ns,
            host=host,
            mode=sources.cgroups.hierarchies.mode,
            cgroups=cgroups,
            found=found,
            pods=pods,
            processes=processes,
            isolated=isolated,
            networks=networks,
            containers=containers,
            runtimes=runtimes,
            problems=(*runtime_problems, *problems, *self._known_problems),
            sources=(*readings.end(wall_ns), *((finished.source,) if finished else ())),
            survey=finished.survey if finished else None,
        )

    def _aim(
        self,
        host: HostSample,
        inodes: Mapping[CgroupPath, int],
        wanted: Mapping[CgroupPath, int],
        found: Mapping[CgroupPath, FoundContainer],
        processes: Mapping[CgroupPath, ProcessSample],
        isolated: tuple[Isolated, ...],
    ) -> tuple[Target, ...]:
        """Say what the survey is to look at: the same object for as long as nothing comes or goes."""
        seen = (inodes, wanted, processes, isolated, self._named)
        if seen != self._seen:
            self._seen = seen
            self._targets = tuple(targets_of(host, inodes, wanted, found, processes, isolated, self._is_of_container))
        return self._targets

    def _place(self, inodes: Mapping[CgroupPath, int]) -> None:
        """Say what each cgroup is, and let the runtimes be asked if containers have come or gone."""
        before = self._found.keys()
        self._inodes = inodes
        self._places = {path: self._places.get(path) or classify(path) for path in inodes}
        self._found = {path: place.container for path, place in self._places.items() if place.container}
        self._pods = {path: place.pod for path, place in self._places.items() if place.pod}
        if self._found.keys() != before:
            self._sources.runtimes.wake()

    def _wanted(self, inodes: Mapping[CgroupPath, int], isolated: tuple[Isolated, ...]) -> Mapping[CgroupPath, int]:
        """Choose the cgroups to read: the same object for as long as nothing comes or goes."""
        if inodes is not self._wanted_for[0] or isolated is not self._wanted_for[1]:
            counted = {ROOT, *self._found, *self._pods, *(each.cgroup for each in isolated if each.is_alone)}
            wanted = {
                path: inode
                for path, inode in inodes.items()
                if path in counted or (self._has_system_cgroups and not self._places[path].is_inside)
            }
            self._wanted_for = inodes, isolated, wanted
        return self._wanted_for[2]

    def _look_for_isolated(self, host: HostSample) -> tuple[tuple[Isolated, ...], ParseError | None]:
        try:
            return self._sources.isolated.look(host, self._is_of_container, self._boot_ns or 0), None
        except ParseError as error:
            return (), error

    def _is_of_container(self, path: CgroupPath) -> bool:
        place = self._places.get(path) or classify(path)
        if place.container is not None and place.container.is_candidate:
            return place.container.id in self._named
        return place.is_inside or place.container is not None

    def _first_processes(
        self,
        found: Mapping[CgroupPath, FoundContainer],
        inodes: Mapping[CgroupPath, int],
        cgroups: Mapping[CgroupPath, CgroupSample],
    ) -> tuple[Mapping[CgroupPath, ProcessSample], ParseError | None]:
        """Find the first process of each container, and keep it for as long as it runs.

        None begins or ends while its cgroup does nothing at all.
        """
        if cgroups is self._cgroups and not self._processes_malformed:
            return self._processes, None
        firsts = {}
        malformed: ParseError | None = None
        for path in found:
            inode, process = self._firsts.get(path, (0, None))
            cgroup = cgroups.get(path)
            if cgroup is None:
                continue
            try:
                if inode != inodes[path] or process is None or self._may_have_ended(cgroup, process):
                    process = self._first_process(path, found, inodes)
            except ParseError as error:
                malformed, process = malformed or error, None
            if process is not None:
                firsts[path] = (inodes[path], process)
        self._firsts, self._processes_malformed = firsts, malformed
        processes = {path: process for path, (_, process) in firsts.items()}
        if processes != self._processes:
            self._processes = processes
        return self._processes, malformed

    def _may_have_ended(self, cgroup: CgroupSample, process: ProcessSample) -> bool:
        """Look only where the number of tasks has changed: a first process does not end without that."""
        before = self._cgroups.get(cgroup.path)
        if before is cgroup:
            return False
        if (
            before is None
            or before.pids is None
            or before.pids is not cgroup.pids
            or before.events is not cgroup.events
        ):
            return not self._sources.processes.is_running(process)
        return False

    def _first_process(
        self, path: CgroupPath, found: Mapping[CgroupPath, FoundContainer], inodes: Mapping[CgroupPath, int]
    ) -> ProcessSample | None:
        """Look in the container's cgroup, then in those below: a systemd or crun inside moves its processes there.

        What is in a container nested in it is not its own.
        """
        pids = self._sources.cgroups.processes(path) or self._pids_below(path, found, inodes)
        return self._sources.processes.first_of(pids, self._boot_ns or 0) if pids else None

    def _pids_below(
        self, path: CgroupPath, found: Mapping[CgroupPath, FoundContainer], inodes: Mapping[CgroupPath, int]
    ) -> list[int]:
        below = f"{path}/"
        nested = tuple(f"{other}/" for other in found if other.startswith(below))
        own = sorted(other for other in inodes if other.startswith(below) and not f"{other}/".startswith(nested))
        return next((pids for each in own if (pids := self._sources.cgroups.processes(each))), [])

    def _networks(
        self, host: HostSample, processes: Iterable[ProcessSample]
    ) -> tuple[dict[NetnsKey, Mapping[str, InterfaceStat]], ParseError | None]:
        """Read each network namespace once, the host's among them."""
        pids = {host.netns: 1} if host.netns is not None else {}
        for process in processes:
            if process.netns is not None:
                pids.setdefault(process.netns, process.pid)
        networks: dict[NetnsKey, Mapping[str, InterfaceStat]] = {}
        malformed: ParseError | None = None
        for netns, pid in pids.items():
            try:
                interfaces = self._sources.processes.interfaces(pid)
            except ParseError as error:
                malformed = malformed or error
                continue
            if interfaces is not None:
                networks[netns] = interfaces
        return networks, malformed

    def _look_at_runtimes(
        self, found: Mapping[CgroupPath, FoundContainer]
    ) -> tuple[tuple[RuntimeSample, ...], list[Problem]]:
        samples, problems, infos = [], [], []
        for watch in self._sources.runtimes.look():
            sample, problem = watch.look()
            samples.append(sample)
            if problem and (not sample.lies_beneath or any(_may_be_of(sample, each) for each in found.values())):
                problems.append(problem)
            infos.append(watch.infos)
        self._told = tuple(infos)
        return tuple(samples), problems

    def _name(
        self, found: Mapping[CgroupPath, FoundContainer], processes: Mapping[CgroupPath, ProcessSample]
    ) -> tuple[ContainerInfo, ...]:
        """Gather what runtimes tell, and what files and processes tell of the containers that no runtime has named."""
        told = self._told
        known = (found, processes, *told)
        is_same = len(known) == len(self._known) and all(map(is_, known, self._known))
        if not is_same:
            self._known = known
            # Two runtimes can see one container; the first that does names it.
            self._by_id = {info.id: info for infos in reversed(told) for info in reversed(infos)}
            self._nameless = {
                path: (container, processes[path])
                for path, container in found.items()
                if container.id not in self._by_id and path in processes
            }
        bundled = self._sources.bundles.infos(self._nameless)
        if not is_same or bundled is not self._bundled:
            self._bundled = bundled
            infos = {**{info.id: info for info in reversed(bundled)}, **self._by_id}
            self._named = infos.keys()
            containers = tuple(infos.values())
            if len(containers) != len(self._containers) or not all(map(is_, containers, self._containers)):
                self._containers = containers
        return self._containers

    def _problems(self, malformed: Mapping[str, ParseError | None]) -> list[Problem]:
        hierarchies = self._sources.cgroups.hierarchies
        problems = []
        if hierarchies.mode is None:
            problems.append(
                Problem(
                    "cgroup",
                    "no cgroup hierarchy is mounted: there are no containers to be seen",
                    "sudo mount -t cgroup2 none /sys/fs/cgroup",
                )
            )
        elif hierarchies.is_partial:
            problems.append(
                Problem(
                    "cgroup",
                    "only a part of the host's cgroups is visible from here",
                    "run topcon on the host, or its container with --pid host --cgroupns host",
                )
            )
        for source, error in (*malformed.items(), ("bundles", self._sources.bundles.malformed)):
            if error:
                self._readings.fail(source)
                problems.append(Problem(_SAID_AS.get(source, source), str(error)))
        for source, access, lost in (
            ("cgroup", self._sources.cgroup_access, "its numbers are missing"),
            ("processes", self._sources.process_access, "namespaces of other users' containers are not shown"),
        ):
            if access.refused:
                self._readings.refuse(source)
                problems.append(Problem(source, f"permission denied at {access.refused}: {lost}", "sudo topcon"))
        return problems


_SAID_AS = {"isolated": "processes"}
"""What a source is called to people, where that is not its own name."""


def _may_be_of(runtime: RuntimeSample, container: FoundContainer) -> bool:
    return (container.runtime is None or runtime.runs(container)) and not container.is_candidate


class SamplerThread(threading.Thread):
    """Ticks on a fixed grid. A tick that comes late is left out, never made up for."""

    def __init__(
        self,
        sampler: Sampler,
        interval_s: float,
        on_snapshot: Callable[[Snapshot], object],
        on_failure: Callable[[BaseException], object],
    ) -> None:
        """Call ``on_snapshot`` after each tick, ``on_failure`` once if one fails; both on this thread."""
        super().__init__(name="topcon-sampler", daemon=True)
        self._sampler = sampler
        self._interval_s = interval_s
        self._on_snapshot = on_snapshot
        self._on_failure = on_failure
        self._stopped = threading.Event()

    def run(self) -> None:
        """Tick until stopped."""
        try:
            due = time.monotonic()
            while not self._stopped.is_set():
                self._on_snapshot(self._sampler.tick())
                now = time.monotonic()
                due += self._interval_s * max(1, -(-(now - due) // self._interval_s))
                self._stopped.wait(due - now)
        except BaseException as error:  # noqa: BLE001  the front end ends with it
            self._on_failure(error)

    def stop(self) -> None:
        """Tick no more."""
        self._stopped.set()
