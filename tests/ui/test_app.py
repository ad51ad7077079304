from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeHost

from tests.ui.looking import select, settled, shows, text, typed_ahead, until
from topcon.model.inside import Inside
from topcon.model.sample import LogLine
from topcon.ui import app as app_module
from topcon.ui.messages import SamplerFailed, SnapshotReady
from topcon.ui.screens import detail
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.help import HelpScreen
from topcon.ui.screens.menu import MenuScreen
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.small import LEAST_WIDTH
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import BusyHost, NotingActions
    from topcon.model.sample import ContainerId
    from topcon.ui.app import TopconApp

SIZE = (120, 30)


def names(app: TopconApp) -> list[str]:
    """The names in the tree, from top to bottom."""
    return [row.line.node.name for row in app.screen_stack[0].query_one(TreeTable)._rows]


def selected(app: TopconApp) -> str:
    row = app.screen_stack[0].query_one(TreeTable).row
    assert row is not None
    return row.line.node.name


async def test_the_sick_come_first_and_the_stopped_last(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()

        assert names(app) == ["shop", "shop-db-1", "shop-worker-1", "shop-web-1", "hog", "failed", "hostnet", "done"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["down"], 1),
        (["j", "j", "k"], 1),
        (["up"], 0),
        (["end"], 7),
        (["G", "g"], 0),
        (["G", "home"], 0),
        (["pagedown"], 7),
        (["pagedown", "pageup"], 0),
        (["ctrl+d"], 7),
        (["ctrl+d", "ctrl+u"], 0),
    ],
)
async def test_the_cursor_moves(make_app: Callable[..., TopconApp], keys: list[str], expected: int) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*keys)

        assert selected(app) == names(app)[expected]


async def test_the_cursor_stays_on_its_container_when_rows_move(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hostnet")
        await pilot.press("less_than_sign", "r")
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert selected(app) == "hostnet"


async def test_before_any_key_the_cursor_waits_at_the_top(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app(sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        first = selected(app)
        busy.docker.infos = tuple(info for info in busy.docker.infos if info.name != first)
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert selected(app) == names(app)[0]


async def test_folding_and_unfolding(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop-worker-1")
        await pilot.press("left")
        assert selected(app) == "shop"

        await pilot.press("left")
        assert "shop-web-1" not in names(app)

        await pilot.press("right")
        assert "shop-web-1" in names(app)

        await pilot.press("asterisk")
        assert "shop-web-1" not in names(app)

        await pilot.press("asterisk")
        assert "shop-web-1" in names(app)

        await pilot.press("minus")
        assert "shop-web-1" not in names(app)

        await pilot.press("plus")
        assert "shop-web-1" in names(app)


async def test_a_filter_applies_while_it_is_typed_and_escape_takes_it_away(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"web")
        assert names(app) == ["shop", "shop-web-1"]

        await pilot.press("enter")
        assert names(app) == ["shop", "shop-web-1"]
        assert "/web" in text(app, "#header")

        await pilot.press("escape")
        assert len(names(app)) == 8


async def test_escape_while_typing_a_filter_drops_it(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"zzz")
        assert "nothing matches /zzz" in text(app)

        await pilot.press("escape")
        assert len(names(app)) == 8

        await pilot.press("down")
        assert selected(app) == names(app)[1]


async def test_letters_in_the_filter_are_no_commands(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"qSRPK")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert actions.requests == []


async def test_sorting_by_the_menu_and_by_steps(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("s")
        assert isinstance(app.screen, MenuScreen)
        await pilot.press("n")
        await pilot.pause()
        assert names(app)[0] == "done"

        await pilot.press("r")
        assert names(app)[0] == "shop"

        await pilot.press("s", "m")
        await pilot.pause()
        assert names(app)[0] == "shop"

        await pilot.press("s", "escape")
        assert len(app.screen_stack) == 1

        await pilot.press("s", "home", "down", "enter")
        await pilot.pause()
        assert len(app.screen_stack) == 1

        before = app._tree.view.sort
        await pilot.press("greater_than_sign")
        assert app._tree.view.sort != before
        await pilot.press("less_than_sign")
        assert app._tree.view.sort == before


async def test_stopped_ones_hide_and_come_back(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        assert "done" not in names(app)
        assert "2 stopped hidden" in text(app, "#header")

        await pilot.press("a")
        assert "done" in names(app)


@pytest.mark.parametrize("keys", [(), ("f",)], ids=["live", "frozen"])
async def test_old_data_is_told_to_be_old(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    monkeypatch.setattr(app_module, "LATE_S", 0.2)
    app = make_app(interval_s=0.1)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*keys)
        await shows(app, pilot, " old", "#header")
        await pilot.press(*keys)
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert " old" not in text(app, "#header")


async def test_a_frozen_screen_goes_on_counting(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "LATE_S", 3600.0)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f")
        before = text(app, "#header")
        assert "FROZEN" in before
        app.post_message(SnapshotReady(busy.tick(5)))
        await pilot.pause()
        assert text(app, "#header") == before

        await pilot.press("f")
        await pilot.pause()
        assert "FROZEN" not in text(app, "#header")
        assert app._shown is busy.sampler.newest


async def test_details_follow_the_container_until_it_is_gone(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop-worker-1")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)
        assert "throttled in 80% of its periods" in text(app, "#page")
        assert "shop (compose)" in text(app, "#page")

        app.post_message(SnapshotReady(replace(busy.tick(), containers={}, pods=())))
        await pilot.pause()
        assert "it is gone" in text(app, "#page")

        await pilot.press("escape")
        assert len(app.screen_stack) == 1


def name_of(app: TopconApp, container: ContainerId) -> str:
    assert app._shown is not None
    return next(node.name for node in app._shown.containers.values() if node.info.id == container)


def written(*texts: str) -> tuple[LogLine, ...]:
    return tuple(LogLine(None, is_stderr=False, text=text) for text in texts)


async def test_details_show_what_the_container_has_written_and_nothing_it_orders(
    make_app: Callable[..., TopconApp],
) -> None:
    asked: list[ContainerId] = []

    def tail(container: ContainerId) -> tuple[LogLine, ...]:
        asked.append(container)
        return (*written("\x1b[2Jhello"), LogLine(0, is_stderr=True, text="\u202ebad"))

    app = make_app(inside=Inside(tail=tail), actions=None)
    async with app.run_test(size=(80, 60)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        await shows(app, pilot, "hello")

        shown = text(app, "#page")
        assert [name_of(app, container) for container in asked] == ["hog"]
        assert "Output" in shown
        assert r"  \x1b[2Jhello" in shown
        assert r"! \u202ebad" in shown
        assert not {"\x1b", "\u202e"} & set(shown)


async def test_output_is_asked_for_again_and_may_come_to_nothing(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "LOOK_S", 0.01)
    said = [written("first"), written("second")]
    app = make_app(inside=Inside(tail=lambda _: said[0]))
    async with app.run_test(size=(80, 60)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        for expected in ("first", "second"):
            await shows(app, pilot, expected)
            said.pop(0)
            said.append(())
        await until(app, pilot, lambda: "Output" not in text(app, "#page"))


async def test_details_do_not_wait_for_output(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "LOOK_S", 0.001)
    released = threading.Event()
    asked: list[ContainerId] = []

    def tail(container: ContainerId) -> tuple[LogLine, ...]:
        asked.append(container)
        released.wait()
        return written("late")

    app = make_app(inside=Inside(tail=tail))
    async with app.run_test(size=(80, 60)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        await pilot.pause(0.05)
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        assert "Isolation" in text(app, "#page")
        assert "Output" not in text(app, "#page")
        assert len(asked) == 1

        await pilot.press("escape")
        assert len(app.screen_stack) == 1

    # Nor does the end wait, and what comes after it is lost in silence.
    asking = [thread for thread in threading.enumerate() if thread.name == "topcon-overview"]
    assert len(asking) == 1
    released.set()
    asking[0].join()


async def test_an_error_of_our_own_in_asking_for_output_ends_the_app(make_app: Callable[..., TopconApp]) -> None:
    def tail(container: ContainerId) -> tuple[LogLine, ...]:
        raise ZeroDivisionError(container)

    with pytest.raises(ZeroDivisionError):
        await _open_until_it_ends(make_app(inside=Inside(tail=tail)))


async def _open_until_it_ends(app: TopconApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        while app.is_running:
            await pilot.pause(0.01)


async def test_what_has_gone_keeps_the_output_that_was_seen_last(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    app = make_app(inside=Inside(tail=lambda _: written("last words")))
    async with app.run_test(size=(80, 60)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        await shows(app, pilot, "last words")
        app.post_message(SnapshotReady(replace(busy.tick(), containers={}, pods=())))
        await pilot.pause()

        assert "it is gone" in text(app, "#page")
        assert "last words" in text(app, "#page")


async def test_a_pod_has_no_output_of_its_own(make_app: Callable[..., TopconApp]) -> None:
    asked: list[ContainerId] = []
    app = make_app(inside=Inside(tail=lambda container: (asked.append(container), ())[1]))
    async with app.run_test(size=SIZE) as pilot:
        while app.screen_stack[0].query_one(TreeTable).row.container:  # type: ignore[union-attr]
            await pilot.press("down")
        await pilot.press("enter")
        await settled(app, pilot)

        assert isinstance(app.screen, DetailScreen)
        assert asked == []


async def test_help_names_every_key(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 100)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = text(app, "#help")
        for key in (
            "enter",
            "/",
            "F4",
            "F6",
            "PgDn",
            "ctrl+d",
            "Home",
            "esc",
            "S",
            "R",
            "P",
            "K",
            "F9",
            "?",
            "q",
            "F10",
        ):
            assert f" {key} " in f"{shown} ".replace("\n", " \n "), key

        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_read_only_takes_the_keys_away(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(actions=None)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("S", "R", "P", "K", "f9")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert "read-only" in text(app, "#header")
        assert "stop" not in text(app, "#keys")
        await pilot.press("question_mark")
        await pilot.pause()
        assert "restart" not in text(app, "#help")


async def test_the_keys_are_those_that_work_on_the_row(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        assert "S stop" in text(app, "#keys")

        await select(pilot, app, "done")
        assert "S start" in text(app, "#keys")
        assert "kill" not in text(app, "#keys")

        await select(pilot, app, "shop")
        assert "S stop" in text(app, "#keys")


async def test_every_key_in_the_footer_is_alive(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        for key in ("enter", "slash", "s", "S", "R", "P", "K", "question_mark"):
            before = (len(app.screen_stack), app.screen.focused)
            await pilot.press(key)
            await settled(app, pilot)
            assert (len(app.screen_stack), app.screen.focused) != before, key
            await pilot.press("escape")
            await settled(app, pilot)
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("S", "tab next  esc cancel  y yes"),
        ("P", "tab next  esc cancel  y yes"),
        ("s", "esc back  ↑ up  ↓ down  enter choose"),
        ("question_mark", "esc back"),
        ("enter", "tab next tab  esc back  ? help  F10 quit"),
    ],
)
async def test_what_lies_over_the_tree_has_its_own_keys(
    make_app: Callable[..., TopconApp], busy: BusyHost, key: str, keys: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        of_the_tree = text(app, "#keys")
        await pilot.press(key)
        await settled(app, pilot)
        assert text(app, "#keys").strip() == keys

        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        assert text(app, "#keys").strip() == keys

        await pilot.press("escape")
        await pilot.pause()
        assert text(app, "#keys") == of_the_tree


@pytest.mark.parametrize(("keys", "filtered", "sort"), [("/bus/s", "bus/s", "finding"), ("sn", "", "name")])
async def test_letters_that_are_typed_ahead_go_where_they_were_meant(
    make_app: Callable[..., TopconApp], keys: str, filtered: str, sort: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        typed_ahead(app, keys)
        await settled(app, pilot)

        assert (app._tree.filter_text, app._tree.view.sort, len(app.screen_stack)) == (filtered, sort, 1)


async def test_a_letter_that_is_typed_answers_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("K")
        await settled(app, pilot)
        await pilot.press("shift+tab")
        await pilot.pause()
        assert "yes" not in text(app, "#keys")

        await pilot.press("y")
        await pilot.pause()
        assert len(app.screen_stack) == 2


async def test_a_hundred_snapshots_at_once_draw_the_newest(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        drawn: list[int] = []
        header = app.query_one("#header", Lines)
        show = header.show
        header.show = lambda lines: (drawn.append(1), show(lines))[1]  # type: ignore[method-assign,func-returns-value]
        snapshots = [busy.tick() for _ in range(100)]
        for snapshot in snapshots:
            app.post_message(SnapshotReady(snapshot))
        await pilot.pause()

        assert app._shown is snapshots[-1]
        assert len(drawn) < 5


async def test_only_lines_that_changed_are_drawn_again(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.query_one(TreeTable)
        snapshot = busy.sampler.newest
        assert snapshot is not None
        drawn: list[int] = []
        render_line = table.render_line
        table.render_line = lambda y: (drawn.append(y), render_line(y))[1]  # type: ignore[method-assign]
        app.post_message(SnapshotReady(snapshot))
        await pilot.pause()

        assert drawn == []


async def test_an_error_of_the_sampler_ends_the_app(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    with pytest.raises(ZeroDivisionError):
        await _fail(app)


async def test_an_empty_host_says_so(make_app: Callable[..., TopconApp], tmp_path: Any) -> None:
    app = make_app(first=FakeHost(tmp_path / "empty").sampler().tick())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("down", "enter", "S", "G")
        assert "no containers on this host" in text(app)
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (80, 24), (200, 60)])
async def test_every_screen_comes_up_at_any_size(make_app: Callable[..., TopconApp], size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        for key in ("enter", "question_mark", "s", "S"):
            await pilot.press(key)
            await settled(app, pilot)
            await pilot.press("escape")
            await settled(app, pilot)
        assert app.query_one(Keys).size.width == (size[0] if size[0] >= LEAST_WIDTH else 0)


async def _fail(app: TopconApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        app.post_message(SamplerFailed(ZeroDivisionError("a bug")))
        await pilot.pause()
        await pilot.pause()
