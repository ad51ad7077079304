"""The line of commands: it opens in each view, does what is typed, and says what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from topcon.config import INTERVAL_SETTING
from topcon.ui.app import Following, TopconApp
from topcon.ui.screens.help import HelpScreen
from topcon.ui.screens.namespaces import NamespaceScreen
from topcon.ui.screens.sources import SourceScreen
from topcon.ui.themes import load_theme
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import BusyHost

SIZE = (80, 24)


def typed(text: str) -> list[str]:
    names = {" ": "space", ".": "full_stop", ":": "colon"}
    return [names.get(character, character) for character in text]


def wrong_line(app: TopconApp) -> str:
    return app.screen.query_one("#wrong", Lines).render_line(0).text.strip()


def is_open(app: TopconApp) -> bool:
    line, keys = app.screen.query_one(CommandLine), app.screen.query_one(Keys)
    assert line.is_open is not keys.display
    assert line.is_open is (app.focused is line)
    return line.is_open


class Followed:
    """Notes what it is told."""

    def __init__(self, busy: BusyHost) -> None:
        self.intervals: list[float] = []
        self.is_stopped = False
        self.app = TopconApp(
            lambda *_: Following(self._stop, self.intervals.append),
            theme=load_theme("topcon-dark"),
            first=busy.tick(3),
            parse_interval=INTERVAL_SETTING.parse,
        )

    def _stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def followed(busy: BusyHost) -> Followed:
    return Followed(busy)


@pytest.mark.parametrize(("text", "seconds"), [("interval 5s", 5.0), ("interval 0.5", 0.5), (":interval 3600", 3600.0)])
async def test_the_interval_is_set_and_shown(followed: Followed, text: str, seconds: float) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *typed(text), "enter")
        await pilot.pause()

        assert followed.intervals == [seconds]
        assert not is_open(app)
        assert isinstance(app.focused, TreeTable)
        assert f" {seconds:g}s " in app.screen.query_one("#header", Lines).render_line(0).text
    assert followed.is_stopped


async def test_a_mistake_is_told_in_place_until_something_is_typed(followed: Followed) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *typed("interval 5x"), "enter")
        await pilot.pause()
        assert wrong_line(app) == "'5x': expected seconds from 0.1 to 3600"
        assert is_open(app)
        assert app.screen.query_one(CommandLine).value == "interval 5x"

        await pilot.press("backspace")
        await pilot.pause()
        assert "expected" not in wrong_line(app)
        await pilot.press("enter")
        await pilot.pause()

        assert followed.intervals == [5.0]


async def test_a_mistake_is_forgotten_with_esc(followed: Followed) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *typed("nonsense"), "enter", "escape")
        await pilot.pause()

        assert not is_open(app)
        assert "expected" not in wrong_line(app)
        await pilot.press("colon")
        assert app.screen.query_one(CommandLine).value == ""


async def test_esc_closes_the_line_and_neither_the_view_nor_the_filter(followed: Followed) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "w", "enter", "colon", "escape")
        assert "/w" in app.screen.query_one("#header", Lines).render_line(0).text

        await pilot.press("6", "colon", "q", "1")
        assert is_open(app)
        assert app.screen.query_one(CommandLine).value == "q1"
        await pilot.press("escape")
        assert not is_open(app)
        assert isinstance(app.screen, SourceScreen)


@pytest.mark.parametrize("text", ["q", "quit"])
@pytest.mark.parametrize("view", ["1", "4", "6"])
async def test_quit_quits_from_each_view(followed: Followed, text: str, view: str) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(view, "colon", *typed(text), "enter")
        await pilot.pause()

        assert app._exit
        assert app.return_code == 0


@pytest.mark.parametrize(
    ("text", "screen"), [("namespaces", NamespaceScreen), ("sources", SourceScreen), ("help", HelpScreen)]
)
async def test_the_views_have_names(followed: Followed, text: str, screen: type) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *typed(text), "enter")
        await pilot.pause()
        assert isinstance(app.screen, screen)


@pytest.mark.parametrize("view", ["4", "6"])
async def test_tree_goes_back_to_the_tree(followed: Followed, view: str) -> None:
    app = followed.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(view, "colon", *typed("tree"), "enter")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_a_colon_is_a_colon_in_the_filter(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "colon")

        assert app.query_one("#filter", Input).value == ":"


async def test_the_help_lists_the_commands(followed: Followed) -> None:
    app = followed.app
    async with app.run_test(size=(130, 90)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        lines = app.screen.query_one("#help")
        text = "\n".join(lines.render_line(y).text for y in range(lines.size.height))

    for usage in (":interval SECONDS", ":sources", ":quit  :q"):
        assert usage in text
