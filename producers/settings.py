"""Which Kafka, and how one logs in there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
_TLS = ("ca_file", "certificate_file", "key_file", "key_password")
_PASSWORD = ("username", "password")
_CLIENT = ("token_url", "client_id", "client_secret")
_OAUTH = ("token_file", *_CLIENT, "scope")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class KafkaSecurity(_Part):
    """TLS and SASL, by the names that Kafka's own clients use."""

    protocol: Protocol = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    mechanism: Mechanism | None = None
    """With SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."""
    username: str | None = None
    """User of PLAIN and SCRAM."""
    password: SecretStr | None = None
    """Password of PLAIN and SCRAM."""
    ca_file: Path | None = None
    """PEM file of the authorities that sign the brokers' certificates; empty: the system's."""
    certificate_file: Path | None = None
    """PEM file of the client's certificate, for brokers that ask for one (mutual TLS)."""
    key_file: Path | None = None
    """PEM file of its key."""
    key_password: SecretStr | None = None
    """Password of an encrypted key."""
    check_hostname: bool = True
    """Whether a broker's certificate has to name the host that was connected to."""
    token_file: Path | None = None
    """OAUTHBEARER: file that holds the token; read again at each login."""
    token_url: AnyHttpUrl | None = None
    """OAUTHBEARER: token endpoint that is asked with the client's credentials."""
    client_id: str | None = None
    """OAUTHBEARER: the client at the token endpoint."""
    client_secret: SecretStr | None = None
    """OAUTHBEARER: its secret."""
    scope: str | None = None
    """OAUTHBEARER: scope asked of the token endpoint."""

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether clients log in."""
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @field_validator("ca_file", "certificate_file", "key_file", "token_file")
    @classmethod
    def _is_there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"there is no file {path}")
        return path

    @model_validator(mode="after")
    def _fits(self) -> KafkaSecurity:
        """Name the first field that is missing, or that nobody would look at."""
        if self.sasl and self.mechanism is None:
            raise ValueError(f"mechanism: {self.protocol} needs one of {_names(Mechanism)}")
        if self.mechanism and not self.sasl:
            raise ValueError("mechanism: needs protocol SASL_SSL or SASL_PLAINTEXT")
        if not self.tls:
            self._refuse(_TLS, "needs protocol SSL or SASL_SSL")
        self._require_both("certificate_file", "key_file")
        if self.mechanism == "OAUTHBEARER":
            self._refuse(_PASSWORD, "is for PLAIN and SCRAM, not for OAUTHBEARER")
            self._fits_oauth()
            return self
        self._refuse(_OAUTH, "needs mechanism OAUTHBEARER")
        if self.sasl:
            self._require(_PASSWORD, f"{self.mechanism} needs it")
        else:
            self._refuse(_PASSWORD, "needs protocol SASL_SSL or SASL_PLAINTEXT")
        return self

    def _fits_oauth(self) -> None:
        if self.token_file is None:
            why = "OAUTHBEARER needs token_file, or token_url, client_id and client_secret"
            self._require(_CLIENT, why)
        else:
            self._refuse((*_CLIENT, "scope"), "is not used beside token_file")

    def _require_both(self, one: str, other: str) -> None:
        for name, needed in ((one, other), (other, one)):
            if getattr(self, name) is not None:
                self._require((needed,), f"{name} needs it")

    def _require(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: is missing; {why}")

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: {why}")


class KafkaSettings(_Part):
    """Which Kafka."""

    bootstrap: str | None = None
    """Address of a broker, host:port. Empty: `lorikeet run` starts an embedded one."""
    prefix: str = ""
    """Put before every topic's name, so that installations can share a cluster."""
    partitions: Annotated[int, Field(ge=1)] = 3
    """Partitions of the input topics that Lorikeet creates."""
    security: KafkaSecurity = KafkaSecurity()


def _names(choice: object) -> str:
    return ", ".join(getattr(choice, "__args__", ()))
