"""Sealed datasets: whole or not there, never silently changed, and their shards stored once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.datasets import Example, GoldenCase, Pair, Shard, ShardKind, Split
from schemas.digests import canonical_json, digest_of, folder_digests, sha256_hex
from schemas.errors import Code, NotReady, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.datasets.columns import to_columns
from stores.datasets.spill import Spill, content_digest
from stores.datasets.store import FATES, INDEX, MANIFEST, DatasetStore, shard_key
from stores.datasets.withdraw import delete_orphans, manifests, withdraw
from tests.shards import NO_FATES, drafts, example, index_of, manifest, pair, write
from training.data import read_split

OWN = (INDEX, FATES)
PAIRED = (Split.TRAIN, Split.VALIDATION)
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


def by_split(found: list[Pair]) -> list[Pair]:
    """Split by split as their shards are named, within one as they came."""
    return sorted(found, key=lambda one: str(one.split))


def one_shard(
    store: DatasetStore, *found: Example, known: tuple[Shard, ...] = (), name: str = "a"
) -> Shard:
    (draft,) = drafts(found)
    return store.write_shard(draft, name, ShardKind.EXAMPLES, None, known)


def test_a_dataset_comes_back_as_it_was_sealed(tmp_path: Path, store: DatasetStore) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    assert list(store.examples("abc")) == EXAMPLES
    assert list(store.pairs("abc")) == by_split(PAIRS)
    first = next(store.examples("abc"))
    assert list(first.messages[1]["tool_calls"][0]["arguments"]) == ["z", "a"]
    assert store.manifest("abc") == sealed
    assert write(store, "abc", EXAMPLES[:1]) == sealed, "sealing again changes nothing"
    assert store.fetch("abc", tmp_path / "copy") == sealed
    files = folder_digests(tmp_path / "copy")
    assert files.keys() == {*(shard.name for shard in sealed.shards), *OWN, MANIFEST}
    assert {shard.name: shard.file for shard in sealed.shards}.items() <= files.items()
    assert sealed.files.items() <= files.items()


def test_what_is_fetched_is_what_the_trainer_reads(tmp_path: Path, store: DatasetStore) -> None:
    write(store, "abc", EXAMPLES, PAIRS)
    store.fetch("abc", tmp_path)
    for split in Split:
        wanted = [example for example in EXAMPLES if example.split is split]
        assert read_split(tmp_path, split) == [example.content() for example in wanted]


def test_a_manifest_names_what_each_shard_holds(store: DatasetStore) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    trained, held_out = ([one for one in PAIRS if one.split is part] for part in PAIRED)
    held: list[list[Example] | list[Pair]] = [EXAMPLES[:4], EXAMPLES[4:], trained, held_out]
    kinds = [ShardKind.EXAMPLES] * 2 + [ShardKind.PAIRS] * 2
    assert [shard.kind for shard in sealed.shards] == kinds
    assert [shard.split for shard in sealed.shards] == [None, None, *PAIRED]
    for shard, mine in zip(sealed.shards, held, strict=True):
        columns = [to_columns(one.content(), shard.kind) for one in mine]
        digests = [bytes.fromhex(digest_of(one)) for one in columns]
        assert shard.rows == len(mine)
        assert shard.content == content_digest(digests) == content_digest(digests[::-1])
        assert shard.file == sha256_hex(store.objects.get(shard_key(shard)))


@pytest.mark.parametrize("place", range(6))
def test_a_changed_file_is_noticed(tmp_path: Path, store: DatasetStore, place: int) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    keys = [shard_key(shard) for shard in sealed.shards] + [f"datasets/abc/{name}" for name in OWN]
    store.objects.put(keys[place], store.objects.get(keys[place - 1]))
    readers: list[Callable[[], Any]] = [
        *[lambda: list(store.examples("abc"))] * 2,
        *[lambda: list(store.pairs("abc"))] * 2,
        lambda: list(store.examples("abc")),
        lambda: store.fates("abc"),
    ]
    for read in (readers[place], lambda: store.fetch("abc", tmp_path / "copy")):
        with pytest.raises(Unrecoverable) as caught:
            read()
        assert caught.value.code is Code.DATASET_CORRUPT
        assert keys[place] in str(caught.value)


def test_a_shard_is_checked_before_anything_of_it_is_read(store: DatasetStore) -> None:
    last = write(store, "abc", EXAMPLES).shards[-1]
    store.objects.put(shard_key(last), store.objects.get(shard_key(last)) + b" ")
    found = store.examples("abc")
    assert [next(found) for _ in range(4)] == EXAMPLES[:4]
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
    assert list(store.examples("abc")) == EXAMPLES


def test_known_content_is_named_again_and_not_written(
    store: DatasetStore, written: Counter[str]
) -> None:
    first = write(store, "one", EXAMPLES, PAIRS)
    before = Counter(written)
    decided = [replace(one, weight=0.5, split=Split.TRAIN, score=60.0) for one in EXAMPLES[:4]]
    second = write(store, "two", [*decided, *EXAMPLES[4:], example(9)], PAIRS, first.shards)
    fresh = {key for key in written - before if key.startswith("shards/")}
    assert fresh == {shard_key(second.shards[1])}, "one block has got a row, no other"
    assert second.shards[0] == first.shards[0], "what was decided of its rows is not in it"
    assert second.shards[2:] == first.shards[2:]
    assert list(store.examples("one")) == EXAMPLES
    assert list(store.examples("two")) == [*decided, *EXAMPLES[4:], example(9)]


def test_a_known_shard_gets_the_name_it_is_asked_for(
    store: DatasetStore, written: Counter[str]
) -> None:
    shard = one_shard(store, *EXAMPLES[:2], name="examples-00000.parquet")
    again = one_shard(store, *EXAMPLES[:2], known=(shard,), name="examples-00007.parquet")
    assert again == shard.model_copy(update={"name": "examples-00007.parquet"})
    assert sum(written.values()) == 1


@pytest.mark.parametrize("change", [{"row_id": "x"}, {"messages": ()}, {"user": None}], ids=str)
def test_other_content_is_another_shard(
    store: DatasetStore, written: Counter[str], change: dict[str, Any]
) -> None:
    shard = one_shard(store, example(0), example(1))
    other = one_shard(store, example(0), example(1, **change), known=(shard,))
    assert other.content != shard.content
    assert written == {shard_key(shard): 1, shard_key(other): 1}


def test_a_known_shard_whose_file_is_gone_is_written_again(
    store: DatasetStore, written: Counter[str]
) -> None:
    shard = one_shard(store, *EXAMPLES[:2])
    (Path(store.objects.root.removeprefix("file://")) / shard_key(shard)).unlink()
    assert one_shard(store, *EXAMPLES[:2], known=(shard,)) == shard
    assert written[shard_key(shard)] == 2


def damage(store: DatasetStore, key: str, how: str) -> None:
    if how == "missing":
        store.objects.delete(key)
    else:
        store.objects.put(key, store.objects.get(key) + b"\n")


@pytest.mark.parametrize("how", ["missing", "changed"])
@pytest.mark.parametrize("place", range(6))
def test_writing_again_mends_what_is_damaged(
    store: DatasetStore, written: Counter[str], place: int, how: str
) -> None:
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    keys = [shard_key(shard) for shard in sealed.shards] + [f"datasets/abc/{name}" for name in OWN]
    damage(store, keys[place], how)
    written.clear()
    assert write(store, "abc", EXAMPLES, PAIRS, sealed.shards) == sealed
    assert written == {keys[place]: 1}
    assert list(store.examples("abc")) == EXAMPLES
    assert list(store.pairs("abc")) == by_split(PAIRS)
    assert store.fates("abc").equals(NO_FATES)


def test_files_that_another_library_wrote_are_mended_with_the_manifest(
    store: DatasetStore,
) -> None:
    """Their bytes are not what they were: the manifest then names what is there."""
    sealed = write(store, "abc", EXAMPLES, PAIRS)
    for name in OWN:
        damage(store, f"datasets/abc/{name}", "changed")
    gone = sealed.shards[0].model_copy(update={"file": "0" * 64})
    other = sealed.model_copy(
        update={"shards": (gone, *sealed.shards[1:]), "files": dict.fromkeys(OWN, "0" * 64)}
    )
    store.objects.put(f"datasets/abc/{MANIFEST}", canonical_json(other.model_dump(mode="json")))
    mended = write(store, "abc", EXAMPLES, PAIRS, other.shards)
    assert mended == sealed == store.manifest("abc")
    assert list(store.examples("abc")) == EXAMPLES


def test_a_seal_whose_shards_are_deleted_meanwhile_begins_again(store: DatasetStore) -> None:
    """Before its manifest is there, and between a withdrawal's look at the manifests and its end."""
    old = write(store, "old", EXAMPLES)
    withdraw(store, "old", [shard.file for shard in old.shards])
    seal = partial(store.write, manifest("new", old.shards), index_of(EXAMPLES), NO_FATES)
    with pytest.raises(NotReady) as caught:
        seal()
    assert caught.value.code is Code.LEDGER_REWRITTEN
    assert not list(store.objects.keys("datasets"))
    write(store, "old", EXAMPLES)
    store.objects.delete(f"datasets/old/{MANIFEST}")
    told = []

    def wanted(_: str) -> bool:
        with pytest.raises(NotReady) as caught:
            seal()
        told.append(caught.value.code)
        return True

    delete_orphans(store, wanted)
    assert told == [Code.LEDGER_REWRITTEN] * len(old.shards)
    assert not list(store.objects.keys("shards"))
    write(store, "new", EXAMPLES)
    assert list(store.examples("new")) == EXAMPLES


def test_a_withdrawal_leaves_the_shards_that_another_manifest_names(store: DatasetStore) -> None:
    old = write(store, "old", EXAMPLES)
    new = write(store, "new", EXAMPLES[:4])
    withdraw(store, "old", [shard.file for shard in old.shards])
    assert list(store.objects.keys("shards")) == [shard_key(shard) for shard in new.shards]
    assert list(store.examples("new")) == EXAMPLES[:4]


def test_a_manifest_that_its_seal_takes_back_is_passed_over(store: DatasetStore) -> None:
    for name in ("one", "two"):
        write(store, name, EXAMPLES)
    found = manifests(store)
    other = {"one", "two"} - {next(found).digest}
    store.objects.delete(f"datasets/{other.pop()}/{MANIFEST}")
    assert list(found) == []


def test_many_rows_in_any_order_come_back_in_theirs(tmp_path: Path) -> None:
    """More rows than wait in memory, of more shards than one, added backwards."""
    spill = Spill(tmp_path, pa.schema([("name", pa.string())]))
    count = 40_000
    for place in reversed(range(count)):
        spill.add(f"{place % 3}", place, {"name": str(place)})
    found = list(spill.shards())
    assert [draft.name for draft in found] == ["0", "1", "2"]
    for draft in found:
        assert draft.table["name"].to_pylist() == [str(n) for n in range(int(draft.name), count, 3)]
        assert draft.digests[1].hex() == digest_of({"name": str(int(draft.name) + 3)})
    assert list(tmp_path.iterdir()) == []


def test_fates_lie_beside_the_manifest(store: DatasetStore) -> None:
    fates = pa.table({"row_id": ["a", "b"], "reason": ["", "golden"]})
    store.write(manifest("abc"), index_of([]), fates)
    assert store.fates("abc").equals(fates)
    assert not [*store.examples("abc"), *store.pairs("abc")]


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
