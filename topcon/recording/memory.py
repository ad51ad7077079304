"""The last while in memory, written as in a recording, so that one can step back from what is live."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from topcon.errors import RecordingUnreadable
from topcon.model.event import NO_EVENTS
from topcon.recording.codec import KEY_EVERY, Decoder, Encoder, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.model.event import Event, Events
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot
    from topcon.recording.codec import Frame

MOST_BYTES = 20 << 20
LONGEST_NS = 3600 * 10**9
LEAST_GROUPS = 4
_FRAME_BYTES = 200
"""What a frame takes beside its payload."""
_Group = list["Frame"]
"""A key frame, and those that follow it."""


class Memory:
    """Keeps what was sampled in the last hour, as far as it fits. One thread at a time may add."""

    def __init__(self, most_bytes: int = MOST_BYTES, longest_ns: int = LONGEST_NS) -> None:
        """Keep no more than so many bytes, and nothing that is older."""
        self._most_bytes = most_bytes
        self._longest_ns = longest_ns
        self._encoder = Encoder()
        self._groups: tuple[_Group, ...] = ()
        self._sizes: list[int] = []
        self._newest_ns: int | None = None
        self._events = NO_EVENTS

    @property
    def size_bytes(self) -> int:
        """How much is kept."""
        return sum(self._sizes)

    @property
    def groups(self) -> tuple[Sequence[Frame], ...]:
        """All that is kept, each group from a key frame on; the last grows."""
        return self._groups

    @property
    def events(self) -> Events:
        """What had happened when something was added last."""
        return self._events

    def add(self, snapshot: Snapshot) -> None:
        """Keep what was sampled; what was at a time that is known already is left out."""
        sample = snapshot.sample
        if self._newest_ns is not None and sample.wall_ns <= self._newest_ns:
            return
        frame = self._encoder.encode(sample)
        if frame.is_key:
            self._groups = (*self._groups, [frame])
            self._sizes.append(0)
        else:
            self._groups[-1].append(frame)
        self._sizes[-1] += len(frame.payload) + _FRAME_BYTES
        self._newest_ns, self._events = frame.wall_ns, snapshot.events
        self._forget(frame.wall_ns - self._longest_ns)

    def _forget(self, since_ns: int) -> None:
        """Let whole groups go: what follows a key frame is nothing without it."""
        while len(self._groups) > 1 and (self._groups[1][0].wall_ns <= since_ns or self.size_bytes > self._most_bytes):
            self._groups, self._sizes = self._groups[1:], self._sizes[1:]
        if self._sizes[-1] > self._most_bytes / LEAST_GROUPS:
            # Else the minutes that are kept would be few, or none.
            self._encoder.begin_anew()


class MemoryReader:
    """Reads what is kept, as a recording is read: the times stay where they are, and `refresh` adds those that came.

    One thread at a time may ask. It holds on to what the memory lets go.
    """

    is_written = True

    def __init__(self, memory: Memory) -> None:
        """Take what there is."""
        self._memory = memory
        self._times = array("q")
        self._frames: list[Frame] = []
        self._decoder = Decoder(numbered())
        self._newest: tuple[int, Sample] | None = None
        self._key: int | None = None
        """Which key frame was read last."""
        self.refresh()

    def close(self) -> None:
        """Let go of it."""
        self._frames = []

    @property
    def times(self) -> Sequence[int]:
        """When each sample was taken, nanoseconds since 1970, ascending."""
        return self._times

    @property
    def interval_s(self) -> float | None:
        """Seconds between the last two samples; None if there are not two."""
        return (self._times[-1] - self._times[-2]) / 1e9 if len(self._times) > 1 else None

    def refresh(self) -> bool:
        """Look for new samples; return whether there are any."""
        last_ns = self._times[-1] if self._times else -1
        new = [
            frame
            for group in self._memory.groups
            if group[-1].wall_ns > last_ns
            for frame in tuple(group)
            if frame.wall_ns > last_ns
        ]
        self._frames += new
        self._times.extend(frame.wall_ns for frame in new)
        return bool(new)

    def index_at(self, wall_ns: int) -> int:
        """Return which sample was the last at a time: the first if it was before all."""
        return max(bisect_right(self._times, wall_ns) - 1, 0)

    def sample(self, at: int) -> Sample:
        """Return a sample by its place in the times.

        Raises:
            RecordingUnreadable: it was forgotten before this reader could see what it follows.
        """
        if self._newest is not None and self._newest[0] == at:
            return self._newest[1]
        for each in self._way_to(at):
            newest = self._decoder.decode(self._frames[each].payload)
        self._newest = at, newest
        return newest

    def _way_to(self, at: int) -> list[int]:
        """Return which frames are to be read to see one, the fewest that will do."""
        frames, read = self._frames, -1 if self._newest is None else self._newest[0]
        group = range(at, max(at - KEY_EVERY, -1), -1)
        key = next((each for each in group if frames[each].is_key), None)
        if key is None:
            message = "what was then is forgotten"
            raise RecordingUnreadable(message, self._next_key_ns(at))
        begin = next((each for each in group if each == key or frames[each].is_shortcut), key)
        if begin <= read < at:
            return [*range(read + 1, at + 1)]
        if key == self._key and at > key:
            # Who steps back need not wait for the key frame again.
            self._decoder.rewind()
            return [*range(max(begin, key + 1), at + 1)]
        self._key = key
        return [key, *range(max(begin, key + 1), at + 1)]

    def _next_key_ns(self, at: int) -> int | None:
        return next((frame.wall_ns for frame in self._frames[at:] if frame.is_key), None)

    def samples(self, start: int, stop: int, step: int = 1) -> Iterator[Sample]:
        """Return the samples of some places in the times, one after the other."""
        for at in range(start, stop, step):
            yield self.sample(at)

    def events(
        self, since_ns: int | None = None, until_ns: int | None = None, *, most: int | None = None
    ) -> tuple[Event, ...]:
        """Return what has happened, from one time to another, both included, the newest last; ``most`` of it."""
        found = [
            event
            for event in self._memory.events.entries
            if (since_ns is None or event.wall_ns >= since_ns) and (until_ns is None or event.wall_ns <= until_ns)
        ]
        return tuple(found if most is None else found[max(len(found) - most, 0) :])
