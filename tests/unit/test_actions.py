"""What changes the host: what it would do, what it does, what it refuses, and what is written down of it."""

from __future__ import annotations

import json
import os
import pwd
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS, FakeHost
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    HOST_NETNS,
    HOSTILE_NAMES,
    Box,
    cgroup_of,
    container_id,
    docker_key,
    info_of,
    netns_of,
    node_of,
    number_of,
    on_network,
    path_of,
    process_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    unsafe,
)

from topcon.actions import (
    BY_KERNEL,
    DEFAULT_GRACE_S,
    POSSIBLE,
    Actions,
    AuditLog,
    Outcome,
    Verb,
    Way,
    describe,
    request_for,
    ssh_client,
)
from topcon.errors import ActionFailed, SourceUnavailable
from topcon.kernel import control, netlink
from topcon.kernel.control import Cgroup
from topcon.kernel.files import Access
from topcon.kernel.mount import Hierarchies
from topcon.kernel.process import ProcFs
from topcon.model.sample import CgroupPath, ContainerId, FoundPod, NetnsKey, PodInfo, PodKind, Role, State, Volume
from topcon.runtimes import EVERY_ABILITY, Plugin
from topcon.runtimes.watch import RuntimeWatch
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.actions import Request
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.runtimes import Runtime

STARTED_NS = START_WALL_NS - 60 * 10**9
TERM, SIGINT = 1 << 14, 1 << 1
ALL = tuple(Verb)


@dataclass
class Daemon:
    """A daemon that notes what it is told, and knows when its containers were started."""

    started: int | None = STARTED_NS
    refusal: ActionFailed | SourceUnavailable | None = None
    """Why it does not do what it is told."""
    told: list[tuple[object, ...]] = field(default_factory=list)
    name: str = "docker"
    open: int = 0
    meanwhile: Callable[[], object] = lambda: None
    """What happens while it works."""

    abilities = EVERY_ABILITY

    def connect(self, socket: str) -> Daemon:
        if isinstance(self.refusal, SourceUnavailable):
            raise self.refusal
        assert socket == "/run/docker.sock"
        self.open += 1
        return self

    def containers(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def close(self) -> None:
        self.open -= 1

    def started_ns(self, container: ContainerId) -> int | None:
        assert container == container_id("web")
        return self.started

    def _do(self, *what: object) -> None:
        self.meanwhile()
        if self.refusal is not None:
            raise self.refusal
        self.told.append(what)

    def start(self, container: ContainerId) -> None:
        self._do("start", container)

    def stop(self, container: ContainerId, grace_s: float) -> None:
        self._do("stop", container, grace_s)

    def restart(self, container: ContainerId, grace_s: float) -> None:
        self._do("restart", container, grace_s)

    def pause(self, container: ContainerId) -> None:
        self._do("pause", container)

    def unpause(self, container: ContainerId) -> None:
        self._do("unpause", container)

    def kill(self, container: ContainerId, signal: str) -> None:
        self._do("kill", container, signal)

    def remove(self, container: ContainerId) -> None:
        self._do("remove", container)


class Viewer:
    """A runtime that can change nothing."""

    name = "docker"

    def __init__(self) -> None:
        self.is_closed = False

    def containers(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Watches:
    """The runtimes, of which at most one knows the container."""

    connect: Callable[[str], Runtime]
    abilities: frozenset[str] = EVERY_ABILITY
    knows: bool = True
    answers: bool = True
    is_settling: bool = False
    said: State = State.RUNNING
    said_next: State | None = None
    """What it says of the container when it is asked again."""

    def of(self, container: ContainerId) -> RuntimeWatch | None:
        return self._watch() if self.knows and container == container_id("web") else None

    def look(self) -> tuple[RuntimeWatch, ...]:
        return (self._watch(),)

    def _watch(self) -> RuntimeWatch:
        watch = Watch(Plugin("docker", (), self.connect), "/run/docker.sock")
        failure = None if self.answers else SourceUnavailable("no answer at /run/docker.sock")
        watch.says(self.said, abilities=self.abilities, is_listed=True, failure=failure)
        watch.said_next = self.said_next
        return watch


class Watch(RuntimeWatch):
    """A watch without a thread."""

    said_next: State | None = None

    def says(self, state: State, **others: Any) -> None:
        self._state = replace(self._state, infos=(info_of("web", state=state),), **others)

    def wake(self) -> None:
        if self.said_next is not None:
            self.says(self.said_next)


@dataclass
class Kernel:
    """A kernel that notes what it is told."""

    may: bool = True
    refusal: ActionFailed | None = None
    told: list[tuple[object, ...]] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("may_signal", "may_kill", "may_freeze"):
            monkeypatch.setattr(control, name, lambda *_: self.may)
        for name in ("stop", "send_signal", "kill", "freeze", "thaw"):
            monkeypatch.setattr(control, name, self._noting(name))

    def _noting(self, name: str) -> Callable[..., None]:
        def note(*what: object) -> None:
            if self.refusal is not None:
                raise self.refusal
            self.told.append((name, *what))

        return note


class Clock:
    """Goes on by a quarter of a second each time it is looked at."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@dataclass
class Desk:
    """All that an action needs, and what it leaves behind."""

    daemon: Daemon
    kernel: Kernel
    watches: Watches
    host: FakeHost
    log: Path
    actions: Actions

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def consequences(
        self, verb: Verb, snapshot: Snapshot, way: Way = Way.RUNTIME, signal: str = "SIGKILL"
    ) -> list[str]:
        return self.actions.consequences(verb, snapshot.containers[docker_key("web")], snapshot, way, signal)


HIERARCHIES = Hierarchies("/sys/fs/cgroup", {}, is_partial=False)


@pytest.fixture
def desk(host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    kernel = Kernel()
    kernel.install(monkeypatch)
    daemon, log = Daemon(), tmp_path / "state" / "topcon" / "audit.jsonl"
    watches = Watches(daemon.connect)  # type: ignore[arg-type]
    audit = AuditLog(log, "192.0.2.1", lambda: START_WALL_NS)
    actions = Actions(watches, ProcFs(host.proc_root, Access()), audit, Clock(), HIERARCHIES)  # type: ignore[arg-type]
    return Desk(daemon, kernel, watches, host, log, actions)


def web(**options: Any) -> ContainerNode:
    """Return the container as a person sees it; the options are what the runtime says of it."""
    return node_of("web")._replace(info=info_of("web", **({"started_ns": STARTED_NS} | options)))


def seen(verb: Verb = Verb.STOP) -> Request:
    return request_for(verb, web())


def live(**options: Any) -> ContainerNode:
    """Return the container with its cgroup and its first process."""
    cgroup = cgroup_of(path_of("web"))
    return web(**options)._replace(cgroup=cgroup, process=process_of("web", pid=number_of("web")))


# What is asked for.


@pytest.mark.parametrize(
    ("own_s", "given_s", "expected"),
    [(None, None, DEFAULT_GRACE_S), (30.0, None, 30.0), (0.0, None, 0.0), (30.0, 5.0, 5.0), (30.0, 0.0, 0.0)],
)
def test_the_grace_period_is_the_persons_else_the_containers_else_ten_seconds(
    own_s: float | None, given_s: float | None, expected: float
) -> None:
    assert request_for(Verb.STOP, node_of("web", grace_s=own_s), given_s).grace_s == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("term", "SIGTERM"), ("15", "SIGTERM"), ("SIGHUP", "SIGHUP"), ("rtmin+3", "SIGRTMIN+3")]
)
def test_a_signal_is_written_out(text: str, expected: str) -> None:
    assert request_for(Verb.KILL, web(), signal=text).signal == expected


@pytest.mark.parametrize("text", ["", "SIGNAL", "0", "99", "-9", "RTMIN+99"])
def test_a_signal_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^" + text.replace("+", r"\+") + "$"):
        request_for(Verb.KILL, web(), signal=text)


@pytest.mark.parametrize(
    ("verb", "state", "options", "expected"),
    [
        (Verb.STOP, State.RUNNING, {}, "sends SIGTERM, after 10 s SIGKILL"),
        (Verb.STOP, State.PAUSED, {"grace_s": 2.5}, "sends SIGTERM, after 2.5 s SIGKILL"),
        (Verb.STOP, State.RUNNING, {"stop_signal": "SIGQUIT"}, "sends SIGQUIT, after 10 s SIGKILL"),
        (Verb.RESTART, State.RUNNING, {}, "sends SIGTERM, after 10 s SIGKILL, then starts it"),
        (Verb.RESTART, State.EXITED, {}, "starts it"),
        (Verb.RESTART, State.CREATED, {}, "starts it"),
        (Verb.KILL, State.RUNNING, {}, "sends SIGKILL to its first process"),
        (Verb.PAUSE, State.RUNNING, {}, "freezes all its processes where they are"),
        (Verb.UNPAUSE, State.PAUSED, {}, "lets its processes run again"),
        (Verb.START, State.EXITED, {}, "starts it"),
        (Verb.REMOVE, State.EXITED, {}, "removes it, with all that it has written outside of its volumes"),
    ],
)
def test_what_an_action_does_in_a_line(verb: Verb, state: State, options: dict[str, Any], expected: str) -> None:
    node = node_of("web", state=state, **options)

    assert describe(request_for(verb, node), node) == expected


def test_stopping_what_is_about_to_be_started_again_is_not_called_a_start() -> None:
    node = node_of("web", state=State.RESTARTING)

    assert "starts it" not in describe(request_for(Verb.STOP, node), node)


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_the_stop_signal_of_an_image_is_foreign_text(name: str) -> None:
    node = node_of("web", stop_signal=name)

    assert not unsafe(describe(request_for(Verb.STOP, node), node))


# What can be done.


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.RUNNING, {Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.KILL}),
        (State.PAUSED, {Verb.STOP, Verb.RESTART, Verb.UNPAUSE, Verb.KILL}),
        (State.EXITED, {Verb.START, Verb.RESTART, Verb.REMOVE}),
        (State.CREATED, {Verb.START, Verb.RESTART, Verb.REMOVE}),
        (State.RESTARTING, {Verb.STOP, Verb.RESTART, Verb.KILL}),
        (State.UNKNOWN, {Verb.STOP, Verb.RESTART, Verb.KILL}),
        (State.DEAD, {Verb.REMOVE}),
    ],
)
def test_what_can_be_done_follows_from_the_state(desk: Desk, state: State, expected: set[Verb]) -> None:
    assert set(desk.actions.verbs(node_of("web", state=state))) == expected


@pytest.mark.parametrize(("lack", "value"), [("knows", False), ("answers", False), ("abilities", frozenset())])
def test_nothing_can_be_done_where_no_runtime_would_do_it(desk: Desk, lack: str, value: object) -> None:
    setattr(desk.watches, lack, value)

    assert desk.actions.verbs(web()) == ()


def test_a_runtime_does_what_it_has_a_way_to_do(desk: Desk) -> None:
    desk.watches.abilities = frozenset({"stop", "kill"})

    assert desk.actions.verbs(web()) == (Verb.STOP, Verb.KILL)


# In which way.


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED])
def test_the_runtime_is_asked_where_it_would_do_it(desk: Desk, state: State) -> None:
    desk.watches.said = state

    assert {desk.actions.way(verb, live(state=state)) for verb in POSSIBLE[state]} == {Way.RUNTIME}


@pytest.mark.parametrize(("lack", "value"), [("knows", False), ("answers", False), ("abilities", frozenset())])
@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED])
def test_the_kernel_does_what_it_can_where_no_runtime_would(desk: Desk, lack: str, value: object, state: State) -> None:
    setattr(desk.watches, lack, value)
    container = live(state=state)
    possible = tuple(verb for verb in POSSIBLE[state] if verb is not Verb.RESTART)

    assert desk.actions.verbs(container) == possible
    assert {desk.actions.way(verb, container) for verb in possible} == {Way.KERNEL}
    assert desk.actions.way(Verb.RESTART, container) is None
    assert desk.actions.way(Verb.START, container) is None


def test_the_kernel_is_not_asked_while_a_runtime_may_be_about_to_answer(desk: Desk) -> None:
    desk.watches.knows, desk.watches.is_settling = False, True

    assert desk.actions.verbs(live()) == ()
    desk.watches.is_settling = False
    assert Verb.STOP in desk.actions.verbs(live())


def test_the_kernel_does_only_what_the_runtime_has_no_way_to_do(desk: Desk) -> None:
    desk.watches.abilities = frozenset({"stop"})

    assert desk.actions.way(Verb.STOP, live()) is Way.RUNTIME
    assert desk.actions.way(Verb.PAUSE, live()) is Way.KERNEL


@pytest.mark.parametrize("lack", ["right", "process", "cgroup", "hierarchies"])
def test_the_kernel_does_nothing_for_us_without(desk: Desk, lack: str) -> None:
    desk.watches.answers = False
    container = live()
    if lack == "right":
        desk.kernel.may = False
    elif lack == "hierarchies":
        desk.actions._hierarchies = None
    else:
        container = container._replace(**{lack: None})

    assert desk.actions.verbs(container) == ()
    assert {desk.actions.way(verb, container) for verb in ALL} == {None}


@pytest.mark.parametrize(
    ("switch", "verb", "state", "is_possible"),
    [
        ("may_signal", Verb.STOP, State.RUNNING, True),
        ("may_signal", Verb.STOP, State.PAUSED, False),
        ("may_signal", Verb.KILL, State.RUNNING, True),
        ("may_signal", Verb.PAUSE, State.RUNNING, False),
        ("may_kill", Verb.STOP, State.RUNNING, False),
        ("may_kill", Verb.KILL, State.RUNNING, True),
        ("may_freeze", Verb.PAUSE, State.RUNNING, True),
        ("may_freeze", Verb.UNPAUSE, State.PAUSED, True),
        ("may_freeze", Verb.STOP, State.PAUSED, False),
    ],
)
def test_each_right_is_good_for_some_things(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, switch: str, verb: Verb, state: State, *, is_possible: bool
) -> None:
    desk.watches.answers = desk.kernel.may = False
    monkeypatch.setattr(control, switch, lambda *_: True)

    assert desk.actions.way(verb, live(state=state)) is (Way.KERNEL if is_possible else None)


@pytest.mark.parametrize(
    ("verb", "state", "said", "said_next", "expected"),
    [
        (Verb.UNPAUSE, State.PAUSED, State.RUNNING, None, Way.KERNEL),
        (Verb.UNPAUSE, State.PAUSED, State.RUNNING, State.PAUSED, Way.RUNTIME),
        (Verb.PAUSE, State.RUNNING, State.PAUSED, None, Way.KERNEL),
        (Verb.PAUSE, State.RUNNING, State.PAUSED, State.RUNNING, Way.RUNTIME),
        (Verb.STOP, State.PAUSED, State.RUNNING, None, Way.RUNTIME),
    ],
)
def test_a_pause_that_the_runtime_has_not_seen_is_the_kernels_once_it_has_been_asked_again(
    desk: Desk, verb: Verb, state: State, said: State, said_next: State | None, expected: Way
) -> None:
    watch = Watch(Plugin("docker", (), desk.daemon.connect), "/run/docker.sock")  # type: ignore[arg-type]
    watch.says(said, abilities=EVERY_ABILITY, is_listed=True)
    watch.said_next = said_next
    desk.watches.of = lambda _: watch  # type: ignore[method-assign,assignment]

    assert desk.actions.way(verb, live(state=state)) is expected


def test_where_the_kernel_would_not_the_runtime_is_asked_whatever_it_has_seen(desk: Desk) -> None:
    desk.kernel.may = False

    assert desk.actions.way(Verb.UNPAUSE, live(state=State.PAUSED)) is Way.RUNTIME


@pytest.mark.parametrize(
    ("lacks", "verb", "state", "expected"),
    [
        ({}, Verb.STOP, State.EXITED, "it is exited"),
        ({"knows": False}, Verb.RESTART, State.RUNNING, "no runtime that answers knows it"),
        ({"answers": False}, Verb.RESTART, State.RUNNING, "docker does not answer"),
        ({"answers": False, "knows": False}, Verb.RESTART, State.RUNNING, "docker does not answer"),
        ({"answers": False}, Verb.STOP, State.RUNNING, "docker does not answer, and without one only root could"),
        ({"abilities": frozenset()}, Verb.RESTART, State.RUNNING, "docker has no way to restart it"),
        ({}, Verb.REMOVE, State.RUNNING, "it is running"),
        ({"abilities": frozenset()}, Verb.REMOVE, State.EXITED, "docker has no way to remove it"),
    ],
)
def test_why_something_cannot_be_done(
    desk: Desk, lacks: dict[str, Any], verb: Verb, state: State, expected: str
) -> None:
    desk.kernel.may = False
    for name, value in lacks.items():
        setattr(desk.watches, name, value)

    assert desk.actions.obstacle(verb, live(state=state)) == expected


# Doing it.


@pytest.mark.parametrize(
    ("verb", "state", "told"),
    [
        (Verb.START, State.EXITED, ()),
        (Verb.STOP, State.RUNNING, (2.5,)),
        (Verb.RESTART, State.RUNNING, (2.5,)),
        (Verb.PAUSE, State.RUNNING, ()),
        (Verb.UNPAUSE, State.PAUSED, ()),
        (Verb.KILL, State.RUNNING, ("SIGHUP",)),
        (Verb.REMOVE, State.EXITED, ()),
    ],
)
def test_the_daemon_is_told_and_the_deed_written_down(
    desk: Desk, verb: Verb, state: State, told: tuple[object, ...]
) -> None:
    outcome = desk.actions.perform(request_for(verb, web(state=state), 2.5, "hup"))

    assert desk.daemon.told == [(str(verb), container_id("web"), *told)]
    assert (outcome.error, outcome.warning, outcome.took_s > 0) == (None, None, True)
    assert desk.daemon.open == 0
    (line,) = desk.lines()
    assert (line["way"], desk.kernel.told) == ("runtime", [])
    assert line["time"] == "2026-09-21T14:13:20.000Z"
    assert (line["ssh_client"], line["action"], line["result"]) == ("192.0.2.1", str(verb), "done")
    assert (line["container"], line["name"]) == (docker_key("web"), "web")
    assert line.get("grace_s") == (2.5 if verb in {Verb.STOP, Verb.RESTART} else None)
    assert line.get("signal") == ("SIGHUP" if verb is Verb.KILL else None)


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        (Verb.START, "started web in 1.2 s"),
        (Verb.STOP, "stopped web in 1.2 s"),
        (Verb.RESTART, "restarted web in 1.2 s"),
        (Verb.PAUSE, "paused web in 1.2 s"),
        (Verb.UNPAUSE, "unpaused web in 1.2 s"),
        (Verb.KILL, "killed web in 1.2 s"),
        (Verb.REMOVE, "removed web in 1.2 s"),
    ],
)
def test_an_outcome_is_a_line(verb: Verb, expected: str) -> None:
    request = request_for(verb, web())

    assert Outcome(request, 1.234).text == expected
    assert Outcome(request, 1.234, warning="not logged").text == f"{expected}, but not logged"
    assert Outcome(request, 1.234, "it refused").text == f"{verb} web: it refused"


def test_a_signal_that_it_may_outlive_is_sent_and_no_more() -> None:
    assert Outcome(request_for(Verb.KILL, web(), signal="hup"), 1.234).text == "sent SIGHUP to web in 1.2 s"
    assert Outcome(request_for(Verb.STOP, web(), signal="hup"), 1.234).text == "stopped web in 1.2 s"


@pytest.mark.parametrize("verb", ALL)
@pytest.mark.parametrize("started", [STARTED_NS + 1, STARTED_NS - 1, None, 0])
def test_a_container_that_was_started_again_since_is_left_alone(desk: Desk, verb: Verb, started: int | None) -> None:
    desk.daemon.started = started

    outcome = desk.actions.perform(request_for(verb, web()))

    assert outcome.error == "not done: it has been started again since you looked; look again"
    assert (desk.daemon.told, desk.daemon.open) == ([], 0)
    assert [line["result"] for line in desk.lines()] == [outcome.error]


def test_what_runs_and_whose_start_is_not_known_is_left_alone(desk: Desk) -> None:
    desk.daemon.started = None

    outcome = desk.actions.perform(request_for(Verb.STOP, web(started_ns=None)))

    assert outcome.error == "docker has not told yet when it was started: try again in a second"
    assert desk.daemon.told == []


@pytest.mark.parametrize("is_same", [True, False])
def test_where_the_runtime_tells_no_start_the_kernels_process_is_what_counts(desk: Desk, *, is_same: bool) -> None:
    request = request_for(Verb.STOP, live(started_ns=None))
    assert request.process is not None
    desk.daemon.started = None
    desk.host.process(number_of("web"), start_ticks=request.process.start_ticks + (not is_same))

    outcome = desk.actions.perform(request)

    if is_same:
        assert (outcome.error, len(desk.daemon.told)) == (None, 1)
    else:
        assert outcome.error == "not done: it has been started again since you looked; look again"
        assert desk.daemon.told == []


def test_what_was_never_started_can_be(desk: Desk) -> None:
    desk.daemon.started = None

    outcome = desk.actions.perform(request_for(Verb.START, web(state=State.CREATED, started_ns=None)))

    assert (outcome.error, desk.daemon.told) == (None, [("start", container_id("web"))])


@pytest.mark.parametrize(
    "words",
    [
        "Container abc is not running",
        "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
    ],
)
def test_the_daemons_refusal_is_shown_in_its_own_words(desk: Desk, words: str) -> None:
    desk.daemon.refusal = ActionFailed(words)

    outcome = desk.actions.perform(seen())

    assert outcome.text == f"stop web: {words}"
    assert [line["result"] for line in desk.lines()] == [words]
    assert desk.daemon.open == 0


def test_a_daemon_that_does_not_answer_is_named(desk: Desk) -> None:
    desk.daemon.refusal = SourceUnavailable("no answer at /run/docker.sock")

    assert desk.actions.perform(seen()).error == "docker: no answer at /run/docker.sock"


def test_a_runtime_that_can_only_be_looked_at_does_nothing(desk: Desk) -> None:
    viewer = Viewer()
    desk.watches.connect = lambda _: viewer

    assert desk.actions.perform(seen()).error == "docker: topcon cannot change its containers"
    assert viewer.is_closed


def test_what_no_runtime_knows_any_more_is_not_done(desk: Desk) -> None:
    desk.watches.knows = False

    assert desk.actions.perform(seen()).error == "no runtime that answers knows it"
    assert [line["result"] for line in desk.lines()] == ["no runtime that answers knows it"]


def test_of_two_actions_on_one_container_the_second_is_refused_while_the_first_runs(desk: Desk) -> None:
    second: list[Outcome] = []
    under_way: list[tuple[Verb, float]] = []

    def meanwhile() -> None:
        desk.daemon.meanwhile = lambda: None
        under_way.extend((request.verb, ago_s) for request, ago_s in desk.actions.running())
        second.append(desk.actions.perform(seen(Verb.KILL)))

    desk.daemon.meanwhile = meanwhile
    first = desk.actions.perform(seen(Verb.STOP))

    assert [verb for verb, _ in under_way] == [Verb.STOP]
    assert all(ago_s > 0 for _, ago_s in under_way)
    assert second[0].error == "not done: stop is still under way"
    assert [(line["action"], line["result"]) for line in desk.lines()] == [("kill", second[0].error), ("stop", "done")]
    assert (first.error, desk.daemon.told) == (None, [("stop", container_id("web"), DEFAULT_GRACE_S)])
    assert desk.actions.running() == []
    assert desk.actions.perform(seen(Verb.KILL)).error is None


def test_of_many_at_the_same_moment_one_is_done(desk: Desk) -> None:
    """All threads ask before the first has been answered."""
    asked = threading.Barrier(8)
    desk.daemon.meanwhile = asked.wait
    outcomes: list[Outcome] = []

    def ask() -> None:
        outcome = desk.actions.perform(seen())
        outcomes.append(outcome)
        if outcome.error is not None:
            asked.wait()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcome.error is None for outcome in outcomes) == [False] * 7 + [True]
    assert len(desk.daemon.told) == 1
    assert len(desk.lines()) == 8


def test_what_is_left_undone_is_written_down(desk: Desk) -> None:
    outcome = desk.actions.refuse(seen(), "not done: db, which needs it, could not be stopped")

    assert outcome.text == "stop web: not done: db, which needs it, could not be stopped"
    assert [line["result"] for line in desk.lines()] == [outcome.error]
    assert desk.daemon.told == []


def test_a_bug_is_not_taken_for_a_refusal_and_blocks_nothing(desk: Desk) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    desk.daemon.meanwhile = broken
    with pytest.raises(ZeroDivisionError):
        desk.actions.perform(seen())

    assert (desk.actions.running(), desk.daemon.open) == ([], 0)


def test_what_is_under_way_at_the_end_is_written_down(desk: Desk) -> None:
    desk.daemon.meanwhile = desk.actions.close
    desk.actions.perform(seen())

    assert [line["result"] for line in desk.lines()] == ["unknown: topcon ended before it was done", "done"]
    desk.actions.close()
    assert len(desk.lines()) == 2


# Doing it through the kernel.


CGROUP = Cgroup(HIERARCHIES, path_of("web"), cgroup_of(path_of("web")).inode)


@pytest.mark.parametrize(
    ("verb", "signal", "told"),
    [
        (Verb.STOP, "SIGKILL", ("stop", "PROC", process_of("web"), CGROUP, 15, 2.5)),
        (Verb.KILL, "SIGKILL", ("kill", CGROUP)),
        (Verb.KILL, "9", ("kill", CGROUP)),
        (Verb.KILL, "hup", ("send_signal", "PROC", process_of("web"), 1)),
        (Verb.PAUSE, "SIGKILL", ("freeze", CGROUP)),
        (Verb.UNPAUSE, "SIGKILL", ("thaw", CGROUP)),
    ],
)
def test_the_kernel_is_told_what_was_agreed_to_even_if_the_daemon_is_back(
    desk: Desk, verb: Verb, signal: str, told: tuple[object, ...]
) -> None:
    outcome = desk.actions.perform(request_for(verb, live(), 2.5, signal, Way.KERNEL))

    assert outcome.error is None
    assert desk.kernel.told == [tuple(desk.host.proc_root if each == "PROC" else each for each in told)]
    assert desk.daemon.told == []
    done = "sent SIGHUP to" if signal == "hup" else verb.past
    assert outcome.text == f"{done} web in 0.2 s, through the kernel"
    (line,) = desk.lines()
    assert (line["way"], line["action"], line["result"]) == ("kernel", str(verb), "done")


def test_the_runtime_is_told_what_was_agreed_to_even_if_it_has_gone_silent(desk: Desk) -> None:
    request = request_for(Verb.STOP, live())
    desk.daemon.refusal = SourceUnavailable("no answer at /run/docker.sock")
    desk.watches.answers = False

    assert desk.actions.perform(request).error == "docker: no answer at /run/docker.sock"
    assert desk.kernel.told == []


@pytest.mark.parametrize("verb", sorted(BY_KERNEL))
def test_the_kernels_refusal_is_shown(desk: Desk, verb: Verb) -> None:
    desk.kernel.refusal = ActionFailed("permission denied at process 7: root may")

    outcome = desk.actions.perform(request_for(verb, live(), way=Way.KERNEL))

    assert outcome.text == f"{verb} web: permission denied at process 7: root may"
    assert [line["result"] for line in desk.lines()] == [outcome.error]


@pytest.mark.parametrize("verb", [Verb.START, Verb.RESTART, Verb.REMOVE])
def test_the_kernel_starts_and_removes_nothing(desk: Desk, verb: Verb) -> None:
    outcome = desk.actions.perform(request_for(verb, live(), way=Way.KERNEL))

    assert outcome.error == f"the kernel cannot {verb} a container"
    assert desk.kernel.told == []


def test_the_kernel_does_nothing_to_what_has_no_process(desk: Desk) -> None:
    outcome = desk.actions.perform(request_for(Verb.STOP, web(), way=Way.KERNEL))

    assert outcome.error == "it has no cgroup and process that the kernel could act on"


PWR, RTMIN_3 = 1 << 29, 1 << 36


@pytest.mark.parametrize(
    ("runtime", "stop_signal", "caught", "expected"),
    [
        ("docker", None, PWR | RTMIN_3, "SIGTERM"),
        ("docker", "SIGQUIT", 0, "SIGQUIT"),
        ("docker", "3", 0, "SIGQUIT"),
        ("docker", "\x1b[2J", 0, "SIGTERM"),
        ("nspawn", None, RTMIN_3, "SIGRTMIN+3"),
        ("nspawn", None, TERM | PWR, "SIGTERM"),
        ("lxc", None, PWR | RTMIN_3, "SIGRTMIN+3"),
        ("lxc", None, PWR | TERM, "SIGPWR"),
        ("incus", None, PWR, "SIGPWR"),
        ("lxc", None, TERM, "SIGTERM"),
        ("lxc", "SIGINT", PWR, "SIGINT"),
    ],
)
def test_the_kernel_stops_by_the_signal_that_is_handled(
    desk: Desk, runtime: str, stop_signal: str | None, caught: int, expected: str
) -> None:
    number = {"SIGTERM": 15, "SIGQUIT": 3, "SIGRTMIN+3": 37, "SIGPWR": 30, "SIGINT": 2}[expected]
    written(desk, caught=caught)
    container = live(runtime=runtime, stop_signal=stop_signal)
    request = request_for(Verb.STOP, container, way=Way.KERNEL)

    desk.actions.perform(request)

    assert desk.kernel.told[0][4] == number
    assert expected in describe(request, container)


# The log.


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_name_keeps_to_its_line_in_the_log_and_in_the_outcome(desk: Desk, name: str) -> None:
    desk.daemon.refusal = ActionFailed(f"no such container: {name}")

    outcome = desk.actions.perform(request_for(Verb.STOP, web(name=name)))

    raw = desk.log.read_bytes()
    assert (raw.count(b"\n"), raw.endswith(b"\n"), raw.isascii()) == (1, True, True)
    assert unsafe(raw.decode()) == {"\n"}
    assert desk.lines()[0]["name"] == name
    assert not unsafe(outcome.text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_and_any_refusal_can_be_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, result: str
) -> None:
    log = tmp_path_factory.mktemp("log") / "audit.jsonl"

    AuditLog(log, None).write(request_for(Verb.PAUSE, web(name=name)), result, 0.12345)

    (line,) = log.read_text().splitlines()
    assert (json.loads(line)["name"], json.loads(line)["result"], json.loads(line)["took_s"]) == (name, result, 0.123)


def test_lines_are_added_to_a_log_that_is_there(desk: Desk) -> None:
    desk.log.parent.mkdir(parents=True)
    desk.log.write_text('{"action": "before"}\n')

    desk.actions.perform(seen(Verb.PAUSE))
    desk.actions.perform(seen(Verb.STOP))

    assert [line["action"] for line in desk.lines()] == ["before", "pause", "stop"]


@pytest.mark.parametrize("obstacle", ["folder is a file", "log is a folder"])
def test_a_deed_that_cannot_be_written_down_is_done_and_said(desk: Desk, obstacle: str) -> None:
    if obstacle == "log is a folder":
        desk.log.mkdir(parents=True)
    else:
        desk.log.parent.parent.mkdir(parents=True, exist_ok=True)
        desk.log.parent.write_text("")

    outcome = desk.actions.perform(seen())

    assert (outcome.error, len(desk.daemon.told)) == (None, 1)
    assert outcome.warning is not None
    assert outcome.warning.startswith(f"not logged: {desk.log}: ")
    assert "stopped web" in outcome.text
    assert outcome.warning in outcome.text


def test_a_full_disk_is_said(desk: Desk) -> None:
    desk.log.parent.mkdir(parents=True)
    desk.log.symlink_to("/dev/full")

    assert desk.actions.perform(seen()).warning == f"not logged: {desk.log}: No space left on device"


@pytest.mark.parametrize(
    ("uid", "sudo_user", "expected"),
    [(0, "ada", "ada (sudo)"), (0, None, "root"), (1000, "ada", "user1000"), (4242, None, "4242")],
)
def test_the_log_names_who_acts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, uid: int, sudo_user: str | None, expected: str
) -> None:
    def named(uid: int) -> pwd.struct_passwd:
        name = {0: "root", 1000: "user1000"}[uid]
        return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))

    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(pwd, "getpwuid", named)
    if sudo_user:
        monkeypatch.setenv("SUDO_USER", sudo_user)

    desk.actions.perform(seen())

    assert desk.lines()[0]["user"] == expected


# Whose session it is.


def ancestry(host: FakeHost, depth: int, environment: bytes | None) -> ProcFs:
    """Write our own process with so many ancestors, the last of which has an environment."""
    pids = [os.getpid(), *range(100, 100 + depth)]
    for pid, parent in zip(pids, [*pids[1:], 0], strict=True):
        host.process(pid, ppid=parent)
    if environment is not None:
        (host.root / f"proc/{pids[-1]}/environ").write_bytes(environment)
    return ProcFs(host.proc_root, Access())


@pytest.mark.parametrize(
    ("variable", "value"), [("SSH_CLIENT", "192.0.2.7 5000 22"), ("SSH_CONNECTION", "192.0.2.7 5000 198.51.100.1 22")]
)
def test_a_session_of_our_own_is_told_by_its_address(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert ssh_client(ancestry(host, 0, None)) == "192.0.2.7"


@pytest.mark.parametrize(
    ("depth", "environment", "expected"),
    [
        (0, None, None),
        (1, b"A=b\0SSH_CLIENT=192.0.2.7 5000 22\0", "192.0.2.7"),
        (3, b"SSH_CLIENT=2001:db8::1 5000 22\0", "2001:db8::1"),
        (3, b"SSH_CLIENT=\0", None),
        (3, b"A=SSH_CLIENT=192.0.2.7\0\xff\0", None),
        (3, None, None),
        (20, b"SSH_CLIENT=192.0.2.7 5000 22\0", None),
    ],
)
def test_behind_sudo_the_session_is_found_among_the_ancestors(
    host: FakeHost, depth: int, environment: bytes | None, expected: str | None
) -> None:
    assert ssh_client(ancestry(host, depth, environment)) == expected


# Consequences.


def alive(name: str = "web", **options: Any) -> Box:
    return running(name, info={"started_ns": STARTED_NS} | options.pop("info", {}), **options)


def written(desk: Desk, *, caught: int = TERM, ignored: int = 0, ns_pids: tuple[int, ...] = (1, 1)) -> None:
    """Write the container's first process as the kernel shows it."""
    pid = number_of("web")
    desk.host.process(pid, caught=caught, ignored=ignored, ns_pids=ns_pids, netns=4_030_000_000)


def connections(desk: Desk, count: int, name: str = "tcp") -> None:
    """Write a table with so many established connections, and one that only listens."""
    listening, established = (f"   0: 0100007F:0016 0100007F:C001 {state} 00000000" for state in ("0A", "01"))
    desk.host.write(
        f"proc/{number_of('web')}/net/{name}", "\n".join(["  sl  local", listening, *[established] * count]) + "\n"
    )


@pytest.mark.parametrize("verb", ALL)
def test_a_container_by_itself_has_no_consequences(desk: Desk, verb: Verb) -> None:
    assert desk.consequences(verb, snapshot_after(sample_of(alive(), alive("db")))) == []


@pytest.mark.parametrize(
    ("verb", "fate"),
    [
        (Verb.STOP, "loses it"),
        (Verb.RESTART, "loses it"),
        (Verb.KILL, "loses it"),
        (Verb.PAUSE, "goes on"),
        (Verb.UNPAUSE, "is not touched"),
    ],
)
def test_who_shares_its_network_is_told_with_what_becomes_of_it(desk: Desk, verb: Verb, fate: str) -> None:
    shared = on_network(netns_of("web"))
    boxes = [alive(), alive("side", process=shared), alive("db", process=shared), alive("other")]
    guests = {"joins_network_of": container_id("web")}
    boxes[1:3] = [alive(name, process=shared, info=guests) for name in ("side", "db")]
    snapshot = snapshot_after(sample_of(*boxes))

    assert snapshot.containers[docker_key("web")].is_network_owner
    assert desk.consequences(verb, snapshot) == [f"shares its network with db, side, which {fate}"]


def test_a_guest_in_a_network_leaves_it_to_its_owner(desk: Desk) -> None:
    guest = alive(process=on_network(netns_of("own")), info={"joins_network_of": container_id("own")})
    snapshot = snapshot_after(sample_of(alive("own"), guest))

    assert desk.consequences(Verb.STOP, snapshot) == ["shares its network with own, which keeps it"]


@pytest.mark.parametrize("netns", [HOST_NETNS, None])
def test_the_hosts_network_is_not_shared_with_anyone_in_particular(desk: Desk, netns: NetnsKey | None) -> None:
    boxes = [alive(name, process=on_network(netns)) for name in ("web", "db")]

    assert desk.consequences(Verb.PAUSE, snapshot_after(sample_of(*boxes))) == []


def test_what_runs_inside_it_ends_with_it(desk: Desk) -> None:
    outer = alive()
    snapshot = snapshot_after(sample_of(outer, alive("job", inside=outer), alive("aim", inside=outer)))

    assert desk.consequences(Verb.STOP, snapshot) == ["ends the containers inside it: aim, job"]


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_no_hostile_name_comes_out_of_the_consequences(desk: Desk, name: str) -> None:
    outer = alive()
    boxes = [
        outer,
        alive(
            "side", info={"name": name, "joins_network_of": container_id("web")}, process=on_network(netns_of("web"))
        ),
        alive("job", info={"name": name}, inside=outer),
    ]
    lines = desk.consequences(Verb.STOP, snapshot_after(sample_of(*boxes)))

    assert len(lines) == 2
    assert not unsafe("".join(lines))


@pytest.mark.parametrize(
    ("policy", "labels", "verb", "expected"),
    [
        (None, {}, Verb.STOP, []),
        ("no", {}, Verb.STOP, []),
        ("always", {}, Verb.STOP, ["docker starts it again when the daemon restarts (restart policy always)"]),
        ("unless-stopped", {}, Verb.STOP, ["stays stopped (restart policy unless-stopped)"]),
        ("on-failure", {}, Verb.STOP, ["stays stopped (restart policy on-failure)"]),
        ("no", {"io.kubernetes.pod.name": "web-0"}, Verb.STOP, ["kubelet will start it again"]),
        ("always", {}, Verb.RESTART, []),
        ("always", {}, Verb.PAUSE, []),
    ],
)
def test_who_starts_it_again_is_told(
    desk: Desk, policy: str | None, labels: dict[str, str], verb: Verb, expected: list[str]
) -> None:
    snapshot = snapshot_after(sample_of(alive(info={"restart_policy": policy, "labels": labels})))

    assert desk.consequences(verb, snapshot) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"tcp": 0}, []),
        ({"tcp": 1}, ["1 open TCP connection will be cut"]),
        ({"tcp": 2, "tcp6": 3}, ["5 open TCP connections will be cut"]),
        ({}, []),
    ],
)
def test_open_connections_are_counted(desk: Desk, counts: dict[str, int], expected: list[str]) -> None:
    written(desk)
    for name, count in counts.items():
        connections(desk, count, name)

    assert desk.consequences(Verb.KILL, snapshot_after(sample_of(alive()))) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [({77: 3, 78: 9}, ["3 open TCP connections will be cut"]), ({78: 9}, []), ({}, []), (OSError(93, "no"), [])],
)
def test_on_the_hosts_network_connections_are_told_apart_by_cgroup(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, counts: dict[int, int] | OSError, expected: list[str]
) -> None:
    def established() -> dict[int, int]:
        if isinstance(counts, OSError):
            raise counts
        return counts

    monkeypatch.setattr(netlink, "established_by_cgroup", established)
    written(desk)
    connections(desk, 50)
    snapshot = snapshot_after(sample_of(alive(process=on_network(HOST_NETNS), inode=77)))

    assert desk.consequences(Verb.KILL, snapshot) == expected


def test_on_the_hosts_network_without_a_cgroup_nothing_is_counted(desk: Desk) -> None:
    box = replace(alive(process=on_network(HOST_NETNS)), cgroup=None)

    assert desk.consequences(Verb.KILL, snapshot_after(sample_of(box))) == []


@pytest.mark.parametrize(
    ("caught", "ignored", "ns_pids", "stop_signal", "expected"),
    [
        (TERM, 0, (9, 1), None, ["its first process handles SIGTERM"]),
        (0, TERM, (9, 1), None, ["its first process ignores SIGTERM: expect SIGKILL"]),
        (0, 0, (9, 1), None, ["its first process does not handle SIGTERM: expect SIGKILL"]),
        (0, 0, (9,), None, []),
        (SIGINT, 0, (9, 1), "SIGINT", ["its first process handles SIGINT"]),
        (SIGINT, 0, (9, 1), "2", ["its first process handles SIGINT"]),
        (SIGINT, 0, (9, 1), None, ["its first process does not handle SIGTERM: expect SIGKILL"]),
        (1 << 36, 0, (9, 1), "SIGRTMIN+3", ["its first process handles SIGRTMIN+3"]),
    ],
)
def test_whether_the_first_process_heeds_the_stop_signal(
    desk: Desk,
    caught: int,
    ignored: int,
    ns_pids: tuple[int, ...],
    stop_signal: str | None,
    expected: list[str],
) -> None:
    written(desk, caught=caught, ignored=ignored)
    box = alive(info={"stop_signal": stop_signal}, process={"ns_pids": ns_pids})
    snapshot = snapshot_after(sample_of(box))

    assert desk.consequences(Verb.STOP, snapshot) == expected
    assert desk.consequences(Verb.RESTART, snapshot) == expected
    assert desk.consequences(Verb.KILL, snapshot) == []


@pytest.mark.parametrize(
    ("signal", "caught", "ignored", "ns_pids", "expected", "is_end"),
    [
        ("SIGKILL", 0, 0, (9, 1), [], True),
        ("SIGTERM", TERM, 0, (9, 1), ["its first process handles SIGTERM"], True),
        ("15", 0, TERM, (9, 1), ["its first process ignores SIGTERM: nothing happens"], False),
        ("SIGTERM", 0, 0, (9, 1), ["its first process does not handle SIGTERM: nothing happens"], False),
        ("SIGTERM", 0, 0, (9,), [], True),
        ("SIGHUP", 1, 0, (9, 1), ["its first process handles SIGHUP"], False),
        ("SIGHUP", 0, 0, (9,), [], True),
        ("SIGWINCH", 0, 0, (9,), [], False),
        ("SIGSTOP", 0, 0, (9, 1), [], False),
        ("SIGCONT", 0, 0, (9, 1), [], False),
    ],
)
def test_what_a_signal_does_to_the_first_process(
    desk: Desk,
    signal: str,
    caught: int,
    ignored: int,
    ns_pids: tuple[int, ...],
    expected: list[str],
    *,
    is_end: bool,
) -> None:
    written(desk, caught=caught, ignored=ignored)
    connections(desk, 1, "tcp")
    snapshot = snapshot_after(sample_of(alive(process={"ns_pids": ns_pids})))

    lines = desk.consequences(Verb.KILL, snapshot, signal=signal)

    assert lines == expected + ["1 open TCP connection will be cut"] * is_end


@pytest.mark.parametrize("stop_signal", ["SIGBOGUS", "", "0", "\x1b[2J", "RTMIN+99"])
def test_a_stop_signal_that_no_kernel_knows_is_no_reason_to_fail(desk: Desk, stop_signal: str) -> None:
    """It stands in the image, which nobody checks; the daemon takes SIGTERM then."""
    written(desk)

    lines = desk.consequences(Verb.STOP, snapshot_after(sample_of(alive(info={"stop_signal": stop_signal}))))

    assert not unsafe("".join(lines))


@pytest.mark.parametrize(
    ("verb", "signal", "runtime", "expected"),
    [
        (Verb.STOP, "SIGKILL", "docker", "sends SIGTERM to its first process; after 10 s SIGKILL to all"),
        (
            Verb.STOP,
            "SIGKILL",
            "lxc",
            (
                "sends SIGRTMIN+3, SIGPWR or SIGTERM, whichever it handles, to its first process; "
                "after 10 s SIGKILL to all"
            ),
        ),
        (Verb.KILL, "SIGKILL", "docker", "sends SIGKILL to all its processes"),
        (Verb.KILL, "SIGHUP", "docker", "sends SIGHUP to its first process"),
        (Verb.PAUSE, "SIGKILL", "docker", "freezes all its processes where they are"),
        (Verb.UNPAUSE, "SIGKILL", "docker", "lets its processes run again"),
    ],
)
def test_what_the_kernel_does_in_a_line(verb: Verb, signal: str, runtime: str, expected: str) -> None:
    container = live(runtime=runtime)

    assert describe(request_for(verb, container, signal=signal, way=Way.KERNEL), container) == expected


UNHEARD = {
    Verb.STOP: "the signal goes to the process itself",
    Verb.KILL: "the signal goes to the container itself",
    Verb.PAUSE: "its cgroup is frozen",
    Verb.UNPAUSE: "its cgroup is thawed",
}


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [
        ({"answers": False}, "docker does not answer"),
        ({"answers": False, "knows": False}, "docker does not answer"),
        ({"knows": False}, "no runtime that answers knows it"),
        ({"abilities": frozenset()}, "docker has no way to {verb} it"),
    ],
)
@pytest.mark.parametrize("verb", sorted(BY_KERNEL))
def test_why_it_goes_through_the_kernel_is_told_first(
    desk: Desk, lacks: dict[str, Any], reason: str, verb: Verb
) -> None:
    for name, value in lacks.items():
        setattr(desk.watches, name, value)
    desk.watches.said = State.PAUSED if verb is Verb.UNPAUSE else State.RUNNING

    lines = desk.consequences(verb, snapshot_after(sample_of(alive())), Way.KERNEL)

    assert lines[0] == f"{reason.format(verb=verb)}: {UNHEARD[verb]}"


@pytest.mark.parametrize(
    ("verb", "said", "expected"),
    [
        (
            Verb.PAUSE,
            State.RUNNING,
            [
                "docker does not answer: its cgroup is frozen",
                "docker is not told: its own pause state stays `running`",
            ],
        ),
        (
            Verb.UNPAUSE,
            State.PAUSED,
            [
                "docker does not answer: its cgroup is thawed",
                "docker is not told: its own pause state stays `paused`",
            ],
        ),
        (Verb.UNPAUSE, State.RUNNING, ["docker does not answer: its cgroup is thawed"]),
        (Verb.PAUSE, State.PAUSED, ["docker does not answer: its cgroup is frozen"]),
    ],
)
def test_a_pause_that_the_runtime_is_not_told_of_is_said(
    desk: Desk, verb: Verb, said: State, expected: list[str]
) -> None:
    desk.watches.answers, desk.watches.said = False, said

    assert desk.consequences(verb, snapshot_after(sample_of(alive())), Way.KERNEL) == expected


def test_a_runtime_that_holds_it_for_running_is_said_to(desk: Desk) -> None:
    desk.watches.said = State.RUNNING

    lines = desk.consequences(Verb.UNPAUSE, snapshot_after(sample_of(alive())), Way.KERNEL)

    assert lines == ["docker holds it for running: its cgroup is thawed"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("no", "docker will see it as exited"),
        (None, "docker will see it as exited; its restart policy is not known"),
        ("always", "docker takes it for a crash and starts it again (restart policy always)"),
        ("unless-stopped", "docker takes it for a crash and starts it again (restart policy unless-stopped)"),
        ("on-failure", "docker starts it again unless it ends with 0 (restart policy on-failure)"),
    ],
)
@pytest.mark.parametrize("verb", [Verb.STOP, Verb.KILL])
def test_what_the_runtime_makes_of_an_end_that_it_did_not_ask_for(
    desk: Desk, verb: Verb, policy: str | None, expected: str
) -> None:
    desk.watches.answers = False
    snapshot = snapshot_after(sample_of(alive(info={"restart_policy": policy})))

    assert desk.consequences(verb, snapshot, Way.KERNEL)[1:] == [expected]


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("told_by", ["the runtime", "the cgroup"])
def test_kubelet_starts_again_what_is_in_its_pods(desk: Desk, way: Way, told_by: str) -> None:
    desk.watches.answers = False
    box = alive(info={"restart_policy": "always"})
    assert box.info
    assert box.found
    if told_by == "the runtime":
        box = replace(box, info=replace(box.info, pod=PodInfo(PodKind.KUBERNETES, "uid", "web-0")))
    else:
        pod = FoundPod(CgroupPath("/kubepods/poduid"), PodKind.KUBERNETES, "uid")
        box = replace(box, found=replace(box.found, pod=pod))

    lines = desk.consequences(Verb.STOP, snapshot_after(sample_of(box)), way)

    assert "kubelet will start it again" in lines
    assert not any("restart policy" in line for line in lines)


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("name", ["web.service", *HOSTILE_NAMES.values()])
def test_a_unit_of_systemd_may_start_it_again(desk: Desk, way: Way, name: str) -> None:
    desk.watches.answers = False
    box = alive(info={"labels": {"PODMAN_SYSTEMD_UNIT": name}, "restart_policy": "no"})

    lines = desk.consequences(Verb.STOP, snapshot_after(sample_of(box)), way)

    assert (f"systemd's {printable(name)} may start it again" in lines) == bool(name)
    assert not unsafe("".join(lines))


@pytest.mark.parametrize(
    ("guests", "expected"),
    [
        (0, "ends the pod"),
        (1, "ends the pod: its other container loses its network"),
        (2, "ends the pod: its 2 containers lose their network"),
    ],
)
@pytest.mark.parametrize("verb", [Verb.STOP, Verb.KILL, Verb.RESTART])
def test_a_pod_ends_with_its_sandbox(desk: Desk, verb: Verb, guests: int, expected: str) -> None:
    shared = on_network(netns_of("web"))
    others = [
        alive(name, process=shared, info={"joins_network_of": container_id("web")}) for name in ("db", "side")[:guests]
    ]
    of_kubernetes = {"role": Role.SANDBOX, "pod": PodInfo(PodKind.KUBERNETES, "uid", "shop")}
    sandbox = alive(process=on_network(netns_of("web"), start_ticks=1), info=of_kubernetes)

    lines = desk.consequences(verb, snapshot_after(sample_of(sandbox, *others, alive("apart"))))

    assert [line for line in lines if "kubelet" not in line] == [expected]


def test_a_pod_of_podman_outlives_its_infra_container(desk: Desk) -> None:
    of_podman = {"role": Role.SANDBOX, "pod": PodInfo(PodKind.PODMAN, "0b", "books")}
    sandbox = alive(process=on_network(netns_of("web"), start_ticks=1), info=of_podman)
    guest = alive("db", process=on_network(netns_of("web")))

    assert desk.consequences(Verb.STOP, snapshot_after(sample_of(sandbox, guest))) == [
        "shares its network with db, which keeps it"
    ]


@pytest.mark.parametrize("verb", ALL)
def test_what_is_stopped_has_nothing_to_lose(desk: Desk, verb: Verb) -> None:
    assert desk.consequences(verb, snapshot_after(sample_of(stopped("web"), alive("db")))) == []


# What a removal takes along.


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"/var/lib/docker/volumes/{'0123456789abcdef' * 4}/_data", ["its anonymous volumes stay"]),
        ("0123456789abcdef" * 4, ["its anonymous volumes stay"]),
        ("/var/lib/docker/volumes/data/_data", []),
        ("/srv/data", []),
    ],
)
def test_a_removal_says_that_volumes_which_nobody_named_stay(desk: Desk, source: str, expected: list[str]) -> None:
    snapshot = snapshot_after(sample_of(stopped("web", volumes=(Volume(source, "/data"),))))

    assert desk.consequences(Verb.REMOVE, snapshot) == expected


def test_a_removal_names_those_that_could_not_start_without_it(desk: Desk) -> None:
    guests = [stopped(name, joins_network_of=container_id("web")) for name in ("proxy", "cache")]
    snapshot = snapshot_after(sample_of(stopped("web"), *guests))

    (line,) = desk.consequences(Verb.REMOVE, snapshot)

    assert line == "without it there is no start for cache, proxy, which would join its network"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.WORKLOAD, "its last logs are lost"),
        (Role.SANDBOX, "the stopped containers of its pod go with it"),
    ],
)
def test_what_is_lost_with_a_container_of_kubernetes(desk: Desk, role: Role, expected: str) -> None:
    pod = PodInfo(PodKind.KUBERNETES, "uid", "shop", "prod")
    container = web(state=State.EXITED, role=role, pod=pod)

    assert desk.actions.consequences(Verb.REMOVE, container, snapshot_after(sample_of())) == [expected]
