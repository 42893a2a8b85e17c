"""From one event to one row: extract, redact, label, score, decide."""
