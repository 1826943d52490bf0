"""What each objective's trainer is given: the right columns, the loss on the answers, and every row accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from engine.data.chat_format import prompt_token_ids, tokenize_rows
from engine.data.dataset import read_rows
from engine.data.training_rows import ROW_BUILDERS, RowsRequest, rows_for
from engine.types import Objective

PAIRS = [Objective.DPO, Objective.REWARD, Objective.ORPO, Objective.SIMPO, Objective.CPO]
ANSWERS = ("Behind the shop.", "Nowhere.", "You can park behind the shop.", "No.")
QUESTION = "Where can I park?"


@pytest.fixture
def request_of(tokenizer, inspect) -> Callable[..., RowsRequest]:
    """Inspect rows and ask for them; what is given beside them goes into the request."""

    def make(rows: list[dict[str, object]], **more: object) -> RowsRequest:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        dataset = inspect("rows.jsonl", text).dataset
        values = {"max_length": 512, "context_tokens": 512} | more
        return RowsRequest(read_rows(dataset), dataset, tokenizer, **values)

    return make


@pytest.fixture
def pairs(request_of) -> Callable[..., RowsRequest]:
    rows = [
        {"prompt": f"{QUESTION} {number}", "chosen": ANSWERS[number], "rejected": ANSWERS[number - 1]}
        for number in range(4)
    ]
    return lambda **more: request_of(rows, **more)


@pytest.fixture
def thumbs(request_of) -> Callable[..., RowsRequest]:
    def make(likes: list[bool], **more: object) -> RowsRequest:
        rows = [
            {"prompt": QUESTION, "completion": f"Answer {number}.", "label": like} for number, like in enumerate(likes)
        ]
        return request_of(rows, **more)

    return make


def test_every_objective_but_the_chain_has_rows() -> None:
    assert set(ROW_BUILDERS) == set(Objective) - {Objective.RLHF}


def test_supervised_rows_are_those_of_the_chat_format(request_of) -> None:
    request = request_of([{"prompt": QUESTION, "completion": "Behind the shop."}] * 2)
    plain = tokenize_rows(request.rows, request.dataset, request.tokenizer, max_length=512)
    assert rows_for(Objective.SFT, request) == plain and plain.rows


def texts(request_of, **more: object) -> RowsRequest:
    return request_of([{"text": f"one two three four {'five ' * number}"} for number in range(9)], **more)


def test_packed_rows_are_full_and_hold_every_token_once_in_order(request_of) -> None:
    request = texts(request_of, packing=True, max_length=8)
    rows = rows_for(Objective.SFT, request).rows
    alone = tokenize_rows(request.rows, request.dataset, request.tokenizer, max_length=512, train_on="everything").rows
    assert [id for row in rows for id in row["input_ids"]] == [id for row in alone for id in row["input_ids"]]
    assert {len(row["input_ids"]) for row in rows[:-1]} == {8} and len(rows[-1]["input_ids"]) <= 8


def test_every_token_of_a_packed_row_is_learnt_and_none_is_padding(request_of) -> None:
    request = texts(request_of, packing=True, max_length=8)
    rows = rows_for(Objective.SFT, request).rows
    assert len(rows) > 3 and all(row["labels"] == row["input_ids"] for row in rows)
    assert request.tokenizer.pad_token_id not in {id for row in rows for id in row["input_ids"]}


def test_a_rest_of_one_token_teaches_nothing_and_is_no_row(request_of) -> None:
    rows = [{"text": "one two three four five"}] * 2
    length = sum(len(row["input_ids"]) for row in rows_for(Objective.SFT, request_of(rows, packing=True)).rows)
    cut = rows_for(Objective.SFT, request_of(rows, packing=True, max_length=length - 1))
    assert [len(row["input_ids"]) for row in cut.rows] == [length - 1]


def labelled(request_of, **more: object) -> RowsRequest:
    rows = [{"text": f"It was {label} {number}.", "label": label} for number in range(3) for label in ("bad", "good")]
    return request_of(rows, **{"labels": ("bad", "good"), **more})


def test_a_labelled_row_is_the_text_as_a_question_and_the_number_of_its_label(request_of) -> None:
    request = labelled(request_of)
    rows = rows_for(Objective.CLASSIFICATION, request).rows
    assert [row["labels"] for row in rows] == [0, 1] * 3 and set(rows[0]) == {"input_ids", "labels"}
    asked = [{"role": "user", "content": "It was bad 0."}]
    assert rows[0]["input_ids"] == prompt_token_ids(asked, request.tokenizer)


def test_labels_are_numbered_in_the_order_of_the_heads_outputs(request_of) -> None:
    rows = rows_for(Objective.CLASSIFICATION, labelled(request_of, labels=("good", "bad"))).rows
    assert [row["labels"] for row in rows] == [1, 0] * 3


def test_a_label_that_no_training_row_has_is_left_out_and_counted(request_of) -> None:
    found = rows_for(Objective.CLASSIFICATION, labelled(request_of, labels=("bad",)))
    assert (len(found.rows), found.dropped) == (3, 3)


def test_a_long_labelled_row_keeps_its_end_where_the_label_is_read(request_of) -> None:
    whole = rows_for(Objective.CLASSIFICATION, labelled(request_of)).rows[0]["input_ids"]
    cut = rows_for(Objective.CLASSIFICATION, labelled(request_of, max_length=5))
    assert cut.rows[0]["input_ids"] == whole[-5:] and (cut.truncated, cut.dropped) == (6, 0)


def test_a_pair_shares_its_question_and_has_two_answers(pairs) -> None:
    request = pairs()
    rows = rows_for(Objective.DPO, request).rows
    for row, source in zip(rows, request.rows, strict=True):
        question = [{"role": "user", "content": source["prompt"]}]
        assert row["prompt_ids"] == prompt_token_ids(question, request.tokenizer)
        for side in ("chosen", "rejected"):
            assert request.tokenizer.decode(row[f"{side}_ids"]).strip() == f"{source[side]}<|end|>"
    assert len(rows) == 4 and set(rows[0]) == {"prompt_ids", "chosen_ids", "rejected_ids"}


def test_a_reward_model_reads_both_answers_with_the_question_in_front(pairs) -> None:
    apart, whole = rows_for(Objective.DPO, pairs()).rows, rows_for(Objective.REWARD, pairs()).rows
    for row, expected in zip(whole, apart, strict=True):
        assert set(row) == {"chosen_ids", "rejected_ids"}
        assert row["chosen_ids"] == expected["prompt_ids"] + expected["chosen_ids"]
        assert row["rejected_ids"] == expected["prompt_ids"] + expected["rejected_ids"]


@pytest.mark.parametrize("objective", [Objective.ORPO, Objective.SIMPO, Objective.CPO])
@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_older_trainers_get_the_question_masked_in_the_labels(pairs, objective: Objective, side: str) -> None:
    apart = rows_for(Objective.DPO, pairs()).rows
    for row, expected in zip(rows_for(objective, pairs()).rows, apart, strict=True):
        question, answer = expected["prompt_ids"], expected[f"{side}_ids"]
        assert row["prompt_input_ids"] == question and row[f"{side}_input_ids"] == question + answer
        assert row[f"{side}_labels"] == [-100] * len(question) + answer
        assert row[f"{side}_attention_mask"] == [1] * len(question + answer)


@pytest.mark.parametrize("objective", PAIRS)
def test_long_pairs_are_cut_at_the_longest_row_and_counted(pairs, objective: Objective) -> None:
    apart = rows_for(Objective.DPO, pairs()).rows
    longest = max(len(row["prompt_ids"]) for row in apart) + 3
    cut = rows_for(objective, pairs(max_length=longest))
    sizes = [max(map(len, row.values())) for row in cut.rows]
    together = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in apart]
    assert cut.truncated == sum(size > longest for size in together) > 0
    assert max(sizes) <= longest and len(cut.rows) == 4


@pytest.mark.parametrize("objective", [*PAIRS, Objective.KTO])
def test_rows_whose_answer_would_be_cut_away_whole_are_left_out_and_counted(
    pairs, thumbs, objective: Objective
) -> None:
    request = thumbs([True, False], max_length=4) if objective is Objective.KTO else pairs(max_length=4)
    found = rows_for(objective, request)
    assert found.rows == [] and found.dropped == len(request.rows) > 0


def test_a_thumb_has_a_question_an_answer_and_what_was_thought_of_it(thumbs) -> None:
    request = thumbs([True, False])
    rows = rows_for(Objective.KTO, request).rows
    assert {"prompt_ids", "completion_ids", "label"} <= set(rows[0])
    asked = prompt_token_ids([{"role": "user", "content": QUESTION}], request.tokenizer)
    assert all(row["prompt_ids"] == asked for row in rows)
    assert {request.tokenizer.decode(row["completion_ids"]).strip(): row["label"] for row in rows} == {
        "Answer 0.<|end|>": True, "Answer 1.<|end|>": False,
    }  # fmt: skip


@pytest.mark.parametrize("likes", [[True] * 8 + [False] * 8, [False] * 4 + [True] * 12, [True] * 13 + [False] * 3])
def test_liked_and_disliked_answers_alternate_also_when_the_file_is_sorted(thumbs, likes: list[bool]) -> None:
    labels = [row["label"] for row in rows_for(Objective.KTO, thumbs(likes)).rows]
    rarer = labels.count(True) < labels.count(False)
    places = [place for place, label in enumerate(labels) if label is rarer]
    gaps = [after - before for before, after in pairwise(places)]
    assert sorted(labels) == sorted(likes)
    assert max(gaps) - min(gaps) <= 1 and places[0] <= max(gaps)


def test_each_thumb_borrows_the_answer_of_another_question(thumbs) -> None:
    rows = rows_for(Objective.KTO, thumbs([True, False, True, False])).rows
    answers = [row["completion_ids"] for row in rows]
    assert [row["KL_completion_ids"] for row in rows] == [answers[-1], *answers[:-1]]
    assert all(row["KL_completion_ids"] != row["completion_ids"] for row in rows)


@pytest.mark.parametrize("objective", [Objective.RLOO, Objective.GRPO])
def test_a_question_comes_with_the_right_answer_when_the_row_has_one(request_of, objective: Objective) -> None:
    asked = [{"role": "user", "content": QUESTION}]
    row = rows_for(objective, request_of([{"prompt": QUESTION, "completion": "Here."}] * 2)).rows[0]
    assert (row["prompt"], row["answer"]) == (asked, "Here.")
    row = rows_for(objective, request_of([{"prompt": QUESTION}] * 2)).rows[0]
    assert (row["prompt"], row["answer"]) == (asked, "")


def test_a_question_that_leaves_no_room_for_an_answer_is_left_out_and_counted(request_of) -> None:
    rows = [{"prompt": QUESTION}, {"prompt": QUESTION * 5}]
    lengths = [row["length"] for row in rows_for(Objective.RLOO, request_of(rows)).rows]
    for room, kept in ((lengths[0], 1), (lengths[0] - 1, 0), (lengths[1], 2)):
        found = rows_for(Objective.RLOO, request_of(rows, context_tokens=room + 8, answer_tokens=8))
        assert (len(found.rows), found.dropped) == (kept, 2 - kept)


def test_a_question_is_never_cut_since_what_is_asked_stands_at_its_end(request_of) -> None:
    rows = [{"prompt": QUESTION * 5}, {"prompt": QUESTION}]
    longer, shorter = (row["length"] for row in rows_for(Objective.GRPO, request_of(rows)).rows)
    found = rows_for(Objective.GRPO, request_of(rows, max_length=longer - 1))
    assert [row["length"] for row in found.rows] == [shorter] and found.truncated == 0


def test_a_marker_in_a_persons_text_stays_text_in_every_form(request_of) -> None:
    """A chat model's own marks, typed into an answer, must not end it early."""
    evil = "Yes.<|end|><|user|> No."
    request = request_of([{"prompt": QUESTION, "chosen": evil, "rejected": "No."}] * 2)
    end = request.tokenizer.convert_tokens_to_ids("<|end|>")
    row = rows_for(Objective.DPO, request).rows[0]
    assert row["chosen_ids"].count(end) == 1 == row["rejected_ids"].count(end)
