"""`lorikeet ledger` as its users meet it: figures, exit codes, one line for what they can mend."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from consumers.kafka import cluster_id
from producers.connection import KafkaConnection
from schemas.digests import file_digest
from schemas.errors import Code
from schemas.records import TopicPartition
from schemas.rows import Row
from service.cli import main
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests import processes
from tests.consumers_support import publish, structured
from tests.support import execution, row

pytestmark = pytest.mark.kafka
SECRET = "john.doe@example.org"


@pytest.fixture
def installed(tmp_path: Path, broker: str, prefix: str) -> Path:
    """An installation that has read six records: its configuration."""
    config = processes.write_config(tmp_path, broker, kafka={"prefix": prefix})
    topic = f"{prefix}execution.completed"
    named = execution()
    named["messages"][0]["content"] = f"write to {SECRET}"
    same = structured("execution.completed", execution(), id="same")
    messages = [structured("execution.completed", named), same, same, (b"{", [])]
    asyncio.run(publish(broker, topic, messages))
    asyncio.run(publish(broker, topic, [structured("else", {})] * 2, partition=1))
    child = processes.start("ingest", "--config", str(config), log=tmp_path / "log")
    try:
        processes.wait_for(lambda: len(rows_of(tmp_path)) >= 6, "six rows")
    finally:
        processes.end(child)
    return config


def rows_of(folder: Path) -> list[Row]:
    ledger = folder / "data" / "ledger"
    return list(DeltaLedgerReader(ledger).rows()) if (ledger / "_delta_log").exists() else []


def ledger(config: Path, *arguments: str, code: int = 0) -> str:
    """What a command says; on stderr, in one line, if it fails. In this process: that is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["lorikeet", "ledger", *arguments, "--config", str(config)])
        patch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, err.getvalue()
    assert len(err.getvalue().splitlines()) == (1 if code else 0), err.getvalue()
    return err.getvalue() if code else out.getvalue()


def said(config: Path, *arguments: str) -> Any:
    return json.loads(ledger(config, *arguments, "--json"))


def test_verify_agrees_and_then_names_what_is_wrong(
    installed: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"
    reports = said(installed, "verify")
    assert sum(report["received"] for report in reports) == 6
    assert {report["topic"] for report in reports} > {topic}
    agreed = ledger(installed, "verify")
    assert "6 received = 2 accepted" in agreed
    assert agreed.endswith("The ledger agrees with Kafka.\n")
    nowhere = ("--topic", "execution.completed", "--partition", "77")
    assert Code.NO_TOPIC.number in ledger(installed, "verify", *nowhere, code=2)
    one = said(installed, "verify", "--topic", "execution.completed", "--partition", "1")
    assert [(r["partition"], r["received"], r["rejected"] + r["duplicate"]) for r in one] == [
        (1, 2, 2)
    ]
    asyncio.run(publish(broker, topic, [structured("else", {})] * 2))
    ledger(installed, "verify")
    assert "2 not yet read" in ledger(installed, "verify", "--strict", code=2)
    cluster = asyncio.run(cluster_id(KafkaConnection(broker)))
    writer = DeltaLedgerWriter(installed.parent / "data" / "ledger", cluster)
    writer.claim([TopicPartition(topic, 0)])
    writer.append([], {TopicPartition(topic, 0): 6})
    line = ledger(installed, "verify", code=2)
    assert Code.LEDGER_MISMATCH.number in line
    assert f"2 missing, such as {topic}[0]@4" in line


def test_stats_tail_and_export(installed: Path, tmp_path: Path, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    found = said(installed, "stats")
    assert (found["rows"], found["dispositions"]["dead_letter"]) == (6, 1)
    assert found["dead_letter_share"] == pytest.approx(1 / 6)
    assert found["topics"][topic]["accepted"] == 2
    assert sum(day["rows"] for day in found["days"]) == 6
    table = ledger(installed, "stats")
    assert "6 rows, dead letters 16.7 %" in table
    tailed = ledger(installed, "tail", "-n", "5", "--topic", topic)
    assert len(tailed.splitlines()) == 5
    assert "not_json" in ledger(installed, "tail", "--disposition", "dead_letter")
    assert ledger(installed, "tail", "--topic", "planning.completed") == "no rows\n"
    assert Code.NO_TOPIC.number in ledger(installed, "tail", "--topic", "nix", code=2)
    rows = [json.loads(line) for line in ledger(installed, "tail", "--json").splitlines()]
    assert len(rows) == 6
    assert all("content" not in row for row in rows)
    assert SECRET not in ledger(installed, "tail", "--content")
    check_export(installed, tmp_path)


def check_export(installed: Path, tmp_path: Path) -> None:
    options: tuple[str, ...]
    for name, options in (
        ("parquet", ()),
        ("jsonl", ("--disposition", "accepted", "--disposition", "duplicate")),
        ("csv", ("--columns", "topic,offset,reasons", "--since", "2020-01-01")),
    ):
        folder = tmp_path / name
        manifest = said(installed, "export", str(folder), "--format", name, *options)
        assert manifest == json.loads((folder / "manifest.json").read_text())
        (file,) = manifest["files"]
        assert file["sha256"] == file_digest(folder / file["name"])
    assert pq.read_table(tmp_path / "parquet" / "part-00000.parquet").num_rows == 6
    lines = (tmp_path / "jsonl" / "part-00000.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["disposition"] for line in lines) == [
        *["accepted"] * 2,
        *["duplicate"] * 2,
    ]
    with (tmp_path / "csv" / "part-00000.csv").open() as text:
        assert len(list(csv.DictReader(text))) == 6
    for code, options in (
        (Code.FOREIGN_FOLDER, (str(tmp_path / "csv"),)),
        (Code.FOREIGN_FOLDER, (str(tmp_path / "csv" / "manifest.json"),)),
        (Code.BAD_OPTION, (str(tmp_path / "x"), "--format", "xml")),
        (Code.BAD_OPTION, (str(tmp_path / "x"), "--columns", "topics")),
        (Code.BAD_OPTION, (str(tmp_path / "x"), "--until", "soon")),
    ):
        assert code.number in ledger(installed, "export", *options, code=2)


def test_compact_merges_files_and_keeps_rows(installed: Path) -> None:
    writer = DeltaLedgerWriter(installed.parent / "data" / "ledger", "c")
    tp = TopicPartition("execution.completed", 0)
    writer.claim([tp])
    for offset in range(3):
        writer.append([row(offset)], {tp: offset + 1})
    before = sorted(rows_of(installed.parent), key=lambda r: r.row_id)
    found = said(installed, "compact")
    assert found["before"]["files"] >= 4
    assert found["after"]["files"] < found["before"]["files"]
    assert sorted(rows_of(installed.parent), key=lambda r: r.row_id) == before
    assert "nothing worth merging yet" in ledger(installed, "compact")
    writer.claim([tp])
    writer.append([row(3)], {tp: 4})
    assert "Data files" in ledger(installed, "compact")


def test_rebuild_and_accept_gap(installed: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    before = sorted(rows_of(installed.parent), key=lambda r: (r.partition, r.offset))
    assert Code.BAD_OPTION.number in ledger(installed, "rebuild", "--from-kafka", code=2)
    assert Code.BAD_OPTION.number in ledger(installed, "rebuild", "--yes", code=2)
    log = installed.parent / "log"
    child = processes.start("ingest", "--config", str(installed), log=log)
    try:
        processes.wait_for(lambda: log.read_text().count("ingest.started") == 2, "ingest")
        line = ledger(installed, "rebuild", "--from-kafka", "--yes", code=2)
        assert Code.LEDGER_IN_USE.number in line
    finally:
        processes.end(child)
    done = said(installed, "rebuild", "--from-kafka", "--yes")
    assert (done["rows"], done["lost"]) == (6, 0)
    assert sorted(rows_of(installed.parent), key=lambda r: (r.partition, r.offset)) == before
    ledger(installed, "verify")
    counted = json.loads(processes.run("status", "--config", str(installed), "--json").stdout)
    assert counted["records"]["received"] == 6
    gap = ("accept-gap", topic, "0", "--reason", "x", "--yes")
    assert Code.NO_GAP.number in ledger(installed, *gap, code=2)
    assert Code.NO_TOPIC.number in ledger(installed, "accept-gap", topic, "7", *gap[3:], code=2)
    cluster = asyncio.run(cluster_id(KafkaConnection(broker)))
    writer = DeltaLedgerWriter(installed.parent / "data" / "ledger", cluster)
    writer.claim([TopicPartition(topic, 0)])
    writer.append([], {TopicPartition(topic, 0): 99})
    assert Code.LEDGER_MISMATCH.number in ledger(installed, "verify", code=2)
    assert said(installed, "accept-gap", "execution.completed", *gap[2:])["made_anew"]
    assert f"Gap {topic}[0]#1, 0 to 0: x" in ledger(installed, "stats")


@pytest.mark.parametrize("damage", ["cut short", "missing"])
def test_a_damaged_data_file_is_one_line_that_names_it(installed: Path, damage: str) -> None:
    """Whatever reads the ledger, so that nobody takes half of it for the whole."""
    files = (installed.parent / "data" / "ledger").glob("day=*/*.parquet")
    file = max(files, key=lambda path: path.stat().st_size)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:500])
    lines = [ledger(installed, name, code=2) for name in ("verify", "stats", "tail")]
    for name in ("status", "ingest"):
        found = processes.run(name, "--config", str(installed), seconds=60)
        assert found.returncode == 2, found.stderr
        lines.append(found.stderr.strip().splitlines()[-1])
        assert "Traceback" not in found.stderr
    for line in lines:
        assert Code.LEDGER_UNREADABLE.number in line
        assert file.name in line
