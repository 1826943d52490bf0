"""Exports of real runs of the starter: written, loaded by others, asked the same; and what is not exported."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import RunError, UsageError
from engine.results.export import EXACT, EXPORT_FORMATS, ExportedModel, RoundTrip, Tolerance
from engine.types import Run, RunStatus, Value
from engine.workspace import ExportJob, ExportStatus, PlanChoices, Workspace

Train = Callable[..., Run]


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("taught")


@pytest.fixture(scope="module")
def train(workspace: Workspace) -> Train:
    """Train an example."""

    def of(example: str, technique: str = "lora", **settings: Value) -> Run:
        dataset = workspace.data.inspect_example(example).dataset
        assert dataset
        run = workspace.train(workspace.plan(PlanChoices(technique, dataset.fingerprint, "starter", settings)))
        assert run.status is RunStatus.FINISHED, run.error
        return run

    return of


@pytest.fixture(scope="module")
def shop(workspace: Workspace) -> Run:
    return workspace.runs()[-1]


def exported(workspace: Workspace, run: Run, key: str, out: Path, **settings: str) -> ExportedModel:
    *_, last = workspace.exports.steps(run.id, key, out, settings)
    assert last.exported and last.share == 1
    return last.exported


@pytest.mark.parametrize("key", ["adapter", "merged"])
def test_what_was_exported_answers_like_the_run(workspace: Workspace, shop: Run, tmp_path: Path, key: str) -> None:
    made = exported(workspace, shop, key, tmp_path / "out")
    trip = made.round_trip
    assert (trip.prompts, trip.same) == (20, 20) and trip.max_logit_difference < EXACT.logits
    assert trip.same_prompt_tokens and trip.same_stop_tokens
    assert {"README.md", "tokenizer.json", "chat_template.jinja"} < set(made.files)
    assert made.bytes == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(("quantisation", "least"), [("F16", 20), ("Q8_0", 18)])
def test_a_gguf_file_answers_like_the_run(
    workspace: Workspace, shop: Run, tmp_path: Path, quantisation: str, least: int
) -> None:
    made = exported(workspace, shop, "gguf", tmp_path / "out", quantisation=quantisation)
    assert made.files == ("Modelfile", "README.md", "model.gguf")
    assert made.round_trip.prompts == 20 and made.round_trip.same >= least
    assert "<|assistant|> {{ .Content }}<|end|>" in (tmp_path / "out" / "Modelfile").read_text()


@pytest.mark.parametrize("key", ["bnb_8bit", "torchao_int8"])
def test_a_rounded_model_is_small_and_near_the_run(workspace: Workspace, shop: Run, tmp_path: Path, key: str) -> None:
    if package := {choice.row.key: choice.reason for choice in workspace.exports.choices(shop.id)}[key]:
        pytest.skip(package)
    made = exported(workspace, shop, key, tmp_path / "out")
    assert made.bytes < 0.6 * 4 * shop.plan.model.parameters
    assert made.round_trip.same >= 8 and made.round_trip.same_prompt_tokens
    assert all("tmp" not in name for name in made.files)


def test_four_bits_leave_layers_whole_that_would_be_spoilt(
    workspace: Workspace, shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = EXPORT_FORMATS["bnb_4bit"]
    monkeypatch.setitem(EXPORT_FORMATS, "bnb_4bit", row.with_tolerances({"": Tolerance(16.0, 0.0)}))  # type: ignore[index]
    made = exported(workspace, shop, "bnb_4bit", tmp_path / "out")
    assert made.bytes < 0.7 * 4 * shop.plan.model.parameters and made.round_trip.same_stop_tokens
    skipped = json.loads((tmp_path / "out" / "config.json").read_text())["quantization_config"]["llm_int8_skip_modules"]
    assert skipped == ["lm_head", "score", "down_proj"]


def test_rounding_to_bfloat16_halves_the_file_and_moves_the_logits(
    workspace: Workspace, shop: Run, tmp_path: Path
) -> None:
    made = exported(workspace, shop, "merged", tmp_path / "out", dtype="bfloat16")
    assert made.bytes < 0.7 * 4 * shop.plan.model.parameters
    assert made.round_trip.max_logit_difference > 0.001


def test_an_adapter_holds_no_path_of_the_machine(workspace: Workspace, shop: Run, tmp_path: Path) -> None:
    exported(workspace, shop, "adapter", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == "starter"
    said = [path.read_text() for path in (tmp_path / "out").iterdir() if path.suffix in {".json", ".md"}]
    assert len(said) > 2 and not any(str(shop.plan.model.path) in text for text in said)


def test_a_folder_with_something_in_it_is_left_alone(workspace: Workspace, shop: Run, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="something in this place"):
        exported(workspace, shop, "adapter", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("asked", [1, 30])
def test_a_stopped_export_leaves_nothing(workspace: Workspace, shop: Run, tmp_path: Path, asked: int) -> None:
    times = iter(range(1_000_000))
    steps = workspace.exports.steps(shop.id, "merged", tmp_path / "out", stopped=lambda: next(times) >= asked)
    assert all(step.exported is None for step in steps)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_another_model_is_refused_and_removed(
    workspace: Workspace, shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = {"bfloat16": Tolerance(1e-9, 1.0)}
    monkeypatch.setitem(EXPORT_FORMATS, "merged", EXPORT_FORMATS["merged"].with_tolerances(strict))  # type: ignore[index]
    with pytest.raises(RunError, match=r"not the model of the run.*a logit is off"):
        exported(workspace, shop, "merged", tmp_path / "out", dtype="bfloat16")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_is_told_with_what_could_be(workspace: Workspace, shop: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dtype = float32, float16, bfloat16"):
        exported(workspace, shop, "merged", tmp_path / "out", dtype="float8")


@pytest.mark.parametrize(
    ("example", "technique", "key"),
    [
        ("sentiment", "classification", "merged"), ("sentiment", "classification", "adapter"), ("preference", "reward_model", "merged"),
        ("shop", "full", "merged"), ("shop", "qlora", "merged"), ("shop", "qlora", "adapter"), ("shop", "prefix_tuning", "adapter"),
        ("text", "lora", "merged"), ("shop", "pissa", "adapter"),
    ],
)  # fmt: skip
def test_other_kinds_of_runs_are_the_same_after_export(
    workspace: Workspace, train: Train, tmp_path: Path, example: str, technique: str, key: str
) -> None:
    trip = exported(workspace, train(example, technique, max_steps=2), key, tmp_path / "out").round_trip
    assert trip.same == trip.prompts > 10 and trip.problem == ""


def ended(workspace: Workspace, id: str) -> ExportJob:
    deadline = time.monotonic() + 60
    while (job := workspace.exports.jobs.job(id)).is_active and time.monotonic() < deadline:
        time.sleep(0.05)
    return job


def test_an_export_in_the_background_ends_with_its_round_trip(workspace: Workspace, shop: Run) -> None:
    begun = workspace.exports.start(shop.id, "adapter")
    other = workspace.exports.start(shop.id, "adapter")
    assert begun.is_active and other.directory != begun.directory
    job = ended(workspace, begun.id)
    assert job.status is ExportStatus.DONE and job.share == 1
    assert job.exported and job.exported.round_trip.same == 20 and job.directory.is_dir()
    assert ended(workspace, other.id).status is ExportStatus.DONE


def test_a_cancelled_background_export_leaves_nothing(workspace: Workspace, shop: Run, tmp_path: Path) -> None:
    job = workspace.exports.start(shop.id, "gguf", tmp_path / "out")
    workspace.exports.jobs.cancel(job.id)
    assert ended(workspace, job.id).status is ExportStatus.CANCELLED
    assert list(tmp_path.iterdir()) == []


def test_a_background_export_waits_for_the_accelerator_and_can_be_cancelled_there(
    workspace: Workspace, shop: Run, tmp_path: Path
) -> None:
    with workspace._accelerator.hold("training another"):
        job = workspace.exports.start(shop.id, "adapter", tmp_path / "out")
        while workspace.exports.jobs.job(job.id).doing != "Waiting for the accelerator":
            time.sleep(0.05)
        workspace.exports.jobs.cancel(job.id)
        assert ended(workspace, job.id).status is ExportStatus.CANCELLED
    assert list(tmp_path.iterdir()) == []


def test_a_reason_against_a_format_is_said_before_anything_starts(
    workspace: Workspace, train: Train, tmp_path: Path
) -> None:
    run = train("shop", "prompt_tuning", max_steps=1)
    reasons = {choice.row.key: choice.reason for choice in workspace.exports.choices(run.id)}
    assert reasons["adapter"] == "" and "cannot be added" in reasons["merged"] and "cannot be added" in reasons["gguf"]
    with pytest.raises(UsageError, match="cannot be added"):
        workspace.exports.start(run.id, "merged", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""), ({"same": 17}, "17 of 20"), ({"max_logit_difference": float("nan")}, "off by nan"),
        ({"same_stop_tokens": False}, "end its answers"), ({"same_prompt_tokens": False}, "chat template"),
    ],
)  # fmt: skip
def test_a_round_trip_says_what_is_different(change: dict[str, object], problem: str) -> None:
    facts = {
        "prompts": 20,
        "same": 18,
        "max_logit_difference": 0.4,
        "same_prompt_tokens": True,
        "same_stop_tokens": True,
    }
    trip = RoundTrip(**{**facts, **change}, loaded_by="others", tolerance=Tolerance(0.5, 0.9))  # type: ignore[arg-type]
    assert problem in trip.problem and bool(problem) == bool(trip.problem)


def test_exports_are_measured_side_by_side_on_the_same_rows(workspace: Workspace, shop: Run, tmp_path: Path) -> None:
    made = [exported(workspace, shop, "merged", tmp_path / dtype, dtype=dtype) for dtype in ("float32", "bfloat16")]
    whole, half = workspace.exports.speeds(shop.id, made, rows=5)
    assert (whole.setting, half.setting, whole.rows, half.rows) == ("float32", "bfloat16", 5, 5)
    assert whole.weight_bytes > 1.9 * half.weight_bytes and whole.disk_bytes > half.disk_bytes
    assert whole.metric == "exact_match" and whole.score is not None and 0 <= whole.score <= 1
    assert 0 < whole.first_token_seconds < 5 and whole.tokens_per_second > 1


def test_an_export_stays_in_the_list_when_the_workspace_is_opened_again(
    workspace: Workspace, shop: Run, tmp_path: Path
) -> None:
    made = exported(workspace, shop, "adapter", tmp_path / "out")
    again = Workspace.open(workspace.directory)
    try:
        kept = next(one for one in again.exports.kept() if one.model.directory == made.directory)
        assert (kept.model, kept.run, kept.change) == (made, shop.id, "")
    finally:
        again.close()


def test_exports_are_measured_in_the_background_beside_the_base_and_kept(
    workspace: Workspace, shop: Run, tmp_path: Path
) -> None:
    made = exported(workspace, shop, "merged", tmp_path / "out", dtype="bfloat16")
    for one in workspace.exports.kept():
        if one.run == shop.id and one.model != made:
            workspace.exports.delete(one.id)
    assert ended(workspace, workspace.exports.measure(shop.id, rows=3).id).status is ExportStatus.DONE
    table = workspace.exports.measured(shop.id)
    assert table and [line.title for line in table.lines] == [
        "Base model",
        "Tuned, merged, float32",
        "Merged model bfloat16",
    ]
    base, whole, half = (line.speed for line in table.lines)
    assert base.disk_bytes > 0 and whole.disk_bytes == 0 and half.disk_bytes == made.bytes
    assert whole.low is not None and whole.score is not None and whole.low <= whole.score <= whole.high
    assert table.held_out and "cores" in table.machine


def test_a_measuring_that_is_cancelled_keeps_what_was_measured_before(workspace: Workspace, shop: Run) -> None:
    before = workspace.exports.measured(shop.id)
    with workspace._accelerator.hold("training another"):
        job = workspace.exports.measure(shop.id, rows=3)
        while workspace.exports.jobs.job(job.id).doing != "Waiting for the accelerator":
            time.sleep(0.05)
        workspace.exports.jobs.cancel(job.id)
        assert ended(workspace, job.id).status is ExportStatus.CANCELLED
    assert workspace.exports.measured(shop.id) == before
