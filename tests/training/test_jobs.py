"""The job folder is the whole interface: what breaks its contract is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import Code
from schemas.jobs import JobSpec, TinySettings
from tests import trainer

pytestmark = pytest.mark.torch


def test_the_wrong_base_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    trainer.seal(tmp_path, trainer.tasks(1, 20))
    job = trainer.spec("train", tiny_base, base_digest="0" * 64)
    result = trainer.train(trainer.stage(tmp_path, job))
    assert (result.ok, result.error_code) == (False, Code.NO_BASE.number)


def test_a_changed_dataset_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    trainer.seal(tmp_path, trainer.tasks(1, 20))
    shard = tmp_path / "dataset" / "examples-00000.parquet"
    shard.write_bytes(shard.read_bytes() + b" ")
    result = trainer.train(trainer.stage(tmp_path, trainer.spec("train", tiny_base)))
    assert (result.ok, result.error_code) == (False, Code.DATASET_CORRUPT.number)


def test_a_pickled_adapter_is_never_opened(tiny_base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.")
    job = trainer.spec("generate", tiny_base, adapters={"x": str(adapter)})
    result = trainer.train(trainer.stage(tmp_path / "job", job, cases=[]))
    assert (result.ok, result.error_code) == (False, Code.NOT_SAFETENSORS.number)


def test_a_learning_rate_that_explodes_is_said_with_its_step(
    tiny_base: Path, tmp_path: Path
) -> None:
    trainer.seal(tmp_path, trainer.tasks(1, 40))
    wild = trainer.SFT.model_copy(update={"learning_rate": 1e30, "max_grad_norm": 1e30})
    result = trainer.train(trainer.stage(tmp_path, trainer.spec("train", tiny_base, sft=wild)))
    assert (result.ok, result.error_code) == (False, Code.NOT_FINITE.number)
    assert "step" in (result.error or "")
    assert not (trainer.attempt(tmp_path) / "adapter").exists()


def test_a_folder_without_a_spec_has_no_result(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trainer.train(tmp_path)


def test_a_base_made_on_the_spot_is_a_hugging_face_folder(tmp_path: Path) -> None:
    corpus = [
        {"messages": [{"role": "user", "content": w}, {"role": "assistant", "content": w[::-1]}]}
        for w in ("abc", "bcd", "cde") * 10
    ]
    tiny = TinySettings(hidden=32, heads=4, vocabulary=280, steps=5)
    job = JobSpec(job_id="base", kind="make_base", tiny=tiny)
    folder = trainer.stage(tmp_path / "job", job, corpus=corpus)
    assert trainer.train(folder).ok
    made = trainer.attempt(folder) / "base"
    names = {path.name for path in made.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert json.loads((made / "config.json").read_text())["model_type"] == "llama"
