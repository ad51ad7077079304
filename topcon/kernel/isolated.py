"""Processes in namespaces of their own that are in no container's cgroup: what ``unshare`` or ``ip netns exec`` made.

Kernel documents: namespaces(7), cgroups(7), proc_pid_ns(5)
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import REFUSED, Access
from topcon.kernel.process import TICK_NS, ProcFs, parse_ns_pids, parse_stat
from topcon.model.sample import ROOT, SANDBOXES, SERVICES, CgroupPath, Isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.model.sample import HostSample, NsInode, ProcessSample

SCAN_S = 2.0
"""New processes are looked for this often."""
FULL_S = 30.0
"""All processes are looked at again this often: one can unshare or move late, and pids are reused."""
SETTLED_S = 1.0
"""Younger ones may still be on their way into a container's cgroup."""
TELLING = ("pid", "net", "user", "mnt")
"""Kinds of namespaces, the one that says most about what a process belongs to first."""
COMMAND_BYTES = 4096
"""Of the command line; a process can make its own megabytes long."""

_PID, _NET = 0, 1
_FLAGS = 6
_PF_KTHREAD = 0x00200000
_CLONE_NEWUTS = 0x04000000
_HIERARCHIES = ("", "name=systemd", "pids", "memory", "cpuacct", "cpu", "blkio")
"""Where a process's cgroup is looked up, version 2 first."""
_DESKTOP_UNIT = re.compile(r"(app|snap|flatpak)[-.].*\.(scope|service)")
_SANDBOX_COMMAND = re.compile(
    r"brave|bwrap|chrom(e|ium)(-.+)?|chrome_crashpad_handler|electron|firefox(-.+)?|msedge|nacl_helper|opera|thunderbird"
    r"|vivaldi-bin|xdg-dbus-proxy"
)
_SANDBOX_ARGUMENT = re.compile(r"-contentproc|--type=(zygote|renderer|gpu-process|utility|ppapi|broker)")


@dataclass(frozen=True, slots=True)
class _Resident:
    """A process with a namespace of its own."""

    pid: int
    ppid: int
    start_ticks: int
    own: tuple[str, ...]
    """Its namespace of each of `TELLING`, ``net:[4026532575]``; empty where it is the host's or not known."""
    cgroups: tuple[CgroupPath, ...]
    """Its path in each hierarchy, none twice; the one to show first."""
    cgroup_text: bytes = field(repr=False)
    """What these were parsed from."""

    @property
    def telling(self) -> str:
        return next(namespace for namespace in self.own if namespace)


@dataclass(frozen=True, slots=True)
class _Set:
    """The processes of one `Isolated`."""

    telling: str
    first: _Resident
    pids: frozenset[int]

    @property
    def cgroup(self) -> CgroupPath:
        return self.first.cgroups[0]


@dataclass(frozen=True, slots=True)
class _Face:
    """What is read of a set's first process once, and again at each full look."""

    process: ProcessSample
    words: tuple[str, ...]
    """Of its command line."""
    unit: str | None
    """The service that it was started as."""
    hostname: str | None

    @property
    def command_name(self) -> str:
        name = self.words[0].rpartition("/")[2].rstrip(":") if self.words else ""
        return name or self.process.comm


def parse_process_cgroups(raw: bytes, path: str) -> dict[str, CgroupPath]:
    """Parse ``/proc/PID/cgroup``: controller to path, version 2 under the empty name.

    ::

        9:name=systemd:/user.slice
        2:cpu,cpuacct:/
        0::/user.slice/session-1.scope
    """
    cgroups = {}
    for line in os.fsdecode(raw).removesuffix("\n").split("\n") if raw else ():
        try:
            _, controllers, cgroup = line.split(":", 2)
        except ValueError:
            raise ParseError(path, line) from None
        for controller in controllers.split(","):
            cgroups[controller] = CgroupPath(cgroup.removesuffix(" (deleted)"))
    return cgroups


def in_order(by_name: Mapping[str, CgroupPath]) -> tuple[CgroupPath, ...]:
    """Return the cgroups of a process, as `parse_process_cgroups` has them: none twice, the one to show first."""
    cgroups = (by_name[name] for name in _HIERARCHIES if name in by_name)
    # A process at the root of one hierarchy may be further down in another.
    return tuple(dict.fromkeys(sorted(cgroups, key=lambda cgroup: cgroup == ROOT)))


def read_hostnames(namespaces: Sequence[tuple[str, NsInode]]) -> list[str | None]:
    """Read the hostname of each uts namespace, given as ``/proc/PID/ns/uts`` and inode; None where it is not allowed.

    A process sees the hostname of its own namespace alone, so a thread goes there. Each thread has namespaces of its
    own: the others stay where they are, and this one ends.
    """
    names: list[str | None] = []

    def visit() -> None:
        names.extend(_hostname(path, inode) for path, inode in namespaces)

    thread = threading.Thread(target=visit, name="topcon-hostnames", daemon=True)
    thread.start()
    thread.join()
    return names


def _hostname(path: str, inode: NsInode) -> str | None:
    """Go to a uts namespace for good; return its hostname."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        is_same = os.fstat(fd).st_ino == inode
        if not is_same or ctypes.CDLL(None).setns(fd, _CLONE_NEWUTS) != 0:
            return None
    finally:
        os.close(fd)
    return os.fsencode(os.uname().nodename).decode(errors="replace") or None


class IsolatedScan:
    """Finds the processes in namespaces of their own, at little cost: most are looked at once."""

    def __init__(
        self,
        processes: ProcFs,
        pids_of: Callable[[CgroupPath], list[int]],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        hostnames: Callable[[Sequence[tuple[str, NsInode]]], list[str | None]] = read_hostnames,
    ) -> None:
        """Look at ``processes``; ``pids_of`` says which are in a cgroup, its descendants' left out."""
        self._root = processes.root
        # What is refused has a substitute here, and is not worth a word.
        self._access = Access()
        self._processes = ProcFs(processes.root, self._access)
        self._pids_of = pids_of
        self._clock_ns = clock_ns
        self._hostnames = hostnames
        self._next_scan_ns: int | None = None
        self._next_full_ns = 0
        self._pids: frozenset[int] = frozenset()
        self._young: frozenset[int] = frozenset()
        self._residents: dict[int, _Resident] = {}
        self._faces: dict[_Set, _Face] = {}
        self._found: tuple[Isolated, ...] = ()

    def look(self, host: HostSample, is_container: Callable[[CgroupPath], bool], boot_ns: int) -> tuple[Isolated, ...]:
        """Return what there is, the oldest first: the same objects for as long as nothing has changed.

        ``is_container`` says whether a cgroup is a container's own or inside one; it is asked anew at each scan.
        ``boot_ns`` is when the host was started, since 1970.

        Raises:
            ParseError: a file of a process is not in its documented form.
        """
        now_ns = self._clock_ns()
        if self._next_scan_ns is not None and now_ns < self._next_scan_ns:
            return self._found
        is_full = self._next_scan_ns is None or now_ns >= self._next_full_ns
        self._next_scan_ns = now_ns + int(SCAN_S * 1e9)
        if is_full:
            self._next_full_ns = now_ns + int(FULL_S * 1e9)
        self._scan(host, is_full=is_full)
        sets = [
            each
            for each in _sets(self._residents.values(), is_container)
            if host.uptime_s - each.first.start_ticks * TICK_NS / 1e9 >= SETTLED_S
        ]
        self._read_faces(sets, host, boot_ns, is_full=is_full)
        return self._keep(sets)

    def _scan(self, host: HostSample, *, is_full: bool) -> None:
        before, known = self._pids, self._residents
        self._pids = frozenset(int(name) for name in os.listdir(self._root) if name.isdigit())  # noqa: PTH208  hot path
        new = self._pids - before
        due = self._pids if is_full else new | (self._young & self._pids)
        # A new one is looked at twice: between fork and unshare it is still where its parent is.
        self._young = new if before else frozenset()
        self._residents = {pid: each for pid, each in known.items() if pid in self._pids and pid not in due}
        look = _Look(self._root, self._access, self._processes, host, known)
        for pid in due:
            resident = look.at(pid)
            if resident is not None:
                self._residents[pid] = resident

    def _read_faces(self, sets: Iterable[_Set], host: HostSample, boot_ns: int, *, is_full: bool) -> None:
        before = {} if is_full else {(each.telling, each.first): face for each, face in self._faces.items()}
        self._faces = {}
        missing: dict[_Set, ProcessSample] = {}
        for each in sets:
            face = before.get((each.telling, each.first))
            process = face.process if face else self._processes.sample(each.first.pid, boot_ns)
            if face is not None:
                self._faces[each] = face
            elif process is not None:
                missing[each] = process
        hostnames = self._read_hostnames(missing.values(), host)
        for each, process in missing.items():
            self._faces[each] = _Face(
                process, self._words(process.pid), self._unit(each.first), hostnames.get(process.pid)
            )

    def _read_hostnames(self, processes: Iterable[ProcessSample], host: HostSample) -> Mapping[int, str]:
        """Read the hostnames that differ from the host's: pid to name."""
        hosts = host.namespaces.uts
        wanted = [
            (process.pid, uts)
            for process in processes
            if hosts is not None and (uts := process.namespaces.uts) is not None and uts != hosts
        ]
        if not wanted:
            return {}
        names = self._hostnames([(f"{self._root}/{pid}/ns/uts", uts) for pid, uts in wanted])
        pairs = zip((pid for pid, _ in wanted), names, strict=True)
        return {pid: name for pid, name in pairs if name is not None and name != host.name}

    def _words(self, pid: int) -> tuple[str, ...]:
        """Read a command line; those that rewrite theirs, as browsers do, part the words by blanks."""
        raw = (self._access.read(f"{self._root}/{pid}/cmdline") or b"")[:COMMAND_BYTES]
        return tuple(raw.decode(errors="replace").replace("\0", " ").split())

    def _unit(self, first: _Resident) -> str | None:
        """Return the service that a process is the main one of: its parent, the manager, is in another cgroup.

        What somebody started from within a service, such as a login by ssh, is not that service.
        """
        unit = _innermost_unit(first.cgroups[0])
        if unit is None or not unit.endswith(".service"):
            return None
        path = f"{self._root}/{first.ppid}/cgroup"
        of_parent = parse_process_cgroups(self._access.read(path) or b"", path)
        return None if first.cgroups[0] in of_parent.values() else unit

    def _keep(self, sets: Sequence[_Set]) -> tuple[Isolated, ...]:
        before = {each.id: each for each in self._found}
        crowd = Counter(each.cgroup for each in sets)
        found = []
        for each in sorted(sets, key=lambda one: (one.first.start_ticks, one.first.pid)):
            face = self._faces.get(each)
            if face is None:
                continue
            now = self._isolated(each, face, neighbours=crowd[each.cgroup] - 1)
            old = before.get(now.id)
            found.append(old if old is not None and old == now else now)
        if len(found) != len(self._found) or any(new is not old for new, old in zip(found, self._found, strict=True)):
            self._found = tuple(found)
        return self._found

    def _isolated(self, each: _Set, face: _Face, neighbours: int) -> Isolated:
        # Those that came after the scan are not known yet.
        pids = self._pids.intersection(self._pids_of(each.cgroup)) if each.cgroup != ROOT else frozenset()
        # systemd gives a service's namespaces to all its processes; what unshared by itself within it is not the unit.
        unit = face.unit if pids <= self._residents.keys() else None
        return Isolated(
            id=each.telling.partition("[")[2].rstrip("]"),
            process=face.process,
            cgroup=each.cgroup,
            is_alone=self._is_alone(each, pids),
            name=face.hostname or unit or face.command_name,
            command=" ".join(face.words) or None,
            fold=_fold(each, face, unit, neighbours),
        )

    def _is_alone(self, each: _Set, pids: frozenset[int]) -> bool:
        others = pids - each.pids
        if others == {each.first.ppid}:
            # The one that made the pid namespace for its child (unshare --fork --pid) waits for it outside.
            return self._access.link(f"{self._root}/{each.first.ppid}/ns/pid_for_children") == each.telling
        return bool(pids) and not others


class _Look:
    """One look at some processes, of which some may be known from the look before."""

    def __init__(
        self, root: str, access: Access, processes: ProcFs, host: HostSample, known: Mapping[int, _Resident]
    ) -> None:
        self._root = root
        self._known = known
        self._access = access
        self._processes = processes
        self._host_netns = host.netns
        self._hosts = tuple(
            (kind, "" if (inode := getattr(host.namespaces, kind)) is None else f"{kind}:[{inode}]") for kind in TELLING
        )
        self._is_ours: dict[int, bool] = {0: False, 1: False} | _self(root)

    def at(self, pid: int) -> _Resident | None:
        """Return a process that has a namespace of its own; None for all others, and for our own."""
        own = self._own(pid)
        if not any(own):
            return None
        path = f"{self._root}/{pid}/stat"
        raw, cgroup_text = self._access.read(path), self._access.read(f"{self._root}/{pid}/cgroup") or b""
        before = self._known.get(pid)
        cgroups = (
            before.cgroups
            if before is not None and before.cgroup_text == cgroup_text
            else self._shown(pid, cgroup_text)
        )
        if not raw or not cgroups:
            return None
        stat = parse_stat(raw, path)
        if int(raw.rpartition(b")")[2].split()[_FLAGS]) & _PF_KTHREAD or stat.state in {"Z", "X"}:
            return None
        # Who was not ours will never be.
        is_known = before is not None and before.start_ticks == stat.start_ticks
        if not is_known and self._is_child_of_ours(pid):
            return None
        now = _Resident(pid, stat.ppid, stat.start_ticks, own, cgroups, cgroup_text)
        return before if before == now else now

    def _own(self, pid: int) -> tuple[str, ...]:
        own = []
        directory = f"{self._root}/{pid}/ns/"
        for kind, hosts in self._hosts:
            try:
                link = os.readlink(directory + kind)  # noqa: PTH115  hot path
            except OSError as error:
                if error.errno in REFUSED:
                    return self._own_without_privilege(pid)
                self._access.note(error, kind)
                link = ""
            own.append("" if link == hosts or not hosts else link)
        return tuple(own)

    def _own_without_privilege(self, pid: int) -> tuple[str, ...]:
        """Tell by what everyone may look at: which network a process sees, and its pids in nested namespaces."""
        own = [""] * len(TELLING)
        netns = self._processes.netns(pid)
        if None not in (netns, self._host_netns) and netns != self._host_netns:
            own[_NET] = f"net:[{netns}]"
        if len(self._ns_pids(pid)) > 1:
            own[_PID] = f"pid:[{self._first_in_namespace(pid)}]"
        return tuple(own)

    def _ns_pids(self, pid: int) -> tuple[int, ...]:
        return parse_ns_pids(self._access.read(f"{self._root}/{pid}/status") or b"")

    def _first_in_namespace(self, pid: int) -> str:
        """Go up to the ancestor that is pid 1 inside; it lives as long as its namespace."""
        depth = len(self._ns_pids(pid))
        at = pid
        while len(ns_pids := self._ns_pids(at)) >= depth and ns_pids[-1] != 1:
            at = self._processes.parent(at) or 0
        first = at if len(ns_pids) >= depth else pid
        path = f"{self._root}/{first}/stat"
        raw = self._access.read(path)
        return f"{first}-{parse_stat(raw, path).start_ticks if raw else 0}"

    def _shown(self, pid: int, cgroup_text: bytes) -> tuple[CgroupPath, ...]:
        by_name = parse_process_cgroups(cgroup_text, f"{self._root}/{pid}/cgroup")
        cgroups = in_order(by_name)
        # Of what lies outside our own cgroup namespace nobody can say here whose it is.
        return () if any(cgroup.startswith("/..") for cgroup in cgroups) else cgroups

    def _is_child_of_ours(self, pid: int) -> bool:
        chain = []
        while pid not in self._is_ours:
            chain.append(pid)
            # Parents that change while they are read must not lead in a circle.
            self._is_ours[pid] = False
            pid = self._processes.parent(pid) or 0
        is_ours = self._is_ours[pid]
        self._is_ours.update(dict.fromkeys(chain, is_ours))
        return is_ours


def _self(root: str) -> dict[int, bool]:
    """Return our own pid as ``root`` has it; nothing where that is no live ``/proc``."""
    try:
        return {int(os.readlink(f"{root}/self")): True}  # noqa: PTH115  as in the rest of the module
    except (OSError, ValueError):
        return {}


def _sets(residents: Iterable[_Resident], is_container: Callable[[CgroupPath], bool]) -> list[_Set]:
    """Put together what shares the most telling namespace; leave out containers, and who visits one of theirs."""
    residents = list(residents)
    is_inside = {
        cgroups: any(is_container(cgroup) for cgroup in cgroups) for cgroups in {each.cgroups for each in residents}
    }
    containers = {namespace for each in residents if is_inside[each.cgroups] for namespace in each.own if namespace}
    groups: dict[str, list[_Resident]] = defaultdict(list)
    for each in residents:
        if not is_inside[each.cgroups] and each.telling not in containers:
            groups[each.telling].append(each)
    return [_set(telling, members) for telling, members in _joined(groups).items()]


def _joined(groups: Mapping[str, list[_Resident]]) -> Mapping[str, list[_Resident]]:
    """Join a group with the one that has its namespace besides a more telling one.

    ``unshare --fork --pid --net`` waits in the network namespace of its child, but outside the pid namespace.
    """
    joined = dict(groups)
    homes: dict[str, set[str]] = defaultdict(set)
    for telling, members in groups.items():
        for namespace in {namespace for each in members for namespace in each.own}:
            if namespace in groups and namespace != telling:
                homes[namespace].add(telling)
    # The least telling first, so that what joins a group goes along with it.
    for namespace in sorted(homes, key=lambda each: TELLING.index(each.partition(":")[0]), reverse=True):
        if len(homes[namespace]) == 1:
            (home,) = homes[namespace]
            joined[home] = joined[home] + joined.pop(namespace)
    return joined


def _set(telling: str, members: Iterable[_Resident]) -> _Set:
    members = list(members)
    # In a pid namespace the oldest is pid 1: all others are its descendants, or entered later.
    inside = [each for each in members if telling in each.own]
    first = min(inside, key=lambda each: (each.start_ticks, each.pid))
    return _Set(telling, first, frozenset(each.pid for each in members))


def _innermost_unit(cgroup: CgroupPath) -> str | None:
    """Return the unit of systemd that a cgroup is in."""
    names = reversed(cgroup.split("/"))
    return next((name for name in names if name.endswith((".service", ".scope"))), None)


def _fold(each: _Set, face: _Face, unit: str | None, neighbours: int) -> str | None:
    has_pidns = bool(each.first.own[_PID])
    is_desktop = _DESKTOP_UNIT.fullmatch(_innermost_unit(each.cgroup) or "") is not None
    if (
        (is_desktop and (neighbours or not has_pidns))
        or _SANDBOX_COMMAND.fullmatch(face.command_name)
        or _SANDBOX_COMMAND.fullmatch(face.process.comm)
        or any(_SANDBOX_ARGUMENT.match(word) for word in face.words)
    ):
        return SANDBOXES
    return SERVICES if unit is not None and not has_pidns else None
