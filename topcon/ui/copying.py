"""What of a row can be copied. No Textual here."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.snapshot import ContainerNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.model.snapshot import PodNode

SHORT_ID = 12
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories of what is no text: pasted into a shell, it could do something."""


class Copy(NamedTuple):
    """A text that can be copied."""

    letter: str
    what: str
    text: str


def copies(node: ContainerNode | PodNode, marked: Sequence[str] = ()) -> list[Copy]:
    """Return what can be copied of a container or pod, and the names of all that are marked; what is known."""
    found = _of_container(node) if isinstance(node, ContainerNode) else _of_pod(node)
    offered = [Copy(letter, what, plain(text)) for letter, what, text in found if text]
    if marked:
        offered.append(Copy("a", f"names of all {len(marked)} marked", " ".join(map(plain, marked))))
    return offered


def _of_container(node: ContainerNode) -> Iterator[tuple[str, str, str | None]]:
    yield "n", "name", node.name
    yield "i", "id", node.info.id
    if len(node.info.id) > SHORT_ID:
        yield "s", "short id", node.info.id[:SHORT_ID]
    yield "m", "image", node.info.image
    yield "p", "pid", str(node.process.pid) if node.process else None
    yield "c", "cgroup path", node.cgroup.path if node.cgroup else None
    published = sorted({port.host_port for port in node.info.ports if port.host_port is not None})
    yield "o", "published port" if len(published) == 1 else "published ports", " ".join(map(str, published))


def _of_pod(node: PodNode) -> Iterator[tuple[str, str, str | None]]:
    yield "n", "name", node.name
    yield "i", "id", node.uid
    yield "c", "cgroup path", node.cgroup.path if node.cgroup else None


def plain(text: str) -> str:
    """Return foreign text as it is, but for control characters."""
    return "".join(character for character in text if unicodedata.category(character) not in _CONTROLS)
