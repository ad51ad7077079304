"""What a person sees and does first: reads a widget, goes to a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from textual.pilot import Pilot
    from textual.screen import Screen

    from topcon.ui.app import TopconApp

ROWS = 20
"""More than any of the trees here has."""


def text(app: TopconApp, query: str = "#tree", screen: Screen[Any] | None = None) -> str:
    """What a widget shows, of the screen on top or of another one."""
    widget = (screen or app.screen).query_one(query)
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


def behind(app: TopconApp, query: str) -> str:
    """What a widget of the tree's screen shows, whatever lies over it."""
    return text(app, query, app.screen_stack[0])


async def select(pilot: Pilot[Any], app: TopconApp, name: str) -> None:
    """Go to the first row of that name."""
    await pilot.press("home")
    for _ in range(ROWS):
        row = app.screen_stack[0].query_one(TreeTable).row
        if row is not None and row.line.node.name == name:
            return
        await pilot.press("down")
    pytest.fail(f"no row is called {name}")
