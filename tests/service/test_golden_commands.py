"""`lorikeet datasets golden` as its users meet it, on a real ledger and without Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from processors.curation.golden_cases import WrittenCase, read_cases
from schemas.errors import Code
from tests import processes
from tests.operations.test_add_golden import row_id, run, written
from tests.processors.test_golden_cases import CURATOR
from tests.reviewing import RECIPE, append, body, command, lines

GUIDE = (processes.ROOT / "docs" / "golden.md").read_text()
GOLDEN = ("datasets", "golden")


@pytest.fixture
def config(tmp_path: Path) -> tuple[str, str]:
    """An installation with thirty runs of m, and another model without any."""
    recipe = {**RECIPE, "golden_size": 0}
    models = [{"name": "m", "recipe": recipe}, {"name": "other", "recipe": recipe}]
    path = processes.write_config(tmp_path, None, models=models)
    append(tmp_path / "data" / "ledger", *(body(run(f"r{n}")) for n in range(30)))
    return "--config", str(path)


def said(config: tuple[str, str], *arguments: str) -> Any:
    return json.loads(command(*GOLDEN, *arguments, "--json", *config)[0])


def test_from_a_file_to_a_dataset_that_keeps_out_of_it(
    tmp_path: Path, config: tuple[str, str]
) -> None:
    assert command(*GOLDEN, "list", *config)[0] == "Golden sets: none\n"
    file = tmp_path / "cases.jsonl"
    file.write_bytes(lines(written("r3"), written("fresh", grader="exact")))
    told, _ = command(*GOLDEN, "add", "m", str(file), *config)
    assert told.startswith("default/m: 2 cases added, 2 now, in ")
    file.write_bytes(lines(written("later")))
    made = said(config, "add", "m", str(file))
    assert (made["cases"], made["added"], made["trained_on"]) == (3, 1, {})
    sets = said(config, "list", "m")
    assert [(one["cases"], one["newest"]) for one in sets] == [(2, False), (3, True)]
    assert said(config, "list", "other") == []
    assert sets[1]["digest"][:12] in command(*GOLDEN, "list", *config)[0]
    assert command("datasets", "seal", "m", *config)[0].startswith("Newly sealed:\n")
    assert command("datasets", "seal", "m", *config)[0].startswith("Sealed already:\n")
    sealed = json.loads(command("datasets", "seal", "m", "--json", *config)[0])
    assert (sealed["golden"], sealed["dropped"]) == (sets[1]["digest"], {"golden": 1})
    shown = said(config, "show", sets[1]["digest"][:10])
    assert {case["trained_on"] for case in shown["cases"]} == {None}
    assert {case["grader"] for case in shown["cases"]} == {"exact", "tool_call"}
    table, _ = command(*GOLDEN, "show", sets[1]["digest"], *config)
    assert "fresh-a fresh-b" in table
    assert "→ search" in table


def test_what_was_trained_on_is_refused_unless_forced_and_then_said(
    config: tuple[str, str],
) -> None:
    command("datasets", "seal", "m", *config)
    ids = ["--from-rows", *map(row_id, range(30))]
    _, why = command(*GOLDEN, "add", "m", *ids, *config, code=2)
    *each, last = why.splitlines()
    assert len(each) > 20
    assert each[0].endswith("trained on already: it stands itself in the training split of 1.0.0")
    assert last.startswith(f"lorikeet: {Code.BAD_GOLDEN_CASE.number} ")
    assert said(config, "list") == []
    _, warned = command(*GOLDEN, "add", "m", *ids, "--force", *config)
    assert warned.splitlines()[-1] == f"{len(each)} cases of 30 measure nothing"
    (one,) = said(config, "list")
    shown = said(config, "show", one["digest"])
    assert sum(case["trained_on"] is not None for case in shown["cases"]) == len(each)
    assert (
        "measure nothing: trained on already" in command(*GOLDEN, "show", one["digest"], *config)[0]
    )


def test_every_fault_is_one_line_and_nothing_is_written(
    tmp_path: Path, config: tuple[str, str]
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(lines(written("a"), written("a"), {"prompt": "x"}) + b"{\n")
    _, why = command(*GOLDEN, "add", "m", str(file), *config, code=2)
    *each, last = why.splitlines()
    assert [line.removeprefix(f"{file}: ").partition(":")[0] for line in each] == [
        "line 2",
        "line 3",
        "line 4",
    ]
    assert last.startswith(f"lorikeet: {Code.BAD_GOLDEN_CASE.number} ")
    assert "3 faults" in last
    assert said(config, "list") == []
    assert not (tmp_path / "data" / "objects" / "golden").exists()
    file.write_bytes(b"\n")
    for code, arguments in (
        (Code.BAD_GOLDEN_CASE, ("add", "m", str(file))),
        (Code.BAD_GOLDEN_CASE, ("add", "m", "--from-rows", "nowhere")),
        (Code.NO_SUCH_FILE, ("add", "m", str(tmp_path / "none"))),
        (Code.NO_SUCH_MODEL, ("add", "nobody", str(file))),
        (Code.NO_SUCH_MODEL, ("list", "nobody")),
        (Code.NO_SUCH_GOLDEN, ("show", "abc")),
    ):
        _, line = command(*GOLDEN, *arguments, *config, code=2)
        assert line.startswith(f"lorikeet: {code.number} ")
        assert line.count("\n") == 1
    for wrong in (
        ("add", "m"),
        ("add", "m", str(file), "x"),
        ("add", "m", str(file), "--grader", "exact"),
    ):
        command(*GOLDEN, *wrong, *config, code=2)


def test_the_guides_cases_can_be_added_and_it_names_every_field() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    found, faults = read_cases(example.encode().splitlines(), CURATOR, "default")
    assert faults == []
    assert [case.grader for case in found] == ["exact", "regex", "tool_call"]
    assert set(WrittenCase.model_fields) <= set(re.findall(r"`([a-z_]+)`", GUIDE))
