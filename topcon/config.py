"""Settings: one table for the command line and for the configuration file. An option wins over the file.

``--help`` needs no more than this table, so what its values are checked against is imported where it is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon.errors import UsageError
from topcon.exporter.options import DEFAULT_PORT, OPT_IN_GROUPS, LabelMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.exporter.listen import Address
    from topcon.model.sample import Problem

INTERVAL_S = (0.1, 3600.0)
BUDGET = (0.001, 1.0)
"""The shares of one core that can be set as a budget."""
DEFAULT_THEME = "topcon-dark"
MOST_SCRAPES = 1024


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
    is_split: bool = False
    """Whether a text of a list holds several items, between commas."""
    takes_one: bool = False
    """Whether the file may have a value in the place of a list of one."""

    @property
    def key(self) -> str:
        """Its name in the file and in `Config`."""
        return self.name.replace("-", "_")

    def items(self, text: str) -> tuple[Any, ...]:
        """Parse a text of a list.

        Raises:
            ValueError: what was expected.
        """
        return tuple(map(self.parse, text.split(",") if self.is_split else [text]))


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
    budget: float | None = None
    """A share of one core; None for no bound."""
    profile: Path | None = None
    listen: tuple[Address, ...] = ()
    web_config: Path | None = None
    labels: LabelMode = LabelMode.AUTO
    label: tuple[str, ...] = ()
    enable_metrics: tuple[str, ...] = ()
    containers_only: bool = False
    openmetrics: bool = False
    max_scrapes: int = 8
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


def _budget(text: str) -> float:
    number = text.removesuffix("%")
    try:
        share = float(number) / (1 if number == text else 100)
    except ValueError:
        share = -1.0
    if not BUDGET[0] <= share <= BUDGET[1]:
        message = f"{text!r}: expected a share of one core, {BUDGET[0]:.1%} to {BUDGET[1]:.0%}"
        raise ValueError(message)
    return share


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


def _listen(text: str) -> Address:
    from topcon.exporter.listen import parse_listen  # noqa: PLC0415  see above

    return parse_listen(text)


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


def _profile(text: str) -> Path:
    path = _file(text)
    # It is replaced, which devices do not survive.
    if path.exists() and not path.is_file():
        message = f"{text!r}: it is no regular file"
        raise ValueError(message)
    return path


def _label_mode(text: str) -> LabelMode:
    if text not in set(LabelMode):
        message = f"{text!r}: expected one of {', '.join(LabelMode)}"
        raise ValueError(message)
    return LabelMode(text)


def _group(text: str) -> str:
    if text.strip() not in OPT_IN_GROUPS:
        message = f"{text!r}: expected one of {', '.join(sorted(OPT_IN_GROUPS))}"
        raise ValueError(message)
    return text.strip()


def _label(text: str) -> str:
    if not text:
        message = f"{text!r}: expected the name of a label"
        raise ValueError(message)
    return text


def _scrapes(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_SCRAPES))) or not (
        1 <= int(text) <= MOST_SCRAPES
    ):
        message = f"{text!r}: expected a number from 1 to {MOST_SCRAPES}"
        raise ValueError(message)
    return int(text)


INTERVAL_SETTING = Setting("interval", "seconds between samples, 0.1 to 3600 (default 1)", _interval, "S")
HOST_SETTINGS = (
    INTERVAL_SETTING,
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
COST_SETTINGS = (
    Setting(
        "budget",
        "share of one core, such as 2%, for topcon and what it costs the daemons; samples less often to keep it",
        _budget,
        "SHARE",
    ),
    Setting("profile", "write where the time of a sample goes, every minute and at the end", _profile, "FILE"),
)
LISTEN_SETTING = Setting(
    "listen",
    f"serve Prometheus at ADDRESS:PORT, unix:/PATH or systemd; repeatable (topcon serve: 127.0.0.1:{DEFAULT_PORT})",
    _listen,
    "ADDR:PORT",
    is_list=True,
    takes_one=True,
)
ENDPOINT_SETTINGS = (
    LISTEN_SETTING,
    Setting("web-config", "TLS, passwords and limits of the endpoint, as Prometheus has them", _file, "FILE"),
    Setting("labels", f"labels of container_*: {', '.join(LabelMode)} (default auto)", _label_mode, "MODE"),
    Setting("label", "serve this label of containers too; repeatable", _label, "KEY", is_list=True),
    Setting(
        "enable-metrics",
        f"serve these too; repeatable: {', '.join(sorted(OPT_IN_GROUPS))}",
        _group,
        "GROUP",
        is_list=True,
        is_split=True,
        takes_one=True,
    ),
    Setting("containers-only", "serve no slices and services", _switch),
    Setting("openmetrics", "serve OpenMetrics to who prefers it", _switch),
    Setting("max-scrapes", "how many are served at once (default 8)", _scrapes, "N"),
)
SETTINGS = (*HOST_SETTINGS, *VIEW_SETTINGS, *UI_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)


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
    if setting.is_list and setting.takes_one and isinstance(value, str | int) and not isinstance(value, bool):
        return setting.items(str(value))
    if setting.is_list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            message = f"{value!r}: expected a list of texts"
            raise ValueError(message)
        return tuple(parsed for item in value for parsed in setting.items(item))
    if isinstance(value, bool):
        return setting.parse(str(value).lower())
    if isinstance(value, str | int | float):
        return setting.parse(str(value))
    message = f"{value!r}: expected one value"
    raise ValueError(message)


def _read_file(path: Path, *, is_named: bool) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if is_named:
            message = f"--config {path}: there is no such file"
            raise UsageError(message) from None
        return {}
    except OSError as error:
        raise _unreadable(path, error) from None
    import tomllib  # noqa: PLC0415  most have no file

    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path}: cannot be read: {error}")
