"""One step on request says what it took, leaves nothing behind, and waits for nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import PlanError, RunError
from engine.models import hardware
from engine.models.accelerator import Accelerator
from engine.models.hardware import Hardware
from engine.training.probe import probe
from engine.types import TrainingPlan
from engine.workspace import PlanChoices, Workspace

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = {
    "dpo": "preference",
    "rlhf": "preference",
    "kto": "thumbs",
    "grpo": "prompts",
    "classification": "sentiment",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("workspace"))
    yield opened
    opened.close()


@pytest.fixture
def plan_for(workspace: Workspace) -> Callable[..., TrainingPlan]:
    def make(technique: str, **settings: object) -> TrainingPlan:
        dataset = workspace.data.inspect_example(EXAMPLES.get(technique, "polite")).dataset
        assert dataset
        return workspace.plan(PlanChoices(technique, dataset.fingerprint, "starter", settings))  # type: ignore[arg-type]

    return make


@pytest.mark.parametrize("technique", ["lora", "dpo", "kto", "classification", "rlhf"])
def test_a_step_of_the_starter_takes_something_near_what_was_predicted(
    workspace: Workspace, plan_for: Callable[..., TrainingPlan], technique: str
) -> None:
    plan = plan_for(technique, **({"max_completion_length": 8} if technique == "rlhf" else {}))
    found = workspace.probe(plan)
    assert found.predicted_bytes == plan.estimate.memory_total_bytes - plan.estimate.memory_parts["overhead"]
    assert 0 < found.measured_bytes < 4 * found.predicted_bytes  # small models: what libraries load late weighs as much
    assert found.seconds > 0


IN_A_PROCESS_OF_ITS_OWN = """
import json, sys
from pathlib import Path
from engine.workspace import PlanChoices, Workspace

path = Path(sys.argv[1], "long.jsonl")
rows = ({"prompt": f"What says {number}?", "completion": "the shop opens at nine " * 60} for number in range(40))
path.write_text("".join(json.dumps(row) + "\\n" for row in rows))
workspace = Workspace.open(path.with_name("workspace"))
dataset = workspace.data.inspect(path).dataset
for rows in (2, 12):
    plan = workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {"per_device_train_batch_size": rows}))
    found = workspace.probe(plan)
    print(json.dumps([found.measured_bytes, found.predicted_bytes]))
workspace.close()
"""


def test_a_larger_batch_takes_more_about_as_predicted(tmp_path: Path) -> None:
    """glibc keeps freed blocks as it likes, half as much again here; told to give blocks of a megabyte back, it shows what was needed."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    (small, _), (large, predicted) = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    assert large > small + 50 * 2**20
    assert large == pytest.approx(predicted, rel=0.25)


def test_nothing_is_left_behind(workspace: Workspace, plan_for: Callable[..., TrainingPlan]) -> None:
    before = sorted(workspace.directory.rglob("*"))
    workspace.probe(plan_for("lora"))
    assert [path for path in sorted(workspace.directory.rglob("*")) if path not in before] == []
    assert workspace.runs() == []


def test_it_does_not_wait_for_a_training(workspace: Workspace, plan_for: Callable[..., TrainingPlan]) -> None:
    plan, accelerator = plan_for("lora"), Accelerator(workspace.directory / "accelerator.lock")
    with accelerator.hold("training shop"), pytest.raises(RunError, match="busy"):
        probe(plan, workspace.directory / "runs", Accelerator(workspace.directory / "accelerator.lock"))


# --- the same choices, asked whether they fit -----------------------------------------------------------------------


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the machine as small as is asked."""
    real = hardware.detect_hardware

    def shrink(memory_bytes: int) -> None:
        def small(directory: Path) -> Hardware:
            return replace(real(directory), memory_total_bytes=memory_bytes)

        monkeypatch.setattr(hardware, "detect_hardware", small)

    return shrink


def test_what_fits_says_so_and_needs_no_change(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("polite").dataset
    assert dataset
    assert workspace.planner.fit(PlanChoices("lora", dataset.fingerprint, "starter", {})).verdict == "fits"
    assert workspace.planner.cheapest_change(PlanChoices("lora", dataset.fingerprint, "starter", {})) is None


@pytest.mark.parametrize(
    ("technique", "settings"),
    [
        ("full", {}),
        ("prefix_tuning", {}),
        ("dpo", {"tuning_method": "full"}),
        ("kto", {}),
        ("grpo", {"num_generations": 4}),
    ],
)
def test_the_cheapest_change_is_named_in_the_refusal_and_its_plan_fits(
    workspace: Workspace, small_machine: Callable[[int], None], technique: str, settings: dict[str, str]
) -> None:
    dataset = workspace.data.inspect_example(EXAMPLES.get(technique, "polite")).dataset
    assert dataset
    needed = workspace.plan(
        PlanChoices(technique, dataset.fingerprint, "starter", settings)
    ).estimate.memory_total_bytes
    small_machine(int(needed * 0.99))
    assert (
        workspace.planner.fit(PlanChoices(technique, dataset.fingerprint, "starter", settings)).verdict
        == "does_not_fit"
    )
    change = workspace.planner.cheapest_change(PlanChoices(technique, dataset.fingerprint, "starter", settings))
    assert change
    with pytest.raises(PlanError) as refused:
        workspace.plan(PlanChoices(technique, dataset.fingerprint, "starter", settings))
    assert refused.value.next_step == change.sentence
    workspace.plan(PlanChoices(change.technique, dataset.fingerprint, "starter", {**settings, **change.settings}))


def test_where_nothing_helps_the_refusal_says_so(workspace: Workspace, small_machine: Callable[[int], None]) -> None:
    dataset = workspace.data.inspect_example("polite").dataset
    assert dataset
    small_machine(2**20)
    with pytest.raises(PlanError, match="smaller model"):
        workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {}))


def test_few_long_rows_among_short_ones_are_tried_as_few_as_a_batch_of_equal_cost_holds(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    rows = (
        {"prompt": f"What says {n}?", "completion": "the shop opens at nine " * (80 if n % 8 == 0 else 2)}
        for n in range(64)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = workspace.data.inspect(path).dataset
    assert dataset
    taken = {
        grouping: workspace.probe(
            workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {"group_by_length": grouping}))
        ).measured_bytes
        for grouping in ("never", "always")
    }
    assert taken["always"] < 0.8 * taken["never"]
