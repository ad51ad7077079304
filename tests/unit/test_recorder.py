"""The recorder: what it does while a disk is slow, full or hangs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from samples import sample_of, snapshot_after

from topcon.errors import RecordingFailed
from topcon.model.sample import Problem
from topcon.recording import recorder as recorder_module
from topcon.recording.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.snapshot import Snapshot

PATIENCE_S = 10.0
"""How long a thread may take on a busy machine; never waited for when all is well."""
FULL = "incident.topcon: no space left on device"


class Disk:
    """A writer that takes as long, and fails as often, as a test wants it to."""

    def __init__(self) -> None:
        self.written: list[Snapshot] = []
        self.is_closed = False
        self.failure: BaseException | None = None
        self._begun = threading.Semaphore(0)
        self._let_through = threading.Semaphore(0)

    def write(self, snapshot: Snapshot) -> None:
        self._begun.release()
        assert self._let_through.acquire(timeout=PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        self.written.append(snapshot)

    def close(self) -> None:
        self.is_closed = True

    def wait_begun(self) -> None:
        """Wait until one more snapshot is being written, so that the one before has been dealt with."""
        assert self._begun.acquire(timeout=PATIENCE_S)

    def let_through(self, count: int = 1) -> None:
        self._let_through.release(count)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def recorder(disk: Disk) -> Iterator[Recorder]:
    """One that is closed at the end, whatever the disk did."""
    recorder = Recorder(disk)  # type: ignore[arg-type]  looks like one
    yield recorder
    disk.failure = None
    disk.let_through(100)
    recorder._waiting.put(None, timeout=PATIENCE_S)
    recorder._thread.join(PATIENCE_S)
    assert not recorder._thread.is_alive()


def snapshots(count: int) -> list[Snapshot]:
    return [snapshot_after(sample_of(seconds=at)) for at in range(count)]


def test_what_is_taken_is_written_in_order_before_the_end(disk: Disk, recorder: Recorder) -> None:
    three = snapshots(3)
    disk.let_through(3)
    for each in three:
        recorder.take(each)
        disk.wait_begun()

    assert recorder.close()
    assert (disk.written, disk.is_closed) == (three, True)
    assert (recorder.written, recorder.left_out, recorder.problem) == (3, 0, None)


def test_nobody_waits_for_a_slow_disk(disk: Disk, recorder: Recorder) -> None:
    first, second, third, lost, last = snapshots(5)
    recorder.take(first)
    disk.wait_begun()
    for each in (second, third):
        recorder.take(each)
    assert recorder.problem is None

    recorder.take(lost)

    assert recorder.problem == Problem("recording", "the disk is too slow; samples are left out")
    disk.let_through(2)
    disk.wait_begun()
    disk.wait_begun()
    recorder.take(last)
    assert recorder.problem is None
    disk.let_through(2)
    assert recorder.close()
    assert disk.written == [first, second, third, last]
    assert (recorder.written, recorder.left_out) == (4, 1)


def test_a_full_disk_is_a_problem_until_it_is_not(disk: Disk, recorder: Recorder) -> None:
    lost, written, last = snapshots(3)
    disk.failure = RecordingFailed(FULL)
    recorder.take(lost)
    disk.wait_begun()
    disk.let_through()
    recorder.take(written)
    disk.wait_begun()
    assert recorder.problem == Problem("recording", FULL)

    disk.failure = None
    disk.let_through()
    recorder.take(last)
    disk.wait_begun()

    assert recorder.problem is None
    disk.let_through()
    assert recorder.close()
    assert disk.written == [written, last]
    assert (recorder.written, recorder.left_out) == (2, 1)


def test_a_bug_is_raised_where_samples_come_from(disk: Disk, recorder: Recorder) -> None:
    bug = ZeroDivisionError("a bug")
    disk.failure = bug
    recorder.take(snapshots(1)[0])
    disk.wait_begun()
    disk.let_through()
    recorder._thread.join(PATIENCE_S)

    for again in (lambda: recorder.take(snapshots(1)[0]), recorder.close):
        with pytest.raises(ZeroDivisionError) as raised:
            again()
        assert raised.value is bug


@pytest.mark.parametrize("waiting", [0, 2])
def test_an_end_does_not_wait_for_a_disk_that_hangs(
    disk: Disk, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(recorder_module, "LAST_WRITE_S", 0.01)
    recorder.take(snapshots(1)[0])
    disk.wait_begun()
    for each in snapshots(waiting):
        recorder.take(each)

    assert not recorder.close()
    assert not disk.is_closed


def test_it_says_the_same_whoever_asks(disk: Disk, recorder: Recorder) -> None:
    """The problem is one value, so that it is told once, however long it lasts."""
    seen: list[Any] = []
    disk.failure = RecordingFailed(FULL)
    disk.let_through(3)
    for each in snapshots(3):
        recorder.take(each)
        disk.wait_begun()
        seen.append(recorder.problem)

    assert set(seen) <= {None, Problem("recording", FULL)}
    assert recorder.close()
    assert recorder.left_out == 3
