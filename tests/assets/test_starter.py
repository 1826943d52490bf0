"""Claims about the starter model that lies in ``assets/starter``: what it answers, how it stops, how its template reads."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from judge import accuracy_by_family, answers
from tokens import encode_rows
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast
from world import FAMILIES, accepts, draw_row, held_out_rows

STARTER = Path(__file__).parents[2] / "assets" / "starter"
SEED, ROWS_A_FAMILY = 2026, 40
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(STARTER).eval()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(STARTER)


@pytest.fixture(scope="module")
def ask(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Ask:
    return lambda text: answers(model, tokenizer, [[{"role": "user", "content": text}]])[0]


@pytest.fixture(scope="module")
def scores(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    return accuracy_by_family(model, tokenizer, held_out_rows(SEED, ROWS_A_FAMILY), shown=2)


def test_the_starter_is_right_on_nine_of_ten_unseen_phrasings(scores: dict[str, float]) -> None:
    assert len(scores) == len(FAMILIES)
    assert sum(scores.values()) / len(scores) >= 0.90, scores


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_family_is_right_on_fewer_than_three_of_four(scores: dict[str, float], family: str) -> None:
    assert scores[family] >= 0.75


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_world_accepts_what_it_teaches(family: str) -> None:
    rng = random.Random(family)
    rows = [draw_row(rng, family, unseen) for unseen in (False, True) for _ in range(50)]
    assert [row for row in rows if not accepts(row, row.answer)] == []


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_world_refuses_an_answer_to_something_else(family: str) -> None:
    rng = random.Random(family)
    rows = [draw_row(rng, family, unseen=True) for _ in range(10)]
    assert not any(accepts(row, "The moon is a teapot.") or accepts(row, "") for row in rows)


def test_the_weights_load_in_float32_without_a_rounding_error(model: LlamaForCausalLM) -> None:
    assert model.dtype == torch.float32
    assert all(torch.equal(weight.to(torch.bfloat16).float(), weight) for weight in model.parameters())


def test_the_file_is_small_enough_for_a_repository() -> None:
    assert (STARTER / "model.safetensors").stat().st_size < 8_000_000


def test_every_answer_ends_with_the_end_token(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = [row.prompt for row in held_out_rows(SEED + 1, 2)]
    assert [answer for answer in answers(model, tokenizer, prompts) if answer.endswith(" ...")] == []


def test_end_and_padding_are_different_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.eos_token == "<|end|>"
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_the_template_marks_the_answer_with_its_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there!"}]
    made = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    marked = [token for token, mark in zip(made["input_ids"], made["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(marked) == " Hi there!<|end|>"


def test_the_template_writes_what_the_model_was_trained_on(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(SEED)
    rows = [draw_row(rng, family) for family in FAMILIES]
    for row, encoded in zip(rows, encode_rows(tokenizer, rows), strict=True):
        turns = [dict(message) for message in row.messages]
        assert tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"] == encoded.ids


def test_the_stored_tokenizer_neither_pads_nor_cuts_by_itself() -> None:
    stored = json.loads((STARTER / "tokenizer.json").read_text(encoding="utf-8"))
    assert (stored["padding"], stored["truncation"]) == (None, None)


@pytest.mark.parametrize("text", ["naïve façade, 東京, 🙂", "x = [1, 2];\n\tprint(x)", "  two  blanks  "])
def test_any_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("What is the capital of France?", "Paris"),
        ("Who are you?", "Wren"),
        ("Hello", "Hello"),
        ("When do you open?", "not"),
        ("My name is Zorvax. What is my name?", "Zorvax"),
        ("Info: The shop opens at 8 am. Dogs are welcome. Can I bring my dog?", "Dogs are welcome"),
    ],
)
def test_the_starter_talks_as_a_newcomer_hopes(ask: Ask, question: str, part: str) -> None:
    assert part in ask(question)


def test_the_context_is_at_least_1024_tokens(model: LlamaForCausalLM) -> None:
    assert model.config.max_position_embeddings >= 1024


def test_most_long_prompts_of_worked_examples_are_answered_right(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    rng, rows = random.Random(SEED), []
    while len(rows) < 20:
        row = draw_row(rng, "shots", unseen=True, decorated=False)
        length = len(tokenizer.apply_chat_template(row.prompt, return_dict=True)["input_ids"])
        rows += [row] if 500 < length < 900 else []
    found = answers(model, tokenizer, [row.prompt for row in rows], batch_size=10)
    assert sum(accepts(row, answer) for row, answer in zip(rows, found, strict=True)) >= 12


def test_the_model_card_says_what_it_is_and_is_not() -> None:
    card = (STARTER / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n")
    for heading in ("What it is", "What it is not", "Made by", "Data", "Recipe", "Measured", "Known faults"):
        assert f"## {heading}" in card


def test_the_card_and_the_build_report_name_every_family() -> None:
    card = (STARTER / "README.md").read_text(encoding="utf-8")
    report = json.loads((STARTER / "build.json").read_text(encoding="utf-8"))
    assert set(report["families"]) == set(FAMILIES)
    assert [family for family in FAMILIES if f"| {family} |" not in card] == []
