"""A journal that cannot be read says why; what is in one is looked at by tests on real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topcon.errors import SourceUnavailable
from topcon.model.output import Wanted
from topcon.model.sample import ContainerId
from topcon.runtimes import journal
from topcon.runtimes.feeds import REMEDY

if TYPE_CHECKING:
    from pathlib import Path

ID = ContainerId("d" * 64)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with something that is called a journal."""
    folder = tmp_path / "var/log/journal/machine"
    folder.mkdir(parents=True)
    (folder / "system.journal").write_text("not one")
    return tmp_path


def refused(host: Path) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as refusal:
        journal.JournalFeed(ID, Wanted(5), str(host))
    return refusal.value


def test_there_is_none(tmp_path: Path) -> None:
    assert str(refused(tmp_path)) == f"no journal in {tmp_path}/run/log/journal or {tmp_path}/var/log/journal"


def test_it_is_kept_from_us(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)

    refusal = refused(host)

    assert "permission denied at" in str(refusal)
    assert refusal.remedy == REMEDY


def test_there_is_nothing_to_read_it_with(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal._load.cache_clear()
    monkeypatch.setattr(journal, "_LIBRARY", "libnosuch.so.0")

    assert "libnosuch.so.0, which reads that, is not there" in str(refused(host))
