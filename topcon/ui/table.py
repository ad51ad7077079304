"""How a row of the tree looks: which columns fit, and what each cell says in which tone. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from topcon.columns import AGE, ASCENDING, COLUMNS, NAME, Column, title_of
from topcon.findings import CPU_THROTTLED, MEMORY_NEAR_LIMIT, STALLED
from topcon.model.sample import Health, Role, State
from topcon.model.snapshot import ContainerNode, Severity
from topcon.text import cell_width, padded, printable
from topcon.ui.spans import Span, Spans, Tone, bar, bars, sparkline, steady_top

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from topcon.columns import Line
    from topcon.rows import Row, ViewState

GAP = 2
NARROW_GAP = 1
WIDE = 100
"""From this many columns of the screen on, there may be wider gaps between its columns."""
NAME_WIDTH = (18, 44)
"""The least and the most that the names get."""
LEAST_NAME = 6
LEVEL_WIDTH = 2
"""What the lines of the tree take, a level."""
BAR_WIDTH = 6
LEAST_TOP_CORES = 0.125
IDLE_CORES = 0.005
"""Rounds to 0.00."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A column in its place."""

    column: Column
    width: int
    has_bar: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit on the screen."""

    slots: tuple[Slot, ...]
    gap: int

    @property
    def history_width(self) -> int:
        """The width of the sparkline; 0 if there is none."""
        return next((slot.width for slot in self.slots if slot.column.history), 0)


def layout(width: int, longest_name: int = NAME_WIDTH[1]) -> Layout:
    """Choose the columns for a screen: the less important give way, bars come where there is room.

    Names get no more than ``longest_name``, their tree lines included.
    """
    chosen = list(COLUMNS)

    def needed(gap: int = NARROW_GAP) -> int:
        return 1 + NAME_WIDTH[0] + sum(column.width + gap for column in chosen if column is not NAME)

    while needed() > width and (least := max(column.priority for column in chosen)) > 0:
        chosen = [column for column in chosen if column.priority < least]
    gap = GAP if width >= WIDE and needed(GAP) <= width else NARROW_GAP
    room = width - needed(gap)
    has_bars = room >= (BAR_WIDTH + 1) * sum(column.share is not None for column in chosen)
    if has_bars:
        room -= (BAR_WIDTH + 1) * sum(column.share is not None for column in chosen)
    name_width = min(NAME_WIDTH[0] + room, max(longest_name, NAME_WIDTH[0]), NAME_WIDTH[1])
    if room < 0:
        name_width = max(NAME_WIDTH[0] + room, 1)
    slots = []
    for column in chosen:
        with_bar = has_bars and column.share is not None
        slots.append(
            Slot(column, name_width if column is NAME else column.width + (BAR_WIDTH + 1) * with_bar, with_bar)
        )
    return Layout(tuple(slots), gap)


def longest_name(rows: Iterable[Row]) -> int:
    """How many columns the names want, with the lines of the tree before them."""
    return max((LEVEL_WIDTH * (row.depth + 1) + _name_width(title_of(row.line.node)) for row in rows), default=0)


@lru_cache(maxsize=10_000)
def _name_width(title: str) -> int:
    return cell_width(printable(title))


def title_spans(placed: Layout, view: ViewState) -> Spans:
    """Write the line of titles; the column that is sorted by is marked."""
    spans = []
    for slot in placed.slots:
        is_sorted = slot.column.name == view.sort
        is_up = (view.sort in ASCENDING) != view.is_reversed
        mark = ("▴" if is_up else "▾") if is_sorted else ""
        title = slot.column.title[: slot.width - len(mark)] + mark
        spans.append(
            Span(padded(title, slot.width, is_left=slot.column.is_left), Tone.ACCENT if is_sorted else Tone.DIM)
        )
    return _joined(spans, placed.gap)


@dataclass(frozen=True, slots=True)
class Moment:
    """When rows are written: what of them moves although nothing has changed."""

    tick: int
    """The number of the snapshot."""
    wall_ns: int
    """The time of day."""


def row_spans(row: Row, placed: Layout, top_cores: float, moment: Moment) -> Spans:
    """Write a row; ``top_cores`` is the scale that all its sparklines share."""
    return _joined([_cell(row, slot, top_cores, moment) for slot in placed.slots], placed.gap)


def moving(row: Row, placed: Layout, top_cores: float, moment: Moment) -> tuple[str, ...]:
    """Write only what time alone changes in a row: while it is the same, so is the row."""
    return tuple(
        _cell_text(row, slot, top_cores, moment)
        for slot in placed.slots
        if slot.column.history is not None or slot.column is AGE
    )


def top_cores(rows: Iterable[Row], placed: Layout, moment: Moment) -> float:
    """Choose the scale of the sparklines of these rows."""
    width = placed.history_width
    if not width:
        return LEAST_TOP_CORES
    return steady_top(
        (value for row in rows for value in bars(row.line.usage.cpu_history, moment.tick, width)), LEAST_TOP_CORES
    )


def _joined(spans: Spans, gap: int) -> Spans:
    result = [Span(" ")]
    for index, span in enumerate(spans):
        if index:
            result.append(Span(" " * gap))
        result.append(span)
    return result


def _cell(row: Row, slot: Slot, top: float, moment: Moment) -> Span:
    return Span(_cell_text(row, slot, top, moment), _tone(slot.column, row.line))


def _cell_text(row: Row, slot: Slot, top: float, moment: Moment) -> str:
    column, line = slot.column, row.line
    if column is NAME:
        # However deep a container is nested, some of its name is seen.
        prefix = _prefix(row)[-max(slot.width - LEAST_NAME, 1) :]
        return prefix + padded(_name(row), max(slot.width - cell_width(prefix), 0), is_left=True)
    if column.history is not None:
        return sparkline(bars(column.history(line), moment.tick, slot.width), top)
    text = column.text(line, moment.wall_ns)
    if slot.has_bar and column.share is not None:
        return f"{bar(column.share(line), BAR_WIDTH)} {padded(text, column.width)}"
    return padded(text, slot.width, is_left=column.is_left)


def _name(row: Row) -> str:
    return printable(title_of(row.line.node))


def _prefix(row: Row) -> str:
    """Draw the tree: two columns a level."""
    fold = ("▾ " if row.is_expanded else "▸ ") if row.is_expandable else ""
    if row.depth == 0:
        return fold or "  "
    return "  " * row.depth + (fold or ("└ " if row.is_last else "├ "))


_SEVERITY_TONES = {Severity.CRITICAL: Tone.BAD, Severity.WARNING: Tone.WARN}


def severity_tone(severity: Severity | None) -> Tone:
    """Give a finding its tone."""
    return Tone.PLAIN if severity is None else _SEVERITY_TONES.get(severity, Tone.PLAIN)


def _name_tone(line: Line) -> Tone:
    if line.is_stopped or (isinstance(line.node, ContainerNode) and line.node.info.role is Role.SANDBOX):
        return Tone.DIM
    return Tone.PLAIN if isinstance(line.node, ContainerNode) else Tone.STRONG


def _state_tone(line: Line) -> Tone:
    if not isinstance(line.node, ContainerNode):
        return Tone.PLAIN if line.is_live else Tone.DIM
    info = line.node.info
    if info.state.is_over:
        return Tone.BAD if info.oom_killed else Tone.WARN if info.exit_code else Tone.DIM
    if info.state in {State.PAUSED, State.RESTARTING, State.UNKNOWN}:
        return Tone.WARN
    if info.health is Health.UNHEALTHY:
        return Tone.BAD
    return Tone.GOOD if info.health is Health.HEALTHY else Tone.PLAIN


def _by_share(share: float | None, warning: float, critical: float) -> Tone:
    if share is None or share <= 0:
        return Tone.DIM
    return Tone.BAD if share > critical else Tone.WARN if share > warning else Tone.PLAIN


def _cpu_tone(line: Line) -> Tone:
    return Tone.DIM if (line.usage.cpu_cores or 0.0) < IDLE_CORES else Tone.PLAIN


_TONES: dict[str, Callable[[Line], Tone]] = {
    "name": _name_tone,
    "finding": lambda line: severity_tone(line.severity),
    "state": _state_tone,
    "history": _cpu_tone,
    "cpu": _cpu_tone,
    "cpu%": lambda line: _by_share(line.usage.cpu_limit_share, 0.9, 2.0),
    "mem%": lambda line: _by_share(
        line.usage.memory_limit_share, MEMORY_NEAR_LIMIT.warning, MEMORY_NEAR_LIMIT.critical
    ),
    "throttled": lambda line: _by_share(line.usage.throttled_share, CPU_THROTTLED.warning, CPU_THROTTLED.critical),
    "psi": lambda line: _by_share(line.usage.pressure.worst_some if line.usage.pressure else None, STALLED, 1.0),
    "age": lambda _: Tone.DIM,
}


def _tone(column: Column, line: Line) -> Tone:
    """Dim what is idle or unknown, bright what is sick."""
    own = _TONES.get(column.name)
    if own is not None:
        return own(line)
    return Tone.PLAIN if column.value(line) and line.is_live else Tone.DIM
