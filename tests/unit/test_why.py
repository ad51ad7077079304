"""``topcon why`` as a program, on a host made of files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from fakes import HOST_NAMESPACES
from samples import container_id, docker_key

from topcon import cli
from topcon.config import load_config
from topcon.findings import Threshold, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes import FakeHost

    Why = Callable[..., tuple[int, str]]

SLICE = "/batch.slice"
FULL = {"current": 980, "limit": "1000"}
NEAR = {"pids": 95, "pids_max": "100"}


@pytest.fixture
def why(host: FakeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Why:
    """Run it as fast as it goes; return its exit status and what it printed."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)
    host.write("etc/hostname", "testhost\n")

    def run(*arguments: str) -> tuple[int, str]:
        status = cli.main(["why", "--host-root", str(host.root), "--interval", "0.1", *arguments])
        return status, capsys.readouterr().out

    return run


def add(host: FakeHost, name: str, pid: int, **counters: Any) -> None:
    host.container(f"/docker/{container_id(name)}", pid, **counters)


@pytest.mark.parametrize(
    ("counters", "status"),
    [({}, 0), (NEAR, 1), (FULL, 2), (NEAR | FULL, 2)],
    ids=["well", "warning", "critical", "both"],
)
def test_the_exit_status_is_how_bad_it_is(host: FakeHost, why: Why, counters: dict[str, Any], status: int) -> None:
    add(host, "web", 100, **counters)

    assert why()[0] == status
    assert why("--json")[0] == status


def test_what_is_only_worth_knowing_is_told_and_is_no_failure(host: FakeHost, why: Why) -> None:
    add(host, "web", 100, netns=HOST_NAMESPACES["net"])

    status, out = why()

    assert status == 0
    assert out.startswith("info: ")
    assert "[shares-host]" in out


def test_where_nothing_is_wrong_nothing_is_printed(host: FakeHost, why: Why) -> None:
    add(host, "web", 100)

    assert why() == (0, "")
    assert json.loads(why("--json")[1])["findings"] == []


def test_the_filter_counts_for_the_exit_status_too(host: FakeHost, why: Why) -> None:
    add(host, "web", 100, **FULL)
    add(host, "db", 101, **NEAR)
    db = container_id("db")

    status, out = why("--json", "--filter", f"id:{db}")

    assert status == 1
    assert [each["target"] for each in json.loads(out)["findings"]] == [docker_key("db")]


def test_limits_of_what_containers_are_in_are_read(host: FakeHost, why: Why) -> None:
    above = f"{SLICE}/inner.slice"
    host.container(f"{above}/docker-{container_id('web')}.scope", 100, current=50)
    host.container(SLICE, 1, pids=95, pids_max="100")
    host.container(above, 1, **FULL)

    findings = json.loads(why("--json")[1])["findings"]

    assert [(each["code"], each["target"]) for each in findings] == [
        ("memory-near-limit", docker_key("web")),
        ("pids-near-limit", docker_key("web")),
    ]
    assert findings[0]["summary"] == f"working set of {above} at 98% of its limit"


def test_what_a_container_has_inside_is_its_own_business(host: FakeHost) -> None:
    add(host, "web", 100)
    outer = f"/docker/{container_id('web')}"
    host.container(f"{outer}/init/docker/{container_id('inner')}", 102)
    host.container(f"{outer}/init", 101)
    sampler = host.sampler()

    sampler.tick()
    assert sampler.newest is not None

    assert set(sampler.newest.sample.cgroups) >= {"/docker", outer}
    assert f"{outer}/init" not in sampler.newest.sample.cgroups
    sampler.close()


def test_each_threshold_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text(
        "[thresholds]\nmemory-high = '20%'\nswapping = 0.3\ndropped-packets = '5%'\nexit-error = '1h'\n"
        "frozen = '1d'\nodd-one-out = 5\ncpu-throttled = 0.4\n"
    )

    assert load_config({}, file).thresholds == Thresholds(
        memory_high=0.2,
        swapping=0.3,
        dropped_packets=0.05,
        exit_error_s=3600.0,
        frozen_s=86400.0,
        odd_one_out=5.0,
        cpu_throttled=Threshold(0.4, 0.5),
    )


@pytest.mark.parametrize("value", ["1.4", "100.5", "true", "'5'", "nan", "[]"])
def test_how_many_times_is_a_number(tmp_path: Path, value: str) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text(f"[thresholds]\nodd-one-out = {value}\n")

    (problem,) = load_config({}, file).problems

    assert "expected how many times as much, from 1.5 to 100" in problem.message
