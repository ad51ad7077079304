"""No key is dead: each of the table does something where it is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from topcon.model.sample import State
from topcon.ui.bindings import KEYS, Key, Place, to_textual
from topcon.ui.painter import Painter
from topcon.ui.widgets.lines import ScrollLines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import BusyHost
    from topcon.ui.app import TopconApp

SMALL = (64, 14)
"""So that everything scrolls."""
LIVE = ("end", "up", "up")
"""Goes to a container that runs, by itself."""
PAUSED = "act('unpause')"
BEFORE: dict[str, tuple[str, ...]] = {
    "up": ("down",),
    "page-up": ("end",),
    "half-page-up": ("end",),
    "first": ("end",),
    "unfold": ("home", "left"),
    "columns-left": ("shift+right",),
    "next-match": ("slash", *"shop", "enter", "home"),
    "previous-match": ("slash", *"shop", "enter", "end"),
    "back": ("slash", "w", "enter"),
    "tree": ("4",),
    "stop": LIVE,
    "act('start')": ("end",),
    "restart": LIVE,
    "pause": LIVE,
    "kill": LIVE,
    "remove": ("end",),
    "unmark": ("space",),
    "progress": (*LIVE, "P", "y"),
}
"""What is pressed first, by the identifier or the action of a key."""
AROUND = {Place.PAGE: ("4",), Place.DETAIL: ("enter",), Place.LINES: ("question_mark",), Place.HELP: ("question_mark",)}
"""What leads to a place beside the tree."""
ELSEWHERE = frozenset(("suspend",))
"""Needs a shell, which the tests of real terminals have."""


def before(key: Key) -> tuple[str, ...]:
    own = BEFORE.get(key.action, BEFORE.get(key.id, ()))
    return (*AROUND[key.place], *own) if key.place in AROUND else own


def state(app: TopconApp, forgotten: list[Any]) -> tuple[Any, ...]:
    """All that a key can change."""
    row = app._tree.query_one(TreeTable).row
    said = [line.render_line(0).text for line in app.screen.query("#wrong")]
    scrolled = [lines.scroll_offset for lines in app.screen.query(ScrollLines)]
    focused = app.screen.focused.id if app.screen.focused else None
    return (
        *(type(app.screen), len(app.screen_stack), app._exit, app.clipboard),
        *(row.key if row else None, app._tree.view, app._tree.query_one(TreeTable).placed, said, scrolled, focused),
        *(app._is_frozen, app._has_mouse, len(forgotten)),
    )


CASES = [
    pytest.param(key, each, id=f"{key.place}-{key.id}-{each}-{number}")
    for number, key in enumerate(KEYS)
    for each in key.keys
    if key.id not in ELSEWHERE
]


@pytest.mark.parametrize(("key", "pressed"), CASES)
async def test_each_key_does_something(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch, key: Key, pressed: str
) -> None:
    forgotten: list[None] = []
    monkeypatch.setattr(Painter, "forget", lambda _: forgotten.append(None))
    if key.action == PAUSED:
        busy.docker.infos = tuple(
            replace(info, state=State.PAUSED) if info.name == "hostnet" else info for info in busy.docker.infos
        )
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        for each in before(key):
            await pilot.press(each)
            await app.workers.wait_for_complete()
            await pilot.pause()
        known = state(app, forgotten)

        await pilot.press(to_textual(pressed))
        await app.workers.wait_for_complete()
        await pilot.pause()

        assert state(app, forgotten) != known
