"""`:who`: asked off the event loop, answered in a list that leads to the tree."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import text_of, unsafe

from tests.ui.looking import text
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.model.who import Answer, Answers, Kind
from topcon.ui.screens.who import WhoScreen
from topcon.ui.who import who_entries, who_title
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
ASK = ("colon", *"who", "space", "colon", *"80", "enter")
WHY = "process 812 of the host, in /system.slice/ssh.service, listens at tcp 0.0.0.0:80 in the host's network"
WORST = "■ shop-worker-1 throttled in 80% of its periods"
"""Stands where nothing is said."""


def of(snapshot: Snapshot, name: str, why: str = "process 4 listens at tcp 0.0.0.0:80 in its own network") -> Answer:
    """Return an answer that is a container of a snapshot."""
    node = next(node for node in snapshot.containers.values() if node.name == name)
    return Answer(why, node.key, node.name, "shop", node.info.runtime, node.info.id, pid=4, process="nginx")


class Asked:
    """Answers with some of the containers, and the host, once it may."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.texts: list[str] = []
        self.threads: list[threading.Thread] = []
        self.may = threading.Event()
        self.may.set()

    def __call__(self, text: str, snapshot: Snapshot) -> Answers:
        self.texts.append(text)
        self.threads.append(threading.current_thread())
        assert self.may.wait(30)
        found = tuple(of(snapshot, name) for name in self._names)
        return Answers(
            text, Kind.PORT, (*found, Answer(WHY, pid=812, process="sshd")) if found else (), ("the sockets",)
        )

    async def answered(self, pilot: Pilot[Any]) -> None:
        """Let it answer."""
        self.may.set()
        for thread in self.threads:
            thread.join(30)
        await pilot.pause()


def title(app: TopconApp) -> str:
    return app.screen.query_one("#titles", Lines).render_line(0).text.strip()


def cursor(app: TopconApp) -> str:
    row = app._tree.query_one(TreeTable).row
    return row.line.node.name if row else ""


async def test_it_is_asked_on_a_thread_and_answered_in_a_list(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("shop-web-1", "hog")
    asked.may.clear()
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK)
        await pilot.pause()

        assert isinstance(app.screen, WhoScreen)
        assert title(app) == "who :80"
        assert text(app, "#page").strip() == "looking ..."

        await asked.answered(pilot)

        lines = text(app, "#page").split("\n")
        assert lines[0].startswith("   shop-web-1  docker 111111111111, pod shop")
        assert lines[1].strip() == "process 4 (nginx) listens at tcp 0.0.0.0:80 in its own network"
        assert lines[4].strip() == "the host"
        assert " ".join(line.strip() for line in lines[5:] if line) == WHY.replace("812", "812 (sshd)")
    assert asked.texts == [":80"]
    assert asked.threads[0] is not threading.main_thread()


async def test_enter_goes_to_its_row(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("shop-web-1", "hog")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK)
        await asked.answered(pilot)
        await pilot.press("down", "down", "enter")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert cursor(app) == "hog"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ((), WORST),
        # Folded away.
        (("home", "asterisk"), WORST),
        (("slash", *"name=hostnet", "enter"), "the filter is taken away"),
        (("a",), WORST),
    ],
    ids=["in sight", "folded", "filtered", "without stopped ones"],
)
async def test_whatever_hides_the_row_is_taken_away_and_that_is_said(
    make_app: Callable[..., TopconApp], before: tuple[str, ...], said: str
) -> None:
    asked = Asked("shop-worker-1")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*before)
        view = app._tree.view
        await pilot.press(*ASK)
        await asked.answered(pilot)
        await pilot.press("enter")
        await pilot.pause()

        assert cursor(app) == "shop-worker-1"
        assert text(app, "#wrong").strip().startswith(said)
        assert app._tree.view.has_stopped == view.has_stopped


async def test_a_stopped_one_that_is_hidden_is_shown(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("failed")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", *ASK)
        await asked.answered(pilot)
        await pilot.press("enter")
        await pilot.pause()

        assert cursor(app) == "failed"
        assert "what was hidden is shown" in app.screen.query_one("#wrong", Lines).render_line(0).text


async def test_of_one_that_is_gone_meanwhile_the_tombstone_is_shown(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    asked = Asked("done")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK)
        await asked.answered(pilot)
        busy.docker.infos = tuple(info for info in busy.docker.infos if info.name != "done")
        app._shown = app._newest = busy.tick()
        await pilot.press("enter")
        await pilot.pause()

        assert cursor(app) == "done"
        assert "gone 0" in text(app)


async def test_one_that_is_forgotten_meanwhile_is_told_so(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    asked = Asked("done")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK)
        await asked.answered(pilot)
        busy.docker.infos = tuple(info for info in busy.docker.infos if info.name != "done")
        app._shown = app._newest = replace(busy.tick(), tombs=(), gone=())
        await pilot.press("enter")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert "it is gone" in app.screen.query_one("#wrong", Lines).render_line(0).text


async def test_from_another_view_esc_goes_back_there(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("hog")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        view = app.screen
        await pilot.press(*ASK)
        await asked.answered(pilot)
        assert isinstance(app.screen, WhoScreen)

        await pilot.press("escape")

        assert app.screen is view


async def test_what_is_closed_before_it_is_answered_stays_closed(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("hog")
    asked.may.clear()
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK, "escape")
        await asked.answered(pilot)

        assert len(app.screen_stack) == 1
    assert not any(thread.is_alive() for thread in asked.threads)


async def test_without_anybody_to_ask_it_is_not_offered(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*ASK)

        assert not isinstance(app.screen, WhoScreen)
        assert app.screen.query_one(CommandLine).is_open


def lines_of(answers: Answers, width: int = 80) -> list[str]:
    return [text_of(entry.spans).rstrip() for entry in who_entries(answers, width)]


def test_nothing_found_is_said_with_where_was_looked() -> None:
    assert lines_of(Answers(":80", Kind.PORT, looked=("the sockets of 3 networks",))) == [
        "     :80: nothing found; looked at the sockets of 3 networks"
    ]


def test_what_could_not_be_seen_is_told_below() -> None:
    problem = Problem("who", "permission denied at /proc/1/fd", "sudo topcon who")

    assert lines_of(Answers(":80", Kind.PORT, (Answer("x"),), problems=(problem,)))[-1].strip() == (
        "permission denied at /proc/1/fd: sudo topcon who"
    )


@pytest.mark.parametrize("width", [20, 40, 79, 160])
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost(width: int) -> None:
    answer = Answer(f"{WHY} {'x' * 200} 日本語の名前", "docker:1", "web\x1b[2J", None, "docker", "1" * 64)

    entries = who_entries(Answers("q", Kind.PORT, (answer, replace(answer, container=None, id=None))), width)

    texts = [text_of(entry.spans) for entry in entries]
    assert all(len(text) <= width for text in texts)
    assert not any(unsafe(text) for text in texts)
    assert [entry.key for entry in entries if entry.key] == ["0"]
    why = "".join("".join(texts[1:-1]).split())
    assert "".join(answer.why.split()) in why


def test_the_title_is_one_clean_line() -> None:
    found = Answers("q", Kind.PORT, (Answer("x", "docker:1"),))

    for answers in (None, found):
        text = text_of(who_title("a\x1b[2J\n" + "b" * 5_000_000, answers, 80))

        assert len(text) <= 80
        assert not unsafe(text)
        assert ("enter" in text) == (answers is found)


async def test_asked_a_hundred_times_it_leaves_no_thread(make_app: Callable[..., TopconApp]) -> None:
    asked = Asked("hog")
    app = make_app(inside=Inside(who=asked))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        before = {*threading.enumerate()}
        for _ in range(100):
            app.action_who(":80")
            await pilot.pause()
            app.pop_screen()
            await pilot.pause()
        await asked.answered(pilot)

        assert len(asked.threads) == 100
        assert not {*threading.enumerate()} - before
