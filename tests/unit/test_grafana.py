"""Dashboards: what their linters look for, that each query asks what is served, and that links lead somewhere."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import promql_parser
import pytest
from dashboards import Json, choices, everything, panels, queries, substituted, targets, used, variables

from topcon.exporter.exposition import family_names
from topcon.setup.dashboards import DASHBOARDS, WIDTH
from topcon.setup.grafana import HIDDEN, dashboard_text, to_object

UNITS = {"bytes", "Bps", "cps", "dateTimeFromNow", "iops", "none", "percentunit", "pps", "s", "short"}
"""Of Grafana's units, those in use."""
GAUGES_LIKE_COUNTERS = {"container_fs_inodes_total"}
COUNTED_BY_PEOPLE = {"topcon_container_restarts_total"}
"""How often at all is what one asks of these."""

each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def dashboard_of(name: str) -> Json:
    return json.loads(dashboard_text(name))


@cache
def parsed(name: str) -> list[tuple[Json, Json, Any]]:
    """Panel, target and parsed expression of each query of a dashboard."""
    dashboard = dashboard_of(name)
    values = everything(dashboard)
    return [
        (panel, target, promql_parser.parse(substituted(target["expr"], **values)))
        for panel, target in targets(dashboard)
    ]


def nodes(expr: Any, kind: type) -> list[Any]:
    found: list[Any] = []
    promql_parser.walk(expr, lambda node: found.append(node) if isinstance(node, kind) else None)
    return found


def selectors(expr: Any) -> list[Any]:
    return nodes(expr, promql_parser.VectorSelector)


def labels_of(expr: Any) -> frozenset[str]:
    """The labels that the series of an expression can have."""
    match expr:
        case promql_parser.AggregateExpr() if str(expr.op) in {"topk", "bottomk"}:
            return labels_of(expr.expr)
        case promql_parser.AggregateExpr():
            return frozenset(expr.modifier.labels if expr.modifier else ())
        case promql_parser.BinaryExpr():
            sides = [labels_of(side) for side in (expr.lhs, expr.rhs) if is_vector(side)]
            return frozenset.intersection(*sides)
        case promql_parser.Call():
            (inner,) = expr.args
            return labels_of(inner)
        case promql_parser.ParenExpr():
            return labels_of(expr.expr)
    message = f"it is not said which labels this has: {expr}"
    raise AssertionError(message)


def is_vector(expr: Any) -> bool:
    is_time = isinstance(expr, promql_parser.Call) and expr.func.name == "time"
    return not is_time and not isinstance(expr, promql_parser.NumberLiteral)


def links(panel: Json) -> list[str]:
    own = panel["fieldConfig"]["defaults"].get("links", [])
    of_columns = [
        link
        for override in panel["fieldConfig"]["overrides"]
        for property_ in override["properties"]
        if property_["id"] == "links"
        for link in property_["value"]
    ]
    return [link["url"] for link in [*own, *of_columns]]


# The file


@each_dashboard
def test_the_text_is_the_dashboard_and_nothing_else(name: str) -> None:
    text = dashboard_text(name)

    assert json.loads(text) == to_object(DASHBOARDS[name])
    assert text.isascii()
    assert text.endswith("}\n")


@each_dashboard
def test_a_dashboard_is_imported_under_a_uid_of_its_own_and_is_not_edited_in_place(name: str) -> None:
    dashboard = dashboard_of(name)

    assert (dashboard["uid"], dashboard["id"], dashboard["editable"]) == (f"topcon-{name}", None, False)
    assert dashboard["time"] == {"from": "now-1h", "to": "now"}
    assert dashboard["refresh"] == "30s"
    assert "topcon" in dashboard["tags"]
    assert "__inputs" not in dashboard


def test_no_two_dashboards_have_the_same_title() -> None:
    assert len({dashboard_of(name)["title"] for name in DASHBOARDS}) == len(DASHBOARDS)


@each_dashboard
def test_ids_of_panels_are_unique(name: str) -> None:
    ids = [panel["id"] for panel in dashboard_of(name)["panels"]]

    assert len(set(ids)) == len(ids)


@each_dashboard
def test_panels_lie_within_the_grid_and_not_on_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard_of(name)["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }

        assert cells
        assert {x for x, _ in cells} <= set(range(WIDTH))
        assert not cells & taken, panel["title"]
        taken |= cells


# Panels


@each_dashboard
def test_every_panel_is_titled_and_described_and_has_a_unit_and_queries(name: str) -> None:
    for panel in panels(dashboard_of(name)):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]


@each_dashboard
def test_everything_asks_the_chosen_data_source(name: str) -> None:
    dashboard = dashboard_of(name)
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    source = dashboard["templating"]["list"][0]

    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    for asking in [*panels(dashboard), *(target for _, target in targets(dashboard)), *variables(dashboard)]:
        assert asking["datasource"] == chosen


@each_dashboard
def test_queries_of_a_panel_are_told_apart(name: str) -> None:
    for panel in panels(dashboard_of(name)):
        refs = [target["refId"] for target in panel["targets"]]
        legends = [target["legendFormat"] for target in panel["targets"]]

        assert len(set(refs)) == len(refs)
        assert panel["type"] == "table" or (all(legends) and len(set(legends)) == len(legends))


@each_dashboard
def test_tables_and_bars_ask_for_a_moment_and_the_others_for_all_of_the_time(name: str) -> None:
    for panel, target in targets(dashboard_of(name)):
        is_moment = panel["type"] in {"table", "bargauge"}
        assert (target["instant"], target["range"]) == (is_moment, not is_moment)
        # Series come in no order over time.
        assert is_moment or "sort_desc" not in target["expr"]


@each_dashboard
def test_legends_and_links_take_labels_that_the_series_have(name: str) -> None:
    for panel, target, expr in parsed(name):
        labels = labels_of(expr)
        wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        wanted |= {label for url in links(panel) for label in re.findall(r"__field\.labels\.(\w+)", url)}

        assert wanted <= labels, panel["title"]


@each_dashboard
def test_a_table_shows_each_label_and_value_that_it_asks_for_and_no_other(name: str) -> None:
    for panel in panels(dashboard_of(name)):
        if panel["type"] != "table":
            continue
        asked = [(target["refId"], labels_of(expr)) for of, target, expr in parsed(name) if of["id"] == panel["id"]]
        shown = set(panel["transformations"][1]["options"]["renameByName"])
        labels = frozenset.union(*(labels for _, labels in asked))
        # A query that lends labels may have no value worth a column.
        values = {"Value"} if len(asked) == 1 else {f"Value #{ref}" for ref, _ in asked}
        wanted = {label for url in links(panel) for label in re.findall(r"__data\.fields\.(\w+)", url)}

        assert labels - set(HIDDEN) == {field for field in shown if not field.startswith("Value")}, panel["title"]
        assert {field for field in shown if field.startswith("Value")} <= values
        assert wanted <= labels


@each_dashboard
def test_a_table_sorts_by_one_of_its_columns_and_overrides_only_those(name: str) -> None:
    for panel in panels(dashboard_of(name)):
        if panel["type"] != "table":
            continue
        titles = set(panel["transformations"][1]["options"]["renameByName"].values())
        overridden = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}

        assert {each["displayName"] for each in panel["options"]["sortBy"]} <= titles
        assert overridden <= titles | set(HIDDEN)


# Queries


@each_dashboard
def test_every_query_is_promql(name: str) -> None:
    assert len(parsed(name)) == len(queries(dashboard_of(name))) > 0


@each_dashboard
def test_every_family_is_one_that_is_served(name: str) -> None:
    dashboard = dashboard_of(name)
    of_variables = [
        promql_parser.parse(substituted(vector, **everything(dashboard))) for _, vector in choices(dashboard)
    ]
    of_panels = [expr for _, _, expr in parsed(name)]
    asked = {selector.name for expr in [*of_variables, *of_panels] for selector in selectors(expr)}

    assert asked <= family_names()


@each_dashboard
def test_every_selector_is_of_the_chosen_jobs_and_instances(name: str) -> None:
    for panel, _, expr in parsed(name):
        assert selectors(expr)
        for selector in selectors(expr):
            matchers = [(matcher.name, matcher.value) for matcher in selector.matchers.matchers]
            assert {("job", ".+"), ("instance", ".+")} <= set(matchers), panel["title"]


@each_dashboard
def test_every_range_is_the_interval_that_holds_enough_scrapes(name: str) -> None:
    for _, expr in queries(dashboard_of(name)):
        assert set(re.findall(r"\[([^]]*)]", expr)) <= {"$__rate_interval"}


@each_dashboard
def test_counters_are_asked_how_quickly_they_grow(name: str) -> None:
    for panel, _, expr in parsed(name):
        counters = [each for each in selectors(expr) if each.name.endswith("_total")]
        grown = [
            call.args[0].vector_selector
            for call in nodes(expr, promql_parser.Call)
            if call.func.name in {"rate", "increase"}
        ]
        names = {each.name for each in grown}

        assert all(name.endswith("_total") for name in names), panel["title"]
        assert {each.name for each in counters} - names <= GAUGES_LIKE_COUNTERS | COUNTED_BY_PEOPLE


@each_dashboard
def test_joins_keep_hosts_and_jobs_apart_and_are_unique_on_their_one_side(name: str) -> None:
    for panel, _, expr in parsed(name):
        for binary in nodes(expr, promql_parser.BinaryExpr):
            if binary.modifier is None or binary.modifier.matching is None:
                continue
            on = set(binary.modifier.matching.labels)

            assert {"job", "instance"} < on, panel["title"]
            assert isinstance(binary.rhs, promql_parser.AggregateExpr), panel["title"]
            assert set(binary.rhs.modifier.labels) == on


@each_dashboard
def test_rows_of_cgroups_are_of_the_host_or_are_joined_with_containers(name: str) -> None:
    # Else a slice would count beside the containers in it.
    for panel, _, expr in parsed(name):
        joined = [
            str(selector)
            for binary in nodes(expr, promql_parser.BinaryExpr)
            if binary.modifier and binary.modifier.matching and "id" in binary.modifier.matching.labels
            for selector in selectors(binary.lhs)
        ]
        for selector in selectors(expr):
            is_host = ("id", "/") in {(matcher.name, matcher.value) for matcher in selector.matchers.matchers}
            assert is_host or not selector.name.startswith("container_") or str(selector) in joined, panel["title"]


# Variables and links


@each_dashboard
def test_variables_are_declared_and_used_and_narrowed_by_those_before_them(name: str) -> None:
    dashboard = dashboard_of(name)
    declared: set[str] = set()
    narrowing = [(each["name"], used(each["query"])) for each in variables(dashboard)]
    for variable, narrowed_by in narrowing:
        assert narrowed_by == declared, variable
        declared |= {variable}
    asked = {variable for _, expr in queries(dashboard) for variable in used(expr)}

    assert len(choices(dashboard)) == len(variables(dashboard))
    assert asked - {"__rate_interval"} == declared


@each_dashboard
def test_jobs_and_instances_can_be_chosen_together_and_follow_the_time(name: str) -> None:
    for variable in variables(dashboard_of(name)):
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["refresh"] == 2
        assert variable["allValue"] == ".+" or variable["name"] in {"namespace", "pod"}


@each_dashboard
def test_links_lead_to_dashboards_and_tell_them_only_what_they_know(name: str) -> None:
    found = [url for panel in panels(dashboard_of(name)) for url in links(panel)]
    for url in found:
        match = re.fullmatch(r"/d/topcon-(\w+)\?var-datasource=\$\{datasource\}&(.+)&\$\{__url_time_range\}", url)
        assert match, url
        told = set(re.findall(r"var-(\w+)=", match[2])) | set(re.findall(r"\$\{(\w+):queryparam\}", match[2]))

        assert told >= {"job", "instance"}
        assert told <= {each["name"] for each in variables(dashboard_of(match[1]))}
    assert found


def test_one_comes_from_the_host_to_the_pod_and_to_the_container() -> None:
    leads = {
        name: {
            url.partition("?")[0].removeprefix("/d/topcon-")
            for panel in panels(dashboard_of(name))
            for url in links(panel)
        }
        for name in DASHBOARDS
    }

    assert {"findings", "pod", "container"} <= leads["host"]
    assert {"host", "pod", "container"} <= leads["findings"]
    assert {"host", "container"} <= leads["pod"]
    assert {"host", "pod"} <= leads["container"]
