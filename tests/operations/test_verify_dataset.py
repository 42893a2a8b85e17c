"""`VerifyDataset` finds what was done to a dataset; `CompareDatasets` says what two of them differ in."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operations.compare_datasets import CompareDatasets
from operations.verify_dataset import VerifyDataset
from processors.curation.seal.identity import dataset_digest
from schemas.datasets import Manifest, ShardKind
from schemas.digests import canonical_json, digest_of, sha256_hex
from stores.datasets.columns import INDEX, to_example
from stores.datasets.spill import content_digest
from stores.datasets.store import DatasetStore, shard_key
from tests.sealed import RUNS, Installed, install

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def fresh(installed: Installed) -> DatasetStore:
    return installed.store


def shard_of(manifest: Manifest) -> Any:
    return next(shard for shard in manifest.shards if shard.kind is ShardKind.EXAMPLES)


def file_of(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def changed(
    store: DatasetStore,
    manifest: Manifest,
    change: Callable[[Records, Records], None],
    *,
    honest: bool = False,
) -> Manifest:
    """A dataset like another, whose records and index were changed.

    Its manifest names the new files, and if it is `honest` the new contents too: only what they say is wrong.
    """
    shard = shard_of(manifest)
    records = store.shard(shard).to_pylist()
    index = store.index(manifest.digest).to_pylist()
    change(records, index)
    data = file_of(pa.Table.from_pylist(records, schema=store.shard(shard).schema))
    found = shard.model_copy(update={"file": sha256_hex(data)})
    digest = digest_of([manifest.digest, sha256_hex(data), index])
    counts = manifest.counts
    if honest:
        content = content_digest([bytes.fromhex(digest_of(record)) for record in records])
        found = found.model_copy(update={"content": content, "rows": len(records)})
        examples = [to_example(r, i).content() for r, i in zip(records, index, strict=True)]
        whole = content_digest([bytes.fromhex(digest_of(content)) for content in examples])
        paired = [pair.content() for pair in store.pairs(manifest.digest)]
        pairs = content_digest([bytes.fromhex(digest_of(content)) for content in paired])
        digest = dataset_digest(manifest.recipe, manifest.golden, whole, pairs)
        splits = [content["split"] for content in examples]
        counts = {split: splits.count(split) for split in counts}
    store.objects.put(shard_key(found), data)
    shards = tuple(found if each == shard else each for each in manifest.shards)
    update = {"digest": digest, "shards": shards, "counts": counts}
    table = pa.Table.from_pylist(index, schema=INDEX)
    return store.write(manifest.model_copy(update=update), table, store.fates(manifest.digest))


def faults(store: DatasetStore, digest: str) -> list[str]:
    found: list[str] = VerifyDataset(store)(digest)["faults"]
    return found


def test_what_was_sealed_is_sound(installed: Installed) -> None:
    for manifest in (installed.first, installed.second):
        found = VerifyDataset(installed.store)(manifest.digest)
        assert found["faults"] == []
        assert found["examples"] == sum(manifest.counts.values()) > 100
        assert found["pairs"] == sum(manifest.pairs.values()) > 10
        assert not any(found["crossing"].values())
        assert not any(found["golden"].values())
        assert manifest.golden is not None


def test_every_manner_of_damage_is_named(fresh: DatasetStore, installed: Installed) -> None:
    manifest = installed.second

    def other_answer(records: Records, _: Records) -> None:
        records[3]["messages"] = records[3]["messages"].replace("word", "sword")

    def lost(records: Records, _: Records) -> None:
        records.pop()

    def swapped(_: Records, index: Records) -> None:
        index[0], index[1] = index[1], index[0]

    def longer(_: Records, index: Records) -> None:
        index.append(index[0])

    def heavier(_: Records, index: Records) -> None:
        index[0]["weight"] = 100.0

    said = {
        change.__name__: " ".join(faults(fresh, changed(fresh, manifest, change).digest))
        for change in (other_answer, lost, swapped, longer, heavier)
    }
    assert "another digest than the manifest says" in said["other_answer"]
    assert "rows, not" in said["lost"]
    assert "more lines than there are examples" in said["lost"]
    assert "is not understood" in said["swapped"]
    assert "more lines than there are examples" in said["longer"]
    assert said["heavier"].startswith("its content has the digest")


def test_damaged_lost_and_foreign_files_are_faults_and_no_crash(tmp_path: Path) -> None:
    found = install(tmp_path)
    key = shard_key(shard_of(found.first))
    whole = found.store.objects.get(key)
    assert not faults(found.store, found.first.digest)
    found.store.objects.put(key, whole[:-1])
    assert "cannot be read" in faults(found.store, found.first.digest)[0]
    found.store.objects.put(key, whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    assert faults(found.store, found.first.digest)
    found.store.objects.put(key, file_of(pa.table({"a": [1]})))
    assert any("is not understood" in line for line in faults(found.store, found.first.digest))
    Path(found.store.objects.uri(key).removeprefix("file://")).unlink()
    assert "missing" in faults(found.store, found.first.digest)[0]
    found.store.objects.put(key, whole)
    kept = found.first.model_copy(update={"digest": "f" * 64})
    manifest = f"datasets/{found.first.digest}/manifest.json"
    found.store.objects.put(manifest, canonical_json(kept.model_dump(mode="json")))
    assert any(
        "not " + found.first.digest in line for line in faults(found.store, found.first.digest)
    )


@pytest.mark.parametrize("part", ["index", "shard", "golden"])
def test_what_could_not_be_read_is_not_called_free_of_leaks(tmp_path: Path, part: str) -> None:
    found = install(tmp_path)
    manifest = found.second
    keys = {
        "index": f"datasets/{manifest.digest}/index.parquet",
        "shard": shard_key(shard_of(manifest)),
        "golden": f"golden/{manifest.golden}/cases.jsonl",
    }
    found.store.objects.put(keys[part], b"{}")
    said = VerifyDataset(found.store)(manifest.digest)
    assert set(said["golden"].values()) == {None}
    assert set(said["crossing"].values()) == ({0} if part == "golden" else {None})


def test_a_leak_in_a_dataset_that_agrees_with_itself_is_found(
    fresh: DatasetStore, installed: Installed
) -> None:
    sessions: dict[str, list[int]] = {}
    records = fresh.shard(shard_of(installed.second)).to_pylist()
    for place, record in enumerate(records):
        sessions.setdefault(record["session"], []).append(place)
    place = next(places[0] for places in sessions.values() if len(places) > 1)

    def leak(_: Records, index: Records) -> None:
        index[place]["split"] = "test" if index[place]["split"] == "train" else "train"

    found = VerifyDataset(fresh)(changed(fresh, installed.second, leak, honest=True).digest)
    assert found["faults"] == []
    assert found["crossing"]["session"] == 1
    assert found["crossing"]["user"] == 1


def test_a_golden_case_inside_is_found(fresh: DatasetStore, installed: Installed) -> None:
    assert installed.second.golden is not None
    case = fresh.golden(installed.second.golden)[0]

    def cheat(records: Records, _: Records) -> None:
        records[0]["task"] = case.task

    found = VerifyDataset(fresh)(changed(fresh, installed.second, cheat, honest=True).digest)
    assert found["faults"] == []
    assert {name for name, count in found["golden"].items() if count} == {"task"}


def test_two_datasets_are_compared_row_by_row(fresh: DatasetStore, installed: Installed) -> None:
    before, after = installed.first, installed.second
    found = CompareDatasets(fresh)(before.digest, after.digest)
    were = {e.row_id: e for e in fresh.examples(before.digest)}
    are = {e.row_id: e for e in fresh.examples(after.digest)}
    assert found["added"] == sorted(are.keys() - were.keys())
    assert found["removed"] == sorted(were.keys() - are.keys())
    assert all(int(row.rpartition(":")[2]) >= RUNS for row in found["added"])
    assert found["changed"] == []
    both = were.keys() & are.keys()
    assert found["moved"] == sorted(row for row in both if were[row].split != are[row].split)
    rest = [row for row in both if were[row] != are[row] and row not in found["moved"]]
    assert found["reweighed"] == sorted(rest)
    assert found["recipe"] == {"min_quality": [70.0, 80.0]}
    assert found["offsets"] == {"c:execution.completed:0": [RUNS, RUNS + 60]}
    gone = {f["after"]: f["rows"] for f in found["fates"] if f["before"] == "accepted"}
    assert sum(gone.values()) == len(found["removed"])
    assert gone["low_quality"] > 0
    new = {f["before"]: f["rows"] for f in found["fates"] if f["after"] == "accepted"}
    assert sum(new.values()) == len(found["added"])
    assert found["drift"] == after.statistics["drift"]


def test_a_changed_text_is_told_from_a_changed_weight(
    fresh: DatasetStore, installed: Installed
) -> None:
    def change(records: Records, index: Records) -> None:
        records[0]["messages"] = records[0]["messages"].replace("word", "sword")
        index[1]["weight"] += 1

    other = changed(fresh, installed.second, change, honest=True)
    found = CompareDatasets(fresh)(installed.second.digest, other.digest)
    lists = ("added", "removed", "changed", "moved", "reweighed")
    assert [len(found[name]) for name in lists] == [0, 0, 1, 0, 1]
    same = CompareDatasets(fresh)(other.digest, other.digest)
    assert not any(same[name] for name in (*lists, "fates", "recipe", "counts", "other"))
