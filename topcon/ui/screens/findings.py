"""What is wrong, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.ui.findings import finding_entries, of_row, target_of, title_spans
from topcon.ui.screens.list import ListScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.ui.screens.list import Written
    from topcon.ui.spans import Spans
    from topcon.ui.widgets.list_lines import ListLines


class FindingsScreen(ListScreen):
    """Shows the findings of a row of the tree, or all of them."""

    view_name = "findings"

    def __init__(
        self,
        key: str | None,
        reveal: Callable[[str], None],
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
    ) -> None:
        """Show those of the row ``key`` in the frame of the main screen; ``reveal`` goes to a row of the tree."""
        super().__init__(header, wrong)
        self._key = key
        self._reveal = reveal

    def widen(self) -> bool:
        """Show all of them from now on; False if it does already."""
        is_narrow, self._key = self._key is not None, None
        if is_narrow:
            self.entries.reset()
            self.redraw()
        return is_narrow

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write them, worst first."""
        del height
        findings = snapshot.findings if self._key is None else of_row(snapshot, self._key)
        titles = title_spans(snapshot, self._key, findings or (), width)
        return [titles], finding_entries(snapshot, findings, width)

    def on_list_lines_chosen(self, message: ListLines.Chosen) -> None:
        """Go to the container in the tree."""
        target = target_of(message.key)
        if self.snapshot is not None and target in self.snapshot.containers:
            self._reveal(target)

    def on_list_lines_moved(self) -> None:
        """Show the keys that work on the line."""
        self.refresh_bindings()
