"""Ends topcon when it is told to by a signal, even where its terminal hangs or has gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PATIENCE_S = 1.0
"""How long the orderly end may take. A terminal that takes no output would hold it up for ever."""
STATUS_BASE = 128
"""What shells add to the number of a signal."""

_Settings = list[int | list[bytes | int]]

LEAVE = (
    b"\x1b[8h\x1b[23;0t\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    b"\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[0m"
)
"""Letters from right to left, title and screen as before, a cursor, no mouse, no marks around what is pasted, no focus
reports, plain keys, plain colours."""


@contextlib.contextmanager
def ending_on_signals(end: Callable[[int], None], last_words: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` with the exit status when a signal says so.

    If that has not led to an end soon, say ``last_words``, put the terminal back and exit at once.
    """
    saved = _terminal_settings()

    def exit_now(status: int) -> None:
        last_words()
        _restore(saved)
        os._exit(status)

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        status = STATUS_BASE + number
        backstop = threading.Timer(PATIENCE_S, exit_now, [status])
        backstop.daemon = True
        backstop.start()
        end(status)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminal_settings() -> _Settings | None:
    try:
        return termios.tcgetattr(sys.__stdin__) if sys.__stdin__ else None
    except (termios.error, ValueError):
        return None


def _restore(saved: _Settings | None) -> None:
    """Put the terminal back, without waiting for it."""
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        os.write(terminal, LEAVE)
    if saved is not None and sys.__stdin__:
        with contextlib.suppress(termios.error, ValueError):
            termios.tcsetattr(sys.__stdin__, termios.TCSANOW, saved)


def has_shell() -> bool:
    """Whether somebody notices when this process stops, and can have it go on: a shell with control of its jobs."""
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except ProcessLookupError:
        # It is outside of the namespace of pids.
        return False


def has_terminal() -> bool:
    """Whether the terminal is still there: one whose SSH session has ended is not."""
    stdin = sys.__stdin__
    return stdin is None or stdin.closed or os.isatty(stdin.fileno())
