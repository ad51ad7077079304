"""What a runtime says of one container when it is asked for all of it, beside what its lists say. Foreign text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Attachment(NamedTuple):
    """A network that a container is attached to."""

    network: str
    addresses: tuple[str, ...] = ()
    """With the length of their prefix, where it is known."""
    gateway: str | None = None
    mac: str | None = None


class HealthCheck(NamedTuple):
    """A run of a health check."""

    time_ns: int | None
    exit_code: int | None
    output: str


@dataclass(frozen=True, slots=True)
class About:
    """None or empty: it does not say, or there is none."""

    digest: str | None = None
    """What tells the image from others of its name."""
    user: str | None = None
    """Whom its first process runs as, as the image or a person named it."""
    error: str | None = None
    """Why it could not be started, or has ended."""
    memory_reserved_bytes: int | None = None
    """What it is left when others need memory."""
    swap_limit_bytes: int | None = None
    """Memory and swap together."""
    cpu_shares: int | None = None
    """Its weight beside others, of 1024."""
    cpus: str | None = None
    """The CPUs that it may run on."""
    attachments: tuple[Attachment, ...] = ()
    failing: int | None = None
    """How many health checks in a row have failed."""
    checks: tuple[HealthCheck, ...] = ()
    """The last runs of its health check, the newest last."""
