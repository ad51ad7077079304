"""What the dashboards for Grafana show: tables of panels, the worst first.

Pods have names among the labels of ``container_*`` only in Kubernetes. So what is shown by pod or by container takes
its names from ``topcon_container_info``, which knows them everywhere, by the cgroup (``id``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

WIDTH = 24
"""The columns of Grafana's grid."""

HOST = "job, instance"
POD = "job, instance, namespace, pod"
CONTAINER = "job, instance, namespace, pod, name"
"""What tells hosts, pods and containers apart, whoever scrapes them, and however often."""

ON_HOSTS = ('job=~"$job"', 'instance=~"$instance"')
ROOT = 'id="/"'
"""The row of the whole host."""
LIVE = 'id!=""'
"""What has ended has no cgroup."""
OF_NETWORK = 'type="net"'
IN_POD = ('namespace=~"$namespace"', 'pod=~"$pod"')
IN_CONTAINER = (*IN_POD, 'name=~"$container"')
OF_POD = ('kind!="single"', *IN_POD)
OF_SINGLE = ('kind="single"', 'pod=~"$container"')
"""A container in no pod has a row of its own among the pods, under its name."""

LEGEND_POD = "{{pod}} {{namespace}} {{instance}}"
LEGEND_CONTAINER = "{{name}} {{pod}} {{instance}}"


class Kind(StrEnum):
    """Grafana's names for how a panel is drawn."""

    TIMESERIES = "timeseries"
    STAT = "stat"
    TABLE = "table"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a label, or the value of a query."""

    field: str
    title: str
    unit: str = ""
    """None of its own: the panel's."""
    texts: tuple[tuple[str, str, str], ...] = ()
    """Values, with what is written for each, and in which colour."""
    leads_to: str = ""
    """The dashboard that a cell leads to."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. Tables and bars show the end of the time range, the others all of it."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = Kind.TIMESERIES
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    """From which value on which colour is meant; below the first, green."""
    most: float | None = None
    """What a full bar means; None for the longest."""
    is_stacked: bool = False
    colors: tuple[tuple[str, str], ...] = ()
    """Colours of series, by how their names end."""
    columns: tuple[Column, ...] = ()
    sorts_by: str = ""
    """The title of the column whose largest come first; that of the first column, if empty."""
    leads_to: str = ""
    """The dashboard that a series leads to."""
    nothing: str = ""
    """What is said where there are no series, if that is good news."""


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the head of a dashboard, of the values of a label."""

    name: str
    label: str
    family: str
    """The family that has the label."""
    value: str
    """The label."""
    all_value: str
    matchers: tuple[str, ...] = ()
    """The choices before it that narrow it."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]

    @property
    def uid(self) -> str:
        """What links lead to."""
        return f"topcon-{self.name}"


# Expressions


def vector(family: str, *matchers: str) -> str:
    """Select series of the chosen hosts."""
    return f"{family}{{{', '.join((*ON_HOSTS, *matchers))}}}"


def rate(family: str, *matchers: str) -> str:
    """How quickly a counter grows, a second."""
    return f"rate({vector(family, *matchers)}[$__rate_interval])"


def increase(family: str, *matchers: str) -> str:
    """By how much a counter grew around each point."""
    return f"increase({vector(family, *matchers)}[$__rate_interval])"


def sum_by(labels: str, expr: str) -> str:
    """Add up what differs in other labels."""
    return f"sum by ({labels}) ({expr})"


def sum_of(expr: str) -> str:
    """Add up everything."""
    return f"sum({expr})"


def max_by(labels: str, expr: str) -> str:
    """Take the largest of what differs in other labels."""
    return f"max by ({labels}) ({expr})"


def named(expr: str, *matchers: str) -> str:
    """Give rows of ``container_*`` the names of their container and pod, and drop all other rows."""
    # Of two that claim a cgroup one is taken: a join has no result at all where its one side is not unique.
    info = f"topk by (job, instance, id) (1, {vector('topcon_container_info', LIVE, *matchers)})"
    return f"{expr} * on (job, instance, id) group_left (namespace, pod, name) {info}"


def of_containers(expr: str, *matchers: str) -> str:
    """Add up rows of ``container_*`` by container."""
    return sum_by(CONTAINER, named(expr, *matchers))


def of_pods(expr: str, *matchers: str) -> str:
    """Add up rows of ``container_*`` by pod."""
    return sum_by(POD, named(expr, *matchers))


def top(count: int, expr: str) -> str:
    """Keep the largest."""
    return f"topk({count}, {expr})"


def worst_first(expr: str) -> str:
    """Sort what is asked for one moment."""
    return f"sort_desc({expr})"


def share_of_limit(*matchers: str) -> str:
    """The working set as a share of the limit, of containers that have one."""
    used = of_containers(vector("container_memory_working_set_bytes"), *matchers)
    limit = of_containers(f"({vector('container_spec_memory_limit_bytes')} > 0)", *matchers)
    return f"{used} / {limit}"


def throttled_share(*matchers: str) -> str:
    """The periods in which a container was throttled, of those in which it wanted to run."""
    throttled = of_containers(rate("container_cpu_cfs_throttled_periods_total"), *matchers)
    return f"{throttled} / ({of_containers(rate('container_cpu_cfs_periods_total'), *matchers)} > 0)"


def sent_again(*matchers: str) -> str:
    """The TCP segments that were sent again, of those sent, by pod."""
    again = sum_by(POD, rate("topcon_pod_tcp_retransmitted_segments_total", *matchers))
    return f"{again} / ({sum_by(POD, rate('topcon_pod_tcp_segments_sent_total', *matchers))} > 0)"


def of_network(family: str, *matchers: str) -> str:
    """What went through the network namespace that a container lives in: its row may be that of its pod's sandbox.

    Namespaces are told apart by their inodes. Where those cannot be read, only what has a row of its own is shown.
    """
    inodes = f"topk by (job, instance, id) (1, {vector('topcon_container_namespace_info', OF_NETWORK, LIVE)})"
    spaces = f"{rate(family)} * on (job, instance, id) group_left (inode) {inodes}"
    lives_in = vector("topcon_container_namespace_info", OF_NETWORK, 'host="false"', *matchers)
    shared = (
        f"{max_by(f'{CONTAINER}, inode', lives_in)} * on (job, instance, inode) group_left ()"
        f" {sum_by('job, instance, inode', spaces)}"
    )
    return f"{sum_by(CONTAINER, shared)} or {of_containers(rate(family), *matchers)}"


def severities(labels: str, *matchers: str) -> str:
    """Write findings as numbers that sort: 3 critical, 2 warning, 1 info."""
    return " or ".join(
        f"{weight} * {max_by(labels, vector('topcon_finding', matcher, *matchers))}"
        for weight, matcher in ((3, 'severity="critical"'), (2, 'severity="warning"'), (1, 'severity="info"'))
    )


# Parts that several dashboards have

SEVERITY = (("3", "critical", "red"), ("2", "warning", "orange"), ("1", "info", "blue"))
SEVERITY_COLORS = tuple((severity, color) for _, severity, color in SEVERITY)
STATE_COLORS = (
    ("dead", "red"),
    ("restarting", "red"),
    ("exited", "orange"),
    ("paused", "yellow"),
    ("created", "blue"),
    ("running", "green"),
)
STATES = tuple((state, state, color) for state, color in STATE_COLORS)
YES_IS_BAD = (("0", "no", "text"), ("1", "yes", "red"))
YES_IS_GOOD = (("0", "no", "red"), ("1", "yes", "green"))

ANY_IS_BAD = ((1.0, "red"),)
ANY_IS_A_WARNING = ((1.0, "orange"),)
FULL = ((0.8, "orange"), (0.9, "red"))

HOST_COLUMN = Column("instance", "Host", leads_to="host")
POD_COLUMNS = (Column("namespace", "Namespace"), Column("pod", "Pod", leads_to="pod"))
CONTAINER_COLUMNS = (Column("name", "Container", leads_to="container"), *POD_COLUMNS, HOST_COLUMN)

INSTANCE = Variable("instance", "Instance", "topcon_build_info", "instance", ".+", ('job=~"$job"',))
HOSTS = (Variable("job", "Job", "topcon_build_info", "job", ".+"), INSTANCE)
# Both may be empty, and nothing must get lost by that.
NAMESPACE = Variable("namespace", "Namespace", "topcon_container_info", "namespace", ".*", ON_HOSTS)
POD_OF_CONTAINER = Variable("pod", "Pod", "topcon_container_info", "pod", ".*", (*ON_HOSTS, IN_POD[0]))


def findings_table(*matchers: str, height: int = 8) -> Panel:
    """All findings of now."""
    return Panel(
        "Findings",
        "What is wrong now. The names lead to the container, the pod and the host.",
        "short",
        (Query(severities(f"{CONTAINER}, code", *matchers)),),
        Kind.TABLE,
        WIDTH,
        height,
        columns=(Column("Value", "Severity", texts=SEVERITY), Column("code", "Finding"), *CONTAINER_COLUMNS),
        nothing="Nothing is wrong",
    )


def oom_kills(*matchers: str) -> Panel:
    """OOM kills over time."""
    return Panel(
        "OOM kills",
        "Processes that the kernel killed for memory. Counted by name, so it goes on when a container is replaced.",
        "short",
        (Query(f"{sum_by(CONTAINER, increase('topcon_oom_kills_total', *matchers))} > 0", LEGEND_CONTAINER),),
        leads_to="container",
        nothing="None",
    )


def restarts(*matchers: str) -> Panel:
    """Restarts over time."""
    return Panel(
        "Restarts",
        "Containers that were started again.",
        "short",
        (Query(f"{sum_by(CONTAINER, increase('topcon_container_restarts_total', *matchers))} > 0", LEGEND_CONTAINER),),
        leads_to="container",
        nothing="None",
    )


def pressure(title: str, resource: str, what: str) -> Panel:
    """How long the host's tasks waited for a resource."""
    some, full = (f"container_pressure_{resource}_{kind}_seconds_total" for kind in ("waiting", "stalled"))
    return Panel(
        title,
        f"The share of time in which some, or all, tasks of the host waited for {what}.",
        "percentunit",
        (
            Query(sum_by(HOST, rate(full, ROOT)), "{{instance}} all"),
            Query(sum_by(HOST, rate(some, ROOT)), "{{instance}} some"),
        ),
    )


# The host

HOST_DASHBOARD = Dashboard(
    "host",
    "topcon / Hosts",
    "Hosts and the containers that weigh on them.",
    HOSTS,
    (
        Section(
            "Now",
            (
                Panel(
                    "Critical",
                    "Critical findings.",
                    "short",
                    (Query(sum_of(vector("topcon_findings", 'severity="critical"')), "critical"),),
                    Kind.STAT,
                    4,
                    4,
                    ANY_IS_BAD,
                    leads_to="findings",
                ),
                Panel(
                    "Warnings",
                    "Findings that are warnings.",
                    "short",
                    (Query(sum_of(vector("topcon_findings", 'severity="warning"')), "warnings"),),
                    Kind.STAT,
                    4,
                    4,
                    ANY_IS_A_WARNING,
                    leads_to="findings",
                ),
                Panel(
                    "Restarting or dead",
                    "Containers that their runtime is starting again, or could not remove.",
                    "short",
                    (Query(sum_of(vector("topcon_containers", 'state=~"restarting|dead"')), "containers"),),
                    Kind.STAT,
                    4,
                    4,
                    ANY_IS_BAD,
                    leads_to="findings",
                ),
                Panel(
                    "Running",
                    "Containers that run.",
                    "short",
                    (Query(sum_of(vector("topcon_containers", 'state="running"')), "containers"),),
                    Kind.STAT,
                    4,
                    4,
                ),
                Panel(
                    "Sources down",
                    "Sources that topcon could not read: what they know is missing below.",
                    "short",
                    (Query(sum_of(f"1 - {vector('topcon_source_up')}"), "sources"),),
                    Kind.STAT,
                    4,
                    4,
                    ANY_IS_BAD,
                    leads_to="findings",
                ),
                Panel(
                    "Oldest values",
                    "The age of the oldest values that a host served at its last scrape.",
                    "s",
                    (Query(f"max({vector('topcon_snapshot_age_seconds')})", "age"),),
                    Kind.STAT,
                    4,
                    4,
                    ((15.0, "orange"), (60.0, "red")),
                ),
                Panel(
                    "Findings by code",
                    "How many containers have each finding now.",
                    "short",
                    (
                        Query(
                            worst_first(f"{sum_by('code, severity', vector('topcon_findings'))} > 0"),
                            "{{code}} {{severity}}",
                        ),
                    ),
                    Kind.BARS,
                    colors=SEVERITY_COLORS,
                    leads_to="findings",
                    nothing="Nothing is wrong",
                ),
                Panel(
                    "Findings over time",
                    "Findings by severity.",
                    "short",
                    (Query(sum_by("severity", vector("topcon_findings")), "{{severity}}"),),
                    is_stacked=True,
                    colors=SEVERITY_COLORS,
                    leads_to="findings",
                ),
                Panel(
                    "Containers by state",
                    "All containers that the runtimes know, stopped ones too.",
                    "short",
                    (Query(sum_by("state", vector("topcon_containers")), "{{state}}"),),
                    is_stacked=True,
                    colors=STATE_COLORS,
                ),
            ),
        ),
        Section(
            "The machine",
            (
                Panel(
                    "CPU",
                    "CPU time used, as a share of all CPUs.",
                    "percentunit",
                    (
                        Query(
                            f"{sum_by(HOST, rate('container_cpu_usage_seconds_total', ROOT))}"
                            f" / {max_by(HOST, vector('machine_cpu_cores'))}",
                            "{{instance}}",
                        ),
                    ),
                ),
                Panel(
                    "Memory",
                    "Memory in use without the inactive page cache, as a share of the machine's.",
                    "percentunit",
                    (
                        Query(
                            f"{max_by(HOST, vector('container_memory_working_set_bytes', ROOT))}"
                            f" / {max_by(HOST, vector('machine_memory_bytes'))}",
                            "{{instance}}",
                        ),
                    ),
                ),
                Panel(
                    "Swap",
                    "Swap in use.",
                    "bytes",
                    (Query(max_by(HOST, vector("container_memory_swap", ROOT)), "{{instance}}"),),
                ),
                pressure("CPU pressure", "cpu", "a CPU"),
                pressure("Memory pressure", "memory", "memory to be reclaimed or read back"),
                pressure("I/O pressure", "io", "a block device"),
                Panel(
                    "File systems",
                    "How full they are. A full one stops writing containers, and pulling images.",
                    "percentunit",
                    (
                        Query(
                            worst_first(
                                f"{max_by(f'{HOST}, device', vector('container_fs_usage_bytes', ROOT))}"
                                f" / {max_by(f'{HOST}, device', vector('container_fs_limit_bytes', ROOT))}"
                            ),
                            "{{device}} {{instance}}",
                        ),
                    ),
                    Kind.BARS,
                    steps=FULL,
                    most=1.0,
                ),
                Panel(
                    "Inodes",
                    "How many of the inodes of each file system are taken. Small files use them up before the space.",
                    "percentunit",
                    (
                        Query(
                            worst_first(
                                f"1 - {max_by(f'{HOST}, device', vector('container_fs_inodes_free', ROOT))}"
                                f" / ({max_by(f'{HOST}, device', vector('container_fs_inodes_total', ROOT))} > 0)"
                            ),
                            "{{device}} {{instance}}",
                        ),
                    ),
                    Kind.BARS,
                    steps=FULL,
                    most=1.0,
                ),
                Panel(
                    "Disks busy",
                    "The share of time in which a device had something to do.",
                    "percentunit",
                    (
                        Query(
                            max_by(f"{HOST}, device", rate("container_fs_io_time_seconds_total", ROOT)),
                            "{{device}} {{instance}}",
                        ),
                    ),
                ),
                Panel(
                    "Disk I/O",
                    "Bytes read from and written to block devices. A partition's count for its disk too.",
                    "Bps",
                    (
                        Query(
                            f"512 * {sum_by(f'{HOST}, device', rate('container_fs_sector_reads_total', ROOT))}",
                            "{{device}} {{instance}} read",
                        ),
                        Query(
                            f"512 * {sum_by(f'{HOST}, device', rate('container_fs_sector_writes_total', ROOT))}",
                            "{{device}} {{instance}} written",
                        ),
                    ),
                ),
                Panel(
                    "Network",
                    "Bytes received and sent by the host's own interfaces.",
                    "Bps",
                    (
                        Query(
                            sum_by(f"{HOST}, interface", rate("container_network_receive_bytes_total", ROOT)),
                            "{{interface}} {{instance}} received",
                        ),
                        Query(
                            sum_by(f"{HOST}, interface", rate("container_network_transmit_bytes_total", ROOT)),
                            "{{interface}} {{instance}} sent",
                        ),
                    ),
                ),
                Panel(
                    "Packets lost",
                    "Packets that were dropped, or were in error, in both directions.",
                    "pps",
                    tuple(
                        Query(
                            f"{sum_by(HOST, rate(f'container_network_receive_{family}', ROOT))}"
                            f" + {sum_by(HOST, rate(f'container_network_transmit_{family}', ROOT))}",
                            f"{{{{instance}}}} {what}",
                        )
                        for family, what in (("packets_dropped_total", "dropped"), ("errors_total", "in error"))
                    ),
                ),
            ),
        ),
        Section(
            "The ten heaviest containers",
            (
                Panel(
                    "CPU",
                    "CPUs used.",
                    "short",
                    (Query(top(10, of_containers(rate("container_cpu_usage_seconds_total"))), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Memory",
                    "Working sets.",
                    "bytes",
                    (Query(top(10, of_containers(vector("container_memory_working_set_bytes"))), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Closest to their memory limit",
                    "The working set as a share of the limit: at 100% the kernel kills.",
                    "percentunit",
                    (Query(top(10, share_of_limit()), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Throttled",
                    "The share of periods in which the CPU limit held them back.",
                    "percentunit",
                    (Query(top(10, throttled_share()), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Waiting for a CPU",
                    "The share of time in which some of their tasks were ready and did not get a CPU.",
                    "percentunit",
                    (
                        Query(
                            top(10, of_containers(rate("container_pressure_cpu_waiting_seconds_total"))),
                            LEGEND_CONTAINER,
                        ),
                    ),
                    leads_to="container",
                ),
                Panel(
                    "Waiting for memory or disks",
                    "The share of time in which some of their tasks waited for memory, or for a block device.",
                    "percentunit",
                    tuple(
                        Query(
                            top(5, of_containers(rate(f"container_pressure_{resource}_waiting_seconds_total"))),
                            f"{LEGEND_CONTAINER} {what}",
                        )
                        for resource, what in (("memory", "memory"), ("io", "disks"))
                    ),
                    leads_to="container",
                ),
                Panel(
                    "Network",
                    "Bytes received and sent. What a pod shares counts for the container that owns its network.",
                    "Bps",
                    (
                        Query(
                            top(
                                10,
                                f"{of_containers(rate('container_network_receive_bytes_total'))}"
                                f" + {of_containers(rate('container_network_transmit_bytes_total'))}",
                            ),
                            LEGEND_CONTAINER,
                        ),
                    ),
                    leads_to="container",
                ),
                Panel(
                    "Disk I/O",
                    "Bytes read and written.",
                    "Bps",
                    (
                        Query(
                            top(
                                10,
                                f"{of_containers(rate('container_fs_reads_bytes_total'))}"
                                f" + {of_containers(rate('container_fs_writes_bytes_total'))}",
                            ),
                            LEGEND_CONTAINER,
                        ),
                    ),
                    leads_to="container",
                ),
                Panel(
                    "Writable layers",
                    "What containers wrote into their own layer, and their runtime keeps until they are removed.",
                    "bytes",
                    (Query(top(10, of_containers(vector("container_fs_usage_bytes"))), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
            ),
        ),
        Section(
            "topcon itself",
            (
                Panel(
                    "CPU",
                    "CPUs used by topcon.",
                    "short",
                    (Query(sum_by(HOST, rate("topcon_process_cpu_seconds_total")), "{{instance}}"),),
                    width=6,
                    height=6,
                ),
                Panel(
                    "Memory",
                    "Resident memory of topcon.",
                    "bytes",
                    (Query(max_by(HOST, vector("topcon_process_resident_memory_bytes")), "{{instance}}"),),
                    width=6,
                    height=6,
                ),
                Panel(
                    "Duration",
                    "How long it takes to read all sources, and to write a page.",
                    "s",
                    (
                        Query(max_by(HOST, vector("topcon_tick_duration_seconds")), "{{instance}} reading"),
                        Query(max_by(HOST, vector("topcon_scrape_duration_seconds")), "{{instance}} writing"),
                    ),
                    width=6,
                    height=6,
                ),
                Panel(
                    "Left out",
                    "Families left out of a page for want of time, and labels of containers whose names clash.",
                    "short",
                    (
                        Query(max_by(HOST, vector("topcon_scrape_families_omitted")), "{{instance}} families"),
                        Query(max_by(HOST, vector("topcon_label_collisions")), "{{instance}} labels"),
                    ),
                    width=6,
                    height=6,
                ),
            ),
        ),
    ),
)

# Pods

POD_DASHBOARD = Dashboard(
    "pod",
    "topcon / Pods",
    "Pods of Kubernetes, Podman, Compose and others, and their containers.",
    (
        *HOSTS,
        Variable("namespace", "Namespace", "topcon_pod_info", "namespace", ".*", (*ON_HOSTS, OF_POD[0])),
        Variable("pod", "Pod", "topcon_pod_info", "pod", ".+", (*ON_HOSTS, *OF_POD[:2])),
    ),
    (
        Section(
            "Now",
            (
                findings_table(*IN_POD, height=6),
                Panel(
                    "Pods",
                    "All chosen pods with what they use.",
                    "short",
                    (
                        Query(of_pods(rate("container_cpu_usage_seconds_total"), *IN_POD)),
                        Query(of_pods(vector("container_memory_working_set_bytes"), *IN_POD)),
                        Query(max_by(f"{POD}, kind, qos, workload", vector("topcon_pod_info", *OF_POD))),
                    ),
                    Kind.TABLE,
                    12,
                    columns=(
                        POD_COLUMNS[1],
                        POD_COLUMNS[0],
                        Column("kind", "Kind"),
                        Column("qos", "QoS"),
                        Column("workload", "Workload"),
                        Column("Value #A", "CPUs"),
                        Column("Value #B", "Memory", "bytes"),
                        HOST_COLUMN,
                    ),
                    sorts_by="CPUs",
                ),
                Panel(
                    "Containers",
                    "The containers of the pods: a row for each, stopped ones too.",
                    "short",
                    (
                        Query(
                            max_by(f"{CONTAINER}, state", f"{vector('topcon_container_state', *IN_POD)} == 1"),
                        ),
                        Query(max_by(CONTAINER, vector("topcon_container_restarts_total", *IN_POD))),
                        Query(of_containers(rate("container_cpu_usage_seconds_total"), *IN_POD)),
                        Query(of_containers(vector("container_memory_working_set_bytes"), *IN_POD)),
                        Query(share_of_limit(*IN_POD)),
                    ),
                    Kind.TABLE,
                    12,
                    columns=(
                        CONTAINER_COLUMNS[0],
                        Column("state", "State", texts=STATES),
                        Column("Value #B", "Restarts"),
                        Column("Value #C", "CPUs"),
                        Column("Value #D", "Memory", "bytes"),
                        Column("Value #E", "Of its limit", "percentunit"),
                        *CONTAINER_COLUMNS[1:],
                    ),
                    sorts_by="Restarts",
                ),
            ),
        ),
        Section(
            "What they use",
            (
                Panel(
                    "CPU",
                    "CPUs used.",
                    "short",
                    (Query(of_pods(rate("container_cpu_usage_seconds_total"), *IN_POD), LEGEND_POD),),
                    leads_to="pod",
                ),
                Panel(
                    "Memory",
                    "Working sets of their containers.",
                    "bytes",
                    (Query(of_pods(vector("container_memory_working_set_bytes"), *IN_POD), LEGEND_POD),),
                    leads_to="pod",
                ),
                Panel(
                    "Disk I/O",
                    "Bytes read from and written to block devices.",
                    "Bps",
                    (
                        Query(of_pods(rate("container_fs_reads_bytes_total"), *IN_POD), f"{LEGEND_POD} read"),
                        Query(of_pods(rate("container_fs_writes_bytes_total"), *IN_POD), f"{LEGEND_POD} written"),
                    ),
                    leads_to="pod",
                ),
                Panel(
                    "CPU by container",
                    "CPUs used.",
                    "short",
                    (Query(of_containers(rate("container_cpu_usage_seconds_total"), *IN_POD), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Memory by container",
                    "Working sets.",
                    "bytes",
                    (Query(of_containers(vector("container_memory_working_set_bytes"), *IN_POD), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
                Panel(
                    "Throttled",
                    "The share of periods in which the CPU limit held a container back.",
                    "percentunit",
                    (Query(throttled_share(*IN_POD), LEGEND_CONTAINER),),
                    leads_to="container",
                ),
            ),
        ),
        Section(
            "Network",
            (
                Panel(
                    "Received and sent",
                    "Bytes through the interfaces of the pods. Those on the host's network have none of their own.",
                    "Bps",
                    (
                        Query(
                            of_pods(rate("container_network_receive_bytes_total"), *IN_POD), f"{LEGEND_POD} received"
                        ),
                        Query(of_pods(rate("container_network_transmit_bytes_total"), *IN_POD), f"{LEGEND_POD} sent"),
                    ),
                    leads_to="pod",
                ),
                Panel(
                    "Packets lost",
                    "Packets that were dropped, in both directions.",
                    "pps",
                    (
                        Query(
                            f"{of_pods(rate('container_network_receive_packets_dropped_total'), *IN_POD)}"
                            f" + {of_pods(rate('container_network_transmit_packets_dropped_total'), *IN_POD)}",
                            LEGEND_POD,
                        ),
                    ),
                    leads_to="pod",
                ),
                Panel(
                    "TCP sent again",
                    "The share of TCP segments that had to be sent again: a lossy or crowded network.",
                    "percentunit",
                    (Query(sent_again(*OF_POD), LEGEND_POD),),
                    leads_to="pod",
                ),
                Panel(
                    "Connections turned away",
                    "Connections that a full listen queue turned away: the program accepts too slowly.",
                    "cps",
                    (
                        Query(
                            sum_by(POD, rate("topcon_pod_tcp_listen_overflows_total", *OF_POD)),
                            LEGEND_POD,
                        ),
                    ),
                    leads_to="pod",
                ),
                Panel(
                    "TCP sockets",
                    "Sockets by state.",
                    "short",
                    (
                        Query(
                            max_by(f"{POD}, state", vector("topcon_pod_tcp_sockets", *OF_POD)),
                            "{{state}} {{pod}} {{namespace}} {{instance}}",
                        ),
                    ),
                    width=16,
                    leads_to="pod",
                ),
            ),
        ),
        Section(
            "Life",
            (
                restarts(*IN_POD),
                oom_kills(*IN_POD),
                Panel(
                    "Containers by state",
                    "All containers of the chosen pods, stopped ones too.",
                    "short",
                    (Query(sum_by("state", vector("topcon_container_state", *IN_POD)), "{{state}}"),),
                    is_stacked=True,
                    colors=STATE_COLORS,
                ),
            ),
        ),
    ),
)

# Containers


def _own(title: str, description: str, unit: str, *queries: tuple[str, str]) -> Panel:
    """A panel of the chosen containers: expressions, and what each is called beside the container."""
    return Panel(
        title, description, unit, tuple(Query(expr, f"{LEGEND_CONTAINER} {what}".strip()) for expr, what in queries)
    )


def _row(family: str) -> str:
    return of_containers(vector(family), *IN_CONTAINER)


def _row_rate(family: str, *matchers: str) -> str:
    return of_containers(rate(family, *matchers), *IN_CONTAINER)


def _ours(family: str) -> str:
    return max_by(CONTAINER, vector(family, *IN_CONTAINER))


def _our_rate(family: str) -> str:
    return sum_by(CONTAINER, rate(family, *IN_CONTAINER))


def _our_increase(family: str) -> str:
    return sum_by(CONTAINER, increase(family, *IN_CONTAINER))


MEMORY_LIMIT = of_containers(f"({vector('container_spec_memory_limit_bytes')} > 0)", *IN_CONTAINER)
CPU_LIMIT = f"{_row('container_spec_cpu_quota')} / {_row('container_spec_cpu_period')}"

CONTAINER_DASHBOARD = Dashboard(
    "container",
    "topcon / Containers",
    "Containers, with what holds them back.",
    (
        *HOSTS,
        NAMESPACE,
        POD_OF_CONTAINER,
        Variable("container", "Container", "topcon_container_info", "name", ".+", (*ON_HOSTS, *IN_POD)),
    ),
    (
        Section(
            "Now",
            (
                findings_table(*IN_CONTAINER, height=6),
                Panel(
                    "State",
                    "A row for each container. How it ended stays for ten minutes after it was removed.",
                    "short",
                    (
                        Query(
                            max_by(
                                f"{CONTAINER}, runtime, state",
                                f"{vector('topcon_container_state', *IN_CONTAINER)} == 1",
                            )
                        ),
                        Query(_ours("topcon_container_restarts_total")),
                        Query(_ours("topcon_container_exit_code")),
                        Query(f"1000 * {_ours('topcon_container_finished_timestamp_seconds')}"),
                        Query(_ours("topcon_container_oom_killed")),
                        Query(_ours("topcon_container_healthy")),
                        Query(_ours("topcon_container_frozen")),
                        Query(f"1000 * {_row('container_start_time_seconds')}"),
                    ),
                    Kind.TABLE,
                    WIDTH,
                    6,
                    columns=(
                        CONTAINER_COLUMNS[0],
                        Column("state", "State", texts=STATES),
                        Column("Value #B", "Restarts"),
                        Column("Value #C", "Exit code", "none"),
                        Column("Value #D", "Ended", "dateTimeFromNow"),
                        Column("Value #E", "OOM-killed", texts=YES_IS_BAD),
                        Column("Value #F", "Healthy", texts=YES_IS_GOOD),
                        Column("Value #G", "Frozen", texts=YES_IS_BAD),
                        Column("Value #H", "Started", "dateTimeFromNow"),
                        Column("runtime", "Runtime"),
                        *CONTAINER_COLUMNS[1:],
                    ),
                    sorts_by="Restarts",
                ),
            ),
        ),
        Section(
            "CPU",
            (
                _own(
                    "CPUs used",
                    "CPUs used, and how many the limit allows.",
                    "short",
                    (_row_rate("container_cpu_usage_seconds_total"), "used"),
                    (CPU_LIMIT, "limit"),
                ),
                _own(
                    "Throttled periods",
                    "The share of the periods in which it wanted to run and its limit held it back.",
                    "percentunit",
                    (throttled_share(*IN_CONTAINER), ""),
                ),
                _own(
                    "Throttled time",
                    "For how long it was held back on all CPUs, a second: by its own limit, and by any, which may be"
                    " one of its pod or slice.",
                    "s",
                    (_our_rate("topcon_container_throttled_local_seconds_total"), "any limit"),
                    (_row_rate("container_cpu_cfs_throttled_seconds_total"), "own limit"),
                ),
                _own(
                    "Waiting for a CPU",
                    "For how long its threads were ready and did not run, a second, all together: 1 is one thread that"
                    " waits all the time.",
                    "s",
                    (_our_rate("topcon_container_run_delay_seconds_total"), ""),
                ),
                _own(
                    "Threads that want to run",
                    "Threads that run or are ready to, smoothed over ten seconds.",
                    "short",
                    (_ours("topcon_container_runnable_threads"), ""),
                ),
                _own(
                    "CPU pressure",
                    "The share of time in which some, or all, of its tasks waited for a CPU, or for interrupts.",
                    "percentunit",
                    (_row_rate("container_pressure_cpu_stalled_seconds_total"), "all"),
                    (_row_rate("container_pressure_cpu_waiting_seconds_total"), "some"),
                    (_our_rate("topcon_container_pressure_irq_stalled_seconds_total"), "interrupts"),
                ),
            ),
        ),
        Section(
            "Memory",
            (
                _own(
                    "Memory",
                    "By kind, against the limit. The page cache is given back under pressure.",
                    "bytes",
                    (MEMORY_LIMIT, "limit"),
                    (_row("container_memory_working_set_bytes"), "working set"),
                    (_row("container_memory_rss"), "anonymous"),
                    (_row("container_memory_cache"), "page cache"),
                    (_row("container_memory_swap"), "swap"),
                ),
                _own(
                    "Cannot be given back",
                    "Memory that the kernel cannot reclaim without swap, against the limit: where they meet, it kills.",
                    "bytes",
                    (MEMORY_LIMIT, "limit"),
                    (_ours("topcon_container_memory_unreclaimable_bytes"), ""),
                ),
                _own(
                    "Limits hit",
                    "How often it ran into its limits of memory and swap.",
                    "short",
                    (_our_increase("topcon_container_memory_limit_hits_total"), "memory"),
                    (_our_increase("topcon_container_swap_limit_hits_total"), "swap"),
                ),
                oom_kills(*IN_CONTAINER),
                _own(
                    "Page faults and refaults",
                    "Pages read from a disk, and pages that had been dropped a moment ago: a limit that is too tight"
                    " for the page cache.",
                    "short",
                    (
                        _row_rate("container_memory_failures_total", 'failure_type="pgmajfault"', 'scope="container"'),
                        "major faults",
                    ),
                    (_row_rate("container_memory_workingset_refault_file_total"), "refaults of files"),
                    (_row_rate("container_memory_workingset_refault_anon_total"), "refaults from swap"),
                ),
                _own(
                    "Memory pressure",
                    "The share of time in which some, or all, of its tasks waited for memory.",
                    "percentunit",
                    (_row_rate("container_pressure_memory_stalled_seconds_total"), "all"),
                    (_row_rate("container_pressure_memory_waiting_seconds_total"), "some"),
                ),
            ),
        ),
        Section(
            "Disks",
            (
                _own(
                    "Bytes",
                    "Bytes read from and written to block devices. The page cache needs none.",
                    "Bps",
                    (_row_rate("container_fs_reads_bytes_total"), "read"),
                    (_row_rate("container_fs_writes_bytes_total"), "written"),
                ),
                _own(
                    "Operations",
                    "Reads from and writes to block devices.",
                    "iops",
                    (_row_rate("container_fs_reads_total"), "reads"),
                    (_row_rate("container_fs_writes_total"), "writes"),
                ),
                _own(
                    "I/O pressure",
                    "The share of time in which some, or all, of its tasks waited for a block device.",
                    "percentunit",
                    (_row_rate("container_pressure_io_stalled_seconds_total"), "all"),
                    (_row_rate("container_pressure_io_waiting_seconds_total"), "some"),
                ),
                _own(
                    "Writable layer",
                    "What it wrote into its own layer, and not into a volume.",
                    "bytes",
                    (_row("container_fs_usage_bytes"), ""),
                ),
            ),
        ),
        Section(
            "Network, of the namespace that the container lives in",
            (
                _own(
                    "Received and sent",
                    "Bytes through its interfaces. Containers of a pod share them, and show the same.",
                    "Bps",
                    (of_network("container_network_receive_bytes_total", *IN_CONTAINER), "received"),
                    (of_network("container_network_transmit_bytes_total", *IN_CONTAINER), "sent"),
                ),
                _own(
                    "Packets",
                    "Packets received and sent.",
                    "pps",
                    (of_network("container_network_receive_packets_total", *IN_CONTAINER), "received"),
                    (of_network("container_network_transmit_packets_total", *IN_CONTAINER), "sent"),
                ),
                _own(
                    "Packets lost",
                    "Packets that were dropped.",
                    "pps",
                    (of_network("container_network_receive_packets_dropped_total", *IN_CONTAINER), "receiving"),
                    (of_network("container_network_transmit_packets_dropped_total", *IN_CONTAINER), "sending"),
                ),
                Panel(
                    "TCP sent again",
                    "The share of TCP segments that had to be sent again, of containers in no pod: pods have a page.",
                    "percentunit",
                    (Query(sent_again(*OF_SINGLE), LEGEND_POD),),
                ),
                Panel(
                    "Connections turned away",
                    "Connections that a full listen queue turned away, of containers in no pod: pods have a page.",
                    "cps",
                    (Query(sum_by(POD, rate("topcon_pod_tcp_listen_overflows_total", *OF_SINGLE)), LEGEND_POD),),
                ),
            ),
        ),
        Section(
            "Processes",
            (
                _own(
                    "Processes and threads",
                    "All tasks against their limit. Zombies have ended, and nobody asked how.",
                    "short",
                    (_ours("topcon_container_pids_limit"), "limit"),
                    (_row("container_threads"), "threads"),
                    (_row("container_processes"), "processes"),
                    (_ours("topcon_container_zombies"), "zombies"),
                    (_our_increase("topcon_container_pids_limit_hits_total"), "limit hit"),
                ),
                _own(
                    "Threads by state",
                    "Uninterruptible ones wait for a device or for the kernel.",
                    "short",
                    (
                        max_by(f"{CONTAINER}, state", vector("topcon_container_threads", *IN_CONTAINER)),
                        "{{state}}",
                    ),
                ),
                _own(
                    "Open files",
                    "Open files of all its processes, and how many each process may open.",
                    "short",
                    (_ours("topcon_container_open_files"), "open"),
                    (_ours("topcon_container_open_files_limit"), "limit of a process"),
                ),
                Panel(
                    "Namespaces shared with the host",
                    "What is not isolated.",
                    "short",
                    (
                        Query(
                            max_by(
                                f"{CONTAINER}, type",
                                vector("topcon_container_namespace_info", 'host="true"', *IN_CONTAINER),
                            )
                        ),
                    ),
                    Kind.TABLE,
                    12,
                    columns=(Column("type", "Namespace shared"), *CONTAINER_COLUMNS),
                    nothing="None",
                ),
                restarts(*IN_CONTAINER),
            ),
        ),
    ),
)

# Findings

SOURCE = f"{HOST}, source"
ENDED = max_by(CONTAINER, vector("topcon_container_finished_timestamp_seconds", *IN_POD))

FINDINGS_DASHBOARD = Dashboard(
    "findings",
    "topcon / Findings",
    "What is wrong, what has just happened, and what topcon cannot see.",
    (*HOSTS, NAMESPACE, POD_OF_CONTAINER),
    (
        Section(
            "Now",
            (
                findings_table(*IN_POD, height=12),
                Panel(
                    "Findings by code",
                    "How many containers of the chosen hosts have each finding now.",
                    "short",
                    (
                        Query(
                            worst_first(f"{sum_by('code, severity', vector('topcon_findings'))} > 0"),
                            "{{code}} {{severity}}",
                        ),
                    ),
                    Kind.BARS,
                    colors=SEVERITY_COLORS,
                    nothing="Nothing is wrong",
                ),
                Panel(
                    "Findings by severity over time",
                    "Of the chosen hosts.",
                    "short",
                    (Query(sum_by("severity", vector("topcon_findings")), "{{severity}}"),),
                    is_stacked=True,
                    colors=SEVERITY_COLORS,
                ),
                Panel(
                    "Findings by code over time",
                    "Of the chosen hosts.",
                    "short",
                    (Query(f"{sum_by('code', vector('topcon_findings'))} > 0", "{{code}}"),),
                    is_stacked=True,
                    nothing="Nothing was wrong",
                ),
            ),
        ),
        Section(
            "What has happened",
            (
                restarts(*IN_POD),
                oom_kills(*IN_POD),
                Panel(
                    "Ways into a limit",
                    "How often containers ran into their limits of memory and of tasks.",
                    "short",
                    tuple(
                        Query(
                            f"{sum_by(CONTAINER, increase(f'topcon_container_{kind}_limit_hits_total', *IN_POD))} > 0",
                            f"{LEGEND_CONTAINER} {what}",
                        )
                        for kind, what in (("memory", "memory"), ("pids", "tasks"))
                    ),
                    leads_to="container",
                    nothing="None",
                ),
                Panel(
                    "Exits",
                    "Containers that have ended, the last one first.",
                    "short",
                    (
                        Query(f"1000 * {ENDED}"),
                        Query(f"{max_by(CONTAINER, vector('topcon_container_exit_code', *IN_POD))} and {ENDED}"),
                        Query(f"{max_by(CONTAINER, vector('topcon_container_oom_killed', *IN_POD))} and {ENDED}"),
                        Query(f"{max_by(CONTAINER, vector('topcon_container_restarts_total', *IN_POD))} and {ENDED}"),
                    ),
                    Kind.TABLE,
                    WIDTH,
                    columns=(
                        Column("Value #A", "Ended", "dateTimeFromNow"),
                        Column("Value #B", "Exit code", "none"),
                        Column("Value #C", "OOM-killed", texts=YES_IS_BAD),
                        Column("Value #D", "Restarts"),
                        *CONTAINER_COLUMNS,
                    ),
                    nothing="None",
                ),
            ),
        ),
        Section(
            "What topcon cannot see",
            (
                Panel(
                    "Sources",
                    "What topcon reads. What a source that is down knows is missing, and not zero.",
                    "short",
                    (
                        Query(f"1 - {max_by(SOURCE, vector('topcon_source_up'))}"),
                        Query(f"time() - {max_by(SOURCE, vector('topcon_source_last_success_timestamp_seconds'))}"),
                        Query(sum_by(SOURCE, increase("topcon_source_errors_total"))),
                        Query(max_by(SOURCE, vector("topcon_source_scrape_duration_seconds"))),
                    ),
                    Kind.TABLE,
                    WIDTH,
                    columns=(
                        Column("Value #A", "Down", texts=YES_IS_BAD),
                        Column("source", "Source"),
                        Column("Value #B", "Last answer before", "s"),
                        Column("Value #C", "Errors"),
                        Column("Value #D", "Duration", "s"),
                        HOST_COLUMN,
                    ),
                ),
                Panel(
                    "Sources down",
                    "Sources that could not be read.",
                    "short",
                    (Query(f"1 - {max_by(SOURCE, vector('topcon_source_up'))} > 0", "{{source}} {{instance}}"),),
                    nothing="None",
                ),
                Panel(
                    "Errors of sources",
                    "What could not be read, or made no sense.",
                    "short",
                    (Query(sum_by(SOURCE, increase("topcon_source_errors_total")), "{{source}} {{instance}}"),),
                ),
                Panel(
                    "Duration of sources",
                    "How long each takes to be read. Runtimes are asked beside the others.",
                    "s",
                    (
                        Query(
                            max_by(SOURCE, vector("topcon_source_scrape_duration_seconds")),
                            "{{source}} {{instance}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

DASHBOARDS = MappingProxyType(
    {
        dashboard.name: dashboard
        for dashboard in (HOST_DASHBOARD, POD_DASHBOARD, CONTAINER_DASHBOARD, FINDINGS_DASHBOARD)
    }
)
"""By name, as they lead into each other."""
