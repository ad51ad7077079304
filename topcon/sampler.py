"""Reads all sources once a tick and derives the snapshot of it."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from operator import is_
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.events import events_after
from topcon.findings import DEFAULT_THRESHOLDS, Thresholds, assess
from topcon.kernel.firsts import FirstProcesses
from topcon.kernel.target import targets_of
from topcon.model.cost import daemons_cpu_s, kept_after, own_cpu_s
from topcon.model.derive import derive
from topcon.model.event import MOST_TOLD
from topcon.model.sample import ROOT, CgroupPath, CgroupSample, OwnSample, Problem, Sample, SourceSample
from topcon.runtimes.paths import Place, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence

    from topcon.kernel.cgroup import CgroupFs
    from topcon.kernel.files import Access
    from topcon.kernel.host import HostReader
    from topcon.kernel.isolated import IsolatedScan
    from topcon.kernel.network import Networks
    from topcon.kernel.own import OwnReader
    from topcon.kernel.process import ProcFs
    from topcon.kernel.survey import SurveyThread
    from topcon.kernel.target import Target
    from topcon.model.event import Told
    from topcon.model.sample import (
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
        TierSample,
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
    networks: Networks
    runtimes: RuntimeWatches
    bundles: Bundles
    cgroup_access: Access
    process_access: Access
    survey: SurveyThread | None = None
    """For the endpoint alone."""
    own: OwnReader | None = None
    """For a host that is ours."""


class Pace(NamedTuple):
    """How often samples are taken, and why."""

    interval_s: float
    asked_s: float
    budget: float | None = None
    """The share of one core to stay within; None for no bound."""

    @property
    def is_slowed(self) -> bool:
        """Whether it is slower than was asked for."""
        return self.interval_s > self.asked_s


GLANCE_CONTAINERS = 100
"""Where there are more containers than this, a glance counts so many of them, which a screen has no more lines for."""
GLANCE_NAMES_S = 0.02
"""How long a glance looks for names, which is enough for a few dozen."""

_OUR_PARTS = frozenset({"runtimes", "names", "derive", "findings", "events"})
"""Parts of a tick that read nothing of the kernel's."""


class _Readings:
    """How the parts of a tick go: how long each takes, and how often a source fails."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._spent_ns: Counter[tuple[str, str]] = Counter()
        self._failed: set[str] = set()
        self._errors: Counter[str] = Counter()
        self._succeeded_ns: dict[str, int] = {}
        self._refused: set[str] = set()

    def begin(self) -> None:
        """Begin a tick."""
        self._spent_ns.clear()
        self._failed.clear()

    @contextmanager
    def of(self, name: str, tier: str = "") -> Iterator[None]:
        """Measure a part of a tick."""
        begun_ns = self._monotonic_ns()
        yield
        self._spent_ns[name, tier] += self._monotonic_ns() - begun_ns

    def split(self, name: str, tiers: Iterable[TierSample]) -> None:
        """Say what of the time that was measured for a source went into its tiers."""
        for tier in tiers:
            spent_ns = round(tier.duration_s * 1e9)
            self._spent_ns[name, tier.name] += spent_ns
            self._spent_ns[name, ""] -= spent_ns

    @property
    def spent(self) -> Mapping[tuple[str, str], float]:
        """The seconds that went into each part since the tick began, by source and tier; they add up."""
        return {part: max(spent_ns, 0) / 1e9 for part, spent_ns in self._spent_ns.items()}

    def fail(self, name: str) -> None:
        """Note that a source could not be read this time, or not all of it."""
        self._failed.add(name)

    def refuse(self, name: str) -> None:
        """Note that a source is refused us in part: it was not when this is said first, and is from then on."""
        if name not in self._refused:
            self._refused.add(name)
            self._failed.add(name)

    def sources(self, wall_ns: int, tiers: Mapping[str, tuple[TierSample, ...]]) -> tuple[SourceSample, ...]:
        """Return how the kernel's sources were read this time; ``tiers`` are of those that have them."""
        spent_ns: Counter[str] = Counter()
        for (name, _), part_ns in self._spent_ns.items():
            if name not in _OUR_PARTS:
                spent_ns[name] += part_ns
        self._errors.update(self._failed)
        self._succeeded_ns |= dict.fromkeys(spent_ns.keys() - self._failed, wall_ns)
        return tuple(
            SourceSample(name, whole_ns / 1e9, self._errors[name], self._succeeded_ns.get(name), tiers.get(name, ()))
            for name, whole_ns in spent_ns.items()
        )


class Sampler:
    """Turns the sources into snapshots, one a tick. One thread uses it."""

    def __init__(
        self,
        sources: Sources,
        *,
        has_system_cgroups: bool = False,
        problems: tuple[Problem, ...] = (),
        clock: Clock | None = None,
        pace: Pace | None = None,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> None:
        """Sample the containers, and with ``has_system_cgroups`` the slices and services around them too.

        ``problems`` are those known beforehand; each sample repeats them. ``pace`` is told in each of them.
        ``thresholds`` say from where on something is wrong.
        """
        self.newest: Snapshot | None = None
        """The snapshot of the last tick. Immutable, so any thread may read it."""
        self.tick_s = 0.0
        """How long the last tick took, seconds."""
        self.spent: Mapping[tuple[str, str], float] = {}
        """The parts of that, by source and tier."""
        self.pace = pace
        """For who ticks to set; None for a host that is not ours."""
        self.is_partial = False
        """Whether ``newest`` is what a `glance` made of many containers."""
        self._sources = sources
        self._has_system_cgroups = has_system_cgroups
        self._known_problems = problems
        self._thresholds = thresholds
        self._clock = clock or Clock()
        self._boot_ns: int | None = None
        self._places: dict[CgroupPath, Place] = {}
        self._firsts = FirstProcesses(sources.processes, sources.cgroups.processes)
        self._inodes: Mapping[CgroupPath, int] = {}
        self._found: Mapping[CgroupPath, FoundContainer] = {}
        self._pods: Mapping[CgroupPath, FoundPod] = {}
        self._wanted_for: tuple[Mapping[CgroupPath, int], tuple[Isolated, ...], Mapping[CgroupPath, int]] = {}, (), {}
        self._nameless: Mapping[CgroupPath, tuple[FoundContainer, ProcessSample]] = {}
        self._known: tuple[object, ...] = ()
        self._by_id: Mapping[ContainerId, ContainerInfo] = {}
        self._bundled: tuple[ContainerInfo, ...] = ()
        self._containers: tuple[ContainerInfo, ...] = ()
        self._named: KeysView[ContainerId] = {}.keys()
        self._sharing: tuple[Mapping[CgroupPath, ProcessSample], tuple[Isolated, ...]] = {}, ()
        self._network_pids: Mapping[NetnsKey, int] = {}
        self._readings = _Readings(self._clock.monotonic_ns)
        self._seen: tuple[object, ...] = ()
        self._targets: tuple[Target, ...] = ()
        self._told: deque[Told] = deque(maxlen=MOST_TOLD)

    def tell(self, told: Told) -> None:
        """Take what topcon itself has to tell, for the next sample; any thread may call this."""
        self._told.append(told)

    def _take_told(self) -> tuple[Told, ...]:
        """Return what was told since this was asked last, by topcon and by the runtimes."""
        return tuple(self._told.popleft() for _ in range(len(self._told)))

    def tick(self) -> Snapshot:
        """Read everything once, and derive the snapshot.

        Raises:
            ParseError: the host's own totals are not in their documented form.
        """
        return self._read(is_glance=False)

    def glance(self) -> Snapshot:
        """Read what a screen shows first, which does not wait for more; a `tick` is to come soon.

        Of many containers that is which there are, and of the first of them their memory, and since when they run:
        ``is_partial`` then. Names that cannot be found at once are left to the tick in any case.

        Raises:
            ParseError: as `tick`.
        """
        return self._read(is_glance=True)

    def _read(self, *, is_glance: bool) -> Snapshot:
        readings = self._readings
        readings.begin()
        begun_ns = self._clock.monotonic_ns()
        sample = self._sample(begun_ns, is_glance=is_glance)
        with readings.of("derive"):
            snapshot = derive(self.newest, sample)
        with readings.of("findings"):
            snapshot = replace(snapshot, findings=assess(snapshot, self.newest, self._thresholds))
        with readings.of("events"):
            self.newest = replace(snapshot, events=events_after(self.newest, snapshot))
        self.spent = readings.spent
        self.tick_s = (self._clock.monotonic_ns() - begun_ns) / 1e9
        return self.newest

    def close(self) -> None:
        """Give all descriptors back and let go of the runtimes."""
        self._sources.runtimes.stop()
        if self._sources.survey:
            self._sources.survey.stop()
        if self._sources.own:
            self._sources.own.close()
        self._sources.cgroups.close()
        self._sources.networks.close()

    def _sample(self, monotonic_ns: int, *, is_glance: bool) -> Sample:
        sources, readings = self._sources, self._readings
        wall_ns = self._clock.wall_ns()
        with readings.of("host"):
            host = sources.host.read()
        if self._boot_ns is None:
            self._boot_ns = wall_ns - int(host.uptime_s * 1e9)
        with readings.of("cgroup", "find"):
            inodes = sources.cgroups.find(monotonic_ns)
        if inodes is not self._inodes:
            self._place(inodes)
        found, pods = self._found, self._pods
        self.is_partial = is_partial = is_glance and len(found) > GLANCE_CONTAINERS
        isolated: tuple[Isolated, ...] = ()
        isolated_malformed: ParseError | None = None
        if not is_partial:
            with readings.of("isolated"):
                isolated, isolated_malformed = self._look_for_isolated(host)
        wanted = self._wanted(inodes, isolated)
        counted = _first_of(wanted, found) if is_partial else wanted
        with readings.of("cgroup"):
            cgroups, malformed = sources.cgroups.read(counted, monotonic_ns, is_glance=is_partial)
        tiers = sources.cgroups.tiers
        readings.split("cgroup", tiers)
        with readings.of("processes"):
            processes, processes_malformed = self._firsts.find(found, inodes, cgroups, self._boot_ns)
        if is_partial:
            cgroups = {path: cgroups.get(path) or CgroupSample(path, inode) for path, inode in wanted.items()}
        with readings.of("runtimes"):
            runtimes, told, runtime_problems = self._look_at_runtimes(found)
        with readings.of("names"):
            containers = self._name(found, processes, told, GLANCE_NAMES_S if is_glance else None)
        # One that has been confirmed only now is a container.
        if any(self._is_of_container(each.cgroup) for each in isolated):
            isolated = tuple(each for each in isolated if not self._is_of_container(each.cgroup))
        networks: Mapping[NetnsKey, Mapping[str, InterfaceStat]] = {}
        networks_malformed: ParseError | None = None
        if not is_partial:
            with readings.of("network"):
                networks, networks_malformed = self._networks(host, processes, isolated, monotonic_ns)
        finished = None
        if sources.survey:
            sources.survey.aim(self._aim(host, inodes, wanted, found, processes, isolated))
            finished = sources.survey.newest
        own, own_malformed = self._own()
        problems = self._problems(
            {
                "host": sources.host.malformed,
                "cgroup": malformed,
                "processes": processes_malformed,
                "isolated": isolated_malformed,
                "network": networks_malformed,
                "own": own_malformed,
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
            sources=(*readings.sources(wall_ns, {"cgroup": tiers}), *((finished.source,) if finished else ())),
            events=self._take_told(),
            survey=finished.survey if finished else None,
            own=own,
        )

    def _own(self) -> tuple[OwnSample | None, ParseError | None]:
        """Say what topcon itself has used so far."""
        reader, pace = self._sources.own, self.pace
        if reader is None or pace is None:
            return None, None
        malformed: ParseError | None = None
        rss_bytes = None
        try:
            rss_bytes = reader.rss_bytes()
        except ParseError as error:
            malformed = error
        return OwnSample(reader.cpu_s(), rss_bytes, pace.interval_s, pace.asked_s, pace.budget), malformed

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
            # They are few, and their limits hold for all that is in them.
            counted |= {path for path in _above(self._found) if path in inodes and not self._places[path].is_inside}
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

    def _networks(
        self,
        host: HostSample,
        processes: Mapping[CgroupPath, ProcessSample],
        isolated: tuple[Isolated, ...],
        monotonic_ns: int,
    ) -> tuple[Mapping[NetnsKey, Mapping[str, InterfaceStat]], ParseError | None]:
        """Read each network namespace once, and the host's for the endpoint, which alone shows it."""
        if processes is not self._sharing[0] or isolated != self._sharing[1]:
            self._sharing = processes, isolated
            pids: dict[NetnsKey, int] = {}
            for process in (*processes.values(), *(each.process for each in isolated)):
                if process.netns is not None and process.netns != host.netns:
                    pids.setdefault(process.netns, process.pid)
            if pids != self._network_pids:
                self._network_pids = pids
        host_netns = host.netns if self._has_system_cgroups else None
        return self._sources.networks.read(host_netns, self._network_pids, monotonic_ns)

    def _look_at_runtimes(
        self, found: Mapping[CgroupPath, FoundContainer]
    ) -> tuple[tuple[RuntimeSample, ...], list[tuple[ContainerInfo, ...]], list[Problem]]:
        """Return how each runtime is doing, what it tells, and what is wrong."""
        samples, problems, infos = [], [], []
        rest_s = self.pace.interval_s if self.pace and self.pace.is_slowed else 0.0
        for watch in self._sources.runtimes.look():
            watch.rest_s = rest_s
            sample, problem = watch.look()
            self._told.extend(watch.take_told())
            samples.append(sample)
            if problem and (not sample.lies_beneath or any(_may_be_of(sample, each) for each in found.values())):
                problems.append(problem)
            infos.append(watch.infos)
        return tuple(samples), infos, problems

    def _name(
        self,
        found: Mapping[CgroupPath, FoundContainer],
        processes: Mapping[CgroupPath, ProcessSample],
        told: Sequence[tuple[ContainerInfo, ...]],
        naming_s: float | None,
    ) -> tuple[ContainerInfo, ...]:
        """Gather what runtimes tell, and what files and processes tell of the containers that no runtime has named.

        ``naming_s`` is how long the latter may take; None for as long as it was set up for.
        """
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
        bundled = self._sources.bundles.infos(self._nameless, naming_s)
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


def _first_of(wanted: Mapping[CgroupPath, int], found: Mapping[CgroupPath, FoundContainer]) -> Mapping[CgroupPath, int]:
    """Of many cgroups choose those of the containers that are shown first while names are not known, and their pods."""
    first = sorted(found.values(), key=lambda each: (each.is_candidate, each.pod.id if each.pod else each.id))
    first = first[:GLANCE_CONTAINERS]
    counted = {ROOT, *(each.path for each in first), *(each.pod.path for each in first if each.pod)}
    return {path: inode for path, inode in wanted.items() if path in counted}


def _above(paths: Iterable[CgroupPath]) -> set[CgroupPath]:
    """Return the cgroups that these are in."""
    parents: set[CgroupPath] = set()
    for path in paths:
        parent = CgroupPath(path.rpartition("/")[0])
        while parent and parent not in parents:
            parents.add(parent)
            parent = CgroupPath(parent.rpartition("/")[0])
    return parents


def _may_be_of(runtime: RuntimeSample, container: FoundContainer) -> bool:
    return (container.runtime is None or runtime.runs(container)) and not container.is_candidate


LONGEST_PACE_S = 60.0
"""No budget slows topcon down further."""
_PACE_STEP_S = 0.1
_ROUNDING = 1e-6
"""Of a step: what sums are off by is not worth one."""
_STEADY = 1.25
"""Ticks may be so many times as far apart as they have to be."""
_START_S = 5.0
"""What is spent in the first seconds is the start's, not the ticks'."""


def paced(asked_s: float, budget: float | None, spent_s_per_tick: float | None) -> float:
    """Return how far apart ticks are to be, so that they cost no more than ``budget``, a share of one core.

    In tenths of a second, so that what it costs can vary a little.
    """
    if budget is None or spent_s_per_tick is None:
        return asked_s
    needed_s = ceil(spent_s_per_tick / budget / _PACE_STEP_S - _ROUNDING) * _PACE_STEP_S
    return max(asked_s, min(round(needed_s, 1), LONGEST_PACE_S))


class _Spending:
    """What a tick costs, topcon and the daemons together, as a mean in which what is long ago counts little."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._before: Sample | None = None
        self._spent_s = 0.0
        self._ticks = 0.0

    def add(self, sample: Sample) -> None:
        """Take the sample of one more tick."""
        before, self._before = self._before, sample
        if before is None or self._first_ns is None:
            self._first_ns = sample.monotonic_ns
            return
        spent_s = own_cpu_s(before, sample)
        if spent_s is None or sample.monotonic_ns - self._first_ns < _START_S * 1e9:
            return
        kept = kept_after((sample.monotonic_ns - before.monotonic_ns) / 1e9)
        self._spent_s = self._spent_s * kept + spent_s + (daemons_cpu_s(before, sample) or 0.0)
        self._ticks = self._ticks * kept + 1

    @property
    def s_per_tick(self) -> float | None:
        """Seconds of CPU; None before it is known."""
        return self._spent_s / self._ticks if self._ticks else None


LAST_TICK_S = 2.0
"""So long an end waits for the tick that goes on."""


class SamplerThread(threading.Thread):
    """Ticks on a fixed grid. A tick that comes late is left out, never made up for."""

    def __init__(
        self,
        sampler: Sampler,
        interval_s: float,
        on_snapshot: Callable[[Snapshot], object],
        on_failure: Callable[[BaseException], object],
        *,
        begin: Callable[[], object] = lambda: None,
        budget: float | None = None,
    ) -> None:
        """Call ``begin``, then ``on_snapshot`` after each tick, ``on_failure`` once if one fails; all on this thread.

        Ticks are further apart than ``interval_s`` where they, and what they cost the daemons, would take more than
        ``budget``, a share of one core.
        """
        super().__init__(name="topcon-sampler", daemon=True)
        self._sampler = sampler
        self._asked_s = interval_s
        self._budget = budget
        self._interval_s = interval_s
        self._spending = _Spending()
        self._on_snapshot = on_snapshot
        self._on_failure = on_failure
        self._begin = begin
        self._stopped = threading.Event()
        self._woken = threading.Event()

    @property
    def interval_s(self) -> float:
        """Seconds from tick to tick, as asked for. Any thread may set it: it holds at once."""
        return self._asked_s

    @interval_s.setter
    def interval_s(self, interval_s: float) -> None:
        self._asked_s = interval_s
        self._woken.set()

    def run(self) -> None:
        """Tick until stopped."""
        try:
            self._begin()
            due = time.monotonic()
            while not self._stopped.is_set():
                self._sampler.pace = pace = self._pace()
                self._interval_s = pace.interval_s
                snapshot = self._sampler.tick()
                self._spending.add(snapshot.sample)
                self._on_snapshot(snapshot)
                due = self._wait(due)
        except BaseException as error:  # noqa: BLE001  the front end ends with it
            self._on_failure(error)

    def _pace(self) -> Pace:
        """Say how fast the next tick is to come, which is at most half as fast as the last.

        Something dear that happens once is thus paid off over a few ticks, not by a long silence.
        """
        asked_s = self._asked_s
        interval_s = paced(asked_s, self._budget, self._spending.s_per_tick)
        if asked_s < interval_s <= self._interval_s <= interval_s * _STEADY:
            # A grid that moves each time is none.
            interval_s = self._interval_s
        return Pace(max(asked_s, min(interval_s, 2 * self._interval_s)), asked_s, self._budget)

    def _wait(self, begun: float) -> float:
        """Wait for the next point of the grid that the last tick, due at ``begun``, is on; return that point."""
        while True:
            # Before it is looked at: what is set from now on wakes again.
            self._woken.clear()
            interval_s = self._pace().interval_s
            now = time.monotonic()
            due = begun + interval_s * max(1, -(-(now - begun) // interval_s))
            if self._stopped.is_set() or not self._woken.wait(due - now):
                return due

    def stop(self) -> None:
        """Tick no more."""
        self._stopped.set()
        self._woken.set()

    def has_ended(self) -> bool:
        """Tick no more, and wait for the last tick; False if it takes so long that its files must be left open."""
        self.stop()
        if self.is_alive():
            self.join(LAST_TICK_S)
        return not self.is_alive()
