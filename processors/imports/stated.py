"""What a person says for what the sources do not, and what stays absent all the same.

Trust that nobody states is claimed as `unknown`, so that such traces wait for review: events without
any claim would take the trust that the configuration grants to their source.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.imports.port import Imported
from processors.imports.tools import SeenTools
from schemas.digests import LORIKEET_NAMESPACE, digest_of

UNKNOWN = "unknown"
Tools = Sequence[dict[str, Any]]
_METRICS = ("cost_usd", "duration_ms", "input_tokens", "output_tokens")
_PLAIN = ("tools", "user_id", "session_id", "confidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Fills gaps only: what a source says itself stands."""

    model: str | None = None
    trust: str | None = None
    tools: Tools | None = None
    derive_tools: bool = False


def complete(item: Imported, stated: Stated, derived: Mapping[str, Tools]) -> Imported:
    """The event with its gaps filled. `derived` are tool definitions by agent.

    What was filled in is part of the event's id: stating later what was forgotten, or stating it
    differently, gives other events, not duplicates of the first ones.
    """
    data = dict(item.data)
    filled: dict[str, Any] = {}
    model = data.get("model") or {}
    if stated.model and not model.get("name"):
        filled["model"] = {**model, "name": stated.model}
    if stated.trust and not data.get("trust"):
        filled["trust"] = stated.trust
    tools = stated.tools or derived.get(data["agent_id"])
    if tools and not (data.get("tools") or data.get("tools_digest")):
        filled["tools"] = list(tools)
    event_id = item.id
    if filled:
        event_id = str(uuid.uuid5(LORIKEET_NAMESPACE, f"{item.id}|{digest_of(filled)}"))
    data["trust"] = data.get("trust") or UNKNOWN
    return dataclasses.replace(item, id=event_id, data={**data, **filled})


def absent(item: Imported) -> list[str]:
    """Which fields that Lorikeet can use a completed event leaves open."""
    data, metrics = item.data, item.data.get("metrics") or {}
    lacking = {
        "model": not (data.get("model") or {}).get("name"),
        "trust": data["trust"] == UNKNOWN,
        "time": item.time is None,
        "domain": not (data.get("task") or {}).get("domain"),
        **{name: data.get(name) is None for name in _PLAIN},
        **{name: metrics.get(name) is None for name in _METRICS},
    }
    return [name for name, lacks in lacking.items() if lacks]


class DerivedTools:
    """Tool definitions from the calls of all traces that bring none, by agent."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenTools] = {}

    def see(self, item: Imported) -> None:
        """Note the calls of one trace."""
        if item.data.get("tools"):
            return
        tools = self._seen.setdefault(item.data["agent_id"], SeenTools())
        for message in item.data.get("messages", ()):
            for call in message.get("tool_calls") or ():
                tools.see(call["name"], call["arguments"])

    def by_agent(self) -> dict[str, list[dict[str, Any]]]:
        """What was seen so far."""
        return {agent: tools.definitions() for agent, tools in self._seen.items()}
