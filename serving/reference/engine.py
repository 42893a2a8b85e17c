"""The model of the reference gateway: one base, named adapters, greedy answers in batches.

Everything here runs in one thread, so loading an adapter never disturbs an answer being written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from schemas.chat import template_turn
from schemas.digests import folder_digests, manifest_digest

BASE = ""
"""The name under which the model without an adapter is asked for."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer: its text, its tokens with their log-probabilities, and the prompt's length."""

    text: str
    tokens: list[str]
    logprobs: list[float]
    prompt_tokens: int


class Engine:
    """A base model and the adapters that are loaded on it."""

    def __init__(self, base: Path) -> None:
        """Load the base; safetensors only."""
        self.base_digest = manifest_digest(folder_digests(base))
        self.digests: dict[str, str] = {}
        self._tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        where = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, use_safetensors=True
        )
        self._model = self._model.to(where).eval()

    def load(self, name: str, folder: Path) -> str:
        """Load an adapter under a new name; the digest of its files. Raises ValueError."""
        if name in self.digests:
            raise ValueError(f"the adapter {name} has already been loaded")
        if not (folder / "adapter_model.safetensors").exists():
            raise ValueError(f"{folder} holds no safetensors adapter")
        if isinstance(self._model, PeftModel):
            self._model.load_adapter(folder, adapter_name=name)
        else:
            self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=name)
        self._model.eval()
        self.digests[name] = manifest_digest(folder_digests(folder))
        return self.digests[name]

    def unload(self, name: str) -> None:
        """Forget an adapter. Raises ValueError if there is none of that name."""
        if self.digests.pop(name, None) is None:
            raise ValueError(f"the adapter {name} cannot be found")
        self._model.delete_adapter(name)
        if self.digests:
            self._model.set_adapter(next(iter(self.digests)))
        else:  # peft cannot be without any adapter: take it off
            self._model = self._model.unload()

    def prompt(self, messages: Sequence[dict[str, Any]], tools: Sequence[Any]) -> list[int]:
        """Token ids of a conversation that asks for an answer."""
        text = self._tokenizer.apply_chat_template(
            [template_turn(turn) for turn in messages],
            tools=list(tools) or None,
            tokenize=False,
            add_generation_prompt=True,
        )
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def room(self, prompt: Sequence[int]) -> int:
        """How many tokens can follow a prompt."""
        return int(self._model.config.max_position_embeddings) - len(prompt)

    @torch.no_grad()
    def answer(self, adapter: str, prompts: Sequence[list[int]], limit: int) -> list[Written]:
        """Greedy answers of one adapter to a batch of prompts."""
        if isinstance(self._model, PeftModel) and adapter == BASE:
            with self._model.disable_adapter():
                return self._generate(prompts, limit)
        if adapter != BASE:
            self._model.set_adapter(adapter)
        return self._generate(prompts, limit)

    def _generate(self, prompts: Sequence[list[int]], limit: int) -> list[Written]:
        padded = self._tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt")
        result = self._model.generate(
            **padded.to(self._model.device),
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=self._tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_logits=True,
        )
        written = result.sequences[:, padded["input_ids"].shape[1] :]
        scores = torch.stack(result.logits, dim=1).float().log_softmax(-1)
        chosen = scores.gather(-1, written.unsqueeze(-1)).squeeze(-1)
        end = self._tokenizer.eos_token_id
        answers = []
        for prompt, tokens, logprobs in zip(
            prompts, written.tolist(), chosen.tolist(), strict=True
        ):
            kept = tokens[: tokens.index(end) + 1] if end in tokens else tokens
            answers.append(
                Written(
                    text=str(self._tokenizer.decode(kept, skip_special_tokens=True)),
                    tokens=self._tokenizer.convert_ids_to_tokens(kept),
                    logprobs=logprobs[: len(kept)],
                    prompt_tokens=len(prompt),
                )
            )
        return answers
