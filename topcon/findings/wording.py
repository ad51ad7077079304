"""How numbers are put in findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.text import to_bytes_text

if TYPE_CHECKING:
    from topcon.model.sample import MemoryStat


def percent(share: float) -> str:
    """Write a share of 1."""
    return f"{share:.0%}"


def memory_text(memory: MemoryStat | None) -> list[str]:
    """Say what memory is made of, as far as that is known and more than nothing."""
    kinds = {
        "anonymous": memory.anon if memory else None,
        "active cache": memory.active_file if memory else None,
        "shared": memory.shmem if memory else None,
    }
    return [f"{to_bytes_text(count)} {kind}" for kind, count in kinds.items() if count]
