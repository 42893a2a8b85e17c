"""What every Kafka consumer here needs: topics, the cluster's id, clear errors, reading back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from consumers.lenient_headers import LenientConsumer
from operations.relay_outbox import Published
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code, Unrecoverable
from schemas.events import DEAD_LETTER_TOPIC, INPUT_TYPES, LIFECYCLE_TOPIC

MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def input_topics(prefix: str) -> list[str]:
    """The topics that ingest reads."""
    return [f"{prefix}{name}" for name in INPUT_TYPES]


def all_topics(prefix: str) -> list[str]:
    """Input and output topics."""
    return [*input_topics(prefix), f"{prefix}{LIFECYCLE_TOPIC}", f"{prefix}{DEAD_LETTER_TOPIC}"]


async def create_topics(connection: KafkaConnection, prefix: str, partitions: int) -> list[str]:
    """Create the topics that are missing; the names of those created. Lifecycle and dead letters have one partition;
    each topic as many replicas as there are brokers, three at most.

    Raises what `diagnose` finds.
    """
    created: list[str] = []
    admin = AIOKafkaAdminClient(**connection.options(), request_timeout_ms=20_000)
    try:
        await admin.start()
        known = set(await admin.list_topics())
        missing = [name for name in all_topics(prefix) if name not in known]
        singles = {f"{prefix}{LIFECYCLE_TOPIC}", f"{prefix}{DEAD_LETTER_TOPIC}"}
        copies = min(3, len((await admin.describe_cluster())["brokers"]))
        for name in missing:
            count = 1 if name in singles else partitions
            limits = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
            topic = NewTopic(name, count, copies, topic_configs=limits)
            ((_, code, said),) = (await admin.create_topics([topic])).topic_errors
            error = for_code(code)
            if error is NoError:
                created.append(name)
            elif error is not TopicAlreadyExistsError:  # else another process was quicker
                raise error(said)
    except KafkaError as error:
        raise await diagnose(connection, error) from error
    finally:
        await admin.close()
    return created


async def cluster_id(connection: KafkaConnection) -> str:
    """The Kafka cluster's id. Raises what `diagnose` finds."""
    admin = AIOKafkaAdminClient(**connection.options(), request_timeout_ms=10_000)
    try:
        await admin.start()
        found = await admin.describe_cluster()
    except KafkaError as error:
        raise await diagnose(connection, error) from error
    finally:
        await admin.close()
    return str(found["cluster_id"])


async def require_topics(connection: KafkaConnection, topics: Iterable[str]) -> None:
    """Raises Unrecoverable(NO_TOPIC) naming the first topic that is missing."""
    admin = AIOKafkaAdminClient(**connection.options(), request_timeout_ms=10_000)
    try:
        await admin.start()
        known = set(await admin.list_topics())
    except KafkaError as error:
        raise await diagnose(connection, error) from error
    finally:
        await admin.close()
    missing = sorted(set(topics) - known)
    if missing:
        raise Unrecoverable(Code.NO_TOPIC, ", ".join(missing))


class KafkaPublishedEvents:
    """See `PublishedEvents`: reads event ids back from an output topic."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection

    async def read(self, topic: str, since: Mapping[int, int]) -> Published:
        """Everything committed on a topic from the given positions to its end, as of now.

        A position beyond the end is of an earlier topic of that name: read from the start.
        """
        consumer = LenientConsumer(
            topic,
            **self._connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            await consumer.start()
            return await self._read(consumer, since)
        except KafkaError as error:
            raise await diagnose(self._connection, error, f"reading {topic}") from error
        finally:
            await consumer.stop()

    async def _read(self, consumer: LenientConsumer, since: Mapping[int, int]) -> Published:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        for tp in partitions:
            known = since.get(tp.partition, 0)
            consumer.seek(tp, known if starts[tp] <= known <= ends[tp] else starts[tp])
        ids: set[str] = set()
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                ids.update(filter(None, (_event_id(record) for record in records)))
        return Published(frozenset(ids), {tp.partition: ends[tp] for tp in partitions})


def _event_id(record: object) -> str | None:
    for name, value in getattr(record, "headers", ()):
        if name == "ce_id":
            return str((value or b"").decode(errors="replace"))
    try:
        body = json.loads(getattr(record, "value", b"") or b"{}")
    except ValueError:
        return None
    return body.get("id") if isinstance(body, dict) else None
