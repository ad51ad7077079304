"""The line of commands, `:interval 5s` for one: a table, and how a text is taken for one of it. No Textual here.

A command is added by a line in `COMMANDS`, a method ``action_NAME`` of the app or of the screen it works on, and, where
its argument is of a new kind, an `Argument` for its ``metavar``. What there is no such method for is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from topcon.filter import is_name
from topcon.ui.bindings import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

NEAREST = 3
"""So many names are said where there is none of that name."""


@dataclass(frozen=True, slots=True)
class Command:
    """What can be typed after the colon."""

    names: tuple[str, ...]
    help: str
    action: str
    """As a key would run it; one with an argument is given its value."""
    metavar: str | None = None
    """The kind of its argument; None for a command without one."""
    bare: str | None = None
    """What is run where its argument is left out; None if it cannot be."""
    keys: str = ""
    """The keys that do the same."""

    @property
    def usage(self) -> str:
        """How it is typed."""
        names = "  ".join(f":{name}" for name in self.names)
        if self.metavar is None:
            return names
        return f"{names} {self.metavar}" if self.bare is None else f"{names} [{self.metavar}]"


COMMANDS = (
    Command(("tree",), "the tree of containers", "tree"),
    Command(("findings",), "what is wrong, worst first, and what one can do", "findings"),
    Command(("why",), "what is wrong with the row; at the top row, with the host", "why"),
    Command(("events",), "what has happened since topcon was started", "events"),
    Command(("namespaces", "ns"), "who shares which namespaces", "namespaces"),
    Command(("disk",), "who fills the disk", "disk"),
    Command(("sources",), "how reading goes, and what topcon costs", "sources"),
    Command(("who",), "which container it is: from a pid, port, address, path ...", "who", "THING"),
    Command(("sort",), "sort by a column", "sort_column", "COLUMN", bare="sort_menu"),
    Command(("columns",), "a set of columns; without a name, choose them", "column_set", "SET", bare="columns"),
    Command(("filter",), "show what matches; @NAME is a saved one", "filter_by", "EXPRESSION", bare="filter"),
    Command(("mark",), "mark all that is shown", "mark_shown"),
    Command(("unmark",), "take all marks away", "unmark"),
    Command(("remove-stopped",), "remove all stopped ones that are shown", "remove_stopped"),
    Command(("progress",), "how far actions have got", "progress"),
    Command(("since",), "logs or events from so long ago on, such as 10m", "since", "SPAN"),
    Command(("tail",), "the last lines of logs, so many", "tail", "LINES"),
    Command(("at",), "what was at a time: 03:12, 03:12:40, -10m", "at", "TIME"),
    Command(("speed",), "how fast the past is played, 0.1 to 60", "speed", "SPEED"),
    Command(("demo",), "eleven eventful minutes of another host; = comes back", "demo"),
    Command(("record",), "record into a file; again, end that and say what is in it", "record", "FILE", bare="record"),
    Command(("interval",), "time between samples, 0.1 to 3600 seconds", "interval", "SECONDS"),
    Command(("theme",), "other colours; without a name, look at them", "set_theme", "THEME", bare="themes"),
    Command(("save",), "keep what was chosen, or the filter, in the file", "save", "filter NAME", bare="save"),
    Command(("help",), "this help", "help"),
    Command(("quit", "q", "q!"), "quit", "quit"),
)


NAMES = frozenset(name for command in COMMANDS for name in command.names) | {key.id for key in KEYS}
"""All that can be done at some time or other."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What is expected after a command."""

    choices: Sequence[str] = ()
    """What is offered."""
    parse: Callable[[str], object] | None = None
    """Takes what is typed, or raises ValueError with what was expected; None where only the choices will do."""

    def parsed(self, text: str) -> object:
        """Take what is typed.

        Raises:
            ValueError: what was expected.
        """
        if self.parse is not None:
            return self.parse(text)
        if text in self.choices:
            return text
        message = f"{text!r}: expected one of {', '.join(_nearest(text, self.choices) or self.choices)}"
        raise ValueError(message)


def _nearest(text: str, names: Sequence[str]) -> list[str]:
    import difflib  # noqa: PLC0415  not before there is a mistake

    return difflib.get_close_matches(text, names, NEAREST, cutoff=0.5)


def parse_saved(text: str) -> str:
    """Take the name that a filter is to be saved by.

    Raises:
        ValueError: what was expected.
    """
    word, _, name = text.partition(" ")
    name = name.strip().removeprefix("@")
    if word != "filter" or not is_name(name):
        message = f"{text!r}: expected filter NAME, or nothing"
        raise ValueError(message)
    return name


def parse_thing(text: str) -> str:
    """Take what it is asked of which container it is; nearly any text may be that.

    Raises:
        ValueError: what was expected.
    """
    if not text:
        from topcon.model.thing import EXPECTED  # noqa: PLC0415  not before there is a mistake

        message = f"{text!r}: {EXPECTED}"
        raise ValueError(message)
    return text


class Call(NamedTuple):
    """What was asked for."""

    command: Command
    action: str
    values: tuple[object, ...] = ()


def find(text: str, commands: Sequence[Command]) -> tuple[Command | None, str]:
    """Return the command that a line begins with, and its argument."""
    name, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    return next((each for each in commands if name in each.names), None), argument.strip()


def parse_command(text: str, commands: Sequence[Command], arguments: Mapping[str, Argument]) -> Call:
    """Take a line for a command; ``arguments`` says what is expected of each kind.

    Raises:
        ValueError: what was expected.
    """
    command, argument = find(text, commands)
    if command is None:
        name = text.strip().removeprefix(":").strip()
        names = [name for each in commands for name in each.names]
        near = _nearest(name.partition(" ")[0], names)
        message = f"{name!r}: expected a command{', such as ' if near else ''}{', '.join(near)}"
        raise ValueError(message)
    if command.metavar is None or (not argument and command.bare is not None):
        if argument:
            message = f"{argument!r}: expected nothing after {command.names[0]}"
            raise ValueError(message)
        return Call(command, command.bare or command.action)
    return Call(command, command.action, (arguments[command.metavar].parsed(argument),))


class Offer(NamedTuple):
    """A line of what can be done, or of what can come next."""

    text: str
    """What the line becomes."""
    usage: str
    keys: str
    help: str
    is_whole: bool
    """Whether it can be done as it is."""


def offers(text: str, commands: Sequence[Command], arguments: Mapping[str, Argument]) -> list[Offer]:
    """Return what a line that is being typed can become, what is nearest first."""
    typed = text.lstrip().removeprefix(":").lstrip()
    command, argument = find(typed, commands)
    if command is not None and command.metavar is not None and " " in typed:
        name = typed.partition(" ")[0]
        choices = _ranked(argument, [(choice, "", choice) for choice in arguments[command.metavar].choices])
        return [Offer(f"{name} {choice}", choice, "", "", is_whole=choice[-1:] != " ") for choice in choices]
    name = typed.strip().lower()
    named = [(name if name in each.names else each.names[0], each.help, each) for each in commands]
    return [_offer(each) for each in _ranked(typed, named)]


def is_likely(text: str, offer: Offer) -> bool:
    """Whether what is offered first is meant: one letter says too little, unless a part of the name begins with it."""
    typed = text.rpartition(" ")[2].removeprefix(":").lower()
    name = offer.text.strip().rpartition(" ")[2].lower()
    return len(typed) > 1 or any(part.startswith(typed) for part in name.split("-"))


def _offer(command: Command) -> Offer:
    is_whole = command.metavar is None or command.bare is not None
    text = command.names[0] if command.metavar is None else f"{command.names[0]} "
    return Offer(text, command.usage, command.keys, command.help, is_whole)


def _ranked(typed: str, candidates: Sequence[tuple[str, str, T]]) -> list[T]:
    """Put what has been typed most of first; what has nothing to do with it is left out."""
    ranks = [(_rank(typed.strip().lower(), name.lower(), text.lower()), each) for name, text, each in candidates]
    # Sorting is stable: those of a rank keep their order.
    return [each for rank, each in sorted(ranks, key=lambda pair: pair[0] or 0) if rank is not None]


def _rank(typed: str, name: str, text: str) -> int | None:
    rest = iter(name)
    tests = (
        name == typed,
        name.startswith(typed),
        any(part.startswith(typed) for part in name.split("-")),
        typed in name,
        all(word in f"{name} {text}" for word in typed.split()),
        all(character in rest for character in typed),
    )
    return next((rank for rank, is_met in enumerate(tests) if is_met), None)
