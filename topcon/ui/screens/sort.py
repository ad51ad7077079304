"""The menu of columns to sort by."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.columns import COLUMNS
from topcon.ui.column_list import in_sight
from topcon.ui.spans import Span, Spans, Tone
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

MENU = [column for column in COLUMNS if column.history is None]
AROUND = 6
"""Lines of the screen that are not the menu's: the dialog's own, and the keys."""


class SortScreen(ModalScreen[str | None]):
    """Asks for a column by its letter, or by arrows and enter; gives its name, or None for esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(None)", "back"),
        ("up", "move(-1)", "up"),
        ("down", "move(1)", "down"),
        ("enter", "choose", "sort"),
    ]

    def __init__(self, current: str) -> None:
        """Begin at the column ``current``."""
        super().__init__()
        self._index = next((index for index, column in enumerate(MENU) if column.name == current), 0)

    def compose(self) -> ComposeResult:
        """Lay out the menu."""
        with Vertical(classes="dialog", id="sort"):
            yield Static("Sort by", classes="title", markup=False)
            yield Lines(id="columns")
        yield Keys(id="keys")

    def on_resize(self) -> None:
        """Show as many as there is room for."""
        self._draw()

    def _draw(self) -> None:
        height = max(min(self.app.size.height - AROUND, len(MENU)), 1)
        lines: list[Spans] = []
        for index, column in enumerate(MENU):
            is_current = index == self._index
            lines.append(
                [
                    Span("▸ " if is_current else "  ", Tone.ACCENT),
                    Span(f"{column.letter}  ", Tone.ACCENT),
                    Span(column.help, Tone.STRONG if is_current else Tone.PLAIN),
                ]
            )
        menu = self.query_one("#columns", Lines)
        menu.styles.height = height
        menu.show(in_sight(lines, self._index, height))

    def action_move(self, rows: int) -> None:
        """Move the cursor, around the ends."""
        self._index = (self._index + rows) % len(MENU)
        self._draw()

    def action_choose(self) -> None:
        """Take the column under the cursor."""
        self.dismiss(MENU[self._index].name)

    def on_key(self, event: events.Key) -> None:
        """Take the column of a letter."""
        for column in MENU:
            if event.character == column.letter and self.is_current:
                event.stop()
                self.dismiss(column.name)
