"""Claims about rendering a chat template."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.data.chat_templates import marks_answers, render_marked
from engine.models.catalog import Catalog
from engine.models.loading import load_tokenizer
from engine.workspace import ASSETS

CONVERSATION = [
    {"role": "user", "content": "Is there tea? " * 30}, {"role": "assistant", "content": "There is. " * 100},
    {"role": "user", "content": "And cake?"}, {"role": "assistant", "content": "That too. " * 100},
]  # fmt: skip


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_many_threads_may_render_one_template(tmp_path) -> None:
    tokenizer = load_tokenizer(Catalog(ASSETS / "starter", tmp_path).resolve("starter"))
    template = tokenizer.get_chat_template()
    assert marks_answers(template)
    with ThreadPoolExecutor(8) as threads:
        rendered = list(threads.map(lambda _: render_marked(tokenizer, template, CONVERSATION, "here"), range(200)))
    assert all(one == rendered[0] for one in rendered)
    assert len(rendered[0][1]) == 2
