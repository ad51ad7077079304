"""The host's files and processes, read with care: by whoever may, and whoever wrote them.

What is forbidden, absent, too large or no regular file reads as None.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.runtimes import argv, spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.sample import Port
    from topcon.runtimes.spec import Json

FILE_BYTES = 1 << 20
"""What is larger is not read: a container can have a hand in some of these files."""
LIST_BYTES = 16 << 20
"""The same of what has an entry for each container of the host."""
CMDLINE_BYTES = 1 << 16
READ_BYTES = 1 << 16
_OCTAL = re.compile(r"\\([0-7]{3})")
_LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of ``/proc/PID/mountinfo``, as far as it tells what is mounted where."""

    device: str
    root: str
    """The path within the file system."""
    point: str


def parse_mounts(raw: bytes, path: str) -> tuple[Mount, ...]:
    """Parse ``/proc/PID/mountinfo`` (proc_pid_mountinfo(5)).

    Raises:
        ParseError: a line has too few words.
    """
    mounts = []
    # Only the line ends that the kernel escapes: a path can hold what Python takes for others.
    for line in raw.decode(errors="replace").split("\n"):
        words = line.split(" ")
        if len(words) >= 5:  # noqa: PLR2004  up to the mount point
            mounts.append(Mount(words[2], _unescaped(words[3]), _unescaped(words[4])))
        elif line:
            raise ParseError(path, line)
    return tuple(mounts)


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def paths_outside(mount: Mount, outside: tuple[Mount, ...]) -> Iterator[str]:
    """Where a part of a file system is to be seen among other mounts."""
    for each in outside:
        root = each.root.rstrip("/")
        if each.device == mount.device and (mount.root == root or mount.root.startswith(f"{root}/")):
            yield each.point.rstrip("/") + mount.root[len(root) :]


class Proxies:
    """The ports that the docker-proxies of the host publish. All processes are looked at when first asked for."""

    def __init__(self, proc_root: str) -> None:
        self._proc_root = proc_root
        self._found: tuple[argv.Proxy, ...] | None = None

    def of(self, addresses: frozenset[str]) -> tuple[Port, ...]:
        """Return the ports of a container with these addresses."""
        if self._found is None and addresses:
            self._found = tuple(self._look())
        return tuple(proxy.port for proxy in self._found or () if proxy.address in addresses)

    def _look(self) -> Iterator[argv.Proxy]:
        for name in _listed(self._proc_root):
            proxy = argv.parse_proxy(read_command_line(self._proc_root, int(name))) if name.isdecimal() else None
            if proxy:
                yield proxy


class HostFiles:
    """Reads the host's files and processes, and what it lists no more than once."""

    def __init__(self, host_root: str, proc_root: str, proxies: Proxies) -> None:
        self.proxies = proxies
        self._proc_root = proc_root
        self._host_root = host_root
        self._names: dict[str, tuple[str, ...]] = {}
        self._storages: dict[str, object] = {}
        self._mounts: dict[int, tuple[Mount, ...]] = {}

    def json_object(self, path: str, pid: int | None) -> Json | None:
        """Read a file of one JSON object as a process sees it, or where we see the host; None where it cannot be read.

        Raises:
            ParseError: it holds something else.
        """
        raw = self._read(path, pid, FILE_BYTES)
        return None if raw is None else spec.parse_object(raw, path)

    def process_object(self, pid: int | None, name: str) -> Json | None:
        """The same of a file below a process's directory in ``/proc``."""
        path = f"{self._proc_root}/{pid}/{name}"
        raw = read_regular(path, FILE_BYTES)
        return None if raw is None else spec.parse_object(raw, path)

    def storage(self, path: str, pid: int | None) -> object:
        """Read Podman's list of containers.

        Raises:
            ParseError: it is no JSON.
        """
        if path not in self._storages:
            raw = self._read(path, pid, LIST_BYTES)
            try:
                self._storages[path] = None if raw is None else json.loads(raw)
            except (ValueError, RecursionError):
                raise ParseError(path, (raw or b"")[:80].decode(errors="replace")) from None
        return self._storages[path]

    def names(self, path: str) -> tuple[str, ...]:
        """List a directory of the host's; empty where that is not allowed."""
        if path not in self._names:
            self._names[path] = _listed(self._host_root + path)
        return self._names[path]

    def command_line(self, pid: int) -> tuple[str, ...]:
        """Return a process's command line; one empty word where there is none."""
        return read_command_line(self._proc_root, pid)

    def parent(self, pid: int) -> int | None:
        """Return a process's parent; None where there is none.

        Raises:
            ParseError: ``stat`` is not in its documented form.
        """
        raw = self._process(pid, "stat", CMDLINE_BYTES)
        if not raw:
            return None
        words = raw.rpartition(b")")[2].split()
        if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004  state, parent
            path = f"{self._proc_root}/{pid}/stat"
            raise ParseError(path, raw[:80].decode(errors="replace"))
        return int(words[1])

    def mounts(self, pid: int) -> tuple[Mount, ...]:
        """Return what a process has mounted.

        Raises:
            ParseError: ``mountinfo`` is not in its documented form.
        """
        if pid not in self._mounts:
            raw = self._process(pid, "mountinfo", LIST_BYTES) or b""
            self._mounts[pid] = parse_mounts(raw, f"{self._proc_root}/{pid}/mountinfo")
        return self._mounts[pid]

    def addresses(self, pid: int) -> frozenset[str]:
        """Return the IPv4 addresses of a process's network namespace, loopback left out."""
        trie = (self._process(pid, "net/fib_trie", FILE_BYTES) or b"").decode(errors="replace")
        return frozenset(address for address in _LOCAL.findall(trie) if not address.startswith("127."))

    def owner(self, pid: int) -> int:
        """Return whose process it is; 0 where that cannot be seen."""
        try:
            return os.stat(f"{self._proc_root}/{pid}").st_uid  # noqa: PTH116  as elsewhere in /proc
        except OSError:
            return 0

    def _process(self, pid: int, name: str, limit: int) -> bytes | None:
        return read_regular(f"{self._proc_root}/{pid}/{name}", limit)

    def _read(self, path: str, pid: int | None, limit: int) -> bytes | None:
        """Read through the process first: in a container within a container the path is that one's."""
        raw = read_regular(f"{self._proc_root}/{pid}/root{path}", limit) if pid else None
        return read_regular(self._host_root + path, limit) if raw is None else raw


def read_command_line(proc_root: str, pid: int) -> tuple[str, ...]:
    """Read ``/proc/PID/cmdline``; one empty word where there is none."""
    return argv.parse_argv(read_regular(f"{proc_root}/{pid}/cmdline", CMDLINE_BYTES) or b"")


def _listed(path: str) -> tuple[str, ...]:
    try:
        return tuple(os.listdir(path))  # noqa: PTH208  names are wanted
    except OSError:
        return ()


def read_regular(path: str, limit: int) -> bytes | None:
    """Read a regular file of no more than ``limit`` bytes; None for anything else, and where it cannot be read."""
    try:
        # Nothing else may be opened: a pipe would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return None
    try:
        return _read_up_to(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _read_up_to(fd: int, limit: int) -> bytes | None:
    chunks, left = [], limit
    # Files of /proc hand out a page or so a read.
    while left >= 0 and (chunk := os.read(fd, READ_BYTES)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks) if left >= 0 else None
