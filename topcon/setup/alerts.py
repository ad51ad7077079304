"""Alert rules for Prometheus, over topcon's families and cAdvisor's: a table.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
Rules of ``container_*`` ask for a name: slices, services and the cgroups of pods have none, so nothing alerts twice.
Families are joined by ``id``, the cgroup's path; a container that has stopped has none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

CRITICAL, WARNING = "critical", "warning"

_HEAD = """\
# Alert rules over what topcon serves, under Docker's labels as under kubelet's.
# Check them with: promtool check rules topcon.rules.yml
groups:
  - name: topcon
    rules:
"""

_PLACE = "{{ with $labels.instance }} on {{ . }}{{ end }}"
_CONTAINER = (
    "{{ with $labels.namespace }}{{ . }}/{{ end }}{{ with $labels.pod }}{{ . }}/{{ end }}"
    "{{ or $labels.container $labels.name }}" + _PLACE
)
_POD = "{{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.pod }}" + _PLACE
_DEVICE = "{{ $labels.device }}" + _PLACE
_SHARE = "{{ $value | humanizePercentage }}"
_COUNT = '{{ $value | printf "%.0f" }}'

_THROTTLED = """\
rate(container_cpu_cfs_throttled_periods_total{name!=""}[5m])
  / rate(container_cpu_cfs_periods_total{name!=""}[5m]) > 0.25
  and rate(container_cpu_cfs_periods_total{name!=""}[5m]) > 1"""
"""Periods are counted only while it wants to run: of a few, a large share says nothing."""

_NOT_THROTTLED = f"""\
  unless on (job, instance, id) (
    {_THROTTLED.replace(chr(10), chr(10) + "    ")}
  )"""
"""Who is held back by a limit waits for a CPU too; one alert says so."""

_MEMORY_LIMIT = '(container_spec_memory_limit_bytes{name!=""} > 0)'
"""Without a limit the family is 0."""

_DISK = 'id="/", device!~"/dev/(loop|ram|sr|zram).*"'
"""Images mounted from a file or a disc are always full."""

FINDINGS_WITH_RULES = (
    *("cpu-starved", "cpu-throttled", "io-stalled", "memory-near-limit", "memory-stalled"),
    *("oom-killed", "restart-loop", "unhealthy"),
)
"""Codes of findings that have a rule of their own here."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule. The texts are templates of Prometheus."""

    name: str
    severity: str
    expr: str
    lasts: str
    """For how long it must hold."""
    summary: str
    description: str
    """What was measured."""
    advice: str
    """What to do."""


ALERTS: tuple[Alert, ...] = (
    Alert(
        "ContainerCpuThrottled",
        WARNING,
        _THROTTLED,
        "15m",
        f"{_CONTAINER} is throttled by its CPU limit",
        f"It was held back in {_SHARE} of the periods in which it wanted to run.",
        "Raise its CPU limit, or give it less to do. "
        "Short peaks above the limit throttle too, however little it uses on average.",
    ),
    Alert(
        "ContainerCpuStalled",
        WARNING,
        f"""\
rate(container_pressure_cpu_stalled_seconds_total{{name!=""}}[5m]) > 0.2
{_NOT_THROTTLED}""",
        "15m",
        f"{_CONTAINER} stands still for want of a CPU",
        f"All its tasks at once waited for a CPU {_SHARE} of the time, and its own limit does not explain it.",
        "Free CPUs of the host, raise its weight (CPU shares or request), or look for a limit on what it is in.",
    ),
    Alert(
        "ContainerWaitsForCpu",
        WARNING,
        f"""\
rate(topcon_container_run_delay_seconds_total[5m])
  / (rate(topcon_container_run_seconds_total[5m]) + rate(topcon_container_run_delay_seconds_total[5m])) > 0.5
  and rate(topcon_container_run_delay_seconds_total[5m]) > 0.5
{_NOT_THROTTLED}""",
        "15m",
        f"{_CONTAINER} waits for a CPU more than it runs",
        f"Its threads were ready to run and waited {_SHARE} of the time, and its own limit does not explain it.",
        "Find what else uses the CPUs of the host, raise its weight (CPU shares or request), or run fewer threads.",
    ),
    Alert(
        "ContainerMemoryNearLimit",
        WARNING,
        f"""\
container_memory_working_set_bytes{{name!=""}} / {_MEMORY_LIMIT} > 0.9
  unless on (job, instance, id)
    topcon_container_memory_unreclaimable_bytes{{id!=""}} / on (job, instance, id) {_MEMORY_LIMIT} < 0.7""",
        "15m",
        f"{_CONTAINER} is near its memory limit",
        f"Its working set is {_SHARE} of its limit, and little of it is cache.",
        "Raise its memory limit, or find what grows in it, before the kernel kills it.",
    ),
    Alert(
        "ContainerMemoryExhausted",
        CRITICAL,
        f"""\
topcon_container_memory_unreclaimable_bytes{{id!=""}}
  / on (job, instance, id) group_left () {_MEMORY_LIMIT} > 0.97""",
        "5m",
        f"{_CONTAINER} has used up its memory",
        f"What cannot be taken back from it is {_SHARE} of its limit: it swaps, or is about to be killed.",
        "Raise its memory limit now, or restart it at a time of your own choice.",
    ),
    Alert(
        "ContainerOomKilled",
        WARNING,
        """\
increase(topcon_oom_kills_total[10m]) > 0
  or (topcon_oom_kills_total unless topcon_oom_kills_total offset 10m) > 0""",
        "0m",
        f"A process of {_CONTAINER} was killed for memory",
        f"OOM kills in the last 10 minutes: {_COUNT}.",
        "Raise its memory limit, or find what grows in it. "
        "If it has no limit of its own, that of its pod or the memory of the host was used up.",
    ),
    Alert(
        "ContainerMemoryStalled",
        CRITICAL,
        'rate(container_pressure_memory_stalled_seconds_total{name!=""}[5m]) > 0.2',
        "5m",
        f"{_CONTAINER} stands still for want of memory",
        f"All its tasks at once waited for memory {_SHARE} of the time: it reads back what was just dropped.",
        "Raise its memory limit; without a limit, free memory of the host.",
    ),
    Alert(
        "ContainerIoStalled",
        WARNING,
        'rate(container_pressure_io_stalled_seconds_total{name!=""}[5m]) > 0.5',
        "30m",
        f"{_CONTAINER} stands still for want of a disk",
        f"All its tasks at once waited for a disk {_SHARE} of the time.",
        "Find who else uses the disk, and whether the disk is well. A backup may wait like this; a service should not.",
    ),
    Alert(
        "ContainerRestartLoop",
        CRITICAL,
        """\
increase(max by (job, instance, namespace, pod, name) (topcon_container_restarts_total)[15m:30s]) >= 3
  or 3 * max by (job, instance, namespace, pod, name) (topcon_finding{code="restart-loop"})""",
        "0m",
        f"{_CONTAINER} is started again and again",
        f"It was started {_COUNT} times or more in the last 15 minutes.",
        "Read the end of its log: something ends it soon after its start.",
    ),
    Alert(
        "ContainerUnhealthy",
        CRITICAL,
        """\
topcon_container_healthy == 0
  and on (job, instance, container_id) topcon_container_state{state="running"} == 1""",
        "5m",
        f"{_CONTAINER} is not healthy",
        "It runs, and its health check has not passed for 5 minutes or more.",
        "Run the check in it by hand, and read its log.",
    ),
    Alert(
        "ContainerFailed",
        WARNING,
        """\
topcon_container_exit_code != 0 != 130 != 137 != 143
  and on (job, instance, container_id) topcon_container_state{state=~"exited|dead"} == 1
  and on (job, instance, container_id) time() - topcon_container_finished_timestamp_seconds < 600""",
        "0m",
        f"{_CONTAINER} has ended with an error",
        f"Its exit code was {_COUNT}, in the last 10 minutes.",
        "Read the end of its log. 126 and 127 mean that its command cannot be run.",
    ),
    Alert(
        "ContainerPidsNearLimit",
        WARNING,
        'container_threads{name!=""} / (container_threads_max{name!=""} > 0) > 0.9',
        "5m",
        f"{_CONTAINER} is near its limit of pids",
        f"It has {_SHARE} of the tasks that it may have.",
        "Find what forks in it, or raise its limit of pids.",
    ),
    Alert(
        "ContainerPidsLimitHit",
        WARNING,
        "increase(topcon_container_pids_limit_hits_total[10m]) > 0",
        "0m",
        f"{_CONTAINER} cannot start processes or threads",
        f"It was refused by its limit of pids in the last 10 minutes: {_COUNT} times.",
        "Find what forks in it, or raise its limit of pids.",
    ),
    Alert(
        "ContainerFillsDisk",
        WARNING,
        f"""\
container_fs_usage_bytes{{name!=""}} / container_fs_limit_bytes{{name!=""}} > 0.1
  and on (job, instance, device)
    container_fs_usage_bytes{{{_DISK}}} / container_fs_limit_bytes{{{_DISK}}} > 0.8""",
        "15m",
        f"{_CONTAINER} fills {{{{ $labels.device }}}} with its writable layer",
        f"What it has written into its own layer takes {_SHARE} of a disk that is nearly full.",
        "Put what it writes into a volume or have it write less; to create it anew gives the space back.",
    ),
    Alert(
        "HostFileSystemNearlyFull",
        WARNING,
        f"container_fs_usage_bytes{{{_DISK}}} / container_fs_limit_bytes{{{_DISK}}} > 0.9",
        "15m",
        f"{_DEVICE} is nearly full",
        f"{_SHARE} of the file system is in use.",
        "Remove images and containers that nobody needs, or make it larger.",
    ),
    Alert(
        "HostFileSystemFull",
        CRITICAL,
        f"container_fs_usage_bytes{{{_DISK}}} / container_fs_limit_bytes{{{_DISK}}} > 0.97",
        "5m",
        f"{_DEVICE} is full",
        f"{_SHARE} of the file system is in use.",
        "Remove images and containers that nobody needs now: writing fails, or is about to.",
    ),
    Alert(
        "HostInodesNearlyUsedUp",
        WARNING,
        f"container_fs_inodes_free{{{_DISK}}} / container_fs_inodes_total{{{_DISK}}} < 0.05",
        "15m",
        f"{_DEVICE} has hardly an inode left",
        f"{_SHARE} of its inodes are free: soon no file can be created, however much space there is.",
        "Find who makes many small files, and remove them.",
    ),
    Alert(
        "PodTcpRetransmits",
        WARNING,
        """\
rate(topcon_pod_tcp_retransmitted_segments_total[5m]) / rate(topcon_pod_tcp_segments_sent_total[5m]) > 0.05
  and rate(topcon_pod_tcp_segments_sent_total[5m]) > 10""",
        "15m",
        f"{_POD} loses packets",
        f"{_SHARE} of the TCP segments that it sent were sent again.",
        "Look for drops on its interface and on the host's, for a wrong MTU, and at whom it talks to.",
    ),
    Alert(
        "PodTcpListenOverflows",
        WARNING,
        "rate(topcon_pod_tcp_listen_overflows_total[5m]) > 0",
        "10m",
        f"{_POD} does not accept its connections in time",
        "{{ $value | humanize }} connections a second were dropped, since the queue of a listening socket was full.",
        "Give it CPU or more workers; then a longer queue (its backlog, and net.core.somaxconn).",
    ),
    Alert(
        "TopconFinding",
        CRITICAL,
        f'topcon_finding{{severity="critical", code!~"{"|".join(FINDINGS_WITH_RULES)}"}} == 1',
        "2m",
        "{{ $labels.code }}{{ with $labels.name }}: {{ . }}{{ end }}" + _PLACE,
        "topcon has found {{ $labels.code }}{{ with $labels.runtime }} ({{ . }}){{ end }} for 2 minutes or more.",
        "topcon on that host says what was measured and what mends it.",
    ),
    Alert(
        "TopconSourceDown",
        WARNING,
        "topcon_source_up == 0 and topcon_source_last_success_timestamp_seconds > 0",
        "5m",
        f"topcon has lost its source {{{{ $labels.source }}}}{_PLACE}",
        "It has answered before, and does not any more. What only it tells is missing, or old.",
        "topcon doctor on that host tells why, and what mends it. If it is meant to be gone, start topcon anew.",
    ),
    Alert(
        "TopconDown",
        CRITICAL,
        """\
up{job="topcon"} == 0
  or on () absent(topcon_build_info)""",
        "5m",
        f"topcon does not answer{_PLACE}",
        "Prometheus cannot scrape it: nothing is known of the containers, and no other rule here can fire.",
        "systemctl status topcon on that host; then the address, the certificate and the password of the scrape.",
    ),
    Alert(
        "TopconStale",
        CRITICAL,
        "min_over_time(topcon_snapshot_age_seconds[5m]) > 30",
        "1m",
        f"topcon serves old numbers{_PLACE}",
        "For 5 minutes its newest sample was never younger than {{ $value | humanizeDuration }}.",
        "Look at the log of topcon and at what the host waits for: the sampler hangs, or starves.",
    ),
    Alert(
        "TopconScrapeIncomplete",
        WARNING,
        "min_over_time(topcon_scrape_families_omitted[5m]) > 0",
        "10m",
        f"topcon leaves families out{_PLACE}",
        f"{_COUNT} families did not fit into the time of a scrape.",
        "Raise scrape_timeout, or leave slices and services out with --containers-only.",
    ),
)
"""The worse of two rules over one value comes after the other."""


def rules() -> str:
    """Return the file of rules."""
    return _HEAD + "".join(_rule(alert) for alert in ALERTS)


def _rule(alert: Alert) -> str:
    expr = "".join(f"          {line}\n" for line in alert.expr.split("\n"))
    # JSON's strings are YAML's.
    return (
        f"      - alert: {alert.name}\n"
        f"        expr: |-\n{expr}"
        f"        for: {alert.lasts}\n"
        f"        labels:\n"
        f"          severity: {alert.severity}\n"
        f"        annotations:\n"
        f"          summary: {json.dumps(alert.summary)}\n"
        f"          description: {json.dumps(alert.description)}\n"
        f"          advice: {json.dumps(alert.advice)}\n"
    )
