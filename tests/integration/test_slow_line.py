"""topcon in tmux, seen over a line of 60 kB/s: the line is never full, and keys show at once."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import until
from tests.integration.test_slow_terminal import PROGRAM, screen_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, COLUMNS = 30, 120
LINE_BYTES_PER_S = 60_000
TICKS_PER_S = 5
PIECES_PER_S = 20
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")


class Line:
    """A client of tmux whose terminal takes so many bytes a second, and no more."""

    def __init__(self, tmux: list[str]) -> None:
        self.drawn = b""
        self._tmux = tmux
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._client = subprocess.Popen(
            [*tmux, "attach"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color"},
        )
        os.close(terminal)
        self._is_over = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while not self._is_over.is_set():
            if select.select([self._controller], [], [], 1 / PIECES_PER_S)[0]:
                try:
                    self.drawn += os.read(self._controller, LINE_BYTES_PER_S // PIECES_PER_S)
                except OSError:
                    return
                time.sleep(1 / PIECES_PER_S)

    def press(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def seen(self) -> str:
        """What stands on the terminal."""
        return subprocess.run([*self._tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True).stdout

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.seen(), f"the screen shows {text}", PATIENCE_S)

    def close(self) -> None:
        self._is_over.set()
        self._reader.join()
        self._client.kill()
        self._client.wait()
        os.close(self._controller)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with over_a_line(tmp_path) as line:
        yield line


@contextmanager
def over_a_line(folder: Path) -> Iterator[Line]:
    """Run a screen of 300 containers, all of which change five times a second, behind such a line."""
    program, notes = folder / "program.py", folder / "noted"
    program.write_text(PROGRAM)
    tests = Path(__file__).parent.parent
    tmux = ["tmux", "-L", f"topcon-{os.getpid()}-line", "-f", "/dev/null"]
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), sys.executable, str(program), str(notes)],
        check=True,
        env=os.environ | {"PYTHONPATH": f"{tests}:{tests.parent}", "TEXTUAL_ANIMATIONS": "none"},
    )
    try:
        subprocess.run([*tmux, "set-option", "-g", "status", "off"], check=True)
        line = Line(tmux)
        try:
            line.wait_for("box-0")
            yield line
        finally:
            line.close()
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run([*tmux, "kill-server"], check=True, capture_output=True)


def test_what_is_sent_leaves_room_on_the_line(line: Line) -> None:
    time.sleep(2)
    before = len(line.drawn)
    seconds = 6
    time.sleep(seconds)

    assert 0 < (len(line.drawn) - before) / seconds < LINE_BYTES_PER_S / 2


def test_keys_show_one_after_the_other(line: Line, tmp_path: Path) -> None:
    """Each key's effect comes over the line before the next one is pressed."""
    line.press("f")
    line.wait_for("FROZEN")
    line.press("/box-12\r")
    line.wait_for("/box-12")
    until(lambda: b"box-129" in line.drawn, "it has come over the line", PATIENCE_S)
    line.press("G")
    line.press(":")
    line.wait_for("interval")
    line.press("\x1b")
    until(lambda: "quit" in line.seen().splitlines()[-1], "the keys are back", PATIENCE_S)
    sent = 0
    while sent != len(line.drawn):
        sent = len(line.drawn)
        time.sleep(0.4)

    drawn = re.sub(r"\x1b\[[0-9;]*m", "", screen_of(line.drawn, tmp_path / "drawn")).splitlines()
    # The header says each second how old it is what is frozen.
    assert [each.rstrip() for each in drawn[1:]] == [each.rstrip() for each in line.seen().splitlines()[1:]]
    assert any("box-129" in each for each in drawn)
