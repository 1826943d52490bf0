"""The ways to train that train.py puts beside each other: a loop written by hand, Luthier, its trainer alone, and trl.

All get the same rows as tokens: those that Luthier's own run would read, in the order of the file.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TokenRow = Mapping[str, list[int]]

MADE_ROWS, SHORTEST, LONGEST, USUAL, SPREAD = 2_000, 20, 700, 130, 0.8
"""Rows that are made, their tokens at least and at most, the median, and the spread of the logarithm: as in instruction data."""

TRAINED_SHARE = 0.9
"""Of the rows; the others are held out, as a plan does it by itself."""

TEXT = """the shop opens at nine and closes when rain comes over green hills where old people drink tea from white cups while
children read long books about ships that carry salt to far cities in winter because trade never sleeps"""
WORDS = TEXT.split()


@dataclass(frozen=True)
class Task:
    """What every way gets.

    Attributes:
        model: The folder of the model.
        plan: A file with the plan that the engine made.
        rows: A file with the training rows as tokens.
        held_out: The same of rows that nobody learns from.
        workspace: A folder for runs.
    """

    model: str
    plan: str
    rows: str
    held_out: str
    workspace: str


def made_rows(count: int) -> Iterator[dict[str, str]]:
    """Yield instructions and answers; an answer says the words of its question again, so that there is something to learn."""
    chance = random.Random(0)
    for _ in range(count):
        tokens = min(LONGEST, max(SHORTEST, round(math.exp(chance.gauss(math.log(USUAL), SPREAD)))))
        asked = [chance.choice(WORDS) for _ in range(max(2, round(tokens * 0.3 / 1.6)))]
        told = [asked[place * 7 % len(asked)] for place in range(max(2, round(tokens * 0.6 / 1.6)))]
        yield {"prompt": " ".join(asked), "completion": " ".join(told)}


def prepare(folder: Path, *, rows: Path | None, limit: int, model: str) -> Path:
    """Make model, rows and plan, and write down where they are."""
    from benchmarks.random_models import random_llama  # noqa: PLC0415 - seconds, and only who needs it
    from engine.events import RunEvent  # noqa: PLC0415 - as above
    from engine.models.loading import load_tokenizer  # noqa: PLC0415
    from engine.training.run_rows import split_rows, tokenised_rows  # noqa: PLC0415
    from engine.training.stages import stages_of_plan  # noqa: PLC0415
    from engine.types import Run, RunStatus  # noqa: PLC0415
    from engine.workspace import PlanChoices, Workspace  # noqa: PLC0415

    chosen = str(random_llama(folder / "30M")) if model == "30M" else model
    count = round(limit / TRAINED_SHARE)
    file = folder / f"rows{rows.suffix if rows else '.jsonl'}"
    if rows:
        every = json.loads(rows.read_text(encoding="utf-8"))[:count]
        file.write_text(json.dumps(every), encoding="utf-8")
    else:
        made = list(made_rows(MADE_ROWS))[:count]
        file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    workspace = Workspace.open(folder / "workspace")
    dataset = workspace.data.inspect(file).dataset
    assert dataset, "the rows cannot be read"
    settings = {"num_train_epochs": 1.0, "lora_rank": 16}
    plan = workspace.plan(PlanChoices("lora", dataset.fingerprint, chosen, settings))
    workspace.close()
    silent: Callable[[RunEvent], None] = lambda _: None  # noqa: E731
    run = Run("prepare", "prepare", RunStatus.QUEUED, plan, folder / "none", 0.0)
    stage, tokenizer = stages_of_plan(plan)[0], load_tokenizer(plan.model)
    parts = [tokenised_rows(part, dataset, plan, stage, tokenizer, run, silent) for part in split_rows(plan)]
    task = Task(
        str(plan.model.path), str(folder / "plan.json"), str(folder / "train.json"), str(folder / "held_out.json"), str(folder / "workspace")
    )  # fmt: skip
    Path(task.plan).write_text(json.dumps(plan.to_json()), encoding="utf-8")
    for part, path in zip(parts, (task.rows, task.held_out), strict=True):
        Path(path).write_text(
            json.dumps([{name: list(ids) for name, ids in row.items()} for row in part]), encoding="utf-8"
        )
    lengths = sorted(len(row["input_ids"]) for row in parts[0])
    print(
        f"{len(lengths)} rows, {sum(lengths):,} tokens, {lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}; "
        f"plan: {json.dumps(dict(plan.hyperparameters))}", flush=True,
    )  # fmt: skip
    (folder / "task.json").write_text(json.dumps(asdict(task)), encoding="utf-8")
    return folder / "task.json"


@dataclass
class Span:
    """What passed between the first and the last step, and the model that came out."""

    cpu_seconds: float
    seconds: float
    model: PreTrainedModel
    second_start_seconds: float = 0.0


def run_way(way: str, task: Task, threads: int, seed: int) -> dict[str, float]:
    """Train in one way and return its figures."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    rows = json.loads(Path(task.rows).read_text())
    from benchmarks.train_peers import PEERS  # noqa: PLC0415 - which imports what is above

    span = {**WAYS, **PEERS}[way](task, rows, threads, seed)
    tokens = sum(len(row["input_ids"]) for row in rows)
    loss = held_out_loss(span.model, json.loads(Path(task.held_out).read_text()))
    return {
        "tokens_per_cpu_second": tokens / span.cpu_seconds, "tokens_per_second": tokens / span.seconds, "held_out_loss": loss,
        "cpu_seconds": span.cpu_seconds, "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "second_start_seconds": span.second_start_seconds,
    }  # fmt: skip


def held_out_loss(model: PreTrainedModel, rows: Sequence[TokenRow]) -> float:
    """Return the mean loss of all tokens that carry one, in float32, row by row: the same for every way."""
    import torch  # noqa: PLC0415

    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])[1:]
            logits = model(input_ids=ids).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            count += int((labels != -100).sum())
    return total / count


# --- by hand ---------------------------------------------------------------------------------------------------------


def _bare(task: Task, rows: Sequence[TokenRow], seed: int, *, bf16: bool) -> Span:
    """The loop that somebody who knows the levers writes: rows sorted by length within 16 batches, 8 rows a batch."""
    import torch  # noqa: PLC0415
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup  # noqa: PLC0415

    values = json.loads(Path(task.plan).read_text())["hyperparameters"]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32, attn_implementation="sdpa")
    adapter = LoraConfig(
        r=16, lora_alpha=values["lora_alpha"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, adapter)
    model.train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=values["learning_rate"], weight_decay=0.0, fused=True)
    batches = _sorted_batches(rows, values["per_device_train_batch_size"], seed)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * len(batches)), len(batches))
    began, clock = time.process_time(), time.perf_counter()
    for batch in batches:
        inputs = _padded(batch)
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return Span(time.process_time() - began, time.perf_counter() - clock, model)


def _sorted_batches(rows: Sequence[TokenRow], size: int, seed: int) -> list[list[TokenRow]]:
    chance = random.Random(seed)
    order = chance.sample(range(len(rows)), len(rows))
    batches = []
    for start in range(0, len(order), 16 * size):
        stretch = sorted(order[start : start + 16 * size], key=lambda row: len(rows[row]["input_ids"]))
        batches += [[rows[row] for row in stretch[place : place + size]] for place in range(0, len(stretch), size)]
    chance.shuffle(batches)
    return batches


def _padded(batch: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
    import torch  # noqa: PLC0415

    longest = max(len(row["input_ids"]) for row in batch)
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    columns: dict[str, list[list[int]]] = {name: [] for name in fill}
    for row in batch:
        full = {**row, "attention_mask": [1] * len(row["input_ids"])}
        for name, filler in fill.items():
            columns[name].append(list(full[name]) + [filler] * (longest - len(full[name])))
    return {name: torch.tensor(column) for name, column in columns.items()}


# --- Luthier ---------------------------------------------------------------------------------------------------------


def _seeded(task: Task, seed: int, **changed: object) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    from engine.training.plan import read_plan  # noqa: PLC0415

    plan = read_plan(Path(task.plan))
    return replace(plan, hyperparameters={**plan.hyperparameters, "seed": seed, **changed})


@dataclass
class _Timed:
    """Stands round `Trainer.train` and remembers how long it took, and the model; looks at held-out rows are taken out."""

    cpu_seconds: float = 0.0
    seconds: float = 0.0
    model: Any = None
    first_step: float = 0.0

    def watch(self) -> None:
        """Put itself round the library's own method."""
        from transformers import Trainer  # noqa: PLC0415

        train, step, timed = Trainer.train, Trainer.training_step, self

        def train_timed(self: Trainer, *args: Any, **kwargs: Any) -> Any:
            self.evaluate = timed.without(self.evaluate)  # type: ignore[method-assign]
            timed.cpu_seconds, timed.seconds, timed.first_step = -time.process_time(), -time.perf_counter(), 0.0
            done = train(self, *args, **kwargs)
            timed.cpu_seconds += time.process_time()
            timed.seconds += time.perf_counter()
            timed.model = self.model
            return done

        def step_timed(self: Trainer, *args: Any, **kwargs: Any) -> Any:
            done = step(self, *args, **kwargs)
            timed.first_step = timed.first_step or time.perf_counter()
            return done

        Trainer.train, Trainer.training_step = train_timed, step_timed  # type: ignore[method-assign]

    def without(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """Return a look at held-out rows whose time does not count."""

        def looks(*args: Any, **kwargs: Any) -> Any:
            began, clock = time.process_time(), time.perf_counter()
            figures = look(*args, **kwargs)
            self.cpu_seconds -= time.process_time() - began
            self.seconds -= time.perf_counter() - clock
            return figures

        return looks


def _luthier(task: Task, rows: Sequence[TokenRow], threads: int, seed: int) -> Span:
    """A plan with its own defaults, run by the queue of a workspace as the window runs it; then a second run's start."""
    from dataclasses import replace  # noqa: PLC0415

    from engine.workspace import Workspace  # noqa: PLC0415

    timed = _Timed()
    timed.watch()
    workspace = Workspace.open(Path(task.workspace))
    plan = _seeded(task, seed)
    done = workspace.train(plan)
    assert done.status.value == "finished", done
    span = Span(timed.cpu_seconds, timed.seconds, timed.model)
    began = time.perf_counter()
    again = _seeded(task, seed, watched_prompts=0)
    workspace.train(replace(again, estimate=replace(again.estimate, steps=1)))
    span.second_start_seconds = timed.first_step - began
    workspace.close()
    return span


def _trainer_alone(task: Task, rows: Sequence[TokenRow], threads: int, seed: int) -> Span:
    """The trainer that the plan gives, which saves as often by itself: without reporter, store and seals."""
    import tempfile  # noqa: PLC0415

    from engine.models.hardware import host_hardware  # noqa: PLC0415,F401 - as the window, which has it in memory
    from engine.training.runner import responsive, threads_for, trainer_of_stage  # noqa: PLC0415
    from engine.training.stages import stages_of_plan  # noqa: PLC0415
    from engine.types import Run, RunStatus  # noqa: PLC0415

    timed = _Timed()
    timed.watch()
    plan = _seeded(task, seed)
    with tempfile.TemporaryDirectory() as folder, responsive(threads_for(plan, threads)):
        run = Run("alone", "alone", RunStatus.QUEUED, plan, Path(folder), 0.0)
        trainer, _ = trainer_of_stage(plan, run, stages_of_plan(plan)[0], lambda _: None, True)
        trainer.args.eval_strategy, trainer.args.eval_on_start = "no", False
        trainer.args.save_strategy, trainer.args.save_steps = "steps", int(str(plan.hyperparameters["save_steps"]))
        trainer.train()
    return Span(timed.cpu_seconds, timed.seconds, timed.model)


# --- trl -------------------------------------------------------------------------------------------------------------


def _trl(task: Task, rows: Sequence[TokenRow], threads: int, seed: int, **chosen: object) -> Span:
    """SFTTrainer of trl with its own defaults but for what is chosen; the learning rate and the batch are those of all ways."""
    import tempfile  # noqa: PLC0415

    import torch  # noqa: PLC0415
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    values = json.loads(Path(task.plan).read_text())["hyperparameters"]
    timed = _Timed()
    timed.watch()
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32)
    adapter = LoraConfig(
        r=16, lora_alpha=values["lora_alpha"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with tempfile.TemporaryDirectory() as folder:
        shared: dict[str, Any] = {
            "output_dir": folder, "use_cpu": True, "learning_rate": values["learning_rate"], "num_train_epochs": 1, "warmup_steps": 0.1,
            "per_device_train_batch_size": values["per_device_train_batch_size"], "seed": seed, "report_to": "none",
            "save_strategy": "no", "disable_tqdm": True, "max_length": values["max_length"],
        }  # fmt: skip
        trainer = SFTTrainer(
            model=model, args=SFTConfig(**{**shared, **chosen}), train_dataset=Dataset.from_list([dict(row) for row in rows]),
            processing_class=AutoTokenizer.from_pretrained(task.model), peft_config=adapter,
        )  # fmt: skip
        trainer.train()
    unwrapped = trainer.accelerator.unwrap_model(timed.model, keep_fp32_wrapper=False)
    return Span(timed.cpu_seconds, timed.seconds, unwrapped)


PACKED = {
    "packing": True,
    "bf16": True,
    "gradient_checkpointing": False,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 2,
}
"""As fast as packing gets on a processor: a packed batch of several rows costs one dense mask over all of them."""

WAYS: Mapping[str, Callable[[Task, Sequence[TokenRow], int, int], Span]] = {
    "bare bf16": lambda task, rows, threads, seed: _bare(task, rows, seed, bf16=True),
    "luthier": _luthier,
    "luthier, trainer alone": _trainer_alone,
    "trl, packing, bf16": lambda task, rows, threads, seed: _trl(task, rows, threads, seed, **PACKED),
    "trl, by length, bf16": lambda task, rows, threads, seed: _trl(
        task, rows, threads, seed, bf16=True, gradient_checkpointing=False, train_sampling_strategy="group_by_length"
    ),
    "bare fp32": lambda task, rows, threads, seed: _bare(task, rows, seed, bf16=False),
    "trl, its defaults": lambda task, rows, threads, seed: _trl(task, rows, threads, seed),
}  # fmt: skip
"""One row a way, in the order in which a round goes through them."""

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
