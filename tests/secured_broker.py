"""The embedded broker with every kind of listener, for tests: TLS, client certificates, SASL, ACLs.

Certificates are made on the spot; whoever has an unsigned token may log in as its subject.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from producers.connection import KafkaConnection
from producers.settings import KafkaSecurity
from service.broker import EmbeddedBroker, free_port

ALICE = ("alice", "alice-secret")
"""May do everything, as may those who log in by a certificate or not at all."""
BOB = ("bob", "bob-secret")
"""May do what ACLs say."""
KEY_PASSWORD = "of the key"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_LISTENERS = {
    "tls": "SSL",
    "mutual": "SSL",
    "expired": "SSL",
    "sasl": "SASL_PLAINTEXT",
    "saslssl": "SASL_SSL",
}
_JAAS = {
    "PLAIN": f'plain.PlainLoginModule required user_{ALICE[0]}="{ALICE[1]}"',
    "SCRAM-SHA-256": "scram.ScramLoginModule required",
    "SCRAM-SHA-512": "scram.ScramLoginModule required",
    "OAUTHBEARER": "oauthbearer.OAuthBearerLoginModule required "
    'unsecuredLoginStringClaim_sub="broker"',
}


class Authority:
    """A certificate authority of its own, below a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        made = self._builder(self._name, self._key, _now() + timedelta(days=1))
        signed = made.add_extension(constraint, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, days: int = 1, password: str | None = None) -> tuple[Path, Path]:
        """Certificate and key for 127.0.0.1 and no host name; `days` below 0: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = self._builder(subject, key, _now() + timedelta(days=days))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        signed = made.sign(self._key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(_pem(key, password))
        return certificate, secret

    def keystore(self, name: str, *, days: int = 1) -> Path:
        """Key and certificate in one file, as Kafka reads them."""
        certificate, key = self.issue(name, days=days)
        store = self._folder / f"{name}.store.pem"
        store.write_text(key.read_text() + certificate.read_text())
        return store

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            self._name,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            _now() - timedelta(days=10),
            until,
        )


class SecuredBroker(EmbeddedBroker):
    """Listens in plain text at `bootstrap`, and on `address(listener)` of `_LISTENERS`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "kafka", say=lambda _text: None)
        self.authority = Authority(folder / "ours", "Ours")
        self.stranger = Authority(folder / "theirs", "Theirs")
        self._ports = {name: free_port() for name in _LISTENERS}
        self._store = self.authority.keystore("broker")
        self._expired = self.authority.keystore("late", days=-1)

    def connection(self, listener: str, **security: Any) -> KafkaConnection:
        """How a client that trusts our authority reaches a listener."""
        protocol = _LISTENERS[listener]
        trust = {"ca_file": self.authority.certificate} if protocol.endswith("SSL") else {}
        settings = KafkaSecurity.model_validate({"protocol": protocol, **trust, **security})
        return KafkaConnection(self.address(listener), settings)

    def address(self, listener: str, host: str = "127.0.0.1") -> str:
        """A listener's bootstrap address."""
        return f"{host}:{self._ports[listener]}"

    def _configure(self) -> Path:
        path = super()._configure()
        pairs = (line.split("=", 1) for line in path.read_text().splitlines())
        values = dict(pairs)
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()]
        kinds = [f"{name}:{protocol}" for name, protocol in _LISTENERS.items()]
        for name in ("listeners", "advertised.listeners"):
            values[name] = ",".join([values[name], *listeners])
        mapped = "listener.security.protocol.map"
        values[mapped] = ",".join([values[mapped], *kinds])
        values["inter.broker.listener.name"] = "PLAINTEXT"
        values |= self._tls() | _sasl() | _rights()
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return path

    def _format(self, properties: Path) -> list[str]:
        arguments = super()._format(properties)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            for name, password in (ALICE, BOB):
                user = f'{mechanism}=[name="{name}",password="{password}"]'
                arguments += ["--add-scram", user]
        return arguments

    def _tls(self) -> dict[str, str]:
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.certificate),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.expired.ssl.keystore.location": str(self._expired),
        }


def unsecured_token(subject: str, seconds: float = 3600) -> str:
    """An unsigned JSON web token (RFC 7515, algorithm none), as Kafka's test validator takes it."""
    issued = time.time() - 1
    claims = {"sub": subject, "iat": issued, "exp": issued + seconds}
    return f"{_base64({'alg': 'none'})}.{_base64(claims)}."


def _sasl() -> dict[str, str]:
    values = {}
    for name in ("sasl", "saslssl"):
        values[f"listener.name.{name}.sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        for mechanism, module in _JAAS.items():
            key = f"listener.name.{name}.{mechanism.lower()}.sasl.jaas.config"
            values[key] = f"org.apache.kafka.common.security.{module};"
    return values


def _rights() -> dict[str, str]:
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{ALICE[0]}",
        "ssl.principal.mapping.rules": f"RULE:^.*$/{ALICE[0]}/",
    }


def _base64(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def _pem(key: ec.EllipticCurvePrivateKey, password: str | None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption(),
    )


def _now() -> datetime:
    return datetime.now(UTC)
