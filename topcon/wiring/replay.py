"""What there is of the past put together: a recording, or what memory holds of the host that is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.wiring.inside import late

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.findings import Thresholds
    from topcon.model.snapshot import Snapshot
    from topcon.recording.frames import Frames
    from topcon.recording.memory import Memory
    from topcon.recording.reader import Reader
    from topcon.ui.past import Recalled

    Take = Callable[[Snapshot], object]


def build_memory() -> tuple[Callable[[Take], Take], Recalled]:
    """Return what has snapshots remembered that somebody takes, and the past that comes of it.

    Nothing is imported before the first.
    """
    from topcon.ui.past import Recalled

    def make() -> Memory:
        from topcon.recording.memory import Memory

        return Memory()

    memory = late(make)

    def open_frames() -> Frames:
        from topcon.recording.memory import MemoryReader

        return MemoryReader(memory())

    def remembered(take: Take) -> Take:
        def take_and_keep(snapshot: Snapshot) -> None:
            take(snapshot)
            memory().add(snapshot)

        return take_and_keep

    return remembered, Recalled(open_frames)


def build_replay(reader: Reader, at: int, thresholds: Thresholds) -> tuple[Snapshot, Recalled]:
    """Return what a recording shows first, by the place of that in its times, and the past that it is.

    Raises:
        RecordingUnreadable: it is damaged there.
    """
    from topcon.recording.replayed import Replay
    from topcon.ui.past import Recalled

    first = Replay(reader, thresholds).at(at)
    return first, Recalled(opener(reader.path), at_ns=reader.times[at], is_all=True)


def opener(path: Path) -> Callable[[], Frames]:
    """Return what opens a recording anew: each thread has its own."""

    def open_frames() -> Frames:
        from topcon.recording.reader import Reader

        return Reader(path)

    return open_frames
