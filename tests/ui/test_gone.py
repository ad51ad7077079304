"""What is gone stays in the tree for a while: dim rows, with how it ended and what it wrote last."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from played import PlayedHost

from tests.ui.looking import select, shows, text, until
from topcon.events import events_after
from topcon.model.derive import derive
from topcon.model.event import Kind, Told
from topcon.model.inside import Inside
from topcon.model.output import Batch, LastLines, Wanted
from topcon.model.sample import LogLine, Problem
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.events import EventScreen
from topcon.ui.screens.logs import LogScreen
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.app import TopconApp

SIZE = (100, 40)
SECONDS = 12
WEB, WORKER = "shop-web-1", "shop-worker-1"


def after(last: Snapshot, *names: str, events: tuple[Told, ...] = ()) -> Snapshot:
    """Return what is there a second later, when some containers have gone."""
    gone = [node for node in last.containers.values() if node.name in names]
    ids = {node.info.id for node in gone}
    paths = {node.cgroup.path for node in gone if node.cgroup is not None}
    sample = last.sample
    left: dict[str, Any] = {
        name: {path: value for path, value in getattr(sample, name).items() if path not in paths}
        for name in ("found", "cgroups", "processes")
    }
    now = replace(
        sample,
        **left,
        containers=tuple(info for info in sample.containers if info.id not in ids),
        monotonic_ns=sample.monotonic_ns + 10**9,
        wall_ns=sample.wall_ns + 10**9,
        events=events,
    )
    snapshot = derive(last, now)
    return replace(snapshot, events=events_after(last, snapshot))


def key_of(snapshot: Snapshot, name: str) -> ContainerKey:
    return next(key for key, node in snapshot.containers.items() if node.name == name)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    with closing(PlayedHost(tmp_path_factory.mktemp("played"))) as host:
        return host.tick(SECONDS)


@pytest.fixture(scope="module")
def killed(played: Snapshot) -> Snapshot:
    """A container of a project was killed for memory, and removed."""
    key, wall_ns = key_of(played, WORKER), played.sample.wall_ns
    told = (Told(wall_ns, Kind.OOM, key, WORKER), Told(wall_ns + 1, Kind.EXIT, key, WORKER, 137))
    return after(after(played, WORKER, events=told))


class Kept:
    """What is kept of last lines, and who follows the rest."""

    def __init__(self) -> None:
        self.last: dict[str, LastLines] = {}
        self.written: dict[str, tuple[LogLine, ...]] = {}
        self.asked: list[str] = []

    def of(self, key: ContainerKey) -> LastLines | None:
        return self.last.get(key)

    def follow(self, container: ContainerNode, wanted: Wanted) -> Any:
        self.asked.append(container.name)
        assert wanted.lines == 1000 or wanted.since_ns is not None
        if container.name not in self.written:
            return Problem("logs", "nobody has its output")
        return Written(self.written[container.name])

    @property
    def inside(self) -> Inside:
        return Inside(follow=self.follow, last_lines=self.of)


class Written:
    """A feed of what was written, which ends."""

    where = "docker"

    def __init__(self, lines: tuple[LogLine, ...]) -> None:
        self._batch: Batch | None = Batch(lines)

    def read(self) -> Batch | None:
        batch, self._batch = self._batch, None
        return batch

    def stop(self) -> None:
        self._batch = None

    def close(self) -> None:
        pass


def lines(snapshot: Snapshot, *texts: str, ago_s: int = 60) -> tuple[LogLine, ...]:
    begun_ns = snapshot.sample.wall_ns - ago_s * 10**9
    return tuple(LogLine(begun_ns + at * 10**6, is_stderr=False, text=each) for at, each in enumerate(texts))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def row(app: TopconApp) -> str:
    found = app.screen_stack[0].query_one(TreeTable).row
    assert found is not None
    return found.line.node.name


def written(app: TopconApp, query: str = "#page") -> list[str]:
    return [line.strip() for line in text(app, query).split("\n") if line.strip()]


async def test_a_tombstone_is_below_its_pod_and_counted_apart(
    make_app: Callable[..., TopconApp], killed: Snapshot
) -> None:
    app = make_app(first=killed)
    async with app.run_test(size=SIZE) as pilot:
        shop = next(at for at, line in enumerate(written(app, "#tree")) if "shop " in line)
        assert WEB in written(app, "#tree")[shop + 1]
        assert "gone oom" in next(line for line in written(app, "#tree") if WORKER in line)
        assert "· 1 gone" in text(app, "#header")

        await pilot.press("underscore")
        assert WORKER not in text(app)
        assert "1 gone hidden" in text(app, "#header")

        await pilot.press("colon", *"gone", "enter")
        await pilot.pause()
        assert WORKER in text(app)


async def test_the_filter_finds_it(make_app: Callable[..., TopconApp], killed: Snapshot) -> None:
    app = make_app(first=killed, filter_text="state:gone")
    async with app.run_test(size=SIZE):
        assert WORKER in text(app)
        assert WEB not in text(app)


@pytest.mark.parametrize(("key", "verb"), [("S", "stop"), ("R", "restart"), ("K", "kill"), ("X", "remove")])
async def test_nothing_can_be_done_to_it(
    make_app: Callable[..., TopconApp], killed: Snapshot, key: str, verb: str
) -> None:
    app = make_app(first=killed, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press(key)
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert f"{WORKER} is gone: there is nothing to {verb}" in text(app, "#wrong")


async def test_there_is_no_shell_in_it(make_app: Callable[..., TopconApp], killed: Snapshot) -> None:
    app = make_app(first=killed, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press("e")
        await pilot.pause()

        assert "no shell" in text(app, "#wrong") or "there is no shell" in text(app, "#wrong")


async def test_its_details_stay(make_app: Callable[..., TopconApp], killed: Snapshot, kept: Kept) -> None:
    app = make_app(first=killed, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press("enter")
        page = await shows(app, pilot, "gone 137 oom")

        assert isinstance(app.screen, DetailScreen)
        assert "137 (SIGKILL, out of memory)" in page
        assert "Use, as it was last seen" in page
        assert text(app, "#titles").split() == ["[overview]", "charts", "events"]

        await pilot.press("tab")
        assert await shows(app, pilot, "CPU")
        await pilot.press("tab")
        page = await shows(app, pilot, "exited with 137")
        assert "removed" in page


async def test_who_looks_at_it_as_it_goes_sees_how_it_ended(
    make_app: Callable[..., TopconApp], played: Snapshot, killed: Snapshot, kept: Kept
) -> None:
    app = make_app(first=played, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press("enter")
        await shows(app, pilot, WORKER)
        app.post_message(SnapshotReady(killed))
        page = await shows(app, pilot, "gone 137 oom")
        assert "it is gone" in page

        await pilot.press("escape")
        assert row(app) == WORKER


async def test_its_last_lines(make_app: Callable[..., TopconApp], killed: Snapshot, kept: Kept) -> None:
    (pod,) = killed.tombs
    key = pod.containers[0].key
    kept.last[key] = LastLines(lines(killed, "loading", "\x1b[31mkilled\x07"), "docker", killed.sample.wall_ns)
    app = make_app(first=killed, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press("l")
        await shows(app, pilot, "killed")

        assert isinstance(app.screen, LogScreen)
        first, second, *notes = written(app)
        note = " ".join(notes)
        assert (first, second.lstrip()) == ("loading", "killed\\x07")
        assert note.startswith("── exited with 137 (SIGKILL), out of memory at ")
        assert "the last 2 lines, read at" in note
        assert "from docker" in text(app, "#titles")
        assert kept.asked == []


async def test_why_there_are_none(make_app: Callable[..., TopconApp], killed: Snapshot, kept: Kept) -> None:
    (pod,) = killed.tombs
    kept.last[pod.containers[0].key] = LastLines((), "", 0, None, "no log file at /var/x")
    app = make_app(first=killed, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, WORKER)
        await pilot.press("l")

        assert await shows(app, pilot, "its last lines are lost: no log file at /var/x")


async def test_the_life_before_stands_above_what_it_writes_now(
    make_app: Callable[..., TopconApp], played: Snapshot, kept: Kept
) -> None:
    key, now_ns = key_of(played, WEB), played.sample.wall_ns
    last_words = lines(played, "old", "last words", ago_s=60)
    kept.last[key] = LastLines(last_words, "/var/log/web.log", now_ns, now_ns - 50 * 10**9)
    kept.written[WEB] = lines(played, "hello again", ago_s=40)
    app = make_app(first=played, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=(120, 40)) as pilot:
        await select(pilot, app, WEB)
        await pilot.press("l")
        await until(app, pilot, lambda: "hello again" in text(app, "#page") and "last words" in text(app, "#page"))

        old, words, note, now = written(app)
        assert (old, words, now) == ("old", "last words", "hello again")
        assert note.startswith("── started again at ")
        assert "from /var/log/web.log" in note


async def test_what_its_log_still_has_is_not_shown_twice(
    make_app: Callable[..., TopconApp], played: Snapshot, kept: Kept
) -> None:
    key, now_ns = key_of(played, WEB), played.sample.wall_ns
    last_words = lines(played, "old", "last words", ago_s=60)
    kept.last[key] = LastLines(last_words, "docker", now_ns, now_ns - 50 * 10**9)
    kept.written[WEB] = (last_words[1], *lines(played, "hello again", ago_s=40))
    app = make_app(first=played, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=(120, 40)) as pilot:
        await select(pilot, app, WEB)
        await pilot.press("l")
        await until(app, pilot, lambda: "old" in text(app, "#page"))

        assert [each for each in written(app) if "──" not in each] == ["old", "last words", "hello again"]


async def test_lines_of_the_one_before_in_its_place(
    make_app: Callable[..., TopconApp], played: Snapshot, kept: Kept
) -> None:
    gone = after(played, WEB)
    info = next(info for info in played.sample.containers if info.name == WEB)
    new = replace(info, id="f" * 64, started_ns=gone.sample.wall_ns)
    sample = replace(
        gone.sample,
        containers=(*gone.sample.containers, new),
        monotonic_ns=gone.sample.monotonic_ns + 10**9,
        wall_ns=gone.sample.wall_ns + 10**9,
    )
    replaced = derive(gone, sample)
    kept.last[key_of(played, WEB)] = LastLines(lines(played, "bye"), "docker", played.sample.wall_ns)
    kept.written[WEB] = lines(played, "hello", ago_s=-5)
    app = make_app(first=replaced, inside=kept.inside, filter_text="shop")
    async with app.run_test(size=(120, 40)) as pilot:
        await select(pilot, app, WEB)
        await pilot.press("l")
        await until(app, pilot, lambda: "hello" in text(app, "#page") and "bye" in text(app, "#page"))

        first, note, last = written(app)
        assert (first, last) == ("bye", "hello")
        assert "and is gone" in note


async def test_events_of_a_span_and_only_warnings(make_app: Callable[..., TopconApp], killed: Snapshot) -> None:
    app = make_app(first=killed)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        assert isinstance(app.screen, EventScreen)
        everything = await shows(app, pilot, "exited with 137")
        assert "removed" in everything

        await pilot.press("z")
        await until(app, pilot, lambda: "removed" not in text(app, "#page"))
        assert "exited with 137" in text(app, "#page")
        assert "warnings" in text(app, "#titles")

        await pilot.press("z", "t")
        await until(app, pilot, lambda: "the last 1h" in text(app, "#titles"))
        await pilot.press("t", "t")
        assert "the last" not in text(app, "#titles")

        await pilot.press("colon", *"since 1", "enter")
        await pilot.pause()
        assert "the last 1s" in text(app, "#titles")


async def test_an_event_leads_to_its_tombstone(make_app: Callable[..., TopconApp], killed: Snapshot) -> None:
    app = make_app(first=killed)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("underscore", "3")
        await shows(app, pilot, "removed")
        await pilot.press("end", "enter")
        await pilot.pause()

        assert row(app) == WORKER


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_picture(
    make_app: Callable[..., TopconApp],
    picture: Callable[[TopconApp], bool],
    killed: Snapshot,
    size: tuple[int, int],
) -> None:
    app = make_app(first=after(killed, "books-api", "books-cache"))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()

        assert picture(app)
