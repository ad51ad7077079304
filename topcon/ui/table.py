"""How a row of the tree looks: which columns fit, and what each cell says in which tone. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import AGE, ASCENDING, FIXED, NAME, OVERVIEW, Column, columns_of
from topcon.model.sample import Health, Role, State
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.model.tombstones import ended_badly
from topcon.text import cell_width, cut, head, padded, printable
from topcon.ui.spans import Span, Spans, Tone, bar, bars, sparkline, steady_top

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.columns import ColumnSet, Line
    from topcon.rows import Row, ViewState

GAP = 2
NARROW_GAP = 1
WIDE = 100
"""From this many columns of the screen on, there may be wider gaps between its columns."""
NAME_WIDTH = (18, 44)
"""The least and the most that the names get."""
READABLE_NAME = 28
"""What they get before columns of less weight than `SPARE` come."""
SPARE = 35
MOST_NEEDED = 3
"""Where the order of the columns says which give way, so many of the first are not spare."""
LEAST_NAME = 6
LEVEL_WIDTH = 2
"""What the lines of the tree take, a level."""
BAR_WIDTH = 6
BAR_PRIORITY = {"mem%": 35, "cpu%": 75}
"""When the bars of the overview give way; those of other columns come where there is room for all."""
LAST = 1000
LEAST_TOP_CORES = 0.125
IDLE_CORES = 0.005
"""Rounds to 0.00."""
MARK = "•"
BLANK: Spans = [Span("")]
"""A line without a row."""
MORE_LEFT, MORE_RIGHT = "←", "→"


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
    scroll: int = 0
    """How many columns beside the fixed ones are out of sight at the left."""
    has_more: bool = False
    """Whether others found no room."""

    @property
    def history_width(self) -> int:
        """The width of the sparkline; 0 if there is none."""
        return next((slot.width for slot in self.slots if slot.column.history), 0)

    @property
    def name_width(self) -> int:
        """The width of the names."""
        return self.slots[0].width

    def column_at(self, x: int) -> Column | None:
        """Return the column that is drawn at a place of the line; the gap before it belongs to it."""
        begin = 1
        for slot in self.slots:
            begin += slot.width
            if x < begin:
                return slot.column if x > 0 else None
            begin += self.gap
        return None


class _Part(NamedTuple):
    """A column, or the bar of one. Those of the greatest number give way first; 0 stays."""

    priority: int
    width: int
    column: Column
    is_bar: bool


def layout(width: int, longest_name: int = NAME_WIDTH[1], chosen: ColumnSet = OVERVIEW, scroll: int = 0) -> Layout:
    """Choose the columns for a screen: the less important give way, bars come where there is room.

    Names get no more than ``longest_name``, their tree lines included. After ``scroll`` columns all others are shown in
    their order, as far as there is room; it goes no further than to the last of them.
    """
    movable = [column for column in chosen.columns if column not in FIXED]

    def chosen_from(begin: int) -> list[_Part]:
        in_order = chosen.gives_way_in_order or begin > 0
        return _that_fit(_parts(movable[begin:], in_order=in_order), width, longest_name)

    begin = 0
    parts = chosen_from(begin)
    while begin < scroll and _count(parts) < len(movable) - begin:
        begin += 1
        parts = chosen_from(begin)
    return _placed(parts, width, longest_name, begin, has_more=_count(parts) < len(movable) - begin)


@lru_cache(maxsize=8)
def layout_of(
    width: int, longest_name: int, column_set: str, own: tuple[str, ...] | None = None, scroll: int = 0
) -> Layout:
    """Choose from the columns of a set, or from a person's own."""
    return layout(width, longest_name, columns_of(column_set, own), scroll)


def _count(parts: Iterable[_Part]) -> int:
    """How many of the columns there are, beside the fixed ones."""
    return sum(not part.is_bar and part.column not in FIXED for part in parts)


def _parts(movable: Sequence[Column], *, in_order: bool) -> list[_Part]:
    parts = [_Part(0, column.width, column, is_bar=False) for column in FIXED]
    for at, column in enumerate(movable, start=1):
        order = at if at <= MOST_NEEDED else SPARE + at
        parts.append(_Part(order if in_order else column.priority, column.width, column, is_bar=False))
        if column.share is not None:
            priority = LAST if in_order else BAR_PRIORITY.get(column.name, LAST)
            parts.append(_Part(priority, BAR_WIDTH + 1, column, is_bar=True))
    return parts


def _needed(parts: Sequence[_Part], gap: int = NARROW_GAP, name: int = NAME_WIDTH[0]) -> int:
    """How wide a line is at least."""
    return 1 + name + sum(part.width + (0 if part.is_bar else gap) for part in parts if part.column is not NAME)


def _that_fit(parts: list[_Part], width: int, longest_name: int) -> list[_Part]:
    while _needed(parts, name=_least_name(parts, longest_name)) > width:
        least = max(part.priority for part in parts)
        if least == 0:
            break
        parts = [part for part in parts if part.priority < least]
    return parts


def _least_name(parts: Iterable[_Part], longest_name: int) -> int:
    is_spare = any(part.priority >= SPARE for part in parts)
    return max(min(longest_name, READABLE_NAME), NAME_WIDTH[0]) if is_spare else NAME_WIDTH[0]


def _placed(parts: list[_Part], width: int, longest_name: int, scroll: int, *, has_more: bool) -> Layout:
    is_airy = width >= WIDE and _needed(parts, GAP, _least_name(parts, longest_name)) <= width
    gap = GAP if is_airy else NARROW_GAP
    room = width - _needed(parts, gap)
    name_width = min(NAME_WIDTH[0] + room, max(longest_name, NAME_WIDTH[0]), NAME_WIDTH[1])
    if room < 0:
        name_width = max(NAME_WIDTH[0] + room, 1)
    bars_of = {part.column.name for part in parts if part.is_bar}
    slots = []
    for column in (part.column for part in parts if not part.is_bar):
        has_bar = column.name in bars_of
        own = name_width if column is NAME else column.width + (BAR_WIDTH + 1) * has_bar
        slots.append(Slot(column, own, has_bar))
    return Layout(tuple(slots), gap, scroll, has_more)


def said_alone(text: str) -> list[Spans]:
    """Write lines that say why there are no rows."""
    return [BLANK, [Span(f"   {text}")]]


def longest_name(rows: Iterable[Row]) -> int:
    """How many columns the names want, with the lines of the tree before them."""
    return max((LEVEL_WIDTH * (row.depth + 1) + _name_width(row.line.title) for row in rows), default=0)


@lru_cache(maxsize=10_000)
def _name_width(title: str) -> int:
    return cell_width(printable(title))


def title_spans(placed: Layout, view: ViewState) -> Spans:
    """Write the line of titles; the column that is sorted by is marked, and beside NAME, where there are more."""
    spans: Spans = []
    for slot in placed.slots:
        is_sorted = slot.column.name == view.sort
        is_up = (view.sort in ASCENDING) != view.is_reversed
        mark = ("▴" if is_up else "▾") if is_sorted else ""
        more = _more(placed) if slot.column is NAME and slot.width > LEAST_NAME else ""
        width = slot.width - len(more)
        title = slot.column.title[: width - len(mark)] + mark
        spans.append(Span(" " * placed.gap if spans else " "))
        spans.append(Span(padded(title, width, is_left=slot.column.is_left), Tone.ACCENT if is_sorted else Tone.DIM))
        spans += [Span(more, Tone.ACCENT)] if more else []
    return spans


def _more(placed: Layout) -> str:
    """Say where the columns are that are not in sight."""
    if not placed.scroll and not placed.has_more:
        return ""
    return (MORE_LEFT if placed.scroll else " ") + (MORE_RIGHT if placed.has_more else " ")


@dataclass(frozen=True, slots=True)
class Moment:
    """When rows are written: what of them moves although nothing has changed."""

    tick: int
    """The number of the snapshot."""
    wall_ns: int
    """The time of day."""


def row_spans(
    row: Row, placed: Layout, top_cores: float, moment: Moment, *, is_marked: bool = False, name: str | None = None
) -> Spans:
    """Write a row; ``top_cores`` is the scale that all its sparklines share, ``name`` a shorter name for it."""
    spans = [Span(MARK, Tone.ACCENT) if is_marked else Span(" ")]
    for slot in placed.slots:
        if slot.column is NAME:
            spans.append(Span(_name_text(row, slot.width, name), Tone.ACCENT if is_marked else _name_tone(row.line)))
        else:
            spans.append(Span(" " * placed.gap))
            tone = _tone(slot.column, row.line)
            if slot.has_bar and slot.column.share is not None:
                # A full bar is no news: the number beside it is brighter, unless either is sick.
                bar_tone = Tone.DIM if tone is Tone.PLAIN else tone
                spans.append(Span(f"{bar(slot.column.share(row.line), BAR_WIDTH)} ", bar_tone))
            spans.append(Span(_cell_text(row, slot, top_cores, moment), tone))
    return spans


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


def short_names(shown: Iterable[Row], placed: Layout) -> Mapping[str, str]:
    """Shorten those names that would look the same if each were cut in its middle: what differs in them is kept.

    By the keys of their rows; of the others nothing is said.
    """
    cut_to: dict[tuple[str, int], dict[str, list[str]]] = {}
    for row in shown:
        room = placed.name_width - cell_width(_seen_prefix(row, placed.name_width))
        if _name_width(row.line.title) > room > LEAST_NAME:
            name = printable(row.line.title)
            cut_to.setdefault((cut(name, room), room), {}).setdefault(name, []).append(row.key)
    short: dict[str, str] = {}
    for (_, room), names in cut_to.items():
        if len(names) > 1:
            begin = _differ_at(names)
            short |= {key: _cut_before(name, begin, room) for name, keys in names.items() for key in keys}
    return short


def _differ_at(names: Iterable[str]) -> int:
    """Return the place from which on not all of the names are the same."""
    first, last = min(names), max(names)
    return next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))


def _cut_before(name: str, begin: int, width: int) -> str:
    """Shorten a name so that what begins at a place of it is seen."""
    front = head(name, width // 3)
    room = width - cell_width(front) - 1
    # Where there is less than that to the end, there is room for some of what is before.
    rest = name[max(min(begin, len(name) - room), 0) :]
    return f"{front}…{rest if cell_width(rest) <= room else f'{head(rest, room - 1)}…'}"


def _cell_text(row: Row, slot: Slot, top: float, moment: Moment) -> str:
    column, line = slot.column, row.line
    if column.history is not None:
        return sparkline(bars(column.history(line), moment.tick, slot.width), top)
    text = column.text(line, moment.wall_ns)
    return padded(text, slot.width - (BAR_WIDTH + 1) * slot.has_bar, is_left=column.is_left)


def _name_text(row: Row, width: int, name: str | None) -> str:
    prefix = _seen_prefix(row, width)
    name = printable(row.line.title) if name is None else name
    return prefix + padded(name, max(width - cell_width(prefix), 0), is_left=True)


def _seen_prefix(row: Row, width: int) -> str:
    # However deep a container is nested, some of its name is seen.
    return _prefix(row)[-max(width - LEAST_NAME, 1) :]


def is_fold_at(row: Row, placed: Layout, x: int) -> bool:
    """Whether the sign of a row that can be folded is at a place of its line."""
    return row.is_expandable and 0 <= 1 + cell_width(_seen_prefix(row, placed.name_width)) - 1 - x <= 1


def nearest(shown: Sequence[Row], row: Row) -> int | None:
    """Find a row again among others: itself, or what holds its container, or the first of what it held."""
    holder = held = None
    keys = {each.key for each in row.line.node.containers} if isinstance(row.line.node, PodNode) else frozenset()
    for at, each in enumerate(shown):
        node = each.line.node
        if each.key == row.key:
            return at
        if holder is None and isinstance(node, PodNode) and row.container is not None:
            holder = at if any(inner.key == row.container.key for inner in node.containers) else None
        if held is None and node.key in keys:
            held = at
    return held if holder is None else holder


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
    if line.is_gone:
        # It is over, and dim: only what it ended by stands out.
        return _gone_tone(line.node)
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


def _gone_tone(node: PodNode | ContainerNode) -> Tone:
    stones = node.containers if isinstance(node, PodNode) else (node,)
    if any(each.info.oom_killed for each in stones):
        return Tone.BAD
    return Tone.WARN if any(map(ended_badly, stones)) else Tone.DIM


def _cpu_tone(line: Line) -> Tone:
    return Tone.DIM if (line.usage.cpu_cores or 0.0) < IDLE_CORES else Tone.PLAIN


_TONES: dict[str, Callable[[Line], Tone]] = {
    "finding": lambda line: severity_tone(line.severity),
    "state": _state_tone,
    "history": _cpu_tone,
    "cpu": _cpu_tone,
    "age": lambda _: Tone.DIM,
    "started": lambda _: Tone.DIM,
    "created": lambda _: Tone.DIM,
    "id": lambda _: Tone.DIM,
    "pid": lambda _: Tone.DIM,
}


def _tone(column: Column, line: Line) -> Tone:
    """Dim what is idle or unknown, bright what was found to be sick."""
    own = _TONES.get(column.name)
    is_busy = own is None and line.is_live and bool(column.value(line))
    tone = own(line) if own is not None else Tone.PLAIN if is_busy else Tone.DIM
    found = max((line.found[code] for code in column.codes & line.found.keys()), default=None)
    return tone if tone is Tone.BAD or found is None or found < column.least else severity_tone(found)
