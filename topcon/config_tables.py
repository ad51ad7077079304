"""The tables of the configuration file: keys, thresholds of findings, saved filters. Each line stands for itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.findings import DEFAULT_THRESHOLDS, Threshold, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_STARTS = 100
LEAST_TIMES, MOST_TIMES = 1.5, 100.0
OOM_TOLD_S = (1.0, 7 * 86400.0)
_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"(\d+(?:\.\d*)?)\s*([smhd]?)", re.ASCII)


class Taken(NamedTuple):
    """What of a table can be used, and what is wrong with the rest."""

    value: Any
    problems: Mapping[str, str]
    """By the key of the line, which each of them begins with."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file."""

    name: str
    help: str
    take: Callable[[Mapping[str, object]], Taken]
    examples: Callable[[], Mapping[str, object]]
    """What can stand in it."""


def hint(name: str, names: Iterable[str]) -> str:
    """Return what to say after a name that is not among these: which of them may be meant."""
    from difflib import get_close_matches  # noqa: PLC0415  not before something is wrong

    near = get_close_matches(name.replace("_", "-"), {each.replace("_", "-"): each for each in names}, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _share(value: object) -> float:
    number = str(value).removesuffix("%") if _is_number(value) else ""
    try:
        share = float(number) / (1 if number == str(value) else 100)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        message = f"{value!r}: expected a share, such as 0.9 or '90%'"
        raise ValueError(message)
    return share


def _is_number(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _starts(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 < value <= MOST_STARTS:
        message = f"{value!r}: expected a number of starts, from 2 to {MOST_STARTS}"
        raise ValueError(message)
    return value


def _seconds(value: object, _: object) -> float:
    found = _TIME.fullmatch(str(value)) if _is_number(value) else None
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else -1.0
    if not OOM_TOLD_S[0] <= seconds <= OOM_TOLD_S[1]:
        message = f"{value!r}: expected a time, such as 600, '10m' or '2h', up to 7d"
        raise ValueError(message)
    return seconds


def _times(value: object, _: object) -> float:
    if not _is_number(value) or isinstance(value, str) or not LEAST_TIMES <= float(str(value)) <= MOST_TIMES:
        message = f"{value!r}: expected how many times as much, from {LEAST_TIMES:g} to {MOST_TIMES:g}"
        raise ValueError(message)
    return float(str(value))


def _one_share(value: object, _: object) -> float:
    return _share(value)


def _two_shares(value: object, default: Threshold) -> Threshold:
    """Take what is a warning, and what is critical; one value says when it is a warning."""
    if not isinstance(value, dict):
        warning = _share(value)
        return Threshold(warning, max(warning, default.critical))
    threshold = _pair(value, default)
    if threshold.warning > threshold.critical:
        message = f"{value!r}: expected a warning below what is critical, {threshold.critical:.0%}"
        raise ValueError(message)
    return threshold


def _two_waits(value: object, default: Threshold) -> Threshold:
    """Take how long some tasks wait for a warning, and all of them to be critical; one value is for both."""
    return _pair(value, default) if isinstance(value, dict) else Threshold(_share(value), _share(value))


def _pair(value: Mapping[str, object], default: Threshold) -> Threshold:
    if not value or value.keys() - {"warning", "critical"}:
        message = f"{value!r}: expected a share, or {{warning = SHARE, critical = SHARE}}"
        raise ValueError(message)
    return replace(default, **{name: _share(share) for name, share in value.items()})


class _Kind(NamedTuple):
    """A threshold: where it goes, how it is written."""

    fields: tuple[str, ...]
    take: Callable[[Any, Any], object]
    """From what is in the file, and the default; raises ValueError with what was expected."""


_STALLED = ("cpu_starved", "memory_stalled", "io_stalled")
_THRESHOLDS = {
    "cpu-throttled": _Kind(("cpu_throttled",), _two_shares),
    "memory-near-limit": _Kind(("memory_near_limit",), _two_shares),
    # All three of those below it, but for those that have their own line.
    "stalled": _Kind(_STALLED, _two_waits),
    "cpu-starved": _Kind(_STALLED[:1], _two_waits),
    "memory-stalled": _Kind(_STALLED[1:2], _two_waits),
    "io-stalled": _Kind(_STALLED[2:], _two_waits),
    "pids-near-limit": _Kind(("pids_near_limit",), _one_share),
    "no-memory-limit": _Kind(("no_memory_limit",), _one_share),
    "restart-loop": _Kind(("restart_loop",), _starts),
    "oom-killed": _Kind(("oom_killed_s",), _seconds),
    "memory-high": _Kind(("memory_high",), _one_share),
    "swapping": _Kind(("swapping",), _one_share),
    "dropped-packets": _Kind(("dropped_packets",), _one_share),
    "exit-error": _Kind(("exit_error_s",), _seconds),
    "frozen": _Kind(("frozen_s",), _seconds),
    "odd-one-out": _Kind(("odd_one_out",), _times),
}
"""By the code of the finding."""


def _take_thresholds(asked: Mapping[str, object]) -> Taken:
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    order = list(_THRESHOLDS)
    for name in sorted(asked, key=lambda name: order.index(name) if name in _THRESHOLDS else len(order)):
        kind = _THRESHOLDS.get(name)
        if kind is None:
            problems[name] = f"{name}: there is no such threshold{hint(name, order)}"
            continue
        try:
            before = {each: values.get(each, getattr(DEFAULT_THRESHOLDS, each)) for each in kind.fields}
            values |= {each: kind.take(asked[name], old) for each, old in before.items()}
        except ValueError as error:
            problems[name] = f"{name} = {error}"
    return Taken(Thresholds(**values), problems)


def _take_filters(asked: Mapping[str, object]) -> Taken:
    from topcon.filter import is_name, parse_filter  # noqa: PLC0415  only where some are saved

    texts = {name: text for name, text in asked.items() if isinstance(text, str)}
    taken: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name, text in asked.items():
        try:
            if not is_name(name):
                problems[name] = f"{name!r}: expected a name without blanks, parentheses and |"
            elif not isinstance(text, str) or not text.strip():
                problems[name] = f"{name} = {text!r}: expected a filter, such as 'cpu>0.5'"
            else:
                parse_filter(text, texts)
                taken[name] = text
        except ValueError as error:
            problems[name] = f"{name} = {error}"
    return Taken(taken, problems)


def _take_keys(asked: Mapping[str, object]) -> Taken:
    from topcon.ui.bindings import checked  # noqa: PLC0415  only where some are other than ours

    written: dict[str, str | list[str]] = {}
    problems: dict[str, str] = {}
    for name, keys in asked.items():
        listed = [keys] if isinstance(keys, str) else keys
        if isinstance(listed, list) and listed and all(isinstance(key, str) for key in listed):
            written[name] = listed
        else:
            problems[name] = f"{name} = {keys!r}: expected a key, or a list of keys, as texts"
    keymap, wrong = checked(written)
    problems |= {name: f"{name}: {problem}" for name, problem in wrong.items()}
    return Taken(keymap, problems)


def _own_keys() -> Mapping[str, object]:
    from topcon.ui.bindings import ids, keys_of  # noqa: PLC0415  only where they are printed

    return {name: list(keys_of(name, {})) for name in ids()}


TABLES = (
    Table(
        "thresholds",
        "from where on something is found wrong: one value, or {warning = ..., critical = ...} where it can be both; "
        "of restart-loop the starts in five minutes, of oom-killed and exit-error for how long they are told, of "
        "frozen after how long, of odd-one-out how many times as much as the others",
        _take_thresholds,
        lambda: {
            "cpu-throttled": {"warning": "10%", "critical": "50%"},
            "memory-near-limit": {"warning": "90%", "critical": "97%"},
            "stalled": "20%",
            "cpu-starved": {"warning": "20%", "critical": "20%"},
            "memory-stalled": {"warning": "20%", "critical": "20%"},
            "io-stalled": {"warning": "20%", "critical": "20%"},
            "pids-near-limit": "90%",
            "no-memory-limit": "20%",
            "restart-loop": 3,
            "oom-killed": "10m",
            "memory-high": "10%",
            "swapping": "10%",
            "dropped-packets": "1%",
            "exit-error": "10m",
            "frozen": "10m",
            "odd-one-out": 3.0,
        },
    ),
    Table(
        "filters",
        "filters by name, for /@NAME, --filter @NAME and other filters",
        _take_filters,
        lambda: {"busy": "cpu>0.5 | mem>1G", "throttled": "throttled>10%", "shop": "pod:shop !state:exited"},
    ),
    Table(
        "keys",
        "other keys for what can be done: one, or a list of them",
        _take_keys,
        _own_keys,
    ),
)
