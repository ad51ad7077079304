"""Who holds how much of the host's disks, read little by little for as long as somebody looks.

There is no time of day at which a disk is read from end to end: what stands in a table of the kernel's is asked there,
only what containers write is walked through, and a thread that mostly rests does that.

Kernel documents: statvfs(3), proc_pid_fd(5), proc_pid_mountinfo(5)
"""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.disk import BLOCK_BYTES, DUTY, Disks, Total, mount_id_of, opened, room_of, upper_directory, walk
from topcon.kernel.files import Access
from topcon.kernel.mount import parse_mountinfo, seen_from
from topcon.kernel.openfiles import pids_of, read_descriptors
from topcon.kernel.written import (
    DOCKER_ROOT,
    docker_logs,
    docker_root,
    is_kept_by_docker,
    is_of_host,
    log_places,
    memory_of,
    outside_of,
    volumes_of,
)
from topcon.model.disk import MEMORY, BigFile, DiskUse, Hold, HoldKind, HostFilesystem
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from topcon.kernel.mount import Mount
    from topcon.kernel.written import LogPlace, Outside
    from topcon.model.sample import ContainerKey, Device
    from topcon.model.snapshot import ContainerNode

ENTRIES_PER_S = 5000
"""So many files and directories are looked at each second, on the average."""
WORK_SHARE = 0.1
"""Of the time that may go into reading, with the waiting for disks: a slow one is left alone for longer."""
SAVED_S = 5.0
"""What was not used of all that is saved up for so long, and is there at the beginning."""
LEASE_S = 5.0
"""Reading goes on for so long after somebody has looked."""
LEAST_ROUND_S = 10.0
"""From the beginning of a round to that of the next."""
LEAST_GROWTH_S = 5.0
"""A growth is measured over no less."""
BREATH_S = 0.001
"""After each piece of work others have their turn."""
BIGGEST = 10
"""So many of the biggest files are named."""
PIECE_DESCRIPTORS = 500

_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
_TO_LOOK = os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW


class Budget:
    """How much may be read: seconds, which come as time goes by, and which work takes away."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with what is saved up at the most; ``clock`` gives seconds."""
        self._clock = clock
        self._at = clock()
        self._saved_s = SAVED_S

    def spend(self, cpu_s: float, work_s: float, entries: int) -> float:
        """Take off a piece of work; return how long to rest after it.

        It was ``cpu_s`` on a CPU, ``work_s`` by the clock, and looked at so many entries: what is dearest counts.
        """
        now = self._clock()
        self._saved_s = min(self._saved_s + now - self._at, SAVED_S)
        self._at = now
        self._saved_s -= max(cpu_s / DUTY, work_s / WORK_SHARE, entries / ENTRIES_PER_S)
        return max(-self._saved_s, 0.0)


class _Host(NamedTuple):
    """What a round begins with."""

    outside: Outside
    upper: str | None
    """Where what is written to the root goes, on a host that lives on a medium."""
    filesystems: tuple[HostFilesystem, ...]


class _Walk(NamedTuple):
    """A directory that is to be walked through."""

    hold: Hold
    path: str
    """Where it is opened."""
    place: str
    """Where the host sees it."""
    mount_id: int | None
    """The mount that must be there; None for whatever is."""


class _Measure(NamedTuple):
    """What all of something was once found to be."""

    used_bytes: int
    at_s: float
    growth_bytes_per_s: float | None


@dataclass(slots=True)
class _Round:
    """What a round has come to so far."""

    host: _Host
    walks: dict[tuple[int, int], _Walk]
    """By what is walked through."""
    rooms: dict[Device, str]
    """The whole file systems that were counted, and as which hold."""
    nameless: dict[tuple[Device, int], ContainerKey]
    """Files that are held open, and who was found to hold them first."""
    keys: set[str]
    """The holds that it has found."""
    roots: set[str]
    """Where Docker keeps all."""


class DiskWalker:
    """Reads while somebody looks, on a thread of its own; what it has found is there for the next who does."""

    def __init__(
        self,
        proc_root: str,
        host_root: str,
        hierarchies: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the host whose ``/proc``, root directory and cgroup hierarchies these are; nothing before `look`."""
        self._proc_root = proc_root
        self._host_root = host_root
        self._hierarchies = hierarchies
        self._clock = clock
        self._disks = Disks(proc_root, host_root, lambda: None)
        self._access = Access()
        self._budget = Budget(clock)
        self._nodes: tuple[ContainerNode, ...] = ()
        self._scope: ContainerKey | None = None
        self._asked_s = -math.inf
        self._is_stopped = False
        self._woken = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bug: BaseException | None = None
        self._holds: dict[str, Hold] = {}
        self._measures: dict[str, _Measure] = {}
        self._walked: dict[tuple[int, int], Hold] = {}
        """Who holds a directory, with all others who do, as all containers tell it."""
        self._shared: dict[Device, Hold] = {}
        """The same of whole file systems."""
        self._filesystems: tuple[HostFilesystem, ...] = ()
        self._malformed: tuple[Problem, ...] = ()
        self._missed: str | None = None
        self._missed_before: str | None = None
        """In the round before, until this one has come as far."""
        self._rounds = 0
        self._entries = 0
        self._walking: str | None = None
        self._deferred = 0

    def look(self, nodes: Iterable[ContainerNode], alone: ContainerKey | None = None) -> DiskUse:
        """Say what is known of these containers, and go on reading for a while; any thread may ask.

        With ``alone`` nobody wants to know of another than that one.
        """
        if self._bug is not None:
            raise self._bug
        self._nodes, self._asked_s = tuple(nodes), self._clock()
        if alone != self._scope:
            self._scope = alone
            self._woken.set()
        with self._starting:
            if not self._is_stopped and (self._thread is None or not self._thread.is_alive()):
                # A daemon thread: a disk that hangs must not keep topcon from ending.
                self._thread = threading.Thread(target=self._run, name="topcon-disk", daemon=True)
                self._thread.start()
        return self.newest()

    def newest(self) -> DiskUse:
        """Say what is known, without reading more."""
        return DiskUse(
            holds=tuple(self._holds.copy().values()),
            filesystems=self._filesystems,
            problems=(*self._refused(), *self._malformed),
            rounds=self._rounds,
            entries=self._entries,
            walking=self._walking,
            deferred=self._deferred,
        )

    def stop(self) -> None:
        """Read no more, without waiting for what is under way."""
        self._is_stopped = True
        self._woken.set()

    def _refused(self) -> Iterator[Problem]:
        path = self._first_refused() or self._missed_before
        if path is not None:
            yield Problem("disk", f"permission denied at {path}: what is there is not counted", "sudo topcon")

    def _first_refused(self) -> str | None:
        return self._access.refused or self._missed

    def _is_over(self) -> bool:
        return self._is_stopped or self._clock() - self._asked_s > LEASE_S

    def _run(self) -> None:
        try:
            while not self._is_over():
                begun_s, scope = self._clock(), self._scope
                self._woken.clear()
                going = self._round(self._nodes)
                try:
                    is_whole = self._follow(going, scope)
                finally:
                    # What it holds open is closed.
                    going.close()
                    self._walking, self._deferred = None, 0
                if is_whole:
                    self._rounds += 1
                while not self._is_over() and self._scope == scope and self._clock() - begun_s < LEAST_ROUND_S:
                    self._woken.wait(min(LEAST_ROUND_S - (self._clock() - begun_s), 1.0))
                    self._woken.clear()
        except BaseException as bug:  # noqa: BLE001  handed to who looks, which ends topcon with it
            self._bug = bug

    def _follow(self, going: Generator[None, None, None], scope: ContainerKey | None) -> bool:
        """Make a round, with rests; return whether it came to its end."""
        self._entries = before = 0
        while True:
            begun_s, begun_cpu_s = time.monotonic(), time.thread_time()
            is_at_end = next(going, _END) is _END
            cpu_s, work_s = time.thread_time() - begun_cpu_s, time.monotonic() - begun_s
            rest_s = self._budget.spend(cpu_s, work_s, self._entries - before)
            before = self._entries
            if is_at_end:
                return True
            if self._is_over() or self._scope != scope:
                return False
            self._woken.wait(max(rest_s, BREATH_S))

    def _round(self, nodes: Sequence[ContainerNode]) -> Generator[None, None, None]:
        """Read all that these containers hold, what is cheap first; it yields after each piece of work."""
        self._malformed, self._missed = (), None
        self._access.refused = None
        round_ = _Round(self._host(), {}, {}, {}, set(), {DOCKER_ROOT})
        self._filesystems = round_.host.filesystems
        yield
        for node in nodes:
            if node.process is not None:
                try:
                    yield from self._look_at(node, node.process.pid, round_)
                except ParseError as error:
                    self._malformed = (Problem("disk", str(error)),)
                yield
        for node in nodes:
            if node.process is None and is_kept_by_docker(node.info):
                self._look_at_rest(node, round_)
                yield
        yield from self._walk_all(round_)
        self._forget(nodes, round_)
        self._missed_before = self._first_refused()

    def _forget(self, nodes: Sequence[ContainerNode], round_: _Round) -> None:
        """Forget what is there no more; if not all were looked at, only what was those'."""
        ours = {node.key for node in nodes} if self._scope is not None else None
        if ours is None:
            self._walked = {identity: walk.hold for identity, walk in round_.walks.items()}
            self._shared = {device: self._holds[key] for device, key in round_.rooms.items() if key in self._holds}
        gone = [
            key
            for key, hold in self._holds.items()
            if key not in round_.keys and (ours is None or hold.container in ours)
        ]
        for key in gone:
            del self._holds[key]
            self._measures.pop(key, None)

    def _host(self) -> _Host:
        path = f"{self._proc_root}/1/mountinfo"
        mounts: list[Mount] = []
        filesystems: list[HostFilesystem] = []
        try:
            mounts = parse_mountinfo(self._access.read(path) or b"", path)
            for device, (mount, room) in self._disks.rooms().items():
                filesystems.append(_filesystem(device, mount, room))
        except ParseError as error:
            self._malformed = (Problem("disk", str(error)),)
        return _Host(outside_of(mounts), upper_directory(mounts), tuple(filesystems))

    def _look_at(self, node: ContainerNode, pid: int, round_: _Round) -> Iterator[None]:
        path = f"{self._proc_root}/{pid}/mountinfo"
        mounts = parse_mountinfo(self._access.read(path) or b"", path)
        root = docker_root(mounts, round_.host.outside)
        if root:
            round_.roots.add(root[0])
        upper = upper_directory(mounts)
        # One within another writes its layer into what the outer one holds.
        if upper is not None and upper != round_.host.upper and node.outer is None:
            self._add_walk(round_, HoldKind.LAYER, node, upper, f"{self._host_root}{upper}", upper, None)
        self._add_logs(node, log_places(node.info, mounts, round_.host.outside), round_)
        for mount in volumes_of(mounts):
            if mount.root == "/":
                if not is_of_host(mount, round_.host.outside):
                    self._add_room(node, pid, mount, HoldKind.VOLUME, round_)
            else:
                place = seen_from(mount, round_.host.outside.of(mount)) or mount.point
                seen = f"{self._proc_root}/{pid}/root{mount.point}"
                self._add_walk(round_, HoldKind.VOLUME, node, mount.point, seen, place, mount.id)
        for mount in memory_of(mounts, round_.host.outside):
            self._add_room(node, pid, mount, HoldKind.TMPFS, round_)
        yield
        yield from self._add_nameless(node, mounts, upper, round_)

    def _look_at_rest(self, node: ContainerNode, round_: _Round) -> None:
        """Look at what Docker keeps of a container that does not run."""
        for root in round_.roots:
            self._add_logs(node, docker_logs(root, node.info.id), round_)
            raw = self._access.read(f"{self._host_root}{root}/image/overlay2/layerdb/mounts/{node.info.id}/mount-id")
            name = (raw or b"").decode(errors="replace").strip()
            if name.isalnum():
                upper = f"{root}/overlay2/{name}/diff"
                self._add_walk(round_, HoldKind.LAYER, node, upper, f"{self._host_root}{upper}", upper, None)

    def _add_walk(
        self,
        round_: _Round,
        kind: HoldKind,
        node: ContainerNode,
        where: str,
        path: str,
        place: str,
        mount_id: int | None,
    ) -> None:
        """Have a directory walked through later, once however many containers see it."""
        fd = opened(path, _DIRECTORY, mount_id, self._access)
        if fd is None:
            return
        try:
            status = os.fstat(fd)
            device = self._disks.device_of(fd, place)
        finally:
            os.close(fd)
        identity = status.st_dev, status.st_ino
        known = round_.walks.get(identity)
        if known is None:
            hold = self._as_before(self._walked.get(identity), Hold(node.key, kind, where, device))
            known = _Walk(hold, path, place, mount_id)
        elif node.key not in (known.hold.container, *known.hold.others):
            known = known._replace(hold=known.hold._replace(others=(*known.hold.others, node.key)))
            # As it was seen when nobody looked at the other.
            self._holds.pop(Hold(node.key, kind, where).key, None)
        round_.walks[identity] = known
        if known.hold.key not in self._holds:
            # Not measured yet, but there.
            self._put(round_, known.hold._replace(is_whole=False))

    def _as_before(self, before: Hold | None, now: Hold) -> Hold:
        """Where only one container is looked at, leave what it shares to whom it was found to belong."""
        is_shared = before is not None and now.container in (before.container, *before.others)
        return before if before is not None and is_shared and self._scope is not None else now

    def _add_logs(self, node: ContainerNode, places: Iterable[LogPlace], round_: _Round) -> None:
        """Add up the files of a log, the present one and those before it."""
        for place in places:
            fd = opened(f"{self._host_root}{place.folder}", _DIRECTORY, None, self._access)
            if fd is None:
                continue
            try:
                device = self._disks.device_of(fd, place.folder)
                files = sorted(self._files_in(fd, place.prefix), key=lambda file: -file.used_bytes)
            except OSError:
                # A disk that is broken or gone.
                continue
            finally:
                os.close(fd)
            if files:
                used = sum(file.used_bytes for file in files)
                hold = Hold(node.key, HoldKind.LOG, place.path, device, used, used_inodes=len(files))
                self._put(round_, hold._replace(biggest=tuple(files[:BIGGEST])))

    def _files_in(self, fd: int, prefix: str) -> Iterator[BigFile]:
        with os.scandir(fd) as entries:
            for entry in entries:
                self._entries += 1
                if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                    yield BigFile(entry.name, entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES)

    def _add_room(self, node: ContainerNode, pid: int, mount: Mount, kind: HoldKind, round_: _Round) -> None:
        """Add a whole file system, which knows by itself how much is used, once however many containers see it."""
        known = self._holds.get(round_.rooms.get(mount.device, ""))
        if known is not None:
            if node.key not in (known.container, *known.others):
                self._holds[known.key] = known._replace(others=(*known.others, node.key))
                self._holds.pop(Hold(node.key, kind, mount.point).key, None)
            return
        room = room_of(f"{self._proc_root}/{pid}/root{mount.point}", _TO_LOOK, mount.id, self._access)
        if room is not None and room.f_blocks > room.f_bfree:
            device = MEMORY if kind is HoldKind.TMPFS else mount.source
            hold = self._as_before(self._shared.get(mount.device), Hold(node.key, kind, mount.point, device))
            hold = _of_room(hold, room)
            round_.rooms[mount.device] = hold.key
            self._put(round_, hold)

    def _add_nameless(
        self, node: ContainerNode, mounts: Sequence[Mount], upper: str | None, round_: _Round
    ) -> Iterator[None]:
        """Add up the files that its processes hold open, and that have no name any more."""
        in_memory = {mount.device for mount in mounts if mount.fstype == "tmpfs"}
        found: list[BigFile] = []
        used, device, is_whole = 0, None, True
        looked_at = 0
        for pid in pids_of(self._hierarchies, node, self._access):
            descriptors = read_descriptors(self._proc_root, pid, self._access)
            if descriptors is None:
                continue
            is_whole = is_whole and descriptors.is_whole
            self._entries += descriptors.held
            looked_at += descriptors.held + 1
            for each in descriptors.nameless:
                identity = each.device, each.inode
                if each.device in in_memory or identity in round_.nameless:
                    continue
                round_.nameless[identity] = node.key
                used += each.used_bytes
                found.append(BigFile(each.path, each.used_bytes))
                device = device or self._device(each.device, mounts, upper)
            if looked_at >= PIECE_DESCRIPTORS:
                looked_at = 0
                yield
        if used:
            found.sort(key=lambda file: -file.used_bytes)
            hold = Hold(node.key, HoldKind.DELETED, "", device, used, is_whole, len(found))
            self._put(round_, hold._replace(biggest=tuple(found[:BIGGEST])))

    def _device(self, number: Device, mounts: Sequence[Mount], upper: str | None) -> str | None:
        """Name the disk that a file of a container is on; one of an overlay is where its layer is."""
        around = [mount for mount in mounts if mount.device == number and mount.source.startswith("/dev/")]
        if around:
            return around[0].source
        fd = opened(f"{self._host_root}{upper}", _DIRECTORY, None, self._access) if upper is not None else None
        if fd is None or upper is None:
            return None
        try:
            return self._disks.device_of(fd, upper)
        finally:
            os.close(fd)

    def _walk_all(self, round_: _Round) -> Iterator[None]:
        """Walk through one directory after the other, those first of which nothing is known."""
        elsewhere: dict[int, set[int]] = {}
        for device, inode in round_.walks:
            elsewhere.setdefault(device, set()).add(inode)
        order = sorted(round_.walks.items(), key=lambda item: self._last_s(item[1].hold.key))
        for at, ((device, inode), each) in enumerate(order):
            self._walking, self._deferred = each.place, len(order) - at
            yield from self._walk(each, elsewhere[device] - {inode}, round_)

    def _last_s(self, key: str) -> float:
        measure = self._measures.get(key)
        return -math.inf if measure is None else measure.at_s

    def _walk(self, each: _Walk, elsewhere: set[int], round_: _Round) -> Iterator[None]:
        fd = opened(each.path, _DIRECTORY, each.mount_id, self._access)
        if fd is None:
            # It has gone meanwhile.
            round_.keys.discard(each.hold.key)
            return
        total = Total(os.fstat(fd), biggest=BIGGEST, elsewhere=elsewhere, mount_id=mount_id_of(fd), is_lenient=True)
        going, before, is_known = walk(fd, total), 0, each.hold.key in self._measures
        try:
            while True:
                try:
                    next(going)
                except StopIteration as end:
                    is_whole = end.value is not None and total.missed is None
                    break
                finally:
                    self._entries += total.entries - before
                    before = total.entries
                if not is_known:
                    self._put(round_, _of_total(each.hold, total, is_whole=False))
                yield
        finally:
            going.close()
        if total.missed is not None:
            self._missed = f"{each.place}/{total.missed}"
        self._put(round_, _of_total(each.hold, total, is_whole=is_whole))
        yield

    def _put(self, round_: _Round, hold: Hold) -> None:
        """Make a hold known, with its growth since it was last known whole."""
        round_.keys.add(hold.key)
        if hold.is_whole and hold.used_bytes is not None:
            measure = _measured(self._measures.get(hold.key), hold.used_bytes, self._clock())
            self._measures[hold.key] = measure
            hold = hold._replace(growth_bytes_per_s=measure.growth_bytes_per_s)
        self._holds[hold.key] = hold


_END = object()


def _measured(before: _Measure | None, used_bytes: int, now_s: float) -> _Measure:
    if before is None:
        return _Measure(used_bytes, now_s, None)
    since_s = now_s - before.at_s
    if since_s < LEAST_GROWTH_S:
        # Too near: it would say more of the moment than of the growth.
        return before
    return _Measure(used_bytes, now_s, (used_bytes - before.used_bytes) / since_s)


def _of_total(hold: Hold, total: Total, *, is_whole: bool) -> Hold:
    return hold._replace(
        used_bytes=total.used_bytes,
        is_whole=is_whole,
        used_inodes=total.used_inodes,
        biggest=tuple(BigFile(path, size) for path, size in total.biggest),
    )


def _of_room(hold: Hold, room: os.statvfs_result) -> Hold:
    return hold._replace(
        used_bytes=(room.f_blocks - room.f_bfree) * room.f_frsize,
        used_inodes=room.f_files - room.f_ffree,
        limit_bytes=room.f_blocks * room.f_frsize or None,
    )


def _filesystem(device: str, mount: Mount, room: os.statvfs_result) -> HostFilesystem:
    return HostFilesystem(
        device=device,
        point=mount.point,
        fstype=mount.fstype,
        size_bytes=room.f_blocks * room.f_frsize,
        used_bytes=(room.f_blocks - room.f_bfree) * room.f_frsize,
        available_bytes=room.f_bavail * room.f_frsize,
        inodes=room.f_files,
        inodes_free=room.f_ffree,
    )
