"""Writes what the documentation takes from the code: `python -m docs.generate [--check]`.

Event schemas and the AsyncAPI document, settings, metrics and error codes. With --check nothing is
written, and the exit code says whether all of it is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas import lifecycle
from schemas.errors import Code
from schemas.events import (
    DEAD_LETTER_TOPIC,
    EVENT_CLASSES,
    INPUT_TYPES,
    LIFECYCLE_TOPIC,
    Attributes,
)
from schemas.rollouts import Route
from schemas.telemetry import Metric
from service.settings import Settings

DOCS = Path(__file__).parent
OUT: dict[str, type[BaseModel]] = {
    lifecycle.CANDIDATE: lifecycle.ModelCandidate,
    lifecycle.PROMOTED: lifecycle.ModelPromoted,
    lifecycle.ROLLED_BACK: lifecycle.ModelRolledBack,
    lifecycle.CONVERGED: lifecycle.ModelConverged,
    lifecycle.ROUTE: Route,
    lifecycle.ARCHIVED: lifecycle.ModelArchived,
    lifecycle.QUARANTINED: lifecycle.ModelQuarantined,
}


def main() -> int:
    """Write or check every generated file."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, text in generated():
        path = DOCS / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    known = {name for name, _ in generated()}
    stale += [n for n in _schema_files() if n not in known]
    for name in stale:
        print(f"{'stale' if check else 'written'}: docs/{name}")  # noqa: T201 - a command
    return int(check and bool(stale))


def generated() -> Iterator[tuple[str, str]]:
    """(path below docs/, content) of each generated file."""
    for kind, schema in event_schemas():
        yield f"events/{kind}.schema.json", json.dumps(schema, indent=2) + "\n"
    yield "events/asyncapi.yaml", yaml.safe_dump(asyncapi(), sort_keys=False, width=100)
    yield "configuration.md", configuration()
    yield "metrics.md", metrics()
    yield "errors.md", errors()


def _schema_files() -> Iterator[str]:
    for path in (DOCS / "events").glob("*.schema.json"):
        yield path.relative_to(DOCS).as_posix()


def event_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """(event type, JSON Schema of its data)."""
    for kind, event in EVENT_CLASSES.items():
        yield kind, _schema(_data_of(event), f"data of {kind}, read from Kafka")
    for kind, data in OUT.items():
        schema = _schema(data, f"data of {kind}, published on {LIFECYCLE_TOPIC}")
        if kind == lifecycle.ROLLED_BACK:
            schema["properties"]["from"] = schema["properties"].pop("origin")
            schema["required"] = ["from" if n == "origin" else n for n in schema["required"]]
        yield kind, schema


def _data_of(event: type[Attributes]) -> type[BaseModel]:
    annotation = event.model_fields["data"].annotation
    assert isinstance(annotation, type)  # noqa: S101 - each event names its data type
    return annotation


def _schema(model: type[BaseModel], description: str) -> dict[str, Any]:
    schema = model.model_json_schema()
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "description": description, **_without(schema, "description")}


def _without(tree: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key != name}


def asyncapi() -> dict[str, Any]:
    """An AsyncAPI 3.0 document: one channel a topic, one message an event type."""
    receives = {kind: f"{kind}.schema.json" for kind in INPUT_TYPES}
    sends = {kind: f"{kind}.schema.json" for kind in OUT}
    channels = {_name(kind): _channel(kind, [kind]) for kind in INPUT_TYPES}
    channels[_name(LIFECYCLE_TOPIC)] = _channel(LIFECYCLE_TOPIC, list(OUT))
    operations = {
        f"receive_{_name(kind)}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{_name(kind)}"},
        }
        for kind in INPUT_TYPES
    }
    operations[f"send_{_name(LIFECYCLE_TOPIC)}"] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_name(LIFECYCLE_TOPIC)}"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lorikeet",
            "version": "1.0.0",
            "description": f"CloudEvents 1.0 over Kafka. Unreadable records go to "
            f"{DEAD_LETTER_TOPIC}, byte for byte.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                _name(kind): {
                    "name": kind,
                    "contentType": "application/json",
                    "headers": _headers(kind),
                    "payload": {"$ref": f"./{file}"},
                }
                for kind, file in {**receives, **sends}.items()
            }
        },
    }


def _channel(topic: str, kinds: list[str]) -> dict[str, Any]:
    messages = {_name(k): {"$ref": f"#/components/messages/{_name(k)}"} for k in kinds}
    return {"address": topic, "messages": messages}


def _headers(kind: str) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": text,
            "ce_source": text,
            "ce_type": {"const": kind},
            "ce_time": {"type": "string", "format": "date-time"},
        },
    }


def _name(kind: str) -> str:
    return kind.replace(".", "_").replace("-", "_")


def configuration() -> str:
    """Every setting: name, default, meaning."""
    lines = [
        "# Configuration",
        "",
        "Generated by `make docs` from the settings types.",
        "",
        "Settings come from `lorikeet.yaml` (or `--config FILE`) and from `LORIKEET_*` variables,",
        "which win. Nested names are joined by two underscores: `LORIKEET_API__PORT=9000`. A secret",
        "may come from a file: `LORIKEET_API__TOKEN_FILE=/run/secrets/token`. Bad settings are",
        "refused at the start. `lorikeet config show` prints the effective tree.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{path}` | {default} | {text} |" for path, default, text in _settings(Settings)]
    return "\n".join(lines) + "\n"


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner = _inner(field)
        if inner is None:
            yield f"{prefix}{name}", _default(field), _cell(field.description or "")
        else:
            listed = "[]" if "tuple" in str(field.annotation) else ""
            yield from _settings(inner, f"{prefix}{name}{listed}.")


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next(
        (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)),
        None,
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "`$XDG_DATA_HOME/lorikeet`"
    value = field.default
    return "–" if value is None or value == "" else f"`{json.dumps(value, default=list)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def metrics() -> str:
    """Every metric."""
    lines = [
        "# Metrics",
        "",
        "Generated by `make docs` from `schemas/telemetry.py`. Every process serves its own page;",
        "a metric appears when it is first reported.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in Metric:
        spec = metric.spec
        needs = f" Needs a {spec.needs.upper()}." if spec.needs else ""
        labels = ", ".join(spec.labels) or "–"
        lines.append(f"| `{spec.name}` | {spec.kind} | {labels} | {spec.help}{needs} |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Every error code."""
    lines = [
        "# Error codes",
        "",
        "Generated by `make docs` from `schemas/errors.py`. Codes stand in log lines, API answers,",
        "metrics and ledger rows. On the command line an error that you can mend is one line and",
        "exit code 2; `--debug` shows the traceback.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a question was answered with no, or an error that Lorikeet did not expect |",
        "| 2 | a person has to mend something: one line says what |",
        "| 3 | a guard stopped the work on purpose; starting again blindly would be wrong |",
        "| 75 | below a supervisor (`LORIKEET_SUPERVISED`): it may work later, start it again |",
        "| 130 | ended by Ctrl-C |",
        "",
        "| code | what is wrong | what to do |",
        "|---|---|---|",
    ]
    lines += [f"| {code.number} | {code.meaning} | {code.remedy} |" for code in Code]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
