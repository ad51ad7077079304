"""A value over the last ten minutes, one for each tick."""

from __future__ import annotations

from array import array
from math import isnan, nan
from struct import Struct
from typing import NamedTuple

HISTORY = 600
"""How many values a history keeps: ten minutes at the default interval."""

_VALUE_BYTES = 4
_pack = Struct("=f").pack


class History(NamedTuple):
    """The values of some ticks in a row, 4 bytes each. What has not changed since has not been added: it is as it was.

    So a container that does nothing has the same history, the very same object, for as long as it does nothing.
    """

    packed: bytes = b""
    """32-bit floats, the newest last; NaN is for unknown."""
    newest: int = -1
    """The tick of the newest."""

    def grown(self, tick: int, value: float | None) -> History:
        """Add the value of a tick that is later than the newest."""
        packed, missed = self.packed, tick - self.newest - 1
        if missed and packed:
            packed += packed[-_VALUE_BYTES:] * min(missed, HISTORY)
        return History(packed[_VALUE_BYTES * (1 - HISTORY) :] + _pack(nan if value is None else value), tick)

    def values(self, tick: int, count: int = HISTORY) -> list[float | None]:
        """Return the last values up to a tick, the newest last: ``count`` of them, or as many as there are."""
        if not self.packed:
            return []
        again = min(tick - self.newest, count)
        known = array("f", self.packed[-(count - again) * _VALUE_BYTES :] if again < count else b"")
        values = [None if isnan(value) else value for value in known]
        newest = array("f", self.packed[-_VALUE_BYTES:])[0]
        return values + [None if isnan(newest) else newest] * again


NO_HISTORY = History()
