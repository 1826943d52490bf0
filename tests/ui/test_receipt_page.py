"""The page of a receipt: whole by itself, escaped, and honest about what is missing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from engine.results.judging import Judgement, Tally
from engine.workspace import PairedTest, Receipt
from ui.receipt_page import receipt_page

JUDGED = Tally(30, 5, 20, 1, 28, 0.9)
HOSTILE = '<script>alert("row")</script><img src=x onerror=alert(1)>&\ud83d'
SURE = {
    "rows": 60,
    "difference": 0.9,
    "low": 0.8,
    "high": 0.95,
    "p_value": 1e-9,
    "test": "mcnemar",
    "higher": 54,
    "lower": 0,
}


@pytest.fixture
def receipt() -> Receipt:
    arm = {"title": "As it is", "low": 0.0, "high": 1.0, "rows": 60}
    return Receipt.from_json({
        "version": 1, "made": 1.8e9, "step": 150, "seal": "s", "metric": "exact_match", "metric_title": "Exact match",
        "metric_help": "1 when it is right.",
        "arms": [{"arm": "base", "score": 0.0, "right": 0, **arm}, {"arm": "tuned", "score": 0.9, "right": 54, **arm}],
        "contrasts": [
            {"against": "base", "title": "As it is", "test": SURE},
            {"against": "few_shot", "title": "Few-shot", "test": SURE | {"p_value": 0.3}},
        ],
        "forgetting": {"texts": 199, "base_loss": 0.25, "tuned_loss": 1.15, "change": SURE | {"test": "permutation"}},
        "drift": {
            "answers": 60, "changed": 58, "base_words": 5.0, "tuned_words": 9.5, "length": SURE, "base_refusals": 1,
            "tuned_refusals": 2, "base_empty": 0, "tuned_empty": 0,
        },
        "memorised": {"asked": 60, "repeated": 50, "held_out_asked": 60, "held_out_repeated": 40},
        "proof": {"weights_moved": True, "probes": 4, "answers_changed": 3, "reload_difference": 0.0, "tolerance": 0.002, "problems": []},
        "costs": {
            "steps": 150, "seconds": 8.0, "peak_memory_bytes": None, "tokens_seen": 30_000, "trainable_parameters": 10,
            "total_parameters": 1000, "checkpoint_bytes": 2_800_000, "base_answer_seconds": 0.1, "tuned_answer_seconds": 0.2,
        },
        "not_measured": [{"what": "Energy", "reason": HOSTILE}],
        "examples": [{"question": HOSTILE, "reference": HOSTILE, "base": HOSTILE, "tuned": HOSTILE, "base_score": 0.0, "tuned_score": 1.0}],
        "origin": {
            "run": "r1", "name": HOSTILE, "status": "finished", "created": 1.8e9, "technique": "lora", "technique_title": "LoRA",
            "model": "starter", "model_title": HOSTILE, "model_licence": "apache-2.0", "dataset": HOSTILE, "dataset_rows": 240,
            "dataset_fingerprint": "ab" * 32, "held_out": "example", "held_out_rows": 60, "asked": HOSTILE, "plan_hash": "cd" * 32,
            "seed": 42, "device": "cpu", "dtype": "float32", "settings": {"reward_pattern": HOSTILE},
            "environments": [{"python": "3.11", "device": HOSTILE, "cores": 2, "packages": {"torch": "2.13"}}],
        },
    })  # fmt: skip


def test_no_text_of_a_row_becomes_markup(receipt: Receipt) -> None:
    page = receipt_page(receipt)
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
    page.encode("utf-8")


def test_nothing_comes_from_outside(receipt: Receipt) -> None:
    page = receipt_page(receipt)
    assert "http" not in page and "url(" not in page and "@import" not in page and "<link" not in page


def test_every_section_says_a_sentence_before_its_figures(receipt: Receipt) -> None:
    page = receipt_page(receipt)
    opened = re.findall(r'<section><h2>([^<]+)</h2><p class="first">[^<]+[.:]', page)
    assert len(opened) == page.count("<section>") == 9
    assert "It learned: 54 of 60 held-out rows right, 0 before (p &lt; 0.001)." in page
    assert "not told apart from few-shot" in page


def judged(receipt: Receipt, known: Tally, answers: Tally = JUDGED) -> str:
    return receipt_page(replace(receipt, judge=Judgement("org/judge", HOSTILE, True, 4, answers, known)))


def test_a_judge_that_was_found_wanting_prefers_nothing_on_the_page(receipt: Receipt) -> None:
    page = judged(receipt, Tally(6, 6, 38))
    assert "cannot judge these rows" in page and "in 6 of 50 pairs" in page and "says nothing" in page
    assert "<script" not in page and "it may favour its own way" in page


def test_a_judge_that_is_believed_says_whom_it_prefers_and_how_it_was_tried(receipt: Receipt) -> None:
    page = judged(receipt, Tally(40, 2, 8))
    assert "prefers the tuned model&#x27;s answers: 30 against 5 of 55." in page
    assert "right in 40 of 50, wrong in 2, undecided in 8" in page and "28 of 35" in page and "1 pair" in page


def test_a_judge_that_could_not_be_tried_is_said_to_be(receipt: Receipt) -> None:
    assert "could not be tried on pairs with a known better answer" in judged(receipt, Tally())
    assert "had nothing to judge" in judged(receipt, Tally(), Tally(unread=3))


def test_tables_can_be_read_aloud(receipt: Receipt) -> None:
    page = receipt_page(receipt)
    assert '<html lang="en">' in page and page.count("<main>") == page.count("<h1>") == 1
    assert page.count("<table>") == page.count("<caption>") == 4
    assert page.count('scope="row"') > 4 and page.count('scope="col"') > 10


def test_it_follows_the_readers_colours_and_prints(receipt: Receipt) -> None:
    page = receipt_page(receipt)
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_rows_can_be_left_out_before_it_is_shared(receipt: Receipt) -> None:
    assert "Some rows to look at" not in receipt_page(receipt, with_rows=False)


def test_parts_that_were_not_measured_leave_no_empty_section(receipt: Receipt) -> None:
    bare = replace(receipt, arms=(), contrasts=(), forgetting=None, drift=None, memorised=None, proof=None, examples=())
    page = receipt_page(bare)
    assert page.count("<section>") == 3 and "Whether it learned was not measured." in page


def test_scores_between_are_no_percentages(receipt: Receipt) -> None:
    arms = tuple(replace(arm, right=None) for arm in receipt.arms)
    page = receipt_page(replace(receipt, arms=arms))
    assert "Exact match 0.90 on 60 held-out rows, 0.00 before" in page and "+0.900 (+0.800 to +0.950)" in page


@pytest.mark.parametrize(("difference", "said"), [(-0.4, "It got worse"), (0.4, "It learned")])
def test_the_direction_is_told(receipt: Receipt, difference: float, said: str) -> None:
    test = PairedTest(**{**SURE, "difference": difference})  # type: ignore[arg-type]
    assert said in receipt_page(replace(receipt, contrasts=(replace(receipt.contrasts[0], test=test),)))
