"""CRI-O: the CRI, and nothing else (https://cri-o.io)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topcon.errors import SourceUnavailable, TopconError
from topcon.runtimes import Plugin, grpc_channel
from topcon.runtimes.cri import Cri, configured_endpoint
from topcon.runtimes.grpc_channel import GrpcChannel, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "cri-o"


def connect(socket: str) -> Cri:
    """Connect to the daemon at ``socket``.

    Raises:
        SourceUnavailable: nothing answers there, or it does not speak the CRI.
    """
    channel = GrpcChannel(socket)
    try:
        return Cri(channel, NAME)
    except TopconError as error:
        channel.close()
        if isinstance(error, Refused):
            message = f"{error} at {socket}"
            raise SourceUnavailable(message) from error
        raise


def _configured() -> Sequence[str]:
    endpoints = (os.environ.get("CONTAINER_RUNTIME_ENDPOINT"), configured_endpoint())
    return [endpoint for endpoint in endpoints if endpoint and "crio" in endpoint]


PLUGIN = Plugin(
    name=NAME,
    sockets=("/run/crio/crio.sock", "/var/run/crio/crio.sock"),
    connect=connect,
    prepare=grpc_channel.prepare,
    configured=_configured,
    poll_s=10.0,
)
