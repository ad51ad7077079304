"""The app: takes in snapshots and keys, gives out lines to its widgets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding
from textual.widgets import Input

from topcon.actions import Verb
from topcon.columns import COLUMNS
from topcon.filter import parse_filter
from topcon.rows import ViewState, rows
from topcon.text import printable
from topcon.ui.ending import STATUS_BASE, ending_on_signals, has_terminal
from topcon.ui.header import Status, header_lines, wrong_line
from topcon.ui.messages import ActionEnded, QuestionReady, SamplerFailed, SnapshotReady
from topcon.ui.spans import Span, Tone
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.theme import Theme

    from topcon.actions import Actions, Request
    from topcon.model.sample import ContainerId, LogLine
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.spans import Spans

    Follow = Callable[[Callable[[Snapshot], object], Callable[[BaseException], object]], Callable[[], None]]

NOTICE_S = 8.0
"""How long it is said that an action has ended."""
ERROR_S = 30.0
SIGHUP_STATUS = STATUS_BASE + 1


OF_THE_TREE = frozenset(
    ("act", "clear", "details", "filter", "freeze", "help", "namespaces", "reverse", "sort_by", "sort_menu", "stopped")
)
"""Actions that make no sense while another screen lies over the tree."""


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
        Binding("4", "namespaces", "namespaces: who shares which; 1 goes back", show=False),
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
        filter_text: str = "",
        sort: str = "finding",
        endpoint: str | None = None,
        tail: Callable[[ContainerId], tuple[LogLine, ...]] | None = None,
    ) -> None:
        """Show what ``follow`` makes known, from ``first`` on. Without ``actions`` nothing can be changed.

        ``tail`` gives the last lines that a container has written, and may take its time.
        """
        super().__init__()
        self.register_theme(theme)
        self.theme = theme.name
        self._follow = follow
        self._unfollow: Callable[[], None] | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._newest = first
        self._shown = first
        self._actions = actions
        self._interval_s = interval_s
        self._endpoint = endpoint
        self._tail = tail
        self._filter_text = filter_text
        self._view = ViewState(sort=sort, filter=parse_filter(filter_text))
        self._is_frozen = False
        self._notice: tuple[Span, float] | None = None

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
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Begin to follow the host."""
        self._event_loop = asyncio.get_running_loop()
        self.query_one(TreeTable).focus()
        if self._follow is not None:
            self._unfollow = self._follow(
                lambda snapshot: self.post_message(SnapshotReady(snapshot)),
                lambda error: self.post_message(SamplerFailed(error)),
            )

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._unfollow is not None:
            self._unfollow()

    def on_snapshot_ready(self, message: SnapshotReady) -> None:
        """Draw a new snapshot, unless the screen is frozen."""
        if not self.is_headless and not has_terminal():
            self.exit(SIGHUP_STATUS)
            return
        self._newest = message.snapshot
        if not self._is_frozen:
            self._shown = message.snapshot
        self._draw()

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
            foldable = [row for row in rows(self._shown, self._view) if row.is_expandable]
            is_open = all(row.is_expanded for row in foldable)
            folded = frozenset(row.key for row in foldable if is_open)
            self._view = replace(self._view, collapsed=folded)
        self._draw()

    def _draw(self) -> None:
        """Show the snapshot on whatever screen is on top."""
        snapshot = self._shown
        if snapshot is None or not self.screen_stack:
            return
        main = self.screen_stack[0]
        width = main.query_one(TreeTable).size.width
        if not width:
            return
        shown = rows(snapshot, self._view)
        main.query_one("#header", Lines).show(self._header(width))
        main.query_one(TreeTable).show(shown, self._view, snapshot.tick, self._empty(snapshot))
        main.query_one("#wrong", Lines).show([self._wrong(width)])
        self.refresh_bindings()
        for screen in self.screen_stack[1:]:
            show = getattr(screen, "show", None)
            if show is not None:
                show(snapshot)

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
        if action in {"filter", "sort_menu"}:
            return not isinstance(self.focused, Input)
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

    def action_namespaces(self) -> None:
        """Show who lives in which namespace."""
        from topcon.ui.screens.namespaces import NamespaceScreen  # noqa: PLC0415  not before it is asked for

        if self._shown is not None:
            screen = NamespaceScreen(lambda: self._view, self._header, self._wrong)
            self.push_screen(screen)
            screen.show(self._shown)

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

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        if event.input.id == "filter":
            self._close_filter()

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
        self.push_screen(HelpScreen(help_lines(bindings)))

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
