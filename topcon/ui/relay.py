"""Lends the terminal to a program in a container: what is typed goes there, what it writes comes here. No Textual here.

The terminal is raw meanwhile, so every key is the program's, but for one: ^] three times within a second leaves it,
whatever it does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
import time
import tty
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.shell import Size

if TYPE_CHECKING:
    from topcon.model.shell import Session

LEAVE_KEY = 0x1D
"""``^]``, as telnet has it."""
LEAVE_TIMES = 3
LEAVE_S = 1.0
MOST_TYPED = 1 << 20
"""Bytes that wait for a program that does not read: no more is read from the terminal then."""
RESET = b"\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?1l\x1b>\x1b[0m"
"""A cursor, no mouse, no marks around what is pasted, plain keys, plain colours: a program that was killed leaves them
as it had them."""
TO_OTHER_SCREEN, FROM_OTHER_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
"""What programs send that draw on the whole screen, and after that; out of turn, the latter would move the cursor."""
_CHUNK = 1 << 14
_RESIZED, _ENOUGH = b"r", b"q"
_FALLBACK = Size(80, 24)


class Ended(NamedTuple):
    """How lending came to an end."""

    was_left: bool
    """Whether the person, or topcon's own end, left the program, which may go on."""
    took_s: float


class LeaveKeys:
    """Watches what is typed for the keys that leave."""

    def __init__(self) -> None:
        """Begin with none typed."""
        self._times: list[float] = []

    def typed(self, data: bytes, now_s: float) -> bool:
        """Whether these bytes complete the keys."""
        for byte in data:
            if byte != LEAVE_KEY:
                self._times.clear()
                continue
            self._times = [*(each for each in self._times if now_s - each <= LEAVE_S), now_s]
            if len(self._times) >= LEAVE_TIMES:
                return True
        return False


class Relay:
    """Lends a terminal to a program once. `run` belongs on a thread; the other two are for any."""

    def __init__(self, session: Session, terminal_in: int, terminal_out: int) -> None:
        """Read keys from one descriptor, and write to the other."""
        self._session = session
        self._in = terminal_in
        self._out = terminal_out
        self._is_on_other_screen = False
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def resized(self) -> None:
        """Tell the program that the terminal has another size."""
        self._wake(_RESIZED)

    def leave(self) -> None:
        """Come to an end soon, whatever the program does."""
        self._wake(_ENOUGH)

    def _wake(self, what: bytes) -> None:
        # Full, or closed: then it is awake, or at its end.
        with contextlib.suppress(OSError):
            os.write(self._waker, what)

    def run(self) -> Ended:
        """Lend the terminal until the program ends or is left, and put the terminal back."""
        begun = time.monotonic()
        saved = _settings(self._in)
        try:
            if saved is not None:
                tty.setraw(self._in, termios.TCSANOW)
            self._session.resize(size_of(self._out))
            was_left = self._carry()
        finally:
            # What it may have turned on, such as a mouse, would be there for whoever has the terminal next.
            _write(self._out, RESET + (FROM_OTHER_SCREEN if self._is_on_other_screen else b""))
            if saved is not None:
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(self._in, termios.TCSANOW, saved)
        return Ended(was_left, time.monotonic() - begun)

    def close(self) -> None:
        """Give the descriptors back that woke it."""
        os.close(self._woken)
        os.close(self._waker)

    def _carry(self) -> bool:
        """Carry bytes both ways until the program ends; return whether it was left before that."""
        keys, typed = LeaveKeys(), bytearray()
        fd = self._session.fd
        self._show(self._session.early)
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        while True:
            _ask_for(poll, self._in, is_asked=len(typed) < MOST_TYPED)
            poll.register(fd, select.POLLIN | (select.POLLOUT if typed else 0))
            ready = dict(poll.poll())
            if self._woken in ready and self._is_enough():
                return True
            if self._in in ready:
                data = _read(self._in)
                if not data or keys.typed(data, time.monotonic()):
                    return True
                typed += data
            if typed and ready.get(fd, 0) & select.POLLOUT and not _sent(fd, typed):
                return False
            if ready.get(fd, 0) & ~select.POLLOUT:
                data = _read(fd)
                if data == b"":
                    return False
                self._show(data or b"")

    def _show(self, data: bytes) -> None:
        there, back = data.rfind(TO_OTHER_SCREEN), data.rfind(FROM_OTHER_SCREEN)
        if there != back:
            self._is_on_other_screen = there > back
        _write(self._out, data)

    def _is_enough(self) -> bool:
        asked = os.read(self._woken, _CHUNK)
        if _RESIZED in asked:
            self._session.resize(size_of(self._out))
        return _ENOUGH in asked


def _ask_for(poll: select.poll, fd: int, *, is_asked: bool) -> None:
    if is_asked:
        poll.register(fd, select.POLLIN)
    else:
        with contextlib.suppress(KeyError):
            poll.unregister(fd)


def _read(fd: int) -> bytes | None:
    """Read what is there; empty at the end, None if nothing is there."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        # A terminal ends like this whose other end is closed, as does a stream that was cut.
        return b""


def _sent(fd: int, typed: bytearray) -> bool:
    """Send as much as is taken; return whether anybody is there."""
    try:
        del typed[: os.write(fd, typed)]
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def _write(fd: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(fd, data) :]


def _settings(fd: int) -> list[int | list[bytes | int]] | None:
    try:
        return termios.tcgetattr(fd)
    except termios.error:
        return None


def size_of(fd: int) -> Size:
    """Return the size of a terminal."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return _FALLBACK
    return Size(columns, rows) if columns and rows else _FALLBACK


def said_at_first(shell: str, name: str, through: str, note: str | None) -> bytes:
    """Say whose prompt comes next, and how to come back; the texts have been made safe."""
    less = f" ({note})" if note else ""
    text = f"\r\n{shell} in {name}, through {through}{less}: exit comes back to topcon, ^] three times leaves it\r\n"
    return text.encode()


def ended_text(name: str, status: int | None, *, was_left: bool) -> str:
    """Say how it ended."""
    if was_left:
        return f"the shell in {name} was left, and may still run"
    return f"the shell in {name} has ended" + (f" with {status}" if status is not None else "")
