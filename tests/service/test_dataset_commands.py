"""`lorikeet datasets` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.datasets import ShardKind
from schemas.errors import Code
from schemas.rollouts import Stage
from service.cli.datasets_compare import _print_findings
from service.settings import load
from stores.control import registry
from stores.control.database import Database, sqlite_url
from stores.datasets.store import shard_key
from tests.installation import MODEL, register
from tests.operations.test_verify_dataset import changed
from tests.reviewing import command as models
from tests.sealed import Installed, command, install, said_by
from tests.support import NOW


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("sealed"))


def test_list_show_and_card(installed: Installed, tmp_path: Path) -> None:
    digest = installed.second.digest
    listed = command(installed, "list")
    assert installed.first.digest[:12] in listed
    assert digest[:12] in listed
    assert [d["version"] for d in said_by(installed, "list")] == ["1.0.0", "2.0.0"]
    shown = said_by(installed, "show", digest[:8])
    assert shown["statistics"] == installed.second.statistics
    assert shown["statistics"]["drift"]["psi"]["quality"]["index"] > 0
    assert command(installed, "card", digest[:8]).startswith("# Dataset 2.0.0 of default/m\n")
    page = tmp_path / "card.html"
    assert str(page) in command(installed, "card", digest, "--html", str(page))
    assert page.read_text().startswith("<!doctype html>")
    for place in (tmp_path / "no" / "card.html", tmp_path, page / "card.html"):
        line = command(installed, "card", digest, "--html", str(place), code=2)
        assert Code.BAD_OPTION.number in line
        assert str(place) in line
        assert "free space" not in line


def test_a_summary_is_short_and_names_what_was_trained_on_it(installed: Installed) -> None:
    manifest = installed.second
    database = Database(sqlite_url(load(installed.config).places.database))
    facts_of = {"dataset_digest": manifest.digest, "dataset_version": manifest.version}
    database.write(lambda c: register(c, "1.7.0", Stage.STAGING, model=MODEL, **facts_of))
    shown = command(installed, "show", manifest.digest[:8])
    facts = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert len(facts) == len(shown.splitlines()) < 15
    assert facts["dataset"] == "2.0.0 of default/m"
    assert facts["digest"] == manifest.digest
    assert facts["parent"] == installed.first.digest
    assert facts["golden"] == manifest.golden
    assert facts["pairs"].startswith(f"{sum(manifest.pairs.values()):,}: ")
    assert f"of {manifest.statistics['candidates']:,} candidates" in facts["examples"]
    assert f"{manifest.dropped['low_quality']:,} low_quality" in shown
    assert "execution.completed [0] 300" in facts["offsets"]
    assert facts["trained"] == "default/m 1.7.0 (STAGING)"
    assert "no adapter" in command(installed, "show", installed.first.digest[:8])
    config = ("--config", str(installed.config))
    (version,) = json.loads(models("models", "list", "--json", *config)[0])
    assert (version["dataset"], version["dataset_version"]) == (manifest.digest, "2.0.0")
    assert manifest.digest[:12] in models("models", "list", *config)[0]


def test_the_datasets_of_one_model(installed: Installed) -> None:
    assert len(said_by(installed, "list", "m")) == 2
    assert Code.NO_SUCH_MODEL.number in command(installed, "list", "nix", code=2)
    assert Code.NO_SUCH_MODEL.number in command(installed, "list", "m", "--tenant", "b", code=2)


def test_review_of_no_runs_is_one_line(installed: Installed) -> None:
    for limit in ("0", "-1"):
        line = command(installed, "review", "m", "--limit", limit, code=2)
        assert Code.BAD_OPTION.number in line
        assert f"--limit {limit}" in line


def test_no_digest_and_the_start_of_several_are_one_line(installed: Installed) -> None:
    for name in ("show", "card", "verify"):
        assert Code.NO_SUCH_DATASET.number in command(installed, name, "nix", code=2)
    assert "'' is the start of 2" in command(installed, "show", "", code=2)
    assert Code.NO_SUCH_DATASET.number in command(installed, "diff", "nix", "nix", code=2)


def test_diff_in_words_and_in_full(installed: Installed) -> None:
    pair = (installed.first.digest[:10], installed.second.digest[:10])
    said = command(installed, "diff", *pair)
    assert "min_quality" in said
    assert "low_quality" in said
    assert "Population stability index" in said
    found = said_by(installed, "diff", *pair)
    assert f"{len(found['added'])} added, {len(found['removed'])} removed, 0 changed" in said
    nothing = command(installed, "diff", pair[0], pair[0])
    assert "0 added, 0 removed, 0 changed, 0 moved, 0 reweighed" in nothing


def test_verify_says_yes_and_then_what_is_wrong(installed: Installed) -> None:
    store, manifest = installed.store, installed.second
    said = command(installed, "verify", manifest.digest)
    assert "The dataset is what its manifest says." in said
    assert not any(said_by(installed, "verify", manifest.digest)["crossing"].values())
    key = shard_key(next(s for s in manifest.shards if s.kind is ShardKind.PAIRS))
    whole = store.objects.get(key)
    store.objects.put(key, whole[:100])
    try:
        assert Code.DATASET_CORRUPT.number in command(installed, "verify", manifest.digest, code=2)
    finally:
        store.objects.put(key, whole)


def test_a_damaged_dataset_is_mended_though_rows_came_since(tmp_path: Path) -> None:
    found = install(tmp_path)
    found.config.write_text(f"{found.config.read_text()}models: [{{name: m}}, {{name: n}}]\n")
    first = found.first.digest
    found.store.objects.put(f"datasets/{first}/index.parquet", b"{}")
    line = command(found, "verify", first, code=2)
    assert "not checked" in line
    assert "seal MODEL --again DIGEST" in line
    other = command(found, "seal", "n", "--again", first, code=2)
    assert Code.BAD_OPTION.number in other
    assert said_by(found, "seal", "m", "--again", first[:8])["digest"] == first
    assert "The dataset is what its manifest says." in command(found, "verify", first)


def test_verify_says_what_it_could_not_check(capsys: pytest.CaptureFixture[str]) -> None:
    _print_findings(
        {
            "shards": 1,
            "examples": 0,
            "pairs": 0,
            "faults": ["index.parquet cannot be read"],
            "crossing": {"row": None, "user": 2},
            "golden": {"row": 0},
        }
    )
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if "row" in line]
    assert "not checked" in row
    (user,) = [line for line in said.splitlines() if "user" in line]
    assert "2" in user


def test_verify_of_a_dataset_that_leaks_ends_with_2(installed: Installed) -> None:
    def share(records: list[dict[str, object]], index: list[dict[str, object]]) -> None:
        for place, line in enumerate(index):
            if line["split"] != index[0]["split"]:
                records[place]["user"] = records[0]["user"]
                return

    leaky = changed(installed.store, installed.second, share, honest=True)
    database = Database(sqlite_url(load(installed.config).places.database))
    facts: dict[str, Any] = {
        "tenant": "default",
        "model": "m",
        "version": "9.0.0",
        "uri": "file:///nowhere",
    }
    facts |= {"counts": leaky.counts, "generation": 0, "parent": None, "job_id": None}
    database.write(lambda c: registry.add_dataset(c, NOW, digest=leaky.digest, **facts))
    line = command(installed, "verify", leaky.digest, code=2)
    assert Code.DATASET_LEAKS.number in line
    assert "1 by user" in line


def test_export_and_what_it_refuses(installed: Installed, tmp_path: Path) -> None:
    digest = installed.second.digest
    out = tmp_path / "out"
    said = command(installed, "export", digest, "--format", "alpaca", "--out", str(out))
    assert "Left out: " in said
    assert {path.name for path in out.iterdir()} > {"train.jsonl", "manifest.json", "README.md"}
    again = command(installed, "export", digest, "--out", str(out), code=2)
    assert Code.FOREIGN_FOLDER.number in again
    other = command(installed, "export", digest, "--format", "csv", "--out", "x", code=2)
    assert "parquet, chat-jsonl, alpaca, preference, kto" in other
    found = said_by(installed, "export", digest, "--format", "kto", "--out", str(tmp_path / "kto"))
    assert [file["split"] for file in found["files"]] == ["train", "validation", "test"]
