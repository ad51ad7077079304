"""Spans become segments: what is written is underlined or turned around, not the blanks and bars beside it."""

from __future__ import annotations

import pytest
from rich.style import Style

from topcon.ui.spans import Span, Tone
from topcon.ui.widgets.lines import _painted

BASE = Style.parse("default on default")
TURNED = BASE + Style(reverse=True)
BAD = Style(bold=True, reverse=True)
WARN = Style(underline=True)
RED = Style.parse("bold red")


def shown(text: str, tone: Tone, base: Style, own: Style) -> list[tuple[str, bool, bool]]:
    """Return the pieces, and which of them are turned around, and which underlined."""
    parts = _painted(Span(text, tone), base, own)
    return [
        (part.text, bool(part.style and part.style.reverse), bool(part.style and part.style.underline))
        for part in parts
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("91%", [("91%", True, False)]),
        ("  91% ", [("  ", False, False), ("91%", True, False), (" ", False, False)]),
        ("███▌   91%", [("███▌   ", False, False), ("91%", True, False)]),
        ("■ 2", [("■ ", False, False), ("2", True, False)]),
        ("    ", [("    ", False, False)]),
        ("", []),
        ("two words", [("two words", True, False)]),
    ],
)
def test_only_what_is_written_is_turned_around(text: str, parts: list[tuple[str, bool, bool]]) -> None:
    assert shown(text, Tone.BAD, BASE, BAD) == parts
    assert shown(text, Tone.WARN, BASE, WARN) == [(part, False, is_turned) for part, is_turned, _ in parts]


def test_what_is_bad_stands_out_of_a_cursor_that_is_turned_around() -> None:
    assert shown(" 91%", Tone.BAD, TURNED, BAD) == [(" ", True, False), ("91%", False, False)]


def test_a_cursor_that_is_turned_around_stays_in_one_piece_where_nothing_is_meant() -> None:
    assert _painted(Span("0", Tone.DIM), TURNED, Style(dim=True))[0].style == TURNED


def test_a_color_alone_is_one_piece() -> None:
    (part,) = _painted(Span("  ███ 91%  ", Tone.BAD), BASE, RED)

    assert part.style == BASE + RED
