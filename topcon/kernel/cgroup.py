"""Cgroups: which there are, and what their files say, on version 2, version 1 and hosts that mix them.

Most of a host's cgroups do nothing most of the time, and what has done nothing has not changed. ``cpu.stat`` and the
current memory tell: they are read every time, and the rest when they have changed, and of each cgroup now and then.
They count what is below a cgroup too, so where they stand still nothing below has to be looked at.
"""

from __future__ import annotations

import os
from collections import Counter
from heapq import heapify, heappop, heappush
from itertools import count, repeat
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.cgroup_files import HUGETLB, V2, Tier, sections_of
from topcon.kernel.discovery import CgroupTree
from topcon.kernel.files import SMALL_READ_BYTES, Directory, KeptFile
from topcon.kernel.topology import read_hugepage_sizes
from topcon.model.sample import ROOT, CgroupPath, CgroupSample, TierSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from topcon.kernel.cgroup_files import Part, Section
    from topcon.kernel.files import Access
    from topcon.kernel.mount import Hierarchies

REFRESH_S = 9.0
"""Whatever a cgroup has done, all its files are read this often: with a tick a second, nothing is older than 10 s."""
SIGNALS = ("cpu", "memory")
"""The sections whose hot files tell of all files of the section; the first, of all other sections too."""
MANY = 8
"""So many cgroups side by side make it worth while to ask the one that they are in."""
GOLDEN = 0.6180339887498949
"""Multiples of it leave no gaps, however many there are."""


class _OpenSection:
    """A section of one cgroup: its files, and how their values are put together."""

    __slots__ = ("_build", "field", "files", "parts", "signal")

    def __init__(self, section: Section, files: list[KeptFile[Any] | None], signal: _Signal) -> None:
        self.field = section.field
        self.parts = section.parts
        self.files = files
        self.signal = signal
        self._build = section.build

    def value(self) -> Any:  # noqa: ANN401  whatever the section is of
        """Put together what was read last; None if nothing was."""
        values = [None if file is None else file.value for file in self.files]
        if self._build is None:
            return values[0]
        return None if values.count(None) == len(values) else self._build(*values)

    def files_to_read(self) -> Iterator[tuple[Part, KeptFile[Any]]]:
        """Leave out what is not there, and what stands in for a first file that is."""
        first = self.files[0]
        has_first = first is not None and first.value is not None
        for part, file in zip(self.parts, self.files, strict=True):
            if file is not None and not (part.is_substitute and has_first):
                yield part, file

    def files_at_first(self) -> Iterator[_File]:
        """What a screen that waits for its first frame needs."""
        for part, file in self.files_to_read():
            if part.is_first or part.tier is Tier.HOT:
                yield file, self


_File = tuple[KeptFile[Any], _OpenSection]


class _Signal:
    """A file that is read every time, with those of its cgroup that do not change unless it does."""

    __slots__ = ("group", "hot", "inside", "is_blind", "owner", "part", "warm")

    def __init__(self, owner: CgroupReader) -> None:
        self.owner = owner
        self.part: Part | None = None
        """Which file it is; None where there is none."""
        self.hot: _File | None = None
        """The file itself."""
        self.warm: list[_File] = []
        self.is_blind = False
        """Whether there are files of which nothing tells that they have changed."""
        self.group: _Group | None = None
        """What it is looked at with."""
        self.inside = _Group([])
        """The same of the cgroups below: nothing changes there without changing here."""

    def look(self) -> bool:
        """Read ahead, and say whether there is anything new, or may be."""
        return self.is_blind if self.hot is None else self.hot[0].look()


class _Group:
    """Signals that are looked at together, those of files that are kept open at a stroke: the hottest loop of all."""

    __slots__ = ("_fds", "_kept", "_others", "_raws", "_turnover", "signals")

    def __init__(self, signals: list[_Signal]) -> None:
        self.signals = signals
        self._turnover = -1
        """That of the time when they were sorted out."""
        self._kept: list[tuple[_Signal, KeptFile[Any]]] = []
        self._fds: list[int] = []
        self._raws: Sequence[bytes | None] = []
        self._others: list[_Signal] = []

    def look(self, access: Access) -> list[_Signal]:
        """Return those in which there is anything new, or may be."""
        if self._turnover != access.turnover:
            self._sort_out(access)
        try:
            raws = list(map(os.pread, self._fds, repeat(SMALL_READ_BYTES), repeat(0)))
        except OSError:
            # One of them is gone; which one is found out one by one.
            self._turnover = -1
            return [signal for signal in self.signals if signal.look()]
        news = []
        for (signal, file), raw, old in zip(self._kept, raws, self._raws, strict=True):
            if raw != old:
                if len(raw) < SMALL_READ_BYTES:
                    file.put_ahead(raw)
                else:
                    file.look()
                news.append(signal)
        self._raws = raws
        return news + [signal for signal in self._others if signal.look()] if self._others else news

    def _sort_out(self, access: Access) -> None:
        self._kept, self._others = [], []
        for signal in self.signals:
            if signal.hot is not None and signal.hot[0].fd >= 0:
                self._kept.append((signal, signal.hot[0]))
            else:
                self._others.append(signal)
        self._fds = [file.fd for _, file in self._kept]
        self._raws = [file.raw for _, file in self._kept]
        self._turnover = access.turnover


class _Share(NamedTuple):
    """What a cgroup may keep open."""

    files: int
    """As many as that, in the order of `_rank`."""
    directories: frozenset[str]
    """Those of these hierarchies: their other files are opened by name."""


def _rank(part: Part) -> tuple[bool, Tier]:
    """Order files by how often they are read; what only stands in for another one is hardly ever."""
    return part.is_substitute, part.tier


def _share(hierarchies: Sequence[str], hot: int, count: int) -> _Share:
    """Divide ``count`` descriptors of a cgroup, given the hierarchies that its files are in, in the order of `_rank`.

    The hot files, of which there are ``hot``, come first. A directory is worth more than a file if two files or more
    of it are not kept themselves, and that with the most is worth the most.
    """
    files = min(count, len(hierarchies))
    while True:
        shared = [hierarchy for hierarchy, others in Counter(hierarchies[files:]).most_common() if others > 1]
        if files + len(shared) <= count or files <= hot:
            return _Share(files, frozenset(shared[: count - files]))
        files -= 1


def _roots(hierarchies: Hierarchies) -> dict[str, str]:
    """Return where each hierarchy is mounted."""
    return dict(hierarchies.v1) | ({V2: hierarchies.v2} if hierarchies.v2 is not None else {})


class CgroupReader:
    """One cgroup, its files kept open."""

    def __init__(
        self,
        path: CgroupPath,
        inode: int,
        hierarchies: Hierarchies,
        sections: Iterable[Section],
        access: Access,
        refresh_ns: int,
    ) -> None:
        """Read the cgroup ``path`` in each of the hierarchies; nothing is opened yet.

        All its files are read every ``refresh_ns`` at least.
        """
        below = path.rstrip("/")
        self._directories = {
            hierarchy: Directory(f"{root}{below}", access) for hierarchy, root in _roots(hierarchies).items()
        }

        def kept(part: Part) -> KeptFile[Any] | None:
            directory = self._directories.get(part.hierarchy)
            if directory is None:
                return None
            return KeptFile(f"{directory.path}/{part.name}", part.parse, access, directory)

        self.malformed: ParseError | None = None
        """The last file that was not in its documented form, as of the last reading."""
        self.due_ns = 0
        """When all files are to be read again, on the monotonic clock."""
        self.above: CgroupReader | None = None
        """The cgroup that this one is one of many in, and that counts what they do."""
        self._still_since_ns: int | None = None
        """When nothing had changed yet that all readings since have found unchanged."""
        self._seen_ns: int | None = None
        """When all files were last known to say what was read of them."""
        self.signals = {field: _Signal(self) for field in SIGNALS}
        self._refresh_ns = refresh_ns
        self._place_ns = int(inode * GOLDEN % 1.0 * refresh_ns)
        self._read_ns: int | None = None
        self._sample = CgroupSample(path, inode)
        self._values: dict[str, Any] = {}
        self._sections: list[_OpenSection] = []
        files: list[tuple[Part, KeptFile[Any]]] = []
        for section in sections:
            opened = [kept(part) for part in section.parts]
            files += [(part, file) for part, file in zip(section.parts, opened, strict=True) if file is not None]
            signal = self.signals.get(section.field, self.signals[SIGNALS[0]])
            self._sections.append(_OpenSection(section, opened, signal))
        self._broken: set[_OpenSection] = set()
        files.sort(key=lambda pair: _rank(pair[0]))
        self._files = [file for _, file in files]
        self._choose()

    def _choose(self) -> None:
        """Sort out how often each file is read: one that would tell of others and is not there is only looked for."""
        signals = self.signals.values()
        for signal in signals:
            signal.part, signal.hot, signal.warm = None, None, []
        self._cold: list[_File] = []
        self._own: list[_File] = []
        for section in self._sections:
            for part, file in section.files_to_read():
                if part.tier is Tier.HOT and file.value is not None:
                    section.signal.part, section.signal.hot = part, (file, section)
                else:
                    (section.signal.warm if part.tier is Tier.WARM else self._cold).append((file, section))
                if part.is_own or part.tier is Tier.COLD:
                    self._own.append((file, section))
        for signal in signals:
            signal.is_blind = signal.hot is None and any(file.value is not None for file, _ in signal.warm)

    @property
    def inode(self) -> int:
        """The inode of the cgroup that this is for."""
        return self._sample.inode

    @property
    def sample(self) -> CgroupSample:
        """What was read last."""
        return self._sample

    def keep(self, share: _Share) -> None:
        """Keep no more open than its share: of the files those that are read most often."""
        for at, file in enumerate(self._files):
            file.may_keep = at < share.files
            if not file.may_keep:
                file.close()
        for hierarchy, directory in self._directories.items():
            directory.may_keep = hierarchy in share.directories
            if not directory.may_keep:
                directory.close()

    def read(self, now_ns: int, signals: Iterable[_Signal]) -> set[_Signal]:
        """Bring ``sample`` up to date after a `look` at some of its signals, which have changed.

        Return those of which there is anything new now: there may be more of it. A file in a form that is not the
        documented one leaves its section None and is told by ``malformed``.
        """
        return self._read(now_ns, signals, [each for signal in signals for each in signal.warm])

    def read_all(self, now_ns: int) -> set[_Signal]:
        """Bring ``sample`` up to date with all files, or with those that the cgroup above cannot tell of."""
        if self._refresh_ns:
            # Each has its own place in the time between: those that came together are not due together again.
            self.due_ns = now_ns + self._refresh_ns - (now_ns - self._place_ns) % self._refresh_ns
        before_ns, self._seen_ns = self._seen_ns, now_ns
        if before_ns is not None and self.above is not None and self.above.has_been_still(before_ns):
            awake = self._read(now_ns, (), self._own)
        else:
            signals = self.signals.values()
            for signal in signals:
                signal.look()
            awake = self._read(now_ns, signals, [*(each for signal in signals for each in signal.warm), *self._cold])
        if awake:
            self._choose()
        return awake

    def has_been_still(self, since_ns: int) -> bool:
        """Whether nothing in it or below it, but for limits, has changed since then, as of the last reading."""
        return self._still_since_ns is not None and self._still_since_ns <= since_ns

    def glance(self, now_ns: int) -> set[_Signal]:
        """Read what is shown first, and leave all else to the next time."""
        chosen = [each for section in self._sections for each in section.files_at_first()]
        return self._read(now_ns, (), chosen)

    def _read(self, now_ns: int, signals: Iterable[_Signal], files: Iterable[_File]) -> set[_Signal]:
        hot = [signal.hot for signal in signals if signal.hot is not None]
        changed = self._take(hot + [each for each in files if each[0].look()])
        since_ns = self._sample.since_ns
        if self.signals[SIGNALS[0]] in signals:
            since_ns, self._read_ns = self._read_ns, now_ns
        if self._broken:
            self.due_ns = now_ns
        if changed or self._still_since_ns is None:
            self._still_since_ns = now_ns
        if changed:
            self._values.update({each.field: None if each in self._broken else each.value() for each in changed})
            self._sample = CgroupSample(self._sample.path, self._sample.inode, since_ns=since_ns, **self._values)
        return {section.signal for section in changed}

    def _take(self, files: Iterable[_File]) -> set[_OpenSection]:
        """Parse what is new; return the sections that are others than before."""
        changed, self._broken, self.malformed = self._broken, set(), None
        for file, section in files:
            try:
                if file.take():
                    changed.add(section)
            except ParseError as error:
                self._broken.add(section)
                self.malformed = error
        return (changed - self._broken) | {each for each in self._broken if self._values.get(each.field) is not None}

    def close(self) -> None:
        """Give all descriptors back."""
        for file in self._files:
            file.close()
        for directory in self._directories.values():
            directory.close()


class CgroupFs:
    """The cgroups of a host."""

    def __init__(
        self,
        hierarchies: Hierarchies,
        access: Access,
        detail: frozenset[str] | None = None,
        *,
        sys_root: str = "/sys",
        refresh_s: float = REFRESH_S,
    ) -> None:
        """Read from ``hierarchies``, keeping files open as far as ``access`` allows.

        With ``detail``, which names what of it is only for those who ask, `CgroupSample.detail` is read too. The sizes
        of huge pages are found below ``sys_root``. All files of each cgroup are read every ``refresh_s`` at least.
        """
        self.hierarchies = hierarchies
        self._access = access
        self._tree = CgroupTree(hierarchies.walked, access)
        self._budget = access.left
        sizes = read_hugepage_sizes(sys_root) if detail and HUGETLB in detail else ()
        self._sections = sections_of(hierarchies, detail, sizes)
        roots = _roots(hierarchies)
        parts = [part for section in self._sections for part in section.parts if part.hierarchy in roots]
        parts.sort(key=_rank)
        self._order = [part.hierarchy for part in parts]
        self._hot = sum(_rank(part) == (False, Tier.HOT) for part in parts)
        self._share = _Share(0, frozenset())
        self._refresh_ns = int(refresh_s * 1e9)
        memory = hierarchies.v1.get("memory")
        # Before Linux 5.11 a cgroup's memory could leave out what was below it.
        self._is_memory_inclusive = memory is None or access.read(f"{memory}/memory.use_hierarchy") in {None, b"1\n"}
        self._found: Mapping[CgroupPath, int] = {}
        self._readers: dict[CgroupPath, CgroupReader] = {}
        self._due: list[tuple[int, int, CgroupReader]] = []
        """A heap by time; the numbers between tell apart what is due at once."""
        self._numbers = count()
        self._crowded: list[CgroupReader] = []
        """Those that many are directly in: all their files are read each time."""
        self._awake: set[_Signal] = set()
        """Those in which there was anything new the last time: then there may be more."""
        self._outermost: _Group | None = None
        """Those that no other one tells of; None if they have to be found anew."""
        self._wanted: Mapping[CgroupPath, int] = {}
        self._samples: dict[CgroupPath, CgroupSample] = {}
        self.tiers: tuple[TierSample, ...] = ()
        """How the last reading went, by tier."""

    def find(self, now_ns: int) -> dict[CgroupPath, int]:
        """Return all cgroups, path to inode, as `CgroupTree.find` does."""
        found = self._tree.find(now_ns)
        self._found = found
        return found

    def read(
        self, wanted: Mapping[CgroupPath, int], now_ns: int, *, is_glance: bool = False
    ) -> tuple[dict[CgroupPath, CgroupSample], ParseError | None]:
        """Read the wanted cgroups, path to inode; return their samples and the first file not understood.

        The same mapping as the last time if nothing has changed. ``now_ns`` is on the monotonic clock. At a glance, of
        those not read before no more is read than is shown first.
        """
        if wanted != self._wanted:
            self._settle(wanted)
        begun_ns = perf_counter_ns()
        due = self._take_due(now_ns)
        looked, changed = self._look()
        for reader in due:
            changed.pop(reader, None)
        looked_ns = perf_counter_ns()
        self._awake = set().union(*[reader.read(now_ns, signals) for reader, signals in changed.items()])
        read_ns = perf_counter_ns()
        for reader in due:
            self._awake |= reader.glance(now_ns) if is_glance else self._read_all(reader, now_ns)
            if reader not in self._crowded:
                heappush(self._due, (reader.due_ns, next(self._numbers), reader))
        ended_ns = perf_counter_ns()
        self.tiers = (
            TierSample("hot", (looked_ns - begun_ns) / 1e9, looked),
            TierSample("warm", (read_ns - looked_ns) / 1e9, len(changed)),
            TierSample("cold", (ended_ns - read_ns) / 1e9, len(due)),
        )
        if self._awake or not self._samples:
            self._samples = {path: self._readers[path].sample for path in wanted}
        # Who has a malformed file is due each time.
        return self._samples, next((each.malformed for each in (*changed, *due) if each.malformed), None)

    def _take_due(self, now_ns: int) -> list[CgroupReader]:
        """Take what is due, those first that tell of others."""
        due = list(self._crowded)
        while self._due and self._due[0][0] <= now_ns:
            due.append(heappop(self._due)[2])
        return due

    def _look(self) -> tuple[int, dict[CgroupReader, list[_Signal]]]:
        """Look at what is read every time; return how many cgroups were, and what has changed in which."""
        if self._outermost is None:
            self._outermost = self._link()
        changed: dict[CgroupReader, list[_Signal]] = {}
        for signal in self._awake:
            changed.setdefault(signal.owner, []).append(signal)
        looked: set[_Group] = set()
        left = [self._outermost]
        while left:
            group = left.pop()
            looked.add(group)
            for signal in group.look(self._access):
                if signal not in self._awake:
                    changed.setdefault(signal.owner, []).append(signal)
                if signal.inside.signals:
                    left.append(signal.inside)
        for signal in self._awake:
            # Periods of its limit can end after all around it has come to rest.
            if signal.group not in looked:
                signal.look()
        return sum(len(group.signals) for group in looked), changed

    def _read_all(self, reader: CgroupReader, now_ns: int) -> set[_Signal]:
        before = [signal.part for signal in reader.signals.values()]
        awake = reader.read_all(now_ns)
        if before != [signal.part for signal in reader.signals.values()]:
            self._outermost = None
        return awake

    def _link(self) -> _Group:
        """Put what tells of changes below the same of the nearest cgroup above; return what is below none."""
        outermost = _Group([])
        for reader in self._readers.values():
            for signal in reader.signals.values():
                signal.inside = _Group([])
        for path, reader in self._readers.items():
            owners = set()
            for field, signal in reader.signals.items():
                above = self._above(path, field, signal.part)
                signal.group = outermost if above is None else above.inside
                signal.group.signals.append(signal)
                owners.add(None if above is None else above.owner)
            owner = owners.pop() if len(owners) == 1 else None
            reader.above = owner if owner in self._crowded else None
        return outermost

    def _above(self, path: CgroupPath, field: str, part: Part | None) -> _Signal | None:
        """Find the nearest cgroup above that counts what this one does, in the same file of the same hierarchy."""
        if part is None or (part.hierarchy == "memory" and not self._is_memory_inclusive):
            return None
        while path != ROOT:
            path = CgroupPath(path.rpartition("/")[0] or ROOT)
            reader = self._readers.get(path)
            if reader is not None and reader.signals[field].part is part:
                return reader.signals[field]
        return None

    def _settle(self, wanted: Mapping[CgroupPath, int]) -> None:
        """Have a reader for each that is wanted and what tells of them, none for others, even under an old path."""
        parents = Counter(path.rpartition("/")[0] or ROOT for path in wanted)
        crowded = [CgroupPath(path) for path, number in parents.items() if number >= MANY]
        needed = {path: self._found[path] for path in crowded if path in self._found} | dict(wanted)
        for path in [path for path, reader in self._readers.items() if needed.get(path) != reader.inode]:
            self._readers.pop(path).close()
        share = _share(self._order, self._hot, self._budget // max(len(needed), 1))
        if share != self._share:
            self._share = share
            for reader in self._readers.values():
                reader.keep(share)
        for path, inode in needed.items():
            if path not in self._readers:
                reader = CgroupReader(path, inode, self.hierarchies, self._sections, self._access, self._refresh_ns)
                reader.keep(share)
                self._readers[path] = reader
        self._crowded = [self._readers[path] for path in crowded if path in self._readers]
        self._due = [
            (reader.due_ns, next(self._numbers), reader)
            for reader in self._readers.values()
            if reader not in self._crowded
        ]
        heapify(self._due)
        followed = set(self._readers.values())
        self._awake = {signal for signal in self._awake if signal.owner in followed}
        self._outermost = None
        self._wanted = wanted
        self._samples = {}

    def processes(self, path: CgroupPath) -> list[int]:
        """Return the pids in one cgroup, its descendants' left out; as many as the kernel hands out in one go."""
        for directory in self.hierarchies.walked:
            if raw := self._access.read(f"{directory}{path}/cgroup.procs"):
                return [pid for pid in map(int, raw.split()) if pid > 0]
        return []

    def close(self) -> None:
        """Give all descriptors back."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._due.clear()
        self._crowded.clear()
        self._awake.clear()
        self._outermost = None
        self._wanted = {}
        self._tree.close()
