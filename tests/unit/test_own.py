"""What topcon itself has used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.kernel.own import PAGE_BYTES, OwnReader, parse_statm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("raw", "pages"), [(b"13123 4711 900 5 0 3000 0\n", 4711), (b"1 0 0 0 0 0 0\n", 0), (b"1 2", 2)]
)
def test_the_second_field_is_the_resident_memory_in_pages(raw: bytes, pages: int) -> None:
    assert parse_statm(raw, "statm") == pages * PAGE_BYTES


@given(st.binary())
def test_any_bytes_are_understood_or_refused(raw: bytes) -> None:
    try:
        assert parse_statm(raw, "statm") >= 0
    except ParseError as error:
        assert str(error).startswith("statm: ")  # noqa: PT017  there is not always one


@pytest.mark.parametrize("raw", [b"", b"13123", b"13123 many", b"1 -2 3"])
def test_what_is_no_number_is_told(raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse_statm(raw, "statm")


def test_both_are_read_anew_each_time(tmp_path: Path) -> None:
    statm, used_ns = tmp_path / "statm", iter([1_500_000_000, 2_000_000_000])
    reader = OwnReader(lambda: next(used_ns), str(statm))

    told = []
    for pages in (10, 30):
        statm.write_text(f"99 {pages} 0 0 0 0 0\n")
        told.append((reader.cpu_s(), reader.rss_bytes()))
    reader.close()

    assert told == [(1.5, 10 * PAGE_BYTES), (2.0, 30 * PAGE_BYTES)]


def test_without_the_file_the_memory_is_not_known(tmp_path: Path) -> None:
    assert OwnReader(path=str(tmp_path / "statm")).rss_bytes() is None


def test_this_process_has_used_something() -> None:
    reader = OwnReader()
    used_s = reader.cpu_s()
    sum(range(100_000))

    assert reader.cpu_s() > used_s > 0
    assert (reader.rss_bytes() or 0) > 1 << 20
    reader.close()
