from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from samples import SECOND_NS

from tests.ui.looking import text
from topcon.model.event import Event, Events, Kind, Told
from topcon.model.snapshot import Severity
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.events import EventScreen
from topcon.ui.screens.sources import SourceScreen
from topcon.ui.widgets.answer_line import AnswerLine
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.list_lines import ListLines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
OOM = "a process was killed for memory, limit 24.0M"


def key_of(snapshot: Snapshot, name: str) -> str:
    return next((key for key, node in snapshot.containers.items() if node.name == name), f"docker:{name}")


def eventful(snapshot: Snapshot, *happened: tuple[str, str], pod: str = "") -> Snapshot:
    """Return the snapshot as it is after some events, a second after each other: name and text."""
    entries = tuple(
        Event(
            START_WALL_NS + number * SECOND_NS,
            0,
            Kind.START,
            "runtime:docker" if name == "docker" else key_of(snapshot, name),
            name,
            words,
            Severity.CRITICAL if "killed" in words or "answer" in words else None,
            "shop" if name.startswith("shop-") else pod,
            number,
        )
        for number, (name, words) in enumerate(happened)
    )
    return replace(snapshot, events=Events(START_WALL_NS, entries))


@pytest.fixture
def snapshot(busy: BusyHost) -> Snapshot:
    return eventful(
        busy.tick(3),
        ("hog", "started"),
        ("docker", "does not answer"),
        ("job", "exited with 3"),
        ("hog", OOM),
        ("shop-web-1", "health: healthy"),
    )


def many(snapshot: Snapshot, count: int) -> Snapshot:
    return eventful(snapshot, *(("hog", f"event number {number}") for number in range(count)))


def row(app: TopconApp) -> str:
    """The container under the cursor of the tree."""
    row = app.screen_stack[0].query_one(TreeTable).row
    assert row is not None
    return row.line.node.name


async def show(app: TopconApp, pilot: Pilot[Any], snapshot: Snapshot) -> None:
    app.post_message(SnapshotReady(snapshot))
    await pilot.pause()


async def test_3_shows_what_has_happened_the_newest_last(
    make_app: Callable[..., TopconApp], snapshot: Snapshot
) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")

        assert isinstance(app.screen, EventScreen)
        assert [line[10:30].strip() for line in text(app, "#page").strip().splitlines()] == [
            "hog",
            "■ docker",
            "job",
            "■ hog",
            "shop-web-1",
        ]
        assert app.screen.query_one(ListLines).key == "4"
        await pilot.press("3")
        assert len(app.screen_stack) == 1


async def test_a_command_shows_them_too(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *"events", "enter")

        assert isinstance(app.screen, EventScreen)


async def test_where_nothing_has_happened_it_says_so(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app(first=replace(busy.tick(), events=Events(START_WALL_NS)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")

        assert "nothing has happened since" in text(app, "#page")


async def test_the_cursor_goes_with_the_end_while_it_is_there(
    make_app: Callable[..., TopconApp], snapshot: Snapshot
) -> None:
    app = make_app(first=many(snapshot, 40))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await pilot.pause()
        assert text(app, "#page").splitlines()[-1].endswith("number 39")

        await show(app, pilot, many(snapshot, 50))
        assert text(app, "#page").splitlines()[-1].endswith("number 49")

        await pilot.press("up")
        before = text(app, "#page")
        await show(app, pilot, many(snapshot, 60))
        assert text(app, "#page") == before

        await pilot.press("end")
        await show(app, pilot, many(snapshot, 70))
        assert text(app, "#page").splitlines()[-1].endswith("number 69")


async def test_enter_goes_to_the_container(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3", "up", "enter")

        assert len(app.screen_stack) == 1
        assert row(app) == "hog"


async def test_enter_on_one_that_is_gone_says_so(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3", "up", "up", "enter")
        await pilot.pause()

        assert isinstance(app.screen, EventScreen)
        assert "job is gone" in text(app, "#wrong")


async def test_enter_on_a_runtime_shows_how_it_is_doing(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3", "home", "down", "enter")

        assert isinstance(app.screen, SourceScreen)


async def test_words_can_be_looked_for(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3", "slash", *"hog 24")
        assert text(app, "#page").strip().endswith(OOM)
        assert len(text(app, "#page").strip().splitlines()) == 1
        assert "1 of 5 with hog 24" in text(app, "#titles")
        assert not app.screen.query_one(Keys).display

        await pilot.press("enter")
        assert app.screen.query_one(Keys).display
        assert isinstance(app.focused, ListLines)

        await pilot.press("escape")
        assert isinstance(app.screen, EventScreen)
        assert len(text(app, "#page").strip().splitlines()) == 5
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_escape_takes_back_what_was_typed(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3", "slash", *"hog", "enter", "slash", *"zzz")
        assert "nothing that has happened has hogzzz in it" in text(app, "#page")

        await pilot.press("escape")
        await pilot.pause()

        assert not isinstance(app.focused, AnswerLine)
        assert "2 of 5 with hog" in text(app, "#titles")


async def test_the_details_have_those_of_the_container(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        app.reveal(key_of(snapshot, "hog"))
        await pilot.pause()
        app.screen.action_details("events")  # type: ignore[attr-defined]  # the tree is there first
        await pilot.pause()

        assert isinstance(app.screen, DetailScreen)
        lines = text(app, "#page").strip().splitlines()
        assert [line.strip()[8:].strip(" ■") for line in lines] == ["started", OOM]
        assert "WHO" not in text(app, "#titles")

        # There is nothing behind a line: enter goes back, and is not said to open it.
        assert "enter" not in text(app, "#keys")
        await pilot.press("enter")
        assert not isinstance(app.screen, DetailScreen)


async def test_a_snapshot_without_news_draws_nothing_anew(
    make_app: Callable[..., TopconApp], snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    app = make_app(first=many(snapshot, 2000))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        # There is a scrollbar only once they are shown.
        await show(app, pilot, app._shown)  # type: ignore[arg-type]  # it is shown already
        original = ListLines.render_line
        monkeypatch.setattr(ListLines, "render_line", lambda self, y: written.append(y) or original(self, y))
        await show(app, pilot, app._shown)  # type: ignore[arg-type]  # it is shown already

        assert written == []


async def test_what_is_told_is_seen(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        busy.sampler.tell(
            Told(START_WALL_NS + 60 * SECOND_NS, Kind.ACTION, "docker:x", "hog", detail="topcon \x1b[31m")
        )

        await show(app, pilot, busy.tick())

        assert "topcon \\x1b[31m" in text(app, "#page")


async def test_a_frozen_screen_stands_still(make_app: Callable[..., TopconApp], snapshot: Snapshot) -> None:
    app = make_app(first=snapshot)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f", "3")

        await show(app, pilot, many(snapshot, 9))

        assert "number 8" not in text(app, "#page")
