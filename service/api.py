"""The HTTP API. Status, rollback, abort and gateway convergence work here while Kafka is down."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Literal, TypeVar

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, BaseModel, ConfigDict

from operations.read_status import ReadStatus, job_facts, rollout_facts, version_facts
from schemas.errors import Code, LorikeetError, NotReady
from schemas.telemetry import Metric
from service.metrics import PrometheusMeter
from service.wiring import Wiring, clock
from stores.control import jobs, registry, rollouts

T = TypeVar("T")
log = structlog.get_logger(__name__)
_MISSING = (Code.NO_SUCH_MODEL, Code.NO_SUCH_VERSION, Code.NO_SUCH_ROLLOUT, Code.NO_SUCH_DATASET)
_CONFLICT = (
    Code.ILLEGAL_TRANSITION,
    Code.NOTHING_TO_ROLL_BACK,
    Code.GATE_CLOSED,
    Code.OTHER_BASE,
    Code.STALE_WRITE,
    Code.JOB_EXISTS,
)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainRequest(_Body):
    """Ask for a training job. `validation: watch` writes its verdict down and goes on."""

    since: AwareDatetime | None = None
    validation: Literal["enforce", "watch"] | None = None
    actor: str = "api"


class RollbackRequest(_Body):
    """Return to an earlier version; `to` is the previous one by default, `base` for no adapter."""

    to: str | None = None
    reason: str = "asked for over the API"
    actor: str = "api"


class ActorRequest(_Body):
    """Who asks."""

    actor: str = "api"


class AbortRequest(_Body):
    """Stop a running roll-out."""

    reason: str = "asked for over the API"
    actor: str = "api"


def build_api(wiring: Wiring, meter: PrometheusMeter) -> FastAPI:
    """The application; it opens the control database at once, so that a bad one is refused now."""
    operations = _Operations(wiring)

    @contextlib.asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(operations.keep_converging())
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
    _add_reading(api, operations, guarded)
    _add_acting(api, operations, guarded)
    return api


def _add_reading(api: FastAPI, operations: _Operations, guarded: list[Any]) -> None:
    @api.get("/v1/status", dependencies=guarded)
    async def status() -> dict[str, Any]:
        return await operations.status()

    @api.get("/v1/jobs", dependencies=guarded)
    async def list_jobs() -> list[dict[str, Any]]:
        return await operations.jobs()

    @api.get("/v1/rollouts", dependencies=guarded)
    async def list_rollouts() -> list[dict[str, Any]]:
        return await operations.rollouts()

    @api.get("/v1/tenants/{tenant}/models/{model}/versions", dependencies=guarded)
    async def versions(tenant: str, model: str) -> list[dict[str, Any]]:
        return await operations.versions(tenant, model)

    @api.get("/v1/tenants/{tenant}/models/{model}/route", dependencies=guarded)
    async def route(tenant: str, model: str) -> dict[str, Any]:
        found = await operations.route(tenant, model)
        if found is None:
            raise HTTPException(404, f"no route of {tenant}/{model} was decided yet")
        return found


def _add_acting(api: FastAPI, operations: _Operations, guarded: list[Any]) -> None:
    @api.post("/v1/tenants/{tenant}/models/{model}/train", dependencies=guarded, status_code=202)
    async def train(tenant: str, model: str, request: TrainRequest) -> dict[str, Any]:
        return await operations.train(tenant, model, request)

    @api.post("/v1/tenants/{tenant}/models/{model}/rollback", dependencies=guarded)
    async def rollback(tenant: str, model: str, request: RollbackRequest) -> dict[str, Any]:
        return await operations.rollback(tenant, model, request)

    @api.post("/v1/tenants/{tenant}/models/{model}/versions/{name}/deploy", dependencies=guarded)
    async def deploy(tenant: str, model: str, name: str, request: ActorRequest) -> dict[str, Any]:
        return await operations.deploy(tenant, model, name, request)

    @api.post("/v1/rollouts/{rollout_id}/promote", dependencies=guarded)
    async def promote(rollout_id: str, request: ActorRequest) -> dict[str, Any]:
        return await operations.promote(rollout_id, request)

    @api.post("/v1/rollouts/{rollout_id}/abort", dependencies=guarded)
    async def abort(rollout_id: str, request: AbortRequest) -> dict[str, Any]:
        return await operations.abort(rollout_id, request)


class _Operations:
    """The API's verbs, each in the process's one database thread."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._database = wiring.database
        self._read_status = ReadStatus(wiring.database, wiring.settings.models)

    async def status(self) -> dict[str, Any]:
        return await self._do(lambda: self._read_status(clock()))

    async def jobs(self) -> list[dict[str, Any]]:
        return await self._do(lambda: [job_facts(j) for j in self._database.read(jobs.every)])

    async def rollouts(self) -> list[dict[str, Any]]:
        return await self._do(
            lambda: self._database.read(
                lambda c: [rollout_facts(c, found) for found in rollouts.every(c)]
            )
        )

    async def versions(self, tenant: str, model: str) -> list[dict[str, Any]]:
        def work(connection: Any) -> list[dict[str, Any]]:
            aliases = {
                name: registry.alias(connection, tenant, model, name)
                for name in (registry.CHAMPION, registry.CHALLENGER, registry.PREVIOUS)
            }
            return [
                version_facts(v, [name for name, named in aliases.items() if named == v.version])
                for v in registry.every(connection, tenant, model)
            ]

        return await self._do(lambda: self._database.read(work))

    async def route(self, tenant: str, model: str) -> dict[str, Any] | None:
        found = await self._do(
            lambda: self._database.read(lambda c: rollouts.route(c, tenant, model))
        )
        return found.route.model_dump(mode="json") if found else None

    async def train(self, tenant: str, model: str, request: TrainRequest) -> dict[str, Any]:
        settings = self._wiring.settings.model(tenant, model)

        def work() -> str:
            self._wiring.count_ledger()
            return self._wiring.request_training(
                settings,
                clock(),
                actor=f"user:{request.actor}",
                since=request.since,
                validation=request.validation,
            )

        return {"job": await self._do(work)}

    async def rollback(self, tenant: str, model: str, request: RollbackRequest) -> dict[str, Any]:
        settings = self._wiring.settings.model(tenant, model)

        def work() -> dict[str, Any]:
            to = self._wiring.roll_back(
                settings,
                clock(),
                actor=f"user:{request.actor}",
                reason=request.reason,
                to=request.to,
            )
            return {"to": to, "converged": self._wiring.converge_gateways(settings, clock)}

        return await self._do(work)

    async def abort(self, rollout_id: str, request: AbortRequest) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            found = self._database.read(lambda c: rollouts.require(c, rollout_id))
            state = self._wiring.roll_back.stop(
                rollout_id, clock(), actor=f"user:{request.actor}", reason=request.reason
            )
            settings = self._wiring.settings.model(found.tenant, found.model)
            converged = self._wiring.converge_gateways(settings, clock)
            return {"state": str(state), "converged": converged}

        return await self._do(work)

    async def deploy(
        self, tenant: str, model: str, name: str, request: ActorRequest
    ) -> dict[str, Any]:
        settings = self._wiring.settings.model(tenant, model)
        actor = f"user:{request.actor}"
        work = partial(self._wiring.approve_rollout.start, settings, name, clock(), actor=actor)
        return {"rollout": await self._do(work)}

    async def promote(self, rollout_id: str, request: ActorRequest) -> dict[str, Any]:
        actor = f"user:{request.actor}"
        work = partial(self._wiring.approve_rollout, rollout_id, clock(), actor=actor)
        return {"state": str(await self._do(work))}

    async def keep_converging(self) -> None:
        """Reconcile gateways here too: this process needs no Kafka."""
        while True:
            for model in self._wiring.settings.models:
                try:
                    await self._do(partial(self._wiring.converge_gateways, model, clock))
                except LorikeetError as error:
                    log.warning("converge.failed", model=model.name, error=str(error))
                except Exception:  # one odd gateway must not end this for all
                    log.exception("converge.failed", model=model.name)
            await asyncio.sleep(self._wiring.settings.control.rollout_seconds)

    async def _do(self, work: Callable[[], T]) -> T:
        return await self._wiring.thread(work)


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
        body = {"code": error.code.number, "error": str(error), "remedy": error.remedy}
        return JSONResponse(body, status)

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
