"""What watching real containers costs, with topcon and with its peers: CPU of the program and of the daemons it asks.

Each program runs in turn on a terminal, over the same containers, which do nothing. Counted is the CPU time of the
program with all that descend from it, and of the daemon with its containerd and shims, or of the service.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from figures import Effort, Figure, Subject
from integration import conftest
from integration.podman_service import IMAGE, running_podman
from start import TOPCON
from terminal import LARGE, on_terminal, read_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DAEMON_NAMES = ("dockerd", "containerd", "podman", "conmon")
"""The beginnings of the names of what runtimes run; what they watch over runs under other names."""
WITH_NETWORK = 200
"""So many containers have a network of their own, on a bridge; there are no more addresses."""


class Process(NamedTuple):
    """A process, with the CPU seconds of children that it has waited for."""

    name: str
    parent: int
    seconds: float
    command: str


class Spent(NamedTuple):
    """CPU seconds."""

    itself: float
    daemons: float


class Candidate(NamedTuple):
    """A program that watches."""

    name: str
    command: list[str]
    environment: dict[str, str]
    goal: str | None = None


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


def seconds_used(folder: Path, watcher: int | None = None) -> Spent:
    """What a watching process has used with all that descend from it, and the daemons that live in a folder."""
    found = processes()
    family: set[int] = set()
    grown = {watcher} & found.keys()
    while grown != family:
        family = grown
        grown = family | {pid for pid, process in found.items() if process.parent in family}
    daemons = [
        process
        for pid, process in found.items()
        if pid not in family and process.name.startswith(DAEMON_NAMES) and str(folder) in process.command
    ]
    return Spent(sum(found[pid].seconds for pid in family), sum(process.seconds for process in daemons))


def measure_docker(effort: Effort) -> list[Figure]:
    if missing := [name for name in ("dockerd", "docker", "ip", "busybox") if not shutil.which(name)]:
        return [_absent(name) for name in missing]
    with conftest.running_dockerd() as daemon, installed("glances[containers]") as glances:
        for index in range(effort.docker):
            daemon.run(f"sleeper-{index}", **({} if index < WITH_NETWORK else {"network_mode": "none"}))
        host = {"DOCKER_HOST": f"unix://{daemon.socket}"}
        watched = [*("--stdout", "containers"), *("--time", "1")]
        peers = [Candidate("`docker stats`", ["docker", "stats"], host, "docker-stats")]
        if glances:
            command = [sys.executable, "-m", "glances", *watched]
            peers.append(Candidate(f"`glances {' '.join(watched)}`", command, host | glances, "glances"))
        topcon = Candidate("topcon", [*TOPCON, "--runtime", f"docker={daemon.socket}"], {})
        figures = _compare(f"{effort.docker} containers", daemon.folder, topcon, peers, effort)
        return figures if glances else [*figures, _absent("glances")]


def measure_podman(effort: Effort) -> list[Figure]:
    if missing := [name for name in ("podman", "runc", "busybox") if not shutil.which(name)]:
        return [_absent(name) for name in missing]
    with running_podman() as service:
        for index in range(effort.podman):
            service.run("run", "--detach", f"--name=sleeper-{index}", "--network=none", IMAGE, "sleep", "100000")
        topcon = Candidate("topcon", [*TOPCON, "--runtime", f"podman={service.socket}"], {})
        stats = service.command("stats", "--interval", "1")
        peers = [
            Candidate(
                "`podman stats --interval 1`", stats, {"CONTAINERS_CONF": str(service.folder / "containers.conf")}
            )
        ]
        return _compare(f"{effort.podman} containers", service.folder, topcon, peers, effort)


def _compare(what: str, folder: Path, topcon: Candidate, peers: list[Candidate], effort: Effort) -> list[Figure]:
    time.sleep(effort.warm_up_s)
    before = seconds_used(folder)
    time.sleep(effort.daemons_s)
    alone = (seconds_used(folder).daemons - before.daemons) / effort.daemons_s
    ours = _watch(folder, topcon, effort)
    figures = [Figure(f"{what}: the daemons, nobody watching", alone * 100, "% of a core")]
    for peer in peers:
        theirs = _watch(folder, peer, effort)
        ours_caused, theirs_caused = (max(each.daemons - alone, 0.0) for each in (ours, theirs))
        total = "topcon and the daemons"
        for name, beside, our, their in (
            (total, f"{peer.name} and the daemons", sum(ours), sum(theirs)),
            ("topcon itself", f"{peer.name} itself", ours.itself, theirs.itself),
            ("what it causes in the daemons", peer.name, ours_caused, theirs_caused),
            ("both of these", peer.name, ours.itself + ours_caused, theirs.itself + theirs_caused),
        ):
            ratio = our / their if their else None
            goal = peer.goal if name == total else None
            figures.append(Figure(f"{what}: {name}", our * 100, "% of a core", beside, their * 100, ratio, goal=goal))
    return figures


def _watch(folder: Path, candidate: Candidate, effort: Effort) -> Spent:
    """Shares of a core, while a program watches."""
    with on_terminal(candidate.command, LARGE, **candidate.environment) as (process, controller):
        shown = read_for(controller, effort.warm_up_s)
        begun, begun_s = seconds_used(folder, process.pid), time.monotonic()
        shown += read_for(controller, effort.daemons_s)
        ended, ended_s = seconds_used(folder, process.pid), time.monotonic()
        if process.poll() is not None or not shown:
            message = f"{candidate.name} ended by itself, or shows nothing"
            raise RuntimeError(message)
    return Spent(*((end - begin) / (ended_s - begun_s) for begin, end in zip(begun, ended, strict=True)))


@contextmanager
def installed(package: str) -> Iterator[dict[str, str]]:
    """A program of the package index, for the time of the block: the environment that finds it, empty if none does."""
    # A virtual environment need not have a pip of its own.
    python = sys.executable if find_spec("pip") else "python3"
    with tempfile.TemporaryDirectory() as folder:
        pip = [python, "-m", "pip", f"--python={sys.executable}", "install", "--quiet", f"--target={folder}", package]
        done = subprocess.run(pip, check=False, stdin=subprocess.DEVNULL)
        yield {} if done.returncode else {"PYTHONPATH": folder}


def _absent(name: str) -> Figure:
    return Figure(f"{name}: not installed", None, "")


HOW = """Containers of a daemon that is started for it, which do nothing. Each program runs on a terminal of its own,
one after the other, after some time to settle. CPU time of the program with all that it starts, and of the daemon with
its containerd and shims (Podman: of its service and the monitors), as a share of one core."""
DAEMONS = Subject("Docker", HOW, measure_docker)
PODMAN = Subject("Podman", HOW, measure_podman)
