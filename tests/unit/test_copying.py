"""What of a row can be copied: what is known, without what is no text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from samples import node_of, running, sample_of, snapshot_after

from topcon.model.sample import Port
from topcon.ui.copying import copies, plain


def test_what_is_known_of_a_container_can_be_copied() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods
    (container,) = pod.containers
    offered = {copy.letter: copy.text for copy in copies(container, ["b", "a\nc"])}

    assert offered["n"] == "web"
    assert offered["i"] == container.info.id
    assert offered["a"] == "b ac"
    assert all(offered.values())


def test_published_ports_can_be_copied_each_once_and_others_not() -> None:
    ports = (Port("::", 8443, 443, "tcp"), Port("0.0.0.0", 80, 80, "tcp"), Port("::", 80, 80, "tcp"))

    assert {copy.letter: copy.text for copy in copies(node_of("web", ports=ports))}["o"] == "80 8443"
    assert "o" not in {copy.letter for copy in copies(node_of("web", ports=(Port(None, None, 80, "tcp"),)))}


def test_of_a_pod_there_is_its_name() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods

    assert copies(pod)[0].text == pod.name


def test_no_two_letters_are_the_same() -> None:
    (pod,) = snapshot_after(sample_of(running("web"), seconds=1)).pods
    letters = [copy.letter for copy in copies(pod.containers[0], ["x"])]

    assert len(letters) == len(set(letters))


@given(st.text())
def test_text_stays_as_it_is_but_for_controls(text: str) -> None:
    kept = plain(text)

    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(character) for character in kept}
    assert plain(kept) == kept
    assert kept == text or len(kept) < len(text)
    kept.encode()
