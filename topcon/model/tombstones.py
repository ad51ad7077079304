"""Containers that are gone, as they are remembered for a while: when and how each ended. Pure."""

from __future__ import annotations

from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.course import Kind as CourseKind
from topcon.model.event import Kind
from topcon.model.sample import Role, Source, State
from topcon.model.snapshot import Gone, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.event import Event, Told
    from topcon.model.sample import ContainerInfo
    from topcon.model.snapshot import ContainerNode, PodNode, Snapshot

MOST_SHOWN = 100
"""So many tombstones there are at the most, the newest: what comes and goes by the dozen would flood the tree."""
TOLD_FOR_NS = 90 * 10**9
"""How long before something is missed its end may have been told, and how long after."""

_UNKNOWN = (None,) * len(CourseKind)


class End(NamedTuple):
    """What is told of how a container ended."""

    wall_ns: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False


NO_END = End()


def ends_of(told: Iterable[Told], events: Iterable[Event], keys: frozenset[str], now_ns: int) -> Mapping[str, End]:
    """Return what was told of the ends of some containers, by their keys.

    Args:
        told: what runtimes tell with this sample.
        events: what has happened before it, the newest first.
        keys: of the containers.
        now_ns: on the monotonic clock.
    """
    ends: dict[str, End] = {}
    for event in events:
        if now_ns - event.monotonic_ns > TOLD_FOR_NS:
            break
        if event.target in keys and event.kind in _ENDS:
            ends[event.target] = _with(ends.get(event.target, NO_END), event.kind, event.wall_ns, event.exit_code)
    for each in told:
        if each.target in keys and each.kind in _ENDS:
            end = ends.get(each.target, NO_END)
            newer = end._replace(wall_ns=None, exit_code=None) if each.kind is Kind.EXIT else end
            ends[each.target] = _with(newer, each.kind, each.wall_ns, each.exit_code)
    return ends


_ENDS = frozenset((Kind.EXIT, Kind.OOM))


def _with(end: End, kind: Kind, wall_ns: int, exit_code: int | None) -> End:
    """Add what is told; of several ends the one that is told of first counts."""
    if kind is Kind.OOM:
        return end._replace(oom_killed=True)
    return end if end.wall_ns is not None else end._replace(wall_ns=wall_ns, exit_code=exit_code)


def has_tombstone(container: ContainerNode) -> bool:
    """Whether anybody would look for it: not for what never ran, holds others' namespaces, or is folded away."""
    info = container.info
    is_background = info.source is Source.NAMESPACE and info.pod is not None
    return info.state is not State.CREATED and info.role is not Role.SANDBOX and not is_background


def buried(container: ContainerNode, pod: PodNode, tick: int, now: tuple[int, int], end: End) -> Gone:
    """Remember a container that is missed, with its tombstone if anybody would look for it.

    Args:
        container: as it was last seen.
        pod: that it was in.
        tick: of the snapshot in which it is missed first.
        now: of that snapshot, on the monotonic clock, and in nanoseconds since 1970.
        end: what was told of its end.
    """
    since_ns, gone_ns = now
    known = container._replace(cgroup=None, process=None)
    if not has_tombstone(container):
        return Gone(known, pod, since_ns)
    ended = known._replace(usage=_ended(container.usage, tick), is_still=True, gone_ns=gone_ns)
    stone = ended._replace(info=_inscription(container, end, gone_ns))
    return Gone(known, pod._replace(usage=_ended(pod.usage, tick)), since_ns, stone)


def retold(gone: Gone, end: End) -> Gone:
    """Add to a tombstone what is told only now; the very same object where that is nothing new."""
    stone = gone.tombstone
    if stone is None or stone.gone_ns is None:
        return gone
    info = _inscription(gone.container, end, stone.gone_ns)
    known = stone.info
    is_news = (info.exit_code is not None and known.exit_code is None) or (info.oom_killed and not known.oom_killed)
    return replace(gone, tombstone=stone._replace(info=info)) if is_news else gone


def _inscription(container: ContainerNode, end: End, gone_ns: int) -> ContainerInfo:
    """Say how it ended: as its runtime last said, or else as was told."""
    info, has_ended = container.info, container.info.state.is_over
    if end.wall_ns is not None and container.started_ns is not None and end.wall_ns < container.started_ns:
        # It was started again since then.
        end = End(oom_killed=end.oom_killed)
    exit_code = info.exit_code if has_ended else end.exit_code
    finished_ns = info.finished_ns if has_ended else end.wall_ns
    was_killed = (has_ended and bool(info.oom_killed)) or end.oom_killed or container.oom_kills > 0
    return replace(
        info,
        state=State.EXITED,
        health=None,
        exit_code=exit_code,
        finished_ns=finished_ns if finished_ns is not None else gone_ns,
        # What ended well has outlived whatever was killed in it.
        oom_killed=was_killed and exit_code != 0,
    )


def _ended(usage: Usage, tick: int) -> Usage:
    """Keep the limits and the past, which goes on as unknown."""
    return Usage(
        cpu_limit_cores=usage.cpu_limit_cores,
        memory_limit_bytes=usage.memory_limit_bytes,
        pids_limit=usage.pids_limit,
        cpu_history=usage.cpu_history.grown(tick, None),
        course=usage.course.grown(tick, _UNKNOWN),
    )


def in_pods(gone: tuple[Gone, ...], before: tuple[PodNode, ...]) -> tuple[PodNode, ...]:
    """Put the newest tombstones, newest first, into the pods that they were in, which hold nothing else.

    What is as it was ``before`` is the very same object.
    """
    stones: dict[str, list[ContainerNode]] = {}
    pods: dict[str, PodNode] = {}
    shown = [each for each in gone if each.tombstone is not None][-MOST_SHOWN:]
    for each in reversed(shown):
        if each.tombstone is not None:
            stones.setdefault(each.pod.key, []).append(each.tombstone)
            pods.setdefault(each.pod.key, each.pod)
    known = {pod.key: pod for pod in before}
    made = tuple(_pod(pods[key], tuple(inside), known.get(key)) for key, inside in stones.items())
    return before if len(made) == len(before) and all(map(is_, made, before)) else made


def _pod(pod: PodNode, stones: tuple[ContainerNode, ...], before: PodNode | None) -> PodNode:
    if before is not None and len(stones) == len(before.containers) and all(map(is_, stones, before.containers)):
        return before
    return pod._replace(containers=stones, cgroup=None, outer=None, is_still=True)


def tombstone_of(snapshot: Snapshot, key: str) -> ContainerNode | None:
    """Return the tombstone of a container."""
    return next((each for pod in snapshot.tombs for each in pod.containers if each.key == key), None)


def last_seen(snapshot: Snapshot, tombstone: ContainerNode) -> ContainerNode:
    """Return a container as it was when it was last seen; its tombstone if that is not known any more."""
    return next((each.container for each in snapshot.gone if each.tombstone is tombstone), tombstone)


def ended_badly(tombstone: ContainerNode) -> bool:
    """Whether it did not end well, nor as somebody asked for."""
    info = tombstone.info
    return bool(info.oom_killed) or info.exit_code not in {None, *WELL}


WELL = frozenset((0, 130, 143))
"""Exit codes of what ends well, or as somebody asked for: SIGINT, SIGTERM."""
