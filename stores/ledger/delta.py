"""The ledger on Delta Lake: its writer and its reader."""

from stores.ledger.reader import DeltaLedgerReader
from stores.ledger.writer import DeltaLedgerWriter

__all__ = ["DeltaLedgerReader", "DeltaLedgerWriter"]
