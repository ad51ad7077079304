"""The links of the host and what they count, as rtnetlink tells them."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel import links
from topcon.kernel.links import Link, Links, attributes, bodies, parse_counters, parse_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERROR, DONE, NEWLINK, NEWNSID, NEWSTATS = 2, 3, 16, 88, 92
GETLINK, GETNSID, GETSTATS = 18, 90, 94
DUMP = 0x300
COUNTED = (1, 2, 3, 4, 5, 6, 7, 8, 16)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, 0, 1, 77) + body


def done(number: int = 0) -> bytes:
    return message(DONE, struct.pack("i", -number))


def refused(number: int) -> bytes:
    return message(ERROR, struct.pack("i", -number) + b"\0" * 16)


def stats(index: int, *first: int, before: bytes = b"") -> bytes:
    """What a link counts, numbered from 1 but for the ``first``; ``before`` are other attributes."""
    values = [*first, *range(1 + len(first), 26)]
    body = struct.pack("BBHiI", 0, 0, 0, index, 1) + before + attribute(1, struct.pack("25Q", *values))
    return message(NEWSTATS, body)


def link(index: int, *attributes_: bytes) -> bytes:
    return message(NEWLINK, struct.pack("BxHiII", 0, 1, index, 0, 0) + b"".join(attributes_))


def veth(index: int, name: str, nsid: int | None) -> bytes:
    info = attribute(18, attribute(1, b"veth\0") + attribute(2, b"\0" * 4))
    peer = () if nsid is None else (attribute(37, struct.pack("i", nsid)),)
    return link(index, attribute(3, name.encode() + b"\0"), info, *peer)


class FakeSocket:
    """A kernel that answers each request with the datagrams that are at hand."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.asked: list[tuple[int, int]] = []
        self.is_closed = False

    def connect(self, address: tuple[int, int]) -> None:
        assert address == (0, 0)

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def send(self, data: bytes) -> None:
        length, kind, flags, _, _ = struct.unpack_from("IHHII", data)
        assert length == len(data)
        self.asked.append((kind, flags & DUMP))

    def recv(self, _: int) -> bytes:
        return self.answers.pop(0)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeSocket:
    fake = FakeSocket()
    monkeypatch.setattr(links.socket, "socket", lambda *_: fake)
    return fake


def test_what_a_link_counts_is_told_by_its_index(kernel: FakeSocket) -> None:
    kernel.answers = [stats(2) + stats(7, 70), stats(9, 90), done()]

    assert Links().counters() == {2: COUNTED, 7: (70, *COUNTED[1:]), 9: (90, *COUNTED[1:])}
    assert kernel.asked == [(GETSTATS, DUMP)]
    assert kernel.answers == []


def test_a_dump_may_end_with_its_last_part(kernel: FakeSocket) -> None:
    kernel.answers = [stats(2), stats(7) + done()]

    assert list(Links().counters()) == [2, 7]
    assert kernel.answers == []


def test_counters_behind_padding_are_found(kernel: FakeSocket) -> None:
    padding = attribute(0, b"")
    kernel.answers = [stats(2, before=padding) + stats(7) + done()]

    assert Links().counters() == {2: COUNTED, 7: COUNTED}


def test_a_link_without_these_counters_is_left_out(kernel: FakeSocket) -> None:
    other = message(NEWSTATS, struct.pack("BBHiI", 0, 0, 0, 5, 0) + attribute(3, b"1234"))
    kernel.answers = [other + done()]

    assert Links().counters() == {}


def test_what_has_not_changed_is_the_very_same_object(kernel: FakeSocket) -> None:
    asked = Links()
    first_part, second_part = stats(2) + stats(3), stats(7)
    kernel.answers = [first_part, second_part, done()] * 2
    first, second = asked.counters(), asked.counters()
    kernel.answers = [first_part, stats(7, 70), done()]
    third = asked.counters()
    kernel.answers = [stats(2, 20) + stats(3), stats(7, 70), done()]
    fourth = asked.counters()

    assert second is first
    assert third is not first
    assert third[7][0] == 70
    assert third[2] is first[2]
    assert fourth[2][0] == 20
    assert fourth[3] is first[3]
    assert fourth[7] is third[7]


@pytest.mark.parametrize("left", [[stats(2), done()], [done()]])
def test_a_link_that_is_gone_is_forgotten(kernel: FakeSocket, left: list[bytes]) -> None:
    asked = Links()
    kernel.answers = [stats(2), stats(7), done()]
    asked.counters()
    kernel.answers = list(left)

    assert 7 not in asked.counters()


def test_links_are_named_and_their_other_ends_told(kernel: FakeSocket) -> None:
    kernel.answers = [link(1, attribute(3, b"lo\0")) + veth(7, "veth7", 3), veth(8, "veth8", None) + done()]

    assert Links().all() == {1: Link("lo", None, None), 7: Link("veth7", "veth", 3), 8: Link("veth8", "veth", None)}
    assert kernel.asked == [(GETLINK, DUMP)]


def test_one_link_is_asked_for_without_a_dump(kernel: FakeSocket) -> None:
    kernel.answers = [veth(7, "veth7", 3)]

    assert Links().of(7) == Link("veth7", "veth", 3)
    assert kernel.asked == [(GETLINK, 0)]


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO])
def test_a_link_that_is_not_there_is_none(kernel: FakeSocket, number: int) -> None:
    kernel.answers = [refused(number)]

    assert Links().of(7) is None


@pytest.mark.parametrize(("told", "nsid"), [(0, 0), (5, 5), (-1, None)])
def test_the_id_of_a_namespace(kernel: FakeSocket, told: int, nsid: int | None) -> None:
    kernel.answers = [message(NEWNSID, struct.pack("Bxxx", 0) + attribute(1, struct.pack("i", told)))]

    assert Links().namespace_id(100) == nsid
    assert kernel.asked == [(GETNSID, 0)]


def test_the_namespace_of_a_process_that_has_ended_has_no_id(kernel: FakeSocket) -> None:
    kernel.answers = [refused(errno.ESRCH)]

    assert Links().namespace_id(100) is None


def test_an_answer_without_an_id_is_none(kernel: FakeSocket) -> None:
    kernel.answers = [message(NEWNSID, struct.pack("Bxxx", 0))]

    assert Links().namespace_id(100) is None


ASKED: dict[str, Callable[[Links], object]] = {
    "counters": lambda each: each.counters(),
    "all": lambda each: each.all(),
    "of": lambda each: each.of(7),
    "namespace_id": lambda each: each.namespace_id(100),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("answer", [refused(errno.EPERM), done(errno.EPERM)])
def test_what_the_kernel_refuses_is_an_error(kernel: FakeSocket, name: str, answer: bytes) -> None:
    kernel.answers = [answer]

    with pytest.raises(PermissionError):
        ASKED[name](Links())


def test_where_there_is_no_rtnetlink_nothing_stays_open(kernel: FakeSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(kernel, "connect", refuse)

    with pytest.raises(PermissionError):
        Links()
    assert kernel.is_closed


def test_closing_closes_the_socket(kernel: FakeSocket) -> None:
    Links().close()

    assert kernel.is_closed


SHORT = struct.pack("IHHII", 8, NEWSTATS, 0, 1, 77)
LONG = struct.pack("IHHII", 99, NEWSTATS, 0, 1, 77)


@pytest.mark.parametrize(
    "data",
    [
        b"\1\2\3",
        SHORT,
        LONG,
        message(NEWSTATS, b"\0" * 4),
        message(NEWSTATS, struct.pack("BBHiI", 0, 0, 0, 5, 1) + attribute(1, b"1234")),
        message(NEWSTATS, b"\0" * 12 + struct.pack("HH", 2, 1)),
        message(NEWSTATS, b"\0" * 12 + struct.pack("HH", 99, 1)),
    ],
)
def test_counters_in_another_form_are_malformed(data: bytes) -> None:
    with pytest.raises(ParseError, match="rtnetlink"):
        parse_counters(data, {})


@pytest.mark.parametrize("data", [b"\0" * 4, b"\0" * 16 + attribute(37, b"1"), b"\0" * 16 + attribute(18, b"\2\0\1\0")])
def test_a_link_in_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(ParseError, match="rtnetlink"):
        parse_link(data, 0, len(data))


def test_a_dump_of_an_old_kernel_is_done_without_saying_how() -> None:
    assert list(bodies(message(DONE, b""))) == [(None, 0)]


@given(st.binary() | st.lists(st.sampled_from([stats(2), veth(7, "x", 1), done(), refused(5)])).map(b"".join))
@example(stats(2)[:-4])
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    def parse() -> Iterator[object]:
        yield parse_counters(data, {})
        for start, end in bodies(data):
            if start is not None:
                yield parse_link(data, start, end)
                yield list(attributes(data, start, end))

    with suppress(OSError, ParseError):
        assert list(parse())


def test_our_own_links_are_told_by_the_kernel() -> None:
    try:
        asked = Links()
    except OSError as error:
        pytest.skip(f"no rtnetlink here: {error}")
    try:
        known, counters = asked.all(), asked.counters()
        (loopback,) = (index for index, each in known.items() if each.name == "lo")
        missing = asked.of(2**31 - 1)
        nobody = asked.namespace_id(2**22 + 1)
        itself = asked.of(loopback)
        asked.namespace_id(os.getpid())
    finally:
        asked.close()

    assert loopback in counters
    assert itself == known[loopback] == Link("lo", None, None)
    assert (missing, nobody) == (None, None)
