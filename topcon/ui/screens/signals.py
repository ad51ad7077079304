"""The menu of signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from topcon.ui.signal_choices import CHOICES, choices
from topcon.ui.spans import Span, Spans, Tone
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

OTHER_LINES = 8
"""What the menu's frame, title and field take, with the line of keys below."""


class SignalField(Input):
    """Takes a name or a number, and keys in the order in which they were pressed, also those that were typed ahead."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("up", "screen.move(-1)", "up"),
        ("down", "screen.move(1)", "down"),
        ("enter", "submit", "go on"),
    ]


class SignalScreen(ModalScreen[str | None]):
    """Asks for a signal by its name, its number, or the arrows; gives its name, or None for esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "cancel"),
    ]

    def __init__(self, whom: str) -> None:
        """Begin with what is asked for most; ``whom`` is foreign text made safe."""
        super().__init__()
        self._whom = whom
        self._found = CHOICES
        self._index = 0
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Lay out the menu."""
        with Vertical(classes="dialog", id="signals"):
            yield Static(f"Signal for {self._whom}", classes="title", markup=False)
            yield SignalField(id="signal", placeholder="a name or a number", compact=True, max_length=12)
            yield Menu("choices", OTHER_LINES, most=len(CHOICES))
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Take letters."""
        self.query_one("#signal").focus()
        self._draw()

    def on_resize(self) -> None:
        """Use the room there is."""
        self._draw()

    def _draw(self) -> None:
        lines: list[Spans] = []
        for index, choice in enumerate(self._found):
            is_current = index == self._index
            lines.append(
                [
                    Span("▸ " if is_current else "  ", Tone.ACCENT),
                    Span(f"{choice.number:>2}  ", Tone.DIM),
                    Span(f"{choice.name:12}", Tone.STRONG if is_current else Tone.PLAIN),
                    Span(choice.help, Tone.DIM),
                ]
            )
        self.query_one(Menu).offer(lines or [[Span("  there is no such signal", Tone.WARN)]], self._index)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what begins like that."""
        event.stop()
        self._find()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the signal under the cursor."""
        event.stop()
        self._find()
        if self._found:
            self.dismiss(self._found[self._index].name)

    def _find(self) -> None:
        """Find what begins with what is in the field by now."""
        typed = self.query_one(SignalField).value
        if typed != self._typed:
            self._typed, self._found, self._index = typed, choices(typed), 0
            self._draw()

    def action_move(self, rows: int) -> None:
        """Move the cursor, around the ends."""
        self._find()
        if self._found:
            self._index = (self._index + rows) % len(self._found)
            self._draw()

    def on_menu_clicked(self, message: Menu.Clicked) -> None:
        """Take the signal that is clicked."""
        if message.index < len(self._found):
            self.dismiss(self._found[message.index].name)

    def on_menu_turned(self, message: Menu.Turned) -> None:
        """Move the cursor with the wheel."""
        self.action_move(message.rows)

    def on_click(self, event: events.Click) -> None:
        """Let a click beside the menu close it."""
        if event.widget is self:
            self.dismiss(None)
