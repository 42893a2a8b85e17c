"""Who reads what: every topic shared evenly, by itself and in sum, with few moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import given
from hypothesis import strategies as st

from consumers.assignor import FairStickyAssignor, share
from schemas.records import TopicPartition

Topics = dict[str, list[int]]
TOPICS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9).map(lambda n: list(range(n))))
MEMBERS = st.sets(st.sampled_from("uvwxyz"), min_size=1)


def reading_all(topics: Topics, members: set[str]) -> dict[str, set[str]]:
    return {member: set(topics) for member in members}


def owners(shares: Mapping[str, list[TopicPartition]]) -> dict[TopicPartition, str]:
    return {partition: member for member, held in shares.items() for partition in held}


def every(topics: Topics) -> set[TopicPartition]:
    return {
        TopicPartition(topic, number) for topic, numbers in topics.items() for number in numbers
    }


def spread(counts: list[int]) -> int:
    return max(counts) - min(counts)


HELD = st.dictionaries(
    st.builds(TopicPartition, st.sampled_from("abcdef"), st.integers(0, 9)),
    st.sampled_from("tuvwxyz"),
)


@given(TOPICS, MEMBERS, HELD)
def test_each_partition_has_one_reader_and_each_topic_is_shared_evenly(
    topics: Topics, members: set[str], held: dict[TopicPartition, str]
) -> None:
    shares = share(topics, reading_all(topics, members), held)
    assert Counter(p for each in shares.values() for p in each) == Counter(every(topics))
    assert shares.keys() == members
    for topic in topics:
        assert spread([sum(p.topic == topic for p in each) for each in shares.values()]) <= 1
    assert spread([len(each) for each in shares.values()]) <= 1


@given(TOPICS, MEMBERS, HELD)
def test_shared_again_nothing_moves(
    topics: Topics, members: set[str], held: dict[TopicPartition, str]
) -> None:
    first = share(topics, reading_all(topics, members), held)
    again = share(topics, reading_all(topics, members), owners(first))
    assert owners(again) == owners(first)


@given(TOPICS, MEMBERS, st.sampled_from("uvwxyz"))
def test_one_who_comes_takes_no_more_than_a_share_of_each_topic(
    topics: Topics, members: set[str], new: str
) -> None:
    before = share(topics, reading_all(topics, members - {new} or {"t"}), {})
    after = share(topics, reading_all(topics, members | {new}), owners(before))
    for member, held in after.items():
        for topic in topics:
            mine = [p for p in held if p.topic == topic]
            stayed = [p for p in mine if owners(before)[p] == member]
            had = [p for p in before.get(member, ()) if p.topic == topic]
            assert len(stayed) == min(len(had), len(mine))


def test_a_member_gets_nothing_that_it_does_not_read() -> None:
    topics = {"a": [0, 1, 2, 3], "b": [0, 1]}
    shares = share(topics, {"x": {"a", "b"}, "y": {"a"}}, {})
    assert {p.topic for p in shares["y"]} == {"a"}
    assert {member: len(held) for member, held in shares.items()} == {"x": 4, "y": 2}


def test_on_a_broker_two_members_share_the_busy_topic(broker: str) -> None:
    """The second comes when the first holds everything already."""
    topics, shares = asyncio.run(_two_members(broker))
    assert shares == [dict.fromkeys(topics, 2)] * 2


async def _two_members(broker: str) -> tuple[list[str], list[Counter[str]]]:
    topics = [f"fair-{n}-{id(broker)}" for n in range(5)]
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 4, 1) for name in topics])
    finally:
        await admin.close()
    async with AsyncExitStack() as stack:
        members = []
        for _ in range(2):
            consumer = AIOKafkaConsumer(
                bootstrap_servers=broker,
                group_id=f"fair-{id(broker)}",
                partition_assignment_strategy=(type("Mine", (FairStickyAssignor,), {}),),
                heartbeat_interval_ms=200,
            )
            consumer.subscribe(topics)
            await consumer.start()
            stack.push_async_callback(consumer.stop)
            members.append(consumer)
            async with asyncio.timeout(30):
                while not consumer.assignment() or sum(len(m.assignment()) for m in members) != 20:
                    await asyncio.gather(*(m.getmany(timeout_ms=50) for m in members))
        return topics, [Counter(p.topic for p in each.assignment()) for each in members]
