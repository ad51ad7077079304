"""Settings: one table for the command line and for the configuration file. An option wins over the file.

``--help`` needs no more than this table, so what its values are checked against is imported where it is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.errors import UsageError
from topcon.exporter.options import DEFAULT_PORT, OPT_IN_GROUPS, LabelMode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from topcon.config_tables import Table, Taken
    from topcon.exporter.listen import Address
    from topcon.findings import Thresholds
    from topcon.model.sample import Problem

INTERVAL_S = (0.1, 3600.0)
BUDGET = (0.001, 1.0)
"""The shares of one core that can be set as a budget."""
DEFAULT_THEME = "topcon-dark"
MOST_SCRAPES = 1024
LONGEST_FILE_BYTES = 1 << 20


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
    check: Callable[[str], object] = str
    """Of a list: what each of the file has to stand besides, and an option where it is put to use; as `parse`."""

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


class Origin(NamedTuple):
    """The file that settings are from, or would be."""

    path: Path
    content: bytes | None
    """None if there is no such file."""
    values: Mapping[str, Any]
    """What it says, as far as it can be used: an option may win over it."""

    def place(self, *key: str) -> str:
        """Return the file and the line on which a setting stands."""
        ((line, _),) = self._lines([(key, "")])
        return self._at(line)

    def told(self, wrong: Collection[tuple[tuple[str, ...], str]]) -> list[str]:
        """Say what is wrong with settings, from top to bottom, each with the place where it stands."""
        ordered = sorted(self._lines(wrong), key=lambda told: told[0] or 0) if wrong else []
        return [f"{self._at(line)}: {message}" for line, message in ordered]

    def _at(self, line: int | None) -> str:
        return f"{self.path}:{line}" if line else str(self.path)

    def _lines(self, wrong: Iterable[tuple[tuple[str, ...], str]]) -> list[tuple[int | None, str]]:
        from topcon.settings_file import line_in, statements  # noqa: PLC0415  not before something is wrong

        parts = statements((self.content or b"").decode())
        return [
            (line_in(parts, key) or line_in(parts, (key[0].replace("_", "-"), *key[1:])), message)
            for key, message in wrong
        ]


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
    ascii: bool | None = None
    """Whether to draw with ASCII alone; None for as the locale has it."""
    filter: str = ""
    sort: str = "finding"
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
    columns: tuple[str, ...] = ()
    """In their order; none for those of the set."""
    column_set: str = "overview"
    arrangement: str = "tree"
    hide: tuple[str, ...] = ()
    only_sick: bool = False
    thresholds: Thresholds | None = None
    """None for topcon's own."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """By their names."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of what has other keys than topcon's own."""
    origin: Origin | None = field(default=None, compare=False, repr=False)
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
    if not text or not Path(text).is_dir():
        message = f"{text!r}: there is no such directory"
        raise ValueError(message)
    return str(Path(text).absolute()).rstrip("/")


def one_of(text: str, names: Collection[str]) -> str:
    """Return a name that is among these.

    Raises:
        ValueError: it is not; which of them may be meant comes first, since there can be many.
    """
    if text not in names:
        from topcon.config_tables import hint  # noqa: PLC0415  see above

        meant = hint(text, names).removeprefix("; ")
        message = f"{text!r}: {meant}{' ' if meant else ''}expected one of {', '.join(names)}"
        raise ValueError(message)
    return text


def _column(text: str) -> str:
    from topcon.columns import BY_NAME  # noqa: PLC0415  see above

    return one_of(text, BY_NAME)


def _sort(text: str) -> str:
    from topcon.columns import REVERSED  # noqa: PLC0415  see above

    _column(text.removesuffix(REVERSED))
    return text


def _column_set(text: str) -> str:
    from topcon.columns import SETS  # noqa: PLC0415  see above

    return one_of(text, SETS)


def _arrangement(text: str) -> str:
    from topcon.rows import Arrangement  # noqa: PLC0415  see above

    return one_of(text, [str(each) for each in Arrangement])


def _hideable(text: str) -> str:
    from topcon.ui.header import HIDEABLE  # noqa: PLC0415  see above

    return one_of(text, list(HIDEABLE.values()))


def _check_runtime(text: str) -> None:
    from topcon.runtimes import chosen  # noqa: PLC0415  see above

    try:
        chosen([text])
    except UsageError as error:
        message = f"{text!r}: {str(error).removeprefix(f'--runtime {text}: ')}"
        raise ValueError(message) from None


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
        "runtime",
        "NAME or NAME=SOCKET; repeatable (default: all whose socket is there)",
        str,
        "NAME",
        is_list=True,
        check=_check_runtime,
    ),
    Setting("read-only", "never change anything", _switch),
    Setting("cgroup-root", "where the cgroups are mounted (default /sys/fs/cgroup)", _directory, "DIR"),
    Setting("proc-root", "where /proc is mounted", _directory, "DIR"),
    Setting("sys-root", "where /sys is mounted", _directory, "DIR"),
    Setting("host-root", "where the host's / is mounted, for topcon inside a container", _directory, "DIR"),
    Setting("audit-log", "where actions are logged (default ~/.local/state/topcon/audit.jsonl)", _file, "FILE"),
)
FILTER_SETTING = Setting(
    "filter", "what is shown: words, state:up, cpu>0.5, !not, this|that, /pattern/, @saved", str, "EXPR"
)
VIEW_SETTINGS = (
    FILTER_SETTING,
    Setting(
        "sort",
        "column to sort by, such as cpu, mem, name (default: what is worst); cpu:reversed turns its order around",
        _sort,
        "COLUMN",
    ),
)
UI_SETTINGS = (
    Setting("theme", f"colours (default {DEFAULT_THEME})", str, "NAME"),
    Setting("ascii", "draw with ASCII alone (default: where the locale is not UTF-8)", _switch),
)
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
FILE_SETTINGS = (
    Setting("columns", "the columns of the screen, in their order, such as name, cpu, mem", _column, is_list=True),
    Setting("column-set", "which columns are there where none are chosen, such as overview, memory", _column_set),
    Setting("arrangement", "what hangs below what: tree, flat, pods, images, runtimes", _arrangement),
    Setting("hide", "what is kept out of sight: stopped, sandboxes, system, gone", _hideable, is_list=True),
    Setting("only-sick", "show only containers with a warning or worse", _switch),
)
"""How the screen begins; keys choose these, and :save writes them."""
SETTINGS = (*HOST_SETTINGS, *VIEW_SETTINGS, *UI_SETTINGS, *FILE_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)


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


READ_ONLY = "read_only"
UNTIL_MENDED = "; until it is mended, nothing can be changed"
"""Who may have asked for ``read_only`` gets it."""


def load_config(options: Mapping[str, Any], file: Path | None) -> Config:
    """Merge the options of the command line, parsed, over those of a file; without one, of the default file.

    Raises:
        UsageError: the file was named and cannot be read, or is no TOML; or the filter that was given is none.
    """
    path = file or default_file()
    content: bytes | None = None
    said: dict[str, Any] = {}
    unreadable = []
    try:
        content = _read_file(path, is_named=file is not None)
        said = _parsed(path, content or b"")
    except UsageError as error:
        # Whoever named a file means it; what merely lies there is not to stand in the way.
        if file is not None:
            raise
        unreadable.append(_problem(f"{error}{UNTIL_MENDED}"))
    values, wrong = _taken(said) if said else ({}, [])
    if unreadable:
        values[READ_ONLY] = True
    origin = Origin(path, content, values)
    known = {setting.key for setting in SETTINGS}
    config = Config(
        **values | {key: value for key, value in options.items() if key in known},
        origin=origin,
        problems=(*unreadable, *map(_problem, origin.told(wrong))),
    )
    if options.get("filter"):
        try:
            _check_filter(config.filter, config.filters)
        except ValueError as error:
            message = f"--filter {error}"
            raise UsageError(message) from None
    return config


def _problem(message: str) -> Problem:
    from topcon.model.sample import Problem  # noqa: PLC0415  see above

    return Problem("config", message)


def _taken(said: Mapping[str, object]) -> tuple[dict[str, Any], list[tuple[tuple[str, ...], str]]]:
    """Return what of a file can be used, and what is wrong with the rest, by where it stands."""
    from topcon.config_tables import TABLES, hint  # noqa: PLC0415  see above

    known = {setting.key: setting for setting in SETTINGS}
    tables = {table.name: table for table in TABLES}
    values: dict[str, Any] = {}
    wrong: list[tuple[tuple[str, ...], str]] = []
    for name, value in said.items():
        key = name.replace("-", "_")
        try:
            if key in known:
                values[key] = _from_toml(known[key], value)
            elif name in tables:
                values[name], problems = _from_table(tables[name], value)
                wrong += [((name, each), f"{name}.{problem}") for each, problem in problems.items()]
            else:
                meant = _home_of(name, TABLES) or hint(name, [*known, *tables])
                wrong.append(((name,), f"{name}: there is no such setting{meant}"))
        except ValueError as error:
            is_safety = key == READ_ONLY
            values |= {READ_ONLY: True} if is_safety else {}
            wrong.append(((name,), f"{name} = {error}{UNTIL_MENDED if is_safety else ''}"))
    try:
        _check_filter(values.get("filter", ""), values.get("filters", {}))
    except ValueError as error:
        del values["filter"]
        wrong.append((("filter",), f"filter = {error}"))
    return values, wrong


def _home_of(name: str, tables: Iterable[Table]) -> str:
    """Say to which table a name belongs whose line stands before the head of it; empty if to none."""
    home = next((table.name for table in tables if name in table.examples()), None)
    return f"; it belongs below [{home}]" if home else ""


def _from_table(table: Table, value: object) -> Taken:
    if not isinstance(value, dict):
        message = f"{value!r}: expected a table, [{table.name}]"
        raise ValueError(message)  # noqa: TRY004  as the others
    return table.take(value)


def _check_filter(text: str, saved: Mapping[str, str]) -> None:
    if text:
        from topcon.filter import parse_filter  # noqa: PLC0415  see above

        parse_filter(text, saved)


def _from_toml(setting: Setting, value: object) -> object:
    if setting.is_list and setting.takes_one and isinstance(value, str | int) and not isinstance(value, bool):
        return setting.items(str(value))
    if setting.is_list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            message = f"{value!r}: expected a list of texts"
            raise ValueError(message)
        for item in value:
            setting.check(item)
        return tuple(parsed for item in value for parsed in setting.items(item))
    if not isinstance(value, bool | str | int | float):
        message = f"{value!r}: expected one value"
        raise ValueError(message)  # noqa: TRY004  as the others
    return setting.parse(str(value).lower() if isinstance(value, bool) else str(value))


def _read_file(path: Path, *, is_named: bool) -> bytes | None:
    """Return what a file holds; None if there is none.

    Raises:
        UsageError: it cannot be read, or is named and not there.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        if is_named:
            message = f"--config {path}: there is no such file"
            raise UsageError(message) from None
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if len(content) > LONGEST_FILE_BYTES:
        # Devices have no end.
        raise _unreadable(path, f"it is longer than {LONGEST_FILE_BYTES} bytes")
    return content


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    """Return what a file says.

    Raises:
        UsageError: it is no TOML.
    """
    if not content:
        return {}
    import re  # noqa: PLC0415  most have no file
    import tomllib  # noqa: PLC0415  the same

    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, "it is not UTF-8", line) from None
    except tomllib.TOMLDecodeError as error:
        # The line belongs to the file's name: what is behind it can be cut away on the screen.
        told = re.fullmatch(r"(.*) \(at line (\d+), (column \d+)\)", str(error), re.DOTALL)
        if told is not None:
            raise _unreadable(path, f"{told[1]} ({told[3]})", int(told[2])) from None
        last = content.rstrip(b"\n").count(b"\n") + 1
        raise _unreadable(path, str(error).replace("at end of document", "at the end"), last) from None


def _unreadable(path: Path, reason: str, line: int | None = None) -> UsageError:
    where = "" if line is None else f":{line}"
    return UsageError(f"{path}{where}: cannot be read: {reason}")
