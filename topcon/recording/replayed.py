"""What a recording shows: snapshots, derived from its samples as they were when these were taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from topcon.errors import RecordingUnreadable
from topcon.events import LATE_NS, events_after
from topcon.findings import DEFAULT_THRESHOLDS, assess
from topcon.model.derive import begun, derive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.findings import Thresholds
    from topcon.model.event import Events
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot
    from topcon.recording.frames import Frames

BEFORE = 1
"""So many samples before one are derived first, so that it has rates."""
NEAR = 4
"""What is so many samples ahead is gone on to, so that histories grow."""
MOST_BEFORE = 1000
"""So many of the events before it are there too."""


def after(previous: Snapshot | None, sample: Sample, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Snapshot:
    """Return the snapshot of the next sample, as the sampler makes it.

    After the host was started anew nothing is left of what was but what has happened.
    """
    last = previous
    if last is not None and not _is_same_run(last.sample, sample):
        last = None
    snapshot = derive(last, sample)
    snapshot = replace(snapshot, findings=assess(snapshot, last, thresholds))
    events = events_after(last, snapshot)
    if last is not previous and previous is not None:
        known = previous.events
        events = replace(events, entries=known.entries, forgotten=known.forgotten)
    return replace(snapshot, events=events)


def _begun(sample: Sample, like: Snapshot | None) -> Snapshot:
    """Return what the next snapshot goes on from; nobody sees it."""
    snapshot = begun(sample, like)
    return replace(snapshot, events=events_after(None, snapshot))


def _is_same_run(before: Sample, sample: Sample) -> bool:
    """Whether the host was not started anew in between; its monotonic clock begins with it."""
    boots = before.host.machine.boot_id, sample.host.machine.boot_id
    return sample.monotonic_ns > before.monotonic_ns and boots[0] == boots[1]


class Replay:
    """A place in a recording, and the snapshot there."""

    def __init__(
        self, reader: Frames, thresholds: Thresholds = DEFAULT_THRESHOLDS, *, like: Snapshot | None = None
    ) -> None:
        """Be nowhere yet; ``thresholds`` say from where on something is wrong.

        ``like`` is any snapshot of the reader's samples: where the same containers are there, a jump is quicker.
        """
        self._reader = reader
        self._thresholds = thresholds
        self._like = like
        self._index = -1
        self._newest: Snapshot | None = None

    @property
    def index(self) -> int | None:
        """Which sample it is at; None before the first is asked for."""
        return None if self._newest is None else self._index

    @property
    def is_at_end(self) -> bool:
        """Whether no sample comes after it, as far as the reader knows."""
        return self._index >= len(self._reader.times) - 1

    def at(self, index: int) -> Snapshot:
        """Return the snapshot of a sample, by its place in the times of the reader.

        What was a little before is gone on from, so that histories grow; elsewhere they begin anew.

        Raises:
            RecordingUnreadable: it is damaged.
        """
        if self._newest is None or not self._index <= index <= self._index + NEAR:
            return self._jump(index)
        snapshot = self._newest
        while self._index < index:
            try:
                snapshot = self.step()
            except RecordingUnreadable as damage:
                goes_on = self._goes_on(damage)
                if goes_on is None or not self._index + 1 < goes_on <= index:
                    raise
                self.skip_to(goes_on)
        return snapshot

    def skip_to(self, index: int) -> None:
        """Leave out what is before a sample: the next step is to it, from where it was."""
        if self._newest is not None:
            self._index = index - 1

    def _goes_on(self, damage: RecordingUnreadable) -> int | None:
        """Return the first sample behind what is damaged."""
        return None if damage.goes_on_ns is None else self._reader.index_at(damage.goes_on_ns)

    def step(self) -> Snapshot:
        """Go on by a sample: there has to be one, as `is_at_end` tells.

        Raises:
            RecordingUnreadable: it is damaged; `skip_to` can pass that over.
        """
        sample = self._reader.sample(self._index + 1)
        self._newest = after(self._newest, sample, self._thresholds)
        self._index += 1
        return self._newest

    def _jump(self, index: int) -> Snapshot:
        like, self._newest = self._newest or self._like, None
        *before, sample = self._samples_until(index)
        snapshot = after(_begun(before[-1], like) if before else None, sample, self._thresholds)
        self._newest, self._index = replace(snapshot, events=self._events_at(index, snapshot)), index
        return self._newest

    def _samples_until(self, index: int) -> Iterator[Sample]:
        start = max(index - BEFORE, 0)
        while start <= index:
            try:
                yield self._reader.sample(start)
            except RecordingUnreadable as damage:
                # What is damaged before it only costs it its rates.
                goes_on = self._goes_on(damage)
                if goes_on is None or not start < goes_on <= index:
                    raise
                start = goes_on
            else:
                start += 1

    def _events_at(self, index: int, snapshot: Snapshot) -> Events:
        """Return what had happened until then, as it was told when it did."""
        sample, times = snapshot.sample, self._reader.times
        told = self._reader.events(until_ns=times[index], most=MOST_BEFORE)
        late_ns = times[index] - LATE_NS
        entries = tuple(each for each in told if each.wall_ns < late_ns or each.monotonic_ns <= sample.monotonic_ns)
        count = max((each.number + 1 for each in entries), default=0)
        return replace(snapshot.events, since_ns=times[0], entries=entries, forgotten=count - len(entries))


def snapshots(
    reader: Frames,
    start: int,
    stop: int,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    *,
    on_damage: Callable[[RecordingUnreadable], object] | None = None,
) -> Iterator[Snapshot]:
    """Return the snapshots of some places in the times, each after the one before it.

    What is damaged is left out where ``on_damage`` is told of it.

    Raises:
        RecordingUnreadable: it is damaged, and nobody is to be told.
    """
    replay = Replay(reader, thresholds)
    index = start
    while index < stop:
        try:
            yield replay.at(index)
        except RecordingUnreadable as damage:
            if on_damage is None:
                raise
            on_damage(damage)
            index = stop if damage.goes_on_ns is None else max(reader.index_at(damage.goes_on_ns), index + 1)
            replay.skip_to(index)
        else:
            index += 1
