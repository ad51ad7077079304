"""What a text can mean, and which container it is then; nothing is read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    HOST_NETNS,
    HOSTILE_NAMES,
    container_id,
    docker_key,
    host_of,
    netns_of,
    number_of,
    own_namespaces,
    path_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    unsafe,
)

from topcon.errors import UsageError
from topcon.model.sample import CgroupPath, Isolated, Port, Problem, Volume
from topcon.model.thing import LONGEST, questions
from topcon.model.who import (
    Clues,
    Endpoint,
    Kind,
    Question,
    SeenAddress,
    SeenLink,
    SeenMount,
    SeenProcess,
    SeenSocket,
    Where,
)
from topcon.who import (
    answered,
    nothing_text,
    to_json,
    to_object,
    to_text,
    where_of,
)

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot
    from topcon.model.who import Answers

ID = container_id("web")
OOM = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=web,mems_allowed=0,oom_memcg={limit},"
    "task_memcg={path},task=java,pid=123,uid=0"
)
KILLED = "Memory cgroup out of memory: Killed process 123 (java) total-vm:1064kB, anon-rss:548kB, UID:0 oom_score_adj:0"
SSHD = SeenProcess(812, "sshd", ns_pids=(812,), cgroups=(CgroupPath("/system.slice/ssh.service"),))
ANY4, ANY6 = "0.0.0.0", "::"


def asked(text: str) -> list[tuple[Any, ...]]:
    """Return what a text can mean, without what is not said of it."""
    fields = ("kind", "text", "number", "protocol", "peer")
    return [tuple(value for name in fields if (value := getattr(each, name))) for each in questions(text)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1234", [("pid", 1234), ("cgroup", 1234), ("container", "1234")]),
        ("99999999", [("cgroup", 99999999), ("container", "99999999")]),
        ("pid:1234", [("pid", 1234)]),
        ("pid 1234", [("pid", 1234)]),
        ("/proc/1234/fd/7", [("pid", 1234)]),
        (":8080", [("port", 8080)]),
        ("*:8080", [("port", 8080)]),
        (f"{ANY4}:8080", [("port", 8080)]),
        ("[::]:8080", [("port", 8080)]),
        ("port 8080", [("port", 8080)]),
        ("tcp/8080", [("port", 8080, "tcp")]),
        ("8080/tcp", [("port", 8080, "tcp")]),
        ("udp:53", [("port", 53, "udp")]),
        ("172.17.0.3", [("address", "172.17.0.3")]),
        ("172.17.0.3/16", [("address", "172.17.0.3")]),
        ("10.0.0.5:443", [("address", "10.0.0.5", 443)]),
        ("tcp:10.0.0.5:443", [("address", "10.0.0.5", 443, "tcp")]),
        ("localhost:80", [("address", "127.0.0.1", 80)]),
        ("fe80::1", [("address", "fe80::1")]),
        ("FE80:0::1%eth0", [("address", "fe80::1")]),
        ("[fe80::1%eth0]:443", [("address", "fe80::1", 443)]),
        ("::ffff:10.0.0.5", [("address", "10.0.0.5")]),
        ("vethab12", [("container", "vethab12"), ("interface", "vethab12")]),
        ("if7", [("interface", "if7", 7)]),
        ("7: vethab12@if2:", [("interface", "vethab12", 2)]),
        ("veth0@veth1", [("interface", "veth0")]),
        ("if:docker0", [("interface", "docker0")]),
        ("cgroup 18234", [("cgroup", 18234)]),
        ("cgroup:/docker/a", [("cgroup", "/docker/a")]),
        ("/sys/fs/cgroup/system.slice/a", [("cgroup", "/system.slice/a"), ("cgroup", "/a")]),
        ("/sys/fs/cgroup/memory/docker/a/", [("cgroup", "/memory/docker/a"), ("cgroup", "/docker/a")]),
        ("cgroup /sys/fs/cgroup/memory/docker/a", [("cgroup", "/memory/docker/a"), ("cgroup", "/docker/a")]),
        ("docker-0.scope", [("cgroup", "docker-0.scope"), ("container", "docker-0.scope")]),
        ("/o/1/../2/merged", [("cgroup", "/o/2/merged"), ("path", "/o/2/merged")]),
        ("net:[4026532575]", [("namespace", "net", 4026532575)]),
        ("name:eth0", [("container", "eth0")]),
        ("a name with blanks", [("container", "a name with blanks")]),
        ("docker:web", [("container", "docker:web"), ("interface", "docker:web")]),
        (":0", [("container", ":0"), ("interface", ":0")]),
        (":65536", [("container", ":65536"), ("interface", ":65536")]),
        ("", []),
        ("two\nlines", []),
        ("\x1b[2J", []),
        ("x" * (LONGEST + 1), []),
    ],
)
def test_a_text_is_taken_for_what_it_can_be(text: str, meant: list[tuple[Any, ...]]) -> None:
    assert asked(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (OOM.format(path="/docker/a", limit="/docker"), Question(Kind.OOM, "/docker/a", 123, None, "java", "/docker")),
        (f"[ 1205.37] {OOM.format(path='/a,b', limit='/a,b')}", Question(Kind.OOM, "/a,b", 123, None, "java", "/a,b")),
        (
            (
                "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
                "task_memcg=/kubepods/burstable/podU/C,task=a b,pid=7,uid=1"
            ),
            Question(Kind.OOM, "/kubepods/burstable/podU/C", 7, None, "a b", "host"),
        ),
        (f"Nov  1 03:12:31 lab kernel: {KILLED}", Question(Kind.OOM, "", 123, None, "java")),
        (
            "Out of memory: Killed process 9 ((sd-pam)) total-vm:1kB",
            Question(Kind.OOM, "", 9, None, "(sd-pam)", "host"),
        ),
        (
            "Memory cgroup out of memory: Kill process 9 (java) score 1000 or sacrifice child",
            Question(Kind.OOM, "", 9, None, "java"),
        ),
        ("Task in /docker/a killed as a result of limit of /docker", Question(Kind.OOM, "/docker/a", limit="/docker")),
        ("[12.5] java invoked oom-killer: gfp_mask=0xcc0", Question(Kind.OOM, "", command="java")),
        (
            f"Task in /docker/a killed as a result of limit of /docker/a\nmemory: usage 1kB\n{KILLED}",
            Question(Kind.OOM, "/docker/a", 123, None, "java", "/docker/a"),
        ),
    ],
)
def test_the_kernels_lines_of_what_it_killed_are_understood(text: str, meant: Question) -> None:
    assert questions(text) == (meant,)


def test_of_a_whole_log_each_cgroup_is_told_the_last_one_first() -> None:
    lines = [
        OOM.format(path=f"/docker/{name}", limit="/docker") for name in ("a", "b", "a", *"cdefghijklmnopqrstuvwxyz")
    ]

    found = [question.text for question in questions("\n".join([*lines, KILLED]))]

    assert found[:2] == ["/docker/z", "/docker/y"]
    assert len(found) == 20


@given(st.text())
def test_any_text_means_something_or_nothing(text: str) -> None:
    for question in questions(text):
        assert question.text.isprintable()
        assert "\n" not in question.text


class Looking:
    """Says what it is told to, and notes what it is asked."""

    def __init__(self, **clues: Clues) -> None:
        self._clues = clues
        self.asked: list[Question] = []

    def __call__(self, question: Question, where: Where) -> Clues:
        assert HOST_NETNS in where.networks
        self.asked.append(question)
        return self._clues.get(question.kind, Clues())


def shop(**web: Any) -> Snapshot:
    """Two containers of a project, one by itself, and one that is stopped."""
    labels = {COMPOSE: "shop"}
    return snapshot_after(
        sample_of(
            running("web", info={"labels": labels, **web}),
            running("db", info={"labels": labels}),
            running("alone"),
            stopped("old"),
        )
    )


def ask(text: str, snapshot: Snapshot | None = None, **clues: Clues) -> Answers:
    return answered(text, snapshot or shop(), Looking(**clues))


def told(answers: Answers) -> list[tuple[str | None, str]]:
    return [(answer.name, answer.why) for answer in answers.answers]


def inside(name: str, pid: int, comm: str = "nginx", **options: Any) -> SeenProcess:
    """Return a process in the cgroup of a container."""
    given = {"ns_pids": (pid, 7), "cgroups": (path_of(name),)}
    return SeenProcess(pid, comm, **(given | options))


def test_a_pid_of_the_host_is_that_of_its_container() -> None:
    answers = ask("4242", pid=Clues(processes=(inside("web", 4242),)))

    (answer,) = answers.answers
    assert answers.kind is Kind.PID
    assert (answer.container, answer.name, answer.pod, answer.runtime, answer.id) == (
        *(docker_key("web"), "web", "shop", "docker", ID),
    )
    assert (answer.pid, answer.process, answer.why) == (4242, "nginx", "process 4242 is 7 inside")


def test_a_pid_inside_is_that_of_each_container_that_has_it_and_comes_after_that_of_the_host() -> None:
    seen = (inside("web", 300), inside("db", 400), replace(SSHD, pid=7, ns_pids=(7,)))

    answers = ask("pid:7", pid=Clues(processes=seen))

    assert told(answers) == [
        (None, "process 7 of the host, in /system.slice/ssh.service"),
        ("web", "process 300 is 7 inside"),
        ("db", "process 400 is 7 inside"),
    ]


def test_a_thread_is_that_of_its_process() -> None:
    answers = ask("4250", pid=Clues(processes=(inside("web", 4242, thread=4250),)))

    assert told(answers) == [("web", "thread 4250 of process 4242")]
    assert answers.answers[0].pid == 4242


def test_a_process_further_down_in_a_container_is_in_the_innermost_that_there_is() -> None:
    outer = running("node")
    inner = running("pod", inside=outer)
    deep = SeenProcess(5, "sh", cgroups=(CgroupPath(f"{inner.path}/system.slice/a.service"),))
    beside = replace(deep, cgroups=(CgroupPath(f"{outer.path}/init.scope"),))
    snapshot = snapshot_after(sample_of(outer, inner))

    assert ask("pid:5", snapshot, pid=Clues(processes=(deep,))).answers[0].name == "pod"
    assert ask("pid:5", snapshot, pid=Clues(processes=(beside,))).answers[0].name == "node"


def test_a_process_is_found_in_whichever_hierarchy_has_its_container() -> None:
    process = SeenProcess(5, "sh", cgroups=(CgroupPath("/user.slice"), path_of("web")))

    assert ask("pid:5", pid=Clues(processes=(process,))).answers[0].name == "web"


def test_a_process_is_found_by_its_namespaces_where_no_runtime_knows_them() -> None:
    names = own_namespaces("box")
    first = running("box", process={"namespaces": names}).process
    assert first is not None
    isolated = Isolated(
        "4026539999", first, CgroupPath("/user.slice"), is_alone=False, name="box", command=None, fold=None
    )
    snapshot = snapshot_after(sample_of(running("web"), isolated=(isolated,)))
    process = SeenProcess(5, "sh", cgroups=(CgroupPath("/user.slice"),), namespaces=names)
    other = replace(process, namespaces=own_namespaces("other"))

    assert ask("pid:5", snapshot, pid=Clues(processes=(process,))).answers[0].name == "box"
    assert ask("pid:5", snapshot, pid=Clues(processes=(other,))).answers[0].container is None


def test_a_process_of_the_host_that_works_for_a_container_is_told_with_it() -> None:
    shim = replace(SSHD, comm="containerd-shim", words=("containerd-shim", "-id", ID))

    (answer,) = ask("812", pid=Clues(processes=(shim,))).answers

    assert (answer.name, answer.pid, answer.process) == ("web", 812, "containerd-shim")
    assert answer.why == "process 812 of the host, in /system.slice/ssh.service; it works for this container"


def listening(name: str | None, port: int, process: SeenProcess | None, **options: Any) -> SeenSocket:
    netns = HOST_NETNS if name is None else netns_of(name)
    given = {"protocol": "tcp", "local": Endpoint(ANY4, port), "remote": Endpoint(ANY4, 0), "is_listening": True}
    return SeenSocket(netns, process=process, **(given | options))


def test_of_a_port_first_comes_who_publishes_it_then_who_listens_on_the_host_then_inside() -> None:
    snapshot = shop(ports=(Port(ANY4, 8080, 80, "tcp"), Port(ANY6, 8080, 80, "tcp")))
    proxy = replace(SSHD, comm="docker-proxy")
    db = inside("db", 400, "java")
    seen = (
        listening("db", 8080, db),
        listening("db", 8080, db, local=Endpoint(ANY6, 8080)),
        listening(None, 8080, proxy, others=2),
    )

    answers = ask(":8080", snapshot, port=Clues(sockets=seen))

    assert told(answers) == [
        ("web", "publishes 8080/tcp of the host as its port 80"),
        (
            None,
            (
                "process 812 of the host, in /system.slice/ssh.service, listens at tcp 0.0.0.0:8080"
                " in the host's network, as do 2 more"
            ),
        ),
        ("db", "process 400 listens at tcp 0.0.0.0:8080 and tcp [::]:8080 in its own network"),
    ]
    assert [answer.process for answer in answers.answers] == [None, "docker-proxy", "java"]


def test_only_what_is_published_by_the_protocol_that_is_asked_for_is_told() -> None:
    snapshot = shop(ports=(Port(None, 53, 53, "udp"),))

    assert ask("udp/53", snapshot).answers[0].name == "web"
    assert ask("tcp/53", snapshot).answers == ()


def test_a_container_on_the_hosts_network_is_told_by_the_cgroup_of_its_process() -> None:
    snapshot = snapshot_after(sample_of(running("edge", process={"netns": HOST_NETNS})))

    answers = ask(":443", snapshot, port=Clues(sockets=(listening(None, 443, inside("edge", 9)),)))

    assert told(answers) == [("edge", "process 9 listens at tcp 0.0.0.0:443 in the host's network")]


def test_where_the_process_cannot_be_seen_the_namespace_says_who_it_is() -> None:
    problem = Problem("who", "permission denied at /proc/1/fd", "sudo topcon who")

    answers = ask(":80", port=Clues(sockets=(listening("web", 80, None),), problems=(problem,)))

    assert told(answers) == [("web", "somebody listens at tcp 0.0.0.0:80 in its own network")]
    assert answers.problems == (problem,)


def test_a_process_of_the_host_in_a_containers_network_is_told_so() -> None:
    answers = ask(":80", port=Clues(sockets=(listening("web", 80, SSHD),)))

    assert told(answers) == [
        (
            None,
            "process 812 of the host, in /system.slice/ssh.service, listens at tcp 0.0.0.0:80 in the network of web",
        )
    ]


def test_an_address_is_that_of_all_who_share_the_network_that_made_it_first() -> None:
    netns = netns_of("web")
    snapshot = snapshot_after(
        sample_of(running("web"), running("side", process={"netns": netns, "start_ticks": 9000}), running("db"))
    )

    answers = ask("172.17.0.3", snapshot, address=Clues(addresses=(SeenAddress(netns, "eth0"),)))

    assert told(answers) == [
        ("web", "has the address at eth0"),
        ("side", "shares the network that has the address at eth0"),
    ]


def test_the_hosts_own_address_is_the_hosts() -> None:
    answers = ask("10.0.0.1", address=Clues(addresses=(SeenAddress(HOST_NETNS, None),)))

    assert told(answers) == [(None, "the host has the address")]


def test_the_loopback_is_everybodys() -> None:
    everywhere = tuple(SeenAddress(each, None) for each in (HOST_NETNS, netns_of("web"), netns_of("db")))

    answers = ask("127.0.0.1", address=Clues(addresses=everywhere))

    assert told(answers) == [(None, "the loopback: of the host, and of each network namespace by itself")]


def test_with_a_port_it_is_told_who_holds_either_end() -> None:
    at, far = Endpoint("10.0.0.5", 5432), Endpoint("10.0.0.9", 40000)
    web, db = inside("web", 300, "app"), inside("db", 400, "postgres")
    seen = (
        SeenSocket(netns_of("web"), "tcp", far, at, is_listening=False, process=web),
        SeenSocket(netns_of("web"), "tcp", far._replace(port=40001), at, is_listening=False, process=web),
        SeenSocket(netns_of("db"), "tcp", at, far, is_listening=False, process=db),
        listening("db", 5432, db),
        # On any address of its own, but it has not this one.
        listening("alone", 5432, inside("alone", 500)),
    )

    answers = ask("10.0.0.5:5432", address=Clues(addresses=(SeenAddress(netns_of("db"), None),), sockets=seen))

    assert told(answers) == [
        ("db", "process 400 listens at tcp 0.0.0.0:5432 in its own network"),
        ("db", "process 400 holds a tcp connection at it with 10.0.0.9:40000 in its own network"),
        ("web", "process 300 holds 2 tcp connections to it from 10.0.0.9:40000, among others in its own network"),
    ]


def test_an_address_whose_port_nobody_uses_is_told_all_the_same() -> None:
    answers = ask("10.0.0.5:9", address=Clues(addresses=(SeenAddress(netns_of("db"), None),)))

    assert told(answers) == [("db", "has the address")]


def test_a_port_published_at_one_address_is_not_that_of_another() -> None:
    snapshot = shop(ports=(Port("127.0.0.1", 80, 8080, "tcp"),))
    hosts = Clues(addresses=(SeenAddress(HOST_NETNS, None),))

    assert ask("127.0.0.1:80", snapshot, address=hosts).answers[0].name == "web"
    assert told(ask("10.0.0.1:80", snapshot, address=hosts)) == [(None, "the host has the address")]


def test_the_hosts_end_of_a_pair_leads_to_the_container() -> None:
    link = SeenLink(HOST_NETNS, "vethab12", 7, "veth", is_end=True, peer=netns_of("db"))

    answers = ask("vethab12", interface=Clues(links=(link,)))

    assert answers.kind is Kind.INTERFACE
    assert told(answers) == [("db", "the other end of vethab12 (index 7), a veth of the host, is in its network")]


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (SeenLink(HOST_NETNS, "docker0", 3, "bridge"), "docker0 (index 3) is a bridge of the host"),
        (SeenLink(HOST_NETNS, "eth0", None), "eth0 is an interface of the host"),
        (
            SeenLink(HOST_NETNS, "veth9", 9, "veth", is_end=True),
            "veth9 (index 9) is a veth of the host, whose other end is in a network namespace without a known process",
        ),
    ],
)
def test_an_interface_of_the_host_is_told_as_what_it_is(link: SeenLink, why: str) -> None:
    assert told(ask(link.name, interface=Clues(links=(link,)))) == [(None, why)]


def test_an_index_is_the_hosts_first_and_then_each_containers() -> None:
    links = (
        SeenLink(netns_of("web"), "eth0", 7),
        SeenLink(HOST_NETNS, "veth1", 7, "veth", is_end=True, peer=netns_of("db")),
    )

    assert [name for name, _ in told(ask("if7", interface=Clues(links=links)))] == ["db", "web"]


def test_a_cgroup_is_told_by_its_id_by_its_path_and_by_what_is_in_it() -> None:
    path = path_of("web")
    below = CgroupPath(f"{path}/init")

    assert told(ask("cgroup 77", cgroup=Clues(cgroups=(path,)))) == [("web", f"its cgroup is {path}")]
    assert told(ask(f"/sys/fs/cgroup{below}", cgroup=Clues(cgroups=(below,))))[0] == (
        "web",
        f"in its cgroup is {below}",
    )
    assert told(ask(f"/sys/fs/cgroup/memory{path}/memory.max")) == [("web", f"in its cgroup is {path}/memory.max")]
    assert told(ask("cgroup 5", cgroup=Clues(cgroups=(CgroupPath("/system.slice"),)))) == [
        (None, "/system.slice is a cgroup of the host")
    ]


def test_a_cgroup_that_is_gone_is_told_by_its_name() -> None:
    first = sample_of(running("web"), running("gone"))
    snapshot = snapshot_after(first, sample_of(running("web"), stopped("old"), seconds=60))
    never = "ab" * 32

    assert told(ask(f"docker-{container_id('old')}.scope", snapshot))[0][0] == "old"
    (gone,) = ask(path_of("gone"), snapshot).answers
    assert (gone.name, gone.why) == ("gone", f"{path_of('gone')} was its cgroup; it was removed 0s ago")
    (lost,) = ask(f"/docker/{never}", snapshot).answers
    assert (lost.container, lost.runtime, lost.id) == (None, "docker", never)


def test_a_path_is_that_of_the_container_whose_layer_it_is_before_those_that_share_an_image() -> None:
    mounts = (
        SeenMount(number_of("db"), "in a layer of its image", is_shared=True),
        SeenMount(number_of("web"), "in its writable layer, /o/1/diff"),
        SeenMount(12345, "in its writable layer, of one that ended meanwhile"),
    )

    answers = ask("/o/1/diff/etc", path=Clues(mounts=mounts))

    assert answers.kind is Kind.PATH
    assert told(answers) == [
        ("web", "the path is in its writable layer, /o/1/diff"),
        ("db", "the path is in a layer of its image"),
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/srv/data/x", "has /srv/data mounted at /data, to read"),
        ("/var/lib/docker/volumes/books/_data/1", "has books mounted at /books"),
        (
            f"/var/lib/docker/containers/{ID}/{ID}-json.log",
            "its id is in the path",
        ),
    ],
)
def test_a_path_is_that_of_whose_volume_or_whose_directory_it_is(path: str, why: str) -> None:
    volumes = (Volume("/srv/data", "/data", is_read_only=True), Volume("books", "/books"), Volume("/srv", "/all"))

    assert told(ask(path, shop(volumes=volumes)))[0] == ("web", why)


def test_a_directory_beside_a_volume_is_not_in_it() -> None:
    assert ask("/srv/database", shop(volumes=(Volume("/srv/data", "/data"),))).answers == ()


def test_a_namespace_is_that_of_all_in_it() -> None:
    inode = own_namespaces("web").net

    assert told(ask(f"net:[{inode}]")) == [("web", f"lives in net:[{inode}]")]
    assert ask("/run/netns/a", path=Clues(namespace=inode)).answers[0].name == "web"
    hosts = host_of().namespaces.net
    assert told(ask(f"net:[{hosts}]")) == [(None, f"net:[{hosts}] is the host's")]


def test_a_killed_process_is_told_with_its_container_and_whose_limit_it_was() -> None:
    path = path_of("web")

    assert told(ask(OOM.format(path=path, limit=path))) == [
        ("web", f"java (pid 123) was killed for memory in {path}, by its own limit")
    ]
    assert told(ask(OOM.format(path=f"{path}/init", limit="/docker"))) == [
        ("web", f"java (pid 123) was killed for memory in {path}/init, by the limit at /docker")
    ]
    assert told(ask(OOM.format(path="/system.slice/a.service", limit="/system.slice"))) == [
        (
            None,
            (
                "java (pid 123) was killed for memory in /system.slice/a.service, by the limit at /system.slice:"
                " no container's cgroup"
            ),
        )
    ]


def test_a_killed_process_of_a_container_that_is_gone_is_told_by_its_id() -> None:
    (answer,) = ask(OOM.format(path=f"/docker/{'ab' * 32}", limit="/docker")).answers

    assert (answer.id, answer.name) == ("ab" * 32, None)
    assert answer.why.endswith("it is not here any more")


def test_a_line_without_a_cgroup_is_told_with_those_that_were_hit() -> None:
    first = sample_of(running("web"), running("hog"))
    snapshot = snapshot_after(first, sample_of(running("web"), running("hog", oom_kill=2), seconds=1))

    answers = ask(KILLED, snapshot)

    assert told(answers) == [
        (
            "hog",
            "2 of its processes were killed for memory; the line does not say in which cgroup java (pid 123) was",
        )
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web", ["web"]),
        ("docker:web", ["web"]),
        ("shop/web", ["web"]),
        ("shop", ["db", "web"]),
        (ID, ["web"]),
        (ID[:12], ["web"]),
        (f"docker://{ID}", ["web"]),
        (f"docker:{ID}", ["web"]),
        ("lon", ["alone"]),
        ("ALONE", ["alone"]),
        ("old", ["old"]),
        ("containerd:web", []),
        ("nobody", []),
        ("eb", []),
    ],
)
def test_a_container_is_found_by_its_name_and_id(text: str, names: list[str]) -> None:
    assert [answer.name for answer in ask(text).answers] == names


def test_what_only_has_the_name_in_its_own_is_told_where_there_is_nothing_better() -> None:
    snapshot = snapshot_after(sample_of(running("web"), running("webhook")))

    assert [answer.name for answer in ask("web", snapshot).answers] == ["web"]
    assert [answer.name for answer in ask("webh", snapshot).answers] == ["webhook"]


def test_a_number_is_told_as_all_that_it_can_be() -> None:
    snapshot = snapshot_after(sample_of(running("web"), running("18234")))
    clues = {"pid": Clues(processes=(replace(SSHD, pid=18234),)), "cgroup": Clues(cgroups=(path_of("web"),))}

    answers = ask("18234", snapshot, **clues)

    assert answers.kind is Kind.PID
    assert [answer.name for answer in answers.answers] == [None, "web", "18234"]


def test_nothing_found_is_said_in_one_line_with_where_was_looked() -> None:
    assert nothing_text(ask("nobody")) == (
        "nobody: nothing found; looked at the names and ids of 4 containers; the interfaces of 4 networks"
    )


@pytest.mark.parametrize("text", ["", "  \n"])
def test_to_ask_nothing_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="expected a pid"):
        ask(text)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b]0;owned\x07",
        "task_memcg=/," * 500_000,
        "Killed process 1 (" * 300_000,
        "x" * 5_000_000,
        "a\nb" * 500_000,
        "/\udcff",
        "a\0b",
        "1" * 100_000,
        "/" * 4000,
    ],
    ids=lambda text: f"{text[:3]!r}-{len(text)}",
)
def test_whatever_is_asked_the_answer_is_one_clean_line(text: str) -> None:
    answers = ask(text)

    assert answers.answers == ()
    line = nothing_text(answers)
    assert not unsafe(line)
    assert len(line) < 300


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_foreign_text_is_shown_safely(name: str) -> None:
    snapshot = snapshot_after(sample_of(running(name, info={"labels": {COMPOSE: name or "x"}})))
    process = SeenProcess(5, name, cgroups=(path_of(name),))

    answers = ask("pid:5", snapshot, pid=Clues(processes=(process,)))

    assert len(answers.answers) == 1
    assert to_text(answers).count("\n") == 2
    assert not unsafe(to_text(answers).replace("\n", ""))
    assert not unsafe(to_json(answers).replace("\n", ""))
    assert json.loads(to_json(answers))["answers"][0]["process"] == name


def test_the_object_has_what_was_promised() -> None:
    answers = ask("4242", pid=Clues(processes=(inside("alone", 4242, "java"),)))

    assert to_object(answers) == {
        "version": 1,
        "query": "4242",
        "kind": "pid",
        "answers": [
            {
                "container": docker_key("alone"),
                "name": "alone",
                "pod": None,
                "runtime": "docker",
                "id": container_id("alone"),
                "pid": 4242,
                "process": "java",
                "why": "process 4242 is 7 inside",
            }
        ],
    }


def test_the_text_names_the_container_and_the_process() -> None:
    seen = (inside("web", 300), replace(SSHD, pid=7, ns_pids=(7,)))

    assert to_text(ask("7", pid=Clues(processes=seen))) == (
        "the host\n"
        "  process 7 (sshd) of the host, in /system.slice/ssh.service\n"
        f"web (docker {ID[:12]}, pod shop)\n"
        "  process 300 (nginx) is 7 inside\n"
    )


def test_all_that_containers_live_in_is_looked_at_once() -> None:
    netns = netns_of("web")
    snapshot = snapshot_after(sample_of(running("web"), running("side", process={"netns": netns}), running("db")))

    where = where_of(snapshot)

    assert next(iter(where.networks.items())) == (HOST_NETNS, 1)
    assert where.networks.keys() == {HOST_NETNS, netns, netns_of("db")}
    assert sorted(where.firsts) == sorted(number_of(name) for name in ("web", "side", "db"))
