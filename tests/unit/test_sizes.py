"""How much of a disk a container takes, as its runtime counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from samples import JSON

from topcon.errors import ParseError, SourceUnavailable
from topcon.model.files import LayerSizes
from topcon.model.sample import ContainerId, Problem
from topcon.runtimes import Plugin
from topcon.runtimes.foreign import to_object
from topcon.runtimes.sizes import to_sizes
from topcon.runtimes.watch import RuntimeWatch

if TYPE_CHECKING:
    from topcon.model.sample import ContainerInfo

WEB = ContainerId("web")


@pytest.mark.parametrize(
    ("said", "layer", "whole", "image"),
    [
        ({"SizeRw": 10, "SizeRootFs": 110}, 10, 110, 100),
        ({"SizeRootFs": 110}, None, 110, 110),
        ({"SizeRw": 10}, 10, None, None),
        ({}, None, None, None),
        ({"SizeRw": "10", "SizeRootFs": True}, None, None, None),
    ],
)
def test_what_docker_says(said: dict[str, object], layer: int | None, whole: int | None, image: int | None) -> None:
    sizes = to_sizes(said)

    assert sizes == LayerSizes(layer, whole)
    assert sizes.image_bytes == image


@given(JSON)
def test_any_answer_is_taken(answer: object) -> None:
    sizes = to_sizes(to_object(answer))

    assert all(size is None or isinstance(size, int) for size in sizes)


class Runtime:
    """A connection; what it answers is made up."""

    name = "fake"

    def __init__(self, answer: LayerSizes | BaseException) -> None:
        self.answer = answer
        self.is_closed = False

    def containers(self) -> tuple[ContainerInfo, ...]:
        return ()

    def sizes(self, container: ContainerId) -> LayerSizes:
        assert container == WEB
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.is_closed = True


class Silent:
    """A connection to a runtime that does not count."""

    name = "fake"

    def containers(self) -> tuple[ContainerInfo, ...]:
        return ()

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (LayerSizes(1, 2), LayerSizes(1, 2)),
        (SourceUnavailable("no answer", "sudo x"), Problem("fake", "no answer", "sudo x")),
        (ParseError("fake: /json", "<html>"), Problem("fake", str(ParseError("fake: /json", "<html>")))),
    ],
)
def test_a_connection_of_its_own_is_asked_and_closed(
    answer: LayerSizes | BaseException, expected: LayerSizes | Problem
) -> None:
    runtime = Runtime(answer)
    watch = RuntimeWatch(Plugin("fake", (), lambda _: runtime), "/nowhere")

    assert watch.sizes(WEB) == expected
    assert runtime.is_closed


def test_who_does_not_count_says_so() -> None:
    assert RuntimeWatch(Plugin("fake", (), lambda _: Silent()), "/nowhere").sizes(WEB) is None
