from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    HOST_NETNS,
    HOSTILE_NAMES,
    docker_key,
    host_of,
    own_namespaces,
    process_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    text_of,
    unsafe,
)

from topcon.filter import parse_filter
from topcon.model.sample import NAMESPACE_KINDS, Isolated, Namespaces, NetnsKey
from topcon.rows import ViewState
from topcon.text import cell_width
from topcon.ui.namespaces import HOST, OWN, _letters, layout, map_namespaces, namespace_lines
from topcon.ui.spans import Tone, width_of

if TYPE_CHECKING:
    from samples import Box

    from topcon.model.snapshot import Snapshot

VIEW = ViewState()
NET, IPC = 4026540001, 4026540002


def living(name: str, info: dict[str, Any] | None = None, **inodes: int | None) -> Box:
    """A container with some namespaces that are not its own; the network's file tells the same as its inode."""
    process: dict[str, Any] = {"namespaces": own_namespaces(name, **inodes)}
    if "net" in inodes:
        process["netns"] = HOST_NETNS if inodes["net"] == HOST_NAMESPACES["net"] else inodes["net"]
    return running(name, info=info, process=process)


def at_host(name: str, *kinds: str) -> Box:
    return living(name, **{kind: HOST_NAMESPACES[kind] for kind in kinds})


def seen(*boxes: Box, **others: Any) -> Snapshot:
    return snapshot_after(sample_of(*boxes, **others))


def texts(snapshot: Snapshot, width: int = 80, view: ViewState = VIEW) -> list[str]:
    return [text_of(line).rstrip() for line in namespace_lines(snapshot, view, width).lines]


def cells_of(snapshot: Snapshot, name: str) -> dict[str, str]:
    return dict(map_namespaces(snapshot).cells[docker_key(name)])


def row_of(snapshot: Snapshot, name: str, width: int = 80) -> list[str]:
    """The name, the cells and the note of a container's row."""
    rows = (text.replace("├", " ").replace("└", " ").split() for text in texts(snapshot, width))
    return next(words for words in rows if words[:1] == [name] and len(words) > len(NAMESPACE_KINDS))


def tones(snapshot: Snapshot, name: str) -> dict[str, Tone]:
    line = next(line for line in namespace_lines(snapshot, VIEW, 80).lines if name in text_of(line).split())
    cells = [span for span in line[1:] if span.text.strip()]
    return {kind: span.tone for kind, span in zip(NAMESPACE_KINDS, cells, strict=True)}


def test_one_that_is_alone_has_all_but_users_and_time_to_itself() -> None:
    cells = cells_of(seen(running("web")), "web")

    assert cells == dict.fromkeys(NAMESPACE_KINDS, OWN) | {"user": HOST, "time": HOST}


def test_those_that_share_with_each_other_have_a_letter() -> None:
    snapshot = seen(living("web", net=NET), living("side", net=NET), running("other"))

    assert [cells_of(snapshot, name)["net"] for name in ("web", "side", "other")] == ["A", "A", OWN]


def test_the_same_company_has_one_letter_and_another_company_another() -> None:
    snapshot = seen(living("one", net=NET, ipc=IPC), living("two", net=NET, ipc=IPC), living("zoo", ipc=5, net=6))
    assert [cells_of(snapshot, "one")[kind] for kind in ("net", "ipc")] == ["A", "A"]

    snapshot = seen(living("one", net=NET, ipc=IPC), living("two", net=NET, ipc=IPC), living("zoo", ipc=IPC))
    assert [cells_of(snapshot, "one")[kind] for kind in ("net", "ipc")] == ["A", "B"]
    assert cells_of(snapshot, "zoo")["ipc"] == "B"


def test_letters_go_on_after_z() -> None:
    assert list(islice(_letters(), 25, 29)) == ["Z", "AA", "AB", "AC"]


def test_what_is_the_hosts_is_named_so() -> None:
    snapshot = seen(at_host("agent", "net", "pid"))

    assert [cells_of(snapshot, "agent")[kind] for kind in ("net", "pid", "mnt")] == [HOST, HOST, OWN]


def test_what_is_not_isolated_stands_out_and_what_is_stays_quiet() -> None:
    snapshot = seen(at_host("agent", "net", "pid", "uts"), living("one", ipc=IPC), living("two", ipc=IPC))

    assert tones(snapshot, "agent") == dict.fromkeys(NAMESPACE_KINDS, Tone.DIM) | {
        "net": Tone.WARN,
        "pid": Tone.WARN,
        "uts": Tone.PLAIN,
    }
    assert tones(snapshot, "one")["ipc"] is Tone.ACCENT


def test_of_what_no_runtime_knows_nobody_expects_isolation() -> None:
    process = process_of("adrift", namespaces=Namespaces(**HOST_NAMESPACES | {"mnt": 5}), netns=HOST_NETNS)  # type: ignore[arg-type]
    adrift = Isolated("5", process, "/user.slice", is_alone=False, name="adrift", command=None, fold=None)  # type: ignore[arg-type]
    snapshot = seen(isolated=(adrift,))

    assert row_of(snapshot, "adrift") == ["adrift", HOST, HOST, OWN, HOST, HOST, HOST, HOST, HOST]
    assert set(tones(snapshot, "adrift").values()) == {Tone.DIM}


def test_without_privilege_the_network_can_still_be_told() -> None:
    unseen: dict[str, Any] = {"namespaces": Namespaces()}
    snapshot = seen(
        running("one", process=unseen | {"netns": NetnsKey(7)}),
        running("two", process=unseen | {"netns": NetnsKey(7)}),
        running("own", process=unseen),
        running("agent", process=unseen | {"netns": HOST_NETNS, "ns_pids": (9,)}),
    )

    assert [cells_of(snapshot, name)["net"] for name in ("one", "own", "agent")] == ["A", OWN, HOST]
    assert [cells_of(snapshot, name)["pid"] for name in ("one", "agent")] == ["-", HOST]
    assert "   A  net -" in texts(snapshot)


def test_where_the_hosts_namespaces_are_unknown_nothing_is_said_to_be_its_own() -> None:
    snapshot = seen(running("web"), host=host_of(namespaces=Namespaces()))

    assert cells_of(snapshot, "web") == dict.fromkeys(NAMESPACE_KINDS, "-") | {"net": OWN}


def test_one_without_a_process_is_unknown() -> None:
    box = running("web")
    snapshot = seen(box, processes={})

    assert row_of(snapshot, "web") == ["web", *["-"] * len(NAMESPACE_KINDS)]


def test_stopped_ones_live_nowhere() -> None:
    snapshot = seen(running("web"), stopped("done"))

    assert not [text for text in texts(snapshot) if "done" in text]


def test_rows_are_grouped_under_their_pods() -> None:
    labels = {"labels": {COMPOSE: "shop"}}
    snapshot = seen(running("web", info=labels), running("db", info=labels), running("alone"))

    assert [text[:10].rstrip() for text in texts(snapshot)[:4]] == ["   alone", "   shop", "   ├ db", "   └ web"]


def test_rows_stand_still_whatever_the_tree_is_sorted_by() -> None:
    snapshot = seen(running("one", usage_usec=1), running("two", usage_usec=10**9))

    assert texts(snapshot, view=ViewState(sort="cpu")) == texts(snapshot)


def test_the_filter_leaves_rows_out_but_not_whom_they_share_with() -> None:
    snapshot = seen(living("web", ipc=IPC), living("mail", ipc=IPC))

    shown = texts(snapshot, view=ViewState(filter=parse_filter("web")))

    assert [text for text in shown if "mail" in text] == ["      mail, web"]
    assert f"   user   {HOST_NAMESPACES['user']}  web" in shown


def test_the_filter_leaves_out_what_is_shared_by_others() -> None:
    snapshot = seen(living("mail", ipc=IPC), living("spam", ipc=IPC), at_host("agent", "pid"), running("web"))

    shown = texts(snapshot, view=ViewState(filter=parse_filter("web")))

    assert [text for text in shown if any(name in text for name in ("mail", "spam", "agent"))] == []


def test_nothing_to_show() -> None:
    assert texts(seen()) == ["", "   no container runs on this host"]
    assert texts(seen(running("web")), view=ViewState(filter=parse_filter("none"))) == [
        "",
        "   nothing that runs matches the filter",
    ]


def test_below_it_is_said_who_shares_which_with_the_numbers() -> None:
    snapshot = seen(living("one", net=NET, ipc=IPC), living("two", net=NET, ipc=IPC), at_host("agent", "pid"))

    assert texts(snapshot)[4:] == [
        "",
        " · its own   host the host's   A shared, one letter a group   - unknown",
        "",
        " Shared by containers",
        f"   A  net {NET}, ipc {IPC}",
        "      one, two",
        "",
        " In the host's namespaces",
        "   pid    4026531836  agent",
        "   user   4026531837  all 3",
        "   time   4026531834  all 3",
    ]


def test_many_names_take_several_lines() -> None:
    boxes = [living(f"a-rather-long-name-{at:02}", net=NET) for at in range(10)]
    lines = texts(seen(*boxes, running("alone")), width=60)

    members = [text for text in lines[lines.index(" Shared by containers") + 2 :] if "a-rather" in text]
    assert ", ".join(text.strip().removesuffix(",") for text in members).split(", ") == [box.info.name for box in boxes]  # type: ignore[union-attr]
    assert len(members) == 5


def test_a_wide_screen_says_beside_each_row_with_whom() -> None:
    snapshot = seen(living("one", uts=3), living("two", uts=3, ipc=IPC), living("six", ipc=IPC))

    assert row_of(snapshot, "two", 140)[9:] == ["A", "one", "B", "six"]
    assert text_of(namespace_lines(snapshot, VIEW, 140).title).endswith("SHARED WITH")
    assert len(row_of(snapshot, "two", 80)) == 9


def test_the_containers_of_kubernetes_are_named_with_their_pod_elsewhere() -> None:
    def in_pod(pod: str, name: str, inode: int) -> Box:
        labels = {
            "io.kubernetes.pod.uid": f"uid-{pod}",
            "io.kubernetes.pod.name": pod,
            "io.kubernetes.pod.namespace": "prod",
            "io.kubernetes.container.name": name,
        }
        return living(name, info={"labels": labels}, net=inode, ipc=IPC)

    snapshot = seen(in_pod("shop", "web", 1), in_pod("shop", "side", 1), in_pod("mail", "smtp", 2), running("x"))

    assert "      prod/shop/side, prod/shop/web" in texts(snapshot)
    assert " ".join(row_of(snapshot, "web", 160)[9:]) == "A prod/mail/smtp, side B side"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_all_kinds_fit_from_80_columns_on(width: int) -> None:
    assert layout(width, 60).kinds == NAMESPACE_KINDS


def test_on_a_narrow_screen_the_last_kinds_give_way() -> None:
    assert layout(40, 60).kinds == ("net", "pid", "mnt", "ipc", "uts")
    assert layout(1, 60).kinds == ("net",)


@given(st.integers(0, 220), st.sampled_from(sorted(HOSTILE_NAMES)))
def test_no_line_is_wider_than_the_screen_and_nothing_hostile_gets_through(width: int, kind: str) -> None:
    name = HOSTILE_NAMES[kind]
    snapshot = seen(
        living(name, net=NET), living("web", net=NET), at_host(f"{name}2", "pid"), living(f"{name}3", ipc=IPC)
    )
    page = namespace_lines(snapshot, VIEW, width)

    for line in (page.title, *page.lines):
        assert not unsafe(text_of(line))
    if width >= 24:
        assert max(width_of(line) for line in (page.title, *page.lines)) <= width
    assert all(cell_width(text_of(line)) == width_of(line) for line in page.lines)
