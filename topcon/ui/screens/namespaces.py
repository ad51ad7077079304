"""Who lives in which namespace, and what is dangerous in them, live."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from topcon.model.inside import NOTHING
from topcon.ui.asking import ask_aside
from topcon.ui.namespaces import namespace_lines
from topcon.ui.screens.page import PageScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.inside import Inside
    from topcon.model.security import Privileges
    from topcon.model.snapshot import Snapshot
    from topcon.rows import ViewState
    from topcon.ui.spans import Spans

LOOK_S = 10.0
"""How often it is asked what is dangerous; soon again at first, when not all have been looked at."""
SOON_S = 1.0


class NamespaceScreen(PageScreen):
    """Shows the namespaces of all containers that run."""

    view_name = "namespaces"

    def __init__(
        self,
        view: Callable[[], ViewState],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        inside: Inside = NOTHING,
    ) -> None:
        """Show what the tree shows, in the frame of the main screen: its header and its line of what is wrong.

        ``inside`` is who is asked for what the snapshot does not say.
        """
        self._inside = inside
        self._privileges: Privileges | None = None

        def page(snapshot: Snapshot, width: int) -> tuple[list[Spans], list[Spans]]:
            written = namespace_lines(snapshot, view(), width, self._privileges)
            return [written.title], written.lines

        super().__init__(header, wrong, page)

    def on_mount(self) -> None:
        """Take the keys, and begin to ask."""
        super().on_mount()
        self._ask()

    def _ask(self) -> None:
        read, snapshot = self._inside.privileges, self.snapshot
        if read is None:
            return
        if snapshot is None:
            self.set_timer(SOON_S, self._ask)
            return
        ask_aside("privileges", partial(read, snapshot), self, self._take)

    def _take(self, found: Privileges) -> None:
        """Show it, and ask again later."""
        is_first, is_whole = self._privileges is None, not found.left_out
        self._privileges = found
        self.redraw()
        self.set_timer(LOOK_S if is_whole and not is_first else SOON_S, self._ask)
