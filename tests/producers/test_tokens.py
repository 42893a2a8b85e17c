"""Tokens for OAUTHBEARER, from a file and from a token endpoint that answers over HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from producers.connection import KafkaConnection
from producers.settings import KafkaSecurity
from producers.tokens import token_provider
from service.broker import free_port


class Endpoint(BaseHTTPRequestHandler):
    """Grants numbered tokens to the client `me` with the secret `s`; what it was asked is kept."""

    lasts = 3600
    status = 200
    asked: list[dict[str, list[str]]] = []

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        login = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
        Endpoint.asked.append(parse_qs(form))
        granted = {"access_token": f"token-{len(Endpoint.asked)}", "expires_in": Endpoint.lasts}
        refused = {"error": "invalid_client"}
        status = Endpoint.status if login == "me:s" else 401
        self._answer(status, granted if status == 200 else refused)

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Endpoint, "asked", [])
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


def client(url: str, **changes: Any) -> KafkaSecurity:
    tree = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "OAUTHBEARER",
        "token_url": url,
        "client_id": "me",
        "client_secret": "s",
    }
    return KafkaSecurity.model_validate({**tree, **changes})


def tokens(security: KafkaSecurity, number: int) -> list[str]:
    async def ask() -> list[str]:
        provider = token_provider(security)
        return [await provider.token() for _ in range(number)]

    return asyncio.run(ask())


def test_a_file_is_read_again_at_each_login(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    security = KafkaSecurity(protocol="SASL_PLAINTEXT", mechanism="OAUTHBEARER", token_file=path)

    async def ask() -> tuple[str, str]:
        provider = KafkaConnection("h:1", security).options()["sasl_oauth_token_provider"]
        first = await provider.token()
        path.write_text("two")
        return first, await provider.token()

    assert asyncio.run(ask()) == ("one", "two")
    path.unlink()
    with pytest.raises(SaslAuthenticationFailed, match="token file"):
        asyncio.run(ask())


def test_a_granted_token_is_used_while_it_is_good(endpoint: str) -> None:
    assert tokens(client(endpoint, scope="kafka"), 3) == ["token-1"] * 3
    assert Endpoint.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka"]}]


def test_a_token_that_is_about_to_expire_is_asked_anew(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "lasts", 0)
    assert tokens(client(endpoint), 2) == ["token-1", "token-2"]


def test_what_may_work_later_is_told_from_what_will_not(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SaslAuthenticationFailed, match="401 invalid_client"):
        tokens(client(endpoint, client_secret="wrong"), 1)
    with pytest.raises(KafkaConnectionError, match="token endpoint"):
        tokens(client(f"http://127.0.0.1:{free_port()}/"), 1)
    monkeypatch.setattr(Endpoint, "status", 503)
    with pytest.raises(KafkaConnectionError, match="503"):
        tokens(client(endpoint), 1)
