"""A sitting, key by key: what is shown, what is recorded, and what happens when something goes wrong."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from operations.record_decisions import Decision, Verdict
from processors.curation.review import Waiting
from schemas.errors import Code, InvalidEvent, LorikeetError, NotReady
from service.cli.editor import NoEditor, edited
from service.cli.review_page import WHY, print_change, print_run
from service.cli.review_session import ReviewSession, summary
from tests.processors.test_review import queue
from tests.reviewing import body, curated, doubtful
from tests.support import call, execution, plan

WIDTH = 80


class Sitting:
    """A session over curated runs, with the answers that a person will type."""

    def __init__(self, *data: dict[str, Any], failures: Sequence[LorikeetError] = ()) -> None:
        self.rows = curated([body(one) for one in data])
        self.queue = sorted(queue(self.rows), key=lambda one: one.row_id)
        self.screen = io.StringIO()
        self.failures = list(failures)
        self.recorded: list[Decision] = []
        self.read: list[int] = []

    def __call__(self, *keys: str) -> dict[Verdict, int]:
        """Answer with these keys, then end the input."""
        typed = iter(keys)

        def ask(question: str) -> str:
            self.screen.write(question)
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        console = Console(file=self.screen, width=WIDTH)
        session = ReviewSession(console, self._contents, self._record, self._personal, ask)
        done = dict(session(self.queue))
        assert not list(typed), f"not everything was asked for:\n{self.text}"
        return done

    @property
    def text(self) -> str:
        return self.screen.getvalue()

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        return [(one.run.run_id, str(one.verdict)) for one in self.recorded]

    def _contents(self, page: Sequence[Waiting]) -> dict[str, Any]:
        wanted = {one.row_id for one in page}
        self.read.append(len(wanted))
        return {
            row.row_id: json.loads(row.content)
            for row in self.rows
            if row.row_id in wanted and row.content
        }

    def _record(self, decision: Decision) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.recorded.append(decision)

    def _personal(self, answer: dict[str, Any]) -> list[str]:
        return ["EMAIL"] if "@" in json.dumps(answer) else []


Editor = Callable[[str], None]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Sets $EDITOR to a shell script, which gets the file as $1."""

    def install(script: str) -> None:
        path = tmp_path / "an editor.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"'{path}'")

    return install


def words(text: str, name: str = "r") -> dict[str, Any]:
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": text}]
    return doubtful(name, messages=turns)


def test_each_run_is_decided_in_its_turn_and_recorded_at_once() -> None:
    sitting = Sitting(*(doubtful(name) for name in "abcd"))
    done = sitting("a", "s", "reject", "q")
    assert sitting.verdicts == [("a", "accept"), ("c", "reject")]
    assert done == {Verdict.ACCEPT: 1, Verdict.REJECT: 1}
    assert "4 of 4" in sitting.text
    assert sitting.text.count("Recorded: ") == 2


def test_the_end_of_the_input_is_an_end() -> None:
    sitting = Sitting(doubtful("a"), doubtful("b"))
    assert sitting("a") == {Verdict.ACCEPT: 1}
    assert sitting.text.endswith("\n")


def test_back_decides_again_and_the_person_sees_the_word_so_far() -> None:
    sitting = Sitting(doubtful("a"), doubtful("b"))
    sitting("b", "r", "b", "a", "a")
    assert sitting.verdicts == [("a", "reject"), ("a", "accept"), ("b", "accept")]
    assert "(so far: reject)" in sitting.text
    assert [one.run.rejected for one in sitting.recorded] == [False, True, False]


def test_an_unknown_key_explains_the_keys() -> None:
    sitting = Sitting(doubtful("a"))
    sitting("x", "", "q")
    assert sitting.text.count("the last word counts") == 2


def test_a_run_without_text_is_passed_over_in_both_directions() -> None:
    sitting = Sitting(*(doubtful(name) for name in "abc"))
    sitting.rows = [
        row._replace(content=None) if row.run_id != "b" else row for row in sitting.rows
    ]
    assert sitting("b", "a") == {Verdict.ACCEPT: 1}
    assert sitting.verdicts == [("b", "accept")]


def test_texts_are_read_a_page_at_a_time() -> None:
    sitting = Sitting(*(doubtful(f"{n:02}") for n in range(25)))
    sitting(*["s"] * 25)
    assert sitting.read == [20, 5]


def test_a_decision_that_kafka_does_not_take_is_sent_again_or_given_up() -> None:
    down = NotReady(Code.PUBLISH_FAILED, "no leader")
    sitting = Sitting(doubtful("a"), doubtful("b"), failures=[down, down])
    sitting("a", "t", "t", "q")
    assert sitting.verdicts == [("a", "accept")]
    assert sitting.text.count("no leader") == 2
    refused = Sitting(doubtful("a"), failures=[down])
    with pytest.raises(NotReady):
        refused("a", "q")
    assert refused.recorded == []


def test_an_answer_that_is_too_large_is_not_sent(editor: Editor) -> None:
    editor('echo better > "$1"')
    sitting = Sitting(words("bad"), failures=[InvalidEvent(Code.TOO_LARGE, "5 MiB")])
    sitting("e", "y", "q")
    assert "E7007" in sitting.text
    assert sitting.recorded == []


def test_an_edit_is_shown_as_a_difference_and_asked_about(editor: Editor) -> None:
    editor('sed -i s/noon/one/ "$1"')
    sitting = Sitting(words("It leaves\nat noon\nfrom <EMAIL_1>"))
    sitting("e", "y")
    (decision,) = sitting.recorded
    right = "It leaves\nat one\nfrom <EMAIL_1>"
    assert decision.answer == {"messages": [{"role": "assistant", "content": right}]}
    assert "-at noon\n+at one\n" in sitting.text


def test_an_edit_can_be_taken_back_or_mended_once_more(editor: Editor) -> None:
    editor('echo more >> "$1"')
    sitting = Sitting(words("begin"))
    sitting("e", "b", "e", "e", "y")
    (decision,) = sitting.recorded
    assert decision.answer == {"messages": [{"role": "assistant", "content": "begin\nmore\nmore"}]}


def test_what_is_no_answer_is_asked_for_again(editor: Editor, tmp_path: Path) -> None:
    """First it does not parse, then it calls what there is not, then it is right."""
    count = tmp_path / "count"
    editor(
        f"""echo x >> "{count}"
case $(wc -l < "{count}") in
  1) echo '[{{' > "$1" ;;
  2) echo '[{{"role": "assistant", "tool_calls": [{{"name": "fly"}}]}}]' > "$1" ;;
  *) echo '[{{"role": "assistant", "tool_calls": [{{"name": "book"}}]}}]' > "$1" ;;
esac"""
    )
    sitting = Sitting(doubtful("r"))
    sitting("e", "e", "e", "y")
    (decision,) = sitting.recorded
    turn = {"role": "assistant", "content": "", "tool_calls": [call("book")]}
    assert decision.answer == {"messages": [turn]}
    assert "That is no answer: no JSON" in sitting.text
    assert "no tool is called 'fly'" in sitting.text
    again = Sitting(doubtful("r"))
    count.unlink()
    again("e", "b", "q")
    assert again.recorded == []


def test_nothing_changed_is_no_edit_and_a_broken_editor_is_said(editor: Editor) -> None:
    editor("true")
    sitting = Sitting(words("x"))
    sitting("e", "q")
    assert "Nothing was changed" in sitting.text
    editor("exit 3")
    sitting = Sitting(words("x"))
    sitting("e", "b", "q")
    assert "ended with 3" in sitting.text
    assert sitting.recorded == []


def test_personal_data_in_an_edit_is_pointed_out(editor: Editor) -> None:
    editor('echo ann@example.org > "$1"')
    sitting = Sitting(words("x"))
    sitting("e", "b", "q")
    assert "It holds EMAIL: placeholders such as <EMAIL_1>" in sitting.text


def test_the_editor_gets_a_private_file_that_is_gone_afterwards(
    editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        f'ls -l "$1" > "{tmp_path}/seen"; echo "$1" >> "{tmp_path}/seen"; printf "é\\n\\n" > "$1"'
    )
    assert edited("text", ".json") == "é\n"
    first, name = (tmp_path / "seen").read_text().splitlines()
    assert first.startswith(stat.filemode(stat.S_IFREG | 0o600))
    assert name.endswith(".json")
    assert not os.path.exists(name)  # noqa: PTH110 - it is a text
    for command, why in (("nowhere/none", "No such file"), ("'", "No closing quotation")):
        monkeypatch.setenv("EDITOR", command)
        with pytest.raises(NoEditor, match=why):
            edited("text", ".txt")


def shown(data: dict[str, Any], *, whole: bool = False) -> str:
    row = curated([body(data)])[0]
    (one,) = queue([row])
    screen = io.StringIO()
    console = Console(file=screen, width=WIDTH)
    print_run(console, one, json.loads(row.content or ""), "1 of 1", whole=whole)
    return "\n".join(line.rstrip() for line in screen.getvalue().split("\n"))


def test_a_run_is_readable_in_80_columns_without_colour() -> None:
    text = shown(
        doubtful(
            "run-1",
            task={"prompt": "", "domain": "rail", "type": "booking"},
            messages=[
                {"role": "system", "content": "be kind\n" * 30},
                {"role": "user", "content": "w" * 200},
                {"role": "assistant", "content": "I look", "tool_calls": [call(to="lyon", n=3)]},
                {"role": "tool", "name": "search", "content": "line\n" * 50},
            ],
        )
    )
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    flat = " ".join(text.split())
    assert f"Why low_confidence ({WHY['low_confidence']})" in flat
    assert "quality 100, confidence 0.3; quality of outcome 1, health 1" in flat
    assert "domain rail, type booking, trust internal" in flat
    assert "run run-1 of urn:test, 2026-03-01T12:00:00Z" in flat
    assert '→ search\n        to: "lyon"\n        n: 3\n' in text
    assert text.count("be kind") == 3
    assert text.count("    line") == 12
    assert "characters more: m shows all" in flat
    assert "w" * 76 in text


def test_more_shows_everything_that_was_cut() -> None:
    said = "\n".join(f"line {n}" for n in range(500))
    data = doubtful("r", messages=[{"role": "user", "content": said}])
    assert "line 499" not in shown(data)
    assert "line 499" in shown(data, whole=True)
    sitting = Sitting(data)
    sitting("m", "q")
    assert "line 499" in sitting.text


def test_a_plan_is_shown_step_by_step() -> None:
    steps = [
        {"id": "a", "tool": "search", "arguments": {"to": "lyon"}},
        {"id": "b", "description": "book it", "depends_on": ["a"]},
    ]
    text = shown(plan(confidence=0.1, steps=steps))
    assert 'a: search\n        to: "lyon"\n    b: book it  after a\n' in text
    assert "goal\n    go to lyon\n" in text


def test_what_a_terminal_would_obey_is_escaped() -> None:
    evil = "\x1b[2Jgone\x07"
    data = doubtful("r", agent_id=evil, messages=[{"role": evil, "content": evil}])
    assert "\x1b" not in shown(data)
    assert "\\x1b[2Jgone" in shown(data)
    screen = io.StringIO()
    print_change(Console(file=screen, width=WIDTH), "x", evil)
    assert "\x1b" not in screen.getvalue()


def test_a_run_without_an_answer_says_so() -> None:
    assert "It has no answer" in shown(doubtful("r", messages=[{"role": "user", "content": "x"}]))
    assert "It has no answer" not in shown(doubtful("r"))


def test_markup_in_a_text_is_text() -> None:
    data = doubtful("r", messages=[{"role": "user", "content": "[bold]x[/] [/red] [link=y]"}])
    assert "[bold]x[/] [/red] [link=y]" in shown(data)


def test_a_sitting_ends_with_what_it_did() -> None:
    assert summary({}, 1) == "Nothing decided; 1 run waits still"
    done = {Verdict.ACCEPT: 2, Verdict.EDIT: 1}
    assert summary(done, 1200) == "2 accepted, 1 edited; 1,200 runs wait still"


def test_an_accepted_run_that_nobody_doubts_is_in_no_queue() -> None:
    assert Sitting(execution()).queue == []
