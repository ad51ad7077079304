"""Real cgroups with a live process each, and a reader in C over the same files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from integration.machine import remove_cgroup

from topcon.kernel.mount import CGROUP_ROOT, read_hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent


@contextmanager
def compiled(name: str) -> Iterator[Path]:
    """Compile a program of this folder."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / name
        subprocess.run(["cc", "-O2", "-Wall", "-o", program, HERE / f"{name}.c"], check=True)
        yield program


@dataclass
class LiveCgroups:
    """Cgroups that look like containers of Docker, with one idle process in each."""

    slice: str
    """The cgroup that all are in."""
    paths: list[str]
    pids: list[int]
    _stdin: IO[str]
    _stdout: IO[str]

    def run(self, count: int, usec: int = 100) -> None:
        """Let ``count`` of the processes, others each time, run for a moment each; return when all are idle again."""
        if count:
            self._stdin.write(f"run {count} {usec}\n")
            self._stdin.flush()
            self._stdout.readline()


@contextmanager
def live_cgroups(count: int) -> Iterator[LiveCgroups]:
    """Make cgroups in all hierarchies that topcon reads, and remove them. Needs root."""
    hierarchies = read_hierarchies("/proc", CGROUP_ROOT)
    roots = list(dict.fromkeys(root for root in (hierarchies.v2, *hierarchies.v1.values()) if root))
    slice_ = f"/topcon-bench-{os.getpid()}.slice"
    paths = [f"{slice_}/docker-{index:064x}.scope" for index in range(count)]
    if hierarchies.v2 and not hierarchies.v1:
        _enable_controllers(hierarchies.v2, slice_)
    try:
        for root in roots:
            for path in paths:
                Path(root + path).mkdir(parents=True)
        with compiled("worker") as worker, tempfile.NamedTemporaryFile("w") as list_:
            list_.writelines(" ".join(f"{root}{path}/cgroup.procs" for root in roots) + "\n" for path in paths)
            list_.flush()
            with subprocess.Popen(
                [worker, list_.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                pids = [int(line) for line in iter(process.stdout.readline, "ready\n")]
                yield LiveCgroups(slice_, paths, pids, process.stdin, process.stdout)
    finally:
        for root in roots:
            for path in [*paths, slice_]:
                remove_cgroup(root + path)


def _enable_controllers(root: str, slice_: str) -> None:
    Path(root + slice_).mkdir()
    for directory in (root, root + slice_):
        for controller in ("cpu", "memory", "io", "pids"):
            with suppress(OSError):
                Path(directory, "cgroup.subtree_control").write_text(f"+{controller}")


class CReader:
    """The reader in C, which keeps its files open."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        """Talk to it."""
        self._stdin = stdin
        self._stdout = stdout
        self.files = 0
        """How many it has open, as of the last round."""

    def read(self) -> float:
        """Read and parse all files once; return the seconds that it took."""
        return self._ask("read")

    def walk(self, directory: str) -> float:
        """Find all directories below one; return the seconds that it took."""
        return self._ask(f"walk {directory}")

    def mark(self) -> None:
        """Where callgrind counts: have it write what it has counted."""
        self._ask("mark")

    def _ask(self, command: str) -> float:
        self._stdin.write(command + "\n")
        self._stdin.flush()
        spent_ns, files, _ = map(int, self._stdout.readline().split())
        self.files = files
        return spent_ns / 1e9


@contextmanager
def c_reader(files: Iterable[str], *within: str) -> Iterator[CReader]:
    """Start the reader in C over some files, ``within`` another program; files that are not there are left out."""
    with compiled("reader") as reader, tempfile.NamedTemporaryFile("w") as list_:
        list_.writelines(f"{file}\n" for file in files)
        list_.flush()
        with subprocess.Popen(
            [*within, reader, list_.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if within else None,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield CReader(process.stdin, process.stdout)
