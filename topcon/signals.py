"""Signals by the names that people and images write (signal(7))."""

from __future__ import annotations

import re
import signal


def signal_number(name: str) -> int:
    """Return the number of a signal: ``SIGTERM``, ``term``, ``15``, ``RTMIN+3``.

    Raises:
        ValueError: there is no such signal.
    """
    if name.isascii() and name.isdigit():
        if int(name) in signal.valid_signals():
            return int(name)
        raise ValueError(name)
    match = re.fullmatch(r"(RTMIN|RTMAX)([+-]\d+)", name.upper().removeprefix("SIG"))
    if match:
        number = int(signal.Signals[f"SIG{match[1]}"]) + int(match[2])
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
        raise ValueError(name)
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"].value
    except KeyError:
        raise ValueError(name) from None


def signal_name(name: str) -> str:
    """Return a signal as it is usually written: ``SIGTERM``, ``SIGRTMIN+3``.

    Raises:
        ValueError: there is no such signal.
    """
    number = signal_number(name)
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


_NOT_STARTED = {125: "could not be started", 126: "cannot be run", 127: "command not found"}
"""What shells and runtimes end with where there was nothing to run."""
_BY_SIGNAL = 128
"""What is added to the signal that a process was ended by."""


def exit_meaning(code: int) -> str | None:
    """Say what an exit code means to most: ``SIGKILL`` for 137; None for one that means what its program wants."""
    if code in _NOT_STARTED:
        return _NOT_STARTED[code]
    try:
        return signal_name(str(code - _BY_SIGNAL)) if code > _BY_SIGNAL else None
    except ValueError:
        return None
