"""What has happened to it, and to those that had its place before. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.model.snapshot import PodNode

# As a whole: it knows the entries of this package.
from topcon.ui import events

if TYPE_CHECKING:
    from topcon.ui.spans import Spans
    from topcon.ui.tabs.seen import Entry, Seen


class EventView(NamedTuple):
    """What is shown."""

    query: str = ""
    """The words that an event must have in it."""


def looked_for(state: EventView, text: str) -> EventView:
    """Show what has these words in it."""
    return state._replace(query=text)


def _log(seen: Seen) -> events.Log:
    log = events.Log(seen.width, events.words_of(_query(seen)), has_names=isinstance(seen.node, PodNode))
    return events.written(log, events.of_node(seen.snapshot, seen.node), seen.snapshot.sample.wall_ns)


def _query(seen: Seen) -> str:
    return seen.state.query if isinstance(seen.state, EventView) else ""


def event_entries(seen: Seen) -> list[Entry]:
    """Write what has happened, the newest last."""
    return list(_log(seen).entries) or [events.empty_entry(seen.snapshot.events, _query(seen), seen.width)]


def event_heading(seen: Seen) -> Spans:
    """Write the title."""
    return events.title_spans(
        seen.snapshot.events, seen.width, has_names=isinstance(seen.node, PodNode), filter_text=_query(seen)
    )
