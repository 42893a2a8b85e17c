"""`lorikeet datasets erase | quarantine | erasures`: taking data back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    actor,
    ask,
    counted,
    print_json,
    print_table,
    utc,
    whole,
    wiring_of,
)

if TYPE_CHECKING:
    from operations.erasing.erase import Touched
    from schemas.erasures import Erasure, ErasureKind
    from service.wiring import Wiring

_Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the certificate.")]
_By = Annotated[str | None, typer.Option("--by", help="Who asks (default: who is logged in).")]
_Tenant = Annotated[str, typer.Option("--tenant", help="Whose data it is among.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would touch; nothing is changed.")
]

_NOBODY = (
    "no row of this subject was found. Names count to the letter, capitals and spaces at the ends too:"
    " if it is misspelt, ask again."
)


def add_to(datasets: typer.Typer) -> None:
    """Register the commands."""
    datasets.command(name="erase")(erase)
    datasets.command(name="quarantine")(quarantine)
    datasets.command(name="erasures")(erasures)


def erase(
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject",
            metavar="KIND:NAME",
            help="user:ID, session:ID, source:URN, event:SOURCE#ID, execution:SOURCE#ID,"
            " plan:SOURCE#ID, or value:TEXT, such as an e-mail address.",
        ),
    ] = None,
    reason: _Reason = "",
    by: _By = None,
    tenant: _Tenant = "default",
    yes: _Yes = False,
    dry_run: _DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a subject's data back: rows, golden cases, datasets, adapters; then a certificate of it.

    Without --subject, what was asked for and is not done is gone on with.
    """
    from processors.curation.subjects import subject_of  # noqa: PLC0415
    from schemas.erasures import ErasureKind  # noqa: PLC0415

    wiring = wiring_of(config, data)
    if subject is None:
        _carry_out(wiring, None, as_json=as_json)
        return
    asked = _Asked(ErasureKind.ERASURE, tenant, subject_of(subject, tenant, wiring.curation))
    if dry_run:
        _print_preview(wiring, asked, as_json=as_json)
        return
    _confirm(wiring, asked, f"Erase {subject} of {tenant}?", yes=yes)
    _take_back(wiring, asked, reason, by, as_json=as_json)


def quarantine(
    source: Annotated[str, typer.Option("--source", help="The CloudEvents source not to trust.")],
    reason: _Reason = "",
    by: _By = None,
    tenant: _Tenant = "default",
    yes: _Yes = False,
    dry_run: _DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take back all that came from a source that cannot be trusted, as `erase` does."""
    from processors.curation.subjects import subject_of  # noqa: PLC0415
    from schemas.erasures import ErasureKind  # noqa: PLC0415

    wiring = wiring_of(config, data)
    named = subject_of(f"source:{source}", tenant, wiring.curation)
    asked = _Asked(ErasureKind.POISON, tenant, named)
    if dry_run:
        _print_preview(wiring, asked, as_json=as_json)
        return
    _confirm(wiring, asked, f"Take back all that came from {source} of {tenant}?", yes=yes)
    _take_back(wiring, asked, reason, by, as_json=as_json)


def erasures(
    name: Annotated[
        str | None, typer.Argument(help="An erasure's id, or the start of it: its certificate.")
    ] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What was taken back, oldest first; with an id its certificate, the signature checked."""
    from stores.control import erasures as store  # noqa: PLC0415

    wiring = wiring_of(config, data)
    found = wiring.database.read(store.every)
    if name is not None:
        _print_certificate(wiring, found, name, as_json=as_json)
        return
    if as_json:
        print_json([_facts(one) for one in found])
        return
    rows = [
        (
            one.id,
            one.kind,
            one.tenant,
            _named(one.subject),
            one.state,
            one.requested_by,
            utc(one.requested_at),
            (one.certificate or "")[:SHORT],
        )
        for one in found
    ]
    columns = ("id", "kind", "tenant", "subject", "state", "by", "asked", "certificate")
    print_table("Erasures", columns, rows, whole=["id", "asked", "certificate"])


class _Asked(NamedTuple):
    kind: ErasureKind
    tenant: str
    subject: Mapping[str, str]


def _preview(wiring: Wiring, asked: _Asked) -> Touched:
    from service.wiring import clock  # noqa: PLC0415

    return wiring.erase.preview(asked.tenant, asked.subject, clock(), asked.kind)


def _print_preview(wiring: Wiring, asked: _Asked, *, as_json: bool) -> None:
    found = _preview(wiring, asked)
    if as_json:
        print_json(found._asdict())
        return
    typer.echo(f"It would touch {_counts(found)}. Nothing was changed.")
    for digest in found.datasets:
        typer.echo(f"Dataset {digest}: sealed again without it, and deleted")
    for adapter in found.adapters:
        typer.echo(f"Adapter {adapter}: to quarantine")


def _confirm(wiring: Wiring, asked: _Asked, question: str, *, yes: bool) -> None:
    if not yes:
        counts = _counts(_preview(wiring, asked))
        ask(f"{question} It touches {counts}, and cannot be undone.", yes=False)


def _counts(found: Touched) -> str:
    counts = ((found.rows, "row"), (len(found.datasets), "dataset"))
    parts = [counted(count, name) for count, name in (*counts, (len(found.adapters), "adapter"))]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _take_back(
    wiring: Wiring, asked: _Asked, reason: str, by: str | None, *, as_json: bool
) -> None:
    from service.wiring import clock  # noqa: PLC0415

    tenant, subject = asked.tenant, asked.subject
    facts = {"reason": reason or "asked for", "requested_by": f"user:{by}" if by else actor()}
    name = wiring.erase.ask(tenant, subject, clock(), kind=asked.kind, **facts)
    _carry_out(wiring, name, as_json=as_json)


def _carry_out(wiring: Wiring, name: str | None, *, as_json: bool) -> None:
    from service.wiring import clock  # noqa: PLC0415

    done = wiring.erase(clock, name)
    quarantined = {key.split(" ")[0] for one in done for key in one.report.get("adapters", {})}
    for model in wiring.settings.models:
        if model.name in quarantined:
            wiring.converge_gateways(model, clock)
    shown = [one for one in done if name in (None, one.id)]
    if as_json:
        print_json([_facts(one) for one in shown])
        return
    if not shown:
        typer.echo("Nothing is left to be erased.")
    for one in shown:
        _, text = wiring.certificates.read(one.certificate or "")
        typer.echo(text)
        rows = sum(one.report["rows"]["emptied"].values())
        if not rows:
            typer.echo(f"{one.id}: {_NOBODY}")
        emptied = counted(rows, "row")
        typer.echo(f"{one.id}: {emptied} emptied. Again: lorikeet datasets erasures {one.id}")


def _print_certificate(wiring: Wiring, known: list[Erasure], name: str, *, as_json: bool) -> None:
    from schemas.errors import Code, Unrecoverable  # noqa: PLC0415

    wanted = whole(name, [one.id for one in known])
    found = next((one for one in known if one.id == wanted), None)
    if found is None or found.certificate is None:
        raise Unrecoverable(Code.NO_SUCH_ERASURE, name)
    said, text = wiring.certificates.read(found.certificate)
    if as_json:
        print_json(said)
        return
    typer.echo(text)


def _facts(found: Erasure) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": str(found.kind),
        "tenant": found.tenant,
        "subject": dict(found.subject),
        "reason": found.reason,
        "requested_by": found.requested_by,
        "requested_at": found.requested_at,
        "state": str(found.state),
        "certificate": found.certificate,
        "rows": sum(found.report.get("rows", {}).get("emptied", {}).values()),
        "datasets": sorted(found.report.get("datasets", {})),
        "adapters": sorted(found.report.get("adapters", {})),
    }


def _named(subject: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in subject.items())
