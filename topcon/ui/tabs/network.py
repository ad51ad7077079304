"""The network that a container lives in: interfaces, who listens, connections and their other ends. No Textual here."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import title_of
from topcon.model.sockets import ESTABLISHED, LISTENING, TCP, TCP_STATES, Network, Socket
from topcon.text import UNKNOWN, cell_width, cut, padded, printable, to_bytes_text, to_count_text, to_rate_text
from topcon.ui.spans import Span, Spans, Tone, fitted
from topcon.ui.tabs.seen import Entry, plain, unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from topcon.model.sample import NetnsKey
    from topcon.model.snapshot import Snapshot
    from topcon.model.sockets import Interface, Owner
    from topcon.ui.tabs.seen import Seen

    Names = tuple[tuple[NetnsKey, str], ...]
    """Who lives in which network, as far as it is asked for."""

HOST = "host"
LOOPBACK = "lo"
NAME_WIDTH = 15
"""The longest name that the kernel takes for an interface."""
LEAST_REST = 16
"""Columns that are left for who holds the ends of a connection, before others give way."""
IN_ORDER = tuple(dict.fromkeys((ESTABLISHED, LISTENING, *TCP_STATES.values())))
SHORT_STATES = {
    "established": "estab",
    "syn-received": "syn-recv",
    "fin-wait-1": "fin-w-1",
    "fin-wait-2": "fin-w-2",
    "time-wait": "time-w",
    "close-wait": "close-w",
}
"""Those that are longer than their column."""
LINGERING = frozenset({"close-wait", "syn-sent", "last-ack", "closing"})
"""Many of these tell of trouble: somebody does not close, or does not answer."""
_MS, _S = 1e-3, 1.0


def network_entries(seen: Seen) -> list[Entry]:
    """Write all there is to see of a network."""
    if (nothing := unseen(seen.found)) is not None or not isinstance(seen.found, Network):
        return nothing or []
    return list(_entries(seen.found, seen.width, _names(seen.snapshot, seen.found)))


def _names(snapshot: Snapshot, network: Network) -> Names:
    """Say who lives where the other ends are."""
    wanted = {each.other_netns for each in network.connections if each.other_netns is not None}
    host = snapshot.sample.host.netns
    names = {host: HOST} if host is not None and host in wanted else {}
    if wanted - names.keys():
        for container in snapshot.containers.values():
            netns = container.netns
            if netns in wanted and (netns not in names or container.is_network_owner):
                names[netns] = title_of(container)
    return tuple(names.items())


@lru_cache(maxsize=2)
def _entries(network: Network, width: int, names: Names) -> tuple[Entry, ...]:
    """Write it once for each look."""
    lines: list[Spans] = []
    if network.is_hosts:
        lines += [[Span(" it is on the host's network; these sockets are its own", Tone.WARN)]]
    if network.lacks is not None:
        lines += [[Span(f" {network.lacks}", Tone.DIM)]]
    if network.interfaces:
        lines += _title("Interfaces", lines)
        lines[-1].append(Span("  received ↓ and sent ↑ a second, and in all", Tone.DIM))
        names_wide = min(max(cell_width(printable(each.name)) for each in network.interfaces), NAME_WIDTH)
        lines += [line for each in network.interfaces for line in _interface(each, names_wide)]
    lines += _title("Listening", lines)
    ends_wide = max((len(_endpoint(each.local, each.local_port)) for each in network.listening), default=0)
    ends_wide = min(ends_wide, max(width // 3, LEAST_REST))
    lines += [_listening(each, ends_wide) for each in sorted(network.listening, key=_by_port)]
    if not network.listening:
        lines.append([Span("  nothing listens", Tone.DIM)])
    lines += [*_title("TCP", lines), _states(network)]
    lines += _title("Connections", lines)
    if network.connections:
        local = max(len(_endpoint(each.local, each.local_port)) for each in network.connections)
        remote = max(len(_endpoint(each.remote, each.remote_port)) for each in network.connections)
        slots = _that_fit(width, max(local, len("LOCAL")), max(remote, len("REMOTE")))
        lines.append(_heading(slots))
        told = dict(names)
        lines += [_connection(each, slots, told, width) for each in sorted(network.connections, key=_by_state)]
    else:
        lines.append([Span("  there are none", Tone.DIM)])
    if network.left_out:
        lines.append([Span(f"  and {network.left_out} more, which are counted alone", Tone.DIM)])
    return tuple(plain([fitted(line, width) for line in lines]))


def _title(text: str, before: list[Spans]) -> list[Spans]:
    title = [Span(f" {text}", Tone.ACCENT)]
    return [[], title] if before else [title]


def _interface(interface: Interface, name_width: int) -> list[Spans]:
    """Write what it is in a line, and what it counts in another."""
    stat = interface.stat
    is_down = interface.state is not None and interface.state != "up"
    bridge = f" on {printable(interface.bridge)}" if interface.bridge is not None else ""
    rest = [
        *([f"host: {printable(interface.peer)}{bridge}"] if interface.peer is not None else []),
        *([f"mtu {interface.mtu}"] if interface.mtu is not None else []),
        *([interface.mac] if interface.mac and interface.name != LOOPBACK else []),
    ]
    first: Spans = [
        Span(f"  {padded(printable(interface.name), name_width, is_left=True)} ", Tone.STRONG),
        *([Span(f"{interface.state}  ", Tone.DIM if is_down else Tone.GOOD)] if interface.state else []),
        *[Span(f"{address}  ") for address in interface.addresses],
        Span("  ".join(rest), Tone.DIM),
    ]
    lost = [
        f"{what}{count}"
        for count, what in (
            (stat.rx_errs, "errors ↓"),
            (stat.tx_errs, "errors ↑"),
            (stat.rx_drop, "drops ↓"),
            (stat.tx_drop, "drops ↑"),
        )
        if count
    ]
    second: Spans = [
        Span(" " * (name_width + 3)),
        _counted("↓", interface.rx_bytes_per_second, stat.rx_bytes),
        _counted("↑", interface.tx_bytes_per_second, stat.tx_bytes),
        Span("  ".join(lost) or "no errors, no drops", Tone.WARN if lost else Tone.DIM),
    ]
    return [first, second]


def _counted(way: str, bytes_per_second: float | None, count: int) -> Span:
    rate = to_rate_text(bytes_per_second)
    return Span(f"{way} {rate:>7} {f'({to_bytes_text(count)})':7}  ", Tone.PLAIN if bytes_per_second else Tone.DIM)


def _by_port(each: Socket) -> tuple[object, ...]:
    return each.local_port, each.protocol, each.local


def _by_state(each: Socket) -> tuple[object, ...]:
    return IN_ORDER.index(each.state) if each.state in IN_ORDER else len(IN_ORDER), *_by_port(each), each.remote_port


def _listening(each: Socket, end_width: int) -> Spans:
    """Write who listens where, and, of TCP, how many wait to be accepted."""
    is_full = 0 < each.send_queue <= each.receive_queue
    waiting = f"{each.receive_queue} waiting" if each.receive_queue and each.protocol == TCP else ""
    of = f" of {each.send_queue}" if waiting and each.send_queue else ""
    return [
        Span(f"  {each.protocol}  ", Tone.DIM),
        Span(padded(_endpoint(each.local, each.local_port), end_width, is_left=True), Tone.STRONG),
        Span(f"  {_owner(each.owner)}"),
        Span(f"  {waiting}{of}", Tone.WARN if is_full else Tone.DIM),
    ]


def _endpoint(address: str, port: int) -> str:
    if address in {"0.0.0.0", "::"}:  # noqa: S104  nothing is bound here
        address = "*"
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _owner(owner: Owner | None) -> str:
    return UNKNOWN if owner is None else f"{owner.pid} {printable(owner.comm)}"


def _states(network: Network) -> Spans:
    """Count the TCP sockets by their states, the usual ones first."""
    known = [state for state in IN_ORDER if state in network.states]
    others = sorted(network.states.keys() - set(known))
    spans: Spans = [Span(" ")]
    for state in (*known, *others):
        tone = Tone.PLAIN if state in {ESTABLISHED, LISTENING} else Tone.DIM
        spans.append(Span(f" {network.states[state]} {state} ", tone))
    return spans if network.states else [Span("  no sockets", Tone.DIM)]


class _Slot(NamedTuple):
    title: str
    width: int
    text: Callable[[Socket], str]
    is_left: bool = False
    tone: Callable[[Socket], Tone] = lambda _: Tone.PLAIN


def _queue_tone(length: int) -> Tone:
    return Tone.PLAIN if length else Tone.DIM


def _state_tone(each: Socket) -> Tone:
    if each.state in LINGERING:
        return Tone.WARN
    return Tone.PLAIN if each.state == ESTABLISHED else Tone.DIM


def _rtt_text(rtt_s: float | None) -> str:
    """Write a delay: ``0.05ms``, ``12.3ms``, ``1.25s``."""
    if rtt_s is None:
        return UNKNOWN
    if rtt_s >= _S:
        return f"{min(rtt_s, 999):.3g}s"
    return f"{rtt_s / _MS:.2f}ms" if rtt_s < _S / 100 else f"{rtt_s / _MS:.0f}ms"


def _slots(local: int, remote: int) -> tuple[_Slot, ...]:
    is_whole = local > len(":65535")
    return (
        _Slot("STATE", 8, _state_text, is_left=True, tone=_state_tone),
        _Slot(
            "LOCAL",
            local,
            lambda each: _endpoint(each.local, each.local_port) if is_whole else f":{each.local_port}",
            is_left=True,
        ),
        _Slot("REMOTE", remote, lambda each: _endpoint(each.remote, each.remote_port), is_left=True),
        _Slot(
            "RECV", 5, lambda each: to_bytes_text(each.receive_queue), tone=lambda each: _queue_tone(each.receive_queue)
        ),
        _Slot("SEND", 5, lambda each: to_bytes_text(each.send_queue), tone=lambda each: _queue_tone(each.send_queue)),
        _Slot(
            "RETR",
            4,
            lambda each: to_count_text(each.retransmits),
            tone=lambda each: Tone.WARN if each.retransmits else Tone.DIM,
        ),
        _Slot("RTT", 6, lambda each: _rtt_text(each.rtt_s), tone=lambda _: Tone.DIM),
    )


def _state_text(each: Socket) -> str:
    # One of UDP is established, or nothing.
    return each.protocol if each.protocol != TCP else SHORT_STATES.get(each.state, each.state)[:8]


@lru_cache(maxsize=8)
def _that_fit(width: int, local: int, remote: int) -> tuple[_Slot, ...]:
    """Give the addresses the room that they want; where that is scarce, of the local one the port alone is written.

    ``local`` and ``remote`` are the longest.
    """
    for wanted in ((local, remote), (min(local, 21), min(remote, 24)), (len(":65535"), min(remote, 21))):
        slots = _slots(*wanted)
        if _taken(slots) + LEAST_REST <= width:
            break
    kept = list(slots)
    while _taken(kept) + LEAST_REST // 2 > width and len(kept) > len(("STATE", "LOCAL", "REMOTE")):
        kept.pop()
    return tuple(kept)


def _taken(slots: Iterable[_Slot]) -> int:
    return 1 + sum(1 + slot.width for slot in slots)


def _heading(slots: Iterable[_Slot]) -> Spans:
    titles = [f" {padded(slot.title, slot.width, is_left=slot.is_left)}" for slot in slots]
    return [Span(f" {''.join(titles)} PROCESS → OTHER", Tone.DIM)]


def _connection(each: Socket, slots: tuple[_Slot, ...], names: dict[NetnsKey, str], width: int) -> Spans:
    spans: Spans = [Span(" ")]
    for slot in slots:
        spans += [Span(" "), Span(padded(slot.text(each), slot.width, is_left=slot.is_left), slot.tone(each))]
    room = width - _taken(slots) - 1
    own = UNKNOWN if each.owner is None else printable(each.owner.comm)
    other = _other_end(each, names)
    if not other:
        return [*spans, Span(f" {cut(own, room)}")]
    left = cut(own, max(room - cell_width(other) - len(" → "), room // 3))
    return [*spans, Span(f" {left} → "), Span(other, Tone.ACCENT)]


def _other_end(each: Socket, names: dict[NetnsKey, str]) -> str:
    if each.other_owner is not None:
        return printable(each.other_owner.comm)
    return printable(names.get(each.other_netns, "")) if each.other_netns is not None else ""
