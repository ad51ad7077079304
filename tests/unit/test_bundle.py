from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import JSON

from topcon.errors import ParseError
from topcon.model.sample import (
    CgroupPath,
    ContainerId,
    ContainerInfo,
    FoundContainer,
    FoundPod,
    PodInfo,
    PodKind,
    Port,
    ProcessSample,
    Role,
    Source,
    State,
    Volume,
)
from topcon.runtimes import bundle
from topcon.runtimes.bundle import RETRY_S, TRIES, Bundles
from topcon.runtimes.foreign import parse_time_ns
from topcon.runtimes.hostfiles import FILE_BYTES, Mount, parse_mounts, paths_outside, read_regular
from topcon.runtimes.spec import (
    bundle_of_state,
    image_of_storage,
    info_from_docker,
    info_from_spec,
    own_hostname,
    parse_object,
    pid_of_state,
    podman_sandbox,
)

if TYPE_CHECKING:
    from pathlib import Path

C, D, P = "c" * 64, "d" * 64, "0bb33f4fcbd4" + "e" * 52
UID = "3206f41c-56e9-4bcd-8240-b314f179e177"
FIRST, KEEPER = 4000, 3900
CGROUP = CgroupPath("/some/where")
BLANK = ContainerInfo(ContainerId(C), "", "", Source.BUNDLE, State.UNKNOWN)
HOST_MOUNTS = (
    "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n24 23 254:1 /vol /mnt/data rw - ext4 /dev/vdb rw\n"
)
STORAGE = "/var/lib/containers/storage/overlay-containers"
TASKS = "/run/containerd/io.containerd.runtime.v2.task"
POD = FoundPod(CgroupPath("/some"), PodKind.KUBERNETES, UID)
PODMAN_POD = FoundPod(CgroupPath("/some"), PodKind.PODMAN, P)
CHECKOUT = PodInfo(PodKind.KUBERNETES, UID, "checkout-7d9c5b6f4-x2x9k", "prod")
NAMESPACES = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")]

# As the runtimes wrote them, cut to what is read and a little more.
DOCKER_CONFIG: dict[str, Any] = {
    "StreamConfig": {},
    "State": {
        "Running": True,
        "Pid": FIRST,
        "StartedAt": "2026-11-21T11:50:09.55215766Z",
        "Health": {"Status": "starting"},
    },
    "ID": C,
    "Created": "2026-11-21T11:50:04.6707931Z",
    "Path": "/bin/httpd",
    "Args": ["-f", "-h", "/www"],
    "Config": {
        "Image": "lab/busybox",
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "StopSignal": "SIGINT",
        "StopTimeout": 20,
    },
    "Image": "sha256:c768095d",
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}], "443/tcp": None}},
    "Name": "/shop-web-1",
    "RestartCount": 3,
    "MountPoints": {
        "/data": {"Source": "/var/lib/docker/volumes/named/_data", "Destination": "/data", "RW": True, "Name": "named"},
        "/www": {"Source": "/srv/www", "Destination": "/www", "RW": False, "Name": "", "Type": "bind"},
    },
}
DOCKER_HOST: dict[str, Any] = {
    "NetworkMode": f"container:{D}",
    "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    "PidMode": "host",
    "IpcMode": "private",
}
CRI_CONFIG: dict[str, Any] = {
    "ociVersion": "1.2.0",
    "process": {"args": ["/bin/sleep", "1000000"]},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
        {
            "destination": "/etc/hosts",
            "type": "bind",
            "source": f"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{D}/hosts",
            "options": ["rbind", "rprivate", "rw"],
        },
        {
            "destination": "/log",
            "type": "bind",
            "source": f"/var/lib/kubelet/pods/{UID}/containers/web/0a1b2c3d",
            "options": ["rbind"],
        },
        {"destination": "/cache", "type": "bind", "source": "/srv/cache", "options": ["rbind", "ro"]},
    ],
    "annotations": {
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.image-name": "docker.io/lab/busybox:latest",
        "io.kubernetes.cri.sandbox-id": D,
        "io.kubernetes.cri.sandbox-name": CHECKOUT.name,
        "io.kubernetes.cri.sandbox-namespace": "prod",
        "io.kubernetes.cri.sandbox-uid": UID,
    },
    "linux": {"namespaces": NAMESPACES},
}
PODMAN_CONFIG: dict[str, Any] = {
    "process": {"args": ["/bin/sleep", "1000000"]},
    "mounts": [
        {
            "destination": "/n",
            "type": "bind",
            "source": "/var/lib/containers/storage/volumes/named/_data",
            "options": ["rw", "rprivate", "nosuid", "nodev", "rbind"],
        },
        {
            "destination": "/etc/own",
            "type": "bind",
            "source": f"{STORAGE}/{C}/userdata/secret",
            "options": ["bind", "rprivate"],
        },
    ],
    "annotations": {
        "io.container.manager": "libpod",
        "io.kubernetes.cri-o.SandboxID": D,
        "org.opencontainers.image.stopSignal": "15",
        "org.systemd.property.KillSignal": "15",
        "org.systemd.property.TimeoutStopUSec": "uint64 10000000",
    },
    "linux": {"namespaces": NAMESPACES},
}
INFRA_CONFIG: dict[str, Any] = {
    "hostname": "books",
    "annotations": {"io.container.manager": "libpod"},
    "linux": {"namespaces": NAMESPACES},
}
PODMAN_STORAGE = [
    {"id": D, "names": ["other"], "metadata": '{"image-name":"wrong"}'},
    {
        "id": C,
        "names": ["books-api"],
        "metadata": '{"image-name":"localhost/lab/busybox:latest","image-id":"a2462f11","name":"books-api"}',
        "created": "2026-11-21T11:51:15.3864167Z",
    },
]
CRIO_CONFIG: dict[str, Any] = {
    "annotations": {
        "io.container.manager": "cri-o",
        "io.kubernetes.cri-o.ContainerID": C,
        "io.kubernetes.cri-o.ContainerName": f"k8s_app_web-0_prod_{UID}_2",
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.Created": "2026-11-21T11:51:15.3864167+01:00",
        "io.kubernetes.cri-o.ImageName": "quay.io/lab/app:1",
        "io.kubernetes.cri-o.Annotations": json.dumps(
            {
                "io.kubernetes.container.restartCount": "2",
                "io.kubernetes.container.type": "init",
                "io.kubernetes.pod.terminationGracePeriod": "30",
            }
        ),
        "io.kubernetes.cri-o.Labels": json.dumps(
            {
                "io.kubernetes.container.name": "app",
                "io.kubernetes.pod.name": "web-0",
                "io.kubernetes.pod.namespace": "prod",
                "io.kubernetes.pod.uid": UID,
            }
        ),
    },
}
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.18.0.0/30 2 0 2
        |-- 172.18.0.0
           /16 link UNICAST
        |-- 172.18.0.2
           /32 host LOCAL
Local:
        |-- 127.0.0.1
           /32 host LOCAL
"""


@dataclass
class Host:
    """A host of files: below ``root`` what runtimes wrote, below ``proc`` the processes."""

    root: Path
    proc: Path
    clock_s: float = 0.0
    tick_s: float = 0.0

    def bundles(self) -> Bundles:
        return Bundles(str(self.root), str(self.proc), self.now)

    def now(self) -> float:
        self.clock_s += self.tick_s
        return self.clock_s

    def file(self, path: str, content: object) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def process(self, pid: int, parent: int, line: str, mounts: str = "") -> Path:
        directory = self.proc / str(pid)
        (directory / "net").mkdir(parents=True)
        (directory / "stat").write_text(f"{pid} (sl) ee)p) S {parent} {pid} {pid} 0 -1 4194560 0 0")
        (directory / "cmdline").write_bytes(line.replace(" ", "\0").encode() + b"\0")
        (directory / "mountinfo").write_text(mounts)
        return directory

    def first(self, keeper: str, mounts: str = "") -> None:
        """A container's first process, and the one that looks after it."""
        self.process(1, 0, "/sbin/init", HOST_MOUNTS)
        self.process(KEEPER, 1, keeper, HOST_MOUNTS)
        self.process(FIRST, KEEPER, "/bin/sleep 1000000", mounts)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for name in ("root", "proc"):
        (tmp_path / name).mkdir()
    return Host(tmp_path / "root", tmp_path / "proc")


def container(
    runtime: str | None = None, pod: FoundPod | None = None, name: str = C, pid: int = FIRST
) -> tuple[FoundContainer, ProcessSample]:
    return FoundContainer(CGROUP, runtime, ContainerId(name), pod=pod), ProcessSample(pid, 77, "sleep", 0, (pid, 1))


def shim(namespace: str, name: str = C, address: str = "/run/containerd/containerd.sock") -> str:
    return f"/usr/bin/containerd-shim-runc-v2 -namespace {namespace} -id {name} -address {address}"


def conmon(name: str, *options: str) -> str:
    run = "/run/containers/storage/overlay-containers"
    return " ".join(
        (
            "/usr/bin/conmon",
            "-c",
            C,
            "-b",
            f"{STORAGE}/{C}/userdata",
            "-p",
            f"{run}/{C}/userdata/pid",
            "-n",
            name,
            *options,
        )
    )


def only(host: Host, wanted: tuple[FoundContainer, ProcessSample]) -> ContainerInfo:
    (info,) = host.bundles().infos({CGROUP: wanted})
    source = Source.CGROUP if len(info.id) == 64 and info.name == info.id[:12] else Source.BUNDLE
    assert (info.source, info.state, info.id) == (source, State.UNKNOWN, wanted[0].id)
    return info


def test_docker_says_almost_all_in_its_own_files(host: Host) -> None:
    host.first(shim("moby"))
    host.file(f"/var/lib/docker/containers/{C}/config.v2.json", DOCKER_CONFIG)
    host.file(f"/var/lib/docker/containers/{C}/hostconfig.json", DOCKER_HOST)
    assert only(host, container()) == replace(
        BLANK,
        runtime="docker",
        name="shop-web-1",
        image="lab/busybox",
        command="/bin/httpd -f -h /www",
        labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        ports=(Port("127.0.0.1", 18080, 80, "tcp"),),
        restarts=3,
        restart_policy="unless-stopped",
        created_ns=1_795_261_804_670_793_100,
        started_ns=1_795_261_809_552_157_660,
        grace_s=20.0,
        stop_signal="SIGINT",
        joins_network_of=ContainerId(D),
        host_namespaces=("pid",),
        volumes=(Volume("named", "/data"), Volume("/srv/www", "/www", is_read_only=True)),
    )


def test_docker_is_found_where_its_mounts_come_from(host: Host) -> None:
    # A file system of its own, and a container that has joined the network of another.
    mounts = f"196 188 254:1 /vol/dock\\040er/containers/{D}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vdb rw\n"
    host.first(shim("moby"), mounts)
    host.file(f"/mnt/data/dock er/containers/{C}/config.v2.json", DOCKER_CONFIG)
    assert only(host, container()).name == "shop-web-1"


def test_docker_without_its_shim_is_found_by_the_cgroup(host: Host) -> None:
    host.process(1, 0, "/sbin/init", HOST_MOUNTS)
    host.process(FIRST, 1, "/bin/sleep")
    host.file(f"/var/lib/docker/containers/{C}/config.v2.json", DOCKER_CONFIG)
    assert only(host, container("docker")).name == "shop-web-1"


def test_dockers_start_counts_only_for_the_run_that_is_seen(host: Host) -> None:
    host.first(shim("moby"))
    before = {**DOCKER_CONFIG, "State": {**DOCKER_CONFIG["State"], "Pid": 0}}
    path = f"/var/lib/docker/containers/{C}/config.v2.json"
    host.file(path, before)
    bundles = host.bundles()
    assert [info.started_ns for info in bundles.infos({CGROUP: container()})] == [None]
    host.file(path, DOCKER_CONFIG)
    host.clock_s += RETRY_S
    assert [info.started_ns for info in bundles.infos({CGROUP: container()})] == [1_795_261_809_552_157_660]


def test_a_container_of_cri_dockerd_has_the_name_and_the_pod_of_the_kubelets() -> None:
    labels = {
        "io.kubernetes.container.name": "web",
        "io.kubernetes.docker.type": "podsandbox",
        "io.kubernetes.pod.name": CHECKOUT.name,
        "io.kubernetes.pod.namespace": "prod",
        "io.kubernetes.pod.uid": UID,
    }
    info = info_from_docker({"Name": "/k8s_web", "Config": {"Labels": labels}}, {}, BLANK, frozenset())
    assert (info.name, info.role, info.pod) == ("web", Role.SANDBOX, CHECKOUT)


def test_without_root_docker_has_still_its_ports(host: Host) -> None:
    host.first(shim("moby"))
    (host.proc / str(FIRST) / "net" / "fib_trie").write_text(FIB_TRIE)
    for pid, address in ((50, "172.18.0.2"), (51, "172.18.0.3"), (52, "127.0.0.1")):
        line = f"docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 80{pid} -container-ip {address} -container-port 80"
        host.process(pid, 1, line)
    assert only(host, container()) == replace(
        BLANK,
        source=Source.CGROUP,
        runtime="docker",
        name=C[:12],
        command="/bin/sleep 1000000",
        ports=(Port("0.0.0.0", 8050, 80, "tcp"),),
    )


@pytest.mark.parametrize("has_directory", [True, False])
def test_a_container_of_a_pod_lies_beside_the_sandbox_of_its_shim(host: Host, has_directory: bool) -> None:
    host.first(shim("k8s.io", D))
    host.file(f"{TASKS}/k8s.io/{C}/config.json", CRI_CONFIG)
    host.file(f"{TASKS}/k8s.io/{D}/address", "")
    if has_directory:
        (host.root / TASKS[1:]).rename(host.root / "moved")
        (host.proc / str(KEEPER) / "cwd").symlink_to(host.root / "moved" / "k8s.io" / D)
    assert only(host, container(pod=POD)) == replace(
        BLANK,
        runtime="containerd",
        name="web",
        image="docker.io/lab/busybox:latest",
        command="/bin/sleep 1000000",
        pod=CHECKOUT,
        volumes=(Volume("/srv/cache", "/cache", is_read_only=True),),
    )


def test_a_sandbox_is_called_by_its_pod(host: Host) -> None:
    host.first(shim("k8s.io"))
    annotations = {**CRI_CONFIG["annotations"], "io.kubernetes.cri.container-type": "sandbox"}
    host.file(f"{TASKS}/k8s.io/{C}/config.json", {"annotations": annotations})
    info = only(host, container(pod=POD))
    assert (info.name, info.role, info.pod, info.volumes) == (CHECKOUT.name, Role.SANDBOX, CHECKOUT, ())


def test_dockers_own_containerd_keeps_bundles_one_directory_deeper(host: Host) -> None:
    host.first(shim("moby", address="/run/docker/containerd/containerd.sock"))
    host.file(f"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{C}/config.json", CRI_CONFIG)
    assert only(host, container()).runtime == "docker"
    assert only(host, container()).volumes == (Volume("/srv/cache", "/cache", is_read_only=True),)


def test_nerdctl_writes_name_and_ports_into_the_bundle() -> None:
    annotations = {
        "nerdctl/name": "web",
        "nerdctl/ports": '[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":"0.0.0.0"}]',
    }
    info = info_from_spec({"annotations": annotations}, BLANK)
    assert (info.name, info.ports) == ("web", (Port("0.0.0.0", 8080, 80, "tcp"),))


def test_without_root_a_sandbox_is_the_container_that_the_shim_was_started_for(host: Host) -> None:
    host.first(shim("k8s.io"))
    (host.root / f"var/log/pods/prod_{CHECKOUT.name}_{UID}/web").mkdir(parents=True)
    info = only(host, container(pod=POD))
    assert (info.name, info.role, info.pod, info.runtime) == (CHECKOUT.name, Role.SANDBOX, CHECKOUT, "containerd")


def test_without_root_the_kubelets_mounts_name_a_container(host: Host) -> None:
    host.first(
        shim("k8s.io", D),
        f"9 8 254:0 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/vda rw\n"
        f"9 8 254:0 /var/lib/kubelet/pods/{UID}/containers/web/0a1b /dev/termination-log rw - ext4 /dev/vda rw\n",
    )
    (host.root / f"var/log/pods/prod_{CHECKOUT.name}_{UID}").mkdir(parents=True)
    info = only(host, container(pod=POD))
    assert (info.name, info.role, info.pod, info.runtime) == ("web", Role.WORKLOAD, CHECKOUT, "containerd")


def test_without_root_the_kubelets_logs_name_a_container(host: Host) -> None:
    host.first("/usr/bin/crio")
    host.file(f"/var/log/containers/{CHECKOUT.name}_prod_web-{C}.log", "")
    info = only(host, container("cri-o", pod=POD))
    assert (info.name, info.pod, info.runtime) == ("web", CHECKOUT, "cri-o")


def test_podman_says_name_image_and_pod_in_three_places(host: Host) -> None:
    host.first(conmon("books-api"))
    host.file(f"{STORAGE}/{C}/userdata/config.json", PODMAN_CONFIG)
    host.file(f"{STORAGE}/{D}/userdata/config.json", INFRA_CONFIG)
    host.file(f"{STORAGE}/containers.json", PODMAN_STORAGE)
    assert only(host, container("podman", PODMAN_POD)) == replace(
        BLANK,
        runtime="podman",
        name="books-api",
        image="localhost/lab/busybox:latest",
        command="/bin/sleep 1000000",
        created_ns=1_795_261_875_386_416_700,
        grace_s=10.0,
        stop_signal="SIGTERM",
        pod=PodInfo(PodKind.PODMAN, P, "books"),
        volumes=(Volume("named", "/n"),),
    )


def test_what_podman_removes_at_its_end_is_listed_elsewhere(host: Host) -> None:
    host.first(conmon("solo"))
    host.file(f"{STORAGE}/{C}/userdata/config.json", PODMAN_CONFIG)
    host.file(f"{STORAGE}/containers.json", [])
    host.file("/run/containers/storage/overlay-containers/volatile-containers.json", PODMAN_STORAGE)
    assert only(host, container("podman")).image == "localhost/lab/busybox:latest"


@pytest.mark.parametrize("has_network", [True, False])
def test_an_infra_containers_host_name_is_its_pods_name_if_it_is_its_own(host: Host, has_network: bool) -> None:
    namespaces = [each for each in NAMESPACES if has_network or each["type"] != "network"]
    host.first(conmon("0bb33f4fcbd4-infra"))
    host.file(f"{STORAGE}/{C}/userdata/config.json", {**INFRA_CONFIG, "linux": {"namespaces": namespaces}})
    info = only(host, container("podman", PODMAN_POD))
    assert info.role is Role.SANDBOX
    assert info.pod == (PodInfo(PodKind.PODMAN, P, "books") if has_network else None)


def test_without_root_conmon_still_says_the_name(host: Host) -> None:
    host.first(conmon("books-api"))
    info = only(host, container(pod=PODMAN_POD))
    assert info == replace(BLANK, runtime="podman", name="books-api", command="/bin/sleep 1000000")


def test_crio_says_all_in_annotations(host: Host) -> None:
    host.first(conmon(f"k8s_app_web-0_prod_{UID}_2", "--exit-dir", "/var/run/crio/exits"))
    without_root = only(host, container(pod=POD))
    pod = PodInfo(PodKind.KUBERNETES, UID, "web-0", "prod")
    assert (without_root.name, without_root.runtime, without_root.pod) == ("app", "cri-o", pod)
    host.file(f"{STORAGE}/{C}/userdata/config.json", CRIO_CONFIG)
    info = only(host, container(pod=POD))
    assert (info.name, info.runtime, info.pod, info.image) == ("app", "cri-o", pod, "quay.io/lab/app:1")
    assert (info.restarts, info.role, info.grace_s) == (2, Role.INIT, 30.0)
    assert info.created_ns == 1_795_261_875_386_416_700 - 3600 * 10**9


def test_crios_sandbox_knows_the_pods_labels_and_annotations() -> None:
    labels = {"io.kubernetes.pod.uid": UID, "io.kubernetes.pod.name": "web-0", "app": "web"}
    annotations = {
        **CRIO_CONFIG["annotations"],
        "io.kubernetes.cri-o.ContainerType": "sandbox",
        "io.kubernetes.cri-o.Labels": json.dumps(labels),
        "io.kubernetes.cri-o.Annotations": '{"note": "here", "count": 1}',
    }
    info = info_from_spec({"annotations": annotations}, BLANK)
    assert (info.name, info.role) == ("web-0", Role.SANDBOX)
    assert info.pod == PodInfo(PodKind.KUBERNETES, UID, "web-0", None, labels, {"note": "here"})


@pytest.mark.parametrize(
    ("runtime", "path", "state"),
    [
        ("runc", "/run/runc/mybox/state.json", {"init_process_pid": FIRST, "config": {"labels": ["a=b", "bundle=/b"]}}),
        ("crun", "/run/crun/mybox/status", {"pid": FIRST, "bundle": "/b"}),
    ],
)
def test_a_plain_container_is_found_by_its_state(host: Host, runtime: str, path: str, state: object) -> None:
    host.process(FIRST, 1, "/bin/sleep")
    host.file(path, state)
    host.file("/b/config.json", {"process": {"args": ["/bin/sleep", "1"]}})
    found, process = container(name="mybox")
    info = only(host, (replace(found, is_candidate=True), process))
    assert (info.runtime, info.name, info.command) == (runtime, "mybox", "/bin/sleep 1")


def test_a_candidate_is_confirmed_by_nothing_but_its_own(host: Host) -> None:
    host.first(shim("default", "other"))
    host.file("/run/runc/mybox/state.json", {"init_process_pid": FIRST + 1})
    found, process = container(name="mybox")
    candidate = replace(found, is_candidate=True), process
    assert host.bundles().infos({CGROUP: candidate}) == ()
    (host.proc / str(KEEPER) / "cmdline").write_bytes(shim("default", "mybox").replace(" ", "\0").encode())
    assert only(host, candidate).runtime == "containerd"
    assert only(host, candidate).name == "mybox"


def test_the_shim_of_a_container_around_it_is_not_its_own(host: Host) -> None:
    host.first(shim("moby", D))
    host.process(FIRST + 1, FIRST, "/bin/sleep")
    assert host.bundles().infos({CGROUP: container(pid=FIRST + 1)}) == ()


def test_no_id_leads_out_of_a_directory(host: Host) -> None:
    host.process(FIRST, 1, "/bin/sleep")
    host.file("/run/runc/state.json", {})
    host.file("/run/etc/state.json", {})
    assert host.bundles().infos({CGROUP: container(name="..")}) == ()
    assert host.bundles().infos({CGROUP: container(name="../etc")}) == ()


def test_equal_calls_give_the_same_objects_and_read_nothing(host: Host) -> None:
    host.first(conmon("books-api"))
    bundles = host.bundles()
    (first,) = bundles.infos({CGROUP: container()})
    (host.proc / str(KEEPER) / "cmdline").write_bytes(conmon("renamed").replace(" ", "\0").encode())
    host.clock_s += 10 * RETRY_S
    (second,) = bundles.infos({CGROUP: container()})
    assert second is first
    assert bundles.infos({}) == ()
    assert [info.name for info in bundles.infos({CGROUP: container()})] == ["renamed"]


def test_another_process_is_another_run(host: Host) -> None:
    host.first(conmon("books-api"))
    bundles = host.bundles()
    bundles.infos({CGROUP: container()})
    (host.proc / str(KEEPER) / "cmdline").write_bytes(conmon("renamed").replace(" ", "\0").encode())
    found, process = container()
    (info,) = bundles.infos({CGROUP: (found, replace(process, start_ticks=78))})
    assert info.name == "renamed"


def test_what_has_no_name_is_looked_for_again_a_few_times(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    real = bundle.find_out
    monkeypatch.setattr(bundle, "find_out", lambda *arguments: looks.append(1) or real(*arguments))
    host.first(shim("default"))
    bundles = host.bundles()
    (first,) = bundles.infos({CGROUP: container()})
    bundles.infos({CGROUP: container()})
    assert len(looks) == 1
    for _ in range(2 * TRIES):
        host.clock_s += RETRY_S
        (info,) = bundles.infos({CGROUP: container()})
        assert info is first
    assert len(looks) == TRIES


def test_a_bundle_that_comes_late_is_found(host: Host) -> None:
    host.first(shim("k8s.io", D))
    bundles = host.bundles()
    assert [info.name for info in bundles.infos({CGROUP: container()})] == [C[:12]]
    host.file(f"{TASKS}/k8s.io/{C}/config.json", CRI_CONFIG)
    host.clock_s += RETRY_S
    assert [info.name for info in bundles.infos({CGROUP: container()})] == ["web"]


def test_a_call_ends_when_its_time_is_up_and_the_next_goes_on(host: Host) -> None:
    host.first(conmon("books-api"))
    host.tick_s = 0.04
    wanted = {CgroupPath(f"/{number}"): container() for number in range(6)}
    bundles = host.bundles()
    assert [len(bundles.infos(wanted)) for _ in range(4)] == [2, 4, 6, 6]


def test_a_malformed_file_costs_its_container_the_name_and_nothing_else(host: Host) -> None:
    host.first(shim("k8s.io", D))
    host.file(f"{TASKS}/k8s.io/{C}/config.json", "[1]")
    host.process(50, 1, conmon("books-api"))
    host.process(51, 50, "/bin/sleep")
    bundles = host.bundles()
    other = CgroupPath("/other")
    infos = bundles.infos({CGROUP: container(), other: container(pid=51)})
    assert [info.name for info in infos] == [C[:12], "books-api"]
    assert str(bundles.malformed) == f"{TASKS}/k8s.io/{C}/config.json: cannot understand '[1]'"
    bundles.infos({other: container(pid=51)})
    assert bundles.malformed is None


def test_a_malformed_stat_is_said_too(host: Host) -> None:
    host.process(FIRST, 1, "/bin/sleep")
    (host.proc / str(FIRST) / "stat").write_text("4000 (sleep) S")
    bundles = host.bundles()
    assert bundles.infos({CGROUP: container()}) == ()
    assert bundles.malformed is not None


def test_nothing_but_a_regular_file_of_a_fair_size_is_read(tmp_path: Path) -> None:
    fair = tmp_path / "fair"
    fair.write_bytes(b"x" * FILE_BYTES)
    assert read_regular(str(fair), FILE_BYTES) == b"x" * FILE_BYTES
    assert read_regular(str(fair), FILE_BYTES - 1) is None
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(fair)
    for name in ("pipe", "link", "", "absent", "\0", "\ud800"):
        assert read_regular(f"{tmp_path}/{name}", FILE_BYTES) is None


def test_a_mount_is_seen_wherever_its_file_system_is() -> None:
    outside = parse_mounts(HOST_MOUNTS.encode(), "mountinfo")
    assert list(paths_outside(Mount("254:0", "/var/lib", ""), outside)) == ["/var/lib"]
    assert list(paths_outside(Mount("254:1", "/vol/docker", ""), outside)) == ["/mnt/data/docker"]
    assert list(paths_outside(Mount("254:1", "/volume", ""), outside)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T11:50:09.55215766Z", 1_795_261_809_552_157_660),
        ("2026-11-21T12:50:09+01:00", 1_795_261_809_000_000_000),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (7, None),
    ],
)
def test_times_are_nanoseconds_since_1970(text: object, expected: int | None) -> None:
    assert parse_time_ns(text) == expected


def hostile(real: Any) -> st.SearchStrategy[Any]:
    """The same document with anything in the place of any part of it."""
    if isinstance(real, dict):
        members = st.fixed_dictionaries({}, optional={name: hostile(value) for name, value in real.items()})
        return members | JSON
    if isinstance(real, list):
        return st.lists(st.one_of([hostile(value) for value in real]), max_size=4) | JSON if real else JSON
    return st.just(real) | JSON


@pytest.mark.parametrize("real", [CRI_CONFIG, PODMAN_CONFIG, CRIO_CONFIG, {"annotations": {"nerdctl/name": "x"}}])
def test_any_json_in_a_bundle_is_passed_over(real: dict[str, Any]) -> None:
    @given(hostile(real))
    def check(document: Any) -> None:
        if isinstance(document, dict):
            info = info_from_spec(document, BLANK)
            assert isinstance(info.name, str)
            assert all(isinstance(volume.source, str) for volume in info.volumes)
            podman_sandbox(document)
            own_hostname(document)
            bundle_of_state(document)
            pid_of_state(document)

    check()


@given(hostile(DOCKER_CONFIG), hostile(DOCKER_HOST))
def test_any_json_in_dockers_files_is_passed_over(config: Any, options: Any) -> None:
    if isinstance(config, dict) and isinstance(options, dict):
        info = info_from_docker(config, options, BLANK, frozenset((FIRST,)))
        assert isinstance(info.name, str)
        assert all(isinstance(value, str) for value in info.labels.values())


@given(hostile(PODMAN_STORAGE))
def test_any_json_in_podmans_list_is_passed_over(entries: Any) -> None:
    image, _ = image_of_storage(entries, C)
    assert image in {None, "localhost/lab/busybox:latest"} or isinstance(image, str)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"a":' + b"9" * 5000 + b"}"])
def test_a_file_that_is_no_object_is_malformed(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_object(raw, "config.json")


@given(st.binary())
def test_any_mounts_parse_or_are_malformed(raw: bytes) -> None:
    with suppress(ParseError):
        assert len(parse_mounts(raw, "mountinfo")) <= raw.count(b"\n") + 1


def test_what_is_not_found_out_in_the_time_of_one_call_is_found_out_in_the_next(host: Host) -> None:
    host.first(shim("moby"))
    host.file(f"/var/lib/docker/containers/{C}/config.v2.json", DOCKER_CONFIG)
    bundles, wanted = host.bundles(), {CGROUP: container()}

    assert bundles.infos(wanted, 0.0) == ()
    assert [info.name for info in bundles.infos(wanted)] == ["shop-web-1"]
