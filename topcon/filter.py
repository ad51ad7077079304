"""The filter: which containers are shown. A small language, and the tables of the fields that it knows.

::

    either   = all { "|" all }
    all      = not { not }
    not      = { "!" } ( "(" either ")" | term )
    term     = text | FIELD ":" text | FIELD ( "=" text | COMPARISON number ) | "@" NAME
    text     = WORD | '"' ANY '"' | "/" PATTERN "/"

A word with a colon whose beginning is no field is a word, since images are written so: ``nginx:1.27``.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from topcon.pattern import LONGEST_MATCHED, PatternError, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from topcon.model.snapshot import ContainerNode, PodNode

    Test = Callable[["PodNode", "ContainerNode", "int | None"], bool]
    """Whether a container of a pod is let through, at a time of day."""
    TextTest = Callable[[str], bool]

MOST_NESTED = 50
"""So many parentheses may be open at once."""
MOST_NAMED = 100
"""So many saved filters may be in one, by way of each other too."""
NO_FILTERS: Mapping[str, str] = MappingProxyType({})
_NEAR = 0.75
"""From so alike on a word before a colon is taken for a field that was mistyped."""


class FilterError(ValueError):
    """A filter that cannot be understood."""

    def __init__(self, text: str, at: int, message: str) -> None:
        """Say what was expected, and where in the text: ``at`` counts from 0 and may be its length."""
        super().__init__(f"{text!r}, column {at + 1}: {message}")
        self.at = at
        self.message = message


class Kind(NamedTuple):
    """What a number may be written in."""

    example: str
    units: Mapping[str, float]
    """By what follows the number, in small letters, what it is to be multiplied by."""


COUNT = Kind("3", {"": 1.0})
CORES = Kind("0.5", {"": 1.0, "m": 1e-3, "%": 1e-2})
SHARE = Kind("80%", {"": 1e-2, "%": 1e-2})
BYTES = Kind(
    "200M",
    {"": 1.0, "b": 1.0}
    | {f"{unit}{end}": 1024.0**power for power, unit in enumerate("kmgtpe", start=1) for end in ("", "b", "ib")},
)
AGE = Kind("5m", {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0})


class TextField(NamedTuple):
    """What is told by a text, or by several."""

    name: str
    help: str
    texts: Callable[[PodNode, ContainerNode], Iterable[str | None]]


class NumberField(NamedTuple):
    """What can be compared with a number."""

    name: str
    kind: Kind
    help: str
    value: Callable[[PodNode, ContainerNode, int | None], float | None]
    """Given the time of day too; None for what is unknown, which no comparison lets through."""
    is_timed: bool = False
    """Whether it changes with time alone."""


def _states(_: PodNode, container: ContainerNode) -> Iterable[str | None]:
    info = container.info
    if container.is_gone:
        return "gone", "oom" if info.oom_killed else None
    return info.state, "up" if info.state.is_live else None, "oom" if info.oom_killed else None


def _ports(_: PodNode, container: ContainerNode) -> Iterable[str | None]:
    for port in container.info.ports:
        yield str(port.container_port)
        yield None if port.host_port is None else str(port.host_port)


def _age_s(_: PodNode, container: ContainerNode, now_ns: int | None) -> float | None:
    """Return the seconds since it was started, or since it ended."""
    since_ns = container.info.finished_ns if container.info.state.is_over else container.started_ns
    return None if since_ns is None or now_ns is None else max((now_ns - since_ns) / 1e9, 0.0)


def _worst_pressure(_: PodNode, container: ContainerNode, __: int | None) -> float | None:
    return container.usage.pressure.worst_some if container.usage.pressure else None


TEXT_FIELDS = (
    TextField("name", "its name", lambda _, each: (each.name,)),
    TextField("pod", "the pod, project or stack that it is in", lambda pod, _: (pod.title,)),
    TextField("kind", "of the pod: kubernetes, podman, compose, swarm, ..., single", lambda pod, _: (pod.kind,)),
    TextField("namespace", "Kubernetes' namespace", lambda pod, _: (pod.namespace,)),
    TextField("image", "its image", lambda _, each: (each.info.image,)),
    TextField("id", "its id, all of it", lambda _, each: (each.info.id,)),
    TextField("command", "its command", lambda _, each: (each.info.command,)),
    TextField("runtime", "docker, containerd, cri-o, podman, ...", lambda _, each: (each.info.runtime,)),
    TextField("state", "running, paused, created, restarting, exited, dead, unknown; up; oom; gone", _states),
    TextField("health", "healthy, unhealthy, starting", lambda _, each: (each.info.health,)),
    TextField("port", "a port of it, or of the host, that is published", _ports),
    TextField("label.KEY", "the label KEY", lambda *_: ()),
)
NUMBER_FIELDS = (
    NumberField("cpu", CORES, "CPUs used", lambda _, each, __: each.usage.cpu_cores),
    NumberField("cpu%", SHARE, "CPUs used of the limit", lambda _, each, __: each.usage.cpu_limit_share),
    NumberField("mem", BYTES, "memory, working set", lambda _, each, __: each.usage.memory_bytes),
    NumberField("mem%", SHARE, "memory of the limit", lambda _, each, __: each.usage.memory_limit_share),
    NumberField("throttled", SHARE, "periods throttled", lambda _, each, __: each.usage.throttled_share),
    NumberField("psi", SHARE, "time stalled for CPU, memory or I/O, the worst", _worst_pressure),
    NumberField("rx", BYTES, "received, a second", lambda _, each, __: each.usage.rx_bytes_per_second),
    NumberField("tx", BYTES, "sent, a second", lambda _, each, __: each.usage.tx_bytes_per_second),
    NumberField("read", BYTES, "read from disks, a second", lambda _, each, __: each.usage.read_bytes_per_second),
    NumberField("write", BYTES, "written to disks, a second", lambda _, each, __: each.usage.write_bytes_per_second),
    NumberField("pids", COUNT, "processes and threads", lambda _, each, __: each.usage.pids),
    NumberField("restarts", COUNT, "times it was started again by itself", lambda _, each, __: each.info.restarts),
    NumberField("oom", COUNT, "processes in it killed for memory", lambda _, each, __: each.oom_kills),
    NumberField("exit", COUNT, "the code it ended with", lambda _, each, __: each.info.exit_code),
    NumberField("age", AGE, "time since the start, or since the end", _age_s, is_timed=True),
)
FIELD_NAMES = tuple(each.name for each in (*TEXT_FIELDS, *NUMBER_FIELDS))
_TEXTS = {each.name: each for each in TEXT_FIELDS}
_NUMBERS = {each.name: each for each in NUMBER_FIELDS}
_LABEL = "label."
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
}
_FOREIGN = {"&": "a blank", "&&": "a blank", "AND": "a blank", "OR": "|", "NOT": "!"}
"""What others write, and what is written for it here."""

_BLANKS = re.compile(r"\s*")
_WORD = re.compile(r"[^\s|()]+")
_QUOTED = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["'\\])""")
_PATTERN = re.compile(r"/((?:\\.|[^\\])*?)/(?=[\s|)]|$)", re.DOTALL)
_LEAD = re.compile(r"""([^\s|()!@:<>="']*)(?:(:)|\s*(>=|<=|==|>|<|=)\s*)""")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([a-z%]*)", re.ASCII)


def _everything(*_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """Which containers are shown, made by `parse_filter`. Those of the same text are equal."""

    text: str = ""
    test: Test = field(default=_everything, compare=False, repr=False)
    is_timed: bool = field(default=False, compare=False, repr=False)
    """Whether time alone changes what it lets through: it is to be asked with `at`."""
    now_ns: int | None = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        """Whether it keeps anything out."""
        return bool(self.text)

    def at(self, now_ns: int) -> Filter:
        """Return the same for a time of day, in nanoseconds since 1970."""
        return replace(self, now_ns=now_ns)

    def matches(self, pod: PodNode, container: ContainerNode) -> bool:
        """Whether the container is to be shown."""
        return self.test(pod, container, self.now_ns)


def is_name(text: str) -> bool:
    """Whether a filter that is saved by this name can be named, after an ``@``."""
    found = _WORD.fullmatch(f"@{text}")
    return found is not None and bool(text)


def parse_filter(text: str, saved: Mapping[str, str] = NO_FILTERS) -> Filter:
    """Read a filter as it was typed; ``saved`` are those that can be named in it, by ``@`` and their name.

    Raises:
        FilterError: it cannot be understood.
    """
    if not text.strip():
        return Filter()
    reader = _Reader(text, saved, 0)
    return Filter(text.strip(), reader.whole(), reader.is_timed)


class _Reader:
    """Goes through a text once."""

    def __init__(self, text: str, saved: Mapping[str, str], depth: int) -> None:
        self._text = text
        self._saved = saved
        self._depth = depth
        self._at = 0
        self.is_timed = False
        self.named = 0
        """How many saved filters are in it, by way of others too."""

    def whole(self) -> Test:
        test = self._either()
        if self._at < len(self._text):
            self._refuse("there is no ( for this )")
        return test

    def _refuse(self, message: str, at: int | None = None) -> NoReturn:
        raise FilterError(self._text, self._at if at is None else at, message) from None

    def _next(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        blanks = _BLANKS.match(self._text, self._at)
        self._at = blanks.end() if blanks else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        is_there = self._next() == character
        self._at += is_there
        return is_there

    def _either(self) -> Test:
        tests = [self._all()]
        while self._take("|"):
            tests.append(self._all())
        return _any_of(tests) if len(tests) > 1 else tests[0]

    def _all(self) -> Test:
        tests = []
        while self._next() not in {"", "|", ")"}:
            tests.append(self._negated())
        if not tests:
            self._refuse("expected a word, a comparison such as cpu>0.5, or (")
        return _all_of(tests) if len(tests) > 1 else tests[0]

    def _negated(self) -> Test:
        is_negated = False
        while self._take("!"):
            is_negated = not is_negated
        if self._next() in {"", "|", ")"}:
            self._refuse("expected what is not to be, after !")
        test = self._group() if self._next() == "(" else self._term()
        return _negation(test) if is_negated else test

    def _group(self) -> Test:
        begin = self._at
        if self._depth >= MOST_NESTED:
            self._refuse(f"expected no more than {MOST_NESTED} parentheses in one another")
        self._at += 1
        self._depth += 1
        test = self._either()
        self._depth -= 1
        if not self._take(")"):
            self._refuse("expected ) for this (", begin)
        return test

    def _term(self) -> Test:
        begin = self._at
        if self._text.startswith("@", begin):
            return self._named()
        lead = _LEAD.match(self._text, begin)
        if lead is not None:
            name, comparison = lead[1].lower(), lead[3]
            if comparison is not None:
                return self._compared(lead, name, comparison)
            if _is_text(name):
                texts = self._texts_of(lead)
                self._at = lead.end()
                return _text_test(texts, self._text_value(f"what the {name} has in it", is_exact=False))
            self._refuse_typo(name)
        if self._text[begin] == "/":
            return _text_test(_texts_of_words, self._pattern(is_exact=False))
        return _word_test(self._text_of("a word"))

    def _named(self) -> Test:
        begin = self._at
        name = self._word()[1:]
        if name not in self._saved:
            known = ", ".join(f"@{each}" for each in self._saved) or "there are none"
            self._refuse(f"no filter is saved as {name or 'that'}; expected one of those saved: {known}", begin)
        if self._depth >= MOST_NESTED:
            self._refuse(f"expected no more than {MOST_NESTED} saved filters in one another", begin)
        text = self._saved[name]
        # None can name itself, not even by way of others.
        others = {each: self._saved[each] for each in self._saved if each != name}
        reader = _Reader(text, others, self._depth + 1)
        try:
            test = reader.whole() if text.strip() else _everything
        except FilterError as error:
            # Of those that are in one another, the one that is wrong.
            self._refuse(error.message if error.message.startswith("@") else f"@{name}: {error.message}", begin)
        self.is_timed = self.is_timed or reader.is_timed
        self.named += 1 + reader.named
        if self.named > MOST_NAMED:
            self._refuse(f"expected no more than {MOST_NAMED} saved filters in one", begin)
        return test

    def _compared(self, lead: re.Match[str], name: str, comparison: str) -> Test:
        if not name:
            self._refuse(f"expected a field before {comparison}, such as cpu{comparison}0.5")
        number = _NUMBERS.get(name)
        if number is not None:
            self._at = lead.end()
            self.is_timed = self.is_timed or number.is_timed
            return _comparison(number.value, _COMPARISONS[comparison], self._number(number))
        if not _is_text(name):
            self._refuse(f"{lead[1]}: {_hint(name) or 'expected a field, such as ' + ', '.join(_NUMBERS)}")
        if comparison not in {"=", "=="}:
            self._refuse(f"{name} is a text: expected : or =", lead.start(3))
        texts = self._texts_of(lead)
        self._at = lead.end()
        return _text_test(texts, self._text_value(f"the {name}", is_exact=True))

    def _refuse_typo(self, name: str) -> None:
        """Refuse what looks like a field but is none; other words may have a colon in them."""
        if name in _NUMBERS:
            self._refuse(f"expected {name}> or {name}<, such as {name}>{_NUMBERS[name].kind.example}")
        hint = _hint(name)
        if hint is not None:
            self._refuse(f'{name}: {hint}; "{name}:..." in quotes is a text')

    def _texts_of(self, lead: re.Match[str]) -> Callable[[PodNode, ContainerNode], Iterable[str | None]]:
        name = lead[1].lower()
        if not name.startswith(_LABEL):
            return _TEXTS[name].texts
        key = lead[1][len(_LABEL) :]
        if not key:
            self._refuse("expected the name of a label, such as label.app:web", lead.start(1) + len(_LABEL))
        return lambda _, container: (container.info.labels.get(key),)

    def _number(self, number: NumberField) -> float:
        begin, kind = self._at, number.kind
        found = _NUMBER.fullmatch(self._word().lower()) if self._next() not in {"", "|", "(", ")"} else None
        factor = kind.units.get(found[2]) if found is not None else None
        if found is None or factor is None:
            self._refuse(f"expected a number, such as {number.name}>{kind.example}", begin)
        return float(found[1]) * factor

    def _text_value(self, expected: str, *, is_exact: bool) -> TextTest:
        if self._text.startswith("/", self._at):
            return self._pattern(is_exact=is_exact)
        return _has(self._text_of(expected), is_exact=is_exact)

    def _text_of(self, expected: str) -> str:
        begin, first = self._at, self._text[self._at : self._at + 1]
        if first in {'"', "'"}:
            return self._quoted()
        if first in {"", "|", "(", ")"} or first.isspace():
            self._refuse(f"expected {expected}")
        word = self._word()
        if word in _FOREIGN:
            self._refuse(f'expected {_FOREIGN[word]} for {word}; "{word}" in quotes is a text', begin)
        return word

    def _word(self) -> str:
        word = _WORD.match(self._text, self._at)
        self._at = word.end() if word else self._at
        return word[0] if word else ""

    def _quoted(self) -> str:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            self._refuse(f"expected {self._text[self._at]} at the end of the text that begins here")
        self._at = found.end()
        return _ESCAPED.sub(r"\1", found[2])

    def _pattern(self, *, is_exact: bool) -> TextTest:
        found = _PATTERN.match(self._text, self._at)
        if found is None:
            self._refuse("expected / at the end of the pattern that begins here, and a blank after it")
        source, begin = found[1], found.start(1)
        try:
            pattern = compile_pattern(source)
        except PatternError as error:
            self._refuse(str(error), begin + error.at)
        self._at = found.end()
        search = pattern.fullmatch if is_exact else pattern.search
        return lambda text: search(text[:LONGEST_MATCHED]) is not None


def _is_text(name: str) -> bool:
    return name in _TEXTS or name.startswith(_LABEL)


def _hint(name: str) -> str | None:
    """Say what may have been meant; None for what is like no field."""
    import difflib  # noqa: PLC0415  not before something is wrong

    near = difflib.get_close_matches(name, FIELD_NAMES, n=1, cutoff=_NEAR)
    return f"there is no such field; did you mean {near[0]}?" if near else None


def _texts_of_words(pod: PodNode, container: ContainerNode) -> Iterable[str | None]:
    return container.name, pod.title, container.info.image, container.info.id


def _word_test(word: str) -> Test:
    wanted = word.lower()
    if "\n" in wanted:
        return _text_test(_texts_of_words, _has(word, is_exact=False))
    return lambda pod, each, _: wanted in _searched(each.name, pod.title, each.info.image, each.info.id)


@lru_cache(maxsize=10_000)
def _searched(*texts: str | None) -> str:
    """Put texts together such that nothing without a line feed is found in two of them at once."""
    return "\n".join(text.lower() for text in texts if text is not None)


def _has(wanted: str, *, is_exact: bool) -> TextTest:
    wanted = wanted.lower()
    if is_exact:
        return lambda text: wanted == text.lower()
    return lambda text: wanted in text.lower()


def _text_test(texts: Callable[[PodNode, ContainerNode], Iterable[str | None]], is_right: TextTest) -> Test:
    return lambda pod, container, _: any(text is not None and is_right(text) for text in texts(pod, container))


def _comparison(
    value: Callable[[PodNode, ContainerNode, int | None], float | None],
    compare: Callable[[float, float], bool],
    bound: float,
) -> Test:
    def test(pod: PodNode, container: ContainerNode, now_ns: int | None) -> bool:
        known = value(pod, container, now_ns)
        return known is not None and compare(known, bound)

    return test


def _negation(test: Test) -> Test:
    return lambda *about: not test(*about)


def _all_of(tests: list[Test]) -> Test:
    return lambda *about: all(test(*about) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    return lambda *about: any(test(*about) for test in tests)
