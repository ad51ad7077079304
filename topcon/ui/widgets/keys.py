"""The line of keys that work here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from topcon.ui.spans import Span, Spans, Tone, width_of
from topcon.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual.screen import Screen

_TEXTS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "minus": "-",
    "plus": "+",
    "asterisk": "*",
    "escape": "esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "home": "Home",
    "end": "End",
    "space": "space",
    "enter": "enter",
}


def key_text(key: str) -> str:
    """Write a key as it stands on the keyboard."""
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _TEXTS.get(key, key)


def key_spans(keys: list[tuple[str, str]], width: int) -> Spans:
    """Write key and meaning, one after the other; the last ones, help and quit, stay when not all fit."""
    shown = list(keys)
    while len(shown) > 1 and width_of(_spans(shown)) > width:
        del shown[max(len(shown) - 3, 0)]
    return _spans(shown)


def _spans(keys: list[tuple[str, str]]) -> Spans:
    spans: Spans = [Span(" ")]
    for key, meaning in keys:
        spans += [Span(key, Tone.STRONG), Span(f" {meaning}  ", Tone.DIM)]
    return spans


class Keys(Lines):
    """Shows the bindings of its screen that are in force, as far as they want to be shown."""

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
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.description and binding.description not in keys.values():
                keys[binding.key_display or key_text(binding.key)] = binding.description
        self.show([key_spans(list(keys.items()), self.size.width)])
