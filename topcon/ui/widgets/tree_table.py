"""The tree as a table. Its cost goes with the height of the screen, not with the number of rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView

from topcon.ui.bindings import Place
from topcon.ui.table import (
    BLANK,
    Layout,
    Moment,
    is_fold_at,
    layout_of,
    longest_name,
    moving,
    nearest,
    row_spans,
    short_names,
    title_spans,
    top_cores,
)
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.lines import TONE_CLASSES, to_strip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

    from topcon.rows import Row, ViewState
    from topcon.ui.spans import Spans

TITLES = 1
"""Lines above the rows; they do not scroll."""


KEPT_SCREENS = 4
"""So many screens full of drawn lines are kept for when they are seen again."""
WHEEL_ROWS = 3
GUTTER_X = 0
"""Where the rows' marks are."""
NEVER_S = float("-inf")


class _Written(NamedTuple):
    """A row as it was written, and all that it was written from."""

    row: Row
    placed: Layout
    top: float
    moment: Moment
    moving: tuple[str, ...]
    is_marked: bool
    name: str | None
    spans: Spans


class TreeTable(ScrollView, can_focus=True):
    """Rows below a line of titles, with a cursor that stays on its row when rows move."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree-table--cursor", "tree-table--titles", *TONE_CLASSES}
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.TABLE)

    @dataclass
    class CursorMoved(Message):
        """The cursor is on another row."""

    @dataclass
    class Resized(Message):
        """There is another width or height to fill."""

    @dataclass
    class FoldAsked(Message):
        """A row is to be folded or unfolded; without a key, all are."""

        key: str | None

    @dataclass
    class SortAsked(Message):
        """It is to be sorted by a column, or, if it is already, the other way round."""

        column: str

    @dataclass
    class ScrollAsked(Message):
        """So many more columns are to be out of sight at the left, or fewer."""

        columns: int

    @dataclass
    class MarkAsked(Message):
        """A row is to be marked, or to be marked no more."""

        key: str

    @dataclass
    class OpenAsked(Message):
        """The details of the row under the cursor are to be shown."""

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._longest = 0
        self._index = 0
        self._is_held = False
        self._touched_s = NEVER_S
        self._marks: frozenset[str] = frozenset()
        self._names: Mapping[str, str] = {}
        self._layout = Layout((), 1)
        self._titles: Spans = []
        self._top = 1.0
        self._moment = Moment(0, 0)
        self._empty: Sequence[Spans] = ()
        self._written: dict[str, _Written] = {}
        self._painted: dict[int, tuple[Spans, bool]] = {}
        self._strips: dict[tuple[int, bool], tuple[Spans, Strip]] = {}

    @property
    def _room(self) -> Size:
        """What is left of the widget beside its scroll bar."""
        return self.scrollable_content_region.size

    @property
    def room(self) -> Size:
        """What there is for rows."""
        return Size(self._room.width, max(self._room.height - TITLES, 0))

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._index < len(self._rows) else None

    @property
    def placed(self) -> Layout:
        """The columns that are shown."""
        return self._layout

    @property
    def touched_s(self) -> float:
        """When the person last did something here, on the monotonic clock."""
        return self._touched_s

    def show(self, rows: Sequence[Row], view: ViewState, moment: Moment, empty: Sequence[Spans]) -> None:
        """Show these rows; where there are none, the lines of ``empty``."""
        before = self.row
        key = before.key if before else None
        is_same = rows is self._rows
        self._moment = moment
        self._empty = empty
        at: int | None = self._index
        if not is_same:
            self._rows = rows
            self._longest = longest_name(rows)
            at = self._index_of(before)
        if not self._is_held:
            at = 0
        self._index = at if at is not None else max(min(self._index, len(rows) - 1), 0)
        self._marks = view.marks
        self._layout = layout_of(self._room.width, self._longest, view.column_set, view.columns, view.scroll)
        self._titles = title_spans(self._layout, view)
        # Textual compares: the same size costs nothing.
        self.virtual_size = Size(self._room.width, len(rows) + TITLES)
        if at is not None:
            self._follow_cursor()
        self._repaint()
        if (self.row.key if self.row else None) != key:
            self.post_message(self.CursorMoved())

    def _index_of(self, row: Row | None) -> int | None:
        """Find a row again; most often it is where it was."""
        if row is None or (self.row is not None and self.row.key == row.key):
            return self._index
        return nearest(self._rows, row)

    def _repaint(self) -> None:
        """Draw those lines anew that look different."""
        height = self._room.height
        first = self.scroll_offset.y
        shown = self._rows[first : first + height]
        self._top = top_cores(shown, self._layout, self._moment)
        self._names = short_names(shown, self._layout)
        keys = {row.key for row in shown}
        self._written = {key: written for key, written in self._written.items() if key in keys}
        width = self._room.width
        changed = [Region(0, y, width, 1) for y in range(height) if self._painted.get(y) != self._line(y)]
        if changed:
            self.refresh(*changed)

    def _line(self, y: int) -> tuple[Spans, bool]:
        """What is in a line of the widget, and whether the cursor is on it."""
        if y < TITLES:
            return self._titles, False
        at = y - TITLES + self.scroll_offset.y
        if at < len(self._rows):
            return self._row_spans(self._rows[at]), at == self._index
        is_said = not self._rows and at < len(self._empty)
        return self._empty[at] if is_said else BLANK, False

    def _row_spans(self, row: Row) -> Spans:
        """Write a row, unless it would say what it said."""
        placed, top, moment = self._layout, self._top, self._moment
        is_marked, name = row.key in self._marks, self._names.get(row.key)
        before = self._written.get(row.key)
        is_known = before is not None and before.row is row and before.placed == placed
        is_known = is_known and before is not None and before.is_marked == is_marked and before.name == name
        if before is not None and is_known and before.moment is moment and before.top == top:
            return before.spans
        now = moving(row, placed, top, moment)
        if before is not None and is_known and before.moving == now:
            spans = before.spans
        else:
            spans = row_spans(row, placed, top, moment, is_marked=is_marked, name=name)
        self._written[row.key] = _Written(row, placed, top, moment, now, is_marked, name, spans)
        return spans

    def render_line(self, y: int) -> Strip:
        """Draw a line of the widget."""
        spans, has_cursor = self._painted[y] = self._line(y)
        background = self.get_component_rich_style("tree-table--cursor", partial=True) if has_cursor else None
        return to_strip(self, spans, self._room.width, background)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw some lines; what was drawn before, be it elsewhere, is not drawn again.

        Textual's own way keeps lines by their place, so that all of them would be drawn anew when they scroll.
        """
        filters, background = self.get_line_filters(), self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self._drawn(y)
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip.crop(*crop.column_span))
        return strips

    def _drawn(self, y: int) -> Strip:
        painted, line = self._painted.get(y), self._line(y)
        spans, has_cursor = line if painted is None or painted != line else painted
        known = self._strips.get((id(spans), has_cursor))
        if known is None:
            if len(self._strips) >= KEPT_SCREENS * self.size.height:
                self._strips.clear()
            # Beside the rows there may be room for a scroll bar.
            beside = Style(bgcolor=self.background_colors[1].rich_color)
            strip = self.render_line(y).adjust_cell_length(self.size.width, beside)
            # The spans are kept along, so that no others can have their id.
            known = self._strips[id(spans), has_cursor] = spans, strip
        self._painted[y] = spans, has_cursor
        return known[1]

    def notify_style_update(self) -> None:
        """Draw in other colours from now on."""
        self._strips.clear()
        super().notify_style_update()

    def hold(self) -> None:
        """Keep the cursor on its row from now on. Until somebody acts it stays at the top, whatever comes there."""
        self._is_held = True
        self._touched_s = time.monotonic()

    def _go(self, index: int) -> None:
        self.hold()
        index = max(min(index, len(self._rows) - 1), 0)
        if index == self._index:
            return
        self._index = index
        self._follow_cursor()
        self._repaint()
        self.post_message(self.CursorMoved())

    def _follow_cursor(self) -> None:
        """Scroll as little as it takes to see the cursor."""
        room = self._room.height - TITLES
        top = self.scroll_offset.y
        if self._index < top:
            self.scroll_to(y=self._index, animate=False, immediate=True)
        elif room > 0 and self._index >= top + room:
            self.scroll_to(y=self._index - room + 1, animate=False, immediate=True)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go(self._index + rows)

    def action_move_page(self, pages: float) -> None:
        """Move the cursor by a part of the screen."""
        self._go(self._index + int(pages * max(self._room.height - TITLES - 1, 1)))

    def action_move_to(self, index: int) -> None:
        """Move the cursor to a row, counted from the end if below 0."""
        self._go(index if index >= 0 else len(self._rows) + index)

    def action_fold(self) -> None:
        """Fold the row; where there is nothing to fold, go to the row that it hangs below."""
        row = self.row
        if row is None:
            return
        if row.is_expandable and row.is_expanded:
            self.post_message(self.FoldAsked(row.key))
        elif row.depth > 0:
            above = range(self._index - 1, -1, -1)
            self._go(next(at for at in above if self._rows[at].depth < row.depth))

    def action_unfold(self) -> None:
        """Unfold the row."""
        row = self.row
        if row and row.is_expandable and not row.is_expanded:
            self.post_message(self.FoldAsked(row.key))

    def action_unfold_all(self) -> None:
        """Fold all rows, or if one is folded, unfold all."""
        self.post_message(self.FoldAsked(None))

    def action_scroll_columns(self, columns: int) -> None:
        """Show the columns that found no room, or those before them again."""
        if columns < 0 or self._layout.has_more:
            self.post_message(self.ScrollAsked(columns))

    def on_resize(self) -> None:
        """Ask for rows that fit the new size."""
        self._painted.clear()
        self._strips.clear()
        self.post_message(self.Resized())

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row; sort by a title, fold by the sign for it, mark beside the name."""
        if event.y < TITLES:
            column = self._layout.column_at(event.x)
            if column is not None:
                self.post_message(self.SortAsked(column.name))
            return
        at = event.y - TITLES + self.scroll_offset.y
        if at >= len(self._rows):
            return
        row = self._rows[at]
        self._go(at)
        if event.x == GUTTER_X:
            self.post_message(self.MarkAsked(row.key))
        elif is_fold_at(row, self._layout, event.x):
            self.post_message(self.FoldAsked(row.key))
        elif event.chain == 2:  # noqa: PLR2004  a double click
            self.post_message(self.OpenAsked())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down, or, with shift, to the columns at the right."""
        self._wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up, or, with shift, to the columns at the left."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, step: int) -> None:
        event.stop()
        event.prevent_default()
        self.hold()
        if event.shift:
            self.action_scroll_columns(step)
            return
        self.scroll_to(y=self.scroll_offset.y + step * WHEEL_ROWS, animate=False, immediate=True)
        top, room = self.scroll_offset.y, self._room.height - TITLES
        index = max(min(self._index, top + room - 1, len(self._rows) - 1), top)
        self._repaint()
        if index != self._index:
            self._go(index)
