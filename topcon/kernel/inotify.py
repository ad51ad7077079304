"""Notice when directories come and go in directories (inotify(7)).

By ctypes: the packages that wrap it cannot take a watch back, and those of cgroups have to be: kernels before 7 do not
drop the watch of a cgroup that is removed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

CREATED = 0x00000100
"""``IN_CREATE``."""
DELETED = 0x00000200
"""``IN_DELETE``."""
MOVED = 0x00000040 | 0x00000080
"""``IN_MOVED_FROM``, ``IN_MOVED_TO``."""
OVERFLOW = 0x00004000
"""``IN_Q_OVERFLOW``: events were lost."""
IGNORED = 0x00008000
"""``IN_IGNORED``: the watch is no more."""
DIRECTORY = 0x40000000
"""``IN_ISDIR``."""

_ONLY_DIRECTORIES = 0x01000000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 16


class Event(NamedTuple):
    """What happened in a watched directory."""

    watch: int
    mask: int
    name: str


class Inotify:
    """Watches over directories."""

    def __init__(self) -> None:
        """Begin with none.

        Raises:
            OSError: there are too many instances already (``fs.inotify.max_user_instances``).
        """
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def add(self, directory: str) -> int | None:
        """Watch a directory; None if it is not there.

        Raises:
            OSError: it cannot be watched: there are too many already (``fs.inotify.max_user_watches``), for example.
        """
        mask = CREATED | DELETED | MOVED | _ONLY_DIRECTORIES
        watch: int = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        if watch >= 0:
            return watch
        number = ctypes.get_errno()
        if number in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
            return None
        raise OSError(number, os.strerror(number), directory)

    def remove(self, watch: int) -> None:
        """Watch a directory no more; it may be gone already."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """Return what has happened since the last time, in order."""
        events: list[Event] = []
        while True:
            try:
                raw = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                return events
            at = 0
            while at < len(raw):
                watch, mask, _, length = _EVENT.unpack_from(raw, at)
                at += _EVENT.size
                name = raw[at : at + length].rstrip(b"\0")
                at += length
                events.append(Event(watch, mask, os.fsdecode(name)))

    def close(self) -> None:
        """Give the descriptor and all watches back."""
        os.close(self._fd)
