"""What a row takes from an event's attributes: who says it, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from schemas.envelope import tenant_of
from schemas.events import InputEvent
from schemas.fastpath import Execution
from schemas.records import Record

AnyEvent: TypeAlias = InputEvent | Execution
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def attributes(record: Record, event: AnyEvent) -> dict[str, Any]:
    """Type, tenant, identity, and the earlier of the event's own time and Kafka's, in UTC."""
    kafka, stated = _utc(record.timestamp), event.time
    on_time = stated is not None and stated <= kafka
    return {
        "type": event.type,
        "tenant": tenant_of(event),
        "source": event.source,
        "id": event.id,
        "event_time": stated if on_time else kafka,
        "time_source": "event" if on_time else "kafka",
    }


def _utc(milliseconds: int) -> datetime:
    """Kafka's timestamp; producers can set any: what no calendar has becomes its first or last."""
    try:
        return _EPOCH + timedelta(milliseconds=max(milliseconds, 0))
    except OverflowError:
        return _LAST
