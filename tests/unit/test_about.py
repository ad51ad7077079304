"""What runtimes say of one container, in each of their forms, and in none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from samples import JSON

from topcon.model.about import About, Attachment, HealthCheck
from topcon.runtimes.about import MOST_CHECKS, MOST_OUTPUT, to_about

DOCKER: dict[str, Any] = {
    "Image": "sha256:abc",
    "Config": {"Image": "nginx:1.27", "User": "nginx"},
    "State": {
        "Error": "",
        "Health": {
            "Status": "unhealthy",
            "FailingStreak": 2,
            "Log": [
                {"Start": "2026-09-21T14:13:20.5Z", "End": "2026-09-21T14:13:21Z", "ExitCode": 0, "Output": "ok\n"},
                {"Start": "2026-09-21T16:13:21.5+02:00", "ExitCode": 1, "Output": "refused"},
            ],
        },
    },
    "HostConfig": {"MemoryReservation": 64 << 20, "MemorySwap": -1, "CpuShares": 512, "CpusetCpus": "0-1"},
    "NetworkSettings": {
        "Networks": {
            "shop_default": {
                "IPAddress": "172.18.0.3",
                "IPPrefixLen": 16,
                "Gateway": "172.18.0.1",
                "GlobalIPv6Address": "fd00::3",
                "GlobalIPv6PrefixLen": 64,
                "MacAddress": "02:42:ac:12:00:03",
            },
            "none": {"IPAddress": "", "IPPrefixLen": 0, "Gateway": "", "GlobalIPv6Address": "", "MacAddress": ""},
        }
    },
}


def test_dockers_form() -> None:
    assert to_about(DOCKER) == About(
        digest="sha256:abc",
        user="nginx",
        memory_reserved_bytes=64 << 20,
        cpu_shares=512,
        cpus="0-1",
        attachments=(
            Attachment("none"),
            Attachment("shop_default", ("172.18.0.3/16", "fd00::3/64"), "172.18.0.1", "02:42:ac:12:00:03"),
        ),
        failing=2,
        checks=(
            HealthCheck(1_790_000_000_500_000_000, 0, "ok"),
            HealthCheck(1_790_000_001_500_000_000, 1, "refused"),
        ),
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"Config": {"Image": "nginx@sha256:def"}, "Image": "sha256:abc"}, About(digest="sha256:def")),
        ({"ImageDigest": "sha256:ghi", "Image": "abc"}, About(digest="sha256:ghi")),
        (
            {
                "imageRef": "docker.io/library/redis@sha256:def",
                "message": "back-off",
                "reason": "Error",
                "resources": {"linux": {"cpuShares": "102", "cpusetCpus": ""}},
                "info": {"runtimeSpec": {"process": {"user": {"uid": 999, "gid": 1000}}}},
            },
            About(digest="sha256:def", user="999:1000", error="back-off", cpu_shares=102),
        ),
        ({"spec": {"process": {"user": {"uid": 0}}}}, About(user="0")),
        (
            {
                "config": {"volatile.base_image": "f00"},
                "state": {
                    "network": {
                        "eth0": {
                            "addresses": [
                                {"address": "10.1.2.3", "netmask": "24"},
                                {"address": "fe80::1", "netmask": ""},
                            ],
                            "hwaddr": "00:16:3e:00:00:01",
                        },
                        "lo": {"addresses": [{"address": "127.0.0.1", "netmask": "8"}]},
                    }
                },
            },
            About(
                digest="f00", attachments=(Attachment("eth0", ("10.1.2.3/24", "fe80::1"), None, "00:16:3e:00:00:01"),)
            ),
        ),
        ({"HostConfig": {"MemoryReservation": 0, "MemorySwap": 1 << 30}}, About(swap_limit_bytes=1 << 30)),
        ({"State": {"Error": "no such file"}}, About(error="no such file")),
        ({}, About()),
    ],
    ids=["pinned", "podman", "cri", "containerd", "incus", "limits", "error", "nothing"],
)
def test_other_forms(entry: dict[str, Any], expected: About) -> None:
    assert to_about(entry) == expected


def test_of_many_and_long_checks_the_last_are_kept_and_cut() -> None:
    log = [{"ExitCode": at, "Output": "x" * 100_000} for at in range(50)]

    checks = to_about({"State": {"Health": {"Log": log}}}).checks

    assert [check.exit_code for check in checks] == list(range(50 - MOST_CHECKS, 50))
    assert {len(check.output) for check in checks} == {MOST_OUTPUT}


@given(JSON, JSON)
def test_whatever_it_is_it_is_taken_apart(one: object, other: object) -> None:
    """A runtime may be another than we think, or lie."""
    keys = (
        "Config",
        "State",
        "HostConfig",
        "NetworkSettings",
        "resources",
        "spec",
        "info",
        "state",
        "Image",
        "message",
    )
    for key in keys:
        to_about({key: one, "State": {"Health": {"Log": other}}, "NetworkSettings": {"Networks": other}} | {key: one})
    if isinstance(one, dict):
        to_about(one)
