"""Who lives in which namespace, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from topcon.ui.namespaces import namespace_lines
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines, ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.model.snapshot import Snapshot
    from topcon.rows import ViewState
    from topcon.ui.spans import Spans


class NamespaceScreen(Screen[None]):
    """Shows the namespaces of all containers that run."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,1,4,q", "dismiss", "back")]

    def __init__(
        self,
        view: Callable[[], ViewState],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Show what the tree shows, in the frame of the main screen: its header and its line of what is wrong."""
        super().__init__()
        self._view = view
        self._header = header
        self._wrong = wrong
        self._snapshot: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """Lay out the frame."""
        yield Lines(id="header")
        yield Lines(id="titles")
        yield ScrollLines(id="namespaces")
        yield Lines(id="wrong")
        yield Keys(id="keys")

    def show(self, snapshot: Snapshot) -> None:
        """Draw the namespaces as they are in this snapshot."""
        self._snapshot = snapshot
        width = self.size.width
        if not self.is_mounted or not width:
            return
        page = namespace_lines(snapshot, self._view(), width - 1)
        self.query_one("#header", Lines).show(self._header(width))
        self.query_one("#titles", Lines).show([page.title])
        self.query_one(ScrollLines).show(page.lines)
        self.query_one("#wrong", Lines).show([self._wrong(width)])

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(ScrollLines).focus()

    def on_resize(self) -> None:
        """Draw again in the new width."""
        if self._snapshot is not None:
            self.call_after_refresh(self.show, self._snapshot)
