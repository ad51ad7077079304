"""Make the pictures of the README from the host that this runs on: ``make screenshots``, as root.

They show what is there: run some containers first, or let it run in the virtual machine of ``tests/lab``, as those of
the README were made. It takes a minute, so that the histories are full.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from topcon.config import load_config
from topcon.sampler import SamplerThread
from topcon.ui.app import Following, TopconApp
from topcon.ui.themes import load_theme
from topcon.wiring import build_actions, build_runtimes, build_sampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot

FOLDER = Path(__file__).parent
SECONDS = 65
"""A history is full after sixty."""
PICTURES = (
    ("tree", "topcon-dark", (150, 30), ()),
    ("tree-light", "topcon-light", (150, 30), ()),
    ("narrow", "topcon-dark", (80, 24), ()),
    ("details", "topcon-dark", (110, 40), ("enter",)),
    ("namespaces", "topcon-dark", (130, 36), ("4",)),
    ("stop", "topcon-dark", (110, 30), ("slash", *"shop-web", "enter", "end", "S")),
)


async def main() -> None:
    """Let topcon run for a minute, then take each picture."""
    config = load_config({"runtime": tuple(sys.argv[1:])}, None)
    runtimes = build_runtimes(config)
    sampler = build_sampler(config, runtimes)
    listeners: list[Callable[[Snapshot], object]] = []
    thread = SamplerThread(sampler, 1.0, lambda snapshot: [listen(snapshot) for listen in listeners], print)
    thread.start()
    runtimes.start()
    await asyncio.sleep(SECONDS)
    for name, theme, size, keys in PICTURES:

        def follow(on_snapshot: Callable[[Snapshot], object], _: object) -> Following:
            listeners.append(on_snapshot)
            return Following(listeners.clear, lambda seconds: setattr(thread, "interval_s", seconds))

        app = TopconApp(follow, theme=load_theme(theme), first=sampler.newest, actions=build_actions(config, runtimes))
        async with app.run_test(size=size) as pilot:
            await pilot.pause(2.0)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(1.0)
            picture = re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="topcon"))
        (FOLDER / f"{name}.svg").write_text(picture)
    if thread.has_ended():
        sampler.close()


if __name__ == "__main__":
    asyncio.run(main())
