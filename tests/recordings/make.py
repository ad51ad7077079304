"""Makes the recordings of this folder: ``python tests/recordings/make.py FILE``.

One of each version of the format is kept for good: what was recorded then has to be readable now. So this is run once
a version, and what it has made is never made anew.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from played import PlayedHost  # noqa: E402  tests/ is not installed

from topcon.recording.writer import Writer  # noqa: E402  the same

SECONDS = 33
"""Over the shortcut."""


def make(path: Path) -> None:
    """Record a played host, a container of which ends and is started again."""
    with tempfile.TemporaryDirectory() as folder:
        host = PlayedHost(Path(folder) / "host")
        writer = Writer(path)
        for second in range(SECONDS):
            if second == 20:
                host.docker.infos = host.docker.infos[1:]
            writer.write(host.tick())
        writer.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
