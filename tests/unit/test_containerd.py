"""containerd's own containers: what is made of its messages, and how they are commanded."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from grpcd import Deny, GrpcDaemon, denying, running
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.sample import ContainerInfo, Source, State, Volume
from topcon.runtimes import EVERY_ABILITY, supports_lifecycle
from topcon.runtimes import containerd as module
from topcon.runtimes.containerd import PLUGIN, Containerd, Spec, container_id, parse_spec, signal_number
from topcon.runtimes.messages import decode, encode, entries, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = "a" * 64
CREATED_S, EXITED_S = 1_795_261_908, 1_795_262_000
CREATED, RUNNING, STOPPED, PAUSED, PAUSING = range(1, 6)
OWN = "/containerd.services."
SPEC = {
    "ociVersion": "1.0.2-dev",
    "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "100000"], "env": ["PATH=/bin"], "cwd": "/"},
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind", "ro"]},
        {"destination": "/run/x", "type": "none", "source": "/srv/x", "options": ["rbind", "rw"]},
    ],
}
MOUNT = {"type": "overlay", "source": "overlay", "options": ["index=off", "upperdir=/u"]}


def container(identifier: str = "db", **changes: Any) -> dict[str, Any]:
    labels = changes.pop("labels", {"nerdctl/name": "database"})
    return {
        "id": identifier,
        "labels": entries(labels),
        "image": "example/db:1",
        "spec": {"value": json.dumps(changes.pop("spec", SPEC)).encode()},
        "snapshotter": "overlayfs",
        "snapshot_key": identifier,
        "created_at": {"seconds": CREATED_S, "nanos": 7},
        "updated_at": {"seconds": CREATED_S, "nanos": 7},
    } | changes


def task(identifier: str = "db", status: int = RUNNING, **changes: Any) -> dict[str, Any]:
    return {"id": identifier, "pid": 77, "status": status} | changes


@dataclass
class Store:
    """What a daemon has by namespace, and what it was told."""

    containers: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"default": [container()]})
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"default": [task()]})
    told: list[Any] = field(default_factory=list)
    deaf_to: tuple[int, ...] = ()

    def answers(self) -> dict[str, Any]:
        own = {
            "namespaces.v1.Namespaces/List": self._namespaces,
            "containers.v1.Containers/ListStream": self._list,
            "containers.v1.Containers/Get": self._get,
            "containers.v1.Containers/Update": self._update,
            "tasks.v1.Tasks/List": self._tasks,
            "tasks.v1.Tasks/Get": self._task,
            "tasks.v1.Tasks/Kill": self._kill,
            "tasks.v1.Tasks/Pause": lambda *_: self._turn("Pause", PAUSED),
            "tasks.v1.Tasks/Resume": lambda *_: self._turn("Resume", RUNNING),
            "tasks.v1.Tasks/Delete": self._delete,
            "tasks.v1.Tasks/Create": self._create,
            "tasks.v1.Tasks/Start": lambda *_: self._turn("Start", RUNNING),
            "snapshots.v1.Snapshots/Mounts": lambda *_: encode("containerd.MountsResponse", mounts=[MOUNT]),
        }
        return {f"{OWN}{method}": answer for method, answer in own.items()}

    def _namespaces(self, *_: object) -> bytes:
        names = [*self.containers, "moby", "k8s.io"]
        return encode("containerd.ListNamespacesResponse", namespaces=[{"name": name} for name in names])

    def _list(self, _: bytes, metadata: dict[str, str]) -> list[bytes]:
        known = self.containers[metadata["containerd-namespace"]]
        return [encode("containerd.ListContainerMessage", container=each) for each in known]

    def _get(self, data: bytes, metadata: dict[str, str]) -> bytes:
        identifier = decode("containerd.GetContainerRequest", data).id
        for each in self.containers[metadata["containerd-namespace"]]:
            if each["id"] == identifier:
                return encode("containerd.GetContainerResponse", container=each)
        raise Deny(*NOT_FOUND)

    def _update(self, data: bytes, _: dict[str, str]) -> bytes:
        request = decode("containerd.UpdateContainerRequest", data)
        labels = pairs(request.container.labels)
        assert set(request.update_mask.paths) == {f"labels.{label}" for label in labels}
        self.told.append(dict(labels))
        return b""

    def _tasks(self, _: bytes, metadata: dict[str, str]) -> bytes:
        return encode("containerd.ListTasksResponse", tasks=self.tasks[metadata["containerd-namespace"]])

    def _task(self, *_: object) -> bytes:
        if not self.tasks["default"]:
            raise Deny(*NOT_FOUND)
        return encode("containerd.GetTaskResponse", process=self.tasks["default"][0])

    def _kill(self, data: bytes, _: dict[str, str]) -> bytes:
        number = decode("containerd.KillRequest", data).signal
        self.told.append(signal.Signals(number).name)
        if number not in self.deaf_to:
            self.tasks["default"][0] |= {"status": STOPPED, "exit_status": 128 + number}
        return b""

    def _turn(self, method: str, status: int) -> bytes:
        self.told.append(method)
        self.tasks["default"][0]["status"] = status
        return b""

    def _delete(self, *_: object) -> bytes:
        self.told.append("Delete")
        self.tasks["default"].clear()
        return b""

    def _create(self, data: bytes, _: dict[str, str]) -> bytes:
        self.told.append(decode("containerd.CreateTaskRequest", data))
        self.tasks["default"].append(task(status=CREATED))
        return b""


NOT_FOUND = ("NOT_FOUND", "not found")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    return Store()


@pytest.fixture
def daemon(store: Store) -> Iterator[GrpcDaemon]:
    with running(store.answers()) as daemon:
        yield daemon


@pytest.fixture
def connection(daemon: GrpcDaemon) -> Iterator[Containerd]:
    connection = Containerd(daemon.socket)
    yield connection
    connection.close()


def test_a_container_is_told_as_what_it_is(connection: Containerd) -> None:
    assert connection.containers() == (
        ContainerInfo(
            id="default/db",
            runtime="containerd",
            name="database",
            source=Source.API,
            state=State.RUNNING,
            image="example/db:1",
            command="/bin/sleep 100000",
            labels={"nerdctl/name": "database"},
            created_ns=CREATED_S * 10**9 + 7,
            volumes=(Volume("/srv/data", "/data", is_read_only=True), Volume("/srv/x", "/run/x")),
        ),
    )


def test_labels_of_nerdctl_and_of_the_restart_monitor_are_heeded(connection: Containerd, store: Store) -> None:
    labels = {
        "nerdctl/stop-timeout": "30",
        "io.containerd.image.config.stop-signal": "SIGQUIT",
        "containerd.io/restart.status": "running",
        "containerd.io/restart.policy": "on-failure:3",
        "containerd.io/restart.count": "2",
    }
    store.containers["default"] = [container(labels=labels)]
    (info,) = connection.containers()
    assert (info.name, info.grace_s, info.stop_signal) == ("db", 30, "SIGQUIT")
    assert (info.restart_policy, info.restarts) == ("on-failure", 2)
    store.containers["default"] = [container(labels=dict.fromkeys(labels, "-1e9"))]
    (info,) = connection.containers()
    assert (info.grace_s, info.restarts) == (None, None)


@pytest.mark.parametrize(
    ("of_task", "expected"),
    [
        ([task(status=CREATED)], (State.CREATED, None, None)),
        ([task(status=PAUSED)], (State.PAUSED, None, None)),
        ([task(status=PAUSING)], (State.PAUSED, None, None)),
        ([task(status=0)], (State.UNKNOWN, None, None)),
        ([], (State.CREATED, None, None)),
        (
            [task(status=STOPPED, exit_status=137, exited_at={"seconds": EXITED_S})],
            (State.EXITED, 137, EXITED_S * 10**9),
        ),
        # Go's zero time, the year 1.
        ([task(status=STOPPED, exited_at={"seconds": -62135596800})], (State.EXITED, 0, None)),
    ],
)
def test_states_are_those_of_the_task(
    connection: Containerd, store: Store, of_task: list[dict[str, Any]], expected: tuple[Any, ...]
) -> None:
    store.tasks["default"] = of_task
    (info,) = connection.containers()
    assert (info.state, info.exit_code, info.finished_ns) == expected


def test_what_docker_and_kubernetes_keep_is_theirs_to_tell(
    connection: Containerd, store: Store, daemon: GrpcDaemon
) -> None:
    store.containers |= {"other": [container(HASH)], "moby": [container()], "k8s.io": [container()]}
    store.tasks |= {"other": [], "moby": [], "k8s.io": []}
    assert [info.id for info in connection.containers()] == ["default/db", HASH]
    assert daemon.calls.count("ListStream") == 2


def test_ids_of_peoples_own_are_told_apart_by_their_namespace() -> None:
    assert container_id("default", "db") == "default/db"
    assert container_id("default", HASH) == HASH
    assert container_id("default", HASH[1:]) == f"default/{HASH[1:]}"


def test_a_specification_is_parsed_once_a_change(
    connection: Containerd, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    monkeypatch.setattr(module, "parse_spec", lambda data: parsed.append(data) or Spec())
    connection.containers()
    connection.containers()
    assert len(parsed) == 1
    store.containers["default"][0]["updated_at"] = {"seconds": EXITED_S}
    connection.containers()
    assert len(parsed) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("process", "args", "mounts", "options")), inner),
    max_leaves=10,
)


@given(JSON)
@example({"process": {"args": "no list"}, "mounts": {"no": "list"}})
@example({"process": [], "mounts": [1, {"source": 1, "destination": 2, "options": ["bind"]}, {"options": "bind"}]})
def test_any_specification_gives_what_it_holds(value: object) -> None:
    spec = parse_spec(json.dumps(value).encode())
    assert spec.command is None or isinstance(spec.command, str)
    assert not spec.volumes


@given(st.binary())
@example(b"[" * 100_000)
@example(b"\xff")
def test_any_bytes_for_a_specification_are_borne(data: bytes) -> None:
    assert parse_spec(data) == Spec()


def test_without_the_cri_all_can_be_done_but_a_removal(connection: Containerd) -> None:
    assert supports_lifecycle(connection)
    assert connection.abilities == EVERY_ABILITY - {"remove"}
    with pytest.raises(ActionFailed, match="leaves the removal of default/db to the client that made it"):
        connection.remove("default/db")


def test_with_the_cri_pods_are_told_and_what_it_lacks_is_no_ability(daemon: GrpcDaemon, store: Store) -> None:
    service = "/runtime.v1.RuntimeService/"
    web = {"id": "b" * 64, "pod_sandbox_id": HASH, "metadata": {"name": "web"}, "state": 1, "created_at": 5}
    daemon.answers |= {
        f"{service}Version": lambda *_: b"",
        f"{service}ListPodSandbox": lambda *_: encode("cri.ListPodSandboxResponse", items=[{"id": HASH}]),
        f"{service}ListContainers": lambda *_: encode("cri.ListContainersResponse", containers=[web]),
        f"{service}ContainerStatus": lambda *_: encode("cri.ContainerStatusResponse", status={"started_at": 6}),
    }
    connection = Containerd(daemon.socket)
    infos = connection.containers()
    assert [(info.id, info.runtime) for info in infos] == [
        (HASH, "containerd"),
        ("b" * 64, "containerd"),
        ("default/db", "containerd"),
    ]
    assert [connection.started_ns(info.id) for info in infos] == [None, 6, None]
    assert connection.abilities == {"start", "stop", "restart", "remove"}
    with pytest.raises(ActionFailed, match="containerd has no way to send SIGTERM to a pod's container"):
        connection.kill(web["id"], "SIGTERM")
    connection.kill("default/db", "SIGTERM")
    assert store.told == ["SIGTERM"]
    connection.close()


def test_a_daemon_that_cannot_say_whether_it_has_the_cri_is_unavailable(daemon: GrpcDaemon) -> None:
    daemon.answers["/runtime.v1.RuntimeService/Version"] = denying("UNAVAILABLE", "server is not initialized yet")
    with pytest.raises(SourceUnavailable, match="server is not initialized yet"):
        Containerd(daemon.socket)
    daemon.answers["/runtime.v1.RuntimeService/Version"] = denying("INTERNAL", "broken")
    with pytest.raises(SourceUnavailable, match=f"broken at {daemon.socket}"):
        Containerd(daemon.socket)


def test_a_refused_list_says_why(connection: Containerd, daemon: GrpcDaemon) -> None:
    daemon.answers[f"{OWN}tasks.v1.Tasks/List"] = denying("UNKNOWN", "broken")
    with pytest.raises(SourceUnavailable, match=f"broken at {daemon.socket}"):
        connection.containers()
    daemon.answers[f"{OWN}containers.v1.Containers/ListStream"] = denying("DEADLINE_EXCEEDED")
    with pytest.raises(SourceUnavailable, match=r"^no answer at "):
        connection.containers()


def test_a_stop_sends_the_containers_own_signal(connection: Containerd, store: Store) -> None:
    store.containers["default"] = [container(labels={"io.containerd.image.config.stop-signal": "QUIT"})]
    connection.stop("default/db", 10)
    assert store.told == ["SIGQUIT"]


def test_a_stop_signal_that_is_none_is_sigterm(connection: Containerd, store: Store) -> None:
    store.containers["default"] = [container(labels={"io.containerd.image.config.stop-signal": "SIGNONE"})]
    connection.stop("default/db", 10)
    assert store.told == ["SIGTERM"]


def test_what_does_not_end_is_killed(connection: Containerd, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.deaf_to = (signal.SIGTERM,)
    connection.stop("default/db", 0.03)
    assert store.told == ["SIGTERM", "SIGKILL"]
    store.tasks["default"] = [task()]
    store.deaf_to = (signal.SIGTERM, signal.SIGKILL)
    monkeypatch.setattr(module, "KILLED_S", 0.03)
    with pytest.raises(ActionFailed, match=r"it has not ended 0\.03 s after SIGKILL"):
        connection.stop("default/db", 0)


def test_what_is_paused_is_resumed_for_its_stop_signal(connection: Containerd, store: Store) -> None:
    store.tasks["default"] = [task(status=PAUSED)]
    store.deaf_to = (signal.SIGTERM,)
    connection.stop("default/db", 0)
    assert store.told == ["SIGTERM", "Resume", "SIGKILL"]


@pytest.mark.parametrize("of_task", [[], [task(status=STOPPED)]])
def test_what_has_ended_is_stopped_already(connection: Containerd, store: Store, of_task: list[dict[str, Any]]) -> None:
    store.tasks["default"] = of_task
    connection.stop("default/db", 10)
    assert store.told == []


def test_what_ends_before_the_signal_is_stopped(connection: Containerd, daemon: GrpcDaemon, store: Store) -> None:
    def ended(*_: object) -> Any:
        store.tasks["default"].clear()
        raise Deny(*NOT_FOUND)

    daemon.answers[f"{OWN}tasks.v1.Tasks/Kill"] = ended
    connection.stop("default/db", 10)
    daemon.answers[f"{OWN}tasks.v1.Tasks/Kill"] = denying("UNKNOWN", "broken")
    store.tasks["default"] = [task()]
    with pytest.raises(ActionFailed, match=r"^broken$"):
        connection.stop("default/db", 10)


def test_the_restart_monitor_is_told_of_a_stop_before_it_and_of_a_start_after(
    connection: Containerd, store: Store
) -> None:
    status, explicit = "containerd.io/restart.status", "containerd.io/restart.explicitly-stopped"
    store.containers["default"] = [container(labels={status: "running"})]
    connection.stop("default/db", 10)
    assert store.told == [{status: "stopped", explicit: "true"}, "SIGTERM"]
    connection.start("default/db")
    assert store.told[-2:] == ["Start", {status: "running", explicit: "false"}]


def test_a_restart_makes_a_new_task_of_the_same_files(connection: Containerd, store: Store) -> None:
    store.tasks["default"] = [task(stdout="file:///var/log/db", stderr="/run/containerd/fifo/1/db-stderr")]
    connection.restart("default/db", 10)
    stopped, deleted, created, started = store.told
    assert (stopped, deleted, started) == ("SIGTERM", "Delete", "Start")
    assert created.container_id == "db"
    (mount,) = created.rootfs
    assert (mount.type, mount.source, list(mount.options)) == ("overlay", "overlay", MOUNT["options"])
    assert (created.stdout, created.stderr, created.terminal) == ("file:///var/log/db", "", False)


def test_what_has_no_task_is_started_without_output(connection: Containerd, store: Store) -> None:
    store.tasks["default"] = []
    store.containers["default"] = [container(labels={"nerdctl/log-uri": "binary:///bin/evil"}, snapshot_key="")]
    connection.start("default/db")
    created, started = store.told
    assert (created.stdout, created.stderr, len(created.rootfs), started) == ("", "", 0, "Start")


def test_a_terminal_that_nobody_can_give_again_keeps_a_container_as_it_is(connection: Containerd, store: Store) -> None:
    spec = SPEC | {"process": SPEC["process"] | {"terminal": True}}
    store.containers["default"] = [container(spec=spec)]
    with pytest.raises(ActionFailed, match="not done: it has a terminal"):
        connection.restart("default/db", 10)
    assert store.told == []
    store.tasks["default"] = [task(stdout="binary:///usr/bin/nerdctl?_NERDCTL_INTERNAL_LOGGING=/x")]
    connection.restart("default/db", 10)
    assert store.told[2].terminal is True


def test_what_cannot_be_started_leaves_no_task_behind(connection: Containerd, daemon: GrpcDaemon, store: Store) -> None:
    store.tasks["default"] = [task(status=STOPPED)]
    daemon.answers[f"{OWN}tasks.v1.Tasks/Start"] = denying("UNKNOWN", "exec: no such file")
    with pytest.raises(ActionFailed, match="exec: no such file"):
        connection.start("default/db")
    assert [each for each in store.told if isinstance(each, str)] == ["Delete", "Delete"]
    assert store.tasks["default"] == []


def test_what_runs_is_not_started(connection: Containerd, store: Store) -> None:
    with pytest.raises(ActionFailed, match="it is running"):
        connection.start("default/db")
    assert store.told == []


def test_pause_unpause_and_kill(connection: Containerd, store: Store) -> None:
    connection.pause("default/db")
    connection.unpause("default/db")
    connection.kill("default/db", "SIGHUP")
    assert store.told == ["Pause", "Resume", "SIGHUP"]
    with pytest.raises(ActionFailed, match="there is no signal 'SIGNONE'"):
        connection.kill("default/db", "SIGNONE")


def test_actions_find_the_namespace_of_a_hash(connection: Containerd, store: Store) -> None:
    store.containers |= {"other": [container(HASH)]}
    connection.kill(HASH, "SIGHUP")
    assert connection.started_ns(HASH) is None
    for gone in ("b" * 64, "default/gone"):
        with pytest.raises(ActionFailed, match="containerd has no such container any more"):
            connection.started_ns(gone)


def test_actions_fail_in_the_daemons_words(connection: Containerd, daemon: GrpcDaemon) -> None:
    for method in ("containers.v1.Containers/Get", "tasks.v1.Tasks/Get"):
        daemon.answers[f"{OWN}{method}"] = denying("UNKNOWN", "the store\nis broken")
        with pytest.raises(ActionFailed, match=r"^the store is broken$"):
            connection.start("default/db")
        daemon.answers.update(Store().answers())


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN+3", signal.SIGRTMIN + 3), ("RTMIN+0", signal.SIGRTMIN)],
)
def test_signals_have_many_names(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "SIG_DFL", "SIGRTMIN+40", "SIGTERM+1", "-9", "SIGSIGTERM", "٩"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ActionFailed, match="there is no signal"):
        signal_number(text)


@given(st.text())
def test_any_text_is_a_signal_or_none(text: str) -> None:
    with suppress(ActionFailed):
        assert 0 < signal_number(text) < signal.NSIG


def test_sockets_are_looked_for_where_people_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINERD_ADDRESS", "/mine/c.sock")
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///run/cri-dockerd.sock")
    monkeypatch.setattr(module, "configured_endpoint", lambda: "unix:///run/crio/crio.sock")
    assert PLUGIN.configured() == ["/mine/c.sock"]
    monkeypatch.delenv("CONTAINERD_ADDRESS")
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///run/k3s/containerd/containerd.sock")
    assert PLUGIN.configured() == ["unix:///run/k3s/containerd/containerd.sock"]
