"""Cgroups: which there are, and what their files say, on version 2, version 1 and hosts that mix them.

Most of a host's cgroups do nothing most of the time, and what has done nothing has not changed: ``cpu.stat`` and the
current memory are read every time, the rest only of a cgroup that has done something, and of each now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError
from topcon.kernel.cgroup_files import HUGETLB, V2, Tier, sections_of
from topcon.kernel.discovery import CgroupTree
from topcon.kernel.files import KeptFile
from topcon.kernel.topology import read_hugepage_sizes
from topcon.model.sample import CgroupPath, CgroupSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.kernel.cgroup_files import Part, Section
    from topcon.kernel.files import Access
    from topcon.kernel.mount import Hierarchies

REFRESH_S = 9.0
"""Whatever a cgroup has done, all its files are read this often: with a tick a second, nothing is older than 10 s."""
GOLDEN = 0.6180339887498949
"""Multiples of it leave no gaps, however many there are."""
_NEVER = object()
"""A value that no file has."""


class _OpenSection:
    """A section of one cgroup: its files, their last values and what was built of them."""

    __slots__ = ("_build", "_files", "_values", "field", "value")

    def __init__(self, section: Section, files: list[KeptFile[Any] | None]) -> None:
        self.field = section.field
        self.value: Any = None
        self._build = section.build
        self._files = [
            (file, part.tier is Tier.COLD, part.is_substitute) for file, part in zip(files, section.parts, strict=True)
        ]
        self._values: list[Any] = [None] * len(files)

    def read(self, *, is_due: bool) -> bool:
        """Bring ``value`` up to date, from cold files only if that ``is_due``; return whether it is another one now."""
        old = self._values
        values: list[Any] = []
        is_same = True
        for at, (file, is_cold, is_substitute) in enumerate(self._files):
            if file is None or (is_substitute and values[0] is not None):
                value = None
            elif is_cold and not is_due and old[at] is not _NEVER:
                value = old[at]
            else:
                value = file.read()
            is_same = is_same and value is old[at]
            values.append(value)
        if is_same:
            return False
        self._values = values
        if self._build is None:
            self.value = values[0]
        else:
            self.value = None if all(value is None for value in values) else self._build(*values)
        return True

    def forget(self) -> bool:
        """Drop the value, and build it anew as soon as it can be; return whether there was one."""
        before, self.value = self.value, None
        self._values = [_NEVER] * len(self._files)
        return before is not None


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
        directories = dict(hierarchies.v1)
        if hierarchies.v2 is not None:
            directories[V2] = hierarchies.v2

        def kept(part: Part) -> KeptFile[Any] | None:
            directory = directories.get(part.hierarchy)
            if directory is None:
                return None
            return KeptFile(f"{directory}{path.rstrip('/')}/{part.name}", part.parse, access)

        self.malformed: ParseError | None = None
        self._refresh_ns = refresh_ns
        self._due_ns = 0
        self._sample = CgroupSample(path, inode)
        self._sections: list[_OpenSection] = []
        files: list[tuple[Part, KeptFile[Any]]] = []
        for section in sections:
            opened = [kept(part) for part in section.parts]
            files += [(part, file) for part, file in zip(section.parts, opened, strict=True) if file is not None]
            self._sections.append(_OpenSection(section, opened))
        files.sort(key=lambda pair: pair[0].tier)
        self._files = [file for _, file in files]
        self._hot = [file for part, file in files if part.tier is Tier.HOT and not part.is_substitute]
        self._substitute = next((file for part, file in files if part.tier is Tier.HOT and part.is_substitute), None)
        self._is_awake = True
        self._read_ns: int | None = None

    @property
    def inode(self) -> int:
        """The inode of the cgroup that this is for."""
        return self._sample.inode

    @property
    def sample(self) -> CgroupSample:
        """What was read last."""
        return self._sample

    def keep(self, count: int) -> None:
        """Keep no more than ``count`` files open, those that are read most often."""
        for at, file in enumerate(self._files):
            file.may_keep = at < count
            if at >= count:
                file.close()

    def read(self, now_ns: int) -> bool:
        """Bring ``sample`` up to date; return whether it is another one now.

        A file in a form that is not the documented one leaves its section None and is told by ``malformed``.
        """
        is_due = now_ns >= self._due_ns
        has_changed = False
        for file in self._hot:
            if file.look():
                has_changed = True
        if not (has_changed or self._is_awake or is_due):
            return False
        return self._read(now_ns, is_due=is_due)

    def _read(self, now_ns: int, *, is_due: bool) -> bool:
        has_changed = False
        self.malformed = None
        for section in self._sections:
            try:
                has_changed |= section.read(is_due=is_due)
            except ParseError as error:
                self.malformed = error
                has_changed |= section.forget()
        # What began to wait has run before, but tells of its waiting only later: so it is read once more.
        self._is_awake = has_changed
        since_ns, self._read_ns = self._read_ns, now_ns
        if is_due:
            # Those that came together are not due together again.
            share = 1.0 if since_ns is not None else self.inode * GOLDEN % 1.0
            self._due_ns = now_ns + int(self._refresh_ns * share)
        if has_changed:
            sections = {section.field: section.value for section in self._sections}
            self._sample = CgroupSample(self._sample.path, self._sample.inode, since_ns=since_ns, **sections)
        return has_changed

    def close(self) -> None:
        """Give all descriptors back."""
        for file in self._files:
            file.close()


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
        self._keep = 0
        sizes = read_hugepage_sizes(sys_root) if detail and HUGETLB in detail else ()
        self._sections = sections_of(hierarchies, detail, sizes)
        self._refresh_ns = int(refresh_s * 1e9)
        self._readers: dict[CgroupPath, CgroupReader] = {}
        self._wanted: Mapping[CgroupPath, int] = {}
        self._samples: dict[CgroupPath, CgroupSample] = {}

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
        malformed: ParseError | None = None
        has_changed = not self._samples
        for reader in self._readers.values():
            if reader.read(now_ns):
                has_changed = True
            if reader.malformed is not None:
                malformed = malformed or reader.malformed
        if has_changed:
            self._samples = {path: reader.sample for path, reader in self._readers.items()}
        return self._samples, malformed

    def _settle(self, wanted: Mapping[CgroupPath, int]) -> None:
        """Have a reader for each that is wanted, and none for others, even under an old path."""
        for path in [path for path, reader in self._readers.items() if wanted.get(path) != reader.inode]:
            self._readers.pop(path).close()
        keep = self._budget // max(len(wanted), 1)
        if keep != self._keep:
            self._keep = keep
            for reader in self._readers.values():
                reader.keep(keep)
        for path, inode in wanted.items():
            if path not in self._readers:
                reader = CgroupReader(path, inode, self.hierarchies, self._sections, self._access, self._refresh_ns)
                reader.keep(keep)
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
