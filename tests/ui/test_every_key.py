"""No key is dead: each of the table does something where it is there."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.test_inside_tabs import inspect
from tests.ui.test_process_tab import processes
from topcon.model.disk import DiskUse
from topcon.model.files import FilesSeen, LayerSizes
from topcon.model.inside import Inside
from topcon.model.output import Batch
from topcon.model.sample import LogLine, State
from topcon.recording.memory import Memory, MemoryReader
from topcon.ui.bindings import KEYS, Key, Place, to_textual
from topcon.ui.painter import Painter
from topcon.ui.past import Recalled
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.logs import LogScreen
from topcon.ui.tabs import TABS
from topcon.ui.widgets.lines import Lines, ScrollLines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from tests.ui.conftest import BusyHost
    from topcon.ui.app import TopconApp

SMALL = (64, 14)
"""So that everything scrolls."""
LIVE = ("end", "up")
"""Goes to a container that runs, by itself."""
PAUSED = "act('unpause')"
PAST = ("left_square_bracket",)
"""Goes a sample back from what is now."""


class Talk:
    """What a container has written: in all the ways in which lines can be shown."""

    where = "docker"

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._batch: Batch | None = Batch(
            tuple(
                LogLine(number * 10**9, is_stderr=False, text=text * 30 if text[0] != "{" else text)
                for number in range(30)
                for text in ("shop \x1b[31mred\x1b[0m ", '{"level":"warn"}')
            )
        )

    def read(self) -> Batch | None:
        batch, self._batch = self._batch, None
        if batch is None:
            self._stopped.wait(10)
        return batch

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        pass


INSIDE = Inside(
    files=lambda _: FilesSeen(disk=DiskUse()),
    sizes=lambda _: LayerSizes(1, 2),
    follow=lambda *_: Talk(),
    processes=processes,
    inspect=inspect,
)


def tab_of(name: str) -> tuple[str, ...]:
    """What leads to a tab of a container's details, from those that are open."""
    names = [tab.name for tab in TABS if tab.look is None or tab.is_there(INSIDE)]
    return ("escape", *LIVE, "enter", *(["tab"] * names.index(name)))


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
    "step(1)": ("home",),
    "step_page(1.0)": ("home",),
    "step_page(0.5)": ("home",),
    "newest": ("home",),
    "sideways(-1)": ("right",),
    "step-on": (*PAST, *PAST),
    "minute-on": (*PAST, *PAST),
    "event-on": PAST,
    "slower": (*PAST, "apostrophe"),
    "faster": PAST,
    "now": PAST,
    "past('pause', 0)": (*PAST, "f"),
    "past('play', 0)": PAST,
    "past('step', -1)": PAST,
    "sizes": tab_of("files"),
    "detail left": tab_of("charts"),
    "detail right": (*tab_of("charts"), "left"),
    "detail more": tab_of("charts"),
    "detail less": tab_of("charts"),
    "detail first": tab_of("charts"),
    "detail last": (*tab_of("charts"), "home"),
    "detail processes": ("escape", *LIVE, "enter"),
    "detail inspect": ("escape", *LIVE, "enter"),
    "detail fold-all": tab_of("inspect"),
    "detail reveal": (*tab_of("inspect"), "asterisk"),
    "detail copy": tab_of("inspect"),
    "detail filter": tab_of("inspect"),
    "detail sort": tab_of("processes"),
    "detail flat": tab_of("processes"),
    "detail reverse": tab_of("processes"),
    "detail kill": tab_of("processes"),
}
"""What is pressed first, by the identifier of a key, after its place where it is there in others, or by its action."""
AROUND = {Place.PAGE: ("4",), Place.DETAIL: ("enter",), Place.LINES: ("question_mark",), Place.HELP: ("question_mark",)}
AROUND |= {Place.LOG: ("l",)}
"""What leads to a place beside the tree."""
ELSEWHERE = frozenset(("suspend",))
"""Needs a shell, which the tests of real terminals have."""


def before(key: Key) -> tuple[str, ...]:
    own = BEFORE.get(f"{key.place} {key.id}") or BEFORE.get(key.action) or BEFORE.get(key.id, ())
    return (*AROUND[key.place], *own) if key.place in AROUND else own


def state(app: TopconApp, forgotten: list[Any]) -> tuple[Any, ...]:
    """All that a key can change."""
    row = app._tree.query_one(TreeTable).row
    said = [line.render_line(0).text for line in app.screen.query("#wrong")]
    scrolled = [lines.scroll_offset for lines in app.screen.query(ScrollLines)]
    lines: list[Lines | ScrollLines] = [*app.screen.query(ScrollLines), *app.screen.query("#titles").results(Lines)]
    shown = [list(map(list, each._lines)) for each in lines]
    focused = app.screen.focused.id if app.screen.focused else None
    return (
        *(type(app.screen), len(app.screen_stack), app._exit, app.clipboard),
        *(
            row.key if row else None,
            app._tree.view,
            app._tree.query_one(TreeTable).placed,
            said,
            scrolled,
            shown,
            focused,
        ),
        *(app._is_frozen, app._has_mouse, len(forgotten), app._past.playing),
    )


def is_waiting(screen: Screen[Any]) -> bool:
    """Whether there is more to come than what is shown."""
    if isinstance(screen, LogScreen):
        return not screen.output.ring.entries
    return isinstance(screen, DetailScreen) and bool(screen._asking)


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
    memory = Memory()
    for _ in range(5):
        memory.add(busy.tick())
    app = make_app(inside=INSIDE, recalled=Recalled(lambda: MemoryReader(memory)))
    async with app.run_test(size=SMALL) as pilot:
        for each in before(key):
            await pilot.press(each)
            await app.workers.wait_for_complete()
            await pilot.pause()
            while is_waiting(app.screen) or app._past.is_busy:
                await pilot.pause(0.02)
        known = state(app, forgotten)

        await pilot.press(to_textual(pressed))
        await app.workers.wait_for_complete()
        while app._past.is_busy:
            await pilot.pause(0.02)
        await pilot.pause()

        assert state(app, forgotten) != known
