"""What containers write, followed: from a daemon's connection, from a file, from what is asked again and again.

Each keeps to `topcon.model.output.Feed`. What comes faster than it can be looked at is read all the same, so that the
end of it is what is shown, but only its end is taken apart.
"""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from topcon.errors import SourceUnavailable
from topcon.model.output import Batch
from topcon.runtimes.logs import HISTORY_BYTES, PLAIN, Intake

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Callable

    from topcon.model.output import Wanted
    from topcon.runtimes.logs import Form

FIRST_S = 2.0
"""How long is waited for a daemon to begin; it may yet do so later."""
WAIT_S = 1.0
"""A call of `read` takes no longer where nothing comes."""
GATHER_S = 0.1
"""What comes within such a time is one batch."""
REST_S = 0.005
"""Between reads of a connection that has more and more."""
POLL_S = 0.2
"""How often a file is looked at."""
ASK_S = 2.0
"""How often a daemon is asked that cannot be followed."""
CHUNK_BYTES = 1 << 20
OLDER = ".1"
"""What Docker calls the file that it has put away."""
REMEDY = "run topcon with sudo"
"""For files, which belong to root."""


class StreamFeed:
    """A daemon's answer that has no end."""

    def __init__(
        self,
        where: str,
        channel: sockets.socket,
        first: bytes,
        form: Form,
        body: Callable[[bytes], bytes | None] = bytes,
    ) -> None:
        """Read on from a connection, after what has come of the answer already.

        ``body`` takes the head off the answer, and returns None as long as that has not ended.
        """
        self.where = where
        self._channel = channel
        self._channel.settimeout(None)
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._intake = Intake(form)
        self._body: Callable[[bytes], bytes | None] | None = body
        self._head = b""
        self._first = first
        self._has_ended = False
        self._stopped = threading.Event()

    def read(self) -> Batch | None:
        """Wait for what comes next."""
        begin = time.monotonic()
        wait_s, has_any = WAIT_S, bool(self._first)
        if self._first:
            self._give(self._first)
            self._first, wait_s = b"", GATHER_S
        while not self._stopped.is_set() and not self._has_ended and wait_s > 0:
            if not self._poll.poll(wait_s * 1000):
                break
            data = self._receive()
            if not data:
                self._has_ended = True
                break
            self._give(data)
            if self._intake.is_history:
                break
            if not has_any:
                has_any, begin = True, time.monotonic()
            # What is written a line at a time comes a line at a time: one look at many of them is cheaper.
            self._stopped.wait(REST_S)
            wait_s = begin + GATHER_S - time.monotonic()
        batch = self._intake.take()
        if not self._has_ended or batch.lines or batch.passed:
            return None if self._stopped.is_set() else batch
        rest = self._intake.rest()
        return rest if rest.lines else None

    def _give(self, data: bytes) -> None:
        if self._body is not None:
            self._head += data
            body = self._body(self._head)
            if body is None:
                return
            self._body, self._head, data = None, b"", body
        self._intake.give(data)

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(CHUNK_BYTES)
        except ConnectionError:
            return b""

    def stop(self) -> None:
        """Wake the reader."""
        self._stopped.set()
        with suppress(OSError):
            self._channel.shutdown(2)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class FileFeed:
    """A log file, through its rotations."""

    def __init__(self, path: str, form: Form, wanted: Wanted) -> None:
        """Begin where it is wanted.

        Raises:
            SourceUnavailable: it is not there, is none, or we may not read it.
        """
        self.where = path
        self._form = form
        self._intake = Intake(form)
        self._since_ns = wanted.since_ns
        self._stopped = threading.Event()
        self._file = _opened(path)
        self._at = 0
        self._older = b""
        self._begin(wanted.lines)

    def _begin(self, lines: int | None) -> None:
        """Find where the last lines begin, in the file that was put away last if need be."""
        self._at, missing = _end_of(self._file, lines)
        if self._at or not (missing or lines is None):
            return
        with suppress(SourceUnavailable):
            older = _opened(self.where + OLDER)
            try:
                begin, _ = _end_of(older, None if lines is None else missing)
                self._older = os.pread(older, HISTORY_BYTES, begin)
            finally:
                os.close(older)

    def read(self) -> Batch | None:
        """Wait for what comes next."""
        until = time.monotonic() + WAIT_S
        if self._older:
            self._intake.give(self._older)
            self._older = b""
            return self._since(self._intake.take())
        while not self._stopped.is_set():
            has_any = self._read_on()
            batch = self._intake.take()
            if batch.lines or batch.passed:
                return self._since(batch)
            if not has_any and (not self._is_same() or time.monotonic() > until):
                return self._since(Batch())
            if not self._intake.is_history or not has_any:
                self._stopped.wait(POLL_S)
        return None

    def _since(self, batch: Batch) -> Batch:
        since_ns = self._since_ns
        if since_ns is None:
            return batch
        lines = tuple(line for line in batch.lines if line.time_ns is None or line.time_ns >= since_ns)
        if lines:
            # From here on all are later.
            self._since_ns = None
        return Batch(lines, batch.passed)

    def _read_on(self) -> bool:
        """Take in what is there; whether there was any."""
        has_any = False
        until = time.monotonic() + GATHER_S
        while data := os.pread(self._file, CHUNK_BYTES >> 2 if self._intake.is_history else CHUNK_BYTES, self._at):
            has_any = True
            self._at += len(data)
            self._intake.give(data)
            if self._intake.is_history or time.monotonic() > until:
                break
        else:
            if os.fstat(self._file).st_size < self._at:
                # It was emptied, and is written anew.
                self._at = 0
        return has_any

    def _is_same(self) -> bool:
        """Whether the file is still that of its name; if another has taken its place, go on with that one."""
        try:
            now = os.stat(self.where)  # noqa: PTH116  a path is all that is kept
            own = os.fstat(self._file)
            if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino) or own.st_size > self._at:
                return True
            file = _opened(self.where)
        except (OSError, SourceUnavailable):
            # It is being put away, or is gone: what comes may come yet.
            return True
        os.close(self._file)
        self._file, self._at = file, 0
        return False

    def stop(self) -> None:
        """Wake the reader."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class AskingFeed:
    """What a daemon can only tell as a whole, asked again and again."""

    def __init__(self, where: str, before: bytes, ask: Callable[[], bytes], wanted: Wanted) -> None:
        """Begin with ``before``, unless only what comes from now on is wanted: its lines have no times."""
        self.where = where
        self._ask = ask
        self._stopped = threading.Event()
        self._intake = Intake(PLAIN)
        self._before = b"" if wanted.since_ns is None else before
        self._lines = wanted.lines if wanted.since_ns is None else None
        self._next: bytes | None = before

    def read(self) -> Batch | None:
        """Ask, and return what is new."""
        if self._next is None:
            if self._stopped.wait(ASK_S):
                return None
            self._next = self._ask()
        now, self._next = self._next, None
        self._intake.give(added(self._before, now))
        self._before = now
        batch = self._intake.take()
        if self._lines is not None:
            batch = Batch(batch.lines[max(len(batch.lines) - self._lines, 0) :], batch.passed)
            self._lines = None
        return None if self._stopped.is_set() else batch

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def close(self) -> None:
        """There is nothing to give back."""


OVERLAP_BYTES = 512
"""By so much of its end it is told where in an answer the one before ended."""


def added(before: bytes, now: bytes) -> bytes:
    """Return what has been added at the end; what is kept may have lost its beginning meanwhile."""
    if now.startswith(before):
        return now[len(before) :]
    known = before[-OVERLAP_BYTES:]
    at = now.rfind(known)
    return now[at + len(known) :] if at >= 0 else now


def _opened(path: str) -> int:
    """Open a regular file.

    Raises:
        SourceUnavailable: it is not there, is none, or we may not read it.
    """
    try:
        # Its name may be anything's by now: a pipe would let us wait, a terminal would become ours.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except PermissionError as error:
        message = f"permission denied at {path}"
        raise SourceUnavailable(message, REMEDY) from error
    except (OSError, ValueError) as error:
        message = f"no log file at {path}"
        raise SourceUnavailable(message) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        message = f"no log file at {path}"
        raise SourceUnavailable(message)
    return file


def begin_of_last(data: bytes, lines: int) -> tuple[int, int]:
    """Return where the last lines begin, and how many there are too few."""
    # The line's end at the end is that of the last line.
    at = len(data) - data.endswith(b"\n") if lines else len(data) - 1
    for missing in range(lines if data else 0, 0, -1):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0, missing - 1
    return at + 1, 0 if data else lines


def _end_of(file: int, lines: int | None) -> tuple[int, int]:
    """Return where the last lines of a file begin, and how many are wanted still.

    What is longer is taken from its last `HISTORY_BYTES` alone.
    """
    size = os.fstat(file).st_size
    least = max(size - HISTORY_BYTES, 0)
    data = os.pread(file, size - least, least)
    begin, missing = (0, 0) if lines is None else begin_of_last(data, lines)
    if least and not begin:
        # It begins amid a line.
        begin, missing = data.find(b"\n") + 1, 0
    return least + begin, missing
