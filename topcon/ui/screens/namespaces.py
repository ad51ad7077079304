"""Who lives in which namespace, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.ui.namespaces import namespace_lines
from topcon.ui.screens.page import PageScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.rows import ViewState
    from topcon.ui.spans import Spans


class NamespaceScreen(PageScreen):
    """Shows the namespaces of all containers that run."""

    view_name = "namespaces"

    def __init__(
        self,
        view: Callable[[], ViewState],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Show what the tree shows, in the frame of the main screen: its header and its line of what is wrong."""

        def page(snapshot: Snapshot, width: int) -> tuple[list[Spans], list[Spans]]:
            written = namespace_lines(snapshot, view(), width)
            return [written.title], written.lines

        super().__init__(header, wrong, page)
