"""What the command lines of the processes around containers tell; anybody may read them.

containerd: https://github.com/containerd/containerd/blob/main/core/runtime/v2/README.md (command line of a shim);
conmon: conmon(8); docker-proxy: https://docs.docker.com/engine/network/ (userland proxy).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from topcon.model.sample import Port

DOCKER_NAMESPACE = "moby"
"""containerd's namespace that Docker uses."""
_SHIM = re.compile(r"(?:.*/)?containerd-shim(?:-.+)?")
_CONMON = re.compile(r"(?:.*/)?conmon(?:rs)?")
_PROXY = re.compile(r"(?:.*/)?docker-proxy")
_CRIO_DIRECTORY = re.compile(r"/crio(?:/|$)")
_KUBELET_NAME = re.compile(r"k8s_([^_]+)_([^_]+)_([^_]+)_([^_]+)_\d+")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Shim:
    """A ``containerd-shim``: the parent of a container, or of all containers of a Kubernetes pod."""

    namespace: str
    id: str
    """The container that it was started for: a pod's sandbox."""
    address: str
    """containerd's socket."""

    @property
    def runtime(self) -> str:
        """Whose containers it keeps."""
        return "docker" if self.namespace == DOCKER_NAMESPACE else "containerd"


@dataclass(frozen=True, slots=True)
class Conmon:
    """A ``conmon``: the parent of one container of Podman's or CRI-O's."""

    id: str
    name: str
    bundle: str
    run_directory: str
    """Podman's directory for what is lost at the next boot, of this container; empty where it is not named."""
    runtime: str


@dataclass(frozen=True, slots=True)
class KubeletName:
    """What the kubelet writes into the names of CRI-O's and Docker's containers."""

    container: str
    """``POD`` for the sandbox."""
    pod: str
    namespace: str
    uid: str

    @property
    def is_sandbox(self) -> bool:
        """Whether it is the one that holds the pod."""
        return self.container == "POD"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A ``docker-proxy``: a published port."""

    address: str
    """The container's."""
    port: Port


def parse_argv(raw: bytes) -> tuple[str, ...]:
    """Parse ``/proc/PID/cmdline``; a process can overwrite its own, so anything can be in it."""
    return tuple(argument.decode(errors="replace") for argument in raw.removesuffix(b"\0").split(b"\0"))


def parse_shim(argv: tuple[str, ...]) -> Shim | None:
    """Return what a shim was started for; None if it is none."""
    if not _SHIM.fullmatch(argv[0]):
        return None
    options = _options(argv)
    # Shims of containerd 1.2 and before name no container, but its directory.
    container = options.get("id") or options.get("workdir", "").rpartition("/")[2]
    namespace = options.get("namespace", "")
    return Shim(namespace, container, options.get("address", "")) if container and namespace else None


def parse_conmon(argv: tuple[str, ...]) -> Conmon | None:
    """Return what a conmon was started for; None if it is none."""
    if not _CONMON.fullmatch(argv[0]):
        return None
    options = _options(argv)
    container = options.get("c") or options.get("cid")
    if not container:
        return None
    is_crio = any(_CRIO_DIRECTORY.search(options.get(name, "")) for name in ("exit-dir", "socket-dir-path"))
    pid_file = options.get("p") or options.get("container-pidfile") or ""
    return Conmon(
        id=container,
        name=options.get("n") or options.get("name") or "",
        bundle=options.get("b") or options.get("bundle") or "",
        run_directory=pid_file.rpartition("/")[0],
        runtime="cri-o" if is_crio else "podman",
    )


def parse_proxy(argv: tuple[str, ...]) -> Proxy | None:
    """Return the port that a docker-proxy publishes; None if it is none."""
    if not _PROXY.fullmatch(argv[0]):
        return None
    options = _options(argv)
    inside, outside = _port(options.get("container-port")), _port(options.get("host-port"))
    address = options.get("container-ip")
    if not address or inside is None or outside is None:
        return None
    return Proxy(address, Port(options.get("host-ip"), outside, inside, options.get("proto", "tcp")))


def parse_kubelet_name(name: str) -> KubeletName | None:
    """Parse ``k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT``."""
    match = _KUBELET_NAME.fullmatch(name)
    return KubeletName(*match.groups()) if match else None


def _options(argv: tuple[str, ...]) -> dict[str, str]:
    """Return the options with a value, the first of each: those of a program that is to be called later follow."""
    options: dict[str, str] = {}
    for argument, following in pairwise((*argv[1:], "")):
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            options.setdefault(name, value if equals else following)
    return options


def _port(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PORT))
    return int(text) if text and is_number and 0 < int(text) <= _MAX_PORT else None
