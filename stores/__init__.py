"""Memory between events: the ledger, sealed datasets, artifacts, and the control database."""
