"""How much of a disk a container takes, as its runtime counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.files import LayerSizes
from topcon.runtimes.foreign import to_int

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTING_S = 60.0
"""A daemon walks through all that a container has written, and may take so long."""


def to_sizes(said: Mapping[str, object]) -> LayerSizes:
    """Take what Docker and Podman say of a container where they are asked for its size."""
    return LayerSizes(to_int(said.get("SizeRw")), to_int(said.get("SizeRootFs")))
