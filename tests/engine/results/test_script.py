"""A script, run where Luthier cannot be imported, gives the losses of the run step by step; hostile names stay names."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from engine.events import EvaluationLogged, RunEvent, StepLogged
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from engine.models.accelerator import Accelerator
from engine.models.adapters import CONFIG_BUILDERS, peft_config
from engine.models.catalog import describe_folder
from engine.results.script import Script, script_of
from engine.results.script_arguments import config_code
from engine.results.script_code import remark
from engine.results.script_facts import facts_of
from engine.training.checkpoints import result_of
from engine.training.runner import train
from engine.types import Dataset, DatasetFormat, HeldOut, PretrainedModel, Run, RunStatus, TrainingPlan, TuningMethod
from engine.workspace import Workspace
from tests.compat.cells import Cell, rows_of
from tests.compat.laboratory import THINGS, Laboratory

M = TuningMethod
STARTER = Path(__file__).resolve().parents[3] / "assets" / "starter"
STEPS = {"max_steps": 4, "eval_steps": 2}

CELLS = {
    "sft": Cell("lora", M.LORA, "answers", STEPS),
    "conversations": Cell("instruction", M.LORA, "messages", {**STEPS, "lora_dropout": 0.2, "gradient_checkpointing": "true", "gradient_accumulation_steps": "2"}),
    "early": Cell("lora", M.LORA, "answers", {"max_steps": 12, "eval_steps": 1, "early_stopping_patience": 2, "learning_rate": 0.1}),
    "prompt_tuning": Cell("prompt_tuning", M.PROMPT_TUNING, "answers", {**STEPS, "prompt_tuning_init": "TEXT"}),
    "p_tuning": Cell("p_tuning", M.P_TUNING, "answers", STEPS),
    "adalora": Cell("adalora", M.ADALORA, "answers", STEPS),
    "llama_adapter": Cell("llama_adapter", M.LLAMA_ADAPTER, "answers", STEPS),
    "packing": Cell("continued_pretraining", M.FULL, "text", {**STEPS, "packing": "true"}),
    "text": Cell("continued_pretraining", M.LORA, "text", {**STEPS, "packing": "false"}),
    "classification": Cell("classification", M.LORA, "labels", STEPS),
    "dpo": Cell("dpo", M.LORA, "pairs", STEPS),
    "dpo_full": Cell("dpo", M.FULL, "pairs", {**STEPS, "sft_weight": 0.5, "frozen_layers": 1}),
    "kto": Cell("kto", M.LORA, "thumbs", {**STEPS, "eval_steps": 3}),
    "orpo": Cell("orpo", M.LORA, "pairs", STEPS),
    "cpo": Cell("cpo", M.LORA, "pairs", STEPS),
    "simpo": Cell("simpo", M.LORA, "pairs", STEPS),
    "reward": Cell("reward_model", M.LORA, "pairs", STEPS),
    "rloo": Cell("rloo", M.LORA, "questions", STEPS),
    "grpo": Cell("grpo", M.FULL, "questions", STEPS),
    "exact_answer": Cell("grpo", M.LORA, "answers", {**STEPS, "reward": "exact_answer"}),
    "rlhf": Cell("rlhf", M.LORA, "pairs", STEPS),
}  # fmt: skip
"""What is trained by a run and by its script: every objective, and methods that need lines of their own."""

CHATML = (
    "{% for turn in messages %}{{ '<|' + turn['role'] + '|>\n' + turn['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
OPEN = (
    "{% for turn in messages %}{{ turn['role'] + ': ' + turn['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
TEMPLATES = {"chat_tokens": CHATML, "ended_chat_tokens": OPEN, "plain_tokens": None}
"""Chat templates other than the starter model's, by the way in which a script must make tokens then."""

HARNESS = """
import importlib.util, os, pathlib, runpy, sys, traceback
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in f"{finder!r}{finder.__class__!r}"]
assert importlib.util.find_spec("engine") is None
for script in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    os.chdir(script.with_suffix(""))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Exception:
        pathlib.Path("error.txt").write_text(traceback.format_exc())
"""

TOLERANCE = 1e-5
"""How far figures may differ on the CPU. Measured: not at all, in every case here, 4-bit weights and drawn answers included."""


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("scripts")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture(scope="module")
def model_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None], PretrainedModel]:
    """Copy the starter model with another chat template, or with none."""

    def make(template: str | None) -> PretrainedModel:
        folder = tmp_path_factory.mktemp("model") / "copy"
        shutil.copytree(STARTER, folder, ignore=shutil.ignore_patterns("*.py", "world"))
        (folder / "chat_template.jinja").unlink()
        if template:
            (folder / "chat_template.jinja").write_text(template)
        return describe_folder(folder)

    return make


@pytest.fixture(scope="module")
def plans(
    laboratory: Laboratory, model_with: Callable[[str | None], PretrainedModel], wide: PretrainedModel
) -> dict[str, TrainingPlan]:
    """All cells, each other way to tokens, rows held out in a file, 4-bit weights, and the judge of another run."""
    found = {name: laboratory.plan(cell) for name, cell in CELLS.items()}
    for way, template in TEMPLATES.items():
        found[way] = replace(found["sft"], model=model_with(template))
    pairs = conversational_pairs(laboratory)
    found["pairs_of_messages"] = replace(found["dpo"], dataset=pairs, held_out=HeldOut("file", pairs))
    found["qlora"] = replace(laboratory.plan(Cell("qlora", M.QLORA, "answers", STEPS)), model=wide)
    found["judged"] = laboratory.plan(
        Cell("rloo", M.LORA, "questions", {**STEPS, "reward": "reward_model", "reward_run": "reward"})
    )
    return found


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> PretrainedModel:
    """A model whose widths bitsandbytes' blocks of 64 divide, and so small that sums in another order stay below what is looked at."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(STARTER, folder, ignore=shutil.ignore_patterns("*.py", "world", "*.safetensors", "config.json"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return describe_folder(folder)


def conversational_pairs(laboratory: Laboratory) -> Dataset:
    rows = [
        {"prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Any {thing}?"}],
         "chosen": [{"role": "assistant", "content": f"Yes, {thing} we have."}], "rejected": [{"role": "assistant", "content": "No."}]}
        for thing in THINGS
    ]  # fmt: skip
    path = laboratory.workspace.directory / "pairs_of_messages.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = laboratory.workspace.data.inspect(path).dataset
    assert found and found.format is DatasetFormat.CONVERSATIONAL
    return found


@dataclass(frozen=True)
class Figures:
    """What was logged, step by step: losses, rewards where there are some, losses on the held-out rows; and the kept model."""

    losses: list[float]
    rewards: list[float]
    checks: list[float]
    result: Path


@pytest.fixture(scope="module")
def runs(plans: dict[str, TrainingPlan], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """Train every plan with the runner."""
    return {name: trained(plan, name, runs_folder(tmp_path_factory)) for name, plan in plans.items()}


@pytest.fixture(scope="module")
def scripts(plans: dict[str, TrainingPlan], runs: dict[str, Figures], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every plan's script, all in one process that knows no Luthier, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("written")
    for name, plan in plans.items():
        (folder / f"{name}.py").write_text(script_of(plan, runs_folder(tmp_path_factory)).text, encoding="utf-8")
        (folder / name).mkdir()
    environment = {**os.environ, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-I", "-c", HARNESS, str(folder)]
    subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    return folder


def runs_folder(factory: pytest.TempPathFactory) -> Path:
    folder = factory.getbasetemp() / "runs_of_scripts"
    folder.mkdir(exist_ok=True)
    return folder


def trained(plan: TrainingPlan, name: str, folder: Path) -> Figures:
    run = Run(name, name, RunStatus.QUEUED, plan, folder / name, 0.0)
    events: list[RunEvent] = []
    train(plan, run, emit=events.append, asked=lambda: None, accelerator=Accelerator(folder / "accelerator.lock"))
    steps = [event for event in events if isinstance(event, StepLogged)]
    return Figures(
        [step.loss for step in steps], [step.reward for step in steps if step.reward is not None],
        [event.loss for event in events if isinstance(event, EvaluationLogged)], result_of(run).path,
    )  # fmt: skip


def logged(folder: Path) -> Figures:
    """Read what a script logged; the first part of a chain first."""
    error = folder / "error.txt"
    assert not error.exists(), error.read_text()
    states = sorted(folder.glob("*/trainer_state.json"), key=lambda path: "reward-model" not in path.parent.name)
    lines = [line for state in states for line in json.loads(state.read_text())["log_history"]]
    return Figures(
        [line["loss"] for line in lines if "loss" in line], [line["reward"] for line in lines if "reward" in line],
        [line["eval_loss"] for line in lines if "eval_loss" in line], states[-1].parent,
    )  # fmt: skip


OTHERS = (*TEMPLATES, "pairs_of_messages", "qlora", "judged")


@pytest.mark.parametrize("name", [*CELLS, *OTHERS])
def test_a_script_gives_the_losses_of_the_run_step_by_step(name: str, runs: dict[str, Figures], scripts: Path) -> None:
    ours, theirs = runs[name], logged(scripts / name)
    assert len(ours.losses) >= 3 and (len(set(ours.losses)) > 1 or name == "exact_answer")  # which no answer earns here
    assert theirs.losses == pytest.approx(ours.losses, abs=TOLERANCE)
    assert theirs.rewards == pytest.approx(ours.rewards, abs=TOLERANCE)
    assert theirs.checks == pytest.approx(ours.checks, abs=TOLERANCE) and ours.checks


@pytest.mark.parametrize("name", [*CELLS, *OTHERS])
def test_a_script_keeps_the_weights_that_the_run_keeps(name: str, runs: dict[str, Figures], scripts: Path) -> None:
    ours, theirs = weights_in(runs[name].result), weights_in(logged(scripts / name).result)
    assert ours.keys() == theirs.keys() and ours
    assert all(torch.allclose(ours[key].float(), theirs[key].float(), rtol=0.0, atol=TOLERANCE) for key in ours)


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*model.safetensors")))


def test_a_script_in_4_bits_leaves_the_same_layers_whole_as_the_run(laboratory: Laboratory) -> None:
    made = script_of(laboratory.plan(Cell("qlora", M.QLORA, "answers", STEPS)))
    assert 'llm_int8_skip_modules=["lm_head", "score", "down_proj"]' in made.text


def test_a_run_that_ends_early_has_a_script_that_does(runs: dict[str, Figures]) -> None:
    assert len(runs["early"].losses) == 3


def test_every_objective_is_compared() -> None:
    assert {cell.row.objective for cell in CELLS.values()} == set(OBJECTIVES)


@pytest.mark.parametrize("way", TEMPLATES)
def test_a_script_makes_tokens_in_the_way_that_suits_the_chat_template(
    way: str, plans: dict[str, TrainingPlan]
) -> None:
    facts = facts_of(plans[way], None)
    assert (facts.way, facts.tried, facts.unlike) == (way, plans[way].dataset.rows, 0)


@pytest.mark.parametrize("has_template", [True, False])
def test_first_tokens_of_the_tokenizer_stand_where_they_do_in_the_run(
    has_template: bool, plans: dict[str, TrainingPlan], model_with: Callable[[str | None], PretrainedModel]
) -> None:
    model = model_with(CHATML if has_template else None)
    assert model.path
    plain = json.loads((model.path / "tokenizer.json").read_text())
    first = {"SpecialToken": {"id": "<|system|>", "type_id": 0}}
    plain["post_processor"]["single"].insert(0, first)
    plain["post_processor"]["special_tokens"] = {
        "<|system|>": {"id": "<|system|>", "ids": [2], "tokens": ["<|system|>"]}
    }
    (model.path / "tokenizer.json").write_text(json.dumps(plain))
    for name in ("sft", "conversations", "text", "packing", "dpo", "kto", "classification"):
        plan = replace(plans[name], model=model)
        facts = facts_of(plan, None)
        assert (facts.leading, facts.unlike) == ((2,), 0), name
        assert ("LEADING = [2]" in script_of(plan).text) is (name == "packing" or (not has_template and name != "text"))


def test_trl_makes_the_tokens_where_it_makes_the_same_ones(plans: dict[str, TrainingPlan]) -> None:
    assert {name for name in CELLS if facts_of(plans[name], None).way == "trl"} == {
        "sft", "conversations", "early", "prompt_tuning", "p_tuning", "adalora", "text", "dpo", "dpo_full", "reward", "rlhf",
    }  # fmt: skip


@pytest.fixture(scope="module")
def of_techniques(laboratory: Laboratory) -> dict[str, Script]:
    return {
        key: script_of(laboratory.plan(Cell(key, technique.method, rows_of(technique))))
        for key, technique in TECHNIQUES.items()
    }


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_gives_a_script_or_says_why_not(technique: str, of_techniques: dict[str, Script]) -> None:
    made = of_techniques[technique]
    assert made.can_run is (technique != "adapters")
    compile(made.text, technique, "exec")
    assert all(remark(f"- {sentence}", "  ") in made.text for sentence in made.differences) or not made.can_run
    assert made.differences or made.can_run


def test_scripts_of_all_techniques_please_ruff(of_techniques: dict[str, Script], tmp_path: Path) -> None:
    for key, made in of_techniques.items():
        (tmp_path / f"{key}.py").write_text(made.text, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_bottleneck_adapters_have_no_script_and_it_says_why(of_techniques: dict[str, Script]) -> None:
    assert of_techniques["adapters"] == Script("", of_techniques["adapters"].differences)
    assert "no method of peft" in of_techniques["adapters"].differences[0]


@pytest.mark.parametrize("method", [method for method in CONFIG_BUILDERS if method is not M.BOTTLENECK])
def test_a_configuration_of_peft_comes_back_from_its_code(method: TuningMethod, laboratory: Laboratory) -> None:
    plan = laboratory.plan(Cell("instruction", method, "messages", {"prompt_tuning_init": "TEXT"}))
    config = peft_config(method, plan.hyperparameters, plan.model, steps=plan.estimate.steps)
    assert config is not None and plan.model.path
    made = eval(config_code(config, str(plan.model.path)), {**vars(peft), "MODEL": str(plan.model.path)})
    assert made == config


HOSTILE = 'a"\'; import os  # \n\r\x0cimport os\n"""\nos.abort()\n\u2028\u202e\\'


def test_hostile_names_change_constants_and_remarks_alone(plans: dict[str, TrainingPlan]) -> None:
    """The tree of the script is the same as for harmless names, but for the values of constants."""
    for name in ("sft", "classification", "prompt_tuning", "grpo"):
        plan = plans[name]
        hostile = replace(
            plan, model=replace(plan.model, title=HOSTILE), dataset=replace(plan.dataset, name=HOSTILE),
            labels=tuple(HOSTILE + label for label in plan.labels),
            hyperparameters={**plan.hyperparameters, **{key: HOSTILE for key in ("prompt_tuning_init_text", "reward_pattern") if key in plan.hyperparameters}},
        )  # fmt: skip
        text = script_of(hostile).text
        assert "abort" in text and without_values(text) == without_values(script_of(plan).text)


def without_values(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = "?"
    return ast.dump(tree)


def test_a_hostile_path_and_pattern_come_back_as_they_were(plans: dict[str, TrainingPlan], tmp_path: Path) -> None:
    plan = plans["grpo"]
    folder = tmp_path / 'it\'s "a"\nimport os'
    assert plan.model.path
    shutil.copytree(plan.model.path, folder, ignore=shutil.ignore_patterns("*.py", "world"))
    pattern = 'tea|"\'\\\n"""'
    made = script_of(replace(
        plan, model=replace(plan.model, path=folder), dataset=replace(plan.dataset, name=HOSTILE),
        hyperparameters={**plan.hyperparameters, "reward": "matches_pattern", "reward_pattern": pattern},
    ))  # fmt: skip
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(made.text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert values["MODEL"] == str(folder) and values["PATTERN"] == pattern


def test_a_text_that_spells_a_special_token_is_told_as_a_difference(laboratory: Laboratory, tmp_path: Path) -> None:
    path = tmp_path / "spelling.jsonl"
    rows = [
        {"prompt": "Say it.", "completion": "The sign <|end|> ends." if number < 3 else f"No {number}."}
        for number in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = laboratory.workspace.data.inspect(path).dataset
    assert dataset
    made = script_of(replace(laboratory.plan(CELLS["sft"]), dataset=dataset, held_out=HeldOut("none")))
    assert made.can_run and made.differences[0].startswith("3 of the first 12 rows become other tokens here")


def test_many_held_out_rows_are_written_compactly(plans: dict[str, TrainingPlan]) -> None:
    numbers = tuple(range(0, 40_000, 13))
    many, few = (
        script_of(replace(plans["sft"], held_out=HeldOut("split", indices=kept))).text
        for kept in (numbers, numbers[:1])
    )
    assert "held_out = set(unpacked(HELD_OUT))" in many and "unpacked" not in few
    assert len(many) - len(few) < len(numbers)  # less than a letter for each of them


def test_a_judge_that_is_not_found_is_to_be_filled_in(plans: dict[str, TrainingPlan]) -> None:
    made = script_of(plans["judged"])
    assert 'REWARD_MODEL = "fill in"' in made.text and "fill in REWARD_MODEL" in made.differences[-1]


def test_what_a_plan_saves_and_does_not_check_its_script_does_too(plans: dict[str, TrainingPlan]) -> None:
    plan = replace(
        plans["sft"], held_out=HeldOut("none"), hyperparameters={**plans["sft"].hyperparameters, "save_steps": 2}
    )
    text = script_of(plan).text
    assert "save_steps=2" in text and 'save_strategy="steps"' in text
    assert "eval" not in text and "held_out" not in text.lower()


def test_that_layers_are_not_compiled_is_told_as_a_difference(laboratory: Laboratory) -> None:
    plan = laboratory.plan(CELLS["sft"])
    compiled = replace(plan, hyperparameters={**plan.hyperparameters, "torch_compile": "always"})
    told, before = (script_of(one).differences for one in (compiled, plan))
    assert [one for one in told if one not in before] == [
        "It does not compile the layers: it is slower than the run, and rounds a little differently."
    ]
