"""The main screen: the tree, and what can be done in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Input

from topcon.actions import Verb
from topcon.columns import COLUMNS
from topcon.filter import parse_filter
from topcon.rows import ViewState, rows
from topcon.text import printable
from topcon.ui.table import Moment
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.small import Small
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.rows import Rows
    from topcon.ui.acting import Acting
    from topcon.ui.screens.detail import Tail
    from topcon.ui.spans import Spans


class TreeScreen(Screen[None]):
    """Shows the tree of a snapshot as the person wants it."""

    is_view: ClassVar[bool] = True
    """Whether other views can take its place."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,o", "details", "details", id="details"),
        # First in line, since letters follow these two: typed ahead, they would still go to the tree.
        Binding("slash,f4", "filter", "filter", priority=True, id="filter"),
        Binding("s,f6", "sort_menu", "sort", priority=True, id="sort"),
        Binding("less_than_sign", "sort_by(-1)", "sort by the column to the left", show=False, id="sort-left"),
        Binding("greater_than_sign", "sort_by(1)", "sort by the column to the right", show=False, id="sort-right"),
        Binding("r", "reverse", "reverse the order", show=False, id="reverse"),
        Binding("a", "stopped", "show or hide stopped ones", show=False, id="stopped"),
        Binding("escape", "clear", "back: the filter; never quits", show=False, id="back"),
        Binding("S", "act('stop')", "stop", id="stop"),
        Binding("S", "act('start')", "start", id="start"),
        Binding("R", "act('restart')", "restart", id="restart"),
        Binding("P", "act('pause')", "pause", id="pause"),
        Binding("P", "act('unpause')", "unpause", id="unpause"),
        Binding("K,f9", "act('kill')", "kill", id="kill"),
    ]

    def __init__(
        self,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        *,
        acting: Acting | None = None,
        tail: Tail | None = None,
        filter_text: str = "",
        sort: str = "finding",
    ) -> None:
        """Show nothing yet, below a header and above a line of what is wrong, each written for a width."""
        super().__init__()
        self.filter_text = filter_text
        self.view = ViewState(sort=sort, filter=parse_filter(filter_text))
        self.snapshot: Snapshot | None = None
        """What is shown."""
        self._header = header
        self._wrong = wrong
        self._acting = acting
        self._tail = tail
        self._rows: Rows | None = None
        self._possible_verbs: tuple[Verb, ...] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the frame: where, the tree, what is wrong, the keys."""
        yield Lines(id="header")
        yield TreeTable(id="tree")
        yield Lines(id="wrong")
        yield Input(id="filter", placeholder="words in the name, pod, image or id", compact=True)
        yield CommandLine()
        yield Keys(id="keys")
        yield Small()

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(TreeTable).focus()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the tree of this snapshot."""
        self.snapshot = snapshot
        if not self.is_mounted:
            return
        tree = self.query_one(TreeTable)
        width = tree.size.width
        if not width:
            return
        self._rows = rows(snapshot, self.view, self._rows)
        self.query_one("#header", Lines).show(self._header(width))
        tree.show(self._rows, self.view, Moment(snapshot.tick, snapshot.sample.wall_ns), self._empty(snapshot))
        self.query_one("#wrong", Lines).show([self._wrong(width)])
        container = self._selected()
        verbs = self._acting.verbs(container) if self._acting is not None and container is not None else ()
        if verbs != self._possible_verbs:
            self._possible_verbs = verbs
            self.refresh_bindings()

    def _see(self, view: ViewState) -> None:
        self.view = view
        self._draw()

    def _draw(self) -> None:
        if self.snapshot is not None:
            self.show(self.snapshot)

    def _empty(self, snapshot: Snapshot) -> str:
        if not snapshot.containers:
            return "no containers on this host; one that starts appears here within a second"
        if self.view.filter:
            return f"nothing matches /{printable(self.filter_text)}; esc shows all"
        return "nothing but stopped containers; a shows them"

    def on_key(self) -> None:
        """From the first key on the cursor belongs to the person."""
        self.query_one(TreeTable).hold()

    def on_tree_table_cursor_moved(self) -> None:
        """Show the keys that work on the row."""
        self.refresh_bindings()

    def on_tree_table_resized(self) -> None:
        """Draw at the new size."""
        self._draw()

    def on_tree_table_fold_asked(self, message: TreeTable.FoldAsked) -> None:
        """Fold or unfold a row, or all."""
        if message.key is not None:
            self._see(self.view.toggled(message.key))
        elif self.snapshot is not None:
            foldable = [row for row in rows(self.snapshot, self.view, self._rows) if row.is_expandable]
            is_open = all(row.is_expanded for row in foldable)
            folded = frozenset(row.key for row in foldable if is_open)
            self._see(replace(self.view, collapsed=folded))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what is not possible has no key."""
        match action:
            case "filter" | "sort_menu":
                return not isinstance(self.focused, Input)
            case "act":
                return self._possible(Verb(str(parameters[0])))
            case "details":
                return self.query_one(TreeTable).row is not None
            case _:
                return True

    def _possible(self, verb: Verb) -> bool:
        container = self._selected()
        return self._acting is not None and container is not None and verb in self._acting.verbs(container)

    def _selected(self) -> ContainerNode | None:
        """The container under the cursor, as the person sees it."""
        row = self.query_one(TreeTable).row
        return row.container if row else None

    def action_details(self) -> None:
        """Show all that is known of the row."""
        from topcon.ui.screens.detail import DetailScreen  # noqa: PLC0415  not before it is asked for

        row = self.query_one(TreeTable).row
        if row is not None and self.snapshot is not None:
            screen = DetailScreen(row.key, self._header, self._wrong, self._tail)
            self.app.push_screen(screen)
            screen.show(self.snapshot)

    def action_filter(self) -> None:
        """Ask for a filter; it applies as it is typed."""
        field = self.query_one("#filter", Input)
        field.value = self.filter_text
        field.add_class("-open")
        self.query_one(Keys).display = False
        self.set_focus(field)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter that is being typed."""
        if event.input.id == "filter":
            event.stop()
            self._set_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        if event.input.id == "filter":
            event.stop()
            self._close_filter()

    def _set_filter(self, text: str) -> None:
        self.filter_text = text.strip()
        self._see(replace(self.view, filter=parse_filter(text)))

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
        elif self.filter_text:
            self._set_filter("")

    def action_sort_menu(self) -> None:
        """Ask for the column to sort by."""
        from topcon.ui.screens.sort import SortScreen  # noqa: PLC0415  not before it is asked for

        self.app.push_screen(SortScreen(self.view.sort), self._sort)

    def _sort(self, column: str | None) -> None:
        if column is not None:
            self._see(replace(self.view, sort=column, is_reversed=False))

    def action_sort_by(self, step: int) -> None:
        """Sort by the next column."""
        names = [column.name for column in COLUMNS if column.history is None]
        at = names.index(self.view.sort) if self.view.sort in names else 0
        self._sort(names[(at + step) % len(names)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._see(replace(self.view, is_reversed=not self.view.is_reversed))

    def action_stopped(self) -> None:
        """Show or hide the stopped containers."""
        self._see(replace(self.view, has_stopped=not self.view.has_stopped))

    def action_act(self, verb: str) -> None:
        """Ask before something is done to the container under the cursor."""
        container = self._selected()
        if self._acting is not None and container is not None and self.snapshot is not None:
            self._acting.ask(Verb(verb), container, self.snapshot)
