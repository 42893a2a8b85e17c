"""Golden sets grow by files and rows, frozen and content-addressed, and no seal trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from operations.add_golden import AddGolden, Offered
from operations.seal_dataset import SealDataset
from schemas.datasets import Manifest, Recipe
from schemas.errors import Code, NotReady
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.control import registry
from stores.control.database import Database, sqlite_url
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader
from tests.reviewing import POLICY, RECIPE, append, body, lines
from tests.support import NOW, TOOLS, call, edit, erasure, execution, thumb

ME = ("default", "m")
SYSTEM = {"role": "system", "content": "you book trips"}


def words(name: str) -> str:
    return " ".join(f"{name}-{word}" for word in "abcdefghijklmnop")


def run(name: str, prompt: str | None = None, **changes: Any) -> dict[str, Any]:
    asked = {"role": "user", "content": prompt or words(name)}
    answer = {"role": "assistant", "content": None, "tool_calls": [call(to=name)]}
    told = {"execution_id": name, "messages": [asked, answer], "task": {"prompt": ""}}
    return execution(**{**told, **changes})


def written(name: str, **changes: Any) -> dict[str, Any]:
    expected = {"tool_calls": [call(to=name)]}
    return {"prompt": words(name), "expected": expected, "tools": TOOLS, **changes}


class Place:
    """An installation's ledger, database and datasets."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger"
        self.database = Database(sqlite_url(folder / "control.db"))
        self.store = DatasetStore(ObjectFolder(f"file://{folder}/objects"))
        self.add = AddGolden(self.database, self.ledger, self.store, POLICY)
        self.recipe = Recipe(**RECIPE, golden_size=0)

    def seal(self) -> Manifest:
        seal = SealDataset(self.database, self.ledger, self.store, NoMeter())
        return seal(*ME, self.recipe, DeltaLedgerReader(self.ledger).offsets(), NOW)

    def of_file(self, *values: Any) -> Offered:
        return self.add.of_file(*ME, self.recipe, lines(*values).splitlines())

    def of_rows(self, ids: Sequence[str], grader: str | None = None) -> Offered:
        return self.add.of_rows(*ME, self.recipe, ids, grader)

    def newest(self) -> str:
        found = self.database.read(lambda c: registry.golden(c, *ME))
        assert found is not None
        return str(found["digest"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def row_id(offset: int) -> str:
    return f"c:execution.completed:0:{offset}"


def test_no_disguise_of_a_written_case_is_trained_on(place: Place) -> None:
    """By prompt, by near-duplicate, by task, by person; a case by file names no row."""
    near = f"{words('case').rsplit(' ', 1)[0]} else"
    disguised = [
        run("same", words("case")),
        run("upper", words("case").upper()),
        run("near", near),
        run("task", task={"prompt": "", "id": "task-1"}),
        run("person", user_id="ann"),
        run("sitting", session_id="s"),
    ]
    append(place.ledger, *(body(run(f"r{n}")) for n in range(12)), *map(body, disguised))
    case = written("case", task="task-1", user_id="ann", session_id="s")
    offered = place.of_file(case, written("second"))
    assert (offered.faults, offered.trained_on) == ([], {})
    place.add(*ME, offered, NOW)
    sealed = place.seal()
    assert sealed.golden == place.newest()
    assert sealed.dropped == {"golden": len(disguised)}
    kept = {one.row_id for one in place.store.examples(sealed.digest)}
    assert kept == {row_id(n) for n in range(12)}


def test_a_case_by_its_prompt_alone_is_kept_out_by_it(place: Place) -> None:
    said = [SYSTEM, {"role": "user", "content": "write to ann@example.org"}]
    answer = {"role": "assistant", "content": None, "tool_calls": [call(to="x")]}
    secret = run("secret", messages=[*said, answer])
    append(place.ledger, *(body(run(f"r{n}")) for n in range(12)), body(secret))
    asked = {"messages": said, "expected": "done", "tools": TOOLS}
    place.add(*ME, place.of_file(asked), NOW)
    assert place.seal().dropped == {"golden": 1}


def test_a_set_grows_and_the_old_one_stays(place: Place) -> None:
    first = place.add(*ME, place.of_file(written("a"), written("b")), NOW)
    second = place.add(*ME, place.of_file(written("c")), NOW.replace(hour=13))
    assert (first["cases"], second["cases"], second["added"]) == (2, 3, 1)
    assert place.newest() == second["digest"] != first["digest"]
    assert len(place.store.golden(first["digest"])) == 2
    ids = [case.case_id for case in place.store.golden(second["digest"])]
    assert ids == sorted(ids)
    listed = place.database.read(registry.golden_list)
    assert [one["digest"] for one in listed] == [first["digest"], second["digest"]]


def test_the_digest_is_that_of_the_cases_whatever_their_order(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate(("abc", "cab")):
        place = Place(tmp_path / str(number))
        for name in names:
            offered = place.of_file(written(name))
            made = place.add(*ME, offered, NOW.replace(minute=names.index(name)))
        digests.add(made["digest"])
    assert len(digests) == 1


def test_what_was_trained_on_is_named_with_the_dataset(place: Place) -> None:
    append(place.ledger, *(body(run(f"r{n}")) for n in range(20)))
    sealed = place.seal()
    by_split: dict[str, list[str]] = {}
    for one in place.store.examples(sealed.digest):
        by_split.setdefault(str(one.split), []).append(one.row_id)
    train, test = by_split["train"][0], by_split["test"][0]
    offered = place.of_rows([train, test])
    assert offered.faults == []
    assert offered.trained_on == {train: "it stands itself in the training split of 1.0.0"}
    name = f"r{train.rpartition(':')[2]}"
    near = f"{words(name).rsplit(' ', 1)[0]} else"
    found = place.of_file(written(name), {**written("x"), "prompt": near}, written("fresh"))
    assert [how.partition(" in ")[0] for how in found.trained_on.values()] == [
        "its task stands",
        "one much like it stands",
    ]
    assert len(found.cases) == 3


@pytest.mark.parametrize(
    ("data", "said", "fault"),
    [
        (run("r"), [], None),
        (run("r", confidence=0.2), [], "it is review (low_confidence)"),
        (run("r", confidence=0.2), [edit("r", [call(to="x")])], None),
        (run("r"), [edit("r", [call(to="x")], author_role="user")], "a user has mended it"),
        (
            run("r", confidence=0.2),
            [thumb("r", "accept", kind="decision", author_role="reviewer")],
            None,
        ),
        (
            run("r"),
            [thumb("r", "reject", kind="decision", author_role="reviewer")],
            "a person has refused it",
        ),
        (run("r"), [thumb("r", -1)], "people were not content"),
        (run("r", outcome={"status": "failure"}), [], "it is rejected (low_quality)"),
        (run("r", model={"name": "m", "arm": "shadow"}), [], "it ran in the shadow"),
        (run("r", model={"name": "other"}), [], "the model has no such run"),
        (run("r", user_id="u"), [erasure(user_id="u")], "is to be forgotten"),
        (run("r", messages=[{"role": "user", "content": "x"}]), [], "the row has no answer"),
    ],
    ids=[
        *("good", "doubtful", "mended by an expert", "mended by a user", "accepted", "refused"),
        *("thumb down", "poor", "shadow", "another model", "erased", "no answer"),
    ],
)
def test_rows_need_somebody_who_vouches_for_them(
    place: Place, data: dict[str, Any], said: list[dict[str, Any]], fault: str | None
) -> None:
    append(place.ledger, body(data), *map(body, said))
    offered = place.of_rows([row_id(0)])
    if fault is None:
        assert offered.faults == []
        (case,) = offered.cases
        assert (case.case_id, case.grader) == (row_id(0), "tool_call")
        edited = any(one["kind"] == "edit" for one in said)
        assert case.expected["tool_calls"] == [call(to="x" if edited else "r")]
    else:
        (found,) = offered.faults
        assert found.startswith(f"{row_id(0)}: ")
        assert fault in found


def test_a_row_is_added_once_and_graded_as_asked(place: Place) -> None:
    append(place.ledger, body(run("a")), body(run("b", words("a"))))
    offered = place.of_rows([row_id(0), row_id(0), row_id(1), "nowhere"], "exact")
    assert [case.grader for case in offered.cases] == ["exact"]
    assert offered.faults == [
        "nowhere: the model has no such run",
        f"{row_id(1)}: case {row_id(0)} asks the same",
    ]
    place.add(*ME, Offered(offered.cases, [], offered.known, offered.base), NOW)
    again = place.of_rows([row_id(0)])
    assert again.faults == [f"{row_id(0)}: case {row_id(0)} asks the same"]
    assert place.of_file(written("a")).faults == [
        f"line 1: case {row_id(0)} of the newest set asks the same"
    ]


def test_who_adds_at_the_same_time_does_not_lose_the_others_cases(place: Place) -> None:
    mine, yours = place.of_file(written("a")), place.of_file(written("b"))
    place.add(*ME, yours, NOW)
    with pytest.raises(NotReady) as refused:
        place.add(*ME, mine, NOW)
    assert refused.value.code is Code.STALE_WRITE
    assert len(place.store.golden(place.newest())) == 1
