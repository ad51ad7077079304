"""One pass over the snapshots of a span: what each container used, what was wrong, and for how long.

What is kept grows with the containers and findings there were, never with the length of the span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from topcon.events import OVER_NS, pod_title
from topcon.incident.tracks import NOTHING, Kind, Steps, Track
from topcon.model.derive import place_of
from topcon.model.sample import ContainerKey, Source
from topcon.model.snapshot import PressureShares, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from topcon.incident.tracks import Record
    from topcon.model.sample import ContainerInfo, HostSample, Problem
    from topcon.model.snapshot import ContainerNode, Finding, HostNode, Place, Snapshot, Usage

FIRST_STEP_NS = 10**9
"""How long the steps are at first."""
LEAST_GAP_NS = 10 * 10**9
LONGER = 4
"""Moments are a gap apart where that is so many times as long as before, and no less than the least."""
MOST_GAPS = 100
"""Of more, the shortest are taken for none."""
MOST_SPANS = 100
"""A finding that comes and goes more often is shown as if it had held in the shortest of the times between."""


class Span(NamedTuple):
    """A time, in nanoseconds since 1970."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max(self.end_ns - self.begin_ns, 0) / 1e9


@dataclass(slots=True)
class Subject:
    """A container, with all that were in its place one after the other."""

    place: Place
    origin: ContainerKey
    """Of the first one."""
    key: ContainerKey
    """Of the newest one, as the rest."""
    info: ContainerInfo
    """Foreign text is in it, and in the next."""
    pod: str
    """The title of its pod; empty for one by itself."""
    started_ns: int | None
    last_seen_ns: int
    is_there: bool = True
    """Whether it was there at the end."""
    oom_kills: int = 0
    """Processes killed for memory in its place, as far as they are known."""
    keys: set[str] = field(default_factory=set)
    """Of all that were in its place."""
    track: Track = field(default_factory=Track)

    @property
    def name(self) -> str:
        """Its name: foreign text."""
        return self.info.name


@dataclass(slots=True)
class Case:
    """A finding about a container, pod or runtime, from its first time to its last."""

    finding: Finding
    """As it was when it was worst."""
    subject: Subject | None
    """The container that it is about."""
    name: str
    """What it is about: foreign text, as the next."""
    pod: str
    spans: list[Span]
    """When it held, the newest last."""
    holds: bool = True
    """Whether it did at the end."""
    missed_ns: int | None = None
    """Since when it has not been found, if it may be found again soon."""

    @property
    def severity(self) -> Severity:
        """The worst that it was."""
        return self.finding.severity

    @property
    def begin_ns(self) -> int:
        """Since when it held first; that may be before the span."""
        return self.spans[0].begin_ns

    @property
    def end_ns(self) -> int:
        """Until when it held last."""
        return self.spans[-1].end_ns

    @property
    def held_s(self) -> float:
        """How long it held, all times together."""
        return sum(span.seconds for span in self.spans)


@dataclass(frozen=True, slots=True)
class Incident:
    """All that the page tells of a span, but for the events."""

    host: HostSample
    """As it was at the end."""
    span: Span
    moments: int
    """How many snapshots there were."""
    steps: Steps
    host_track: Track
    subjects: tuple[Subject, ...]
    cases: tuple[Case, ...]
    gaps: tuple[Span, ...]
    """Times in which nothing was recorded."""
    problems: tuple[Problem, ...]
    """What could not be read at the end."""


def fold(snapshots: Iterator[Snapshot]) -> Incident | None:
    """Read all snapshots, in the order of time, and keep what the page tells; None if there are none."""
    folding: _Folding | None = None
    for snapshot in snapshots:
        if folding is None:
            folding = _Folding(snapshot)
        folding.add(snapshot)
    return folding.ended() if folding is not None else None


class _Folding:
    """What has been kept so far."""

    def __init__(self, first: Snapshot) -> None:
        self._first_ns = first.sample.wall_ns
        self._steps = Steps(self._first_ns, FIRST_STEP_NS)
        self._host = Track()
        self._subjects: list[Subject] = []
        self._of_keys: dict[ContainerKey, Subject] = {}
        self._of_places: dict[Place, Subject] = {}
        self._cases: dict[tuple[str, str], Case] = {}
        self._open: dict[tuple[str, str], Case] = {}
        self._gaps: list[Span] = []
        self._apart_ns = 0
        self._moments = 0
        self._before: Snapshot | None = None

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next moment."""
        self._moments += 1
        for counts in self._steps.add(snapshot.sample.wall_ns):
            for track in self._tracks():
                track.merge(counts)
        if self._before is not None:
            self._add_gap(self._before.sample.wall_ns, snapshot.sample.wall_ns)
        self._host.put(_host_record(snapshot.host), self._steps)
        if self._before is None or snapshot.containers is not self._before.containers:
            self._add_containers(snapshot)
        self._add_findings(snapshot)
        self._before = snapshot

    def ended(self) -> Incident:
        """Return all of it; nothing can be added after that."""
        last = self._before
        assert last is not None, "it begins with a snapshot"  # noqa: S101  for the type
        for case in self._cases.values():
            if case.subject is not None:
                # What has been renamed since is looked for by its new name.
                case.name, case.pod = case.subject.name, case.subject.pod
        for case in self._open.values():
            if case.missed_ns is None:
                _extend(case, last.sample.wall_ns)
            else:
                case.holds = False
        for subject in self._subjects:
            if subject.is_there:
                subject.last_seen_ns = last.sample.wall_ns
        return Incident(
            host=last.host.sample,
            span=Span(self._first_ns, max(last.sample.wall_ns, self._first_ns)),
            moments=self._moments,
            steps=self._steps,
            host_track=self._host,
            subjects=tuple(self._subjects),
            cases=tuple(self._cases.values()),
            gaps=tuple(self._gaps),
            problems=last.sample.problems,
        )

    def _tracks(self) -> Iterator[Track]:
        yield self._host
        for subject in self._subjects:
            yield subject.track

    def _add_gap(self, before_ns: int, now_ns: int) -> None:
        apart_ns = now_ns - before_ns
        if self._apart_ns and apart_ns > max(LEAST_GAP_NS, LONGER * self._apart_ns):
            self._gaps.append(Span(before_ns, now_ns))
            if len(self._gaps) > MOST_GAPS:
                self._gaps.remove(min(self._gaps, key=lambda gap: gap.seconds))
        else:
            self._apart_ns = apart_ns

    def _add_containers(self, snapshot: Snapshot) -> None:
        """Add what those use that are not the very same as at the moment before."""
        now = snapshot.containers
        old: Mapping[ContainerKey, ContainerNode] = self._before.containers if self._before is not None else {}
        newcomers: list[ContainerNode] = []
        for key, node in now.items():
            before = old.get(key)
            if before is node:
                continue
            subject = self._of_keys.get(key)
            if subject is None or before is None:
                newcomers.append(node)
            elif subject.key == key:
                self._update(subject, node, snapshot)
        for key in old.keys() - now.keys():
            gone = self._of_keys.get(key)
            if gone is not None and gone.key == key:
                gone.track.put(NOTHING, self._steps)
                gone.is_there = False
        if newcomers:
            self._add_newcomers(newcomers, snapshot)

    def _add_newcomers(self, newcomers: list[ContainerNode], snapshot: Snapshot) -> None:
        new = {node.key for node in newcomers if not _is_background(node)}
        for pod in snapshot.pods:
            for node in pod.containers:
                if node.key not in new:
                    continue
                place = place_of(node, pod)
                subject = self._of_keys.get(node.key) or self._of_places.get(place)
                if subject is None or (subject.key != node.key and _is_taken(subject, snapshot)):
                    subject = Subject(
                        place, node.key, node.key, node.info, "", node.started_ns, snapshot.sample.wall_ns
                    )
                    self._subjects.append(subject)
                    self._of_places[place] = subject
                self._of_keys[node.key] = subject
                subject.key, subject.pod = node.key, pod_title(pod)
                subject.keys.add(node.key)
                self._update(subject, node, snapshot)

    def _update(self, subject: Subject, node: ContainerNode, snapshot: Snapshot) -> None:
        subject.info, subject.started_ns = node.info, node.started_ns
        subject.is_there, subject.last_seen_ns = True, snapshot.sample.wall_ns
        subject.oom_kills = max(subject.oom_kills, node.oom_kills, snapshot.oom_kills.get(subject.place, 0))
        subject.track.put(_record(node.usage), self._steps)

    def _add_findings(self, snapshot: Snapshot) -> None:
        is_same = self._before is not None and snapshot.findings is self._before.findings
        if is_same and all(case.missed_ns is None for case in self._open.values()):
            return
        wall_ns = snapshot.sample.wall_ns
        holding: set[tuple[str, str]] = set()
        for finding in snapshot.findings:
            subject = self._of_keys.get(ContainerKey(finding.target))
            home = (finding.code, subject.origin if subject is not None else finding.target)
            holding.add(home)
            case = self._open.get(home)
            if case is None or (case.missed_ns is not None and wall_ns - case.missed_ns >= OVER_NS):
                case = self._open[home] = self._begun(home, finding, subject, snapshot)
            case.missed_ns = None
            if finding.severity >= case.severity:
                case.finding = finding
        for home, case in list(self._open.items()):
            if home in holding:
                continue
            if case.missed_ns is None:
                case.missed_ns = wall_ns
                _extend(case, wall_ns)
            elif wall_ns - case.missed_ns >= OVER_NS:
                case.holds, case.missed_ns = False, None
                del self._open[home]

    def _begun(self, home: tuple[str, str], finding: Finding, subject: Subject | None, snapshot: Snapshot) -> Case:
        """Open a case, or one that was over."""
        begin_ns = since_wall_ns(finding, snapshot)
        case = self._cases.get(home)
        if case is None:
            name, pod = (subject.name, subject.pod) if subject is not None else _called(finding.target, snapshot)
            case = self._cases[home] = Case(finding, subject, name, pod, [Span(begin_ns, begin_ns)])
            return case
        case.holds = True
        begin_ns = max(begin_ns, case.end_ns)
        case.spans.append(Span(begin_ns, begin_ns))
        if len(case.spans) > MOST_SPANS:
            _join_nearest(case.spans)
        return case


def since_wall_ns(finding: Finding, snapshot: Snapshot) -> int:
    """Return since when a finding has held, nanoseconds since 1970, as far as it was seen."""
    sample = snapshot.sample
    return sample.wall_ns if finding.since_ns is None else sample.wall_ns - (sample.monotonic_ns - finding.since_ns)


def _called(target: str, snapshot: Snapshot) -> tuple[str, str]:
    """Name what is no container of the page, and its pod."""
    for pod in snapshot.pods:
        if pod.key == target:
            return pod.title, ""
        for node in pod.containers:
            if node.key == target:
                return node.name, pod_title(pod)
    return target.partition(":")[2] or target, ""


def _extend(case: Case, end_ns: int) -> None:
    begin_ns = case.spans[-1].begin_ns
    case.spans[-1] = Span(begin_ns, max(end_ns, begin_ns))


def _join_nearest(spans: list[Span]) -> None:
    """Make one of the two spans with the least time between them."""
    at = min(range(len(spans) - 1), key=lambda each: spans[each + 1].begin_ns - spans[each].end_ns)
    spans[at : at + 2] = [Span(spans[at].begin_ns, spans[at + 1].end_ns)]


def _is_background(node: ContainerNode) -> bool:
    """Whether it is one of the services and sandboxed programs that are folded away on the screen."""
    return node.info.source is Source.NAMESPACE and node.info.pod is not None


def _is_taken(subject: Subject, snapshot: Snapshot) -> bool:
    """Whether who was last in a place is in it still, so that another is only called the same."""
    node = snapshot.containers.get(subject.key)
    return node is not None and not node.info.state.is_stopped


def _record(usage: Usage) -> Record:
    cpu, memory, io = usage.pressure or PressureShares()
    return (
        usage.cpu_cores,
        usage.cpu_limit_cores,
        usage.throttled_share,
        usage.memory_bytes,
        usage.memory_limit_bytes,
        cpu and cpu.some,
        memory and memory.some,
        io and io.some,
        usage.rx_bytes_per_second,
        usage.tx_bytes_per_second,
        usage.read_bytes_per_second,
        usage.write_bytes_per_second,
    )


def _host_record(host: HostNode) -> Record:
    cpu, memory, io = host.pressure or PressureShares()
    record: list[float | None] = [None] * len(Kind)
    record[Kind.CPU], record[Kind.MEMORY] = host.cpu_cores, host.sample.memory_used_bytes
    record[Kind.CPU_PRESSURE] = cpu and cpu.some
    record[Kind.MEMORY_PRESSURE] = memory and memory.some
    record[Kind.IO_PRESSURE] = io and io.some
    return tuple(record)
