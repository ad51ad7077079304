"""Moments, time spans and sizes as people write them.

Nothing here reads a clock: what "now" is, the caller says.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

MOMENTS = "03:12, 03:12:40, 2026-11-22 03:12, 2026-11-22T03:12:40+01:00, -10m or now"
"""How a moment can be written."""
SPANS = "90s, 10m, 1h30m or 7d"
SIZES = "500M, 2G or a number of bytes"

_NOW = "now"
_NS = 10**9
_DAYS_BACK = 3
"""Where clocks are set forward, a time of day is left out, and the last such one was the day before."""
_COUNT = r"(\d{1,9}(?:\.\d{1,3})?)"
_UNITS_S = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile("".join(f"(?:{_COUNT}{unit})?" for unit in _UNITS_S), re.ASCII)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,3})?)([kmgt]?)", re.ASCII | re.IGNORECASE)
_KILO = 1024
_LONGEST_S = 100 * 365 * 86_400
_GREATEST_BYTES = 1 << 60
_TIME_OF_DAY = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def parse_moment(text: str, now_ns: int, zone: tzinfo | None = None) -> int:
    """Return what a text means, nanoseconds since 1970.

    A time of day is the last such one that is not after ``now_ns``; ``-10m`` is before ``now_ns``. Without a zone of
    its own a text is in ``zone``, or in that of this machine.

    Raises:
        ValueError: what was expected.
    """
    if text == _NOW:
        return now_ns
    try:
        if text.startswith("-"):
            return now_ns - round(parse_span(text[1:]) * _NS)
        if _DATE.match(text):
            return _to_ns(_in_zone(datetime.fromisoformat(text), zone))
        found = _last(time.fromisoformat(text), now_ns, zone) if _TIME_OF_DAY.fullmatch(text) else None
    except (ValueError, OverflowError, OSError):
        # The last two: there is no such year in that zone.
        found = None
    if found is None:
        raise _unexpected(text, MOMENTS)
    return found


def to_moment_text(wall_ns: int, zone: tzinfo | None = None) -> str:
    """Write nanoseconds since 1970 in ``zone``, or in that of this machine, as `parse_moment` reads it, to seconds."""
    return datetime.fromtimestamp(wall_ns // _NS, UTC).astimezone(zone).isoformat(sep=" ")


def parse_span(text: str) -> float:
    """Return the seconds of ``90s``, ``10m``, ``1h30m``, ``7d``, ``2w``; always more than none.

    Raises:
        ValueError: what was expected.
    """
    found = _SPAN.fullmatch(text)
    counts = found.groups() if found else ()
    span_s = sum(float(count or 0) * unit_s for count, unit_s in zip(counts, _UNITS_S.values(), strict=False))
    if not 0 < span_s <= _LONGEST_S:
        raise _unexpected(text, SPANS)
    return span_s


def parse_size(text: str) -> int:
    """Return the bytes of ``1024``, ``500M``, ``1.5G``, in units of 1024; always more than none.

    Raises:
        ValueError: what was expected.
    """
    found = _SIZE.fullmatch(text)
    size = int(float(found[1]) * _KILO ** " kmgt".index(found[2].lower() or " ")) if found else 0
    if not 0 < size <= _GREATEST_BYTES:
        raise _unexpected(text, SIZES)
    return size


def _unexpected(text: str, expected: str) -> ValueError:
    return ValueError(f"{text[:80]!r}: expected {expected}")


def _last(at: time, now_ns: int, zone: tzinfo | None) -> int | None:
    """Find the last such time of day that there was, not after now."""
    today = datetime.fromtimestamp(now_ns // _NS, UTC).astimezone(zone).date()
    for days in range(_DAYS_BACK):
        day = today - timedelta(days=days)
        # Where clocks are set back, it was twice.
        for fold in (1, 0):
            naive = datetime.combine(day, at.replace(fold=fold))
            aware = _in_zone(naive, zone)
            was_there = aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive
            if was_there and _to_ns(aware) <= now_ns:
                return _to_ns(aware)
    return None


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def _to_ns(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1000
