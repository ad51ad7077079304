"""The tab of charts: what a container or pod used over the last minutes, below one another. No Textual here."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from itertools import zip_longest
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.course import NO_COURSE, REMEMBERED, Kind
from topcon.model.snapshot import PodNode
from topcon.text import UNKNOWN, to_bytes_text, to_cores_text, to_percent_text, to_rate_text
from topcon.ui.chart import (
    ACROSS,
    GUTTER,
    LIMIT,
    NS_PER_S,
    Band,
    Lane,
    axis_line,
    lane_lines,
    scale,
    spread_out,
    window,
)
from topcon.ui.spans import Span, Tone, fitted, width_of
from topcon.ui.tabs.seen import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.columns import Node
    from topcon.model.snapshot import Snapshot, Usage
    from topcon.ui.chart import Values, Window
    from topcon.ui.spans import Spans
    from topcon.ui.tabs.seen import Entry, Seen

SPANS_S = (60.0, 300.0, 600.0, 3600.0, 21600.0, 86400.0)
"""How much time can be shown, as far as so much is remembered."""
LEAST_TICKS = 6
"""Less than so many values are no chart."""
LEAST_ROWS, MOST_ROWS = 4, 12
TWO_WIDE = 130
"""From so many columns on charts stand beside each other, where they would not all be in sight."""
BETWEEN = 2
"""Columns between them."""


class Charts(NamedTuple):
    """What a person has made of the tab."""

    span_s: float = 600.0
    at_ns: int | None = None
    """Where the cursor is, on the monotonic clock; None for the newest, whenever that is."""


class Series(NamedTuple):
    """What is drawn and read."""

    kinds: tuple[Kind, ...]
    """Drawn as the sum of these; the last one is read."""
    word: str
    tone: Tone = Tone.ACCENT
    every: int = 1
    sign: str = ""
    """How it looks, where there is more than one in a lane."""


class Track(NamedTuple):
    """A lane to be."""

    series: tuple[Series, ...]
    least: float
    """The smallest scale."""
    to_text: Callable[[float | None], str]
    name: str = ""
    limit: Callable[[Usage], float | None] = lambda _: None
    most: float = inf
    """The greatest scale."""
    weight: int = 1


class Panel(NamedTuple):
    """A chart: some tracks over one axis."""

    title: str
    tracks: tuple[Track, ...]


def _cores_text(value: float | None) -> str:
    return UNKNOWN if value is None else f"{to_cores_text(value)} cores"


def _share(kind: Kind, word: str, name: str) -> Track:
    return Track((Series((kind,), word),), 0.05, to_percent_text, name, most=1.0)


def _rate(kind: Kind, word: str, name: str) -> Track:
    return Track((Series((kind,), word),), 1024.0, to_rate_text, name)


PANELS = (
    Panel(
        "CPU",
        (
            Track((Series((Kind.CPU,), ""),), 0.1, _cores_text, limit=lambda usage: usage.cpu_limit_cores, weight=3),
            _share(Kind.THROTTLED, "throttled", "thr"),
        ),
    ),
    Panel(
        "memory",
        (
            Track(
                (
                    Series((Kind.ANON,), "anon", Tone.ACCENT, 1, "⣿"),
                    Series((Kind.MEMORY,), "working set", Tone.PLAIN, 2, "⢕"),
                    Series((Kind.ANON, Kind.FILE), "cache", Tone.DIM, 4, "⠅"),
                ),
                float(1 << 20),
                to_bytes_text,
                limit=lambda usage: usage.memory_limit_bytes,
            ),
        ),
    ),
    Panel("I/O", (_rate(Kind.READ, "read", "read"), _rate(Kind.WRITE, "written", "write"))),
    Panel("network", (_rate(Kind.RX, "received", "in"), _rate(Kind.TX, "sent", "out"))),
    Panel(
        "pressure",
        (
            _share(Kind.CPU_PRESSURE, "some waited for CPU", "cpu"),
            _share(Kind.MEMORY_PRESSURE, "memory", "mem"),
            _share(Kind.IO_PRESSURE, "I/O", "io"),
        ),
    ),
)


class _Drawing(NamedTuple):
    """All that charts are drawn of."""

    usage: Usage
    values: Mapping[Kind, Values]
    dots: Mapping[Kind, Values]
    cursor: int | None
    """The column; None where it follows the newest."""
    over: Window
    wall_less_monotonic_ns: int


def charts_entries(seen: Seen) -> list[Entry]:
    """Write as many charts as there is something to draw in; what is not known here is named."""
    drawing = _drawing(seen)
    known = [panel for panel in PANELS if _is_known(panel, drawing)]
    across = _across(seen)
    down = -(-len(known) // across)
    charts = [_panel(panel, drawing, _rows(seen.height, down)) for panel in known]
    lines = [line for pair in _beside(charts, across, seen.width) for line in pair]
    unknown = [panel.title for panel in PANELS if panel not in known]
    if unknown:
        lines.append([Span(" unknown  ", Tone.DIM), Span(", ".join(unknown), Tone.DIM)])
    return plain(lines)


def _rows(height: int, charts: int) -> int:
    """Choose how high charts are, so that as many of them as can be are whole."""
    beside = 2
    in_sight = max(min(charts, height // (LEAST_ROWS + beside)), 1)
    return max(min(height // in_sight - beside, MOST_ROWS), LEAST_ROWS)


def _across(seen: Seen) -> int:
    is_too_low = len(PANELS) * (LEAST_ROWS + 2) > seen.height
    return 2 if is_too_low and seen.width >= TWO_WIDE else 1


def _width(seen: Seen) -> int:
    """How wide a chart is."""
    return seen.width if _across(seen) == 1 else (seen.width - BETWEEN) // 2


def _beside(charts: Sequence[list[Spans]], across: int, width: int) -> Iterable[list[Spans]]:
    if across == 1:
        yield from charts
        return
    room = (width - BETWEEN) // 2
    nothing: list[Spans] = []
    blank: Spans = []
    for left, right in zip_longest(charts[::2], charts[1::2], fillvalue=nothing):
        yield [
            [*one, Span(" " * (room + BETWEEN - width_of(one))), *other]
            for one, other in zip_longest(left, right, fillvalue=blank)
        ]


def _state(seen: Seen) -> Charts:
    return seen.state if isinstance(seen.state, Charts) else Charts()


def _spans_s(snapshot: Snapshot) -> list[float]:
    """Return the times that can be shown."""
    interval_s = snapshot.sample.own.interval_s if snapshot.sample.own else snapshot.interval_s or 1.0
    remembered_s = REMEMBERED * interval_s
    return [each for each in SPANS_S if LEAST_TICKS * interval_s <= each <= remembered_s] or [remembered_s]


def _span_at(seen: Seen) -> int:
    """Return the place among those of the one that is shown: the one asked for, or the widest below it."""
    spans_s = _spans_s(seen.snapshot)
    return max(bisect_right(spans_s, _state(seen).span_s) - 1, 0)


def _window(seen: Seen) -> Window:
    columns = max(_width(seen) - GUTTER, 1)
    return window(seen.snapshot.sample.monotonic_ns, _spans_s(seen.snapshot)[_span_at(seen)], columns)


def _drawing(seen: Seen) -> _Drawing:
    over, snapshot = _window(seen), seen.snapshot
    times_ns = snapshot.times.all_ns
    # The one before the first in sight goes on into it.
    count = len(times_ns) - bisect_right(times_ns, over.begin_ns) + 1
    values = {kind: _values(seen.node, kind, snapshot.tick, count) for kind in Kind}
    at_ns = _state(seen).at_ns
    return _Drawing(
        seen.node.usage,
        values,
        {kind: spread_out(each, times_ns, over) for kind, each in values.items()},
        None if at_ns is None else over.column_of(at_ns),
        over,
        snapshot.sample.wall_ns - snapshot.sample.monotonic_ns,
    )


def _values(node: Node, kind: Kind, tick: int, count: int) -> Values:
    course = node.usage.course
    if course is not NO_COURSE or not isinstance(node, PodNode):
        return course.values(kind, tick, count)
    # A group has none of its own: it is as its containers are.
    keys = {each.key for each in node.containers}
    counted = [
        each
        for each in node.containers
        if (each.is_network_owner if kind in _NETWORK else kind in _WORST or each.outer not in keys)
    ]
    add = max if kind in _WORST else sum
    newest_first = zip_longest(*(reversed(each.usage.course.values(kind, tick, count)) for each in counted))
    sums = [add(known) if (known := [each for each in at if each is not None]) else None for at in newest_first]
    return sums[::-1]


_NETWORK = {Kind.RX, Kind.TX}
_WORST = {Kind.THROTTLED, Kind.CPU_PRESSURE, Kind.MEMORY_PRESSURE, Kind.IO_PRESSURE}
"""Of these a pod has the worst of its containers."""


def _is_known(part: Panel | Track, drawing: _Drawing) -> bool:
    if isinstance(part, Panel):
        return any(_is_known(track, drawing) for track in part.tracks)
    return any(value is not None for series in part.series for value in drawing.values[series.kinds[-1]])


def _panel(panel: Panel, drawing: _Drawing, rows: int) -> list[Spans]:
    tracks = [track for track in panel.tracks if _is_known(track, drawing)]
    weights = sum(track.weight for track in tracks)
    heights = [max(rows * track.weight // weights, 1) for track in tracks]
    if tracks[0].weight > 1:
        heights[0] = rows - sum(heights[1:])
    lanes = [
        _lane(track, drawing, height)._replace(gap=min(at, 1))
        for at, (track, height) in enumerate(zip(tracks, heights, strict=True))
    ]
    return [
        _title(panel, list(zip(tracks, lanes, strict=True)), drawing),
        *(line for lane in lanes for line in lane_lines(lane, drawing.cursor)),
        axis_line(drawing.over, drawing.wall_less_monotonic_ns, drawing.cursor),
    ]


def _lane(track: Track, drawing: _Drawing, rows: int) -> Lane:
    bands = tuple(Band(_summed(series, drawing), series.tone, series.every) for series in track.series)
    limit = track.limit(drawing.usage)
    top = min(scale([value for band in bands for value in band.dots], track.least, limit), track.most)
    top_text = track.to_text(top).removesuffix(" cores").removesuffix("/s")
    return Lane(bands, top, rows, top_text, track.name, limit)


def _summed(series: Series, drawing: _Drawing) -> Values:
    if len(series.kinds) == 1:
        return drawing.dots[series.kinds[0]]
    parts = zip(*(drawing.dots[kind] for kind in series.kinds), strict=True)
    known = ([value for value in values if value is not None] for values in parts)
    return [sum(values) if len(values) == len(series.kinds) else None for values in known]


def _title(panel: Panel, drawn: Sequence[tuple[Track, Lane]], drawing: _Drawing) -> Spans:
    """Say what it is, and its value at the cursor."""
    spans = [Span(f" {panel.title}", Tone.ACCENT)]
    if drawing.cursor is not None:
        at_s = (drawing.over.time_of(drawing.cursor) + drawing.wall_less_monotonic_ns) // NS_PER_S
        spans.append(Span(f"  {datetime.fromtimestamp(at_s).astimezone():%H:%M:%S}", Tone.STRONG))
    for track, lane in drawn:
        for series in track.series:
            spans.append(Span("  "))
            if series.sign:
                spans.append(Span(f"{series.sign} ", series.tone))
            if series.word:
                spans.append(Span(f"{series.word} ", Tone.DIM))
            spans.append(Span(track.to_text(_reading(series.kinds[-1], drawing))))
        if lane.limit is not None:
            sign = LIMIT if lane.limit <= lane.top else ""
            spans += [Span(f"  {sign}"), Span(" limit " if sign else "limit ", Tone.DIM)]
            spans.append(Span(track.to_text(lane.limit)))
    return fitted(spans, GUTTER + drawing.over.columns)


def _reading(kind: Kind, drawing: _Drawing) -> float | None:
    if drawing.cursor is None:
        return drawing.values[kind][-1] if drawing.values[kind] else None
    column = drawing.dots[kind][drawing.cursor * ACROSS :][:ACROSS]
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known else None


def _moved(state: Charts, seen: Seen, step: int) -> Charts:
    over, newest_ns = _window(seen), seen.snapshot.sample.monotonic_ns
    newest = over.column_of(newest_ns)
    column = (newest if state.at_ns is None else over.column_of(state.at_ns)) + step
    return state._replace(at_ns=None if column >= newest else over.time_of(max(column, 0)))


def _zoomed(state: Charts, seen: Seen, step: int) -> Charts:
    spans_s = _spans_s(seen.snapshot)
    return state._replace(span_s=spans_s[max(min(_span_at(seen) + step, len(spans_s) - 1), 0)])


DOES: Mapping[str, Callable[[Charts, Seen], Charts]] = {
    "left": lambda state, seen: _moved(state, seen, -1),
    "right": lambda state, seen: _moved(state, seen, 1),
    "first": lambda state, seen: state._replace(at_ns=_window(seen).time_of(0)),
    "last": lambda state, _: state._replace(at_ns=None),
    "more": lambda state, seen: _zoomed(state, seen, -1),
    "less": lambda state, seen: _zoomed(state, seen, 1),
}
"""Left and right move the cursor, home and end take it to the oldest and the newest, + and - show less or more time."""
