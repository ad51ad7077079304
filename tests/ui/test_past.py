"""The past on the screen: of a recording, and of what is live."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS, FakeHost
from samples import docker_runtime

from tests.ui.looking import PATIENCE_S, shows, text, until
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.recording.memory import Memory, MemoryReader
from topcon.recording.reader import Reader
from topcon.recording.replayed import Replay
from topcon.recording.writer import Writer
from topcon.ui.app import TopconApp
from topcon.ui.messages import SnapshotReady
from topcon.ui.past import Recalled
from topcon.ui.themes import load_theme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost, NotingActions

S = 10**9
SECONDS = 40
SIZE = (120, 30)


@pytest.fixture
def recording(busy: BusyHost, tmp_path: Path) -> Path:
    """Forty seconds of the busy host."""
    path = tmp_path / "incident.topcon"
    writer = Writer(path)
    for _ in range(SECONDS):
        writer.write(busy.tick())
    writer.close()
    return path


@pytest.fixture
def replay(recording: Path) -> Callable[..., TopconApp]:
    """The screen over it, which begins at its thirtieth second."""

    def make(**options: Any) -> TopconApp:
        with Reader(recording) as reader:
            first = Replay(reader).at(29)
            at_ns = reader.times[29]
        recalled = Recalled(lambda: Reader(recording), at_ns=at_ns, is_all=True)
        return TopconApp(None, theme=load_theme("topcon-dark"), first=first, recalled=recalled._replace(**options))

    return make


@pytest.fixture
def live(make_app: Callable[..., TopconApp], busy: BusyHost) -> Callable[..., TopconApp]:
    """The screen over the host as it is, with twenty seconds in memory."""

    def make(**options: Any) -> TopconApp:
        memory = Memory()
        for _ in range(20):
            memory.add(busy.tick())
        return make_app(first=busy.sampler.newest, recalled=Recalled(lambda: MemoryReader(memory)), **options)

    return make


def at(app: TopconApp) -> int:
    """Which second of all that is known is shown."""
    playing = app._past.playing
    assert playing is not None
    return (playing.at_ns - playing.first_ns) // S


async def done(app: TopconApp, pilot: Pilot[Any]) -> None:
    """Wait until the player has done what it was asked to, and that is shown."""
    await until(app, pilot, lambda: not app._past.is_busy, "#header")
    await pilot.pause()


async def press(app: TopconApp, pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await done(app, pilot)


async def paused(app: TopconApp, pilot: Pilot[Any]) -> None:
    await done(app, pilot)
    await press(app, pilot, "f")


async def test_a_recording_says_that_it_is_the_past_and_which(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)

        header = text(app, "#header")
        assert "PAST " in header
        assert " ago" in header
        assert "\n paused " in header
        assert "shop-web-1" in text(app)


async def test_keys_go_through_it(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        begin = at(app)
        places = []
        for key in ("left_square_bracket", "comma", "right_square_bracket", "full_stop", "left_curly_bracket"):
            await press(app, pilot, key)
            places.append(at(app) - begin if key != "left_curly_bracket" else at(app))
        await press(app, pilot, "right_curly_bracket")

        assert places == [-1, -2, -1, 0, 0]
        assert at(app) == SECONDS - 1


async def test_it_plays_at_the_speed_that_is_asked_for(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        await press(app, pilot, "apostrophe", "apostrophe", "apostrophe", "semicolon")
        assert app._past.playing is not None
        assert app._past.playing.speed == 5.0

        await press(app, pilot, "f")
        await until(app, pilot, lambda: app._past.playing and app._past.playing.is_at_end, "#header")
        await shows(app, pilot, "paused", "#header")


async def test_a_click_into_the_time_bar_goes_there(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        column = text(app, "#header").splitlines()[2].index("━")
        await pilot.click("#header", offset=(column, 2))
        await done(app, pilot)
        first = at(app)
        await pilot.click("#header", offset=(column, 0))
        await press(app, pilot, "right_square_bracket")

        assert (first, at(app)) == (0, 1)


async def test_a_command_goes_to_a_moment(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        await press(app, pilot, "colon", *("a", "t", "space", "minus", "3", "0", "s"), "enter")

        assert at(app) == SECONDS - 1 - 30

        await press(app, pilot, "colon", *("s", "p", "e", "e", "d", "space", "3", "0", "x"), "enter")
        assert app._past.playing is not None
        assert app._past.playing.speed == 30.0


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("l", "a recording has no logs"),
        ("e", "a recording has no shells"),
        ("S", "a recording has no actions"),
        ("X", "a recording has no actions"),
        ("p", "a recording has no processes"),
        ("i", "a recording has no runtime to ask"),
        ("5", "a recording has no disk usage"),
    ],
)
async def test_what_needs_the_host_says_that_there_is_none(
    replay: Callable[..., TopconApp], key: str, said: str
) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        await pilot.press("end", "up", key)
        await shows(app, pilot, said, "#wrong")

        assert len(app.screen_stack) == 1


async def test_other_views_show_the_past_too(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        for key in ("2", "3", "4", "6"):
            await pilot.press(key)
            assert "PAST" in await shows(app, pilot, "paused", "#header")
        await pilot.press("1", "enter")
        was = at(app)
        await press(app, pilot, "left_square_bracket")

        assert at(app) == was - 1
        assert len(app.screen_stack) == 2


async def test_escape_leaves_a_recording_where_it_is(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        await pilot.press("escape")
        await pilot.pause()

        assert app._past.is_shown


async def test_from_now_one_steps_back_and_comes_back(live: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        assert "PAST" not in text(app, "#header")
        await press(app, pilot, "left_square_bracket", "left_square_bracket")
        was = at(app)
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        in_the_past = text(app, "#header")
        await pilot.press("equals_sign")
        await pilot.pause()

        assert was == 17
        assert "PAST" in in_the_past
        assert "PAST" not in text(app, "#header")
        assert app._shown is busy.sampler.newest


async def test_escape_goes_back_to_now_too(live: Callable[..., TopconApp]) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        await press(app, pilot, "left_square_bracket")
        await pilot.press("escape")
        await pilot.pause()

        assert not app._past.is_shown


async def test_in_the_past_nothing_is_done_to_what_is_now(
    live: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        await press(app, pilot, "left_square_bracket")
        keys = text(app, "#keys")
        await pilot.press("end", "up", "S")
        await shows(app, pilot, "the past has no actions; = goes back to now", "#wrong")
        await pilot.press("colon", *"remove", "minus", *"stopped", "enter")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert actions.requests == []
        assert "stop" not in keys
        assert "[ earlier" in keys


async def test_who_looks_inside_is_told_nothing_of_now(live: Callable[..., TopconApp]) -> None:
    asked: list[object] = []
    inside = Inside(tail=lambda _: asked.append(1) or (), processes=lambda _: asked.append(2) or Problem("x", "live"))  # type: ignore[func-returns-value,arg-type,return-value]
    app = live(inside=inside)
    async with app.run_test(size=SIZE) as pilot:
        await press(app, pilot, "left_square_bracket")
        await pilot.press("end", "up", "enter")
        await pilot.pause()
        await pilot.press("tab", "tab")
        await pilot.pause(0.1)

        assert asked == []


async def test_from_now_there_is_nothing_to_go_on_to(live: Callable[..., TopconApp]) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("right_square_bracket")
        await pilot.pause()

        assert "] does nothing here" in text(app, "#wrong")
        assert not app._past.is_shown


async def test_who_plays_up_to_now_is_live_again(live: Callable[..., TopconApp]) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        await press(app, pilot, "left_square_bracket", "apostrophe", "apostrophe", "apostrophe", "f")
        await until(app, pilot, lambda: not app._past.is_shown, "#header")

        assert "PAST" not in text(app, "#header")


async def test_ages_are_those_of_the_moment(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        (row,) = [line for line in text(app).splitlines() if " shop-web-1 " in line]

        assert row.endswith(" 2h")


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["wide", "narrow"])
async def test_pictures(
    replay: Callable[..., TopconApp],
    picture: Callable[[TopconApp], bool],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    app = replay()
    monkeypatch.setattr("topcon.ui.past.time.time_ns", lambda: START_WALL_NS + 7200 * S)
    async with app.run_test(size=size) as pilot:
        await paused(app, pilot)
        await press(app, pilot, "colon", *("a", "t", "space", "minus", "1", "2", "s"), "enter")
        # Its charts are there.
        await until(app, pilot, lambda: app._shown and len(app._shown.times.all_ns) == at(app) + 1, "#header")
        await pilot.pause()

        assert picture(app)


async def test_from_what_is_frozen_one_goes_back(live: Callable[..., TopconApp], busy: BusyHost) -> None:
    app = live()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f")
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()
        await press(app, pilot, "left_square_bracket")

        assert at(app) == 18
        assert "FROZEN" not in text(app, "#header")


async def test_a_recording_has_no_interval_to_set(replay: Callable[..., TopconApp]) -> None:
    app = replay()
    async with app.run_test(size=SIZE) as pilot:
        await paused(app, pilot)
        await pilot.press("colon", *"interval", "space", "5", "enter")

        await shows(app, pilot, "a recording has no interval to set", "#wrong")


@pytest.fixture
def demo(recording: Path) -> Callable[[], Recalled]:
    """Makes the past of another host."""
    return lambda: Recalled(lambda: Reader(recording), name="demo", is_looped=True)


@pytest.fixture
def empty(make_app: Callable[..., TopconApp], demo: Callable[[], Recalled], tmp_path: Path) -> TopconApp:
    """The screen over a host without containers, which has a demo to show."""
    return make_app(first=FakeHost(tmp_path / "empty").sampler().tick(), demo=demo)


async def test_where_there_is_nothing_enter_plays_the_demo_and_the_way_back_is_said(
    empty: TopconApp,
) -> None:
    app = empty
    async with app.run_test(size=SIZE) as pilot:
        await shows(app, pilot, "no containers on this host yet; enter plays a demo with some", "#tree")
        await pilot.press("enter")
        await shows(app, pilot, "shop-web-1", "#tree")
        assert "demo " in text(app, "#header")
        assert app._past.playing is not None
        assert not app._past.playing.is_paused

        await pilot.press("S")
        await shows(app, pilot, "the demo has no actions; = goes back to now", "#wrong")
        await pilot.press("equals_sign")
        await shows(app, pilot, "no containers on this host yet", "#tree")
        assert "demo " not in text(app, "#header")


def ticks_of(host: FakeHost, count: int, **others: Any) -> list[SnapshotReady]:
    """What the screen is told of a host."""
    sampler, told = host.sampler(), []
    for _ in range(count):
        snapshot = sampler.tick()
        told.append(SnapshotReady(replace(snapshot, sample=replace(snapshot.sample, **others))))
    return told


def tell(app: TopconApp, told: Iterable[SnapshotReady]) -> None:
    for each in told:
        app.post_message(each)


def threads_that_play() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "topcon-player"]


def players() -> list[threading.Thread]:
    """Who plays, of whom there is one at least."""
    playing = threads_that_play()
    assert playing
    return playing


def assert_end(playing: Iterable[threading.Thread]) -> None:
    for player in playing:
        player.join(PATIENCE_S)
        assert not player.is_alive()


PREVIEWED = "recorded on another host"


async def test_a_host_that_has_nothing_shows_the_demo_beside_it_and_enter_goes_on_from_there(
    empty: TopconApp, tmp_path: Path
) -> None:
    app = empty
    async with app.run_test(size=SIZE) as pilot:
        await shows(app, pilot, "no containers on this host yet", "#tree")
        assert PREVIEWED not in text(app, "#tree")

        tell(app, ticks_of(FakeHost(tmp_path / "host"), 2))
        await shows(app, pilot, PREVIEWED, "#tree")
        await shows(app, pilot, "shop-web-1", "#tree")
        assert "demo " not in text(app, "#header")
        previewed = app._past.previewed
        assert previewed is not None

        await pilot.press("enter")
        await shows(app, pilot, "demo ", "#header")
        assert app._past.playing is not None
        assert app._past.playing.at_ns >= previewed.playing.at_ns
        assert PREVIEWED not in text(app, "#tree")


async def test_the_demo_beside_a_host_goes_when_that_has_something(
    empty: TopconApp, busy: BusyHost, tmp_path: Path
) -> None:
    app = empty
    async with app.run_test(size=SIZE) as pilot:
        tell(app, ticks_of(FakeHost(tmp_path / "host"), 2))
        await shows(app, pilot, PREVIEWED, "#tree")
        playing = players()

        tell(app, [SnapshotReady(busy.tick())])
        await until(app, pilot, lambda: PREVIEWED not in text(app, "#tree"), "#tree")
        assert app._past.previewed is None
        assert_end(playing)


async def test_where_a_runtime_is_there_no_other_hosts_containers_are_shown_unasked(
    empty: TopconApp, tmp_path: Path
) -> None:
    app = empty
    async with app.run_test(size=SIZE) as pilot:
        tell(app, ticks_of(FakeHost(tmp_path / "host"), 3, runtimes=(docker_runtime(),)))
        await pilot.pause()
        await shows(app, pilot, "no containers on this host yet; enter plays a demo with some", "#tree")
        assert app._past.previewed is None
        assert not threads_that_play()


@pytest.fixture
def unreadable_demo(tmp_path: Path) -> Callable[[], Recalled]:
    """Fails to make the past of another host."""
    damaged = tmp_path / "demo.topcon"
    damaged.write_bytes(b"nothing of the kind" * 100)

    def demo() -> Recalled:
        Reader(damaged).close()
        raise AssertionError

    return demo


async def test_a_demo_that_cannot_be_read_is_told_of_only_to_who_asks_for_it(
    make_app: Callable[..., TopconApp], unreadable_demo: Callable[[], Recalled], tmp_path: Path
) -> None:
    app = make_app(first=FakeHost(tmp_path / "empty").sampler().tick(), demo=unreadable_demo)
    async with app.run_test(size=SIZE) as pilot:
        tell(app, ticks_of(FakeHost(tmp_path / "host"), 3))
        await pilot.pause()
        await shows(app, pilot, "no containers on this host yet", "#tree")
        assert "not a recording" not in text(app, "#wrong")
        await pilot.press("enter")
        await shows(app, pilot, "demo.topcon: not a recording", "#wrong")


async def test_who_quits_ends_the_demo_beside_the_host(empty: TopconApp, tmp_path: Path) -> None:
    async with empty.run_test(size=SIZE) as pilot:
        tell(empty, ticks_of(FakeHost(tmp_path / "host"), 2))
        await shows(empty, pilot, PREVIEWED, "#tree")
        playing = players()
        await pilot.press("q")

    assert_end(playing)


async def test_the_demo_can_be_asked_for_where_there_is_something_too(
    live: Callable[..., TopconApp], demo: Callable[[], Recalled]
) -> None:
    app = live(demo=demo)
    async with app.run_test(size=SIZE) as pilot:
        await press(app, pilot, "left_square_bracket")
        assert "PAST " in text(app, "#header")
        await pilot.press("colon", *"demo")
        await pilot.press("enter")
        await shows(app, pilot, "demo ", "#header")
        await pilot.press("colon", *"at -10s")
        await press(app, pilot, "enter")
        assert at(app) in range(SECONDS - 12, SECONDS - 1)

        await pilot.press("escape")
        await until(app, pilot, lambda: app._past.playing is None, "#header")
        assert "demo " not in text(app, "#header")


async def test_a_demo_that_cannot_be_read_says_so(
    make_app: Callable[..., TopconApp], unreadable_demo: Callable[[], Recalled]
) -> None:
    app = make_app(demo=unreadable_demo)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *"demo", "enter")
        await shows(app, pilot, "demo.topcon: not a recording", "#wrong")


async def test_who_quits_ends_the_demo(empty: TopconApp) -> None:
    async with empty.run_test(size=SIZE) as pilot:
        await pilot.press("enter")
        await shows(empty, pilot, "shop-web-1", "#tree")
        playing = players()
        await pilot.press("q")

    assert_end(playing)


async def test_an_empty_moment_of_a_recording_is_no_host_to_wait_for(tmp_path: Path) -> None:
    path = tmp_path / "empty.topcon"
    writer = Writer(path)
    nothing = FakeHost(tmp_path / "host").sampler().tick()
    writer.write(nothing)
    writer.close()
    recalled = Recalled(lambda: Reader(path), is_all=True)
    app = TopconApp(None, theme=load_theme("topcon-dark"), first=nothing, recalled=recalled)
    async with app.run_test(size=SIZE) as pilot:
        await shows(app, pilot, "no containers then", "#tree")


async def test_the_keys_say_what_they_do_while_it_plays_and_while_it_is_paused(
    replay: Callable[..., TopconApp],
) -> None:
    app = replay(is_looped=True)
    async with app.run_test(size=(160, 30)) as pilot:
        await shows(app, pilot, "f pause", "#keys")
        await paused(app, pilot)
        await shows(app, pilot, "f play", "#keys")
        await press(app, pilot, "f")
        await shows(app, pilot, "f pause", "#keys")
