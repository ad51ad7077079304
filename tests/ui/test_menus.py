"""Menus: by letter, by arrows, by the mouse, and longer than the terminal is high."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from samples import text_of
from textual.events import MouseScrollDown

from topcon.columns import COLUMNS
from topcon.ui.screens.menu import MenuScreen
from topcon.ui.widgets.menu import Menu

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

SORTS = [column for column in COLUMNS if column.history is None]


def seen(app: TopconApp) -> list[str]:
    return [text_of(line) for line in app.screen.query_one(Menu)._lines]


def chosen(app: TopconApp) -> str:
    (line,) = [line for line in seen(app) if line.lstrip().startswith("▸")]
    return line


async def turn(pilot: Pilot[Any]) -> None:
    menu = pilot.app.screen.query_one(Menu)
    at = menu.region.offset
    menu.post_message(
        MouseScrollDown(menu, 1, 1, 0, 1, 0, shift=False, meta=False, ctrl=False, screen_x=at.x, screen_y=at.y)
    )
    await pilot.pause()
    await pilot.pause()


def test_no_letter_is_a_key_of_the_menu_itself() -> None:
    taken = {key for binding in MenuScreen.BINDINGS if isinstance(binding, tuple) for key in binding[0].split(",")}

    assert {"q", "k", "j"} <= taken
    assert not taken & {column.letter for column in SORTS}


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
async def test_a_menu_that_is_longer_than_the_terminal_tells_so(
    make_app: Callable[..., TopconApp], size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await pilot.pause()
        top = seen(app)
        for _ in range(0, len(SORTS), 10):
            await pilot.press("pagedown")
        end = seen(app)

        assert len(top) == len(end) == app.screen.query_one(Menu).size.height < len(SORTS)
        assert (top[0].endswith("▐"), top[-1].endswith("▐")) == (True, False)
        assert (end[0].endswith("▐"), end[-1].endswith("▐")) == (False, True)
        assert SORTS[-1].help in chosen(app) or size[0] == 40

        await pilot.press("pageup", "k", "down", "j", "enter")
        assert app._tree.view.sort == SORTS[-10].name


async def test_the_mouse_chooses_what_is_under_it(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s", "pagedown")
        await pilot.pause()
        at = next(y for y, line in enumerate(seen(app)) if "memory, working set" in line)
        await pilot.click("#choices", offset=(8, at))

        assert (app._tree.view.sort, len(app.screen_stack)) == ("mem", 1)


async def test_the_wheel_moves_the_cursor_and_a_click_beside_closes(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        before = app._tree.view.sort
        await pilot.press("s")
        await pilot.pause()
        first = chosen(app)
        await turn(pilot)
        second = chosen(app)
        await pilot.click(offset=(1, 22))

        assert first != second
        assert (app._tree.view.sort, len(app.screen_stack)) == (before, 1)


@pytest.mark.parametrize(("opened", "keys"), [("columns", ("c",)), ("offers", (":",)), ("choices", ("K",))])
async def test_every_list_follows_the_wheel(
    make_app: Callable[..., TopconApp], opened: str, keys: tuple[str, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.screen.query_one(Menu).id == opened
        before = seen(app)
        await turn(pilot)

        assert seen(app) != before
