"""What the commands on dead letters share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.options import quiet_kafka

if TYPE_CHECKING:
    from consumers.letter_box import LetterBox
    from producers.connection import KafkaConnection
    from service.settings import Settings
    from stores.artifacts.objects import ObjectFolder

CodeOption = Annotated[
    str | None, typer.Option("--code", help="Dead letters of this error code only, e.g. E7006.")
]


class LetterPlace:
    """What the commands need of an installation; folders are opened when something lies there."""

    def __init__(self, settings: Settings) -> None:
        quiet_kafka()
        self.settings = settings

    @cached_property
    def box(self) -> LetterBox:
        """Reads the dead letters."""
        from consumers.letter_box import LetterBox  # noqa: PLC0415

        return LetterBox(self.connection, self.settings.kafka.prefix)

    @cached_property
    def connection(self) -> KafkaConnection:
        """Raises Unrecoverable(NO_BROKER) if none is configured."""
        from producers.connection import KafkaConnection  # noqa: PLC0415

        return KafkaConnection.of(self.settings.kafka)

    def objects(self) -> ObjectFolder:
        """Where payloads lie that their topic refused."""
        from stores.artifacts.objects import ObjectFolder  # noqa: PLC0415

        return ObjectFolder(self.settings.places.objects)


def require_code(code: str | None) -> None:
    """Raises Unrecoverable(BAD_OPTION) for a code that does not exist."""
    if code is not None and code not in {one.number for one in Code}:
        detail, remedy = f"--code {code}: there is no such error code", "see docs/errors.md"
        raise Unrecoverable(Code.BAD_OPTION, detail, remedy=remedy)
