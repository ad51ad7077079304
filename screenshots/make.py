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
from pathlib import Path
from typing import TYPE_CHECKING

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

from demoed import actions_for, demo_at  # noqa: E402  tests/ is not installed

from topcon.ui.app import TopconApp  # noqa: E402  the same
from topcon.ui.themes import load_theme  # noqa: E402  the same

if TYPE_CHECKING:
    from collections.abc import Sequence

PICTURES: Sequence[tuple[str, str, tuple[int, int], tuple[str, ...]]] = (
    ("tree", "topcon-dark", (150, 32), ()),
    ("tree-light", "topcon-light", (150, 32), ()),
    ("narrow", "topcon-dark", (80, 24), ()),
    ("details", "topcon-dark", (110, 40), ("slash", *"worker", "enter", "end", "enter")),
    ("findings", "topcon-dark", (130, 36), ("2",)),
    ("charts", "topcon-dark", (130, 36), ("slash", *"books-cache", "enter", "end", "enter", "tab", "plus", "plus")),
    ("namespaces", "topcon-dark", (130, 36), ("4",)),
    ("columns", "topcon-dark", (110, 32), ("c",)),
    ("stop", "topcon-dark", (110, 30), ("slash", *"shop-", "enter", "space", "S")),
    ("high-contrast", "high-contrast", (100, 24), ()),
)
"""The name, the theme, the size and the keys of each."""


async def main() -> None:
    """Let the host run for a minute, then take each picture."""
    with tempfile.TemporaryDirectory() as folder:
        host = PlayedHost(Path(folder))
        newest = host.tick(SECONDS)
        for name, theme, size, keys in PICTURES:
            app = TopconApp(None, theme=load_theme(theme), first=newest, actions=host.actions(Path(folder) / "audit"))
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                for key in keys:
                    await pilot.press(key)
                    await pilot.pause()
                await app.workers.wait_for_complete()
                await pilot.pause()
                picture = re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="topcon"))
            (FOLDER / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    os.environ |= {"TZ": "UTC", "TEXTUAL_ANIMATIONS": "none"}
    time.tzset()
    asyncio.run(main())
