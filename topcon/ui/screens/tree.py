"""The main screen: the tree, and what can be done in it."""

from __future__ import annotations

import time
from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar

from textual.actions import parse
from textual.screen import Screen
from textual.widgets import Input

from topcon.actions import Verb
from topcon.columns import COLUMNS, DEFAULT_SET, columns_of, next_set
from topcon.filter import NO_FILTERS, parse_filter
from topcon.model.inside import NOTHING
from topcon.rows import Arrangement, ViewState, rows
from topcon.text import printable
from topcon.ui.bindings import Place, key_text
from topcon.ui.filtering import Matches, next_match
from topcon.ui.marks import PREFIX, between, containers_of, inside_of, keys_of, marked, settled, toggled
from topcon.ui.messages import BackAsked, Said, ShellAsked
from topcon.ui.table import Moment, said_alone
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.command_line import CommandBar
from topcon.ui.widgets.filter_line import FilterBar, FilterLine
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.small import Small
from topcon.ui.widgets.tree_table import NEVER_S, TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.model.inside import Inside
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.rows import Row, Rows
    from topcon.ui.acting import Acting
    from topcon.ui.spans import Spans


CALM_S = 3.0
"""Rows keep their order for so long after they were sorted, or after the last key."""
SECOND_OF = {Verb.STOP: Verb.START, Verb.PAUSE: Verb.UNPAUSE}
"""What the key of a verb does where that is not possible."""
SECOND = frozenset(SECOND_OF.values())


class TreeScreen(Screen[None]):
    """Shows the tree of a snapshot as the person wants it."""

    view_name: ClassVar[str] = "tree"
    """The action that shows it: other views can take its place."""
    places: ClassVar[tuple[Place, ...]] = (Place.TABLE, Place.TREE, Place.APP)
    """Whose keys the help shows."""
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.TREE)

    def __init__(
        self,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        nothing: Callable[[int, int], list[Spans]],
        *,
        acting: Acting | None = None,
        inside: Inside = NOTHING,
        has_shells: bool = False,
        filter_text: str = "",
        filters: Mapping[str, str] = NO_FILTERS,
        sort: str = "finding",
        view: ViewState | None = None,
    ) -> None:
        """Show nothing yet, below a header and above a line of what is wrong, each written for a width.

        ``nothing`` says that there are no containers, in a width and a height.
        ``filters`` are those that are saved, by their names. ``view`` is what is shown at first, if not all.
        """
        super().__init__()
        self.filters = filters
        self.view = replace(view or ViewState(sort=sort), filter=parse_filter(filter_text, filters))
        self._matches = Matches()
        self.snapshot: Snapshot | None = None
        """What is shown."""
        self._header = header
        self._wrong = wrong
        self._nothing = nothing
        self._acting = acting
        self._inside = inside
        self._has_shells = has_shells
        self._rows: Rows | None = None
        self._sorted_s = NEVER_S
        """When rows were last sorted, on the monotonic clock."""
        self._own_columns = self.view.columns
        self._verbs: frozenset[Verb] = frozenset()
        self._verbs_seen: tuple[Row | None, frozenset[str], Snapshot | None] = (None, frozenset(), None)
        self._range: tuple[str, frozenset[str]] | None = None
        """Where a range of marks begins, and what was marked before."""

    def compose(self) -> ComposeResult:
        """Lay out the frame: where, the tree, what is wrong, the keys."""
        yield Lines(id="header")
        yield TreeTable(id="tree")
        yield Lines(id="wrong")
        yield FilterBar()
        yield CommandBar()
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
        if self.view.marks:
            marks = settled(self.view.marks, self._rows or (), snapshot)
            self.view = self.view if marks is self.view.marks else replace(self.view, marks=marks)
        self._rows = self._in_order(snapshot, tree)
        self.query_one(FilterBar).show(self.matches(snapshot), len(snapshot.containers))
        self.query_one("#header", Lines).show(self._header(width))
        tree.show(self._rows, self.view, Moment(snapshot.tick, snapshot.sample.wall_ns), self._empty(snapshot, tree))
        self.query_one("#wrong", Lines).show([self._wrong(width)])
        before = self._verbs
        if self._possible_verbs() != before:
            self.refresh_bindings()

    def _in_order(self, snapshot: Snapshot, tree: TreeTable) -> Rows:
        """Return the rows of a snapshot; their order is calm where the person looks at it."""
        now_s, before = time.monotonic(), self._rows
        is_held = now_s < max(self._sorted_s, tree.touched_s) + CALM_S
        now = rows(snapshot, self.view, before, is_held=is_held)
        if now is not before and not is_held:
            self._sorted_s = now_s
        return now

    def _see(self, view: ViewState) -> None:
        self.view = view
        self._draw()

    def _draw(self) -> None:
        if self.snapshot is not None:
            self.show(self.snapshot)

    def _empty(self, snapshot: Snapshot, tree: TreeTable) -> list[Spans]:
        if self._rows:
            return []
        if not snapshot.containers:
            return self._nothing(*tree.room)
        if self.view.filter and not self.matches(snapshot):
            why = f"nothing matches /{printable(self.filter_text)}; esc shows all"
        elif self.view.only_sick:
            why = "nothing is sick; z shows all"
        else:
            why = "nothing but what is hidden; a, x, b and _ show it"
        return said_alone(why)

    def pressed(self, key: str, *, is_told: bool = True) -> None:
        """From the first key on the cursor belongs to the person; one that can do nothing here says why."""
        self.query_one(TreeTable).hold()
        active = self.active_bindings.get(key)
        if (active is not None and active.enabled) or not is_told:
            return
        if active is None:
            self.post_message(Said(f"{key_text(key)} does nothing here; ? shows the keys"))
            return
        _, action, parameters = parse(active.binding.action)
        if action == "act":
            self.action_act(str(parameters[0]))
        elif action == "shell":
            self.action_shell()

    def on_tree_table_cursor_moved(self) -> None:
        """Show the keys that work on the row, and mark as far as it if a range has begun."""
        self._mark_range()
        self.refresh_bindings()

    def on_tree_table_resized(self) -> None:
        """Draw at the new size."""
        self._draw()

    def on_tree_table_fold_asked(self, message: TreeTable.FoldAsked) -> None:
        """Fold or unfold a row, or all."""
        if message.key is not None:
            self._see(self.view.toggled(message.key))
        elif self.snapshot is not None:
            self._see(self.view.all_toggled(rows(self.snapshot, self.view, self._rows)))

    def on_tree_table_sort_asked(self, message: TreeTable.SortAsked) -> None:
        """Sort by the column of a title; the second time the other way round."""
        if message.column == self.view.sort:
            self.action_reverse()
        else:
            self._sort(message.column)

    def on_tree_table_scroll_asked(self, message: TreeTable.ScrollAsked) -> None:
        """Show other columns."""
        scroll = self.query_one(TreeTable).placed.scroll + message.columns
        self._see(replace(self.view, scroll=max(scroll, 0)))

    def on_tree_table_mark_asked(self) -> None:
        """Mark the row, or take its mark away."""
        row = self.query_one(TreeTable).row
        if row is not None:
            self._mark(toggled(self.view.marks, row, {each.key for each in self._all_rows()}))

    def on_tree_table_open_asked(self) -> None:
        """Show the details."""
        self.action_details()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what is not possible has no key."""
        match action:
            case "filter" | "sort_menu" | "columns":
                return not isinstance(self.focused, Input)
            case "next_match" | "unmark":
                return bool(self.view.filter if action == "next_match" else self.view.marks)
            case "act" | "shell":
                # Without shells the key can say why.
                may_open = (self._has_shells and self.query_one(TreeTable).row is not None) or None
                return self._is_possible(Verb(str(parameters[0]))) if parameters else may_open
            case "progress" | "remove_stopped":
                return self._acting is not None and (action != "progress" or self._acting.has_progress)
            case "details" | "copy" | "mark" | "mark_range" | "logs":
                can_ask = action != "logs" or self._inside.follow is not None
                has_row = can_ask and self.query_one(TreeTable).row is not None
                return has_row and (not parameters or self._has_tab(str(parameters[0])))
            case _:
                return action != "demo_instead" or self._has_nothing_but_a_demo()

    def _has_nothing_but_a_demo(self) -> bool:
        snapshot = self.snapshot
        return snapshot is not None and not snapshot.containers and bool(self.app.check_action("demo", ()))

    def _is_possible(self, verb: Verb) -> bool | None:
        """Whether a key does this now; None for one that does nothing, but can say why."""
        possible = self._possible_verbs()
        if verb in possible:
            return True
        return None if verb not in SECOND and SECOND_OF.get(verb) not in possible else False

    def _possible_verbs(self) -> frozenset[Verb]:
        """What can be done to what is marked, or else to the row; of many that are alike, one is looked at."""
        row, marks, snapshot = self.query_one(TreeTable).row, self.view.marks, self.snapshot
        seen = (row, marks, snapshot)
        if self._acting is None or snapshot is None:
            return frozenset()
        if not all(map(is_, seen, self._verbs_seen)):
            nodes = [snapshot.containers[key] for key in keys_of(marks) if key in snapshot.containers]
            if not nodes and row is not None:
                nodes = [each for each in inside_of(row) if not each.is_gone]
            alike = {(each.info.state, each.info.runtime): each for each in nodes}
            self._verbs = frozenset(verb for each in alike.values() for verb in self._acting.verbs(each))
            self._verbs_seen = seen
        return self._verbs

    def _targets(self) -> tuple[ContainerNode, ...]:
        """Return what a key acts on, as the person sees it: all that is marked, or else the row."""
        row, snapshot = self.query_one(TreeTable).row, self.snapshot
        if snapshot is None or row is None:
            return ()
        marked_ones = set(keys_of(self.view.marks)) & snapshot.containers.keys()
        if not marked_ones:
            return containers_of(row, {each.key for each in self._all_rows()})
        # In the order of the screen, and then those that are out of sight.
        in_sight = [each.container.key for each in self._all_rows() if each.container is not None]
        keys = [key for key in in_sight if key in marked_ones]
        return tuple(snapshot.containers[key] for key in dict.fromkeys((*keys, *sorted(marked_ones))))

    def _all_rows(self) -> Sequence[Row]:
        """Return the rows, those that are folded away too."""
        assert self.snapshot is not None  # noqa: S101  nothing is marked or done before there is something to see
        return rows(self.snapshot, replace(self.view, is_open=True))

    def _mark(self, marks: frozenset[str]) -> None:
        """Mark these rows, and the groups that are marked by that."""
        if self.snapshot is not None:
            self._see(replace(self.view, marks=settled(marks, self._all_rows(), self.snapshot)))
            self.refresh_bindings()

    def _mark_range(self) -> None:
        row = self.query_one(TreeTable).row
        if self._range is not None and row is not None and self._rows is not None:
            first, before = self._range
            shown = {each.key for each in self._all_rows()}
            self._mark(before | marked(between(self._rows, first, row.key), shown))

    def action_mark(self) -> None:
        """Mark the row, or take its mark away, and go down."""
        tree = self.query_one(TreeTable)
        if tree.row is not None:
            self._mark(toggled(self.view.marks, tree.row, {each.key for each in self._all_rows()}))
            tree.action_move(1)

    def action_mark_range(self) -> None:
        """Begin to mark from the row on, or end that."""
        row = self.query_one(TreeTable).row
        if self._range is None and row is not None:
            self._range = row.key, self.view.marks
            self._mark_range()
        else:
            self._range = None

    def action_mark_shown(self) -> None:
        """Mark all that the filter lets through, be it folded away."""
        if self.snapshot is not None:
            every = self._all_rows()
            self._mark(self.view.marks | marked(every, {each.key for each in every}))

    def action_unmark(self) -> None:
        """Take all marks away."""
        self._range = None
        self._mark(frozenset())

    def action_remove_stopped(self) -> None:
        """Mark the stopped ones that are shown, and ask whether to remove them."""
        if self._acting is None or self.snapshot is None:
            return
        nodes = [(each, each.container) for each in self._all_rows() if each.container is not None]
        stopped = [each for each, node in nodes if node.info.state.is_stopped and not node.is_gone]
        if not stopped:
            self._acting.say("nothing that is shown is stopped")
            return
        self._range = None
        self._mark(marked(stopped, frozenset()))
        self.action_act("remove")

    def action_shell(self) -> None:
        """Ask for a shell in the container of the row, or in one of its pod."""
        row = self.query_one(TreeTable).row
        if row is not None:
            self.post_message(ShellAsked((row.container,) if row.container is not None else inside_of(row)))

    def action_progress(self) -> None:
        """Show how far what was asked for has got."""
        if self._acting is not None:
            self._acting.show_progress(self.snapshot)

    def action_details(self, tab: str = "overview") -> None:
        """Show all that is known of the row, beginning with a tab."""
        row = self.query_one(TreeTable).row
        if row is not None:
            self.open_details(row.key, tab, self.snapshot)

    async def action_demo_instead(self) -> None:
        """Play what was on a host that has containers."""
        await self.app.run_action("demo", self.app)

    def open_details(self, key: str, tab: str, snapshot: Snapshot | None) -> None:
        """Show all that is known of a row, be it in sight or not."""
        from topcon.ui.screens.detail import DetailScreen  # noqa: PLC0415  not before it is asked for

        if snapshot is not None:
            screen = DetailScreen(key, self._header, self._wrong, self._inside, tab, self._acting)
            self.app.push_screen(screen)
            screen.show(snapshot)

    async def action_why(self) -> None:
        """Show what is wrong with the row; at the top, with all of the host."""
        row, rows_shown = self.query_one(TreeTable).row, self._rows
        is_top = row is None or not rows_shown or row.key == rows_shown[0].key
        await self.app.run_action(("", "findings", () if row is None or is_top else (row.key,)), self.app)

    def reveal(self, key: str) -> None:
        """Go to the row of a container or pod, whatever hides it; say so where that is more than a fold."""
        from topcon.ui.revealing import revealed  # noqa: PLC0415  not before it is asked for

        found = revealed(self.snapshot, self.view, key) if self.snapshot is not None else None
        if found is None:
            self.post_message(Said("it is gone: the tree shows it no more"))
            return
        if found.view is not self.view:
            self._see(found.view)
        at = next((at for at, row in enumerate(self._rows or ()) if row.key == found.key), None)
        if at is not None:
            self.query_one(TreeTable).action_move_to(at)
        if found.told is not None:
            self.post_message(Said(found.told))
        self.refresh_bindings()

    def _has_tab(self, name: str) -> bool:
        """Whether the details of the row have a tab."""
        from topcon.ui.tabs import TABS  # noqa: PLC0415  not before it is asked for

        row = self.query_one(TreeTable).row
        return row is not None and any(tab.name == name and tab.suits(self._inside, row.line.node) for tab in TABS)

    def action_logs(self) -> None:
        """Show what the row writes, or all that is marked."""
        from topcon.ui.screens.logs import LogScreen  # noqa: PLC0415  not before it is asked for

        row = self.query_one(TreeTable).row
        if row is None or self.snapshot is None:
            return
        keys, title = [row.key], row.line.node.name
        if self.view.marks:
            targets = self._targets()
            keys, title = [f"{PREFIX}{each.key}" for each in targets], f"{len(targets)} containers"
        screen = LogScreen(keys, title, self._header, self._wrong, self._inside)
        self.app.push_screen(screen)
        screen.show(self.snapshot)

    @property
    def filter_text(self) -> str:
        """The filter in force, as it was typed."""
        return self.view.filter.text

    def matches(self, snapshot: Snapshot) -> int | None:
        """How many containers of a snapshot the filter lets through; None without one."""
        return self._matches.count(snapshot, self.view.filter)

    def filter_by(self, text: str) -> None:
        """Show what a filter lets through.

        Raises:
            FilterError: it cannot be understood.
        """
        self._see(replace(self.view, filter=parse_filter(text, self.filters)))
        self.refresh_bindings()

    def action_filter(self) -> None:
        """Ask for a filter; it applies as it is typed."""
        self.query_one(FilterBar).open(self.view.filter, self.filters)

    def on_filter_line_applied(self, message: FilterLine.Applied) -> None:
        """Show what the filter lets through."""
        self._see(replace(self.view, filter=message.filter))

    def on_filter_line_closed(self) -> None:
        """Show the keys again."""
        self.query_one(FilterBar).close()
        if self.focused is None:
            self.query_one(TreeTable).focus()
        self.refresh_bindings()

    def action_next_match(self, step: int) -> None:
        """Go to the next row that matches, or the one before."""
        tree = self.query_one(TreeTable)
        at = next_match(self._rows or (), tree.row.key if tree.row else None, step)
        if at is not None:
            tree.action_move_to(at)

    def action_clear(self) -> None:
        """Close the filter's line, or take the filter away."""
        bar = self.query_one(FilterBar)
        if bar.is_open:
            bar.line.action_drop()
        elif self._acting is not None and self._acting.dismiss():
            self._draw()
        elif self._range is not None:
            self._mark(self._range[1])
            self._range = None
        elif self.view.filter:
            self.filter_by("")
        elif self.view.marks:
            self.action_unmark()
        else:
            self.post_message(BackAsked())

    def action_copy(self) -> None:
        """Ask what of the row to copy."""
        from topcon.ui.copying import copies  # noqa: PLC0415  not before it is asked for
        from topcon.ui.screens.menu import Choice, MenuScreen  # noqa: PLC0415  not before it is asked for

        row = self.query_one(TreeTable).row
        if row is not None and self.snapshot is not None:
            containers = self.snapshot.containers
            marked = sorted(containers[key].name for key in keys_of(self.view.marks) if key in containers)
            offered = copies(row.line.node, marked)

            def copy(at: int | None) -> None:
                if at is not None:
                    self.app.copy_to_clipboard(offered[at].text)
                    self.post_message(
                        Said(f"{offered[at].what} copied to the terminal's clipboard: {offered[at].text}")
                    )

            choices = [Choice(each.letter, each.what, printable(each.text)) for each in offered]
            self.app.push_screen(MenuScreen("Copy", choices), copy)

    def action_sort_column(self, column: str) -> None:
        """Sort by a column."""
        self._sort(column)

    def action_filter_by(self, text: str) -> None:
        """Show what a filter lets through."""
        self.filter_by(text)

    def action_sort_menu(self) -> None:
        """Ask for the column to sort by."""
        from topcon.ui.screens.menu import Choice, MenuScreen  # noqa: PLC0415  not before it is asked for

        columns = [column for column in COLUMNS if column.history is None]
        at = next((at for at, column in enumerate(columns) if column.name == self.view.sort), 0)

        def sort(at: int | None) -> None:
            self._sort(None if at is None else columns[at].name)

        self.app.push_screen(MenuScreen("Sort by", [Choice(each.letter, each.help) for each in columns], at), sort)

    def _sort(self, column: str | None) -> None:
        if column is not None:
            self._see(replace(self.view, sort=column, is_reversed=False))

    def action_sort_by(self, step: int) -> None:
        """Sort by the next column."""
        shown = columns_of(self.view.column_set, self.view.columns).columns
        names = [column.name for column in shown if column.history is None]
        at = names.index(self.view.sort) if self.view.sort in names else 0
        self._sort(names[(at + step) % len(names)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._see(replace(self.view, is_reversed=not self.view.is_reversed))

    def action_arrange(self, name: str) -> None:
        """Hang the rows in another way."""
        self._see(replace(self.view, arrangement=Arrangement(name)))

    def action_flat(self) -> None:
        """Show each container by itself, or the tree again."""
        is_flat = self.view.arrangement is Arrangement.FLAT
        self.action_arrange(Arrangement.TREE if is_flat else Arrangement.FLAT)

    def action_columns(self) -> None:
        """Ask which columns to show; they are shown while they are chosen."""
        from topcon.ui.screens.columns import ColumnsScreen  # noqa: PLC0415  not before it is asked for

        before = self.view

        def close(is_kept: bool | None) -> None:  # noqa: FBT001  the answer of the dialog
            if not is_kept:
                self._see(
                    replace(self.view, column_set=before.column_set, columns=before.columns, scroll=before.scroll)
                )

        self.app.push_screen(ColumnsScreen(before.column_set, before.columns, self._show_columns), close)

    def _show_columns(self, column_set: str, own: tuple[str, ...] | None) -> None:
        self._see(replace(self.view, column_set=column_set, columns=own, scroll=0))

    def action_column_set(self, name: str) -> None:
        """Show a set of columns."""
        self._own_columns = self.view.columns or self._own_columns
        self._show_columns(name, None)

    def action_next_set(self) -> None:
        """Show the next set of columns; the person's own come after the last."""
        own = self._own_columns = self.view.columns or self._own_columns
        if self.view.columns is not None:
            self._show_columns(DEFAULT_SET, None)
            return
        name = next_set(self.view.column_set)
        self._show_columns(name, own if name == DEFAULT_SET else None)

    def action_show_or_hide(self, name: str) -> None:
        """Turn around a field of the view that says what is shown."""
        turned: dict[str, Any] = {name: not getattr(self.view, name)}
        self._see(replace(self.view, **turned))

    def action_act(self, verb: str) -> None:
        """Ask before something is done to what is marked, or else to the row under the cursor."""
        if self._acting is None:
            self.post_message(Said(f"read-only: there is no {verb}"))
        elif self.snapshot is not None:
            targets = self._targets()
            there = tuple(each for each in targets if not each.is_gone)
            if targets and not there:
                self.post_message(Said(f"{targets[0].name} is gone: there is nothing to {verb}"))
            self._acting.ask(Verb(verb), there, self.snapshot)
