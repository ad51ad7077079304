"""The tree as a table. Its cost goes with the height of the screen, not with the number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView

from topcon.ui.spans import Span
from topcon.ui.table import Layout, Moment, layout, longest_name, moving, row_spans, title_spans, top_cores
from topcon.ui.widgets.lines import TONE_CLASSES, to_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

    from topcon.rows import Row, ViewState
    from topcon.ui.spans import Spans

TITLES = 1
"""Lines above the rows; they do not scroll."""


KEPT_SCREENS = 4
"""So many screens full of drawn lines are kept for when they are seen again."""


class _Written(NamedTuple):
    """A row as it was written, and all that it was written from."""

    row: Row
    placed: Layout
    top: float
    moment: Moment
    moving: tuple[str, ...]
    spans: Spans


class TreeTable(ScrollView, can_focus=True):
    """Rows below a line of titles, with a cursor that stays on its row when rows move."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree-table--cursor", "tree-table--titles", *TONE_CLASSES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="up"),
        Binding("down,j", "move(1)", "down", show=False, id="down"),
        Binding("pageup", "move_page(-1.0)", "page up", show=False, id="page-up"),
        Binding("pagedown", "move_page(1.0)", "page down", show=False, id="page-down"),
        Binding("ctrl+u", "move_page(-0.5)", "half a page up", show=False, id="half-page-up"),
        Binding("ctrl+d", "move_page(0.5)", "half a page down", show=False, id="half-page-down"),
        Binding("home,g", "move_to(0)", "first row", show=False, id="first"),
        Binding("end,G", "move_to(-1)", "last row", show=False, id="last"),
        Binding("left,minus", "fold", "fold, or go to the row above", show=False, id="fold"),
        Binding("right,plus", "unfold", "unfold", show=False, id="unfold"),
        Binding("asterisk", "unfold_all", "fold or unfold all", show=False, id="fold-all"),
    ]

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

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._longest = 0
        self._index = 0
        self._is_held = False
        self._layout = Layout((), 1)
        self._titles: Spans = []
        self._top = 1.0
        self._moment = Moment(0, 0)
        self._empty: str = ""
        self._written: dict[str, _Written] = {}
        self._painted: dict[int, tuple[Spans, bool]] = {}
        self._strips: dict[tuple[int, bool], tuple[Spans, Strip]] = {}

    @property
    def _room(self) -> Size:
        """What is left of the widget beside its scroll bar."""
        return self.scrollable_content_region.size

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._index < len(self._rows) else None

    def show(self, rows: Sequence[Row], view: ViewState, moment: Moment, empty: str) -> None:
        """Show these rows; ``empty`` is said where there are none."""
        key = self.row.key if self.row else None
        is_same = rows is self._rows
        self._moment = moment
        self._empty = empty
        at: int | None = self._index
        if not is_same:
            self._rows = rows
            self._longest = longest_name(rows)
            at = self._index_of(key)
        if not self._is_held:
            at = 0
        self._index = at if at is not None else max(min(self._index, len(rows) - 1), 0)
        self._layout = layout(self._room.width, self._longest)
        self._titles = title_spans(self._layout, view)
        # Textual compares: the same size costs nothing.
        self.virtual_size = Size(self._room.width, len(rows) + TITLES)
        if at is not None:
            self._follow_cursor()
        self._repaint()
        if (self.row.key if self.row else None) != key:
            self.post_message(self.CursorMoved())

    def _index_of(self, key: str | None) -> int | None:
        """Find a row again; most often it is where it was."""
        if self.row is not None and self.row.key == key:
            return self._index
        return next((index for index, row in enumerate(self._rows) if row.key == key), None)

    def _repaint(self) -> None:
        """Draw those lines anew that look different."""
        height = self._room.height
        first = self.scroll_offset.y
        shown = self._rows[first : first + height]
        self._top = top_cores(shown, self._layout, self._moment)
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
        return [Span(f"   {self._empty}" if at == 1 and not self._rows else "")], False

    def _row_spans(self, row: Row) -> Spans:
        """Write a row, unless it would say what it said."""
        placed, top, moment = self._layout, self._top, self._moment
        before = self._written.get(row.key)
        is_known = before is not None and before.row is row and before.placed == placed
        if before is not None and is_known and before.moment is moment and before.top == top:
            return before.spans
        now = moving(row, placed, top, moment)
        is_same = before is not None and is_known and before.moving == now
        spans = before.spans if before is not None and is_same else row_spans(row, placed, top, moment)
        self._written[row.key] = _Written(row, placed, top, moment, now, spans)
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

    def on_resize(self) -> None:
        """Ask for rows that fit the new size."""
        self._painted.clear()
        self._strips.clear()
        self.post_message(self.Resized())

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row."""
        if event.y >= TITLES:
            self._go(event.y - TITLES + self.scroll_offset.y)
