"""Real hosts, as they were read: what topcon makes of them is reviewed once and must not change by itself."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from captured import HOSTS, sampler_of

from topcon.exporter.exposition import to_page
from topcon.exporter.options import OPT_IN_GROUPS, ExportOptions
from topcon.exporter.page import Vitals
from topcon.report import to_json, to_text
from topcon.rows import ViewState, rows

if TYPE_CHECKING:
    from pathlib import Path

OF_THIS_RUN = (
    "topcon_build_info{",
    "topcon_process_",
    "topcon_source_scrape_duration_seconds{",
    'topcon_source_last_success_timestamp_seconds{source="survey"}',
)
"""Samples that are no part of the review: they tell of Python, of this process, of now."""


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_tree_is_as_reviewed(folder: Path, snapshot: object) -> None:
    taken = sampler_of(folder).tick()

    assert to_text(taken, rows(taken, ViewState())) == snapshot


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_json_is_as_reviewed(folder: Path, snapshot: object) -> None:
    taken = sampler_of(folder).tick()

    assert json.loads(to_json(taken, rows(taken, ViewState(sort="name")))) == snapshot


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_metrics_are_as_reviewed(folder: Path, snapshot: object) -> None:
    sampler = sampler_of(folder)
    surveyed = None
    while surveyed is None:
        surveyed = sampler.tick().sample.survey
        time.sleep(0.01)
    sampler.close()
    assert sampler.newest is not None
    page = to_page(sampler.newest, Vitals(0.001, 0.5), ExportOptions(groups=OPT_IN_GROUPS)).decode()

    lines = [line for line in page.splitlines() if not line.startswith(OF_THIS_RUN)]
    assert lines == snapshot
