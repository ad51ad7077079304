"""What was chosen on the screen, under the names that it has in the configuration file, and back. No Textual here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from topcon.columns import REVERSED
from topcon.rows import Arrangement, ViewState
from topcon.ui.header import HIDEABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = ("arrangement", "column_set", "columns", "hide", "only_sick", "sort")
"""The settings of a view, but for its filter."""


def to_choices(view: ViewState) -> dict[str, Any]:
    """Return what of a view can be kept."""
    return {
        "sort": f"{view.sort}{REVERSED}" if view.is_reversed else view.sort,
        "filter": view.filter.text,
        "columns": view.columns or (),
        "column_set": view.column_set,
        "arrangement": str(view.arrangement),
        "hide": tuple(word for name, word in HIDEABLE.items() if not getattr(view, name)),
        "only_sick": view.only_sick,
    }


def to_view(choices: Mapping[str, Any], view: ViewState) -> ViewState:
    """Return a view with what was kept; its filter is left as it is."""
    sort: str = choices.get("sort") or view.sort
    shown: dict[str, Any] = {name: word not in choices.get("hide", ()) for name, word in HIDEABLE.items()}
    return replace(
        view,
        sort=sort.removesuffix(REVERSED),
        is_reversed=sort.endswith(REVERSED),
        columns=choices.get("columns") or None,
        column_set=choices.get("column_set", view.column_set),
        arrangement=Arrangement(choices.get("arrangement", view.arrangement)),
        only_sick=choices.get("only_sick", view.only_sick),
        **shown,
    )
