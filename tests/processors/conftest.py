"""The window that the seal's tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.processors.window import SealedWindow, sealed_window

# On a busy machine an example may take long and be right.
settings.register_profile("lorikeet", deadline=None, print_blob=True)
settings.load_profile("lorikeet")


@pytest.fixture(scope="session")
def window() -> SealedWindow:
    """Its rows, its offsets, and what it is sealed to: computed once."""
    return sealed_window()
