"""Nothing waits for a terminal: what it does not take is sent when it does, or never."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.ui import driver
from topcon.ui.driver import END_OF_FRAME, PASTE, PASTE_END, Outlet, Pasted, open_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

MUCH = "x" * 100_000
PATIENCE_S = 30.0
"""How long the event loop may take on a busy machine; never waited for when all is well."""


class Line:
    """A terminal, and an outlet to it."""

    def __init__(self, controller: int, terminal: TextIO) -> None:
        self.controller = controller
        self.caught_up = asyncio.Event()
        self.times = 0
        self.outlet = Outlet(terminal, asyncio.get_running_loop(), self._note)

    def _note(self) -> None:
        self.times += 1
        self.caught_up.set()

    def read(self) -> bytes:
        """Take all that the terminal has been sent, as far as it has come."""
        result = b""
        os.set_blocking(self.controller, False)
        with suppress(BlockingIOError):
            while data := os.read(self.controller, 65536):
                result += data
        return result

    async def read_until_caught_up(self) -> bytes:
        result = b""
        async with asyncio.timeout(PATIENCE_S):
            while not self.caught_up.is_set():
                result += self.read()
                await asyncio.sleep(0)
        return result + self.read()


@contextmanager
def opened() -> Iterator[Line]:
    controller, terminal = pty.openpty()
    tty.setraw(terminal)
    with os.fdopen(terminal, "w", encoding="utf-8") as file:
        yield Line(controller, file)
    with suppress(OSError):
        os.close(controller)


async def test_what_there_is_room_for_is_sent_at_once() -> None:
    with opened() as line:
        line.outlet.write("frame ▁")
        assert line.read() == b""
        line.outlet.flush()

        assert line.read().decode() == "frame ▁"
        assert (line.outlet.written_bytes, line.outlet.is_behind, line.times) == (9, False, 0)
        line.outlet.close()


async def test_a_terminal_that_is_full_is_not_waited_for_and_gets_the_rest_in_order() -> None:
    with opened() as line:
        line.outlet.write(MUCH)
        line.outlet.flush()
        assert line.outlet.is_behind
        assert 0 < line.outlet.written_bytes < len(MUCH)
        line.outlet.write("end")
        line.outlet.flush()
        assert line.outlet.written_bytes + line.outlet.waiting_bytes == len(MUCH) + 3

        assert await line.read_until_caught_up() == f"{MUCH}end".encode()
        assert (line.outlet.waiting_bytes, line.outlet.is_behind, line.times) == (0, False, 1)
        line.outlet.close()


async def test_what_is_forgotten_makes_room_for_what_comes_next() -> None:
    with opened() as line:
        line.outlet.write(MUCH)
        line.outlet.flush()
        line.outlet.forget()
        line.outlet.write("goodbye")
        line.outlet.flush()

        assert (line.outlet.waiting_bytes, line.outlet.is_behind) == (0, False)
        assert line.read().endswith(END_OF_FRAME + b"goodbye")
        line.outlet.close()


async def test_a_terminal_that_keeps_up_is_told_nothing_more_when_it_is_asked_to_forget() -> None:
    with opened() as line:
        line.outlet.forget()
        line.outlet.close()

        assert line.read() == b""


async def test_a_terminal_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PATIENCE_S", 0.01)
    with opened() as line:
        line.outlet.write(MUCH)
        line.outlet.flush()
        line.outlet.close()

        assert line.outlet.waiting_bytes > 0


async def test_what_is_left_is_sent_before_the_end() -> None:
    with opened() as line:
        line.outlet.write("last words")
        line.outlet.close()

        assert line.read() == b"last words"


async def test_a_terminal_that_has_gone_takes_everything() -> None:
    with opened() as line:
        os.close(line.controller)
        line.outlet.write(MUCH)
        line.outlet.flush()

        assert (line.outlet.waiting_bytes, line.outlet.is_behind, line.outlet.written_bytes) == (0, False, 0)
        line.outlet.close()


async def test_a_terminal_that_goes_while_it_is_behind_holds_nothing_up() -> None:
    with opened() as line:
        line.outlet.write(MUCH)
        line.outlet.flush()
        os.close(line.controller)
        async with asyncio.timeout(PATIENCE_S):
            await line.caught_up.wait()

        assert (line.outlet.waiting_bytes, line.outlet.is_behind) == (0, False)
        line.outlet.close()


def test_the_terminal_of_others_stays_as_it_is() -> None:
    controller, terminal = pty.openpty()
    again = open_terminal(terminal)
    try:
        assert os.ttyname(again) == os.ttyname(terminal)
        assert os.get_blocking(terminal)
        assert not os.get_blocking(again)
        assert not os.get_inheritable(again)
    finally:
        for fd in (controller, terminal, again):
            os.close(fd)


def test_a_terminal_that_may_not_be_opened_is_written_to_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    controller, terminal = pty.openpty()
    monkeypatch.setattr(os, "open", refused)
    again = open_terminal(terminal)
    try:
        os.write(again, b"hello")
        assert os.read(controller, 5) == b"hello"
        assert termios.tcgetattr(again) == termios.tcgetattr(terminal)
    finally:
        for fd in (controller, terminal, again):
            os.close(fd)


def plain(*parts: str) -> str:
    pasted = Pasted()
    return "".join(map(pasted.plain, parts))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("q\x1b[A\x1b", "q\x1b[A\x1b"),
        (f"a{PASTE}b\x1b[31mqSK\x1bq{PASTE_END}c\x1b", f"a{PASTE}b[31mqSKq{PASTE_END}c\x1b"),
        (f"{PASTE}one\r\ntwo\rthree\tx\x00\x7f\x9b{PASTE_END}", f"{PASTE}one\n\ntwo\nthree x{PASTE_END}"),
        (f"{PASTE}{PASTE}x{PASTE_END}\x03", f"{PASTE}[200~x{PASTE_END}\x03"),
    ],
)
def test_there_is_no_key_in_what_is_pasted(typed: str, kept: str) -> None:
    assert plain(typed) == kept
    assert plain(*typed) == kept


def test_a_key_that_could_begin_a_paste_is_not_held_back() -> None:
    pasted = Pasted()

    assert pasted.plain("\x1b") == "\x1b"
    assert pasted.plain("[200") == "[200"
    assert pasted.plain("~x\x1by") == "~xy"


@given(st.lists(st.sampled_from(["a", "\x1b", "[201", "[200", "~", "q", PASTE, PASTE_END, "\n"])))
def test_however_it_comes_in_parts_it_is_taken_as_one(parts: list[str]) -> None:
    assert plain(*parts, PASTE_END) == plain("".join((*parts, PASTE_END)))
