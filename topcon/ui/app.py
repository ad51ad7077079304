"""The app: takes in snapshots and keys, gives out lines to its widgets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input

from topcon.text import printable
from topcon.ui.acting import Acting
from topcon.ui.command import COMMANDS, parse_command
from topcon.ui.driver import TerminalDriver
from topcon.ui.ending import STATUS_BASE, ending_on_signals, has_terminal
from topcon.ui.header import Status, header_lines, hidden_of, wrong_line
from topcon.ui.messages import SamplerFailed, SnapshotReady
from topcon.ui.painter import Painter
from topcon.ui.screens.tree import TreeScreen
from topcon.ui.sources import Terminal
from topcon.ui.spans import Span, Tone, fitted
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.small import HEIGHTS, WIDTHS
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType
    from textual.binding import BindingType
    from textual.screen import Screen
    from textual.theme import Theme

    from topcon.actions import Actions
    from topcon.model.sample import ContainerId, LogLine
    from topcon.model.snapshot import Snapshot
    from topcon.ui.screens.page import PageScreen
    from topcon.ui.spans import Spans

    Follow = Callable[[Callable[[Snapshot], object], Callable[[BaseException], object]], "Following"]

SIGHUP_STATUS = STATUS_BASE + 1
LATE_S = 2.0
"""A snapshot that is older than the next one should be by so much is told to be old."""
TERMINAL_SAMPLES = 11
"""How many snapshots back it is looked for what the terminal was sent since."""


OF_THE_TREE = frozenset(("freeze", "help"))
"""Actions that make no sense while another screen lies over the tree."""
VIEWS = frozenset(("command", "namespaces", "sources", "tree"))
"""Actions that make sense in each view."""


class Following(NamedTuple):
    """A host that is being followed."""

    stop: Callable[[], None]
    set_interval: Callable[[float], None]
    """Sets the seconds between samples."""


class TopconApp(App[int]):
    """The tree and what can be done in it."""

    TITLE = "topcon"
    CSS_PATH = "topcon.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tree", "the tree", show=False, id="tree"),
        Binding("4", "namespaces", "namespaces: who shares which; 1 goes back", show=False, id="namespaces"),
        Binding(
            "6", "sources", "sources: how reading goes, and what topcon costs; 1 goes back", show=False, id="sources"
        ),
        Binding("colon", "command", "a command; those there are stand below", show=False, priority=True, id="command"),
        Binding("f", "freeze", "freeze the screen; counting goes on", show=False, id="freeze"),
        Binding("question_mark,f1", "help", "help", id="help"),
        Binding("q,f10", "quit", "quit", id="quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True, id="interrupt"),
    ]

    def __init__(
        self,
        follow: Follow | None,
        *,
        theme: Theme,
        first: Snapshot | None = None,
        actions: Actions | None = None,
        interval_s: float = 1.0,
        parse_interval: Callable[[str], float] = float,
        filter_text: str = "",
        sort: str = "finding",
        endpoint: str | None = None,
        tail: Callable[[ContainerId], tuple[LogLine, ...]] | None = None,
        on_drawn: Callable[[float], object] | None = None,
    ) -> None:
        """Show what ``follow`` makes known, from ``first`` on. Without ``actions`` nothing can be changed.

        ``tail`` gives the last lines that a container has written, and may take its time. ``parse_interval`` takes
        what is typed for an interval, or raises ValueError with what was expected. ``on_drawn`` is told at each
        snapshot the CPU seconds that drawing, and all else on the thread of the screen, took since the one before.
        """
        super().__init__(driver_class=TerminalDriver)
        self.register_theme(theme)
        self.theme = theme.name
        self._follow = follow
        self._following: Following | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._newest = first
        self._shown = first
        self._shown_since_s = time.monotonic()
        self._interval_s = interval_s
        self._parse_interval = parse_interval
        self._refusal: str | None = None
        self._is_draw_owed = False
        self._is_paint_owed = False
        self._sent: deque[tuple[int, int]] = deque(maxlen=TERMINAL_SAMPLES)
        self._endpoint = endpoint
        self._on_drawn = on_drawn
        self._drawn_s = 0.0
        self._is_frozen = False
        self._acting = Acting(self, actions, self._draw) if actions is not None else None
        self._tree = TreeScreen(
            self._header, self._wrong, acting=self._acting, tail=tail, filter_text=filter_text, sort=sort
        )
        self._tree.snapshot = first
        self._painter = Painter()

    def run_until_quit(self) -> int:
        """Run until the person quits or a signal ends it; return the exit status."""

        def end(status: int) -> None:
            # A signal's handler does not wake the event loop by itself.
            if self._event_loop is not None:
                self._event_loop.call_soon_threadsafe(self.exit, status)

        with ending_on_signals(end, self._close_actions):
            status = self.run()
        return self.return_code or status or 0

    def _close_actions(self) -> None:
        if self._acting is not None:
            self._acting.close()

    def get_default_screen(self) -> TreeScreen:
        """Begin with the tree."""
        return self._tree

    def on_mount(self) -> None:
        """Begin to follow the host, but not before what is known of it already has been drawn."""
        self._event_loop = asyncio.get_running_loop()
        self.screen_change_signal.subscribe(self, self._come_to_screen)
        self.app_resume_signal.subscribe(self, self._paint_anew)
        self.call_after_refresh(self._begin)
        self.set_interval(LATE_S / 2, self._watch_age)

    def _watch_age(self) -> None:
        """Say how old what is shown is, should nothing new come."""
        if self._age_s() is not None:
            self._draw_header()

    def _begin(self) -> None:
        self._drawn_s = time.thread_time()
        if self._follow is not None:
            self._following = self._follow(
                lambda snapshot: self.post_message(SnapshotReady(snapshot)),
                lambda error: self.post_message(SamplerFailed(error)),
            )

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.stop()

    def on_snapshot_ready(self, message: SnapshotReady) -> None:
        """Draw a new snapshot, unless the screen is frozen."""
        if not self.is_headless and not has_terminal():
            self.exit(SIGHUP_STATUS)
            return
        if self._on_drawn is not None:
            before_s, self._drawn_s = self._drawn_s, time.thread_time()
            self._on_drawn(self._drawn_s - before_s)
        self._newest = message.snapshot
        self._sent.append((message.snapshot.sample.monotonic_ns, self._written_bytes() or 0))
        if not self._is_frozen:
            self._shown, self._shown_since_s = message.snapshot, time.monotonic()
        if self._is_behind():
            self._is_draw_owed = True
        elif self._is_frozen:
            self._draw_wrong()
        else:
            self._draw()

    def on_terminal_caught_up(self) -> None:
        """Draw what could not be drawn, as it is now, in one frame."""
        if self._is_draw_owed:
            self._is_draw_owed = False
            self._draw()
        if self._is_paint_owed:
            self._is_paint_owed = False
            # All of it, of which no more is sent than what differs from what was sent before.
            self.screen.refresh()

    def _is_behind(self) -> bool:
        return isinstance(self._driver, TerminalDriver) and self._driver.is_behind

    def _written_bytes(self) -> int | None:
        return self._driver.written_bytes if isinstance(self._driver, TerminalDriver) else None

    def _terminal(self) -> Terminal:
        """What the terminal was sent."""
        written = self._written_bytes()
        if written is None or len(self._sent) < 2:  # noqa: PLR2004  two ends
            return Terminal(written, None)
        (since_ns, before), (now_ns, sent) = self._sent[0], self._sent[-1]
        return Terminal(written, (sent - before) / ((now_ns - since_ns) / 1e9) if now_ns > since_ns else None)

    def on_sampler_failed(self, message: SamplerFailed) -> None:
        """End with the error."""
        raise message.error

    def _draw(self) -> None:
        """Show the snapshot on whatever screens are seen: the one on top, and what lies behind a dialog."""
        snapshot = self._shown
        if snapshot is None:
            return
        for screen in self._seen_screens():
            show = getattr(screen, "show", None)
            if show is not None:
                show(snapshot)

    def _seen_screens(self) -> list[Screen[Any]]:
        """Whatever is not hidden by another screen over it."""
        stack = self.screen_stack
        full = [at for at, screen in enumerate(stack) if not isinstance(screen, ModalScreen)]
        return stack[full[-1] if full else 0 :]

    def _draw_header(self) -> None:
        for screen in self._seen_screens():
            for lines in screen.query("#header").results(Lines):
                lines.show(self._header(screen.size.width))

    def _draw_wrong(self) -> None:
        """Show how far an action has got, also where the rest stands still."""
        screen = self.screen
        for line in screen.query("#wrong").results(Lines):
            line.show([self._wrong(screen.size.width)])

    def _come_to_screen(self, screen: Screen[Any]) -> None:
        """Draw the tree as it is now once nothing hides it any more."""
        if screen is self.screen_stack[0]:
            self._draw()
            self.refresh_bindings()

    def _paint_anew(self, _: App[Any]) -> None:
        """Draw all of the screen: something else has been shown meanwhile."""
        self._painter.forget()
        self.screen.refresh()

    def on_resize(self) -> None:
        """Take nothing for granted: a terminal of another size may show anything."""
        self._painter.forget()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send what of a frame the terminal does not show yet; nothing while it has yet to take the one before."""
        if renderable is not None and self._is_behind():
            self._is_paint_owed = True
            self.post_display_hook()
            return
        is_sent = self._running and not self._closed and not self.is_headless and not self._batch_count
        if is_sent and isinstance(renderable, (LayoutUpdate, ChopsUpdate)):
            renderable = self._painter.changed(renderable)
        super()._display(screen, renderable)

    def _header(self, width: int) -> list[Spans]:
        if self._shown is None:
            return []
        status = Status(
            interval_s=self._interval_s,
            filter=self._tree.filter_text,
            is_frozen=self._is_frozen,
            age_s=self._age_s(),
            is_read_only=self._acting is None,
            endpoint=self._endpoint,
            hidden=hidden_of(self._tree.view),
            only_sick=self._tree.view.only_sick,
            marked=len(self._tree.view.marks),
        )
        return header_lines(self._shown, status, width)

    def _age_s(self) -> float | None:
        """How long what is shown has been there, if that is longer than it should be."""
        age_s = time.monotonic() - self._shown_since_s
        interval_s = self._interval_s
        if self._shown is not None and self._shown.cost is not None:
            interval_s = max(interval_s, self._shown.cost.interval_s)
        return age_s if age_s > LATE_S + (0.0 if self._is_frozen else interval_s) else None

    def _wrong(self, width: int) -> Spans:
        if self._refusal is not None:
            return fitted([Span(f" {printable(self._refusal)}", Tone.BAD)], width)
        notice = self._acting.notice(self._newest) if self._acting is not None else None
        return wrong_line(self._shown, notice, width) if self._shown else []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what is not possible has no key."""
        del parameters
        if action in OF_THE_TREE:
            return self.screen is self._tree
        if action in VIEWS:
            return getattr(self.screen, "is_view", False) and not isinstance(self.focused, Input)
        return True

    def action_tree(self) -> None:
        """Show the tree again."""
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def action_namespaces(self) -> None:
        """Show who lives in which namespace."""
        from topcon.ui.screens.namespaces import NamespaceScreen  # noqa: PLC0415  not before it is asked for

        self._show_view(NamespaceScreen(lambda: self._tree.view, self._header, self._wrong))

    def action_sources(self) -> None:
        """Show how reading goes, and what topcon costs."""
        from topcon.ui.screens.sources import SourceScreen  # noqa: PLC0415  not before it is asked for

        self._show_view(SourceScreen(self._terminal, self._header, self._wrong))

    def _show_view(self, screen: PageScreen) -> None:
        """Put a view in the place of the one that lies over the tree."""
        if self._shown is not None:
            self.action_tree()
            self.push_screen(screen)
            screen.show(self._shown)

    def action_command(self) -> None:
        """Ask for a command."""
        self.screen.query_one(CommandLine).open()

    async def _command(self, line: CommandLine) -> None:
        """Do what was typed, or say what was expected."""
        try:
            action, value = parse_command(line.value, self._parse_interval)
        except ValueError as error:
            self._refusal = str(error)
            self._draw()
            return
        line.action_close()
        if value is not None:
            self._set_interval(value)
        else:
            await self.run_action(action)

    def _set_interval(self, seconds: float) -> None:
        self._interval_s = seconds
        if self._following is not None:
            self._following.set_interval(seconds)
        self._draw()

    def on_input_changed(self) -> None:
        """What is typed may be right now."""
        if self._refusal is not None:
            self._refusal = None
            self._draw()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what was typed."""
        if isinstance(event.input, CommandLine):
            await self._command(event.input)

    def action_freeze(self) -> None:
        """Hold the screen still, or go on with what is now."""
        self._is_frozen = not self._is_frozen
        if not self._is_frozen:
            self._shown, self._shown_since_s = self._newest, time.monotonic()
        self._draw()

    def action_help(self) -> None:
        """Show the keys."""
        from topcon.ui.screens.help import HelpScreen, help_lines  # noqa: PLC0415  not before it is asked for

        own = (TreeScreen.BINDINGS, self.BINDINGS, TreeTable.BINDINGS)
        bindings = [binding for each in own for binding in Binding.make_bindings(each)]
        if self._acting is None:
            bindings = [binding for binding in bindings if not binding.action.startswith("act(")]
        self.push_screen(HelpScreen(help_lines(bindings, COMMANDS)))
