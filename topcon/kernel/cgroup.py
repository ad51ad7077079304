"""Cgroups: which there are, and what their files say, on version 2, version 1 and hosts that mix them.

Most of a host's cgroups do nothing most of the time, and what has done nothing has not changed: ``cpu.stat`` and the
current memory are read every time, the rest only of a cgroup that has done something, and of each now and then.
"""

from __future__ import annotations

from collections import Counter
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.cgroup_files import HUGETLB, V2, Tier, sections_of
from topcon.kernel.discovery import CgroupTree
from topcon.kernel.files import Directory, KeptFile
from topcon.kernel.topology import read_hugepage_sizes
from topcon.model.sample import CgroupPath, CgroupSample, TierSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from topcon.kernel.cgroup_files import Part, Section
    from topcon.kernel.files import Access
    from topcon.kernel.mount import Hierarchies

REFRESH_S = 9.0
"""Whatever a cgroup has done, all its files are read this often: with a tick a second, nothing is older than 10 s."""
GOLDEN = 0.6180339887498949
"""Multiples of it leave no gaps, however many there are."""


class _OpenSection:
    """A section of one cgroup: its files, and how their values are put together."""

    __slots__ = ("_build", "field", "files", "parts")

    def __init__(self, section: Section, files: list[KeptFile[Any] | None]) -> None:
        self.field = section.field
        self.parts = section.parts
        self.files = files
        self._build = section.build

    def value(self) -> Any:  # noqa: ANN401  whatever the section is of
        """Put together what was read last; None if nothing was."""
        values = [None if file is None else file.value for file in self.files]
        if self._build is None:
            return values[0]
        return None if values.count(None) == len(values) else self._build(*values)

    def files_to_read(self) -> Iterator[tuple[Tier, KeptFile[Any]]]:
        """Leave out what is not there, and what stands in for a first file that is."""
        first = self.files[0]
        has_first = first is not None and first.value is not None
        for part, file in zip(self.parts, self.files, strict=True):
            if file is not None and not (part.is_substitute and has_first):
                yield part.tier, file


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
        self.is_awake = True
        """Whether there was anything new the last time: then there may be more."""
        self.due_ns = 0
        """When all files are to be read again, on the monotonic clock."""
        self._refresh_ns = refresh_ns
        self._read_ns: int | None = None
        self._sample = CgroupSample(path, inode)
        self._values: dict[str, Any] = {}
        self._sections: list[_OpenSection] = []
        files: list[tuple[Part, KeptFile[Any]]] = []
        for section in sections:
            opened = [kept(part) for part in section.parts]
            files += [(part, file) for part, file in zip(section.parts, opened, strict=True) if file is not None]
            self._sections.append(_OpenSection(section, opened))
        self._broken: set[_OpenSection] = set()
        files.sort(key=lambda pair: _rank(pair[0]))
        self._files = [file for _, file in files]
        self._choose()

    def _choose(self) -> None:
        """Sort out how often each file is read."""
        chosen = [(tier, file, section) for section in self._sections for tier, file in section.files_to_read()]
        self._hot = [(file, section) for tier, file, section in chosen if tier is Tier.HOT]
        self._warm = [(file, section) for tier, file, section in chosen if tier is Tier.WARM]
        self._cold = [(file, section) for tier, file, section in chosen if tier is Tier.COLD]

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

    def look(self) -> bool:
        """Read ahead what is read every time, and say whether there is anything new in it."""
        is_new = False
        for file, _ in self._hot:
            if file.look():
                is_new = True
        return is_new

    def read(self, now_ns: int) -> bool:
        """Bring ``sample`` up to date after a `look`; return whether it is another one now.

        A file in a form that is not the documented one leaves its section None and is told by ``malformed``.
        """
        is_due = now_ns >= self.due_ns
        files = self._warm + self._cold if is_due else self._warm
        changed = self._take(self._hot + [each for each in files if each[0].look()])
        since_ns, self._read_ns = self._read_ns, now_ns
        if is_due:
            # Those that came together are not due together again.
            share = 1.0 if since_ns is not None else self.inode * GOLDEN % 1.0
            self.due_ns = now_ns + int(self._refresh_ns * share)
        if self._broken:
            self.due_ns = now_ns
        # What began to wait has run before, but tells of its waiting only later: so it is read once more.
        self.is_awake = bool(changed)
        if not changed:
            return False
        self._values.update({each.field: None if each in self._broken else each.value() for each in changed})
        if is_due:
            self._choose()
        self._sample = CgroupSample(self._sample.path, self._sample.inode, since_ns=since_ns, **self._values)
        return True

    def _take(self, files: Iterable[tuple[KeptFile[Any], _OpenSection]]) -> set[_OpenSection]:
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
        self._readers: dict[CgroupPath, CgroupReader] = {}
        self._wanted: Mapping[CgroupPath, int] = {}
        self._samples: dict[CgroupPath, CgroupSample] = {}
        self.tiers: tuple[TierSample, ...] = ()
        """How the last reading went, by tier."""

    def find(self, now_ns: int) -> dict[CgroupPath, int]:
        """Return all cgroups, path to inode, as `CgroupTree.find` does."""
        return self._tree.find(now_ns)

    def read(
        self, wanted: Mapping[CgroupPath, int], now_ns: int
    ) -> tuple[dict[CgroupPath, CgroupSample], ParseError | None]:
        """Read the wanted cgroups, path to inode; return their samples and the first file not understood.

        The same mapping as the last time if nothing has changed. ``now_ns`` is on the monotonic clock.
        """
        if wanted != self._wanted:
            self._settle(wanted)
        begun_ns = perf_counter_ns()
        changed, due = [], []
        for reader in self._readers.values():
            is_new = reader.look()
            if now_ns >= reader.due_ns:
                due.append(reader)
            elif is_new or reader.is_awake:
                changed.append(reader)
        looked_ns = perf_counter_ns()
        others = [reader for reader in changed if reader.read(now_ns)]
        read_ns = perf_counter_ns()
        others += [reader for reader in due if reader.read(now_ns)]
        ended_ns = perf_counter_ns()
        self.tiers = (
            TierSample("hot", (looked_ns - begun_ns) / 1e9, len(self._readers)),
            TierSample("warm", (read_ns - looked_ns) / 1e9, len(changed)),
            TierSample("cold", (ended_ns - read_ns) / 1e9, len(due)),
        )
        if others or not self._samples:
            self._samples = {path: reader.sample for path, reader in self._readers.items()}
        # Who has a malformed file is due each time.
        return self._samples, next((reader.malformed for reader in (*changed, *due) if reader.malformed), None)

    def _settle(self, wanted: Mapping[CgroupPath, int]) -> None:
        """Have a reader for each that is wanted, and none for others, even under an old path."""
        for path in [path for path, reader in self._readers.items() if wanted.get(path) != reader.inode]:
            self._readers.pop(path).close()
        share = _share(self._order, self._hot, self._budget // max(len(wanted), 1))
        if share != self._share:
            self._share = share
            for reader in self._readers.values():
                reader.keep(share)
        for path, inode in wanted.items():
            if path not in self._readers:
                reader = CgroupReader(path, inode, self.hierarchies, self._sections, self._access, self._refresh_ns)
                reader.keep(share)
                self._readers[path] = reader
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
        self._wanted = {}
        self._tree.close()
