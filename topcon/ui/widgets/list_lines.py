"""Lines that scroll, some of which can be chosen: the cursor stays on its line when lines move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from topcon.ui.bindings import Place
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.lines import TONE_CLASSES, ScrollLines, to_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

    from topcon.ui.tabs.seen import Entry


class ListLines(ScrollLines, inherit_bindings=False):
    """Where no line can be chosen, the keys scroll."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"list-lines--cursor", *TONE_CLASSES}
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.LIST)

    @dataclass
    class Moved(Message):
        """The cursor is on another line."""

    @dataclass
    class Chosen(Message):
        """The line under the cursor was chosen."""

        key: str

    def __init__(self, id: str) -> None:  # noqa: A002  Textual's name
        """Show nothing yet."""
        super().__init__(id=id)
        self.leads_on = True
        """Whether there is more to see of a line that is chosen."""
        self._keys: list[str | None] = []
        self._at: int | None = None

    @property
    def key(self) -> str | None:
        """The key of the line under the cursor."""
        return self._keys[self._at] if self._at is not None else None

    def offer(self, entries: Sequence[Entry], *, follows_end: bool = False) -> None:
        """Show these entries. The cursor stays on its own, or where it was if that is gone.

        With ``follows_end`` it goes on to the last one for as long as it is there, and begins there.
        """
        key, at = self.key, self._at
        is_followed = follows_end and (at is None or at == self._last())
        self._keys = [entry.key for entry in entries]
        if is_followed:
            self._at = self._last()
        elif key is not None and key in self._keys:
            self._at = self._keys.index(key)
        else:
            self._at = self._near(at or 0)
        if self._at != at:
            self.refresh()
        if (self._at is None) != (at is None):
            # There are other keys where there is something to choose.
            self.screen.refresh_bindings()
        self.show([entry.spans for entry in entries])
        if (self._at != at or is_followed) and self._at is not None:
            self._follow()
            if not self.show_vertical_scrollbar:
                # Only once it has a place is it known what is in sight, and where the thumb is.
                self.call_after_refresh(self._place)

    def reset(self) -> None:
        """Begin at the top: something else is shown."""
        self._keys, self._at = [], None
        self.scroll_to(y=0, animate=False, immediate=True)

    def _place(self) -> None:
        self._follow()
        self.vertical_scrollbar.position = self.scroll_offset.y

    def _last(self) -> int | None:
        """Find the last line that can be chosen."""
        return next((place for place in reversed(range(len(self._keys))) if self._keys[place] is not None), None)

    def _near(self, at: int) -> int | None:
        """Find the line next to this one that can be chosen, the one below first."""
        places = [place for place, key in enumerate(self._keys) if key is not None]
        return min(places, key=lambda place: (abs(place - at), place < at), default=None)

    def render_line(self, y: int) -> Strip:
        """Draw a line of the part that is in sight."""
        at = y + self.scroll_offset.y
        if at != self._at or at >= len(self._lines):
            return super().render_line(y)
        background = self.get_component_rich_style("list-lines--cursor", partial=True)
        return to_strip(self, self._lines[at], self.size.width, background)

    def _go(self, at: int | None) -> None:
        if at is not None and at != self._at:
            self._at = at
            self.refresh()
            self.post_message(self.Moved())
        self._follow()

    def _follow(self) -> None:
        """Scroll as little as it takes to see the cursor, and what stands above the first line of all."""
        if self._at is None:
            return
        # Forced: lines that are shown for the first time have no scrollbar yet.
        top, height = self.scroll_offset.y, self.size.height
        first = next((place for place, key in enumerate(self._keys) if key is not None), 0)
        wanted = 0 if self._at == first and self._at < height else self._at
        if wanted < top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)
        elif height and self._at >= top + height:
            self.scroll_to(y=self._at - height + 1, animate=False, immediate=True, force=True)

    def action_move(self, rows: int) -> None:
        """Move the cursor over the lines that can be chosen."""
        if self._at is None:
            self.scroll_relative(y=rows, animate=False, immediate=True)
            return
        places = [place for place, key in enumerate(self._keys) if key is not None]
        index = places.index(self._at) + rows
        if index < 0:
            self.scroll_to(y=0, animate=False, immediate=True)
        self._go(places[max(min(index, len(places) - 1), 0)])

    def action_move_page(self, pages: float) -> None:
        """Move by a part of the screen."""
        rows = int(pages * max(self.size.height - 1, 1))
        if self._at is None:
            self.scroll_relative(y=rows, animate=False, immediate=True)
        else:
            self._go(self._near(max(min(self._at + rows, len(self._keys) - 1), 0)))

    def action_move_to(self, at: int) -> None:
        """Go to the first line, or, with -1, to the last."""
        last = self.virtual_size.height
        self.scroll_to(y=last if at else 0, animate=False, immediate=True)
        if self._at is not None:
            self._go(self._near(len(self._keys) - 1 if at else 0))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now."""
        del parameters
        return action != "choose" or (self.leads_on and self.key is not None)

    def action_choose(self) -> None:
        """Choose the line under the cursor."""
        if self.leads_on and self.key is not None:
            self.post_message(self.Chosen(self.key))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the line; a second click chooses it."""
        at = event.y + self.scroll_offset.y
        if at < len(self._keys) and self._keys[at] is not None:
            self._go(at)
            if event.chain == 2:  # noqa: PLR2004  a double click
                self.action_choose()
