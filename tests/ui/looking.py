"""What a person sees and does first: reads a widget, goes to a row, types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual import events

from topcon.ui.bindings import to_name
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

ROWS = 20
"""More than any of the trees here has."""


def text(app: TopconApp, query: str = "#tree") -> str:
    """What a widget of the screen on top shows."""
    widget = app.screen.query_one(query)
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


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
