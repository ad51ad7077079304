"""What has happened on the host since topcon was started, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Input

from topcon.model.tombstones import tombstone_of
from topcon.ui.bindings import Place
from topcon.ui.events import (
    Log,
    choice_text,
    empty_entry,
    lately,
    successor,
    title_spans,
    words_of,
    written,
)
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


SPANS_S = (None, 3600.0, 600.0)
"""What a key goes through; the first is any time."""


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
        self._span_s: float | None = None
        self._only_bad = False
        self._log = Log(0, (), has_names=True)

    @property
    def follows_end(self) -> bool:
        """The newest comes last."""
        return True

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write what is new; the rest has been written before."""
        del height
        events, words = snapshot.events, words_of(self._text)
        if self._log[:4] != (width, words, True, self._only_bad):
            self._log = Log(width, words, has_names=True, only_bad=self._only_bad)
        now_ns = snapshot.sample.wall_ns
        self._log = written(self._log, lately(events.entries, self._span_s, now_ns), now_ns)
        choice = choice_text(self._span_s, only_bad=self._only_bad)
        entries = self._log.entries or (empty_entry(events, self._text, width, choice),)
        count = sum(entry.key is not None for entry in self._log.entries) if words or choice else None
        return [title_spans(events, width, filter_text=self._text, count=count, choice=choice)], list(entries)

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

    def action_span(self) -> None:
        """Show what has happened in the next of some spans."""
        at = SPANS_S.index(self._span_s) if self._span_s in SPANS_S else -1
        self._span_s = SPANS_S[(at + 1) % len(SPANS_S)]
        self.redraw()

    def action_since(self, seconds: float) -> None:
        """Show what has happened since so long ago."""
        self._span_s = seconds
        self.redraw()

    def action_only_bad(self) -> None:
        """Show warnings and worse alone, or all."""
        self._only_bad = not self._only_bad
        self.redraw()

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
        elif any(pod.key == event.target for pod in snapshot.pods) or tombstone_of(snapshot, event.target):
            self._reveal(event.target)
        else:
            self.post_message(Said(f"{event.name} is gone"))
