"""The guide's example can be imported, and it names every field and option."""

from __future__ import annotations

import re

from processors.imports.openai_chat import _CARRIED, _Line, openai_chat
from processors.imports.port import Imported
from tests.processes import ROOT, run

GUIDE = (ROOT / "docs" / "imports.md").read_text()


def test_the_example_is_a_line_of_openai_chat() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    (found,) = openai_chat("runs.jsonl", [example.encode()])
    assert isinstance(found, Imported)
    assert found.data["outcome"] == {"status": "success"}


def test_every_field_and_option_is_in_the_guide() -> None:
    named = set(re.findall(r"`([a-z_]+)`", GUIDE))
    assert {*_CARRIED, *_Line.model_fields} <= named
    shown = run("import", "--help").stdout
    for option in re.findall(r"`(--[a-z-]+)", GUIDE):
        assert option in shown
