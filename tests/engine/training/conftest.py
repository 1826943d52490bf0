"""Parts that the tests of training share: a plan by hand, a store, and (once a session) a tiny random Llama."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.data.inspection import inspect_file
from engine.events import RunEvent
from engine.models.accelerator import Accelerator
from engine.models.catalog import describe_folder
from engine.training.runner import train
from engine.training.store import Store
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    PretrainedModel,
    Run,
    RunStatus,
    TrainingPlan,
    Wish,
)

# Tiny matrices gain nothing from a second thread, and wait for it dearly on a busy machine.
torch.set_num_threads(1)

Kind = TypeVar("Kind", bound=RunEvent)

HYPERPARAMETERS = {
    "lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": "all-linear", "learning_rate": 5e-3,
    "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "num_train_epochs": 1.0, "max_steps": 6,
    "max_length": 64, "warmup_ratio": 0.1, "lr_scheduler_type": "linear", "weight_decay": 0.0, "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused", "gradient_checkpointing": False, "seed": 7, "eval_steps": 3, "save_steps": 0,
    "logging_steps": 1, "save_total_limit": 3,
}  # fmt: skip


def plan_of(model: PretrainedModel, dataset: Dataset, **changed: object) -> TrainingPlan:
    values = HYPERPARAMETERS | changed
    estimate = Estimate(
        memory_total_bytes=1, memory_parts={"weights": 1}, seconds=1.0, trainable_parameters=1, total_parameters=2,
        steps=int(str(values["max_steps"])),
    )  # fmt: skip
    return TrainingPlan(
        technique="lora", model=model, dataset=dataset, held_out=HeldOut("none"), hyperparameters=values,  # type: ignore[arg-type]
        device="cpu", dtype="float32", estimate=estimate,
    )  # fmt: skip


def dataset_at(parquet: Path, rows: int, **changed: object) -> Dataset:
    values: dict[str, object] = {
        "fingerprint": "ab" * 32, "name": "colours", "source_path": parquet, "parquet_path": parquet, "rows": rows,
        "dataset_type": DatasetType.PROMPT_COMPLETION, "format": DatasetFormat.STANDARD, "shape": "question_answer",
        "columns": ("prompt", "completion"), "mapping": {"prompt": "prompt", "completion": "completion"},
    }  # fmt: skip
    return Dataset(**{**values, **changed})  # type: ignore[arg-type]


@pytest.fixture
def plan(tmp_path: Path) -> TrainingPlan:
    model = PretrainedModel("starter", "Starter", tmp_path, 1000, 64, "Apache-2.0", "llama")
    return plan_of(model, dataset_at(tmp_path / "rows.parquet", 8))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "luthier.sqlite3")


@pytest.fixture
def new_run(store: Store, plan: TrainingPlan, tmp_path: Path) -> Callable[..., Run]:
    """Make a run in the store; `owner` and `unless_active` may be given."""

    def make(owner: str = "me", unless_active: bool = False) -> Run:
        return store.create_run(
            plan, directory=tmp_path / "runs", name="first", owner=owner, unless_active=unless_active
        )

    return make


CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

COLOURS = ("red", "green", "blue", "grey", "white", "black", "pink", "brown")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> PretrainedModel:
    """A random Llama of two layers and its byte-level tokenizer, made once and read many times."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|system|>", "<|assistant|>"]
    trainer = BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(COLOURS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", chat_template=CHAT_TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.2, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return describe_folder(folder, id="tiny", title="Tiny")


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sixteen questions and answers, of different lengths."""
    folder = tmp_path_factory.mktemp("colours")
    rows = [
        {"prompt": f"What is {'very ' * (number % 5)}{colour}?", "completion": f"{colour} is a colour."}
        for number, colour in enumerate(COLOURS * 2)
    ]
    path = folder / "colours.jsonl"
    path.write_text("".join(json.dumps(row | {"id": number}) + "\n" for number, row in enumerate(rows)))
    found = inspect_file(path, folder / "data").dataset
    assert found
    return found


@pytest.fixture
def tiny_plan(tiny_model: PretrainedModel, colours: Dataset) -> Callable[..., TrainingPlan]:
    """Plan LoRA on the tiny model; hyperparameters may be given, and `held_out` rows by their numbers."""

    def make(held_out: tuple[int, ...] = (), **changed: object) -> TrainingPlan:
        plan = plan_of(tiny_model, colours, **changed)
        return replace(plan, held_out=HeldOut("split", indices=held_out)) if held_out else plan

    return make


@dataclass
class Heard:
    """What a run said, and how it ended."""

    run: Run
    events: list[RunEvent]

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def train_and_hear(tmp_path: Path) -> Callable[..., Heard]:
    """Train a plan in this thread, without a store; `should_stop` and `should_pause` are asked with the events so far."""

    def never(events: list[RunEvent]) -> bool:
        return False

    def run_it(
        plan: TrainingPlan, name: str = "one", should_stop: Callable[[list[RunEvent]], bool] = never,
        should_pause: Callable[[list[RunEvent]], bool] = never, goes_on: bool = False, from_step: int | None = None,
    ) -> Heard:  # fmt: skip
        run = Run(name, name, RunStatus.QUEUED, plan, tmp_path / "runs" / name, 0.0, from_step=from_step)
        events: list[RunEvent] = []

        def asked() -> Wish | None:
            return Wish.STOP if should_stop(events) else Wish.PAUSE if should_pause(events) else None

        train(
            plan, run, emit=events.append, asked=asked, accelerator=Accelerator(tmp_path / "accelerator.lock"), goes_on=goes_on
        )  # fmt: skip
        return Heard(run, events)

    return run_it
