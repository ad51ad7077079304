"""In ASCII all that topcon draws with has a stand-in, and nothing moves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual._border import BORDER_CHARS
from textual.scrollbar import ScrollBarRender

import topcon
from topcon.ui.glyphs import GLYPHS, to_ascii
from topcon.ui.spans import EIGHTHS, LEVELS, bar, sparkline

PACKAGE = Path(topcon.__file__).parent
ELSEWHERE = frozenset({"exporter", "setup", "runtimes", "kernel"})
"""What writes no screen."""
SOURCES = [file for file in sorted(PACKAGE.rglob("*.py")) if file.relative_to(PACKAGE).parts[0] not in ELSEWHERE]


def drawn_by(source: str) -> set[str]:
    """Return what is not ASCII in the texts of a source, but for its docstrings."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told]
    return {character for text in texts if isinstance(text, str) for character in text if not character.isascii()}


def drawn_by_textual() -> set[str]:
    """Return the edges that ``topcon.tcss`` asks for, that of notices, and the ends of scroll bars."""
    edges = {*re.findall(r"border[a-z-]*: ([a-z]+)", (PACKAGE / "ui" / "topcon.tcss").read_text()), "outer"}
    texts = [text for edge in edges if edge != "none" for row in BORDER_CHARS[edge] for text in row]
    return {*"".join([*texts, *ScrollBarRender.VERTICAL_BARS, *ScrollBarRender.HORIZONTAL_BARS])} - {" "}


def test_a_source_is_searched_for_what_it_draws() -> None:
    assert drawn_by('"""An arrow →."""\nx = f"■ {y} ▲"\nz = "…"') == {"■", "▲", "…"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_each_glyph_of_the_sources_has_a_stand_in(file: Path) -> None:
    assert drawn_by(file.read_text(encoding="utf-8")) <= GLYPHS.keys()


def test_each_glyph_that_textual_draws_has_a_stand_in() -> None:
    assert drawn_by_textual() <= GLYPHS.keys()


def test_a_stand_in_is_one_ascii_character_for_one_column() -> None:
    assert {cell_len(glyph) for glyph in GLYPHS} == {1}
    assert all(len(shown) == 1 and shown.isascii() and shown.isprintable() for shown in GLYPHS.values())


def test_marks_levels_and_bars_can_be_told_apart() -> None:
    assert len({to_ascii(mark) for mark in "■▲▾▸"}) == 4
    assert len(set(to_ascii(LEVELS))) == len(LEVELS)
    assert to_ascii(sparkline([1, 4, 8, None], 8)) == ":+# "
    assert to_ascii(bar(0.6, 6)) == "###=  "
    assert to_ascii(EIGHTHS[0]) == " "


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31m■ 2\x1b[0m", "\x1b[1;31m! 2\x1b[0m"),
        ("├ web…1", "| web~1"),
        ("naïve", "na?ve"),
        ("日本", "????"),
        ("\N{PILE OF POO}!", "??!"),
        ("e\N{COMBINING ACUTE ACCENT}x", "ex"),
        ("日■本", "??!??"),
    ],
)
def test_a_text_in_ascii(text: str, shown: str) -> None:
    assert to_ascii(text) == shown


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_any_text_is_ascii_and_as_wide_as_it_was(text: str) -> None:
    shown = to_ascii(text)

    assert shown.isascii()
    assert len(shown) == sum(cell_len(part) for part in re.split(r"([\x00-\x7f]|[" + "".join(GLYPHS) + "])", text))
