"""Hypothesis without a deadline: on a busy machine an example may take long and be right."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lorikeet", deadline=None, print_blob=True)
settings.load_profile("lorikeet")
