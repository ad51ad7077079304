"""The last lines of containers that end, are started again or are removed, read while they still can be.

Nothing is read of what goes on running. What ends is read once it is seen to have ended, from its runtime, or from the
file that the runtime keeps. What its runtime removes at once takes its lines along: that is said, and not made up for.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError, SourceUnavailable
from topcon.model.derive import has_started_again
from topcon.model.output import LastLines, Wanted
from topcon.model.sample import Problem, Role, Source
from topcon.model.tombstones import tombstone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from topcon.model.output import Feed
    from topcon.model.sample import ContainerKey, LogLine
    from topcon.model.snapshot import ContainerNode, Snapshot

MOST_LINES, MOST_CHARACTERS = 50, 16 << 10
"""What is kept of each, at the most."""
MOST_KEPT = 64
"""Containers whose lines are kept; those that were read first are forgotten first."""
MOST_WAITING = 64
"""Those that wait to be read; of others nothing is read."""
WORKERS = 2
APART_S = 0.25
"""Between two readings: what restarts again and again costs no more than that."""
READ_S = 3.0
"""A reading takes no longer: where more and more comes, and where nothing does yet."""
ASKED_AGAIN = 4
"""So many times the lines are asked for of what runs again, which may have written by then."""
NOTED_NS = 50 * 10**6
"""A runtime notes a start when the process has begun already, and may have written; between two lives is more time."""
_NAMED = frozenset((Source.API, Source.BUNDLE))


class Want(NamedTuple):
    """Whose lines are to be read."""

    container: ContainerNode
    started_again_ns: int | None = None
    """When it was started again; only what it wrote before is of interest."""


def wants(before: Snapshot, snapshot: Snapshot) -> Iterator[Want]:
    """Return the containers that have ended, have been started again, or are gone, from one snapshot to the next."""
    now, old = snapshot.containers, before.containers
    if now is old:
        return
    for key, node in now.items():
        was = old.get(key)
        if was is None or was is node or not _writes(node):
            continue
        if has_started_again(was, node):
            # Also of one that was seen to have ended: what was read then may have been of both lives.
            yield Want(node, node.started_ns)
        elif was.info.state.is_live and not node.info.state.is_live:
            yield Want(node)
    for key in old.keys() - now.keys():
        # Of one that had ended before, all was read then.
        if _writes(old[key]) and old[key].info.state.is_live and tombstone_of(snapshot, key) is not None:
            yield Want(old[key])


def _writes(container: ContainerNode) -> bool:
    return container.info.source in _NAMED and container.info.role is not Role.SANDBOX


class Tails:
    """Reads and keeps last lines, on threads of its own, from the first that is wanted on until it is closed."""

    def __init__(self, follow: Callable[[ContainerNode, Wanted], Feed | Problem], apart_s: float = APART_S) -> None:
        """Ask ``follow`` for what a container writes."""
        self._follow = follow
        self._apart_s = apart_s
        self._before: Snapshot | None = None
        self._waiting: queue.Queue[Want | None] = queue.Queue(MOST_WAITING)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._kept: dict[str, LastLines] = {}
        self._reading: set[Feed] = set()
        self._next_s = 0.0
        self._stopped = threading.Event()
        self._bug: BaseException | None = None
        self.missed = 0
        """How many were not read, since too many waited."""

    def look(self, snapshot: Snapshot) -> None:
        """Have read whose life has ended since the last snapshot; an error of our own on a thread is raised here."""
        if self._bug is not None:
            raise self._bug
        before, self._before = self._before, snapshot
        if before is None or self._stopped.is_set():
            return
        for want in wants(before, snapshot):
            try:
                self._waiting.put_nowait(want)
            except queue.Full:
                self.missed += 1
            else:
                self._begin()

    def looking(self, on_snapshot: Callable[[Snapshot], object]) -> Callable[[Snapshot], object]:
        """Return what looks at a snapshot before it hands it on."""

        def look(snapshot: Snapshot) -> None:
            self.look(snapshot)
            on_snapshot(snapshot)

        return look

    def _begin(self) -> None:
        if len(self._threads) < WORKERS:
            thread = threading.Thread(target=self._run, name="topcon-tails", daemon=True)
            self._threads.append(thread)
            thread.start()

    def of(self, key: ContainerKey) -> LastLines | None:
        """Return what a container wrote last; None if it was not read, or is forgotten."""
        return self._kept.get(key)

    def close(self) -> None:
        """Read no more; the threads end by themselves, without being waited for."""
        self._stopped.set()
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put_nowait(None)
        with self._lock:
            for feed in self._reading:
                feed.stop()

    @property
    def is_alive(self) -> bool:
        """Whether a thread of its own has yet to end."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        try:
            while (want := self._waiting.get()) is not None and not self._stopped.wait(self._rest_s()):
                self._keep(want.container.key, self._read(want))
        except BaseException as bug:  # noqa: BLE001  handed to whoever looks next, which ends topcon with it
            self._bug = bug

    def _rest_s(self) -> float:
        """Take a turn; return how long it is until then."""
        with self._lock:
            now_s = time.monotonic()
            turn_s = max(self._next_s, now_s)
            self._next_s = turn_s + self._apart_s
        return turn_s - now_s

    def _keep(self, key: ContainerKey, found: LastLines) -> None:
        with self._lock:
            # What was read of it before is not lost to a later look that finds nothing any more.
            if found.lines or key not in self._kept:
                self._kept.pop(key, None)
                self._kept[key] = found
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]

    def _read(self, want: Want) -> LastLines:
        again_ns = want.started_again_ns
        asked = MOST_LINES if again_ns is None else ASKED_AGAIN * MOST_LINES
        feed = self._follow(want.container, Wanted(asked))
        read_ns = time.time_ns()
        if isinstance(feed, Problem):
            return LastLines((), "", read_ns, again_ns, feed.message)
        lines: list[LogLine] = []
        reason = ""
        with self._lock:
            self._reading.add(feed)
        try:
            lines = self._lines(feed, asked)
        except (SourceUnavailable, ParseError) as error:
            reason = str(error)
        finally:
            with self._lock:
                self._reading.discard(feed)
            feed.close()
        if again_ns is not None:
            # Of a line without a time nobody knows in which life it was written.
            ended_ns = again_ns - NOTED_NS
            lines = [line for line in lines if line.time_ns is not None and line.time_ns < ended_ns]
        return LastLines(last_of(lines), feed.where, read_ns, again_ns, reason if not lines else "")

    def _lines(self, feed: Feed, asked: int) -> list[LogLine]:
        """Read what there is; of what goes on writing, no more than was asked for."""
        lines: list[LogLine] = []
        until_s = time.monotonic() + READ_S
        while len(lines) < asked and time.monotonic() < until_s and not self._stopped.is_set():
            batch = feed.read()
            if batch is None:
                break
            # Of what goes on writing nobody tells where the past ends: it has, once nothing more comes for a while.
            if lines and not (batch.lines or batch.passed):
                break
            lines += batch.lines
        return lines


def last_of(lines: Sequence[LogLine]) -> tuple[LogLine, ...]:
    """Return the last lines, as many as are kept; the first of them is cut where it alone is too long."""
    kept: list[LogLine] = []
    room = MOST_CHARACTERS
    for line in reversed(lines[-MOST_LINES:]):
        if kept and len(line.text) > room:
            break
        kept.append(line if len(line.text) <= room else line._replace(text=line.text[:room]))
        room -= len(kept[-1].text)
    return tuple(reversed(kept))
