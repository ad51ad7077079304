"""What a container or pod used over the last hour, kind by kind: the older, the coarser."""

from __future__ import annotations

from array import array
from enum import IntEnum
from math import isnan, nan
from struct import Struct
from sys import byteorder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Kind(IntEnum):
    """What is remembered; the number is its place in a record."""

    CPU = 0
    """Cores."""
    THROTTLED = 1
    """A share, as the pressures."""
    MEMORY = 2
    """The working set; bytes, as the next two."""
    ANON = 3
    FILE = 4
    READ = 5
    """Bytes a second, as the next three."""
    WRITE = 6
    RX = 7
    TX = 8
    CPU_PRESSURE = 9
    """Some tasks waited."""
    MEMORY_PRESSURE = 10
    IO_PRESSURE = 11


TICKS = 60
"""How many records are kept as they were: a minute at the default interval."""
STEP = 5
"""Ticks of which the mean is kept for longer, ..."""
STEPS = 120
"""... and how many of those: ten minutes."""
STRIDE = 30
"""Ticks of which the mean is kept for longest."""
STRIDES = 120
_STEPS_IN_STRIDE = STRIDE // STEP
REMEMBERED = STRIDE * STRIDES
"""Ticks that are remembered at all: an hour."""

_KINDS = len(Kind)
_record, _bits, _halves = (Struct(f"={_KINDS}{letter}") for letter in "fIH")
_pack, _SIZE, _HALF_SIZE = _record.pack, _record.size, _halves.size
_NOTHING = _pack(*[nan] * _KINDS)
_TICKS_SIZE, _STEPS_SIZE, _STRIDES_SIZE = TICKS * _SIZE, STEPS * _HALF_SIZE, STRIDES * _HALF_SIZE
_DROPPED, _EXPONENTS = 14, 64 << 9
"""A mean has 16 bits: no sign, the 128 exponents in the middle, and 9 bits behind the point. It is off by a thousandth
at the most; the least of the numbers is for 0, the greatest for what is unknown."""
_UNKNOWN, _NAN_BITS = 0xFFFF, 0x7FC00000


class Course(NamedTuple):
    """Records of a float for each kind, the newest last; NaN is for unknown.

    What has not changed since the newest has not been added: it is as it was. So a container that does nothing has
    the very same course for as long as it does nothing.
    """

    ticks: bytes = b""
    """The last ticks up to the newest, in 32 bits."""
    steps: bytes = b""
    """Means, in 16 bits, the last one of the step before the newest tick's."""
    strides: bytes = b""
    """The same of longer ones."""
    newest: int = -1
    """The tick of the newest record."""

    def grown(self, tick: int, values: Sequence[float | None]) -> Course:
        """Add the values of a tick that is later than the newest, in the order of `Kind`."""
        record = _pack(*[nan if value is None else value for value in values])
        ticks, steps, strides, newest = self
        last = ticks[-_SIZE:] or _NOTHING
        if record == last:
            return self
        if ticks:
            further = tick // STEP - newest // STEP - 1
            if further >= 0:
                since = _halved(last)
                in_step = newest % STEP + 1
                ended = _mean(array("f", ticks[-in_step * _SIZE :] + last * (STEP - in_step)))
                further_strides = tick // STRIDE - newest // STRIDE - 1
                if further_strides >= 0:
                    in_stride = newest // STEP % _STEPS_IN_STRIDE + 1
                    own = (steps + ended)[-in_stride * _HALF_SIZE :]
                    whole = _mean(_whole(own + since * (_STEPS_IN_STRIDE - in_stride)))
                    strides = (strides + whole + since * min(further_strides, STRIDES))[-_STRIDES_SIZE:]
                steps = (steps + ended + since * min(further, STEPS))[-_STEPS_SIZE:]
            ticks += last * min(tick - newest - 1, TICKS)
        return Course((ticks + record)[-_TICKS_SIZE:], steps, strides, tick)

    def values(self, kind: Kind, tick: int, count: int = REMEMBERED) -> list[float | None]:
        """Return the last values of a kind up to a tick, the newest last: ``count``, or as many as there are."""
        if not self.ticks:
            return []
        ticks = array("f", self.ticks)[kind::_KINDS]
        # What is coarser may begin before there was anything: it is asked only for what the finer has lost.
        known: list[float] = []
        begin = self.newest + 1 - len(ticks)
        for packed, size, is_asked in (
            (self.steps, STEP, len(ticks) == TICKS),
            (self.strides, STRIDE, len(self.steps) == _STEPS_SIZE),
        ):
            means = _whole(packed, kind) if is_asked else array("f")
            begin_of_means = self.newest // size * size - size * len(means)
            if begin_of_means < begin:
                known[:0] = [value for value in means for _ in range(size)][: begin - begin_of_means]
                begin = begin_of_means
        known += ticks
        known += ticks[-1:] * min(tick - self.newest, count)
        return [None if isnan(value) else value for value in known[-count:]]


NO_COURSE = Course()


def _halved(record: bytes) -> bytes:
    """Round the floats of a record to 16 bits."""
    half = 1 << (_DROPPED - 1)
    return _halves.pack(
        *[min(max(((bits + half) >> _DROPPED) - _EXPONENTS, 0), _UNKNOWN) for bits in _bits.unpack(record)]
    )


def _whole(packed: bytes, kind: Kind | None = None) -> array[float]:
    """Return such floats again, of all kinds or of one."""
    numbers = array("H", packed) if kind is None else array("H", packed)[kind::_KINDS]
    bits = [
        (number + _EXPONENTS) << _DROPPED if 0 < number < _UNKNOWN else _NAN_BITS if number else 0 for number in numbers
    ]
    return array("f", array("I", bits).tobytes())


def _mean(floats: array[float]) -> bytes:
    """Average records, as far as they are known."""
    return _halved(_pack(*[_mean_of(floats[kind::_KINDS]) for kind in range(_KINDS)]))


def _mean_of(values: array[float]) -> float:
    total = sum(values)
    if not isnan(total):
        return total / len(values)
    known = [value for value in values if not isnan(value)]
    return sum(known) / len(known) if known else nan


class Times(NamedTuple):
    """When the last ticks were, on the monotonic clock: they are late now and then, and may come slower."""

    packed: bytes = b""
    """64-bit integers, the newest last."""

    def grown(self, monotonic_ns: int) -> Times:
        """Add the time of a tick."""
        return Times(self.packed[-8 * REMEMBERED :] + monotonic_ns.to_bytes(8, byteorder))

    @property
    def all_ns(self) -> array[int]:
        """The newest last; one more than ticks are remembered, since each stands for the time since the one before."""
        return array("q", self.packed)

    def seconds_of(self, ticks: int) -> float | None:
        """Return how long the last so many ticks took; None if that is not remembered."""
        times_ns = self.all_ns
        return (times_ns[-1] - times_ns[-1 - ticks]) / 1e9 if 0 <= ticks < len(times_ns) else None


NO_TIMES = Times()
