"""The host's totals. The only module that knows psutil."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from topcon.errors import HostUnreadable, ParseError
from topcon.kernel.files import Access
from topcon.kernel.parse import parse_pressure
from topcon.kernel.process import ProcFs
from topcon.model.sample import HostSample, MachineIds, PressureStat

if TYPE_CHECKING:
    from topcon.model.sample import Device, Namespaces

IDLE_TIMES = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Not busy; a guest's time is in ``user`` and ``nice`` already."""


def parse_partitions(raw: bytes, path: str) -> dict[Device, str]:
    """Parse ``/proc/partitions``: a line of titles, an empty one, then ``MAJOR MINOR BLOCKS NAME``."""
    devices = {}
    for line in raw.decode(errors="replace").splitlines()[2:]:
        try:
            major, minor, _, name = line.split()
            # The kernel writes the slash of a name in a directory as an exclamation mark.
            devices[int(major), int(minor)] = name.replace("!", "/")
        except ValueError:
            raise ParseError(path, line) from None
    return devices


class HostReader:
    """Reads the host's totals below a root each for ``/proc`` and ``/sys``."""

    def __init__(self, root: str, sys_root: str, name_file: str | None = None) -> None:
        """Read the host whose ``/proc`` and ``/sys`` these are; its name is in ``name_file``, if it is not our own.

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
        self._machine = self._read_machine(Path(name_file).parent if name_file else Path("/etc"))
        try:
            self._cpus = len(psutil.cpu_times(percpu=True))
        except OSError as error:
            message = f"{root}: {error.strerror}; topcon reads the host there: mount it, or name it with --proc-root"
            raise HostUnreadable(message) from error
        self._netns = self._processes.netns(1)
        self._namespaces = self._read_namespaces()
        self._devices: tuple[bytes, dict[Device, str]] = (b"", {})

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
            devices=self._read_devices(),
        )

    def _read_devices(self) -> dict[Device, str]:
        """Read the names of the devices; the same object for the same text."""
        path = f"{self._root}/partitions"
        raw = self._access.read(path) or b""
        if raw != self._devices[0]:
            self._devices = raw, parse_partitions(raw, path)
        return self._devices[1]

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
