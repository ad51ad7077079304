"""Podman, by its libpod API (https://docs.podman.io/en/latest/_static/api.html).

One list call each time, and one inspection for each start and each end of a container. The service is usually started
by its socket and ends when it is idle, so it is asked seldom, each time on a connection of its own.
"""

from __future__ import annotations

import json
import math
import reprlib
import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from topcon.errors import ActionFailed, ParseError
from topcon.model.event import Kind, Told
from topcon.model.sample import (
    ContainerId,
    ContainerInfo,
    Health,
    PodInfo,
    PodKind,
    Port,
    Role,
    Source,
    State,
    Volume,
)
from topcon.runtimes import EVERY_ABILITY, Plugin
from topcon.runtimes.exec import execute
from topcon.runtimes.feeds import FIRST_S, StreamFeed
from topcon.runtimes.foreign import parse_time_ns, to_int, to_labels, to_list, to_object, to_text, to_time_ns
from topcon.runtimes.http import ACTION_S, JsonSocket, Refused, prepare
from topcon.runtimes.logs import FRAMES, LARGEST_BYTES, follow_query, last_lines, parse_frames
from topcon.runtimes.sizes import COUNTING_S, to_sizes
from topcon.runtimes.spec import docker_volumes
from topcon.runtimes.told import parse_new, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.model.files import LayerSizes
    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import LogLine
    from topcon.model.shell import Session, Size

NAME = "podman"
BASE = "/v4.0.0/libpod"
"""Podman 4 and later answer to this version."""
API = f"{BASE}/containers"
LIST = f"{API}/json?all=true&pod=true"
TIMEOUT_S = 15.0
"""For the list: a service that its socket has to start first takes a while on a busy host."""
INSPECT_S = 0.75
"""Inspecting stops after so long, and goes on at the next call."""
MOST_PORTS = 1000
"""Of one container: a range of ports is told by its two ends."""

EVENTS_S = 60.0
"""How often events are asked for where the list shows no change: to tell them, Podman reads a file or the journal."""
OVERLAP_S = 1.0
"""Windows of events overlap, since an event is dated before it can be asked for."""
EVENTS = f"{NAME}: /events"
TOLD = MappingProxyType(
    {
        "create": Kind.CREATE,
        "start": Kind.START,
        "pause": Kind.PAUSE,
        "unpause": Kind.UNPAUSE,
        "kill": Kind.SIGNAL,
        "died": Kind.EXIT,
        "oom": Kind.OOM,
        "remove": Kind.REMOVE,
        "rename": Kind.RENAME,
        "health_status": Kind.HEALTH,
    }
)
"""The actions that are told as events.

What is run in a container is not, since health checks do that all the time; nor are pulls, which Podman tells of
whenever an image is used.
"""
_FILTERS = json.dumps({"type": ["container"], "event": list(TOLD)})
_EVENTS_BYTES = 16 << 20
_NOT_FOUND = 404
_NO_LOG = "is not logging output"
"""Podman's word for a container that was started with ``--log-driver=none``."""
_SECOND_NS = 10**9
_STATES = {
    "configured": State.CREATED,
    "created": State.CREATED,
    "initialized": State.CREATED,
    "running": State.RUNNING,
    "stopping": State.RUNNING,
    "paused": State.PAUSED,
    "restarting": State.RESTARTING,
    "stopped": State.EXITED,
    "exited": State.EXITED,
    "removing": State.EXITED,
}
_MODES = {"net": "NetworkMode", "pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode", "cgroup": "CgroupMode"}


@dataclass(frozen=True, slots=True)
class Details:
    """What an inspection adds to the list."""

    restarts: int | None = None
    restart_policy: str | None = None
    oom_killed: bool | None = None
    grace_s: float | None = None
    stop_signal: str | None = None
    joins_network_of: ContainerId | None = None
    host_namespaces: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()


_Run = tuple[int | None, bool]
"""A container's start, and whether that run is over."""


class Podman:
    """A Podman service."""

    name = NAME
    abilities = EVERY_ABILITY

    def __init__(self, socket: str, clock: Callable[[], float] = time.time) -> None:
        """Find the service at ``socket``; ``clock`` gives seconds since 1970, as the service's does.

        Raises:
            SourceUnavailable: nothing answers there, or we may not connect.
        """
        self._api = JsonSocket(socket, remedy="run topcon with sudo")
        self._api.probe()
        self._details: dict[ContainerId, tuple[_Run, Details]] = {}
        self._clock = clock
        self._listed: frozenset[tuple[ContainerId, State, int | None]] | None = None
        self._has_changed = False
        self._told_at: float | None = clock()
        self._seen: frozenset[str] = frozenset()

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return what Podman knows now; details of a container may follow some calls after its name."""
        infos = {info.id: info for info in parse_list(self._api.request("GET", LIST, timeout_s=TIMEOUT_S))}
        self._details = {container: known for container, known in self._details.items() if container in infos}
        listed = frozenset((info.id, info.state, info.started_ns) for info in infos.values())
        self._has_changed |= self._listed not in {None, listed}
        self._listed = listed
        self._inspect(infos)
        return tuple(self._detailed(info) for info in infos.values())

    def events(self) -> tuple[Told, ...]:
        """Return what has happened, where the list has changed or it was not asked for some time."""
        now = self._clock()
        # It was refused once: Podman was told to keep none.
        if self._told_at is None or not (self._has_changed or now - self._told_at >= EVENTS_S):
            return ()
        # It takes whole seconds alone.
        window = {"stream": "false", "since": f"{math.floor(self._told_at - OVERLAP_S)}"}
        try:
            data, _ = self._api.beginning(
                f"{BASE}/events?{urlencode(window | {'filters': _FILTERS})}", _EVENTS_BYTES, TIMEOUT_S
            )
        except Refused:
            self._told_at = None
            return ()
        self._told_at, self._has_changed = now, False
        events, self._seen = parse_new(data, self._seen, EVENTS)
        return tuple(told for event in events if (told := told_of(event, NAME, TOLD)) is not None)

    def close(self) -> None:
        """No connection is kept."""

    def _inspect(self, infos: dict[ContainerId, ContainerInfo]) -> None:
        """Inspect those that have been started or have ended since; what runs comes first: people look at it."""
        until = time.monotonic() + INSPECT_S
        for info in sorted(infos.values(), key=lambda info: info.state is not State.RUNNING):
            run = (info.started_ns, info.state.is_over)
            if self._details.get(info.id, (None,))[0] == run:
                continue
            if time.monotonic() >= until:
                return
            try:
                details = parse_details(self._api.request("GET", f"{_path(info.id)}/json"))
            except Refused as error:
                if error.status == _NOT_FOUND:
                    del infos[info.id]
                    continue
                # A container that cannot be inspected keeps what the list says of it: the others need their names.
                details = Details()
            except ParseError:
                details = Details()
            self._details[info.id] = (run, details)

    def _detailed(self, info: ContainerInfo) -> ContainerInfo:
        if info.id not in self._details:
            return info
        details = self._details[info.id][1]
        return replace(
            info,
            restarts=details.restarts if info.restarts is None else info.restarts,
            restart_policy=details.restart_policy,
            oom_killed=details.oom_killed,
            grace_s=details.grace_s,
            stop_signal=details.stop_signal,
            joins_network_of=details.joins_network_of,
            host_namespaces=details.host_namespaces,
            volumes=details.volumes,
        )

    def started_ns(self, container: ContainerId) -> int | None:
        """Ask when the container was last started, in whole seconds, as the list has it."""
        state = to_object(to_object(self._api.act("GET", f"{_path(container)}/json")).get("State"))
        started_ns = parse_time_ns(state.get("StartedAt"))
        return None if started_ns is None else started_ns // _SECOND_NS * _SECOND_NS

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """``podman logs --tail``."""
        try:
            return last_lines(lambda count: self._log(container, count), lines)
        except Refused as error:
            if error.status == _NOT_FOUND or _NO_LOG in error.words:
                return ()
            raise

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """``podman logs --follow``."""
        try:
            path = f"{_path(container)}/logs?{follow_query(wanted)}"
            channel, first = self._api.stream(path, FIRST_S)
        except Refused as error:
            if error.status == _NOT_FOUND or _NO_LOG in error.words:
                return None
            raise
        return StreamFeed(NAME, channel, first, FRAMES, partial(self._api.body, path))

    def _log(self, container: ContainerId, lines: int) -> tuple[list[LogLine], bool]:
        query = urlencode({"stdout": "true", "stderr": "true", "timestamps": "true", "tail": lines})
        data, is_cut = self._api.beginning(f"{_path(container)}/logs?{query}", LARGEST_BYTES)
        return parse_frames(data, f"{NAME}: /logs"), is_cut

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """``podman inspect``."""
        return to_object(self._api.request("GET", f"{_path(container)}/json"))

    def sizes(self, container: ContainerId) -> LayerSizes:
        """``podman ps -s``, of one container."""
        answer = self._api.request("GET", f"{_path(container)}/json?size=true", timeout_s=COUNTING_S)
        return to_sizes(to_object(answer))

    def execute(
        self, container: ContainerId, command: Sequence[str], size: Size, environment: Sequence[str]
    ) -> Session:
        """``podman exec -it``."""
        return execute(self._api, BASE, container, command, size, environment)

    def start(self, container: ContainerId) -> None:
        """``podman start``."""
        self._act(container, "start")

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """``podman stop``."""
        self._act(container, "stop", grace_s=grace_s, timeout=math.ceil(grace_s))

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """``podman restart``."""
        self._act(container, "restart", grace_s=grace_s, t=math.ceil(grace_s), timeout=math.ceil(grace_s))

    def pause(self, container: ContainerId) -> None:
        """``podman pause``."""
        self._act(container, "pause")

    def unpause(self, container: ContainerId) -> None:
        """``podman unpause``."""
        self._act(container, "unpause")

    def kill(self, container: ContainerId, signal: str) -> None:
        """``podman kill --signal``."""
        self._act(container, "kill", signal=signal)

    def remove(self, container: ContainerId) -> None:
        """``podman rm``."""
        query = urlencode({"force": "false", "v": "false"})
        answer = self._api.act("DELETE", f"{_path(container)}?{query}", timeout_s=ACTION_S)
        # The answer is a success even where the removal was none; it says so of each container.
        for report in map(to_object, to_list(answer)):
            if said := to_text(report.get("Err")):
                raise ActionFailed(said)

    def _act(self, container: ContainerId, verb: str, *, grace_s: float = 0.0, **query: object) -> None:
        self._api.act("POST", f"{_path(container)}/{verb}?{urlencode(query)}", timeout_s=grace_s + ACTION_S)


def _path(container: ContainerId) -> str:
    return f"{API}/{quote(container, safe='', errors='replace')}"


def parse_list(answer: object) -> list[ContainerInfo]:
    """Parse the answer of ``/libpod/containers/json``.

    Raises:
        ParseError: it is no list of containers.
    """
    if not isinstance(answer, list):
        where = f"{NAME}: {LIST}"
        raise ParseError(where, reprlib.repr(answer))
    return [info_from_list(entry) for entry in answer]


def info_from_list(entry: object) -> ContainerInfo:
    """Turn an entry of the list into what topcon knows of a container.

    Raises:
        ParseError: it has no id.
    """
    said = to_object(entry)
    container = to_text(said.get("Id"))
    if container is None:
        where = f"{NAME}: {LIST}"
        raise ParseError(where, reprlib.repr(entry))
    state = _STATES.get(to_text(said.get("State")) or "", State.UNKNOWN)
    health = to_text(said.get("Status"))
    pod = to_text(said.get("Pod"))
    return ContainerInfo(
        id=ContainerId(container),
        runtime=NAME,
        name=next(filter(None, map(to_text, to_list(said.get("Names")))), container[:12]),
        source=Source.API,
        state=state,
        image=to_text(said.get("Image")),
        command=" ".join(filter(None, map(to_text, to_list(said.get("Command"))))) or None,
        labels=to_labels(said.get("Labels")),
        ports=tuple(_ports(said.get("Ports"))),
        # The list keeps the last word of a health check that ended with its container.
        health=Health(health) if health in set(Health) and not state.is_stopped else None,
        exit_code=to_int(said.get("ExitCode")) if state.is_over else None,
        restarts=to_int(said.get("Restarts")),
        created_ns=parse_time_ns(said.get("Created")),
        started_ns=to_time_ns(said.get("StartedAt")),
        finished_ns=to_time_ns(said.get("ExitedAt")) if state.is_over else None,
        role=Role.SANDBOX if said.get("IsInfra") is True else Role.WORKLOAD,
        pod=PodInfo(PodKind.PODMAN, pod, to_text(said.get("PodName")) or pod[:12]) if pod else None,
    )


def _ports(mappings: object) -> Iterator[Port]:
    left = MOST_PORTS
    for mapping in map(to_object, to_list(mappings)):
        inside, outside = to_int(mapping.get("container_port")), to_int(mapping.get("host_port"))
        if inside is None or outside is None:
            continue
        count = min(max(to_int(mapping.get("range")) or 1, 1), left)
        left -= count
        host_ip, protocol = to_text(mapping.get("host_ip")), to_text(mapping.get("protocol")) or "tcp"
        yield from (Port(host_ip, outside + offset, inside + offset, protocol) for offset in range(count))


def parse_details(answer: object) -> Details:
    """Turn the answer of ``/libpod/containers/ID/json`` into what the list lacks."""
    said = to_object(answer)
    config, host = to_object(said.get("Config")), to_object(said.get("HostConfig"))
    oom_killed = to_object(said.get("State")).get("OOMKilled")
    network = to_text(host.get("NetworkMode")) or ""
    grace_s = to_int(config.get("StopTimeout"))
    return Details(
        restarts=to_int(said.get("RestartCount")),
        restart_policy=to_text(to_object(host.get("RestartPolicy")).get("Name")) or "no",
        oom_killed=oom_killed if isinstance(oom_killed, bool) else None,
        grace_s=None if grace_s is None else float(grace_s),
        stop_signal=_signal_name(config.get("StopSignal")),
        joins_network_of=ContainerId(network.removeprefix("container:")) if network.startswith("container:") else None,
        host_namespaces=tuple(name for name, mode in _MODES.items() if host.get(mode) == "host"),
        volumes=docker_volumes(to_list(said.get("Mounts"))),
    )


def _signal_name(said: object) -> str | None:
    """Podman 4 and 5 tell a number, later ones a name."""
    number = to_int(said)
    if number is None:
        return to_text(said)
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


PLUGIN = Plugin(
    name=NAME,
    sockets=(
        "$CONTAINER_HOST",
        "/run/podman/podman.sock",
        "$XDG_RUNTIME_DIR/podman/podman.sock",
        "/run/user/*/podman/podman.sock",
    ),
    connect=Podman,
    prepare=prepare,
    poll_s=5.0,
)
