"""Objects put together from settings."""

from __future__ import annotations

import http.client
import json
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from samples import node_of

from topcon.actions import Actions, Verb, request_for
from topcon.config import Config, default_audit_log
from topcon.errors import ActionFailed, HostUnreadable, UsageError
from topcon.exporter.listen import TcpAddress
from topcon.model.sample import Problem, State
from topcon.model.shell import Size
from topcon.shell import Shells
from topcon.wiring import build_actions, build_endpoint, build_profile, build_runtimes, build_sampler, build_shells

if TYPE_CHECKING:
    from pathlib import Path

    from fakes import FakeHost

WEB = "a" * 64
PATIENCE_S = 10.0
"""How long a thread may take on a busy machine; never waited for when all is well."""


@pytest.fixture(autouse=True)
def _own_psutil_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give psutil's root, which a reader sets, back after the test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)


def config_of(host: FakeHost, **options: Any) -> Config:
    return Config(**({"host_root": str(host.root)} | options))


def test_no_socket_is_looked_for_before_it_is_told_to(host: FakeHost) -> None:
    assert build_runtimes(config_of(host)).look() == ()


@pytest.mark.parametrize("option", ["podmann", "docker="])
def test_a_runtime_that_there_is_not_is_refused(host: FakeHost, option: str) -> None:
    with pytest.raises(UsageError, match=f"--runtime {option}: expected"):
        build_runtimes(config_of(host, runtime=(option,)))


def test_a_sampler_reads_the_host_whose_roots_are_given(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100, current=4096)
    host.write("etc/hostname", "outside\n")
    config = config_of(host)

    with closing(build_sampler(config, build_runtimes(config))) as sampler:
        snapshot = sampler.tick()

    assert snapshot.sample.host.name == "outside"
    assert snapshot.sample.mode == "v2"
    assert snapshot.containers[f"docker:{WEB}"].usage.memory_bytes == 4096


def test_with_roots_of_their_own_the_hosts_name_is_the_kernels(host: FakeHost) -> None:
    config = Config(proc_root=host.proc_root, sys_root=str(host.root / "sys"), cgroup_root=host.cgroup_root)

    with closing(build_sampler(config, build_runtimes(config))) as sampler:
        assert sampler.tick().sample.host.name == "testhost"


@pytest.mark.parametrize(("groups", "expected"), [(None, {"/"}), (frozenset(), {"/", "/system.slice"})])
def test_slices_are_read_only_for_an_endpoint(
    host: FakeHost, groups: frozenset[str] | None, expected: set[str]
) -> None:
    host.cgroup("/system.slice", {"cpu.stat": "usage_usec 1\nuser_usec 1\nsystem_usec 0\n"})
    config = config_of(host)

    with closing(build_sampler(config, build_runtimes(config), groups=groups)) as sampler:
        assert set(sampler.tick().sample.cgroups) == expected


@pytest.mark.parametrize("groups", [None, frozenset(), frozenset({"tcp"})])
def test_what_only_an_endpoint_shows_is_read_for_one_alone(host: FakeHost, groups: frozenset[str] | None) -> None:
    host.container(f"/docker/{WEB}", 100)
    host.write("proc/100/net/snmp", "Tcp: InSegs\nTcp: 5\n")
    host.write("proc/100/net/tcp", "titles\n")
    config = config_of(host)

    with closing(build_sampler(config, build_runtimes(config), groups=groups)) as sampler:
        before = {*threading.enumerate()}
        sampler.tick()
        thread = next((each for each in threading.enumerate() if each not in before), None)
        assert (thread is not None) is (groups is not None)
        until = time.monotonic() + PATIENCE_S
        while groups is not None and not sampler.tick().sample.survey:
            assert time.monotonic() < until
            time.sleep(0.002)
        sample = sampler.tick().sample

    if thread is None:
        assert sample.survey is None
    else:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert sample.survey is not None
        (protocols,) = sample.survey.protocols.values()
        assert (protocols.tcp_states is not None) is (groups == {"tcp"})
    assert (sample.host.topology is not None) is (groups is not None)


def test_what_is_wrong_in_the_file_is_in_every_sample(host: FakeHost) -> None:
    problem = Problem("config", "there is no such setting")
    config = config_of(host, problems=(problem,))

    with closing(build_sampler(config, build_runtimes(config))) as sampler:
        assert problem in sampler.tick().sample.problems
        assert problem in sampler.tick().sample.problems


def test_without_a_proc_there_is_no_sampler(tmp_path: Path) -> None:
    config = Config(host_root=str(tmp_path))

    with pytest.raises(HostUnreadable, match="--proc-root"):
        build_sampler(config, build_runtimes(config))


def test_read_only_makes_nothing_that_can_change_the_host(host: FakeHost) -> None:
    config = config_of(host, read_only=True)
    runtimes = build_runtimes(config)

    actions = build_actions(config, runtimes)
    assert actions is None
    assert build_shells(config, runtimes, actions) is None


@pytest.mark.parametrize("is_named", [True, False])
def test_actions_are_logged_where_the_settings_say(host: FakeHost, tmp_path: Path, is_named: bool) -> None:
    named = tmp_path / "own" / "audit.jsonl"
    config = config_of(host, audit_log=named if is_named else None)
    actions = build_actions(config, build_runtimes(config))
    assert isinstance(actions, Actions)

    actions.perform(request_for(Verb.STOP, node_of("web")))

    (line,) = (named if is_named else default_audit_log()).read_text().splitlines()
    assert json.loads(line)["action"] == "stop"


def test_shells_are_logged_where_actions_are(host: FakeHost, tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    config = config_of(host, audit_log=log)
    runtimes = build_runtimes(config)
    shells = build_shells(config, runtimes, build_actions(config, runtimes))
    assert isinstance(shells, Shells)

    with pytest.raises(ActionFailed):
        shells.open(node_of("web", state=State.PAUSED), Size(80, 24))

    (line,) = log.read_text().splitlines()
    assert json.loads(line)["action"] == "shell"


def test_an_endpoint_serves_what_the_sampler_has_read(host: FakeHost) -> None:
    config = config_of(host, listen=(TcpAddress("127.0.0.1", 0),))

    with (
        closing(build_sampler(config, build_runtimes(config))) as sampler,
        closing(build_endpoint(config, sampler, None)) as endpoint,
        closing(http.client.HTTPConnection(endpoint.url.split("/")[2], timeout=10)) as client,
    ):
        sampler.tick()
        client.request("GET", "/metrics")
        assert b"machine_cpu_cores" in client.getresponse().read()


# What topcon costs.


def test_a_sampler_tells_what_it_has_used_and_what_it_was_told_to(host: FakeHost) -> None:
    config = config_of(host, interval=2.5, budget=0.02)
    with closing(build_sampler(config, build_runtimes(config))) as sampler:
        snapshot = sampler.tick()

    own = snapshot.sample.own
    assert own is not None
    assert (own.interval_s, own.asked_interval_s, own.budget) == (2.5, 2.5, 0.02)
    assert own.cpu_s > 0
    assert snapshot.cost is not None
    assert snapshot.cost.rss_bytes == own.rss_bytes


@pytest.mark.parametrize(("budget", "slowness"), [(None, 1), (1.0, 1), (0.02, 4)])
def test_half_of_a_budget_is_for_the_survey(host: FakeHost, budget: float | None, slowness: float) -> None:
    config = config_of(host, budget=budget)
    with closing(build_sampler(config, build_runtimes(config), groups=frozenset())) as sampler:
        survey = sampler._sources.survey

    assert survey is not None
    assert survey._slowness == pytest.approx(slowness)


def test_without_a_file_there_is_no_profile(host: FakeHost) -> None:
    assert build_profile(config_of(host)) is None


def test_a_profile_is_written_at_once(host: FakeHost, tmp_path: Path) -> None:
    build_profile(config_of(host, profile=tmp_path / "p.txt"))

    assert (tmp_path / "p.txt").read_text().startswith("topcon")


@pytest.mark.parametrize(
    ("place", "reason"),
    [("nowhere/p.txt", "no such file or directory"), ("file/p.txt", "not a directory")],
)
def test_a_profile_that_cannot_be_written_is_a_mistake(host: FakeHost, tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError) as caught:
        build_profile(config_of(host, profile=tmp_path / place))

    assert str(caught.value) == f"--profile {tmp_path}/{place}: {reason}"
