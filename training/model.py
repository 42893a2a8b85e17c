"""Loading a base model and putting adapters on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from schemas.digests import folder_digests, manifest_digest
from schemas.errors import Code, Unrecoverable
from schemas.jobs import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_base(folder: str, digest: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The base model and its tokenizer, padded on the left, bf16 on a GPU.

    Raises Unrecoverable(NO_BASE) if the folder is not the base that the digest names.
    """
    path = Path(folder)
    if not (path / "config.json").exists():
        raise Unrecoverable(Code.NO_BASE, f"{path} has no config.json")
    found = manifest_digest(folder_digests(path))
    if digest and found != digest:
        raise Unrecoverable(Code.NO_BASE, f"{path} has digest {found[:12]}, not {digest[:12]}")
    where = device()
    kind = torch.bfloat16 if where.type == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=kind, local_files_only=True, use_safetensors=True
    ).to(where)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def add_lora(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """A fresh LoRA adapter on the frozen base."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=int(settings.alpha),
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def save_adapter(model: PeftModel, folder: Path, base_digest: str) -> None:
    """The adapter as safetensors, its base named by digest; every weight finite.

    Raises Unrecoverable(NOT_FINITE).
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not torch.isfinite(parameter).all():
            raise Unrecoverable(Code.NOT_FINITE, name)
    config: Any = model.peft_config["default"]
    config.base_model_name_or_path = f"sha256:{base_digest}"
    model.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ADAPTER_FILES:
            path.unlink()
    _order_config(folder / ADAPTER_FILES[0])


def _order_config(path: Path) -> None:
    """The same adapter has the same bytes: peft writes its sets in a random order."""
    config = json.loads(path.read_text())
    for name, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[name] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_adapters(model: PreTrainedModel, adapters: dict[str, str]) -> Any:
    """The base with named adapters on it; safetensors only.

    Raises Unrecoverable(NOT_SAFETENSORS or BAD_ADAPTER).
    """
    loaded: Any = model
    for name, folder in adapters.items():
        if not (Path(folder) / ADAPTER_FILES[1]).exists():
            raise Unrecoverable(Code.NOT_SAFETENSORS, folder)
        try:
            if isinstance(loaded, PeftModel):
                loaded.load_adapter(folder, adapter_name=name)
            else:
                loaded = PeftModel.from_pretrained(loaded, folder, adapter_name=name)
        except (ValueError, RuntimeError, KeyError) as error:
            raise Unrecoverable(Code.BAD_ADAPTER, f"{folder}: {error}") from error
    return loaded.eval()
