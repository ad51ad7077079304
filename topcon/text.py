"""How numbers and foreign text are written, on the screen and in reports.

Every number keeps to its width: three significant digits and at most one letter. Unknown is ``-``.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

UNKNOWN = "-"
BYTES_WIDTH = 5
"""The widest that `to_bytes_text` writes: ``1023M``."""

_UNITS = "kMGTPE"
_TIMES = 9.995
"""The share that would be written ``1000%``."""
_KILO = 1024
_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60, 3600, 86400, 365 * 86400
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that draw nothing, or order the terminal about: controls, direction marks, line separators."""
_IGNORABLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
"""Marks and letters that draw nothing all the same (Unicode's Default_Ignorable_Code_Point)."""
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))
"""Vowels and final consonants of Hangul: drawn into the syllable that the consonant before them began."""


def printable(text: str) -> str:
    r"""Make foreign text safe to show: what is not plainly visible is written as an escape, ``\x1b`` for one.

    Names, labels, commands and logs come from containers, and can hold what moves the cursor or turns the writing
    around. The result has one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_visible(character) else _escaped(character) for character in text)


def _is_visible(character: str) -> bool:
    return character == " " or (
        character.isprintable() and unicodedata.category(character) not in _UNSEEN and character not in _IGNORABLE
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def cell_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    if any(ord(character) in part for part in _JAMO):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, width: int) -> str:
    """Shorten a text to ``width`` columns by leaving out its middle, since names differ at both ends."""
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    tail = (width - 1) // 2
    return f"{head(text, width - 1 - tail)}…{head(text[::-1], tail)[::-1]}"


def head(text: str, width: int) -> str:
    """Return as much of the beginning of a text as ``width`` columns hold."""
    shown, left = 0, width
    for character in text:
        left -= cell_width(character)
        if left < 0:
            break
        shown += 1
    return text[:shown]


def padded(text: str, width: int, *, is_left: bool = False) -> str:
    """Cut or fill a text to exactly ``width`` columns, to the right unless ``is_left``."""
    shown = cut(text, width)
    space = " " * (width - cell_width(shown))
    return shown + space if is_left else space + shown


def to_bytes_text(count: float | None) -> str:
    """Write bytes, in units of 1024: ``0``, ``512``, ``1.50k``, ``12.3M``, ``1023G``."""
    if count is None:
        return UNKNOWN
    if round(count) < _KILO:
        return str(round(count))
    value = float(count)
    for unit in _UNITS:
        value /= _KILO
        if value < _KILO - 0.5 or unit == _UNITS[-1]:
            return _three_digits(value) + unit
    raise AssertionError


def to_cores_text(cores: float | None) -> str:
    """Write CPUs: ``0.95``, ``12.3``, ``128``."""
    return UNKNOWN if cores is None else _three_digits(cores)


def to_percent_text(share: float | None) -> str:
    """Write a share of 1 as percent: ``61%``; from a thousand percent on as times: ``20x``."""
    if share is None:
        return UNKNOWN
    return f"{share * 100:.0f}%" if share < _TIMES else f"{min(share, 999):.0f}x"


def to_rate_text(bytes_per_second: float | None) -> str:
    """Write bytes a second: ``1.50k/s``."""
    return UNKNOWN if bytes_per_second is None else f"{to_bytes_text(bytes_per_second)}/s"


def to_count_text(count: int | None) -> str:
    """Write a count; from 100,000 on in thousands."""
    if count is None:
        return UNKNOWN
    return str(count) if count < 100_000 else f"{count // 1000}k"  # noqa: PLR2004  five digits


def to_age_text(seconds: float | None) -> str:
    """Write a time span in its largest unit: ``9s``, ``2m``, ``3h``, ``4d``, ``2y``."""
    if seconds is None:
        return UNKNOWN
    for unit, size, below in (
        ("s", 1, _MINUTE_S),
        ("m", _MINUTE_S, _HOUR_S),
        ("h", _HOUR_S, _DAY_S),
        ("d", _DAY_S, _YEAR_S),
    ):
        if seconds < below:
            return f"{max(int(seconds), 0) // size}{unit}"
    return f"{int(seconds) // _YEAR_S}y"


def to_uptime_text(seconds: float) -> str:
    """Write a time span in its two largest units: ``3d 4h``, ``4h 5m``, ``5m``."""
    days, hours = divmod(int(seconds) // _HOUR_S, 24)
    minutes = int(seconds) // _MINUTE_S % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"


def to_time_text(wall_ns: int | None) -> str | None:
    """Write nanoseconds since 1970 as RFC 3339 in UTC, with milliseconds; None stays None."""
    if wall_ns is None:
        return None
    moment = datetime.fromtimestamp(wall_ns / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _three_digits(value: float) -> str:
    if value < 9.995:  # noqa: PLR2004  where rounding would add a digit
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"  # noqa: PLR2004  the same
