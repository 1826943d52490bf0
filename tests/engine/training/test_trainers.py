from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Trainer

from engine.data.chat_format import tokenize_rows
from engine.data.training_rows import ROW_BUILDERS
from engine.models.adapters import peft_config
from engine.models.loading import load_base, load_tokenizer
from engine.models.tuned import Recipe
from engine.training.run_rows import split_rows
from engine.training.sampling import SeededOrder
from engine.training.stages import Stage
from engine.training.trainers import TRAINER_BUILDERS, TrainerParts, build_trainer
from engine.types import Objective, TrainingPlan, TuningMethod

NewPlan = Callable[..., TrainingPlan]
Built = tuple[Trainer, list[dict[str, list[int]]]]


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Built]:
    """Build a trainer; rows that are held out are the same ones, so that a look says of them what a loss by hand does."""

    def make(plan: TrainingPlan, *, looks: bool = False) -> Built:
        tokenizer = load_tokenizer(plan.model)
        rows = tokenize_rows(split_rows(plan)[0], plan.dataset, tokenizer, max_length=64).rows
        base = load_base(plan.model, device="cpu", dtype="float32")
        config = peft_config(TuningMethod.LORA, plan.hyperparameters, plan.model)
        stage = Stage(Objective.SFT, int(str(plan.hyperparameters["max_steps"])), 5e-3, 2)
        parts = TrainerParts(
            plan, stage, Recipe(plan.model), tmp_path, base, tokenizer, config, rows, rows if looks else []
        )
        return build_trainer(parts), rows

    return make


def loss_by_hand(model: PreTrainedModel, rows: list[dict[str, list[int]]]) -> float:
    """Mean over the trained tokens of minus log p(token | the tokens before it), row by row, without padding."""
    losses = []
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row["input_ids"]])).logits[0]  # (T, V)
        for position, label in enumerate(row["labels"]):
            if label != -100:
                losses.append(-torch.log_softmax(logits[position - 1].double(), dim=-1)[label].item())
    assert losses
    return sum(losses) / len(losses)


def test_every_objective_has_a_builder_but_the_chain_which_has_those_of_its_stages() -> None:
    assert set(TRAINER_BUILDERS) == set(ROW_BUILDERS) == set(Objective) - {Objective.RLHF}


def test_ids_and_labels_arrive_in_the_batch_as_they_were_tokenised(
    tiny_plan: NewPlan, build: Callable[..., Built]
) -> None:
    trainer, rows = build(tiny_plan())
    order = list(SeededOrder(len(rows), 7))
    for number, batch in enumerate(trainer.get_train_dataloader()):
        for place, index in enumerate(order[2 * number : 2 * number + 2]):
            length = len(rows[index]["input_ids"])
            assert batch["input_ids"][place, :length].tolist() == rows[index]["input_ids"]
            assert batch["labels"][place, :length].tolist() == rows[index]["labels"]
            assert set(batch["labels"][place, length:].tolist()) <= {-100}
            assert batch["attention_mask"][place].sum() == length
    assert number == 7


@pytest.mark.parametrize("batch_rows", [1, 3, 16])
def test_in_a_look_at_held_out_rows_every_token_counts_the_same_whatever_the_batches(
    tiny_plan: NewPlan, build: Callable[..., Built], batch_rows: int
) -> None:
    plan = tiny_plan(per_device_train_batch_size=batch_rows, max_steps=1, learning_rate=0.0)
    trainer, rows = build(plan, looks=True)
    assert len({len(row["input_ids"]) for row in rows}) > 1
    trainer.train()
    looks = [told for told in trainer.state.log_history if "eval_loss" in told]
    expected = loss_by_hand(load_base(plan.model, device="cpu", dtype="float32"), rows)
    assert looks and all(told["eval_loss"] == pytest.approx(expected, rel=1e-5) for told in looks)
    assert all(0 <= told["eval_mean_token_accuracy"] <= 1 for told in looks)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_loss_is_the_one_worked_out_by_hand(
    tiny_plan: NewPlan, build: Callable[..., Built], accumulated: int
) -> None:
    plan = tiny_plan(gradient_accumulation_steps=accumulated, max_steps=1)
    trainer, rows = build(plan)
    order = list(SeededOrder(len(rows), 7))
    expected = loss_by_hand(
        load_base(plan.model, device="cpu", dtype="float32"), [rows[i] for i in order[: 2 * accumulated]]
    )
    trainer.train()
    # LoRA begins at zero, so the first loss is the base's own.
    logged = trainer.state.log_history[0]["loss"]
    assert logged == pytest.approx(expected, rel=1e-5) and logged != round(logged, 4)


def test_only_the_adapter_is_trained(tiny_plan: NewPlan, build: Callable[..., Built]) -> None:
    trainer, _ = build(tiny_plan())
    trained = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 7 * 2 and all("lora_" in name for name in trained)
