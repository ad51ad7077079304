"""A metric family, and how a table of them is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.exporter.page import Page, Row

COUNTER, GAUGE = "counter", "gauge"

Number = int | float
Value = Callable[[Any], Number | None]
"""Takes the value of a sample from what its row holds; None where it is not known, and then there is no sample."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family."""

    group: str
    """What ``collect[]`` names, and ``--enable-metrics`` where it is not served by default."""
    type: str
    name: str
    help: str
    rows: Callable[[Page], Sequence[Row[Any]]]
    value: Value


def table(
    group: str, rows: Callable[[Page], Sequence[Row[Any]]], *entries: tuple[str, str, str, Value]
) -> tuple[Family, ...]:
    """Make the families of a group that share their rows: type, name, help and value of each."""
    return tuple(Family(group, kind, name, help_, rows, value) for kind, name, help_, value in entries)


def itself(value: Number | None) -> Number | None:
    """Where a row holds the value."""
    return value


def field(name: str) -> Value:
    """Take a field as it is."""
    return attrgetter(name)


def seconds(name: str, per_second: float = 1e6) -> Value:
    """Take a field that counts parts of a second, microseconds unless told otherwise."""
    get = attrgetter(name)

    def value(of: object) -> float | None:
        parts = get(of)
        return None if parts is None else parts / per_second

    return value
