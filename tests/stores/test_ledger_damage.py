"""A data file that is missing, cut short, empty or changed is one error that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.local import LocalPlace
from stores.ledger.log import LogExpired
from stores.ledger.scan import Scan, partition_rows
from tests.ledgers import fill


def _flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    for place in range(100, len(held) // 2):
        held[place] ^= 0x55
    path.write_bytes(held)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "changed": _flip,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_each_way_of_reading_names_the_file(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    fill(LocalPlace(tmp_path), 2, size=50)
    file = min(tmp_path.glob("day=*/*.parquet"))
    damage(file)
    reader = DeltaLedgerReader(tmp_path)
    key = next(iter(reader.offsets()))
    cluster, topic, partition = key.split(":")
    tp = TopicPartition(topic, int(partition))
    ways: list[Callable[[], object]] = [
        lambda: list(reader.rows()),
        lambda: reader.table(["digest"]),
        lambda: list(reader.snapshot(["id", "digest"]).rows),
        lambda: list(Scan(tmp_path).batches(["id", "digest"])),
        lambda: partition_rows(tmp_path, cluster, tp),
    ]
    for read in ways:
        with pytest.raises(Unrecoverable) as raised:
            read()
        assert raised.value.code is Code.LEDGER_UNREADABLE
        assert str(file) in raised.value.detail
        assert "\n" not in str(raised.value)
    with pytest.raises((Unrecoverable, LogExpired)) as counted:
        list(reader.additions(-1, ["id", "digest"]))
    assert isinstance(counted.value, LogExpired) != file.exists(), "a snapshot finds what is gone"
