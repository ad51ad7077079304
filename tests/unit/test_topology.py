"""What a machine made of files is built of, and what it does not say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from topcon.errors import ParseError
from topcon.kernel.topology import read_hugepage_sizes, read_topology
from topcon.model.sample import CpuCache, MachineTopology

if TYPE_CHECKING:
    from pathlib import Path

    from fakes import FakeHost

MIB = 1 << 20
SYSTEM = "sys/devices/system"


def test_a_machine_of_two_sockets_with_two_threads_a_core(host: FakeHost) -> None:
    host.machine(sockets=2, cores=2, threads=2)
    topology = read_topology(host.sys_root)

    assert (topology.sockets, topology.physical_cores) == (2, 4)
    assert topology.threads == {
        (0, 0, 0): 2,
        (0, 1, 1): 2,
        (1, 0, 2): 2,
        (1, 1, 3): 2,
        (0, 0, 4): 2,
        (0, 1, 5): 2,
        (1, 0, 6): 2,
        (1, 1, 7): 2,
    }
    assert Counter(topology.caches) == Counter(
        [
            *(CpuCache(node, core, "Data", 1, 48 * 1024) for node in (0, 1) for core in (0, 1)),
            *(CpuCache(node, core, "Instruction", 1, 32 * 1024) for node in (0, 1) for core in (0, 1)),
            *(CpuCache(node, None, "Unified", 3, 16 * MIB) for node in (0, 1)),
        ]
    )
    assert topology.node_memory_bytes == {0: MIB, 1: 2 * MIB}
    assert topology.node_hugepages == {(0, 2048): 3, (1, 2048): 4}
    assert topology.node_distances == {(0, 0): 10, (0, 1): 21, (1, 0): 21, (1, 1): 10}
    assert topology.dimms == {"Registered-DDR4": (4, 4 * 16384 * MIB)}


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert read_topology(str(tmp_path)) == MachineTopology()
    assert read_hugepage_sizes(str(tmp_path)) == ()


def test_a_kernel_that_knows_no_nodes_has_all_on_the_first(host: FakeHost) -> None:
    host.machine(sockets=1, cores=2, threads=1)
    (host.root / SYSTEM / "node").rename(host.root / "elsewhere")
    topology = read_topology(host.sys_root)

    assert topology.threads == {(0, 0, 0): 1, (0, 1, 1): 1}
    assert {cache.node for cache in topology.caches} == {0}
    assert (topology.node_memory_bytes, topology.node_hugepages, topology.node_distances) == ({}, {}, {})


def test_a_cpu_that_is_offline_counts_as_none(host: FakeHost) -> None:
    host.machine(sockets=1, cores=2, threads=2)
    # The kernel takes the folders away, and the CPU out of its sibling's list.
    for name in ("topology", "cache"):
        (host.root / SYSTEM / "cpu/cpu3" / name).rename(host.root / f"{name}3")
    host.write(f"{SYSTEM}/cpu/cpu1/topology/core_cpus_list", "1\n")
    topology = read_topology(host.sys_root)

    assert topology.physical_cores == 2
    assert topology.threads == {(0, 0, 0): 2, (0, 1, 1): 1, (0, 0, 2): 2}


def test_kernels_before_5_3_have_another_name_for_the_threads_of_a_core(host: FakeHost) -> None:
    host.machine()
    expected = read_topology(host.sys_root)
    for path in (host.root / SYSTEM / "cpu").glob("cpu*/topology/core_cpus_list"):
        path.rename(path.with_name("thread_siblings_list"))

    assert read_topology(host.sys_root) == expected


@pytest.mark.parametrize("package", [None, "-1\n"])
def test_sockets_that_the_kernel_was_not_told_of_are_unknown(host: FakeHost, package: str | None) -> None:
    host.machine(sockets=1, cores=2, threads=1)
    for path in (host.root / SYSTEM / "cpu").glob("cpu*/topology/physical_package_id"):
        path.unlink() if package is None else path.write_text(package)
    topology = read_topology(host.sys_root)

    assert (topology.sockets, topology.physical_cores) == (None, 2)


@pytest.mark.parametrize("name", ["core_id", "core_cpus_list"])
def test_a_cpu_whose_core_is_unknown_is_left_out(host: FakeHost, name: str) -> None:
    host.machine(sockets=1, cores=2, threads=1)
    (host.root / SYSTEM / f"cpu/cpu1/topology/{name}").unlink()

    assert read_topology(host.sys_root).threads == {(0, 0, 0): 1}


def test_a_part_of_a_socket_may_share_a_cache(host: FakeHost) -> None:
    host.machine(sockets=1, cores=4, threads=1)
    for cpu, shared in enumerate(("0-1", "0-1", "2-3", "2-3")):
        host.write(f"{SYSTEM}/cpu/cpu{cpu}/cache/index2/shared_cpu_list", f"{shared}\n")
    third = [cache for cache in read_topology(host.sys_root).caches if cache.level == 3]

    assert third == [CpuCache(0, None, "Unified", 3, 16 * MIB)] * 2


@pytest.mark.parametrize("name", ["level", "type", "size", "shared_cpu_list"])
def test_a_cache_that_is_not_fully_told_is_left_out(host: FakeHost, name: str) -> None:
    host.machine(sockets=1, cores=1, threads=1)
    (host.root / SYSTEM / f"cpu/cpu0/cache/index0/{name}").unlink()

    assert [cache.kind for cache in read_topology(host.sys_root).caches] == ["Instruction", "Unified"]


def test_memory_modules_are_counted_by_their_kind(host: FakeHost) -> None:
    modules = {
        "mc0/rank0": ("1024", "Unbuffered-DDR3"),
        "mc0/rank1": ("2048", "Unbuffered-DDR3"),
        "mc1/dimm0": ("4096", "Registered-DDR5"),
        "mc1/csrow0": ("8192", "Registered-DDR5"),
    }
    for module, (size, kind) in modules.items():
        host.write(f"{SYSTEM}/edac/mc/{module}/size", f"{size}\n")
        host.write(f"{SYSTEM}/edac/mc/{module}/dimm_mem_type", f"{kind}\n")
    host.write(f"{SYSTEM}/edac/mc/mc1/dimm1/size", "4096\n")
    host.write(f"{SYSTEM}/edac/mc/mc1/dimm2/dimm_mem_type", "Registered-DDR5\n")

    assert read_topology(host.sys_root).dimms == {
        "Unbuffered-DDR3": (2, 3072 * MIB),
        "Registered-DDR5": (1, 4096 * MIB),
    }


def test_nodes_may_be_numbered_with_gaps(host: FakeHost) -> None:
    host.machine(sockets=2)
    (host.root / SYSTEM / "node/node1").rename(host.root / SYSTEM / "node/node10")
    topology = read_topology(host.sys_root)

    assert topology.node_distances == {(0, 0): 10, (0, 10): 21, (10, 0): 21, (10, 10): 10}
    assert topology.node_memory_bytes == {0: MIB, 10: 2 * MIB}
    assert {node for node, _, _ in topology.threads} == {0, 10}


def test_distances_to_more_nodes_than_there_are_stay_unknown(host: FakeHost) -> None:
    host.machine(sockets=2)
    host.write(f"{SYSTEM}/node/node1/distance", "21 10 31\n")

    assert read_topology(host.sys_root).node_distances == {(0, 0): 10, (0, 1): 21}


def test_a_node_without_memory_or_huge_pages(host: FakeHost) -> None:
    host.machine(sockets=2)
    host.write(f"{SYSTEM}/node/node1/meminfo", "")
    (host.root / SYSTEM / "node/node0/hugepages/hugepages-2048kB/nr_hugepages").unlink()
    topology = read_topology(host.sys_root)

    assert topology.node_memory_bytes == {0: MIB}
    assert topology.node_hugepages == {(1, 2048): 4}


@pytest.mark.parametrize(
    "path",
    [
        "cpu/cpu0/topology/core_id",
        "cpu/cpu0/topology/core_cpus_list",
        "cpu/cpu0/topology/physical_package_id",
        "cpu/cpu0/cache/index0/level",
        "cpu/cpu0/cache/index0/size",
        "cpu/cpu0/cache/index0/shared_cpu_list",
        "node/node0/cpulist",
        "node/node0/distance",
        "node/node0/hugepages/hugepages-2048kB/nr_hugepages",
        "edac/mc/mc0/dimm0/size",
    ],
)
def test_a_malformed_file_is_told(host: FakeHost, path: str) -> None:
    host.machine()
    host.write(f"{SYSTEM}/{path}", "many\n")

    with pytest.raises(ParseError) as caught:
        read_topology(host.sys_root)

    assert caught.value.path == str(host.root / SYSTEM / path)


def test_the_sizes_of_huge_pages(host: FakeHost) -> None:
    for name in ("hugepages-1048576kB", "hugepages-2048kB", "other"):
        host.write(f"sys/kernel/mm/hugepages/{name}/nr_hugepages", "0\n")

    assert read_hugepage_sizes(host.sys_root) == (2048, 1048576)
