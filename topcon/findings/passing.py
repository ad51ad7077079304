"""Rules that look at the time, the host or the runtimes too: what they say passes though no container changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.findings.codes import found
from topcon.findings.wording import percent
from topcon.model.sample import SILENT_AFTER_S, PodKind, Role, Source, State
from topcon.model.snapshot import Severity
from topcon.signals import exit_meaning
from topcon.text import to_age_text, to_bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.findings.step import Step
    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import ContainerNode, Finding, Snapshot

    TimedRule = Callable[[ContainerNode, Step], Finding | None]
    SnapshotRule = Callable[[Step], Iterator[Finding]]

KERNEL_LEAD_S = 5.0
"""A container that started less than this ago may not be in its runtime's list yet."""
LOOP_S = 300.0
"""In which the starts of a loop are counted."""
SIGNALLED = 128
"""An exit code above it is a signal's number and this."""
ASKED_TO_END = frozenset({SIGNALLED + 2, SIGNALLED + 15})
KILLED = SIGNALLED + 9
EXITS = {125: "the runtime could not start it", 126: "its command cannot be run", 127: "there is no such command"}
"""What runtimes and shells mean by a code."""
NEVER_AGAIN = frozenset({None, "", "no", "never", "on-failure"})
"""Restart policies by which one that has ended with an error stays so; of ``on-failure`` the tries are used up."""
REPLACED = frozenset({PodKind.KUBERNETES, PodKind.SWARM, PodKind.NOMAD, PodKind.ECS})
"""Kinds of pods in which another one takes the place of what has ended."""


def exit_text(code: int) -> str:
    """Write an exit code with what it stands for."""
    meaning = EXITS.get(code) or exit_meaning(code)
    return f"{code} ({meaning})" if meaning else str(code)


def timed(step: Step) -> Iterator[Finding]:
    """What the time has to do with, container by container."""
    running = State.RUNNING
    # Mostly none of the rules can hold, and this is asked at every tick.
    odd = [
        each
        for each in step.now.containers.values()
        if (info := each.info).state is not running
        or info.restarts
        or each.starts_ns
        or each.oom_kills
        or info.oom_killed
        or each.oom_seen_ns is not None
    ]
    for container in odd:
        for rule in TIMED_RULES:
            finding = rule(container, step)
            if finding is not None:
                yield finding


def oom_killed(container: ContainerNode, step: Step) -> Finding | None:
    """The kernel killed a process in it for memory."""
    snapshot, told_s = step.now, step.thresholds.oom_killed_s
    seen_ns, finished_ns, started_ns = container.oom_seen_ns, container.info.finished_ns, container.started_ns
    now_ns, wall_ns = snapshot.sample.monotonic_ns, snapshot.sample.wall_ns
    when: str | None = None
    if seen_ns is not None and (now_ns - seen_ns) / 1e9 <= told_s:
        age_s = (now_ns - seen_ns) / 1e9
    elif container.info.oom_killed and finished_ns is not None:
        age_s = max((wall_ns - finished_ns) / 1e9, 0.0)
    elif container.oom_kills and started_ns is not None:
        # Nobody saw when, but not before it was started.
        age_s = max((wall_ns - started_ns) / 1e9, snapshot.interval_s or 0.0)
        when = f"in the {to_age_text(age_s)} since its start"
    else:
        return None
    if age_s > told_s:
        return None
    is_new = age_s < (snapshot.interval_s or 0.0)
    when = when or ("just now" if is_new else f"{age_s:.0f} s ago")
    return found(
        "oom-killed",
        Severity.CRITICAL if is_new else Severity.WARNING,
        container.key,
        f"a process of it was killed for memory {when}",
        evidence=_oom_evidence(container),
        since_ns=now_ns - int(age_s * 1e9),
    )


def _oom_evidence(container: ContainerNode) -> str:
    usage, kills = container.usage, container.oom_kills
    parts = [f"{kills} kill{'s' if kills > 1 else ''} since its start"] if kills else []
    if usage.memory_limit_bytes is not None:
        parts.append(f"limit {to_bytes_text(usage.memory_limit_bytes)}")
    if usage.memory_bytes is not None:
        parts.append(f"working set {to_bytes_text(usage.memory_bytes)} now")
    return ", ".join(parts)


def restart_loop(container: ContainerNode, step: Step) -> Finding | None:
    """Started again and again."""
    starts, least, info = len(container.starts_ns), step.thresholds.restart_loop, container.info
    code = info.exit_code
    last = f", last exit {code}" if code is not None else ""
    if starts >= least:
        summary = f"started {starts} times in 5 minutes{last}"
    elif _has_looped(container, least, step.now.sample.wall_ns):
        summary = f"started again {info.restarts} times by {info.runtime}{last}"
    else:
        return None
    policy = f"restart policy {info.restart_policy}" if info.restart_policy else ""
    told = f"restarted {info.restarts} times since it was made" if info.restarts else ""
    meaning = f"exit {exit_text(code)}" if code is not None and exit_text(code) != str(code) else ""
    return found(
        "restart-loop",
        Severity.CRITICAL,
        container.key,
        summary,
        evidence=", ".join(part for part in (told, meaning, policy) if part),
    )


def _has_looped(container: ContainerNode, least: int, wall_ns: int) -> bool:
    """Whether its runtime tells of as many starts as would be seen in a loop, and it has not come to rest since."""
    info = container.info
    if info.restarts is None or info.restarts < least or info.state.is_over:
        return False
    if info.state is State.RESTARTING:
        return True
    if info.created_ns is None or container.started_ns is None:
        return False
    between_s = (wall_ns - info.created_ns) / 1e9 / info.restarts
    return between_s <= LOOP_S / least and (wall_ns - container.started_ns) / 1e9 < between_s * 2


def exit_error(container: ContainerNode, step: Step) -> Finding | None:
    """Ended with an error, for good."""
    info, wall_ns = container.info, step.now.sample.wall_ns
    code, finished_ns = info.exit_code, info.finished_ns
    if not info.state.is_over or not code or code in ASKED_TO_END or finished_ns is None or info.oom_killed:
        return None
    age_s = max((wall_ns - finished_ns) / 1e9, 0.0)
    if age_s > step.thresholds.exit_error_s or info.restart_policy not in NEVER_AGAIN:
        return None
    if container.key in step.once("replaced", lambda: _replaced(step)):
        return None
    ran_s = None if info.started_ns is None else (finished_ns - info.started_ns) / 1e9
    ran = f"it ran for {to_age_text(ran_s)}" if ran_s is not None and ran_s >= 0 else ""
    tries = f"restarted {info.restarts} times before" if info.restarts else ""
    policy = "nobody starts it again" + (f": restart policy {info.restart_policy}" if info.restart_policy else "")
    return found(
        "exit-error",
        Severity.INFO if code == KILLED else Severity.WARNING,
        container.key,
        f"ended with exit code {exit_text(code)}",
        advice="if nobody killed it on purpose, read the end of its log" if code == KILLED else None,
        evidence=", ".join(part for part in (ran, tries, policy) if part),
        since_ns=step.now.sample.monotonic_ns - int(age_s * 1e9),
    )


def _replaced(step: Step) -> frozenset[ContainerKey]:
    """Return those in whose place another one comes."""
    return frozenset(each.key for pod in step.now.pods if pod.kind in REPLACED for each in pod.containers)


def frozen(container: ContainerNode, step: Step) -> Finding | None:
    """Paused, and perhaps forgotten."""
    if container.info.state is not State.PAUSED:
        return None
    now, history = step.now, container.usage.cpu_history
    # It has no new values for as long as it does nothing.
    ticks = now.tick - history.newest if history.packed else 0
    still_s = now.times.seconds_of(ticks) or ticks * (now.interval_s or 0.0)
    if still_s <= step.thresholds.frozen_s:
        return None
    return found(
        "frozen",
        Severity.INFO,
        container.key,
        "is paused, and has been for long",
        evidence=f"{to_bytes_text(container.usage.memory_bytes)} of memory kept",
        since_ns=now.sample.monotonic_ns - int(still_s * 1e9),
    )


TIMED_RULES: tuple[TimedRule, ...] = (oom_killed, restart_loop, exit_error, frozen)
"""Only what is not plainly running is asked these."""


def no_memory_limit(step: Step) -> Iterator[Finding]:
    """On a host short of memory, one container can take all of it."""
    snapshot = step.now
    pressure = snapshot.host.pressure.memory if snapshot.host.pressure else None
    if pressure is None or pressure.some is None or pressure.some <= step.thresholds.no_memory_limit:
        return
    for container in snapshot.containers.values():
        memory = container.cgroup.memory if container.cgroup else None
        is_workload = container.info.role is Role.WORKLOAD and container.info.source is not Source.NAMESPACE
        if is_workload and memory is not None and memory.current is not None and memory.max is None:
            yield found(
                "no-memory-limit",
                Severity.INFO,
                container.key,
                "has no memory limit while the host is short of memory",
                evidence=f"working set {to_bytes_text(container.usage.memory_bytes)}; some tasks of the host waited "
                f"for memory {percent(pressure.some)} of the time",
            )


def unknown_to_runtime(step: Step) -> Iterator[Finding]:
    """It runs, and the runtime that made it does not list it."""
    snapshot = step.now
    runtimes = snapshot.sample.runtimes
    if not any(runtime.up and runtime.is_listed for runtime in runtimes):
        return
    api = Source.API
    for container in [each for each in snapshot.containers.values() if each.info.source is not api]:
        if container.outer is not None:
            continue
        # Any daemon of that name can be the one that made it.
        own = [runtime for runtime in runtimes if runtime.runs(container.info)]
        if own and all(runtime.up and runtime.is_listed for runtime in own) and _should_be_known(snapshot, container):
            yield found(
                "unknown-to-runtime",
                Severity.WARNING,
                container.key,
                f"runs, but {container.info.runtime} does not list it",
                advice=f"restart {container.info.runtime}, or end the container's processes by hand",
                evidence="" if container.process is None else f"its first process is {container.process.pid}",
            )


def _should_be_known(snapshot: Snapshot, container: ContainerNode) -> bool:
    process = container.process
    if process is None or container.info.state not in {State.RUNNING, State.PAUSED}:
        return False
    # A user's own daemon may not even be running: Podman does without.
    if container.cgroup is not None and container.cgroup.path.startswith("/user.slice/"):
        return False
    return snapshot.sample.wall_ns - process.started_ns >= KERNEL_LEAD_S * 1e9


def silent_runtimes(step: Step) -> Iterator[Finding]:
    """Runtimes that do not answer while their containers run; one finding each."""
    sample = step.now.sample
    for runtime in sample.runtimes:
        if runtime.silent_s <= SILENT_AFTER_S:
            continue
        count = sum(1 for each in step.now.containers.values() if each.cgroup is not None and runtime.runs(each.info))
        if count:
            yield found(
                "runtime-silent",
                Severity.CRITICAL,
                f"runtime:{runtime.name}",
                f"{runtime.name} has not answered for {runtime.silent_s:.0f} s",
                advice=f"systemctl status {runtime.name}; its containers go on running",
                evidence=f"asked at {runtime.socket}; {count} of its containers run",
                since_ns=sample.monotonic_ns - int(runtime.silent_s * 1e9),
            )
