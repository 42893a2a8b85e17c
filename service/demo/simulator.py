"""The agents and their customers: works tasks through the gateway and publishes what happened.

A process of its own. Reads one JSON command a line on standard input, answers one JSON line each:

    {"sessions": 200, "desk": 2, "corrections": 1.0, "wrong": 0.0, "faults": true}  →  {"sessions": 200}

The model behind the gateway does the work; here are only the customers, the desk, and the annotators
who correct failed runs. Identifiers reach the model masked, as agents with a privacy layer do it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx

from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from producers.port import Outgoing
from schemas.chat import Message
from schemas.events import TELEMETRY
from service.demo.runs import AGENT, Run, edit, event, malformed
from service.demo.world import Desk, Task, mix_up

_CONCURRENCY = 24
_MAX_TOKENS = 96
_PERSONAL = 0.1
_DUPLICATED = 0.03
_MALFORMED = 0.02


@dataclass(frozen=True, slots=True)
class Round:
    """One command: how many sessions, of which desk, corrected how."""

    sessions: int
    desk: int = 1
    corrections: float = 0.0
    """Share of failed runs that an expert corrects."""
    relabel: float = 0.0
    """Share of all runs that an outside annotator labels anew."""
    wrong: float = 0.0
    """Share of the annotator's labels that are wrong."""
    faults: bool = True
    """Whether some records are malformed, repeated, or carry personal data."""


class Simulator:
    """Runs sessions against one gateway and publishes to one Kafka."""

    def __init__(self, gateway: str, model: str, producer: KafkaProducer, seed: int) -> None:
        self._client = httpx.AsyncClient(base_url=gateway, timeout=60.0)
        self._model = model
        self._producer = producer
        self._random = Random(f"{seed}/sessions")
        self._asked: set[str] = set()
        self._base: dict[str, Any] = {}

    async def run(self, command: Round) -> dict[str, Any]:
        """Work a round; sessions run side by side."""
        desk = Desk(command.desk)
        tasks = [self._fresh(desk) for _ in range(command.sessions)]
        seeds = [self._random.random() for _ in tasks]
        gate = asyncio.Semaphore(_CONCURRENCY)
        started = time.monotonic()

        async def one(task: Task, seed: float) -> bool:
            async with gate:
                return await self._session(desk, task, command, Random(seed))

        solved = await asyncio.gather(*map(one, tasks, seeds))
        await self._health(len(solved), sum(solved), time.monotonic() - started)
        return {"sessions": len(solved)}

    async def close(self) -> None:
        """Give everything back."""
        await self._client.aclose()
        await self._producer.stop()

    def _fresh(self, desk: Desk) -> Task:
        """A request that was never asked before."""
        while (task := desk.task(self._random)).prompt in self._asked:
            continue
        self._asked.add(task.prompt)
        return task

    async def _session(self, desk: Desk, task: Task, command: Round, random: Random) -> bool:
        session = str(uuid.UUID(int=random.getrandbits(128), version=4))
        tools = desk.definitions()
        started = datetime.now(UTC)
        answer = await self._ask(task.prompt, tools, session)
        turn = Message.model_validate(answer["choices"][0]["message"]).canonical()
        calls = turn.get("tool_calls", [])
        effects, results = _act(desk, calls, random if command.faults else None)
        run = Run(self._model, session, task, tools, turn, results, answer["lorikeet"], started)
        solved = tuple(effects) == task.goal
        events = [run.plan(calls), run.execution(answer, solved=solved)]
        events += self._labels(desk, run, command, random, solved=solved)
        await self._publish(events, random if command.faults else None)
        return solved

    async def _ask(
        self, prompt: str, tools: Sequence[dict[str, Any]], session: str
    ) -> dict[str, Any]:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "tools": list(tools),
            "max_tokens": _MAX_TOKENS,
            "temperature": 0,
        }
        response = await self._client.post(
            "/v1/chat/completions", json=body, headers={"x-session-id": session}
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _labels(
        self, desk: Desk, run: Run, command: Round, random: Random, *, solved: bool
    ) -> list[Outgoing]:
        """Corrections: an expert's of failures, or a careless annotator's of anything."""
        right = desk.calls(run.task.goal)
        if random.random() < command.relabel:
            wrong = random.random() < command.wrong
            return [edit(run.session, "annotator", "reviewer", mix_up(right) if wrong else right)]
        if not solved and random.random() < command.corrections:
            return [edit(run.session, "desk-expert", "expert", right)]
        return []

    async def _health(self, sessions: int, solved: int, seconds: float) -> None:
        data = {
            "agent_id": AGENT,
            "sampled_at": datetime.now(UTC).isoformat(),
            "error_rate": 1 - solved / sessions,
            "response_time_ms": 1000 * seconds * _CONCURRENCY / sessions,
        }
        await self._producer.send([event(TELEMETRY, AGENT, data)])

    async def _publish(self, events: Sequence[Outgoing], faults: Random | None) -> None:
        await self._producer.send(events)
        if faults is None:
            return
        if faults.random() < _DUPLICATED:
            await self._producer.send(events[:2])
        if faults.random() < _MALFORMED:
            await self._producer.send_raw([malformed(events[1], faults)])


def _act(
    desk: Desk, calls: Sequence[dict[str, Any]], personal: Random | None
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Carry out the calls; the desk's answers sometimes name the customer."""
    effects, results = [], []
    for call in calls:
        effect, text = desk.act(call)
        if personal is not None and personal.random() < _PERSONAL:
            number = personal.randrange(10**6)
            text += f"; confirmed to jane.doe{number}@example.com, card 4111 1111 1111 1111"
        effects.append(effect)
        results.append({"role": "tool", "content": text, "error": effect is None})
    return effects, results


async def main() -> None:
    """Serve commands until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m service.demo.simulator", description=__doc__)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    producer = KafkaProducer(KafkaConnection(options.bootstrap))
    await producer.start()
    simulator = Simulator(options.gateway, options.model, producer, options.seed)
    loop = asyncio.get_running_loop()
    try:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            done = await simulator.run(Round(**json.loads(line)))
            sys.stdout.write(json.dumps(done) + "\n")
            sys.stdout.flush()
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main())
