"""A screen over the tree whose lines can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from topcon.ui.bindings import Place
from topcon.ui.screens.frame import FrameScreen
from topcon.ui.widgets.list_lines import ListLines

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans
    from topcon.ui.tabs.seen import Entry

    Written = tuple[list[Spans], list[Entry]]
    """The titles, which stay where they are, and the entries below them."""


class ListScreen(FrameScreen):
    """Shows entries made of a snapshot, live."""

    places: ClassVar[tuple[Place, ...]] = (Place.LIST, Place.PAGE, Place.APP)

    @property
    def entries(self) -> ListLines:
        """What the entries are shown in."""
        return self.query_one(ListLines)

    @property
    def follows_end(self) -> bool:
        """Whether what is new comes last, and the cursor goes with it once it is there."""
        return False

    def body(self) -> ListLines:
        """Make what the entries are shown in."""
        return ListLines(id="page")

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write the entries for a width; so many lines are in sight."""
        raise NotImplementedError

    def fill(self, snapshot: Snapshot, width: int) -> list[Spans]:
        """Show the entries."""
        titles, entries = self.write(snapshot, width, self.entries.size.height)
        self.entries.offer(entries, follows_end=self.follows_end)
        return titles
