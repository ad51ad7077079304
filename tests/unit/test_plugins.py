"""The plug-in point: which runtimes there are, where their sockets lie, and what the command line may ask for."""

from __future__ import annotations

import pwd
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from topcon import runtimes
from topcon.errors import UsageError
from topcon.runtimes import (
    EVERY_ABILITY,
    Plugin,
    chosen,
    is_socket,
    load,
    plugin_names,
    sockets_there,
    supports_lifecycle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.sample import ContainerId, ContainerInfo
    from topcon.runtimes import Runtime


def never(socket: str) -> Runtime:
    raise AssertionError(socket)


def plugin_at(*sockets: str) -> Plugin:
    return Plugin("fake", sockets, never)


@pytest.fixture
def root() -> Iterator[Path]:
    """A short directory: a socket's path has 108 bytes, and pytest's own directories are long."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def listen(path: Path) -> Path:
    """Leave a socket at a path; nobody answers there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


class Point:
    """An entry point."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self._value = value

    def load(self) -> object:
        return self._value


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    """Put entry points in the place of those that are installed."""

    def entry_points(*, group: str, name: str | None = None) -> list[Point]:
        assert group == "topcon.runtimes"
        return [point for point in points if name in {None, point.name}]

    monkeypatch.setattr(runtimes, "entry_points", entry_points)


# Names.


def test_docker_comes_with_topcon() -> None:
    assert "docker" in plugin_names()
    assert load("docker").name == "docker"


def test_runtimes_of_other_packages_are_found_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = plugin_at("/run/other.sock")
    install(monkeypatch, Point("other", foreign), Point("docker", plugin_at()), Point("other", foreign))

    assert plugin_names() == ["docker", "other"]
    assert load("other") is foreign


def test_what_is_no_plugin_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    right = plugin_at()
    install(monkeypatch, Point("other", object()), Point("other", right))

    assert load("other") is right


def test_an_unknown_runtime_is_refused_with_the_names_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Point("b", plugin_at()), Point("a", plugin_at()))

    with pytest.raises(UsageError, match="no runtime is called 'podman'; there are: a, b"):
        load("podman")


# Sockets.


def test_only_sockets_that_are_there_are_found_in_order(root: Path) -> None:
    second, first = listen(root / "b.sock"), listen(root / "a.sock")
    (root / "file").write_text("")
    plugin = plugin_at(f"{root}/none", str(first), f"{root}/file", str(second), str(root))

    assert sockets_there(plugin) == [str(first), str(second)]


def test_a_socket_of_several_names_is_found_once(root: Path) -> None:
    there = listen(root / "run/docker.sock")
    (root / "var").mkdir()
    (root / "var/run").symlink_to(root / "run", target_is_directory=True)

    assert sockets_there(plugin_at(str(there), f"{root}/var/run/docker.sock", str(there))) == [str(there)]


def test_a_star_stands_for_every_user(root: Path) -> None:
    there = [listen(root / f"run/user/{user}/docker.sock") for user in (1000, 1001)]

    assert sockets_there(plugin_at("/run/user/*/docker.sock"), str(root)) == [str(path) for path in there]


def test_what_the_runtimes_own_tools_are_told_comes_first(root: Path) -> None:
    usual, told = listen(root / "usual.sock"), listen(root / "told.sock")
    plugin = replace(plugin_at(str(usual)), configured=lambda: [f"unix://{told}"])

    assert sockets_there(plugin) == [str(told), str(usual)]


def test_a_socket_that_leads_to_another_runtimes_is_left_to_it(root: Path) -> None:
    theirs = listen(root / "podman/podman.sock")
    (root / "docker.sock").symlink_to(theirs)
    plugin = replace(plugin_at(f"{root}/docker.sock"), foreign=("podman.sock",))

    assert sockets_there(plugin) == []


def test_sockets_are_looked_for_below_the_hosts_root(root: Path) -> None:
    listen(root / "run/docker.sock")
    plugin = plugin_at("/run/docker.sock")

    assert sockets_there(plugin, str(root)) == [f"{root}/run/docker.sock"]
    assert sockets_there(plugin, f"{root}/other") == []


@pytest.mark.parametrize("prefix", ["", "unix://"])
def test_variables_and_the_home_are_expanded(root: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of_variable, of_home = listen(root / "v.sock"), listen(root / "home/.docker/d.sock")
    monkeypatch.setenv("DOCKER_HOST", f"{prefix}{of_variable}")
    monkeypatch.setenv("HOME", str(root / "home"))

    assert sockets_there(plugin_at("$DOCKER_HOST", "~/.docker/d.sock")) == [str(of_variable), str(of_home)]


@pytest.mark.parametrize(
    "value", ["tcp://192.0.2.1:2375", "ssh://host", "npipe:////./pipe/docker_engine", "", "a.sock"]
)
def test_a_variable_that_names_no_socket_is_passed_over(
    root: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(root / "a.sock")
    monkeypatch.chdir(root)
    monkeypatch.setenv("DOCKER_HOST", value)

    assert sockets_there(plugin_at("$DOCKER_HOST", "$XDG_RUNTIME_DIR/docker.sock")) == []


def test_without_a_home_the_sockets_in_it_are_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = listen(root / "a.sock")

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)

    assert sockets_there(plugin_at("~/docker.sock", str(there))) == [str(there)]


def test_what_cannot_be_looked_at_is_no_socket(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = listen(root / "a.sock")
    assert is_socket(str(path))
    assert not is_socket(str(root))
    assert not is_socket(f"{path}/below")

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_socket", refuse)
    assert not is_socket(str(path))


# Abilities.


class Viewer:
    """A runtime that can only be looked at."""

    name = "viewer"

    def containers(self) -> tuple[ContainerInfo, ...]:
        return ()

    def close(self) -> None:
        pass


class Changer(Viewer):
    """A runtime that can be told to do something."""

    abilities = EVERY_ABILITY

    def started_ns(self, container: ContainerId) -> int | None: ...

    def start(self, container: ContainerId) -> None: ...

    def stop(self, container: ContainerId, grace_s: float) -> None: ...

    def restart(self, container: ContainerId, grace_s: float) -> None: ...

    def pause(self, container: ContainerId) -> None: ...

    def unpause(self, container: ContainerId) -> None: ...

    def kill(self, container: ContainerId, signal: str) -> None: ...

    def remove(self, container: ContainerId) -> None: ...


def test_a_runtime_that_can_change_containers_is_told_by_what_it_has() -> None:
    changer = Changer()

    assert supports_lifecycle(changer) is changer
    assert supports_lifecycle(Viewer()) is None


# Options.


def test_runtimes_and_sockets_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Point("docker", plugin_at()), Point("podman", plugin_at()))

    assert chosen([]) == {}
    assert chosen(["docker"]) == {"docker": None}
    assert chosen(["docker=/run/d.sock", "podman=unix:///run/p=1.sock"]) == {
        "docker": "/run/d.sock",
        "podman": "/run/p=1.sock",
    }


def test_of_two_choices_for_a_runtime_the_last_counts() -> None:
    assert chosen(["docker=/run/a.sock", "docker=/run/b.sock"]) == {"docker": "/run/b.sock"}


@pytest.mark.parametrize("option", ["podman", "podman=/run/p.sock", "", "=", "docker=", "docker=unix://", "Docker"])
def test_a_choice_that_cannot_be_used_is_refused(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Point("docker", plugin_at()))

    with pytest.raises(UsageError) as caught:
        chosen(["docker", option])

    assert str(caught.value) == f"--runtime {option}: expected NAME or NAME=SOCKET, with NAME one of docker"
