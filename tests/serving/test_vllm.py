"""The client of vLLM's endpoints against servers that answer something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.errors import Code, NotReady
from serving.vllm import VllmGateway

Answers = dict[str, tuple[int, bytes]]


@pytest.fixture
def serve() -> Iterator[Callable[[int, bytes], VllmGateway]]:
    """A server that gives one answer to everything, and a client of it."""
    servers = []

    def start(status: int, body: bytes) -> VllmGateway:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_GET  # noqa: N815 - as http.server asks

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return VllmGateway(f"http://127.0.0.1:{server.server_port}", timeout=5)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


GARBAGE = [b"<html>", b"{}", b"[]", b"null", b'{"choices": []}', b'{"data": 3, "revision": "x"}']


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_a_gateway_that_is_not_there(
    serve: Callable[[int, bytes], VllmGateway], body: bytes
) -> None:
    gateway = serve(200, body)
    for call in (
        gateway.adapters,
        gateway.following,
        lambda: gateway.complete("m", [{"role": "user", "content": "x"}], [], 1),
    ):
        with pytest.raises(NotReady) as caught:
            call()
        assert caught.value.code is Code.GATEWAY_DOWN


def test_only_not_found_means_that_callers_choose_the_arm(
    serve: Callable[[int, bytes], VllmGateway],
) -> None:
    assert serve(404, b"").following() is None
    with pytest.raises(NotReady):
        serve(500, b"").following()
    assert serve(200, b'{"revision": 7}').following() == 7
