"""Names without any daemon: from the files and the processes that runtimes leave beside a container.

What is forbidden to read is passed over: without root there are still the command lines of shims and conmon, the
kubelet's logs, and the mounts that the container has (proc(5)).
"""

from __future__ import annotations

import math
import os
import re
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

from topcon.errors import ParseError
from topcon.model.sample import ContainerInfo, PodInfo, PodKind, Role, Source, State
from topcon.runtimes import argv, spec
from topcon.runtimes.hostfiles import HostFiles, Mount, Proxies, paths_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.model.sample import CgroupPath, FoundContainer, ProcessSample
    from topcon.runtimes.spec import Json

BUDGET_S = 0.1
"""What a tick can spare."""
RETRY_S = 3.0
"""A bundle can appear after the cgroup."""
TRIES = 4
ANCESTORS = 4
"""How far above the first process a shim is looked for."""
NOBODY = "none"
"""The runtime, where nothing says which."""

_DOCKER_ROOT = re.compile(r"(.*)/containers/[0-9a-f]{64}/(?:hostname|hosts|resolv\.conf)")
_DOCKER_DEFAULT = "/var/lib/docker"
_KUBELET_MOUNT = re.compile(r".*/pods/[^/]+/containers/([^/]+)/[0-9a-f]+")
_SANDBOX_MOUNT = re.compile(r".*/io\.containerd\.grpc\.v1\.cri/sandboxes/([0-9a-f]{64})/[^/]+")
_LOG = re.compile(r"([^_]+)_([^_]+)_(.+)-([0-9a-f]{64})\.log")
_LOG_DIRECTORY = re.compile(r"([^_]+)_([^_]+)_([^_]+)")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_SHIM_BUNDLES = "io.containerd.runtime.v2.task"
_STATES = (
    ("runc", "/run/runc/{id}/state.json"),
    ("crun", "/run/crun/{id}/status"),
    ("runc", "/run/user/{uid}/runc/{id}/state.json"),
    ("crun", "/run/user/{uid}/crun/{id}/status"),
)


class Bundles:
    """Names for containers whose runtime does not answer. Only one thread uses it."""

    def __init__(
        self,
        host_root: str = "",
        proc_root: str = "/proc",
        clock: Callable[[], float] | None = None,
        budget_s: float = BUDGET_S,
    ) -> None:
        """Read the host's files below ``host_root``; ``clock`` gives monotonic seconds.

        Looking stops after ``budget_s``, and goes on at the next call.
        """
        self._budget_s = budget_s
        self._host_root = host_root
        self._proc_root = proc_root
        self._clock = clock or time.monotonic
        self._kept: dict[CgroupPath, _Kept] = {}
        self._wanted: Mapping[CgroupPath, tuple[FoundContainer, ProcessSample]] = {}
        self._quiet_until = 0.0
        self._infos: tuple[ContainerInfo, ...] = ()
        self._proxies = Proxies(proc_root)
        self._proxies_until = self._clock() + RETRY_S

    @property
    def malformed(self) -> ParseError | None:
        """The first file that was not understood, of those containers that were asked for last."""
        return next((kept.malformed for kept in self._kept.values() if kept.malformed), None)

    def infos(
        self, wanted: Mapping[CgroupPath, tuple[FoundContainer, ProcessSample]], budget_s: float | None = None
    ) -> tuple[ContainerInfo, ...]:
        """Return what can be found out about these containers, by the process each was started with.

        The same objects as the last time, where nothing new was found. ``budget_s`` is another one for this call.
        """
        now = self._clock()
        budget_s = self._budget_s if budget_s is None else budget_s
        if wanted is self._wanted and now < self._quiet_until:
            return self._infos
        if now >= self._proxies_until:
            self._proxies, self._proxies_until = Proxies(self._proc_root), now + RETRY_S
        files = HostFiles(self._host_root, self._proc_root, self._proxies)
        kept: dict[CgroupPath, _Kept] = {}
        for path, (found, process) in wanted.items():
            before = self._kept.get(path)
            if before and before.run != _run(found, process):
                before = None
            if before and (before.is_settled or now < before.retry_at):
                kept[path] = before
            elif self._clock() - now < budget_s:
                kept[path] = _look(files, found, process, before, now + RETRY_S)
            elif before:
                kept[path] = before
        self._kept, self._wanted = kept, wanted
        retries = [each.retry_at for each in kept.values() if not each.is_settled]
        self._quiet_until = min(retries, default=math.inf) if len(kept) == len(wanted) else now
        infos = tuple(each.info for each in kept.values() if each.info)
        if infos != self._infos:
            self._infos = infos
        return self._infos


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was found out about one run of a container."""

    run: tuple[str, int, int]
    info: ContainerInfo | None
    malformed: ParseError | None
    is_complete: bool
    tries: int
    retry_at: float

    @property
    def is_settled(self) -> bool:
        return self.is_complete or self.tries >= TRIES


def _run(found: FoundContainer, process: ProcessSample) -> tuple[str, int, int]:
    return (found.id, *process.identity)


def _look(
    files: HostFiles, found: FoundContainer, process: ProcessSample, before: _Kept | None, retry_at: float
) -> _Kept:
    info, malformed = find_out(files, found, process)
    if before and before.info == info:
        info = before.info
    # Docker writes down a start when it is done.
    is_awaited = info is not None and info.runtime == "docker" and info.started_ns is None
    is_complete = info is not None and info.name != _short(found) and not is_awaited
    return _Kept(_run(found, process), info, malformed, is_complete, before.tries + 1 if before else 1, retry_at)


def find_out(
    files: HostFiles, found: FoundContainer, process: ProcessSample
) -> tuple[ContainerInfo | None, ParseError | None]:
    """Ask each source in turn until there is a name; return None where none knows the container."""
    info, malformed = None, None
    try:
        case = _case(files, found, process)
    except ParseError as error:
        return None, error
    for source in _SOURCES:
        try:
            info = _merged(info, source(case, files))
        except ParseError as error:
            malformed = malformed or error
        if info and info.name:
            break
    if info is None:
        return None, malformed
    is_nameless = not info.name and _HEX64.fullmatch(_given(found))
    return replace(
        info,
        name=info.name or _short(found),
        source=Source.CGROUP if is_nameless else info.source,
        runtime=info.runtime or found.runtime or NOBODY,
        command=info.command or " ".join(files.command_line(process.pid)).strip() or None,
    ), malformed


def _short(found: FoundContainer) -> str:
    """What to call a container without a name: of the ids that a runtime made up, people know twelve digits."""
    name = _given(found)
    return name[:12] if _HEX64.fullmatch(name) else name


def _given(found: FoundContainer) -> str:
    """The id that the runtime was given: of containerd's, whose ids hold their namespace where it is needed, a part."""
    return found.id.rpartition("/")[2] if found.runtime == "containerd" else found.id


@dataclass(frozen=True, slots=True)
class _Case:
    """A container, and the process that its runtime left to look after it."""

    found: FoundContainer
    process: ProcessSample
    keeper: int | None
    """The pid of the shim or conmon."""
    shim: argv.Shim | None
    conmon: argv.Conmon | None
    blank: ContainerInfo
    """Nothing but the id."""

    @property
    def pids(self) -> frozenset[int | None]:
        """What the first process may be called by who is in another pid namespace."""
        return frozenset((self.process.pid, *self.process.ns_pids))

    @property
    def is_file_name(self) -> bool:
        """Whether the id can be a part of a path: that of a unit may have been anything."""
        return "/" not in self.given and self.given not in {".", ".."}

    @property
    def given(self) -> str:
        """The id that the runtime was given."""
        return _given(self.found)


def _case(files: HostFiles, found: FoundContainer, process: ProcessSample) -> _Case:
    """Go up from a container's first process to the shim or conmon that is its own."""
    blank = ContainerInfo(found.id, "", "", Source.BUNDLE, State.UNKNOWN)
    pid = process.pid
    for distance in range(ANCESTORS):
        parent = files.parent(pid)
        if not parent:
            break
        pid = parent
        words = files.command_line(pid)
        shim, conmon = argv.parse_shim(words), argv.parse_conmon(words)
        # The containers of a Kubernetes pod are children of the shim of its sandbox.
        is_pod_shim = shim is not None and distance == 0 and not found.is_candidate
        if shim and (found.id in {shim.id, f"{shim.namespace}/{shim.id}"} or is_pod_shim):
            return _Case(found, process, pid, shim, None, blank)
        if conmon and conmon.id == found.id:
            return _Case(found, process, pid, None, conmon, blank)
    return _Case(found, process, None, None, None, blank)


def _merged(best: ContainerInfo | None, more: ContainerInfo | None) -> ContainerInfo | None:
    """Fill what ``best`` lacks."""
    if best is None or more is None:
        return best or more
    lacking = {
        each.name: getattr(more, each.name)
        for each in fields(ContainerInfo)
        if getattr(best, each.name) in _UNKNOWN and getattr(more, each.name) not in _UNKNOWN
    }
    return replace(best, **lacking)


_UNKNOWN: tuple[object, ...] = (None, "", (), {}, Role.WORKLOAD)


def _docker(case: _Case, files: HostFiles) -> ContainerInfo | None:
    runtime = case.shim.runtime if case.shim else case.found.runtime
    if case.conmon or runtime not in {None, "docker"} or not case.is_file_name:
        return None
    for root in _docker_roots(case, files):
        directory = f"{root}/containers/{case.found.id}"
        config = files.json_object(f"{directory}/config.v2.json", case.keeper)
        if config is not None:
            host = files.json_object(f"{directory}/hostconfig.json", case.keeper) or {}
            return spec.info_from_docker(config, host, replace(case.blank, runtime="docker"), case.pids)
    return None


def _docker_roots(case: _Case, files: HostFiles) -> Iterator[str]:
    """Where Docker may keep its containers: it mounts files from there into each, and into those that join it."""
    yield _DOCKER_DEFAULT
    outside = files.mounts((case.found.outer and case.keeper) or 1)
    inside = ((mount.device, _DOCKER_ROOT.fullmatch(mount.root)) for mount in files.mounts(case.process.pid))
    for device, root in dict.fromkeys((device, match[1]) for device, match in inside if match):
        yield from paths_outside(Mount(device, root, ""), outside)


def _shim(case: _Case, files: HostFiles) -> ContainerInfo | None:
    if case.shim is None:
        return None
    # Docker starts a shim for each container of a pod.
    is_sandbox = case.found.id == case.shim.id and _is_kubernetes(case.found) and case.shim.runtime != "docker"
    return replace(_in_pod(case, _logged_pod(case, files), "", is_sandbox=is_sandbox), runtime=case.shim.runtime)


def _shim_bundle(case: _Case, files: HostFiles) -> ContainerInfo | None:
    known = _shim(case, files)
    if known is None or case.shim is None or not case.is_file_name:
        return None
    bundle = f"{_SHIM_BUNDLES}/{case.shim.namespace}/{case.given}/config.json"
    run_directory = os.path.dirname(case.shim.address)  # noqa: PTH120  text
    # The containers of a pod lie side by side, and the shim stands in the first.
    config = files.process_object(case.keeper, f"cwd/../{case.given}/config.json")
    for directory in (run_directory, f"{run_directory}/daemon", "/run/containerd"):
        config = config or files.json_object(f"{directory}/{bundle}", case.keeper)
    return replace(spec.info_from_spec(config, known), runtime=known.runtime) if config else None


def _conmon(case: _Case, _: HostFiles) -> ContainerInfo | None:
    conmon, pod = case.conmon, case.found.pod
    if conmon is None:
        return None
    known = replace(case.blank, name=conmon.name)
    written = argv.parse_kubelet_name(conmon.name)
    if written:
        known = _in_pod(case, spec.written_pod(written), written.container, is_sandbox=written.is_sandbox)
    elif pod and conmon.name == f"{pod.id[:12]}-infra":
        known = replace(known, role=Role.SANDBOX)
    return replace(known, runtime=conmon.runtime)


def _conmon_bundle(case: _Case, files: HostFiles) -> ContainerInfo | None:
    known = _conmon(case, files)
    if known is None or case.conmon is None:
        return None
    config = files.json_object(f"{case.conmon.bundle}/config.json", case.keeper)
    if config is None:
        return None
    info = spec.info_from_spec(config, known)
    return _with_podman_storage(case, case.conmon, config, info, files) if info.runtime == "podman" else info


def _with_podman_storage(
    case: _Case, conmon: argv.Conmon, config: Json, info: ContainerInfo, files: HostFiles
) -> ContainerInfo:
    """Add image and pod, which are no part of the bundle."""
    pod, container = case.found.pod, case.found.id
    name = _podman_pod_name(conmon, config, info, files, case.keeper)
    if pod and pod.kind is PodKind.PODMAN and name:
        info = replace(info, pod=PodInfo(PodKind.PODMAN, pod.id, name))
    for directory, file in ((conmon.bundle, "containers.json"), (conmon.run_directory, "volatile-containers.json")):
        # .../overlay-containers/ID/userdata
        storage = directory.rpartition(f"/{container}/")[0]
        image, created_ns = spec.image_of_storage(files.storage(f"{storage}/{file}", case.keeper), container)
        if image:
            return replace(info, image=image, created_ns=created_ns or info.created_ns)
    return info


def _podman_pod_name(
    conmon: argv.Conmon, config: Json, info: ContainerInfo, files: HostFiles, keeper: int | None
) -> str | None:
    """The infra container has the pod's name for host name, unless the pod has the host's network."""
    sandbox = spec.podman_sandbox(config)
    if sandbox and _HEX64.fullmatch(sandbox):
        infra = files.json_object(f"{conmon.bundle.replace(conmon.id, sandbox)}/config.json", keeper)
        return spec.own_hostname(infra) if infra else None
    return spec.own_hostname(config) if info.role is Role.SANDBOX else None


def _plain(case: _Case, files: HostFiles) -> ContainerInfo | None:
    """Containers of runc and crun that nothing else looks after."""
    if case.keeper or case.found.outer or not case.is_file_name:
        return None
    for runtime, template in _STATES:
        path = template.format(id=case.given, uid=files.owner(case.process.pid))
        state = files.json_object(path, None)
        # What a state says of a container that is long gone confirms nothing.
        if state is not None and (spec.pid_of_state(state) in case.pids or not case.found.is_candidate):
            known = replace(case.blank, runtime=case.found.runtime or runtime, name=case.given)
            bundle = spec.bundle_of_state(state)
            config = files.json_object(f"{bundle}/config.json", None) if bundle else None
            return known if config is None else spec.info_from_spec(config, known)
    return None


def _kubelet(case: _Case, files: HostFiles) -> ContainerInfo | None:
    """What anybody can see of a Kubernetes container: its mounts, and the names of its log files."""
    for entry in files.names("/var/log/containers"):
        match = _LOG.fullmatch(entry)
        if match and match[4] == case.found.id:
            uid = case.found.pod.id if _is_kubernetes(case.found) and case.found.pod else None
            pod = PodInfo(PodKind.KUBERNETES, uid, match[1], match[2]) if uid else None
            return _in_pod(case, pod, match[3], is_sandbox=False)
    if not _is_kubernetes(case.found):
        return None
    roots = [mount.root for mount in files.mounts(case.process.pid)]
    names = [match[1] for root in roots if (match := _KUBELET_MOUNT.fullmatch(root))]
    is_sandbox = any((match := _SANDBOX_MOUNT.fullmatch(root)) and match[1] == case.found.id for root in roots)
    info = _in_pod(case, _logged_pod(case, files), next(iter(names), ""), is_sandbox=is_sandbox)
    return info if info.name or info.pod else None


def _in_pod(case: _Case, pod: PodInfo | None, name: str, *, is_sandbox: bool) -> ContainerInfo:
    """A pod's sandbox has no name but the pod's."""
    if is_sandbox:
        return replace(case.blank, name=pod.name if pod else "", role=Role.SANDBOX, pod=pod)
    return replace(case.blank, name=name, pod=pod)


def _is_kubernetes(found: FoundContainer) -> bool:
    return found.pod is not None and found.pod.kind is PodKind.KUBERNETES


def _logged_pod(case: _Case, files: HostFiles) -> PodInfo | None:
    """Find the pod by its uid among the kubelet's directories of logs, ``NAMESPACE_POD_UID``."""
    uid = case.found.pod.id if case.found.pod and _is_kubernetes(case.found) else None
    for entry in files.names("/var/log/pods") if uid else ():
        match = _LOG_DIRECTORY.fullmatch(entry)
        if uid and match and match[3] == uid:
            return PodInfo(PodKind.KUBERNETES, uid, match[2], match[1])
    return None


def _proxies(case: _Case, files: HostFiles) -> ContainerInfo | None:
    """Docker's published ports, by the addresses of the container."""
    if not (case.shim and case.shim.runtime == "docker"):
        return None
    return replace(case.blank, ports=files.proxies.of(files.addresses(case.process.pid)))


class _SourceFunction(Protocol):
    """Returns what it knows of a container; None for nothing.

    Raises:
        ParseError: a file is not in its documented form.
    """

    def __call__(self, case: _Case, files: HostFiles, /) -> ContainerInfo | None: ...


_SOURCES: tuple[_SourceFunction, ...] = (
    _docker,
    _shim_bundle,
    _shim,
    _conmon_bundle,
    _conmon,
    _plain,
    _kubelet,
    _proxies,
)
"""Best first: what a file says before what a command line says."""
