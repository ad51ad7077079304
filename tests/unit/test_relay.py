"""The terminal is lent, keys that leave are seen, and all is put back, however it ends."""

from __future__ import annotations

import os
import socket
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from topcon.model.shell import Size
from topcon.ui import relay as module
from topcon.ui.relay import LeaveKeys, Relay, ended_text, said_at_first, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.ui.relay import Ended


class FakeSession:
    """A program whose other end the test holds."""

    def __init__(self, early: bytes = b"") -> None:
        self.program, ours = socket.socketpair()
        ours.setblocking(False)
        self._ours = ours
        self.fd = ours.fileno()
        self.early = early
        self.sizes: list[Size] = []
        self.resized = threading.Event()

    def resize(self, size: Size) -> None:
        self.sizes.append(size)
        self.resized.set()

    def status(self) -> int | None:
        return 0

    def close(self) -> None:
        self._ours.close()
        self.program.close()


class Lent:
    """A terminal that is lent to a program, on a thread."""

    def __init__(self, early: bytes = b"") -> None:
        self.keyboard, self.terminal = os.openpty()
        self.session = FakeSession(early)
        self.before = termios.tcgetattr(self.terminal)
        self.relay = Relay(self.session, self.terminal, self.terminal)
        self.ended: list[Ended] = []
        self.thread = threading.Thread(target=lambda: self.ended.append(self.relay.run()), daemon=True)

    def start(self) -> None:
        self.thread.start()
        # Its size is told once the terminal is its own.
        assert self.session.resized.wait(10)

    def type(self, data: bytes) -> None:
        os.write(self.keyboard, data)

    def shown(self, until: bytes) -> bytes:
        data = b""
        while until not in data:
            data += os.read(self.keyboard, 4096)
        return data

    def wait(self) -> Ended:
        self.thread.join(10)
        return self.ended[0]

    def close(self) -> None:
        self.relay.leave()
        if self.thread.ident is not None:
            self.thread.join(10)
        self.relay.close()
        self.session.close()
        os.close(self.keyboard)
        os.close(self.terminal)


@pytest.fixture
def lend() -> Iterator[Callable[..., Lent]]:
    made: list[Lent] = []

    def make(early: bytes = b"") -> Lent:
        made.append(Lent(early))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_bytes_go_both_ways_as_they_are(lend: Callable[..., Lent]) -> None:
    lent = lend(b"$ ")

    assert lent.shown(b"$ ")
    # In a terminal that is not raw, these would be an interrupt, a stop, and an end.
    lent.type(b"\x03\x1a\x04vi\r")
    data = b""
    while len(data) < 6:
        data += lent.session.program.recv(100)
    assert data == b"\x03\x1a\x04vi\r"
    lent.session.program.sendall(b"\x1b[2Jhello\n")
    assert b"\x1b[2Jhello\n" in lent.shown(b"hello\n")


def test_the_end_of_the_program_puts_the_terminal_back(lend: Callable[..., Lent]) -> None:
    lent = lend()
    lent.session.program.sendall(b"\x1b[?1049h\x1b[?1000h")
    lent.session.program.close()

    assert lent.wait().was_left is False
    assert termios.tcgetattr(lent.terminal) == lent.before
    assert module.FROM_OTHER_SCREEN in lent.shown(module.FROM_OTHER_SCREEN)


def test_a_screen_that_was_left_already_is_not_left_again(lend: Callable[..., Lent]) -> None:
    lent = lend()
    lent.session.program.sendall(b"\x1b[?1049h text \x1b[?1049lend")
    lent.shown(b"end")
    lent.session.program.close()
    lent.wait()

    assert module.FROM_OTHER_SCREEN not in lent.shown(b"\x1b[0m")


@pytest.mark.parametrize("how", ["keys", "topcon"])
def test_it_can_be_left_while_the_program_hangs(lend: Callable[..., Lent], how: str) -> None:
    lent = lend()
    if how == "keys":
        lent.type(b"abc\x1d\x1d\x1d")
    else:
        lent.relay.leave()

    assert lent.wait().was_left is True
    assert termios.tcgetattr(lent.terminal) == lent.before


def test_a_new_size_is_told(lend: Callable[..., Lent]) -> None:
    lent = lend()
    lent.session.resized.clear()
    termios.tcsetwinsize(lent.terminal, (50, 160))
    lent.relay.resized()

    assert lent.session.resized.wait(10)
    assert lent.session.sizes[-1] == Size(160, 50)


def test_what_is_typed_waits_for_a_program_that_does_not_read(lend: Callable[..., Lent]) -> None:
    lent = lend()
    typed = b"x" * 300_000
    threading.Thread(target=lambda: lent.type(typed), daemon=True).start()
    data = b""
    while len(data) < len(typed):
        data += lent.session.program.recv(1 << 16)

    assert data == typed


def test_a_terminal_that_goes_ends_it(lend: Callable[..., Lent]) -> None:
    lent = lend()
    spare = os.dup(lent.terminal)
    keyboard, lent.keyboard = lent.keyboard, os.open(os.devnull, os.O_RDWR)
    os.close(keyboard)

    assert lent.wait().was_left is True
    os.close(spare)


@pytest.mark.parametrize(
    ("typed", "is_left"),
    [
        ([(b"\x1d\x1d\x1d", 0.0)], True),
        ([(b"\x1d", 0.0), (b"\x1d", 0.4), (b"\x1d", 0.9)], True),
        ([(b"\x1d", 0.0), (b"\x1d", 0.4), (b"\x1d", 1.5)], False),
        ([(b"\x1d\x1da\x1d", 0.0)], False),
        ([(b"\x1d\x1d", 0.0), (b"]", 0.1), (b"\x1d", 0.2)], False),
    ],
)
def test_the_keys_that_leave(typed: list[tuple[bytes, float]], *, is_left: bool) -> None:
    keys = LeaveKeys()

    assert [keys.typed(data, at_s) for data, at_s in typed][-1] is is_left


def test_what_is_no_terminal_has_a_size_too() -> None:
    reading, writing = os.pipe()

    assert size_of(reading) == Size(80, 24)
    os.close(reading)
    os.close(writing)


def test_words() -> None:
    assert b"bash in web, through docker: exit comes back" in said_at_first("bash", "web", "docker", None)
    assert b"(without a filter)" in said_at_first("sh", "web", "the kernel", "without a filter")
    assert ended_text("web", 0, was_left=False) == "the shell in web has ended with 0"
    assert ended_text("web", None, was_left=False) == "the shell in web has ended"
    assert "may still run" in ended_text("web", None, was_left=True)
