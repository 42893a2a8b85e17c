"""The certificate of an erasure: what was asked, what was done, and what is not covered, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.erasures import Erasure, ErasureKind

FORMAT = 1
_TITLES = {
    ErasureKind.ERASURE: "Certificate of erasure",
    ErasureKind.POISON: "Certificate of quarantine",
}
_ANEW = (
    "- To seal again is to decide the window anew (duplicates, outliers, shares, balance, split): beside the"
    " subject's examples others may be gone, and some that had been left out may have come in"
)


def facts(found: Erasure, finished_at: str, not_covered: Sequence[str]) -> dict[str, Any]:
    """The certificate as JSON. The same erasure at the same moment gives the same one."""
    report = found.report
    rows = report["rows"]
    return {
        "format": FORMAT,
        "id": found.id,
        "kind": str(found.kind),
        "tenant": found.tenant,
        "subject": dict(found.subject),
        "reason": found.reason,
        "requested_by": found.requested_by,
        "requested_at": found.requested_at.isoformat(),
        "finished_at": finished_at,
        "rows": {
            "emptied": sum(rows["emptied"].values()),
            "by_day_of_ingest": rows["emptied"],
            "files_rewritten": sum(rows["files"].values()),
            "files_deleted": rows["deleted"],
            "oldest_readable_version": rows["version"],
        },
        "golden_sets": report.get("golden", []),
        "datasets": [
            {"digest": digest, **{k: v for k, v in said.items() if k != "shards"}}
            for digest, said in sorted(report.get("datasets", {}).items())
        ],
        "adapters": report.get("adapters", {}),
        "jobs_cancelled": report.get("cancelled", {}),
        "jobs_made": report.get("jobs", {}),
        "dead_letters": report.get("letters", {}),
        "not_covered": list(not_covered),
    }


def not_covered(
    found: Erasure, topics: Sequence[str], dead_letter_topic: str, copies: Sequence[str]
) -> list[str]:
    """What this cannot reach. `copies` are ledgers that were kept beside this one."""
    unknown = found.report.get("letters", {}).get("unknown", 0)
    adapters = ", ".join(said["adapter"] for said in found.report.get("adapters", {}).values())
    lines = [
        (
            f"Kafka: the topics {', '.join(topics)} hold the events as they came until their retention ends;"
            " read again, they become empty rows"
        ),
        f"Kafka: the topic {dead_letter_topic} holds records that could not be read, byte for byte",
        (
            "the rows themselves: place, time, size and SHA-256 of each record, and the event's source and id,"
            " stay, so that every record keeps its row"
        ),
        (
            "time travel: versions of the ledger before the one named cannot be read any more; a copy that"
            " another tool made of them can"
        ),
        "backups of the data folder, the bucket or the control database",
        "exports that were made of the ledger or of datasets, and datasets fetched by others",
        "tallies of days that the ledger's retention dropped: counts, and keyed HMACs of sessions",
        "rows that retention dropped, in datasets: found by user, session and source alone",
        (
            "datasets for which the subject was a candidate and no example: of each of its rows the place, why it"
            " was left out and its scores (fates.parquet), and what it added to counts"
        ),
        "scratch files of a seal that was killed, until they are deleted a day later",
        "models of domains that were fitted on the texts (objects/domains)",
        "this record: the subject's keyed HMAC in the control database and in this certificate",
        "other layers that read the same topics, and what agents keep",
    ]
    if unknown:
        lines.append(
            f"dead letters: of {unknown} payloads under objects/dead-letters nobody can tell whose they are"
        )
    if adapters:
        lines.append(
            f"weights: {adapters} served or were loaded before; what they answered, and what others"
            " learned from it, stays"
        )
    lines += [
        f"a ledger that a rebuild replaced, kept until it is deleted: {path}" for path in copies
    ]
    return lines


def markdown(certificate: Mapping[str, Any], digest: str) -> str:
    """The same for people."""
    rows = certificate["rows"]
    kind = ErasureKind(certificate["kind"])
    said = [
        f"# {_TITLES[kind]} {certificate['id']}",
        "",
        f"SHA-256 of the JSON form: `{digest}`",
        "",
        "| asked for | |",
        "|---|---|",
        *(
            f"| {name} | {_cell(value)} |"
            for name, value in (
                ("tenant", certificate["tenant"]),
                ("subject", _pairs(certificate["subject"])),
                ("reason", certificate["reason"]),
                ("by", certificate["requested_by"]),
                ("at", certificate["requested_at"]),
                ("done at", certificate["finished_at"]),
            )
        ),
        "",
        "## Done",
        "",
        (
            f"- Rows emptied: {rows['emptied']:,}; files written anew: {rows['files_rewritten']:,}; old files"
            f" deleted: {rows['files_deleted']:,}. Oldest version of the ledger that can be read:"
            f" {rows['oldest_readable_version']}"
        ),
        *(f"  - {day}: {count:,}" for day, count in rows["by_day_of_ingest"].items()),
        *_done(certificate),
        "",
        "## Not covered",
        "",
        *(f"- {line}" for line in certificate["not_covered"]),
    ]
    return "\n".join(said) + "\n"


def _done(certificate: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- Golden set of {one['model']} {one['digest']}: {one['removed']} cases removed, now"
        f" {one['successor'] or 'none is left'}"
        for one in certificate["golden_sets"]
    ]
    for one in certificate["datasets"]:
        then = (
            f"sealed again as {one['successor_version']} {one['successor']}"
            if one["successor"]
            else f"withdrawn without successor: {one['refused']}"
        )
        lines.append(
            f"- Dataset {one['model']} {one['version']} {one['digest']}, {one['rows']:,} examples and"
            f" pairs of the subject: deleted, {then}"
        )
    if any(one["successor"] for one in certificate["datasets"]):
        lines.append(_ANEW)
    for name, one in certificate["adapters"].items():
        back = f"; {one['returned_to']} serves again" if one["returned_to"] else ""
        lines.append(f"- Adapter {name} {one['adapter']} ({one['was']}): in quarantine{back}")
    lines += [
        f"- Job {job} of {model} cancelled" for job, model in certificate["jobs_cancelled"].items()
    ]
    lines += [
        f"- Training of {model}: "
        + (f"job {one['job']}" if one["job"] else f"no job, {one['why']}")
        for model, one in certificate["jobs_made"].items()
    ]
    letters = certificate["dead_letters"].get("deleted", [])
    lines += [f"- Dead letter {one}: payload deleted" for one in letters]
    return lines or ["- No dataset, golden set or adapter held anything of it"]


def _pairs(subject: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in subject.items())


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
