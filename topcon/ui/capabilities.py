"""What the terminal can show: how many colours, and whether more than ASCII. No Textual here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_ENVIRON = Path("/proc/self/environ")


class Colors(IntEnum):
    """How many colours there are."""

    NONE = 1
    """Its own two."""
    FEW = 16
    """Those of its palette, which it gives what look it likes."""
    MANY = 256
    ALL = 1 << 24


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be sent to the terminal."""

    colors: Colors = Colors.ALL
    is_ascii: bool = False
    """Whether it is to be sent nothing but ASCII."""


EVERYTHING = Capabilities()

_COLORS = (
    ("dumb", Colors.NONE),
    ("unknown", Colors.NONE),
    ("vt[0-9]*", Colors.NONE),
    ("*-m", Colors.NONE),
    ("*-mono", Colors.NONE),
    ("*-direct*", Colors.ALL),
    ("*-truecolor", Colors.ALL),
    ("alacritty*", Colors.ALL),
    ("contour*", Colors.ALL),
    ("foot*", Colors.ALL),
    ("rio*", Colors.ALL),
    ("wezterm*", Colors.ALL),
    ("xterm-ghostty", Colors.ALL),
    ("xterm-kitty", Colors.ALL),
    ("*-256color*", Colors.MANY),
)
"""The colours of terminals by their names, the first that fits; another has a few. Those without ``-256color`` in their
names that have more are told by name, since SSH hands on ``TERM`` and not ``COLORTERM``."""
_WITHOUT_GLYPHS = ("dumb", "unknown", "vt[0-9]*", "linux*")
"""Terminals whose fonts lack bars and lines, whatever the locale says."""
_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
"""The first of these that is set names the locale, says POSIX."""


def capabilities(environ: Mapping[str, str], *, is_ascii: bool | None = None) -> Capabilities:
    """Tell from the environment what the terminal can show; ``is_ascii`` is what the person says of it, if anything."""
    term = environ.get("TERM", "").strip().lower()
    if is_ascii is None:
        is_ascii = not _is_utf_8(environ) or any(fnmatchcase(term, each) for each in _WITHOUT_GLYPHS)
    return Capabilities(_colors(environ, term), is_ascii)


def _colors(environ: Mapping[str, str], term: str) -> Colors:
    named = next((colors for pattern, colors in _COLORS if fnmatchcase(term, pattern)), Colors.FEW)
    # https://no-color.org: when it is set and not empty.
    if environ.get("NO_COLOR") or named is Colors.NONE:
        return Colors.NONE
    return Colors.ALL if environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"} else named


def _is_utf_8(environ: Mapping[str, str]) -> bool:
    locale = next((environ[name] for name in _LOCALE if environ.get(name)), "C")
    encoding = locale.partition("@")[0].partition(".")[2]
    return encoding.lower().replace("-", "") == "utf8"


def first_environ() -> Mapping[str, str]:
    """Return the environment as it was when the process began: Python itself makes a UTF-8 locale of C."""
    try:
        lines = OWN_ENVIRON.read_bytes().split(b"\0")
    except OSError:
        return os.environ
    return dict(os.fsdecode(line).split("=", 1) for line in lines if b"=" in line)
