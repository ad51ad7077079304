from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.model.sample import Port
from topcon.runtimes.argv import (
    Conmon,
    KubeletName,
    Proxy,
    Shim,
    parse_argv,
    parse_conmon,
    parse_kubelet_name,
    parse_proxy,
    parse_shim,
)

C, D = "c" * 64, "d" * 64
STORAGE = f"/overlay-containers/{C}/userdata"

SHIMS = [
    (
        f"/usr/bin/containerd-shim-runc-v2 -namespace moby -id {C} -address /run/containerd/containerd.sock",
        Shim("moby", C, "/run/containerd/containerd.sock"),
    ),
    (
        f"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id {D} -address /run/k3s/containerd/containerd.sock",
        Shim("k8s.io", D, "/run/k3s/containerd/containerd.sock"),
    ),
    (
        f"containerd-shim-kata-v2 --namespace=default --id=web --address=/run/c.sock -publish-binary {C}",
        Shim("default", "web", "/run/c.sock"),
    ),
    (
        f"containerd-shim -namespace moby -workdir /var/lib/io.containerd.runtime.v1.linux/moby/{C} -address /c.sock",
        Shim("moby", C, "/c.sock"),
    ),
    ("containerd-shim-runc-v2 -namespace moby", None),
    ("containerd-shim-runc-v2", None),
    (f"containerd -namespace moby -id {C}", None),
    ("", None),
]
PODMAN_5 = (
    f"/usr/bin/conmon --api-version 1 -c {C} -u {C} -r /usr/bin/crun -b /var/lib/containers/storage{STORAGE}"
    f" -p /run/containers/storage{STORAGE}/pidfile -n books-api --exit-dir /run/libpod/exits"
    f" --persist-dir /run/libpod/persist/{C} --full-attach -s -l journald --log-level warning --syslog"
    " --runtime-arg --log-format=json --runtime-arg --log --exit-command /usr/bin/podman --exit-command-arg --root"
    " --exit-command-arg -n --exit-command-arg other"
)
CRIO = (
    f"/usr/bin/conmon -b /run/containers/storage{STORAGE} -c {C} --exit-dir /var/run/crio/exits"
    f" -l /var/log/pods/prod_web-0_0f9d7c52-41a8-4c4c-9c55-2f1c6f0b7a11/app/0.log --log-level info"
    f" -n k8s_app_web-0_prod_0f9d7c52-41a8-4c4c-9c55-2f1c6f0b7a11_0 -P /run/containers/storage{STORAGE}/conmon-pidfile"
    f" -p /run/containers/storage{STORAGE}/pidfile --persist-dir /var/lib/containers/storage{STORAGE}"
    f" -r /usr/bin/crun --runtime-arg --root=/run/crun --socket-dir-path /var/run/crio -u {C} -s"
)
CONMONS = [
    (
        PODMAN_5,
        Conmon(
            C,
            "books-api",
            f"/var/lib/containers/storage{STORAGE}",
            f"/run/containers/storage{STORAGE}",
            "podman",
        ),
    ),
    (
        CRIO,
        Conmon(
            C,
            "k8s_app_web-0_prod_0f9d7c52-41a8-4c4c-9c55-2f1c6f0b7a11_0",
            f"/run/containers/storage{STORAGE}",
            f"/run/containers/storage{STORAGE}",
            "cri-o",
        ),
    ),
    (f"conmon --cid {C} --name x", Conmon(C, "x", "", "", "podman")),
    ("/usr/bin/conmon --version", None),
    (f"conmond -c {C}", None),
]
PROXIES = [
    (
        "docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 18080 -container-ip 172.18.0.2 -container-port 80",
        Proxy("172.18.0.2", Port("127.0.0.1", 18080, 80, "tcp")),
    ),
    (
        "/usr/sbin/docker-proxy -proto udp -host-ip :: -host-port 53 -container-ip fd00::2 -container-port 53",
        Proxy("fd00::2", Port("::", 53, 53, "udp")),
    ),
    ("docker-proxy -proto tcp -host-port 99999 -container-ip 172.17.0.2 -container-port 80", None),
    ("docker-proxy -proto tcp -host-port \u0661 -container-ip 172.17.0.2 -container-port 80", None),
    ("nginx -proto tcp -host-port 80 -container-ip 172.17.0.2 -container-port 80", None),
]


@pytest.mark.parametrize(("line", "shim"), SHIMS)
def test_a_shim_says_which_namespace_and_container_it_was_started_for(line: str, shim: Shim | None) -> None:
    assert parse_shim(tuple(line.split(" "))) == shim


@pytest.mark.parametrize(("line", "conmon"), CONMONS)
def test_conmon_says_name_and_bundle_and_whose_it_is(line: str, conmon: Conmon | None) -> None:
    assert parse_conmon(tuple(line.split(" "))) == conmon


@pytest.mark.parametrize(("line", "proxy"), PROXIES)
def test_docker_proxy_says_which_port_it_publishes(line: str, proxy: Proxy | None) -> None:
    assert parse_proxy(tuple(line.split(" "))) == proxy


@pytest.mark.parametrize(
    ("namespace", "runtime"), [("moby", "docker"), ("k8s.io", "containerd"), ("default", "containerd")]
)
def test_the_namespace_says_whose_containers_a_shim_keeps(namespace: str, runtime: str) -> None:
    assert Shim(namespace, C, "").runtime == runtime


def test_a_name_of_the_kubelets_has_container_pod_namespace_and_uid() -> None:
    assert parse_kubelet_name("k8s_app_web-0_prod_0f9d7c52_3") == KubeletName("app", "web-0", "prod", "0f9d7c52")
    assert parse_kubelet_name("k8s_POD_web-0_prod_0f9d7c52_0") == KubeletName("POD", "web-0", "prod", "0f9d7c52")
    assert parse_kubelet_name("books-api") is None


def test_a_command_line_ends_with_a_nul_that_is_no_word() -> None:
    assert parse_argv(b"/bin/sleep\x00\xff\x00\x00") == ("/bin/sleep", "\ufffd", "")
    assert parse_argv(b"") == ("",)


@given(st.binary() | st.lists(st.sampled_from([b"-c", b"-id", b"=", b"conmon", b"containerd-shim-x"])).map(b"\0".join))
def test_any_command_line_is_one_or_none(raw: bytes) -> None:
    argv = parse_argv(raw)
    for parse in (parse_shim, parse_conmon, parse_proxy):
        parse(argv)
    assert argv
