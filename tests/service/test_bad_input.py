"""What a user can get wrong: one line that says what and what to do, exit code 2, no traceback."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from producers.connection import KafkaConnection
from schemas.errors import Code
from schemas.records import TopicPartition
from service.broker import free_port
from stores.ledger import durable
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.schema import LEDGER_VERSION
from tests import processes
from tests.consumers_support import publish, publish_executions
from tests.support import row


def one_line(code: Code, *arguments: str) -> str:
    """Run a command that must fail as a user's mistake; what it said."""
    done = processes.run(*arguments)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"lorikeet: {code.number} ")
    assert "Traceback" not in done.stdout + done.stderr
    return lines[0]


@pytest.mark.parametrize("command", ["ingest", "control"])
def test_a_broker_that_is_not_there(tmp_path: Path, command: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    config = processes.write_config(tmp_path, address)
    assert address in one_line(Code.NO_BROKER, command, "--config", str(config))


def test_no_broker_configured(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None)
    assert "--bootstrap" in one_line(Code.NO_BROKER, "ingest", "--config", str(config))


@pytest.mark.kafka
@pytest.mark.parametrize("command", ["ingest", "control"])
def test_a_topic_that_is_missing(tmp_path: Path, broker: str, command: str) -> None:
    config = processes.write_config(tmp_path, broker, kafka={"prefix": "nobody."})
    said = one_line(Code.NO_TOPIC, command, "--config", str(config))
    assert "nobody.execution.completed" in said
    assert "lorikeet dev topics" in said


@pytest.mark.kafka
def test_a_ledger_of_a_newer_version(tmp_path: Path, broker: str, prefix: str) -> None:
    config = processes.write_config(tmp_path, broker, kafka={"prefix": prefix})
    ledger = tmp_path / "data" / "ledger"
    DeltaLedgerWriter(ledger, "c")
    entry = durable.entry(ledger, 0)
    versions = (f'Version":"{LEDGER_VERSION}"', f'Version":"{LEDGER_VERSION + 1}"')
    entry.write_text(entry.read_text().replace(*versions))
    before = entry.read_text()
    one_line(Code.LEDGER_NEWER, "ingest", "--config", str(config))
    assert entry.read_text() == before, "nothing was touched"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder, nobody = tmp_path / "file" / "data", ("--bootstrap", "127.0.0.1:1")
    assert str(folder) in one_line(Code.UNWRITABLE, "ingest", "--data", str(folder), *nobody)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for command in ("ingest", "status"):
        said = one_line(Code.FOREIGN_FOLDER, command, "--data", str(file))
        assert f"{file} is a file" in said


def test_a_place_where_nothing_is_installed(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    assert str(folder) in one_line(Code.NO_SUCH_FILE, "status", "--data", str(folder))
    assert not folder.exists(), "looking makes nothing"


@pytest.mark.kafka
@pytest.mark.parametrize("command", ["ingest", "control", "worker"])
def test_a_metrics_port_in_use(tmp_path: Path, broker: str, prefix: str, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = processes.write_config(
            tmp_path, broker, kafka={"prefix": prefix}, metrics={command: port}
        )
        assert str(port) in one_line(Code.PORT_IN_USE, command, "--config", str(config))


def test_the_apis_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = processes.write_config(tmp_path, None, api={"port": port})
        assert str(port) in one_line(Code.PORT_IN_USE, "api", "--config", str(config))


@pytest.mark.parametrize(
    ("text", "said"),
    [("kafka:\n  {oops\n", "line 3"), ("models: [{name: 7, oops: 1}]", "models.0")],
)
def test_a_malformed_settings_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "lorikeet.yaml"
    path.write_text(text)
    assert said in one_line(Code.BAD_SETTINGS, "status", "--config", str(path))


def test_an_identifier_pattern_that_is_not_re2(tmp_path: Path) -> None:
    path = tmp_path / "lorikeet.yaml"
    path.write_text("curation: {identifiers: {X: '(?=lookahead)'}}")
    assert "identifiers" in one_line(Code.BAD_SETTINGS, "config", "check", "--config", str(path))


def test_a_region_without_phone_numbers(tmp_path: Path) -> None:
    path = tmp_path / "lorikeet.yaml"
    path.write_text("curation: {phone_regions: [US, UK]}")
    said = one_line(Code.BAD_SETTINGS, "config", "check", "--config", str(path))
    assert "phone_regions" in said
    assert "UK" in said


@pytest.mark.parametrize(
    ("recipe", "path", "allowed"),
    [
        ("{min_exampels: 3}", "recipe.min_exampels", ""),
        ("{caps: [{by: source}]}", "recipe.caps.0", "a share or a count"),
        ("{caps: [{by: tenant, count: 1}]}", "recipe.caps.0.by", "'source', 'trust', 'origin'"),
        ("{caps: [{by: trust, count: 1, most: 2}]}", "recipe.caps.0.most", ""),
        ("{validation_share: 0.6, test_share: 0.4}", "recipe", "nothing is left to train on"),
    ],
)
def test_a_recipe_that_is_none(tmp_path: Path, recipe: str, path: str, allowed: str) -> None:
    config = tmp_path / "lorikeet.yaml"
    config.write_text(f"models: [{{name: m, recipe: {recipe}}}]")
    said = one_line(Code.BAD_SETTINGS, "config", "check", "--config", str(config))
    assert f"models.0.{path}: " in said
    assert allowed in said


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None)
    done = processes.run("ingest", "--config", str(config), "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_an_unknown_model_version_and_rollout(tmp_path: Path) -> None:
    path = tmp_path / "lorikeet.yaml"
    path.write_text(f"data: {tmp_path / 'data'}\nmodels: [{{name: m}}]\n")
    (tmp_path / "data").mkdir()
    options = ("--config", str(path))
    one_line(Code.NO_SUCH_MODEL, "models", "rollback", "x", *options)
    one_line(Code.NOTHING_TO_ROLL_BACK, "models", "rollback", "m", *options)
    one_line(Code.NO_SUCH_VERSION, "models", "rollback", "m", "--to", "7", *options)
    one_line(Code.NO_SUCH_VERSION, "rollouts", "start", "m", "9.9.9", *options)
    one_line(Code.NO_SUCH_ROLLOUT, "rollouts", "abort", "x", *options)
    one_line(Code.NO_SUCH_DATASET, "datasets", "show", "x", *options)
    one_line(Code.DATASET_TOO_SMALL, "datasets", "seal", "m", *options)


def test_an_unknown_command_or_option_is_a_usage_error() -> None:
    for arguments in (("nonsense",), ("status", "--nonsense")):
        done = processes.run(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path, need_tool: Callable[[str], str]) -> Iterator[Path]:
    """A file system of 3 MiB; it can be made larger."""
    mount, umount = need_tool("mount"), need_tool("umount")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=3m"
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"mount: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run([umount, "-l", str(folder)], check=True)


@pytest.mark.kafka
def test_a_full_disk_loses_nothing(
    tmp_path: Path, small_disk: Path, broker: str, prefix: str
) -> None:
    config = processes.write_config(
        tmp_path,
        broker,
        data=str(small_disk),
        kafka={"prefix": prefix},
        ingest={"flush_rows": 200, "flush_seconds": 0.2},
    )
    topic = f"{prefix}execution.completed"
    total = asyncio.run(publish_executions(broker, topic, 3_000, padding=2_000))
    one_line(Code.DISK_FULL, "ingest", "--config", str(config))
    stored = len(list(DeltaLedgerReader(small_disk / "ledger").rows()))
    assert 0 < stored < total
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    child = processes.start("ingest", "--config", str(config), log=tmp_path / "log")
    try:
        reader = DeltaLedgerReader(small_disk / "ledger")
        processes.wait_for(lambda: len(list(reader.rows())) >= total, "the rest", 60)
    finally:
        processes.end(child)
    places = [(r.partition, r.offset) for r in reader.rows()]
    assert len(places) == len(set(places)) == total


@pytest.mark.kafka
def test_a_member_whose_every_partition_lost_its_place_in_the_log(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    from consumers.kafka import cluster_id, input_topics

    config = processes.write_config(tmp_path, broker, kafka={"prefix": prefix})
    lost = [TopicPartition(topic, n) for topic in input_topics(prefix) for n in range(2)]
    cluster = asyncio.run(cluster_id(KafkaConnection(broker)))
    writer = DeltaLedgerWriter(tmp_path / "data" / "ledger", cluster)
    writer.claim(lost)
    rows = [row(99, topic=tp.topic, partition=tp.partition, cluster=cluster) for tp in lost]
    writer.append(rows, dict.fromkeys(lost, 100))
    said = one_line(Code.OFFSET_OUT_OF_RANGE, "ingest", "--config", str(config))
    assert lost[0].topic in said
    status = processes.run("status", "--config", str(config))
    assert status.stdout.count("Stopped: ") == len(lost)


def test_a_guard_that_stops_ingest_says_so_by_its_exit_code(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    bad = {"limit": 0.5, "window": 100, "stop": True}
    config = processes.write_config(
        tmp_path, broker, kafka={"prefix": prefix}, ingest={"dead_letters": bad}
    )
    asyncio.run(publish(broker, f"{prefix}execution.completed", [(b"{", ())] * 200))
    for workers in ("1", "2"):
        done = processes.run("ingest", "--config", str(config), "--workers", workers)
        assert done.returncode == 3, done.stderr
        assert Code.TOO_MANY_DEAD_LETTERS.number in done.stderr


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['lorikeet', '--help']\n"
        "from service.cli import app\n"
        "try:\n    app()\nexcept SystemExit: pass\n"
        "import json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=processes.ROOT
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"torch", "transformers", "sklearn", "numpy", "pyarrow", "deltalake", "sqlalchemy",
             "aiokafka", "faust", "fastapi", "uvicorn", "httpx", "model_signing"}  # fmt: skip
    assert loaded & heavy == set()
