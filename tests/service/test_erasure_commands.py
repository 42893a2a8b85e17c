"""`lorikeet datasets erase | quarantine | erasures` as its users meet them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import Code
from service.cli import main
from tests.erasing import FEEDBACK, POLICY, RUNS, Installed, run, runs
from tests.support import erasure, event


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """An installation with 40 runs of ten users; its settings lie beside it."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "hmac.key").write_bytes(POLICY.hmac_key)
    (tmp_path / "lorikeet.yaml").write_text(f"data: {tmp_path}\nmodels: [{{name: m}}]\n")
    found = Installed(tmp_path)
    found.ingest(*runs(40))
    return found


def datasets(installed: Installed, *arguments: str, code: int = 0) -> str:
    """What a command says; on stderr, in one line, if it fails."""
    out, err = io.StringIO(), io.StringIO()
    config = ("--config", str(installed.folder / "lorikeet.yaml"))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["lorikeet", "datasets", *arguments, *config])
        patch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, err.getvalue()
    assert len(err.getvalue().splitlines()) == (1 if code else 0), err.getvalue()
    return err.getvalue() if code else out.getvalue()


def said(installed: Installed, *arguments: str) -> Any:
    return json.loads(datasets(installed, *arguments, "--json"))


def test_a_user_is_erased_and_the_certificate_is_kept(installed: Installed) -> None:
    asked = ("erase", "--subject", "user:user1", "--reason", "request of 3 May", "--by", "dpo")
    text = datasets(installed, *asked, "--yes")
    assert "# Certificate of erasure" in text
    assert "Rows emptied: 4" in text
    assert "user1" not in text.replace("user:dpo", ""), "only its HMAC"
    (known,) = said(installed, "erasures")
    assert (known["state"], known["requested_by"]) == ("certified", "user:dpo")
    certificate = said(installed, "erasures", known["id"][:6])
    assert certificate["rows"]["emptied"] == 4
    assert any("Kafka" in line for line in certificate["not_covered"])
    assert known["id"] in datasets(installed, "erasures")
    assert said(installed, *asked, "--yes")[0]["certificate"] == known["certificate"]
    assert not any(row.user == known["subject"]["user"] for row in installed.rows())


def test_a_source_is_quarantined(installed: Installed) -> None:
    installed.ingest(event(RUNS, run(90, "x"), source="urn:poison"))
    (done,) = said(installed, "quarantine", "--source", "urn:poison", "--yes")
    assert (done["kind"], done["subject"]) == ("poison", {"source": "urn:poison"})
    assert installed.rows()[-1].reasons == ("quarantined",)


def test_what_events_asked_for_is_carried_out_without_a_subject(installed: Installed) -> None:
    assert "Nothing is left" in datasets(installed, "erase")
    installed.ingest(event(FEEDBACK, erasure(session_id="user1-0")))
    installed.count()
    (done,) = said(installed, "erase")
    assert (done["state"], done["reason"]) == ("certified", "feedback.received")


def test_what_it_touches_is_said_before(installed: Installed) -> None:
    sealed = installed.sealed()
    asked = ("erase", "--subject", "user:user1")
    line = datasets(installed, *asked, code=2)
    assert "touches 4 rows, 1 dataset and 0 adapters, and cannot be undone" in line
    text = datasets(installed, *asked, "--dry-run")
    assert text.startswith("It would touch 4 rows, 1 dataset and 0 adapters. Nothing was changed.")
    assert sealed.digest in text
    would = said(installed, *asked, "--dry-run")
    assert would == {"rows": 4, "datasets": [sealed.digest], "adapters": []}
    source = ("quarantine", "--source", "urn:test", "--dry-run")
    assert said(installed, *source)["rows"] == 40
    assert said(installed, "erasures") == []
    assert sum(bool(row.user) for row in installed.rows()) == 40
    (done,) = said(installed, *asked, "--yes")
    assert {name: done[name] for name in would} == would


def test_others_that_are_done_are_not_shown_again(installed: Installed) -> None:
    datasets(installed, "erase", "--subject", "user:user1", "--yes")
    (done,) = said(installed, "erase", "--subject", "user:user2", "--yes")
    text = datasets(installed, "erase", "--subject", "user:user3", "--yes")
    assert text.count("# Certificate of erasure") == 1
    assert done["id"] not in text
    assert "Nothing is left" in datasets(installed, "erase")
    assert said(installed, "erase") == []


def test_nothing_is_erased_unless_somebody_says_yes(installed: Installed) -> None:
    line = datasets(installed, "erase", "--subject", "user:user1", code=2)
    assert line.startswith(f"lorikeet: {Code.BAD_OPTION.number}")
    assert said(installed, "erasures") == []
    assert datasets(installed, "erasures").strip() == "Erasures: none"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("erase", "--subject", "ann"), Code.BAD_OPTION),
        (("erase", "--subject", "value:hello", "--yes"), Code.BAD_OPTION),
        (("erase", "--subject", "user:\udcff", "--yes"), Code.BAD_OPTION),
        (("erase", "--subject", "user:a", "--reason", "\udcff", "--yes"), Code.BAD_OPTION),
        (("erase", "--subject", "user:a\n", "--yes"), Code.BAD_OPTION),
        (("quarantine", "--source", "", "--yes"), Code.BAD_OPTION),
        (("quarantine", "--source", "urn:\0", "--yes"), Code.BAD_OPTION),
        (("erasures", "abc"), Code.NO_SUCH_ERASURE),
    ],
    ids=ascii,
)
def test_mistakes_are_one_line(
    installed: Installed, arguments: tuple[str, ...], code: Code
) -> None:
    assert datasets(installed, *arguments, code=2).startswith(f"lorikeet: {code.number}")
    assert said(installed, "erasures") == []


def test_a_name_of_which_there_is_nothing_is_told_apart(installed: Installed) -> None:
    assert "no row" not in datasets(installed, "erase", "--subject", "user:user1", "--yes")
    assert "no row" in datasets(installed, "erase", "--subject", "user:user1 ", "--yes")
