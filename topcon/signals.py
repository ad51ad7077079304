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
