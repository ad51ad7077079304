"""The file of a recording: a SQLite database that anybody can look into with ``sqlite3``.

``frames`` are the samples, as `topcon.recording.codec` writes them by the ``layouts``; ``events`` and ``containers``
say in words what is in them. Texts in these are escaped, since a terminal may show them.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from topcon.errors import RecordingFailed, RecordingUnreadable
from topcon.recording.codec import Layout
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 2
"""In the pragma ``user_version``; one that is greater cannot be read. Since 2 many integers are written as one, and key
frames in two parts."""
APPLICATION_ID = int.from_bytes(b"tpcn")
"""In the pragma ``application_id``: tells a recording from the databases of others."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE layouts (number INTEGER PRIMARY KEY, name TEXT NOT NULL, fields TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE frames (
  wall_ns INTEGER PRIMARY KEY,
  monotonic_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL,  -- 0: it follows the one before it; 1: a key frame, which follows none; 2: it follows that
  payload BLOB NOT NULL
);
CREATE INDEX frames_by_kind ON frames (kind);
CREATE TABLE events (
  number INTEGER PRIMARY KEY,
  wall_ns INTEGER NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  name TEXT NOT NULL,
  pod TEXT NOT NULL,
  text TEXT NOT NULL,
  severity INTEGER
);
CREATE INDEX events_by_time ON events (wall_ns);
CREATE TABLE containers (
  key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  image TEXT,
  runtime TEXT NOT NULL,
  pod TEXT NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER,  -- when it was seen last; NULL for what is there still
  exit_code INTEGER,
  oom_killed INTEGER
) WITHOUT ROWID;
"""
NEXT, KEY, SHORTCUT = range(3)
"""Kinds of frames."""
PAGE_BYTES = 2048
"""So that little of the last page of a frame is empty, be it small or large."""
WAIT_S = 1.0
"""How long another process may hold the file: what it does with it takes milliseconds."""


def is_to_be_made(path: Path) -> bool:
    """Whether there is nothing yet, or nothing in it.

    Raises:
        RecordingUnreadable: that cannot be seen.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise unreadable(path, error) from error
    return stat.S_ISREG(found.st_mode) and not found.st_size


def make(path: Path) -> None:
    """Make a recording without frames, all at once: there is never half a one.

    Raises:
        RecordingFailed: it cannot be made there.
    """
    new = Path(f"{path}.new-{os.getpid()}")
    try:
        try:
            # It holds commands and labels, which are not for everybody.
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(
                    f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;"
                    f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {SCHEMA}"
                )
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        message = f"{printable(str(path))}: cannot be made: {reason(error)}"
        raise RecordingFailed(message) from error


def opened(path: Path, *, is_to_write: bool = False) -> sqlite3.Connection:
    """Open a recording of this version.

    Nothing but SQLite opens the file: whoever closes it otherwise takes the locks away from all that have it open in
    this process (https://www.sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        RecordingUnreadable: it is none, or cannot be read.
    """
    _look_at(path, is_to_write=is_to_write)
    for way in ("mode=rw",) if is_to_write else ("mode=ro", *_other_ways(path)):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{way}", WAIT_S, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            _recognize(path, connection)
        except RecordingUnreadable:
            connection.close()
            raise
        except sqlite3.OperationalError as error:
            connection.close()
            refused = error
        except sqlite3.DatabaseError as error:
            connection.close()
            raise unreadable(path, error) from error
        else:
            return connection
    raise unreadable(path, refused) from refused


def _look_at(path: Path, *, is_to_write: bool) -> None:
    """See what can be told of a file without opening it."""
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        what: str | None = "it is a directory"
    elif not stat.S_ISREG(found.st_mode):
        what = "it is not a file"
    elif not os.access(path, os.R_OK | (os.W_OK if is_to_write else 0)):
        what = "permission denied"
    elif not found.st_size:
        what = "it is empty"
    else:
        what = None
    if what is not None:
        message = f"{printable(str(path))}: {what}"
        raise RecordingUnreadable(message)


def _other_ways(path: Path) -> tuple[str, ...]:
    """Tell how else a file can be read: one that was left in the middle, and one in a folder that is read-only."""
    wal = wal_of(path)
    has_frames = wal.exists() and wal.stat().st_size > 0
    return ("mode=rw",) if has_frames or Path(f"{path.resolve()}-journal").exists() else ("mode=ro&immutable=1",)


def _recognize(path: Path, connection: sqlite3.Connection) -> None:
    name = printable(str(path))
    if number_of(connection, "application_id") != APPLICATION_ID:
        message = f"{name}: not a recording of topcon"
        raise RecordingUnreadable(message)
    version = number_of(connection, "user_version")
    if version > SCHEMA_VERSION:
        versions = f"schema {version}, this one reads up to {SCHEMA_VERSION}"
        message = f"{name}: made by a newer topcon ({versions}); upgrade topcon"
        raise RecordingUnreadable(message)
    connection.execute("SELECT max(wall_ns) FROM frames").fetchone()


def number_of(connection: sqlite3.Connection, pragma: str) -> int:
    """Return what SQLite says of the file."""
    ((number,),) = connection.execute(f"PRAGMA {pragma}")
    return int(number)


def wal_of(path: Path) -> Path:
    """Return the file that the newest frames are in until they are moved into the recording."""
    return Path(f"{path.resolve()}-wal")


def is_locked(path: Path) -> bool:
    """Whether somebody writes a recording now: the lock goes with the process, however that ends."""
    try:
        descriptor = os.open(wal_of(path), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_layouts(connection: sqlite3.Connection) -> dict[int, Layout]:
    """Return the layouts that frames were written by.

    Raises:
        ValueError: they are damaged.
    """
    layouts: dict[int, Layout] = {}
    for number, name, fields, checksum in connection.execute("SELECT number, name, fields, checksum FROM layouts"):
        # A name with another letter would be taken for what another version wrote.
        if checksum != _checksum(number, name, fields):
            message = "its layouts"
            raise ValueError(message)
        layouts[number] = Layout(name, tuple(json.loads(fields)))
    return layouts


def add_layouts(connection: sqlite3.Connection, layouts: Mapping[int, Layout]) -> None:
    """Write those that are not there yet."""
    for number, layout in layouts.items():
        fields = json.dumps(layout.fields)
        row = number, layout.name, fields, _checksum(number, layout.name, fields)
        connection.execute("INSERT OR IGNORE INTO layouts VALUES (?, ?, ?, ?)", row)


def _checksum(number: int, name: str, fields: str) -> int:
    return zlib.crc32(f"{number} {name} {fields}".encode())


def unreadable(path: Path, error: OSError | ValueError | sqlite3.Error) -> RecordingUnreadable:
    """Say why a file cannot be read."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, FileNotFoundError):
        what = "no such file"
    elif code == sqlite3.SQLITE_NOTADB:
        what = "not a recording of topcon"
    elif isinstance(error, sqlite3.OperationalError) and code is not None and code & 0xFF in _OF_SURROUNDINGS:
        what = reason(error)
    else:
        what = reason(error) if isinstance(error, OSError) else f"damaged: {reason(error)}"
    return RecordingUnreadable(f"{printable(str(path))}: {what}")


_OF_SURROUNDINGS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""Errors that are not the file's own."""


def reason(error: OSError | ValueError | sqlite3.Error) -> str:
    """Say in a few words what was wrong."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return printable(str(error))
