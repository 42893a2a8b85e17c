"""Real traces of `../shared/data` on their way from a file to a sealed dataset, in tests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from processors.imports.users import acting_user
from schemas.chat import Message
from schemas.datasets import Manifest
from schemas.rows import Row
from schemas.telemetry import NoMeter
from service.settings import load
from service.wiring import Wiring, clock
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.durable import LOG
from tests import processes

MODEL = "gpt-4.1"
"""As the tau2 files name it. The others name no model, so it is stated for them."""
IDENTIFIERS = {
    "USER": r"\b[a-z]+_[a-z]+_[0-9]{4}\b",
    "ORDER": r"#W[0-9]{7}",
    "PAYMENT": r"\b(?:credit_card|gift_card|paypal|certificate)_[0-9]{4,7}\b",
    "FLIGHT": r"\bHAT[0-9]{3}\b",
    "NUMBER": r"\b[0-9]{10}\b",
    "BOOKING": r"\b[A-Z0-9]{6}\b",
}
RECIPE = {
    "since": "2025-01-01T00:00:00Z",
    "min_examples": 50,
    "golden_size": 0,
    "validation_share": 0.05,
    "test_share": 0.3,
}


def tau_bench(data: Path) -> list[Path]:
    """Airline runs of gpt-4o: 50 tasks, 4 trials."""
    return [data / "tau-bench-airline-gpt4o" / "gpt-4o-airline.json.gz"]


def tau2(data: Path, side: str) -> list[Path]:
    """Airline and retail runs of one side, `base` or `sft`."""
    return [data / "tau2-sft-ab" / f"{side}_{d}_default.json.gz" for d in ("airline", "retail")]


def write_openai_chat(data: Path, file: Path) -> int:
    """The tuned side's runs as somebody's own log in OpenAI's form; how many there are."""
    lines = []
    for source in tau2(data, "sft"):
        content = json.loads(gzip.decompress(source.read_bytes()))
        domain = content["info"]["environment_info"]["domain_name"]
        lines += [json.dumps(_line(run, domain)) for run in content["simulations"]]
    file.write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def _line(run: dict[str, Any], domain: str) -> dict[str, Any]:
    turns = [_turn(turn) for turn in run["messages"]]
    return {
        "id": run["id"],
        "time": run["end_time"],
        "agent_id": f"log-{domain}",
        "domain": domain,
        "task": {"id": f"tau2/{domain}/{run['task_id']}"},
        "outcome": "success" if run["reward_info"]["reward"] >= 1 else "failure",
        "messages": turns,
        "user_id": acting_user([Message.model_validate(turn) for turn in turns]),
    }


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    said = {"role": turn["role"], "content": turn["content"]}
    if turn["role"] == "tool":
        return {**said, "tool_call_id": turn["id"], "error": turn["error"]}
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for call in turn.get("tool_calls") or ()
    ]
    return {**said, "tool_calls": calls} if calls else said


class Installation:
    """Lorikeet's own commands on one installation, fed from a real broker."""

    def __init__(self, folder: Path, broker: str, prefix: str) -> None:
        self._config = processes.write_config(
            folder,
            broker,
            kafka={"prefix": prefix},
            ingest={"member_id": "one", "flush_seconds": 0.3},
            curation={"identifiers": IDENTIFIERS},
            models=[{"name": MODEL, "recipe": RECIPE}],
        )
        self._folder = folder
        self.wiring = Wiring(load(self._config), NoMeter())

    def bring(self, kind: str, files: list[Path]) -> dict[str, Any]:
        """`lorikeet import`, with derived tools; what it said."""
        options = ("--derive-tools", "--model", MODEL, "--trust", "verified", "--json")
        config = ("--config", str(self._config))
        done = processes.run("import", kind, *map(str, files), *options, *config)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def ingest(self, count: int) -> list[Row]:
        """`lorikeet ingest` until the ledger has so many rows; all of them."""
        ledger = self._folder / "data" / "ledger"
        child = processes.start(
            "ingest", "--config", str(self._config), log=self._folder / "ingest.log"
        )
        try:
            processes.wait_for(lambda: _count(ledger) >= count, f"{count} rows", 60)
        finally:
            processes.end(child)
        return list(DeltaLedgerReader(ledger).rows())

    def seal(self) -> Manifest:
        """What the ledger holds now, as a dataset."""
        self.wiring.count_ledger()
        offsets = DeltaLedgerReader(self._folder / "data" / "ledger").offsets()
        return self.wiring.seal_dataset(
            "default", MODEL, self.wiring.settings.model("default", MODEL).recipe, offsets, clock()
        )


def _count(ledger: Path) -> int:
    if not (ledger / LOG).exists():
        return 0
    return int(DeltaLedgerReader(ledger).table(["offset"]).num_rows)
