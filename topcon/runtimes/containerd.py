"""containerd: pods by the CRI, and containers of ``ctr`` and ``nerdctl`` by its own API.

https://github.com/containerd/containerd, ``api/services``. What Docker and Kubernetes keep in it is theirs to tell of.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from topcon import signals
from topcon.errors import ActionFailed, SourceUnavailable, TopconError
from topcon.model.sample import ContainerId, ContainerInfo, Source, State, Volume
from topcon.runtimes import EVERY_ABILITY, Plugin, grpc_channel
from topcon.runtimes.cri import Cri, acting, configured_endpoint
from topcon.runtimes.foreign import to_object
from topcon.runtimes.grpc_channel import GrpcChannel, Refused
from topcon.runtimes.messages import decode, encode, entries, pairs, text, to_json
from topcon.runtimes.sockets import TIMEOUT_S
from topcon.runtimes.spec import command_of, parse_object, volumes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import LogLine

NAME = "containerd"
OTHERS = frozenset(("k8s.io", "moby"))
"""Namespaces whose containers the CRI and Docker tell of."""
LOOK_S = 0.1
"""How often a container that should end is looked at."""
KILLED_S = 10.0
"""How long a container may take to end after SIGKILL."""
TASK_S = 60.0
"""How long containerd may take to make or delete a container's processes."""

STOP_SIGNAL = "SIGTERM"

_SERVICES = "/containerd.services"
_STATES = {
    1: State.CREATED,
    2: State.RUNNING,
    3: State.EXITED,
    4: State.PAUSED,
    5: State.PAUSED,
}
_NAME = "nerdctl/name"
_STOP_SIGNAL = "io.containerd.image.config.stop-signal"
_STOP_TIMEOUT = "nerdctl/stop-timeout"
_RESTART_STATUS = "containerd.io/restart.status"
_RESTART_POLICY = "containerd.io/restart.policy"
_RESTART_COUNT = "containerd.io/restart.count"
_EXPLICITLY_STOPPED = "containerd.io/restart.explicitly-stopped"


class Containerd:
    """A connection to containerd: to its own containers, and to pods where it serves them."""

    name = NAME

    def __init__(self, socket: str) -> None:
        """Connect to the daemon at ``socket``.

        Raises:
            SourceUnavailable: nothing answers there, or we may not connect.
        """
        self._channel = GrpcChannel(socket)
        self._own = _Own(self._channel)
        self._cri: Cri | None = None
        try:
            self._cri = Cri(self._channel, NAME)
        except Refused as error:
            # Docker's own containerd serves no pods, nor does one whose administrator has turned them off.
            if error.code != "UNIMPLEMENTED":
                self._channel.close()
                message = f"{error} at {socket}"
                raise SourceUnavailable(message) from error
        except TopconError:
            self._channel.close()
            raise
        # What its own containers leave beside their snapshots, such as their names, is kept by who made them.
        self.abilities = EVERY_ABILITY - {"remove"} if self._cri is None else Cri.abilities | {"start"}

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return what containerd knows now."""
        return (*(self._cri.containers() if self._cri else ()), *self._own.containers())

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def started_ns(self, container: ContainerId) -> int | None:
        """Ask when a pod's container was started; of its own containerd does not say, and None is returned."""
        return self._home(container).started_ns(container)

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """Return the last lines of a pod's container; where others write to is for their clients to know."""
        return self._cri.tail(container, lines) if self._cri is not None and "/" not in container else ()

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """Do the same, and go on."""
        return self._cri.follow(container, wanted) if self._cri is not None and "/" not in container else None

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """``crictl inspect`` of a pod's container; ``ctr containers info`` of its own."""
        if self._cri is not None and "/" not in container:
            return self._cri.inspect(container)
        return self._own.inspect(container)

    def start(self, container: ContainerId) -> None:
        """Start a stopped container; a pod's is refused."""
        self._home(container).start(container)

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """Stop a container."""
        self._home(container).stop(container, grace_s)

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """Stop and start a container; a pod's is started by kubelet."""
        self._home(container).restart(container, grace_s)

    def pause(self, container: ContainerId) -> None:
        """Freeze a container; a pod's is refused."""
        self._home(container).pause(container)

    def unpause(self, container: ContainerId) -> None:
        """Let it run again; a pod's is refused."""
        self._home(container).unpause(container)

    def kill(self, container: ContainerId, signal: str) -> None:
        """Send a signal; a pod's is refused."""
        self._home(container).kill(container, signal)

    def remove(self, container: ContainerId) -> None:
        """Remove a pod's container; others are refused."""
        self._home(container).remove(container)

    def _home(self, container: ContainerId) -> Cri | _Own:
        if self._cri is not None and "/" not in container and self._cri.knows(container):
            return self._cri
        return self._own


class _Own:
    """The containers that were made by containerd's own API."""

    def __init__(self, channel: GrpcChannel) -> None:
        self._channel = channel
        self._specs: dict[tuple[str, str], tuple[int | None, Spec]] = {}

    def containers(self) -> tuple[ContainerInfo, ...]:
        try:
            known = [(name, each) for name in self._namespaces() for each in self._list(name)]
        except Refused as error:
            message = f"{error} at {self._channel.socket}"
            raise SourceUnavailable(message) from error
        specs = {}
        infos = []
        for namespace, (container, task) in known:
            key, updated_ns = (namespace, text(container.id)), to_ns(container.updated_at)
            kept = self._specs.get(key)
            # Ten kilobytes of JSON each, nearly all of which never changes.
            specs[key] = kept if kept and kept[0] == updated_ns else (updated_ns, parse_spec(container.spec.value))
            infos.append(container_info(namespace, container, specs[key][1], task))
        self._specs = specs
        return tuple(infos)

    def _namespaces(self) -> list[str]:
        answer = self._channel.call(f"{_SERVICES}.namespaces.v1.Namespaces/List", b"")
        names = [text(each.name) for each in decode("containerd.ListNamespacesResponse", answer).namespaces]
        return [name for name in names if name not in OTHERS]

    def _list(self, namespace: str) -> list[tuple[Any, Any]]:
        """Return containers and their tasks; None for a container without one."""
        # In this order a container's task is never older than the container.
        streamed = self._channel.stream(f"{_SERVICES}.containers.v1.Containers/ListStream", b"", namespace)
        answer = self._channel.call(f"{_SERVICES}.tasks.v1.Tasks/List", b"", namespace=namespace)
        tasks = {text(task.id): task for task in decode("containerd.ListTasksResponse", answer).tasks}
        containers = [decode("containerd.ListContainerMessage", each).container for each in streamed]
        return [(container, tasks.get(text(container.id))) for container in containers]

    def started_ns(self, container: ContainerId) -> None:
        with acting():
            self._get(container)

    def start(self, container: ContainerId) -> None:
        with acting():
            self._start(*self._get(container))

    def stop(self, container: ContainerId, grace_s: float) -> None:
        with acting():
            self._stop(*self._get(container), grace_s)

    def restart(self, container: ContainerId, grace_s: float) -> None:
        with acting():
            namespace, entry = self._get(container)
            self._require_streams(namespace, entry)
            self._stop(namespace, entry, grace_s)
            self._start(namespace, entry)

    def pause(self, container: ContainerId) -> None:
        with acting():
            namespace, entry = self._get(container)
            self._task("Pause", namespace, entry)

    def unpause(self, container: ContainerId) -> None:
        with acting():
            namespace, entry = self._get(container)
            self._task("Resume", namespace, entry)

    def kill(self, container: ContainerId, signal: str) -> None:
        with acting():
            self._kill(*self._get(container), signal)

    def remove(self, container: ContainerId) -> None:
        message = f"{NAME} leaves the removal of {container} to the client that made it"
        raise ActionFailed(message)

    def _get(self, container: ContainerId) -> tuple[str, Any]:
        """Return a container's namespace and its entry."""
        namespace, slash, identifier = container.partition("/")
        namespaces = [namespace] if slash else self._namespaces()
        request = encode("containerd.GetContainerRequest", id=identifier if slash else container)
        for each in namespaces:
            try:
                answer = self._channel.call(f"{_SERVICES}.containers.v1.Containers/Get", request, namespace=each)
            except Refused as error:
                if error.code == "NOT_FOUND":
                    continue
                raise
            return each, decode("containerd.GetContainerResponse", answer).container
        message = f"{NAME} has no such container any more"
        raise ActionFailed(message)

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """Ask for all that is kept of a container, its specification taken apart, and for its task."""
        try:
            namespace, entry = self._get(container)
            task = self._find_task(namespace, entry)
        except (ActionFailed, Refused) as error:
            message = f"{error} at {self._channel.socket}"
            raise SourceUnavailable(message) from error
        spec = parse_object(entry.spec.value, f"{NAME}: specification") if entry.spec.value else None
        return {"namespace": namespace, **to_json(entry), "spec": spec, "task": to_json(task) if task else None}

    def _find_task(self, namespace: str, entry: Any) -> Any:  # noqa: ANN401  messages
        """Return a container's task; None without one."""
        try:
            return decode("containerd.GetTaskResponse", self._task("Get", namespace, entry)).process
        except Refused as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def _task(self, method: str, namespace: str, entry: Any, timeout_s: float = TIMEOUT_S) -> bytes:  # noqa: ANN401
        request = encode("containerd.TaskRequest", container_id=text(entry.id))
        return self._channel.call(f"{_SERVICES}.tasks.v1.Tasks/{method}", request, timeout_s, namespace)

    def _stop(self, namespace: str, entry: Any, grace_s: float) -> None:  # noqa: ANN401  a message
        self._tell_monitor(namespace, entry, is_stopped=True)
        task = self._find_task(namespace, entry)
        if _is_over(task):
            return
        self._end(namespace, entry, _stop_signal(entry))
        if _STATES.get(task.status) is State.PAUSED:
            # What is frozen would not see a signal.
            self._task("Resume", namespace, entry)
        if not self._has_ended(namespace, entry, grace_s):
            self._end(namespace, entry, "SIGKILL")
            if not self._has_ended(namespace, entry, KILLED_S):
                message = f"it has not ended {KILLED_S:g} s after SIGKILL"
                raise ActionFailed(message)

    def _end(self, namespace: str, entry: Any, signal: str) -> None:  # noqa: ANN401  a message
        try:
            self._kill(namespace, entry, signal)
        except Refused as error:
            # It has ended by itself meanwhile.
            if error.code != "NOT_FOUND":
                raise

    def _kill(self, namespace: str, entry: Any, signal: str) -> None:  # noqa: ANN401  a message
        request = encode("containerd.KillRequest", container_id=text(entry.id), signal=signal_number(signal))
        self._channel.call(f"{_SERVICES}.tasks.v1.Tasks/Kill", request, namespace=namespace)

    def _has_ended(self, namespace: str, entry: Any, within_s: float) -> bool:  # noqa: ANN401  a message
        until = time.monotonic() + within_s
        while not _is_over(self._find_task(namespace, entry)):
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_S)
        return True

    def _require_streams(self, namespace: str, entry: Any) -> Any:  # noqa: ANN401  messages
        """Return a container's last task; a terminal that it had must be one that can be given to it again."""
        task = self._find_task(namespace, entry)
        if parse_spec(entry.spec.value).has_terminal and not _kept_stream(task, "stdout"):
            message = "not done: it has a terminal, which only the program that started it can give to it"
            raise ActionFailed(message)
        return task

    def _start(self, namespace: str, entry: Any) -> None:  # noqa: ANN401  a message
        task = self._require_streams(namespace, entry)
        if not _is_over(task):
            message = "it is running"
            raise ActionFailed(message)
        mounts = self._mounts(namespace, entry)
        if task is not None:
            self._task("Delete", namespace, entry, TASK_S)
        identifier = text(entry.id)
        request = encode(
            "containerd.CreateTaskRequest",
            container_id=identifier,
            rootfs=mounts,
            stdout=_kept_stream(task, "stdout"),
            stderr=_kept_stream(task, "stderr"),
            terminal=parse_spec(entry.spec.value).has_terminal,
        )
        tasks = f"{_SERVICES}.tasks.v1.Tasks"
        self._channel.call(f"{tasks}/Create", request, TASK_S, namespace)
        try:
            request = encode("containerd.StartRequest", container_id=identifier)
            self._channel.call(f"{tasks}/Start", request, TASK_S, namespace)
        except Refused:
            self._task("Delete", namespace, entry, TASK_S)
            raise
        self._tell_monitor(namespace, entry, is_stopped=False)

    def _mounts(self, namespace: str, entry: Any) -> list[Any]:  # noqa: ANN401  a message
        if not entry.snapshot_key:
            return []
        request = encode("containerd.MountsRequest", snapshotter=text(entry.snapshotter), key=text(entry.snapshot_key))
        answer = self._channel.call(f"{_SERVICES}.snapshots.v1.Snapshots/Mounts", request, namespace=namespace)
        return list(decode("containerd.MountsResponse", answer).mounts)

    def _tell_monitor(self, namespace: str, entry: Any, *, is_stopped: bool) -> None:  # noqa: ANN401  a message
        """Say what is wanted to containerd's restart monitor, which would otherwise undo it within seconds."""
        if _RESTART_STATUS not in pairs(entry.labels):
            return
        labels = {
            _RESTART_STATUS: "stopped" if is_stopped else "running",
            _EXPLICITLY_STOPPED: "true" if is_stopped else "false",
        }
        request = encode(
            "containerd.UpdateContainerRequest",
            container={"id": text(entry.id), "labels": entries(labels)},
            update_mask={"paths": [f"labels.{label}" for label in labels]},
        )
        self._channel.call(f"{_SERVICES}.containers.v1.Containers/Update", request, namespace=namespace)


def _is_over(task: Any) -> bool:  # noqa: ANN401  a message
    return task is None or _STATES.get(task.status) is State.EXITED


def _stop_signal(entry: Any) -> str:  # noqa: ANN401  a message
    signal = pairs(entry.labels).get(_STOP_SIGNAL, STOP_SIGNAL)
    try:
        signal_number(signal)
    except ActionFailed:
        # Images can name what is no signal, and are to be stopped all the same.
        return STOP_SIGNAL
    return signal


def _kept_stream(task: Any, name: str) -> str:  # noqa: ANN401  a message
    """Return where a task's output went, if it can go there again; a named pipe has lost its reader.

    The label ``nerdctl/log-uri`` is not asked: an image can set it, and it can name a program to run.
    """
    stream = text(getattr(task, name)) if task is not None else ""
    return stream if stream.startswith(("binary://", "file://")) else ""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a container's OCI specification tells."""

    command: str | None = None
    volumes: tuple[Volume, ...] = ()
    has_terminal: bool = False


def parse_spec(data: bytes) -> Spec:
    """Parse ``config.json`` of the OCI; what is not in its documented form is left out, as the rest has a use."""
    try:
        said = to_object(json.loads(data))
    except (ValueError, RecursionError):
        return Spec()
    return Spec(command_of(said), volumes_of(said), to_object(said.get("process")).get("terminal") is True)


def container_info(namespace: str, container: Any, spec: Spec, task: Any) -> ContainerInfo:  # noqa: ANN401  messages
    """Turn a container and its task, None without one, into what topcon knows of a container."""
    identifier, labels = text(container.id), pairs(container.labels)
    # Without a task it has no processes; whether it ever had some, containerd does not say.
    state = _STATES.get(task.status, State.UNKNOWN) if task is not None else State.CREATED
    return ContainerInfo(
        id=container_id(namespace, identifier),
        runtime=NAME,
        name=labels.get(_NAME) or identifier,
        source=Source.API,
        state=state,
        image=text(container.image) or None,
        command=spec.command,
        labels=labels,
        exit_code=task.exit_status if state.is_over else None,
        restarts=_count(labels.get(_RESTART_COUNT)),
        restart_policy=_policy(labels),
        created_ns=to_ns(container.created_at),
        finished_ns=to_ns(task.exited_at) if state.is_over else None,
        grace_s=_count(labels.get(_STOP_TIMEOUT)),
        stop_signal=labels.get(_STOP_SIGNAL),
        volumes=spec.volumes,
    )


def container_id(namespace: str, identifier: str) -> ContainerId:
    """Return the id that tells a container from those of other namespaces: ids that are no hashes are people's own."""
    return ContainerId(identifier if re.fullmatch("[0-9a-f]{64}", identifier) else f"{namespace}/{identifier}")


def _policy(labels: Mapping[str, str]) -> str | None:
    if labels.get(_RESTART_STATUS) is None:
        return None
    return labels.get(_RESTART_POLICY, "always").partition(":")[0]


def _count(label: str | None) -> int | None:
    return int(label) if label and re.fullmatch("[0-9]{1,9}", label) else None


def to_ns(stamp: Any) -> int | None:  # noqa: ANN401  a message
    """Turn protobuf's ``Timestamp`` into nanoseconds since 1970; None for "never", the year 1."""
    return stamp.seconds * 10**9 + stamp.nanos if stamp.seconds > 0 else None


def signal_number(signal: str) -> int:
    """Return the number of a signal.

    Raises:
        ActionFailed: there is no such signal.
    """
    try:
        return signals.signal_number(signal)
    except ValueError:
        message = f"there is no signal {signal[:40]!r}"
        raise ActionFailed(message) from None


def _configured() -> Sequence[str]:
    endpoints = (
        os.environ.get("CONTAINERD_ADDRESS"),
        os.environ.get("CONTAINER_RUNTIME_ENDPOINT"),
        configured_endpoint(),
    )
    return [
        endpoint for endpoint in endpoints if endpoint and not any(other in endpoint for other in ("crio", "dockerd"))
    ]


PLUGIN = Plugin(
    name=NAME,
    sockets=(
        "/run/containerd/containerd.sock",
        "/run/k3s/containerd/containerd.sock",
        "/run/docker/containerd/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
        "/run/k0s/containerd.sock",
    ),
    lies_beneath=True,
    connect=Containerd,
    prepare=grpc_channel.prepare,
    configured=_configured,
    poll_s=10.0,
)
