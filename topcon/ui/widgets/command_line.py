"""The line that commands are typed into, in the place of the keys, below a list of all that can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Static

from topcon.text import printable
from topcon.ui.command import NAMES, find, is_likely, offers, parse_command
from topcon.ui.spans import Span, Tone, spread
from topcon.ui.widgets.field import Field
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget

    from topcon.ui.command import Argument, Call, Command, Offer
    from topcon.ui.spans import Spans

MOST, FRAME = 12, 7
"""The most lines of the list, and how many lines of the screen stay beside it."""
USAGE_WIDTH = 22


class Offers(Menu):
    """What can be done, one of it chosen."""

    async def on_menu_clicked(self, message: Menu.Clicked) -> None:
        """Do what is under the mouse."""
        message.stop()
        await self.screen.query_one(CommandLine).do_offer(message.index)

    def on_menu_turned(self, message: Menu.Turned) -> None:
        """Choose with the wheel."""
        message.stop()
        self.screen.query_one(CommandLine).choose(message.rows)


class CommandLine(Field):
    """Takes a command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back", show=False),
        Binding("up", "choose(-1)", "up, or what was typed before", show=False),
        Binding("down", "choose(1)", "down", show=False),
        Binding("tab", "complete", "complete", show=False),
    ]

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__(id="command", placeholder="what to do, such as interval 5s; ↑ what was before", compact=True)
        self._focused_before: Widget | None = None
        self._commands: Sequence[Command] = ()
        self._arguments: Mapping[str, Argument] = {}
        self._history: list[str] = []
        self._past = 0
        self._chosen: int | None = None
        self._chosen_for = ""

    @property
    def is_open(self) -> bool:
        """Whether a command is being typed."""
        return self.screen.query_one(CommandBar).has_class("-open")

    def open(self, commands: Sequence[Command], arguments: Mapping[str, Argument], history: list[str]) -> None:
        """Take the keys, and offer these commands; what is done is added to the history."""
        self._focused_before = self.screen.focused
        self._commands, self._arguments, self._history = commands, arguments, history
        self._past, self._chosen = 0, None
        self.value = ""
        self.screen.query_one(CommandBar).add_class("-open")
        self.screen.query_one(Keys).display = False
        self.screen.set_focus(self)
        if not self.screen.query(Offers):
            self.screen.mount(Offers("offers", FRAME, most=MOST), before=self.screen.query_one(CommandBar))
        self.screen.query_one(Offers).display = True
        self._show()

    def action_close(self) -> None:
        """Give the keys back; what was typed is forgotten."""
        self.value = ""
        self.screen.query_one(CommandBar).remove_class("-open")
        self.screen.query(Offers).set(display=False)
        self.screen.query_one(Keys).display = True
        self.screen.set_focus(self._focused_before)

    def asked(self) -> Call | None:
        """Return what to do; None if the line has become what was chosen, and waits for the rest.

        Raises:
            ValueError: what was expected.
        """
        listed = self._offers()
        typed = self.value.strip().removeprefix(":")
        if self._chosen is None and typed in NAMES and find(typed, self._commands)[0] is None:
            # What is nearest to it is something else, which nobody has asked for.
            message = f"{typed}: not possible here and now"
            raise ValueError(message)
        if listed and (self._chosen is not None or self._is_unfinished()):
            offer = listed[self._chosen or 0]
            self._become(offer.text)
            if not offer.is_whole:
                return None
        call = parse_command(self.value, self._commands, self._arguments)
        done = self.value.strip()
        self._history[:] = [each for each in self._history if each != done] + [done]
        return call

    def _is_unfinished(self) -> bool:
        """Whether what is typed is no name, or none of the choices, but something of one."""
        listed = self._offers()
        if not listed or not is_likely(self.value, listed[0]):
            return False
        command, argument = find(self.value, self._commands)
        if command is None or command.metavar is None or not argument:
            return command is None and bool(self.value.strip())
        kind = self._arguments[command.metavar]
        return kind.parse is None and argument not in kind.choices

    def _offers(self) -> list[Offer]:
        """Return what the line can become. What was chosen for another text is no longer."""
        if self.value != self._chosen_for:
            self._chosen, self._chosen_for = None, self.value
        return offers(self.value, self._commands, self._arguments)

    def _become(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)
        self._show()

    def on_input_changed(self) -> None:
        """Offer what fits what is typed."""
        if self.is_open:
            self._show()

    def on_resize(self) -> None:
        """Offer as many as there is room for."""
        self.on_input_changed()

    def _show(self) -> None:
        listed = self._offers()
        has_first = bool(listed and self.value.strip()) and is_likely(self.value, listed[0])
        marked = self._chosen if self._chosen is not None else 0 if has_first else None
        # At the edge there is room for what tells where in the list they are.
        width = self.screen.size.width - 2
        lines = [_spans(offer, width, is_chosen=at == marked) for at, offer in enumerate(listed)]
        self.screen.query_one(Offers).offer(lines, marked or 0)

    def action_choose(self, rows: int) -> None:
        """Go to another of what is offered; in an empty line, up goes to what was typed before."""
        if self._recalls(rows):
            self._past = max(self._past - rows, 0)
            self._become(self._history[-self._past] if self._past else "")
        else:
            self.choose(rows)

    def choose(self, rows: int) -> None:
        """Go to another of what is offered."""
        listed = self._offers()
        if listed:
            first = 0 if rows > 0 and not self.value.strip() else rows
            self._chosen = (first if self._chosen is None else self._chosen + rows) % len(listed)
            self._show()

    def _recalls(self, rows: int) -> bool:
        """Whether up and down go through what was typed before."""
        if self._past and self.value == self._history[-self._past]:
            return self._past - rows <= len(self._history)
        self._past = 0
        return rows < 0 and not self.value and self._chosen is None and bool(self._history)

    def action_complete(self) -> None:
        """Take over what is chosen, or comes first."""
        listed = self._offers()
        if listed:
            self._become(listed[self._chosen or 0].text)

    async def do_offer(self, index: int) -> None:
        """Do what is offered."""
        if index < len(self._offers()):
            self._chosen = index
            await self.action_submit()


class CommandBar(Horizontal):
    """The line and what it begins with, there only while a command is typed."""

    def __init__(self) -> None:
        """Be out of sight."""
        super().__init__(id="ask")

    def compose(self) -> ComposeResult:
        """Put them side by side."""
        yield Static(" :", classes="prompt", markup=False)
        yield CommandLine()


def _spans(offer: Offer, width: int, *, is_chosen: bool) -> Spans:
    usage = Span(f"{printable(offer.usage):{USAGE_WIDTH}} ", Tone.ACCENT if is_chosen else Tone.STRONG)
    left = [Span(" ▸ " if is_chosen else "   ", Tone.ACCENT), usage, Span(offer.help)]
    return spread(left, [Span(offer.keys, Tone.DIM)], width)
