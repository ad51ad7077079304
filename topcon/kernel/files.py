"""How topcon reads small kernel files: whole, in one read, without asking for their size.

Gone is not an error: a file of a process or cgroup that has ended reads as None. Measured on a cgroup file: ``open()``
takes 9 us, ``os.open``, ``os.read`` and ``os.close`` 3.2 to 4, the longer the path the more, 2.4 by name from a
descriptor of its directory, ``os.pread`` on a descriptor that is kept 0.7.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

_TO_READ = os.O_RDONLY | os.O_CLOEXEC
_TO_FIND = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

READ_BYTES = 16384
SMALL_READ_BYTES = 448
"""What most files fit in; Python has room for so many bytes at hand, and asks for more by malloc."""
RETRY_AFTER = 30
"""Reads to let pass before a file that was absent is looked for again: a controller can be switched on later."""

MOST_KEPT = 20_000
"""Each file that is kept holds a page of the kernel's memory, which its text is written to."""
SPARE_DESCRIPTORS = 256
"""Left of the limit for sockets, the terminal and files that are opened for a moment."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one; return how many may be kept open for reading."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(max(hard - SPARE_DESCRIPTORS, 0), MOST_KEPT)


def read_small(path: str) -> bytes | None:
    """Read a file whole; None if it is absent.

    Raises:
        PermissionError: the reader may not open it.
    """
    try:
        fd = os.open(path, _TO_READ)
        try:
            return _read_all(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in NOT_TO_BE_READ:
            return None
        raise


def with_those_below(directory: str) -> Iterator[str]:
    """Return a directory and all inside it, however deep; what goes meanwhile, or may not be read, is passed by."""
    left = [directory]
    while left:
        each = left.pop()
        yield each
        try:
            with os.scandir(each) as entries:
                left += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            if error.errno not in ABSENT | REFUSED:
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
        self.turnover = 0
        """How often a file has begun to be kept, or ceased to."""
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


class Directory:
    """A directory whose files are opened by name while it is kept open, so that the way to it is not walked again."""

    __slots__ = ("_access", "_fd", "_name_at", "may_keep", "path")

    def __init__(self, path: str, access: Access) -> None:
        """Open files of ``path``; nothing is opened yet."""
        self.path = path
        self.may_keep = False
        """Whether to keep it open, as far as there are descriptors left."""
        self._access = access
        self._fd = -1
        self._name_at = len(path) + 1

    def open(self, path: str) -> int:
        """Open a file of the directory, named by its whole path; return the descriptor.

        Raises:
            OSError: the file or the directory cannot be opened.
        """
        if self._fd < 0:
            if not self.may_keep or self._access.left <= 0:
                return os.open(path, _TO_READ)
            self._fd = os.open(self.path, _TO_FIND)
            self._access.left -= 1
        try:
            return os.open(path[self._name_at :], _TO_READ, dir_fd=self._fd)
        except OSError:
            # If it is the directory that went, another may be there the next time.
            self.close()
            raise

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._access.left += 1


class KeptFile(Generic[T]):
    """A kernel file that is kept open and parsed only when its bytes have changed.

    An equal content gives the same object as the last time, so what is built from it can be kept too.
    """

    __slots__ = (
        "_absent_reads",
        "_access",
        "_ahead",
        "_directory",
        "_parse",
        "_size",
        "fd",
        "may_keep",
        "path",
        "raw",
        "value",
    )

    def __init__(
        self, path: str, parse: Callable[[bytes, str], T], access: Access, directory: Directory | None = None
    ) -> None:
        """Read ``path``, which is in ``directory``, through ``parse(content, path)``; nothing is opened yet."""
        self.path = path
        self.may_keep = True
        """Whether to keep it open, as far as there are descriptors left."""
        self.value: T | None = None
        """What `take` has parsed last; None if the file is absent or refused."""
        self._parse = parse
        self._access = access
        self._directory = directory
        self.fd = -1
        """The descriptor that is kept; -1 for none."""
        self.raw: bytes | None = None
        """The bytes that were taken last."""
        self._ahead: bytes | None = None
        self._absent_reads = 0
        self._size = SMALL_READ_BYTES

    def read(self) -> T | None:
        """Return the parsed content; None if the file is absent or refused.

        Raises:
            ParseError: the content is not in the documented form.
        """
        if self.look():
            self.take()
        return self.value

    def look(self) -> bool:
        """Read ahead, and say whether the bytes are others than those that were taken last."""
        fd = self.fd
        if fd < 0:
            self._ahead = self._look_for_it()
            return self._ahead != self.raw
        try:
            raw = os.pread(fd, self._size, 0)
            if len(raw) == self._size:
                raw = _pread_all(fd)
                self._size = READ_BYTES
            self._ahead = raw
        except OSError as error:
            self._lose(error)
        return self._ahead != self.raw

    def put_ahead(self, raw: bytes) -> None:
        """Give it bytes that have been read from its descriptor."""
        self._ahead = raw

    def take(self) -> bool:
        """Parse what was read ahead, if it is new, and say whether ``value`` is another one now.

        Raises:
            ParseError: the content is not in the documented form.
        """
        raw = self._ahead
        if raw == self.raw:
            return False
        value = None if raw is None else self._parse(raw, self.path)
        self.raw = raw
        if value == self.value:
            return False
        self.value = value
        return True

    def _look_for_it(self) -> bytes | None:
        if self._absent_reads:
            self._absent_reads -= 1
            return None
        try:
            return self._open()
        except OSError as error:
            self._lose(error)
            return None

    def _lose(self, error: OSError) -> None:
        self.close()
        self._ahead = None
        self._absent_reads = RETRY_AFTER
        self._access.note(error, self.path)

    def _open(self) -> bytes:
        fd = os.open(self.path, _TO_READ) if self._directory is None else self._directory.open(self.path)
        try:
            raw = _pread_all(fd)
        except OSError:
            os.close(fd)
            raise
        if self.may_keep and self._access.left > 0:
            self._access.left -= 1
            self.fd = fd
            self._access.turnover += 1
        else:
            os.close(fd)
        return raw

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._access.turnover += 1
            self._access.left += 1
