"""A signal to one process of a container: what is asked, what is done, and what is written down of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from samples import HOSTILE_NAMES, docker_key, process_of, running, sample_of, snapshot_after, text_of, unsafe

from topcon.actions import Actions, AuditLog, Verb, Way, describe, request_for
from topcon.batch import Batch, plan
from topcon.errors import ActionFailed
from topcon.kernel import control
from topcon.kernel.files import Access
from topcon.kernel.process import ProcFs
from topcon.model.sample import ProcessSample
from topcon.runtimes.watch import RuntimeWatches
from topcon.ui.question import Question, Target, Wish, lines_of, title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes import FakeHost

    from topcon.model.snapshot import ContainerNode, Snapshot

SNAPSHOT: Snapshot = snapshot_after(sample_of(running("web")))
WEB: ContainerNode = SNAPSHOT.containers[docker_key("web")]
TERM, USR1 = 1 << (signal.SIGTERM - 1), 1 << (signal.SIGUSR1 - 1)


def member(pid: int = 4711, comm: str = "nginx", **options: Any) -> ProcessSample:
    return ProcessSample(
        **({"pid": pid, "start_ticks": 700, "comm": comm, "started_ns": 0, "ns_pids": (pid, 9)} | options)
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def actions(host: FakeHost, log: Path) -> Actions:
    return Actions(RuntimeWatches([]), ProcFs(host.proc_root, Access()), AuditLog(log, None))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def sample_of_process(pid: int) -> ProcessSample:
    found = ProcFs("/proc", Access()).sample(pid, 0)
    assert found is not None
    return found


def test_the_very_process_gets_the_signal(log: Path, sleeper: subprocess.Popen[bytes]) -> None:
    actions = Actions(RuntimeWatches([]), ProcFs("/proc", Access()), AuditLog(log, None))
    seen = sample_of_process(sleeper.pid)
    request = request_for(Verb.KILL, WEB, signal="term", way=Way.KERNEL, member=seen)

    outcome = actions.perform(request)

    assert sleeper.wait(10) == -signal.SIGTERM
    assert outcome.error is None
    assert outcome.text.startswith(f"sent SIGTERM to process {sleeper.pid} (sleep) of web in ")
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["action"] == "kill"
    assert line["signal"] == "SIGTERM"
    assert line["container"] == WEB.key
    assert line["process"] == {"pid": sleeper.pid, "comm": "sleep"}
    assert line["result"] == "done"


def test_another_process_under_its_pid_is_left_alone(log: Path, sleeper: subprocess.Popen[bytes]) -> None:
    actions = Actions(RuntimeWatches([]), ProcFs("/proc", Access()), AuditLog(log, None))
    other = member(sleeper.pid, start_ticks=sample_of_process(sleeper.pid).start_ticks - 1)

    outcome = actions.perform(request_for(Verb.KILL, WEB, way=Way.KERNEL, member=other))

    assert sleeper.poll() is None
    assert outcome.error == control.GONE
    assert outcome.text == f"kill process {sleeper.pid} (nginx) of web: {control.GONE}"
    assert json.loads(log.read_text())["result"] == control.GONE


def test_the_question_names_process_container_and_signal() -> None:
    question = Question(
        Verb.KILL, (Target(WEB, Way.KERNEL, ("it ignores SIGHUP: nothing happens",)),), "SIGHUP", member()
    )

    assert title(question) == "Send SIGHUP to process 4711 (nginx) of web?"
    assert [text_of(line) for line in lines_of(question, Wish(signal="SIGHUP"))] == [
        "• sends SIGHUP to process 4711 (nginx) alone",
        "• it ignores SIGHUP: nothing happens",
    ]


@pytest.mark.parametrize("comm", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_name_does_not_move_the_cursor(comm: str) -> None:
    request = request_for(Verb.KILL, WEB, way=Way.KERNEL, member=member(comm=comm))
    question = Question(Verb.KILL, (Target(WEB, Way.KERNEL),), member=member(comm=comm))

    assert not unsafe(request.past + describe(request, WEB) + title(question))


@pytest.mark.parametrize(
    ("caught", "ignored", "name", "lines"),
    [
        (TERM, 0, "SIGTERM", ["it handles SIGTERM"]),
        (0, TERM, "SIGTERM", ["it ignores SIGTERM: nothing happens"]),
        (0, 0, "SIGTERM", []),
        (TERM, 0, "SIGKILL", []),
        (0, USR1, "usr1", ["it ignores SIGUSR1: nothing happens"]),
        (0, 0, "SIGSTOP", []),
    ],
)
def test_what_the_process_makes_of_it_is_told(
    host: FakeHost, actions: Actions, caught: int, ignored: int, name: str, lines: list[str]
) -> None:
    host.process(4711, caught=caught, ignored=ignored, ns_pids=(4711, 9))

    assert actions.consequences_for_process(member(), WEB, SNAPSHOT, name) == lines


def test_the_end_of_the_first_process_is_the_end_of_all(host: FakeHost, actions: Actions) -> None:
    assert WEB.process is not None
    first = process_of("web")
    host.process(first.pid, caught=TERM, ns_pids=(first.pid, 1))

    assert actions.consequences_for_process(first, WEB, SNAPSHOT, "SIGKILL")[0].startswith("it is the first process")
    assert actions.consequences_for_process(first, WEB, SNAPSHOT, "SIGTERM")[:2] == [
        "it is the first process: its end is the end of all others",
        "its first process handles SIGTERM",
    ]
    assert actions.consequences_for_process(first, WEB, SNAPSHOT, "SIGHUP") == [
        "its first process does not handle SIGHUP: nothing happens"
    ]


def test_who_may_not_signal_it_is_told_so(actions: Actions) -> None:
    assert not actions.may_signal(member(os.getpid()))


def test_a_batch_of_one_process_is_planned_for_it_alone(actions: Actions) -> None:
    planned = plan(Verb.KILL, [WEB], signal="SIGHUP", ways={WEB.key: Way.KERNEL}, member=member())
    ((request,),) = planned.waves

    assert request.member == member()
    batch = Batch(planned, actions, lambda: None)
    batch.run()
    assert [step.has_failed for step in batch.steps] == [True]


def test_a_container_without_a_cgroup_has_processes_that_can_be_signalled(
    actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(control, "send_signal", lambda *what: told.append(what))
    request = request_for(Verb.KILL, WEB._replace(cgroup=None), signal="HUP", way=Way.KERNEL, member=member())

    assert actions.perform(request).error is None
    assert [what[1:] for what in told if isinstance(what, tuple)] == [(member(), signal.SIGHUP)]


def test_a_refusal_of_the_kernel_is_told(actions: Actions, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        message = "permission denied at process 4711: root may"
        raise ActionFailed(message)

    monkeypatch.setattr(control, "send_signal", refuse)

    outcome = actions.perform(request_for(Verb.KILL, WEB, way=Way.KERNEL, member=member()))
    assert outcome.error == "permission denied at process 4711: root may"
