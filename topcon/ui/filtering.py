"""What helps in typing a filter: completion, what was typed before, how many match. No Textual here."""

from __future__ import annotations

import os.path
import re
from typing import TYPE_CHECKING, NamedTuple

from topcon.filter import NUMBER_FIELDS, TEXT_FIELDS, Filter
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from topcon.model.snapshot import PodNode, Snapshot
    from topcon.rows import Row

LONGEST = 500
"""Characters of a filter that is typed."""
KEPT_TEXTS = 50
_LAST = re.compile(r"[^\s|()!]*\Z")
_FIELDS = (
    *(f"{each.name}:" for each in TEXT_FIELDS if each.name.islower()),
    "label.",
    *(f"{each.name}>" for each in NUMBER_FIELDS),
)


class Completion(NamedTuple):
    """What a text can go on as."""

    text: str
    """As far as it is clear how it goes on."""
    candidates: tuple[str, ...]
    """What can take the place of what was begun, if there is more than one."""


def completed(text: str, saved: Iterable[str]) -> Completion:
    """Complete the field, or the name of a saved filter, that a text ends with."""
    begun = text.removeprefix(without_last(text))
    known = [f"@{name}" for name in saved] if begun.startswith("@") else _FIELDS
    fitting = tuple(each for each in known if each.startswith(begun.lower() if begun[:1] != "@" else begun))
    if not fitting:
        return Completion(text, ())
    common = os.path.commonprefix(fitting)  # noqa: RUF071  they are no paths: by characters is right
    return Completion(text[: len(text) - len(begun)] + common, fitting if len(fitting) > 1 else ())


def without_last(text: str) -> str:
    """Leave out the word that a text ends with."""
    return _LAST.sub("", text)


def pasted(text: str) -> str:
    """Make one printable line of what was pasted."""
    return printable(" ".join(text.split()))


class Typed:
    """The filters that were kept in this session, the newest last, and where one is among them."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._texts: list[str] = []
        self._at = 0
        self._draft = ""

    def keep(self, text: str) -> None:
        """Remember a filter, and be behind the newest."""
        if text:
            self._texts = [*(each for each in self._texts if each != text), text][-KEPT_TEXTS:]
        self._at = len(self._texts)

    def moved(self, step: int, text: str) -> str:
        """Return the one before or after; what was typed, ``text``, comes after the newest."""
        if self._at == len(self._texts):
            self._draft = text
        at = self._at + step
        while 0 <= at < len(self._texts) and self._texts[at] == text:
            at += step
        self._at = max(min(at, len(self._texts)), 0)
        return self._texts[self._at] if self._at < len(self._texts) else self._draft


class Matches:
    """Counts what a filter lets through; pods that are as they were are not asked again."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._filter = Filter()
        self._pods: Sequence[PodNode] = ()
        self._counts: dict[str, tuple[PodNode, int]] = {}

    def count(self, snapshot: Snapshot, chosen: Filter) -> int | None:
        """Return how many containers of a snapshot are let through; None without a filter."""
        if not chosen:
            return None
        if chosen != self._filter or chosen.is_timed:
            self._filter, self._pods, self._counts = chosen.at(snapshot.sample.wall_ns), (), {}
        if snapshot.pods is not self._pods:
            self._pods, known = snapshot.pods, self._counts
            self._counts = {}
            for pod in snapshot.pods:
                before = known.get(pod.key)
                is_same = before is not None and before[0] is pod
                self._counts[pod.key] = before if before is not None and is_same else (pod, self._count(pod))
        return sum(count for _, count in self._counts.values())

    def _count(self, pod: PodNode) -> int:
        return sum(self._filter.matches(pod, container) for container in pod.containers)


def next_match(rows: Sequence[Row], key: str | None, step: int) -> int | None:
    """Return the index of the next row that itself matches, around the ends; None where there is none.

    Beside the containers these are folded rows, for what is in them.
    """
    at = next((index for index, row in enumerate(rows) if row.key == key), -1)
    begin = at if at >= 0 or step > 0 else 0
    turned = (index % len(rows) for index in range(begin + step, begin + step * (len(rows) + 1), step))
    return next((index for index in turned if rows[index].container is not None or _is_folded(rows[index])), None)


def _is_folded(row: Row) -> bool:
    return row.is_expandable and not row.is_expanded
