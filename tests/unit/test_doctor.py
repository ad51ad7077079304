"""What can be read here and what cannot: each lack with what would mend it."""

from __future__ import annotations

import json
import os
import resource
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES, HYBRID_MOUNTS, V1_MOUNTS, FakeHost
from samples import HOSTILE_NAMES, info_of, unsafe

from topcon import doctor
from topcon.doctor import Check, Status, examine, to_json, to_text
from topcon.errors import ParseError, SourceUnavailable, UsageError
from topcon.runtimes import EVERY_ABILITY, Plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.model.sample import ContainerInfo
    from topcon.runtimes import Runtime

WEB = "a" * 64


@pytest.fixture(autouse=True)
def _no_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the runtimes that are installed out."""
    monkeypatch.setattr(doctor, "plugin_names", list)


@pytest.fixture(autouse=True)
def _root_and_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be root, with descriptors enough."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1 << 20))


def checks(host: FakeHost, wanted: Mapping[str, str | None] | None = None, **roots: str) -> dict[str, Check]:
    """Return the checks of a host by their names, each of which comes once."""
    given = {"proc_root": host.proc_root, "cgroup_root": host.cgroup_root, "host_root": str(host.root)} | roots
    found = examine(**given, wanted=wanted)
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


def lacks(found: Mapping[str, Check]) -> dict[str, str | None]:
    return {name: check.remedy for name, check in found.items() if check.status is Status.LACKS}


# The kernel.


def test_a_host_that_lacks_nothing(host: FakeHost) -> None:
    found = checks(host)

    assert {check.status for check in found.values()} == {Status.OK}
    assert {check.remedy for check in found.values()} == {None}
    assert found["cgroups"].detail == f"v2 at {host.cgroup_root}"
    assert found["controllers"].detail == "cpu (v2), memory (v2), io (v2), pids (v2)"
    assert found["pressure"].detail == "PSI of cpu, memory, io"
    assert found["processes"].detail == f"1 in {host.proc_root}"
    assert set(found) == {"cgroups", "controllers", "pressure", "namespaces", "processes", "descriptors"}


@pytest.mark.parametrize(("mounts", "mode"), [(HYBRID_MOUNTS, "hybrid"), (V1_MOUNTS, "v1")])
def test_on_older_hosts_controllers_are_told_with_their_version(tmp_path: Path, mounts: str, mode: str) -> None:
    found = checks(FakeHost(tmp_path / "host", mounts))

    assert found["cgroups"].detail.startswith(f"{mode} at ")
    assert found["controllers"].detail == "cpu (v1), memory (v1), io (v1), pids (v1)"
    assert lacks(found) == {}


def test_without_cgroups_there_is_a_command_that_mounts_them(host: FakeHost) -> None:
    host.write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    found = checks(host)

    assert lacks(found) == {"cgroups": "sudo mount -t cgroup2 none /sys/fs/cgroup"}
    assert "controllers" not in found


def test_a_part_of_the_tree_is_told_from_the_whole(host: FakeHost) -> None:
    host.cgroup("/", {"cgroup.type": "domain\n"})
    found = checks(host)

    assert "only a part of the tree is visible" in found["cgroups"].detail
    assert lacks(found) == {"cgroups": "run topcon on the host, or its container with --pid host --cgroupns host"}


@pytest.mark.parametrize(
    ("controllers", "detail", "remedy"),
    [
        ("cpu io pids", "without memory; there are: cpu (v2), io (v2), pids (v2)", "boot with cgroup_enable=memory"),
        ("cpuset", "without cpu, memory, io, pids; there are: none", "boot with cgroup_enable=memory"),
        ("cpu memory pids", "without io; there are: cpu (v2), memory (v2), pids (v2)", None),
    ],
)
def test_controllers_that_are_missing_are_named(
    host: FakeHost, controllers: str, detail: str, remedy: str | None
) -> None:
    host.cgroup("/", {"cgroup.controllers": f"{controllers}\n", "cgroup.subtree_control": f"{controllers}\n"})
    check = checks(host)["controllers"]

    assert (check.status, check.detail) == (Status.LACKS, detail)
    assert (check.remedy or "").startswith(remedy or "")


@pytest.mark.parametrize(
    ("enabled", "missing"),
    [("cpu io memory pids", []), ("memory pids", ["cpu", "io"]), ("", ["cpu", "memory", "io", "pids"])],
)
def test_controllers_that_the_root_keeps_to_itself_are_named_with_the_command(
    host: FakeHost, enabled: str, missing: list[str]
) -> None:
    host.cgroup("/", {"cgroup.subtree_control": f"{enabled}\n"})
    found = checks(host)

    assert ("delegation" in found) is bool(missing)
    if missing:
        plus = " ".join(f"+{name}" for name in missing)
        assert found["delegation"].remedy == f"echo '{plus}' | sudo tee {host.cgroup_root}/cgroup.subtree_control"
        assert ", ".join(missing) in found["delegation"].detail


def test_a_kernel_that_does_not_account_pressure(host: FakeHost) -> None:
    for name in ("cpu", "memory", "io"):
        (host.root / f"proc/pressure/{name}").unlink()

    assert lacks(checks(host)) == {"pressure": "boot with psi=1"}


def test_a_kernel_that_accounts_some_pressure_says_which(host: FakeHost) -> None:
    (host.root / "proc/pressure/io").unlink()

    assert checks(host)["pressure"].detail == "PSI of cpu, memory"


def no_links(host: FakeHost, pid: int) -> None:
    """Hide the namespaces of a process, as the kernel does from other users."""
    for link in (host.root / f"proc/{pid}/ns").iterdir():
        link.unlink()


@pytest.mark.parametrize("is_hidden", [True, False])
def test_whether_the_namespaces_of_containers_can_be_seen(host: FakeHost, is_hidden: bool) -> None:
    host.process(100, namespaces=HOST_NAMESPACES)
    host.write("proc/100/cgroup", f"0::/system.slice/docker-{WEB}.scope\n")
    if is_hidden:
        no_links(host, 100)

    check = checks(host)["namespaces"]

    assert (check.status, check.remedy) == ((Status.LACKS, "sudo topcon") if is_hidden else (Status.OK, None))
    assert "of containers" in check.detail


@pytest.mark.parametrize(("uid", "expected"), [(0, Status.OK), (1000, Status.LACKS)])
def test_without_a_container_it_is_the_first_process_that_counts(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, uid: int, expected: Status
) -> None:
    no_links(host, 1)
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert checks(host)["namespaces"].status is expected


def test_hidden_processes_are_told_with_the_command(host: FakeHost) -> None:
    (host.root / "proc/1/stat").unlink()

    assert lacks(checks(host)) == {"processes": f"sudo mount -o remount,hidepid=0 {host.proc_root}"}


def test_without_a_proc_nothing_is_ok_that_lies_there(host: FakeHost, tmp_path: Path) -> None:
    found = checks(host, proc_root=str(tmp_path / "none"))

    assert {"cgroups", "pressure", "processes"} <= set(lacks(found))


@pytest.mark.parametrize(
    ("hard", "expected"),
    [(1024, Status.LACKS), (19_999, Status.LACKS), (20_000, Status.OK), (resource.RLIM_INFINITY, Status.OK)],
)
def test_descriptors_are_enough_from_twenty_thousand_on(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, hard: int, expected: Status
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    check = checks(host)["descriptors"]

    assert check.status is expected
    assert check.remedy == ("ulimit -Hn 20000" if expected is Status.LACKS else None)
    assert "-1" not in check.detail


# Runtimes.


@dataclass
class Daemon:
    """A runtime that answers, refuses to talk, or talks nonsense."""

    answer: tuple[ContainerInfo, ...] | Exception = ()
    refusal: SourceUnavailable | None = None
    name: str = "fake"
    open: int = 0
    paths: list[str] = field(default_factory=list)

    def connect(self, path: str) -> Runtime:
        self.paths.append(path)
        if self.refusal:
            raise self.refusal
        self.open += 1
        return self  # type: ignore[return-value]

    def containers(self) -> tuple[ContainerInfo, ...]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.open -= 1


class Changer(Daemon):
    """A runtime that can be told to do something."""

    abilities = EVERY_ABILITY

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name in {"started_ns", "start", "stop", "restart", "pause", "unpause", "kill", "remove"}:
            return lambda *_: None
        raise AttributeError(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short directory: a socket's path has 108 bytes, and pytest's own directories are long."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def listen(path: Path) -> str:
    """Leave a socket at a path."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return str(path)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a runtime of the name fake, with a socket somewhere, in the place of those that are installed."""

    def installed(daemon: Daemon, *sockets: str) -> Daemon:
        def load(name: str) -> Plugin:
            if name != "fake":
                raise UsageError(name)
            return Plugin("fake", sockets, daemon.connect)

        monkeypatch.setattr(doctor, "plugin_names", lambda: ["fake"])
        monkeypatch.setattr(doctor, "load", load)
        return daemon

    return installed


@pytest.mark.parametrize(("kind", "abilities"), [(Daemon, "names"), (Changer, "names and actions")])
def test_a_runtime_that_answers_is_told_with_what_it_is_good_for(
    host: FakeHost, folder: Path, install: Any, kind: type[Daemon], abilities: str
) -> None:
    path = listen(folder / "s")
    daemon = install(kind((info_of("web"), info_of("db"))), path)

    check = checks(host, host_root="")["fake"]

    assert (check.status, check.detail) == (Status.OK, f"2 containers at {path}: {abilities}")
    assert (daemon.paths, daemon.open) == ([path], 0)


def test_a_runtime_without_a_socket_is_not_there_and_nothing_is_to_be_mended(host: FakeHost, install: Any) -> None:
    daemon = install(Daemon(), "/run/fake.sock", "~/fake.sock")

    check = checks(host)["fake"]

    assert (check.status, check.remedy) == (Status.ABSENT, None)
    assert check.detail == "no socket; looked at /run/fake.sock, ~/fake.sock"
    assert daemon.paths == []


def test_sockets_are_looked_for_below_the_hosts_root(host: FakeHost, folder: Path, install: Any) -> None:
    (folder / "run").mkdir()
    path = listen(folder / "run/s")
    install(Daemon(), "/run/s")

    assert checks(host, host_root=str(folder))["fake"].detail == f"0 containers at {path}: names"
    assert checks(host)["fake"].status is Status.ABSENT


def test_only_the_socket_that_is_asked_for_is_looked_at(host: FakeHost, folder: Path, install: Any) -> None:
    known, own = listen(folder / "k"), listen(folder / "o")
    daemon = install(Daemon(), known)

    checks(host, {"fake": own}, host_root="")

    assert daemon.paths == [own]


def test_what_is_asked_for_and_is_no_socket_is_a_lack(host: FakeHost, install: Any) -> None:
    daemon = install(Daemon())
    path = str(host.write("file", ""))

    check = checks(host, {"fake": path})["fake"]

    assert (check.status, check.detail) == (Status.LACKS, f"{path} is no socket")
    assert check.remedy == "--runtime fake=SOCKET"
    assert daemon.paths == []


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [("sudo usermod -aG fake $USER", "sudo usermod -aG fake $USER"), (None, "systemctl status fake")],
)
@pytest.mark.parametrize("at", ["connect", "list"])
def test_a_runtime_that_refuses_is_told_in_its_words_with_what_would_mend_it(
    host: FakeHost, folder: Path, install: Any, at: str, remedy: str | None, expected: str
) -> None:
    error = SourceUnavailable("permission denied", remedy)
    daemon = install(Daemon(refusal=error) if at == "connect" else Daemon(error), listen(folder / "s"))

    check = checks(host, host_root="")["fake"]

    assert (check.status, check.detail, check.remedy) == (Status.LACKS, "permission denied", expected)
    assert daemon.open == 0


def test_a_runtime_that_talks_nonsense_is_a_lack_and_the_other_checks_are_made(
    host: FakeHost, folder: Path, install: Any
) -> None:
    daemon = install(Daemon(ParseError("/events", "nonsense")), listen(folder / "s"))

    found = checks(host, host_root="")

    assert found["fake"].status is Status.LACKS
    assert "nonsense" in found["fake"].detail
    assert (found["cgroups"].status, daemon.open) == (Status.OK, 0)


def test_two_sockets_of_a_runtime_are_two_checks(host: FakeHost, folder: Path, install: Any) -> None:
    paths = [listen(folder / "a"), listen(folder / "b")]
    install(Daemon(), *paths)

    details = [check.detail for check in examine(host.proc_root, host.cgroup_root, "") if check.name == "fake"]

    assert details == [f"0 containers at {path}: names" for path in paths]


# Written.

WRITTEN = [
    Check("cgroups", Status.OK, "v2"),
    Check("pressure", Status.LACKS, "no PSI", "boot with psi=1"),
    Check("docker", Status.ABSENT, "no socket"),
]


def test_a_line_a_check_with_the_remedy_below_the_lack() -> None:
    assert to_text(WRITTEN) == (
        "ok     cgroups   v2\n"
        "LACKS  pressure  no PSI\n"
        "                 to mend it: boot with psi=1\n"
        "-      docker    no socket\n"
    )


def test_one_json_object() -> None:
    document = json.loads(to_json(WRITTEN))

    assert document["version"] == 1
    assert document["checks"] == [
        {"name": "cgroups", "status": "ok", "detail": "v2", "remedy": None},
        {"name": "pressure", "status": "lacks", "detail": "no PSI", "remedy": "boot with psi=1"},
        {"name": "docker", "status": "absent", "detail": "no socket", "remedy": None},
    ]


@pytest.mark.parametrize("text", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_what_a_daemon_says_keeps_to_its_line(text: str) -> None:
    hostile = [Check("docker", Status.LACKS, text, f"sudo {text}")]

    assert to_text(hostile).count("\n") == 2
    assert unsafe(to_text(hostile)) == {"\n"}
    assert json.loads(to_json(hostile))["checks"][0]["detail"] == text
