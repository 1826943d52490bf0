from __future__ import annotations

import errno
import gc
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from engine.data.chat_format import tokenize_rows
from engine.errors import DataError, DiskFull, Diverged, ModelError, RunError
from engine.events import (
    CheckpointSaved,
    EvaluationLogged,
    RunEvent,
    RunFinished,
    RunStarted,
    RunStopped,
    RunWarned,
    StepLogged,
)
from engine.models.accelerator import Accelerator
from engine.models.loading import load_base, load_tokenizer, load_tuned
from engine.training import checkpoints
from engine.training.run_rows import split_rows
from engine.training.runner import sentence_of, train
from engine.types import Run, RunStatus, TrainingPlan

NewPlan = Callable[..., TrainingPlan]
Train = Callable[..., "Heard"]  # noqa: F821 - the class of conftest.py, which cannot be imported


def losses(heard: Heard) -> list[float]:  # noqa: F821
    return [event.loss for event in heard.of(StepLogged)]


def test_a_run_tells_its_story_in_order(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(held_out=(0, 1)))
    kinds = [event.kind for event in heard.events]
    assert kinds[:3] == ["RunStarted", "EvaluationLogged", "StepLogged"]
    assert kinds[-4:] == ["EvaluationLogged", "CheckpointSaved", "RunProved", "RunFinished"]
    assert [event.step for event in heard.of(StepLogged)] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in heard.of(EvaluationLogged)] == [0, 3, 6]


def test_one_plan_twice_gives_equal_losses_and_weights(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(lora_dropout=0.1)
    first, second = train_and_hear(plan, "one"), train_and_hear(plan, "two")
    assert losses(first) == losses(second)
    one, two = (
        load_file(Path(heard.of(CheckpointSaved)[-1].path) / "adapter_model.safetensors") for heard in (first, second)
    )
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_gives_other_losses(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    assert losses(train_and_hear(tiny_plan(), "one")) != losses(train_and_hear(tiny_plan(seed=8), "two"))


def test_training_lowers_the_loss_on_rows_it_never_saw(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(held_out=(0, 5), max_steps=40, eval_steps=40, learning_rate=2e-2))
    before, after = (event.loss for event in heard.of(EvaluationLogged))
    assert after < 0.7 * before


def test_held_out_rows_are_never_trained_on(tiny_plan: NewPlan) -> None:
    training, held_out = split_rows(tiny_plan(held_out=(3, 9)))
    assert len(training) == 14 and len(held_out) == 2
    assert (
        held_out[0]["completion"] == "grey is a colour."
        and held_out[1]["prompt"] == "What is very very very very green?"
    )


def test_figures_count_real_tokens_and_come_with_time_and_memory(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=8)
    heard = train_and_hear(plan)
    tokenizer = load_tokenizer(plan.model)
    rows = tokenize_rows(split_rows(plan)[0], plan.dataset, tokenizer, max_length=64).rows
    last = heard.of(StepLogged)[-1]
    assert last.tokens_seen == sum(len(row["input_ids"]) for row in rows) and last.epoch == 1.0
    assert last.remaining_seconds == 0.0 < heard.of(StepLogged)[0].remaining_seconds
    finished = heard.of(RunFinished)[0]
    assert finished.tokens_per_second > 0 and finished.peak_memory_bytes >= last.memory_bytes > 10**8


def test_the_sealed_checkpoint_answers_as_the_model_did_when_it_was_saved(
    tiny_plan: NewPlan, train_and_hear: Train
) -> None:
    plan = tiny_plan(held_out=(0, 1), max_steps=4)
    heard = train_and_hear(plan)
    tuned = load_tuned(load_base(plan.model, device="cpu", dtype="float32"), Path(heard.of(CheckpointSaved)[0].path))
    rows = tokenize_rows(split_rows(plan)[1], plan.dataset, load_tokenizer(plan.model), max_length=64).rows
    sums, count = 0.0, 0
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        trained = int((labels[:, 1:] != -100).sum())
        sums, count = sums + tuned(ids, labels=labels).loss.item() * trained, count + trained
    assert heard.of(EvaluationLogged)[-1].loss == pytest.approx(sums / count, rel=1e-5)


def test_stop_ends_within_a_step_and_keeps_a_checkpoint(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(
        tiny_plan(max_steps=50), should_stop=lambda events: any(getattr(event, "step", 0) == 2 for event in events)
    )
    assert heard.events[-1] == RunStopped(run="one", step=3, elapsed_seconds=heard.events[-1].elapsed_seconds)
    assert [event.step for event in heard.of(StepLogged)] == [1, 2, 3]
    assert checkpoints.newest_verified("one", heard.run.directory).step == 3


def test_stop_between_accumulated_batches_keeps_the_last_whole_step(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    asked = []

    def in_the_middle_of_the_third_step(events: list[object]) -> bool:
        asked.append(1)
        return len(asked) > 9  # twice before training, then four times a step

    heard = train_and_hear(
        tiny_plan(gradient_accumulation_steps=4, max_steps=50), should_stop=in_the_middle_of_the_third_step
    )
    assert heard.events[-1].kind == "RunStopped" and heard.of(CheckpointSaved)[-1].step == heard.events[-1].step == 2


def test_stop_before_the_first_step_keeps_nothing(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(), should_stop=lambda events: len(events) > 0)
    assert [event.kind for event in heard.events] == ["RunStarted", "RunStopped"]


def test_checkpoints_come_as_often_as_asked_and_the_oldest_go(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(save_steps=2, save_total_limit=2, max_steps=7))
    assert [event.step for event in heard.of(CheckpointSaved)] == [2, 4, 6, 7]
    kept = checkpoints.checkpoints("one", heard.run.directory)
    assert [checkpoint.step for checkpoint in kept] == [6, 7] and kept[-1].bytes == heard.of(CheckpointSaved)[-1].bytes
    names = sorted(path.name for path in heard.run.directory.iterdir())
    assert names == ["checkpoints", "environment.json", "plan.json"]


def test_a_checkpoint_holds_all_that_going_on_will_need(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan())
    names = {path.name for path in Path(heard.of(CheckpointSaved)[0].path).iterdir()}
    assert names >= {"adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth",
                     "trainer_state.json", "tokenizer.json", "manifest.json"}  # fmt: skip


def test_the_plan_lies_beside_the_checkpoints(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan()
    heard = train_and_hear(plan)
    assert TrainingPlan.from_json(json.loads((heard.run.directory / "plan.json").read_text())) == plan


def test_a_loss_that_is_no_number_halts_the_run_and_spares_the_checkpoints(
    tiny_plan: NewPlan, train_and_hear: Train, tmp_path: Path
) -> None:
    plan = tiny_plan(learning_rate=1e30, max_grad_norm=0.0, warmup_ratio=0.5, max_steps=30, save_steps=1)
    with pytest.raises(RunError, match=r"no longer a number.*learning rate is too high"):
        train_and_hear(plan)
    kept = checkpoints.checkpoints("one", tmp_path / "runs" / "one")
    weights = [load_file(checkpoint.path / "adapter_model.safetensors") for checkpoint in kept]
    assert weights and all(bool(torch.isfinite(matrix).all()) for adapter in weights for matrix in adapter.values())


def test_reports_are_as_rare_as_asked_with_the_first_and_the_last(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(logging_steps=4, max_steps=10))
    assert [event.step for event in heard.of(StepLogged)] == [1, 4, 8, 10]


def test_rows_that_are_cut_or_left_out_are_told(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(max_length=30))
    messages = [event.message for event in heard.of(RunWarned)]
    assert len(messages) == 2 and "left out" in messages[0] and "cut at the end" in messages[1]


@pytest.mark.parametrize("damaged", ["", "{", "7"])
def test_an_environment_that_cannot_be_read_keeps_no_run_from_going_on(
    tiny_plan: NewPlan, train_and_hear: Train, damaged: str
) -> None:
    plan = tiny_plan(max_steps=2)
    file = train_and_hear(plan).run.directory / "environment.json"
    file.write_text(damaged)
    assert train_and_hear(plan, goes_on=True).events[-1].kind == "RunFinished"
    assert len(json.loads(file.read_text())) == 1


@pytest.mark.parametrize(
    ("save_steps", "says"), [(2, "The last checkpoint is of step 2."), (0, "There is no checkpoint yet.")]
)
def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(
    tiny_plan: NewPlan, train_and_hear: Train, monkeypatch: pytest.MonkeyPatch, save_steps: int, says: str
) -> None:
    step, taken = torch.optim.AdamW.step, iter(range(100))

    def spoil(self: torch.optim.AdamW, *args: object, **named: object) -> object:
        done = step(self, *args, **named)  # type: ignore[arg-type]
        if next(taken) == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("nan"))
        return done

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil)
    with pytest.raises(Diverged) as raised:
        train_and_hear(tiny_plan(max_steps=12, save_steps=save_steps))
    assert raised.value.where == "step 7" and raised.value.next_step.endswith(says)


def test_a_folder_that_vanishes_while_it_trains_is_told_in_a_sentence(
    tiny_plan: NewPlan, train_and_hear: Train, tmp_path: Path
) -> None:
    def vanishes(events: list[RunEvent]) -> bool:
        if events and isinstance(events[-1], StepLogged) and events[-1].step == 2:
            shutil.rmtree(tmp_path / "runs" / "one", ignore_errors=True)
        return False

    with pytest.raises(DiskFull, match="the folder of the run cannot be written"):
        train_and_hear(tiny_plan(max_steps=6, save_steps=3), should_stop=vanishes)


def test_rows_without_anything_to_learn_are_refused_in_a_sentence(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    with pytest.raises(DataError, match="no training row has a token to learn from"):
        train_and_hear(tiny_plan(max_length=4))


def test_a_model_that_is_gone_is_named_in_a_sentence(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan()
    with pytest.raises(ModelError):
        train_and_hear(replace(plan, model=replace(plan.model, path=Path("/nowhere"))))


def test_training_holds_the_accelerator_under_its_name_and_frees_it(tiny_plan: NewPlan, tmp_path: Path) -> None:
    accelerator, holders = Accelerator(tmp_path / "a.lock"), set()
    run = Run("r", "my shop", RunStatus.QUEUED, tiny_plan(), tmp_path / "r", 0.0)
    train(
        run.plan,
        run,
        emit=lambda event: holders.add(accelerator.holder()),
        asked=lambda: None,
        accelerator=accelerator,
    )
    assert holders == {"training my shop"} and accelerator.holder() is None


def test_a_run_that_is_stopped_while_it_waits_never_begins(
    tiny_plan: NewPlan, train_and_hear: Train, tmp_path: Path
) -> None:
    with Accelerator(tmp_path / "accelerator.lock").hold("somebody else"):
        heard = train_and_hear(tiny_plan(), should_stop=lambda events: True)
    assert [event.kind for event in heard.events] == ["RunStopped"]


def test_nothing_of_the_model_stays_in_memory_also_after_a_failure(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    before = models_in_memory()  # those that other tests still hold
    train_and_hear(tiny_plan(), "one")
    with pytest.raises(RunError):
        train_and_hear(tiny_plan(learning_rate=1e30, max_grad_norm=0.0), "two")
    assert models_in_memory() <= before


def models_in_memory() -> set[int]:
    gc.collect()
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, LlamaForCausalLM)}


def test_threads_and_switching_are_as_before_after_training(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    before = torch.get_num_threads(), sys.getswitchinterval()
    train_and_hear(tiny_plan(max_steps=1))
    assert (torch.get_num_threads(), sys.getswitchinterval()) == before


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory was not enough"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
            "memory",
        ),
        (MemoryError(), "memory was not enough"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0"), "the disk is full"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (FileNotFoundError(2, "No such file"), None),
    ],
)
def test_a_full_memory_and_a_full_disk_are_told_in_a_sentence(
    tiny_plan: NewPlan, tmp_path: Path, error: Exception, what: str | None
) -> None:
    plan = tiny_plan()
    told = sentence_of(error, plan, Run("r", "r", RunStatus.RUNNING, plan, tmp_path, 0.0))
    assert told is None if what is None else told and what in told.what and told.next_step


def test_a_run_says_what_it_will_cost_when_it_begins(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    started = train_and_hear(tiny_plan(max_steps=1)).of(RunStarted)[0]
    assert (started.steps, started.device, started.trainable_parameters, started.total_parameters) == (1, "cpu", 1, 2)
