"""A Kafka record as it was read, and the partition it came from."""

from __future__ import annotations

from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


def partition_key(cluster: str, topic: str, partition: int, incarnation: int = 0) -> str:
    """A partition's name across clusters: `cluster:topic:partition`, `…#n` for the nth one anew.

    A topic that was deleted and made again begins at offset 0 once more; its records are others.
    """
    return f"{cluster}:{topic}:{partition}" + (f"#{incarnation}" if incarnation else "")


class UnreadableName(str):
    r"""A header's name that is not UTF-8, its bytes escaped (`\xff`); any other name is a plain str."""

    __slots__ = ()


class Record(NamedTuple):
    """One record, undecoded. `timestamp` is Kafka's, in milliseconds since 1970 (UTC)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it was read from."""
        return TopicPartition(self.topic, self.partition)
