"""From an objective to the trainer that pursues it: one row an objective.

Rows arrive tokenised by `engine.data.training_rows`, over the one chat format that decides what the model sees and where the loss
lies; the trainers only pad them. What the trainers are told stands in arguments.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset as Table
from peft import PeftConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import (
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.sft_config import SFTConfig

from engine.models.tuned import Recipe
from engine.training.arguments import own_arguments, shared_arguments
from engine.training.classification import label_figures
from engine.training.compiled import can_compile
from engine.training.plainly import plainly
from engine.training.stages import WHERE_IT_SAVES, Stage, compiles, number
from engine.training.text_trainer import TextTrainer
from engine.types import Objective, TrainingPlan, TuningMethod

Row = Mapping[str, Sequence[int]]
RewardCall = Callable[..., list[float]]
"""What trl calls with `prompts`, `completions`, `completion_ids` and the rows' other columns, one value for each answer."""


@dataclass(frozen=True)
class TrainerParts:
    """What a trainer is made of.

    Attributes:
        stage: The part of the plan that it trains.
        output_directory: Where it may write what is not sealed yet.
        rows: Training rows, as `engine.data.training_rows` makes them for the objective.
        held_out: Rows to check against, in the same form; may be empty.
        reward: Judges answers, where the model writes them itself.
    """

    plan: TrainingPlan
    stage: Stage
    recipe: Recipe
    output_directory: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    peft_config: PeftConfig | None
    rows: Sequence[Row]
    held_out: Sequence[Row]
    reward: RewardCall | None = None


def build_trainer(parts: TrainerParts) -> Trainer:
    """Build the trainer of a stage. The caller holds `LOAD_LOCK`; the model passed in belongs to the trainer then."""
    trainer = TRAINER_BUILDERS[parts.stage.objective](parts)
    for printer in (PrinterCallback, ProgressCallback):  # standard output belongs to the command line's one answer
        trainer.remove_callback(printer)
    if parts.plan.dtype == "float16":  # the scaler of float16 takes gradients in float32 only
        _keep_in_full(parts.model)
    if parts.plan.dtype == "float32" and trainer.args.bf16:
        _round_once(trainer.model)
    if parts.recipe.method is TuningMethod.ADALORA:
        trainer.add_callback(_RankSchedule())
    return trainer


def _round_once(model: torch.nn.Module | None) -> None:
    """Leave inputs of LoRA's small matrices in 16 bits: peft would widen each, and the arithmetic narrow it again at once."""
    assert model is not None
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = False


class _RankSchedule(TrainerCallback):
    """Lets AdaLoRA take ranks away, which it does only when it is asked to, between a step and the next gradients."""

    def on_optimizer_step(  # type: ignore[override]  # the Trainer always passes the model
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: Any, **_: object
    ) -> None:
        """Give the step that was just made to the method."""
        model.base_model.update_and_allocate(state.global_step + 1)


def _configured(config: Callable[..., TrainingArguments], parts: TrainerParts, **more: object) -> TrainingArguments:
    """Make a trainer's arguments; which values suit which field, the plan has checked."""
    shared = shared_arguments(parts.plan, parts.stage, checks=bool(parts.held_out))
    own = {} if config is TrainingArguments else own_arguments(parts.stage.objective, parts.plan.hyperparameters)
    arguments = config(output_dir=str(parts.output_directory), **{**shared, **own, **more})
    arguments._n_gpu = min(1, arguments.n_gpu)  # the Trainer would split each batch over all cards, and multiply it
    return arguments


def _plain(trainer: Callable[..., Trainer], parts: TrainerParts) -> Callable[..., Trainer]:
    return plainly(trainer, str(parts.plan.hyperparameters.get("group_by_length", WHERE_IT_SAVES)))


def _tables(parts: TrainerParts) -> dict[str, Any]:
    return {"train_dataset": _table(parts.rows), "eval_dataset": _table(parts.held_out) if parts.held_out else None}


def _table(rows: Sequence[Row]) -> Table:
    """Return rows as the trainers take them; kept ones are a table already."""
    return rows if isinstance(rows, Table) else Table.from_list([dict(row) for row in rows])


def _sft(parts: TrainerParts) -> Trainer:
    if parts.recipe.method is TuningMethod.LLAMA_ADAPTER:  # trl's fused head meets a forward that it does not know
        return _plain_trainer(parts, DataCollatorForSeq2Seq(parts.tokenizer))
    trainer = _plain(TextTrainer, parts)(
        model=parts.model, args=_configured(SFTConfig, parts), processing_class=parts.tokenizer,
        peft_config=parts.peft_config, **_tables(parts),
    )  # fmt: skip
    assert isinstance(trainer, TextTrainer)
    trainer.compiles = compiles(parts.plan) and can_compile(parts.plan.device)
    return trainer


def _plain_trainer(
    parts: TrainerParts, collator: Callable[..., object], figures: Callable[..., object] | None = None
) -> Trainer:
    model: PreTrainedModel | PeftModel = parts.model
    if parts.peft_config is not None:
        if parts.plan.hyperparameters["gradient_checkpointing"]:
            parts.model.enable_input_require_grads()
        model = get_peft_model(parts.model, parts.peft_config)
    return _plain(Trainer, parts)(
        model=model, args=_configured(TrainingArguments, parts), data_collator=collator,
        processing_class=parts.tokenizer, compute_metrics=figures, **_tables(parts),
    )  # fmt: skip


def _classification(parts: TrainerParts) -> Trainer:
    parts.model.config.pad_token_id = parts.tokenizer.pad_token_id
    labels = len(parts.recipe.outputs)
    return _plain_trainer(
        parts, DataCollatorWithPadding(parts.tokenizer), lambda guessed: label_figures(guessed, labels)
    )


def _reference(parts: TrainerParts) -> PreTrainedModel | None:
    """The untuned model to compare with; an adapter that is switched off is one already."""
    return parts.recipe.base() if parts.peft_config is None else None


def _dpo(parts: TrainerParts) -> Trainer:
    return _plain(DPOTrainer, parts)(
        model=parts.model, ref_model=_reference(parts), args=_configured(DPOConfig, parts),
        processing_class=parts.tokenizer, peft_config=parts.peft_config, **_tables(parts),
    )  # fmt: skip


def _kto(parts: TrainerParts) -> Trainer:
    return _plain(KTOTrainer, parts)(
        model=parts.model, ref_model=_reference(parts), args=_configured(KTOConfig, parts),
        processing_class=parts.tokenizer, peft_config=parts.peft_config, **_tables(parts),
    )  # fmt: skip


def _reward(parts: TrainerParts) -> Trainer:
    parts.model.config.pad_token_id = parts.tokenizer.pad_token_id
    built = _plain(RewardTrainer, parts)(
        model=parts.model, args=_configured(RewardConfig, parts), processing_class=parts.tokenizer,
        peft_config=parts.peft_config, **_tables(parts),
    )  # fmt: skip
    if parts.recipe.quantisation:  # trl rounds what is trained to bfloat16, and a head in that cannot read float32
        _keep_in_full(built.model)
    return built


def _keep_in_full(model: torch.nn.Module | None) -> None:
    """Keep every weight that moves in float32."""
    assert model is not None  # a trainer's, as the Trainer types it
    for weight in model.parameters():
        weight.data = weight.data.float() if weight.requires_grad else weight.data


_STAND_IN = {"prompt": "a", "chosen": "b", "rejected": "c"}
"""A row for trl's older trainers, which tokenise what they are given; ours are put in its place afterwards."""


def _older(trainer: type[Trainer], arguments: TrainingArguments, parts: TrainerParts) -> Trainer:
    stand_in = Table.from_list([_STAND_IN])
    built = _plain(trainer, parts)(
        model=parts.model, args=arguments, train_dataset=stand_in, eval_dataset=stand_in if parts.held_out else None,
        processing_class=parts.tokenizer, peft_config=parts.peft_config,
    )  # fmt: skip
    for name, table in _tables(parts).items():
        setattr(built, name, table)
    return built


def _orpo(parts: TrainerParts) -> Trainer:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer  # noqa: PLC0415 - warns when imported, and few need it

    return _older(ORPOTrainer, _configured(ORPOConfig, parts), parts)


def _cpo(parts: TrainerParts) -> Trainer:
    from trl.experimental.cpo import CPOConfig, CPOTrainer  # noqa: PLC0415 - as above

    return _older(CPOTrainer, _configured(CPOConfig, parts), parts)


def _sampling(parts: TrainerParts) -> Trainer:
    """RLOO or GRPO. With all weights moving, the reference is loaded by us, as every model is, and not by trl."""
    from trl.trainer.grpo_config import GRPOConfig  # noqa: PLC0415 - half a second, and few need it
    from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: PLC0415
    from trl.trainer.rloo_config import RLOOConfig  # noqa: PLC0415
    from trl.trainer.rloo_trainer import RLOOTrainer  # noqa: PLC0415
    from trl.trainer.utils import add_fused_lm_head  # noqa: PLC0415

    values, is_grpo = parts.plan.hyperparameters, parts.stage.objective is Objective.GRPO
    config, trainer = (GRPOConfig, GRPOTrainer) if is_grpo else (RLOOConfig, RLOOTrainer)
    beta, moves_all = number(values, "beta"), parts.peft_config is None
    built = _plain(trainer, parts)(
        model=parts.model, reward_funcs=[parts.reward],
        args=_configured(config, parts, beta=0.0 if moves_all else beta),
        processing_class=parts.tokenizer, peft_config=parts.peft_config, **_tables(parts),
    )  # fmt: skip
    if moves_all and beta:
        reference = parts.recipe.base()
        add_fused_lm_head(reference, temperature=number(values, "temperature"))  # trl asks it for log-probabilities
        reference = built.accelerator.prepare_model(reference, evaluation_mode=True)
        for name, value in {"beta": beta, "ref_model": reference}.items():
            setattr(built, name, value)
    return built


TRAINER_BUILDERS: Mapping[Objective, Callable[[TrainerParts], Trainer]] = {
    Objective.SFT: _sft,
    Objective.CLASSIFICATION: _classification,
    Objective.DPO: _dpo,
    Objective.KTO: _kto,
    Objective.ORPO: _orpo,
    Objective.SIMPO: _cpo,
    Objective.CPO: _cpo,
    Objective.REWARD: _reward,
    Objective.RLOO: _sampling,
    Objective.GRPO: _sampling,
}
"""One row an objective; a chain takes those of its stages."""
