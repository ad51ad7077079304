"""Names that do what they can to break the screen: the grid stays straight, and nothing is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from samples import HOSTILE_NAMES, unsafe

from tests.ui.conftest import IDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import BusyHost
    from topcon.ui.app import TopconApp

NAMES = list(HOSTILE_NAMES.values())
LOOKS: dict[str, tuple[str, ...]] = {
    "tree": (),
    "flat": ("t",),
    "pods": ("7",),
    "images": ("8", "asterisk"),
    "marked": ("v", "end"),
    "details": ("end", "up", "up", "enter"),
    "copy": ("y",),
    "question": ("end", "up", "up", "S"),
    "signals": ("end", "up", "up", "K"),
    "removal": ("end", "X"),
    "done": ("end", "up", "up", "P", "y"),
    "namespaces": ("4",),
}


@pytest.fixture
def hostile(busy: BusyHost) -> None:
    """Each container of the host has two such names, and such an image and project."""
    for shift in range(len(IDS)):
        info = busy.docker.infos[shift]
        name, image = NAMES[shift % len(NAMES)], NAMES[(shift + 5) % len(NAMES)]
        labels = {key: NAMES[(shift + 2) % len(NAMES)] for key in info.labels}
        changed = replace(info, name=f"{shift}{name}{NAMES[-shift - 1]}", image=image, labels=labels)
        busy.docker.infos = (*busy.docker.infos[:shift], changed, *busy.docker.infos[shift + 1 :])


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", LOOKS)
async def test_hostile_names_keep_the_grid_straight(
    make_app: Callable[..., TopconApp], look: str, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        for key in LOOKS[look]:
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await pilot.pause()

        strips = app.screen._compositor.render_strips()
        assert [strip.cell_length for strip in strips] == [size[0]] * size[1]
        assert set().union(*(unsafe(strip.text) for strip in strips)) == set()
        assert any(strip.text.strip() for strip in strips)
