"""Limits above containers: of the pod, the slice or the container that they are in. What binds is not always their own.

A finding is about the container that uses the most below the limit, and says whose limit it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.findings.alone import memory_severity, throttled_severity
from topcon.findings.codes import found
from topcon.findings.ranking import inside, most_of, ranking
from topcon.findings.wording import memory_text, percent
from topcon.model.derive import cores_of, throttled_of
from topcon.model.rates import ratio
from topcon.model.sample import CgroupPath
from topcon.model.snapshot import Severity
from topcon.text import printable, to_bytes_text, to_cores_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.findings.step import Step
    from topcon.model.sample import CgroupSample
    from topcon.model.snapshot import ContainerNode, Finding

    LevelRule = Callable[[CgroupSample, Step], "Crossed | None"]


class Crossed(NamedTuple):
    """A limit of a cgroup that those in it are near, or held back by."""

    code: str
    severity: Severity
    summary: str
    """With ``{}`` for whose limit it is."""
    advice: str
    evidence: list[str]
    what: str
    """What they use."""
    use_of: Callable[[ContainerNode], float | None]
    """How much of it one uses."""
    to_text: Callable[[float], str]


def whose(path: CgroupPath, step: Step) -> str:
    """Say whose a cgroup above a container is."""
    if path in step.now.sample.pods:
        return "its pod"
    return "the container it is in" if path in step.now.sample.found else printable(path)


def above(path: CgroupPath, step: Step) -> Iterator[CgroupSample]:
    """Return the cgroups that one is in, the nearest first, as far as they are read; not the root."""
    cgroups = step.now.sample.cgroups
    parent = path.rpartition("/")[0]
    while parent:
        cgroup = cgroups.get(CgroupPath(parent))
        if cgroup is not None:
            yield cgroup
        parent = parent.rpartition("/")[0]


def throttled_share(cgroup: CgroupSample, step: Step) -> float | None:
    """In which share of the periods those in it were held back by its own limit; None without one."""
    if cgroup.cpu_max is None or cgroup.cpu_max.cores is None:
        return None
    old = step.cgroup_before(cgroup)
    return throttled_of(cgroup.cpu, old.cpu if old is not None else None)


def cpu_cores(cgroup: CgroupSample, step: Step) -> float | None:
    """How many CPUs those in it use."""
    old = step.cgroup_before(cgroup)
    return cores_of(cgroup.cpu, old.cpu if old is not None else None, step.now.interval_s or 0.0)


def cpu_throttled(cgroup: CgroupSample, step: Step) -> Crossed | None:
    """All in it are held back by its CPU limit."""
    held, limit = throttled_share(cgroup, step), cgroup.cpu_max.cores if cgroup.cpu_max else None
    if held is None or limit is None:
        return None
    cores = cpu_cores(cgroup, step)
    severity = throttled_severity(held, ratio(cores, limit), step.thresholds.cpu_throttled)
    if severity is None:
        return None
    return Crossed(
        "cpu-throttled",
        severity,
        f"throttled in {percent(held)} of the periods by the limit of {{}}, {limit:.3g} CPUs",
        "raise that limit, or give those below it less to do",
        [f"{to_cores_text(cores)} of {to_cores_text(limit)} CPUs used below it"],
        "that",
        lambda each: each.usage.cpu_cores,
        to_cores_text,
    )


def memory_near_limit(cgroup: CgroupSample, step: Step) -> Crossed | None:
    """What is in it comes close to its limit."""
    memory = cgroup.memory
    full = ratio(memory.working_set, memory.max) if memory else None
    if memory is None or full is None:
        return None
    severity = memory_severity(full, ratio(memory.active_file, memory.max), step.thresholds.memory_near_limit)
    if severity is None:
        return None
    return Crossed(
        "memory-near-limit",
        severity,
        f"working set of {{}} at {percent(full)} of its limit",
        "raise that limit before something below it is killed, or find what grows",
        [f"{to_bytes_text(memory.working_set)} of {to_bytes_text(memory.max)}", *memory_text(memory)],
        "it",
        lambda each: each.usage.memory_bytes,
        to_bytes_text,
    )


def pids_near_limit(cgroup: CgroupSample, step: Step) -> Crossed | None:
    """Soon nothing in it can fork."""
    pids = cgroup.pids
    if pids is None or not pids.max or pids.current / pids.max <= step.thresholds.pids_near_limit:
        return None
    return Crossed(
        "pids-near-limit",
        Severity.WARNING,
        f"{pids.current} of {pids.max} tasks in {{}}",
        "find what forks there, or raise that limit of pids",
        [f"{percent(pids.current / pids.max)} of the limit; threads count"],
        "them",
        lambda each: each.usage.pids,
        lambda count: f"{count:.0f}",
    )


LEVEL_RULES: tuple[LevelRule, ...] = (cpu_throttled, memory_near_limit, pids_near_limit)


def levels(step: Step) -> Iterator[Finding]:
    """What is wrong with limits above containers."""
    sample = step.now.sample
    for path in sample.cgroups.keys() - sample.found.keys():
        cgroup = sample.cgroups[path]
        if not _has_limit(cgroup):
            continue
        for rule in LEVEL_RULES:
            crossed = rule(cgroup, step)
            # Who is in it is asked only where that matters.
            containers = inside(path, step) if crossed is not None else []
            if crossed is not None and containers:
                yield _finding(crossed, path, containers, step)


def _has_limit(cgroup: CgroupSample) -> bool:
    cpu, memory, pids = cgroup.cpu_max, cgroup.memory, cgroup.pids
    limits = (cpu and cpu.quota_usec, memory and memory.max, pids and pids.max)
    return any(limit is not None for limit in limits)


def _finding(crossed: Crossed, path: CgroupPath, containers: list[ContainerNode], step: Step) -> Finding:
    use_of = crossed.use_of
    first = max(containers, key=lambda each: (use_of(each) or 0.0, each.key))
    ranked = ranking((crossed.code, path), step, lambda: containers, use_of)
    return found(
        crossed.code,
        crossed.severity,
        first.key,
        crossed.summary.format(whose(path, step)),
        advice=crossed.advice,
        evidence="; ".join(
            part for part in (*crossed.evidence, most_of(crossed.what, ranked, crossed.to_text, step)) if part
        ),
        limited_by=path,
    )
