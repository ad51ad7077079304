"""What is told to the app, from other threads among others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from topcon.model.playing import Playing
    from topcon.model.snapshot import ContainerNode, Snapshot


@dataclass
class SnapshotReady(Message):
    """A new snapshot. One that has not been drawn yet gives way to it."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether an older message that still waits can be dropped."""
        return isinstance(message, SnapshotReady)


@dataclass
class PastSeen(Message):
    """A moment of the past is to be shown. One that has not been drawn yet gives way to it."""

    playing: Playing
    snapshot: Snapshot
    player: object
    """Who shows it: one that was stopped may still have something to say."""

    def can_replace(self, message: Message) -> bool:
        """Whether an older message that still waits can be dropped."""
        return isinstance(message, PastSeen)


@dataclass
class BackAsked(Message):
    """Somebody wants to go back, and there is nothing left to take back in the tree."""


@dataclass
class SamplerFailed(Message):
    """The sampler has ended with an error."""

    error: BaseException


@dataclass
class Said(Message):
    """Something was done, and is said for a while."""

    text: str


@dataclass
class TerminalCaughtUp(Message):
    """The terminal has taken all that was drawn, after it had not for a while."""


@dataclass
class ShellAsked(Message):
    """A shell is wanted in one of these containers."""

    containers: tuple[ContainerNode, ...]
