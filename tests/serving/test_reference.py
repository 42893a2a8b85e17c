"""The reference gateway and the client of vLLM's endpoints, against each other, on real weights."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from processors.rollout.arms import assign
from schemas.digests import folder_digests, manifest_digest
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.rollouts import Route
from service.demo.world import Desk
from serving.vllm import VllmGateway
from tests.gateways import GatewayProcess
from tests.processes import wait_for

pytestmark = [pytest.mark.torch, pytest.mark.slow]
PROMPT = [{"role": "user", "content": Desk(2).task(Random(5)).prompt}]


@pytest.fixture(scope="module")
def url(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("gateway") / "gateway.log"
    process = GatewayProcess(tiny_base, "desk", log)
    process.start()
    yield process.url
    process.stop()


@pytest.fixture
def gateway(url: str, tiny_adapter: Path) -> Iterator[VllmGateway]:
    client = VllmGateway(url, timeout=60)
    for name in client.adapters():
        client.unload(name)
    yield client
    client.close()


def route(revision: int, candidate: str | None = None, **changes: Any) -> Route:
    arms: dict[str, dict[str, str | None]] = {
        "stable": {"adapter": None},
        "baseline": {"adapter": None},
        "candidate": {"adapter": candidate},
    }
    values = {
        "tenant_id": "default",
        "model": "desk",
        "revision": revision,
        "weights": {"candidate": 0.4, "baseline": 0.4, "stable": 0.2},
        "arms": arms,
        "salt": "s",
        "rollout_id": "r",
    }
    return Route(**{**values, **changes})


def chat(url: str, session: str, model: str = "desk") -> dict[str, Any]:
    body = {"model": model, "messages": PROMPT, "max_tokens": 60}
    answer = httpx.post(
        f"{url}/v1/chat/completions", json=body, headers={"x-session-id": session}, timeout=60
    )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_an_adapter_is_loaded_listed_asked_and_forgotten(
    gateway: VllmGateway, tiny_adapter: Path
) -> None:
    assert gateway.adapters() == frozenset()
    gateway.load("a-1", str(tiny_adapter))
    gateway.load("a-1", str(tiny_adapter))
    assert gateway.adapters() == {"a-1"}
    answer = gateway.complete("a-1", PROMPT, [], 60)
    assert answer.text
    assert len(answer.logprobs) > 3
    assert all(value <= 0 for value in answer.logprobs)
    gateway.unload("a-1")
    gateway.unload("a-1")
    assert gateway.adapters() == frozenset()
    with pytest.raises(NotReady):
        gateway.complete("a-1", PROMPT, [], 10)


def test_the_gateway_answers_as_the_trainer_recorded(
    gateway: VllmGateway, tiny_adapter: Path
) -> None:
    """The log-probability canary: same tokens, same log-probabilities, not the base's."""
    gateway.load("a-1", str(tiny_adapter))
    record = json.loads((tiny_adapter.parent / "expected.json").read_text())
    differs = 0
    for case in record:
        answer = gateway.complete("a-1", case["messages"], case["tools"], len(case["tokens"]))
        assert answer.text.strip() == case["text"].strip()
        assert answer.logprobs == pytest.approx(case["logprobs"], abs=0.02)
        base = gateway.complete("desk", case["messages"], case["tools"], len(case["tokens"]))
        differs += base.text.strip() != case["text"].strip()
    assert differs * 2 > len(record)


def test_arms_follow_the_route_and_each_answer_names_its_weights(
    gateway: VllmGateway, tiny_adapter: Path
) -> None:
    digest = manifest_digest(folder_digests(tiny_adapter))
    gateway.load("a-1", str(tiny_adapter))
    wanted = route(100, "a-1")
    assert gateway.follow(wanted)
    assert gateway.following() == 100
    seen: Counter[str] = Counter()
    for number in range(40):
        said = chat(gateway.url, f"s{number}")["lorikeet"]
        assert said["arm"] == assign("s", f"s{number}", wanted.weights)
        assert said["rollout_id"] == "r"
        served = (said["adapter"], said["adapter_digest"])
        assert served == (("a-1", digest) if said["arm"] == "candidate" else (None, None))
        assert len(said["base_digest"]) == 64
        seen[said["arm"]] += 1
    assert set(seen) == {"candidate", "baseline", "stable"}
    assert gateway.follow(route(101))


def test_a_route_to_an_adapter_that_is_not_loaded_is_refused(gateway: VllmGateway) -> None:
    before = gateway.following()
    with pytest.raises(NotReady) as caught:
        gateway.follow(route(1000, "nobody"))
    assert caught.value.code is Code.NOT_APPLIED
    assert gateway.following() == before


def test_an_older_route_does_not_come_back(gateway: VllmGateway) -> None:
    gateway.follow(route(300))
    gateway.follow(route(299))
    assert gateway.following() == 300


def test_no_request_fails_while_adapters_come_and_go(
    gateway: VllmGateway, tiny_adapter: Path
) -> None:
    failures: list[str] = []
    served: Counter[str | None] = Counter()
    stop = threading.Event()

    def customer(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                said = chat(gateway.url, f"c{name}-{number}")["lorikeet"]
                served[said["adapter"]] += 1
            except httpx.HTTPError as error:
                failures.append(repr(error))

    customers = [threading.Thread(target=customer, args=(n,)) for n in range(4)]
    for thread in customers:
        thread.start()
    for number in range(4):
        name = f"swap-{number}"
        gateway.load(name, str(tiny_adapter))
        gateway.follow(route(500 + number, name))
        wait_for(partial(served.__getitem__, name), f"an answer of {name}", 30)
    gateway.follow(route(510))
    stop.set()
    for thread in customers:
        thread.join()
    print(f"served: {dict(served)}")
    assert failures == []
    assert len([name for name in served if name]) == 4, "each adapter served somebody"


def test_what_cannot_be_loaded_is_refused(gateway: VllmGateway, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(NotReady) as caught:
        gateway.load("evil", str(tmp_path))
    assert caught.value.code is Code.NOT_APPLIED
    assert "evil" not in gateway.adapters()


def test_metrics_count_by_arm(gateway: VllmGateway) -> None:
    gateway.follow(route(900))
    chat(gateway.url, "one")
    page = httpx.get(f"{gateway.url}/metrics", timeout=10).text
    assert 'lorikeet_gateway_requests_total{arm="' in page
    assert 'lorikeet_build_info{process="gateway"' in page


def test_a_gateway_without_lora_updates_says_so(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    process = GatewayProcess(tiny_base, "desk", tmp_path / "log", "--no-lora-updates")
    process.start()
    try:
        client = VllmGateway(process.url)
        with pytest.raises(Unrecoverable) as caught:
            client.load("a-1", str(tiny_adapter))
        assert caught.value.code is Code.LORA_OFF
    finally:
        process.stop()
    with pytest.raises(NotReady) as gone:
        client.adapters()
    assert gone.value.code is Code.GATEWAY_DOWN
