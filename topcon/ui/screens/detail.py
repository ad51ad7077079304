"""The details of a row, live: tabs, one of which is shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widgets import Input

from topcon.model.snapshot import ContainerNode, PodNode
from topcon.text import printable
from topcon.ui.asking import ask_aside
from topcon.ui.bindings import Place
from topcon.ui.detail import find
from topcon.ui.messages import Said, ShellAsked
from topcon.ui.screens.searched import SearchedScreen
from topcon.ui.spans import Span, Tone
from topcon.ui.tabs import TABS, tab_spans
from topcon.ui.tabs.seen import Entry, Seen
from topcon.ui.widgets.bound import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from topcon.columns import Node
    from topcon.model.inside import Inside
    from topcon.model.snapshot import Snapshot
    from topcon.ui.acting import Acting
    from topcon.ui.screens.list import Written
    from topcon.ui.spans import Spans
    from topcon.ui.tabs import Look, Tab
    from topcon.ui.tabs.processes import Member

COPY_SHOWN = 60
"""Characters of what can be copied that are shown of it."""
LOOK_S: float | None = None
"""How often is asked for what a tab shows; None for the tab's own time."""


class DetailScreen(SearchedScreen):
    """Shows one pod or container for as long as it is there, and says so when it is gone."""

    BINDINGS: ClassVar[list[BindingType]] = bound(Place.DETAIL)
    places = (Place.DETAIL, *SearchedScreen.places)

    def __init__(
        self,
        key: str,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        inside: Inside,
        tab: str = TABS[0].name,
        acting: Acting | None = None,
    ) -> None:
        """Show a tab of the row ``key`` in the frame of the main screen: its header and its line of what is wrong.

        ``inside`` is who is asked for what the snapshot does not say. Without ``acting`` nothing can be changed.
        """
        super().__init__(header, wrong)
        self._key = key
        self._inside = inside
        self._acting = acting
        self._last: tuple[Snapshot, Node] | None = None
        """What it was last seen in, and as."""
        self._tab = next(each for each in TABS if each.name == tab)
        self._found: dict[str, object] = {}
        self._states: dict[str, Any] = {each.name: each.start for each in TABS}
        self._asking: set[str] = set()
        self._asked_often: set[str] = set()
        self._told: set[str] = set()
        """What keys have asked for, by tab and verb."""

    @property
    def _tabs(self) -> list[Tab]:
        """Those that have something to say here."""
        return [tab for tab in TABS if tab is self._tab or tab.suits(self._inside, self._node)]

    def write(self, snapshot: Snapshot, width: int, height: int) -> Written:
        """Write the tab as it is in this snapshot, or of the row as it was last seen."""
        node = find(snapshot, self._key)
        if node is not None:
            self._last = (snapshot, node)
        seen = self._seen(width, height)
        if seen is None:
            return [], [Entry(_GONE)]
        entries = self._tab.write(seen)
        self.entries.leads_on = "open" in self._tab.does
        if node is None or node.is_gone:
            entries = [Entry(_GONE), Entry([]), *entries]
        names = [tab.name for tab in self._tabs]
        titles = [tab_spans(names, self._tab.name, width)] if len(names) > 1 else []
        heading = self._tab.heading(seen) if self._tab.heading is not None else []
        return [*titles, *([heading] if heading else [])], entries

    @property
    def follows_end(self) -> bool:
        """Whether the newest of the tab comes last."""
        return self._tab.follows_end

    @property
    def _node(self) -> Node | None:
        return self._last[1] if self._last is not None else None

    def _seen(self, width: int, height: int) -> Seen | None:
        if self._last is None:
            return None
        name = self._tab.name
        told = {verb: self._found.get(f"{name} {verb}") for verb in self._tab.asks if f"{name} {verb}" in self._told}
        return Seen(*self._last, width, height, self._found.get(name), self._states[name], self.entries.key, told)

    def on_mount(self) -> None:
        """Take the keys, and begin to ask."""
        super().on_mount()
        self._begin_asking()

    def _begin_asking(self) -> None:
        tab = self._tab
        if tab.look is None:
            return
        self._ask(tab)
        if tab.name not in self._asked_often:
            self._asked_often.add(tab.name)
            self.set_interval(LOOK_S or tab.every_s, lambda: self._ask(tab))

    def _ask(self, tab: Tab) -> None:
        """Ask for what the tab shows, if it is shown, and unless that is still being waited for."""
        if tab is not self._tab or tab.name in self._asking or self.app.screen is not self:
            return
        node = find(self.snapshot, self._key) if self.snapshot is not None else None
        look: Callable[[], object] | None = None
        if node is not None and node.is_gone:
            # There is nobody to ask any more.
            return
        if isinstance(node, ContainerNode) and tab.look is not None:
            look = partial(tab.look, self._inside, node)
        elif isinstance(node, PodNode) and tab.look_at_pod is not None:
            look = partial(tab.look_at_pod, self._inside, node)
        if look is not None:
            self._asking.add(tab.name)
            self._begin_look(tab.name, look)

    def _ask_for(self, verb: str, look: Look) -> None:
        """Ask for what a key wants, unless that is still being waited for."""
        name, node = f"{self._tab.name} {verb}", self._node
        if isinstance(node, ContainerNode) and not node.is_gone and name not in self._asking:
            self._asking.add(name)
            self._told.add(name)
            self._begin_look(name, partial(look, self._inside, node))
            self.redraw()

    def _begin_look(self, name: str, look: Callable[[], object]) -> None:
        ask_aside(name, look, self, partial(self._take, name))

    def _take(self, name: str, found: object) -> None:
        """Show what was answered."""
        self._asking.discard(name)
        self._found[name] = found
        self.redraw()
        self.refresh_bindings()

    def on_list_lines_moved(self) -> None:
        """A tab may say more of the line that is chosen."""
        self.redraw()
        self.refresh_bindings()

    def on_list_lines_chosen(self) -> None:
        """Open the line in the tab."""
        self.action_do("open")

    def action_tab(self, name: str) -> None:
        """Show a tab; the key of the one that is shown goes back."""
        tab = next(each for each in TABS if each.name == name)
        if tab is self._tab:
            self.dismiss()
        elif tab.suits(self._inside, self._node):
            self._turn_to(tab)

    def action_logs(self) -> None:
        """Show what it writes."""
        from topcon.ui.screens.logs import LogScreen  # noqa: PLC0415  not before it is asked for

        if self._node is not None and self.snapshot is not None:
            screen = LogScreen([self._key], self._node.name, self._header, self._wrong, self._inside)
            self.app.push_screen(screen)
            screen.show(self.snapshot)

    def action_next_tab(self, step: int) -> None:
        """Show the tab that comes after this one, or before it."""
        tabs = self._tabs
        at = tabs.index(self._tab) if self._tab in tabs else 0
        self._turn_to(tabs[(at + step) % len(tabs)])

    def _turn_to(self, tab: Tab) -> None:
        self._tab = tab
        self.entries.reset()
        self.redraw()
        self._begin_asking()
        self.refresh_bindings()

    def action_do(self, verb: str) -> None:
        """Do in the tab what a key does there."""
        look = self._tab.asks.get(verb)
        if look is not None:
            self._ask_for(verb, look)
        do = self._tab.does.get(verb)
        seen = self._seen(self.size.width - 1, self.entries.size.height)
        if do is not None and seen is not None:
            self._states[self._tab.name] = do(self._states[self._tab.name], seen)
            self.redraw()

    def _member(self) -> Member | None:
        """Return the process under the cursor, and whose it is."""
        chosen = self._tab.chosen_process
        seen = self._seen(0, 0) if chosen is not None else None
        return chosen(seen) if chosen is not None and seen is not None else None

    @property
    def words(self) -> str:
        """What the lines of the tab have in them; empty for all."""
        return str(self._states[self._tab.name].query) if self._tab.search is not None else ""

    def search(self, words: str) -> None:
        """Show only what has these."""
        search = self._tab.search
        if search is not None:
            self._states[self._tab.name] = search(self._states[self._tab.name], words)
            self.redraw()

    def action_copy(self) -> None:
        """Ask what to copy."""
        from topcon.ui.screens.menu import Choice, MenuScreen  # noqa: PLC0415  not before it is asked for

        copies = self._tab.copies
        seen = self._seen(0, 0) if copies is not None else None
        offered = copies(seen) if copies is not None and seen is not None else []

        def copy(at: int | None) -> None:
            if at is not None:
                self.app.copy_to_clipboard(offered[at].text)
                self.post_message(Said(f"{offered[at].what} copied to the terminal's clipboard"))

        if offered:
            choices = [Choice(each.letter, each.what, printable(each.text[:COPY_SHOWN])) for each in offered]
            self.app.push_screen(MenuScreen("Copy", choices), copy)

    def action_shell(self) -> None:
        """Ask for a shell in the container, or in one of the pod."""
        node = find(self.snapshot, self._key) if self.snapshot is not None else None
        if node is not None:
            self.post_message(ShellAsked(node.containers if isinstance(node, PodNode) else (node,)))

    def action_signal(self) -> None:
        """Ask which signal to send to the process under the cursor."""
        member = self._member()
        if self._acting is None or self.snapshot is None or member is None:
            return
        container = self.snapshot.containers.get(member.container)
        if container is not None:
            self._acting.ask_process(member.process, container, self.snapshot)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now."""
        # Some come before what has the focus, but none before what is typed.
        is_typing = isinstance(self.focused, Input)
        match action:
            case "do":
                verb = str(parameters[0])
                works = not is_typing and (verb in self._tab.does or verb in self._tab.asks)
            case "search":
                works = not is_typing and self._tab.search is not None
            case "copy":
                works = self._tab.copies is not None
            case "logs":
                works = self._inside.follow is not None and self._node is not None
            case "signal":
                works = self._acting is not None and self._member() is not None
            case "tab":
                works = any(tab.name == parameters[0] for tab in self._tabs)
            case "next_tab":
                works = not is_typing and len(self._tabs) > 1
            case _:
                works = True
        return works


_GONE: list[Span] = [Span(" it is gone; this is how it was last seen", Tone.WARN)]
