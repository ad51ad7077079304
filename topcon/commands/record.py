"""``topcon record``: what is sampled goes into a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon import wiring
from topcon.commands.options import add_settings, config_of, typed
from topcon.commands.ticking import AwaitedEnd, end_profile, profiled, spare_collector, teller
from topcon.errors import TopconError

if TYPE_CHECKING:
    from topcon.commands.options import Parser
    from topcon.model.snapshot import Snapshot


def fill(record: Parser) -> None:
    """Add the options of ``record``."""
    from topcon.config import COST_SETTINGS, HOST_SETTINGS
    from topcon.moment import parse_size, parse_span

    record.add_argument("file", type=Path, metavar="FILE", help="a new file, or a recording of this host to go on with")
    record.add_argument("--for", dest="longest_s", type=typed(parse_span), metavar="SPAN", help="end after that: 10m")
    record.add_argument(
        "--keep", dest="keep_s", type=typed(parse_span), metavar="SPAN", help="forget what is older: 7d (default: keep)"
    )
    record.add_argument(
        "--max-size", dest="max_bytes", type=typed(parse_size), metavar="SIZE", help="forget the oldest beyond it: 500M"
    )
    add_settings(record, *HOST_SETTINGS, *COST_SETTINGS)
    record.set_defaults(run=_run_record)


def _run_record(options: dict[str, Any]) -> int:
    from topcon.exporter.listen import notify
    from topcon.recording.recorder import Recorder
    from topcon.recording.writer import Writer
    from topcon.sampler import SamplerThread
    from topcon.text import printable

    path: Path = options.pop("file")
    longest_s: float | None = options.pop("longest_s")
    limits = {name: options.pop(name) for name in ("keep_s", "max_bytes")}
    config = config_of(options)
    profile = wiring.build_profile(config)
    runtimes = wiring.build_runtimes(config)
    sampler = wiring.build_sampler(config, runtimes)
    end = AwaitedEnd()
    try:
        # What cannot be read, or written to, is told before anything is begun.
        host = sampler.tick().sample.host
        recorder = Recorder(Writer(path, host=host, **limits))
    except TopconError:
        sampler.close()
        raise
    tell = teller(lambda: (recorder.problem,) if recorder.problem else ())

    def take(snapshot: Snapshot) -> None:
        recorder.take(snapshot)
        tell(snapshot)

    spare_collector()
    thread = SamplerThread(sampler, config.interval, profiled(profile, sampler, take), end.fail, budget=config.budget)
    thread.start()
    runtimes.start()
    sys.stderr.write(f"topcon: records into {printable(str(path))}, every {config.interval:g} s; ctrl+c ends it\n")
    notify("READY=1")
    status = end.wait(longest_s)
    notify("STOPPING=1")
    has_ended = thread.has_ended()
    end_profile(profile)
    if has_ended:
        sampler.close()
    try:
        has_closed = recorder.close()
    finally:
        end.raise_failure()
    sys.stderr.write(f"topcon: {recorder.summary(has_closed=has_closed)}\n")
    return status
