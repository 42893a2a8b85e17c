"""Which member of the group reads which partition: each topic shared evenly, and little moved.

aiokafka's sticky assignor balances the sum over all topics: of two members, one may get all partitions
of the only busy topic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignorMemberMetadataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from schemas.records import TopicPartition


class FairStickyAssignor(StickyPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Shares every topic by itself; what a member held last travels as in aiokafka's sticky one.

    That is kept in the class: make one class a member.
    """

    name = "lorikeet-sticky"

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The partitions of every member; the group's leader calls it."""
        found = {member: cls.parse_member_metadata(said) for member, said in members.items()}
        topics = {topic for each in found.values() for topic in each.subscription}
        shares = share(
            {topic: sorted(cluster.partitions_for_topic(topic) or ()) for topic in topics},
            {member: set(each.subscription) for member, each in found.items()},
            _owners(found),
        )
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, _by_topic(held), b"")
            for member, held in shares.items()
        }


def share(
    topics: Mapping[str, Sequence[int]],
    members: Mapping[str, AbstractSet[str]],
    owners: Mapping[TopicPartition, str],
) -> dict[str, list[TopicPartition]]:
    """Every partition for one of the members that read its topic.

    `topics` are the partitions of each, `members` the topics of each, `owners` who held what last. Of one
    topic the members get equally many, or one more; of such extra ones, all topics together, those who
    read the same topics get equally many, or one more. Who held a partition keeps it as far as that allows.
    """
    shares: dict[str, list[TopicPartition]] = {member: [] for member in sorted(members)}
    extras: Counter[str] = Counter()
    for topic, numbers in sorted(topics.items()):
        readers = [member for member in shares if topic in members[member]]
        if not readers:
            continue
        held: dict[str, list[TopicPartition]] = {member: [] for member in readers}
        free: list[TopicPartition] = []
        for partition in (TopicPartition(topic, number) for number in numbers):
            held.get(owners.get(partition, ""), free).append(partition)
        fewest, more = divmod(len(numbers), len(readers))
        # Extra ones go to those with the fewest of them; among these to those who hold more already.
        readers.sort(key=lambda member: (extras[member], -len(held[member])))
        favoured = readers[:more]
        extras.update(favoured)
        room = {member: fewest + (member in favoured) for member in readers}
        for member in readers:
            free += held[member][room[member] :]
            shares[member] += held[member][: room[member]]
            room[member] -= min(len(held[member]), room[member])
        taking = (member for member in readers for _ in range(room[member]))
        for member, partition in zip(taking, sorted(free), strict=True):
            shares[member].append(partition)
    return shares


def _owners(said: Mapping[str, StickyAssignorMemberMetadataV1]) -> dict[TopicPartition, str]:
    """Who held which partition last: where two say so, the one of the later generation."""
    owners: dict[TopicPartition, str] = {}
    for member, each in sorted(said.items(), key=lambda item: item[1].generation):
        owners.update({TopicPartition(*partition): member for partition in each.partitions})
    return owners


def _by_topic(partitions: Sequence[TopicPartition]) -> list[tuple[str, list[int]]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(partitions):
        found[topic].append(number)
    return list(found.items())
