"""What is of interest in the JSON that runtimes return of one container, whichever of them it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from topcon.model.about import About, Attachment, HealthCheck
from topcon.runtimes.foreign import parse_any_time_ns, to_int, to_list, to_object, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_CHECKS = 5
MOST_OUTPUT = 4096
"""Characters of a health check's output."""


def to_about(entry: Mapping[str, Any]) -> About:
    """Take from an answer to inspect what is there: Docker's and Podman's, CRI's, containerd's, Incus'."""
    config, state = to_object(entry.get("Config")), to_object(entry.get("State"))
    limits = to_object(entry.get("HostConfig"))
    health = to_object(state.get("Health")) or to_object(state.get("Healthcheck"))
    resources = to_object(to_object(to_object(entry.get("resources")).get("linux")))
    return About(
        digest=_first(
            entry.get("ImageDigest"),
            _digest_in(config.get("Image")),
            _digest_in(entry.get("imageRef")),
            entry.get("Image"),
            to_object(entry.get("config")).get("volatile.base_image"),
        ),
        user=_first(config.get("User"), _user_of(entry)),
        error=_first(state.get("Error"), entry.get("message"), entry.get("reason")),
        memory_reserved_bytes=_positive(limits.get("MemoryReservation")),
        swap_limit_bytes=_positive(limits.get("MemorySwap")),
        cpu_shares=_positive(limits.get("CpuShares")) or _positive(resources.get("cpuShares")),
        cpus=_first(limits.get("CpusetCpus"), resources.get("cpusetCpus")),
        attachments=tuple(_attachments(entry)),
        failing=to_int(health.get("FailingStreak")),
        checks=tuple(_checks(to_list(health.get("Log")))),
    )


def _first(*values: object) -> str | None:
    return next((text for value in values if (text := to_text(value))), None)


def _positive(value: object) -> int | None:
    """Return a number of something; 0 is for none, -1 for no limit, and CRI writes its numbers as texts."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(1 << 63)):
        value = int(value)
    number = to_int(value)
    return number if number is not None and number > 0 else None


def _digest_in(image: object) -> str | None:
    """Return the digest of ``name@sha256:...``."""
    return (to_text(image) or "").partition("@")[2] or None


def _user_of(entry: Mapping[str, Any]) -> str | None:
    """Return whom the specification of a runtime says: the numbers of user and group."""
    spec = to_object(entry.get("spec")) or to_object(to_object(entry.get("info")).get("runtimeSpec"))
    user = to_object(to_object(spec.get("process")).get("user"))
    uid, gid = (to_int(user.get(name)) for name in ("uid", "gid"))
    return None if uid is None else f"{uid}:{gid}" if gid is not None else str(uid)


def _attachments(entry: Mapping[str, Any]) -> Iterator[Attachment]:
    networks = to_object(to_object(entry.get("NetworkSettings")).get("Networks"))
    for name, found in sorted(networks.items()):
        network = to_object(found)
        found_at = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
        addresses = tuple(_address(network.get(address), network.get(length)) for address, length in found_at)
        gateway, mac = to_text(network.get("Gateway")), to_text(network.get("MacAddress"))
        yield Attachment(name, tuple(filter(None, addresses)), gateway, mac)
    for name, found in sorted(to_object(to_object(entry.get("state")).get("network")).items()):
        interface = to_object(found)
        addresses = tuple(
            _address(to_object(each).get("address"), to_object(each).get("netmask"))
            for each in to_list(interface.get("addresses"))
        )
        if name != "lo":
            yield Attachment(name, tuple(filter(None, addresses)), None, to_text(interface.get("hwaddr")))


def _address(address: object, length: object) -> str | None:
    text, bits = to_text(address), _positive(length)
    return f"{text}/{bits}" if text and bits else text


def _checks(log: Iterable[object]) -> Iterator[HealthCheck]:
    for each in list(log)[-MOST_CHECKS:]:
        check = to_object(each)
        output = (to_text(check.get("Output")) or "")[:MOST_OUTPUT].strip()
        yield HealthCheck(parse_any_time_ns(check.get("Start")), to_int(check.get("ExitCode")), output)
