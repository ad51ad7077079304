"""The page that the metrics-server reads: names, types, labels and values as kubelet has them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pages import (
    APP,
    KUBERNETES,
    NOW,
    POD,
    ROOT,
    SIDE,
    START_S,
    by,
    by_one,
    full_sample,
    pod_box,
    series_of,
    types_of,
    web_box,
)
from samples import sample_of

from topcon.exporter import resource
from topcon.exporter.exposition import write
from topcon.exporter.labels import LabelCache
from topcon.exporter.options import ExportOptions
from topcon.exporter.page import Page
from topcon.model.derive import derive
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from topcon.model.sample import Sample

CONTAINER, POD_LABELS = ("container", "namespace", "pod"), ("namespace", "pod")
CONTAINERS = (("app", "prod", "shop-0"), ("side", "prod", "shop-0"))
THE_POD = (("prod", "shop-0"),)
KUBELETS: dict[str, tuple[str, tuple[str, ...], dict[tuple[str, ...], float]]] = {
    "container_cpu_usage_seconds_total": ("counter", CONTAINER, dict.fromkeys(CONTAINERS, 12.5)),
    "container_memory_working_set_bytes": ("gauge", CONTAINER, dict.fromkeys(CONTAINERS, 880)),
    "container_swap_usage_bytes": ("gauge", CONTAINER, dict.fromkeys(CONTAINERS, 64)),
    "container_swap_limit_bytes": ("gauge", CONTAINER, dict.fromkeys(CONTAINERS, 4096)),
    "container_start_time_seconds": ("gauge", CONTAINER, dict.fromkeys(CONTAINERS, START_S - 100)),
    "pod_cpu_usage_seconds_total": ("counter", POD_LABELS, dict.fromkeys(THE_POD, 12.5)),
    "pod_memory_working_set_bytes": ("gauge", POD_LABELS, dict.fromkeys(THE_POD, 880)),
    "pod_swap_usage_bytes": ("gauge", POD_LABELS, dict.fromkeys(THE_POD, 64)),
    "node_cpu_usage_seconds_total": ("counter", (), {(): 77.5}),
    "node_memory_working_set_bytes": ("gauge", (), {(): 780}),
    "node_swap_usage_bytes": ("gauge", (), {(): 1 << 20}),
    "resource_scrape_error": ("gauge", (), {(): 0}),
}


def page_of_resources(sample: Sample) -> str:
    page = Page(derive(None, sample), NOW, ExportOptions(), LabelCache())
    return b"".join(write(page, resource.FAMILIES)).decode()


@pytest.mark.parametrize("name", KUBELETS)
def test_a_family_is_kubelets(name: str) -> None:
    page = page_of_resources(full_sample())
    kind, labels, values = KUBELETS[name]
    found = series_of(page)[name]

    assert types_of(page)[name] == kind
    assert {frozenset(dict(each)) for each in found} == {frozenset(labels)}
    assert by(found, *labels) == values


def test_there_is_nothing_else() -> None:
    assert series_of(page_of_resources(full_sample())).keys() == KUBELETS.keys()


def test_what_is_not_of_kubernetes_is_not_told_of() -> None:
    names = series_of(page_of_resources(sample_of(web_box()))).keys()

    assert not {name for name in names if name.startswith(("container_", "pod_"))}


@pytest.mark.parametrize(
    ("sections", "missing"),
    [
        ({"cpu": None}, {"container_cpu_usage_seconds_total"}),
        ({"memory": None}, {"container_memory_working_set_bytes", "container_swap_usage_bytes"}),
        ({"detail": None}, {"container_swap_limit_bytes"}),
    ],
)
def test_what_has_no_source_has_no_sample(sections: dict[str, Any], missing: set[str]) -> None:
    sample = full_sample()
    cgroups = {
        path: cgroup._replace(**sections) if path in {APP, SIDE} else cgroup for path, cgroup in sample.cgroups.items()
    }
    found = series_of(page_of_resources(replace(sample, cgroups=cgroups)))

    assert KUBELETS.keys() - found.keys() == missing


def test_a_limit_that_is_none_is_not_told() -> None:
    sample = full_sample()
    app = sample.cgroups[APP]
    assert app.detail is not None
    unlimited = app._replace(detail=replace(app.detail, memory_swap_max=math.inf))
    found = series_of(page_of_resources(replace(sample, cgroups={**sample.cgroups, APP: unlimited})))

    assert by_one(found["container_swap_limit_bytes"], "container") == {"side": 4096}


def test_a_start_that_nobody_knows_is_not_told() -> None:
    boxes = [replace(pod_box("app", started_ns=None), process=None)]

    assert "container_start_time_seconds" not in series_of(page_of_resources(sample_of(*boxes)))


@pytest.mark.parametrize("cgroups", [{}, {ROOT: full_sample().cgroups[ROOT]._replace(memory=None)}])
def test_a_host_whose_root_tells_no_memory_has_no_working_set(cgroups: dict[Any, Any]) -> None:
    found = series_of(page_of_resources(replace(full_sample(), cgroups=cgroups)))

    assert "node_memory_working_set_bytes" not in found
    assert "node_cpu_usage_seconds_total" in found


def test_a_pod_without_a_cgroup_of_its_own_has_none_of_its_families() -> None:
    sample = full_sample()
    cgroups = {path: cgroup for path, cgroup in sample.cgroups.items() if path != POD}
    names = series_of(page_of_resources(replace(sample, cgroups=cgroups))).keys()

    assert not {name for name in names if name.startswith("pod_")}
    assert "container_cpu_usage_seconds_total" in names


def test_two_containers_of_a_pod_with_one_name_are_one_series() -> None:
    twins = [pod_box(name, labels={"io.kubernetes.container.name": "app"}) for name in ("app", "side")]
    found = series_of(page_of_resources(sample_of(KUBERNETES[0], *twins)))

    assert len(found["container_cpu_usage_seconds_total"]) == 1


@pytest.mark.parametrize(("source", "expected"), [("cgroup", 1), ("docker", 0)])
def test_cgroups_that_could_not_be_read_are_an_error(source: str, expected: float) -> None:
    found = series_of(page_of_resources(full_sample(problems=(Problem(source, "x"),))))

    assert found["resource_scrape_error"] == {frozenset(): expected}
