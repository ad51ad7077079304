"""What starting costs, beside starting the interpreter and importing the library of the screen."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time

from cgroups import live_cgroups
from figures import Effort, Figure, Subject, paired
from terminal import on_terminal

from topcon.model.sample import CgroupPath
from topcon.runtimes.paths import classify

PATIENCE_S = 20.0
PYTHON = sys.executable
TOPCON = [PYTHON, "-m", "topcon"]
HELP = [*TOPCON, "--help"]
LIST = [*TOPCON, "ps", "--interval", "0.1"]
TEXTUAL = [PYTHON, "-c", "import textual.app"]
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


def measure(effort: Effort) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        # An installed program has its bytecode at hand, whatever is wanted of this one.
        cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}

        def first_frames() -> list[tuple[float, float]]:
            return [(first_frame(cache), timed(TEXTUAL, cache)) for _ in range(effort.rounds)]

        # What is not in the cache of files yet would be the first one's to pay.
        first_frame(cache)
        for command in (HELP, LIST, TEXTUAL):
            timed(command, cache)
        helps = [(timed(HELP, cache), timed([PYTHON, "-c", "pass"], cache)) for _ in range(effort.rounds)]
        empty = first_frames()
        with live_cgroups(effort.containers):
            full = first_frames()
            lists = [(timed(LIST, cache), timed(TEXTUAL, cache)) for _ in range(effort.rounds)]
    textual = "`python3 -c 'import textual.app'`"
    return [
        paired("`topcon --help`", "`python3 -c pass`", helps),
        paired("first frame of the tree, no containers", textual, empty),
        paired(f"first frame of the tree, {effort.containers:,} containers", textual, full, goal="first-frame"),
        paired(f"`topcon ps --interval 0.1`, {effort.containers:,} containers", textual, lists),
        paired("saying of 1,000 new cgroup paths what they are", "one `stat` for each", placings(1000, effort.rounds)),
    ]


def timed(command: list[str], environment: dict[str, str]) -> float:
    """How long a command takes, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)
    return time.perf_counter() - begun


def first_frame(environment: dict[str, str]) -> float:
    """How long it takes from the start of topcon to the titles of the tree, on a terminal of its own."""
    begun = time.perf_counter()
    with on_terminal(TOPCON, **environment) as (_, controller):
        read_titles(controller)
        return time.perf_counter() - begun


def read_titles(controller: int) -> None:
    """Read what is drawn up to the titles of the tree."""
    shown = b""
    while b"NAME" not in shown or b"STATE" not in shown:
        if not select.select([controller], [], [], PATIENCE_S)[0]:
            message = f"no first frame within {PATIENCE_S:.0f} s"
            raise TimeoutError(message)
        shown += os.read(controller, 65536)


def placings(count: int, rounds: int) -> list[tuple[float, float]]:
    """Time the classifying of cgroup paths that it has not seen; beside it a ``stat`` each, as the walk makes."""
    pairs = []
    for round_ in range(rounds):
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


START = Subject(
    "Start",
    """From the start of the program to its end, or to where the titles of the tree are on a terminal; with
bytecode at hand, as an installed program has it. The containers are real cgroups with a live process each.""",
    measure,
)
