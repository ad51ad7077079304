"""Reads a recording, also while it is written."""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Self

from topcon.errors import RecordingUnreadable
from topcon.model.event import Event, Kind
from topcon.model.snapshot import Severity
from topcon.moment import to_moment_text
from topcon.recording.codec import Decoder, FrameUnreadable
from topcon.recording.file import KEY, NEXT, SHORTCUT, is_locked, opened, read_layouts, unreadable
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from topcon.model.sample import Sample

_INTERVALS = 100
"""Of so many the usual one is taken."""
_KINDS = frozenset(kind.value for kind in Kind)


class Reader:
    """The samples and events of a recording. One thread at a time may ask."""

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Raises:
            RecordingUnreadable: it is none, is damaged, or cannot be read.
        """
        self._path = path
        self._connection = opened(path)
        self._times = array("q")
        self._decoder: Decoder | None = None
        self._layouts = 0
        self._newest: tuple[int, Sample] | None = None
        self._key: int | None = None
        try:
            with self._readable():
                self._times.extend(self._all_times())
                self._begun_decoder()
        except RecordingUnreadable:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Let the file be closed in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Read no more."""
        self._connection.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, sqlite3.Error) as error:
            raise unreadable(self._path, error) from error

    def _all_times(self) -> list[int]:
        """Take them from the index, which is small: a table's pages hold the frames too."""
        # In the order of the index, so that nothing needs to be sorted but the few key frames into the others.
        query = "SELECT wall_ns FROM frames INDEXED BY frames_by_kind WHERE kind = ? ORDER BY wall_ns"
        return sorted(
            wall_ns for kind in (NEXT, KEY, SHORTCUT) for (wall_ns,) in self._connection.execute(query, (kind,))
        )

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def times(self) -> Sequence[int]:
        """When each sample was taken, nanoseconds since 1970, ascending.

        Where the clock was set back the times go on more slowly until it is where it was. They stay as they are, and
        where they are, but for those that `refresh` adds; what is forgotten meanwhile cannot be read any more.
        """
        return self._times

    @property
    def first_ns(self) -> int | None:
        """The first of the times; None if there is none."""
        return self._times[0] if self._times else None

    @property
    def last_ns(self) -> int | None:
        """The last of the times; None if there is none."""
        return self._times[-1] if self._times else None

    @property
    def interval_s(self) -> float | None:
        """Seconds from a sample to the next, mostly; None if there are not two."""
        last = self._times[-_INTERVALS:]
        return median(now - was for was, now in pairwise(last)) / 1e9 if len(last) > 1 else None

    @property
    def host_name(self) -> str | None:
        """Whose recording it is: foreign text; None before the first sample."""
        with self._readable():
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'host'").fetchone()
        return None if row is None else str(row[0])

    @property
    def is_written(self) -> bool:
        """Whether somebody writes it now."""
        return is_locked(self._path)

    def refresh(self) -> bool:
        """Look for new samples; return whether there are any.

        Raises:
            RecordingUnreadable: it cannot be read any more.
        """
        with self._readable():
            query = "SELECT wall_ns FROM frames WHERE wall_ns > ? ORDER BY wall_ns"
            new = [wall_ns for (wall_ns,) in self._connection.execute(query, (self.last_ns or -1,))]
        self._times.extend(new)
        return bool(new)

    def index_at(self, wall_ns: int) -> int:
        """Return which sample was the last at a time: the first if it was before all."""
        return max(bisect_right(self._times, wall_ns) - 1, 0)

    def sample(self, at: int) -> Sample:
        """Return a sample by its place in the times.

        Raises:
            RecordingUnreadable: it is damaged, or was forgotten meanwhile.
        """
        if self._newest is not None and self._newest[0] == at:
            return self._newest[1]
        for start, stop in self._ways_to(at):
            newest = self._decoded(start, stop)
        return newest

    def samples(self, start: int, stop: int, step: int = 1) -> Iterator[Sample]:
        """Return the samples of some places in the times, one after the other.

        Raises:
            RecordingUnreadable: as `sample`.
        """
        for at in range(start, stop, step):
            yield self.sample(at)

    def events(
        self, since_ns: int | None = None, until_ns: int | None = None, *, most: int | None = None
    ) -> tuple[Event, ...]:
        """Return what has happened, from one time to another, both included, the newest last; ``most`` of it.

        Names are escaped.

        Raises:
            RecordingUnreadable: it is damaged.
        """
        query = "SELECT * FROM events WHERE wall_ns >= ? AND wall_ns <= ? ORDER BY wall_ns DESC, number DESC LIMIT ?"
        bounds = (_FIRST_NS if since_ns is None else since_ns, _LAST_NS if until_ns is None else until_ns)
        # A negative limit is none.
        with self._readable():
            rows = self._connection.execute(query, (*bounds, -1 if most is None else most)).fetchall()
        try:
            return tuple(_event(*row) for row in reversed(rows) if row[3] in _KINDS)
        except (TypeError, ValueError) as error:
            message = f"{printable(str(self._path))}: damaged: its events"
            raise RecordingUnreadable(message) from error

    def _ways_to(self, at: int) -> Iterator[tuple[int, int]]:
        """Say which samples have to be read to see one: on from the last read, or its key frame, perhaps a shortcut."""
        read = -1 if self._newest is None else self._newest[0]
        if read == at - 1:
            yield at, at + 1
            return
        key, shortcut = (self._last_of(kind, at) for kind in (KEY, SHORTCUT))
        if key is None:
            raise self._lost(at)
        start = max(key, -1 if shortcut is None else shortcut)
        if start <= read < at:
            yield read + 1, at + 1
            return
        if self._decoder is None or self._key != key or at == key:
            if self._decoder is not None:
                self._decoder.forget()
            if start > key:
                yield key, key + 1
        elif start == key:
            # Who steps back need not wait for the key frame again.
            self._decoder.rewind()
            start += 1
        yield start, at + 1

    def _last_of(self, kind: int, at: int) -> int | None:
        """Return the last frame of a kind, up to one."""
        query = "SELECT max(wall_ns) FROM frames INDEXED BY frames_by_kind WHERE kind = ? AND wall_ns <= ?"
        with self._readable():
            ((wall_ns,),) = self._connection.execute(query, (kind, self._times[at]))
        return None if wall_ns is None or wall_ns < self._times[0] else self.index_at(wall_ns)

    def _decoded(self, start: int, stop: int) -> Sample:
        """Read frames in a row; return the last."""
        times = self._times
        query = "SELECT wall_ns, kind, payload FROM frames WHERE wall_ns >= ? AND wall_ns <= ? ORDER BY wall_ns"
        try:
            rows = self._connection.execute(query, (times[start], times[stop - 1])).fetchall()
            decoder = self._begun_decoder()
        except (sqlite3.DatabaseError, ValueError) as error:
            raise self._lost(start) from error
        if len(rows) < stop - start:
            raise self._lost(start)
        for at, (wall_ns, kind, payload) in enumerate(rows, start=start):
            if wall_ns != times[at]:
                raise self._lost(at)
            try:
                sample = decoder.decode(payload)
            except FrameUnreadable as error:
                raise self._lost(at) from error
            self._newest = at, sample
            if kind == KEY:
                self._key = at
        return sample

    def _begun_decoder(self) -> Decoder:
        """Return the decoder; a new one if a newer topcon has written on with layouts of its own."""
        ((count,),) = self._connection.execute("SELECT count(*) FROM layouts")
        if self._decoder is None or count != self._layouts:
            self._layouts, self._key = count, None
            self._decoder = Decoder(read_layouts(self._connection))
        return self._decoder

    def _lost(self, at: int) -> RecordingUnreadable:
        """Say which samples cannot be read; what was read last is not read on from."""
        self._newest = self._decoder = None
        lost_ns = self._times[at]
        try:
            query = "SELECT min(wall_ns), (SELECT min(wall_ns) FROM frames) FROM frames WHERE kind = 1 AND wall_ns > ?"
            ((next_ns, first_ns),) = self._connection.execute(query, (lost_ns,))
        except sqlite3.DatabaseError as error:
            return unreadable(self._path, error)
        name = printable(str(self._path))
        if first_ns is not None and first_ns > lost_ns:
            return RecordingUnreadable(f"{name}: what was before {to_moment_text(first_ns)} is forgotten", first_ns)
        until = "on" if next_ns is None else f"to {to_moment_text(next_ns)}"
        return RecordingUnreadable(f"{name}: damaged from {to_moment_text(lost_ns)} {until}", next_ns)


def _event(
    number: int,
    wall_ns: int,
    monotonic_ns: int,
    kind: str,
    target: str,
    name: str,
    pod: str,
    text: str,
    severity: int | None,
) -> Event:
    worst = None if severity is None else Severity(severity)
    return Event(wall_ns, monotonic_ns, Kind(kind), target, name, text, worst, pod, number)


_FIRST_NS, _LAST_NS = -(1 << 63), (1 << 63) - 1
