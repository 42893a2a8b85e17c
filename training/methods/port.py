"""What every method is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.job import JobFolder


class Method(Protocol):
    """Turns a base model and a sealed dataset into an adapter.

    Returns the model with the trained adapter on it and a summary for `result.json`. The same job on
    the same machine gives the same weights.
    """

    def __call__(
        self, job: JobFolder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
    ) -> tuple[Any, dict[str, Any]]:
        """Train."""
