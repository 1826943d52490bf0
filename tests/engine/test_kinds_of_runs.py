"""One run of each kind: the base beside it is the true base, what is tuned is told truly, and both stay so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from engine.models.accelerator import Accelerator
from engine.models.decoding import encode_prompt
from engine.models.generation import GenerationChunk, Voices
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import load_tokenizer
from engine.models.tuned import recipe_of
from engine.types import Run, TuningMethod
from engine.workspace import Workspace
from tests.compat.cells import Cell
from tests.compat.laboratory import THINGS, Laboratory

GREEDY = GenerationSettings(max_new_tokens=16, temperature=0.0)
QUESTION = [{"role": "user", "content": "What is the capital of Kenya?"}]
M = TuningMethod

KINDS = {
    "lora": Cell("lora", M.LORA, "answers"),
    "prompt_tuning": Cell("prompt_tuning", M.PROMPT_TUNING, "answers"),
    "prefix_tuning": Cell("prefix_tuning", M.PREFIX_TUNING, "answers"),
    "full": Cell("full", M.FULL, "answers"),
    "pissa": Cell("pissa", M.PISSA, "answers"),
    "llama_adapter": Cell("llama_adapter", M.LLAMA_ADAPTER, "answers"),
    "qlora": Cell("qlora", M.QLORA, "answers"),
    "bottleneck": Cell("adapters", M.BOTTLENECK, "answers"),
    "classification": Cell("classification", M.LORA, "labels"),
    "reward_model": Cell("reward_model", M.LORA, "pairs"),
    "p_tuning": Cell("p_tuning", M.P_TUNING, "answers"),
}
STEPS = 24
WRITERS = [kind for kind in KINDS if kind not in {"classification", "reward_model"}]
SOFT = ["prompt_tuning", "p_tuning", "prefix_tuning"]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("kinds")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture(scope="module")
def run_of(laboratory: Laboratory) -> Callable[[str], Run]:
    """Train a kind of run when it is first asked for."""

    @cache
    def trained(kind: str) -> Run:
        run = laboratory.train(KINDS[kind], max_steps=STEPS)
        assert run.error is None
        return run

    return trained


@pytest.fixture
def voices(tmp_path) -> Iterator[Voices]:
    made = Voices(Accelerator(tmp_path / "accelerator.lock"))
    yield made
    made.release()


def checkpoint_of(laboratory: Laboratory, run: Run):
    return laboratory.workspace.checkpoints(run.id)[-1].path


def fresh_base_says(run: Run) -> str:
    """What transformers itself answers with a base that never met the run."""
    recipe = recipe_of(run.plan)
    tokenizer, base = load_tokenizer(recipe.model), recipe.base()
    prompt = torch.tensor([encode_prompt(QUESTION, tokenizer, recipe.model.context_length_tokens)])
    output = base.generate(prompt, max_new_tokens=16, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    return tokenizer.decode(output[0, prompt.shape[1] :], skip_special_tokens=True).strip()


def last(chunks: Iterator[GenerationChunk]) -> dict[str, GenerationChunk]:
    return {chunk.arm: chunk for chunk in chunks}


@pytest.mark.parametrize("kind", KINDS)
def test_the_base_arm_is_the_fresh_base_before_and_after_the_tuned_arm_was_heard(
    kind: str, laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    run = run_of(kind)
    recipe, checkpoint, expected = recipe_of(run.plan), checkpoint_of(laboratory, run), fresh_base_says(run)
    heard = [
        last(voices.answer(recipe, checkpoint, QUESTION, GREEDY, arms=arms))
        for arms in (("base",), ("tuned",), ("base",))
    ]
    assert expected and heard[0]["base"].text == expected == heard[2]["base"].text


@pytest.mark.parametrize("kind", WRITERS)
def test_the_tuned_arm_says_something_else_and_the_same_each_time(
    kind: str, laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    recipe, checkpoint = recipe_of(run_of(kind).plan), checkpoint_of(laboratory, run_of(kind))
    asked = [{"role": "user", "content": "Do you have tea?"}]
    first, second = (last(voices.answer(recipe, checkpoint, asked, GREEDY)) for _ in range(2))
    assert first["tuned"].text == second["tuned"].text != first["base"].text == second["base"].text


@pytest.mark.parametrize("kind", KINDS)
def test_which_arm_has_something_on_it_is_told_truly(
    kind: str, laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    recipe, checkpoint = recipe_of(run_of(kind).plan), checkpoint_of(laboratory, run_of(kind))
    for _ in range(2):  # the second time the tuned model is in memory already
        chunks = voices.answer(recipe, checkpoint, QUESTION, GREEDY)
        assert {(chunk.arm, chunk.adapter_active) for chunk in chunks} == {("base", False), ("tuned", True)}


def test_changing_from_one_kind_to_another_leaves_every_base_true(
    laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    for kind in (
        "lora",
        "prompt_tuning",
        "pissa",
        "lora",
        "llama_adapter",
        "classification",
        "bottleneck",
        "prefix_tuning",
        "full",
    ):
        run = run_of(kind)
        heard = last(voices.answer(recipe_of(run.plan), checkpoint_of(laboratory, run), QUESTION, GREEDY))
        assert heard["base"].text == fresh_base_says(run), kind


@pytest.mark.parametrize("kind", WRITERS)
def test_a_batch_of_questions_of_different_lengths_is_answered_as_they_are_one_by_one(
    kind: str, laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    """PEFT puts virtual tokens before the padding, so that padded questions would be answered wrongly."""
    recipe, checkpoint = recipe_of(run_of(kind).plan), checkpoint_of(laboratory, run_of(kind))
    asked = ("Do you have tea?", "Hello! Please tell me, do you have any of the coffee?", "Milk?", "Do you have soup?")
    prompts = [[{"role": "user", "content": words}] for words in asked]
    singly = [
        last(voices.answer(recipe, checkpoint, prompt, GREEDY, arms=("tuned",)))["tuned"].text for prompt in prompts
    ]
    assert voices.answer_batch(recipe, checkpoint, prompts, GREEDY) == singly
    assert singly != voices.answer_batch(recipe, None, prompts, GREEDY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_proves_itself(kind: str, laboratory: Laboratory, run_of: Callable[[str], Run]) -> None:
    proved = next(event for event in laboratory.workspace.events(run_of(kind).id) if event.kind == "RunProved")
    assert proved.weights_moved and proved.reload_difference <= proved.tolerance and proved.problems in ((), [])
    assert proved.base_difference == 0.0 and proved.answers_changed > 0


def test_labels_are_told_with_how_sure_the_model_is(
    laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    run = run_of("classification")
    texts = [("The tea was lovely.", "good"), ("The fish was dreadful.", "bad")]
    prompts = [[{"role": "user", "content": text}] for text, _ in texts]
    recipe, checkpoint = recipe_of(run.plan), checkpoint_of(laboratory, run)
    assert voices.answer_batch(recipe, checkpoint, prompts, GREEDY) == [label for _, label in texts]
    told = last(voices.answer(recipe, checkpoint, prompts[0], GREEDY, arms=("tuned",)))["tuned"].text
    assert told.startswith("good (") and "%" in told


def test_held_out_labels_come_with_their_confusion_matrix(laboratory: Laboratory, run_of: Callable[[str], Run]) -> None:
    run = run_of("classification")
    checks = [event for event in laboratory.workspace.events(run.id) if event.kind == "EvaluationLogged"]
    assert len(checks) > 1 and list(checks[-1].labels) == ["bad", "good"] == list(run.plan.labels)
    assert sum(map(sum, checks[-1].confusion)) == run.plan.held_out.rows > 0
    assert checks[-1].accuracy == checks[-1].f1 == 1.0 and checks[-1].loss < checks[0].loss


def test_a_reward_model_ranks_the_better_answer_above_the_worse(
    laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    run = run_of("reward_model")
    recipe, checkpoint = recipe_of(run.plan), checkpoint_of(laboratory, run)

    def rewards(answer: str) -> list[float]:
        talks = [[{"role": "user", "content": f"Do you have {thing}?"},
                  {"role": "assistant", "content": answer.format(thing=thing)}] for thing in THINGS]  # fmt: skip
        return voices.rewards(recipe, checkpoint, talks)

    better, worse = rewards("Yes, we have {thing} today."), rewards("No.")
    assert len(better) == len(THINGS) and all(good > bad for good, bad in zip(better, worse, strict=True))


def test_a_reward_is_told_of_the_answer_that_the_base_just_gave(
    laboratory: Laboratory, run_of: Callable[[str], Run], voices: Voices
) -> None:
    run = run_of("reward_model")
    recipe, checkpoint = recipe_of(run.plan), checkpoint_of(laboratory, run)
    heard = last(voices.answer(recipe, checkpoint, QUESTION, GREEDY))
    talk = [*QUESTION, {"role": "assistant", "content": heard["base"].text}]
    assert f"Reward {voices.rewards(recipe, checkpoint, [talk])[0]:+.2f}" in heard["tuned"].text
