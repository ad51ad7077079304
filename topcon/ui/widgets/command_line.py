"""The line that commands are typed into, in the place of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.widgets import Input

from topcon.ui.widgets.keys import Keys

if TYPE_CHECKING:
    from textual.binding import BindingType
    from textual.widget import Widget


class CommandLine(Input):
    """Is there only while a command is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back", show=False)]

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__(id="command", placeholder="a command, such as interval 5s, sources, q", compact=True)
        self._focused_before: Widget | None = None

    def open(self) -> None:
        """Take the keys."""
        self._focused_before = self.screen.focused
        self.value = ""
        self.add_class("-open")
        self.screen.query_one(Keys).display = False
        self.screen.set_focus(self)

    def action_close(self) -> None:
        """Give the keys back; what was typed is forgotten."""
        self.value = ""
        self.remove_class("-open")
        self.screen.query_one(Keys).display = True
        self.screen.set_focus(self._focused_before)
