"""What can be asked of a single container, when somebody looks inside; each of it may take its time.

Nothing of this is called on the threads of the UI and of the sampler. A field that is None cannot be asked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from topcon.model.about import About
    from topcon.model.disk import DiskUse
    from topcon.model.files import FilesSeen, LayerSizes
    from topcon.model.output import Feed, LastLines, Wanted
    from topcon.model.processes import ProcessTable
    from topcon.model.sample import ContainerId, ContainerKey, LogLine, Problem
    from topcon.model.security import Privileges, Security
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.model.sockets import Network
    from topcon.model.who import Answers


class Inside(NamedTuple):
    """Whom to ask. Each returns a `Problem` of model.sample where it may not look, with the remedy."""

    tail: Callable[[ContainerId], tuple[LogLine, ...]] | None = None
    """The last lines that it has written."""
    about: Callable[[ContainerId], About | Problem | None] | None = None
    """What its runtime says of it beside what its lists say; None if nobody can tell."""
    processes: Callable[[Sequence[ContainerNode]], ProcessTable | Problem] | None = None
    """The processes of containers; rates are measured from the last time that they were asked for."""
    network: Callable[[ContainerNode], Network | Problem] | None = None
    """The network that a container lives in."""
    follow: Callable[[ContainerNode, Wanted], Feed | Problem] | None = None
    """What it writes, followed from its runtime, or else from the file where that is kept."""
    who: Callable[[str, Snapshot], Answers] | None = None
    """Which container something is of: whatever a person has of it as text, on the host as it is."""
    disk: Callable[[Collection[ContainerNode]], DiskUse] | None = None
    """What containers hold on disks, as far as that was read; asking makes it go on for some seconds."""
    files: Callable[[ContainerNode], FilesSeen] | None = None
    """What is mounted and open; asking has it walked through what the container has written, in the same way."""
    last_lines: Callable[[ContainerKey], LastLines | None] | None = None
    """What it wrote before it ended, or was removed or started again, as far as that is kept; it waits for nobody."""
    sizes: Callable[[ContainerId], LayerSizes | Problem | None] | None = None
    """The size of layer and image, which its runtime counts anew; None if it does not do that."""
    inspect: Callable[[ContainerNode], Mapping[str, Any] | Problem] | None = None
    """All that its runtime says of it, as JSON has it; without one that answers, what topcon knows of it."""
    security: Callable[[ContainerNode], Security | Problem | None] | None = None
    """What its first process may do; None if it has none."""
    privileges: Callable[[Snapshot], Privileges] | None = None
    """What is dangerous in each container, and what those that have gone have left."""


NOTHING = Inside()
