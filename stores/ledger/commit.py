"""One commit to the ledger's log: made, then synced.

What several writers move is told apart by transaction ids: two commits that move the same one conflict,
whatever else they do. delta-rs (1.6.6) does not notice that two commits remove the same file, so all
that removes files moves one id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, PostCommitHookProperties, RemoveAction

from stores.ledger.place import Fault, Place
from stores.ledger.schema import PARTITION_COLUMN
from stores.ledger.table import ledger_error, sync_log

OWN = "lorikeet."
"""Transaction ids that begin so are no partitions; a Kafka cluster's id has no dot."""
REMOVAL = f"{OWN}removal"
_RETRIES = 15


def commit(
    table: DeltaTable,
    place: Place,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Mapping[str, int],
    fault: Fault,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Commit actions and transactions together; the handle is at the new version afterwards.

    Steps `committed` and `log_synced`. Foreign commits are rebased on. Checkpoints and deleting old
    entries are left to maintenance, which syncs them. Raises NotReady(LEDGER_FENCED) if another commit
    moved one of the transactions since the handle's snapshot.
    """
    before = table.version()
    try:
        table.create_write_transaction(
            list(actions),
            "append",
            table.schema(),
            partition_by=[PARTITION_COLUMN],
            commit_properties=CommitProperties(
                custom_metadata=dict(metadata or {}),
                app_transactions=[Transaction(name, v) for name, v in transactions.items()],
                max_commit_retries=_RETRIES,
            ),
            post_commithook_properties=PostCommitHookProperties(
                create_checkpoint=False, cleanup_expired_logs=False
            ),
        )
        fault("committed")
        table.update_incremental()
        sync_log(place, before, table.version())
        fault("log_synced")
    except (DeltaError, OSError) as error:
        raise ledger_error(error, place) from error


def remove(
    table: DeltaTable,
    place: Place,
    actions: Sequence[AddAction | RemoveAction],
    fault: Fault,
    transactions: Mapping[str, int] | None = None,
) -> None:
    """The same for commits that remove files: only one of those that raced is made."""
    moved = {REMOVAL: (table.transaction_version(REMOVAL) or 0) + 1, **(transactions or {})}
    commit(table, place, actions, moved, fault)
