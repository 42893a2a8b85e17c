"""The loop, closed: a changed world is learned, a bad candidate is sent back, all of it accounted for.

The tests look at one demonstration that keeps running; the last ones end it and look for leftovers.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from schemas.telemetry import Metric
from tests.demo.checker import Checker
from tests.demo.conftest import Demonstration, start
from tests.processes import listening, wait_for, with_path

pytestmark = [pytest.mark.demo, pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def checker(kept: Demonstration) -> Checker:
    return Checker(kept.data, kept.bootstrap)


def test_the_world_was_learned_and_harm_was_undone(kept: Demonstration) -> None:
    report = kept.report
    print(json.dumps(report, indent=1))
    rates = report["success_rate"]
    assert all(rates[phase]["n"] >= 100 for phase in rates)
    assert rates["before_drift"]["rate"] - rates["after_drift"]["rate"] >= 0.30
    assert rates["after_promotion"]["rate"] - rates["after_drift"]["rate"] >= 0.25
    assert len(report["promoted"]) >= 1
    assert len(report["rolled_back"]) >= 1
    assert report["rolled_back"][0]["to"] == report["promoted"][0]["version"]
    assert report["rolled_back"][0]["time_to_restore_s"] < 10
    assert report["duration_s"] < 240
    assert kept.seconds < 240


def test_every_record_is_accounted_for(kept: Demonstration) -> None:
    events = dict(kept.report["events"])
    received = events.pop("received")
    assert sum(events.values()) == received
    assert all(events[name] > 0 for name in ("accepted", "rejected", "duplicate", "dead_letter"))


def test_a_checker_gets_the_same_summary_from_kafka_ledger_and_registry(
    kept: Demonstration, checker: Checker
) -> None:
    report = {name: value for name, value in kept.report.items() if name != "duration_s"}
    summary = checker.summary()
    for phase, rate in summary["success_rate"].items():
        assert report["success_rate"][phase] == pytest.approx(rate), phase
    assert {**report, "success_rate": 0} == {**summary, "success_rate": 0}


def test_live_tasks_after_the_promotion_were_in_no_sealed_set(checker: Checker) -> None:
    sealed, live = checker.sealed_prompts(), checker.live_prompts_after_promotion()
    assert len(live) >= 100
    assert len(sealed) >= 300
    assert sealed.isdisjoint(live)


def test_the_registry_agrees_with_the_events(checker: Checker) -> None:
    stages = dict(checker.registry("SELECT version, stage FROM adapters"))
    aliases = dict(checker.registry("SELECT alias, version FROM aliases"))
    promoted = checker.of("model.promoted")[0]["data"]["version"]
    rolled = checker.of("model.rolled_back")[0]["data"]["from"]["version"]
    assert stages == {promoted: "PRODUCTION", rolled: "ARCHIVED"}
    assert aliases["champion"] == promoted
    order = [e["ce_type"] for e in checker.events if e["ce_type"] != "model.route"]
    wanted = ["model.candidate", "model.promoted", "model.candidate", "model.rolled_back"]
    assert [kind for kind in order if kind != "model.converged"] == wanted
    assert order.index("model.rolled_back") < len(order) - 1
    assert order[-1] == "model.converged"


def test_arms_were_true_to_their_weights_and_decided_on_enough(checker: Checker) -> None:
    evidence = checker.of("model.promoted")[0]["data"]["evidence"]["metrics"][0]
    assert min(evidence["n_candidate"], evidence["n_stable"]) >= 150
    assert evidence["low"] > 0
    rollout_id = checker.registry("SELECT id FROM rollouts WHERE version = '1.0.0'")[0][0]
    rows = [row for row in checker.runs if row["rollout_id"] == rollout_id]
    arms = Counter((row["arm"], row["adapter_digest"]) for row in rows)
    digest = checker.of("model.promoted")[0]["data"]["adapter_digest"]
    assert {arm for arm, _ in arms} == {"stable", "baseline", "candidate"}
    assert {served for arm, served in arms if arm == "candidate"} == {digest}
    assert {served for arm, served in arms if arm != "candidate"} == {None}
    candidate, baseline = arms["candidate", digest], arms["baseline", None]
    assert 0.75 < candidate / baseline < 1.33, "both arms have the same weight"


def test_no_personal_data_reached_the_ledger(checker: Checker) -> None:
    text = json.dumps([row["content"] for row in checker.rows])
    assert "<EMAIL_1>" in text
    assert "<CARD_1>" in text
    assert "@example.com" not in text
    assert "4111 1111" not in text


def test_every_metric_of_the_table_has_a_sample(kept: Demonstration) -> None:
    tree = kept.settings
    urls = [f"http://127.0.0.1:{port}/metrics" for port in tree["metrics"].values()]
    urls += [f"http://127.0.0.1:{tree['api']['port']}/metrics"]
    urls += [f"{url}/metrics" for url in tree["models"][0]["gateways"]]
    pages = "\n".join(httpx.get(url, timeout=10).text for url in urls)
    samples = {line.split("{")[0].split(" ")[0] for line in pages.splitlines() if line[:1] != "#"}
    missing = []
    for metric in Metric:
        spec = metric.spec
        name = f"{spec.name}_count" if spec.kind == "histogram" else spec.name
        if spec.needs is None and name not in samples:
            missing.append(spec.name)
    assert missing == []


def test_the_picture_shows_both_arms_and_every_decision(kept: Demonstration) -> None:
    text = (kept.data / "success.svg").read_text()
    root = ET.fromstring(text)
    said = "".join(root.itertext())
    for event in ("the world changes", "1.0.0 candidate", "1.0.0 promoted", "1.1.0 rolled back"):
        assert event in said
    assert text.count("<polyline") > 8


def test_status_tells_what_is_there(kept: Demonstration) -> None:
    from tests import processes

    config = str(kept.data / "lorikeet.yaml")
    for command in (
        ("status",),
        ("datasets", "list"),
        ("models", "list"),
        ("rollouts", "list"),
    ):
        plain = processes.run(*command, "--config", config)
        assert plain.returncode == 0, plain.stderr
        as_json = processes.run(*command, "--config", config, "--json")
        assert json.loads(as_json.stdout)
    status = json.loads(processes.run("status", "--config", config, "--json").stdout)
    assert status["records"]["received"] >= kept.report["events"]["received"]
    assert status["models"][0]["serves"] == kept.report["promoted"][0]["version"]
    assert status["models"][0]["converged"]


def test_it_ends_on_ctrl_c_and_leaves_no_process_and_no_port(kept: Demonstration) -> None:
    ports = kept.ports()
    assert all(map(listening, ports))
    kept.process.send_signal(signal.SIGINT)
    assert kept.process.wait(60) == 0, kept.log.read_text()[-2000:]
    assert with_path(str(kept.data)) == []
    assert not any(map(listening, ports))


def _ended(demonstration: Demonstration, seconds: float) -> dict[str, Any]:
    wait_for(lambda: demonstration.process.poll() is not None, "its end", seconds)
    assert demonstration.process.returncode == 0, demonstration.log.read_text()[-3000:]
    return demonstration.report


def test_without_the_swap_the_gain_is_absent(tmp_path: Path) -> None:
    """The same story with a gateway that refuses adapters, begun by `make demo`."""
    report = _ended(start(tmp_path, "--no-swap", make=True), 600)
    rates = report["success_rate"]
    assert report["promoted"] == []
    assert report["rolled_back"] == []
    assert all(rates[phase]["n"] >= 100 for phase in rates)
    for phase in ("after_promotion", "after_rollback"):
        assert rates[phase]["rate"] - rates["after_drift"]["rate"] < 0.10
    events = dict(report["events"])
    assert events.pop("received") == sum(events.values())
    assert with_path(str(tmp_path / "demo")) == []


def test_a_killed_demonstration_leaves_no_process(tmp_path: Path) -> None:
    demonstration = start(tmp_path)
    wait_for(
        lambda: (
            "ingest, control, api, worker and the gateway are up" in demonstration.log.read_text()
        ),
        "the start",
        120,
    )
    assert len(with_path(str(demonstration.data))) > 4
    demonstration.process.kill()
    demonstration.process.wait()
    wait_for(lambda: not with_path(str(demonstration.data)), "the end of every child", 30)


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    precious = tmp_path / "demo" / "precious.txt"
    precious.write_text("mine")
    demonstration = start(tmp_path)
    assert demonstration.process.wait(30) == 2
    assert "E7110" in demonstration.log.read_text()
    assert precious.read_text() == "mine"
