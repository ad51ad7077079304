"""What Docker and Podman tell has happened."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.model.event import Kind, Told
from topcon.runtimes import podman
from topcon.runtimes.docker import TOLD, check_of, told_by
from topcon.runtimes.http import Refused
from topcon.runtimes.podman import EVENTS_S, LIST, Podman
from topcon.runtimes.podman import TOLD as TOLD_BY_PODMAN
from topcon.runtimes.told import parse_lines, told_of

ID = "7a" * 32
AT_NS = 1_790_000_000_123_456_789
WEB = f"docker:{ID}"


def event(action: str, kind: str = "container", actor: str = ID, **attributes: str) -> dict[str, Any]:
    """Return an event as Docker 28 tells it."""
    said = {"image": "shop/web", "name": "shop-web-1", **attributes}
    return {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": said},
        "scope": "local",
        "time": AT_NS // 10**9,
        "timeNano": AT_NS,
    }


def told(kind: Kind, exit_code: int | None = None, detail: str = "", name: str = "shop-web-1") -> Told:
    return Told(AT_NS, kind, WEB, name, exit_code, detail)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (event("create"), told(Kind.CREATE)),
        (event("start"), told(Kind.START)),
        (event("die", exitCode="137", execDuration="3"), told(Kind.EXIT, 137)),
        (event("die"), told(Kind.EXIT)),
        (event("die", exitCode="-1"), told(Kind.EXIT)),
        (event("die", exitCode="9" * 5000), told(Kind.EXIT)),
        (event("oom"), told(Kind.OOM)),
        (event("kill", signal="15"), told(Kind.SIGNAL, detail="SIGTERM")),
        (event("kill", signal="RTMIN+3"), told(Kind.SIGNAL, detail="SIGRTMIN+3")),
        (event("kill", signal="999"), told(Kind.SIGNAL, detail="999")),
        (event("kill"), told(Kind.SIGNAL, detail="a signal")),
        (event("health_status: unhealthy"), told(Kind.HEALTH, detail="unhealthy")),
        (event("exec_start: sh -c date: now "), told(Kind.EXEC, detail="sh -c date: now")),
        (event("rename", oldName="/old"), told(Kind.RENAME, detail="old")),
        (event("destroy"), told(Kind.REMOVE)),
        (event("start", name=""), told(Kind.START, name=ID[:12])),
        (event("start", **{"io.kubernetes.container.name": "web"}), told(Kind.START, name="web")),
        (
            event("pull", "image", "alpine:3", name="alpine"),
            Told(AT_NS, Kind.PULL, "runtime:docker", "docker", detail="alpine:3"),
        ),
    ],
)
def test_what_docker_tells(said: dict[str, Any], expected: Told) -> None:
    assert told_by(said) == expected


def test_an_older_daemon_says_it_in_other_fields() -> None:
    said = {"status": "start", "id": ID, "from": "shop/web", "time": 1_790_000_000}

    assert told_by(said) == Told(1_790_000_000 * 10**9, Kind.START, WEB, ID[:12])


@pytest.mark.parametrize(
    "said",
    [
        event("exec_create: sh"),
        event("attach"),
        event("update"),
        event("health_status: running"),
        event("start") | {"timeNano": None, "time": None},
        event("start") | {"timeNano": None, "time": 1 << 60},
        event("start", kind="image"),
        event("pull"),
        event("connect", kind="network"),
    ],
)
def test_what_is_of_no_interest(said: dict[str, Any]) -> None:
    assert told_by(said) is None


def by_podman(action: str, kind: str = "container", actor: str = ID, **attributes: str) -> dict[str, Any]:
    """Return an event as Podman 4 tells it."""
    said = {"containerExitCode": "0", "podId": "", **attributes}
    return event(action, kind, actor, **said) | {"status": action, "id": actor, "from": "shop/web"}


@pytest.mark.parametrize(
    ("said", "kind", "exit_code", "detail"),
    [
        (by_podman("died", containerExitCode="3"), Kind.EXIT, 3, ""),
        (by_podman("start"), Kind.START, None, ""),
        (by_podman("remove"), Kind.REMOVE, None, ""),
        (by_podman("health_status") | {"HealthStatus": "healthy"}, Kind.HEALTH, None, "healthy"),
    ],
)
def test_what_podman_tells(said: dict[str, Any], kind: Kind, exit_code: int | None, detail: str) -> None:
    expected = Told(AT_NS, kind, f"podman:{ID}", "shop-web-1", exit_code, detail)

    assert told_of(said, "podman", TOLD_BY_PODMAN) == expected


@pytest.mark.parametrize(
    ("config", "command"),
    [
        (
            {"Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost || exit 1"]}},
            "/bin/sh -c curl -f localhost || exit 1",
        ),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "true"]}, "Shell": ["/bin/bash", "-ec"]}, "/bin/bash -ec true"),
        ({"Healthcheck": {"Test": ["CMD", "pg_isready", "-q"]}}, "pg_isready -q"),
        ({"Healthcheck": {"Test": ["NONE"]}}, None),
        ({"Healthcheck": {"Test": []}}, None),
        ({"Healthcheck": None}, None),
        ({}, None),
    ],
)
def test_what_a_health_check_runs(config: dict[str, Any], command: str | None) -> None:
    assert check_of({"Config": config}) == command


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ("Actor", "ID", "id", "Action", "status", "Type", "Attributes", "name", "exitCode", "time", "timeNano")
            ),
            inner | st.sampled_from(sorted(TOLD)),
        )
    ),
)


@given(st.text() | st.lists(JSON.map(json.dumps)).map("\n".join))
def test_any_text_tells_something_or_nothing_or_is_a_parse_error(text: str) -> None:
    try:
        events = parse_lines(text, "docker: /events")
    except ParseError as error:
        assert error.path == "docker: /events"  # noqa: PT017  some text is meant to raise nothing
    else:
        assert all(isinstance(each, Told | None) for each in map(told_by, events))


class Service:
    """A Podman service that says what it is told to, in the place of its socket."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.is_refusing = False
        self.asked: list[str] = []

    def probe(self) -> None:
        pass

    def request(self, method: str, path: str, **_: object) -> object:
        del method
        return self.listed if path == LIST else {}

    def beginning(self, path: str, *_: object) -> tuple[bytes, bool]:
        self.asked.append(parse_qs(urlsplit(path).query)["since"][0])
        if self.is_refusing:
            raise Refused(500, "no logger", "/run/podman.sock")
        return "".join(f"{json.dumps(each)}\n" for each in self.events).encode(), False


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    monkeypatch.setattr(podman, "JsonSocket", lambda *_, **__: service)
    return service


def test_podman_is_asked_for_events_where_its_list_has_changed_and_each_is_told_once(service: Service) -> None:
    now = [1000.5]
    runtime = Podman("/run/podman.sock", lambda: now[0])

    def look(seconds: float) -> list[Kind]:
        now[0] += seconds
        runtime.containers()
        return [each.kind for each in runtime.events()]

    service.events = [by_podman("start")]
    assert (look(0), look(5), service.asked) == ([], [], [])

    service.listed = [{"Id": ID, "State": "running"}]
    assert (look(5), service.asked) == ([Kind.START], ["999"])
    assert look(5) == []
    assert len(service.asked) == 1

    service.events.append(by_podman("died"))
    assert (look(EVENTS_S), service.asked[1:]) == ([Kind.EXIT], ["1009"])


def test_podman_that_keeps_no_events_is_not_asked_again(service: Service) -> None:
    now = [1000.0]
    runtime = Podman("/run/podman.sock", lambda: now[0])
    service.is_refusing = True
    for _ in range(3):
        now[0] += EVENTS_S
        runtime.containers()
        assert runtime.events() == ()

    assert len(service.asked) == 1
