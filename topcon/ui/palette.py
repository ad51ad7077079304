"""All that can be done here and now: the commands, and what has a key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.ui.bindings import KEYS, key_text, keys_of
from topcon.ui.command import COMMANDS, Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import App
    from textual.dom import DOMNode

    from topcon.ui.bindings import Keymap
    from topcon.ui.command import Argument

_UNSAID = frozenset(("command", "interrupt", "close", "back"))
"""What opens and closes the list itself, and what quitting is called already."""
_TEXTS = {(key.id, key.action): key.text for key in KEYS}


class Possible(NamedTuple):
    """What can be done."""

    commands: list[Command]
    nodes: Mapping[str, DOMNode]
    """Of whom each action is."""


def possible(app: App[Any], keymap: Keymap, arguments: Mapping[str, Argument]) -> Possible:
    """Return what can be done on the screen that is shown, by what has the focus."""
    nodes: dict[str, DOMNode] = {}
    commands: list[Command] = []
    for command in COMMANDS:
        found = _offered(app, command, arguments, nodes)
        if found is not None:
            name = next((key.id for key in KEYS if key.action in {found.action, found.bare}), None)
            commands.append(found if name is None else replace(found, keys=_keys_text(name, keymap)))
    known = {name for command in commands for name in command.names} | _UNSAID
    for active in app.screen.active_bindings.values():
        binding = active.binding
        if binding.id is None or binding.id in known or not active.enabled:
            continue
        known.add(binding.id)
        text = _TEXTS.get((binding.id, binding.action), binding.description)
        commands.append(Command((binding.id,), text, binding.action, keys=_keys_text(binding.id, keymap)))
        nodes[binding.action] = active.node
    return Possible(commands, nodes)


def _keys_text(name: str, keymap: Keymap) -> str:
    return " ".join(map(key_text, keys_of(name, keymap)))


def _offered(
    app: App[Any], command: Command, arguments: Mapping[str, Argument], nodes: dict[str, DOMNode]
) -> Command | None:
    """Return a command as far as there is somebody who can do it."""
    bare = _owned(app, command.bare, nodes)
    if command.metavar is not None and command.metavar not in arguments:
        return None if bare is None else replace(command, action=bare, metavar=None, bare=None)
    if _owned(app, command.action, nodes) is None:
        return None if bare is None else replace(command, action=bare, metavar=None, bare=None)
    return replace(command, bare=bare)


def _owned(app: App[Any], action: str | None, nodes: dict[str, DOMNode]) -> str | None:
    """Note whose action it is; None if it is not possible."""
    for node in (app.screen, app):
        if action is not None and hasattr(node, f"action_{action}") and node.check_action(action, ()):
            nodes[action] = node
            return action
    return None
