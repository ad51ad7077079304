"""Rules that look at a container alone: what they say of it lasts for as long as it is the same."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from topcon.findings.codes import found
from topcon.findings.wording import memory_text, percent
from topcon.model.rates import ratio
from topcon.model.sample import Health, Source, State
from topcon.model.snapshot import Severity
from topcon.text import to_bytes_text, to_cores_text, to_percent_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.findings.thresholds import Threshold, Thresholds
    from topcon.model.snapshot import ContainerNode, Finding, PressureShare

    ContainerRule = Callable[[ContainerNode, Thresholds], Finding | None]

NOT_TO_SHARE = dict.fromkeys(("pid", "ipc", "mnt", "net")).keys()
"""Namespaces of the host that a container is expected not to live in."""
LEAST_OF_LIMIT = 0.10
"""Who uses less of its CPU limit hardly runs: of a few periods, a large share says nothing."""
HALF_OF_LIMIT = 0.5
WORTH_TELLING = 0.05
"""That some waited longer than all is told from this difference on."""


def throttled_severity(share: float | None, of_limit: float | None, threshold: Threshold) -> Severity | None:
    """Judge in which share of its periods something was throttled, by how much of its limit it used."""
    severity = threshold.severity(share)
    if severity is None or (of_limit is not None and of_limit < LEAST_OF_LIMIT):
        return None
    return Severity.WARNING if of_limit is not None and of_limit < HALF_OF_LIMIT else severity


def cpu_throttled(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Held back by its CPU limit in a good part of its periods."""
    usage = container.usage
    share, limit = usage.throttled_share, usage.cpu_limit_cores
    severity = throttled_severity(share, usage.cpu_limit_share, thresholds.cpu_throttled)
    if severity is None or share is None or limit is None:
        return None
    used = "" if usage.cpu_cores is None else f"it uses {to_cores_text(usage.cpu_cores)} of {to_cores_text(limit)} CPUs"
    return found(
        "cpu-throttled",
        severity,
        container.key,
        f"throttled in {percent(share)} of its periods by a limit of {limit:.3g} CPUs",
        evidence=used,
    )


def memory_severity(share: float | None, cache_share: float | None, threshold: Threshold) -> Severity | None:
    """Judge how full something is; what is page cache can be had back, so it is no more than a warning."""
    severity = threshold.severity(share)
    if severity is None or share is None or cache_share is None:
        return severity
    return Severity.WARNING if threshold.severity(share - cache_share) is None else severity


def memory_near_limit(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Its working set is close to its limit."""
    usage = container.usage
    share, memory = usage.memory_limit_share, container.cgroup.memory if container.cgroup else None
    cached = ratio(memory.active_file if memory else None, usage.memory_limit_bytes)
    severity = memory_severity(share, cached, thresholds.memory_near_limit)
    if severity is None or share is None:
        return None
    parts = [f"{to_bytes_text(usage.memory_bytes)} of {to_bytes_text(usage.memory_limit_bytes)}"]
    parts += memory_text(memory)
    return found(
        "memory-near-limit",
        severity,
        container.key,
        f"working set at {percent(share)} of its memory limit",
        evidence=", ".join(parts),
    )


def _stalled(code: str, name: str, waits_for: str) -> ContainerRule:
    threshold_of: Callable[[Thresholds], Threshold] = attrgetter(code.replace("-", "_"))

    def rule(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
        pressure = container.usage.pressure
        line: PressureShare | None = getattr(pressure, name) if pressure else None
        if line is None:
            return None
        threshold = threshold_of(thresholds)
        if line.full is not None and line.full > threshold.critical:
            summary = f"all its tasks waited for {waits_for} {percent(line.full)} of the time"
            is_more = line.some is not None and line.some - line.full >= WORTH_TELLING
            evidence = f"some of them waited {to_percent_text(line.some)} of it" if is_more else ""
            return found(code, Severity.CRITICAL, container.key, summary, evidence=evidence)
        if line.some is not None and line.some > threshold.warning:
            summary = f"some of its tasks waited for {waits_for} {percent(line.some)} of the time"
            evidence = f"all of them waited {percent(line.full)} of it" if line.full else ""
            return found(code, Severity.WARNING, container.key, summary, evidence=evidence)
        return None

    rule.__doc__ = f"Its tasks wait for {waits_for}."
    return rule


def unhealthy(container: ContainerNode, _: Thresholds) -> Finding | None:
    """Its own health check fails."""
    if container.info.health is not Health.UNHEALTHY or not container.info.state.is_live:
        return None
    return found("unhealthy", Severity.CRITICAL, container.key, "its health check fails")


def pids_near_limit(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Soon it cannot fork."""
    pids, limit = container.usage.pids, container.usage.pids_limit
    if pids is None or not limit or pids / limit <= thresholds.pids_near_limit:
        return None
    return found(
        "pids-near-limit",
        Severity.WARNING,
        container.key,
        f"{pids} of {limit} tasks",
        evidence=f"{percent(pids / limit)} of its limit; threads count",
    )


def shares_host(container: ContainerNode, _: Thresholds) -> Finding | None:
    """Not isolated from the host."""
    # What nobody calls a container is not expected to be isolated.
    if NOT_TO_SHARE.isdisjoint(container.shared_with_host) or container.info.source is Source.NAMESPACE:
        return None
    shared = [name for name in NOT_TO_SHARE if name in container.shared_with_host]
    return found(
        "shares-host",
        Severity.INFO,
        container.key,
        f"lives in the host's {', '.join(shared)} namespace{'s' if len(shared) > 1 else ''}",
    )


def dead(container: ContainerNode, _: Thresholds) -> Finding | None:
    """Half removed."""
    if container.info.state is not State.DEAD:
        return None
    return found(
        "dead",
        Severity.WARNING,
        container.key,
        "could not be removed",
    )


CONTAINER_RULES: tuple[ContainerRule, ...] = (
    cpu_throttled,
    memory_near_limit,
    _stalled("cpu-starved", "cpu", "a CPU"),
    _stalled("memory-stalled", "memory", "memory"),
    _stalled("io-stalled", "io", "a disk"),
    unhealthy,
    pids_near_limit,
    shares_host,
    dead,
)
