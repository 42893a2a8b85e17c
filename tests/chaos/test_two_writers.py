"""Two processes that believe they own one partition: the fenced one drops and claims again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from stores.ledger.compaction import compact
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.local import LocalPlace
from tests.ledgers import TOPIC, places, writer
from tests.processes import ROOT

END = 500
"""Rows, in commits of one to three: some 250."""


def test_two_hundred_racing_commits_double_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.rival_process", str(tmp_path), str(END)]
    writer(tmp_path)
    both = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in both):
        compact(LocalPlace(tmp_path), 16, closed="9")
        time.sleep(0.5)
    found = [json.loads(process.communicate()[0]) for process in both]
    print(f"committed and fenced: {found}")
    assert [process.returncode for process in both] == [0, 0]
    committed = [line["committed"] for line in found]
    assert sum(committed) >= 200
    assert min(committed) > 0
    assert sum(line["fenced"] for line in found) > 10, "they did race"
    end = DeltaLedgerReader(tmp_path).offsets()[f"c:{TOPIC}:0"]
    assert places(tmp_path) == dict.fromkeys(((0, offset) for offset in range(end)), 1)
