"""Stop, start, restart, pause, kill: the only code that changes the host.

An action names the container and the start time that the person saw, and is refused if it has been started again
since. What was done is logged. With ``--read-only`` no `Actions` is made at all.
"""

from __future__ import annotations

import json
import os
import pwd
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from topcon.errors import ActionFailed
from topcon.kernel.process import signal_name, signal_number
from topcon.model.sample import State
from topcon.text import printable, to_time_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.kernel.process import ProcFs
    from topcon.model.sample import ContainerId, ContainerKey
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.runtimes import Lifecycle
    from topcon.runtimes.watch import RuntimeWatches

DEFAULT_GRACE_S = 10.0
"""What runtimes wait for where neither the container nor the person says."""
ANCESTORS = 8
"""How far up the SSH session is looked for: sudo hides it from its child, not from root."""


class Verb(StrEnum):
    """What can be done to a container."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"

    @property
    def past(self) -> str:
        """As in "stopped web"."""
        return {Verb.STOP: "stopped", Verb.PAUSE: "paused", Verb.UNPAUSE: "unpaused", Verb.KILL: "killed"}.get(
            self, f"{self}ed"
        )

    @property
    def has_grace(self) -> bool:
        """Whether it waits for the container to end by itself."""
        return self in {Verb.STOP, Verb.RESTART}


_POSSIBLE = {
    State.RUNNING: (Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.KILL),
    State.PAUSED: (Verb.UNPAUSE, Verb.STOP, Verb.RESTART, Verb.KILL),
    State.RESTARTING: (Verb.STOP, Verb.RESTART, Verb.KILL),
    State.UNKNOWN: (Verb.STOP, Verb.RESTART, Verb.KILL),
    State.CREATED: (Verb.START, Verb.RESTART),
    State.EXITED: (Verb.START, Verb.RESTART),
    State.DEAD: (),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for, and of which container as they saw it."""

    verb: Verb
    key: ContainerKey
    id: ContainerId
    name: str
    started_ns: int | None
    """When the container that the person saw was started; None if it never was."""
    was_live: bool
    grace_s: float = DEFAULT_GRACE_S
    signal: str = "SIGKILL"
    """For `Verb.KILL`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended."""

    request: Request
    took_s: float
    error: str | None = None
    warning: str | None = None
    """It was done, but could not be logged."""

    @property
    def text(self) -> str:
        """The outcome in a line."""
        name = printable(self.request.name)
        if self.error is not None:
            return f"{self.request.verb} {name}: {printable(self.error)}"
        logged = f", but {printable(self.warning)}" if self.warning else ""
        return f"{self.request.verb.past} {name} in {self.took_s:.1f} s{logged}"


def request_for(verb: Verb, container: ContainerNode, grace_s: float | None = None, signal: str = "SIGKILL") -> Request:
    """Ask for something to be done to a container as it is seen now.

    Raises:
        ValueError: there is no such signal.
    """
    own_grace_s = container.info.grace_s
    return Request(
        verb=verb,
        key=container.key,
        id=container.info.id,
        name=container.name,
        started_ns=container.info.started_ns,
        was_live=container.info.state.is_live,
        grace_s=grace_s if grace_s is not None else DEFAULT_GRACE_S if own_grace_s is None else own_grace_s,
        signal=signal_name(signal),
    )


def describe(request: Request, container: ContainerNode) -> str:
    """Say what an action does, in a line."""
    stop_signal = printable(container.info.stop_signal or "SIGTERM")
    match request.verb:
        case Verb.RESTART if not request.was_live:
            return "starts it"
        case Verb.STOP | Verb.RESTART:
            then = ", then starts it" if request.verb is Verb.RESTART else ""
            return f"sends {stop_signal}, after {request.grace_s:g} s SIGKILL{then}"
        case Verb.KILL:
            return f"sends {request.signal} to its first process"
        case Verb.PAUSE:
            return "freezes all its processes where they are"
        case Verb.UNPAUSE:
            return "lets its processes run again"
        case Verb.START:
            return "starts it"
        case _:
            assert_never(request.verb)


class AuditLog:
    """A file with a JSON object a line: what was done, by whom, to what, and how it ended."""

    def __init__(self, path: Path, ssh_client: str | None, clock: Callable[[], int] = time.time_ns) -> None:
        """Append to ``path``, which is made when the first line is written."""
        self.path = path
        self._ssh_client = ssh_client
        self._clock = clock

    def write(self, request: Request, result: str, took_s: float) -> None:
        """Append a line, in one write.

        Raises:
            OSError: the file cannot be written.
        """
        line = {
            "time": to_time_text(self._clock()),
            "user": _user(),
            "ssh_client": self._ssh_client,
            "action": request.verb,
            "container": request.key,
            "name": request.name,
            "result": result,
            "took_s": round(took_s, 3),
        }
        if request.verb.has_grace:
            line["grace_s"] = request.grace_s
        if request.verb is Verb.KILL:
            line["signal"] = request.signal
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _user() -> str:
    """Return who acts: behind sudo, the one who called it."""
    if os.geteuid() == 0 and (sudo_user := os.environ.get("SUDO_USER")):
        return f"{sudo_user} (sudo)"
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def ssh_client(processes: ProcFs) -> str | None:
    """Return the address that the person's SSH session comes from; None without one."""
    own = os.environ.get("SSH_CLIENT") or os.environ.get("SSH_CONNECTION")
    pid = os.getpid()
    for _ in range(ANCESTORS):
        if own:
            return own.split()[0]
        parent = processes.parent(pid)
        if not parent:
            return None
        pid = parent
        own = processes.environment(pid).get("SSH_CLIENT")
    return None


class Actions:
    """Does what people ask for. Its calls wait for the runtime, so they belong on a thread of their own."""

    def __init__(
        self,
        runtimes: RuntimeWatches,
        processes: ProcFs,
        audit_log: AuditLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Act through ``runtimes`` and log in ``audit_log``; ``clock`` gives seconds."""
        self._runtimes = runtimes
        self._processes = processes
        self._audit_log = audit_log
        self._clock = clock
        self._running: dict[ContainerKey, tuple[Request, float]] = {}

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        """Return what can be done to a container now; nothing while no runtime knows it."""
        watch = self._runtimes.of(container.info.id)
        return _POSSIBLE[container.info.state] if watch is not None and watch.can_act else ()

    def running(self) -> list[tuple[Request, float]]:
        """Return the actions that have not ended, and how many seconds ago they began."""
        now = self._clock()
        return [(request, now - begun) for request, begun in list(self._running.values())]

    def perform(self, request: Request) -> Outcome:
        """Do it, wait for its end, and log it. An error of the runtime is in the outcome, in its own words."""
        begun = self._clock()
        if request.key in self._running:
            return Outcome(request, 0.0, f"not done: {self._running[request.key][0].verb} is still under way")
        self._running[request.key] = (request, begun)
        error = None
        try:
            self._perform(request)
        except ActionFailed as failure:
            error = str(failure)
        finally:
            self._running.pop(request.key, None)
        took_s = self._clock() - begun
        return Outcome(request, took_s, error, self._log(request, error or "done", took_s))

    def close(self) -> None:
        """Log the actions that topcon does not live to see the end of."""
        for request, ago_s in self.running():
            self._log(request, "unknown: topcon ended before it was done", ago_s)
        self._running.clear()

    def _log(self, request: Request, result: str, took_s: float) -> str | None:
        try:
            self._audit_log.write(request, result, took_s)
        except OSError as error:
            return f"not logged: {self._audit_log.path}: {error.strerror}"
        return None

    def _perform(self, request: Request) -> None:
        watch = self._runtimes.of(request.id)
        if watch is None:
            message = "no runtime that answers knows it"
            raise ActionFailed(message)
        if request.was_live and request.started_ns is None:
            message = f"{watch.plugin.name} has not told yet when it was started: try again in a second"
            raise ActionFailed(message)
        runtime, lifecycle = watch.lifecycle()
        try:
            if lifecycle.started_ns(request.id) != request.started_ns:
                message = "not done: it has been started again since you looked; look again"
                raise ActionFailed(message)
            _do(lifecycle, request)
        finally:
            runtime.close()

    def consequences(self, verb: Verb, container: ContainerNode, snapshot: Snapshot) -> list[str]:
        """Say what an action would do beside what its name says, a line each.

        Reads the kernel, about a millisecond.
        """
        if verb is Verb.START:
            return []
        if verb in {Verb.PAUSE, Verb.UNPAUSE}:
            sharing = _sharing_line(container, snapshot, "goes on" if verb is Verb.PAUSE else "is not touched")
            return [sharing] if sharing else []
        lines = [
            _sharing_line(container, snapshot, "loses it" if container.is_network_owner else "keeps it"),
            _nested_line(container, snapshot),
            _restart_line(verb, container),
            self._connections_line(container, snapshot),
        ]
        if verb.has_grace:
            lines.append(self._signal_line(container))
        return [line for line in lines if line]

    def _connections_line(self, container: ContainerNode, snapshot: Snapshot) -> str | None:
        if container.process is None:
            return None
        if container.netns == snapshot.sample.host.netns:
            count = self._host_connections(container)
        else:
            count = self._processes.established(container.process.pid)
        if not count:
            return None
        return f"{count} open TCP connection{'s' if count > 1 else ''} will be cut"

    def _host_connections(self, container: ContainerNode) -> int | None:
        """Count the connections of a container on the host's network, by the cgroup that opened them."""
        if container.cgroup is None:
            return None
        # 0.2 s, and only those on the host's network need it.
        from topcon.kernel.netlink import established_by_cgroup  # noqa: PLC0415

        try:
            return established_by_cgroup().get(container.cgroup.inode)
        except OSError:
            return None

    def _signal_line(self, container: ContainerNode) -> str | None:
        masks = self._processes.signal_masks(container.process.pid) if container.process else None
        if masks is None or container.process is None:
            return None
        try:
            name = signal_name(container.info.stop_signal or "SIGTERM")
        except ValueError:
            # Images can name what is no signal; what a runtime makes of it, it will say.
            return None
        number = signal_number(name)
        if masks.handles(number):
            return f"its first process handles {name}"
        if masks.ignores(number):
            return f"its first process ignores {name}: expect SIGKILL"
        if container.process.ns_pids[-1:] == (1,):
            return f"its first process does not handle {name}: expect SIGKILL"
        return None


def _do(lifecycle: Lifecycle, request: Request) -> None:
    match request.verb:
        case Verb.START:
            lifecycle.start(request.id)
        case Verb.STOP:
            lifecycle.stop(request.id, request.grace_s)
        case Verb.RESTART:
            lifecycle.restart(request.id, request.grace_s)
        case Verb.PAUSE:
            lifecycle.pause(request.id)
        case Verb.UNPAUSE:
            lifecycle.unpause(request.id)
        case Verb.KILL:
            lifecycle.kill(request.id, request.signal)
        case _:
            assert_never(request.verb)


def _sharing_line(container: ContainerNode, snapshot: Snapshot, fate: str) -> str | None:
    if container.netns is None or container.netns == snapshot.sample.host.netns:
        return None
    names = [
        printable(other.name)
        for other in snapshot.containers.values()
        if other.netns == container.netns and other.key != container.key
    ]
    if not names:
        return None
    return f"shares its network with {', '.join(sorted(names))}, which {fate}"


def _nested_line(container: ContainerNode, snapshot: Snapshot) -> str | None:
    names = [printable(other.name) for other in snapshot.containers.values() if other.outer == container.key]
    return f"ends the containers inside it: {', '.join(sorted(names))}" if names else None


def _restart_line(verb: Verb, container: ContainerNode) -> str | None:
    if verb is Verb.RESTART:
        return None
    info = container.info
    if "io.kubernetes.pod.name" in info.labels:
        return "kubelet will start it again"
    match info.restart_policy:
        case "always":
            return f"{info.runtime} starts it again when the daemon restarts (restart policy always)"
        case "unless-stopped" | "on-failure":
            return f"stays stopped (restart policy {info.restart_policy})"
        case _:
            return None
