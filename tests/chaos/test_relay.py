"""A crash between deciding, publishing and marking neither loses nor doubles an event."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from operations.relay_outbox import STEPS
from producers.connection import KafkaConnection
from service.demo.lifecycle import lifecycle_events
from stores.control import outbox
from tests.installation import database

pytestmark = pytest.mark.kafka
KILLS = 10


def _run(folder: Path, broker: str, prefix: str, *options: str) -> int:
    command = [sys.executable, "-m", "tests.chaos.relay_process", str(folder), broker, prefix]
    return subprocess.run([*command, *options], check=False, timeout=60).returncode


@pytest.mark.parametrize("step", ["recovered", "sent"])
def test_each_event_is_on_the_topic_once_after_ten_kills(
    step: str, tmp_path: Path, broker: str, prefix: str
) -> None:
    """`recovered` lies between the promotion's transaction and its publication, `sent` between the
    publication and its mark."""
    assert step in STEPS
    killed = 0
    for number in range(KILLS):
        version = f"1.{number}.0"
        code = _run(tmp_path, broker, prefix, "--promote", version, "--die-after", step)
        killed += code == -9
        waiting = {event.type for event in database(tmp_path).read(outbox.pending)}
        assert "model.promoted" in waiting, "the kill has to hit before the event was marked"
        assert _run(tmp_path, broker, prefix) == 0
    print(f"killed after {step!r}: {killed} of {KILLS}")
    assert killed == KILLS
    events = lifecycle_events(KafkaConnection(broker), prefix)
    assert Counter(Counter(e["id"] for e in events).values()) == {1: len(events)}
    promoted = [e["data"]["version"] for e in events if e["type"] == "model.promoted"]
    assert promoted == [f"1.{number}.0" for number in range(KILLS)], "once each, in order"


def test_a_relay_waits_while_another_holds_the_lease(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    _run(tmp_path, broker, prefix, "--promote", "1.0.0", "--die-after", "leased")
    assert lifecycle_events(KafkaConnection(broker), prefix) == []
    assert _run(tmp_path, broker, prefix) == 0
    kinds = [event["type"] for event in lifecycle_events(KafkaConnection(broker), prefix)]
    assert kinds == ["model.candidate", "model.route", "model.promoted", "model.route"]
