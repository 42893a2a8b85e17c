"""A tiny causal language model made on the spot, for demonstrations and tests.

Random weights, a BPE tokenizer trained on the corpus, and a few hundred steps of pre-training on its
conversations. Real weights in the Hugging Face format; the same seed gives the same model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from schemas.chat import answer_text
from schemas.jobs import TinySettings
from training import loop
from training.encode import encode

if TYPE_CHECKING:
    from training.job import JobFolder

_PAD, _UNKNOWN, _END = "<pad>", "<unk>", "</s>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
_TEMPLATE = (
    "{% for turn in messages %}<|{{ turn.role }}|>"
    "{% if turn.tool_calls %}{% for call in turn.tool_calls %}"
    "{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}"
    "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}{% else %}{{ turn.content }}{% endif %}"
    "{% if turn.role == 'assistant' %}" + _END + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_base(job: JobFolder) -> dict[str, Any]:
    """Train the tokenizer and the model on `dataset/corpus.jsonl`; write `base/`."""
    corpus = list(job.lines("corpus.jsonl"))
    settings = job.spec.tiny
    torch.manual_seed(job.spec.seed)
    tokenizer = _tokenizer(corpus, settings)
    model = LlamaForCausalLM(_config(len(tokenizer), settings))
    encoded = encode(
        tokenizer,
        corpus,
        settings.max_positions,
        reserve=job.spec.max_new_tokens,
        targets=settings.targets,
    )
    summary = loop.run(
        model,
        encoded.sequences,
        int(tokenizer.pad_token_id),
        loop.LoopSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            steps=settings.steps,
            warmup_steps=10,
            weight_decay=0.01,
            max_grad_norm=1.0,
            prompt_loss_weight=settings.prompt_loss_weight,
            seed=job.spec.seed,
        ),
        job.progress,
    )
    folder = job.attempt / "base"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {**summary, "parameters": sum(p.numel() for p in model.parameters())}


def _config(vocabulary: int, settings: TinySettings) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        intermediate_size=2 * settings.hidden,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        vocab_size=vocabulary,
        max_position_embeddings=settings.max_positions,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )


def _tokenizer(corpus: list[dict[str, Any]], settings: TinySettings) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        special_tokens=[_PAD, _UNKNOWN, _END, *_ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        answer_text(turn) if turn["role"] == "assistant" else str(turn["content"])
        for example in corpus
        for turn in example["messages"]
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in settings.frame_tokens])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, unk_token=_UNKNOWN, eos_token=_END
    )
    fast.chat_template = _TEMPLATE
    fast.padding_side = "left"
    return fast
