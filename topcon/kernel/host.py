"""The host's totals. The only module that knows psutil."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar

import psutil

from topcon.errors import HostUnreadable, ParseError
from topcon.kernel.files import Access
from topcon.kernel.parse import parse_pressure
from topcon.kernel.process import ProcFs
from topcon.kernel.topology import read_topology
from topcon.model.sample import DiskStat, HostSample, MachineIds, PressureStat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.model.sample import Device, MachineTopology, Namespaces

T = TypeVar("T")

IDLE_TIMES = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Not busy; a guest's time is in ``user`` and ``nice`` already."""

DISK_WORDS = 14
"""What a line of diskstats has had since Linux 2.6."""


def parse_partitions(raw: bytes, path: str) -> dict[Device, str]:
    """Parse ``/proc/partitions``: a line of titles, an empty one, then ``MAJOR MINOR BLOCKS NAME``."""
    devices = {}
    for line in raw.decode(errors="replace").splitlines()[2:]:
        try:
            major, minor, _, name = line.split()
            devices[int(major), int(minor)] = _device_name(name)
        except ValueError:
            raise ParseError(path, line) from None
    return devices


def parse_diskstats(raw: bytes, path: str) -> dict[str, DiskStat]:
    """Parse ``/proc/diskstats``: ``MAJOR MINOR NAME`` and 11 numbers; later kernels add more after those.

    ::

        8 0 sda 756576 97101 32768762 421611 3537257 1216043 101809144 586366 0 343888 1191939
    """
    disks = {}
    for line in raw.decode(errors="replace").splitlines():
        words = line.split()
        try:
            if len(words) < DISK_WORDS:
                raise ParseError(path, line)
            disks[_device_name(words[2])] = DiskStat(*map(int, words[3:DISK_WORDS]))
        except ValueError:
            raise ParseError(path, line) from None
    return disks


def parse_os_name(raw: bytes) -> str:
    """Return ``PRETTY_NAME`` of os-release(5), whose lines are a shell's assignments; empty where it has none."""
    for line in raw.decode(errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            try:
                return " ".join(shlex.split(value))
            except ValueError:
                return ""
    return ""


def _device_name(name: str) -> str:
    """The kernel writes the slash of a name in a directory as an exclamation mark."""
    return name.replace("!", "/")


class _KeptText(Generic[T]):
    """A file of many records, parsed only when its text has changed: equal text gives the same object."""

    def __init__(self, path: str, parse: Callable[[bytes, str], T], access: Access) -> None:
        """Read ``path`` through ``parse(content, path)``; an absent file is as an empty one."""
        self._path = path
        self._parse = parse
        self._access = access
        self._last: tuple[bytes, T] | None = None

    def read(self) -> T:
        raw = self._access.read(self._path) or b""
        if self._last is None or raw != self._last[0]:
            self._last = raw, self._parse(raw, self._path)
        return self._last[1]


class HostReader:
    """Reads the host's totals below a root each for ``/proc`` and ``/sys``."""

    def __init__(self, root: str, sys_root: str, name_file: str | None = None, *, has_detail: bool = False) -> None:
        """Read the host whose ``/proc`` and ``/sys`` these are; its name is in ``name_file``, if it is not our own.

        With ``has_detail`` its disks and what it is built of are read too.

        Raises:
            HostUnreadable: there is no ``/proc`` there.
        """
        # psutil knows one root a process; topcon reads one host a process.
        psutil.PROCFS_PATH = root
        self._root = root
        self._sys_root = sys_root
        # What is refused here is not worth a word: process 1's namespaces have a substitute.
        self._access = Access()
        self._processes = ProcFs(root, self._access)
        self._name = self._line(name_file or f"{root}/sys/kernel/hostname") or "?"
        self._kernel = self._line(f"{root}/sys/kernel/osrelease") or "?"
        etc = Path(name_file).parent if name_file else Path("/etc")
        self._machine = self._read_machine(etc)
        self._os_name = self._read_os_name(etc)
        try:
            self._cpus = len(psutil.cpu_times(percpu=True))
        except OSError as error:
            message = f"{root}: {error.strerror}; topcon reads the host there: mount it, or name it with --proc-root"
            raise HostUnreadable(message) from error
        self._netns = self._processes.netns(1)
        self._namespaces = self._read_namespaces()
        self._devices = _KeptText(f"{root}/partitions", parse_partitions, self._access)
        self._disks = _KeptText(f"{root}/diskstats", parse_diskstats, self._access) if has_detail else None
        self.malformed: ParseError | None = None
        """What of the detail was not understood the last time; the totals raise instead."""
        self._topology, self._topology_malformed = self._read_topology() if has_detail else (None, None)

    def read(self) -> HostSample:
        """Read the totals of now.

        Raises:
            ParseError: a file is not in its documented form.
        """
        times = psutil.cpu_times()._asdict()
        memory = psutil.virtual_memory()
        swap_total, swap_free = self._swap()
        return HostSample(
            name=self._name,
            kernel=self._kernel,
            cpus=self._cpus,
            uptime_s=self._uptime(),
            cpu_busy_s=sum(seconds for name, seconds in times.items() if name not in IDLE_TIMES),
            memory_total_bytes=memory.total,
            memory_used_bytes=memory.total - memory.available,
            swap_total_bytes=swap_total,
            swap_used_bytes=swap_total - swap_free,
            load=self._load(),
            pressure=self._pressure(),
            namespaces=self._namespaces,
            netns=self._netns,
            machine=self._machine,
            devices=self._devices.read(),
            disks=self._read_disks(),
            topology=self._topology,
            os_name=self._os_name,
        )

    def _read_disks(self) -> Mapping[str, DiskStat]:
        self.malformed = self._topology_malformed
        if self._disks is not None:
            try:
                return self._disks.read()
            except ParseError as error:
                self.malformed = error
        return MappingProxyType({})

    def _read_topology(self) -> tuple[MachineTopology | None, ParseError | None]:
        try:
            return read_topology(self._sys_root), None
        except ParseError as error:
            return None, error

    def _read_namespaces(self) -> Namespaces:
        """Read those of process 1; where they may not be seen, our own, if we share its network."""
        first = self._processes.namespaces(1)
        if first.net is None and self._netns is not None and self._processes.netns("self") == self._netns:
            return self._processes.namespaces("self")
        return first

    def _line(self, path: str) -> str | None:
        raw = self._access.read(path)
        return raw.decode(errors="replace").strip() if raw else None

    def _read_machine(self, etc: Path) -> MachineIds:
        dbus = etc.parent / "var/lib/dbus/machine-id"
        return MachineIds(
            machine_id=self._line(str(etc / "machine-id")) or self._line(str(dbus)) or "",
            system_uuid=self._line(f"{self._sys_root}/class/dmi/id/product_uuid") or "",
            boot_id=self._line(f"{self._root}/sys/kernel/random/boot_id") or "",
        )

    def _read_os_name(self, etc: Path) -> str:
        """Where it is kept for all, ``/etc`` may lack the link to it."""
        paths = (etc / "os-release", etc.parent / "usr/lib/os-release")
        return next((parse_os_name(raw) for path in paths if (raw := self._access.read(str(path)))), "")

    def _uptime(self) -> float:
        path = f"{self._root}/uptime"
        line = self._line(path) or ""
        try:
            return float(line.split()[0])
        except (IndexError, ValueError):
            raise ParseError(path, line) from None

    def _load(self) -> tuple[float, float, float] | None:
        path = f"{self._root}/loadavg"
        line = self._line(path)
        if not line:
            return None
        try:
            one, five, fifteen, *_ = line.split()
            return float(one), float(five), float(fifteen)
        except ValueError:
            raise ParseError(path, line) from None

    def _swap(self) -> tuple[int, int]:
        """Return total and free, bytes. psutil's own call reads vmstat too, and warns where it is not there."""
        sizes = {"SwapTotal": 0, "SwapFree": 0}
        for line in (self._access.read(f"{self._root}/meminfo") or b"").decode().splitlines():
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] = int(value.split()[0]) * 1024
        return sizes["SwapTotal"], sizes["SwapFree"]

    def _pressure(self) -> PressureStat | None:
        lines = []
        for name in ("cpu", "memory", "io"):
            path = f"{self._root}/pressure/{name}"
            raw = self._access.read(path)
            lines.append(parse_pressure(raw, path) if raw else None)
        return PressureStat(*lines) if any(lines) else None
