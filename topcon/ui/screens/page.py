"""A screen over the tree that shows lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from topcon.ui.bindings import Place
from topcon.ui.screens.frame import FrameScreen
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans

    Page = Callable[[Snapshot, int], tuple[list[Spans], list[Spans]]]
    """Writes, for a width, the titles, none or one line, and the lines below them."""


class PageScreen(FrameScreen):
    """Shows lines of a snapshot, live."""

    places: ClassVar[tuple[Place, ...]] = (Place.LINES, Place.PAGE, Place.APP)

    def __init__(self, header: Callable[[int], list[Spans]], wrong: Callable[[int], Spans], page: Page) -> None:
        """Show a page in the frame of the main screen."""
        super().__init__(header, wrong)
        self._page = page

    def fill(self, snapshot: Snapshot, width: int) -> list[Spans]:
        """Show the page."""
        titles, lines = self._page(snapshot, width)
        self.query_one(ScrollLines).show(lines)
        return titles
