"""Themes, from files: ``themes/NAME.toml``, ours and the person's own."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import UsageError
from topcon.text import printable
from topcon.ui.capabilities import Colors
from topcon.ui.spans import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.resources.abc import Traversable

    from textual.theme import Theme

KEYS = ("dark", "colors", "tones", "styles")
COLORS = frozenset({"background", "surface", "panel", "foreground", "primary", "accent", "success", "warning", "error"})
TONES = frozenset({"dim", "cursor"})
STYLES = dict.fromkeys((*Tone, "cursor", "field"), "none") | {"strong": "bold", "bad": "bold", "found": "reverse"}
"""How each tone, the row under the cursor and what can be typed into look, unless a theme says otherwise."""
WORDS = frozenset({"none", "bold", "dim", "italic", "underline", "reverse"})
"""What a style is made of. Nothing blinks."""
ANSI = "ansi_"
"""How the terminal's own colours begin."""
DEFAULT_COLOR = "ansi_default"

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_STAND_INS = {Colors.NONE: "monochrome", Colors.FEW: "terminal"}
"""What is shown of any theme where there are no colours like its own."""


class BrokenTheme(UsageError):
    """A theme's file is wrong."""


class ThemeFile(NamedTuple):
    """Where a theme is."""

    file: Traversable
    is_ours: bool

    @property
    def place(self) -> str:
        """What its file is called where it is wrong."""
        return f"themes/{self.file.name}" if self.is_ours else str(self.file)


def _folders() -> list[Traversable]:
    """Where our themes are: in the package, or beside it in a checkout."""
    package = files("topcon")
    places: list[Traversable] = [package / "themes", Path(str(package)).parent / "themes"]
    return [place for place in places if place.is_dir()]


def user_folder() -> Path:
    """Return where the person's own themes are (XDG Base Directory)."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    # Path.expanduser() raises for a user without a home; this leaves the path as it is.
    folder = Path(named if named.startswith("/") else os.path.expanduser("~/.config"))  # noqa: PTH111
    return folder / "topcon" / "themes"


def _files(*, has_own: bool = True) -> Mapping[str, ThemeFile]:
    """Find the files of all themes; the person's own win over ours."""
    found = [ThemeFile(file, is_ours=True) for folder in _folders() for file in folder.iterdir()]
    if has_own:
        found += [ThemeFile(file, is_ours=False) for file in _own_files()]
    found = [each for each in found if each.file.name.endswith(".toml")]
    named = {each.file.name.removesuffix(".toml"): each for each in found}
    return {name: each for name, each in sorted(named.items()) if _NAME.fullmatch(name)}


def _own_files() -> Iterable[Path]:
    try:
        return [file for file in user_folder().iterdir() if file.is_file()]
    except OSError:
        return ()


def theme_names() -> list[str]:
    """Return the names of all themes."""
    return list(_files())


def load_theme(name: str) -> Theme:
    """Read a theme.

    Raises:
        UsageError: there is none of that name, or, a `BrokenTheme`, its file is wrong.
    """
    found = _files()
    if name not in found:
        message = f"--theme {name}: there is no such theme; there are: {', '.join(found)}"
        raise UsageError(message)
    return _read(name, found[name])


def theme_or_default(name: str, default: str) -> tuple[Theme, str | None]:
    """Read a theme; where its file is wrong, the default one of ours, and what is wrong.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return load_theme(name), None
    except BrokenTheme as error:
        return _load_ours(default), printable(str(error))


def suited(theme: Theme, colors: Colors) -> Theme:
    """Return a theme as a terminal with so many colours can show it, under its own name."""
    stand_in = _STAND_INS.get(colors)
    if stand_in is None or theme.ansi:
        return theme
    return replace(_load_ours(stand_in), name=theme.name)


def _load_ours(name: str) -> Theme:
    return _read(name, _files(has_own=False)[name])


def _read(name: str, found: ThemeFile) -> Theme:
    try:
        content = found.file.read_bytes()
    except OSError as error:
        message = f"{found.place}: {error.strerror}"
        raise BrokenTheme(message) from None
    return parse_theme(name, content, found.place)


def parse_theme(name: str, content: bytes, place: str | None = None) -> Theme:
    """Parse a theme's file; ``place`` is what the file is called where it is wrong.

    Raises:
        BrokenTheme: it is no TOML; a colour is missing, unknown or no colour; a style is unknown or none.
    """
    from textual.theme import Theme  # noqa: PLC0415  names alone are asked for without the screen

    try:
        values = tomllib.loads(content.decode())
        is_dark = _switch("dark", values.get("dark", True))
        colors = _checked("colors", values.get("colors", {}), COLORS, _color)
        tones = _checked("tones", values.get("tones", {}), TONES, _color)
        styles = STYLES | _checked("styles", values.get("styles", {}), STYLES, _style, is_whole=False)
        is_ansi = _is_ansi({**colors, **tones})
        _check_keys(values)
    except ValueError as error:
        message = f"{place or f'themes/{name}.toml'}: {error}"
        raise BrokenTheme(message) from None
    variables = dict(_variables(colors, tones, is_ansi=is_ansi))
    variables |= {f"style-{key}": style for key, style in styles.items()}
    return Theme(
        name=name,
        dark=is_dark,
        ansi=is_ansi,
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        foreground=colors["foreground"],
        primary=colors["primary"],
        accent=colors["accent"],
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
        variables=variables,
    )


def _variables(colors: Mapping[str, str], tones: Mapping[str, str], *, is_ansi: bool) -> Iterator[tuple[str, str]]:
    """Give what ``topcon.tcss`` knows besides Textual's own colours."""
    yield "tone-dim", tones["dim"]
    yield "tone-cursor", tones["cursor"]
    yield "block-cursor-text-style", "none"
    # Textual makes grounds of its own for a terminal's colours, and asks for this one.
    yield "ansi-background", colors["background"]
    yield "surface", colors["surface"]
    yield "panel", colors["panel"]
    # What lies on the terminal's ground is turned around: its ground has no name that a text could have.
    yield "style-focus", "bold reverse" if is_ansi else "bold"
    yield "style-caret", "reverse"
    for name, color in (("focus", colors["accent"]), ("danger", colors["error"])):
        yield f"{name}-text", color if is_ansi else colors["background"]
        yield f"{name}-ground", colors["background"] if is_ansi else color
    yield "veil", "transparent" if is_ansi else f"{colors['background']} 60%"
    yield "thumb", "ansi_bright_black" if is_ansi else colors["panel"]
    yield "thumb-held", "ansi_white" if is_ansi else tones["dim"]


def _check_keys(values: Mapping[str, object]) -> None:
    for key in values:
        if key not in KEYS:
            message = f"{key}: expected one of {', '.join(KEYS)}"
            raise ValueError(message)


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        message = f"{key} = {value!r}: expected true or false"
        raise ValueError(message)  # noqa: TRY004  as those of _checked
    return value


def _checked(
    section: str,
    values: object,
    expected: Iterable[str],
    take: Callable[[str], str | None],
    *,
    is_whole: bool = True,
) -> dict[str, str]:
    """Take the values of a section, all of them if it ``is_whole``; ``take`` says what was expected if not this."""
    names = set(expected)
    if not isinstance(values, dict):
        message = f"{section}: expected a table, [{section}]"
        raise ValueError(message)  # noqa: TRY004  as the others
    if is_whole and (missing := sorted(names - values.keys())):
        message = f"[{section}] lacks {', '.join(missing)}"
        raise ValueError(message)
    for key, value in values.items():
        if key not in names:
            message = f"[{section}] {key}: expected one of {', '.join(sorted(names))}"
            raise ValueError(message)
        if (wrong := take(str(value))) is not None:
            message = f"[{section}] {key} = {value!r}: expected {wrong}"
            raise ValueError(message)
    return {key: str(value) for key, value in values.items()}


def _color(text: str) -> str | None:
    from textual.color import Color, ColorParseError  # noqa: PLC0415  see parse_theme

    try:
        color = Color.parse(text)
    except ColorParseError:
        return "a colour, such as #58a6d6 or ansi_blue"
    return "a colour that nothing shines through" if color.a != 1 or color.auto else None


def _style(text: str) -> str | None:
    words = text.split()
    return None if words and WORDS.issuperset(words) else f"words out of {', '.join(sorted(WORDS))}"


def _is_ansi(colors: Mapping[str, str]) -> bool:
    """Tell whether a theme is made of the terminal's own colours; it is wholly, or not at all."""
    own = {key for key, color in colors.items() if color.startswith(ANSI)}
    if own and own != colors.keys():
        first = min(colors.keys() - own)
        message = f"{first} = {colors[first]!r}: expected one of the terminal's colours, as the others are: ansi_blue"
        raise ValueError(message)
    return bool(own)
