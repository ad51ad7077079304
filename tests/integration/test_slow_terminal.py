"""A terminal that is slow, or takes nothing at all: frames are left out, keys are not."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.machine import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, COLUMNS = 30, 120
SLOW_BYTES_PER_S = 2000
PATIENCE_S = 60.0
"""How long anything may take on a busy machine; never waited for when all is well."""
TO_END_S = 10.0

PROGRAM = """
import json, sys, threading
from pathlib import Path
import topcon.ui.app
from samples import running, sample_of, snapshot_after
from topcon.ui.app import Following, TopconApp
from topcon.ui.driver import Outlet
from topcon.ui.themes import load_theme

noted = {"ticks": 0, "frames": 0, "waiting": 0, "largest": 0, "is_behind": False}
flush = Outlet.flush
# A frozen screen is never told to be old: that would change while it is looked at.
topcon.ui.app.LATE_S = 10_000.0

def noting_flush(outlet):
    if not outlet.is_behind:
        noted["largest"] = max(noted["largest"], outlet.waiting_bytes)
        noted["frames"] += bool(outlet.waiting_bytes)
    flush(outlet)
    noted["waiting"] = max(noted["waiting"], outlet.waiting_bytes)
    noted["is_behind"] = outlet.is_behind

Outlet.flush = noting_flush

def box(number, at):
    usage_usec = at * 1000 * (1 + (number * 7 + at * 13) % 90)
    return running(f"box-{number:03}", usage_usec=usage_usec, current=(1 + (number + at) % 300) << 20)

def samples():
    at = 0
    while True:
        at += 1
        yield sample_of(*(box(number, at) for number in range(300)), seconds=at * 0.2)

def follow(on_snapshot, on_failure):
    stopped = threading.Event()
    def run():
        before = None
        for sample in samples():
            if stopped.wait(0.2):
                return
            if before:
                on_snapshot(snapshot_after(before, sample))
                noted["ticks"] += 1
                Path(sys.argv[1] + ".new").write_text(json.dumps(noted))
                Path(sys.argv[1] + ".new").rename(sys.argv[1])
            before = sample
    threading.Thread(target=run, daemon=True).start()
    return Following(stopped.set, lambda seconds: None)

sys.exit(TopconApp(follow, theme=load_theme("topcon-dark"), sort="name").run_until_quit())
"""


@dataclass
class SlowTerminal:
    """A screen over 300 containers, all of which change with each tick, on a terminal that reads when told to."""

    process: subprocess.Popen[bytes]
    controller: int
    notes: Path
    drawn: bytes = b""

    def noted(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            result: dict[str, Any] = json.loads(self.notes.read_text())
            return result
        return {"ticks": 0, "frames": 0}

    def press(self, keys: str) -> None:
        os.write(self.controller, keys.encode())

    def read(self, most_bytes: int | None = None, rate: int | None = None, silence_s: float = 1.5) -> None:
        """Read so many bytes, or all until nothing comes for a while."""
        until_bytes = None if most_bytes is None else len(self.drawn) + most_bytes
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and (until_bytes is None or len(self.drawn) < until_bytes):
            if not select.select([self.controller], [], [], silence_s)[0]:
                return
            with suppress(OSError):
                self.drawn += os.read(self.controller, 65536 if rate is None else rate // 20)
            if rate is not None:
                time.sleep(1 / 20)

    def let_ticks_pass(self, ticks: int) -> None:
        """Read nothing for so many ticks."""
        goal = self.noted()["ticks"] + ticks
        until(lambda: self.noted()["ticks"] >= goal, "it goes on ticking", PATIENCE_S)

    def block(self) -> None:
        """Read nothing until frames have to wait."""
        until(lambda: self.noted().get("is_behind"), "the terminal is behind", PATIENCE_S)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # The kernel tells those that the terminal controls; this one may have none.
        self.process.send_signal(signal.SIGWINCH)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowTerminal]:
    with slow_terminal(tmp_path) as slow:
        yield slow


@contextmanager
def slow_terminal(folder: Path) -> Iterator[SlowTerminal]:
    controller, terminal = pty.openpty()
    notes = folder / "noted"
    program = folder / "program.py"
    program.write_text(PROGRAM)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    tests = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, program, notes],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        cwd=folder,
        env=os.environ
        | {"TERM": "xterm-256color", "PYTHONPATH": f"{tests}:{tests.parent}", "TEXTUAL_ANIMATIONS": "none"},
    )
    slow = SlowTerminal(process, controller, notes)
    try:
        until(lambda: slow.read(silence_s=0.1) or slow.noted()["ticks"] > 2, "it draws", PATIENCE_S)
        yield slow
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(controller)


def test_a_terminal_that_takes_nothing_does_not_hold_up_q(slow: SlowTerminal) -> None:
    slow.block()

    slow.press("q")

    assert slow.process.wait(TO_END_S) == 0
    slow.read(silence_s=0.2)
    assert slow.drawn.rstrip().endswith((b"\x1b[?1006l", b"\x1b[?1004l", b"\x1b[?25h"))
    assert b"\x1b[?1049l" in slow.drawn[-400:]
    assert termios.tcgetattr(slow.controller)[3] & termios.ICANON


def test_keys_take_effect_in_order_while_nothing_is_read(slow: SlowTerminal) -> None:
    slow.block()

    slow.press("/box-1\rsn:interval x\r\x1b")
    slow.let_ticks_pass(5)
    slow.press("?")
    slow.let_ticks_pass(5)
    slow.press("qq")

    assert slow.process.wait(TO_END_S) == 0


def test_what_waits_is_no_more_than_a_frame_however_long_it_takes(slow: SlowTerminal) -> None:
    slow.block()
    before = slow.noted()
    slow.let_ticks_pass(25)
    after = slow.noted()

    assert after["frames"] == before["frames"]
    assert after["waiting"] <= after["largest"] + 100


@pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")
@pytest.mark.parametrize("is_slow", [True, False])
def test_once_read_again_the_screen_is_what_a_fresh_one_shows(
    slow: SlowTerminal, tmp_path: Path, is_slow: bool
) -> None:
    slow.block()
    if is_slow:
        slow.read(3 * SLOW_BYTES_PER_S, rate=SLOW_BYTES_PER_S)
    slow.press("/box-1\r")
    slow.let_ticks_pass(10)
    slow.press("jjjf")
    slow.let_ticks_pass(5)
    slow.read()
    seen = screen_of(slow.drawn, tmp_path / "seen")
    slow.resize(ROWS, COLUMNS - 1)
    slow.read()
    slow.drawn = b"\x1b[?1049h\x1b[?7l"
    slow.resize(ROWS, COLUMNS)
    slow.read()
    fresh = screen_of(slow.drawn, tmp_path / "fresh")

    assert "/box-1" in seen
    assert "FROZEN" in seen
    assert "box-003" not in seen
    assert seen == fresh


def screen_of(drawn: bytes, file: Path) -> str:
    """Show what was drawn on another terminal, and return what stands there, with its colours."""
    file.write_bytes(drawn)
    # Before anything is drawn: a line less, and it scrolls.
    settings = file.with_name(f"{file.name}.conf")
    settings.write_text("set-option -g status off\n")
    server = f"topcon-{os.getpid()}-{file.name}"

    def tmux(*arguments: str) -> str:
        command = ["tmux", "-L", server, "-f", str(settings), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), f"stty raw; cat '{file}'; sleep 100")
    try:
        shown = ""
        for _ in range(100):
            before, shown = shown, tmux("capture-pane", "-p", "-e")
            if shown.strip() and shown == before:
                break
            time.sleep(0.3)
        return shown
    finally:
        tmux("kill-server")
