"""Which container something belongs to: asked once, answered in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.ui.asking import ask_aside
from topcon.ui.screens.list import ListScreen
from topcon.ui.who import who_entries, who_title

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.model.who import Answers
    from topcon.ui.screens.list import Written
    from topcon.ui.spans import Spans
    from topcon.ui.widgets.list_lines import ListLines


class WhoScreen(ListScreen):
    """Shows the answers; one that is chosen is shown in the tree."""

    def __init__(
        self,
        query: str,
        ask: Callable[[], Answers],
        reveal: Callable[[str], object],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Answer in the frame of the main screen.

        ``ask`` takes its time, and is called on a thread of its own; ``reveal`` shows a row of the tree by its key.
        """
        super().__init__(header, wrong)
        self._query = query
        self._asked = ask
        self._reveal = reveal
        self._answers: Answers | None = None

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write the answers: the host goes on, they stay as they were found."""
        del snapshot, height
        return [who_title(self._query, self._answers, width)], who_entries(self._answers, width)

    def on_mount(self) -> None:
        """Take the keys, and ask."""
        super().on_mount()
        ask_aside("who", self._asked, self, self._take)

    def _take(self, answers: Answers) -> None:
        """Show them."""
        self._answers = answers
        self.redraw()
        self.refresh_bindings()

    def on_list_lines_chosen(self, message: ListLines.Chosen) -> None:
        """Go to it in the tree."""
        target = self._answers.answers[int(message.key)].target if self._answers is not None else None
        if target is not None:
            self._reveal(target)
