"""What the worker needs of a place that runs a job folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Run(Protocol):
    """One attempt under way."""

    def running(self) -> bool:
        """Whether it has not ended."""

    def cancel(self) -> None:
        """End it, children included; returns when it is gone."""

    def log(self) -> str:
        """The end of what it printed."""


class Launcher(Protocol):
    """Starts the training program on a job folder. The folder is the whole interface."""

    def launch(self, folder: Path, epoch: int) -> Run:
        """Start an attempt. Its outcome is `result.json`, not an exit code."""
