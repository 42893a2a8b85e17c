"""A ledger in an S3 bucket. What was put is durable when the put returns; Delta's log entries are put
only if absent, so the store has to enforce that: `check` finds out before anything is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from schemas.errors import Code, Unrecoverable
from stores.ledger.place import ROW_GROUP, Item

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

_RACERS = 8
_ROUNDS = 2


class S3Place:
    """See `Place`. Credentials come from the usual AWS variables."""

    def __init__(self, uri: str, endpoint: str, region: str, *, allow_http: bool) -> None:
        """`uri` is `s3://bucket/prefix`; an empty endpoint or region is what AWS's variables say."""
        self.uri = uri.rstrip("/")
        wanted = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region}
        self.files = None
        self.options: Mapping[str, str] = {
            **{name: value for name, value in wanted.items() if value},
            **({"AWS_ALLOW_HTTP": "true"} if allow_http else {}),
        }
        config: S3Config = {}
        if endpoint:
            config["endpoint"] = endpoint
        if region:
            config["region"] = region
        options: ClientConfig = {"allow_http": allow_http}
        self._store = S3Store.from_url(self.uri, config=config, client_options=options)

    def check(self) -> None:
        """Raises Unrecoverable(STORE_NOT_ATOMIC) unless one of several racing puts wins each time."""
        for _ in range(_ROUNDS):
            key = f"_lorikeet_check/{uuid.uuid4()}"
            with _as_unwritable(self.uri), ThreadPoolExecutor(_RACERS) as pool:
                won = sum(pool.map(self._put_if_absent, [key] * _RACERS))
                self.delete(key)
            if won != 1:
                detail = f"{self.uri}: {won} of {_RACERS} racing writers created one object"
                raise Unrecoverable(Code.STORE_NOT_ATOMIC, detail)

    def make(self) -> None:
        """Nothing: a bucket is made by its owner."""

    def mend(self) -> None:
        """Nothing: a put is whole or not there."""

    def write(self, name: str, table: pa.Table) -> int:
        """See `Place`."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP)
        data = sink.getvalue()
        with _as_os_errors():
            obstore.put(self._store, name, data.to_pybytes())
        return int(data.size)

    def sync(self, names: Iterable[str]) -> None:
        """Nothing: what was put is durable."""

    def open(self, name: str) -> pa.NativeFile:
        """See `Place`."""
        return pa.BufferReader(self.read(name))

    def read(self, name: str) -> bytes:
        """See `Place`."""
        with _as_os_errors():
            return bytes(obstore.get(self._store, name).bytes())

    def items(self, folder: str, after: str = "") -> Iterator[Item]:
        """See `Place`."""
        for batch in obstore.list(self._store, folder or None, offset=after or None):
            for found in batch:
                yield Item(found["path"], found["size"], found["last_modified"].timestamp())

    def delete(self, name: str) -> None:
        """See `Place`."""
        with _as_os_errors():
            obstore.delete(self._store, name)

    def _put_if_absent(self, key: str) -> bool:
        try:
            obstore.put(self._store, key, uuid.uuid4().bytes, mode="create")
        except (AlreadyExistsError, PreconditionError):
            return False
        return True


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """What the store says as the errors that a disk would give; a missing object is one already."""
    try:
        yield
    except BaseError as error:
        raise OSError(str(error)) from error


@contextmanager
def _as_unwritable(uri: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        why = (str(error).splitlines() or [""])[0][:200]
        raise Unrecoverable(Code.UNWRITABLE, f"{uri}: {why}") from error
