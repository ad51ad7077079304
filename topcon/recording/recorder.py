"""Writes snapshots into a recording beside the sampler, which never waits for a disk."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from topcon.errors import RecordingFailed
from topcon.model.sample import Problem
from topcon.text import printable, to_age_text, to_bytes_text

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot
    from topcon.recording.writer import Writer

SOURCE = "recording"
MOST_WAITING = 2
"""Samples that wait for the disk; those that come then are left out, and what has happened goes with the next."""
LAST_WRITE_S = 5.0
"""So long an end waits for a disk that hangs."""


class Recorder:
    """Takes snapshots and writes them on a thread of its own."""

    def __init__(self, writer: Writer) -> None:
        """Begin; the writer belongs to the recorder from now on."""
        self._writer = writer
        self._waiting: queue.Queue[Snapshot | None] = queue.Queue(MOST_WAITING)
        self._failure: Problem | None = None
        self._bug: BaseException | None = None
        self._is_behind = False
        self._failed = 0
        self._dropped = 0
        self._written = 0
        self._begun_s = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="topcon-recorder", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """How many samples are in the file."""
        return self._written

    @property
    def left_out(self) -> int:
        """How many samples are not: the disk was full, or too slow."""
        return self._failed + self._dropped

    @property
    def size_bytes(self) -> int:
        """What the recording takes on the disk."""
        return self._writer.size_bytes

    @property
    def problem(self) -> Problem | None:
        """Why samples are left out now; None while they are not."""
        if self._failure is None and self._is_behind:
            return Problem(SOURCE, "the disk is too slow; samples are left out")
        return self._failure

    def take(self, snapshot: Snapshot) -> None:
        """Have a snapshot written; never waits. A bug on the recorder's thread is raised here, on the caller's."""
        if self._bug is not None:
            raise self._bug
        try:
            self._waiting.put_nowait(snapshot)
        except queue.Full:
            self._dropped += 1
            self._is_behind = True
        else:
            self._is_behind = False

    def close(self) -> bool:
        """Write what waits and close the file; False if the disk hangs, so that both are left to the end of topcon."""
        try:
            self._waiting.put(None, timeout=LAST_WRITE_S)
        except queue.Full:
            return False
        self._thread.join(LAST_WRITE_S)
        if self._bug is not None:
            raise self._bug
        return not self._thread.is_alive()

    def summary(self, *, has_closed: bool) -> str:
        """Say what came of it, in one line; ``has_closed`` is what `close` has returned."""
        count = f"{self._written} sample{'' if self._written == 1 else 's'}"
        lasted = to_age_text(time.monotonic() - self._begun_s)
        path = printable(str(self._writer.path))
        words = f"{count} in {lasted}, {to_bytes_text(self.size_bytes)} in {path}"
        if self.left_out:
            words += f"; {self.left_out} were left out"
        return words if has_closed else f"{words}; the disk does not answer, so the last are not written"

    def _work(self) -> None:
        try:
            while (snapshot := self._waiting.get()) is not None:
                self._write(snapshot)
            self._writer.close()
        except BaseException as bug:  # noqa: BLE001  `take` and `close` raise it
            self._bug = bug

    def _write(self, snapshot: Snapshot) -> None:
        try:
            self._writer.write(snapshot)
        except RecordingFailed as failure:
            self._failed += 1
            self._failure = Problem(SOURCE, str(failure))
        else:
            self._written += 1
            self._failure = None
