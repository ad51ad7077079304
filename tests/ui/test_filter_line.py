"""The line that a filter is typed into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples import HOSTILE_NAMES, unsafe
from textual import events

from tests.ui.looking import text
from topcon.ui.filtering import LONGEST
from topcon.ui.messages import SnapshotReady
from topcon.ui.widgets.filter_line import FilterBar, FilterLine
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import BusyHost
    from topcon.ui.app import TopconApp

SIZE = (120, 30)
SAVED = {"web": "name:web", "down": "!state:up", "downtown": "zzz"}
ALL = 8


def names(app: TopconApp) -> list[str]:
    return [row.line.node.name for row in app.screen_stack[0].query_one(TreeTable)._rows]


def selected(app: TopconApp) -> str:
    row = app.screen_stack[0].query_one(TreeTable).row
    assert row is not None
    return row.line.node.name


def line(app: TopconApp) -> FilterLine:
    return app.screen.query_one(FilterLine)


def as_keys(typed: str) -> list[str]:
    special = {" ": "space", "/": "slash", "@": "at", ">": "greater_than_sign", "%": "percent_sign", ":": "colon"}
    return [special.get(each, each) for each in typed]


async def test_a_wrong_filter_keeps_the_last_good_one_and_says_where_and_why(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *as_keys("web "))
        await pilot.pause()
        assert names(app) == ["shop", "shop-web-1"]
        assert text(app, "#found") == "1 of 7"

        await pilot.press(*as_keys("cpu>x"))
        await pilot.pause()
        assert names(app) == ["shop", "shop-web-1"]
        assert "expected a number, such as cpu>0.5" in text(app, "#found")
        marked = [
            segment.text
            for segment in line(app).render_line(0)
            if segment.style is not None and segment.style.reverse and segment.style.bold
        ]
        assert marked == ["x"]

        await pilot.press("enter")
        await pilot.pause()
        assert app.focused is line(app)

        await pilot.press("backspace", "0", "enter")
        await pilot.pause()
        assert app._tree.filter_text == "web cpu>0"
        assert app.focused is app.screen.query_one(TreeTable)
        assert app.screen.query_one(FilterBar).size.height == 0


async def test_what_is_on_the_way_to_a_comparison_hides_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *as_keys("cpu>"))
        await pilot.pause()
        assert (len(names(app)), app._tree.filter_text) == (ALL, "")

        await pilot.press(*as_keys("0 name:hog"), "home", "right", "x")
        await pilot.pause()
        assert (names(app), app._tree.filter_text) == (["hog"], "cpu>0 name:hog")


async def test_the_count_follows_the_host(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *as_keys("pod:shop"))
        await pilot.pause()
        assert "3 of 7" in text(app, "#found")
        assert "3 of 7" in text(app, "#header")

        busy.docker.infos = tuple(info for info in busy.docker.infos if info.name != "done")
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        assert "3 of 6" in text(app, "#found")
        assert "3 of 6" in text(app, "#header")


async def test_esc_shows_what_was_shown_before_and_once_more_everything(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filter_text="web")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash")
        assert line(app).value == "web"

        await pilot.press("ctrl+u", *"hog")
        await pilot.pause()
        assert names(app) == ["hog"]

        await pilot.press("escape")
        await pilot.pause()
        assert (names(app), app._tree.filter_text) == (["shop", "shop-web-1"], "web")

        await pilot.press("escape")
        await pilot.pause()
        assert (len(names(app)), app._tree.filter_text) == (ALL, "")


@pytest.mark.parametrize(
    ("keys", "kept", "at"),
    [
        (["slash", "w", "escape"], "", 0),
        (["slash", "w", "x", "backspace", "e", "enter"], "we", 0),
        (["slash", "w", "ctrl+u", "s", "h", "enter", "G"], "sh", -1),
        (["slash", "h", "o", "g", "enter", "slash", "ctrl+u", "h", "enter"], "h", 0),
    ],
)
async def test_keys_that_come_at_once_are_taken_in_their_order(
    make_app: Callable[..., TopconApp], keys: list[str], kept: str, at: int
) -> None:
    app = make_app(sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for key in keys:
            app.post_message(events.Key(key, {"slash": "/"}.get(key, key if len(key) == 1 else None)))
        for _ in range(4):
            await pilot.pause()

        assert (app._tree.filter_text, app.focused) == (kept, app.screen.query_one(TreeTable))
        assert app.screen.query_one(FilterBar).size.height == 0
        assert selected(app) == names(app)[at]


async def test_filters_of_before_come_back(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        for typed in ("web", "hog"):
            await pilot.press("slash", "ctrl+u", *typed, "enter")
        await pilot.press("escape", "slash", *"sho", "up")
        await pilot.pause()
        assert (line(app).value, names(app)) == ("hog", ["hog"])

        await pilot.press("up")
        await pilot.pause()
        assert names(app) == ["shop", "shop-web-1"]

        await pilot.press("down", "down")
        assert line(app).value == "sho"


async def test_saved_filters_are_offered_and_hold(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filters=SAVED)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "at")
        await pilot.pause()
        assert "@web, @down, @downtown" in text(app, "#found")

        await pilot.press("d", "tab")
        await pilot.pause()
        assert (line(app).value, names(app)) == ("@down", ["failed", "done"])

        await pilot.press("tab")
        await pilot.pause()
        assert text(app, "#found") == "@down  @downtown"

        await pilot.press("enter")
        await pilot.pause()
        assert "/@down" in text(app, "#header")


async def test_tab_completes_before_the_cursor_and_stays_in_the_line(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"thr5", "left", "tab")

        assert (line(app).value, line(app).cursor_position) == ("throttled>5", len("throttled>"))
        assert app.focused is line(app)


async def test_what_is_pasted_is_one_line(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "x", "left")
        app.post_message(events.Paste("shop-web-1\n\x1b[31mred\r\n"))
        await pilot.pause()
        assert line(app).value == r"shop-web-1 \x1b[31mredx"

        app.post_message(events.Paste("y" * 10_000))
        await pilot.pause()
        assert len(line(app).value) == LONGEST


async def test_a_filter_from_elsewhere_orders_the_terminal_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filter_text="|".join(f"'{name}'" for name in HOSTILE_NAMES.values() if len(name) < LONGEST / 10))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash")
        await pilot.pause()

        assert not unsafe(line(app).value)
        assert r"\x1b[2J" in line(app).value


async def test_what_matches_but_is_hidden_is_not_said_to_match_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filter_text="name:done")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        await pilot.pause()

        assert names(app) == []
        assert "nothing but what is hidden" in text(app, "#tree")


async def test_the_cursor_goes_from_match_to_match(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("home", "n", "N")
        await pilot.pause()
        assert selected(app) == names(app)[0]
        assert "next-match" not in _ids(app)

        await pilot.press("slash", *as_keys("name:shop"), "enter")
        await pilot.pause()
        assert "next-match" in _ids(app)
        await pilot.press("home")
        seen = []
        for key in "nnnnN":
            await pilot.press(key)
            seen.append(selected(app))
        containers = names(app)[1:]
        assert seen == [*containers, containers[0], containers[-1]]


def _ids(app: TopconApp) -> set[str | None]:
    return {active.binding.id for active in app.screen.active_bindings.values() if active.enabled}


@pytest.mark.parametrize(
    ("key", "said", "shown"),
    [
        ("a", "2 stopped hidden", lambda app: "done" not in names(app)),
        ("x", "hides sandboxes", lambda app: len(names(app)) == ALL),
        ("b", "hides system", lambda app: len(names(app)) == ALL),
        ("z", "only sick", lambda app: "hostnet" not in names(app) and "shop-db-1" in names(app)),
    ],
)
async def test_what_is_hidden_is_said(
    make_app: Callable[..., TopconApp], key: str, said: str, shown: Callable[[TopconApp], bool]
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert said in text(app, "#header")
        assert shown(app)

        await pilot.press(key)
        await pilot.pause()
        assert said not in text(app, "#header")
        assert len(names(app)) == ALL


async def test_a_filter_in_a_narrow_terminal_leaves_room_for_what_is_typed(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.press("slash", *as_keys("image:registry cpu>x"))
        await pilot.pause()

        assert text(app, "#filter").rstrip().endswith("cpu>x")
        assert "expected a" in text(app, "#found")
