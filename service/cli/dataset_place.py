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

    every = {d["digest"]: d for d in wiring.database.read(registry.dataset_list)}
    found = whole(beginning, every)
    if found is None:
        matching = sum(digest.startswith(beginning) for digest in every)
        detail = f"{beginning!r} is the start of {matching}" if matching else beginning
        raise Unrecoverable(Code.NO_SUCH_DATASET, detail)
    if (erasure := every[found]["erased_by"]) is not None:
        detail = f"{found} was withdrawn by erasure {erasure}"
        remedy = f"its successor is {every[found]['successor'] or 'none'}"
        raise Unrecoverable(Code.NO_SUCH_DATASET, detail, remedy=remedy)
    return found
