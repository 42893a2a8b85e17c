"""`python -m serving.reference --base DIR --model NAME --port N`: serve until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main() -> int:
    """Load the base and serve it."""
    parser = argparse.ArgumentParser(prog="python -m serving.reference", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--model", required=True, help="the name under which it is served")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateway-id", default="reference-0")
    parser.add_argument("--bootstrap", help="Kafka, for shadow executions and gateway.adapter")
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument(
        "--no-lora-updates", action="store_true", help="refuse to load adapters, as vLLM can"
    )
    options = parser.parse_args()
    if not (options.base / "config.json").exists():
        print(f"E7406 {options.base} holds no base model", file=sys.stderr)  # noqa: T201
        return 2

    import torch  # noqa: PLC0415 - arguments first, then heavy imports
    import uvicorn  # noqa: PLC0415

    from serving.reference.app import build_app  # noqa: PLC0415
    from serving.reference.engine import Engine  # noqa: PLC0415
    from serving.reference.events import GatewayEvents  # noqa: PLC0415
    from serving.reference.gateway import ReferenceGateway  # noqa: PLC0415

    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    gateway = ReferenceGateway(
        Engine(options.base),
        options.tenant,
        options.model,
        GatewayEvents(options.bootstrap, options.gateway_id, options.topic_prefix),
        lora_updates=not options.no_lora_updates,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    uvicorn.run(
        build_app(gateway),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
