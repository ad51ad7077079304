"""Times as the page writes them, all in one time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import tzinfo

    from topcon.incident.fold import Span

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_ROUND_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 3 * 3600, 4 * 3600, 6 * 3600, 8 * 3600, 12 * 3600, _DAY_S, 2 * _DAY_S, 7 * _DAY_S, 28 * _DAY_S),
)
"""Between two times of an axis."""


class Tick(NamedTuple):
    """A time of an axis."""

    wall_ns: int
    text: str


class Times(NamedTuple):
    """How times are written."""

    tz: tzinfo | None
    """None for the machine's own."""
    span: Span

    def at(self, wall_ns: int) -> datetime:
        """Return a moment in the time zone."""
        moment = datetime.fromtimestamp(wall_ns // 10**9, self.tz)
        return moment if self.tz is not None else moment.astimezone()

    @property
    def zone(self) -> str:
        """What the time zone is called, and how far it is from UTC."""
        moment = self.at(self.span.end_ns)
        offset = f"UTC{moment:%z}"
        offset = f"{offset[:6]}:{offset[6:8]}"
        name = moment.tzname() or ""
        if not moment.utcoffset():
            return "UTC"
        return f"{name} ({offset})" if name.isalpha() else offset

    @property
    def is_of_one_day(self) -> bool:
        """Whether the span has no midnight in it."""
        return self.at(self.span.begin_ns).date() == self.at(self.span.end_ns).date()

    def full(self, wall_ns: int) -> str:
        """Write the date and the time."""
        return f"{self.at(wall_ns):%Y-%m-%d %H:%M:%S}"

    def day(self, wall_ns: int) -> str:
        """Write the date."""
        moment = self.at(wall_ns)
        return f"{moment:%A}, {moment.day} {moment:%B %Y}"

    def time(self, wall_ns: int) -> str:
        """Write the time of day."""
        return f"{self.at(wall_ns):%H:%M:%S}"

    def short(self, wall_ns: int) -> str:
        """Write the time of day, with the day where that is not the only one of the span."""
        moment = self.at(wall_ns)
        day = moment.date()
        is_known = self.is_of_one_day and day == self.at(self.span.begin_ns).date()
        if is_known:
            return f"{moment:%H:%M:%S}"
        year = "" if moment.year == self.at(self.span.end_ns).year else f" {moment.year}"
        return f"{moment.day} {moment:%b}{year} {moment:%H:%M:%S}"

    def about(self, wall_ns: int, step_ns: int) -> str:
        """Write a time that is known to be within a step, as `short` does, but to the minute if that is long."""
        text = self.short(wall_ns)
        return text[: -len(":00")] if step_ns >= _MINUTE_S * 10**9 else text

    def iso(self, wall_ns: int) -> str:
        """Write it for programs (RFC 3339)."""
        return self.at(wall_ns).isoformat(timespec="seconds")

    def ticks(self, begin_ns: int, end_ns: int, most: int) -> list[Tick]:
        """Return round times within two others, so many at the most."""
        span_s = max((end_ns - begin_ns) / 1e9, 1.0)
        step_s = next((each for each in _ROUND_S if span_s / each <= most), _ROUND_S[-1])
        # Round are the hours of the clock on the wall there.
        offset_s = int((self.at(begin_ns).utcoffset() or timedelta()).total_seconds())
        first_s = -(-(begin_ns // 10**9 + offset_s) // step_s) * step_s - offset_s
        moments = range(first_s * 10**9, end_ns + 1, step_s * 10**9)
        return [Tick(each, self._tick_text(each, step_s)) for each in moments if each >= begin_ns]

    def _tick_text(self, wall_ns: int, step_s: int) -> str:
        moment = self.at(wall_ns)
        if step_s >= _DAY_S or (step_s >= _HOUR_S and not moment.hour and not moment.minute):
            return f"{moment.day} {moment:%b}"
        return f"{moment:%H:%M}" if step_s >= _MINUTE_S else f"{moment:%H:%M:%S}"


def length_text(seconds: float) -> str:
    """Write a time span in its two largest units: ``40 s``, ``5 min 40 s``, ``2 h 5 min``, ``3 d 4 h``."""
    rounded = max(round(seconds), 0)
    for _, size in _UNITS[1:]:
        # Below the second unit nothing is written.
        if rounded >= _LARGER[size]:
            rounded = round(rounded / size) * size
            break
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rounded = divmod(rounded, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


_UNITS = (("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S), ("s", 1))
_LARGER = {_HOUR_S: _DAY_S, _MINUTE_S: _HOUR_S, 1: _MINUTE_S}
