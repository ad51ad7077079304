"""Draws on a terminal that may be slow: it is never waited for, so keys work whatever it does."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import selectors
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from topcon.ui.messages import TerminalCaughtUp
from topcon.ui.title import RESTORE, SAVE, has_title, to_sequence

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import TextIO

    from textual.app import App

PATIENCE_S = 1.0
"""How long the end waits for a terminal that takes no output."""
AS_SENT, REORDERED = "\x1b[8l", "\x1b[8h"
"""Whether a terminal that knows writing from right to left turns it round itself (ECMA-48, BDSM).

A name of such letters would take the cells beside it along.
"""
END_OF_FRAME = b"\x1b[?2026l"
"""Shows what has been drawn (synchronized output). A terminal that has got half a frame would wait for the rest."""
PASTE, PASTE_END = "\x1b[200~", "\x1b[201~"
"""What a terminal puts around what is pasted."""
INPUT_BYTES = 4096
INPUT_S = 0.1
"""How long keys are waited for at a time: an escape that nothing follows is a key, and the end wants to be seen."""


class Pasted:
    """Takes control characters out of what is pasted: an escape in it would be the beginning of a key."""

    def __init__(self) -> None:
        """Begin outside of anything that is pasted."""
        self._is_inside = False
        self._tail = ""
        """The last that was given out, as far as a mark may begin in it; within what is pasted, what is held back."""

    def plain(self, text: str) -> str:
        """Return what comes from the terminal, with nothing but text and lines in what is pasted."""
        result = ""
        while text:
            text, part = self._inside(text) if self._is_inside else self._outside(text)
            result += part
        return result

    def _outside(self, text: str) -> tuple[str, str]:
        """Give out all up to the mark, at once: what may be its beginning may be a key as well."""
        before, mark, after = (self._tail + text).partition(PASTE)
        if not mark:
            part, self._tail = text, before[-len(PASTE) + 1 :]
            return "", part
        part = text[: len(text) - len(after)]
        self._is_inside, self._tail = True, ""
        return after, part

    def _inside(self, text: str) -> tuple[str, str]:
        before, mark, after = (self._tail + text).partition(PASTE_END)
        if mark:
            self._is_inside, self._tail = False, ""
            return after, f"{_without_controls(before)}{PASTE_END}"
        held = next((at for at in range(len(PASTE_END) - 1, 0, -1) if before.endswith(PASTE_END[:at])), 0)
        self._tail = before[len(before) - held :]
        return "", _without_controls(before[: len(before) - held])


def _without_controls(text: str) -> str:
    return "".join(
        character
        for character in text.replace("\r", "\n").replace("\t", " ")
        if character == "\n" or character.isprintable()
    )


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
        self._title: str | None = None
        """What the terminal's title is; None while it is that of others."""
        self._has_title = has_title(os.environ.get("TERM", ""))

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

    @property
    def has_mouse(self) -> bool:
        """Whether clicks come here; if not, the terminal marks text with them."""
        return self._mouse

    def set_mouse(self, *, has_mouse: bool) -> None:
        """Give the mouse to the terminal, or take it back."""
        if has_mouse:
            self._mouse = True
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
            self._mouse = False

    def set_title(self, title: str) -> None:
        """Set the title of the terminal, which gets its own back in the end."""
        if self._has_title and title != self._title and not self.is_behind:
            self.write(f"{SAVE if self._title is None else ''}{to_sequence(title)}")
            self._title = title

    def _caught_up(self) -> None:
        self._app.post_message(TerminalCaughtUp())

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        if sys.__stderr__ is not None:
            self._outlet = Outlet(sys.__stderr__, self._loop, self._caught_up)
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        # Nothing goes through Textual's own thread.
        self._stop_writer()
        if self._has_title:
            self.write(AS_SENT)
        self.flush()

    def _stop_writer(self) -> None:
        if self._writer_thread is not None:
            self._writer_thread.stop()
            self._writer_thread = None

    def stop_application_mode(self) -> None:
        """Give the terminal back, at once even where it has not shown all yet."""
        if self._outlet is not None:
            self._outlet.forget()
        if self._has_title:
            self.write(REORDERED)
        if self._title is not None:
            self.write(RESTORE)
            self._title = None
        super().stop_application_mode()
        self.flush()

    def close(self) -> None:
        """Let go of the terminal."""
        self.flush()
        if self._outlet is not None:
            self._outlet.close()
            self._written_before += self._outlet.written_bytes
            self._outlet = None

    def run_input_thread(self) -> None:
        """Take keys, mouse and what is pasted, until told to end."""
        parser = XTermParser(self._debug)
        # What is no text is shown as such: a byte too much is no reason to end.
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        pasted = Pasted()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(INPUT_S):
                    data = b""
                    with contextlib.suppress(OSError):
                        data = os.read(self.fileno, INPUT_BYTES)
                    if not data:
                        # The terminal has gone: the app sees that for itself.
                        self.exit_event.wait(INPUT_S)
                    # Nothing would be the end to the parser.
                    if text := pasted.plain(decode(data)):
                        for message in parser.feed(text):
                            self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

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
