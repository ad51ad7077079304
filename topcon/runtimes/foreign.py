"""JSON that others wrote, taken for what it should be: what is not of that type is taken for not said."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAST_S = 253_402_300_799
"""The end of the year 9999, in seconds since 1970: later dates cannot be written."""
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def to_text(value: object) -> str | None:
    """Return a text; None for an empty one."""
    return value if isinstance(value, str) and value else None


def to_int(value: object) -> int | None:
    """Return a whole number of 64 bits; JSON's true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -(1 << 63) <= value < 1 << 63 else None


def to_object(value: object) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def to_list(value: object) -> list[Any]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def to_labels(value: object) -> Mapping[str, str]:
    """Return those of an object's values that are texts."""
    return MappingProxyType({key: text for key, text in to_object(value).items() if isinstance(text, str)})


def to_time_ns(seconds: object) -> int | None:
    """Turn seconds since 1970 into nanoseconds; None for Go's "never", which is long before."""
    whole = to_int(seconds)
    return whole * 10**9 if whole is not None and 0 < whole <= _LAST_S else None


def parse_time_ns(text: object) -> int | None:
    """Parse RFC 3339 to nanoseconds since 1970; None for what means "never", up to 1970."""
    time_ns = parse_any_time_ns(text)
    return time_ns if time_ns is not None and to_time_ns(time_ns // 10**9) is not None else None


def parse_any_time_ns(text: object) -> int | None:
    """Parse RFC 3339 with nanoseconds to nanoseconds since 1970, negative before that."""
    match = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    try:
        whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return int(whole.timestamp()) * 10**9 + int((match[2] or "").ljust(9, "0"))
