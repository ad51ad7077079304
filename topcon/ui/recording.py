"""Records the host that is live into a file, for which the screen does not wait."""

from __future__ import annotations

import os.path
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from topcon.errors import TopconError
from topcon.model.sample import Problem
from topcon.text import printable
from topcon.ui.spans import Span, Tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from topcon.model.sample import HostSample
    from topcon.model.snapshot import Snapshot

MARK = "● rec"
"""What the header says."""
MOST_OF_NAME = 64
"""So much of a host's name is in that of a file; what Linux calls a host is no longer."""


class Records(Protocol):
    """Who records. What begins and ends may wait for a disk."""

    def begin(self, path: Path, host: HostSample | None) -> None:
        """Record into a file; raises TopconError if that cannot be."""

    def end(self) -> str | None:
        """Record no more, and say what came of it; None if nothing was recorded."""

    @property
    def problem(self) -> Problem | None:
        """Why samples are left out now."""


def default_name(host: str, now: datetime) -> str:
    """Name a file after a host, whose name may be anything, and a time."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in host)
    return f"topcon-{plain[:MOST_OF_NAME].strip('-.') or 'host'}-{now:%Y%m%d-%H%M%S}.topcon"


class Recording:
    """What ``:record`` does; one file at a time."""

    def __init__(
        self, app: App[Any], records: Records | None, say: Callable[[str, Tone], object], redraw: Callable[[], object]
    ) -> None:
        """Record on a thread of ``app``, unless nobody can; ``say`` is told how it goes, ``redraw`` that it changed."""
        self._app = app
        self._records = records
        self._say = say
        self._redraw = redraw
        self._path: Path | None = None
        self._is_busy = False

    @property
    def is_possible(self) -> bool:
        """Whether there is something to record."""
        return self._records is not None

    @property
    def problem(self) -> Problem | None:
        """Why samples are left out now; None while they are not."""
        problem = None if self._records is None else self._records.problem
        # Which file it is has been said, and the reason is what there has to be room for.
        return None if problem is None else Problem(problem.source, problem.message.rpartition(": ")[2])

    def words(self) -> Span | None:
        """Say that it records; None while it does not."""
        if self._path is None:
            return None
        return Span(MARK, Tone.ACCENT if self.problem is None else Tone.BAD)

    def ask(self, file: str, newest: Snapshot | None) -> None:
        """Begin to record into a file, or, where none is named, into one that is named here; or end what goes on."""
        if self._records is None:
            return
        if self._is_busy:
            self._say("the disk has yet to take what was asked before", Tone.WARN)
        elif self._path is None:
            host = None if newest is None else newest.sample.host
            name = file or default_name("" if host is None else host.name, datetime.now().astimezone())
            # Path.expanduser() raises for a user without a home; this leaves the path as it is.
            self._begin(self._records, Path(os.path.expanduser(name)), host)  # noqa: PTH111
        elif file:
            self._say(f"it records into {self._path} already; :record without a name ends that", Tone.WARN)
        else:
            self._end(self._records)

    def _begin(self, records: Records, path: Path, host: HostSample | None) -> None:
        def begin() -> None:
            try:
                records.begin(path, host)
            except TopconError as error:
                # The rest of the path was just typed, and there may be no room for it and the reason.
                why = str(error).removeprefix(f"{printable(str(path))}: ")
                self._app.call_later(partial(self._tell, f"{path.name or path}: {why}", Tone.BAD))
            else:
                self._app.call_later(partial(self._tell, f"records into {path}; :record ends it", Tone.GOOD, path))

        self._work(begin)

    def _end(self, records: Records) -> None:
        def end() -> None:
            self._app.call_later(partial(self._tell, f"recorded {records.end()}", Tone.GOOD))

        self._work(end)

    def _work(self, work: Callable[[], None]) -> None:
        self._is_busy = True
        self._app.run_worker(work, thread=True, group="record")

    def _tell(self, told: str, tone: Tone, path: Path | None = None) -> None:
        """Say how it went; from now on it records into this file, or into none."""
        self._is_busy = False
        self._path = path
        self._redraw()
        self._say(told, tone)
