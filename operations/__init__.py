"""Verbs that load, decide and save: one use case a file. Everything that happens is one of these."""
