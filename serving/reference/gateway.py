"""One served model: which arm a session gets, who answers it, and what shadows it.

The arm is chosen from the route that Lorikeet publishes and the header `x-session-id`. Every answer
names the adapter digest that made it.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel

from processors.rollout.arms import assign, mirrored
from schemas.chat import Message, parse_answer
from schemas.rollouts import Route
from serving.reference.batcher import Batcher
from serving.reference.engine import BASE, Engine, Written
from serving.reference.events import GatewayEvents
from serving.reference.metrics import GatewayMetrics


class ChatRequest(BaseModel):
    """What is read of an OpenAI chat completion request."""

    model: str
    messages: list[Message]
    tools: list[dict[str, Any]] = []
    max_tokens: int = 128
    logprobs: bool = False


class LoraRequest(BaseModel):
    """vLLM's adapter request."""

    lora_name: str
    lora_path: str = ""


class ReferenceGateway:
    """One served model: who answers which session."""

    def __init__(
        self, engine: Engine, tenant: str, model: str, events: GatewayEvents, *, lora_updates: bool
    ) -> None:
        self.engine = engine
        self.model = model
        self.tenant = tenant
        self.events = events
        self.lora_updates = lora_updates
        self.batcher = Batcher(engine)
        self.metrics = GatewayMetrics()
        self.route: Route | None = None
        self._mirrors: set[asyncio.Task[None]] = set()

    async def chat(self, request: ChatRequest, session: str | None) -> dict[str, Any]:
        """Answer, and mirror to the candidate where the route says so."""
        started = time.monotonic()
        unit = session or str(uuid.uuid4())
        arm, adapter = self._choose(request.model, unit)
        turns = [message.canonical() for message in request.messages]
        prompt = self.engine.prompt(turns, request.tools)
        room = self.engine.room(prompt)
        if room < 1:
            raise HTTPException(400, "the prompt is longer than the model's context")
        limit = min(request.max_tokens, room)
        answer = await self.batcher.answer(adapter, prompt, limit)
        self._mirror(request, turns, unit, prompt, limit, answer)
        self.metrics.served(arm or "direct", time.monotonic() - started)
        return self._response(request, answer, arm, adapter)

    def _choose(self, model: str, unit: str) -> tuple[str | None, str]:
        """(arm, adapter): by the route for the served model, by name for an adapter."""
        if model in self.engine.digests:
            return None, model
        if model != self.model:
            raise HTTPException(404, f"The model `{model}` does not exist.")
        if self.route is None:
            return "stable", BASE
        arm = assign(self.route.salt, unit, self.route.weights)
        return arm, self.route.arms[arm].get("adapter") or BASE

    def _mirror(
        self,
        request: ChatRequest,
        turns: list[dict[str, Any]],
        unit: str,
        prompt: list[int],
        limit: int,
        served: Written,
    ) -> None:
        route = self.route
        if route is None or not route.shadow or request.model != self.model:
            return
        if mirrored(route.salt, unit, float(route.shadow["share"])):
            task = asyncio.create_task(
                self._shadow(route, turns, request.tools, unit, prompt, limit, served)
            )
            self._mirrors.add(task)
            task.add_done_callback(self._mirrors.discard)

    async def _shadow(
        self,
        route: Route,
        turns: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        unit: str,
        prompt: list[int],
        limit: int,
        served: Written,
    ) -> None:
        shadow = route.shadow or {}
        started = time.monotonic()
        answer = await self.batcher.answer(shadow["adapter"], prompt, limit, mirrored=True)
        turn = parse_answer(answer.text)
        valid = bool(turn.get("tool_calls")) or not tools
        self.events.shadow(
            unit,
            {
                "execution_id": f"shadow-{uuid.uuid4()}",
                "session_id": unit,
                "tenant_id": route.tenant_id,
                "task": {"prompt": str(turns[-1]["content"])},
                "messages": [*turns, turn],
                "tools": tools,
                "outcome": {
                    "status": "partial",
                    "gates": [
                        {"name": "valid_answer", "passed": valid},
                        {"name": "agrees_with_served", "passed": answer.text == served.text},
                    ],
                },
                "model": {
                    "name": route.model,
                    "base_digest": self.engine.base_digest,
                    "adapter": shadow["adapter"],
                    "adapter_digest": shadow["adapter_digest"],
                    "arm": "shadow",
                    "rollout_id": route.rollout_id,
                },
                "metrics": {
                    "duration_ms": 1000 * (time.monotonic() - started),
                    "output_tokens": len(answer.tokens),
                },
            },
        )

    def _response(
        self, request: ChatRequest, answer: Written, arm: str | None, adapter: str
    ) -> dict[str, Any]:
        turn = parse_answer(answer.text)
        message: dict[str, Any] = {"role": "assistant", "content": turn["content"] or None}
        if turn.get("tool_calls"):
            message["tool_calls"] = [
                {
                    "id": f"call_{uuid.uuid4().hex[:12]}",
                    "type": "function",
                    "function": {"name": c["name"], "arguments": json.dumps(c["arguments"])},
                }
                for c in turn["tool_calls"]
            ]
        choice: dict[str, Any] = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if turn.get("tool_calls") else "stop",
        }
        if request.logprobs:
            scored = zip(answer.tokens, answer.logprobs, strict=True)
            choice["logprobs"] = {"content": [{"token": t, "logprob": p} for t, p in scored]}
        return {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": len(answer.tokens),
                "total_tokens": answer.prompt_tokens + len(answer.tokens),
            },
            "lorikeet": {
                "base_digest": self.engine.base_digest,
                "adapter": adapter or None,
                "adapter_digest": self.engine.digests.get(adapter),
                "arm": arm,
                "rollout_id": self.route.rollout_id if self.route and arm else None,
            },
        }

    async def load(self, request: LoraRequest) -> str:
        """Load an adapter; what vLLM would answer."""
        if not self.lora_updates:
            raise HTTPException(404, "Not Found")
        try:
            digest = await self.batcher.call(
                self.engine.load, request.lora_name, Path(request.lora_path)
            )
        except (ValueError, OSError, RuntimeError, KeyError) as error:
            if "already" not in str(error):
                self.events.adapter(self.tenant, self.model, request.lora_name, None, "failed")
            raise HTTPException(400, str(error)) from None
        self.metrics.adapters(len(self.engine.digests))
        self.events.adapter(self.tenant, self.model, request.lora_name, digest, "activated")
        return f"Success: LoRA adapter '{request.lora_name}' added successfully."

    async def unload(self, request: LoraRequest) -> str:
        """Forget an adapter; refused while the route names it."""
        if not self.lora_updates:
            raise HTTPException(404, "Not Found")
        routed = self.route.arms.values() if self.route else ()
        if any(arm.get("adapter") == request.lora_name for arm in routed):
            raise HTTPException(409, f"the route names {request.lora_name}")
        try:
            await self.batcher.call(self.engine.unload, request.lora_name)
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        self.metrics.adapters(len(self.engine.digests))
        self.events.adapter(self.tenant, self.model, request.lora_name, None, "unloaded")
        return f"Success: LoRA adapter '{request.lora_name}' removed successfully."

    def set_route(self, route: Route) -> None:
        """Follow a route from now on; every adapter it names must be loaded."""
        if (route.tenant_id, route.model) != (self.tenant, self.model):
            raise HTTPException(404, f"this gateway serves {self.tenant}/{self.model}")
        named = [arm.get("adapter") for arm in route.arms.values()]
        named.append(route.shadow["adapter"] if route.shadow else None)
        missing = sorted({name for name in named if name} - self.engine.digests.keys())
        if missing:
            raise HTTPException(409, f"not loaded: {', '.join(missing)}")
        if self.route is None or _order(route) >= _order(self.route):
            self.route = route

    def models(self) -> dict[str, Any]:
        """The list of `GET /v1/models`: the base, and each adapter with its parent."""
        listed: list[dict[str, Any]] = [{"id": self.model, "object": "model", "parent": None}]
        for name, digest in self.engine.digests.items():
            listed.append({"id": name, "object": "model", "parent": self.model, "root": digest})
        return {"object": "list", "data": listed}


def _order(route: Route) -> tuple[str, int]:
    """Later decisions win; within one moment the higher revision."""
    return route.valid_from or "", route.revision
