"""What the HTTP API can be asked for, and what it then does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict

from operations.read_status import ReadStatus, job_facts, rollout_facts, version_facts
from schemas.errors import LorikeetError
from service.wiring import Wiring, clock
from stores.control import jobs, registry, rollouts

T = TypeVar("T")
log = structlog.get_logger(__name__)


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


class Verbs:
    """The API's verbs, each in the process's one database thread."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._database = wiring.database
        self._read_status = ReadStatus(wiring.database, wiring.settings.models)

    async def status(self) -> dict[str, Any]:
        """Records, models, what waits and what runs."""
        return await self._do(lambda: self._read_status(clock()))

    async def jobs(self) -> list[dict[str, Any]]:
        """Training jobs, newest first."""
        return await self._do(lambda: [job_facts(j) for j in self._database.read(jobs.every)])

    async def rollouts(self) -> list[dict[str, Any]]:
        """Roll-outs, newest first."""
        return await self._do(
            lambda: self._database.read(
                lambda c: [rollout_facts(c, found) for found in rollouts.every(c)]
            )
        )

    async def versions(self, tenant: str, model: str) -> list[dict[str, Any]]:
        """A model's versions, oldest first."""

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
        """How callers choose arms now; None before the first decision."""
        found = await self._do(
            lambda: self._database.read(lambda c: rollouts.route(c, tenant, model))
        )
        return found.route.model_dump(mode="json") if found else None

    async def train(self, tenant: str, model: str, request: TrainRequest) -> dict[str, Any]:
        """Ask for a job; its id."""
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
        """Return to an earlier version."""
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
        """Stop a roll-out."""

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
        """Begin a version's roll-out; its id."""
        settings = self._wiring.settings.model(tenant, model)
        actor = f"user:{request.actor}"
        work = partial(self._wiring.approve_rollout.start, settings, name, clock(), actor=actor)
        return {"rollout": await self._do(work)}

    async def promote(self, rollout_id: str, request: ActorRequest) -> dict[str, Any]:
        """Approve what the evidence allows."""
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
