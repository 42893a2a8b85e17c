"""Small files in the three formats, made up; the text of `REFERENCE` must never reach an agent's eyes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

REFERENCE = "the-reference-answer"
ANN, BOB = "ann_poe_1001", "bob_ray_2002"
Lines = list[bytes]


def nested(name: str, call_id: str = "c1", **arguments: Any) -> dict[str, Any]:
    """A tool call as OpenAI writes it."""
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def flat(name: str, call_id: str = "c1", **arguments: Any) -> dict[str, Any]:
    """A tool call as tau2 writes it."""
    return {"id": call_id, "name": name, "arguments": arguments, "requestor": "assistant"}


def chat(**changes: Any) -> dict[str, Any]:
    """One line of openai-chat that says as little as it may."""
    line = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "where is parcel 7?"},
            {"role": "assistant", "content": None, "tool_calls": [nested("track", parcel=7)]},
            {"role": "tool", "tool_call_id": "c1", "content": "in Oslo"},
            {"role": "assistant", "content": "In Oslo."},
        ],
        "outcome": "success",
    }
    return {**line, **changes}


def chat_lines(*lines: dict[str, Any]) -> Lines:
    """A file of openai-chat."""
    return [json.dumps(line).encode() + b"\n" for line in lines]


def trajectory(**changes: Any) -> dict[str, Any]:
    """One element of a tau-bench file."""
    action = {"name": "book", "kwargs": {"note": REFERENCE}}
    run = {
        "task_id": 3,
        "trial": 1,
        "reward": 1.0,
        "info": {
            "task": {"user_id": ANN, "actions": [action], "instruction": f"You are {REFERENCE}"},
            "user_cost": 0.5,
            "reward_info": {"reward": 1.0, "actions": [action], "info": {"outputs": REFERENCE}},
        },
        "traj": [
            {"role": "system", "content": "You sell seats."},
            {"role": "user", "content": "one seat please"},
            {"role": "assistant", "content": None, "tool_calls": [nested("book", user_id=ANN)]},
            {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "done"},
            {"role": "assistant", "content": "Done."},
        ],
    }
    return {**run, **changes}


def tau_bench_lines(*runs: dict[str, Any]) -> Lines:
    """A tau-bench file."""
    return [json.dumps(list(runs)).encode()]


def simulation(**changes: Any) -> dict[str, Any]:
    """One simulation of a tau2 file, of a tuned model: no price was known."""
    run = {
        "id": "11111111-2222-3333-4444-555555555555",
        "task_id": "9",
        "trial": 0,
        "start_time": "2026-01-02T03:04:05.5",
        "end_time": "2026-01-02T03:04:15.5",
        "duration": 10.0,
        "termination_reason": "user_stop",
        "agent_cost": 0.0,
        "user_cost": 0.2,
        "reward_info": {
            "reward": 1.0,
            "reward_breakdown": {"DB": 1.0, "COMMUNICATE": 0.0},
            "action_checks": [{"action": {"name": REFERENCE}, "action_match": True}],
        },
        "messages": [
            {"role": "assistant", "content": "Hi! How can I help?", "cost": 0.0, "usage": None},
            {"role": "user", "content": "send it back", "cost": 0.1},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [flat("find_user_id_by_name", first="Bob")],
                "cost": 0.0,
                "usage": {"prompt_tokens": 10, "completion_tokens": 2},
                "raw_data": {"message": REFERENCE},
            },
            {"role": "tool", "id": "c1", "content": BOB, "error": False, "requestor": "assistant"},
            {
                "role": "assistant",
                "content": "Done.",
                "cost": 0.0,
                "usage": {"prompt_tokens": 20, "completion_tokens": 3},
            },
            {"role": "user", "content": "###STOP###"},
        ],
    }
    return {**run, **changes}


def tau2_lines(*runs: dict[str, Any], **info: Any) -> Lines:
    """A tau2 file, indented: the reader must not rely on lines."""
    content = {
        "timestamp": "2026-01-02T03:04:05",
        "info": {
            "agent_info": {"llm": "tuned-1", "llm_args": {"temperature": 0.0}},
            "environment_info": {"domain_name": "retail", "policy": "Be kind.", "tool_defs": None},
            **info,
        },
        "tasks": [
            {
                "id": "9",
                "user_scenario": {"instructions": REFERENCE},
                "evaluation_criteria": {"actions": [REFERENCE]},
            }
        ],
        "simulations": list(runs),
    }
    return [line.encode() + b"\n" for line in json.dumps(content, indent=1).splitlines()]


FILES: dict[str, Callable[[], tuple[str, Lines]]] = {
    "openai-chat": lambda: ("runs.jsonl", chat_lines(chat(), chat(id="a", reference=REFERENCE))),
    "tau-bench": lambda: (
        "m-airline.json",
        tau_bench_lines(trajectory(), trajectory(trial=2, reward=0.0)),
    ),
    "tau2": lambda: ("base.json.gz", tau2_lines(simulation(), simulation(id="other"))),
}
"""One sound file of two records in each format: (name, lines)."""
