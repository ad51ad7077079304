"""Widgets that show lines of spans, and send to the terminal only the lines that have changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from topcon.ui.bindings import Place
from topcon.ui.spans import Span, Tone
from topcon.ui.widgets.bound import bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.binding import BindingType

    from topcon.ui.spans import Spans

TONE_CLASSES = frozenset(f"tone--{tone}" for tone in Tone)
"""Component classes, one a tone; ``topcon.tcss`` gives them their colours."""
NOT_WRITTEN = re.compile(r"(^ +| +$|[▁-▏■▲]+ *)")
"""Blanks that put a text in its column, bars, sparklines and marks."""
UPRIGHT = Style(reverse=False)
"""What is turned around twice stands upright, and so stands out."""


def to_strip(widget: Widget, spans: Iterable[Span], width: int, background: Style | None = None) -> Strip:
    """Paint spans in the widget's colours, filled up to ``width``; ``background`` is laid under all of them."""
    base = widget.rich_style
    if background is not None:
        base += background
    segments = [
        segment
        for span in spans
        for segment in _painted(span, base, widget.get_component_rich_style(f"tone--{span.tone}", partial=True))
    ]
    length = sum(cell_len(segment.text) for segment in segments)
    return Strip(segments, length).adjust_cell_length(width, base)


def _painted(span: Span, base: Style, own: Style) -> list[Segment]:
    """Paint a span in its own style upon what lies below it."""
    text, tone = span
    if base.reverse and tone is Tone.DIM:
        # What is turned around has its text's colour as its ground: that stays in one piece.
        return [Segment(text, base)]
    style = base + own + UPRIGHT if base.reverse and own.reverse else base + own
    if not (own.reverse or own.underline):
        return [Segment(text, style)]
    # Lines and grounds belong to what is written: not to the blanks around it, and a bar turned around would lie.
    drawn = base + own + Style(reverse=bool(base.reverse), underline=False)
    return [
        Segment(part, style if at % 2 == 0 else base if part.isspace() else drawn)
        for at, part in enumerate(NOT_WRITTEN.split(text))
        if part
    ]


class Lines(Widget):
    """Some lines that do not scroll."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self._lines: list[Spans] = []

    def show(self, lines: list[Spans]) -> None:
        """Show these lines, as many as there is height for."""
        before, self._lines = self._lines, lines
        height = max(len(before), len(lines))
        changed = [Region(0, y, self.size.width, 1) for y in range(height) if before[y : y + 1] != lines[y : y + 1]]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        return to_strip(self, self._lines[y] if y < len(self._lines) else (), self.size.width)


class ScrollLines(ScrollView, can_focus=True):
    """Lines that scroll."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.LINES)

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self._lines: list[Sequence[Span]] = []

    def show(self, lines: Sequence[Sequence[Span]]) -> None:
        """Show these lines; where one has scrolled to, one stays."""
        before, self._lines = self._lines, list(lines)
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines))
        if len(before) != len(self._lines):
            self.refresh()
            return
        top, height = self.scroll_offset.y, self.size.height
        for y in range(top, min(top + height, len(self._lines))):
            if before[y] != self._lines[y]:
                self.refresh_line(y)

    def render_line(self, y: int) -> Strip:
        """Draw a line of the part that is in sight."""
        at = y + self.scroll_offset.y
        return to_strip(self, self._lines[at] if at < len(self._lines) else [Span("")], self.size.width)
