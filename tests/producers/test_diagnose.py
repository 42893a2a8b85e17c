"""What a broker that cannot be reached is reported as: words, never an exception's own form."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code
from service.broker import free_port


def said(address: str) -> str:
    trouble = asyncio.run(
        diagnose(KafkaConnection(address), ConnectionError("Unable to bootstrap"))
    )
    assert trouble.code is Code.NO_BROKER
    assert trouble.detail.startswith(address)
    return trouble.detail


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_at_which_nobody_listens(host: str) -> None:
    assert said(f"{host}:{free_port()}").endswith(": refused")


def test_a_host_that_has_no_address() -> None:
    assert said("nowhere.invalid:9092").endswith(": no such host")


def test_a_listener_that_hangs_up_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(4):
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        detail = said(f"127.0.0.1:{server.getsockname()[1]}")
    assert "does kafka.security.protocol fit this port?" in detail
    assert "(" not in detail


def test_a_listener_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.diagnose._TIMEOUT_MS", 300)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(f"127.0.0.1:{server.getsockname()[1]}").endswith(": no answer")
