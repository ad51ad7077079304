"""Who answers at a unix socket (unix(7), ``SO_PEERCRED``), and what CPU that costs it (clock_gettime(2)).

The clock of another process needs no privilege, takes a third of a microsecond, and counts in nanoseconds.
"""

from __future__ import annotations

import os
import socket as sockets
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = {
    "containerd": ("containerd",),
    "cri-o": ("crio",),
    # podman-docker links Docker's socket to Podman's.
    "docker": ("dockerd", "podman"),
    "incus": ("incusd", "lxd"),
    "podman": ("podman",),
}
"""What the processes are called in ``/proc/PID/comm``, by runtime."""

_CREDENTIALS = struct.Struct("iII")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_START_FIELD = 19
"""Of those after the name."""
_CLOCK_OF_PROCESS = 2
"""``CPUCLOCK_SCHED``: all threads, as the scheduler counts them."""


class Process(NamedTuple):
    """A process, told from another that is given its pid later."""

    pid: int
    started_s: float
    """Seconds since boot, in hundredths (proc_pid_stat(5))."""


class Daemon:
    """The process behind a runtime's socket, and what it has used while it answered us. Any thread may ask."""

    def __init__(
        self,
        find: Callable[[], Process | None],
        cpu_ns: Callable[[int], int | None] | None = None,
        boot_s: Callable[[], float] | None = None,
    ) -> None:
        """Look the process up with ``find``, and what a pid has used with ``cpu_ns``; None is for what is not known.

        ``boot_s`` gives the seconds since boot.
        """
        self._find = find
        self._cpu_ns = cpu_ns or process_cpu_ns
        self._boot_s = boot_s or _boot_s
        self._process: Process | None = None
        self._is_sought = True
        self._before: tuple[Process, int] | None = None
        self._began_s = 0.0
        self._spent_ns: int | None = None
        self._asking = 0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Who answers, as last looked up; None for what is not known."""
        process = self._process
        return process.pid if process else None

    @property
    def cpu_s(self) -> float | None:
        """What it has used while it answered us, seconds; None until it was found."""
        return None if self._spent_ns is None else self._spent_ns / 1e9

    def forget(self) -> None:
        """Look it up anew: the connection to it is another one now."""
        self._process, self._is_sought = None, True

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count what it uses until the end of a request, however that ends; of those at the same time only once."""
        with self._lock:
            if not self._asking:
                self._began_s = self._boot_s()
                self._before = self._look()
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                if not self._asking:
                    self._count()

    def _count(self) -> None:
        now = self._look()
        if now is None:
            # Not worth a connection at each request.
            self._is_sought = False
            return
        process, used_ns = now
        if self._before is not None and self._before[0] == process:
            begun_ns = self._before[1]
        elif process.started_s >= self._began_s - _TICK_S:
            # Started by our question, as what ends when it is idle is, or in the midst of it.
            begun_ns = 0
        else:
            begun_ns = used_ns
        self._spent_ns = (self._spent_ns or 0) + used_ns - begun_ns

    def _look(self) -> tuple[Process, int] | None:
        """Return the process and what it has used so far; it is sought if it is not there any more."""
        process = self._process
        used_ns = self._cpu_ns(process.pid) if process else None
        if used_ns is None and (process is not None or self._is_sought):
            process = self._process = self._find()
            used_ns = self._cpu_ns(process.pid) if process else None
        return None if process is None or used_ns is None else (process, used_ns)


def daemon_at(runtime: str, socket: str) -> Daemon:
    """Prepare to measure who answers at the socket of a runtime, which is called as its plugin is."""
    return Daemon(lambda: find_process(socket, NAMES.get(runtime, ())))


def find_process(socket: str, names: tuple[str, ...], proc_root: str = "/proc") -> Process | None:
    """Return who answers at a socket; None if that cannot be told, such as behind TCP or in another PID namespace.

    The socket knows who called listen(2). Where that was systemd, which hands its sockets on, it is the one child of it
    that is called by the first of ``names`` that any is called by.
    """
    pid = _listener(socket)
    if pid is None:
        return None
    if _read(f"{proc_root}/{pid}/comm") != "systemd":
        return _process(pid, proc_root)
    children = (_read(f"{proc_root}/{pid}/task/{pid}/children") or "").split()
    comms = {child: _read(f"{proc_root}/{child}/comm") for child in children}
    called = next((found for name in names if (found := [child for child in children if comms[child] == name])), [])
    return _process(int(called[0]), proc_root) if len(called) == 1 else None


def _listener(socket: str) -> int | None:
    """Return who called listen(2): by a connection of our own, which is given up if it cannot be had at once."""
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(0)
        try:
            connection.connect(socket)
            credentials = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _CREDENTIALS.size)
        except (OSError, ValueError):
            return None
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    # Whoever is in another PID namespace is 0 to us.
    return pid or None


def _process(pid: int, proc_root: str) -> Process | None:
    stat = _read(f"{proc_root}/{pid}/stat")
    fields = stat.rpartition(")")[2].split() if stat else []
    try:
        return Process(pid, int(fields[_START_FIELD]) * _TICK_S)
    except (ValueError, IndexError):
        return None


def process_cpu_ns(pid: int) -> int | None:
    """Return what a process has used, user and system of all threads; None if there is no such process."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _CLOCK_OF_PROCESS)
    except OSError:
        return None


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None
