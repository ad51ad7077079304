"""The page of metrics, read back by the library's own parser: names, types and labels are cAdvisor's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from samples import (
    COMPOSE,
    HOST_NETNS,
    HOSTILE_NAMES,
    SDA,
    SDB,
    Box,
    cgroup_of,
    container_id,
    docker_runtime,
    host_of,
    interface,
    kernel_only,
    netns_of,
    on_network,
    path_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    unhurried,
    unsafe,
)

from topcon import __version__
from topcon.exporter.exposition import CONTENT_TYPE, family_names, to_page
from topcon.exporter.page import ALLOWED_LABELS, Vitals
from topcon.model.sample import CgroupPath, IoStat, MachineIds, MemoryStat, Problem
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Metric

    from topcon.model.snapshot import Snapshot

ROOT = CgroupPath("/")
SERVICE = CgroupPath("/system.slice/cron.service")
START_S = START_WALL_NS // 10**9
NOW = Vitals(0, 0)

CADVISOR = {
    "container_cpu_usage_seconds_total": ("counter", {"cpu"}),
    "container_cpu_cfs_periods_total": ("counter", set()),
    "container_cpu_cfs_throttled_periods_total": ("counter", set()),
    "container_memory_working_set_bytes": ("gauge", set()),
    "container_memory_rss": ("gauge", set()),
    "container_memory_cache": ("gauge", set()),
    "container_memory_swap": ("gauge", set()),
    "container_network_receive_bytes_total": ("counter", {"interface"}),
    "container_network_receive_packets_total": ("counter", {"interface"}),
    "container_network_receive_packets_dropped_total": ("counter", {"interface"}),
    "container_network_transmit_bytes_total": ("counter", {"interface"}),
    "container_network_transmit_packets_total": ("counter", {"interface"}),
    "container_network_transmit_packets_dropped_total": ("counter", {"interface"}),
    "container_fs_reads_total": ("counter", {"device"}),
    "container_fs_writes_total": ("counter", {"device"}),
    "container_fs_reads_bytes_total": ("counter", {"device"}),
    "container_fs_writes_bytes_total": ("counter", {"device"}),
    "container_last_seen": ("gauge", set()),
    "container_start_time_seconds": ("gauge", set()),
}
"""Family to type and own labels, as dashboards made for cAdvisor ask for them."""


def families(snapshot: Snapshot, tick_s: float = 0.0, age_s: float = 0.0) -> dict[str, Metric]:
    """Return the page's families by the name they have in it."""
    page = to_page(snapshot, Vitals(tick_s, age_s)).decode()
    parsed = list(text_string_to_metric_families(page))
    names = [f"{family.name}_total" if family.type == "counter" else family.name for family in parsed]
    assert len(names) == len(set(names)), "a family comes once"
    return dict(zip(names, parsed, strict=True))


def values(snapshot: Snapshot, name: str, /, **labels: str) -> dict[str, float]:
    """Return a family's samples of certain labels: id to value."""
    if name not in (found := families(snapshot)):
        return {}
    chosen = [each for each in found[name].samples if labels.items() <= each.labels.items()]
    assert len(chosen) == len({each.labels["id"] for each in chosen})
    return {each.labels["id"]: each.value for each in chosen}


def value(snapshot: Snapshot, name: str, path: str = path_of("web"), /, **labels: str) -> float | None:
    """Return the one sample of a cgroup; None where there is none."""
    return values(snapshot, name, **labels).get(path)


def own(snapshot: Snapshot, name: str) -> dict[tuple[str, ...], float]:
    return {tuple(each.labels.values()): each.value for each in families(snapshot)[name].samples}


def root(**sections: Any) -> Box:
    return Box(cgroup=cgroup_of(ROOT, **sections))


def busy(**options: Any) -> Snapshot:
    """Return a host with a container of which everything is known."""
    counters = {
        "usage_usec": 1_500_000,
        "limit_cores": 0.5,
        "nr_periods": 10,
        "nr_throttled": 4,
        "current": 1000,
        "inactive_file": 300,
        "io": {SDA: (4096, 8192)},
    }
    return snapshot_after(
        sample_of(
            root(usage_usec=9_000_000),
            running("web", info={"image": "shop:1.4", "started_ns": START_WALL_NS - 10**9 - 1}, **counters),
            networks={netns_of("web"): {"eth0": interface(1000, 500)}, HOST_NETNS: {"ens3": interface(7, 8)}},
            host=host_of(devices={SDA: "sda"}),
            **options,
        )
    )


# Families.


def test_a_container_of_which_all_is_known_has_all_families_with_their_types_and_labels() -> None:
    found = families(busy())
    container = {"id": path_of("web"), "image": "shop:1.4", "name": "web"}

    for name, (kind, labels) in CADVISOR.items():
        assert found[name].type == kind, name
        (sample,) = [each for each in found[name].samples if each.labels["id"] == path_of("web")]
        assert sample.labels.items() >= container.items(), name
        assert set(sample.labels) == set(container) | labels, name
        assert (sample.name, sample.timestamp) == (name, None)


def test_every_family_on_a_page_is_announced_once_explained_and_known_by_name() -> None:
    found = families(busy())

    assert all(metric.documentation for metric in found.values())
    assert set(found) <= family_names()
    assert set(CADVISOR) <= set(found)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("container_cpu_usage_seconds_total", {"cpu": "total"}, 1.5),
        ("container_cpu_cfs_periods_total", {}, 10),
        ("container_cpu_cfs_throttled_periods_total", {}, 4),
        ("container_memory_working_set_bytes", {}, 700),
        ("container_memory_rss", {}, 700),
        ("container_memory_cache", {}, 300),
        ("container_memory_swap", {}, 0),
        ("container_network_receive_bytes_total", {"interface": "eth0"}, 1000),
        ("container_network_transmit_bytes_total", {"interface": "eth0"}, 500),
        ("container_fs_reads_bytes_total", {"device": "/dev/sda"}, 4096),
        ("container_fs_writes_bytes_total", {"device": "/dev/sda"}, 8192),
        ("container_last_seen", {}, START_S),
        ("container_start_time_seconds", {}, START_S - 2),
    ],
)
def test_values_are_the_kernels_in_the_unit_of_the_name(name: str, labels: dict[str, str], expected: float) -> None:
    assert value(busy(), name, **labels) == expected


def test_counters_are_as_large_as_they_are_and_not_rates() -> None:
    before = sample_of(running("web", usage_usec=2**53, io={SDA: (2**40, 0)}))
    snapshot = snapshot_after(before, replace(before, monotonic_ns=before.monotonic_ns + 10**9))

    assert value(snapshot, "container_cpu_usage_seconds_total") == 2**53 / 1e6
    assert value(snapshot, "container_fs_reads_bytes_total") == 2**40


def test_packets_and_drops_are_told_apart_by_direction() -> None:
    stat = replace(interface(1, 5), rx_packets=2, rx_errs=3, rx_drop=4, tx_packets=6, tx_errs=7, tx_drop=8)
    snapshot = snapshot_after(sample_of(running("web"), networks={netns_of("web"): {"eth0": stat}}))

    assert {name: value(snapshot, name) for name in CADVISOR if "network" in name} == {
        "container_network_receive_bytes_total": 1,
        "container_network_receive_packets_total": 2,
        "container_network_receive_packets_dropped_total": 4,
        "container_network_transmit_bytes_total": 5,
        "container_network_transmit_packets_total": 6,
        "container_network_transmit_packets_dropped_total": 8,
    }


def test_reads_are_told_from_writes() -> None:
    snapshot = snapshot_after(
        sample_of(running("web", io=None), cgroups={path_of("web"): with_io({SDA: (1, 2, 3, 4)})})
    )

    assert {name: value(snapshot, name) for name in CADVISOR if "_fs_" in name} == {
        "container_fs_reads_bytes_total": 1,
        "container_fs_writes_bytes_total": 2,
        "container_fs_reads_total": 3,
        "container_fs_writes_total": 4,
    }


def with_io(devices: Mapping[tuple[int, int], tuple[int, int, int, int]]) -> Any:
    counted = {device: IoStat(*counts) for device, counts in devices.items()}
    return replace(cgroup_of(path_of("web")), io=counted)


# What is unknown is left out.


@pytest.mark.parametrize(
    ("counters", "left_out"),
    [
        ({"cpu": None}, {"cpu"}),
        ({"cpu_max": None}, {"cfs"}),
        ({"limit_cores": None}, {"cfs"}),
        ({"usage_usec": 0}, {"cpu_usage"}),
        ({"memory": None}, {"memory"}),
        ({"memory": MemoryStat(1000, anon=1, file=2)}, {"working_set", "swap"}),
        ({"memory": MemoryStat(None, swap_current=3)}, {"working_set", "rss", "cache"}),
        ({"io": None}, {"_fs_"}),
        ({"io": {}}, {"_fs_"}),
    ],
)
def test_what_has_no_source_has_no_sample(counters: dict[str, Any], left_out: set[str]) -> None:
    given_counters = {"usage_usec": 1, "limit_cores": 0.5} | counters
    snapshot = snapshot_after(
        sample_of(running("web", **given_counters), networks={netns_of("web"): {"eth0": interface()}})
    )

    missing = {name for name in CADVISOR if value(snapshot, name) is None}
    assert missing == {name for name in CADVISOR if any(part in name for part in left_out)}


def test_a_family_without_a_sample_is_not_announced() -> None:
    page = to_page(snapshot_after(sample_of(running("web", cpu=None))), NOW).decode()

    assert "container_cpu_usage_seconds_total" not in page


def test_a_container_whose_start_nobody_knows_has_no_start_time() -> None:
    snapshot = snapshot_after(sample_of(replace(running("web"), process=None)))

    assert value(snapshot, "container_start_time_seconds") is None


def test_what_is_stopped_has_no_series() -> None:
    snapshot = snapshot_after(sample_of(root(usage_usec=1), stopped("done", labels={COMPOSE: "shop"})))

    for name, metric in families(snapshot).items():
        if name.startswith("container_") and name != "container_scrape_error":
            assert {sample.labels["id"] for sample in metric.samples} == {"/"}, name


# The host's row, and those of slices and services.


def test_the_host_has_a_row_of_its_own() -> None:
    boxes = [
        root(usage_usec=9_000_000, memory=MemoryStat(None, anon=500, file=300, inactive_file=100)),
        running("web"),
    ]
    host = host_of(swap_used_bytes=4096, uptime_s=1000.7)
    snapshot = snapshot_after(
        sample_of(*boxes, host=host, networks={HOST_NETNS: {"ens3": interface(7, 8)}, netns_of("web"): {}})
    )

    assert value(snapshot, "container_cpu_usage_seconds_total", "/", image="", name="") == 9
    assert value(snapshot, "container_memory_working_set_bytes", "/") == 700
    assert value(snapshot, "container_memory_swap", "/") == 4096
    assert value(snapshot, "container_network_receive_bytes_total", "/", interface="ens3") == 7
    assert value(snapshot, "container_start_time_seconds", "/") == math.floor(START_S - 1000.7)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (MemoryStat(None, anon=1, file=1, inactive_file=5), 0),
        (MemoryStat(None, anon=None, file=1, inactive_file=1), None),
        (MemoryStat(None, anon=1, file=1, inactive_file=None), None),
        (MemoryStat(100, anon=1, file=1, inactive_file=30), 70),
    ],
)
def test_the_working_set_of_the_host(memory: MemoryStat, expected: float | None) -> None:
    snapshot = snapshot_after(sample_of(root(memory=memory)))

    assert value(snapshot, "container_memory_working_set_bytes", "/") == expected


def test_a_service_is_a_row_without_a_name() -> None:
    service = Box(cgroup=cgroup_of(SERVICE, usage_usec=3_000_000))
    snapshot = snapshot_after(sample_of(running("web", info={"image": "shop"}), service))
    (sample,) = [
        each
        for each in families(snapshot)["container_cpu_usage_seconds_total"].samples
        if each.labels["id"] == str(SERVICE)
    ]

    assert (sample.labels["name"], sample.labels["image"], sample.value) == ("", "", 3)
    assert value(snapshot, "container_start_time_seconds", SERVICE) is None


# Networks and devices.


@pytest.mark.parametrize(
    ("interface_name", "is_served"),
    [
        ("eth0", True),
        ("wlan0", True),
        ("br-1a2b", True),
        ("lo", False),
        ("lo1", False),
        ("veth12ab", False),
        ("docker0", False),
        ("nerdctl0", False),
    ],
)
def test_interfaces_that_cadvisor_skips_are_skipped(interface_name: str, is_served: bool) -> None:
    snapshot = snapshot_after(sample_of(running("web"), networks={netns_of("web"): {interface_name: interface(1, 1)}}))

    assert (value(snapshot, "container_network_receive_bytes_total", interface=interface_name) == 1) is is_served


def test_a_network_that_containers_share_is_counted_once() -> None:
    boxes = [running(name, process=on_network(netns_of("web"))) for name in ("web", "side", "third")]
    snapshot = snapshot_after(sample_of(*boxes, networks={netns_of("web"): {"eth0": interface(7, 8)}}))

    assert list(values(snapshot, "container_network_receive_bytes_total").values()) == [7]


def test_who_lives_on_the_hosts_network_has_no_network_series() -> None:
    box = running("web", process=on_network(HOST_NETNS))
    snapshot = snapshot_after(sample_of(root(), box, networks={HOST_NETNS: {"ens3": interface(7, 8)}}))

    assert values(snapshot, "container_network_receive_bytes_total") == {"/": 7}


def test_devices_go_by_their_names_and_those_without_one_together() -> None:
    box = running("web", io={SDA: (1, 10), SDB: (2, 20), (7, 0): (4, 40)})
    snapshot = snapshot_after(sample_of(box, host=host_of(devices={SDA: "sda"})))

    assert value(snapshot, "container_fs_reads_bytes_total", device="/dev/sda") == 1
    assert value(snapshot, "container_fs_writes_bytes_total", device="") == 60


# Labels.


def labels_of(snapshot: Snapshot, name: str) -> dict[str, str]:
    """Return the labels of the row of a container."""
    samples = families(snapshot)["container_last_seen"].samples
    (labels,) = [each.labels for each in samples if each.labels["id"] == path_of(name)]
    return labels


def test_only_the_labels_that_dashboards_ask_for_are_served_and_only_where_used() -> None:
    labels = {COMPOSE: "shop", "com.docker.compose.service": "web", "secret": "swordfish", "maintainer": "me"}
    snapshot = snapshot_after(sample_of(running("web", info={"labels": labels}), running("db")))

    assert labels_of(snapshot, "web") == {
        "id": path_of("web"),
        "image": "",
        "name": "web",
        "container_label_com_docker_compose_project": "shop",
        "container_label_com_docker_compose_service": "web",
    }
    assert labels_of(snapshot, "db")["container_label_com_docker_compose_project"] == ""
    assert b"swordfish" not in to_page(snapshot, NOW)


def test_all_allowed_labels_have_names_of_their_own() -> None:
    labels = {name: f"value of {name}" for name in ALLOWED_LABELS}
    served = labels_of(snapshot_after(sample_of(running("web", info={"labels": labels}))), "web")

    assert set(labels.values()) <= set(served.values())
    assert "container_label_com_docker_compose_project_working_dir" in served
    assert "container_label_org_label_schema_group" in served


def test_all_samples_of_a_family_have_the_same_labels() -> None:
    service = Box(cgroup=cgroup_of(SERVICE))
    boxes = [running("web", info={"labels": {COMPOSE: "shop"}}), kernel_only(running("db")), service, root()]
    found = families(snapshot_after(sample_of(*boxes)))

    for name, metric in found.items():
        assert len({frozenset(sample.labels) for sample in metric.samples}) == 1, name


def is_safe(page: str) -> bool:
    return unsafe(page) <= {"\n"}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_name_stays_in_its_label(name: str) -> None:
    info = {"name": name, "image": name, "labels": {COMPOSE: name}}
    hostile = snapshot_after(
        sample_of(running("web", info=info), networks={netns_of("web"): {name or "eth0": interface(1, 1)}})
    )
    info = {"name": "plain", "image": "plain", "labels": {COMPOSE: "plain"}}
    plain = snapshot_after(sample_of(running("web", info=info), networks={netns_of("web"): {"eth0": interface(1, 1)}}))
    page = to_page(hostile, NOW).decode()

    assert is_safe(page)
    assert page.count("\n") == to_page(plain, NOW).decode().count("\n")
    labels = labels_of(hostile, "web")
    assert labels["name"] == labels["image"] == labels["container_label_com_docker_compose_project"]


@unhurried
@given(st.text(max_size=30))
@example("\u034f")
def test_any_name_can_be_read_back(name: str) -> None:
    labels = labels_of(snapshot_after(sample_of(running("web", info={"name": name}))), "web")

    assert (labels["id"], is_safe(labels["name"])) == (path_of("web"), True)
    assert labels["name"] == printable(name)


@pytest.mark.parametrize("name", ['quote"', "back\\slash", "\\n", 'a",name="b', "a{b=c} 1", "# HELP x"])
def test_a_name_of_the_formats_own_signs_is_given_back_as_it_is(name: str) -> None:
    assert labels_of(snapshot_after(sample_of(running("web", info={"name": name}))), "web")["name"] == name


@pytest.mark.parametrize(("one", "other"), [("a\x1b", "a\\x1b"), ("\udcff", "\\udcff")])
def test_two_cgroups_are_two_series_whatever_they_are_called(one: str, other: str) -> None:
    """A container can make cgroups with such names inside itself."""
    paths = [CgroupPath(f"{path_of('web')}/{name}/docker/{container_id('job')}") for name in (one, other)]
    snapshot = snapshot_after(sample_of(*(Box(cgroup=cgroup_of(path)) for path in paths)))
    ids = [sample.labels["id"] for sample in families(snapshot)["container_last_seen"].samples]

    assert len(set(ids)) == len(ids)


# The machine, and topcon itself.


def test_the_machine_is_told_by_its_ids() -> None:
    machine = MachineIds(machine_id="m", system_uuid="u", boot_id="b")
    snapshot = snapshot_after(sample_of(host=host_of(machine=machine, cpus=4)))
    metric = families(snapshot)["machine_cpu_cores"]

    assert (metric.type, metric.samples[0].value) == ("gauge", 4)
    assert metric.samples[0].labels == {"machine_id": "m", "system_uuid": "u", "boot_id": "b"}
    assert families(snapshot)["machine_memory_bytes"].samples[0].value == 8 << 30


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {("cgroup",): 1, ("processes",): 1, ("docker",): 1}),
        ({"runtimes": ()}, {("cgroup",): 1, ("processes",): 1}),
        ({"runtimes": (docker_runtime(up=False),)}, {("cgroup",): 1, ("processes",): 1, ("docker",): 0}),
        ({"problems": (Problem("cgroup", "x"),)}, {("cgroup",): 0, ("processes",): 1, ("docker",): 1}),
        ({"problems": (Problem("processes", "x"),)}, {("cgroup",): 1, ("processes",): 0, ("docker",): 1}),
        (
            {"runtimes": (docker_runtime(), replace(docker_runtime(up=False), socket="/run/user/docker.sock"))},
            {
                ("cgroup",): 1,
                ("processes",): 1,
                ("docker:/run/docker.sock",): 1,
                ("docker:/run/user/docker.sock",): 0,
            },
        ),
    ],
)
def test_sources_are_up_or_not(options: dict[str, Any], expected: dict[tuple[str, ...], float]) -> None:
    assert own(snapshot_after(sample_of(**options)), "topcon_source_up") == expected


def test_topcon_tells_of_itself() -> None:
    found = families(snapshot_after(sample_of()), tick_s=0.25, age_s=1.5)

    assert found["topcon_tick_duration_seconds"].samples[0].value == 0.25
    assert found["topcon_snapshot_age_seconds"].samples[0].value == 1.5
    assert found["topcon_build_info"].samples[0].labels["version"] == __version__


def test_the_page_is_text_of_the_version_that_all_scrapers_read() -> None:
    page = to_page(busy(), NOW)

    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
    assert page.endswith(b"\n")
    assert b"# EOF" not in page
    assert b"_created" not in page
