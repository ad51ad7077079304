"""What has happened, a line each. No Textual here."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from functools import lru_cache, partial
from operator import attrgetter
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import SEVERITY_MARKS, is_group
from topcon.events import pod_title
from topcon.model.event import MOST_EVENTS
from topcon.model.sample import ContainerKey
from topcon.model.snapshot import PodNode, Severity
from topcon.text import cell_width, padded, printable, to_age_text
from topcon.ui.spans import LateSpans, Span, Spans, Tone, fitted
from topcon.ui.table import severity_tone
from topcon.ui.tabs.seen import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.columns import Node
    from topcon.model.event import Event, Events
    from topcon.model.snapshot import ContainerNode, Snapshot

NAME_WIDTH = (10, 44)
"""The least and the most that names get."""
NAME_SHARE = 4
"""The part of the line that they get is 1 by this."""
MOST_LINES = 4
"""So many lines an event takes at the most."""
_TIME_WIDTH = len(" 00:00:00 ■ ")
_GAP = 2


class Log(NamedTuple):
    """The lines that have been written."""

    width: int
    words: tuple[str, ...]
    """What an event must have in it to be among them."""
    has_names: bool
    only_bad: bool = False
    """Whether only warnings and worse are among them."""
    events: tuple[Event, ...] = ()
    entries: tuple[Entry, ...] = ()
    until_ns: int = 0
    """When the day ends that the last line is of."""


def words_of(text: str) -> tuple[str, ...]:
    """Return the words that are looked for, in small letters."""
    return tuple(text.casefold().split())


def written(before: Log, events: tuple[Event, ...], today_ns: int) -> Log:
    """Add what is new to what was written before; begin anew where what was there has changed.

    A date stands above the events of a day, but not above the first if they are all of the day of ``today_ns``.
    """
    known = before.events
    if events is known:
        return before
    is_longer = bool(known) and len(events) >= len(known) and events[0] is known[0]
    if not is_longer or events[len(known) - 1] is not known[-1]:
        first_ns = events[0].wall_ns if events else today_ns
        until_ns = _day(first_ns)[1] if _day(first_ns) == _day(today_ns) else 0
        before, known = before._replace(entries=(), until_ns=until_ns), ()
    added: list[Entry] = []
    until_ns = before.until_ns
    for event in events[len(known) :]:
        if (before.words and not _has(event, before.words)) or (before.only_bad and not is_bad(event)):
            continue
        if event.wall_ns >= until_ns:
            title, until_ns = _day(event.wall_ns)
            added.append(Entry([Span(f" {title}", Tone.ACCENT)]))
        added += _entries(event, before.width, has_names=before.has_names)
    return before._replace(events=events, entries=(*before.entries, *added), until_ns=until_ns)


def _day(wall_ns: int) -> tuple[str, int]:
    """Return what the day of a moment is called, and when it ends."""
    moment = datetime.fromtimestamp(wall_ns // 10**9).astimezone()
    morrow = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return f"{moment:%a %d %b %Y}", int(morrow.timestamp()) * 10**9


def is_bad(event: Event) -> bool:
    """Whether it is a warning or worse."""
    return event.severity is not None and event.severity >= Severity.WARNING


def lately(events: tuple[Event, ...], span_s: float | None, now_ns: int) -> tuple[Event, ...]:
    """Return what has happened within some seconds; the very same for None, which is any time."""
    if span_s is None:
        return events
    return events[bisect_left(events, now_ns - int(span_s * 1e9), key=attrgetter("wall_ns")) :]


def choice_text(span_s: float | None, *, only_bad: bool) -> str:
    """Say in the title what is chosen, beside the words."""
    said = ["warnings"] if only_bad else []
    if span_s is not None:
        said.append(f"the last {to_age_text(span_s)}")
    return ", ".join(said)


def _has(event: Event, words: Iterable[str]) -> bool:
    text = f"{event.pod}/{event.name} {event.kind} {event.text}".casefold()
    return all(word in text for word in words)


def name_width(width: int) -> int:
    """How much of a line the names get."""
    least, most = NAME_WIDTH
    return max(min(width // NAME_SHARE, most), least)


@lru_cache(maxsize=2 * MOST_EVENTS)
def _entries(event: Event, width: int, *, has_names: bool) -> tuple[Entry, ...]:
    """Write an event over as many lines as it takes; the first is written when it is looked at."""
    indent = _TIME_WIDTH + (name_width(width) + _GAP if has_names else 0)
    room = width - indent
    if len(event.text) <= room:
        lines = [event.text]
    else:
        lines = wrap(printable(event.text), max(room, 1), max_lines=MOST_LINES, placeholder=" …") or [""]
    first = Entry(LateSpans(partial(_spans, event, lines[0], width, has_names=has_names)), str(event.number))
    return first, *(Entry(fitted([Span(" " * indent), Span(line, _tone(event))], width)) for line in lines[1:])


def _spans(event: Event, text: str, width: int, *, has_names: bool) -> Spans:
    moment = datetime.fromtimestamp(event.wall_ns // 10**9).astimezone()
    spans = [
        Span(f" {moment:%H:%M:%S} ", Tone.DIM),
        Span(f"{SEVERITY_MARKS.get(event.severity, ' ')} ", severity_tone(event.severity)),
    ]
    if has_names:
        spans.append(Span(f"{padded(_name(event, width), name_width(width), is_left=True)}{'':{_GAP}}"))
    return fitted([*spans, Span(printable(text), _tone(event))], width)


def _name(event: Event, width: int) -> str:
    """Name a container, with its pod where there is room and the name does not say it."""
    name = printable(event.name)
    full = printable(f"{event.pod}/{event.name}")
    has_room = cell_width(full) <= name_width(width) and not event.name.startswith(event.pod)
    return full if event.pod and has_room else name


def _tone(event: Event) -> Tone:
    return severity_tone(event.severity)


def title_spans(
    events: Events,
    width: int,
    *,
    has_names: bool = True,
    filter_text: str = "",
    count: int | None = None,
    choice: str = "",
) -> Spans:
    """Write the title; with a filter, or another choice, ``count`` is how many are shown of all."""
    who = f"{'WHO':{name_width(width) + _GAP}}" if has_names else ""
    spans = [Span(f" {'TIME':{_TIME_WIDTH - 1}}{who}WHAT", Tone.DIM)]
    if filter_text or choice:
        how_many = "" if count is None else f"{count} of {len(events.entries)}"
        spans.append(Span(f"   {how_many}", Tone.DIM))
        spans += [Span(f" {choice}", Tone.ACCENT)] if choice else []
        spans += [Span(" with ", Tone.DIM), Span(printable(filter_text), Tone.ACCENT)] if filter_text else []
    elif events.forgotten:
        spans += [Span(f"   {events.forgotten} older ones are forgotten", Tone.DIM)]
    return fitted(spans, width)


def empty_entry(events: Events, filter_text: str, width: int, choice: str = "") -> Entry:
    """Say why there is nothing to see."""
    if choice and events.entries:
        having = f" with {printable(filter_text)}" if filter_text else ""
        return Entry(fitted([Span(f" nothing of {choice}{having}; t and z show more", Tone.DIM)], width))
    if filter_text and events.entries:
        text = f"nothing that has happened has {printable(filter_text)} in it; esc shows all"
    else:
        moment = datetime.fromtimestamp(events.since_ns // 10**9).astimezone()
        text = f"nothing has happened since {moment:%H:%M:%S}, when topcon was started"
    return Entry(fitted([Span(f" {text}", Tone.DIM)], width))


def of_node(snapshot: Snapshot, node: Node) -> tuple[Event, ...]:
    """Return what has happened to a container and to those before it in its place, or to all in a pod or group."""
    entries = snapshot.events.entries
    if isinstance(node, PodNode):
        keys = {node.key, *(container.key for container in node.containers)}
        title = "" if is_group(node) else pod_title(node)
        return tuple(each for each in entries if each.target in keys or (title and each.pod == title))
    pods = (*snapshot.pods, *snapshot.tombs)
    home = next((pod for pod in pods if any(each.key == node.key for each in pod.containers)), None)
    place = (node.name, pod_title(home) if home is not None else "")
    return tuple(each for each in entries if each.target == node.key or (each.name, each.pod) == place)


def successor(snapshot: Snapshot, event: Event) -> ContainerNode | None:
    """Return the container that an event is of, or the one that has its place now; None if neither is there."""
    container = snapshot.containers.get(ContainerKey(event.target))
    if container is not None:
        return container
    homes = (pod for pod in snapshot.pods if pod_title(pod) == event.pod)
    return next((each for pod in homes for each in pod.containers if each.name == event.name), None)
