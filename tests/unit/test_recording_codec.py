"""Samples go into frames and come out of them as they were, whatever is in them, and whichever version wrote them."""

from __future__ import annotations

import types
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from itertools import pairwise
from operator import is_
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import pytest
from captured import HOSTS, sampler_of
from hypothesis import given, settings
from hypothesis import strategies as st
from played import PlayedHost
from samples import netns_of, running, sample_of, stopped, unhurried_in_making

from topcon.model.event import Kind, Told
from topcon.model.sample import Health, InterfaceStat, MemoryStat, Sample, State
from topcon.recording import codec
from topcon.recording.codec import (
    CHOICES,
    KEY_EVERY,
    LEAST_PACKED,
    RECORDS,
    SHORTCUT_EVERY,
    Decoder,
    Encoder,
    FrameUnreadable,
    Layout,
    numbered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

NAMES = {"Mapping": Mapping, "Told": Told, "Kind": Kind, "Callable": None}
"""What the modules of the model import for types alone."""


def hints_of(kind: type) -> dict[str, Any]:
    """The types of a record's fields."""
    return get_type_hints(kind, localns=NAMES)


def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields"))


def parts_of(hint: Any) -> Iterable[Any]:
    """All types that a type is made of."""
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) is not None:
        for each in get_args(hint):
            yield from parts_of(each)
    elif is_record(hint) or (isinstance(hint, type) and issubclass(hint, Enum)):
        yield hint


def all_within(kind: type, known: set[type]) -> set[type]:
    known.add(kind)
    for hint in hints_of(kind).values() if is_record(kind) else ():
        for part in parts_of(hint):
            if part not in known:
                all_within(part, known)
    return known


LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(1 << 70), 1 << 70) | st.integers(0, 300),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=6) | st.sampled_from(["a\x00b", "\udcff", "\U0001f433", "x" * 300]),
    bool: st.booleans(),
    type(None): st.none(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type."""
    hint = getattr(hint, "__supertype__", hint)
    if is_record(hint):
        return st.deferred(lambda: st.builds(hint, **{name: values_of(each) for name, each in hints_of(hint).items()}))
    if isinstance(hint, type):
        return st.sampled_from(list(hint)) if issubclass(hint, Enum) else LEAVES[hint]
    kind, arguments = get_origin(hint), get_args(hint)
    if kind in {Union, types.UnionType}:
        return st.one_of(*map(values_of, arguments))
    if kind is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, arguments))
    assert kind is Mapping
    return st.dictionaries(*map(values_of, arguments), max_size=3)


SAMPLES = values_of(Sample)


@st.composite
def runs(draw: st.DrawFn) -> list[Sample]:
    """Samples of which one takes over much of the one before, in other orders too."""
    samples = [draw(SAMPLES)]
    for _ in range(draw(st.integers(0, 3))):
        before = samples[-1]
        now = draw(SAMPLES)
        kept: dict[str, Any] = {}
        for name in draw(st.sets(st.sampled_from([each.name for each in fields(Sample)]))):
            was = getattr(before, name)
            if isinstance(was, dict) and draw(st.booleans()):
                items = draw(st.permutations([*was.items(), *getattr(now, name).items()]))
                was = dict(items[: draw(st.integers(0, len(items)))])
            elif type(was) is tuple and draw(st.booleans()):
                items = draw(st.permutations([*was, *getattr(now, name)]))
                was = tuple(items[: draw(st.integers(0, len(items)))])
            kept[name] = was
        samples.append(replace(now, **kept))
    return samples


def quiet(sample: Sample) -> Sample:
    """What is kept of a sample: durations of topcon's own work are rounded."""
    return codec._without_noise(sample)


def through(samples: Iterable[Sample]) -> list[Sample]:
    encoder = Encoder()
    decoder = Decoder(encoder.layouts)
    return [decoder.decode(encoder.encode(each).payload) for each in samples]


def played(tmp_path: Path, ticks: int) -> list[Sample]:
    with closing(PlayedHost(tmp_path / "host")) as host:
        return [host.tick().sample for _ in range(ticks)]


def test_all_that_a_sample_is_made_of_has_a_layout() -> None:
    assert all_within(Sample, set()) == {*RECORDS, *CHOICES}


@settings(unhurried_in_making, max_examples=25)
@given(runs())
def test_any_samples_come_out_as_they_went_in(samples: list[Sample]) -> None:
    for now, was in zip(through(samples), samples, strict=True):
        assert now == quiet(was)
        assert list(now.cgroups) == list(was.cgroups)


ANY_WIDTH = st.integers(0, 70).flatmap(lambda bits: st.integers(-(1 << bits), 1 << bits))


@st.composite
def counters(draw: st.DrawFn) -> list[Sample]:
    """Samples of many interfaces, whose counters are of any width, and go anywhere."""
    names = [f"eth{at}" for at in range(draw(st.sampled_from([4, LEAST_PACKED, 3 * LEAST_PACKED])))]
    size = {"min_size": len(names), "max_size": len(names)}
    samples = []
    for seconds in range(3):
        columns = [
            draw(st.lists(draw(st.sampled_from([ANY_WIDTH, st.integers(-5, 5), st.just(0)])), **size)) for _ in range(8)
        ]
        interfaces = dict(zip(names, map(InterfaceStat._make, zip(*columns, strict=True)), strict=True))
        samples.append(sample_of(running("a"), seconds=seconds, networks={netns_of("a"): interfaces}))
    return samples


@settings(unhurried_in_making, max_examples=50)
@given(counters())
def test_many_integers_of_any_width_come_out_as_they_went_in(samples: list[Sample]) -> None:
    assert through(samples) == samples


def test_more_integers_than_one_number_has_room_for_come_out_too() -> None:
    many = {f"eth{at}": InterfaceStat(at << 33, -at, *range(6)) for at in range((1 << 16) // 4)}
    sample = sample_of(running("a"), networks={netns_of("a"): many})

    assert through([sample]) == [sample]


@settings(unhurried_in_making, max_examples=25)
@given(runs(), st.data())
def test_key_frames_can_be_read_in_any_order(samples: list[Sample], data: st.DataObject) -> None:
    encoder = Encoder()
    frames = []
    for each in [*samples, *samples]:
        encoder.begin_anew()
        frames.append(encoder.encode(each))
    decoder = Decoder(encoder.layouts)

    for at in data.draw(st.permutations(range(len(frames)))):
        decoder.forget()
        assert decoder.decode(frames[at].payload) == quiet(samples[at % len(samples)])


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_a_captured_host_comes_out_as_it_went_in(folder: Path) -> None:
    sampler = sampler_of(folder)
    samples = [sampler.tick().sample for _ in range(3)]
    sampler.close()

    assert through(samples) == [quiet(each) for each in samples]


def test_a_host_that_goes_on_comes_out_as_it_went_in(tmp_path: Path) -> None:
    samples = played(tmp_path, SHORTCUT_EVERY + 2)

    assert through(samples) == [quiet(each) for each in samples]


def test_durations_of_its_own_work_alone_are_rounded(tmp_path: Path) -> None:
    (sample,) = played(tmp_path, 1)

    kept = quiet(sample)

    assert replace(kept, sources=sample.sources, runtimes=sample.runtimes) == sample
    for now, was in zip(kept.sources, sample.sources, strict=True):
        assert now.duration_s == pytest.approx(was.duration_s, abs=0.0001)
        assert replace(now, duration_s=was.duration_s, tiers=was.tiers) == was


def counted(names: Iterable[str], *, seconds: int, busy: Sequence[str] = ()) -> Sample:
    """Containers of which some have used the CPU until then."""
    return sample_of(*(running(name, usage_usec=seconds if name in busy else 0) for name in names), seconds=seconds)


def test_what_has_not_changed_is_the_very_same_object_over_key_frames_and_shortcuts_too() -> None:
    names = [f"c{at}" for at in range(20)]
    samples = [counted(names, seconds=at, busy=["c3"]) for at in range(KEY_EVERY + 2)]

    for before, now in pairwise(through(samples)):
        others = [path for path, cgroup in now.cgroups.items() if cgroup is not before.cgroups[path]]
        assert others == [running("c3").path]
        assert now.containers is before.containers
        assert now.found is before.found
        assert now.processes is before.processes


def key_frames(*samples: Sample) -> tuple[Decoder, list[bytes]]:
    encoder = Encoder()
    payloads = []
    for each in samples:
        encoder.begin_anew()
        payloads.append(encoder.encode(each).payload)
    return Decoder(encoder.layouts), payloads


def who_is_there(sample: Sample) -> tuple[object, ...]:
    return sample.found, sample.pods, sample.processes, sample.isolated, sample.containers


def test_who_is_there_is_the_very_same_wherever_one_goes_while_nobody_comes_or_goes() -> None:
    names = [f"c{at}" for at in range(20)]
    now, later = counted(names, seconds=0), counted(names, seconds=500, busy=names)
    decoder, (first, second) = key_frames(now, later)
    there = who_is_there(decoder.decode(first))

    for payload, sample in ((second, later), (first, now), (second, later)):
        decoder.forget()
        decoded = decoder.decode(payload)
        assert decoded == sample
        assert all(map(is_, who_is_there(decoded), there))


def test_who_has_come_or_gone_is_seen_wherever_one_goes() -> None:
    samples = [counted(names, seconds=at) for at, names in enumerate(("ab", "abc", "bc", "ab"))]
    decoder, payloads = key_frames(*samples)

    for at in (0, 1, 0, 2, 3, 1):
        decoder.forget()
        assert decoder.decode(payloads[at]) == samples[at]


def test_the_parts_of_a_key_frame_belong_together() -> None:
    decoder, (one, other, alike) = key_frames(
        counted("ab", seconds=0), counted("abc", seconds=1), counted("ab", seconds=2)
    )
    who, rest = in_parts(one)
    of_others, rest_of_others = in_parts(other)

    assert in_parts(alike)[0] == who
    for known in (None, one, other):
        for payload in (who, rest, who + rest_of_others, of_others + rest, one + rest):
            if known is not None:
                decoder.decode(known)
            decoder.forget()
            with pytest.raises(FrameUnreadable):
                decoder.decode(payload)
    assert decoder.decode(alike) == counted("ab", seconds=2)


def in_parts(payload: bytes) -> tuple[bytes, bytes]:
    """The two parts of a key frame."""
    opened = zlib.decompressobj()
    opened.decompress(payload)
    return payload[: len(payload) - len(opened.unused_data)], opened.unused_data


def test_who_comes_and_goes_is_in_the_order_in_which_it_was_read() -> None:
    names = ["a", "b", "c", "d", "e"]
    orders = (names, names[1:], ["x", *names[1:3], "y", *names[3:]], names[::-1], [], names)

    samples = [counted(order, seconds=at) for at, order in enumerate(orders)]

    for now, was in zip(through(samples), samples, strict=True):
        assert now == was
        assert list(now.cgroups) == list(was.cgroups)
        assert [each.name for each in now.containers] == [each.name for each in was.containers]


def test_the_same_containers_in_another_order_are_told_of() -> None:
    one, other = counted("ab", seconds=0), counted("ba", seconds=1)

    assert list(through([one, other])[1].cgroups) == list(other.cgroups)


def test_an_idle_host_takes_next_to_nothing() -> None:
    encoder = Encoder()
    samples = [counted([f"c{at}" for at in range(100)], seconds=at) for at in range(3)]

    *_, frame = [encoder.encode(each) for each in samples]

    assert len(frame.payload) < 60


def test_each_group_begins_with_a_key_frame_and_has_a_shortcut() -> None:
    encoder = Encoder()

    frames = [encoder.encode(counted("a", seconds=at)) for at in range(2 * KEY_EVERY)]

    assert [at for at, each in enumerate(frames) if each.is_key] == [0, KEY_EVERY]
    shortcuts = [at for at in range(0, 2 * KEY_EVERY, SHORTCUT_EVERY) if at % KEY_EVERY]
    assert [at for at, each in enumerate(frames) if each.is_shortcut] == shortcuts


def test_the_shortcut_needs_the_key_frame_alone(tmp_path: Path) -> None:
    samples = played(tmp_path, SHORTCUT_EVERY + 3)
    encoder = Encoder()
    frames = [encoder.encode(each) for each in samples]
    decoder = Decoder(encoder.layouts)

    decoder.decode(frames[0].payload)

    for each, was in zip(frames[SHORTCUT_EVERY:], samples[SHORTCUT_EVERY:], strict=True):
        assert decoder.decode(each.payload) == quiet(was)


def test_who_goes_back_goes_on_from_the_key_frame(tmp_path: Path) -> None:
    samples = played(tmp_path, 5)
    encoder = Encoder()
    frames = [encoder.encode(each) for each in samples]
    decoder = Decoder(encoder.layouts)
    for each in frames:
        decoder.decode(each.payload)

    decoder.rewind()

    assert [decoder.decode(each.payload) for each in frames[1:]] == [quiet(each) for each in samples[1:]]


def test_what_was_not_kept_is_not_built_on() -> None:
    encoder = Encoder()
    encoder.encode(counted("a", seconds=0))
    encoder.encode(counted("ab", seconds=1))
    encoder.begin_anew()

    frame = encoder.encode(counted("abc", seconds=2))

    assert frame.is_key
    assert len(Decoder(encoder.layouts).decode(frame.payload).cgroups) == 3


@pytest.mark.parametrize("order", [(1,), (0, 2), (0, 1, 1), (0, SHORTCUT_EVERY + 1), (KEY_EVERY, SHORTCUT_EVERY)])
def test_a_frame_that_does_not_follow_the_last_is_refused(order: Sequence[int]) -> None:
    encoder = Encoder()
    frames = [encoder.encode(counted("ab", seconds=at, busy="a")) for at in range(KEY_EVERY + 1)]
    decoder = Decoder(encoder.layouts)
    *before, last = order
    for at in before:
        decoder.decode(frames[at].payload)

    with pytest.raises(FrameUnreadable):
        decoder.decode(frames[last].payload)


def test_a_frame_that_is_refused_leaves_the_next_key_frame_readable() -> None:
    encoder = Encoder()
    samples = [counted("ab", seconds=at, busy="a") for at in range(KEY_EVERY + 1)]
    frames = [encoder.encode(each) for each in samples]
    decoder = Decoder(encoder.layouts)
    decoder.decode(frames[0].payload)
    with pytest.raises(FrameUnreadable):
        decoder.decode(b"")

    with pytest.raises(FrameUnreadable):
        decoder.decode(frames[1].payload)

    assert decoder.decode(frames[KEY_EVERY].payload) == samples[KEY_EVERY]


def test_no_bit_can_be_turned_that_makes_another_sample() -> None:
    sample = counted("a", seconds=0)
    encoder = Encoder()
    payload = encoder.encode(sample).payload
    refused = 0
    for at in range(len(payload)):
        turned = bytearray(payload)
        turned[at] ^= 1 << at % 8
        try:
            assert Decoder(encoder.layouts).decode(bytes(turned)) == sample
        except FrameUnreadable:
            refused += 1

    # A few bits mean nothing, such as those between the end and the checksum.
    assert refused > len(payload) - 3


@pytest.mark.parametrize("end", [0, 1, 10, -5, -1])
def test_a_frame_that_was_cut_off_is_refused(end: int) -> None:
    encoder = Encoder()
    payload = encoder.encode(counted("a", seconds=0)).payload

    with pytest.raises(FrameUnreadable):
        Decoder(encoder.layouts).decode(payload[:end])


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_no_frame(garbage: bytes, is_compressed: bool) -> None:
    payload = zlib.compress(garbage) if is_compressed else garbage

    with pytest.raises(FrameUnreadable):
        Decoder(numbered()).decode(payload)


@unhurried_in_making
@given(st.data())
def test_what_is_damaged_before_it_was_compressed_is_refused_or_some_sample(data: st.DataObject) -> None:
    plain = bytearray(zlib.decompress(Encoder().encode(counted("ab", seconds=0)).payload))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))

    try:
        decoded = Decoder(numbered()).decode(zlib.compress(plain))
    except FrameUnreadable:
        return
    assert isinstance(decoded, Sample)


def test_what_would_fill_the_memory_is_refused() -> None:
    bomb = zlib.compressobj(9)
    block = b"\0" * (1 << 20)
    payload = b"".join(bomb.compress(block) for _ in range((codec.MOST_BYTES >> 20) + 2)) + bomb.flush()

    with pytest.raises(FrameUnreadable):
        Decoder(numbered()).decode(payload)


def rewritten(payloads: Iterable[bytes], layouts: Mapping[int, Layout]) -> list[Sample]:
    decoder = Decoder(layouts)
    return [decoder.decode(each) for each in payloads]


def changed_layouts(name: str, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> dict[int, Layout]:
    """The layouts of another version."""
    return {
        number: layout._replace(fields=change(layout.fields)) if layout.name == name else layout
        for number, layout in numbered().items()
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Sample], list[bytes]]:
    samples = played(tmp_path_factory.mktemp("recorded"), SHORTCUT_EVERY + 3)
    encoder = Encoder()
    return [quiet(each) for each in samples], [encoder.encode(each).payload for each in samples]


def test_a_field_that_is_not_known_any_more_is_left_out(recorded: tuple[list[Sample], list[bytes]]) -> None:
    samples, payloads = recorded
    other = changed_layouts("MemoryStat", lambda names: tuple("zswap" if each == "anon" else each for each in names))

    for now, was in zip(rewritten(payloads, other), samples, strict=True):
        for path, cgroup in was.cgroups.items():
            memory = now.cgroups[path].memory
            assert memory == (None if cgroup.memory is None else cgroup.memory._replace(anon=None))
        assert replace(now, cgroups=was.cgroups) == was


def test_what_was_not_known_then_is_as_by_default(
    recorded: tuple[list[Sample], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, payloads = recorded
    written_by = numbered()
    # As if this version knew a field more, in the middle of the others.
    more = codec._LAYOUTS[MemoryStat]._replace(fields=("current", "zswap", *MemoryStat._fields[1:]))
    monkeypatch.setitem(codec._LAYOUTS, MemoryStat, more)

    decoded = rewritten(payloads, written_by)

    assert decoded == samples


def test_fields_in_another_order_are_put_into_todays(recorded: tuple[list[Sample], list[bytes]]) -> None:
    samples, payloads = recorded
    other = changed_layouts("Pressure", lambda names: names[::-1])

    decoded = rewritten(payloads, other)

    for now, was in zip(decoded, samples, strict=True):
        for path, cgroup in was.cgroups.items():
            old, new = cgroup.pressure, now.cgroups[path].pressure
            assert (old is None) == (new is None)
            if old is not None and new is not None and old.cpu is not None:
                assert new.cpu == old.cpu._replace(some_usec=old.cpu.full_usec, full_usec=old.cpu.some_usec)


def test_a_record_that_is_not_known_any_more_is_unknown(recorded: tuple[list[Sample], list[bytes]]) -> None:
    samples, payloads = recorded
    other = {
        number: layout._replace(name="Forgotten") if layout.name == "PressureStat" else layout
        for number, layout in numbered().items()
    }

    decoded = rewritten(payloads, other)

    assert all(cgroup.pressure is None for each in decoded for cgroup in each.cgroups.values())
    assert [each.containers for each in decoded] == [each.containers for each in samples]


def test_even_the_sample_itself_may_have_had_other_fields(recorded: tuple[list[Sample], list[bytes]]) -> None:
    samples, payloads = recorded
    other = changed_layouts("Sample", lambda names: tuple("weather" if each == "problems" else each for each in names))

    assert rewritten(payloads, other) == [replace(each, problems=()) for each in samples]


def test_what_has_not_changed_is_the_same_object_though_its_layout_is_old() -> None:
    names = [f"c{at}" for at in range(10)]
    samples = [counted(names, seconds=at, busy=["c3"]) for at in range(4)]
    encoder = Encoder()
    payloads = [encoder.encode(each).payload for each in samples]
    other = changed_layouts("CpuStat", lambda names: (*names[:-1], "old"))

    for before, now in pairwise(rewritten(payloads, other)):
        others = [path for path, cgroup in now.cgroups.items() if cgroup is not before.cgroups[path]]
        assert others == [running("c3").path]


def test_a_choice_that_is_not_known_is_unknown() -> None:
    sample = sample_of(stopped("a", health=Health.UNHEALTHY), stopped("b"))
    payload = Encoder().encode(sample).payload
    other = {
        number: layout._replace(fields=tuple(f"{each}-2" for each in layout.fields))
        if layout.name in {"State", "Health"}
        else layout
        for number, layout in numbered().items()
    }

    (decoded,) = rewritten([payload], other)

    assert {each.state for each in decoded.containers} == {State.UNKNOWN}
    assert {each.health for each in decoded.containers} == {None}


def test_a_file_keeps_the_layouts_that_it_has() -> None:
    old = {7: Layout("MemoryStat", ("current", "zswap")), 3: codec._LAYOUTS[MemoryStat]}

    layouts = numbered(old)

    assert {number: layouts[number] for number in old} == old
    assert sorted(layout.name for layout in layouts.values()) == sorted(
        ["MemoryStat", *(each.__name__ for each in (*RECORDS, *CHOICES))]
    )
    sample = counted("a", seconds=0)
    assert Decoder(layouts).decode(Encoder(layouts).encode(sample).payload) == sample


def test_numbers_of_all_lengths_are_kept() -> None:
    numbers = [0, 246, 247, 255, 256, *(1 << bits for bits in range(8, 200)), *((1 << bits) - 1 for bits in (64, 65))]

    short, wide, huge = codec._packed(numbers)

    unpacked, end = codec._unpacked(bytes(short + wide + huge), len(short), len(huge))
    assert (unpacked, end) == (numbers, len(short + wide + huge))
