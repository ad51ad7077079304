"""``topcon setup``: files that are ready to use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from topcon.commands.options import Parser, add_settings, config_of

if TYPE_CHECKING:
    from collections.abc import Callable


def fill(setup: Parser) -> None:
    """Add the files, and the options of each."""
    from topcon.config import LISTEN_SETTING
    from topcon.setup import DASHBOARD_NAMES

    files = setup.add_subparsers(title="files", metavar="WHAT", required=True, parser_class=Parser)
    for what, (text, write) in _SETUP.items():
        file = files.add_parser(what, help=text)
        file.set_defaults(run=_run_setup, write=write)
        if what == "grafana":
            file.add_argument(
                "dashboard", nargs="?", choices=DASHBOARD_NAMES, default="host", help="which (default host)"
            )
        if what == "prometheus":
            add_settings(file, LISTEN_SETTING)
        if what == "systemd":
            file.add_argument(
                "--record", action="store_true", help="a service that records always, into /var/lib/topcon"
            )


def _run_setup(options: dict[str, Any]) -> int:
    write: Callable[[dict[str, Any]], str] = options.pop("write")
    sys.stdout.write(write(options))
    return 0


def _systemd(options: dict[str, Any]) -> str:
    from topcon.setup import systemd

    write = systemd.recording_unit if options["record"] else systemd.unit
    return write(systemd.own_command(sys.argv[0]))


def _prometheus(options: dict[str, Any]) -> str:
    from topcon.setup import prometheus

    return prometheus.scrape_config(config_of(options).listen)


def _alerts(_: dict[str, Any]) -> str:
    from topcon.setup import alerts

    return alerts.rules()


def _grafana(options: dict[str, Any]) -> str:
    from topcon.setup import grafana

    return grafana.dashboard_text(options["dashboard"])


def _commented_config(_: dict[str, Any]) -> str:
    from topcon.setup import config

    return config.commented()


_SETUP: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "systemd": ("a unit of systemd for topcon serve, or record, with no more rights than it needs", _systemd),
    "prometheus": ("a configuration of Prometheus that scrapes topcon", _prometheus),
    "alerts": ("alert rules for Prometheus", _alerts),
    "grafana": ("a dashboard for Grafana", _grafana),
    "config": ("topcon's configuration file, commented", _commented_config),
}
"""What can be printed: what is said of it, and what writes it."""
