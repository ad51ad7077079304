"""What of the families is served, and under which labels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEFAULT_PORT = 9338
"""The number that Prometheus' registry gives to an alternative of cAdvisor."""

OPT_IN_GROUPS = frozenset({"sched", "memory_numa", "tcp", "udp", "advtcp", "hugetlb", "cpu_topology"})
"""Groups of families that are dear or seldom wanted, under cAdvisor's names for them."""

GROUPS = OPT_IN_GROUPS | {
    "cpu",
    "cpuLoad",
    "memory",
    "oom_event",
    "pressure",
    "diskIO",
    "disk",
    "network",
    "process",
    "spec",
    "machine",
    "topcon",
}
"""All that a scrape can ask for by ``collect[]``."""


class LabelMode(StrEnum):
    """Which labels tell the subjects of ``container_*`` apart."""

    DOCKER = "docker"
    """``id``, ``image``, ``name`` and some of the container's own labels, as cAdvisor by itself has it."""
    KUBELET = "kubelet"
    """``container``, ``id``, ``image``, ``name``, ``namespace``, ``pod``, as kubelet's cAdvisor has it."""
    AUTO = "auto"
    """Kubelet's where there is a pod of Kubernetes, else Docker's."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The choices of whoever serves."""

    labels: LabelMode = LabelMode.AUTO
    extra_labels: tuple[str, ...] = ()
    """Labels of containers that are served beside those that are allowed anyway."""
    groups: frozenset[str] = frozenset()
    """The opt-in groups that are served."""
    containers_only: bool = False
    """Whether slices and services are left out."""
    openmetrics: bool = False
    """Whether OpenMetrics is served to whoever prefers it."""
