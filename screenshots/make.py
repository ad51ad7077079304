"""Make all pictures of the README: ``make screenshots``. They show moments of the demo.

It takes seconds, needs no root and no runtime, and each run gives the same pictures.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

from demoed import LOOPS, ROLLED_OUT, actions_for, demo_at  # noqa: E402  tests/ is not installed

from topcon.recording import player  # noqa: E402  the same
from topcon.ui.app import TopconApp  # noqa: E402  the same
from topcon.ui.themes import load_theme  # noqa: E402  the same
from topcon.wiring.replay import build_demo  # noqa: E402  the same

if TYPE_CHECKING:
    from collections.abc import Sequence

STILL = 4
"""So many looks in turn have shown the same, a second apart, where charts are there."""
# Of each sample, however slow the machine is.
player.CHARTS_S = float("inf")

PICTURES: Sequence[tuple[str, str, tuple[int, int], int, tuple[str, ...]]] = (
    ("tree", "topcon-dark", (150, 32), LOOPS, ()),
    ("tree-light", "topcon-light", (150, 32), LOOPS, ()),
    ("narrow", "topcon-dark", (80, 24), LOOPS, ()),
    ("details", "topcon-dark", (110, 40), LOOPS, ("slash", *"worker", "enter", "end", "enter")),
    ("findings", "topcon-dark", (130, 36), LOOPS, ("2",)),
    (
        "charts",
        "topcon-dark",
        (130, 36),
        ROLLED_OUT,
        ("slash", *"api-1", "enter", "home", "down", "enter", "tab", "plus", "plus"),
    ),
    ("namespaces", "topcon-dark", (130, 36), LOOPS, ("4",)),
    ("columns", "topcon-dark", (110, 32), LOOPS, ("c",)),
    ("stop", "topcon-dark", (110, 30), ROLLED_OUT, ("slash", *"shop-", "enter", "space", "S")),
    ("high-contrast", "high-contrast", (100, 24), LOOPS, ()),
)
"""The name, the theme, the size, the moment and the keys of each."""


async def main() -> None:
    """Take each picture, as if its moment was now."""
    moments = {moment: demo_at(moment) for moment in {each[3] for each in PICTURES}}
    with tempfile.TemporaryDirectory() as folder:
        for name, theme, size, moment, keys in PICTURES:
            first = moments[moment]
            app = TopconApp(None, theme=load_theme(theme), first=first, actions=actions_for(first, Path(folder)))
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                for key in keys:
                    await pilot.press(key)
                    await pilot.pause()
                await app.workers.wait_for_complete()
                await pilot.pause()
                keep(name, app)
    await take_replay()


def keep(name: str, app: TopconApp) -> None:
    """Write what is shown into a file; the same each time."""
    picture = re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="topcon"))
    (FOLDER / f"{name}.svg").write_text(picture)


async def take_replay() -> None:
    """Step back from a moment of the demo, as from now, and wait until its charts are there."""
    with ExitStack() as stack:
        app = TopconApp(None, theme=load_theme("topcon-dark"), first=demo_at(LOOPS), recalled=build_demo(stack))
        async with app.run_test(size=(130, 30)) as pilot:
            await pilot.press("left_square_bracket")
            seen: list[str] = []
            while len(seen) < STILL or len({*seen[-STILL:]}) > 1 or "paused" not in seen[-1]:
                await pilot.pause(1)
                seen.append(app.export_screenshot())
            keep("replay", app)


if __name__ == "__main__":
    os.environ |= {"TZ": "UTC", "TEXTUAL_ANIMATIONS": "none"}
    time.tzset()
    asyncio.run(main())
