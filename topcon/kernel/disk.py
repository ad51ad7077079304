"""The host's file systems, and what containers have written into their own layers of them.

Kernel documents: proc_pid_mountinfo(5), statvfs(3), https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import heapq
import math
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import Access, read_small
from topcon.kernel.host import parse_partitions
from topcon.kernel.mount import is_below, parse_mountinfo, unescape
from topcon.model.sample import FilesystemStat, LayerStat

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from topcon.kernel.mount import Mount
    from topcon.kernel.target import Target
    from topcon.model.sample import CgroupPath, Device

DUTY = 0.02
"""Share of the time that may go into walking through layers."""
MOST_CREDIT_S = 0.5
"""Of walking in one go, however long nobody walked."""
AGAIN_S = 60.0
"""A layer is walked through at most so often."""
MOST_ENTRIES = 1_000_000
"""A layer of more is not measured."""
PIECE_ENTRIES = 1000
"""A walk goes on for so long before the time is looked at."""
BLOCK_BYTES = 512
"""What ``st_blocks`` counts, whatever the file system's own blocks are."""

_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_UPPER = "upperdir="


@dataclass(frozen=True, slots=True)
class Layer:
    """A directory that a container writes to, as far as it was walked through."""

    used_bytes: int
    used_inodes: int


def disk_mounts(mounts: Iterable[Mount]) -> list[Mount]:
    """Choose the mounts whose source is below ``/dev``."""
    return [mount for mount in mounts if mount.source.startswith("/dev/")]


def upper_directory(mounts: Iterable[Mount]) -> str | None:
    """Return where the overlay on ``/`` keeps what is written to it; None if there is no such overlay.

    Its line in mountinfo::

        500 499 0:60 / / rw - overlay overlay rw,lowerdir=/o/1/fs,upperdir=/o/2/fs,workdir=/o/2/work
    """
    roots = [mount for mount in mounts if mount.point == "/"]
    # A later line is mounted over an earlier one.
    if not roots or roots[-1].fstype != "overlay":
        return None
    upper = next((each.removeprefix(_UPPER) for each in roots[-1].options if each.startswith(_UPPER)), "")
    # One that is not absolute is below a directory that only the runtime knew.
    return unescape(upper) if upper.startswith("/") else None


class _TooMuch(Exception):
    """A layer of more than `MOST_ENTRIES`."""


class Total:
    """What a walk has added up so far."""

    def __init__(
        self,
        top: os.stat_result,
        *,
        biggest: int = 0,
        elsewhere: AbstractSet[int] = frozenset(),
        mount_id: int | None = None,
        is_lenient: bool = False,
    ) -> None:
        """Begin with the directory that is walked through, as fstat(2) has it.

        So many of the ``biggest`` files are kept. Directories whose inodes are ``elsewhere`` are left out. With a
        ``mount_id``, so is what is mounted from the same file system. If ``is_lenient``, what may not be read is left
        out too, and noted in ``missed``.
        """
        self.device = top.st_dev
        self.used_bytes = top.st_blocks * BLOCK_BYTES
        self.used_inodes = 1
        self.entries = 0
        """What was looked at."""
        self.missed: str | None = None
        """The first path that was refused, from the directory on."""
        self.names: list[str] = []
        """The way from the directory to where the walk is."""
        self.is_lenient = is_lenient
        self._most_kept = biggest
        self._kept: list[tuple[int, str]] = []
        """A heap."""
        self._elsewhere = elsewhere
        self._mount_id = mount_id
        self._linked: set[int] = set()
        """Inodes that have several names."""

    @property
    def biggest(self) -> list[tuple[str, int]]:
        """The biggest files, by path, and the bytes of each."""
        return [(path, size) for size, path in sorted(self._kept, reverse=True)]

    def miss(self, name: str) -> None:
        """Note that something may not be read."""
        if self.missed is None:
            self.missed = self._path(name)

    def may_enter(self, directory: int) -> bool:
        """Whether an open directory is of the mount that is walked through."""
        return self._mount_id is None or mount_id_of(directory) == self._mount_id

    def _path(self, name: str) -> str:
        return "/".join((*self.names, name))

    def _keep(self, size: int, name: str) -> None:
        if len(self._kept) < self._most_kept:
            heapq.heappush(self._kept, (size, self._path(name)))
        elif self._kept and size > self._kept[0][0]:
            heapq.heapreplace(self._kept, (size, self._path(name)))

    def add(self, directory: int) -> Generator[None, None, list[str]]:
        """Add what is in a directory, and return the names of the directories in it; yield after each piece."""
        names = []
        with os.scandir(directory) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > MOST_ENTRIES:
                    raise _TooMuch
                if self.entries % PIECE_ENTRIES == 0:
                    yield
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except PermissionError:
                    if not self.is_lenient:
                        raise
                    self.miss(entry.name)
                    continue
                is_directory = stat.S_ISDIR(status.st_mode)
                if self._is_new(status, is_directory=is_directory):
                    size = status.st_blocks * BLOCK_BYTES
                    self.used_bytes += size
                    self.used_inodes += 1
                    if is_directory:
                        names.append(entry.name)
                    elif self._most_kept:
                        self._keep(size, entry.name)
        return names

    def _is_new(self, status: os.stat_result, *, is_directory: bool) -> bool:
        if status.st_dev != self.device or status.st_ino in self._linked:
            return False
        if is_directory and status.st_ino in self._elsewhere:
            return False
        if status.st_nlink > 1 and not is_directory:
            self._linked.add(status.st_ino)
        return True


def walk(top: int, total: Total | None = None) -> Generator[None, None, Layer | None]:
    """Add up what is in the directory that ``top`` is open on, and close it; it yields after each piece of work.

    With a ``total`` it can be seen how far it has got.

    Who writes there can change it meanwhile, and may be hostile. So no path is ever put together: from one directory to
    the next it goes through descriptors, of which it holds three whatever the depth, never through a symbolic link, and
    back up only if that is where it came from. Files of several names count once, other file systems not at all.

    Returns:
        None if there is too much, if something may not be read, or if it was moved about.
    """
    here = top
    try:
        total = total or Total(os.fstat(here))
        above = [(_identity(here), (yield from total.add(here)))]
        while above:
            _, names = above[-1]
            if names:
                below = _enter(here, name := names.pop(), total)
                if below is None:
                    continue
                total.names.append(name)
                os.close(here)
                here = below
                above.append((_identity(here), (yield from total.add(here))))
                continue
            above.pop()
            if above:
                total.names.pop()
                back = os.open("..", _DIRECTORY, dir_fd=here)
                os.close(here)
                here = back
                if _identity(here) != above[-1][0]:
                    return None
        return Layer(total.used_bytes, total.used_inodes)
    except (OSError, _TooMuch):
        # Refused, or on a disk that is broken or gone: a sum of a part is worse than none.
        return None
    finally:
        os.close(here)


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def mount_id_of(fd: int) -> int | None:
    """Return the number of the mount that a descriptor is of (proc_pid_fdinfo(5)); None where it is not told."""
    try:
        raw = read_small(f"/proc/self/fdinfo/{fd}") or b""
    except OSError:
        return None
    _, _, rest = raw.partition(b"mnt_id:")
    number = rest.split(None, 1)[:1]
    return int(number[0]) if number and number[0].isdigit() else None


def opened(path: str, flags: int, mount_id: int | None, access: Access) -> int | None:
    """Open a path; None if it is not there, not what the flags say, refused, or of another mount than that one.

    What is refused is noted in ``access``.
    """
    try:
        fd = os.open(path, flags)
    except OSError as error:
        # Whatever else is wrong with it, as with a disk that is gone: it cannot be counted.
        if isinstance(error, PermissionError):
            access.note(error, path)
        return None
    if mount_id is None or mount_id_of(fd) in {None, mount_id}:
        return fd
    os.close(fd)
    return None


def room_of(path: str, flags: int, mount_id: int, access: Access) -> os.statvfs_result | None:
    """Ask how full the file system at a path is that `opened` opens; None if it opens none, or if that cannot tell."""
    fd = opened(path, flags, mount_id, access)
    if fd is None:
        return None
    try:
        return os.fstatvfs(fd)
    except OSError:
        # A device that is gone.
        return None
    finally:
        os.close(fd)


def _enter(directory: int, name: str, total: Total) -> int | None:
    """Open a directory in another one; None if it is not to be walked through."""
    try:
        below = _open_below(directory, name, total.device)
    except PermissionError:
        if not total.is_lenient:
            raise
        total.miss(name)
        return None
    if below is not None and not total.may_enter(below):
        os.close(below)
        return None
    return below


def _open_below(directory: int, name: str, device: int) -> int | None:
    """Open a directory in another one; None if it is no longer there, or something else is there now."""
    try:
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if _identity(fd)[0] != device:
        os.close(fd)
        return None
    return fd


@dataclass(slots=True)
class _Walk:
    """A walk under way."""

    path: CgroupPath
    going: Generator[None, None, Layer | None]
    device: str
    room: os.statvfs_result


class Disks:
    """Reads the host's file systems, and walks through containers' layers little by little."""

    def __init__(
        self,
        proc_root: str,
        host_root: str,
        breathe: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        duty: float = DUTY,
    ) -> None:
        """Read the host whose ``/proc`` and root directory these are.

        ``breathe`` is called now and then, to let other threads have their turn; ``clock`` gives seconds. ``duty`` is
        the share of the time that may go into walking.
        """
        self._duty = duty
        self._proc_root = proc_root
        self._host_root = host_root
        self._breathe = breathe
        self._clock = clock
        self._access = Access()
        self._raw = (b"", b"")
        self._mounts: list[Mount] = []
        self._host_upper: str | None = None
        self._partitions: Mapping[Device, str] = {}
        self._begun: dict[CgroupPath, float] = {}
        self._layers: dict[CgroupPath, LayerStat] = {}
        self._walk: _Walk | None = None
        self._credit_s = 0.0
        self._credited_at: float | None = None

    def filesystems(self) -> dict[str, FilesystemStat]:
        """Read the file systems that are on block devices, each device once: by device, such as ``/dev/sda1``.

        Raises:
            ParseError: a file is not in its documented form.
        """
        return {
            name: FilesystemStat(
                size_bytes=room.f_blocks * room.f_frsize,
                used_bytes=(room.f_blocks - room.f_bfree) * room.f_frsize,
                inodes=room.f_files,
                inodes_free=room.f_ffree,
            )
            for name, (_, room) in self.rooms().items()
        }

    def rooms(self) -> dict[str, tuple[Mount, os.statvfs_result]]:
        """Look at the same file systems: the mount that shows the most of each, and what room it has.

        Raises:
            ParseError: a file is not in its documented form.
        """
        self._read_mounts()
        points: dict[str, Mount] = {}
        for mount in self._mounts:
            name = self._name(mount)
            if name is not None and (name not in points or len(mount.point) < len(points[name].point)):
                points[name] = mount
        return {name: (mount, room) for name, mount in points.items() if (room := self._room(mount)) is not None}

    def _read_mounts(self) -> None:
        paths = f"{self._proc_root}/1/mountinfo", f"{self._proc_root}/partitions"
        mounts, partitions = (self._access.read(path) or b"" for path in paths)
        if (mounts, partitions) != self._raw:
            parsed = parse_mountinfo(mounts, paths[0])
            self._mounts, self._host_upper = disk_mounts(parsed), upper_directory(parsed)
            self._partitions = parse_partitions(partitions, paths[1])
            self._raw = mounts, partitions

    def _name(self, mount: Mount) -> str | None:
        """Return the device that a file system is on; None if that is no block device."""
        partition = self._partitions.get(mount.device)
        if mount.source == "/dev/root":
            # Where the boot loader gave the kernel no other name.
            return f"/dev/{partition}" if partition else None
        is_block = partition is not None or mount.source.removeprefix("/dev/") in self._partitions.values()
        return mount.source if is_block else None

    def _room(self, mount: Mount) -> os.statvfs_result | None:
        point = f"{self._host_root}{mount.point}"
        try:
            device = os.stat(point).st_dev  # noqa: PTH116  its neighbour has no such form
            room = os.statvfs(point)
        except OSError:
            # Refused, or a device that is gone.
            return None
        if mount.device[0] and (os.major(device), os.minor(device)) != mount.device:
            # Something else is mounted over it.
            return None
        return room

    def layers(self, targets: Sequence[Target]) -> tuple[dict[CgroupPath, LayerStat], list[ParseError]]:
        """Walk on through the layers of the containers; return what is known of them, and what was not understood.

        Those of containers within containers are left out: only there is known what their paths mean. So are those of
        containers that are gone.
        """
        pids = {
            target.path: target.pid
            for target in targets
            if target.is_container and not target.is_nested and target.pid is not None
        }
        self._begun = {path: begun for path, begun in self._begun.items() if path in pids}
        self._layers = {path: layer for path, layer in self._layers.items() if path in pids}
        if self._walk and self._walk.path not in pids:
            self.close()
        malformed = self._go_on(pids)
        return self._layers.copy(), malformed

    def close(self) -> None:
        """Leave the layer that is being walked through."""
        if self._walk:
            self._walk.going.close()
            self._walk = None

    def _go_on(self, pids: Mapping[CgroupPath, int]) -> list[ParseError]:
        """Walk for as long as the duty allows, but at least one step, so that it comes to an end some day."""
        malformed = []
        now = self._clock()
        since = 0.0 if self._credited_at is None else now - self._credited_at
        self._credited_at = now
        self._credit_s = min(self._credit_s + since * self._duty, MOST_CREDIT_S)
        due = [path for path in pids if path not in self._begun or now - self._begun[path] >= AGAIN_S]
        # The one that waits longest is the last.
        due.sort(key=lambda path: -self._begun.get(path, -math.inf))
        while self._walk or due:
            begun = self._clock()
            try:
                self._step(self._walk or self._begin(path := due.pop(), pids[path], now))
            except ParseError as error:
                malformed.append(error)
            self._credit_s -= self._clock() - begun
            if self._credit_s <= 0:
                break
            self._breathe()
        return malformed

    def _begin(self, path: CgroupPath, pid: int, now: float) -> _Walk | None:
        self._begun[path] = now
        mountinfo = f"{self._proc_root}/{pid}/mountinfo"
        upper = upper_directory(parse_mountinfo(self._access.read(mountinfo) or b"", mountinfo))
        if upper == self._host_upper:
            # Its root is the host's, which is an overlay on systems that live on a medium.
            upper = None
        try:
            fd = os.open(f"{self._host_root}{upper}", _DIRECTORY | os.O_NOFOLLOW) if upper else None
        except OSError:
            # Not for us, or not what it was any more.
            fd = None
        device = None if fd is None or upper is None else self.device_of(fd, upper)
        if fd is None or device is None:
            self._layers.pop(path, None)
            if fd is not None:
                os.close(fd)
            return None
        return _Walk(path, walk(fd), device, os.fstatvfs(fd))

    def device_of(self, fd: int, path: str) -> str | None:
        """Return the device that an open directory is on; where its number says nothing, its path does."""
        number = os.fstat(fd).st_dev
        device = os.major(number), os.minor(number)
        named = [name for mount in self._mounts if mount.device == device and (name := self._name(mount))]
        if named:
            return named[0]
        if device in self._partitions:
            return f"/dev/{self._partitions[device]}"
        if device[0]:
            return None
        around = [mount for mount in self._mounts if not mount.device[0] and is_below(path, mount.point)]
        return self._name(max(around, key=lambda mount: len(mount.point))) if around else None

    def _step(self, going: _Walk | None) -> None:
        self._walk = going
        if going is None:
            return
        try:
            next(going.going)
        except StopIteration as end:
            self._walk = None
            layer: Layer | None = end.value
            if layer is None:
                self._layers.pop(going.path, None)
            else:
                self._layers[going.path] = LayerStat(
                    device=going.device,
                    used_bytes=layer.used_bytes,
                    used_inodes=layer.used_inodes,
                    limit_bytes=going.room.f_blocks * going.room.f_frsize,
                    inodes=going.room.f_files,
                    inodes_free=going.room.f_ffree,
                )
