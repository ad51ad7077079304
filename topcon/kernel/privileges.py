"""What is dangerous in all containers of a host, and what containers that have gone have left of their networks."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError
from topcon.kernel.files import Access, read_small
from topcon.kernel.network import own_links
from topcon.kernel.process import ProcFs
from topcon.kernel.security import SOURCE, SecurityReader
from topcon.model.sample import Problem
from topcon.model.security import Leak, Privileges, Security, dangers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.kernel.links import Links
    from topcon.model.sample import ContainerKey
    from topcon.model.security import Danger
    from topcon.model.snapshot import ContainerNode, Snapshot

BUDGET_S = 0.25
"""How long containers are looked at each time; those that have never been come first."""
FEW_DYING = 100
"""The kernel is always about to let go of some cgroups."""
MOST_LEAKS = 20
"""Of each kind."""
PINS = ("/run/netns", "/run/docker/netns", "/var/run/netns")
"""Where network namespaces are kept by a mount."""

_Identity = tuple["ContainerKey", int, int]


class _Pin(NamedTuple):
    """A file that keeps a network namespace, or has kept one."""

    path: str
    inode: int | None
    """Of the namespace; None if there is none any more."""


class PrivilegeReader:
    """Looks at all containers, a part of them each time."""

    def __init__(
        self, proc_root: str, v2: str | None, host_root: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read below ``proc_root``, and, where there is one, the hierarchy ``v2``; ``clock`` gives seconds."""
        self._root = proc_root
        self._v2 = v2
        self._host_root = host_root
        self._clock = clock
        self._reader = SecurityReader(proc_root)
        self._known: dict[_Identity, tuple[Danger, ...]] = {}
        """What was found, what was looked at the longest ago first."""
        self._suspected: frozenset[Leak] = frozenset()
        # A view that was closed may still be waiting for an answer when the next one asks.
        self._reading = threading.Lock()

    def read(self, snapshot: Snapshot) -> Privileges:
        """Look at the containers of a snapshot, and for what others have left."""
        with self._reading:
            return self._read(snapshot)

    def _read(self, snapshot: Snapshot) -> Privileges:
        now = {_identity(node): node for node in snapshot.containers.values() if node.process is not None}
        self._known = {identity: found for identity, found in self._known.items() if identity in now}
        problems: list[Problem] = []
        try:
            outside = self._reader.outside()
        except PermissionError:
            outside = {}
        except ParseError as error:
            outside, problems = {}, [Problem(SOURCE, str(error))]
        until_s = self._clock() + BUDGET_S
        for identity in [*(each for each in now if each not in self._known), *list(self._known)]:
            if self._clock() >= until_s:
                break
            self._known.pop(identity, None)
            read = self._reader.read(now[identity], outside)
            if isinstance(read, Problem):
                problems = [*problems, read] if read not in problems else problems
                read = None
            self._known[identity] = dangers(read, now[identity]) if isinstance(read, Security) else ()
        return Privileges(
            dangers={identity[0]: found for identity, found in self._known.items() if found},
            leaks=self._leaks(),
            problems=tuple(problems),
            left_out=len(now.keys() - self._known.keys()),
        )

    def _leaks(self) -> tuple[Leak, ...]:
        """Return what was there the last time already: what is about to become a container is soon none."""
        found = [*self._networks(), *self._dying()]
        lasting = tuple(leak for leak in found if leak in self._suspected)
        self._suspected = frozenset(found)
        return lasting

    def _networks(self) -> Iterator[Leak]:
        pins = list(self._pins())
        links = own_links(ProcFs(self._root, Access()))
        try:
            # Before the processes: what comes between is of a container that has one.
            veths = _veths(links) if links is not None else {}
            if not pins and not veths:
                return
            pids = self._namespaces()
            if pids is None:
                return
            leaks = [
                Leak(f"{pin.path}: a network without a process", f"nsenter --net={pin.path} ip address")
                if pin.inode is not None
                else Leak(f"{pin.path}: left of a network that has gone", f"rm {pin.path}")
                for pin in pins
                if pin.inode not in pids
            ]
            yield from leaks[:MOST_LEAKS]
            if links is not None and veths:
                ids = {links.namespace_id(pid) for pid in pids.values()}
                orphans = [name for name, peer in veths.items() if peer not in ids]
                for name in orphans[:MOST_LEAKS]:
                    yield Leak(f"{name}: its other end is in a network without a process", f"ip -d link show {name}")
        except (OSError, ParseError):
            # The kernel does not answer so.
            return
        finally:
            if links is not None:
                links.close()

    def _pins(self) -> Iterator[_Pin]:
        """Find the files that keep network namespaces, each once however many names it has."""
        try:
            device = os.stat(f"{self._root}/self/ns/net").st_dev  # noqa: PTH116  no Path is needed
        except OSError:
            return
        seen = set()
        for folder in PINS:
            try:
                entries = sorted(os.scandir(self._host_root + folder), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                real = os.path.realpath(entry.path)
                if real in seen:
                    continue
                seen.add(real)
                try:
                    status = os.stat(real)  # noqa: PTH116  no Path is needed
                except OSError:
                    continue
                path = entry.path.removeprefix(self._host_root)
                yield _Pin(path, status.st_ino if status.st_dev == device else None)

    def _namespaces(self) -> Mapping[int, int] | None:
        """Return the network namespaces of all processes, with one of each; None if not all can be told."""
        processes = ProcFs(self._root, Access())
        found: dict[int, int] = {}
        hidden: list[int] = []
        for name in os.listdir(self._root):  # noqa: PTH208  thousands
            if not name.isdigit():
                continue
            access = Access()
            link = access.link(f"{self._root}/{name}/ns/net")
            # The link reads net:[4026531840].
            if link is not None:
                found.setdefault(int(link[len("net:[") : -1]), int(name))
            elif access.refused:
                hidden.append(int(name))
        # Everyone may tell whether they are in the same as others.
        known = {processes.netns(pid) for pid in found.values()}
        return found if all(processes.netns(pid) in known for pid in hidden) else None

    def _dying(self) -> Iterator[Leak]:
        stat = read_small(f"{self._v2}/cgroup.stat") if self._v2 is not None else None
        for line in (stat or b"").splitlines():
            name, _, count = line.partition(b" ")
            if name == b"nr_dying_descendants" and count.isdigit() and int(count) > FEW_DYING:
                # Not the number, which is another each time: what was there before is to be known again.
                yield Leak(
                    "cgroups of what has ended are still held by memory that it used",
                    f"grep dying {self._v2}/cgroup.stat {self._v2}/*/cgroup.stat",
                )


def _identity(node: ContainerNode) -> _Identity:
    process = node.process
    return (node.key, *process.identity) if process is not None else (node.key, 0, 0)


def _veths(links: Links) -> dict[str, int]:
    """Return the links of pairs, with the id of the network namespace that the other end is in, if not in ours."""
    return {
        link.name: link.peer_nsid for link in links.all().values() if link.kind == "veth" and link.peer_nsid is not None
    }
