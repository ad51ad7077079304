"""The rows of a log that are in sight: no more are ever written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

WHEEL_ROWS = 3


class LogLines(ScrollLines, inherit_bindings=False):
    """Shows as many rows as it has; what else there is, whoever fills it knows."""

    BINDINGS: ClassVar[list[BindingType]] = []

    @dataclass
    class Turned(Message):
        """The wheel was turned."""

        rows: int

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go down."""
        self._turn(event, WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go up."""
        self._turn(event, -WHEEL_ROWS)

    def _turn(self, event: events.MouseEvent, rows: int) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(self.Turned(rows))
