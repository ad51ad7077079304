"""How much is drawn and sent: as much as has changed, and nothing where nothing has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS
from samples import history_of, node_of, pod_of, tree_of
from textual.drivers.headless_driver import HeadlessDriver

from topcon.model.snapshot import Usage
from topcon.ui import app as app_module
from topcon.ui.app import TopconApp
from topcon.ui.messages import SnapshotReady
from topcon.ui.themes import load_theme
from topcon.ui.widgets import tree_table
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import PodNode, Snapshot

COUNT = 300
SIZE = (160, 50)
CLOCK_BYTES = 60
"""The most that the clock and what goes around a frame take."""
QUIET = Usage(cpu_cores=0.0, memory_bytes=5 << 20, pids=3, cpu_history=history_of(*[0.0] * 60))


class CountingDriver(HeadlessDriver):
    """A terminal that takes all, and keeps it."""

    written = ""

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written += data

    def taken(self) -> str:
        """Return what was written since it was last asked."""
        written, self.written = self.written, ""
        return written


def quiet_pod(at: int) -> PodNode:
    return pod_of(node_of(f"web-{at:03}", QUIET))


@pytest.fixture
def quiet() -> Snapshot:
    return replace(tree_of(*map(quiet_pod, range(COUNT))), tick=100)


def later(snapshot: Snapshot, busy: Iterable[int] = (), *, has_clock: bool = False) -> Snapshot:
    """Return the next snapshot, in which some containers do something."""
    tick = snapshot.tick + 1
    pods = list(snapshot.pods)
    for at in busy:
        (container,) = pods[at].containers
        history = container.usage.cpu_history.grown(tick, 0.01 * (tick % 7))
        usage = QUIET._replace(cpu_cores=0.01 * (tick % 7 + 1), memory_bytes=tick << 20, cpu_history=history)
        pods[at] = pods[at]._replace(usage=usage, containers=(container._replace(usage=usage),))
    sample = replace(snapshot.sample, wall_ns=snapshot.sample.wall_ns + SECOND_NS * has_clock)
    if not busy:
        return replace(snapshot, tick=tick, sample=sample)
    containers = {container.key: container for pod in pods for container in pod.containers}
    return replace(snapshot, tick=tick, sample=sample, pods=tuple(pods), containers=containers)


@pytest.fixture
def make_quiet(quiet: Snapshot, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TopconApp]:
    monkeypatch.setattr(app_module, "has_terminal", lambda: True)

    def make(**options: Any) -> TopconApp:
        app = TopconApp(None, theme=load_theme("topcon-dark"), first=quiet, **options)
        app.driver_class = CountingDriver
        return app

    return make


async def settled(app: TopconApp, pilot: Pilot[Any]) -> CountingDriver:
    """Wait until all has been drawn; return the terminal, with nothing new on it."""
    driver = app._driver
    assert driver is not None
    driver.__class__ = CountingDriver
    assert isinstance(driver, CountingDriver)
    for _ in range(3):
        await pilot.pause(0.05)
    driver.taken()
    return driver


async def shown(app: TopconApp, pilot: Pilot[Any], snapshot: Snapshot) -> None:
    app.post_message(SnapshotReady(snapshot))
    await pilot.pause(0.05)
    await pilot.pause()


async def test_nothing_is_sent_when_nothing_has_changed(make_quiet: Callable[..., TopconApp], quiet: Snapshot) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        driver = await settled(app, pilot)
        snapshot = quiet
        for _ in range(12):
            snapshot = later(snapshot)
            await shown(app, pilot, snapshot)

        assert driver.taken() == ""


async def test_an_idle_host_costs_the_terminal_the_clock_alone(
    make_quiet: Callable[..., TopconApp], quiet: Snapshot
) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        driver = await settled(app, pilot)
        await shown(app, pilot, later(quiet, has_clock=True))

        assert 0 < len(driver.taken().encode()) <= CLOCK_BYTES


async def test_five_busy_containers_of_many_cost_the_terminal_less_than_two_kilobytes(
    make_quiet: Callable[..., TopconApp], quiet: Snapshot
) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        driver = await settled(app, pilot)
        await shown(app, pilot, snapshot := later(quiet, range(5), has_clock=True))
        driver.taken()
        await shown(app, pilot, later(snapshot, range(5), has_clock=True))

        assert CLOCK_BYTES < len(driver.taken().encode()) <= 2000


async def test_what_is_out_of_sight_is_not_sent(make_quiet: Callable[..., TopconApp], quiet: Snapshot) -> None:
    app = make_quiet(sort="name")
    async with app.run_test(size=SIZE) as pilot:
        driver = await settled(app, pilot)
        await shown(app, pilot, later(quiet, range(COUNT - 5, COUNT)))

        assert driver.taken() == ""


async def test_only_rows_that_have_changed_are_written_again(
    make_quiet: Callable[..., TopconApp], quiet: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_quiet()
    written: list[str] = []

    def counting(row: Any, *rest: Any, **options: Any) -> Any:
        written.append(row.line.node.name)
        return real(row, *rest, **options)

    real = tree_table.row_spans
    async with app.run_test(size=SIZE) as pilot:
        await settled(app, pilot)
        monkeypatch.setattr(tree_table, "row_spans", counting)
        await shown(app, pilot, snapshot := later(quiet))
        assert written == []

        await shown(app, pilot, later(snapshot, [3, 200]))
        assert written == ["web-003"]


@pytest.mark.parametrize(("keys", "lines"), [(["down"], {1, 2}), (["down", "up"], {1, 2}), (["pagedown"], {1, 44})])
async def test_moving_the_cursor_draws_the_row_that_it_leaves_and_the_one_that_it_comes_to(
    make_quiet: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch, keys: list[str], lines: set[int]
) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        await settled(app, pilot)
        drawn = _count_lines(monkeypatch, TreeTable)
        for key in keys:
            await pilot.press(key)
        await pilot.pause(0.05)

        assert set(drawn) == lines


async def test_a_key_that_scrolls_draws_no_row_that_was_seen_before(
    make_quiet: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("pagedown", "pagedown")
        driver = await settled(app, pilot)
        drawn = _count_lines(monkeypatch, TreeTable)
        tree = app.query_one(TreeTable)
        bottom = tree.scrollable_content_region.height - 1
        assert tree.scroll_offset.y > 0

        await pilot.press("down")
        await pilot.pause(0.05)

        # The row that the cursor leaves is drawn without it, one line further up.
        assert sorted(set(drawn)) == [bottom - 1, bottom]
        assert f"{tree.scroll_offset.y + bottom - 1:03}" in driver.taken()


async def test_another_theme_has_all_rows_drawn_anew(make_quiet: Callable[..., TopconApp]) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        driver = await settled(app, pilot)
        app.register_theme(load_theme("topcon-light"))
        app.theme = "topcon-light"
        await pilot.pause(0.05)

        written = driver.taken()
        assert {name for name in ("web-000", "web-020", "web-040") if name in written} == {
            "web-000",
            "web-020",
            "web-040",
        }


async def test_a_frozen_screen_is_not_drawn(make_quiet: Callable[..., TopconApp], quiet: Snapshot) -> None:
    app = make_quiet()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f")
        driver = await settled(app, pilot)
        await shown(app, pilot, later(quiet, range(COUNT), has_clock=True))
        assert driver.taken() == ""

        await pilot.press("f")
        await pilot.pause(0.05)
        assert "101M" in driver.taken()


async def test_a_tree_that_is_hidden_is_not_drawn_until_it_is_seen_again(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        before = app._tree._rows
        app.post_message(SnapshotReady(snapshot := busy.tick(10)))
        await pilot.pause()
        assert app._tree._rows is before

        await pilot.press("escape")
        await pilot.pause()
        assert app._tree._rows is not None
        assert app._tree._rows.pods is snapshot.pods


async def test_the_keys_are_looked_up_again_only_if_others_would_work(
    make_app: Callable[..., TopconApp], busy: BusyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        calls: list[object] = []
        monkeypatch.setattr(Keys, "_show_keys", lambda *_: calls.append(None))
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert calls == []


def _count_lines(monkeypatch: pytest.MonkeyPatch, widget: type[TreeTable]) -> list[int]:
    """Note which lines a widget is asked for from now on."""
    drawn: list[int] = []
    render_line = widget.render_line

    def counting(self: Any, y: int) -> Any:
        drawn.append(y)
        return render_line(self, y)

    monkeypatch.setattr(widget, "render_line", counting)
    return drawn
