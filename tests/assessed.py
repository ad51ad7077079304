"""Snapshots with what was found in them, as a sampler makes them, for tests of findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from topcon.findings import Thresholds, assess
from topcon.model.derive import derive

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Finding, Severity, Snapshot


def after(*samples: Sample, **thresholds: Any) -> Snapshot:
    """The snapshot after these samples, each assessed with the one before it."""
    snapshot = None
    for sample in samples:
        before, snapshot = snapshot, derive(snapshot, sample)
        snapshot = replace(snapshot, findings=assess(snapshot, before, Thresholds(**thresholds)))
    assert snapshot is not None
    return snapshot


def found(snapshot: Snapshot, code: str) -> Finding | None:
    """The one finding of a code."""
    findings = [finding for finding in snapshot.findings if finding.code == code]
    assert len(findings) <= 1
    return findings[0] if findings else None


def severity(snapshot: Snapshot, code: str) -> Severity | None:
    """How bad the one finding of a code is; None if there is none."""
    finding = found(snapshot, code)
    return finding.severity if finding else None
