"""What runtimes write into files beside a container, as what topcon knows of it.

OCI: https://github.com/opencontainers/runtime-spec/blob/main/config.md; the annotations are each runtime's own. Nothing
in them is trusted: what is of another type than expected is passed over.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError
from topcon.model.sample import ContainerId, PodInfo, PodKind, Port, Role, Volume
from topcon.runtimes.argv import parse_kubelet_name
from topcon.runtimes.foreign import parse_time_ns, to_int, to_labels, to_list, to_object, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topcon.model.sample import ContainerInfo
    from topcon.runtimes.argv import KubeletName

    Json = Mapping[str, Any]

POD_LABELS = tuple(f"io.kubernetes.pod.{name}" for name in ("uid", "name", "namespace"))
CONTAINER_LABEL = "io.kubernetes.container.name"
_CRI = "io.kubernetes.cri."
_CRIO = "io.kubernetes.cri-o."
_PODMAN_SANDBOX = f"{_CRIO}SandboxID"
_OCI_NAMESPACES = {"network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts"}
DOCKER_MODES = {"net": "NetworkMode", "pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode", "cgroup": "CgroupnsMode"}
_ROLES = {"init": Role.INIT, "ephemeral": Role.EPHEMERAL, "sandbox": Role.SANDBOX, "podsandbox": Role.SANDBOX}
OWN_TARGETS = frozenset(
    (
        *("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev/shm", "/dev/termination-log"),  # noqa: S108
        *("/run/.containerenv", "/var/run/.containerenv", "/sbin/docker-init", "/run/podman-init", "/dev/init"),
    )
)
"""Where runtimes and kubelet mount files of their own, which say nothing about a container."""
_OWN_SOURCE = re.compile(r".*/overlay-containers/[0-9a-f]{64}/userdata/.*|.*/pods/[^/]+/containers/[^/]+/[0-9a-f]+")
_NAMED_VOLUME = re.compile(r".*/volumes/([^/]+)/_data")
_LONGEST_NUMBER = 15
"""Digits; what is longer is no port, and no count of microseconds either."""


def parse_object(raw: bytes, path: str) -> Json:
    """Parse a file that holds one JSON object.

    Raises:
        ParseError: it does not.
    """
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ParseError(path, raw[:80].decode(errors="replace"))
    return parsed


def info_from_spec(spec: Json, known: ContainerInfo) -> ContainerInfo:
    """Add to ``known`` what an OCI ``config.json`` says."""
    annotations = to_labels(spec.get("annotations"))
    info = replace(
        known,
        command=command_of(spec),
        volumes=volumes_of(spec),
        host_namespaces=_shared_with_host(to_object(spec.get("linux"))),
        stop_signal=_signal(annotations.get("org.opencontainers.image.stopSignal")),
    )
    for mark, dialect in _DIALECTS.items():
        if mark in annotations:
            return dialect(annotations, info)
    return info


def command_of(spec: Json) -> str | None:
    """Return the command line of an OCI ``config.json``."""
    return _command(to_list(to_object(spec.get("process")).get("args")))


def volumes_of(spec: Json) -> tuple[Volume, ...]:
    """Return the volumes of an OCI ``config.json``: the host's directories and files, without those of runtimes."""
    return tuple(_volumes(to_list(spec.get("mounts"))))


def docker_volumes(mounts: Iterable[object]) -> tuple[Volume, ...]:
    """Return the volumes among the mounts of a container, as Docker and Podman tell and write them."""
    return tuple(_docker_volumes(mounts))


def podman_sandbox(spec: Json) -> str | None:
    """Return the id of the infra container of the Podman pod that a container has joined."""
    return to_labels(spec.get("annotations")).get(_PODMAN_SANDBOX)


def own_hostname(spec: Json) -> str | None:
    """Return the host name that a container was given; None where it is on the host's network and has the host's."""
    is_private = "net" not in _shared_with_host(to_object(spec.get("linux")))
    return to_text(spec.get("hostname")) if is_private else None


def bundle_of_state(state: Json) -> str | None:
    """Return the bundle that runc's ``state.json`` or crun's ``status`` names."""
    labels = to_list(to_object(state.get("config")).get("labels"))
    of_runc = [label.removeprefix("bundle=") for label in labels if isinstance(label, str) and "bundle=" in label[:7]]
    return to_text(state.get("bundle")) or next(iter(of_runc), None)


def pid_of_state(state: Json) -> int | None:
    """Return the first process that the same files name."""
    return _count(state.get("init_process_pid", state.get("pid")))


def image_of_storage(entries: object, container: str) -> tuple[str | None, int | None]:
    """Return image and time of creation of a container from Podman's ``containers.json``."""
    for entry in map(to_object, to_list(entries)):
        if entry.get("id") == container:
            return _json_labels(entry.get("metadata")).get("image-name"), parse_time_ns(entry.get("created"))
    return None, None


def info_from_docker(config: Json, host: Json, known: ContainerInfo, pids: frozenset[int | None]) -> ContainerInfo:
    """Add to ``known`` what Docker's ``config.v2.json`` and ``hostconfig.json`` say.

    Docker does not write each change of a container's health, so nothing is said of it. When it was started is said
    if the files are of the run whose process has one of ``pids``.
    """
    state, options = to_object(config.get("State")), to_object(config.get("Config"))
    labels = to_labels(options.get("Labels"))
    grace_s = _count(options.get("StopTimeout"))
    network = to_text(host.get("NetworkMode")) or ""
    return replace(
        known,
        name=labels.get(CONTAINER_LABEL) or (to_text(config.get("Name")) or "").removeprefix("/"),
        image=to_text(options.get("Image")),
        command=_command([config.get("Path"), *to_list(config.get("Args"))]),
        labels=labels,
        ports=tuple(_docker_ports(to_object(to_object(config.get("NetworkSettings")).get("Ports")))),
        restarts=_count(config.get("RestartCount")),
        restart_policy=to_text(to_object(host.get("RestartPolicy")).get("Name")) or ("no" if host else None),
        created_ns=parse_time_ns(config.get("Created")),
        started_ns=parse_time_ns(state.get("StartedAt")) if _count(state.get("Pid")) in pids else None,
        grace_s=None if grace_s is None else float(grace_s),
        stop_signal=to_text(options.get("StopSignal")),
        joins_network_of=ContainerId(network.partition(":")[2]) if network.startswith("container:") else None,
        host_namespaces=tuple(name for name, mode in DOCKER_MODES.items() if host.get(mode) == "host"),
        role=docker_role(labels),
        pod=_labelled_pod(labels),
        volumes=docker_volumes(to_object(config.get("MountPoints")).values()),
    )


def docker_role(labels: Mapping[str, str]) -> Role:
    """Return the role that cri-dockerd writes into a container's labels."""
    return _ROLES.get(labels.get("io.kubernetes.docker.type", ""), Role.WORKLOAD)


def _of_containerd(annotations: Mapping[str, str], info: ContainerInfo) -> ContainerInfo:
    is_sandbox = annotations.get(f"{_CRI}container-type") == "sandbox"
    uid = annotations.get(f"{_CRI}sandbox-uid")
    name = annotations.get(f"{_CRI}sandbox-name")
    return replace(
        info,
        name=(name if is_sandbox else annotations.get(f"{_CRI}container-name")) or info.name,
        image=annotations.get(f"{_CRI}image-name", info.image),
        role=Role.SANDBOX if is_sandbox else info.role,
        pod=PodInfo(PodKind.KUBERNETES, uid, name, annotations.get(f"{_CRI}sandbox-namespace"))
        if uid and name
        else info.pod,
    )


def _of_crio(annotations: Mapping[str, str], info: ContainerInfo) -> ContainerInfo:
    labels = _json_labels(annotations.get(f"{_CRIO}Labels"))
    told = _json_labels(annotations.get(f"{_CRIO}Annotations"))
    written = parse_kubelet_name(annotations.get(f"{_CRIO}ContainerName", ""))
    is_sandbox = annotations.get(f"{_CRIO}ContainerType") == "sandbox"
    pod = _labelled_pod(labels) or (written_pod(written) if written else info.pod)
    if pod and is_sandbox:
        pod = replace(pod, labels=labels, annotations=told)
    return replace(
        info,
        runtime="cri-o",
        name=(pod.name if pod and is_sandbox else labels.get(CONTAINER_LABEL)) or info.name,
        image=annotations.get(f"{_CRIO}ImageName") or annotations.get(f"{_CRIO}Image") or info.image,
        labels=labels,
        restarts=_number(told.get("io.kubernetes.container.restartCount")),
        created_ns=parse_time_ns(annotations.get(f"{_CRIO}Created")),
        grace_s=_seconds(told.get("io.kubernetes.pod.terminationGracePeriod"), 1),
        role=Role.SANDBOX if is_sandbox else _ROLES.get(told.get("io.kubernetes.container.type", ""), info.role),
        pod=pod,
    )


def _of_podman(annotations: Mapping[str, str], info: ContainerInfo) -> ContainerInfo:
    if annotations["io.container.manager"] != "libpod":
        return info
    kind, _, stop_usec = annotations.get("org.systemd.property.TimeoutStopUSec", "").partition(" ")
    return replace(
        info,
        runtime="podman",
        created_ns=parse_time_ns(annotations.get(f"{_CRIO}Created")),
        grace_s=_seconds(stop_usec, 1_000_000) if kind == "uint64" else None,
    )


def _of_nerdctl(annotations: Mapping[str, str], info: ContainerInfo) -> ContainerInfo:
    return replace(
        info,
        name=annotations["nerdctl/name"] or info.name,
        labels=MappingProxyType({name: value for name, value in annotations.items() if name.startswith("nerdctl/")}),
        ports=tuple(_nerdctl_ports(annotations.get("nerdctl/ports"))),
    )


_DIALECTS: dict[str, Callable[[Mapping[str, str], ContainerInfo], ContainerInfo]] = {
    f"{_CRI}container-type": _of_containerd,
    f"{_CRIO}ContainerID": _of_crio,
    "io.container.manager": _of_podman,
    "nerdctl/name": _of_nerdctl,
}
"""By an annotation that only this runtime sets; the first that is there is taken."""


def written_pod(written: KubeletName) -> PodInfo:
    """Return the pod that a name of the kubelet's is of."""
    return PodInfo(PodKind.KUBERNETES, written.uid, written.pod, written.namespace)


def _labelled_pod(labels: Mapping[str, str]) -> PodInfo | None:
    uid, name, namespace = (labels.get(label) for label in POD_LABELS)
    return PodInfo(PodKind.KUBERNETES, uid, name, namespace) if uid and name else None


def _volumes(mounts: list[Any]) -> Iterator[Volume]:
    for mount in map(to_object, mounts):
        source, target, options = to_text(mount.get("source")), to_text(mount.get("destination")), mount.get("options")
        is_bind = mount.get("type") == "bind" or {"bind", "rbind"} & _words(options)
        if not is_bind or not source or not target or target in OWN_TARGETS or _OWN_SOURCE.fullmatch(source):
            continue
        named = _NAMED_VOLUME.fullmatch(source)
        yield Volume(named[1] if named else source, target, is_read_only="ro" in _words(options))


def _docker_volumes(mounts: Iterable[object]) -> Iterator[Volume]:
    for point in map(to_object, mounts):
        source, target = to_text(point.get("Name")) or to_text(point.get("Source")), to_text(point.get("Destination"))
        if source and target:
            yield Volume(source, target, is_read_only=point.get("RW") is False)


def _docker_ports(ports: Json) -> Iterator[Port]:
    for inside, bindings in ports.items():
        number, _, protocol = inside.partition("/")
        for binding in map(to_object, to_list(bindings)):
            outside = _number(binding.get("HostPort"))
            if (container_port := _number(number)) is not None and outside is not None:
                yield Port(to_text(binding.get("HostIp")), outside, container_port, protocol or "tcp")


def _nerdctl_ports(text: str | None) -> Iterator[Port]:
    for entry in map(to_object, to_list(_json(text))):
        outside, inside = _count(entry.get("HostPort")), _count(entry.get("ContainerPort"))
        if outside is not None and inside is not None:
            yield Port(to_text(entry.get("HostIP")), outside, inside, to_text(entry.get("Protocol")) or "tcp")


def _shared_with_host(linux: Json) -> tuple[str, ...]:
    """Those namespaces that it was not given one of."""
    own = {to_text(to_object(namespace).get("type")) for namespace in to_list(linux.get("namespaces"))}
    return tuple(name for kind, name in _OCI_NAMESPACES.items() if kind not in own) if own else ()


def _command(arguments: list[Any]) -> str | None:
    return " ".join(argument for argument in arguments if isinstance(argument, str)).strip() or None


def _signal(text: str | None) -> str | None:
    """Podman writes the number."""
    number = _number(text)
    return signal.Signals(number).name if number in set(signal.Signals) else text


def _seconds(text: object, per_second: int) -> float | None:
    number = _number(text)
    return None if number is None else number / per_second


def _number(text: object) -> int | None:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number and isinstance(text, str) else None


def _count(value: object) -> int | None:
    number = to_int(value)
    return number if number is not None and 0 <= number < 10**_LONGEST_NUMBER else None


def _json(text: object) -> object:
    """Parse JSON that is within JSON, as annotations have it."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _json_labels(text: object) -> Mapping[str, str]:
    return to_labels(_json(text))


def _words(value: object) -> frozenset[str]:
    return frozenset(word for word in to_list(value) if isinstance(word, str))
