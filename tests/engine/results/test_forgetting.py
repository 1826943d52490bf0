from __future__ import annotations

from engine.data.dataset import read_rows
from engine.results.forgetting import GENERAL, forgetting_of, general_texts
from engine.workspace import Workspace


def test_texts_that_became_harder_are_forgetting() -> None:
    found = forgetting_of([0.1, 0.2, 0.3, 0.2, 0.1, 0.2], [1.1, 1.2, 1.3, 1.0, 0.9, 1.4])
    assert found.change.higher == found.texts == 6 and found.change.p_value == 2 / 64
    assert abs(found.tuned_loss - found.base_loss - found.change.difference) < 1e-9


def test_only_answers_of_the_general_texts_are_read(workspace: Workspace) -> None:
    tokenizer = workspace.advice._tokenizer_of("starter")[1]
    texts = general_texts(tokenizer)
    assert 150 < len(texts) <= 240
    assert all(0 < sum(text.trained) < len(text.trained) for text in texts)


def test_no_general_question_is_taught_by_a_bundled_example(workspace: Workspace) -> None:
    general = GENERAL.read_text("utf-8")
    for example in workspace.data.examples():
        dataset = workspace.data.inspect_example(example.key).dataset
        assert dataset
        prompts = {row["prompt"] for row in read_rows(dataset) if isinstance(row.get("prompt"), str)}
        assert not [prompt for prompt in prompts if f'"{prompt}"' in general]
