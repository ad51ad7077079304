"""What runtimes write into files beside a container, as what topcon knows of it.

OCI: https://github.com/opencontainers/runtime-spec/blob/main/config.md; the annotations are each runtime's own. Nothing
in them is trusted: what is of another type than expected is passed over.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError
from topcon.model.sample import ContainerId, PodInfo, PodKind, Port, Role, Volume
from topcon.runtimes.argv import parse_kubelet_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.model.sample import ContainerInfo
    from topcon.runtimes.argv import KubeletName

    Json = Mapping[str, Any]

POD_LABELS = tuple(f"io.kubernetes.pod.{name}" for name in ("uid", "name", "namespace"))
CONTAINER_LABEL = "io.kubernetes.container.name"
_CRI = "io.kubernetes.cri."
_CRIO = "io.kubernetes.cri-o."
_PODMAN_SANDBOX = f"{_CRIO}SandboxID"
_OCI_NAMESPACES = {"network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts"}
_DOCKER_MODES = {"net": "NetworkMode", "pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode", "cgroup": "CgroupnsMode"}
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


def texts(values: object) -> dict[str, str]:
    """Return those members of a JSON object that are text."""
    return {name: value for name, value in _object(values).items() if isinstance(value, str)}


def info_from_spec(spec: Json, known: ContainerInfo) -> ContainerInfo:
    """Add to ``known`` what an OCI ``config.json`` says."""
    annotations = texts(spec.get("annotations"))
    info = replace(
        known,
        command=_command(_array(_object(spec.get("process")).get("args"))),
        volumes=tuple(_volumes(_array(spec.get("mounts")))),
        host_namespaces=_shared_with_host(_object(spec.get("linux"))),
        stop_signal=_signal(annotations.get("org.opencontainers.image.stopSignal")),
    )
    for mark, dialect in _DIALECTS.items():
        if mark in annotations:
            return dialect(annotations, info)
    return info


def podman_sandbox(spec: Json) -> str | None:
    """Return the id of the infra container of the Podman pod that a container has joined."""
    return texts(spec.get("annotations")).get(_PODMAN_SANDBOX)


def own_hostname(spec: Json) -> str | None:
    """Return the host name that a container was given; None where it is on the host's network and has the host's."""
    is_private = "net" not in _shared_with_host(_object(spec.get("linux")))
    return _text(spec.get("hostname")) if is_private else None


def bundle_of_state(state: Json) -> str | None:
    """Return the bundle that runc's ``state.json`` or crun's ``status`` names."""
    labels = _array(_object(state.get("config")).get("labels"))
    of_runc = [label.removeprefix("bundle=") for label in labels if isinstance(label, str) and "bundle=" in label[:7]]
    return _text(state.get("bundle")) or next(iter(of_runc), None)


def pid_of_state(state: Json) -> int | None:
    """Return the first process that the same files name."""
    return _count(state.get("init_process_pid", state.get("pid")))


def image_of_storage(entries: object, container: str) -> tuple[str | None, int | None]:
    """Return image and time of creation of a container from Podman's ``containers.json``."""
    for entry in map(_object, _array(entries)):
        if entry.get("id") == container:
            return _json_texts(entry.get("metadata")).get("image-name"), to_time_ns(entry.get("created"))
    return None, None


def info_from_docker(config: Json, host: Json, known: ContainerInfo, pids: frozenset[int | None]) -> ContainerInfo:
    """Add to ``known`` what Docker's ``config.v2.json`` and ``hostconfig.json`` say.

    Docker does not write each change of a container's health, so nothing is said of it. When it was started is said
    if the files are of the run whose process has one of ``pids``.
    """
    state, options = _object(config.get("State")), _object(config.get("Config"))
    labels = texts(options.get("Labels"))
    grace_s = _count(options.get("StopTimeout"))
    network = _text(host.get("NetworkMode")) or ""
    return replace(
        known,
        name=labels.get(CONTAINER_LABEL) or (_text(config.get("Name")) or "").removeprefix("/"),
        image=_text(options.get("Image")),
        command=_command([config.get("Path"), *_array(config.get("Args"))]),
        labels=MappingProxyType(labels),
        ports=tuple(_docker_ports(_object(_object(config.get("NetworkSettings")).get("Ports")))),
        restarts=_count(config.get("RestartCount")),
        restart_policy=_text(_object(host.get("RestartPolicy")).get("Name")) or ("no" if host else None),
        created_ns=to_time_ns(config.get("Created")),
        started_ns=to_time_ns(state.get("StartedAt")) if _count(state.get("Pid")) in pids else None,
        grace_s=None if grace_s is None else float(grace_s),
        stop_signal=_text(options.get("StopSignal")),
        joins_network_of=ContainerId(network.partition(":")[2]) if network.startswith("container:") else None,
        host_namespaces=tuple(name for name, mode in _DOCKER_MODES.items() if host.get(mode) == "host"),
        role=_ROLES.get(labels.get("io.kubernetes.docker.type", ""), Role.WORKLOAD),
        pod=_labelled_pod(labels),
        volumes=tuple(_docker_volumes(_object(config.get("MountPoints")))),
    )


def to_time_ns(text: object) -> int | None:
    """Convert RFC 3339 to nanoseconds since 1970; None for a time before that, such as Docker's "never"."""
    match = re.fullmatch(r"(.{19})(?:\.(\d{1,9}))?\d*(Z|[+-]\d\d:\d\d)", text) if isinstance(text, str) else None
    try:
        whole = datetime.fromisoformat(match[1] + match[3]).astimezone(UTC) if match else None
    except (ValueError, OverflowError):
        return None
    if match is None or whole is None or whole.timestamp() < 0:
        return None
    return int(whole.timestamp()) * 10**9 + int((match[2] or "").ljust(9, "0"))


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
    labels = _json_texts(annotations.get(f"{_CRIO}Labels"))
    told = _json_texts(annotations.get(f"{_CRIO}Annotations"))
    written = parse_kubelet_name(annotations.get(f"{_CRIO}ContainerName", ""))
    is_sandbox = annotations.get(f"{_CRIO}ContainerType") == "sandbox"
    pod = _labelled_pod(labels) or (written_pod(written) if written else info.pod)
    if pod and is_sandbox:
        pod = replace(pod, labels=MappingProxyType(labels), annotations=MappingProxyType(told))
    return replace(
        info,
        runtime="cri-o",
        name=(pod.name if pod and is_sandbox else labels.get(CONTAINER_LABEL)) or info.name,
        image=annotations.get(f"{_CRIO}ImageName") or annotations.get(f"{_CRIO}Image") or info.image,
        labels=MappingProxyType(labels),
        restarts=_number(told.get("io.kubernetes.container.restartCount")),
        created_ns=to_time_ns(annotations.get(f"{_CRIO}Created")),
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
        created_ns=to_time_ns(annotations.get(f"{_CRIO}Created")),
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
    for mount in map(_object, mounts):
        source, target, options = _text(mount.get("source")), _text(mount.get("destination")), mount.get("options")
        is_bind = mount.get("type") == "bind" or {"bind", "rbind"} & _words(options)
        if not is_bind or not source or not target or target in OWN_TARGETS or _OWN_SOURCE.fullmatch(source):
            continue
        named = _NAMED_VOLUME.fullmatch(source)
        yield Volume(named[1] if named else source, target, is_read_only="ro" in _words(options))


def _docker_volumes(points: Json) -> Iterator[Volume]:
    for point in map(_object, points.values()):
        source, target = _text(point.get("Name")) or _text(point.get("Source")), _text(point.get("Destination"))
        if source and target:
            yield Volume(source, target, is_read_only=point.get("RW") is False)


def _docker_ports(ports: Json) -> Iterator[Port]:
    for inside, bindings in ports.items():
        number, _, protocol = inside.partition("/")
        for binding in map(_object, _array(bindings)):
            outside = _number(binding.get("HostPort"))
            if (container_port := _number(number)) is not None and outside is not None:
                yield Port(_text(binding.get("HostIp")) or None, outside, container_port, protocol or "tcp")


def _nerdctl_ports(text: str | None) -> Iterator[Port]:
    for entry in map(_object, _array(_json(text))):
        outside, inside = _count(entry.get("HostPort")), _count(entry.get("ContainerPort"))
        if outside is not None and inside is not None:
            yield Port(_text(entry.get("HostIP")) or None, outside, inside, _text(entry.get("Protocol")) or "tcp")


def _shared_with_host(linux: Json) -> tuple[str, ...]:
    """Those namespaces that it was not given one of."""
    own = {_text(_object(namespace).get("type")) for namespace in _array(linux.get("namespaces"))}
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
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_LONGEST_NUMBER
    return value if is_count and isinstance(value, int) else None


def _json(text: object) -> object:
    """Parse JSON that is within JSON, as annotations have it."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _json_texts(text: object) -> dict[str, str]:
    return texts(_json(text))


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _words(value: object) -> frozenset[str]:
    return frozenset(word for word in _array(value) if isinstance(word, str))
