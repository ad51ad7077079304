"""Each theme loads and can be read, whoever looks at it, on whatever terminal; a wrong one is told of in one line."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from textual.color import Color

from topcon.config import DEFAULT_THEME
from topcon.errors import UsageError
from topcon.ui import themes
from topcon.ui.capabilities import Colors
from topcon.ui.themes import (
    COLORS,
    STYLES,
    TONES,
    BrokenTheme,
    load_theme,
    parse_theme,
    suited,
    theme_names,
    theme_or_default,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FILES = sorted((Path(__file__).parents[2] / "themes").glob("*.toml"))
NAMES = [file.stem for file in FILES]
PLAIN = ["monochrome", "terminal"]
"""Those whose colours are the terminal's."""
COLORFUL = [name for name in NAMES if name not in PLAIN]
LEAST_CONTRAST = {"high-contrast": 7.0}
"""WCAG 2.2, 1.4.6, for text of ordinary size."""
ORDINARY_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""

TEXTS = ("foreground", "dim", "accent", "success", "warning", "error")
MEANINGS = ("success", "warning", "error")
GROUNDS = ("background", "surface", "panel", "cursor")
"""The tree, a dialog, what is typed into, and the row under the cursor."""
PAIRS = [
    *((text, ground) for ground in GROUNDS for text in TEXTS),
    ("focus-text", "focus-ground"),
    ("danger-text", "danger-ground"),
]
"""The last ones are the buttons that have the focus."""

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes: A Physiologically-based Model for Simulation of Color Vision
# Deficiency (2009), for those who lack a kind of cone altogether; on linear RGB.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
FAR = 25.0
"""A difference in CIE L*a*b* (1976) that is seen at a glance; 2.3 can just be noticed."""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the person's own themes, with none in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "topcon" / "themes"
    folder.mkdir(parents=True)
    return folder


def colors_of(name: str) -> dict[str, Color]:
    """Return a theme's colours by the names that they have in its file."""
    theme = load_theme(name)
    shown = {color: Color.parse(str(getattr(theme, color))) for color in COLORS}
    shown |= {tone: Color.parse(theme.variables[f"tone-{tone}"]) for tone in TONES}
    buttons = [key for key in theme.variables if key.endswith(("-text", "-ground"))]
    return shown | {key: Color.parse(theme.variables[key]) for key in buttons}


def nearest(color: Color) -> Color:
    """Return what is sent of a colour where there are 256."""
    sent = color.rich_color.downgrade(ColorSystem.EIGHT_BIT)
    return Color(*sent.get_truecolor())


def linear(color: Color) -> list[float]:
    parts = [part / 255 for part in color.rgb]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(color: Color) -> float:
    """Return the relative luminance, as WCAG 2.2 defines it."""
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def seen(color: Color, matrix: Sequence[Sequence[float]]) -> list[float]:
    """Return a colour, in linear RGB, as it is for eyes that a matrix stands for."""
    parts = linear(color)
    return [min(max(sum(map(float.__mul__, row, parts)), 0.0), 1.0) for row in matrix]


def lab(parts: list[float]) -> list[float]:
    """Return linear RGB in CIE L*a*b* (D65)."""
    red, green, blue = parts
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (math.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def text_of(**changed: str) -> str:
    """Return a theme's file in which some lines are changed."""
    lines = {"dark": "dark = true", "colors": "[colors]"}
    lines |= {color: f'{color} = "#123456"' for color in sorted(COLORS)}
    lines |= {"tones": "[tones]", "dim": 'dim = "#777777"', "cursor": 'cursor = "#333333"'}
    return "\n".join((lines | changed).values())


def styled(line: str) -> str:
    return f"{text_of()}\n[styles]\n{line}"


# Those that there are


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21.0)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.005)


def test_each_file_is_a_theme_and_there_is_a_dark_and_a_light_one() -> None:
    assert theme_names() == NAMES
    assert DEFAULT_THEME in NAMES
    assert len(NAMES) >= 9
    assert sorted(load_theme(name).dark for name in COLORFUL if name.startswith("topcon-")) == [False, True]
    assert [name for name in NAMES if load_theme(name).ansi] == PLAIN


@pytest.mark.parametrize("name", COLORFUL)
def test_a_theme_has_its_files_name_and_is_as_dark_as_it_says(name: str) -> None:
    theme = load_theme(name)

    assert theme.name == name
    assert theme.dark == (luminance(Color.parse(str(theme.background))) < 0.2)


@pytest.mark.parametrize("name", COLORFUL)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_a_text_can_be_read_on_what_it_lies_on(name: str, text: str, ground: str) -> None:
    colors = colors_of(name)

    assert contrast(colors[text], colors[ground]) >= LEAST_CONTRAST.get(name, ORDINARY_CONTRAST)


@pytest.mark.parametrize("name", COLORFUL)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_a_text_can_be_read_where_there_are_256_colors(name: str, text: str, ground: str) -> None:
    colors = colors_of(name)

    assert contrast(nearest(colors[text]), nearest(colors[ground])) >= LEAST_CONTRAST.get(name, ORDINARY_CONTRAST)


@pytest.mark.parametrize("name", COLORFUL)
def test_the_tones_can_be_told_apart(name: str) -> None:
    """Their meaning is never told by colour alone, but two tones of one colour would be a mistake."""
    colors = colors_of(name)
    grounds = {colors[ground] for ground in GROUNDS}

    assert len({colors[text] for text in TEXTS}) == len(TEXTS)
    assert len({nearest(colors[text]) for text in TEXTS}) == len(TEXTS)
    assert len(grounds) == len(GROUNDS) or load_theme(name).variables["style-cursor"] == "reverse"


@pytest.mark.parametrize("name", COLORFUL)
@pytest.mark.parametrize(("one", "other"), [("background", "cursor"), ("background", "panel"), ("surface", "panel")])
def test_a_ground_is_seen_where_there_are_256_colors(name: str, one: str, other: str) -> None:
    colors = colors_of(name)
    is_turned = load_theme(name).variables["style-cursor"] == "reverse"

    assert nearest(colors[one]) != nearest(colors[other]) or (other == "cursor" and is_turned)


@pytest.mark.parametrize("eyes", BLINDNESS)
def test_good_and_bad_are_far_apart_for_those_who_see_no_red_or_no_green(eyes: str) -> None:
    colors = colors_of("color-blind")
    shown = [lab(seen(colors[each], BLINDNESS[eyes])) for each in (*MEANINGS, "foreground")]

    assert min(math.dist(one, other) for one, other in combinations(shown, 2)) >= FAR


def test_the_matrices_show_what_is_hard_to_tell_apart() -> None:
    red, green = Color.parse("#c00000"), Color.parse("#5f6f00")
    shown = [lab(seen(each, BLINDNESS["deuteranopia"])) for each in (red, green)]

    assert math.dist(*shown) < FAR < math.dist(lab(linear(red)), lab(linear(green)))


@pytest.mark.parametrize("name", PLAIN)
def test_the_terminals_own_colors_lie_on_its_own_ground(name: str) -> None:
    colors = colors_of(name)
    theme = load_theme(name)

    assert {colors[ground].ansi for ground in GROUNDS} == {-1}
    # Black and white may be the ground, and so may the bright ones be: some palettes hide them.
    assert {colors[text].ansi for text in TEXTS} <= {-1, 1, 2, 3, 4, 5, 6}
    assert "reverse" in theme.variables["style-cursor"]
    assert "reverse" in theme.variables["style-focus"]


def test_in_one_color_each_tone_that_means_something_has_a_look_of_its_own() -> None:
    theme = load_theme("monochrome")
    looks = [theme.variables[f"style-{tone}"] for tone in ("plain", "dim", "strong", "warn", "bad")]

    assert {color.ansi for color in colors_of("monochrome").values()} == {-1}
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("name", NAMES)
def test_bad_stands_out_without_its_color(name: str) -> None:
    variables = load_theme(name).variables

    assert variables["style-bad"] not in {variables["style-plain"], variables["style-dim"], variables["style-good"]}


# Where there are fewer colours


@pytest.mark.parametrize(
    ("name", "colors", "looks_like"),
    [
        ("paper", Colors.ALL, "paper"),
        ("paper", Colors.MANY, "paper"),
        ("paper", Colors.FEW, "terminal"),
        ("paper", Colors.NONE, "monochrome"),
        ("terminal", Colors.ALL, "terminal"),
        ("terminal", Colors.NONE, "terminal"),
        ("monochrome", Colors.FEW, "monochrome"),
    ],
)
def test_a_theme_gives_way_to_one_that_the_terminal_can_show(name: str, colors: Colors, looks_like: str) -> None:
    shown, model = suited(load_theme(name), colors), load_theme(looks_like)

    assert shown.name == name
    assert (shown.ansi, shown.foreground, shown.variables) == (model.ansi, model.foreground, model.variables)


def test_it_gives_way_to_one_of_ours_whatever_the_person_has(own: Path) -> None:
    (own / "terminal.toml").write_text(text_of(), encoding="utf-8")

    assert suited(load_theme("paper"), Colors.FEW).ansi


# Those that are wrong


def test_a_file_that_is_right_is_read_as_it_stands() -> None:
    theme = parse_theme("mine", text_of(dark="dark = false", accent='accent = "#58a6d6"').encode())

    assert (theme.name, theme.dark, theme.accent) == ("mine", False, "#58a6d6")
    assert theme.variables["tone-dim"] == "#777777"
    assert {key: theme.variables[f"style-{key}"] for key in STYLES} == STYLES


def test_a_file_may_say_how_a_tone_looks() -> None:
    theme = parse_theme("mine", styled("bad = 'bold reverse'").encode())

    assert theme.variables["style-bad"] == "bold reverse"
    assert theme.variables["style-strong"] == "bold"


def test_a_file_may_be_made_of_the_terminals_colors() -> None:
    text = "\n".join(
        line.replace(line.split()[-1], '"ansi_green"') if "#" in line else line for line in text_of().splitlines()
    )

    assert parse_theme("mine", text.encode()).ansi


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
        (text_of(dark="bright = true"), "bright: expected one of dark, colors, tones, styles"),
        (text_of(accent='accent = "#58a6d640"'), "[colors] accent = '#58a6d640': expected a colour that nothing"),
        (text_of(accent='accent = "ansi_blue"'), "expected one of the terminal's colours"),
        (styled("loud = 'bold'"), "[styles] loud: expected one of accent, bad, cursor"),
        (styled("bad = 'bold blink'"), "[styles] bad = 'bold blink': expected words out of bold, dim"),
        (styled("bad = ''"), "[styles] bad = '': expected words"),
        (styled("bad = 7"), "[styles] bad = 7: expected words"),
        (text_of(dark="styles = 'bold'"), "styles: expected a table, [styles]"),
    ],
    ids=[
        *("empty", "no-toml", "a-colour-missing", "tones-missing", "no-colour", "five-digits", "number", "list"),
        *("two-lines", "unknown-colour", "unknown-tone", "colors-is-text", "colors-is-a-number", "colors-is-a-list"),
        *("dark-is-text", "unknown-key", "transparent", "half-the-terminals", "unknown-style", "blinking"),
        *("style-empty", "style-number", "styles-are-text"),
    ],
)
def test_a_wrong_file_is_told_of_in_one_line(text: str, told: str) -> None:
    with pytest.raises(BrokenTheme) as caught:
        parse_theme("mine", text.encode())

    message = str(caught.value)
    assert message.startswith("themes/mine.toml: ")
    assert told in message
    assert len(message.splitlines()) == 1


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


# The person's own


def test_a_persons_own_theme_stands_beside_ours_and_wins_over_one_of_its_name(own: Path) -> None:
    for name in ("mine", "paper"):
        (own / f"{name}.toml").write_text(text_of(), encoding="utf-8")

    assert theme_names() == sorted([*NAMES, "mine"])
    assert {load_theme(name).background for name in ("mine", "paper")} == {"#123456"}
    assert load_theme("frost").background != "#123456"


def test_what_is_no_theme_in_the_persons_folder_is_no_theme(own: Path) -> None:
    (own / "README.md").write_text("Colours.", encoding="utf-8")
    (own / "folder.toml").mkdir()
    (own / "\x1b[31m.toml").write_text(text_of(), encoding="utf-8")

    assert theme_names() == NAMES


def test_without_a_folder_of_the_persons_there_are_ours(own: Path) -> None:
    own.rmdir()

    assert theme_names() == NAMES


@pytest.mark.parametrize("name", ["mine", DEFAULT_THEME])
def test_a_broken_theme_is_told_of_and_the_default_one_is_taken(own: Path, name: str) -> None:
    (own / f"{name}.toml").write_text("dark = true", encoding="utf-8")

    theme, warning = theme_or_default(name, DEFAULT_THEME)

    assert (theme.name, theme.background) == (DEFAULT_THEME, "#131619")
    assert warning is not None
    assert warning.startswith(f"{own}/{name}.toml: [colors] lacks accent, ")


def test_a_theme_that_is_whole_has_nothing_to_be_told() -> None:
    theme, warning = theme_or_default("paper", DEFAULT_THEME)

    assert (theme.name, warning) == ("paper", None)


def test_a_theme_that_is_not_there_is_not_passed_over() -> None:
    with pytest.raises(UsageError, match="there is no such theme"):
        theme_or_default("nosuch", DEFAULT_THEME)
