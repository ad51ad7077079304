"""From two readings of a counter to a rate or a share."""

from __future__ import annotations


def increase(current: int | None, previous: int | None) -> int | None:
    """How much a counter grew; None if either reading is unknown, or if it went back (a reset)."""
    if current is None or previous is None or current < previous:
        return None
    return current - previous


def per_second(current: int | None, previous: int | None, elapsed_s: float) -> float | None:
    """A counter's growth a second; None if unknown, reset, or if no time has passed."""
    grown = increase(current, previous)
    if grown is None or elapsed_s <= 0:
        return None
    return grown / elapsed_s


def share(part: int | None, whole: int | None) -> float | None:
    """``part / whole`` from 0 to 1; 0 where there was no whole to take a part of, None if either is unknown."""
    if part is None or whole is None:
        return None
    return min(part / whole, 1.0) if whole > 0 else 0.0


def ratio(part: float | None, whole: float | None) -> float | None:
    """``part / whole``; None if either is unknown, or if there is no whole."""
    return part / whole if part is not None and whole else None
