"""Evidence from around a container: how long its memory lasts, whose limit binds, who uses what it waits for."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from topcon.findings.levels import above, throttled_share, whose
from topcon.findings.ranking import inside, most_of, ranking, running
from topcon.findings.wording import percent
from topcon.model.course import Kind
from topcon.model.rates import increase, ratio
from topcon.text import to_age_text, to_bytes_text, to_cores_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.findings.step import Step
    from topcon.model.sample import CgroupSample, Device
    from topcon.model.snapshot import ContainerNode

    Context = Callable[[ContainerNode, Step], Iterator[str]]

SLOPE_TICKS = 30
"""Growth is measured over so many of the last samples, ..."""
LEAST_SLOPE_TICKS = 10
"""... and over no less."""
LONGEST_LEFT_S = 3600.0
"""Who has longer has time enough."""
BUSY_HOST = 0.8
"""With a greater share of its CPUs in use, others may well be what one waits for."""
IDLE_HOST = 0.5
LEAST_ELSEWHERE = 0.1
"""Fewer CPUs than this may be what the two ways of counting differ by."""
FELT = 0.10
"""Being throttled in a greater share of the periods explains that one waits for a CPU."""


cores_of: Callable[[ContainerNode], float | None] = attrgetter("usage.cpu_cores")
memory_of: Callable[[ContainerNode], float | None] = attrgetter("usage.memory_bytes")


def time_left_s(container: ContainerNode, step: Step) -> float | None:
    """How long it takes until the memory limit is reached, if it goes on growing as it has; None if it does not."""
    usage, interval_s = container.usage, step.now.interval_s
    limit, ticks = usage.memory_limit_bytes, SLOPE_TICKS
    if limit is None or not interval_s:
        return None
    if container.started_ns is not None:
        # What it had before its last start is of another life.
        ticks = min(ticks, int((step.now.sample.wall_ns - container.started_ns) / 1e9 / interval_s))
    if ticks < LEAST_SLOPE_TICKS:
        return None
    all_values = usage.course.values(Kind.MEMORY, step.now.tick, ticks)
    values = [value for value in all_values if value is not None]
    if len(values) < LEAST_SLOPE_TICKS:
        return None
    # Ticks may be further apart than the last two are.
    lasted_s = step.now.times.seconds_of(len(all_values) - 1) or (len(all_values) - 1) * interval_s
    half = len(values) // 2
    first, middle, last = values[0], values[half], values[-1]
    slope = (last - first) / lasted_s
    # One that has grown once, and stands still since, does not go on.
    if slope <= 0 or last - middle < (last - first) / 4:
        return None
    left_s = max(limit - last, 0.0) / slope
    return left_s if left_s <= LONGEST_LEFT_S else None


def memory(container: ContainerNode, step: Step) -> Iterator[str]:
    """When it is full, and whether a limit above it leaves less room than its own."""
    left_s = time_left_s(container, step)
    if left_s is not None:
        yield f"full in {to_age_text(left_s)} at the present slope"
    yield from _less_room_above(container, step)


def memory_stalled(container: ContainerNode, step: Step) -> Iterator[str]:
    """Its own limit, one above it, or the host: and who else takes memory there."""
    usage = container.usage
    if usage.memory_limit_bytes is not None and usage.memory_limit_share is not None:
        yield f"{to_bytes_text(usage.memory_bytes)} of its limit of {to_bytes_text(usage.memory_limit_bytes)}"
        if usage.memory_limit_share > step.thresholds.memory_near_limit.warning:
            return
    near = list(_less_room_above(container, step))
    if near:
        yield from near
        return
    host = step.now.host.pressure
    if host is not None and host.memory is not None and (host.memory.some or 0.0) > step.thresholds.no_memory_limit:
        ranked = ranking("memory", step, partial(running, step), memory_of)
        yield most_of("the host's memory, of all containers", ranked, to_bytes_text, step, container)


def _less_room_above(container: ContainerNode, step: Step) -> Iterator[str]:
    usage, cgroup = container.usage, container.cgroup
    if cgroup is None:
        return
    room = None
    if usage.memory_limit_bytes is not None and usage.memory_bytes is not None:
        room = usage.memory_limit_bytes - usage.memory_bytes
    tightest: CgroupSample | None = None
    for each in above(cgroup.path, step):
        stat = each.memory
        if stat is None or stat.max is None or stat.working_set is None:
            continue
        if room is None or stat.max - stat.working_set < room:
            room, tightest = stat.max - stat.working_set, each
    if tightest is None or tightest.memory is None:
        return
    full = ratio(tightest.memory.working_set, tightest.memory.max)
    if full is not None and full > step.thresholds.memory_near_limit.warning:
        yield (
            f"the limit that binds is that of {whose(tightest.path, step)}: "
            f"{to_bytes_text(tightest.memory.working_set)} of {to_bytes_text(tightest.memory.max)}"
        )
        ranked = ranking(("memory", tightest.path), step, partial(inside, tightest.path, step), memory_of)
        yield most_of("it", ranked, to_bytes_text, step, container)


def cpu(container: ContainerNode, step: Step) -> Iterator[str]:
    """A limit that holds it back, its own or one above it, or who else uses the CPUs."""
    usage, cgroup = container.usage, container.cgroup
    if (usage.throttled_share or 0.0) > FELT and usage.cpu_limit_cores is not None:
        yield f"its own limit of {usage.cpu_limit_cores:.3g} CPUs holds it back"
        return
    for each in above(cgroup.path, step) if cgroup is not None else ():
        held = throttled_share(each, step)
        if held is not None and held > FELT and each.cpu_max is not None and each.cpu_max.cores is not None:
            yield f"the limit of {whose(each.path, step)}, {each.cpu_max.cores:.3g} CPUs, holds it back"
            ranked = ranking(("cpu", each.path), step, partial(inside, each.path, step), cores_of)
            yield most_of("that", ranked, to_cores_text, step, container)
            return
    used = ratio(step.now.host.cpu_cores, step.now.host.sample.cpus)
    if used is not None and used > BUSY_HOST:
        yield f"the host's CPUs are {percent(used)} busy"
        ranked = ranking("cpu", step, partial(running, step), cores_of)
        yield most_of("them", ranked, to_cores_text, step, container, elsewhere=_cores_elsewhere(step))
    elif used is not None and used < IDLE_HOST:
        yield f"the host's CPUs are {percent(1 - used)} idle: it may be kept to a few of them, or below a limit"


def _cores_elsewhere(step: Step) -> float:
    """CPUs of the host that are used, but by no container; what is too little to tell is 0."""
    in_containers = step.once(
        "cores", lambda: sum(each.usage.cpu_cores or 0.0 for each in running(step) if each.outer is None)
    )
    left = (step.now.host.cpu_cores or 0.0) - in_containers
    return left if left >= LEAST_ELSEWHERE else 0.0


def disk(container: ContainerNode, step: Step) -> Iterator[str]:
    """Who else uses the devices that it uses."""
    own = _bytes_per_second(container, step)
    if own is None:
        return
    devices = frozenset(device for device, rate in own.items() if rate > 0) or frozenset(own)

    def on_these(other: ContainerNode) -> float:
        rates = _bytes_per_second(other, step) or {}
        return sum(rate for device, rate in rates.items() if device in devices)

    ranked = ranking(("disk", devices), step, partial(running, step), on_these)
    yield most_of("the disk, of all containers", ranked, lambda rate: f"{to_bytes_text(rate)}/s", step, container)


def _bytes_per_second(container: ContainerNode, step: Step) -> Mapping[Device, float] | None:
    """What it reads and writes on each device; None if that is not known."""
    cgroup = container.cgroup
    old = step.cgroup_before(cgroup) if cgroup is not None else None
    if cgroup is None or cgroup.io is None or old is None or old.io is None:
        return None
    seconds = step.seconds_of(cgroup)
    if seconds <= 0:
        return None
    if cgroup.io is old.io:
        return dict.fromkeys(cgroup.io, 0.0)
    rates = {}
    for device, stat in cgroup.io.items():
        was = old.io.get(device)
        read = increase(stat.rbytes, was.rbytes if was is not None else 0)
        written = increase(stat.wbytes, was.wbytes if was is not None else 0)
        rates[device] = ((read or 0) + (written or 0)) / seconds
    return rates


CONTEXTS: Mapping[str, Context] = {
    "cpu-starved": cpu,
    "io-stalled": disk,
    "memory-near-limit": memory,
    "memory-stalled": memory_stalled,
}
"""By the code of the finding."""
