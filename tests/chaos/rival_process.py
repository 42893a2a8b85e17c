"""A writer that believes it owns a partition: `python -m tests.chaos.rival_process FOLDER END`.

Appends numbered rows until the ledger stands at END; fenced, it drops its batch and claims again.
Prints how often it committed and how often it was fenced.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from schemas.errors import Code, NotReady
from stores.ledger.delta import DeltaLedgerWriter
from tests.ledgers import TP, rows


def main() -> None:
    """Append until the end is reached."""
    folder, end = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random()
    ledger = DeltaLedgerWriter(folder, "c")
    print("ready", flush=True)
    sys.stdin.readline()
    committed = fenced = 0
    start = ledger.claim([TP])[TP] or 0
    while start < end:
        size = dice.randrange(1, 4)
        try:
            ledger.append(rows(start, start + size), {TP: start + size})
            start += size
            committed += 1
        except NotReady as error:
            if error.code is not Code.LEDGER_FENCED:
                raise
            fenced += 1
            start = ledger.claim([TP])[TP] or 0
    print(json.dumps({"committed": committed, "fenced": fenced}), flush=True)


if __name__ == "__main__":
    main()
