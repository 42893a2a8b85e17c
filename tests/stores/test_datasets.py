"""Sealed datasets: whole or not there, never silently changed, and their shards stored once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from schemas.datasets import Example, GoldenCase, Pair, Shard, ShardKind, Split
from schemas.digests import digest_of, folder_digests, sha256_hex
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.datasets.spill import content_digest
from stores.datasets.store import MANIFEST, DatasetStore, shard_key
from tests.shards import NO_FATES, drafts, example, manifest, pair, write

EXAMPLES = [example(n, Split.TEST if n == 3 else Split.TRAIN) for n in range(6)]
PAIRS = [pair(n, Split.VALIDATION if n % 2 else Split.TRAIN) for n in range(4)]


@pytest.fixture
def objects(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def store(objects: ObjectFolder) -> DatasetStore:
    return DatasetStore(objects)


@pytest.fixture
def written(objects: ObjectFolder, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each object was written."""
    found: Counter[str] = Counter()
    real = objects.put

    def put(key: str, data: bytes) -> None:
        found[key] += 1
        real(key, data)

    monkeypatch.setattr(objects, "put", put)
    return found


def by_split(found: list[Any]) -> list[Any]:
    """In canonical order: split by split as their shards are named, within one as they came."""
    return sorted(found, key=lambda one: str(one.split))


def one_shard(
    store: DatasetStore, *found: Example, known: tuple[Shard, ...] = (), name: str = "a"
) -> Shard:
    (draft,) = drafts(found, ShardKind.EXAMPLES)
    return store.write_shard(draft, name, ShardKind.EXAMPLES, Split(draft.name), known)


def test_a_dataset_comes_back_as_it_was_sealed(tmp_path: Path, store: DatasetStore) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    assert list(store.examples("abc")) == by_split(EXAMPLES)
    assert list(store.pairs("abc")) == by_split(PAIRS)
    first = next(store.examples("abc"))
    assert list(first.messages[1]["tool_calls"][0]["arguments"]) == ["z", "a"]
    assert store.manifest("abc") == sealed
    assert write(store, "abc", [], []) == sealed, "sealing again changes nothing"
    assert store.fetch("abc", tmp_path / "copy") == sealed
    files = folder_digests(tmp_path / "copy")
    assert set(files) == {*(shard.name for shard in sealed.shards), MANIFEST}
    assert {shard.name: shard.file for shard in sealed.shards}.items() <= files.items()


def test_a_manifest_names_what_each_shard_holds(store: DatasetStore) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    held: dict[tuple[ShardKind, Split], list[Example | Pair]] = {}
    for one in (*EXAMPLES, *PAIRS):
        kind = ShardKind.EXAMPLES if isinstance(one, Example) else ShardKind.PAIRS
        held.setdefault((kind, one.split), []).append(one)
    assert {(shard.kind, shard.split) for shard in sealed.shards} == held.keys()
    for shard in sealed.shards:
        mine = held[shard.kind, shard.split]
        digests = [bytes.fromhex(digest_of(one.content())) for one in mine]
        assert shard.rows == len(mine)
        assert shard.content == content_digest(digests) == content_digest(digests[::-1])
        assert shard.file == sha256_hex(store.objects.get(shard_key(shard)))


@pytest.mark.parametrize("kind", ShardKind)
def test_a_changed_shard_is_noticed(tmp_path: Path, store: DatasetStore, kind: ShardKind) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    mine = [shard for shard in sealed.shards if shard.kind is kind]
    store.objects.put(shard_key(mine[0]), store.objects.get(shard_key(mine[1])))
    read = store.examples if kind is ShardKind.EXAMPLES else store.pairs
    for attempt in (lambda: list(read("abc")), lambda: store.fetch("abc", tmp_path / "copy")):
        with pytest.raises(Unrecoverable) as caught:
            attempt()
        assert caught.value.code is Code.DATASET_CORRUPT
        assert mine[0].file in str(caught.value)


def test_a_shard_is_checked_before_anything_of_it_is_read(store: DatasetStore) -> None:
    sealed = write(store, "abc", EXAMPLES)
    last = sealed.shards[-1]
    store.objects.put(shard_key(last), store.objects.get(shard_key(last)) + b" ")
    found = store.examples("abc")
    assert [next(found).row_id for _ in range(sealed.shards[0].rows)]
    with pytest.raises(Unrecoverable):
        next(found)


def test_without_its_manifest_a_dataset_is_not_there(
    objects: ObjectFolder, store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = objects.put

    def crash_before_the_manifest(key: str, data: bytes) -> None:
        if key.endswith(MANIFEST):
            raise RuntimeError("power cut")
        real(key, data)

    monkeypatch.setattr(objects, "put", crash_before_the_manifest)
    with pytest.raises(RuntimeError):
        write(store, "abc", EXAMPLES)
    monkeypatch.undo()
    assert not store.holds("abc")
    with pytest.raises(Unrecoverable) as caught:
        store.manifest("abc")
    assert caught.value.code is Code.NO_SUCH_DATASET
    write(store, "abc", EXAMPLES)
    assert list(store.examples("abc")) == by_split(EXAMPLES)


def test_known_content_is_named_again_and_not_written(
    store: DatasetStore, written: Counter[str]
) -> None:
    first = write(store, "one", EXAMPLES, PAIRS)
    before = Counter(written)
    more = [*EXAMPLES, example(9, Split.VALIDATION)]
    second = write(store, "two", more, PAIRS, first.shards)
    fresh = {key for key in written - before if key.startswith("shards/")}
    (new,) = (shard for shard in second.shards if shard.split is Split.VALIDATION and shard.rows == 1)
    assert fresh == {shard_key(new)}
    assert set(first.shards) < set(second.shards)
    assert list(store.examples("one")) == by_split(EXAMPLES)
    assert list(store.examples("two")) == by_split(more)


def test_a_known_shard_gets_the_name_it_is_asked_for(
    store: DatasetStore, written: Counter[str]
) -> None:
    shard = one_shard(store, *EXAMPLES[:2], name="train-00000.parquet")
    again = one_shard(store, *EXAMPLES[:2], known=(shard,), name="train-00007.parquet")
    assert again == shard.model_copy(update={"name": "train-00007.parquet"})
    assert sum(written.values()) == 1


@pytest.mark.parametrize("change", [{"weight": 1.0}, {"split": Split.TEST}, {"domain": None}], ids=str)
def test_other_content_is_another_shard(
    store: DatasetStore, written: Counter[str], change: dict[str, Any]
) -> None:
    shard = one_shard(store, *(example(n) for n in range(2)))
    other = one_shard(store, *(example(n, **change) for n in range(2)), known=(shard,))
    assert other.content != shard.content
    assert sum(written.values()) == 2


def test_a_known_shard_whose_file_is_gone_is_written_again(
    store: DatasetStore, written: Counter[str]
) -> None:
    shard = one_shard(store, *EXAMPLES[:2])
    (Path(store.objects.root.removeprefix("file://")) / shard_key(shard)).unlink()
    assert one_shard(store, *EXAMPLES[:2], known=(shard,)) == shard
    assert written[shard_key(shard)] == 2


def test_fates_lie_beside_the_manifest(store: DatasetStore) -> None:
    store.write(manifest("abc"), NO_FATES.append_column("reason", NO_FATES["row_id"]))
    assert store.fates("abc").column_names == ["row_id", "reason"]


def test_a_golden_set_is_named_by_its_content(store: DatasetStore) -> None:
    case = GoldenCase(
        case_id="1", task="t", prompt_digest="p", messages=[], expected={"role": "assistant"}
    )
    digest, _ = store.write_golden([case])
    assert store.golden(digest) == [case]
    assert store.write_golden([case, case])[0] != digest
    store.objects.put(f"golden/{digest}/cases.jsonl", b"")
    with pytest.raises(Unrecoverable):
        store.golden(digest)
