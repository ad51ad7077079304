"""The line of commands, `:interval 5s` for one: a table, and how a text is taken for one of it. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Command:
    """What can be typed after the colon."""

    names: tuple[str, ...]
    help: str
    action: str
    """The app's, as a key would run it; with an argument it stands before the argument's value."""
    metavar: str | None = None
    """None for a command without an argument."""

    @property
    def usage(self) -> str:
        """How it is typed."""
        return "  ".join(f":{name} {self.metavar}" if self.metavar else f":{name}" for name in self.names)


COMMANDS = (
    Command(("tree",), "the tree of containers", "tree"),
    Command(("namespaces",), "who shares which namespaces", "namespaces"),
    Command(("sources",), "how reading goes, and what topcon costs", "sources"),
    Command(("interval",), "time between samples, 0.1 to 3600 seconds", "interval", "SECONDS"),
    Command(("help",), "this help", "help"),
    Command(("quit", "q"), "quit", "quit"),
)


def parse_command(text: str, parse_interval: Callable[[str], float]) -> tuple[str, float | None]:
    """Take a line for a command: return its action, and the value of its argument if it has one.

    ``parse_interval`` takes a time between samples as the command line does.

    Raises:
        ValueError: what was expected.
    """
    name, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    argument = argument.strip()
    command = next((each for each in COMMANDS if name in each.names), None)
    if command is None:
        message = f"{name!r}: expected one of {', '.join(each.names[0] for each in COMMANDS)}"
        raise ValueError(message)
    if command.metavar is not None:
        return command.action, parse_interval(argument)
    if argument:
        message = f"{argument!r}: expected nothing after {name}"
        raise ValueError(message)
    return command.action, None
