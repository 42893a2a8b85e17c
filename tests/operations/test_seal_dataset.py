"""Sealing a real ledger: what is refused with which figures, versions, lineage, shards that are shared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from operations.seal_dataset import next_version
from operations.verify_dataset import VerifyDataset
from schemas.datasets import Manifest, Recipe, ShardKind, Split
from schemas.errors import Code, Unrecoverable
from schemas.rows import Disposition, Row
from stores.control import registry
from stores.datasets.store import shard_key
from tests import shards
from tests.installation import register
from tests.leaks import crossing_groups
from tests.processors.small import answer, edited, forget, prompt, run, user
from tests.sealed_ledgers import Installed
from tests.sealing import MODEL
from tests.support import call


@pytest.fixture
def place(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def refused(place: Installed, code: Code, **recipe: Any) -> str:
    """What a refusal says; it leaves nothing behind."""
    with pytest.raises(Unrecoverable) as caught:
        place.seal(**recipe)
    assert caught.value.code is code
    assert place.written() == set()
    assert place.database.read(registry.dataset_list) == []
    assert list(place.scratch.iterdir()) == []
    return caught.value.detail


def asking(numbers: Iterable[int], said: str, **facts: Any) -> list[Row]:
    """Runs that were asked the same."""
    return [run(n, user(said), answer(call(n=n)), **facts) for n in numbers]


# Bad input


def test_a_recipe_with_a_key_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({"min_exampels": 3, "caps": [{"by": "tenant", "share": 0.5, "x": 1}]})
    assert [error["loc"] for error in caught.value.errors()] == [
        ("caps", 0, "by"),
        ("caps", 0, "x"),
        ("min_exampels",),
    ]


def test_an_empty_window(place: Installed) -> None:
    place.append([])
    assert refused(place, Code.DATASET_TOO_SMALL, golden_size=5) == "0 of 1; left out: none"


def test_a_window_in_which_the_model_has_nothing(place: Installed) -> None:
    place.append([run(n, model="other") for n in range(5)])
    assert refused(place, Code.DATASET_TOO_SMALL) == "0 of 1; left out: none"
    assert sum(place.seal(model="other").counts.values()) == 5


def test_a_window_that_ended_before_the_first_row(place: Installed) -> None:
    place.append([run(n) for n in range(5)])
    with pytest.raises(Unrecoverable) as caught:
        place.seal({})
    assert caught.value.code is Code.DATASET_TOO_SMALL


def test_failures_alone_teach_nothing(place: Installed) -> None:
    place.append([run(n, quality=0.0, disposition=Disposition.REJECTED) for n in range(30)])
    said = refused(place, Code.DATASET_TOO_SMALL, min_examples=10)
    assert said == "0 of 10; left out: 30 ingest_rejected"


def test_one_domain_alone_is_sealed_unless_a_cap_forbids_it(place: Installed) -> None:
    place.append([run(n, domain="rail") for n in range(30)])
    caps = [{"by": "domain", "share": 0.6}]
    said = refused(place, Code.DATASET_ONE_SIDED, min_examples=10, caps=caps)
    assert said == "0 of 10; left out: 30 domain_cap"
    manifest = place.seal(min_examples=10)
    assert manifest.counts == {"train": 24, "validation": 3, "test": 3}
    assert {example.weight for example in place.datasets.examples(manifest.digest)} == {1.0}


def test_two_domains_of_which_one_is_too_much(place: Installed) -> None:
    place.append([run(n, domain="rail" if n < 25 else "air") for n in range(30)])
    caps = [{"by": "domain", "share": 0.5}]
    said = refused(place, Code.DATASET_ONE_SIDED, min_examples=11, caps=caps)
    assert said == "10 of 11; left out: 20 domain_cap"
    manifest = place.seal(min_examples=10, caps=caps)
    domains = Counter(example.domain for example in place.datasets.examples(manifest.digest))
    assert domains == {"rail": 5, "air": 5}


def test_all_duplicates_are_one_example(place: Installed) -> None:
    place.append(asking(range(500), "the same"))
    said = refused(place, Code.DATASET_TOO_SMALL, min_examples=2)
    assert said == "1 of 2; left out: 499 exact_duplicate"
    manifest = place.seal(validation_share=0.0, test_share=0.0)
    assert (manifest.counts["train"], manifest.dropped) == (1, {"exact_duplicate": 499})


def test_all_near_duplicates_are_one_example(place: Installed) -> None:
    words = " ".join(f"w{n}" for n in range(60))
    place.append([row for n in range(100) for row in asking([n], f"{words} {n}")])
    said = refused(place, Code.DATASET_TOO_SMALL, min_examples=2)
    assert said == "1 of 2; left out: 99 near_duplicate"


def test_many_rows_of_one_session_cannot_be_split(place: Installed) -> None:
    count = 3_000
    place.append([run(n, session="s", user=f"u{n}") for n in range(count)])
    said = refused(place, Code.DATASET_UNSPLIT, max_outlier_score=1.0)
    assert said == (
        "no example for validation and test: 3,000 examples, of which 3,000 must stay together, "
        "for they share a session, a user, a task or a duplicate cluster"
    )
    manifest = place.seal(max_outlier_score=1.0, validation_share=0.0, test_share=0.0)
    assert manifest.counts == {"train": count, "validation": 0, "test": 0}


def test_one_session_beside_others_goes_to_train_as_a_whole(place: Installed) -> None:
    place.append([run(n, session="s" if n < 60 else None) for n in range(80)])
    manifest = place.seal()
    assert manifest.counts["train"] >= 60
    assert min(manifest.counts.values()) >= 1
    found = list(place.datasets.examples(manifest.digest))
    assert {e.split for e in found if e.session == "s"} == {Split.TRAIN}


def test_mostly_own_output_is_refused_as_such(place: Installed) -> None:
    place.append([run(n, adapter_digest="a" if n < 40 else None) for n in range(50)])
    said = refused(place, Code.DATASET_OWN_OUTPUT, min_examples=21)
    assert said == "20 of 21; left out: 30 own_output"
    said = refused(place, Code.DATASET_TOO_SMALL, min_examples=51)
    assert said == "20 of 51; left out: 30 own_output"
    edits = [edited(n, n, "right") for n in range(5)]
    place.append(edits)
    assert sum(place.seal(min_examples=21).counts.values()) == 30, "edits are nobody's own"


def test_texts_of_a_megabyte(place: Installed) -> None:
    """Long words, one word, and two that are nearly the same: sealed as they are, the copy left out."""
    long = " ".join(f"w{n * 7919 % 99_991}" for n in range(170_000))
    texts = [long, f"{long} more", "x" * 1_100_000, "short", "两" * 400_000]
    answers = [answer(content=text) for text in (*texts[::-1][:4], "y" * 1_000_000)]
    rows = [run(n, user(texts[n]), answers[n]) for n in range(5)]
    assert min(len(text.encode()) for n, text in enumerate(texts) if n != 3) > 1_000_000
    place.append(rows)
    manifest = place.seal(validation_share=0.0, test_share=0.0, min_score=0.0)
    assert manifest.dropped == {"near_duplicate": 1}
    found = {e.row_id[-1]: e.messages for e in place.datasets.examples(manifest.digest)}
    assert found == {str(n): (user(texts[n]), answers[n]) for n in (0, 2, 3, 4)}


SCRIPTS = [
    "请帮我预订明天从北京到上海的机票，谢谢您",
    "東京から大阪まで新幹線の切符を予約してください",
    "ช่วยจองตั๋วเครื่องบินไปเชียงใหม่พรุ่งนี้เช้าด้วยครับ",
    "احجز لي تذكرة قطار من القاهرة إلى الإسكندرية غدا من فضلك",
    "Забронируй билет на поезд из Москвы в Казань на завтра",
    "मुझे कल दिल्ली से मुंबई की उड़ान चाहिए कृपया बुक करें",
    "book flight 北京 to Москва 🛫 tomorrow مع الشكر please",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ✈️ 🚄 🎫",
    "e\u0301te\u0301 \u202eabc\u202c zero\u200bwidth \ufeff end",
    "\U00020000\U00020001\U00020002 \U0001f600 ﷽ ½ Ⅷ",
]


def test_mixed_scripts_are_told_apart_and_come_back_as_they_were(place: Installed) -> None:
    rows = [
        run(n, user(text), answer(call(to=text)), domain=text[:2]) for n, text in enumerate(SCRIPTS)
    ]
    again = [
        run(20 + n, user(f" {text.upper()}\n"), answer(call())) for n, text in enumerate(SCRIPTS)
    ]
    place.append([*rows, *again])
    manifest = place.seal(validation_share=0.2, test_share=0.2)
    assert manifest.dropped == {"exact_duplicate": len(SCRIPTS)}
    found = list(place.datasets.examples(manifest.digest))
    assert [e.messages[0]["content"] for e in found] == SCRIPTS
    assert [e.messages[1]["tool_calls"][0]["arguments"]["to"] for e in found] == SCRIPTS
    assert [e.domain for e in found] == [text[:2] for text in SCRIPTS]


# Versions, lineage, shards


def test_the_same_again_is_the_same_dataset(place: Installed) -> None:
    place.append([run(n) for n in range(20)])
    first = place.seal()
    assert place.written() == {shard_key(shard) for shard in first.shards}
    assert place.seal() == first
    assert place.written() == set(), "nothing is written again"
    assert len(place.database.read(registry.dataset_list)) == 1


@pytest.mark.parametrize("part", ["index", "fates", "shard"])
def test_sealing_again_mends_a_damaged_file(place: Installed, part: str) -> None:
    place.append([run(n) for n in range(20)])
    first = place.seal()
    own = f"datasets/{first.digest}/{part}.parquet"
    key = shard_key(first.shards[0]) if part == "shard" else own
    place.objects.put(key, place.objects.get(key) + b"\n")
    assert VerifyDataset(place.datasets)(first.digest)["faults"]
    assert place.seal() == first
    assert VerifyDataset(place.datasets)(first.digest)["faults"] == []


def test_versions_say_what_has_changed(place: Installed) -> None:
    offsets = place.append([run(n, user=f"u{n}") for n in range(20)])
    first = place.seal()
    later = place.append([run(n) for n in range(20, 25)])
    second = place.seal()
    third = place.seal(min_quality=80)
    place.append([forget(1, user="u3")])
    fourth = place.seal(later, min_quality=80)
    fifth = place.seal(min_quality=80)
    found = [first, second, third, fourth]
    assert [m.version for m in found] == ["1.0.0", "1.1.0", "2.0.0", "2.0.1"]
    assert [m.parent for m in found] == [None, first.digest, second.digest, third.digest]
    assert [m.offsets == offsets for m in found] == [True, False, False, False]
    assert third.erased != fourth.erased
    assert fourth.dropped["erased"] == 1
    assert "u3" not in {e.user for e in place.datasets.examples(fourth.digest)}
    assert "u3" in {e.user for e in place.datasets.examples(third.digest)}, (
        "until it is erased there"
    )
    assert fifth.digest == fourth.digest, "the feedback's offset alone changes nothing"


@pytest.mark.parametrize(
    ("again", "offsets", "name"),
    [
        (Recipe(), {"a": 1}, "2.3.6"),
        (Recipe(), {"a": 2}, "2.5.0"),
        (Recipe(seed=1), {"a": 1}, "4.0.0"),
    ],
)
def test_the_version_of_a_withdrawn_dataset_is_not_used_again(
    again: Recipe, offsets: dict[str, int], name: str
) -> None:
    last = shards.manifest("d", version="2.3.5", recipe=Recipe(), offsets={"a": 1})
    assert next_version(last, again, offsets, {"2.3.5", "2.4.0", "3.0.0"}) == name
    assert next_version(None, again, offsets, set()) == "1.0.0"
    assert next_version(None, again, offsets, {"1.0.0"}) == "2.0.0"


def by_kind(manifest: Manifest, kind: ShardKind) -> list[str]:
    return [shard.file for shard in manifest.shards if shard.kind is kind]


def test_rows_of_one_partition_leave_the_shards_of_others_alone(place: Installed) -> None:
    place.append([run(n, partition=n % 2) for n in range(60)])
    first = place.seal()
    assert len(first.shards) == 2
    place.written()
    place.append([run(n, partition=1) for n in range(60, 90)])
    second = place.seal()
    assert second.shards[0] == first.shards[0]
    assert second.shards[1].content != first.shards[1].content
    assert place.written() == {shard_key(second.shards[1])}
    assert len(list(place.objects.keys("shards"))) == 3
    both = [list(place.datasets.examples(manifest.digest)) for manifest in (first, second)]
    before, after = ({e.row_id: e for e in found} for found in both)
    assert before.keys() < after.keys()
    assert any(before[name] != after[name] for name in before), (
        "scores and splits follow the window"
    )
    assert [e.row_id for e in both[0]] == [
        f"c:execution.completed:{p}:{n}" for p in (0, 1) for n in range(p, 60, 2)
    ]


def test_a_shard_ends_where_its_block_of_offsets_does(place: Installed) -> None:
    numbers = [0, 65_535, 65_536, 65_537, 200_000]
    place.append([run(n) for n in numbers])
    first = place.seal(validation_share=0.0, test_share=0.0)
    assert [shard.rows for shard in first.shards] == [2, 2, 1]
    assert [shard.name for shard in first.shards] == [f"examples-{n:05d}.parquet" for n in range(3)]
    place.written()
    place.append([run(n) for n in (200_001, 400_000)])
    second = place.seal(validation_share=0.0, test_share=0.0)
    assert [shard.rows for shard in second.shards] == [2, 2, 2, 1]
    assert second.shards[:2] == first.shards[:2]
    assert place.written() == {shard_key(shard) for shard in second.shards[2:]}
    fewer = place.seal(validation_share=0.0, test_share=0.0, max_examples=6)
    assert place.written().isdisjoint(map(shard_key, second.shards))
    assert sum(shard.rows for shard in fewer.shards) == 6


def test_pairs_are_counted_and_shared_too(place: Installed) -> None:
    rows = [run(n, user(prompt(n)), answer(call(n=n)), prompt_digest=f"p{n}") for n in range(20)]
    rows += [
        run(20 + n, user(prompt(n)), answer(call(n=-1)), prompt_digest=f"p{n}", quality=1.0)
        for n in range(20)
    ]
    place.append(rows)
    first = place.seal()
    assert sum(first.pairs.values()) == 20
    assert first.pairs == first.counts
    assert len(by_kind(first, ShardKind.PAIRS)) == 3
    held = Counter(str(pair.split) for pair in place.datasets.pairs(first.digest))
    assert held == first.pairs
    place.written()
    place.append([run(100, tenant="other")])
    second = place.seal(window_days=31)
    assert (second.version, second.shards) == ("2.0.0", first.shards)
    assert place.written() == set()


def test_each_generation_of_own_output_counts_one(place: Installed) -> None:
    """People, then an adapter trained on them, then one trained on its answers, and so on."""

    def generation(start: int, adapter: str | None, **recipe: Any) -> Manifest:
        place.append([run(n, adapter_digest=adapter) for n in range(start, start + 20)])
        manifest = place.seal(max_own_share=1.0, **recipe)
        name = f"digest-{start}"
        place.database.write(
            lambda c: register(
                c, f"1.{start}.0", adapter_digest=name, dataset_digest=manifest.digest
            )
        )
        return manifest

    first = generation(0, None)
    second = generation(20, "digest-0")
    third = generation(40, "digest-20")
    assert [m.generation for m in (first, second, third)] == [0, 1, 2]
    place.append([run(n, adapter_digest="digest-40") for n in range(60, 80)])
    assert place.seal(max_own_share=1.0).generation == 3
    stopped = place.seal(max_own_share=1.0, max_generation=2)
    assert (stopped.generation, stopped.dropped) == (2, {"too_derived": 20})


def test_the_first_golden_set_is_frozen_and_kept_out_of_all_that_follow(place: Installed) -> None:
    place.append([run(n, user=f"u{n // 2}") for n in range(100)])
    first = place.seal(golden_size=10)
    assert first.golden is not None
    cases = place.datasets.golden(first.golden)
    assert len(cases) == 10
    place.append([run(n, user=f"u{n // 2 - 50}") for n in range(100, 200)])
    second = place.seal(golden_size=10)
    assert second.golden == first.golden
    for manifest in (first, second):
        found = list(place.datasets.examples(manifest.digest))
        for fact in ("user", "task", "prompt_digest"):
            assert not {getattr(e, fact) for e in found} & {getattr(case, fact) for case in cases}
    assert second.dropped["golden"] > first.dropped["golden"] >= 10


def test_a_refused_window_freezes_no_golden_set(place: Installed) -> None:
    place.append([run(n) for n in range(20)])
    refused(place, Code.DATASET_TOO_SMALL, golden_size=10, min_examples=100)
    assert place.database.read(registry.golden_list) == []
    assert list(place.objects.keys("golden")) == []
    place.append([run(n) for n in range(20, 200)])
    sealed = place.seal(golden_size=10, min_examples=100)
    assert len(place.datasets.golden(sealed.golden or "")) == 10


def test_the_card_counts_the_pairs_that_were_written(place: Installed) -> None:
    """An edit that changes nothing is found to be none only when its text is read."""
    place.append([run(n) for n in range(40)])
    same = [answer(call(n=n)) for n in range(20)]
    edits = [edited(n, n, "") for n in range(20)]
    unchanged = [
        row._replace(content=json.dumps({"messages": [turn]})) if n < 12 else row
        for n, (row, turn) in enumerate(zip(edits, same, strict=True))
    ]
    place.append(unchanged)
    manifest = place.seal(max_outlier_score=1.0)
    said = manifest.statistics["pairs"]
    assert said["splits"] == manifest.pairs
    assert said["margin"]["known"] == sum(manifest.pairs.values()) > 0


def test_nothing_leaks_and_every_candidate_has_a_fate(place: Installed) -> None:
    rows = [
        run(
            n,
            user=f"u{n // 4}",
            session=f"s{n // 2}",
            quality=40.0 if n % 7 == 0 else 90.0,
            partition=n % 2,
        )
        for n in range(400)
    ]
    place.append([*rows, *asking(range(400, 420), prompt(3)), forget(1, user="u5")])
    manifest = place.seal(max_outlier_score=1.0)
    found = list(place.datasets.examples(manifest.digest))
    facts = [
        {n: getattr(e, n) for n in ("session", "user", "task", "cluster", "split")} for e in found
    ]
    assert crossing_groups(facts) == 0
    fates = place.datasets.fates(manifest.digest).to_pylist()
    assert len(fates) == 420
    why = Counter(line["reason"] for line in fates if line["reason"])
    assert why == manifest.dropped
    assert why.keys() == {"low_quality", "exact_duplicate", "erased"}
    accepted = [line["row_id"] for line in fates if line["selection"] == "ACCEPT"]
    assert accepted == [e.row_id for e in found]
    assert {line["selection"] for line in fates} == {"ACCEPT", "REJECT"}
    assert sum(manifest.counts.values()) == len(found)


def test_one_tenant_s_rows_are_in_no_other_s_dataset(place: Installed) -> None:
    rows: Sequence[Row] = [run(n, tenant="default" if n % 2 else "other") for n in range(20)]
    place.append([*rows, edited(1, 3, "theirs", tenant="other")])
    manifest = place.seal(validation_share=0.0, test_share=0.0)
    found = list(place.datasets.examples(manifest.digest))
    assert [int(e.row_id.rpartition(":")[2]) % 2 for e in found] == [1] * 10
    assert {e.label_row for e in found} == {None}
    assert (manifest.tenant, manifest.model) == ("default", MODEL)
