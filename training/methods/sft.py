"""Supervised fine-tuning with LoRA: cross entropy on the answers, each example by its weight.

LoRA: Hu et al. 2021 (arXiv:2106.09685), through peft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.errors import Code, Unrecoverable
from training import loop
from training.data import read_split
from training.encode import encode
from training.model import add_lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.job import JobFolder


def sft(
    job: JobFolder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> tuple[Any, dict[str, Any]]:
    """See `Method`. Longer examples lose their oldest prompt tokens, counted in the summary."""
    settings = job.spec.sft
    examples = read_split(job.dataset, "train")
    encoded = encode(
        tokenizer,
        examples,
        settings.max_length,
        reserve=job.spec.max_new_tokens,
        targets=settings.targets,
    )
    if not encoded.sequences:
        raise Unrecoverable(Code.DATASET_TOO_SMALL, "no trainable sequence")
    adapted = add_lora(model, settings.lora)
    steps = loop.steps_of(
        len(encoded.sequences), settings.batch_size, settings.epochs, settings.max_steps
    )
    summary = loop.run(
        adapted,
        encoded.sequences,
        int(tokenizer.pad_token_id),
        loop.LoopSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            steps=steps,
            warmup_steps=settings.warmup_steps,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            prompt_loss_weight=settings.prompt_loss_weight,
            seed=job.spec.seed,
        ),
        job.progress,
    )
    total = sum(p.numel() for p in adapted.parameters())
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    counted = {
        "sequences": len(encoded.sequences),
        "shortened": encoded.shortened,
        "dropped": encoded.dropped,
        "trainable_share": trained / total,
    }
    return adapted, {**summary, **counted}
