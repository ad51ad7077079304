"""How topcon reads small kernel files: whole, in one read, without asking for their size.

Gone is not an error: a file of a process or cgroup that has ended reads as None. Measured on a cgroup file: ``open()``
takes 9 us, ``os.open``, ``os.read`` and ``os.close`` 3.4, ``os.pread`` on a descriptor that is kept 1.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ABSENT = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ESRCH, errno.EOPNOTSUPP, errno.ENAMETOOLONG}
)
"""Not there, no longer there, not offered by this kernel, or nested deeper than a path can be long.

ENXIO is what a network namespace gives that is just being taken down.
"""

NOT_TO_BE_READ = ABSENT | {errno.EINVAL}
"""The same of reading: EINVAL is for the mounts of a process that has ended and was not waited for yet."""

REFUSED = frozenset({errno.EACCES, errno.EPERM})

READ_BYTES = 16384
RETRY_AFTER = 30
"""Reads to let pass before a file that was absent is looked for again: a controller can be switched on later."""

SPARE_DESCRIPTORS = 256
"""Left of the limit for sockets, the terminal and files that are opened for a moment."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one; return how many may be kept open for reading."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(hard - SPARE_DESCRIPTORS, 0)


def read_small(path: str) -> bytes | None:
    """Read a file whole; None if it is absent.

    Raises:
        PermissionError: the reader may not open it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_all(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in NOT_TO_BE_READ:
            return None
        raise


def _read_all(fd: int) -> bytes:
    """Read until the end, since files of many records hand out one page a read."""
    chunks = []
    while chunk := os.read(fd, READ_BYTES):
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _pread_all(fd: int) -> bytes:
    """Read a file of one record, always from its start: a second part could be of a newer text than the first."""
    size = READ_BYTES
    while len(raw := os.pread(fd, size, 0)) == size:
        size *= 4
    return raw


class Access:
    """What this process may read: how many descriptors it may still keep, and the first file it was refused."""

    def __init__(self, budget: int = 0) -> None:
        """Allow ``budget`` kept descriptors; beyond it files are opened for each read."""
        self.left = budget
        self.refused: str | None = None

    def read(self, path: str) -> bytes | None:
        """Read a file whole; None if it is absent or refused."""
        try:
            return read_small(path)
        except PermissionError as error:
            self.note(error, path)
            return None

    def link(self, path: str) -> str | None:
        """Return where a symbolic link points; None if it is absent or refused."""
        try:
            return os.readlink(path)  # noqa: PTH115  hot path
        except OSError as error:
            self.note(error, path)
            return None

    def note(self, error: OSError, path: str) -> None:
        """Let an absent file pass, remember a refused one.

        Raises:
            OSError: the error is of another kind.
        """
        if error.errno in REFUSED:
            self.refused = self.refused or path
        elif error.errno not in NOT_TO_BE_READ:
            raise error


class KeptFile(Generic[T]):
    """A kernel file that is kept open and parsed only when its bytes have changed.

    An equal content gives the same object as the last time, so what is built from it can be kept too.
    """

    __slots__ = (
        "_absent_reads",
        "_access",
        "_ahead",
        "_fd",
        "_is_ahead",
        "_parse",
        "_raw",
        "_value",
        "may_keep",
        "path",
    )

    def __init__(self, path: str, parse: Callable[[bytes, str], T], access: Access) -> None:
        """Read ``path`` through ``parse(content, path)``; nothing is opened yet."""
        self.path = path
        self.may_keep = True
        """Whether to keep it open, as far as there are descriptors left."""
        self._parse = parse
        self._access = access
        self._fd = -1
        self._raw: bytes | None = None
        self._value: T | None = None
        self._ahead: bytes | None = None
        self._is_ahead = False
        self._absent_reads = 0

    def look(self) -> bool:
        """Read ahead, and say whether the bytes are others than those of the last `read`; the next one takes them."""
        self._ahead = self._fetch()
        self._is_ahead = True
        return self._ahead != self._raw

    def read(self) -> T | None:
        """Return the parsed content; None if the file is absent or refused.

        Raises:
            ParseError: the content is not in the documented form.
        """
        raw = self._ahead if self._is_ahead else self._fetch()
        self._is_ahead = False
        if raw != self._raw:
            value = None if raw is None else self._parse(raw, self.path)
            if value != self._value:
                self._value = value
            self._raw = raw
        return self._value

    def _fetch(self) -> bytes | None:
        if self._absent_reads:
            self._absent_reads -= 1
            return None
        try:
            if self._fd < 0:
                return self._open()
            raw = os.pread(self._fd, READ_BYTES, 0)
            return raw if len(raw) < READ_BYTES else _pread_all(self._fd)
        except OSError as error:
            self.close()
            self._absent_reads = RETRY_AFTER
            self._access.note(error, self.path)
            return None

    def _open(self) -> bytes:
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = _pread_all(fd)
        except OSError:
            os.close(fd)
            raise
        if self.may_keep and self._access.left > 0:
            self._access.left -= 1
            self._fd = fd
        else:
            os.close(fd)
        return raw

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._access.left += 1
