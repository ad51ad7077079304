"""A daemon that speaks gRPC at a Unix socket, and says what a test wants."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Deny(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, words: str = "") -> None:
        super().__init__(words)
        self.code = code


def denying(code: str, words: str = "") -> Callable[[bytes, dict[str, str]], Any]:
    """An answer to any request that is an error."""

    def deny(*_: object) -> Any:
        raise Deny(code, words)

    return deny


class GrpcDaemon(grpc.GenericRpcHandler):
    """Answers a method by the function that it is given for it: bytes, or a list of them for a stream."""

    def __init__(self, folder: Path, answers: dict[str, Callable[[bytes, dict[str, str]], Any]]) -> None:
        self.socket = str(folder / "s")
        self.answers = answers
        self.calls: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=(self,))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def service(self, details: Any) -> Any:
        method = details.method
        if method not in self.answers:
            return None
        if method.endswith("Stream"):
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: iter(self._answer(method, request, context))
            )
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(method, request, context))

    def _answer(self, method: str, request: bytes, context: Any) -> Any:
        self.calls.append(method.rpartition("/")[2])
        try:
            return self.answers[method](request, dict(context.invocation_metadata()))
        except Deny as error:
            context.abort(grpc.StatusCode[error.code], str(error))

    def close(self) -> None:
        self._server.stop(None).wait()


@contextmanager
def running(answers: dict[str, Callable[[bytes, dict[str, str]], Any]]) -> Iterator[GrpcDaemon]:
    """A daemon for the time of the block."""
    # Sockets have short paths.
    with TemporaryDirectory(prefix="topcon-") as folder:
        daemon = GrpcDaemon(Path(folder), answers)
        yield daemon
        daemon.close()
