"""What topcon and the daemons that it asks have used from one sample to the next."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topcon.model.sample import Sample

SMOOTHED_OVER_S = 5.0
"""After twice this, a value counts for an eighth of what it did."""


def own_cpu_s(before: Sample, now: Sample) -> float | None:
    """Return the CPU seconds of topcon itself; None if they were not read."""
    return max(now.own.cpu_s - before.own.cpu_s, 0.0) if before.own and now.own else None


def daemons_cpu_s(before: Sample, now: Sample) -> float | None:
    """Return the CPU seconds that the daemons have used to answer topcon; None if none is known."""
    old = {(each.name, each.socket): each.daemon_cpu_s for each in before.runtimes}
    # All count from 0 when topcon is started.
    known = [
        each.daemon_cpu_s - (old.get((each.name, each.socket)) or 0.0)
        for each in now.runtimes
        if each.daemon_cpu_s is not None
    ]
    return sum(max(spent_s, 0.0) for spent_s in known) if known else None


def kept_after(elapsed_s: float) -> float:
    """Return how much of its weight a value has left after a time."""
    return exp(-elapsed_s / SMOOTHED_OVER_S)


def smoothed(value: float | None, before: float | None, elapsed_s: float) -> float | None:
    """Move from what it was to what it is; what is not known now stays as it was."""
    if value is None or before is None:
        return before if value is None else value
    return value + (before - value) * kept_after(elapsed_s)
