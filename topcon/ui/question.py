"""What is asked before anything is changed, in words. No Textual here."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from topcon.actions import Request, Verb, Way, connections_text, describe, process_text, request_for
from topcon.text import cell_width, cut, padded, printable
from topcon.ui.spans import Span, Spans, Tone, fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from topcon.model.sample import ContainerKey, ProcessSample
    from topcon.model.snapshot import ContainerNode

NAME_WIDTH = 28
TITLE_WIDTH = 60
MOST_NAMES = 3
"""A consequence that more of them have is told with their number."""
ID_DIGITS = 12
"""So much of an id will do for a name that cannot be typed."""
UNSEEN = "what else it does was not looked up: that took too long"
_CONNECTIONS = re.compile(connections_text(2).replace("2", "[0-9]+").replace("connections", "connections?"))


class Target(NamedTuple):
    """A container that something is to be done to, and what that would do."""

    container: ContainerNode
    way: Way | None
    """Who would do it; None if nobody can."""
    consequences: tuple[str, ...] = ()
    obstacle: str = ""
    """Why nobody can."""


class Wish(NamedTuple):
    """What a person chose in the question."""

    grace_s: float | None = None
    """None for each container's own."""
    signal: str = "SIGKILL"


class Question(NamedTuple):
    """Whether to do something to some containers, as they were seen."""

    verb: Verb
    targets: tuple[Target, ...]
    """Those that it can be done to, at least one, and those that it cannot."""
    signal: str = "SIGKILL"
    member: ProcessSample | None = None
    """The process that alone is signalled; it is of the only target."""

    @property
    def possible(self) -> tuple[Target, ...]:
        """Those that it can be done to."""
        return tuple(target for target in self.targets if target.way is not None)

    @property
    def ways(self) -> Mapping[ContainerKey, Way]:
        """Who does it to each."""
        return {target.container.key: target.way for target in self.targets if target.way is not None}


def title(question: Question) -> str:
    """Name what would be done, and to what."""
    verb, possible = question.verb.capitalize(), question.possible
    if len(question.targets) > 1:
        count = len(possible)
        return f"{verb} {count} container{'s' if count > 1 else ''}?"
    (target,) = possible
    info = target.container.info
    way = ", through the kernel" if target.way is Way.KERNEL else ""
    if question.member is not None:
        of = cut(printable(info.name), NAME_WIDTH)
        return f"Send {question.signal} to {process_text(question.member)} of {of}?"
    return f"{verb} {cut(printable(info.name), TITLE_WIDTH)}?  ({info.runtime}, {info.id[:ID_DIGITS]}{way})"


def answer(question: Question) -> str:
    """Say in a word what is answered with yes."""
    return "Send" if question.member is not None else question.verb.capitalize()


def default_grace_s(question: Question) -> float | None:
    """Return the grace period that all of them have; None if they differ."""
    periods = {request_for(question.verb, target.container).grace_s for target in question.possible}
    return periods.pop() if len(periods) == 1 else None


def typed_answers(question: Question) -> tuple[str, ...]:
    """Return what has to be typed, any of it; nothing for what y alone confirms."""
    if question.verb is not Verb.REMOVE:
        return ()
    possible = question.possible
    if len(question.targets) > 1:
        return (f"remove {len(possible)}",)
    info = possible[0].container.info
    return (printable(info.name), info.id[:ID_DIGITS])


def lines_of(question: Question, wish: Wish) -> list[Spans]:
    """Say whom it is done to, what that does, and whom it cannot be done to; lines that may yet have to be broken.

    Raises:
        ValueError: there is no such signal.
    """
    effects = [
        (target, (describe(_request(question, target, wish), target.container), *target.consequences))
        for target in question.possible
    ]
    if len(question.targets) == 1:
        return [[Span(f"• {line}")] for _, lines in effects for line in lines]
    impossible = [target for target in question.targets if target.way is None]
    widest = max(cell_width(printable(target.container.name)) for target in question.possible)
    return [
        *[_row(target.container, min(widest, NAME_WIDTH)) for target in question.possible],
        [],
        *[[Span(f"• {line}")] for line in gathered([(each.container.name, lines) for each, lines in effects])],
        *([[], [Span(f"Not the other{'s' if len(impossible) > 1 else ''}:", Tone.WARN)]] if impossible else []),
        *[
            [Span(f"  {cut(printable(target.container.name), NAME_WIDTH)}: {printable(target.obstacle)}", Tone.DIM)]
            for target in impossible
        ],
    ]


def _request(question: Question, target: Target, wish: Wish) -> Request:
    way = target.way if target.way is not None else Way.RUNTIME
    return request_for(question.verb, target.container, wish.grace_s, wish.signal, way, question.member)


def _row(container: ContainerNode, width: int) -> Spans:
    info = container.info
    name = padded(printable(info.name), width, is_left=True)
    return [Span(f"  {name}", Tone.STRONG), Span(f"  {printable(info.runtime)}, {info.state}", Tone.DIM)]


def gathered(effects: Sequence[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Tell what several have in common once, with those that it is true of; connections are told by their sum."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, lines in effects:
        for line in lines:
            groups.setdefault("" if _CONNECTIONS.fullmatch(line) else line, []).append((name, line))
    for line, group in groups.items():
        names = [cut(printable(name), NAME_WIDTH) for name, _ in group]
        more = len(names) - MOST_NAMES
        who = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        what = line or connections_text(sum(int(each.split()[0]) for _, each in group))
        yield f"{'all' if len(names) == len(effects) else who}: {what}"


def broken(lines: Iterable[Spans], width: int) -> list[Spans]:
    """Break lines of one span where they are too long, and cut others off."""
    result: list[Spans] = []
    for spans in lines:
        if len(spans) == 1:
            result += [[spans[0]._replace(text=part)] for part in wrap(spans[0].text, width, subsequent_indent="  ")]
        else:
            result.append(fitted(spans, width))
    return result


def refusal(verb: Verb, targets: Sequence[Target]) -> str:
    """Say why something can be done to none of them."""
    first = targets[0]
    more = f" (and {len(targets) - 1} more)" if len(targets) > 1 else ""
    return f"cannot {verb} {printable(first.container.name)}: {printable(first.obstacle)}{more}"
