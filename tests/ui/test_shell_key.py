"""The key for a shell: who gets one, what is said, and that the terminal is lent and given back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.looking import select, shows
from topcon.errors import ActionFailed
from topcon.model.shell import Opened, Size
from topcon.ui.relay import Ended
from topcon.ui.screens.menu import MenuScreen
from topcon.ui.shelling import Shelling

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import ContainerNode
    from topcon.ui.app import TopconApp

SIZE = (80, 24)


class FakeSession:
    fd, early = -1, b""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def resize(self, size: Size) -> None:
        pass

    def status(self) -> int | None:
        return 3

    def close(self) -> None:
        self.closed.set()


@dataclass
class FakeShells:
    """Opens what it is told to, and notes what it is asked."""

    error: str | None = None
    asked: list[tuple[str, Size]] = field(default_factory=list)
    ends: list[tuple[int | None, float]] = field(default_factory=list)
    session: FakeSession = field(default_factory=FakeSession)
    may_open: threading.Event = field(default_factory=threading.Event)

    def open(self, container: ContainerNode, size: Size) -> Opened:
        self.asked.append((container.name, size))
        assert self.may_open.wait(10)
        if self.error is not None:
            raise ActionFailed(self.error)
        return Opened(self.session, "bash", "docker")

    def note_end(self, container: ContainerNode, opened: Opened, status: int | None, took_s: float) -> str | None:
        assert container.name
        assert opened.session is self.session
        self.ends.append((status, took_s))
        return None


@pytest.fixture
def shells() -> FakeShells:
    made = FakeShells()
    made.may_open.set()
    return made


def lending(app: TopconApp, shells: FakeShells, *, was_left: bool = False, can: bool = True) -> list[str]:
    """Have the terminal lent without one; return to whom."""
    lent: list[str] = []

    async def lend(_: TopconApp, opened: Opened, name: str) -> Ended | None:
        assert opened.session is shells.session
        lent.append(name)
        return Ended(was_left=was_left, took_s=4.0) if can else None

    given: Any = shells
    app._shelling = Shelling(app, given, lend)
    return lent


async def test_e_opens_a_shell_and_says_how_it_ended(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    app = make_app(shells=shells)
    lent = lending(app, shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("e")
        await shows(app, pilot, "the shell in hog has ended with 3", "#wrong")

        assert shells.asked == [("hog", Size(*SIZE))]
        assert lent == ["hog"]
        assert shells.ends == [(3, 4.0)]
        assert shells.session.closed.wait(10)


async def test_one_that_was_left_may_still_run(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    app = make_app(shells=shells)
    lending(app, shells, was_left=True)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("e")
        await shows(app, pilot, "the shell in hog was left, and may still run", "#wrong")

        assert shells.ends == [(None, 4.0)]


async def test_why_there_is_none_is_said(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    shells.error = "no answer at /run/docker.sock"
    app = make_app(shells=shells)
    lent = lending(app, shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("e")
        await shows(app, pilot, "no shell in hog: no answer at /run/docker.sock", "#wrong")

        assert not lent


async def test_while_one_is_being_opened_topcon_goes_on(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    shells.may_open.clear()
    app = make_app(shells=shells)
    lending(app, shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("e")
        await shows(app, pilot, "opening a shell in hog", "#wrong")
        await pilot.press("e", "home", "down")
        assert len(shells.asked) == 1

        shells.may_open.set()
        await shows(app, pilot, "has ended", "#wrong")


async def test_a_pod_asks_in_which_of_its_containers(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    app = make_app(shells=shells)
    lending(app, shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "shop")
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)
        await pilot.press("escape", "e")
        await pilot.pause()
        await pilot.press("b")
        await shows(app, pilot, "has ended with 3", "#wrong")

        assert [name.startswith("shop-") for name, _ in shells.asked] == [True]


async def test_what_does_not_run_has_none(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    app = make_app(shells=shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "done")
        await pilot.press("e")
        await shows(app, pilot, "no shell: nothing of it runs", "#wrong")

        assert not shells.asked


@pytest.mark.parametrize("keys", [(), ("enter",)])
async def test_read_only_there_is_none(make_app: Callable[..., TopconApp], keys: tuple[str, ...]) -> None:
    app = make_app(actions=None)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press(*keys, "e")
        await shows(app, pilot, "read-only: there is no shell", "#wrong")


async def test_the_details_have_the_key_too(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    app = make_app(shells=shells)
    lent = lending(app, shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter", "e")
        await shows(app, pilot, "has ended with 3", "#wrong")

        assert lent == ["hog"]


async def test_a_terminal_that_cannot_be_lent(make_app: Callable[..., TopconApp], shells: FakeShells) -> None:
    # As that of these tests.
    app = make_app(shells=shells)
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("e")
        await shows(app, pilot, "this terminal cannot be lent", "#wrong")

        assert shells.session.closed.wait(10)
