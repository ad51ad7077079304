"""A few pictures of the screen, looked at when they change. All else is tested as data."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from demoed import LOOPS, demo_at
from fakes import FakeHost

from topcon.model.sample import Problem
from topcon.ui.messages import SnapshotReady

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ui.conftest import BusyHost
    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp


@pytest.fixture(scope="module")
def demo() -> Snapshot:
    """The demo, when the most is wrong in it."""
    return demo_at(LOOPS)


SIZES = ((80, 24), (120, 40), (200, 60))


@pytest.mark.parametrize(
    ("theme", "size"),
    [("topcon-dark", (40, 10)), *product(("topcon-dark", "topcon-light", "monochrome"), SIZES)],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
async def test_the_tree(
    make_app: Callable[..., TopconApp],
    picture: Callable[[TopconApp], bool],
    demo: Snapshot,
    theme: str,
    size: tuple[int, int],
) -> None:
    app = make_app(theme, first=demo)
    async with app.run_test(size=size) as pilot:
        await pilot.press("down", "space")

        assert picture(app)


@pytest.mark.parametrize("keys", [("enter",), ("question_mark",), ("s",), ("S",), ("slash", "w", "e", "b")])
async def test_what_lies_over_the_tree(
    make_app: Callable[..., TopconApp], picture: Callable[[TopconApp], bool], keys: tuple[str, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("end", *["up"] * 4, *keys)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

        assert picture(app)


async def test_trouble(
    make_app: Callable[..., TopconApp], picture: Callable[[TopconApp], bool], busy: BusyHost
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 20)) as pilot:
        busy.docker.problem = Problem("docker", "no answer for 12 s, names and states may be old")
        app.post_message(SnapshotReady(busy.tick()))
        await pilot.pause()

        assert picture(app)


async def test_an_empty_host(
    make_app: Callable[..., TopconApp], picture: Callable[[TopconApp], bool], tmp_path: Path
) -> None:
    app = make_app(first=FakeHost(tmp_path / "empty").sampler().tick(), actions=None)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()

        assert picture(app)
