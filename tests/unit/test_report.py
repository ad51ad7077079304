"""A snapshot as JSON, CSV and text: names of the contract, None for the unknown, nothing foreign let through."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES, SECOND_NS, START_WALL_NS
from hypothesis import example, given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    HOST_NETNS,
    HOSTILE_NAMES,
    SDA,
    SDB,
    Box,
    cgroup_of,
    container_id,
    docker_key,
    host_of,
    interface,
    kernel_only,
    netns_of,
    node_of,
    number_of,
    on_network,
    path_of,
    pod_of,
    pressures,
    running,
    sample_of,
    snapshot_after,
    stopped,
    tree_of,
    unclaimed,
    unsafe,
)

from topcon.filter import parse_filter
from topcon.model.sample import CgroupMode, Health, Port, Problem, State
from topcon.model.snapshot import Finding, Severity, Usage
from topcon.report import CSV_FIELDS, problem_text, to_csv, to_json, to_text
from topcon.rows import ViewState, rows
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.snapshot import Snapshot

TWO = (Port("0.0.0.0", 8080, 80, "tcp"), Port(None, None, 53, "udp"))
SHARES = {"some", "full"}


def as_json(snapshot: Snapshot, **view: Any) -> Any:
    return json.loads(to_json(snapshot, rows(snapshot, ViewState(**view))))


def as_csv(snapshot: Snapshot, **view: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(snapshot, rows(snapshot, ViewState(**view))), newline="")))


def as_lines(snapshot: Snapshot, **view: Any) -> list[str]:
    text = to_text(snapshot, rows(snapshot, ViewState(**view)))
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def busy() -> Snapshot:
    """Return two samples of a container of which everything is known, a second apart."""
    info = {
        "image": "shop:1.4",
        "labels": {"team": "pay"},
        "ports": TWO,
        "health": Health.HEALTHY,
        "restarts": 2,
        "started_ns": START_WALL_NS - 60 * SECOND_NS,
    }
    first = running("web", info=info, limit_cores=0.5, io={SDA: (0, 0), SDB: (0, 0)})
    second = running(
        "web",
        info=info,
        usage_usec=250_000,
        limit_cores=0.5,
        nr_periods=10,
        nr_throttled=4,
        current=100 << 20,
        inactive_file=10 << 20,
        limit=200 << 20,
        oom_kill=3,
        io={SDA: (4096, 8192), SDB: (1, 2)},
        pids=7,
        pids_max=50,
        pressure=pressures(100_000, 0, 50_000, full=10_000),
    )
    return snapshot_after(
        sample_of(first, networks={netns_of("web"): {"eth0": interface(), "lo": interface(9, 9)}}, mode=CgroupMode.V2),
        sample_of(
            second,
            seconds=1.0,
            networks={netns_of("web"): {"eth0": interface(1000, 500), "lo": interface(99, 99)}},
            mode=CgroupMode.V2,
        ),
    )


def only(snapshot: Snapshot) -> Any:
    (pod,) = as_json(snapshot)["pods"]
    (container,) = pod["containers"]
    return container


# JSON.


def test_a_container_of_which_all_is_known() -> None:
    container = only(busy())

    assert container["key"] == docker_key("web")
    assert container["id"] == container_id("web")
    assert (container["name"], container["image"], container["runtime"]) == ("web", "shop:1.4", "docker")
    assert (container["source"], container["role"]) == ("api", "workload")
    assert (container["state"], container["health"]) == ("running", "healthy")
    assert (container["exit_code"], container["restarts"]) == (None, 2)
    assert (container["pid"], container["cgroup"]) == (number_of("web"), path_of("web"))
    assert container["labels"] == {"team": "pay"}
    assert container["ports"] == [
        {"host_ip": "0.0.0.0", "host_port": 8080, "container_port": 80, "protocol": "tcp"},
        {"host_ip": None, "host_port": None, "container_port": 53, "protocol": "udp"},
    ]
    assert container["cpu"] == {"usage_seconds": 0.25, "cores": 0.25, "limit_cores": 0.5, "throttled_share": 0.4}
    assert container["memory"] == {
        "current_bytes": 100 << 20,
        "working_set_bytes": 90 << 20,
        "limit_bytes": 200 << 20,
        "peak_bytes": 100 << 20,
        "swap_bytes": 0,
        "anon_bytes": 90 << 20,
        "file_bytes": 10 << 20,
        "oom_kills": 3,
    }
    assert container["io"] == {
        "read_bytes": 4097,
        "write_bytes": 8194,
        "read_bytes_per_second": 4097,
        "write_bytes_per_second": 8194,
    }
    assert container["network"] == {
        "received_bytes": 1000,
        "transmitted_bytes": 500,
        "received_bytes_per_second": 1000,
        "transmitted_bytes_per_second": 500,
    }
    assert container["pids"] == {"current": 7, "limit": 50}
    assert container["pressure"]["cpu"] == {"some": pytest.approx(0.1), "full": pytest.approx(0.01)}
    assert set(container["pressure"]) == {"cpu", "memory", "io"}


def test_namespaces_are_given_by_kind_and_those_of_the_host_named() -> None:
    container = only(busy())

    assert set(container["namespaces"]) == {"net", "pid", "mnt", "ipc", "uts", "user", "cgroup", "time"}
    assert container["namespaces"]["user"] == HOST_NAMESPACES["user"]
    assert container["shared_with_host"] == ["user", "time"]


def test_the_object_names_its_version_its_moment_and_the_host() -> None:
    document = as_json(busy())

    assert set(document) == {"version", "time", "interval_s", "host", "pods", "gone", "findings", "problems"}
    assert (document["version"], document["interval_s"]) == (1, 1.0)
    host = document["host"]
    assert (host["name"], host["kernel"], host["cgroup"], host["cpus"]) == ("testhost", "6.12.0-test", "v2", 2)
    assert (host["uptime_s"], host["cpu_cores"], host["load"]) == (100_000.0, 0.0, None)
    assert (host["memory_total_bytes"], host["memory_used_bytes"]) == (8 << 30, 2 << 30)
    assert set(host["pressure"]) == {"cpu", "memory", "io"}
    assert set(host["pressure"]["cpu"]) == SHARES


@pytest.mark.parametrize(
    "wall_ns", [0, START_WALL_NS, START_WALL_NS + 999_999_999, 951_827_696_789_000_000, 4_102_444_800 * SECOND_NS]
)
def test_times_are_rfc_3339_in_utc(wall_ns: int) -> None:
    snapshot = snapshot_after(sample_of(stopped("web", started_ns=wall_ns), wall_ns=wall_ns))
    document = as_json(snapshot)

    for text in (document["time"], document["pods"][0]["containers"][0]["started"]):
        assert text.endswith("Z")
        assert abs(datetime.fromisoformat(text).timestamp() - wall_ns / 1e9) < timedelta(seconds=0.001).total_seconds()


def test_what_a_runtime_alone_knows_has_no_numbers() -> None:
    container = only(snapshot_after(sample_of(stopped("done", exit_code=137, finished_ns=START_WALL_NS))))

    assert (container["state"], container["exit_code"]) == ("exited", 137)
    assert container["finished"] is not None
    for name in ("pid", "cgroup", "namespaces", "network", "pressure", "started", "health", "restarts", "image"):
        assert container[name] is None, name
    for section in ("cpu", "memory", "io", "pids"):
        assert set(container[section].values()) == {None}, section
    assert (container["labels"], container["ports"], container["shared_with_host"]) == ({}, [], [])


def numbers(value: object) -> Iterator[float]:
    """Yield all numbers of a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.mark.parametrize("section", ["cpu", "cpu_max", "memory", "io", "pids", "pressure", "events"])
def test_a_section_that_cannot_be_read_is_null_never_minus_one(section: str) -> None:
    snapshot = snapshot_after(*(sample_of(running("web", **{section: None}), seconds=at) for at in range(2)))
    container = only(snapshot)

    assert all(number >= 0 for number in numbers(as_json(snapshot)))
    if section in {"cpu", "memory", "pids"}:
        unknown = {name: value for name, value in container[section].items() if value is not None}
        assert unknown == {}
    if section == "pressure":
        assert container["pressure"] is None


def test_the_first_sample_has_levels_and_no_rates() -> None:
    snapshot = snapshot_after(sample_of(running("web", usage_usec=5, io={SDA: (1, 2)})))
    container = only(snapshot)

    assert as_json(snapshot)["interval_s"] is None
    assert (container["cpu"]["usage_seconds"], container["cpu"]["cores"]) == (5e-6, None)
    assert (container["io"]["read_bytes"], container["io"]["read_bytes_per_second"]) == (1, None)
    assert container["pressure"] == {"cpu": None, "memory": None, "io": None}


def test_a_container_without_devices_has_read_nothing() -> None:
    io_numbers = only(snapshot_after(sample_of(running("web", io={}))))["io"]

    assert (io_numbers["read_bytes"], io_numbers["write_bytes"]) == (0, 0)


def test_a_container_on_the_hosts_network_has_no_counters_of_its_own() -> None:
    box = running("web", process=on_network(HOST_NETNS))

    assert only(snapshot_after(sample_of(box, networks={HOST_NETNS: {"eth0": interface(1, 2)}})))["network"] is None


def test_containers_of_one_network_show_the_same_counters() -> None:
    boxes = [running(name, process=on_network(netns_of("web"))) for name in ("web", "side")]
    (pod,) = as_json(snapshot_after(sample_of(*boxes, networks={netns_of("web"): {"eth0": interface(7, 8)}})))["pods"]

    assert pod["kind"] == "namespace"
    assert [each["network"]["received_bytes"] for each in pod["containers"]] == [7, 7]


def test_what_no_runtime_claims_is_named_by_its_cgroup() -> None:
    container = only(snapshot_after(sample_of(kernel_only(unclaimed(running("web", inode=4711))))))

    assert (container["key"], container["runtime"], container["source"]) == ("none:4711", "none", "cgroup")


def test_a_nested_container_names_the_one_around_it() -> None:
    outer = running("dind")
    document = as_json(snapshot_after(sample_of(outer, running("job", inside=outer))))
    outers = {each["name"]: each["outer"] for pod in document["pods"] for each in pod["containers"]}

    assert outers == {"dind": None, "job": docker_key("dind")}


def test_findings_and_problems_are_told_in_words() -> None:
    finding = Finding("unhealthy", Severity.CRITICAL, docker_key("web"), "its health check fails", "look at its log")
    problems = (Problem("docker", "permission denied", "sudo topcon"), Problem("cgroup", "a line"))
    document = as_json(tree_of(pod_of(node_of("web")), findings=[finding], problems=problems))

    assert document["findings"] == [
        {
            "code": "unhealthy",
            "severity": "critical",
            "target": docker_key("web"),
            "summary": "its health check fails",
            "evidence": "",
            "means": "",
            "advice": "look at its log",
            "since": None,
        }
    ]
    assert [(each["source"], each["message"]) for each in document["problems"]] == [
        ("docker", "permission denied"),
        ("cgroup", "a line"),
    ]


def shop(**of: Any) -> list[Box]:
    """Return a project of two containers, of which the first costs more, and another by itself in between."""
    labels = {"labels": {COMPOSE: "shop"}}
    return [
        running("web", info=labels, usage_usec=of.get("web", 0)),
        running("db", info=labels, usage_usec=of.get("db", 0)),
        running("job", usage_usec=of.get("job", 0)),
    ]


def test_pods_and_containers_come_in_the_order_of_the_rows() -> None:
    snapshot = snapshot_after(sample_of(*shop()), sample_of(*shop(web=100_000, db=300_000, job=350_000), seconds=1.0))

    def order(**view: Any) -> list[list[str]]:
        return [[each["name"] for each in pod["containers"]] for pod in as_json(snapshot, **view)["pods"]]

    assert order(sort="cpu") == [["db", "web"], ["job"]]
    assert order(sort="cpu", is_reversed=True) == [["job"], ["web", "db"]]
    assert [row["name"] for row in as_csv(snapshot, sort="cpu")] == ["db", "web", "job"]


@pytest.mark.parametrize(("words", "expected"), [("web", ["web"]), ("shop", ["db", "web"]), ("nothing", [])])
def test_only_what_the_filter_lets_through_is_written(words: str, expected: list[str]) -> None:
    snapshot = snapshot_after(sample_of(*shop()))
    view = {"filter": parse_filter(words), "sort": "name"}

    assert [each["name"] for pod in as_json(snapshot, **view)["pods"] for each in pod["containers"]] == expected
    assert [row["name"] for row in as_csv(snapshot, **view)] == expected
    table = "\n".join(as_lines(snapshot, **view)[2:])
    assert [name for name in ("db", "job", "web") if name in table] == expected


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_json_gives_a_hostile_name_back_as_it_was_and_holds_no_control(name: str) -> None:
    node = node_of("web", name=name, image=name, labels={name: name})
    text = to_json(tree_of(pod_of(node)), rows(tree_of(pod_of(node)), ViewState()))

    assert text.isascii()
    assert unsafe(text) <= {"\n"}
    (pod,) = json.loads(text)["pods"]
    (container,) = pod["containers"]
    assert (container["name"], container["labels"]) == (name, {name: name})


# CSV.


def test_a_line_of_names_then_a_line_a_container() -> None:
    snapshot = busy()
    (row,) = as_csv(snapshot)
    document = as_json(snapshot)

    assert list(row) == ["time", "host", "pod", "pod_kind", *CSV_FIELDS]
    assert (row["time"], row["host"]) == (document["time"], "testhost")
    assert (row["pod"], row["pod_kind"]) == ("web", "single")
    assert (row["state"], row["cpu.cores"], row["pids.limit"]) == ("running", "0.25", "50")
    assert (row["pressure.cpu.some"], row["network.received_bytes"]) == ("0.1", "1000")


def test_the_columns_are_paths_into_the_json() -> None:
    container = only(busy())

    for field in CSV_FIELDS:
        value = container
        for name in field.split("."):
            assert name in value, field
            value = value[name]
        assert not isinstance(value, dict | list), field


def test_what_is_unknown_is_an_empty_cell() -> None:
    (row,) = as_csv(snapshot_after(sample_of(stopped("done", exit_code=0))))

    known = {name for name, value in row.items() if value != ""}
    assert known == {
        "time",
        "host",
        "pod",
        "pod_kind",
        "key",
        "id",
        "name",
        "runtime",
        "source",
        "role",
        "state",
        "exit_code",
    }


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_name_keeps_to_its_cell_and_its_line(name: str) -> None:
    snapshot = tree_of(pod_of(node_of("web", name=name, image=name), name=name or None))
    text = to_csv(snapshot, rows(snapshot, ViewState()))

    assert len(text.split("\n")) == 3
    assert unsafe(text) <= {"\n"}
    (row,) = as_csv(snapshot)
    assert row["id"] == container_id("web")
    assert row["name"] == row["image"]


@given(st.text())
@example("\u034f")
def test_csv_quotes_what_needs_it(name: str) -> None:
    snapshot = tree_of(pod_of(node_of("web", name=name)))

    (row,) = as_csv(snapshot)

    assert row["pids.limit"] == ""
    assert row["name"] == printable(name)


# Text.


def test_the_host_is_above_the_table() -> None:
    snapshot = snapshot_after(
        *(sample_of(seconds=at, mode=CgroupMode.V2, host=host_of(cpu_busy_s=50.0 + at)) for at in range(2))
    )
    head, blank, titles, *rest = as_lines(snapshot)

    assert head == "testhost  6.12.0-test  cgroup v2  up 1d 3h  CPU 1.0/2  MEM 2.00G/8.00G"
    assert blank == ""
    assert titles.split()[:4] == ["NAME", "STATE", "RUNTIME", "CPU"]
    assert rest == []


def test_an_unknown_number_is_a_dash_and_an_absent_limit_an_empty_cell() -> None:
    unlimited = Usage(cpu_cores=0.5, memory_bytes=1 << 20)
    (known,) = as_lines(tree_of(pod_of(node_of("web", unlimited))))[3:]
    (unknown,) = as_lines(tree_of(pod_of(node_of("web"))))[3:]

    assert known.split()[:5] == ["web", "up", "docker", "0.50", "1.00M"]
    assert unknown.split()[:5] == ["web", "up", "docker", "-", "-"]
    assert "%" not in known + unknown


def test_the_host_of_which_nothing_is_known_yet_has_dashes() -> None:
    assert as_lines(snapshot_after(sample_of()))[0].endswith("cgroup none  up 1d 3h  CPU -/2  MEM 2.00G/8.00G")


def test_containers_stand_indented_below_their_pod() -> None:
    lines = as_lines(snapshot_after(sample_of(*shop())), sort="name")[3:]

    assert [line[: len(line) - len(line.lstrip())] + line.split()[0] for line in lines] == [
        "job",
        "shop",
        "  db",
        "  web",
    ]


def test_columns_stand_one_below_the_other_whatever_the_names() -> None:
    nodes = [node_of(name, Usage(cpu_cores=0.5), name=name) for name in ("a", "b" * 40, HOSTILE_NAMES["rtl"])]
    _, _, titles, *lines = as_lines(tree_of(*map(pod_of, nodes)))

    ends = {titles.index(" CPU") + 4, *(line.index("0.50") + 4 for line in lines)}
    assert len(ends) == 1


def test_what_is_wrong_stands_below_the_table_and_what_is_worth_knowing_does_not() -> None:
    findings = [
        Finding("unhealthy", Severity.CRITICAL, docker_key("web"), "its health check fails", "look"),
        Finding("restart-loop", Severity.WARNING, "runtime:docker", "is silent", "look"),
        Finding("shares-host", Severity.INFO, docker_key("web"), "lives in the host's net namespace", "look"),
    ]
    lines = as_lines(
        tree_of(pod_of(node_of("web")), findings=findings, problems=(Problem("docker", "refused", "sudo topcon"),))
    )

    assert lines[-4:] == [
        "",
        "critical: web its health check fails",
        "warning: runtime:docker is silent",
        "docker: refused; to mend it: sudo topcon",
    ]


@pytest.mark.parametrize(
    ("remedy", "expected"), [(None, "docker: refused"), ("sudo topcon", "docker: refused; to mend it: sudo topcon")]
)
def test_a_problem_is_told_with_what_would_mend_it(remedy: str | None, expected: str) -> None:
    assert problem_text(Problem("docker", "refused", remedy)) == expected


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_no_hostile_name_breaks_a_line_or_orders_the_terminal_about(name: str) -> None:
    """A container's, a pod's, a host's, and what problems quote."""
    finding = Finding("unhealthy", Severity.CRITICAL, docker_key("web"), "fails", "look")
    snapshot = tree_of(
        pod_of(node_of("web", name=name), node_of("db", name=name, state=State.EXITED), name=name or None),
        findings=[finding],
        problems=(Problem(name, name, name),),
        host=None,
    )
    host = replace(snapshot.host, sample=replace(snapshot.host.sample, name=name, kernel=name))
    text = to_text(replace(snapshot, host=host), rows(snapshot, ViewState()))

    assert unsafe(text) <= {"\n"}
    assert len(text.split("\n")) == len(as_lines(tree_of(pod_of(node_of("web"), node_of("db"), name="p")))) + 4


def test_a_finding_of_a_container_that_has_gone_is_told_by_its_key() -> None:
    finding = Finding("oom-killed", Severity.CRITICAL, "docker:gone\x1b", "was killed", "look")

    assert as_lines(tree_of(findings=[finding]))[-1] == "critical: docker:gone\\x1b was killed"


def test_cgroups_of_containers_may_be_missing_from_a_sample() -> None:
    snapshot = snapshot_after(sample_of(running("web"), cgroups={path_of("db"): cgroup_of(path_of("db"))}))

    assert only(snapshot)["cgroup"] is None
