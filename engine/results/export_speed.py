"""What exported folders cost and are worth: asked the same held-out rows, one after the other, by the libraries that load them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedModel

from engine.data.chat_format import prompt_messages, reference
from engine.errors import UsageError
from engine.guide.rewards import RewardSettings
from engine.models.decoding import Message, decode
from engine.models.loading import end_token_ids, load_tokenizer
from engine.models.tuned import Recipe
from engine.results.answer_metrics import Wanted, checked_metric, metric_for
from engine.results.export import ExportedModel, ExportSpeed
from engine.results.export_folder import files_of
from engine.results.export_making import probes_of, reference_recipe
from engine.results.export_writers import WRITERS, Foreign, merged_model
from engine.results.intervals import mean_interval
from engine.results.round_trip import Probes, few_threads, foreign_prompts, greedy_answer
from engine.training.run_rows import split_rows
from engine.types import Run


@dataclass(frozen=True)
class _Asked:
    """What is asked, and how answers are scored."""

    probes: Probes
    wanted: tuple[Wanted, ...]
    metric: str
    score: Callable[[str, Wanted, RewardSettings], float] | None


def speeds_of(
    run: Run, exported: Sequence[ExportedModel], rows: int, stopped: Callable[[], bool] = lambda: False
) -> Iterator[ExportSpeed]:
    """Measure exports of a run, one after the other.

    Args:
        run: Whose they are.
        exported: What is measured.
        rows: How many rows are asked at most.
        stopped: Asked at every token.

    Raises:
        UsageError: When the model gives labels or a reward.
        RunError: When there is nothing to ask.
    """
    recipe, asked = _recipe(run), _asked(run, rows, stopped)
    for one in exported:
        foreign = WRITERS[one.format].load(one.directory, recipe)
        measured = _measured(one.format, one.setting, one.bytes, foreign, asked)
        del foreign
        gc.collect()
        if stopped():
            return
        yield measured


def base_speed(run: Run, rows: int, stopped: Callable[[], bool] = lambda: False) -> ExportSpeed:
    """Measure the base of a run as it was published, loaded by transformers; arguments and errors as `speeds_of`."""
    recipe, asked = _recipe(run), _asked(run, rows, stopped)
    folder = cast("Path", recipe.model.path)
    return _measured("", "", files_of(folder)[1], WRITERS["merged"].load(folder, recipe), asked)


def own_speed(
    run: Run, checkpoint: Path, merges: bool, rows: int, stopped: Callable[[], bool] = lambda: False
) -> ExportSpeed:  # fmt: skip
    """Measure the run's own model in float32, which lies in no folder of its own.

    Args:
        run: The run.
        checkpoint: The weights that speak for it.
        merges: Whether its tuning can become part of the model's own weights, and is measured so.
        rows: How many rows are asked at most.
        stopped: Asked at every token.

    Raises:
        UsageError: When the model gives labels or a reward.
        RunError: When there is nothing to ask.
    """
    recipe, asked = _recipe(run), _asked(run, rows, stopped)
    model = recipe.tuned(checkpoint)
    foreign = Foreign(merged_model(model) if merges else model, load_tokenizer(recipe.model), "Luthier")
    return _measured("", "float32", 0, foreign, asked)


def _recipe(run: Run) -> Recipe:
    recipe = reference_recipe(run)
    if recipe.outputs:
        raise UsageError(
            "a model that gives labels or a reward writes no tokens",
            next_step="Its exports are as fast as one another.",
        )
    return recipe


def _asked(run: Run, rows: int, stopped: Callable[[], bool]) -> _Asked:
    plan = run.plan
    training, held_out = split_rows(plan)
    source = plan.held_out.dataset or plan.dataset if held_out else plan.dataset
    conversations: list[tuple[Message, ...]] = []
    wanted: list[Wanted] = []
    for row in held_out or training:
        turns = tuple({"role": turn["role"], "content": turn["content"]} for turn in prompt_messages(row, source))
        if turns and len(wanted) < rows:
            conversations.append(turns)
            wanted.append(Wanted(reference(row, source), labels=plan.labels))
    probes = probes_of(run, reference_recipe(run), stopped, tuple(conversations) or None)
    key = metric_for(source, [one.reference for one in wanted])
    score = checked_metric(key, source).score
    scorable = held_out and len(probes.conversations) == len(wanted) and all(one.reference for one in wanted)
    return _Asked(probes, tuple(wanted), key, score if scorable else None)


def _measured(format: str, setting: str, size: int, foreign: Foreign, asked: _Asked) -> ExportSpeed:
    model, tokenizer = foreign.model.eval(), foreign.tokenizer
    ends = end_token_ids(cast("PreTrainedModel", model), tokenizer)
    first, spent, tokens, said = [], 0.0, 0, []
    with torch.inference_mode(), few_threads(cast("PreTrainedModel", model)):
        prompts = foreign_prompts(tokenizer, asked.probes)
        greedy_answer(model, prompts[0], ends, tokenizer, asked.probes, 1)  # what is made on first use is not counted
        for prompt in prompts:
            began = time.perf_counter()
            greedy_answer(model, prompt, ends, tokenizer, asked.probes, 1)
            first.append(time.perf_counter() - began)
            began = time.perf_counter()
            answer = greedy_answer(model, prompt, ends, tokenizer, asked.probes)
            spent += time.perf_counter() - began
            tokens += len(answer)
            said.append(decode(tokenizer, list(answer)))
    scores = (
        [asked.score(text, wanted, RewardSettings()) for text, wanted in zip(said, asked.wanted, strict=False)]
        if asked.score
        else []
    )
    weights = sum(part.numel() * part.element_size() for part in chain(model.parameters(), model.buffers()))
    low, high = mean_interval(scores) if scores else (None, None)
    return ExportSpeed(
        format, setting, size, weights, statistics.median(first), tokens / max(spent, 1e-9),
        statistics.mean(scores) if scores else None, asked.metric, len(prompts), low, high,
    )  # fmt: skip
