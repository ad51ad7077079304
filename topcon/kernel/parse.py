"""The forms that the kernel writes its small files in (cgroup-v2, "Interface File Formats")."""

from __future__ import annotations

import math

from topcon.errors import ParseError
from topcon.model.sample import Pressure


def parse_flat_keyed(raw: bytes, path: str) -> dict[bytes, int]:
    """Parse ``KEY VALUE`` lines, such as ``usage_usec 9648698``. Later kernels add keys."""
    words = raw.split()
    try:
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_int(raw: bytes, path: str) -> int:
    """Parse a file that holds one number, such as ``pids.current``."""
    try:
        return int(raw)
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_int_or_max(raw: bytes, path: str) -> int | None:
    """Parse a limit: a number, or ``max`` for none."""
    return None if raw.strip() == b"max" else parse_int(raw, path)


def parse_int_or_inf(raw: bytes, path: str) -> float:
    """Parse a limit where None is for a file that is not there: a number, or ``math.inf`` for ``max``."""
    limit = parse_int_or_max(raw, path)
    return math.inf if limit is None else limit


def parse_pressure(raw: bytes, path: str) -> Pressure | None:
    """Parse a ``*.pressure`` file; None if it has no ``some`` line.

    ::

        some avg10=3.76 avg60=2.01 avg300=0.50 total=5628620
        full avg10=0.00 avg60=0.00 avg300=0.00 total=0
    """
    lines = _pressure_totals(raw, path)
    some = lines.get(b"some")
    return None if some is None else Pressure(some, lines.get(b"full"))


def parse_full_pressure(raw: bytes, path: str) -> int | None:
    """Parse ``irq.pressure``, which has a ``full`` line alone; microseconds, None if it has none."""
    return _pressure_totals(raw, path).get(b"full")


def _pressure_totals(raw: bytes, path: str) -> dict[bytes, int]:
    """The last word of each line, by its first."""
    lines: dict[bytes, int] = {}
    for line in raw.splitlines():
        name, _, rest = line.partition(b" ")
        _, found, total = rest.rpartition(b" total=")
        if not found or not total.isdigit():
            raise ParseError(path, line.decode(errors="replace"))
        lines[name] = int(total)
    return lines
