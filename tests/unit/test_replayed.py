"""What a recording shows is what was seen live."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from captured import HOSTS, begun_ns, sampler_of
from fakes import SECOND_NS, START_WALL_NS
from played import PlayedHost
from samples import docker_key, docker_runtime, host_of, running, sample_of

from topcon.errors import RecordingUnreadable
from topcon.findings import DEFAULT_THRESHOLDS, Threshold
from topcon.model.event import Kind
from topcon.model.sample import CgroupEvents, MachineIds
from topcon.recording.codec import KEY_EVERY, SHORTCUT_EVERY
from topcon.recording.reader import Reader
from topcon.recording.replayed import BEFORE, NEAR, Replay, after, snapshots
from topcon.recording.writer import Writer
from topcon.sampler import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from topcon.model.sample import CgroupSample, Sample
    from topcon.model.snapshot import Snapshot

LATER = 2 * SHORTCUT_EVERY + 4
"""A little after a shortcut; what the host began with is over by then."""
TICKS = LATER + 6


def plain(snapshot: Snapshot) -> dict[str, Any]:
    """What a snapshot says, but for how long topcon's own work took."""
    sample = snapshot.sample
    quiet = replace(sample, sources=(), runtimes=tuple(replace(each, duration_s=None) for each in sample.runtimes))
    return {each.name: getattr(snapshot, each.name) for each in fields(snapshot)} | {"sample": quiet}


def assert_same(taken: Iterable[Snapshot], live: Iterable[Snapshot]) -> None:
    for now, was in zip(taken, live, strict=True):
        shown = plain(now)
        for name, value in plain(was).items():
            assert shown[name] == value, (was.tick, name)


def record(path: Path, live: Iterable[Snapshot]) -> Path:
    writer = Writer(path)
    for snapshot in live:
        writer.write(snapshot)
    writer.close()
    return path


def recorded(path: Path, samples: Iterable[Sample]) -> Path:
    snapshot = None
    live = [snapshot := after(snapshot, each) for each in samples]
    return record(path, live)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    """A host that goes on, of which a container is gone after a while, and another one ends."""
    host = PlayedHost(tmp_path_factory.mktemp("played") / "host")
    assert host.sampler.newest is not None
    live = [host.sampler.newest]
    for tick in range(1, TICKS):
        if tick == LATER - 3:
            host.docker.infos = host.docker.infos[:-1]
        live.append(host.tick())
    host.close()
    return live


@pytest.fixture(scope="session")
def path(played: list[Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded") / "played.topcon", played)


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_replay_of_a_captured_host_equals_live(folder: Path, tmp_path: Path) -> None:
    seconds, ticks = count(1), count()
    clock = Clock(lambda: begun_ns(folder) + next(ticks) * SECOND_NS, lambda: next(seconds) * SECOND_NS)
    sampler = sampler_of(folder, clock)
    live = [sampler.tick() for _ in range(4)]
    sampler.close()

    with Reader(record(tmp_path / "a.topcon", live)) as reader:
        assert_same(snapshots(reader, 0, 4), live)


def test_replay_of_a_host_that_goes_on_equals_live(path: Path, played: list[Snapshot]) -> None:
    with Reader(path) as reader:
        assert_same(snapshots(reader, 0, TICKS), played)


def test_steps_are_as_a_replay(path: Path, played: list[Snapshot]) -> None:
    with Reader(path) as reader:
        replay = Replay(reader)
        assert replay.index is None
        taken = [replay.at(0)]
        while not replay.is_at_end:
            taken.append(replay.step())
        assert replay.index == TICKS - 1

    assert_same(taken, played)


@pytest.mark.parametrize("index", [1, 5, SHORTCUT_EVERY, LATER, LATER + 1, TICKS - 1])
def test_a_jump_shows_what_was_then(path: Path, played: list[Snapshot], index: int) -> None:
    live = played[index]
    with Reader(path) as reader:
        taken = Replay(reader).at(index)

    assert {key: _now(node.usage) for key, node in taken.containers.items()} == {
        key: _now(node.usage) for key, node in live.containers.items()
    }
    assert taken.host.cpu_cores == live.host.cpu_cores
    assert taken.interval_s == live.interval_s
    assert taken.events.entries == live.events.entries
    assert taken.events.count == live.events.count
    assert {(each.code, each.target) for each in taken.findings} == {
        (each.code, each.target) for each in live.findings if each.code != "odd-one-out"
    }


EACH = 4
"""Samples of each of the times below."""


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host of which now one and then another thing changes that tells who is there, and as what."""
    as_it_was = [running("a"), running("b"), running("c", info={"joins_network_of": "b"})]
    frozen = [running("a", events=CgroupEvents(populated=True, frozen=True)), *as_it_was[1:]]
    again = [running("a", inode=1234, process={"pid": 4321}), *as_it_was[1:]]
    more = [*as_it_was, running("d")]
    samples = []
    for boxes, runtime in (
        (as_it_was, docker_runtime()),
        (frozen, docker_runtime()),
        (as_it_was, docker_runtime(silent_s=60.0)),
        (again, docker_runtime()),
        (more, docker_runtime()),
        (as_it_was, docker_runtime()),
    ):
        for _ in range(EACH):
            seconds = len(samples)
            moved = [replace(box, cgroup=busier(box.cgroup, seconds)) for box in boxes]
            samples.append(sample_of(*moved, seconds=seconds, runtimes=(runtime,)))
    return recorded(tmp_path_factory.mktemp("changing") / "changing.topcon", samples)


def busier(cgroup: CgroupSample | None, seconds: int) -> CgroupSample:
    assert cgroup is not None
    assert cgroup.cpu is not None
    return cgroup._replace(cpu=cgroup.cpu._replace(usage_usec=1000 * seconds))


@pytest.mark.parametrize("shown", range(0, 6 * EACH, 3))
def test_a_jump_shows_the_same_wherever_it_is_from(changing: Path, shown: int) -> None:
    with Reader(changing) as reader, Reader(changing) as other:
        for index in range(6 * EACH):
            like = Replay(reader).at(shown)
            assert_same([Replay(reader, like=like).at(index)], [Replay(other).at(index)])


def test_who_belongs_together_is_not_asked_again_while_the_same_are_there(changing: Path, tmp_path: Path) -> None:
    lasting = (sample_of(running("a", usage_usec=1000 * at), seconds=at) for at in range(2 * KEY_EVERY))
    with Reader(recorded(tmp_path / "lasting.topcon", lasting)) as reader:
        like = Replay(reader).at(1)
        for index in (2, KEY_EVERY + 1, KEY_EVERY + SHORTCUT_EVERY, 3, 2 * KEY_EVERY - 1):
            assert Replay(reader, like=like).at(index).groups is like.groups

    with Reader(changing) as reader:
        like = Replay(reader).at(1)
        assert all(Replay(reader, like=like).at(index).groups is not like.groups for index in range(EACH, 6 * EACH))


def _now(usage: Any) -> Any:
    """What is used, without what was."""
    return usage._replace(cpu_history=None, course=None)


def test_after_a_jump_nothing_is_told_again(path: Path, played: list[Snapshot]) -> None:
    with Reader(path) as reader:
        replay = Replay(reader)
        replay.at(LATER - 5)
        taken = [replay.step() for _ in range(10)]

    assert taken[-1].events.entries == played[LATER + 5].events.entries


def test_what_comes_soon_is_gone_on_to(path: Path) -> None:
    with Reader(path) as reader:
        replay = Replay(reader)
        first = replay.at(0)
        assert replay.at(0) is first
        assert replay.at(NEAR).tick == NEAR
        assert replay.at(2 * NEAR).tick == 2 * NEAR
        assert replay.at(NEAR).tick == BEFORE
        assert replay.at(NEAR + 1).tick == BEFORE + 1
        assert replay.at(TICKS - 1).tick == BEFORE


def test_the_thresholds_are_those_of_who_looks(path: Path) -> None:
    with Reader(path) as reader:
        usual = Replay(reader, DEFAULT_THRESHOLDS).at(20)
        strict = Replay(reader, replace(DEFAULT_THRESHOLDS, memory_near_limit=Threshold(0.01, 0.02))).at(20)

    assert len(strict.findings) > len(usual.findings)


def test_after_the_host_was_started_anew_only_the_events_stay(tmp_path: Path) -> None:
    def of(boot: str, seconds: int, *names: str) -> Sample:
        host = host_of(machine=MachineIds(boot_id=boot))
        return sample_of(*(running(name, usage_usec=seconds * 1000) for name in names), seconds=seconds, host=host)

    before = [of("one", at, *"ab"[: 2 - at // 5]) for at in range(8)]
    later = [replace(of("two", at, "a"), wall_ns=START_WALL_NS + (100 + at) * SECOND_NS) for at in range(3)]
    path = recorded(tmp_path / "a.topcon", [*before, *later])

    with Reader(path) as reader:
        *_, last_before, first, second, _ = snapshots(reader, 0, len(reader.times))

    assert Kind.EXIT in {each.kind for each in last_before.events.entries}
    assert first.events.entries == last_before.events.entries
    assert first.containers[docker_key("a")].usage.cpu_cores is None
    assert second.containers[docker_key("a")].usage.cpu_cores == pytest.approx(0.001)


def damage(path: Path, index: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        ((wall_ns,),) = connection.execute("SELECT wall_ns FROM frames ORDER BY wall_ns LIMIT 1 OFFSET ?", (index,))
        connection.execute("UPDATE frames SET payload = 'x' WHERE wall_ns = ?", (wall_ns,))
        connection.commit()


def test_what_is_damaged_is_passed_over_by_who_wants_to_go_on(tmp_path: Path) -> None:
    samples = [sample_of(running("a", usage_usec=1000 * at), seconds=at) for at in range(2 * KEY_EVERY)]
    path = recorded(tmp_path / "a.topcon", samples)
    damage(path, KEY_EVERY - 2)

    with Reader(path) as reader:
        with pytest.raises(RecordingUnreadable):
            list(snapshots(reader, 0, len(reader.times)))
        said: list[RecordingUnreadable] = []
        taken = list(snapshots(reader, 0, len(reader.times), on_damage=said.append))
        jumped = Replay(reader).at(KEY_EVERY + 1)

    assert [each.sample for each in taken] == samples[: KEY_EVERY - 2] + samples[KEY_EVERY:]
    assert len(said) == 1
    assert jumped.containers[docker_key("a")].usage.cpu_cores == pytest.approx(0.001)


def test_the_end_may_be_damaged(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.topcon", [sample_of(running("a"), seconds=at) for at in range(5)])
    damage(path, 3)

    with Reader(path) as reader:
        taken = list(snapshots(reader, 0, 5, on_damage=lambda _: None))

    assert len(taken) == 3
