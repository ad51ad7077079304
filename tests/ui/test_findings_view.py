"""The view of what is wrong: all of it, that of a row, and the way back to the container."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from samples import COMPOSE, docker_key, running, sample_of, snapshot_after, stopped

from tests.ui.looking import select, text
from topcon.model.sample import State
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.findings import FindingsScreen
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.list_lines import ListLines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
IN_SHOP = {"labels": {COMPOSE: "shop"}}


def host(*, is_sick: bool = True, crowd: int = 0) -> Snapshot:
    """Two of a shop, of which one is sick; one by itself that is worse; and some that are well."""
    pids = {"pids": 95, "pids_max": 100} if is_sick else {}
    dead = [stopped("dead", state=State.DEAD)] if is_sick else []
    return snapshot_after(
        sample_of(
            running("shop-db", info=IN_SHOP),
            running("shop-web", info=IN_SHOP, **pids),
            *dead,
            *(running(f"c{at:03}", **pids) for at in range(crowd)),
            running("well"),
        )
    )


def title(app: TopconApp) -> str:
    return app.screen.query_one("#titles", Lines).render_line(0).text.strip()


def row(app: TopconApp) -> str | None:
    cursor = app.screen.query_one(TreeTable).row
    return cursor.line.node.name if cursor else None


@pytest.mark.parametrize("key", ["1", "2", "escape", "q"])
async def test_2_shows_what_is_wrong_and_these_go_back(make_app: Callable[..., TopconApp], key: str) -> None:
    app = make_app(first=host())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        assert isinstance(app.screen, FindingsScreen)
        assert title(app) == "What is wrong   ▲ 2 warnings"
        assert "95 of 100 tasks" in text(app, "#page")
        assert "could not be removed" in text(app, "#page")

        await pilot.press(key)

        assert len(app.screen_stack) == 1


async def test_w_shows_what_is_wrong_with_the_row(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=host(), sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop-web")
        await pilot.press("w")

        assert title(app) == "What is wrong with shop-web   ▲ 1 warning"
        assert "could not be removed" not in text(app, "#page")

        await pilot.press("escape")
        await select(pilot, app, "well")
        await pilot.press("w")

        assert "nothing is wrong" in text(app, "#page")


async def test_w_on_a_pod_shows_that_of_its_containers(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=host(), sort="name")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await pilot.press("w")

        assert title(app) == "What is wrong with shop   ▲ 1 warning"


async def test_w_at_the_top_shows_that_of_the_host(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=host())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("g", "w")

        assert title(app) == "What is wrong   ▲ 2 warnings"


@pytest.mark.parametrize("command", ["why", "findings"])
async def test_a_command_shows_it_too(make_app: Callable[..., TopconApp], command: str) -> None:
    app = make_app(first=host())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(":", *command, "enter")

        assert isinstance(app.screen, FindingsScreen)


async def test_enter_goes_to_the_container_in_the_tree(make_app: Callable[..., TopconApp]) -> None:
    """Which is folded away, and which a filter hides."""
    app = make_app(first=host(), sort="name", filter_text="well")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "G")
        assert app.screen.query_one(ListLines).key == f"pids-near-limit {docker_key('shop-web')}"

        await pilot.press("enter")
        await pilot.pause()

        assert row(app) == "shop-web"
        assert "the filter is taken away" in app.screen.query_one("#wrong", Lines).render_line(0).text


async def test_the_cursor_stays_on_its_finding(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=host())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "j")
        before = app.screen.query_one(ListLines).key
        assert before is not None

        app.post_message(SnapshotReady(host(crowd=3)))
        await pilot.pause()

        assert app.screen.query_one(ListLines).key == before
        assert title(app) == "What is wrong   ▲ 5 warnings"


async def test_with_nothing_wrong_it_says_so(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=host(is_sick=False))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        assert "nothing is wrong" in text(app, "#page")

        # There is nothing to choose.
        await pilot.press("enter")

        assert isinstance(app.screen, FindingsScreen)


async def test_a_finding_of_a_runtime_has_no_row_to_select(make_app: Callable[..., TopconApp]) -> None:
    sick = host(is_sick=False)
    silent = tuple(replace(each, silent_s=9.0) for each in sick.sample.runtimes)
    snapshot = snapshot_after(replace(sick.sample, runtimes=silent))
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "enter")

        assert "docker has not answered for 9 s" in text(app, "#page")
        assert isinstance(app.screen, FindingsScreen)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)])
async def test_many_findings_fit_any_size(make_app: Callable[..., TopconApp], size: tuple[int, int]) -> None:
    snapshot = host(crowd=100)
    app = make_app(first=snapshot)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2", "G")

        last = max(each.target for each in snapshot.findings if each.code == "pids-near-limit")
        assert app.screen.query_one(ListLines).key == f"pids-near-limit {last}"
