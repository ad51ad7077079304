"""topcon's own process, as every exporter tells of its own, under a prefix: ``topcon_process_*``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from topcon.exporter.families import COUNTER, GAUGE, Family

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.exporter.page import Page, Row

_COLLECTOR = ProcessCollector(namespace="topcon", registry=CollectorRegistry())

_TYPES = {
    "topcon_process_cpu_seconds_total": (COUNTER, "CPU time used by topcon, seconds."),
    "topcon_process_resident_memory_bytes": (GAUGE, "Memory of topcon, bytes."),
    "topcon_process_virtual_memory_bytes": (GAUGE, "Its address space, bytes."),
    "topcon_process_start_time_seconds": (GAUGE, "When it was started, seconds since 1970."),
    "topcon_process_open_fds": (GAUGE, "Its open descriptors."),
    "topcon_process_max_fds": (GAUGE, "How many it may have open."),
}


def _all(page: Page) -> list[Row[dict[str, float]]]:
    del page
    return [("", {sample.name: sample.value for metric in _COLLECTOR.collect() for sample in metric.samples})]


def _value(name: str) -> Callable[[dict[str, float]], float | None]:
    return lambda values: values.get(name)


PROCESS = tuple(Family("topcon", kind, name, help_, _all, _value(name)) for name, (kind, help_) in _TYPES.items())
