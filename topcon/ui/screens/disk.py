"""Who fills the disk, live."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from topcon.model.disk import NOTHING_KNOWN
from topcon.ui.asking import ask_aside
from topcon.ui.disk import disk_lines
from topcon.ui.screens.list import ListScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from topcon.filter import Filter
    from topcon.model.disk import DiskUse, Hold
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.screens.list import Written
    from topcon.ui.spans import Spans
    from topcon.ui.widgets.list_lines import ListLines

    Look = Callable[[Collection[ContainerNode]], DiskUse]

LOOK_S = 1.0
"""How often it is asked how far reading has come, which makes it go on."""


class DiskScreen(ListScreen):
    """Shows what containers hold on disks; it is read for as long as this is on top."""

    view_name: ClassVar[str] = "disk"

    def __init__(
        self,
        look: Look | None,
        chosen: Callable[[], Filter],
        open_details: Callable[[str], object],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Show what ``look`` answers, of what the tree's filter lets through, in the frame of the main screen.

        It is None for a host that is not there to be read. ``open_details`` shows more of a row, by its key.
        """
        super().__init__(header, wrong)
        self._look = look
        self._chosen = chosen
        self._open_details = open_details
        self._use: DiskUse = NOTHING_KNOWN
        self._holds: Mapping[str, Hold] = {}
        self._is_asking = False
        self._is_touched = False
        """Whether the cursor belongs to the person: until then it stays at the top, where the most is."""

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write what is known by now."""
        written = disk_lines(self._use, snapshot, self._chosen(), width, height, is_read=self._look is not None)
        self._holds = written.holds
        if not self._is_touched and self.entries.key != written.entries[0].key:
            self.entries.reset()
        return written.titles, written.entries

    def on_mount(self) -> None:
        """Take the keys, and begin to ask."""
        super().on_mount()
        self._ask()
        self.set_interval(LOOK_S, self._ask)

    def _ask(self) -> None:
        """Ask, if it is shown, and unless an answer is still being waited for."""
        look, snapshot = self._look, self.snapshot
        if look is not None and snapshot is not None and self.app.screen is self and not self._is_asking:
            self._is_asking = True
            nodes = tuple(snapshot.containers.values())
            ask_aside("disk-look", partial(look, nodes), self, self._take)

    def _take(self, found: DiskUse) -> None:
        """Show what was answered."""
        self._is_asking = False
        if found != self._use:
            self._use = found
            self.redraw()

    def on_list_lines_moved(self) -> None:
        """Leave the cursor on its line from now on."""
        self._is_touched = True

    def on_list_lines_chosen(self, message: ListLines.Chosen) -> None:
        """Show the files of the container of the line."""
        self._is_touched = True
        hold = self._holds.get(message.key)
        if hold is not None:
            self._open_details(f"container:{hold.container}")
