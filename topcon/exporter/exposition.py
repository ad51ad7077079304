"""The snapshot as a page of metrics (https://prometheus.io/docs/instrumenting/exposition_formats/), text 0.0.4."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from topcon import __version__
from topcon.exporter.families import (
    CONTAINER_FAMILIES,
    COUNTER,
    OWN_FAMILIES,
    Family,
    Self,
    label_names,
    subjects,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.snapshot import Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def to_page(snapshot: Snapshot, tick_s: float, age_s: float) -> bytes:
    """Write all families of a snapshot, without timestamps: those would outlive their containers."""
    registry = CollectorRegistry()
    registry.register(_Collector(snapshot, Self(__version__, platform.python_version(), tick_s, age_s)))
    return generate_latest(registry)


class _Collector:
    """Hands a snapshot to the library."""

    def __init__(self, snapshot: Snapshot, own: Self) -> None:
        self._snapshot = snapshot
        self._own = own

    def describe(self) -> list[Metric]:
        """Nothing beforehand, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        base = label_names(self._snapshot)
        of_all = list(subjects(self._snapshot))
        for family in CONTAINER_FAMILIES:
            metric = _metric(family, base)
            for subject in of_all:
                for labels, value in family.values(subject):
                    metric.add_metric([*subject.labels, *labels], value)
            if metric.samples:
                yield metric
        for own in OWN_FAMILIES:
            gauge = GaugeMetricFamily(own.name, own.help, labels=own.labels)
            for labels, value in own.values(self._snapshot, self._own):
                gauge.add_metric(labels, value)
            yield gauge


def _metric(family: Family, base: tuple[str, ...]) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if family.type == COUNTER else GaugeMetricFamily
    return make(family.name, family.help, labels=(*base, *family.labels))
