"""What was chosen on the screen becomes settings, and they become what the screen begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from topcon.columns import REVERSED
from topcon.config import Config, load_config
from topcon.filter import parse_filter
from topcon.rows import Arrangement, ViewState
from topcon.settings_file import save
from topcon.ui.choices import KEPT, to_choices, to_view

if TYPE_CHECKING:
    from pathlib import Path

CHOSEN = ViewState(
    sort="mem",
    is_reversed=True,
    columns=("mem", "cpu"),
    column_set="memory",
    arrangement=Arrangement.IMAGES,
    has_stopped=False,
    has_system=False,
    only_sick=True,
)


@pytest.mark.parametrize("view", [ViewState(), CHOSEN])
def test_what_was_chosen_comes_back(view: ViewState) -> None:
    assert to_view(to_choices(view), ViewState()) == view


def test_the_defaults_are_those_of_the_file() -> None:
    config = Config()

    assert to_choices(ViewState()) == {name: getattr(config, name) for name in (*KEPT, "filter")}
    assert to_view({name: getattr(config, name) for name in KEPT}, ViewState()) == ViewState()


def test_what_was_chosen_is_in_words_that_the_file_takes(tmp_path: Path) -> None:
    view = ViewState(
        **{name: getattr(CHOSEN, name) for name in ("sort", "is_reversed", "columns", "has_stopped", "arrangement")},
        filter=parse_filter("cpu>0.5 !web"),
    )
    written: dict[tuple[str, ...], Any] = {
        (name,): list(value) if isinstance(value, tuple) else value for name, value in to_choices(view).items()
    }
    save(tmp_path / "topcon.toml", None, written)
    config = load_config({}, tmp_path / "topcon.toml")

    assert config.problems == ()
    assert (config.sort, config.filter, config.hide) == (f"mem{REVERSED}", "cpu>0.5 !web", ("stopped",))
    assert to_view({name: getattr(config, name) for name in KEPT}, ViewState()).columns == ("mem", "cpu")
