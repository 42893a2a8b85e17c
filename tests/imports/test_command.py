"""`lorikeet import` as a person runs it, on a real broker, read back by the CloudEvents SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat

from operations.import_traces import FORMATS
from service.broker import free_port
from service.cli.importing import FormatName
from tests import processes
from tests.imports.samples import chat, chat_lines


def test_the_command_offers_every_format() -> None:
    assert {str(name) for name in FormatName} == set(FORMATS)


async def consume(broker: str, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]
    finally:
        await consumer.stop()


def run_import(*arguments: str) -> tuple[int, str, str]:
    done = processes.run("import", *arguments)
    return done.returncode, done.stdout, done.stderr


def parsed(records: Sequence[Any]) -> list[Any]:
    return [
        from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
        for record in records
    ]


@pytest.fixture
def config(tmp_path: Path, broker: str, prefix: str) -> str:
    return str(processes.write_config(tmp_path, broker, kafka={"prefix": prefix}))


@pytest.mark.kafka
def test_a_file_comes_out_of_kafka_as_sound_cloudevents(
    tmp_path: Path, config: str, broker: str, prefix: str
) -> None:
    file = tmp_path / "runs.jsonl"
    lines = chat_lines(chat(id="1", time="2026-01-02T03:04:05Z", task="t"), chat(id="2"), {})
    file.write_bytes(b"".join(lines))
    options = ("--config", config, "--model", "m", "--derive-tools", "--json")
    code, said, complained = run_import("openai-chat", str(file), *options)
    assert (code, complained) == (0, "")
    summary = json.loads(said)
    assert summary["sent"] == {"execution.completed": 2}
    assert (summary["refused"], summary["derived_tools"]) == (1, {"runs": 1})
    assert (summary["absent"]["trust"], summary["absent"]["time"]) == (2, 1)
    assert not {"model", "tools"} & set(summary["absent"])

    records = asyncio.run(consume(broker, f"{prefix}execution.completed", 2))
    events = {event.get_data()["execution_id"]: event for event in parsed(records)}
    assert {e.get_source() for e in events.values()} == {"urn:lorikeet:import:openai-chat:runs"}
    assert (events["1"].get_subject(), events["2"].get_subject()) == ("t", None)
    assert events["1"].get_time().isoformat() == "2026-01-02T03:04:05+00:00"
    headers = {
        name for r in records for name, _ in r.headers if json.loads(r.value)["execution_id"] == "2"
    }
    assert "ce_time" not in headers
    assert events["2"].get_data()["model"] == {"name": "m"}


@pytest.mark.kafka
def test_the_same_file_again_lands_on_the_same_partitions_with_the_same_ids(
    tmp_path: Path, config: str, broker: str, prefix: str
) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"".join(chat_lines(*(chat(id=str(n)) for n in range(9)))))
    for _ in range(2):
        code, said, _ = run_import("openai-chat", str(file), "--config", config)
        assert code == 0
    assert "execution.completed" in said
    assert "they wait for review" in said
    records = asyncio.run(consume(broker, f"{prefix}execution.completed", 18))
    places = [(dict(record.headers)["ce_id"], record.partition) for record in records]
    assert len(set(places)) == 9


@pytest.mark.kafka
def test_missing_topics_are_named(tmp_path: Path, broker: str) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"".join(chat_lines(chat())))
    config = str(processes.write_config(tmp_path, broker, kafka={"prefix": "nobody."}))
    code, _, said = run_import("openai-chat", str(file), "--config", config)
    assert (code, said.count("\n")) == (2, 1)
    assert "nobody.execution.completed" in said


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("tau2", "missing.json"), "E7109"),
        (("tau2", __file__), "E7902"),
        (("openai-chat", __file__, "--tools", "missing.json"), "E7109"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(arguments: tuple[str, ...], number: str) -> None:
    code, said, complained = run_import(*arguments)
    assert (code, said, complained.count("\n")) == (2, "", 1)
    assert complained.startswith(f"lorikeet: {number} ")


def test_no_broker_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"".join(chat_lines(chat())))
    for options in ((), ("--bootstrap", f"127.0.0.1:{free_port()}")):
        code, said, complained = run_import("openai-chat", str(file), *options)
        assert (code, said, complained.count("\n")) == (2, "", 1), complained
        assert complained.startswith("lorikeet: E7801 ")


def test_an_unknown_format_names_the_known_ones() -> None:
    code, _, complained = run_import("mystery", __file__)
    assert code == 2
    assert "openai-chat" in complained
