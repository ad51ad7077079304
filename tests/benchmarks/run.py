"""Measure topcon, and write the figures to ``docs/performance.md``: ``make bench``.

    python tests/benchmarks/run.py [--trial] [SUBJECT ...]

Figures of a subject that is not named stay as they were measured last. ``--trial`` measures very little, and writes
nothing. Nothing is asserted here.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from daemons import DAEMONS, PODMAN  # noqa: E402  beside this file, and over what is in tests/
from exposition import ENDPOINT  # noqa: E402  the same
from figures import REPORT, TRIAL, Effort, figure_table, save, write_report  # noqa: E402  the same
from instructions import INSTRUCTIONS  # noqa: E402  the same
from recording import RECORDING  # noqa: E402  the same
from screen import SCREEN  # noqa: E402  the same
from start import START  # noqa: E402  the same
from ticks import DESCRIPTORS, TICKS  # noqa: E402  the same

SUBJECTS = {
    "ticks": TICKS,
    "instructions": INSTRUCTIONS,
    "descriptors": DESCRIPTORS,
    "start": START,
    "screen": SCREEN,
    "docker": DAEMONS,
    "podman": PODMAN,
    "endpoint": ENDPOINT,
    "recording": RECORDING,
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="Measure topcon, as root.")
    parser.add_argument("subject", nargs="*", help=f"what is measured (default all): {', '.join(SUBJECTS)}")
    parser.add_argument("--trial", action="store_true", help="measure very little, and write nothing")
    parser.add_argument("--report", action="store_true", help=f"measure nothing; write {REPORT.name} anew")
    options = parser.parse_args()
    if unknown := set(options.subject) - SUBJECTS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    # What was made for a measurement is removed in the end, however that comes.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    for name in [] if options.report else options.subject or SUBJECTS:
        begun = time.monotonic()
        figures = SUBJECTS[name].measure(TRIAL if options.trial else Effort())
        print(f"\n{name}, {time.monotonic() - begun:.0f} s", *figure_table(figures), sep="\n", flush=True)
        if not options.trial:
            save(name, figures)
            write_report(SUBJECTS)
    if options.report:
        write_report(SUBJECTS)


if __name__ == "__main__":
    main()
