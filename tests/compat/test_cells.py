"""What the tables allow trains, and what they forbid is refused with their sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from engine.errors import PlanError
from engine.guide.compatibility import RULES
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.types import Run, TuningMethod
from tests.compat.cells import Cell, default_cells, matrix, sample
from tests.compat.laboratory import THINGS, Laboratory

ALL = "COMPAT_ALL"
"""Set by `make compat`: every allowed cell trains, which takes a quarter of an hour."""

QUESTIONS = [
    *(f"Do you have {thing}?" for thing in THINGS), "What is the capital of Spain?", "Who are you?", "Say hello to me.", "Write two lines.",
]  # fmt: skip
MATRIX = list(matrix())
ALLOWED = [cell for cell in MATRIX if not cell.broken]
FORBIDDEN = [cell for cell in MATRIX if cell.broken]


def test_the_matrix_holds_every_method_with_every_objective() -> None:
    assert {(cell.method, cell.row.objective) for cell in MATRIX} == {(m, o) for m in METHODS for o in OBJECTIVES}
    assert len(ALLOWED) > 250 and len(FORBIDDEN) > 15


@pytest.mark.parametrize("cell", default_cells(), ids=str)
def test_a_technique_trains_with_its_defaults_and_its_base_pane_stays_the_base(
    cell: Cell, train_and_check: Callable[[Cell], Run], laboratory: Laboratory
) -> None:
    """Beside it the base gives the tokens of a base that transformers alone loads."""
    assert not cell.broken
    run = train_and_check(cell)
    tested = laboratory.workspace.seating.self_test(run.id, QUESTIONS)
    assert (tested.same, tested.prompts) == (20, 20)


@pytest.mark.parametrize("cell", sample(), ids=str)
def test_methods_and_objectives_train_with_each_option(cell: Cell, train_and_check: Callable[[Cell], Run]) -> None:
    train_and_check(cell)


HALVED = {"bf16": "true", "group_by_length": "always", "gradient_accumulation_steps": "2"}
IN_16_BITS = [Cell("instruction", method, "answers", HALVED) for method in METHODS]
IN_16_BITS += [
    Cell(key, TuningMethod.LORA, file, HALVED)
    for key, file in (("dpo", "pairs"), ("orpo", "pairs"), ("classification", "labels"), ("reward_model", "pairs"))
]


@pytest.mark.parametrize("cell", [cell for cell in IN_16_BITS if not cell.broken], ids=str)
def test_methods_and_objectives_train_in_16_bits_and_in_batches_of_equal_cost(
    cell: Cell, train_and_check: Callable[[Cell], Run]
) -> None:
    train_and_check(cell)


@pytest.mark.parametrize("cell", ALLOWED if os.environ.get(ALL) else [], ids=str)
def test_every_allowed_cell_trains(cell: Cell, train_and_check: Callable[[Cell], Run]) -> None:
    train_and_check(cell)


M = TuningMethod
FORBIDDEN_OPTIONS = {
    "prefix_checkpointing": Cell("dpo", M.PREFIX_TUNING, "pairs", {"gradient_checkpointing": "true"}),
    "llama_adapter_checkpointing": Cell("instruction", M.LLAMA_ADAPTER, "answers", {"gradient_checkpointing": "true"}),
    "paged_device": Cell("qlora", M.QLORA, "answers", {"optim": "paged_adamw_8bit"}),
    "bfloat16_quantised": Cell("qlora", M.QLORA, "answers", {"bf16": "true"}),
    "packing_rows": Cell("lora", M.LORA, "answers", {"packing": "true"}),
    "text_only": Cell("continued_pretraining", M.FULL, "messages"),
    "instruction_text": Cell("instruction", M.LORA, "text"),
    "pattern": Cell("rloo", M.LORA, "questions", {"reward": "matches_pattern", "reward_pattern": "(tea"}),
    "answer_wanted": Cell("grpo", M.LORA, "questions", {"reward": "exact_answer"}),
    "reward_run": Cell("rloo", M.LORA, "questions", {"reward": "reward_model", "reward_run": ""}),
    "group_of_answers": Cell("rlhf", M.LORA, "pairs", {"num_generations": 3}),
    "robust_doubt": Cell("dpo", M.LORA, "pairs", {"dpo_loss_type": "robust", "label_smoothing": 0.0}),
    "kto_pairs": Cell("kto", M.LORA, "thumbs", {"per_device_train_batch_size": 1}),
    "ranks": Cell("adalora", M.ADALORA, "answers", {"init_r": 4, "target_r": 5}),
    "frozen": Cell("full", M.FULL, "answers", {"frozen_layers": 4}),
    "reporter": Cell("lora", M.LORA, "answers", {"report_to": "wandb"}),
    "start_words": Cell(
        "prompt_tuning", M.PROMPT_TUNING, "answers", {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": " "}
    ),
}
OF_METHODS = {rule.key for cell in FORBIDDEN for rule in cell.broken}
ELSEWHERE = {"llama_adapter_family", "quantised_device", "full_half", "bfloat16_device"}
"""Rules about other models and devices than are here; the guide's own tests hold them."""


def test_every_rule_is_broken_by_some_cell() -> None:
    assert {rule.key for rule in RULES} == OF_METHODS | set(FORBIDDEN_OPTIONS) | ELSEWHERE


@pytest.mark.parametrize("rule", FORBIDDEN_OPTIONS)
def test_a_forbidden_option_is_refused_with_its_sentence(rule: str, laboratory: Laboratory) -> None:
    cell = FORBIDDEN_OPTIONS[rule]
    if rule == "paged_device" and laboratory.workspace.hardware().device == "cuda":
        pytest.skip("it works on this card")
    if rule == "reporter" and find_spec("wandb"):
        pytest.skip("it is installed here")
    assert rule in {broken.key for broken in cell.broken}
    assert told_against(cell, laboratory) >= sentences(cell)


@pytest.mark.parametrize("cell", FORBIDDEN, ids=str)
def test_a_forbidden_cell_is_refused_with_its_sentence(cell: Cell, laboratory: Laboratory) -> None:
    assert told_against(cell, laboratory) >= sentences(cell) != set()


def sentences(cell: Cell) -> set[str]:
    return {rule.sentence(cell.combination).lower() for rule in cell.broken}


def told_against(cell: Cell, laboratory: Laboratory) -> set[str]:
    with pytest.raises(PlanError) as refused:
        laboratory.plan(cell)
    return {mistake.what.lower() for mistake in refused.value.mistakes}
