"""How many tokens a row is: counted as a run counts what it has learnt from, whatever form its trainer reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from engine.models.loading import load_tokenizer
from engine.training.row_tokens import mean_row_tokens, row_tokens
from engine.types import Objective
from engine.workspace import PlanChoices, Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(Path(tmp_path_factory.mktemp("tokens")) / "workspace")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("row", "tokens"),
    [
        ({"input_ids": [1, 2, 3], "labels": [1, 2, 3]}, 3), ({"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5, 6]}, 8),
        ({"chosen_ids": [1, 2, 3], "rejected_ids": [1, 2]}, 5), ({"chosen_input_ids": [1, 2], "rejected_input_ids": [1], "prompt_input_ids": [1]}, 3),
        ({"prompt_ids": [1, 2], "completion_ids": [3], "label": True}, 3), ({"prompt": [], "answer": "", "length": 7}, 7),
    ],
)  # fmt: skip
def test_every_form_of_a_row_is_counted(row: Mapping[str, Sequence[int] | int], tokens: int) -> None:
    assert row_tokens(row) == tokens


@pytest.mark.parametrize(
    ("technique", "example", "steps"),
    [("lora", "shop", 4), ("classification", "sentiment", 4), ("dpo", "preference", 4), ("orpo", "preference", 4)],
)
def test_what_is_planned_is_about_what_a_run_says_it_learnt(
    workspace: Workspace, technique: str, example: str, steps: int
) -> None:
    dataset = workspace.data.inspect_example(example).dataset
    assert dataset
    plan = workspace.plan(PlanChoices(technique, dataset.fingerprint, "starter", {"max_steps": steps}))
    objective = {"lora": Objective.SFT}.get(technique) or Objective(technique)
    planned = steps * 8 * mean_row_tokens(plan, objective, load_tokenizer(plan.model))
    learnt = workspace.watching.compare([workspace.train(plan)]).figures[0].tokens_seen
    assert learnt and abs(planned / learnt - 1) < 0.1  # 32 rows of 240 differ a little from the mean


def test_texts_that_fill_rows_up_and_answers_that_are_written_are_counted_as_such(workspace: Workspace) -> None:
    texts, questions = (workspace.data.inspect_example(key).dataset for key in ("text", "prompts"))
    assert texts and questions
    tokenizer = load_tokenizer(workspace.model("starter"))
    full = workspace.plan(PlanChoices("continued_pretraining", texts.fingerprint, "starter"))
    assert 0.9 * 256 < mean_row_tokens(full, Objective.SFT, tokenizer) <= 256
    asked = workspace.plan(PlanChoices("grpo", questions.fingerprint, "starter"))
    assert mean_row_tokens(asked, Objective.GRPO, tokenizer) > 24  # half of the longest answer, and the question
