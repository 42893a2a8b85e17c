"""Exports, read by the packages that people read them with: Hugging Face `datasets` and TRL, as installed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from operations.export_dataset import CARD, MANIFEST, ExportDataset, Format, JsonLines
from processors.curation.formats.chat import chat, turns
from processors.curation.formats.preference import preference
from schemas.chat import Message
from schemas.digests import digest_of, file_digest
from schemas.errors import Code, Unrecoverable
from stores.datasets.store import INDEX
from tests.imports import real_traces as traces
from tests.sealed import Installed, install

LINES = [Format.CHAT_JSONL, Format.ALPACA, Format.PREFERENCE, Format.KTO]
SPLITS = ("train", "validation", "test")
Exported = Callable[[Format], Path]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("sealed"))


@pytest.fixture(scope="module")
def exported(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The folder of the second dataset in a format, written once."""
    done: dict[Format, Path] = {}

    def export(kind: Format) -> Path:
        if kind not in done:
            done[kind] = tmp_path_factory.mktemp("export") / str(kind)
            ExportDataset(installed.store)(installed.second.digest, done[kind], kind)
        return done[kind]

    return export


@pytest.fixture(scope="module", autouse=True)
def _readers() -> Iterator[None]:
    """The packages of tests/exports.txt, for this module alone."""
    folder = str(Path(sys.prefix) / "exports")
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`datasets.load_dataset` with a cache of its own."""
    import datasets

    datasets.disable_progress_bars()
    cache = str(tmp_path_factory.mktemp("cache"))
    return lambda *args, **options: datasets.load_dataset(*args, cache_dir=cache, **options)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", LINES)
def test_json_lines_load_in_datasets_row_by_row(
    exported: Exported, load: Callable[..., Any], kind: Format
) -> None:
    folder = exported(kind)
    named = {split: str(folder / f"{split}.jsonl") for split in SPLITS}
    found = load("json", data_files=named)
    for split, path in named.items():
        assert found[split].to_list() == lines_of(Path(path))


@pytest.mark.parametrize("kind", list(Format))
def test_the_folder_loads_by_its_name_and_the_manifest_says_what_is_in_it(
    exported: Exported, load: Callable[..., Any], kind: Format
) -> None:
    folder = exported(kind)
    manifest = json.loads((folder / MANIFEST).read_text())
    found = {"examples": load(str(folder))}
    if kind is Format.PARQUET:
        found["pairs"] = load(str(folder), "pairs")
    for file in manifest["files"]:
        assert found[file["kind"]][file["split"]].num_rows == file["rows"] > 0
        assert file_digest(folder / file["name"]) == file["sha256"]
    held = {path.name for path in folder.iterdir()}
    assert held == {MANIFEST, CARD, *(file["name"] for file in manifest["files"])}


def test_parquet_holds_all_that_is_known(
    exported: Exported, installed: Installed, load: Callable[..., Any]
) -> None:
    folder = exported(Format.PARQUET)
    found = {row["row_id"]: row for split in load(str(folder)).values() for row in split}
    examples = list(installed.store.examples(installed.second.digest))
    assert len(found) == len(examples)
    for example in examples:
        row = found[example.row_id]
        decoded = {name: json.loads(row[name]) for name in ("messages", "tools")}
        assert {**row, **decoded} == example.content()
    pairs = [row for split in load(str(folder), "pairs").values() for row in split]
    assert len(pairs) == sum(installed.second.pairs.values())


def test_every_example_and_every_pair_is_there_once(
    exported: Exported, installed: Installed
) -> None:
    store, digest = installed.store, installed.second.digest
    wanted = {
        Format.CHAT_JSONL: [(e.split, chat(e)) for e in store.examples(digest)],
        Format.PREFERENCE: [(p.split, preference(p)) for p in store.pairs(digest)],
    }
    for kind, records in wanted.items():
        found = [
            (split, line)
            for split in SPLITS
            for line in lines_of(exported(kind) / f"{split}.jsonl")
        ]
        assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, records))


def test_alpaca_counts_what_it_cannot_say(exported: Exported, installed: Installed) -> None:
    manifest = json.loads((exported(Format.ALPACA) / MANIFEST).read_text())
    total = sum(installed.second.counts.values())
    said = sum(file["rows"] for file in manifest["files"])
    assert said + sum(manifest["skipped"].values()) == total
    assert said > 0
    assert manifest["skipped"]["tool_calls"] > 0


def test_kto_labels_each_answer_once(exported: Exported, installed: Installed) -> None:
    lines = [line for split in SPLITS for line in lines_of(exported(Format.KTO) / f"{split}.jsonl")]
    texts = [json.dumps(line) for line in lines]
    assert len(texts) == len(set(texts))
    assert sum(line["label"] for line in lines) >= sum(installed.second.counts.values())
    pairs = installed.store.pairs(installed.second.digest)
    unwanted = {json.dumps([p.messages, p.rejected, p.tools]) for p in pairs}
    assert sum(not line["label"] for line in lines) == len(unwanted) > 0


def test_a_large_file_that_begins_plain_and_ends_with_calls_loads(
    tmp_path: Path, load: Callable[..., Any]
) -> None:
    """`datasets` takes the types from the first 10 MiB."""
    plain = [{"role": "user", "content": "x" * 1_000}, {"role": "assistant", "content": "y"}]
    called = [
        {"role": "assistant", "content": "", "tool_calls": [{"name": "a", "arguments": {"n": 1}}]}
    ]
    records = [{"messages": plain, "tools": "null"}] * 11_000
    records += [{"messages": called, "tools": "[]"}] * 3
    ordered, naive = tmp_path / "ordered.jsonl", tmp_path / "naive.jsonl"
    writer = JsonLines(ordered)
    for record in records:
        writer.write(record)
    writer.close()
    naive.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert naive.stat().st_size > 10 * 2**20
    with pytest.raises(Exception, match="generating the dataset"):
        load("json", data_files=str(naive))
    found = load("json", data_files=str(ordered))["train"]
    assert found.num_rows == writer.rows == 11_003
    assert [row["messages"] for row in found if row["tools"] != "null"] == [called] * 3


@pytest.mark.data
def test_real_conversations_load_turn_by_turn(
    shared_data: Path, tmp_path: Path, load: Callable[..., Any]
) -> None:
    writer, records = JsonLines(tmp_path / "train.jsonl"), []
    for file in (*traces.tau2(shared_data, "sft"), *traces.tau2(shared_data, "base")):
        for run in json.loads(gzip.decompress(file.read_bytes()))["simulations"]:
            said = [Message.model_validate(turn).canonical() for turn in run["messages"]]
            records.append({"messages": turns(said), "tools": "null"})
            writer.write(records[-1])
    found = load("json", data_files=str(writer.close()))["train"].to_list()
    assert sorted(map(digest_of, found)) == sorted(map(digest_of, records))
    calls = [c for r in found for turn in r["messages"] for c in turn.get("tool_calls", ())]
    assert len(calls) > 800
    assert all(isinstance(call["function"]["arguments"], dict) for call in calls)


def test_nothing_to_say_leaves_no_folder(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was there stays, empty."""
    monkeypatch.setattr("operations.export_dataset.alpaca", lambda _: "tool_calls")
    (tmp_path / "mine").mkdir()
    for name in ("new", "mine"):
        with pytest.raises(Unrecoverable) as caught:
            ExportDataset(installed.store)(installed.second.digest, tmp_path / name, Format.ALPACA)
        assert caught.value.code is Code.NOTHING_TO_EXPORT
        assert "tool_calls" in str(caught.value)
    assert [(path.name, list(path.iterdir())) for path in tmp_path.iterdir()] == [("mine", [])]


def test_a_dataset_that_cannot_be_read_leaves_no_folder(tmp_path: Path) -> None:
    found = install(tmp_path)
    found.store.objects.put(f"datasets/{found.first.digest}/{INDEX}", b"{}")
    with pytest.raises(Unrecoverable) as caught:
        ExportDataset(found.store)(found.first.digest, tmp_path / "new", Format.KTO)
    assert caught.value.code is Code.DATASET_CORRUPT
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_and_nothing_to_say_are_refused(
    installed: Installed, tmp_path: Path
) -> None:
    export = ExportDataset(installed.store)
    (tmp_path / "mine").write_text("here")
    with pytest.raises(Unrecoverable) as full:
        export(installed.second.digest, tmp_path, Format.KTO)
    assert full.value.code is Code.FOREIGN_FOLDER
    bare = installed.second.model_copy(
        update={"digest": "b" * 64, "shards": installed.second.shards[:1], "pairs": {}}
    )
    store = installed.store
    digest = installed.second.digest
    store.write(bare, store.index(digest), store.fates(digest))
    with pytest.raises(Unrecoverable) as none:
        export(bare.digest, tmp_path / "new", Format.PREFERENCE)
    assert none.value.code is Code.NOTHING_TO_EXPORT
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    """The tiny base's tokenizer with a template of a real model, tools and all."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(tiny_base)
    found.chat_template = (files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    return found


@pytest.mark.torch
@pytest.mark.parametrize("kind", [Format.CHAT_JSONL, Format.PREFERENCE, Format.KTO])
def test_trl_takes_each_record_as_it_is(
    exported: Exported, load: Callable[..., Any], tokenizer: Any, kind: Format
) -> None:
    from trl.data_utils import apply_chat_template, extract_prompt, is_conversational

    called = 0
    for split in load(str(exported(kind))).values():
        for record in split:
            assert is_conversational(record)
            tools = json.loads(record["tools"])
            said = apply_chat_template(
                {name: value for name, value in record.items() if name != "tools"},
                tokenizer,
                tools=tools,
            )
            text = "".join(value for value in said.values() if isinstance(value, str))
            assert ("# Tools" in text) == bool(tools)
            turns = [turn for value in record.values() if isinstance(value, list) for turn in value]
            for call in (call for turn in turns for call in turn.get("tool_calls") or ()):
                called += 1
                written = json.dumps(call["function"]["arguments"], ensure_ascii=False)
                assert f'"arguments": {written}' in text
            if kind is Format.PREFERENCE:
                joined = {k: [*record["prompt"], *record[k]] for k in ("chosen", "rejected")}
                assert extract_prompt(joined)["prompt"][: len(record["prompt"])] == record["prompt"]
    assert called > 20


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "method"),
    [(Format.CHAT_JSONL, "SFT"), (Format.PREFERENCE, "DPO"), (Format.KTO, "KTO")],
)
def test_trl_trains_on_it(
    exported: Exported,
    load: Callable[..., Any],
    tokenizer: Any,
    tiny_base: Path,
    tmp_path: Path,
    kind: Format,
    method: str,
) -> None:
    """Two steps of each trainer on the tiny base: the loss is a number, and every row was prepared."""
    import trl
    from transformers import AutoModelForCausalLM

    found = load(str(exported(kind)))
    options: dict[str, Any] = {
        "output_dir": str(tmp_path),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "max_length": None,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    trainer = getattr(trl, f"{method}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(tiny_base),
        args=getattr(trl, f"{method}Config")(**options),
        train_dataset=found["train"],
        processing_class=tokenizer,
    )
    assert len(trainer.train_dataset) == found["train"].num_rows
    loss = trainer.train().training_loss
    assert 0 < loss < 100
