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


@contextmanager
def on_terminal(command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a program on a new terminal; give it and the terminal's other end. It is ended with the block."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"} | environment,
    )
    try:
        yield process, controller
    finally:
        process.terminate()
        while process.poll() is None:
            read_for(controller, 0.05)
        os.close(terminal)
        os.close(controller)


def read_for(controller: int, seconds: float) -> None:
    """Read what a program draws, so that it can go on, for some time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([controller], [], [], left)[0]:
            os.read(controller, 65536)
