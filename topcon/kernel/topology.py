"""What the machine is built of: sockets, cores, caches, memory nodes and modules.

Kernel documents: https://docs.kernel.org/admin-guide/cputopology.html, "/sys/devices/system/cpu" and "/node" in
https://docs.kernel.org/admin-guide/abi.html, and https://docs.kernel.org/driver-api/edac.html
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.kernel.parse import parse_int
from topcon.model.sample import CpuCache, MachineTopology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

CPUS = 1 << 16
"""More than any kernel is built for: a list that goes beyond is none."""

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
MODULE_UNIT_BYTES = 1 << 20

_CPU = re.compile(r"cpu(\d+)")
_NODE = re.compile(r"node(\d+)")
_CACHE = re.compile(r"index(\d+)")
_HUGEPAGES = re.compile(r"hugepages-(\d+)kB")
_CONTROLLER = re.compile(r"mc(\d+)")
_MODULE = re.compile(r"(?:dimm|rank)(\d+)")


@dataclass(frozen=True, slots=True)
class _Cpu:
    """A CPU that is online: one thread of a core."""

    number: int
    directory: str
    node: int
    package: int | None
    core: int
    siblings: frozenset[int]
    """The CPUs of its core, itself among them."""


def read_topology(sys_root: str) -> MachineTopology:
    """Read all of it; what this machine does not say is None or empty.

    Raises:
        ParseError: a file is not in its documented form.
    """
    access = Access()
    system = f"{sys_root}/devices/system"
    nodes = _numbered(f"{system}/node", _NODE, access)
    cpus = _read_cpus(f"{system}/cpu", nodes, access)
    return MachineTopology(
        physical_cores=len({cpu.siblings for cpu in cpus.values()}) or None,
        sockets=len({cpu.package for cpu in cpus.values()} - {None}) or None,
        dimms=_read_modules(f"{system}/edac/mc", access),
        caches=_read_caches(cpus, access),
        threads={(cpu.node, cpu.core, cpu.number): len(cpu.siblings) for cpu in cpus.values()},
        node_memory_bytes=_present(
            (node, _read(f"{directory}/meminfo", parse_node_memory, access)) for node, directory in nodes.items()
        ),
        node_hugepages=_present(
            ((node, size), _read(f"{pages}/nr_hugepages", parse_int, access))
            for node, directory in nodes.items()
            for size, pages in _numbered(f"{directory}/hugepages", _HUGEPAGES, access).items()
        ),
        node_distances=_read_distances(nodes, access),
    )


def read_hugepage_sizes(sys_root: str) -> tuple[int, ...]:
    """Return the sizes of huge pages that this kernel offers, KiB."""
    return tuple(_numbered(f"{sys_root}/kernel/mm/hugepages", _HUGEPAGES, Access()))


def parse_cpu_list(raw: bytes, path: str) -> frozenset[int]:
    """Parse a list of CPUs, such as ``0-3,8``; an empty one has none.

    Raises:
        ParseError: it is none, or goes beyond `CPUS`.
    """
    try:
        ranges = [_cpu_range(part) for part in raw.strip().split(b",")] if raw.strip() else []
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None
    return frozenset(itertools.chain.from_iterable(ranges))


def _cpu_range(part: bytes) -> range:
    first, dash, last = part.partition(b"-")
    cpus = range(int(first), int(last if dash else first) + 1)
    if not 0 <= cpus.start < cpus.stop <= CPUS:
        raise ValueError
    return cpus


def parse_cache_size(raw: bytes, path: str) -> int:
    """Parse a cache's ``size``, such as ``48K``, to bytes."""
    text = raw.decode(errors="replace").strip()
    number = text.rstrip("KMG")
    try:
        return int(number) * UNITS[text[len(number) :]]
    except (KeyError, ValueError):
        raise ParseError(path, text) from None


def parse_node_memory(raw: bytes, path: str) -> int | None:
    """Parse a node's ``meminfo`` to the bytes it has; None if it has no such line.

    ::

        Node 0 MemTotal:       11495636 kB
    """
    for line in raw.splitlines():
        _, _, value = line.partition(b" MemTotal:")
        if value:
            return parse_int(value.removesuffix(b"kB"), path) * 1024
    return None


def parse_distances(raw: bytes, path: str) -> tuple[int, ...]:
    """Parse a node's ``distance``: to each node that is online, in order."""
    try:
        return tuple(map(int, raw.split()))
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def _text(raw: bytes, path: str) -> str:
    del path
    return raw.decode(errors="replace").strip()


def _read(path: str, parse: Callable[[bytes, str], T], access: Access) -> T | None:
    raw = access.read(path)
    return None if raw is None else parse(raw, path)


def _numbered(directory: str, pattern: re.Pattern[str], access: Access) -> dict[int, str]:
    """Find what a directory holds of the name: number to path, in the order of the numbers."""
    try:
        names = os.listdir(directory)  # noqa: PTH208  names alone are wanted
    except OSError as error:
        access.note(error, directory)
        return {}
    return dict(sorted((int(match[1]), f"{directory}/{match[0]}") for match in map(pattern.fullmatch, names) if match))


def _present(pairs: Iterable[tuple[T, int | None]]) -> dict[T, int]:
    return {key: value for key, value in pairs if value is not None}


def _read_cpus(directory: str, nodes: Mapping[int, str], access: Access) -> dict[int, _Cpu]:
    node_of = {
        cpu: node
        for node, its_directory in nodes.items()
        for cpu in _read(f"{its_directory}/cpulist", parse_cpu_list, access) or ()
    }
    cpus = {}
    for number, its_directory in _numbered(directory, _CPU, access).items():
        topology = f"{its_directory}/topology"
        core = _read(f"{topology}/core_id", parse_int, access)
        # The newer name, of Linux 5.3, and the one before.
        siblings = _read(f"{topology}/core_cpus_list", parse_cpu_list, access) or _read(
            f"{topology}/thread_siblings_list", parse_cpu_list, access
        )
        package = _read(f"{topology}/physical_package_id", parse_int, access)
        # One that is offline has no topology.
        if core is not None and siblings:
            # A kernel that was not told of a package says -1.
            known = None if package is None or package < 0 else package
            cpus[number] = _Cpu(number, its_directory, node_of.get(number, 0), known, core, siblings)
    return cpus


def _read_caches(cpus: Mapping[int, _Cpu], access: Access) -> tuple[CpuCache, ...]:
    """Each cache once, however many CPUs have it."""
    caches: dict[tuple[int, str, frozenset[int]], CpuCache] = {}
    for cpu in cpus.values():
        for directory in _numbered(f"{cpu.directory}/cache", _CACHE, access).values():
            level = _read(f"{directory}/level", parse_int, access)
            kind = _read(f"{directory}/type", _text, access)
            size = _read(f"{directory}/size", parse_cache_size, access)
            shared = _read(f"{directory}/shared_cpu_list", parse_cpu_list, access)
            if level is not None and kind and size is not None and shared:
                core = cpu.core if shared <= cpu.siblings else None
                caches.setdefault((level, kind, shared), CpuCache(cpu.node, core, kind, level, size))
    return tuple(caches.values())


def _read_modules(directory: str, access: Access) -> dict[str, tuple[int, int]]:
    kinds: dict[str, tuple[int, int]] = {}
    for controller in _numbered(directory, _CONTROLLER, access).values():
        for module in _numbered(controller, _MODULE, access).values():
            kind = _read(f"{module}/dimm_mem_type", _text, access)
            size = _read(f"{module}/size", parse_int, access)
            if kind and size is not None:
                count, size_bytes = kinds.get(kind, (0, 0))
                kinds[kind] = count + 1, size_bytes + size * MODULE_UNIT_BYTES
    return kinds


def _read_distances(nodes: Mapping[int, str], access: Access) -> dict[tuple[int, int], int]:
    distances: dict[tuple[int, int], int] = {}
    for node, directory in nodes.items():
        row = _read(f"{directory}/distance", parse_distances, access) or ()
        # A node that came or went in between: which is which is not known.
        if len(row) == len(nodes):
            distances |= {(node, other): distance for other, distance in zip(nodes, row, strict=True)}
    return distances
