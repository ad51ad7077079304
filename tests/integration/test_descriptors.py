"""Two thousand cgroups come and go, some with processes and networks, and topcon gives back all that it opened."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import remove_cgroup
from topcon.config import Config
from topcon.kernel import files
from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.mount import CGROUP_ROOT, read_hierarchies
from topcon.model.sample import CgroupPath
from topcon.runtimes.watch import RuntimeWatches
from topcon.wiring import build_sampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Terminal
    from topcon.sampler import Sampler

SECOND_NS = 10**9
WAVES = 4
A_WAVE = 500
WITH_PROCESSES = 10
"""So many of each wave have a process in a network of its own."""
FEW = 2_000
"""Descriptors for a few files of each only."""
LOW_LIMIT = 300
SLICE = f"topcon-descriptors-{os.getpid()}.slice"

pytestmark = pytest.mark.integration


def prefix(number: int) -> str:
    """With what all ids of a wave begin, and those of nobody else on the machine."""
    return f"{os.getpid():08x}{number:04x}".ljust(32, "f")


class Slice:
    """Cgroups as Docker names them, in all hierarchies that topcon reads."""

    def __init__(self) -> None:
        hierarchies = read_hierarchies("/proc", CGROUP_ROOT)
        roots = (hierarchies.v2, *hierarchies.v1.values())
        self.roots = [Path(root) / SLICE for root in dict.fromkeys(roots) if root]
        for root in self.roots:
            root.mkdir()

    @contextmanager
    def wave(self, number: int, count: int = A_WAVE, processes: int = 0) -> Iterator[list[Path]]:
        """Make cgroups, the first ones with a process each; they are gone after the block."""
        names = [f"docker-{prefix(number)}{index:032x}.scope" for index in range(count)]
        directories = [root / name for root in self.roots for name in names]
        for directory in directories:
            directory.mkdir()
        running = [subprocess.Popen(["unshare", "--net", "sleep", "1000"]) for _ in range(processes)]
        try:
            for name, process in zip(names, running, strict=False):
                for root in self.roots:
                    (root / name / "cgroup.procs").write_text(str(process.pid))
            yield directories
        finally:
            for process in running:
                process.kill()
                process.wait()
            for directory in directories:
                remove_cgroup(directory)

    def close(self) -> None:
        for root in self.roots:
            remove_cgroup(root)


@pytest.fixture
def slice_() -> Iterator[Slice]:
    made = Slice()
    yield made
    made.close()


@pytest.fixture(params=[FEW, None], ids=["few descriptors", "enough descriptors"])
def sampler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sampler]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    budget = files.raise_descriptor_limit()
    monkeypatch.setattr(files, "raise_descriptor_limit", lambda: request.param or budget)
    sampler = build_sampler(Config(), RuntimeWatches([], ""))
    yield sampler
    sampler.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def links(pid: int | str = "self") -> list[str]:
    """What a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return found


def of_cgroups(opened: list[str]) -> list[str]:
    return [link for link in opened if link.startswith(CGROUP_ROOT)]


def watched() -> set[tuple[int, int]]:
    """Device and inode of all directories that this process watches (fdinfo of inotify, proc(5))."""
    found = set()
    for info in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):
            for line in info.read_text().splitlines():
                if line.startswith("inotify wd:"):
                    words = dict(word.split(":", 1) for word in line.split()[1:])
                    device = int(words["sdev"], 16)
                    # The kernel's own form of a device, which is not that of stat(2).
                    found.add((os.makedev(device >> 20, device & 0xFFFFF), int(words["ino"], 16)))
    return found


def identity(directory: Path) -> tuple[int, int]:
    """What `watched` knows a directory by."""
    stat = directory.stat()
    return stat.st_dev, stat.st_ino


def test_two_thousand_come_and_go(slice_: Slice, sampler: Sampler) -> None:
    access = sampler._sources.cgroup_access
    budget = access.left
    for _ in range(3):
        sampler.tick()
    before = links()
    made: set[tuple[int, int]] = set()

    for number in range(WAVES):
        with slice_.wave(number, processes=WITH_PROCESSES) as directories:
            for _ in range(2):
                snapshot = sampler.tick()
            of_wave = set(map(identity, directories))
            made |= of_wave
            assert sum(key.startswith(f"docker:{prefix(number)}") for key in snapshot.containers) == A_WAVE
            assert access.left == budget - len(of_cgroups(links())) >= 0
            # Where there are more cgroups than descriptors, none is kept.
            assert any(SLICE in link for link in links()) or budget < len(snapshot.sample.cgroups)
            assert watched() & of_wave
        sampler.tick()
        assert [link for link in links() if SLICE in link] == []

    snapshot = sampler.tick()
    assert not any(container.path.startswith(f"/{SLICE}/") for container in snapshot.sample.found.values())
    assert not watched() & made
    # Others on the machine may come and go, too: only their cgroups may differ.
    assert len(links()) - len(of_cgroups(links())) == len(before) - len(of_cgroups(before))
    assert access.left == budget - len(of_cgroups(links()))

    sampler.close()
    assert of_cgroups(links()) == []
    assert access.left == budget


def test_reading_again_what_does_nothing_opens_nothing(slice_: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open
    opened: list[str] = []

    def noted(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = really_open(path, flags, mode, dir_fd=dir_fd)
        opened.append(path)
        return fd

    cgroups = CgroupFs(read_hierarchies("/proc", CGROUP_ROOT), files.Access(FEW))
    with slice_.wave(0, WITH_PROCESSES, processes=WITH_PROCESSES) as directories:
        wanted = {CgroupPath(f"/{SLICE}/{directory.name}"): 1 for directory in directories}
        for second in range(3):
            cgroups.read(wanted, second * SECOND_NS)
        monkeypatch.setattr(os, "open", noted)
        # All files are read at least once in that time.
        for second in range(3, 23):
            cgroups.read(wanted, second * SECOND_NS)
        cgroups.close()

    assert opened == []


@pytest.fixture
def lowered() -> list[str]:
    """What starts a program that may open few files."""
    return ["prlimit", f"--nofile={LOW_LIMIT}:{LOW_LIMIT}"]


def test_ps_with_a_low_limit(slice_: Slice, lowered: list[str]) -> None:
    with slice_.wave(0, 100, processes=WITH_PROCESSES):
        done = subprocess.run(
            [*lowered, sys.executable, "-m", "topcon", "ps", "--csv"], check=True, capture_output=True, text=True
        )

    assert done.stderr == ""
    assert done.stdout.count(prefix(0)) >= 100


def test_serve_with_a_low_limit(slice_: Slice, lowered: list[str]) -> None:
    command = [*lowered, sys.executable, "-m", "topcon", "serve", "--listen", "127.0.0.1:0", "--interval", "0.1"]
    with slice_.wave(0, 300), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "serves" in process.stderr.readline()
        time.sleep(2)
        opened = links(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""

    # What is there for all to share does not go round.
    assert len(of_cgroups(opened)) <= LOW_LIMIT - files.SPARE_DESCRIPTORS


@pytest.fixture
def terminal(tmp_path: Path, lowered: list[str]) -> Iterator[Terminal]:
    """A terminal for a topcon that may open few files."""
    from tests.integration.conftest import Program, Terminal  # noqa: PLC0415  the type is above

    class Lowered(Program):
        def command(self, *arguments: str) -> list[str]:
            return [*lowered, *super().command(*arguments)]

    terminal = Terminal(Lowered(tmp_path))
    yield terminal
    terminal.close()


def test_the_screen_with_a_low_limit(slice_: Slice, terminal: Terminal) -> None:
    with slice_.wave(0, WITH_PROCESSES, processes=WITH_PROCESSES):
        terminal.start("--interval", "0.2")
        terminal.wait_for("NAME", "quit", prefix(0)[:12])
        time.sleep(2)
        opened = of_cgroups(links(terminal.pid()))
        assert len(opened) <= LOW_LIMIT - files.SPARE_DESCRIPTORS
    terminal.press("q")
    assert terminal.wait_for_end() == 0
