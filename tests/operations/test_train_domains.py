"""`lorikeet domains train`: what of the ledger it learns from, and what it refuses."""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from operations import train_domains
from operations.train_domains import TrainDomains, load
from processors.curation.domains.model import UNKNOWN
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Disposition, Row
from service.cli import main
from stores.artifacts.objects import ObjectFolder
from stores.ledger.delta import DeltaLedgerWriter
from tests import processes
from tests.support import NOW, row
from tests.topics import corpus

TOPIC = "execution.completed"
DAYS = 30.0


def declared(offset: int, text: str, domain: str | None, task: str, **changes: Any) -> Row:
    """A row of an execution as ingest writes it."""
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "done"}]
    facts = {"domain": domain, "task": task, "trust": "internal", "event_time": NOW}
    content = json.dumps({"messages": turns, "tools": None})
    return row(offset, content=content, **{**facts, **changes})


def rows(*names: str, tasks: int = 30, start: int = 0, **changes: Any) -> list[Row]:
    """Rows of made-up topics."""
    found = zip(*corpus(*names, tasks=tasks), strict=True)
    return [declared(start + n, *one, **changes) for n, one in enumerate(found)]


def ledger(folder: Path, *batches: Sequence[Row]) -> Path:
    """A ledger with one commit a batch, all of partition 0, renumbered in their order."""
    writer = DeltaLedgerWriter(folder, "c")
    place = TopicPartition(TOPIC, 0)
    writer.claim([place])
    offset = 0
    for batch in batches:
        numbered = [one._replace(offset=offset + n) for n, one in enumerate(batch)]
        offset += len(batch)
        writer.append(numbered, {place: offset})
    return folder


def train(where: Path, objects: Path, tenant: str = "default") -> dict[str, Any]:
    """What training says."""
    return TrainDomains(where, ObjectFolder(objects.as_uri()))(tenant, days=DAYS)


def digest(folder: Path, *batches: Sequence[Row]) -> str:
    """The model of a ledger with these rows."""
    return str(train(ledger(folder / "ledger", *batches), folder / "objects")["digest"])


def refusal(folder: Path, some: Iterable[Row]) -> str:
    """What is said where nothing can be learned."""
    with pytest.raises(Unrecoverable) as raised:
        digest(folder, list(some))
    assert raised.value.code is Code.TOO_FEW_DOMAINS
    assert not list((folder / "objects").rglob("*.json"))
    return str(raised.value)


def test_a_model_is_kept_under_its_digest_and_measured_on_held_out_tasks(tmp_path: Path) -> None:
    where = ledger(tmp_path / "ledger", rows("trains", "cooking"), rows("law", tasks=9))
    said = train(where, tmp_path / "objects")
    assert said["texts"] == {"trains": 48, "cooking": 48}
    assert said["left_out"] == {"law": 9}
    assert said["tested"] == 24
    assert said["accuracy"] > 0.8
    assert said["accuracy"] + said["called_unknown"] <= 1
    assert set(said["domains"]) == {"trains", "cooking"}
    objects = ObjectFolder((tmp_path / "objects").as_uri())
    kept = {key.rsplit("/", 1)[-1] for key in objects.keys(f"domains/{said['digest']}/")}
    assert kept == {"model.json", "weights.npy", "lengths.npy"}
    model = load(objects, said["digest"])
    assert model.labels == ("cooking", "trains")
    assert model.trained["tenant"] == "default"
    assert model.names(model.predict(["flour butter oven bake", "xyzzy"])) == ["cooking", UNKNOWN]


def test_the_order_of_rows_and_commits_changes_nothing(tmp_path: Path) -> None:
    some = rows("trains", "cooking")
    turned = some[:]
    random.Random(3).shuffle(turned)
    first = digest(tmp_path / "a", some)
    assert digest(tmp_path / "b", turned[:50], turned[50:]) == first
    assert digest(tmp_path / "c", some, some) == first, "what is said twice counts once"
    assert digest(tmp_path / "d", some[:-2]) != first


def test_of_many_texts_the_same_are_used_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_domains, "MOST_TEXTS", 40)
    some = rows("trains", "cooking")
    turned = [*some[::-1], *some]
    first = train(ledger(tmp_path / "a", some), tmp_path / "objects")
    again = train(ledger(tmp_path / "b", turned), tmp_path / "objects")
    assert first["digest"] == again["digest"]
    assert sum(first["texts"].values()) + first["tested"] == 80


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "other"},
        {"trust": "unknown"},
        {"disposition": Disposition.DUPLICATE},
        {"disposition": Disposition.DEAD_LETTER},
        {"event_time": NOW - timedelta(days=DAYS + 1)},
        {"content": None},
        {"domain": "unknown"},
        {"domain": ""},
        {"user": "gone"},
        {"source": "urn:gone", "run_id": "r"},
    ],
    ids=str,
)
def test_what_may_not_teach_does_not(tmp_path: Path, changes: dict[str, Any]) -> None:
    known = rows("trains", "cooking")
    said = {"type": "feedback.received", "feedback": "erasure", "event_time": NOW}
    subjects = [{"user": "gone"}, {"source": "urn:gone", "execution_id": "r"}]
    known += [row(900 + n, subject=json.dumps(s), **said) for n, s in enumerate(subjects)]
    more = rows("law", tasks=30, start=1_000)
    assert digest(tmp_path / "a", known) != digest(tmp_path / "b", known, more)
    outside = [one._replace(**changes) for one in more]
    assert digest(tmp_path / "c", known, outside) == digest(tmp_path / "a2", known)


def test_too_little_is_refused_with_the_figures(tmp_path: Path) -> None:
    assert "has: none" in refusal(tmp_path / "a", [])
    assert "has: trains 30" in refusal(tmp_path / "b", rows("trains"))
    assert "has: cooking 9, trains 9" in refusal(tmp_path / "c", rows("trains", "cooking", tasks=9))
    undeclared = [one._replace(domain=None) for one in rows("trains", "cooking")]
    assert "has: none" in refusal(tmp_path / "d", undeclared)


def command(config: Path, *arguments: str, code: int = 0) -> str:
    """What `lorikeet domains train` says. In this process: that is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        given = ["lorikeet", "domains", "train", *arguments, "--config", str(config)]
        patch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, err.getvalue()
    assert len(err.getvalue().splitlines()) == (1 if code else 0), err.getvalue()
    return err.getvalue() if code else out.getvalue()


def test_the_command_says_what_it_learned_or_why_not(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None)
    ledger(tmp_path / "data" / "ledger", rows("trains", "cooking"), rows("law", tasks=9))
    said = json.loads(command(config, "--json"))
    kept = tmp_path / "data" / "objects" / "domains" / said["digest"]
    assert (kept / "model.json").exists()
    table = command(config)
    assert f"Model {said['digest']}" in table
    assert "Left out: law, which has only 9 tasks" in table
    line = command(config, "--tenant", "nobody", code=2)
    assert line.startswith(f"lorikeet: {Code.TOO_FEW_DOMAINS.number} ")
    assert "has: none" in line
