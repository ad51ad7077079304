"""Docker: what is made of its JSON, and how a connection follows, survives and commands a daemon."""

from __future__ import annotations

import gc
import json
import os
import re
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.sample import ContainerId, ContainerInfo, Health, LogLine, Port, Role, Source, State, Volume
from topcon.runtimes import docker as module
from topcon.runtimes import supports_lifecycle, supports_logs
from topcon.runtimes.docker import (
    EVENTS,
    OVERLAP_S,
    PLUGIN,
    RELIST_S,
    Docker,
    contexts,
    info_from_inspect,
    info_from_list,
    parse_time,
)
from topcon.runtimes.told import action_of, container_of, parse_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WEB, DB, OLD = (ContainerId(letter * 64) for letter in "abc")
NOW = 1_790_000_000.0
CREATED_S = 1_789_000_000
CREATED = "2026-09-10T01:06:40.683013212Z"
CREATED_NS = 1_789_002_400_683_013_212
STARTED = "2026-09-10T01:06:41.5Z"
STARTED_NS = 1_789_002_401_500_000_000
NEVER = "0001-01-01T00:00:00Z"
# Machines that run tests are busy at times.


def listed(container: ContainerId = WEB, **changes: object) -> dict[str, Any]:
    """An entry of ``/containers/json``, as a daemon of API 1.41 writes it."""
    return {
        "Id": container,
        "Names": ["/shop-web-1"],
        "Image": "example/web",
        "ImageID": f"sha256:{'1' * 64}",
        "Command": "httpd -f -h /srv",
        "Created": CREATED_S,
        "Ports": [{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 18080, "Type": "tcp"}],
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "State": "running",
        "Status": "Up 29 minutes (healthy)",
        "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkSettings": {"Networks": {"shop_default": {"IPAddress": "172.18.0.2"}}},
        "Mounts": [],
    } | changes


def inspected(container: ContainerId = WEB, **changes: Mapping[str, object]) -> dict[str, Any]:
    """An answer of ``/containers/ID/json``; what is changed is merged into the object of that name."""
    whole: dict[str, Any] = {
        "Id": container,
        "Created": CREATED,
        "Path": "httpd",
        "Args": ["-f", "-h", "/srv"],
        "State": {
            "Status": "running",
            "Running": True,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 14909,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": STARTED,
            "FinishedAt": NEVER,
            "Health": {"Status": "healthy", "FailingStreak": 0, "Log": []},
        },
        "Image": f"sha256:{'1' * 64}",
        "Name": "/shop-web-1",
        "RestartCount": 0,
        "HostConfig": {
            "NetworkMode": "shop_default",
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "CgroupnsMode": "private",
            "IpcMode": "private",
            "PidMode": "",
            "UTSMode": "",
            "UsernsMode": "",
        },
        "Mounts": [],
        "Config": {
            "Hostname": container[:12],
            "Env": None,
            "Image": "example/web",
            "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        },
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}], "443/tcp": None},
            "Networks": {},
        },
    }
    for name, change in changes.items():
        whole[name] = {**whole[name], **change}
    return whole


def event(container: ContainerId, action: str, at_s: float = NOW, **attributes: str) -> dict[str, Any]:
    return {
        "status": action,
        "id": container,
        "from": "example/web",
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container, "Attributes": {"image": "example/web", "name": "shop-web-1", **attributes}},
        "scope": "local",
        "time": int(at_s),
        "timeNano": int(at_s * 1e9),
    }


# What an entry of the list tells.


def test_an_entry_of_the_list() -> None:
    assert info_from_list(listed()) == ContainerInfo(
        id=WEB,
        runtime="docker",
        name="shop-web-1",
        source=Source.API,
        state=State.RUNNING,
        image="example/web",
        command="httpd -f -h /srv",
        labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        ports=(Port("127.0.0.1", 18080, 80, "tcp"),),
        health=Health.HEALTHY,
        created_ns=CREATED_S * 10**9,
    )


def test_an_entry_of_nothing_but_an_id() -> None:
    info = info_from_list({"Id": WEB, "Names": None, "Ports": None, "Labels": None, "HostConfig": None})

    assert info == ContainerInfo(WEB, "docker", WEB[:12], Source.API, State.UNKNOWN)


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["/web"], "web"),
        (["/proxy/backend", "/web", "/other/alias"], "web"),
        (["/proxy/backend"], WEB[:12]),
        ([], WEB[:12]),
    ],
)
def test_a_name_is_its_own_and_not_the_one_that_a_link_gave_it(names: list[str], name: str) -> None:
    assert info_from_list(listed(Names=names)).name == name


STATES = [
    ("created", State.CREATED),
    ("running", State.RUNNING),
    ("paused", State.PAUSED),
    ("restarting", State.RESTARTING),
    ("removing", State.EXITED),
    ("exited", State.EXITED),
    ("dead", State.DEAD),
    ("stopping", State.UNKNOWN),
    ("", State.UNKNOWN),
    (None, State.UNKNOWN),
]


@pytest.mark.parametrize(("text", "state"), STATES)
def test_the_state_of_a_container(text: str | None, state: State) -> None:
    assert info_from_list(listed(State=text)).state is state
    assert info_from_inspect(inspected(State={"Status": text})).state is state


@pytest.mark.parametrize(
    ("status", "health", "exit_code"),
    [
        ("Up 29 minutes", None, None),
        ("Up 29 minutes (healthy)", Health.HEALTHY, None),
        ("Up 29 minutes (unhealthy)", Health.UNHEALTHY, None),
        ("Up 2 seconds (health: starting)", Health.STARTING, None),
        ("Up 29 minutes (Paused)", None, None),
        ("Exited (0) 21 minutes ago", None, 0),
        ("Exited (137) 29 minutes ago", None, 137),
        ("Exited (-1) 2 days ago", None, -1),
        ("Restarting (1) 5 seconds ago", None, None),
        ("Created", None, None),
        ("Removal In Progress", None, None),
        ("Dead", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_health_and_exit_code_are_in_the_status(
    status: str | None, health: Health | None, exit_code: int | None
) -> None:
    info = info_from_list(listed(Status=status))

    assert (info.health, info.exit_code) == (health, exit_code)


def test_only_published_ports_are_told() -> None:
    ports = [
        {"PrivatePort": 443, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"},
        {"IP": "::", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"},
        {"IP": "", "PrivatePort": 80, "PublicPort": 8080},
    ]

    assert info_from_list(listed(Ports=ports)).ports == (
        Port("0.0.0.0", 5353, 53, "udp"),
        Port("::", 5353, 53, "udp"),
        Port(None, 8080, 80, "tcp"),
    )


@pytest.mark.parametrize(
    ("mode", "joined", "shared"),
    [
        ("default", None, ()),
        ("shop_default", None, ()),
        ("none", None, ()),
        ("host", None, ("net",)),
        (f"container:{DB}", DB, ()),
    ],
)
def test_whose_network_a_container_uses(mode: str, joined: ContainerId | None, shared: tuple[str, ...]) -> None:
    for info in (
        info_from_list(listed(HostConfig={"NetworkMode": mode})),
        info_from_inspect(inspected(HostConfig={"NetworkMode": mode})),
    ):
        assert (info.joins_network_of, info.host_namespaces) == (joined, shared)


# What an inspection tells.


def test_an_inspected_container() -> None:
    assert info_from_inspect(inspected()) == ContainerInfo(
        id=WEB,
        runtime="docker",
        name="shop-web-1",
        source=Source.API,
        state=State.RUNNING,
        image="example/web",
        command="httpd -f -h /srv",
        labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        ports=(Port("127.0.0.1", 18080, 80, "tcp"),),
        health=Health.HEALTHY,
        restarts=0,
        restart_policy="no",
        created_ns=CREATED_NS,
        started_ns=STARTED_NS,
        oom_killed=False,
    )


def test_an_inspected_container_of_nothing_but_an_id() -> None:
    assert info_from_inspect({"Id": WEB}) == ContainerInfo(
        WEB, "docker", WEB[:12], Source.API, State.UNKNOWN, restart_policy="no"
    )


@pytest.mark.parametrize("status", ["exited", "dead"])
def test_a_container_that_is_over_has_an_exit_code_and_an_end(status: str) -> None:
    state = {"Status": status, "ExitCode": 137, "OOMKilled": True, "FinishedAt": "2026-09-10T01:06:42Z"}
    info = info_from_inspect(inspected(State=state))

    assert (info.exit_code, info.oom_killed, info.finished_ns) == (137, True, 1_789_002_402_000_000_000)


@pytest.mark.parametrize("status", ["running", "paused", "restarting", "created"])
def test_a_container_that_goes_on_has_neither(status: str) -> None:
    info = info_from_inspect(inspected(State={"Status": status, "FinishedAt": "2026-09-10T01:06:42Z"}))

    assert (info.exit_code, info.finished_ns) == (None, None)


def test_a_container_that_never_ran_has_no_start() -> None:
    assert info_from_inspect(inspected(State={"Status": "created", "StartedAt": NEVER})).started_ns is None


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        ({"Status": "unhealthy"}, Health.UNHEALTHY),
        ({"Status": "starting"}, Health.STARTING),
        ({"Status": "none"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_health_of_a_container(health: dict[str, str] | None, expected: Health | None) -> None:
    assert info_from_inspect(inspected(State={"Health": health})).health is expected


@pytest.mark.parametrize("status", ["created", "restarting", "removing", "exited", "dead"])
def test_what_does_not_run_is_not_unhealthy(status: str) -> None:
    assert info_from_inspect(inspected(State={"Status": status, "Health": {"Status": "unhealthy"}})).health is None


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"Name": "unless-stopped", "MaximumRetryCount": 0}, "unless-stopped"),
        ({"Name": "", "MaximumRetryCount": 0}, "no"),
        (None, "no"),
    ],
)
def test_when_it_is_started_again(policy: dict[str, object] | None, expected: str) -> None:
    assert info_from_inspect(inspected(HostConfig={"RestartPolicy": policy})).restart_policy == expected


def test_how_it_is_stopped() -> None:
    info = info_from_inspect(inspected(Config={"StopSignal": "SIGRTMIN+3", "StopTimeout": 0}))

    assert (info.stop_signal, info.grace_s) == ("SIGRTMIN+3", 0.0)


def test_the_namespaces_of_the_host_that_it_uses() -> None:
    modes = {"NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host", "CgroupnsMode": "host"}
    info = info_from_inspect(inspected(HostConfig=modes))

    assert info.host_namespaces == ("net", "pid", "ipc", "uts", "cgroup")


def test_ports_that_are_published_somewhere() -> None:
    ports = {
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "5353"}, {"HostIp": "::", "HostPort": "5353"}],
        "80/tcp": [{"HostIp": "", "HostPort": ""}],
        "443/tcp": None,
        "8443/tcp": [],
    }

    assert info_from_inspect(inspected(NetworkSettings={"Ports": ports})).ports == (
        Port("0.0.0.0", 5353, 53, "udp"),
        Port("::", 5353, 53, "udp"),
        Port(None, None, 80, "tcp"),
    )


def test_list_and_inspection_agree_on_what_both_tell() -> None:
    first, second = info_from_list(listed()), info_from_inspect(inspected())

    for name in ("id", "name", "state", "image", "command", "labels", "ports", "health", "joins_network_of"):
        assert getattr(first, name) == getattr(second, name), name


# Times.


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("2026-09-10T01:06:40.683013212Z", CREATED_NS),
        ("2026-09-10T01:06:40.68Z", CREATED_NS - 3_013_212),
        ("2026-09-10T03:06:40.683013212+02:00", CREATED_NS),
        ("2026-09-09T19:36:40.683013212-05:30", CREATED_NS),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        (NEVER, None),
        ("", None),
        (None, None),
        ("yesterday", None),
        ("2026-09-10 01:06:40Z", None),
        ("2026-09-10T01:06:40", None),
        ("2026-13-10T01:06:40Z", None),
        ("2026-09-31T01:06:40Z", None),
        ("2026-09-10T25:06:40Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2026-09-10T01:06:40+99:99", None),
    ],
)
def test_a_time_of_docker(text: str | None, time_ns: int | None) -> None:
    assert parse_time(text) == time_ns


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_come_back_as_they_were(time_ns: int) -> None:
    seconds, fraction = divmod(time_ns, 10**9)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    day = date_of(days)

    assert parse_time(f"{day}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z") == time_ns


def date_of(days: int) -> str:
    """The date so many days after 1970 began, counted by hand."""
    year = 1970
    while days >= (length := 366 if is_leap(year) else 365):
        days -= length
        year += 1
    for month, length in enumerate((31, 29 if is_leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1):
        if days < length:
            return f"{year}-{month:02}-{days + 1:02}"
        days -= length
    raise AssertionError(days)


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert isinstance(parse_time(text), int | None)


# Events.


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in events)


def parsed(text: str) -> list[tuple[str, str]]:
    """The containers of a window's events, and what happened to them."""
    events, _ = parse_new(text.encode(), frozenset(), EVENTS)
    return [(container, action_of(each)) for each in events if (container := container_of(each)) is not None]


def test_a_window_of_events() -> None:
    text = lines(event(WEB, "die", exitCode="137"), event(DB, "health_status: healthy"), event(WEB, "destroy"))

    assert parsed(text) == [(WEB, "die"), (DB, "health_status: healthy"), (WEB, "destroy")]


def test_a_window_without_events() -> None:
    assert parsed("") == []


def test_daemons_of_api_1_52_do_not_repeat_themselves() -> None:
    slim = {key: value for key, value in event(WEB, "start").items() if key not in {"status", "id", "from"}}

    assert parsed(lines(slim)) == [(WEB, "start")]


def test_an_event_without_an_actor_has_an_id() -> None:
    assert parsed(lines({"status": "start", "id": WEB}, {"status": "prune"})) == [(WEB, "start")]


def test_a_label_may_hold_what_python_takes_for_the_end_of_a_line() -> None:
    # Go escapes the newline in JSON, and leaves this one as it stands.
    text = json.dumps(event(WEB, "start", label="a\x85b"), ensure_ascii=False)

    assert parsed(f"{text}\n{text}\n") == [(WEB, "start")] * 2


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("Actor", "ID", "id", "Action", "status")), inner),
)


@given(st.text() | st.lists(JSON.map(json.dumps)).map("\n".join))
@example("3\n")
@example("[]\n")
@example('{"Actor": "x"}\n')
@example('{"Actor": {"ID": ["x"]}}\n')
@example("1" * 10_000)
def test_any_text_parses_as_events_or_raises_a_parse_error(text: str) -> None:
    try:
        events = parsed(text)
    except ParseError as error:
        assert error.path == "docker: /events"  # noqa: PT017  some text is meant to raise nothing
    else:
        assert all(isinstance(container, str) and isinstance(action, str) for container, action in events)


# A daemon.


@dataclass
class Engine:
    """As much of a Docker daemon as topcon asks for, at a socket of its own."""

    path: str
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id to the answer to its inspection; the list is made of them."""
    events: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Path to status and body of the answer to it."""
    hangs: threading.Event = field(default_factory=threading.Event)
    """Set: no request is answered before `released`."""
    released: threading.Event = field(default_factory=threading.Event)
    hangs_up: bool = False
    requests: list[str] = field(default_factory=list)
    """Methods and paths, without the version."""
    queries: list[dict[str, str]] = field(default_factory=list)

    def add(self, container: ContainerId, **changes: Mapping[str, object]) -> None:
        self.containers[container] = inspected(container, **changes)

    def taken(self) -> list[str]:
        """The requests since the last look at them."""
        requests, self.requests[:] = list(self.requests), []
        return requests

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.requests.append(f"{method} {path}")
        self.queries.append(query)
        if path in self.failures:
            return self.failures[path]
        body: object
        if path == "/version":
            body = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        elif path == "/containers/json":
            body = [self.entry(container) for container in self.containers.values()]
        elif path == "/events":
            since, until = float(query["since"]), float(query["until"])
            within = [each for each in self.events if since <= each["timeNano"] / 1e9 <= until]
            return 200, lines(*within).encode()
        elif match := re.fullmatch(r"/containers/([^/]+)(?:/(\w+))", path):
            container = self.containers.get(match[1])
            if container is None:
                return 404, json.dumps({"message": f"No such container: {match[1]}"}).encode()
            if method == "POST":
                return 204, b""
            body = container
        else:
            return 404, b'{"message":"page not found"}'
        return 200, json.dumps(body).encode()

    def entry(self, container: dict[str, Any]) -> dict[str, Any]:
        return listed(
            container["Id"],
            Names=[container["Name"]],
            State=container["State"]["Status"],
            Status=f"Up 3 hours ({container['State']['Health']['Status']})",
        )


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    engine: Engine

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that went while they had no answer are what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        engine = self.server.engine
        if engine.hangs.is_set():
            engine.released.wait()
        if engine.hangs_up:
            self.close_connection = True
            return
        address = urlsplit(self.path)
        path = re.sub(r"^/v1\.41/", "/", address.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        status, body = engine.answer(self.command, path, query)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short directory: a socket's path has 108 bytes, and pytest's own directories are long."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture
def engine(directory: Path) -> Iterator[Engine]:
    engine = Engine(str(directory / "docker.sock"))
    with Server(engine.path, Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield engine
        engine.released.set()
        server.shutdown()
        thread.join()


@dataclass
class WallClock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def connect(engine: Engine, clock: WallClock) -> Iterator[Callable[[], Docker]]:
    """Connect to the daemon; the connection is closed after the test."""
    opened: list[Docker] = []

    def connect() -> Docker:
        opened.append(Docker(engine.path, clock))
        engine.taken()
        return opened[-1]

    yield connect
    for docker in opened:
        docker.close()


def names(infos: tuple[ContainerInfo, ...]) -> dict[str, str]:
    return {info.id: info.name for info in infos}


def test_the_plugin_connects_to_a_daemon(engine: Engine) -> None:
    engine.add(WEB)
    assert PLUGIN.name == "docker"
    assert "/run/docker.sock" in PLUGIN.sockets

    runtime = PLUGIN.connect(engine.path)

    assert runtime.name == "docker"
    assert [info.id for info in runtime.containers()] == [WEB]
    assert supports_lifecycle(runtime) is runtime
    runtime.close()


def test_the_client_library_is_imported_when_it_is_asked_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "docker", raising=False)

    PLUGIN.prepare()

    assert "docker" in sys.modules


def test_the_first_look_lists_and_inspects_each_container(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB)
    engine.add(DB)
    docker = connect()

    infos = docker.containers()

    assert engine.taken() == ["GET /containers/json", f"GET /containers/{WEB}/json", f"GET /containers/{DB}/json"]
    assert [info.started_ns for info in infos] == [STARTED_NS, STARTED_NS]
    assert next(query for query in engine.queries if "all" in query)["all"] == "1"


def test_what_runs_is_inspected_first(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(OLD, State={"Status": "exited"})
    engine.add(DB, State={"Status": "created"})
    engine.add(WEB)
    docker = connect()
    docker.containers()

    assert engine.taken()[1] == f"GET /containers/{WEB}/json"


def test_where_nothing_has_changed_the_events_are_all_that_is_asked_for(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    engine.add(WEB)
    docker = connect()
    before = docker.containers()
    engine.taken()
    for _ in range(3):
        clock.now += 1

        assert docker.containers() == before
        assert engine.taken() == ["GET /events"]


def test_windows_of_events_overlap_and_leave_no_gap(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    docker = connect()
    docker.containers()
    for _ in range(2):
        clock.now += 1
        docker.containers()

    first, second = engine.queries[-2:]
    assert (float(first["since"]), float(first["until"])) == (NOW - OVERLAP_S, NOW + 1)
    assert (float(second["since"]), float(second["until"])) == (NOW + 1 - OVERLAP_S, NOW + 2)
    filters = json.loads(first["filters"])
    assert filters["type"] == ["container", "image"]
    assert {"create", "start", "die", "destroy", "rename", "health_status", "pause", "unpause"} <= {*filters["event"]}
    assert not any(name.startswith(("exec_create", "exec_die", "attach", "top")) for name in filters["event"])


@pytest.mark.parametrize("action", ["create", "start", "die", "oom", "rename", "pause", "health_status: unhealthy"])
def test_an_event_has_its_container_inspected_and_no_other(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker], action: str
) -> None:
    engine.add(WEB)
    engine.add(DB)
    docker = connect()
    docker.containers()
    engine.taken()
    engine.containers[DB]["Name"] = "/renamed"
    engine.events = [event(DB, action, NOW + 0.5), event(DB, action, NOW + 0.6)]
    clock.now += 1

    infos = docker.containers()

    assert engine.taken() == ["GET /events", f"GET /containers/{DB}/json"]
    assert names(infos) == {WEB: "shop-web-1", DB: "renamed"}


def test_a_new_container_is_known_by_its_event(engine: Engine, clock: WallClock, connect: Callable[[], Docker]) -> None:
    docker = connect()
    assert docker.containers() == ()
    engine.add(WEB)
    engine.events = [event(WEB, "create", NOW + 0.1), event(WEB, "start", NOW + 0.2)]
    clock.now += 1

    assert names(docker.containers()) == {WEB: "shop-web-1"}


def test_a_removed_container_is_forgotten_without_a_question(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    engine.add(WEB)
    engine.add(DB)
    docker = connect()
    docker.containers()
    engine.taken()
    del engine.containers[DB]
    engine.events = [event(DB, "die", NOW + 0.1), event(DB, "destroy", NOW + 0.2)]
    clock.now += 1

    assert names(docker.containers()) == {WEB: "shop-web-1"}
    assert engine.taken() == ["GET /events"]


def test_a_container_that_vanishes_before_it_is_inspected_is_left_out(
    engine: Engine, connect: Callable[[], Docker]
) -> None:
    engine.add(WEB)
    engine.add(DB)
    engine.failures[f"/containers/{DB}/json"] = (404, b'{"message":"No such container"}')
    docker = connect()

    assert names(docker.containers()) == {WEB: "shop-web-1"}


def test_a_container_that_the_daemon_cannot_inspect_does_not_hide_the_others(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    # As a daemon does whose container has lost its layer, https://github.com/moby/moby/pull/36242.
    engine.add(DB)
    engine.add(WEB)
    engine.failures[f"/containers/{DB}/json"] = (500, b'{"message":"RWLayer of container is unexpectedly nil"}')
    docker = connect()
    for _ in range(2):
        infos = {info.id: info for info in docker.containers()}

        assert set(infos) == {DB, WEB}
        assert infos[WEB].started_ns == STARTED_NS
        assert infos[DB].state is State.RUNNING
        clock.now += 1


def test_inspecting_stops_after_a_while_and_goes_on_the_next_time(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add(WEB)
    docker = connect()
    with monkeypatch.context() as patch:
        patch.setattr(module, "INSPECT_S", 0.0)
        (listed_only,) = docker.containers()
    clock.now += 1
    (info,) = docker.containers()

    assert (listed_only.name, listed_only.started_ns) == ("shop-web-1", None)
    assert info.started_ns == STARTED_NS


def test_the_list_is_asked_for_again_and_only_what_has_changed_inspected(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    kept, renamed, stopped, new, gone = (ContainerId(digit * 64) for digit in "12345")
    for container in (kept, renamed, stopped, gone):
        engine.add(container)
    docker = connect()
    docker.containers()
    engine.taken()
    # All of it without an event.
    engine.containers[renamed]["Name"] = "/renamed"
    engine.containers[stopped]["State"]["Status"] = "exited"
    del engine.containers[gone]
    engine.add(new)
    clock.now += RELIST_S

    infos = docker.containers()

    assert {info.id for info in infos} == {kept, renamed, stopped, new}
    assert names(infos)[renamed] == "renamed"
    first, *others = engine.taken()
    assert first == "GET /containers/json"
    assert sorted(others) == sorted(f"GET /containers/{container}/json" for container in (renamed, stopped, new))


def test_before_that_it_is_not(engine: Engine, clock: WallClock, connect: Callable[[], Docker]) -> None:
    docker = connect()
    docker.containers()
    engine.taken()
    clock.now += RELIST_S - 0.1
    docker.containers()

    assert engine.taken() == ["GET /events"]


def test_when_the_clock_is_put_back_nothing_is_missed(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    docker = connect()
    docker.containers()
    clock.now -= 3600
    engine.add(WEB)

    seen = []
    for _ in range(int(RELIST_S) + 1):
        seen.append(names(docker.containers()))
        clock.now += 1

    assert seen[-1] == {WEB: "shop-web-1"}


# What goes wrong.


def refused(message: str, socket_path: str) -> Any:
    """Expect a source that cannot be reached, for this reason."""
    return pytest.raises(SourceUnavailable, match=f"^{re.escape(f'{message} at {socket_path}')}$")


def test_a_socket_that_is_not_there(directory: Path) -> None:
    path = str(directory / "docker.sock")

    with refused("no such file or directory", path) as caught:
        Docker(path)
    assert caught.value.remedy is None


def test_a_socket_that_nobody_listens_at(directory: Path) -> None:
    path = str(directory / "docker.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)

    with refused("connection refused", path):
        Docker(path)


PERMISSION = "permission denied"
NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user to whom files can be closed: root is refused nothing."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_socket_that_we_may_not_connect_to(engine: Engine) -> None:
    Path(engine.path).chmod(0)

    with without_rights(), refused(PERMISSION, engine.path):
        Docker(engine.path)


def test_who_may_not_connect_is_told_the_remedy(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def connect(self, address: object) -> None:
            raise PermissionError(13, "Permission denied", address)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", Refusing)
        with refused(PERMISSION, engine.path) as caught:
            Docker(engine.path)

    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith("sudo usermod -aG docker ")


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / ("d" * 120))

    with pytest.raises(SourceUnavailable, match="too long"):
        Docker(path)


def test_a_daemon_that_accepts_and_never_answers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    engine.hangs.set()

    with refused("no answer", engine.path):
        Docker(engine.path)


def test_a_daemon_that_does_not_even_accept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    path = str(directory / "docker.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)

        with refused("no answer", path):
            Docker(path)


def impatient(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection wait no longer than a moment from now on."""
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    docker._api.timeout = 0.05


@pytest.mark.parametrize("looks_before", [0, 1])
def test_a_daemon_that_falls_silent_later(
    engine: Engine, connect: Callable[[], Docker], monkeypatch: pytest.MonkeyPatch, looks_before: int
) -> None:
    docker = connect()
    for _ in range(looks_before):
        docker.containers()
    impatient(docker, monkeypatch)
    engine.hangs.set()

    with refused("no answer", engine.path):
        docker.containers()


def test_a_daemon_that_hangs_up(engine: Engine, clock: WallClock, connect: Callable[[], Docker]) -> None:
    docker = connect()
    docker.containers()
    clock.now += 1
    engine.hangs_up = True

    with pytest.raises(SourceUnavailable) as caught:
        docker.containers()

    assert str(caught.value).endswith(f"at {engine.path}")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_daemon_that_has_ended(engine: Engine, connect: Callable[[], Docker]) -> None:
    docker = connect()
    engine.hangs_up = True
    with pytest.raises(SourceUnavailable):
        docker.containers()
    Path(engine.path).unlink()

    with refused("no such file or directory", engine.path):
        docker.containers()
    # docker-py leaves the socket of a failed attempt to the collector, which would tell the next test.
    gc.collect()


def test_something_that_is_no_daemon(engine: Engine) -> None:
    engine.failures["/version"] = (200, b"<html>hello</html>")

    with pytest.raises(SourceUnavailable):
        Docker(engine.path)


BROKEN = (500, b'{"message":"database is locked"}')


@pytest.mark.parametrize("path", ["/containers/json", "/events"])
def test_a_daemon_that_fails_says_why(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker], path: str
) -> None:
    engine.add(WEB)
    docker = connect()
    if path == "/events":
        docker.containers()
        clock.now += 1
    engine.failures[path] = BROKEN

    with pytest.raises(SourceUnavailable, match="database is locked"):
        docker.containers()


def test_a_daemon_that_fails_before_it_has_told_its_version_says_why(engine: Engine) -> None:
    engine.failures["/version"] = BROKEN

    with pytest.raises(SourceUnavailable, match="database is locked"):
        Docker(engine.path)


def test_a_refusal_in_other_words_than_dockers_is_a_source_that_cannot_be_used(
    engine: Engine, connect: Callable[[], Docker]
) -> None:
    # As proxies in front of the socket write them.
    docker = connect()
    engine.failures["/containers/json"] = (403, b'{"error":"not allowed"}')

    with pytest.raises(SourceUnavailable):
        docker.containers()


def test_a_list_that_is_no_json_is_a_source_that_cannot_be_used(engine: Engine, connect: Callable[[], Docker]) -> None:
    docker = connect()
    engine.failures["/containers/json"] = (200, b"<html>")

    with pytest.raises(SourceUnavailable):
        docker.containers()


def test_events_that_are_no_json_are_told(engine: Engine, clock: WallClock, connect: Callable[[], Docker]) -> None:
    docker = connect()
    docker.containers()
    clock.now += 1
    engine.failures["/events"] = (200, b"<html>\n")

    with pytest.raises(ParseError, match="docker: /events: cannot understand '<html>'"):
        docker.containers()


def test_an_answer_after_a_failure_brings_all_up_to_date(
    engine: Engine, clock: WallClock, connect: Callable[[], Docker]
) -> None:
    docker = connect()
    docker.containers()
    engine.failures["/events"] = BROKEN
    engine.add(WEB)
    engine.events = [event(WEB, "start", NOW + 0.5)]
    clock.now += 1
    with pytest.raises(SourceUnavailable):
        docker.containers()
    del engine.failures["/events"]
    clock.now += 5

    assert names(docker.containers()) == {WEB: "shop-web-1"}


# Actions.


ACTIONS: list[tuple[Callable[[Docker], object], str, dict[str, str]]] = [
    (lambda docker: docker.start(WEB), "start", {}),
    (lambda docker: docker.stop(WEB, 10.0), "stop", {"t": "10"}),
    (lambda docker: docker.stop(WEB, 0.2), "stop", {"t": "1"}),
    (lambda docker: docker.restart(WEB, 0.0), "restart", {"t": "0"}),
    (lambda docker: docker.pause(WEB), "pause", {}),
    (lambda docker: docker.unpause(WEB), "unpause", {}),
    (lambda docker: docker.kill(WEB, "SIGTERM"), "kill", {"signal": "SIGTERM"}),
]
IDS = ["start", "stop", "stop soon", "restart", "pause", "unpause", "kill"]


@pytest.mark.parametrize(("act", "verb", "query"), ACTIONS, ids=IDS)
def test_an_action_is_one_request(
    engine: Engine, connect: Callable[[], Docker], act: Callable[[Docker], object], verb: str, query: dict[str, str]
) -> None:
    engine.add(WEB)
    docker = connect()

    assert act(docker) is None
    assert engine.taken() == [f"POST /containers/{WEB}/{verb}"]
    assert engine.queries[-1] == query


@pytest.mark.parametrize(("act", "verb", "query"), ACTIONS, ids=IDS)
@pytest.mark.parametrize(("status", "message"), [(404, "No such container: web"), (409, "is paused"), (500, "broken")])
def test_a_refused_action_fails_with_the_daemons_own_words(
    engine: Engine,
    connect: Callable[[], Docker],
    act: Callable[[Docker], object],
    verb: str,
    query: dict[str, str],
    status: int,
    message: str,
) -> None:
    del query
    docker = connect()
    engine.failures[f"/containers/{WEB}/{verb}"] = (status, json.dumps({"message": message}).encode())

    with pytest.raises(ActionFailed, match=f"^{message}$"):
        act(docker)


@pytest.mark.parametrize("body", [b"", b"no such page\n", b'{"error":"not allowed"}'])
def test_a_refusal_without_a_message_is_an_action_that_failed(
    engine: Engine, connect: Callable[[], Docker], body: bytes
) -> None:
    docker = connect()
    engine.failures[f"/containers/{WEB}/pause"] = (500, body)

    with pytest.raises(ActionFailed, match=r"."):
        docker.pause(WEB)


def test_a_removal_forces_nothing_and_keeps_volumes(engine: Engine, connect: Callable[[], Docker]) -> None:
    docker = connect()
    engine.failures[f"/containers/{WEB}"] = (204, b"")

    docker.remove(WEB)

    assert engine.taken() == [f"DELETE /containers/{WEB}"]
    assert {engine.queries[-1][name] for name in ("v", "force")} == {"False"}


def test_a_refused_removal_fails_with_the_daemons_own_words(engine: Engine, connect: Callable[[], Docker]) -> None:
    docker = connect()
    engine.failures[f"/containers/{WEB}"] = (409, json.dumps({"message": "container is running"}).encode())

    with pytest.raises(ActionFailed, match=r"^container is running$"):
        docker.remove(WEB)


def test_stopping_what_has_stopped_is_no_error(engine: Engine, connect: Callable[[], Docker]) -> None:
    docker = connect()
    engine.failures[f"/containers/{WEB}/stop"] = (304, b"")

    docker.stop(WEB, 10.0)

    assert engine.taken() == [f"POST /containers/{WEB}/stop"]


def test_an_action_without_an_answer_fails(
    engine: Engine, connect: Callable[[], Docker], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = connect()
    impatient(docker, monkeypatch)
    engine.hangs.set()

    with pytest.raises(ActionFailed, match=f"^no answer at {re.escape(engine.path)}$"):
        docker.pause(WEB)


def test_when_a_container_was_started(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB)
    engine.add(OLD, State={"Status": "created", "StartedAt": NEVER})
    docker = connect()

    assert docker.started_ns(WEB) == STARTED_NS
    assert docker.started_ns(OLD) is None
    with pytest.raises(ActionFailed, match=f"No such container: {DB}"):
        docker.started_ns(DB)


# Pods, volumes and contexts.


def test_a_pods_container_on_cri_dockerd_has_its_short_name_and_its_sandbox_its_role() -> None:
    labels = {"io.kubernetes.container.name": "web", "io.kubernetes.docker.type": "container"}
    sandbox = {"io.kubernetes.docker.type": "podsandbox"}

    web = info_from_list({"Id": WEB, "Names": ["/k8s_web_shop_prod_uid_0"], "Labels": labels})
    pause = info_from_inspect({"Id": WEB, "Name": "/k8s_POD_shop_prod_uid_0", "Config": {"Labels": sandbox}})

    assert (web.name, web.role) == ("web", Role.WORKLOAD)
    assert (pause.name, pause.role) == ("k8s_POD_shop_prod_uid_0", Role.SANDBOX)


MOUNTS = [
    {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/data"},
    {"Type": "bind", "Source": "/etc/shop", "Destination": "/etc/shop", "RW": False},
    {"Type": "tmpfs", "Source": "", "Destination": "/tmp"},
]


@pytest.mark.parametrize("parse", [info_from_list, info_from_inspect])
def test_volumes_are_known_by_name_and_directories_by_path(parse: Callable[..., ContainerInfo]) -> None:
    assert parse({"Id": WEB, "Mounts": MOUNTS}).volumes == (
        Volume("data", "/data"),
        Volume("/etc/shop", "/etc/shop", is_read_only=True),
    )


def test_the_local_sockets_of_contexts_are_found_whatever_else_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    metas = [
        '{"Name": "desktop", "Endpoints": {"docker": {"Host": "unix:///home/me/desktop.sock"}}}',
        '{"Name": "far", "Endpoints": {"docker": {"Host": "ssh://me@far"}}}',
        '{"Name": "odd", "Endpoints": []}',
        "no JSON",
        '{"Endpoints": {"docker": {"Host": 5}}}',
    ]
    for at, meta in enumerate(metas):
        folder = tmp_path / "contexts/meta" / str(at)
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(meta)

    assert contexts() == ("unix:///home/me/desktop.sock",)


def test_without_contexts_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert contexts() == ()


# What containers have written.


WRITTEN = f"{CREATED} \x1b[31mhello\n".encode()
LOGS = f"/containers/{WEB}/logs"


def test_the_last_lines_are_asked_for_with_their_times(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB)
    engine.failures[LOGS] = (200, b"\x02\0\0\0" + len(WRITTEN).to_bytes(4, "big") + WRITTEN)
    logs = supports_logs(connect())
    assert logs is not None

    assert logs.tail(WEB, 7) == (LogLine(CREATED_NS, is_stderr=True, text="\x1b[31mhello"),)
    assert engine.taken() == [f"GET /containers/{WEB}/json", f"GET {LOGS}"]
    assert engine.queries[-1] == {"stdout": "true", "stderr": "true", "timestamps": "true", "tail": "7"}


def test_a_terminal_has_no_frames(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB, Config={"Tty": True})
    engine.failures[LOGS] = (200, WRITTEN * 2)

    assert connect().tail(WEB, 10) == (LogLine(CREATED_NS, is_stderr=False, text="\x1b[31mhello"),) * 2


def test_of_an_endless_log_no_more_is_read_than_so_much(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB, Config={"Tty": True})
    engine.failures[LOGS] = (200, b"x" * (1 << 20))

    assert connect().tail(WEB, 10) == (LogLine(None, is_stderr=False, text="x" * 4096),)
    assert [query["tail"] for query in engine.queries[-3:]] == ["10", "2", "1"]


@pytest.mark.parametrize(
    "answer",
    [
        (404, b'{"message":"No such container"}'),
        (409, b'{"message":"can not get logs from container which is dead or marked for removal"}'),
        (501, b'{"message":"configured logging driver does not support reading"}'),
    ],
)
def test_what_has_no_log_has_written_nothing(
    engine: Engine, connect: Callable[[], Docker], answer: tuple[int, bytes]
) -> None:
    engine.add(WEB)
    engine.failures[LOGS] = answer
    docker = connect()

    assert docker.tail(WEB, 10) == ()
    assert docker.tail(DB, 10) == ()


def test_a_log_that_docker_cannot_read_is_said_so(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB)
    engine.failures[LOGS] = (500, b'{"message":"open log: input/output error"}')
    docker = connect()

    with pytest.raises(SourceUnavailable, match=rf"^500 at {engine.path}: open log: input/output error$"):
        docker.tail(WEB, 10)

    engine.failures[f"/containers/{WEB}/json"] = (500, b'{"message":"out of order"}')
    with pytest.raises(SourceUnavailable, match="out of order"):
        docker.tail(WEB, 10)


def test_frames_that_are_none_are_said_so(engine: Engine, connect: Callable[[], Docker]) -> None:
    engine.add(WEB)
    engine.failures[LOGS] = (200, b"<html>no frames</html>")
    docker = connect()

    with pytest.raises(ParseError, match=r"^docker: /logs: "):
        docker.tail(WEB, 10)
