"""`lorikeet dead-letters`: from a record that died to one that is accepted, by the commands alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from consumers.dead_letters import DeadLetters
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from schemas.errors import Code
from schemas.events import DEAD_LETTER_TOPIC
from service.broker import free_port
from stores.artifacts.objects import ObjectFolder
from tests import processes
from tests.consumers_support import ingest, publish, read_all
from tests.service.test_bad_input import one_line
from tests.support import event, execution, record

pytestmark = pytest.mark.kafka
MIB = 1024 * 1024


def said(*arguments: str) -> str:
    """What a command that must succeed prints."""
    done = processes.run(*arguments, environment={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said("dead-letters", "list", "--json", *arguments))
    return found


@pytest.fixture
def place(tmp_path: Path, broker: str, prefix: str) -> tuple[str, ...]:
    """The options that name an installation."""
    config = processes.write_config(tmp_path, broker, kafka={"prefix": prefix})
    return ("--config", str(config))


def test_a_record_is_found_mended_and_put_back(
    tmp_path: Path, broker: str, prefix: str, place: tuple[str, ...]
) -> None:
    topic, ledger = f"{prefix}execution.completed", tmp_path / "data" / "ledger"
    body = event("execution.completed", execution(confidence=70))
    broken = json.dumps(body).encode()
    sound = json.dumps({**body, "data": {**body["data"], "confidence": 0.7}}).encode()
    header = [("x-team", b"\xffblue")]

    async def first() -> None:
        await publish(broker, topic, [(broken, header), (b"\x1b[2Jhello", [])])
        await ingest(broker, prefix, ledger, 2)

    asyncio.run(first())
    found = listed(*place)
    assert [letter["code"] for letter in found] == ["E7006", "E7001"]
    assert "confidence" in found[0]["message"]
    assert [x["code"] for x in listed("--code", "E7001", *place)] == ["E7001"]
    assert listed("--topic", "other", *place) == []
    assert listed("--since", "2099-01-01", *place) == []
    assert len(listed("--limit", "1", *place)) == 1
    table = said("dead-letters", "list", *place)
    assert len(table.splitlines()) == 4
    name = f"{topic}-0-0"
    assert name in table
    shown = said("dead-letters", "show", name, *place)
    assert "x-team: \\xffblue" in shown
    assert '"confidence": 70' in shown
    hidden = said("dead-letters", "show", f"{topic}-0-1", *place)
    assert "\x1b" not in hidden
    assert "\\x1b[2Jhello" in hidden

    out, mended = tmp_path / "out", tmp_path / "mended"
    show = ("dead-letters", "show", found[0]["id"], "--out", str(out), *place)
    (line,) = said(*show).splitlines()
    assert line == f"{out}: the payload of {name}, {len(broken):,} bytes"
    assert out.read_bytes() == broken
    one_line(Code.BAD_OPTION, *show)
    mended.write_bytes(sound)
    dry = ("--value", str(mended), "--dry-run")
    assert "it can be read" in said("dead-letters", "resend", name, *dry, *place)
    assert "E7006" in said("dead-letters", "resend", name, "--dry-run", *place)
    said("dead-letters", "resend", name, "--value", str(mended), *place)
    rows = asyncio.run(ingest(broker, prefix, ledger, 3))
    assert [str(row.disposition) for row in rows] == ["dead_letter", "dead_letter", "accepted"]
    (again,) = asyncio.run(read_all(broker, topic, 3))[2:]
    assert (again.value, again.partition) == (sound, 0)
    assert list(again.headers) == [*header, ("lorikeet_replaces", found[0]["id"].encode())]
    assert again.timestamp == rows[0].timestamp

    said("dead-letters", "resend", name, "--value", str(mended), *place)
    rows = asyncio.run(ingest(broker, prefix, ledger, 4))
    assert str(rows[3].disposition) == "duplicate", "it keeps its own source and id"


def test_what_died_again_is_sent_once_more_only(
    tmp_path: Path, broker: str, prefix: str, place: tuple[str, ...]
) -> None:
    topic, ledger = f"{prefix}execution.completed", tmp_path / "data" / "ledger"

    async def first() -> None:
        await publish(broker, topic, [(b"{a", []), (b"{b", []), (b"", [])])
        await ingest(broker, prefix, ledger, 3)

    asyncio.run(first())
    every = ("resend", "--all", "--code", "E7001", "--anyway")
    left = processes.run("dead-letters", *every[:-1], "--yes", *place)
    assert left.stdout == "Nothing to put back.\n"
    assert left.stderr.startswith("2 left out would be dead letters again, such as ")
    asked = processes.run("dead-letters", *every, *place)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    said("dead-letters", *every, "--yes", *place)
    asyncio.run(ingest(broker, prefix, ledger, 5))
    sent = json.loads(said("dead-letters", *every, "--dry-run", "--json", *place))
    assert [x["id"].rpartition("-")[2] for x in sent] == ["3", "4"], "and not 0 and 1 as well"
    letters = listed("--code", "E7001", *place)
    assert [letter["replaces"] for letter in letters] == [
        None,
        None,
        letters[0]["id"],
        letters[1]["id"],
    ]


def test_a_payload_in_the_artifact_store_is_checked(
    tmp_path: Path, broker: str, prefix: str, place: tuple[str, ...]
) -> None:
    found = record(b"{" + b" " * 17 * MIB, headers=(("h", b"1"),))
    value = found.value or b""
    objects = ObjectFolder(f"file://{tmp_path}/data/objects")

    async def send() -> None:
        producer = KafkaProducer(KafkaConnection(broker))
        row = Curator("c", CurationPolicy(hmac_key=b"key")).row(found)
        await DeadLetters(producer, prefix, objects).send([(found, row)])
        await producer.stop()

    asyncio.run(send())
    (letter,) = listed(*place)
    assert letter["bytes"] == len(value)
    shown = ("dead-letters", "show", letter["id"], "--out", str(tmp_path / "out"), *place)
    assert len(said(*shown)) < MIB
    assert (tmp_path / "out").read_bytes() == value
    (stored,) = (tmp_path / "data" / "objects").rglob("value")
    stored.write_bytes(b"other")
    one_line(Code.DIGEST_MISMATCH, *shown)
    stored.unlink()
    one_line(Code.DIGEST_MISMATCH, *shown)


def test_what_is_not_there_is_said(tmp_path: Path, place: tuple[str, ...]) -> None:
    one_line(Code.NO_SUCH_LETTER, "dead-letters", "show", "execution.completed-0-99", *place)
    one_line(Code.NO_SUCH_LETTER, "dead-letters", "resend", "execution.completed-0-99", *place)
    missing = ("resend", "a-0-0", "--value", str(tmp_path / "none"))
    one_line(Code.NO_SUCH_FILE, "dead-letters", *missing, *place)
    one_line(Code.BAD_OPTION, "dead-letters", "list", "--code", "E7999", *place)
    nobody = ("--bootstrap", f"127.0.0.1:{free_port()}")
    one_line(Code.NO_BROKER, "dead-letters", "list", *nobody, *place)
    for wrong in (("a-0-0", "--all"), (), ("--all",), ("a", "b", "--value", "x")):
        assert processes.run("dead-letters", "resend", *wrong, *place).returncode == 2


def test_a_topic_that_is_missing(tmp_path: Path, broker: str) -> None:
    config = processes.write_config(tmp_path, broker, kafka={"prefix": "nobody."})
    said_line = one_line(Code.NO_TOPIC, "dead-letters", "list", "--config", str(config))
    assert f"nobody.{DEAD_LETTER_TOPIC}" in said_line
