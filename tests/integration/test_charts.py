"""What charts and the overview say of real containers, against the kernel and the daemon at the same time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import SPIN
from tests.integration.inside import HIERARCHIES, ticking
from tests.integration.machine import until
from topcon.config import Config
from topcon.model.course import Kind
from topcon.model.sample import ContainerId
from topcon.ui.tabs.overview import Answers, look
from topcon.wiring.inside import build_inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Terminal
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.sampler import Sampler


def seen(sampler: Sampler, container: str) -> tuple[Snapshot, ContainerNode]:
    def found() -> tuple[Snapshot, ContainerNode] | None:
        snapshot = sampler.tick()
        return next(((snapshot, each) for each in snapshot.containers.values() if each.info.id == container), None)

    result: tuple[Snapshot, ContainerNode] = until(found, f"{container} is seen")
    return result


def cpu_usage_ns(pid: int) -> int:
    paths = {line.split(":")[1]: line.split(":")[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    if HIERARCHIES.v1:
        controllers = next(each for each in paths if "cpuacct" in each.split(","))
        return int(Path(f"{HIERARCHIES.v1['cpuacct']}{paths[controllers]}/cpuacct.usage").read_text())
    text = Path(f"{HIERARCHIES.v2}{paths['']}/cpu.stat").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("usage_usec"))) * 1000


def test_the_chart_of_cpu_adds_up_to_what_the_kernel_counts(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("busy")
    container = dockerd.run(name, SPIN, nano_cpus=300_000_000)
    pid = dockerd.state(name)["Pid"]
    with ticking(f"docker={dockerd.socket}") as (sampler, _):
        seen(sampler, container)
        began, began_ns = time.monotonic(), cpu_usage_ns(pid)
        first, _ = seen(sampler, container)
        for _ in range(8):
            time.sleep(0.25)
            snapshot, node = seen(sampler, container)
        elapsed_s, spent_ns = time.monotonic() - began, cpu_usage_ns(pid) - began_ns

    count = snapshot.tick - first.tick
    cores = node.usage.course.values(Kind.CPU, snapshot.tick, count)
    times_ns = snapshot.times.all_ns[-count - 1 :]
    added_s = sum((cores[at] or 0.0) * (times_ns[at + 1] - times_ns[at]) / 1e9 for at in range(count))
    assert added_s == pytest.approx(spent_ns / 1e9, rel=0.1)
    assert spent_ns / 1e9 / elapsed_s == pytest.approx(0.3, abs=0.1)
    throttled = node.usage.course.values(Kind.THROTTLED, snapshot.tick, count)
    assert max(value for value in throttled if value is not None) > 0.5


def test_the_overview_says_what_the_daemon_says(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("asked")
    host = dockerd.api.create_host_config(mem_limit="64m", mem_reservation="32m", cpu_shares=256, network_mode="none")
    health = {"test": ["CMD-SHELL", "echo poorly; exit 3"], "interval": 10**9, "retries": 1}
    created = dockerd.api.create_container(
        "topcon-test/busybox:latest",
        ["sleep", "100000"],
        name=name,
        host_config=host,
        user="1234:5",
        healthcheck=health,
    )
    dockerd.api.start(created["Id"])
    with ticking(f"docker={dockerd.socket}") as (sampler, runtimes):
        _, node = seen(sampler, created["Id"])
        inside = build_inside(Config(), runtimes)

        def answered() -> Answers | None:
            found = look(inside, node)
            return found if found.about.checks else None

        about = until(answered, "its health was checked").about

    said = dockerd.api.inspect_container(name)
    assert (about.user, about.digest, about.cpu_shares) == ("1234:5", said["Image"], 256)
    assert about.memory_reserved_bytes == 32 << 20
    assert [each.network for each in about.attachments] == list(said["NetworkSettings"]["Networks"])
    assert {(each.exit_code, each.output) for each in about.checks} == {(3, "poorly")}
    assert node.info.id == ContainerId(said["Id"])


def test_the_charts_are_seen(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("drawn")
    dockerd.run(name, SPIN, nano_cpus=200_000_000, mem_limit="64m")
    terminal.start("--read-only", f"--filter={name}")
    terminal.wait_for(name)
    terminal.press("Enter")
    terminal.wait_for("[overview]")

    terminal.press("Tab")

    shown = terminal.wait_for("[charts]", "limit 0.20 cores", "throttled", "limit 64.0M", "⣿")
    assert "working set" in shown
