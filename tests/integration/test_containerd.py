"""containerd, a real one of the tests' own: pods by the CRI, and containers that ``ctr`` made."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.integration.containerd_daemon import DEAF, IMAGE, MINUTES, OBEYS, Kubelet
from tests.integration.machine import until
from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.sample import PodKind, Role, State
from topcon.runtimes import cri
from topcon.runtimes.containerd import Containerd
from topcon.runtimes.crio import connect as connect_to_crio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containerd_daemon import ContainerdDaemon
    from topcon.model.sample import ContainerInfo


@pytest.fixture
def connection(containerd: ContainerdDaemon) -> Iterator[Containerd]:
    connection = Containerd(containerd.socket)
    yield connection
    connection.close()
    containerd.remove_pods()
    containerd.remove_others()


def listed(connection: Containerd) -> dict[str, ContainerInfo]:
    """What the connection tells, when all of it has been told: a busy daemon needs more than one call."""

    def told() -> tuple[ContainerInfo, ...]:
        infos = connection.containers()
        is_all = all(info.started_ns is not None or info.pod is None for info in infos)
        return infos if is_all else ()

    return {info.id: info for info in until(told, "all start times are told")}


def test_pods_and_containers_are_told_with_names_roles_and_restarts(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    shop, agent = containerd.pod("shop-7d9c5b6f4-x2x9k"), containerd.pod("agent-zq4wd")
    web, side = shop.start("web", MINUTES, attempt=3), shop.start("side", MINUTES)
    init, log = agent.start("migrate", ["/bin/false"], type="init"), agent.start("log", MINUTES)
    containerd.run("db", MINUTES, "--label", "nerdctl/name=database")
    until(lambda: listed(connection)[init].exit_code == 1, "the init container ends")
    infos = listed(connection)

    assert set(infos) == {shop.id, agent.id, web, side, init, log, "default/db"}
    assert [infos[each].name for each in (shop.id, web, side, log)] == [shop.name, "web", "side", "log"]
    assert [infos[each].role for each in (shop.id, web, init)] == [Role.SANDBOX, Role.WORKLOAD, Role.INIT]
    assert {infos[each].pod.id for each in (shop.id, web, side)} == {shop.uid}
    assert infos[shop.id].pod.kind is PodKind.KUBERNETES
    assert infos[shop.id].pod.namespace == infos[web].pod.namespace == "prod"
    assert infos[shop.id].pod.labels["app"] == "shop"
    assert infos[shop.id].pod.annotations == {"team": "checkout"}
    assert not infos[web].pod.labels
    assert (infos[web].restarts, infos[side].restarts) == (3, 0)
    assert infos[web].image == IMAGE
    assert infos[web].grace_s == 30
    assert [(volume.target, volume.is_read_only) for volume in infos[web].volumes] == [
        ("/data", True),
        ("/ready", False),
    ]
    assert infos[web].state is State.RUNNING
    assert infos[web].created_ns < infos[web].started_ns < time.time_ns()
    assert (infos[init].state, infos[init].exit_code, infos[init].oom_killed) == (State.EXITED, 1, False)
    assert infos[init].finished_ns is not None
    own = infos["default/db"]
    assert (own.name, own.image, own.state, own.pod) == ("database", IMAGE, State.RUNNING, None)
    assert own.command == "/bin/sleep 100000"


def test_start_times_are_the_same_in_the_list_and_when_asked_for(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    pod = containerd.pod("shop")
    web = pod.start("web", MINUTES)
    infos = listed(connection)
    assert connection.started_ns(web) == infos[web].started_ns is not None
    assert connection.started_ns(pod.id) == infos[pod.id].started_ns is not None
    containerd.run("db", MINUTES)
    assert connection.started_ns("default/db") is listed(connection)["default/db"].started_ns is None


def test_a_pods_container_is_stopped_as_it_wants(containerd: ContainerdDaemon, connection: Containerd) -> None:
    web = containerd.pod("shop").start("web", OBEYS)
    connection.stop(web, 30)
    info = listed(connection)[web]
    assert (info.state, info.exit_code) == (State.EXITED, 7)


def test_a_pods_container_that_does_not_end_is_killed(containerd: ContainerdDaemon, connection: Containerd) -> None:
    web = containerd.pod("shop").start("web", DEAF)
    connection.stop(web, 1)
    info = listed(connection)[web]
    assert (info.state, info.exit_code) == (State.EXITED, 137)


def test_a_sandbox_is_stopped_with_its_containers_each_as_it_wants(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    pod = containerd.pod("shop")
    web, side = pod.start("web", OBEYS), pod.start("side", OBEYS)
    connection.stop(pod.id, 30)
    infos = listed(connection)
    assert [infos[each].state for each in (pod.id, web, side)] == [State.EXITED] * 3
    assert [infos[each].exit_code for each in (web, side)] == [7, 7]


def test_a_pods_container_is_restarted_by_kubelet(containerd: ContainerdDaemon, connection: Containerd) -> None:
    pod = containerd.pod("shop")
    web = pod.start("web", OBEYS)
    with Kubelet(pod):
        connection.restart(web, 30)
        infos = listed(connection)
    (again,) = [info for info in infos.values() if info.name == "web"]
    assert again.id != web
    assert (again.state, again.restarts) == (State.RUNNING, 1)


def test_without_a_kubelet_a_restart_is_refused_before_the_stop(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    if cri.has_kubelet():
        pytest.skip("a kubelet runs here")
    web = containerd.pod("shop").start("web", OBEYS)
    with pytest.raises(ActionFailed, match="not done: no kubelet runs here that would start it again"):
        connection.restart(web, 30)
    assert listed(connection)[web].state is State.RUNNING


def test_what_the_cri_cannot_do_is_refused(containerd: ContainerdDaemon, connection: Containerd) -> None:
    web = containerd.pod("shop").start("web", OBEYS)
    with pytest.raises(ActionFailed, match="containerd has no way to pause a pod's container"):
        connection.pause(web)
    assert connection.abilities == {"start", "stop", "restart", "remove"}


def test_a_container_of_its_own_is_paused_killed_and_stopped(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    containerd.run("web", OBEYS)
    containerd.run("deaf", MINUTES)
    connection.pause("default/web")
    assert listed(connection)["default/web"].state is State.PAUSED
    connection.unpause("default/web")
    assert listed(connection)["default/web"].state is State.RUNNING
    connection.pause("default/web")
    connection.stop("default/web", 30)
    info = listed(connection)["default/web"]
    assert (info.state, info.exit_code) == (State.EXITED, 7)
    assert info.finished_ns is not None
    connection.kill("default/deaf", "SIGKILL")
    until(lambda: listed(connection)["default/deaf"].exit_code == 137, "it is killed")


def test_a_container_of_its_own_that_does_not_end_is_killed(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    containerd.run("deaf", DEAF)
    connection.stop("default/deaf", 1)
    assert listed(connection)["default/deaf"].exit_code == 137


def test_a_container_of_its_own_is_started_and_restarted(containerd: ContainerdDaemon, connection: Containerd) -> None:
    name = uuid.uuid4().hex * 2
    containerd.run(name, OBEYS, namespace="other")
    assert listed(connection)[name].state is State.RUNNING

    def pid() -> str:
        return containerd.ctr("-n", "other", "tasks", "ls").splitlines()[1].split()[1]

    first = pid()
    connection.restart(name, 30)
    assert listed(connection)[name].state is State.RUNNING
    assert pid() != first
    connection.stop(name, 30)
    connection.start(name)
    assert listed(connection)[name].state is State.RUNNING
    with pytest.raises(ActionFailed, match="it is running"):
        connection.start(name)


def test_output_goes_where_it_went_before(containerd: ContainerdDaemon, connection: Containerd) -> None:
    log = containerd.folder / "output"
    script = ["/bin/sh", "-c", "echo begun; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    containerd.run("web", script, "--log-uri", f"file://{log}")
    until(lambda: log.exists() and log.read_text() == "begun\n", "it has begun")
    connection.restart("default/web", 30)
    until(lambda: log.read_text() == "begun\nbegun\n", "it has begun again")


def test_what_an_image_says_of_where_output_goes_is_not_believed(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    forged = containerd.folder / "forged"
    containerd.run("web", OBEYS, "--label", f"nerdctl/log-uri=file://{forged}")
    connection.restart("default/web", 30)
    assert listed(connection)["default/web"].state is State.RUNNING
    assert not forged.exists()


def test_a_container_with_a_terminal_is_not_stopped_to_be_restarted(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    containerd.ctr("-n", "default", "containers", "create", "--tty", IMAGE, "web", *MINUTES)
    with pytest.raises(ActionFailed, match="not done: it has a terminal"):
        connection.restart("default/web", 30)
    assert listed(connection)["default/web"].state is State.CREATED


def test_what_is_stopped_stays_so_though_containerd_would_start_it_again(
    containerd: ContainerdDaemon, connection: Containerd
) -> None:
    containerd.run("web", OBEYS)
    # Not before it runs: the monitor would start it beside ctr.
    containerd.ctr("containers", "label", "web", "containerd.io/restart.status=running")
    assert listed(connection)["default/web"].restart_policy == "always"
    connection.kill("default/web", "SIGKILL")
    until(lambda: listed(connection)["default/web"].state is State.RUNNING, "it is started again")
    connection.stop("default/web", 30)
    time.sleep(3)
    assert listed(connection)["default/web"].state is State.EXITED
    connection.start("default/web")
    assert listed(connection)["default/web"].labels["containerd.io/restart.status"] == "running"


def test_actions_on_what_is_gone_say_so(connection: Containerd) -> None:
    for container in ("default/nobody", "a" * 64):
        with pytest.raises(ActionFailed, match="containerd has no such container any more"):
            connection.stop(container, 1)


def test_a_frozen_daemon_gives_no_answer(containerd: ContainerdDaemon, connection: Containerd) -> None:
    with containerd.frozen():
        with pytest.raises(SourceUnavailable, match=r"^no answer at "):
            connection.containers()
        with pytest.raises(SourceUnavailable, match=r"^no answer at "):
            Containerd(containerd.socket)
        with pytest.raises(ActionFailed, match=r"^no answer at "):
            connection.stop("default/web", 1)
    until(lambda: connection.containers() == (), "it answers again")


def test_the_cri_alone_is_what_cri_o_speaks(containerd: ContainerdDaemon, connection: Containerd) -> None:
    web = containerd.pod("shop").start("web", OBEYS)
    runtime = connect_to_crio(containerd.socket)
    infos = {info.id: info for info in runtime.containers()}
    assert {info.runtime for info in infos.values()} == {"cri-o"}
    assert {info.id: info.name for info in infos.values()} == {
        info.id: info.name for info in listed(connection).values()
    }
    runtime.stop(web, 30)
    assert listed(connection)[web].exit_code == 7
    runtime.close()
