"""The thread that ticks: on a fixed grid, what is late left out, and a bug handed to who waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sample_of, snapshot_after

from topcon import sampler as module
from topcon.errors import ParseError
from topcon.model.sample import OwnSample, RuntimeSample
from topcon.sampler import LONGEST_PACE_S, Pace, SamplerThread, paced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fakes import FakeHost

    from topcon.model.snapshot import Snapshot

PATIENCE_S = 10.0
"""How long a thread may take on a busy machine; never waited for when all is well."""
BEGUN_S = 1000.0
SNAPSHOT = snapshot_after(sample_of())


@dataclass
class World:
    """A clock, and ticks that take as long as they are told: time passes only in them, and in waiting."""

    durations: Sequence[float]
    now: float = BEGUN_S
    begun: list[float] = field(default_factory=list)
    """When each tick began, seconds after the thread did."""
    waits: list[float] = field(default_factory=list)
    is_stopped: bool = False

    def monotonic(self) -> float:
        return self.now

    # What the thread knows of a sampler.

    def tick(self) -> Snapshot:
        self.begun.append(self.now - BEGUN_S)
        self.now += self.durations[len(self.begun) - 1]
        self.is_stopped = len(self.begun) == len(self.durations)
        return SNAPSHOT

    # What it knows of an event.

    def is_set(self) -> bool:
        return self.is_stopped

    def set(self) -> None:
        self.is_stopped = True

    def clear(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += max(seconds, 0.0)


def ticked(durations: Sequence[float], interval_s: float) -> World:
    """Let a thread's body run here until it has ticked as often as there are durations."""
    world = World(durations)
    failures: list[BaseException] = []
    thread = SamplerThread(world, interval_s, lambda _: None, failures.append)  # type: ignore[arg-type]
    thread._stopped = thread._woken = world  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "time", SimpleNamespace(monotonic=world.monotonic))
        thread.run()
    assert failures == []
    return world


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([0, 0, 0, 0], [0, 1, 2, 3]),
        ([0.25, 0.5, 0.75, 0], [0, 1, 2, 3]),
        ([0.25, 1.5, 0, 0], [0, 1, 3, 4]),
        ([3.25, 0.25, 0.25], [0, 4, 5]),
        ([1, 1, 1, 0], [0, 1, 2, 3]),
        ([2, 0, 0], [0, 2, 3]),
        ([3600.5, 0, 0], [0, 3601, 3602]),
    ],
)
def test_ticks_begin_on_the_grid_and_late_ones_are_left_out(durations: list[float], expected: list[float]) -> None:
    assert ticked(durations, 1.0).begun == expected


@given(
    durations=st.lists(st.floats(0, 20), min_size=2, max_size=20),
    interval_s=st.sampled_from([0.1, 0.3, 1.0, 2.5, 3600.0]),
)
def test_however_long_ticks_take_each_begins_at_the_next_point_of_the_grid(
    durations: list[float], interval_s: float
) -> None:
    world = ticked(durations, interval_s)

    points = [begun / interval_s for begun in world.begun]
    assert points == pytest.approx([round(point) for point in points], abs=1e-6)
    for (begun, took), following in zip(zip(world.begun, durations, strict=True), world.begun[1:], strict=False):
        assert following - begun >= interval_s * (1 - 1e-6)
        assert following - begun - took <= interval_s * (1 + 1e-6)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0.1, 3600))
def test_it_never_waits_backwards_nor_longer_than_an_interval(durations: list[float], interval_s: float) -> None:
    assert all(-1e-6 <= wait <= interval_s * (1 + 1e-6) for wait in ticked(durations, interval_s).waits)


# A budget.


@pytest.mark.parametrize(
    ("asked_s", "budget", "spent_s", "expected"),
    [
        (1.0, None, 5.0, 1.0),
        (1.0, 0.02, None, 1.0),
        (1.0, 0.02, 0.0, 1.0),
        (1.0, 0.02, 0.02, 1.0),
        (1.0, 0.02, 0.0201, 1.1),
        (1.0, 0.02, 0.084, 4.2),
        (0.1, 0.5, 0.1, 0.2),
        (1.0, 0.001, 5.0, LONGEST_PACE_S),
        (300.0, 0.001, 5.0, 300.0),
    ],
)
def test_ticks_are_as_far_apart_as_the_budget_wants(
    asked_s: float, budget: float | None, spent_s: float | None, expected: float
) -> None:
    assert paced(asked_s, budget, spent_s) == pytest.approx(expected)


@given(asked_s=st.floats(0.1, 3600), budget=st.floats(0.001, 1), spent_s=st.floats(0, 1000))
def test_a_budget_is_kept_up_to_a_minute_and_nothing_is_faster_than_asked_for(
    asked_s: float, budget: float, spent_s: float
) -> None:
    interval_s = paced(asked_s, budget, spent_s)

    assert asked_s <= interval_s <= max(asked_s, LONGEST_PACE_S)
    assert spent_s / interval_s <= budget * (1 + 1e-6) or interval_s >= LONGEST_PACE_S


@dataclass
class Spender(World):
    """Ticks that cost CPU, at once, and more for every second that they are apart."""

    costs_s: Sequence[float] = ()
    cost_s_per_second: float = 0.0
    daemon_s: float = 0.0
    """Of each tick, in a daemon."""
    pace: Pace | None = None
    paces: list[Pace] = field(default_factory=list)
    used_s: float = 0.0
    asked_of_daemon_s: float = 0.0

    def tick(self) -> Snapshot:
        assert self.pace is not None
        self.paces.append(self.pace)
        self.used_s += self.costs_s[len(self.begun)] + self.cost_s_per_second * (self.waits[-1] if self.waits else 0.0)
        self.asked_of_daemon_s += self.daemon_s
        super().tick()
        runtime = RuntimeSample("docker", "/run/d.sock", up=True, is_listed=True, daemon_cpu_s=self.asked_of_daemon_s)
        sample = sample_of(
            seconds=self.now - BEGUN_S,
            own=OwnSample(self.used_s, None, *self.pace),
            runtimes=(runtime,),
        )
        return snapshot_after(sample)

    @property
    def intervals(self) -> list[float]:
        return [round(pace.interval_s, 1) for pace in self.paces]

    def share(self, since: int) -> float:
        """What was used of a core from a tick on."""
        return sum(self.costs_s[since + 1 :]) / (self.begun[-1] - self.begun[since])


def spent(costs_s: Sequence[float], budget: float | None, **options: Any) -> Spender:
    world = Spender([0.0] * len(costs_s), costs_s=costs_s, **options)
    failures: list[BaseException] = []
    thread = SamplerThread(world, 1.0, lambda _: None, failures.append, budget=budget)  # type: ignore[arg-type]
    thread._stopped = thread._woken = world  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "time", SimpleNamespace(monotonic=world.monotonic))
        thread.run()
    assert failures == []
    return world


def test_without_a_budget_nothing_is_slowed() -> None:
    assert set(spent([0.5] * 30, None).intervals) == {1.0}


def test_what_stays_within_the_budget_is_not_slowed() -> None:
    world = spent([0.019] * 30, 0.02)

    assert set(world.paces) == {Pace(1.0, 1.0, 0.02)}
    assert not world.paces[-1].is_slowed


def test_what_does_not_is_slowed_until_it_does() -> None:
    world = spent([0.1] * 60, 0.02)

    assert world.intervals[-1] == 5.0
    assert world.paces[-1].is_slowed
    assert world.share(20) == pytest.approx(0.02)


def test_what_the_daemons_use_is_in_it() -> None:
    assert spent([0.05] * 60, 0.02, daemon_s=0.05).intervals[-1] == 5.0


def test_what_is_used_all_the_time_beside_the_ticks_is_paid_by_them() -> None:
    world = spent([0.01] * 100, 0.02, cost_s_per_second=0.01)

    interval_s = world.intervals[-1]
    assert 1.0 <= interval_s <= 1.3
    assert 0.01 / interval_s + 0.01 <= 0.02 * 1.05


def test_what_no_interval_can_keep_is_slowed_no_more_than_a_minute() -> None:
    assert spent([0.01] * 60, 0.02, cost_s_per_second=0.03).intervals[-1] == LONGEST_PACE_S


def test_the_start_does_not_count() -> None:
    assert set(spent([3.0, 2.0, 1.0, 1.0, *[0.01] * 30], 0.02).intervals) == {1.0}


def test_ticks_get_rarer_by_half_at_the_most_and_come_back_when_it_is_over() -> None:
    world = spent([*[0.01] * 10, 2.0, *[0.01] * 40], 0.02)

    grown = [later / earlier for earlier, later in zip(world.intervals, world.intervals[1:], strict=False)]
    assert max(grown) == 2.0
    assert max(world.intervals) >= 8.0
    assert world.intervals[-1] == 1.0


def test_the_grid_stays_where_costs_vary_a_little() -> None:
    world = spent([0.1, 0.11, 0.095, 0.1, 0.105] * 20, 0.02)

    assert len(set(world.intervals[40:])) == 1


# Another interval while it runs.


@dataclass
class Impatient(World):
    """A world in which a wait is broken off, to set another interval."""

    thread: SamplerThread | None = None
    breaks: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By number of the wait: after how many seconds, and the interval that is set then."""

    def wait(self, seconds: float) -> bool:  # type: ignore[override]
        at = len(self.waits)
        if at not in self.breaks:
            super().wait(seconds)
            return False
        after_s, interval_s = self.breaks[at]
        assert after_s < seconds
        super().wait(after_s)
        assert self.thread is not None
        self.thread.interval_s = interval_s
        self.is_stopped = False
        return True


@pytest.mark.parametrize(
    ("after_s", "interval_s", "expected"),
    [
        (0.5, 5.0, [0, 1, 6, 11]),
        (0.5, 0.2, [0, 1, 1.6, 1.8]),
        (0.5, 0.5, [0, 1, 1.5, 2]),
        (0.25, 1.0, [0, 1, 2, 3]),
    ],
)
def test_another_interval_holds_from_the_last_tick_on(after_s: float, interval_s: float, expected: list[float]) -> None:
    world = Impatient([0.0] * 4, breaks={1: (after_s, interval_s)})
    world.thread = SamplerThread(world, 1.0, lambda _: None, pytest.fail)  # type: ignore[arg-type]
    world.thread._stopped = world.thread._woken = world  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "time", SimpleNamespace(monotonic=world.monotonic))
        world.thread.run()

    assert world.begun == pytest.approx(expected)
    assert world.thread.interval_s == interval_s


# A thread that runs.


class Watched:
    """What a thread has handed over, and a way to wait for it."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.failures: list[BaseException] = []
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def snapshot(self, snapshot: Snapshot) -> None:
        with self._changed:
            self.threads.add(threading.current_thread().name)
            self.snapshots.append(snapshot)
            self._changed.notify_all()

    def failure(self, error: BaseException) -> None:
        with self._changed:
            self.threads.add(threading.current_thread().name)
            self.failures.append(error)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.snapshots) + len(self.failures) >= count, PATIENCE_S)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def threads() -> Iterator[list[SamplerThread]]:
    """Threads that are stopped after the test."""
    started: list[SamplerThread] = []
    yield started
    for thread in started:
        thread.stop()
        if thread.ident is not None:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def thread_of(sampler: Any, watched: Watched, interval_s: float = 0.01) -> SamplerThread:
    return SamplerThread(sampler, interval_s, watched.snapshot, watched.failure)


def test_each_snapshot_is_handed_over_in_its_order(
    host: FakeHost, watched: Watched, threads: list[SamplerThread]
) -> None:
    sampler = host.sampler()
    threads.append(thread_of(sampler, watched))

    threads[0].start()
    watched.wait_for(3)
    threads[0].stop()
    threads[0].join(PATIENCE_S)

    assert [snapshot.tick for snapshot in watched.snapshots] == list(range(len(watched.snapshots)))
    assert sampler.newest is watched.snapshots[-1]
    assert (watched.failures, watched.threads) == ([], {"topcon-sampler"})


def test_the_first_snapshot_is_not_waited_for(host: FakeHost, watched: Watched, threads: list[SamplerThread]) -> None:
    threads.append(thread_of(host.sampler(), watched, interval_s=3600))

    threads[0].start()

    watched.wait_for(1)


def test_stopping_does_not_wait_for_the_interval_to_end(
    host: FakeHost, watched: Watched, threads: list[SamplerThread]
) -> None:
    threads.append(thread_of(host.sampler(), watched, interval_s=3600))
    threads[0].start()
    watched.wait_for(1)

    threads[0].stop()
    threads[0].join(PATIENCE_S)

    assert not threads[0].is_alive()
    assert len(watched.snapshots) == 1


def test_what_is_stopped_before_it_begins_never_ticks(host: FakeHost, watched: Watched) -> None:
    thread = thread_of(host.sampler(), watched)
    thread.stop()

    thread.run()

    assert (watched.snapshots, watched.failures) == ([], [])


def test_it_does_not_keep_topcon_from_ending(host: FakeHost, watched: Watched) -> None:
    assert thread_of(host.sampler(), watched).daemon


class Broken:
    """A sampler that fails at a certain tick."""

    def __init__(self, error: BaseException, at: int) -> None:
        self.ticks = 0
        self._error = error
        self._at = at

    def tick(self) -> Snapshot:
        self.ticks += 1
        if self.ticks > self._at:
            raise self._error
        return SNAPSHOT


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a bug"), ParseError("/proc/stat", "nonsense"), MemoryError(), SystemExit(3)]
)
def test_what_goes_wrong_in_a_tick_is_handed_over_once_and_ends_it(
    watched: Watched, threads: list[SamplerThread], error: BaseException, at: int
) -> None:
    sampler = Broken(error, at)
    threads.append(thread_of(sampler, watched))

    threads[0].start()
    threads[0].join(PATIENCE_S)

    assert watched.failures == [error]
    assert (len(watched.snapshots), sampler.ticks) == (at, at + 1)
    assert watched.failures[0].__traceback__ is not None


def test_what_goes_wrong_in_handing_over_is_not_swallowed(
    host: FakeHost, watched: Watched, threads: list[SamplerThread]
) -> None:
    def broken(snapshot: Snapshot) -> None:
        raise ZeroDivisionError(snapshot.tick)

    threads.append(SamplerThread(host.sampler(), 0.01, broken, watched.failure))
    threads[0].start()
    threads[0].join(PATIENCE_S)

    assert [type(error) for error in watched.failures] == [ZeroDivisionError]
    assert watched.failures[0].args == (0,)


def test_a_host_whose_totals_are_not_understood_ends_it_with_the_file_and_the_line(
    host: FakeHost, watched: Watched, threads: list[SamplerThread]
) -> None:
    sampler = host.sampler()
    host.write("proc/uptime", "soon\n")
    threads.append(thread_of(sampler, watched))

    threads[0].start()
    threads[0].join(PATIENCE_S)

    assert [str(error) for error in watched.failures] == [f"{host.proc_root}/uptime: cannot understand 'soon'"]


def test_a_shorter_interval_wakes_it(host: FakeHost, watched: Watched, threads: list[SamplerThread]) -> None:
    threads.append(thread_of(host.sampler(), watched, interval_s=3600))
    threads[0].start()
    watched.wait_for(1)

    threads[0].interval_s = 0.01

    watched.wait_for(3)


def test_a_sampler_is_told_the_pace(host: FakeHost, watched: Watched, threads: list[SamplerThread]) -> None:
    sampler = host.sampler()
    threads.append(SamplerThread(sampler, 0.25, watched.snapshot, watched.failure, budget=0.5))

    threads[0].start()
    watched.wait_for(1)

    assert sampler.pace == Pace(0.25, 0.25, 0.5)


class Stuck:
    """A sampler whose tick goes on until it is let go."""

    def __init__(self) -> None:
        self.pace: Pace | None = None
        self.begun = threading.Event()
        self.released = threading.Event()

    def tick(self) -> Any:
        self.begun.set()
        self.released.wait(PATIENCE_S)
        raise RuntimeError


def test_it_has_ended_only_with_its_last_tick(
    watched: Watched, threads: list[SamplerThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_TICK_S", 0.05)
    stuck = Stuck()
    threads.append(thread_of(stuck, watched))
    threads[0].start()
    stuck.begun.wait(PATIENCE_S)

    assert not threads[0].has_ended()

    monkeypatch.setattr(module, "LAST_TICK_S", PATIENCE_S)
    threading.Timer(0.05, stuck.released.set).start()
    assert threads[0].has_ended()
    assert not threads[0].is_alive()


def test_what_it_begins_with_comes_before_the_first_tick(
    host: FakeHost, watched: Watched, threads: list[SamplerThread]
) -> None:
    before: list[int] = []
    sampler = host.sampler()
    begin = lambda: before.append(len(watched.snapshots))  # noqa: E731  one line
    threads.append(SamplerThread(sampler, 0.01, watched.snapshot, watched.failure, begin=begin))

    threads[0].start()
    watched.wait_for(2)

    assert before == [0]


def test_a_bug_in_what_it_begins_with_ends_it(host: FakeHost, watched: Watched, threads: list[SamplerThread]) -> None:
    threads.append(SamplerThread(host.sampler(), 0.01, watched.snapshot, watched.failure, begin=lambda: 1 // 0))

    threads[0].start()
    threads[0].join(PATIENCE_S)

    assert [type(error) for error in watched.failures] == [ZeroDivisionError]
    assert watched.snapshots == []
