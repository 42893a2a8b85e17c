"""A run on a terminal, for who has to decide on it: readable in 80 columns and without colour."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from processors.curation.answers import given
from service.cli.options import utc
from service.cli.payloads import visible

if TYPE_CHECKING:
    from processors.curation.review import Waiting

WHY = {
    "ingest_review": "ingest could not decide by itself",
    "low_confidence": "the agent was less sure than the recipe asks for",
    "low_score": "the composite score is below the recipe's",
    "low_quality": "outcome, gates and tool results are middling",
    "outlier": "it is unlike the rest of the window",
    "unverified_quality": "its quality is a judge's word that nobody has checked",
    "unknown_trust": "nothing says how far its source is trusted",
    "no_verdict": "nobody said whether the plan is valid",
}
"""What reasons mean to who reads them for the first time."""
_LINES, _SYSTEM_LINES, _WIDTH = 12, 3, 80
_INDENT = 4
_ROLE = {"assistant": "bold green", "user": "bold cyan", "tool": "bold magenta"}


def print_run(
    console: Console, one: Waiting, content: Mapping[str, Any], place: str, *, whole: bool
) -> None:
    """Why the run waits, what is known of it, and its conversation: cut where it is long, or whole."""
    console.print()
    console.rule(Text(place), characters="─", align="left", style="dim")
    for name, text in _facts(one):
        console.print(Text.assemble((f"{name:<8}", "bold"), visible(text)), soft_wrap=False)
    if not given(content):
        console.print("It has no answer: only an edit makes an example of it.")
    console.print()
    for heading, style, text, lines in _parts(content):
        console.print(Text(visible(heading), style=style))
        shown, left = (text, "") if whole else _cut(text, lines)
        console.print(Padding(Text(visible(shown), overflow="fold"), (0, 0, 0, _INDENT)))
        if left:
            console.print(Padding(Text(left, style="dim"), (0, 0, 0, _INDENT)))
    console.print()


def print_change(console: Console, before: str, after: str) -> None:
    """The difference between two texts, line by line; the signs say it where there is no colour."""
    styles = {"+": "green", "-": "red", "@": "dim"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    for line in list(lines)[2:]:
        console.print(Text(visible(line), style=styles.get(line[:1], ""), overflow="fold"))


def _facts(one: Waiting) -> list[tuple[str, str]]:
    found = [("Why", "; ".join(map(_explained, _reasons(one))))]
    if one.scores:
        found.append(("Scores", _scores(one)))
    about = {
        "domain": one.domain,
        "level": one.level,
        "type": one.task_type,
        "origin": one.origin,
        "trust": one.trust,
    }
    found.append(
        ("About", ", ".join(f"{n} {v}" for n, v in about.items() if v) or "nothing stated")
    )
    when = f", {utc(one.event_time)}" if one.event_time else ""
    kind = "plan" if one.plan else "run"
    found.append(("From", f"{kind} {one.run_id} of {one.source}{when}"))
    if one.agent:
        found.append(("Agent", one.agent))
    found.append(("Row", one.row_id))
    return found


def _reasons(one: Waiting) -> Sequence[str]:
    """The seal's reason; in place of "ingest left it to a person" ingest's own."""
    named = [reason for reason in one.reasons if reason != "confidence_absent"]
    if one.reason == "ingest_review" and named:
        return named
    return [one.reason]


def _explained(reason: str) -> str:
    return f"{reason} ({WHY[reason]})" if reason in WHY else reason


def _scores(one: Waiting) -> str:
    named = {"score": "composite"}
    scores = [f"{named.get(name, name)} {_number(value)}" for name, value in one.scores.items()]
    parts = ", ".join(f"{name} {_number(part)}" for name, part in one.parts.items())
    return ", ".join(scores) + (f"; quality of {parts}" if parts else "")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _parts(content: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    """(heading, its style, text, how many lines of it) of each turn; of a plan its goal and steps."""
    if "goal" in content:
        steps = "\n".join(map(_step, content.get("steps") or ())) or "no steps"
        return [
            ("goal", _ROLE["user"], str(content["goal"]), _LINES),
            ("steps", _ROLE["assistant"], steps, _LINES * 2),
        ]
    found = []
    for turn in content["messages"]:
        role = str(turn["role"])
        heading = f"{role} {turn['name']}" if turn.get("name") else role
        lines = _SYSTEM_LINES if role == "system" else _LINES
        found.append((heading, _ROLE.get(role, "bold"), _turn(turn), lines))
    return found


def _turn(turn: Mapping[str, Any]) -> str:
    said = str(turn.get("content") or "")
    calls = "\n".join(map(_call, turn.get("tool_calls") or ()))
    return "\n".join(part for part in (said, calls) if part) or "(nothing)"


def _call(call: Mapping[str, Any]) -> str:
    arguments = call.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        return f"→ {call['name']}\n    {arguments}"
    return "\n".join([f"→ {call['name']}", *(f"    {n}: {_json(v)}" for n, v in arguments.items())])


def _step(step: Mapping[str, Any]) -> str:
    after = f"  after {', '.join(step['depends_on'])}" if step.get("depends_on") else ""
    named = " ".join(str(step[name]) for name in ("tool", "description") if step.get(name))
    line = f"{step.get('id')}: {named}{after}"
    return "\n".join(
        [line, *(f"    {n}: {_json(v)}" for n, v in (step.get("arguments") or {}).items())]
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, lines: int) -> tuple[str, str]:
    """The beginning of a text, about so many lines of it on a screen, and what is left of it in words."""
    shown = "\n".join(text.split("\n")[:lines])[: lines * _WIDTH]
    left = len(text) - len(shown)
    return shown, f"… {left:,} characters more: m shows all" if left else ""
