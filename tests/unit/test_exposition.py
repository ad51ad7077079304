"""The page of metrics, read back by the library's own parser: names, types and labels are cAdvisor's."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import example, given
from hypothesis import strategies as st
from pages import POD_NETNS, full_sample, full_snapshot, series_of, types_of
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
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
    unhurried_in_making,
    unsafe,
)

from topcon import __version__
from topcon.exporter import own as own_module
from topcon.exporter.exposition import (
    CONTENT_TYPE,
    METRICS,
    PAGES,
    Exposition,
    PageRequest,
    family_names,
    head,
    number,
    samples,
    to_page,
    write,
)
from topcon.exporter.families import COUNTER, GAUGE, Family, itself
from topcon.exporter.labels import LabelCache, Labels
from topcon.exporter.options import GROUPS, OPT_IN_GROUPS, ExportOptions
from topcon.exporter.page import ALLOWED_LABELS, Page, Vitals
from topcon.findings import assess
from topcon.model.derive import derive
from topcon.model.sample import (
    CgroupPath,
    IoStat,
    MachineIds,
    MemoryStat,
    PodInfo,
    PodKind,
    Problem,
    ProtocolStat,
    RuntimeSample,
    SourceSample,
    State,
    Survey,
)
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    stat = interface(1, 5)._replace(rx_packets=2, rx_errs=3, rx_drop=4, tx_packets=6, tx_errs=7, tx_drop=8)
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
    return cgroup_of(path_of("web"))._replace(io=counted)


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


# To the byte as the format's reference writes it.


NUMBERS = (
    st.floats()
    | st.integers(0, 2**63)
    | st.integers(-(2**63), 0)
    | st.sampled_from(
        [0.0, -0.0, 1e6, 999_999.9, 1e15, 1e16, 9_999_999_999_999_998.0, 5e-324, 1e-5, 1e22, -1e9, 123456.75, 2**63]
    )
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABEL_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in {"le", "quantile"})
ROWS = st.lists(st.tuples(st.lists(TEXTS, min_size=3, max_size=3), NUMBERS), min_size=1, max_size=4)


def as_the_library_writes(kind: str, name: str, help_: str, names: list[str], rows: Any) -> bytes:
    base = name.removesuffix("_total")
    family = (
        CounterMetricFamily(base, help_, labels=names)
        if kind == COUNTER
        else GaugeMetricFamily(name, help_, labels=names)
    )
    for labels, value in rows:
        family.add_metric(labels, value)
    return generate_latest(SimpleNamespace(collect=lambda: [family]))  # type: ignore[arg-type] # it is only collected


@given(
    st.sampled_from([COUNTER, GAUGE]),
    st.from_regex(r"[a-z][a-z0-9_]{0,8}[a-z]", fullmatch=True),
    TEXTS,
    st.lists(LABEL_NAMES, unique=True, max_size=3),
    ROWS,
)
def test_a_family_is_written_as_the_library_writes_it(
    kind: str, stem: str, help_: str, names: list[str], rows: list[tuple[list[str], float]]
) -> None:
    name = f"a_{stem}_total" if kind == COUNTER else f"a_{stem}_x"
    family = Family("g", kind, name, help_, lambda page: [], itself)  # noqa: ARG005  the rows are given
    rows = [(labels[: len(names)], value) for labels, value in rows]
    lines = samples(family, [(Labels(zip(names, labels, strict=True)).text, value) for labels, value in rows])

    assert (head(family) + "".join(lines)).encode() == as_the_library_writes(kind, name, help_, names, rows)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.0"),
        (-0.0, "-0.0"),
        (999_999.5, "999999.5"),
        (1_000_000, "1e+06"),
        (68_719_476_736, "6.8719476736e+10"),
        (1e15, "1e+15"),
        (1e16, "1e+16"),
        (2**63, "9.223372036854776e+18"),
        (5e-324, "5e-324"),
        (-68_719_476_736, "-68719476736.0"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers(value: float, expected: str) -> None:
    assert number(value) == expected


@given(NUMBERS)
def test_a_number_reads_back_as_the_same(value: float) -> None:
    read = float(number(value))

    assert read == float(value) or math.isnan(value)
    assert math.copysign(1, read) == math.copysign(1, value) or math.isnan(value)


# OpenMetrics.


def openmetrics(snapshot: Snapshot) -> str:
    page = Page(snapshot, NOW, ExportOptions(groups=OPT_IN_GROUPS), LabelCache())
    return b"".join(write(page, METRICS, openmetrics=True)).decode()


def test_openmetrics_is_read_by_its_parser_and_holds_the_same_values() -> None:
    snapshot = full_snapshot()
    text = page_with(snapshot, groups=OPT_IN_GROUPS)
    strict = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in openmetrics_families(openmetrics(snapshot))
        for sample in metric.samples
    }
    expected = {(name, labels): value for name, found in series_of(text).items() for labels, value in found.items()}

    # The process goes on living between the two.
    assert {key: value for key, value in strict.items() if "_process_" not in key[0]} == {
        key: value for key, value in expected.items() if "_process_" not in key[0]
    }


def test_openmetrics_ends_and_names_counters_without_their_ending() -> None:
    page = openmetrics(full_snapshot())

    assert page.endswith("\n# EOF\n")
    assert "# TYPE container_cpu_usage_seconds counter\n" in page
    assert "container_cpu_usage_seconds_total{" in page


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("container_memory_failcnt", "unknown"),
        ("container_fs_inodes_total", "unknown"),
        ("container_network_tcp_usage_total", "unknown"),
        ("container_last_seen", "gauge"),
        ("container_fs_reads", "counter"),
    ],
)
def test_what_is_no_counter_by_its_name_is_of_no_type_in_openmetrics(name: str, kind: str) -> None:
    assert types_of(openmetrics(full_snapshot()))[name] == kind


def test_quotes_in_help_are_escaped_in_openmetrics_alone() -> None:
    family = Family("g", GAUGE, "x", 'a "b" \\ \n', lambda page: [], itself)  # noqa: ARG005  no rows are needed

    assert head(family) == '# HELP x a "b" \\\\ \\n\n# TYPE x gauge\n'
    assert head(family, openmetrics=True) == '# HELP x a \\"b\\" \\\\ \\n\n# TYPE x gauge\n'


# What is asked for, and in which time.


def page_with(snapshot: Snapshot, **options: Any) -> str:
    return to_page(snapshot, NOW, ExportOptions(**options)).decode()


class Newest:
    """A sampler that has this."""

    tick_s = 0.25

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.newest = snapshot


def exposition(snapshot: Snapshot | None, **options: Any) -> Exposition:
    return Exposition(Newest(snapshot), ExportOptions(**options))  # type: ignore[arg-type]


def asked(exposition: Exposition, page: str = "metrics", **request: Any) -> str:
    return b"".join(exposition.chunks(PageRequest(page, **request), math.inf)).decode()


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_group_can_be_asked_for_by_itself(group: str) -> None:
    names = types_of(asked(exposition(full_snapshot(), groups=OPT_IN_GROUPS), groups=frozenset({group}))).keys()
    of_the_group = {family.name for family in METRICS if family.group == group}

    assert names
    assert names <= of_the_group
    assert group == "topcon" or names == of_the_group


def test_what_is_not_served_cannot_be_asked_for() -> None:
    served = exposition(full_snapshot())

    assert asked(served, groups=frozenset({"tcp"})) == ""
    assert asked(served, names=frozenset({"container_network_tcp_usage_total"})) == ""


def test_families_can_be_asked_for_by_name() -> None:
    names = {"container_last_seen", "machine_cpu_cores", "container_cpu_usage_seconds_total"}

    assert types_of(asked(exposition(full_snapshot()), names=frozenset(names))).keys() == names


def test_groups_and_names_narrow_each_other() -> None:
    request = {"names": frozenset({"container_last_seen", "machine_cpu_cores"}), "groups": frozenset({"machine"})}

    assert types_of(asked(exposition(full_snapshot()), **request)).keys() == {"machine_cpu_cores"}


def test_the_page_of_resources_is_another() -> None:
    page = asked(exposition(full_snapshot()), "resource")

    assert types_of(page).keys() == {family.name for family in PAGES["resource"]}


def test_without_a_snapshot_there_is_no_page() -> None:
    empty = exposition(None)

    assert not empty.newest_is_there()
    assert not empty.wait_ready(0.0)
    assert asked(empty) == ""


def test_a_page_is_waited_for() -> None:
    sampler = Newest(None)
    arrives = iter([None, None, full_snapshot()])

    class Late:
        tick_s = 0.0

        @property
        def newest(self) -> Snapshot | None:
            sampler.newest = next(arrives, sampler.newest)
            return sampler.newest

    assert Exposition(Late(), ExportOptions()).wait_ready(60.0)  # type: ignore[arg-type]


def test_a_page_tells_how_long_the_one_before_took() -> None:
    served = exposition(full_snapshot())

    assert "topcon_scrape_duration_seconds " not in asked(served)
    assert "topcon_scrape_duration_seconds " in asked(served)


def test_labels_are_made_once_for_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    served = exposition(full_snapshot(), groups=OPT_IN_GROUPS)
    before = asked(served)
    made: list[object] = []
    monkeypatch.setattr("topcon.exporter.labels._text", made.append)

    assert types_of(asked(served)) | {"topcon_scrape_duration_seconds": "gauge"} == types_of(asked(served))
    assert made == []
    assert before.count("\n") > 100


def late(after: int) -> Iterator[float]:
    """A clock that shows 0 so often, and 1 from then on."""
    yield from [0.0] * after
    while True:
        yield 1.0


@pytest.mark.parametrize("after", [0, 1, 5, 40])
@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_a_page_that_takes_too_long_is_cut_short_and_says_so(
    after: int, is_openmetrics: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = late(after)
    monkeypatch.setattr("topcon.exporter.exposition.time", SimpleNamespace(monotonic=lambda: next(clock)))
    page = Page(full_snapshot(), NOW, ExportOptions(groups=OPT_IN_GROUPS), LabelCache())
    text = b"".join(write(page, METRICS, deadline=0.5, openmetrics=is_openmetrics)).decode()

    assert len(types_of(text)) == len([family for family in METRICS[:after] if family.name in text]) + 1
    assert f"topcon_scrape_families_omitted {float(len(METRICS) - 1 - after)}\n" in text
    assert text.endswith("# EOF\n") is is_openmetrics
    if is_openmetrics:
        assert list(openmetrics_families(text))
    else:
        assert series_of(text)


def test_a_part_of_a_page_that_is_cut_short_says_so_too() -> None:
    served = exposition(full_snapshot())
    request = PageRequest("metrics", groups=frozenset({"cpu"}))
    text = b"".join(served.chunks(request, -math.inf)).decode()

    count = sum(family.group == "cpu" for family in METRICS)
    assert series_of(text) == {"topcon_scrape_families_omitted": {frozenset(): count}}
    assert b"".join(served.chunks(PageRequest("resource"), -math.inf)).startswith(b"# HELP topcon_scrape_families")


def test_a_family_comes_once_in_a_table_and_what_is_omitted_is_known_last() -> None:
    for page in PAGES.values():
        assert len({family.name for family in page}) == len(page)
    assert METRICS[-1] is own_module.OMITTED


# No series comes twice, whatever names others give.


ALIKE = st.sampled_from(
    ["a", "a\x1b", "a\\x1b", "a//\\x1b", "", "\udcff", "\\udcff", "é", "e\u0301", "a b", "\n", "\\n"]
)


@st.composite
def hostile_hosts(draw: st.DrawFn) -> Snapshot:
    """Hosts whose containers, pods, runtimes, interfaces and labels have names that are equal, or look it."""
    boxes = []
    for at in range(draw(st.integers(0, 4))):
        said = draw(st.none() | st.builds(PodInfo, st.sampled_from(PodKind), ALIKE, ALIKE, st.none() | ALIKE))
        info = {
            "id": draw(ALIKE),
            "name": draw(ALIKE),
            "runtime": draw(st.sampled_from(["docker", "containerd"]) | ALIKE),
            "pod": said,
            "labels": draw(st.dictionaries(ALIKE | st.just(COMPOSE), ALIKE, max_size=2)),
            "exit_code": 1,
            "oom_killed": True,
        }
        is_running = draw(st.booleans())
        box = running(f"c{at}", process=on_network(POD_NETNS)) if is_running else stopped(f"c{at}")
        assert box.info is not None
        boxes.append(replace(box, info=replace(box.info, **{**info, **({"id": box.info.id} if is_running else {})})))
    paths = [CgroupPath(f"/{name}") for name in draw(st.lists(ALIKE, unique=True, max_size=4))]
    boxes += [Box(cgroup=cgroup_of(path)) for path in paths]
    names = st.lists(ALIKE, unique=True, max_size=4)
    runtimes = [
        RuntimeSample(
            draw(ALIKE), draw(ALIKE), up=draw(st.booleans()), is_listed=True, silent_s=9.0, runtime=draw(ALIKE)
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    rich = full_sample()
    sample = sample_of(
        *boxes,
        networks={POD_NETNS: {name: interface(1) for name in draw(names)}, HOST_NETNS: {}},
        host=replace(rich.host, devices=dict.fromkeys([SDA, SDB], "sda")),
        runtimes=tuple(runtimes),
        sources=tuple(SourceSample(name, 1.0, 1, 1) for name in draw(st.lists(ALIKE, max_size=3))),
        problems=tuple(Problem(name, "x") for name in draw(names)),
        survey=Survey(
            0,
            1.0,
            filesystems=rich.survey.filesystems if rich.survey else {},
            protocols={POD_NETNS: ProtocolStat({"Same": 1, "SAME": 2}, {})},
        ),
    )
    snapshot = derive(None, sample)
    if draw(st.booleans()):
        snapshot = derive(snapshot, replace(sample, containers=(), found={}, monotonic_ns=sample.monotonic_ns + 1))
    return replace(snapshot, findings=assess(snapshot))


@unhurried_in_making
@given(hostile_hosts(), st.sampled_from(["docker", "kubelet", "auto"]), st.booleans())
def test_no_page_has_a_series_twice(snapshot: Snapshot, labels: Any, containers_only: bool) -> None:
    options = ExportOptions(
        labels=labels, containers_only=containers_only, groups=OPT_IN_GROUPS, extra_labels=("a\x1b", "a b", "\n")
    )
    for families_of_page in PAGES.values():
        page = Page(snapshot, NOW, options, LabelCache())
        text = b"".join(write(page, families_of_page)).decode()
        assert is_safe(text)
        assert series_of(text)


def test_of_two_that_are_written_alike_the_first_is_served() -> None:
    boxes = [stopped(name, id=name, name="same", exit_code=code) for name, code in (("a\x1b", 1), ("a\\x1b", 2))]
    snapshot = snapshot_after(sample_of(*boxes))

    assert [each.info.exit_code for each in snapshot.containers.values()] == [1, 2]
    assert list(own(snapshot, "topcon_container_exit_code").values()) == [1]
    assert own(snapshot, "topcon_containers")["docker", State.EXITED] == 2
