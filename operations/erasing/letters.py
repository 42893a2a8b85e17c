"""Payloads of dead letters that are kept as objects: deleted where it can be told whose they are.

A dead letter could not be read as an event, so of many nobody can tell; they are named in the certificate.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from processors.curation.erasures import ErasureIndex
from processors.curation.pseudonyms import Pseudonyms
from stores.artifacts.objects import ObjectFolder
from stores.datasets.withdraw import delete

FOLDER = "dead-letters"
_VALUE, _HEADERS = "value", "headers.json"
_DEFAULT_TENANT = "default"
_RUNS = ("execution_id", "plan_id")


def erase_letters(
    objects: ObjectFolder, index: ErasureIndex, pseudonyms: Pseudonyms
) -> tuple[list[str], int]:
    """Delete the payloads of the index's subjects; their ids, and how many others nobody can tell."""
    gone, unknown = [], 0
    for key in list(objects.keys(FOLDER)):
        folder, _, name = key.rpartition("/")
        if name != _VALUE:
            continue
        facts = _facts(objects, folder, pseudonyms)
        if facts is None:
            unknown += 1
        elif index.marks({column: [fact] for column, fact in facts.items()})[0] is not None:
            delete(objects, list(objects.keys(folder)))
            gone.append(folder.rpartition("/")[2])
    return gone, unknown


def _facts(objects: ObjectFolder, folder: str, pseudonyms: Pseudonyms) -> dict[str, Any] | None:
    """What a payload says of itself, as a row would; None where it is no event by any reading."""
    try:
        body = json.loads(objects.get(f"{folder}/{_VALUE}"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    named = _attributes(objects, folder)
    structured = isinstance(body.get("data"), dict) and "specversion" in body
    data = body["data"] if structured else body
    said = body if structured else named
    tenant = _text(said.get("tenantid")) or _text(data.get("tenant_id")) or _DEFAULT_TENANT
    run = next((_text(data.get(name)) for name in _RUNS if data.get(name)), None)
    user = _text(data.get("user_id")) or _text(data.get("author"))
    return {
        "tenant": tenant,
        "source": _text(said.get("source")),
        "id": _text(said.get("id")),
        "user": pseudonyms.hide(tenant, "user", user),
        "session": pseudonyms.hide(tenant, "session", _text(data.get("session_id"))),
        "run_id": run,
        "plan_id": _text(data.get("plan_id")),
    }


def _attributes(objects: ObjectFolder, folder: str) -> Mapping[str, str]:
    """The CloudEvents attributes among the headers of an event in binary mode."""
    key = f"{folder}/{_HEADERS}"
    if not objects.exists(key):
        return {}
    return {
        name.removeprefix("ce_"): base64.b64decode(value).decode(errors="replace")
        for name, value in json.loads(objects.get(key))
        if name.startswith("ce_") and value is not None
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
