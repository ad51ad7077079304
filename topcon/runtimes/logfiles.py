"""Where the runtimes keep what containers write, for when none answers. Read like `hostfiles`: with care.

Docker's ``json-file``: ``/var/lib/docker/containers/ID/ID-json.log``. Kubernetes: ``/var/log/pods``, and links to it by
container below ``/var/log/containers``. Podman and CRI-O: as conmon was told, conmon(8). Or systemd's journal.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import ParseError, SourceUnavailable
from topcon.model.sample import Problem
from topcon.runtimes.argv import parse_conmon
from topcon.runtimes.feeds import FileFeed
from topcon.runtimes.hostfiles import HostFiles, Mount, Proxies, paths_outside
from topcon.runtimes.logs import CRI, JSON_LINES
from topcon.runtimes.spec import CONTAINER_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.output import Feed, Wanted
    from topcon.model.sample import ContainerId, ContainerInfo
    from topcon.runtimes.logs import Form

SOURCE = "logs"
CONTAINERS, PODS = "/var/log/containers", "/var/log/pods"
MOST_LINKS = 4
"""Kubelet's links lead to others."""

_DOCKER_ROOT = re.compile(r"(.*)/containers/[0-9a-f]{64}/(?:hostname|hosts|resolv\.conf)")
_DOCKER_DEFAULT = "/var/lib/docker"
_HEX64 = re.compile(r"[0-9a-f]{64}")
_POD_LABELS = tuple(f"io.kubernetes.pod.{name}" for name in ("namespace", "name", "uid"))
_READ_BY_RUNTIME = frozenset(("local",))


class InJournal(NamedTuple):
    """The journal, with what a container writes."""

    id: ContainerId


class LogFile(NamedTuple):
    """A file with what a container writes."""

    path: str
    """As topcon sees it."""
    form: Form


def open_log(
    info: ContainerInfo, pid: int | None, wanted: Wanted, host_root: str = "", proc_root: str = "/proc"
) -> Feed | Problem:
    """Follow a container's log file, wherever it is; where there is none, say where its lines go."""
    files = HostFiles(host_root, proc_root, Proxies(proc_root))
    failure: SourceUnavailable | None = None
    for found in find_logs(info, pid, files, host_root):
        if isinstance(found, Problem):
            return found
        try:
            return _opened(found, wanted, host_root)
        except SourceUnavailable as error:
            # That one is kept from us says more than that another is not there.
            failure = error if failure is None or error.remedy else failure
    if failure is not None:
        return Problem(SOURCE, str(failure), failure.remedy)
    return Problem(SOURCE, f"{info.runtime}: nobody who answers has its output, and there is no file of it")


def _opened(found: LogFile | InJournal, wanted: Wanted, host_root: str) -> Feed:
    if isinstance(found, LogFile):
        return FileFeed(found.path, found.form, wanted)
    # Few need it.
    from topcon.runtimes.journal import JournalFeed  # noqa: PLC0415

    return JournalFeed(found.id, wanted, host_root)


def find_logs(
    info: ContainerInfo, pid: int | None, files: HostFiles, host_root: str = ""
) -> Iterator[LogFile | InJournal | Problem]:
    """Return the places where a container's lines may be, best first; a problem where they are known to be elsewhere.

    Args:
        info: what is known of the container.
        pid: its first process; None if it does not run.
        files: the host's.
        host_root: where the host's files are.
    """
    if _HEX64.fullmatch(info.id):
        yield from _docker(info, pid, files, host_root)
        yield from _kubernetes(info, files, host_root)
    if pid is not None:
        yield from _conmon(info, pid, files, host_root)


def _docker(
    info: ContainerInfo, pid: int | None, files: HostFiles, host_root: str
) -> Iterator[LogFile | InJournal | Problem]:
    if info.runtime != "docker":
        return
    for root in _docker_roots(pid, files):
        directory = f"{root}/containers/{info.id}"
        host = _object(files, f"{directory}/hostconfig.json")
        config = host.get("LogConfig") if host else None
        driver = config.get("Type") if isinstance(config, dict) else None
        if driver == "journald":
            yield InJournal(info.id)
        elif driver in _READ_BY_RUNTIME:
            yield Problem(SOURCE, f"only {info.runtime} reads its driver {driver!r}, and does not answer")
        elif driver == "none":
            yield Problem(SOURCE, "its runtime keeps nothing of what it writes: log driver none")
        yield LogFile(f"{host_root}{directory}/{info.id}-json.log", JSON_LINES)


def _docker_roots(pid: int | None, files: HostFiles) -> Iterator[str]:
    """Where Docker may keep its containers: it mounts files from there into each."""
    if pid is not None:
        outside = _mounts(files, 1)
        inside = ((mount.device, _DOCKER_ROOT.fullmatch(mount.root)) for mount in _mounts(files, pid))
        for device, root in dict.fromkeys((device, match[1]) for device, match in inside if match):
            yield from paths_outside(Mount(device, root, ""), outside)
    yield _DOCKER_DEFAULT


def _kubernetes(info: ContainerInfo, files: HostFiles, host_root: str) -> Iterator[LogFile]:
    """By the links' names, which end in the container's id, or else by what its labels say of its pod."""
    for name in files.names(CONTAINERS):
        if name.endswith(f"-{info.id}.log"):
            yield _followed(f"{CONTAINERS}/{name}", host_root)
    pod = [info.labels.get(label, "") for label in _POD_LABELS]
    container = info.labels.get(CONTAINER_LABEL, "")
    if all(_is_name(part) for part in (*pod, container)):
        directory = f"{PODS}/{'_'.join(pod)}/{container}"
        attempts = [name for name in files.names(directory) if re.fullmatch(r"\d{1,9}\.log", name)]
        for name in sorted(attempts, key=lambda name: -int(name[:-4]))[:1]:
            yield _followed(f"{directory}/{name}", host_root)


def _is_name(part: str) -> bool:
    """Whether it can be a part of a path: labels may be anything."""
    return bool(part) and "/" not in part and "\0" not in part and part not in {".", ".."}


def _followed(path: str, host_root: str) -> LogFile:
    """Follow links as the host sees them; cri-dockerd's lead to Docker's own files."""
    for _ in range(MOST_LINKS):
        try:
            target = os.readlink(host_root + path)  # noqa: PTH115  text
        except (OSError, ValueError):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))  # noqa: PTH118, PTH120  text
    return LogFile(host_root + path, JSON_LINES if path.endswith("-json.log") else CRI)


def _conmon(info: ContainerInfo, pid: int, files: HostFiles, host_root: str) -> Iterator[LogFile | InJournal | Problem]:
    """Where the process that looks after it writes what it writes."""
    try:
        parent = files.parent(pid)
    except ParseError:
        return
    words = files.command_line(parent) if parent else ("",)
    conmon = parse_conmon(words)
    if conmon is None or conmon.id != info.id:
        return
    for driver, path in map(parse_log_path, conmon_logs(words)):
        if path:
            yield LogFile(host_root + path, CRI)
        elif driver == "journald":
            yield InJournal(info.id)


def conmon_logs(words: tuple[str, ...]) -> list[str]:
    """Return what a conmon was told of where to write, as often as it was."""
    told = [after for word, after in pairwise(words) if word in {"-l", "--log-path"}]
    return told + [word.partition("=")[2] for word in words if word.startswith("--log-path=")]


def parse_log_path(text: str) -> tuple[str, str]:
    """Parse ``DRIVER:PATH``, ``PATH`` or ``DRIVER`` to driver and path; the latter may be empty."""
    driver, colon, path = text.partition(":")
    if text.startswith("/"):
        return "k8s-file", text
    return driver, path if colon and path.startswith("/") and driver in {"k8s-file", "json-file"} else ""


def _object(files: HostFiles, path: str) -> dict[str, object] | None:
    try:
        found = files.json_object(path, None)
    except ParseError:
        return None
    return dict(found) if found is not None else None


def _mounts(files: HostFiles, pid: int) -> tuple[Mount, ...]:
    try:
        return files.mounts(pid)
    except ParseError:
        return ()
