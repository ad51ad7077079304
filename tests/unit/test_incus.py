"""Incus and LXD: what is made of their JSON, and how an action is begun and waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import JSON

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.output import Wanted
from topcon.model.sample import ContainerId, ContainerInfo, Source, State, Volume
from topcon.runtimes import feeds, incus, supports_lifecycle
from topcon.runtimes.http import JsonSocket, Refused
from topcon.runtimes.incus import LIST, PLUGIN, Incus, info_from_instance, parse_list

if TYPE_CHECKING:
    from collections.abc import Iterable

WEB, SHOP_WEB = ContainerId("web"), ContainerId("shop_web")


def instance(**changes: object) -> dict[str, Any]:
    """A running container in the list of Incus 6.0.4."""
    config = {
        "image.description": "Busybox lab image",
        "image.os": "busybox",
        "security.privileged": "true",
        "user.tier": "front",
        "volatile.base_image": "6bff3fd8902e2aff74e07881efab6a1fddcfdc4d69502519089942db9f4f04ef",
        "volatile.last_state.power": "RUNNING",
    }
    devices = {"root": {"path": "/", "pool": "default", "type": "disk"}}
    return {
        "architecture": "x86_64",
        "config": config,
        "devices": devices,
        "ephemeral": False,
        "profiles": ["default"],
        "stateful": False,
        "description": "",
        "created_at": "2026-11-21T12:09:19.11595771Z",
        "expanded_config": config,
        "expanded_devices": devices,
        "name": "web",
        "status": "Running",
        "status_code": 103,
        "last_used_at": "2026-11-21T12:22:30.7975805Z",
        "location": "none",
        "type": "container",
        "project": "default",
    } | changes


def sync(metadata: object) -> dict[str, Any]:
    return {"type": "sync", "status": "Success", "status_code": 200, "error_code": 0, "error": "", "metadata": metadata}


def test_a_running_container() -> None:
    assert info_from_instance(instance()) == ContainerInfo(
        id=WEB,
        runtime="lxc",
        name="web",
        source=Source.API,
        state=State.RUNNING,
        image="Busybox lab image",
        labels={"user.tier": "front"},
        created_ns=1795262959115957710,
        started_ns=1795263750797580500,
    )


def test_an_instance_of_nothing_but_a_name() -> None:
    assert info_from_instance({"name": "web"}) == ContainerInfo(WEB, "lxc", "web", Source.API, State.UNKNOWN)


def test_outside_the_default_project_the_id_is_the_cgroups_and_the_name_its_own() -> None:
    info = info_from_instance(instance(project="shop"))

    assert (info.id, info.name) == (SHOP_WEB, "web")


@pytest.mark.parametrize(
    ("status", "last_used_at", "state"),
    [
        ("Running", "2026-11-21T12:22:30Z", State.RUNNING),
        ("Ready", "2026-11-21T12:22:30Z", State.RUNNING),
        ("Stopping", "2026-11-21T12:22:30Z", State.RUNNING),
        ("Frozen", "2026-11-21T12:22:30Z", State.PAUSED),
        ("Stopped", "2026-11-21T12:22:30Z", State.EXITED),
        ("Stopped", "1970-01-01T00:00:00Z", State.CREATED),
        ("Stopped", "0001-01-01T00:00:00Z", State.CREATED),
        ("Error", "2026-11-21T12:22:30Z", State.UNKNOWN),
        (None, None, State.UNKNOWN),
        (["Running"], {}, State.UNKNOWN),
    ],
)
def test_the_state_of_an_instance(status: object, last_used_at: object, state: State) -> None:
    assert info_from_instance(instance(status=status, last_used_at=last_used_at)).state is state


def test_files_for_the_first_start_are_no_labels() -> None:
    config = {"user.user-data": "password: x", "user.network-config": "x", "user.a": "b", "limits.cpu": "2"}

    assert info_from_instance(instance(expanded_config=config)).labels == {"user.a": "b"}


def test_where_profiles_are_not_merged_the_instances_own_configuration_counts() -> None:
    assert info_from_instance(instance(expanded_config=None)).image == "Busybox lab image"


def test_volumes_are_disks_with_a_source() -> None:
    devices = {
        "root": {"path": "/", "pool": "default", "type": "disk"},
        "data": {"path": "/data", "source": "/srv/data", "type": "disk", "readonly": "true"},
        "cache": {"path": "/cache", "source": "cache", "pool": "default", "type": "disk"},
        "eth0": {"type": "nic", "source": "x", "path": "y"},
        "odd": {"path": [], "source": {}, "type": "disk", "readonly": []},
    }

    assert info_from_instance(instance(expanded_devices=devices)).volumes == (
        Volume("/srv/data", "/data", is_read_only=True),
        Volume("cache", "/cache"),
    )


def test_virtual_machines_are_no_containers() -> None:
    answer = sync([instance(), instance(name="vm", type="virtual-machine")])

    assert [info.name for info in parse_list(answer)] == ["web"]


@pytest.mark.parametrize("answer", [None, [], {}, sync(None), sync(["/1.0/instances/web"]), sync([{"name": ""}])])
def test_what_is_no_list_of_instances_is_said_so(answer: object) -> None:
    with pytest.raises(ParseError, match=r"^incus: /1.0/instances"):
        parse_list(answer)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(instance(), JSON)))
def test_any_instance_parses_or_raises_a_parse_error(said: dict[str, object]) -> None:
    try:
        info = info_from_instance(said)
    except ParseError:
        assert not isinstance(said.get("name"), str) or not said["name"]
    else:
        assert info.name == said["name"]
        assert all(isinstance(label, str) for label in info.labels.values())


# A daemon.

OPERATION = "/1.0/operations/dda55276-7c01-492d-8388-45aef50972e4"
DONE = sync({"id": "dda55276", "status": "Success", "status_code": 200, "err": ""})
TOO_LATE = {
    "type": "error",
    "status_code": 0,
    "error_code": 500,
    "error": 'Failed shutting down instance, status is "Running": context deadline exceeded',
    "metadata": None,
}
"""With HTTP status 200."""


@dataclass(frozen=True)
class FakeApi(JsonSocket):
    """An instance that is what ``statuses`` say, one after the other, and operations that end as ``ends`` say."""

    socket: str = "/var/lib/incus/unix.socket"
    statuses: list[str] = field(default_factory=lambda: ["Running"])
    ends: list[object] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[object] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def probe(self) -> None:
        """Be there."""

    def request(self, method: str, path: str, body: object = None, timeout_s: float = 5.0) -> Any:
        self.requests.append((method, path))
        self.timeouts.append(timeout_s)
        if path == LIST:
            return sync([instance(), instance(project="shop")])
        if path.startswith(OPERATION):
            return self.ends.pop(0) if self.ends else DONE
        if "/nope" in path:
            raise Refused(404, "Instance not found", self.socket)
        if method in {"PUT", "DELETE"}:
            self.bodies.append(body)
            return {"type": "async", "status_code": 100, "operation": OPERATION, "metadata": {}}
        return sync(instance(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]))

    def changes(self) -> list[tuple[str, bool]]:
        """The changes that were asked for, and whether by force."""
        return [(body["action"], body["force"]) for body in self.bodies if isinstance(body, dict)]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def daemon(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Incus:
    monkeypatch.setattr(incus, "JsonSocket", lambda *_, **__: api)
    return Incus("/var/lib/incus/unix.socket")


def is_like(api: FakeApi, statuses: Iterable[str], *ends: object) -> None:
    api.statuses[:] = statuses
    api.ends[:] = ends


def test_where_nothing_listens_there_is_no_connection(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(SourceUnavailable, match="no such file or directory"):
        PLUGIN.connect(str(tmp_path_factory.getbasetemp() / "none"))


@pytest.mark.parametrize(
    ("socket", "group"),
    [
        ("/var/lib/incus/unix.socket", "incus-admin"),
        ("/var/snap/lxd/common/lxd/unix.socket", "lxd"),
        ("/var/lib/lxd/unix.socket", "lxd"),
    ],
)
def test_the_remedy_names_the_group_that_may_connect(
    socket: str, group: str, monkeypatch: pytest.MonkeyPatch, api: FakeApi
) -> None:
    remedies: list[str] = []
    monkeypatch.setattr(incus, "JsonSocket", lambda _, remedy: remedies.append(remedy) or api)
    Incus(socket)

    assert remedies == [f"sudo usermod -aG {group} $USER, then log in again"]


def test_the_instances_of_all_projects_are_one_call(daemon: Incus, api: FakeApi) -> None:
    assert [info.id for info in daemon.containers()] == [WEB, SHOP_WEB]
    assert api.requests == [("GET", LIST)]
    daemon.close()


def test_incus_can_do_everything_but_send_a_signal(daemon: Incus, api: FakeApi) -> None:
    lifecycle = supports_lifecycle(daemon)

    assert lifecycle is not None
    assert lifecycle.abilities == {"start", "stop", "restart", "pause", "unpause", "remove"}
    with pytest.raises(ActionFailed, match=r"^incus cannot send SIGHUP to web$"):
        lifecycle.kill(WEB, "SIGHUP")
    assert api.requests == []


@pytest.mark.parametrize(
    ("container", "path"),
    [
        (WEB, "/1.0/instances/web?project=default"),
        (SHOP_WEB, "/1.0/instances/web?project=shop"),
        (ContainerId("a b_../c?d\udc80"), "/1.0/instances/..%2Fc%3Fd%3F?project=a+b"),
    ],
)
def test_the_id_names_project_and_instance(daemon: Incus, api: FakeApi, container: ContainerId, path: str) -> None:
    daemon.started_ns(container)

    assert api.requests == [("GET", path)]


def test_the_start_that_actions_check_is_the_one_of_the_list(daemon: Incus) -> None:
    assert daemon.started_ns(WEB) == daemon.containers()[0].started_ns == 1795263750797580500


def test_an_action_is_begun_and_waited_for(daemon: Incus, api: FakeApi) -> None:
    daemon.start(SHOP_WEB)

    assert api.requests == [
        ("PUT", "/1.0/instances/web/state?project=shop"),
        ("GET", f"{OPERATION}/wait?timeout=60"),
    ]
    assert api.bodies == [{"action": "start", "timeout": -1, "force": False}]
    assert api.timeouts[-1] > 60


def test_a_removal_is_begun_and_waited_for(daemon: Incus, api: FakeApi) -> None:
    daemon.remove(SHOP_WEB)

    assert api.requests == [
        ("DELETE", "/1.0/instances/web?project=shop"),
        ("GET", f"{OPERATION}/wait?timeout=60"),
    ]


def test_a_removal_that_fails_says_why(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Stopped"], TOO_LATE)

    with pytest.raises(ActionFailed):
        daemon.remove(WEB)


def test_pausing_is_freezing(daemon: Incus, api: FakeApi) -> None:
    daemon.pause(WEB)
    daemon.unpause(WEB)

    assert api.changes() == [("freeze", False), ("unfreeze", False)]


def test_a_stop_has_its_grace_period(daemon: Incus, api: FakeApi) -> None:
    daemon.stop(WEB, 299.5)

    assert api.bodies == [{"action": "stop", "timeout": 300, "force": False}]
    assert api.timeouts[-1] > 300


def test_after_the_grace_period_a_stop_is_forced(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Running"], TOO_LATE, DONE)
    daemon.stop(WEB, 2)

    assert api.changes() == [("stop", False), ("stop", True)]


def test_what_ends_when_the_grace_period_does_is_not_forced(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Running", "Stopped"], TOO_LATE)
    daemon.stop(WEB, 2)

    assert api.changes() == [("stop", False)]


def test_without_a_grace_period_a_stop_is_forced_at_once(daemon: Incus, api: FakeApi) -> None:
    daemon.stop(WEB, 0)

    assert api.changes() == [("stop", True)]


def test_what_is_stopped_is_not_stopped_again(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Stopped"])
    daemon.stop(WEB, 2)

    assert api.changes() == []


@pytest.mark.parametrize(
    ("status", "changes"),
    [("Running", [("stop", False), ("start", False)]), ("Stopped", [("start", False)])],
)
def test_a_restart_is_a_stop_and_a_start(
    daemon: Incus, api: FakeApi, status: str, changes: list[tuple[str, bool]]
) -> None:
    is_like(api, [status])
    daemon.restart(WEB, 2)

    assert api.changes() == changes


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ({"type": "error", "error": "The instance is already running"}, "The instance is already running"),
        ({"type": "error", "error": None}, "start failed"),
        (sync({"status_code": 400, "status": "Failure", "err": "no space left"}), "no space left"),
        (sync({"status_code": 401, "status": "Cancelled", "err": ""}), "start failed"),
        (sync({"status_code": 103, "status": "Running", "err": ""}), "start is not done after 60 s"),
    ],
)
def test_an_operation_that_fails_is_told_in_the_daemons_words(
    daemon: Incus, api: FakeApi, end: object, words: str
) -> None:
    is_like(api, ["Stopped"], end)
    with pytest.raises(ActionFailed) as error:
        daemon.start(WEB)

    assert str(error.value) == words


def test_a_forced_stop_that_fails_is_no_success(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Running"], TOO_LATE, {"type": "error", "error": "busy"})
    with pytest.raises(ActionFailed, match=r"^busy$"):
        daemon.stop(WEB, 2)


def test_what_ends_before_it_is_forced_has_stopped(daemon: Incus, api: FakeApi) -> None:
    is_like(api, ["Running", "Running", "Stopped"], TOO_LATE, {"type": "error", "error": "already stopped"})
    daemon.stop(WEB, 2)

    assert api.changes() == [("stop", False), ("stop", True)]


def test_an_instance_that_is_gone(daemon: Incus) -> None:
    for act in (daemon.started_ns, daemon.start, daemon.pause):
        with pytest.raises(ActionFailed, match=r"^Instance not found$"):
            act(ContainerId("nope"))


# What instances have written.


def test_the_console_is_what_an_instance_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = [b"one\r\ntwo\r\n", b"one\r\ntwo\r\nthree\r\n"]

    def beginning(_: JsonSocket, path: str, __: int) -> tuple[bytes, bool]:
        asked.append(path)
        return (answers.pop(0) if len(answers) > 1 else answers[0]), False

    monkeypatch.setattr(JsonSocket, "probe", lambda _: None)
    monkeypatch.setattr(JsonSocket, "beginning", beginning)
    monkeypatch.setattr(feeds, "ASK_S", 0.001)
    daemon = Incus("/run/incus.socket")

    assert [line.text for line in daemon.tail(SHOP_WEB, 1)] == ["two"]
    assert asked == ["/1.0/instances/web/console?project=shop"]
    feed = daemon.follow(WEB, Wanted(1))
    assert feed is not None
    assert len(asked) == 2
    read = [feed.read() for _ in range(2)]
    assert [[line.text for line in batch.lines] for batch in read if batch] == [["three"], []]


@pytest.mark.parametrize("status", [400, 404])
def test_an_instance_without_a_console_has_written_nothing(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    def refuse(*_: object) -> None:
        raise Refused(status, "no console", "/run/incus.socket")

    monkeypatch.setattr(JsonSocket, "probe", lambda _: None)
    monkeypatch.setattr(JsonSocket, "beginning", refuse)
    daemon = Incus("/run/incus.socket")

    assert daemon.tail(WEB, 5) == ()
    assert daemon.follow(WEB, Wanted(5)) is None
