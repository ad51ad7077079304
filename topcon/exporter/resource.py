"""What kubelet serves at ``/metrics/resource``, and the metrics-server reads: the same names with other labels.

https://kubernetes.io/docs/reference/instrumentation/metrics/
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from topcon.exporter.cadvisor import root_working_set
from topcon.exporter.families import COUNTER, GAUGE, Family, field, seconds, table
from topcon.exporter.page import container_name, failed, whole
from topcon.model.sample import ROOT, PodKind, Role
from topcon.text import printable

if TYPE_CHECKING:
    from topcon.exporter.labels import Pair
    from topcon.exporter.page import Page, Row
    from topcon.model.sample import CgroupSample
    from topcon.model.snapshot import ContainerNode, PodNode


def _containers(page: Page) -> list[Row[ContainerNode]]:
    """The containers of Kubernetes' pods, without sandboxes."""
    return [
        (page.labels(("container", printable(container_name(each))), *_names(pod)).text, each)
        for pod in page.snapshot.pods
        if pod.kind is PodKind.KUBERNETES
        for each in pod.containers
        if each.cgroup is not None and each.info.role is not Role.SANDBOX
    ]


def _pods(page: Page) -> list[Row[CgroupSample]]:
    return [
        (page.labels(*_names(pod)).text, pod.cgroup)
        for pod in page.snapshot.pods
        if pod.cgroup is not None and pod.kind is PodKind.KUBERNETES
    ]


def _names(pod: PodNode) -> tuple[Pair, Pair]:
    return ("namespace", printable(pod.namespace or "")), ("pod", printable(pod.name))


def _cgroups(page: Page) -> list[Row[CgroupSample]]:
    return [(labels, each.cgroup) for labels, each in page.rows(_containers) if each.cgroup is not None]


def _usage_s(cgroup: CgroupSample) -> float | None:
    return cgroup.cpu.usage_usec / 1e6 if cgroup.cpu else None


def _working_set(cgroup: CgroupSample) -> int | None:
    return cgroup.memory.working_set if cgroup.memory else None


def _swap(cgroup: CgroupSample) -> int | None:
    return cgroup.memory.swap_current if cgroup.memory else None


def _swap_limit(cgroup: CgroupSample) -> float | None:
    limit = cgroup.detail.memory_swap_max if cgroup.detail else None
    return None if limit == math.inf else limit


def _node_working_set(page: Page) -> int | None:
    root = page.snapshot.sample.cgroups.get(ROOT)
    return root_working_set(root.memory) if root and root.memory else None


_CPU, _MEMORY, _SWAP = "CPU time used, seconds.", "Working set, bytes.", "Swap used, bytes."

FAMILIES: tuple[Family, ...] = (
    *table(
        "cpu",
        _cgroups,
        (COUNTER, "container_cpu_usage_seconds_total", _CPU, _usage_s),
        (GAUGE, "container_memory_working_set_bytes", _MEMORY, _working_set),
        (GAUGE, "container_swap_usage_bytes", _SWAP, _swap),
        (GAUGE, "container_swap_limit_bytes", "Limit of swap, bytes.", _swap_limit),
    ),
    *table(
        "cpu",
        _containers,
        (GAUGE, "container_start_time_seconds", "When it was started, seconds since 1970.", seconds("started_ns", 1e9)),
    ),
    *table(
        "cpu",
        _pods,
        (COUNTER, "pod_cpu_usage_seconds_total", _CPU, _usage_s),
        (GAUGE, "pod_memory_working_set_bytes", _MEMORY, _working_set),
        (GAUGE, "pod_swap_usage_bytes", _SWAP, _swap),
    ),
    *table(
        "cpu",
        whole,
        (COUNTER, "node_cpu_usage_seconds_total", _CPU, field("snapshot.sample.host.cpu_busy_s")),
        (GAUGE, "node_memory_working_set_bytes", _MEMORY, _node_working_set),
        (GAUGE, "node_swap_usage_bytes", _SWAP, field("snapshot.sample.host.swap_used_bytes")),
        (GAUGE, "resource_scrape_error", "1 if the last reading of the cgroups failed.", failed("cgroup")),
    ),
)
