"""The loss of a batch of text, worked out only at the places where something is learnt.

trl's fused head (trl 1.16, trainer/utils.py) takes all places of a batch on a processor, questions and padding included,
computes the logits twice, and their gradients in float32 whatever the rest is computed in. Here the model's last hidden numbers
are caught before its head, the places with a label are picked out, and loss and gradient are made together, a part at a
time, so that the logits of a batch are never in memory whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig

from engine.training.stages import BENDS_LOGITS

IGNORED = -100
"""torch's cross entropy passes over this label."""

LOGITS_AT_ONCE = 2**23
"""32 MB in float32: few enough to stay small beside the rest of a step, many enough for large products of matrices."""


@dataclass(frozen=True)
class TextLoss:
    """A loss with what is shown beside it, all still on the device.

    Attributes:
        total: The sum over the places that carry loss.
        places: How many these are.
        right: At how many the model's first choice was the right token.
        entropy: The sum of the entropies, in nats.
    """

    total: torch.Tensor
    places: int | torch.Tensor
    right: torch.Tensor
    entropy: torch.Tensor

    def __add__(self, other: TextLoss) -> TextLoss:
        """Return the figures of both batches together."""
        return TextLoss(
            self.total + other.total, self.places + other.places, self.right + other.right, self.entropy + other.entropy
        )


def plain_head(model: nn.Module, config: PretrainedConfig) -> nn.Linear | None:
    """Return the head when logits are what it gives and nothing more; None when trl has to compute them."""
    get_head: Any = getattr(model, "get_output_embeddings", None)
    head = get_head() if get_head else None
    bends = any(getattr(config.get_text_config(), name, None) not in (None, 1, 1.0) for name in BENDS_LOGITS)
    return head if type(head) is nn.Linear and not bends else None


def text_loss(model: nn.Module, head: nn.Linear, inputs: Mapping[str, Any]) -> TextLoss | None:
    """Return the loss of a batch; None when the model does not send its hidden numbers through the head.

    Args:
        model: Called without labels; it computes in what the caller's autocast says.
        head: Its head, as `plain_head` found it.
        inputs: The batch, with `labels` (B, T).
    """
    caught: list[torch.Tensor] = []

    def catch(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        caught.append(given[0])
        return (given[0][:, :0],)  # the model's own logits are those of no place at all

    hook = head.register_forward_pre_hook(catch)
    try:
        model(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)
    finally:
        hook.remove()
    if len(caught) != 1 or caught[0].dim() != 3:
        return None
    hidden, labels = caught[0], inputs["labels"]
    before = hidden.shape[1] - labels.shape[1]  # virtual tokens of a trained prompt stand before the text
    targets = functional.pad(labels, (before, 0), value=IGNORED)[:, 1:]
    learnt = targets != IGNORED
    picked = hidden[:, :-1][learnt]  # (N, H)
    total, right, entropy = _Learnt.apply(picked, targets[learnt], head.weight, head.bias)
    return TextLoss(total, picked.shape[0], right, entropy)


class _Learnt(torch.autograd.Function):
    """Cross entropy of a linear head, its gradient made in the same pass.

    Source: Hsu et al. 2024, arXiv:2410.10989, section 3.2 (fused linear cross entropy).
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        kind = hidden.device.type
        size = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        moved, cast = hidden.detach().to(size), weight.detach().to(size)
        sums = torch.zeros(
            3, dtype=torch.float64 if kind == "cpu" else torch.float32, device=hidden.device
        )  # loss, right ones, entropy
        grads = [torch.empty_like(moved) if hidden.requires_grad else None,
                 torch.zeros_like(weight, dtype=torch.float32) if weight.requires_grad else None]  # fmt: skip
        rows = max(1, LOGITS_AT_ONCE // weight.shape[0])
        for start in range(0, moved.shape[0], rows):
            part = slice(start, start + rows)
            logits = functional.linear(moved[part], cast, None if bias is None else bias.to(size)).float()
            wrong_by = _fold(logits, targets[part], sums)
            if grads[0] is not None:
                torch.mm(wrong_by.to(size), cast, out=grads[0][part])
            if grads[1] is not None:
                grads[1] += torch.mm(wrong_by.to(size).t(), moved[part]).float()
        ctx.save_for_backward(*grads)
        ctx.dtypes = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(right := sums[1], entropy := sums[2])
        return sums[0].float(), right, entropy

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        of_hidden, of_weight = ctx.saved_tensors
        hidden_dtype, weight_dtype = ctx.dtypes
        return (
            None if of_hidden is None else (of_hidden * grad).to(hidden_dtype), None,
            None if of_weight is None else (of_weight * grad).to(weight_dtype), None,
        )  # fmt: skip


def _fold(logits: torch.Tensor, targets: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    """Add up the figures of a part, and return the gradient of its loss by the logits (n, V), in their place."""
    place = targets.unsqueeze(1)
    aimed = logits.gather(1, place)
    most, first = logits.max(dim=1, keepdim=True)
    sums[1] += (first == place).sum()
    logits -= most
    aimed = aimed - most
    weighed = torch.exp(logits)
    whole = weighed.sum(dim=1, keepdim=True)
    sums[0] += (torch.log(whole) - aimed).sum()
    logits *= weighed
    sums[2] += (torch.log(whole) - logits.sum(dim=1, keepdim=True) / whole).sum()
    weighed /= whole
    weighed.scatter_add_(1, place, torch.full_like(aimed, -1.0))
    return weighed
