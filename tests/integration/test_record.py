"""``topcon record`` as a program, on this host: what is left when it is killed, and on a disk that is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import PATIENCE_S, until
from topcon.recording.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INTERVAL_S = 0.1
DISK_BYTES = 1 << 20
WORDS = ("records into", "recording: ", " samples in ")


class Recording:
    """``topcon record`` of this host, which may have problems of its own to tell."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def told(self) -> list[str]:
        """What it has said of the recording, line by line."""
        lines = self._errors.read_text().splitlines(keepends=True)
        return [line for line in lines if line.endswith("\n") and any(word in line for word in WORDS)]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def recording(path: Path) -> Iterator[Recording]:
    """Record this host until it is told to end, or killed."""
    errors = path.parent.parent / f"{path.name}.errors"
    command = [sys.executable, "-m", "topcon", "record", str(path), "--interval", str(INTERVAL_S)]
    with errors.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        begun = Recording(process, errors)
        try:
            until(lambda: begun.told, "that it begins")
            assert begun.told[0] == f"topcon: records into {path}, every 0.1 s; ctrl+c ends it\n"
            yield begun
        finally:
            process.kill()


def count_in(path: Path) -> int:
    with Reader(path) as reader:
        return len(reader.times)


def samples_of(path: Path) -> int:
    """Read all samples, each of which has to be whole."""
    with Reader(path) as reader:
        assert reader.host_name == os.uname().nodename
        return sum(1 for _ in reader.samples(0, len(reader.times)))


def test_what_was_recorded_can_be_read_meanwhile_and_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "here" / "host.topcon"
    path.parent.mkdir()
    with recording(path) as begun:
        until(lambda: count_in(path) >= 5, "five samples")
        with Reader(path) as reader:
            assert reader.is_written
        assert begun.end(signal.SIGKILL) == -signal.SIGKILL

    with Reader(path) as reader:
        assert not reader.is_written
    count = samples_of(path)
    assert count >= 5

    with recording(path) as begun:
        until(lambda: count_in(path) > count, "that it goes on")
        assert begun.end(signal.SIGINT) == 130
    assert samples_of(path) > count


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=False
        ).returncode
    ):
        pytest.skip("needs root, to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room."""
    path = disk / "full"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def test_a_full_disk_is_one_line_and_it_goes_on_trying(disk: Path) -> None:
    path = disk / "host.topcon"
    with recording(path) as begun:
        until(lambda: count_in(path) >= 3, "three samples")
        rest = fill(disk)
        until(lambda: len(begun.told) > 1, "that it says so")
        before = samples_of(path)

        rest.unlink()

        until(lambda: len(begun.told) > 2 and count_in(path) > before, "that it goes on, and says so")
        assert begun.end(signal.SIGTERM) == 0
        _, failed, mended, end = begun.told
        assert failed == f"topcon: recording: {path}: cannot be written: database or disk is full\n"
        assert mended == "topcon: recording: works again\n"
        assert end.endswith(" were left out\n")
    assert samples_of(path) > before
