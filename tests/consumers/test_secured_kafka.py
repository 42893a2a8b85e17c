"""Kafka behind TLS and SASL: every listener carries records, and every refusal says what it is."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from consumers.kafka import (
    KafkaPublishedEvents,
    all_topics,
    cluster_id,
    create_topics,
    require_topics,
)
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from producers.kafka import ExclusiveKafkaProducer, KafkaProducer
from producers.port import Outgoing, Raw
from schemas.errors import Code, NotReady, Unrecoverable
from service.broker import free_port
from stores.ledger.delta import DeltaLedgerReader
from tests import processes
from tests.control_support import wake
from tests.secured_broker import ALICE, KEY_PASSWORD, SecuredBroker, unsecured_token

pytestmark = pytest.mark.kafka
SCRAM = {"mechanism": "SCRAM-SHA-512", "username": ALICE[0], "password": ALICE[1]}


@pytest.fixture
def topics(secured: SecuredBroker) -> str:
    """Fresh topics, made over SASL_SSL; their prefix."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    asyncio.run(create_topics(secured.connection("saslssl", **SCRAM), prefix, 2))
    return prefix


def login(mechanism: str, folder: Path) -> dict[str, Any]:
    if mechanism != "OAUTHBEARER":
        return {**SCRAM, "mechanism": mechanism}
    token = folder / "token"
    token.write_text(unsecured_token("alice") + "\n")
    return {"mechanism": mechanism, "token_file": token}


def shown(secured: SecuredBroker, password: str | None) -> dict[str, Any]:
    certificate, key = secured.authority.issue(uuid.uuid4().hex, password=password)
    named = {"certificate_file": certificate, "key_file": key}
    return named if password is None else {**named, "key_password": password}


async def round_trip(connection: KafkaConnection, topic: str) -> None:
    """One record through our producer, read by a member of a group."""
    producer, text = KafkaProducer(connection), uuid.uuid4().bytes
    await producer.send_raw([Raw(topic=topic, key=None, value=text, headers=[("a", b"b")])])
    await producer.stop()
    consumer = AIOKafkaConsumer(
        topic,
        **connection.options(),
        group_id=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        async for record in consumer:
            if record.value == text:
                await consumer.commit()
                return
    finally:
        await consumer.stop()


def trip(connection: KafkaConnection, prefix: str) -> None:
    asyncio.run(asyncio.wait_for(round_trip(connection, f"{prefix}execution.completed"), 20))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
@pytest.mark.parametrize("listener", ["sasl", "saslssl"])
def test_records_pass_a_login(
    secured: SecuredBroker, topics: str, tmp_path: Path, listener: str, mechanism: str
) -> None:
    trip(secured.connection(listener, **login(mechanism, tmp_path)), topics)


def test_records_pass_in_plain_text_and_over_tls(secured: SecuredBroker, topics: str) -> None:
    trip(KafkaConnection(secured.bootstrap), topics)
    trip(secured.connection("tls"), topics)
    by_name = secured.connection("tls", check_hostname=False).security
    trip(KafkaConnection(secured.address("tls", "localhost"), by_name), topics)


@pytest.mark.parametrize("password", [None, KEY_PASSWORD])
def test_records_pass_mutual_tls(secured: SecuredBroker, topics: str, password: str | None) -> None:
    trip(secured.connection("mutual", **shown(secured, password)), topics)


def test_what_a_consumer_needs_is_asked_over_a_login(secured: SecuredBroker, topics: str) -> None:
    connection = secured.connection("saslssl", **SCRAM)
    lifecycle = f"{topics}model.lifecycle"
    event = Outgoing(
        topic=lifecycle, key="k", id="e1", source="urn:s", type="model.route", time=None, data={}
    )

    async def ask() -> None:
        assert len(await cluster_id(connection)) == 22
        await require_topics(connection, all_topics(topics))
        producer = ExclusiveKafkaProducer(connection, f"{topics}relay")
        await producer.take_over()
        await producer.send([event])
        await producer.stop()
        published = await KafkaPublishedEvents(connection).read(lifecycle, {})
        assert published.ids == {"e1"}
        with pytest.raises(Unrecoverable) as caught:
            await require_topics(connection, ["not.there"])
        assert caught.value.code is Code.NO_TOPIC

    asyncio.run(ask())


@pytest.mark.parametrize("case", ["scram", "oauth", "mutual"])
def test_the_control_worker_is_woken_over_tls(
    secured: SecuredBroker, topics: str, tmp_path: Path, case: str
) -> None:
    connection = {
        "scram": lambda: secured.connection("saslssl", **SCRAM),
        "oauth": lambda: secured.connection("saslssl", **login("OAUTHBEARER", tmp_path)),
        "mutual": lambda: secured.connection("mutual", **shown(secured, None)),
    }[case]()

    woken_by = asyncio.run(wake(connection, connection, topics, tmp_path))
    assert woken_by == f"{topics}feedback.received"


def config(folder: Path, connection: KafkaConnection, prefix: str, **security: Any) -> Path:
    """A settings file; secrets stand in it in plain text."""
    known = connection.security.model_dump(exclude_unset=True)
    plain = {
        n: v.get_secret_value() if hasattr(v, "get_secret_value") else v for n, v in known.items()
    }
    tree = {n: str(v) if isinstance(v, Path) else v for n, v in {**plain, **security}.items()}
    kafka = {"prefix": prefix, "security": tree}
    return processes.write_config(folder, connection.bootstrap, kafka=kafka)


def test_ingest_as_a_process_with_its_password_in_a_file(
    secured: SecuredBroker, topics: str, tmp_path: Path
) -> None:
    connection = secured.connection("saslssl", **SCRAM)
    path = config(tmp_path, connection, topics)
    secret = tmp_path / "password"
    secret.write_text(f"{ALICE[1]}\n")
    path.write_text(path.read_text().replace(ALICE[1], "replaced by the variable"))
    publish = [Raw(topic=f"{topics}execution.completed", key=None, value=b"?", headers=())] * 20
    asyncio.run(send(KafkaProducer(connection), publish))
    child = processes.start(
        "ingest",
        "--config",
        str(path),
        log=tmp_path / "log",
        LORIKEET_KAFKA__SECURITY__PASSWORD_FILE=str(secret),
    )
    try:
        ledger = tmp_path / "data" / "ledger"
        processes.wait_for((ledger / "_delta_log").exists, "the ledger", 30)
        reader = DeltaLedgerReader(ledger)
        processes.wait_for(lambda: len(list(reader.rows())) == 20, "the rows", 30)
    finally:
        processes.end(child)
    assert ALICE[1] not in (tmp_path / "log").read_text()


async def send(producer: KafkaProducer, records: list[Raw]) -> None:
    await producer.send_raw(records)
    await producer.stop()


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("password", Code.AUTHENTICATION_FAILED, "invalid credentials"),
        ("authority", Code.TLS_FAILED, "kafka.security.ca_file"),
        ("expired", Code.TLS_FAILED, "certificate has expired; renew the broker's certificate"),
        ("name", Code.TLS_FAILED, "not valid for 'localhost'"),
    ],
)
def test_a_refusal_is_one_line_and_final(
    secured: SecuredBroker, tmp_path: Path, case: str, code: Code, said: str
) -> None:
    tls = secured.connection("tls").security
    connection = {
        "password": secured.connection("saslssl", **{**SCRAM, "password": "wrong-4711"}),
        "authority": secured.connection("tls", ca_file=secured.stranger.certificate),
        "expired": secured.connection("expired"),
        "name": KafkaConnection(secured.address("tls", "localhost"), tls),
    }[case]
    path = config(tmp_path, connection, "")
    for command in ("ingest", "control"):
        done = processes.run(
            command, "--config", str(path), environment={"LORIKEET_SUPERVISED": "1"}
        )
        lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
        assert done.returncode == 2, done.stderr
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith(f"lorikeet: {code.number} ")
        assert connection.bootstrap in lines[0]
        assert said in lines[0]
        assert "4711" not in done.stdout + done.stderr


def found(connection: KafkaConnection) -> NotReady | Unrecoverable:
    return asyncio.run(diagnose(connection, KafkaConnectionError("Unable to bootstrap")))


def test_other_refusals_are_told_apart(secured: SecuredBroker, tmp_path: Path) -> None:
    def remedy(connection: KafkaConnection, code: Code) -> str:
        trouble = found(connection)
        assert trouble.code is code, trouble
        return str(trouble)

    stranger, key = secured.stranger.issue("client")
    foreign = {"certificate_file": stranger, "key_file": key}
    bare = secured.connection("tls").security
    plain = secured.connection("sasl", **login("PLAIN", tmp_path)).security
    (tmp_path / "token").write_text("no token")
    bad_token = {"mechanism": "OAUTHBEARER", "token_file": tmp_path / "token"}
    for shows in ({}, foreign):
        said = remedy(secured.connection("mutual", **shows), Code.TLS_FAILED)
        assert "kafka.security.certificate_file" in said
    said = remedy(KafkaConnection(secured.address("tls")), Code.TLS_FAILED)
    assert "set kafka.security.protocol to SSL" in said
    said = remedy(KafkaConnection(secured.bootstrap, plain), Code.AUTHENTICATION_FAILED)
    assert "does not offer this SASL mechanism" in said
    remedy(secured.connection("saslssl", **bad_token), Code.AUTHENTICATION_FAILED)
    asks = KafkaConnection(secured.address("saslssl"), bare)
    assert "does it want SASL?" in remedy(asks, Code.NO_BROKER)
    remedy(KafkaConnection(secured.bootstrap, bare), Code.NO_BROKER)
    remedy(KafkaConnection(f"127.0.0.1:{free_port()}", bare), Code.NO_BROKER)


def test_one_broker_that_answers_is_enough_to_look_further(secured: SecuredBroker) -> None:
    """An address that is down, then one that works: what was met is what is told."""
    both = f"127.0.0.1:{free_port()},{secured.address('tls')}"
    trouble = found(KafkaConnection(both, secured.connection("tls").security))
    assert isinstance(trouble, NotReady)
    assert "Unable to bootstrap" in trouble.detail
