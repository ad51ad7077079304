"""The command line: what each command prints where, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from urllib.error import HTTPError, URLError

import psutil
import pytest
from fakes import START_WALL_NS, FakeHost, FakeRuntimes, FakeWatch
from running import PATIENCE_S, Answer, Running, Said
from samples import HOSTILE_NAMES, container_id, docker_key, info_of, sample_of, snapshot_after, unsafe

from topcon import __version__, cli, wiring
from topcon.actions import Actions, Outcome, Verb, Way
from topcon.commands import ticking
from topcon.commands.ticking import end_profile, pace_teller
from topcon.config import default_file
from topcon.errors import HostUnreadable, ParseError
from topcon.findings import Threshold, Thresholds
from topcon.model.sample import OwnSample, Problem, RuntimeSample, State
from topcon.profile import Profile
from topcon.recording.reader import Reader
from topcon.sampler import SamplerThread
from topcon.setup import DASHBOARD_NAMES
from topcon.setup.dashboards import DASHBOARDS
from topcon.ui import app as topcon_app
from topcon.ui import capabilities
from topcon.ui.capabilities import Capabilities, Colors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from topcon.actions import Request
    from topcon.config import Config
    from topcon.model.sample import ContainerInfo
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.sampler import Sampler
    from topcon.ui.app import Following

NAMES = "containerd, cri-o, docker, incus, podman"
COMMANDS = ("serve", "ps", "doctor", "stop", "restart", "pause", "unpause", "kill")
VERBS = COMMANDS[3:]


@pytest.fixture(autouse=True)
def _own_psutil_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give psutil's root, which a reader sets, back after the test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""

    def run(*arguments: str) -> Answer:
        try:
            status: Any = cli.main(arguments)
        except SystemExit as end:
            status = end.code
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture
def ps(host: FakeHost, run: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``topcon ps`` on the host made of files, as fast as it goes."""
    host.write("etc/hostname", "testhost\n")
    return lambda *arguments: run("ps", "--host-root", str(host.root), "--interval", "0.1", *arguments)


def add(host: FakeHost, name: str, pid: int, **counters: Any) -> None:
    host.container(f"/docker/{container_id(name)}", pid, **counters)


# Help, version, bad usage.


def test_the_version_is_one_line(run: Callable[..., Answer]) -> None:
    assert run("--version") == Answer(0, f"topcon {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [[], *([command] for command in COMMANDS)], ids=lambda each: " ".join(each) or "-"
)
def test_help_is_for_stdout(run: Callable[..., Answer], arguments: list[str]) -> None:
    answer = run(*arguments, "--help")

    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(" ".join(["usage: topcon", *arguments]))
    for option in ("--config FILE", "--runtime NAME", "--read-only", "--host-root DIR", "--interval S"):
        assert option in answer.out


def test_help_names_all_commands(run: Callable[..., Answer]) -> None:
    out = run("--help").out

    assert all(f"\n    {command} " in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["ps", "web"], "unrecognized arguments: web"),
        (["ps", "--json", "--csv"], "not allowed with argument --json"),
        (["ps", "--interval", "0"], "expected seconds from 0.1 to 3600"),
        (["ps", "--interval"], "expected one argument"),
        (["ps", "--sort", "size"], "expected one of"),
        (["ps", "--theme", "dark"], "unrecognized arguments"),
        (["serve", "--listen", "host:http"], "expected ADDRESS:PORT"),
        (["--listen", "1:2:3"], "belongs in brackets"),
        (["serve", "--enable-metrics", "tcp,cpu"], "'cpu': expected one of advtcp, cpu_topology"),
        (["serve", "--labels", "none"], "expected one of docker, kubelet, auto"),
        (["serve", "--max-scrapes", "0"], "expected a number from 1 to 1024"),
        (["ps", "--listen", "9338"], "unrecognized arguments"),
        (["doctor", "--proc-root", "/no/such/folder"], "there is no such directory"),
        (["stop"], "the following arguments are required: TARGET"),
        (["stop", "web", "--grace", "-1"], "expected seconds, from 0 to 86400"),
        (["stop", "web", "--grace", "nan"], "expected seconds, from 0 to 86400"),
        (["stop", "web", "--grace", "soon"], "expected seconds, from 0 to 86400"),
        (["kill", "web", "--signal", "SIGNAL"], "there is no such signal"),
        (["kill", "web", "--grace", "1"], "unrecognized arguments"),
        (["pause", "web", "--signal", "TERM"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_line_and_exits_64(run: Callable[..., Answer], arguments: list[str], words: str) -> None:
    answer = run(*arguments)

    assert answer.status == 64
    assert answer.line.startswith("topcon: ")
    assert words in answer.line
    assert "--help tells more" in answer.line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_runtime_that_there_is_not_is_a_mistake(run: Callable[..., Answer], host: FakeHost, command: str) -> None:
    target = ["web"] if command in VERBS else []
    answer = run(command, *target, "--host-root", str(host.root), "--runtime", "dockerd")

    assert answer.status == 64
    assert answer.line == f"topcon: --runtime dockerd: expected NAME or NAME=SOCKET, with NAME one of {NAMES}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_there_is_a_mistake(run: Callable[..., Answer], tmp_path: Path, command: str) -> None:
    target = ["web"] if command in VERBS else []
    answer = run(command, *target, "--config", str(tmp_path / "none.toml"))

    assert (answer.status, answer.line) == (64, f"topcon: --config {tmp_path}/none.toml: there is no such file")


@pytest.mark.parametrize("command", ["serve", "ps", "stop"])
def test_a_host_that_cannot_be_read_exits_69_with_the_remedy(
    run: Callable[..., Answer], tmp_path: Path, command: str
) -> None:
    answer = run(command, *(["web"] if command == "stop" else []), "--host-root", str(tmp_path))

    assert answer.status == 69
    assert answer.line.startswith(f"topcon: {tmp_path}/proc: no such file or directory".replace("no such", "No such"))
    assert "--proc-root" in answer.line


def test_without_a_terminal_the_screen_is_refused_with_what_to_do_instead(run: Callable[..., Answer]) -> None:
    answer = run()

    assert answer.status == 64
    assert "needs a terminal" in answer.line
    assert "topcon ps" in answer.line


def failing(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), Answer(130, "", "")),
        (HostUnreadable("no host"), Answer(69, "", "topcon: no host\n")),
        (ParseError("/proc/stat", "x"), Answer(1, "", "topcon: /proc/stat: cannot understand 'x'\n")),
    ],
)
def test_each_kind_of_end_has_its_status(
    run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, error: BaseException, expected: Answer
) -> None:
    monkeypatch.setattr(wiring, "build_runtimes", failing(error))

    assert run("ps") == expected


def test_a_bug_is_not_made_a_message_of(run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "build_runtimes", failing(ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        run("ps")


@pytest.mark.parametrize(
    "arguments", [["ps", "--interval", "0.1"], ["doctor"], ["--help"], ["ps", "--help"], ["--version"]]
)
def test_a_closed_pipe_is_silent(host: FakeHost, arguments: list[str]) -> None:
    roots = ["--host-root", str(host.root)] if arguments[-1] not in {"--help", "--version"} else []
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "topcon", *arguments, *roots],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env=environment,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (0, "")


# ps.


def test_ps_prints_the_tree(host: FakeHost, ps: Callable[..., Answer]) -> None:
    add(host, "web", 100)
    answer = ps()

    assert (answer.status, answer.err) == (0, "")
    head, blank, titles, line = answer.out.splitlines()
    assert head.startswith("testhost  6.12.0-test  cgroup v2")
    assert (blank, titles.split()[0]) == ("", "NAME")
    assert line.startswith(container_id("web")[:12])


def test_ps_prints_one_json_object_of_two_samples(host: FakeHost, ps: Callable[..., Answer]) -> None:
    add(host, "web", 100, current=4096, inactive_file=96)
    answer = ps("--json")
    document = json.loads(answer.out)

    assert (answer.status, answer.err, document["version"]) == (0, "", 1)
    assert document["interval_s"] > 0
    (container,) = document["pods"][0]["containers"]
    assert (container["key"], container["memory"]["working_set_bytes"]) == (docker_key("web"), 4000)
    assert container["cpu"]["cores"] == 0


def test_ps_prints_a_line_a_container_as_csv(host: FakeHost, ps: Callable[..., Answer]) -> None:
    for at, name in enumerate(("web", "db")):
        add(host, name, 100 + at)
    answer = ps("--csv")

    assert (answer.status, answer.err) == (0, "")
    assert {row["key"] for row in csv.DictReader(io.StringIO(answer.out))} == {docker_key("web"), docker_key("db")}


@pytest.mark.parametrize(
    ("form", "is_empty"),
    [
        ([], lambda out: out.splitlines()[-1].startswith("NAME")),
        (["--json"], lambda out: json.loads(out)["pods"] == []),
        (["--csv"], lambda out: out.count("\n") == 1),
    ],
)
@pytest.mark.parametrize("has_container", [True, False])
def test_a_filter_that_nothing_matches_is_no_error(
    host: FakeHost, ps: Callable[..., Answer], form: list[str], is_empty: Callable[[str], bool], has_container: bool
) -> None:
    if has_container:
        add(host, "web", 100)
    answer = ps("--filter", "nothing-like-it", *form)

    assert (answer.status, answer.err) == (0, "")
    assert is_empty(answer.out)


def test_ps_sorts_by_the_column_that_is_named(host: FakeHost, ps: Callable[..., Answer]) -> None:
    for at, (name, size) in enumerate({"a": 10, "b": 30, "c": 20}.items()):
        add(host, name, 100 + at, current=size << 20)

    def order(*arguments: str) -> list[str]:
        return [pod["containers"][0]["key"] for pod in json.loads(ps("--json", *arguments).out)["pods"]]

    assert order("--sort", "mem") == [docker_key(name) for name in ("b", "c", "a")]
    assert order("--sort", "name") == sorted(docker_key(name) for name in ("b", "c", "a"))


def test_an_option_wins_over_the_file_whether_before_the_command_or_behind(
    host: FakeHost, run: Callable[..., Answer], tmp_path: Path
) -> None:
    add(host, "web", 100)
    file = tmp_path / "topcon.toml"
    file.write_text(f'interval = 0.1\nhost_root = "{host.root}"\nfilter = "nothing-like-it"\n')

    def keys(*arguments: str) -> list[str]:
        return [pod["containers"][0]["key"] for pod in json.loads(run(*arguments).out)["pods"]]

    assert keys("ps", "--json", "--config", str(file)) == []
    assert keys("--config", str(file), "ps", "--json") == []
    assert keys("ps", "--json", "--config", str(file), "--filter", "") == [docker_key("web")]
    assert keys("--filter", "", "ps", "--json", "--config", str(file)) == [docker_key("web")]


@pytest.mark.parametrize(
    ("thresholds", "codes"), [("", []), ("pids-near-limit = '50%'", ["pids-near-limit"]), ("restart-loop = 2", [])]
)
def test_what_is_wrong_is_found_by_the_thresholds_of_the_file(
    host: FakeHost, ps: Callable[..., Answer], tmp_path: Path, thresholds: str, codes: list[str]
) -> None:
    add(host, "web", 4242, pids=60, pids_max="100")
    file = tmp_path / "topcon.toml"
    file.write_text(f"[thresholds]\n{thresholds}\n")

    found = json.loads(ps("--json", "--config", str(file)).out)["findings"]
    assert [finding["code"] for finding in found] == codes


@pytest.mark.parametrize(("order", "is_reversed"), [("name", False), ("name:reversed", True)])
def test_the_order_can_be_turned_around(
    host: FakeHost, ps: Callable[..., Answer], order: str, is_reversed: bool
) -> None:
    add(host, "web", 4242)
    add(host, "db", 4243)

    listed = [pod["containers"][0]["id"] for pod in json.loads(ps("--json", "--sort", order).out)["pods"]]
    shown = [line.split()[0] for line in ps("--sort", order).out.splitlines()[3:5]]
    assert shown == sorted((each[:12] for each in listed), reverse=is_reversed)


def test_a_saved_filter_can_be_named_as_an_option(host: FakeHost, ps: Callable[..., Answer], tmp_path: Path) -> None:
    add(host, "web", 4242)
    file = tmp_path / "topcon.toml"
    file.write_text("[filters]\nnone = 'name:no-such'\nall = '!@none'\n")

    def count(name: str) -> int:
        return len(json.loads(ps("--json", "--config", str(file), "--filter", name).out)["pods"])

    assert [count("@none"), count("@all")] == [0, 1]
    assert ps("--config", str(file), "--filter", "@some").line.startswith("topcon: --filter '@some', column 1: ")


def test_what_is_wrong_in_the_file_is_told_with_the_tree(ps: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("inter_val = 3\n")

    told = f"config: {file}:1: inter_val: there is no such setting; did you mean interval?"
    assert told in ps("--config", str(file)).out.splitlines()
    problems = json.loads(ps("--json", "--config", str(file)).out)["problems"]
    assert [problem["source"] for problem in problems] == ["config"]


def test_a_file_that_cannot_be_understood_is_a_mistake(ps: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("interval =\n")
    answer = ps("--config", str(file))

    assert answer.status == 64
    assert answer.line.startswith(f"topcon: {file}:1: cannot be read: ")


# doctor.


def test_doctor_prints_its_checks(host: FakeHost, run: Callable[..., Answer]) -> None:
    answer = run("doctor", "--host-root", str(host.root))

    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[0].split() == ["ok", "cgroups", "v2", "at", host.cgroup_root]


def test_doctor_prints_one_json_object(host: FakeHost, run: Callable[..., Answer]) -> None:
    answer = run("doctor", "--json", "--host-root", str(host.root), "--runtime", f"docker={host.root}/none.sock")
    found = {check["name"]: check for check in json.loads(answer.out)["checks"]}

    assert (answer.status, answer.err) == (0, "")
    assert found["docker"]["status"] == "lacks"
    assert found["docker"]["detail"] == f"{host.root}/none.sock is no socket"


def test_doctor_lists_all_that_is_wrong_in_the_file(host: FakeHost, run: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("theme = 'no-such'\ncolour = 1\n[keys]\nquitt = 'x'\n")
    checks = json.loads(run("doctor", "--json", "--host-root", str(host.root), "--config", str(file)).out)["checks"]

    wrong = [check["detail"] for check in checks if check["name"] == "configuration"]
    assert [text.partition(" ")[0] for text in wrong] == [f"{file}:{line}:" for line in (1, 2, 4)]
    assert {check["status"] for check in checks if check["name"] == "configuration"} == {"lacks"}


@pytest.mark.parametrize(
    ("content", "status"), [(None, "absent"), ("", "ok"), ("interval = 2\n", "ok"), ("interval = \n", "lacks")]
)
def test_doctor_says_how_the_file_is(
    host: FakeHost, run: Callable[..., Answer], content: str | None, status: str
) -> None:
    if content is not None:
        default_file().parent.mkdir(parents=True)
        default_file().write_text(content)
    checks = json.loads(run("doctor", "--json", "--host-root", str(host.root)).out)["checks"]

    assert [check["status"] for check in checks if check["name"] == "configuration"] == [status]


def test_doctor_reads_where_no_other_command_can(run: Callable[..., Answer], tmp_path: Path) -> None:
    answer = run("doctor", "--host-root", str(tmp_path))

    assert (answer.status, answer.err) == (0, "")
    assert "LACKS  cgroups" in answer.out


# Actions.


class Runtimes(FakeRuntimes):
    """Docker, without a socket: it has settled from the start."""

    def wait_settled(self, silence_s: float) -> None:
        assert silence_s > 0


@dataclass
class NotingActions:
    """Does nothing, and notes what it was asked to do."""

    possible: tuple[Verb, ...] = tuple(Verb)
    error: str | None = None
    fails_for: str | None = None
    requests: list[Request] = field(default_factory=list)

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        assert container.key
        return self.possible

    def way(self, verb: Verb, container: ContainerNode) -> Way | None:
        assert container.key
        return Way.RUNTIME if verb in self.possible else None

    def obstacle(self, verb: Verb, container: ContainerNode) -> str:
        # What the real ones say is for their own tests.
        assert self.way(verb, container) is None
        over = container.info.state.is_over
        return f"it is {container.info.state}" if over else "no runtime that answers knows it"

    def consequences(
        self, verb: Verb, container: ContainerNode, snapshot: Snapshot, way: Way, signal: str
    ) -> list[str]:
        assert container.key in snapshot.containers
        assert verb is Verb.KILL or signal == "SIGKILL"
        assert way is Way.RUNTIME
        return [f"{verb} has a consequence"]

    def perform(self, request: Request) -> Outcome:
        self.requests.append(request)
        is_refused = self.fails_for in {None, request.name}
        return Outcome(request, 1.5, self.error if is_refused else None)


@dataclass
class Desk:
    """A host with containers that Docker names, and what was asked to be done to them."""

    host: FakeHost
    run: Callable[..., Answer]
    docker: FakeWatch
    actions: NotingActions
    is_read_only: bool = False

    def knows(self, *infos: ContainerInfo) -> None:
        self.docker.infos = infos

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(str(request.verb), request.name) for request in self.actions.requests]


@pytest.fixture
def desk(host: FakeHost, run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> Desk:
    docker = FakeWatch(sample=RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True))
    desk = Desk(host, run, docker, NotingActions())
    desk.knows(info_of("web"), info_of("db"))

    def build_sampler(
        config: Config,
        runtimes: Runtimes,
        *,
        naming_s: float | None = None,
        groups: frozenset[str] | None = None,
        **options: Any,
    ) -> Sampler:
        assert naming_s is None or naming_s > 0
        del runtimes
        wanted = {"has_system_cgroups": True} if groups is not None else {}
        return host.sampler(Runtimes([docker]), problems=config.problems, **wanted, **options)

    def build_actions(config: Config, runtimes: Runtimes) -> NotingActions | None:
        assert runtimes
        return None if config.read_only else desk.actions

    monkeypatch.setattr(wiring, "build_runtimes", lambda _: Runtimes([docker]))
    monkeypatch.setattr(wiring, "build_sampler", build_sampler)
    monkeypatch.setattr(wiring, "build_actions", build_actions)
    return desk


@pytest.mark.parametrize("verb", VERBS)
def test_a_container_is_acted_upon(desk: Desk, verb: str) -> None:
    answer = desk.run(verb, "web", "--yes")

    assert answer == Answer(0, f"{Verb(verb).past} web in 1.5 s\n", "")
    assert desk.asked == [(verb, "web")]


@pytest.mark.parametrize(
    ("arguments", "grace_s", "signal_name"),
    [
        (["stop", "web"], 10.0, "SIGKILL"),
        (["stop", "web", "--grace", "0"], 0.0, "SIGKILL"),
        (["restart", "web", "--grace", "2.5s"], 2.5, "SIGKILL"),
        (["kill", "web"], 10.0, "SIGKILL"),
        (["kill", "web", "--signal", "usr1"], 10.0, "SIGUSR1"),
        (["kill", "--signal", "1", "web"], 10.0, "SIGHUP"),
    ],
)
def test_the_grace_period_and_the_signal_are_passed_on(
    desk: Desk, arguments: list[str], grace_s: float, signal_name: str
) -> None:
    desk.run(*arguments, "--yes")

    (request,) = desk.actions.requests
    assert (request.grace_s, request.signal) == (grace_s, signal_name)


def test_the_request_names_the_container_and_its_start_as_they_were_seen(desk: Desk) -> None:
    desk.knows(info_of("web", started_ns=START_WALL_NS))
    desk.run("stop", "web", "--yes")

    (request,) = desk.actions.requests
    assert (request.key, request.started_ns, request.was_live) == (docker_key("web"), START_WALL_NS, True)


@pytest.mark.parametrize(
    "target", ["web", "docker:web", container_id("web"), container_id("web")[:4], f"docker:{container_id('web')[:12]}"]
)
def test_a_target_is_a_name_or_the_start_of_an_id_with_or_without_its_runtime(desk: Desk, target: str) -> None:
    assert desk.run("pause", target, "--yes").status == 0
    assert desk.asked == [("pause", "web")]


def test_a_whole_name_wins_over_the_start_of_another_id(desk: Desk) -> None:
    start = container_id("web")[:4]
    desk.knows(info_of("web"), info_of("db", name=start))
    desk.run("pause", start, "--yes")

    assert desk.actions.requests[0].key == docker_key("db")


@pytest.mark.parametrize("target", ["nothing", "podman:web", "we", "", "docker:", ":web", "docker:docker:web"])
def test_a_target_that_there_is_not_is_a_mistake(desk: Desk, target: str) -> None:
    answer = desk.run("stop", "db", target, "--yes")

    assert (answer.status, desk.asked) == (64, [])
    assert answer.line == f"topcon: {target}: there is no such container; topcon ps lists them"


@pytest.mark.parametrize("other", ["plain", *HOSTILE_NAMES.values()])
def test_an_ambiguous_target_is_refused_with_the_candidates(desk: Desk, other: str) -> None:
    one, two = (replace(info_of(name), id=f"abc{at}" + container_id(name)[4:]) for at, name in enumerate(("web", "db")))
    desk.knows(one, replace(two, name=other))
    answer = desk.run("stop", "abc", "--yes")

    assert (answer.status, desk.asked) == (64, [])
    assert answer.line.startswith("topcon: abc: which one? ")
    assert f"docker:web ({one.id[:12]})" in answer.line
    assert two.id[:12] in answer.line
    assert unsafe(answer.err) == {"\n"}


def test_two_of_a_name_are_ambiguous(desk: Desk) -> None:
    desk.knows(info_of("web"), info_of("db", name="web"))
    answer = desk.run("stop", "web", "--yes")

    assert (answer.status, desk.asked) == (64, [])
    assert "which one?" in answer.line


def test_one_that_cannot_be_done_keeps_all_from_being_done(desk: Desk) -> None:
    desk.actions.possible = (Verb.START,)
    desk.knows(info_of("web"), info_of("db", state=State.EXITED))
    answer = desk.run("stop", "db", "web", "--yes")

    assert (answer.status, desk.asked) == (1, [])
    assert answer.line == "topcon: cannot stop db: it is exited"


def test_what_no_runtime_knows_cannot_be_acted_upon(desk: Desk) -> None:
    desk.actions.possible = ()

    assert desk.run("stop", "web", "--yes").line == "topcon: cannot stop web: no runtime that answers knows it"


def test_several_are_acted_upon_and_one_failure_fails_the_whole(desk: Desk) -> None:
    desk.actions.error, desk.actions.fails_for = "permission denied", "web"
    answer = desk.run("restart", "web", "db", "--yes")

    assert answer == Answer(1, "restarted db in 1.5 s\n", "topcon: restart web: permission denied\n")
    assert desk.asked == [("restart", "web"), ("restart", "db")]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("where", ["before", "behind", "file"])
def test_read_only_does_nothing(desk: Desk, tmp_path: Path, verb: str, where: str) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text(f"read_only = {str(where == 'file').lower()}\n")
    flag = ["--read-only"]
    arguments = [verb, "web", "--yes", "--config", str(file)]
    answer = desk.run(*(flag if where == "before" else []), *arguments, *(flag if where == "behind" else []))

    assert (answer.status, desk.asked) == (64, [])
    assert answer.line == f"topcon: {verb}: refused, since read-only is set"


def test_without_a_terminal_nothing_is_done_unasked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    answer = desk.run("stop", "web")

    assert (answer.status, desk.asked) == (64, [])
    assert "--yes" in answer.line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("said", "is_done"),
    [("y\n", True), ("Yes\n", True), (" y \n", True), ("n\n", False), ("\n", False), ("", False), ("yy\n", False)],
)
def test_the_question_tells_the_consequences_and_anything_but_yes_is_no(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, said: str, is_done: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    answer = desk.run("stop", "web", "--grace", "3")

    assert desk.asked == ([("stop", "web")] if is_done else [])
    asked, _, rest = answer.err.partition("Go ahead? [y/N] ")
    assert asked == (f"stop web ({docker_key('web')})\n  sends SIGTERM, after 3 s SIGKILL\n  stop has a consequence\n")
    assert (answer.status, answer.out, rest) == (
        (0, "stopped web in 1.5 s\n", "") if is_done else (1, "", "topcon: nothing was done\n")
    )


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES.values() if name])
def test_no_hostile_name_reaches_the_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    desk.knows(info_of("web", name=name))
    desk.docker.problem = Problem("docker", f"cannot understand {name}")

    answer = desk.run("stop", container_id("web"))

    assert (answer.status, len(desk.asked)) == (0, 1)
    assert unsafe(answer.out) <= {"\n"}
    assert unsafe(answer.err) <= {"\n"}


def test_problems_are_told_beside_what_is_done(desk: Desk) -> None:
    desk.docker.problem = Problem("docker", "no answer for 3 s")
    answer = desk.run("stop", "web", "--yes")

    assert (answer.status, answer.out) == (0, "stopped web in 1.5 s\n")
    assert answer.err == "topcon: docker: no answer for 3 s\n"


# The screen.


class App:
    """A screen that shows nothing, and quits once it has been given a snapshot."""

    made: ClassVar[list[App]] = []
    begin: ClassVar[Callable[[App], object]]
    """What somebody does at once."""

    def __init__(self, follow: Callable[..., Following], **options: Any) -> None:
        self.follow = follow
        self.options = options
        self.snapshots: list[Snapshot] = []
        self.made.append(self)

    def run_until_quit(self) -> int:
        has_come = threading.Event()
        failures: list[BaseException] = []
        self.begin()

        def on_snapshot(snapshot: Snapshot) -> None:
            self.snapshots.append(snapshot)
            has_come.set()

        following = self.follow(on_snapshot, failures.append)
        assert has_come.wait(PATIENCE_S)
        following.stop()
        assert failures == []
        return 3


@pytest.fixture
def screen(
    host: FakeHost, run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Answer, App]]:
    """Run topcon at a terminal, over the host made of files."""

    def screen(*arguments: str, begin: Callable[[App], object] = lambda _: None) -> tuple[Answer, App]:
        monkeypatch.setattr(topcon_app, "TopconApp", App)
        monkeypatch.setattr(App, "made", [])
        monkeypatch.setattr(App, "begin", begin, raising=False)
        monkeypatch.setattr(sys, "stdin", Terminal())
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        answer = run("--host-root", str(host.root), "--interval", "0.1", *arguments)
        (app,) = App.made
        return answer, app

    return screen


def test_the_screen_begins_with_a_snapshot_and_is_given_more(screen: Callable[..., tuple[Answer, App]]) -> None:
    answer, app = screen()

    assert answer == Answer(3, "", "")
    assert app.options["first"].tick == 0
    assert app.snapshots[0].tick == 1
    assert isinstance(app.options["actions"], Actions)
    assert app.options["endpoint"] is None
    assert app.options["interval_s"] == 0.1


@pytest.mark.parametrize("options", [(), ("--read-only",)])
def test_quitting_ends_a_recording_and_says_what_is_in_it(
    screen: Callable[..., tuple[Answer, App]], tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "now.topcon"

    def begin(app: App) -> None:
        app.options["records"].begin(path, app.options["first"].sample.host)

    answer, app = screen(*options, begin=begin)

    with Reader(path) as reader:
        assert not reader.is_written
        count = len(reader.times)
    assert count >= len(app.snapshots) >= 1
    assert answer.status == 3
    assert answer.err.startswith(f"topcon: recorded {count} sample")
    assert answer.err.endswith(f" in {path}\n")


def test_the_screen_is_told_what_was_asked_for(screen: Callable[..., tuple[Answer, App]]) -> None:
    _, app = screen(
        *("--read-only", "--listen", "127.0.0.1:0", "--filter", "web"), *("--sort", "mem", "--theme", "topcon-light")
    )

    assert (app.options["actions"], app.options["filter_text"], app.options["view"].sort) == (None, "web", "mem")
    assert app.options["theme"].name == "topcon-light"
    assert app.options["endpoint"].startswith("http://127.0.0.1:")
    with pytest.raises(URLError):
        urllib.request.urlopen(app.options["endpoint"], timeout=PATIENCE_S)


def test_the_screen_is_told_what_the_terminal_can_show(
    screen: Callable[..., tuple[Answer, App]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "first_environ", lambda: {"TERM": "xterm", "LANG": "C.UTF-8"})
    _, app = screen()
    _, told = screen("--ascii")

    assert app.options["capabilities"] == Capabilities(Colors.FEW, is_ascii=False)
    assert told.options["capabilities"] == Capabilities(Colors.FEW, is_ascii=True)


def test_a_broken_theme_does_not_hinder_the_start(
    screen: Callable[..., tuple[Answer, App]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "topcon" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("dark = 1", encoding="utf-8")
    _, app = screen("--theme", "mine")

    assert app.options["theme"].name == "topcon-dark"
    assert app.options["warning"] == f"{folder}/mine.toml: dark = 1: expected true or false"


@pytest.mark.parametrize(("options", "worn"), [((), "topcon-dark"), (("--theme", "frost"), "frost")])
def test_a_theme_of_the_file_that_there_is_not_is_told_as_the_rest_of_it(
    screen: Callable[..., tuple[Answer, App]], tmp_path: Path, options: tuple[str, ...], worn: str
) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("interval = 2\ntheme = 'papr'\n")
    _, app = screen("--config", str(file), *options)

    (told,) = [each.message for each in app.options["first"].sample.problems if each.source == "config"]
    assert told.startswith(f"{file}:2: theme = 'papr': did you mean paper? expected one of ")
    assert (app.options["theme"].name, app.options["warning"]) == (worn, None)


def test_the_screen_is_told_the_thresholds_in_force(screen: Callable[..., tuple[Answer, App]], tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("thresholds.io-stalled = 0.5\n")

    assert screen("--config", str(file))[1].options["thresholds"] == Thresholds(io_stalled=Threshold(0.5, 0.5))


def test_a_screen_leaves_its_profile(screen: Callable[..., tuple[Answer, App]], tmp_path: Path) -> None:
    screen("--profile", str(tmp_path / "p.txt"), "--budget", "50%")

    text = (tmp_path / "p.txt").read_text()
    assert "\ncgroup     find " in text
    assert "budget      50.00% of a core" in text


def test_a_profile_that_cannot_be_written_is_told_before_the_screen(
    host: FakeHost, run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)

    answer = run("--host-root", str(host.root), "--profile", str(tmp_path / "nowhere/p.txt"))

    assert answer.status == cli.EXIT_USAGE
    assert answer.line == f"topcon: --profile {tmp_path}/nowhere/p.txt: no such file or directory"


def test_the_interval_can_be_set_while_the_screen_is_shown(
    screen: Callable[..., tuple[Answer, App]], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[float] = []
    monkeypatch.setattr(
        SamplerThread, "interval_s", property(lambda _: 0.1, lambda _, interval_s: set_to.append(interval_s))
    )
    _, app = screen()

    following: Any = app.follow(lambda _: None, lambda _: None)
    following.set_interval(2.5)
    following.stop()

    assert set_to == [2.5]


# serve.


def slowed(at_s: float, interval_s: float) -> Snapshot:
    own = OwnSample(0.0, None, interval_s, 1.0, 0.005)
    return snapshot_after(sample_of(seconds=at_s, own=own))


def test_serve_says_when_it_is_slowed_and_when_it_has_not_been_for_a_while() -> None:
    tell = pace_teller()

    told = [
        tell(slowed(at_s, interval_s))
        for at_s, interval_s in ((0, 1.0), (1, 4.2), (5, 4.3), (6, 1.0), (7, 1.1), (66, 1.0), (67, 1.0), (68, 1.0))
    ]

    assert [words for words in told if words] == [
        "samples every 4.2 s, not every 1 s, to stay within 0.5% of a core",
        "samples every 1 s again",
    ]
    assert told.index("samples every 1 s again") == 6


def test_without_a_budget_serve_says_nothing_of_its_pace() -> None:
    assert pace_teller()(snapshot_after(sample_of(own=OwnSample(0.0, None, 2.0, 1.0, None)))) is None
    assert pace_teller()(snapshot_after(sample_of())) is None


def test_serve_says_that_it_is_slowed_and_leaves_its_profile(
    host: FakeHost, serve: Callable[..., Running], said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticking, "pace_teller", lambda: lambda _: "samples every 4.2 s")
    path = tmp_path / "p.txt"
    serving = serve("--host-root", str(host.root), "--listen", "127.0.0.1:0", "--profile", str(path))
    said.wait_for("topcon: samples every 4.2 s\n")
    assert "\ntick " not in path.read_text()

    assert serving.end(signal.SIGTERM) == 0

    assert "\ntick " in path.read_text()


def test_a_profile_that_cannot_be_written_at_the_end_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end_profile(Profile(tmp_path / "nowhere/p.txt"))

    assert capsys.readouterr().err == "topcon: cannot write the profile: No such file or directory\n"


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture(autouse=True)
def _signals_come() -> Iterator[None]:
    """Running holds signals back to its end, which is otherwise that of the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def serve(said: Said, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Begin to serve; what still does so after the test is told to end."""
    begun: list[Running] = []

    def serve(*arguments: str) -> Running:
        serving = Running("serve", "--interval", "0.1", *arguments)
        monkeypatch.setattr(sys, "stderr", said)
        begun.append(serving)
        serving.start()
        return serving

    yield serve
    for serving in begun:
        serving.end(signal.SIGTERM)


def url_in(text: str) -> str:
    return text.partition(" serves ")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, cli.EXIT_INTERRUPTED)]
)
def test_serve_serves_until_it_is_told_to_end(
    host: FakeHost, serve: Callable[..., Running], said: Said, number: int, status: int
) -> None:
    add(host, "web", 100, current=4096)
    serving = serve("--host-root", str(host.root), "--listen", "127.0.0.1:0")
    text = said.wait_for(" serves ")

    with urllib.request.urlopen(url_in(text), timeout=PATIENCE_S) as page:
        assert f'container_memory_working_set_bytes{{id="/docker/{container_id("web")}"'.encode() in page.read()
    assert serving.end(number) == status
    assert said.getvalue().splitlines() == [f"topcon: {__version__} serves {url_in(text)}"]


def test_serve_logs_a_problem_when_it_begins_and_when_it_is_over(
    desk: Desk, serve: Callable[..., Running], said: Said
) -> None:
    serve("--listen", "127.0.0.1:0")
    said.wait_for(" serves ")

    desk.docker.problem = Problem("docker", "refused\x1b[2J", "sudo topcon")
    said.wait_for("topcon: docker: refused\\x1b[2J; to mend it: sudo topcon\n")
    desk.docker.problem = Problem("docker", "no answer for 3 s")
    desk.docker.problem = None
    said.wait_for("topcon: docker: works again\n")
    desk.docker.problem = Problem("docker", "gone")

    assert "topcon: docker: gone\n" in said.wait_for("gone")
    assert said.getvalue().count("refused") == 1


def test_serve_logs_all_that_is_wrong_in_the_file(
    host: FakeHost, serve: Callable[..., Running], said: Said, tmp_path: Path
) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text("inter_val = 3\nlissen = 1\n")
    serve("--host-root", str(host.root), "--listen", "127.0.0.1:0", "--config", str(file))

    said.wait_for("inter_val: there is no such setting")
    said.wait_for("lissen: there is no such setting")


def test_serve_listens_at_all_addresses_and_tells_the_service_manager(
    host: FakeHost, serve: Callable[..., Running], said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        addresses = ("--listen", "127.0.0.1:0", "--listen", f"unix:{tmp_path}/topcon.sock")
        serving = serve("--host-root", str(host.root), *addresses, "--enable-metrics", "tcp,udp")
        text = said.wait_for(f"serves unix:{tmp_path}/topcon.sock\n")

        assert text.count(" serves ") == 2
        assert manager.recv(100) == b"READY=1"
        assert serving.end(signal.SIGTERM) == 0
        assert manager.recv(100) == b"STOPPING=1"
    assert not (tmp_path / "topcon.sock").exists()


def test_serve_says_once_that_anybody_can_read_it(
    host: FakeHost, serve: Callable[..., Running], said: Said, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("{}")
    serve("--host-root", str(host.root), "--listen", "0.0.0.0:0", "--web-config", str(file))
    said.wait_for(" serves ")
    text = said.wait_for(
        "endpoint: listens at 0.0.0.0:0 without authentication: who reaches it reads names and labels; "
        "to mend it: --web-config FILE\n"
    )

    assert text.count("without authentication") == 1


def test_serve_keeps_the_old_passwords_when_the_new_are_broken_and_says_so(
    host: FakeHost, serve: Callable[..., Running], said: Said, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: {alice: $2b$04$Tv0DjmRh8YwkuJmSrZGPTeJ3TIdWgT6jsw4UeB7nHZkgDzVfK1f0i}")
    serve("--host-root", str(host.root), "--listen", "127.0.0.1:0", "--web-config", str(file))
    url = url_in(said.wait_for(" serves "))

    file.write_text("basic_auth_users: {}x")
    with pytest.raises(HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=PATIENCE_S)
    said.wait_for("the version before it stays in use\n")
    file.write_text("{}")
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as page:
        assert page.status == 200

    assert said.wait_for("topcon: web-config: works again\n").count("stays in use") == 1


def test_serve_of_a_host_that_cannot_be_read_leaves_no_socket(
    host: FakeHost, run: Callable[..., Answer], tmp_path: Path
) -> None:
    host.write("proc/uptime", "nonsense\n")
    answer = run("serve", "--host-root", str(host.root), "--listen", f"unix:{tmp_path}/topcon.sock")

    assert (answer.status, "cannot understand" in answer.line) == (1, True)
    assert not (tmp_path / "topcon.sock").exists()


def test_serve_with_a_file_that_is_wrong_exits_64(host: FakeHost, run: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("tls: {}")
    answer = run("serve", "--host-root", str(host.root), "--web-config", str(file))

    assert answer.status == 64
    assert answer.line == f"topcon: {file}:1: tls: there is no such key in the file"


def test_serve_ends_with_a_bug_of_its_own(desk: Desk, serve: Callable[..., Running], said: Said) -> None:
    serving = serve("--listen", "127.0.0.1:0")
    said.wait_for(" serves ")

    bug = ZeroDivisionError("a bug")

    def broken() -> NoReturn:
        raise bug

    desk.docker.look = broken  # type: ignore[method-assign]

    assert serving.wait() is bug


@pytest.mark.parametrize("address", ["203.0.113.7:9338", f"{'a' * 64}:9338"])
def test_serve_at_an_address_that_is_not_ours_exits_69(
    host: FakeHost, run: Callable[..., Answer], address: str
) -> None:
    answer = run("serve", "--host-root", str(host.root), "--listen", address)

    assert answer.status == 69
    assert answer.line.startswith(f"topcon: cannot listen at {address}: ")


def test_serve_at_a_port_in_use_exits_69(
    host: FakeHost,
    serve: Callable[..., Running],
    said: Said,
    run: Callable[..., Answer],
) -> None:
    roots = ("--host-root", str(host.root))
    serve(*roots, "--listen", "127.0.0.1:0")
    port = url_in(said.wait_for(" serves ")).rsplit(":", 1)[1].split("/")[0]

    assert run("serve", *roots, "--listen", f"127.0.0.1:{port}").status == 69
    assert f"topcon: cannot listen at 127.0.0.1:{port}: address already in use" in said.getvalue()


# Files that are ready to use.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["systemd"], "ProtectSystem=strict"),
        (["systemd", "--record"], "StateDirectory=topcon"),
        (["prometheus"], "127.0.0.1:9338"),
        (["prometheus", "--listen", "10.0.0.7:9100"], "10.0.0.7:9100"),
        (["alerts"], "- alert: ContainerCpuThrottled"),
        (["grafana"], '"uid": "topcon-host"'),
        (["grafana", "findings"], '"uid": "topcon-findings"'),
        (["config"], "#interval = 1.0"),
    ],
)
def test_setup_prints_a_file_and_nothing_else(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["setup", *arguments]) == 0

    shown = capsys.readouterr()
    assert text in shown.out
    assert shown.out.endswith("\n")
    assert not shown.out.endswith("\n\n")
    assert shown.err == ""


@pytest.mark.parametrize("arguments", [[], ["grafana", "nothing"], ["all"]])
def test_setup_says_in_one_line_what_it_can_print(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["setup", *arguments])

    assert ended.value.code == cli.EXIT_USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_every_dashboard_can_be_asked_for() -> None:
    assert set(DASHBOARD_NAMES) == set(DASHBOARDS)
