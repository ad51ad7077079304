"""The files of a cgroup: what each section of its sample is built from, whatever the version of cgroups.

Kernel documents: https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError
from topcon.kernel.parse import (
    parse_flat_keyed,
    parse_full_pressure,
    parse_int,
    parse_int_or_inf,
    parse_int_or_max,
    parse_pressure,
)
from topcon.model.sample import (
    CgroupDetail,
    CgroupEvents,
    CpuMax,
    CpuStat,
    Device,
    HugetlbStat,
    IoStat,
    MemoryStat,
    PidsStat,
    Pressure,
    PressureStat,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from topcon.kernel.mount import Hierarchies

V2 = "v2"
"""Stands for the version 2 hierarchy where a controller of version 1 could stand."""

V1_UNLIMITED_BYTES = 1 << 62
"""Version 1 writes "no limit" as the greatest multiple of the page size; nothing real is as large as this."""

UNKNOWN_DEVICE = b"(unknown)"
"""What the kernel writes for a device without a number, such as a path of an NVMe multipath device."""

USER_HZ_USEC = 1_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HUGETLB = "hugetlb"
MEMORY_NUMA = "memory_numa"
"""The parts of the detail that are read only when asked for."""


def parse_cpu_max(raw: bytes, path: str) -> CpuMax:
    """Parse ``cpu.max``: ``50000 100000`` or ``max 100000``, microseconds."""
    try:
        quota, period = raw.split()
        return CpuMax(None if quota == b"max" else int(quota), int(period))
    except ValueError:
        raise ParseError(path, raw.decode(errors="replace")) from None


def parse_io_stat(raw: bytes, path: str) -> dict[Device, IoStat]:
    """Parse ``io.stat``. A device's line may have no fields at all; later kernels and the cost model add some.

    Linux 5.15 leaves the line end of a device without fields out: of several names the last one has the fields.

    ::

        8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
    """
    devices = {}
    for line in raw.splitlines():
        words = line.split()
        names = list(itertools.takewhile(lambda word: b"=" not in word, words))
        try:
            values = dict(pair.split(b"=") for pair in words[len(names) :])
            if names[-1] == UNKNOWN_DEVICE:
                continue
            major, minor = map(int, names[-1].split(b":"))
            if b"rbytes" in values:
                added = {name: int(values[key]) for key, name in _IO_ADDED_KEYS.items() if key in values}
                devices[major, minor] = IoStat(*(int(values[key]) for key in _IO_KEYS), **added)
        except (IndexError, KeyError, ValueError):
            raise ParseError(path, line.decode(errors="replace")) from None
    return devices


_IO_KEYS = (b"rbytes", b"wbytes", b"rios", b"wios")
_IO_ADDED_KEYS = {
    b"dbytes": "dbytes",
    b"dios": "dios",
    b"cost.usage": "cost_usage_usec",
    b"cost.wait": "cost_wait_usec",
    b"cost.indebt": "cost_indebt_usec",
    b"cost.indelay": "cost_indelay_usec",
}


def parse_blkio(raw: bytes, path: str) -> dict[Device, tuple[int, int]]:
    """Parse version 1's ``blkio.throttle.*``: reads and writes by device; the totals are left out.

    ::

        8:0 Read 4096
        8:0 Write 0
        Total 4096
    """
    reads: dict[Device, int] = {}
    writes: dict[Device, int] = {}
    for line in raw.splitlines():
        words = line.split()
        try:
            if words[0] in {b"Total", UNKNOWN_DEVICE}:
                continue
            major, minor = map(int, words[0].split(b":"))
            if words[1] in {b"Read", b"Write"}:
                (reads if words[1] == b"Read" else writes)[major, minor] = int(words[2])
        except (IndexError, ValueError):
            raise ParseError(path, line.decode(errors="replace")) from None
    return {device: (reads.get(device, 0), writes.get(device, 0)) for device in reads.keys() | writes.keys()}


def parse_numa_stat(raw: bytes, path: str) -> dict[str, dict[int, int]]:
    """Parse ``memory.numa_stat``: key to node to amount, bytes on version 2 and pages on version 1.

    ::

        anon N0=4096 N1=0
        total=4855 N0=4855
    """
    keys = {}
    for line in raw.splitlines():
        try:
            key, *pairs = line.split()
            nodes = (pair.removeprefix(b"N").split(b"=") for pair in pairs)
            keys[key.partition(b"=")[0].decode(errors="replace")] = {int(node): int(amount) for node, amount in nodes}
        except ValueError:
            raise ParseError(path, line.decode(errors="replace")) from None
    return keys


class KeyedLines:
    """Picks some keys out of a file of ``KEY VALUE`` lines, by the place where they were the last time.

    ``memory.stat`` has about 60 keys, of which few are wanted. Their order does not change while a kernel runs, but it
    is not promised, so all of them are compared. Half of the time that a dict of all takes.
    """

    def __init__(self, *keys: bytes) -> None:
        """Pick ``keys``, in this order."""
        self._keys = keys
        self._layout: list[bytes] | None = None
        self._places: list[int | None] = []

    def __call__(self, raw: bytes, path: str) -> list[int | None]:
        """Return the values in the order of the keys; None for a key that this kernel does not have."""
        words = raw.split()
        try:
            if words[::2] != self._layout:
                self._learn(raw)
            values = words[1::2]
            return [None if place is None else int(values[place]) for place in self._places]
        except ValueError:
            raise ParseError(path, raw.decode(errors="replace")) from None

    def _learn(self, raw: bytes) -> None:
        """Find the keys anew. A line of other than two words is a ValueError."""
        place_of = {key: place for place, (key, _) in enumerate(line.split() for line in raw.splitlines())}
        self._places = [place_of.get(key) for key in self._keys]
        self._layout = list(place_of)


def parse_cpu_stat(raw: bytes, path: str) -> CpuStat:
    """Parse version 2's ``cpu.stat``; the keys of the bandwidth are there only with the cpu controller."""
    usage, *others = _cpu_lines(raw, path)
    if usage is None:
        raise ParseError(path, raw.decode(errors="replace"))
    return CpuStat(usage, *others)


_cpu_lines = KeyedLines(*(field.encode() for field in CpuStat._fields))


def _v1_limit(raw: bytes, path: str) -> int | None:
    limit = parse_int(raw, path)
    return None if limit >= V1_UNLIMITED_BYTES else limit


def _cgroup_events(raw: bytes, path: str) -> CgroupEvents:
    values = parse_flat_keyed(raw, path)
    populated, frozen = values.get(b"populated"), values.get(b"frozen")
    return CgroupEvents(
        populated=None if populated is None else populated > 0, frozen=None if frozen is None else frozen > 0
    )


def _v1_is_frozen(raw: bytes, path: str) -> bool:
    del path
    return raw.strip() == b"FROZEN"


def _v1_cpu(
    stat: CpuStat | None,
    usage_ns: int | None,
    ticks: Mapping[bytes, int] | None,
    bandwidth: Mapping[bytes, int] | None,
) -> CpuStat | None:
    """Usage of version 2 where a hybrid host has the cgroup there; the bandwidth is version 1's alone."""
    if stat is None and usage_ns is not None:
        user, system = (ticks.get(b"user"), ticks.get(b"system")) if ticks else (None, None)
        stat = CpuStat(
            usage_ns // 1000,
            None if user is None else user * USER_HZ_USEC,
            None if system is None else system * USER_HZ_USEC,
        )
    if stat is None or bandwidth is None:
        return stat
    return CpuStat(
        stat.usage_usec,
        stat.user_usec,
        stat.system_usec,
        bandwidth.get(b"nr_periods"),
        bandwidth.get(b"nr_throttled"),
        _to_usec(bandwidth.get(b"throttled_time")),
        bandwidth.get(b"nr_bursts"),
        _to_usec(bandwidth.get(b"burst_time")),
    )


def _to_usec(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // 1000


def _v1_cpu_max(quota_usec: int | None, period_usec: int | None) -> CpuMax | None:
    if quota_usec is None or period_usec is None:
        return None
    return CpuMax(None if quota_usec < 0 else quota_usec, period_usec)


_MEMORY_FIELDS = (
    *("anon", "file", "inactive_file", "active_file", "file_mapped", "file_dirty", "file_writeback", "shmem"),
    *("unevictable", "kernel", "slab_reclaimable", "pgfault", "pgmajfault", "pgscan", "pgsteal"),
    *("workingset_refault_file", "workingset_refault_anon"),
)
"""Fields of `MemoryStat` that are keys of ``memory.stat``."""

_V1_MEMORY_FIELDS = {
    b"total_rss": "anon",
    b"total_cache": "file",
    b"total_inactive_file": "inactive_file",
    b"total_swap": "swap_current",
    b"total_active_file": "active_file",
    b"total_mapped_file": "file_mapped",
    b"total_dirty": "file_dirty",
    b"total_writeback": "file_writeback",
    b"total_shmem": "shmem",
    b"total_unevictable": "unevictable",
    b"total_pgfault": "pgfault",
    b"total_pgmajfault": "pgmajfault",
    b"total_workingset_refault_file": "workingset_refault_file",
    b"total_workingset_refault_anon": "workingset_refault_anon",
}
"""Key of version 1's to field."""


def _in_order(*names: str) -> Callable[..., MemoryStat]:
    """Make a `MemoryStat` of values that come in the order of ``names``; the fields not named are None."""
    order = itemgetter(*(names.index(field) if field in names else len(names) for field in MemoryStat._fields))
    return lambda *values: MemoryStat._make(order((*values, None)))


_EVENTS = {
    b"oom_kill": "oom_kill",
    b"high": "events_high",
    b"max": "events_max",
    b"oom_group_kill": "oom_group_kill",
}
"""Key of ``memory.events`` to field."""

_memory_stat = _in_order(
    *("current", "max", "peak", "swap_current", "oom_kill_local", "high", *_EVENTS.values(), *_MEMORY_FIELDS)
)
_v1_memory_stat = _in_order(
    *("current", "max", "peak", "oom_kill", "oom_kill_local", "events_max", "kernel", *_V1_MEMORY_FIELDS.values())
)


def _memory(
    current: int | None,
    limit: int | None,
    peak: int | None,
    swap_current: int | None,
    stat: Sequence[int | None] | None,
    events: Mapping[bytes, int] | None,
    local: Mapping[bytes, int] | None,
    high: int | None,
) -> MemoryStat:
    return _memory_stat(
        current,
        limit,
        peak,
        swap_current,
        local.get(b"oom_kill") if local else None,
        high,
        *([events.get(key) for key in _EVENTS] if events else _NONE[: len(_EVENTS)]),
        *(stat or _NONE[: len(_MEMORY_FIELDS)]),
    )


def _v1_memory(
    current: int | None,
    limit: int | None,
    peak: int | None,
    stat: Sequence[int | None] | None,
    oom_control: Mapping[bytes, int] | None,
    events_max: int | None = None,
    kernel: int | None = None,
) -> MemoryStat:
    oom_kill = oom_control.get(b"oom_kill") if oom_control else None
    stat = stat or _NONE[: len(_V1_MEMORY_FIELDS)]
    return _v1_memory_stat(current, limit, peak, oom_kill, oom_kill, events_max, kernel, *stat)


_NONE = (None,) * len(MemoryStat._fields)


def _v1_io(
    amounts: Mapping[Device, tuple[int, int]] | None, counts: Mapping[Device, tuple[int, int]] | None
) -> dict[Device, IoStat] | None:
    if amounts is None:
        return None
    return {device: IoStat(*sizes, *(counts or {}).get(device, (0, 0))) for device, sizes in amounts.items()}


def _pids(current: int | None, limit: int | None) -> PidsStat | None:
    return None if current is None else PidsStat(current, limit)


def _pressure(cpu: Pressure | None, memory: Pressure | None, io: Pressure | None) -> PressureStat:
    return PressureStat(cpu, memory, io)


def _v1_events(events: CgroupEvents | None, frozen: bool | None) -> CgroupEvents:  # noqa: FBT001  the second file
    return CgroupEvents(events.populated if events else None, frozen)


def _detail(sizes: Sequence[str], *values: Any) -> CgroupDetail:  # noqa: ANN401  what the parts below parse to
    """Put together the three files of each size of huge page, and then the fields that each other file has."""
    pages, files = values[: 3 * len(sizes)], values[3 * len(sizes) :]
    hugetlb = {
        size: HugetlbStat(current if reserved is None else reserved, events_max)
        for size, reserved, current, events_max in zip(sizes, pages[::3], pages[1::3], pages[2::3], strict=True)
        if (reserved, current, events_max) != (None, None, None)
    }
    fields = {field: value for file in files if file for field, value in file.items()}
    return CgroupDetail(hugetlb=hugetlb or None, **fields)


def _field(field: str, parse: Callable[[bytes, str], Any]) -> Callable[[bytes, str], dict[str, Any]]:
    """Take a whole file as a field of the detail."""
    return lambda raw, path: {field: parse(raw, path)}


def _keys(**key_of: bytes) -> Callable[[bytes, str], dict[str, Any]]:
    """Take some keys of a file as fields of the detail."""

    def parse(raw: bytes, path: str) -> dict[str, Any]:
        values = parse_flat_keyed(raw, path)
        return {field: values.get(key) for field, key in key_of.items()}

    return parse


def _v1_throttled_local_usec(raw: bytes, path: str) -> int | None:
    return _to_usec(parse_flat_keyed(raw, path).get(b"throttled_time"))


def _v1_soft_limit(raw: bytes, path: str) -> int:
    return _v1_limit(raw, path) or 0


def _v1_numa_bytes(raw: bytes, path: str) -> dict[str, dict[int, int]]:
    """Take the amounts with those of the cgroups below, as version 2 has them; old kernels have its own alone."""
    pages = parse_numa_stat(raw, path)
    return {
        key: {node: count * PAGE_BYTES for node, count in nodes.items()}
        for key in ("anon", "file", "unevictable")
        if (nodes := pages.get(f"hierarchical_{key}", pages.get(key))) is not None
    }


def _hugetlb_max(raw: bytes, path: str) -> int | None:
    return parse_flat_keyed(raw, path).get(b"max")


class Tier(IntEnum):
    """How often a file is read."""

    HOT = 0
    """Every time: it tells whether the cgroup has done anything at all."""
    WARM = 1
    """Whenever the cgroup has done something."""
    COLD = 2
    """Now and then: only people and runtimes change it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a section is read from."""

    hierarchy: str
    name: str
    parse: Callable[[bytes, str], Any]
    tier: Tier = Tier.WARM
    is_substitute: bool = False
    """Whether it is read only where the section's first file is not there."""
    is_first: bool = False
    """Whether it is read for the first frame, as the hot files are."""
    is_own: bool = False
    """Whether the cgroup above does not count what it tells, as none does of cold files."""


@dataclass(frozen=True, slots=True)
class Section:
    """A field of `CgroupSample`, and how it is built from files. All of them absent: the field is None."""

    field: str
    parts: tuple[Part, ...]
    build: Callable[..., Any] | None = None
    """None where one file's value is the field."""
    detail_parts: tuple[Part, ...] = ()
    """Files that are read only with the detail; built from last."""


_V2_SECTIONS = (
    Section("cpu", (Part(V2, "cpu.stat", parse_cpu_stat, Tier.HOT),)),
    Section("cpu_max", (Part(V2, "cpu.max", parse_cpu_max, Tier.COLD),)),
    Section(
        "memory",
        (
            Part(V2, "memory.current", parse_int, Tier.HOT),
            Part(V2, "memory.max", parse_int_or_max, Tier.COLD),
            Part(V2, "memory.peak", parse_int),
            Part(V2, "memory.swap.current", parse_int),
            Part(V2, "memory.stat", KeyedLines(*(field.encode() for field in _MEMORY_FIELDS)), is_first=True),
            Part(V2, "memory.events", parse_flat_keyed),
            Part(V2, "memory.events.local", parse_flat_keyed),
            Part(V2, "memory.high", parse_int_or_max, Tier.COLD),
        ),
        _memory,
    ),
    Section("io", (Part(V2, "io.stat", parse_io_stat),)),
    Section("pids", (Part(V2, "pids.current", parse_int), Part(V2, "pids.max", parse_int_or_max, Tier.COLD)), _pids),
    Section(
        "pressure",
        tuple(Part(V2, f"{name}.pressure", parse_pressure) for name in ("cpu", "memory", "io")),
        _pressure,
    ),
    Section("events", (Part(V2, "cgroup.events", _cgroup_events, is_first=True, is_own=True),)),
)

_V1_SECTIONS: Mapping[str, Section] = {
    "cpu": Section(
        "cpu",
        (
            Part(V2, "cpu.stat", parse_cpu_stat, Tier.HOT),
            Part("cpuacct", "cpuacct.usage", parse_int, Tier.HOT, is_substitute=True),
            Part("cpuacct", "cpuacct.stat", parse_flat_keyed, is_substitute=True),
            Part("cpu", "cpu.stat", parse_flat_keyed),
        ),
        _v1_cpu,
    ),
    "cpu_max": Section(
        "cpu_max",
        (
            Part("cpu", "cpu.cfs_quota_us", parse_int, Tier.COLD),
            Part("cpu", "cpu.cfs_period_us", parse_int, Tier.COLD),
        ),
        _v1_cpu_max,
    ),
    "memory": Section(
        "memory",
        (
            Part("memory", "memory.usage_in_bytes", parse_int, Tier.HOT),
            Part("memory", "memory.limit_in_bytes", _v1_limit, Tier.COLD),
            Part("memory", "memory.max_usage_in_bytes", parse_int),
            Part("memory", "memory.stat", KeyedLines(*_V1_MEMORY_FIELDS), is_first=True),
            Part("memory", "memory.oom_control", parse_flat_keyed),
        ),
        _v1_memory,
        (Part("memory", "memory.failcnt", parse_int), Part("memory", "memory.kmem.usage_in_bytes", parse_int)),
    ),
    "io": Section(
        "io",
        (
            Part("blkio", "blkio.throttle.io_service_bytes_recursive", parse_blkio),
            Part("blkio", "blkio.throttle.io_serviced_recursive", parse_blkio),
        ),
        _v1_io,
    ),
    "pids": Section(
        "pids", (Part("pids", "pids.current", parse_int), Part("pids", "pids.max", parse_int_or_max, Tier.COLD)), _pids
    ),
    "events": Section(
        "events",
        (
            Part(V2, "cgroup.events", _cgroup_events, is_first=True, is_own=True),
            Part("freezer", "freezer.state", _v1_is_frozen, is_first=True, is_own=True),
        ),
        _v1_events,
    ),
}

_V1_CONTROLLERS_OF: Mapping[str, tuple[str, ...]] = {
    "cpu": ("cpu", "cpuacct"),
    "cpu_max": ("cpu",),
    "memory": ("memory",),
    "io": ("blkio",),
    "pids": ("pids",),
    "events": ("freezer",),
}
"""Where version 1 has one of these controllers mounted, a section is read there."""


@dataclass(frozen=True, slots=True)
class _DetailFiles:
    """What is read of a controller for the detail, on either version. The parsers give fields of `CgroupDetail`."""

    controller: str
    v2: tuple[Part, ...]
    v1: tuple[Part, ...]
    option: str | None = None
    """Under which name it is asked for; None for what is always read."""


_DETAIL_CORE = (
    Part(V2, "irq.pressure", _field("irq_full_usec", parse_full_pressure)),
    Part(V2, "cgroup.stat", _keys(dying_descendants=b"nr_dying_descendants")),
)
"""What cgroups of version 2 have without a controller."""

_DETAIL_FILES = (
    _DetailFiles(
        "cpu",
        (
            Part(V2, "cpu.weight", _field("cpu_weight", parse_int), Tier.COLD),
            Part(V2, "cpu.stat.local", _keys(throttled_local_usec=b"throttled_usec")),
        ),
        (
            Part("cpu", "cpu.shares", _field("cpu_shares", parse_int), Tier.COLD),
            Part("cpu", "cpu.stat.local", _field("throttled_local_usec", _v1_throttled_local_usec)),
        ),
    ),
    _DetailFiles(
        "memory",
        (
            Part(V2, "memory.min", _field("memory_min", parse_int_or_inf), Tier.COLD),
            Part(V2, "memory.low", _field("memory_low", parse_int_or_inf), Tier.COLD),
            Part(V2, "memory.swap.max", _field("memory_swap_max", parse_int_or_inf), Tier.COLD),
            Part(V2, "memory.swap.events", _keys(swap_events_max=b"max", swap_events_fail=b"fail")),
        ),
        (Part("memory", "memory.soft_limit_in_bytes", _field("memory_low", _v1_soft_limit), Tier.COLD),),
    ),
    _DetailFiles(
        "memory",
        (Part(V2, "memory.numa_stat", _field("numa_bytes", parse_numa_stat)),),
        (Part("memory", "memory.numa_stat", _field("numa_bytes", _v1_numa_bytes)),),
        MEMORY_NUMA,
    ),
    _DetailFiles(
        "pids",
        (Part(V2, "pids.events", _keys(pids_events_max=b"max")),),
        (Part("pids", "pids.events", _keys(pids_events_max=b"max")),),
    ),
)


def _hugetlb_parts(hierarchy: str, size: str) -> tuple[Part, ...]:
    """The three files of one size of page: reserved, current, refused."""
    files: tuple[tuple[str, Callable[[bytes, str], int | None]], ...] = (
        (("rsvd.current", parse_int), ("current", parse_int), ("events", _hugetlb_max))
        if hierarchy == V2
        else (("rsvd.usage_in_bytes", parse_int), ("usage_in_bytes", parse_int), ("failcnt", parse_int))
    )
    return tuple(Part(hierarchy, f"hugetlb.{size}.{name}", parse) for name, parse in files)


def _page_name(size_kib: int) -> str:
    """Name a size of page as the controller's files do."""
    for unit, kib in (("GB", 1 << 20), ("MB", 1 << 10)):
        if size_kib >= kib:
            return f"{size_kib // kib}{unit}"
    return f"{size_kib}KB"


def _detail_section(hierarchies: Hierarchies, options: frozenset[str], sizes: Sequence[str]) -> Section:
    hugetlb = HUGETLB if HUGETLB in hierarchies.v1 else V2
    pages = [part for size in sizes for part in _hugetlb_parts(hugetlb, size)]
    files = [
        part
        for each in _DETAIL_FILES
        if each.option is None or each.option in options
        for part in (each.v1 if each.controller in hierarchies.v1 else each.v2)
    ]
    return Section("detail", (*pages, *_DETAIL_CORE, *files), partial(_detail, sizes))


def sections_of(
    hierarchies: Hierarchies, detail: frozenset[str] | None, sizes_kib: Sequence[int]
) -> tuple[Section, ...]:
    """Choose the files of a host; with ``detail``, those that are for the endpoint alone too, and what it names."""
    sections = [
        _V1_SECTIONS[section.field]
        if any(name in hierarchies.v1 for name in _V1_CONTROLLERS_OF.get(section.field, ()))
        else section
        for section in _V2_SECTIONS
    ]
    if detail is None:
        return tuple(sections)
    return (
        *(replace(section, parts=section.parts + section.detail_parts) for section in sections),
        _detail_section(hierarchies, detail, [_page_name(size) for size in sizes_kib]),
    )
