"""``topcon report``: what went wrong in a part of a recording, as a page to read and to keep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.commands.export import range_of, snapshots_of
from topcon.commands.options import add_settings, config_of
from topcon.commands.recorded import tell_problems
from topcon.commands.status import EXIT_FAILED
from topcon.commands.ticking import spare_collector

if TYPE_CHECKING:
    from topcon.commands.options import Parser
    from topcon.errors import RecordingUnreadable


def fill(report: Parser) -> None:
    """Add the options of ``report``."""
    report.add_argument("--from", dest="recording", type=Path, metavar="FILE", required=True, help="the recording")
    report.add_argument("--since", metavar="TIME", help="from when on: 03:12, '2026-11-22 03:12', -10m (default: all)")
    report.add_argument("--until", metavar="TIME", help="until when, as --since")
    report.add_argument("--title", metavar="TEXT", help="what stands above it (default: the host's name)")
    add_settings(report)
    report.set_defaults(run=_run_report)


def _run_report(options: dict[str, Any]) -> int:
    from topcon.incident.page import write_report
    from topcon.recording.reader import Reader

    path, since, until, title = (options.pop(name) for name in ("recording", "since", "until", "title"))
    config = config_of(options)
    tell_problems(config)
    damages: list[RecordingUnreadable] = []
    spare_collector()
    with Reader(path) as reader:
        start, stop = range_of(reader, path, since, until)
        snapshots = snapshots_of(reader, start, stop, 0, config, damages.append)
        events = reader.events(reader.times[start], reader.times[stop - 1])
        try:
            write_report(snapshots, events, sys.stdout, title=title)
        finally:
            for damage in damages:
                sys.stderr.write(f"topcon: {damage}\n")
    return EXIT_FAILED if damages else 0
