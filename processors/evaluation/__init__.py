"""Graders, validation stages and their verdicts."""
