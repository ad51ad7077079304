"""From where on something is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from topcon.model.snapshot import Severity


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
    memory_high: float = 0.10
    """The share of the time that some of its tasks waited for memory."""
    swapping: float = 0.10
    """The same."""
    dropped_packets: float = 0.01
    """Of all that came or went."""
    exit_error_s: float = 600.0
    """For how long it is told that one has ended with an error."""
    frozen_s: float = 600.0
    """How long it may be paused before it is told."""
    odd_one_out: float = 3.0
    """So many times as much as the others of its kind use."""


DEFAULT_THRESHOLDS = Thresholds()
