"""A ledger in a folder of this machine.

delta-rs renames but never syncs: a power cut after its commit can lose it, or leave an entry empty.
So data files are written and synced here, and log entries are synced after the commit. What a power
cut left half written at the end of the log was never acknowledged, and is set aside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq

from stores.ledger import durable
from stores.ledger.durable import LOG
from stores.ledger.place import ROW_GROUP, Item

_CHECKPOINT = "_last_checkpoint"
_PARQUET_MAGIC = b"PAR1"


class LocalPlace:
    """See `Place`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)
        self.options: Mapping[str, str] = {}
        self.files = pa_fs.SubTreeFileSystem(str(root.absolute()), pa_fs.LocalFileSystem())

    def make(self) -> None:
        """See `Place`."""
        (self.root / LOG).mkdir(parents=True, exist_ok=True)
        durable.sync(self.root)
        durable.sync(self.root.parent)

    def mend(self) -> None:
        """Set aside a torn checkpoint, and log entries from the first torn one on.

        An entry is acknowledged only once all below it are synced, so what follows a torn one was
        acknowledged to nobody.
        """
        log = self.root / LOG
        if not log.is_dir():
            return
        checkpoint = self._whole_checkpoint(log)
        later = sorted(p for p in log.glob("*.json") if p.stem.isdigit())
        later = [path for path in later if int(path.stem) > checkpoint]
        torn = next((n for n, path in enumerate(later) if not _whole(path)), len(later))
        for path in reversed(later[torn:]):
            _set_aside(path)

    def write(self, name: str, table: pa.Table) -> int:
        """See `Place`."""
        path = self.root / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.sync(self.root)
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)
        return path.stat().st_size

    def sync(self, names: Iterable[str]) -> None:
        """See `Place`."""
        paths = [self.root / name for name in names]
        for path in paths:
            if path.exists():
                durable.sync(path)
        for folder in sorted({path.parent for path in paths}):
            durable.sync(folder)

    def open(self, name: str) -> pa.NativeFile:
        """See `Place`."""
        return pa.memory_map(str(self.root / name))

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return (self.root / name).read_bytes()

    def items(self, folder: str, after: str = "") -> Iterator[Item]:
        """See `Place`."""
        for parent, _, names in os.walk(self.root / folder):
            below = Path(parent).relative_to(self.root)
            for name in names:
                found = (below / name).as_posix()
                if found > after and (item := self._item(found)):
                    yield item

    def delete(self, name: str) -> None:
        """See `Place`."""
        (self.root / name).unlink(missing_ok=True)

    def _item(self, name: str) -> Item | None:
        try:
            stat = (self.root / name).stat()
        except FileNotFoundError:  # somebody else deleted it meanwhile
            return None
        return Item(name, stat.st_size, stat.st_mtime)

    def _whole_checkpoint(self, log: Path) -> int:
        """The version of the newest checkpoint; a torn one is set aside first. −1 without one."""
        for path in sorted(log.glob("*.checkpoint.parquet"), reverse=True):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - len(_PARQUET_MAGIC)))
                if file.read() == _PARQUET_MAGIC:
                    return int(path.name.split(".")[0])
            (log / _CHECKPOINT).unlink(missing_ok=True)  # Delta then lists the folder
            _set_aside(path)
        return -1


def _set_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.torn"))
    durable.sync(path.parent)


def _whole(path: Path) -> bool:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False
