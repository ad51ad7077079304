"""The answers to which container something belongs to, as lines. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.text import cut, printable
from topcon.ui.spans import Span, Spans, Tone, fitted, in_lines, spread, width_of
from topcon.ui.tabs.seen import Entry
from topcon.who import nothing_text, who_text, why_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.who import Answer, Answers

_INDENT = "   "
LONGEST_TITLE = 200
"""Characters of what was asked that are looked at for the title."""


def who_title(query: str, answers: Answers | None, width: int) -> Spans:
    """Write what was asked, and what can be done with the answers."""
    can_go = answers is not None and any(answer.target is not None for answer in answers.answers)
    hint = [Span("enter: its row in the tree ", Tone.DIM)] if can_go else []
    room = max(width - len(" who  ") - width_of(hint), 1)
    asked = cut(printable(" ".join(query[:LONGEST_TITLE].split())), room)
    return spread([Span(" who ", Tone.DIM), Span(asked, Tone.ACCENT)], hint, width)


def who_entries(answers: Answers | None, width: int) -> list[Entry]:
    """Write the answers, each that has a row in the tree with its place among them as its key.

    None are there before it was answered.
    """
    if answers is None:
        return [Entry([Span(f"{_INDENT}looking ...", Tone.DIM)])]
    entries = [entry for at, answer in enumerate(answers.answers) for entry in _answer(at, answer, width)]
    if not answers.answers:
        entries = [Entry(line) for line in _wrapped(nothing_text(answers), Tone.PLAIN, width)]
    for problem in answers.problems:
        remedy = f": {problem.remedy}" if problem.remedy else ""
        text = printable(f"{problem.message}{remedy}")
        entries += [Entry([]), *(Entry(line) for line in _wrapped(text, Tone.WARN, width))]
    return entries


def _answer(at: int, answer: Answer, width: int) -> Iterator[Entry]:
    name, bracket, rest = who_text(answer).partition(" (")
    who = [Span(_INDENT), Span(name, Tone.STRONG), Span(f"  {rest.removesuffix(')')}" if bracket else "", Tone.DIM)]
    yield Entry(fitted(who, width), str(at) if answer.target is not None else None)
    for line in _wrapped(why_text(answer), Tone.PLAIN, width):
        yield Entry(line)


def _wrapped(text: str, tone: Tone, width: int) -> Iterator[Spans]:
    indent = _INDENT + "  "
    for line in in_lines(text, width - len(indent)):
        yield [Span(indent), Span(line, tone)]
