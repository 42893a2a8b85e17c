"""How partitions are named on the command line: `execution.completed[0]`, and by topic and number."""

from __future__ import annotations

import shlex

from schemas.errors import Code, Unrecoverable


def input_topic(prefix: str, name: str) -> str:
    """An input topic's whole name; `name` is with or without the prefix. Raises NO_TOPIC."""
    from consumers.kafka import input_topics  # noqa: PLC0415 - heavy

    known = input_topics(prefix)
    for topic in known:
        if name in (topic, topic.removeprefix(prefix)):
            return topic
    raise Unrecoverable(Code.NO_TOPIC, f"{name} is no input topic: {', '.join(known)}")


def partition_of(key: str) -> str:
    """A partition's key as people read it: without its cluster, `#n` for the nth topic made anew."""
    topic, number, again = _parts(key)
    return f"{topic}[{number}]" + (f"#{again}" if again else "")


def accept_gap_command(key: str) -> str:
    """The command to copy, but for its reason."""
    topic, number, _ = _parts(key)
    return f'lorikeet ledger accept-gap {shlex.quote(topic)} {number} --reason "…"'


def _parts(key: str) -> tuple[str, str, str]:
    """Topic, partition, and how often the topic was made anew; see `schemas.records.partition_key`."""
    place, _, again = key.rpartition("|")[2].partition("#")
    _, topic, number = place.rsplit(":", 2)
    return topic, number, again
