"""The commands that change containers: ``stop``, ``restart``, ``pause``, ``unpause``, ``kill``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from topcon import wiring
from topcon.commands.once import sampled
from topcon.commands.options import add_settings, config_of
from topcon.commands.status import EXIT_FAILED
from topcon.errors import TopconError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.actions import Actions, Request, Verb, Way
    from topcon.commands.options import Parser
    from topcon.model.snapshot import ContainerNode, Snapshot

LONGEST_GRACE_S = 86400


def fill(verb: str, action: Parser) -> None:
    """Add the options of a command that acts."""
    from topcon.config import HOST_SETTINGS

    action.add_argument("targets", nargs="+", metavar="TARGET", help="name, start of an id, or runtime:name")
    action.add_argument("--yes", action="store_true", help="do not ask")
    if verb in {"stop", "restart"}:
        action.add_argument("--grace", type=_grace, metavar="S", help="seconds before SIGKILL")
    if verb == "kill":
        action.add_argument("--signal", type=_signal, default="SIGKILL", help="which (default SIGKILL)")
    add_settings(action, *HOST_SETTINGS)
    action.set_defaults(run=_run_action, verb=verb)


def _grace(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_GRACE_S:
        message = f"{text!r}: expected seconds, from 0 to {LONGEST_GRACE_S}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def _signal(text: str) -> str:
    from topcon.signals import signal_name

    try:
        return signal_name(text)
    except ValueError:
        message = f"{text!r}: there is no such signal"
        raise argparse.ArgumentTypeError(message) from None


def _run_action(options: dict[str, Any]) -> int:
    from topcon.actions import Verb, request_for
    from topcon.report import problem_text

    verb = Verb(options.pop("verb"))
    targets: list[str] = options.pop("targets")
    is_sure: bool = options.pop("yes")
    grace_s: float | None = options.pop("grace", None)
    signal_name: str = options.pop("signal", "SIGKILL")
    config = config_of(options)
    with sampled(config, None) as (snapshot, runtimes):
        actions = wiring.build_actions(config, runtimes)
        if actions is None:
            message = f"{verb}: refused, since read-only is set"
            raise UsageError(message)
        containers = [_resolve(target, snapshot) for target in targets]
        for problem in snapshot.sample.problems:
            sys.stderr.write(f"topcon: {problem_text(problem)}\n")
        requests = [
            request_for(verb, container, grace_s, signal_name, _way(verb, container, actions))
            for container in containers
        ]
        if not is_sure:
            _ask(list(zip(requests, containers, strict=True)), snapshot, actions)
        return max(_perform(actions, request) for request in requests)


def _perform(actions: Actions, request: Request) -> int:
    outcome = actions.perform(request)
    (sys.stderr if outcome.error else sys.stdout).write(f"{'topcon: ' if outcome.error else ''}{outcome.text}\n")
    return EXIT_FAILED if outcome.error else 0


def _resolve(target: str, snapshot: Snapshot) -> ContainerNode:
    """Find the one container that a person means: by name, by ``runtime:name``, or by the start of its id."""
    from topcon.text import printable

    runtime, colon, rest = target.partition(":")
    name = rest if colon else target
    candidates = [
        container for container in snapshot.containers.values() if not colon or container.info.runtime == runtime
    ]
    found = [each for each in candidates if name in {each.name, each.info.id}]
    found = found or [each for each in candidates if name and each.info.id.startswith(name)]
    if not found:
        message = f"{target}: there is no such container; topcon ps lists them"
        raise UsageError(message)
    if len(found) > 1:
        names = ", ".join(sorted(f"{each.info.runtime}:{printable(each.name)} ({each.info.id[:12]})" for each in found))
        message = f"{target}: which one? {names}"
        raise UsageError(message)
    return found[0]


def _way(verb: Verb, container: ContainerNode, actions: Actions) -> Way:
    """Choose who does it.

    Raises:
        TopconError: nobody can.
    """
    from topcon.text import printable

    way = actions.way(verb, container) if verb in actions.verbs(container) else None
    if way is None:
        message = f"cannot {verb} {printable(container.name)}: {actions.obstacle(verb, container)}"
        raise TopconError(message)
    return way


def _ask(asked: Sequence[tuple[Request, ContainerNode]], snapshot: Snapshot, actions: Actions) -> None:
    """Ask on the terminal, with the consequences; anything but yes is no."""
    from topcon.actions import Way, describe
    from topcon.text import printable

    if not sys.stdin.isatty():
        message = f"{asked[0][0].verb} asks first, and there is no terminal to ask at; --yes goes ahead"
        raise UsageError(message)
    for request, container in asked:
        way = ", through the kernel" if request.way is Way.KERNEL else ""
        sys.stderr.write(f"{request.verb} {printable(request.name)} ({request.key}{way})\n")
        consequences = actions.consequences(request.verb, container, snapshot, request.way, request.signal)
        for line in [describe(request, container), *consequences]:
            sys.stderr.write(f"  {line}\n")
    sys.stderr.write("Go ahead? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        message = "nothing was done"
        raise TopconError(message)
