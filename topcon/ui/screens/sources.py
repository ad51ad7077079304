"""How reading the host goes and what topcon costs, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.ui.screens.page import PageScreen
from topcon.ui.sources import source_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.ui.sources import Terminal
    from topcon.ui.spans import Spans


class SourceScreen(PageScreen):
    """Shows each source, each runtime, topcon itself, and what cannot be read."""

    view_name = "sources"

    def __init__(
        self,
        terminal: Callable[[], Terminal],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Show them in the frame of the main screen; ``terminal`` tells what it has been sent."""

        def page(snapshot: Snapshot, width: int) -> tuple[list[Spans], list[Spans]]:
            return [], source_lines(snapshot, terminal(), width)

        super().__init__(header, wrong, page)
