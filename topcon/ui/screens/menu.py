"""A menu: a choice by its letter, by arrows and enter, or by the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.text import cell_width
from topcon.ui.spans import Span, Spans, Tone
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

AROUND = 6
"""Lines of the terminal that are not the menu's: the frame, the title, the keys."""
PAGE, FAR = 10, 1000


class Choice(NamedTuple):
    """A line of a menu. Foreign text in it has been made safe."""

    letter: str
    """None of the keys of `MenuScreen`."""
    text: str
    detail: str = ""


class MenuScreen(ModalScreen[int | None]):
    """Asks for one of some choices; gives its index, or None for esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(None)", "back"),
        ("up,k", "move(-1)", "up"),
        ("down,j", "move(1)", "down"),
        Binding("pageup", f"move_to(-{PAGE})", "page up", show=False),
        Binding("pagedown", f"move_to({PAGE})", "page down", show=False),
        Binding("home", f"move_to(-{FAR})", "first", show=False),
        Binding("end", f"move_to({FAR})", "last", show=False),
        ("enter", "choose", "choose"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], at: int = 0) -> None:
        """Offer the choices, one at least, with the cursor at one of them."""
        super().__init__()
        self._title = title
        self._choices = choices
        self._at = at

    def compose(self) -> ComposeResult:
        """Lay out the menu."""
        with Vertical(classes="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield Menu("choices", AROUND)
        yield Keys(id="keys")

    def on_resize(self) -> None:
        """Use the room there is."""
        self._draw()

    def _draw(self) -> None:
        width = max(cell_width(choice.text) for choice in self._choices)
        self.query_one(Menu).offer([self._line(at, width) for at in range(len(self._choices))], self._at)

    def _line(self, at: int, width: int) -> Spans:
        choice = self._choices[at]
        is_current = at == self._at
        gap = " " * (width - cell_width(choice.text) + 3)
        return [
            Span("▸ " if is_current else "  ", Tone.ACCENT),
            Span(f"{choice.letter}  ", Tone.ACCENT),
            Span(choice.text, Tone.STRONG if is_current else Tone.PLAIN),
            *([Span(gap), Span(choice.detail, Tone.DIM)] if choice.detail else []),
        ]

    def action_move(self, rows: int) -> None:
        """Move the cursor, around the ends."""
        self._at = (self._at + rows) % len(self._choices)
        self._draw()

    def action_move_to(self, rows: int) -> None:
        """Move the cursor, as far as the end."""
        self._at = min(max(self._at + rows, 0), len(self._choices) - 1)
        self._draw()

    def action_choose(self) -> None:
        """Take what is under the cursor."""
        self.dismiss(self._at)

    def on_key(self, event: events.Key) -> None:
        """Take what a letter stands for, the first of those that are typed ahead."""
        for at, choice in enumerate(self._choices):
            if event.character == choice.letter and self.is_current:
                event.stop()
                self.dismiss(at)

    def on_menu_clicked(self, message: Menu.Clicked) -> None:
        """Take what is clicked."""
        self.dismiss(message.index)

    def on_menu_turned(self, message: Menu.Turned) -> None:
        """Move the cursor with the wheel."""
        self.action_move_to(message.rows)

    def on_click(self, event: events.Click) -> None:
        """Let a click beside the menu close it."""
        if event.widget is self:
            self.dismiss(None)
