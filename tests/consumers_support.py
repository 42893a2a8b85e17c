"""Publishing many events quickly, for tests."""

from __future__ import annotations

import json
import random

from aiokafka import AIOKafkaProducer

from tests.support import event, execution


async def publish_executions(broker: str, topic: str, count: int, padding: int = 0) -> int:
    """Publish so many executions over all partitions; `padding` makes each that much larger."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        for number in range(count):
            noise = random.Random(number).randbytes(padding // 2).hex()
            data = execution(labels={"n": str(number)}, phase=noise)
            data["messages"][0]["content"] += noise
            body = json.dumps(event("execution.completed", data)).encode()
            await producer.send(topic, body)
        await producer.flush()
    finally:
        await producer.stop()
    return count
