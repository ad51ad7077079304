"""The line of keys that work here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from topcon.text import cell_width
from topcon.ui.bindings import ids, key_text
from topcon.ui.spans import Span, Spans, Tone, width_of
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual import events
    from textual.screen import Screen


ORDER = {name: at for at, name in enumerate(ids())}
STAYING = frozenset(("back", "help", "quit"))


def key_spans(keys: list[tuple[str, str]], width: int) -> Spans:
    """Write key and meaning, one after the other; when not all fit, the first stays, and so do back, help and quit."""
    shown = list(keys)
    while len(shown) > 1 and width_of(_spans(shown)) > width:
        given_way = [at for at, (_, meaning) in enumerate(shown) if at and meaning not in STAYING]
        del shown[given_way[-1] if given_way else 0]
    return _spans(shown)


def _spans(keys: list[tuple[str, str]]) -> Spans:
    spans: Spans = [Span(" ")]
    for key, meaning in keys:
        spans += [Span(key, Tone.STRONG), Span(f" {meaning}  ", Tone.DIM)]
    return spans


def key_at(spans: Spans, x: int) -> str | None:
    """Return the key that is written at a column, or whose meaning is."""
    key = None
    for span in spans:
        key = span.text if span.tone is Tone.STRONG else key
        x -= cell_width(span.text)
        if x < 0:
            return key
    return None


class Keys(Lines):
    """Shows the bindings of its screen that are in force, as far as they want to be shown; a click acts as the key."""

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self._spans: Spans = []

    def on_mount(self) -> None:
        """Follow what the screen has focused; what else changes its bindings calls ``refresh_bindings``."""
        self.screen.bindings_updated_signal.subscribe(self, self._show_keys)

    def on_resize(self) -> None:
        """Show as many as there is room for."""
        self._show_keys(self.screen)

    def _show_keys(self, screen: Screen[Any]) -> None:
        if screen is not self.app.screen:
            return
        keys: dict[str, str] = {}
        # Those that a person has moved to other keys come last otherwise.
        in_order = sorted(screen.active_bindings.values(), key=lambda active: ORDER.get(active.binding.id or "", -1))
        for active in in_order:
            binding = active.binding
            is_shown = binding.show and active.enabled and not self._is_refused(binding.action)
            if is_shown and binding.description and binding.description not in keys.values():
                keys[key_text(binding.key)] = binding.description
        self._spans = key_spans(list(keys.items()), self.size.width)
        self.show([self._spans])

    def _is_refused(self, action: str) -> bool:
        """Whether the app would say no."""
        refusal = getattr(self.app, "refusal", None)
        return refusal is not None and refusal(action) is not None

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        event.stop()
        clicked = key_at(self._spans, event.x)
        for active in list(self.screen.active_bindings.values()):
            if key_text(active.binding.key) == clicked and active.enabled and active.binding.show:
                await self.app.run_action(active.binding.action, active.node)
                return
