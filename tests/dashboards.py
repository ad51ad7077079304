"""Dashboards taken apart, for tests of what they ask and of what they get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def panels(dashboard: Json) -> list[Json]:
    """All panels of a dashboard, without its headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(dashboard: Json) -> Iterator[tuple[Json, Json]]:
    """Each panel with each of its queries."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel, target


def variables(dashboard: Json) -> list[Json]:
    """The variables that Prometheus is asked for."""
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


def queries(dashboard: Json) -> list[tuple[str, str]]:
    """All queries, with the titles of their panels."""
    return [(panel["title"], target["expr"]) for panel, target in targets(dashboard)]


def choices(dashboard: Json) -> list[tuple[str, str]]:
    """The vectors that the variables take their values from, with the names of the variables."""
    written = r"label_values\((?P<vector>.+), \w+\)"
    found = [(each["name"], re.fullmatch(written, each["query"])) for each in variables(dashboard)]
    return [(name, match["vector"]) for name, match in found if match]


def everything(dashboard: Json, rate_interval: str = "1m") -> dict[str, str]:
    """What Grafana writes for each variable while all is chosen."""
    return {each["name"]: each["allValue"] for each in variables(dashboard)} | {"__rate_interval": rate_interval}


def substituted(expr: str, **values: str) -> str:
    """Put values for variables; one without a value is a KeyError."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], expr)


def used(text: str) -> set[str]:
    """The variables that a text refers to."""
    return {match[1] or match[2] for match in _VARIABLE.finditer(text)}
