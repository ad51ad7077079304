"""What containers write to systemd's journal, where conmon and Docker's driver ``journald`` put it.

By libsystemd, sd-journal(3), which is there wherever a journal is, and knows all forms of its files; by ctypes, since
packages that wrap it are built against it on each machine. The fields are those of systemd.journal-fields(7) and of
https://docs.docker.com/engine/logging/drivers/journald/
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from topcon.errors import SourceUnavailable
from topcon.runtimes.feeds import GATHER_S, POLL_S, REMEDY, WAIT_S
from topcon.runtimes.logs import CRI, LONGEST_FOLLOWED, Intake

if TYPE_CHECKING:
    from topcon.model.output import Batch, Wanted
    from topcon.model.sample import ContainerId

WHERE = "journal"
FOLDERS = ("/run/log/journal", "/var/log/journal")
_LIBRARY = "libsystemd.so.0"
_LOCAL_ONLY, _OS_ROOT = 1 << 0, 1 << 4
"""Flags of sd_journal_open(3)."""
_STDERR = b"3"
"""The priority that conmon and Docker give what comes from there."""
_US_PER_S, _NS_PER_US = 10**6, 1000


class JournalFeed:
    """What a container has written to the journal, and writes."""

    where = WHERE

    def __init__(self, container: ContainerId, wanted: Wanted, host_root: str = "") -> None:
        """Begin where it is wanted.

        Raises:
            SourceUnavailable: there is no journal, or nothing to read it with, or we may not.
        """
        _check_readable(host_root)
        self._intake = Intake(CRI)
        self._stopped = threading.Event()
        self._library = _load()
        self._journal = ctypes.c_void_p()
        opened = ctypes.byref(self._journal)
        if host_root:
            self._call("sd_journal_open_directory", opened, os.fsencode(host_root), _OS_ROOT)
        else:
            self._call("sd_journal_open", opened, _LOCAL_ONLY)
        try:
            # The field's name is a part of what it gives.
            self._call("sd_journal_set_data_threshold", self._journal, ctypes.c_size_t(2 * LONGEST_FOLLOWED))
            self._call("sd_journal_add_match", self._journal, f"CONTAINER_ID_FULL={container}".encode(), 0)
            self._has_first = self._begin(wanted)
        except SourceUnavailable:
            self.close()
            raise

    def _begin(self, wanted: Wanted) -> bool:
        """Go to the first entry that is wanted; return False if it is still to come."""
        journal = self._journal
        since_us = None if wanted.since_ns is None else ctypes.c_uint64(-(-wanted.since_ns // _NS_PER_US))
        if wanted.lines is None:
            if since_us is None:
                self._call("sd_journal_seek_head", journal)
            else:
                self._call("sd_journal_seek_realtime_usec", journal, since_us)
            return False
        self._call("sd_journal_seek_tail", journal)
        # One more than is wanted is gone back to, if there are as many.
        gone_back = self._call("sd_journal_previous_skip", journal, ctypes.c_uint64(wanted.lines + 1))
        if not gone_back:
            self._call("sd_journal_seek_head", journal)
        elif since_us is not None and self._time_us() < since_us.value:
            self._call("sd_journal_seek_realtime_usec", journal, since_us)
            return False
        return 0 < gone_back <= wanted.lines

    def read(self) -> Batch | None:
        """Wait for what comes next."""
        until = time.monotonic() + WAIT_S
        while not self._stopped.is_set():
            self._take_in()
            batch = self._intake.take()
            if batch.lines or batch.passed or time.monotonic() > until:
                return batch
            self._call("sd_journal_wait", self._journal, ctypes.c_uint64(int(POLL_S * _US_PER_S)))
        return None

    def _take_in(self) -> None:
        """Give the intake what is there, in the form of CRI's files."""
        until = time.monotonic() + GATHER_S
        while self._has_first or self._call("sd_journal_next", self._journal):
            self._has_first = False
            seconds, us = divmod(self._time_us(), _US_PER_S)
            stamp = time.strftime(f"%Y-%m-%dT%H:%M:%S.{us:06}Z", time.gmtime(seconds))
            stream = "stderr" if self._field("PRIORITY") == _STDERR else "stdout"
            tag = "P" if self._field("CONTAINER_PARTIAL_MESSAGE") == b"true" else "F"
            # Docker writes a line, conmon its end as well.
            text = self._field("MESSAGE").removesuffix(b"\n").replace(b"\n", b" ")
            self._intake.give(f"{stamp} {stream} {tag} ".encode() + text + b"\n")
            if time.monotonic() > until:
                break

    def _time_us(self) -> int:
        """When the entry was written, in microseconds since 1970."""
        time_us = ctypes.c_uint64()
        self._call("sd_journal_get_realtime_usec", self._journal, ctypes.byref(time_us))
        return time_us.value

    def _field(self, name: str) -> bytes:
        """Return a field of the entry; nothing if it has none of that name."""
        data, size = ctypes.c_void_p(), ctypes.c_size_t()
        wanted = (ctypes.byref(data), ctypes.byref(size))
        if self._library.sd_journal_get_data(self._journal, name.encode(), *wanted) < 0:
            return b""
        return ctypes.string_at(data, size.value)[len(name) + 1 :]

    def _call(self, name: str, *arguments: object) -> int:
        """Call a function of the library.

        Raises:
            SourceUnavailable: it fails.
        """
        result = int(getattr(self._library, name)(*arguments))
        if result < 0:
            message = f"journal: {name}: {os.strerror(-result)}"
            raise SourceUnavailable(message, REMEDY if -result in {errno.EACCES, errno.EPERM} else None)
        return result

    def stop(self) -> None:
        """Let the reader return soon."""
        self._stopped.set()

    def close(self) -> None:
        """Close the journal."""
        self._library.sd_journal_close(self._journal)


@cache
def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        message = f"it is in the journal, and {_LIBRARY}, which reads that, is not there"
        raise SourceUnavailable(message) from error
    library.sd_journal_close.restype = None
    return library


def _check_readable(host_root: str) -> None:
    """Tell what the library does not: it leaves out what it may not read."""
    files = [each for folder in FOLDERS for each in Path(host_root + folder).glob("*/*.journal")]
    if not files:
        message = f"no journal in {' or '.join(host_root + folder for folder in FOLDERS)}"
        raise SourceUnavailable(message)
    if not any(os.access(each, os.R_OK) for each in files):
        message = f"permission denied at {files[0]}"
        raise SourceUnavailable(message, REMEDY)
