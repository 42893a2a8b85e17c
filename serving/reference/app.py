"""The HTTP face: OpenAI-shaped chat completions, vLLM's adapter endpoints, and the route."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.rollouts import Route
from serving.reference.gateway import ChatRequest, LoraRequest, ReferenceGateway


def build_app(gateway: ReferenceGateway) -> FastAPI:
    """The routes of one gateway."""

    @contextlib.asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(gateway.batcher.run()),
            asyncio.create_task(gateway.events.run()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(title="Lorikeet reference gateway", lifespan=running)
    _add_models(app, gateway)
    _add_route(app, gateway)

    @app.post("/v1/chat/completions")
    async def chat(
        request: ChatRequest, x_session_id: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        return await gateway.chat(request, x_session_id)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "base_digest": gateway.engine.base_digest}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _add_models(app: FastAPI, gateway: ReferenceGateway) -> None:
    """The endpoints that vLLM has for adapters."""

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return gateway.models()

    @app.post("/v1/load_lora_adapter")
    async def load(request: LoraRequest) -> Response:
        return PlainTextResponse(await gateway.load(request))

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: LoraRequest) -> Response:
        return PlainTextResponse(await gateway.unload(request))


def _add_route(app: FastAPI, gateway: ReferenceGateway) -> None:
    """The route: handed over, and read back."""

    @app.put("/v1/route")
    async def set_route(request: Request) -> Response:
        gateway.set_route(Route.model_validate_json(await request.body()))
        return Response(status_code=204)

    @app.get("/v1/route")
    async def route() -> Response:
        if gateway.route is None:
            raise HTTPException(404, "no route yet")
        return JSONResponse(gateway.route.model_dump(mode="json"))
