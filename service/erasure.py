"""What takes data back, wired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.kafka import input_topics
from operations.erasing.adapters import QuarantineAdapters
from operations.erasing.datasets import EraseDatasets
from operations.erasing.erase import Erase, Steps, Surroundings
from operations.erasing.rows import EmptyRows
from processors.curation.pseudonyms import Pseudonyms
from schemas.events import DEAD_LETTER_TOPIC
from stores.ledger.replace import kept

if TYPE_CHECKING:
    from service.wiring import Wiring


def build_erase(wiring: Wiring) -> Erase:
    """The operation of one installation."""
    place, database, store = wiring.ledger_place, wiring.database, wiring.datasets
    jobs, prefix = wiring.settings.places.jobs, wiring.settings.kafka.prefix
    steps = Steps(
        EmptyRows(place, database, wiring.count_ledger, wiring.owner),
        EraseDatasets(database, place, store, wiring.seal_dataset, jobs),
        QuarantineAdapters(database, wiring.models()),
    )
    letters = f"{prefix}{DEAD_LETTER_TOPIC}"
    return Erase(
        database,
        steps,
        wiring.objects,
        wiring.certificates,
        Pseudonyms(wiring.curation.hmac_key),
        Surroundings(input_topics(prefix), letters, lambda: kept(place)),
        wiring.owner,
    )
