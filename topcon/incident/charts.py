"""Charts as SVG within a page: as wide as there is room, with letters and marks of one size at any width.

What has a shape is in an SVG of its own that is stretched; all else is placed by percent.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, isnan, log2, log10
from typing import TYPE_CHECKING, NamedTuple

from topcon.incident.marks import MOST_TOLD, Mark
from topcon.incident.markup import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from topcon.incident.fold import Span
    from topcon.incident.marks import Placed
    from topcon.incident.times import Tick, Times
    from topcon.incident.tracks import Points, Steps

UNITS = 4
"""Parts of a pixel, vertically."""
HEAD, PLOT, MARKS, AXIS = 14, 88, 16, 16
"""Pixels: above the plot, of it, of the row of marks, of the row of times."""
NEAR = 4
"""A limit is drawn where no less than this part of it is used."""
LEAST_BAR = 0.004
"""So long, as a share of the line, a bar is at least, to be seen."""
MOST_TICKS = {False: 4, True: 9}
"""So many times an axis has, and one that can be wide; the further ones of that are left out where it is not."""
EDGE = 0.06
"""So near to an end a time does not go beyond it."""
_TENS = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
_SHARES = (0.04, 0.1, 0.2, 0.5)
HEADROOM = 1.04
"""A limit is drawn below the upper edge."""


class Series(NamedTuple):
    """A line of a chart."""

    name: str
    """Empty where it is the only one."""
    points: Points
    tone: str
    """The class that has its colour."""


class Scale(NamedTuple):
    """What values are, and how they are written."""

    unit: str
    to_text: Callable[[float | None], str]
    rounded_up: Callable[[float], float]
    least: float
    """The least upper edge: what is below it is next to nothing."""


class Chart(NamedTuple):
    """One or more lines on a scale."""

    title: str
    scale: Scale
    series: tuple[Series, ...]
    limit: Points | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known of it."""
        return any(not each.points.is_empty for each in self.series)

    @property
    def drawn(self) -> tuple[Series, ...]:
        """The lines that were ever above 0."""
        return tuple(each for each in self.series if each.points.highest)

    @property
    def level(self) -> tuple[Series, ...]:
        """The lines that were 0 all the time."""
        return tuple(each for each in self.series if each.points.highest == 0)

    @property
    def highest(self) -> float:
        """The greatest value of all."""
        return max((each.points.highest or 0.0 for each in self.drawn), default=0.0)

    @property
    def last_limit(self) -> float | None:
        """The limit at the end, or as it was last."""
        return None if self.limit is None else self.limit.last


class Bar(NamedTuple):
    """A time in which a finding held."""

    begin: float
    """Shares of the line, from 0 to 1."""
    end: float
    tone: str
    text: str


class Frame(NamedTuple):
    """What all charts of a page have in common."""

    steps: Steps
    times: Times
    gaps: tuple[Span, ...]
    bridged: frozenset[int]
    """The steps without a moment over which lines go on."""


def tens(value: float) -> float:
    """Round up to a number of which half is short too."""
    unit = 10.0 ** (ceil(log10(value)) - 1)
    return next(each * unit for each in _TENS if each * unit >= value * (1 - 1e-9))


def shares(value: float) -> float:
    """Round up to a share of 1."""
    return next((each for each in _SHARES if each >= value), 1.0)


def twos(value: float) -> float:
    """Round up to a power of two, or to one and a half times that."""
    unit = 2.0 ** (ceil(log2(value)) - 1)
    return next(each for each in (unit, 1.5 * unit, 2 * unit) if each >= value)


def axis_text(text: str) -> str:
    """Leave out zeros behind the point, of a number with a unit."""
    number = text.rstrip("kMGTPE/s%x")
    if "." not in number:
        return text
    return number.rstrip("0").rstrip(".") + text[len(number) :]


def chart_svg(chart: Chart, frame: Frame, marks: Sequence[Placed], bars: Sequence[Bar], label: str) -> str:
    """Draw a chart with its axis of time; ``label`` is what is read out of it."""
    bottom = HEAD + PLOT
    parts = _plot(chart, frame, marks, label, bottom + MARKS + AXIS)
    parts += [_bar(each, bottom + 1, 3) for each in bars]
    parts += [_glyph(each, bottom + MARKS / 2 + 2, frame.times) for each in marks]
    parts += axis(frame, bottom + MARKS + AXIS - 4, is_wide=False)
    return "".join((*parts, "</svg>"))


def strip_svg(chart: Chart, frame: Frame, marks: Sequence[Placed], label: str) -> str:
    """Draw a chart that stands above others on the same axis."""
    return "".join((*_plot(chart, frame, marks, label, HEAD + PLOT + 1), "</svg>"))


def _plot(chart: Chart, frame: Frame, marks: Sequence[Placed], label: str, height: int) -> list[str]:
    """Begin a chart."""
    top, limit = _top(chart)
    bottom = HEAD + PLOT
    parts = [f'<svg class="chart" role="img" aria-label="{safe(label)}" width="100%" height="{height}">']
    parts += _gaps(frame, HEAD, PLOT)
    parts += _hours(frame, HEAD, bottom)
    for share in (1.0, 0.5, 0.0):
        y = _number(HEAD + PLOT * (1 - share))
        kind = "grid" if share else "base"
        parts.append(f'<line class="{kind}" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
    parts += [_mark_line(each, HEAD, bottom) for each in marks]
    width = 2 * len(frame.steps)
    parts.append(
        f'<svg y="{HEAD}" width="100%" height="{PLOT}" viewBox="0 0 {width} {PLOT * UNITS}" preserveAspectRatio="none">'
    )
    is_filled = len(chart.drawn) == 1
    for series in chart.drawn:
        parts += _series_paths(series, top, frame.bridged, is_filled=is_filled)
    if limit is not None:
        parts.append(_path("limit", _line(_runs(limit.mean, top, frame.bridged))))
    parts.append("</svg>")
    for share in (1.0, 0.5):
        text = axis_text(chart.scale.to_text(top * share))
        parts.append(f'<text class="value" x="1" y="{_number(HEAD + PLOT * (1 - share) - 3)}">{safe(text)}</text>')
    return parts


def lane_svg(bars: Sequence[Bar], alive: Sequence[tuple[float, float]], marks: Sequence[Placed], frame: Frame) -> str:
    """Draw a line of time with what was wrong and what happened on it."""
    parts = [
        '<svg class="lane" width="100%" height="26" aria-hidden="true">',
        *_gaps(frame, 0, 26),
        *_hours(frame, 0, 26),
    ]
    parts += [
        f'<line class="alive" x1="{_percent(begin)}" x2="{_percent(end)}" y1="17" y2="17"/>' for begin, end in alive
    ]
    parts += [_bar(each, 13, 8) for each in bars]
    parts += [_glyph(each, 6, frame.times) for each in marks]
    parts.append("</svg>")
    return "".join(parts)


def _hours(frame: Frame, top: int, bottom: int) -> Iterator[str]:
    """Draw a line for each time of the axis that is there at any width."""
    for tick in _ticks(frame, is_wide=False):
        x = _percent(frame.steps.share_of(tick.wall_ns))
        yield f'<line class="hour" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _ticks(frame: Frame, *, is_wide: bool) -> list[Tick]:
    return frame.times.ticks(frame.steps.begin_ns, frame.steps.end_ns, MOST_TICKS[is_wide])


def axis_svg(frame: Frame) -> str:
    """Draw the times below lines of time."""
    ticks = "".join(axis(frame, 12, is_wide=True))
    return f'<svg class="axis" width="100%" height="{AXIS}" aria-hidden="true">{ticks}</svg>'


def axis(frame: Frame, y: float, *, is_wide: bool) -> Iterator[str]:
    """Write times; where the axis can be wide, some are for wide pages and some for narrow ones alone."""
    narrow = _ticks(frame, is_wide=False)
    wide = _ticks(frame, is_wide=True) if is_wide else narrow
    for tick in sorted({*narrow, *wide}):
        share = frame.steps.share_of(tick.wall_ns)
        anchor = "start" if share < EDGE else "end" if share > 1 - EDGE else "middle"
        kind = "time" if tick in narrow and tick in wide else "time narrow" if tick in narrow else "time wide"
        yield (
            f'<text class="{kind}" x="{_percent(share)}" y="{_number(y)}" text-anchor="{anchor}">'
            f"{safe(tick.text)}</text>"
        )


def bridged_steps(steps: Steps, gaps: Iterable[Span]) -> frozenset[int]:
    """Return the steps without a moment that lie between two which are no gap apart: lines go on over them."""

    def is_dark(at: int) -> bool:
        begin_ns = steps.begin_ns + at * steps.step_ns
        return any(gap.begin_ns < begin_ns + steps.step_ns and begin_ns < gap.end_ns for gap in gaps)

    return frozenset(at for at, count in enumerate(steps.counts) if not count and not is_dark(at))


def known_parts(points: Points, frame: Frame) -> list[tuple[float, float]]:
    """Return the parts of the line in which anything is known, as shares of it."""
    width = 2 * max(len(frame.steps), 1)
    return [((run[0][0] - 1) / width, (run[-1][0] + 1) / width) for run in _runs(points.mean, 1.0, frame.bridged)]


def _top(chart: Chart) -> tuple[float, Points | None]:
    """Choose the upper edge, and whether the limit is drawn."""
    highest = chart.highest
    limit = chart.limit
    most = limit.highest if limit is not None else None
    if limit is not None and most is not None and highest * NEAR >= most:
        highest = max(highest, most * HEADROOM)
    else:
        limit = None
    return chart.scale.rounded_up(max(highest, chart.scale.least)), limit


_Run = list[tuple[int, int]]
"""Places next to each other, from left to right."""


def _runs(values: Sequence[float], top: float, bridged: frozenset[int]) -> list[_Run]:
    """Place values; what is unknown breaks the line."""
    runs: list[_Run] = [[]]
    for at, value in enumerate(values):
        if not isnan(value):
            runs[-1].append((2 * at + 1, round((1 - min(value / top, 1.0)) * PLOT * UNITS)))
        elif at not in bridged and runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _line(runs: Iterable[_Run]) -> str:
    """Write lines; one of a single place is a dot."""
    return "".join(f"M{run[0][0]} {run[0][1]}{_onward(run) or 'h0'}" for run in runs)


def _onward(run: _Run) -> str:
    """Write the way from the first place to the last, what is level in one piece."""
    parts: list[str] = []
    level = 0
    for (x, y), (to_x, to_y) in pairwise(run):
        if to_y == y:
            level += to_x - x
            continue
        if level:
            parts.append(f"h{level}")
            level = 0
        parts.append(f"l{to_x - x} {to_y - y}".replace(" -", "-"))
    if level:
        parts.append(f"h{level}")
    return "".join(parts)


def _series_paths(series: Series, top: float, bridged: frozenset[int], *, is_filled: bool) -> Iterator[str]:
    points = series.points
    lines = _runs(points.mean, top, bridged)
    if is_filled:
        bottom = PLOT * UNITS
        areas = "".join(f"M{run[0][0]} {bottom}V{run[0][1]}{_onward(run)}V{bottom}z" for run in lines)
        yield _path(f"area {series.tone}", areas)
    highs, lows = _runs(points.high, top, bridged), _runs(points.low, top, bridged)
    bands = "".join(
        f"M{high[0][0]} {high[0][1]}{_onward(high)}V{low[-1][1]}{_onward(low[::-1])}z"
        for high, low in zip(highs, lows, strict=True)
        if high != low
    )
    if bands:
        yield _path(f"band {series.tone}", bands)
    yield _path(f"line {series.tone}", _line(lines))


def _path(kind: str, way: str) -> str:
    return f'<path class="{kind}" d="{way}"/>'


def _gaps(frame: Frame, y: int, height: int) -> Iterator[str]:
    for gap in frame.gaps:
        begin, end = frame.steps.share_of(gap.begin_ns), frame.steps.share_of(gap.end_ns)
        yield (
            f'<rect class="gap" x="{_percent(begin)}" y="{y}" width="{_percent(end - begin)}" height="{height}">'
            "<title>nothing was recorded</title></rect>"
        )


def _bar(bar: Bar, y: int, height: int) -> str:
    width = max(bar.end - bar.begin, LEAST_BAR)
    begin = min(bar.begin, 1 - width)
    return (
        f'<rect class="bar {bar.tone}" x="{_percent(begin)}" y="{y}" width="{_percent(width)}" height="{height}">'
        f"<title>{safe(bar.text)}</title></rect>"
    )


def _mark_line(mark: Placed, top: int, bottom: int) -> str:
    x = _percent(mark.share)
    return f'<line class="at {_tone(mark)}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _glyph(mark: Placed, y: float, times: Times) -> str:
    told = [f"{times.short(each.wall_ns)} {each.name}: {each.text}" for each in mark.events[:MOST_TOLD]]
    if len(mark.events) > MOST_TOLD:
        told.append(f"and {len(mark.events) - MOST_TOLD} more")
    text = "&#10;".join(safe(line) for line in told)
    return (
        f'<use class="mark {_tone(mark)}" href="#{mark.mark.value}" x="{_percent(mark.share)}" y="{_number(y)}">'
        f"<title>{text}</title></use>"
    )


def _tone(mark: Placed) -> str:
    return "oom" if mark.mark is Mark.OOM else "bad" if mark.is_bad else mark.mark.value


def _percent(share: float) -> str:
    return f"{_number(share * 100)}%"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
