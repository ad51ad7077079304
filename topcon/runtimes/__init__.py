"""The plug-in point: what a container runtime can do for topcon.

A runtime is found by the entry point group ``topcon.runtimes``; those that come with topcon register the same way as
foreign ones. Importing a plug-in's module must not import its client library: ``Plugin.connect`` does.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.metadata import EntryPoints

    from topcon.model.event import Told
    from topcon.model.files import LayerSizes
    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import ContainerId, ContainerInfo, LogLine
    from topcon.model.shell import Session, Size

GROUP = "topcon.runtimes"


class Runtime(Protocol):
    """A connection to a runtime. Only one thread uses it."""

    name: str

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return what the runtime knows now, stopped containers too.

        Called every ``Plugin.poll_s`` seconds.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


@runtime_checkable
class Lifecycle(Protocol):
    """The ability to change containers. Each call returns when it is done.

    Raises:
        ActionFailed: the runtime refused; its own words.
    """

    abilities: frozenset[str]
    """The names of those methods below that the runtime has a way to do; the others raise `ActionFailed`."""

    def started_ns(self, container: ContainerId) -> int | None:
        """Return when the runtime last started the container; None if it never did."""
        ...

    def start(self, container: ContainerId) -> None:
        """Start a stopped container."""
        ...

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """Send the stop signal, and after the grace period SIGKILL."""
        ...

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """Stop and start."""
        ...

    def pause(self, container: ContainerId) -> None:
        """Freeze all processes."""
        ...

    def unpause(self, container: ContainerId) -> None:
        """Let them run again."""
        ...

    def kill(self, container: ContainerId, signal: str) -> None:
        """Send a signal, such as ``SIGTERM``, to the first process."""
        ...

    def remove(self, container: ContainerId) -> None:
        """Remove a container that is stopped, and no volume; one that runs is left alone."""
        ...


@runtime_checkable
class Logs(Protocol):
    """The ability to tell what containers have written."""

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """Return at most so many of its last lines, as far as 64 KiB hold them; none where there is no log to read.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        ...

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """Follow what it writes, on a connection of its own: this one can be closed. None where there is no log.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        ...


@runtime_checkable
class Inspect(Protocol):
    """The ability to tell all that is known of a container, in the runtime's own words."""

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """Return what could be written as JSON.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        ...


@runtime_checkable
class Sizes(Protocol):
    """The ability to count how much of a disk containers take, which can take its time."""

    def sizes(self, container: ContainerId) -> LayerSizes:
        """Count it.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        ...


@runtime_checkable
class Exec(Protocol):
    """The ability to start programs in containers that run."""

    def execute(
        self, container: ContainerId, command: Sequence[str], size: Size, environment: Sequence[str]
    ) -> Session:
        """Start a program on a terminal of its own, with ``NAME=VALUE`` beside the container's environment.

        Raises:
            NotThere: there is no such program in the container (of runtimes.exec).
            ActionFailed: it was not started; the runtime's own words.
        """
        ...


@runtime_checkable
class Events(Protocol):
    """The ability to tell what has happened, which a list of containers may have missed."""

    def events(self) -> tuple[Told, ...]:
        """Return what has happened since this was asked last, the oldest first; called after each `containers`.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        ...


EVERY_ABILITY = frozenset(("start", "stop", "restart", "pause", "unpause", "kill", "remove"))


def _nothing() -> None:
    pass


def _nowhere() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point names."""

    name: str
    sockets: tuple[str, ...]
    """Where the runtime may listen, best first.

    ``~``, ``$VARIABLES`` and ``*`` are expanded, those that cannot be are passed over.
    """
    connect: Callable[[str], Runtime]
    """Connect to a socket; raises `SourceUnavailable`."""
    prepare: Callable[[], None] = _nothing
    """Import the client library, so that its time is not taken for the runtime's silence."""
    configured: Callable[[], Sequence[str]] = _nowhere
    """Further sockets, as configuration files of the runtime's own tools name them; they come first."""
    runtime: str = ""
    """What its containers say they are run by, where that is not the plug-in's name."""
    lies_beneath: bool = False
    """Whether other runtimes use it for themselves: what is wrong with it then concerns nobody, unless it has
    containers of its own."""
    foreign: tuple[str, ...] = ()
    """Names of socket files that are another runtime's, which answers in this one's language too."""
    poll_s: float = 0.0
    """Seconds between calls of `Runtime.containers`; fewer when the kernel shows that containers have come or gone.

    Never less than 0.75 s, which is for a runtime that has cheap events.
    """


def entry_points(*, group: str, name: str | None = None) -> EntryPoints:
    """Return what packages register, as `importlib.metadata.entry_points` does."""
    # It imports a parser of mail and one of archives, and the screen is there before a runtime is looked for.
    from importlib.metadata import entry_points as found  # noqa: PLC0415  see above

    return found(group=group) if name is None else found(group=group, name=name)


def plugin_names() -> list[str]:
    """Return the names of all runtimes, without importing one."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> Plugin:
    """Import one runtime's plug-in.

    Raises:
        UsageError: there is none of that name.
    """
    for point in entry_points(group=GROUP, name=name):
        plugin = point.load()
        if isinstance(plugin, Plugin):
            return plugin
    message = f"no runtime is called {name!r}; there are: {', '.join(plugin_names())}"
    raise UsageError(message)


def sockets_there(plugin: Plugin, host_root: str = "") -> list[str]:
    """Return those of a plug-in's sockets that exist below ``host_root``, each once however many names it has."""
    found: dict[str, str] = {}
    for template in (*plugin.configured(), *plugin.sockets):
        # Path.expanduser() raises for a user without a home; this leaves the path as it is.
        path = os.path.expanduser(os.path.expandvars(template).removeprefix("unix://"))  # noqa: PTH111
        if not path.startswith("/"):
            continue
        path = host_root + path
        for each in sorted(glob.glob(path)) if "*" in path else [path]:  # noqa: PTH207  a whole path is the pattern
            real = os.path.realpath(each)
            if is_socket(each) and os.path.basename(real) not in plugin.foreign:  # noqa: PTH119
                found.setdefault(real, each)
    return list(found.values())


def is_socket(path: str) -> bool:
    """Whether a path is a socket, as far as we may look."""
    try:
        return Path(path).is_socket()
    except OSError:
        return False


def supports_lifecycle(runtime: object) -> Lifecycle | None:
    """Return the runtime as one that can change containers, if it is."""
    return runtime if isinstance(runtime, Lifecycle) else None


def supports_logs(runtime: object) -> Logs | None:
    """Return the runtime as one that can tell what containers have written, if it is."""
    return runtime if isinstance(runtime, Logs) else None


def supports_inspect(runtime: object) -> Inspect | None:
    """Return the runtime as one that tells all that it knows of a container, if it is."""
    return runtime if isinstance(runtime, Inspect) else None


def supports_sizes(runtime: object) -> Sizes | None:
    """Return the runtime as one that can count how much of a disk containers take, if it is."""
    return runtime if isinstance(runtime, Sizes) else None


def supports_exec(runtime: object) -> Exec | None:
    """Return the runtime as one that can start programs in containers, if it is."""
    return runtime if isinstance(runtime, Exec) else None


def supports_events(runtime: object) -> Events | None:
    """Return the runtime as one that can tell what has happened, if it is."""
    return runtime if isinstance(runtime, Events) else None


def chosen(options: Sequence[str]) -> dict[str, str | None]:
    """Parse ``--runtime NAME[=SOCKET]`` options: name to socket, None for the well-known places.

    Raises:
        UsageError: a name is unknown, or a socket is missing after the ``=``.
    """
    names = plugin_names()
    runtimes: dict[str, str | None] = {}
    for option in options:
        name, equals, socket = option.partition("=")
        socket = socket.removeprefix("unix://")
        if name not in names or (equals and not socket):
            message = f"--runtime {option}: expected NAME or NAME=SOCKET, with NAME one of {', '.join(names)}"
            raise UsageError(message)
        runtimes[name] = socket or None
    return runtimes
