"""Real traces, from the files that people have to an adapter that calls the right tools.

`tau-bench-airline-gpt4o` and `tau2-sft-ab` are read where they lie and never copied into the
repository. One dataset of all of it teaches a tiny model; measured is every tool call of the people in
the test split, of whom neither base nor adapter has seen anything. The split follows the rows' ids, and
these name the broker: every session draws other people, so what is asserted holds for all of them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.datasets import Example, Manifest, Split
from schemas.rows import Disposition, Row
from tests.imports import real_learning as learning
from tests.imports import real_traces as traces

pytestmark = [pytest.mark.data, pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]
SEED = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of the files: what the imports said, the ledger, the dataset."""

    place: traces.Installation
    said: dict[str, dict[str, Any]]
    rows: list[Row]
    manifest: Manifest
    examples: list[Example]


@pytest.fixture(scope="module")
def loaded(shared_data: Path, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """All three formats through a real broker; the tau-bench file twice."""
    folder, prefix = tmp_path_factory.mktemp("real"), f"real{uuid.uuid4().hex[:8]}."
    asyncio.run(create_topics(KafkaConnection(broker), prefix, 2))
    place = traces.Installation(folder, broker, prefix)
    log = folder / "log.jsonl"
    traces.write_openai_chat(shared_data, log)
    both = [*traces.tau2(shared_data, "base"), *traces.tau2(shared_data, "sft")]
    said = {
        "tau-bench": place.bring("tau-bench", traces.tau_bench(shared_data)),
        "tau2": place.bring("tau2", both),
        "openai-chat": place.bring("openai-chat", [log]),
        "again": place.bring("tau-bench", traces.tau_bench(shared_data)),
    }
    rows = place.ingest(sum(one["sent"]["execution.completed"] for one in said.values()))
    manifest = place.seal()
    examples = list(place.wiring.datasets.examples(manifest.digest))
    return Loaded(place, said, rows, manifest, examples)


def raw(file: Path) -> Any:
    return json.loads(gzip.decompress(file.read_bytes()))


def test_every_run_is_a_row_and_only_the_solved_ones_are_accepted(
    loaded: Loaded, shared_data: Path
) -> None:
    solved = {
        "tau-bench:gpt-4o-airline": [r["reward"] for r in raw(*traces.tau_bench(shared_data))]
    }
    for side in ("base", "sft"):
        for file in traces.tau2(shared_data, side):
            runs = raw(file)["simulations"]
            name = f"tau2:{file.name.removesuffix('.json.gz')}"
            solved[name] = [run["reward_info"]["reward"] for run in runs]
    tuned = [one for name, rewards in solved.items() if ":sft_" in name for one in rewards]
    solved["openai-chat:log"] = tuned
    wanted = Counter(
        {
            (f"urn:lorikeet:import:{name}", disposition): sum(map(test, rewards))
            for name, rewards in solved.items()
            for disposition, test in (
                (Disposition.ACCEPTED, lambda reward: reward >= 1),
                (Disposition.REJECTED, lambda reward: reward < 1),
            )
        }
    )
    wanted["urn:lorikeet:import:tau-bench:gpt-4o-airline", Disposition.DUPLICATE] = 200
    assert Counter((row.source, row.disposition) for row in loaded.rows) == wanted
    assert wanted.total() == 580
    assert [one["refused"] for one in loaded.said.values()] == [0, 0, 0, 0]


def test_what_was_stated_fills_gaps_and_tools_are_derived_from_the_calls(loaded: Loaded) -> None:
    named = {row.model for row in loaded.rows if "tau2:sft" in str(row.source)}
    assert named == {"ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm"}
    assert {r.model for r in loaded.rows if "tau2:sft" not in str(r.source)} == {traces.MODEL}
    assert {row.trust for row in loaded.rows} == {"internal"}, "no more than is granted"
    assert {name: one["derived_tools"] for name, one in loaded.said.items()} == {
        "tau-bench": {"tau-bench-airline": 14},
        "tau2": {"tau2-airline": 13, "tau2-retail": 15},
        "openai-chat": {"log-airline": 12, "log-retail": 15},
        "again": {"tau-bench-airline": 14},
    }
    for example in loaded.examples:
        defined = {tool["function"]["name"] for tool in example.tools}
        called = {c["name"] for turn in example.messages for c in turn.get("tool_calls") or ()}
        assert called <= defined


def test_nobody_is_on_both_sides_of_the_split(loaded: Loaded) -> None:
    print(f"examples {loaded.manifest.counts}, left out {loaded.manifest.dropped}")
    for name in ("user", "task"):
        sides = {
            part: {getattr(e, name) for e in loaded.examples if e.split is part} for part in Split
        }
        assert None not in set().union(*sides.values())
        assert sum(map(len, sides.values())) == len(set().union(*sides.values())), name
        assert len(sides[Split.TEST]) >= 10
    assert {e.domain for e in loaded.examples if e.split is Split.TEST} == {"airline", "retail"}


def test_neither_references_nor_persons_reach_the_ledger(loaded: Loaded, shared_data: Path) -> None:
    kept = "\n".join(row.content or "" for row in loaded.rows)
    scripts = list(references(shared_data))
    assert len(scripts) > 100
    assert [script for script in scripts if script in kept] == []
    folder = shared_data / "tau-bench-airline-gpt4o"
    source = json.dumps(raw(folder / "gpt-4o-airline.json.gz"))
    users = raw(folder / "airline_users_pii_gold.json.gz")
    known = [value for name, user in users.items() for value in (name, user["email"])]
    assert sum(value in source for value in known) > 50
    assert [value for value in known if value in kept] == []


def references(data: Path) -> Iterator[str]:
    """Sentences of the user simulators' scripts: an agent never saw them."""
    texts = [run["info"]["task"]["instruction"] for run in raw(*traces.tau_bench(data))]
    for file in traces.tau2(data, "base"):
        for task in raw(file)["tasks"]:
            told = task["user_scenario"]["instructions"]
            texts += [str(told[name]) for name in ("task_instructions", "reason_for_call")]
    for text in texts:
        for sentence in map(str.strip, text.replace("\n", ".").split(".")):
            if sentence.startswith("You ") and len(sentence) > 40:
                yield sentence


def test_the_adapter_calls_more_right_tools_for_people_it_has_not_seen(
    loaded: Loaded, tmp_path: Path
) -> None:
    place, digest = loaded.place, loaded.manifest.digest
    asked = learning.cases(loaded.examples)
    base = learning.make_base(tmp_path / "base", loaded.examples, SEED)
    place.wiring.datasets.fetch(digest, tmp_path / "train" / "dataset")
    adapter = learning.train(tmp_path / "train", base, SEED)
    right = learning.right(tmp_path / "answers", base, adapter, asked)
    constant = learning.constant(loaded.examples, asked)

    gains = {}
    for domain in ("airline", "retail", "all"):
        chosen = [n for n, case in enumerate(asked) if domain in (case.domain, "all")]
        ours, theirs = ([right[arm][n] for n in chosen] for arm in ("adapter", "base"))
        found = gains[domain] = learning.gain(ours, theirs)
        print(
            f"{domain}: base {sum(theirs)}/{len(chosen)}, adapter {sum(ours)}/{len(chosen)}, "
            f"gain {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        )
    low, high = learning.by_person(asked, right["adapter"], right["base"])
    beyond = learning.gain(right["adapter"], constant)
    people = len({case.user for case in asked})
    print(f"drawn by person ({people}): [{low:+.3f}, {high:+.3f}]")
    print(f"one answer to everything: {sum(constant)}/{len(asked)}, from {beyond.low:+.3f}")
    assert gains["all"].low is not None
    assert gains["all"].low > 0
    assert gains["retail"].low is not None
    assert gains["retail"].low > 0
    assert low > 0
