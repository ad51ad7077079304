"""Colours no more than the terminal has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.color import ColorSystem
from rich.segment import Segment
from textual.filter import LineFilter, Monochrome, NoColor

from topcon.ui.capabilities import Colors

if TYPE_CHECKING:
    from textual.app import App
    from textual.color import Color

_SYSTEMS = {
    # Nothing is left to send in colour then.
    Colors.NONE: ColorSystem.STANDARD,
    Colors.FEW: ColorSystem.STANDARD,
    Colors.MANY: ColorSystem.EIGHT_BIT,
    Colors.ALL: ColorSystem.TRUECOLOR,
}


class WithoutColors(LineFilter):
    """Takes the colours away, and leaves what is bold, dim, underlined or turned around."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Take them from a line."""
        del background
        return [
            Segment(text, style.without_color if style is not None else None, control)
            for text, style, control in segments
        ]


def limit_colors(app: App[Any], colors: Colors) -> None:
    """Have an app that does not run yet send no more colours than there are."""
    # Textual's own filters write greys, or name the default colours, where there should be none.
    app._filters = [each for each in app._filters if not isinstance(each, Monochrome | NoColor)]  # noqa: SLF001
    app.no_color = colors is Colors.NONE
    if app.no_color:
        app._filters.append(WithoutColors())  # noqa: SLF001  there is no other way in
    # Textual asks here what it may send, and takes "nothing" for "everything".
    app.console._color_system = _SYSTEMS[colors]  # noqa: SLF001
