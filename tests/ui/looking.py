"""What a person sees and does first: reads a widget, waits for it, goes to a row, types."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from textual import events

from topcon.ui.bindings import to_name
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

PATIENCE_S = 10.0
ROWS = 20
"""More than any of the trees here has."""


def text(app: TopconApp, query: str = "#tree") -> str:
    """What a widget of the screen on top shows."""
    widget = app.screen.query_one(query)
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


async def until(app: TopconApp, pilot: Pilot[Any], is_so: Callable[[], object], query: str = "#page") -> None:
    """Wait until it is so; a widget says what is seen if it never is."""
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s, text(app, query)
        await pilot.pause(0.01)


async def shows(app: TopconApp, pilot: Pilot[Any], what: str, query: str = "#page") -> str:
    """Wait until a widget shows it, and return all that it shows then."""
    await until(app, pilot, lambda: what in text(app, query), query)
    return text(app, query)


async def settled(app: TopconApp, pilot: Pilot[Any]) -> None:
    """Wait for the threads that ask and act, and for what they post."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def select(pilot: Pilot[Any], app: TopconApp, name: str) -> None:
    """Go to the first row of that name."""
    await pilot.press("home")
    for _ in range(ROWS):
        row = app.screen_stack[0].query_one(TreeTable).row
        if row is not None and row.line.node.name == name:
            return
        await pilot.press("down")
    pytest.fail(f"no row is called {name}")


def typed_ahead(app: TopconApp, characters: str) -> None:
    """Have keys come all at once, as in one packet of a slow line: none waits for what the one before it does."""
    named = {"\x1b": "escape", "\r": "enter"}
    for character in characters:
        app.post_message(events.Key(named.get(character) or to_name(character), character))
