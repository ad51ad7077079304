"""Makes the recording of the demo out of the played host: ``python tests/recordings/demo.py FILE [SECONDS]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from played import PlayedHost

from topcon.recording.writer import Writer

SECONDS = 300


def main(path: Path, seconds: int) -> None:
    """Record so many seconds of the played host into a new file."""
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        host = PlayedHost(Path(folder))
        writer = Writer(path)
        for _ in range(seconds):
            writer.write(host.tick())
        writer.close()
    # It comes in the package, for everybody.
    path.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SECONDS)
