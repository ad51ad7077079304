"""The details of a row, live."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from topcon.model.snapshot import ContainerNode
from topcon.ui.bindings import Place
from topcon.ui.detail import detail_lines, find
from topcon.ui.screens.page import PageScreen
from topcon.ui.spans import Span, Tone
from topcon.ui.widgets.bound import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from topcon.model.sample import ContainerId, LogLine
    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans

    Tail = Callable[[ContainerId], tuple[LogLine, ...]]

OUTPUT_S = 5.0
"""How often a container's output is asked for."""


class DetailScreen(PageScreen):
    """Shows one pod or container for as long as it is there, and says so when it is gone."""

    BINDINGS: ClassVar[list[BindingType]] = bound(Place.DETAIL)
    places = (Place.DETAIL, *PageScreen.places)

    @dataclass
    class OutputRead(Message):
        """What the container has last written, or an error of our own in asking for it."""

        lines: tuple[LogLine, ...] | BaseException

    def __init__(
        self,
        key: str,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        tail: Tail | None = None,
    ) -> None:
        """Show the row ``key`` in the frame of the main screen: its header and its line of what is wrong.

        ``tail`` gives the last lines that a container has written, and may take its time.
        """
        super().__init__(header, wrong, self._written)
        self._key = key
        self._lines: list[Spans] = []
        self._tail = tail
        self._is_asking = False
        self._output: tuple[LogLine, ...] = ()

    def _written(self, snapshot: Snapshot, width: int) -> tuple[list[Spans], list[Spans]]:
        """Write the row as it is in this snapshot, or as it was last seen."""
        node = find(snapshot, self._key)
        if node is not None:
            self._lines = detail_lines(snapshot, node, width, self._output)
        elif self._lines and self._lines[0] != _GONE:
            self._lines = [_GONE, [], *self._lines]
        return [], self._lines

    def on_mount(self) -> None:
        """Take the keys, and begin to ask for the output."""
        super().on_mount()
        if self._tail is not None:
            self._ask_for_output()
            self.set_interval(OUTPUT_S, self._ask_for_output)

    def _ask_for_output(self) -> None:
        """Ask what the container has written, unless that is still being waited for."""
        node = find(self.snapshot, self._key) if self.snapshot is not None else None
        if self._tail is not None and isinstance(node, ContainerNode) and not self._is_asking:
            self._is_asking = True
            # No worker of Textual's: those are waited for when topcon ends, and a runtime may take its time.
            threading.Thread(
                target=self._read_output, args=(self._tail, node.info.id), name="topcon-output", daemon=True
            ).start()

    def _read_output(self, tail: Tail, container: ContainerId) -> None:
        try:
            lines: tuple[LogLine, ...] | BaseException = tail(container)
        except BaseException as bug:  # noqa: BLE001  handed to the screen, which ends topcon with it
            lines = bug
        # Topcon may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            self.post_message(self.OutputRead(lines))

    def on_detail_screen_output_read(self, message: OutputRead) -> None:
        """Show it."""
        if isinstance(message.lines, BaseException):
            raise message.lines
        self._is_asking = False
        self._output = message.lines
        if self.snapshot is not None:
            self.show(self.snapshot)


_GONE: list[Span] = [Span(" it is gone; this is how it was last seen", Tone.WARN)]
