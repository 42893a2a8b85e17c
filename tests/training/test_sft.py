"""LoRA on real weights: it learns what it is shown, the same way each time, and says what it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.chat import parse_answer
from schemas.digests import folder_digests
from schemas.jobs import JobResult, JobSpec, SftSettings, TinySettings
from service.demo.world import Desk, Task
from tests import trainer

pytestmark = [pytest.mark.torch, pytest.mark.slow]
GOLDEN = [
    5.594202,
    5.599144,
    5.567008,
    5.516504,
    5.491792,
    5.456938,
    5.419471,
    5.392603,
    5.377542,
    5.340195,
]


def right(folder: Path, asked: list[Task]) -> dict[str, float]:
    """The share of right answers by arm."""
    desk = Desk(2)
    found: dict[str, list[bool]] = {}
    for line in (trainer.attempt(folder) / "outputs.jsonl").read_text().splitlines():
        answer = json.loads(line)
        calls = parse_answer(answer["text"]).get("tool_calls", [])
        effects = tuple(desk.act(call)[0] for call in calls)
        solved = effects == asked[int(answer["case_id"])].goal
        found.setdefault(answer["arm"], []).append(solved)
    return {arm: sum(solved) / len(solved) for arm, solved in found.items()}


def ask(
    folder: Path, tiny_base: Path, asked: list[Task], adapters: dict[str, str]
) -> dict[str, float]:
    """Let base and adapters answer unseen requests."""
    cases: list[dict[str, Any]] = [
        {"case_id": str(n), "messages": [{"role": "user", "content": task.prompt}], "tools": []}
        for n, task in enumerate(asked)
    ]
    job = trainer.spec("generate", tiny_base, adapters=adapters)
    assert trainer.train(trainer.stage(folder, job, cases=cases)).ok
    return right(folder, asked)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    trainer.seal(folder, trainer.tasks(1, 300))
    result = trainer.train(trainer.stage(folder, trainer.spec("train", tiny_base)))
    assert result.ok, result.error
    return folder


def test_it_learns_a_changed_world_and_nothing_without_the_adapter(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """Unseen requests: the base fails, the adapter solves them, mixed-up labels teach mix-ups."""
    mixed = tmp_path / "mixed"
    trainer.seal(mixed, trainer.tasks(1, 300), wrong=True)
    assert trainer.train(trainer.stage(mixed, trainer.spec("train", tiny_base))).ok
    shares = ask(
        tmp_path / "ask",
        tiny_base,
        trainer.tasks(2, 120),
        {
            "base": "",
            "good": str(trainer.attempt(trained) / "adapter"),
            "mixed": str(trainer.attempt(mixed) / "adapter"),
        },
    )
    print(f"right answers: {shares}")
    assert shares["base"] < 0.4
    assert shares["good"] > 0.8
    assert shares["mixed"] < 0.1


def test_the_same_job_gives_the_same_bytes(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    short = trainer.SFT.model_copy(update={"max_steps": 15})
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        trainer.seal(folder, trainer.tasks(1, 60))
        job = trainer.spec("train", tiny_base, sft=short, seed=3)
        assert trainer.train(trainer.stage(folder, job)).ok
        digests.append(folder_digests(trainer.attempt(folder) / "adapter"))
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_result_names_every_file_and_what_was_done(trained: Path) -> None:
    result = JobResult.model_validate_json((trained / "result.json").read_bytes())
    assert result.epoch == 1
    assert result.files == {
        name: digest
        for name, digest in folder_digests(trainer.attempt(trained)).items()
        if name != "result.json.part"
    }
    assert result.summary["sequences"] == 270
    assert 0 < result.summary["trainable_share"] < 0.5
    assert result.summary["last_loss"] < 0.1 * result.summary["first_loss"]
    steps = trainer.progress(trained)
    assert [step["step"] for step in steps] == list(range(1, result.summary["steps"] + 1))
    for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second", "seconds"):
        assert all(name in step for step in steps)


def test_golden_losses(tmp_path: Path) -> None:
    """The first ten steps on a fixed base, seed and data; float32, eager, one thread."""
    folder = tmp_path / "golden"
    trainer.seal(folder, trainer.tasks(1, 60))
    settings: SftSettings = trainer.SFT.model_copy(update={"max_steps": 10})
    base = tmp_path / "base"
    corpus = [
        {"messages": [{"role": "user", "content": f"say {w}"}, {"role": "assistant", "content": w}]}
        for w in ("red", "green", "blue", "black") * 20
    ]
    tiny = TinySettings(hidden=32, heads=4, vocabulary=300, steps=20)
    made = JobSpec(job_id="base", kind="make_base", tiny=tiny, seed=11)
    assert trainer.train(trainer.stage(base, made, corpus=corpus)).ok
    job = trainer.spec("train", trainer.attempt(base) / "base", sft=settings, seed=5)
    result = trainer.train(trainer.stage(folder, job))
    assert result.ok, result.error
    assert result.summary["losses"] == pytest.approx(GOLDEN, rel=1e-3)


def test_a_probe_passes_what_was_trained_and_stops_what_was_changed(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(trainer.attempt(trained) / "adapter", adapter)

    def probe(name: str) -> dict[str, Any]:
        job = trainer.spec("probe", tiny_base, adapters={"candidate": str(adapter)})
        folder = trainer.stage(tmp_path / name, job)
        shutil.copy(trainer.attempt(trained) / "expected.json", folder / "dataset")
        result = trainer.train(folder)
        assert result.ok, result.error
        return result.summary

    good = probe("good")
    assert good["ok"]
    assert good["same_answers"] == good["cases"] == 8
    _scale(adapter / "adapter_model.safetensors", 0.0)
    unloaded = probe("zeroed")
    assert not unloaded["ok"], "an adapter that does nothing is the base in disguise"
    assert unloaded["differs_from_base"] == 0


def _scale(path: Path, factor: float) -> None:
    from safetensors.torch import load_file, save_file

    save_file({name: tensor * factor for name, tensor in load_file(path).items()}, path)
