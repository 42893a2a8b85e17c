"""What Lorikeet needs of a gateway replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.rollouts import Route


@dataclass(frozen=True, slots=True)
class Completion:
    """A greedy answer: its text and the log-probability of each token."""

    text: str
    logprobs: tuple[float, ...]


class Gateway(Protocol):
    """One replica, spoken to at its own address, never through a load balancer.

    Adapter names are immutable: a name, once loaded, always means the same weights. Raises
    NotReady(GATEWAY_DOWN) when it does not answer, Unrecoverable(LORA_OFF) when it refuses adapters.
    """

    url: str

    def adapters(self) -> frozenset[str]:
        """Names of the adapters that are loaded."""

    def load(self, name: str, folder: str) -> None:
        """Load an adapter from a folder the gateway can read; loading it again is no error."""

    def unload(self, name: str) -> None:
        """Forget an adapter; one that is not there is no error."""

    def complete(
        self, model: str, messages: Sequence[dict[str, Any]], tools: Sequence[Any], limit: int
    ) -> Completion:
        """A greedy answer of at most `limit` tokens by the named adapter."""

    def follow(self, route: Route) -> bool:
        """Hand over the route; False if this gateway leaves the choice of arms to its callers."""

    def following(self) -> int | None:
        """The revision of the route it follows; None if it follows none."""
