"""Where the runtimes keep logs, found without any of them."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import info_of

from topcon.model.output import Wanted
from topcon.model.sample import ContainerId, Problem
from topcon.runtimes.hostfiles import HostFiles, Proxies
from topcon.runtimes.logfiles import InJournal, LogFile, conmon_logs, find_logs, open_log, parse_log_path
from topcon.runtimes.logs import CRI, JSON_LINES

if TYPE_CHECKING:
    from pathlib import Path

    from topcon.model.sample import ContainerInfo

ID = "d" * 64
POD = {
    "io.kubernetes.pod.namespace": "prod",
    "io.kubernetes.pod.name": "web-1",
    "io.kubernetes.pod.uid": "1234",
    "io.kubernetes.container.name": "app",
}


def docker(**options: object) -> ContainerInfo:
    return replace(info_of("web"), id=ContainerId(ID), runtime="docker", **options)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(info: ContainerInfo, root: Path, pid: int | None = None) -> list[LogFile | InJournal | Problem]:
    proc_root = str(root / "proc")
    return list(find_logs(info, pid, HostFiles(str(root), proc_root, Proxies(proc_root)), str(root)))


def test_dockers_file_is_where_docker_keeps_its_containers(tmp_path: Path) -> None:
    path = write(tmp_path / f"var/lib/docker/containers/{ID}/{ID}-json.log", '{"log":"hello\\n"}\n')

    assert found(docker(), tmp_path) == [LogFile(str(path), JSON_LINES)]
    feed = open_log(docker(), None, Wanted(5), str(tmp_path), str(tmp_path / "proc"))
    assert not isinstance(feed, Problem)
    batch = feed.read()
    feed.close()
    assert batch is not None
    assert [line.text for line in batch.lines] == ["hello"]


def test_docker_may_keep_them_elsewhere_and_mounts_say_where(tmp_path: Path) -> None:
    hosts = f"/data/docker/containers/{ID}/hosts"
    write(tmp_path / "proc/1/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    write(tmp_path / "proc/77/mountinfo", f"30 1 8:1 {hosts} /etc/hosts rw - ext4 /dev/sda1 rw\n")

    assert found(docker(), tmp_path, 77)[0] == LogFile(
        f"{tmp_path}/data/docker/containers/{ID}/{ID}-json.log", JSON_LINES
    )


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        ("journald", "no journal in"),
        ("local", "only docker reads"),
        ("none", "keeps nothing"),
    ],
)
def test_of_what_is_kept_elsewhere_it_is_said_where(tmp_path: Path, driver: str, words: str) -> None:
    config = json.dumps({"LogConfig": {"Type": driver, "Config": {}}})
    write(tmp_path / f"var/lib/docker/containers/{ID}/hostconfig.json", config)

    problem = open_log(docker(), None, Wanted(5), str(tmp_path), str(tmp_path / "proc"))
    assert isinstance(problem, Problem)
    assert words in problem.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    problem = open_log(docker(), None, Wanted(5), str(tmp_path), str(tmp_path / "proc"))

    assert isinstance(problem, Problem)
    assert "no log file at" in problem.message


@pytest.mark.parametrize("labels", [{}, POD], ids=["link", "labels"])
def test_kubelets_files_are_found_by_links_and_by_labels(tmp_path: Path, labels: dict[str, str]) -> None:
    old = write(tmp_path / "var/log/pods/prod_web-1_1234/app/9.log", "")
    new = write(tmp_path / "var/log/pods/prod_web-1_1234/app/10.log", "")
    link = tmp_path / f"var/log/containers/web-1_prod_app-{ID}.log"
    if not labels:
        link.parent.mkdir()
        # As the host sees it, which may not be as we do.
        link.symlink_to("/var/log/pods/prod_web-1_1234/app/9.log")
    info = replace(docker(labels=MappingProxyType(labels)), runtime="containerd")

    assert found(info, tmp_path) == [LogFile(str(new if labels else old), CRI)]


def test_links_that_lead_to_dockers_files_are_of_dockers_form(tmp_path: Path) -> None:
    link = tmp_path / f"var/log/containers/web-1_prod_app-{ID}.log"
    link.parent.mkdir(parents=True)
    link.symlink_to("../pods/x/0.log")
    (tmp_path / "var/log/pods/x").mkdir(parents=True)
    (tmp_path / "var/log/pods/x/0.log").symlink_to(f"/var/lib/docker/containers/{ID}/{ID}-json.log")

    (log,) = found(replace(docker(), runtime="cri-o"), tmp_path)
    assert log == LogFile(f"{tmp_path}/var/lib/docker/containers/{ID}/{ID}-json.log", JSON_LINES)


@pytest.mark.parametrize("name", ["../../etc", ".", "..", "a/b", "a\0b", ""])
def test_labels_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    write(tmp_path / "var/log/pods/prod_web-1_1234/app/0.log", "")
    for label in POD:
        info = replace(docker(labels=MappingProxyType({**POD, label: name})), runtime="containerd")
        assert found(info, tmp_path) == []


CONMON = ("/usr/bin/conmon", "-c", ID, "-n", "web", "-b", "/bundle", "-p", "/run/pid")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-l", "k8s-file:/store/ctr.log"), "/store/ctr.log"),
        (("--log-path", "/var/log/pods/x/0.log"), "/var/log/pods/x/0.log"),
        (("--log-path=k8s-file:/store/ctr.log",), "/store/ctr.log"),
        (("-l", "passthrough", "-l", "k8s-file:/store/ctr.log"), "/store/ctr.log"),
        (("-l", "passthrough"), None),
    ],
)
def test_conmon_was_told_where_to_write(tmp_path: Path, words: tuple[str, ...], expected: str | None) -> None:
    write(tmp_path / "proc/77/stat", "77 (sh) S 66 0")
    write(tmp_path / "proc/66/cmdline", "\0".join((*CONMON, *words)))

    logs = found(replace(docker(), runtime="podman"), tmp_path, 77)
    assert logs == ([LogFile(f"{tmp_path}{expected}", CRI)] if expected else [])


def test_podman_may_keep_it_in_the_journal(tmp_path: Path) -> None:
    write(tmp_path / "proc/77/stat", "77 (sh) S 66 0")
    write(tmp_path / "proc/66/cmdline", "\0".join((*CONMON, "-l", "journald")))

    assert found(replace(docker(), runtime="podman"), tmp_path, 77) == [InJournal(ContainerId(ID))]


@given(st.lists(st.text(max_size=8), max_size=6).map(tuple))
def test_any_words_lead_to_a_whole_path_or_to_none(words: tuple[str, ...]) -> None:
    for text in (*words, *conmon_logs(words)):
        path = parse_log_path(text)[1]
        assert not path or path.startswith("/")
