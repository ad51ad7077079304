"""Settings: one table for the command line and for the configuration file. An option wins over the file.

``--help`` needs no more than this table, so what its values are checked against is imported where it is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.model.sample import Problem

INTERVAL_S = (0.1, 3600.0)
DEFAULT_THEME = "topcon-dark"
DEFAULT_PORT = 9338
"""The number that Prometheus' registry gives to an alternative of cAdvisor."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An option, under the same name in the file."""

    name: str
    help: str
    parse: Callable[[str], Any]
    """From text; raises ValueError with what was expected."""
    metavar: str | None = None
    """None for a switch."""
    is_list: bool = False

    @property
    def key(self) -> str:
        """Its name in the file and in `Config`."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, after the file and the options."""

    interval: float = 1.0
    runtime: tuple[str, ...] = ()
    read_only: bool = False
    cgroup_root: str | None = None
    proc_root: str | None = None
    sys_root: str | None = None
    host_root: str = ""
    audit_log: Path | None = None
    theme: str = DEFAULT_THEME
    filter: str = ""
    sort: str | None = None
    listen: tuple[str, int] | None = None
    problems: tuple[Problem, ...] = field(default=())
    """What in the file could not be used; the rest applies."""

    @property
    def roots(self) -> tuple[str, str, str]:
        """Where ``/proc``, ``/sys`` and the cgroups are read."""
        return (
            self.proc_root or f"{self.host_root}/proc",
            self.sys_root or f"{self.host_root}/sys",
            self.cgroup_root or f"{self.host_root}/sys/fs/cgroup",
        )


def _interval(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not INTERVAL_S[0] <= seconds <= INTERVAL_S[1]:
        message = f"{text!r}: expected seconds from {INTERVAL_S[0]} to {INTERVAL_S[1]:.0f}"
        raise ValueError(message)
    return seconds


def _directory(text: str) -> str:
    if not Path(text).is_dir():
        message = f"{text!r}: there is no such directory"
        raise ValueError(message)
    return str(Path(text).absolute()).rstrip("/")


def _column(text: str) -> str:
    from topcon.columns import BY_NAME  # noqa: PLC0415  see above

    if text not in BY_NAME:
        message = f"{text!r}: expected one of {', '.join(BY_NAME)}"
        raise ValueError(message)
    return text


def _switch(text: str) -> bool:
    if text not in {"true", "false"}:
        message = f"{text!r}: expected true or false"
        raise ValueError(message)
    return text == "true"


def _file(text: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:
        message = f"{text!r}: there is no such home directory"
        raise ValueError(message) from None
    if path.is_dir():
        message = f"{text!r}: it is a directory"
        raise ValueError(message)
    return path


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def parse_listen(text: str) -> tuple[str, int]:
    """Parse ``ADDRESS:PORT``, ``:PORT``, ``PORT`` or ``[IPv6]:PORT``; without an address, the loopback.

    Raises:
        ValueError: it is none of these.
    """
    address, colon, port = text.rpartition(":")
    if not colon and not _is_number(text):
        address, port = text, str(DEFAULT_PORT)
    if text.count(":") > 1 and not (address.startswith("[") and address.endswith("]")):
        message = f"{text!r}: an IPv6 address belongs in brackets, such as [::1]:{DEFAULT_PORT}"
        raise ValueError(message)
    if not _is_number(port) or not 0 <= int(port) <= 65535:  # noqa: PLR2004  ports
        message = f"{text!r}: expected ADDRESS:PORT, with a port from 0 to 65535"
        raise ValueError(message)
    return address.strip("[]") or "127.0.0.1", int(port)


HOST_SETTINGS = (
    Setting("interval", "seconds between samples, 0.1 to 3600 (default 1)", _interval, "S"),
    Setting(
        "runtime", "NAME or NAME=SOCKET; repeatable (default: all whose socket is there)", str, "NAME", is_list=True
    ),
    Setting("read-only", "never change anything", _switch),
    Setting("cgroup-root", "where the cgroups are mounted (default /sys/fs/cgroup)", _directory, "DIR"),
    Setting("proc-root", "where /proc is mounted", _directory, "DIR"),
    Setting("sys-root", "where /sys is mounted", _directory, "DIR"),
    Setting("host-root", "where the host's / is mounted, for topcon inside a container", _directory, "DIR"),
    Setting("audit-log", "where actions are logged (default ~/.local/state/topcon/audit.jsonl)", _file, "FILE"),
)
VIEW_SETTINGS = (
    Setting("filter", "show only what has these words in its name, pod, image or id", str, "EXPR"),
    Setting("sort", "column to sort by, such as cpu, mem, name (default: what is worst)", _column, "COLUMN"),
)
UI_SETTINGS = (Setting("theme", f"colours (default {DEFAULT_THEME})", str, "NAME"),)
LISTEN_SETTING = Setting(
    "listen", f"serve Prometheus at ADDRESS:PORT (topcon serve: 127.0.0.1:{DEFAULT_PORT})", parse_listen, "ADDR:PORT"
)
SETTINGS = (*HOST_SETTINGS, *VIEW_SETTINGS, *UI_SETTINGS, LISTEN_SETTING)


def default_file() -> Path:
    """Return where the configuration file is looked for (XDG Base Directory)."""
    return _xdg_folder("XDG_CONFIG_HOME", "~/.config") / "topcon" / "config.toml"


def default_audit_log() -> Path:
    """Return where actions are logged unless told otherwise (XDG Base Directory)."""
    return _xdg_folder("XDG_STATE_HOME", "~/.local/state") / "topcon" / "audit.jsonl"


def _xdg_folder(variable: str, otherwise: str) -> Path:
    """Return the folder that a variable names; relative ones do not count, says the specification."""
    named = os.environ.get(variable, "")
    # Path.expanduser() raises for a user without a home; this leaves the path as it is.
    return Path(named if named.startswith("/") else os.path.expanduser(otherwise))  # noqa: PTH111


def load_config(options: Mapping[str, Any], file: Path | None) -> Config:
    """Merge the options of the command line, parsed, over those of a file; without one, of the default file.

    Raises:
        UsageError: the file was named and cannot be read, or is no TOML.
    """
    known = {setting.key: setting for setting in SETTINGS}
    values: dict[str, Any] = {}
    problems = []
    path = file or default_file()
    for key, value in _read_file(path, is_named=file is not None).items():
        setting = known.get(key.replace("-", "_"))
        try:
            if setting is None:
                problems.append(_problem(path, f"{key}: there is no such setting"))
            else:
                values[setting.key] = _from_toml(setting, value)
        except ValueError as error:
            problems.append(_problem(path, f"{key} = {error}"))
    values |= {key: value for key, value in options.items() if key in known}
    return Config(**values, problems=tuple(problems))


def _problem(path: Path, message: str) -> Problem:
    from topcon.model.sample import Problem  # noqa: PLC0415  see above

    return Problem("config", f"{path}: {message}")


def _from_toml(setting: Setting, value: object) -> object:
    if setting.is_list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            message = f"{value!r}: expected a list of texts"
            raise ValueError(message)
        return tuple(setting.parse(item) for item in value)
    if isinstance(value, bool):
        return setting.parse(str(value).lower())
    if isinstance(value, str | int | float):
        return setting.parse(str(value))
    message = f"{value!r}: expected one value"
    raise ValueError(message)


def _read_file(path: Path, *, is_named: bool) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415  --help does without

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        if is_named:
            message = f"--config {path}: there is no such file"
            raise UsageError(message) from None
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read: {error}"
        raise UsageError(message) from None
