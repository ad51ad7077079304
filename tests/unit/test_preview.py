"""The demo beside a host that has nothing: in a frame that says whose it is, in any room."""

from __future__ import annotations

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import running, sample_of, snapshot_after, text_of, unsafe

from topcon.model.playing import Playing
from topcon.ui.preview import LEAST_WIDTH, preview_lines
from topcon.ui.spans import width_of

PLAYING = Playing(START_WALL_NS, START_WALL_NS, START_WALL_NS, name="demo")
SNAPSHOT = snapshot_after(*(sample_of(*map(running, ["a", "b\x1b[31m", *"cdefgh"]), seconds=at) for at in range(2)))
WIDE_ENOUGH = LEAST_WIDTH + 8


@given(st.integers(0, 200), st.integers(0, 40))
def test_it_fits_into_any_room_or_is_not_there(width: int, height: int) -> None:
    lines = preview_lines(PLAYING, SNAPSHOT, width, height)

    assert len(lines) <= max(height, 0)
    assert {width_of(line) for line in lines} <= {width - 2}
    assert bool(lines) is (width >= WIDE_ENOUGH and height >= 7)


def test_its_frame_says_whose_it_is_and_it_has_the_tree() -> None:
    lines = [text_of(line) for line in preview_lines(PLAYING, SNAPSHOT, 100, 30)]

    assert ", recorded on another host " in lines[0]
    assert lines[0].startswith("  ╭─ demo ")
    assert "NAME" in lines[1]
    assert [line[7] for line in lines[2:-1]] == list("abcdefgh")
    assert lines[-1].strip("╰─╯ ") == ""


@pytest.mark.parametrize("height", [7, 9, 30])
def test_names_are_as_safe_in_it_as_in_the_tree(height: int) -> None:
    for line in preview_lines(PLAYING, SNAPSHOT, 100, height):
        assert not unsafe(text_of(line))
