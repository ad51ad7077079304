"""The filter: which containers are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topcon.model.snapshot import ContainerNode, PodNode


@dataclass(frozen=True, slots=True)
class Filter:
    """Words that must all be found in the name, the pod, the image or the id, whatever their case."""

    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it keeps anything out."""
        return bool(self.words)

    def matches(self, pod: PodNode, container: ContainerNode) -> bool:
        """Whether the container is to be shown."""
        texts = (
            container.name.lower(),
            pod.title.lower(),
            (container.info.image or "").lower(),
            container.info.id.lower(),
        )
        return all(any(word in text for text in texts) for word in self.words)


def parse_filter(text: str) -> Filter:
    """Read a filter as it was typed."""
    return Filter(tuple(text.lower().split()))
