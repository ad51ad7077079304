"""Incus and LXD, by their REST API (https://linuxcontainers.org/incus/docs/main/rest-api/).

One list call with all projects. An instance is named as its cgroup is: by its name, or by PROJECT_NAME outside the
project ``default``; neither projects nor instances may have an underscore in their own names.
"""

from __future__ import annotations

import math
import reprlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from topcon.errors import ActionFailed, ParseError
from topcon.model.sample import ContainerId, ContainerInfo, Source, State, Volume
from topcon.runtimes import EVERY_ABILITY, Plugin
from topcon.runtimes.feeds import AskingFeed
from topcon.runtimes.foreign import parse_time_ns, to_int, to_labels, to_object, to_text
from topcon.runtimes.http import ACTION_S, JsonSocket, Refused, prepare
from topcon.runtimes.logs import LARGEST_BYTES, parse_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import LogLine

NAME = "incus"
RUNTIME = "lxc"
"""What the containers run in, and what their cgroups are named for."""
LIST = "/1.0/instances?recursion=1&all-projects=true"
DEFAULT_PROJECT = "default"

_SUCCESS, _ERROR = 200, 400
_NO_CONSOLE = frozenset((400, 404))
_CONSOLE_BYTES = 16 * LARGEST_BYTES
"""The console remembers less."""
_STATES = {
    "Running": State.RUNNING,
    "Ready": State.RUNNING,
    "Starting": State.RUNNING,
    "Started": State.RUNNING,
    "Stopping": State.RUNNING,
    "Aborting": State.RUNNING,
    "Freezing": State.RUNNING,
    "Thawed": State.RUNNING,
    "Frozen": State.PAUSED,
    "Stopped": State.EXITED,
}
_TRUE = frozenset(("true", "1", "yes", "on"))
_CLOUD_INIT = frozenset(("user.meta-data", "user.network-config", "user.user-data", "user.vendor-data"))
"""Whole files for the instance's first start, often with secrets in them: they are no labels."""


class Incus:
    """An Incus or LXD daemon."""

    name = NAME
    abilities = EVERY_ABILITY - {"kill"}

    def __init__(self, socket: str) -> None:
        """Find the daemon at ``socket``.

        Raises:
            SourceUnavailable: nothing answers there, or we may not connect.
        """
        group = "lxd" if "/lxd/" in socket else "incus-admin"
        self._api = JsonSocket(socket, remedy=f"sudo usermod -aG {group} $USER, then log in again")
        self._api.probe()

    def containers(self) -> tuple[ContainerInfo, ...]:
        """Return what the daemon knows now."""
        return tuple(parse_list(self._api.request("GET", LIST)))

    def close(self) -> None:
        """No connection is kept."""

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """``incus console --show-log``, its last lines: what the instance has written to its console, without times."""
        said = self._console(container)
        return tuple(parse_plain(said)[-lines:]) if said and lines > 0 else ()

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """Do the same again and again."""
        before = self._console(container)
        if before is None:
            return None
        return AskingFeed(NAME, before, lambda: self._console(container) or b"", wanted)

    def _console(self, container: ContainerId) -> bytes | None:
        """Ask for what the console remembers; None where there is none, as of an instance that does not run."""
        try:
            return self._api.beginning(_path(container, "/console"), _CONSOLE_BYTES)[0]
        except Refused as error:
            if error.status in _NO_CONSOLE:
                return None
            raise

    def started_ns(self, container: ContainerId) -> int | None:
        """Ask when the instance was last started."""
        return parse_time_ns(self._instance(container).get("last_used_at"))

    def inspect(self, container: ContainerId) -> Mapping[str, Any]:
        """``incus config show --expanded``, with the state."""
        found = to_object(self._api.request("GET", _path(container)))
        state = to_object(self._api.request("GET", _path(container, "/state")))
        return {**to_object(found.get("metadata")), "state": to_object(state.get("metadata"))}

    def start(self, container: ContainerId) -> None:
        """``incus start``."""
        self._change(container, "start")

    def stop(self, container: ContainerId, grace_s: float) -> None:
        """``incus stop``, and after the grace period ``incus stop --force``."""
        if self._is_stopped(container):
            return
        if grace_s <= 0 or not self._has_stopped(container, grace_s):
            self._has_stopped(container, force=True)

    def _has_stopped(self, container: ContainerId, grace_s: float = 0.0, *, force: bool = False) -> bool:
        """Stop an instance; without force it may go on after the grace period."""
        try:
            self._change(container, "stop", grace_s, force=force)
        except ActionFailed:
            # It may have ended by itself meanwhile.
            is_stopped = self._is_stopped(container)
            if force and not is_stopped:
                raise
            return is_stopped
        return True

    def restart(self, container: ContainerId, grace_s: float) -> None:
        """Stop and start: ``incus restart`` refuses what is stopped, and never forces by itself."""
        self.stop(container, grace_s)
        self.start(container)

    def pause(self, container: ContainerId) -> None:
        """``incus pause``."""
        self._change(container, "freeze")

    def unpause(self, container: ContainerId) -> None:
        """``incus resume``."""
        self._change(container, "unfreeze")

    def kill(self, container: ContainerId, signal: str) -> None:
        """Refuse: there is no call that sends a signal."""
        message = f"{NAME} cannot send {signal} to {container}"
        raise ActionFailed(message)

    def remove(self, container: ContainerId) -> None:
        """``incus delete``; what runs it refuses itself."""
        self._wait_for("delete", self._api.act("DELETE", _path(container)), ACTION_S)

    def _is_stopped(self, container: ContainerId) -> bool:
        return self._instance(container).get("status") == "Stopped"

    def _instance(self, container: ContainerId) -> dict[str, Any]:
        return to_object(to_object(self._api.act("GET", _path(container))).get("metadata"))

    def _change(self, container: ContainerId, action: str, grace_s: float = 0.0, *, force: bool = False) -> None:
        """Change the state of an instance, and wait until it has changed."""
        body = {"action": action, "timeout": math.ceil(grace_s) or -1, "force": force}
        self._wait_for(action, self._api.act("PUT", _path(container, "/state"), body), grace_s + ACTION_S)

    def _wait_for(self, action: str, begun: object, patience_s: float) -> None:
        operation = to_text(to_object(begun).get("operation"))
        if operation is None or not operation.startswith("/1.0/operations/"):
            return
        path = f"{quote(operation.partition('?')[0])}/wait?timeout={math.ceil(patience_s)}"
        answer = to_object(self._api.act("GET", path, timeout_s=patience_s + ACTION_S))
        # The answer begins, with status 200, before the operation ends. How it ended is told by Incus as an error of
        # the answer, by older daemons in the operation.
        if answer.get("type") == "error":
            raise ActionFailed(to_text(answer.get("error")) or f"{action} failed")
        ended = to_object(answer.get("metadata"))
        status = to_int(ended.get("status_code")) or _SUCCESS
        if status >= _ERROR:
            raise ActionFailed(to_text(ended.get("err")) or f"{action} failed")
        if status < _SUCCESS:
            message = f"{action} is not done after {patience_s:.0f} s"
            raise ActionFailed(message)


def _path(container: ContainerId, part: str = "") -> str:
    project, _, name = container.rpartition("_")
    query = urlencode({"project": project or DEFAULT_PROJECT}, errors="replace")
    return f"/1.0/instances/{quote(name, safe='', errors='replace')}{part}?{query}"


def parse_list(answer: object) -> list[ContainerInfo]:
    """Parse the answer of ``/1.0/instances``, its containers alone: virtual machines are none.

    Raises:
        ParseError: it is no list of instances.
    """
    instances = to_object(answer).get("metadata")
    if not isinstance(instances, list):
        where = f"{NAME}: {LIST}"
        raise ParseError(where, reprlib.repr(answer))
    return [info_from_instance(each) for each in instances if to_object(each).get("type", "container") == "container"]


def info_from_instance(instance: object) -> ContainerInfo:
    """Turn an instance into what topcon knows of a container.

    Raises:
        ParseError: it has no name.
    """
    said = to_object(instance)
    name, project = to_text(said.get("name")), to_text(said.get("project")) or DEFAULT_PROJECT
    if name is None:
        where = f"{NAME}: {LIST}"
        raise ParseError(where, reprlib.repr(instance))
    config = to_labels(said.get("expanded_config") or said.get("config"))
    started_ns = parse_time_ns(said.get("last_used_at"))
    state = _STATES.get(to_text(said.get("status")) or "", State.UNKNOWN)
    return ContainerInfo(
        id=ContainerId(name if project == DEFAULT_PROJECT else f"{project}_{name}"),
        runtime=RUNTIME,
        name=name,
        source=Source.API,
        state=State.CREATED if state is State.EXITED and started_ns is None else state,
        image=config.get("image.description") or None,
        labels=_labels(config),
        created_ns=parse_time_ns(said.get("created_at")),
        started_ns=started_ns,
        volumes=tuple(_volumes(said.get("expanded_devices") or said.get("devices"))),
    )


def _labels(config: Mapping[str, str]) -> Mapping[str, str]:
    """Return the free-form part of a configuration."""
    return MappingProxyType(
        {key: value for key, value in config.items() if key.startswith("user.") and key not in _CLOUD_INIT}
    )


def _volumes(devices: object) -> Iterator[Volume]:
    for device in map(to_object, to_object(devices).values()):
        source, target = to_text(device.get("source")), to_text(device.get("path"))
        if device.get("type") == "disk" and source and target:
            yield Volume(source, target, is_read_only=to_text(device.get("readonly")) in _TRUE)


PLUGIN = Plugin(
    name=NAME,
    sockets=("/var/lib/incus/unix.socket", "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"),
    connect=Incus,
    runtime="lxc",
    prepare=prepare,
    poll_s=5.0,
)
