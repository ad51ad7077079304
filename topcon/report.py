"""A snapshot as JSON, CSV or text, for scripts and for reading.

The JSON's fields keep their meaning within a version.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from topcon.columns import NAME, OVERVIEW
from topcon.model.namespaces import residents_of, shared_with
from topcon.model.sample import NAMESPACE_KINDS, ContainerKey
from topcon.text import cell_width, padded, printable, to_bytes_text, to_time_text, to_uptime_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.filter import Filter
    from topcon.model.namespaces import Residents
    from topcon.model.sample import CgroupSample, Namespaces, Port, Problem
    from topcon.model.snapshot import (
        ContainerNode,
        Finding,
        HostNode,
        PodNode,
        PressureShare,
        PressureShares,
        Snapshot,
        Usage,
    )
    from topcon.rows import Row

VERSION = 1

Json = dict[str, Any]


def to_json(snapshot: Snapshot, rows: Sequence[Row]) -> str:
    """Write the containers that ``rows`` show, in their order, with their pods; one object."""
    return json.dumps(to_object(snapshot, rows), indent=1)


def to_object(snapshot: Snapshot, rows: Sequence[Row]) -> Json:
    """Build what `to_json` writes. Bytes, seconds, cores, shares from 0 to 1; None is unknown, absent or unlimited."""
    sample = snapshot.sample
    shown = {row.container.key: index for index, row in enumerate(rows) if row.container}
    pods = [(pod, [each for each in pod.containers if each.key in shown]) for pod in snapshot.pods]
    ordered = sorted(
        ((pod, containers) for pod, containers in pods if containers),
        key=lambda item: min(shown[container.key] for container in item[1]),
    )
    residents = residents_of(snapshot)
    return {
        "version": VERSION,
        "time": to_time_text(sample.wall_ns),
        "interval_s": snapshot.interval_s,
        "host": _host(snapshot),
        "pods": [
            _pod(snapshot, pod, sorted(containers, key=lambda each: shown[each.key]), residents)
            for pod, containers in ordered
        ],
        "gone": [_gone(pod, stone) for pod in snapshot.tombs for stone in pod.containers],
        "findings": [_finding(snapshot, finding) for finding in snapshot.findings],
        "problems": [_problem(problem) for problem in sample.problems],
    }


def _gone(pod: PodNode, stone: ContainerNode) -> Json:
    """Tell of a container that was removed lately."""
    info = stone.info
    return {
        "key": stone.key,
        "name": info.name,
        "pod": pod.key,
        "image": info.image,
        "exit_code": info.exit_code,
        "oom_killed": bool(info.oom_killed),
        "gone_at": to_time_text(stone.gone_ns) if stone.gone_ns is not None else None,
    }


def _host(snapshot: Snapshot) -> Json:
    host: HostNode = snapshot.host
    sample = host.sample
    return {
        "name": sample.name,
        "kernel": sample.kernel,
        "cgroup": snapshot.sample.mode,
        "cpus": sample.cpus,
        "uptime_s": sample.uptime_s,
        "cpu_cores": host.cpu_cores,
        "memory_total_bytes": sample.memory_total_bytes,
        "memory_used_bytes": sample.memory_used_bytes,
        "load": list(sample.load) if sample.load else None,
        "pressure": _pressure(host.pressure),
    }


def _pod(snapshot: Snapshot, pod: PodNode, containers: Sequence[ContainerNode], residents: Residents) -> Json:
    return {
        "key": pod.key,
        "kind": pod.kind,
        "name": pod.name,
        "namespace": pod.namespace,
        "uid": pod.uid,
        "qos": pod.qos,
        "workload": {"kind": pod.workload.kind, "name": pod.workload.name} if pod.workload else None,
        "outer": pod.outer,
        "cgroup": pod.cgroup.path if pod.cgroup else None,
        **_counters(pod.cgroup, pod.usage),
        "network": _pod_network(pod),
        "shared_volumes": [
            {"source": source, "containers": list(keys)} for source, keys in sorted(pod.shared_volumes.items())
        ],
        "containers": [_container(snapshot, container, residents) for container in containers],
    }


def _container(snapshot: Snapshot, container: ContainerNode, residents: Residents) -> Json:
    info, cgroup, usage = container.info, container.cgroup, container.usage
    process = container.process
    return {
        "key": container.key,
        "id": info.id,
        "name": info.name,
        "image": info.image,
        "runtime": info.runtime,
        "source": info.source,
        "role": info.role,
        "outer": container.outer,
        "state": info.state,
        "health": info.health,
        "exit_code": info.exit_code,
        "restarts": info.restarts,
        "started": to_time_text(container.started_ns),
        "finished": to_time_text(info.finished_ns),
        "pid": process.pid if process else None,
        "cgroup": cgroup.path if cgroup else None,
        "namespaces": _namespaces(process.namespaces) if process else None,
        "shared_with_host": list(container.shared_with_host),
        "shared_with": {kind: list(keys) for kind, keys in shared_with(container, residents).items()},
        "labels": dict(info.labels),
        "ports": [_port(port) for port in info.ports],
        "volumes": [
            {"source": volume.source, "target": volume.target, "read_only": volume.is_read_only}
            for volume in info.volumes
        ],
        **_counters(cgroup, usage),
        "network": _network(snapshot, container),
    }


def _counters(cgroup: CgroupSample | None, usage: Usage) -> Json:
    return {
        "cpu": _cpu(cgroup, usage),
        "memory": _memory(cgroup, usage),
        "io": _io(cgroup, usage),
        "pids": {"current": usage.pids, "limit": usage.pids_limit},
        "pressure": _pressure(usage.pressure),
    }


def _namespaces(namespaces: Namespaces) -> Json:
    return {kind: getattr(namespaces, kind) for kind in NAMESPACE_KINDS}


def _port(port: Port) -> Json:
    return {
        "host_ip": port.host_ip,
        "host_port": port.host_port,
        "container_port": port.container_port,
        "protocol": port.protocol,
    }


def _cpu(cgroup: CgroupSample | None, usage: Usage) -> Json:
    return {
        "usage_seconds": cgroup.cpu.usage_usec / 1e6 if cgroup and cgroup.cpu else None,
        "cores": usage.cpu_cores,
        "limit_cores": usage.cpu_limit_cores,
        "throttled_share": usage.throttled_share,
    }


def _memory(cgroup: CgroupSample | None, usage: Usage) -> Json:
    memory = cgroup.memory if cgroup else None
    return {
        "current_bytes": memory.current if memory else None,
        "working_set_bytes": usage.memory_bytes,
        "limit_bytes": usage.memory_limit_bytes,
        "peak_bytes": memory.peak if memory else None,
        "swap_bytes": memory.swap_current if memory else None,
        "anon_bytes": memory.anon if memory else None,
        "file_bytes": memory.file if memory else None,
        "oom_kills": memory.oom_kill if memory else None,
    }


def _io(cgroup: CgroupSample | None, usage: Usage) -> Json:
    devices = cgroup.io if cgroup else None
    return {
        "read_bytes": None if devices is None else sum(device.rbytes for device in devices.values()),
        "write_bytes": None if devices is None else sum(device.wbytes for device in devices.values()),
        "read_bytes_per_second": usage.read_bytes_per_second,
        "write_bytes_per_second": usage.write_bytes_per_second,
    }


def _network(snapshot: Snapshot, container: ContainerNode) -> Json | None:
    if container.netns is None or container.netns == snapshot.sample.host.netns:
        return None
    return _traffic(container.usage)


def _pod_network(pod: PodNode) -> Json | None:
    return None if pod.usage.rx_bytes is None else _traffic(pod.usage)


def _traffic(usage: Usage) -> Json:
    return {
        "received_bytes": usage.rx_bytes,
        "transmitted_bytes": usage.tx_bytes,
        "received_bytes_per_second": usage.rx_bytes_per_second,
        "transmitted_bytes_per_second": usage.tx_bytes_per_second,
    }


def _pressure(pressure: PressureShares | None) -> Json | None:
    if pressure is None:
        return None

    def line(share: PressureShare | None) -> Json | None:
        return {"some": share.some, "full": share.full} if share else None

    return {"cpu": line(pressure.cpu), "memory": line(pressure.memory), "io": line(pressure.io)}


def _problem(problem: Problem) -> Json:
    return {"source": problem.source, "message": problem.message, "remedy": problem.remedy}


def _finding(snapshot: Snapshot, finding: Finding) -> Json:
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "target": finding.target,
        "summary": finding.summary,
        "evidence": finding.evidence,
        "means": finding.means,
        "advice": finding.advice,
        "since": to_time_text(since_wall_ns(snapshot, finding)),
    }


def since_wall_ns(snapshot: Snapshot, finding: Finding) -> int | None:
    """Return since when a finding holds, nanoseconds since 1970; None if it is not known."""
    if finding.since_ns is None:
        return None
    return snapshot.sample.wall_ns - (snapshot.sample.monotonic_ns - finding.since_ns)


def findings_of(snapshot: Snapshot, shown: Filter) -> tuple[Finding, ...]:
    """Return what is wrong with the containers that a filter lets through, worst first; without one, all."""
    if not shown:
        return snapshot.findings
    keys: set[str] = {
        container.key for pod in snapshot.pods for container in pod.containers if shown.matches(pod, container)
    }
    return tuple(finding for finding in snapshot.findings if finding.target in keys)


def findings_to_json(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    """Write findings as one object, with the names of what they are about."""
    told = {
        "version": VERSION,
        "time": to_time_text(snapshot.sample.wall_ns),
        "interval_s": snapshot.interval_s,
        "findings": [_finding(snapshot, each) | {"name": target_name(snapshot, each)} for each in findings],
        "problems": [_problem(problem) for problem in snapshot.sample.problems],
    }
    return json.dumps(told, indent=1)


def target_name(snapshot: Snapshot, finding: Finding) -> str:
    """Return what people call what a finding is about: foreign text."""
    container = snapshot.containers.get(ContainerKey(finding.target))
    return container.name if container is not None else finding.target.partition(":")[2] or finding.target


def findings_to_text(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    """Write findings one after the other: what, the evidence, what it means, what can be done."""
    lines: list[str] = []
    for finding in findings:
        lines.append(
            f"{finding.severity.name.lower()}: {printable(target_name(snapshot, finding))}: {finding.summary} "
            f"[{finding.code}]"
        )
        if finding.evidence:
            lines.append(f"  {finding.evidence}")
        lines += [f"  {finding.means}", f"  -> {finding.advice}"]
    return "".join(f"{line}\n" for line in lines)


CSV_FIELDS = (
    *("key", "id", "name", "image", "runtime", "source", "role", "state", "health", "exit_code", "restarts", "started"),
    *("finished", "pid", "cgroup"),
    *("cpu.usage_seconds", "cpu.cores", "cpu.limit_cores", "cpu.throttled_share"),
    *("memory.current_bytes", "memory.working_set_bytes", "memory.limit_bytes", "memory.peak_bytes"),
    *("memory.swap_bytes", "memory.anon_bytes", "memory.file_bytes", "memory.oom_kills"),
    *("io.read_bytes", "io.write_bytes", "io.read_bytes_per_second", "io.write_bytes_per_second"),
    *("network.received_bytes", "network.transmitted_bytes"),
    *("network.received_bytes_per_second", "network.transmitted_bytes_per_second"),
    *("pids.current", "pids.limit"),
    *("pressure.cpu.some", "pressure.cpu.full", "pressure.memory.some", "pressure.memory.full"),
    *("pressure.io.some", "pressure.io.full"),
)
"""Paths into a container's JSON."""


def to_csv(snapshot: Snapshot, rows: Sequence[Row]) -> str:
    """Write a line a container under a line of names; unknown is empty."""
    shown = to_object(snapshot, rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "host", "pod", "pod_kind", *CSV_FIELDS])
    for pod in shown["pods"]:
        for container in pod["containers"]:
            values = [shown["time"], shown["host"]["name"], pod["name"], pod["kind"]]
            values += [_at(container, field) for field in CSV_FIELDS]
            writer.writerow([printable(value) if isinstance(value, str) else value for value in values])
    return out.getvalue()


def _at(container: Json, path: str) -> object:
    value: object = container
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def to_text(snapshot: Snapshot, rows: Sequence[Row]) -> str:
    """Write the tree as a table, with the host above it and what is wrong below it."""
    host = snapshot.host
    sample = host.sample
    cores = "-" if host.cpu_cores is None else f"{host.cpu_cores:.1f}"
    memory = f"{to_bytes_text(sample.memory_used_bytes)}/{to_bytes_text(sample.memory_total_bytes)}"
    where = f"{printable(sample.name)}  {printable(sample.kernel)}  cgroup {snapshot.sample.mode or 'none'}"
    lines = [f"{where}  up {to_uptime_text(sample.uptime_s)}  CPU {cores}/{sample.cpus}  MEM {memory}", ""]
    lines += _table(rows, snapshot.sample.wall_ns)
    names: dict[str, str] = {container.key: container.name for container in snapshot.containers.values()}
    wrong = [
        f"{finding.severity.name.lower()}: {printable(names.get(finding.target, finding.target))} {finding.summary}"
        for finding in snapshot.findings
        if finding.severity > 1
    ]
    wrong += [problem_text(problem) for problem in snapshot.sample.problems]
    return "\n".join([*lines, *([""] if wrong else []), *wrong]) + "\n"


def problem_text(problem: Problem) -> str:
    """Write a problem in one line, with what would mend it."""
    remedy = f"; to mend it: {problem.remedy}" if problem.remedy else ""
    return printable(f"{problem.source}: {problem.message}{remedy}")


def _table(rows: Sequence[Row], wall_ns: int) -> list[str]:
    columns = [column for column in OVERVIEW.columns if column.history is None]
    names = ["  " * row.depth + NAME.text(row.line, wall_ns) for row in rows]
    name_width = max([len(NAME.title), *map(cell_width, names)])
    lines = [_line([name_width, *(c.width for c in columns[1:])], [c.title for c in columns], columns)]
    for name, row in zip(names, rows, strict=True):
        texts = [name, *(column.text(row.line, wall_ns) for column in columns[1:])]
        lines.append(_line([name_width, *(c.width for c in columns[1:])], texts, columns))
    return lines


def _line(widths: Sequence[int], texts: Sequence[str], columns: Sequence[Any]) -> str:
    cells = [
        padded(text, width, is_left=column.is_left) for width, text, column in zip(widths, texts, columns, strict=True)
    ]
    return "  ".join(cells).rstrip()
