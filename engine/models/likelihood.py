"""How likely a model finds texts: the mean loss of each, without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.tokenization import Encoded

ROWS_AT_ONCE = 4  # logits of a long text are large


def mean_losses(
    model: PreTrainedModel | PeftModel,
    rows: Sequence[Encoded],
    tokenizer: PreTrainedTokenizerBase,
    *,
    most_tokens: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[float]:
    """Yield the mean loss of each row's trained tokens, in nats, in the order of the rows; nothing more once stopped.

    Args:
        model: Asked as it is.
        rows: Encoded texts; tokens beyond `most_tokens` are cut off.
        tokenizer: Says what padding is.
        most_tokens: What the model can read.
        stopped: Asked before each few rows.
    """
    padding = int(tokenizer.pad_token_id or 0)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        if stopped():
            return
        part = [(row.token_ids[:most_tokens], row.trained[:most_tokens]) for row in rows[start : start + ROWS_AT_ONCE]]
        longest = max(len(ids) for ids, _ in part)
        ids = torch.tensor([[*ids, *[padding] * (longest - len(ids))] for ids, _ in part], device=model.device)
        read = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in part], device=model.device)
        counted = torch.tensor(
            [[*map(bool, trained), *[False] * (longest - len(trained))] for _, trained in part], device=model.device
        )
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=read).logits[:, -longest:]  # (B, T, V), without virtual tokens
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        ).view(len(part), longest - 1)
        wanted = counted[:, 1:]
        yield from ((losses * wanted).sum(1) / wanted.sum(1).clamp(min=1)).tolist()
