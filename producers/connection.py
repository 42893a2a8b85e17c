"""How a Kafka cluster is reached: its address, and what every client of it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """One cluster. `bootstrap` is host:port, several joined by commas."""

    bootstrap: str

    def options(self) -> dict[str, Any]:
        """Keyword arguments of every aiokafka client."""
        return {"bootstrap_servers": self.bootstrap}

    def __str__(self) -> str:
        return self.bootstrap
