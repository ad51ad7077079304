"""Writes what was chosen into the configuration file, which the screen does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from topcon.errors import UsageError
from topcon.filter import parse_filter
from topcon.text import printable
from topcon.ui.spans import Tone

if TYPE_CHECKING:
    from textual.app import App

    from topcon.rows import ViewState

Save = Callable[[Mapping[tuple[str, ...], object]], str]
"""Writes settings and tells what it wrote, or raises UsageError."""

ERROR_S = 30.0
"""How long it is told that nothing could be saved."""


class Saving:
    """What ``:save`` does; one thing at a time."""

    def __init__(self, app: App[Any], save: Save, say: Callable[[str, Tone], object]) -> None:
        """Have ``save`` write on a thread of ``app``; ``say`` is told how it went."""
        self._app = app
        self._save = save
        self._say = say
        self._is_busy = False

    def choices(self, theme: str, interval_s: float, view: ViewState) -> None:
        """Save what the screen looks like."""
        from topcon.ui.choices import to_choices  # noqa: PLC0415  not before it is asked for

        chosen = {"theme": theme, "interval": interval_s} | to_choices(view)
        self._write({(key,): value for key, value in chosen.items()})

    def filter(self, name: str, text: str, filters: Mapping[str, str]) -> Mapping[str, str]:
        """Save a filter under a name; return those that there are from now on."""
        if not text:
            self._say("there is no filter to save; / sets one", Tone.BAD)
            return filters
        saved = {**filters, name: text}
        try:
            # It may be made of itself.
            parse_filter(f"@{name}", saved)
        except ValueError as error:
            self._say(str(error), Tone.BAD)
            return filters
        self._write({("filters", name): text})
        return saved

    def _write(self, values: Mapping[tuple[str, ...], object]) -> None:
        if self._is_busy:
            return
        self._is_busy = True

        def write() -> None:
            try:
                told, is_wrong = self._save(values), False
            except UsageError as error:
                told, is_wrong = str(error), True
            self._app.call_later(partial(self._tell, told, is_wrong=is_wrong))

        self._app.run_worker(write, thread=True, group="save")

    def _tell(self, told: str, *, is_wrong: bool) -> None:
        self._is_busy = False
        if is_wrong:
            self._app.notify(printable(told), severity="error", timeout=ERROR_S, markup=False)
        else:
            self._say(told, Tone.GOOD)
