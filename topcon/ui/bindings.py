"""All keys, in one table, and what a person may make of them. No Textual here.

A key is added by a line in `KEYS`, and a method ``action_NAME`` on what its place names; the help, the line of keys,
the palette and ``[keys]`` of the configuration file take it from there. Lines of one identifier are one thing to a
person, such as stop and start: they share their keys. Where a line is not possible, ``check_action`` of its place says
so.
"""

from __future__ import annotations

import string
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Keymap = Mapping[str, tuple[str, ...]]
    """Identifiers of `KEYS`, each with the keys that a person wants for it."""

NO_KEYS: Keymap = MappingProxyType({})


class Place(StrEnum):
    """Whose keys they are."""

    APP = "app"
    """Of all that is shown."""
    TREE = "tree"
    """The screen with the tree."""
    TABLE = "table"
    """The tree itself."""
    PAGE = "page"
    """A screen over the tree."""
    DETAIL = "detail"
    """The details, beside those of a page."""
    LINES = "lines"
    """Lines that scroll, in a page or the help."""
    LIST = "list"
    """Lines of which some can be chosen."""
    LOG = "log"
    """What containers write, beside the keys of a page."""
    EVENTS = "events"
    """The list of what has happened, beside the keys of a list."""
    HELP = "help"


class Group(StrEnum):
    """Where the help has them; its titles, in its order."""

    MOVE = "Move"
    LOOK = "Look"
    FIND = "Find"
    ARRANGE = "Arrange"
    ACT = "Change"
    TIME = "Time"
    SCREEN = "Screen"


@dataclass(frozen=True, slots=True)
class Key:
    """What some keys do."""

    id: str
    """Its name in the configuration file and in the palette."""
    keys: tuple[str, ...]
    """As `parse_key` writes them."""
    place: Place
    action: str
    """As Textual's bindings write it."""
    group: Group
    text: str
    """What the help says."""
    short: str | None = None
    """What the line of keys says; None for what is not in it."""
    is_first: bool = False
    """Whether it comes before what has the focus."""


KEYS = (
    Key("up", ("up", "k"), Place.TABLE, "move(-1)", Group.MOVE, "up"),
    Key("down", ("down", "j"), Place.TABLE, "move(1)", Group.MOVE, "down"),
    Key("page-up", ("pageup", "ctrl+b"), Place.TABLE, "move_page(-1.0)", Group.MOVE, "page up"),
    Key("page-down", ("pagedown", "ctrl+f"), Place.TABLE, "move_page(1.0)", Group.MOVE, "page down"),
    Key("half-page-up", ("ctrl+u",), Place.TABLE, "move_page(-0.5)", Group.MOVE, "half a page up"),
    Key("half-page-down", ("ctrl+d",), Place.TABLE, "move_page(0.5)", Group.MOVE, "half a page down"),
    Key("first", ("home", "g"), Place.TABLE, "move_to(0)", Group.MOVE, "first row"),
    Key("last", ("end", "G"), Place.TABLE, "move_to(-1)", Group.MOVE, "last row"),
    Key("fold", ("left", "-"), Place.TABLE, "fold", Group.MOVE, "fold, or go to the row above"),
    Key("unfold", ("right", "+"), Place.TABLE, "unfold", Group.MOVE, "unfold"),
    Key("fold-all", ("*",), Place.TABLE, "unfold_all", Group.MOVE, "fold or unfold all"),
    Key("columns-left", ("shift+left",), Place.TABLE, "scroll_columns(-1)", Group.MOVE, "columns back to the left"),
    Key("columns-right", ("shift+right",), Place.TABLE, "scroll_columns(1)", Group.MOVE, "columns that found no room"),
    Key("up", ("up", "k"), Place.LINES, "scroll_up", Group.MOVE, "up"),
    Key("down", ("down", "j"), Place.LINES, "scroll_down", Group.MOVE, "down"),
    Key("page-up", ("pageup", "ctrl+b"), Place.LINES, "page_up", Group.MOVE, "page up"),
    Key("page-down", ("pagedown", "ctrl+f"), Place.LINES, "page_down", Group.MOVE, "page down"),
    Key("half-page-up", ("ctrl+u",), Place.LINES, "page_up", Group.MOVE, "half a page up"),
    Key("half-page-down", ("ctrl+d",), Place.LINES, "page_down", Group.MOVE, "half a page down"),
    Key("page-on", ("space",), Place.LINES, "page_down", Group.MOVE, "page down, in a page"),
    Key("first", ("home", "g"), Place.LINES, "scroll_home", Group.MOVE, "first row"),
    Key("last", ("end", "G"), Place.LINES, "scroll_end", Group.MOVE, "last row"),
    Key("up", ("up", "k"), Place.LIST, "move(-1)", Group.MOVE, "up"),
    Key("down", ("down", "j"), Place.LIST, "move(1)", Group.MOVE, "down"),
    Key("page-up", ("pageup", "ctrl+b"), Place.LIST, "move_page(-1.0)", Group.MOVE, "page up"),
    Key("page-down", ("pagedown", "ctrl+f"), Place.LIST, "move_page(1.0)", Group.MOVE, "page down"),
    Key("half-page-up", ("ctrl+u",), Place.LIST, "move_page(-0.5)", Group.MOVE, "half a page up"),
    Key("half-page-down", ("ctrl+d",), Place.LIST, "move_page(0.5)", Group.MOVE, "half a page down"),
    Key("first", ("home", "g"), Place.LIST, "move_to(0)", Group.MOVE, "first row"),
    Key("last", ("end", "G"), Place.LIST, "move_to(-1)", Group.MOVE, "last row"),
    Key("up", ("up", "k"), Place.LOG, "step(-1)", Group.MOVE, "up"),
    Key("down", ("down", "j"), Place.LOG, "step(1)", Group.MOVE, "down"),
    Key("page-up", ("pageup", "ctrl+b"), Place.LOG, "step_page(-1.0)", Group.MOVE, "page up"),
    Key("page-down", ("pagedown", "ctrl+f"), Place.LOG, "step_page(1.0)", Group.MOVE, "page down"),
    Key("half-page-up", ("ctrl+u",), Place.LOG, "step_page(-0.5)", Group.MOVE, "half a page up"),
    Key("half-page-down", ("ctrl+d",), Place.LOG, "step_page(0.5)", Group.MOVE, "half a page down"),
    Key("page-on", ("space",), Place.LOG, "step_page(1.0)", Group.MOVE, "page down, in a page"),
    Key("first", ("home", "g"), Place.LOG, "oldest", Group.MOVE, "first row"),
    Key("last", ("end", "G"), Place.LOG, "newest", Group.MOVE, "last row, and follow what comes", "follow"),
    Key("left", ("left",), Place.LOG, "sideways(-1)", Group.MOVE, "back to the beginning of long lines"),
    Key("right", ("right",), Place.LOG, "sideways(1)", Group.MOVE, "on in long lines"),
    Key("details", ("enter", "o"), Place.TREE, "details", Group.LOOK, "details of the row", "details"),
    Key(
        "details",
        ("enter", "o"),
        Place.TREE,
        "demo_instead",
        Group.LOOK,
        "without containers: a demo with some",
        "demo",
    ),
    Key("logs", ("l",), Place.TREE, "logs", Group.LOOK, "logs of the row, or of all that is marked", "logs"),
    Key("logs", ("l",), Place.DETAIL, "logs", Group.LOOK, "logs", "logs"),
    Key("logs", ("l",), Place.LOG, "dismiss", Group.LOOK, "logs of the row, or of all that is marked"),
    # First in line, since letters follow these.
    Key("filter", ("/", "f4"), Place.LOG, "search", Group.FIND, "search: text, or /pattern/", "search", is_first=True),
    Key("only", ("&",), Place.LOG, "only", Group.FIND, "only lines with a text, or /pattern/", "only", is_first=True),
    Key("next-match", ("n",), Place.LOG, "next_match(1)", Group.FIND, "next line that has it", "next"),
    Key("previous-match", ("N",), Place.LOG, "next_match(-1)", Group.FIND, "the one before that has it"),
    Key("times", ("t",), Place.LOG, "times", Group.LOOK, "when it was written: time of day, how long ago, no", "time"),
    Key("wrap", ("z",), Place.LOG, "wrap", Group.LOOK, "wrap long lines, or cut them", "wrap"),
    Key("raw", ("x",), Place.LOG, "raw", Group.LOOK, "JSON as it was written, or as fields"),
    Key("colors", ("c",), Place.LOG, "colors", Group.LOOK, "colours that containers write, or none"),
    Key("keep", ("s",), Place.LOG, "keep", Group.LOOK, "save the lines in a file", "save", is_first=True),
    Key("details", ("enter", "o"), Place.LIST, "choose", Group.LOOK, "what the line stands for", "open"),
    Key("details", ("enter", "o"), Place.DETAIL, "dismiss", Group.LOOK, "details of the row"),
    # Each tab of the details has its own use for these.
    Key("left", ("left",), Place.DETAIL, "do('left')", Group.MOVE, "back in time in charts; fold"),
    Key("right", ("right",), Place.DETAIL, "do('right')", Group.MOVE, "on in time in charts; unfold"),
    # First in line: else the lines would scroll.
    Key("first", ("home", "g"), Place.DETAIL, "do('first')", Group.MOVE, "first row", is_first=True),
    Key("last", ("end", "G"), Place.DETAIL, "do('last')", Group.MOVE, "last row", is_first=True),
    Key("more", ("+",), Place.DETAIL, "do('more')", Group.LOOK, "closer in charts: a shorter time; unfold all"),
    Key("less", ("-",), Place.DETAIL, "do('less')", Group.LOOK, "wider in charts: a longer time; fold all"),
    Key("next-view", ("tab",), Place.DETAIL, "next_tab(1)", Group.LOOK, "the next tab", "next tab", is_first=True),
    Key("previous-view", ("shift+tab",), Place.DETAIL, "next_tab(-1)", Group.LOOK, "the tab before", is_first=True),
    Key("processes", ("p",), Place.TREE, "details('processes')", Group.LOOK, "processes of the row"),
    Key("processes", ("p",), Place.DETAIL, "tab('processes')", Group.LOOK, "processes"),
    Key("fold-all", ("*",), Place.DETAIL, "do('all')", Group.MOVE, "fold or unfold all"),
    Key("reveal", ("v",), Place.DETAIL, "do('reveal')", Group.LOOK, "show secrets, or mask them", "secrets"),
    Key("copy", ("y",), Place.DETAIL, "copy", Group.LOOK, "copy the value of the line, or all", "copy"),
    Key("filter", ("/", "f4"), Place.DETAIL, "search", Group.FIND, "only what has a text", "search", is_first=True),
    Key("inspect", ("i",), Place.TREE, "details('inspect')", Group.LOOK, "what its runtime says of it, as JSON"),
    Key("inspect", ("i",), Place.DETAIL, "tab('inspect')", Group.LOOK, "what its runtime says of it, as JSON"),
    Key("tree", ("1",), Place.APP, "tree", Group.LOOK, "the tree"),
    Key("findings", ("2",), Place.APP, "findings", Group.LOOK, "findings: what is wrong, and what one can do"),
    Key("events", ("3",), Place.APP, "events", Group.LOOK, "events: what has happened"),
    Key("namespaces", ("4",), Place.APP, "namespaces", Group.LOOK, "namespaces: who shares which"),
    Key("disk", ("5",), Place.APP, "disk", Group.LOOK, "disk: who fills it"),
    Key("sources", ("6",), Place.APP, "sources", Group.LOOK, "sources: how reading goes, and what topcon costs"),
    Key("pods", ("7",), Place.TREE, "arrange('pods')", Group.LOOK, "pods, folded"),
    Key("images", ("8",), Place.TREE, "arrange('images')", Group.LOOK, "containers by image"),
    Key("runtimes", ("9",), Place.TREE, "arrange('runtimes')", Group.LOOK, "containers by runtime"),
    # First in line: else Textual's own would move the focus.
    Key("next-view", ("tab",), Place.APP, "next_view(1)", Group.LOOK, "the next view", is_first=True),
    Key("previous-view", ("shift+tab",), Place.APP, "next_view(-1)", Group.LOOK, "the view before", is_first=True),
    # Only in the past: there they are what is needed first.
    Key("freeze", ("f",), Place.APP, "past('pause', 0)", Group.TIME, "in the past: pause", "pause"),
    Key("freeze", ("f",), Place.APP, "past('play', 0)", Group.TIME, "in the past: play", "play"),
    Key("step-back", ("[", ","), Place.APP, "past('begin', -1)", Group.TIME, "from now into the past"),
    Key("step-back", ("[", ","), Place.APP, "past('step', -1)", Group.TIME, "a sample back", "earlier"),
    Key("step-on", ("]", "."), Place.APP, "past('step', 1)", Group.TIME, "a sample on", "later"),
    Key("minute-back", ("{",), Place.APP, "past('skip', -60)", Group.TIME, "a minute back"),
    Key("minute-on", ("}",), Place.APP, "past('skip', 60)", Group.TIME, "a minute on"),
    Key("event-back", ("(",), Place.APP, "past('next_event', -1)", Group.TIME, "to the event or finding before"),
    Key("event-on", (")",), Place.APP, "past('next_event', 1)", Group.TIME, "to the next event or finding", "event"),
    Key("slower", (";",), Place.APP, "past('faster', -1)", Group.TIME, "slower"),
    Key("faster", ("'",), Place.APP, "past('faster', 1)", Group.TIME, "faster: 2, 5, 10, 30, 60 times", "faster"),
    Key("now", ("=",), Place.APP, "past('live', 0)", Group.TIME, "to the end; from the past back to now", "now"),
    Key("why", ("w",), Place.TREE, "why", Group.LOOK, "why: findings of the row; at the top row, of the host", "why"),
    Key("copy", ("y",), Place.TREE, "copy", Group.LOOK, "copy the name, id, image ... of the row"),
    # First in line, since letters follow these two: typed ahead, they would still go to the tree.
    Key("filter", ("/", "f4"), Place.TREE, "filter", Group.FIND, "filter", "filter", is_first=True),
    Key("filter", ("/", "f4"), Place.EVENTS, "search", Group.FIND, "only what has some words", "filter", is_first=True),
    Key("span", ("t",), Place.EVENTS, "span", Group.FIND, "of any time, the last hour, the last ten minutes", "span"),
    Key("sort", ("s", "f6"), Place.TREE, "sort_menu", Group.ARRANGE, "sort", "sort", is_first=True),
    Key("sort", ("s", "f6"), Place.DETAIL, "do('sort')", Group.ARRANGE, "sort by what comes next", "sort"),
    Key("sort-left", ("<",), Place.TREE, "sort_by(-1)", Group.ARRANGE, "sort by the column to the left"),
    Key("sort-right", (">",), Place.TREE, "sort_by(1)", Group.ARRANGE, "sort by the column to the right"),
    Key("next-columns", ("d",), Place.TREE, "next_set", Group.ARRANGE, "the next set of columns: CPU, memory, I/O ..."),
    Key("flat", ("t", "f5"), Place.TREE, "flat", Group.ARRANGE, "each container by itself, or the tree"),
    Key("reverse", ("r",), Place.TREE, "reverse", Group.ARRANGE, "reverse the order"),
    Key("flat", ("t", "f5"), Place.DETAIL, "do('flat')", Group.ARRANGE, "without the tree, or with it"),
    Key("reverse", ("r",), Place.DETAIL, "do('reverse')", Group.ARRANGE, "reverse the order"),
    Key("next-match", ("n",), Place.TREE, "next_match(1)", Group.FIND, "next row that matches the filter"),
    Key("previous-match", ("N",), Place.TREE, "next_match(-1)", Group.FIND, "the one before that matches"),
    Key("stopped", ("a",), Place.TREE, "show_or_hide('has_stopped')", Group.FIND, "show or hide stopped ones"),
    Key("gone", ("_",), Place.TREE, "show_or_hide('has_gone')", Group.FIND, "show or hide what was removed lately"),
    Key("sandboxes", ("x",), Place.TREE, "show_or_hide('has_sandboxes')", Group.FIND, "show or hide sandboxes of pods"),
    Key("system", ("b",), Place.TREE, "show_or_hide('has_system')", Group.FIND, "show or hide the system's background"),
    Key("back", ("escape",), Place.TREE, "clear", Group.SCREEN, "back: the filter, then the marks; never quits"),
    Key("close", ("escape", "q"), Place.PAGE, "dismiss", Group.SCREEN, "back to the tree", "back"),
    Key("close", ("escape", "q"), Place.HELP, "dismiss", Group.SCREEN, "back to the tree", "back"),
    Key("stop", ("S",), Place.TREE, "act('stop')", Group.ACT, "stop", "stop"),
    Key("stop", ("S",), Place.TREE, "act('start')", Group.ACT, "start a stopped one", "start"),
    Key("restart", ("R",), Place.TREE, "act('restart')", Group.ACT, "restart", "restart"),
    Key("pause", ("P",), Place.TREE, "act('pause')", Group.ACT, "pause", "pause"),
    Key("pause", ("P",), Place.TREE, "act('unpause')", Group.ACT, "unpause", "unpause"),
    Key("kill", ("K", "f9"), Place.TREE, "act('kill')", Group.ACT, "kill: choose a signal", "kill"),
    Key("sizes", ("u",), Place.DETAIL, "do('sizes')", Group.LOOK, "have layer and image counted, in files", "sizes"),
    Key("kill", ("K", "f9"), Place.DETAIL, "signal", Group.ACT, "signal the process under the cursor", "signal"),
    Key("shell", ("e",), Place.TREE, "shell", Group.ACT, "a shell in the container; ^] three times leaves it", "shell"),
    Key("shell", ("e",), Place.DETAIL, "shell", Group.ACT, "a shell in the container; ^] three times leaves it"),
    Key("remove", ("X",), Place.TREE, "act('remove')", Group.ACT, "remove a stopped one: type its name", "remove"),
    Key("mark", ("space",), Place.TREE, "mark", Group.ACT, "mark the row, go down; keys act on what is marked", "mark"),
    Key("mark-range", ("v",), Place.TREE, "mark_range", Group.ACT, "mark from here on, until the next one"),
    Key("unmark", ("u", "U"), Place.TREE, "unmark", Group.ACT, "take all marks away"),
    Key("progress", ("!",), Place.TREE, "progress", Group.ACT, "how far actions are, and what has failed"),
    # Here, since the line of keys has them in the order of the table, and what changes something comes before them.
    Key("sick", ("z",), Place.TREE, "show_or_hide('only_sick')", Group.FIND, "only what is sick, or all", "only sick"),
    Key("sick", ("z",), Place.EVENTS, "only_bad", Group.FIND, "only warnings and worse, or all", "warnings"),
    Key("columns", ("c", "f2"), Place.TREE, "columns", Group.ARRANGE, "choose columns", "columns", is_first=True),
    Key("command", (":", "ctrl+p"), Place.APP, "command", Group.SCREEN, "everything, by name", "all", is_first=True),
    Key("freeze", ("f",), Place.APP, "freeze", Group.SCREEN, "freeze the screen; counting goes on"),
    Key("mouse", ("m",), Place.APP, "mouse", Group.SCREEN, "give the mouse to the terminal, take it back"),
    Key("redraw", ("ctrl+l",), Place.APP, "redraw", Group.SCREEN, "draw the whole screen anew"),
    Key("suspend", ("ctrl+z",), Place.APP, "suspend_process", Group.SCREEN, "to the shell; fg comes back"),
    Key("help", ("?", "f1", "h"), Place.APP, "help", Group.SCREEN, "help", "help"),
    Key("help", ("?", "f1", "h"), Place.HELP, "dismiss", Group.SCREEN, "help"),
    Key("quit", ("q", "f10"), Place.APP, "quit", Group.SCREEN, "quit", "quit"),
    Key("interrupt", ("ctrl+c",), Place.APP, "interrupt", Group.SCREEN, "quit, whatever is open", is_first=True),
)

TOGETHER = (
    frozenset((Place.APP, Place.TREE, Place.TABLE)),
    frozenset((Place.APP, Place.PAGE, Place.DETAIL, Place.LIST)),
    frozenset((Place.APP, Place.PAGE, Place.EVENTS, Place.LIST)),
    frozenset((Place.APP, Place.PAGE, Place.LINES)),
    frozenset((Place.APP, Place.PAGE, Place.LOG)),
    frozenset((Place.HELP, Place.LINES)),
)
"""The places whose keys are there at the same time."""

NAMED = frozenset(
    (
        *("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete"),
        *("backspace", "enter", "escape", "tab", "space"),
        *(f"f{number}" for number in range(1, 25)),
    )
)
"""Keys that are no character."""
ALIASES = {
    "esc": "escape",
    "return": "enter",
    "del": "delete",
    "ins": "insert",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "page_up": "pageup",
    "page_down": "pagedown",
    " ": "space",
    # A terminal sends the same for either.
    "ctrl+i": "tab",
    "ctrl+m": "enter",
    "ctrl+[": "escape",
}
MODIFIERS = ("ctrl", "alt", "shift")
_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def to_name(character: str) -> str:
    """Return what Textual calls the key of a character: ``question_mark``."""
    if character.isalnum():
        return character
    name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
    return _RENAMED.get(name, name)


_CHARACTERS = {to_name(character): character for character in string.punctuation}
_TEXTS = {
    "escape": "esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "home": "Home",
    "end": "End",
}


def key_text(key: str) -> str:
    """Write a key as it stands on the keyboard, whether it has Textual's name or ours."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    text = _TEXTS.get(last) or _CHARACTERS.get(last, last)
    if last in NAMED and last[0] == "f" and last[1:].isdigit():
        text = last.upper()
    return "+".join((*modifiers, text))


def parse_key(text: str) -> str:
    """Take what a person writes for a key: ``x``, ``?``, ``F5``, ``ctrl+u``, ``PgUp``, ``shift+left``.

    Raises:
        ValueError: there is no such key, or terminals do not tell of it.
    """
    key = ALIASES.get(text, text) if len(text) == 1 else ALIASES.get(text.lower(), text)
    if len(key) == 1 and key.isprintable():
        return key
    *modifiers, last = key.split("+")
    wanted = {modifier.lower() for modifier in modifiers}
    last = last if len(last) == 1 else _CHARACTERS.get(last.lower(), ALIASES.get(last.lower(), last.lower()))
    if wanted <= set(MODIFIERS) and len(wanted) == len(modifiers):
        held = [modifier for modifier in MODIFIERS if modifier in wanted]
        if last in NAMED or (len(last) == 1 and last.isprintable() and not held):
            return "+".join((*held, last))
        if len(last) == 1 and last.isascii() and last.isalpha():
            if held == ["shift"]:
                return last.upper()
            if held in (["ctrl"], ["alt"], ["ctrl", "alt"]):
                return "+".join((*held, last.lower() if "ctrl" in wanted else last))
    message = f"{text!r}: expected a key, such as x, ?, F5, PgUp, space, ctrl+x or shift+left"
    raise ValueError(message)


def to_textual(key: str) -> str:
    """Write a key as Textual's bindings have it; a comma parts keys there."""
    if key.startswith("alt+") and key[-1].isupper():
        return f"{key[:-1]}shift+{key[-1].lower()}"
    return to_name(key) if len(key) == 1 else key


def ids() -> list[str]:
    """Return what can be given other keys, each once, in the order of the table."""
    return list(dict.fromkeys(key.id for key in KEYS))


class Checked(NamedTuple):
    """What a person wants, as far as it goes, and what is wrong with the rest, by its identifier."""

    keymap: Keymap
    problems: Mapping[str, str]


def checked(asked: Mapping[str, str | Sequence[str]]) -> Checked:
    """Check the keys that a person wants; what is wrong keeps those of the table."""
    keymap: dict[str, tuple[str, ...]] = {}
    problems: dict[str, str] = {}
    for name, keys in asked.items():
        try:
            keymap[_known(name)] = _parsed(keys)
        except ValueError as error:
            problems[name] = str(error)
    # One that falls back to its own keys may be in the way of another.
    while clash := next(_clashes(keymap), None):
        name, problem = clash
        del keymap[name]
        problems[name] = problem
    return Checked(keymap, problems)


def check_keys(asked: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Return what is wrong with the keys that a person wants, a line each."""
    return [f"{name}: {problem}" for name, problem in checked(asked).problems.items()]


def _known(name: str) -> str:
    names = ids()
    if name in names:
        return name
    import difflib  # noqa: PLC0415  not before there is a mistake

    near = difflib.get_close_matches(name, names, cutoff=0.5) or names
    message = f"expected the name of an action, such as {', '.join(near[:3])}"
    raise ValueError(message)


def _parsed(keys: str | Sequence[str]) -> tuple[str, ...]:
    listed = (keys,) if isinstance(keys, str) else tuple(keys)
    if not listed:
        message = "expected a key, or a list of keys"
        raise ValueError(message)
    return tuple(dict.fromkeys(parse_key(key) for key in listed))


def _clashes(keymap: Keymap) -> Iterator[tuple[str, str]]:
    """Find what has been given a key that something else has at the same time."""
    for name, keys in keymap.items():
        own = _of(name)
        places = {key.place for key in own}
        new = [key for key in keys if not any(key in each.keys for each in own)]
        for other in sorted(KEYS, key=lambda other: other.place not in places):
            taken = set(new) & set(keymap.get(other.id, other.keys))
            if other.id != name and taken and any(other.place in each and places & each for each in TOGETHER):
                yield name, f"{key_text(min(taken))} is the key of {other.id} already"
                break


def _of(name: str) -> list[Key]:
    return [key for key in KEYS if key.id == name]


def keys_of(name: str, keymap: Keymap) -> tuple[str, ...]:
    """Return the keys in force of an identifier."""
    return keymap[name] if name in keymap else _of(name)[0].keys
