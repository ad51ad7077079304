"""Samples as bytes: a frame says what is other than in the frame before, a key frame says all.

A frame is a list of numbers, the new texts and the fractions among its values, compressed. What a number means follows
from the numbers before it and from the value that was at the same place in the frame before:

====================  =================================================================================================
``FIRST_INT`` + n     an integer: the difference to the one that was there, or itself; even for n >= 0, odd for n < 0
``CHANGED``           what is there is of the same kind still, and it follows what is other in it
``COUNTED``           the same, of a record in which nothing but integers is other: their differences
``AGAIN``             a large integer that was there before since the key frame
``RECORD``            a record of another kind, or the first: the number of its layout, and what is other in it than in
                      the last of that layout in this frame
====================  =================================================================================================

What is other in a record is a mask of its fields, and each of these. Many values in a row, such as those of all
containers, are written as a column, and many records field by field, each a column again: numbers that are alike are
then side by side, and are read all at once.

Integers in a column are mostly one number, of the first bytes of all, then of their second ones: all are made of it at
once.

A key frame is two of these: one of who is there, and one of what else there is, which follows it. Mostly the former is,
byte by byte, the same as in the key frame before, and need not be read again.

Fields have no names there: a layout lists them, and is stored once. So what a later version reads was written by the
layouts of its time: what it does not know any more it leaves out, and what was not known then is as it is by default.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import lru_cache, partial
from itertools import accumulate, chain, islice, pairwise, repeat
from operator import add, attrgetter, is_, sub
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

from topcon.model.event import Kind, Told
from topcon.model.sample import (
    CgroupDetail,
    CgroupEvents,
    CgroupMode,
    CgroupSample,
    ContainerInfo,
    CpuCache,
    CpuMax,
    CpuStat,
    DiskStat,
    FilesystemStat,
    FoundContainer,
    FoundPod,
    Health,
    HostSample,
    HugetlbStat,
    InterfaceStat,
    IoStat,
    Isolated,
    LayerStat,
    MachineIds,
    MachineTopology,
    MemoryStat,
    Namespaces,
    OwnSample,
    PidsStat,
    PodInfo,
    PodKind,
    Port,
    Pressure,
    PressureStat,
    Problem,
    ProcessSample,
    ProtocolStat,
    Role,
    RuntimeSample,
    Sample,
    Source,
    SourceSample,
    State,
    Survey,
    TaskStat,
    TierSample,
    Volume,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

KEY_EVERY = 120
"""How many frames there are from one key frame to the next."""
SHORTCUT_EVERY = 10
"""One in so many says what is other than in the key frame: who wants to see a later one need not read those between."""

RECORDS: tuple[type, ...] = (
    *(CgroupDetail, CgroupEvents, CgroupSample, ContainerInfo, CpuCache, CpuMax, CpuStat, DiskStat, FilesystemStat),
    *(FoundContainer, FoundPod, HostSample, HugetlbStat, InterfaceStat, IoStat, Isolated, LayerStat, MachineIds),
    *(MachineTopology, MemoryStat, Namespaces, OwnSample, PidsStat, PodInfo, Port, Pressure, PressureStat, Problem),
    *(ProcessSample, ProtocolStat, RuntimeSample, Sample, SourceSample, Survey, TaskStat, TierSample, Told, Volume),
)
"""All that a sample is made of."""
CHOICES: tuple[type[StrEnum], ...] = (CgroupMode, Health, Kind, PodKind, Role, Source, State)
"""The same, of which there are a few values each."""

_FIRST = "found"
"""This field of a sample goes first: a container's id is then compressed together with its path."""
_WHO_IS_THERE = ("found", "pods", "processes", "isolated", "containers")
"""What changes only where containers come and go."""
_who_is_there = attrgetter(*_WHO_IS_THERE)
_ROUNDED = 4
"""Digits of a second that are kept of how long topcon's own work took: the rest is noise."""


class FrameUnreadable(ValueError):
    """These bytes are no frame, or not the one that follows the last; only a key frame can be read next."""


class Layout(NamedTuple):
    """What a kind of record was made of when it was stored."""

    name: str
    fields: tuple[str, ...]
    """Their names; of a choice its values."""


class Frame(NamedTuple):
    """A sample as it is stored."""

    wall_ns: int
    monotonic_ns: int
    is_key: bool
    """Whether it can be read without the frames before it."""
    payload: bytes
    is_shortcut: bool = False
    """Whether it can be read after its key frame, without those between."""


def _fields_of(kind: type) -> tuple[str, ...]:
    if not is_dataclass(kind):
        return tuple(kind.__annotations__)
    names = [each.name for each in fields(kind)]
    return tuple(sorted(names, key=lambda name: name != _FIRST)) if kind is Sample else tuple(names)


def _layout_of(kind: type) -> Layout:
    if issubclass(kind, StrEnum):
        return Layout(kind.__name__, tuple(each.value for each in kind))
    return Layout(kind.__name__, _fields_of(kind))


_LAYOUTS = {kind: _layout_of(kind) for kind in (*RECORDS, *CHOICES)}


def numbered(known: Mapping[int, Layout] = MappingProxyType({})) -> dict[int, Layout]:
    """Return the layouts that a file has already, and those that this version writes."""
    layouts = dict(known)
    there = set(layouts.values())
    for layout in _LAYOUTS.values():
        if layout not in there:
            layouts[max(layouts, default=-1) + 1] = layout
    return layouts


NONE, FALSE, TRUE, FLOAT, NEW_TEXT, TEXT, TUPLE, MAPPING, RECORD, CHOICE, CHANGED, COUNTED, AGAIN = range(13)
FIRST_INT = 13
EACH, SAME, INTS, LARGE_INTS, TEXTS, OF_RECORDS, SOME, PRESENT, MAPPINGS, TUPLES, *_ALL_PACKED = range(13)
"""How a column is written.

``SAME``: all are as the first; ``SOME``: but for these they are as they were; ``PRESENT``: all but these are None.
"""
_PACKED = dict(zip((INTS, LARGE_INTS, TEXTS), _ALL_PACKED, strict=True))
"""How the same is written where all are in one number."""
LEAST_COLUMN = 4
"""Fewer values are written one by one."""
LEAST_PACKED = 16
"""So many integers are written as one number."""
_LONGEST_COLUMN = 1 << 22
_ALIKE: frozenset[type] = frozenset((bool, int, str, type(None), *CHOICES))
"""What is equal of these, and of one type, is the same."""
_LARGE = 1 << 29
"""Integers that are so far from what was there are remembered: many are the time of one sample, or one inode."""

_FIRST_LARGE = FIRST_INT + 2 * _LARGE - 1
"""How the first of these is written."""

_HEAD = struct.Struct("<IHHIIII")
"""The key frame's checksum, 0 in itself; which frame it is since then, and which one it follows.

Count of numbers; bytes of the huge ones, and of fractions; count of texts.
"""
_WIDE = 247
"""Less than this is a number itself; this and more says how many bytes of others it has, none for a huge one."""
_WIDEST = 255 - _WIDE
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_PADDED = {width: next(wider for wider in _FORMATS if wider >= width) for width in range(1, _WIDEST + 1)}
_LONGEST = 1 << 16
"""Bytes of the longest number."""
MOST_BYTES = 1 << 28
"""A frame that would be larger is none."""
_LEVEL = 6


def _packed(numbers: Iterable[int]) -> tuple[bytearray, bytearray, bytearray]:
    """Return a byte for each number; those that take more, by how many; and those that take very many."""
    short, huge = bytearray(), bytearray()
    wide = [bytearray() for _ in range(_WIDEST + 1)]
    add = short.append
    for number in numbers:
        if number < _WIDE:
            add(number)
            continue
        width = (number.bit_length() + 7) >> 3
        if width <= _WIDEST:
            add(_WIDE + width)
            wide[width] += number.to_bytes(width, "little")
        else:
            add(_WIDE)
            huge += width.to_bytes(4, "little") + number.to_bytes(width, "little")
    return short, bytearray().join(wide), huge


def _unpacked(data: bytes, short_length: int, huge_length: int) -> tuple[list[int], int]:
    """Return the numbers that some bytes begin with, and where they end."""
    short = data[:short_length]
    at = short_length
    of_width: list[Callable[[], int]] = []
    for width in range(1, _WIDEST + 1):
        end = at + width * short.count(_WIDE + width)
        of_width.append(iter(_of_width(data[at:end], width)).__next__)
        at = end
    end = at + huge_length
    following = (iter(_huge(data[at:end])).__next__, *of_width)
    return [number if number < _WIDE else following[number - _WIDE]() for number in short], end


def _of_width(data: bytes, width: int) -> Iterable[int]:
    count, wider = len(data) // width, _PADDED[width]
    padded = data[: count * width]
    if wider > width:
        # Byte by byte of all at once: to make each number by itself takes ten times as long.
        padded = _side_by_side([data[at : count * width : width] for at in range(width)], count, wider)
    return struct.unpack(f"<{count}{_FORMATS[wider]}", padded)


def _side_by_side(planes: Iterable[bytes], count: int, wider: int) -> bytes:
    """Make numbers of the first bytes of all, the second ones, and so on; what is missing is 0."""
    spread = bytearray(count * wider)
    for at, plane in enumerate(planes):
        spread[at::wider] = plane
    return bytes(spread)


def _in_planes(numbers: Sequence[int]) -> tuple[int, int] | None:
    """Make one number of many: their first bytes, then their second ones; and say how many bytes each has."""
    width = (max(numbers).bit_length() + 7) >> 3 or 1
    if width > _WIDEST or len(numbers) * width > _LONGEST:
        return None
    wider = _PADDED[width]
    padded = struct.pack(f"<{len(numbers)}{_FORMATS[wider]}", *numbers)
    return width, int.from_bytes(b"".join(padded[at::wider] for at in range(width)), "little")


def _of_planes(width: int, planes: int, count: int) -> bytes:
    """Make many numbers of one again; return them side by side."""
    wider = _PADDED[width]
    data = planes.to_bytes(width * count, "little")
    return _side_by_side([data[at * count : (at + 1) * count] for at in range(width)], count, wider)


def _all_signed(padded: bytes, count: int) -> tuple[int, ...]:
    """Give numbers their signs back, as `_signed` does, all at once: one by one takes ten times as long."""
    width = len(padded) // count
    unsigned = int.from_bytes(padded, "little")
    odd = unsigned & _ones(count, width)
    # What is odd is below 0: its lane is turned over. Nothing goes from a lane into the next.
    signed = (unsigned ^ odd) >> 1 ^ ((odd << 8 * width) - odd)
    return struct.unpack(f"<{count}{_FORMATS[width].lower()}", signed.to_bytes(len(padded), "little"))


@lru_cache(maxsize=256)
def _ones(count: int, width: int) -> int:
    """Return a 1 in each lane of so many bytes."""
    return int.from_bytes(b"\x01".ljust(width, b"\x00") * count, "little")


def _huge(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        width = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if width > _LONGEST:
            raise FrameUnreadable
        yield int.from_bytes(data[at : at + width], "little")
        at += width


_Record = tuple[object, ...]
_Mapping = Mapping[object, object]
_take_apart: dict[type, Callable[..., _Record]] = {
    kind: attrgetter(*_LAYOUTS[kind].fields) for kind in RECORDS if is_dataclass(kind)
}
"""Those that are no tuples themselves."""
_MAPPINGS = (dict, MappingProxyType)
_DURATION = attrgetter("duration_s")


_NOTHING = Sample(0, 0, cast("HostSample", None))
_WHOLE, _WHO, _REST = range(3)
"""What a key frame says that it follows: nothing, as all of schema 1 do, or as one of the two parts of a newer one."""


class _Standing(NamedTuple):
    """Who is there, and nothing else: the first part of a key frame."""

    sample: object
    payload: bytes
    known: tuple[int, ...]
    """How many texts and large integers were known then, and how many were remembered."""


class Encoder:
    """Makes frames of samples, each of what is other than in the sample before it."""

    def __init__(self, layouts: Mapping[int, Layout] | None = None) -> None:
        """Write with the layouts that `numbered` has given."""
        self.layouts = numbered() if layouts is None else layouts
        numbers = {layout: number for number, layout in self.layouts.items()}
        self._records = {kind: (numbers[_LAYOUTS[kind]], (None,) * len(_LAYOUTS[kind].fields)) for kind in RECORDS}
        self._choices = {
            kind: (numbers[_LAYOUTS[kind]], {each: at for at, each in enumerate(kind)}) for kind in CHOICES
        }
        self._before: Sample | None = None
        self._key: Sample | None = None
        self._key_checksum = 0
        self._known_of_key: tuple[int, ...] = 0, 0, 0
        self._standing: _Standing | None = None
        self._count = 0
        self._texts: dict[str, int] = {}
        self._large: dict[int, int] = {}
        """Where each was remembered first."""
        self._remembered = 0
        self._forget_frame()

    def _forget_frame(self) -> None:
        self._numbers: list[int] = []
        self._fractions = array("d")
        self._new_texts: list[bytes] = []
        self._last: dict[type, _Record] = {}

    def begin_anew(self) -> None:
        """Make the next frame a key frame: the last was not kept."""
        self._before = None

    def encode(self, sample: Sample) -> Frame:
        """Return the frame of the next sample."""
        sample = _without_noise(sample)
        before = None if self._count == KEY_EVERY else self._before
        is_shortcut = before is not None and self._count % SHORTCUT_EVERY == 0
        # What fails on its way leaves nothing behind that the next frame could follow.
        self._before = None
        if before is None:
            payload = self._encode_key(sample)
        else:
            if is_shortcut:
                before = self._key
                self._forget_since(self._known_of_key)
            payload = self._encode_changes(sample, before, 0 if is_shortcut else self._count - 1)
        self._before = sample
        self._count += 1
        return Frame(sample.wall_ns, sample.monotonic_ns, before is None, payload, is_shortcut)

    def _encode_key(self, sample: Sample) -> bytes:
        self._count = 0
        standing = self._standing
        if standing is not None and all(map(is_, _who_is_there(sample), _who_is_there(standing.sample))):
            self._forget_since(standing.known)
        else:
            self._standing = None
            self._texts, self._large, self._remembered, self._key_checksum = {}, {}, 0, 0
            alone = replace(_NOTHING, **dict(zip(_WHO_IS_THERE, _who_is_there(sample), strict=True)))
            payload = self._encode_changes(alone, None, _WHO)
            self._standing = standing = _Standing(alone, payload, self._known)
        self._key_checksum = zlib.adler32(standing.payload)
        payload = standing.payload + self._encode_changes(sample, standing.sample, _REST)
        self._key, self._key_checksum, self._known_of_key = sample, zlib.adler32(payload), self._known
        return payload

    @property
    def _known(self) -> tuple[int, ...]:
        return len(self._texts), len(self._large), self._remembered

    def _forget_since(self, known: tuple[int, ...]) -> None:
        texts, large, self._remembered = known
        self._texts = dict(islice(self._texts.items(), texts))
        self._large = dict(islice(self._large.items(), large))

    def _encode_changes(self, sample: Sample, before: object, follows: int) -> bytes:
        self._forget_frame()
        self._put(sample, before)
        return self._payload(follows)

    def _payload(self, follows: int) -> bytes:
        short, wide, huge = _packed((*map(len, self._new_texts), *self._numbers))
        fractions, texts = self._fractions.tobytes(), b"".join(self._new_texts)
        lengths = len(short), len(huge), len(fractions), len(self._new_texts)
        head = _HEAD.pack(self._key_checksum, self._count, follows, *lengths)
        return zlib.compress(b"".join((head, short, wide, huge, fractions, texts)), _LEVEL)

    def _put(self, new: object, old: object) -> None:
        """Write a value, beside the one that was there."""
        kind = type(new)
        if kind is int:
            self._put_int(cast("int", new), old)
        elif new is None:
            self._numbers.append(NONE)
        elif kind is bool:
            self._numbers.append(TRUE if new else FALSE)
        elif kind in self._records:
            self._put_record(kind, new, old)
        elif kind is str:
            self._put_text(cast("str", new))
        elif kind is float:
            self._numbers.append(FLOAT)
            self._fractions.append(cast("float", new))
        elif kind is tuple:
            self._put_tuple(cast("_Record", new), old)
        elif kind in _MAPPINGS:
            self._put_mapping(cast("_Mapping", new), old)
        else:
            number, places = self._choices[cast("type[StrEnum]", kind)]
            self._numbers += (CHOICE, number, places[cast("StrEnum", new)])

    def _put_int(self, new: int, old: object) -> None:
        delta = new - old if type(old) is int else new
        if not -_LARGE < delta < _LARGE:
            at = self._large.get(new)
            if at is not None:
                self._numbers += (AGAIN, at)
                return
            self._remember(new)
        self._numbers.append(FIRST_INT + _unsigned(delta))

    def _remember(self, number: int) -> None:
        self._large.setdefault(number, self._remembered)
        self._remembered += 1

    def _are_mostly_new(self, numbers: Sequence[int]) -> bool:
        return 2 * sum(map(self._large.__contains__, numbers)) < len(numbers)

    def _put_text(self, text: str) -> None:
        number = self._number_of_text(text)
        self._numbers += (TEXT, number - 1) if number else (NEW_TEXT,)

    def _put_record(self, kind: type, new: object, old: object) -> None:
        take_apart = _take_apart.get(kind)
        values = cast("_Record", new) if take_apart is None else take_apart(new)
        if type(old) is kind:
            was = cast("_Record", old) if take_apart is None else take_apart(old)
            if not self._put_counted(values, was):
                self._numbers.append(CHANGED)
                self._put_fields(values, was)
        else:
            number, blank = self._records[kind]
            self._numbers += (RECORD, number)
            self._put_fields(values, self._last.get(kind, blank))
            self._last[kind] = values

    def _put_counted(self, new: _Record, old: _Record) -> bool:
        """Write a record if nothing but integers is other in it, and these not by much."""
        mask, bit = 0, 1
        deltas: list[int] = []
        for now, was in zip(new, old, strict=True):
            if now is not was and now != was:
                if type(now) is not int or type(was) is not int or not -_LARGE < (delta := now - was) < _LARGE:
                    return False
                mask |= bit
                deltas.append(_unsigned(delta))
            bit <<= 1
        self._numbers += (COUNTED, mask, *deltas)
        return True

    def _put_fields(self, new: _Record, old: _Record) -> None:
        numbers = self._numbers
        place = len(numbers)
        numbers.append(0)
        mask, bit = 0, 1
        for now, was in zip(new, old, strict=True):
            if now is not was and (now != was or _is_in_other_order(now, was)):
                mask |= bit
                self._put(now, was)
            bit <<= 1
        numbers[place] = mask

    def _put_tuple(self, new: _Record, old: object) -> None:
        if type(old) is not tuple:
            self._numbers += (TUPLE, len(new))
            self._put_all(new)
            return
        self._numbers.append(CHANGED)
        index = {id(each): at for at, each in enumerate(old)}
        places = [index.get(id(each)) for each in new]
        if len(new) == len(old) and all(place is None or place == at for at, place in enumerate(places)):
            self._numbers.append(0)
            self._put_changes([(at, now, old[at]) for at, now in enumerate(new) if places[at] is None])
            return
        self._put_order(places)
        self._put_all([each for each, place in zip(new, places, strict=True) if place is None])
        self._numbers.append(0)

    def _put_mapping(self, new: _Mapping, old: object) -> None:
        if type(old) not in _MAPPINGS:
            self._numbers += (MAPPING, len(new))
            self._put_all(tuple(new))
            self._put_all(tuple(new.values()))
            return
        was = cast("_Mapping", old)
        self._numbers.append(CHANGED)
        if len(new) == len(was) and list(new) == list(was):
            self._numbers.append(0)
            pairs = zip(new.values(), was.values(), strict=True)
            self._put_changes([(at, *pair) for at, pair in enumerate(pairs) if pair[0] is not pair[1]])
            return
        index = {key: at for at, key in enumerate(was)}
        places = [index.get(key) for key in new]
        self._put_order(places)
        added = [key for key, place in zip(new, places, strict=True) if place is None]
        self._put_all(added)
        self._put_all([new[key] for key in added])
        self._put_changes(
            [
                (at, value, was[key])
                for at, (key, value) in enumerate(new.items())
                if key in was and value is not was[key]
            ]
        )

    def _put_order(self, places: Sequence[int | None]) -> None:
        """Say where each thing was before, None for nowhere: in runs of what stays together and what comes."""
        runs: list[list[int]] = []
        expected = 0
        for place in places:
            if place is None:
                if not runs:
                    runs.append([0, 0, 0])
                runs[-1][2] += 1
                continue
            if not runs or runs[-1][2] or place != expected:
                runs.append([place - expected, 0, 0])
            runs[-1][1] += 1
            expected = place + 1
        self._numbers.append(1 + len(runs))
        for skipped, kept, added in runs:
            self._numbers += (_unsigned(skipped), kept, added)

    def _put_changes(self, candidates: Iterable[tuple[int, object, object]]) -> None:
        """Write those that are really other than before, by their places."""
        changes = [each for each in candidates if each[1] != each[2] or _is_in_other_order(each[1], each[2])]
        self._put_places([at for at, _, _ in changes])
        self._put_all([now for _, now, _ in changes], [was for _, _, was in changes])

    def _put_places(self, places: Sequence[int]) -> None:
        self._numbers.append(len(places))
        self._numbers += [at - last - 1 for last, at in pairwise((-1, *places))]

    def _put_all(self, values: Sequence[object], olds: Sequence[object] | None = None) -> None:
        """Write values, each beside the one that was there; how many is known."""
        if len(values) < LEAST_COLUMN:
            for now, was in zip(values, repeat(None) if olds is None else olds, strict=False):
                self._put(now, was)
        else:
            self._put_column(values, olds)

    def _put_column(self, values: Sequence[object], olds: Sequence[object] | None) -> None:
        kinds = set(map(type, values))
        kind = next(iter(kinds)) if len(kinds) == 1 else None
        if olds is None:
            self._put_new_column(values, kind)
        elif (
            kind is int
            and set(map(type, olds)) == kinds
            and any(deltas := _deltas(values, olds))
            and _are_small(deltas)
        ):
            self._put_ints(INTS, map(_unsigned, deltas))
        else:
            self._put_changed_column(values, olds, kind)

    def _put_new_column(self, values: Sequence[object], kind: type | None) -> None:
        numbers, first = self._numbers, values[0]
        if kind in _ALIKE and values.count(first) == len(values):
            numbers.append(SAME)
            self._put(first, None)
        elif kind is int and _are_small(deltas := _deltas(values, (0, *values))):
            self._put_ints(INTS, map(_unsigned, deltas))
        elif kind is int and self._are_mostly_new(integers := cast("Sequence[int]", values)):
            self._put_ints(LARGE_INTS, map(_unsigned, deltas))
            for number in integers:
                self._remember(number)
        elif kind is str:
            self._put_ints(TEXTS, map(self._number_of_text, cast("Sequence[str]", values)))
        elif kind in self._records:
            self._put_records(values, None, kind)
        elif kind is tuple:
            numbers.append(TUPLES)
            numbers += map(len, cast("Sequence[_Record]", values))
            self._put_all(tuple(chain.from_iterable(cast("Sequence[_Record]", values))))
        elif kind in _MAPPINGS:
            numbers.append(MAPPINGS)
            mappings = cast("Sequence[_Mapping]", values)
            numbers += map(len, mappings)
            self._put_all(tuple(chain.from_iterable(mappings)))
            self._put_all(_values_of(mappings))
        elif kind is None and None in values:
            present = [at for at, each in enumerate(values) if each is not None]
            numbers.append(PRESENT)
            self._put_places(present)
            self._put_all([values[at] for at in present])
        else:
            self._put_each(values, repeat(None))

    def _put_ints(self, kind: int, integers: Iterable[int]) -> None:
        """Write integers, none below 0, as a column of such a kind, or all in one number if they are many."""
        numbers = list(integers)
        planes = _in_planes(numbers) if len(numbers) >= LEAST_PACKED else None
        self._numbers += (kind, *numbers) if planes is None else (_PACKED[kind], *planes)

    def _put_changed_column(self, values: Sequence[object], olds: Sequence[object], kind: type | None) -> None:
        changed = [
            at
            for at, (now, was) in enumerate(zip(values, olds, strict=True))
            if now is not was and (type(now) is not type(was) or now != was or _is_in_other_order(now, was))
        ]
        if len(changed) < len(values):
            self._numbers.append(SOME)
            self._put_places(changed)
            self._put_all([values[at] for at in changed], [olds[at] for at in changed])
        elif kind in self._records and set(map(type, olds)) == {kind}:
            self._put_records(values, olds, kind)
        elif kind in _MAPPINGS and _have_same_keys(values, olds):
            self._numbers.append(MAPPINGS)
            now, was = (_values_of(cast("Sequence[_Mapping]", side)) for side in (values, olds))
            self._put_all(now, was)
        else:
            self._put_each(values, olds)

    def _put_records(self, values: Sequence[object], olds: Sequence[object] | None, kind: type) -> None:
        """Write records of a kind field by field."""
        self._numbers += (OF_RECORDS, self._records[kind][0])
        columns = _columns_of(kind, values)
        for column, was in zip(columns, repeat(None) if olds is None else _columns_of(kind, olds), strict=False):
            self._put_column(column, was)

    def _put_each(self, values: Iterable[object], olds: Iterable[object]) -> None:
        self._numbers.append(EACH)
        for now, was in zip(values, olds, strict=False):
            self._put(now, was)

    def _number_of_text(self, text: str) -> int:
        """Return 0 for a new one, else one more than its place."""
        at = self._texts.get(text)
        if at is not None:
            return at + 1
        self._texts[text] = len(self._texts)
        self._new_texts.append(text.encode(errors="surrogatepass"))
        return 0


def _deltas(values: Iterable[object], olds: Iterable[object]) -> list[int]:
    return list(map(sub, values, olds))


def _are_small(deltas: Iterable[int]) -> bool:
    return all(-_LARGE < delta < _LARGE for delta in deltas)


def _unsigned(delta: int) -> int:
    return delta << 1 if delta >= 0 else ~(delta << 1)


def _columns_of(kind: type, records: Iterable[object]) -> Iterator[_Record]:
    take_apart = _take_apart.get(kind)
    return zip(*(records if take_apart is None else map(take_apart, records)), strict=True)


def _values_of(mappings: Iterable[_Mapping]) -> list[object]:
    return [each for mapping in mappings for each in mapping.values()]


def _have_same_keys(values: Sequence[object], olds: Sequence[object]) -> bool:
    return all(type(was) in _MAPPINGS and list(now) == list(was) for now, was in zip(values, olds, strict=True))  # type: ignore[call-overload]


def _is_in_other_order(now: object, was: object) -> bool:
    """Whether equal mappings list their keys otherwise, which those who go through them see."""
    return type(now) in _MAPPINGS and list(cast("_Mapping", now)) != list(cast("_Mapping", was))


def _without_noise(sample: Sample) -> Sample:
    """Round what is other each time and never matters: how long reading took."""
    sources = tuple(
        replace(
            each,
            duration_s=round(each.duration_s, _ROUNDED),
            tiers=tuple(tier._replace(duration_s=round(tier.duration_s, _ROUNDED)) for tier in each.tiers),
        )
        for each in sample.sources
    )
    runtimes = tuple(
        each if each.duration_s is None else replace(each, duration_s=round(each.duration_s, _ROUNDED))
        for each in sample.runtimes
    )
    return replace(sample, sources=sources, runtimes=runtimes)


class _Shape(NamedTuple):
    """How records of a layout are put together."""

    kind: type
    make: Callable[[Iterable[object]], object]
    take_apart: Callable[..., _Record] | None
    blank: _Record

    def values(self, record: object) -> _Record:
        """Take one apart."""
        return cast("_Record", record) if self.take_apart is None else self.take_apart(record)


class _Old(tuple[object, ...]):
    """A record of a layout that this version does not write."""

    __slots__ = ()


_ColumnReader = Callable[[int, "Sequence[object] | None"], list[object]]


class _Opened(NamedTuple):
    """A frame that is being read."""

    place: int
    """Which it is since the key frame."""
    follows: int
    base: object
    """The sample that it follows."""
    rest: bytes
    """What comes behind it."""


class Decoder:
    """Makes samples of frames, from a key frame on."""

    def __init__(self, layouts: Mapping[int, Layout]) -> None:
        """Read what was written with these layouts."""
        self._shapes: dict[int, _Shape] = {}
        self._choices: dict[int, _Record] = {}
        self._old: dict[type, tuple[type | None, tuple[str, ...]]] = {}
        for number, layout in layouts.items():
            self._add_layout(number, layout)
        self._of_kind = {shape.kind: shape for shape in self._shapes.values()}
        self._before: object = None
        self._key: object = None
        self._key_checksum = 0
        self._known_of_key: tuple[int, ...] = 0, 0
        self._standing: _Standing | None = None
        self._count = 0
        self._texts: list[str] = []
        self._texts_at = 0
        self._large: list[int] = []
        self._numbers: Iterator[int] = iter(())
        self._take: Callable[[], int] = self._numbers.__next__
        self._fractions: Iterator[float] = iter(())
        self._last: dict[type, list[object]] = {}
        self._made: dict[int, tuple[object, object]] = {}
        self._readers: tuple[Callable[[object], object], ...] = (
            lambda _: None,
            lambda _: False,
            lambda _: True,
            self._fraction,
            self._new_text,
            self._text,
            self._tuple,
            self._mapping,
            self._record,
            self._choice,
            self._changed,
            self._counted,
            lambda _: self._large[self._take()],
        )
        self._column_readers: tuple[_ColumnReader, ...] = (
            self._each,
            self._same_ones,
            self._ints,
            self._remembering(self._ints),
            self._column_of_texts,
            self._column_of_records,
            self._some,
            self._present,
            self._column_of_mappings,
            self._column_of_tuples,
            self._packed_ints,
            self._remembering(self._packed_ints),
            self._packed_column_of_texts,
        )

    def _add_layout(self, number: int, layout: Layout) -> None:
        kind = _BY_NAME.get(layout.name)
        if kind is not None and issubclass(kind, StrEnum):
            known = {each.value: each for each in kind}
            self._choices[number] = tuple(known.get(value, known.get(_UNKNOWN)) for value in layout.fields)
            return
        blank = (None,) * len(layout.fields)
        if kind is None or layout != _LAYOUTS[kind]:
            old = type(f"_Old{number}", (_Old,), {"__slots__": ()})
            self._old[old] = kind, layout.fields
            # It may have been a choice: there is no telling any more.
            self._choices[number] = blank
            self._shapes[number] = _Shape(old, partial(tuple.__new__, old), None, blank)
        else:
            self._shapes[number] = _Shape(kind, _maker(kind), _take_apart.get(kind), blank)

    def decode(self, payload: bytes) -> Sample:
        """Return the sample of the next frame; what has not changed in it is the very same object as before.

        Raises:
            FrameUnreadable: it is damaged, or does not follow the last.
        """
        before, self._before = self._before, None
        sample: object
        modern: object
        try:
            count, base, sample = self._decoded(payload, before)
            if base is not before and before is not None:
                sample = self._kept(sample, before)
            modern = self._modern(sample) if self._old else sample
        except FrameUnreadable:
            raise
        except _OF_GARBAGE as error:
            raise FrameUnreadable from error
        if not isinstance(modern, Sample):
            raise FrameUnreadable
        self._before, self._count = sample, count + 1
        return modern

    def _decoded(self, payload: bytes, before: object) -> tuple[int, object, object]:
        """Return which frame it is since the key frame, the sample that it follows, and its own."""
        standing, self._standing = self._standing, None
        if standing is not None and payload.startswith(standing.payload):
            # The very same containers as in the key frame that was read last, be that far from here.
            self._forget_since(standing.known)
        else:
            opened = self._open(payload, before)
            sample = self._read(opened.base)
            if opened.place:
                self._standing = standing
                return opened.place, opened.base, sample
            if opened.follows == _WHOLE:
                self._end_key(payload, sample)
                return 0, None, sample
            standing = _Standing(sample, payload[: len(payload) - len(opened.rest)], self._known)
        opened = self._open(payload[len(standing.payload) :], before, standing)
        sample = self._read(opened.base)
        self._standing = standing
        self._end_key(payload, sample)
        return 0, standing.sample, sample

    def _read(self, base: object) -> object:
        """Read what is open, to its end."""
        sample = self._get(base)
        if next(self._numbers, None) is not None:
            raise FrameUnreadable
        return sample

    def _end_key(self, payload: bytes, sample: object) -> None:
        self._key, self._key_checksum, self._known_of_key = sample, zlib.adler32(payload), self._known
        self._made = {}

    @property
    def _known(self) -> tuple[int, ...]:
        return len(self._texts), len(self._large)

    def forget(self) -> None:
        """Begin anew with a key frame, of which nothing is sought in what was before: it is from somewhere else."""
        self._before = None

    def rewind(self) -> None:
        """Be as after the key frame that was read last: the one that follows it can be read next."""
        self._before, self._count = self._key, 1
        self._forget_since(self._known_of_key)

    def _forget_since(self, known: tuple[int, ...]) -> None:
        texts, large = known
        del self._texts[texts:], self._large[large:]

    def _open(self, payload: bytes, before: object, standing: _Standing | None = None) -> _Opened:
        """Begin with a frame, or, after who is ``standing``, with the rest of a key frame."""
        opened = zlib.decompressobj()
        data = opened.decompress(payload, MOST_BYTES)
        # What was cut off is not told apart from what is too large: neither comes to its end, where the checksum is.
        if not opened.eof:
            raise FrameUnreadable
        checksum, count, follows, short, huge, fractions, texts = _HEAD.unpack_from(data)
        if opened.unused_data and (count or follows != _WHO):
            raise FrameUnreadable
        data = data[_HEAD.size :]
        numbers, at = _unpacked(data, short, huge)
        base = self._base(checksum, count, follows, before) if count else self._base_of_key(checksum, follows, standing)
        self._last = {}
        self._numbers = iter(numbers)
        self._take = self._numbers.__next__
        self._fractions = iter(array("d", data[at : at + fractions]))
        at += fractions
        self._texts_at = len(self._texts)
        ends = list(accumulate(islice(self._numbers, texts), initial=0))
        data = data[at:]
        if ends[-1] != len(data):
            raise FrameUnreadable
        self._texts += _cut(data, ends)
        return _Opened(count, follows, base, opened.unused_data)

    def _base_of_key(self, checksum: int, follows: int, standing: _Standing | None) -> object:
        """Return what the second part of a key frame follows; before the first all that was known is forgotten."""
        if (follows == _REST) is (standing is None):
            raise FrameUnreadable
        if standing is None:
            self._texts, self._large = [], []
            return None
        if checksum != zlib.adler32(standing.payload):
            raise FrameUnreadable
        return standing.sample

    def _base(self, checksum: int, count: int, follows: int, before: object) -> object:
        """Return the sample that a frame follows: the one before it, or that of its key frame."""
        if checksum != self._key_checksum:
            raise FrameUnreadable
        if follows or count == 1:
            if before is None or count != self._count or follows != count - 1:
                raise FrameUnreadable
            return before
        self._forget_since(self._known_of_key)
        return self._key

    def _get(self, old: object) -> object:
        """Read a value, beside the one that was there."""
        number = self._take()
        return self._readers[number](old) if number < FIRST_INT else self._int(number - FIRST_INT, old)

    def _int(self, number: int, old: object) -> int:
        delta = ~(number >> 1) if number & 1 else number >> 1
        value = old + delta if type(old) is int else delta
        if not -_LARGE < delta < _LARGE:
            self._large.append(value)
        return value

    def _fraction(self, _: object) -> float:
        return next(self._fractions)

    def _text(self, _: object) -> str:
        return self._texts[self._take()]

    def _new_text(self, _: object) -> str:
        self._texts_at += 1
        return self._texts[self._texts_at - 1]

    def _tuple(self, _: object) -> _Record:
        return tuple(self._all(self._take()))

    def _mapping(self, _: object) -> _Mapping:
        length = self._take()
        return dict(zip(self._all(length), self._all(length), strict=True))

    def _choice(self, _: object) -> object:
        return self._choices[self._take()][self._take()]

    def _record(self, _: object) -> object:
        kind, make, _apart, blank = self._shapes[self._take()]
        self._last[kind] = values = self._fields(self._last.get(kind, blank))
        return make(values)

    def _changed(self, old: object) -> object:
        shape = self._of_kind.get(type(old))
        if shape is not None:
            _kind, make, apart, _blank = shape
            return make(self._fields(old if apart is None else apart(old)))  # type: ignore[arg-type]
        if type(old) is tuple:
            return self._changed_tuple(old)
        return self._changed_mapping(cast("_Mapping", old))

    def _fields(self, old: Sequence[object]) -> list[object]:
        readers = self._readers
        values = list(old)
        # Places first: where these end no number is taken.
        for at, number in zip(_places_of(self._take()), self._numbers, strict=False):
            was = values[at]
            if number < FIRST_INT:
                values[at] = readers[number](was)
            elif number < _FIRST_LARGE:
                delta = _signed(number - FIRST_INT)
                values[at] = was + delta if type(was) is int else delta
            else:
                values[at] = self._int(number - FIRST_INT, was)
        return values

    def _counted(self, old: object) -> object:
        _kind, make, apart, _blank = self._of_kind[type(old)]
        values: list[int] = list(old if apart is None else apart(old))  # type: ignore[call-overload]
        for at, number in zip(_places_of(self._take()), self._numbers, strict=False):
            values[at] += ~(number >> 1) if number & 1 else number >> 1
        return make(values)

    def _changed_tuple(self, old: _Record) -> _Record:
        order = self._order(len(old))
        if order is None:
            values = list(old)
        else:
            added = iter(self._all(order.count(None)))
            values = [next(added) if at is None else old[at] for at in order]
        self._change(values)
        return tuple(values)

    def _changed_mapping(self, old: _Mapping) -> _Mapping:
        order = self._order(len(old))
        keys = list(old)
        if order is None:
            values = dict(old)
        else:
            count = order.count(None)
            added = self._all(count)
            known = {**old, **dict(zip(added, self._all(count), strict=True))}
            following = iter(added)
            keys = [next(following) if at is None else keys[at] for at in order]
            values = {key: known[key] for key in keys}
        changed = [keys[at] for at in self._places()]
        values.update(zip(changed, self._all(len(changed), [values[key] for key in changed]), strict=True))
        return values

    def _order(self, length: int) -> list[int | None] | None:
        """Return where each thing was before; None if all are where they were."""
        runs = self._take()
        if not runs:
            return None
        order: list[int | None] = []
        expected = 0
        for _ in range(runs - 1):
            expected += _signed(self._take())
            kept = self._take()
            if expected < 0 or expected + kept > length:
                raise FrameUnreadable
            order += range(expected, expected + kept)
            expected += kept
            added = self._take()
            if added > MOST_BYTES:
                raise FrameUnreadable
            order += [None] * added
        return order

    def _change(self, values: list[object]) -> None:
        """Put in what follows, by its places."""
        places = self._places()
        for at, value in zip(places, self._all(len(places), [values[at] for at in places]), strict=True):
            values[at] = value

    def _places(self) -> list[int]:
        """Tell the places of what follows."""
        return [gap + at for at, gap in enumerate(accumulate(self._next(self._take())))]

    def _next(self, count: int) -> list[int]:
        numbers = list(islice(self._numbers, count))
        if len(numbers) < count:
            raise FrameUnreadable
        return numbers

    def _all(self, count: int, olds: Sequence[object] | None = None) -> list[object]:
        """Read so many values, each beside the one that was there."""
        if count < LEAST_COLUMN:
            return [self._get(None if olds is None else olds[at]) for at in range(count)]
        if count > _LONGEST_COLUMN:
            raise FrameUnreadable
        return self._column(count, olds)

    def _column(self, count: int, olds: Sequence[object] | None) -> list[object]:
        return self._column_readers[self._take()](count, olds)

    def _each(self, count: int, olds: Sequence[object] | None) -> list[object]:
        return [self._get(was) for was in (repeat(None, count) if olds is None else olds)]

    def _same_ones(self, count: int, _: Sequence[object] | None) -> list[object]:
        return [self._get(None)] * count

    def _ints(self, count: int, olds: Sequence[object] | None) -> list[object]:
        deltas = [~(number >> 1) if number & 1 else number >> 1 for number in self._next(count)]
        return _moved_by(deltas, olds)

    def _packed_ints(self, count: int, olds: Sequence[object] | None) -> list[object]:
        return _moved_by(_all_signed(_of_planes(self._take(), self._take(), count), count), olds)

    def _remembering(self, read: _ColumnReader) -> _ColumnReader:
        def read_large(count: int, olds: Sequence[object] | None) -> list[object]:
            values = read(count, olds)
            self._large += cast("list[int]", values)
            return values

        return read_large

    def _column_of_texts(self, count: int, _: Sequence[object] | None) -> list[object]:
        return self._all_texts(self._next(count))

    def _packed_column_of_texts(self, count: int, _: Sequence[object] | None) -> list[object]:
        padded = _of_planes(self._take(), self._take(), count)
        return self._all_texts(struct.unpack(f"<{count}{_FORMATS[len(padded) // count]}", padded))

    def _all_texts(self, numbers: Sequence[int]) -> list[object]:
        texts, new = self._texts, numbers.count(0)
        new_ones = texts[self._texts_at : self._texts_at + new]
        self._texts_at += new
        if new == len(numbers):
            return list(new_ones)
        following = iter(new_ones)
        return [texts[number - 1] if number else next(following) for number in numbers]

    def _column_of_records(self, count: int, olds: Sequence[object] | None) -> list[object]:
        kind, make, apart, blank = self._shapes[self._take()]
        columns: Iterable[Sequence[object] | None] = repeat(None, len(blank))
        if olds is not None:
            if set(map(type, olds)) != {kind}:
                raise FrameUnreadable
            columns = zip(*(olds if apart is None else map(apart, olds)), strict=True)
        return list(map(make, zip(*[self._column(count, column) for column in columns], strict=True)))

    def _some(self, _: int, olds: Sequence[object] | None) -> list[object]:
        values = list(olds or ())
        self._change(values)
        return values

    def _present(self, count: int, _: Sequence[object] | None) -> list[object]:
        values: list[object] = [None] * count
        places = self._places()
        for at, value in zip(places, self._all(len(places)), strict=True):
            values[at] = value
        return values

    def _column_of_mappings(self, count: int, olds: Sequence[object] | None) -> list[object]:
        if olds is None:
            lengths = self._next(count)
            keys = iter(self._all(sum(lengths)))
            values = iter(self._all(sum(lengths)))
            return [dict(zip(islice(keys, length), islice(values, length), strict=True)) for length in lengths]
        mappings = cast("Sequence[_Mapping]", olds)
        was = _values_of(mappings)
        values = iter(self._all(len(was), was))
        return [dict(zip(mapping, islice(values, len(mapping)), strict=True)) for mapping in mappings]

    def _column_of_tuples(self, count: int, _: Sequence[object] | None) -> list[object]:
        lengths = self._next(count)
        values = iter(self._all(sum(lengths)))
        return [tuple(islice(values, length)) for length in lengths]

    def _kept(self, new: object, old: object) -> object:
        """Put in what is the same as in the frame before, of what a key frame says anew."""
        shape = self._of_kind.get(type(new))
        if shape is None or type(new) is not type(old):
            return new
        pairs = zip(shape.values(new), shape.values(old), strict=True)
        return shape.make([_same(now, was) for now, was in pairs])

    def _modern(self, value: object) -> object:
        """Put records of layouts that are not written any more into those of today; the same each time."""
        shape = self._of_kind.get(type(value))
        if shape is None and type(value) not in {tuple, dict}:
            return value
        made = self._made.get(id(value))
        if made is None:
            # With what it was made of, so that nothing else gets its number.
            made = self._made[id(value)] = value, self._made_modern(value, shape)
        return made[1]

    def _made_modern(self, value: object, shape: _Shape | None) -> object:
        if type(value) is dict:
            mapping = {key: self._modern(each) for key, each in value.items()}
            return value if all(map(is_, mapping.values(), value.values())) else mapping
        parts = cast("_Record", value) if shape is None else shape.values(value)
        values = [self._modern(each) for each in parts]
        if shape is not None and shape.kind in self._old:
            kind, names = self._old[shape.kind]
            return None if kind is None else _filled(kind, dict(zip(names, values, strict=True)))
        if all(map(is_, values, parts)):
            return value
        return tuple(values) if shape is None else shape.make(values)


_UNKNOWN = "unknown"
"""The choice that stands for those of another version, where there is such a one."""
_BY_NAME = {kind.__name__: kind for kind in _LAYOUTS}
_OF_GARBAGE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, StopIteration, TypeError, ValueError),
    *(RuntimeError, struct.error, zlib.error),
)
"""What comes of reading something else as a frame."""


def _moved_by(deltas: Iterable[int], olds: Iterable[object] | None) -> list[object]:
    """Add each to what was there, or else to the one before it."""
    return list(accumulate(deltas) if olds is None else map(add, olds, deltas))


def _cut(data: bytes, ends: Iterable[int]) -> list[str]:
    """Make texts of what is between the ends."""
    if data.isascii():
        # Mostly; what is cut out of one text is made in a third of the time.
        text = data.decode()
        return [text[begin:end] for begin, end in pairwise(ends)]
    return [data[begin:end].decode(errors="surrogatepass") for begin, end in pairwise(ends)]


def _signed(number: int) -> int:
    return ~(number >> 1) if number & 1 else number >> 1


@lru_cache(maxsize=4096)
def _places_of(mask: int) -> tuple[int, ...]:
    """Return the places of the bits that are set."""
    return tuple(at for at in range(mask.bit_length()) if mask >> at & 1)


def _maker(kind: type) -> Callable[[Iterable[object]], object]:
    """Return what makes a record of the values in the order of its layout."""
    if kind not in _take_apart:
        return partial(tuple.__new__, kind)
    # Into its slots: a frozen dataclass itself takes twice as long.
    put_into = [getattr(kind, name).__set__ for name in _LAYOUTS[kind].fields]
    new = object.__new__

    def make(values: Iterable[object]) -> object:
        record: object = new(kind)
        for put, value in zip(put_into, values, strict=True):
            put(record, value)
        return record

    return make


def _filled(kind: type, values: Mapping[str, object]) -> object:
    """Make a record of the values that it still has; what is new in it is as by default, or unknown."""
    names = _LAYOUTS[kind].fields
    known = {name: value for name, value in values.items() if name in names}
    try:
        return kind(**known)
    except TypeError:
        return kind(**(dict.fromkeys(names) | known))


def _same(now: object, was: object) -> object:
    """Return what was there if it says the same, in mappings and tuples part by part."""
    if type(now) is not type(was):
        return now
    if now == was and not _is_in_other_order(now, was):
        return was
    if type(now) is dict:
        old = cast("_Mapping", was)
        return {key: _same(value, old[key]) if key in old else value for key, value in now.items()}
    if type(now) is tuple and len(now) == len(cast("_Record", was)):
        return tuple(map(_same, now, cast("_Record", was)))
    return now
