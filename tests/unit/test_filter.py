"""A small language: words, fields, comparisons, patterns, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import assume, given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, container_id, node_of, pod_of

from topcon.filter import (
    MOST_NAMED,
    MOST_NESTED,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    Filter,
    FilterError,
    parse_filter,
)
from topcon.model.sample import Health, PodKind, Port, State
from topcon.model.snapshot import PressureShare, PressureShares, Usage
from topcon.pattern import LONGEST_MATCHED, LONGEST_PATTERN

if TYPE_CHECKING:
    from topcon.filter import NumberField

USAGE = Usage(
    cpu_cores=0.5,
    cpu_limit_cores=2.0,
    throttled_share=0.125,
    memory_bytes=300 << 20,
    memory_limit_bytes=400 << 20,
    pressure=PressureShares(PressureShare(0.05, None), PressureShare(0.3, 0.1), None),
    rx_bytes_per_second=2048.0,
    tx_bytes_per_second=0.0,
    read_bytes_per_second=3.0 * 2**30,
    write_bytes_per_second=10.0,
    pids=12,
)
WEB = node_of(
    "Web-1",
    USAGE,
    image="registry.example/nginx:1.27",
    health=Health.UNHEALTHY,
    restarts=2,
    labels={"app": "Front", "org.example/tier": "edge", "empty": ""},
    ports=(Port(None, 8080, 80, "tcp"), Port(None, None, 9000, "tcp")),
    started_ns=START_WALL_NS,
    oom_kills=3,
)._replace(started_ns=START_WALL_NS)
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


@given(WORDS, WORDS)
def test_a_further_word_never_shows_more(words: list[str], more: list[str]) -> None:
    assert matches(" ".join(words)) >= matches(" ".join([*words, *more]))


@given(WORDS, st.randoms())
def test_the_order_of_the_words_does_not_matter(words: list[str], random: object) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert matches(" ".join(words)) == matches(" ".join(shuffled)) == all(matches(word) for word in words)


FIVE_MINUTES = START_WALL_NS + 300 * SECOND_NS
TRUE_OF_WEB = [
    "name:web",
    "NAME:WEB",
    "name=web-1",
    "pod:sho",
    "pod=shop",
    "kind:compose",
    "image:nginx:1.27",
    "image:registry.example/nginx",
    f"id:{container_id('Web-1')[:12]}",
    "runtime:docker",
    "state:running",
    "state=up",
    "health:unhealthy",
    "port=80",
    "port:808",
    "port=9000",
    "label.app:front",
    "label.app=front",
    "label.org.example/tier:edge",
    'label.empty:""',
    'name:"eb-"',
    "name:'eb-'",
    '"web-1"',
    "name:/^w.b/",
    "/^WEB-[0-9]$/",
    "/nginx:1\\.2[67]$/",
    "/registry\\/x|example/nginx/",
    "/a b|web/",
    "cpu>0.4",
    "cpu>400m",
    "cpu>.4",
    "cpu>=0.5",
    "cpu<=50%",
    "cpu=0.5",
    "cpu == 0.5",
    "CPU > 0.4",
    "cpu%>20",
    "cpu%<26%",
    "mem>200M",
    "mem>200MiB",
    "mem>200mb",
    "mem<1g",
    "mem=314572800",
    "mem%>70",
    "throttled>10%",
    "psi>29%",
    "psi<31",
    "rx=2k",
    "tx=0",
    "read>2.9G",
    "write<11b",
    "pids>11",
    "restarts>0",
    "oom=3",
    "age>4m",
    "age<1h",
    "age=300s",
    "!db",
    "!!web",
    "! db",
    "!(db web)",
    "!db web",
    "db|web",
    "db | web",
    "(web)",
    "( db | web ) shop",
    "web|db zzz",
    "!zzz|db",
    "web!1|web",
    "@front",
    "@front web",
    "!@back",
    "@both",
]
FALSE_OF_WEB = [
    "name=web",
    "name:shop",
    "pod:web",
    "namespace:default",
    "runtime:podman",
    "state:exited",
    "state:oom",
    "health=healthy",
    "port=8000",
    "label.App:front",
    "label.none:x",
    'label.none:""',
    '"web 1"',
    "name:/^eb/",
    "cpu>0.5",
    "mem>1G",
    "exit>0",
    "exit<1",
    "exit=0",
    "age>5m",
    "!web",
    "!!db",
    "!(db|web)",
    "(web|db) zzz",
    "db|web zzz",
    "@back",
    "@both @back",
]
SAVED = {"front": "label.app:front", "back": "!@front|zzz", "both": "@front|@back", "loop": "web|@loop", "bad": "cpu>"}


@pytest.mark.parametrize(
    ("text", "expected"), [(text, True) for text in TRUE_OF_WEB] + [(text, False) for text in FALSE_OF_WEB]
)
def test_what_a_filter_means(text: str, expected: bool) -> None:
    assert parse_filter(text, SAVED).at(FIVE_MINUTES).matches(SHOP, WEB) == expected


@pytest.mark.parametrize("field", NUMBER_FIELDS, ids=lambda field: field.name)
def test_what_is_unknown_is_in_no_comparison(field: NumberField) -> None:
    node = node_of("web", restarts=None)._replace(oom_kills=0)
    unknown = field.name != "oom"

    assert not any(
        parse_filter(f"{field.name}{sign}0").matches(pod_of(node), node) for sign in ("<", "=", ">") if unknown
    )


def test_one_that_ended_has_the_age_of_its_end() -> None:
    node = node_of("web", state=State.EXITED, finished_ns=START_WALL_NS, exit_code=137, oom_killed=True)
    ended = parse_filter("age=60 exit=137 state:oom state=exited !state:up").at(START_WALL_NS + 60 * SECOND_NS)

    assert ended.matches(pod_of(node), node)


def test_the_namespace_is_that_of_the_pod() -> None:
    node = node_of("web")
    pod = pod_of(node, name="x", kind=PodKind.KUBERNETES, namespace="prod")

    assert parse_filter("namespace=prod pod=prod/x prod/").matches(pod, node)


@pytest.mark.parametrize(
    ("text", "is_timed"), [("age>5m", True), ("web !(age<1h)", True), ("@old", True), ("web", False)]
)
def test_only_an_age_changes_by_itself(text: str, is_timed: bool) -> None:
    assert parse_filter(text, {"old": "age>1d"}).is_timed == is_timed


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("cpu>", 4, "cpu>0.5"),
        ("cpu>x", 4, "cpu>0.5"),
        ("web cpu>5q", 8, "cpu>0.5"),
        ("cpu>(1)", 4, "cpu>0.5"),
        ("mem>1.2.3", 4, "mem>200M"),
        ("age>5%", 4, "age>5m"),
        ("cpu:5", 0, "cpu>0.5"),
        (">5", 0, "a field before >"),
        ("cpuu>5", 0, "did you mean cpu?"),
        ("zzzzzz>5", 0, "restarts"),
        ("name>5", 4, "expected : or ="),
        ("label.app<5", 9, "expected : or ="),
        ("web xname:x", 4, "did you mean name?"),
        ("satte:x", 0, '"satte:..." in quotes'),
        ("name:", 5, "expected what the name"),
        ("name: web", 5, "expected what the name"),
        ("name=", 5, "expected the name"),
        ("label.:x", 6, "label.app:web"),
        ("(web", 0, "expected )"),
        ("web (db|(x)", 4, "expected )"),
        ("web)", 3, "there is no ("),
        ("()", 1, "expected a word"),
        ("web|", 4, "expected a word"),
        ("|web", 0, "expected a word"),
        ("web||db", 4, "expected a word"),
        ("web !", 5, "after !"),
        ("(!)", 2, "after !"),
        ('web "db', 4, 'expected " at the end'),
        ("/web", 0, "expected / at the end"),
        ("/web/x", 0, "expected / at the end"),
        ("//", 1, "expected a pattern"),
        (f"/{'x' * (LONGEST_PATTERN + 1)}/", 1, "expected a pattern"),
        ("db /we(b/", 6, "unterminated subpattern"),
        ("/*/", 1, "nothing to repeat"),
        ("/x{99999999999999999999}/", 1, "too large"),
        ("/(a+)+$/", 5, "expected no repetition of what can be read"),
        ("db /(?:a|aa)*b/", 12, "expected no repetition of what can be read"),
        ("/.*a.*b.*c/", 8, "expected fewer repetitions"),
        (f"/{'a?' * 40}/", 42, "expected fewer repetitions"),
        (f"/{'(a|a)' * 30}/", 105, "expected fewer repetitions"),
        ("/((a?){5}){9}/", 10, "expected fewer repetitions"),
        ("/(a{0,9}){0,50}/", 9, "expected fewer repetitions"),
        ("/(?x)web/", 1, "expected of (?"),
        ("web && db", 4, "expected a blank for &&"),
        ("web OR db", 4, "expected | for OR"),
        ("@", 0, "@front"),
        ("web @none", 4, "@front"),
        ("@loop", 0, "no filter is saved as loop"),
        ("web @bad", 4, "@bad: expected a number"),
        ("(" * (MOST_NESTED + 1), MOST_NESTED, "no more than"),
    ],
)
def test_a_wrong_filter_says_where_and_what_was_expected(text: str, at: int, expected: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text, SAVED)

    assert caught.value.at == at
    assert expected in caught.value.message
    assert f"column {at + 1}: {caught.value.message}" in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+\.\d+\.\d+\.\d+",
        r"([0-9]{1,3}\.){3}[0-9]{1,3}",
        r"[a-z]+-[a-z]+-[0-9]+-\w+",
        r"^(web|db|api)-(blue|green)-\d+$",
        r"v?\d+\.\d+(-rc\d+)?$",
        r"^k8s_.*_.*$",
        r"^(?!web).*(?<!-test)$",
        r"\x41[]^-]",
        "web|db|cache|queue",
        "(ab){2,40}",
    ],
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    assert parse_filter(f"/{pattern}/")


@given(st.lists(st.sampled_from(["a", "b", ".", "[ab]", "(", ")", "|", "*", "+", "?", "{2}", "{0,9}"]), max_size=12))
def test_no_pattern_that_is_taken_takes_for_ever(pieces: list[str]) -> None:
    try:
        typed = parse_filter(f"/{''.join(pieces)}c/")
    except FilterError:
        return
    node = node_of("a" * LONGEST_MATCHED + "b")
    assert typed.matches(pod_of(node), node) in {True, False}


def test_a_pattern_looks_at_the_beginning_of_a_text_alone() -> None:
    node = node_of("a" * (LONGEST_MATCHED - 1) + "bc")

    assert parse_filter("name:/b/").matches(pod_of(node), node)
    assert not parse_filter("name:/c/").matches(pod_of(node), node)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ({f"f{at}": f"@f{at + 1}" for at in range(2000)}, f"no more than {MOST_NESTED} saved filters in one another"),
        ({f"f{at}": f"@f{at + 1} @f{at + 1}" for at in range(40)}, f"no more than {MOST_NAMED} saved filters in one"),
    ],
)
def test_filters_that_name_others_without_end_are_refused(saved: dict[str, str], expected: str) -> None:
    with pytest.raises(FilterError, match=expected):
        parse_filter("@f0", saved | {f"f{len(saved)}": "web"})


@pytest.mark.parametrize(
    "text", ["nginx:1.27", "redis:7", "node:18", "postgres:16", "nats:2", "localhost:5000/app", "a@sha256:0f"]
)
def test_an_image_is_a_word_although_it_has_a_colon(text: str) -> None:
    node = node_of("x", image=f"{text}-alpine")

    assert parse_filter(text).matches(pod_of(node), node)


def test_filters_are_told_apart_by_their_text() -> None:
    assert parse_filter(" web ") == parse_filter("web") == parse_filter("web").at(1)
    assert hash(parse_filter("web")) == hash(parse_filter("web"))
    assert parse_filter("web") != parse_filter("db")
    assert parse_filter(" cpu>1 ").text == "cpu>1"


def test_the_page_about_filters_names_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filter.md").read_text()

    assert [each.name for each in (*TEXT_FIELDS, *NUMBER_FIELDS) if f"| `{each.name}` | {each.help}" not in page] == []


@given(st.text() | st.text("ab:<>=!|()/\\\"'@.% 0cpuame", max_size=20))
def test_any_text_is_a_filter_or_is_refused_at_a_place_in_it(text: str) -> None:
    try:
        typed = parse_filter(text, {"a": text})
    except FilterError as error:
        wrong = error
    else:
        assert typed.matches(SHOP, WEB) in {True, False}
        assert parse_filter(typed.text, {"a": text}) == typed
        return
    assert 0 <= wrong.at <= len(text)


@given(st.text(min_size=1), st.text(max_size=3), st.text(max_size=3))
def test_any_text_can_be_looked_for_in_quotes(text: str, before: str, after: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    # Small letters are not always of the same number: what is next to a text can change it.
    assume(text.lower() in f"{before}{text}{after}".lower())
    node = node_of(f"{before}{text}{after}")

    assert parse_filter(f'name:"{quoted}"').matches(pod_of(node), node)
    assert parse_filter(f'"{quoted}"').matches(pod_of(node), node)


ATOMS = {"web": True, "db": False, "cpu>0.4": True, "cpu > 0.5": False, "name:/^web/": True, '"zz) |"': False}
EXPRESSIONS = st.recursive(
    st.sampled_from(sorted(ATOMS)),
    lambda inner: st.tuples(st.just("!"), inner) | st.tuples(st.sampled_from(["&", "|"]), inner, inner),
    max_leaves=12,
)
STRENGTH = {"|": 1, "&": 2, "!": 3}


def strength(expression: Any) -> int:
    return 4 if isinstance(expression, str) else STRENGTH[expression[0]]


def evaluated(expression: Any) -> bool:
    if isinstance(expression, str):
        return ATOMS[expression]
    sign, *parts = expression
    values = [evaluated(part) for part in parts]
    return {"!": lambda: not values[0], "&": lambda: all(values), "|": lambda: any(values)}[sign]()


def written(expression: Any) -> str:
    """Write an expression with no more parentheses than it takes."""
    if isinstance(expression, str):
        return expression
    sign, *parts = expression
    texts = [f"({written(part)})" if strength(part) < STRENGTH[sign] else written(part) for part in parts]
    return f"!{texts[0]}" if sign == "!" else {"&": " ", "|": "|"}[sign].join(texts)


@given(EXPRESSIONS)
def test_not_binds_more_than_and_and_that_more_than_or(expression: Any) -> None:
    assert parse_filter(written(expression)).matches(SHOP, WEB) == evaluated(expression)
