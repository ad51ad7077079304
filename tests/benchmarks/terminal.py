"""Run a program on a terminal of its own, and read what it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = (30, 120)
"""Rows and columns."""
LARGE = (50, 160)


@contextmanager
def on_terminal(
    command: list[str], size: tuple[int, int] = SIZE, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a program on a new terminal; give it and the terminal's other end. It is ended with the block.

    It has no configuration of its user's.
    """
    controller, terminal = pty.openpty()
    set_size(terminal, size)
    environment = {"TERM": "xterm-256color", "COLORTERM": "", "XDG_CONFIG_HOME": "/nonexistent"} | environment
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=os.environ | environment,
    )
    try:
        yield process, controller
    finally:
        process.terminate()
        while process.poll() is None:
            read_for(controller, 0.05)
        os.close(terminal)
        os.close(controller)


def set_size(terminal: int, size: tuple[int, int]) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


def read_for(controller: int, seconds: float) -> int:
    """Read what a program draws, so that it can go on, for some time; return how many bytes it was."""
    read = 0
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([controller], [], [], left)[0]:
            read += len(os.read(controller, 65536))
    return read
