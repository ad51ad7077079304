"""Calls by gRPC over a Unix socket, bytes in and bytes out. The only module that knows grpcio."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from topcon.errors import SourceUnavailable, TopconError
from topcon.runtimes import messages
from topcon.runtimes.sockets import TIMEOUT_S, probe

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_MESSAGE_BYTES = 64 << 20
"""grpc takes 4 MiB unless told; containerd sends up to 16 MiB."""
LONGEST_WORDS = 300
REMEDY = "sudo topcon"

_OPTIONS = (
    ("grpc.max_receive_message_length", LONGEST_MESSAGE_BYTES),
    # A path, percent-encoded, which grpc would send instead, is refused by strict servers.
    ("grpc.default_authority", "localhost"),
    # Otherwise a new channel takes over the old one's broken connection, and its wait before the next attempt.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)


class Refused(TopconError):
    """A daemon's answer that is an error; it never leaves the runtimes' modules."""

    def __init__(self, code: str, words: str) -> None:
        """Keep gRPC's name of the error, such as ``NOT_FOUND``, and the daemon's own words."""
        super().__init__(words)
        self.code = code


class GrpcChannel:
    """A connection to the daemon at a socket."""

    def __init__(self, socket: str) -> None:
        """Connect.

        Raises:
            SourceUnavailable: nothing answers there, we may not connect, or grpcio is not installed.
        """
        self.socket = socket
        grpc = _grpc()
        messages.prepare()
        probe(socket, REMEDY)
        self._error = grpc.RpcError
        self._channel = grpc.insecure_channel(f"unix:{quote(os.path.abspath(socket))}", options=_OPTIONS)  # noqa: PTH100

    def call(self, method: str, request: bytes, timeout_s: float = TIMEOUT_S, namespace: str | None = None) -> bytes:
        """Call a method, such as ``/runtime.v1.RuntimeService/Version``; the namespace is for containerd's own.

        Raises:
            SourceUnavailable: the daemon does not answer.
            Refused: it answers with an error.
        """
        return self.call_all(method, [request], timeout_s, namespace)[0]

    def call_all(
        self, method: str, requests: Sequence[bytes], timeout_s: float = TIMEOUT_S, namespace: str | None = None
    ) -> list[bytes]:
        """Call a method several times at once, and wait for all. Raises as `call` does."""
        ask = self._channel.unary_unary(method)
        futures = [ask.future(request, timeout=timeout_s, metadata=_metadata(namespace)) for request in requests]
        try:
            return [bytes(future.result()) for future in futures]
        except self._error as error:
            raise self._meaning(error) from error

    def stream(self, method: str, request: bytes, namespace: str | None = None) -> list[bytes]:
        """Call a method that answers with several messages. Raises as `call` does."""
        ask = self._channel.unary_stream(method)
        try:
            return [bytes(each) for each in ask(request, timeout=TIMEOUT_S, metadata=_metadata(namespace))]
        except self._error as error:
            raise self._meaning(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _meaning(self, error: Any) -> TopconError:  # noqa: ANN401  grpc is imported late
        code = error.code().name
        words = " ".join(str(error.details() or code.lower()).split())[:LONGEST_WORDS]
        if code == "DEADLINE_EXCEEDED":
            return SourceUnavailable(f"no answer at {self.socket}")
        if code == "PERMISSION_DENIED":
            return SourceUnavailable(f"permission denied at {self.socket}", REMEDY)
        if code == "UNAVAILABLE":
            gone = "onnection refused" in words or "No such file" in words
            return SourceUnavailable(f"{'connection refused' if gone else words} at {self.socket}")
        return Refused(code, words)


def prepare() -> None:
    """Import what is slow to; what is missing is said when it is needed."""
    try:
        _grpc()
        messages.prepare()
    except SourceUnavailable:
        return


def _grpc() -> Any:  # noqa: ANN401  a module
    # grpc reports broken connections to stderr, which is the screen.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import grpc  # noqa: PLC0415  0.08 s
    except ImportError as error:
        message = "needs grpcio and protobuf, which are not installed"
        raise SourceUnavailable(message, messages.REMEDY) from error
    return grpc


def _metadata(namespace: str | None) -> tuple[tuple[str, str], ...]:
    return (("containerd-namespace", namespace),) if namespace else ()
