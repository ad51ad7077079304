"""What memory holds of the last while: bounded, and read as a recording is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from samples import running, sample_of

from topcon.errors import RecordingUnreadable
from topcon.model.event import Event, Events, Kind
from topcon.recording.codec import KEY_EVERY
from topcon.recording.memory import Memory, MemoryReader
from topcon.recording.replayed import after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.snapshot import Snapshot

S = 10**9


def snapshots(count: int, names: Iterable[str] = ("web", "db"), first: int = 0) -> list[Snapshot]:
    """Return a second each of some containers that do something."""
    made: list[Snapshot] = []
    for at in range(first, first + count):
        boxes = [
            running(name, usage_usec=at * 100_000 * number, current=(10 << 20) + at * 4096)
            for number, name in enumerate(names, start=1)
        ]
        made.append(after(made[-1] if made else None, sample_of(*boxes, seconds=float(at))))
    return made


def filled(taken: Iterable[Snapshot], **limits: int) -> Memory:
    memory = Memory(**limits)
    for snapshot in taken:
        memory.add(snapshot)
    return memory


def test_every_sample_comes_back_as_it_was_from_whichever_one_begins() -> None:
    taken = snapshots(2 * KEY_EVERY + 5)
    reader = MemoryReader(filled(taken))

    assert list(reader.times) == [each.sample.wall_ns for each in taken]
    for at in (0, 1, 70, 69, 124, 3, 59, 60, 61, 61, 45, 44, 40, 10, 0, 30, 29, 95, 31):
        assert reader.sample(at) == taken[at].sample


def test_what_has_not_changed_is_the_very_same() -> None:
    reader = MemoryReader(filled(snapshots(4)))
    one, other = reader.sample(2), reader.sample(3)

    assert one.found is other.found


def test_it_is_bounded_and_the_oldest_goes_first() -> None:
    taken = snapshots(5 * KEY_EVERY)
    whole = filled(taken).size_bytes
    memory = filled(taken, most_bytes=whole // 2)
    reader = MemoryReader(memory)

    assert whole // 4 < memory.size_bytes <= whole // 2
    assert reader.times[-1] == taken[-1].sample.wall_ns
    assert reader.sample(0) == taken[-len(reader.times)].sample


def test_what_is_older_than_wanted_goes() -> None:
    taken = snapshots(4 * KEY_EVERY)
    reader = MemoryReader(filled(taken, longest_ns=KEY_EVERY * S))

    assert KEY_EVERY < len(reader.times) <= 2 * KEY_EVERY + 1


def test_a_minute_that_is_too_much_leaves_less() -> None:
    taken = snapshots(KEY_EVERY)
    memory = filled(taken, most_bytes=filled(taken).size_bytes // 2)
    reader = MemoryReader(memory)

    assert 0 < len(reader.times) < KEY_EVERY
    assert reader.sample(len(reader.times) - 1) == taken[-1].sample


def test_a_time_that_was_there_is_left_out() -> None:
    taken = snapshots(3)
    memory = filled([*taken, taken[1]])

    assert len(MemoryReader(memory).times) == 3


def test_a_reader_sees_what_comes_and_keeps_what_goes() -> None:
    taken = snapshots(6 * KEY_EVERY)
    memory = filled(taken[:10], longest_ns=KEY_EVERY * S)
    reader = MemoryReader(memory)
    before = len(reader.times)
    for snapshot in taken[10:]:
        memory.add(snapshot)
    reader.refresh()

    assert before == 10
    assert reader.sample(0) == taken[0].sample
    assert reader.sample(len(reader.times) - 1) == taken[-1].sample
    assert not reader.refresh()


def test_what_went_before_it_was_seen_cannot_be_read() -> None:
    memory = filled(snapshots(KEY_EVERY))
    memory._groups = (memory._groups[0][5:],)
    reader = MemoryReader(memory)

    with pytest.raises(RecordingUnreadable, match="what was then is forgotten"):
        reader.sample(3)


def test_events_are_those_of_the_time() -> None:
    events = Events(entries=tuple(Event(at, at, Kind.START, "docker:a", "a", "started", number=at) for at in range(5)))
    (snapshot,) = snapshots(1)
    reader = MemoryReader(filled([replace(snapshot, events=events)]))

    assert [each.wall_ns for each in reader.events()] == [0, 1, 2, 3, 4]
    assert [each.wall_ns for each in reader.events(1, 3)] == [1, 2, 3]
    assert [each.wall_ns for each in reader.events(until_ns=3, most=2)] == [2, 3]
    assert reader.events(most=0) == ()


def test_the_index_of_a_moment_is_that_of_the_sample_before_it() -> None:
    taken = snapshots(3)
    reader = MemoryReader(filled(taken))
    first_ns = taken[0].sample.wall_ns

    assert [reader.index_at(first_ns + ns) for ns in (-5, 0, 1, S, 2 * S + 1)] == [0, 0, 0, 1, 2]
    assert reader.interval_s == 1.0
