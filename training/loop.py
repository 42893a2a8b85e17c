"""The optimizer loop that every supervised method shares: it reads top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from schemas.errors import Code, Unrecoverable
from training.encode import Batch, Sample, batches, collate


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """One run of the loop. `betas` are AdamW's."""

    learning_rate: float
    batch_size: int
    steps: int
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    prompt_loss_weight: float
    seed: int
    betas: tuple[float, float] = (0.9, 0.98)


def steps_of(count: int, batch_size: int, epochs: float, max_steps: int | None) -> int:
    """Optimizer steps of so many epochs, at most `max_steps`."""
    steps = max(1, math.ceil(count * epochs / batch_size))
    return min(steps, max_steps) if max_steps else steps


def token_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Weighted mean cross entropy of the next token; logits only where there is any loss."""
    logits = model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
        logits_to_keep=batch.tail + 1 if batch.tail < batch.ids.shape[1] else 0,
    ).logits
    kept = logits.shape[1] - 1
    targets, weights = batch.ids[:, -kept:], batch.weights[:, -kept:]
    where = weights > 0
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1][where].float(), targets[where], reduction="none"
    )
    return (losses * weights[where]).sum() / weights[where].sum()


def run(
    model: Any,
    samples: Sequence[Sample],
    pad: int,
    settings: LoopSettings,
    report: Callable[..., None],
) -> dict[str, Any]:
    """Train; report every step; the summary. Raises Unrecoverable(NOT_FINITE) naming the step."""
    where = next(model.parameters()).device
    generator = torch.Generator().manual_seed(settings.seed)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trainable,
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, settings))
    model.train()
    losses: list[float] = []
    tokens, started = 0, time.monotonic()
    rounds: Iterable[list[Sample]] = batches(
        samples, settings.batch_size, settings.steps, generator
    )
    for step, rows in enumerate(rounds):
        batch = collate(rows, pad, settings.prompt_loss_weight, where)
        loss = token_loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(trainable, settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise Unrecoverable(Code.NOT_FINITE, f"loss at step {step}")
        tokens += int(batch.mask.sum())
        report(
            step=step + 1,
            steps=settings.steps,
            loss=round(losses[-1], 6),
            learning_rate=schedule.get_last_lr()[0],
            grad_norm=round(float(norm), 6),
            tokens_per_second=round(tokens / (time.monotonic() - started), 1),
            **_gpu(where),
        )
    return {
        "steps": settings.steps,
        "tokens": tokens,
        "first_loss": losses[0],
        "last_loss": sum(losses[-10:]) / len(losses[-10:]),
        "losses": [round(value, 6) for value in losses[:10]],
    }


def _rate(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then linear decay to zero."""
    warm = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    return warm * (1.0 - step / settings.steps)


def _gpu(where: torch.device) -> dict[str, Any]:
    if where.type != "cuda":
        return {}
    return {"gpu_memory_bytes": torch.cuda.max_memory_allocated(where)}
