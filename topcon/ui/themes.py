"""Themes, from files: ``themes/NAME.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from textual.color import Color, ColorParseError
from textual.theme import Theme

from topcon.errors import UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

COLORS = frozenset({"background", "surface", "panel", "foreground", "primary", "accent", "success", "warning", "error"})
TONES = frozenset({"dim", "cursor"})


def _folders() -> list[Traversable]:
    """Where themes are: in the package, or beside it in a checkout."""
    package = files("topcon")
    places: list[Traversable] = [package / "themes", Path(str(package)).parent / "themes"]
    return [place for place in places if place.is_dir()]


def theme_names() -> list[str]:
    """Return the names of all themes."""
    names = {file.name for folder in _folders() for file in folder.iterdir()}
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml") and name[0] != ".")


def load_theme(name: str) -> Theme:
    """Read a theme.

    Raises:
        UsageError: there is none of that name, or its file is wrong.
    """
    for folder in _folders():
        file = folder / f"{name}.toml"
        if file.is_file():
            return parse_theme(name, file.read_bytes())
    message = f"--theme {name}: there is no such theme; there are: {', '.join(theme_names())}"
    raise UsageError(message)


def parse_theme(name: str, content: bytes) -> Theme:
    """Parse a theme's file.

    Raises:
        UsageError: it is no TOML, or a colour is missing, unknown or no colour.
    """
    try:
        values = tomllib.loads(content.decode())
        is_dark = _switch("dark", values.get("dark", True))
        colors, tones = values.get("colors", {}), values.get("tones", {})
        _check("colors", colors, COLORS)
        _check("tones", tones, TONES)
    except ValueError as error:
        message = f"themes/{name}.toml: {error}"
        raise UsageError(message) from None
    return Theme(
        name=name,
        dark=is_dark,
        variables={
            "tone-dim": tones["dim"],
            "tone-cursor": tones["cursor"],
            "block-cursor-text-style": "none",
        },
        **colors,
    )


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        message = f"{key} = {value!r}: expected true or false"
        raise ValueError(message)  # noqa: TRY004  as those of _check
    return value


def _check(section: str, colors: object, expected: frozenset[str]) -> None:
    if not isinstance(colors, dict):
        message = f"{section}: expected a table, [{section}]"
        raise ValueError(message)  # noqa: TRY004  as the others
    if missing := sorted(expected - colors.keys()):
        message = f"[{section}] lacks {', '.join(missing)}"
        raise ValueError(message)
    for key, value in colors.items():
        if key not in expected:
            message = f"[{section}] {key}: expected one of {', '.join(sorted(expected))}"
            raise ValueError(message)
        try:
            Color.parse(str(value))
        except ColorParseError:
            message = f"[{section}] {key} = {value!r}: expected a colour, such as #58a6d6"
            raise ValueError(message) from None
