"""Options of commands: taken from the table of settings, and merged with the file."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from topcon.commands.status import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.theme import Theme

    from topcon.config import Config, Origin, Setting

_AGO = re.compile(r"-\d[\d.wdhms]*[wdhms]")
_LONG_OPTION = re.compile(r"--[a-z-]+")


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    fill: Callable[[Parser], object] | None = None
    """Adds its options, once it is known to be the one that is asked for."""

    def parse_known_args(  # type: ignore[override]  # nobody here brings a namespace of another class
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Take the arguments apart, options and commands that were not needed before among them."""
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        return super().parse_known_args(_joined(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> NoReturn:
        """End with one line and the status of a mistake."""
        sys.stderr.write(f"topcon: {message}; {self.prog} --help tells more\n")
        sys.exit(EXIT_USAGE)


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--at -10m`` as ``--at=-10m``: argparse would take the moment for an option."""
    joined: list[str] = []
    for each in arguments:
        if joined and _AGO.fullmatch(each) and _LONG_OPTION.fullmatch(joined[-1]):
            joined[-1] += f"={each}"
        else:
            joined.append(each)
    return joined


def add_settings(parser: argparse.ArgumentParser, *settings: Setting) -> None:
    """Add options. Those not given are left out of the result, so that the file's apply."""
    parser.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="configuration file")
    for setting in settings:
        options: dict[str, Any] = {
            "dest": setting.key,
            "default": argparse.SUPPRESS,
            "help": setting.help.replace("%", "%%"),
        }
        if setting.metavar is None:
            options |= {"action": "store_true"}
        else:
            parse = setting.items if setting.is_list else setting.parse
            options |= {"metavar": setting.metavar, "type": typed(parse)}
            if setting.is_list:
                options |= {"action": "extend"}
        parser.add_argument(f"--{setting.name}", **options)


def typed(take: Callable[[str], Any]) -> Callable[[str], Any]:
    """Have argparse tell in its own way what a parser, which raises ValueError, has expected."""

    def parse(text: str) -> object:
        try:
            return take(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def config_of(options: dict[str, Any]) -> Config:
    """Merge the options of a command, which must be settings by now, over the file.

    Raises:
        UsageError: the file, or what was given, cannot be used.
    """
    from topcon.config import load_config

    file = options.pop("config", None)
    lists = {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    config = load_config(options | lists, file)
    if config.origin is not None and "theme" in config.origin.values:
        config = _with_known_theme(config, config.origin, is_option="theme" in options)
    return config


def _with_known_theme(config: Config, origin: Origin, *, is_option: bool) -> Config:
    """Say so where there is no such theme as the file's; ours takes its place."""
    from topcon.config import DEFAULT_THEME, one_of
    from topcon.model.sample import Problem
    from topcon.ui.themes import theme_names

    theme = origin.values["theme"]
    try:
        # Ours needs no look.
        one_of(theme, [theme] if theme == DEFAULT_THEME else theme_names())
    except ValueError as error:
        problem = Problem("config", f"{origin.place('theme')}: theme = {error}")
        return replace(
            config,
            theme=config.theme if is_option else DEFAULT_THEME,
            origin=origin._replace(values={name: each for name, each in origin.values.items() if name != "theme"}),
            problems=(problem, *config.problems),
        )
    return config


def theme_of(config: Config) -> tuple[Theme, str | None]:
    """Read the theme; where its file is wrong, our own, and what is wrong."""
    from topcon.config import DEFAULT_THEME
    from topcon.ui.themes import theme_or_default

    return theme_or_default(config.theme, DEFAULT_THEME)
