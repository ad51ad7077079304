"""Protobuf messages built from tables: what real daemons send, and what nobody should."""

from __future__ import annotations

import base64
import sys
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ParseError, SourceUnavailable
from topcon.runtimes.messages import _TABLES, decode, encode, entries, message_classes, pairs, text

# Of containerd 1.7.24.
VERSION = b'\n\x050.1.0\x12\ncontainerd\x1a\n1.7.24~ds1"\x02v1'
SANDBOXES = base64.b64decode(
    "Ct0CCkA1ZTEwZTQ2OWY3MjNmZmNkMWViNjBjOTJkMTNkOGY0MTExYzlmMWE3YTNhMjhiYTZjZWMyMDE4NjM4ZjYxMzUyEkYKGGNoZWNrb3V0LTdkOWM1"
    "YjZmNC14Mng5axIkMzIwNmY0MWMtNTZlOS00YmNkLTgyNDAtYjMxNGYxNzllMTc3GgRwcm9kINL449XqpYP1GCojChtpby5rdWJlcm5ldGVzLnBvZC5u"
    "YW1lc3BhY2USBHByb2QqPQoVaW8ua3ViZXJuZXRlcy5wb2QudWlkEiQzMjA2ZjQxYy01NmU5LTRiY2QtODI0MC1iMzE0ZjE3OWUxNzcqDwoDYXBwEghj"
    "aGVja291dCoeChFwb2QtdGVtcGxhdGUtaGFzaBIJN2Q5YzViNmY0KjIKFmlvLmt1YmVybmV0ZXMucG9kLm5hbWUSGGNoZWNrb3V0LTdkOWM1YjZmNC14"
    "Mng5aw=="
)
NAMES = [name for package, table in _TABLES.items() for name in message_classes(package, table)]


def test_what_a_daemon_sends_is_read() -> None:
    version = decode("cri.VersionResponse", VERSION)
    assert (version.runtime_name, version.runtime_version) == ("containerd", "1.7.24~ds1")
    (sandbox,) = decode("cri.ListPodSandboxResponse", SANDBOXES).items
    assert sandbox.id == "5e10e469f723ffcd1eb60c92d13d8f4111c9f1a7a3a28ba6cec2018638f61352"
    assert (sandbox.metadata.name, sandbox.metadata.namespace) == ("checkout-7d9c5b6f4-x2x9k", "prod")
    assert sandbox.created_at == 1795261895544470610
    assert pairs(sandbox.labels)["app"] == "checkout"
    assert not pairs(sandbox.annotations)


def test_what_is_written_is_what_others_read() -> None:
    assert encode("cri.StopContainerRequest", container_id="abc", timeout=10) == b"\n\x03abc\x10\n"
    container = {"id": "web", "labels": entries({"a": "b"})}
    written = encode("containerd.UpdateContainerRequest", container=container, update_mask={"paths": ["labels.a"]})
    assert written == b"\n\x0d\n\x03web\x12\x06\n\x01a\x12\x01b\x12\x0a\n\x08labels.a"


def test_fields_that_are_not_in_the_tables_are_passed_over() -> None:
    assert decode("cri.VersionResponse", VERSION + b"\xfa\x01\x03new").runtime_name == "containerd"


def test_text_that_is_no_utf8_costs_that_text_alone() -> None:
    spoilt = (
        encode("cri.PodSandbox", id="abc", labels=entries({"X": "Y"})).replace(b"X", b"\xff").replace(b"Y", b"\xfe")
    )
    sandbox = decode("cri.PodSandbox", spoilt)
    assert text(sandbox.id) == "abc"
    assert pairs(sandbox.labels) == {"\N{REPLACEMENT CHARACTER}": "\N{REPLACEMENT CHARACTER}"}
    assert text(decode("cri.ImageSpec", b"\n\x01\xff").image) == "\N{REPLACEMENT CHARACTER}"


@given(st.sampled_from(NAMES), st.binary())
@example("cri.ListContainersResponse", b"\n\xff")
@example("cri.Container", b"\x0b")
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    with suppress(ParseError):
        decode(name, data)


def test_what_is_cut_short_is_refused() -> None:
    with pytest.raises(ParseError, match=r"cri\.ListPodSandboxResponse: cannot understand"):
        decode("cri.ListPodSandboxResponse", SANDBOXES[:-1])


def test_without_protobuf_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(SourceUnavailable, match="needs grpcio and protobuf, which are not installed") as caught:
        message_classes("test", "Empty{}")
    assert caught.value.remedy == "pip install 'topcon[cri]'"
