"""The host's totals, of a host made of files."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from fakes import HOST_NAMESPACES, MEMINFO_KB, PRESSURE, UPTIME_S, FakeHost

from topcon.errors import HostUnreadable, ParseError
from topcon.kernel.host import HostReader
from topcon.model.sample import (
    DiskStat,
    HostSample,
    MachineIds,
    MachineTopology,
    Namespaces,
    Pressure,
    PressureStat,
)

if TYPE_CHECKING:
    from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE = 4096


@pytest.fixture(autouse=True)
def _own_psutil_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give psutil's root, which a reader sets, back after the test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)


def reader_of(host: FakeHost, name_file: str | None = None, *, has_detail: bool = False) -> HostReader:
    return HostReader(host.proc_root, host.sys_root, name_file, has_detail=has_detail)


def quiet(total: int) -> Pressure:
    return Pressure(total, 0)


def test_the_totals_of_a_host(host: FakeHost) -> None:
    for at, name in enumerate(("cpu", "memory", "io"), start=1):
        host.write(f"proc/pressure/{name}", PRESSURE.format(some=at, full=0))

    sample = reader_of(host).read()

    assert (sample.name, sample.kernel, sample.cpus) == ("testhost", "6.12.0-test", 2)
    assert sample.uptime_s == UPTIME_S
    assert sample.load == (0.5, 0.4, 0.3)
    assert sample.memory_total_bytes == MEMINFO_KB["MemTotal"] * 1024
    assert sample.memory_used_bytes == (MEMINFO_KB["MemTotal"] - MEMINFO_KB["MemAvailable"]) * 1024
    assert sample.swap_total_bytes == 1024 * 1024
    assert sample.swap_used_bytes == 512 * 1024
    assert sample.pressure == PressureStat(quiet(1), quiet(2), quiet(3))
    assert sample.devices == {(8, 0): "sda", (8, 1): "sda1"}
    assert sample.namespaces == Namespaces(**HOST_NAMESPACES)
    assert sample.netns == (host.root / "proc/1/net/dev").stat().st_ino


def test_the_totals_are_of_now(host: FakeHost) -> None:
    reader = reader_of(host)
    before = reader.read()
    host.write("proc/loadavg", "9.50 8.40 7.30 1/100 4242\n")
    host.write("proc/uptime", f"{UPTIME_S + 1:.2f} 1.00\n")
    host.write("proc/partitions", "major minor  #blocks  name\n\n   8       16   1000 sdb\n")

    after = reader.read()

    assert after.load == (9.5, 8.4, 7.3)
    assert after.uptime_s == before.uptime_s + 1
    assert after.devices == {(8, 16): "sdb"}


def test_only_time_spent_on_something_is_busy(host: FakeHost) -> None:
    # user, nice, system, idle, iowait, irq, softirq, steal, guest (in user already), guest_nice (in nice)
    host.write("proc/stat", "cpu  1 20 300 4000 50000 600000 7000000 80000000 900000000 9000000000\n")

    busy_ticks = 1 + 20 + 300 + 600000 + 7000000 + 80000000
    assert reader_of(host).read().cpu_busy_s == pytest.approx(busy_ticks / TICKS_A_SECOND)


def test_the_cpu_time_of_the_host_adds_up(host: FakeHost) -> None:
    assert reader_of(host).read().cpu_busy_s == pytest.approx(2000 / TICKS_A_SECOND)


def test_a_host_without_swap(host: FakeHost) -> None:
    host.write(
        "proc/meminfo", "".join(f"{name}: {size} kB\n" for name, size in MEMINFO_KB.items() if "Swap" not in name)
    )
    sample = reader_of(host).read()

    assert (sample.swap_total_bytes, sample.swap_used_bytes) == (0, 0)


# What is not there.


def test_where_there_is_no_proc_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostUnreadable) as caught:
        HostReader(str(tmp_path / "proc"), str(tmp_path / "sys"))

    what, remedy = str(caught.value).split("; ")
    assert what == f"{tmp_path}/proc: No such file or directory"
    assert remedy == "topcon reads the host there: mount it, or name it with --proc-root"


def test_what_a_host_does_not_tell_is_unknown(host: FakeHost) -> None:
    for path in ("hostname", "osrelease", "random/boot_id"):
        (host.root / "proc/sys/kernel" / path).unlink()
    for path in ("loadavg", "partitions", "pressure/cpu", "pressure/memory", "pressure/io"):
        (host.root / "proc" / path).unlink()
    sample = reader_of(host).read()

    assert (sample.name, sample.kernel) == ("?", "?")
    assert sample.load is None
    assert sample.pressure is None
    assert sample.devices == {}
    assert sample.machine.boot_id == ""


def test_pressure_that_is_only_partly_there(host: FakeHost) -> None:
    (host.root / "proc/pressure/cpu").unlink()

    assert reader_of(host).read().pressure == PressureStat(None, quiet(0), quiet(0))


@pytest.mark.parametrize("name", ["uptime", "loadavg", "pressure/cpu", "partitions"])
def test_a_malformed_file_is_told(host: FakeHost, name: str) -> None:
    reader = reader_of(host)
    host.write(f"proc/{name}", "one\ntwo\nthree\n")

    with pytest.raises(ParseError, match=f"{host.proc_root}/{name}: cannot understand"):
        reader.read()


def test_an_empty_uptime_is_told(host: FakeHost) -> None:
    host.write("proc/uptime", "")

    with pytest.raises(ParseError, match="uptime: cannot understand ''"):
        reader_of(host).read()


# Block devices.


def test_all_block_devices_are_named_however_many(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"   7 {minor:8d} 10485760 loop{minor}\n" for minor in range(300)]
    host.write("proc/partitions", "major minor  #blocks  name\n\n" + "".join(lines))
    pread = os.pread
    read = os.read
    # The kernel hands out the lines that fit in a page, whatever was asked for.
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: whole_lines(pread(fd, min(size, PAGE), offset)))
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, min(size, PAGE)))

    assert len(reader_of(host).read().devices) == 300


def whole_lines(text: bytes) -> bytes:
    return text[: text.rfind(b"\n") + 1]


def test_unchanged_block_devices_are_the_same_object(host: FakeHost) -> None:
    reader = reader_of(host)

    assert reader.read().devices is reader.read().devices


# The detail.


SDA = DiskStat(100, 10, 2000, 30, 200, 20, 4000, 60, 1, 70, 90)
SDA1 = DiskStat(90, 9, 1800, 27, 180, 18, 3600, 54, 0, 63, 81)


def test_disks_and_partitions_are_counted_with_the_detail(host: FakeHost) -> None:
    reader = reader_of(host, has_detail=True)
    assert reader.read().disks == {"sda": SDA, "sda1": SDA1}

    host.write("proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")

    assert reader.read().disks == {"sda": DiskStat(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)}


def test_disks_that_have_done_nothing_are_the_same_object(host: FakeHost) -> None:
    reader = reader_of(host, has_detail=True)

    assert reader.read().disks is reader.read().disks


def test_what_the_machine_is_built_of_is_read_once(host: FakeHost) -> None:
    host.machine(sockets=2, cores=4)
    reader = reader_of(host, has_detail=True)
    topology = reader.read().topology
    assert topology is not None
    assert (topology.sockets, topology.physical_cores) == (2, 8)

    shutil.rmtree(host.root / "sys/devices")

    assert reader.read().topology is topology


def test_without_the_detail_none_of_it_is_opened(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.machine()
    opened, listed = [], []
    really, really_list = os.open, os.listdir
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append(path) or really(path, flags))
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or really_list(path))

    sample = reader_of(host).read()

    assert (sample.disks, sample.topology) == ({}, None)
    assert [path for path in opened if "diskstats" in path or "devices" in path] == []
    assert listed == []


def test_a_host_that_tells_nothing_of_its_disks_and_its_make(host: FakeHost) -> None:
    (host.root / "proc/diskstats").unlink()
    reader = reader_of(host, has_detail=True)
    sample = reader.read()

    assert (sample.disks, sample.topology) == ({}, MachineTopology())
    assert reader.malformed is None


@pytest.mark.parametrize(
    ("path", "lost"), [("proc/diskstats", "disks"), ("sys/devices/system/node/node1/distance", "topology")]
)
def test_what_is_malformed_of_the_detail_costs_itself_alone(host: FakeHost, path: str, lost: str) -> None:
    host.machine()
    whole = reader_of(host, has_detail=True).read()
    host.write(path, "far\n")
    reader = reader_of(host, has_detail=True)

    for _ in range(2):
        assert reader.read() == replace(whole, **{lost: getattr(HostSample("", "", 1, 0.0, 0.0, 0, 0), lost)})
        assert reader.malformed is not None
        assert reader.malformed.path == str(host.root / path)


def test_disks_come_back_with_their_form(host: FakeHost) -> None:
    host.write("proc/diskstats", "8 0 sda\n")
    reader = reader_of(host, has_detail=True)
    reader.read()
    host.write("proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")

    assert set(reader.read().disks) == {"sda"}
    assert reader.malformed is None


# Who the host is.


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("etc/os-release", 'PRETTY_NAME="Other Linux"\n', "Other Linux"),
        ("usr/lib/os-release", 'PRETTY_NAME="Shipped Linux"\n', "Shipped Linux"),
        ("etc/os-release", "ID=other\n", ""),
    ],
)
def test_the_system_is_named_as_the_host_has_it(host: FakeHost, path: str, text: str, name: str) -> None:
    (host.root / "etc/os-release").unlink()
    host.write(path, text)

    assert reader_of(host, str(host.root / "etc/hostname")).read().os_name == name


def test_a_host_that_does_not_name_its_system(host: FakeHost) -> None:
    (host.root / "etc/os-release").unlink()

    assert reader_of(host, str(host.root / "etc/hostname")).read().os_name == ""


def test_the_machine_is_told_by_three_ids(host: FakeHost) -> None:
    host.write("etc/hostname", "other\n")
    host.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    host.write("sys/class/dmi/id/product_uuid", "4c4c4544-0000-1000-8000-000000000000\n")
    sample = reader_of(host, str(host.root / "etc/hostname")).read()

    assert sample.name == "other"
    assert sample.machine == MachineIds(
        machine_id="0123456789abcdef0123456789abcdef",
        system_uuid="4c4c4544-0000-1000-8000-000000000000",
        boot_id="00000000-0000-4000-8000-000000000001",
    )


def test_dbus_knows_the_machine_where_systemd_does_not(host: FakeHost) -> None:
    host.write("etc/hostname", "other\n")
    host.write("var/lib/dbus/machine-id", "fedcba9876543210fedcba9876543210\n")

    machine = reader_of(host, str(host.root / "etc/hostname")).read().machine

    assert machine.machine_id == "fedcba9876543210fedcba9876543210"
    assert machine.system_uuid == ""


def test_ids_that_may_not_be_read_are_empty(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = host.write("sys/class/dmi/id/product_uuid", "4c4c4544-0000-1000-8000-000000000000\n")
    really = os.open

    def refusing_open(path: str, flags: int) -> int:
        if path == str(uuid):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing_open)
        reader = reader_of(host)

    assert reader.read().machine.system_uuid == ""


# Namespaces of process 1.


def without_namespaces_of_process_1(host: FakeHost) -> None:
    for kind in HOST_NAMESPACES:
        (host.root / f"proc/1/ns/{kind}").unlink()


def test_where_process_1_may_not_be_seen_our_own_namespaces_stand_for_its(host: FakeHost) -> None:
    without_namespaces_of_process_1(host)
    own = HOST_NAMESPACES | {"mnt": 4026532999}
    for kind, inode in own.items():
        link = host.root / f"proc/self/ns/{kind}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(f"{kind}:[{inode}]")
    own_net = host.root / "proc/self/net/dev"
    own_net.parent.mkdir()
    own_net.symlink_to(host.root / "proc/1/net/dev")

    assert reader_of(host).read().namespaces == Namespaces(**own)


def test_our_own_namespaces_are_not_the_hosts_where_the_network_is_another(host: FakeHost) -> None:
    without_namespaces_of_process_1(host)
    link = host.root / "proc/self/ns/net"
    link.parent.mkdir()
    link.symlink_to("net:[4026540001]")
    host.write("proc/self/net/dev", "")

    assert reader_of(host).read().namespaces == Namespaces()
