"""A tiny tokenizer with chat templates, and a way to write files: small enough that every test is fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from engine.data.inspection import Inspection, inspect_file

MARKED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|assistant|>{% generation %} {{ m['content'] }}<|end|>"
    "{% endgeneration %}{% else %}<|{{ m['role'] }}|> {{ m['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
UNMARKED = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITHOUT_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
END_OUTSIDE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
    "{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXT_ONLY = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
TEMPLATES = {
    "marked": MARKED,
    "unmarked": UNMARKED,
    "chatml": CHATML,
    "end_outside": END_OUTSIDE,
    "text_only": TEXT_ONLY,
}

_LINES = [
    "user: What is the capital of Spain? assistant: The capital of Spain is Madrid.",
    "Where can I park? You can park behind the shop. Hello! It is nice to meet you.",
    "one two three four five six seven eight nine ten system helper be brief",
]


@pytest.fixture(scope="session")
def _tokenizer_parts():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_LINES * 4, trainer)
    return tokenizer.to_str()


@pytest.fixture
def make_tokenizer(_tokenizer_parts) -> Callable:
    """A tokenizer with the chat template named, or without one."""

    def make(template: str | None):
        made = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(_tokenizer_parts), eos_token="<|end|>", pad_token="<|pad|>"
        )
        made.chat_template = {**TEMPLATES, "without_system": WITHOUT_SYSTEM}[template] if template else None
        return made

    return make


def _space_marks(scheme: str) -> Tokenizer:
    """A tokenizer of SentencePiece's kind, which writes spaces as marks and puts one in front of texts."""
    made = Tokenizer(models.BPE(unk_token="<s>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    return made


def _shortened_offsets() -> Tokenizer:
    """A tokenizer of RoBERTa's kind, which leaves spaces out of the offsets that it tells."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


FAMILIES = {
    "marks_always": lambda: _space_marks("always"),
    "marks_first": lambda: _space_marks("first"),
    "marks_never": lambda: _space_marks("never"),
    "short_offsets": _shortened_offsets,
}


@pytest.fixture(scope="session", params=FAMILIES)
def other_tokenizer(request) -> PreTrainedTokenizerFast:
    """Tokenizers of other families, with <s> in front of plain texts where they can; without a template."""
    made = FAMILIES[request.param]()
    special = ["<s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|im_start|>"]
    letters = [*pre_tokenizers.ByteLevel.alphabet(), "\n"]
    made.train_from_iterator(
        _LINES * 4,
        trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=letters, show_progress=False),
    )
    if request.param != "short_offsets":
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<|end|>")


@pytest.fixture
def tokenizer(make_tokenizer):
    """The tiny tokenizer with generation marks in its template."""
    return make_tokenizer("marked")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file into the test's own folder."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def inspect(write, tmp_path: Path) -> Callable[[str, str | bytes], Inspection]:
    """Write a file and inspect it."""
    return lambda name, content: inspect_file(write(name, content), tmp_path / "data")
