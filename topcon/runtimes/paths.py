"""Which container a cgroup path belongs to: a table of what runtimes call their cgroups.

Docker: https://docs.docker.com/engine/reference/commandline/dockerd/#options-for-the-runtime (cgroup drivers and
``--cgroup-parent``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from topcon.model.sample import CgroupPath, ContainerId, FoundContainer

_HEX64 = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A component of a path that names a container."""

    runtime: str | None
    """None: more than one runtime writes it so, and only the runtimes can tell."""
    name: re.Pattern[str]
    """The component; its group ``id`` is the container's id."""
    parent: re.Pattern[str] | None = None
    """The component before it."""


def _row(runtime: str | None, name: str, parent: str | None = None) -> _Row:
    return _Row(runtime, re.compile(name), re.compile(parent) if parent else None)


_ROWS = (
    # systemd driver, also with --cgroup-parent and rootless
    _row("docker", rf"docker-(?P<id>{_HEX64})\.scope"),
    # cgroupfs driver
    _row("docker", rf"(?P<id>{_HEX64})", "docker"),
    _row("buildkit", rf"(?P<id>{_HEX64}|[0-9a-z]{{25}})", "buildkit"),
    # cgroupfs driver with --cgroup-parent, and other runtimes' ways
    _row(None, rf"(?P<id>{_HEX64})"),
)
"""The first row that fits is taken."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A container in a path."""

    runtime: str | None
    id: ContainerId
    depth: int
    """How many components of the path lead to it."""


def claims(path: str) -> tuple[Claim, ...]:
    """Return the containers that a cgroup path leads through, the outermost first."""
    found = []
    parent = ""
    for depth, name in enumerate(path.strip("/").split("/"), start=1):
        claim = _claim(name, parent, depth)
        if claim:
            found.append(claim)
        parent = name
    return tuple(found)


def _claim(name: str, parent: str, depth: int) -> Claim | None:
    for row in _ROWS:
        match = row.name.fullmatch(name)
        if match and (row.parent is None or row.parent.fullmatch(parent)):
            return Claim(row.runtime, ContainerId(match["id"]), depth)
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cgroup lies: a container's own, inside a container, or neither."""

    container: FoundContainer | None
    is_inside: bool
    """Whether a container's cgroup is above it."""


def classify(path: CgroupPath) -> Place:
    """Say whether a cgroup is a container's own, and which container is around it."""
    found = claims(path)
    if not found:
        return Place(None, is_inside=False)
    innermost = found[-1]
    components = path.strip("/").split("/")
    if innermost.depth < len(components):
        return Place(None, is_inside=True)
    outer = CgroupPath("/" + "/".join(components[: found[-2].depth])) if len(found) > 1 else None
    return Place(FoundContainer(path, innermost.runtime, innermost.id, outer), is_inside=outer is not None)
