"""The Technique tab's pictures, lists and tables say what the engine's rows say, and nothing from data becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import PlanError, SettingError
from engine.guide.methods import METHODS, PARTS
from engine.guide.techniques import TECHNIQUES
from engine.training.probe import ProbeResult
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    GuideEntry,
    HeldOut,
    PretrainedModel,
    Technique,
    TrainingPlan,
)
from engine.workspace import (
    Change,
    ComparedTechnique,
    Fit,
    TechniqueChoice,
    TrainableShare,
    Workspace,
    moving_parts,
)
from ui import tab_technique, technique_table
from ui import technique_views as views
from ui.choices import Choices
from ui.pictures import NAMES, model_picture
from ui.technique_table import COLUMNS, comparison_table

EVIL = "<img src=x onerror=alert(1)>\"'&"
DATASET = Dataset(
    "f" * 64, EVIL, Path("/a"), Path("/b"), 20, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, EVIL, (EVIL,), {"prompt": EVIL},
)  # fmt: skip
MODEL = PretrainedModel(EVIL, EVIL, Path("/m"), 1_100_000, 1024, EVIL, "llama", layers=4)
PLAN = TrainingPlan(
    "lora", MODEL, DATASET, HeldOut("split", indices=(1, 2)), {}, "cpu", "float32",
    Estimate(100, {"weights": 60, EVIL: 40}, 12.0, 10, 100, 30),
)  # fmt: skip
EVIL_TECHNIQUE = replace(
    TECHNIQUES["orpo"], title=EVIL, family=EVIL, paper=EVIL, caution="Experimental " + EVIL,
    guide=GuideEntry(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL),
)  # fmt: skip
ALL = tuple(TechniqueChoice(technique, True) for technique in TECHNIQUES.values())


def row(technique: Technique, **more: object) -> ComparedTechnique:
    return replace(ComparedTechnique(technique, 1200, 10**9, 60.0, 4800, True, True), **more)  # type: ignore[arg-type]


DRAWN = {
    "models": views.models_panel([MODEL], EVIL),
    "hub models": views.hub_models_panel([replace(MODEL, path=None)]),
    "refused": views.refused(EVIL),
    "picker": views.techniques_panel(
        [TechniqueChoice(EVIL_TECHNIQUE, True, EVIL), TechniqueChoice(EVIL_TECHNIQUE, False, EVIL)], EVIL
    ),
    "card": views.guide(EVIL_TECHNIQUE, EVIL),
    "trained": views.trained(EVIL_TECHNIQUE, {"tuning_method": EVIL}, MODEL, TrainableShare(1, 2)),
    "table": comparison_table([row(EVIL_TECHNIQUE, misfit=EVIL), row(EVIL_TECHNIQUE, obstacle=EVIL)], EVIL, of=2),
    "cost": views.cost(PLAN, Fit("fits", 0.1, "Fits: about 1 GB of 10 GB will be needed.")),
    "mistakes": views.mistakes(PlanError([SettingError(EVIL, where=EVIL)])),
    "not measured": views.not_measured(EVIL),
    "picture": model_picture(["head"], meaning=EVIL, layers=4, gives=EVIL, quantised=True),
}


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_that_comes_from_data_becomes_markup(name: str) -> None:
    assert DRAWN[name]
    assert "<img" not in DRAWN[name]
    assert 'onerror=alert(1)>"' not in DRAWN[name]


def test_the_picker_offers_every_technique_once_in_the_guides_order() -> None:
    drawn = views.techniques_panel(ALL, "lora")
    assert re.findall(r'data-pick="([^"]+)"', drawn) == list(TECHNIQUES)
    assert drawn.count('aria-pressed="true"') == 1
    assert f"Search {len(TECHNIQUES)} techniques" in drawn


@pytest.mark.parametrize(("chosen", "opened"), [("dpo", False), ("vera", True)])
def test_the_kin_of_lora_is_folded_with_its_number_unless_one_of_it_is_chosen(chosen: str, opened: bool) -> None:
    drawn = views.techniques_panel(ALL, chosen)
    assert ('<details class="technique-family" open>' in drawn) is opened
    kin = sum(technique.family == views.FOLDED for technique in TECHNIQUES.values())
    assert kin > 5 and f"{kin} variants" in drawn


@pytest.mark.parametrize(
    ("key", "words"),
    [("dpo", "pairs"), ("kto", "thumbs"), ("rloo", "questions"), ("classification", "labels"),
     ("continued_pretraining", "plain text"), ("lora", "answers"), ("instruction", "answers")],
)  # fmt: skip
def test_what_does_not_fit_the_rows_says_in_two_words_what_it_needs_and_in_a_sentence_why(key: str, words: str) -> None:
    drawn = views.techniques_panel([TechniqueChoice(TECHNIQUES[key], True, "the whole reason")], "")
    assert f">needs {words}<" in drawn
    assert drawn.count("the whole reason") == 2  # one hover away, and for screen readers
    assert "disabled" not in drawn


def test_what_cannot_run_here_is_disabled_and_says_why() -> None:
    drawn = views.techniques_panel([TechniqueChoice(TECHNIQUES["qlora"], False, "no 4-bit weights here")], "")
    assert "disabled" in drawn and "no 4-bit weights here" in drawn and "needs" not in drawn


def test_experimental_ones_are_marked() -> None:
    drawn = views.techniques_panel(ALL, "lora")
    assert drawn.count(">experimental<") == sum(map(views.is_experimental, TECHNIQUES.values())) > 0


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=lambda technique: technique.key)
def test_the_card_says_all_that_the_guide_says_in_its_order(technique: Technique) -> None:
    drawn = views.guide(technique)
    heads = ["When to use it", "When not", "What it costs", "Data it needs", "For example"]
    assert re.findall(r"<h3>(.+?)</h3>", drawn) == heads
    assert ('class="caution"' in drawn) is bool(technique.caution)
    assert "misfit" not in drawn and "misfit" in views.guide(technique, "why not")


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=lambda technique: technique.key)
def test_every_part_that_moves_is_marked_in_the_picture_and_named_in_words(technique: Technique) -> None:
    moving = moving_parts(technique, {})
    drawn = views.trained(technique, {}, MODEL, None)
    assert moving and moving <= set(PARTS)
    assert all(PARTS[part] in drawn for part in moving)
    boxes = sum(2 if part == "norm" else 1 for part in moving if part in NAMES)
    assert drawn.count('<rect class="moves"') == boxes
    assert drawn.count('class="moving-name"') >= len(moving)
    assert 'role="img" aria-label="Trained: ' in drawn


def test_settings_leave_parts_out_of_the_picture() -> None:
    assert "beside mlp" not in moving_parts(TECHNIQUES["lora"], {"target_modules": "attention"})
    assert moving_parts(TECHNIQUES["adapters"], {"adapter_placement": "after_mlp"}) == {"after mlp"}
    assert "embedding" not in moving_parts(TECHNIQUES["full"], {"frozen_layers": "2"})
    assert moving_parts(TECHNIQUES["classification"], {"tuning_method": "prompt_tuning"}) == {"input", "head"}


def test_what_can_be_done_with_the_result_and_how_much_moves_stands_below_the_picture() -> None:
    drawn = views.trained(TECHNIQUES["prompt_tuning"], {}, MODEL, TrainableShare(2_560, 1_102_560))
    figures = re.findall(r"<dd>(.+?)</dd>", drawn)
    assert figures == ["2,560", "0.2 %", "no", "yes"]
    assert re.findall(r"<dd>(.+?)</dd>", views.trained(TECHNIQUES["full"], {}, MODEL, None))[2] == "not needed"


def test_the_table_has_a_row_a_technique_sorts_by_every_head_and_marks_the_chosen_one() -> None:
    drawn = comparison_table([row(technique) for technique in TECHNIQUES.values()], "dpo", of=len(TECHNIQUES))
    assert drawn.count("<tr ") == len(TECHNIQUES)
    assert drawn.count('aria-sort="none"') == drawn.count("data-sort=") == 1 + len(COLUMNS)
    assert re.findall(r'aria-current="true"><th scope="row" data-value="([^"]+)"', drawn) == ["DPO"]
    assert f'data-pick="{technique_table.CLOSE}"' in drawn


def test_the_table_tells_what_is_unknown_and_why() -> None:
    unknown = row(TECHNIQUES["dpo"], memory_bytes=None, seconds=None, misfit="it learns from pairs")
    drawn = comparison_table([unknown], "", of=39)
    assert drawn.count('data-value="">\u2013<') == 2
    assert ">needs pairs<" in drawn and "it learns from pairs" in drawn
    assert "1 of 39" in drawn


@pytest.mark.parametrize("part", ["quantisation", "reference", "generation", "reward_model"])
def test_every_part_of_the_memory_has_a_name_for_people(part: str) -> None:
    assert part not in views.cost(
        replace(PLAN, estimate=replace(PLAN.estimate, memory_parts={part: 5})), Fit("tight", 0.9, "Tight: much.")
    )


def test_one_step_is_shown_beside_what_was_predicted() -> None:
    drawn = views.measured(ProbeResult(1_100_000, 1_000_000, 0.25))
    assert "1.1 MB" in drawn and "1.0 MB" in drawn and "0.25 s" in drawn
    assert "10 % more than predicted" in drawn


def test_all_mistakes_of_a_plan_are_shown_at_once_beside_a_disabled_button() -> None:
    drawn = views.mistakes(PlanError([SettingError("one"), SettingError("two")]))
    assert "2 things to put right" in drawn
    assert drawn.count("<li>") == 2
    assert "disabled" in drawn


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


def test_settings_that_no_longer_exist_are_dropped_when_the_method_changes(workspace: Workspace) -> None:
    sent = {"tuning_method": "prompt_tuning", "lora_rank": "4", "learning_rate": "0.2", "nonsense": "1"}
    kept = tab_technique.kept_settings(workspace, Choices(technique="instruction"), sent)
    assert kept.overrides == {"tuning_method": "prompt_tuning", "learning_rate": "0.2"}


def test_what_nothing_reads_now_is_said_to_be_so(workspace: Workspace) -> None:
    chosen = Choices(technique="grpo")
    notes = tab_technique.notes_of(workspace, chosen)
    assert set(notes.disabled) == {"reward_pattern", "reward_target_words", "reward_run"}
    assert "Matches a pattern" in notes.disabled["reward_pattern"]
    short = tab_technique.notes_of(workspace, chosen.with_settings({"reward": "length"}))
    assert "reward_target_words" not in short.disabled
    assert notes.titles["reward_run"] == {"": "none yet: train a reward model first"}


@pytest.mark.parametrize(("method", "idle"), [("prefix_tuning", True), ("p_tuning", False)])
def test_the_width_of_the_small_network_matters_only_where_there_is_one(
    workspace: Workspace, method: str, idle: bool
) -> None:
    notes = tab_technique.notes_of(workspace, Choices(technique=method))
    assert ("encoder_hidden_size" in notes.disabled) is idle


def test_options_that_do_not_go_with_the_objective_are_named(workspace: Workspace) -> None:
    notes = tab_technique.notes_of(workspace, Choices(technique="dpo"))
    assert "pissa" in notes.options["tuning_method"]
    assert notes.titles["tuning_method"]["pissa"] == METHODS[TECHNIQUES["pissa"].method].title


def test_mistakes_speak_the_words_of_people(workspace: Workspace) -> None:
    pairs = workspace.data.inspect_example("preference").dataset
    assert pairs is not None
    drawn = tab_technique.cost_of(workspace, Choices(dataset=pairs.fingerprint, technique="lora"))
    assert "better and a worse answer" in drawn
    assert not [kind for kind in DatasetType if "_" in kind and kind.value in drawn]


def test_all_techniques_are_compared_for_a_model_and_its_rows(workspace: Workspace) -> None:
    shop = workspace.data.inspect_example("shop").dataset
    assert shop is not None
    rows = {each.technique.key: each for each in workspace.planner.compare_techniques("starter", shop.fingerprint)}
    assert list(rows) == list(TECHNIQUES)
    assert rows["dpo"].misfit and rows["dpo"].memory_bytes is None and rows["dpo"].trainable_parameters
    assert rows["full"].file_bytes > rows["lora"].file_bytes > rows["ia3"].file_bytes > 0
    assert not [key for key, each in rows.items() if each.obstacle]


def test_what_does_not_fit_comes_with_a_change_one_click_away() -> None:
    error = PlanError([SettingError("this does not fit in memory", where="memory")])
    shown = views.too_large(error, Change("lora", {"max_length": 64}, "Halve the longest row; then 2 GB are needed."))
    assert "Halve the longest row" in shown
    assert f'data-pick="{views.APPLY}"' in shown
    assert "data-pick" not in views.too_large(error, None)


def test_a_change_that_is_applied_keeps_what_else_was_chosen() -> None:
    chosen = Choices(dataset="a", technique="full", settings=(("seed", 3),))
    lighter = tab_technique.with_change(chosen, Change("lora", {"max_length": 64}, "LoRA", ""))
    assert (lighter.technique, lighter.dataset, lighter.overrides) == ("lora", "a", {"seed": 3, "max_length": 64})
