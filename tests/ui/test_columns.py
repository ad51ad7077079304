"""Columns, arrangements, a calm order and the mouse, on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual import events

from topcon.columns import SETS
from topcon.rows import Arrangement
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens import tree as tree_module
from topcon.ui.screens.columns import ColumnsScreen
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.widgets.tree_table import GUTTER_X, NEVER_S, TITLES, TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.ui.app import TopconApp

SIZE = (100, 30)


def names(app: TopconApp) -> list[str]:
    return [row.line.node.name for row in app._tree.query_one(TreeTable)._rows]


def shown(app: TopconApp) -> list[str]:
    return [slot.column.name for slot in app._tree.query_one(TreeTable).placed.slots]


def selected(app: TopconApp) -> str:
    row = app._tree.query_one(TreeTable).row
    assert row is not None
    return row.line.node.name


def titles(app: TopconApp) -> str:
    return app._tree.query_one(TreeTable).render_line(0).text


async def go_to(app: TopconApp, pilot: Pilot[Any], name: str) -> None:
    await pilot.press("home", *["down"] * names(app).index(name))


# Columns


async def test_a_key_goes_through_the_sets_and_comes_back_to_the_persons_own(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        seen = []
        for _ in SETS:
            await pilot.press("d")
            seen.append(app._tree.view.column_set)
        assert seen == [*list(SETS)[1:], "overview"]
        assert "FULL·C" not in titles(app)

        await pilot.press("c", "space", "enter")
        own = app._tree.view.columns
        assert own is not None
        await pilot.press(*["d"] * len(SETS))
        assert app._tree.view.columns is None
        await pilot.press("d")
        assert app._tree.view.columns == own


@pytest.mark.parametrize(("key", "is_kept"), [("enter", True), ("escape", False)])
async def test_the_dialog_shows_what_is_chosen_at_once_and_keeps_or_drops_it(
    make_app: Callable[..., TopconApp], key: str, is_kept: bool
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        before = shown(app)
        await pilot.press("c")
        assert isinstance(app.screen, ColumnsScreen)

        await pilot.press("m", "down", "down", "down", "down", "space", "comma", "comma")
        during = shown(app)
        assert "anon" not in during
        assert during[2:5] == ["state", "mem", "mem%"]

        await pilot.press("up", "shift+up")
        assert shown(app)[2:5] == ["mem", "state", "mem%"]

        chosen = shown(app)
        await pilot.press(key)
        await pilot.pause()
        assert shown(app) == (chosen if is_kept else before)
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize(("letter", "column_set"), [("p", "pressure"), ("a", "about")])
async def test_letters_typed_ahead_choose_a_set(
    make_app: Callable[..., TopconApp], letter: str, column_set: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f2", letter, "enter")
        await pilot.pause()

        assert app._tree.view.column_set == column_set
        assert app._tree.view.columns is None


async def test_columns_that_found_no_room_come_by_scrolling(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        first = shown(app)
        assert "age" not in first
        assert "→" in titles(app)

        await pilot.press(*["shift+right"] * 30)
        assert shown(app)[:2] == first[:2]
        assert shown(app)[-1] == "image"
        assert "←" in titles(app)

        await pilot.press(*["shift+left"] * 30)
        assert shown(app) == first


async def test_sorting_by_steps_goes_through_the_columns_that_are_shown(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("d", "d")
        sorts = []
        for _ in range(4):
            await pilot.press("greater_than_sign")
            sorts.append(app._tree.view.sort)

        assert sorts == ["finding", "state", "mem", "mem%"]


# Arrangements


@pytest.mark.parametrize(
    ("key", "arrangement"),
    [
        ("t", Arrangement.FLAT),
        ("f5", Arrangement.FLAT),
        ("7", Arrangement.PODS),
        ("8", Arrangement.IMAGES),
        ("9", Arrangement.RUNTIMES),
    ],
)
async def test_a_key_hangs_the_rows_in_another_way_and_the_cursor_stays_on_its_container(
    make_app: Callable[..., TopconApp], key: str, arrangement: Arrangement
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await go_to(app, pilot, "shop-web-1")

        await pilot.press(key, "right")
        row = app._tree.query_one(TreeTable).row
        assert app._tree.view.arrangement is arrangement
        assert row is not None
        inside = [row.container] if row.container else row.line.node.containers  # type: ignore[union-attr]
        assert "shop-web-1" in [each.name for each in inside if each]

        await pilot.press("1")
        assert app._tree.view.arrangement is Arrangement.TREE


async def test_t_comes_back_to_the_tree(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t")
        assert "shop" not in names(app)

        await pilot.press("t")
        assert "shop" in names(app)


async def test_a_group_has_details(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("8", "enter")
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)
        page = app.screen.query_one("#page")
        text = "\n".join(page.render_line(y).text for y in range(page.size.height))

        assert "shop:1.4" in text
        assert "shop-web-1" in text
        assert "it is gone" not in text


# A calm order


async def test_rows_do_not_dance_after_a_key_and_are_sorted_once_it_has_been_still(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "CALM_S", 3600.0)
    app = make_app(sort="cpu")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("down")
        before = names(app)
        busy._write = lambda name, pid, **options: wake_the_idle(busy, name, pid, options)  # type: ignore[method-assign]
        app.post_message(SnapshotReady(busy.tick(3)))
        await pilot.pause()
        assert names(app) == before

        monkeypatch.setattr(tree_module, "CALM_S", 0.0)
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        assert names(app) != before


def wake_the_idle(busy: BusyHost, name: str, pid: int, options: dict[str, Any]) -> None:
    """Let the idle one be the busiest from now on."""
    if name == "hostnet":
        options = options | {"usage_usec": busy.ticks * 5_000_000}
    type(busy)._write(busy, name, pid, **options)


async def test_what_is_asked_for_does_not_wait(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "CALM_S", 3600.0)
    app = make_app(sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("down")
        before = names(app)
        await pilot.press("r")

        assert names(app) != before
        assert sorted(names(app)) == sorted(before)


# The mouse


async def test_a_click_on_a_title_sorts_by_it_and_a_second_one_the_other_way_round(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        x = titles(app).index("MEM")
        await pilot.click(TreeTable, offset=(x, 0))
        await pilot.pause()
        assert (app._tree.view.sort, app._tree.view.is_reversed) == ("mem", False)

        await pilot.click(TreeTable, offset=(x, 0))
        await pilot.pause()
        assert (app._tree.view.sort, app._tree.view.is_reversed) == ("mem", True)


async def test_a_click_on_the_sign_folds_and_elsewhere_only_moves_the_cursor(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        y = TITLES + names(app).index("shop")
        await pilot.click(TreeTable, offset=(8, y))
        await pilot.pause()
        assert (selected(app), "shop-web-1" in names(app)) == ("shop", True)

        await pilot.click(TreeTable, offset=(1, y))
        await pilot.pause()
        assert "shop-web-1" not in names(app)


async def test_a_double_click_opens_the_details(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.click(TreeTable, offset=(8, TITLES + names(app).index("hog")), times=2)
        await pilot.pause()

        assert isinstance(app.screen, DetailScreen)


async def test_a_click_beside_the_name_marks_the_row(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        y = TITLES + names(app).index("hog")
        await pilot.click(TreeTable, offset=(GUTTER_X, y))
        await pilot.pause()
        tree = app._tree.query_one(TreeTable)
        assert tree.row is not None
        assert tree.row.key in app._tree.view.marks
        assert tree.render_line(y).text.startswith("•")

        await pilot.click(TreeTable, offset=(GUTTER_X, y))
        await pilot.pause()
        assert app._tree.view.marks == frozenset()


async def test_a_click_below_the_last_row_does_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.click(TreeTable, offset=(8, TITLES + len(names(app)) + 2))
        await pilot.pause()

        assert selected(app) == names(app)[0]


async def test_the_wheel_scrolls_and_the_cursor_stays_in_sight(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        tree = app._tree.query_one(TreeTable)
        assert tree.touched_s == NEVER_S
        for method, expected in (("_scroll_down", True), ("_scroll_up", False)):
            await wheel(pilot, tree, is_down=method == "_scroll_down")
            assert (tree.scroll_offset.y > 0) is expected
            top = tree.scroll_offset.y
            assert top <= tree._index < top + tree._room.height - TITLES
        assert tree.touched_s > NEVER_S


async def wheel(pilot: Pilot[Any], tree: TreeTable, *, is_down: bool) -> None:
    kind = events.MouseScrollDown if is_down else events.MouseScrollUp
    event = kind(tree, 5, 2, 0, 1 if is_down else -1, 0, shift=False, meta=False, ctrl=False)
    tree.post_message(event)
    await pilot.pause()


# By name


@pytest.mark.parametrize(
    ("typed", "column_set", "sort"), [("columns cpu", "cpu", "finding"), ("sort psi-io", "overview", "psi-io")]
)
async def test_a_set_and_a_column_can_be_named(
    make_app: Callable[..., TopconApp], typed: str, column_set: str, sort: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *({" ": "space", "-": "minus"}.get(each, each) for each in typed), "enter")
        await pilot.pause()

        assert (app._tree.view.column_set, app._tree.view.sort) == (column_set, sort)
