"""The demonstration's own settings: small enough for two CPU cores, the same code and error budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from service.broker import free_port
from service.settings import Settings, load

MODEL = "support-desk"
TENANT = "default"


def write_settings(data: Path, bootstrap: str, base: Path, gateway: str) -> tuple[Settings, Path]:
    """Write `lorikeet.yaml` into the data folder; the settings and the file."""
    path = data / "lorikeet.yaml"
    path.write_text(yaml.safe_dump(_tree(data, bootstrap, base, gateway), sort_keys=False))
    return load(path), path


def _tree(data: Path, bootstrap: str, base: Path, gateway: str) -> dict[str, Any]:
    return {
        "data": str(data),
        "kafka": {"bootstrap": bootstrap},
        "ingest": {"flush_seconds": 0.3},
        "control": {"consider_seconds": 0.5, "rollout_seconds": 0.4, "relay_seconds": 0.3},
        "api": {"port": free_port()},
        "metrics": {"ingest": free_port(), "control": free_port(), "worker": free_port()},
        "worker": {"threads": 1, "poll_seconds": 0.2},
        "models": [
            {
                "name": MODEL,
                "tenant": TENANT,
                "base": str(base),
                "gateways": [gateway],
                "max_new_tokens": 96,
                "thresholds": {
                    "new_examples": 1_000_000,
                    "min_new_examples": 650,
                    "failure_rate": 0.4,
                    "failure_window_seconds": 20,
                    "failure_min_executions": 100,
                    "cooldown_seconds": 3_600,
                },
                "recipe": {"min_examples": 150, "golden_size": 60, "max_own_share": 0.2},
                "sft": {
                    "lora": {
                        "rank": 16,
                        "alpha": 32,
                        "dropout": 0.0,
                        "target_modules": [
                            "q_proj",
                            "k_proj",
                            "v_proj",
                            "o_proj",
                            "gate_proj",
                            "up_proj",
                            "down_proj",
                        ],
                    },
                    "learning_rate": 0.005,
                    "batch_size": 8,
                    "epochs": 10,
                    "max_length": 256,
                },
                "validation": {"min_cases": 40, "min_pass": 0.8},
                "rollout": {
                    "name": "demo",
                    "auto_promote": True,
                    "shadow_share": 0.5,
                    "shadow_min": 40,
                    "steps": [0.2, 0.5],
                    "step_min": 75,
                    "promote_min": 150,
                    "max_hours": 0.25,
                    "converge_seconds": 8,
                },
            }
        ],
    }
