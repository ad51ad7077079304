"""A busy host for the screen, an `Actions` that only notes what it is asked, and pictures of the screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from fakes import HOST_NAMESPACES, START_WALL_NS, FakeHost, FakeRuntimes, FakeWatch
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from topcon.actions import Outcome, Verb, Way
from topcon.model.sample import ContainerInfo, Health, RuntimeSample, Source, State
from topcon.text import printable
from topcon.ui.app import TopconApp
from topcon.ui.themes import load_theme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from topcon.actions import Request
    from topcon.model.sample import ProcessSample
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.sampler import Sampler

COMPOSE = {"com.docker.compose.project": "shop"}
NAMES = ("shop-web-1", "shop-worker-1", "shop-db-1", "hostnet", "hog", "done", "failed")
IDS = {name: f"{at:x}" * 64 for at, name in enumerate(NAMES, start=1)}
VANILLA = {"runtime": "docker", "source": Source.API, "image": "shop:1.4", "restarts": 0, "restart_policy": "no"}


def _info(name: str, state: State = State.RUNNING, **options: Any) -> ContainerInfo:
    started_ns = START_WALL_NS - 7200 * 10**9
    return ContainerInfo(id=IDS[name], name=name, state=state, **(VANILLA | {"started_ns": started_ns} | options))


class BusyHost:
    """Seven containers that do something each tick."""

    def __init__(self, root: Path) -> None:
        self.host = FakeHost(root)
        infos = (
            _info("shop-web-1", labels=COMPOSE, health=Health.HEALTHY),
            _info("shop-worker-1", labels=COMPOSE),
            _info("shop-db-1", labels=COMPOSE, health=Health.UNHEALTHY),
            _info("hostnet"),
            _info("hog"),
            _info("done", State.EXITED, exit_code=0, finished_ns=START_WALL_NS - 60 * 10**9),
            _info("failed", State.EXITED, exit_code=3, finished_ns=START_WALL_NS - 90 * 10**9),
        )
        self.docker = FakeWatch(infos, RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True))
        self.sampler: Sampler = self.host.sampler(FakeRuntimes([self.docker]))
        self.ticks = 0

    def tick(self, ticks: int = 1) -> Snapshot:
        for _ in range(ticks):
            self._move_on()
            snapshot = self.sampler.tick()
            self.ticks += 1
        return snapshot

    def _move_on(self) -> None:
        at = self.ticks
        self._write("shop-web-1", 101, usage_usec=at * 250_000 + (at % 7) * 90_000, current=180 << 20, limit=256 << 20)
        throttled = {"quota": "10000", "nr_periods": at * 10, "nr_throttled": at * 8}
        self._write("shop-worker-1", 102, usage_usec=at * 100_000, cpu_some=at * 600_000, **throttled)
        self._write("shop-db-1", 103, usage_usec=at * 20_000, rbytes=at * 4096, wbytes=at * 1_500_000, pids=12)
        self._write("hostnet", 104, usage_usec=0)
        self._write("hog", 105, usage_usec=at * 700_000, current=(23 << 20) + at, limit=24 << 20)
        for pid, rx, tx in ((101, 120_000, 45_000), (103, 3_000, 9_000)):
            self.host.network(self._netns[pid], rx * at, tx * at)
        self.host.write(
            "proc/stat", f"cpu  {1000 + at * 120} 0 1000 {8000 + at * 80} 0 0 0 0 0 0\ncpu0 0 0 0 0 0\ncpu1 0 0 0 0 0\n"
        )

    _netns: ClassVar = {101: 5001, 102: 5002, 103: 5003, 104: HOST_NAMESPACES["net"], 105: 5005}

    def _write(self, name: str, pid: int, **options: Any) -> None:
        path = f"/system.slice/docker-{IDS[name]}.scope"
        self.host.container(path, pid, netns=self._netns[pid], **options)


class NotingActions:
    """Does nothing, and notes what it was asked to do."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused: list[tuple[Request, str]] = []
        self.error: str | None = None
        self.errors: dict[str, str] = {}
        """By the name of the container."""
        self.meanwhile: Callable[[Request], object] = lambda _: None
        """What happens while it works."""
        self.possible_way: Way | None = Way.RUNTIME
        self.is_closed = False

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        if container.info.state is State.EXITED:
            return (Verb.START, Verb.RESTART, Verb.REMOVE)
        if container.info.state is State.PAUSED:
            return (Verb.UNPAUSE, Verb.STOP, Verb.KILL)
        return (Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.KILL)

    def way(self, verb: Verb, container: ContainerNode) -> Way | None:
        return self.possible_way if verb in self.verbs(container) else None

    def consequences(
        self, verb: Verb, container: ContainerNode, snapshot: Snapshot, way: Way, signal: str
    ) -> list[str]:
        assert way is self.possible_way
        del snapshot, signal
        return [f"{verb} has a consequence for {printable(container.name)}"]

    def may_signal(self, member: ProcessSample) -> bool:
        del member
        return True

    def consequences_for_process(
        self, member: ProcessSample, container: ContainerNode, snapshot: Snapshot, signal: str
    ) -> list[str]:
        del container, snapshot
        return [f"{signal} has a consequence for {member.pid}"]

    def obstacle(self, verb: Verb, container: ContainerNode) -> str:
        assert verb not in self.verbs(container) or self.possible_way is None
        return f"it is {container.info.state}"

    def perform(self, request: Request) -> Outcome:
        self.requests.append(request)
        self.meanwhile(request)
        return Outcome(request, 1.5, self.errors.get(request.name, self.error))

    def refuse(self, request: Request, why: str) -> Outcome:
        self.refused.append((request, why))
        return Outcome(request, 0.0, why)

    def running(self) -> list[tuple[Request, float]]:
        return []

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures show nothing that is on its way."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def busy(tmp_path: Path) -> BusyHost:
    return BusyHost(tmp_path / "busy")


@pytest.fixture
def actions() -> NotingActions:
    return NotingActions()


@pytest.fixture
def make_app(busy: BusyHost, actions: NotingActions) -> Callable[..., TopconApp]:
    """An app that has seen twenty seconds of the busy host; further snapshots are posted by hand."""

    def make(theme: str = "topcon-dark", **options: Any) -> TopconApp:
        given: dict[str, Any] = {"first": busy.tick(20), "actions": actions, **options}
        return TopconApp(None, theme=load_theme(theme), **given)

    return make


class SvgExtension(SingleFileSnapshotExtension):
    """Keeps a picture as an SVG file, so that it can be looked at in a review."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> Callable[[TopconApp], bool]:
    kept = snapshot.use_extension(SvgExtension)

    def matches(app: TopconApp) -> bool:
        return bool(kept == re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot()))

    return matches
