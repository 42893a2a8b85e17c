"""Fixtures that many tests share: the real broker, a tiny base model, an empty installation."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# A shell's background job ignores Ctrl-C and so would every process that the tests end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _required() -> bool:
    return os.environ.get("LORIKEET_REQUIRE") == "all"


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str], str]:
    """The path of an outside tool; without it the test is skipped, or fails where all is required."""

    def find(name: str) -> str:
        found = shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)
        if found is None and _required():
            pytest.fail(f"{name} is not installed, and LORIKEET_REQUIRE=all")
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real traces beside the project; absent from a clone alone."""
    if not SHARED_DATA.exists():
        pytest.skip(f"{SHARED_DATA} is not there")
    return SHARED_DATA


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a real Kafka broker, one for the whole session."""
    from service.broker import EmbeddedBroker

    embedded = EmbeddedBroker(tmp_path_factory.mktemp("broker"))
    try:
        yield embedded.start()
    finally:
        embedded.stop()


@pytest.fixture
def prefix(broker: str) -> str:
    """Fresh topics of one test: their prefix. Two partitions each."""
    from consumers.kafka import create_topics
    from producers.connection import KafkaConnection

    name = f"t{uuid.uuid4().hex[:8]}."
    asyncio.run(create_topics(KafkaConnection(broker), name, 2))
    return name


@pytest.fixture(scope="session")
def tiny_adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real adapter of the tiny base, trained for a moment; `expected.json` lies beside it."""
    from tests import trainer

    folder = tmp_path_factory.mktemp("adapter")
    trainer.seal(folder, trainer.tasks(1, 60))
    short = trainer.SFT.model_copy(update={"max_steps": 40})
    result = trainer.train(trainer.stage(folder, trainer.spec("train", tiny_base, sft=short)))
    assert result.ok, result.error
    return trainer.attempt(folder) / "adapter"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's base model of seed 0, made by the trainer and kept in the cache."""
    from service.demo.base import make_base

    return make_base(0, tmp_path_factory.mktemp("base"), lambda _step: None)
