"""The line that a filter is typed into, in the place of the keys; it applies while it is typed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.highlighter import Highlighter
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from topcon.filter import NO_FILTERS, Filter, FilterError, parse_filter
from topcon.text import printable
from topcon.ui.filtering import LONGEST, Typed, completed, pasted, without_last
from topcon.ui.spans import Span, Tone, fitted, width_of
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget

LEAST_SHARE = 2
"""What is said beside the text gets at least the part of the line that is 1 by this."""


class FilterLine(Input):
    """Takes a filter. A wrong one changes nothing, and is marked where it goes wrong."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"filter-line--wrong"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "as it was before", show=False),
        Binding("up", "recall(-1)", "a filter of before", show=False),
        Binding("down", "recall(1)", "a later one", show=False),
        Binding("tab", "complete", "complete a field, or the name of a saved filter", show=False),
        Binding("ctrl+u", "clear_line", "clear the line", show=False),
    ]

    @dataclass
    class Applied(Message):
        """These are to be shown from now on."""

        filter: Filter

    @dataclass
    class Closed(Message):
        """The line is not needed any more."""

    @dataclass
    class Read(Message):
        """What is typed was understood, or was not: there is something else to say of it."""

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__(
            id="filter",
            placeholder="word  field:text  cpu>0.5  !not  one|other  /pattern/  @saved",
            compact=True,
            select_on_focus=False,
            max_length=LONGEST,
            highlighter=_Marker(self),
        )
        self.set_reactive(Input.cursor_blink, value=False)
        self.error: FilterError | None = None
        """Why the filter that stands there cannot be applied."""
        self.candidates: tuple[str, ...] = ()
        """What the word under the cursor can become."""
        self._before: Filter | None = None
        self._focused_before: Widget | None = None
        self._saved: Mapping[str, str] = NO_FILTERS
        self._typed = Typed()

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return self._before is not None

    def open(self, current: Filter, saved: Mapping[str, str]) -> None:
        """Take the keys, and begin with the filter that is in force."""
        if not self.is_open:
            self._focused_before = self.screen.focused
        self.screen.set_focus(self)
        self._before, self._saved = current, saved
        self._typed.keep(current.text)
        self.error, self.candidates = None, ()
        # It may come from elsewhere than a keyboard.
        self._write(printable(current.text))

    def _write(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply what is typed, if it is right, unless more has been typed since."""
        event.stop()
        if not self.is_open or event.value != self.value:
            return
        self.candidates = ()
        try:
            chosen = parse_filter(self.value, self._saved)
        except FilterError as error:
            self.error = error
            self._apply_rest()
        else:
            self.error = None
            self.post_message(self.Applied(chosen))
        self.post_message(self.Read())

    def _apply_rest(self) -> None:
        """Apply what stands before the word that is being typed, if it is right: ``cpu`` was only on the way to it."""
        if self.cursor_at_end:
            with suppress(FilterError):
                self.post_message(self.Applied(parse_filter(without_last(self.value), self._saved)))

    async def action_submit(self) -> None:
        """Keep a filter that is right."""
        try:
            chosen = parse_filter(self.value, self._saved)
        except FilterError as error:
            self.error = error
            self.post_message(self.Read())
            return
        self._typed.keep(chosen.text)
        self._close(chosen)

    def _close(self, chosen: Filter) -> None:
        self._before = self.error = None
        self.screen.set_focus(self._focused_before)
        self.post_message(self.Applied(chosen))
        self.post_message(self.Closed())

    async def on_key(self, event: events.Key) -> None:
        """Take keys in their order: left to the app, a bound one would come after the letters behind it."""
        if event.is_printable and self.is_open:
            return
        bindings = self._bindings.key_to_bindings.get(event.key, ())
        if self.is_open:
            if not bindings:
                return
            await self.run_action(bindings[0].action)
        elif self.screen.focused is not self:
            # Typed ahead, behind what has closed the line.
            self.app.post_message(type(event)(event.key, event.character))
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take what is pasted as one line."""
        event.stop()
        event.prevent_default()
        room = LONGEST - len(self.value) + len(self.selected_text)
        self.replace(pasted(event.text)[:room], *self.selection)

    def action_drop(self) -> None:
        """Show what was shown before the line was opened."""
        if self._before is not None:
            self._close(self._before)

    def action_recall(self, step: int) -> None:
        """Write the filter that was kept before this one, or after it."""
        self._write(self._typed.moved(step, self.value))

    def action_complete(self) -> None:
        """Complete what stands before the cursor as far as it is clear, and name what it can become."""
        rest = self.value[self.cursor_position :]
        text, candidates = completed(self.value[: self.cursor_position], self._saved)
        text = printable(text)
        if text + rest != self.value:
            self.value = text + rest
            self.cursor_position = len(text)
        else:
            self.candidates = candidates
            self.post_message(self.Read())

    def action_clear_line(self) -> None:
        """Begin anew."""
        self._write("")


class _Marker(Highlighter):
    """Marks the word in which a filter goes wrong, from there on."""

    def __init__(self, line: FilterLine) -> None:
        self._line = line

    def highlight(self, text: Text) -> None:
        error = self._line.error
        if error is not None:
            wrong = text.plain[error.at :].partition(" ")[0] or " "
            style = self._line.get_component_rich_style("filter-line--wrong")
            text.stylize(style, error.at, error.at + len(wrong))


class FilterBar(Horizontal):
    """The line, and beside it how many match, or what was expected."""

    def __init__(self) -> None:
        """Be out of sight."""
        super().__init__(id="find")
        self._count: tuple[int | None, int] = (None, 0)

    def compose(self) -> ComposeResult:
        """Put them side by side."""
        yield Static(" /", classes="prompt", markup=False)
        yield FilterLine()
        yield Lines(id="found")

    @property
    def line(self) -> FilterLine:
        """Where it is typed."""
        return self.query_one(FilterLine)

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return self.line.is_open

    def open(self, current: Filter, saved: Mapping[str, str]) -> None:
        """Take the place of the line of keys."""
        self.add_class("-open")
        self.screen.query_one(Keys).display = False
        self.line.open(current, saved)
        self._say()

    def close(self) -> None:
        """Give the place back."""
        self.remove_class("-open")
        self.screen.query_one(Keys).display = True

    def show(self, matches: int | None, containers: int) -> None:
        """Say how many of the containers match."""
        if self._count != (matches, containers):
            self._count = matches, containers
            if self.is_open:
                self._say()

    def on_filter_line_read(self, message: FilterLine.Read) -> None:
        """Say what was expected, or how many match."""
        message.stop()
        self._say()

    def on_resize(self) -> None:
        """Say as much as there is room for."""
        self._say()

    def _say(self) -> None:
        line, found = self.line, self.query_one("#found", Lines)
        matches, containers = self._count
        if line.candidates:
            said = Span("  ".join(map(printable, line.candidates)), Tone.DIM)
        elif line.error is not None:
            said = Span(printable(line.error.message), Tone.WARN)
        else:
            said = Span("" if matches is None else f"{matches} of {containers}", Tone.DIM)
        width = self.size.width
        room = max(width - line.content_width - len(" /   "), width // LEAST_SHARE)
        spans = fitted([said], max(room - 1, 0))
        found.styles.width = width_of(spans) + 1
        found.show([spans])
