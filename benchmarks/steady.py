"""Publishing at a steady rate, for as long as it is asked to."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

from aiokafka import AIOKafkaProducer

from benchmarks.bed import PARTITIONS, TOPIC
from benchmarks.events import event

_BATCHES = 20


class Steady(threading.Thread):
    """So many events a second, in 20 small batches; `sent` is what was handed to Kafka's client."""

    def __init__(self, bootstrap: str, rate: int) -> None:
        super().__init__(daemon=True)
        self._address = bootstrap
        self._size = max(1, rate // _BATCHES)
        self._ending = threading.Event()
        self.sent = 0

    def run(self) -> None:
        """Publish until told to stop."""
        asyncio.run(self._publish())

    def stop(self) -> None:
        """End it, everything acknowledged."""
        self._ending.set()
        self.join()

    async def _publish(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._address, enable_idempotence=True)
        await producer.start()
        began = time.monotonic()
        try:
            for batch in itertools.count(1):
                for _ in range(self._size):
                    number = self.sent
                    await producer.send(TOPIC, event(number), partition=number % PARTITIONS)
                    self.sent += 1
                await asyncio.sleep(max(0.0, began + batch / _BATCHES - time.monotonic()))
                if self._ending.is_set():
                    break
            await producer.flush()
        finally:
            await producer.stop()
