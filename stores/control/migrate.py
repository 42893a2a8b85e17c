"""Migrating the control database forward, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from schemas.errors import Code, Unrecoverable


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration: the migrations beside this file, on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, current: str | None) -> None:
    """From the `current` revision, None for an empty database, to the newest one.

    Raises Unrecoverable(DB_NEWER) for a revision that this Lorikeet does not know.
    """
    config = alembic_config(connection)
    if current is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(current)
        except CommandError:
            raise Unrecoverable(Code.DB_NEWER, f"revision {current}") from None
    command.upgrade(config, "head")
