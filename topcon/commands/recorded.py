"""What commands that look into a recording share: which file, and which moment of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.errors import RecordingUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from topcon.commands.options import Parser
    from topcon.config import Config
    from topcon.findings import Thresholds
    from topcon.model.snapshot import Snapshot
    from topcon.recording.reader import Reader

_NS = 10**9
_JITTER = 20
"""Of an interval such a part."""
NEAR_NS = 60 * _NS
"""Who says 03:12 means the minute, in which the recording may have begun."""
WARM_NS = 300 * _NS
"""So long starts of a container are counted together."""
MOST_WARM = 300
EACH_WARM = 30
"""Of so many each is taken, of those before one in `SPARSE`: to derive takes longer than to read."""
SPARSE = 10
GAP_INTERVALS = 3
"""After so many, and the second that a moment may be said to be, a sample is no more what was then."""


def add_source(parser: Parser) -> None:
    """Add what has a command look into a recording."""
    parser.add_argument("--from", dest="recording", type=Path, metavar="FILE", help="look into a recording")
    parser.add_argument(
        "--at", dest="moment", metavar="TIME", help="when: 03:12, '2026-11-22 03:12', -10m (default: its end)"
    )


def source_of(options: dict[str, Any]) -> tuple[Path | None, str | None]:
    """Take from the options which recording is looked into, and when; None for this host, and for the end.

    Raises:
        UsageError: they do not go together.
    """
    from topcon.config import HOST_SETTINGS

    path, moment = options.pop("recording"), options.pop("moment")
    if path is None:
        if moment is not None:
            message = "--at needs a recording: --from FILE; topcon record FILE makes one"
            raise UsageError(message)
        return None, None
    for setting in HOST_SETTINGS:
        if setting.key in options:
            message = f"--{setting.name} is about this host, and --from reads a recording: take one of them away"
            raise UsageError(message)
    return path, moment


def thresholds_of(config: Config) -> Thresholds:
    """Return from where on something is wrong."""
    from topcon.findings import DEFAULT_THRESHOLDS

    return config.thresholds or DEFAULT_THRESHOLDS


def recorded_snapshot(path: Path, moment: str | None, config: Config) -> tuple[Snapshot, str]:
    """Return what was at a moment, and when that was, in words.

    Raises:
        RecordingUnreadable: the file is not there, or no recording.
        UsageError: the moment is none, or not in the recording.
    """
    from topcon.recording.reader import Reader

    with Reader(path) as reader:
        index = len(times_of(reader, path)) - 1
        asked_ns = reader.times[index]
        if moment is not None:
            asked_ns = moment_in(reader, path, "--at", moment)
            index = reader.index_at(asked_ns)
        return _snapshot_at(reader, index, thresholds_of(config)), _told(reader, path, index, asked_ns)


def _snapshot_at(reader: Reader, index: int, thresholds: Thresholds) -> Snapshot:
    """Derive a snapshot from samples of some minutes before it: what goes wrong again and again is told by these."""
    # What is damaged is told, where it is this one.
    reader.sample(index)
    start = max(reader.index_at(reader.times[index] - WARM_NS), index - MOST_WARM)
    each = max(index - EACH_WARM, start)
    places = (*range(start, each, SPARSE), *range(each, index + 1))
    for _, snapshot in derived(reader, places, thresholds, on_damage=lambda _: None):
        last = snapshot
    return last


def derived(
    reader: Reader,
    places: Iterable[int],
    thresholds: Thresholds,
    on_damage: Callable[[RecordingUnreadable], object],
) -> Iterator[tuple[int, Snapshot]]:
    """Yield the snapshots of some places in the times, with these; rates are means over the time from one to the next.

    ``on_damage`` is told of what is damaged, which is left out.
    """
    from topcon.recording.replayed import after

    times = reader.times
    snapshot: Snapshot | None = None
    readable_ns = times[0]
    for place in places:
        if times[place] < readable_ns:
            continue
        try:
            sample = reader.sample(place)
        except RecordingUnreadable as damage:
            on_damage(damage)
            if damage.goes_on_ns is None:
                return
            readable_ns = damage.goes_on_ns
            continue
        if sample.wall_ns != times[place]:
            # The clock was set back: the times of the recording never are.
            sample = replace(sample, wall_ns=times[place])
        snapshot = after(snapshot, sample, thresholds)
        yield place, snapshot


def times_of(reader: Reader, path: Path) -> Sequence[int]:
    """Return the times of all samples.

    Raises:
        UsageError: there is none.
    """
    from topcon.text import printable

    if not reader.times:
        message = f"{printable(str(path))}: nothing was recorded yet"
        raise UsageError(message)
    return reader.times


def moment_in(reader: Reader, path: Path, option: str, text: str) -> int:
    """Return the moment that a text means in a recording, where ``now`` is its end, as far as `end_of` says.

    Raises:
        UsageError: it is no moment, or not in the recording.
    """
    from topcon.text import printable

    moment_ns = bound_in(reader, option, text)
    if not reader.times[0] - NEAR_NS <= moment_ns <= reader.times[-1]:
        message = f"{option} {printable(text)}: {range_text(reader, path)}"
        raise UsageError(message)
    return end_of(reader, moment_ns)


def bound_in(reader: Reader, option: str, text: str) -> int:
    """Return the moment that a text means, which may be before the recording or after it.

    Raises:
        UsageError: it is no moment.
    """
    from topcon.moment import parse_moment

    try:
        return parse_moment(text, reader.times[-1])
    except ValueError as error:
        message = f"{option} {error}"
        raise UsageError(message) from None


def end_of(reader: Reader, moment_ns: int) -> int:
    """Return until when samples are of a moment: what is written without parts of a second means all of it.

    Elsewhere it is a little later, since no clock ticks without a jitter.
    """
    jitter_ns = int((reader.interval_s or 0.0) * _NS) // _JITTER
    return moment_ns + (jitter_ns if moment_ns % _NS else _NS - 1)


def range_text(reader: Reader, path: Path) -> str:
    """Say from when to when a recording goes."""
    from topcon.moment import to_moment_text
    from topcon.text import printable

    first, last = to_moment_text(reader.times[0]), to_moment_text(reader.times[-1])
    return f"{printable(str(path))} goes from {first} to {last}"


def tell_problems(config: Config) -> None:
    """Say what in the configuration file could not be used."""
    from topcon.report import problem_text

    for problem in config.problems:
        sys.stderr.write(f"topcon: {problem_text(problem)}\n")


def _told(reader: Reader, path: Path, index: int, asked_ns: int) -> str:
    from topcon.moment import to_moment_text
    from topcon.text import printable, to_age_text

    at_ns = reader.times[index]
    words = f"{printable(str(path))}: {to_moment_text(at_ns)}"
    missing_s = (asked_ns - at_ns) / 1e9
    if reader.interval_s is not None and missing_s > GAP_INTERVALS * reader.interval_s + 1:
        words += f"; nothing was recorded in the {to_age_text(missing_s)} after it"
    return words
