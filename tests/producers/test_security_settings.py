"""Settings of TLS and SASL: bad combinations are refused by the name of the field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from producers.connection import KafkaConnection
from schemas.errors import Code, Unrecoverable
from service.settings import load, masked
from tests.secured_broker import KEY_PASSWORD, Authority

SCRAM = {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": "u", "password": "p"}
OAUTH = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}
CLIENT = {"token_url": "https://h/t", "client_id": "c", "client_secret": "s"}


def written(folder: Path, security: Mapping[str, object]) -> Path:
    path = folder / "lorikeet.yaml"
    path.write_text(yaml.safe_dump({"kafka": {"bootstrap": "h:1", "security": security}}))
    return path


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"protocol": "TLS"}, "kafka.security.protocol: Input should be 'PLAINTEXT', 'SSL'"),
        ({"protocol": "SASL_SSL"}, "mechanism: SASL_SSL needs one of PLAIN, SCRAM-SHA-256"),
        ({"mechanism": "PLAIN"}, "mechanism: needs protocol SASL_SSL"),
        ({**SCRAM, "username": None}, "username: is missing; SCRAM-SHA-512 needs it"),
        ({**SCRAM, "password": None}, "password: is missing"),
        ({"protocol": "SSL", "username": "u"}, "username: needs protocol SASL_SSL"),
        ({**SCRAM, "mechanism": "GSSAPI"}, "kafka.security.mechanism: Input should be 'PLAIN'"),
        ({"protocol": "SSL", "ca_file": "/no/ca"}, "kafka.security.ca_file: there is no file"),
        ({"protocol": "SSL", "certificate_file": __file__}, "key_file: is missing"),
        ({"protocol": "SSL", "key_file": __file__}, "certificate_file: is missing"),
        ({"ca_file": __file__}, "ca_file: needs protocol SSL or SASL_SSL"),
        (OAUTH, "token_url: is missing; OAUTHBEARER needs token_file, or token_url"),
        ({**OAUTH, **CLIENT, "client_secret": None}, "client_secret: is missing"),
        ({**OAUTH, **CLIENT, "token_url": "h"}, "kafka.security.token_url"),
        ({**OAUTH, **CLIENT, "token_file": __file__}, "token_url: is not used beside token_file"),
        ({**OAUTH, **CLIENT, "username": "u"}, "username: is for PLAIN and SCRAM"),
        ({**SCRAM, "scope": "x"}, "scope: needs mechanism OAUTHBEARER"),
        ({**SCRAM, "pasword": "x"}, "did you mean password?"),
    ],
)
def test_a_bad_combination_is_refused(
    tmp_path: Path, security: dict[str, object], said: str
) -> None:
    with pytest.raises(Unrecoverable) as caught:
        load(written(tmp_path, security))
    assert caught.value.code is Code.BAD_SETTINGS
    assert caught.value.detail.startswith("kafka.security")
    assert said in caught.value.detail


def test_variables_and_secrets_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PASSWORD_FILE holds a secret; CA_FILE is a setting by itself."""
    authority = Authority(tmp_path / "ca", "Ours")
    (tmp_path / "secret").write_text("canary-4711\n")
    said = {"PROTOCOL": "SASL_SSL", "MECHANISM": "PLAIN", "USERNAME": "u"}
    for name, value in said.items():
        monkeypatch.setenv(f"LORIKEET_KAFKA__SECURITY__{name}", value)
    monkeypatch.setenv("LORIKEET_KAFKA__SECURITY__PASSWORD", "replaced by the file")
    monkeypatch.setenv("LORIKEET_KAFKA__SECURITY__PASSWORD_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("LORIKEET_KAFKA__SECURITY__CA_FILE", str(authority.certificate))
    settings = load(None, bootstrap="h:1")
    options = KafkaConnection.of(settings.kafka).options()
    assert options["sasl_plain_password"] == "canary-4711"
    assert settings.kafka.security.ca_file == authority.certificate
    assert "4711" not in str(masked(settings)) + repr(settings) + repr(settings.kafka.security)


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "Ours")
    certificate, key = authority.issue("client", password=KEY_PASSWORD)
    _, other = authority.issue("other")
    text = tmp_path / "text"
    text.write_text("not PEM")
    shows = {"protocol": "SSL", "certificate_file": str(certificate)}
    for security, field in (
        ({"protocol": "SSL", "ca_file": str(text)}, "ca_file"),
        ({**shows, "key_file": str(other)}, "key_file"),
        ({**shows, "key_file": str(key)}, "key_file"),
        ({**shows, "key_file": str(key), "key_password": "canary-4711"}, "key_file"),
    ):
        connection = KafkaConnection.of(load(written(tmp_path, security)).kafka)
        with pytest.raises(Unrecoverable) as caught:
            connection.options()
        assert caught.value.code is Code.BAD_SETTINGS
        assert f"kafka.security.{field}: " in caught.value.detail
        assert "4711" not in str(caught.value)
