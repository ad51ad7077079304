"""Docker, by its Engine API (https://docs.docker.com/engine/api/). The only module that knows docker-py.

One list call, then the events of each last second, and one inspect for a container that an event names. The events are
asked for as finite windows: such a call always ends, has a time-out, and tells in passing whether the daemon lives. A
stream that stays open would end silently when the daemon dies, and never when it hangs.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.event import Kind, Told
from topcon.model.sample import ContainerId, ContainerInfo, Health, Port, Source, State
from topcon.runtimes import EVERY_ABILITY, Plugin
from topcon.runtimes.exec import execute
from topcon.runtimes.feeds import FIRST_S, StreamFeed
from topcon.runtimes.foreign import parse_any_time_ns, to_list, to_object, to_text
from topcon.runtimes.http import JsonSocket, Refused
from topcon.runtimes.logs import FRAMES, LARGEST_BYTES, TERMINAL, follow_query, last_lines, parse_frames, parse_terminal
from topcon.runtimes.sizes import COUNTING_S, to_sizes
from topcon.runtimes.sockets import TIMEOUT_S, probe, reason
from topcon.runtimes.spec import CONTAINER_LABEL, DOCKER_MODES, docker_role, docker_volumes
from topcon.runtimes.told import action_of, attributes_of, container_of, parse_new, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker import APIClient

    from topcon.model.files import LayerSizes
    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import LogLine
    from topcon.model.shell import Session, Size

T = TypeVar("T")

NAME = "docker"
REMEDY = "sudo usermod -aG docker $USER, then log in again"
RELIST_S = 30.0
"""The net under the events: a list, compared with what is known."""
OVERLAP_S = 1.0
"""Windows overlap, since an event is dated before it can be asked for."""
INSPECT_S = 0.25
"""Inspecting stops after so long, and goes on at the next call."""
EVENTS = "docker: /events"
ACTIONS = (
    *("create", "start", "restart", "pause", "unpause", "stop", "kill", "die", "oom", "destroy", "rename"),
    *("update", "health_status"),
)
TOLD = MappingProxyType(
    {
        "create": Kind.CREATE,
        "start": Kind.START,
        "pause": Kind.PAUSE,
        "unpause": Kind.UNPAUSE,
        "kill": Kind.SIGNAL,
        "die": Kind.EXIT,
        "oom": Kind.OOM,
        "destroy": Kind.REMOVE,
        "rename": Kind.RENAME,
        "health_status": Kind.HEALTH,
        "exec_start": Kind.EXEC,
        "pull": Kind.PULL,
    }
)
"""The actions that are told as events."""
_FILTERS = json.dumps({"type": ["container", "image"], "event": tuple(dict.fromkeys((*ACTIONS, *TOLD)))})
_EVENTS_BYTES = 16 << 20
"""The daemon remembers 256 of them."""

# urllib3 reports full pools to stderr, which is the screen.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Docker:
    """A connection to a Docker daemon."""

    name = NAME
    abilities = EVERY_ABILITY

    def __init__(self, socket: str, clock: Callable[[], float] = time.time) -> None:
        """Connect to the daemon at ``socket``; ``clock`` gives seconds since 1970, as the daemon's does.

        Raises:
            SourceUnavailable: nothing answers there, or we may not connect.
        """
        probe(socket, REMEDY)
        # 0.12 s, so not before there is somebody to talk to.
        import docker  # noqa: PLC0415
        import requests  # noqa: PLC0415

        self._errors = (docker.errors.DockerException, requests.exceptions.RequestException)
        self._error, self._api_error = docker.errors.DockerException, docker.errors.APIError
        self._socket = socket
        self._clock = clock
        self._infos: dict[ContainerId, ContainerInfo] = {}
        self._dirty: dict[ContainerId, None] = {}
        self._seen: frozenset[str] = frozenset()
        self._told: list[Told] = []
        self._checks: dict[ContainerId, str | None] = {}
        self._since = self._listed_at = 0.0
        try:
            self._api: APIClient = docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=TIMEOUT_S)
        except self._errors as error:
            self._unavailable(error)

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return what Docker knows now; details of a container may follow a second after its name."""
        now = self._clock()
        try:
            if not 0 <= now - self._listed_at < RELIST_S:
                self._list()
                # What happened since the last window is still to be told.
                self._since, self._listed_at = min(self._since or now, now - OVERLAP_S), now
            else:
                self._follow(now)
            self._inspect()
        except self._errors as error:
            self._unavailable(error)
        finally:
            # docker-py keeps a connection open for each URL that was asked for, its query included, up to 25.
            self._api.close()
        return tuple(self._infos.values())

    def events(self) -> tuple[Told, ...]:
        """Return what the windows that were asked for since the last time have told."""
        told, self._told = tuple(self._told), []
        return told

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def _list(self) -> None:
        entries = {ContainerId(entry["Id"]): entry for entry in self._call(self._api.containers, all=True)}
        for container in self._infos.keys() - entries.keys():
            self._forget(container)
        # What runs comes first: it is what people look at.
        for container, entry in sorted(entries.items(), key=lambda item: item[1].get("State") != State.RUNNING):
            listed, known = info_from_list(entry), self._infos.get(container)
            if known is None:
                self._infos[container] = listed
            if known is None or (known.state, known.name, known.health) != (listed.state, listed.name, listed.health):
                self._dirty[container] = None

    def _follow(self, now: float) -> None:
        """Mark the containers that the events since the last call name."""
        # Not by docker-py, for which a question takes ten times as long: this one comes with every tick.
        window = urlencode({"since": f"{self._since:.9f}", "until": f"{now:.9f}", "filters": _FILTERS})
        data, _ = JsonSocket(self._socket).beginning(f"/v{self._api.api_version}/events?{window}", _EVENTS_BYTES)
        self._since = now - OVERLAP_S
        events, self._seen = parse_new(data, self._seen, EVENTS)
        for event in events:
            told, container, action = told_by(event), container_of(event), action_of(event)
            # Health checks run something each few seconds; which ones are is known once it was inspected.
            if told is not None and (
                told.kind is not Kind.EXEC or (container in self._checks and self._checks[container] != told.detail)
            ):
                self._told.append(told)
            if container is None or action.startswith("exec_"):
                continue
            if action == "destroy":
                self._forget(container)
            else:
                self._dirty[container] = None

    def _inspect(self) -> None:
        until = time.monotonic() + INSPECT_S
        while self._dirty and time.monotonic() < until:
            container = next(iter(self._dirty))
            try:
                entry = self._call(self._api.inspect_container, container)
                self._infos[container] = info_from_inspect(entry)
                self._checks[container] = check_of(entry)
            except self._api_error as error:
                if error.response is None:
                    raise
                # A container that cannot be inspected keeps what the list says of it: the others need their names.
                if error.response.status_code == _NOT_FOUND:
                    self._infos.pop(container, None)
            del self._dirty[container]

    def _forget(self, container: ContainerId) -> None:
        self._infos.pop(container, None)
        self._dirty.pop(container, None)
        self._checks.pop(container, None)

    def started_ns(self, container: ContainerId) -> int | None:
        """Ask when the container was last started."""
        return info_from_inspect(self._act(self._api.inspect_container, container)).started_ns

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """``docker logs --tail``."""

        def ask() -> tuple[LogLine, ...]:
            has_terminal = self._has_terminal(container)
            return last_lines(lambda count: self._log(container, count, has_terminal=has_terminal), lines)

        return self._reading_log(ask, ())

    def sizes(self, container: ContainerId) -> LayerSizes:
        """``docker ps -s``, of one container."""
        # Not by docker-py, which does not ask for it.
        path = f"/v{self._api.api_version}/containers/{quote(container, safe='', errors='replace')}/json?size=true"
        return to_sizes(to_object(JsonSocket(self._socket).request("GET", path, timeout_s=COUNTING_S)))

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """``docker logs --follow``."""

        def ask() -> Feed:
            form = TERMINAL if self._has_terminal(container) else FRAMES
            daemon, path = JsonSocket(self._socket), self._log_path(container, follow_query(wanted))
            channel, first = daemon.stream(path, FIRST_S)
            return StreamFeed(NAME, channel, first, form, partial(daemon.body, path))

        return self._reading_log(ask, None)

    def _reading_log(self, ask: Callable[[], T], nothing: T) -> T:
        """Pass over what has no log, and say what else is wrong in our own words."""
        try:
            return ask()
        except Refused as error:
            if error.status not in _NO_LOG:
                raise
        except self._errors as error:
            if getattr(getattr(error, "response", None), "status_code", None) != _NOT_FOUND:
                self._unavailable(error)
        return nothing

    def _has_terminal(self, container: ContainerId) -> bool:
        config = to_object(to_object(self._call(self._api.inspect_container, container)).get("Config"))
        # Daemons before API 1.42 do not tell by the answer's type.
        return config.get("Tty") is True

    def _log_path(self, container: ContainerId, query: str) -> str:
        return f"/v{self._api.api_version}/containers/{quote(container, safe='', errors='replace')}/logs?{query}"

    def _log(self, container: ContainerId, lines: int, *, has_terminal: bool) -> tuple[list[LogLine], bool]:
        # Not by docker-py, which reads answers to their ends, however long they are.
        query = urlencode({"stdout": "true", "stderr": "true", "timestamps": "true", "tail": lines})
        data, is_cut = JsonSocket(self._socket).beginning(self._log_path(container, query), LARGEST_BYTES)
        return parse_terminal(data) if has_terminal else parse_frames(data, f"{NAME}: /logs"), is_cut

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """``docker inspect``."""
        try:
            return to_object(self._call(self._api.inspect_container, container))
        except self._errors as error:
            self._unavailable(error)

    def execute(
        self, container: ContainerId, command: Sequence[str], size: Size, environment: Sequence[str]
    ) -> Session:
        """``docker exec -it``."""
        return execute(JsonSocket(self._socket), f"/v{self._api.api_version}", container, command, size, environment)

    def start(self, container: ContainerId) -> None:
        """``docker start``."""
        self._act(self._api.start, container)

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """``docker stop``."""
        self._act(self._api.stop, container, timeout=math.ceil(grace_s))

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """``docker restart``."""
        self._act(self._api.restart, container, timeout=math.ceil(grace_s))

    def pause(self, container: ContainerId) -> None:
        """``docker pause``."""
        self._act(self._api.pause, container)

    def unpause(self, container: ContainerId) -> None:
        """``docker unpause``."""
        self._act(self._api.unpause, container)

    def kill(self, container: ContainerId, signal: str) -> None:
        """``docker kill --signal``."""
        self._act(self._api.kill, container, signal=signal)

    def remove(self, container: ContainerId) -> None:
        """``docker rm``."""
        self._act(self._api.remove_container, container, v=False, force=False)

    def _call(self, call: Callable[..., Any], *arguments: object, **options: object) -> Any:  # noqa: ANN401  JSON
        try:
            return call(*arguments, **options)
        except KeyError as error:
            # docker-py takes it for granted that an error comes with a message; a proxy's may not.
            message = "an error without a message"
            raise self._error(message) from error

    def _act(self, call: Callable[..., Any], *arguments: object, **options: object) -> Any:  # noqa: ANN401  JSON
        try:
            return self._call(call, *arguments, **options)
        except self._api_error as error:
            raise ActionFailed(str(error.explanation or error)) from error
        except self._errors as error:
            raise ActionFailed(_reason(error, self._socket)) from error

    def _unavailable(self, error: BaseException) -> NoReturn:
        raise SourceUnavailable(_reason(error, self._socket)) from error


_NOT_FOUND = 404
_NO_LOG = frozenset((_NOT_FOUND, 409, 501))
"""It is gone, or going, or its logging driver only writes."""


def _reason(error: BaseException, socket: str) -> str:
    """Find the system's own reason under what the libraries have wrapped around it."""
    for cause in _causes(error):
        if isinstance(cause, TimeoutError) or type(cause).__name__ == "ReadTimeoutError":
            return f"no answer at {socket}"
        if isinstance(cause, OSError) and cause.errno is not None:
            return reason(cause, socket)
    text = getattr(error, "explanation", None) or str(error)
    return f"{' '.join(str(text).split())} at {socket}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    inner = [argument for argument in error.args if isinstance(argument, BaseException)]
    for cause in (error.__cause__, error.__context__, getattr(error, "reason", None), *inner):
        if isinstance(cause, BaseException):
            yield from _causes(cause)
            return


def told_by(event: Mapping[str, Any]) -> Told | None:
    """Return what an event tells; None for what is of no interest to people."""
    told = told_of(event, NAME, TOLD)
    return told._replace(name=_name(told.name, attributes_of(event))) if told is not None else None


_SHELL = ("/bin/sh", "-c")


def check_of(entry: Mapping[str, Any]) -> str | None:
    """Return what the health check of a container runs, as an event tells it; None if it has none."""
    config = to_object(entry.get("Config"))
    kind, *command = [to_text(each) or "" for each in to_list(to_object(config.get("Healthcheck")).get("Test"))] or [""]
    if kind == "CMD":
        return " ".join(command).strip()
    shell = [to_text(each) or "" for each in to_list(config.get("Shell"))] or list(_SHELL)
    return " ".join((*shell, *command)).strip() if kind == "CMD-SHELL" else None


def parse_time(text: str | None) -> int | None:
    """Parse RFC 3339 with nanoseconds to nanoseconds since 1970; None for Docker's "never", the year 1."""
    return None if (text or "").startswith("0001") else parse_any_time_ns(text)


def info_from_list(entry: Mapping[str, Any]) -> ContainerInfo:
    """Turn an entry of ``/containers/json`` into what topcon knows of a container."""
    state = _state(entry.get("State"))
    status = entry.get("Status") or ""
    names = entry.get("Names") or []
    exited = re.match(r"Exited \((-?\d+)\)", status)
    health = re.search(r"\((?:health: )?(healthy|unhealthy|starting)\)", status)
    network = (entry.get("HostConfig") or {}).get("NetworkMode") or ""
    created = entry.get("Created")
    labels = entry.get("Labels") or {}
    return ContainerInfo(
        id=ContainerId(entry["Id"]),
        runtime=NAME,
        # Links give a container further names, under the linking container's.
        name=_name(next((name for name in names if name.count("/") == 1), entry["Id"][:12]), labels),
        source=Source.API,
        state=state,
        image=entry.get("Image"),
        command=entry.get("Command"),
        labels=MappingProxyType(labels),
        ports=tuple(
            Port(port.get("IP") or None, port.get("PublicPort"), port["PrivatePort"], port.get("Type", "tcp"))
            for port in entry.get("Ports") or []
            if port.get("PublicPort")
        ),
        health=Health(health[1]) if health else None,
        exit_code=int(exited[1]) if exited else None,
        created_ns=created * 10**9 if isinstance(created, int) else None,
        joins_network_of=_joined(network),
        host_namespaces=("net",) if network == "host" else (),
        role=docker_role(labels),
        volumes=docker_volumes(entry.get("Mounts") or []),
    )


def _name(name: str, labels: Mapping[str, str]) -> str:
    """Return a container's name; one of a Kubernetes pod has a short one beside the one that cri-dockerd gives it."""
    return labels.get(CONTAINER_LABEL) or name.lstrip("/")


def info_from_inspect(entry: Mapping[str, Any]) -> ContainerInfo:
    """Turn ``/containers/ID/json`` into what topcon knows of a container."""
    state = entry.get("State") or {}
    config = entry.get("Config") or {}
    labels = config.get("Labels") or {}
    host = entry.get("HostConfig") or {}
    status = _state(state.get("Status"))
    health = (state.get("Health") or {}).get("Status")
    policy = (host.get("RestartPolicy") or {}).get("Name")
    grace = config.get("StopTimeout")
    return ContainerInfo(
        id=ContainerId(entry["Id"]),
        runtime=NAME,
        name=_name(str(entry.get("Name") or entry["Id"][:12]), labels),
        source=Source.API,
        state=status,
        image=config.get("Image"),
        command=" ".join([entry.get("Path") or "", *(entry.get("Args") or [])]).strip() or None,
        labels=MappingProxyType(labels),
        ports=_inspected_ports((entry.get("NetworkSettings") or {}).get("Ports") or {}),
        # Who stops checking says "unhealthy", whatever the last check said.
        health=Health(health) if health in set(Health) and status.is_live else None,
        exit_code=state.get("ExitCode") if status.is_over else None,
        restarts=entry.get("RestartCount"),
        restart_policy=policy or "no",
        created_ns=parse_time(entry.get("Created")),
        started_ns=parse_time(state.get("StartedAt")),
        finished_ns=parse_time(state.get("FinishedAt")) if status.is_over else None,
        oom_killed=state.get("OOMKilled"),
        grace_s=float(grace) if grace is not None else None,
        stop_signal=config.get("StopSignal"),
        joins_network_of=_joined(host.get("NetworkMode") or ""),
        host_namespaces=tuple(name for name, mode in DOCKER_MODES.items() if host.get(mode) == "host"),
        role=docker_role(labels),
        volumes=docker_volumes(entry.get("Mounts") or []),
    )


def _inspected_ports(ports: Mapping[str, Any]) -> tuple[Port, ...]:
    found = []
    for inside, bindings in ports.items():
        number, _, protocol = inside.partition("/")
        for binding in bindings or []:
            outside = binding.get("HostPort") or ""
            found.append(
                Port(binding.get("HostIp") or None, int(outside) if outside else None, int(number), protocol or "tcp")
            )
    return tuple(found)


def _joined(network_mode: str) -> ContainerId | None:
    return ContainerId(network_mode.removeprefix("container:")) if network_mode.startswith("container:") else None


def _state(text: str | None) -> State:
    if text == "removing":
        # It is dead only if that fails.
        return State.EXITED
    return State(text) if text in set(State) else State.UNKNOWN


def _prepare() -> None:
    import docker  # noqa: F401, PLC0415  0.12 s


def contexts() -> tuple[str, ...]:
    """Return the local sockets of the contexts that ``docker context`` manages, ``unix:///...`` each."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))  # noqa: PTH111  no home, no error
    return tuple(host for file in sorted(folder.glob("contexts/meta/*/meta.json")) if (host := _context_host(file)))


def _context_host(file: Path) -> str | None:
    try:
        host = json.loads(file.read_text())["Endpoints"]["docker"]["Host"]
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return host if isinstance(host, str) and host.startswith("unix://") else None


PLUGIN = Plugin(
    name=NAME,
    configured=contexts,
    sockets=(
        "$DOCKER_HOST",
        "/run/docker.sock",
        "/var/run/docker.sock",
        "$XDG_RUNTIME_DIR/docker.sock",
        "/run/user/*/docker.sock",
        "~/.docker/run/docker.sock",
        "~/.docker/desktop/docker.sock",
    ),
    # podman-docker links Docker's socket to Podman's.
    foreign=("podman.sock",),
    connect=Docker,
    prepare=_prepare,
)
