from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from engine.training import text_loss as module
from engine.training.text_loss import plain_head, text_loss

SIZE = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(params=["frozen head", "trained head", "tied head"])
def model(request: pytest.FixtureRequest) -> LlamaForCausalLM:
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**SIZE, tie_word_embeddings=request.param == "tied head"))
    made.lm_head.weight.requires_grad_(request.param != "frozen head")
    return made


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Two rows, one of them padded; questions carry no loss."""
    ids = torch.arange(24).reshape(2, 12) % 50
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    labels = torch.where(mask.bool(), ids, -100)
    labels[:, :4] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.fixture(params=[2**23, 150])
def in_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All places at once, and three at a time."""
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", request.param)
    yield


@pytest.mark.usefixtures("in_parts")
def test_loss_and_gradients_are_those_of_the_whole_logits(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor]
) -> None:
    found = text_loss(model, model.lm_head, batch)
    assert found
    (found.total / found.places).backward()
    ours = [None if weight.grad is None else weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    expected = model(**batch).loss
    expected.backward()
    assert float(found.total) / found.places == pytest.approx(float(expected), rel=1e-6)
    for mine, weight in zip(ours, model.parameters(), strict=True):
        assert (mine is None) == (weight.grad is None)
        if mine is not None:
            torch.testing.assert_close(mine, weight.grad)


@pytest.mark.usefixtures("in_parts")
def test_accuracy_and_entropy_are_those_of_the_whole_logits(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor]
) -> None:
    found = text_loss(model, model.lm_head, batch)
    targets = batch["labels"][:, 1:]
    logits = model(batch["input_ids"], batch["attention_mask"]).logits[:, :-1][targets != -100]
    assert found and found.places == int((targets != -100).sum())
    assert int(found.right) == int((logits.argmax(-1) == targets[targets != -100]).sum())
    spread = torch.distributions.Categorical(logits=logits).entropy().sum()
    assert float(found.entropy) == pytest.approx(float(spread), rel=1e-5)


def test_a_trained_prompt_before_the_text_shifts_nothing(batch: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(**SIZE))
    model = get_peft_model(base, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    found = text_loss(model, base.lm_head, batch)
    assert found and float(found.total) / found.places == pytest.approx(float(model(**batch).loss), rel=1e-6)


def test_a_batch_without_a_label_costs_nothing_and_breaks_nothing(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor]
) -> None:
    found = text_loss(model, model.lm_head, {**batch, "labels": torch.full_like(batch["labels"], -100)})
    assert found and found.places == 0
    found.total.backward()
    assert float(found.total) == 0.0


def test_the_model_answers_afterwards_as_before(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> None:
    before = model(batch["input_ids"]).logits
    text_loss(model, model.lm_head, batch)
    assert torch.equal(model(batch["input_ids"]).logits, before)


def test_a_model_that_bends_its_logits_is_left_to_trl(model: LlamaForCausalLM) -> None:
    assert plain_head(model, model.config) is model.lm_head
    model.config.final_logit_softcapping = 30.0
    assert plain_head(model, model.config) is None


def test_half_precision_gives_nearly_the_same_loss(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = text_loss(model, model.lm_head, batch)
    assert found
    found.total.backward()
    expected = functional.cross_entropy(
        model(batch["input_ids"], batch["attention_mask"]).logits[:, :-1].flatten(0, 1),
        batch["labels"][:, 1:].flatten(),
    )
    assert float(found.total) / found.places == pytest.approx(float(expected), rel=1e-2)
