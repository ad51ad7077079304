"""What a terminal can show is told from the environment alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from topcon.ui import capabilities as module
from topcon.ui.capabilities import Colors, capabilities, first_environ

if TYPE_CHECKING:
    from pathlib import Path

UTF_8 = {"LANG": "en_GB.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "colors"),
    [
        ({"TERM": "xterm"}, Colors.FEW),
        ({"TERM": "screen"}, Colors.FEW),
        ({"TERM": "linux"}, Colors.FEW),
        ({}, Colors.FEW),
        ({"TERM": "xterm-256color"}, Colors.MANY),
        ({"TERM": "screen-256color-bce"}, Colors.MANY),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, Colors.ALL),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, Colors.ALL),
        ({"TERM": "xterm", "COLORTERM": "yes"}, Colors.FEW),
        ({"TERM": "xterm-kitty"}, Colors.ALL),
        ({"TERM": "alacritty"}, Colors.ALL),
        ({"TERM": "tmux-direct"}, Colors.ALL),
        ({"TERM": "dumb"}, Colors.NONE),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, Colors.NONE),
        ({"TERM": "vt100"}, Colors.NONE),
        ({"TERM": "vt220-w"}, Colors.NONE),
        ({"TERM": "xterm-mono"}, Colors.NONE),
        ({"TERM": "vte-256color"}, Colors.MANY),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, Colors.NONE),
        ({"TERM": "xterm", "NO_COLOR": ""}, Colors.FEW),
    ],
)
def test_the_number_of_colors(environ: dict[str, str], colors: Colors) -> None:
    assert capabilities(environ).colors is colors


@pytest.mark.parametrize(
    ("environ", "is_ascii"),
    [
        (UTF_8, False),
        ({"LANG": "de_DE.utf8"}, False),
        ({"LANG": "de_DE.UTF-8@euro"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "POSIX"}, True),
        ({"LANG": "de_DE"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({}, True),
        ({"LC_ALL": "C", **UTF_8}, True),
        ({"LC_ALL": "", **UTF_8}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "C", **UTF_8}, True),
        ({"TERM": "linux", **UTF_8}, True),
        ({"TERM": "vt100", **UTF_8}, True),
        ({"TERM": "dumb", **UTF_8}, True),
        ({"TERM": "tmux-256color", **UTF_8}, False),
    ],
)
def test_whether_there_is_more_than_ascii(environ: dict[str, str], is_ascii: bool) -> None:
    assert capabilities(environ).is_ascii is is_ascii


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("environ", [UTF_8, {"LANG": "C"}, {"TERM": "linux", **UTF_8}])
def test_the_person_knows_better(environ: dict[str, str], said: bool) -> None:
    assert capabilities(environ, is_ascii=said).is_ascii is said


def test_the_environment_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "environ"
    file.write_bytes(b"LANG=C\0A=b=c\0odd\0\xff=\xff\0")
    monkeypatch.setattr(module, "OWN_ENVIRON", file)
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")

    assert dict(first_environ()) == {"LANG": "C", "A": "b=c", "\udcff": "\udcff"}
    assert capabilities(first_environ()).is_ascii


def test_where_that_cannot_be_read_it_is_what_python_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OWN_ENVIRON", tmp_path / "none")

    assert first_environ() is os.environ
