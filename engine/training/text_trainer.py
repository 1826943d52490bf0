"""trl's trainer of text with a loss that costs less, and figures that are asked for only when they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from trl.trainer.sft_trainer import SFTTrainer

from engine.training.text_loss import TextLoss, plain_head, text_loss


class TextTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """SFTTrainer whose loss is engine/training/text_loss.py where the model allows it.

    trl reads entropy, accuracy and tokens off the device at every batch, and a card would wait for each; here they stay on it
    until they are told. On a card trl's own kernel takes the learnt places only, and stays. What trl does for several processes
    and for mixtures of experts is left to trl.
    """

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss of the tokens that are learnt, over all batches of the step."""
        if return_outputs or self.aux_loss_enabled or self.accelerator.num_processes > 1:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        found = self._by_own_head(model, inputs) or _by_fused_head(model, inputs)
        figures = self._metrics["train" if model.training else "eval"]
        places = max(1, found.places) if isinstance(found.places, int) else found.places.clamp(min=1)
        figures["mean_token_accuracy"].append(found.right / places)
        figures["entropy"].append(found.entropy / places)
        return found.total / (places if num_items_in_batch is None else num_items_in_batch)

    def _by_own_head(self, model: nn.Module, inputs: Mapping[str, Any]) -> TextLoss | None:
        unwrapped = self.accelerator.unwrap_model(model)
        head = None if self.args.device.type == "cuda" else plain_head(unwrapped, unwrapped.config)
        if head is None:
            return None
        with self.accelerator.autocast():
            return text_loss(model, head, inputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell the figures: only now are they read off the device."""
        for values in self._metrics.values():
            for name, kept in values.items():
                values[name] = [float(value) for value in kept]
        super().log(logs, start_time)


def _by_fused_head(model: nn.Module, inputs: Mapping[str, Any]) -> TextLoss:
    outputs = model(**{**inputs, "use_cache": False}, fused_lm_head=True)
    with torch.no_grad():
        right, entropy = outputs.is_top1.sum(), outputs.entropy.sum()
    return TextLoss(-outputs.log_probs.sum(), outputs.label_mask.sum(), right, entropy)
