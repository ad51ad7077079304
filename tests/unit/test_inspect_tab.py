"""What a runtime says of a container: folded, searched, copied, and without its secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import JSON, node_of, pod_of, text_of, tree_of, unsafe

from topcon.model.known import known
from topcon.model.sample import Problem
from topcon.ui.tabs.inspect import (
    INSPECT_VERBS,
    MASK,
    InspectView,
    at_path,
    document,
    inspect_copies,
    inspect_entries,
    inspect_heading,
    lines,
    masked,
    searched,
)
from topcon.ui.tabs.seen import Seen

SAID: dict[str, Any] = {
    "Id": "abc",
    "State": {"Running": True, "Pid": 42, "Health": None, "Log": []},
    "Config": {
        "Env": ["PATH=/usr/bin", "DB_PASSWORD=hunter2", "EMPTY="],
        "Cmd": ["serve", "--token=t0ken", "--password", "s3cret", "redis://user:pw@db:6379/0"],
        "Labels": {"a/b": "x", "api_key": "k3y"},
        "Tty": False,
    },
    "envs": [{"key": "MODE", "value": "prod"}],
    "config": {"environment.TOKEN": "0pen5", "limits.cpu": "2"},
    "annotations": [{"key": "team", "value": "sea"}, {"key": "auth-token", "value": "abcd"}],
}
SECRETS = ("/usr/bin", "hunter2", "t0ken", "s3cret", ":pw@", "k3y", "prod", "0pen5", "abcd")
ALL = InspectView(is_all=True)


def seen(found: object, view: InspectView, chosen: str | None = None, width: int = 80) -> Seen:
    node = node_of("web")
    return Seen(tree_of(pod_of(node)), node, width, 20, found, view, chosen)


def texts(view: InspectView, said: dict[str, Any] = SAID) -> list[str]:
    return [text_of(entry.spans) for entry in inspect_entries(seen(document(said), view))]


def test_at_first_it_is_folded() -> None:
    assert texts(InspectView())[:3] == ["   Id  abc", " ▸ State  {4}", " ▸ Config  {4}"]


def test_a_line_is_unfolded_and_folded_again() -> None:
    found = document(SAID)
    view = INSPECT_VERBS["open"](InspectView(), seen(found, InspectView(), "/State"))

    assert texts(view)[1:6] == [
        " ▾ State  {4}",
        "     Running  true",
        "     Pid  42",
        "     Health  null",
        "     Log  []",
    ]
    assert INSPECT_VERBS["left"](view, seen(found, view, "/State")) == InspectView()
    assert INSPECT_VERBS["right"](view, seen(found, view, "/State")) is view


def test_all_is_unfolded_but_what_is_folded_by_hand() -> None:
    view = INSPECT_VERBS["all"](InspectView(), seen(None, InspectView()))
    assert len(texts(view)) > 20

    view = INSPECT_VERBS["left"](view, seen(document(SAID), view, "/Config"))
    assert " ▸ Config  {4}" in texts(view)
    assert INSPECT_VERBS["less"](view, seen(None, view)) == InspectView()


def test_secrets_are_masked_until_they_are_asked_for() -> None:
    shown = "\n".join(texts(ALL))
    for secret in SECRETS:
        assert secret not in shown
    assert f"DB_PASSWORD={MASK}" in shown
    assert f"--token={MASK}" in shown
    assert "redis://user:•••@db:6379/0" in shown
    for plain_one in ("serve", "a/b  x", "limits.cpu  2", "team", "sea", "MODE", "auth-token"):
        assert plain_one in shown

    revealed = "\n".join(texts(INSPECT_VERBS["reveal"](ALL, seen(None, ALL))))
    for secret in SECRETS:
        assert secret in revealed


def test_a_secret_cannot_be_searched_for_while_it_is_masked() -> None:
    assert "hunter2" not in "\n".join(texts(searched(InspectView(), "hunter")))
    assert "DB_PASSWORD=hunter2" in "\n".join(texts(searched(InspectView(is_revealed=True), "hunter")))


def test_a_search_leaves_what_has_it_and_all_around_it() -> None:
    assert texts(searched(InspectView(), "PID")) == [" ▾ State  {4}", "     Pid  42"]
    # What is named so stays folded as it is.
    assert texts(searched(InspectView(), "label")) == [" ▾ Config  {4}", "   ▸ Labels  {2}"]
    assert texts(searched(InspectView(), "nowhere")) == [" nothing has nowhere in it"]
    heading = text_of(inspect_heading(seen(document(SAID), searched(InspectView(), "pid"))))
    assert "only what has /pid" in heading


def test_what_is_copied_is_as_masked_as_what_is_shown() -> None:
    found = document(SAID)
    by_letter = {each.letter: each.text for each in inspect_copies(seen(found, InspectView(), "/Config/Env/1"))}

    assert by_letter["v"] == f"DB_PASSWORD={MASK}"
    assert by_letter["p"] == "/Config/Env/1"
    assert not any(secret in by_letter["a"] for secret in SECRETS)
    revealed = inspect_copies(seen(found, InspectView(is_revealed=True), "/Config/Labels/a~1b"))
    assert revealed[0].text == "x"
    assert json.loads(revealed[2].text) == SAID


def test_a_path_that_is_gone_meanwhile() -> None:
    with pytest.raises(KeyError):
        at_path(SAID, "/State/None")


def test_what_could_not_be_asked_is_said() -> None:
    assert "no answer" in text_of(inspect_entries(seen(Problem("docker", "no answer"), InspectView()))[0].spans)
    assert inspect_entries(seen(None, InspectView()))


def test_what_stays_as_it_is_is_not_written_anew() -> None:
    found = document(SAID)

    assert inspect_entries(seen(found, ALL)) is inspect_entries(seen(found, ALL, "/Id"))


def test_what_topcon_knows_is_said_where_nobody_else_says_more() -> None:
    said = known(node_of("web"), "no runtime that answers")

    assert said["topcon"] == "no runtime that answers"
    assert said["info"]["name"] == "web"
    assert json.loads(json.dumps(said)) == said


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5), st.booleans(), st.text(max_size=3))
def test_whatever_is_said_can_be_shown_and_copied(said: dict[str, Any], is_revealed: bool, query: str) -> None:
    view = InspectView(is_all=True, is_revealed=is_revealed, query=query)
    found = lines(said, view)

    paths = [line.path for line in found]
    assert len(set(paths)) == len(paths)
    for line in found:
        assert not unsafe(line.label + line.text)
        at_path(said, line.path)
    masked(said)
