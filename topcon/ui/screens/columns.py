"""The dialog that columns are chosen in; the tree behind it shows them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.ui.column_list import SET_LETTERS, column_lines, column_list, set_spans
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.ui.column_list import ColumnList

AROUND = 15
"""Lines of the screen that are not the list's: the dialog's own, the keys, and some of the tree behind it."""
LEAST_LINES = 3


class ColumnsScreen(ModalScreen[bool]):
    """Asks which columns to show, in which order; gives whether they are to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "dismiss(True)", "keep"),
        Binding("escape,q", "dismiss(False)", "drop"),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "move(-10)", "up", show=False),
        Binding("pagedown", "move(10)", "down", show=False),
        Binding("space", "switch", "show, hide"),
        Binding("shift+up,comma", "carry(-1)", "move up", show=False),
        Binding("shift+down,full_stop", "carry(1)", "move down", show=False),
    ]

    def __init__(
        self, column_set: str, own: tuple[str, ...] | None, on_change: Callable[[str, tuple[str, ...] | None], object]
    ) -> None:
        """Begin with what is shown now; ``on_change`` is told of each change."""
        super().__init__()
        self._list = column_list(column_set, own)
        self._on_change = on_change

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog"):
            yield Static("Columns   shift+↑ shift+↓, or , and . move them", classes="title", markup=False)
            yield Lines(id="sets")
            yield Menu("columns", AROUND, least=LEAST_LINES)
        yield Keys(id="keys")

    def on_resize(self) -> None:
        """Show as many as there is room for."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        sets = self.query_one("#sets", Lines)
        sets.show([set_spans(self._list, sets.size.width)])
        self.query_one(Menu).offer(column_lines(self._list), self._list.at)

    def _change(self, chosen: ColumnList) -> None:
        is_same = (chosen.column_set, chosen.own) == (self._list.column_set, self._list.own)
        self._list = chosen
        self._draw()
        if not is_same:
            self._on_change(chosen.column_set, chosen.own)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._change(self._list.moved_to(self._list.at + rows))

    def action_switch(self) -> None:
        """Show a column, or show it no more."""
        self._change(self._list.toggled())

    def on_menu_clicked(self, message: Menu.Clicked) -> None:
        """Show the column that is clicked, or show it no more."""
        self._change(self._list.moved_to(message.index).toggled())

    def on_menu_turned(self, message: Menu.Turned) -> None:
        """Move the cursor with the wheel."""
        self.action_move(message.rows)

    def action_carry(self, step: int) -> None:
        """Move a column."""
        self._change(self._list.carried(step))

    def on_key(self, event: events.Key) -> None:
        """Take the set of a letter."""
        name = SET_LETTERS.get(event.character or "")
        if name is not None:
            event.stop()
            self._change(column_list(name))
