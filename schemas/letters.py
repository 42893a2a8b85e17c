"""Dead letters as they travel: the record as it came, and headers that say what was wrong with it.

The headers are those of Kafka Connect's dead letter queues (KIP-298) as far as they apply; stack
traces, which quote payloads, are left out. They come after the record's own and begin with
`__connect.errors.topic`, so that both can be told apart however often a record dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import Code
from schemas.records import Record
from schemas.rows import Row

Headers = Sequence[tuple[str, bytes | None]]
PREFIX = "__connect.errors."
REPLACES = "lorikeet_replaces"
"""Header of a record that was sent again: the id of the letter that it was."""
_FIRST = f"{PREFIX}topic"
_DATA = frozenset(
    {Code.INVALID_DATA, Code.PLAN_CYCLE, Code.TOO_MANY_MESSAGES, Code.TENANT_CONFLICT}
)
_CODES = {code.number: code for code in Code}


def stage_of(number: str | None) -> str:
    """Connect's name for where a code fails: reading the headers, the value, or what the value says."""
    code = _CODES.get(number or "")
    if code is Code.BAD_HEADER:
        return "HEADER_CONVERTER"
    return "TRANSFORMATION" if code in _DATA else "VALUE_CONVERTER"


def letter_id(row: Row) -> str:
    """Where the record lay; the same whenever it is sent again."""
    again = f".{row.incarnation}" if row.incarnation else ""
    return f"{row.cluster}-{row.topic}-{row.partition}-{row.offset}{again}"


def error_headers(row: Row, detail: str) -> Headers:
    """What a record gains. `detail` says what was found; it may quote the record's own words."""
    code = _CODES[row.error_code or Code.NOT_JSON.number]
    said = {
        _FIRST: row.topic,
        f"{PREFIX}partition": str(row.partition),
        f"{PREFIX}offset": str(row.offset),
        f"{PREFIX}stage": stage_of(row.error_code),
        f"{PREFIX}class.name": "schemas.events" if code in _DATA else "schemas.envelope",
        f"{PREFIX}exception.class.name": "schemas.errors.InvalidEvent",
        f"{PREFIX}exception.message": f"{code.number} {', '.join(row.reasons)}: {detail}",
        "lorikeet_id": letter_id(row),
    }
    return [(name, value.encode(errors="replace")) for name, value in said.items()]


def pointer_headers(row: Row, uri: str) -> Headers:
    """Where the payload lies: its folder's address, its size in bytes, its SHA-256."""
    said = {"lorikeet_uri": uri, "lorikeet_size": str(row.size), "lorikeet_sha256": row.digest}
    return [(name, value.encode()) for name, value in said.items()]


def time_headers(timestamp: int | None) -> Headers:
    """The record's own time, where the topic takes none so far from the present."""
    return [("lorikeet_timestamp", str(timestamp).encode())]


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of the dead letter topic, read back. `headers` are those the record came with."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    said: Mapping[str, str]

    @classmethod
    def of(cls, record: Record) -> Letter | None:
        """The letter that a record is; None if it is none of ours."""
        names = [name for name, _ in record.headers]
        if _FIRST not in names or "lorikeet_id" not in names:
            return None
        own = len(names) - 1 - names[::-1].index(_FIRST)
        said = {n: (v or b"").decode(errors="replace") for n, v in record.headers[own:]}
        if not said.get(f"{PREFIX}partition", "").isdecimal():
            return None
        own_time = said.get("lorikeet_timestamp", "")
        time = int(own_time) if own_time.isdecimal() else record.timestamp
        return cls(record.key, record.value, time, record.headers[:own], said)

    @property
    def id(self) -> str:
        """Where the record lay: cluster, topic, partition and offset."""
        return self.said.get("lorikeet_id", "")

    @property
    def short_id(self) -> str:
        """The same without the cluster."""
        return self.id[self.id.find(f"-{self.topic}-") + 1 :]

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        return self.said[_FIRST]

    @property
    def partition(self) -> int:
        """The partition it was read from."""
        return int(self.said[f"{PREFIX}partition"])

    @property
    def code(self) -> str:
        """The error code, `E70xx`."""
        return self.said.get(f"{PREFIX}exception.message", "").partition(" ")[0]

    @property
    def message(self) -> str:
        """What was found, without the code."""
        return self.said.get(f"{PREFIX}exception.message", "").partition(" ")[2]

    @property
    def size(self) -> int:
        """Bytes of the payload, wherever it lies."""
        stored = self.said.get("lorikeet_size", "")
        return int(stored) if stored.isdecimal() else len(self.value or b"")

    @property
    def uri(self) -> str | None:
        """The folder in which payload, key and headers lie, where the topic refused them."""
        return self.said.get("lorikeet_uri")

    @property
    def replaces(self) -> str | None:
        """The id of the letter that the record was when it was sent before."""
        found = [value for name, value in self.headers if name == REPLACES]
        return (found[-1] or b"").decode(errors="replace") if found else None

    def again(self, headers: Headers) -> Headers:
        """The headers to send the record with again, given those it came with."""
        own = [(name, value) for name, value in headers if name != REPLACES]
        return [*own, (REPLACES, self.id.encode())]
