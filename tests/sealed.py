"""An installation whose ledger was sealed twice, for tests of what people do with datasets.

Runs of three domains, some with several turns, some of plain text; corrections, thumbs, duplicates, findings of
personal data, own output, poor ones. The second dataset has a later window and a stricter recipe.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.seal_dataset import SealDataset
from schemas.datasets import Manifest, Recipe
from schemas.records import TopicPartition
from schemas.rows import Row
from schemas.telemetry import NoMeter
from service.cli import main
from service.settings import load
from stores.artifacts.objects import ObjectFolder
from stores.control.database import Database, sqlite_url
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerWriter
from tests import processes
from tests.processors.small import FEEDBACK, answer, edited, prompt, run, said, user
from tests.support import NOW, TOOLS, call

RUNS, LATER = 240, 60
RECIPE = Recipe(min_examples=20, golden_size=5, max_own_share=0.9)
STRICTER = RECIPE.model_copy(update={"min_quality": 80.0})
DOMAINS = ("rail", "air", "sea")
ADAPTER = "a" * 64
_RUNS_OF = TopicPartition("execution.completed", 0)
_SAID_OF = TopicPartition(FEEDBACK, 0)


@dataclass(frozen=True)
class Installed:
    """A configuration, the store of its installation, and both manifests."""

    config: Path
    store: DatasetStore
    first: Manifest
    second: Manifest


def install(folder: Path) -> Installed:
    """Write a ledger and seal it twice."""
    config = processes.write_config(folder, None, models=[{"name": "m"}])
    settings = load(config)
    store = DatasetStore(ObjectFolder(settings.places.objects))
    database = Database(sqlite_url(settings.places.database))
    writer = DeltaLedgerWriter(settings.places.ledger, "c")
    writer.claim([_RUNS_OF, _SAID_OF])
    runs = [_run(number) for number in range(RUNS + LATER)]
    opinions = list(_opinions())
    ends = {_RUNS_OF: RUNS + LATER, _SAID_OF: len(opinions)}
    writer.append([*runs, *opinions], ends)
    seal = SealDataset(database, settings.places.ledger, store, NoMeter())
    said_so_far = {f"c:{FEEDBACK}:0": len(opinions)}
    sealed = [
        seal("default", "m", recipe, {"c:execution.completed:0": end, **said_so_far}, NOW)
        for recipe, end in ((RECIPE, RUNS), (STRICTER, RUNS + LATER))
    ]
    return Installed(config, store, *sealed)


def _run(number: int) -> Row:
    quality = 60.0 if number % 16 == 1 else 75.0 if number % 16 == 2 else 82.0 + number % 13
    retold = number % 12 == 10
    asked = number - 1 if retold else number
    facts: dict[str, Any] = {
        "model": "m",
        "tenant": "default",
        "user": f"user-{number // 2}",
        "session": f"session-{number // 2}",
        "task": f"task-{number - number % 2 if number % 8 == 0 else number}",
        "domain": DOMAINS[number % 3],
        "origin": "production",
        "source": f"urn:{'desk' if number % 4 else 'shop'}",
        "quality": 30.0 if retold else quality,
        "prompt_digest": f"prompt-{asked}",
        "event_time": NOW - timedelta(hours=RUNS + LATER - number),
        "confidence": 0.7 + 0.01 * (number % 30),
        "success": number % 5 != 0,
        "steps": 1 + number % 4,
        "tokens": 40.0 + number % 7,
        "adapter_digest": ADAPTER if number % 3 == 0 else None,
        "pii": json.dumps({"EMAIL": {f"hmac-{number % 6}": 2}}) if number % 10 == 0 else None,
    }
    return run(number, *_turns(number, _prompt(asked)), tools=TOOLS, **facts)


def _prompt(number: int) -> str:
    """Words of its own, but for some that resemble the one before, or are the same."""
    if number % 20 == 5:
        return f"{prompt(number - 1)} please"
    return prompt(number - 1 if number % 20 == 16 else number)


def _turns(number: int, asked: str) -> list[dict[str, Any]]:
    """A plain answer, a call, or a call, its result and what was made of it."""
    if number % 6 == 0:
        return [user(asked), answer(content=f"there is none for {number}")]
    if number % 6 == 1:
        system = {"role": "system", "content": "you book trips"}
        return [system, user(asked), answer(content=f"it costs {number}")]
    called = answer(call("search", to=f"city {number}", at={"x": number / 8, "y": [1, None]}))
    if number % 6 == 2:
        return [user(asked), called]
    more = answer(call("book", id=number), call("search"))
    found = {"role": "tool", "content": f"train {number}", "name": "search"}
    return [user(asked), called, found, more]


def _opinions() -> list[Row]:
    edits = list(range(7, RUNS, 12))
    found = [edited(place, number, f"right {number}") for place, number in enumerate(edits)]
    found += [said(len(edits) + place, n, value=1.0) for place, n in enumerate(range(3, RUNS, 9))]
    return found


def command(installed: Installed, *arguments: str, code: int = 0) -> str:
    """What `lorikeet datasets …` prints, on stderr in one line if it fails."""
    out, err = io.StringIO(), io.StringIO()
    line = ["lorikeet", "datasets", *arguments, "--config", str(installed.config)]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, err.getvalue()
    assert len(err.getvalue().splitlines()) == (1 if code else 0), err.getvalue()
    return f"{out.getvalue()}{err.getvalue()}"


def said_by(installed: Installed, *arguments: str) -> Any:
    """The same with --json, decoded."""
    return json.loads(command(installed, *arguments, "--json"))
