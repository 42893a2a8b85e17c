"""A broker behind TLS, SASL and ACLs, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.secured_broker import SecuredBroker


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
