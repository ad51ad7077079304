"""Kubernetes' pods, by the Container Runtime Interface, which containerd and CRI-O both speak.

https://github.com/kubernetes/cri-api, ``runtime.v1``. Two list calls, and one status call for a container whose state
has changed. Events are not asked for: containerd 1.7 hands each to one listener only, and would take them from kubelet.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.sample import ContainerId, ContainerInfo, PodInfo, PodKind, Role, Source, State, Volume
from topcon.runtimes.feeds import FileFeed
from topcon.runtimes.grpc_channel import Refused
from topcon.runtimes.logs import CRI, LARGEST_BYTES, parse_cri
from topcon.runtimes.messages import decode, encode, pairs, text, to_json
from topcon.runtimes.spec import OWN_TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import LogLine
    from topcon.runtimes.grpc_channel import GrpcChannel

STATUSES_S = 0.75
"""Asking for statuses stops after so long, and goes on at the next call."""
KILLED_S = 15.0
"""How much longer than the grace period a stop may take."""
RESTARTED_S = 60.0
"""How long kubelet may take to start a container again."""
LOOK_S = 0.5
"""How often it is looked for."""
REMEDY = "run topcon with sudo"
"""For logs, which kubelet keeps to root."""
PROC = Path("/proc")
CONFIGURATION = Path("/etc/crictl.yaml")

_SERVICE = "/runtime.v1.RuntimeService"
_STATES = {0: State.CREATED, 1: State.RUNNING, 2: State.EXITED}
_SANDBOX_STATES = {0: State.RUNNING, 1: State.EXITED}
_TYPE = "io.kubernetes.container.type"
_ROLES = {"init": Role.INIT, "ephemeral": Role.EPHEMERAL}
_GRACE = "io.kubernetes.pod.terminationGracePeriod"
_KUBELETS = {"kubelet", "kubelite", "k3s-server", "k3s-agent"}
_BUNDLED = {"k3s", "k0s", "rke2"}
"""Programs that are kubelet among other things, by their second word."""


def parse_info(info: Mapping[str, str]) -> dict[str, Any]:
    """Take apart what a daemon tells beside a status, each text of which may be JSON."""
    return {name: _parsed(said) for name, said in info.items()}


def _parsed(said: str) -> Any:  # noqa: ANN401  JSON
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said


class Cri:
    """What a daemon that speaks the CRI knows and can do of pods."""

    abilities = frozenset(("stop", "restart", "remove"))

    def __init__(self, channel: GrpcChannel, name: str, proc: Path = PROC) -> None:
        """Begin to talk.

        Args:
            channel: to the daemon; `close` closes it.
            name: what the runtime is called.
            proc: where processes are looked for.

        Raises:
            SourceUnavailable: the daemon does not answer.
            Refused: it does not speak the CRI.
        """
        self.name = name
        self._channel = channel
        self._proc = proc
        self._details: dict[ContainerId, tuple[State, _Details]] = {}
        channel.call(f"{_SERVICE}/Version", encode("cri.VersionRequest", version="v1"))

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return the pods' sandboxes and containers; those that have a later attempt are left out."""
        try:
            # In this order a container's sandbox is always known.
            containers, sandboxes = self._containers(), self._sandboxes()
            self._ask(containers)
        except Refused as error:
            message = f"{error} at {self._channel.socket}"
            raise SourceUnavailable(message) from error
        pods = {text(sandbox.id): sandbox for sandbox in sandboxes}
        infos = [sandbox_info(sandbox, self.name) for sandbox in sandboxes]
        for container in containers:
            _, details = self._details.get(ContainerId(text(container.id)), (None, _Details()))
            infos.append(container_info(container, details, pods.get(text(container.pod_sandbox_id)), self.name))
        followed = _followed(_units(containers, sandboxes))
        return tuple(info for info in infos if info.id not in followed)

    def knows(self, container: ContainerId) -> bool:
        """Ask whether there is such a container or sandbox."""
        with acting():
            return container in self._look()

    def started_ns(self, container: ContainerId) -> int | None:
        """Ask when the container was started; a sandbox is started when it is made."""
        with acting():
            sandbox = self._sandbox(container)
            return _ns(sandbox.created_at) if sandbox else self._status(container).started_ns

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """``crictl logs --tail``; a sandbox writes nothing."""
        return read_log(self._log_path(container), lines)

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """``crictl logs --follow``: the daemon says where the file is."""
        path = self._log_path(container)
        return FileFeed(path, CRI, wanted) if path.startswith("/") else None

    def _log_path(self, container: ContainerId) -> str:
        """Ask for the file that a container's lines are in; empty where there is no such container."""
        try:
            return text(self._ask_status(container).log_path)
        except Refused as error:
            if error.code == "NOT_FOUND":
                return ""
            raise self._unavailable(error) from error

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """``crictl inspect``, or ``crictl inspectp`` for a sandbox."""
        try:
            answer = self._call(
                *("ContainerStatus", "ContainerStatusRequest", "ContainerStatusResponse"),
                container_id=container,
                verbose=True,
            )
        except Refused as error:
            if error.code != "NOT_FOUND":
                raise self._unavailable(error) from error
            answer = self._inspect_sandbox(container)
        return {**to_json(answer.status), "info": parse_info(pairs(answer.info))}

    def _inspect_sandbox(self, container: ContainerId) -> Any:  # noqa: ANN401  a message
        try:
            return self._call(
                *("PodSandboxStatus", "PodSandboxStatusRequest", "PodSandboxStatusResponse"),
                pod_sandbox_id=container,
                verbose=True,
            )
        except Refused as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Refused) -> SourceUnavailable:
        return SourceUnavailable(f"{error} at {self._channel.socket}")

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """``crictl stop``; a sandbox is stopped with all its containers, each of which has the grace period."""
        with acting():
            self._stop(container, grace_s)

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """Stop, and wait until kubelet has started it again: nobody else does."""
        if not has_kubelet(self._proc):
            message = "not done: no kubelet runs here that would start it again"
            raise ActionFailed(message)
        with acting():
            old = self._look().get(container)
            if old is None:
                message = f"{self.name} has no such container any more"
                raise ActionFailed(message)
            self._stop(container, grace_s)
            until = time.monotonic() + RESTARTED_S
            while not any(unit.runs_instead_of(old) for unit in self._look().values()):
                if time.monotonic() > until:
                    message = f"stopped, but nothing has started it again within {RESTARTED_S:g} s: is there a kubelet?"
                    raise ActionFailed(message)
                time.sleep(LOOK_S)

    def start(self, container: ContainerId) -> None:
        """Refuse: a stopped container is never started again, kubelet makes a new one."""
        self._refuse("start", container)

    def pause(self, container: ContainerId) -> None:
        """Refuse."""
        self._refuse("pause", container)

    def unpause(self, container: ContainerId) -> None:
        """Refuse."""
        self._refuse("unpause", container)

    def kill(self, container: ContainerId, signal: str) -> None:
        """Refuse."""
        self._refuse(f"send {signal} to", container)

    def remove(self, container: ContainerId) -> None:
        """``crictl rm``, and ``crictl rmp`` for a sandbox, which takes the stopped containers of its pod along.

        The daemon would force its way; so what has not ended is refused here.
        """
        with acting():
            sandbox = self._sandbox(container)
            inside = [each for each in self._containers() if container in {text(each.id), text(each.pod_sandbox_id)}]
            states = [_STATES.get(each.state, State.UNKNOWN) for each in inside]
            if sandbox is not None:
                states.append(_SANDBOX_STATES.get(sandbox.state, State.UNKNOWN))
            if not states:
                message = f"{self.name} has no such container any more"
                raise ActionFailed(message)
            if any(state is not State.EXITED for state in states):
                message = f"not done: {'something in the pod' if sandbox is not None else 'it'} has not ended"
                raise ActionFailed(message)
            if sandbox is None:
                request = encode("cri.RemoveContainerRequest", container_id=container)
                self._channel.call(f"{_SERVICE}/RemoveContainer", request, KILLED_S)
            else:
                request = encode("cri.RemovePodSandboxRequest", pod_sandbox_id=container)
                self._channel.call(f"{_SERVICE}/RemovePodSandbox", request, KILLED_S)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _refuse(self, what: str, _container: ContainerId) -> None:
        message = f"{self.name} has no way to {what} a pod's container"
        raise ActionFailed(message)

    def _call(self, method: str, request: str, response: str, **values: object) -> Any:  # noqa: ANN401  a message
        return decode(f"cri.{response}", self._channel.call(f"{_SERVICE}/{method}", encode(f"cri.{request}", **values)))

    def _containers(self) -> list[Any]:
        return list(self._call("ListContainers", "ListContainersRequest", "ListContainersResponse").containers)

    def _sandboxes(self) -> list[Any]:
        return list(self._call("ListPodSandbox", "ListPodSandboxRequest", "ListPodSandboxResponse").items)

    def _sandbox(self, container: ContainerId) -> Any:  # noqa: ANN401  a message
        return next((sandbox for sandbox in self._sandboxes() if text(sandbox.id) == container), None)

    def _ask_status(self, container: ContainerId) -> Any:  # noqa: ANN401  a message
        return self._call(
            "ContainerStatus", "ContainerStatusRequest", "ContainerStatusResponse", container_id=container
        ).status

    def _status(self, container: ContainerId) -> _Details:
        return _details(self._ask_status(container))

    def _ask(self, containers: Iterable[Any]) -> None:
        """Ask for the statuses of those whose state has changed."""
        states = {ContainerId(text(each.id)): _STATES.get(each.state, State.UNKNOWN) for each in containers}
        self._details = {container: known for container, known in self._details.items() if container in states}
        until = time.monotonic() + STATUSES_S
        # What runs comes first: it is what people look at.
        for container, state in sorted(states.items(), key=lambda item: item[1] is not State.RUNNING):
            if self._details.get(container, (None,))[0] is state:
                continue
            if time.monotonic() > until:
                return
            try:
                details = self._status(container)
            except Refused:
                # It keeps what the list says of it: the others need their names.
                details = _Details()
            self._details[container] = (state, details)

    def _look(self) -> dict[str, _Unit]:
        return _units(self._containers(), self._sandboxes())

    def _stop(self, container: ContainerId, grace_s: float) -> None:
        inside = [container]
        is_sandbox = self._sandbox(container) is not None
        if is_sandbox:
            inside = [
                ContainerId(text(each.id))
                for each in self._containers()
                if text(each.pod_sandbox_id) == container and _STATES.get(each.state) is State.RUNNING
            ]
        requests = [
            encode("cri.StopContainerRequest", container_id=each, timeout=math.ceil(grace_s)) for each in inside
        ]
        self._channel.call_all(f"{_SERVICE}/StopContainer", requests, grace_s + KILLED_S)
        if is_sandbox:
            request = encode("cri.StopPodSandboxRequest", pod_sandbox_id=container)
            self._channel.call(f"{_SERVICE}/StopPodSandbox", request, KILLED_S)


@contextmanager
def acting() -> Iterator[None]:
    """Turn what goes wrong into `ActionFailed`."""
    try:
        yield
    except (Refused, SourceUnavailable, ParseError) as error:
        raise ActionFailed(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Unit:
    """What kubelet would start again: a container, or a sandbox, whose name is empty here."""

    pod: str
    name: str
    created_ns: int
    state: State

    def runs_instead_of(self, other: _Unit) -> bool:
        """Whether it is a later attempt, and runs."""
        is_same = (self.pod, self.name) == (other.pod, other.name)
        return is_same and self.state is State.RUNNING and self.created_ns > other.created_ns


def _units(containers: Iterable[Any], sandboxes: Iterable[Any]) -> dict[str, _Unit]:
    pods = {}
    units = {}
    for each in sandboxes:
        container, pod = text(each.id), text(each.metadata.uid) or text(each.id)
        pods[container] = pod
        units[container] = _Unit(pod, "", each.created_at, _SANDBOX_STATES.get(each.state, State.UNKNOWN))
    for each in containers:
        container, sandbox = text(each.id), text(each.pod_sandbox_id)
        name = text(each.metadata.name) or container
        state = _STATES.get(each.state, State.UNKNOWN)
        units[container] = _Unit(pods.get(sandbox, sandbox), name, each.created_at, state)
    return units


def _followed(units: Mapping[str, _Unit]) -> set[str]:
    """Return the ended attempts that have been followed by another, which kubectl does not show either."""
    newest: dict[tuple[str, str], int] = {}
    for unit in units.values():
        newest[unit.pod, unit.name] = max(newest.get((unit.pod, unit.name), 0), unit.created_ns)
    return {
        container
        for container, unit in units.items()
        if unit.state.is_over and unit.created_ns < newest[unit.pod, unit.name]
    }


@dataclass(frozen=True, slots=True)
class _Details:
    """What only a container's status tells."""

    image: str = ""
    started_ns: int | None = None
    finished_ns: int | None = None
    exit_code: int | None = None
    reason: str = ""
    volumes: tuple[Volume, ...] = ()


def _details(status: Any) -> _Details:  # noqa: ANN401  a message
    return _Details(
        image=text(status.image.image),
        started_ns=_ns(status.started_at),
        finished_ns=_ns(status.finished_at),
        exit_code=status.exit_code,
        reason=text(status.reason),
        volumes=tuple(
            Volume(text(mount.host_path), text(mount.container_path), mount.readonly)
            for mount in status.mounts
            if text(mount.container_path) not in OWN_TARGETS
        ),
    )


def sandbox_info(sandbox: Any, runtime: str) -> ContainerInfo:  # noqa: ANN401  a message
    """Turn an entry of ``ListPodSandbox`` into what topcon knows of a container: the one that holds the pod."""
    labels, annotations = pairs(sandbox.labels), pairs(sandbox.annotations)
    identifier, pod = text(sandbox.id), _pod(sandbox)
    return ContainerInfo(
        id=ContainerId(identifier),
        runtime=runtime,
        name=pod.name,
        source=Source.API,
        state=_SANDBOX_STATES.get(sandbox.state, State.UNKNOWN),
        labels=labels,
        restarts=sandbox.metadata.attempt,
        created_ns=_ns(sandbox.created_at),
        started_ns=_ns(sandbox.created_at),
        role=Role.SANDBOX,
        pod=replace(pod, labels=labels, annotations=annotations),
    )


def container_info(container: Any, details: _Details, sandbox: Any, runtime: str) -> ContainerInfo:  # noqa: ANN401
    """Turn an entry of ``ListContainers`` and its status into what topcon knows of a container.

    Args:
        container: the entry.
        details: of its status.
        sandbox: the entry of its pod in ``ListPodSandbox``; None if that is gone.
        runtime: what the runtime is called.
    """
    labels, annotations = pairs(container.labels), pairs(container.annotations)
    identifier, state = text(container.id), _STATES.get(container.state, State.UNKNOWN)
    grace = annotations.get(_GRACE, "")
    return ContainerInfo(
        id=ContainerId(identifier),
        runtime=runtime,
        name=text(container.metadata.name) or identifier[:12],
        source=Source.API,
        state=state,
        image=_image(container, details),
        labels=labels,
        exit_code=details.exit_code if state.is_over else None,
        restarts=container.metadata.attempt,
        created_ns=_ns(container.created_at),
        started_ns=details.started_ns,
        finished_ns=details.finished_ns if state.is_over else None,
        oom_killed=details.reason == "OOMKilled" if state.is_over and details.finished_ns else None,
        grace_s=float(grace) if re.fullmatch("[0-9]{1,9}", grace) else None,
        role=_ROLES.get(annotations.get(_TYPE) or labels.get(_TYPE, ""), Role.WORKLOAD),
        pod=_pod(sandbox) if sandbox is not None else None,
        volumes=details.volumes,
    )


def _pod(sandbox: Any) -> PodInfo:  # noqa: ANN401  a message
    identifier, metadata = text(sandbox.id), sandbox.metadata
    return PodInfo(
        PodKind.KUBERNETES,
        text(metadata.uid) or identifier,
        text(metadata.name) or identifier[:12],
        text(metadata.namespace) or None,
    )


def _image(container: Any, details: _Details) -> str | None:  # noqa: ANN401  a message
    """Return the name that people gave; kubelet asks for images by their digest, which is the last resort."""
    image = container.image
    names = [text(image.user_specified_image), text(image.image), details.image, text(container.image_ref)]
    names = [name for name in names if name]
    return next((name for name in names if not re.match("(sha256:)?[0-9a-f]{64}$", name)), next(iter(names), None))


def _ns(stamp: int) -> int | None:
    return stamp if stamp > 0 else None


def read_log(path: str, lines: int) -> tuple[LogLine, ...]:
    """Read the last lines of a container's file; none if it has gone, or is none.

    Args:
        path: as the daemon says. Symbolic links are followed: kubelet makes some.
        lines: how many at the most.

    Raises:
        SourceUnavailable: we may not read it.
    """
    if not path.startswith("/") or lines < 1:
        return ()
    try:
        # What the daemon says may be anything by now: a pipe would let us wait, a terminal would become ours.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return ()
            begin = max(status.st_size - LARGEST_BYTES, 0)
            data = os.pread(file, LARGEST_BYTES, begin)
        finally:
            os.close(file)
    except PermissionError as error:
        message = f"permission denied at {path}"
        raise SourceUnavailable(message, REMEDY) from error
    except (OSError, ValueError):
        return ()
    return tuple(parse_cri(data, is_whole=not begin)[-lines:])


def has_kubelet(proc: Path = PROC) -> bool:
    """Whether a kubelet runs, alone or as a part of a bundle."""
    return any(_is_kubelet(cmdline) for cmdline in proc.glob("[0-9]*/cmdline"))


def _is_kubelet(cmdline: Path) -> bool:
    try:
        # Programs that set their title leave blanks in it where zeros were.
        words = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        return False
    program = words[0].rpartition("/")[2] if words else ""
    return program in _KUBELETS or (program in _BUNDLED and words[1:2] != [] and words[1] in _NODES)


_NODES = {"server", "agent", "controller", "worker"}


def configured_endpoint(configuration: Path = CONFIGURATION) -> str | None:
    """Return the socket that crictl is told to use; None without one."""
    try:
        lines = configuration.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"""^runtime-endpoint:[ \t]*["']?([^"'\s#]+)""", lines, re.MULTILINE)
    return match[1] if match else None
