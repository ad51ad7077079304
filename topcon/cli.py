"""The command line: which commands there are, and how each kind of end is told.

What a command needs is imported when it is run.
"""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from topcon import __version__
from topcon.commands import act, export, once, record, replay, report, serve, setup
from topcon.commands.options import Parser, add_settings
from topcon.commands.screen import run_ui
from topcon.commands.status import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNAVAILABLE, EXIT_USAGE
from topcon.errors import HostUnreadable, TopconError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run topcon; return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows what it can.
        sys.stdout.reconfigure(errors="backslashreplace")
    # All that is made while it starts stays: to look through it for garbage costs as much as to make it.
    gc.disable()
    try:
        try:
            options = vars(_parser().parse_args(arguments))
            run: Callable[[dict[str, Any]], int] = options.pop("run")
            status = run(options)
        finally:
            # --help and --version end with SystemExit.
            sys.stdout.flush()
            gc.enable()
    except (UsageError, HostUnreadable) as error:
        sys.stderr.write(f"topcon: {error}\n")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNAVAILABLE
    except TopconError as error:
        sys.stderr.write(f"topcon: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _close_stdout()
        sys.stderr.write(f"topcon: cannot write: {error.strerror}\n")
        return EXIT_FAILED
    return status


def _close_stdout() -> None:
    """Leave nothing to flush, so that Python does not complain while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    from topcon.config import COST_SETTINGS, ENDPOINT_SETTINGS, HOST_SETTINGS, UI_SETTINGS, VIEW_SETTINGS

    parser = Parser(
        prog="topcon",
        description="Show the containers of this host, live, as the kernel counts them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"topcon {__version__}")
    parser.set_defaults(run=run_ui)
    add_settings(parser, *HOST_SETTINGS, *VIEW_SETTINGS, *UI_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for name, (text, fill) in _COMMANDS.items():
        commands.add_parser(name, help=text).fill = fill
    return parser


_COMMANDS: dict[str, tuple[str, Callable[[Parser], None]]] = {
    "serve": ("serve Prometheus, without a screen", serve.fill),
    "ps": ("print the tree as text, JSON or CSV", once.fill_ps),
    "why": ("say what is wrong on this host now, worst first", once.fill_why),
    "who": ("say which container it is: from a pid, port, address, veth, cgroup, path ...", once.fill_who),
    "doctor": ("say what topcon can and cannot read here, and how to mend it", once.fill_doctor),
    **{
        verb: (text, partial(act.fill, verb))
        for verb, text in (
            ("stop", "stop containers"),
            ("restart", "restart containers"),
            ("pause", "freeze containers"),
            ("unpause", "let paused containers run again"),
            ("kill", "send a signal to containers"),
        )
    },
    "record": ("write what is seen into a file, to look at later", record.fill),
    "replay": ("show a recording on the screen, as it was", replay.fill_replay),
    "demo": ("show a recording that comes with topcon: needs no containers", replay.fill_demo),
    "export": ("print a recording as JSON, CSV or OpenMetrics", export.fill),
    "report": ("print what went wrong in a recording, as a page of HTML", report.fill),
    "setup": ("print a file that is ready to use: a service, alerts, dashboards, ...", setup.fill),
}
"""What can be asked for: what is said of it, and what adds its options."""
