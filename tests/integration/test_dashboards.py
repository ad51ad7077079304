"""A real Prometheus scrapes hosts of all kinds, one of them sick: each panel and each alert has what it looks at."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from dashboards import choices, everything, queries, substituted
from promql_parser import BinaryExpr, ParenExpr, parse

from tests.integration.conftest import SPIN, Program
from tests.integration.prometheus_server import (
    _prometheus,  # noqa: F401  a fixture
    page_of,
    running_prometheus,
    served,
    target,
    written_twice,
)
from topcon.exporter.listen import TcpAddress
from topcon.exporter.options import OPT_IN_GROUPS
from topcon.setup.alerts import ALERTS, rules
from topcon.setup.dashboards import DASHBOARDS
from topcon.setup.grafana import dashboard_text
from topcon.setup.prometheus import scrape_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Dockerd
    from tests.integration.prometheus_server import Prometheus

pytestmark = pytest.mark.usefixtures("_prometheus")

CAPTURED = sorted(path.parent for path in Path(__file__).parents[1].glob("hosts/*/time"))
PATIENCE_S = 120.0
"""For the whole scene. A query that looks back in steps of 30 s needs two of them, and machines are slow."""
SECOND_NS = 10**9
MIB = 1 << 20

RUN_OUT_OF_MEMORY = "for i in 1 2 3 4 5; do dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 2; done; exit 1"
"""Longer than 10 s, so that Docker does not wait before it starts it again."""
RUN_OUT_OF_PIDS = "for i in 1 2 3 4 5 6; do sleep 1000 & done; while :; do (sleep 1 & true); sleep 1; done"
"""The shell inside is the eighth process, and cannot have a ninth; the one outside would end for that."""
WRITE = (
    "while :; do for file in /volume/file /tmp/file; do dd if=/dev/zero of=$file bs=1M count=2 conv=fsync; done;"
    " cat /volume/file >/dev/null; sleep 1; done"
)
TALK = "httpd -p 8080 -h /www; while :; do wget -q -O /dev/null http://127.0.0.1:8080/; sleep 0.2; done"

WITHOUT_DATA = {
    "absent(topcon_build_info)": "says that there is nothing",
    "topcon_oom_kills_total offset 10m": "there are no ten minutes to look back",
}
"""What of an alert's expression has no series while all is well, and why."""

OF_SOME_KERNELS = {"topcon_container_pressure_irq_stalled_seconds_total": "irq.pressure"}
"""Families of files that a kernel may be built without."""

FIRING = {"ContainerFailed", "ContainerOomKilled", "ContainerPidsLimitHit", "ContainerRestartLoop"}
SEEN_COMING = {"ContainerCpuThrottled", "ContainerPidsNearLimit", "ContainerUnhealthy"}
"""Those of the sick containers' alerts that wait before they fire."""

DISK = 'device=~"(/dev.+)|mmcblk.p.+|nvme.+|rbd.+|sd.+|vd.+|xvd.+|dm-.+|dasd.+"'
NAMED = 'name=~".+", image!=""'
WELL_KNOWN = (
    f'container_cpu_usage_seconds_total{{{NAMED}, cpu="total"}}',
    'container_cpu_usage_seconds_total{id="/"}',
    f"container_cpu_user_seconds_total{{{NAMED}}}",
    f"container_cpu_cfs_periods_total{{{NAMED}}}",
    f"container_cpu_cfs_throttled_periods_total{{{NAMED}}}",
    f"container_cpu_cfs_throttled_seconds_total{{{NAMED}}}",
    f"container_spec_cpu_quota{{{NAMED}}} / container_spec_cpu_period{{{NAMED}}}",
    *(
        f"container_memory_{kind}{{{place}}}"
        for kind in ("cache", "rss", "swap", "usage_bytes", "working_set_bytes")
        for place in (NAMED, 'id="/"')
    ),
    f"container_memory_max_usage_bytes{{{NAMED}}}",
    f"container_spec_memory_limit_bytes{{{NAMED}}} > 0",
    f"container_spec_memory_reservation_limit_bytes{{{NAMED}}}",
    f"container_oom_events_total{{{NAMED}}}",
    *(
        f"container_network_{way}_{what}_total{{{place}, interface!=''}}"
        for way in ("receive", "transmit")
        for what in ("bytes", "errors", "packets", "packets_dropped")
        for place in (NAMED, 'id="/"')
    ),
    *(
        f"container_fs_{way}{what}_total{{{place}, {DISK}}}"
        for way in ("reads", "writes")
        for what in ("", "_bytes")
        for place in (NAMED, 'id="/"')
    ),
    *(
        f"container_fs_{what}{{{place}, {DISK}}}"
        for what in ("inodes_free", "inodes_total", "limit_bytes", "usage_bytes")
        for place in (NAMED, 'id="/"')
    ),
    f"time() - container_last_seen{{{NAMED}}} < 60",
    f"container_start_time_seconds{{{NAMED}}}",
    f'container_tasks_state{{{NAMED}, state="running"}}',
    f"container_health_state{{{NAMED}}} == 0",
    'container_last_seen{container_label_com_docker_compose_project="shop"}',
    'container_last_seen{container_label_com_docker_compose_service="web"}',
    'cadvisor_version_info{cadvisorVersion!="", kernelVersion!="", osVersion!=""}',
    'machine_cpu_cores{machine_id!=""}',
    'machine_memory_bytes{boot_id!=""}',
)
"""The families that well-known dashboards and rules use, with the labels by which they choose."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Hosts, and who scrapes them."""

    prometheus: Prometheus
    live: str
    """The URL of the host with containers."""
    captured: dict[str, str]
    begun_s: float


def disk_of(folder: Path) -> str | None:
    """The disk that a folder is on. The kernel counts for version 1 only on a disk that something is throttled on."""
    device = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    disk = Path("/dev") / (block.parent if (block / "partition").exists() else block).name
    return str(disk) if disk.is_block_device() else None


@pytest.fixture(scope="module")
def sick(dockerd: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """Containers with something to tell of each kind."""
    volume = tmp_path_factory.mktemp("volume")
    shell = ["sh", "-c"]
    started: list[str] = []

    def run(name: str, command: list[str], **options: Any) -> None:
        started.append(name)
        dockerd.run(name, command, **options)

    def shop(service: str) -> dict[str, str]:
        return {"com.docker.compose.project": "shop", "com.docker.compose.service": service}

    try:
        run("throttled", SPIN, nano_cpus=100_000_000, mem_limit="64m", labels=shop("web"))
        restart = {"Name": "always"}
        run("starved", [*shell, RUN_OUT_OF_MEMORY], mem_limit="32m", restart_policy=restart, labels=shop("queue"))
        check = {"test": ["CMD", "false"], "interval": SECOND_NS, "timeout": SECOND_NS, "retries": 1}
        run("unhealthy", ["sleep", "100000"], healthcheck=check)
        run("failed", [*shell, "exit 3"])
        run("forks", [*shell, RUN_OUT_OF_PIDS], pids_limit=8)
        disk = disk_of(dockerd.folder)
        limit = [{"Path": disk, "Rate": 512 * MIB}] if disk else []
        run("writes", [*shell, WRITE], binds=[f"{volume}:/volume"], device_write_bps=limit, labels=shop("data"))
        run("talks", [*shell, TALK])
        run("shares", [*shell, TALK])
        run("shared", ["sleep", "100000"], network_mode="container:shares")
        yield dockerd
    finally:
        dockerd.remove(*reversed(started))


@pytest.fixture(scope="module")
def scene(sick: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """What is printed by ``topcon setup`` is what Prometheus is run with; only its clock is quicker."""
    folder = tmp_path_factory.mktemp("prometheus")
    everywhere = ("--enable-metrics", ",".join(sorted(OPT_IN_GROUPS)))
    absent = folder / "no.sock"
    with ExitStack() as stack:
        live = stack.enter_context(served(Program(folder, docker=sick.socket), *everywhere))
        captured = {
            host.name: stack.enter_context(
                served(Program(folder, docker=str(absent)), "--host-root", str(host), *everywhere)
            )
            for host in CAPTURED
        }
        addresses = [TcpAddress("127.0.0.1", urlsplit(url).port or 0) for url in (live, *captured.values())]
        config = scrape_config(addresses)
        assert "  scrape_interval: 15s\n" in config
        config = config.replace("  scrape_interval: 15s\n", "  scrape_interval: 1s\n  evaluation_interval: 2s\n")
        (folder / "topcon.rules.yml").write_text(rules())
        prometheus = stack.enter_context(running_prometheus(folder, config))
        yield Scene(prometheus, live, captured, time.monotonic())


def demand_data(scene: Scene, asked: list[tuple[str, str]]) -> None:
    """Ask until everything has series; tell all that has none even then, or is malformed, with who asks for it."""
    deadline = scene.begun_s + PATIENCE_S
    malformed = []
    while True:
        empty = []
        for where, query in asked:
            try:
                if not scene.prometheus.ask(query):
                    empty.append((where, query))
            except ValueError as error:
                malformed.append(f"{where}: {query}: {error}")
        if not (malformed or empty):
            return
        if malformed or time.monotonic() > deadline:
            pytest.fail("\n".join([*malformed, "no data:", *(f"{where}: {query}" for where, query in empty)]))
        asked = empty
        time.sleep(1)


def has_cgroup_file(name: str) -> bool:
    """Whether any of the hosts has a file of this name."""
    roots = [Path("/sys/fs/cgroup"), *(host / "sys/fs/cgroup" for host in CAPTURED)]
    return any(True for root in roots for _ in root.rglob(name))


def wanted(expr: Any) -> list[str]:
    """What of an alert must have series for it to be able to fire: each of its sides, before the last comparison."""
    match expr:
        case ParenExpr():
            return wanted(expr.expr)
        case BinaryExpr() if str(expr.op) in {"==", "!=", "<", "<=", ">", ">="}:
            return wanted(expr.lhs)
        case BinaryExpr() if str(expr.op) in {"or", "unless"}:
            return wanted(expr.lhs) + wanted(expr.rhs)
        case BinaryExpr() if str(expr.op) == "and":
            how = expr.modifier or ""
            return [f"({left}) and {how} ({right})" for left, right in product(wanted(expr.lhs), wanted(expr.rhs))]
    return [expr.prettify()]


def test_all_hosts_are_scraped_and_no_sample_is_refused(scene: Scene) -> None:
    instances = {target(scene.live), *map(target, scene.captured.values())}

    demand_data(scene, [(each, f'up{{instance="{each}"}} == 1') for each in instances])

    assert set(scene.prometheus.targets()) == instances
    assert set(scene.prometheus.not_taken().values()) == {0}


def test_no_page_has_a_series_twice(scene: Scene) -> None:
    pages = {"live": scene.live} | scene.captured

    assert {name: written_twice(page_of(url)) for name, url in pages.items()} == {name: [] for name in pages}


def test_each_panel_and_each_choice_has_data(scene: Scene) -> None:
    asked = []
    for name in DASHBOARDS:
        dashboard = json.loads(dashboard_text(name))
        values = everything(dashboard, "30s") | {"job": "topcon.*"}
        asked += [
            (f"{name}: {title}", substituted(expr, **values)) for title, expr in queries(dashboard) + choices(dashboard)
        ]

    absent = {family for family, file in OF_SOME_KERNELS.items() if not has_cgroup_file(file)}

    demand_data(scene, [each for each in asked if not any(family in each[1] for family in absent)])


def test_each_alert_looks_at_something(scene: Scene) -> None:
    asked = [(alert.name, part) for alert in ALERTS for part in wanted(parse(alert.expr))]
    silent = {part for _, part in asked} & WITHOUT_DATA.keys()

    demand_data(scene, [each for each in asked if each[1] not in silent])
    assert silent == WITHOUT_DATA.keys()
    assert [scene.prometheus.ask(part) for part in silent] == [[]] * len(silent)


def test_the_sick_containers_alert(scene: Scene) -> None:
    alerting = [(name, f'ALERTS{{alertname="{name}"}}') for name in SEEN_COMING]
    alerting += [(name, f'ALERTS{{alertname="{name}", alertstate="firing"}}') for name in FIRING]

    demand_data(scene, alerting)
    assert {rule["name"]: rule["health"] for rule in scene.prometheus.rules()} == {alert.name: "ok" for alert in ALERTS}


def test_well_known_dashboards_find_what_they_look_for(scene: Scene) -> None:
    instance = f'instance="{target(scene.live)}", '
    asked = [("live", query.replace("{", "{" + instance)) for query in WELL_KNOWN]

    demand_data(scene, asked)
