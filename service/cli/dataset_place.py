"""Which dataset a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.options import whole

if TYPE_CHECKING:
    from service.wiring import Wiring

Digest = Annotated[str, typer.Argument(help="The dataset's digest, or the start of it.")]


def whole_digest(wiring: Wiring, beginning: str) -> str:
    """The digest that begins so. Raises Unrecoverable(NO_SUCH_DATASET) for none or several."""
    from stores.control import registry  # noqa: PLC0415

    known = {d["digest"] for d in wiring.database.read(registry.dataset_list)}
    found = whole(beginning, known)
    if found is None:
        matching = sum(digest.startswith(beginning) for digest in known)
        detail = f"{beginning} is the start of {matching}" if matching else beginning
        raise Unrecoverable(Code.NO_SUCH_DATASET, detail)
    return found
