"""The thread of the survey: rounds, rests, and how it ends; and what a sampler tells it to look at."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeHost, FakeRuntimes, FakeWatch

from topcon.kernel import survey as module
from topcon.kernel.survey import BREATH_S, LEAST_REST_S, RESTS_PER_ROUND, WHOLE_SHARE, SurveyThread
from topcon.kernel.target import Target
from topcon.model.sample import CgroupPath, ContainerInfo, NetnsKey, RuntimeSample, Source, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.kernel.survey import Finished
    from topcon.model.sample import CgroupPath as Pathname
    from topcon.sampler import Sampler

WEB, DB = "a" * 64, "b" * 64
HERE = CgroupPath("/here")
SNMP = "Tcp: InSegs\nTcp: 5\n"
PATIENCE_S = 10.0
"""How long a thread may take on a busy machine; never waited for when all is well."""


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def survey_of(host: FakeHost, *groups: str, share: float = WHOLE_SHARE) -> SurveyThread:
    return SurveyThread(host.proc_root, frozenset(groups), str(host.root), pids_of=lambda _: [100], share=share)


@pytest.fixture
def surveyed(host: FakeHost) -> FakeHost:
    """A host with one process that a survey can look at."""
    host.process(100, netns=4026540001)
    host.write("proc/100/net/snmp", SNMP)
    host.write("proc/100/schedstat", "1500000000 0 3\n")
    return host


def target_of(host: FakeHost) -> Target:
    netns = (host.root / "proc/100/net/dev").stat().st_ino
    return Target(HERE, (HERE,), 100, NetnsKey(netns))


def round_of(survey: SurveyThread, *targets: Target) -> Finished:
    survey._round(targets)
    finished = survey.newest
    assert finished is not None
    return finished


def test_a_round_brings_everything(surveyed: FakeHost) -> None:
    target = target_of(surveyed)
    finished = round_of(survey_of(surveyed), target)

    assert finished.survey.tasks[HERE].run_s == 1.5
    assert target.netns is not None
    assert finished.survey.protocols[target.netns].tcp == {"InSegs": 5}
    assert finished.malformed is None
    assert (finished.source.name, finished.source.errors) == ("survey", 0)
    assert finished.source.succeeded_ns is not None


def test_groups_that_are_asked_for_are_read(surveyed: FakeHost) -> None:
    surveyed.write("proc/100/net/tcp", "titles\n")
    (plain,), (asked,) = (
        round_of(survey_of(surveyed, *groups), target_of(surveyed)).survey.protocols.values()
        for groups in ((), ("tcp",))
    )

    assert (plain.tcp_states, asked.tcp_states) == (None, {"tcp": {}})


def test_a_network_is_read_once_however_many_share_it(surveyed: FakeHost) -> None:
    target = target_of(surveyed)
    other = Target(CgroupPath("/other"), (), 999, target.netns)
    survey = survey_of(surveyed)

    assert len(round_of(survey, target, other, Target(HERE, ())).survey.protocols) == 1


@pytest.mark.parametrize("file", ["proc/100/schedstat", "proc/100/net/snmp", "proc/1/mountinfo", "proc/100/mountinfo"])
def test_what_is_not_understood_is_counted_and_the_rest_stays(surveyed: FakeHost, file: str) -> None:
    survey = survey_of(surveyed)
    target = Target(HERE, (HERE,), 100, target_of(surveyed).netns, is_container=True)
    whole = round_of(survey_of(surveyed), target)
    surveyed.write(file, "Tcp: what\nTcp: - /dev/\n")
    broken = round_of(survey, target)

    assert broken.malformed is not None
    assert broken.malformed.path.endswith(file)
    assert (broken.source.errors, broken.source.succeeded_ns) == (1, None)
    assert whole.malformed is None
    parts = [bool(part) for part in (broken.survey.tasks, broken.survey.protocols)]
    assert parts == [file != "proc/100/schedstat", not file.endswith("snmp")]


def test_errors_add_up_and_the_last_success_stays(surveyed: FakeHost) -> None:
    survey = survey_of(surveyed)
    good = round_of(survey, target_of(surveyed)).source
    surveyed.write("proc/100/schedstat", "what")
    round_of(survey, target_of(surveyed))
    bad = round_of(survey, target_of(surveyed)).source

    assert (bad.errors, bad.succeeded_ns) == (2, good.succeeded_ns)


@pytest.mark.parametrize(
    ("cpu_s", "share", "rest_s"),
    [
        (0.0, WHOLE_SHARE, LEAST_REST_S),
        (0.01, WHOLE_SHARE, LEAST_REST_S),
        (3.0, WHOLE_SHARE, 3 * RESTS_PER_ROUND),
        (3.0, 1.0, 3 * RESTS_PER_ROUND),
        (3.0, WHOLE_SHARE / 4, 12 * RESTS_PER_ROUND),
    ],
)
def test_it_rests_for_as_long_as_a_round_was_dear(
    surveyed: FakeHost, monkeypatch: pytest.MonkeyPatch, cpu_s: float, share: float, rest_s: float
) -> None:
    survey = survey_of(surveyed, share=share)
    readings = iter([100.0, 100.0 + cpu_s])
    here = threading.current_thread()

    def thread_time() -> float:
        # The thread of a survey that another test has let go may still be in its last round.
        return next(readings) if threading.current_thread() is here else time.thread_time()

    clock = SimpleNamespace(
        monotonic=time.monotonic, monotonic_ns=time.monotonic_ns, time_ns=time.time_ns, thread_time=thread_time
    )
    monkeypatch.setattr(module, "time", clock)

    assert survey._round((target_of(surveyed),)) == pytest.approx(rest_s)


@pytest.fixture
def started(surveyed: FakeHost) -> Iterator[SurveyThread]:
    survey = survey_of(surveyed)
    yield survey
    survey.stop()
    if survey._thread.ident:
        survey._thread.join(PATIENCE_S)
    assert not survey._thread.is_alive()


def test_the_thread_begins_when_it_is_aimed_and_looks_at_the_newest_targets(
    surveyed: FakeHost, started: SurveyThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_REST_S", 0.001)
    monkeypatch.setattr(module, "RESTS_PER_ROUND", 0)
    assert started.newest is None
    assert not started._thread.is_alive()

    started.aim((target_of(surveyed),))
    until(lambda: started.newest and started.newest.survey.tasks)
    started.aim(())
    until(lambda: started.newest and not started.newest.survey.tasks)


def test_it_stops_while_it_rests(surveyed: FakeHost, started: SurveyThread) -> None:
    started.aim((target_of(surveyed),))
    until(lambda: started.newest)
    started.stop()

    until(lambda: not started._thread.is_alive())
    assert started.newest is not None


def test_it_stops_in_the_midst_of_a_round(surveyed: FakeHost, started: SurveyThread) -> None:
    began, go_on = threading.Event(), threading.Event()

    def pids_of(path: Pathname) -> list[int]:
        del path
        began.set()
        go_on.wait()
        return [100]

    started._tasks._pids_of = pids_of
    started.aim((target_of(surveyed),))
    began.wait()
    started.stop()
    go_on.set()

    until(lambda: not started._thread.is_alive())
    assert started.newest is None


def test_one_that_is_stopped_before_never_begins(surveyed: FakeHost, started: SurveyThread) -> None:
    started.stop()
    started.aim((target_of(surveyed),))

    assert started._thread.ident is None


def test_it_breathes_without_stopping(started: SurveyThread) -> None:
    assert BREATH_S > 0
    started._breathe()


def test_a_bug_is_raised_where_it_is_looked_at(surveyed: FakeHost, started: SurveyThread) -> None:
    def pids_of(path: Pathname) -> list[int]:
        raise ZeroDivisionError(path)

    started._tasks._pids_of = pids_of
    started.aim((target_of(surveyed),))
    until(lambda: not started._thread.is_alive())

    with pytest.raises(ZeroDivisionError):
        _ = started.newest


# With a sampler.


class Aimed:
    """A survey that only hears what it should look at."""

    newest: Finished | None = None

    def __init__(self) -> None:
        self.targets: list[tuple[Target, ...]] = []
        self.is_stopped = False

    def aim(self, targets: tuple[Target, ...]) -> None:
        self.targets.append(targets)

    def stop(self) -> None:
        self.is_stopped = True


def sampler_of(
    host: FakeHost, survey: Aimed, runtimes: FakeRuntimes | None = None, *, has_system_cgroups: bool = False
) -> Sampler:
    sampler = host.sampler(runtimes, has_system_cgroups=has_system_cgroups)
    sampler._sources = replace(sampler._sources, survey=survey)  # type: ignore[arg-type]
    return sampler


def aimed(host: FakeHost, runtimes: FakeRuntimes | None = None) -> tuple[Aimed, dict[str, Target]]:
    survey = Aimed()
    sampler_of(host, survey, runtimes, has_system_cgroups=True).tick()
    return survey, {target.path: target for target in survey.targets[0]}


def netns_of(host: FakeHost, pid: int) -> int:
    return (host.root / f"proc/{pid}/net/dev").stat().st_ino


def test_a_container_has_what_is_inside_it_but_not_what_containers_inside_it_have(host: FakeHost) -> None:
    outer = f"/system.slice/docker-{WEB}.scope"
    nested = f"{outer}/docker/{DB}"
    host.container(outer, 100)
    host.cgroup(f"{outer}/init", {"cgroup.procs": ""})
    host.cgroup(f"{outer}/init/deeper", {"cgroup.procs": ""})
    host.container(nested, 200)
    host.cgroup(f"{nested}/init", {"cgroup.procs": ""})

    _, targets = aimed(host)

    assert targets[outer].cgroups == (outer, f"{outer}/docker", f"{outer}/init", f"{outer}/init/deeper")
    assert targets[nested].cgroups == (nested, f"{nested}/init")
    assert targets["/system.slice"].cgroups == ("/system.slice",)
    assert (targets[outer].is_container, targets[outer].is_nested) == (True, False)
    assert (targets[nested].is_container, targets[nested].is_nested) == (True, True)
    assert (targets[outer].pid, targets[outer].netns) == (100, netns_of(host, 100))


def test_the_host_and_its_slices_are_no_containers(host: FakeHost) -> None:
    host.cgroup("/system.slice", {"cgroup.procs": ""})

    _, targets = aimed(host)

    assert targets["/"] == Target(CgroupPath("/"), (CgroupPath("/"),), 1, NetnsKey(netns_of(host, 1)))
    assert targets["/system.slice"] == Target(CgroupPath("/system.slice"), (CgroupPath("/system.slice"),))


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_a_candidate_is_a_container_once_it_is_confirmed(host: FakeHost, is_confirmed: bool) -> None:
    host.container("/default/redis", 100)
    info = ContainerInfo("default/redis", "containerd", "redis", Source.API, State.RUNNING)  # type: ignore[arg-type]
    sample = RuntimeSample("containerd", "/run/c.sock", up=True, is_listed=True)

    _, targets = aimed(host, FakeRuntimes([FakeWatch((info,) if is_confirmed else (), sample)]))

    assert targets["/default/redis"].is_container is is_confirmed


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_no_runtime_knows_is_looked_at_too(host: FakeHost, is_alone: bool) -> None:
    path = "/machine.slice/adrift.scope"
    host.container(path, 100)
    (host.root / "proc/100").joinpath("cgroup").write_text(f"0::{path}\n")
    if not is_alone:
        host.process(101, netns=netns_of(host, 1))
        (host.root / "proc/101").joinpath("cgroup").write_text(f"0::{path}\n")
        host.cgroup(path, {"cgroup.procs": "100\n101\n"})

    survey, _ = aimed(host)

    (target,) = (target for target in survey.targets[0] if target.netns == netns_of(host, 100))
    assert (target.path, target.pid) == (path, 100)
    assert (target.is_container, target.cgroups) == ((True, (path,)) if is_alone else (False, ()))


def test_targets_stay_the_same_object_until_something_comes_or_goes(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100)
    survey = Aimed()
    sampler = sampler_of(host, survey)
    sampler.tick()
    sampler.tick()
    host.cgroup(f"/docker/{WEB}/init", {"cgroup.procs": ""})
    sampler.tick()

    first, second, third = survey.targets
    assert first is second
    assert third != first


def test_a_sampler_hands_the_survey_on_and_stops_it(surveyed: FakeHost) -> None:
    survey = Aimed()
    sampler = sampler_of(surveyed, survey)
    before = sampler.tick().sample
    survey.newest = round_of(survey_of(surveyed), target_of(surveyed))
    after = sampler.tick().sample
    sampler.close()

    assert before.survey is None
    assert "survey" not in {source.name for source in before.sources}
    assert after.survey is survey.newest.survey
    assert after.sources[-1] is survey.newest.source
    assert after.problems == ()
    assert survey.is_stopped


def test_what_the_survey_did_not_understand_is_a_problem(surveyed: FakeHost) -> None:
    survey = Aimed()
    surveyed.write("proc/100/schedstat", "what")
    survey.newest = round_of(survey_of(surveyed), target_of(surveyed))

    (problem,) = sampler_of(surveyed, survey).tick().sample.problems

    assert problem.source == "survey"
    assert "schedstat" in problem.message


def test_a_survey_of_this_host_sees_this_process() -> None:
    survey = SurveyThread("/proc", frozenset({"tcp", "udp"}), pids_of=lambda _: [os.getpid()])
    netns = NetnsKey(os.stat("/proc/self/net/dev").st_ino)  # noqa: PTH116  as the reader has it

    finished = round_of(survey, Target(HERE, (HERE,), os.getpid(), netns))

    assert finished.malformed is None
    assert sum(finished.survey.tasks[HERE].states.values()) >= 1
    assert "InSegs" in finished.survey.protocols[netns].tcp
