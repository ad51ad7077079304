"""A line that something is asked in, in the place of the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from topcon.ui.widgets.field import Field
from topcon.ui.widgets.keys import Keys

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget
    from textual.widgets import Input

LONGEST = 1000


class AnswerLine(Field):
    """Takes an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "as it was before", show=False),
        Binding("enter", "answer", "take it", show=False),
    ]

    @dataclass
    class Typed(Message):
        """This stands there now."""

        text: str

    @dataclass
    class Answered(Message):
        """This was the answer."""

        text: str

    @dataclass
    class Dropped(Message):
        """There is none."""

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__(id="answer-line", compact=True, select_on_focus=False, max_length=LONGEST)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell of what is typed, unless more has been typed since."""
        event.stop()
        if event.value == self.value and self.has_focus:
            self.post_message(self.Typed(event.value))

    def action_drop(self) -> None:
        """Close the line."""
        self.screen.query_one(AnswerBar).close()
        self.post_message(self.Dropped())

    def action_answer(self) -> None:
        """Close the line, and tell what stands there."""
        text = self.value
        self.screen.query_one(AnswerBar).close()
        self.post_message(self.Answered(text))


class AnswerBar(Horizontal):
    """The line and what is asked, there only while it is."""

    def __init__(self) -> None:
        """Be out of sight."""
        super().__init__(id="answer")
        self._focused_before: Widget | None = None

    def compose(self) -> ComposeResult:
        """Put them side by side."""
        yield Static("", classes="prompt", markup=False)
        yield AnswerLine()

    @property
    def is_open(self) -> bool:
        """Whether an answer is being typed."""
        return self.has_class("-open")

    def open(self, prompt: str, text: str, placeholder: str = "") -> None:
        """Take the keys, and begin with a text."""
        line = self.query_one(AnswerLine)
        if not self.is_open:
            self._focused_before = self.screen.focused
        self.query_one(Static).update(f" {prompt}")
        line.placeholder = placeholder
        self.add_class("-open")
        self.screen.query_one(Keys).display = False
        self.screen.set_focus(line)
        line.value = text
        line.cursor_position = len(text)

    def close(self) -> None:
        """Give the keys back."""
        self.remove_class("-open")
        self.screen.query_one(Keys).display = True
        self.screen.set_focus(self._focused_before)
