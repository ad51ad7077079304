"""However topcon is told to end, it does, with the status of the signal and the terminal as it was."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import tty
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from topcon.ui import ending
from topcon.ui.ending import LEAVE, PATIENCE_S, SIGNALS, ending_on_signals, has_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_S = 30.0
"""How long a program may take on a busy machine; never waited for when all is well."""

ORDERLY = """
import os, signal, sys, threading
from topcon.ui import ending
ending.PATIENCE_S = 3600
ended = []
with ending.ending_on_signals(lambda status: ended.append(status), lambda: print("last words", flush=True)):
    os.kill(os.getpid(), {number})
    print("told", ended, flush=True)
sys.exit(ended[0])
"""
HANGING = """
import os, signal, sys, time
from topcon.ui import ending
ending.PATIENCE_S = 0.05
with ending.ending_on_signals(lambda status: time.sleep(3600), lambda: os.write(1, b"last words\\n")):
    print("ready", flush=True)
    time.sleep(3600)
"""
AT_A_TERMINAL = """
import os, signal, sys, time, tty
os.close(os.open(os.ttyname(0), os.O_RDWR))
from topcon.ui import ending
ending.PATIENCE_S = 0.05
with ending.ending_on_signals(lambda status: time.sleep(3600), lambda: None):
    tty.setraw(0)
    os.write({ready}, b"ready")
    time.sleep(3600)
"""


@contextmanager
def program(text: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", text], **(given | options)) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", SIGNALS)
def test_an_orderly_end_has_the_status_that_shells_give_and_no_last_words(number: signal.Signals) -> None:
    with program(ORDERLY.format(number=int(number))) as process:
        out, err = process.communicate(timeout=LONGEST_S)

    assert (process.returncode, out, err) == (128 + number, f"told [{128 + number}]\n", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_an_end_that_hangs_is_cut_short_after_the_last_words(number: signal.Signals) -> None:
    with program(HANGING) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=LONGEST_S)

    assert (process.returncode, out, err) == (128 + number, "last words\n", "")


def test_a_second_signal_changes_nothing() -> None:
    with program(HANGING) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=LONGEST_S)

    assert process.returncode == 128 + signal.SIGHUP


def test_a_terminal_in_raw_mode_is_put_back_and_left_clean() -> None:
    controller, terminal = pty.openpty()
    reading, ready = os.pipe()
    before = termios.tcgetattr(terminal)
    try:
        with program(
            AT_A_TERMINAL.format(ready=ready),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            pass_fds=(ready,),
        ) as process:
            assert os.read(reading, 5) == b"ready"
            assert termios.tcgetattr(terminal) != before
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST_S) == 128 + signal.SIGTERM
        assert termios.tcgetattr(terminal) == before
        assert os.read(controller, 1000) == LEAVE
    finally:
        for fd in (controller, terminal, reading, ready):
            os.close(fd)


# In this process, where the clock does not go on by itself.


@dataclass
class Ending:
    """What the backstop has been told, and what it has done."""

    timers: list[Timer] = field(default_factory=list)
    said: list[object] = field(default_factory=list)


class Timer:
    """Goes off when the test says."""

    def __init__(self, noted: Ending, seconds: float, function: Callable[..., None], args: list[int]) -> None:
        noted.timers.append(self)
        self.seconds = seconds
        self.daemon = False
        self.is_started = False
        self._go_off = lambda: function(*args)

    def start(self) -> None:
        assert self.daemon, "a timer that is none would hold up an orderly end"
        self.is_started = True

    def go_off(self) -> None:
        self._go_off()


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Ending:
    noted = Ending()

    class Threading:
        @staticmethod
        def Timer(seconds: float, function: Callable[..., None], args: list[int]) -> Timer:  # noqa: N802
            return Timer(noted, seconds, function, args)

    monkeypatch.setattr(ending, "threading", Threading)
    monkeypatch.setattr(os, "_exit", noted.said.append)
    monkeypatch.setattr(sys, "__stdin__", None)
    monkeypatch.setattr(ending, "_restore", lambda saved: noted.said.append(("terminal", saved)))
    return noted


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it_at_once_and_starts_the_backstop(noted: Ending, number: signal.Signals) -> None:
    with ending_on_signals(noted.said.append, lambda: noted.said.append("last words")):
        signal.raise_signal(number)
        assert noted.said == [128 + number]
        (timer,) = noted.timers
        assert (timer.seconds, timer.is_started) == (PATIENCE_S, True)
        timer.go_off()

    assert noted.said == [128 + number, "last words", ("terminal", None), 128 + number]


def test_signals_do_afterwards_what_they_did_before(noted: Ending) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with ending_on_signals(noted.said.append, lambda: None):
        assert all(signal.getsignal(number) != before[number] for number in SIGNALS)

    assert {number: signal.getsignal(number) for number in SIGNALS} == before


def test_signals_are_given_back_after_an_error_too(noted: Ending) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.raises(ZeroDivisionError), ending_on_signals(noted.said.append, lambda: None):
        raise ZeroDivisionError

    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@dataclass
class Stdin:
    """A standard input that is a certain descriptor."""

    fd: int
    closed: bool = False

    def fileno(self) -> int:
        if self.closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return self.fd


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: whose it is, and its own."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_the_settings_of_the_terminal_are_put_back(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stdin__", Stdin(terminal[1]))
    saved = ending._terminal_settings()
    tty.setraw(terminal[1])
    assert ending._terminal_settings() != saved

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", _no_terminal)
        ending._restore(saved)

    assert ending._terminal_settings() == saved


def _no_terminal(path: str, flags: int) -> int:
    assert path == "/dev/tty"
    assert flags & os.O_NONBLOCK, "a terminal that takes no output must not be waited for"
    raise OSError(6, "No such device or address")


@pytest.mark.parametrize("is_closed", [True, False])
def test_without_a_terminal_there_is_nothing_to_put_back(monkeypatch: pytest.MonkeyPatch, is_closed: bool) -> None:
    reading, writing = os.pipe()
    try:
        monkeypatch.setattr(sys, "__stdin__", Stdin(reading, is_closed))
        monkeypatch.setattr(os, "open", _no_terminal)

        assert ending._terminal_settings() is None
        ending._restore(None)
        ending._restore([0, 0, 0, 0, 0, 0, []])
    finally:
        os.close(reading)
        os.close(writing)


def test_without_a_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stdin__", None)

    assert ending._terminal_settings() is None
    assert has_terminal()


def test_a_terminal_whose_other_end_has_gone_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = pty.openpty()
    monkeypatch.setattr(sys, "__stdin__", Stdin(terminal))
    assert has_terminal()

    os.close(controller)

    assert not has_terminal()
    os.close(terminal)


def test_a_standard_input_that_was_closed_is_no_lost_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stdin__", Stdin(0, closed=True))

    assert has_terminal()


def test_no_thread_is_left() -> None:
    before = {*threading.enumerate()}
    with ending_on_signals(lambda _: None, lambda: None):
        pass

    assert not {*threading.enumerate()} - before
