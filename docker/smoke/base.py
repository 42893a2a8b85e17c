#!/usr/bin/env python3
"""`python base.py FOLDER`: make the demonstration's base model there, unless it is there already."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from service.demo.base import make_base


def main(target: Path) -> None:
    """Pre-train for about a minute. Raises Unrecoverable(TRAINING_FAILED)."""
    if (target / "config.json").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(make_base(0, Path(folder), lambda _step: None), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
