"""What is said about choices before there is a plan: which options are left, and which techniques suit rows and model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.errors import UsageError
from engine.guide.techniques import TECHNIQUES
from engine.workspace import Workspace
from tests.compat.laboratory import Laboratory


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("planner")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture
def workspace(laboratory: Laboratory) -> Workspace:
    return laboratory.workspace


def test_methods_that_an_objective_cannot_use_are_named_with_their_reason(workspace: Workspace) -> None:
    reasons = workspace.planner.setting_reasons("rloo", "starter", {})["tuning_method"]
    assert set(reasons) == {"prompt_tuning", "p_tuning", "pissa", "olora", "llama_adapter"}
    assert all(reasons.values())


def test_where_every_option_is_possible_nothing_is_said(workspace: Workspace) -> None:
    assert "dpo_loss_type" not in workspace.planner.setting_reasons("dpo", "starter", {"label_smoothing": 0.1})
    assert "tuning_method" not in workspace.planner.setting_reasons("instruction", "starter", {})


def test_an_option_becomes_impossible_by_what_was_changed_beside_it(workspace: Workspace) -> None:
    assert "gradient_checkpointing" not in workspace.planner.setting_reasons(
        "dpo", "starter", {"tuning_method": "lora"}
    )
    changed = workspace.planner.setting_reasons("dpo", "starter", {"tuning_method": "prefix_tuning"})
    assert set(changed["gradient_checkpointing"]) == {"true"}


def test_the_robust_loss_is_impossible_until_labels_may_be_doubted(workspace: Workspace) -> None:
    assert set(workspace.planner.setting_reasons("dpo", "starter", {})["dpo_loss_type"]) == {"robust"}


def test_rows_decide_which_rewards_can_be_given(laboratory: Laboratory) -> None:
    with_answers, without = (
        laboratory.workspace.planner.setting_reasons("grpo", "starter", {}, laboratory.rows(name)).get("reward", {})
        for name in ("answers", "questions")
    )
    assert "exact_answer" not in with_answers and "exact_answer" in without


@pytest.mark.parametrize(("rows", "said"), [("answers", {"true"}), ("messages", {"true"}), ("text", set())])
def test_only_plain_text_can_be_filled_up(laboratory: Laboratory, rows: str, said: set[str]) -> None:
    reasons = laboratory.workspace.planner.setting_reasons("lora", "starter", {}, laboratory.rows(rows))
    assert set(reasons.get("packing", {})) == said


def test_before_rows_are_chosen_nothing_is_impossible_because_of_them(workspace: Workspace) -> None:
    assert "packing" not in workspace.planner.setting_reasons("lora", "starter", {})


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_value_that_a_setting_starts_with_is_never_impossible(technique: str, laboratory: Laboratory) -> None:
    workspace = laboratory.workspace
    started = {row.key: str(row.default).lower() for row in workspace.planner.hyperparameters(technique, "starter")}
    reasons = workspace.planner.setting_reasons(technique, "starter", {})
    assert [key for key, options in reasons.items() if started[key] in options] == []


def test_rows_that_do_not_suit_are_refused_in_words_and_rows_that_do_are_not(laboratory: Laboratory) -> None:
    against = {
        (technique, rows): laboratory.workspace.planner.reason_against(technique, laboratory.rows(rows))
        for technique in ("continued_pretraining", "instruction", "dpo", "rloo", "kto") for rows in ("text", "messages", "pairs")
    }  # fmt: skip
    suits = {key for key, reason in against.items() if reason is None}
    assert suits == {("continued_pretraining", "text"), ("instruction", "messages"), ("dpo", "pairs")}
    assert "thumb up or down" in str(against[("kto", "pairs")])


def test_an_unknown_technique_is_a_sentence(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="no technique"):
        workspace.planner.setting_reasons("magic", "starter", {})
