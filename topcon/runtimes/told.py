"""Events as Docker and those who answer in its language tell them, a JSON object a line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError
from topcon.model.event import Kind, Told
from topcon.model.sample import ContainerId, Health
from topcon.runtimes.foreign import to_int, to_labels, to_object, to_text, to_time_ns
from topcon.signals import signal_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    Event = Mapping[str, Any]


def parse_lines(text: str, path: str) -> list[Event]:
    """Parse a window of events, as ``path`` has told it.

    Raises:
        ParseError: a line is no object, or of what has no id.
    """
    events: list[Event] = []
    # Only the line ends that JSON escapes: labels can hold what Python takes for others.
    for line in text.split("\n"):
        if not line:
            continue
        try:
            event = json.loads(line)
            actor = (event.get("Actor") or {}).get("ID") or event.get("id")
        except (AttributeError, ValueError, RecursionError):
            raise ParseError(path, line) from None
        if actor and not isinstance(actor, str):
            raise ParseError(path, line)
        events.append(event)
    return events


def parse_new(data: bytes, seen: frozenset[str], path: str) -> tuple[list[Event], frozenset[str]]:
    """Parse a window of events that overlaps the one before, of which ``seen`` are the lines, and return its own.

    Raises:
        ParseError: a line is no object, or of what has no id.
    """
    lines = data.decode(errors="replace").split("\n")
    return parse_lines("\n".join(line for line in lines if line not in seen), path), frozenset(lines)


def container_of(event: Event) -> ContainerId | None:
    """Return the container that an event is of; None for one of an image, say."""
    container = to_object(event.get("Actor")).get("ID") or event.get("id")
    return ContainerId(container) if container and to_text(event.get("Type")) in {None, "container"} else None


def action_of(event: Event) -> str:
    """Return what happened, in the words of who tells it."""
    return str(event.get("Action") or event.get("status"))


def attributes_of(event: Event) -> Mapping[str, str]:
    """Return what is said of whom it happened to, labels among it."""
    return to_labels(to_object(event.get("Actor")).get("Attributes"))


def told_of(event: Event, runtime: str, kinds: Mapping[str, Kind]) -> Told | None:
    """Return what an event tells, for an action that is one of the ``kinds``; the name is as the runtime has it."""
    action, _, detail = action_of(event).partition(": ")
    kind, container, said = kinds.get(action), container_of(event), attributes_of(event)
    wall_ns = to_int(event.get("timeNano")) or (to_int(event.get("time")) or 0) * 10**9
    if kind is None or to_time_ns(wall_ns // 10**9) is None or (kind is Kind.PULL) is (container is not None):
        return None
    if container is None:
        image = to_text(to_object(event.get("Actor")).get("ID"))
        return Told(wall_ns, kind, f"runtime:{runtime}", runtime, detail=image or "an image")
    code = said.get("exitCode") or said.get("containerExitCode") or ""
    if kind is Kind.SIGNAL:
        detail = _signal(said.get("signal", ""))
    elif kind is Kind.RENAME:
        detail = said.get("oldName", "").lstrip("/")
    elif kind is Kind.HEALTH:
        detail = detail or to_text(event.get("HealthStatus")) or said.get("health_status", "")
        # That a check is under way is told in the same way.
        if detail not in set(Health):
            return None
    return Told(
        wall_ns,
        kind,
        f"{runtime}:{container}",
        said.get("name") or container[:12],
        int(code) if kind is Kind.EXIT and _CODE.fullmatch(code) else None,
        detail.strip(),
    )


_CODE = re.compile(r"\d{1,9}", re.ASCII)


def _signal(text: str) -> str:
    try:
        return signal_name(text)
    except ValueError:
        return text or "a signal"
