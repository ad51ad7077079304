"""What topcon can and cannot read on this host, and the one command that would mend each lack."""

from __future__ import annotations

import json
import os
import resource
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from topcon.errors import ParseError, SourceUnavailable
from topcon.kernel.files import Access
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.process import ProcFs
from topcon.runtimes import is_socket, load, plugin_names, sockets_there, supports_lifecycle
from topcon.runtimes.paths import claims
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from topcon.kernel.mount import Hierarchies

MANY_DESCRIPTORS = 20_000
"""About what 1,000 containers take."""
CONTROLLERS = ("cpu", "memory", "io", "pids")


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    LACKS = "lacks"
    ABSENT = "absent"
    """Not there, and nothing to mend: a runtime that is not installed."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at."""

    name: str
    status: Status
    detail: str
    remedy: str | None = None


def examine(
    proc_root: str, cgroup_root: str, host_root: str, wanted: Mapping[str, str | None] | None = None
) -> list[Check]:
    """Look at all that topcon reads below these roots, and at the sockets of the runtimes ``wanted``, or of all."""
    hierarchies = read_hierarchies(proc_root, cgroup_root)
    return [
        *_cgroups(hierarchies, cgroup_root),
        _pressure(proc_root),
        _namespaces(proc_root),
        _processes(proc_root),
        _descriptors(),
        *_runtimes(host_root, wanted),
    ]


def configured(file: str | None, wrong: Sequence[str]) -> list[Check]:
    """Say what of the configuration file cannot be used, a check each; ``file`` is None if there is none."""
    if wrong:
        return [Check("configuration", Status.LACKS, each) for each in wrong]
    if file is None:
        return [Check("configuration", Status.ABSENT, "no file; topcon setup config prints one")]
    return [Check("configuration", Status.OK, f"{file}: all of it can be used")]


def to_text(checks: Sequence[Check]) -> str:
    """Write the checks, a line each, with the remedy below a lack."""
    marks = {Status.OK: "ok   ", Status.LACKS: "LACKS", Status.ABSENT: "-    "}
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{marks[check.status]}  {check.name:{width}}  {printable(check.detail)}")
        if check.remedy:
            lines.append(f"{'':7}{'':{width}}  to mend it: {printable(check.remedy)}")
    return "\n".join(lines) + "\n"


def to_json(checks: Sequence[Check]) -> str:
    """Write the checks as one JSON object."""
    return json.dumps({"version": 1, "checks": [asdict(check) for check in checks]}, indent=1)


def _cgroups(hierarchies: Hierarchies, cgroup_root: str) -> Iterator[Check]:
    if hierarchies.mode is None:
        yield Check(
            "cgroups",
            Status.LACKS,
            f"no cgroup hierarchy is mounted at {cgroup_root}",
            "sudo mount -t cgroup2 none /sys/fs/cgroup",
        )
        return
    if hierarchies.is_partial:
        yield Check(
            "cgroups",
            Status.LACKS,
            f"{hierarchies.mode}, but only a part of the tree is visible",
            "run topcon on the host, or its container with --pid host --cgroupns host",
        )
    else:
        where = hierarchies.v2 or next(iter(hierarchies.v1.values()))
        yield Check("cgroups", Status.OK, f"{hierarchies.mode} at {where}")
    on_v2 = set((_text(f"{hierarchies.v2}/cgroup.controllers") or "").split()) if hierarchies.v2 else set()
    on_v1 = {"io" if name == "blkio" else name for name in hierarchies.v1}
    missing = [name for name in CONTROLLERS if name not in on_v2 | on_v1]
    present = ", ".join(f"{name} (v{2 if name in on_v2 else 1})" for name in CONTROLLERS if name in on_v2 | on_v1)
    if missing:
        yield Check(
            "controllers",
            Status.LACKS,
            f"without {', '.join(missing)}; there are: {present or 'none'}",
            "boot with cgroup_enable=memory swapaccount=1" if "memory" in missing else None,
        )
    else:
        yield Check("controllers", Status.OK, present)
    disabled = _not_delegated(hierarchies)
    if disabled:
        yield Check(
            "delegation",
            Status.LACKS,
            f"the root does not enable {', '.join(disabled)} for its children",
            f"echo '{' '.join('+' + name for name in disabled)}' | sudo tee {hierarchies.v2}/cgroup.subtree_control",
        )


def _not_delegated(hierarchies: Hierarchies) -> list[str]:
    if hierarchies.v2 is None:
        return []
    offered = (_text(f"{hierarchies.v2}/cgroup.controllers") or "").split()
    enabled = (_text(f"{hierarchies.v2}/cgroup.subtree_control") or "").split()
    return [name for name in CONTROLLERS if name in offered and name not in enabled]


def _pressure(proc_root: str) -> Check:
    directory = f"{proc_root}/pressure"
    readable = [name for name in ("cpu", "memory", "io") if _text(f"{directory}/{name}")]
    if readable:
        return Check("pressure", Status.OK, f"PSI of {', '.join(readable)}")
    return Check("pressure", Status.LACKS, "the kernel does not account pressure (PSI)", "boot with psi=1")


def _namespaces(proc_root: str) -> Check:
    """Look at a process that is not ours, a container's if there is one."""
    access = Access()
    processes = ProcFs(proc_root, access)
    for entry in _pids(proc_root):
        cgroup = _text(f"{proc_root}/{entry}/cgroup") or ""
        if any(claims(line.rpartition(":")[2]) for line in cgroup.splitlines()):
            if processes.namespaces(entry).net is None:
                return Check("namespaces", Status.LACKS, "those of containers may not be seen", "sudo topcon")
            return Check("namespaces", Status.OK, "those of containers can be seen")
    if processes.namespaces(1).net is None and os.geteuid() != 0:
        return Check("namespaces", Status.LACKS, "those of other users' processes may not be seen", "sudo topcon")
    return Check("namespaces", Status.OK, "can be seen")


def _pids(proc_root: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(proc_root) if name.isdigit()]  # noqa: PTH208  names, not paths
    except OSError:
        return []


def _processes(proc_root: str) -> Check:
    if _text(f"{proc_root}/1/stat") is None:
        return Check(
            "processes",
            Status.LACKS,
            f"{proc_root} hides other users' processes (hidepid)",
            f"sudo mount -o remount,hidepid=0 {proc_root}",
        )
    return Check("processes", Status.OK, f"{len(_pids(proc_root))} in {proc_root}")


def _descriptors() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Check("descriptors", Status.OK, "any number may be open")
    if hard >= MANY_DESCRIPTORS:
        return Check("descriptors", Status.OK, f"{hard} may be open")
    detail = f"only {hard} may be open; beyond them files are opened anew each tick"
    return Check("descriptors", Status.LACKS, detail, f"ulimit -Hn {MANY_DESCRIPTORS}")


def _runtimes(host_root: str, wanted: Mapping[str, str | None] | None) -> Iterator[Check]:
    for name, socket in (wanted or dict.fromkeys(plugin_names())).items():
        plugin = load(name)
        paths = [socket] if socket else sockets_there(plugin, host_root)
        if not paths:
            yield Check(name, Status.ABSENT, f"no socket; looked at {', '.join(plugin.sockets)}")
        for path in paths:
            yield _runtime(name, path)


def _runtime(name: str, path: str) -> Check:
    if not is_socket(path):
        return Check(name, Status.LACKS, f"{path} is no socket", f"--runtime {name}=SOCKET")
    try:
        with closing(load(name).connect(path)) as runtime:
            count = len(runtime.containers())
    except (SourceUnavailable, ParseError) as error:
        return Check(name, Status.LACKS, str(error), error.remedy or f"systemctl status {name}")
    acts = "names and actions" if supports_lifecycle(runtime) else "names"
    return Check(name, Status.OK, f"{count} containers at {path}: {acts}")


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None
