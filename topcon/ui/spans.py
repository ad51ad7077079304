"""Text with tones, the way all of the screen is put together. No Textual here: what is shown can be tested as data."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, overload

from topcon.text import cell_width, head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topcon.model.history import History

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
THUMB = "▐"
PER_BAR = 6
"""Samples that one bar of a sparkline stands for."""


class Tone(StrEnum):
    """What a text means; the theme gives it a colour."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    FOUND = "found"
    """It is searched for."""


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    tone: Tone = Tone.PLAIN


Spans = list[Span]


class LateSpans(Sequence[Span]):
    """A line of which most will never be seen: it is written when it is looked at, once."""

    __slots__ = ("_spans", "_write")

    def __init__(self, write: Callable[[], Spans]) -> None:
        """Write nothing yet."""
        self._write = write
        self._spans: Spans | None = None

    @property
    def _written(self) -> Spans:
        if self._spans is None:
            self._spans = self._write()
        return self._spans

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self._written)

    @overload
    def __getitem__(self, at: int) -> Span: ...
    @overload
    def __getitem__(self, at: slice) -> Spans: ...
    def __getitem__(self, at: int | slice) -> Span | Spans:
        """Return a piece."""
        return self._written[at]

    def __eq__(self, other: object) -> bool:
        """Whether the same is written."""
        return self is other or (isinstance(other, Sequence) and self._written == list(other))

    __hash__ = None  # type: ignore[assignment]  # as of all that is compared by what is in it


def width_of(spans: Iterable[Span]) -> int:
    """How many columns the spans take."""
    return sum(cell_width(span.text) for span in spans)


def fitted(spans: Iterable[Span], width: int) -> Spans:
    """Cut the spans off after ``width`` columns, with an ellipsis where something is lost."""
    spans = list(spans)
    if width_of(spans) <= width:
        return spans
    result: Spans = []
    left = width - 1
    for span in spans:
        kept = head(span.text, left)
        if kept != span.text:
            result.append(Span(f"{kept}…", span.tone))
            break
        result.append(span)
        left -= cell_width(kept)
    return result if width > 0 else []


def in_lines(text: str, width: int) -> Iterator[str]:
    """Break a text between its words; a word that is longer than a line is broken too."""
    width, line = max(width, 1), ""
    for word in text.split(" "):
        if line and cell_width(line) + 1 + cell_width(word) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while cell_width(line) > width:
            part = head(line, width) or line[:1]
            yield part
            line = line[len(part) :]
    if line:
        yield line


def cut_end(text: str, width: int) -> str:
    """Shorten a text to ``width`` columns at its end."""
    return "".join(span.text for span in fitted([Span(text)], width))


def spread(left: Spans, right: Spans, width: int) -> Spans:
    """Put one part at the left edge and the other at the right one; the left part gives way."""
    right = fitted(right, width)
    room = width - width_of(right)
    left = fitted(left, max(room - 1, 0))
    return [*left, Span(" " * (room - width_of(left))), *right]


def first_in_sight(at: int, height: int, count: int) -> int:
    """Return the first of ``height`` lines to show of ``count``, so that ``at`` is as near to the middle as can be."""
    return max(min(at - height // 2, count - height), 0)


def windowed(lines: Sequence[Spans], first: int, height: int, width: int) -> list[Spans]:
    """Return ``height`` lines from ``first`` on; if there are more, a thumb at the edge tells where these are."""
    count = len(lines)
    if count <= height:
        return [fitted(line, width) for line in lines]
    size = max(height * height // count, 1)
    top = round(first * (height - size) / (count - height))
    shown: list[Spans] = []
    for y, line in enumerate(lines[first : first + height]):
        left = fitted(line, width - 2)
        gap = max(width - 1 - width_of(left), 0)
        shown.append(fitted([*left, Span(" " * gap), Span(THUMB if top <= y < top + size else " ", Tone.DIM)], width))
    return shown


def bar(share: float | None, width: int) -> str:
    """Draw how full something is, in eighths of a column."""
    if share is None:
        return " " * width
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def bars(history: History, tick: int, width: int) -> list[float | None]:
    """Average a history up to ``tick`` to ``width`` bars of `PER_BAR` samples, the newest last.

    The samples that a bar stands for are fixed, so bars move on together every so often and do not flicker between.
    """
    if history.packed and tick - history.newest >= width * PER_BAR:
        return history.values(tick, 1) * width
    sums = [0.0] * width
    counts = [0] * width
    newest = tick // PER_BAR
    for age, value in enumerate(reversed(history.values(tick, width * PER_BAR))):
        at = width - 1 - (newest - (tick - age) // PER_BAR)
        if at < 0:
            break
        if value is not None:
            sums[at] += value
            counts[at] += 1
    return [total / count if count else None for total, count in zip(sums, counts, strict=True)]


def sparkline(values: Sequence[float | None], top: float) -> str:
    """Draw values as a row of bars of which ``top`` is the highest; unknown is blank."""
    return "".join(" " if value is None else LEVELS[_level(value, top)] for value in values)


def _level(value: float, top: float) -> int:
    return min(int(value / top * len(LEVELS)), len(LEVELS) - 1) if top > 0 else 0


def steady_top(values: Iterable[float | None], least: float) -> float:
    """Choose a scale for bars that changes seldom: ``least``, doubled until nothing is above it."""
    highest = max((value for value in values if value is not None), default=0.0)
    top = least
    while top < highest:
        top *= 2
    return top
