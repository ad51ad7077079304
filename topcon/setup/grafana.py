"""Dashboards as the JSON that Grafana 10 and later import."""

from __future__ import annotations

import json
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from topcon.setup.dashboards import DASHBOARDS, WIDTH, Column, Dashboard, Kind, Panel, Query, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

SCHEMA_VERSION = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
HEADING_HEIGHT = 1

HIDDEN = ("job",)
"""Labels that links need and nobody reads."""

_HOST = (("job", "job"), ("instance", "instance"))
_POD = (*_HOST, ("namespace", "namespace"), ("pod", "pod"))
TOLD = {"host": _HOST, "pod": _POD, "container": (*_POD, ("container", "name")), "findings": ()}
"""What a dashboard is told of a series, or of a row: its variables, each with the label that it is taken from."""
WAYS = {"container": ("container", "pod")}
"""What knows its container knows its pod."""
CHOSEN = ("${job:queryparam}", "${instance:queryparam}")
"""What one is told that is about no single host: what is chosen now."""

_OF_LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: dict[Kind, Json] = {
    Kind.TIMESERIES: {
        "legend": {
            "calcs": ["lastNotNull", "max"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "sortBy": "Max",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    Kind.STAT: {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _OF_LAST,
        "textMode": "value",
    },
    Kind.BARS: {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": _OF_LAST,
        "showUnfilled": True,
        "valueMode": "color",
    },
    Kind.TABLE: {"cellHeight": "sm", "showHeader": True},
}
"""How each kind is drawn: where there is room for a few only, the largest come first."""


def dashboard_text(name: str) -> str:
    """Write a dashboard, one of `DASHBOARDS`, as JSON that can be imported."""
    return json.dumps(to_object(DASHBOARDS[name]), indent=2) + "\n"


def to_object(dashboard: Dashboard) -> Json:
    """Build what `dashboard_text` writes."""
    return {
        "annotations": {"list": []},
        "description": dashboard.description,
        "editable": False,
        "graphTooltip": 1,
        "id": None,
        "links": [_to_the_others()],
        "panels": list(_laid_out(dashboard)),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["containers", "topcon"],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": dashboard.title,
        "uid": dashboard.uid,
    }


def _to_the_others() -> Json:
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["topcon"],
        "targetBlank": False,
        "title": "topcon",
        "type": "dashboards",
    }


def _datasource() -> Json:
    return {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def _variable(variable: Variable) -> Json:
    matchers = f"{{{', '.join(variable.matchers)}}}" if variable.matchers else ""
    query = f"label_values({variable.family}{matchers}, {variable.value})"
    return {
        "allValue": variable.all_value,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": variable.label,
        "multi": True,
        "name": variable.name,
        "options": [],
        "query": query,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }


def _laid_out(dashboard: Dashboard) -> Iterator[Json]:
    """Yield headings and panels, from left to right, in lines as high as their highest panel."""
    number = y = 0
    for section in dashboard.sections:
        number += 1
        yield {
            "collapsed": False,
            "gridPos": {"h": HEADING_HEIGHT, "w": WIDTH, "x": 0, "y": y},
            "id": number,
            "panels": [],
            "title": section.title,
            "type": "row",
        }
        y += HEADING_HEIGHT
        x = line = 0
        for panel in section.panels:
            if x + panel.width > WIDTH:
                x, y, line = 0, y + line, 0
            number += 1
            grid = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            yield {"id": number, "gridPos": grid, **_panel(panel)}
            x, line = x + panel.width, max(line, panel.height)
        y += line


def _panel(panel: Panel) -> Json:
    written: Json = {
        "datasource": DATASOURCE,
        "description": panel.description,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": OPTIONS[panel.kind],
        "targets": [_target(panel, *numbered) for numbered in zip(ascii_uppercase, panel.queries, strict=False)],
        "title": panel.title,
        "type": panel.kind.value,
    }
    if panel.kind is Kind.TABLE:
        sorted_by = {"desc": True, "displayName": panel.sorts_by or panel.columns[0].title}
        written["options"] = {**OPTIONS[panel.kind], "sortBy": [sorted_by]}
        written["transformations"] = [{"id": "merge", "options": {}}, _organized(panel.columns)]
    return written


def _target(panel: Panel, ref: str, query: Query) -> Json:
    is_instant = panel.kind in {Kind.TABLE, Kind.BARS}
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "table" if panel.kind is Kind.TABLE else "time_series",
        "instant": is_instant,
        "legendFormat": query.legend,
        "range": not is_instant,
        "refId": ref,
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit}
    if panel.nothing:
        defaults["noValue"] = panel.nothing
    if panel.kind is Kind.TABLE:
        return defaults
    defaults["min"] = 0
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.leads_to:
        defaults["links"] = [_link(name, "__field.labels") for name in WAYS.get(panel.leads_to, (panel.leads_to,))]
    if panel.kind is Kind.TIMESERIES:
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 40 if panel.is_stacked else 10,
            "lineWidth": 1,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"group": "A", "mode": "normal" if panel.is_stacked else "none"},
        }
    else:
        steps = [{"color": "green", "value": None}, *({"color": color, "value": at} for at, color in panel.steps)]
        defaults["color"] = {"mode": "thresholds"}
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return defaults


def _overrides(panel: Panel) -> Iterator[Json]:
    for ending, color in panel.colors:
        yield {
            "matcher": {"id": "byRegexp", "options": f"/{ending}$/"},
            "properties": [{"id": "color", "value": {"fixedColor": color, "mode": "fixed"}}],
        }
    for column in panel.columns:
        properties: list[Json] = []
        if column.unit:
            properties.append({"id": "unit", "value": column.unit})
        if column.texts:
            texts = {
                value: {"color": color, "index": index, "text": text}
                for index, (value, text, color) in enumerate(column.texts)
            }
            properties += [
                {"id": "mappings", "value": [{"options": texts, "type": "value"}]},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            ]
        if column.leads_to:
            properties.append({"id": "links", "value": [_link(column.leads_to, "__data.fields")]})
        if properties:
            yield {"matcher": {"id": "byName", "options": column.title}, "properties": properties}
    if panel.kind is Kind.TABLE:
        for label in HIDDEN:
            yield {
                "matcher": {"id": "byName", "options": label},
                "properties": [{"id": "custom.hidden", "value": True}],
            }


def _link(name: str, labels: str) -> Json:
    """Link to a dashboard, about what a series or a row is of."""
    told = [f"var-{variable}=${{{labels}.{label}}}" for variable, label in TOLD[name]]
    query = "&".join(["var-datasource=${datasource}", *(told or CHOSEN), "${__url_time_range}"])
    return {"targetBlank": False, "title": DASHBOARDS[name].title, "url": f"/d/{DASHBOARDS[name].uid}?{query}"}


def _organized(columns: tuple[Column, ...]) -> Json:
    """Order and name the columns; the moment is the same in all rows."""
    return {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {column.field: index for index, column in enumerate(columns)},
            "renameByName": {column.field: column.title for column in columns},
        },
    }
