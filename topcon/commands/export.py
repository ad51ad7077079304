"""``topcon export``: a recording as JSON lines, CSV or OpenMetrics."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.commands.once import view_of
from topcon.commands.options import add_settings, config_of, typed
from topcon.commands.recorded import bound_in, derived, end_of, range_text, tell_problems, thresholds_of, times_of
from topcon.commands.status import EXIT_FAILED
from topcon.commands.ticking import spare_collector
from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topcon.commands.options import Parser
    from topcon.config import Config
    from topcon.errors import RecordingUnreadable
    from topcon.model.snapshot import Snapshot
    from topcon.recording.reader import Reader

FORMS = {
    "json": "print a line a sample, each what topcon ps --json prints",
    "csv": "print a line a container and sample, as topcon ps --csv",
    "openmetrics": "print what topcon serve serves, with timestamps, for promtool tsdb create-blocks-from openmetrics",
}


def fill(export: Parser) -> None:
    """Add the options of ``export``."""
    from topcon.moment import parse_span

    export.add_argument("--from", dest="recording", type=Path, metavar="FILE", required=True, help="the recording")
    form = export.add_mutually_exclusive_group(required=True)
    for name, text in FORMS.items():
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=text)
    export.add_argument("--since", metavar="TIME", help="from when on: 03:12, '2026-11-22 03:12', -10m (default: all)")
    export.add_argument("--until", metavar="TIME", help="until when, as --since")
    export.add_argument(
        "--every",
        dest="every_s",
        type=typed(parse_span),
        metavar="SPAN",
        help="so far apart, such as 15s (default: all)",
    )
    add_settings(export)
    export.set_defaults(run=_run_export)


def _run_export(options: dict[str, Any]) -> int:
    from topcon.recording.reader import Reader

    path, form = options.pop("recording"), options.pop("form")
    since, until, every_s = (options.pop(name) for name in ("since", "until", "every_s"))
    config = config_of(options)
    tell_problems(config)
    damages: list[RecordingUnreadable] = []
    spare_collector()
    with Reader(path) as reader:
        start, stop = range_of(reader, path, since, until)
        snapshots = snapshots_of(reader, start, stop, round((every_s or 0.0) * 1e9), config, damages.append)
        for text in _written(form, snapshots, config):
            # Who reads it meanwhile gets whole lines.
            sys.stdout.write(text)
            sys.stdout.flush()
    for damage in damages:
        sys.stderr.write(f"topcon: {damage}\n")
    return EXIT_FAILED if damages else 0


def range_of(reader: Reader, path: Path, since: str | None, until: str | None) -> tuple[int, int]:
    """Return the first sample, and the one after the last."""
    times = times_of(reader, path)
    start = 0 if since is None else bisect_left(times, bound_in(reader, "--since", since))
    stop = len(times) if until is None else bisect_right(times, end_of(reader, bound_in(reader, "--until", until)))
    if start >= stop:
        message = f"there is no sample between --since and --until; {range_text(reader, path)}"
        raise UsageError(message)
    return start, stop


def snapshots_of(
    reader: Reader,
    start: int,
    stop: int,
    every_ns: int,
    config: Config,
    on_damage: Callable[[RecordingUnreadable], object],
) -> Iterator[Snapshot]:
    """Derive snapshots that are so far apart; what is damaged is left out.

    One sample before the first, if there is one, is what its rates are measured from.
    """
    from topcon.export import every

    times = reader.times
    lead = [max(bisect_right(times, times[start] - max(every_ns, 1)) - 1, 0)] if start else []
    places = (*lead, *every(times, start, stop, every_ns))
    for place, snapshot in derived(reader, places, thresholds_of(config), on_damage):
        if place >= start:
            yield snapshot


def _written(form: str, snapshots: Iterable[Snapshot], config: Config) -> Iterator[str]:
    if form == "openmetrics":
        from topcon.exporter.options import ExportOptions
        from topcon.exporter.timed import to_openmetrics

        options = ExportOptions(
            labels=config.labels,
            extra_labels=config.label,
            groups=frozenset(config.enable_metrics),
            containers_only=config.containers_only,
        )
        return to_openmetrics(snapshots, options)
    from topcon.export import to_csv_lines, to_json_lines

    view = view_of(config, is_whole=True)
    return to_json_lines(snapshots, view) if form == "json" else to_csv_lines(snapshots, view)
