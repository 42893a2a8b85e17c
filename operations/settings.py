"""What is configured of the ledger, and for one model: everything behind the ledger is per model."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from processors.drift.thresholds import Thresholds
from processors.evaluation.stages import ValidationSettings
from schemas.datasets import Recipe
from schemas.jobs import SftSettings
from schemas.rollouts import RolloutPolicy


class LedgerSettings(BaseModel):
    """Where the ledger lies and how long its rows stay."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    uri: Annotated[str, Field(pattern=r"^(s3://[^/\s]+/\S*[^/\s])?$")] = ""
    """`s3://bucket/prefix`; empty: the data folder. Credentials come from the usual AWS variables."""
    endpoint: Annotated[str, Field(pattern=r"^(https?://[^/\s]+)?$")] = ""
    """Address of an S3 server that is not Amazon's."""
    region: str = ""
    """Region of the bucket; empty: AWS_REGION."""
    allow_http: bool = False
    """Reach the S3 server without TLS."""
    retention_days: Annotated[int, Field(ge=1)] | None = None
    """Days of ingest older than this are dropped from the ledger. Empty: all rows stay."""


class ModelSettings(BaseModel):
    """One model of one tenant, with its base, its gateways, and the policies it follows."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The model's name, as events give it in `model.name`."""
    tenant: Annotated[str, Field(min_length=1, max_length=100)] = "default"
    base: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    """Folder of the base model in Hugging Face format (safetensors). Empty: never trained."""
    gateways: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+")], ...] = ()
    """Address of each gateway replica, such as http://10.0.0.5:8000. Never a load balancer."""
    thresholds: Thresholds = Thresholds()
    recipe: Recipe = Recipe()
    sft: SftSettings = SftSettings()
    max_new_tokens: Annotated[int, Field(ge=1)] = 128
    """Longest answer in probes and validation, in tokens."""
    validation: ValidationSettings = ValidationSettings()
    rollout: RolloutPolicy = RolloutPolicy()
    seed: int = 0

    @property
    def slug(self) -> str:
        """Tenant and model as a short name for adapters; unlike pairs have unlike slugs."""
        plain = "".join(c if c.isalnum() else "-" for c in f"{self.tenant}-{self.name}".lower())
        check = hashlib.sha256(f"{self.tenant}\0{self.name}".encode()).hexdigest()[:4]
        return f"{plain.strip('-')[:40]}-{check}"
