"""What several containers write, brought together: a thread for each, and one bounded list in the order of time.

However much they write, no more is kept than the list holds; what passed by is counted.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError, SourceUnavailable
from topcon.model.output import Batch, Wanted
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.model.output import Feed
    from topcon.model.sample import LogLine

    Open = Callable[[Wanted], Feed | Problem]
    """Asks for what a container writes; may take its time."""

MOST_LINES, MOST_BYTES = 10_000, 16 << 20
"""What a list holds at the most, the text alone."""
MOST_READERS = 32
"""So many containers are read at the same time."""
MOST_BATCHES = 64
"""Of what nobody has taken yet, with no more lines than a list holds; older ones are left out, and counted."""
WAITS_S = (1.0, 2.0, 5.0, 10.0)
"""Before it is asked again where one has ended; the last one stays, until something comes."""


class Entry(NamedTuple):
    """A line of the list, or how many were left out there."""

    source: int
    """Which of the containers, in the order in which they were first read."""
    at_ns: int
    """Where it belongs: when it was written, or the line before it."""
    line: LogLine | None
    passed: int = 0
    note: str = ""
    """What is said in the place of a line: of our own, but with foreign text in it."""


class Ring:
    """The last lines, in their order, numbered from the first that ever was."""

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        """Hold no more than that."""
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._bytes = 0
        self.entries: list[Entry] = []
        self.first = 0
        """The number of the first that is still held."""

    @property
    def end(self) -> int:
        """The number that the next one gets."""
        return self.first + len(self.entries)

    def entry(self, number: int) -> Entry:
        """Return an entry by its number."""
        return self.entries[number - self.first]

    def add(self, entries: Iterable[Entry], *, is_ordered: bool = False) -> int:
        """Put entries where they belong; return the number from which on something is new.

        ``is_ordered`` says that they come one after the other whatever their times: they are of one container.
        """
        new = list(entries)
        if not new:
            return self.end
        kept = self.entries
        at = len(kept)
        if not is_ordered:
            new.sort(key=_AT)
            while at and kept[at - 1].at_ns > new[0].at_ns:
                at -= 1
            new = list(heapq.merge(kept[at:], new, key=_AT))
        self._bytes += sum(map(_size, new)) - sum(map(_size, kept[at:]))
        kept[at:] = _together(new)
        changed = self.first + at
        self._trim()
        return max(changed, self.first)

    def _trim(self) -> None:
        excess = max(len(self.entries) - self._most_lines, 0)
        self._bytes -= sum(map(_size, self.entries[:excess]))
        while self._bytes > self._most_bytes:
            self._bytes -= _size(self.entries[excess])
            excess += 1
        del self.entries[:excess]
        self.first += excess


_AT = attrgetter("at_ns")


def _size(entry: Entry) -> int:
    """How many bytes its text takes, as Python keeps it, at the most."""
    if entry.line is None:
        return 0
    text = entry.line.text
    return len(text) if text.isascii() else 4 * len(text)


def _together(entries: Sequence[Entry]) -> list[Entry]:
    """Make one of the counts of what was left out that follow one another."""
    made: list[Entry] = []
    for entry in entries:
        if entry.passed and made and made[-1].passed and made[-1].source == entry.source:
            made[-1] = made[-1]._replace(passed=made[-1].passed + entry.passed)
        else:
            made.append(entry)
    return made


class Reader:
    """Reads one container, on a thread of its own, again where it has ended, until it is stopped."""

    def __init__(
        self,
        open_feed: Open,
        wanted: Wanted,
        waits_s: Sequence[float] = WAITS_S,
        last: tuple[int, int] | None = None,
    ) -> None:
        """Begin to read, after the last line of an earlier reader if there was one."""
        self._open = open_feed
        self._wanted = wanted
        self._waits_s = waits_s
        self._batches: deque[Batch] = deque()
        self._lost = 0
        self._feed: Feed | None = None
        self._stopped = threading.Event()
        self._bug: BaseException | None = None
        self.last = last
        """When the last line was written, and how many lines were at that time."""
        self.where: str | None = None
        """Who tells it; None while it is asked for."""
        self.problem: Problem | None = None
        """Why there is nothing to read, or no more of it."""
        self.is_last = False
        """Whether it is not asked again: the container has gone."""
        self._thread = threading.Thread(target=self._run, name="topcon-logs", daemon=True)
        self._thread.start()

    def take(self) -> list[Batch]:
        """Return what has come since; an error of our own on its thread is raised here."""
        if self._bug is not None:
            raise self._bug
        taken = []
        while self._batches:
            taken.append(self._batches.popleft())
        return taken

    def stop(self) -> None:
        """Read no more, without waiting for who does not answer."""
        self._stopped.set()
        feed = self._feed
        if feed is not None:
            feed.stop()

    @property
    def has_any(self) -> bool:
        """Whether there is something to take."""
        return bool(self._batches)

    @property
    def is_alive(self) -> bool:
        """Whether its thread has yet to end."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._keep_reading()
        except BaseException as bug:  # noqa: BLE001  handed to whoever takes, which ends topcon with it
            self._bug = bug

    def _keep_reading(self) -> None:
        wanted = self._wanted if self.last is None else Wanted(None, self.last[0])
        tries = 0
        while not self._stopped.is_set():
            begun_ns = time.time_ns()
            has_any = False
            found = self._open(wanted)
            if isinstance(found, Problem):
                self.problem = found
            else:
                has_any = self._read(found)
            if self.is_last:
                return
            tries = 0 if has_any else tries + 1
            # What was read is not wanted again; the last one tells whether it is the same.
            since_ns = self.last[0] if self.last is not None else max(wanted.since_ns or 0, begun_ns)
            if not isinstance(found, Problem) or self.last is not None:
                wanted = Wanted(None, since_ns)
            self._stopped.wait(self._waits_s[min(tries, len(self._waits_s) - 1)])

    def _read(self, feed: Feed) -> bool:
        """Read a feed to its end; whether there was anything new in it."""
        self._feed = feed
        self.where, self.problem = feed.where, None
        known = self.last
        has_any = False
        try:
            while not self._stopped.is_set() and (batch := feed.read()) is not None:
                lines = batch.lines
                if known is not None and lines:
                    lines, known = _without_known(lines, known)
                if lines or batch.passed:
                    has_any = True
                    self._put(Batch(lines, batch.passed))
        except (SourceUnavailable, ParseError) as error:
            self.problem = Problem("logs", str(error), error.remedy)
        finally:
            self._feed = None
            feed.close()
        return has_any

    def _put(self, batch: Batch) -> None:
        self._remember(batch.lines)
        # Made in one step: the other thread takes from it.
        waiting = list(self._batches)
        room = MOST_LINES - len(batch.lines)
        while waiting and (len(waiting) >= MOST_BATCHES or sum(len(each.lines) for each in waiting) > room):
            with suppress(IndexError):
                old = self._batches.popleft()
                self._lost += old.passed + len(old.lines)
            del waiting[0]
        if self._lost:
            batch = Batch(batch.lines, batch.passed + self._lost)
            self._lost = 0
        self._batches.append(batch)

    def _remember(self, lines: Sequence[LogLine]) -> None:
        """Keep the time of the last line, and how many lines have it."""
        for line in lines:
            if line.time_ns is not None:
                count = self.last[1] if self.last is not None and self.last[0] == line.time_ns else 0
                self.last = (line.time_ns, count + 1)


def _without_known(
    lines: tuple[LogLine, ...], known: tuple[int, int]
) -> tuple[tuple[LogLine, ...], tuple[int, int] | None]:
    """Leave out what has been read: lines before a time, and so many that have it. Return what is known beyond them."""
    time_ns, count = known
    for at, line in enumerate(lines):
        if line.time_ns is None or line.time_ns > time_ns:
            return lines[at:], None
        if line.time_ns == time_ns:
            if not count:
                return lines[at:], None
            count -= 1
    return (), (time_ns, count)


class Output:
    """The lines of several containers. What is called here is called by one thread alone."""

    def __init__(self, wanted: Wanted, ring: Ring | None = None) -> None:
        """Begin with what is wanted of each."""
        self.wanted = wanted
        self.ring = ring or Ring()
        self._readers: dict[str, Reader] = {}
        self._sources: dict[str, int] = {}
        self._at_ns: dict[int, int] = {}
        self._last: dict[str, tuple[int, int] | None] = {}
        self.passed = 0
        """Lines that were left out, of all."""
        self.unread = 0
        """Containers that are not read, since there are too many."""

    @property
    def keys(self) -> list[str]:
        """The containers that were ever read, by the numbers of their entries."""
        return list(self._sources)

    def follow(self, feeds: Mapping[str, Open]) -> None:
        """Read these containers, by their keys; those that are read already go on, others come to their end."""
        for key, reader in list(self._readers.items()):
            reader.is_last = reader.is_last or key not in feeds
            if reader.is_last and not reader.is_alive and not reader.has_any:
                self._last[key] = reader.last
                del self._readers[key]
        new = [key for key in feeds if key not in self._readers]
        room = max(MOST_READERS - len(self._readers), 0)
        self.unread = len(new[room:])
        for key in new[:room]:
            self._sources.setdefault(key, len(self._sources))
            self._readers[key] = Reader(feeds[key], self.wanted, last=self._last.get(key))

    def take(self) -> int | None:
        """Put what has come into the list; return the number from which on something is new, None for nothing."""
        entries: list[Entry] = []
        for key, reader in self._readers.items():
            source = self._sources[key]
            for batch in reader.take():
                entries += self._entries(source, batch)
        if not entries:
            return None
        return self.ring.add(entries, is_ordered=len(self._sources) == 1)

    def _entries(self, source: int, batch: Batch) -> list[Entry]:
        at_ns = self._at_ns.get(source, 0)
        entries = []
        if batch.passed:
            self.passed += batch.passed
            entries.append(Entry(source, at_ns, None, batch.passed))
        for line in batch.lines:
            # Two streams may be a little out of step: a container's own lines stay in the order in which they came.
            at_ns = max(at_ns, line.time_ns or 0)
            entries.append(Entry(source, at_ns, line))
        self._at_ns[source] = at_ns
        return entries

    def put(self, key: str, lines: Sequence[LogLine], note: str, at_ns: int) -> int:
        """Put lines of a container that were kept into the list, and a note below them, which is of that time.

        Returns the number from which on something is new.
        """
        source = self._sources.setdefault(key, len(self._sources))
        entries: list[Entry] = []
        before_ns = 0
        for line in lines:
            before_ns = max(before_ns, line.time_ns or 0)
            entries.append(Entry(source, before_ns, line))
        return self.ring.add([*entries, Entry(source, max(at_ns, before_ns), None, note=note)])

    def lines_of(self, key: str) -> list[LogLine]:
        """Return the lines of a container that are held."""
        source = self._sources.get(key)
        return [entry.line for entry in self.ring.entries if entry.source == source and entry.line is not None]

    def places(self) -> dict[str, str]:
        """Return who tells what the containers write, by their keys."""
        return {key: reader.where for key, reader in self._readers.items() if reader.where is not None}

    def problems(self) -> dict[str, Problem]:
        """Return why there is nothing to read of some, by their keys."""
        return {key: reader.problem for key, reader in self._readers.items() if reader.problem is not None}

    @property
    def is_asking(self) -> bool:
        """Whether there may be something soon: one has not been answered yet."""
        return any(reader.where is None and reader.problem is None for reader in self._readers.values())

    def stop(self) -> None:
        """Read no more; the threads end by themselves."""
        for reader in self._readers.values():
            reader.stop()
