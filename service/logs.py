"""Structured logs: one JSON object a line, or coloured text on a terminal. Levels are set here only."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, process: str, debug: bool = False) -> None:
    """Set up logging of this process on standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    )
    level = logging.DEBUG if debug else logging.INFO
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=renderer, foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name]
        )
    )
    # A new cluster has no group coordinator for a moment, and aiokafka calls that an error.
    handler.addFilter(lambda record: "GroupCoordinatorNotAvailable" not in record.getMessage())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
