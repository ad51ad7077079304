"""Which cgroups there are: found once, then told by the kernel as they come and go.

A walk through all directories, as the net under that, is made now and then: events can be lost.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topcon.kernel.inotify import CREATED, DELETED, DIRECTORY, IGNORED, MOVED, OVERFLOW, Inotify
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from topcon.kernel.files import Access
    from topcon.kernel.inotify import Event

WALK_S = 30.0
"""All directories are looked at this often."""
LEAF_LINKS = 2
"""``st_nlink`` of a directory without directories in it."""


class _Hierarchy:
    """The directories below one root."""

    def __init__(self, root: str, access: Access) -> None:
        self.inodes: dict[CgroupPath, int] = {}
        self._root = root
        self._access = access
        self._watches: dict[str, int] = {}
        """By path below the root, which is empty for the root."""
        self._watched: dict[int, str] = {}

    def walk(self, inotify: Inotify | None) -> None:
        """Look at all directories; those that are new are watched from now on.

        Raises:
            OSError: there are too many watches.
        """
        self.inodes = {}
        self._look("", inotify)
        if inotify is not None:
            for path in [path for path in self._watches if CgroupPath(path or "/") not in self.inodes]:
                self._forget(path, inotify)

    def take(self, event: Event, inotify: Inotify) -> None:
        """Note what came or went, if it was here.

        Raises:
            OSError: there are too many watches.
        """
        above = self._watched.get(event.watch)
        if above is None or not event.mask & DIRECTORY:
            return
        path = f"{above}/{event.name}"
        if event.mask & DELETED:
            self.inodes.pop(CgroupPath(path), None)
            self._forget(path, inotify)
        elif event.mask & CREATED:
            self._look(path, inotify)

    def has(self, watch: int) -> bool:
        """Whether one of its directories is watched as this."""
        return watch in self._watched

    def unwatch(self) -> None:
        """Forget all watches; somebody else takes them back."""
        self._watches.clear()
        self._watched.clear()

    def _look(self, path: str, inotify: Inotify | None) -> None:
        """Note a directory and all below it. A stack of our own: cgroups may be nested deeper than Python's calls."""
        left = [path]
        while left:
            here = left.pop()
            if inotify is not None and here not in self._watches:
                # Before it is looked into, so that nothing comes unnoticed in between.
                self._watch(here, inotify)
            left += self._children(here)

    def _children(self, path: str) -> list[str]:
        """Note a directory, and return those directly in it.

        Its link count says whether it has any, so the many leaves cost one ``stat`` each.
        """
        directory = f"{self._root}{path}"
        try:
            stat = os.stat(directory)  # noqa: PTH116  the walk is the hot path
            self.inodes[CgroupPath(path or "/")] = stat.st_ino
            # Some file systems that fixtures live on count no links at all: 1.
            if stat.st_nlink == LEAF_LINKS:
                return []
            with os.scandir(directory) as entries:
                return [f"{path}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            self._access.note(error, directory)
            return []

    def _watch(self, path: str, inotify: Inotify) -> None:
        watch = inotify.add(f"{self._root}{path}")
        if watch is not None:
            self._watches[path] = watch
            self._watched[watch] = path

    def _forget(self, path: str, inotify: Inotify) -> None:
        watch = self._watches.pop(path, None)
        if watch is not None:
            del self._watched[watch]
            inotify.remove(watch)


class CgroupTree:
    """The cgroups below the roots of some hierarchies."""

    def __init__(self, roots: Sequence[str], access: Access) -> None:
        """Look below ``roots``; a cgroup that is in several has the inode that it has in the first."""
        self._hierarchies = [_Hierarchy(root, access) for root in roots]
        self._inotify: Inotify | None = None
        self._may_watch = True
        self._walks = 0
        self._walk_at_ns = 0
        self._found: dict[CgroupPath, int] = {}

    def find(self, now_ns: int) -> dict[CgroupPath, int]:
        """Return all cgroups, path to inode, the root among them; the same object as before if there are no others.

        ``now_ns`` is on the monotonic clock.
        """
        events = self._inotify.read() if self._inotify else []
        if any(event.mask & MOVED for event in events):
            # A watch goes with its directory, and those of what is below would have to be renamed: they begin anew.
            self.close()
        if self._inotify is None or now_ns >= self._walk_at_ns or any(map(self._is_beyond, events)):
            self._walk_at_ns = now_ns + int(WALK_S * 1e9)
            self._guarded(self._walk)
        elif events:
            self._guarded(lambda inotify: self._take(events, inotify))
        else:
            return self._found
        found: dict[CgroupPath, int] = {}
        for hierarchy in reversed(self._hierarchies):
            found |= hierarchy.inodes
        if found != self._found:
            self._found = found
        return self._found

    def close(self) -> None:
        """Give the descriptor back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        for hierarchy in self._hierarchies:
            hierarchy.unwatch()

    def _is_beyond(self, event: Event) -> bool:
        """Whether an event cannot be followed: some were lost, or a directory went that nobody looks above."""
        if event.mask & OVERFLOW:
            return True
        return bool(event.mask & IGNORED) and any(hierarchy.has(event.watch) for hierarchy in self._hierarchies)

    def _guarded(self, look: Callable[[Inotify | None], None]) -> None:
        """Look, and if there are too many watches, do without them from now on: all is walked through each time."""
        self._walks += 1
        # The first time none are set: a screen waits for what is found.
        if self._inotify is None and self._may_watch and self._walks > 1:
            try:
                self._inotify = Inotify()
            except OSError:
                self._may_watch = False
        try:
            look(self._inotify)
        except OSError:
            self._may_watch = False
            self.close()
            self._walk(None)

    def _walk(self, inotify: Inotify | None) -> None:
        for hierarchy in self._hierarchies:
            hierarchy.walk(inotify)

    def _take(self, events: Iterable[Event], inotify: Inotify | None) -> None:
        for event in events:
            for hierarchy in self._hierarchies:
                if inotify is not None:
                    hierarchy.take(event, inotify)
