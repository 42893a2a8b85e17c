"""Events as Kafka messages, built by the CloudEvents SDK in binary mode."""

from __future__ import annotations

from collections.abc import Sequence

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from producers.port import Outgoing


def message(event: Outgoing) -> tuple[bytes, Sequence[tuple[str, bytes]]]:
    """(value, headers) of an event: JSON data and `ce_` headers."""
    optional = {"time": event.time, "subject": event.subject}
    built = to_binary(
        CloudEvent(
            {
                "id": event.id,
                "source": event.source,
                "type": event.type,
                "specversion": "1.0",
                "datacontenttype": "application/json",
                **{name: value for name, value in optional.items() if value is not None},
                **event.extensions,
            },
            event.data,
        ),
        JSONFormat(),
    )
    value = built.value if isinstance(built.value, bytes) else str(built.value).encode()
    # The SDK sets the present time where none was given.
    known = [(n, v) for n, v in built.headers.items() if n != "ce_time" or event.time is not None]
    return value, known
