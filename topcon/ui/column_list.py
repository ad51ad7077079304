"""The list of columns that a person chooses from: what is shown, in which order. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from topcon.columns import BY_NAME, COLUMN_NAMES, FIXED, SETS, columns_of
from topcon.text import padded
from topcon.ui.spans import Span, Spans, Tone, fitted

TITLE_WIDTH = 9
SET_LETTERS = {name[0]: name for name in SETS}


@dataclass(frozen=True, slots=True)
class ColumnList:
    """All columns that can be chosen, those that are shown first."""

    order: tuple[str, ...]
    shown: frozenset[str]
    column_set: str
    """The set that was begun with."""
    at: int = 0
    """Where the cursor is."""

    @property
    def own(self) -> tuple[str, ...] | None:
        """The columns to show, in their order; None if they are those of the set."""
        chosen = tuple(name for name in self.order if name in self.shown)
        return None if chosen == _movable(self.column_set, None) else chosen

    def moved_to(self, at: int) -> ColumnList:
        """Put the cursor elsewhere, around the ends."""
        return replace(self, at=at % len(self.order))

    def toggled(self) -> ColumnList:
        """Show the column under the cursor, or show it no more."""
        return replace(self, shown=self.shown ^ {self.order[self.at]})

    def carried(self, step: int) -> ColumnList:
        """Move the column under the cursor, and the cursor with it; not beyond the ends."""
        to = self.at + step
        if not 0 <= to < len(self.order):
            return self
        order = list(self.order)
        order.insert(to, order.pop(self.at))
        return replace(self, order=tuple(order), at=to)


def column_list(column_set: str, own: tuple[str, ...] | None = None) -> ColumnList:
    """Begin with the columns of a set, or with those that a person has chosen."""
    shown = _movable(column_set, own)
    rest = tuple(name for name in COLUMN_NAMES if name not in shown)
    return ColumnList((*shown, *rest), frozenset(shown), column_set)


def _movable(column_set: str, own: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(column.name for column in columns_of(column_set, own).columns if column not in FIXED)


def set_spans(chosen: ColumnList, width: int) -> Spans:
    """Write the sets with their letters; the one that is shown is marked."""
    spans: Spans = []
    for letter, name in SET_LETTERS.items():
        is_current = name == chosen.column_set and chosen.own is None
        spans += [
            Span(letter, Tone.ACCENT),
            Span(f" {name}  ", Tone.STRONG if is_current else Tone.DIM),
        ]
    return fitted(spans, width)


def column_lines(chosen: ColumnList) -> list[Spans]:
    """Write a line for each column."""
    lines: list[Spans] = []
    for at, name in enumerate(chosen.order):
        column = BY_NAME[name]
        is_current, is_shown = at == chosen.at, name in chosen.shown
        tone = Tone.PLAIN if is_shown else Tone.DIM
        lines.append(
            [
                Span("▸ " if is_current else "  ", Tone.ACCENT),
                Span("[x] " if is_shown else "[ ] ", tone),
                Span(padded(column.title, TITLE_WIDTH, is_left=True), Tone.STRONG if is_shown else Tone.DIM),
                Span(f" {column.help}", Tone.STRONG if is_current else tone),
            ]
        )
    return lines
