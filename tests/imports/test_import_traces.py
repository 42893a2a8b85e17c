"""The import as a whole, without a broker."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.import_traces import ImportTraces, Summary, look, read_tools
from processors.imports.stated import Stated
from producers.memory import MemoryProducer
from schemas.envelope import Limits, decode
from schemas.errors import Code, Unrecoverable
from schemas.events import ExecutionCompleted
from schemas.records import Record
from tests.imports.samples import (
    FILES,
    chat,
    chat_lines,
    simulation,
    tau2_lines,
    tau_bench_lines,
    trajectory,
)


def write(folder: Path, name: str, lines: list[bytes]) -> Path:
    path = folder / name
    content = b"".join(lines)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def send(
    name: str, *files: Path, stated: Stated | None = None, limits: Limits | None = None
) -> tuple[Summary, MemoryProducer]:
    producer = MemoryProducer()
    operation = ImportTraces(producer, "p.", limits or Limits())
    looked = look(name, files, stated or Stated())
    return asyncio.run(operation(looked)), producer


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_format_is_sent_as_events_that_ingest_can_read(tmp_path: Path, name: str) -> None:
    summary, producer = send(name, write(tmp_path, *FILES[name]()))
    assert summary.sent == {"execution.completed": 2}
    assert summary.refused == 0
    assert {event.topic for event in producer.events} == {"p.execution.completed"}
    for sent, record in zip(producer.events, producer.records, strict=True):
        read = decode(Record("t", 0, 0, 0, record.key, record.value, tuple(record.headers)))
        assert isinstance(read, ExecutionCompleted)
        assert (read.id, read.source, read.time, read.subject) == (
            sent.id,
            sent.source,
            sent.time,
            sent.subject,
        )


def test_gzip_is_seen_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    lines = chat_lines(chat())
    zipped = write(tmp_path, "a.gz", lines).rename(tmp_path / "a.jsonl")
    plain = write(tmp_path, "a.txt", lines).rename(tmp_path / "b.gz")
    summary, _ = send("openai-chat", zipped, plain)
    assert summary.sent.total() == 2


def test_importing_again_sends_the_same_events(tmp_path: Path) -> None:
    file = write(tmp_path, *FILES["tau2"]())
    first, second = (send("tau2", file)[1] for _ in range(2))
    assert first.records == second.records


def test_progress_ends_at_the_number_of_records(tmp_path: Path) -> None:
    runs = [simulation(id=f"r{n}") for n in range(250)]
    seen: list[tuple[int, int]] = []
    looked = look("tau2", [write(tmp_path, "a.json", tau2_lines(*runs))], Stated())
    operation = ImportTraces(MemoryProducer(), "", Limits())
    asyncio.run(operation(looked, lambda done, total: seen.append((done, total))))
    assert seen == [(100, 250), (200, 250), (250, 250)]


def test_refusals_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    bad = [chat(outcome="?") for _ in range(7)]
    summary, _ = send("openai-chat", write(tmp_path, "a.jsonl", chat_lines(chat(), *bad)))
    assert (summary.sent.total(), summary.refused, len(summary.refusals)) == (1, 7, 5)
    assert summary.refusals[0].startswith("a.jsonl line 2: outcome")


def test_what_ingest_would_not_read_is_not_sent(tmp_path: Path) -> None:
    long = chat(messages=[{"role": "user", "content": "x" * 3_000}])
    surrogate = chat(labels={"a": "\ud800"})
    file = write(tmp_path, "a.jsonl", chat_lines(chat(), long, surrogate))
    summary, producer = send("openai-chat", file, limits=Limits(max_bytes=2_000))
    assert (summary.sent.total(), len(producer.events)) == (1, 1)
    assert [r.split(":")[0] for r in summary.refusals] == ["a.jsonl line 2", "a.jsonl line 3"]
    assert "E7007" in summary.refusals[0]


def test_what_stayed_absent_is_counted(tmp_path: Path) -> None:
    lines = chat_lines(chat(), chat(model="m", time=1))
    summary, _ = send(
        "openai-chat", write(tmp_path, "a.jsonl", lines), stated=Stated(trust="external")
    )
    assert (summary.absent["model"], summary.absent["time"], summary.absent["tools"]) == (1, 1, 2)
    assert "trust" not in summary.absent


def test_tools_are_derived_over_all_files_of_an_agent(tmp_path: Path) -> None:
    other = trajectory()
    other["traj"] = [
        json.loads(json.dumps(turn).replace('"book"', '"cancel"')) for turn in other["traj"]
    ]
    files = [
        write(tmp_path, "a-airline.json", tau_bench_lines(trajectory())),
        write(tmp_path, "b-airline.json", tau_bench_lines(other)),
    ]
    summary, producer = send("tau-bench", *files, stated=Stated(derive_tools=True))
    assert summary.derived == {"tau-bench-airline": 2}
    names = [[t["function"]["name"] for t in e.data["tools"]] for e in producer.events]
    assert names == [["book", "cancel"]] * 2


def corrupt(folder: Path) -> Path:
    file = write(folder, "x.gz", FILES["tau2"]()[1])
    file.write_bytes(file.read_bytes()[:-20])
    return file


@pytest.mark.parametrize(
    ("name", "make", "code", "said"),
    [
        ("tau2", lambda f: f / "none.json", Code.NO_SUCH_FILE, "none.json: No such file"),
        ("tau2", lambda f: f, Code.NO_SUCH_FILE, "Is a directory"),
        ("tau2", corrupt, Code.BAD_IMPORT, "x.gz: Compressed file ended"),
        ("tau2", lambda f: write(f, *FILES["tau-bench"]()), Code.BAD_IMPORT, "as tau2"),
        ("tau-bench", lambda f: write(f, *FILES["tau2"]()), Code.BAD_IMPORT, "as tau-bench"),
        ("openai-chat", lambda f: write(f, *FILES["tau2"]()), Code.BAD_IMPORT, "line 1"),
        ("openai-chat", lambda f: write(f, "e", []), Code.BAD_IMPORT, "nothing in e"),
    ],
)
def test_wrong_files_are_one_line_and_nothing_is_sent(
    tmp_path: Path, name: str, make: Callable[[Path], Path], code: Code, said: str
) -> None:
    good = write(tmp_path, f"good-{FILES[name]()[0]}", FILES[name]()[1])
    with pytest.raises(Unrecoverable) as caught:
        look(
            name,
            [make(tmp_path)] if "nothing" in said or "line" in said else [good, make(tmp_path)],
            Stated(),
        )
    assert caught.value.code is code
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_if_ingest_could_read_nothing_it_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path, "a.jsonl", chat_lines(chat()))
    with pytest.raises(Unrecoverable, match=r"a\.jsonl line 1: E7007"):
        send("openai-chat", file, limits=Limits(max_bytes=10))


@pytest.mark.parametrize("content", ["{}", "[]", "[3]", '[{"function": 3}]', "x"])
def test_a_tools_file_is_a_list_of_named_definitions(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tools.json"
    file.write_text(content)
    with pytest.raises(Unrecoverable) as caught:
        read_tools(file)
    assert caught.value.code is Code.BAD_IMPORT
    file.write_text('[{"name": "flat"}, {"type": "function", "function": {"name": "nested"}}]')
    assert len(read_tools(file)) == 2
