"""Values over a span of any length in a few hundred points, each with its least and greatest: no peak is lost.

How long the span is need not be known before: time is divided into equal steps, and where there are too many, each two
become one.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from itertools import zip_longest
from math import isnan, nan
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_STEPS = 300
"""So many points a track has at the most; once there were more, at least half as many."""

MOST_PENDING = 64
"""So many records wait at the most."""


class Kind(IntEnum):
    """What is kept of a container; the number is its place in a record."""

    CPU = 0
    """Cores, as the next."""
    CPU_LIMIT = 1
    THROTTLED = 2
    """A share."""
    MEMORY = 3
    """The working set; bytes, as the next."""
    MEMORY_LIMIT = 4
    CPU_PRESSURE = 5
    """The share of the time in which some tasks waited, as the next two."""
    MEMORY_PRESSURE = 6
    IO_PRESSURE = 7
    RX = 8
    """Bytes a second, as the next three."""
    TX = 9
    READ = 10
    WRITE = 11


Record = tuple[float | None, ...]
"""A value for each kind; None for unknown."""
NOTHING: Record = (None,) * len(Kind)


class Steps:
    """The steps of a span, and how many moments were seen in each."""

    __slots__ = ("begin_ns", "counts", "step_ns")

    def __init__(self, begin_ns: int, step_ns: int) -> None:
        """Begin at a time, with steps of a length, which must be above 0."""
        self.begin_ns = begin_ns
        self.step_ns = step_ns
        self.counts = array("L")

    def __len__(self) -> int:
        """How many there are, up to the newest moment."""
        return len(self.counts)

    @property
    def end_ns(self) -> int:
        """When the last one ends."""
        return self.begin_ns + len(self.counts) * self.step_ns

    def share_of(self, wall_ns: int) -> float:
        """Return where a time is between the begin, 0, and the end, 1; what is outside is put at its edge."""
        return min(max((wall_ns - self.begin_ns) / max(self.end_ns - self.begin_ns, 1), 0.0), 1.0)

    def index_of(self, wall_ns: int) -> int:
        """Return the step that a time is in, the first or the last one where it is outside."""
        return min(max((wall_ns - self.begin_ns) // self.step_ns, 0), max(len(self.counts) - 1, 0))

    def add(self, wall_ns: int) -> list[array[int]]:
        """Count a moment, not earlier than the ones before; return the counts before each time that two became one."""
        at = max((wall_ns - self.begin_ns) // self.step_ns, len(self.counts) - 1, 0)
        merged: list[array[int]] = []
        while at >= MOST_STEPS:
            merged.append(self.counts)
            self.step_ns *= 2
            self.counts = array("L", [sum(self.counts[two : two + 2]) for two in range(0, len(self.counts), 2)])
            at //= 2
        self.counts.extend([0] * (at + 1 - len(self.counts)))
        self.counts[at] += 1
        return merged


class Points(NamedTuple):
    """What is known of each step; NaN for nothing."""

    low: array[float]
    high: array[float]
    mean: array[float]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        return not self.high

    @property
    def highest(self) -> float | None:
        """The greatest value; None where nothing is known."""
        return max((value for value in self.high if not isnan(value)), default=None)

    @property
    def last(self) -> float | None:
        """The mean of the last step of which anything is known."""
        return next((value for value in reversed(self.mean) if not isnan(value)), None)

    @property
    def average(self) -> float | None:
        """The mean of the steps' means; None where nothing is known."""
        known = [value for value in self.mean if not isnan(value)]
        return sum(known) / len(known) if known else None

    @property
    def peak_step(self) -> int:
        """The first step with the greatest value, which must be known."""
        return self.high.index(max(value for value in self.high if not isnan(value)))


class _Line:
    """The points of one kind, from the first step of which anything is known."""

    __slots__ = ("begin", "high", "low", "mean")

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.low, self.high, self.mean = array("f"), array("f"), array("f")

    def add(self, step: int, values: Sequence[float], share: float) -> None:
        """Add values, which are so much of what is known of a step by now."""
        low, high, mean = min(values), max(values), sum(values) / len(values)
        at = step - self.begin
        missing = at - len(self.low)
        if missing > 0:
            self.extend(array("f", [nan]) * missing)
        if missing >= 0:
            self.low.append(low)
            self.high.append(high)
            self.mean.append(mean)
        elif isnan(self.mean[at]):
            self.low[at], self.high[at], self.mean[at] = low, high, mean
        else:
            self.low[at] = min(self.low[at], low)
            self.high[at] = max(self.high[at], high)
            self.mean[at] += (mean - self.mean[at]) * share

    def extend(self, values: array[float]) -> None:
        """Add a value for each of the next steps."""
        self.low.extend(values)
        self.high.extend(values)
        self.mean.extend(values)

    def merge(self) -> None:
        """Make one step of each two."""
        if self.begin % 2:
            for values in (self.low, self.high, self.mean):
                values.insert(0, nan)
        self.begin //= 2
        self.low = _merged(self.low, lambda one, other: one if isnan(other) or one < other else other)
        self.high = _merged(self.high, lambda one, other: one if isnan(other) or one > other else other)
        self.mean = _merged(self.mean, _mean)


class Track:
    """What a container used, kind by kind. While nothing changes nothing is added: it is as it was."""

    __slots__ = ("_known", "_last", "_lines", "_newest", "_pending", "_seen")

    def __init__(self) -> None:
        """Know nothing."""
        self._lines: dict[int, _Line] = {}
        self._last: Record = NOTHING
        self._newest = 0
        """The step of the last record."""
        self._pending: list[Record] = []
        """Records of that step that are not in the lines yet: it is quicker to add several at once."""
        self._seen = 0
        """Moments of that step that have been added, ..."""
        self._known = 0
        """... and those of them at which it was there."""

    def put(self, record: Record, steps: Steps) -> None:
        """Add what is known at the moment that was counted last; at all moments since the last record that held."""
        step = len(steps) - 1
        self._hold(steps, until=step)
        if step != self._newest:
            self._flush()
            self._newest, self._seen, self._known = step, 0, 0
        self._pending += [self._last] * (steps.counts[step] - self._seen - 1) if self._last is not NOTHING else ()
        if record is not NOTHING:
            self._pending.append(record)
        self._seen = steps.counts[step]
        self._last = record
        if len(self._pending) > MOST_PENDING:
            self._flush()

    def merge(self, steps_before: Sequence[int]) -> None:
        """Make one step of each two; ``steps_before`` are the counts before that."""
        self._flush()
        for line in self._lines.values():
            line.merge()
        if self._newest % 2:
            self._seen += steps_before[self._newest - 1]
            self._known += steps_before[self._newest - 1]
        self._newest //= 2

    def points(self, kind: Kind, steps: Steps) -> Points:
        """Return what is known of a kind, a point for each step; nothing at all where nothing is known."""
        if self._last is not NOTHING:
            count = steps.counts[self._newest]
            self._pending += [self._last] * (count - self._seen)
            self._seen = count
        self._flush()
        line = self._lines.get(kind)
        if line is None:
            return Points(array("f"), array("f"), array("f"))
        value = self._last[kind]
        held = array("f") if value is None else _held(value, steps.counts[self._newest + 1 :])
        before = array("f", [nan]) * line.begin
        after = array("f", [nan]) * (len(steps) - line.begin - len(line.low) - len(held))
        return Points(*(before + values + held + after for values in (line.low, line.high, line.mean)))

    def _hold(self, steps: Steps, *, until: int) -> None:
        """Let the last record hold at the moments since, up to a step."""
        if self._last is NOTHING or until == self._newest:
            return
        newest, counts = self._newest, steps.counts
        self._pending += [self._last] * (counts[newest] - self._seen)
        self._flush()
        between = counts[newest + 1 : until]
        if between:
            for kind, line in self._lines.items():
                value = self._last[kind]
                if value is not None:
                    line.extend(_held(value, between))

    def _flush(self) -> None:
        """Add the records that wait to the lines."""
        pending = self._pending
        if not pending:
            return
        self._known += len(pending)
        share = len(pending) / self._known
        for kind, column in enumerate(zip(*pending, strict=True)):
            values = column if None not in column else [value for value in column if value is not None]
            if values:
                line = self._lines.get(kind)
                if line is None:
                    line = self._lines[kind] = _Line(self._newest)
                line.add(self._newest, values, share)
        pending.clear()


def _held(value: float, counts: array[int]) -> array[float]:
    """Return a value for each step that has a moment."""
    if 0 in counts:
        return array("f", [value if count else nan for count in counts])
    return array("f", [value]) * len(counts)


def _merged(values: array[float], of: Callable[[float, float], float]) -> array[float]:
    """Make one value of each two; a comparison with what is unknown does not hold."""
    return array("f", [of(one, other) for one, other in zip_longest(values[::2], values[1::2], fillvalue=nan)])


def _mean(one: float, other: float) -> float:
    if isnan(other):
        return one
    return other if isnan(one) else (one + other) / 2
