"""Asking a person about one run after the other. What was decided is recorded before the next is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from operations.record_decisions import Decision, Verdict
from processors.curation import answers
from processors.curation.review import Waiting
from schemas.errors import InvalidEvent, NotReady
from service.cli.editor import NoEditor, edited
from service.cli.options import counted
from service.cli.review_page import print_change, print_run

QUESTION = "[a]ccept  [r]eject  [e]dit  [s]kip  [b]ack  [m]ore  [q]uit? "
_HELP = """a  accept: it may be learned from as it is, whatever its scores
r  reject: it is never learned from
e  edit: mend the answer in $EDITOR; the mended one is learned in its place
s  skip: decide later; it comes again
b  back: to the one before, to decide again; the last word counts
m  more: all of the text that was cut
q  quit: what was decided is recorded"""
_PAGE = 20
Read = Callable[[Sequence[Waiting]], Mapping[str, Mapping[str, Any]]]
"""Contents by row id; rows that hold no text are missing."""
Record = Callable[[Decision], None]
"""Returns when a decision is acknowledged. Raises NotReady, or InvalidEvent for an answer that is too large."""
Personal = Callable[[answers.Answer], Sequence[str]]
"""The kinds of personal data in an answer."""


class Quit(Exception):
    """The person has had enough."""


def ask_terminal(question: str) -> str:
    """A line of what the person types. Raises EOFError at the end, also where the terminal is gone."""
    try:
        return input(question)
    except OSError:
        raise EOFError from None


class ReviewSession:
    """One sitting. `ask` raises EOFError at the end of the input."""

    def __init__(
        self,
        console: Console,
        read: Read,
        record: Record,
        personal: Personal,
        ask: Callable[[str], str] = ask_terminal,
    ) -> None:
        self._console = console
        self._read = read
        self._record = record
        self._personal = personal
        self._ask = ask
        self._contents: dict[str, Mapping[str, Any] | None] = {}
        self._done: dict[str, Verdict] = {}

    def __call__(self, queue: Sequence[Waiting]) -> Counter[Verdict]:
        """Work through the queue; how many runs got each verdict.

        Raises NotReady if the person gives up on a decision that Kafka does not take.
        """
        try:
            self._work_through(queue)
        except (EOFError, KeyboardInterrupt, Quit):
            self._console.print()
        return Counter(self._done.values())

    def _work_through(self, queue: Sequence[Waiting]) -> None:
        place, step = 0, 1
        while place < len(queue):
            one, content = queue[place], self._content(queue, place)
            if content is not None:
                title = f"{place + 1} of {len(queue)}  {one.tenant}/{one.model}"
                step = self._decide(one, content, title)
            place, step = (place + step, step) if place + step >= 0 else (0, 1)

    def _decide(self, one: Waiting, content: Mapping[str, Any], title: str) -> int:
        """Show one run and ask until the person goes on: 1 forwards, −1 back."""
        before = self._done.get(one.row_id)
        title = f"{title}  (so far: {before})" if before else title
        print_run(self._console, one, content, title, whole=False)
        while True:
            key = self._key(QUESTION, "aresbm", _HELP)
            if key == "m":
                print_run(self._console, one, content, title, whole=True)
            elif key in "sb":
                return 1 if key == "s" else -1
            elif self._carry_out(key, one, content):
                return 1

    def _carry_out(self, key: str, one: Waiting, content: Mapping[str, Any]) -> bool:
        """Whether a decision came of it."""
        run = replace(one, rejected=self._done.get(one.row_id) == Verdict.REJECT or one.rejected)
        if key == "e":
            answer = self._mended(content)
            decision = Decision(run, Verdict.EDIT, answer) if answer else None
        else:
            decision = Decision(run, Verdict.ACCEPT if key == "a" else Verdict.REJECT)
        return decision is not None and self._recorded(decision)

    def _recorded(self, decision: Decision) -> bool:
        while True:
            try:
                self._record(decision)
            except InvalidEvent as error:
                self._say(f"It cannot be sent: {error}")
                return False
            except NotReady as error:
                self._say(str(error))
                if self._key("[t]ry again  [q]uit? ", "tq") == "q":
                    raise
            else:
                self._done[decision.run.row_id] = decision.verdict
                self._say(f"Recorded: {decision.verdict}")
                return True

    def _mended(self, content: Mapping[str, Any]) -> answers.Answer | None:
        """The answer as the person wants it; None if it stays as it is."""
        draft = answers.draft(content)
        text = draft.text
        while True:
            try:
                text = edited(text, draft.suffix)
                if text.strip() == draft.text.strip():
                    self._say("Nothing was changed.")
                    return None
                answer = answers.parsed(text, content, words=draft.suffix == ".txt")
            except (NoEditor, ValueError) as error:
                self._say(f"That is no answer: {error}")
                if self._key("[e]dit again  [b]ack? ", "eb") == "b":
                    return None
                continue
            self._show(draft.text, answer, content)
            key = self._key("[y]es, this answer  [e]dit again  [b]ack? ", "yeb")
            if key != "e":
                return answer if key == "y" else None

    def _show(self, before: str, answer: answers.Answer, content: Mapping[str, Any]) -> None:
        print_change(self._console, before, answers.shown(answer, content))
        kinds = self._personal(answer)
        if kinds:
            self._say(
                f"It holds {', '.join(kinds)}: placeholders such as <{kinds[0]}_1> take their place"
            )

    def _content(self, queue: Sequence[Waiting], place: int) -> Mapping[str, Any] | None:
        row_id = queue[place].row_id
        if row_id not in self._contents:
            page = queue[place : place + _PAGE]
            self._contents |= {one.row_id: None for one in page} | dict(self._read(page))
        return self._contents[row_id]

    def _key(self, question: str, known: str, explained: str = "") -> str:
        """The first letter of what the person answers, one of those known. Raises Quit."""
        while True:
            said = self._ask(question).strip().lower()[:1]
            if said and said in known:
                return said
            if said == "q":
                raise Quit
            self._say(explained or f"One of: {', '.join(known)}; q quits")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)


def summary(found: Mapping[Verdict, int], waiting: int) -> str:
    """A sitting in one line: what was decided, and how many runs wait after it."""
    named = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected", Verdict.EDIT: "edited"}
    done = [f"{found[name]:,} {word}" for name, word in named.items() if found.get(name)]
    verb = "waits" if waiting == 1 else "wait"
    return f"{', '.join(done) or 'Nothing decided'}; {counted(waiting, 'run')} {verb} still"
