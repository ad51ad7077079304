"""What topcon itself knows of a container, in the form of JSON, for where nobody else says more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from topcon.model.namespaces import identity_of

if TYPE_CHECKING:
    from topcon.model.snapshot import ContainerNode


def known(container: ContainerNode, why: str) -> dict[str, Any]:
    """Return it, and ``why`` it is not the runtime's own words."""
    return {
        "topcon": why,
        "info": _plain(container.info),
        "process": _plain(container.process),
        "cgroup": _plain(container.cgroup),
        "network_namespace": identity_of(container, "net"),
        "shared_with_host": list(container.shared_with_host),
    }


def _plain(value: object) -> Any:  # noqa: ANN401  JSON
    """Turn values of the model into what JSON has."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(each) for name, each in zip(value._fields, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
