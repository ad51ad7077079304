"""Each theme loads and can be read; a wrong one is told of in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import unhurried
from textual.color import Color

from topcon.config import DEFAULT_THEME
from topcon.errors import UsageError
from topcon.ui import themes
from topcon.ui.themes import COLORS, TONES, load_theme, parse_theme, theme_names

FILES = sorted((Path(__file__).parents[2] / "themes").glob("*.toml"))
NAMES = [file.stem for file in FILES]
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for text of ordinary size."""

TEXTS = ("foreground", "dim", "accent", "success", "warning", "error")
GROUNDS = ("background", "surface", "cursor")
"""The tree, a dialog and the row under the cursor."""
PAIRS = [
    *((text, ground) for ground in GROUNDS for text in TEXTS if (text, ground) != ("accent", "cursor")),
    ("foreground", "panel"),
    ("background", "accent"),
    ("background", "error"),
]
"""No cell of a row is in the accent. The last ones are fields and messages, and the buttons that have the focus."""


def colors_of(name: str) -> dict[str, Color]:
    """Return a theme's colours by the names that they have in its file."""
    theme = load_theme(name)
    shown = {color: Color.parse(str(getattr(theme, color))) for color in COLORS}
    return shown | {tone: Color.parse(theme.variables[f"tone-{tone}"]) for tone in TONES}


def luminance(color: Color) -> float:
    """Return the relative luminance, as WCAG 2.2 defines it."""
    parts = [part / 255 for part in color.rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_of(**changed: str) -> str:
    """Return a theme's file in which some lines are changed."""
    lines = {"dark": "dark = true", "colors": "[colors]"}
    lines |= {color: f'{color} = "#123456"' for color in sorted(COLORS)}
    lines |= {"tones": "[tones]", "dim": 'dim = "#777777"', "cursor": 'cursor = "#333333"'}
    return "\n".join((lines | changed).values())


# Those that there are


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21.0)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.005)


def test_each_file_is_a_theme_and_there_is_a_dark_and_a_light_one() -> None:
    assert theme_names() == NAMES
    assert DEFAULT_THEME in NAMES
    assert {load_theme(name).dark for name in NAMES} == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_theme_has_its_files_name_and_is_as_dark_as_it_says(name: str) -> None:
    theme = load_theme(name)

    assert theme.name == name
    assert theme.dark == (luminance(Color.parse(str(theme.background))) < 0.2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_a_text_can_be_read_on_what_it_lies_on(name: str, text: str, ground: str) -> None:
    colors = colors_of(name)

    assert contrast(colors[text], colors[ground]) >= LEAST_CONTRAST


@pytest.mark.parametrize("name", NAMES)
def test_the_tones_can_be_told_apart(name: str) -> None:
    """Their meaning is never told by colour alone, but two tones of one colour would be a mistake."""
    colors = colors_of(name)

    assert len({colors[text] for text in TEXTS}) == len(TEXTS)
    assert len({colors[ground] for ground in (*GROUNDS, "panel")}) == len(GROUNDS) + 1


# Those that are wrong


def test_a_file_that_is_right_is_read_as_it_stands() -> None:
    theme = parse_theme("mine", text_of(dark="dark = false", accent='accent = "#58a6d6"').encode())

    assert (theme.name, theme.dark, theme.accent) == ("mine", False, "#58a6d6")
    assert theme.variables["tone-dim"] == "#777777"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "[colors] lacks accent, background, error, foreground, panel, primary, success, surface, warning"),
        ("colors", "Expected '='"),
        (text_of(accent=""), "[colors] lacks accent"),
        (text_of(tones="", dim="", cursor=""), "[tones] lacks cursor, dim"),
        (text_of(accent='accent = "blurple"'), "[colors] accent = 'blurple': expected a colour"),
        (text_of(accent='accent = "#12345"'), "[colors] accent = '#12345': expected a colour"),
        (text_of(accent="accent = 7"), "[colors] accent = 7: expected a colour"),
        (text_of(accent="accent = [1, 2, 3]"), "[colors] accent = [1, 2, 3]: expected a colour"),
        (text_of(accent='accent = "a\\nb"'), "[colors] accent = 'a\\nb': expected a colour"),
        (text_of(accent='accent = "red"\naccnt = "red"'), "[colors] accnt: expected one of accent"),
        (text_of(cursor='cursor = "red"\nbright = "red"'), "[tones] bright: expected one of cursor, dim"),
        (text_of(dark='colors = "red"', colors="[colours]"), "[colors]"),
        (text_of(dark="colors = 1", colors="[colours]"), "[colors]"),
        (text_of(colors="[[colors]]"), "[colors]"),
        (text_of(dark='dark = "no"'), "dark"),
    ],
    ids=[
        *("empty", "no-toml", "a-colour-missing", "tones-missing", "no-colour", "five-digits", "number", "list"),
        *("two-lines", "unknown-colour", "unknown-tone", "colors-is-text", "colors-is-a-number", "colors-is-a-list"),
        "dark-is-text",
    ],
)
def test_a_wrong_file_is_told_of_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_theme("mine", text.encode())

    message = str(caught.value)
    assert message.startswith("themes/mine.toml: ")
    assert told in message
    assert len(message.splitlines()) == 1


@unhurried
@given(st.text())
def test_any_text_is_a_theme_or_told_of(text: str) -> None:
    with pytest.raises(UsageError):
        parse_theme("mine", text.encode())


@pytest.mark.parametrize("name", ["solarized", "", "topcon-dark.toml", "a\x00b"])
def test_a_theme_that_is_not_there_is_told_of_with_those_that_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_theme(name)

    assert str(caught.value) == f"--theme {name}: there is no such theme; there are: {', '.join(NAMES)}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of themes with one in it."""
    monkeypatch.setattr(themes, "_folders", lambda: [tmp_path])
    (tmp_path / "mine.toml").write_text(text_of(), encoding="utf-8")
    return tmp_path


def test_a_file_that_is_no_utf_8_is_told_of_in_one_line(folder: Path) -> None:
    (folder / "mine.toml").write_bytes(b"# \xff\n" + text_of().encode())

    with pytest.raises(UsageError, match=r"^themes/mine\.toml: .*utf-8"):
        load_theme("mine")


def test_only_toml_files_are_themes(folder: Path) -> None:
    (folder / "README.md").write_text("Colours.", encoding="utf-8")
    (folder / ".mine.toml.swp").write_bytes(b"")

    assert theme_names() == ["mine"]
