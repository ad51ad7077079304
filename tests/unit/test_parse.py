"""Every parser of the kernel's texts: real lines, round trips, and bytes that no kernel ever wrote."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel.cgroup_files import (
    KeyedLines,
    parse_blkio,
    parse_cpu_max,
    parse_cpu_stat,
    parse_io_stat,
    parse_numa_stat,
)
from topcon.kernel.host import parse_diskstats, parse_os_name, parse_partitions
from topcon.kernel.mount import Mount, parse_mountinfo
from topcon.kernel.parse import (
    parse_flat_keyed,
    parse_full_pressure,
    parse_int,
    parse_int_or_inf,
    parse_int_or_max,
    parse_pressure,
)
from topcon.kernel.process import (
    ProcessStat,
    SignalMasks,
    count_established,
    parse_net_dev,
    parse_ns_pids,
    parse_signal_masks,
    parse_stat,
)
from topcon.kernel.topology import (
    CPUS,
    parse_cache_size,
    parse_cpu_list,
    parse_distances,
    parse_node_memory,
)
from topcon.model.sample import CpuMax, CpuStat, DiskStat, InterfaceStat, IoStat, Pressure

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/sys/fs/cgroup/some/file"
UINT64 = st.integers(0, 2**64 - 1)
DEVICES = st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1))
CENTI = st.integers(0, 10000).map(lambda hundredths: hundredths / 100)
# Machines that run tests are busy at times.

PARSERS = (
    parse_flat_keyed,
    parse_int,
    parse_int_or_max,
    parse_int_or_inf,
    parse_pressure,
    parse_full_pressure,
    parse_cpu_stat,
    parse_cpu_max,
    parse_io_stat,
    parse_numa_stat,
    parse_blkio,
    parse_mountinfo,
    parse_partitions,
    parse_diskstats,
    parse_cpu_list,
    parse_cache_size,
    parse_node_memory,
    parse_distances,
    parse_stat,
    parse_net_dev,
    KeyedLines(b"anon", b"file"),
)

# Bytes at random hardly ever get past the first word: words that kernels write, put together at random, do.
WORDS = st.sampled_from(
    (
        *(b"usage_usec", b"anon", b"file", b"some", b"full", b"max", b"Read", b"Write", b"Total", b"-", b"cgroup2"),
        *(b"avg10=0.00", b"avg60=nan", b"avg300=", b"total=7", b"8:0", b"8:", b":", b"rbytes=1", b"wbytes=2", b"=1"),
        *(b"rios=3", b"wios=4", b"wios=x", b"0", b"-1", b"18446744073709551616", b"(sh)", b")", b"S", b"/", b"eth0:"),
        *(b"NSpid:", b"SigCgt:", b"SigIgn:", b"\xff", b"\xb2", b"\0", b"\\040", b"\\777", b"(unknown)"),
        *(b"N0=1", b"N1=", b"anon=2", b"0-3", b"3-1", b"0-99999999999", b",", b"48K", b"Node 0 MemTotal:", b"kB"),
        *(b"cost.usage=5", b"dbytes=", b"sda", b"1 2 3 4 5 6 7 8 9 10 11"),
    )
)
GAPS = st.sampled_from((b" ", b"\n", b"\t", b"", b"\r", b"\x0c", b"\n\n"))
ANY_BYTES = st.binary() | st.lists(st.tuples(WORDS, GAPS)).map(lambda pairs: b"".join(map(b"".join, pairs)))


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: getattr(parse, "__name__", type(parse).__name__))
@given(raw=ANY_BYTES)
@example(raw=b"")
@example(raw=b"\n")
@example(raw=b" \n")
@example(raw=b"one\ntwo\n\n")
def test_any_bytes_parse_or_raise_a_parse_error(parse: Callable[[bytes, str], object], raw: bytes) -> None:
    try:
        parse(raw, PATH)
    except ParseError as error:
        assert error.path == PATH  # noqa: PT017  most bytes are meant to raise nothing


@given(ANY_BYTES)
def test_any_bytes_for_a_status_or_a_table_of_connections_are_read_as_far_as_they_go(raw: bytes) -> None:
    assert all(pid >= 0 for pid in parse_ns_pids(raw))
    assert isinstance(parse_signal_masks(raw), SignalMasks | None)
    assert 0 <= count_established(raw) <= len(raw.splitlines())
    assert parse_os_name(b"PRETTY_NAME=" + raw) is not None


def test_a_parse_error_names_the_file_and_shows_the_start_of_the_line() -> None:
    with pytest.raises(ParseError) as caught:
        parse_int(b"x" * 200, PATH)

    assert str(caught.value) == f"{PATH}: cannot understand '{'x' * 80}'"
    assert caught.value.line == "x" * 200


# Flat keyed files.


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"populated 1\nfrozen 0\n", {b"populated": 1, b"frozen": 0}),
        (
            b"low 0\nhigh 12\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n",
            {b"low": 0, b"high": 12, b"max": 3, b"oom": 1, b"oom_kill": 1, b"oom_group_kill": 0},
        ),
        (b"user 364544\nsystem 59232\n", {b"user": 364544, b"system": 59232}),
        (b"usage_usec 1\ncore_sched.force_idle_usec 0\n", {b"usage_usec": 1, b"core_sched.force_idle_usec": 0}),
        (b"", {}),
    ],
)
def test_flat_keyed_files_of_the_kernel(raw: bytes, values: dict[bytes, int]) -> None:
    assert parse_flat_keyed(raw, PATH) == values


@given(st.dictionaries(st.from_regex(rb"[a-z_.()0-9]{1,20}", fullmatch=True), UINT64))
def test_flat_keyed_text_comes_back_as_it_was(values: dict[bytes, int]) -> None:
    text = b"".join(b"%s %d\n" % item for item in values.items())

    assert parse_flat_keyed(text, PATH) == values


@pytest.mark.parametrize("raw", [b"usage_usec", b"usage_usec 1\nuser_usec", b"usage_usec one", b"usage_usec 1.5"])
def test_flat_keyed_text_without_a_number_to_each_key_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_flat_keyed(raw, PATH)


# Single values.


@pytest.mark.parametrize(("raw", "value"), [(b"0\n", 0), (b"9223372036854771712\n", 2**63 - 4096), (b"-1\n", -1)])
def test_a_file_of_one_number(raw: bytes, value: int) -> None:
    assert parse_int(raw, PATH) == value


@pytest.mark.parametrize("raw", [b"", b"\n", b"max\n", b"1 2\n", b"0x10\n"])
def test_a_file_that_should_hold_one_number_and_does_not_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_int(raw, PATH)


@pytest.mark.parametrize(("raw", "limit"), [(b"max\n", None), (b"67108864\n", 67108864), (b"0\n", 0)])
def test_a_limit_is_a_number_or_none_for_max(raw: bytes, limit: int | None) -> None:
    assert parse_int_or_max(raw, PATH) == limit
    assert parse_int_or_inf(raw, PATH) == (math.inf if limit is None else limit)


@pytest.mark.parametrize(
    ("raw", "limit", "cores"),
    [
        (b"max 100000\n", CpuMax(None, 100000), None),
        (b"25000 100000\n", CpuMax(25000, 100000), 0.25),
        (b"150000 50000\n", CpuMax(150000, 50000), 3.0),
    ],
)
def test_the_bandwidth_limit(raw: bytes, limit: CpuMax, cores: float | None) -> None:
    assert parse_cpu_max(raw, PATH) == limit
    assert limit.cores == cores


@pytest.mark.parametrize("raw", [b"", b"max\n", b"100000 max\n", b"1 2 3\n", b"MAX 100000\n"])
def test_a_bandwidth_limit_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_cpu_max(raw, PATH)


# cpu.stat


@pytest.mark.parametrize(
    ("raw", "stat"),
    [
        pytest.param(
            b"usage_usec 25607\nuser_usec 12845\nsystem_usec 12761\nnice_usec 0\n",
            CpuStat(25607, 12845, 12761),
            id="without the cpu controller",
        ),
        pytest.param(
            b"usage_usec 9648698\nuser_usec 8310213\nsystem_usec 1338485\nnice_usec 0\n"
            b"core_sched.force_idle_usec 0\nnr_periods 412\nnr_throttled 41\nthrottled_usec 2100345\n"
            b"nr_bursts 3\nburst_usec 4500\n",
            CpuStat(9648698, 8310213, 1338485, 412, 41, 2100345, 3, 4500),
            id="with it",
        ),
        pytest.param(b"usage_usec 7\n", CpuStat(7, None, None), id="usage alone"),
    ],
)
def test_the_cpu_time_of_version_2(raw: bytes, stat: CpuStat) -> None:
    assert parse_cpu_stat(raw, PATH) == stat


def test_cpu_time_without_a_usage_is_refused() -> None:
    with pytest.raises(ParseError):
        parse_cpu_stat(b"nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", PATH)


# Pressure.


def test_the_pressure_of_the_kernel() -> None:
    raw = (
        b"some avg10=74.31 avg60=77.07 avg300=75.48 total=3018990205\n"
        b"full avg10=0.51 avg60=0.57 avg300=0.48 total=16684333\n"
    )

    assert parse_pressure(raw, PATH) == Pressure(3018990205, 16684333)


def test_the_pressure_of_older_kernels_has_no_full_line_for_the_cpu() -> None:
    pressure = parse_pressure(b"some avg10=1.00 avg60=0.00 avg300=0.00 total=5420\n", PATH)

    assert pressure == Pressure(5420, None)


@pytest.mark.parametrize("raw", [b"", b"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"])
def test_pressure_without_a_some_line_is_none(raw: bytes) -> None:
    assert parse_pressure(raw, PATH) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"some\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00\n",
        b"some total\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1.5\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\n",
    ],
)
def test_pressure_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_pressure(raw, PATH)


def test_the_pressure_of_interrupts_has_a_full_line_alone() -> None:
    assert parse_full_pressure(b"full avg10=0.01 avg60=0.02 avg300=0.03 total=5420\n", PATH) == 5420
    assert parse_full_pressure(b"", PATH) is None


@given(st.builds(Pressure, UINT64, UINT64 | st.none()), CENTI)
def test_pressure_comes_back_as_it_was(pressure: Pressure, average: float) -> None:
    text = "".join(
        f"{name} avg10={average:.2f} avg60={average:.2f} avg300={average:.2f} total={usec}\n"
        for name, usec in (("some", pressure.some_usec), ("full", pressure.full_usec))
        if usec is not None
    )

    assert parse_pressure(text.encode(), PATH) == pressure


# io.stat


@pytest.mark.parametrize(
    ("raw", "devices"),
    [
        pytest.param(
            b"8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=5 dios=6\n",
            {(8, 0): IoStat(4096, 8192, 1, 2, 5, 6)},
            id="one",
        ),
        pytest.param(
            b"8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n",
            {(8, 0): IoStat(4096, 8192, 1, 2, None, None)},
            id="without discards",
        ),
        pytest.param(
            b"259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.vrate=100.00 cost.usage=7 use_delay=0\n",
            {(259, 0): IoStat(1, 2, 3, 4, 5, 6, cost_usage_usec=7)},
            id="with the cost model",
        ),
        pytest.param(
            b"259:0 rbytes=1 wbytes=2 rios=3 wios=4 cost.usage=7 cost.wait=8 cost.indebt=9 cost.indelay=10\n"
            b"259:1 cost.usage=7\n",
            {
                (259, 0): IoStat(
                    *(1, 2, 3, 4),
                    cost_usage_usec=7,
                    cost_wait_usec=8,
                    cost_indebt_usec=9,
                    cost_indelay_usec=10,
                )
            },
            # The last three only with blk_cgroup.blkcg_debug_stats=1.
            id="with all keys of the cost model",
        ),
        pytest.param(
            b"8:16 \n8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
            {(8, 0): IoStat(1, 2, 3, 4, 0, 0)},
            id="a device that has done nothing",
        ),
        pytest.param(b"252:0 ", {}, id="a device whose counters are not set up yet"),
        pytest.param(b"", {}, id="no device"),
        pytest.param(
            b"7:7 7:6 7:5 8:0 rbytes=28672 wbytes=0 rios=22 wios=0 dbytes=0 dios=0\n"
            b"7:3 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:9 7:8 \n",
            {(8, 0): IoStat(28672, 0, 22, 0, 0, 0), (7, 3): IoStat(1, 2, 3, 4, 0, 0)},
            # Linux 5.15 left out the newline after a device that has done nothing (kernel commit 252c651a4c85, mended
            # by "blk-cgroup: always terminate io.stat lines").
            id="idle devices on the line of a busy one",
        ),
        pytest.param(
            b"(unknown) rbytes=9 wbytes=9 rios=9 wios=9 dbytes=0 dios=0\n"
            b"259:1 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
            {(259, 1): IoStat(1, 2, 3, 4, 0, 0)},
            # https://github.com/canonical/lxd/issues/18609: the hidden paths of an NVMe disk with several.
            id="a device without a number",
        ),
    ],
)
def test_the_io_of_version_2(raw: bytes, devices: dict[tuple[int, int], IoStat]) -> None:
    assert parse_io_stat(raw, PATH) == devices


@pytest.mark.parametrize(
    "raw",
    [
        b"sda rbytes=1 wbytes=2 rios=3 wios=4\n",
        b"8:0:1 rbytes=1 wbytes=2 rios=3 wios=4\n",
        b"8:0 rbytes=1 wbytes=2\n",
        b"8:0 rbytes=1 wbytes=2 rios=3 wios=four\n",
        b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 cost.usage=1.5\n",
        b"8:0 rbytes=1 wbytes=2 rios=3 wios\n",
        b"8:0 rbytes=1=1 wbytes=2 rios=3 wios=4\n",
    ],
)
def test_io_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_io_stat(raw, PATH)


IO_KEYS = {
    "rbytes": "rbytes",
    "wbytes": "wbytes",
    "rios": "rios",
    "wios": "wios",
    "dbytes": "dbytes",
    "dios": "dios",
    "cost_usage_usec": "cost.usage",
    "cost_wait_usec": "cost.wait",
    "cost_indebt_usec": "cost.indebt",
    "cost_indelay_usec": "cost.indelay",
}


@given(st.dictionaries(DEVICES, st.builds(IoStat, *[UINT64] * 4, *[UINT64 | st.none()] * 6)))
def test_io_comes_back_as_it_was(devices: dict[tuple[int, int], IoStat]) -> None:
    text = ""
    for (major, minor), io in devices.items():
        values = ((key, getattr(io, field)) for field, key in IO_KEYS.items())
        text += f"{major}:{minor} {' '.join(f'{key}={value}' for key, value in values if value is not None)}\n"

    assert parse_io_stat(text.encode(), PATH) == devices


# blkio.throttle.*


@pytest.mark.parametrize(
    ("raw", "devices"),
    [
        pytest.param(
            b"8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 4096\n8:0 Async 8192\n8:0 Discard 0\n8:0 Total 12288\n"
            b"Total 12288\n",
            {(8, 0): (4096, 8192)},
            id="one",
        ),
        pytest.param(b"8:0 Read 1\n8:16 Write 2\nTotal 3\n", {(8, 0): (1, 0), (8, 16): (0, 2)}, id="half of each"),
        pytest.param(b"Total 0\n", {}, id="nothing was read or written"),
        pytest.param(
            b"(unknown) Read 9\n(unknown) Write 9\n(unknown) Total 18\n259:1 Read 1\n259:1 Write 2\nTotal 21\n",
            {(259, 1): (1, 2)},
            # https://github.com/containerd/cgroups/issues/393
            id="a device without a number",
        ),
    ],
)
def test_the_io_of_version_1(raw: bytes, devices: dict[tuple[int, int], tuple[int, int]]) -> None:
    assert parse_blkio(raw, PATH) == devices


@pytest.mark.parametrize("raw", [b"sda Read 1\n", b"8:0\n", b"8:0 Read\n", b"8:0 Write much\n", b"\n", b"8 Read 1\n"])
def test_io_of_version_1_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_blkio(raw, PATH)


@given(st.dictionaries(DEVICES, st.tuples(UINT64, UINT64)))
def test_io_of_version_1_comes_back_as_it_was(devices: dict[tuple[int, int], tuple[int, int]]) -> None:
    text = "".join(
        f"{major}:{minor} Read {reads}\n{major}:{minor} Write {writes}\n{major}:{minor} Total {reads + writes}\n"
        for (major, minor), (reads, writes) in devices.items()
    )

    assert parse_blkio(f"{text}Total 7\n".encode(), PATH) == devices


# memory.stat


MEMORY_STAT = b"anon 100\nfile 200\nkernel 300\ninactive_anon 1\ninactive_file 50\n"


def test_keys_are_picked_in_the_order_they_are_asked_for() -> None:
    assert KeyedLines(b"inactive_file", b"anon")(MEMORY_STAT, PATH) == [50, 100]


def test_a_key_that_the_kernel_does_not_have_is_none() -> None:
    pick = KeyedLines(b"anon", b"zswapped")

    assert pick(MEMORY_STAT, PATH) == [100, None]
    assert pick(MEMORY_STAT.replace(b"100", b"101"), PATH) == [101, None]


@pytest.mark.parametrize(
    "later",
    [
        b"file 2\nanon 1\nkernel 3\ninactive_anon 4\ninactive_file 5\n",
        b"anon 1\nkernel 3\nfile 2\n",
        b"kernel 3\nnew 4\nanon 1\nother 5\nanother 6\nfile 2\n",
    ],
)
def test_keys_are_found_again_where_they_have_moved_to(later: bytes) -> None:
    pick = KeyedLines(b"anon", b"file")
    pick(MEMORY_STAT, PATH)

    assert pick(later, PATH) == [1, 2]
    assert pick(MEMORY_STAT, PATH) == [100, 200]


@given(
    st.lists(
        st.tuples(st.permutations([b"anon", b"file", b"kernel", b"slab", b"shmem"]), st.lists(UINT64, min_size=5)),
        min_size=1,
    )
)
def test_picked_keys_have_the_values_that_a_dict_of_all_would_have(texts: list[tuple[list[bytes], list[int]]]) -> None:
    pick = KeyedLines(b"shmem", b"anon")
    for keys, numbers in texts:
        raw = b"".join(b"%s %d\n" % pair for pair in zip(keys, numbers, strict=False))
        values = parse_flat_keyed(raw, PATH)

        assert pick(raw, PATH) == [values[b"shmem"], values[b"anon"]]


@pytest.mark.parametrize("raw", [b"anon\nfile 1\n", b"anon many\nfile 1\n"])
def test_a_picked_key_without_a_number_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        KeyedLines(b"anon", b"file")(raw, PATH)


# memory.numa_stat


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        (b"anon N0=4096 N1=0\nfile N0=8192 N1=7\n", {"anon": {0: 4096, 1: 0}, "file": {0: 8192, 1: 7}}),
        # Version 1; nodes need not be numbered without gaps.
        (
            b"total=4855 N0=4000 N8=855\nhierarchical_total=5 N0=2 N8=3\n",
            {"total": {0: 4000, 8: 855}, "hierarchical_total": {0: 2, 8: 3}},
        ),
        (b"", {}),
    ],
)
def test_the_memory_of_each_node(raw: bytes, keys: dict[str, dict[int, int]]) -> None:
    assert parse_numa_stat(raw, PATH) == keys


@pytest.mark.parametrize("raw", [b"\n", b"anon N0\n", b"anon N0=x\n", b"anon 5\n", b"anon N0=1=2\n"])
def test_memory_of_nodes_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_numa_stat(raw, PATH)


# /proc/PID/stat and status


def _stat(comm: bytes, state: bytes = b"S", ppid: int = 1, start_ticks: int = 5_000_000) -> bytes:
    return (
        b"4242 (%s) %s %d 4242 4242 0 -1 4194560 1563 0 0 0 3 1 0 0 20 0 1 0 %d 2764800 304 18446744073709551615 1 1 0"
        b" 0 0 0 0 4096 134291456 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n" % (comm, state, ppid, start_ticks)
    )


@pytest.mark.parametrize(
    ("comm", "expected"),
    [
        (b"sleep", "sleep"),
        (b"tmux: server", "tmux: server"),
        (b"(sd-pam)", "(sd-pam)"),
        (b"a) S 1 (b", "a) S 1 (b"),
        (b") ", ") "),
        (b"", ""),
        (b"\xe9t\xe9", "\ufffdt\ufffd"),
        (b"two\nlines", "two\nlines"),
    ],
)
def test_a_command_may_hold_anything_even_brackets(comm: bytes, expected: str) -> None:
    assert parse_stat(_stat(comm), PATH) == ProcessStat(expected, "S", 1, 1, 5_000_000)


def test_a_zombie_has_its_state_and_its_parent() -> None:
    assert parse_stat(_stat(b"sh", b"Z", 77, 12), PATH) == ProcessStat("sh", "Z", 77, 1, 12)


@pytest.mark.parametrize("raw", [b"", b"4242 sleep S 1\n", b"4242 (sleep) S\n", b"4242 (sleep) S one" + b" 0" * 40])
def test_a_process_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_stat(raw, PATH)


STATUS = b"""\
Name:	nginx
Umask:	0022
NSpid:	4242	17	1
SigQ:	0/31192
SigPnd:	0000000000000000
SigBlk:	0000000000000000
SigIgn:	0000000040001000
SigCgt:	0000000198016a07
CapInh:	0000000000000000
"""


def test_the_pids_of_all_nested_namespaces_are_read() -> None:
    assert parse_ns_pids(STATUS) == (4242, 17, 1)
    assert parse_ns_pids(STATUS.replace(b"NSpid", b"NSPid")) == ()


def test_a_process_cannot_name_itself_a_line_of_its_status() -> None:
    # The kernel writes a newline in a name as two characters, a carriage return as it stands.
    status = STATUS.replace(b"nginx", b"a\rNSpid:\t7 1").replace(b"SigPnd", b"b\rSigCgt:\t0")

    assert parse_ns_pids(status) == (4242, 17, 1)
    assert parse_signal_masks(status) == parse_signal_masks(STATUS)


def test_the_signals_a_process_handles_and_ignores() -> None:
    masks = parse_signal_masks(STATUS)

    assert masks is not None
    assert masks == SignalMasks(caught=0x198016A07, ignored=0x40001000)
    assert [number for number in range(1, 32) if masks.handles(number)] == [1, 2, 3, 10, 12, 14, 15, 17, 28, 29]
    assert [number for number in range(1, 65) if masks.ignores(number)] == [13, 31]


@pytest.mark.parametrize("status", [b"", b"SigCgt:\t00\n", b"SigCgt:\n SigIgn:\n", b"SigCgt:\txyz\nSigIgn:\t00\n"])
def test_signals_that_are_not_told_are_none(status: bytes) -> None:
    assert parse_signal_masks(status) is None


# /proc/PID/net


NET_DEV_TITLES = (
    b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast|"
    b"bytes    packets errs drop fifo colls carrier compressed\n"
)


def _net_dev(name: bytes, counters: InterfaceStat, gap: bytes = b" ") -> bytes:
    receive = (counters.rx_bytes, counters.rx_packets, counters.rx_errs, counters.rx_drop)
    transmit = (counters.tx_bytes, counters.tx_packets, counters.tx_errs, counters.tx_drop)
    line = b"%7d %7d %4d %4d    0     0          0         9 " % receive
    return b"%6s:%s%s%8d %7d %4d %4d    0     0       0          0\n" % (name, gap, line, *transmit)


@pytest.mark.parametrize(
    ("line", "name", "counters"),
    [
        (
            b"  eth0: 603245681   12904    1    2    0     0          0         0   647674    7048    3    4 0 0 0 0\n",
            "eth0",
            InterfaceStat(603245681, 12904, 1, 2, 647674, 7048, 3, 4),
        ),
        (
            # Old kernels put no blank after the colon, and eight digits filled the column.
            b"  eth1:603245681 12904 1 2 0 0 0 0 647674 7048 3 4 0 0 0 0\n",
            "eth1",
            InterfaceStat(603245681, 12904, 1, 2, 647674, 7048, 3, 4),
        ),
        (
            b"br-8b15b3820c5b:       0       0    0    0    0     0          0         0     526 5    0    2 0 0 0 0\n",
            "br-8b15b3820c5b",
            InterfaceStat(0, 0, 0, 0, 526, 5, 0, 2),
        ),
        (b"eth0:1: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n", "eth0:1", InterfaceStat(1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_the_counters_of_an_interface(line: bytes, name: str, counters: InterfaceStat) -> None:
    assert parse_net_dev(NET_DEV_TITLES + line, PATH) == {name: counters}


def test_a_network_without_interfaces_is_empty() -> None:
    assert parse_net_dev(NET_DEV_TITLES, PATH) == {}


@pytest.mark.parametrize(
    "line", [b"\n", b"eth0: 1 2 3\n", b"eth0: 1 2 3 4 0 0 0 0 5 6 7\n", b"eth0: a b c d e f g h\n"]
)
def test_counters_in_another_form_are_refused(line: bytes) -> None:
    with pytest.raises(ParseError):
        parse_net_dev(NET_DEV_TITLES + line, PATH)


INTERFACE_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="/:"), min_size=1
)
COUNTERS = st.builds(InterfaceStat, *[UINT64] * 8)


@given(st.dictionaries(INTERFACE_NAMES, COUNTERS))
def test_interfaces_come_back_as_they_were(interfaces: dict[str, InterfaceStat]) -> None:
    lines = b"".join(_net_dev(name.encode(), counters) for name, counters in interfaces.items())

    assert parse_net_dev(NET_DEV_TITLES + lines, PATH) == interfaces


TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22146 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 31415 1 0 20 4 30 10 -1
   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 02:000AFC2B 00000000     0        0 27182 2 0 20 4 30 10 -1
   3: 0100007F:9C42 0100007F:1F90 06 00000000:00000000 03:000015B5 00000000     0        0 0 3 0
"""


def test_only_established_connections_are_counted() -> None:
    assert count_established(TCP) == 2
    assert count_established(TCP.splitlines(keepends=True)[0]) == 0


# mountinfo


@pytest.mark.parametrize(
    ("line", "mount"),
    [
        (
            b"25 31 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
            Mount(
                *((0, 22), "/", "/sys/fs/cgroup", "cgroup2", "cgroup2"),
                frozenset({"rw", "nsdelegate", "memory_recursiveprot"}),
            ),
        ),
        (
            b"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 master:4 - cgroup cgroup rw,cpu,cpuacct\n",
            Mount((0, 29), "/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cgroup", frozenset({"rw", "cpu", "cpuacct"})),
        ),
        (
            b"700 690 0:30 /../.. /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw\n",
            Mount((0, 30), "/../..", "/sys/fs/cgroup", "cgroup2", "cgroup", frozenset({"rw"})),
        ),
        (
            b"88 1 8:1 /a\\040b /mnt/my\\040disk\\011\\134 rw - ext4 /dev/disk\\040one rw\n",
            Mount((8, 1), "/a b", "/mnt/my disk\t\\", "ext4", "/dev/disk one", frozenset({"rw"})),
        ),
        (
            b"90 1 0:52 / /run/empty rw - tmpfs  rw,size=4k\n",
            Mount((0, 52), "/", "/run/empty", "tmpfs", "", frozenset({"rw", "size=4k"})),
        ),
        (
            b"91 1 0:4 net:[4026532200] /run/netns/a rw - nsfs nsfs rw\n",
            Mount((0, 4), "net:[4026532200]", "/run/netns/a", "nsfs", "nsfs", frozenset({"rw"})),
        ),
    ],
)
def test_a_mount_of_the_kernel(line: bytes, mount: Mount) -> None:
    assert parse_mountinfo(line, PATH) == [mount]


@pytest.mark.parametrize(
    "line", [b"\n", b"25 31 0:22 /\n", b"25 31 0:22 / /sys rw - \n", b"25 31 0:22 / /sys rw cgroup2 x rw\n"]
)
def test_a_mount_in_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError):
        parse_mountinfo(line, PATH)


def _mangled(name: bytes) -> bytes:
    for character in b"\\ \t\n":
        name = name.replace(b"%c" % character, b"\\%03o" % character)
    return name


FILE_NAMES = st.binary().map(lambda name: b"/" + name.replace(b"\0", b""))


@given(st.lists(st.tuples(FILE_NAMES, FILE_NAMES)))
@example([(b"/", b"/home/\r/x"), (b"/", b"/home/\x0b\x0c\x1c")])
@example([(b"/", "/home/one\u2028two\x85three".encode())])
@example([(b"/\\040", b"/ \\134")])
def test_mount_points_of_any_name_come_back_as_they_were(names: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(b"9 1 0:5 %s %s rw - tmpfs none rw\n" % (_mangled(root), _mangled(point)) for root, point in names)

    mounts = parse_mountinfo(raw, PATH)

    assert [(_bytes(mount.root), _bytes(mount.point)) for mount in mounts] == names


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


# /proc/partitions


@pytest.mark.parametrize(
    ("raw", "devices"),
    [
        (
            b"major minor  #blocks  name\n\n 254        0  268435456 vda\n   8       17   10485760 sdb1\n",
            {(254, 0): "vda", (8, 17): "sdb1"},
        ),
        (b"major minor  #blocks  name\n\n 104        0   35561280 cciss!c0d0\n", {(104, 0): "cciss/c0d0"}),
        (b"", {}),
    ],
)
def test_the_names_of_block_devices(raw: bytes, devices: dict[tuple[int, int], str]) -> None:
    assert parse_partitions(raw, PATH) == devices


@pytest.mark.parametrize("line", [b"8 0 sda\n", b"8 zero 1000 sda\n", b"\n"])
def test_block_devices_in_another_form_are_refused(line: bytes) -> None:
    with pytest.raises(ParseError):
        parse_partitions(b"major minor  #blocks  name\n\n" + line, PATH)


# /proc/diskstats


SDA = DiskStat(756576, 97101, 32768762, 421611, 3537257, 1216043, 101809144, 586366, 0, 343888, 1191939)
SDA_LINE = b"8 0 sda 756576 97101 32768762 421611 3537257 1216043 101809144 586366 0 343888 1191939"


@pytest.mark.parametrize(
    ("raw", "disks"),
    [
        pytest.param(SDA_LINE + b"\n", {"sda": SDA}, id="until Linux 4.17"),
        pytest.param(SDA_LINE + b" 87 90 45935360 165464\n", {"sda": SDA}, id="with discards"),
        pytest.param(SDA_LINE + b" 87 90 45935360 165464 235824 18496\n", {"sda": SDA}, id="with flushes"),
        pytest.param(SDA_LINE.replace(b"sda", b"cciss!c0d0"), {"cciss/c0d0": SDA}, id="in a directory"),
        pytest.param(
            SDA_LINE + b"\n   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11\n",
            {"sda": SDA, "sda1": DiskStat(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)},
            id="a partition too",
        ),
        pytest.param(b"", {}, id="none"),
    ],
)
def test_the_counters_of_disks(raw: bytes, disks: dict[str, DiskStat]) -> None:
    assert parse_diskstats(raw, PATH) == disks


@pytest.mark.parametrize("raw", [b"\n", SDA_LINE.replace(b"343888", b"?"), SDA_LINE.rpartition(b" ")[0]])
def test_counters_of_disks_in_another_form_are_refused(raw: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_diskstats(SDA_LINE + b"\n" + raw, PATH)

    assert caught.value.line.encode() == raw.strip()


# os-release


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', "Debian GNU/Linux 12 (bookworm)"),
        (b"PRETTY_NAME=Alpine\n", "Alpine"),
        (b"PRETTY_NAME='Fedora Linux 40'\n", "Fedora Linux 40"),
        (rb'PRETTY_NAME="The \"Best\" One"', 'The "Best" One'),
        (b'PRETTY_NAME="never closed\n', ""),
        (b"PRETTY_NAME=\n", ""),
        (b"NAME=Alpine\n", ""),
        (b"", ""),
        (b"PRETTY_NAME=\xff\n", "\ufffd"),
    ],
)
def test_the_name_of_the_system(raw: bytes, name: str) -> None:
    assert parse_os_name(raw) == name


# What the machine is built of.


@pytest.mark.parametrize(
    ("raw", "cpus"),
    [
        (b"0\n", {0}),
        (b"0-3,8\n", {0, 1, 2, 3, 8}),
        (b"1,65\n", {1, 65}),
        (b"\n", set()),
        (f"{CPUS - 1}\n".encode(), {CPUS - 1}),
    ],
)
def test_a_list_of_cpus(raw: bytes, cpus: set[int]) -> None:
    assert parse_cpu_list(raw, PATH) == cpus


@pytest.mark.parametrize("raw", [b"x\n", b"0-\n", b"-1\n", b"3-1\n", b"0,,1\n", b"0-99999999999\n"])
def test_what_is_no_list_of_cpus_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_cpu_list(raw, PATH)


@pytest.mark.parametrize(("raw", "size"), [(b"48K\n", 49152), (b"2M\n", 2097152), (b"512\n", 512), (b"0K\n", 0)])
def test_the_size_of_a_cache(raw: bytes, size: int) -> None:
    assert parse_cache_size(raw, PATH) == size


@pytest.mark.parametrize("raw", [b"\n", b"K\n", b"48KM\n", b"48 kB\n"])
def test_what_is_no_size_of_a_cache_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_cache_size(raw, PATH)


def test_the_memory_of_a_node() -> None:
    assert parse_node_memory(b"Node 0 MemTotal:       11495636 kB\nNode 0 MemFree: 10 kB\n", PATH) == 11495636 * 1024
    assert parse_node_memory(b"Node 0 MemFree:        10834064 kB\n", PATH) is None
    with pytest.raises(ParseError):
        parse_node_memory(b"Node 0 MemTotal: much kB\n", PATH)


def test_the_distances_of_a_node() -> None:
    assert parse_distances(b"10 21\n", PATH) == (10, 21)
    with pytest.raises(ParseError):
        parse_distances(b"10 far\n", PATH)


def test_a_signal_that_is_blocked_is_waited_for_by_other_means() -> None:
    # systemd as the first process of a machine: SIGTERM (15) and SIGRTMIN+3 (37) come through a descriptor.
    masks = parse_signal_masks(b"SigBlk:\t7fefc1fe28014a03\nSigIgn:\t0000000000001000\nSigCgt:\t00000000000004ec\n")

    assert masks is not None
    assert masks.handles(15)
    assert masks.handles(37)
    assert not masks.handles(9)


def test_a_status_without_a_mask_of_what_is_blocked_blocks_nothing() -> None:
    assert parse_signal_masks(b"SigIgn:\t0\nSigCgt:\t4000\n") == SignalMasks(caught=0x4000, ignored=0)
