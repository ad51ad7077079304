"""A container is brought into sight with as little change as can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from samples import COMPOSE, docker_key, running, sample_of, snapshot_after, stopped

from topcon.filter import parse_filter
from topcon.rows import Arrangement, ViewState, rows
from topcon.ui.revealing import revealed

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot

LABELS = {"labels": {COMPOSE: "shop"}}
FILTER = "the filter is taken away"
HIDDEN = "what was hidden is shown"


@pytest.fixture
def snapshot() -> Snapshot:
    return snapshot_after(
        sample_of(running("web", info=LABELS), running("db", info=LABELS), running("alone"), stopped("old"))
    )


def pod_row(snapshot: Snapshot) -> str:
    return next(row.key for row in rows(snapshot, ViewState()) if row.is_expandable)


@pytest.mark.parametrize("arrangement", list(Arrangement))
@pytest.mark.parametrize("name", ["web", "alone", "old"])
def test_it_has_a_row_however_they_are_arranged(snapshot: Snapshot, arrangement: Arrangement, name: str) -> None:
    found = revealed(snapshot, ViewState(arrangement=arrangement), docker_key(name))

    assert found is not None
    assert found.told is None
    assert found.view.arrangement is arrangement
    (row,) = (row for row in rows(snapshot, found.view) if row.key == found.key)
    assert row.line.node.key == docker_key(name)


def test_what_is_in_sight_changes_nothing(snapshot: Snapshot) -> None:
    view = ViewState(sort="cpu")

    found = revealed(snapshot, view, docker_key("web"))

    assert found is not None
    assert found.view is view


def test_only_what_it_is_folded_in_is_unfolded(snapshot: Snapshot) -> None:
    view = ViewState(collapsed=frozenset({pod_row(snapshot), "pod:other"}))

    inside, beside = (revealed(snapshot, view, docker_key(name)) for name in ("db", "alone"))

    assert inside is not None
    assert beside is not None
    assert inside.view.collapsed == {"pod:other"}
    assert beside.view is view


@pytest.mark.parametrize(
    ("changes", "name", "told"),
    [
        ({"filter": parse_filter("name=alone", {})}, "alone", None),
        ({"filter": parse_filter("name=alone", {})}, "web", FILTER),
        ({"has_stopped": False}, "old", HIDDEN),
        ({"only_sick": True}, "web", HIDDEN),
        ({"filter": parse_filter("name=alone", {}), "has_stopped": False}, "web", FILTER),
        ({"filter": parse_filter("name=alone", {}), "has_stopped": False}, "old", f"{FILTER}, and {HIDDEN}"),
    ],
)
def test_what_hides_it_is_taken_away_and_told(
    snapshot: Snapshot, changes: dict[str, object], name: str, told: str | None
) -> None:
    view = replace(ViewState(), **changes)  # type: ignore[arg-type]

    found = revealed(snapshot, view, docker_key(name))

    assert found is not None
    assert found.told == told
    assert any(row.key == found.key for row in rows(snapshot, found.view))
    assert (found.view.has_stopped == view.has_stopped) == (told is None or HIDDEN not in told or view.has_stopped)


def test_a_pod_is_found_by_its_key_and_one_of_a_single_container_as_that(snapshot: Snapshot) -> None:
    keys = [pod.key for pod in snapshot.pods if pod.name in {"shop", "alone"}]

    found = [revealed(snapshot, ViewState(), key) for key in keys]

    assert {each.key for each in found if each} == {pod_row(snapshot), f"container:{docker_key('alone')}"}


def test_what_is_gone_is_not_found(snapshot: Snapshot) -> None:
    assert revealed(snapshot, ViewState(), docker_key("nobody")) is None
