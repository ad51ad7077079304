"""The table of keys as bindings of Textual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding

from topcon.ui.bindings import KEYS, Place, to_textual

if TYPE_CHECKING:
    from textual.binding import BindingType

    from topcon.ui.bindings import Key, Keymap


def bound(*places: Place) -> list[BindingType]:
    """Return the bindings of some places."""
    return [_bound(key) for key in KEYS if key.place in places]


def _bound(key: Key) -> Binding:
    return Binding(
        ",".join(map(to_textual, key.keys)),
        key.action,
        key.short or key.text,
        show=key.short is not None,
        priority=key.is_first,
        id=key.id,
    )


def to_textual_keymap(keymap: Keymap) -> dict[str, str]:
    """Write the keys that a person wants as Textual takes them."""
    return {name: ",".join(map(to_textual, keys)) for name, keys in keymap.items()}
