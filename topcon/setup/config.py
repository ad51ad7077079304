"""The configuration file with all settings in it, each commented out."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING

from topcon.columns import BY_NAME, SETS
from topcon.config import SETTINGS, Config
from topcon.config_tables import TABLES
from topcon.exporter.options import DEFAULT_PORT
from topcon.ui.themes import theme_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from topcon.config import Setting
    from topcon.config_tables import Table

_HEAD = """\
## Settings of topcon: ~/.config/topcon/config.toml, or the file that --config names.
## Where the command line has an option of the same name, the option wins. :save on the screen writes into this file.
## A line with one # is a setting: take the # away to make it.
"""

_WIDTH = 110

EXAMPLES: dict[str, object] = {
    "ascii": False,
    "audit_log": "~/.local/state/topcon/audit.jsonl",
    "budget": "2%",
    "cgroup_root": "/sys/fs/cgroup",
    "columns": ["state", "cpu", "cpu%", "mem", "mem%", "rx", "tx"],
    "hide": ["sandboxes"],
    "host_root": "/",
    "listen": f"127.0.0.1:{DEFAULT_PORT}",
    "proc_root": "/proc",
    "profile": "~/topcon-profile.txt",
    "sys_root": "/sys",
    "web_config": "/etc/topcon/web.yml",
}
"""What stands for a setting whose default says nothing."""
NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "theme": theme_names,
    "columns": lambda: BY_NAME,
    "column_set": lambda: SETS,
}
"""What settings are told that have too many to be named in a sentence."""


def commented() -> str:
    """Return the file. It changes nothing as it is; a line without its comment sign is a setting."""
    return _HEAD + "".join((*map(_setting, SETTINGS), *map(_table, TABLES)))


def _setting(setting: Setting) -> str:
    """Write the default; where it says nothing, the example."""
    value = EXAMPLES.get(setting.key, getattr(Config(), setting.key))
    if setting.is_list and isinstance(value, str):
        value = [value]
    names = f"; there are: {', '.join(NAMES[setting.key]())}" if setting.key in NAMES else ""
    return f"\n{_explained(setting.help + names)}#{setting.key} = {_value(value)}\n"


def _table(table: Table) -> str:
    lines = "".join(f"#{key} = {_value(value)}\n" for key, value in table.examples().items())
    return f"\n{_explained(table.help)}#[{table.name}]\n{lines}"


def _explained(text: str) -> str:
    return "".join(f"## {line}\n" for line in wrap(text, _WIDTH, break_on_hyphens=False))


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(inner)}' for key, inner in value.items())} }}"
    # The strings, numbers, switches and lists of JSON are TOML's too.
    return json.dumps(value, ensure_ascii=False)
