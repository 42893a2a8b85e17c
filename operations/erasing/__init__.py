"""Taking data back: rows, golden sets, datasets, adapters, and a certificate of it."""
