"""Texts of real agent runs in which hardly anything is personal data: what redaction finds there is false.

InterCode (SQL and bash) and MINT (reasoning, code, household): questions, actions, what tools answered.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TURNS = ("actions", "observations", "thoughts", "steps")


def intercode(data: Path) -> Iterator[str]:
    """The texts of InterCode's runs."""
    for file in sorted((data / "intercode-sql-bash").rglob("*.json.gz")):
        runs = json.loads(gzip.decompress(file.read_bytes()))
        for run in (runs.get("logs") or runs).values():
            yield run["query"]
            history = run.get("turn_history") or {}
            for name in _TURNS:
                yield from _texts(history.get(name))


def mint(data: Path) -> Iterator[str]:
    """The texts of MINT's episodes."""
    for file in sorted((data / "mint").glob("*.jsonl.gz")):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            for message in json.loads(line)["state"]["history"]:
                yield from _texts(message["content"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
