"""The families that are topcon's own: what no cgroup alone tells, and what no other exporter has.

Those of containers are of containers alone, never of what is around them, so that sums over them are right.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from topcon.exporter.cadvisor import healthy
from topcon.exporter.families import COUNTER, GAUGE, Family, field, itself, seconds, table
from topcon.exporter.labels import path_text
from topcon.exporter.page import parts, running_containers, surveyed, whole
from topcon.findings import CODES
from topcon.model.pods import COMPOSE_PROJECT, COMPOSE_SERVICE
from topcon.model.sample import NAMESPACE_KINDS, Role, State
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topcon.exporter.labels import Pair
    from topcon.exporter.page import Page, Row
    from topcon.model.sample import (
        ContainerInfo,
        MemoryStat,
        ProtocolStat,
        TaskStat,
    )
    from topcon.model.snapshot import ContainerNode, PodNode

THREAD_STATES: Mapping[str, str] = {
    "R": "running",
    "S": "sleeping",
    "D": "uninterruptible",
    "T": "stopped",
    "t": "stopped",
    "I": "idle",
    "Z": "zombie",
    "X": "dead",
}
"""The kernel's letters (proc(5)) in words."""

SERVED_STATES = tuple(state for state in State if state is not State.UNKNOWN)
KERNEL_SOURCES = ("cgroup", "processes")
"""Sources that every host has; others are told of once they were read."""


# Rows of containers.


def _containers(page: Page) -> list[Row[ContainerNode]]:
    return [(page.identity(each).text, each) for each in page.snapshot.containers.values()]


def _remembered(page: Page) -> list[Row[ContainerInfo]]:
    """Those that were removed lately too, so that how they ended is not missed between two scrapes."""
    nodes = [*page.snapshot.containers.values(), *(gone.container for gone in page.snapshot.gone)]
    return [(page.identity(each).text, each.info) for each in nodes]


def _info(page: Page) -> list[Row[int]]:
    return [(page.identity(each).with_(*_known(page, each)), 1) for each in page.snapshot.containers.values()]


def _known(page: Page, container: ContainerNode) -> Iterator[Pair]:
    info, pod = container.info, page.pods[container.key]
    yield "image", printable(info.image or "")
    yield "pod_kind", pod.kind
    yield "pod_uid", printable(pod.uid or "")
    yield "qos", pod.qos or ""
    yield "role", info.role
    yield "source", info.source
    yield "workload", printable(pod.workload.name) if pod.workload else ""
    yield "workload_kind", pod.workload.kind if pod.workload else ""
    yield "compose_project", printable(info.labels.get(COMPOSE_PROJECT, ""))
    yield "compose_service", printable(info.labels.get(COMPOSE_SERVICE, ""))


def _states(page: Page) -> list[Row[int]]:
    return [
        (labels.with_(("state", state)), int(each.info.state is state))
        for each in page.snapshot.containers.values()
        for labels in [page.identity(each)]
        for state in SERVED_STATES
    ]


def _counted_by_state(page: Page) -> list[Row[int]]:
    runtimes = {each.info.runtime for each in page.snapshot.containers.values()}
    runtimes |= {each.runtime or each.name for each in page.snapshot.sample.runtimes}
    counts = {(runtime, state): 0 for runtime in sorted(runtimes) for state in State}
    for each in page.snapshot.containers.values():
        counts[each.info.runtime, each.info.state] += 1
    return [
        (page.labels(("runtime", printable(runtime)), ("state", state)).text, count)
        for (runtime, state), count in counts.items()
    ]


def _namespaces(page: Page) -> list[Row[int]]:
    return [
        (
            labels.with_(
                ("host", "true" if kind in each.shared_with_host else "false"),
                ("inode", str(inode)),
                ("type", kind),
            ),
            1,
        )
        for each in page.snapshot.containers.values()
        if each.process is not None
        for labels in [page.identity(each)]
        for kind in NAMESPACE_KINDS
        if (inode := getattr(each.process.namespaces, kind)) is not None
    ]


def _tasks(page: Page) -> list[Row[TaskStat]]:
    return [(labels.text, tasks) for labels, tasks in surveyed(page, page.running)]


def _threads(page: Page) -> list[Row[int]]:
    rows: list[Row[int]] = []
    for labels, tasks in surveyed(page, page.running):
        counts = dict.fromkeys(THREAD_STATES.values(), 0)
        for letter, count in tasks.states.items():
            state = THREAD_STATES.get(letter, "unknown")
            counts[state] = counts.get(state, 0) + count
        rows += [(labels.with_(("state", state)), count) for state, count in counts.items()]
    return rows


def _discarded(page: Page) -> list[Row[int | None]]:
    return [
        (subject.labels.with_(("device", page.device_name(device))), stat.dbytes)
        for subject in page.running
        for device, stat in (subject.cgroup.io or {}).items()
        if page.device_name(device)
    ]


def _unreclaimable(memory: MemoryStat) -> int | None:
    """What stays however hard the kernel tries: anonymous memory that has no swap to go to, tmpfs, locked pages, slabs.

    ``anon + shmem + kernel - slab_reclaimable``; ``shmem`` is a part of ``file``, and ``unevictable`` of these.
    """
    parts = (memory.anon, memory.shmem, memory.kernel, memory.slab_reclaimable)
    if None in parts:
        return None
    anon, shmem, kernel, reclaimable = (part or 0 for part in parts)
    return max(anon + shmem + kernel - reclaimable, 0)


def _frozen(container: ContainerNode) -> int | None:
    events = container.cgroup.events if container.cgroup else None
    return int(events.frozen) if events and events.frozen is not None else None


def _oom_kills(page: Page) -> list[Row[int]]:
    """By place, since names can hold what two places write alike: added up then."""
    rows: dict[str, int] = {}
    for place, count in page.snapshot.oom_kills.items():
        text = page.labels(
            ("name", printable(place.name)),
            ("namespace", printable(place.namespace or "")),
            ("pod", printable(place.pod)),
            ("runtime", printable(place.runtime)),
        ).text
        rows[text] = rows.get(text, 0) + count
    return list(rows.items())


# Rows of pods, of the tree, of findings and of sources.


def _pod_info(page: Page) -> list[Row[int]]:
    return [
        (
            page.pod_identity(pod).with_(
                ("id", path_text(pod.cgroup.path) if pod.cgroup else ""),
                ("qos", pod.qos or ""),
                ("workload", printable(pod.workload.name) if pod.workload else ""),
                ("workload_kind", pod.workload.kind if pod.workload else ""),
            ),
            1,
        )
        for pod in page.snapshot.pods
    ]


def _tree(page: Page) -> list[Row[int]]:
    """Each row of ``container_*``, and the next one above it."""
    served = {subject.cgroup.path: subject for subject in page.subjects}
    rows = []
    for path, subject in served.items():
        above = _above(path, served)
        labels = page.labels(
            ("id", path_text(path)),
            ("kind", _kind(path, subject.container, subject.pod)),
            ("parent_id", path_text(above) if above is not None else ""),
        )
        rows.append((labels.text, 1))
    return rows


def _above(path: str, served: Mapping[Any, object]) -> str | None:
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        if path in served:
            return path
    return None


def _kind(path: str, container: ContainerNode | None, pod: PodNode | None) -> str:
    if path == "/":
        return "host"
    if container is not None:
        return "sandbox" if container.info.role is Role.SANDBOX else "container"
    if pod is not None:
        return "pod"
    return "service" if path.endswith((".service", ".scope", ".socket", ".mount", ".swap")) else "slice"


def _protocols(page: Page) -> Iterator[tuple[PodNode, ProtocolStat]]:
    """Each network namespace once, of the pod of whoever owns it."""
    for pod in page.snapshot.pods:
        for each in pod.containers:
            protocol = page.survey.protocols.get(each.netns) if each.netns and each.is_network_owner else None
            if protocol is not None:
                yield pod, protocol


def _tcp(key: str) -> Callable[[Page], list[Row[int]]]:
    """Add up a counter over the namespaces of a pod, which mostly has one."""

    def rows(page: Page) -> list[Row[int]]:
        return _summed((page.pod_identity(pod).text, stat.tcp.get(key)) for pod, stat in _protocols(page))

    return rows


def _tcp_sockets(page: Page) -> list[Row[int]]:
    return _summed(
        (page.pod_identity(pod).with_(("state", state)), count)
        for pod, stat in _protocols(page)
        for state, count in (
            ("established", stat.tcp.get("CurrEstab")),
            ("inuse", stat.tcp_sockets.get("inuse")),
            ("orphan", stat.tcp_sockets.get("orphan")),
            ("timewait", stat.tcp_sockets.get("tw")),
        )
    )


def _summed(rows: Iterable[tuple[str, int | None]]) -> list[Row[int]]:
    counts: dict[str, int] = {}
    for labels, count in rows:
        if count is not None:
            counts[labels] = counts.get(labels, 0) + count
    return list(counts.items())


def _findings(page: Page) -> list[Row[int]]:
    """One row a finding; a runtime's has no container."""
    rows = {}
    for finding in page.snapshot.findings:
        own = (("code", finding.code), ("severity", finding.severity.name.lower()))
        container = page.snapshot.containers.get(finding.target)  # type: ignore[call-overload] # a key or none
        if container is not None:
            rows[page.identity(container).with_(*own)] = 1
        else:
            names = dict.fromkeys(("container_id", "id", "name", "namespace", "pod"), "")
            runtime = printable(finding.target.partition(":")[2])
            rows[page.labels(*names.items(), ("runtime", runtime)).with_(*own)] = 1
    return list(rows.items())


def _counted_findings(page: Page) -> list[Row[int]]:
    counts = {(code, severity): 0 for code, severities in CODES.items() for severity in severities}
    for finding in page.snapshot.findings:
        counts[finding.code, finding.severity] = counts.get((finding.code, finding.severity), 0) + 1
    return [
        (page.labels(("code", code), ("severity", severity.name.lower())).text, count)
        for (code, severity), count in counts.items()
    ]


def _sources(page: Page) -> list[Row[int]]:
    """The kernel's sources and each runtime; two of a name are told apart by their sockets."""
    sample = page.snapshot.sample
    broken = {problem.source for problem in sample.problems}
    names = dict.fromkeys([*KERNEL_SOURCES, *(source.name for source in sample.sources)])
    up = {name: name not in broken for name in names}
    up |= {name: runtime.up for name, runtime in _runtimes(page)}
    return [(page.labels(("source", printable(name))).text, int(is_up)) for name, is_up in up.items()]


def _source_health(page: Page) -> list[Row[Any]]:
    both: list[tuple[str, Any]] = [(source.name, source) for source in page.snapshot.sample.sources]
    return [(page.labels(("source", printable(name))).text, source) for name, source in [*both, *_runtimes(page)]]


def _runtimes(page: Page) -> Iterator[tuple[str, Any]]:
    runtimes = page.snapshot.sample.runtimes
    for runtime in runtimes:
        is_only = sum(other.name == runtime.name for other in runtimes) == 1
        yield runtime.name if is_only else f"{runtime.name}:{runtime.socket}", runtime


def _build(page: Page) -> list[Row[int]]:
    own = page.labels(("python_version", platform.python_version()), ("version", page.vitals.version))
    return [(own.text, 1)]


_MEMORY = parts(field("memory"), running_containers)
_DETAIL = parts(field("detail"), running_containers)
_LEVELS = table(
    "topcon",
    _DETAIL,
    (
        COUNTER,
        "topcon_container_throttled_local_seconds_total",
        "Time throttled by its own CPU limit, not by one above it, seconds.",
        seconds("throttled_local_usec"),
    ),
    (
        COUNTER,
        "topcon_container_swap_limit_hits_total",
        "Times it was about to go above its limit of swap.",
        field("swap_events_max"),
    ),
    (
        COUNTER,
        "topcon_container_pids_limit_hits_total",
        "Times a process or thread could not be made for its limit of tasks.",
        field("pids_events_max"),
    ),
    (
        COUNTER,
        "topcon_container_pressure_irq_stalled_seconds_total",
        "Time in which all its tasks lost the CPU to interrupts, seconds.",
        seconds("irq_full_usec"),
    ),
    (
        GAUGE,
        "topcon_container_dying_descendants",
        "Removed cgroups below it that memory still holds.",
        field("dying_descendants"),
    ),
)

FAMILIES: tuple[Family, ...] = (
    *table("topcon", _sources, (GAUGE, "topcon_source_up", "Whether a source could be read: 1, or 0.", itself)),
    *table(
        "topcon",
        _info,
        (GAUGE, "topcon_container_info", "What is known of a container, a stopped one too.", itself),
    ),
    *table("topcon", _pod_info, (GAUGE, "topcon_pod_info", "What is known of a pod.", itself)),
    *table("topcon", _tree, (GAUGE, "topcon_tree_info", "Each cgroup that is served, and the one above it.", itself)),
    *table("topcon", _counted_by_state, (GAUGE, "topcon_containers", "Containers by runtime and state.", itself)),
    *table(
        "topcon", _states, (GAUGE, "topcon_container_state", "1 for the state that a container is in, else 0.", itself)
    ),
    *table(
        "topcon",
        _containers,
        (GAUGE, "topcon_container_healthy", "Whether its own health check passes: 1, or 0.", healthy),
        (GAUGE, "topcon_container_frozen", "Whether it is paused: 1, or 0.", _frozen),
    ),
    *table(
        "topcon",
        _remembered,
        (GAUGE, "topcon_container_exit_code", "How it ended the last time.", field("exit_code")),
        (
            GAUGE,
            "topcon_container_finished_timestamp_seconds",
            "When it ended, seconds since 1970.",
            seconds("finished_ns", 1e9),
        ),
        (COUNTER, "topcon_container_restarts_total", "Times its runtime started it again.", field("restarts")),
        (GAUGE, "topcon_container_oom_killed", "Whether it ended for want of memory: 1, or 0.", field("oom_killed")),
    ),
    *table(
        "topcon",
        _oom_kills,
        (
            COUNTER,
            "topcon_oom_kills_total",
            "Processes killed for memory in this container and those whose place it took.",
            itself,
        ),
    ),
    *table(
        "topcon",
        _findings,
        (GAUGE, "topcon_finding", "Something that is wrong now.", itself),
    ),
    *table("topcon", _counted_findings, (GAUGE, "topcon_findings", "How much is wrong now, by its code.", itself)),
    *table(
        "topcon",
        _MEMORY,
        (
            GAUGE,
            "topcon_container_memory_unreclaimable_bytes",
            "Memory that cannot be had back without swap or an end of something, bytes.",
            _unreclaimable,
        ),
        (
            COUNTER,
            "topcon_container_memory_limit_hits_total",
            "Times it was about to go above its memory limit.",
            field("events_max"),
        ),
        (
            COUNTER,
            "topcon_container_oom_group_kills_total",
            "Times all its processes were killed together for memory.",
            field("oom_group_kill"),
        ),
    ),
    *_LEVELS,
    *table(
        "topcon",
        parts(field("pids"), running_containers),
        (GAUGE, "topcon_container_pids_limit", "Limit of tasks; no sample without one.", field("max")),
    ),
    *table(
        "topcon",
        _tasks,
        (COUNTER, "topcon_container_run_seconds_total", "Time its threads ran, seconds.", field("run_s")),
        (
            COUNTER,
            "topcon_container_run_delay_seconds_total",
            "Time its threads could have run and had no CPU, seconds.",
            field("run_delay_s"),
        ),
        (GAUGE, "topcon_container_zombies", "Processes that ended and were not waited for.", field("zombies")),
        (
            GAUGE,
            "topcon_container_runnable_threads",
            "Threads that ran or could have, smoothed over 10 s.",
            field("runnable"),
        ),
        (GAUGE, "topcon_container_open_files", "Open descriptors of its processes.", field("open_files")),
        (
            GAUGE,
            "topcon_container_open_files_limit",
            "How many descriptors its first process may have open.",
            field("open_files_limit"),
        ),
    ),
    *table("topcon", _threads, (GAUGE, "topcon_container_threads", "Threads by state.", itself)),
    *table("topcon", _discarded, (COUNTER, "topcon_container_discarded_bytes_total", "Bytes discarded.", itself)),
    *table(
        "topcon",
        _namespaces,
        (GAUGE, "topcon_container_namespace_info", "The namespaces it is in, and whether they are the host's.", itself),
    ),
    *(
        family
        for name, help_, key in (
            ("segments_sent", "Segments sent.", "OutSegs"),
            ("retransmitted_segments", "Segments sent again.", "RetransSegs"),
            ("listen_overflows", "Connections refused since nobody accepted those before.", "ListenOverflows"),
        )
        for family in table("topcon", _tcp(key), (COUNTER, f"topcon_pod_tcp_{name}_total", help_, itself))
    ),
    *table("topcon", _tcp_sockets, (GAUGE, "topcon_pod_tcp_sockets", "TCP sockets by state.", itself)),
    *table(
        "topcon",
        _source_health,
        (
            GAUGE,
            "topcon_source_scrape_duration_seconds",
            "How long the last reading of a source took, seconds.",
            field("duration_s"),
        ),
        (COUNTER, "topcon_source_errors_total", "Readings of a source that failed.", field("errors")),
        (
            GAUGE,
            "topcon_source_last_success_timestamp_seconds",
            "When a source was last read, seconds since 1970.",
            seconds("succeeded_ns", 1e9),
        ),
    ),
    *table(
        "topcon",
        whole,
        (
            GAUGE,
            "topcon_tick_duration_seconds",
            "How long the last reading of all sources took, seconds.",
            field("vitals.tick_s"),
        ),
        (GAUGE, "topcon_snapshot_age_seconds", "How old the values are, seconds.", field("vitals.age_s")),
        (
            GAUGE,
            "topcon_snapshot_timestamp_seconds",
            "When the values were read, seconds since 1970.",
            seconds("snapshot.sample.wall_ns", 1e9),
        ),
        (GAUGE, "topcon_scrape_duration_seconds", "How long the last page took, seconds.", field("vitals.scrape_s")),
        (
            GAUGE,
            "topcon_label_collisions",
            "Labels of containers that are not served, since another has their name.",
            field("label_collisions"),
        ),
    ),
    *table("topcon", _build, (GAUGE, "topcon_build_info", "The version of topcon, and of Python under it.", itself)),
)
OMITTED = Family(
    "topcon",
    GAUGE,
    "topcon_scrape_families_omitted",
    "Families that are not on this page, since it had to be done in time.",
    whole,
    field("omitted"),
)
"""Comes last, when it is known."""
