"""What there is of the past put together: a recording, the demo, or what memory holds of the host that is live."""

from __future__ import annotations

from contextlib import ExitStack, closing
from importlib.resources import as_file, files
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

DEMO = "recordings/demo.topcon"
"""In the package."""
DEMO_FROM_S = 60
"""The demo begins so far in it, so that there is something to see of what was before."""


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


def build_replay(reader: Reader, at: int) -> Recalled:
    """Return the past that a recording is, beginning with one of its samples, by its place in the times."""
    from topcon.ui.past import Recalled

    return Recalled(opener(reader.path), at_ns=reader.times[at])


def build_demo(stack: ExitStack) -> Recalled:
    """Return the past that comes with the package; ``stack`` closes what has to be kept for it."""
    from topcon.recording.reader import Reader

    with Reader(stack.enter_context(as_file(files("topcon") / DEMO))) as reader:
        past = build_replay(reader, reader.index_at(reader.times[0] + DEMO_FROM_S * 10**9))
    return past._replace(name="demo", is_looped=True)


def first_of(past: Recalled, thresholds: Thresholds) -> Snapshot:
    """Return what is shown first of a past that begins somewhere.

    Raises:
        RecordingUnreadable: it is damaged there.
    """
    from topcon.recording.replayed import Replay

    assert past.at_ns is not None  # noqa: S101  who asks has chosen
    with closing(past.open_frames()) as frames:
        return Replay(frames, thresholds).at(frames.index_at(past.at_ns))


def opener(path: Path) -> Callable[[], Frames]:
    """Return what opens a recording anew: each thread has its own."""

    def open_frames() -> Frames:
        from topcon.recording.reader import Reader

        return Reader(path)

    return open_frames
