"""The configuration file with all settings in it, each commented out."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING

from topcon.columns import DEFAULT_SORT
from topcon.config import SETTINGS, Config
from topcon.exporter.options import DEFAULT_PORT

if TYPE_CHECKING:
    from topcon.config import Setting

_HEAD = """\
## Settings of topcon: ~/.config/topcon/config.toml, or the file that --config names.
## Each is an option of the command line too, and an option wins.
## A line with one # is a setting: take the # away to make it.
"""

_WIDTH = 110

EXAMPLES: dict[str, object] = {
    "audit_log": "~/.local/state/topcon/audit.jsonl",
    "budget": "2%",
    "cgroup_root": "/sys/fs/cgroup",
    "host_root": "/",
    "listen": f"127.0.0.1:{DEFAULT_PORT}",
    "proc_root": "/proc",
    "profile": "~/topcon-profile.txt",
    "sort": DEFAULT_SORT,
    "sys_root": "/sys",
    "web_config": "/etc/topcon/web.yml",
}
"""What stands for a setting whose default says nothing."""


def commented() -> str:
    """Return the file. It changes nothing as it is; a line without its comment sign is a setting."""
    return _HEAD + "".join(f"\n{_explained(setting)}#{setting.key} = {_value(setting)}\n" for setting in SETTINGS)


def _explained(setting: Setting) -> str:
    return "".join(f"## {line}\n" for line in wrap(setting.help, _WIDTH))


def _value(setting: Setting) -> str:
    """Write the default in TOML; where it says nothing, the example."""
    value = EXAMPLES.get(setting.key, getattr(Config(), setting.key))
    if setting.is_list and isinstance(value, str):
        value = [value]
    # The strings, numbers, switches and lists of JSON are TOML's too.
    return json.dumps(value, ensure_ascii=False)
