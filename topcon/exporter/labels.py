"""Labels of samples as text, made once for a subject and used by all families."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

Pair = tuple[str, str]
"""A label: name, value."""

MOST_MERGED = 256
"""A subject whose devices, interfaces and namespaces come and go does not gather texts for ever."""

_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


def escaped(value: str) -> str:
    """Write a value as it stands between quotes."""
    if "\\" in value:
        value = value.replace("\\", r"\\")
    if '"' in value:
        value = value.replace('"', r"\"")
    return value.replace("\n", r"\n") if "\n" in value else value


def path_text(name: str) -> str:
    """Escape the name of a cgroup or an interface so that no two become one: after a slash, which they cannot hold."""
    if printable(name) == name:
        return name
    return "".join(each if printable(each) == each else f"//{printable(each)}" for each in name)


def container_label(key: str) -> str:
    """Name the label of a sample that bears a label of a container."""
    return "container_label_" + _NO_NAME.sub("_", key)


class Labels:
    """The labels of one subject."""

    __slots__ = ("_merged", "_pairs", "text")

    def __init__(self, pairs: Iterable[Pair]) -> None:
        """Take foreign values as they are."""
        self._pairs = sorted(pairs)
        self._merged: dict[tuple[Pair, ...], str] = {}
        self.text = _text(self._pairs)
        """All labels, by name."""

    def with_(self, *own: Pair) -> str:
        """Return the text with labels that a family has of its own, in their places."""
        text = self._merged.get(own)
        if text is None:
            if len(self._merged) >= MOST_MERGED:
                self._merged.clear()
            text = self._merged[own] = _text(sorted([*self._pairs, *own]))
        return text


def _text(pairs: Iterable[Pair]) -> str:
    return ",".join([f'{name}="{escaped(value)}"' for name, value in pairs])


class LabelCache:
    """Keeps the labels of the last page for the next: most subjects stay."""

    def __init__(self, before: LabelCache | None = None) -> None:
        """Take over what ``before`` made, as far as it is asked for again."""
        self._before = before._made if before else {}  # noqa: SLF001  its own kind
        self._made: dict[tuple[Pair, ...], Labels] = {}

    def labels(self, *pairs: Pair) -> Labels:
        """Return the labels of a subject."""
        labels = self._made.get(pairs)
        if labels is None:
            labels = self._made[pairs] = self._before.get(pairs) or Labels(pairs)
        return labels
