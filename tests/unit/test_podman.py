"""Podman: what is made of its JSON, and what is asked of the service when."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import JSON

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.sample import (
    ContainerId,
    ContainerInfo,
    Health,
    LogLine,
    PodInfo,
    PodKind,
    Port,
    Role,
    Source,
    State,
    Volume,
)
from topcon.runtimes import EVERY_ABILITY, podman, supports_lifecycle, supports_logs
from topcon.runtimes.http import JsonSocket, Refused
from topcon.runtimes.podman import (
    API,
    LIST,
    MOST_PORTS,
    PLUGIN,
    Details,
    Podman,
    info_from_list,
    parse_details,
    parse_list,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

INFRA = ContainerId("97ae2c9b64c91e943763e5eced5dff03b907ab5a0cea405cbac09ed94ad02b82")
WEB = ContainerId("429a69e3a0c327190aa6f6dddfd0a8edde8a08009364cb512f9269ce5d7a62cb")
POD = "0bb33f4fcbd40fb799f271950cfa224d2c6b6a0696919881d80778e820fce283"
NEVER_S = -62135596800
STARTED_NS = 1795262833 * 10**9


def podman_5(**changes: object) -> dict[str, Any]:
    """A pod's infra container in the list of Podman 5.4.2."""
    return {
        "AutoRemove": False,
        "Command": None,
        "Created": "2026-11-21T11:51:11.79146015Z",
        "CreatedAt": "",
        "CIDFile": "",
        "Exited": False,
        "ExitedAt": NEVER_S,
        "ExitCode": 0,
        "ExposedPorts": None,
        "Id": INFRA,
        "Image": "localhost/lab/busybox:latest",
        "ImageID": "a2462f11b5738473e6fc54e295eb5c2fff8a84277f26b224a93e05de00f3a085",
        "IsInfra": True,
        "Labels": None,
        "Mounts": [],
        "Names": ["0bb33f4fcbd4-infra"],
        "Namespaces": {},
        "Networks": ["podman"],
        "Pid": 2229,
        "Pod": POD,
        "PodName": "books",
        "Ports": None,
        "Restarts": 0,
        "Size": None,
        "StartedAt": 1795261878,
        "State": "running",
        "Status": "",
    } | changes


def podman_4(**changes: object) -> dict[str, Any]:
    """A container alone in the list of Podman 4.3.1: without restarts."""
    return {
        "AutoRemove": False,
        "Command": ["sleep", "100000"],
        "Created": "2026-11-21T12:07:13.796150442Z",
        "CreatedAt": "",
        "Exited": False,
        "ExitedAt": NEVER_S,
        "ExitCode": 0,
        "Id": WEB,
        "Image": "localhost/t/busybox:latest",
        "ImageID": "7efee706dd8ce392abf7c1cf0212ac83a3af7304286c515affc03c919e734f59",
        "IsInfra": False,
        "Labels": {"a": "b"},
        "Mounts": ["/data"],
        "Names": ["web"],
        "Namespaces": {},
        "Networks": [],
        "Pid": 20454,
        "Pod": "",
        "PodName": "",
        "Ports": None,
        "Size": None,
        "StartedAt": 1795262833,
        "State": "running",
        "Status": "healthy",
    } | changes


def inspected(**changes: Mapping[str, object]) -> dict[str, Any]:
    """An answer of ``/libpod/containers/ID/json``, as far as it is read; changes are merged into the objects."""
    whole: dict[str, Any] = {
        "Id": WEB,
        "Created": "2026-11-21T12:07:13.796150442Z",
        "State": {
            "Status": "running",
            "OOMKilled": False,
            "Pid": 20454,
            "StartedAt": "2026-11-21T12:07:13.871658464Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "RestartCount": 2,
        "Mounts": [
            {
                "Type": "bind",
                "Source": "/srv/data",
                "Destination": "/data",
                "Driver": "",
                "Mode": "",
                "Options": ["rbind"],
                "RW": False,
                "Propagation": "rprivate",
            },
            {
                "Type": "volume",
                "Name": "cache",
                "Source": "/var/lib/containers/storage/volumes/cache/_data",
                "Destination": "/cache",
                "RW": True,
            },
        ],
        "Config": {"Image": "localhost/t/busybox:latest", "StopSignal": 2, "StopTimeout": 3},
        "HostConfig": {
            "NetworkMode": f"container:{INFRA}",
            "PidMode": "host",
            "IpcMode": "shareable",
            "UTSMode": "private",
            "CgroupMode": "host",
            "UsernsMode": "",
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        },
    }
    for name, change in changes.items():
        whole[name] = {**whole[name], **change}
    return whole


# What an entry of the list tells.


def test_an_infra_container_of_podman_5() -> None:
    assert info_from_list(podman_5()) == ContainerInfo(
        id=INFRA,
        runtime="podman",
        name="0bb33f4fcbd4-infra",
        source=Source.API,
        state=State.RUNNING,
        image="localhost/lab/busybox:latest",
        restarts=0,
        created_ns=1795261871791460150,
        started_ns=1795261878 * 10**9,
        role=Role.SANDBOX,
        pod=PodInfo(PodKind.PODMAN, POD, "books"),
    )


def test_a_container_alone_of_podman_4() -> None:
    assert info_from_list(podman_4()) == ContainerInfo(
        id=WEB,
        runtime="podman",
        name="web",
        source=Source.API,
        state=State.RUNNING,
        image="localhost/t/busybox:latest",
        command="sleep 100000",
        labels={"a": "b"},
        health=Health.HEALTHY,
        created_ns=1795262833796150442,
        started_ns=STARTED_NS,
    )


def test_an_entry_of_nothing_but_an_id() -> None:
    assert info_from_list({"Id": WEB}) == ContainerInfo(WEB, "podman", WEB[:12], Source.API, State.UNKNOWN)


def test_a_pod_without_a_name_has_its_ids_beginning() -> None:
    assert info_from_list(podman_5(PodName="")).pod == PodInfo(PodKind.PODMAN, POD, POD[:12])


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("configured", State.CREATED),
        ("created", State.CREATED),
        ("initialized", State.CREATED),
        ("running", State.RUNNING),
        ("stopping", State.RUNNING),
        ("paused", State.PAUSED),
        ("restarting", State.RESTARTING),
        ("stopped", State.EXITED),
        ("exited", State.EXITED),
        ("removing", State.EXITED),
        ("unknown", State.UNKNOWN),
        ("", State.UNKNOWN),
        (None, State.UNKNOWN),
        (["running"], State.UNKNOWN),
    ],
)
def test_the_state_of_a_container(text: object, state: State) -> None:
    assert info_from_list(podman_4(State=text)).state is state


def test_only_what_is_over_has_an_exit_code_and_an_end() -> None:
    ended = {"ExitCode": 137, "ExitedAt": 1795263930, "Exited": True}

    assert info_from_list(podman_4(State="running", **ended)).exit_code is None
    assert info_from_list(podman_4(State="running", **ended)).finished_ns is None
    assert info_from_list(podman_4(State="exited", **ended)).exit_code == 137
    assert info_from_list(podman_4(State="exited", **ended)).finished_ns == 1795263930 * 10**9


def test_what_never_ran_has_no_start() -> None:
    assert info_from_list(podman_4(State="created", StartedAt=NEVER_S)).started_ns is None


@pytest.mark.parametrize(
    ("state", "status", "health"),
    [
        ("running", "healthy", Health.HEALTHY),
        ("running", "unhealthy", Health.UNHEALTHY),
        ("paused", "starting", Health.STARTING),
        ("exited", "starting", None),
        ("created", "starting", None),
        ("running", "", None),
        ("running", 1, None),
    ],
)
def test_the_health_of_what_runs(state: str, status: object, health: Health | None) -> None:
    assert info_from_list(podman_4(State=state, Status=status)).health is health


def test_ports_and_ranges_of_ports() -> None:
    ports = [
        {"host_ip": "127.0.0.1", "container_port": 80, "host_port": 18080, "range": 1, "protocol": "tcp"},
        {"host_ip": "", "container_port": 9000, "host_port": 19000, "range": 2, "protocol": "udp"},
        {"container_port": 443, "host_port": 8443},
        {"container_port": 443},
        None,
    ]

    assert info_from_list(podman_5(Ports=ports)).ports == (
        Port("127.0.0.1", 18080, 80, "tcp"),
        Port(None, 19000, 9000, "udp"),
        Port(None, 19001, 9001, "udp"),
        Port(None, 8443, 443, "tcp"),
    )


def test_a_range_of_ports_is_not_followed_for_ever() -> None:
    ports = [{"container_port": 1, "host_port": 1, "range": 2**40}] * 3

    assert len(info_from_list(podman_5(Ports=ports)).ports) == MOST_PORTS


@pytest.mark.parametrize("answer", [None, {}, {"message": "no"}, "[]", [None], [{}], [{"Id": ""}], [{"Id": 5}]])
def test_what_is_no_list_of_containers_is_said_so(answer: object) -> None:
    with pytest.raises(ParseError, match=r"^podman: /v4"):
        parse_list(answer)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(podman_5(), JSON)))
def test_any_entry_parses_or_raises_a_parse_error(entry: dict[str, object]) -> None:
    try:
        info = info_from_list(entry)
    except ParseError:
        assert not isinstance(entry.get("Id"), str) or not entry["Id"]
    else:
        assert info.id == entry["Id"]
        assert all(isinstance(label, str) for label in info.labels.values())


# What an inspection adds.


def test_the_details_of_a_container() -> None:
    assert parse_details(inspected()) == Details(
        restarts=2,
        restart_policy="on-failure",
        oom_killed=False,
        grace_s=3.0,
        stop_signal="SIGINT",
        joins_network_of=INFRA,
        host_namespaces=("pid", "cgroup"),
        volumes=(Volume("/srv/data", "/data", is_read_only=True), Volume("cache", "/cache")),
    )


def test_the_details_of_nothing() -> None:
    assert parse_details({}) == parse_details(None) == Details(restart_policy="no")


@pytest.mark.parametrize(
    ("said", "name"),
    [(15, "SIGTERM"), ("SIGQUIT", "SIGQUIT"), (37, "37"), (0, "0"), (None, None), ("", None), (10**30, None)],
)
def test_the_stop_signal(said: object, name: str | None) -> None:
    assert parse_details(inspected(Config={"StopSignal": said})).stop_signal == name


@pytest.mark.parametrize(("said", "policy"), [("", "no"), ("no", "no"), ("always", "always"), (None, "no")])
def test_when_it_is_started_again(said: object, policy: str) -> None:
    assert parse_details(inspected(HostConfig={"RestartPolicy": {"Name": said}})).restart_policy == policy


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "State": st.dictionaries(st.sampled_from(["OOMKilled"]), JSON) | JSON,
            "RestartCount": JSON,
            "Config": st.dictionaries(st.sampled_from(["StopSignal", "StopTimeout"]), JSON) | JSON,
            "HostConfig": st.dictionaries(st.sampled_from(["NetworkMode", "PidMode", "RestartPolicy"]), JSON) | JSON,
            "Mounts": st.lists(st.dictionaries(st.sampled_from(["Name", "Source", "Destination", "RW"]), JSON) | JSON),
        },
    )
)
def test_any_inspection_gives_details(answer: dict[str, object]) -> None:
    details = parse_details(answer)

    assert isinstance(details.restart_policy, str)
    assert all(volume.source and volume.target for volume in details.volumes)


# A service.


@dataclass(frozen=True)
class FakeApi(JsonSocket):
    """Answers by method and path; an error is raised."""

    socket: str = "/run/podman/podman.sock"
    answers: dict[str, object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def probe(self) -> None:
        """Be there."""

    def request(self, method: str, path: str, body: object = None, timeout_s: float = 5.0) -> Any:
        assert body is None
        self.requests.append(f"{method} {path}")
        self.timeouts.append(timeout_s)
        answer = self.answers.get(f"{method} {path}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def beginning(self, path: str, most_bytes: int, timeout_s: float = 5.0) -> tuple[bytes, bool]:
        data: bytes = self.request("GET", path, timeout_s=timeout_s)
        return data[:most_bytes], len(data) > most_bytes

    def taken(self) -> list[str]:
        """The requests since the last look at them."""
        requests, self.requests[:] = list(self.requests), []
        return requests

    def listed(self, *entries: dict[str, Any]) -> None:
        self.answers[f"GET {LIST}"] = list(entries)


INSPECT_WEB, INSPECT_INFRA = f"GET {API}/{WEB}/json", f"GET {API}/{INFRA}/json"


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi(answers={INSPECT_WEB: inspected(), INSPECT_INFRA: inspected(HostConfig={"NetworkMode": "host"})})
    api.listed(podman_4(), podman_5())
    return api


@pytest.fixture
def service(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Podman:
    monkeypatch.setattr(podman, "JsonSocket", lambda *_, **__: api)
    return Podman("/run/podman/podman.sock")


def test_where_nothing_listens_there_is_no_connection(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(SourceUnavailable, match="no such file or directory"):
        PLUGIN.connect(str(tmp_path_factory.getbasetemp() / "none"))


def test_a_container_is_inspected_once_for_each_start_and_each_end(service: Podman, api: FakeApi) -> None:
    service.containers()
    assert api.taken() == [f"GET {LIST}", INSPECT_WEB, INSPECT_INFRA]

    infos = {info.id: info for info in service.containers()}
    assert api.taken() == [f"GET {LIST}"]
    assert infos[WEB].stop_signal == "SIGINT"
    assert infos[INFRA].host_namespaces == ("net", "pid", "cgroup")

    api.listed(podman_4(StartedAt=1795262999), podman_5())
    service.containers()
    assert api.taken() == [f"GET {LIST}", INSPECT_WEB]

    api.listed(podman_4(StartedAt=1795262999, State="exited"), podman_5())
    service.containers()
    assert api.taken() == [f"GET {LIST}", INSPECT_WEB]


def test_restarts_are_the_lists_where_it_tells_them(service: Podman) -> None:
    restarts = {info.id: info.restarts for info in service.containers()}

    assert restarts == {WEB: 2, INFRA: 0}


def test_inspecting_stops_and_goes_on_at_the_next_call(
    service: Podman, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    monkeypatch.setattr(podman.time, "monotonic", lambda: next(ticks) * podman.INSPECT_S * 0.6)
    api.listed(podman_5(State="exited"), podman_4())

    assert [info.stop_signal for info in service.containers()] == [None, "SIGINT"]
    assert [info.stop_signal for info in service.containers()] == ["SIGINT", "SIGINT"]


def test_a_container_that_vanishes_before_it_is_inspected_is_left_out(service: Podman, api: FakeApi) -> None:
    api.answers[INSPECT_WEB] = Refused(404, "no such container", "s")

    assert [info.id for info in service.containers()] == [INFRA]


@pytest.mark.parametrize("failure", [Refused(500, "locked", "s"), ParseError("s", "<html>")])
def test_a_container_that_cannot_be_inspected_keeps_what_the_list_says(
    service: Podman, api: FakeApi, failure: Exception
) -> None:
    api.answers[INSPECT_WEB] = failure

    assert [info.name for info in service.containers()] == ["web", "0bb33f4fcbd4-infra"]
    assert [info.stop_signal for info in service.containers()] == [None, "SIGINT"]


def test_a_removed_container_that_comes_again_is_inspected_again(service: Podman, api: FakeApi) -> None:
    service.containers()
    api.listed(podman_5())
    service.containers()
    api.listed(podman_4(), podman_5())
    api.taken()
    service.containers()

    assert api.taken() == [f"GET {LIST}", INSPECT_WEB]


def test_a_service_that_has_ended_is_unavailable_until_it_is_there_again(service: Podman, api: FakeApi) -> None:
    api.answers[f"GET {LIST}"] = SourceUnavailable("connection refused at s")
    with pytest.raises(SourceUnavailable, match="connection refused"):
        service.containers()

    api.listed(podman_4())
    assert [info.id for info in service.containers()] == [WEB]
    service.close()


# Actions.


def test_the_start_that_actions_check_is_the_one_of_the_list(service: Podman) -> None:
    listed = next(info for info in service.containers() if info.id == WEB)

    assert service.started_ns(WEB) == listed.started_ns == STARTED_NS


def test_what_never_ran_has_no_start_to_check(service: Podman, api: FakeApi) -> None:
    api.answers[INSPECT_WEB] = inspected(State={"StartedAt": "0001-01-01T00:00:00Z"})

    assert service.started_ns(WEB) is None


def test_podman_can_do_everything(service: Podman) -> None:
    lifecycle = supports_lifecycle(service)

    assert lifecycle is not None
    assert lifecycle.abilities == EVERY_ABILITY


def test_each_action_is_a_request(service: Podman, api: FakeApi) -> None:
    service.start(WEB)
    service.stop(WEB, 2.5)
    service.restart(WEB, 0)
    service.pause(WEB)
    service.unpause(WEB)
    service.kill(WEB, "SIGHUP")

    assert [request.removeprefix(f"POST {API}/{WEB}/") for request in api.taken()] == [
        "start?",
        "stop?timeout=3",
        "restart?t=0&timeout=0",
        "pause?",
        "unpause?",
        "kill?signal=SIGHUP",
    ]


def test_a_stop_is_waited_for_longer_than_its_grace_period(service: Podman, api: FakeApi) -> None:
    service.stop(WEB, 300.0)

    assert api.timeouts[-1] > 300.0


def test_a_refused_action_is_told_in_podmans_words(service: Podman, api: FakeApi) -> None:
    api.answers[f"POST {API}/{WEB}/unpause?"] = Refused(500, f'"{WEB}" is not paused, can\'t unpause', "s")
    with pytest.raises(ActionFailed, match=r"is not paused, can't unpause$"):
        service.unpause(WEB)


REMOVAL = f"DELETE {API}/{WEB}?force=false&v=false"


@pytest.mark.parametrize("answer", [None, [], [{"Id": WEB, "Err": None}], [{"Id": WEB}], {"odd": 1}])
def test_a_removal_forces_nothing_and_keeps_volumes(service: Podman, api: FakeApi, answer: object) -> None:
    api.answers[REMOVAL] = answer

    service.remove(WEB)

    assert api.taken() == [REMOVAL]


def test_a_removal_that_is_answered_and_not_done_is_told(service: Podman, api: FakeApi) -> None:
    api.answers[REMOVAL] = [{"Id": WEB, "Err": "it is the infra container of pod books"}]

    with pytest.raises(ActionFailed, match=r"^it is the infra container of pod books$"):
        service.remove(WEB)


def test_an_id_is_no_path(service: Podman, api: FakeApi) -> None:
    service.start(ContainerId("../images/a?b=c\udc80"))

    assert api.taken() == [f"POST {API}/..%2Fimages%2Fa%3Fb%3Dc%3F/start?"]


def log_of(container: str, lines: int) -> str:
    return f"GET {API}/{container}/logs?stdout=true&stderr=true&timestamps=true&tail={lines}"


def test_the_last_lines_that_a_container_has_written(service: Podman, api: FakeApi) -> None:
    api.answers[log_of(WEB, 7)] = (
        b"\x01\0\0\0\0\0\0\x1b2026-11-21T12:07:13Z hello\n\x02\0\0\0\0\0\0\x192026-11-21T12:07:13Z bad\n"
    )
    logs = supports_logs(service)
    assert logs is not None

    assert logs.tail(WEB, 7) == (
        LogLine(STARTED_NS, is_stderr=False, text="hello"),
        LogLine(STARTED_NS, is_stderr=True, text="bad"),
    )


def test_fewer_lines_are_asked_for_where_the_last_ones_would_be_lost(service: Podman, api: FakeApi) -> None:
    frame = b"\x01\0\0\0\0\0\x40\0" + b"x" * (1 << 14)
    api.answers.update({log_of(WEB, lines): frame * lines for lines in (10, 2)})

    assert service.tail(WEB, 10) == (LogLine(None, is_stderr=False, text="x" * 4096),) * 2
    assert api.taken() == [log_of(WEB, 10), log_of(WEB, 2)]


NOT_LOGGING = "this container is using the 'none' log driver, cannot read logs: this container is not logging output"


@pytest.mark.parametrize("refusal", [(404, "no such container"), (500, f"failed to obtain logs: {NOT_LOGGING}")])
def test_what_has_no_log_has_written_nothing(service: Podman, api: FakeApi, refusal: tuple[int, str]) -> None:
    api.answers[log_of(WEB, 10)] = Refused(*refusal, api.socket)

    assert service.tail(WEB, 10) == ()


def test_a_log_that_podman_cannot_read_is_said_so(service: Podman, api: FakeApi) -> None:
    api.answers[log_of(WEB, 10)] = Refused(500, "input/output error", api.socket)
    with pytest.raises(SourceUnavailable, match="input/output error"):
        service.tail(WEB, 10)

    api.answers[log_of(WEB, 10)] = b"<html>no frames</html>"
    with pytest.raises(ParseError, match=r"^podman: /logs: "):
        service.tail(WEB, 10)
