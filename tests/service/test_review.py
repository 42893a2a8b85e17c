"""`lorikeet datasets review` in a terminal, on a real broker and a real ledger."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from operations.read_decisions import read_lines
from operations.record_decisions import SOURCE
from schemas.errors import Code
from schemas.rows import Row
from service.broker import free_port
from service.cli.review_session import QUESTION
from tests import processes
from tests.consumers_support import ingest, publish, structured
from tests.reviewing import append, body, command, doubtful, lines
from tests.support import call, execution
from tests.terminal import Terminal

REVIEW = ("datasets", "review", "m")
ASK = QUESTION.rstrip()


def config_of(folder: Path, bootstrap: str | None, **changes: Any) -> tuple[str, str]:
    models = [{"name": "m"}]
    path = processes.write_config(folder, bootstrap, **{"models": models, **changes})
    return "--config", str(path)


@pytest.fixture
def installed(tmp_path: Path, broker: str, prefix: str) -> tuple[str, str]:
    """An installation whose ledger has three runs that wait, and one that does not."""
    config = config_of(tmp_path, broker, kafka={"prefix": prefix})
    data = [execution(), *(doubtful(f"run-{n}") for n in range(3))]
    messages = [
        structured("execution.completed", one, time=moment(n)) for n, one in enumerate(data)
    ]

    async def fill() -> None:
        await publish(broker, f"{prefix}execution.completed", messages)
        await ingest(broker, prefix, tmp_path / "data" / "ledger", 4)

    asyncio.run(fill())
    return config


def moment(minute: int) -> str:
    return f"2026-03-01T12:{minute:02}:00Z"


def ingested(tmp_path: Path, broker: str, prefix: str, until: int) -> list[Row]:
    return asyncio.run(ingest(broker, prefix, tmp_path / "data" / "ledger", until))


def waiting(config: tuple[str, str]) -> list[str]:
    return [one["run_id"] for one in json.loads(command(*REVIEW, "--json", *config)[0])]


@pytest.mark.kafka
def test_nothing_is_lost_when_the_terminal_is_closed(
    tmp_path: Path, broker: str, prefix: str, installed: tuple[str, str]
) -> None:
    """Accept one, mend one, close the window; what was decided is in Kafka and is not asked again."""
    assert waiting(installed) == ["run-2", "run-1", "run-0"]
    with Terminal(
        *REVIEW, "--reviewer", "rita", *installed, EDITOR="sed -i s/lyon/rome/"
    ) as screen:
        first = screen.until(ASK)
        assert "default/m: 3 runs to review" in first
        assert "run run-2 of urn:test" in first
        assert max(map(len, first.splitlines())) <= 80
        assert "\x1b" not in first
        screen.type("a")
        screen.until("Recorded: accept")
        assert "run run-1 of urn:test" in screen.until(ASK)
        screen.type("e")
        changed = screen.until("[b]ack?")
        assert '-          "to": "lyon"\n+          "to": "rome"' in changed
        screen.type("y")
        screen.until("Recorded: edit")
        screen.until(ASK)
        screen.close()
        screen.process.wait(30)
    (both,) = asyncio.run(feedback(broker, prefix, 2))
    assert [data["kind"] for data in both] == ["decision", "edit"]
    assert {data["author"] for data in both} == {"rita"}

    assert waiting(installed) == ["run-2", "run-1", "run-0"], "the ledger has not read it yet"
    with Terminal(*REVIEW, "--reviewer", "rita", *installed) as screen:
        again = screen.until(ASK)
        assert "default/m: 1 run to review" in again
        assert "run run-0 of urn:test" in again
        screen.type("s")
        code, said = screen.rest()
    assert (code, said.strip()) == (0, "s\nNothing decided; 1 run waits still")

    rows = [row for row in ingested(tmp_path, broker, prefix, 6) if row.feedback]
    assert {(row.feedback, row.status, row.target_run) for row in rows} == {
        ("decision", "accept", "run-2"),
        ("edit", None, "run-1"),
    }
    assert {(row.disposition, row.source, row.target_source) for row in rows} == {
        ("accepted", SOURCE, "urn:test")
    }
    assert waiting(installed) == ["run-0"]


async def feedback(broker: str, prefix: str, count: int) -> tuple[list[dict[str, Any]]]:
    """The data of all feedback; which partition it lies on depends on the run."""
    from consumers.log_walk import LogReader
    from producers.connection import KafkaConnection

    async with LogReader(KafkaConnection(broker)) as log:
        found = []
        for tp in await log.partitions(f"{prefix}feedback.received"):
            bounds = await log.bounds(tp)
            async for span in log.walk(tp, bounds.first, bounds.stable):
                found += [json.loads(record.value or b"") for record in span.records]
    assert len(found) == count
    return (sorted(found, key=lambda data: str(data["kind"])),)


@pytest.mark.kafka
def test_written_decisions_are_sent_at_once_or_not_at_all(
    tmp_path: Path, broker: str, prefix: str, installed: tuple[str, str]
) -> None:
    listed = json.loads(command(*REVIEW, "--json", "--limit", "2", *installed)[0])
    assert [one["run_id"] for one in listed] == ["run-2", "run-1"]
    assert listed[0]["content"]["messages"][0]["role"] == "user"
    ids = [one["row_id"] for one in listed]
    file = tmp_path / "decisions.jsonl"
    answer = [{"role": "assistant", "tool_calls": [call("book", to="rome")]}]
    good = {"row_id": ids[0], "decision": "edit", "answer": answer}
    file.write_bytes(lines(good, {"row_id": "no", "decision": "accept"}, {"row_id": ids[1]}))
    _, said = command(*REVIEW, "--decide", str(file), *installed, code=2)
    *faults, last = said.splitlines()
    assert faults == [
        f"{file}: line 3: decision: Field required",
        f"{file}: line 2: the model has no run no",
    ]
    assert last.startswith(f"lorikeet: {Code.BAD_DECISION.number} ")
    assert last.endswith("nothing was sent")
    file.write_bytes(lines(good, {"row_id": ids[1], "decision": "reject"}))
    done, _ = command(*REVIEW, "--decide", str(file), *installed)
    assert done == "2 decisions recorded: 1 edit, 1 reject\n"
    ingested(tmp_path, broker, prefix, 6)
    assert waiting(installed) == ["run-0"]
    again, _ = command(*REVIEW, "--decide", str(file), "--json", *installed)
    assert json.loads(again) == {"events": 2, "decisions": {"edit": 1, "reject": 1}}


@pytest.mark.kafka
def test_a_topic_that_is_missing_is_one_line(tmp_path: Path, broker: str) -> None:
    config = config_of(tmp_path, broker, kafka={"prefix": "nobody."})
    append(tmp_path / "data" / "ledger", body(doubtful("r")))
    with Terminal(*REVIEW, *config) as screen:
        code, said = screen.rest()
    assert (code, said.count("\n")) == (2, 1)
    assert Code.NO_TOPIC.number in said


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    config = config_of(tmp_path, None)
    append(tmp_path / "data" / "ledger", body(doubtful("r")))
    _, said = command(*REVIEW, *config, code=2)
    assert said.startswith(f"lorikeet: {Code.BAD_OPTION.number} ")
    assert said.count("\n") == 1
    assert "--decide FILE" in said
    assert waiting(config) == ["r"]


@pytest.mark.parametrize("bootstrap", [None, "127.0.0.1"], ids=["none configured", "none answers"])
def test_without_a_broker_nobody_is_asked_in_vain(tmp_path: Path, bootstrap: str | None) -> None:
    config = config_of(tmp_path, bootstrap and f"{bootstrap}:{free_port()}")
    append(tmp_path / "data" / "ledger", body(doubtful("r")))
    with Terminal(*REVIEW, *config) as screen:
        code, said = screen.rest()
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"lorikeet: {Code.NO_BROKER.number} ")


def test_what_a_reviewer_can_get_wrong_is_one_line(tmp_path: Path) -> None:
    config = config_of(tmp_path, None, curation={"default_trust": "unknown"})
    append(tmp_path / "data" / "ledger", body(doubtful("r")))
    file = tmp_path / "decisions.jsonl"
    for code, arguments in (
        (Code.NO_SUCH_MODEL, ("datasets", "review", "nobody", "--json")),
        (Code.NO_SUCH_FILE, (*REVIEW, "--decide", str(tmp_path / "none"))),
        (Code.BAD_SETTINGS, (*REVIEW, "--decide", str(file))),
    ):
        file.write_bytes(b"")
        _, said = command(*arguments, *config, code=2)
        assert said.startswith(f"lorikeet: {code.number} ")
        assert said.count("\n") == 1


def test_the_guides_decisions_can_be_read() -> None:
    guide = (processes.ROOT / "docs" / "review.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    found, faults = read_lines(example.encode().splitlines())
    assert faults == []
    assert [str(line.said.decision) for line in found] == ["accept", "edit", "edit"]
    assert SOURCE in guide
