"""The view of sources, and the ways between the views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from samples import running, sample_of, snapshot_after

from tests.ui.looking import text
from topcon.model.sample import OwnSample, Problem, RuntimeSample, SourceSample, TierSample
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.namespaces import NamespaceScreen
from topcon.ui.screens.sources import SourceScreen
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)


def machine(errors: int = 0, **others: Any) -> Snapshot:
    tiers = (TierSample("hot", 0.0051, 1000), TierSample("warm", 0.0021, 104), TierSample("cold", 0.0009, 50))
    given: dict[str, Any] = {
        "sources": (
            SourceSample("host", 0.000_41, 0, START_WALL_NS),
            SourceSample("cgroup", 0.0081, errors, START_WALL_NS, tiers),
            SourceSample("processes", 0.0012, 2, START_WALL_NS - 90 * 10**9),
        ),
        "runtimes": (
            RuntimeSample(
                *("docker", "/run/docker.sock", True, True, 0.0, 41),
                duration_s=0.013,
                succeeded_ns=START_WALL_NS - 3 * 10**9,
                daemon_pid=812,
                daemon_cpu_s=1.3,
            ),
            RuntimeSample("podman", "/run/podman/podman.sock", up=False, is_listed=True, silent_s=12.0, errors=3),
        ),
        "problems": (Problem("processes", "permission denied at /proc/1/ns: namespaces are not shown", "sudo topcon"),),
        "own": OwnSample(12.0, 41 << 20, 1.0, 1.0, 0.02),
    }
    return snapshot_after(sample_of(running("web"), **(given | others)))


@pytest.mark.parametrize("key", ["1", "6", "escape", "q"])
async def test_6_shows_the_sources_and_these_go_back(make_app: Callable[..., TopconApp], key: str) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        assert isinstance(app.screen, SourceScreen)
        assert "cgroup" in text(app, "#page")

        await pilot.press(key)

        assert len(app.screen_stack) == 1


async def test_one_view_takes_the_place_of_another(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        for key, screen in (("4", NamespaceScreen), ("6", SourceScreen), ("4", NamespaceScreen)):
            await pilot.press(key)
            assert isinstance(app.screen, screen)
            assert len(app.screen_stack) == 2
        await pilot.press("1")
        assert len(app.screen_stack) == 1
        await pilot.press("1")
        assert len(app.screen_stack) == 1


async def test_the_keys_of_views_do_nothing_in_the_details_and_the_help(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        for key in ("enter", "question_mark"):
            await pilot.press(key)
            screen = app.screen
            await pilot.press("4", "6", "colon")
            assert app.screen is screen
            await pilot.press("escape")


async def test_new_snapshots_are_followed(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        assert "7777" not in text(app, "#page")

        app.post_message(SnapshotReady(machine(errors=7777)))
        await pilot.pause()

        assert "7777" in text(app, "#page")


async def test_what_has_not_changed_is_not_drawn_again(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        # Once for the room that the scroll bar takes.
        app.post_message(SnapshotReady(machine()))
        await pilot.pause()
        refreshed: list[object] = []
        lines = app.screen.query_one(ScrollLines)
        lines.refresh = lambda *regions, **_: refreshed.append(regions) or lines  # type: ignore[method-assign]

        app.post_message(SnapshotReady(machine()))
        await pilot.pause()
        assert refreshed == []

        app.post_message(SnapshotReady(machine(errors=7777)))
        await pilot.pause()
        assert len(refreshed) == 1
        del lines.refresh


async def test_while_the_terminal_is_behind_nothing_is_drawn_and_then_what_is_newest(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        monkeypatch.setattr(app, "_is_behind", lambda: True)
        for errors in (7777, 8888):
            app.post_message(SnapshotReady(machine(errors=errors)))
            await pilot.pause()
        assert "7777" not in text(app, "#page")
        assert "8888" not in text(app, "#page")

        monkeypatch.setattr(app, "_is_behind", lambda: False)
        app.on_terminal_caught_up()
        await pilot.pause()

        assert "8888" in text(app, "#page")


async def test_a_frame_that_was_left_out_is_made_up_for_by_a_whole_one(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        refreshed: list[object] = []
        screen = app.screen
        monkeypatch.setattr(screen, "refresh", lambda *regions, **_: refreshed.append(regions))
        app.on_terminal_caught_up()
        assert refreshed == []

        monkeypatch.setattr(app, "_is_behind", lambda: True)
        await pilot.press("r", "slash", "w")
        await pilot.pause()
        monkeypatch.setattr(app, "_is_behind", lambda: False)
        refreshed.clear()
        app.on_terminal_caught_up()
        app.on_terminal_caught_up()

        assert refreshed == [()]


@pytest.mark.parametrize("size", [(80, 30), (140, 30)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_picture(
    make_app: Callable[..., TopconApp], picture: Callable[[TopconApp], bool], size: tuple[int, int]
) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=size) as pilot:
        await pilot.press("6")
        await pilot.pause()

        assert picture(app)
