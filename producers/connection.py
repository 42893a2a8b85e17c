"""How a Kafka cluster is reached: its address, and what every client of it is given."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from producers.settings import KafkaSecurity, KafkaSettings
from producers.tokens import token_provider
from schemas.errors import Code, Unrecoverable


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """One cluster. `bootstrap` is host:port, several joined by commas."""

    bootstrap: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    @classmethod
    def of(cls, settings: KafkaSettings) -> KafkaConnection:
        """The configured cluster. Raises Unrecoverable(NO_BROKER) if there is none."""
        if settings.bootstrap is None:
            raise Unrecoverable(
                Code.NO_BROKER,
                "none is configured",
                remedy="give --bootstrap HOST:PORT, or use `lorikeet run` for an embedded one",
            )
        return cls(settings.bootstrap, settings.security)

    def options(self) -> dict[str, Any]:
        """Keyword arguments of every aiokafka client.

        Raises Unrecoverable(BAD_SETTINGS) naming the certificate or key that cannot be used.
        """
        known = self.security
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": known.protocol,
        }
        if known.tls:
            options["ssl_context"] = tls_context(known)
        if known.sasl:
            options["sasl_mechanism"] = known.mechanism
        if known.mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = token_provider(known)
        elif known.password is not None:
            options["sasl_plain_username"] = known.username
            options["sasl_plain_password"] = known.password.get_secret_value()
        return options

    def __str__(self) -> str:
        return self.bootstrap


def tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    """What is trusted and shown in a TLS handshake. Raises Unrecoverable(BAD_SETTINGS)."""
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
    except (OSError, ValueError) as error:
        raise _unusable("ca_file", security.ca_file, error) from error
    context.check_hostname = security.check_hostname
    if security.certificate_file is None:
        return context
    secret = security.key_password
    # Without any password OpenSSL would ask for one on the terminal.
    password = secret.get_secret_value() if secret else ""
    try:
        context.load_cert_chain(security.certificate_file, security.key_file, password)
    except (OSError, ValueError) as error:
        raise _unusable("key_file", security.key_file, error) from error
    return context


def _unusable(name: str, path: object, error: Exception) -> Unrecoverable:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return Unrecoverable(
        Code.BAD_SETTINGS,
        f"kafka.security.{name}: {path}: {reason}",
        remedy="give PEM files that belong together, and key_password if the key has one",
    )
