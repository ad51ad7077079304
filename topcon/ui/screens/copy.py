"""The menu of what can be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.text import printable
from topcon.ui.spans import Span, Spans, Tone, cut_end
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.ui.copying import Copy

WHAT_WIDTH = 16


class CopyScreen(ModalScreen["Copy | None"]):
    """Asks what to copy, by its letter, or by arrows and enter; gives it, or None for esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(None)", "back"),
        ("up,k", "move(-1)", "up"),
        ("down,j", "move(1)", "down"),
        ("enter", "choose", "copy"),
    ]

    def __init__(self, offered: Sequence[Copy]) -> None:
        """Offer these texts, one at least."""
        super().__init__()
        self._offered = offered
        self._index = 0

    def compose(self) -> ComposeResult:
        """Lay out the menu."""
        with Vertical(classes="dialog", id="copy"):
            yield Static("Copy", classes="title", markup=False)
            yield Lines(id="copies")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Draw the menu."""
        self.query_one("#copies").styles.height = len(self._offered)
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Cut the texts anew."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        lines = self.query_one("#copies", Lines)
        room = lines.size.width - WHAT_WIDTH - len("▸ n  ")
        lines.show([self._line(index, copy, room) for index, copy in enumerate(self._offered)])

    def _line(self, index: int, copy: Copy, room: int) -> Spans:
        is_current = index == self._index
        what = f"{copy.what:{WHAT_WIDTH}} "
        return [
            Span("▸ " if is_current else "  ", Tone.ACCENT),
            Span(f"{copy.letter}  ", Tone.ACCENT),
            Span(what, Tone.STRONG if is_current else Tone.PLAIN),
            Span(cut_end(printable(copy.text), max(room - len(what) + WHAT_WIDTH, 0)), Tone.DIM),
        ]

    def action_move(self, rows: int) -> None:
        """Move the cursor, around the ends."""
        self._index = (self._index + rows) % len(self._offered)
        self._draw()

    def action_choose(self) -> None:
        """Take what is under the cursor."""
        self.dismiss(self._offered[self._index])

    def on_key(self, event: events.Key) -> None:
        """Take what a letter stands for, the first of those that are typed ahead."""
        for copy in self._offered:
            if event.character == copy.letter and self.is_current:
                event.stop()
                self.dismiss(copy)

    def on_click(self, event: events.Click) -> None:
        """Take what is clicked; beside the menu, nothing."""
        lines = self.query_one("#copies", Lines)
        if event.widget is lines and event.y < len(self._offered):
            self.dismiss(self._offered[event.y])
        elif event.widget is self:
            self.dismiss(None)
