"""Topics, the cluster's id, and reading back what was published."""

from __future__ import annotations

import asyncio

import pytest

from consumers.kafka import (
    KafkaPublishedEvents,
    all_topics,
    cluster_id,
    create_topics,
    require_topics,
)
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from producers.port import Outgoing
from schemas.errors import Code, NotReady, Unrecoverable
from service.broker import free_port
from tests.support import NOW

pytestmark = pytest.mark.kafka


def test_topics_are_created_once(broker: str) -> None:
    async def main() -> tuple[list[str], list[str]]:
        return (
            await create_topics(KafkaConnection(broker), "once.", 3),
            await create_topics(KafkaConnection(broker), "once.", 3),
        )

    assert asyncio.run(main()) == (all_topics("once."), [])


def test_a_topic_that_cannot_be_created_is_an_error(broker: str) -> None:
    """The admin client raises nothing for it: the answer says so."""
    with pytest.raises(NotReady, match=r"no such name!\.execution\.completed"):
        asyncio.run(create_topics(KafkaConnection(broker), "no such name!.", 1))


def test_a_missing_topic_is_named(broker: str, prefix: str) -> None:
    asyncio.run(require_topics(KafkaConnection(broker), all_topics(prefix)))
    with pytest.raises(Unrecoverable) as caught:
        asyncio.run(
            require_topics(KafkaConnection(broker), [f"{prefix}execution.completed", "not.there"])
        )
    assert caught.value.code is Code.NO_TOPIC
    assert caught.value.detail == "not.there"


def test_without_a_broker_there_is_one_error() -> None:
    with pytest.raises(NotReady) as caught:
        asyncio.run(cluster_id(KafkaConnection(f"127.0.0.1:{free_port()}")))
    assert caught.value.code is Code.NO_BROKER


def test_published_events_are_read_back_from_a_position(broker: str, prefix: str) -> None:
    topic = f"{prefix}model.lifecycle"

    def event(number: int) -> Outgoing:
        return Outgoing(
            topic=topic,
            key="t/m",
            id=f"e{number}",
            source="urn:test",
            type="model.route",
            time=NOW,
            data={"n": number},
        )

    async def main() -> None:
        producer = KafkaProducer(KafkaConnection(broker))
        assert await producer.send([event(0), event(1)]) == {(topic, 0): 2}
        assert await producer.send([event(2)]) == {(topic, 0): 3}
        await producer.stop()
        reader = KafkaPublishedEvents(KafkaConnection(broker))
        everything = await reader.read(topic, {})
        assert everything.ids == {"e0", "e1", "e2"}
        assert everything.next_offsets == {0: 3}
        assert (await reader.read(topic, {0: 2})).ids == {"e2"}
        assert (await reader.read(topic, {0: 3})).ids == set()

    asyncio.run(main())
