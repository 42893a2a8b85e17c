"""Places for a ledger: a folder, and a prefix on a real S3 server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stores.ledger.local import LocalPlace
from stores.ledger.place import Place
from stores.ledger.s3 import S3Place
from tests import s3_server


@pytest.fixture(scope="session")
def s3(need_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server, one for the whole session; its credentials are set."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.CREDENTIALS.items():
            patch.setenv(name, value)
        with s3_server.serving(need_tool("weed"), tmp_path_factory.mktemp("s3")) as address:
            yield address


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of each kind."""
    if request.param == "local":
        return LocalPlace(tmp_path / "ledger")
    return bucket(request.getfixturevalue("s3"))


def bucket(address: str) -> S3Place:
    """A fresh prefix of the test bucket."""
    uri = f"s3://{s3_server.BUCKET}/{uuid.uuid4()}"
    return S3Place(uri, address, "us-east-1", allow_http=True)
