"""Draws on a terminal that knows nothing but ASCII."""

from __future__ import annotations

from topcon.ui.driver import TerminalDriver
from topcon.ui.glyphs import to_ascii


class AsciiDriver(TerminalDriver):
    """The last before the terminal, so that nothing gets by."""

    def write(self, data: str) -> None:
        """Send a text soon, in ASCII."""
        super().write(to_ascii(data))
