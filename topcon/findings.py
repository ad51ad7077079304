"""What is wrong: a table of pure rules over a snapshot, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from topcon.model.sample import SILENT_AFTER_S, Health, Role, Source, State
from topcon.model.snapshot import ContainerNode, Finding, PressureShare, Severity, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    ContainerRule = Callable[["ContainerNode", "Thresholds"], Finding | None]
    SnapshotRule = Callable[[Snapshot, "Thresholds"], Iterator[Finding]]

KERNEL_LEAD_S = 5.0
"""A container that started less than this ago may not be in its runtime's list yet."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above which share something is a warning, and critical."""

    warning: float
    critical: float

    def severity(self, share: float | None) -> Severity | None:
        """Judge a share; None if it is unknown or fine."""
        if share is None or share <= self.warning:
            return None
        return Severity.CRITICAL if share > self.critical else Severity.WARNING


_STALLED = Threshold(0.20, 0.20)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is wrong. Shares are from 0 to 1, and are crossed above them."""

    cpu_throttled: Threshold = Threshold(0.10, 0.50)
    memory_near_limit: Threshold = Threshold(0.90, 0.97)
    cpu_starved: Threshold = _STALLED
    """The share of the time that some of its tasks waited for a warning, that all of them did to be critical."""
    memory_stalled: Threshold = _STALLED
    """The same."""
    io_stalled: Threshold = _STALLED
    """The same."""
    pids_near_limit: float = 0.90
    no_memory_limit: float = 0.20
    """The share of the time that some tasks of the host waited for memory."""
    restart_loop: int = 3
    """Starts in five minutes."""
    oom_killed_s: float = 600.0
    """For how long an OOM kill is told."""


DEFAULT_THRESHOLDS = Thresholds()
NOT_TO_SHARE = dict.fromkeys(("pid", "ipc", "mnt", "net")).keys()
"""Namespaces of the host that a container is expected not to live in."""


def assess(
    snapshot: Snapshot, before: Snapshot | None = None, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> tuple[Finding, ...]:
    """Return all findings of a snapshot, worst first, then by code and target.

    What was found in the snapshot ``before``, by the same thresholds, of a container that is the same still is not
    looked for again.
    """
    passing = [finding for rule in SNAPSHOT_RULES for finding in rule(snapshot, thresholds)]
    if before is not None and snapshot.containers is before.containers:
        lasting = [finding for finding in before.findings if finding.code not in PASSING]
        if len(lasting) + len(passing) == len(before.findings) and set(passing) <= set(before.findings):
            return before.findings
    else:
        lasting = _lasting(snapshot, before, thresholds)
    return tuple(sorted(lasting + passing, key=lambda finding: (-finding.severity, finding.code, finding.target)))


def _lasting(snapshot: Snapshot, before: Snapshot | None, thresholds: Thresholds) -> list[Finding]:
    known: dict[str, list[Finding]] = {}
    for finding in before.findings if before else ():
        if finding.code not in PASSING:
            known.setdefault(finding.target, []).append(finding)
    old = before.containers if before else {}
    found: list[Finding] = []
    for key, container in snapshot.containers.items():
        if old.get(key) is container:
            found += known.get(key, ())
        else:
            found += [each for rule in CONTAINER_RULES if (each := rule(container, thresholds)) is not None]
    return found


def _percent(share: float) -> str:
    return f"{share:.0%}"


def cpu_throttled(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Held back by its CPU limit in a good part of its periods."""
    share, limit = container.usage.throttled_share, container.usage.cpu_limit_cores
    severity = thresholds.cpu_throttled.severity(share)
    if severity is None or share is None or limit is None:
        return None
    return Finding(
        "cpu-throttled",
        severity,
        container.key,
        f"throttled in {_percent(share)} of its periods by a limit of {limit:.3g} CPUs",
        "raise its CPU limit, or give it less to do",
    )


def memory_near_limit(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Its working set is close to its limit."""
    share = container.usage.memory_limit_share
    severity = thresholds.memory_near_limit.severity(share)
    if severity is None or share is None:
        return None
    return Finding(
        "memory-near-limit",
        severity,
        container.key,
        f"working set at {_percent(share)} of its memory limit",
        "raise its memory limit before it is killed, or find what grows in it",
    )


def oom_killed(snapshot: Snapshot, thresholds: Thresholds) -> Iterator[Finding]:
    """The kernel killed a process in it for memory."""
    for container in snapshot.containers.values():
        if container.oom_seen_ns is not None or container.info.oom_killed:
            finding = _oom_killed(snapshot, container, thresholds.oom_killed_s)
            if finding is not None:
                yield finding


def _oom_killed(snapshot: Snapshot, container: ContainerNode, told_s: float) -> Finding | None:
    seen_ns, now_ns = container.oom_seen_ns, snapshot.sample.monotonic_ns
    finished_ns = container.info.finished_ns
    if seen_ns is not None and (now_ns - seen_ns) / 1e9 <= told_s:
        age_s = (now_ns - seen_ns) / 1e9
    elif container.info.oom_killed and finished_ns is not None:
        age_s = max((snapshot.sample.wall_ns - finished_ns) / 1e9, 0.0)
    else:
        return None
    if age_s > told_s:
        return None
    is_new = age_s < (snapshot.interval_s or 0.0)
    when = "just now" if is_new else f"{age_s:.0f} s ago"
    return Finding(
        "oom-killed",
        Severity.CRITICAL if is_new else Severity.WARNING,
        container.key,
        f"a process of it was killed for memory {when}",
        "raise its memory limit, or find what grows in it",
    )


def _stalled(code: str, name: str, waits_for: str, advice: str) -> ContainerRule:
    threshold_of: Callable[[Thresholds], Threshold] = attrgetter(code.replace("-", "_"))

    def rule(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
        pressure = container.usage.pressure
        line: PressureShare | None = getattr(pressure, name) if pressure else None
        if line is None:
            return None
        threshold = threshold_of(thresholds)
        if line.full is not None and line.full > threshold.critical:
            summary = f"all its tasks waited for {waits_for} {_percent(line.full)} of the time"
            return Finding(code, Severity.CRITICAL, container.key, summary, advice)
        if line.some is not None and line.some > threshold.warning:
            summary = f"some of its tasks waited for {waits_for} {_percent(line.some)} of the time"
            return Finding(code, Severity.WARNING, container.key, summary, advice)
        return None

    rule.__doc__ = f"Its tasks wait for {waits_for}."
    return rule


def restart_loop(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Started again and again."""
    starts = len(container.starts_ns)
    if starts < thresholds.restart_loop:
        return None
    code = container.info.exit_code
    last = f", last exit {code}" if code is not None else ""
    return Finding(
        "restart-loop",
        Severity.CRITICAL,
        container.key,
        f"started {starts} times in 5 minutes{last}",
        "read the end of its log: something ends it soon after its start",
    )


def unhealthy(container: ContainerNode, _: Thresholds) -> Finding | None:
    """Its own health check fails."""
    if container.info.health is not Health.UNHEALTHY or not container.info.state.is_live:
        return None
    return Finding(
        "unhealthy", Severity.CRITICAL, container.key, "its health check fails", "run the check in it by hand"
    )


def pids_near_limit(container: ContainerNode, thresholds: Thresholds) -> Finding | None:
    """Soon it cannot fork."""
    pids, limit = container.usage.pids, container.usage.pids_limit
    if pids is None or not limit or pids / limit <= thresholds.pids_near_limit:
        return None
    return Finding(
        "pids-near-limit",
        Severity.WARNING,
        container.key,
        f"{pids} of {limit} tasks",
        "find what forks in it, or raise its limit of pids",
    )


def shares_host(container: ContainerNode, _: Thresholds) -> Finding | None:
    """Not isolated from the host."""
    # What nobody calls a container is not expected to be isolated.
    if NOT_TO_SHARE.isdisjoint(container.shared_with_host) or container.info.source is Source.NAMESPACE:
        return None
    shared = [name for name in NOT_TO_SHARE if name in container.shared_with_host]
    return Finding(
        "shares-host",
        Severity.INFO,
        container.key,
        f"lives in the host's {', '.join(shared)} namespace{'s' if len(shared) > 1 else ''}",
        "give it its own, unless it is meant to act on the host",
    )


def no_memory_limit(snapshot: Snapshot, thresholds: Thresholds) -> Iterator[Finding]:
    """On a host short of memory, one container can take all of it."""
    pressure = snapshot.host.pressure.memory if snapshot.host.pressure else None
    if pressure is None or pressure.some is None or pressure.some <= thresholds.no_memory_limit:
        return
    for container in snapshot.containers.values():
        memory = container.cgroup.memory if container.cgroup else None
        is_workload = container.info.role is Role.WORKLOAD and container.info.source is not Source.NAMESPACE
        if is_workload and memory is not None and memory.current is not None and memory.max is None:
            yield Finding(
                "no-memory-limit",
                Severity.INFO,
                container.key,
                "has no memory limit while the host is short of memory",
                "give it a memory limit",
            )


def unknown_to_runtime(snapshot: Snapshot, _: Thresholds) -> Iterator[Finding]:
    """It runs, and the runtime that made it does not list it."""
    runtimes = snapshot.sample.runtimes
    if not any(runtime.up and runtime.is_listed for runtime in runtimes):
        return
    for container in snapshot.containers.values():
        if container.info.source is Source.API or container.outer is not None:
            continue
        # Any daemon of that name can be the one that made it.
        own = [runtime for runtime in runtimes if runtime.runs(container.info)]
        if own and all(runtime.up and runtime.is_listed for runtime in own) and _should_be_known(snapshot, container):
            yield Finding(
                "unknown-to-runtime",
                Severity.WARNING,
                container.key,
                f"runs, but {container.info.runtime} does not list it",
                f"restart {container.info.runtime}, or end the container's processes by hand",
            )


def _should_be_known(snapshot: Snapshot, container: ContainerNode) -> bool:
    process = container.process
    if process is None or container.info.state not in {State.RUNNING, State.PAUSED}:
        return False
    # A user's own daemon may not even be running: Podman does without.
    if container.cgroup is not None and container.cgroup.path.startswith("/user.slice/"):
        return False
    return snapshot.sample.wall_ns - process.started_ns >= KERNEL_LEAD_S * 1e9


def silent_runtimes(snapshot: Snapshot, _: Thresholds) -> Iterator[Finding]:
    """Runtimes that do not answer while their containers run; one finding each."""
    for runtime in snapshot.sample.runtimes:
        if runtime.silent_s > SILENT_AFTER_S and any(
            container.cgroup and runtime.runs(container.info) for container in snapshot.containers.values()
        ):
            yield Finding(
                "runtime-silent",
                Severity.CRITICAL,
                f"runtime:{runtime.name}",
                f"{runtime.name} has not answered for {runtime.silent_s:.0f} s",
                f"systemctl status {runtime.name}; its containers go on running",
            )


CONTAINER_RULES: tuple[ContainerRule, ...] = (
    cpu_throttled,
    memory_near_limit,
    _stalled("cpu-starved", "cpu", "a CPU", "free CPUs of the host, or raise its limit or weight"),
    _stalled("memory-stalled", "memory", "memory", "raise its memory limit, or free memory of the host"),
    _stalled("io-stalled", "io", "a disk", "find who else uses the disk"),
    restart_loop,
    unhealthy,
    pids_near_limit,
    shares_host,
)
"""Those that look at the container alone: what they say of it lasts for as long as it is the same."""

SNAPSHOT_RULES: tuple[SnapshotRule, ...] = (
    oom_killed,
    no_memory_limit,
    unknown_to_runtime,
    silent_runtimes,
)
"""Those that look at the time, the host or the runtimes too."""

PASSING = frozenset({"no-memory-limit", "oom-killed", "runtime-silent", "unknown-to-runtime"})
"""The codes of the latter."""

CODES: Mapping[str, tuple[Severity, ...]] = {
    "cpu-starved": (Severity.WARNING, Severity.CRITICAL),
    "cpu-throttled": (Severity.WARNING, Severity.CRITICAL),
    "io-stalled": (Severity.WARNING, Severity.CRITICAL),
    "memory-near-limit": (Severity.WARNING, Severity.CRITICAL),
    "memory-stalled": (Severity.WARNING, Severity.CRITICAL),
    "no-memory-limit": (Severity.INFO,),
    "oom-killed": (Severity.WARNING, Severity.CRITICAL),
    "pids-near-limit": (Severity.WARNING,),
    "restart-loop": (Severity.CRITICAL,),
    "runtime-silent": (Severity.CRITICAL,),
    "shares-host": (Severity.INFO,),
    "unhealthy": (Severity.CRITICAL,),
    "unknown-to-runtime": (Severity.WARNING,),
}
"""All codes of findings, and how bad each can be."""
