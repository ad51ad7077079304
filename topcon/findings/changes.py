"""Rules that look at what a container has done since the sample before; of one that rests they say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.findings.codes import found
from topcon.findings.wording import percent
from topcon.model.rates import increase
from topcon.model.snapshot import Severity
from topcon.text import to_bytes_text, to_count_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.findings.step import Step
    from topcon.model.sample import MemoryStat
    from topcon.model.snapshot import ContainerNode, Finding

    ChangeRule = Callable[[ContainerNode, Step], Finding | None]

LEAST_SWAPPED_BYTES = 1 << 20
LEAST_DROPPED_PER_SECOND = 10.0


def _waited(container: ContainerNode) -> float:
    """The share of the time in which some of its tasks waited for memory."""
    pressure = container.usage.pressure
    return (pressure.memory.some or 0.0) if pressure and pressure.memory else 0.0


def _memory(container: ContainerNode, step: Step) -> tuple[MemoryStat, MemoryStat] | None:
    """What is counted of its memory now, and what was a sample ago."""
    cgroup = container.cgroup
    old = step.cgroup_before(cgroup) if cgroup is not None else None
    if cgroup is None or cgroup.memory is None or old is None or old.memory is None:
        return None
    return cgroup.memory, old.memory


def memory_high(container: ContainerNode, step: Step) -> Finding | None:
    """Slowed down by the kernel until it gives memory back."""
    waited = _waited(container)
    if waited <= step.thresholds.memory_high or (memory := _memory(container, step)) is None:
        return None
    times = increase(memory[0].events_high, memory[1].events_high)
    if not times:
        return None
    return found(
        "memory-high",
        Severity.WARNING,
        container.key,
        "made to give memory back, being above memory.high",
        evidence=f"{to_count_text(times)} times since the last sample; some of its tasks waited {percent(waited)} of "
        f"the time; working set {to_bytes_text(memory[0].working_set)}",
    )


def swapping(container: ContainerNode, step: Step) -> Finding | None:
    """Swapped out for want of memory."""
    waited = _waited(container)
    if waited <= step.thresholds.swapping or (memory := _memory(container, step)) is None:
        return None
    grown = increase(memory[0].swap_current, memory[1].swap_current)
    if grown is None or grown < LEAST_SWAPPED_BYTES:
        return None
    return found(
        "swapping",
        Severity.WARNING,
        container.key,
        f"swapped out, {to_bytes_text(memory[0].swap_current)} by now",
        evidence=f"{to_bytes_text(grown)} more since the last sample; some of its tasks waited for memory "
        f"{percent(waited)} of the time",
    )


def dropped_packets(container: ContainerNode, step: Step) -> Finding | None:
    """Its packets are dropped before it gets them, or before they leave."""
    before, netns = step.before, container.netns
    if before is None or netns is None or not container.is_network_owner or not step.now.interval_s:
        return None
    now, old = step.now.sample.networks.get(netns), before.sample.networks.get(netns)
    if now is None or old is None or now is old:
        return None
    worst: tuple[float, str] | None = None
    for name, stat in now.items():
        was = old.get(name)
        if name == "lo" or was is None:
            continue
        for way, packets, dropped in (
            ("in", increase(stat.rx_packets, was.rx_packets), increase(stat.rx_drop, was.rx_drop)),
            ("out", increase(stat.tx_packets, was.tx_packets), increase(stat.tx_drop, was.tx_drop)),
        ):
            if packets is None or not dropped or dropped / step.now.interval_s < LEAST_DROPPED_PER_SECOND:
                continue
            share = dropped / (packets + dropped)
            if share > step.thresholds.dropped_packets and (worst is None or share > worst[0]):
                worst = share, f"{to_count_text(dropped)} of {to_count_text(packets + dropped)} {way} on {name}"
    if worst is None:
        return None
    return found(
        "dropped-packets",
        Severity.WARNING,
        container.key,
        f"{percent(worst[0])} of its packets are dropped",
        evidence=f"{worst[1]} since the last sample",
    )


CHANGE_RULES: tuple[ChangeRule, ...] = (memory_high, swapping, dropped_packets)
