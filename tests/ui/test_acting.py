"""What changes containers: what is asked, of whom, and what is said of how it ended."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.looking import select, settled, text, typed_ahead
from topcon.actions import Verb
from topcon.model.sample import State
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.confirm import ConfirmScreen
from topcon.ui.screens.progress import ProgressScreen
from topcon.ui.screens.signals import SignalScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost, NotingActions
    from topcon.actions import Request
    from topcon.ui.app import TopconApp

SIZE = (120, 30)
SHOP = ["shop-db-1", "shop-web-1", "shop-worker-1"]


async def press(app: TopconApp, pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(app, pilot)


def asked(actions: NotingActions) -> list[tuple[Verb, str]]:
    return sorted((request.verb, request.name) for request in actions.requests)


def marked(app: TopconApp) -> set[str]:
    """The names of the containers that are marked."""
    tree = app._tree
    assert tree.snapshot is not None
    return {each.name for key, each in tree.snapshot.containers.items() if f"container:{key}" in tree.view.marks}


# Marks.


async def test_space_marks_and_goes_down_and_takes_the_mark_away(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("space", "space")
        assert marked(app) == {"hog", "failed"}
        assert "2 marked" in text(app, "#header")

        await select(pilot, app, "hog")
        await pilot.press("space")
        assert marked(app) == {"failed"}

        await pilot.press("u")
        assert marked(app) == set()
        assert "marked" not in text(app, "#header")


async def test_a_range_is_marked_as_far_as_the_cursor(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop-worker-1")
        await pilot.press("v", "down", "down")
        await pilot.pause()
        assert marked(app) == {"shop-worker-1", "shop-web-1", "hog"}

        await pilot.press("up")
        await pilot.pause()
        assert marked(app) == {"shop-worker-1", "shop-web-1"}

        await pilot.press("v", "down", "down")
        await pilot.pause()
        assert marked(app) == {"shop-worker-1", "shop-web-1"}


async def test_escape_takes_back_the_range_then_the_filter_then_the_marks(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filter_text="o")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("space", "v", "down")
        await pilot.pause()
        assert len(marked(app)) > 1

        await pilot.press("escape")
        assert (marked(app), app._tree.filter_text) == ({"hog"}, "o")
        await pilot.press("escape")
        assert (marked(app), app._tree.filter_text) == ({"hog"}, "")
        await pilot.press("escape")
        assert marked(app) == set()


async def test_a_pod_is_marked_with_its_containers(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await pilot.press("space")

        assert marked(app) == set(SHOP)
        assert "3 marked" in text(app, "#header")
        assert len(app._tree.view.marks) == 4


async def test_all_that_is_shown_can_be_marked(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(filter_text="shop-")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app._tree.action_mark_shown()

        assert marked(app) == set(SHOP)


async def test_marks_stay_when_rows_move_and_go_with_their_container(
    make_app: Callable[..., TopconApp], busy: BusyHost
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hostnet")
        await pilot.press("space", "space")
        assert marked(app) == {"hostnet", "done"}
        await pilot.press("r")
        assert marked(app) == {"hostnet", "done"}

        busy.docker.infos = tuple(info for info in busy.docker.infos if info.name != "done")
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert marked(app) == {"hostnet"}
        assert "1 marked" in text(app, "#header")


# Asking.


@pytest.mark.parametrize(
    ("keys", "name", "verb", "done"),
    [
        (("S",), "hog", Verb.STOP, "stopped"),
        (("S",), "done", Verb.START, "started"),
        (("R",), "hog", Verb.RESTART, "restarted"),
        (("P",), "hog", Verb.PAUSE, "paused"),
        (("K", "enter"), "hog", Verb.KILL, "sent SIGTERM to"),
        (("f9", "down", "enter"), "hog", Verb.KILL, "killed"),
    ],
)
async def test_an_action_asks_first_and_is_done_on_yes(
    make_app: Callable[..., TopconApp],
    actions: NotingActions,
    keys: tuple[str, ...],
    name: str,
    verb: Verb,
    done: str,
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, name)
        await press(app, pilot, *keys)
        assert isinstance(app.screen, ConfirmScreen)
        assert actions.requests == []

        await press(app, pilot, "y")

        assert asked(actions) == [(verb, name)]
        assert f"{done} {name} in 1.5 s" in text(app, "#wrong")


@pytest.mark.parametrize("answer", ["enter", "escape", "n", "q"])
@pytest.mark.parametrize("marks", [0, 2])
async def test_the_safe_answer_has_the_focus(
    make_app: Callable[..., TopconApp], actions: NotingActions, answer: str, marks: int
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, *["space"] * marks, "S")
        assert app.screen.focused is not None
        assert app.screen.focused.id == "cancel"

        await press(app, pilot, answer)

        assert len(app.screen_stack) == 1
        assert actions.requests == []


async def test_the_question_shows_the_consequences_and_takes_a_grace_period(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S")
        assert "sends SIGTERM, after 10 s SIGKILL" in text(app, "#effect")
        assert "stop has a consequence for hog" in text(app, "#effect")

        app.screen.query_one("#grace").focus()
        await pilot.press("backspace", "backspace", "3")
        await pilot.pause()
        assert "after 3 s SIGKILL" in text(app, "#effect")

        await pilot.press("enter", "right", "enter")
        await settled(app, pilot)

        assert [request.grace_s for request in actions.requests] == [3.0]


@pytest.mark.parametrize("typed", ["", ".", "99999"])
async def test_a_grace_period_that_is_none_is_refused(
    make_app: Callable[..., TopconApp], actions: NotingActions, typed: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S")
        app.screen.query_one("#grace").focus()
        await pilot.press("backspace", "backspace", *typed)
        await pilot.pause()

        assert app.screen.query_one("#go").disabled
        assert "no such grace period" in text(app, "#effect")
        app.screen.query_one("#cancel").focus()
        await press(app, pilot, "y")
        assert actions.requests == []


@pytest.mark.parametrize(
    ("typed", "expected"), [("", "SIGTERM"), ("hup", "SIGHUP"), ("9", "SIGKILL"), ("rtmin+3", "SIGRTMIN+3")]
)
async def test_a_kill_asks_for_the_signal(
    make_app: Callable[..., TopconApp], actions: NotingActions, typed: str, expected: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "K")
        assert isinstance(app.screen, SignalScreen)
        assert "hog" in str(app.screen.query_one(".title").render())

        await press(app, pilot, *["plus" if each == "+" else each for each in typed], "enter")
        assert f"sends {expected}" in text(app, "#effect")
        await press(app, pilot, "y")

        assert [request.signal for request in actions.requests] == [expected]


async def test_keys_that_are_typed_ahead_choose_the_signal_that_was_meant(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "K")
        typed_ahead(app, "9\r")
        await settled(app, pilot)
        await settled(app, pilot)

        assert "sends SIGKILL" in text(app, "#effect")


async def test_a_signal_can_be_chosen_by_the_arrows(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "K", "down", "down", "up", "enter")

        assert "sends SIGKILL" in text(app, "#effect")


async def test_what_is_no_signal_chooses_nothing(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "K", "x", "x", "enter")
        assert "no such signal" in text(app, "#choices")
        assert isinstance(app.screen, SignalScreen)

        await press(app, pilot, "escape")
        assert len(app.screen_stack) == 1


async def test_several_are_listed_and_done(make_app: Callable[..., TopconApp], actions: NotingActions) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await press(app, pilot, "space", "S")

        assert "Stop 3 containers?" in str(app.screen.query_one(".title").render())
        assert all(name in text(app, "#effect") for name in SHOP)
        await press(app, pilot, "y")

        assert asked(actions) == [(Verb.STOP, name) for name in SHOP]
        assert isinstance(app.screen, ProgressScreen)
        assert text(app, "#steps").count("stopped in 1.5 s") == 3
        await press(app, pilot, "escape")
        assert "stopped 3 containers" in text(app, "#wrong")


async def test_a_pod_that_is_not_marked_acts_on_its_containers(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        assert "S stop" in text(app, "#keys")
        await press(app, pilot, "R", "y")

        assert asked(actions) == [(Verb.RESTART, name) for name in SHOP]


async def test_those_that_it_cannot_be_done_to_are_told_and_left_alone(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hostnet")
        await press(app, pilot, "space", "space", "S")

        assert "Stop 1 container?" in str(app.screen.query_one(".title").render())
        assert "done: it is exited" in text(app, "#effect")
        await press(app, pilot, "y")

        assert asked(actions) == [(Verb.STOP, "hostnet")]


async def test_more_than_fit_can_be_scrolled(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(60, 12)) as pilot:
        await select(pilot, app, "shop")
        await press(app, pilot, "S")
        shown = text(app, "#effect")
        assert "more" in str(app.screen.query_one("#more").render())

        await press(app, pilot, "pagedown")

        assert text(app, "#effect") != shown


@pytest.mark.parametrize(("key", "name", "why"), [("X", "hog", "it is running"), ("K", "done", "it is exited")])
async def test_a_key_that_can_do_nothing_says_why(
    make_app: Callable[..., TopconApp], actions: NotingActions, key: str, name: str, why: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, name)
        await press(app, pilot, key)

        assert len(app.screen_stack) == 1
        assert f"cannot {'remove' if key == 'X' else 'kill'} {name}: {why}" in text(app, "#wrong")
        assert actions.requests == []


async def test_what_became_impossible_before_the_question_says_why(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    actions.possible_way = None
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S")

        assert len(app.screen_stack) == 1
        assert "cannot stop hog: it is running" in text(app, "#wrong")


async def test_read_only_takes_the_keys_away_and_says_so(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(actions=None)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        for key in ("S", "R", "P", "K", "f9", "X"):
            await press(app, pilot, key)
            assert len(app.screen_stack) == 1
            assert "read-only" in text(app, "#wrong")

        assert "read-only" in text(app, "#header")
        assert "stop" not in text(app, "#keys")


# How it ends.


async def test_a_refusal_of_the_runtime_stays_in_its_words_until_escape(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    actions.error = "cannot stop container: [bold]tried[/bold] to kill\x1b[31m"
    app = make_app(filter_text="hog")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S", "y")
        said = r"stop hog: cannot stop container: [bold]tried[/bold] to kill\x1b[31m"
        assert said in text(app, "#wrong")

        app._acting._notice = None  # type: ignore[union-attr]
        app._draw()
        await pilot.pause()
        assert said in text(app, "#wrong")

        await press(app, pilot, "exclamation_mark")
        assert isinstance(app.screen, ProgressScreen)
        assert "cannot stop container" in text(app, "#steps")
        await press(app, pilot, "y")
        assert app.clipboard == said
        assert "what failed was copied" in text(app, "#progress > .title")
        await press(app, pilot, "escape")

        await press(app, pilot, "escape")
        assert said not in text(app, "#wrong")
        assert app._tree.filter_text == "hog"
        await press(app, pilot, "escape")
        assert app._tree.filter_text == ""


async def test_a_failure_among_several_is_kept_with_its_reason(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    actions.errors = {"shop-web-1": "no such container"}
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await press(app, pilot, "S", "y")

        assert "no such container" in text(app, "#steps")
        assert "copy what failed" in text(app, "#keys")
        await press(app, pilot, "escape")
        assert "stopped 2 of 3, 1 failed" in text(app, "#wrong")


async def test_what_is_wrong_is_told_before_what_was_done(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    del actions
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S", "y")
        app.say("saved")
        assert "stopped hog in " in text(app, "#wrong")

        app.action_set_theme("nosuch")
        assert "nosuch: there is no such theme" in text(app, "#wrong")


async def test_it_goes_on_where_nobody_looks_and_says_how_far_it_is(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    let_go = threading.Event()

    def wait(_: Request) -> None:
        let_go.wait(30)

    actions.meanwhile = wait
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await press(app, pilot, "S")
        await pilot.press("y")
        await pilot.pause(0.1)
        assert "… 0 s" in text(app, "#steps")

        await pilot.press("escape")
        await pilot.pause()
        assert "stopping 0 of 3 …" in text(app, "#wrong")

        let_go.set()
        await settled(app, pilot)
        assert "stopped 3 containers" in text(app, "#wrong")


async def test_the_end_of_topcon_does_not_wait_for_an_action(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    let_go = threading.Event()
    actions.meanwhile = lambda _: let_go.wait(30)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await press(app, pilot, "S")
        await pilot.press("y")
        await pilot.pause()
        await pilot.press("q")
        await pilot.pause()
    assert not let_go.is_set()
    assert actions.is_closed
    let_go.set()


async def test_without_anything_asked_for_there_is_no_progress(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("exclamation_mark")
        await pilot.pause()

        assert len(app.screen_stack) == 1


# Removing.


async def test_a_removal_wants_the_name_typed(make_app: Callable[..., TopconApp], actions: NotingActions) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "done")
        await press(app, pilot, "X", *"don", "enter")
        assert isinstance(app.screen, ConfirmScreen)
        assert app.screen.query_one("#go").disabled

        await press(app, pilot, "e", "enter")

        assert asked(actions) == [(Verb.REMOVE, "done")]


async def test_a_removal_cannot_be_confirmed_by_y_alone(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "done")
        await press(app, pilot, "X")
        app.screen.query_one("#cancel").focus()
        await press(app, pilot, "y")

        assert isinstance(app.screen, ConfirmScreen)
        assert actions.requests == []


async def test_all_stopped_ones_are_removed_by_their_number(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app._tree.action_remove_stopped()
        await settled(app, pilot)
        assert marked(app) == {"done", "failed"}

        await press(app, pilot, *"remove", "space", "2", "enter")

        assert asked(actions) == [(Verb.REMOVE, "done"), (Verb.REMOVE, "failed")]


async def test_where_nothing_is_stopped_nothing_is_asked(make_app: Callable[..., TopconApp], busy: BusyHost) -> None:
    busy.docker.infos = tuple(replace(info, state=State.RUNNING) for info in busy.docker.infos[:5])
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app._tree.action_remove_stopped()
        await settled(app, pilot)

        assert len(app.screen_stack) == 1
        assert "nothing that is shown is stopped" in text(app, "#wrong")


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
async def test_every_question_comes_up_at_any_size(make_app: Callable[..., TopconApp], size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        for name, key in (("shop", "S"), ("shop", "K"), ("hog", "K"), ("done", "X")):
            await select(pilot, app, name)
            await press(app, pilot, key)
            await pilot.pause()
            for button in app.screen.query("#cancel, #go, #signal"):
                assert button.region in app.screen.query_one(".dialog").content_region, (name, key)
                assert button.size.area > 0, (name, key)
            await press(app, pilot, "escape")
