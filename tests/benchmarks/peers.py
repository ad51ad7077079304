"""Measure what watching a Docker host costs, with topcon and with its peers: ``make peers``, as root.

Starts a Docker daemon of its own with containers that sleep, runs each program in turn on a terminal for a while, and
counts the CPU time of the program with its children, and of the daemon with its containerd and shims. What the daemon
costs without anybody watching is measured first, and taken off.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from integration.conftest import running_dockerd  # noqa: E402  tests/ is not installed
from terminal import on_terminal, read_for  # noqa: E402  the same

SECONDS = 30
WARM_UP_S = 8
COUNT = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DAEMONS = ("dockerd", "containerd")
"""The beginnings of the names of what Docker runs; what it watches over runs under other names."""


class Process(NamedTuple):
    """A process, with the CPU seconds of children that it has waited for."""

    name: str
    parent: int
    seconds: float
    command: str


def processes() -> dict[int, Process]:
    """Read all processes."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            seconds = sum(map(int, fields[11:15])) / TICKS_PER_S
            found[int(entry.name)] = Process(name, int(fields[1]), seconds, (entry / "cmdline").read_text())
    return found


def seconds_used(folder: Path, watcher: int | None = None) -> tuple[float, float]:
    """CPU seconds of a watching process with all that descend from it, and of the daemons that live in a folder."""
    found = processes()
    family: set[int] = set()
    grown = {watcher} & found.keys()
    while grown != family:
        family = grown
        grown = family | {pid for pid, process in found.items() if process.parent in family}
    daemons = [each for each in found.values() if each.name.startswith(DAEMONS) and str(folder) in each.command]
    return sum(found[pid].seconds for pid in family), sum(process.seconds for process in daemons)


def main() -> None:
    """Measure all of them."""
    beside = Path(sys.executable).parent
    with running_dockerd() as daemon:
        candidates = {
            "topcon": [sys.executable, "-m", "topcon", "--runtime", f"docker={daemon.socket}"],
            "docker stats": ["docker", "stats"],
            "glances": [shutil.which("glances", path=f"{beside}:{os.environ['PATH']}") or "glances", "--time", "1"],
        }
        for index in range(COUNT):
            daemon.run(f"sleeper-{index}")
        time.sleep(WARM_UP_S)
        _, before = seconds_used(daemon.folder)
        time.sleep(SECONDS)
        alone = seconds_used(daemon.folder)[1] - before
        print(f"{COUNT} containers that sleep, {SECONDS} s, % of one core; the daemons alone: {alone / SECONDS:.1%}")
        for name, command in candidates.items():
            if not shutil.which(command[0]):
                print(f"{name}: not installed")
                continue
            with on_terminal(command, DOCKER_HOST=f"unix://{daemon.socket}") as (process, controller):
                read_for(controller, WARM_UP_S)
                begun = seconds_used(daemon.folder, process.pid)
                read_for(controller, SECONDS)
                ended = seconds_used(daemon.folder, process.pid)
                if process.poll() is not None:
                    sys.exit(f"{name} ended by itself")
            own, daemons = (end - begin for begin, end in zip(begun, ended, strict=True))
            print(f"{name}: {own / SECONDS:.1%} itself, {max(daemons - alone, 0) / SECONDS:.1%} in the daemons")


if __name__ == "__main__":
    main()
