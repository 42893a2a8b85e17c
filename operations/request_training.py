"""A person asks for a training job: with a window and a validation mode of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from operations.make_job import make_job
from operations.settings import ModelSettings
from processors.drift.thresholds import Trigger
from schemas.errors import Code, NotReady, Unrecoverable
from stores.control import jobs
from stores.control.database import Database


class RequestTraining:
    """Makes a job on request; the gates are the same as for any other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(
        self,
        model: ModelSettings,
        now: datetime,
        *,
        actor: str,
        since: datetime | None = None,
        validation: Literal["enforce", "watch"] | None = None,
    ) -> str:
        """The job's id; of the open job if there is one. Raises Unrecoverable(NO_BASE)."""
        recipe = model.recipe.model_copy(update={"since": since} if since else {})
        checks = model.validation.model_copy(update={"mode": validation} if validation else {})
        detail = f"asked for by {actor}"
        if since:
            detail += f", events since {since.isoformat()}"
        if validation:
            detail += f", validation {validation}"
        trigger = Trigger(name="manual", detail=detail)
        try:
            made = self._database.write(
                lambda c: make_job(
                    c, model, trigger, now, recipe=recipe, validation=checks, requested_by=actor
                )
            )
        except NotReady:
            made = None
        if made:
            return made
        open_job = self._database.read(lambda c: jobs.open_job(c, model.tenant, model.name))
        if open_job is None:
            raise Unrecoverable(Code.NO_NEW_DATA, f"{model.tenant}/{model.name}")
        return open_job.id
