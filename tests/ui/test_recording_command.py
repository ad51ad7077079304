"""``:record`` writes what is sampled into a file, and says where, how much, or why not."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samples import HOSTILE_NAMES
from textual.worker import WorkerFailed

from tests.ui.looking import PATIENCE_S, settled, shows, text, until
from topcon.errors import RecordingFailed
from topcon.model.sample import Problem
from topcon.recording import writer as writing
from topcon.recording.memory import Memory, MemoryReader
from topcon.recording.reader import Reader
from topcon.recording.writer import Writer
from topcon.ui.messages import SnapshotReady
from topcon.ui.past import Recalled
from topcon.ui.recording import default_name
from topcon.wiring.recording import LiveRecording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (120, 30)
FILE = "incident.topcon"


class Recorded:
    """The screen over a host whose samples go the way that those of the sampler go."""

    def __init__(self, busy: BusyHost, make_app: Callable[..., TopconApp], **options: Any) -> None:
        self.records = LiveRecording()
        self.app = make_app(records=self.records, **options)
        self._busy = busy
        self._take = self.records.recorded(lambda snapshot: self.app.post_message(SnapshotReady(snapshot)))

    async def tick(self, pilot: Pilot[Any], count: int = 1) -> Snapshot:
        """Sample so often, and wait until the recorder has done with each, and the screen with the last."""
        for _ in range(count):
            recorder = self.records._recorder
            before = 0 if recorder is None else recorder.written + recorder.left_out
            snapshot = self._busy.tick()
            self._take(snapshot)
            if recorder is not None:
                await until(
                    self.app, pilot, lambda now=recorder, was=before: now.written + now.left_out > was, "#header"
                )
        await pilot.pause()
        return snapshot

    async def record(self, pilot: Pilot[Any], *arguments: str) -> str:
        """Do what ``:record`` does, and return what is said of it."""
        await self.app.run_action(("", "record", arguments))
        await settled(self.app, pilot)
        return text(self.app, "#wrong").strip().split("   ")[0]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without a folder are made where nothing else is."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def recorded(busy: BusyHost, make_app: Callable[..., TopconApp]) -> Iterator[Recorded]:
    recorded = Recorded(busy, make_app)
    yield recorded
    recorded.records.end()


def sizes(*without: str) -> dict[str, int]:
    """How large each file is."""
    return {path.name: path.stat().st_size for path in Path().iterdir() if path.name not in without}


def count_in(path: Path | str) -> int:
    with Reader(Path(path)) as reader:
        return len(reader.times)


async def test_it_is_typed_with_a_file_and_ended_without(recorded: Recorded) -> None:
    app = recorded.app
    async with app.run_test(size=SIZE) as pilot:
        assert "rec" not in text(app, "#header")
        await pilot.press("colon", *"record", "space", *"incident", "full_stop", *"topcon", "enter")
        await settled(app, pilot)
        assert text(app, "#wrong").strip().startswith(f"records into {FILE}; :record ends it")
        assert " ● rec " in text(app, "#header")

        await recorded.tick(pilot, 3)
        assert " ● rec " in text(app, "#header")
        with Reader(Path(FILE)) as reader:
            assert reader.is_written
        await pilot.press("colon", *"record", "enter")
        await settled(app, pilot)

        assert re.match(rf" recorded 3 samples in \d+s, \d+\.\dk in {FILE}   ", text(app, "#wrong"))
        assert " rec" not in text(app, "#header")
        await recorded.tick(pilot)
    with Reader(Path(FILE)) as reader:
        assert (len(reader.times), reader.is_written) == (3, False)
        assert "shop-web-1" in {info.name for info in reader.sample(2).containers}


async def test_a_file_that_is_not_named_is_called_after_host_and_time(recorded: Recorded) -> None:
    app = recorded.app
    async with app.run_test(size=SIZE) as pilot:
        said = await recorded.record(pilot)
        await recorded.tick(pilot)
        await recorded.record(pilot)

    (path,) = sizes()
    assert re.fullmatch(r"topcon-testhost-\d{8}-\d{6}\.topcon", path)
    assert said.startswith(f"records into {path}; ")
    assert count_in(path) == 1


async def test_a_recording_of_this_host_is_gone_on_with(recorded: Recorded) -> None:
    app = recorded.app
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(2):
            await recorded.record(pilot, FILE)
            await recorded.tick(pilot, 2)
            await recorded.record(pilot)

    assert count_in(FILE) == 4


async def test_a_home_is_found(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with recorded.app.run_test(size=SIZE) as pilot:
        said = await recorded.record(pilot, f"~/{FILE}")

    assert f"records into {tmp_path}/{FILE}" in said
    assert count_in(tmp_path / FILE) == 0


async def test_one_at_a_time(recorded: Recorded) -> None:
    async with recorded.app.run_test(size=SIZE) as pilot:
        await recorded.record(pilot, FILE)
        said = await recorded.record(pilot, "other.topcon")
        await recorded.tick(pilot)

        assert said == f"it records into {FILE} already; :record without a name ends that"
    assert count_in(FILE) == 1
    assert "other.topcon" not in sizes()


@pytest.fixture
def others() -> dict[str, int]:
    """Files that are no recordings of this host, with how large they are."""
    Path("folder").mkdir()
    Path("letter.txt").write_text("Dear Sir,\n" * 100)
    Writer(Path("other.topcon")).close()
    with closing(sqlite3.connect("other.topcon")) as connection, connection:
        connection.execute("INSERT INTO meta VALUES ('host', 'other')")
    return sizes()


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("folder", "folder: it is a directory"),
        (".", ".: it is a directory"),
        ("letter.txt", "letter.txt: not a recording of topcon"),
        ("other.topcon", "other.topcon: a recording of other, not of testhost; choose another file"),
        ("nowhere/now.topcon", "now.topcon: cannot be made: no such file or directory"),
        ("letter.txt/now.topcon", "now.topcon: not a directory"),
    ],
)
async def test_what_cannot_be_recorded_into_is_one_line_and_left_alone(
    recorded: Recorded, others: dict[str, int], file: str, why: str
) -> None:
    app = recorded.app
    async with app.run_test(size=(80, 24)) as pilot:
        said = await recorded.record(pilot, file)
        await recorded.tick(pilot)

        assert said == why
        assert " rec" not in text(app, "#header")
        assert recorded.records.problem is None
        assert await recorded.record(pilot, "next.topcon") == "records into next.topcon; :record ends it"
        assert (await recorded.record(pilot)).startswith("recorded 0 samples in ")
    assert sizes("next.topcon") == others


async def test_a_file_that_another_records_into_is_refused(recorded: Recorded) -> None:
    with closing(Writer(Path(FILE))):
        async with recorded.app.run_test(size=SIZE) as pilot:
            said = await recorded.record(pilot, FILE)

    assert said == f"{FILE}: another topcon records into it; choose another file"


async def test_a_full_disk_is_said_until_it_is_not_full(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Writer.write
    is_full = True

    def failing(writer: Writer, snapshot: Snapshot) -> None:
        if is_full:
            message = f"{FILE}: cannot be written: database or disk is full"
            raise RecordingFailed(message)
        write(writer, snapshot)

    monkeypatch.setattr(Writer, "write", failing)
    app = recorded.app
    async with app.run_test(size=(80, 24)) as pilot:
        await recorded.record(pilot, FILE)
        app._said = None
        await recorded.tick(pilot, 2)
        assert "recording: database or disk is full" in text(app, "#wrong")
        assert " ● rec " in text(app, "#header")

        is_full = False
        await recorded.tick(pilot, 2)
        assert "recording" not in text(app, "#wrong")

        assert "recorded 2 samples in " in (said := await recorded.record(pilot))
        assert said.endswith("; 2 were left out")
    assert count_in(FILE) == 2


async def test_a_bug_ends_the_screen(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(writing, "is_to_be_made", broken)
    with pytest.raises(WorkerFailed) as raised:
        async with recorded.app.run_test(size=SIZE) as pilot:
            await recorded.record(pilot, FILE)
    assert isinstance(raised.value.error, ZeroDivisionError)


async def test_the_screen_goes_on_while_a_disk_hangs(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    begin = recorded.records.begin

    def slow(*arguments: Any) -> None:
        assert answers.wait(PATIENCE_S)
        begin(*arguments)

    monkeypatch.setattr(recorded.records, "begin", slow)
    app = recorded.app
    async with app.run_test(size=SIZE) as pilot:
        await app.run_action(("", "record", (FILE,)))
        newest = await recorded.tick(pilot)
        assert app._shown is newest
        assert " rec" not in text(app, "#header")
        await app.run_action("record")
        await shows(app, pilot, "the disk has yet to take what was asked before", "#wrong")

        answers.set()
        await settled(app, pilot)
        assert " ● rec " in text(app, "#header")


@pytest.mark.parametrize("key", ["f", "left_square_bracket"])
async def test_it_records_on_while_something_else_is_shown(
    busy: BusyHost, make_app: Callable[..., TopconApp], key: str
) -> None:
    memory = Memory()
    for _ in range(5):
        memory.add(busy.tick())
    recorded = Recorded(busy, make_app, recalled=Recalled(lambda: MemoryReader(memory)))
    app = recorded.app
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(key)
        await until(app, pilot, lambda: app._is_frozen or app._past.playing is not None, "#header")
        await recorded.record(pilot, FILE)
        await recorded.tick(pilot, 3)

        assert "  ● rec" in text(app, "#header")
        assert "recorded 3 samples in " in await recorded.record(pilot)
        assert " rec" not in text(app, "#header")


async def test_it_needs_no_right_to_change_anything(busy: BusyHost, make_app: Callable[..., TopconApp]) -> None:
    recorded = Recorded(busy, make_app, actions=None)
    async with recorded.app.run_test(size=SIZE) as pilot:
        await recorded.record(pilot, FILE)
        await recorded.tick(pilot)
        await recorded.record(pilot)

        assert "read-only" in text(recorded.app, "#header")
    assert count_in(FILE) == 1


async def test_it_is_offered_and_in_the_help_where_there_is_something_to_record(recorded: Recorded) -> None:
    app = recorded.app
    async with app.run_test(size=(100, 200)) as pilot:
        await pilot.press("colon", *"rec")
        await shows(app, pilot, ":record [FILE]", "#offers")
        await pilot.press("escape", "question_mark")
        await shows(app, pilot, ":record [FILE]", "#help")


async def test_a_recording_cannot_be_recorded(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *"record", "enter")
        await shows(app, pilot, "record: not possible here and now", "#wrong")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web-1.example", "topcon-web-1.example-20261122-031240.topcon"),
        ("../../etc/passwd", "topcon-etc-passwd-20261122-031240.topcon"),
        ("", "topcon-host-20261122-031240.topcon"),
        ("höst", "topcon-h-st-20261122-031240.topcon"),
        ("x" * 5000, f"topcon-{'x' * 64}-20261122-031240.topcon"),
    ],
)
def test_a_file_is_named_after_whatever_a_host_is_called(host: str, name: str) -> None:
    assert default_name(host, datetime(2026, 11, 22, 3, 12, 40, tzinfo=UTC)) == name


@pytest.mark.parametrize("host", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_no_name_of_a_host_leads_elsewhere(host: str) -> None:
    name = default_name(host, datetime(2026, 11, 22, 3, 12, 40, tzinfo=UTC))

    assert re.fullmatch(r"topcon-[A-Za-z0-9._-]+-20261122-031240\.topcon", name)


def test_what_ends_without_having_begun_says_nothing() -> None:
    records = LiveRecording()

    assert (records.end(), records.problem) == (None, None)


def test_it_says_that_the_disk_is_too_slow(busy: BusyHost) -> None:
    records = LiveRecording()
    take = records.recorded(lambda _: None)
    records.begin(Path(FILE), None)
    assert records._recorder is not None
    records._recorder._is_behind = True
    assert records.problem == Problem("recording", "the disk is too slow; samples are left out")
    take(busy.tick())

    assert records.problem is None
    assert str(records.end()).startswith("1 sample in ")
