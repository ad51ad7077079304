"""Pieces of HTML that all parts of the page are made of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS
from topcon.text import cut, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.snapshot import Severity

MOST_NAME = 72
"""Columns of a name; its middle is left out of a longer one."""
MOST_TEXT = 600
"""The same of what an event or a finding says."""
INFO_MARK = "·"


def safe(text: str) -> str:
    """Make foreign text safe within a page, also within an attribute; what draws nothing is written as an escape."""
    return escape(printable(text), quote=True)


def safe_name(text: str) -> str:
    """Write a foreign name, of which the page keeps its own direction of writing."""
    return f"<bdi>{safe(cut(text, MOST_NAME))}</bdi>"


def safe_text(text: str) -> str:
    """Write foreign text of any length."""
    return safe(cut(text, MOST_TEXT))


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Write what something is, each with its name; both are HTML."""
    written = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>\n" for name, value in rows)
    return f'<dl class="facts">\n{written}</dl>\n'


def tone(severity: Severity) -> str:
    """Return the class that has the color of a severity, which is its name."""
    return severity.name.lower()


def mark(severity: Severity) -> str:
    """Draw the mark of a severity, which is read out by its name."""
    shape = SEVERITY_MARKS.get(severity, INFO_MARK)
    return f'<span class="mark {tone(severity)}" role="img" aria-label="{tone(severity)}">{shape}</span>'


def named(severity: Severity) -> str:
    """Draw the mark of a severity beside its name."""
    shape = SEVERITY_MARKS.get(severity, INFO_MARK)
    return f'<span class="severity {tone(severity)}"><span aria-hidden="true">{shape}</span> {tone(severity)}</span>'


def swatch(kind: str) -> str:
    """Draw a piece of a line of a chart."""
    return f'<span class="swatch {kind}"></span>'
