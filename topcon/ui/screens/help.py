"""The help, made from the bindings that are in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import ModalScreen

from topcon.columns import COLUMNS
from topcon.ui.spans import Span, Spans, Tone
from topcon.ui.widgets.keys import Keys, key_text
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import Binding, BindingType

    from topcon.ui.command import Command

KEYS_WIDTH = 24


def help_lines(bindings: Sequence[Binding], commands: Sequence[Command] = ()) -> list[Spans]:
    """Write a line for each action with all its keys, then the commands, then what the columns mean."""
    keys: dict[str, list[str]] = {}
    for binding in bindings:
        if binding.description:
            keys.setdefault(binding.description, []).append(key_text(binding.key))
    lines: list[Spans] = [[Span(" Keys", Tone.ACCENT)]]
    for description, names in keys.items():
        lines.append([Span(f"   {'  '.join(names):{KEYS_WIDTH}}", Tone.STRONG), Span(f" {description}")])
    lines += [[], [Span(" Small letters only look; capitals change things, and ask first.", Tone.DIM)]]
    if commands:
        lines += [[], [Span(" Commands", Tone.ACCENT)]]
    for command in commands:
        lines.append([Span(f"   {command.usage:{KEYS_WIDTH}}", Tone.STRONG), Span(f" {command.help}")])
    lines += [[], [Span(" Columns", Tone.ACCENT)]]
    for column in COLUMNS:
        title = column.title or "■ ▲"
        lines.append([Span(f"   {title:{KEYS_WIDTH}}", Tone.STRONG), Span(f" {column.help}")])
    lines += [
        [],
        [Span(" Marks", Tone.ACCENT)],
        [Span(f"   {'■':{KEYS_WIDTH}}", Tone.BAD), Span(" critical")],
        [Span(f"   {'▲':{KEYS_WIDTH}}", Tone.WARN), Span(" a warning")],
        [Span(f"   {'-':{KEYS_WIDTH}}", Tone.DIM), Span(" unknown; an empty limit is no limit")],
    ]
    return lines


class HelpScreen(ModalScreen[None]):
    """Shows the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,f1,q", "dismiss", "back")]

    def __init__(self, lines: list[Spans]) -> None:
        """Show these lines."""
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the help."""
        yield ScrollLines(id="help")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Take the keys."""
        lines = self.query_one(ScrollLines)
        lines.focus()
        self.call_after_refresh(lines.show, self._lines)
