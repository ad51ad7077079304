"""Measure topcon, and write the figures to ``docs/performance.md``: ``make bench``.

Each figure is a ratio to something else measured in the same run, pair by pair, since machines differ and are noisy.
Nothing is asserted here.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import exposition  # noqa: E402  beside this file
from fakes import FakeHost  # noqa: E402  tests/ is not installed
from terminal import on_terminal  # noqa: E402  the same

from topcon.model.sample import CgroupPath  # noqa: E402  the same
from topcon.runtimes.paths import classify  # noqa: E402  the same

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = 9
TICKS = 20
CONTAINERS = (100, 1000)
PYTHON = sys.executable
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0b3c5d7e_1234_4abc_8def_{0:012x}.slice"
PATHS = (
    "/system.slice/unit-{0}.service",
    "/system.slice/system-getty.slice/getty@tty{0}.service",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-{0}.scope",
    "/system.slice/docker-{0:064x}.scope",
    "/docker/{0:064x}",
    POD,
    f"{POD}/cri-containerd-{{0:064x}}.scope",
    "/machine.slice/libpod-{0:064x}.scope/container",
    "/lxc.payload.web{0}/system.slice/cron.service",
    "/name/of-{0}",
)


@dataclass
class Figure:
    """A measurement beside what it is compared with, both in seconds."""

    name: str
    against: str
    pairs: list[tuple[float, float]]

    unit: str = "ms"

    def row(self) -> str:
        scale = {"ms": 1000, "MiB": 1}[self.unit]
        ours, theirs = (statistics.median(column) * scale for column in zip(*self.pairs, strict=True))
        ratios = sorted(one / other for one, other in self.pairs)
        return (
            f"| {self.name} | {ours:.1f} {self.unit} | {self.against} | {theirs:.1f} {self.unit} "
            f"| **{statistics.median(ratios):.2f}** | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
        )


def timed(command: list[str]) -> float:
    """How long a command takes, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def first_frame() -> float:
    """How long it takes from the start of topcon to the titles of the tree, on a terminal of its own."""
    begun = time.perf_counter()
    with on_terminal([PYTHON, "-m", "topcon"]) as (_, controller):
        shown = b""
        while b"NAME" not in shown or b"STATE" not in shown:
            shown += os.read(controller, 65536)
        return time.perf_counter() - begun


def ticks(containers: int, change: Callable[[FakeHost, int], None]) -> list[tuple[float, float]]:
    """Time ticks beside a plain loop that opens and reads the same files; a pair a tick."""
    pairs = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        host = FakeHost(Path(folder))
        for index in range(containers):
            host.container(f"/system.slice/docker-{index:064x}.scope", 1000 + index, usage_usec=index)
        sampler = host.sampler()
        sampler.tick()
        files = [path for path in Path(host.cgroup_root).rglob("*") if path.is_file() and path.name != "cgroup.procs"]
        for round_ in range(1, TICKS + 1):
            change(host, round_)
            begun = time.perf_counter()
            sampler.tick()
            middle = time.perf_counter()
            for path in files:
                with open(path, "rb") as file:  # noqa: PTH123  the plain way
                    file.read()
            pairs.append((middle - begun, time.perf_counter() - middle))
        sampler.close()
    return pairs


def placings(count: int) -> list[tuple[float, float]]:
    """Time the classifying of cgroup paths that it has not seen; beside it a ``stat`` each, as the walk makes."""
    pairs = []
    for round_ in range(PAIRS):
        paths = [
            CgroupPath(pattern.format(round_ * count + index))
            for index in range(0, count, len(PATHS))
            for pattern in PATHS
        ]
        begun = time.perf_counter()
        for path in paths:
            classify(path)
        middle = time.perf_counter()
        for _ in paths:
            os.stat("/proc/self/mounts")  # noqa: PTH116  the plain way
        pairs.append((middle - begun, time.perf_counter() - middle))
    return pairs


def nothing(host: FakeHost, round_: int) -> None:
    """Leave everything as it is."""


def figures() -> list[Figure]:
    """Take all measurements."""
    topcon = [PYTHON, "-m", "topcon"]
    result = [
        Figure(
            "`topcon --help`",
            "`python3 -c pass`",
            [(timed([*topcon, "--help"]), timed([PYTHON, "-c", "pass"])) for _ in range(PAIRS)],
        ),
        Figure(
            "first frame of the tree",
            "`python3 -c 'import textual.app'`",
            [(first_frame(), timed([PYTHON, "-c", "import textual.app"])) for _ in range(PAIRS)],
        ),
    ]
    result.append(
        Figure(
            "saying of 1,000 new cgroup paths what they are",
            "one `stat` for each",
            placings(1000),
        )
    )
    result += [
        Figure(
            f"a tick of {count} idle containers: read, derive, findings",
            "opening and reading the same files in a plain loop",
            ticks(count, nothing),
        )
        for count in CONTAINERS
    ]
    return result + scrapes()


def scrapes() -> list[Figure]:
    """Measure the endpoint, with 1,000 containers and 50 families."""
    both = exposition.both()
    quiet, busy = exposition.lateness(both)
    late = [exposition.percentile(busy, 0.99), exposition.percentile(quiet, 0.99)]
    return [
        Figure("writing a page of 1,000 containers", "`generate_latest`, the same bytes", exposition.writing(both)),
        Figure("scraping it with gzip", "`start_http_server`", exposition.scraping(both)),
        Figure(
            "what a scrape adds to the peak of memory",
            "`generate_latest` and `gzip.compress`",
            [exposition.memory() for _ in range(3)],
            "MiB",
        ),
        Figure("how late a screen is while scrapes run back to back (p99)", "nobody scrapes", [(late[0], late[1])]),
    ]


def main() -> None:
    """Measure and write."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")  # noqa: PTH123, SIM115
    system = f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    machine = f"{os.cpu_count()} CPUs ({cpu}), {system}"
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; each figure is the median of pairs measured in turn in one run.",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d}, {machine}",
        "- Files of the ticks are on a tmpfs: the kernel's own work for cgroup files comes on top, on both sides.",
        "",
        "| what | median | beside | median | ratio | least to greatest |",
        "| --- | --- | --- | --- | --- | --- |",
        *(figure.row() for figure in figures()),
    ]
    (ROOT / "docs/performance.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
