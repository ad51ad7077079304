"""The help, made from the keys that are in force."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from textual.screen import ModalScreen

from topcon.columns import COLUMNS
from topcon.ui.bindings import Group, Place, key_text, keys_of
from topcon.ui.spans import Span, Spans, Tone, fitted, width_of
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.ui.bindings import Key, Keymap
    from topcon.ui.command import Command

KEYS_WIDTH = 20
TWO_COLUMNS = 120
"""From so many columns on, blocks stand side by side."""

Block = list[Spans]


def help_lines(keys: Sequence[Key], keymap: Keymap, commands: Sequence[Command], width: int) -> list[Spans]:
    """Write what the keys in force do, by group, then the commands, the columns and the marks."""
    blocks = [
        *_key_blocks(keys, keymap),
        _block("Commands", ((command.usage, command.help) for command in commands)),
        _block("Columns", ((column.title or "■ ▲", column.help) for column in COLUMNS)),
        [
            [Span(" Marks", Tone.ACCENT)],
            _entry("■", "critical", Tone.BAD),
            _entry("▲", "a warning", Tone.WARN),
            _entry("-", "unknown; an empty limit is no limit", Tone.DIM),
        ],
    ]
    blocks = [block for block in blocks if len(block) > 1]
    promise: Spans = [Span(" Small letters only look; capitals change things, and ask first.", Tone.DIM)]
    return [promise, [], *(_side_by_side(blocks, width) if width >= TWO_COLUMNS else _below(blocks))]


def _key_blocks(keys: Sequence[Key], keymap: Keymap) -> list[Block]:
    texts: dict[Group, dict[str, str]] = {group: {} for group in Group}
    for key in keys:
        names = "  ".join(map(key_text, keys_of(key.id, keymap)))
        texts[key.group].setdefault(key.text, names)
    return [_block(group, ((names, text) for text, names in entries.items())) for group, entries in texts.items()]


def _block(title: str, entries: Iterable[tuple[str, str]]) -> Block:
    return [[Span(f" {title}", Tone.ACCENT)], *(_entry(name, text) for name, text in entries)]


def _entry(name: str, text: str, tone: Tone = Tone.STRONG) -> Spans:
    return [Span(f"   {name:{KEYS_WIDTH}}", tone), Span(f" {text}")]


def _below(blocks: Sequence[Block]) -> list[Spans]:
    lines = [line for block in blocks for line in (*block, [])]
    return lines[:-1]


def _side_by_side(blocks: Sequence[Block], width: int) -> list[Spans]:
    """Put about half of the lines into either column."""
    lengths = [len(block) + 1 for block in blocks]
    at = min(range(len(blocks) + 1), key=lambda at: max(sum(lengths[:at]), sum(lengths[at:])))
    column = width // 2
    lines: list[Spans] = []
    nothing: Spans = []
    for left, right in zip_longest(_below(blocks[:at]), _below(blocks[at:]), fillvalue=nothing):
        cut = fitted(left, column - 1)
        lines.append([*cut, Span(" " * (column - width_of(cut))), *fitted(right, width - column)])
    return lines


class HelpScreen(ModalScreen[None]):
    """Shows the keys."""

    BINDINGS: ClassVar[list[BindingType]] = bound(Place.HELP)

    def __init__(self, written: Callable[[int], list[Spans]]) -> None:
        """Show the lines that are written for a width."""
        super().__init__()
        self._written = written

    def compose(self) -> ComposeResult:
        """Lay out the help."""
        yield ScrollLines(id="help")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(ScrollLines).focus()

    def on_resize(self) -> None:
        """Write it for the width."""
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        lines = self.query_one(ScrollLines)
        # Beside the lines there may be a scroll bar.
        lines.show(self._written(lines.size.width - 1))
