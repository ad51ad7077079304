"""Shells: who opens them, what is refused, and what is written down."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import node_of, process_of

from topcon import shell as module
from topcon.actions import AuditLog
from topcon.errors import ActionFailed
from topcon.model.sample import State
from topcon.model.shell import SHELLS, Size, no_shell
from topcon.runtimes.exec import NotThere
from topcon.shell import Shells, terminal_type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from topcon.model.snapshot import ContainerNode

SIZE = Size(80, 24)


@dataclass
class FakeSession:
    shell: str = "ash"
    has_filter: bool = True
    is_closed: bool = False
    fd: int = -1
    early: bytes = b""

    def resize(self, size: Size) -> None:
        pass

    def status(self) -> int | None:
        return 0

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeWatch:
    """A runtime that can, or cannot, or does not answer."""

    error: Exception | None = None
    can: bool = True
    answers: bool = True
    session: FakeSession = field(default_factory=FakeSession)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    class plugin:  # noqa: N801  an attribute, as the real one
        name = "docker"

    def execute(
        self, container: str, commands: Sequence[Sequence[str]], size: Size, environment: Sequence[str]
    ) -> tuple[FakeSession, Sequence[str]] | None:
        self.asked.append((container, commands, size, environment))
        if self.error is not None:
            raise self.error
        return (self.session, commands[1]) if self.can else None


class FakeRuntimes:
    def __init__(self, watch: FakeWatch | None) -> None:
        self.watch = watch
        self.looks_before = 0
        """How often a runtime is asked for that has not been heard yet."""

    def of(self, container: str) -> FakeWatch | None:
        assert container
        self.looks_before -= 1
        return self.watch if self.looks_before < 0 else None

    @property
    def is_settling(self) -> bool:
        return self.looks_before >= 0


class Opener:
    """Shells of one container, with a log."""

    def __init__(self, folder: Path, watch: FakeWatch | None) -> None:
        self.path = folder / "state" / "audit.jsonl"
        self.runtimes: Any = FakeRuntimes(watch)
        self.shells = Shells(self.runtimes, "/proc", AuditLog(self.path, "192.0.2.1"), clock=lambda: 0.0)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> ContainerNode:
    monkeypatch.setenv("TERM", "tmux-256color")
    return node_of("web", process=process_of("web"))


def test_the_runtime_opens_it_and_that_is_logged(tmp_path: Path, web: ContainerNode) -> None:
    watch = FakeWatch()
    opener = Opener(tmp_path, watch)

    opened = opener.shells.open(web, SIZE)

    assert (opened.session, opened.shell, opened.through, opened.note) == (watch.session, "ash", "docker", None)
    assert watch.asked == [(web.info.id, SHELLS, SIZE, ["TERM=xterm-256color"])]
    assert opener.shells.note_end(web, opened, 3, 12.34) is None
    first, last = opener.log()
    assert (first["action"], first["way"], first["result"]) == ("shell", "runtime", "opened")
    assert (first["container"], first["name"], first["ssh_client"]) == (web.key, "web", "192.0.2.1")
    assert (last["result"], last["took_s"]) == ("ended with 3", 12.34)


@pytest.mark.parametrize("watch", [None, FakeWatch(can=False), FakeWatch(answers=False)])
def test_where_no_runtime_can_the_kernel_does(
    tmp_path: Path, web: ContainerNode, watch: FakeWatch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, asked = FakeSession(), []

    def enter(*arguments: Any) -> FakeSession:
        asked.append(arguments)
        return session

    monkeypatch.setattr("topcon.kernel.enter.enter", enter)
    opener = Opener(tmp_path, watch)

    opened = opener.shells.open(web, SIZE)

    assert asked == [("/proc", web.process, SHELLS, SIZE, ["TERM=xterm-256color"])]
    assert (opened.shell, opened.through) == ("ash", "the kernel")
    assert opened.note == "without the container's filter of system calls"
    assert opener.log()[0]["way"] == "kernel"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotThere("it was not started"), no_shell(process_of("web").pid)),
        (ActionFailed("no answer at /run/d.sock"), "no answer at /run/d.sock"),
    ],
)
def test_why_there_is_none_is_said_and_logged(tmp_path: Path, web: ContainerNode, error: Exception, said: str) -> None:
    opener = Opener(tmp_path, FakeWatch(error))

    with pytest.raises(ActionFailed) as raised:
        opener.shells.open(web, SIZE)

    assert str(raised.value) == said
    assert [(line["way"], line["result"]) for line in opener.log()] == [("runtime", said)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotThere("it has none"), no_shell(process_of("web").pid)),
        (ActionFailed("it is another process by now"), "it is another process by now"),
    ],
)
def test_what_the_kernel_could_not_open_is_logged_as_the_kernels(
    tmp_path: Path, web: ContainerNode, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter(*_: Any) -> None:
        raise error

    monkeypatch.setattr("topcon.kernel.enter.enter", enter)
    opener = Opener(tmp_path, None)

    with pytest.raises(ActionFailed) as raised:
        opener.shells.open(web, SIZE)

    assert str(raised.value) == said
    assert [(line["way"], line["result"]) for line in opener.log()] == [("kernel", said)]


def test_a_runtime_that_is_about_to_answer_is_waited_for(
    tmp_path: Path, web: ContainerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    opener = Opener(tmp_path, FakeWatch())
    opener.runtimes.looks_before = 3

    assert opener.shells.open(web, SIZE).through == "docker"


@pytest.mark.parametrize("state", [State.PAUSED, State.EXITED, State.CREATED])
def test_there_is_none_in_what_does_not_run(tmp_path: Path, web: ContainerNode, state: State) -> None:
    watch = FakeWatch()

    with pytest.raises(ActionFailed, match=f"it is {state}"):
        Opener(tmp_path, watch).shells.open(web._replace(info=replace(web.info, state=state)), SIZE)
    assert not watch.asked


def test_what_nobody_can_follow_into_has_none(tmp_path: Path, web: ContainerNode) -> None:
    with pytest.raises(ActionFailed, match="no process that could be followed"):
        Opener(tmp_path, None).shells.open(web._replace(process=None), SIZE)


def test_none_is_opened_of_which_nothing_can_be_written_down(tmp_path: Path, web: ContainerNode) -> None:
    watch = FakeWatch()
    opener = Opener(tmp_path, watch)
    (tmp_path / "state").write_text("no folder")

    with pytest.raises(ActionFailed, match=r"not logged: .*audit\.jsonl"):
        opener.shells.open(web, SIZE)
    assert watch.session.is_closed


@pytest.mark.parametrize(
    ("own", "there"),
    [("tmux-256color", "xterm-256color"), ("xterm-direct", "xterm-256color"), ("linux", "xterm"), ("", "xterm")],
)
def test_a_container_takes_the_terminal_for_one_that_it_knows(own: str, there: str) -> None:
    assert terminal_type(own) == there
