"""Where what a container writes goes to, as mounts tell it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import container_id, info_of

from topcon.kernel.mount import Mount, parse_mountinfo, seen_from
from topcon.kernel.written import (
    docker_root,
    in_force,
    is_of_host,
    kind_of,
    log_places,
    memory_of,
    name_of,
    outside_of,
    volumes_of,
)
from topcon.model.files import MountKind
from topcon.model.sample import PodInfo, PodKind

ID = container_id("web")
HOST = """\
1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
2 1 8:2 / /var rw shared:2 - xfs /dev/sda2 rw
3 1 0:20 / /dev/shm rw - tmpfs tmpfs rw
4 1 0:21 / /run rw - tmpfs tmpfs rw
5 1 0:22 / /var/lib/docker/containers/x/mounts/shm rw - tmpfs shm rw
6 1 8:3 / /data rw - ext4 /dev/sdb rw
7 1 0:40 /@home /home rw - btrfs /dev/sdc rw
"""
CONTAINER = f"""\
500 1 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/abc/diff,workdir=/w
501 500 0:61 / /proc rw - proc proc rw
502 500 0:62 / /dev rw - tmpfs tmpfs rw,size=65536k
503 502 0:22 / /dev/shm rw - tmpfs shm rw,size=65536k
504 501 0:63 / /proc/acpi ro - tmpfs tmpfs ro
505 500 8:2 /lib/docker/volumes/pg/_data /var/lib/postgresql rw master:2 - xfs /dev/sda2 rw
506 500 8:2 /lib/docker/containers/{ID}/hostname /etc/hostname rw - xfs /dev/sda2 rw
507 500 8:1 /etc/app /etc/app ro - ext4 /dev/sda1 rw
508 500 8:1 /srv/www /srv rw shared:9 - ext4 /dev/sda1 rw
509 500 0:20 / /host-shm rw - tmpfs tmpfs rw
510 500 0:21 /docker.sock /run/docker.sock rw - tmpfs tmpfs rw
511 500 8:3 / /data rw - ext4 /dev/sdb rw
512 500 8:1 / /host ro - ext4 /dev/sda1 rw
513 500 0:70 / /nfs rw - nfs4 server:/x rw
"""


def parsed(text: str) -> list[Mount]:
    return in_force(parse_mountinfo(text.encode(), "mountinfo"))


def at(point: str, text: str = CONTAINER) -> Mount:
    return next(mount for mount in parsed(text) if mount.point == point)


OUTSIDE = outside_of(parsed(HOST))


@pytest.mark.parametrize(
    ("point", "kind", "name"),
    [
        ("/", MountKind.OVERLAY, "overlay"),
        ("/dev/shm", MountKind.TMPFS, "shm"),
        ("/var/lib/postgresql", MountKind.VOLUME, "pg"),
        ("/etc/hostname", MountKind.BIND, f"/var/lib/docker/containers/{ID}/hostname"),
        ("/srv", MountKind.BIND, "/srv/www"),
        ("/run/docker.sock", MountKind.BIND, "/run/docker.sock"),
        ("/data", MountKind.DISK, "/dev/sdb"),
        ("/nfs", MountKind.NETWORK, "server:/x"),
    ],
)
def test_what_a_mount_is_for(point: str, kind: MountKind, name: str) -> None:
    mount = at(point)

    assert kind_of(mount) is kind
    assert name_of(mount, kind, OUTSIDE) == name


@pytest.mark.parametrize("point", ["/proc", "/proc/acpi"])
def test_the_kernels_own_are_for_nobody(point: str) -> None:
    assert kind_of(at(point)) is None


def test_volumes_are_what_a_disk_keeps_and_can_be_written_to() -> None:
    assert [mount.point for mount in volumes_of(parsed(CONTAINER))] == [
        "/var/lib/postgresql",
        "/etc/hostname",
        "/srv",
        "/data",
    ]


def test_memory_is_what_the_host_does_not_keep_for_itself() -> None:
    assert [mount.point for mount in memory_of(parsed(CONTAINER), OUTSIDE)] == ["/dev", "/dev/shm"]


def test_a_later_mount_hides_the_one_before() -> None:
    text = "1 0 8:1 /a /x rw - ext4 /dev/sda1 rw\n2 0 0:9 / /x rw - tmpfs t rw\n"

    assert [mount.fstype for mount in parsed(text)] == ["tmpfs"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 0 8:2 /lib/x /y rw - xfs /dev/sda2 rw", "/var/lib/x"),
        ("1 0 8:2 / /y rw - xfs /dev/sda2 rw", "/var"),
        ("1 0 8:1 /srv /y rw - ext4 /dev/sda1 rw", "/srv"),
        ("1 0 0:40 /@home/me /y rw - btrfs /dev/sdc rw", "/home/me"),
        ("1 0 0:40 /@root/x /y rw - btrfs /dev/sdc rw", None),
        ("1 0 9:9 /x /y rw - ext4 /dev/sdz rw", None),
    ],
)
def test_where_the_host_sees_it(line: str, expected: str | None) -> None:
    assert seen_from(parsed(f"{line}\n")[0], parsed(HOST)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 0 8:1 / /host rw - ext4 /dev/sda1 rw", True),
        ("1 0 8:2 / /host rw - xfs /dev/sda2 rw", True),
        ("1 0 8:3 / /data rw - ext4 /dev/sdb rw", False),
        ("1 0 9:9 / /data rw - ext4 /dev/sdz rw", False),
    ],
)
def test_whether_the_host_lives_on_a_whole_disk(line: str, *, expected: bool) -> None:
    assert is_of_host(parsed(f"{line}\n")[0], OUTSIDE) is expected


def test_docker_tells_where_it_keeps_all() -> None:
    assert docker_root(parsed(CONTAINER), OUTSIDE) == ("/var/lib/docker", ID)
    assert docker_root(parsed(HOST), OUTSIDE) is None


@pytest.mark.parametrize(
    ("options", "mounts", "paths"),
    [
        (
            {},
            CONTAINER,
            [
                f"/var/lib/docker/containers/{ID}/{ID}-json.log",
                f"/var/lib/docker/containers/{ID}/local-logs/container.log",
            ],
        ),
        (
            {"runtime": "podman"},
            "1 0 0:6 / / rw - overlay overlay rw,upperdir=/home/me/storage/overlay/abc/diff\n",
            [f"/home/me/storage/overlay-containers/{ID}/userdata/ctr.log"],
        ),
        (
            {"runtime": "containerd", "pod": PodInfo(PodKind.KUBERNETES, "uid-1", "shop", "prod")},
            "",
            ["/var/log/pods/prod_shop_uid-1/web"],
        ),
        ({"runtime": "containerd", "pod": PodInfo(PodKind.KUBERNETES, "uid-1", "a/../b", "prod")}, "", []),
        ({"runtime": "lxc"}, "", []),
    ],
    ids=["docker", "podman", "pod", "hostile", "none"],
)
def test_where_logs_are(options: dict[str, object], mounts: str, paths: list[str]) -> None:
    places = log_places(info_of("web", **options), parsed(mounts), OUTSIDE)

    assert [place.path for place in places] == paths


def test_flags_and_peers_of_a_mount() -> None:
    assert at("/etc/app").is_read_only
    assert not at("/srv").is_read_only
    assert at("/proc/acpi").is_read_only
    assert (at("/srv").id, at("/srv").peers) == (508, ("shared:9",))
    assert at("/data").peers == ()


@given(st.lists(st.text(), min_size=2, max_size=2), st.text(), st.text())
def test_any_names_are_sorted_out(paths: list[str], fstype: str, source: str) -> None:
    mount = Mount((8, 1), f"/{paths[0]}", f"/{paths[1]}", fstype, source, frozenset())
    kind = kind_of(mount)
    if kind is not None:
        assert isinstance(name_of(mount, kind, outside_of([mount])), str)
    list(volumes_of([mount]))
    list(memory_of([mount], outside_of([mount])))
