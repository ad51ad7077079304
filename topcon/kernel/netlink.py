"""What the kernel tells by netlink (sock_diag(7)). The only module that knows pyroute2, which takes 0.2 s to import.

Not to be called from a thread that runs an event loop: pyroute2 starts one of its own.
"""

from __future__ import annotations

from collections import Counter
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING

from pyroute2.netlink.diag import DiagSocket

if TYPE_CHECKING:
    from collections.abc import Mapping

TCP_ESTABLISHED = 1


def established_by_cgroup() -> Mapping[int, int]:
    """Count this network namespace's established TCP connections by the cgroup, its inode, that opened them.

    It tells the containers apart that all live on the host's network. Kernels before 5.7 do not say: the counts are
    then empty.

    Raises:
        OSError: the kernel has no sock_diag.
    """
    counts: Counter[int] = Counter()
    with DiagSocket() as diag:  # type: ignore[no-untyped-call] # pyroute2 has no types
        diag.bind()
        for family in (AF_INET, AF_INET6):
            for socket in diag.get_sock_stats(family=family, states=1 << TCP_ESTABLISHED):
                cgroup_id = socket.get_attr("INET_DIAG_CGROUP_ID")
                if cgroup_id is not None:
                    counts[cgroup_id] += 1
    return counts
