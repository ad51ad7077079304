"""What is opened and closed again and again leaves nothing behind: no thread, no descriptor, no child."""

from __future__ import annotations

import gc
import threading
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from topcon.model.disk import DiskUse
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.model.security import Privileges
from topcon.ui.app import VIEWS
from topcon.ui.tabs import TABS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

SIZE = (100, 30)
TIMES = 100
LOOK_S = 0.02
"""How long each look takes: longer than it takes to close what has asked."""
ANSWERS: dict[str, object] = {
    "tail": (),
    "about": None,
    "disk": DiskUse(),
    "sizes": None,
    "privileges": Privileges({}),
}
"""By the field of `Inside`; all else says that it may not look."""


class Held(NamedTuple):
    """What this process holds."""

    threads: int
    descriptors: int
    children: int


def held() -> Held:
    gc.collect()
    descriptors = list(Path("/proc/self/fd").iterdir())
    return Held(threading.active_count(), len(descriptors), sum(map(_children, Path("/proc/self/task").iterdir())))


def _children(thread: Path) -> int:
    try:
        return len((thread / "children").read_text().split())
    except OSError:
        # It has ended meanwhile.
        return 0


def slow(answer: object, calls: list[str], name: str) -> Callable[..., object]:
    """Return what takes a moment to look, and has something open meanwhile."""

    def look(*_: object) -> object:
        with Path("/proc/self/stat").open():
            calls.append(name)
            time.sleep(LOOK_S)
        return answer

    return look


@pytest.fixture
def calls() -> list[str]:
    """The fields of `Inside` that were asked."""
    return []


@pytest.fixture
def inside(calls: list[str]) -> Inside:
    refused = Problem("test", "may not look", "ask another")
    looks: dict[str, Any] = {name: slow(ANSWERS.get(name, refused), calls, name) for name in Inside._fields}
    return Inside(**looks)


async def at_rest(pilot: Pilot[Any]) -> Held:
    """Wait for looks that are under way, as long as it takes to see that they do not end."""
    for _ in range(200):
        if not any(thread.name.startswith("topcon-") for thread in threading.enumerate()):
            break
        await pilot.pause(LOOK_S)
    return held()


async def opened_and_closed(pilot: Pilot[Any], app: TopconApp, show: Callable[[], Any]) -> None:
    result = show()
    if result is not None:
        await result
    await pilot.pause()
    assert len(app.screen_stack) > 1
    await pilot.press("escape")
    await pilot.pause()
    assert len(app.screen_stack) == 1


async def leaves_nothing(app: TopconApp, shows: Sequence[Callable[[], Any]]) -> None:
    """Open and close these a hundred times, each in its turn."""
    async with app.run_test(size=SIZE) as pilot:
        # By name, so that it is none of the pods, of which some tabs have nothing to say.
        app.reveal(next(key for key, node in app.screen_stack[0].snapshot.containers.items() if node.name == "hog"))  # type: ignore[attr-defined]  # the tree is there first
        # What is imported and set up once stays.
        for show in shows:
            await opened_and_closed(pilot, app, show)
        before = await at_rest(pilot)

        for show in islice(cycle(shows), TIMES):
            await opened_and_closed(pilot, app, show)

        after = await at_rest(pilot)
        assert all(count <= was for count, was in zip(after, before, strict=True)), (before, after)


async def test_the_tabs_of_the_details(make_app: Callable[..., TopconApp], inside: Inside, calls: list[str]) -> None:
    app = make_app(inside=inside)

    def show(tab: str) -> None:
        app.screen_stack[0].action_details(tab)  # type: ignore[attr-defined]  # the tree is there first

    await leaves_nothing(app, [partial(show, tab.name) for tab in TABS])

    assert len(calls) > TIMES * sum(tab.look is not None for tab in TABS) // len(TABS)


async def test_the_views(make_app: Callable[..., TopconApp], inside: Inside) -> None:
    app = make_app(inside=inside)

    await leaves_nothing(app, [partial(app.run_action, view) for view in VIEWS if view != "tree"])
