"""A screen over the tree, in its frame: where and when above, what is wrong and the keys below."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from topcon.ui.bindings import Place
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.command_line import CommandBar
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines, ScrollLines
from topcon.ui.widgets.small import Small

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans

    Page = Callable[[Snapshot, int], tuple[list[Spans], list[Spans]]]
    """Writes, for a width, the titles, none or one line, and the lines below them."""


class PageScreen(Screen[None]):
    """Shows lines of a snapshot, live; a line of titles above them stays where it is."""

    view_name: ClassVar[str] = ""
    """The action that shows it, if it takes the place of the tree, and another view can take its."""
    places: ClassVar[tuple[Place, ...]] = (Place.LINES, Place.PAGE, Place.APP)
    """Whose keys the help shows."""
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.PAGE)

    def __init__(self, header: Callable[[int], list[Spans]], wrong: Callable[[int], Spans], page: Page) -> None:
        """Show a page below the main screen's header and above its line of what is wrong."""
        super().__init__()
        self.snapshot: Snapshot | None = None
        """What is shown."""
        self._header = header
        self._wrong = wrong
        self._page = page

    def compose(self) -> ComposeResult:
        """Lay out the frame."""
        yield Lines(id="header")
        yield Lines(id="titles")
        yield ScrollLines(id="page")
        yield Lines(id="wrong")
        yield CommandBar()
        yield Keys(id="keys")
        yield Small()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the page of this snapshot."""
        self.snapshot = snapshot
        width = self.size.width
        if not self.is_mounted or not width:
            return
        titles, lines = self._page(snapshot, width - 1)
        self.query_one("#header", Lines).show(self._header(width))
        self.query_one("#titles", Lines).display = bool(titles)
        self.query_one("#titles", Lines).show(titles)
        self.query_one(ScrollLines).show(lines)
        self.query_one("#wrong", Lines).show([self._wrong(width)])

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(ScrollLines).focus()

    def on_resize(self) -> None:
        """Draw again in the new width."""
        if self.snapshot is not None:
            self.call_after_refresh(self.show, self.snapshot)
