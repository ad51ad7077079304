"""Containers that come and go: nothing crashes, leaks or turns negative."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import IMAGE, until
from topcon.kernel.files import Access
from topcon.kernel.process import ProcFs

if TYPE_CHECKING:
    from tests.integration.conftest import Dockerd, Program, Terminal

CONTAINERS = 200
WORKERS = 4
NETWORKS = 1000
SPARE = 3
"""Descriptors that may differ from one moment to the next: a connection or two, a file that is being read."""


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _kept(pid: int) -> list[str]:
    """What is open of containers that are gone; others may run on the machine, and be watched."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    return [
        link
        for link in links
        if "(deleted)" in link or (re.search("/docker/[0-9a-f]{64}/", link) and not Path(link).exists())
    ]


def _churned(terminal: Terminal) -> list[str]:
    """The lines of the screen that are of containers that come and go."""
    return [line for line in terminal.text().splitlines() if "churn-" in line]


def test_two_hundred_come_and_go(dockerd: Dockerd, topcon: Program, terminal: Terminal) -> None:
    def come_and_go(index: int) -> None:
        container = dockerd.api.create_container(IMAGE, ["sleep", "1000"], name=f"churn-{index}")["Id"]
        dockerd.api.start(container)
        time.sleep(0.3)
        dockerd.api.remove_container(container, force=True)

    # The first one leaves the cgroup behind that all are made in.
    come_and_go(CONTAINERS)
    terminal.start("--interval", "0.2")
    terminal.wait_for("quit")
    with topcon.started("serve", "--listen", "127.0.0.1:0", "--interval", "0.2") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        time.sleep(3)
        pids = [terminal.pid(), process.pid]
        before = [_descriptors(pid) for pid in pids]
        negative: list[str] = []
        with ThreadPoolExecutor(WORKERS) as pool:
            work = [pool.submit(come_and_go, index) for index in range(CONTAINERS)]
            while not all(each.done() for each in work):
                negative += _negative(url)
                time.sleep(0.5)
            for each in work:
                each.result()
        until(lambda: all("gone" in line for line in _churned(terminal)), "the last ones are seen to be gone")
        terminal.press("_")
        until(lambda: not _churned(terminal), "nothing of them is shown where what is gone is hidden")

        assert negative == []
        assert process.poll() is None
        until(
            lambda: all(_descriptors(pid) <= count + SPARE for pid, count in zip(pids, before, strict=True)),
            f"descriptors go back to {before}, but are {[_kept(pid) for pid in pids]}",
        )
        assert [_kept(pid) for pid in pids] == [[], []]
    terminal.press("q")
    assert terminal.wait_for_end() == 0


def test_networks_that_are_taken_down_while_they_are_read() -> None:
    """The kernel says ENXIO to about one in a hundred of these; nothing in topcon may end by it."""
    access = Access()
    processes = ProcFs("/proc", access)
    for _ in range(NETWORKS):
        with subprocess.Popen(["unshare", "--net", "true"]) as process:
            while processes.interfaces(process.pid) is not None:
                pass
    assert access.refused is None


def _negative(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    return [
        f"{sample.name}{sample.labels} {sample.value}"
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.value < 0
    ]
