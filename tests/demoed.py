"""The demo that comes with the package, at a moment, with the minutes before it in its charts.

It is a recording of a real host (docs/recording.md tells how it is made), the same for everybody and each time.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from played import AnsweringRuntimes, AnsweringWatch

from topcon.actions import Actions, AuditLog
from topcon.kernel.files import Access
from topcon.kernel.process import ProcFs
from topcon.model.sample import RuntimeSample
from topcon.recording.reader import Reader
from topcon.recording.replayed import snapshots
from topcon.wiring.replay import DEMO

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot

ROLLED_OUT, LOOPS = 200, 390
"""Moments, seconds from its beginning: a new version runs, and is killed for memory; another cannot start."""


def demo_at(seconds: int) -> Snapshot:
    """Return what the demo shows so many seconds after its beginning."""
    with Reader(Path(str(files("topcon") / DEMO))) as reader:
        at = reader.index_at(reader.times[0] + seconds * 10**9)
        *_, snapshot = snapshots(reader, 0, at + 1)
    return snapshot


def actions_for(snapshot: Snapshot, folder: Path) -> Actions:
    """Return what asks before it changes a container of Docker's; there is none to change."""
    infos = tuple(each.info for each in snapshot.containers.values() if each.info.runtime == "docker")
    docker = AnsweringWatch(infos, RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True))
    runtimes = AnsweringRuntimes([docker])
    return Actions(runtimes, ProcFs(str(folder), Access()), AuditLog(folder / "audit", None))
