"""What has happened on the host since topcon was started, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Input

from topcon.ui.bindings import Place
from topcon.ui.events import Log, empty_entry, successor, title_spans, words_of, written
from topcon.ui.messages import Said
from topcon.ui.screens.searched import SearchedScreen
from topcon.ui.widgets.bound import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from topcon.model.snapshot import Snapshot
    from topcon.ui.screens.list import Written
    from topcon.ui.spans import Spans
    from topcon.ui.widgets.list_lines import ListLines


class EventScreen(SearchedScreen):
    """Shows all events, the newest last, or those that have some words in them."""

    BINDINGS: ClassVar[list[BindingType]] = bound(Place.EVENTS)
    view_name = "events"
    places = (Place.EVENTS, *SearchedScreen.places)

    def __init__(
        self,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        *,
        reveal: Callable[[str], object],
        show_sources: Callable[[], object],
    ) -> None:
        """Stand in the frame of the main screen: its header and its line of what is wrong.

        ``reveal`` shows a container in the tree, ``show_sources`` how the runtimes are doing.
        """
        super().__init__(header, wrong)
        self._reveal = reveal
        self._show_sources = show_sources
        self._text = ""
        self._log = Log(0, (), has_names=True)

    @property
    def follows_end(self) -> bool:
        """The newest comes last."""
        return True

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write what is new; the rest has been written before."""
        del height
        events, words = snapshot.events, words_of(self._text)
        if (self._log.width, self._log.words) != (width, words):
            self._log = Log(width, words, has_names=True)
        self._log = written(self._log, events.entries, snapshot.sample.wall_ns)
        entries = self._log.entries or (empty_entry(events, self._text, width),)
        count = sum(entry.key is not None for entry in self._log.entries) if words else None
        return [title_spans(events, width, filter_text=self._text, count=count)], list(entries)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: one that comes first must not come before what is typed."""
        del parameters
        return action != "search" or not isinstance(self.focused, Input)

    @property
    def words(self) -> str:
        """What the events have in them; empty for all."""
        return self._text

    def search(self, words: str) -> None:
        """Show what has these."""
        self._text = words
        self.redraw()
        self.refresh_bindings()

    def on_list_lines_chosen(self, message: ListLines.Chosen) -> None:
        """Go to the container in the tree, or to the one that has its place now."""
        snapshot = self.snapshot
        event = next((each for each in self._log.events if str(each.number) == message.key), None)
        if snapshot is None or event is None:
            return
        container = successor(snapshot, event)
        if container is not None:
            self._reveal(container.key)
        elif event.target.startswith("runtime:"):
            self._show_sources()
        elif any(pod.key == event.target for pod in snapshot.pods):
            self._reveal(event.target)
        else:
            self.post_message(Said(f"{event.name} is gone"))
