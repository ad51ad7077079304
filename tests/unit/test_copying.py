"""What of a row can be copied: what is known, without what is no text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from samples import running, sample_of, snapshot_after, unhurried

from topcon.ui.copying import copies, plain


def test_what_is_known_of_a_container_can_be_copied() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods
    (container,) = pod.containers
    offered = {copy.letter: copy.text for copy in copies(container, ["b", "a\nc"])}

    assert offered["n"] == "web"
    assert offered["i"] == container.info.id
    assert offered["a"] == "b ac"
    assert all(offered.values())


def test_of_a_pod_there_is_its_name() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods

    assert copies(pod)[0].text == pod.name


def test_no_two_letters_are_the_same() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods
    letters = [copy.letter for copy in copies(pod.containers[0], ["x"])]

    assert len(letters) == len(set(letters))


@unhurried
@given(st.text())
def test_text_stays_as_it_is_but_for_controls(text: str) -> None:
    kept = plain(text)

    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(character) for character in kept}
    assert plain(kept) == kept
    assert kept == text or len(kept) < len(text)
    kept.encode()
