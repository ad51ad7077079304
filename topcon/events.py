"""What has happened between two snapshots: by what has changed, and by what runtimes tell. Pure.

Both tell much of the same. What is learned of a container from one side waits for a while for the other, and is told
once: where there is a choice, in the runtime's words, which know the moment and the exit code; but OOM kills as the
kernel counts them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.derive import counted_kills, has_started_again, place_of
from topcon.model.event import MOST_EVENTS, Event, Events, Fact, Kind, Standing, Told
from topcon.model.sample import SILENT_AFTER_S, ContainerKey, Health, PodKind, Role, Source, State
from topcon.model.snapshot import Severity
from topcon.model.tombstones import WELL
from topcon.signals import exit_meaning
from topcon.text import to_age_text, to_bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from topcon.model.sample import CgroupSample, RuntimeSample
    from topcon.model.snapshot import ContainerNode, Finding, Place, PodNode, Snapshot

BOTH = frozenset(
    (
        *(Kind.CREATE, Kind.START, Kind.EXIT, Kind.OOM, Kind.HEALTH, Kind.PAUSE, Kind.UNPAUSE, Kind.REMOVE),
        Kind.RENAME,
    )
)
"""What the kernel, or a runtime's list, shows as well as its events do."""
SAME_NS = 10 * 10**9
"""Two accounts of what is closer than this are of the same: one side may know only when it looked."""
KEPT_NS = 90 * 10**9
"""How long one side is waited for; a runtime's list may be 30 s old."""
MOST_FACTS = 2000
SETTLED_NS = 15 * 10**9
"""Limits that change sooner after a start belong to it: they are set once the cgroup is made."""
OVER_NS = 10 * 10**9
"""How long a finding is away before it is over: one that comes and goes each second would flood the list."""
LATE_NS = 60 * 10**9
"""What is told so long after it happened still gets its place among the others."""
OTHERWISE = frozenset(("exit-error", "oom-killed", "runtime-silent", "unhealthy"))
"""The codes of findings that an event of their own tells."""

_ARROW = "→"
_HEALTH: Mapping[str, Severity] = {Health.UNHEALTHY: Severity.CRITICAL}


class _New(NamedTuple):
    """What may be a new event."""

    wall_ns: int
    kind: Kind
    target: str
    text: str
    severity: Severity | None = None
    name: str = ""
    pod: str = ""
    is_told: bool = False
    exit_code: int | None = None


def events_after(previous: Snapshot | None, snapshot: Snapshot) -> Events:
    """Return all that has happened until a snapshot: the same object as before if nothing has since ``previous``.

    What was there at first has not happened: only what changes is told.
    """
    sample = snapshot.sample
    if previous is None:
        return Events(since_ns=sample.wall_ns)
    before = previous.events
    found: list[_New] = []
    if snapshot.containers is not previous.containers:
        found += _changes(previous, snapshot)
        found += _replacements(previous, snapshot)
    if snapshot.pods is not previous.pods and previous.tick > 0:
        found += _limits_of_pods(previous, snapshot)
    found += _runtimes(previous, snapshot)
    standing = before.standing
    if snapshot.findings is not previous.findings or any(each.missed_ns is not None for each in standing.values()):
        of_findings, standing = _findings(before, snapshot)
        found += of_findings
    told = [_said(each, snapshot) for each in sample.events]
    if not found and not told and standing is before.standing:
        return before
    facts, fresh = _each_once(before.facts, [*told, *found], sample.monotonic_ns, snapshot.interval_s or 0.0)
    return _grown(replace(before, facts=facts, standing=standing), previous, snapshot, fresh)


def _grown(events: Events, previous: Snapshot, snapshot: Snapshot, found: list[_New]) -> Events:
    """Add what is new, each in its place in time."""
    if not found:
        return events
    learned_ns = snapshot.sample.monotonic_ns
    homes = _homes({each.target for each in found}, previous, snapshot)
    added = []
    for number, each in enumerate(found, start=events.count):
        name, pod = homes.get(each.target, (each.name, each.pod))
        about = each.kind, each.target, name, each.text, each.severity, pod
        added.append(Event(each.wall_ns, learned_ns, *about, number, each.exit_code))
    first_ns = min(each.wall_ns for each in added)
    entries = events.entries
    at = len(entries)
    while at and entries[at - 1].wall_ns > first_ns and learned_ns - entries[at - 1].monotonic_ns < LATE_NS:
        at -= 1
    # Sorting is stable: those of an instant stay in the order in which they were learned.
    tail = sorted((*entries[at:], *added), key=lambda event: event.wall_ns)
    entries = (*entries[:at], *tail)
    too_many = max(len(entries) - MOST_EVENTS, 0)
    return replace(events, entries=entries[too_many:], forgotten=events.forgotten + too_many)


def _homes(targets: set[str], previous: Snapshot, snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Return the names of containers, and the titles of their pods, as they are or were."""
    homes: dict[str, tuple[str, str]] = {}
    for each in (previous, snapshot):
        if not targets.isdisjoint(each.containers):
            for pod in each.pods:
                title = pod_title(pod)
                homes |= {node.key: (node.name, title) for node in pod.containers if node.key in targets}
    return homes


def pod_title(pod: PodNode) -> str:
    """Return what events say of a pod; nothing of what is only a container by itself."""
    return "" if pod.kind is PodKind.SINGLE else pod.title


def _each_once(
    facts: tuple[Fact, ...], found: Iterable[_New], now_ns: int, interval_s: float
) -> tuple[tuple[Fact, ...], list[_New]]:
    """Leave out what the other side has told; return what is to be waited for from now on, and what is new."""
    waiting: dict[tuple[Kind, str], list[Fact]] = {}
    for fact in facts:
        if now_ns - fact.learned_ns < KEPT_NS:
            waiting.setdefault((fact.kind, fact.target), []).append(fact)
    fresh: list[_New] = []
    same_ns = SAME_NS + int(interval_s * 1e9)
    # The kernel counts OOM kills, where a runtime knows only of one.
    for each in sorted(found, key=lambda new: new.kind is Kind.OOM and new.is_told):
        if each.kind not in BOTH:
            fresh.append(each)
            continue
        others = waiting.setdefault((each.kind, each.target), [])
        apart = {
            abs(fact.wall_ns - each.wall_ns): fact for fact in reversed(others) if fact.is_told is not each.is_told
        }
        nearest = min(apart, default=None)
        if nearest is None or nearest >= same_ns:
            others.append(Fact(each.kind, each.target, each.wall_ns, each.is_told, now_ns))
            fresh.append(each)
        elif each.kind is not Kind.OOM:
            # One for one: what restarts again and again starts often within a moment.
            others.remove(apart[nearest])
            _put_better(fresh, apart[nearest], each)
    kept = tuple(sorted((fact for each in waiting.values() for fact in each), key=lambda fact: fact.learned_ns))
    return kept[-MOST_FACTS:], sorted(fresh, key=lambda new: new.wall_ns)


def _put_better(fresh: list[_New], fact: Fact, each: _New) -> None:
    """Say in other words what was just told, where these say that it is bad: as of a start that nobody asked for."""
    for at, known in enumerate(fresh):
        if (known.kind, known.target, known.wall_ns) == fact[:3] and each.severity is not None:
            fresh[at] = known._replace(text=each.text, severity=each.severity, exit_code=each.exit_code)


def _said(told: Told, snapshot: Snapshot) -> _New:
    """Put into words what a runtime tells, or topcon itself."""
    text, severity = _words(told)
    node = snapshot.containers.get(ContainerKey(told.target))
    if told.kind is Kind.OOM and node is not None:
        text = _killed(1, node)
    return _New(told.wall_ns, told.kind, told.target, text, severity, told.name, is_told=True, exit_code=told.exit_code)


def _words(told: Told) -> tuple[str, Severity | None]:
    if told.kind is Kind.EXIT:
        return exit_words(told.exit_code)
    if told.kind is Kind.HEALTH:
        return f"health: {told.detail}", _HEALTH.get(told.detail)
    text = f"{_BEFORE[told.kind]}{told.detail}" if told.kind in _BEFORE else told.detail or told.kind.value
    return text, _TOLD.get(told.kind)


_BEFORE = {
    Kind.OOM: "a process was killed for memory",
    Kind.RENAME: "renamed, was ",
    Kind.SIGNAL: "it is sent ",
    Kind.EXEC: "runs in it: ",
    Kind.PULL: "pulled ",
}
"""What is written before the detail, which is foreign."""
_TOLD = {Kind.OOM: Severity.CRITICAL, Kind.FAILED: Severity.WARNING}


def exit_words(code: int | None) -> tuple[str, Severity | None]:
    """Say how something ended, and whether that is bad."""
    if code is None:
        return "ended", None
    meaning = exit_meaning(code)
    text = f"exited with {code}{f' ({meaning})' if meaning else ''}"
    return text, None if code in WELL else Severity.WARNING


def _changes(previous: Snapshot, snapshot: Snapshot) -> Iterator[_New]:
    """Compare those containers that are not the very same as before."""
    now, old = snapshot.containers, previous.containers
    newcomers: list[ContainerNode] = []
    for key, node in now.items():
        before = old.get(key)
        if before is node:
            continue
        if before is None:
            newcomers.append(node)
        elif not _is_alike(before, node) and not _is_background(node):
            yield from _change(before, node, snapshot, is_first=previous.tick == 0)
    gone = [old[key] for key in old.keys() - now.keys()] if newcomers or len(old) > len(now) else []
    yield from _comings_and_goings(newcomers, gone, snapshot, previous.events.since_ns)


def _is_alike(old: ContainerNode, node: ContainerNode) -> bool:
    """Whether nothing but counters has changed: of most that are busy nothing else has."""
    if node.info is not old.info or node.started_ns != old.started_ns or node.oom_kills != old.oom_kills:
        return False
    now, was = node.usage, old.usage
    return (now.cpu_limit_cores, now.memory_limit_bytes, now.pids_limit) == (
        was.cpu_limit_cores,
        was.memory_limit_bytes,
        was.pids_limit,
    )


def _is_background(node: ContainerNode) -> bool:
    """Whether it is one of what comes and goes by the dozen: services and sandboxed programs, which are folded away."""
    return node.info.source is Source.NAMESPACE and node.info.pod is not None


def _comings_and_goings(
    newcomers: list[ContainerNode], gone: list[ContainerNode], snapshot: Snapshot, since_ns: int
) -> Iterator[_New]:
    """Tell what has come and gone; what is only called otherwise now, since more is known of it, has not."""
    came = {_cgroup_of(node) for node in newcomers}
    left = {_cgroup_of(node) for node in gone}
    for node in newcomers:
        is_new = node.cgroup is None or _cgroup_of(node) not in left
        if is_new and not _is_background(node):
            yield from _newcomer(node, snapshot, since_ns)
    for node in gone:
        is_gone = node.cgroup is None or _cgroup_of(node) not in came
        if is_gone and not _is_background(node):
            yield from _leaver(node, snapshot)


def _cgroup_of(node: ContainerNode) -> tuple[str, int] | None:
    return (node.cgroup.path, node.cgroup.inode) if node.cgroup is not None else None


def _newcomer(node: ContainerNode, snapshot: Snapshot, since_ns: int) -> Iterator[_New]:
    """What was there before topcon was has only been found."""
    info, started_ns = node.info, node.started_ns
    if info.state is State.CREATED:
        if info.created_ns is not None and info.created_ns > since_ns:
            yield _New(info.created_ns, Kind.CREATE, node.key, "created")
        return
    if started_ns is not None and started_ns > since_ns:
        yield _New(started_ns, Kind.START, node.key, "started")
    if info.state.is_over and info.finished_ns is not None and info.finished_ns > since_ns:
        yield _exit(node, snapshot)


def _leaver(node: ContainerNode, snapshot: Snapshot) -> Iterator[_New]:
    info, wall_ns = node.info, snapshot.sample.wall_ns
    if info.state in _RAN:
        yield _New(wall_ns, Kind.EXIT, node.key, *exit_words(None))
    # Of others it is not known whether anything of them is left.
    if info.source is Source.API and info.role is not Role.SANDBOX:
        yield _New(wall_ns, Kind.REMOVE, node.key, "removed")


_RAN = frozenset((State.RUNNING, State.PAUSED))


def _change(old: ContainerNode, node: ContainerNode, snapshot: Snapshot, *, is_first: bool) -> Iterator[_New]:
    """Compare a container with what it was; at first not all was read of it."""
    wall_ns = snapshot.sample.wall_ns
    if (count := counted_kills(node, old)) > 0:
        yield _New(wall_ns, Kind.OOM, node.key, _killed(count, node), Severity.CRITICAL)
    if node.info is not old.info:
        yield from _said_otherwise(old, node, snapshot)
    has_started = has_started_again(old, node)
    if has_started and node.started_ns is not None:
        yield _New(node.started_ns, Kind.START, node.key, *_start(old, node))
    if node.cgroup is not old.cgroup and not is_first and not has_started:
        yield from _limits(old, node, wall_ns)


def _killed(count: int, node: ContainerNode) -> str:
    limit = node.usage.memory_limit_bytes
    who = "a process was" if count == 1 else f"{count} processes were"
    return f"{who} killed for memory{f', limit {to_bytes_text(limit)}' if limit is not None else ''}"


def _start(old: ContainerNode, node: ContainerNode) -> tuple[str, Severity | None]:
    before, now = old.info.restarts, node.info.restarts
    if before is not None and now is not None and now > before:
        return f"started again by {node.info.runtime}, restart {now}", Severity.WARNING
    return "started", None


def _said_otherwise(old: ContainerNode, node: ContainerNode, snapshot: Snapshot) -> Iterator[_New]:
    before, now, wall_ns = old.info, node.info, snapshot.sample.wall_ns
    if _has_ended(old, node):
        yield _exit(node, snapshot)
    # What was paused and has ended since may be told to be paused for a while.
    if now.state is State.PAUSED and before.state is State.RUNNING and node.cgroup is not None:
        yield _New(wall_ns, Kind.PAUSE, node.key, "paused")
    if now.state is State.RUNNING and before.state is State.PAUSED:
        yield _New(wall_ns, Kind.UNPAUSE, node.key, "unpaused")
    if now.health is not None and before.health not in {None, now.health}:
        yield _New(wall_ns, Kind.HEALTH, node.key, f"health: {now.health}", _HEALTH.get(now.health))
    if now.name != before.name and now.source is before.source is Source.API:
        yield _New(wall_ns, Kind.RENAME, node.key, f"renamed, was {before.name}")


def _has_ended(old: ContainerNode, node: ContainerNode) -> bool:
    if node.info.state.is_live:
        return False
    ended_ns, before_ns = node.info.finished_ns, old.info.finished_ns
    # Of one that was silent for a while only a new end is one.
    has_new_end = ended_ns is not None and before_ns is not None and ended_ns > before_ns
    # A runtime that has yet to tell of the last life still tells how the one before it ended.
    is_old_end = node.info.state.is_over and ended_ns is not None and ended_ns == before_ns
    return has_new_end or (old.info.state in _RAN and not is_old_end)


def _exit(node: ContainerNode, snapshot: Snapshot) -> _New:
    text, severity = exit_words(node.info.exit_code)
    ended_ns = node.info.finished_ns or snapshot.sample.wall_ns
    return _New(ended_ns, Kind.EXIT, node.key, text, severity, exit_code=node.info.exit_code)


def _limits(old: ContainerNode, node: ContainerNode, wall_ns: int) -> Iterator[_New]:
    before, now = old.cgroup, node.cgroup
    if before is None or now is None or before.inode != now.inode:
        return
    # A runtime that starts it anew may still tell of the start before: its process is as old as the cgroup.
    starts_ns = (node.started_ns, node.process.started_ns if node.process is not None else None)
    if any(started_ns is not None and wall_ns - started_ns < SETTLED_NS for started_ns in starts_ns):
        return
    for text in _other_limits(before, now):
        yield _New(wall_ns, Kind.LIMIT, node.key, text)


def _limits_of_pods(previous: Snapshot, snapshot: Snapshot) -> Iterator[_New]:
    """Compare the limits of those pods that have cgroups of their own."""
    before = {pod.key: pod for pod in previous.pods if pod.cgroup is not None}
    wall_ns = snapshot.sample.wall_ns
    for pod in snapshot.pods:
        now, old = pod.cgroup, before.get(pod.key)
        if now is None or old is None or old is pod or old.cgroup is None or old.cgroup.inode != now.inode:
            continue
        if pod.started_ns is None or wall_ns - pod.started_ns >= SETTLED_NS:
            for text in _other_limits(old.cgroup, now):
                yield _New(wall_ns, Kind.LIMIT, pod.key, text, name=pod.title)


def _other_limits(before: CgroupSample, now: CgroupSample) -> Iterator[str]:
    """Write each limit that is another now, with what it was."""
    if before is now:
        return
    pairs: list[tuple[str, str, str]] = []
    if before.cpu_max is not now.cpu_max and before.cpu_max is not None and now.cpu_max is not None:
        pairs.append(("CPU limit", _cores(before.cpu_max.cores), _cores(now.cpu_max.cores)))
    if before.memory is not now.memory and before.memory is not None and now.memory is not None:
        pairs.append(("memory limit", _bytes(before.memory.max), _bytes(now.memory.max)))
        pairs.append(("memory.high", _bytes(before.memory.high), _bytes(now.memory.high)))
    if before.pids is not now.pids and before.pids is not None and now.pids is not None:
        pairs.append(("limit of tasks", _count(before.pids.max), _count(now.pids.max)))
    for what, was, is_now in pairs:
        if was != is_now:
            yield f"{what} {was} {_ARROW} {is_now}"


def _replacements(previous: Snapshot, snapshot: Snapshot) -> Iterator[_New]:
    """Tell of containers that have come into the place of another, or are known by its name only now.

    The end of the one before may be seen later than its heir is, whose own files name it before the runtime is asked
    anew.
    """
    before, now = previous.containers, snapshot.containers
    new = {key for key, node in now.items() if (old := before.get(key)) is not node and _is_named_anew(old, node)}
    ended = {key for key, old in before.items() if (node := now.get(key)) is not old and _ends(old, node)}
    if not new and not ended:
        return
    pairs = ((node, pod) for pod in snapshot.pods for node in pod.containers if ended or node.key in new)
    places = {node.key: place_of(node, pod) for node, pod in pairs}
    holders = _holders(previous, snapshot, set(places.values()))
    for key, place in places.items():
        node, old = now[key], holders.get(place)
        if old is None or old.key == key:
            continue
        if key not in new and not (old.key in ended and _is_heir(node, old)):
            continue
        wall_ns = snapshot.sample.wall_ns
        begun_ns = node.started_ns if node.started_ns is not None else node.info.created_ns
        if begun_ns is not None and previous.events.since_ns < begun_ns < wall_ns:
            wall_ns = begun_ns
        was, image = old.info.image, node.info.image
        if was is not None and image is not None and was != image:
            yield _New(wall_ns, Kind.IMAGE, key, f"replaced by a new container, image {was} {_ARROW} {image}")
        else:
            yield _New(wall_ns, Kind.REPLACE, key, "replaced by a new container")


def _ends(old: ContainerNode, node: ContainerNode | None) -> bool:
    return old.info.state.is_live and (node is None or not node.info.state.is_live)


def _is_heir(node: ContainerNode, old: ContainerNode) -> bool:
    """Whether one that was there before another ended has come for it: of two that are alike the younger."""
    return _is_named(node) and node.info.state.is_live and _begun(node) > _begun(old) > 0


def _is_named_anew(old: ContainerNode | None, node: ContainerNode) -> bool:
    """Whether it has a name that it did not have."""
    return _is_named(node) and (old is None or (old.info is not node.info and old.info.name != node.info.name))


def _is_named(node: ContainerNode) -> bool:
    """Whether it has a name that somebody gave it."""
    return node.info.source not in _NAMELESS and node.info.role is not Role.SANDBOX


_NAMELESS = frozenset((Source.CGROUP, Source.NAMESPACE))


def _holders(previous: Snapshot, snapshot: Snapshot, places: set[Place]) -> dict[Place, ContainerNode]:
    """Return who was in some places before and has ended, of several the last one."""
    holders: dict[Place, ContainerNode] = {}
    now = snapshot.containers
    ended = [
        (node, pod)
        for pod in previous.pods
        for node in pod.containers
        if node.key not in now or not now[node.key].info.state.is_live
    ]
    for node, pod in (*((gone.container, gone.pod) for gone in previous.gone), *ended):
        place = place_of(node, pod)
        if place in places and (holders.get(place) is None or _begun(node) >= _begun(holders[place])):
            holders[place] = node
    return holders


def _begun(node: ContainerNode) -> int:
    return node.started_ns or node.info.created_ns or 0


def _cores(cores: float | None) -> str:
    return "none" if cores is None else f"{cores:.4g} CPU{'' if cores == 1 else 's'}"


def _bytes(count: int | None) -> str:
    return "none" if count is None else to_bytes_text(count)


def _count(count: int | None) -> str:
    return "none" if count is None else str(count)


def _runtimes(previous: Snapshot, snapshot: Snapshot) -> Iterator[_New]:
    """Tell which runtimes have fallen silent, or answer again."""
    before = {(each.name, each.socket): each for each in previous.sample.runtimes}
    for now in snapshot.sample.runtimes:
        old = before.get((now.name, now.socket))
        # What only serves other runtimes concerns nobody, unless it has containers of its own.
        if now.lies_beneath and not now.container_count:
            continue
        target, wall_ns = f"runtime:{now.name}", snapshot.sample.wall_ns
        if _is_silent(now) and old is not None and not _is_silent(old) and old.is_listed:
            said = next((each.message for each in snapshot.sample.problems if each.source == now.name), None)
            text = f"does not answer{f': {said}' if said else ''}"
            yield _New(wall_ns - int(now.silent_s * 1e9), Kind.DOWN, target, text, Severity.CRITICAL, now.name)
        elif now.is_listed and not _is_silent(now) and (old is None or not old.is_listed or _is_silent(old)):
            is_back = old is not None and old.is_listed
            after = f" again, after {to_age_text(old.silent_s)}" if is_back and old is not None else f" at {now.socket}"
            yield _New(wall_ns, Kind.UP, target, f"answers{after}", None, now.name)


def _is_silent(runtime: RuntimeSample) -> bool:
    return runtime.silent_s > SILENT_AFTER_S


def _findings(before: Events, snapshot: Snapshot) -> tuple[list[_New], Mapping[tuple[str, str], Standing]]:
    """Tell which findings have begun, got worse, or been over for a while; what is only worth knowing is none."""
    wall_ns, now_ns = snapshot.sample.wall_ns, snapshot.sample.monotonic_ns
    holding = {
        (each.code, each.target): each
        for each in snapshot.findings
        if each.severity > Severity.INFO and each.code not in OTHERWISE
    }
    found: list[_New] = []
    standing: dict[tuple[str, str], Standing] = {}
    homes: dict[str, tuple[str, str]] | None = None
    for place, known in before.standing.items():
        if place in holding:
            standing[place] = known if known.missed_ns is None else known._replace(missed_ns=None)
        elif known.missed_ns is None:
            standing[place] = known._replace(missed_ns=now_ns, missed_wall_ns=wall_ns)
        elif now_ns - known.missed_ns < OVER_NS:
            standing[place] = known
        else:
            lasted = to_age_text((known.missed_ns - known.begun_ns) / 1e9)
            text = f"{place[0]} is over, after {lasted}"
            found.append(_New(known.missed_wall_ns, Kind.OVER, place[1], text, None, known.name, known.pod))
    for place, finding in holding.items():
        held = standing.get(place)
        if held is not None and held.severity >= finding.severity:
            continue
        if homes is None:
            homes = _homes({target for _, target in holding}, snapshot, snapshot)
        name, pod = homes.get(finding.target) or _called(finding, snapshot)
        begun_ns = held.begun_ns if held is not None else now_ns
        standing[place] = Standing(finding.severity, name, pod, begun_ns)
        text = f"{finding.code}: {finding.summary}"
        found.append(_New(wall_ns, Kind.FINDING, finding.target, text, finding.severity, name, pod))
    return found, (before.standing if standing == before.standing else standing)


def _called(finding: Finding, snapshot: Snapshot) -> tuple[str, str]:
    """Name what a finding is about where that is no container."""
    pod = next((each for each in snapshot.pods if each.key == finding.target), None)
    return (pod.title, "") if pod is not None else (finding.target.partition(":")[2] or finding.target, "")
