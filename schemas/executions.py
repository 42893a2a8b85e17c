"""`execution.completed` and `planning.completed`: what an agent did, and what it meant to do."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from schemas.chat import Frozen, Items, Message

Text = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Status = Literal["success", "failure", "partial", "timeout", "cancelled", "error"]
Arm = Literal["stable", "baseline", "candidate", "shadow"]
Origin = Literal["human", "ai", "hybrid"]
Trust = Literal["verified", "internal", "external", "unknown"]


class Task(Frozen):
    """What was asked. `reference` is the expected answer; it never enters a prompt."""

    prompt: str
    id: str | None = None
    type: str | None = None
    domain: str | None = None
    difficulty: Share | None = None
    reference: Any = None


class Gate(Frozen):
    """One check of the outcome."""

    name: Text
    passed: bool
    detail: str | None = None


class Outcome(Frozen):
    """How it ended; `score` is 0–1."""

    status: Status
    score: Share | None = None
    answer: Any = None
    error_code: str | None = None
    error_message: str | None = None
    gates: Items[Gate] = []


class ModelRef(Frozen):
    """Which weights answered. Absent stays absent: a run without `name` goes to review."""

    name: Text | None = None
    base_digest: str | None = None
    adapter: str | None = None
    adapter_digest: str | None = None
    arm: Arm | None = None
    rollout_id: str | None = None


class Metrics(Frozen):
    """Measurements of the run. Milliseconds, US dollars, tokens; shares are 0–1."""

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


class PolicyRef(Frozen):
    """A policy version the run used."""

    kind: Text
    version: str | None = None
    digest: str | None = None


class Artifact(Frozen):
    """Something the run made. A `uri` is never fetched."""

    id: Text
    kind: str | None = None
    content: Any = None
    uri: str | None = None
    sha256: str | None = None


class RunData(Frozen):
    """What executions and plans have in common."""

    agent_id: Text
    tools: Items[dict[str, Any]] | None = None
    tools_digest: str | None = None
    sampling: dict[str, Any] | None = None
    model: ModelRef = ModelRef()
    metrics: Metrics = Metrics()
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    origin: Origin | None = None
    trust: Trust | None = None
    phase: str | None = None
    policies: Items[PolicyRef] = []
    confidence: Share | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    labels: dict[str, str] = {}


class ExecutionData(RunData):
    """`data` of `execution.completed`."""

    execution_id: Text
    task: Task
    messages: Items[Message] = []
    prompt_template_digest: str | None = None
    outcome: Outcome
    plan_id: str | None = None
    artifacts: Items[Artifact] = []


class PlanStep(Frozen):
    """One step of a plan; `depends_on` names other steps by id."""

    id: Text
    description: str | None = None
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    depends_on: Items[str] = []


class PlanData(RunData):
    """`data` of `planning.completed`. The steps are a DAG; a cycle is malformed."""

    plan_id: Text
    goal: Text
    domain: str | None = None
    steps: Items[PlanStep] = []
    valid: bool | None = None
    validator: str | None = None
    replans: Annotated[int, Field(ge=0)] | None = None
    score: Share | None = None
    strategy: str | None = None
    error: str | None = None

    @model_validator(mode="after")
    def _acyclic(self) -> Self:
        try:
            TopologicalSorter({step.id: step.depends_on for step in self.steps}).prepare()
        except CycleError as error:
            raise ValueError(f"plan has a cycle through {min(error.args[1])!r}") from None
        return self
