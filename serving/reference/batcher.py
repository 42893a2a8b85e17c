"""Requests become batches: the longest-waiting request decides whose turn it is.

Mirrored (shadow) requests wait until nobody else does, at most a second, so that users do not notice
them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from serving.reference.engine import Engine, Written

_BATCH = 32
_PATIENCE = 1.0


@dataclass(slots=True, eq=False)
class Request:
    """One prompt that waits for its answer."""

    adapter: str
    prompt: list[int]
    limit: int
    mirrored: bool
    done: asyncio.Future[Written]
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Owns the engine's one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._waiting: deque[Request] = deque()
        self._mirrored: deque[Request] = deque()
        self._wake = asyncio.Event()

    async def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run something in the engine's thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def answer(
        self, adapter: str, prompt: list[int], limit: int, *, mirrored: bool = False
    ) -> Written:
        """Wait for the answer to a prompt."""
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        request = Request(adapter, prompt, limit, mirrored, future)
        (self._mirrored if mirrored else self._waiting).append(request)
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            batch = self._next()
            if not batch:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._serve(batch)

    def _next(self) -> list[Request]:
        overdue = self._mirrored and time.monotonic() - self._mirrored[0].since > _PATIENCE
        queue = self._mirrored if overdue or not self._waiting else self._waiting
        if not queue:
            return []
        adapter = queue[0].adapter
        chosen = [request for request in queue if request.adapter == adapter][:_BATCH]
        for request in chosen:
            queue.remove(request)
        return chosen

    async def _serve(self, batch: list[Request]) -> None:
        prompts = [request.prompt for request in batch]
        limit = max(request.limit for request in batch)
        try:
            answers = await self.call(self._engine.answer, batch[0].adapter, prompts, limit)
        except Exception as error:  # noqa: BLE001 - each caller gets the failure as its answer
            for request in batch:
                if not request.done.done():
                    request.done.set_exception(error)
            return
        for request, answer in zip(batch, answers, strict=True):
            if not request.done.done():
                request.done.set_result(answer)
