"""The player, turn by turn, by a clock that only the test moves."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import IDLE, MONOTONIC_NS, docker_key, running, sample_of

from topcon.errors import RecordingUnreadable
from topcon.model.event import Event, Events, Kind, Told
from topcon.model.snapshot import Severity
from topcon.model.tombstones import tombstone_of
from topcon.recording.memory import Memory, MemoryReader
from topcon.recording.player import KEPT, LEAST_S, STAY_S, Player
from topcon.recording.replayed import after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.playing import Playing
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot

S = 10**9
SECONDS = 700
CORES = 0.25
DAMAGED = "incident.topcon: damaged"
END_S = 300
EVENTS_AT = (20, 100, 300)
PATIENCE_S = 10.0


def recorded(seconds: int = SECONDS, gap: tuple[int, int] = (0, 0)) -> Memory:
    """Return what a container did, a sample a second, that always uses the same; nothing is known in the gap."""
    memory, newest = Memory(), None
    for at in range(seconds):
        if gap[0] <= at < gap[1]:
            continue
        box = running("web", usage_usec=int(at * CORES * 1e6), current=(20 << 20) + at)
        newest = after(newest, sample_of(box, seconds=float(at)))
        entries = tuple(
            Event(START_NS + each * S, each, Kind.OOM, "docker:web", "web", f"event {each}", Severity.CRITICAL)
            for each in EVENTS_AT
            if each <= at
        )
        memory.add(replace(newest, events=Events(entries=entries)))
    return memory


START_NS = sample_of().wall_ns


class Shown:
    """Plays, and notes what is shown."""

    def __init__(self, memory: Memory, **options: Any) -> None:
        self.now_s = 1000.0
        self.told: list[tuple[Playing, Snapshot]] = []
        self.readers: list[MemoryReader] = []
        self.memory = memory
        self.is_written = False
        self.damaged = range(0)
        self.player = Player(
            self._opened,
            lambda *told: self.told.append(told),
            clock=lambda: self.now_s,
            spent=lambda: self.now_s,
            **options,
        )

    def _opened(self) -> MemoryReader:
        shown = self

        class Reader(MemoryReader):
            @property
            def is_written(self) -> bool:  # type: ignore[override]
                return shown.is_written

            def sample(self, at: int) -> Sample:
                if at in shown.damaged:
                    raise RecordingUnreadable(DAMAGED, START_NS + shown.damaged.stop * S)
                return super().sample(at)

        self.readers.append(Reader(self.memory))
        return self.readers[-1]

    def turns(self, most: int = 2000) -> float | None:
        """Do all that is due now; return how long it would be waited."""
        for _ in range(most):
            wait_s = self.player.turn()
            if wait_s != 0.0:
                return wait_s
        pytest.fail("it never rests")

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        until_s = self.now_s + seconds
        while True:
            wait_s = self.turns()
            if wait_s is None or self.now_s + wait_s > until_s:
                self.now_s = until_s
                return
            self.now_s += wait_s

    @property
    def playing(self) -> Playing:
        return self.told[-1][0]

    @property
    def snapshot(self) -> Snapshot:
        return self.told[-1][1]

    @property
    def at(self) -> int:
        """Which second is shown."""
        return (self.snapshot.sample.wall_ns - START_NS) // S

    @property
    def seconds(self) -> list[int]:
        """Which were shown, each once."""
        shown = [(snapshot.sample.wall_ns - START_NS) // S for _, snapshot in self.told]
        return [each for at, each in enumerate(shown) if not at or shown[at - 1] != each]

    def cores(self) -> float | None:
        (container,) = self.snapshot.containers.values()
        return container.usage.cpu_cores

    def charted(self) -> int:
        (container,) = self.snapshot.containers.values()
        return len(container.usage.cpu_history.values(self.snapshot.tick))


@pytest.fixture(scope="module")
def memory() -> Memory:
    return recorded()


def test_it_begins_at_the_first_and_goes_on_second_by_second(memory: Memory) -> None:
    shown = Shown(memory)
    shown.run(5.5)

    assert shown.seconds == [0, 1, 2, 3, 4, 5]
    assert shown.playing.at_ns == shown.snapshot.sample.wall_ns
    assert (shown.playing.first_ns, shown.playing.last_ns) == (START_NS, START_NS + (SECONDS - 1) * S)


def test_rates_are_the_same_at_any_speed(memory: Memory) -> None:
    shown = Shown(memory)
    shown.player.speed(60.0)
    shown.run(2.05)

    assert shown.at == pytest.approx(120, abs=7)
    assert len(shown.seconds) <= 2 / LEAST_S + 2
    assert shown.cores() == pytest.approx(CORES)


def test_what_was_read_in_samples_that_are_left_out_counts_over_all_of_the_time() -> None:
    disk = next(iter(IDLE))
    read_before_ns = MONOTONIC_NS + 9 * S
    begin = sample_of(running("web", io={disk: (0, 0)}))
    end = sample_of(running("web", io={disk: (0, 10_000)}, since_ns=read_before_ns), seconds=10.0)
    (container,) = after(after(None, begin), end).containers.values()

    assert container.usage.write_bytes_per_second == pytest.approx(1000.0)


def test_keys_change_the_speed_where_one_is(memory: Memory) -> None:
    shown = Shown(memory)
    shown.run(10.0)
    shown.player.faster(1)
    shown.player.faster(1)
    shown.run(10.0)

    assert shown.playing.speed == 5.0
    assert shown.at == pytest.approx(60, abs=2)


def test_a_slow_machine_leaves_samples_out(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown(memory)
    shown.player.speed(60.0)
    shown.turns()

    def slowly(*arguments: Any) -> Snapshot:
        shown.now_s += 0.4
        return after(*arguments)

    monkeypatch.setattr("topcon.recording.player.after", slowly)
    shown.player._charting = None
    begun_s, at = shown.now_s, len(shown.told)
    shown.run(4.0)

    assert shown.at == pytest.approx(60 * (shown.now_s - begun_s), abs=60)
    assert len(shown.told) - at <= 4 / 0.8 + 2


def test_it_pauses_and_goes_on_from_there(memory: Memory) -> None:
    shown = Shown(memory)
    shown.run(3.5)
    shown.player.toggle()
    shown.run(10.0)
    was = shown.at
    shown.player.toggle()
    shown.run(2.5)

    assert was == 3
    assert shown.at == 5


@pytest.mark.parametrize(("steps", "at"), [((-1,), 299), ((1,), 301), ((-1, -1, -1), 297), ((1, 1, -1), 301)])
def test_a_step_shows_the_next_sample_and_stays(memory: Memory, steps: tuple[int, ...], at: int) -> None:
    shown = Shown(memory, at_ns=START_NS + 300 * S)
    shown.turns()
    for step in steps:
        shown.player.step(step)
    shown.run(5.0)

    assert shown.at == at
    assert shown.playing.is_paused
    assert shown.cores() == pytest.approx(CORES)


def test_steps_that_come_together_are_one_jump(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 300 * S, is_paused=True)
    shown.turns()
    for _ in range(50):
        shown.player.step(-1)
    shown.turns()

    assert shown.seconds == [300, 250]
    assert shown.playing.carried_out == 50


@pytest.mark.parametrize(("moment_s", "at"), [(400.4, 400), (-30.0, 0), (10_000.0, SECONDS - 1)])
def test_a_jump_goes_to_the_sample_of_the_moment(memory: Memory, moment_s: float, at: int) -> None:
    shown = Shown(memory, is_paused=True)
    shown.player.jump(START_NS + int(moment_s * S))
    shown.turns()

    assert shown.at == at
    assert (shown.playing.problem is not None) == (moment_s > 1000)


def test_a_jump_shows_rates_at_once_and_charts_soon(memory: Memory) -> None:
    shown = Shown(memory, is_paused=True)
    shown.turns()
    shown.player.jump(START_NS + 650 * S)
    shown.player.turn()
    at_once = shown.cores(), shown.charted()
    shown.turns()

    assert at_once == (pytest.approx(CORES), 1)
    assert shown.cores() == pytest.approx(CORES)
    assert shown.charted() == 600
    assert shown.at == 650


def test_charts_of_many_containers_are_made_of_some_of_the_samples(memory: Memory) -> None:
    shown = Shown(memory, is_paused=True)
    shown.turns()
    shown.player.jump(START_NS + 650 * S)
    shown.player.turn()
    shown.player._derive_s = 0.02
    shown.turns()

    times = shown.snapshot.times.all_ns
    assert 50 < len(times) < 60
    assert times[-1] - times[0] == pytest.approx(600 * S, abs=15 * S)
    assert shown.cores() == pytest.approx(CORES)


@pytest.fixture(scope="module")
def with_an_end() -> Memory:
    """A container that is gone after some minutes; how it ended is told in one sample alone."""
    memory, newest = Memory(), None
    told = Told(START_NS + END_S * S, Kind.EXIT, docker_key("job"), "job", exit_code=3)
    for at in range(SECONDS):
        boxes = [running("web"), *([running("job")] if at < END_S else [])]
        sample = sample_of(*boxes, seconds=float(at), events=(told,) if at == END_S + 1 else ())
        newest = after(newest, sample)
        memory.add(newest)
    return memory


@pytest.mark.parametrize("is_damaged", [False, True])
def test_how_a_container_ended_is_known_where_the_sample_that_told_it_is_left_out(
    with_an_end: Memory, *, is_damaged: bool
) -> None:
    shown = Shown(with_an_end, at_ns=START_NS + (END_S - 4) * S)
    shown.damaged = range(END_S, END_S + 2) if is_damaged else range(0)
    shown.turns()
    shown.player._go_to(shown.readers[0], END_S + 20)
    played = tombstone_of(shown.snapshot, docker_key("job"))

    shown.player.jump(START_NS + 650 * S)
    shown.player.turn()
    shown.player._derive_s = 0.02
    shown.turns()
    charted = tombstone_of(shown.snapshot, docker_key("job"))

    assert len(shown.snapshot.times.all_ns) < 60
    assert [each and each.info.exit_code for each in (played, charted)] == [None if is_damaged else 3] * 2


def test_charts_follow_while_it_is_played(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 650 * S)
    shown.player.turn()
    shown.player._derive_s = 0.02
    shown.player.speed(10.0)
    shown.run(1.5)

    assert shown.at == pytest.approx(665, abs=2)
    assert len(shown.snapshot.times.all_ns) > 50
    assert shown.cores() == pytest.approx(CORES)


def test_a_step_back_shows_what_was_shown(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 600 * S)
    shown.run(5.5)
    known = shown.snapshot
    shown.player.step(1)
    shown.turns()
    shown.player.step(-1)
    shown.player.turn()

    assert shown.snapshot is known
    assert shown.charted() > 590


def test_no_more_is_kept_than_is_needed(memory: Memory) -> None:
    shown = Shown(memory)
    shown.run(3 * KEPT)

    assert len(shown.player._kept) == KEPT


def test_it_goes_from_event_to_event(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 150 * S, is_paused=True)
    visited = []
    for count in (-1, -1, 1, 1, 1):
        shown.player.next_event(count)
        shown.turns()
        visited.append(shown.at)

    assert visited == [100, 20, 100, 300, 300]
    assert shown.playing.problem == "nothing has happened after this"


def test_events_are_those_until_the_moment(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 98 * S)
    shown.turns()
    before = [each.text for each in shown.snapshot.events.entries]
    shown.run(5.0)

    assert before == ["event 20"]
    assert [each.text for each in shown.snapshot.events.entries] == ["event 20", "event 100"]


@pytest.mark.parametrize(("seconds", "at"), [(-60, 240), (60, 360), (-1000, 0), (1000, SECONDS - 1)])
def test_it_skips_minutes(memory: Memory, seconds: float, at: int) -> None:
    shown = Shown(memory, at_ns=START_NS + 300 * S, is_paused=True)
    shown.player.skip(seconds)
    shown.turns()

    assert shown.at == at


def test_it_skips_at_least_a_sample_where_they_are_further_apart() -> None:
    shown = Shown(recorded(800, gap=(100, 500)), at_ns=START_NS + 99 * S, is_paused=True)
    shown.player.skip(60)
    shown.turns()

    assert shown.at == 500


def test_of_a_gap_nothing_is_shown() -> None:
    shown = Shown(recorded(800, gap=(100, 500)), at_ns=START_NS + 98 * S)
    shown.run(3.5)

    assert shown.seconds[:4] == [98, 99, 500, 501]


def test_at_the_end_it_stays(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + (SECONDS - 3) * S)
    shown.run(10.0)

    assert shown.at == SECONDS - 1
    assert shown.playing.is_paused
    assert shown.playing.is_at_end


def test_from_the_end_it_plays_from_the_beginning(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + SECONDS * S)
    shown.run(5.0)
    shown.player.play()
    shown.run(1.5)

    assert shown.at == 1


def test_a_loop_begins_anew(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + (SECONDS - 2) * S, is_looped=True, name="demo")
    shown.run(1.5 + STAY_S + 2.0)

    assert shown.seconds[:3] == [SECONDS - 2, SECONDS - 1, 0]
    assert not shown.playing.is_paused
    assert shown.playing.name == "demo"


def test_the_end_is_followed_as_it_grows() -> None:
    taken = recorded(20)
    shown = Shown(taken)
    shown.is_written = True
    shown.player.live()
    shown.run(1.0)
    for at in range(20, 25):
        box = running("web", usage_usec=int(at * CORES * 1e6), current=(20 << 20) + at)
        taken.add(after(None, sample_of(box, seconds=float(at))))
        shown.run(1.0)

    assert shown.playing.is_live
    assert shown.at == 24
    assert shown.cores() == pytest.approx(CORES)

    shown.is_written = False
    shown.run(2.0)
    assert shown.playing.is_paused
    assert not shown.playing.is_live


def test_who_steps_back_from_a_growing_end_stays_there_and_sees_it_grow() -> None:
    taken = recorded(20)
    shown = Shown(taken)
    shown.is_written = True
    shown.player.live()
    shown.player.step(-1)
    shown.run(1.0)
    box = running("web", usage_usec=0, current=1 << 20)
    taken.add(after(None, sample_of(box, seconds=20.0)))
    shown.run(3.0)

    assert shown.at == 18
    assert not shown.playing.is_live
    assert shown.playing.last_ns == START_NS + 20 * S


def test_what_is_damaged_is_told_and_left_out(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 48 * S)
    shown.damaged = range(50, 60)
    shown.run(4.5)

    assert not set(shown.damaged) & set(shown.seconds)
    assert {60, 61} <= set(shown.seconds)
    assert DAMAGED in {playing.problem for playing, _ in shown.told}


def test_where_nothing_comes_after_damage_it_stays(memory: Memory) -> None:
    shown = Shown(memory, at_ns=START_NS + 48 * S)
    shown.damaged = range(50, SECONDS + 100)
    shown.run(5.0)

    assert shown.at == 49
    assert shown.playing.is_paused
    assert shown.playing.problem == DAMAGED


def test_who_has_slept_goes_on_from_where_it_was(memory: Memory) -> None:
    shown = Shown(memory)
    shown.run(3.5)
    shown.now_s += 300.0
    shown.run(1.0)

    assert shown.at < 10


def test_nothing_yet_waits_for_the_first() -> None:
    shown = Shown(Memory())
    shown.is_written = True
    shown.run(3.0)
    taken = recorded(2)
    shown.memory._groups, shown.memory._newest_ns = taken._groups, taken._newest_ns
    shown.run(2.0)

    assert shown.told


@pytest.fixture
def failures() -> list[BaseException]:
    return []


@pytest.fixture
def played(memory: Memory, failures: list[BaseException]) -> Iterator[tuple[Player, threading.Event]]:
    seen = threading.Event()

    def tell(playing: Playing, _: Snapshot) -> None:
        if playing.carried_out:
            seen.set()

    player = Player(lambda: MemoryReader(memory), tell, is_paused=True)
    player.start(failures.append)
    yield player, seen
    player.stop()


def test_on_its_thread_it_does_what_it_is_asked(
    played: tuple[Player, threading.Event], failures: list[BaseException]
) -> None:
    player, seen = played
    player.jump(START_NS + 30 * S)

    assert seen.wait(PATIENCE_S)
    assert failures == []


def test_what_ends_the_thread_is_told() -> None:
    told, failed = [], threading.Event()

    def fail(error: BaseException) -> None:
        told.append(error)
        failed.set()

    def broken() -> MemoryReader:
        raise RecordingUnreadable(DAMAGED)

    Player(broken, lambda *_: None).start(fail)

    assert failed.wait(PATIENCE_S)
    assert [str(error) for error in told] == [DAMAGED]
