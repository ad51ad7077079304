"""A recording is read while it is written, and whatever has become of the file is told in one line."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from samples import running, sample_of

from topcon.errors import RecordingUnreadable, TopconError
from topcon.model.event import Kind
from topcon.model.sample import State
from topcon.model.snapshot import Severity
from topcon.recording.codec import KEY_EVERY, SHORTCUT_EVERY
from topcon.recording.file import SCHEMA_VERSION
from topcon.recording.reader import Reader
from topcon.recording.replayed import after, snapshots
from topcon.recording.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.sample import Sample

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.topcon"))
"""One of each version."""
NEWER = SCHEMA_VERSION + 2
SECONDS = 2 * KEY_EVERY + 10


def sampled(seconds: int) -> Sample:
    return sample_of(*(running(name, usage_usec=1000 * seconds) for name in "abc"), seconds=seconds)


def at_ns(seconds: int) -> int:
    return START_WALL_NS + seconds * SECOND_NS


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a few groups."""
    path = tmp_path_factory.mktemp("recording") / "whole.topcon"
    writer, snapshot = Writer(path), None
    for at in range(SECONDS):
        snapshot = after(snapshot, sampled(at))
        writer.write(snapshot)
    writer.close()
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(whole, tmp_path / "incident.topcon"))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for each in statements:
            connection.execute(each)
        connection.commit()


def test_what_is_told_of_a_recording(whole: Path) -> None:
    with Reader(whole) as reader:
        assert list(reader.times) == [at_ns(at) for at in range(SECONDS)]
        assert (reader.first_ns, reader.last_ns) == (at_ns(0), at_ns(SECONDS - 1))
        assert reader.interval_s == 1.0
        assert reader.host_name == "testhost"
        assert not reader.is_written
        assert reader.path == whole


def test_any_sample_is_found_in_any_order(whole: Path) -> None:
    places = [*range(SECONDS), *range(SECONDS - 1, -1, -7), SHORTCUT_EVERY, SHORTCUT_EVERY - 1, KEY_EVERY, 0]
    chance = random.Random(1)
    places += [chance.randrange(SECONDS) for _ in range(200)]
    with Reader(whole) as reader:
        for at in places:
            assert reader.sample(at) == sampled(at), at


def test_some_samples_in_a_row(whole: Path) -> None:
    with Reader(whole) as reader:
        assert list(reader.samples(5, 100, 40)) == [sampled(at) for at in (5, 45, 85)]


def test_the_sample_of_a_time(whole: Path) -> None:
    with Reader(whole) as reader:
        found = [reader.index_at(each) for each in (0, at_ns(0), at_ns(7), at_ns(8) - 1, at_ns(8), at_ns(9**9))]

    assert found == [0, 0, 7, 7, 8, SECONDS - 1]


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "now.topcon"
    writer = Writer(path)
    with Reader(path) as reader:
        assert (reader.first_ns, reader.last_ns, reader.interval_s, reader.host_name) == (None, None, None, None)
        assert reader.is_written
        assert not reader.refresh()
        for at in range(KEY_EVERY + 5):
            writer.write(after(None, sampled(at)))
            assert reader.refresh()
            assert reader.sample(len(reader.times) - 1) == sampled(at)
        writer.close()
        assert not reader.is_written
        assert not reader.refresh()
        assert reader.sample(3) == sampled(3)


def test_a_reader_goes_on_with_who_writes_on(path: Path) -> None:
    with Reader(path) as reader:
        writer = Writer(path)
        assert reader.is_written
        writer.write(after(None, sampled(SECONDS)))
        assert reader.refresh()
        assert reader.sample(SECONDS) == sampled(SECONDS)
        writer.close()


def test_what_was_forgotten_meanwhile_is_told_of(path: Path) -> None:
    with Reader(path) as reader:
        change(path, f"DELETE FROM frames WHERE wall_ns < {at_ns(KEY_EVERY)}")

        with pytest.raises(
            RecordingUnreadable, match=r"what was before 2026-09-\d\d \d\d:\d\d:\d\d.* is forgotten$"
        ) as told:
            reader.sample(7)

        assert told.value.goes_on_ns == at_ns(KEY_EVERY)
        assert reader.sample(KEY_EVERY) == sampled(KEY_EVERY)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def other_database(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE precious (thing)")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:100] + os.urandom(size - 100))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (Path.unlink, "no such file"),
        (directory, "it is a directory"),
        (pipe, "it is not a file"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("a diary"), "not a recording of topcon"),
        (lambda path: path.write_bytes(os.urandom(5000)), "not a recording of topcon"),
        (lambda path: os.truncate(path, 50), "not a recording of topcon"),
        (other_database, "not a recording of topcon"),
        (
            lambda path: change(path, f"PRAGMA user_version = {NEWER}"),
            f"made by a newer topcon (schema {NEWER}, this one reads up to {SCHEMA_VERSION}); upgrade topcon",
        ),
        (lambda path: change(path, "DROP TABLE frames"), "damaged: no such table: frames"),
        (overwritten, "damaged: database disk image is malformed"),
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_told_in_one_line(path: Path, spoil: Callable[[Path], object], line: str) -> None:
    spoil(path)

    with pytest.raises(RecordingUnreadable) as told:
        Reader(path)

    assert str(told.value) == f"{path}: {line}"


READS = """
import sys
from pathlib import Path

from topcon.errors import RecordingUnreadable
from topcon.recording.reader import Reader

try:
    Reader(Path(sys.argv[1]))
except RecordingUnreadable as error:
    print(error)
"""
MAY_READ_ALL = "-dac_override,-dac_read_search"
"""Capabilities by which root reads what nobody may."""
WITHOUT = ("setpriv", "--bounding-set", MAY_READ_ALL, "--inh-caps", MAY_READ_ALL) if os.getuid() == 0 else ()


def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.chmod(0)

    told = subprocess.run(
        [*WITHOUT, sys.executable, "-c", READS, str(path)], capture_output=True, text=True, check=True
    )

    assert told.stdout == f"{path}: permission denied\n"


def read_all(path: Path) -> tuple[int, list[str]]:
    """Read what can be read; return how many samples that was, and what was said of the others."""
    said: list[str] = []
    count = 0
    try:
        with Reader(path) as reader:
            at = 0
            while at < len(reader.times):
                try:
                    sample = reader.sample(at)
                except RecordingUnreadable as damage:
                    said.append(str(damage))
                    at = len(reader.times) if damage.goes_on_ns is None else reader.index_at(damage.goes_on_ns)
                else:
                    assert sample == sampled((sample.wall_ns - START_WALL_NS) // SECOND_NS)
                    count += 1
                    at += 1
            reader.events()
            assert reader.host_name is not None
    except TopconError as error:
        said.append(str(error))
    return count, said


def test_half_a_file_is_told_of(path: Path) -> None:
    cut(path)

    _, said = read_all(path)

    assert said
    assert all("\n" not in line and line.startswith(f"{path}: ") for line in said)


@pytest.mark.parametrize("seed", range(40))
def test_a_byte_that_was_changed_costs_a_minute_at_the_most_or_is_told_of(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)

    count, said = read_all(path)

    assert all("\n" not in line and line.startswith(f"{path}: ") for line in said)
    # Some bytes are not used, and some are of an index, an event or a layout.
    assert count == SECONDS or said


@pytest.mark.parametrize(
    ("damaged", "until"), [(0, KEY_EVERY), (7, KEY_EVERY), (SHORTCUT_EVERY, KEY_EVERY), (KEY_EVERY + 3, 2 * KEY_EVERY)]
)
def test_reading_goes_on_behind_what_is_damaged(path: Path, damaged: int, until: int) -> None:
    change(path, f"UPDATE frames SET payload = zeroblob(50) WHERE wall_ns = {at_ns(damaged)}")

    with Reader(path) as reader:
        with pytest.raises(RecordingUnreadable, match=r"incident\.topcon: damaged from .* to .*") as told:
            for _ in reader.samples(0, SECONDS):
                pass
        assert told.value.goes_on_ns == at_ns(until)
        assert reader.sample(until) == sampled(until)
        if damaged % KEY_EVERY:
            assert reader.sample(damaged - 1) == sampled(damaged - 1)
        taken = [each.sample for each in snapshots(reader, 0, SECONDS, on_damage=lambda _: None)]

    assert taken == [sampled(at) for at in range(SECONDS) if not damaged <= at < until]


def test_of_the_last_minute_the_rest_is_lost(path: Path) -> None:
    change(path, f"UPDATE frames SET payload = 'nothing' WHERE wall_ns = {at_ns(2 * KEY_EVERY + 1)}")

    with Reader(path) as reader, pytest.raises(RecordingUnreadable, match=r"damaged from .* on$") as told:
        reader.sample(SECONDS - 1)

    assert told.value.goes_on_ns is None


def test_a_frame_that_is_missing_is_damage(path: Path) -> None:
    with Reader(path) as reader:
        change(path, f"DELETE FROM frames WHERE wall_ns = {at_ns(5)}")

        with pytest.raises(RecordingUnreadable, match="damaged"):
            reader.sample(9)

    with Reader(path) as reader:
        with pytest.raises(RecordingUnreadable, match="damaged"):
            reader.sample(8)
        assert reader.sample(4) == sampled(4)


def test_events_of_a_later_version_are_left_out(path: Path) -> None:
    columns = "number, wall_ns, monotonic_ns, kind, target, name, pod, text, severity"
    change(
        path,
        "DELETE FROM events",
        f"INSERT INTO events ({columns}) VALUES (1, 10, 5, 'teleported', 't', 'n', '', 'x', 1)",
        f"INSERT INTO events ({columns}) VALUES (2, 11, 6, 'started', 't', 'n', 'p', 'y', 2)",
    )

    with Reader(path) as reader:
        (event,) = reader.events()

    assert (event.kind, event.severity, event.pod, event.number) == (Kind.START, Severity.WARNING, "p", 2)


@pytest.mark.parametrize("value", ["'much'", "99"])
def test_events_that_are_damaged_are_told_of(path: Path, value: str) -> None:
    change(path, "DELETE FROM events", f"INSERT INTO events VALUES (2, 11, 6, 'started', 't', 'n', 'p', 'y', {value})")

    with Reader(path) as reader, pytest.raises(RecordingUnreadable, match="damaged: its events"):
        reader.events()


@pytest.mark.parametrize("statement", ["fields = replace(fields, 'host', 'hosts')", "name = 'Simple'", "number = 99"])
def test_layouts_that_are_damaged_are_told_of(path: Path, statement: str) -> None:
    change(path, f"UPDATE layouts SET {statement} WHERE name = 'Sample'")

    with pytest.raises(RecordingUnreadable, match=r"damaged: its layouts$"):
        Reader(path)


def test_what_was_left_behind_by_a_writer_is_read(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.topcon", tmp_path / "copy.topcon"
    writer = Writer(path)
    for at in range(5):
        writer.write(after(None, sampled(at)))
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    writer.close()

    with Reader(copy) as reader:
        assert [reader.sample(at) for at in range(5)] == [sampled(at) for at in range(5)]
        assert not reader.is_written


def test_names_of_files_are_not_taken_for_more(tmp_path: Path, whole: Path) -> None:
    for name in ("a?mode=memory.topcon", "a#b.topcon", "100%.topcon", "a b\udcff.topcon"):
        with Reader(Path(shutil.copy(whole, tmp_path / name))) as reader:
            assert len(reader.times) == SECONDS


def test_there_is_a_recording_of_each_version() -> None:
    assert [each.name for each in RECORDINGS] == [f"version-{number + 1}.topcon" for number in range(SCHEMA_VERSION)]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_of_any_version_is_read(recording: Path) -> None:
    with Reader(recording) as reader:
        taken = list(snapshots(reader, 0, len(reader.times)))
        events = reader.events()
        host_name = reader.host_name

    last = taken[-1]
    names = {node.name: node for node in last.containers.values()}
    web = names["web"]
    told: dict[str, Any] = {
        "samples": len(taken),
        "host": (host_name, last.host.sample.cpus),
        "containers": len(last.containers),
        "web": (web.info.runtime, web.info.image, web.usage.memory_limit_bytes, web.usage.cpu_limit_cores),
        "ended": sorted(name for name, node in names.items() if node.info.state is State.EXITED),
        "events": len(events),
    }
    assert told == {
        "samples": 33,
        "host": ("host", 2),
        "containers": 25,
        "web": ("containerd", "docker.io/lab/busybox:latest", 96 << 20, 0.2),
        "ended": ["import-orders", "migrate"],
        "events": 13,
    }
    assert web.usage.cpu_cores == pytest.approx(0.193658)
    assert {"cpu-throttled", "memory-near-limit"} <= {finding.code for finding in last.findings}
