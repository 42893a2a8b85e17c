"""What docs/deployment.md says of secured clusters: its example, and that its ACLs are enough."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

import pytest
import yaml
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from consumers.kafka import (
    KafkaPublishedEvents,
    all_topics,
    cluster_id,
    create_topics,
    input_topics,
    require_topics,
)
from consumers.letter_box import LetterBox
from consumers.log_walk import LogReader
from consumers.resend import Resend
from consumers.verify_ledger import Scope, VerifyLedger
from producers.connection import KafkaConnection
from producers.kafka import ExclusiveKafkaProducer, KafkaProducer
from producers.port import Outgoing, Raw
from schemas.envelope import Limits
from schemas.errors import Code, Unrecoverable
from schemas.letters import error_headers
from service.settings import Settings
from stores.artifacts.objects import ObjectFolder
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.control_support import wake
from tests.processes import ROOT
from tests.secured_broker import BOB, Authority, SecuredBroker
from tests.support import row

PAGE = (ROOT / "docs" / "deployment.md").read_text()
RESOURCES = {"topic": 2, "group": 3, "transactional id": 5}
OPERATIONS = {"Read": 3, "Write": 4}
LITERAL, ALLOW = 3, 3


def example_of(heading: str) -> str:
    (example,) = re.findall(
        r"```yaml\n(.*?)```", re.split(r"\n##+ ", PAGE.split(heading)[1])[0], re.DOTALL
    )
    return str(example)


def test_the_ledgers_example_can_be_used() -> None:
    settings = Settings.model_validate(yaml.safe_load(example_of("## The ledger on S3")))
    assert settings.ledger.uri.startswith("s3://")


def test_the_example_can_be_used(tmp_path: Path) -> None:
    example = example_of("### Kafka with TLS and SASL")
    authority = Authority(tmp_path / "ca", "Ours")
    tree = yaml.safe_load(example)
    tree["kafka"]["security"] |= {"ca_file": str(authority.certificate), "password": "p"}
    options = KafkaConnection.of(Settings.model_validate(tree).kafka).options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["ssl_context"].check_hostname


def documented() -> list[tuple[str, str, str, str]]:
    """(process, resource, name, operation) of each ACL in the table."""
    found = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1] in RESOURCES:
            process, resource, names, operations = cells
            for name in re.findall(r"`(.+?)`", names):
                found += [(process, resource, name, one) for one in operations.split(", ")]
    return found


async def grant(root: KafkaConnection, prefix: str, process: str) -> None:
    admin = AIOKafkaAdminClient(**root.options())
    await admin.start()
    for who, resource, name, operation in documented():
        whole = name if resource == "group" else f"{prefix}{name}"
        if who == process:
            request = CreateAclsRequest(
                RESOURCES[resource],
                whole,
                LITERAL,
                f"User:{BOB[0]}",
                "*",
                OPERATIONS[operation],
                ALLOW,
            )
            answer = await admin._send_request(request)
            assert [error for error, _ in answer.creation_responses] == [0]
    await admin.close()


async def as_ingest(bob: KafkaConnection, prefix: str) -> None:
    """All that `lorikeet ingest` asks of Kafka."""
    inputs = [name for _, kind, name, _ in documented() if kind == "topic"][:5]
    topics = [f"{prefix}{name}" for name in inputs]
    assert await cluster_id(bob)
    await require_topics(bob, topics)
    consumer = AIOKafkaConsumer(
        **bob.options(),
        group_id="lorikeet-ingest",
        group_instance_id="static",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    consumer.subscribe(topics)
    await consumer.start()
    try:
        record = await consumer.getone()
        await consumer.beginning_offsets(list(consumer.assignment()))
        await consumer.commit()
    finally:
        await consumer.stop()
    producer = KafkaProducer(bob)
    said = error_headers(row(0, topic=record.topic, error_code="E7003"), "no id")
    letter = Raw(topic=f"{prefix}lorikeet.dead-letter", key=None, value=record.value, headers=said)
    await producer.send_raw([letter])
    await producer.stop()


async def as_relay(bob: KafkaConnection, prefix: str) -> None:
    """What `lorikeet control` asks of Kafka beside the group of its Faust worker."""
    topic = f"{prefix}model.lifecycle"
    producer = ExclusiveKafkaProducer(bob, f"{prefix}lorikeet.relay")
    try:
        await producer.take_over()
        await producer.send(
            [Outgoing(topic=topic, key="k", id="e", source="s", type="t", time=None, data={})]
        )
        assert (await KafkaPublishedEvents(bob).read(topic, {})).ids == {"e"}
    finally:
        await producer.stop()


async def as_person(bob: KafkaConnection, prefix: str, folder: Path) -> int:
    """What `lorikeet dead-letters` and `lorikeet ledger verify` ask of Kafka; letters put back."""
    box, producer = LetterBox(bob, prefix), KafkaProducer(bob)
    letters = await box.newest(lambda _: True, 10)
    try:
        resend = Resend(box, producer, lambda: ObjectFolder(folder.as_uri()), Limits())
        sent = await resend([letter.id for letter in letters])
    finally:
        await producer.stop()
    DeltaLedgerWriter(folder / "ledger", "c")
    scope = Scope(input_topics(prefix), f"{prefix}lorikeet.dead-letter")
    async with LogReader(bob) as log:
        verify = VerifyLedger(folder / "ledger", DeltaLedgerReader(folder / "ledger"), "c")
        assert sum(report.not_yet_read for report in await verify(log, scope)) > 0
    return len(sent)


@pytest.mark.kafka
def test_the_documented_acls_are_needed_and_enough(secured: SecuredBroker, tmp_path: Path) -> None:
    root, prefix = KafkaConnection(secured.bootstrap), f"t{uuid.uuid4().hex[:8]}."
    login = {"mechanism": "SCRAM-SHA-256", "username": BOB[0], "password": BOB[1]}
    bob = secured.connection("saslssl", **login)

    async def run() -> None:
        await create_topics(root, prefix, 1)
        event = Raw(topic=f"{prefix}execution.completed", key=None, value=b"{}", headers=())
        producer = KafkaProducer(root)
        await producer.send_raw([event])
        await producer.stop()
        with pytest.raises(Unrecoverable) as caught:
            await require_topics(bob, all_topics(prefix))
        assert caught.value.code is Code.NO_TOPIC, "Kafka does not even name it"
        with pytest.raises(Unrecoverable) as caught:
            await as_relay(bob, prefix)
        assert caught.value.code is Code.ACCESS_DENIED
        await grant(root, prefix, "ingest")
        await as_ingest(bob, prefix)
        await grant(root, prefix, "control")
        await as_relay(bob, prefix)
        with pytest.raises(Unrecoverable) as caught:
            await as_person(bob, prefix, tmp_path)
        assert caught.value.code is Code.ACCESS_DENIED
        for command in ("ledger verify", "dead-letters list, show", "dead-letters resend"):
            await grant(root, prefix, command)
        assert await as_person(bob, prefix, tmp_path) == 1
        assert await wake(bob, root, prefix, tmp_path) == f"{prefix}feedback.received"

    asyncio.run(asyncio.wait_for(run(), 120))
