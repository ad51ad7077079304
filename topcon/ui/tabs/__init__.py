"""The tabs of the details: a table. No Textual here.

A tab is a function that writes entries out of what is seen, and, where the snapshot does not say it all, one that asks
for more, on a thread of its own. What a person does in it turns its state into another: ``does`` says how.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.model.snapshot import ContainerNode, PodNode
from topcon.ui.spans import Span, Tone, fitted
from topcon.ui.tabs.charts import DOES as CHART_DOES
from topcon.ui.tabs.charts import Charts, charts_entries
from topcon.ui.tabs.events import EventView, event_entries, event_heading, looked_for
from topcon.ui.tabs.files import SIZES, ask_sizes, files_entries
from topcon.ui.tabs.inspect import (
    INSPECT_VERBS,
    InspectView,
    document,
    inspect_copies,
    inspect_entries,
    inspect_heading,
    searched,
)
from topcon.ui.tabs.network import network_entries
from topcon.ui.tabs.overview import look as look_over
from topcon.ui.tabs.overview import overview_entries
from topcon.ui.tabs.processes import PROCESS_VERBS, ProcessView, chosen_process, process_entries, process_heading
from topcon.ui.tabs.security import NO_PROCESS, security_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.columns import Node
    from topcon.model.inside import Inside
    from topcon.ui.copying import Copy
    from topcon.ui.spans import Spans
    from topcon.ui.tabs.processes import Member
    from topcon.ui.tabs.seen import Entry, Seen

    Look = Callable[[Inside, ContainerNode], object]
    Do = Callable[[Any, Seen], object]

NOTHING: Mapping[str, Do] = MappingProxyType({})
NO_LOOKS: Mapping[str, Look] = MappingProxyType({})


class Tab(NamedTuple):
    """A part of the details."""

    name: str
    write: Callable[[Seen], list[Entry]]
    look: Look | None = None
    """Asks for what the snapshot does not say; its result is `Seen.found`."""
    is_there: Callable[[Inside], bool] = bool
    """Whether that can be asked here; a tab that asks nothing is there always."""
    every_s: float = 2.0
    """How often it is asked while the tab is shown."""
    start: object = None
    """Its state at first."""
    does: Mapping[str, Do] = NOTHING
    """What keys do in it, by what stands in their action: takes the state and what is seen, returns the new state.

    What ``open`` does, enter does.
    """
    asks: Mapping[str, Look] = NO_LOOKS
    """What is asked for only when a key wants it, by what stands in its action; its result is in `Seen.told`."""
    is_for_pods: bool = False
    """Whether it has something to say of a pod, or a group, too."""
    look_at_pod: Callable[[Inside, PodNode], object] | None = None
    """As `look`, for those; without it nothing is asked of them."""
    heading: Callable[[Seen], Spans] | None = None
    """Writes titles that stay where they are when the entries scroll; none where that is empty."""

    follows_end: bool = False
    """Whether the newest comes last, and the cursor goes with it once it is there."""
    chosen_process: Callable[[Seen], Member | None] | None = None
    """Returns the process under the cursor, for what is done to it."""

    outlives: bool = False
    """Whether it has something to say of what is gone."""
    search: Callable[[Any, str], object] | None = None
    """Takes the state and a text, which what is shown shall have in it; returns the new state, with it as ``query``."""
    copies: Callable[[Seen], list[Copy]] | None = None
    """Returns what can be copied."""

    def suits(self, inside: Inside, node: Node | None) -> bool:
        """Whether it can be shown of this."""
        if node is not None and node.is_gone and not self.outlives:
            return False
        return (self.look is None or self.is_there(inside)) and (self.is_for_pods or isinstance(node, ContainerNode))


TABS: tuple[Tab, ...] = (
    Tab(
        "overview",
        overview_entries,
        look=look_over,
        every_s=5.0,
        is_for_pods=True,
        outlives=True,
    ),
    Tab("charts", charts_entries, start=Charts(), does=CHART_DOES, is_for_pods=True, outlives=True),
    Tab(
        "processes",
        process_entries,
        look=lambda inside, node: inside.processes((node,)) if inside.processes else None,
        look_at_pod=lambda inside, pod: inside.processes(pod.containers) if inside.processes else None,
        is_there=lambda inside: inside.processes is not None,
        start=ProcessView(),
        does=PROCESS_VERBS,
        is_for_pods=True,
        heading=process_heading,
        chosen_process=chosen_process,
    ),
    Tab(
        "network",
        network_entries,
        look=lambda inside, node: inside.network(node) if inside.network else None,
        is_there=lambda inside: inside.network is not None,
        every_s=3.0,
    ),
    Tab(
        "files",
        files_entries,
        look=lambda inside, node: inside.files(node) if inside.files else None,
        is_there=lambda inside: inside.files is not None,
        asks={SIZES: ask_sizes},
    ),
    Tab(
        "security",
        security_entries,
        look=lambda inside, node: (inside.security(node) or NO_PROCESS) if inside.security else None,
        is_there=lambda inside: inside.security is not None,
        every_s=5.0,
    ),
    Tab(
        "inspect",
        inspect_entries,
        look=lambda inside, node: document(inside.inspect(node)) if inside.inspect else None,
        is_there=lambda inside: inside.inspect is not None,
        every_s=10.0,
        start=InspectView(),
        does=INSPECT_VERBS,
        heading=inspect_heading,
        search=searched,
        copies=inspect_copies,
    ),
    Tab(
        "events",
        event_entries,
        start=EventView(),
        is_for_pods=True,
        outlives=True,
        heading=event_heading,
        follows_end=True,
        search=looked_for,
    ),
)
"""In their order. The first one is always there."""


def tab_spans(names: list[str], shown: str, width: int) -> Spans:
    """Write the names of the tabs in a line, the one that is shown in sight."""
    first = 0
    while True:
        spans: Spans = [Span(" " if not first else " … ", Tone.DIM)]
        for name in names[first:]:
            spans += [Span(f"[{name}]", Tone.ACCENT)] if name == shown else [Span(f" {name} ", Tone.DIM)]
        written = fitted(spans, width)
        if first >= names.index(shown) or any(span.text == f"[{shown}]" for span in written):
            return written
        first += 1
