"""Alert rules: what every one has, and that each is tried on a sick host and on a healthy one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from promql_parser import parse

from topcon.findings import CODES
from topcon.model.snapshot import Severity
from topcon.setup.alerts import ALERTS, FINDINGS_WITH_RULES, Alert, rules

TRIED = Path(__file__).parents[1] / "alerts"
OF_CGROUPS = re.compile(r"\b(container_\w+)(\{[^}]*\})?")


def cases_of(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((TRIED / name).read_text())["tests"])


def metrics(text: str) -> set[str]:
    return set(re.findall(r"\b(?:(?:topcon|container)_\w{4,}|up)(?=[\[{ ]|$)", text))


def served(test: dict[str, Any]) -> set[str]:
    return {each["series"].partition("{")[0] for each in test["input_series"]}


@pytest.fixture(scope="module")
def printed() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(rules())["groups"]
    return list(group["rules"])


def test_the_file_says_what_the_table_says(printed: list[dict[str, Any]]) -> None:
    assert [
        Alert(
            name=rule["alert"],
            expr=rule["expr"],
            lasts=rule["for"],
            severity=rule["labels"]["severity"],
            summary=rule["annotations"]["summary"],
            description=rule["annotations"]["description"],
            advice=rule["annotations"]["advice"],
        )
        for rule in printed
    ] == list(ALERTS)


def test_each_name_is_given_once() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
class TestAlert:
    def test_it_can_be_parsed(self, alert: Alert) -> None:
        parse(alert.expr)

    def test_it_is_as_bad_as_a_finding_can_be(self, alert: Alert) -> None:
        assert alert.severity in {severity.name.lower() for severity in Severity}

    def test_it_tells_where_and_what_to_do(self, alert: Alert) -> None:
        assert "$labels" in alert.summary
        assert alert.description.endswith(".")
        assert alert.advice.endswith(".")

    def test_no_slice_and_no_pods_cgroup_alerts(self, alert: Alert) -> None:
        chosen = [labels for _, labels in OF_CGROUPS.findall(alert.expr.replace("container_id", ""))]

        assert all('name!=""' in labels or 'id="/"' in labels for labels in chosen)

    def test_it_fires_on_a_sick_host_and_the_healthy_one_has_what_it_looks_at(self, alert: Alert) -> None:
        (healthy,) = cases_of("healthy.yml")
        sick = [
            test
            for test in cases_of("sick.yml")
            for tried in test["alert_rule_test"]
            if tried["alertname"] == alert.name and tried.get("exp_alerts")
        ]

        assert sick
        assert metrics(alert.expr)
        assert metrics(alert.expr) <= served(healthy)


def test_the_healthy_host_is_expected_to_be_silent() -> None:
    (healthy,) = cases_of("healthy.yml")

    assert {(each["expr"], str(each["exp_samples"])) for each in healthy["promql_expr_test"]} == {
        ('ALERTS{alertstate="firing"}', "[]")
    }


def test_findings_that_have_rules_of_their_own_are_findings() -> None:
    assert set(FINDINGS_WITH_RULES) < set(CODES)
