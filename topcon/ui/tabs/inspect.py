"""The tab with all that a container's runtime says of it, as JSON that is folded and searched. No Textual here.

Values of the environment, and what looks like a secret, are masked until they are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.model.sample import Problem
from topcon.text import printable
from topcon.ui.copying import Copy
from topcon.ui.spans import LateSpans, Span, Tone, fitted
from topcon.ui.tabs.seen import Entry, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.ui.spans import Spans
    from topcon.ui.tabs.seen import Seen

MASK = "•••"
MOST_COPIED = 1 << 16
"""Characters: terminals take no more into their clipboards, or less."""
LONGEST_VALUE = 1 << 10
"""Characters of a value that are looked at and shown; copying takes all of them."""

_SECRET = re.compile(r"passw|passphrase|token|secret|credential|key$|_key_|auth$", re.IGNORECASE)
_SECRET_OPTION = re.compile(r"(--?[\w.-]*(?:passw\w*|token|secret|key)[\w.-]*)(=.*)?", re.IGNORECASE | re.DOTALL)
_SECRET_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^@\s/]+@")
_NAME = re.compile(r"-{0,2}[\w.-]+")
_ENVIRONMENTS = frozenset(("env", "envs", "environment"))
_INDENT = 2
_MARGIN = " "


class Document:
    """What was said; one is another than the next, however alike."""

    __slots__ = ("said",)

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Take it as it is."""
        self.said = said


@dataclass(frozen=True, slots=True)
class InspectView:
    """What a person has made of it."""

    unfolded: frozenset[str] = frozenset()
    """The paths of what is not folded."""
    is_all: bool = False
    """Whether everything is unfolded but those."""
    is_revealed: bool = False
    """Whether secrets are shown."""
    query: str = ""

    def is_open(self, path: str) -> bool:
        """Whether what is in it is shown."""
        return (path in self.unfolded) is not self.is_all


class Line(NamedTuple):
    """A line of the document."""

    path: str
    """From the top, ``/`` before each part, as JSON pointers (RFC 6901) have it."""
    depth: int
    label: str
    text: str
    """The value, masked as it may have to be; what is in it is counted where there is more."""
    tone: Tone
    fold: str
    """What tells whether there is more in it."""


def document(said: Mapping[str, Any] | Problem | None) -> Document | Problem | None:
    """Prepare what was answered for being shown."""
    return Document(said) if isinstance(said, Mapping) else said


def inspect_heading(seen: Seen) -> Spans:
    """Say how to read it."""
    if not isinstance(seen.found, Document) or not isinstance(seen.state, InspectView):
        return []
    shown = "secrets are shown; v masks them" if seen.state.is_revealed else f"secrets are {MASK}; v shows them"
    searched = f"   only what has /{printable(seen.state.query)}; esc shows all" if seen.state.query else ""
    tone = Tone.WARN if seen.state.is_revealed else Tone.DIM
    return fitted([Span(f" {shown}", tone), Span(searched, Tone.ACCENT)], seen.width)


def inspect_entries(seen: Seen) -> list[Entry]:
    """Write what is not folded away."""
    found = seen.found
    if found is None:
        return plain([[Span(" asking ...", Tone.DIM)]])
    if isinstance(found, Problem):
        remedy = f": {found.remedy}" if found.remedy else ""
        return plain([fitted([Span(f" {printable(found.message)}{printable(remedy)}", Tone.WARN)], seen.width)])
    if not isinstance(found, Document) or not isinstance(seen.state, InspectView):
        return []
    entries = _entries(found, seen.state, seen.width)
    if not entries:
        return plain([[Span(f" nothing has {printable(seen.state.query)} in it", Tone.DIM)]])
    return entries


@lru_cache(maxsize=2)
def _entries(found: Document, view: InspectView, width: int) -> list[Entry]:
    """Write it once for as long as it stays as it is: there may be thousands of lines, and it is drawn each second."""
    return [Entry(LateSpans(partial(_written, line, view.query, width)), line.path) for line in lines(found.said, view)]


def _written(line: Line, query: str, width: int) -> Spans:
    return fitted(_spans(line, query), width)


def _spans(line: Line, query: str) -> Spans:
    head = f"{_MARGIN}{' ' * (line.depth * _INDENT)}{line.fold}"
    if not query:
        return [Span(head, Tone.ACCENT), Span(f"{line.label}  "), Span(line.text, line.tone)]
    label = _marked(line.label, query, Tone.PLAIN)
    return [Span(head, Tone.ACCENT), *label, Span("  "), *_marked(line.text, query, line.tone)]


def _marked(text: str, query: str, tone: Tone) -> Spans:
    """Let what is searched for stand out."""
    at = text.casefold().find(query.casefold())
    if at < 0:
        return [Span(text, tone)]
    end = at + len(query)
    return [Span(text[:at], tone), Span(text[at:end], Tone.ACCENT), Span(text[end:], tone)]


def lines(said: Mapping[str, Any], view: InspectView) -> list[Line]:
    """Return the lines of a document, those that are folded away left out.

    With something that is searched for: those that have it, all around them, and all in what is named so.
    """
    found: list[Line] = []
    for label, value, is_secret in _inside(said, "", is_secret=False):
        found += _lines(f"/{_escaped(label)}", 0, label, value, view, is_secret=is_secret)
    return found


def _lines(path: str, depth: int, label: str, value: object, view: InspectView, *, is_secret: bool) -> list[Line]:
    is_masked = is_secret and not view.is_revealed
    wanted = view.query.casefold()
    if not _has_inside(value):
        line = _leaf(path, depth, label, value, is_masked=is_masked, is_revealed=view.is_revealed)
        return [line] if wanted in line.label.casefold() or wanted in line.text.casefold() else []
    is_named = bool(wanted) and wanted in label.casefold()
    is_open = view.is_open(path) or (bool(wanted) and not is_named)
    inside: list[Line] = []
    if is_open:
        below = replace(view, query="") if is_named else view
        for name, each, is_secret_inside in _inside(value, label, is_secret=is_secret):
            shown = name if isinstance(value, Mapping) else "-"
            inside += _lines(f"{path}/{_escaped(name)}", depth + 1, shown, each, below, is_secret=is_secret_inside)
    if wanted and not is_named and not inside:
        return []
    count = len(value) if isinstance(value, Mapping | list) else 0
    text = f"{{{count}}}" if isinstance(value, Mapping) else f"[{count}]"
    return [Line(path, depth, printable(label), text, Tone.DIM, "▾ " if is_open else "▸ "), *inside]


def _leaf(path: str, depth: int, label: str, value: object, *, is_masked: bool, is_revealed: bool) -> Line:
    text, tone = value_text(value, is_masked=is_masked, is_revealed=is_revealed)
    return Line(path, depth, printable(label), printable(text[:LONGEST_VALUE]), tone, "  ")


def value_text(value: object, *, is_masked: bool, is_revealed: bool) -> tuple[str, Tone]:
    """Write what has nothing more in it."""
    if isinstance(value, str):
        if not value:
            return '""', Tone.DIM
        if is_masked:
            name, equals, _ = value.partition("=")
            return f"{name}={MASK}" if equals and _NAME.fullmatch(name) else MASK, Tone.DIM
        shown = value if is_revealed else _SECRET_IN_ADDRESS.sub(rf"\1{MASK}@", value)
        return shown, Tone.PLAIN
    if is_masked and isinstance(value, int | float) and not isinstance(value, bool):
        return MASK, Tone.DIM
    return json.dumps(value, default=str), Tone.PLAIN if isinstance(value, int | float) and value else Tone.DIM


def _has_inside(value: object) -> bool:
    return isinstance(value, Mapping | list) and bool(value)


def _inside(value: object, label: str, *, is_secret: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield the names, the values, and whether those are secrets; of a list the numbers."""
    is_environment = label.casefold() in _ENVIRONMENTS
    if isinstance(value, Mapping):
        pair = _secret_pair(value, is_environment=is_environment or is_secret)
        for name, each in value.items():
            is_one = is_secret or is_environment or bool(_SECRET.search(name)) or name.startswith("environment.")
            yield name, each, (pair and name == "value") if pair is not None else is_one
    elif isinstance(value, list):
        follows = False
        for at, each in enumerate(value):
            option = _SECRET_OPTION.fullmatch(each) if isinstance(each, str) else None
            if option is not None and option[2] and not is_environment:
                yield str(at), each, True
            else:
                yield str(at), each, is_environment or is_secret or follows
            follows = option is not None and not option[2]


def _secret_pair(value: Mapping[str, Any], *, is_environment: bool) -> bool | None:
    """Whether a pair of ``key`` and ``value`` is a secret; None if it is no pair."""
    if set(value) != {"key", "value"}:
        return None
    return is_environment or bool(_SECRET.search(str(value["key"])))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def at_path(said: Mapping[str, Any], path: str) -> tuple[Any, bool]:
    """Return the value at a path, and whether it is a secret.

    Raises:
        KeyError: there is none.
    """
    value: Any = said
    is_secret, label = False, ""
    for part in path.split("/")[1:]:
        inside = ((name, each, secret) for name, each, secret in _inside(value, label, is_secret=is_secret))
        named = next((found for found in inside if _escaped(found[0]) == part), None)
        if named is None:
            raise KeyError(path)
        label, value, is_secret = named
    return value, is_secret


def masked(value: Any, label: str = "", *, is_secret: bool = False) -> Any:  # noqa: ANN401  JSON
    """Return the same without what is a secret."""
    if isinstance(value, Mapping):
        inside = _inside(value, label, is_secret=is_secret)
        return {name: masked(each, name, is_secret=secret) for name, each, secret in inside}
    if isinstance(value, list):
        return [masked(each, label, is_secret=secret) for _, each, secret in _inside(value, label, is_secret=is_secret)]
    if isinstance(value, str):
        return value_text(value, is_masked=is_secret, is_revealed=False)[0] if value else value
    return MASK if is_secret and isinstance(value, int | float) and not isinstance(value, bool) else value


def inspect_copies(seen: Seen) -> list[Copy]:
    """Return what can be copied, as masked as it is shown."""
    found, view = seen.found, seen.state
    if not isinstance(found, Document) or not isinstance(view, InspectView):
        return []
    offered = []
    if seen.chosen is not None:
        value, is_secret = at_path(found.said, seen.chosen)
        value = value if view.is_revealed else masked(value, seen.chosen.rpartition("/")[2], is_secret=is_secret)
        offered = [Copy("v", "value", value if isinstance(value, str) else _as_json(value))]
        offered.append(Copy("p", "path", seen.chosen))
    whole = Copy("a", "all of it, as JSON", _as_json(found.said if view.is_revealed else masked(found.said)))
    return [each for each in (*offered, whole) if len(each.text) <= MOST_COPIED]


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _toggled(view: InspectView, seen: Seen) -> InspectView:
    return replace(view, unfolded=view.unfolded ^ {seen.chosen}) if seen.chosen is not None else view


def _turned(view: InspectView, seen: Seen, *, is_open: bool) -> InspectView:
    is_other = seen.chosen is not None and view.is_open(seen.chosen) is not is_open
    return _toggled(view, seen) if is_other else view


def searched(view: InspectView, text: str) -> InspectView:
    """Show only what has a text in it; all with an empty one."""
    return replace(view, query=text)


def _all_turned(view: InspectView, *, is_open: bool) -> InspectView:
    return replace(view, is_all=is_open, unfolded=frozenset())


INSPECT_VERBS: Mapping[str, Callable[[InspectView, Seen], InspectView]] = {
    "open": _toggled,
    "left": lambda view, seen: _turned(view, seen, is_open=False),
    "right": lambda view, seen: _turned(view, seen, is_open=True),
    "more": lambda view, _: _all_turned(view, is_open=True),
    "less": lambda view, _: _all_turned(view, is_open=False),
    "all": lambda view, _: _all_turned(view, is_open=not view.is_all),
    "reveal": lambda view, _: replace(view, is_revealed=not view.is_revealed),
}
"""What keys do here."""
