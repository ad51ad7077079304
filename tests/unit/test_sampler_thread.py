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
from topcon.sampler import SamplerThread

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

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += max(seconds, 0.0)


def ticked(durations: Sequence[float], interval_s: float) -> World:
    """Let a thread's body run here until it has ticked as often as there are durations."""
    world = World(durations)
    failures: list[BaseException] = []
    thread = SamplerThread(world, interval_s, lambda _: None, failures.append)  # type: ignore[arg-type]
    thread._stopped = world  # type: ignore[assignment]
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
