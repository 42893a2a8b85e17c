"""The twins of `ExecutionData` and its parts that msgspec decodes: for ingest's hot path alone.

The pydantic types are the contract. These accept a part of what those accept, with the same names and
the same values; a test compares them field by field, so that no new field is forgotten in one place.
What they refuse is read once more, by pydantic, which knows better why (docs/adr/0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from schemas.chat import plain_text
from schemas.digests import digest_of
from schemas.exact_json import exact_float, parsed_arguments
from schemas.executions import Arm, Origin, Status, Trust

Text = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]
NoItems = Annotated[Sequence[Any], Meta(max_length=0)]


class Part(Struct, frozen=True, gc=False):
    """Base of the twins. Trees without cycles: the garbage collector need not look into them."""


class Function(Part, frozen=True):
    """What OpenAI's nested form of a tool call holds."""

    name: str
    arguments: dict[str, Any] | str | None = None


class ToolCall(Struct, gc=False):
    """A tool call, nested or flat; afterwards flat, the arguments an object wherever they are one."""

    function: Function | None = None
    name: str | None = None
    arguments: dict[str, Any] | str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        call = self.function or self
        if call.name is None:
            raise ValueError("a call needs a name")
        self.name, self.arguments = call.name, parsed_arguments(call.arguments)


class Message(Part, frozen=True):
    """One turn."""

    role: str
    content: str | list[Any] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    error: bool | None = None
    started_at: Moment | None = None
    duration_ms: NotNegative | None = None
    cost_usd: NotNegative | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    reward: float | None = None

    def canonical(self) -> dict[str, Any]:
        """What training and serving both see of this turn, and nothing else."""
        content = self.content
        text = content if type(content) is str else plain_text(content) if content else ""
        turn: dict[str, Any] = {"role": self.role, "content": text}
        if self.tool_calls:
            turn["tool_calls"] = [
                {"name": call.name, "arguments": call.arguments} for call in self.tool_calls
            ]
        if self.name:
            turn["name"] = self.name
        return turn


class Task(Part, frozen=True):
    """What was asked."""

    prompt: str
    id: str | None = None
    type: str | None = None
    domain: str | None = None
    difficulty: Share | None = None
    reference: Any = None


class Gate(Part, frozen=True):
    """One check of the outcome."""

    name: Text
    passed: bool
    detail: str | None = None


class Outcome(Part, frozen=True):
    """How it ended."""

    status: Status
    score: Share | None = None
    answer: Any = None
    error_code: str | None = None
    error_message: str | None = None
    gates: Sequence[Gate] = ()


class ModelRef(Part, frozen=True):
    """Which weights answered."""

    name: Text | None = None
    base_digest: str | None = None
    adapter: str | None = None
    adapter_digest: str | None = None
    arm: Arm | None = None
    rollout_id: str | None = None


class Metrics(Part, frozen=True):
    """Measurements of the run."""

    duration_ms: NotNegative | None = None
    cost_usd: NotNegative | None = None
    cost_budget_usd: NotNegative | None = None
    input_tokens: NotNegative | None = None
    output_tokens: NotNegative | None = None
    grounding_score: Share | None = None
    contradiction_rate: Share | None = None
    rag_coverage: Share | None = None
    security_criticals: NotNegative | None = None
    api_breakages: NotNegative | None = None
    db_migration_failures: NotNegative | None = None


class PolicyRef(Part, frozen=True):
    """A policy version the run used."""

    kind: Text
    version: str | None = None
    digest: str | None = None


def _no_tools() -> Raw:
    return Raw(b"null")


class ExecutionData(Part, frozen=True, kw_only=True):
    """`data` of `execution.completed`, without artifacts: pydantic dumps their unknown fields."""

    execution_id: Text
    agent_id: Text
    task: Task
    outcome: Outcome
    messages: Sequence[Message] = ()
    raw_tools: Raw = field(name="tools", default_factory=_no_tools)
    tools_digest: str | None = None
    sampling: dict[str, Any] | None = None
    prompt_template_digest: str | None = None
    model: ModelRef = ModelRef()
    metrics: Metrics = Metrics()
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    plan_id: str | None = None
    origin: Origin | None = None
    trust: Trust | None = None
    phase: str | None = None
    policies: Sequence[PolicyRef] = ()
    artifacts: NoItems = ()
    confidence: Share | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _known_tools(bytes(self.raw_tools))  # raises for what is no list of objects

    @property
    def tools(self) -> list[dict[str, Any]] | None:
        """The tool definitions."""
        return _known_tools(bytes(self.raw_tools))[0]

    @property
    def digest_of_tools(self) -> str | None:
        """The digest of the definitions, as `digest_of` has it; None without any."""
        return _known_tools(bytes(self.raw_tools))[1]


_TOOLS = Decoder(list[dict[str, Any]] | None, float_hook=exact_float)


@lru_cache(128)
def _known_tools(raw: bytes) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Most events of an agent bring the same definitions: parsed and digested once."""
    tools = _TOOLS.decode(raw)
    return tools, None if tools is None else digest_of(tools)


class Event(Part, frozen=True, kw_only=True):
    """A structured-mode `execution.completed`."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Literal["execution.completed"]
    data: ExecutionData
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    tenantid: str | None = None
    partitionkey: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    dataref: None = None
    data_base64: None = None


decode_event = Decoder(Event, float_hook=exact_float).decode
decode_data = Decoder(ExecutionData, float_hook=exact_float).decode
