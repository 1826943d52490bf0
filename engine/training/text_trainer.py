"""trl's trainer of text with a loss that costs less, and figures that are asked for only when they are told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import nn
from transformers.trainer_utils import speed_metrics
from trl.trainer.sft_trainer import SFTTrainer

from engine.training.compiled import CompiledLayers
from engine.training.plainly import row_lengths
from engine.training.sampling import equal_cost_batches
from engine.training.text_loss import TextLoss, plain_head, text_loss


class TextTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """SFTTrainer whose loss is engine/training/text_loss.py where the model allows it.

    trl reads entropy, accuracy and tokens off the device at every batch, and a card would wait for each; here they stay on it
    until they are told. On a card trl's own kernel takes the learnt places only, and stays. What trl does for several processes
    and for mixtures of experts is left to trl.

    Attributes:
        compiles: Whether the layers are compiled while a step trains.
    """

    compiles = False

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of a batch whose gradients were made."""
        with self._layers.at_work() if self.compiles else nullcontext():
            loss: torch.Tensor = super().training_step(*args, **kwargs)
        return loss

    @cached_property
    def _layers(self) -> CompiledLayers:
        return CompiledLayers(self.accelerator.unwrap_model(self.model))

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss of the tokens that are learnt, over all batches of the step."""
        if return_outputs or self._is_left_to_trl:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        found = self._text_loss(model, inputs)
        places = self._note(found, "train" if model.training else "eval")
        return found.total / (places if num_items_in_batch is None else num_items_in_batch)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return the loss of the held-out rows, in which every token counts the same, whatever batch it stands in.

        transformers gives the mean of the batches' means: a short row of a batch of short rows then weighs more than one among long
        rows, and other batches are another loss. Here rows stand beside rows of their length, so that little is padded.
        """
        rows: Any = self.eval_dataset
        model: Any = self.model
        if self._is_left_to_trl or eval_dataset is not None or not rows:
            return dict(super().evaluate(eval_dataset, ignore_keys, metric_key_prefix))
        began, found = time.time(), None
        model.eval()
        for batch in self._held_out_batches:
            inputs = self._prepare_inputs(self.data_collator([rows[row] for row in batch]))
            with torch.no_grad(), self.compute_loss_context_manager():
                of_batch = self._text_loss(model, inputs)
            found = found + of_batch if found else of_batch
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        assert found is not None  # there is a row
        metrics = {"eval_loss": float(found.total / self._note(found, "eval"))}
        metrics |= speed_metrics("eval", began, num_samples=len(rows), num_steps=len(self._held_out_batches))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @cached_property
    def _held_out_batches(self) -> list[list[int]]:
        lengths = row_lengths(self.eval_dataset) or []
        return equal_cost_batches(range(len(lengths)), lengths, self.args.eval_batch_size)

    @property
    def _is_left_to_trl(self) -> bool:
        return bool(self.aux_loss_enabled) or self.accelerator.num_processes > 1

    def _text_loss(self, model: nn.Module, inputs: Mapping[str, Any]) -> TextLoss:
        return self._by_own_head(model, inputs) or _by_fused_head(model, inputs)

    def _note(self, found: TextLoss, when: str) -> int | torch.Tensor:
        """Keep what is told beside the loss until it is told, and return the learnt places, at least 1."""
        places = max(1, found.places) if isinstance(found.places, int) else found.places.clamp(min=1)
        self._metrics[when]["mean_token_accuracy"].append(found.right / places)
        self._metrics[when]["entropy"].append(found.entropy / places)
        return places

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
