"""Taking data back: rows, golden cases, datasets, adapters, and a certificate of all that."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from operations.settings import ModelSettings
from operations.verify_dataset import VerifyDataset
from processors.curation.subjects import subject_of
from schemas.erasures import Erasure, ErasureKind, ErasureState
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.rollouts import RolloutState, Stage
from schemas.rows import Disposition
from stores.control import counters, erasures, jobs, outbox, registry, rollouts
from stores.datasets.store import WITHDRAWING, shard_key
from stores.ledger import log
from stores.ledger.compaction import compact
from stores.ledger.local import LocalPlace
from stores.ledger.scan import Scan
from tests.erasing import FEEDBACK, POLICY, RECIPE, RUNS, Installed, run, runs
from tests.installation import NOW, register
from tests.support import call, edit, erasure, event, telemetry, thumb

KEY = ("default", "m")


class Killed(Exception):
    """The process ends here."""


def killed_at(step: str, times: int = 1) -> Any:
    left = [times]

    def fault(found: str) -> None:
        if found == step:
            left[0] -= 1
            if not left[0]:
                raise Killed(step)

    return fault


def said_by(user: str, target: str) -> dict[str, Any]:
    return event(
        FEEDBACK, thumb(target, author=user) | {"kind": "comment", "comment": f"by {user}"}
    )


def populated(folder: Path, count: int = 60, **more: Any) -> Installed:
    """Runs of ten users, what they and an expert say of them, and a second reading of some."""
    found = Installed(folder, **more)
    events = runs(count)
    found.ingest(*events[: count // 2], partition=0)
    found.ingest(*events[count // 2 :], partition=1)
    found.ingest(events[1], partition=0)
    found.ingest(
        event(FEEDBACK, edit("run-1", [{"name": "book", "arguments": {"who": "secretword"}}])),
        event(FEEDBACK, edit("run-2", [{"name": "book", "arguments": {"who": "harmless"}}])),
        said_by("user1", "run-2"),
    )
    return found


def of_user(number: int, count: int = 60) -> set[tuple[str, int, int]]:
    half = count // 2
    return {(RUNS, n // half, n % half) for n in range(count) if n % 10 == number}


def test_the_rows_of_a_user_are_empty_and_every_record_keeps_its_row(tmp_path: Path) -> None:
    found = populated(tmp_path)
    before = {(r.topic, r.partition, r.offset): r for r in found.rows()}
    done = found.take_back("user:user1")
    after = {(r.topic, r.partition, r.offset): r for r in found.rows()}
    assert after.keys() == before.keys()
    duplicate, about, by = (RUNS, 0, 30), (FEEDBACK, 0, 0), (FEEDBACK, 0, 2)
    gone = of_user(1) | {duplicate, about, by}
    assert {place for place, row in after.items() if row != before[place]} == gone
    for place in gone:
        row, was = after[place], before[place]
        kept = (row.source, row.id, row.size, row.digest, row.tenant, row.type)
        assert kept == (was.source, was.id, was.size, was.digest, was.tenant, was.type)
        rest = row._asdict()
        assert not any(rest[n] for n in ("content", "session", "user", "pii", "prompt_digest"))
        assert not any(rest[n] for n in ("run_id", "task", "model", "author", "target_run"))
    assert after[duplicate].disposition is Disposition.DUPLICATE
    assert {(after[p].disposition, after[p].reasons) for p in gone - {duplicate}} == {
        (Disposition.REJECTED, ("erased",))
    }
    said = found.certificate(done)
    assert said["rows"]["emptied"] == len(gone)
    assert sum(said["rows"]["by_day_of_ingest"].values()) == len(gone)
    assert (done.state, said["requested_by"]) == (ErasureState.CERTIFIED, "user:dpo")


def test_the_counters_are_mended_and_a_full_count_agrees(tmp_path: Path) -> None:
    found = populated(tmp_path)
    found.count()
    total = sum(found.store.read(counters.dispositions).values())
    found.take_back("user:user1")
    counted = found.store.read(counters.dispositions)
    assert sum(counted.values()) == total
    assert counted == dict(Counter(str(row.disposition) for row in found.rows()))
    assert found.store.read(lambda c: counters.examples(c, *KEY)) == (54, 1)
    assert found.count() == 0
    found.count.recount()
    assert found.store.read(counters.dispositions) == counted


def test_no_file_holds_it_any_more(tmp_path: Path) -> None:
    """Not those that compaction removed before, either, nor older versions."""
    found = populated(tmp_path)
    found.sealed()
    compact(found.place, 2, closed="9")
    words = ("user1's", "secretword", "by user1")
    assert len(found.bytes_on_disk(*words)) > 3
    done = found.take_back("user:user1")
    assert found.bytes_on_disk(*words) == []
    assert found.bytes_on_disk("user2's")
    assert found.certificate(done)["rows"]["files_deleted"] >= 5
    removed = log.state(found.place).removed
    assert removed
    assert not [name for name in removed if (tmp_path / "ledger" / name).exists()]


@pytest.mark.parametrize(
    ("subject", "gone"),
    [
        ("session:user1-0", {(RUNS, 0, 1), (RUNS, 0, 30), (FEEDBACK, 0, 0)}),
        ("execution:urn:test#run-1", {(RUNS, 0, 1), (RUNS, 0, 30), (FEEDBACK, 0, 0)}),
        ("event:urn:test#event-5", {(RUNS, 0, 5)}),
        ("value:ann@example.org", {(RUNS, 1, 30)}),
        ("user:ann", {(FEEDBACK, 0, 0), (FEEDBACK, 0, 1)}),
    ],
    ids=["session", "execution", "event", "value", "expert"],
)
def test_other_subjects(tmp_path: Path, subject: str, gone: set[Any]) -> None:
    found = populated(tmp_path)
    held = run(77, "user7")
    held["messages"][0]["content"] += " and write to Ann@Example.org"
    found.ingest(event(RUNS, held), partition=1)
    found.take_back(subject)
    empty = {
        (r.topic, r.partition, r.offset) for r in found.rows() if not r.run_id and not r.feedback
    }
    assert empty == gone


def test_a_whole_source_is_taken_back_as_poison(tmp_path: Path) -> None:
    found = populated(tmp_path)
    poison = [
        event(RUNS, run(200 + n, "mallory"), id=f"p{n}", source="urn:poison") for n in range(5)
    ]
    found.ingest(*poison, event(RUNS, run(210, "user3"), source="urn:fine"))
    found.ingest(
        event(FEEDBACK, edit("run-200", [{"name": "book", "arguments": {}}])),
        event("telemetry.sampled", telemetry(), source="urn:poison"),
    )
    done = found.take_back("source:urn:poison", ErasureKind.POISON)
    gone = [row for row in found.rows() if row.reasons == ("quarantined",)]
    assert len(gone) == 7
    assert not any(row.agent or row.content for row in gone)
    assert found.certificate(done)["kind"] == "poison"
    found.ingest(event(RUNS, run(220, "x"), source="urn:poison"))
    late = [r for r in found.rows() if r.topic == RUNS and r.partition == 0][-1]
    assert (late.reasons, late.content) == (("quarantined",), None)


def test_what_comes_late_or_again_is_empty_too(tmp_path: Path) -> None:
    """A new event of the subject, its redelivery, and what is said of an erased run."""
    found = populated(tmp_path)
    found.take_back("user:user1")
    late = event(RUNS, run(101, "user1"), id="late")
    found.ingest(late, event(RUNS, run(102, "user2"), id="fine"), partition=1)
    found.ingest(late, partition=1)
    found.ingest(
        event(FEEDBACK, edit("run-11", [{"name": "book", "arguments": {}}])),
        event(FEEDBACK, edit("run-101", [{"name": "book", "arguments": {}}])),
        event(FEEDBACK, edit("run-102", [{"name": "book", "arguments": {}}])),
        partition=1,
    )
    by_place = {(r.topic, r.partition, r.offset): r for r in found.rows()}
    assert by_place[RUNS, 1, 30].reasons == ("erased",)
    assert by_place[RUNS, 1, 31].content
    assert by_place[RUNS, 1, 32].disposition is Disposition.DUPLICATE
    assert not by_place[RUNS, 1, 32].user
    assert [by_place[FEEDBACK, 1, n].reasons for n in range(3)] == [("erased",), ("erased",), ()]


def test_read_again_from_the_topics_the_ledger_is_the_same(tmp_path: Path) -> None:
    """All records once more, through ingest's own path, in other batches: nothing comes back."""
    found = populated(tmp_path)
    found.take_back("user:user1")
    found.take_back("source:urn:test", ErasureKind.POISON)
    found.ingest(
        event(RUNS, run(300, "user1"), source="urn:else"),
        event(RUNS, run(301, "u"), source="urn:else"),
    )
    anew = LocalPlace(tmp_path / "ledger.rebuilding")
    for start in range(0, len(found.sent), 7):
        found.commit(found.batch(anew), found.sent[start : start + 7])
    assert found.rows(anew) == found.rows()


def test_rows_decided_before_it_was_asked_for_are_empty_when_committed(tmp_path: Path) -> None:
    found = populated(tmp_path)
    batch = found.batch()
    one = found._record(event(RUNS, run(400, "user1")), 0)
    rows = batch.decide([one])
    assert rows[0].content
    found.take_back("user:user1")
    batch.commit(rows, {one.topic_partition: one.offset + 1})
    assert [r for r in found.rows() if r.topic == RUNS and r.partition == 0][-1].content is None


def test_a_writer_that_had_not_heard_of_it_is_found_out(tmp_path: Path) -> None:
    """It writes after the rows were emptied: they are emptied once more, before the certificate."""
    found = populated(tmp_path)
    row = found.batch().decide([found._record(event(RUNS, run(400, "user1")), 0)])[0]

    wrote: list[str] = []
    one = found.sent[0].topic_partition
    batch = found.batch()

    def write(step: str) -> None:
        if step == str(ErasureState.ROWS) and not wrote:
            wrote.append(step)
            batch._writer.append([row], {one: row.offset + 1})

    done = found.take_back("user:user1", fault=write)
    assert wrote
    assert not [r for r in found.rows() if r.run_id == "run-400"]
    assert found.certificate(done)["rows"]["emptied"] == 10


def test_asked_twice_it_is_the_same_certificate(tmp_path: Path) -> None:
    found = populated(tmp_path)
    first = found.take_back("user:user1")
    version = log.state(found.place).version
    later = found.take_back("user:user1", clock=lambda: NOW + timedelta(days=3))
    assert later == first
    assert log.state(found.place).version == version
    assert len(found.store.read(erasures.every)) == 1
    other = found.take_back("user:nobody")
    assert other.certificate != first.certificate
    assert found.certificate(other)["rows"]["emptied"] == 0


def test_an_event_asks_as_well(tmp_path: Path) -> None:
    found = populated(tmp_path)
    found.ingest(event(FEEDBACK, erasure(user_id="user1")))
    asked = [row for row in found.rows() if row.feedback == "erasure"]
    found.count()
    (known,) = found.store.read(erasures.every)
    assert known.state is ErasureState.ASKED
    assert known.requested_by.startswith("author:")
    (done,) = found.erase()(lambda: NOW)
    assert done.state is ErasureState.CERTIFIED
    assert found.certificate(done)["rows"]["emptied"] == 9
    assert [row for row in found.rows() if row.feedback == "erasure"] == asked, "it stays"
    found.count.recount()
    assert found.take_back("user:user1").certificate == done.certificate, "the same, by hand"


def test_datasets_are_sealed_again_without_it(tmp_path: Path) -> None:
    found = populated(tmp_path)
    older = found.sealed()
    found.ingest(*runs(90)[60:], partition=1)
    newer = found.sealed()
    kept = found.seal("default", "m", RECIPE.model_copy(update={"seed": 7}), newer.offsets, NOW)
    done = found.take_back("user:user1")
    said = {one["digest"]: one for one in found.certificate(done)["datasets"]}
    assert said.keys() == {older.digest, newer.digest, kept.digest}
    for old in (older, newer, kept):
        successor = found.datasets.manifest(said[old.digest]["successor"])
        assert (successor.recipe, successor.offsets) == (old.recipe, old.offsets)
        assert successor.version.rpartition(".")[0] == old.version.rpartition(".")[0]
        assert successor.version != old.version
        ids = {e.row_id for e in found.datasets.examples(successor.digest)}
        assert ids
        assert not ids & {f"c:{t}:{p}:{o}" for t, p, o in of_user(1)}
        assert not found.datasets.holds(old.digest)
        assert not list(found.objects.keys(f"datasets/{old.digest}"))
    listed = {d["digest"]: d for d in found.store.read(registry.dataset_list)}
    assert listed[older.digest]["erased_by"] == done.id
    assert listed[older.digest]["successor"] == said[older.digest]["successor"]
    named = {
        s.file
        for d in listed.values()
        if not d["erased_by"]
        for s in found.datasets.manifest(d["digest"]).shards
    }
    assert {key.split("/")[1].split(".")[0] for key in found.objects.keys("shards")} == named


def test_a_seal_that_an_erasure_overtakes_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had named a shard of a dataset that is withdrawn before its own manifest is written."""
    found = populated(tmp_path)
    first = found.sealed()
    write = found.datasets.write

    def overtaken(*tables: Any) -> Any:
        monkeypatch.undo()
        found.take_back("user:user1")
        return write(*tables)

    monkeypatch.setattr(found.datasets, "write", overtaken)
    sealed = found.sealed(RECIPE.model_copy(update={"balance": 0.4}))
    assert not found.datasets.holds(first.digest)
    assert VerifyDataset(found.datasets)(sealed.digest)["faults"] == []
    assert found.bytes_on_disk("user1's") == []
    assert found.take_back("user:user5").state is ErasureState.CERTIFIED


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_damaged_shard_stops_no_erasure(tmp_path: Path, how: str) -> None:
    """What holds nothing of the subject is mended; what does is sealed again without it."""
    found = populated(tmp_path)
    sealed = found.sealed()
    key = shard_key(sealed.shards[0])

    def damage() -> None:
        data = found.objects.get(key)
        found.objects.delete(key)
        if how == "changed":
            found.objects.put(key, data[:-9])

    damage()
    assert found.certificate(found.take_back("user:nobody"))["datasets"] == []
    assert VerifyDataset(found.datasets)(sealed.digest)["faults"] == []
    damage()
    trained(found, "1.0.0", sealed.digest)
    said = found.certificate(found.take_back("user:user1"))
    assert [(one["digest"], one["rows"] > 0) for one in said["datasets"]] == [(sealed.digest, True)]
    assert list(said["adapters"]) == ["m 1.0.0"]
    assert VerifyDataset(found.datasets)(said["datasets"][0]["successor"])["faults"] == []
    assert found.bytes_on_disk("user1's") == []


def test_what_a_killed_withdrawal_said_stands_in_nobodys_way(tmp_path: Path) -> None:
    found = populated(tmp_path)
    sealed = found.sealed()
    found.objects.put(WITHDRAWING, b"")
    with pytest.raises(NotReady) as caught:
        found.sealed(RECIPE.model_copy(update={"seed": 7}))
    assert "datasets erase" in str(caught.value)
    found.take_back("user:user1")
    assert not found.objects.exists(WITHDRAWING)
    assert not found.datasets.holds(sealed.digest)


@pytest.mark.parametrize("cases", [0, 8])
def test_what_it_would_touch_is_what_it_touches(tmp_path: Path, cases: int) -> None:
    """Of a user with golden cases nothing was learned, but the dataset names its golden set."""
    found = populated(tmp_path)
    sealed = found.sealed(RECIPE.model_copy(update={"golden_size": cases}))
    golden = found.datasets.golden(sealed.golden) if sealed.golden else []
    user = f"user:user{int(golden[0].task.removeprefix('task-')) % 10 if golden else 1}"
    trained(found, "1.0.0", sealed.digest)
    before = found.rows()
    named = subject_of(user, "default", POLICY)
    would = found.erase().preview("default", named, NOW)
    assert found.rows() == before
    assert found.store.read(erasures.every) == []
    assert found.store.read(erasures.runs) == []
    assert found.erase().preview("default", {"user": "x"}, NOW) == (0, [], [])
    said = found.certificate(found.take_back(user))
    assert would.rows == said["rows"]["emptied"] > 0
    assert would.datasets == [one["digest"] for one in said["datasets"]] == [sealed.digest]
    assert would.adapters == list(said["adapters"]) == ([] if cases else ["m 1.0.0"])
    assert found.erase().preview("default", named, NOW) == (0, [], [])


def test_only_what_was_asked_for_or_done_is_named(tmp_path: Path) -> None:
    found = populated(tmp_path)
    first = found.take_back("user:user1")
    erase = found.erase()
    assert erase(lambda: NOW) == [], "it is looked at again, and nothing was found"
    name = erase.ask("default", {"user": "x"}, NOW, reason="r", requested_by="user:dpo")
    assert [one.id for one in erase(lambda: NOW, name)] == [name]
    assert [one.id for one in erase(lambda: NOW, first.id)] == [first.id]


def test_the_certificate_says_that_sealing_decides_anew(tmp_path: Path) -> None:
    found = populated(tmp_path)
    assert "anew (" not in _text(found, found.take_back("user:nobody"))
    found.sealed()
    assert "some that had been left out may have come in" in _text(
        found, found.take_back("user:user1")
    )


def _text(found: Installed, done: Erasure) -> str:
    assert done.certificate is not None
    return found.certificates.read(done.certificate)[1]


def test_a_dataset_that_holds_nothing_of_it_stays(tmp_path: Path) -> None:
    found = populated(tmp_path)
    sealed = found.sealed()
    done = found.take_back("user:nobody")
    assert found.certificate(done)["datasets"] == []
    assert found.datasets.holds(sealed.digest)


def test_a_dataset_of_which_too_little_is_left_is_withdrawn(tmp_path: Path) -> None:
    found = populated(tmp_path)
    whole = found.sealed()
    most = RECIPE.model_copy(update={"min_examples": sum(whole.counts.values())})
    sealed = found.sealed(most)
    done = found.take_back("user:user1")
    said = {one["digest"]: one for one in found.certificate(done)["datasets"]}[sealed.digest]
    assert said["successor"] is None
    assert said["refused"].startswith(Code.DATASET_TOO_SMALL.number)
    assert not found.datasets.holds(sealed.digest)


def test_golden_cases_of_it_are_removed(tmp_path: Path) -> None:
    found = populated(tmp_path)
    sealed = found.sealed(RECIPE.model_copy(update={"golden_size": 8}))
    assert sealed.golden
    cases = found.datasets.golden(sealed.golden)
    victim = int(cases[0].task.removeprefix("task-")) % 10
    mine = {c.case_id for c in cases if int(c.task.removeprefix("task-")) % 10 == victim}
    done = found.take_back(f"user:user{victim}")
    (said,) = found.certificate(done)["golden_sets"]
    assert (said["digest"], said["removed"]) == (sealed.golden, len(mine))
    known = found.store.read(lambda c: registry.golden(c, *KEY))
    left = found.datasets.golden(known["digest"]) if known else []
    assert {c.case_id for c in left} == {c.case_id for c in cases} - mine
    assert not list(found.objects.keys(f"golden/{sealed.golden}"))
    for one in found.store.read(registry.dataset_list):
        if not one["erased_by"]:
            assert found.datasets.manifest(one["digest"]).golden == (known or {}).get("digest")


MENDED = "an expert's answer"


@pytest.mark.parametrize(
    "subject",
    ["source:urn:annotators", "event:urn:annotators#edit-3", "value:eve@example.org", "user:ann"],
)
def test_golden_cases_that_an_edit_of_it_made_are_removed(tmp_path: Path, subject: str) -> None:
    found = Installed(tmp_path)
    found.ingest(*runs(60, users=60, trust="external"))
    edits = [edit(f"run-{n}", [call(to=f"{MENDED} {n}")]) for n in range(4)]
    edits[3]["messages"][0]["content"] = "for eve@example.org"
    said = [
        event(FEEDBACK, one, id=f"edit-{n}", source="urn:annotators") for n, one in enumerate(edits)
    ]
    found.ingest(*said)
    sealed = found.sealed(RECIPE.model_copy(update={"golden_size": 100}))
    cases = found.datasets.golden(str(sealed.golden))
    assert f"{MENDED} 3" in json.dumps([case.expected for case in cases])
    done = found.take_back(subject)
    removed = len(cases) if subject.startswith(("source", "user")) else 1
    assert [one["removed"] for one in found.certificate(done)["golden_sets"]] == [removed]
    assert found.bytes_on_disk(f"{MENDED} 3") == []


def test_nothing_of_a_candidate_that_was_left_out_stays_beside_a_dataset(tmp_path: Path) -> None:
    found = Installed(tmp_path)
    poor = run(0, "user0", outcome={"status": "failure"})
    poor["messages"][0]["content"] += " ann@example.org"
    poor["task"]["domain"] = "domain-of-ann"
    found.ingest(event(RUNS, poor), *runs(40, users=40)[1:])
    (hidden,) = json.loads(found.rows()[0].pii or "")["EMAIL"]
    sealed = found.sealed()
    assert found.datasets.fates(sealed.digest)["reason"][0].as_py() == "ingest_rejected"
    done = found.take_back("user:user0")
    assert found.datasets.holds(sealed.digest)
    assert found.bytes_on_disk("domain-of-ann", hidden) == []
    assert any("fates.parquet" in line for line in found.certificate(done)["not_covered"])


def trained(found: Installed, version: str, dataset: str, stage: Stage = Stage.STAGING) -> None:
    probe = {"passed": True, "record": [{"messages": "secretword"}]}
    found.store.write(
        lambda c: register(
            c, version, stage, model=found.model, dataset_digest=dataset, probe=probe
        )
    )


def serve(found: Installed, version: str) -> None:
    """As a roll-out's end leaves it."""

    def work(connection: Any) -> None:
        made = registry.require(connection, *KEY, version)
        previous = registry.champion(connection, *KEY)
        registry.move(connection, made, Stage.PRODUCTION, NOW, "test", "test")
        if previous:
            registry.move(connection, previous, Stage.ARCHIVED, NOW, "test", "test")
        registry.set_alias(
            connection, *KEY, registry.PREVIOUS, previous.version if previous else None
        )
        registry.set_alias(connection, *KEY, registry.CHAMPION, version)

    found.store.write(work)


def based(folder: Path) -> ModelSettings:
    base = folder / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    return ModelSettings(name="m", base=str(base), recipe=RECIPE)


def test_adapters_go_into_quarantine_and_the_champion_is_rolled_back(tmp_path: Path) -> None:
    found = populated(tmp_path, model=based(tmp_path))
    sealed = found.sealed()
    trained(found, "1.0.0", "clean")
    serve(found, "1.0.0")
    trained(found, "1.1.0", sealed.digest)
    serve(found, "1.1.0")
    trained(found, "1.2.0", sealed.digest)
    serve(found, "1.2.0")
    done = found.take_back("user:user1")
    stages = {v.version: v.stage for v in found.store.read(lambda c: registry.every(c, *KEY))}
    quarantined = dict.fromkeys(["1.1.0", "1.2.0"], Stage.QUARANTINE)
    assert stages == {"1.0.0": Stage.PRODUCTION, **quarantined}
    champion = found.store.read(lambda c: registry.champion(c, *KEY))
    assert champion is not None
    assert champion.version == "1.0.0", "the one before was trained on it as well"
    events = found.store.read(outbox.pending)
    rolled = [e for e in events if e.type == "model.rolled_back"]
    assert [(e.payload["reason"], e.payload["to"]["version"]) for e in rolled] == [
        ("erasure", "1.0.0")
    ]
    assert sum(e.type == "model.quarantined" for e in events) == 2
    route = found.store.read(lambda c: rollouts.route(c, *KEY))
    assert route is not None
    assert route.route.arms["stable"]["adapter_digest"] == "digest-1.0.0"
    (job,) = found.store.read(jobs.every)
    assert job.trigger == "erasure"
    said = found.certificate(done)
    assert said["jobs_made"]["m"]["job"] == job.id
    assert said["adapters"]["m 1.2.0"]["returned_to"] == "1.0.0"
    versions = found.store.read(lambda c: registry.every(c, *KEY))
    assert not any("record" in (v.probe or {}) for v in versions if v.version != "1.0.0")


def test_a_running_rollout_of_it_is_stopped(tmp_path: Path) -> None:
    from operations.register_adapter import start_rollout

    found = populated(tmp_path, model=based(tmp_path))
    sealed = found.sealed()
    trained(found, "1.0.0", sealed.digest)
    version = found.store.read(lambda c: registry.require(c, *KEY, "1.0.0"))
    name = found.store.write(
        lambda c: start_rollout(c, found.model, version, NOW, decided_by="test")
    )
    found.take_back("user:user1", ErasureKind.ERASURE)
    rollout = found.store.read(lambda c: rollouts.require(c, name))
    assert rollout.state is RolloutState.ABORTED
    moved = found.store.read(lambda c: registry.require(c, *KEY, "1.0.0"))
    assert moved.stage is Stage.QUARANTINE
    (event,) = [e for e in found.store.read(outbox.pending) if e.type == "model.archived"]
    assert event.payload["reason"] == "erasure"


KILLS = (
    "runs_noted",
    "data_written",
    "data_synced",
    "committed",
    "log_synced",
    "day_emptied",
    "counted",
    "file_deleted",
    "rows",
    "golden_replaced",
    "dataset_sealed",
    "dataset_noted",
    "dataset_deleted",
    "datasets",
    "model_quarantined",
    "job_made",
    "adapters",
    "certificate_stored",
)


class Prepared:
    """Two datasets, one that holds a user's runs and one whose golden set does; an adapter that serves."""

    def __init__(self, folder: Path) -> None:
        model = based(folder)
        self.found = found = populated(folder, count=40, model=model)
        self.learned = found.sealed()
        trained(found, "1.0.0", self.learned.digest)
        serve(found, "1.0.0")
        self.checked = found.sealed(RECIPE.model_copy(update={"golden_size": 30}))
        assert self.checked.golden
        cases = found.datasets.golden(self.checked.golden)
        self.user = f"user{int(cases[0].task.removeprefix('task-')) % 10}"
        self.before = found.rows()

    def check(self, done: Erasure) -> None:
        """All of it was done, once, and the certificate says so."""
        found, said = self.found, self.found.certificate(done)
        changed = sum(a != b for a, b in zip(self.before, found.rows(), strict=True))
        assert said["rows"]["emptied"] == changed > 0
        assert found.bytes_on_disk(f"{self.user}'s") == []
        assert [one["digest"] for one in said["golden_sets"]] == [self.checked.golden]
        held = {one["digest"]: (one["rows"] > 0, one["golden"]) for one in said["datasets"]}
        assert held == {self.learned.digest: (True, False), self.checked.digest: (False, True)}
        assert list(said["adapters"]) == ["m 1.0.0"]
        assert said["jobs_made"]["m"]["job"]
        assert len(found.store.read(jobs.every)) == 1
        assert len(list(found.objects.keys("erasures"))) == 3


@pytest.mark.parametrize("step", KILLS)
def test_interrupted_after_any_step_the_same_call_ends_it(tmp_path: Path, step: str) -> None:
    prepared = Prepared(tmp_path)
    subject = f"user:{prepared.user}"
    with pytest.raises(Killed):
        prepared.found.take_back(subject, fault=killed_at(step))
    done = prepared.found.take_back(subject)
    prepared.check(done)
    assert prepared.found.take_back(subject).certificate == done.certificate


def _killed(folder: Path, user: str, step: str) -> None:
    def fault(found: str) -> None:
        if found == step:
            os.kill(os.getpid(), signal.SIGKILL)

    model = ModelSettings(name="m", base=str(folder / "base"), recipe=RECIPE)
    Installed(folder, model).take_back(f"user:{user}", fault=fault)


@pytest.mark.parametrize("step", ["committed", "dataset_noted", "model_quarantined"])
def test_a_process_that_is_killed_leaves_nothing_that_stands_in_the_way(
    tmp_path: Path, step: str
) -> None:
    prepared = Prepared(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=_killed, args=(tmp_path, prepared.user, step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    later = NOW + timedelta(minutes=1)  # when its leases have ended
    prepared.check(prepared.found.take_back(f"user:{prepared.user}", clock=lambda: later))


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "user:",
        "somebody",
        "execution:run-1",
        "value:nothing that is known",
        "value:a@x.org b@x.org",
    ],
)
def test_what_names_no_subject_is_refused_in_one_line(tmp_path: Path, subject: str) -> None:
    with pytest.raises(Unrecoverable) as caught:
        Installed(tmp_path).take_back(subject)
    assert caught.value.code is Code.BAD_OPTION


def test_what_a_killed_seal_left_goes_too(tmp_path: Path) -> None:
    found = populated(tmp_path)
    sealed = found.sealed()
    found.store.write(lambda c: c.execute(text("DELETE FROM datasets")))
    found.objects.delete(f"datasets/{sealed.digest}/manifest.json")
    assert found.bytes_on_disk("user1's")
    found.take_back("user:user1")
    assert found.bytes_on_disk("user1's") == []


def test_dead_letters_of_it_are_deleted_where_that_can_be_told(tmp_path: Path) -> None:
    found = Installed(tmp_path)
    bodies = {
        "mine": json.dumps(event(RUNS, run(1, "ann"))),
        "other": json.dumps(event(RUNS, run(2, "bob"))),
        "binary": json.dumps(run(3, "ann")),
        "said": json.dumps(event(FEEDBACK, edit("run-2", [], author="ann"))),
        "unknown": "{",
    }
    for name, body in bodies.items():
        found.objects.put(f"dead-letters/{name}/value", body.encode())
    found.ingest(*runs(4))
    said = found.certificate(found.take_back("user:ann"))
    assert said["dead_letters"] == {"deleted": ["binary", "mine", "said"], "unknown": 1}
    assert sorted(found.objects.keys("dead-letters")) == [
        "dead-letters/other/value",
        "dead-letters/unknown/value",
    ]


def test_a_reader_of_the_version_before_is_told_to_read_again(tmp_path: Path) -> None:
    found = populated(tmp_path)
    scan = Scan(found.place)
    found.take_back("user:user1")
    with pytest.raises(NotReady) as caught:
        list(scan.batches(["content"]))
    assert caught.value.code is Code.LEDGER_REWRITTEN
    assert sum(batch.num_rows for batch in Scan(found.place).batches(["content"])) == 64


def test_a_certificate_that_was_changed_is_refused(tmp_path: Path) -> None:
    found = populated(tmp_path)
    done = found.take_back("user:user1")
    path = tmp_path / "objects" / "erasures" / str(done.certificate) / "certificate.md"
    assert "## Not covered" in path.read_text()
    path.write_text(path.read_text().replace("9", "8"))
    with pytest.raises(Unrecoverable) as caught:
        found.certificate(done)
    assert caught.value.code is Code.BAD_SIGNATURE


def test_a_control_database_from_before_is_told_by_the_certificates(tmp_path: Path) -> None:
    """And nothing comes back: not by late events, not by what is said of erased runs."""
    found = populated(tmp_path)
    done = found.take_back("user:user1")
    before = found.rows()
    for path in tmp_path.glob("control.db*"):
        path.unlink()
    anew = Installed(tmp_path)
    anew.erase().recall(NOW)
    (known,) = anew.store.read(erasures.every)
    assert (known.id, known.subject, known.state) == (done.id, done.subject, ErasureState.ASKED)
    place = LocalPlace(tmp_path / "rebuilt")
    for topic in (FEEDBACK, RUNS):  # what is said of runs comes before them
        anew.commit(anew.batch(place), [one for one in found.sent if one.topic == topic])
    place.root.rename(tmp_path / "ledger.new")
    shutil.rmtree(tmp_path / "ledger")
    (tmp_path / "ledger.new").rename(tmp_path / "ledger")
    (again,) = anew.erase()(lambda: NOW)
    assert again.state is ErasureState.CERTIFIED
    assert anew.rows() == before


def test_a_rebuild_is_waited_for(tmp_path: Path) -> None:
    from stores.ledger.hold import alone

    found = populated(tmp_path)
    with alone(tmp_path / "ledger"), pytest.raises(NotReady) as caught:
        found.take_back("user:user1")
    assert caught.value.code is Code.LEDGER_IN_USE
    (known,) = found.store.read(erasures.every)
    assert known.state is ErasureState.ASKED, "it is on record, and heeded at ingest"
    assert found.take_back("user:user1").state is ErasureState.CERTIFIED
