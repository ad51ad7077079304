"""Following runtimes that answer, refuse, fall silent, come back, or appear later."""

from __future__ import annotations

import queue
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.output import Batch, Wanted
from topcon.model.sample import (
    SILENT_AFTER_S,
    ContainerId,
    ContainerInfo,
    LogLine,
    Problem,
    RuntimeSample,
    Source,
    State,
)
from topcon.runtimes import EVERY_ABILITY, Plugin
from topcon.runtimes import watch as module
from topcon.runtimes.daemon import Daemon as ProcessOf
from topcon.runtimes.daemon import Process
from topcon.runtimes.watch import LATE_AFTER_S, LEAST_POLL_S, RETRY_S, SEARCH_S, RuntimeWatch, RuntimeWatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.model.output import Feed

SOCKET = "/run/fake.sock"
WEB, DB = ContainerId("a" * 64), ContainerId("b" * 64)
REFUSED = SourceUnavailable(f"connection refused at {SOCKET}")
NO_ANSWER = SourceUnavailable(f"no answer at {SOCKET}")
PATIENCE_S = 10.0
"""How long a thread may take on a busy machine; never waited for when all is well."""
ANSWERED_NS = 1_790_000_000_000_000_000
"""The date, all the time."""


def info(container: ContainerId, name: str = "web") -> ContainerInfo:
    return ContainerInfo(container, "fake", name, Source.API, State.RUNNING)


def up(count: int, duration_s: float = 0.0) -> RuntimeSample:
    """Return how a runtime is doing that has just answered, and never failed."""
    return RuntimeSample(
        "fake",
        SOCKET,
        up=True,
        is_listed=True,
        container_count=count,
        duration_s=duration_s,
        succeeded_ns=ANSWERED_NS,
    )


Answer = tuple[ContainerInfo, ...] | BaseException


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Viewer:
    """A connection to a daemon that can only be looked at."""

    daemon: Daemon
    name: str = "fake"
    is_closed: bool = False

    def containers(self) -> tuple[ContainerInfo, ...]:
        return self.daemon.answer()

    def close(self) -> None:
        self.is_closed = True


class Teller(Viewer):
    """A connection to one that tells what its containers have written."""

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        answer = self.daemon.written
        if isinstance(answer, BaseException):
            raise answer
        return tuple(LogLine(None, is_stderr=False, text=container) for _ in range(min(lines, answer)))

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        lines = self.tail(container, wanted.lines or 0)
        return Said([Batch(lines), Batch()]) if lines else None


@dataclass
class Said:
    """What was said, and then nothing any more."""

    batches: list[Batch]
    where: str = "fake"
    is_closed: bool = False

    def read(self) -> Batch | None:
        return self.batches.pop(0) if self.batches else Batch()

    def stop(self) -> None:
        self.batches.clear()

    def close(self) -> None:
        self.is_closed = True


class Changer(Viewer):
    """A connection to one that can be told to do something."""

    abilities = EVERY_ABILITY

    def started_ns(self, container: ContainerId) -> int | None:
        raise NotImplementedError(container)

    def start(self, container: ContainerId) -> None:
        raise NotImplementedError(container)

    def stop(self, container: ContainerId, grace_s: float) -> None:
        raise NotImplementedError(container, grace_s)

    def restart(self, container: ContainerId, grace_s: float) -> None:
        raise NotImplementedError(container, grace_s)

    def pause(self, container: ContainerId) -> None:
        raise NotImplementedError(container)

    def unpause(self, container: ContainerId) -> None:
        raise NotImplementedError(container)

    def kill(self, container: ContainerId, signal: str) -> None:
        raise NotImplementedError(container, signal)

    def remove(self, container: ContainerId) -> None:
        raise NotImplementedError(container)


@dataclass
class Daemon:
    """A runtime's daemon: it answers what, and when, the test says."""

    always: tuple[ContainerInfo, ...] | None = None
    """The answer where the test says nothing; None to wait until it does."""
    refusal: SourceUnavailable | None = None
    """Why connections are refused, while they are."""
    connection: type[Viewer] = Viewer
    connections: list[Viewer] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    asked: int = 0
    said: int = 0
    written: int | BaseException = 0
    """How many lines its containers have written, or why it cannot say."""
    _answers: queue.Queue[Answer] = field(default_factory=queue.Queue)

    @property
    def plugin(self) -> Plugin:
        return Plugin("fake", (SOCKET,), self.connect)

    def connect(self, path: str) -> Viewer:
        self.sockets.append(path)
        if self.refusal is not None:
            raise self.refusal
        self.connections.append(self.connection(self))
        return self.connections[-1]

    def says(self, answer: Answer) -> None:
        self.said += 1
        self._answers.put(answer)

    def answer(self) -> tuple[ContainerInfo, ...]:
        self.asked += 1
        answer = self._answers.get() if self.always is None else self.always
        if isinstance(answer, BaseException):
            raise answer
        return answer


def until(condition: Callable[[], bool]) -> None:
    """Wait for a thread to have brought something about."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "it has not come about"
        time.sleep(0.001)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_POLL_S", 0.001)
    monkeypatch.setattr(module, "RETRY_S", (0.001,))


@pytest.fixture
def watch(daemon: Daemon, clock: Clock) -> Iterator[RuntimeWatch]:
    """A watch that is followed, and at the end of the test is not any more."""
    watch = RuntimeWatch(daemon.plugin, SOCKET, clock, lambda: ANSWERED_NS)
    yield watch
    end(watch, daemon)


def end(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.stop()
    daemon.says(REFUSED)
    if watch._thread.ident is not None:
        watch._thread.join(PATIENCE_S)
        assert not watch._thread.is_alive()


def answered(daemon: Daemon, watch: RuntimeWatch, infos: tuple[ContainerInfo, ...]) -> None:
    """Let the daemon answer, and wait until it has been asked the next time."""
    daemon.says(infos)
    until(lambda: daemon.asked == daemon.said + 1)
    assert watch.infos == infos


# While all is well.


def test_before_it_is_started_nothing_is_known(watch: RuntimeWatch, daemon: Daemon) -> None:
    assert watch.look() == (RuntimeSample("fake", SOCKET, up=False, is_listed=False), None)
    assert not watch.is_settled
    assert watch.infos == ()
    assert daemon.sockets == []


def test_it_settles_with_the_first_answer(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    until(lambda: daemon.asked == 1)
    assert not watch.is_settled
    assert not watch.look()[0].up

    answered(daemon, watch, (info(WEB), info(DB)))

    assert watch.is_settled
    assert watch.look() == (up(2), None)
    assert daemon.sockets == [SOCKET]


def test_each_answer_replaces_the_one_before(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    assert (watch.knows(WEB), watch.knows(DB)) == (True, False)

    answered(daemon, watch, (info(DB),))

    assert (watch.knows(WEB), watch.knows(DB)) == (False, True)
    assert len(daemon.connections) == 1


def test_a_runtime_without_containers_is_up(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, ())

    assert watch.look() == (up(0), None)


def test_calls_that_failed_are_counted_and_the_last_success_stays(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    for failed in (1, 2):
        daemon.says(REFUSED)
        until(lambda failed=failed: watch.look()[0].errors == failed)  # type: ignore[misc]

    sample = watch.look()[0]
    assert (sample.up, sample.duration_s, sample.succeeded_ns) == (False, 0.0, ANSWERED_NS)
    answered(daemon, watch, ())
    assert watch.look()[0].errors == 2


@pytest.mark.parametrize(("connection", "can_act"), [(Viewer, False), (Changer, True)])
def test_whether_it_can_change_containers_is_known_with_the_first_answer(
    watch: RuntimeWatch, daemon: Daemon, connection: type[Viewer], *, can_act: bool
) -> None:
    daemon.connection = connection
    assert not watch.abilities
    watch.start()
    answered(daemon, watch, (info(WEB),))

    assert bool(watch.abilities) is can_act


def test_a_watch_that_is_stopped_gives_its_connection_back(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.always = (info(WEB),)
    watch.start()
    until(lambda: watch.is_settled)
    watch.stop()

    until(lambda: not watch._thread.is_alive())
    assert [connection.is_closed for connection in daemon.connections] == [True]
    assert watch.look()[0].up


# What it costs the daemon.


def test_what_the_daemon_uses_for_each_call_is_counted(daemon: Daemon, clock: Clock) -> None:
    used_ns = {7: 0}
    measured = ProcessOf(lambda: Process(7, 1.0), used_ns.get, lambda: 500.0)
    watch = RuntimeWatch(daemon.plugin, SOCKET, clock, lambda: ANSWERED_NS, measured)
    watch.start()
    until(lambda: daemon.asked == 1)
    for used_s in (1, 2):
        used_ns[7] += 10**9
        answered(daemon, watch, (info(WEB),))
        assert watch.look()[0].daemon_cpu_s == used_s
    assert watch.look()[0].daemon_pid == 7

    used_ns[7] += 10**9
    daemon.says(NO_ANSWER)
    until(lambda: watch.look()[0].daemon_cpu_s == 3)
    end(watch, daemon)


def test_a_new_connection_may_be_to_another_daemon(daemon: Daemon, clock: Clock) -> None:
    pids = iter([7, 8, 9])
    measured = ProcessOf(lambda: Process(next(pids), 1.0), lambda _: 0, lambda: 500.0)
    watch = RuntimeWatch(daemon.plugin, SOCKET, clock, lambda: ANSWERED_NS, measured)
    watch.start()
    answered(daemon, watch, ())
    assert watch.look()[0].daemon_pid == 7

    daemon.says(REFUSED)
    until(lambda: watch.look()[0].daemon_pid == 8)
    end(watch, daemon)


def test_lines_that_are_asked_for_count_too(daemon: Daemon, clock: Clock) -> None:
    used_ns = iter([10**9, 3 * 10**9])
    measured = ProcessOf(lambda: Process(7, 1.0), lambda _: next(used_ns), lambda: 500.0)
    daemon.connection, daemon.written = Teller, 1

    RuntimeWatch(daemon.plugin, SOCKET, clock, daemon=measured).tail(WEB, 1)

    assert measured.cpu_s == 2.0


def test_calls_are_as_rare_as_the_ticks_of_one_that_is_slowed(watch: RuntimeWatch, daemon: Daemon) -> None:
    waits = []

    class Woken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return False

    watch._woken = Woken()
    watch.rest_s = 42.0
    watch.start()
    answered(daemon, watch, ())
    watch.rest_s = 0.0
    answered(daemon, watch, ())

    assert waits[:2] == pytest.approx([42.0, daemon.plugin.poll_s], abs=LEAST_POLL_S)
    assert waits[0] > waits[1]


# Failures.


def test_it_settles_with_the_first_failure_too(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.refusal = SourceUnavailable(f"permission denied at {SOCKET}", remedy="sudo usermod -aG docker $USER")
    watch.start()
    until(lambda: watch.is_settled)

    sample, problem = watch.look()

    assert sample.errors >= 1
    assert replace(sample, errors=0) == RuntimeSample("fake", SOCKET, up=False, is_listed=False)
    assert problem == Problem("fake", f"permission denied at {SOCKET}", "sudo usermod -aG docker $USER")


def test_a_failure_keeps_what_was_known(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.connection = Changer
    watch.start()
    answered(daemon, watch, (info(WEB),))
    daemon.refusal = REFUSED
    daemon.says(SourceUnavailable(f"connection reset by peer at {SOCKET}"))
    until(lambda: len(daemon.sockets) > 2)

    sample, problem = watch.look()

    assert (sample.up, sample.is_listed, sample.container_count) == (False, True, 1)
    assert problem == Problem("fake", f"connection refused at {SOCKET}, names and states may be old")
    assert watch.infos == (info(WEB),)
    assert watch.knows(WEB)
    assert watch.abilities == EVERY_ABILITY


def test_an_answer_in_another_form_is_a_failure_and_no_bug(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    daemon.says(ParseError("fake: /events", "<html>"))
    until(lambda: not watch.look()[0].up)

    message = "fake: /events: cannot understand '<html>', names and states may be old"
    assert watch.look()[1] == Problem("fake", message)


def test_a_connection_that_breaks_is_closed_and_made_anew(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    daemon.says(REFUSED)
    until(lambda: len(daemon.connections) == 2)

    assert daemon.connections[0].is_closed
    assert not daemon.connections[1].is_closed


def test_it_comes_back_by_itself(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    daemon.refusal = REFUSED
    daemon.says(REFUSED)
    until(lambda: not watch.look()[0].up)
    daemon.refusal = None
    until(lambda: len(daemon.connections) == 2)
    assert watch.look()[1] is not None

    answered(daemon, watch, (info(WEB), info(DB)))

    sample, problem = watch.look()
    assert sample.errors >= 1
    assert (replace(sample, errors=0), problem) == (up(2), None)


def test_a_bug_is_raised_where_it_is_looked_at(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    daemon.says(ZeroDivisionError("a bug"))
    until(lambda: not watch._thread.is_alive())

    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="a bug"):
            watch.look()
    assert daemon.connections[0].is_closed


# Silence.


def test_a_late_answer_is_worth_a_word(watch: RuntimeWatch, daemon: Daemon, clock: Clock) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))

    clock.now += LATE_AFTER_S - 0.01
    sample, problem = watch.look()
    assert (sample.up, problem) == (True, None)
    assert sample.silent_s == pytest.approx(LATE_AFTER_S - 0.01)

    clock.now += 6.3
    sample, problem = watch.look()
    assert not sample.up
    assert sample.silent_s == pytest.approx(7.29)
    assert problem == Problem("fake", "no answer for 7 s, names and states may be old")
    assert watch.infos == (info(WEB),)


def test_before_the_first_answer_nothing_can_be_old(watch: RuntimeWatch, daemon: Daemon, clock: Clock) -> None:
    watch.start()
    until(lambda: daemon.asked == 1)
    clock.now += 2.0

    sample, problem = watch.look()

    assert (sample.up, sample.is_listed) == (False, False)
    assert problem == Problem("fake", "no answer for 2 s")
    assert not watch.is_settled


def test_silence_counts_from_the_first_call_without_an_answer(
    watch: RuntimeWatch, daemon: Daemon, clock: Clock
) -> None:
    watch.start()
    clock.now += 30
    answered(daemon, watch, (info(WEB),))
    # A call of the connection runs into its time limit, connecting does, and then the call of a new one.
    clock.now += 5
    daemon.refusal = NO_ANSWER
    daemon.says(NO_ANSWER)
    until(lambda: len(daemon.sockets) > 2)
    clock.now += 5
    daemon.refusal = None
    until(lambda: len(daemon.connections) == 2 and daemon.asked == 3)
    clock.now += 2

    sample, problem = watch.look()

    assert sample.silent_s == 12
    assert problem == Problem("fake", "no answer for 12 s, names and states may be old")


def test_an_answer_ends_the_silence(watch: RuntimeWatch, daemon: Daemon, clock: Clock) -> None:
    watch.start()
    answered(daemon, watch, (info(WEB),))
    clock.now += 60
    assert watch.look()[1] is not None
    answered(daemon, watch, (info(DB),))

    assert watch.look() == (up(1, duration_s=60.0), None)
    clock.now += 3
    assert watch.look()[0].silent_s == 3


def test_a_clock_that_is_read_out_of_turn_gives_no_negative_silence(
    watch: RuntimeWatch, daemon: Daemon, clock: Clock
) -> None:
    watch.start()
    until(lambda: daemon.asked == 1)
    clock.now -= 1

    assert watch.look()[0].silent_s == 0


def test_importing_a_client_library_is_no_silence_of_the_runtimes(daemon: Daemon, clock: Clock) -> None:
    connections_before = []

    def prepare() -> None:
        connections_before.append(len(daemon.sockets))
        clock.now += 5

    watch = RuntimeWatch(Plugin("fake", (SOCKET,), daemon.connect, prepare), SOCKET, clock)
    watch.start()
    until(lambda: daemon.asked == 1)

    assert watch.look()[0].silent_s == 0
    assert connections_before == [0]
    end(watch, daemon)


# What is known of its answers.


def test_it_answers_from_the_first_answer_until_it_has_been_silent_for_two_seconds(
    watch: RuntimeWatch, daemon: Daemon, clock: Clock
) -> None:
    watch.start()
    until(lambda: daemon.asked == 1)
    assert not watch.answers
    daemon.says((info(WEB),))
    until(lambda: daemon.asked == 2 and watch._unanswered_since is not None)
    assert watch.answers
    clock.now += SILENT_AFTER_S
    assert watch.answers
    clock.now += 0.1
    assert not watch.answers


def test_one_that_refuses_does_not_answer(watch: RuntimeWatch, daemon: Daemon) -> None:
    watch.start()
    daemon.says(())
    until(lambda: watch.answers)
    daemon.refusal = REFUSED
    daemon.says(REFUSED)
    until(lambda: not watch.answers)


def test_a_runtime_that_is_only_polled_is_asked_again_when_containers_come_or_go(daemon: Daemon) -> None:
    daemon.always = ()
    watch = RuntimeWatch(replace(daemon.plugin, poll_s=3600.0), SOCKET)
    watch.start()
    until(lambda: daemon.asked == 1)
    time.sleep(0.05)
    assert daemon.asked == 1
    watch.wake()
    until(lambda: daemon.asked == 2)
    end(watch, daemon)


def test_of_several_that_know_a_container_one_that_answers_is_found(clock: Clock) -> None:
    watches = RuntimeWatches(clock=clock)
    silent, answering = (RuntimeWatch(Daemon().plugin, path, clock) for path in ("/a.sock", "/b.sock"))
    watches._watches = {("a", "/a.sock"): silent, ("b", "/b.sock"): answering}
    silent._state = answering._state = replace(silent._state, ids=frozenset({WEB}), is_listed=True)
    assert watches.of(WEB) is silent
    silent._unanswered_since = clock.now
    clock.now += SILENT_AFTER_S + 1

    assert watches.of(WEB) is answering
    assert watches.of(DB) is None


def test_a_runtime_is_settling_until_it_has_answered_or_been_silent_for_two_seconds(
    watch: RuntimeWatch, daemon: Daemon, clock: Clock
) -> None:
    assert watch.is_settling
    watch.start()
    until(lambda: daemon.asked == 1)
    clock.now += SILENT_AFTER_S
    assert watch.is_settling
    clock.now += 0.1
    assert not watch.is_settling


def test_before_they_are_followed_all_may_be_about_to_answer(clock: Clock, tmp_path: Path) -> None:
    watches = RuntimeWatches(host_root=str(tmp_path), clock=clock)

    assert watches.is_settling
    watches.start()
    assert not watches.is_settling


# Waiting.


class Waits(threading.Event):
    """Waits no time at all, and remembers how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.timeouts.append(timeout)
        return self.is_set()


def waits_of(monkeypatch: pytest.MonkeyPatch, *answers: Answer | None) -> list[float]:
    """Follow a daemon that refuses a connection for each None, and return what is waited in between."""
    monkeypatch.setattr(module, "LEAST_POLL_S", LEAST_POLL_S)
    monkeypatch.setattr(module, "RETRY_S", RETRY_S)
    daemon = Daemon()
    watch = RuntimeWatch(daemon.plugin, SOCKET)
    watch._stopped = waits = Waits()
    script = list(answers)

    def connect(path: str) -> Viewer:
        if not script:
            watch.stop()
        if not script or script[0] is None:
            del script[:1]
            raise SourceUnavailable(path)
        return Viewer(daemon)

    def answer() -> tuple[ContainerInfo, ...]:
        given = script.pop(0)
        if isinstance(given, BaseException):
            raise given
        assert given is not None
        return given

    monkeypatch.setattr(daemon, "answer", answer)
    watch.plugin = Plugin("fake", (SOCKET,), connect)
    watch._run()
    assert watch._bug is None
    # Nothing is waited for after it was stopped.
    return waits.timeouts[:-1]


def test_connecting_is_tried_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits_of(monkeypatch, None, None, None, None, None) == [1.0, 2.0, 3.0, 3.0, 3.0]


def test_answers_are_asked_for_at_an_even_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits_of(monkeypatch, (), (), (), REFUSED)[:3] == [LEAST_POLL_S, LEAST_POLL_S, LEAST_POLL_S]


def test_after_an_answer_the_first_attempt_comes_soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = waits_of(monkeypatch, None, None, None, (), REFUSED, None, (), REFUSED, None)

    assert waits == [1.0, 2.0, 3.0, LEAST_POLL_S, 1.0, 2.0, LEAST_POLL_S, 1.0, 2.0]


# Actions.


def test_an_action_gets_a_connection_of_its_own(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.connection = Changer
    watch.start()
    answered(daemon, watch, (info(WEB),))

    runtime, lifecycle = watch.lifecycle()

    assert runtime is lifecycle is daemon.connections[1]
    assert not daemon.connections[1].is_closed
    assert daemon.sockets == [SOCKET, SOCKET]


def test_an_action_fails_where_nobody_answers(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.refusal = NO_ANSWER

    with pytest.raises(ActionFailed, match=rf"^fake: no answer at {SOCKET}$"):
        watch.lifecycle()


def test_an_action_fails_where_the_runtime_can_only_be_looked_at(watch: RuntimeWatch, daemon: Daemon) -> None:
    with pytest.raises(ActionFailed, match=r"^fake: topcon cannot change its containers$"):
        watch.lifecycle()

    assert daemon.connections[0].is_closed


# What containers have written.


def test_what_was_written_is_asked_for_on_a_connection_of_its_own(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.connection, daemon.written = Teller, 9
    watch.start()
    answered(daemon, watch, (info(WEB),))

    assert watch.tail(WEB, 2) == (LogLine(None, is_stderr=False, text=WEB),) * 2
    assert [connection.is_closed for connection in daemon.connections] == [False, True]


@pytest.mark.parametrize("written", [0, NO_ANSWER, ParseError("fake: /logs", "<html>")])
def test_where_nothing_can_be_heard_nothing_was_written(
    watch: RuntimeWatch, daemon: Daemon, written: int | BaseException
) -> None:
    daemon.connection, daemon.written = Teller, written

    assert watch.tail(WEB, 10) == ()
    assert daemon.connections[0].is_closed


def test_who_cannot_tell_or_is_not_there_has_heard_nothing(watch: RuntimeWatch, daemon: Daemon) -> None:
    assert watch.tail(WEB, 10) == ()
    assert daemon.connections[0].is_closed

    daemon.refusal = REFUSED
    assert watch.tail(WEB, 10) == ()


def test_what_is_written_is_followed_until_the_runtime_falls_silent(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.connection, daemon.written = Teller, 2
    feed = watch.follow(WEB, Wanted(5))

    assert feed is not None
    assert feed.where == "fake"
    assert daemon.connections[0].is_closed
    # It says what it has; of what has never answered nothing more is awaited.
    batch = feed.read()
    assert batch is not None
    assert [line.text for line in batch.lines] == [WEB, WEB]
    assert feed.read() is None


def test_who_has_no_log_or_is_not_there_cannot_be_followed(watch: RuntimeWatch, daemon: Daemon) -> None:
    assert watch.follow(WEB, Wanted(5)) is None

    daemon.connection, daemon.written = Teller, 0
    assert watch.follow(WEB, Wanted(5)) is None
    daemon.written = NO_ANSWER
    with pytest.raises(SourceUnavailable, match="no answer"):
        watch.follow(WEB, Wanted(5))
    assert all(connection.is_closed for connection in daemon.connections)


def test_a_bug_in_telling_is_no_silence(watch: RuntimeWatch, daemon: Daemon) -> None:
    daemon.connection, daemon.written = Teller, ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        watch.tail(WEB, 10)


# All runtimes.


@pytest.fixture
def root() -> Iterator[Path]:
    """A short directory: a socket's path has 108 bytes, and pytest's own directories are long."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def listen(path: Path) -> str:
    """Leave a socket at a path; what answers there is made up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return str(path)


@dataclass
class Installation:
    """Plug-ins in the place of those that are installed, and watches that end with the test."""

    plugins: dict[str, Plugin]
    clock: Clock
    opened: list[RuntimeWatches] = field(default_factory=list)

    def watches(self, wanted: dict[str, str | None] | None = None, host_root: str = "") -> RuntimeWatches:
        self.opened.append(RuntimeWatches(wanted, host_root, self.clock))
        return self.opened[-1]


@pytest.fixture
def web() -> Daemon:
    return Daemon(always=(info(WEB),), connection=Changer)


@pytest.fixture
def db() -> Daemon:
    return Daemon(always=(info(DB, "db"),))


@pytest.fixture
def installation(web: Daemon, db: Daemon, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    plugins = {
        "one": Plugin("one", ("/run/one.sock", "/run/other/one.sock"), web.connect),
        "two": Plugin("two", ("/run/two.sock",), db.connect),
    }
    monkeypatch.setattr(module, "plugin_names", lambda: sorted(plugins))
    monkeypatch.setattr(module, "load", plugins.__getitem__)
    installation = Installation(plugins, clock)
    yield installation
    for watches in installation.opened:
        watches.stop()
        for daemon in (web, db):
            daemon.says(REFUSED)
        # Not looked at: that would search for others.
        for watch in watches._watches.values():
            watch._thread.join(PATIENCE_S)
            assert not watch._thread.is_alive()


def sockets_of(watches: RuntimeWatches) -> list[tuple[str, str]]:
    return [(watch.plugin.name, watch.socket) for watch in watches.look()]


def test_no_socket_is_looked_for_before_the_start(installation: Installation, root: Path) -> None:
    listen(root / "run/one.sock")
    watches = installation.watches(host_root=str(root))

    assert watches.look() == ()


def test_all_runtimes_with_a_socket_are_followed(installation: Installation, root: Path, web: Daemon) -> None:
    paths = [listen(root / name) for name in ("run/one.sock", "run/other/one.sock", "run/two.sock")]
    watches = installation.watches(host_root=str(root))
    watches.start()

    assert sockets_of(watches) == [("one", paths[0]), ("one", paths[1]), ("two", paths[2])]
    watches.wait_settled(PATIENCE_S)
    assert all(watch.look()[0].up for watch in watches.look())
    assert sorted(web.sockets) == sorted(paths[:2])


def test_a_socket_that_appears_later_is_found(installation: Installation, root: Path) -> None:
    watches = installation.watches(host_root=str(root))
    watches.start()
    assert watches.look() == ()
    path = listen(root / "run/two.sock")
    installation.clock.now += SEARCH_S - 0.1
    assert watches.look() == ()

    installation.clock.now += 0.1
    assert sockets_of(watches) == [("two", path)]
    watches.wait_settled(PATIENCE_S)
    assert watches.look()[0].infos == (info(DB, "db"),)


def test_a_socket_is_followed_once_and_for_good(installation: Installation, root: Path) -> None:
    path = listen(root / "run/one.sock")
    watches = installation.watches(host_root=str(root))
    watches.start()
    (first,) = watches.look()
    Path(path).unlink()
    other = listen(root / "run/two.sock")
    installation.clock.now += SEARCH_S

    both = watches.look()
    assert sockets_of(watches) == [("one", path), ("two", other)]
    assert both[0] is first

    installation.clock.now += SEARCH_S
    assert watches.look() == both


def test_only_the_runtimes_that_were_asked_for_are_followed(installation: Installation, root: Path) -> None:
    path = listen(root / "run/two.sock")
    listen(root / "run/one.sock")
    watches = installation.watches({"two": None}, host_root=str(root))
    watches.start()

    assert sockets_of(watches) == [("two", path)]


def test_a_socket_that_was_asked_for_is_followed_though_it_is_not_there(
    installation: Installation, root: Path, db: Daemon
) -> None:
    listen(root / "run/two.sock")
    db.refusal = SourceUnavailable("no such file or directory at /somewhere/else.sock")
    watches = installation.watches({"two": "/somewhere/else.sock"}, host_root=str(root))
    watches.start()
    watches.wait_settled(PATIENCE_S)

    ((sample, problem),) = (watch.look() for watch in watches.look())

    assert (sample.socket, sample.up) == ("/somewhere/else.sock", False)
    assert problem == Problem("two", "no such file or directory at /somewhere/else.sock")


def not_to_be_called(*_: object) -> None:
    raise AssertionError


def test_a_runtime_that_has_been_silent_for_so_long_is_not_waited_for(
    installation: Installation, root: Path, db: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(root / "run/one.sock")
    listen(root / "run/two.sock")
    db.always = None
    watches = installation.watches(host_root=str(root))
    watches.start()
    until(lambda: watches.look()[0].is_settled and db.asked == 1)
    installation.clock.now += 3
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", not_to_be_called)
        watches.wait_settled(3.0)

        with pytest.raises(AssertionError):
            watches.wait_settled(3.1)

    assert [watch.is_settled for watch in watches.look()] == [True, False]


def test_waiting_ends_however_busy_the_host(
    installation: Installation, root: Path, db: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.02)
    listen(root / "run/two.sock")
    db.always = None
    watches = installation.watches(host_root=str(root))
    watches.start()

    watches.wait_settled(3.0)

    assert not watches.look()[0].is_settled


def test_a_bug_ends_the_waiting(installation: Installation, root: Path, db: Daemon) -> None:
    listen(root / "run/two.sock")
    db.always = None
    db.says(ZeroDivisionError("a bug"))
    watches = installation.watches(host_root=str(root))
    watches.start()

    with pytest.raises(ZeroDivisionError, match="a bug"):
        watches.wait_settled(3.0)


def test_nothing_is_waited_for_where_there_is_nothing(installation: Installation) -> None:
    watches = installation.watches({})
    watches.wait_settled(PATIENCE_S)

    assert watches.look() == ()


def test_the_runtime_that_knows_a_container_is_found(installation: Installation, root: Path, web: Daemon) -> None:
    listen(root / "run/one.sock")
    listen(root / "run/two.sock")
    watches = installation.watches(host_root=str(root))
    assert watches.of(WEB) is None
    watches.start()
    watches.wait_settled(PATIENCE_S)
    one, two = watches.look()

    assert watches.of(WEB) is one
    assert watches.of(DB) is two
    assert watches.of(ContainerId("c" * 64)) is None
    assert (one.abilities, two.abilities) == (EVERY_ABILITY, frozenset())

    # What it knew it may still be told to do, once it answers again.
    web.always = None
    web.says(REFUSED)
    until(lambda: not one.look()[0].up)
    assert watches.of(WEB) is one


def test_the_runtime_that_knows_a_container_tells_what_it_has_written(
    installation: Installation, root: Path, db: Daemon
) -> None:
    listen(root / "run/one.sock")
    listen(root / "run/two.sock")
    db.connection, db.written = Teller, 1
    watches = installation.watches(host_root=str(root))
    assert watches.tail(DB, 10) == ()
    watches.start()
    watches.wait_settled(PATIENCE_S)

    assert watches.tail(DB, 10) == (LogLine(None, is_stderr=False, text=DB),)
    assert watches.tail(WEB, 10) == ()
    assert watches.tail(ContainerId("c" * 64), 10) == ()

    db.always = None
    db.says(REFUSED)
    two = watches.look()[1]
    until(lambda: not two.answers)
    db.written = ZeroDivisionError("who does not answer is not asked")
    assert watches.tail(DB, 10) == ()
