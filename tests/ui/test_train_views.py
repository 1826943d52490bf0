"""What a run of any technique shows: its figures, its stages, its labels, whether it was real, and what comes next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.events import EvaluationLogged, RunProved, RunWarned
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
)
from engine.workspace import Chair, GenerationSettings, SeriesDelta, Workspace
from ui import chat, chat_views, compare_views, tab_train, train_views, words
from ui.choices import Choices
from ui.confusion_view import MOST_LABELS, confusion_table, most_confused
from ui.proof_view import memory_shown, proof_shown, warnings_shown
from ui.rewarding import choices_after_reward_model
from ui.run_reading import Reading, readings_of, stages_shown
from ui.the_way import next_steps

SETTINGS = {
    "learning_rate": 0.1, "reward_learning_rate": 0.1, "per_device_train_batch_size": 8, "max_steps": 4, "policy_objective": "rloo",
    "num_generations": 4,
}  # fmt: skip
DATASET = Dataset(
    "f" * 64, "Rows", Path("/a"), Path("/b"), 20, DatasetType.PREFERENCE, DatasetFormat.STANDARD, "preference", ()
)
MODEL = PretrainedModel("starter", "Starter", Path("/m"), 1_100_000, 1024, "free", "llama")
PROVED = RunProved(
    run="r", step=4, weights_moved=True, probes=4, answers_changed=3, reload_difference=0.0, base_difference=0.0, tolerance=0.002
)  # fmt: skip
LOOK = EvaluationLogged(
    run="r", step=4, loss=0.5, seconds=1.0, accuracy=0.75, f1=0.7, labels=("good", "bad"), confusion=((2, 0), (1, 1))
)


def run_of(technique: str, status: RunStatus = RunStatus.RUNNING, step: int = 0, rows: Dataset = DATASET) -> Run:
    estimate = Estimate(900_000_000, {}, 1.0, 10, 100, 4)
    plan = TrainingPlan(technique, MODEL, rows, HeldOut("none"), SETTINGS, "cpu", "float32", estimate)
    return Run("r", "r", status, plan, Path("/r"), 0.0, step=step, steps=4)


@pytest.mark.parametrize(
    ("technique", "readings"),
    [
        ("lora", [Reading.TEXT]), ("dpo", [Reading.PAIRS]), ("kto", [Reading.THUMBS]), ("classification", [Reading.LABELS]),
        ("reward_model", [Reading.JUDGE]), ("grpo", [Reading.OWN_ANSWERS]), ("rlhf", [Reading.JUDGE, Reading.OWN_ANSWERS]),
    ],
)  # fmt: skip
def test_a_run_is_read_by_what_its_stages_learn_from(technique: str, readings: list[Reading]) -> None:
    assert list(readings_of(run_of(technique))) == readings


def test_the_parts_of_a_chain_are_told_apart_and_a_run_of_one_part_shows_none() -> None:
    assert stages_shown(run_of("dpo")) == []
    first, second = stages_shown(run_of("rlhf", step=2))
    assert (first["title"], first["state"]) == ("Stage 1 of 2, reward model", "now")
    assert (second["says"], second["begins"]) == ("comes next", 4)
    assert [part["state"] for part in stages_shown(run_of("rlhf", step=5))] == ["done", "now"]


def test_the_page_is_told_which_chart_is_large_and_gets_warnings_and_proof() -> None:
    warned = RunWarned(run="r", step=0, message="2 rows are cut.", next_step="Raise it.")
    delta = SeriesDelta(3, False, (), "finished", 4, 4, warned=(warned,), proved=PROVED, peak_memory_bytes=800_000_000)
    answer = train_views.live_answer(run_of("grpo", RunStatus.FINISHED), delta)
    assert answer["main"] == "reward" and answer["confusion"] is None
    assert answer["warnings"] == [{"tone": "warning", "word": "Check", "says": "2 rows are cut.", "next": "Raise it."}]
    assert "Predicted 900 MB, used 800 MB" in str(answer["proof"])


@pytest.mark.parametrize(
    ("chosen", "step", "status", "told"),
    [
        ("always", 0, RunStatus.RUNNING, True), ("always", 1, RunStatus.RUNNING, False), ("never", 0, RunStatus.RUNNING, False),
        ("always", 0, RunStatus.QUEUED, False),
    ],
)  # fmt: skip
def test_a_run_whose_first_step_compiles_says_so(chosen: str, step: int, status: RunStatus, told: bool) -> None:
    run = run_of("lora", status)
    run = replace(run, plan=replace(run.plan, hyperparameters={**run.plan.hyperparameters, "torch_compile": chosen}))
    says = train_views.live_answer(run, SeriesDelta(3, False, (), status.value, step, 4))["words"]["says"]
    assert (says == words.COMPILES) is told


def test_the_proof_says_how_many_answers_changed_and_that_the_rest_is_as_it_should_be() -> None:
    lines = proof_shown(PROVED, Reading.TEXT)
    assert [each["tone"] for each in lines] == [*["good"] * 4, "note"]
    assert "Ask and measure" in lines[-1]["next"]
    assert "3 of 4 questions" in lines[1]["says"]


def test_what_is_not_real_is_a_warning_with_what_to_do() -> None:
    broken = replace(
        PROVED, weights_moved=False, answers_changed=0, reload_difference=1.0, base_difference=1.0, problems=("No weight moved.",)
    )  # fmt: skip
    lines = proof_shown(broken, Reading.TEXT)
    assert [each["tone"] for each in lines] == ["warning"] * 5
    assert lines[-1]["next"]


def test_a_model_that_gives_labels_is_not_asked_whether_its_answers_changed() -> None:
    assert "labels" in proof_shown(PROVED, Reading.LABELS)[1]["says"]


@pytest.mark.parametrize(("measured", "says"), [(900_000_000, "as foreseen"), (600_000_000, "50 % too high")])
def test_memory_is_compared_with_what_was_foreseen(measured: int, says: str) -> None:
    assert says in memory_shown(run_of("lora"), measured)["says"]


def test_what_needs_nothing_done_is_a_note() -> None:
    assert warnings_shown([RunWarned(run="r", step=0, message="Stage 1 of 2.")])[0]["tone"] == "note"


def test_every_cell_of_the_matrix_says_its_count_and_its_share_of_the_line() -> None:
    table = confusion_table(LOOK)
    assert table["columns"] == ["good", "bad"] and not table["hidden"]
    assert table["rows"][1]["cells"] == [  # type: ignore[index]
        {"count": 1, "share": 0.5, "right": False}, {"count": 1, "share": 0.5, "right": True},
    ]  # fmt: skip
    assert "75.0 % right · F1 0.70 · 4 held-out rows" in str(table["says"])
    assert "“bad” taken for “good”, 1 of 2" in str(table["confused"])


def test_of_many_labels_the_most_confused_are_shown_and_the_lines_still_add_up() -> None:
    labels = tuple(f"label {number}" for number in range(77))
    counts = [[5 if place == own else 0 for place in range(77)] for own in range(77)]
    counts[70][3] = 9
    table = confusion_table(replace(LOOK, labels=labels, confusion=counts))
    assert len(table["rows"]) == MOST_LABELS and "20 of 77 labels" in str(table["hidden"])  # type: ignore[arg-type]
    assert {3, 70} <= set(most_confused(counts, MOST_LABELS))
    row = next(row for row in table["rows"] if row["label"] == "label 70")  # type: ignore[attr-defined]
    assert sum(cell["count"] for cell in row["cells"]) == 14 and table["columns"][-1] == "others"  # type: ignore[index]


def test_a_matrix_without_mistakes_says_so() -> None:
    assert "No held-out row" in str(confusion_table(replace(LOOK, confusion=((2, 0), (0, 2))))["confused"])


def test_a_finished_reward_model_offers_the_run_that_learns_from_it() -> None:
    finished = run_of("reward_model", RunStatus.FINISHED)
    assert 'data-open="technique"' in tab_train._outcome(Choices(dataset="f"), finished, "")
    assert "Set it up" not in tab_train._outcome(Choices(dataset="f"), run_of("reward_model"), "")
    assert "Set it up" not in tab_train._outcome(Choices(dataset="f"), run_of("dpo", RunStatus.FINISHED), "")


def test_what_follows_a_reward_model_is_chosen_on_the_questions_of_its_pairs(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    pairs = workspace.data.inspect_example("preference").dataset
    assert pairs
    run = run_of("reward_model", RunStatus.FINISHED, rows=pairs)
    chosen = choices_after_reward_model(workspace, Choices(dataset=pairs.fingerprint, run="r"), run)
    assert (chosen.technique, chosen.run) == ("rloo", None)
    assert chosen.overrides == {"reward": "reward_model", "reward_run": "r"}
    assert workspace.planner.reason_against(chosen.technique, str(chosen.dataset)) is None
    workspace.close()


def test_a_run_without_a_reward_model_is_not_gone_on_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no reward model"):
        choices_after_reward_model(SimpleNamespace(), Choices(), run_of("dpo", RunStatus.FINISHED))  # type: ignore[arg-type]


def test_rows_that_do_not_fit_are_said_where_start_is_and_on_the_way() -> None:
    misfit = "DPO learns from pairs"
    assert misfit in tab_train._outcome(Choices(dataset="f"), None, misfit)
    steps = {step.on: step for step in next_steps(Choices(dataset="f"), None, misfit)}
    assert steps["train"].words == "First: a technique that fits" and steps["train"].tab == "technique"
    assert not steps["technique"].tab


@pytest.mark.parametrize(
    ("technique", "tuned"),
    [
        ("classification", "the label it gives"),
        ("reward_model", "the reward it gives"),
        ("lora", "with what it learnt"),
    ],
)
def test_a_pane_says_what_is_seen_in_it(technique: str, tuned: str) -> None:
    chair = Chair("tuned", "Tuned", "the model with what it learnt", has_adapter=True)
    phrase = chat.phrase_of(chair, compare_views.asking_of(run_of(technique)))
    assert tuned in chat_views.pane_label(chair, phrase, None)


def test_a_label_has_no_tokens_and_no_difference() -> None:
    chunk = SimpleNamespace(tokens=0, seconds=0.02, finished=True, finish_reason="stop")
    assert "token" not in chat_views.figures_text(chunk)
    assert not compare_views.asking_of(run_of("classification")).differs


def test_settings_of_chance_are_off_with_a_reason_where_nothing_is_drawn() -> None:
    temperature, seed = chat.chance_controls(compare_views.asking_of(run_of("classification")))
    for control in (temperature, seed):
        assert control["interactive"] is False and "not drawn by chance" in control["info"]
    assert temperature["value"] == GenerationSettings().temperature
    temperature, _ = chat.chance_controls(compare_views.ANSWERS)
    assert temperature["interactive"] is True and "value" not in temperature


def test_a_run_on_plain_text_asks_for_a_beginning() -> None:
    rows = replace(DATASET, dataset_type=DatasetType.LANGUAGE_MODELING)
    asking = compare_views.asking_of(run_of("continued_pretraining", rows=rows))
    assert "Write the beginning" in asking.placeholder and "both models go on" in compare_views.help_under_the_box(
        asking
    )


def test_what_was_kept_is_only_asked_of_models_that_answer() -> None:
    example = SimpleNamespace(preset_questions=("one",), kept_question="What is kept?")
    assert "was this kept?" in compare_views.questions(example)  # type: ignore[arg-type]
    assert "was this kept?" not in compare_views.questions(example, compare_views.NUMBERS[Reading.LABELS])  # type: ignore[arg-type]
