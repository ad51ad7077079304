"""The CRI: what is made of its messages, and how a connection follows and commands a daemon."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from grpcd import Deny, GrpcDaemon, denying, running

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.sample import ContainerId, ContainerInfo, LogLine, PodInfo, PodKind, Role, Source, State, Volume
from topcon.runtimes import cri as module
from topcon.runtimes import crio, grpc_channel, sockets, supports_lifecycle, supports_logs
from topcon.runtimes.cri import Cri, configured_endpoint, has_kubelet, read_log
from topcon.runtimes.grpc_channel import GrpcChannel
from topcon.runtimes.messages import decode, encode, entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POD, WEB, SIDE = (ContainerId(letter * 64) for letter in "abc")
UID = "3206f41c-56e9-4bcd-8240-b314f179e177"
DIGEST = f"sha256:{'1' * 64}"
CREATED_NS, STARTED_NS, FINISHED_NS = 1_795_261_908_166_234_300, 1_795_261_909_622_241_430, 1_795_262_000_000_000_000
CREATED, RUNNING, EXITED, UNKNOWN = range(4)
SERVICE = "/runtime.v1.RuntimeService/"


def sandbox(identifier: str = POD, **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "metadata": {"name": "shop-x2x9k", "uid": UID, "namespace": "prod"},
        "created_at": CREATED_NS - 5,
        "labels": entries({"app": "shop"}),
        "annotations": entries({"team": "a"}),
    } | changes


def container(identifier: str = WEB, **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "pod_sandbox_id": POD,
        "metadata": {"name": "web", "attempt": 2},
        "image": {"image": "example/web:1"},
        "image_ref": DIGEST,
        "state": RUNNING,
        "created_at": CREATED_NS,
        "labels": entries({"io.kubernetes.container.name": "web"}),
        "annotations": entries({"io.kubernetes.pod.terminationGracePeriod": "30"}),
    } | changes


@dataclass
class Pods:
    """What a daemon has, and what it was told."""

    sandboxes: list[dict[str, Any]] = field(default_factory=lambda: [sandbox()])
    containers: list[dict[str, Any]] = field(default_factory=lambda: [container()])
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, str, int]] = field(default_factory=list)
    on_stop: Callable[[Pods], None] = lambda _: None

    def answers(self) -> dict[str, Callable[[bytes, dict[str, str]], Any]]:
        return {
            f"{SERVICE}Version": lambda *_: encode("cri.VersionResponse", version="0.1.0"),
            f"{SERVICE}ListPodSandbox": lambda *_: encode("cri.ListPodSandboxResponse", items=self.sandboxes),
            f"{SERVICE}ListContainers": lambda *_: encode("cri.ListContainersResponse", containers=self.containers),
            f"{SERVICE}ContainerStatus": self._status,
            f"{SERVICE}StopContainer": self._stop,
            f"{SERVICE}StopPodSandbox": self._stop_sandbox,
            f"{SERVICE}RemoveContainer": self._remove,
            f"{SERVICE}RemovePodSandbox": self._remove_sandbox,
        }

    def _status(self, data: bytes, _: dict[str, str]) -> bytes:
        identifier = decode("cri.ContainerStatusRequest", data).container_id
        entry = next((each for each in self.containers if each["id"] == identifier), None)
        if entry is None:
            words = f'an error occurred when try to find container "{identifier}": not found'
            code = "NOT_FOUND"
            raise Deny(code, words)
        status = {
            "id": identifier,
            "state": entry.get("state"),
            "created_at": entry.get("created_at"),
            "started_at": STARTED_NS if entry.get("state") else 0,
            "image": {"image": "example/web:1"},
        } | self.statuses.get(identifier, {})
        return encode("cri.ContainerStatusResponse", status=status)

    def _stop(self, data: bytes, _: dict[str, str]) -> bytes:
        request = decode("cri.StopContainerRequest", data)
        self.told.append(("StopContainer", request.container_id, request.timeout))
        for each in self.containers:
            if each["id"] == request.container_id:
                each["state"] = EXITED
        self.on_stop(self)
        return b""

    def _stop_sandbox(self, data: bytes, _: dict[str, str]) -> bytes:
        self.told.append(("StopPodSandbox", decode("cri.StopPodSandboxRequest", data).pod_sandbox_id, 0))
        return b""

    def _remove(self, data: bytes, _: dict[str, str]) -> bytes:
        self.told.append(("RemoveContainer", decode("cri.RemoveContainerRequest", data).container_id, 0))
        return b""

    def _remove_sandbox(self, data: bytes, _: dict[str, str]) -> bytes:
        self.told.append(("RemovePodSandbox", decode("cri.RemovePodSandboxRequest", data).pod_sandbox_id, 0))
        return b""


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def daemon(pods: Pods) -> Iterator[GrpcDaemon]:
    with running(pods.answers()) as daemon:
        yield daemon


@pytest.fixture
def connection(daemon: GrpcDaemon, tmp_path: Path) -> Iterator[Cri]:
    connection = Cri(GrpcChannel(daemon.socket), "cri-o", tmp_path)
    yield connection
    connection.close()


def run_kubelet(proc: Path, *words: str) -> None:
    (proc / "77").mkdir()
    (proc / "77/cmdline").write_bytes("\0".join(words or ("/usr/bin/kubelet", "--v=2")).encode() + b"\0")


def test_sandboxes_and_containers_are_told_as_what_they_are(connection: Cri, pods: Pods) -> None:
    mounts = [{"container_path": "/data", "host_path": "/srv/data", "readonly": True}]
    pods.statuses[WEB] = {"mounts": mounts}
    pause, web = connection.containers()
    assert pause == ContainerInfo(
        id=POD,
        runtime="cri-o",
        name="shop-x2x9k",
        source=Source.API,
        state=State.RUNNING,
        labels={"app": "shop"},
        restarts=0,
        created_ns=CREATED_NS - 5,
        started_ns=CREATED_NS - 5,
        role=Role.SANDBOX,
        pod=PodInfo(PodKind.KUBERNETES, UID, "shop-x2x9k", "prod", {"app": "shop"}, {"team": "a"}),
    )
    assert web == ContainerInfo(
        id=WEB,
        runtime="cri-o",
        name="web",
        source=Source.API,
        state=State.RUNNING,
        image="example/web:1",
        labels={"io.kubernetes.container.name": "web"},
        restarts=2,
        created_ns=CREATED_NS,
        started_ns=STARTED_NS,
        grace_s=30.0,
        pod=PodInfo(PodKind.KUBERNETES, UID, "shop-x2x9k", "prod"),
        volumes=(Volume("/srv/data", "/data", is_read_only=True),),
    )


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (CREATED, {}, (State.CREATED, None, None, None, None)),
        (RUNNING, {"exit_code": 0}, (State.RUNNING, STARTED_NS, None, None, None)),
        (
            EXITED,
            {"exit_code": 137, "finished_at": FINISHED_NS, "reason": "OOMKilled"},
            (State.EXITED, STARTED_NS, FINISHED_NS, 137, True),
        ),
        (
            EXITED,
            {"exit_code": 0, "finished_at": FINISHED_NS, "reason": "Completed"},
            (State.EXITED, STARTED_NS, FINISHED_NS, 0, False),
        ),
        (UNKNOWN, {}, (State.UNKNOWN, STARTED_NS, None, None, None)),
        (9, {}, (State.UNKNOWN, STARTED_NS, None, None, None)),
    ],
)
def test_states_times_and_exit_codes(
    connection: Cri, pods: Pods, state: int, status: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    pods.containers = [container(state=state)]
    pods.statuses[WEB] = status
    info = connection.containers()[1]
    assert (info.state, info.started_ns, info.finished_ns, info.exit_code, info.oom_killed) == expected


@pytest.mark.parametrize(
    ("image", "of_status", "expected"),
    [
        ({"image": DIGEST, "user_specified_image": "example/web:2"}, "", "example/web:2"),
        ({"image": DIGEST}, "example/web:1", "example/web:1"),
        ({"image": DIGEST}, "", DIGEST),
        ({"image": "1" * 64}, "example/web:1", "example/web:1"),
        ({}, "", None),
    ],
)
def test_an_image_has_the_name_that_people_gave(
    connection: Cri, pods: Pods, image: dict[str, str], of_status: str, expected: str | None
) -> None:
    pods.containers = [container(image=image, image_ref="")]
    pods.statuses[WEB] = {"image": {"image": of_status}}
    assert connection.containers()[1].image == expected


@pytest.mark.parametrize(
    ("where", "kind", "expected"),
    [
        ("annotations", "init", Role.INIT),
        ("labels", "ephemeral", Role.EPHEMERAL),
        ("annotations", "container", Role.WORKLOAD),
        ("annotations", "sandbox of mine", Role.WORKLOAD),
    ],
)
def test_init_and_ephemeral_containers_are_known(
    connection: Cri, pods: Pods, where: str, kind: str, expected: Role
) -> None:
    pods.containers = [container(**{where: entries({"io.kubernetes.container.type": kind})})]
    assert connection.containers()[1].role is expected


def test_what_says_nothing_of_itself_is_told_by_its_id(connection: Cri, pods: Pods) -> None:
    pods.sandboxes = [{"id": POD, "state": 1}]
    pods.containers = [{"id": WEB, "pod_sandbox_id": SIDE}]
    pause, web = connection.containers()
    assert (pause.name, pause.state, pause.created_ns) == ("a" * 12, State.EXITED, None)
    assert pause.pod == PodInfo(PodKind.KUBERNETES, POD, "a" * 12)
    assert (web.name, web.pod, web.image, web.grace_s) == ("b" * 12, None, "example/web:1", None)


def test_a_hostile_grace_period_is_none(connection: Cri, pods: Pods) -> None:
    grace = "io.kubernetes.pod.terminationGracePeriod"
    for text in ("-1", "nan", "1e9", "9" * 400, "\N{ARABIC-INDIC DIGIT ONE}"):
        pods.containers = [container(annotations=entries({grace: text}))]
        assert connection.containers()[1].grace_s is None


def test_an_ended_attempt_that_has_been_followed_is_left_out(connection: Cri, pods: Pods) -> None:
    pods.containers = [
        container(WEB, state=EXITED),
        container(SIDE, created_at=CREATED_NS + 1, metadata={"name": "web", "attempt": 3}),
    ]
    pods.sandboxes = [sandbox(), sandbox("d" * 64, created_at=1, state=1)]
    assert [info.id for info in connection.containers()] == [POD, SIDE]
    pods.containers[0]["state"] = RUNNING
    assert [info.id for info in connection.containers()] == [POD, WEB, SIDE]


def test_statuses_are_asked_for_once_a_state(connection: Cri, daemon: GrpcDaemon, pods: Pods) -> None:
    pods.containers = [container(WEB), container(SIDE, metadata={"name": "side"})]
    connection.containers()
    connection.containers()
    assert daemon.calls.count("ContainerStatus") == 2
    pods.containers[0]["state"] = EXITED
    connection.containers()
    assert daemon.calls.count("ContainerStatus") == 3


def test_statuses_that_take_long_are_told_at_a_later_call(
    connection: Cri, pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods.containers = [container(WEB, state=EXITED), container(SIDE, metadata={"name": "side"})]
    monkeypatch.setattr(module, "STATUSES_S", -1)
    assert [info.started_ns for info in connection.containers()] == [CREATED_NS - 5, None, None]
    monkeypatch.setattr(module, "STATUSES_S", 60)
    assert [info.started_ns for info in connection.containers()] == [CREATED_NS - 5, STARTED_NS, STARTED_NS]


def test_a_status_that_is_refused_costs_that_status(connection: Cri, daemon: GrpcDaemon) -> None:
    daemon.answers[f"{SERVICE}ContainerStatus"] = denying("INTERNAL", "broken")
    assert [info.name for info in connection.containers()] == ["shop-x2x9k", "web"]


def test_start_times_are_those_of_the_list(connection: Cri) -> None:
    for info in connection.containers():
        assert connection.started_ns(info.id) == info.started_ns is not None


def test_a_stop_has_the_grace_period_in_whole_seconds(connection: Cri, pods: Pods) -> None:
    connection.stop(WEB, 1.5)
    assert pods.told == [("StopContainer", WEB, 2)]


def test_a_sandbox_is_stopped_after_its_running_containers(connection: Cri, pods: Pods) -> None:
    pods.containers = [container(WEB), container(SIDE), container("d" * 64, state=EXITED), container("e" * 64)]
    pods.containers[3]["pod_sandbox_id"] = "f" * 64
    connection.stop(POD, 10)
    assert sorted(pods.told[:2]) == [("StopContainer", WEB, 10), ("StopContainer", SIDE, 10)]
    assert pods.told[2:] == [("StopPodSandbox", POD, 0)]


def test_what_has_ended_is_removed(connection: Cri, pods: Pods) -> None:
    pods.containers = [container(WEB), container(SIDE, state=EXITED)]
    connection.remove(SIDE)
    assert pods.told == [("RemoveContainer", SIDE, 0)]


def test_a_sandbox_is_removed_once_all_of_its_pod_has_ended(connection: Cri, pods: Pods) -> None:
    pods.sandboxes[0]["state"] = 1
    pods.containers = [container(WEB, state=EXITED), container(SIDE)]
    with pytest.raises(ActionFailed, match="not done: something in the pod has not ended"):
        connection.remove(POD)
    assert pods.told == []
    pods.containers = [container(WEB, state=EXITED)]
    connection.remove(POD)
    assert pods.told == [("RemovePodSandbox", POD, 0)]


@pytest.mark.parametrize("state", [0, 1, 3])
def test_what_has_not_ended_is_not_removed(connection: Cri, pods: Pods, state: int) -> None:
    pods.containers = [container(WEB, state=state)]
    with pytest.raises(ActionFailed, match="not done: it has not ended"):
        connection.remove(WEB)
    with pytest.raises(ActionFailed, match="not done: something in the pod has not ended"):
        connection.remove(POD)
    with pytest.raises(ActionFailed, match="no such container any more"):
        connection.remove(SIDE)
    assert pods.told == []


def test_a_restart_waits_for_kubelet(connection: Cri, pods: Pods, tmp_path: Path) -> None:
    run_kubelet(tmp_path)
    pods.on_stop = lambda pods: pods.containers.append(container(SIDE, created_at=CREATED_NS + 1))
    connection.restart(WEB, 10)
    assert pods.told == [("StopContainer", WEB, 10)]


def test_another_container_in_the_pod_is_no_restart(
    connection: Cri, pods: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_kubelet(tmp_path)
    pods.containers.append(container(SIDE, created_at=CREATED_NS + 1, metadata={"name": "side"}))
    monkeypatch.setattr(module, "RESTARTED_S", 0)
    with pytest.raises(ActionFailed, match="stopped, but nothing has started it again within 0 s: is there"):
        connection.restart(WEB, 10)


def test_without_a_kubelet_a_restart_is_refused_before_the_stop(connection: Cri, pods: Pods) -> None:
    with pytest.raises(ActionFailed, match="not done: no kubelet runs here that would start it again"):
        connection.restart(WEB, 10)
    assert pods.told == []


def test_what_the_cri_cannot_do_is_refused(connection: Cri) -> None:
    assert supports_lifecycle(connection)
    assert connection.abilities == {"stop", "restart", "remove"}
    for refused in (
        lambda: connection.start(WEB),
        lambda: connection.pause(WEB),
        lambda: connection.unpause(WEB),
        lambda: connection.kill(WEB, "SIGTERM"),
    ):
        with pytest.raises(ActionFailed, match=r"cri-o has no way to .* a pod's container"):
            refused()


def test_actions_fail_in_the_daemons_words(connection: Cri, daemon: GrpcDaemon, tmp_path: Path) -> None:
    daemon.answers[f"{SERVICE}StopContainer"] = denying("UNKNOWN", "an error\noccurred")
    with pytest.raises(ActionFailed, match=r"^an error occurred$"):
        connection.stop(WEB, 1)
    with pytest.raises(ActionFailed, match="not found"):
        connection.started_ns(SIDE)
    run_kubelet(tmp_path)
    with pytest.raises(ActionFailed, match="cri-o has no such container any more"):
        connection.restart(SIDE, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml"), True),
        (("/snap/microk8s/7180/kubelite", "--scheduler-args-file=x"), True),
        (("/usr/local/bin/k3s server",), True),
        (("/usr/local/bin/k3s agent",), True),
        (("k3s", "kubectl", "get", "pods"), False),
        (("k3s",), False),
        (("rke2", "server"), True),
        (("vim", "/usr/bin/kubelet"), False),
        (("kubelet-wrapper",), False),
        ((" ",), False),
    ],
)
def test_kubelets_are_known_by_their_command(tmp_path: Path, words: tuple[str, ...], expected: bool) -> None:
    run_kubelet(tmp_path, *words)
    assert has_kubelet(tmp_path) is expected


def test_processes_that_end_while_looked_at_are_no_kubelets(tmp_path: Path) -> None:
    (tmp_path / "78").mkdir()
    (tmp_path / "78/cmdline").mkdir()
    assert not has_kubelet(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runtime-endpoint: unix:///run/crio/crio.sock\ntimeout: 10\n", "unix:///run/crio/crio.sock"),
        ('timeout: 10\nruntime-endpoint: "unix:///run/c.sock" # mine\n', "unix:///run/c.sock"),
        ("# runtime-endpoint: unix:///run/c.sock\n", None),
        ("runtime-endpoint:\nimage-endpoint: unix:///run/c.sock\n", None),
        ("runtime-endpoint: ''\n", None),
        ("\xff", None),
    ],
)
def test_crictls_configuration_is_heeded(tmp_path: Path, text: str, expected: str | None) -> None:
    (tmp_path / "crictl.yaml").write_bytes(text.encode("latin-1"))
    assert configured_endpoint(tmp_path / "crictl.yaml") == expected


def test_without_crictls_configuration_there_is_no_endpoint(tmp_path: Path) -> None:
    assert configured_endpoint(tmp_path / "crictl.yaml") is None


def test_cri_o_is_connected_to_and_found(daemon: GrpcDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crio, "configured_endpoint", lambda: "unix:///run/containerd/containerd.sock")
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///mine/crio.sock")
    assert crio.PLUGIN.configured() == ["unix:///mine/crio.sock"]
    crio.PLUGIN.prepare()
    runtime = crio.PLUGIN.connect(daemon.socket)
    assert {info.runtime for info in runtime.containers()} == {"cri-o"}
    runtime.close()


def test_a_daemon_without_the_cri_says_so(daemon: GrpcDaemon) -> None:
    daemon.answers.clear()
    with pytest.raises(SourceUnavailable, match=f"at {daemon.socket}"):
        crio.connect(daemon.socket)


def test_a_refused_list_says_why(connection: Cri, daemon: GrpcDaemon) -> None:
    daemon.answers[f"{SERVICE}ListContainers"] = denying("UNKNOWN", "the store is broken")
    with pytest.raises(SourceUnavailable, match=f"the store is broken at {daemon.socket}"):
        connection.containers()


def test_a_malformed_list_is_loud(connection: Cri, daemon: GrpcDaemon) -> None:
    daemon.answers[f"{SERVICE}ListContainers"] = lambda *_: b"\n\xff"
    with pytest.raises(ParseError, match=r"cri\.ListContainersResponse"):
        connection.containers()
    with pytest.raises(ActionFailed, match=r"cri\.ListContainersResponse"):
        connection.knows(WEB)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("DEADLINE_EXCEEDED", r"^no answer at "),
        ("PERMISSION_DENIED", r"^permission denied at "),
        ("UNAVAILABLE", r"^server is not initialized yet at "),
    ],
)
def test_a_daemon_that_cannot_answer_is_unavailable(
    connection: Cri, daemon: GrpcDaemon, code: str, expected: str
) -> None:
    daemon.answers[f"{SERVICE}ListContainers"] = denying(code, "server is not initialized yet")
    with pytest.raises(SourceUnavailable, match=expected):
        connection.containers()


def test_a_daemon_that_has_gone_is_unavailable_and_comes_back(connection: Cri, daemon: GrpcDaemon, pods: Pods) -> None:
    connection.containers()
    daemon.close()
    with pytest.raises(SourceUnavailable, match=f"at {daemon.socket}"):
        connection.containers()
    with pytest.raises(SourceUnavailable, match=f"^no such file or directory at {daemon.socket}"):
        crio.connect(daemon.socket)
    again = GrpcDaemon(Path(daemon.socket).parent, pods.answers())
    # At once, however long the connection before would wait.
    runtime = crio.connect(daemon.socket)
    assert len(runtime.containers()) == 2
    runtime.close()
    again.close()


def test_a_socket_that_nobody_answers_at_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_channel.GrpcChannel.call, "__defaults__", (0.2, None))
    with tempfile.TemporaryDirectory(prefix="topcon-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen(8)
        with pytest.raises(SourceUnavailable, match=f"^no answer at {folder}/s"):
            crio.connect(f"{folder}/s")


def test_sockets_that_cannot_be_connected_to_are_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="topcon-") as folder:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/s")
        with pytest.raises(SourceUnavailable, match=f"^connection refused at {folder}/s"):
            crio.connect(f"{folder}/s")
        with pytest.raises(SourceUnavailable, match="too long at "):
            crio.connect(f"{folder}/{'s' * 200}")

        def deny(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(sockets.sockets.socket, "connect", deny)
        with pytest.raises(SourceUnavailable, match=f"^permission denied at {folder}/s") as caught:
            crio.connect(f"{folder}/s")
        assert caught.value.remedy == "sudo topcon"


def test_paths_may_hold_any_character(pods: Pods) -> None:
    # A server takes its address as it is written, so a link gives the client's the difficult name.
    odd, plain = tempfile.TemporaryDirectory(prefix="top con%41?#:-"), tempfile.TemporaryDirectory(prefix="topcon-")
    with odd as folder, plain as place:
        daemon = GrpcDaemon(Path(place), pods.answers())
        Path(folder, "s").symlink_to(daemon.socket)
        runtime = crio.connect(f"{folder}/s")
        assert len(runtime.containers()) == 2
        runtime.close()
        daemon.close()


# What containers have written.


WRITTEN = b"2026-11-21T11:51:48.166234300Z stderr F hello\n"


def test_the_log_is_where_the_daemon_says(connection: Cri, pods: Pods, tmp_path: Path) -> None:
    (tmp_path / "0.log").write_bytes(WRITTEN)
    # Kubelet leaves links.
    (tmp_path / "link").symlink_to("0.log")
    pods.statuses[WEB] = {"log_path": str(tmp_path / "link")}
    logs = supports_logs(connection)
    assert logs is not None

    assert logs.tail(WEB, 10) == (LogLine(CREATED_NS, is_stderr=True, text="hello"),)


def test_a_sandbox_and_what_has_gone_have_written_nothing(connection: Cri) -> None:
    assert connection.tail(POD, 10) == ()
    assert connection.tail(SIDE, 10) == ()
    assert connection.tail(WEB, 10) == ()


def test_a_status_that_is_refused_is_said_so(connection: Cri, daemon: GrpcDaemon) -> None:
    daemon.answers[f"{SERVICE}ContainerStatus"] = denying("INTERNAL", "out of order")

    with pytest.raises(SourceUnavailable, match=f"out of order at {daemon.socket}"):
        connection.tail(WEB, 10)


def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    file = tmp_path / "0.log"
    with file.open("wb") as log:
        log.truncate(1 << 40)
        log.seek(1 << 40)
        log.writelines([b"\n", *[WRITTEN.replace(b"hello", b"%d" % number) for number in range(5000)]])

    assert [line.text for line in read_log(str(file), 3)] == ["4997", "4998", "4999"]
    assert 1000 < len(read_log(str(file), 5000)) < 5000
    assert read_log(str(file), 0) == ()


def test_what_is_no_file_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").touch()
    with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(f"{folder}/s")
        for path in (*map(str, tmp_path.iterdir()), f"{folder}/s", str(tmp_path), f"{tmp_path}/none", "/dev/zero"):
            assert read_log(path, 10) == (), path
    for path in ("", "0.log", "/\0", f"/{'x' * 9000}", "/\udc80\ud800"):
        assert read_log(path, 10) == (), path


def test_a_log_that_we_may_not_read_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(module.os, "open", refuse)
    with pytest.raises(SourceUnavailable, match=r"^permission denied at /var/log/pods/0\.log$") as caught:
        read_log("/var/log/pods/0.log", 10)
    assert caught.value.remedy == "run topcon with sudo"


def test_without_grpcio_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    crio.PLUGIN.prepare()
    with pytest.raises(SourceUnavailable, match="needs grpcio and protobuf, which are not installed") as caught:
        crio.connect("/run/crio/crio.sock")
    assert caught.value.remedy == "pip install 'topcon[cri]'"


def test_importing_the_plugins_imports_no_client_library_and_nothing_is_printed(daemon: GrpcDaemon) -> None:
    script = f"""
import sys
import topcon.runtimes.containerd
import topcon.runtimes.crio as crio
assert not {{"grpc", "google.protobuf"}} & set(sys.modules)
runtime = crio.connect({daemon.socket!r})
runtime.containers()
print("listed", flush=True)
sys.stdin.readline()
try:
    runtime.containers()
except crio.SourceUnavailable:
    print("gone")
"""
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listed\n"
        daemon.close()
        assert process.communicate("\n") == ("gone\n", "")
