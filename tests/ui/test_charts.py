"""Charts as one uses them: the tab, its cursor, and that other lines are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ui.looking import select, text, until
from topcon.model.about import About, Attachment
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import BusyHost
    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp


def lines(app: TopconApp) -> list[str]:
    return ["".join(span.text for span in line) for line in app.screen.query_one("#page", ScrollLines)._lines]


async def open_charts(pilot: Pilot[int], app: TopconApp, name: str) -> None:
    await select(pilot, app, name)
    await pilot.press("enter")
    await pilot.pause()
    assert isinstance(app.screen, DetailScreen)
    app.screen.action_tab("charts")
    await pilot.pause()


async def test_charts_are_drawn_and_a_cursor_reads_them(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_charts(pilot, app, "shop-worker-1")
        assert "[charts]" in text(app, "#titles")
        assert lines(app)[0].startswith(" CPU  0.10 cores  ┄ limit 0.10 cores  throttled 80%")

        await pilot.press("left")
        assert "│" in "".join(lines(app))
        at_cursor = lines(app)[0]
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        assert lines(app)[0] == at_cursor

        await pilot.press("end")
        assert "│" not in "".join(lines(app))
        await pilot.press("home")
        assert lines(app)[0].split()[2:] == ["-", "┄", "limit", "0.10", "cores", "throttled", "-"]


async def test_plus_and_minus_change_the_time_that_is_shown(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_charts(pilot, app, "hog")
        axes = [lines(app)[5]]
        for key in ("plus", "plus", "minus", "minus", "minus"):
            await pilot.press(key)
            axes.append(lines(app)[5])

        assert axes[1] == axes[3]
        assert axes[0] == axes[4]
        assert len({*axes}) == 4


async def test_other_tabs_scroll_with_the_keys_of_the_cursor(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_charts(pilot, app, "hog")
        await pilot.press("end", "home", "G", "g")
        assert app.screen.query_one("#page", ScrollLines).scroll_offset.y == 0

        assert isinstance(app.screen, DetailScreen)
        app.screen.action_tab("overview")
        await pilot.press("end")
        assert app.screen.query_one("#page", ScrollLines).scroll_offset.y > 0


async def test_a_pod_has_charts(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        await open_charts(pilot, app, "shop")
        # Of its containers one has a limit, so it has none.
        assert lines(app)[0].startswith(" CPU  0.4")
        assert "limit" not in lines(app)[0]
        assert any(line.startswith(" network  received ") for line in lines(app))


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (About(user="nobody", attachments=(Attachment("bridge", ("172.17.0.2/16",)),)), ["nobody", "172.17.0.2/16"]),
        (Problem("docker", "it is silent"), []),
        (None, []),
    ],
    ids=["said", "silent", "unable"],
)
async def test_the_overview_asks_the_runtime_for_the_rest(
    make_app: Callable[..., TopconApp], answer: object, shown: list[str]
) -> None:
    app = make_app(inside=Inside(tail=lambda _: (), about=lambda _: answer))  # type: ignore[arg-type,return-value]
    async with app.run_test(size=(80, 60)) as pilot:
        await open_charts(pilot, app, "hog")
        screen = app.screen
        assert isinstance(screen, DetailScreen)
        screen.action_tab("overview")
        await until(app, pilot, lambda: "overview" in screen._found)
        await pilot.pause()

        user = next(line.split() for line in lines(app) if line.split()[:1] == ["user"])
        assert user == ["user", *(shown[:1] or ["-"])]
        assert all(any(word in line for line in lines(app)) for word in shown)
