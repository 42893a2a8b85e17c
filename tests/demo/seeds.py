"""`make demo-seeds`: the demonstration for five other seeds, and without the swap; a line each."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.demo.conftest import start


def main() -> int:
    """Run them one after the other; 1 if any of them does not hold."""
    held = True
    options = [["--seed", str(seed)] for seed in (1, 2, 3, 4, 5)] + [["--no-swap"]]
    for option in options:
        with tempfile.TemporaryDirectory() as folder:
            demonstration = start(Path(folder), *option)
            code = demonstration.process.wait(600)
            report = json.loads(demonstration.report_file.read_text()) if code == 0 else {}
            if code:
                print(demonstration.log.read_text()[-2000:])
        held &= code == 0 and _holds(report, swapped="--no-swap" not in option)
        print(" ".join(option), _line(report) if report else f"exit {code}", flush=True)
    return int(not held)


def _holds(report: dict[str, Any], *, swapped: bool) -> bool:
    rate = {phase: found["rate"] for phase, found in report["success_rate"].items()}
    drop = rate["before_drift"] - rate["after_drift"]
    gain = rate["after_promotion"] - rate["after_drift"]
    events = dict(report["events"])
    whole = events.pop("received") == sum(events.values())
    if not swapped:
        return drop >= 0.30 and gain < 0.10 and whole and not report["promoted"]
    restored = report["rolled_back"][0]["time_to_restore_s"] if report["rolled_back"] else 99
    quick = report["duration_s"] < 240 and restored < 10
    return drop >= 0.30 and gain >= 0.25 and whole and quick and bool(report["promoted"])


def _line(report: dict[str, Any]) -> str:
    rates = " → ".join(
        f"{100 * found['rate']:.1f} % (n {found['n']})" for found in report["success_rate"].values()
    )
    restored = [f"{found['time_to_restore_s']:.2f} s" for found in report["rolled_back"]]
    return f"{rates}; promoted {len(report['promoted'])}, restored {restored}, {report['duration_s']} s"


if __name__ == "__main__":
    sys.exit(main())
