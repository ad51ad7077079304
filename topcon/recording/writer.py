"""Writes samples into a recording, each with what has happened since the last, in a transaction of its own."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from topcon import __version__
from topcon.errors import RecordingFailed, TopconError, UsageError
from topcon.model.sample import PodKind
from topcon.recording.codec import Encoder, numbered
from topcon.recording.file import (
    KEY,
    NEXT,
    SCHEMA_VERSION,
    SHORTCUT,
    WAIT_S,
    add_layouts,
    is_to_be_made,
    make,
    number_of,
    opened,
    read_layouts,
    reason,
    unreadable,
    wal_of,
)
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from topcon.model.event import Event
    from topcon.model.sample import ContainerKey, HostSample
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.recording.codec import Frame

LEAST_BYTES = 8 << 20
"""The smallest bound of a recording's size: what is written, and not moved into the file yet, has to fit too."""
WAL_PAGES = 1000
"""So many pages are written before they are moved into the file."""
WAL_BYTES = 2 << 20
"""What they take at the most, unless a reader keeps them from being moved; so much is kept free of a bound."""
_VACUUMED_PAGES = 4000
_LOCK_TRIES, _LOCK_WAIT_S = 5, 0.02
"""Who only looks whether there is a writer holds its lock for an instant."""


class Writer:
    """A recording that samples go into. One thread at a time may use it."""

    def __init__(
        self,
        path: Path,
        *,
        keep_s: float | None = None,
        max_bytes: int | None = None,
        host: HostSample | None = None,
    ) -> None:
        """Make a recording, or go on with one, which must be of this host.

        ``keep_s`` and ``max_bytes`` say how long, and how much, is kept; None for all. Two minutes go at once.

        Raises:
            RecordingUnreadable: another file is there.
            RecordingFailed: it cannot be made there.
            UsageError: somebody else writes it, it is of another host, or the bound is too small.
        """
        if max_bytes is not None and max_bytes < LEAST_BYTES:
            message = f"a recording takes {LEAST_BYTES >> 20}M at least, and no more than {max_bytes} bytes were given"
            raise UsageError(message)
        self._path = path
        self._name = printable(str(path))
        self._keep_s, self._max_bytes = keep_s, max_bytes
        if is_to_be_made(path):
            make(path)
        self._connection = opened(path, is_to_write=True)
        self._lock: int | None = None
        try:
            self._set_up()
            self._lock = self._locked()
            self._begin(host)
        except (OSError, ValueError, sqlite3.Error) as error:
            self._end()
            raise unreadable(path, error) from error
        except TopconError:
            self._end()
            raise
        self._identity = self._identity_now()
        self._last_monotonic_ns: int | None = None
        self._told: int | None = None
        """How many of the events are written, or were before; None before the first sample."""
        self._containers: Mapping[ContainerKey, ContainerNode] = {}
        """Those that are in the table as they are here."""

    def _set_up(self) -> None:
        connection = self._connection
        ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            message = f"{self._name}: cannot be written and read at the same time there; choose a local disk"
            raise RecordingFailed(message)
        # When the power fails, what was not moved into the file yet may be lost; nothing else can.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        # Only who reads makes the file that is locked next.
        connection.execute("SELECT count(*) FROM layouts").fetchone()

    def _locked(self) -> int:
        """Lock the recording for as long as this process lives; SQLite's own locks are held for moments alone."""
        lock = os.open(wal_of(self._path), os.O_RDONLY)
        for attempt in range(_LOCK_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt < _LOCK_TRIES - 1:
                    time.sleep(_LOCK_WAIT_S)
            else:
                return lock
        os.close(lock)
        message = f"{self._name}: another topcon records into it; choose another file"
        raise UsageError(message)

    def _begin(self, host: HostSample | None) -> None:
        """See what is there, and have it ready for more."""
        connection = self._connection
        rows = connection.execute("SELECT key, value FROM meta WHERE key IN ('host', 'machine')")
        self._host = dict(rows.fetchall())
        if host is not None and (other := self._other_host(host)):
            raise UsageError(other)
        layouts = numbered(read_layouts(connection))
        with self._transaction():
            # What follows cannot be read by those who made it.
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            add_layouts(connection, layouts)
            meta = (("topcon", __version__), ("begun_ns", time.time_ns()))
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
            # Who wrote it last may have been killed.
            connection.execute(
                "UPDATE containers SET last_ns = (SELECT max(wall_ns) FROM frames) WHERE last_ns IS NULL"
            )
        self._encoder = Encoder(layouts)
        ((last_ns,),) = connection.execute("SELECT max(wall_ns) FROM frames")
        ((last_number,),) = connection.execute("SELECT max(number) FROM events")
        self._last_ns: int | None = last_ns
        self._next_number = 0 if last_number is None else last_number + 1

    def _other_host(self, host: HostSample) -> str | None:
        """Say whose recording it is, if not this host's."""
        name, machine = self._host.get("host"), self._host.get("machine")
        if name is None or (machine == host.machine.machine_id if machine else name == printable(host.name)):
            return None
        return f"{self._name}: a recording of {name}, not of {printable(host.name)}; choose another file"

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Where the disk is full SQLite may have gone back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """What the recording takes on the disk, with what is still to be moved into it; any thread may ask."""
        return sum(_size_of(each) for each in (self._path, wal_of(self._path)))

    def write(self, snapshot: Snapshot) -> None:
        """Write the sample of a snapshot, and what has happened until then.

        Raises:
            RecordingFailed: it could not be written, such as on a full disk; the next one may be.
        """
        sample = snapshot.sample
        if self._told is None and (other := self._other_host(sample.host)):
            raise RecordingFailed(other)
        frame = self._encoder.encode(sample)
        try:
            self._check_file()
            self._put(snapshot, frame)
        except (OSError, sqlite3.Error) as error:
            # What follows must not build on it.
            self._encoder.begin_anew()
            message = f"{self._name}: cannot be written: {reason(error)}"
            raise RecordingFailed(message) from error

    def _put(self, snapshot: Snapshot, frame: Frame) -> None:
        connection, wall_ns = self._connection, self._time_of(frame)
        events, told = self._new_events(snapshot)
        with self._transaction():
            if not self._host:
                self._name_host(snapshot.sample.host)
            self._make_room(frame, wall_ns)
            kind = KEY if frame.is_key else SHORTCUT if frame.is_shortcut else NEXT
            row = (wall_ns, frame.monotonic_ns, kind, frame.payload)
            connection.execute("INSERT INTO frames VALUES (?, ?, ?, ?)", row)
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", events)
            connection.executemany(_PUT_CONTAINER, self._changed_containers(snapshot, wall_ns))
            gone = [(self._last_ns, printable(key)) for key in self._containers.keys() - snapshot.containers.keys()]
            connection.executemany("UPDATE containers SET last_ns = ? WHERE key = ?", gone)
        self._told = told
        self._next_number += len(events)
        self._containers = snapshot.containers
        self._last_ns, self._last_monotonic_ns = wall_ns, frame.monotonic_ns
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            self._shrink()

    def _time_of(self, frame: Frame) -> int:
        """Return when a frame was, which is always later than the one before it.

        Where the clock was set back, time goes on half as fast until it is where it was.
        """
        if self._last_ns is None:
            return frame.wall_ns
        since = frame.monotonic_ns if self._last_monotonic_ns is None else self._last_monotonic_ns
        return max(frame.wall_ns, self._last_ns + max((frame.monotonic_ns - since) // 2, 1))

    def _name_host(self, host: HostSample) -> None:
        self._host = {"host": printable(host.name), "machine": host.machine.machine_id}
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._host.items())

    def _new_events(self, snapshot: Snapshot) -> tuple[list[tuple[object, ...]], int]:
        """Return the rows of the events that are not written yet, and how many there have been."""
        entries, count = snapshot.events.entries, snapshot.events.count
        told = self._told
        if told is None:
            # What was before the recording is no part of it.
            now_ns = snapshot.sample.monotonic_ns
            told = min((each.number for each in entries if each.monotonic_ns >= now_ns), default=count)
        # One that is told late has its place among older ones.
        new: list[Event] = []
        for event in reversed(entries):
            if len(new) == count - told:
                break
            if event.number >= told:
                new.append(event)
        return [_event_row(each, self._next_number + each.number - told) for each in new], count

    def _changed_containers(self, snapshot: Snapshot, wall_ns: int) -> Iterator[tuple[object, ...]]:
        """Give the rows of those of which something else is known than before."""
        old = self._containers
        if snapshot.containers is old:
            return
        pods: dict[ContainerKey, str] | None = None
        for key, node in snapshot.containers.items():
            before = old.get(key)
            if before is not None and (before is node or before.info is node.info):
                continue
            if pods is None:
                shown = (pod for pod in snapshot.pods if pod.kind is not PodKind.SINGLE)
                pods = {each.key: pod.title for pod in shown for each in pod.containers}
            yield _container_row(node, pods.get(key, ""), wall_ns)

    def _make_room(self, frame: Frame, wall_ns: int) -> None:
        """Forget what is too old, or too much."""
        if self._keep_s is not None and frame.is_key:
            query = "SELECT max(wall_ns) FROM frames INDEXED BY frames_by_kind WHERE kind = 1 AND wall_ns <= ?"
            ((key_ns,),) = self._connection.execute(query, (wall_ns - int(self._keep_s * 1e9),))
            self._forget_before(key_ns)
        if self._max_bytes is None:
            return
        wanted = len(frame.payload) + max(WAL_BYTES, _size_of(wal_of(self._path)))
        while self._used_bytes() + wanted > self._max_bytes:
            query = "SELECT wall_ns FROM frames INDEXED BY frames_by_kind WHERE kind = 1 ORDER BY wall_ns LIMIT 2"
            keys = [key_ns for (key_ns,) in self._connection.execute(query)]
            if frame.is_key:
                keys.append(wall_ns)
            if len(keys) < 2:  # noqa: PLR2004  the oldest, and the one that goes on
                # All of it is one group, which the next one will end.
                self._encoder.begin_anew()
                return
            self._forget_before(keys[1])

    def _forget_before(self, wall_ns: int | None) -> None:
        for table, column in (("frames", "wall_ns"), ("events", "wall_ns"), ("containers", "last_ns")):
            self._connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (wall_ns,))  # noqa: S608  our own names

    def _used_bytes(self) -> int:
        pages, unused, size = (
            number_of(self._connection, name) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - unused) * size

    def _shrink(self) -> None:
        """Give a part of what is not used back to the disk: mostly what is forgotten makes room for what comes.

        Where somebody reads it now, the next frame tries again instead of waiting for that.
        """
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            # As a script, since a statement without columns is left after its first step, which frees one page.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUMED_PAGES})")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(WAIT_S * 1000)}")

    def _check_file(self) -> None:
        """See that it is still there: what is written into a file that was removed is lost."""
        if self._identity_now() != self._identity:
            message = f"{self._name}: it was removed, or is another file now; end this recording"
            raise RecordingFailed(message)

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """End the recording; the file is all there is of it then, unless somebody reads it now."""
        if self._lock is None:
            return
        connection = self._connection
        # Nothing is lost where this fails: whoever opens it next does it.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("UPDATE containers SET last_ns = ? WHERE last_ns IS NULL", (self._last_ns,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        self._end()

    def _end(self) -> None:
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


_PUT_CONTAINER = """
INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?) ON CONFLICT (key) DO UPDATE SET
  name = excluded.name, image = excluded.image, runtime = excluded.runtime, pod = excluded.pod, last_ns = NULL,
  exit_code = excluded.exit_code, oom_killed = excluded.oom_killed
"""


def _event_row(event: Event, number: int) -> tuple[object, ...]:
    texts = (event.kind.value, *map(printable, (event.target, event.name, event.pod, event.text)))
    severity = None if event.severity is None else int(event.severity)
    return number, _stored(event.wall_ns), event.monotonic_ns, *texts, severity


def _container_row(node: ContainerNode, pod: str, wall_ns: int) -> tuple[object, ...]:
    info = node.info
    image = None if info.image is None else printable(info.image)
    texts = (printable(node.key), printable(info.name), image, printable(info.runtime), printable(pod))
    return *texts, wall_ns, None if info.exit_code is None else _stored(info.exit_code), info.oom_killed


def _stored(number: int) -> int:
    """Bring a number, which may be foreign, into the 64 bits that SQLite has for it."""
    return min(max(number, -_MOST - 1), _MOST)


_MOST = (1 << 63) - 1


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
