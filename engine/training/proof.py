"""Whether a run did what it says: its result is loaded again from disk and compared with memory and with the base.

Looks at some held-out questions. What is not as it should be is said in a sentence; nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

from engine.data.chat_format import IGNORED_LABEL, prompt_token_ids
from engine.events import RunProved
from engine.models.decoding import Speaker
from engine.models.loading import end_token_ids, load_tuned
from engine.models.tuned import Recipe
from engine.training.trainers import Row, TrainerParts

PROBES = 4
ANSWER_TOKENS = 24
LONGEST_PROBE_TOKENS = 512

TOLERANCES: Mapping[str, float] = {"float32": 2e-3, "bfloat16": 0.25, "float16": 0.1}
"""How far logits may differ and still be the same, by the format of the weights: what another order of the same sums makes of them."""
QUANTISED_TOLERANCE = 0.5
"""4-bit kernels round otherwise in training and in answering, and trl rounds the adapter to bfloat16 there; measured on the starter
model: 0.07, on a random one: 0.15 (trl 1.16, bitsandbytes 0.50)."""


@dataclass(frozen=True)
class Observation:
    """What was seen of the model in memory when its training ended.

    Attributes:
        questions: Some questions, as tokens.
        logits: The last logits for each, (probes, outputs).
        moved: Whether any trained number is another than at the start.
    """

    questions: list[list[int]]
    logits: torch.Tensor
    moved: bool


@dataclass(frozen=True)
class Proof:
    """What was seen of the result after it was loaded again; see `RunProved`."""

    weights_moved: bool
    probes: int
    answers_changed: int
    reload_difference: float
    base_difference: float
    tolerance: float
    problems: tuple[str, ...]

    def to_event(self, run: str, step: int) -> RunProved:
        """Return what the run says of it."""
        return RunProved(run=run, step=step, **asdict(self))


def fingerprint(model: object) -> float:
    """Return a number that changes when any trained weight does."""
    assert isinstance(model, torch.nn.Module)
    with torch.no_grad():
        return sum(_sampled_sum(weight) for weight in model.parameters() if weight.requires_grad)


SAMPLED_NUMBERS = 4096


def _sampled_sum(weight: torch.Tensor) -> float:
    """Return the sum of some of a tensor's numbers, in double precision on the processor: exact enough to see any step."""
    flat = weight.detach().reshape(-1)
    return float(flat[:: max(1, flat.numel() // SAMPLED_NUMBERS)].cpu().double().abs().sum())


def observe(trainer: Trainer, parts: TrainerParts, before: float) -> Observation:
    """Look at the trained model while it is in memory.

    Args:
        trainer: When its training has ended.
        parts: What it was made of.
        before: `fingerprint` of the model before its first step.
    """
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    rows = parts.held_out or parts.rows
    questions = [question_of(rows[place], parts.tokenizer) for place in range(min(PROBES, len(rows)))]
    return Observation(questions, _last_logits(model.eval(), questions), fingerprint(model) != before)


def prove(recipe: Recipe, seen: Observation, checkpoint: Path, tokenizer: PreTrainedTokenizerBase) -> Proof:
    """Load the base and the checkpoint and compare. The trained model should be out of memory by now.

    Args:
        recipe: How both are loaded.
        seen: What the model gave while it was in memory.
        checkpoint: Its sealed folder.
        tokenizer: The model's.
    """
    base = recipe.base()
    untouched = _last_logits(base, seen.questions)
    said_before = _answers(base, seen.questions, tokenizer)
    again = untouched
    if recipe.shares_base:
        tuned: PreTrainedModel | PeftModel = load_tuned(base, checkpoint)
        with cast(PeftModel, tuned).disable_adapter():
            again = _last_logits(base, seen.questions)
    else:  # a model of its own, beside which the base is loaded from its own files; both at once may not fit
        del base
        tuned = recipe.tuned(checkpoint)
    reloaded = _last_logits(tuned, seen.questions)
    if recipe.outputs:
        changed = len(seen.questions)  # labels and rewards are something that the base does not say at all
    else:
        said_now = _answers(tuned, seen.questions, tokenizer)
        changed = sum(now != before for now, before in zip(said_now, said_before, strict=True))
    return _judged(recipe, seen, changed, _difference(seen.logits, reloaded), _difference(untouched, again))


def _judged(recipe: Recipe, seen: Observation, changed: int, reload_difference: float, base_difference: float) -> Proof:
    tolerance = QUANTISED_TOLERANCE if recipe.quantisation else TOLERANCES[recipe.dtype]
    base_tolerance = 0.0 if recipe.quantisation is None else tolerance
    problems = []
    if not seen.moved:
        problems.append("No weight moved: nothing was learnt. Raise the learning rate or the number of steps.")
    if reload_difference > tolerance:
        problems.append(
            f"The checkpoint answers otherwise than the model did in memory (logits differ by {reload_difference:.3g}, "
            f"at most {tolerance:g} was expected): do not trust it before it is compared."
        )
    if base_difference > base_tolerance:
        problems.append(f"The base beside it is not the untouched one (logits differ by {base_difference:.3g}).")
    if not problems and not changed:
        problems.append(
            "No answer to the questions tried has changed yet. More steps or a higher learning rate may be needed."
        )
    return Proof(
        seen.moved, len(seen.questions), changed, reload_difference, base_difference, tolerance, tuple(problems)
    )  # fmt: skip


def question_of(row: Row, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens of a row that stand before its answer; of plain text its first half."""
    plain = cast("Mapping[str, object]", row)
    if "prompt" in plain:
        ids = prompt_token_ids(cast("list[dict[str, str]]", plain["prompt"]), tokenizer)
    elif "labels" in plain and isinstance(plain["labels"], list):
        labels = cast("list[int]", plain["labels"])
        start = next((place for place, label in enumerate(labels) if label != IGNORED_LABEL), 0)
        ids = list(row["input_ids"])[: start or max(1, len(labels) // 2)]
    else:
        name = next(name for name in ("prompt_ids", "prompt_input_ids", "input_ids", "chosen_ids") if name in plain)
        ids = list(row[name])
    return ids[-LONGEST_PROBE_TOKENS:]


def _last_logits(model: PreTrainedModel | PeftModel, questions: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return (probes, outputs): the last logits of a model that writes, or what its head says."""
    found = []
    with torch.inference_mode():
        for question in questions:
            ids = torch.tensor([list(question)], device=model.device)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            found.append((logits if logits.dim() == 2 else logits[:, -1])[0].float().cpu())
    return torch.stack(found) if found else torch.zeros(0, 0)


def _answers(
    model: PreTrainedModel | PeftModel, questions: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase
) -> list[list[int]]:
    """Answer greedily, one question at a time, a few tokens."""
    said = []
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    ends = end_token_ids(cast(PreTrainedModel, inner), tokenizer)
    speaker = cast(Speaker, model)
    with torch.inference_mode():
        for question in questions:
            ids = torch.tensor([list(question)], device=model.device)
            output = speaker.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=ANSWER_TOKENS,
                eos_token_id=ends, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
            said.append([int(token) for token in output[0, len(question) :]])
    return said


def _difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max()) if first.numel() else 0.0
