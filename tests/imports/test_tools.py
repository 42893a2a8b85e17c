"""Tool definitions derived from calls."""

from __future__ import annotations

import itertools
from typing import Any

from processors.imports.tools import SeenTools

CALLS: list[tuple[str, Any]] = [
    ("book", {"seats": 2, "price": 3, "who": {"name": "a", "age": 3}}),
    ("book", {"seats": 1, "price": 2.5, "who": {"name": "b"}, "tags": ["x", 1]}),
    ("book", {"seats": None, "price": 1, "who": {"name": "c"}, "tags": []}),
    ("ping", {}),
    ("odd", "not an object"),
]


def derived(calls: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    tools = SeenTools()
    for name, arguments in calls:
        tools.see(name, arguments)
    return tools.definitions()


def test_names_arguments_and_types_that_were_seen() -> None:
    book, odd, ping = derived(CALLS)
    assert book == {
        "type": "function",
        "function": {
            "name": "book",
            "parameters": {
                "type": "object",
                "properties": {
                    "price": {"type": "number"},
                    "seats": {"type": ["integer", "null"]},
                    "tags": {"type": "array", "items": {"type": ["integer", "string"]}},
                    "who": {
                        "type": "object",
                        "properties": {"age": {"type": "integer"}, "name": {"type": "string"}},
                        "required": ["name"],
                    },
                },
                "required": ["price", "seats", "who"],
            },
        },
    }
    assert odd["function"] == {"name": "odd", "parameters": {"type": "object"}}
    assert ping["function"]["parameters"] == {"type": "object", "properties": {}, "required": []}


def test_the_order_of_calls_does_not_matter() -> None:
    assert all(derived(list(order)) == derived(CALLS) for order in itertools.permutations(CALLS))


def test_every_seen_call_fits_its_definition() -> None:
    definitions = {d["function"]["name"]: d["function"]["parameters"] for d in derived(CALLS)}
    for name, arguments in CALLS[:4]:
        parameters = definitions[name]
        assert set(parameters["required"]) <= set(arguments) <= set(parameters["properties"])


def test_a_call_seen_first_without_readable_arguments_is_completed_by_the_next() -> None:
    (tool,) = derived([("t", "?"), ("t", {"a": True})])
    assert tool["function"]["parameters"]["properties"] == {"a": {"type": "boolean"}}
