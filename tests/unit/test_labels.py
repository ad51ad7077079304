"""Labels as text: escaped, sorted, and kept from page to page as long as they are used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from topcon.exporter.labels import MOST_MERGED, LabelCache, Labels, container_label, escaped, path_text
from topcon.text import printable

NAMES = st.from_regex(r"_?[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read_back(text: str) -> dict[str, str]:
    ((sample,),) = [metric.samples for metric in text_string_to_metric_families(f"m{{{text}}} 1\n")]
    return sample.labels


@given(st.dictionaries(NAMES, VALUES, min_size=1))
def test_labels_read_back_as_they_were(pairs: dict[str, str]) -> None:
    assert read_back(Labels(pairs.items()).text) == pairs


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ""), ("plain", "plain"), ('"', r"\""), ("\\", r"\\"), ("\n", r"\n"), (r"\n", r"\\n"), ('\\"', r"\\\"")],
)
def test_what_ends_a_value_is_escaped(value: str, expected: str) -> None:
    assert escaped(value) == expected


@given(st.dictionaries(NAMES, VALUES, min_size=1), st.dictionaries(NAMES, VALUES, min_size=1))
def test_a_familys_own_labels_come_in_their_places(pairs: dict[str, str], own: dict[str, str]) -> None:
    own = {name: value for name, value in own.items() if name not in pairs}
    labels = Labels(pairs.items())
    merged = labels.with_(*own.items())

    assert read_back(merged) == pairs | own
    assert list(read_back(merged)) == sorted(pairs | own)
    assert labels.with_(*own.items()) is merged
    assert labels.text == Labels(pairs.items()).text


def test_a_subject_does_not_gather_texts_for_ever() -> None:
    labels = Labels([("id", "/")])
    kept = [labels.with_(("interface", f"eth{number}")) for number in range(MOST_MERGED)]

    assert labels.with_(("interface", "eth0")) is kept[0]
    assert labels.with_(("interface", "new")) == 'id="/",interface="new"'
    assert labels.with_(("interface", "eth0")) == kept[0]
    assert labels.with_(("interface", "eth0")) is not kept[0]
    assert len(labels._merged) == 2


def test_labels_are_kept_for_the_next_page_as_long_as_they_are_used() -> None:
    first = LabelCache()
    stays, goes = first.labels(("id", "stays")), first.labels(("id", "goes"))
    second = LabelCache(first)

    assert second.labels(("id", "stays")) is stays
    assert second.labels(("id", "stays")) is stays
    third = LabelCache(second)
    assert third.labels(("id", "stays")) is stays
    assert third.labels(("id", "goes")) is not goes
    assert third.labels(("id", "goes")).text == goes.text


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("com.docker.compose.project", "container_label_com_docker_compose_project"),
        ("a-b/c", "container_label_a_b_c"),
        ("größe", "container_label_gr__e"),
        ("1st", "container_label_1st"),
        ("", "container_label_"),
    ],
)
def test_a_containers_label_is_named_as_cadvisor_does(key: str, expected: str) -> None:
    assert container_label(key) == expected


@given(*[st.text(st.characters(exclude_characters="/"), max_size=8)] * 2)
def test_names_without_a_slash_stay_apart_and_can_be_shown(one: str, other: str) -> None:
    assert (path_text(one) == path_text(other)) == (one == other)
    assert printable(path_text(one)) == path_text(one)
