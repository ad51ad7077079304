"""What all tests share: a host made of files, and nothing of the developer's own machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeHost
from hypothesis import settings

from topcon.kernel.cgroup import CgroupFs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How long an example takes says how busy the machine is.
settings.register_profile("topcon", deadline=None)
settings.load_profile("topcon")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host on pure version 2."""
    return FakeHost(tmp_path / "host")


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's configuration, state, daemons and terminal out of the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("DOCKER_HOST", "XDG_RUNTIME_DIR", "NO_COLOR", "SSH_CLIENT", "SSH_CONNECTION", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    os.environ.setdefault("TERM", "xterm-256color")


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    """Have the time of day that is shown be the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def _descriptors_given_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the files that tests keep open, as topcon does when it ends."""
    made: list[CgroupFs] = []
    begin = CgroupFs.__init__

    def noted(cgroups: CgroupFs, *arguments: Any, **options: Any) -> None:
        begin(cgroups, *arguments, **options)
        made.append(cgroups)

    monkeypatch.setattr(CgroupFs, "__init__", noted)
    yield
    for cgroups in made:
        cgroups.close()
