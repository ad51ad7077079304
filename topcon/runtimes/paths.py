"""Which container and which pod a cgroup path belongs to: a table of what runtimes call their cgroups.

Two drivers make most of the names: systemd's, ``SLICE/PREFIX-NAME.scope``, and cgroupfs', plain directories
(https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#cgroups-path).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import CgroupPath, ContainerId, FoundContainer, FoundPod, PodKind

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEX64 = "[0-9a-f]{64}"
_HEX32 = "[0-9a-f]{32}"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BUILD = "[0-9a-z]{25}"
_SOME = "[^/]+"
_WHOLE = "[^/]++"
"""A whole component; nothing of it is given back, so what is no match is so at once."""
_LABEL = "[A-Za-z0-9]+"
_TASK = rf"(?:{_HEX32}|{_UUID})"
# The slice of --cgroup-root is the prefix. A static pod's uid is a hash, one that a person wrote can be anything.
_KUBE_SLICE = r"(?:[^/:]+-)?kubepods(?:-(?P<qos>besteffort|burstable))?-pod(?P<pod>[^/:]+)\.slice"
_UNITS = "service|slice|scope|socket|mount|automount|swap|device|target|timer|path"


class _What(Enum):
    """What a component of a path makes of the cgroup that it names."""

    CONTAINER = auto()
    CANDIDATE = auto()
    """A container, if somebody confirms it."""
    POD = auto()
    HELPER = auto()
    """What a runtime runs or mounts for its containers."""
    PLACEHOLDER = auto()
    """Made under a container's name, and left empty."""


class _Row(NamedTuple):
    """A name that a runtime gives to a cgroup."""

    what: _What
    pattern: str
    """A regular expression, compiled when it is needed: few hosts have two runtimes.

    Fits the component and those before it, the nearest first, each with a ``/`` after it.

    Groups: ``id`` of a container; ``pod`` and ``qos`` of a pod, which a container's component may carry too, with the
    pod's in ``slice``; ``namespace`` of a candidate.
    """
    runtime: str | None = None
    """Of a container; None: more than one runtime writes it so, and only the runtimes can tell."""
    kind: PodKind = PodKind.KUBERNETES
    is_escaped: bool = False
    """Whether systemd wrote the id (https://www.freedesktop.org/software/systemd/man/latest/systemd-escape.html)."""


def _container(runtime: str | None, name: str, under: str = "", *, is_escaped: bool = False) -> _Row:
    return _Row(_What.CONTAINER, _pattern(name, under), runtime, is_escaped=is_escaped)


def _candidate(runtime: str, name: str, under: str) -> _Row:
    return _Row(_What.CANDIDATE, _pattern(name, under), runtime)


def _pod(kind: PodKind, name: str, under: str = "") -> _Row:
    return _Row(_What.POD, _pattern(name, under), kind=kind)


def _helper(name: str, under: str = "") -> _Row:
    return _Row(_What.HELPER, _pattern(name, under))


def _placeholder(name: str, under: str = "") -> _Row:
    return _Row(_What.PLACEHOLDER, _pattern(name, under))


def _pattern(name: str, under: str) -> str:
    return f"(?:{name})/(?:{under})/" if under else f"(?:{name})/"


_ROWS = (
    # Units named after the directory that a container's file system is mounted on
    _helper(r"[^/]+\.(?:mount|swap|device)"),
    # Pods: kubelet with both drivers, Podman with both, ECS with both
    _pod(PodKind.KUBERNETES, _KUBE_SLICE),
    _pod(PodKind.KUBERNETES, rf"pod(?P<pod>{_UUID}|{_HEX32})", "kubepods|(?P<qos>burstable|besteffort)"),
    _pod(PodKind.PODMAN, rf"{_SOME}-libpod_pod_(?P<pod>{_HEX64})\.slice"),
    _pod(PodKind.PODMAN, rf"(?P<pod>{_HEX64})", "libpod_parent"),
    _pod(PodKind.ECS, rf"ecstasks-(?P<pod>{_TASK})\.slice"),
    _pod(PodKind.ECS, rf"(?P<pod>{_TASK})", rf"(?:{_SOME}/)?ecs"),
    # What runtimes run beside their containers
    _helper(rf"(?:libpod|crio)-conmon-{_HEX64}(?:\.scope)?"),
    _helper(r"lxc\.pivot|lxc\.monitor(?:\.[^/]+)?"),
    _helper(_WHOLE, r"lxc\.monitor"),
    _helper(_HEX64, "kata_overhead"),
    # CRI-O without infra containers makes one of the sandbox's name for cAdvisor to find
    _placeholder(rf"crio-{_HEX64}", r"[^/]+\.slice"),
    # Docker and what is built in it; with --cgroup-parent and rootless it has the same names elsewhere
    _container("docker", rf"docker-(?P<id>{_HEX64})\.scope"),
    _container("docker", rf"(?P<id>{_HEX64})", rf"docker|moby|{_TASK}/(?:{_SOME}/)?ecs"),
    _container("buildkit", rf"(?P<id>{_HEX64}|{_BUILD})", "buildkit"),
    _container("buildkit", rf"docker-(?P<id>{_BUILD})\.scope"),
    # Other engines of Kubernetes and of people
    _container("containerd", rf"(?:cri-containerd|nerdctl)-(?P<id>{_HEX64})\.scope"),
    # Where kubelet has the systemd driver and containerd has not: systemd's words, in a directory's name
    _container("containerd", rf"(?P<slice>{_KUBE_SLICE}):cri-containerd:(?P<id>{_HEX64})"),
    _container("containerd", rf"[^/:]+\.slice:cri-containerd:(?P<id>{_HEX64})"),
    _container("containerd", rf"(?P<id>{_HEX64})", r"k8s\.io|default"),
    _container("cri-o", rf"crio-(?P<id>{_HEX64})(?:\.scope)?"),
    _container("podman", rf"libpod-(?:payload-)?(?P<id>{_HEX64})(?:\.scope)?"),
    # System containers and machines
    _container("lxc", r"lxc\.payload\.(?P<id>[^/]+)"),
    _container("libvirt-lxc", rf"(?:lxc-\d+-)?(?P<id>{_SOME})\.libvirt-lxc"),
    _container("libvirt-lxc", rf"(?P<id>{_WHOLE})", "lxc/libvirt"),
    _container("lxc", rf"(?!ns/)(?P<id>{_WHOLE})", r"lxc(?:\.payload)?"),
    _container("nspawn", rf"systemd-nspawn@(?P<id>{_SOME})\.service", is_escaped=True),
    _container("libvirt-lxc", rf"machine-lxc\\x2d\d+\\x2d(?P<id>{_SOME})\.scope", is_escaped=True),
    _container("vm", rf"machine-qemu\\x2d\d+\\x2d(?P<id>{_SOME})\.scope", is_escaped=True),
    _container("vm", rf"(?:qemu-\d+-)?(?P<id>{_SOME})\.libvirt-qemu"),
    _container("vm", rf"(?P<id>{_WHOLE})", "qemu/libvirt"),
    _container("nspawn", rf"machine-(?P<id>{_SOME})\.scope", is_escaped=True),
    # Schedulers that are runtimes themselves
    _container("nomad", rf"(?P<id>{_UUID}\.{_SOME})\.scope"),
    _container("nomad", rf"(?P<id>{_UUID}\.{_SOME})", "nomad"),
    _container("mesos", rf"(?P<id>{_UUID})", "mesos"),
    _container("ecs", rf"(?P<id>{_HEX32}-\d+)", rf"{_TASK}/ecs"),
    _container("garden", rf"(?P<id>{_UUID}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{4}})", "(?:(?:good|bad)/)?garden[^/]*"),
    _container("bpm", r"bpm-(?P<id>[^/.]+)(?:\.scope)?"),
    # One program in a box
    _container("flatpak", rf"app-flatpak-(?P<id>{_SOME})-\d+\.scope", is_escaped=True),
    _container("snap", rf"snap\.(?P<id>{_SOME})-{_UUID}\.scope"),
    _container("snap", r"snap\.(?P<id>[^/.]+\.[^/]+)\.service"),
    _container("apptainer", r"apptainer-(?P<id>\d+)\.scope"),
    _container("systemd-run", rf"run-(?P<id>r{_HEX32}|u\d+|p\d+-i\d+)\.(?:scope|service)"),
    _container("runc", rf"(?:runc|crun)-(?P<id>{_SOME})\.scope"),
    # After LXC's, whose containers may be called so
    _helper("conmon|supervisor"),
    # cgroupfs driver: in a pod, with --cgroup-parent, or in a namespace of containerd's that a person named
    _container(None, rf"(?P<id>{_HEX64})"),
    # A container of containerd's that a person named; anybody may call two directories like that. The root has no name.
    _candidate(
        "containerd",
        rf"(?!kubepods/|[^/]+\.(?:{_UNITS})/)(?P<id>{_LABEL}(?:[._-]{_LABEL})*)",
        rf"(?!(?:docker|kubelet|kubepods|libpod_parent|lxc|libvirt|machine|mesos|nomad|garden[^/]*|ecs|buildkit)/)"
        rf"(?P<namespace>k8s\.io|{_LABEL}(?:[_-]{_LABEL})*)/",
    ),
)
"""The first row that fits is taken."""

_ROW_OF = {f"row{index}": row for index, row in enumerate(_ROWS)}
# Most components fit no row, and one search says so sooner than forty.
_ANY = re.compile(
    "|".join(f"(?P<{name}>{re.sub(r'[?]P<[a-z]+>', '?:', row.pattern)})" for name, row in _ROW_OF.items())
)
_NEAR = 3
"""How many of the components before one the rows look at."""
_DEEPEST = 64
"""Components looked at: a container can nest cgroups without end in itself, runtimes in runtimes need some twenty."""

_GONE = " (deleted)"
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")


class Claim(NamedTuple):
    """A container in a path."""

    runtime: str | None
    id: ContainerId
    depth: int
    """How many components of the path lead to it."""


def claims(path: str) -> tuple[Claim, ...]:
    """Return the containers that a cgroup path leads through, the outermost first; candidates are none yet."""
    components = _components(path)
    return tuple(
        Claim(sign.row.runtime, _container_id(sign), sign.depth)
        for sign in _signs(components)
        if sign.row.what is _What.CONTAINER
    )


class Place(NamedTuple):
    """Where a cgroup lies: a container's own, a pod's own, inside a container, or none of these."""

    container: FoundContainer | None
    pod: FoundPod | None
    is_inside: bool
    """Whether a container's cgroup is above it, so that it is nothing of the host's."""


_OUTSIDE = Place(None, None, is_inside=False)
_INSIDE = Place(None, None, is_inside=True)


def classify(path: CgroupPath) -> Place:
    """Say whether a cgroup is a container's or a pod's own, and which containers and pod are around it.

    Paths are as the reader's cgroup namespace shows them. One that only a zombie remembers, `` (deleted)``, is no
    cgroup any more, but what is left is still the container's.
    """
    components = _components(path)
    signs = _signs(components)
    if not signs:
        return _OUTSIDE
    last = signs[-1]
    is_own = last.depth == len(components) and not path.endswith(_GONE)
    above = [sign for sign in signs if sign.row.what is _What.CONTAINER and not (is_own and sign is last)]
    if last.row.what is _What.PLACEHOLDER:
        return _INSIDE
    if not is_own or last.row.what is _What.HELPER:
        return _INSIDE if above else _OUTSIDE
    outer = _up_to(components, above[-1].depth) if above else None
    if last.row.what is _What.POD:
        return Place(None, _found_pod(last, path, outer), is_inside=bool(above))
    found = FoundContainer(
        path,
        last.row.runtime,
        _container_id(last),
        outer,
        _pod_around(signs, components, outer),
        is_candidate=last.row.what is _What.CANDIDATE,
    )
    return Place(found, None, is_inside=bool(above))


class _Sign(NamedTuple):
    """A component that fits a row."""

    row: _Row
    match: re.Match[str]
    depth: int


def _components(path: str) -> list[str]:
    return path.removesuffix(_GONE).strip("/").split("/")


def _signs(components: Sequence[str]) -> list[_Sign]:
    """Find the components that say something, the outermost first."""
    # Above the root of the reader's cgroup namespace there is nothing to be told from a name.
    names = ["", *("" if name == ".." else name for name in components[:_DEEPEST])]
    signs = []
    begin = 0
    for depth in range(1, len(names)):
        upwards = "/".join(names[max(begin, depth - _NEAR) : depth + 1][::-1]) + "/"
        fit = _fit(upwards)
        if fit is None or (fit[0].what is _What.CANDIDATE and depth < len(components)):
            continue
        row, match = fit
        signs.append(_Sign(row, match, depth))
        if row.what is _What.CONTAINER:
            # In it another runtime names things, and the root is its own.
            begin = depth + 1
    return signs


# The cgroups of a host have few parents, so most components of a new path were seen in another.
@lru_cache(maxsize=1024)
def _fit(upwards: str) -> tuple[_Row, re.Match[str]] | None:
    """Return the first row that fits a component and those before it."""
    found = _ANY.match(upwards)
    if found is None:
        return None
    row = _ROW_OF[found.lastgroup or ""]
    match = re.match(row.pattern, upwards)
    return (row, match) if match else None


def _up_to(components: Sequence[str], depth: int) -> CgroupPath:
    return CgroupPath("/" + "/".join(components[:depth]))


def _container_id(sign: _Sign) -> ContainerId:
    name = sign.match["id"]
    if sign.row.is_escaped:
        name = _unescaped(name)
    if sign.row.what is _What.CANDIDATE:
        # Names are unique within a namespace only.
        name = f"{sign.match['namespace']}/{name}"
    return ContainerId(name)


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[0].replace(r"\x", "")).decode(errors="replace"), name)


def _found_pod(sign: _Sign, path: CgroupPath, outer: CgroupPath | None) -> FoundPod:
    kind = sign.row.kind
    groups = sign.match.groupdict()
    if kind is not PodKind.KUBERNETES:
        return FoundPod(path, kind, groups["pod"], outer=outer)
    # A dash in a slice's name is a level of the tree, so kubelet writes the uid's as underscores.
    return FoundPod(path, kind, groups["pod"].replace("_", "-"), groups["qos"] or "guaranteed", outer)


def _pod_around(signs: Sequence[_Sign], components: Sequence[str], outer: CgroupPath | None) -> FoundPod | None:
    """Return the pod that the last sign's container is in, if no other container is between them."""
    *before, last = signs
    if last.match.groupdict().get("pod"):
        # The pod's slice is but a word in the container's name. This path does not exist, so it reads as no counters;
        # the container's own would be taken for those of the pod.
        return _found_pod(last, CgroupPath(f"{_up_to(components, last.depth - 1)}/{last.match['slice']}"), outer)
    for sign in reversed(before):
        if sign.row.what is _What.CONTAINER:
            return None
        if sign.row.what is _What.POD:
            return _found_pod(sign, _up_to(components, sign.depth), outer)
    return None
