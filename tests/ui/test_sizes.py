"""The smallest terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topcon.ui.widgets.small import Small
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.ui.app import TopconApp


@pytest.mark.parametrize(
    ("size", "is_enough"), [((40, 10), True), ((39, 24), False), ((80, 9), False), ((5, 2), False)]
)
@pytest.mark.parametrize("keys", [(), ("6",), ("enter",)], ids=["tree", "sources", "details"])
async def test_a_terminal_that_is_too_small_is_told_so_in_a_sentence(
    make_app: Callable[..., TopconApp], size: tuple[int, int], is_enough: bool, keys: tuple[str, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        small = app.screen.query_one(Small)

        assert small.display is not is_enough
        assert all(other.display is is_enough for other in app.screen.children if other.id in {"header", "keys"})
        assert str(small.render()) == f"topcon needs 40x10, this terminal has {size[0]}x{size[1]}"


async def test_growing_again_brings_the_tree_back(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(30, 8)) as pilot:
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await pilot.pause()

        assert app.screen.query_one(TreeTable).row is not None


@pytest.mark.parametrize("keys", [("slash", "escape"), ("colon", "escape"), ("6",), ("enter",)])
async def test_a_terminal_that_becomes_too_small_shows_the_sentence_alone(
    make_app: Callable[..., TopconApp], keys: tuple[str, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.resize_terminal(30, 8)
        await pilot.pause()
        small = app.screen.query_one(Small)

        assert (small.region.y, app.screen.show_vertical_scrollbar) == (0, False)
        assert [each for each in app.screen.children if each.region.height and each is not small] == []
