"""Draws on a terminal that may be slow: it is never waited for, so keys work whatever it does."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from topcon.ui.messages import TerminalCaughtUp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import TextIO

    from textual.app import App

PATIENCE_S = 1.0
"""How long the end waits for a terminal that takes no output."""
END_OF_FRAME = b"\x1b[?2026l"
"""Shows what has been drawn (synchronized output). A terminal that has got half a frame would wait for the rest."""


class Outlet:
    """Writes to a terminal without ever waiting for it. The event loop's thread uses it."""

    def __init__(self, file: TextIO, loop: asyncio.AbstractEventLoop, on_caught_up: Callable[[], object]) -> None:
        """Write to the terminal that ``file`` is; ``on_caught_up`` is called when one that was behind is no more."""
        self.written_bytes = 0
        """How much the terminal has taken."""
        self.is_behind = False
        """Whether it has yet to take what was written, or has no room for more."""
        self._fd = open_terminal(file.fileno())
        self._encoding = file.encoding
        self._loop = loop
        self._on_caught_up = on_caught_up
        self._left = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the terminal has yet to take."""
        return len(self._left)

    def write(self, text: str) -> None:
        """Take a text, to be sent with the next `flush`."""
        self._left += text.encode(self._encoding, errors="replace")

    def flush(self) -> None:
        """Send as much as there is room for, and the rest as room comes."""
        if not self.is_behind and not self._send():
            self.is_behind = True
            self._loop.add_writer(self._fd, self._go_on)

    def _send(self) -> bool:
        """Send what is left; return whether that was all."""
        while self._left:
            try:
                sent = os.write(self._fd, self._left)
            except BlockingIOError:
                return False
            except OSError:
                # The terminal has gone: the app sees that for itself, and nobody sees what is drawn.
                self._left.clear()
                return True
            self.written_bytes += sent
            del self._left[:sent]
        return True

    def _go_on(self) -> None:
        """Send the rest; only when there is room beyond that has the terminal caught up."""
        if self._left:
            self._send()
        else:
            self._end_waiting()
            self._on_caught_up()

    def _end_waiting(self) -> None:
        if self.is_behind:
            self._loop.remove_writer(self._fd)
            self.is_behind = False

    def forget(self) -> None:
        """Drop what a terminal that is behind has not shown yet, so that what comes next is next."""
        if self.is_behind:
            self._end_waiting()
            with contextlib.suppress(termios.error):
                termios.tcflush(self._fd, termios.TCOFLUSH)
            # An escape sequence that was cut ends where the next one begins.
            self._left[:] = END_OF_FRAME

    def close(self) -> None:
        """Send what is left, as far as the terminal takes it soon, and let go of it."""
        self._end_waiting()
        until = time.monotonic() + PATIENCE_S
        while not self._send() and (left_s := until - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll(left_s * 1000)
        os.close(self._fd)


def open_terminal(fd: int) -> int:
    """Open the terminal behind a descriptor once more, for writing without waiting.

    The descriptor itself is shared with other programs, such as the shell: it stays as it is.
    """
    for name in (os.ttyname, lambda _: "/dev/tty"):
        with contextlib.suppress(OSError):
            return os.open(name(fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    # Neither may be opened: it is written to as it is, and may be waited for.
    return os.dup(fd)


class TerminalDriver(LinuxDriver):
    """Textual's driver, but for how it writes."""

    _outlet: Outlet | None = None
    _flush_soon: asyncio.Handle | None = None
    _written_before: int = 0

    def __init__(self, app: App[Any], **options: Any) -> None:  # noqa: ANN401  Textual's own
        """Drive the terminal of an app."""
        super().__init__(app, **options)
        self._thread = threading.get_ident()

    @property
    def written_bytes(self) -> int:
        """How much the terminal has taken since the start."""
        return self._written_before + (self._outlet.written_bytes if self._outlet is not None else 0)

    @property
    def is_behind(self) -> bool:
        """Whether a frame would have to wait: what was drawn before has not been taken yet."""
        return self._outlet is None or self._outlet.is_behind

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the terminal."""
        return self._outlet.waiting_bytes if self._outlet is not None else 0

    def write(self, data: str) -> None:
        """Send a text soon; with `flush`, now."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.write, data)
        elif self._outlet is not None:
            self._outlet.write(data)
            if self._flush_soon is None:
                self._flush_soon = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what has been written."""
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        if self._outlet is not None:
            self._outlet.flush()

    def _caught_up(self) -> None:
        self._app.post_message(TerminalCaughtUp())

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        if sys.__stderr__ is not None:
            self._outlet = Outlet(sys.__stderr__, self._loop, self._caught_up)
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        # Nothing goes through Textual's own thread.
        self._stop_writer()
        self.flush()

    def _stop_writer(self) -> None:
        if self._writer_thread is not None:
            self._writer_thread.stop()
            self._writer_thread = None

    def stop_application_mode(self) -> None:
        """Give the terminal back, at once even where it has not shown all yet."""
        if self._outlet is not None:
            self._outlet.forget()
        super().stop_application_mode()
        self.flush()

    def close(self) -> None:
        """Let go of the terminal."""
        self.flush()
        if self._outlet is not None:
            self._outlet.close()
            self._written_before += self._outlet.written_bytes
            self._outlet = None

    def _sigtstp_application(self, *_: object) -> None:
        """Stop, between two events: a signal can come in the middle of a write."""
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        """Go on, between two events."""
        self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if self._auto_restart:
            if self._outlet is not None:
                # Stopped without a word, and whoever had the terminal meanwhile has changed its modes.
                self.suspend_application_mode()
                self._must_signal_resume = True
            self.resume_application_mode()
