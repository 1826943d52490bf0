"""Models that give numbers instead of text: what a head says of rows of tokens, and how that is told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.models.tuned import Recipe
from engine.types import Objective

BATCH_ROWS = 32


def head_outputs(
    model: PreTrainedModel | PeftModel, token_ids: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase
) -> list[list[float]]:
    """Return, for each row of tokens, what the head says: (rows, outputs), in the order of the rows."""
    padding = cast(int, tokenizer.pad_token_id)
    model.config.pad_token_id = padding
    outputs: list[list[float]] = []
    with torch.inference_mode():
        for start in range(0, len(token_ids), BATCH_ROWS):
            part = token_ids[start : start + BATCH_ROWS]
            longest = max(map(len, part))
            rows = [[*ids, *[padding] * (longest - len(ids))] for ids in part]
            mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in part]
            found = model(
                input_ids=torch.tensor(rows, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
            )
            outputs += found.logits.float().tolist()
    return outputs


def said_of(scores: Sequence[float], recipe: Recipe, *, brief: bool = False) -> str:
    """Return what a head said in words: the label with how sure it is, or the reward of the answer beside it.

    Args:
        scores: Of one row.
        recipe: Says what the outputs mean.
        brief: Whether only the label, or only the number, is wanted.
    """
    if recipe.objective is Objective.REWARD:
        return f"{scores[0]:+.2f}" if brief else f"Reward {scores[0]:+.2f} for the base's answer to this question."
    shares = torch.softmax(torch.tensor(list(scores)), dim=0).tolist()
    ordered = sorted(zip(shares, recipe.outputs, strict=True), reverse=True)
    if brief:
        return ordered[0][1]
    others = ", ".join(f"{label} {share:.0%}" for share, label in ordered[1:4])
    return f"{ordered[0][1]} ({ordered[0][0]:.0%})" + (f"\n\nThen: {others}" if others else "")
