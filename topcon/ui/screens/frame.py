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


class FrameScreen(Screen[None]):
    """Shows what is made of a snapshot, live; a line of titles above it stays where it is."""

    view_name: ClassVar[str] = ""
    """The action that shows it, if it takes the place of the tree, and another view can take its."""
    places: ClassVar[tuple[Place, ...]]
    """Whose keys the help shows."""
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.PAGE)

    def __init__(self, header: Callable[[int], list[Spans]], wrong: Callable[[int], Spans]) -> None:
        """Stand below the main screen's header and above its line of what is wrong."""
        super().__init__()
        self.snapshot: Snapshot | None = None
        """What is shown."""
        self._header = header
        self._wrong = wrong

    def compose(self) -> ComposeResult:
        """Lay out the frame."""
        yield Lines(id="header")
        yield Lines(id="titles")
        yield self.body()
        yield Lines(id="wrong")
        yield CommandBar()
        yield Keys(id="keys")
        yield Small()

    def body(self) -> ScrollLines:
        """Make what the lines are shown in."""
        return ScrollLines(id="page")

    def fill(self, snapshot: Snapshot, width: int) -> list[Spans]:
        """Show the lines of this snapshot, written for a width; return the titles above them."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot) -> None:
        """Draw what this snapshot says."""
        self.snapshot = snapshot
        width = self.size.width
        if not self.is_mounted or not width:
            return
        titles = self.fill(snapshot, width - 1)
        self.query_one("#header", Lines).show(self._header(width))
        above = self.query_one("#titles", Lines)
        above.display = bool(titles)
        above.styles.height = max(len(titles), 1)
        above.show(titles)
        self.query_one("#wrong", Lines).show([self._wrong(width)])

    def redraw(self) -> None:
        """Draw again what is shown: something else than the snapshot has changed."""
        if self.snapshot is not None:
            self.show(self.snapshot)

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(ScrollLines).focus()

    def on_resize(self) -> None:
        """Draw again in the new width."""
        if self.snapshot is not None:
            self.call_after_refresh(self.show, self.snapshot)
