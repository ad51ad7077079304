"""The tabs of what a runtime says and of how far a container is kept apart; what is dangerous, in the view of all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.looking import select, shows, text
from topcon.model.inside import Inside
from topcon.model.security import Danger, Leak, Privileges, Security
from topcon.model.snapshot import Severity
from topcon.ui.screens import namespaces
from topcon.ui.screens.menu import MenuScreen
from topcon.ui.widgets.answer_line import AnswerLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
SECURITY = Security(0, 0, 1 << 21, 1 << 21, (1 << 41) - 1, has_own_users=False, seccomp=0, mounts=())


def inspect(container: ContainerNode) -> Mapping[str, Any]:
    return {"Id": container.info.id, "Config": {"Env": ["PASSWORD=hunter2"], "Tty": False}, "State": {"Pid": 7}}


async def test_i_shows_what_the_runtime_says_folded_and_masked(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(inspect=inspect))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("i")
        await shows(app, pilot, "▸ Config  {2}")

        await pilot.press("down", "enter")
        await shows(app, pilot, "▸ Env  [1]")
        await pilot.press("asterisk")
        assert "PASSWORD=•••" in text(app, "#page")
        await pilot.press("v")
        assert "PASSWORD=hunter2" in text(app, "#page")
        await pilot.press("left")
        assert "hunter2" not in text(app, "#page")
        await pilot.press("i")
        assert len(app.screen_stack) == 1


async def test_it_is_searched_and_esc_shows_all_again(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(inspect=inspect))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("i")
        await shows(app, pilot, "Config")
        await pilot.press("slash", *"pid")
        await shows(app, pilot, "Pid  7")
        assert "Config" not in text(app, "#page")
        assert isinstance(app.focused, AnswerLine)

        await pilot.press("enter", "escape")
        await shows(app, pilot, "Config")
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_y_copies_the_value(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(inspect=inspect))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("i")
        await shows(app, pilot, "Config")
        await pilot.press("y")
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)
        await pilot.press("v")
        await pilot.pause()

        hog = next(node for node in app._tree.snapshot.containers.values() if node.name == "hog")  # type: ignore[union-attr]
        assert app.clipboard == hog.info.id


async def test_the_tab_of_security(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(security=lambda _: SECURITY))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter", "shift+tab")
        for _ in range(8):
            if "[security]" in text(app, "#titles"):
                break
            await pilot.press("shift+tab")

        assert "■ SYS_ADMIN" in await shows(app, pilot, "seccomp off")


async def test_the_view_of_namespaces_says_what_is_dangerous(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "SOON_S", 0.01)
    asked = threading.Semaphore(0)
    leaks: list[Leak] = []

    def privileges(snapshot: Snapshot) -> Privileges:
        asked.release()
        hog = next(node.key for node in snapshot.containers.values() if node.name == "hog")
        return Privileges({hog: (Danger(Severity.CRITICAL, "privileged", "..."),)}, tuple(leaks), left_out=1)

    app = make_app(inside=Inside(privileges=privileges))
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.press("4")
        await shows(app, pilot, "Less isolated than others")
        assert "■ " in text(app, "#page")

        leaks.append(Leak("veth1: its other end is away", "ip -d link show veth1"))
        await shows(app, pilot, "ip -d link show veth1")
        assert asked.acquire(timeout=10)


async def test_an_error_of_our_own_in_looking_ends_topcon(make_app: Callable[..., TopconApp]) -> None:
    def privileges(_: Snapshot) -> Privileges:
        message = "a bug"
        raise ZeroDivisionError(message)

    app = make_app(inside=Inside(privileges=privileges))

    async def look() -> None:
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("4")
            for _ in range(100):
                await pilot.pause(0.01)

    with pytest.raises(ZeroDivisionError):
        await look()
