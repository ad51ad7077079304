"""How far what was asked for has got, a line a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from topcon.ui.progress import failures_text, progress_lines
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.batch import Batch
    from topcon.model.snapshot import Snapshot

OTHER_LINES = 6
"""What the frame, the title and the line of keys take."""


class ProgressScreen(ModalScreen[None]):
    """Shows what goes on, and what has failed; it goes on without being looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,exclamation_mark", "dismiss", "leave it to itself"),
        ("y", "copy", "copy what failed"),
    ]

    def __init__(self, batches: Callable[[], Sequence[Batch]], snapshot: Snapshot | None) -> None:
        """Follow batches; ``snapshot`` tells what is left of their containers."""
        super().__init__()
        self._batches = batches
        self._snapshot = snapshot

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        with Vertical(classes="dialog", id="progress"):
            yield Static("Progress", classes="title", markup=False)
            yield ScrollLines(id="steps")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Take the keys that scroll."""
        self.query_one(ScrollLines).focus()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Use the room there is."""
        self.call_after_refresh(self._draw)

    def show(self, snapshot: Snapshot) -> None:
        """Draw how far it is."""
        self._snapshot = snapshot
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        steps = self.query_one(ScrollLines)
        width = steps.size.width - 1
        if width <= 0:
            return
        lines = progress_lines(self._batches(), self._snapshot, width)
        steps.styles.height = max(min(len(lines), self.size.height - OTHER_LINES), 1)
        steps.show(lines)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what has not failed cannot be copied."""
        del parameters
        return action != "copy" or bool(failures_text(self._batches()))

    def action_copy(self) -> None:
        """Give the reasons to the clipboard, and say so where the line of what is wrong is taken by them."""
        self.app.copy_to_clipboard(failures_text(self._batches()))
        self.query_one(".title", Static).update("Progress   what failed was copied to the terminal's clipboard")

    def on_click(self, event: events.Click) -> None:
        """Let a click beside it close it."""
        if event.widget is self:
            self.dismiss(None)
