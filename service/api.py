"""The HTTP API. Status, rollback, abort and gateway convergence work here while Kafka is down."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.errors import Code, LorikeetError, NotReady
from schemas.telemetry import Metric
from service.metrics import PrometheusMeter
from service.verbs import AbortRequest, ActorRequest, RollbackRequest, TrainRequest, Verbs
from service.wiring import Wiring

_MISSING = (Code.NO_SUCH_MODEL, Code.NO_SUCH_VERSION, Code.NO_SUCH_ROLLOUT, Code.NO_SUCH_DATASET)
_CONFLICT = (
    Code.ILLEGAL_TRANSITION,
    Code.NOTHING_TO_ROLL_BACK,
    Code.GATE_CLOSED,
    Code.OTHER_BASE,
    Code.STALE_WRITE,
    Code.JOB_EXISTS,
)


_TRAIN, _ROLL_BACK, _ACT, _ABORT = TrainRequest(), RollbackRequest(), ActorRequest(), AbortRequest()
"""A call without a body."""


def build_api(wiring: Wiring, meter: PrometheusMeter) -> FastAPI:
    """The application; it opens the control database at once, so that a bad one is refused now."""
    verbs = Verbs(wiring)

    @contextlib.asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(verbs.keep_converging())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    open_to_all = wiring.settings.api.token is None
    api = FastAPI(
        title="Lorikeet",
        version=version("lorikeet"),
        lifespan=running,
        openapi_url="/openapi.json" if open_to_all else None,
    )
    _add_errors(api)
    _add_measuring(api, meter)

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": version("lorikeet")}

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(meter.registry), media_type=CONTENT_TYPE_LATEST)

    guarded = [Depends(_token(wiring))]
    _add_reading(api, verbs, guarded)
    _add_acting(api, verbs, guarded)
    return api


def _add_reading(api: FastAPI, verbs: Verbs, guarded: list[Any]) -> None:
    @api.get("/v1/status", dependencies=guarded)
    async def status() -> dict[str, Any]:
        return await verbs.status()

    @api.get("/v1/jobs", dependencies=guarded)
    async def list_jobs() -> list[dict[str, Any]]:
        return await verbs.jobs()

    @api.get("/v1/rollouts", dependencies=guarded)
    async def list_rollouts() -> list[dict[str, Any]]:
        return await verbs.rollouts()

    @api.get("/v1/tenants/{tenant}/models/{model}/versions", dependencies=guarded)
    async def versions(tenant: str, model: str) -> list[dict[str, Any]]:
        return await verbs.versions(tenant, model)

    @api.get("/v1/tenants/{tenant}/models/{model}/route", dependencies=guarded)
    async def route(tenant: str, model: str) -> dict[str, Any]:
        found = await verbs.route(tenant, model)
        if found is None:
            raise HTTPException(404, f"no route of {tenant}/{model} was decided yet")
        return found


def _add_acting(api: FastAPI, verbs: Verbs, guarded: list[Any]) -> None:
    @api.post("/v1/tenants/{tenant}/models/{model}/train", dependencies=guarded, status_code=202)
    async def train(tenant: str, model: str, request: TrainRequest = _TRAIN) -> dict[str, Any]:
        return await verbs.train(tenant, model, request)

    @api.post("/v1/tenants/{tenant}/models/{model}/rollback", dependencies=guarded)
    async def rollback(
        tenant: str, model: str, request: RollbackRequest = _ROLL_BACK
    ) -> dict[str, Any]:
        return await verbs.rollback(tenant, model, request)

    @api.post("/v1/tenants/{tenant}/models/{model}/versions/{name}/deploy", dependencies=guarded)
    async def deploy(
        tenant: str, model: str, name: str, request: ActorRequest = _ACT
    ) -> dict[str, Any]:
        return await verbs.deploy(tenant, model, name, request)

    @api.post("/v1/rollouts/{rollout_id}/promote", dependencies=guarded)
    async def promote(rollout_id: str, request: ActorRequest = _ACT) -> dict[str, Any]:
        return await verbs.promote(rollout_id, request)

    @api.post("/v1/rollouts/{rollout_id}/abort", dependencies=guarded)
    async def abort(rollout_id: str, request: AbortRequest = _ABORT) -> dict[str, Any]:
        return await verbs.abort(rollout_id, request)


def _token(wiring: Wiring) -> Callable[[Request], None]:
    """Refuses calls without the configured bearer token."""
    token = wiring.settings.api.token

    def check(request: Request) -> None:
        if token is None:
            return
        given = request.headers.get("authorization", "")
        wanted = f"Bearer {token.get_secret_value()}"
        if not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})

    return check


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(LorikeetError)
    async def explain(_request: Request, error: LorikeetError) -> JSONResponse:
        if error.code in _MISSING:
            status = 404
        elif error.code in _CONFLICT:
            status = 409
        else:
            status = 503 if isinstance(error, NotReady) else 400
        body = {"code": error.code.number, "error": error.what, "remedy": error.remedy}
        return JSONResponse(body, status)

    @api.exception_handler(HTTPException)
    async def say(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @api.exception_handler(RequestValidationError)
    async def refuse(_request: Request, error: RequestValidationError) -> JSONResponse:
        """Where and what, without the body: it may hold what JSON cannot."""
        found = [
            {"path": ".".join(map(str, one["loc"])), "problem": one["msg"]}
            for one in error.errors()
        ]
        return JSONResponse({"error": "the request does not fit", "problems": found}, 422)


def _add_measuring(api: FastAPI, meter: PrometheusMeter) -> None:
    @api.middleware("http")
    async def measure(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await call(request)
        route = getattr(request.scope.get("route"), "path", "unknown")
        meter.count(Metric.API_REQUESTS, route=route, status=str(response.status_code))
        meter.observe(Metric.API_TIME, time.perf_counter() - started)
        return response
