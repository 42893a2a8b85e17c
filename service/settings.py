"""One frozen tree of settings, from `lorikeet.yaml` and `LORIKEET_*` variables.

Nested names are joined by two underscores (`LORIKEET_API__PORT=9000`). A secret may also come from a
file: `LORIKEET_API__TOKEN_FILE=/run/secrets/token`. Bad settings are refused at the start, with the
path of the field and what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from consumers.settings import ControlSettings, IngestSettings
from operations.settings import LedgerSettings, ModelSettings
from processors.curation.phones import is_region
from processors.curation.policy import CurationPolicy
from processors.curation.redact import Redactor
from producers.settings import KafkaSettings
from schemas.envelope import Limits
from schemas.errors import Code, Unrecoverable
from service.places import Places, default_data

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0)]
Trust = Literal["unknown", "external", "internal", "verified"]
_PREFIX = "LORIKEET_"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CurationSettings(_Part):
    """What ingest accepts and hides."""

    min_quality: Annotated[float, Field(ge=0, le=100)] = 70.0
    """Quality from which a run is accepted."""
    review_quality: Annotated[float, Field(ge=0, le=100)] = 40.0
    """Quality from which a run goes to review instead of being rejected."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Stated confidence below which a run goes to review."""
    default_trust: Trust = "internal"
    """Trust granted to sources that are not named."""
    trust: dict[str, Trust] = {}
    """Trust granted to each CloudEvents source."""
    identifiers: dict[str, str] = {}
    """Your own identifier shapes: NAME → RE2 pattern. They become typed placeholders."""
    phone_regions: tuple[str, ...] = ("US",)
    """Regions (ISO 3166) whose national phone numbers are looked for; with a country code all are."""
    dedupe_days: Seconds = 7.0
    """How long the same tenant, source and id count as a duplicate within a partition, by Kafka's time."""
    dedupe_rows: Annotated[int, Field(ge=1_000)] = 2_000_000
    """How many offsets back in a partition a duplicate is found; each takes 20 bytes of memory."""
    max_bytes: Annotated[int, Field(ge=1)] = 4 * 1024 * 1024
    """Largest event, in bytes."""
    max_messages: Annotated[int, Field(ge=1)] = 2_000
    """Longest trace, in messages."""
    max_depth: Annotated[int, Field(ge=1)] = 64
    """Deepest JSON."""

    @field_validator("identifiers")
    @classmethod
    def _can_be_compiled(cls, patterns: dict[str, str]) -> dict[str, str]:
        Redactor(patterns)
        return patterns

    @field_validator("phone_regions")
    @classmethod
    def _have_numbers(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [region for region in regions if not is_region(region)]
        if unknown:
            raise ValueError(
                f"no region of phone numbers: {', '.join(unknown)}; write US, GB, DE, …"
            )
        return regions

    @model_validator(mode="after")
    def _ordered(self) -> CurationSettings:
        if self.review_quality > self.min_quality:
            raise ValueError("review_quality is above min_quality")
        return self

    @property
    def limits(self) -> Limits:
        """What an event may be at most."""
        return Limits(self.max_bytes, self.max_messages, self.max_depth)

    def policy(self, key: bytes) -> CurationPolicy:
        """The same as ingest's own type, with the key that hides users and sessions."""
        return CurationPolicy(
            hmac_key=key,
            limits=self.limits,
            min_quality=self.min_quality,
            review_quality=self.review_quality,
            min_confidence=self.min_confidence,
            default_trust=self.default_trust,
            trust=dict(self.trust),
            identifiers=dict(self.identifiers),
            phone_regions=self.phone_regions,
            dedupe_window_ms=int(self.dedupe_days * 86_400_000),
            dedupe_rows=self.dedupe_rows,
        )


class ApiSettings(_Part):
    """The HTTP API."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs a token."""
    port: Port = 8900
    """Port to listen on; `/metrics` is here too."""
    token: SecretStr | None = None
    """Bearer token that every call but /health and /metrics needs."""

    @model_validator(mode="after")
    def _guarded(self) -> ApiSettings:
        if self.host not in _LOOPBACK and self.token is None:
            raise ValueError(f"{Code.EXPOSED_API.meaning}; {Code.EXPOSED_API.remedy}")
        return self


class MetricsSettings(_Part):
    """Where each process shows its metrics (the API shows its own)."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    control: Port = 9462
    """Port of `lorikeet control`."""
    worker: Port = 9463
    """Port of `lorikeet worker`."""
    ingest: Port = 9464
    """Port of `lorikeet ingest`; its second worker takes the next one, and so on."""


class WorkerSettings(_Part):
    """Training on this machine."""

    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of a training process; empty: torch decides."""
    poll_seconds: Seconds = 1.0
    """How often an idle worker looks for a job."""


class Settings(BaseSettings):
    """Everything."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Path = Field(default_factory=default_data)
    """Folder of this installation: ledger, datasets, adapters, control database, keys."""
    kafka: KafkaSettings = KafkaSettings()
    ingest: IngestSettings = IngestSettings()
    curation: CurationSettings = CurationSettings()
    ledger: LedgerSettings = LedgerSettings()
    control: ControlSettings = ControlSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    worker: WorkerSettings = WorkerSettings()
    models: tuple[ModelSettings, ...] = ()
    """The models that learn; each with its base, gateways and policies."""

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [(model.tenant, model.name) for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError("models: a tenant has two models of one name")
        return self

    @model_validator(mode="after")
    def _remembers_duplicates(self) -> Settings:
        kept = self.ledger.retention_days
        if kept is not None and kept <= self.curation.dedupe_days:
            raise ValueError("ledger.retention_days is not above curation.dedupe_days")
        return self

    @property
    def places(self) -> Places:
        """The folders of this installation."""
        return Places(self.data)

    def model(self, tenant: str, name: str) -> ModelSettings:
        """One model's settings. Raises Unrecoverable(NO_SUCH_MODEL)."""
        for model in self.models:
            if (model.tenant, model.name) == (tenant, name):
                return model
        raise Unrecoverable(Code.NO_SUCH_MODEL, f"{tenant}/{name} is not in the configuration")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over the file, options of the command line over both."""
        del settings_cls, dotenv_settings, file_secret_settings
        assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101 - the base class makes it
        env_settings.env_vars = _with_secrets(env_settings.env_vars)
        return env_settings, init_settings


def load(
    config: Path | None, *, data: Path | None = None, bootstrap: str | None = None
) -> Settings:
    """The effective settings. Raises Unrecoverable(BAD_SETTINGS) naming path and limit."""
    tree = _read(config or _default_config())
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise Unrecoverable(Code.BAD_SETTINGS, _first_problem(error)) from error
    except SettingsError as error:
        raise Unrecoverable(Code.BAD_SETTINGS, f"a variable {_PREFIX}…: {error}") from error
    if data is not None:
        settings = settings.model_copy(update={"data": data})
    if bootstrap is not None:
        kafka = settings.kafka.model_copy(update={"bootstrap": bootstrap})
        settings = settings.model_copy(update={"kafka": kafka})
    return settings


def masked(settings: Settings) -> dict[str, Any]:
    """The effective tree as plain values, secrets masked."""
    return settings.model_dump(mode="json")


def _default_config() -> Path | None:
    here = Path("lorikeet.yaml")
    return here if here.exists() else None


def _read(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        tree = yaml.safe_load(config.read_text())
    except OSError as error:
        raise Unrecoverable(Code.NO_SUCH_FILE, f"{config}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or f"not YAML: {error}"
        raise Unrecoverable(Code.BAD_SETTINGS, f"{config}{line}: {problem}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(name, str) for name in tree):
        why = "the top level is not a mapping of names"
        raise Unrecoverable(Code.BAD_SETTINGS, f"{config}: {why}")
    return tree


def _with_secrets(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """`LORIKEET_X_FILE=path` stands for `LORIKEET_X` with the file's content, unless X_FILE is a setting."""
    found = dict(variables)
    for name, path in variables.items():
        if not (name.startswith(_PREFIX.lower()) and name.endswith("_file")) or _is_setting(name):
            continue
        try:
            found[name.removesuffix("_file")] = Path(path or "").read_text().strip()
        except OSError as error:
            raise Unrecoverable(Code.NO_SUCH_FILE, f"{name.upper()}: {error.strerror}") from error
        del found[name]
    return found


def _is_setting(variable: str) -> bool:
    part: Any = Settings
    for name in variable.removeprefix(_PREFIX.lower()).split("__"):
        field = getattr(part, "model_fields", {}).get(name)
        if field is None:
            return False
        part = _model_in(field.annotation)
    return True


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    if first["type"] == "extra_forbidden":
        message = "there is no such setting" + _meant(first["loc"])
    return f"{path}: {message}" if path else message


def _meant(place: tuple[int | str, ...]) -> str:
    """What the last name of a path may have been meant to be."""
    part: Any = Settings
    for name in place[:-1]:
        if isinstance(name, str):
            part = _model_in(part.model_fields[name].annotation)
    close = difflib.get_close_matches(str(place[-1]), part.model_fields, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _model_in(annotation: Any) -> Any:
    """The settings class that an annotation is or holds."""
    return next((a for a in get_args(annotation) if hasattr(a, "model_fields")), annotation)
