"""Values over time as an area of braille dots. No Textual here.

A chart is a gutter, in which scales are written, beside columns, each of which stands for some seconds; a column has
two dots beside each other, a row four above each other. What is unknown is blank; what is zero has its lowest dots.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from topcon.ui.spans import Span, Tone, steady_top

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.ui.spans import Spans

    Values = Sequence[float | None]

NS_PER_S = 10**9
ACROSS, DOWN = 2, 4
"""The dots of a column, and of a row."""
GUTTER = 9
"""The columns before the area, the last one blank."""
BLANK, CURSOR, LIMIT, AXIS, MARK, POINTER = " ", "│", "┄", "─", "┴", "▲"
_BRAILLE = 0x2800
_BITS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""The dots of either side, the lowest first: braille counts the lowest row, which it got later, last."""
_UP_TO = tuple(tuple(sum(bits[:high]) for high in range(DOWN + 1)) for bits in _BITS)
"""Of either side, so many dots from below."""
_LIGHT = 4
_DRAWN = {1: 0xFF, 2: 0x40 | 0x02 | 0x20 | 0x08, _LIGHT: 0x40 | 0x02}
"""What is drawn of an area: each dot, each second one like a chessboard, each fourth."""
_LABEL_GAP = 4
"""Columns between two times of the axis, at least."""
_ROUND_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Between two times of the axis."""
_NEAR = 4
"""A limit is drawn, and is the scale, if no less than this part of it is used."""


class Window(NamedTuple):
    """The time that a chart stands for. Its columns stay what they are while time goes on: they move all together."""

    begin_ns: int
    """On the monotonic clock, as all here."""
    column_ns: int
    columns: int

    @property
    def end_ns(self) -> int:
        """The end of the newest column, which is not over yet."""
        return self.begin_ns + self.columns * self.column_ns

    def column_of(self, at_ns: int) -> int:
        """Return the column of a time, the first or the last one where it is outside."""
        return max(min((at_ns - self.begin_ns) // self.column_ns, self.columns - 1), 0)

    def time_of(self, column: int) -> int:
        """Return the middle of a column."""
        return self.begin_ns + column * self.column_ns + self.column_ns // 2


def window(now_ns: int, span_s: float, columns: int) -> Window:
    """Choose the columns that show the last seconds."""
    # An even number, so that it is so many dots too.
    column_ns = max(int(span_s * NS_PER_S) // columns // ACROSS * ACROSS, ACROSS)
    end = now_ns // column_ns + 1
    return Window((end - columns) * column_ns, column_ns, columns)


def spread_out(values: Values, times_ns: Sequence[int], over: Window) -> list[float | None]:
    """Average values for each dot of a window.

    The last value belongs to the last time, and each to the time since the one before it. Of a dot that has none of its
    own, between two ticks, it is the one that goes on there.
    """
    count = min(len(values), len(times_ns) - 1)
    if count <= 0:
        return [None] * (over.columns * ACROSS)
    values = values[len(values) - count :]
    ends = times_ns[len(times_ns) - count :]
    begin = times_ns[len(times_ns) - count - 1]
    dot_ns = over.column_ns // ACROSS
    dots: list[float | None] = []
    at = bisect_right(ends, over.begin_ns)
    for from_ns in range(over.begin_ns, over.end_ns, dot_ns):
        to_ns = from_ns + dot_ns
        if to_ns <= begin or from_ns >= ends[-1]:
            dots.append(None)
            continue
        # Those that end in it; or else the one that it is in the midst of.
        first, at = at, bisect_right(ends, to_ns, at)
        known = [value for value in values[first : max(at, first + 1)] if value is not None]
        dots.append(sum(known) / len(known) if known else None)
    return dots


class Band(NamedTuple):
    """An area, from what is below it up to its values."""

    dots: Values
    """Two for each column."""
    tone: Tone = Tone.ACCENT
    every: int = 1
    """How dense it is: each dot is drawn, each second one, each fourth."""


class Lane(NamedTuple):
    """An area with a scale of its own."""

    bands: tuple[Band, ...]
    """The lowest first: where they overlap, the first one is seen."""
    top: float
    """The value at its upper edge."""
    rows: int
    top_text: str = ""
    name: str = ""
    limit: float | None = None
    """Drawn as a line."""
    gap: int = 0
    """Dots at its upper edge that stay blank, so that it does not grow into the lane above."""


def scale(dots: Values, least: float, limit: float | None = None) -> float:
    """Choose the upper edge: ``least``, doubled until nothing is above it, or the limit, where that is not far."""
    highest = max((value for value in dots if value is not None), default=0.0)
    if limit is not None and highest * _NEAR >= limit >= highest:
        return limit
    top = steady_top((highest,), least)
    return max(top, limit) if limit is not None and highest > limit else top


def lane_lines(lane: Lane, cursor: int | None) -> list[Spans]:
    """Draw a lane, its scale beside it; ``cursor`` is a column."""
    columns = len(lane.bands[0].dots) // ACROSS
    heights = [_heights(band.dots, lane) for band in lane.bands]
    limit_row = None
    if lane.limit is not None and 0 < lane.limit <= lane.top:
        limit_row = min(int(lane.limit / lane.top * lane.rows), lane.rows - 1)
    lines: list[Spans] = []
    for row in reversed(range(lane.rows)):
        cells = [_cell(lane.bands, heights, column, row) for column in range(columns)]
        empty = (LIMIT, Tone.PLAIN) if row == limit_row else (BLANK, Tone.PLAIN)
        cells = [cell if cell[0] != BLANK else empty for cell in cells]
        if cursor is not None:
            text, _ = cells[cursor]
            cells[cursor] = (CURSOR if text in {BLANK, LIMIT} else text, Tone.STRONG if text != BLANK else Tone.DIM)
        lines.append([_gutter(lane, row), *_joined(cells)])
    return lines


def _heights(dots: Values, lane: Lane) -> list[int]:
    """Return how many dots high each is; 0 where it is unknown."""
    most = lane.rows * DOWN - lane.gap
    return [
        0 if value is None else max(min(round(value / lane.top * most), most), 1) if lane.top > 0 else 1
        for value in dots
    ]


def _cell(bands: Sequence[Band], heights: Sequence[Sequence[int]], column: int, row: int) -> tuple[str, Tone]:
    bits, tone = 0, None
    for side in range(ACROSS):
        at, below = column * ACROSS + side, 0
        for band, own in zip(bands, heights, strict=True):
            high = min(own[at] - row * DOWN, DOWN)
            if high <= below:
                continue
            bits |= (_UP_TO[side][high] - _UP_TO[side][below]) & _DRAWN[band.every]
            if row == 0 and below == 0:
                # However light it is, its lowest dot says that it is known.
                bits |= _BITS[side][0]
            if tone is None or tone is Tone.DIM:
                tone = band.tone if row or band.dots[at] else Tone.DIM
            below = high
    return (chr(_BRAILLE + bits), tone) if tone is not None and bits else (BLANK, Tone.PLAIN)


def _gutter(lane: Lane, row: int) -> Span:
    """Write the scale beside the first row, and the name beside the last; both where that is the same."""
    texts = [lane.name] * (row == 0) + [lane.top_text] * (row == lane.rows - 1)
    return Span(f"{' '.join(filter(None, texts)):>{GUTTER - 1}} ", Tone.DIM)


def _joined(cells: Sequence[tuple[str, Tone]]) -> Spans:
    """Put neighbours of one tone together."""
    return [Span("".join(text for text, _ in part), tone) for tone, part in groupby(cells, key=lambda cell: cell[1])]


def axis_line(over: Window, wall_less_monotonic_ns: int, cursor: int | None) -> Spans:
    """Write the axis with times of day at which there is a mark."""
    column_s = over.column_ns / NS_PER_S
    text = list(AXIS * over.columns)
    width = len("00:00:00")
    step_s = next((each for each in _ROUND_S if each / column_s >= width + _LABEL_GAP), _ROUND_S[-1])
    begin_ns, end_ns = (edge + wall_less_monotonic_ns for edge in (over.begin_ns, over.end_ns))
    zone = datetime.fromtimestamp(end_ns // NS_PER_S).astimezone().utcoffset() or timedelta()
    offset_s = int(zone.total_seconds())
    first = (begin_ns // NS_PER_S + offset_s) // step_s + 1
    last = (end_ns // NS_PER_S + offset_s) // step_s
    for at in range(first, last + 1):
        at_s = at * step_s - offset_s
        column = over.column_of(at_s * NS_PER_S - wall_less_monotonic_ns)
        label = f"{datetime.fromtimestamp(at_s).astimezone():{'%H:%M:%S' if step_s % 60 else '%H:%M'}}"
        if column + 1 + len(label) <= over.columns:
            text[column : column + 1 + len(label)] = MARK + label
    spans = [Span(f"{'0':>{GUTTER - 1}} ", Tone.DIM)]
    if cursor is None:
        return [*spans, Span("".join(text), Tone.DIM)]
    before, after = "".join(text[:cursor]), "".join(text[cursor + 1 :])
    return [*spans, Span(before, Tone.DIM), Span(POINTER, Tone.ACCENT), Span(after, Tone.DIM)]
