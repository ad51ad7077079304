"""What stands on a screen that is too small for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from textual.geometry import Size

LEAST_WIDTH, LEAST_HEIGHT = 40, 10
"""Columns and lines that a screen needs. Below, ``topcon.tcss`` hides all but this widget."""
WIDTHS = [(0, "-tight"), (LEAST_WIDTH, "-roomy")]
HEIGHTS = [(0, "-low"), (LEAST_HEIGHT, "-high")]


class Small(Widget):
    """Says how much room there is, and how much is needed."""

    def render(self) -> str:
        """Write the sentence."""
        return sentence(self.app.size)


def sentence(size: Size) -> str:
    """Say that a terminal of this size is too small."""
    return f"topcon needs {LEAST_WIDTH}x{LEAST_HEIGHT}, this terminal has {size.width}x{size.height}"
