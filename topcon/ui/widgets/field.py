"""A line to type into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from topcon.text import printable

if TYPE_CHECKING:
    from textual import events


class Field(Input):
    """Does what is typed in the order in which it was typed, and takes what is pasted as one clean line."""

    async def on_key(self, event: events.Key) -> None:
        """Do what the key does at once.

        Textual would ask all that is around the field first, and letters that come close behind would overtake it.
        """
        if event.is_printable:
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.app.run_action(binding.action, self)

    def on_paste(self, event: events.Paste) -> None:
        """Take what is pasted as one line, with nothing in it that is not seen."""
        event.stop()
        event.prevent_default()
        line = " ".join(printable(part) for part in event.text.split("\n") if part.strip())
        self.replace(line, *self.selection)
