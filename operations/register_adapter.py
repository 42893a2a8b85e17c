"""Sign a validated adapter, store it, enter it in the registry, and begin its roll-out.

Files first, rows last: a failure before the transaction leaves objects that nothing names, and the
same job writes the same ones again.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from operations import announce
from operations.settings import ModelSettings
from operations.validate_adapter import Validated
from schemas import lifecycle
from schemas.datasets import Manifest
from schemas.digests import canonical_json, folder_digests, manifest_digest
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobSpec
from schemas.rollouts import Stage
from schemas.verdicts import Recommendation
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer
from stores.control import outbox, registry, rollouts
from stores.control.jobs import Job
from stores.control.registry import AdapterVersion

ACTOR = "policy:validation@1"
_CANARY_CASES = 4


class RegisterAdapter:
    """See the module. `register` belongs into the transaction that completes the job."""

    def __init__(self, objects: ObjectFolder, signer: Signer) -> None:
        self._objects = objects
        self._signer = signer

    def store(self, adapter: Path, model: ModelSettings) -> dict[str, Any]:
        """Sign and store the files; what the registry will say of them."""
        digests = folder_digests(adapter)
        digest = manifest_digest(digests)
        name = f"{model.slug}-{digest[:12]}"
        signature = adapter.parent / "adapter.sig"
        self._signer.sign(adapter, signature)
        self._signer.verify(adapter, signature)
        prefix = f"adapters/{name}"
        self._objects.put_folder(f"{prefix}/files", adapter)
        self._objects.put(f"{prefix}/adapter.sig", signature.read_bytes())
        self._objects.put(f"{prefix}/manifest.json", canonical_json(digests))
        return {
            "adapter": name,
            "adapter_digest": digest,
            "adapter_uri": self._objects.uri(prefix),
            "signature_uri": self._objects.uri(f"{prefix}/adapter.sig"),
        }

    def report(self, job: Job, validated: Validated) -> str:
        """Store the validation with every graded answer; where it lies."""
        body = {
            "validation": validated.validation.model_dump(mode="json"),
            "probe": validated.probe,
            "answers": validated.answers,
        }
        key = f"reports/{job.id}/validation.json"
        self._objects.put(key, canonical_json(body))
        return self._objects.uri(key)

    def register(
        self,
        connection: Connection,
        job: Job,
        spec: JobSpec,
        stored: dict[str, Any],
        manifest: Manifest,
        validated: Validated,
        record: list[dict[str, Any]],
        report_uri: str,
        now: datetime,
    ) -> AdapterVersion:
        """Enter the version; to STAGING if its gates are met."""
        known = registry.by_job(connection, job.id)
        if known is not None:
            return known
        version = registry.next_version(connection, job.tenant, job.model)
        lora = spec.sft.lora
        validation = validated.validation.model_dump(mode="json")
        watched = job.validation.get("mode") == "watch"
        registry.register(
            connection,
            now,
            ACTOR,
            tenant=job.tenant,
            model=job.model,
            version=version,
            base_model=spec.base,
            base_digest=spec.base_digest,
            rank=lora.rank,
            alpha=lora.alpha,
            target_modules=list(lora.target_modules),
            dataset_version=manifest.version,
            dataset_digest=manifest.digest,
            job_id=job.id,
            validation={
                **validation,
                "mode": job.validation.get("mode"),
                "report": report_uri,
                "golden": manifest.golden,
            },
            probe={**validated.probe, "record": record[:_CANARY_CASES]},
            **stored,
        )
        entered = registry.require(connection, job.tenant, job.model, version)
        refused = validated.validation.recommendation is Recommendation.REJECT and not watched
        if not refused:
            registry.move(connection, entered, Stage.STAGING, now, ACTOR, _why(validated, watched))
        outbox.note(
            connection,
            now,
            actor=ACTOR,
            action="adapter.registered",
            subject=f"{job.tenant}/{job.model} {version}",
            detail={"recommendation": str(validated.validation.recommendation), "mode": watched},
        )
        return registry.require(connection, job.tenant, job.model, version)


def start_rollout(
    connection: Connection,
    model: ModelSettings,
    version: AdapterVersion,
    now: datetime,
    *,
    decided_by: str,
) -> str:
    """Begin a version's roll-out: candidate, mirrored once every gateway has loaded it.

    Asked for again, it changes nothing; the id is the same.

    Raises Unrecoverable(GATE_CLOSED) for a version that is not in STAGING.
    """
    if version.stage is not Stage.STAGING:
        raise Unrecoverable(Code.GATE_CLOSED, f"{version.version} is in {version.stage}")
    stable = registry.champion(connection, model.tenant, model.name)
    rollout_id = announce.decision_id("rollout", version.adapter_digest, version.version)
    made = rollouts.create(
        connection,
        now,
        decided_by,
        id=rollout_id,
        tenant=model.tenant,
        model=model.name,
        version=version.version,
        stable_version=stable.version if stable else None,
        policy=model.rollout.model_dump(mode="json"),
        salt=rollout_id,
    )
    if not made:
        return rollout_id
    registry.set_alias(connection, model.tenant, model.name, registry.CHALLENGER, version.version)
    route = announce.stable_route(model.tenant, model.name, stable).model_copy(
        update={
            "salt": rollout_id,
            "rollout_id": rollout_id,
            "shadow": {**announce.arm(version), "share": model.rollout.shadow_share},
        }
    )
    decision = announce.decision_id(rollout_id, "candidate")
    announce.announce(
        connection,
        now,
        lifecycle.CANDIDATE,
        version,
        previous=stable,
        reason="rollout" if stable else "first",
        decision=decision,
        rests_on=announce.NO_EVIDENCE,
        decided_by=decided_by,
    )
    announce.publish_route(connection, now, route, decision=decision, action="shadow")
    return rollout_id


def _why(validated: Validated, watched: bool) -> str:  # noqa: FBT001 - one flag, named
    said = f"validation recommends {validated.validation.recommendation}"
    return f"{said}; watch only, asked for by a person" if watched else said
