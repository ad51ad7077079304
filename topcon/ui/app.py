"""The app: takes in snapshots and keys, gives out lines to its widgets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual import work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input

from topcon.actions import Verb
from topcon.columns import COLUMNS
from topcon.filter import parse_filter
from topcon.rows import ViewState, rows
from topcon.text import printable
from topcon.ui.command import COMMANDS, parse_command
from topcon.ui.driver import TerminalDriver
from topcon.ui.ending import STATUS_BASE, ending_on_signals, has_terminal
from topcon.ui.header import Status, header_lines, wrong_line
from topcon.ui.messages import ActionEnded, QuestionReady, SamplerFailed, SnapshotReady
from topcon.ui.painter import Painter
from topcon.ui.sources import Terminal
from topcon.ui.spans import Span, Tone, fitted
from topcon.ui.table import Moment
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen
    from textual.theme import Theme

    from topcon.actions import Actions, Request
    from topcon.model.sample import ContainerId, LogLine
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.rows import Rows
    from topcon.ui.screens.page import PageScreen
    from topcon.ui.spans import Spans

    Follow = Callable[[Callable[[Snapshot], object], Callable[[BaseException], object]], "Following"]

NOTICE_S = 8.0
"""How long it is said that an action has ended."""
ERROR_S = 30.0
SIGHUP_STATUS = STATUS_BASE + 1
TERMINAL_SAMPLES = 11
"""How many snapshots back it is looked for what the terminal was sent since."""


OF_THE_TREE = frozenset(
    ("act", "clear", "details", "filter", "freeze", "help", "reverse", "sort_by", "sort_menu", "stopped")
)
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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,o", "details", "details"),
        # First in line, since letters follow these two: typed ahead, they would still go to the tree.
        Binding("slash,f4", "filter", "filter", priority=True),
        Binding("s,f6", "sort_menu", "sort", priority=True),
        Binding("less_than_sign", "sort_by(-1)", "sort by the column to the left", show=False),
        Binding("greater_than_sign", "sort_by(1)", "sort by the column to the right", show=False),
        Binding("r", "reverse", "reverse the order", show=False),
        Binding("a", "stopped", "show or hide stopped ones", show=False),
        Binding("1", "tree", "the tree", show=False),
        Binding("4", "namespaces", "namespaces: who shares which; 1 goes back", show=False),
        Binding("6", "sources", "sources: how reading goes, and what topcon costs; 1 goes back", show=False),
        Binding("colon", "command", "a command; those there are stand below", show=False, priority=True),
        Binding("f", "freeze", "freeze the screen; counting goes on", show=False),
        Binding("escape", "clear", "back: the filter; never quits", show=False),
        Binding("S", "act('stop')", "stop"),
        Binding("S", "act('start')", "start"),
        Binding("R", "act('restart')", "restart"),
        Binding("P", "act('pause')", "pause"),
        Binding("P", "act('unpause')", "unpause"),
        Binding("K,f9", "act('kill')", "kill"),
        Binding("question_mark,f1", "help", "help"),
        Binding("q,f10", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
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
        self._actions = actions
        self._interval_s = interval_s
        self._parse_interval = parse_interval
        self._refusal: str | None = None
        self._is_draw_owed = False
        self._is_paint_owed = False
        self._sent: deque[tuple[int, int]] = deque(maxlen=TERMINAL_SAMPLES)
        self._endpoint = endpoint
        self._tail = tail
        self._on_drawn = on_drawn
        self._drawn_s = 0.0
        self._filter_text = filter_text
        self._view = ViewState(sort=sort, filter=parse_filter(filter_text))
        self._is_frozen = False
        self._notice: tuple[Span, float] | None = None
        self._rows: Rows | None = None
        self._possible_verbs: tuple[Verb, ...] | None = None
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
        if self._actions:
            self._actions.close()

    def compose(self) -> ComposeResult:
        """Lay out the frame: where, the tree, what is wrong, the keys."""
        yield Lines(id="header")
        yield TreeTable(id="tree")
        yield Lines(id="wrong")
        yield Input(id="filter", placeholder="words in the name, pod, image or id", compact=True)
        yield CommandLine()
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Begin to follow the host, but not before what is known of it already has been drawn."""
        self._event_loop = asyncio.get_running_loop()
        self.query_one(TreeTable).focus()
        self.screen_change_signal.subscribe(self, self._come_to_screen)
        self.app_resume_signal.subscribe(self, self._paint_anew)
        self.call_after_refresh(self._begin)

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
            self._shown = message.snapshot
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

    def on_key(self) -> None:
        """From the first key on the cursor belongs to the person."""
        self.screen_stack[0].query_one(TreeTable).hold()

    def on_tree_table_cursor_moved(self) -> None:
        """Show the keys that work on the row."""
        self.refresh_bindings()

    def on_tree_table_resized(self) -> None:
        """Draw at the new size."""
        self._draw()

    def on_tree_table_fold_asked(self, message: TreeTable.FoldAsked) -> None:
        """Fold or unfold a row, or all."""
        if message.key is not None:
            self._view = self._view.toggled(message.key)
        elif self._shown is not None:
            foldable = [row for row in rows(self._shown, self._view, self._rows) if row.is_expandable]
            is_open = all(row.is_expanded for row in foldable)
            folded = frozenset(row.key for row in foldable if is_open)
            self._view = replace(self._view, collapsed=folded)
        self._draw()

    def _draw(self) -> None:
        """Show the snapshot on whatever screens are seen: the one on top, and what lies behind a dialog."""
        snapshot = self._shown
        if snapshot is None or not self.screen_stack:
            return
        for screen in self._seen_screens():
            if screen is self.screen_stack[0]:
                self._draw_tree(screen, snapshot)
            else:
                show = getattr(screen, "show", None)
                if show is not None:
                    show(snapshot)

    def _seen_screens(self) -> list[Screen[Any]]:
        """Whatever is not hidden by another screen over it."""
        stack = self.screen_stack
        full = [at for at, screen in enumerate(stack) if not isinstance(screen, ModalScreen)]
        return stack[full[-1] if full else 0 :]

    def _draw_tree(self, main: Screen[Any], snapshot: Snapshot) -> None:
        tree = main.query_one(TreeTable)
        width = tree.size.width
        if not width:
            return
        self._rows = rows(snapshot, self._view, self._rows)
        main.query_one("#header", Lines).show(self._header(width))
        tree.show(self._rows, self._view, Moment(snapshot.tick, snapshot.sample.wall_ns), self._empty(snapshot))
        main.query_one("#wrong", Lines).show([self._wrong(width)])
        container = self._selected()
        verbs = self._actions.verbs(container) if self._actions is not None and container is not None else ()
        if verbs != self._possible_verbs:
            self._possible_verbs = verbs
            self.refresh_bindings()

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
            filter=self._filter_text,
            is_frozen=self._is_frozen,
            is_read_only=self._actions is None,
            endpoint=self._endpoint,
            hides_stopped=not self._view.has_stopped,
        )
        return header_lines(self._shown, status, width)

    def _wrong(self, width: int) -> Spans:
        if self._refusal is not None:
            return fitted([Span(f" {printable(self._refusal)}", Tone.BAD)], width)
        return wrong_line(self._shown, self._notice_span(), width) if self._shown else []

    def _notice_span(self) -> Span | None:
        """What is being done, or was just done."""
        if self._actions is not None:
            for request, ago_s in self._actions.running():
                return Span(
                    f"{request.verb} {printable(request.name)} … {ago_s:.0f} s{self._left(request)}", Tone.ACCENT
                )
        if self._notice is not None and time.monotonic() < self._notice[1]:
            return self._notice[0]
        return None

    def _left(self, request: Request) -> str:
        node = self._newest.containers.get(request.key) if self._newest else None
        pids = node.usage.pids if node else None
        return f", {pids} task{'s' if pids > 1 else ''} left" if pids else ""

    def _empty(self, snapshot: Snapshot) -> str:
        if not snapshot.containers:
            return "no containers on this host; one that starts appears here within a second"
        if self._view.filter:
            return f"nothing matches /{printable(self._filter_text)}; esc shows all"
        return "nothing but stopped containers; a shows them"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what is not possible has no key."""
        if len(self.screen_stack) > 1 and action in OF_THE_TREE:
            return False
        if action in {"filter", "sort_menu"} and isinstance(self.focused, Input):
            return False
        if action in VIEWS:
            return self._is_view() and not isinstance(self.focused, Input)
        if action == "act":
            return self._possible(Verb(str(parameters[0])))
        if action == "details":
            return self._selected_key() is not None
        return True

    def _possible(self, verb: Verb) -> bool:
        container = self._selected()
        return self._actions is not None and container is not None and verb in self._actions.verbs(container)

    def _selected(self) -> ContainerNode | None:
        """The container under the cursor, as the person sees it."""
        row = self.screen_stack[0].query_one(TreeTable).row if self.screen_stack else None
        return row.container if row else None

    def _selected_key(self) -> str | None:
        row = self.screen_stack[0].query_one(TreeTable).row if self.screen_stack else None
        return row.key if row else None

    def action_details(self) -> None:
        """Show all that is known of the row."""
        from topcon.ui.screens.detail import DetailScreen  # noqa: PLC0415  not before it is asked for

        key = self._selected_key()
        if key is not None and self._shown is not None:
            screen = DetailScreen(key, self._header, self._wrong, self._tail)
            self.push_screen(screen)
            screen.show(self._shown)

    def action_tree(self) -> None:
        """Show the tree again."""
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def action_namespaces(self) -> None:
        """Show who lives in which namespace."""
        from topcon.ui.screens.namespaces import NamespaceScreen  # noqa: PLC0415  not before it is asked for

        self._show_view(NamespaceScreen(lambda: self._view, self._header, self._wrong))

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

    def _is_view(self) -> bool:
        return bool(self.screen_stack) and (len(self.screen_stack) == 1 or getattr(self.screen, "is_view", False))

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

    def action_filter(self) -> None:
        """Ask for a filter; it applies as it is typed."""
        field = self.query_one("#filter", Input)
        field.value = self._filter_text
        field.add_class("-open")
        self.query_one(Keys).display = False
        self.screen.set_focus(field)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter that is being typed."""
        if event.input.id == "filter":
            self._set_filter(event.value)
        elif self._refusal is not None:
            self._refusal = None
            self._draw()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, or do what was typed."""
        if event.input.id == "filter":
            self._close_filter()
        elif isinstance(event.input, CommandLine):
            await self._command(event.input)

    def _set_filter(self, text: str) -> None:
        self._filter_text = text.strip()
        self._view = replace(self._view, filter=parse_filter(text))
        self._draw()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("-open")
        self.query_one(Keys).display = True
        self.query_one(TreeTable).focus()
        self._draw()

    def action_clear(self) -> None:
        """Close the filter's line, or take the filter away."""
        if self.query_one("#filter", Input).has_class("-open"):
            self._set_filter("")
            self._close_filter()
        elif self._filter_text:
            self._set_filter("")

    def action_sort_menu(self) -> None:
        """Ask for the column to sort by."""
        from topcon.ui.screens.sort import SortScreen  # noqa: PLC0415  not before it is asked for

        self.push_screen(SortScreen(self._view.sort), self._sort)

    def _sort(self, column: str | None) -> None:
        if column is not None:
            self._view = replace(self._view, sort=column, is_reversed=False)
            self._draw()

    def action_sort_by(self, step: int) -> None:
        """Sort by the next column."""
        names = [column.name for column in COLUMNS if column.history is None]
        at = names.index(self._view.sort) if self._view.sort in names else 0
        self._sort(names[(at + step) % len(names)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._view = replace(self._view, is_reversed=not self._view.is_reversed)
        self._draw()

    def action_stopped(self) -> None:
        """Show or hide the stopped containers."""
        self._view = replace(self._view, has_stopped=not self._view.has_stopped)
        self._draw()

    def action_freeze(self) -> None:
        """Hold the screen still, or go on with what is now."""
        self._is_frozen = not self._is_frozen
        if not self._is_frozen:
            self._shown = self._newest
        self._draw()

    def action_help(self) -> None:
        """Show the keys."""
        from topcon.ui.screens.help import HelpScreen, help_lines  # noqa: PLC0415  not before it is asked for

        bindings = [*Binding.make_bindings(self.BINDINGS), *Binding.make_bindings(TreeTable.BINDINGS)]
        if self._actions is None:
            bindings = [binding for binding in bindings if not binding.action.startswith("act(")]
        self.push_screen(HelpScreen(help_lines(bindings, COMMANDS)))

    def action_act(self, verb: str) -> None:
        """Ask before something is done to the container under the cursor."""
        container = self._selected()
        if self._actions is not None and container is not None and self._newest is not None:
            self._look_at_consequences(self._actions, Verb(verb), container, self._newest)

    @work(thread=True, group="question", exclusive=True, exit_on_error=True)
    def _look_at_consequences(self, actions: Actions, verb: Verb, container: ContainerNode, snapshot: Snapshot) -> None:
        way = actions.way(verb, container)
        if way is not None:
            consequences = actions.consequences(verb, container, snapshot, way)
            self.post_message(QuestionReady(verb, container, consequences, way))

    def on_question_ready(self, message: QuestionReady) -> None:
        """Ask."""
        from topcon.ui.screens.confirm import ConfirmScreen  # noqa: PLC0415  not before it is asked for

        if len(self.screen_stack) == 1:
            screen = ConfirmScreen(message.verb, message.container, message.consequences, message.way)
            self.push_screen(screen, self._answered)

    def _answered(self, request: Request | None) -> None:
        if request is not None and self._actions is not None:
            self._perform(self._actions, request)

    @work(thread=True, group="action", exit_on_error=True)
    def _perform(self, actions: Actions, request: Request) -> None:
        self.post_message(ActionEnded(actions.perform(request)))

    def on_action_ended(self, message: ActionEnded) -> None:
        """Say how it ended."""
        outcome = message.outcome
        if outcome.error is not None:
            self.notify(outcome.text, severity="error", timeout=ERROR_S, markup=False)
        else:
            tone = Tone.WARN if outcome.warning else Tone.GOOD
            self._notice = (Span(outcome.text, tone), time.monotonic() + NOTICE_S)
        self._draw()
