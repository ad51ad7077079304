"""Words that all have to be found, each of them anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, container_id, node_of, pod_of, unhurried

from topcon.filter import Filter, parse_filter

WEB = node_of("Web-1", image="registry.example/nginx:1.27")
SHOP = pod_of(WEB, node_of("db"), name="Shop")
WORDS = st.lists(st.sampled_from(["web", "shop", "nginx", "db", "1.27", "zzz", "e", "-1", "WEB"]), max_size=5)


def matches(text: str) -> bool:
    return parse_filter(text).matches(SHOP, WEB)


@pytest.mark.parametrize(
    "text",
    [
        "web",
        "WEB",
        "eb-",
        "shop",
        "sHoP",
        "nginx",
        "nginx:1.27",
        "registry.example/",
        container_id("Web-1")[:12],
        container_id("Web-1")[:12].upper(),
        container_id("Web-1"),
        "web shop nginx",
        "  nginx\t web \n",
    ],
)
def test_a_word_is_found_in_the_name_the_pod_the_image_or_the_id(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    ["db", "web db", "zzz", "w.b", "web*", "web-1shop", "docker", "running", "%", "\x00"],
)
def test_a_word_that_is_nowhere_keeps_the_container_out(text: str) -> None:
    """Not a sibling's name, no pattern, nothing that is put together from two texts."""
    assert not matches(text)


@pytest.mark.parametrize("text", ["", " ", " \t\n"])
def test_no_words_keep_nothing_out(text: str) -> None:
    assert parse_filter(text) == Filter()
    assert not parse_filter(text)
    assert matches(text)


def test_a_filter_with_words_is_true() -> None:
    assert parse_filter("web")


def test_an_id_in_capitals_is_found_as_it_is_shown() -> None:
    """Only Docker's are lower-case digits: machined and LXC give names as ids."""
    node = node_of("web", id="Fedora-Box")

    assert parse_filter("Fedora-Box").matches(pod_of(node), node)


def test_a_container_without_an_image_is_found_by_its_name_only() -> None:
    node = node_of("web", image=None)

    assert parse_filter("web").matches(pod_of(node), node)
    assert not parse_filter("none").matches(pod_of(node), node)


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES.values() if name])
def test_what_a_hostile_name_holds_can_be_searched_for(name: str) -> None:
    node = node_of(name)

    assert parse_filter(name).matches(pod_of(node), node)


@unhurried
@given(WORDS, WORDS)
def test_a_further_word_never_shows_more(words: list[str], more: list[str]) -> None:
    assert matches(" ".join(words)) >= matches(" ".join([*words, *more]))


@unhurried
@given(WORDS, st.randoms())
def test_the_order_of_the_words_does_not_matter(words: list[str], random: object) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert matches(" ".join(words)) == matches(" ".join(shuffled)) == all(matches(word) for word in words)


@unhurried
@given(st.text())
def test_anything_can_be_typed(text: str) -> None:
    typed = parse_filter(text)

    assert isinstance(typed.matches(SHOP, WEB), bool)
    assert parse_filter(" ".join(typed.words)).words == typed.words
