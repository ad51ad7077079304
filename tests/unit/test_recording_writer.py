"""What was written into a recording stays in it, whatever happens to who writes it, or to the disk."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from samples import HOSTILE_NAMES, docker_key, host_of, running, sample_of, stopped, unsafe

from topcon.errors import RecordingFailed, RecordingUnreadable, UsageError
from topcon.model.event import Kind
from topcon.model.sample import MachineIds, Sample
from topcon.recording import writer as writing
from topcon.recording.codec import KEY_EVERY, Layout
from topcon.recording.file import APPLICATION_ID, SCHEMA_VERSION, add_layouts, wal_of
from topcon.recording.reader import Reader
from topcon.recording.replayed import after
from topcon.recording.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from topcon.model.snapshot import Snapshot

KILLS = int(os.environ.get("KILLS", "20"))
"""How many writers are killed."""


def sampled(seconds: int, *names: str, **others: Any) -> Sample:
    """Containers that use the CPU."""
    return sample_of(*(running(name, usage_usec=1000 * seconds) for name in names or ("a",)), seconds=seconds, **others)


def derived(samples: Iterable[Sample]) -> Iterator[Snapshot]:
    snapshot = None
    for sample in samples:
        snapshot = after(snapshot, sample)
        yield snapshot


def write(path: Path, samples: Iterable[Sample], **options: Any) -> list[Snapshot]:
    """Record samples; return their snapshots."""
    writer = Writer(path, **options)
    snapshots = list(derived(samples))
    for snapshot in snapshots:
        writer.write(snapshot)
    writer.close()
    return snapshots


def rows(path: Path, query: str) -> list[Any]:
    """Ask as anybody can who has ``sqlite3``."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "host.topcon"


def test_a_recording_is_a_database_with_a_name_of_its_own(path: Path) -> None:
    write(path, [sampled(0), sampled(1)])

    assert rows(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT wall_ns, kind FROM frames ORDER BY wall_ns") == [
        (START_WALL_NS, 1),
        (START_WALL_NS + SECOND_NS, 0),
    ]
    assert dict(rows(path, "SELECT * FROM meta"))["host"] == "testhost"


def test_it_is_for_who_made_it_alone_and_nothing_is_left_beside_it(path: Path) -> None:
    write(path, [sampled(0)])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_it_is_gone_on_with(path: Path) -> None:
    write(path, [sampled(0), sampled(1)])

    write(path, [sampled(5), sampled(6)])

    with Reader(path) as reader:
        assert [reader.sample(at) for at in range(4)] == [sampled(at) for at in (0, 1, 5, 6)]


def test_an_empty_file_is_taken_for_a_new_one(path: Path) -> None:
    path.touch()

    write(path, [sampled(0)])

    with Reader(path) as reader:
        assert reader.sample(0) == sampled(0)


def foreign_text(path: Path) -> None:
    path.write_text("precious\n" * 1000)


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE precious (thing); INSERT INTO precious VALUES (1)")


@pytest.mark.parametrize("make", [foreign_text, foreign_database])
def test_a_file_of_others_is_left_as_it_is(path: Path, make: Any) -> None:
    make(path)
    before = path.read_bytes()

    with pytest.raises(RecordingUnreadable, match=r"host\.topcon: not a recording of topcon$"):
        Writer(path)

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingUnreadable, match=r"it is a directory$"):
        Writer(tmp_path)


def test_where_no_file_can_be_made_one_line_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailed, match=r"new\.topcon: cannot be made: no such file or directory$"):
        Writer(tmp_path / "nowhere/new.topcon")


def test_a_name_that_no_file_can_have_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RecordingUnreadable, match=r"x: file name too long$"):
        Writer(tmp_path / ("x" * 300))


def test_numbers_that_sqlite_has_no_room_for_are_brought_into_it(path: Path) -> None:
    samples = [sampled(0), sample_of(running("a"), stopped("b", exit_code=1 << 70), seconds=1)]

    write(path, samples)

    assert rows(path, "SELECT exit_code FROM containers WHERE name = 'b'") == [((1 << 63) - 1,)]
    with Reader(path) as reader:
        assert reader.sample(1) == samples[1]


def test_only_one_writes(path: Path) -> None:
    writer = Writer(path)

    with pytest.raises(UsageError, match=r"another topcon records into it; choose another file$"):
        Writer(path)

    writer.close()
    Writer(path).close()


def test_another_host_is_refused_at_once(path: Path) -> None:
    write(path, [sampled(0)])

    with pytest.raises(UsageError, match=r"a recording of testhost, not of other; choose another file$"):
        Writer(path, host=host_of(name="other"))

    Writer(path, host=host_of()).close()


def test_another_host_is_refused_when_it_is_seen(path: Path) -> None:
    write(path, [sampled(0)])
    writer = Writer(path)

    with pytest.raises(RecordingFailed, match="a recording of testhost, not of other"):
        writer.write(after(None, sampled(1, host=host_of(name="other"))))

    writer.close()
    assert rows(path, "SELECT count(*) FROM frames") == [(1,)]


def test_a_host_that_was_renamed_is_the_same(path: Path) -> None:
    machine = MachineIds("abc")
    write(path, [sampled(0, host=host_of(machine=machine))])

    write(path, [sampled(1, host=host_of(name="renamed", machine=machine))])

    assert rows(path, "SELECT count(*) FROM frames") == [(2,)]


def test_what_has_happened_is_written_once_and_in_words(path: Path) -> None:
    samples = [sampled(0), sampled(1, "a", "b"), sampled(2, "b"), sampled(3, "b"), sampled(4, "b", "c")]

    *_, last = write(path, samples)

    with Reader(path) as reader:
        assert reader.events() == last.events.entries
        assert {each.kind for each in reader.events()} >= {Kind.EXIT, Kind.REMOVE}
        middle_ns = START_WALL_NS + 2 * SECOND_NS
        assert reader.events(until_ns=middle_ns) + reader.events(since_ns=middle_ns + 1) == reader.events()
        assert reader.events(most=2) == reader.events()[-2:]


def test_what_had_happened_before_is_no_part_of_it(path: Path) -> None:
    snapshots = list(derived([sampled(0), sampled(1, "b"), sampled(2, "b"), sampled(3)]))
    writer = Writer(path)
    for snapshot in snapshots[2:]:
        writer.write(snapshot)
    writer.close()

    known = snapshots[1].events.count
    assert known
    with Reader(path) as reader:
        told = [each._replace(number=each.number - known) for each in snapshots[-1].events.entries[known:]]
        assert list(reader.events()) == told


def test_events_of_two_runs_are_all_there(path: Path) -> None:
    first = write(path, [sampled(0), sampled(1, "b")])[-1].events.entries
    second = write(path, [sampled(10, "b"), sampled(11)])[-1].events.entries

    with Reader(path) as reader:
        assert [each.text for each in reader.events()] == [each.text for each in (*first, *second)]
        assert [each.number for each in reader.events()] == list(range(len(first) + len(second)))


def test_containers_are_listed_with_how_they_ended(path: Path) -> None:
    died = stopped("b", exit_code=137, oom_killed=True)
    samples = [sampled(0, "a", "b"), sample_of(running("a"), died, seconds=1), sampled(2)]

    write(path, samples)

    query = "SELECT name, first_ns, last_ns, exit_code, oom_killed FROM containers ORDER BY name"
    assert rows(path, query) == [
        ("a", START_WALL_NS, START_WALL_NS + 2 * SECOND_NS, None, None),
        ("b", START_WALL_NS, START_WALL_NS + SECOND_NS, 137, 1),
    ]


def test_a_container_that_is_there_has_no_end(path: Path) -> None:
    writer = Writer(path)
    writer.write(after(None, sampled(0)))

    assert rows(path, "SELECT key, last_ns FROM containers") == [(docker_key("a"), None)]

    writer.close()


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_foreign_text_is_escaped_in_the_tables_and_whole_in_the_frames(path: Path, name: str) -> None:
    samples = [sampled(0), sampled(1, "a", name), sampled(2)]

    write(path, samples)

    texts = rows(path, "SELECT name FROM containers UNION SELECT name || text FROM events")
    assert not any(unsafe(text) for (text,) in texts)
    with Reader(path) as reader:
        assert [reader.sample(at) for at in range(3)] == samples


def test_a_full_disk_costs_what_does_not_fit_and_writing_goes_on(path: Path) -> None:
    writer = Writer(path)
    snapshots = list(derived(sampled(at, *(f"c{each}" for each in range(10 * at, 10 * at + 10))) for at in range(6)))
    writer.write(snapshots[0])
    connection = writer._connection
    pages = rows(path, "PRAGMA page_count")[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    said = set()
    for snapshot in snapshots[1:4]:
        try:
            writer.write(snapshot)
        except RecordingFailed as failure:
            said.add(str(failure))
    assert said == {f"{path}: cannot be written: database or disk is full"}

    connection.execute("PRAGMA max_page_count = 100000")
    for snapshot in snapshots[4:]:
        writer.write(snapshot)
    writer.close()
    with Reader(path) as reader:
        assert [reader.sample(at) for at in range(len(reader.times))][-2:] == [each.sample for each in snapshots[4:]]
        assert {each.number for each in reader.events()} >= {each.number for each in snapshots[-1].events.entries[-5:]}
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_that_was_removed_is_told_of(path: Path) -> None:
    writer = Writer(path)
    path.unlink()

    with pytest.raises(RecordingFailed, match="it was removed, or is another file now"):
        writer.write(after(None, sampled(0)))

    writer.close()


def test_what_is_older_than_is_kept_goes_by_whole_groups(path: Path) -> None:
    write(path, (sampled(at) for at in range(5 * KEY_EVERY)), keep_s=KEY_EVERY + 10)

    with Reader(path) as reader:
        first = (reader.times[0] - START_WALL_NS) // SECOND_NS
        assert first == 2 * KEY_EVERY
        assert reader.sample(0) == sampled(first)
        assert not [each for each in reader.events() if each.wall_ns < reader.times[0]]


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_stays_below_its_bound(path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(writing, "LEAST_BYTES", 0)
    monkeypatch.setattr(writing, "WAL_BYTES", 200_000)
    monkeypatch.setattr(writing, "WAL_PAGES", 50)
    most = 400_000
    writer = Writer(path, max_bytes=most)
    largest = 0
    noise = random.Random(seed)
    for snapshot in derived(sampled(at, *(f"c{noise.getrandbits(60):x}" for _ in range(10))) for at in range(250)):
        writer.write(snapshot)
        largest = max(largest, writer.size_bytes)
    with Reader(path) as reader:
        kept = len(reader.times)
        assert reader.sample(kept - 1) == snapshot.sample
        assert reader.sample(0).wall_ns == reader.times[0]
    writer.close()

    assert largest <= most
    assert 0 < kept < 250
    assert path.stat().st_size <= most


def test_a_smaller_bound_than_before_takes_the_oldest_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LEAST_BYTES", 0)
    monkeypatch.setattr(writing, "WAL_BYTES", 100_000)
    noise = random.Random(1)
    names = [[f"c{noise.getrandbits(60):x}" for _ in range(10)] for _ in range(300)]
    write(path, (sampled(at, *names[at]) for at in range(300)))
    before = path.stat().st_size

    write(path, (sampled(at, "a") for at in range(300, 300 + 3 * KEY_EVERY)), max_bytes=before // 2)

    assert path.stat().st_size <= before // 2
    with Reader(path) as reader:
        assert reader.sample(len(reader.times) - 1) == sampled(299 + 3 * KEY_EVERY)


def test_a_bound_that_nothing_fits_in_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="a recording takes 8M at least"):
        Writer(path, max_bytes=4096)

    assert not path.exists()


def test_what_is_still_to_be_moved_into_the_file_stays_small(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WAL_PAGES", 50)
    writer = Writer(path)
    largest = 0
    for snapshot in derived(sampled(at) for at in range(400)):
        writer.write(snapshot)
        largest = max(largest, wal_of(path).stat().st_size)
    writer.close()

    assert 0 < largest < 100 * (2048 + 24) + 32


def test_the_times_go_on_though_the_clock_is_set_back(path: Path) -> None:
    samples = [sampled(at) for at in range(22)]
    back = [replace(each, wall_ns=each.wall_ns - 5 * SECOND_NS) for each in samples[10:]]

    write(path, samples[:10] + back)

    with Reader(path) as reader:
        steps = [(now - was) / SECOND_NS for was, now in pairwise(reader.times)]
        assert steps == [1.0] * 9 + [0.5] * 10 + [1.0] * 2
        assert [reader.sample(at) for at in range(22)] == samples[:10] + back


def test_an_older_topcon_is_not_to_read_what_a_newer_one_has_gone_on_with(path: Path) -> None:
    write(path, [sampled(0)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")

    write(path, [sampled(1)])

    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    with Reader(path) as reader:
        assert [reader.sample(at) for at in range(2)] == [sampled(0), sampled(1)]


def test_a_newer_topcon_goes_on_with_layouts_of_its_own(path: Path) -> None:
    write(path, [sampled(0)])
    old = Layout("Pressure", ("some_usec", "old"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM layouts WHERE name = 'Pressure'")
        ((number,),) = connection.execute("SELECT max(number) + 1 FROM layouts")
        add_layouts(connection, {number: old})
        connection.commit()

    write(path, [sampled(1)])

    with Reader(path) as reader:
        assert reader.sample(1) == sampled(1)
    assert len(rows(path, "SELECT name FROM layouts WHERE name = 'Pressure'")) == 2


WRITES = """
import sys
from pathlib import Path
from topcon.recording.reader import Reader
from topcon.recording.replayed import snapshots
from topcon.recording.writer import Writer

writer = Writer(Path(sys.argv[2]))
with Reader(Path(sys.argv[1])) as reader:
    while True:
        for snapshot in snapshots(reader, 0, len(reader.times)):
            writer.write(snapshot)
            print("written", flush=True)
"""


def test_a_writer_that_is_killed_loses_nothing_that_it_has_written(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.topcon"
    write(source, (sampled(at, *(f"c{each}" for each in range(30 + at % 3))) for at in range(KEY_EVERY)))
    surroundings = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    chance = random.Random()
    count = 0
    for _ in range(KILLS):
        program = [sys.executable, "-c", WRITES, source, path]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=surroundings) as process:
            assert process.stdout is not None
            told = chance.randrange(1, 2 * KEY_EVERY)
            assert all(process.stdout.readline() for _ in range(told))
            # Anywhere in what it does for a frame.
            Event().wait(chance.random() / 50)
            process.send_signal(signal.SIGKILL)
            told += len(process.stdout.readlines())
        with Reader(path) as reader:
            assert not reader.is_written
            # One may have been written that was not told of any more.
            assert len(reader.times) - count in {told, told + 1}
            count = len(reader.times)
            assert len(reader.sample(count - 1).cgroups) >= 30
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    with Reader(path) as reader:
        assert len(list(reader.samples(0, count))) == count
