"""How what containers hold of disks is written: words, sizes, growths. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.disk import HoldKind
from topcon.text import UNKNOWN, printable, to_bytes_text
from topcon.ui.spans import Span, Spans, Tone, fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from topcon.model.disk import Hold
    from topcon.model.sample import Problem

NOT_YET = "…"
AT_LEAST = "≥"
WORDS: Mapping[HoldKind, str] = {
    HoldKind.LAYER: "layer",
    HoldKind.LOG: "log",
    HoldKind.VOLUME: "volume",
    HoldKind.TMPFS: "tmpfs",
    HoldKind.DELETED: "deleted",
}
FULL, NEARLY_FULL = 0.95, 0.85
"""Shares of a file system from which on it is shown as bad, and as a warning."""
MUCH_BYTES_PER_MIN = 10 << 20
"""A growth from which on it is shown as a warning."""
KIND_WIDTH, SIZE_WIDTH, GROWTH_WIDTH, BAR_WIDTH = 7, 6, 7, 8
_S_PER_MIN = 60


def in_order(holds: Iterable[Hold]) -> list[Hold]:
    """Put what takes the most first; what nothing is known of yet comes last."""
    return sorted(holds, key=lambda hold: (-1 if hold.used_bytes is None else hold.used_bytes, hold.key), reverse=True)


def size_text(used_bytes: int | None, *, is_whole: bool) -> str:
    """Write a size, and whether there is more of it than is known: ``1.20G``, ``≥1.20G``, ``…``."""
    if used_bytes is None:
        return UNKNOWN if is_whole else NOT_YET
    return to_bytes_text(used_bytes) if is_whole else f"{AT_LEAST}{to_bytes_text(used_bytes)}"


def growth_text(bytes_per_s: float | None) -> str:
    """Write what comes in a minute, or goes: ``+1.20M``, ``-512``, ``0``."""
    if bytes_per_s is None:
        return UNKNOWN
    per_minute = round(bytes_per_s * _S_PER_MIN)
    sign = "+" if per_minute > 0 else "-" if per_minute < 0 else ""
    return f"{sign}{to_bytes_text(abs(per_minute))}"


def growth_tone(bytes_per_s: float | None) -> Tone:
    """Let a growth stand out that fills disks."""
    if not bytes_per_s or round(bytes_per_s * _S_PER_MIN) == 0:
        return Tone.DIM
    return Tone.WARN if bytes_per_s * _S_PER_MIN >= MUCH_BYTES_PER_MIN else Tone.PLAIN


def fullness_tone(share: float | None) -> Tone:
    """Say by a tone how near the end is."""
    if share is None:
        return Tone.DIM
    return Tone.BAD if share >= FULL else Tone.WARN if share >= NEARLY_FULL else Tone.PLAIN


def where_text(hold: Hold) -> str:
    """Say where it is, in words where it has no name."""
    if hold.kind is not HoldKind.DELETED:
        return printable(hold.where)
    first = printable(hold.biggest[0].path) if hold.biggest else ""
    count = hold.used_inodes or len(hold.biggest)
    return f"held open: {first}" if count == 1 else f"{count} files held open: {first}, ..."


def problem_lines(problems: Sequence[Problem], width: int) -> list[Spans]:
    """Write what could not be read, and what mends it, below a blank line."""
    lines: list[Spans] = [[]] if problems else []
    for problem in problems:
        lines.append(fitted([Span(f" ▲ {printable(problem.message)}", Tone.WARN)], width))
        if problem.remedy:
            lines.append(fitted([Span(f"   {printable(problem.remedy)}", Tone.STRONG)], width))
    return lines
