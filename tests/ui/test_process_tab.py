"""The tabs of processes and of the network in the details, and a signal to one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.looking import select, settled, shows, text, until
from topcon.actions import Verb
from topcon.model.inside import Inside
from topcon.model.processes import Members, Process, ProcessTable
from topcon.model.sample import InterfaceStat, Problem
from topcon.model.sockets import Interface, Network
from topcon.ui.screens import detail
from topcon.ui.screens.confirm import ConfirmScreen
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.signals import SignalScreen
from topcon.ui.widgets.list_lines import ListLines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.pilot import Pilot

    from tests.ui.conftest import NotingActions
    from topcon.model.snapshot import ContainerNode
    from topcon.ui.app import TopconApp

SIZE = (80, 24)


def processes(containers: Sequence[ContainerNode]) -> ProcessTable:
    """Each container has a master and a busy worker."""
    members = []
    for at, container in enumerate(containers):
        first = 100 * (at + 1)
        master = Process(first, 1000, 1, "nginx", "S", 1, 0.0, 1 << 20, 1, "root", f"nginx: master of {container.name}")
        worker = Process(first + 1, 1001, first, "nginx", "R", 4, 0.5, 9 << 20, 7, "web", "nginx: worker")
        members.append(Members(container.key, (master, worker)))
    return ProcessTable(tuple(members), 5000.0, 100)


async def open_processes(app: TopconApp, pilot: Pilot[Any], name: str = "hog") -> None:
    await select(pilot, app, name)
    await pilot.press("p")
    await shows(app, pilot, "worker")


async def test_p_shows_the_processes_and_goes_back(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)

        assert "[processes]" in text(app, "#titles")
        assert "CPU▾" in text(app, "#titles")
        assert "└ nginx: worker" in text(app, "#page")
        await pilot.pause()
        assert "K signal" in text(app, "#keys")

        await pilot.press("p")
        assert not isinstance(app.screen, DetailScreen)


async def test_without_processes_to_ask_for_there_is_no_such_tab(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside())
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("p")
        assert not isinstance(app.screen, DetailScreen)


async def test_processes_are_sorted_turned_around_and_flattened(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)

        await pilot.press("t")
        assert "└" not in text(app, "#page")
        assert text(app, "#page").index("worker") < text(app, "#page").index("master")
        await pilot.press("s", "s")
        assert "PID▴" in text(app, "#titles")
        assert text(app, "#page").index("master") < text(app, "#page").index("worker")
        await pilot.press("r")
        assert "PID▾" in text(app, "#titles")


async def test_enter_says_more_of_a_process(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)

        await pilot.press("enter")
        assert "sleeping: it waits for something" in text(app, "#page")
        await pilot.press("enter")
        assert "sleeping" not in text(app, "#page")
        assert isinstance(app.screen, DetailScreen)


async def test_the_cursor_stays_on_its_process(
    make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "LOOK_S", 0.01)
    asked: list[int] = []

    def more(containers: Sequence[ContainerNode]) -> ProcessTable:
        table = processes(containers)
        asked.append(len(asked))
        (members,) = table.members
        new = Process(50, 1, 1, "new", "S", 1, 3.0, 1 << 20, 1, "root", f"look {asked[-1]}")
        return ProcessTable((Members(members.container, (*members.processes, new)),), 5000.0, 100)

    app = make_app(inside=Inside(processes=more))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)
        await pilot.press("end")
        key = app.screen.query_one(ListLines).key
        seen = len(asked)
        await until(app, pilot, lambda: len(asked) >= seen + 3)

        assert app.screen.query_one(ListLines).key == key == "101.1001"


async def test_a_signal_is_asked_for_and_sent_to_the_process_alone(
    make_app: Callable[..., TopconApp], actions: NotingActions
) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)
        await pilot.press("down", "K")
        await settled(app, pilot)
        assert isinstance(app.screen, SignalScreen)
        await pilot.press("h", "u", "p", "enter")
        await settled(app, pilot)

        assert isinstance(app.screen, ConfirmScreen)
        assert app.focused is not None
        assert app.focused.id == "cancel"
        assert "Send SIGHUP to process 101 (nginx) of hog?" in str(app.screen.query_one(".title").render())
        await pilot.press("y")
        await settled(app, pilot)

    (request,) = actions.requests
    assert (request.verb, request.name, request.signal) == (Verb.KILL, "hog", "SIGHUP")
    assert request.member is not None
    assert (request.member.pid, request.member.start_ticks) == (101, 1001)


@pytest.mark.parametrize("key", ["escape", "n", "enter"])
async def test_no_signal_is_sent_unless_it_is_confirmed(
    make_app: Callable[..., TopconApp], actions: NotingActions, key: str
) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=SIZE) as pilot:
        await open_processes(app, pilot)
        await pilot.press("K")
        await settled(app, pilot)
        await pilot.press("enter")
        await settled(app, pilot)
        await pilot.press(key)
        await settled(app, pilot)
        assert isinstance(app.screen, DetailScreen)

    assert not actions.requests


async def test_who_may_not_signal_it_is_told_so(make_app: Callable[..., TopconApp], actions: NotingActions) -> None:
    actions.may_signal = lambda _: False  # type: ignore[method-assign]
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=(120, 24)) as pilot:
        await open_processes(app, pilot)
        await pilot.press("K")
        await settled(app, pilot)
        await pilot.press("enter")
        await settled(app, pilot)

        assert isinstance(app.screen, DetailScreen)
        assert "cannot signal process 100 (nginx)" in text(app, "#wrong")


async def test_read_only_has_no_signal(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes), actions=None)
    async with app.run_test(size=(120, 24)) as pilot:
        await open_processes(app, pilot)
        assert "signal" not in text(app, "#keys")
        await pilot.press("K")
        await settled(app, pilot)
        assert isinstance(app.screen, DetailScreen)


async def test_other_tabs_have_no_signal(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=(120, 24)) as pilot:
        await open_processes(app, pilot)
        assert "signal" in text(app, "#keys")
        await pilot.press("shift+tab", "K")
        await settled(app, pilot)
        assert isinstance(app.screen, DetailScreen)


async def test_the_processes_of_a_pod_are_those_of_its_containers(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=processes))
    async with app.run_test(size=(80, 40)) as pilot:
        await select(pilot, app, "shop")
        await pilot.press("p")
        shown = await shows(app, pilot, "worker")

    assert shown.count("2 processes") == 3
    assert "master of shop-db-1" in shown


async def test_what_may_not_be_seen_is_said_with_the_remedy(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(inside=Inside(processes=lambda _: Problem("processes", "they are hidden", "sudo topcon")))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("p")
        assert "sudo topcon" in await shows(app, pilot, "they are hidden")


async def test_the_network_has_a_tab(make_app: Callable[..., TopconApp]) -> None:
    eth0 = Interface("eth0", InterfaceStat(1, 1, 0, 0, 1, 1, 0, 0), "up", addresses=("10.1.2.3/24",))
    network = Network(
        is_hosts=False, interfaces=(eth0,), listening=(), connections=(), left_out=0, states={"time-wait": 3}
    )
    app = make_app(inside=Inside(network=lambda _: network))
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("enter")
        while "[network]" not in text(app, "#titles"):
            await pilot.press("tab")
        assert "3 time-wait" in await shows(app, pilot, "10.1.2.3/24")
