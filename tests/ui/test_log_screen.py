"""The screen of logs: followed and held, searched, cut down, read anew, saved; and nothing is left behind."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import pytest
from descriptors import all_open
from samples import HOSTILE_NAMES, unsafe

from tests.ui.looking import shows, text, until
from topcon.model.inside import Inside
from topcon.model.output import Batch, Wanted
from topcon.model.sample import LogLine, Problem
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.logs import LogScreen
from topcon.ui.widgets.answer_line import AnswerBar
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.log_lines import LogLines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import ContainerNode
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
LIVE = ("slash", *"hostnet", "enter")
"""Goes to a container that runs, by itself."""
POD = ("slash", *"shop", "enter", "home")
"""Goes to one of three."""
SECOND_NS = 10**9


class Talk:
    """What one container writes, when the test says so."""

    def __init__(self) -> None:
        self.where = "docker"
        self.batches: SimpleQueue[Batch | None] = SimpleQueue()
        self.closed = 0

    def read(self) -> Batch | None:
        try:
            return self.batches.get(timeout=1)
        except Empty:
            return Batch()

    def stop(self) -> None:
        self.batches.put(None)

    def close(self) -> None:
        self.closed += 1


class Talks:
    """What all containers write, by their names."""

    def __init__(self) -> None:
        self.by_name: dict[str, Talk] = {}
        self.given: list[Talk] = []
        self.wanted: list[tuple[str, Wanted]] = []
        self.problem: Problem | None = None

    def follow(self, container: ContainerNode, wanted: Wanted) -> Talk | Problem:
        self.wanted.append((container.name, wanted))
        if self.problem is not None:
            return self.problem
        talk = self.by_name.setdefault(container.name, Talk())
        self.given.append(talk)
        return talk

    def write(self, name: str, *texts: str, is_stderr: bool = False, passed: int = 0, at_s: int = 0) -> None:
        lines = tuple(LogLine((at_s + at) * SECOND_NS, is_stderr, text) for at, text in enumerate(texts))
        self.by_name.setdefault(name, Talk()).batches.put(Batch(lines, passed))


@pytest.fixture
def talks() -> Talks:
    return Talks()


@pytest.fixture
def app(make_app: Callable[..., TopconApp], talks: Talks) -> TopconApp:
    return make_app(inside=Inside(follow=talks.follow))


def status(app: TopconApp) -> str:
    return str(app.screen.query_one("#titles", Lines).render_line(0).text)


def said(app: TopconApp) -> str:
    return str(app.screen.query_one("#wrong", Lines).render_line(0).text)


async def open_logs(pilot: Pilot[int], *keys: str) -> LogScreen:
    await pilot.press(*(keys or LIVE), "l")
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, LogScreen)
    return screen


async def filled(app: TopconApp, pilot: Pilot[int], talks: Talks, count: int = 100) -> None:
    """Open the logs of a container with so many lines."""
    talks.write("hostnet", *(f"line {number}" for number in range(count)))
    await open_logs(pilot)
    await shows(app, pilot, f"line {count - 1}")


# What is shown.


@pytest.mark.parametrize("key", ["l", "escape", "q"])
async def test_l_shows_what_a_container_writes_and_goes_back(app: TopconApp, talks: Talks, key: str) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks, 3)
        assert text(app, "#page").split("\n")[:3] == ["  line 0", "  line 1", "  line 2"]
        assert "hostnet" in status(app)
        assert "docker" in status(app)
        assert "following" in status(app)
        assert talks.wanted == [("hostnet", Wanted(1000))]

        await pilot.press(key)
        assert len(app.screen_stack) == 1


async def test_the_containers_of_a_pod_are_brought_together_with_their_names(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        talks.write("shop-web-1", "one", "three", at_s=1)
        talks.write("shop-db-1", "two", at_s=1)
        talks.write("shop-worker-1", "bad", is_stderr=True, at_s=9)
        await open_logs(pilot, *POD)
        await until(app, pilot, lambda: text(app, "#page").count("shop-") == 4)

        assert sorted(name for name, _ in talks.wanted) == ["shop-db-1", "shop-web-1", "shop-worker-1"]
        assert "! shop-worker-1 bad" in text(app, "#page").split("\n")[3]


async def test_marked_rows_are_shown_together(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await open_logs(pilot, "t", "home", "space", "space")
        await until(app, pilot, lambda: len(talks.wanted) == 2)
        assert "2 containers" in status(app)


async def test_a_container_that_comes_into_the_pod_is_read_too(app: TopconApp, talks: Talks, busy: BusyHost) -> None:
    async with app.run_test(size=SIZE) as pilot:
        infos = busy.docker.infos
        busy.docker.infos = infos[1:]
        app.post_message(SnapshotReady(busy.tick(2)))
        await open_logs(pilot, *POD)
        await until(app, pilot, lambda: len(talks.wanted) == 2)
        busy.docker.infos = infos
        talks.write("shop-web-1", "here I am")
        app.post_message(SnapshotReady(busy.tick(2)))

        assert "here I am" in await shows(app, pilot, "shop-web-1")


async def test_from_the_details_too(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        talks.write("hostnet", "hello")
        await open_logs(pilot, *LIVE, "enter")
        await shows(app, pilot, "hello")
        await pilot.press("escape")
        assert len(app.screen_stack) == 2


async def test_where_nobody_can_be_asked_there_is_no_key(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*LIVE, "l")
        assert len(app.screen_stack) == 1


async def test_why_there_is_nothing_is_said(app: TopconApp, talks: Talks) -> None:
    talks.problem = Problem("logs", "permission denied at /x\x1b", "run topcon with sudo")
    async with app.run_test(size=SIZE) as pilot:
        await open_logs(pilot)
        await shows(app, pilot, "permission denied at /x\\x1b: run topcon with sudo")


async def test_what_has_written_nothing_says_so(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        talks.write("hostnet")
        await open_logs(pilot)
        await until(app, pilot, lambda: "it has written nothing" in text(app, "#page") or app.screen.redraw())


async def test_hostile_lines_keep_the_grid_straight(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        hostile = [
            *HOSTILE_NAMES.values(),
            "x" * (1 << 20),
            "\0" * 500,
            "\x1b[2J\x1b]0;t\x07",
            '{"a' * 5000,
            "日" * 999,
        ]
        talks.write("hostnet", *hostile)
        await open_logs(pilot)
        for key in ("z", "c", "x", "t", "home", "z", "right"):
            await pilot.press(key)
            await until(app, pilot, lambda: app.screen.output.ring.entries)
            strips = app.screen._compositor.render_strips()
            assert [strip.cell_length for strip in strips] == [60] * 20
            assert set().union(*(unsafe(strip.text) for strip in strips)) == set()


# Moving.


async def test_the_end_is_followed_until_somebody_goes_up(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("k")
        assert "held" in status(app)
        held = text(app, "#page")
        assert "line 98" in held
        assert "line 99" not in held

        talks.write("hostnet", "something new", at_s=200)
        await until(app, pilot, lambda: "101 lines" in status(app))
        assert text(app, "#page") == held
        await pilot.press("G")
        assert "something new" in text(app, "#page")
        assert "following" in status(app)


@pytest.mark.parametrize(
    ("keys", "row", "line"),
    [
        (("home",), 0, "line 0"),
        (("g", "j", "j", "k"), 0, "line 1"),
        (("g", "pagedown", "pageup"), 0, "line 0"),
        (("g", "space", "ctrl+u", "ctrl+u"), 0, "line 1"),
        (("up", "up", "down"), -1, "line 98"),
        (("ctrl+b", "ctrl+d", "G"), -1, "line 99"),
    ],
)
async def test_keys_move_as_everywhere(
    app: TopconApp, talks: Talks, keys: tuple[str, ...], row: int, line: str
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press(*keys)
        assert text(app, "#page").split("\n")[row].strip() == line


async def test_down_to_the_end_follows_again_and_so_does_the_wheel(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("k", "j")
        assert "following" in status(app)
        app.screen.query_one(LogLines).post_message(LogLines.Turned(-3))
        await pilot.pause()
        assert "held" in status(app)


async def test_what_is_held_stays_when_the_list_is_full(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("g")
        app.screen.output.ring._most_lines = 50
        talks.write("hostnet", "more", at_s=300)
        await until(app, pilot, lambda: "50 lines" in status(app))
        assert text(app, "#page").split("\n")[0].strip() == "line 51"


# Looking.


async def test_times_wrapping_columns_and_raw_json(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        talks.write("hostnet", "x" * 100, '{"level":"warn","msg":"careful"}', "\x1b[31mred")
        await open_logs(pilot)
        await shows(app, pilot, "WARN")
        before = text(app, "#page")
        for key, new in (("t", "01-01 00:00"), ("z", "x\n"), ("x", '{"level"'), ("t", "y ")):
            await pilot.press(key)
            assert new in text(app, "#page")
        await pilot.press("t", "z", "x")
        assert text(app, "#page") == before
        await pilot.press("right")
        assert "from column 17" in status(app)
        await pilot.press("left", "c")
        assert text(app, "#page") == before
        assert app.screen.view.has_colors


# Searching.


async def test_a_search_is_marked_while_it_is_typed_and_n_goes_on(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("slash", *"line 4")
        assert app.screen.view.search.text == "line 4"
        await pilot.press("enter")
        assert "▸ line 49" in text(app, "#page")
        await pilot.press("N")
        assert "▸ line 48" in text(app, "#page")
        await pilot.press("n", "n")
        assert "▸ line 4\n" in text(app, "#page")
        await pilot.pause()
        assert "on from the first line" in said(app)


async def test_a_search_that_is_dropped_changes_nothing(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        before = text(app, "#page"), status(app)
        await pilot.press("slash", *"line", "escape")
        assert (text(app, "#page"), status(app)) == before
        assert len(app.screen_stack) == 2


async def test_what_is_nowhere_is_said_and_so_is_a_wrong_pattern(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("slash", *"nowhere", "enter")
        await pilot.pause()
        assert "nothing has nowhere" in said(app)
        await pilot.press("slash", "ctrl+u", *"/(a+)+$/", "enter")
        await pilot.pause()
        assert "expected no repetition" in said(app)


async def test_only_lines_with_something_are_shown_and_new_ones_too(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("ampersand", *"/line .5/", "enter")
        await until(app, pilot, lambda: "9 lines" in status(app))
        talks.write("hostnet", "no", "line 25 again", at_s=200)
        await until(app, pilot, lambda: "10 lines" in status(app))
        assert text(app, "#page").split()[-1] == "again"

        await pilot.press("ampersand", "ctrl+u", "enter")
        assert "102 lines" in status(app)


# Commands and files.


@pytest.mark.parametrize(
    ("command", "is_wanted"),
    [
        ("tail 7", lambda wanted: wanted == Wanted(7)),
        ("since 10m", lambda wanted: abs(time.time_ns() - 600 * SECOND_NS - wanted.since_ns) < 60 * SECOND_NS),
    ],
)
async def test_other_lines_can_be_asked_for(
    app: TopconApp, talks: Talks, command: str, is_wanted: Callable[[Wanted], bool]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        await pilot.press("colon", *command, "enter")
        await until(app, pilot, lambda: len(talks.wanted) == 2)
        assert is_wanted(talks.wanted[1][1])


async def test_lines_are_saved_and_nothing_is_replaced_unasked(
    app: TopconApp, talks: Talks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.log"
    file.write_text("kept")
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks, 3)
        await pilot.press("s")
        assert app.screen.query_one(AnswerBar).is_open
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        (saved,) = tmp_path.glob("hostnet-*.log")  # noqa: ASYNC240  a test
        assert saved.read_text() == "line 0\nline 1\nline 2\n"
        assert saved.stat().st_mode & 0o077 == 0
        await pilot.pause()
        assert "saved 3 lines in hostnet-" in said(app)

        await pilot.press("s", "ctrl+u", *"mine.log", "enter")
        await app.workers.wait_for_complete()
        await until(app, pilot, lambda: app.screen.query_one(AnswerBar).is_open)
        assert file.read_text() == "kept"
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert file.read_text() == saved.read_text()


async def test_what_cannot_be_saved_is_said(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks, 3)
        await pilot.press("s", "ctrl+u", *"/nowhere/x", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "not saved: No such file or directory" in said(app)


# What it costs.


async def test_however_much_comes_no_more_is_written_than_is_in_sight(
    app: TopconApp, talks: Talks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks)
        written: list[object] = []
        from topcon.ui.screens import logs  # noqa: PLC0415  patched

        entry_rows = logs.entry_rows
        monkeypatch.setattr(logs, "entry_rows", lambda *given: written.append(given) or entry_rows(*given))
        for number in range(5):
            talks.write("hostnet", *["flood"] * 5000, passed=10_000, at_s=1000 * number + 1000)
        await until(app, pilot, lambda: app.screen.output.passed >= 50_000 and "passed by" in status(app))

        assert len(app.screen.output.ring.entries) == 10_000
        height = app.screen.query_one(LogLines).size.height
        # Twice for where the last page begins and what is on it, for each of five batches at the most.
        assert 0 < len(written) <= 5 * 3 * height


async def test_nothing_is_left_behind(app: TopconApp, talks: Talks) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await filled(app, pilot, talks, 3)
        await pilot.press("escape")
        await until(app, pilot, lambda: not threads(), "#tree")
        before = all_open()
        for _ in range(100):
            talks.by_name.clear()
            await pilot.press("l", "escape")
        await until(app, pilot, lambda: not threads(), "#tree")

        assert len(talks.wanted) == 101
        assert (all_open() - before).total() < 100
        assert [talk.closed for talk in talks.given] == [1] * 101
        assert len(app.screen_stack) == 1


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "topcon-logs"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_picture(
    app: TopconApp, talks: Talks, picture: Callable[[TopconApp], bool], size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        talks.write(
            "shop-web-1", "GET / 200 12ms", "GET /cart 500 3ms", '{"level":"error","msg":"no stock","sku":12}', at_s=1
        )
        talks.write("shop-db-1", "checkpoint complete: wrote 312 buffers", at_s=2)
        talks.write("shop-worker-1", "retry 3 of 5", is_stderr=True, passed=812_331, at_s=9)
        await open_logs(pilot, *POD)
        await until(app, pilot, lambda: text(app, "#page").count("shop-") == 6)
        await pilot.press("t", "slash", *"cart", "enter")
        await pilot.pause()

        assert picture(app)
