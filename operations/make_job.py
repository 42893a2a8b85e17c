"""A training job is made: its offsets are frozen, its id says everything it depends on.

Asking twice makes one job. At most one job of a model has not ended.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection

from operations.settings import ModelSettings
from processors.drift.thresholds import Trigger
from processors.evaluation.stages import ValidationSettings
from schemas.datasets import Recipe
from schemas.digests import digest_of, folder_digests, manifest_digest
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobSpec
from stores.control import counters, jobs, outbox, registry


@lru_cache(maxsize=32)
def base_digest(base: str) -> str:
    """The digest of a base model's folder. Raises Unrecoverable(NO_BASE)."""
    path = Path(base)
    if not (path / "config.json").exists():
        raise Unrecoverable(Code.NO_BASE, f"{base or '(none)'} has no config.json")
    return manifest_digest(folder_digests(path))


def make_job(
    connection: Connection,
    model: ModelSettings,
    trigger: Trigger,
    now: datetime,
    *,
    recipe: Recipe,
    validation: ValidationSettings,
    requested_by: str,
) -> str | None:
    """Insert the job with the counters' offsets of this moment; its id, or None if it is there.

    Raises NotReady(JOB_EXISTS) while another job of the model is open.
    """
    offsets = counters.offsets(connection)
    digest = base_digest(model.base)
    champion = registry.champion(connection, model.tenant, model.name)
    spec = JobSpec(
        job_id="",
        kind="train",
        tenant=model.tenant,
        model=model.name,
        base=model.base,
        base_digest=digest,
        sft=model.sft,
        max_new_tokens=model.max_new_tokens,
        seed=model.seed,
    )
    identity = {
        "tenant": model.tenant,
        "model": model.name,
        "trigger": trigger.name,
        "offsets": offsets,
        "recipe": recipe.model_dump(mode="json"),
        "base": digest,
        "parent": champion.adapter_digest if champion else None,
        "spec": spec.model_dump(mode="json", exclude={"base"}),
        "validation": validation.model_dump(mode="json"),
    }
    job_id = digest_of(identity)[:16]
    made = jobs.create(
        connection,
        now,
        id=job_id,
        tenant=model.tenant,
        model=model.name,
        trigger=trigger.name,
        detail=trigger.detail,
        offsets=offsets,
        recipe=recipe.model_dump(mode="json"),
        spec=spec.model_copy(update={"job_id": job_id}).model_dump(mode="json"),
        validation=validation.model_dump(mode="json"),
        examples_at=sum(counters.examples(connection, model.tenant, model.name)),
        requested_by=requested_by,
        epoch=0,
    )
    if not made:
        return None
    outbox.note(
        connection,
        now,
        actor=requested_by,
        action="job.created",
        subject=job_id,
        detail={"trigger": trigger.name, "why": trigger.detail},
    )
    return job_id
