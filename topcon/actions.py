"""Stop, start, restart, pause, kill, remove: the only code that changes the host.

An action names the container and the start time that the person saw, and is refused if it has been started again
since. Where its runtime does not answer, or has no way to do it, the kernel can stop, kill, pause and unpause; the way
is chosen when the question is asked. What was done is logged. With ``--read-only`` no `Actions` is made at all.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from topcon.errors import ActionFailed
from topcon.kernel import control
from topcon.model.event import Kind, Told
from topcon.model.sample import PodKind, Role, State
from topcon.signals import signal_name, signal_number
from topcon.text import printable, to_time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from topcon.kernel.mount import Hierarchies
    from topcon.kernel.process import ProcFs, SignalMasks
    from topcon.model.sample import CgroupSample, ContainerId, ContainerKey, ProcessSample
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.runtimes import Lifecycle
    from topcon.runtimes.watch import RuntimeWatch, RuntimeWatches

DEFAULT_GRACE_S = 10.0
"""What runtimes wait for where neither the container nor the person says."""
ANCESTORS = 8
"""How far up the SSH session is looked for: sudo hides it from its child, not from root."""
CONFIRM_S = 2.0
"""How long a runtime has to confirm that it holds a container for paused, or not, where the kernel says otherwise."""
STOP_SIGNAL = "SIGTERM"
ENDING = frozenset((STOP_SIGNAL, "SIGINT", "SIGQUIT", "SIGABRT", "SIGPWR", "SIGRTMIN+3"))
"""What those that handle them mostly take for a wish to end."""
CERTAIN = frozenset(("SIGSTOP", "SIGCONT"))
"""What does the same to all, and ends none."""
HARMLESS = CERTAIN | {"SIGCHLD", "SIGURG", "SIGWINCH", "SIGTSTP", "SIGTTIN", "SIGTTOU"}
"""What does not end those that do not handle it."""
_OF_LXC = ("SIGRTMIN+3", "SIGPWR", STOP_SIGNAL)
STOP_SIGNALS = {"nspawn": ("SIGRTMIN+3", STOP_SIGNAL), "lxc": _OF_LXC, "incus": _OF_LXC}
"""By runtime: what tells an init to shut its system down, systemd and others; the last is sent to those without."""


DONE = "done"
"""What the log says of what went well."""


class Verb(StrEnum):
    """What can be done to a container."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    REMOVE = "remove"

    @property
    def past(self) -> str:
        """As in "stopped web"."""
        return _INFLECTED[self][0]

    @property
    def ongoing(self) -> str:
        """As in "stopping web"."""
        return _INFLECTED[self][1]

    @property
    def has_grace(self) -> bool:
        """Whether it waits for the container to end by itself."""
        return self in {Verb.STOP, Verb.RESTART}


_INFLECTED = {
    Verb.START: ("started", "starting"),
    Verb.STOP: ("stopped", "stopping"),
    Verb.RESTART: ("restarted", "restarting"),
    Verb.PAUSE: ("paused", "pausing"),
    Verb.UNPAUSE: ("unpaused", "unpausing"),
    Verb.KILL: ("killed", "killing"),
    Verb.REMOVE: ("removed", "removing"),
}


class Way(StrEnum):
    """Who does it."""

    RUNTIME = "runtime"
    KERNEL = "kernel"


POSSIBLE = {
    State.RUNNING: (Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.KILL),
    State.PAUSED: (Verb.UNPAUSE, Verb.STOP, Verb.RESTART, Verb.KILL),
    State.RESTARTING: (Verb.STOP, Verb.RESTART, Verb.KILL),
    State.UNKNOWN: (Verb.STOP, Verb.RESTART, Verb.KILL),
    State.CREATED: (Verb.START, Verb.RESTART, Verb.REMOVE),
    State.EXITED: (Verb.START, Verb.RESTART, Verb.REMOVE),
    State.DEAD: (Verb.REMOVE,),
}
"""What makes sense in each state."""
BY_KERNEL = frozenset({Verb.STOP, Verb.KILL, Verb.PAUSE, Verb.UNPAUSE})


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for, and of which container as they saw it."""

    verb: Verb
    key: ContainerKey
    id: ContainerId
    name: str
    started_ns: int | None
    """When the container that the person saw was started; None if it never was, or the runtime does not say."""
    was_live: bool
    way: Way = Way.RUNTIME
    process: ProcessSample | None = None
    """Its first process, as the person saw it."""
    cgroup: CgroupSample | None = None
    """Its own cgroup; its path and inode are what the kernel's way goes by."""
    stop_signals: tuple[str, ...] = (STOP_SIGNAL,)
    """For the kernel's way: the first that is handled, or else the last."""
    grace_s: float = DEFAULT_GRACE_S
    signal: str = "SIGKILL"
    """For `Verb.KILL`."""
    member: ProcessSample | None = None
    """For `Verb.KILL` through the kernel: the process of it that alone is signalled, as the person saw it."""

    @property
    def past(self) -> str:
        """As in "stopped web"; a signal that it may outlive has only been sent."""
        if self.member is not None:
            return f"sent {self.signal} to {process_text(self.member)} of"
        is_sent = self.verb is Verb.KILL and self.signal != "SIGKILL"
        return f"sent {self.signal} to" if is_sent else self.verb.past


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
            of = f"{process_text(self.request.member)} of " if self.request.member is not None else ""
            return f"{self.request.verb} {of}{name}: {printable(self.error)}"
        way = ", through the kernel" if self.request.way is Way.KERNEL else ""
        logged = f", but {printable(self.warning)}" if self.warning else ""
        return f"{self.request.past} {name} in {self.took_s:.1f} s{way}{logged}"


def _told(request: Request, result: str, took_s: float) -> Told:
    """Say how an action ended, for the list of what has happened."""
    if result == DONE:
        way = ", through the kernel" if request.way is Way.KERNEL else ""
        kind, detail = Kind.ACTION, f"topcon {request.past} it in {took_s:.1f} s{way}"
    else:
        kind, detail = Kind.FAILED, f"topcon was to {request.verb} it: {result}"
    return Told(time.time_ns(), kind, request.key, request.name, detail=detail)


def request_for(
    verb: Verb,
    container: ContainerNode,
    grace_s: float | None = None,
    signal: str = "SIGKILL",
    way: Way = Way.RUNTIME,
    member: ProcessSample | None = None,
) -> Request:
    """Ask for something to be done to a container as it is seen now, in the way that the person is told of.

    With ``member`` it is done to that process of it alone.

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
        way=way,
        process=container.process,
        cgroup=container.cgroup,
        stop_signals=_stop_signals(container),
        grace_s=grace_s if grace_s is not None else DEFAULT_GRACE_S if own_grace_s is None else own_grace_s,
        signal=signal_name(signal),
        member=member,
    )


def process_text(process: ProcessSample) -> str:
    """Name a process."""
    return f"process {process.pid} ({printable(process.comm)})"


def _stop_signals(container: ContainerNode) -> tuple[str, ...]:
    own = container.info.stop_signal
    if own is None:
        return STOP_SIGNALS.get(container.info.runtime, (STOP_SIGNAL,))
    try:
        return (signal_name(own),)
    except ValueError:
        # Images can name what is no signal.
        return (STOP_SIGNAL,)


def _heeded(signals: tuple[str, ...], masks: SignalMasks | None) -> str:
    """Of several signals, the first that a process handles, or else the last."""
    handled = (name for name in signals[:-1] if masks is not None and masks.handles(signal_number(name)))
    return next(handled, signals[-1])


def describe(request: Request, container: ContainerNode) -> str:
    """Say what an action does, in a line."""
    match request.verb:
        case Verb.RESTART if not request.was_live:
            return "starts it"
        case Verb.STOP | Verb.RESTART:
            return _stop_by_kernel(request) if request.way is Way.KERNEL else _stop_by_runtime(request, container)
        case Verb.KILL if request.member is not None:
            return f"sends {request.signal} to {process_text(request.member)} alone"
        case Verb.KILL:
            is_all = request.way is Way.KERNEL and request.signal == "SIGKILL"
            return f"sends {request.signal} to {'all its processes' if is_all else 'its first process'}"
        case Verb.PAUSE | Verb.UNPAUSE | Verb.START | Verb.REMOVE:
            return _SIMPLE[request.verb]
        case _:
            assert_never(request.verb)


_SIMPLE = {
    Verb.PAUSE: "freezes all its processes where they are",
    Verb.UNPAUSE: "lets its processes run again",
    Verb.START: "starts it",
    Verb.REMOVE: "removes it, with all that it has written outside of its volumes",
}


def _stop_by_runtime(request: Request, container: ContainerNode) -> str:
    stop_signal = printable(container.info.stop_signal or STOP_SIGNAL)
    then = ", then starts it" if request.verb is Verb.RESTART else ""
    return f"sends {stop_signal}, after {request.grace_s:g} s SIGKILL{then}"


def _stop_by_kernel(request: Request) -> str:
    *others, last = request.stop_signals
    names = f"{', '.join(others)} or {last}, whichever it handles," if others else last
    return f"sends {names} to its first process; after {request.grace_s:g} s SIGKILL to all"


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
        line: dict[str, object] = {
            "action": request.verb,
            "way": request.way,
            "container": request.key,
            "name": request.name,
            "result": result,
            "took_s": round(took_s, 3),
        }
        if request.verb.has_grace:
            line["grace_s"] = request.grace_s
        if request.verb is Verb.KILL:
            line["signal"] = request.signal
        if request.member is not None:
            line["process"] = {"pid": request.member.pid, "comm": request.member.comm}
        self._append(line)

    def write_shell(self, container: ContainerNode, way: Way, result: str, took_s: float) -> None:
        """Append a line about a shell that was opened in a container, or has ended.

        Raises:
            OSError: the file cannot be written.
        """
        line = {"action": "shell", "way": way, "container": container.key, "name": container.name}
        self._append({**line, "result": result, "took_s": round(took_s, 3)})

    def _append(self, line: Mapping[str, object]) -> None:
        who = {"time": to_time_text(self._clock()), "user": _user(), "ssh_client": self._ssh_client}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**who, **line}) + "\n")


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
        hierarchies: Hierarchies | None = None,
        tell: Callable[[Told], object] = lambda _: None,
    ) -> None:
        """Act through ``runtimes`` and log in ``audit_log``; ``clock`` gives seconds.

        Without ``hierarchies``, where the cgroups are, the kernel is not asked to act. ``tell`` is told what was done,
        and what was not, on any thread.
        """
        self._runtimes = runtimes
        self._processes = processes
        self.audit_log = audit_log
        self._clock = clock
        self._hierarchies = hierarchies
        self._tell = tell
        self._running: dict[ContainerKey, tuple[Request, float]] = {}

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        """Return what can be done to a container now, in one way or the other."""
        watch = self._runtimes.of(container.info.id)
        return tuple(verb for verb in POSSIBLE[container.info.state] if self._way(verb, container, watch) is not None)

    def way(self, verb: Verb, container: ContainerNode) -> Way | None:
        """Choose who would do it; None if nobody can.

        Where the runtime says otherwise than the kernel whether the container is paused, it is heard again, which can
        take some seconds: it may only be late.
        """
        watch = self._runtimes.of(container.info.id)
        if watch is not None and watch.answers and _is_out_of_step(verb, container, watch):
            self._hear_again(watch)
        return self._way(verb, container, watch)

    def _way(self, verb: Verb, container: ContainerNode, watch: RuntimeWatch | None) -> Way | None:
        is_able = watch is not None and watch.answers and verb in watch.abilities
        if is_able and watch is not None and not _is_out_of_step(verb, container, watch):
            return Way.RUNTIME
        if watch is None and self._runtimes.is_settling:
            # Its runtime may only not have been heard yet.
            return None
        if self._may(verb, container):
            return Way.KERNEL
        return Way.RUNTIME if is_able else None

    def _hear_again(self, watch: RuntimeWatch) -> None:
        before, until_s = watch.infos, self._clock() + CONFIRM_S
        watch.wake()
        while watch.infos is before and self._clock() < until_s:
            time.sleep(0.02)

    def _may(self, verb: Verb, container: ContainerNode) -> bool:
        """Whether the kernel would do it for us."""
        cgroup = self._cgroup(container.cgroup)
        if verb not in BY_KERNEL or cgroup is None or container.process is None:
            return False
        if verb in {Verb.PAUSE, Verb.UNPAUSE}:
            return control.may_freeze(cgroup)
        may_signal = control.may_signal(self._processes.root, container.process)
        if verb is Verb.KILL:
            return may_signal or control.may_kill(cgroup)
        return may_signal and (container.info.state is not State.PAUSED or control.may_freeze(cgroup))

    def _cgroup(self, cgroup: CgroupSample | None) -> control.Cgroup | None:
        if cgroup is None or self._hierarchies is None:
            return None
        return control.Cgroup(self._hierarchies, cgroup.path, cgroup.inode)

    def obstacle(self, verb: Verb, container: ContainerNode) -> str:
        """Say why something cannot be done to a container now."""
        if verb not in POSSIBLE[container.info.state]:
            return f"it is {container.info.state}"
        why = self._why_not_runtime(verb, container)
        could = verb in BY_KERNEL and container.process is not None and self._cgroup(container.cgroup) is not None
        return f"{why}, and without one only root could" if could else why

    def _why_not_runtime(self, verb: Verb, container: ContainerNode) -> str:
        watch = self._runtimes.of(container.info.id)
        name = container.info.runtime
        if watch is None:
            watches = [each for each in self._runtimes.look() if each.plugin.name == name]
            is_silent = bool(watches) and not any(each.answers for each in watches)
            return f"{name} does not answer" if is_silent else "no runtime that answers knows it"
        if not watch.answers:
            return f"{watch.plugin.name} does not answer"
        if _is_out_of_step(verb, container, watch):
            return f"{watch.plugin.name} holds it for {_said(container, watch)}"
        return f"{watch.plugin.name} has no way to {verb} it"

    def running(self) -> list[tuple[Request, float]]:
        """Return the actions that have not ended, and how many seconds ago they began."""
        now = self._clock()
        return [(request, now - begun) for request, begun in list(self._running.values())]

    def perform(self, request: Request) -> Outcome:
        """Do it, wait for its end, and log it. An error of the runtime is in the outcome, in its own words."""
        begun = self._clock()
        own = (request, begun)
        first = self._running.setdefault(request.key, own)
        if first is not own:
            return self.refuse(request, f"not done: {first[0].verb} is still under way")
        error = None
        try:
            self._perform(request)
        except ActionFailed as failure:
            error = str(failure)
        finally:
            self._running.pop(request.key, None)
        took_s = self._clock() - begun
        return Outcome(request, took_s, error, self._log(request, error or DONE, took_s))

    def refuse(self, request: Request, why: str) -> Outcome:
        """Leave it, and log that."""
        return Outcome(request, 0.0, why, self._log(request, why, 0.0))

    def close(self) -> None:
        """Log the actions that topcon does not live to see the end of."""
        for request, ago_s in self.running():
            self._log(request, "unknown: topcon ended before it was done", ago_s)
        self._running.clear()

    def _log(self, request: Request, result: str, took_s: float) -> str | None:
        self._tell(_told(request, result, took_s))
        try:
            self.audit_log.write(request, result, took_s)
        except OSError as error:
            return f"not logged: {self.audit_log.path}: {error.strerror}"
        return None

    def _perform(self, request: Request) -> None:
        if request.way is Way.KERNEL:
            self._perform_by_kernel(request)
        else:
            self._perform_by_runtime(request)

    def _perform_by_runtime(self, request: Request) -> None:
        watch = self._runtimes.of(request.id)
        if watch is None:
            message = "no runtime that answers knows it"
            raise ActionFailed(message)
        if request.was_live and request.started_ns is None and request.process is None:
            message = f"{watch.plugin.name} has not told yet when it was started: try again in a second"
            raise ActionFailed(message)
        runtime, lifecycle = watch.lifecycle()
        try:
            if not self._is_same(lifecycle, request):
                message = "not done: it has been started again since you looked; look again"
                raise ActionFailed(message)
            _do(lifecycle, request)
        finally:
            runtime.close()

    def _is_same(self, lifecycle: Lifecycle, request: Request) -> bool:
        """Whether the container has not been started since; some runtimes do not say when, but the kernel does."""
        if request.was_live and request.started_ns is None and request.process is not None:
            return self._processes.is_running(request.process)
        return lifecycle.started_ns(request.id) == request.started_ns

    def _perform_by_kernel(self, request: Request) -> None:
        if request.member is not None:
            control.send_signal(self._processes.root, request.member, signal_number(request.signal))
            return
        cgroup = self._cgroup(request.cgroup)
        if cgroup is None or request.process is None:
            message = "it has no cgroup and process that the kernel could act on"
            raise ActionFailed(message)
        root, process = self._processes.root, request.process
        match request.verb:
            case Verb.STOP:
                name = _heeded(request.stop_signals, self._processes.signal_masks(process.pid))
                control.stop(root, process, cgroup, signal_number(name), request.grace_s)
            case Verb.KILL if request.signal == "SIGKILL":
                control.kill(cgroup)
            case Verb.KILL:
                control.send_signal(root, process, signal_number(request.signal))
            case Verb.PAUSE:
                control.freeze(cgroup)
            case Verb.UNPAUSE:
                control.thaw(cgroup)
            case _:
                message = f"the kernel cannot {request.verb} a container"
                raise ActionFailed(message)

    def consequences(
        self,
        verb: Verb,
        container: ContainerNode,
        snapshot: Snapshot,
        way: Way = Way.RUNTIME,
        signal: str = "SIGKILL",
    ) -> list[str]:
        """Say what an action would do beside what its name says, a line each; ``signal`` is what kills.

        Reads the kernel, about a millisecond.

        Raises:
            ValueError: there is no such signal.
        """
        if verb is Verb.START:
            return []
        if verb is Verb.REMOVE:
            return _removal_lines(container, snapshot)
        lines: list[str | None] = [*self._lines_of_the_way(verb, container)] if way is Way.KERNEL else []
        if verb in {Verb.PAUSE, Verb.UNPAUSE}:
            lines.append(_sharing_line(container, snapshot, "goes on" if verb is Verb.PAUSE else "is not touched"))
            return [line for line in lines if line]
        if verb is Verb.KILL and (name := signal_name(signal)) != "SIGKILL":
            fate, may_end = self._fate(container.process, name)
            lines.append(fate)
            if not may_end:
                return [line for line in lines if line]
        lines += [
            _network_line(container, snapshot),
            _nested_line(container, snapshot),
            *_restart_lines(verb, container, snapshot, way),
            self._connections_line(container, snapshot),
        ]
        if verb.has_grace:
            lines.append(self._signal_line(container, way))
        return [line for line in lines if line]

    def may_signal(self, member: ProcessSample) -> bool:
        """Whether the kernel lets us signal a process."""
        return control.may_signal(self._processes.root, member)

    def consequences_for_process(
        self, member: ProcessSample, container: ContainerNode, snapshot: Snapshot, signal: str
    ) -> list[str]:
        """Say what a signal to one process of a container would do, a line each.

        Raises:
            ValueError: there is no such signal.
        """
        first = container.process
        if first is not None and first.identity == member.identity:
            _, may_end = self._fate(member, signal_name(signal))
            lines = ["it is the first process: its end is the end of all others"] if may_end else []
            return lines + self.consequences(Verb.KILL, container, snapshot, Way.RUNTIME, signal)
        fate, _ = self._fate(member, signal_name(signal), "it")
        return [fate] if fate else []

    def _lines_of_the_way(self, verb: Verb, container: ContainerNode) -> list[str]:
        """Say why it goes through the kernel, and that the runtime is not told."""
        lines = [f"{self._why_not_runtime(verb, container)}: {_THROUGH_KERNEL[verb]}"]
        watch, runtime = self._runtimes.of(container.info.id), container.info.runtime
        said = _said(container, watch) if watch is not None else None
        if verb is Verb.PAUSE and said is not State.PAUSED and runtime != "none":
            lines.append(f"{runtime} is not told: its own pause state stays `running`")
        if verb is Verb.UNPAUSE and said is State.PAUSED:
            lines.append(f"{runtime} is not told: its own pause state stays `paused`")
        return lines

    def _connections_line(self, container: ContainerNode, snapshot: Snapshot) -> str | None:
        if container.process is None:
            return None
        if container.netns == snapshot.sample.host.netns:
            count = self._host_connections(container)
        else:
            count = self._processes.established(container.process.pid)
        return connections_text(count) if count else None

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

    def _fate(
        self, process: ProcessSample | None, signal: str, who: str = "its first process"
    ) -> tuple[str | None, bool]:
        """Say what a process makes of a signal, and whether that may be its end."""
        masks = self._processes.signal_masks(process.pid) if process else None
        if masks is None or process is None or signal in CERTAIN or signal == "SIGKILL":
            return None, signal not in HARMLESS
        if masks.handles(signal_number(signal)):
            return f"{who} handles {signal}", signal in ENDING
        if masks.ignores(signal_number(signal)):
            return f"{who} ignores {signal}: nothing happens", False
        if process.ns_pids[-1:] == (1,):
            # The kernel spares the first process of a PID namespace what it does not handle.
            return f"{who} does not handle {signal}: nothing happens", False
        return None, signal not in HARMLESS

    def _signal_line(self, container: ContainerNode, way: Way) -> str | None:
        masks = self._processes.signal_masks(container.process.pid) if container.process else None
        if masks is None or container.process is None:
            return None
        try:
            name = signal_name(
                _heeded(_stop_signals(container), masks)
                if way is Way.KERNEL
                else container.info.stop_signal or STOP_SIGNAL
            )
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


def connections_text(count: int) -> str:
    """Say what becomes of open connections."""
    return f"{count} open TCP connection{'s' if count > 1 else ''} will be cut"


_THROUGH_KERNEL = {
    Verb.STOP: "the signal goes to the process itself",
    Verb.KILL: "the signal goes to the container itself",
    Verb.PAUSE: "its cgroup is frozen",
    Verb.UNPAUSE: "its cgroup is thawed",
}


def _said(container: ContainerNode, watch: RuntimeWatch) -> State | None:
    """The state that the runtime itself has last told, whatever the kernel says."""
    return next((info.state for info in watch.infos if info.id == container.info.id), None)


def _is_out_of_step(verb: Verb, container: ContainerNode, watch: RuntimeWatch) -> bool:
    """Whether the runtime would refuse, since it has not seen a pause, or its end, that the kernel shows."""
    if verb is Verb.UNPAUSE:
        return _said(container, watch) is State.RUNNING
    return verb is Verb.PAUSE and _said(container, watch) is State.PAUSED


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
        case Verb.REMOVE:
            lifecycle.remove(request.id)
        case _:
            assert_never(request.verb)


def _removal_lines(container: ContainerNode, snapshot: Snapshot) -> list[str]:
    info = container.info
    lines = []
    if any(_ANONYMOUS.search(volume.source) for volume in info.volumes):
        lines.append("its anonymous volumes stay")
    if info.runtime == _LXC:
        lines.append("its snapshots go with it")
    if _is_kubernetes(container, snapshot):
        what = "the stopped containers of its pod go with it" if info.role is Role.SANDBOX else "its last logs are lost"
        lines.append(what)
    guests = [printable(other.name) for other in snapshot.containers.values() if other.info.joins_network_of == info.id]
    if guests:
        lines.append(f"without it there is no start for {', '.join(sorted(guests))}, which would join its network")
    return lines


_LXC = "lxc"
_ANONYMOUS = re.compile(r"(^|/)[0-9a-f]{64}(/_data)?$")
"""The name of a volume that nobody named, or its path."""


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


def _network_line(container: ContainerNode, snapshot: Snapshot) -> str | None:
    """Say what becomes of those on its network when it ends."""
    if container.info.role is not Role.SANDBOX:
        return _sharing_line(container, snapshot, "loses it" if container.is_network_owner else "keeps it")
    if not _is_kubernetes(container, snapshot):
        # Podman's pods outlive their infra container.
        return _sharing_line(container, snapshot, "keeps it")
    pod = next((pod for pod in snapshot.pods if any(each.key == container.key for each in pod.containers)), None)
    is_apart = container.netns is not None and container.netns != snapshot.sample.host.netns
    count = sum(
        1
        for other in (pod.containers if pod and is_apart else ())
        if other.key != container.key and other.netns == container.netns
    )
    match count:
        case 0:
            return "ends the pod"
        case 1:
            return "ends the pod: its other container loses its network"
        case _:
            return f"ends the pod: its {count} containers lose their network"


def _nested_line(container: ContainerNode, snapshot: Snapshot) -> str | None:
    names = [printable(other.name) for other in snapshot.containers.values() if other.outer == container.key]
    return f"ends the containers inside it: {', '.join(sorted(names))}" if names else None


def _restart_lines(verb: Verb, container: ContainerNode, snapshot: Snapshot, way: Way) -> list[str]:
    if verb is Verb.RESTART:
        return []
    lines = []
    if _is_kubernetes(container, snapshot):
        lines.append("kubelet will start it again")
    elif way is Way.KERNEL:
        lines += _unannounced_lines(container)
    else:
        lines += _policy_lines(container)
    unit = container.info.labels.get("PODMAN_SYSTEMD_UNIT")
    if unit:
        lines.append(f"systemd's {printable(unit)} may start it again")
    return lines


def _is_kubernetes(container: ContainerNode, snapshot: Snapshot) -> bool:
    info = container.info
    found = snapshot.sample.found.get(container.cgroup.path) if container.cgroup else None
    kinds = {pod.kind for pod in (info.pod, found.pod if found else None) if pod}
    return PodKind.KUBERNETES in kinds or "io.kubernetes.pod.name" in info.labels


def _policy_lines(container: ContainerNode) -> list[str]:
    info = container.info
    match info.restart_policy:
        case "always":
            return [f"{info.runtime} starts it again when the daemon restarts (restart policy always)"]
        case "unless-stopped" | "on-failure":
            return [f"stays stopped (restart policy {info.restart_policy})"]
        case _:
            return []


def _unannounced_lines(container: ContainerNode) -> list[str]:
    """Say what the runtime makes of an end that it did not ask for."""
    info = container.info
    if info.runtime == "none":
        return []
    match info.restart_policy:
        case "always" | "unless-stopped":
            return [f"{info.runtime} takes it for a crash and starts it again (restart policy {info.restart_policy})"]
        case "on-failure":
            return [f"{info.runtime} starts it again unless it ends with 0 (restart policy on-failure)"]
        case None:
            return [f"{info.runtime} will see it as exited; its restart policy is not known"]
        case _:
            return [f"{info.runtime} will see it as exited"]
