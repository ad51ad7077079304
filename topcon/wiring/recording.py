"""What records the host that is live, put together when somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.model.sample import HostSample, Problem
    from topcon.model.snapshot import Snapshot
    from topcon.recording.recorder import Recorder

    Take = Callable[[Snapshot], object]


class LiveRecording:
    """Has what is sampled recorded, while that is wanted."""

    def __init__(self) -> None:
        """Record nothing yet."""
        self._recorder: Recorder | None = None

    def recorded(self, take: Take) -> Take:
        """Return what has snapshots recorded that somebody takes."""

        def take_and_record(snapshot: Snapshot) -> None:
            take(snapshot)
            recorder = self._recorder
            if recorder is not None:
                recorder.take(snapshot)

        return take_and_record

    def begin(self, path: Path, host: HostSample | None) -> None:
        """Record into a file from the next sample on, or go on with one of this host; the disk is waited for.

        Raises:
            RecordingUnreadable: another file is there.
            RecordingFailed: it cannot be made there.
            UsageError: somebody else writes it, or it is of another host.
        """
        from topcon.recording.recorder import Recorder
        from topcon.recording.writer import Writer

        self._recorder = Recorder(Writer(path, host=host))

    def end(self) -> str | None:
        """Record no more, and say what came of it; None if nothing was recorded. A disk is waited for, but not long."""
        recorder, self._recorder = self._recorder, None
        return None if recorder is None else recorder.summary(has_closed=recorder.close())

    @property
    def problem(self) -> Problem | None:
        """Why samples are left out now; None while they are not."""
        recorder = self._recorder
        return None if recorder is None else recorder.problem
