#!/usr/bin/env python3
"""What has to be true of a running stack; each check waits for it, and fails if it does not come.

    check.py records 600                       so many records are in the ledger
    check.py training                          a training job came to its end
    check.py targets ingest control api …      Prometheus sees these processes, all up

Runs in the api container, with nothing but what is there. Exit code 1 says what was found instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx

Check = Callable[[], tuple[bool, str]]


def records(wanted: int) -> tuple[bool, str]:
    """(whether the ledger holds so many records and accepted some, what it holds)."""
    done = subprocess.run(  # noqa: S603 - our own program
        [str(Path(sys.executable).with_name("lorikeet")), "status", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)["records"]
    return found["received"] >= wanted and found["accepted"] > 0, json.dumps(found)


def training(api: str) -> tuple[bool, str]:
    """(whether a job is completed, what the API says); the API has to refuse strangers meanwhile."""
    url = f"{api}/v1/jobs"
    if httpx.get(url).status_code != HTTPStatus.UNAUTHORIZED:
        sys.exit(f"{url} answers without a token")
    token = Path(os.environ["LORIKEET_API__TOKEN_FILE"]).read_text().strip()
    answer = httpx.get(url, headers={"authorization": f"Bearer {token}"}).raise_for_status()
    jobs = {job["id"]: (job["state"], job["version"], job["error"]) for job in answer.json()}
    if any(state == "FAILED" for state, *_ in jobs.values()):
        sys.exit(f"a training job failed: {jobs}")
    return any(state == "COMPLETED" for state, *_ in jobs.values()), str(jobs)


def targets(prometheus: str, processes: frozenset[str]) -> tuple[bool, str]:
    """(whether exactly these processes are scraped and up, what Prometheus says)."""
    answer = httpx.get(f"{prometheus}/api/v1/targets", params={"state": "active"})
    active = answer.raise_for_status().json()["data"]["activeTargets"]
    health = {target["labels"].get("process", "?"): target["health"] for target in active}
    right = health.keys() == processes and set(health.values()) == {"up"}
    return right, str(health)


def wait(check: Check, seconds: float) -> str:
    """What was found when it became true. Exits with what was found last if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            right, found = check()
        except httpx.HTTPError as error:
            right, found = False, repr(error)
        if right:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds:.0f} s: {found}")
        time.sleep(1.0)


def main() -> None:
    """One check a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--api", default="http://api:8900")
    parser.add_argument("--prometheus", default="http://prometheus:9090")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to wait")
    parser.add_argument("check", choices=["records", "training", "targets"])
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()
    checks: dict[str, Check] = {
        "records": lambda: records(int(options.wanted[0])),
        "training": partial(training, options.api),
        "targets": partial(targets, options.prometheus, frozenset(options.wanted)),
    }
    found = wait(checks[options.check], options.seconds)
    sys.stdout.write(f"{options.check}: {found}\n")


if __name__ == "__main__":
    main()
