"""What is wrong: tables of pure rules over a snapshot, worst first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from topcon.findings.alone import CONTAINER_RULES, NOT_TO_SHARE
from topcon.findings.changes import CHANGE_RULES
from topcon.findings.codes import ABOUT, CODES
from topcon.findings.context import CONTEXTS
from topcon.findings.levels import LEVEL_RULES, levels
from topcon.findings.passing import TIMED_RULES, no_memory_limit, silent_runtimes, timed, unknown_to_runtime
from topcon.findings.replicas import odd_ones
from topcon.findings.step import Step
from topcon.findings.thresholds import DEFAULT_THRESHOLDS, Threshold, Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from topcon.findings.passing import SnapshotRule
    from topcon.model.snapshot import ContainerNode, Finding, Snapshot

__all__ = [
    "ABOUT",
    "CHANGE_RULES",
    "CODES",
    "CONTAINER_RULES",
    "DEFAULT_THRESHOLDS",
    "LEVEL_RULES",
    "NOT_TO_SHARE",
    "PASSING",
    "SNAPSHOT_RULES",
    "TIMED_RULES",
    "Threshold",
    "Thresholds",
    "assess",
]

SNAPSHOT_RULES: tuple[SnapshotRule, ...] = (
    timed,
    no_memory_limit,
    unknown_to_runtime,
    silent_runtimes,
    levels,
    odd_ones,
)
"""Those that look at the time, the host, the runtimes or what is around a container too."""

PASSING = frozenset(
    (
        *("exit-error", "frozen", "no-memory-limit", "odd-one-out", "oom-killed", "restart-loop"),
        *("runtime-silent", "unknown-to-runtime"),
    )
)
"""Their codes, but for those of limits above containers, which have the codes of limits."""


def assess(
    snapshot: Snapshot, before: Snapshot | None = None, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> tuple[Finding, ...]:
    """Return all findings of a snapshot, worst first, then by code and target.

    What was found in the snapshot ``before``, by the same thresholds, of a container that is the same still is not
    looked for again.
    """
    step = Step(snapshot, before, thresholds)
    passing = [finding for rule in SNAPSHOT_RULES for finding in rule(step)]
    if before is not None and snapshot.containers is before.containers:
        lasting = [finding for finding in before.findings if not _is_passing(finding)]
        passing = _without_doubles(lasting, passing)
        if len(lasting) + len(passing) == len(before.findings) and set(passing) <= set(before.findings):
            return before.findings
    else:
        lasting = _lasting(step)
        passing = _without_doubles(lasting, passing)
    dated = _dated(lasting + passing, step)
    return tuple(sorted(dated, key=lambda finding: (-finding.severity, finding.code, finding.target)))


def _is_passing(finding: Finding) -> bool:
    return finding.code in PASSING or finding.limited_by is not None


def _without_doubles(lasting: Iterable[Finding], passing: Iterable[Finding]) -> list[Finding]:
    """Of limits above a container leave out those of which its own says the same, and of several keep the worst."""
    said = {(finding.code, finding.target) for finding in lasting}
    kept = [finding for finding in passing if finding.limited_by is None]
    levels_above = [finding for finding in passing if finding.limited_by is not None]
    for finding in sorted(levels_above, key=lambda each: (-each.severity, each.limited_by or "")):
        if (finding.code, finding.target) not in said:
            said.add((finding.code, finding.target))
            kept.append(finding)
    return kept


def _dated(findings: Iterable[Finding], step: Step) -> Iterator[Finding]:
    """Say since when they hold: what was found before as well has not begun now."""
    known = {(each.code, each.target): each.since_ns for each in step.before.findings} if step.before else {}
    now_ns = step.now.sample.monotonic_ns
    for finding in findings:
        if finding.since_ns is None:
            yield replace(finding, since_ns=known.get((finding.code, finding.target), now_ns))
        else:
            yield finding


def _lasting(step: Step) -> list[Finding]:
    before, thresholds = step.before, step.thresholds
    known: dict[str, list[Finding]] = {}
    for finding in before.findings if before else ():
        if not _is_passing(finding):
            known.setdefault(finding.target, []).append(finding)
    old = before.containers if before else {}
    lasting: list[Finding] = []
    for key, container in step.now.containers.items():
        if old.get(key) is container:
            lasting += known.get(key, ())
            continue
        own = [each for rule in CONTAINER_RULES if (each := rule(container, thresholds)) is not None]
        own += [each for rule in CHANGE_RULES if (each := rule(container, step)) is not None]
        lasting += [_in_context(each, container, step) for each in own]
    return lasting


def _in_context(finding: Finding, container: ContainerNode, step: Step) -> Finding:
    """Add what is around the container to the evidence."""
    context = CONTEXTS.get(finding.code)
    if context is None:
        return finding
    evidence = [part for part in (finding.evidence, *context(container, step)) if part]
    return replace(finding, evidence="; ".join(evidence))
