"""The list of themes. The screen behind it wears the one under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.text import printable
from topcon.ui.capabilities import Colors
from topcon.ui.spans import Span, Tone, fitted
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from topcon.ui.spans import Spans

AROUND = 10
"""Lines of a screen that the list leaves free: what is around it, and what it says below."""
REST_S = 0.1
"""How long the cursor stays on a theme before the screen wears it: to dress is dear, and a key may be held down."""
SAMPLE = [
    Span("plain "),
    Span("idle ", Tone.DIM),
    Span("good ", Tone.GOOD),
    Span("▲ warn ", Tone.WARN),
    Span("■ bad", Tone.BAD),
]
HINTS = {Colors.NONE: "without colours all are alike", Colors.FEW: "16 colours: most are alike"}


class ThemeScreen(ModalScreen[None]):
    """Shows each theme that the cursor comes to; enter keeps it, esc goes back to the one before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("enter", "dismiss", "keep"),
        ("escape,q", "back", "back"),
        ("up,k", "move(-1)", "up"),
        ("down,j", "move(1)", "down"),
        Binding("home,pageup", "move_to(0)", "first", show=False),
        Binding("end,pagedown", "move_to(-1)", "last", show=False),
    ]

    def __init__(
        self, names: Sequence[str], current: str, wear: Callable[[str], str | None], colors: Colors = Colors.ALL
    ) -> None:
        """List ``names``. ``wear`` puts a theme on, or says why it cannot; ``current`` is the one that is worn."""
        super().__init__()
        self._names = names
        self._before = current
        self._worn = current
        self._wear = wear
        self._hint = HINTS.get(colors)
        self._index = names.index(current) if current in names else 0
        self._wrong: str | None = None
        self._rest: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog", id="themes"):
            yield Static("Theme", classes="title", markup=False)
            yield Menu("names", AROUND)
            yield Lines(id="sample")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Draw the list."""
        self._draw()

    def on_resize(self) -> None:
        """Show as many as there is room for."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        self.query_one(Menu).offer([self._entry(at) for at in range(len(self._names))], self._index)
        sample = self.query_one("#sample", Lines)
        width = max(sample.size.width, 1)
        said = self._wrong or self._hint
        # What is wrong in a file may take some lines.
        text = [said[at : at + width] for at in range(0, len(said), width)] if said else []
        tone = Tone.BAD if self._wrong else Tone.DIM
        sample.styles.height = 2 + len(text)
        sample.show([[Span("")], fitted(SAMPLE, width), *([Span(line, tone)] for line in text)])

    def _entry(self, at: int) -> Spans:
        is_current = at == self._index
        return [
            Span("▸ " if is_current else "  ", Tone.ACCENT),
            Span(printable(self._names[at]), Tone.STRONG if is_current else Tone.PLAIN),
            Span(" •" if self._names[at] == self._before else "", Tone.ACCENT),
        ]

    def action_move(self, steps: int) -> None:
        """Move the cursor, around the ends."""
        self._go((self._index + steps) % len(self._names))

    def action_move_to(self, index: int) -> None:
        """Move the cursor to an end."""
        self._go(index % len(self._names))

    def _go(self, index: int) -> None:
        self._index = index
        self._draw()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_S, self._put_on)

    def _put_on(self) -> None:
        """Wear the theme under the cursor."""
        if self._rest is not None:
            self._rest.stop()
            self._rest = None
        name = self._names[self._index]
        if name != self._worn:
            self._wrong = self._wear(name)
            self._worn = name if self._wrong is None else self._worn
            self._draw()
        else:
            self._wrong = None

    async def action_dismiss(self, result: None = None) -> None:
        """Keep the theme under the cursor, unless it cannot be worn."""
        self._put_on()
        if self._wrong is None:
            await super().action_dismiss(result)

    def action_back(self) -> None:
        """Go back to the theme that was worn before."""
        if self._worn != self._before:
            self._wear(self._before)
        self.dismiss()

    def on_click(self, event: events.Click) -> None:
        """Let a click beside the list go back."""
        if event.widget is self:
            self.action_back()

    def on_menu_clicked(self, message: Menu.Clicked) -> None:
        """Go to the name that is clicked."""
        self._go(message.index)

    def on_menu_turned(self, message: Menu.Turned) -> None:
        """Move the cursor with the wheel."""
        self.action_move(message.rows)
