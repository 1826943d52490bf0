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
from engine.training.sampling import LengthGroupedSampler
from engine.training.stages import Stage
from engine.training.trainers import TRAINER_BUILDERS, TrainerParts, build_trainer
from engine.types import Objective, TrainingPlan, TuningMethod

NewPlan = Callable[..., TrainingPlan]
Built = tuple[Trainer, list[dict[str, list[int]]]]


@pytest.fixture
def build(tmp_path: Path) -> Callable[[TrainingPlan], Built]:
    def make(plan: TrainingPlan) -> Built:
        tokenizer = load_tokenizer(plan.model)
        rows = tokenize_rows(split_rows(plan)[0], plan.dataset, tokenizer, max_length=64).rows
        base = load_base(plan.model, device="cpu", dtype="float32")
        config = peft_config(TuningMethod.LORA, plan.hyperparameters, plan.model)
        stage = Stage(Objective.SFT, int(str(plan.hyperparameters["max_steps"])), 5e-3, 2)
        parts = TrainerParts(plan, stage, Recipe(plan.model), tmp_path, base, tokenizer, config, rows, [])
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
    order = list(LengthGroupedSampler([len(row["input_ids"]) for row in rows], 2, 7))
    for number, batch in enumerate(trainer.get_train_dataloader()):
        for place, index in enumerate(order[2 * number : 2 * number + 2]):
            length = len(rows[index]["input_ids"])
            assert batch["input_ids"][place, :length].tolist() == rows[index]["input_ids"]
            assert batch["labels"][place, :length].tolist() == rows[index]["labels"]
            assert set(batch["labels"][place, length:].tolist()) <= {-100}
            assert batch["attention_mask"][place].sum() == length
    assert number == 7


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_loss_is_the_one_worked_out_by_hand(
    tiny_plan: NewPlan, build: Callable[..., Built], accumulated: int
) -> None:
    plan = tiny_plan(gradient_accumulation_steps=accumulated, max_steps=1)
    trainer, rows = build(plan)
    order = list(LengthGroupedSampler([len(row["input_ids"]) for row in rows], 2 * accumulated, 7))
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


def test_every_epoch_shows_every_row_once_in_another_order() -> None:
    sampler = LengthGroupedSampler([5, 9, 1] * 7, 4, seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(21)) and len(sampler) == 21
    assert orders[0] != orders[1] != orders[2]
    sampler.set_epoch(0)
    assert list(sampler) == orders[0]


@pytest.mark.parametrize(("rows", "batch"), [(1, 8), (8, 8), (9, 8), (300, 8)])
@pytest.mark.parametrize("longest", [1, 1000])
def test_any_number_of_rows_makes_whole_batches_and_one_rest(rows: int, batch: int, longest: int) -> None:
    lengths = [1 + row % longest for row in range(rows)]
    assert sorted(LengthGroupedSampler(lengths, batch, seed=0)) == list(range(rows))


def test_rows_that_differ_little_are_simply_shuffled() -> None:
    order = list(LengthGroupedSampler([20, 21, 22, 23] * 50, 8, seed=0))
    lengths = [20 + row % 4 for row in order]
    assert sum(max(lengths[start : start + 8]) - min(lengths[start : start + 8]) for start in range(0, 200, 8)) > 60


def test_rows_of_like_length_share_a_batch_where_lengths_differ_much() -> None:
    lengths = [int(length) for length in torch.randint(20, 700, (512,), generator=torch.Generator().manual_seed(0))]
    order = list(LengthGroupedSampler(lengths, 8, seed=0))
    padded = sum(8 * max(lengths[row] for row in order[start : start + 8]) for start in range(0, 512, 8))
    assert padded < 1.1 * sum(lengths)
