"""A list to choose from: as many of its lines as there is room for, and at the edge where among all they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from topcon.ui.spans import first_in_sight, windowed
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from topcon.ui.spans import Spans


class Menu(Lines):
    """Shows the list; where the cursor is, its screen knows."""

    @dataclass
    class Clicked(Message):
        """A line of the list was clicked."""

        index: int

    @dataclass
    class Turned(Message):
        """The wheel was turned over the list, by so many lines."""

        rows: int

    def __init__(self, id: str, around: int, *, most: int | None = None, least: int = 1) -> None:  # noqa: A002  Textual's name
        """Be empty. ``around`` lines of the terminal are not the list's; it has ``most`` lines, and ``least``."""
        super().__init__(id=id)
        self._around, self._most, self._least = around, most, least
        self._all: Sequence[Spans] = ()
        self._at = 0
        self._first = 0

    def offer(self, lines: Sequence[Spans], at: int) -> None:
        """Show these lines, with ``at`` in sight."""
        self._all, self._at = lines, at
        self._fit()

    def on_resize(self) -> None:
        """Use the room there is."""
        self._fit()

    def _fit(self) -> None:
        count = len(self._all)
        room = max(self.app.size.height - self._around, self._least)
        height = max(min(count, room, self._most or count), 1)
        self._first = first_in_sight(self._at, height, count)
        self.styles.height = height
        self.show(windowed(self._all, self._first, height, self.size.width))

    def on_click(self, event: events.Click) -> None:
        """Say which line it is."""
        event.stop()
        if event.y < len(self._all):
            self.post_message(self.Clicked(self._first + event.y))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Say so."""
        event.stop()
        self.post_message(self.Turned(-1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Say so."""
        event.stop()
        self.post_message(self.Turned(1))
