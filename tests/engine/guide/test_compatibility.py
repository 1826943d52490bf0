"""Every rule forbids what it says and nothing beside it, and each reason is a sentence about the control it names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from engine.guide.compatibility import (
    ONLY_WHEN,
    OPTION_TITLES,
    RULES,
    Combination,
    broken_rules,
    idle_settings,
    reasons_by_option,
)
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from engine.types import DatasetFormat, DatasetType, TuningMethod, Value

ANSWERS, TEXTS = DatasetType.PROMPT_COMPLETION, DatasetType.LANGUAGE_MODELING


def of(technique: str, dataset_type: DatasetType | None = None, **settings: Value) -> Combination:
    return Combination(TECHNIQUES[technique], settings, dataset_type, DatasetFormat.STANDARD)


@dataclass(frozen=True)
class Pair:
    """A combination that breaks a rule, and its neighbour that does not."""

    broken: Combination
    whole: Combination


PAIRS = {
    "prefix_checkpointing": Pair(
        of("prefix_tuning", gradient_checkpointing="true"), of("prefix_tuning", gradient_checkpointing="false")
    ),
    "llama_adapter_checkpointing": Pair(
        of("llama_adapter", gradient_checkpointing=True), of("lora", gradient_checkpointing=True)
    ),
    "soft_prompt_sampling": Pair(of("rloo", tuning_method="p_tuning"), of("dpo", tuning_method="p_tuning")),
    "soft_prompt_pairs": Pair(of("orpo", tuning_method="prompt_tuning"), of("orpo", tuning_method="prefix_tuning")),
    "llama_adapter_family": Pair(replace(of("llama_adapter"), family="qwen2"), replace(of("llama_adapter"), family="llama")),
    "llama_adapter_objective": Pair(
        of("dpo", tuning_method="llama_adapter"), of("instruction", tuning_method="llama_adapter")
    ),
    "reference_moves": Pair(of("dpo", tuning_method="pissa"), of("orpo", tuning_method="pissa")),
    "quantised_device": Pair(replace(of("qlora"), device="mps"), replace(of("qlora"), device="cpu")),
    "full_half": Pair(replace(of("full"), dtype="float16"), replace(of("full"), dtype="float32")),
    "bfloat16_device": Pair(
        replace(of("lora", bf16=True), device="mps"), replace(of("lora", bf16=True), device="cuda")
    ),
    "bfloat16_quantised": Pair(
        replace(of("qlora", bf16=True), device="cpu"), replace(of("qlora", bf16=True), device="cuda")
    ),
    "paged_device": Pair(
        replace(of("lora", optim="paged_adamw_8bit"), device="cpu"), replace(of("lora", optim="paged_adamw_8bit"), device="cuda")
    ),
    "packing_rows": Pair(of("lora", ANSWERS, packing="true"), of("lora", TEXTS, packing="true")),
    "text_only": Pair(
        replace(of("continued_pretraining", TEXTS), dataset_format=DatasetFormat.CONVERSATIONAL), of("continued_pretraining", TEXTS)
    ),
    "instruction_text": Pair(of("instruction", TEXTS), of("instruction", ANSWERS)),
    "pattern": Pair(
        of("rloo", reward="matches_pattern", reward_pattern="(tea"), of("rloo", reward="matches_pattern", reward_pattern="tea")
    ),
    "answer_wanted": Pair(
        of("grpo", DatasetType.PROMPT_ONLY, reward="exact_answer"), of("grpo", ANSWERS, reward="exact_answer")
    ),
    "reward_run": Pair(of("rloo", reward="reward_model", reward_run=" "), of("rloo", reward="reward_model", reward_run="a")),
    "group_of_answers": Pair(
        of("rloo", num_generations=4, per_device_train_batch_size=6),
        of("rloo", num_generations=4, per_device_train_batch_size=6, gradient_accumulation_steps=2),
    ),
    "robust_doubt": Pair(
        of("dpo", dpo_loss_type="robust", label_smoothing=0.0), of("dpo", dpo_loss_type="robust", label_smoothing=0.1)
    ),
    "kto_pairs": Pair(of("kto", per_device_train_batch_size=1), of("kto", per_device_train_batch_size=2)),
    "ranks": Pair(of("adalora", init_r=8, target_r=9), of("adalora", init_r=8, target_r=8)),
    "frozen": Pair(replace(of("full", frozen_layers=4), layers=4), replace(of("full", frozen_layers=3), layers=4)),
    "reporter": Pair(of("lora", report_to="no_such_tool"), of("lora", report_to="none")),
    "start_words": Pair(
        of("prompt_tuning", prompt_tuning_init="TEXT", prompt_tuning_init_text=" "),
        of("prompt_tuning", prompt_tuning_init="RANDOM", prompt_tuning_init_text=""),
    ),
}  # fmt: skip


def test_every_rule_has_a_pair_here() -> None:
    assert {rule.key for rule in RULES} == set(PAIRS) and len(RULES) == len(PAIRS) > 20


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_rule_forbids_its_combination_and_not_the_neighbour(rule) -> None:
    assert rule in broken_rules(PAIRS[rule.key].broken)
    assert broken_rules(PAIRS[rule.key].whole) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_reason_is_a_whole_clause_about_a_control_that_is_there(rule) -> None:
    sentence = rule.sentence(PAIRS[rule.key].broken)
    assert sentence and not sentence.endswith(".") and "{" not in sentence
    assert rule.next_step.endswith(".")
    assert rule.setting in {*HYPERPARAMETERS, "technique", "data", "model"}


def test_a_combination_of_which_nothing_is_known_yet_breaks_no_rule() -> None:
    assert [key for key, row in TECHNIQUES.items() if broken_rules(Combination(row))] == []


def test_an_impossible_option_is_told_before_it_is_chosen_and_the_possible_ones_are_not() -> None:
    reasons = reasons_by_option(of("rloo", tuning_method="lora"), "tuning_method")
    assert set(reasons) == {"prompt_tuning", "p_tuning", "llama_adapter", "pissa", "olora"}
    assert reasons["pissa"].startswith("PiSSA changes the model's own weights")


def test_the_reason_against_an_option_does_not_depend_on_what_is_chosen_now() -> None:
    now_impossible = reasons_by_option(of("rloo", tuning_method="pissa"), "tuning_method")
    assert now_impossible == reasons_by_option(of("rloo", tuning_method="lora"), "tuning_method")


def test_a_switch_that_cannot_be_on_says_so_for_on_alone() -> None:
    assert set(reasons_by_option(of("prefix_tuning"), "gradient_checkpointing")) == {"true"}


@pytest.mark.parametrize("key", [key for key, row in HYPERPARAMETERS.items() if row.choices])
def test_every_setting_with_options_leaves_something_to_choose(key: str) -> None:
    for technique in TECHNIQUES.values():
        if key in technique.hyperparameters and not (key == "tuning_method" and not technique.methods):
            assert len(reasons_by_option(Combination(technique), key)) < len(HYPERPARAMETERS[key].choices)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_lora_is_never_forbidden(objective) -> None:
    carriers = [row for row in TECHNIQUES.values() if row.objective is objective and row.methods]
    assert carriers
    for row in carriers:
        assert broken_rules(Combination(row, {"tuning_method": "lora"})) == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_learn_from_given_answers(method: TuningMethod) -> None:
    assert broken_rules(of("instruction", ANSWERS, tuning_method=method.value)) == []


def test_what_is_only_read_sometimes_names_settings_and_options_that_exist() -> None:
    for key, (deciding, wanted) in ONLY_WHEN.items():
        row = HYPERPARAMETERS[deciding]
        assert key in HYPERPARAMETERS and (not row.choices or {str(value) for value in wanted} <= set(row.choices))


def test_options_have_titles_only_where_they_are_options() -> None:
    for key, titles in OPTION_TITLES.items():
        assert set(titles) == set(HYPERPARAMETERS[key].choices)


def test_a_setting_that_nothing_reads_says_when_it_would_be() -> None:
    rows = [HYPERPARAMETERS[key] for key in ("reward", "reward_pattern", "reward_target_words")]
    assert set(idle_settings(rows, {"reward": "length"})) == {"reward_pattern"}
    assert "Matches a pattern" in idle_settings(rows, {"reward": "length"})["reward_pattern"]


def test_the_width_of_the_small_network_matters_wherever_no_switch_turns_the_network_off() -> None:
    width, switch = HYPERPARAMETERS["encoder_hidden_size"], HYPERPARAMETERS["prefix_projection"]
    assert idle_settings([width], {}) == {}
    assert set(idle_settings([width, switch], {"prefix_projection": "false"})) == {"encoder_hidden_size"}
    assert idle_settings([width, switch], {"prefix_projection": "true"}) == {}
