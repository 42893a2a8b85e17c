"""The command line. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from schemas.errors import Code, Halted, LorikeetError, NotReady, Unrecoverable
from service.cli import (
    config,
    datasets,
    demo,
    dev,
    domains,
    importing,
    ledger,
    letters,
    look,
    models,
    rollouts,
    run,
)

app = typer.Typer(
    name="lorikeet",
    help="The learning layer for LLM agents: Kafka events in, a better LoRA adapter out.",
    epilog="--debug, with any command, shows tracebacks and logs more.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.add_to(app)
run.add_to(app)
importing.add_to(app)
look.add_to(app)
datasets.add_to(app)
domains.add_to(app)
ledger.add_to(app)
letters.add_to(app)
models.add_to(app)
rollouts.add_to(app)
dev.add_to(app)
config.add_to(app)

_USER_ERROR, _HALTED = 2, 3


def main() -> NoReturn:
    """Run a command; an error that a user can mend is one line and exit code 2."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if debug:
        os.environ["LORIKEET_DEBUG"] = "1"
    try:
        _require_text(sys.argv[1:])
        app()
    except LorikeetError as error:
        if debug:
            raise
        print(f"lorikeet: {error}", file=sys.stderr)  # noqa: T201 - this is the command line
        sys.exit(_exit_code(error))
    sys.exit(0)


def _require_text(arguments: Sequence[str]) -> None:
    """Raises Unrecoverable(BAD_OPTION) for bytes that are not UTF-8: nothing could store or print them."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            detail = f"{argument!a} is not UTF-8"
            raise Unrecoverable(Code.BAD_OPTION, detail) from None


def _exit_code(error: LorikeetError) -> int:
    """2 for a person, 3 from a guard; a supervisor is told by 75 that trying again may do."""
    from service.supervise import SUPERVISED  # noqa: PLC0415

    if isinstance(error, Halted):
        return _HALTED
    again = isinstance(error, NotReady) and SUPERVISED in os.environ
    return os.EX_TEMPFAIL if again else _USER_ERROR
