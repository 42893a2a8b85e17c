"""Migrating the control database forward, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from schemas.errors import Code, Unrecoverable


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration: the migrations beside this file, on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """To the newest revision. Raises Unrecoverable(DB_NEWER) for one that this Lorikeet does not know."""
    config = alembic_config(connection)
    if inspect(connection).has_table("alembic_version"):
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        try:
            ScriptDirectory.from_config(config).get_revision(current or "")
        except CommandError:
            raise Unrecoverable(Code.DB_NEWER, f"revision {current}") from None
    command.upgrade(config, "head")
