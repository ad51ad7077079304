"""What the tests' own daemons need of the machine: patience, a folder, an image's files, and to be frozen."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 30.0


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition to hold, and return what it gave."""
    deadline = time.monotonic() + patience_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.1)


def remove_cgroup(directory: str | Path) -> None:
    """Remove a cgroup as soon as its processes are buried; it may be gone already."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            os.rmdir(directory)  # noqa: PTH106  thousands of them
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def skip_without(*programs: str) -> None:
    """Skip the test where we are not root, or a program is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run a daemon")
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for a daemon's roots and its socket; it is removed with all that is mounted in it."""
    # Sockets have short paths, and containers' root file systems are no tmpfs.
    folder = Path(tempfile.mkdtemp(prefix="topcon-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def busybox_layer(applets: tuple[str, ...]) -> bytes:
    """The files of an image, as a tar file: busybox, and what it is to be called as."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing (Debian package busybox-static)"
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in applets:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "www"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(directory)
    return layer.getvalue()


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes for the time of the block; the last one goes on first."""
    with ExitStack() as stack:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
            until(lambda pid=pid: _is_stopped(pid), f"all threads of {pid} stop")
        yield


def _is_stopped(pid: int) -> bool:
    # Threads stop one by one, and one that has not yet can still answer.
    return all(") T" in stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


@contextmanager
def private_cgroups(*names: str) -> Iterator[None]:
    """Remove cgroups at the roots of the hierarchies that appear in the block, as far as they are empty after it."""
    before = _cgroups(names)
    try:
        yield
    finally:
        for cgroup in _cgroups(names) - before:
            for folder, _, _ in os.walk(cgroup, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


def _cgroups(names: tuple[str, ...]) -> set[Path]:
    root = Path("/sys/fs/cgroup")
    return {cgroup for name in names for pattern in (name, f"*/{name}") for cgroup in root.glob(pattern)}
