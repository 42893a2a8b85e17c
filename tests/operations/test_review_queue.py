"""From a sealed window to the queue, from a decision to the next seal: on a real ledger, without Kafka."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from operations.read_decisions import decisions, read_lines
from operations.record_decisions import (
    SOURCE,
    Decision,
    DecisionEvents,
    PersonalData,
    Verdict,
    publish,
    require_trust,
)
from operations.review_queue import ReviewQueue
from operations.seal_dataset import SealDataset
from processors.curation.answers import checked
from processors.curation.policy import CurationPolicy
from processors.curation.review import Waiting
from producers.memory import MemoryProducer
from schemas.datasets import Manifest, Recipe
from schemas.envelope import Limits
from schemas.errors import Code, InvalidEvent, Unrecoverable
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.control.database import Database, sqlite_url
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader
from tests.reviewing import RECIPE, append, body, curated, doubtful, lines, stored
from tests.support import NOW, call, event, execution, plan

CALLED = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call(to="rome")]}]}
EVENTS = DecisionEvents("", "rita", Limits())


class Place:
    """An installation's ledger, database and datasets."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger"
        self.database = Database(sqlite_url(folder / "control.db"))
        self.store = DatasetStore(ObjectFolder(f"file://{folder}/objects"))
        self.queue = ReviewQueue(self.ledger, self.database, self.store)

    def seal(self, **recipe: Any) -> Manifest:
        seal = SealDataset(self.database, self.ledger, self.store, NoMeter())
        offsets = DeltaLedgerReader(self.ledger).offsets()
        return seal("default", "m", Recipe(**{**RECIPE, **recipe}), offsets, NOW)

    def waiting(self, **recipe: Any) -> dict[str, Waiting]:
        found = self.queue("default", "m", Recipe(**{**RECIPE, **recipe}))
        return {one.run_id: one for one in found}

    def decide(self, decision: Decision) -> None:
        """Publish a decision and ingest what was published."""
        producer = MemoryProducer()
        asyncio.run(publish(producer, EVENTS(decision, NOW)))
        sent = [
            event(one.type, one.data, id=one.id, source=one.source, time=NOW.isoformat())
            for one in producer.events
        ]
        append(self.ledger, *sent)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def runs(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Accepted executions whose prompts have nothing in common."""
    return [body(run(f"run-{n}", **changes)) for n in range(count)]


def run(name: str, **changes: Any) -> dict[str, Any]:
    words = " ".join(f"{name}-{word}" for word in "abcdefgh")
    asked = {"role": "user", "content": words}
    answer = {"role": "assistant", "content": None, "tool_calls": [call(to=name)]}
    return execution(**{"execution_id": name, "messages": [asked, answer], **changes})


def test_decisions_leave_the_queue_and_reach_the_next_dataset(place: Place) -> None:
    doubts = [body(run(f"doubt-{n}", confidence=0.3)) for n in range(4)]
    append(place.ledger, *runs(20), *doubts)
    first = place.seal(golden_size=0)
    assert first.dropped == {"ingest_review": 4}
    append(place.ledger, body(run("since", confidence=0.2)))
    waiting = place.waiting()
    assert set(waiting) == {"since", *(f"doubt-{n}" for n in range(4))}
    place.decide(Decision(waiting["doubt-0"], Verdict.ACCEPT))
    place.decide(Decision(waiting["doubt-1"], Verdict.REJECT))
    content = place.queue.contents({waiting["doubt-2"].row_id})[waiting["doubt-2"].row_id]
    answer = checked(CALLED["messages"], content)
    place.decide(Decision(waiting["doubt-2"], Verdict.EDIT, answer))
    assert set(place.waiting()) == {"since", "doubt-3"}
    second = place.seal(golden_size=0)
    assert second.dropped == {"ingest_review": 2, "rejected_by_person": 1}
    learned = {one.row_id: one for one in place.store.examples(second.digest)}
    assert learned[waiting["doubt-0"].row_id].kind == "run"
    mended = learned[waiting["doubt-2"].row_id]
    assert mended.kind == "correction"
    assert mended.messages[-1]["tool_calls"] == [call(to="rome")]
    assert {row.author_role for row in stored(place.ledger) if row.author} == {"reviewer"}


def test_what_the_seal_doubts_though_ingest_accepted_it_waits_with_its_scores(place: Place) -> None:
    append(place.ledger, *runs(20), body(run("unsure", confidence=0.65)))
    place.seal(min_confidence=0.7, golden_size=0)
    (one,) = place.waiting(min_confidence=0.7).values()
    assert (one.run_id, one.reason, one.reasons) == ("unsure", "low_confidence", ())
    assert one.scores["confidence"] == 0.65
    place.decide(Decision(one, Verdict.ACCEPT))
    assert not place.waiting()
    assert place.seal(min_confidence=0.7, golden_size=0).dropped == {}


def test_the_queue_needs_no_dataset_and_no_other_models_runs(place: Place) -> None:
    other = doubtful("other", model={"name": "another"})
    append(place.ledger, body(doubtful("mine")), body(other), body(doubtful("x", model={})))
    assert set(place.waiting()) == {"mine"}
    assert place.queue("another", "m", Recipe()) == []


def test_a_plan_is_decided_about_as_a_plan(place: Place) -> None:
    append(place.ledger, body(plan(plan_id="p", confidence=0.2)))
    (one,) = place.waiting().values()
    (sent,) = EVENTS(Decision(one, Verdict.ACCEPT), NOW)
    assert sent.data["target"] == {"plan_id": "p", "source": "urn:test"}
    place.decide(Decision(one, Verdict.ACCEPT))
    assert not place.waiting()


def test_what_kafka_holds_and_the_ledger_does_not_is_known(place: Place) -> None:
    append(place.ledger, body(doubtful("a")), body(doubtful("b")))
    (said,) = EVENTS(Decision(place.waiting()["a"], Verdict.REJECT), NOW)
    unread = curated([event(said.type, said.data)])
    found = place.queue("default", "m", Recipe(), unread)
    assert [one.run_id for one in found] == ["b"]


def test_a_person_may_decide_again_and_the_last_word_counts(place: Place) -> None:
    append(place.ledger, *runs(20), body(run("doubt", confidence=0.3)))
    one = place.waiting()["doubt"]
    place.decide(Decision(one, Verdict.REJECT))
    again = place.queue.named("default", "m", {one.row_id})[one.row_id]
    assert again.rejected
    decision = Decision(again, Verdict.EDIT, CALLED)
    assert [sent.data["kind"] for sent in EVENTS(decision, NOW)] == ["decision", "edit"]
    place.decide(decision)
    assert place.seal(golden_size=0).dropped == {}


def test_an_event_says_who_decided_about_what_and_can_be_sent_twice(place: Place) -> None:
    append(place.ledger, body(doubtful("a"), source="urn:agents"))
    decision = Decision(place.waiting()["a"], Verdict.ACCEPT)
    (sent,), (other,) = EVENTS(decision, NOW), EVENTS(decision, NOW)
    assert sent.data == {
        "kind": "decision",
        "value": "accept",
        "author": "rita",
        "author_role": "reviewer",
        "tenant_id": "default",
        "target": {"execution_id": "a", "source": "urn:agents"},
    }
    assert (sent.topic, sent.key, sent.source) == ("feedback.received", "a", SOURCE)
    assert sent.id != other.id, "the same word said later is another word"
    large = DecisionEvents("", "rita", Limits(max_bytes=400))
    with pytest.raises(InvalidEvent) as refused:
        large(Decision(decision.run, Verdict.EDIT, {"answer": "x" * 400}), NOW)
    assert refused.value.code is Code.TOO_LARGE


def test_nobody_reviews_in_vain_where_reviewers_are_not_trusted() -> None:
    require_trust(CurationPolicy(hmac_key=b"k"))
    require_trust(
        CurationPolicy(hmac_key=b"k", default_trust="unknown", trust={SOURCE: "internal"})
    )
    for trust in ("unknown", "external"):
        with pytest.raises(Unrecoverable) as refused:
            require_trust(CurationPolicy(hmac_key=b"k", default_trust=trust))
        assert refused.value.code is Code.BAD_SETTINGS
        assert SOURCE in str(refused.value)


def test_personal_data_in_an_answer_is_named_and_placeholders_are_none() -> None:
    found = PersonalData(CurationPolicy(hmac_key=b"k"))
    assert found.kinds({"answer": "write to ann@example.org, not <EMAIL_1>"}) == ["EMAIL"]
    assert found.kinds({"answer": "write to <EMAIL_1>"}) == []


def test_written_decisions_are_sound_or_name_their_lines(place: Place) -> None:
    append(place.ledger, body(doubtful("a")), body(doubtful("b")), body(execution()))
    a, b = (place.waiting()[name].row_id for name in "ab")
    accepted = "c:execution.completed:0:2"
    sound = lines(
        {"row_id": a, "decision": "edit", "answer": CALLED["messages"]},
        {"row_id": accepted, "decision": "reject"},
    )
    found, faults = read_lines(sound.splitlines())
    known = place.queue.named("default", "m", {a, b, accepted})
    made, more = decisions(found, known, place.queue.contents({a}))
    assert (faults, more) == ([], [])
    assert [one.verdict for one in made] == [Verdict.EDIT, Verdict.REJECT]
    wrong = lines(
        {"row_id": a, "decision": "maybe"},
        {"row_id": a, "decision": "edit"},
        {"row_id": a, "decision": "accept", "answer": "x"},
        {"row_id": b, "decision": "accept"},
        {"row_id": b, "decision": "reject"},
        {"row_id": "nowhere:9", "decision": "reject"},
        {"row_id": a, "decision": "edit", "answer": []},
        {"row": a},
    )
    found, faults = read_lines(wrong.splitlines())
    assert [fault.partition(":")[0] for fault in faults] == [f"line {n}" for n in (1, 2, 3, 5, 8)]
    assert "line 4 decides about that row" in faults[3]
    made, more = decisions(found, known, place.queue.contents({a}))
    assert [one.run.row_id for one in made] == [b]
    assert more[0] == "line 6: the model has no run nowhere:9"
    assert more[1].startswith("line 7: an answer is a list of turns")
