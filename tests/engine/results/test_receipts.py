"""Receipts of real runs of the starter: what they say, what they leave out, and how long they stay true."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from engine.errors import DataError, ModelError, RunError, UsageError
from engine.results.receipt import CHANCE, Receipt
from engine.types import Run, RunStatus, Value
from engine.workspace import PlanChoices, Workspace

FEW = 8
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
def shop_run(workspace: Workspace) -> Run:
    return workspace.runs()[-1]


@pytest.fixture(scope="module")
def shop(workspace: Workspace, shop_run: Run) -> Receipt:
    return receipt_of(workspace, shop_run.id)


@pytest.fixture(scope="module")
def of_kind(workspace: Workspace, train: Train) -> Callable[[str], Receipt]:
    """Give the receipt of a short run of a kind."""
    kinds: dict[str, tuple[str, str, dict[str, Value]]] = {
        "labels": ("sentiment", "classification", {}), "pairs": ("preference", "reward_model", {}),
        "preference": ("preference", "dpo", {}), "text": ("text", "lora", {}),
        "rewards": ("prompts", "grpo", {"num_generations": 2, "per_device_train_batch_size": 2, "max_completion_length": 8}),
    }  # fmt: skip

    @cache
    def made(kind: str) -> Receipt:
        example, technique, settings = kinds[kind]
        run = train(example, technique, max_steps=2, **settings)
        return receipt_of(workspace, run.id, arms=("base", "tuned"), rows=FEW)

    return made


def receipt_of(workspace: Workspace, run: str, **more: object) -> Receipt:
    *_, last = workspace.receipts.make(run, **more)  # type: ignore[arg-type]
    assert last.receipt and last.share == 1
    return last.receipt


def gaps(receipt: Receipt) -> str:
    return " / ".join(f"{gap.what}: {gap.reason}" for gap in receipt.not_measured)


def test_a_tuned_starter_learned_the_shop(shop: Receipt) -> None:
    assert shop.learned
    assert shop.contrasts[0].against == "base" and shop.contrasts[0].test.p_value < 0.001
    assert (
        shop.sentence.startswith("It learned: ") and "of 60 held-out rows right, 0 before (p < 0.001)" in shop.sentence
    )


def test_it_is_set_beside_few_shot_and_retrieval(shop: Receipt) -> None:
    assert [arm.arm for arm in shop.arms] == ["base", "few_shot", "retrieval", "tuned"]
    assert [one.against for one in shop.contrasts] == ["base", "few_shot", "retrieval"]
    assert all(one.test.rows == 60 for one in shop.contrasts)


def test_what_was_forgotten_drifted_and_learnt_by_heart_is_told(shop: Receipt) -> None:
    assert shop.forgetting and shop.forgetting.texts > 150 and shop.forgetting.tuned_loss > shop.forgetting.base_loss
    assert shop.drift and shop.drift.answers == 60 and shop.drift.changed > 30
    assert shop.memorised and shop.memorised.asked == 60 and shop.memorised.held_out_asked == 60
    assert shop.memorised.repeated >= 50


def test_it_says_what_the_result_was_made_of_and_what_it_took(shop: Receipt, shop_run: Run) -> None:
    assert (shop.origin.plan_hash, shop.origin.dataset_fingerprint) == (
        shop_run.plan.hash,
        shop_run.plan.dataset.fingerprint,
    )
    assert shop.origin.seed == shop_run.plan.hyperparameters["seed"] and shop.origin.environments
    assert shop.proof and shop.proof.weights_moved and shop.step == 150
    assert shop.costs.seconds and shop.costs.peak_memory_bytes and shop.costs.checkpoint_bytes


def test_what_was_not_measured_is_told(shop: Receipt) -> None:
    for told in ("Other seeds", "No judge model was asked", "base is tiny", "Energy"):
        assert told in gaps(shop)


def test_a_judge_is_asked_only_when_it_is_named_and_a_tiny_one_is_not_believed(
    workspace: Workspace, shop: Receipt, shop_run: Run
) -> None:
    assert shop.judge is None
    kept = (shop_run.directory / "receipt.json").read_text()
    receipt = receipt_of(workspace, shop_run.id, arms=("base", "tuned"), judge="starter")
    found = receipt.judge
    assert found and found.is_own_base and found.answers.read + found.same == 60 and found.known.read > 30
    assert found.is_believed is False and found.prefers == ""
    assert receipt.learned and receipt.sentence == shop.sentence  # what a judge says stands beside the score
    assert "judge" not in gaps(receipt)
    assert Receipt.from_json(json.loads(json.dumps(receipt.to_json()))) == receipt
    (shop_run.directory / "receipt.json").write_text(kept)  # the one that others look at


def test_a_judge_that_is_not_there_is_refused_before_anything_is_asked(workspace: Workspace, shop_run: Run) -> None:
    with pytest.raises(ModelError, match="no such model"):
        next(workspace.receipts.make(shop_run.id, judge="/no/such/folder"))
    with pytest.raises(UsageError, match="not on this disk"):
        next(workspace.receipts.make(shop_run.id, judge="Qwen/Qwen2.5-0.5B-Instruct"))


def test_what_gives_no_answers_is_not_judged_and_says_so(
    workspace: Workspace, of_kind: Callable[[str], Receipt]
) -> None:
    for kind, why in (("labels", "labels and no words"), ("text", "no answers that differ")):
        receipt = receipt_of(workspace, of_kind(kind).origin.run, arms=("base", "tuned"), rows=FEW, judge="starter")
        assert receipt.judge is None and why in gaps(receipt)


def test_the_models_on_this_disk_may_judge(workspace: Workspace) -> None:
    judges = workspace.receipts.judges()
    assert "starter" in [model.id for model in judges] and all(model.local for model in judges)


def test_a_receipt_is_kept_and_read_back(workspace: Workspace, shop: Receipt, shop_run: Run) -> None:
    assert workspace.receipts.kept(shop_run.id) == shop
    assert Receipt.from_json(json.loads(json.dumps(shop.to_json()))) == shop


def test_the_card_of_a_run_begins_with_the_sentence_of_its_receipt(
    workspace: Workspace, shop: Receipt, shop_run: Run
) -> None:
    assert shop.sentence in workspace.papers.card(shop_run.id)
    assert "other weights speak for it now" not in workspace.papers.card(shop_run.id)


def test_what_can_be_asked_is_known_before_a_model_is_loaded(workspace: Workspace, shop_run: Run) -> None:
    scope = workspace.receipts.scope(shop_run.id)
    assert scope.reads_texts and scope.asks_training_rows and not scope.reason
    assert scope.rows == 60 and scope.arms[:2] == ("few_shot", "retrieval")
    assert 1 < workspace.receipts.estimated_seconds(shop_run.id, (*scope.always, *scope.arms[:2]), 60) < 60


def test_rows_that_were_asked_are_not_asked_again(workspace: Workspace, shop: Receipt, shop_run: Run) -> None:
    told = [progress.doing for progress in workspace.receipts.make(shop_run.id)]
    assert told and not [doing for doing in told if "rows" in doing and ":" in doing]


def test_a_damaged_receipt_counts_as_none(workspace: Workspace, shop: Receipt, shop_run: Run) -> None:
    path = shop_run.directory / "receipt.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    assert workspace.receipts.kept(shop_run.id) is None
    path.write_text(whole)


def test_a_receipt_is_stale_when_its_weights_are_gone(workspace: Workspace, shop: Receipt, shop_run: Run) -> None:
    assert not workspace.receipts.is_stale(shop_run.id)
    checkpoints = shop_run.directory / "checkpoints"
    aside = shutil.move(checkpoints, shop_run.directory / "aside")
    assert workspace.receipts.is_stale(shop_run.id)
    assert "other weights speak for it now" in workspace.papers.card(shop_run.id)
    shutil.move(aside, checkpoints)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_steps": 1}, "It learned nothing: no weight moved."),  # the only step of a warm-up has no learning rate
        (
            {"max_steps": 2, "learning_rate": 1e-6, "warmup_ratio": 0.0},
            "It learned nothing that these rows show: 0 of 60",
        ),
    ],
)
def test_a_run_that_learned_nothing_says_so(
    workspace: Workspace, train: Train, settings: dict[str, Value], said: str
) -> None:
    receipt = receipt_of(workspace, train("shop", **settings).id, arms=("base", "tuned"))
    assert receipt.learned is False and receipt.contrasts[0].test.p_value == 1
    assert receipt.sentence.startswith(said)


def test_a_receipt_that_is_stopped_is_not_kept(workspace: Workspace, train: Train) -> None:
    run = train("shop", max_steps=1)
    told = list(workspace.receipts.make(run.id, stopped=lambda: True))
    assert all(progress.receipt is None for progress in told)
    assert workspace.receipts.kept(run.id) is None


def test_a_reward_model_is_compared_with_a_coin(workspace: Workspace, of_kind: Callable[[str], Receipt]) -> None:
    receipt = of_kind("pairs")
    assert receipt.metric == "pairs_ordered" and [one.against for one in receipt.contrasts] == [CHANCE]
    assert f"of {FEW} held-out pairs in the right order" in receipt.sentence
    assert "a reward and no words" in gaps(receipt) and receipt.drift is None
    assert receipt.proof and receipt.proof.probes == 0
    scope = workspace.receipts.scope(receipt.origin.run)
    assert scope.always == ("tuned",) and scope.arms == () and "a coin" in scope.reason and not scope.reads_texts


@pytest.mark.parametrize(
    ("kind", "metric", "missing"),
    [
        ("labels", "label_accuracy", "labels and no words"), ("preference", "preferred", "Other seeds"),
        ("text", "reference_probability", "texts without questions"), ("rewards", "ends_with_question", "no training row holds"),
    ],
)  # fmt: skip
def test_each_kind_of_run_has_its_metric_and_says_what_has_no_meaning(
    of_kind: Callable[[str], Receipt], kind: str, metric: str, missing: str
) -> None:
    receipt = of_kind(kind)
    assert receipt.metric == metric and [arm.rows for arm in receipt.arms] == [FEW, FEW]
    assert missing.casefold() in gaps(receipt).casefold()
    assert Receipt.from_json(receipt.to_json()) == receipt


def test_an_answer_that_meets_a_rule_is_not_called_right(shop: Receipt) -> None:
    ruled = replace(shop, metric="ends_with_question", metric_title="Ends with a question")
    assert "of 60 held-out answers score (ends with a question), 0 before" in ruled.sentence


def test_what_cannot_be_compared_is_a_sentence(workspace: Workspace, shop_run: Run) -> None:
    for arms in (("base",), ("tuned", "magic"), ()):
        with pytest.raises(UsageError, match="tuned"):
            list(workspace.receipts.make(shop_run.id, arms=arms))


def test_rows_of_another_kind_are_refused(workspace: Workspace, shop_run: Run) -> None:
    other = workspace.data.inspect_example("sentiment").dataset
    assert other
    with pytest.raises(DataError, match="another kind"):
        list(workspace.receipts.make(shop_run.id, data=other.fingerprint))


def test_rows_that_were_learnt_are_told_apart_from_new_ones(workspace: Workspace, shop: Receipt, shop_run: Run) -> None:
    receipt = receipt_of(workspace, shop_run.id, arms=("tuned",), data=shop_run.plan.dataset.fingerprint, rows=FEW)
    assert f"{FEW} of the questions that were asked stand among the training rows" in gaps(receipt)
    kept = workspace.receipts.kept(shop_run.id)
    assert kept and kept.origin.asked == "the plan's held-out rows"


def test_a_run_that_kept_nothing_has_no_receipt(workspace: Workspace, train: Train) -> None:
    run = train("shop", max_steps=1)
    shutil.rmtree(run.directory / "checkpoints")
    with pytest.raises(RunError):
        list(workspace.receipts.make(run.id))
