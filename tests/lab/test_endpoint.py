"""The endpoint as a service on a pure version 2 host: without root, and with the kernel's own numbers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.machine import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.conftest import Lab

UNIT = "/etc/systemd/system/topcon.service"
PATIENCE_S = 120.0
FILES = ("cpu.stat", "cpu.max", "memory.current", "memory.stat", "memory.swap.current", "io.stat")
CAPABILITIES = {2: "CAP_DAC_READ_SEARCH", 19: "CAP_SYS_PTRACE"}
"""Number (linux/capability.h) to name: all that the unit gives."""
TRIES = 30

Values = dict[str, float]
Page = dict[str, dict[str, Values]]
"""Family, cgroup, labels of its own joined by commas: value."""


def fetch(lab: Lab, path: str = "/metrics") -> str:
    return lab.ssh(
        f"python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9338{path}').read().decode())\""
    )


def parsed(page: str) -> Page:
    """By family and cgroup; topcon's own families of containers among them."""
    read: Page = {}
    for family in text_string_to_metric_families(page + "\n"):
        for sample in family.samples:
            own = [sample.labels[name] for name in ("cpu", "device", "interface") if name in sample.labels]
            of_cgroup = read.setdefault(sample.name, {}).setdefault(sample.labels.get("id", ""), {})
            of_cgroup[",".join(own)] = sample.value
    return read


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[str]:
    """The unit, started; its main process."""
    lab.ssh(f"/opt/topcon/bin/topcon setup systemd > {UNIT} && systemctl daemon-reload && systemctl start topcon")
    try:
        # A survey is made of what is dear, and Docker's socket is not this user's.
        until(lambda: "container_processes" in fetch(lab), "the first survey", PATIENCE_S)
        yield lab.ssh("systemctl show -P MainPID topcon")
    finally:
        lab.ssh(f"systemctl stop topcon; rm {UNIT}; systemctl daemon-reload")


def test_systemd_finds_nothing_wrong_with_the_unit(lab: Lab, service: str) -> None:
    assert lab.ssh(f"systemd-analyze verify {UNIT} 2>&1") == ""
    assert lab.ssh("systemctl is-active topcon") == "active"
    assert int(service) > 1


def test_it_is_nobody_with_two_capabilities(lab: Lab, service: str) -> None:
    status = dict(line.split(":", 1) for line in lab.ssh(f"cat /proc/{service}/status").splitlines())

    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split() + status["Groups"].split()
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        held = {number for number in range(64) if int(status[kind], 16) >> number & 1}
        assert held == set(CAPABILITIES), kind
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.usefixtures("service")
def test_it_names_what_runs_without_being_let_at_a_daemon(lab: Lab) -> None:
    page = fetch(lab)

    for name in ("shop-web-1", "books-api", "adhoc", "sidecar"):
        assert f'name="{name}"' in page, name
    assert 'topcon_container_info{compose_project="shop"' in page
    assert 'type="mnt"' in page
    assert "container_file_descriptors{" in page
    assert 'container_fs_usage_bytes{container="",device="/dev/' in page
    assert 'topcon_pod_info{id="/kubepods.slice' in page
    assert fetch(lab, "/readyz") == "ok"


def test_it_has_nothing_open_to_write_to(lab: Lab, service: str) -> None:
    opened = lab.ssh(f"find /proc/{service}/fd -type l -printf '%m %l\\n'").splitlines()
    # The mode of a link in /proc/PID/fd says what it was opened for; 2 is the owner's bit to write.
    writable = {line.split(" ", 1)[1] for line in opened if int(line.split()[0], 8) & 0o200}

    assert len(opened) > 100
    assert all(name.startswith(("socket:", "anon_inode:", "/dev/null")) for name in writable), writable


def _of_kernel(files: dict[str, str], network: str | None) -> tuple[dict[str, Values], dict[str, Values]]:
    """The counters and the levels of tier one, as the kernel's files have them."""
    cpu = {key: int(value) for key, value in (line.split() for line in files["cpu.stat"].splitlines())}
    memory = {key: int(value) for key, value in (line.split() for line in files["memory.stat"].splitlines())}
    counters: dict[str, Values] = {"container_cpu_usage_seconds_total": {"total": cpu["usage_usec"] / 1e6}}
    if not files["cpu.max"].startswith("max"):
        counters |= {
            "container_cpu_cfs_periods_total": {"": cpu["nr_periods"]},
            "container_cpu_cfs_throttled_periods_total": {"": cpu["nr_throttled"]},
        }
    for line in files["io.stat"].splitlines():
        number, *pairs = line.split()
        if not pairs:
            continue
        stat = dict(pair.split("=") for pair in pairs)
        device = {"254:0": "/dev/vda"}.get(number)
        assert device, f"the guest's disk is not {number}"
        for name, key in (
            ("reads_bytes", "rbytes"),
            ("writes_bytes", "wbytes"),
            ("reads", "rios"),
            ("writes", "wios"),
        ):
            counters.setdefault(f"container_fs_{name}_total", {})[device] = int(stat[key])
    for line in (network or "").splitlines()[2:]:
        interface, _, numbers = line.partition(":")
        if interface.strip() == "lo":
            continue
        words = [int(word) for word in numbers.split()]
        for direction, start in (("receive", 0), ("transmit", 8)):
            for at, what in enumerate(("bytes", "packets", "errors", "packets_dropped")):
                family = f"container_network_{direction}_{what}_total"
                counters.setdefault(family, {})[interface.strip()] = words[start + at]
    current = int(files["memory.current"])
    levels = {
        "container_memory_usage_bytes": current,
        "container_memory_working_set_bytes": max(current - memory["inactive_file"], 0),
        "container_memory_rss": memory["anon"],
        "container_memory_cache": memory["file"],
        "container_memory_swap": int(files["memory.swap.current"]),
    }
    return counters, {name: {"": value} for name, value in levels.items()}


@pytest.mark.usefixtures("service")
def test_each_counter_is_the_kernels_at_that_time(lab: Lab) -> None:
    """Read before and after: a counter lies between, and a level is the same as soon as it stands still."""
    shown = [container for pod in lab.ps()["pods"] for container in pod["containers"] if container["pid"]]
    cgroups = {each["cgroup"]: each for each in shown if each["runtime"] != "none" and not each["outer"]}
    owners = parsed(fetch(lab))["container_network_receive_bytes_total"].keys() & cgroups.keys()
    found: set[tuple[str, str]] = set()
    assert len(cgroups) > 10
    assert owners

    def read() -> dict[str, tuple[dict[str, Values], dict[str, Values]]]:
        files = lab.cgroups(list(cgroups), FILES)
        networks = {path: lab.ssh(f"cat /proc/{cgroups[path]['pid']}/net/dev") for path in owners}
        return {path: _of_kernel(files[path], networks.get(path)) for path in cgroups}

    for _ in range(TRIES):
        before = read()
        # Until a sample that began after this has been taken.
        since = float(lab.ssh("date +%s.%N"))
        page: Page = {}
        while page.get("topcon_snapshot_timestamp_seconds", {}).get("", {}).get("", 0.0) <= since:
            time.sleep(0.5)
            page = parsed(fetch(lab))
        after = read()
        for path in cgroups:
            for family, values in before[path][0].items():
                served = page.get(family, {}).get(path, {})
                for own, value in values.items():
                    assert value <= served[own] <= after[path][0][family][own], (path, family, own)
            for family, values in before[path][1].items():
                # What was up and is down again, as with a health check, is another value in between.
                if values == after[path][1][family] == {own: page[family][path][own] for own in values}:
                    found.add((path, family))
        waiting = {(path, family) for path in cgroups for family in before[path][1]} - found
        if not waiting:
            return
    pytest.fail(f"never the same: {waiting}")


@pytest.mark.usefixtures("service")
def test_the_machine_is_the_kernels(lab: Lab) -> None:
    page = parsed(fetch(lab))
    total_kib = int(lab.ssh("awk '/MemTotal/ {print $2}' /proc/meminfo"))

    assert page["machine_memory_bytes"][""][""] == total_kib * 1024
    assert page["machine_cpu_cores"][""][""] == int(lab.ssh("nproc"))
    assert set(page["container_last_seen"]) >= {"/", "/system.slice", "/kubepods.slice"}
