"""What cAdvisor is known to get wrong, and is not to be copied with its names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from pages import (
    APP,
    CADVISORS_OWN,
    POD_NETNS,
    SANDBOX,
    SIDE,
    START_S,
    WEB,
    by,
    by_one,
    full_cgroup,
    full_sample,
    full_snapshot,
    helps_of,
    page_of,
    series_of,
    types_of,
    web_box,
)
from samples import (
    HOST_NETNS,
    Box,
    cgroup_of,
    interface,
    kernel_only,
    on_network,
    running,
    sample_of,
    snapshot_after,
    stopped,
)

from topcon.exporter.exposition import METRICS
from topcon.exporter.options import OPT_IN_GROUPS, LabelMode
from topcon.model.derive import derive
from topcon.model.sample import CgroupDetail, CgroupPath, TaskStat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot


def series(snapshot: Snapshot, name: str, **options: Any) -> dict[Any, float]:
    return series_of(page_of(snapshot, **options)).get(name, {})


def by_id(snapshot: Snapshot, name: str, **options: Any) -> dict[str, float]:
    return by_one(series(snapshot, name, **options), "id")


# 1
def test_no_sample_carries_a_time_that_outlives_its_container() -> None:
    lines = page_of(full_snapshot(), groups=OPT_IN_GROUPS).splitlines()

    assert not [line for line in lines if not line.startswith("#") and not re.fullmatch(r"\S+?(\{.*\})? \S+", line)]


# 1
def test_what_is_gone_has_no_series_on_the_next_page() -> None:
    page = page_of(snapshot_after(sample_of(web_box()), sample_of(seconds=1)))

    assert WEB not in page


# 2
def test_how_a_container_ended_is_told_although_it_is_not_seen_any_more() -> None:
    ended = stopped("web", exit_code=3, finished_ns=START_WALL_NS)
    snapshot = snapshot_after(sample_of(running("web")), sample_of(ended, seconds=1), sample_of(seconds=2))

    assert series(snapshot, "container_last_seen") == {}
    assert list(series(snapshot, "topcon_container_exit_code").values()) == [3]


# 3
def test_a_kill_is_not_forgotten_with_the_cgroup() -> None:
    killed = stopped("web", oom_killed=True, finished_ns=START_WALL_NS)
    snapshot = snapshot_after(sample_of(running("web")), sample_of(killed, seconds=1), sample_of(seconds=2))

    assert list(series(snapshot, "topcon_oom_kills_total").values()) == [1]


# 3
def test_kills_are_the_kernels_own_count_from_the_first_page_on() -> None:
    snapshot = full_snapshot()

    assert by_id(snapshot, "container_oom_events_total")[WEB] == 2
    assert by_one(series(snapshot, "topcon_oom_kills_total"), "name")["web"] == 5


# 4
@pytest.mark.parametrize("name", ["container_fs_reads_total", "container_fs_writes_total"])
def test_what_a_cgroup_reads_is_not_mixed_with_what_the_whole_disk_does(name: str) -> None:
    found = by(series(full_snapshot(), name), "id", "device")

    assert {device for _, device in found} == {"/dev/sda"}
    assert found[WEB, "/dev/sda"] == {"container_fs_reads_total": 5, "container_fs_writes_total": 6}[name]


# 4
@pytest.mark.parametrize("name", ["container_fs_io_current", "container_fs_read_seconds_total"])
def test_what_the_whole_disk_does_is_the_hosts_alone_and_in_seconds(name: str) -> None:
    found = by_id(full_snapshot(), name)

    assert found == {"/": {"container_fs_io_current": 9, "container_fs_read_seconds_total": 4}[name]}


# 5
def test_inodes_are_those_of_the_file_system() -> None:
    snapshot = full_snapshot()

    assert by_id(snapshot, "container_fs_inodes_total") == dict.fromkeys(("/", APP, SIDE, WEB), 500)
    assert by_id(snapshot, "container_fs_inodes_free") == dict.fromkeys(("/", APP, SIDE, WEB), 400)


# 6
def test_a_container_of_containerd_has_a_name_and_uses_a_disk() -> None:
    snapshot = full_snapshot()
    names = {
        dict(labels)["id"]: dict(labels)["name"]
        for labels in series(snapshot, "container_last_seen", labels=LabelMode.DOCKER)
    }

    assert names[APP] == "app"
    assert by_id(snapshot, "container_fs_usage_bytes")[APP] == 700


# 7
def test_names_come_as_soon_as_the_runtime_answers() -> None:
    unnamed, named = sample_of(kernel_only(web_box())), sample_of(web_box(), seconds=1)
    before = derive(None, unnamed)
    after = derive(before, named)

    assert [dict(labels)["image"] for labels in series(before, "container_last_seen")] == [""]
    assert [dict(labels)["image"] for labels in series(after, "container_last_seen")] == ["nginx:1.27"]
    assert [dict(labels)["name"] for labels in series(after, "container_last_seen")] == ["web"]


# 8
def test_a_label_that_nobody_asked_for_is_on_no_series() -> None:
    snapshot = snapshot_after(sample_of(web_box(labels={"maintainer": "me", "a.very.long.one": "x" * 1000})))

    assert "x" * 1000 not in page_of(snapshot)
    assert "maintainer" not in page_of(snapshot)
    assert "maintainer" in page_of(snapshot, extra_labels=("maintainer",))


# 9
@pytest.mark.parametrize("order", [("a.b", "a-b"), ("a-b", "a.b")])
def test_of_labels_with_one_name_it_is_always_the_same_that_is_served(order: tuple[str, ...]) -> None:
    snapshot = snapshot_after(sample_of(web_box(labels={key: f"value of {key}" for key in order})))
    (labels,) = map(dict, series(snapshot, "container_last_seen", extra_labels=order))

    assert labels["container_label_a_b"] == "value of a-b"
    assert list(series(snapshot, "topcon_label_collisions", extra_labels=order).values()) == [1]


# 10
def test_own_families_are_of_containers_alone_so_that_sums_are_right() -> None:
    found = series_of(page_of(full_snapshot()))
    ids = {
        dict(labels).get("id")
        for name, rows in found.items()
        if name.startswith("topcon_container_")
        for labels in rows
    }

    assert ids == {SANDBOX, APP, SIDE, WEB}


# 11
def test_pods_on_the_hosts_network_do_not_repeat_its_interfaces() -> None:
    hosts = [running(name, process=on_network(HOST_NETNS)) for name in ("a", "b")]
    root = Box(cgroup=cgroup_of(CgroupPath("/")))
    snapshot = snapshot_after(sample_of(root, *hosts, networks={HOST_NETNS: {"ens3": interface(7, 8)}}))

    assert by(series(snapshot, "container_network_receive_bytes_total"), "id", "interface") == {("/", "ens3"): 7}


# 12
def test_a_network_that_was_joined_is_counted_where_it_is_made() -> None:
    boxes = [
        running("side", process=on_network(POD_NETNS), info={"joins_network_of": running("web").info.id}),  # type: ignore[union-attr]
        running("web", process=on_network(POD_NETNS)),
    ]
    snapshot = snapshot_after(sample_of(*boxes, networks={POD_NETNS: {"eth0": interface(7, 8)}}))

    assert by_id(snapshot, "container_network_receive_bytes_total") == {boxes[1].path: 7}


# 13
def test_a_start_is_that_of_the_last_run_and_stays() -> None:
    first = sample_of(web_box())
    later = sample_of(web_box(), seconds=30)
    again = sample_of(web_box(started_ns=START_WALL_NS + 40 * SECOND_NS), seconds=60)

    def starts(*samples: Sample) -> list[float]:
        return list(series(snapshot_after(*samples), "container_start_time_seconds").values())

    assert starts(first) == starts(first, later) == [START_S - 50]
    assert starts(first, later, again) == [START_S + 40]


# 13
def test_a_start_that_no_runtime_tells_is_that_of_the_first_process() -> None:
    found = series(snapshot_after(sample_of(kernel_only(web_box()))), "container_start_time_seconds")

    assert list(found.values()) == [START_S - 3600]


# 14
def test_beside_the_working_set_there_is_what_cannot_be_reclaimed() -> None:
    snapshot = full_snapshot()

    assert by_id(snapshot, "container_memory_working_set_bytes")[WEB] == 1000 - 120
    assert by_id(snapshot, "topcon_container_memory_unreclaimable_bytes")[WEB] == 600 + 70 + 80 - 25


# 15
@pytest.mark.parametrize(
    "name",
    [
        "container_cpu_load_average_10s",
        "container_cpu_load_d_average_10s",
        "container_tasks_state",
        "container_memory_failcnt",
        "container_memory_kernel_usage",
        "container_memory_numa_pages",
    ],
)
def test_what_version_2_knows_in_another_place_is_not_zero(name: str) -> None:
    found = series(full_snapshot(), name, groups=OPT_IN_GROUPS)
    of_web = [value for labels, value in found.items() if ("id", WEB) in labels]

    assert any(value > 0 for value in of_web)
    box = web_box()
    bare = replace(box, cgroup=full_cgroup(WEB, memory=None, detail=None))
    assert series(snapshot_after(sample_of(bare)), name, groups=OPT_IN_GROUPS) == {}


# 15
def test_no_thread_is_said_to_wait_for_a_disk_in_a_way_that_the_kernel_does_not_tell() -> None:
    states = {dict(labels)["state"] for labels in series(full_snapshot(), "container_tasks_state")}

    assert states == {"sleeping", "running", "stopped", "uninterruptible"}


# 16
def test_the_usual_weight_is_the_usual_share() -> None:
    assert by_id(full_snapshot(), "container_spec_cpu_shares")[WEB] == 1024


# 17
@pytest.mark.parametrize(
    ("least", "low", "expected"),
    [(100, 200, 200), (0, 200, 200), (200, 0, 200), (None, 200, 200), (0, 0, 0), (float("inf"), 0, 0)],
)
def test_a_reservation_is_found_in_either_file(least: float | None, low: float, expected: float) -> None:
    box = replace(web_box(), cgroup=full_cgroup(WEB, detail=CgroupDetail(memory_min=least, memory_low=low)))
    found = series(snapshot_after(sample_of(box)), "container_spec_memory_reservation_limit_bytes")

    assert list(found.values()) == [expected]


# 18
def test_times_of_threads_are_the_sum_that_the_survey_made_of_all_of_them() -> None:
    tasks = TaskStat(1, {"S": 3}, 0, run_s=9.0, run_delay_s=6.0, run_periods=3, runnable=0, uninterruptible=0)
    sample = full_sample()
    assert sample.survey is not None
    snapshot = derive(None, replace(sample, survey=replace(sample.survey, tasks={WEB: tasks})))

    assert by_id(snapshot, "topcon_container_run_seconds_total") == {WEB: 9}
    assert by_id(snapshot, "topcon_container_run_delay_seconds_total") == {WEB: 6}


# 19
def test_under_the_old_name_load_is_in_thousandths_and_under_ours_it_is_not() -> None:
    snapshot = full_snapshot()

    assert by_id(snapshot, "container_cpu_load_average_10s")[WEB] == 1250
    assert by_id(snapshot, "topcon_container_runnable_threads")[WEB] == 1.25


# 20: the conventions of names, as far as they can be told from a page.

TYPE_WORDS = {"counter", "gauge", "histogram", "summary"}
ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
UNITS = {"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "kilobytes", "megabytes", "bits"}


def breaches(name: str, kind: str, help_: str, labels: set[str]) -> Iterator[str]:
    parts = set(name.split("_"))
    if not help_:
        yield "no help"
    if (kind == "counter") != name.endswith("_total"):
        yield "counters, and they alone, end in _total"
    if name.endswith(("_bucket", "_count", "_sum")):
        yield "an ending of histograms"
    if labels & {"le", "quantile"}:
        yield "a label of histograms"
    if any(re.search("[a-z][A-Z]", each) for each in {name, *labels}):
        yield "camelCase"
    if parts & TYPE_WORDS:
        yield "its type in its name"
    if parts & ABBREVIATED:
        yield "an abbreviated unit"
    if parts & UNITS:
        yield "not a base unit"
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        yield "signs that are not for names"


def test_own_names_keep_to_the_conventions_and_cadvisors_break_them_where_they_always_did() -> None:
    page = page_of(full_snapshot(), groups=OPT_IN_GROUPS)
    types, helps, found = types_of(page), helps_of(page), series_of(page)
    broken = {
        name: list(
            breaches(name, kind, helps.get(name, ""), {label for labels in found[name] for label in dict(labels)})
        )
        for name, kind in types.items()
    }

    assert {name for name, reasons in broken.items() if reasons} == CADVISORS_OWN
    assert not [name for name in broken if name in CADVISORS_OWN and name.startswith("topcon_")]


@pytest.mark.parametrize(
    ("name", "kind", "help_", "labels", "reason"),
    [
        ("topcon_x_total", "counter", "", set(), "no help"),
        ("topcon_x", "counter", "X.", set(), "counters, and they alone, end in _total"),
        ("topcon_x_total", "gauge", "X.", set(), "counters, and they alone, end in _total"),
        ("topcon_x_count", "gauge", "X.", set(), "an ending of histograms"),
        ("topcon_x", "gauge", "X.", {"le"}, "a label of histograms"),
        ("topcon_x", "gauge", "X.", {"camelCase"}, "camelCase"),
        ("topcon_x_gauge", "gauge", "X.", set(), "its type in its name"),
        ("topcon_x_ms", "gauge", "X.", set(), "an abbreviated unit"),
        ("topcon_x_minutes", "gauge", "X.", set(), "not a base unit"),
        ("topcon:x", "gauge", "X.", set(), "signs that are not for names"),
        ("topcon_x_seconds_total", "counter", "X.", {"state"}, None),
    ],
)
def test_the_conventions_are_looked_at(name: str, kind: str, help_: str, labels: set[str], reason: str | None) -> None:
    assert list(breaches(name, kind, help_, labels)) == ([reason] if reason else [])


def test_each_name_of_ours_has_one_of_the_prefixes() -> None:
    assert {family.name.partition("_")[0] for family in METRICS} == {"cadvisor", "container", "machine", "topcon"}
